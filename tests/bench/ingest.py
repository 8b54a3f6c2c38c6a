"""ingest.py [--rows N] [--rounds N] [--seconds S] [--json FILE]

Writing, against PostgreSQL in the same run, both durable: COPY of Nexmark bids, INSERT of one row per commit from 1 and 16 clients,
pipelined INSERT."""

import argparse
import os
import time

import compare
import harness
from nexmark_queries import SCHEMA

VIEWS = {
    "by_auction": "SELECT auction, count(*) AS bids, sum(price) AS total FROM {bid} GROUP BY auction",
    "highest": "SELECT window_start, max(price) AS price FROM tumble({bid}, date_time, INTERVAL '10 seconds') GROUP BY window_start",
    "one_in_123": "SELECT auction, price FROM {bid} WHERE auction % 123 = 0",
}
INSERT = "INSERT INTO bid VALUES ($1, $2, $3, $4, $5, $6, $7)"


def make_bids(path, rows):
    """Bids of the server's own generator, in COPY's text format."""
    with harness.millrace(compare.MILLRACE) as mill:
        con = harness.connect_millrace(mill)
        made = (rows // 46 + 1) * 46
        con.execute("CREATE STREAM bid (%s) WITH (connector = 'generator', events = '%d', seed = '7')" % (SCHEMA["bid"], made // 46 * 50))
        while con.execute("SELECT count(*) FROM bid").fetchone()[0] < made:
            time.sleep(0.05)
        with open(path, "wb") as f, con.cursor().copy("COPY (SELECT * FROM bid LIMIT %d) TO STDOUT" % rows) as copy:
            for block in copy:
                f.write(block)
        con.close()


def copy_once(side, kind, views, path, rows):
    con = side.connect()
    con.execute("CREATE %s copied (%s)" % (kind, SCHEMA["bid"]))
    for name in views:
        con.execute("CREATE MATERIALIZED VIEW %s AS %s" % (name, VIEWS[name].format(bid="copied")))
    result = side.client("copy", "COPY copied FROM STDIN", path)
    assert result["rows"] == rows
    if views:
        assert con.execute("SELECT sum(bids) FROM by_auction").fetchone()[0] == rows
    for name in views:
        con.execute("DROP MATERIALIZED VIEW %s" % name)
    con.execute("DROP TABLE copied")
    if side.name == "postgres":
        con.execute("CHECKPOINT")
    con.close()
    return rows / result["seconds"], rows / result["server_cpu_s"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1000000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--json")
    parser.add_argument("--only", default="", help="part of the rows' names")
    args = parser.parse_args()
    with harness.temp_dir() as base, harness.postgres(*compare.POSTGRES_SETTINGS) as pg, \
            harness.millrace(compare.MILLRACE) as mill:
        bids = os.path.join(base, "bids")
        make_bids(bids, args.rows)
        theirs, ours = compare.postgres_side(pg), compare.millrace_side(mill)
        report = compare.Report("ingest", args.json, {
            "rows": args.rows, "bytes": os.path.getsize(bids), "rounds": args.rounds, "postgres": " ".join(compare.POSTGRES_SETTINGS)})

        def wanted(what):
            return args.only in what

        for what, kind, views in (("COPY, no view, table", "TABLE", ()), ("COPY, no view, stream", "STREAM", ()),
                                  ("COPY, three views, table", "TABLE", VIEWS), ("COPY, three views, stream", "STREAM", VIEWS)):
            if wanted(what):
                compare.rates(report, what, "rows", *compare.alternate(
                    args.rounds, lambda: copy_once(ours, kind, views, bids, args.rows),
                    lambda: copy_once(theirs, "TABLE", (), bids, args.rows)))
        few = os.path.join(base, "few")
        with open(bids, "rb") as source, open(few, "wb") as f:
            for _ in range(min(args.rows, 100000)):
                f.write(source.readline())
        for side in (ours, theirs):
            con = side.connect()
            con.execute("CREATE TABLE bid (%s)" % SCHEMA["bid"])
            con.close()

        def inserts(what, *arguments):
            if wanted(what):
                compare.rates(report, what, "rows", *compare.alternate(
                    args.rounds, lambda: compare.closed_loop(ours, args.seconds, *arguments),
                    lambda: compare.closed_loop(theirs, args.seconds, *arguments)))

        inserts("INSERT, 1 client", "run", "prepared", 1, args.seconds, INSERT, few)
        inserts("INSERT, 16 clients", "run", "prepared", 16, args.seconds, INSERT, few)
        inserts("INSERT, pipelined, commit each", "pipeline", 1, args.seconds, INSERT, few)
        inserts("INSERT, pipelined, commit per 100", "pipeline", 100, args.seconds, INSERT, few)


main()
