"""stress_test.py MILLRACE [--seconds N] [SERVER OPTIONS]: many sessions at once do everything: DDL, DML, SELECTs over views, change streams, cancels,
dropped connections. Only errors that such company explains may appear; at the end every view equals its query."""

import argparse
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import psycopg  # noqa: E402

# undefined or duplicate objects, conflicts, dependants, cancels, a change stream whose view is dropped, limits
EXPECTED = {"42P01", "42P07", "40001", "23505", "2BP01", "57014", "55006", "53400", "0A000", "42710", "42704", "55000"}
KEPT = {
    "kept_groups": "SELECT g, count(*) AS n, sum(v) AS s FROM base GROUP BY g",
    "kept_join": "SELECT a.g, count(*) AS n FROM base a JOIN side b ON a.g = b.id GROUP BY a.g",
    "kept_top": "SELECT id, v FROM base ORDER BY v DESC, id LIMIT 5",
    "kept_outer": "SELECT b.id, s.n FROM side b LEFT JOIN kept_groups s ON b.id = s.g",
}


class Session(threading.Thread):
    def __init__(self, server, seed, until, errors):
        super().__init__()
        self.server, self.until, self.errors = server, until, errors
        self.rng = random.Random(seed)
        self.count = 0

    def statement(self):
        r = self.rng
        n = r.randrange(4)
        pick = r.random()
        if pick < 0.3:
            return "INSERT INTO base SELECT i, i %% 10, i %% 13 FROM generate_series(%d, %d) i ON CONFLICT DO NOTHING" % (
                n * 100, n * 100 + r.randrange(200))
        if pick < 0.45:
            return "UPDATE base SET v = v + 1, g = %d WHERE id %% 7 = %d" % (r.randrange(10), r.randrange(7))
        if pick < 0.52:
            return "DELETE FROM base WHERE id %% 11 = %d" % r.randrange(11)
        if pick < 0.57:
            return "UPDATE side SET name = 'n%d' WHERE id = %d" % (r.randrange(99), r.randrange(10))
        if pick < 0.63:
            return "CREATE MATERIALIZED VIEW tmp%d AS SELECT g, max(v) AS m FROM base JOIN side ON g = side.id GROUP BY g" % n
        if pick < 0.68:
            return "CREATE MATERIALIZED VIEW top%d AS SELECT t.g, t.m FROM tmp%d t ORDER BY m DESC, g LIMIT 3" % (n, n)
        if pick < 0.74:
            return "DROP MATERIALIZED VIEW IF EXISTS tmp%d CASCADE" % n
        if pick < 0.76:
            return "CREATE INDEX ix%d ON base (v)" % n
        if pick < 0.78:
            return "DROP INDEX IF EXISTS ix%d" % n
        return r.choice(["SELECT * FROM kept_outer", "SELECT * FROM tmp%d" % n, "SELECT count(*) FROM base a JOIN base b USING (g)",
                         "SELECT (SELECT sum(n) FROM kept_groups), (SELECT count(*) FROM base)",
                         "SELECT * FROM base WHERE id = %d" % r.randrange(400), "SELECT * FROM millrace.relations",
                         "SELECT * FROM millrace.operators", "SELECT relname FROM pg_class WHERE relkind = 'm'"])

    def one(self, con):
        r = self.rng
        pick = r.random()
        if pick < 0.05:
            with con.cursor().copy("COPY (SUBSCRIBE %s) TO STDOUT" % r.choice(["kept_groups", "tmp1", "base"])) as copy:
                timer = threading.Timer(r.uniform(0.01, 0.2), con.cancel)
                timer.start()
                for _ in copy:
                    pass
        elif pick < 0.1:
            con.execute("BEGIN")
            for _ in range(3):
                con.execute(self.rng.choice(["INSERT INTO base VALUES (%d, 1, 1)" % r.randrange(1000, 1100),
                                             "UPDATE base SET v = 0 WHERE id = %d" % r.randrange(400),
                                             "SELECT * FROM kept_groups"]))
            con.execute(r.choice(["COMMIT", "ROLLBACK"]))
        else:
            cursor = con.execute(self.statement())
            if cursor.description:
                rows = cursor.fetchall()
                if len(rows) == 1 and len(rows[0]) == 2 and cursor.description[0].name == "sum":
                    assert (rows[0][0] or 0) == rows[0][1], "sum of groups %s, rows %s" % rows[0]
        self.count += 1

    def run(self):
        con = None
        try:
            while time.monotonic() < self.until:
                if con is None or con.closed:
                    con = harness.connect_millrace(self.server)
                try:
                    self.one(con)
                except psycopg.Error as e:
                    if e.sqlstate not in EXPECTED:
                        raise
                    if con.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                        con.execute("ROLLBACK")
                if self.rng.random() < 0.01:
                    con.close()
        except BaseException as e:  # noqa: B902
            self.errors.append("%s: %s %s" % (type(e).__name__, getattr(e, "sqlstate", ""), e))
        finally:
            if con is not None:
                con.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--seed", type=int, default=1)
    args, options = parser.parse_known_args()
    with harness.millrace(args.binary, *(options or ["--workers", "2"])) as server, harness.connect_millrace(server) as con:
        con.execute("CREATE TABLE base (id int PRIMARY KEY, g int, v int)")
        con.execute("CREATE TABLE side (id int PRIMARY KEY, name text)")
        con.execute("INSERT INTO side SELECT i, 'side ' || i FROM generate_series(0, 9) i")
        for name, sql in KEPT.items():
            con.execute("CREATE MATERIALIZED VIEW %s AS %s" % (name, sql))
        errors = []
        sessions = [Session(server, args.seed * 100 + i, time.monotonic() + args.seconds, errors) for i in range(8)]
        for session in sessions:
            session.start()
        for session in sessions:
            session.join(args.seconds + 60)
            assert not session.is_alive(), "a session hangs"
        assert not errors, "\n".join(errors)
        for name, sql in KEPT.items():
            view = sorted(con.execute("SELECT * FROM " + name).fetchall(), key=str)
            assert view == sorted(con.execute(sql).fetchall(), key=str), name
        print("%d statements from 8 sessions" % sum(s.count for s in sessions))


main()
