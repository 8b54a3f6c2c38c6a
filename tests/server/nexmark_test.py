"""nexmark_test.py MILLRACE [--events N] [--compare N] [SERVER OPTIONS]

The generator feeds person, auction and bid; q0 to q5, q7 and q8 run as views. With --compare N events each view is compared with
PostgreSQL's answer on the very rows the generator made; with --events N only the time is reported."""

import argparse
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
from nexmark_queries import SCHEMA, queries  # noqa: E402

ROWS = {"person": 1, "auction": 3, "bid": 46}


def create(con, events):
    for name, columns in SCHEMA.items():
        con.execute("CREATE STREAM %s (%s) WITH (connector = 'generator', events = '%d', seed = '7')" % (name, columns, events))


def wait_for(con, events):
    while True:
        counts = {n: con.execute("SELECT count(*) FROM %s" % n).fetchone()[0] for n in SCHEMA}
        if all(counts[n] == events // 50 * ROWS[n] for n in SCHEMA):
            return
        time.sleep(0.05)


def lines(con, sql):
    data = bytearray()
    with con.cursor().copy("COPY (%s) TO STDOUT" % sql) as copy:
        for block in copy:
            data += block
    return sorted(bytes(data).split(b"\n")[:-1])


def compare(binary, events, options):
    with harness.postgres() as pg, harness.millrace(binary, *options) as mill:
        ours, theirs = harness.connect_millrace(mill), harness.connect_postgres(pg)
        made = queries()
        create(ours, events)
        for i, (name, (sql, _)) in enumerate(made.items()):  # some while rows stream in, some after the last
            if i == len(made) // 2:
                wait_for(ours, events)
            ours.execute("CREATE MATERIALIZED VIEW %s AS %s" % (name, sql))
        wait_for(ours, events)
        for name, columns in SCHEMA.items():
            theirs.execute("CREATE TABLE %s (%s)" % (name, columns))
            with theirs.cursor().copy("COPY %s FROM STDIN" % name) as to, ours.cursor().copy("COPY %s TO STDOUT" % name) as source:
                for block in source:
                    to.write(block)
        for name, (sql, plain) in made.items():
            expected = lines(theirs, plain)
            for what, got in (("view", lines(ours, "SELECT * FROM %s" % name)), ("SELECT", lines(ours, sql))):
                if got != expected or not expected:
                    sys.exit("%s: %s differs from PostgreSQL: %d rows, expected %d\n%s\n%s" % (
                        name, what, len(got), len(expected), got[:5], expected[:5]))
            print("%s: %d rows, equal" % (name, len(expected)), flush=True)
        ours.close()
        theirs.close()


def run(binary, events, options):
    with harness.millrace(binary, *options) as mill:
        con = harness.connect_millrace(mill)
        start = time.monotonic()
        create(con, events)
        for name, (sql, _) in queries().items():
            con.execute("CREATE MATERIALIZED VIEW %s AS %s" % (name, sql))
        wait_for(con, events)
        took = time.monotonic() - start
        rows = {n: con.execute("SELECT count(*) FROM %s" % n).fetchone()[0] for n in queries()}
        print("%d events into %d views in %.1f s: %.0f events/s; rows %s" % (events, len(rows), took, events / took, rows))
        con.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--events", type=int, default=0)
    parser.add_argument("--compare", type=int, default=0)
    args, options = parser.parse_known_args()
    if args.compare:
        compare(args.binary, args.compare // (4 if harness.SMALL else 1) // 50 * 50, options)
    if args.events:
        run(args.binary, args.events // 50 * 50, options)


main()
