"""kill_test.py MILLRACE [--rounds N] [--seed S]: kill -9 at random points of a load of INSERT, COPY, UPDATE, DELETE, DDL and checkpoints. After each restart
every acknowledged commit is there exactly once, every view equals its query over what is there, every object is there whole or not at all, and
what was acknowledged of CREATE, ALTER and DROP holds."""

import argparse
import os
import random
import re
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import psycopg  # noqa: E402

VIEWS = {
    "per_writer": "SELECT writer, count(*) AS n, sum(v) AS s FROM log GROUP BY writer",
    "pairs": "SELECT a.writer, count(*) AS n FROM log a JOIN kept k ON a.writer = k.id GROUP BY a.writer",
    "newest": "SELECT writer, max(n) AS n FROM log GROUP BY writer",
    "counts": "SELECT writer, v, count(*) AS n FROM log GROUP BY writer, v",
    "distinct_values": "SELECT count(DISTINCT n) AS n, count(*) AS all_rows FROM log",
    "unpaid": "SELECT k.id, k.count, o.amount FROM kept k LEFT JOIN owed o ON o.id = k.id",
    "total": "SELECT sum(count) AS s FROM kept",
    "last_rows": "SELECT DISTINCT ON (writer) writer, n, v FROM log ORDER BY writer, n DESC",
}
WRITERS = 3


class Writer(threading.Thread):
    def __init__(self, server, number, start):
        super().__init__()
        self.server, self.number = server, number
        self.known = self.sent = self.acknowledged = start
        self.commits = 0

    def run(self):
        rng = random.Random(self.number * 1000 + self.sent)
        try:
            con = harness.connect_millrace(self.server)
            while True:
                how = rng.random()
                rows = rng.choice([1, 1, 3, 200])
                values = [(self.number, self.sent + i, i % 7) for i in range(rows)]
                self.sent += rows
                if how < 0.3:
                    with con.cursor().copy("COPY log FROM STDIN") as copy:
                        copy.write("".join("%d\t%d\t%d\n" % v for v in values))
                elif how < 0.5:  # the count of a writer and its rows are one transaction
                    con.execute("BEGIN")
                    con.execute("INSERT INTO log VALUES " + ",".join("(%d,%d,%d)" % v for v in values))
                    con.execute("UPDATE kept SET count = count + %d WHERE id = %d" % (rows, self.number))
                    con.execute("INSERT INTO owed VALUES (%d, %d) ON CONFLICT (id) DO UPDATE SET amount = owed.amount + %d" % (self.number, rows, rows))
                    con.execute("COMMIT")
                else:
                    con.execute("INSERT INTO log VALUES " + ",".join("(%d,%d,%d)" % v for v in values))
                self.acknowledged = self.sent
                self.commits += 1
                if how > 0.98:
                    con.execute("DELETE FROM owed WHERE id = %d" % self.number)
                    con.execute("UPDATE kept SET count = 0 WHERE id = %d" % self.number)
        except psycopg.Error:
            pass


class Definer(threading.Thread):
    """Makes, changes and drops objects. `there`: name to columns of what was acknowledged; `doubtful`: names in the statement that was not."""

    def __init__(self, server, there, seed):
        super().__init__()
        self.server, self.there, self.seed = server, there, seed
        self.doubtful = None

    def statement(self, rng):
        name = rng.choice(["table", "view", "index", "plain"])
        full = "x_%s_%d" % (name, rng.randrange(3))
        if full in self.there:
            if name == "table" and rng.random() < 0.5:
                return full, "ALTER TABLE %s ADD COLUMN c%d int DEFAULT 7" % (full, self.there[full]), self.there[full] + 1
            word = {"table": "TABLE", "view": "MATERIALIZED VIEW", "index": "INDEX", "plain": "VIEW"}[name]
            return full, "DROP %s %s" % (word, full), None
        make = {
            "table": "CREATE TABLE %s (c0 int PRIMARY KEY)" % full,
            "view": "CREATE MATERIALIZED VIEW %s AS SELECT writer, n %% 10 AS digit, count(*) AS n FROM log GROUP BY 1, 2" % full,
            "index": "CREATE INDEX %s ON kept (count)" % full,
            "plain": "CREATE VIEW %s AS SELECT id FROM kept WHERE count > 3" % full,
        }
        return full, make[name], 1

    def run(self):
        rng = random.Random(self.seed)
        try:
            con = harness.connect_millrace(self.server)
            while True:
                name, sql, after = self.statement(rng)
                self.doubtful = (name, self.there.get(name), after)
                con.execute(sql)
                if after is None:
                    del self.there[name]
                else:
                    self.there[name] = after
                self.doubtful = None
        except psycopg.OperationalError:
            pass
        except psycopg.Error as e:
            if e.sqlstate is not None:
                self.error = e
                raise


class Saver(threading.Thread):
    def __init__(self, server):
        super().__init__()
        self.server, self.made = server, 0

    def run(self):
        try:
            con = harness.connect_millrace(self.server)
            while True:
                con.execute("CHECKPOINT")
                self.made += 1
        except psycopg.Error:
            pass


