"""interval_join_test.py MILLRACE: the change stream of an interval LEFT JOIN between streams: a row without a match comes once, when no match can come any
more; nothing is ever taken back, and no key that finds its match later was shown without one before."""

import argparse
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

VIEW = ("CREATE MATERIALIZED VIEW met AS SELECT s.id, n.at FROM sent s LEFT JOIN seen n ON n.id = s.id"
        " AND n.at BETWEEN s.ts AND s.ts + INTERVAL '10 seconds' EMIT FINAL")


def stamp(seconds):
    return "timestamp '2026-01-01' + interval '%d seconds'" % seconds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    args, options = parser.parse_known_args()
    rng = random.Random(3)
    with harness.millrace(args.binary, *options) as server:
        con, reader = harness.connect_millrace(server), harness.connect_millrace(server)
        for name, column in (("sent", "ts"), ("seen", "at")):
            con.execute("CREATE STREAM %s (id int, %s timestamp, WATERMARK FOR %s AS %s - INTERVAL '2 seconds')" % (name, column, column, column))
        con.execute(VIEW)
        reader.execute("SET fetch_timeout = 60000")
        reader.execute("DECLARE c CURSOR WITH HOLD FOR SUBSCRIBE met")
        sent, matched = {}, set()
        for step in range(200):
            con.execute("INSERT INTO sent VALUES (%d, %s)" % (step, stamp(step)))
            sent[step] = step
            late_by = rng.randrange(9)
            match = step - late_by
            if match >= 0 and match % 3 != 0 and match not in matched:
                con.execute("INSERT INTO seen VALUES (%d, %s)" % (match, stamp(step)))
                matched.add(match)
            else:
                con.execute("INSERT INTO seen VALUES (-1, %s)" % stamp(step))
        for name in ("sent", "seen"):  # everything is complete
            con.execute("INSERT INTO %s VALUES (-2, %s)" % (name, stamp(10000)))
        changes = []
        while len(changes) < len(sent):
            changes += reader.execute("FETCH 1 FROM c").fetchall()
        weights = [row[1] for row in changes]
        assert all(weight == 1 for weight in weights), "something was taken back: %s" % [row for row in changes if row[1] != 1]
        shown = {}
        for row in changes:
            shown.setdefault(row[2], []).append(row[3])
        for key, values in shown.items():
            assert len(values) == 1, "key %s was shown as %s" % (key, values)
            assert (values[0] is None) == (key not in matched), "key %s was shown as %s" % (key, values)
        unmatched = [row for row in changes if row[3] is None]
        assert len(unmatched) == len(sent) - len(matched) and len(matched) > 30
        print("interval join: %d rows, %d with a match, nothing taken back" % (len(sent), len(matched)))


main()
