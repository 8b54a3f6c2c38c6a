"""nexmark.py MILLRACE [QUERY ...] [--events N] [--peer flink] [--json FILE] [--compare-with FILE] [--check] [SERVER OPTIONS]

Each Nexmark query alone: a fresh data directory, durability on, the streams that the query reads fed by the server's generator,
one materialized view. An event is a row of these streams. What is measured starts when --warmup of the rows are in and ends when the
last row is visible in the view:

  events/s      of wall time
  events/CPU-s  CPU time of the whole process, kernel included, minus what the generator's calls took (millrace.sources)

With --retained the streams keep their rows, as CREATE STREAM does; by default they are sources, whose rows only pass."""

import argparse
import json
import os
import platform
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import harness  # noqa: E402
import nexmark_check  # noqa: E402
from nexmark_queries import ARRIVAL, SCHEMA, queries, rows_of  # noqa: E402
from nexmark_table import print_table  # noqa: E402

NOTES = {
    "q6": "the average over a seller's last closed auctions",
    "q10": "a view: there is no sink into files",
    "q12": "by arrival",
}


CPU_MIN_S = 0.02  # below, the difference of two clocks says nothing


def cpu_seconds(pid):
    """Of the process with all its threads, also those that ended: its CPU clock, see clock_getcpuclockid(3)."""
    return time.clock_gettime((~pid << 3) | 2)


def peak_bytes(pid):
    with open("/proc/%d/status" % pid) as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM:"))


class Counters:
    """Where a run stands; reading them costs the server one small query."""

    def __init__(self, con, pid):
        self.rows, generator_us, self.error = con.execute(
            "SELECT sum(rows)::bigint, sum(poll_cpu_us)::bigint, max(error) FROM millrace.sources", prepare=True).fetchone()
        self.wall_s = time.monotonic()
        self.process_cpu_s = cpu_seconds(pid)
        self.generator_cpu_s = generator_us / 1e6


def wait(con, pid, rows, slowest_s=0.05):
    """Until so many rows are visible; looks more often towards the end."""
    start = Counters(con, pid)
    now = start
    while now.rows < rows:
        if now.error:
            raise RuntimeError(now.error)
        speed = (now.rows - start.rows) / max(now.wall_s - start.wall_s, 1e-9)
        time.sleep(min(slowest_s, max(0.001, (rows - now.rows) / speed / 2)) if speed > 0 else slowest_s / 10)
        now = Counters(con, pid)
    return now


def measure(args, options, query):
    rows = sum(rows_of(name, args.events) for name in query.streams)
    with harness.millrace(args.binary, "--workers", str(args.workers), *options) as mill:
        con = harness.connect_millrace(mill)
        for name in query.streams:
            arrival = ARRIVAL if name == "bid" and "p_time" in query.ours else ""
            nexmark_check.create_stream(con, name, SCHEMA[name] + arrival, args.retained, events=args.events, paused="true")
        for statement in query.tables:
            con.execute(statement)
        con.execute("CREATE MATERIALIZED VIEW result AS %s" % query.ours)
        for name in query.streams:
            nexmark_check.start_stream(con, name, args.retained)
        begin = wait(con, mill.pid, int(rows * args.warmup))
        end = wait(con, mill.pid, rows)
        peak = peak_bytes(mill.pid)
        result_rows, result_bytes, state_bytes, errors = con.execute(
            "SELECT rows, bytes, state_bytes, errors FROM millrace.relations WHERE name = 'result'").fetchone()
        con.close()
    if errors:
        raise RuntimeError("%d rows could not be computed" % errors)
    wall_s, events = end.wall_s - begin.wall_s, end.rows - begin.rows
    process_s, generator_s = end.process_cpu_s - begin.process_cpu_s, end.generator_cpu_s - begin.generator_cpu_s
    cpu_s = process_s - generator_s
    return {"events": rows, "events_measured": events, "wall_s": wall_s, "process_cpu_s": process_s, "generator_cpu_s": generator_s,
            "cpu_s": cpu_s, "events_per_wall_s": events / wall_s, "events_per_cpu_s": events / cpu_s if cpu_s > CPU_MIN_S else 0, "peak_rss_bytes": peak,
            "state_bytes": state_bytes, "result_bytes": result_bytes, "result_rows": result_rows}


