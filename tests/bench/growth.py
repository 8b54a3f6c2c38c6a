"""growth.py [--events N,N,...] [--views N,N,...] [--seconds S] [--json FILE]

Does work per event grow with history? One aggregate over more and more generated bids: events per CPU second of the server. Does it grow with
views that are not touched? One view that every INSERT changes among more and more over another table: CPU time per commit."""

import argparse
import time

import compare
import harness
from nexmark_queries import SCHEMA

QUERY = ("SELECT auction, date_time::date AS day, count(*) AS bids, count(*) FILTER (WHERE price < 10000) AS low, min(price) AS lowest,"
         " max(price) AS highest, avg(price) AS mean, sum(price) AS total FROM bid GROUP BY auction, date_time::date")


def history(report, events):
    events = events // 50 * 50
    with harness.millrace(compare.MILLRACE) as mill:
        con = harness.connect_millrace(mill)
        before = harness.cpu_seconds(mill.pid)
        start = time.monotonic()
        con.execute("CREATE STREAM bid (%s) WITH (connector = 'generator', events = '%d', seed = '7')" % (SCHEMA["bid"], events))
        con.execute("CREATE MATERIALIZED VIEW v AS " + QUERY)
        while con.execute("SELECT sum(bids) FROM v").fetchone()[0] != events // 50 * 46:
            time.sleep(0.2)
        wall, cpu = time.monotonic() - start, harness.cpu_seconds(mill.pid) - before
        bids = events // 50 * 46
        report.row("%d bids" % bids, "%.0f per s, %.0f per CPU second" % (bids / wall, bids / cpu), bids=bids, seconds=wall, cpu_s=cpu,
                   per_second=bids / wall, per_cpu_s=bids / cpu)
        con.close()


def untouched(report, counts, seconds):
    with harness.millrace(compare.MILLRACE) as mill:
        side = compare.millrace_side(mill)
        con = side.connect()
        con.execute("CREATE TABLE busy (k bigint, v bigint)")
        con.execute("CREATE TABLE quiet (k bigint, v bigint)")
        con.execute("INSERT INTO quiet SELECT i, i FROM generate_series(1, 1000) i")
        con.execute("CREATE MATERIALIZED VIEW touched AS SELECT k, count(*) AS rows, sum(v) AS total FROM busy GROUP BY k")
        made = 0
        for count in counts:
            while made < count - 1:
                con.execute("CREATE MATERIALIZED VIEW quiet_%d AS SELECT k %% %d AS k, sum(v) AS total FROM quiet GROUP BY 1" % (made, made + 2))
                made += 1
            result = side.client("run", "prepared", 1, seconds, "INSERT INTO busy VALUES (1, 2)", "-")
            per_commit = result["server_cpu_s"] / result["statements"] * 1e6
            report.row("%d view%s, one touched" % (count, "" if count == 1 else "s"), "%.1f us of CPU time per commit" % per_commit,
                       views=count, cpu_us_per_commit=per_commit, commits=result["statements"])
        con.close()


def numbers(text):
    return [int(number) for number in text.split(",")]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=numbers, default=[1000000, 10000000])
    parser.add_argument("--views", type=numbers, default=[1, 10, 100, 1000])
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--json")
    args = parser.parse_args()
    report = compare.Report("growth", args.json, {"query": QUERY})
    for events in args.events:
        history(report, events)
    untouched(report, args.views, args.seconds)


main()
