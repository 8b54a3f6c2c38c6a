"""read.py [--keys N] [--seconds S] [--rounds N] [--scale F] [--json FILE] [--only PART]

Reading, against PostgreSQL in the same run: SELECT 1, a prepared SELECT of one row by key (here of a materialized view, there of a table
with a primary key) from 1 and 16 clients, and the queries of TPC-H (tpch.py) as ad-hoc SELECTs, with the same answers."""

import argparse
import os
import time

import compare
import harness
import tpch


def fill_keys(side, keys):
    con = side.connect()
    select = ("SELECT k, count(*) AS rows, sum(v) AS total FROM (SELECT i % {0} AS k, i AS v FROM"
              " generate_series(0::bigint, {0} * 2 - 1) i) s GROUP BY k").format(keys)
    if side.name == "postgres":
        con.execute("CREATE TABLE by_key (k bigint PRIMARY KEY, rows bigint, total numeric)")
        con.execute("INSERT INTO by_key " + select)
        con.execute("VACUUM ANALYZE by_key")
    else:
        con.execute("CREATE TABLE events (k bigint, v bigint)")
        con.execute("INSERT INTO events SELECT i %% %d, i FROM generate_series(0::bigint, %d) i" % (keys, keys * 2 - 1))
        con.execute("CREATE MATERIALIZED VIEW by_key AS SELECT k, count(*) AS rows, sum(v) AS total FROM events GROUP BY k")
        con.execute("CREATE INDEX ON by_key (k)")
    con.close()


def load_tpch(ours, theirs, scale):
    source, target = theirs.connect(), ours.connect()
    for name, columns in tpch.TABLES.items():
        source.execute("CREATE TABLE %s (%s)" % (name, columns))
        target.execute("CREATE TABLE %s (%s)" % (name, columns))
    for statement in tpch.statements(scale):
        source.execute(statement)
    for index in tpch.FOREIGN_KEYS:  # without them two of the queries take minutes there
        source.execute("CREATE INDEX ON " + index)
    source.execute("VACUUM ANALYZE")
    for name in tpch.TABLES:
        with source.cursor().copy("COPY %s TO STDOUT" % name) as rows, target.cursor().copy("COPY %s FROM STDIN" % name) as to:
            for block in rows:
                to.write(block)
    return target, source


def answer(con, sql):
    start = time.monotonic()
    rows = con.execute(sql).fetchall()
    return time.monotonic() - start, sorted(repr([str(value) for value in row]) for row in rows)


def run_tpch(report, ours, theirs, args):
    our_con, their_con = load_tpch(ours, theirs, args.scale)
    our_con.execute("SET statement_timeout = '120s'")
    their_con.execute("SET max_parallel_workers_per_gather = 0")  # one worker each
    ratios, wrong = [], []
    for number, sql in tpch.QUERIES.items():
        what = "TPC-H %d" % number
        if args.only not in what:
            continue
        theirs_s, expected = answer(their_con, sql)
        try:
            ours_s, rows = answer(our_con, sql)
        except Exception as problem:  # noqa: BLE001: shown, and the run fails at its end
            report.row(what, "failed: %s" % str(problem).split("\n")[0], error=str(problem))
            wrong.append(what)
            continue
        for _ in range(args.rounds - 1):
            theirs_s = min(theirs_s, answer(their_con, sql)[0])
            ours_s = min(ours_s, answer(our_con, sql)[0])
        equal = rows == expected
        if not equal:
            wrong.append(what)
        ratios.append(theirs_s / ours_s)
        report.row(what, "millrace %7.1f ms  postgres %7.1f ms  ratio %5.2f  %d rows%s" % (
            ours_s * 1e3, theirs_s * 1e3, theirs_s / ours_s, len(rows), "" if equal else "  DIFFERENT"),
            millrace_s=ours_s, postgres_s=theirs_s, ratio=theirs_s / ours_s, rows=len(rows), equal=equal)
    our_con.close()
    their_con.close()
    if wrong:
        raise SystemExit("not as PostgreSQL: " + ", ".join(wrong))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--keys", type=int, default=100000)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--json")
    parser.add_argument("--only", default="", help="part of the rows' names")
    args = parser.parse_args()
    with harness.temp_dir() as base, harness.postgres(*compare.POSTGRES_SETTINGS) as pg, \
            harness.millrace(compare.MILLRACE) as mill:
        theirs, ours = compare.postgres_side(pg), compare.millrace_side(mill)
        report = compare.Report("read", args.json, {"keys": args.keys, "scale": args.scale, "rounds": args.rounds})
        if not args.only.startswith("TPC-H"):
            for side in (ours, theirs):
                fill_keys(side, args.keys)
            keys = os.path.join(base, "keys")
            with open(keys, "w") as f:
                for number in range(100000):
                    f.write("%d\n" % (number * 7919 % args.keys))

        def closed(what, *arguments):
            if args.only in what:
                compare.rates(report, what, "statements", *compare.alternate(
                    args.rounds, lambda: compare.closed_loop(ours, args.seconds, *arguments),
                    lambda: compare.closed_loop(theirs, args.seconds, *arguments)))

        by_key = "SELECT rows, total FROM by_key WHERE k = $1"
        closed("SELECT 1, simple", "run", "simple", 1, args.seconds, "SELECT 1", "-")
        closed("SELECT 1, prepared", "run", "prepared", 1, args.seconds, "SELECT 1", "-")
        for clients in (1, 16):
            closed("SELECT by key, prepared, %d client%s" % (clients, "" if clients == 1 else "s"),
                   "run", "prepared", clients, args.seconds, by_key, keys if not args.only.startswith("TPC-H") else "-")
        if "TPC-H".startswith(args.only[:5]):
            run_tpch(report, ours, theirs, args)


main()
