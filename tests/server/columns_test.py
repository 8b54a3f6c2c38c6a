"""columns_test.py MILLRACE [--rows N] [SERVER OPTIONS]: columns are added to a table with many rows while others write to it and read it, and
checkpoints are made.

Writers get their acknowledgements meanwhile (counted between two events, never timed), and what they write is there afterwards, as the views
over the table say. Then: cancel and statement_timeout, other DDL at the same time, a stop in the middle of it and a start again."""

import argparse
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import psycopg  # noqa: E402
from worker import Worker  # noqa: E402

TRIES = 10  # that others come to little once is the machine's load
WRITERS = 4
WANTED = 2 * WRITERS + 1  # acknowledgements; one statement each may be under way when it begins
LONG = "what rows from before have in it"
VIEWS = {
    "sums": "SELECT g, count(*) AS n, sum(v) AS s FROM t GROUP BY g",
    "names": "SELECT name, count(*) AS n FROM t WHERE v % 100 = 0 GROUP BY name",
}


def fill(con, rows):
    con.execute("CREATE TABLE t (id int PRIMARY KEY, g int, v int, name text)")
    for first in range(0, rows, 100000):
        con.execute("INSERT INTO t SELECT i, i %% 1000, i %% 997, 'the name of row ' || i FROM generate_series(%d, %d) i"
                    % (first, min(first + 100000, rows) - 1))
    for view, sql in VIEWS.items():
        con.execute("CREATE MATERIALIZED VIEW %s AS %s" % (view, sql))
    con.execute("CREATE INDEX t_v ON t (v)")


