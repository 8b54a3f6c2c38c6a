"""columns_test.py MILLRACE [--rounds N] [--seed N] [SERVER OPTIONS]: columns are added to tables and streams that views read and sessions write
to, checkpoints are made at any time, and the server is killed, often within the ALTER. What was acknowledged is there; a column is there for all
rows or for none; rows hold its default; views, a transaction that reads since before, and a subscription do not notice."""

import argparse
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import psycopg  # noqa: E402

TABLES = {  # the columns of the start
    "keyed": ("id bigint PRIMARY KEY, v int, name text", "TABLE"),
    "loose": ("id bigint, v int, name text", "TABLE"),
    "stream": ("id bigint, v int, name text, ts timestamp, WATERMARK FOR ts AS ts - INTERVAL '1 minute'", "STREAM"),
    "passing": ("id bigint, v int, name text", "STREAM"),
}
VIEWS = {  # the query, and the same over columns that are named; of rows that only pass nothing can be asked
    "of_keyed": ("SELECT * FROM keyed", "SELECT id, v, name FROM keyed"),
    "of_loose": ("SELECT DISTINCT * FROM loose", "SELECT DISTINCT id, v, name FROM loose"),
    "sums": ("SELECT v % 10 AS g, count(*) AS n, sum(id) AS s FROM loose GROUP BY v % 10",) * 2,
    "joined": ("SELECT keyed.*, loose.v AS w FROM keyed JOIN loose ON keyed.id / 8 = loose.id / 8",
               "SELECT k.id, k.v, k.name, l.v FROM keyed k JOIN loose l ON k.id / 8 = l.id / 8"),
    "nested": ("SELECT * FROM plain WHERE v > 3", "SELECT id, v, name FROM keyed WHERE v > 3"),
    "windows": ("SELECT window_start, count(*) AS n, sum(id) AS s FROM tumble(stream, ts, INTERVAL '1 minute') GROUP BY window_start",) * 2,
    "passed": ("SELECT count(*) AS n, sum(id) AS s FROM passing", None),
}
TYPES = [("int", "DEFAULT 7", 7), ("text", "DEFAULT 'a default of some length' NOT NULL", "a default of some length"), ("text", "", None),
         ("bigint", "DEFAULT 1 + 1 NOT NULL", 2), ("text[]", "DEFAULT '{a,b}'", ["a", "b"]), ("bool", "", None)]


def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError("%s: %.600s instead of %.600s" % (what, got, wanted))


def rows(con, sql):
    return sorted(con.execute(sql).fetchall(), key=repr)