def median_run(args, options, query):
    """The run in the middle, by CPU time."""
    runs = sorted((measure(args, options, query) for _ in range(args.repeat)), key=lambda run: run["events_per_cpu_s"])
    middle = dict(runs[len(runs) // 2])
    if len(runs) > 1:
        middle["events_per_cpu_s_all"] = [run["events_per_cpu_s"] for run in runs]
    return middle


def machine():
    with open("/proc/cpuinfo") as f:
        model = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), platform.machine())
    with open("/proc/meminfo") as f:
        memory = int(f.readline().split()[1]) * 1024
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "memory_bytes": memory, "kernel": platform.release()}


def commit():
    done = subprocess.run(["git", "-C", HERE, "describe", "--always", "--dirty"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True)
    return done.stdout.strip()


def run_flink(args, names):
    """What run.py reports: an object per query; ends with its message where Flink cannot be had."""
    with harness.temp_dir() as base:
        out = os.path.join(base, "flink.json")
        done = subprocess.run([sys.executable, "-B", os.path.join(HERE, "flink", "run.py"), "--queries", ",".join(names), "--events",
                               str(args.events), "--parallelism", str(args.workers), "--backend", args.flink_backend,
                               "--warmup-cpu", str(args.flink_warmup_cpu),
                               "--skip", str(args.warmup), "--json", out])
        if done.returncode != 0:
            sys.exit("Flink did not run: no figures of it")
        with open(out) as f:
            return json.load(f)


def save(args, report):
    if args.json:
        with open(args.json, "w") as f:
            json.dump(report, f, indent=1)
            f.write("\n")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", metavar="MILLRACE")
    parser.add_argument("queries", nargs="*", metavar="QUERY", help="q0 to q22; by default all")
    parser.add_argument("--events", type=int, default=2000000, help="Nexmark events in all, of which each stream gets its share")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=1, help="runs of each query; the middle one counts")
    parser.add_argument("--warmup", type=float, default=0.2, help="share of the rows that come before the measurement")
    parser.add_argument("--retained", action="store_true", help="streams that keep their rows instead of sources that keep none")
    parser.add_argument("--check", action="store_true", help="compare all views with PostgreSQL first, at --check-events")
    parser.add_argument("--check-events", type=int, default=100000)
    parser.add_argument("--peer", choices=["flink"], help="run Apache Flink on the same queries, events and cores")
    parser.add_argument("--flink-warmup-cpu", type=int, default=40, metavar="SECONDS", help="of the JVM, for each query")
    parser.add_argument("--flink-backend", default="heap", choices=["heap", "rocksdb"])
    parser.add_argument("--json", metavar="FILE", help="write the results there")
    parser.add_argument("--compare-with", metavar="FILE", help="a file written by --json: print ratios to it")
    args, options = parser.parse_known_intermixed_args()
    known = queries()
    unknown = [name for name in args.queries if name not in known]
    if unknown:
        parser.error("there is no query %s" % ", ".join(unknown))
    args.events = args.events // 50 * 50
    args.queries = args.queries or list(known)
    return args, options


def main():
    args, options = parse()
    known = queries()
    report = {"benchmark": "nexmark", "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "commit": commit(),
              "machine": machine(), "settings": {"nexmark_events": args.events, "workers": args.workers, "warmup": args.warmup,
                                                 "repeat": args.repeat, "retained": args.retained, "seed": 7, "event_rate": 10000,
                                                 "server_options": options},
              "queries": {}}
    checked = {}
    if args.check:
        print("comparing with PostgreSQL at %d events" % args.check_events, file=sys.stderr, flush=True)
        checked = nexmark_check.check(args.binary, args.check_events // 50 * 50, ["--workers", str(args.workers), *options],
                                      args.queries, args.retained)
        report["settings"]["check_events"] = args.check_events // 50 * 50
    for name in args.queries:
        print("%s ..." % name, end="", file=sys.stderr, flush=True)
        result = median_run(args, options, known[name])
        print(" %.0f events/CPU-s" % result["events_per_cpu_s"], file=sys.stderr, flush=True)
        if name in checked:
            result["equal"] = checked[name][1] is None
        if name in NOTES:
            result["note"] = NOTES[name]
        report["queries"][name] = result
        save(args, report)
    if args.peer == "flink":
        report["flink"] = run_flink(args, args.queries)
    earlier = None
    if args.compare_with:
        with open(args.compare_with) as f:
            earlier = json.load(f)
    save(args, report)
    print_table(report, earlier)
    wrong = ["%s: %s" % (name, differs) for name, (_, differs) in checked.items() if differs]
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