class Writer(Worker):
    """Knows what its rows are: it alone writes those of its remainder by WRITERS."""

    def __init__(self, server, events, number, rows):
        super().__init__(server, events)
        self.rng = random.Random(number)
        self.number, self.rows = number, rows
        self.next = rows + WRITERS - rows % WRITERS + number
        self.values = {}  # id -> v, or None: it is gone

    def step(self, con):
        how = self.rng.random()
        if how < 0.4:
            ids = [self.next + WRITERS * i for i in range(self.rng.choice([1, 1, 5, 100]))]
            self.next = ids[-1] + WRITERS
            con.execute("INSERT INTO t (id, g, v, name) VALUES " + ", ".join("(%d, 1, %d, repeat('n', %d))" % (i, i % 90, i % 30) for i in ids))
            self.values.update((i, i % 90) for i in ids)
        else:
            key = self.rng.randrange(self.rows // WRITERS) * WRITERS + self.number
            if how < 0.8:
                v = self.rng.randrange(1000)
                con.execute("UPDATE t SET v = %d, name = name || '+' WHERE id = %d" % (v, key))
                if self.values.get(key, 0) is not None:
                    self.values[key] = v
            else:
                con.execute("DELETE FROM t WHERE id = %d" % key)
                self.values[key] = None
        self.events.append("commit")


def bytes_of(con):
    return con.execute("SELECT bytes FROM millrace.relations WHERE name = 't'").fetchone()[0]


class Reader(Worker):
    """Sees the copies of rows come, as memory."""

    def step(self, con):
        con.execute("SELECT v FROM t WHERE id = 17").fetchone()
        con.execute("SELECT count(*) FROM t WHERE v = 5").fetchone()
        self.events.append(("read", bytes_of(con)))
        self.ending.wait(0.002)  # a thread of this process that never waits keeps the others from it


class Checkpointer(Worker):
    def step(self, con):
        con.execute("CHECKPOINT")
        self.events.append("checkpoint")
        self.ending.wait(0.3)


def columns(con):
    return [row[0] for row in con.execute("SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum").fetchall()]


def check_contents(con, writers):
    for view, sql in VIEWS.items():
        wrong = con.execute("SELECT count(*) FROM ((SELECT * FROM %s EXCEPT ALL (%s)) UNION ALL ((%s) EXCEPT ALL SELECT * FROM %s)) x"
                            % (view, sql, sql, view)).fetchone()[0]
        assert wrong == 0, "%s differs" % view
    found = dict(con.execute("SELECT id, v FROM t").fetchall())
    for writer in writers:
        for key, v in writer.values.items():
            assert found.get(key) == v, (key, found.get(key), v)
    v = 7
    indexed, scanned = con.execute("SELECT (SELECT count(*) FROM t WHERE v = %d), (SELECT count(*) FROM t WHERE v + 0 = %d)" % (v, v)).fetchone()
    assert indexed == scanned, (indexed, scanned)


def check_beside_others(binary, rows, options):
    with harness.millrace(binary, *options) as server, harness.connect_millrace(server) as con:
        fill(con, rows)
        events = []
        writers = [Writer(server, events, n, rows) for n in range(WRITERS)]
        others = writers + [Reader(server, events), Checkpointer(server, events)]
        for other in others:
            other.start()
        while events.count("commit") < 5:
            time.sleep(0.001)
        for attempt in range(TRIES):
            names = "a%d" % attempt, "b%d" % attempt
            start, before = len(events), bytes_of(con)
            con.execute("ALTER TABLE t ADD COLUMN %s text DEFAULT '%s', ADD COLUMN %s int DEFAULT 7" % (names[0], LONG, names[1]))
            beside = events[start:]  # from when a tenth of the rows is copied on
            while beside and not (beside[0][0] == "read" and beside[0][1] > before * 1.1):
                beside.pop(0)
            reads = len(beside) - beside.count("commit") - beside.count("checkpoint")
            wrong = con.execute("SELECT count(*) FROM t WHERE %s IS DISTINCT FROM '%s' OR %s IS DISTINCT FROM 7"
                                % (names[0], LONG, names[1])).fetchone()[0]
            assert wrong == 0, "%d rows without the values of their columns" % wrong
            con.execute("UPDATE t SET %s = NULL, %s = id WHERE id %% 1000 = 999" % names)
            if beside.count("commit") >= WANTED and reads >= 5:
                break
        else:
            raise AssertionError("others had to wait: %s" % beside)
        print("%d commits and %d reads between its first rows and its end" % (beside.count("commit"), reads))
        con.execute("CREATE INDEX t_%s ON t (%s)" % (names[0], names[0]))
        for other in others:
            other.end()
        assert "checkpoint" in events
        check_contents(con, writers)
        assert columns(con)[4:] == [c + str(n) for n in range(attempt + 1) for c in "ab"]
        indexed, all_rows = con.execute("SELECT (SELECT count(*) FROM t WHERE %s = '%s'), (SELECT count(*) FROM t WHERE %s = 7)"
                                        % (names[0], LONG, names[1])).fetchone()
        assert indexed == all_rows, (indexed, all_rows)


def alter(con, sql):
    """false: it was cancelled."""
    try:
        con.execute(sql)
    except psycopg.errors.QueryCanceled:
        return False
    return True


def check_cancel(binary, rows, options):
    with harness.millrace(binary, *options) as server, harness.connect_millrace(server) as con, harness.connect_millrace(server) as other:
        fill(con, rows)
        for how in ("client", "timeout"):
            for attempt in range(TRIES * 3):
                before = columns(con)
                sql = "ALTER TABLE t ADD COLUMN %s%d text DEFAULT '%s'" % (how, attempt, LONG)
                if how == "client":
                    ender = threading.Timer(0.001 * attempt, con.cancel)
                    ender.start()
                    done = alter(con, sql)
                    ender.join()
                    alter(con, "SELECT 1")  # a cancel that came late may be its
                else:
                    con.execute("SET statement_timeout = %d" % (attempt + 1))
                    done = alter(con, sql)
                    con.execute("SET statement_timeout = 0")
                other.execute("UPDATE t SET v = v + 1 WHERE id % 5003 = 3")
                if not done:
                    assert columns(other) == before
                    break
            else:
                raise AssertionError("it was never cancelled")
            check_contents(other, [])
            other.execute("ALTER TABLE t ADD COLUMN again_%s text DEFAULT '%s'" % (how, LONG))
            assert other.execute("SELECT count(*) FROM t WHERE again_%s = '%s'" % (how, LONG)).fetchone() == \
                other.execute("SELECT count(*) FROM t").fetchone()


class Statement(Worker):
    def __init__(self, server, events, sql):
        super().__init__(server, events)
        self.sql = sql

    def step(self, con):
        self.ending.set()
        self.events.append("start")
        con.execute(self.sql)
        self.events.append(self.sql)


def check_ddl(binary, rows, options):
    """Statements about the same table go one after the other, but for indexes, which are made beside it."""
    with harness.millrace(binary, *options) as server, harness.connect_millrace(server) as con:
        fill(con, rows)
        events = []
        texts = ["ALTER TABLE t ADD COLUMN one text DEFAULT '%s'" % LONG, "CREATE INDEX t_g ON t (g)", "ALTER TABLE t ADD COLUMN two int DEFAULT 2",
                 "CREATE UNIQUE INDEX t_u ON t (id, v)", "ALTER TABLE t ADD COLUMN three text"]
        statements = [Statement(server, events, sql) for sql in texts]
        writers = [Writer(server, [], n, rows) for n in range(2)]
        for other in writers + statements:
            other.start()
        for statement in statements:
            statement.join()
            assert statement.error is None or statement.error.sqlstate == "55006", repr(statement.error)
        for statement in statements:  # what a view or an index that was being made kept away
            if statement.error is not None:
                con.execute(statement.sql)
        for writer in writers:
            writer.end()
        check_contents(con, writers)
        assert sorted(columns(con)[4:]) == ["one", "three", "two"]
        for condition in ("g = 17", "id = 17 AND v = 17"):
            found, scanned = con.execute("SELECT (SELECT count(*) FROM t WHERE %s), (SELECT count(*) FROM t WHERE %s)"
                                         % (condition, condition.replace(" =", " + 0 ="))).fetchone()
            assert found == scanned, (condition, found, scanned)
        for view in VIEWS:
            con.execute("DROP MATERIALIZED VIEW " + view)
        dropped = Statement(server, events, "DROP TABLE t")
        added = Statement(server, events, "ALTER TABLE t ADD COLUMN four text DEFAULT '%s'" % LONG)
        added.start()
        dropped.start()
        dropped.join()
        dropped.end()
        added.join()
        assert added.error is None or added.error.sqlstate == "42P01", repr(added.error)
        assert con.execute("SELECT count(*) FROM pg_class WHERE relname = 't'").fetchone() == (0,)


def check_stop(binary, rows, options):
    with harness.temp_dir() as base:
        data = os.path.join(base, "data")
        server = harness.start_millrace(binary, data, *options)
        with harness.connect_millrace(server) as con:
            fill(con, rows)
        for attempt in range(3):
            events = []
            adding = Statement(server, events, "ALTER TABLE t ADD COLUMN c%d text DEFAULT '%s'" % (attempt, LONG))
            adding.start()
            while not events:
                time.sleep(0.001)
            time.sleep(0.01 * attempt)
            assert server.stop() == 0
            adding.join()
            server = harness.start_millrace(binary, data, *options)
            with harness.connect_millrace(server) as con:
                has = columns(con)[4:]
                assert adding.error is not None or "c%d" % attempt in has, (has, repr(adding.error))
                check_contents(con, [])
                for name in has:
                    assert con.execute("SELECT count(*) FROM t WHERE %s = '%s'" % (name, LONG)).fetchone() == (rows,)
        assert server.stop() == 0


CHECKS = {"beside": check_beside_others, "cancel": check_cancel, "ddl": check_ddl, "stop": check_stop}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--rows", type=int, default=500000)
    parser.add_argument("--only", default=",".join(CHECKS))
    args, options = parser.parse_known_args()
    if harness.SMALL:
        args.rows = min(args.rows, 60000)
    for name in args.only.split(","):
        CHECKS[name](args.binary, args.rows, options)
        print("%s: ok" % name)


main()