class Test:
    def __init__(self, server, rng):
        self.server, self.rng = server, rng
        self.columns = {table: [] for table in TABLES}  # (name, default)
        self.inserted = {table: set() for table in TABLES}  # ids that were acknowledged
        self.unsure = {table: set() for table in TABLES}
        self.next = 0
        self.stop = False
        self.added = self.kills = 0
        self.lock = threading.Lock()

    def writer(self, table, seed):
        """One statement after the other, none of which names a column that was added."""
        rng = random.Random(seed)
        try:
            con = harness.connect_millrace(self.server)
            while not self.stop:
                with self.lock:
                    first, count = self.next, rng.choice([1, 1, 5, 40])
                    self.next += count
                ids = range(first, first + count)
                self.unsure[table].update(ids)
                time_ = ", timestamp '2020-01-01' + INTERVAL '%d seconds'" % (first // 10) if table == "stream" else ""
                names = "id, v, name" + (", ts" if table == "stream" else "")
                con.execute("INSERT INTO %s (%s) VALUES %s" % (
                    table, names, ", ".join("(%d, %d, repeat('n', %d)%s)" % (i, i % 13, i % 20, time_) for i in ids)))
                self.inserted[table].update(ids)
                if table in ("keyed", "loose"):
                    if rng.random() < 0.5:
                        con.execute("UPDATE %s SET v = v + 1 WHERE id %% 17 = %d" % (table, rng.randrange(17)))
                    if rng.random() < 0.1:
                        con.execute("BEGIN")
                        con.execute("UPDATE %s SET name = name || '.' WHERE id %% 23 = %d" % (table, rng.randrange(23)))
                        con.execute("SELECT count(*) FROM %s" % table)
                        con.execute("COMMIT")
        except psycopg.errors.SerializationFailure:
            return self.writer(table, seed + 1)
        except psycopg.OperationalError:
            return None  # it was killed

    def reader(self):
        """A transaction and a subscription from before do not notice."""
        try:
            con, follower = harness.connect_millrace(self.server), harness.connect_millrace(self.server)
            follower.execute("DECLARE c CURSOR WITH HOLD FOR SUBSCRIBE keyed")
            con.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            before = {t: rows(con, "SELECT id, v, name FROM %s" % t) for t in ("keyed", "loose", "stream")}
            contents = {}
            self.is_reading.set()
            while not self.stop:
                for table, wanted in before.items():
                    expect("what a transaction saw of " + table, rows(con, "SELECT id, v, name FROM %s" % table), wanted)
                for _, diff, *row in follower.execute("FETCH 1000 FROM c").fetchall():
                    expect("columns of the subscription", len(row), 3 + self.followed)
                    key = tuple(map(str, row))
                    contents[key] = contents.get(key, 0) + diff
                    if contents[key] == 0:
                        del contents[key]
                expect("what a subscription has of a row", set(contents.values()) - {1}, set())
        except psycopg.OperationalError:
            return
        except BaseException as e:
            self.failure = e
        finally:
            self.is_reading.set()

    def add_column(self, con, kill_after):
        table = self.rng.choice(list(TABLES))
        kind, default, value = self.rng.choice(TYPES)
        name = "c%d" % self.added
        self.added += 1
        sql = "ALTER TABLE %s ADD COLUMN %s %s %s" % (table, name, kind, default)
        killer = None
        if kill_after is not None:
            killer = threading.Timer(kill_after, lambda: os.kill(self.server.pid, signal.SIGKILL))
            killer.start()
        try:
            con.execute(sql)
            self.columns[table].append((name, value))
        except psycopg.OperationalError:
            self.columns[table].append((name, value, "perhaps"))
        if killer is not None:
            killer.join()

    def check(self, con, when):
        for table in TABLES:
            found = [c for c, in con.execute("SELECT column_name FROM information_schema.columns WHERE table_name = '%s'"
                                             " ORDER BY ordinal_position" % table).fetchall()]
            self.columns[table] = [c[:2] for c in self.columns[table] if len(c) == 2 or c[0] in found]
            expect("columns of %s %s" % (table, when), [c for c in found if c[0] == "c"], [c for c, _ in self.columns[table]])
        for table in ("keyed", "loose", "stream"):
            ids = [i for i, in con.execute("SELECT id FROM %s" % table).fetchall()]
            expect("each row of %s once, %s" % (table, when), len(ids), len(set(ids)))
            expect("rows of %s %s" % (table, when), self.inserted[table] - set(ids), set())
            expect("rows of %s %s that nobody wrote" % (table, when), set(ids) - self.unsure[table], set())
            self.inserted[table] = set(ids)
            names = [c for c, _ in self.columns[table]]
            if names:
                found = [list(r) for r in con.execute("SELECT DISTINCT %s FROM %s" % (", ".join(names), table)).fetchall()]
                expect("what rows of %s have in their new columns, %s" % (table, when), found, [[v for _, v in self.columns[table]]] if ids else [])
        for view, (_, query) in VIEWS.items():
            if query is not None:
                expect("view %s %s" % (view, when), rows(con, "SELECT * FROM %s" % view), rows(con, query))
        n, s = con.execute("SELECT * FROM passed").fetchone()
        ids = self.inserted["passing"]
        if n < len(ids) or n > len(self.unsure["passing"]):
            raise AssertionError("%d rows have passed, %s: %d acknowledged, %d sent" % (n, when, len(ids), len(self.unsure["passing"])))

    def round(self, number):
        con = harness.connect_millrace(self.server)
        self.stop, self.failure, self.is_reading = False, None, threading.Event()
        self.followed = len(self.columns["keyed"])
        threads = [threading.Thread(target=self.writer, args=(t, number * 10 + n)) for n, t in enumerate(TABLES)]
        threads.append(threading.Thread(target=self.reader))
        for thread in threads:
            thread.start()
        self.is_reading.wait()
        how = self.rng.choice(["within", "within", "kill", "stop"])
        try:
            for n in range(self.rng.randint(1, 4)):
                if self.rng.random() < 0.4:
                    con.execute("CHECKPOINT")
                self.add_column(con, None)
                if self.rng.random() < 0.3:
                    con.execute("CHECKPOINT")
            if how == "within":
                self.add_column(con, self.rng.random() * 0.03)
            time.sleep(self.rng.random() * 0.1)
        except psycopg.OperationalError:
            pass
        if how != "stop":
            self.server.stop(signal.SIGKILL)
        self.stop = True
        for thread in threads:
            thread.join()
        if self.failure is not None:
            raise self.failure
        if how == "stop":
            self.check(con, "at the end of round %d" % number)
        con.close()
        self.kills += how != "stop"
        harness.restart_millrace(self.server, signal.SIGTERM if how == "stop" else signal.SIGKILL)
        con = harness.connect_millrace(self.server)
        self.check(con, "after round %d (%s)" % (number, how))
        con.close()


def check_transaction(server):
    """A transaction that has changed a table before it got a column goes on; then the rows are found again behind a checkpoint."""
    one, other = harness.connect_millrace(server), harness.connect_millrace(server)
    for sql in ("CREATE TABLE held (k int PRIMARY KEY, v text)", "CREATE TABLE bag (a int)", "INSERT INTO held VALUES (1, 'one'), (2, 'two'), (3, 'x')",
                "INSERT INTO bag SELECT i % 50 FROM generate_series(1, 200) i", "CREATE MATERIALIZED VIEW of_held AS SELECT * FROM held",
                "CREATE MATERIALIZED VIEW of_bag AS SELECT DISTINCT * FROM bag", "BEGIN", "INSERT INTO held VALUES (4, 'four')",
                "UPDATE held SET v = 'u' WHERE k = 1", "DELETE FROM held WHERE k = 2", "DELETE FROM bag WHERE a < 48"):
        one.execute(sql)
    other.execute("ALTER TABLE held ADD COLUMN c text DEFAULT 'a default of held'")
    other.execute("ALTER TABLE bag ADD COLUMN c int DEFAULT 9")
    missing = "a default of held"
    expect("rows within the transaction", rows(one, "SELECT * FROM held"), [(1, "u", missing), (3, "x", missing), (4, "four", missing)])
    expect("a row by its key", rows(one, "SELECT c FROM held WHERE k = 4"), [(missing,)])
    expect("the view within it", rows(one, "SELECT * FROM of_held"), [(1, "u"), (3, "x"), (4, "four")])
    expect("rows without a key", rows(one, "SELECT a, c, count(*) FROM bag GROUP BY a, c"), [(48, 9, 4), (49, 9, 4)])
    for sql in ("INSERT INTO held VALUES (4, 'n', 'N'), (6, 'six', 'S') ON CONFLICT (k) DO UPDATE SET c = excluded.c",
                "UPDATE held SET c = 'U' WHERE k = 3", "SAVEPOINT s", "DELETE FROM held", "ROLLBACK TO s", "UPDATE bag SET c = 1 WHERE a = 48", "COMMIT"):
        one.execute(sql)
    wanted = [(1, "u", missing), (3, "x", "U"), (4, "four", "N"), (6, "six", "S")]
    expect("rows afterwards", rows(other, "SELECT * FROM held"), wanted)
    other.execute("INSERT INTO bag SELECT i, i FROM generate_series(100, 400) i")
    for how in (signal.SIGKILL, signal.SIGTERM):
        other.execute("CHECKPOINT")
        harness.restart_millrace(server, how)
        other = harness.connect_millrace(server)
        expect("rows after a start", rows(other, "SELECT * FROM held"), wanted)
        other.execute("UPDATE bag SET c = c + 1 WHERE a % 2 = 0")
        expect("the view after a start", rows(other, "SELECT * FROM of_bag"), rows(other, "SELECT DISTINCT a FROM bag"))
    other.execute("DELETE FROM bag")
    expect("nothing is left", rows(other, "SELECT * FROM of_bag"), [])
    for sql in ("DROP TABLE held CASCADE", "DROP TABLE bag CASCADE"):
        other.execute(sql)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=6 if harness.SMALL else 12)
    parser.add_argument("--seed", type=int, default=1)
    args, options = parser.parse_known_args()
    with harness.millrace(args.binary, *options) as server:
        check_transaction(server)
        con = harness.connect_millrace(server)
        for table, (columns, kind) in TABLES.items():
            con.execute("CREATE %s %s (%s)%s" % (kind, table, columns, " WITH (retention = '0')" if table == "passing" else ""))
        con.execute("CREATE VIEW plain AS SELECT * FROM keyed")
        for view, (query, _) in VIEWS.items():
            con.execute("CREATE MATERIALIZED VIEW %s AS %s" % (view, query))
        con.execute("CREATE INDEX by_v ON keyed (v)")
        con.close()
        test = Test(server, random.Random(args.seed))
        for number in range(args.rounds):
            test.round(number)
        print("%d rounds, %d kills, %d columns, %d rows" % (args.rounds, test.kills, test.added, test.next))


main()
