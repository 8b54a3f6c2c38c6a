#!/usr/bin/env python3
"""The generated pages in docs/ are what the server prints: reference_test.py MILLRACE"""
import difflib
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def lines_of(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


def main():
    failed = False
    with tempfile.TemporaryDirectory() as written:
        subprocess.run([sys.argv[1], "--reference", written], check=True, timeout=60)
        names = sorted(os.listdir(written))
        assert names, "no pages were written"
        for name in names:
            committed = lines_of(os.path.join(ROOT, "docs", name))
            printed = lines_of(os.path.join(written, name))
            if committed != printed:
                failed = True
                print(f"docs/{name} is out of date; run ./dev docs")
                for line in list(difflib.unified_diff(committed, printed, "committed", "printed", lineterm=""))[:40]:
                    print(line)
    sys.exit(1 if failed else 0)


main()