def objects(con):
    found = {}
    for name, columns in con.execute(
            "SELECT c.relname, (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0) FROM pg_class c"
            " WHERE c.relname LIKE 'x\\_%' AND c.relname NOT LIKE '%pkey'").fetchall():
        found[name] = columns if name.startswith("x_table") else 1
    return found


def verify_objects(con, definer):
    found, expected = objects(con), dict(definer.there)
    if definer.doubtful is not None:
        name, before, after = definer.doubtful
        assert found.get(name) in (before, after), (name, before, after, found.get(name))
        expected.pop(name, None)
        if name in found:
            expected[name] = found[name]
    assert found == expected, (found, expected, definer.doubtful)
    for name in found:
        if name.startswith("x_view"):
            view = sorted(con.execute("SELECT * FROM " + name).fetchall())
            assert view == sorted(con.execute("SELECT writer, n % 10, count(*) FROM log GROUP BY 1, 2").fetchall()), name
        elif not name.startswith("x_index"):
            con.execute("SELECT * FROM " + name)
    return found


def verify(con, writers):
    """What was looked at one by one after an earlier kill is counted."""
    for writer in writers:
        first = max(writer.known - 1000, 0)
        got = [r[0] for r in con.execute("SELECT n FROM log WHERE writer = %d AND n >= %d ORDER BY n" % (writer.number, first)).fetchall()]
        count = first + len(got)
        assert got == list(range(first, count)), "writer %d: gaps or duplicates" % writer.number
        before = con.execute("SELECT count(*), count(DISTINCT n), coalesce(min(n), 0), coalesce(max(n), -1) + 1 FROM log WHERE writer = %d AND n < %d" %
                             (writer.number, first)).fetchone()
        assert before == (first, first, 0, first), "writer %d: gaps or duplicates: %s" % (writer.number, before)
        assert writer.acknowledged <= count <= writer.sent, (writer.number, writer.acknowledged, count, writer.sent)
        writer.sent = count
    for name, sql in VIEWS.items():
        view = sorted(con.execute("SELECT * FROM " + name).fetchall(), key=repr)
        fresh = sorted(con.execute(sql).fetchall(), key=repr)
        assert view == fresh, "%s: %s %s" % (name, view, fresh)


def run_series(binary, options, rng, rounds, so_far):
    """So many kills of servers on one data directory."""
    with harness.temp_dir() as base:
        data = os.path.join(base, "data")
        server = harness.start_millrace(binary, data, *options)
        con = harness.connect_millrace(server)
        con.execute("CREATE TABLE log (writer int, n int, v int)")
        con.execute("CREATE TABLE kept (id int PRIMARY KEY, count bigint)")
        con.execute("CREATE TABLE owed (id int PRIMARY KEY, amount bigint)")
        con.execute("INSERT INTO kept VALUES " + ", ".join("(%d, 0)" % n for n in range(WRITERS)))
        for name, sql in VIEWS.items():
            con.execute("CREATE MATERIALIZED VIEW %s AS %s" % (name, sql))
        con.close()
        sent, there, rows = [0] * WRITERS, {}, 0
        try:
            for round_number in range(rounds):
                writers = [Writer(server, n, sent[n]) for n in range(WRITERS)]
                definer, saver = Definer(server, there, rng.random()), Saver(server)
                threads = writers + [definer] + ([saver] if round_number % 3 != 2 else [])
                for thread in threads:
                    thread.start()
                time.sleep(rng.uniform(0.05, 1.5))
                server.process.send_signal(signal.SIGKILL)
                server.process.wait()
                for thread in threads:
                    thread.join()
                assert not hasattr(definer, "error"), definer.error
                server = harness.start_millrace(binary, data, *options)
                con = harness.connect_millrace(server)
                verify(con, writers)
                there = verify_objects(con, definer)
                sent = [w.sent for w in writers]
                con.close()
                so_far["kills"] += 1
                so_far["commits acknowledged"] += sum(w.commits for w in writers)
                so_far["checkpoints"] += saver.made
                so_far["rows"] += sum(sent) - rows
                rows = sum(sent)
                if so_far["kills"] % 10 == 0:
                    print(", ".join("%d %s" % (count, what) for what, count in so_far.items()), flush=True)
        except BaseException:
            sys.stderr.write(server.log_text()[-4000:])
            raise
        assert server.stop() == 0
        return max([int(n) for n in re.findall(r"recovered \d+ objects and (\d+) ticks", server.log_text())])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=5 if harness.SMALL else 20)
    parser.add_argument("--series", type=int, default=100, help="kills before another data directory is begun")
    parser.add_argument("--seed", type=int, default=7)
    args, options = parser.parse_known_args()
    rng = random.Random(args.seed)
    so_far, ticks = {"kills": 0, "commits acknowledged": 0, "rows": 0, "checkpoints": 0}, 0
    while so_far["kills"] < args.rounds:
        ticks = max(ticks, run_series(args.binary, options, rng, min(args.series, args.rounds - so_far["kills"]), so_far))
    print("%s, %d ticks replayed at most: nothing lost, nothing twice" % (", ".join("%d %s" % (count, what) for what, count in so_far.items()), ticks))


main()
