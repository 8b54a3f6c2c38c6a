#!/usr/bin/python3
"""check.py MILLRACE [--events N] [--queries q0,q1] [--backend heap|rocksdb] [--parallelism N] [--results DIR]

Are the rows that Flink's source makes those of Millrace's generator, and are Flink's results PostgreSQL's over these rows? Event time has
several windows and two days. --results takes what run.py wrote there instead of running Flink again (with the options that it prints)."""

import argparse
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "support"))
sys.path.insert(0, os.path.join(HERE, ".."))
import harness  # noqa: E402
import nexmark_check  # noqa: E402
from nexmark_queries import ARRIVAL, SCHEMA, queries  # noqa: E402

EVENT_RATE, START = 500, "2025-12-31 23:59:40"

# What Flink means otherwise, as PostgreSQL says it.
SESSIONS = ("SELECT bidder, count(*), min(date_time), max(date_time) + interval '10 seconds' FROM (SELECT *, count(*) FILTER"
            " (WHERE date_time > before + interval '10 seconds') OVER (PARTITION BY bidder ORDER BY date_time) AS session FROM"
            " (SELECT bidder, date_time, lag(date_time) OVER (PARTITION BY bidder ORDER BY date_time) AS before FROM"
            " (SELECT bidder, date_trunc('milliseconds', date_time) AS date_time FROM bid) b) b) b GROUP BY bidder, session")
REASONS = {
    "q4": ("avg(bigint) is a bigint", "SELECT category, trunc(price)::bigint FROM (%s) q"),
    "q11": ("event time is in milliseconds, and rows one gap apart are of one session", SESSIONS + "%.0s"),
    "q17": ("avg(bigint) is a bigint", "SELECT auction, day, total_bids, rank1_bids, rank2_bids, rank3_bids, min_price, max_price,"
            " trunc(avg_price)::bigint, sum_price FROM (%s) q"),
}
NOT_COMPARED = {"q12": "processing time"}


def lines(con, sql):
    data = bytearray()
    with con.cursor().copy("COPY (%s) TO STDOUT WITH (FORMAT csv)" % sql) as copy:
        for block in copy:
            data += block
    return sorted(bytes(data).split(b"\n")[:-1])


def flink_lines(results, name):
    path = os.path.join(results, name + ".csv")
    if not os.path.exists(path):
        return None
    with open(path, "rb") as f:
        return sorted(f.read().split(b"\n")[:-1])


def run_flink(args, names, results):
    command = [sys.executable, "-B", os.path.join(HERE, "run.py"), "--queries", ",".join([*SCHEMA, *names]), "--events", str(args.events),
               "--event-rate", str(EVENT_RATE), "--start", START, "--skip", "0", "--backend", args.backend, "--parallelism",
               str(args.parallelism), "--results", results]
    print(" ".join(command), flush=True)
    if subprocess.run(command).returncode != 0:
        sys.exit(1)


def compare(name, got, expected, note=""):
    if got == expected and expected:
        print("%-8s %7d rows, equal%s" % (name, len(expected), note), flush=True)
        return True
    wrong = sorted(set(got) ^ set(expected))
    print("%-8s DIFFERS: Flink has %d rows, expected %d%s" % (name, len(got), len(expected), note))
    for row in wrong[:6]:
        print("         %s %s" % ("only in Flink:" if row in set(got) else "only expected:", row.decode()), flush=True)
    return False


def check(args, names, results):
    equal = True
    with harness.postgres() as pg, harness.millrace(args.binary) as mill:
        ours, theirs = harness.connect_millrace(mill), harness.connect_postgres(pg)
        for name, columns in SCHEMA.items():
            columns += ARRIVAL if name == "bid" else ""  # as fill_postgres wants it
            nexmark_check.create_stream(ours, name, columns, True, events=args.events, event_rate=EVENT_RATE, start=START)
        nexmark_check.wait_for_rows(ours, args.events, SCHEMA)
        nexmark_check.fill_postgres(theirs, ours, args.events, "%s")
        for name, columns in SCHEMA.items():
            names_of = ", ".join(column.split()[0] for column in columns.split(","))
            equal &= compare(name, flink_lines(results, name), lines(ours, "SELECT %s FROM %s" % (names_of, name)))
        known = queries()
        for statement in dict.fromkeys(statement for query in known.values() for statement in query.tables):
            theirs.execute(statement)
        for name in names:
            if name in NOT_COMPARED:
                print("%-8s not compared: %s" % (name, NOT_COMPARED[name]))
                continue
            got = flink_lines(results, name)
            if got is None:
                print("%-8s Flink gives no result" % name)
                continue
            why, wrapped = REASONS.get(name, ("", "%s"))
            expected = lines(theirs, wrapped % (known[name].postgres if name in known else ""))
            equal &= compare(name, got, expected, " (%s)" % why if why else "")
        ours.close()
        theirs.close()
    return equal


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", metavar="MILLRACE")
    parser.add_argument("--events", type=int, default=100000)
    parser.add_argument("--queries", default=",".join("q%d" % n for n in range(23)))
    parser.add_argument("--backend", default="heap")
    parser.add_argument("--parallelism", type=int, default=1)
    parser.add_argument("--results", metavar="DIR")
    args = parser.parse_args()
    args.events = args.events // 50 * 50
    names = args.queries.split(",")
    with harness.temp_dir() as base:
        results = args.results or base
        if not args.results:
            run_flink(args, names, results)
        sys.exit(0 if check(args, names, results) else 1)


if __name__ == "__main__":
    main()
