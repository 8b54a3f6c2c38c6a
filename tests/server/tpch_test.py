"""tpch_test.py MILLRACE [--scale F] [SERVER OPTIONS]

TPC-H's 22 queries (tests/bench/tpch.py) as SELECTs and as views that were there before the data: both as PostgreSQL's answers, after loading
and again after deletions, updates and new rows."""

import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
import harness  # noqa: E402
import tpch  # noqa: E402

CHANGES = (
    "DELETE FROM lineitem WHERE l_orderkey % 7 = 3",
    "DELETE FROM orders WHERE o_orderkey % 7 = 3",
    "UPDATE lineitem SET l_quantity = l_quantity + 40, l_receiptdate = l_receiptdate + 20 WHERE l_orderkey % 11 = 2",
    "UPDATE orders SET o_orderstatus = 'F' WHERE o_orderkey % 5 = 1",
    "UPDATE supplier SET s_nationkey = 20 WHERE s_suppkey % 3 = 0",
    "UPDATE partsupp SET ps_supplycost = ps_supplycost / 2 WHERE ps_partkey % 4 = 1",
    "DELETE FROM customer WHERE c_custkey % 13 = 5",
)


def answer(con, sql):
    return sorted(repr([str(value) for value in row]) for row in con.execute(sql).fetchall())


def compare(when, ours, theirs):
    full = 0
    for number, sql in tpch.QUERIES.items():
        expected = answer(theirs, sql)
        for what, asked in (("view", "SELECT * FROM q%d" % number), ("SELECT", sql)):
            got = answer(ours, asked)
            if got != expected:
                sys.exit("%s: query %d, %s: %d rows, PostgreSQL has %d\n%s\n%s" % (
                    when, number, what, len(got), len(expected), got[:3], expected[:3]))
        full += len(expected) > 0
    print("%s: %d queries equal, %d with rows" % (when, len(tpch.QUERIES), full), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--scale", type=float, default=0.01)
    args, options = parser.parse_known_args()
    with harness.postgres() as pg, harness.millrace(args.binary, *options) as mill:
        theirs, ours = harness.connect_postgres(pg), harness.connect_millrace(mill)
        for name, columns in tpch.TABLES.items():
            theirs.execute("CREATE TABLE %s (%s)" % (name, columns))
            ours.execute("CREATE TABLE %s (%s)" % (name, columns))
        for statement in tpch.statements(args.scale):
            theirs.execute(statement)
        for index in tpch.FOREIGN_KEYS:
            theirs.execute("CREATE INDEX ON " + index)
        theirs.execute("ANALYZE")
        for number, sql in tpch.QUERIES.items():
            ours.execute("CREATE MATERIALIZED VIEW q%d AS %s" % (number, sql))
        for name in tpch.TABLES:
            with theirs.cursor().copy("COPY %s TO STDOUT" % name) as source, ours.cursor().copy("COPY %s FROM STDIN" % name) as to:
                for block in source:
                    to.write(block)
        compare("loaded", ours, theirs)
        for change in CHANGES:
            theirs.execute(change)
            ours.execute(change)
        compare("changed", ours, theirs)
        ours.close()
        theirs.close()


main()
