"""kernel.py BENCH_KERNEL [KERNEL ...] [--keys N] [--callgrind] [--json FILE] [--compare-with FILE] [--write-baseline]

The inner loops one by one: nanoseconds and bytes of state per row, and with --callgrind the instructions per row, which are the same
on a busy machine and on a quiet one. These are compared with tests/bench/kernel_baseline.json (or FILE): a kernel that needs over 5 %
more instructions fails the run. --write-baseline makes the counts of this run the new baseline."""

import argparse
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

BASELINE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kernel_baseline.json")
CALLGRIND_KEYS = 65536
REGRESSION = 1.05


def run_plain(args):
    lines = subprocess.run([args.binary, "--keys", str(args.keys), *args.kernels], check=True, stdout=subprocess.PIPE, text=True).stdout
    result = {}
    for line in lines.splitlines():
        name, rows, ns, state = line.split("\t")
        result[name] = {"ns_per_row": int(ns) / int(rows)}
        if float(state) > 0:
            result[name]["state_bytes_per_row"] = float(state)
    return result


def run_callgrind(args):
    """name -> instructions per row"""
    if shutil.which("valgrind") is None:
        sys.exit("--callgrind needs valgrind")
    with tempfile.TemporaryDirectory() as base:
        done = subprocess.run(["valgrind", "-q", "--tool=callgrind", "--collect-atstart=no", "--callgrind-out-file=%s/out" % base,
                               args.binary, "--keys", str(CALLGRIND_KEYS), *args.kernels], check=True, stdout=subprocess.PIPE, text=True)
        rows = {line.split("\t")[0]: int(line.split("\t")[1]) for line in done.stdout.splitlines()}
        result = {}
        for path in glob.glob(base + "/out*"):
            with open(path) as f:
                text = f.read()
            name = re.search(r"^desc: Trigger: Client Request: (\S+)", text, re.M)
            total = re.search(r"^(?:totals|summary): (\d+)", text, re.M)
            if name and total and name.group(1) in rows:
                result[name.group(1)] = int(total.group(1)) / rows[name.group(1)]
    return result


def compare(measured, file):
    """The kernels that need more instructions than the baseline says."""
    with open(file) as f:
        data = json.load(f)
    before = {name: kernel["instructions_per_row"] if isinstance(kernel, dict) else kernel
              for name, kernel in data["kernels"].items() if not isinstance(kernel, dict) or "instructions_per_row" in kernel}
    worse = []
    for name, kernel in measured.items():
        kernel["baseline"] = before.get(name)
        if kernel["baseline"] and kernel.get("instructions_per_row", 0) > kernel["baseline"] * REGRESSION + 1:
            worse.append(name)
    return worse


def number(value, digits=1):
    return "" if value is None else "%.*f" % (digits, value)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", metavar="BENCH_KERNEL")
    parser.add_argument("kernels", nargs="*", metavar="KERNEL", help="beginnings of names")
    parser.add_argument("--keys", type=int, default=1000000, help="keys of the state tables; rows of the other kernels")
    parser.add_argument("--callgrind", action="store_true")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--compare-with", metavar="FILE", default=BASELINE)
    parser.add_argument("--write-baseline", action="store_true")
    args = parser.parse_intermixed_args()
    measured = run_plain(args)
    if not measured:
        parser.error("no kernel has such a name")
    if args.callgrind or args.write_baseline:
        for name, instructions in run_callgrind(args).items():
            measured[name]["instructions_per_row"] = instructions
    worse = compare(measured, args.compare_with) if os.path.exists(args.compare_with) else []
    print("%-38s %10s %14s %10s %12s" % ("kernel", "ns/row", "instructions", "baseline", "bytes/key"))
    for name, kernel in measured.items():
        print("%-38s %10s %14s %10s %12s%s" % (name, number(kernel["ns_per_row"]), number(kernel.get("instructions_per_row")),
                                               number(kernel.get("baseline")), number(kernel.get("state_bytes_per_row")),
                                               "   MORE THAN BEFORE" if name in worse else ""))
    if args.json:
        with open(args.json, "w") as f:
            json.dump({"keys": args.keys, "callgrind_keys": CALLGRIND_KEYS, "kernels": measured}, f, indent=1)
    if args.write_baseline:
        counts = {name: round(kernel["instructions_per_row"], 1) for name, kernel in measured.items() if "instructions_per_row" in kernel}
        with open(BASELINE, "w") as f:
            json.dump({"keys": CALLGRIND_KEYS, "kernels": counts}, f, indent=1)
            f.write("\n")
    elif worse:
        sys.exit("more instructions than before: " + ", ".join(worse))


if __name__ == "__main__":
    main()
