"""latency.py [--seconds S] [--json FILE]

How long after a row was meant to be sent it is acknowledged, seen by a SELECT and seen in a change stream, at half of the highest rate at which
rows can be sent (open loop: a server that falls behind does not slow the sender down); and how long an idle server takes."""

import argparse
import os
import time

import compare
import harness

INSERT = "INSERT INTO events (seq, key, value) VALUES ($1, $1 % 1000, $1 % 997)"
SETUP = (
    "CREATE STREAM events (seq bigint, key bigint, value bigint)",
    "CREATE MATERIALIZED VIEW by_key AS SELECT key, count(*) AS rows, sum(value) AS total FROM events GROUP BY key",
    "CREATE MATERIALIZED VIEW latest AS SELECT max(seq) AS seq FROM events",
    "CREATE MATERIALIZED VIEW odd AS SELECT seq FROM events WHERE value % 2 = 1",
    "CREATE MATERIALIZED VIEW passed AS SELECT seq FROM events",
)


def setup(side):
    con = side.connect()
    for name in ("passed", "odd", "latest", "by_key"):
        con.execute("DROP MATERIALIZED VIEW IF EXISTS %s" % name)
    con.execute("DROP TABLE IF EXISTS events")
    for statement in SETUP:
        con.execute(statement)
    con.close()


def fsync_us(directory, times=200):
    """p50 and p99 of writing 4 KB and fdatasync."""
    taken = []
    path = os.path.join(directory, "probe")
    with open(path, "wb", buffering=0) as f:
        for _ in range(times):
            f.write(b"x" * 4096)
            start = time.monotonic()
            os.fdatasync(f.fileno())
            taken.append((time.monotonic() - start) * 1e6)
            time.sleep(0.002)
    taken.sort()
    return taken[len(taken) // 2], taken[len(taken) * 99 // 100]


def show(times):
    return "p50 %8.2f ms  p99 %8.2f ms  p99.9 %8.2f ms" % tuple(times[name] / 1e3 for name in ("p50_us", "p99_us", "p999_us"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--count", type=int, default=500, help="rows for the idle server")
    parser.add_argument("--json")
    args = parser.parse_args()
    with harness.temp_dir() as base, harness.millrace(compare.MILLRACE) as mill:
        side = compare.millrace_side(mill)
        report = compare.Report("latency", args.json, {"seconds": args.seconds, "views": 4})
        p50, p99 = fsync_us(base)
        report.row("fdatasync of 4 KB here", "p50 %8.2f ms  p99 %8.2f ms" % (p50 / 1e3, p99 / 1e3), p50_us=p50, p99_us=p99)

        setup(side)
        idle = side.client("visible", args.count, INSERT, "SELECT seq FROM latest WHERE seq >= $1")
        for name, what in (("acknowledged", "idle: sent to acknowledged"), ("acknowledged_to_visible", "idle: acknowledged to visible"),
                           ("sent_to_visible", "idle: sent to visible")):
            report.row(what, show(idle[name]), **idle[name])

        setup(side)
        numbers = os.path.join(base, "numbers")
        with open(numbers, "w") as f:
            f.write("".join("%d\n" % number for number in range(100000)))
        most = side.client("pipeline", 100, 3, INSERT, numbers)["per_second"]
        report.row("highest rate", "%.0f rows/s" % most, per_second=most)

        setup(side)
        result = side.client("open", most / 2, args.seconds, INSERT, "COPY (SUBSCRIBE passed) TO STDOUT", "SELECT seq FROM latest")
        for name in ("acknowledged", "select", "stream"):
            report.row("at half of it: due to %s" % {"select": "visible in SELECT", "stream": "seen in SUBSCRIBE"}.get(name, name),
                       show(result[name]), rate=most / 2, **result[name])


main()
