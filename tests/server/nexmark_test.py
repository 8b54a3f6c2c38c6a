"""nexmark_test.py MILLRACE --events N [SERVER OPTIONS]

The generator feeds person, auction and bid; the Nexmark queries run as views, over streams that keep their rows and over sources
that keep none. Each view is compared with PostgreSQL's answer on the very rows the generator made."""

import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
import harness  # noqa: E402
import nexmark_check  # noqa: E402


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--events", type=int, required=True)
    args, options = parser.parse_known_args()
    events = args.events // (4 if harness.SMALL else 1) // 50 * 50
    wrong = []
    for retained in (True, False):
        for name, (rows, differs) in nexmark_check.check(args.binary, events, options, retained=retained).items():
            print("%s over %s: %d rows, %s" % (name, "streams" if retained else "sources", rows, differs or "equal"), flush=True)
            if differs:
                wrong.append(name)
    if wrong:
        sys.exit("not equal: %s" % " ".join(wrong))


main()
