"""backfill_test.py MILLRACE [--workers N] [--rows N]: materialized views over large tables are created while others write and read.

Writers get their acknowledgements while a view is being filled (counted between two events, never timed), progress is seen, and what
the view shows equals its query in every snapshot from its first on. Then: cancel, DDL beside a build, several builds at once, kill -9 in
the middle of builds, a small --backfill-limit, streams with watermarks, memory limits."""

import argparse
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import psycopg  # noqa: E402
from worker import Worker  # noqa: E402

VIEWS = {
    "grouped": "SELECT g, count(*) AS n, sum(v) AS s, min(v) AS lo, max(v) AS hi FROM t GROUP BY g",
    "joined": "SELECT d.name, count(*) AS n, sum(t.v) AS s FROM t JOIN d ON t.g = d.g GROUP BY d.name",
    "padded": "SELECT d.g, d.name, t.id, t.v FROM d LEFT JOIN t ON d.g = t.g AND t.id < 5000",
    "rare": "SELECT id, g, v FROM t WHERE v % 997 = 0",
    "top": "SELECT id, v FROM t ORDER BY v DESC, id LIMIT 20",
    "over_view": "SELECT n, count(*) AS groups, sum(s) AS s FROM first_view GROUP BY n",
    "ranked": "SELECT g, name, row_number() OVER (PARTITION BY g % 50 ORDER BY g) AS r FROM d",
}
FIRST_VIEW = "SELECT g, count(*) AS n, sum(v) AS s FROM t GROUP BY g"


def fill(con, rows):
    con.execute("CREATE TABLE t (id int PRIMARY KEY, g int, v int)")
    con.execute("CREATE TABLE d (g int PRIMARY KEY, name text)")
    con.execute("INSERT INTO d SELECT g, 'name ' || g %% 1000 FROM generate_series(0, %d) g" % (rows // 20))
    for first in range(0, rows, 250000):
        last = min(first + 250000, rows) - 1
        con.execute("INSERT INTO t SELECT i, i / 20, (i::int8 * 7919 %% 10007)::int FROM generate_series(%d, %d) i" % (first, last))


class Writer(Worker):
    def __init__(self, server, events, number, rows):
        super().__init__(server, events)
        self.rng = random.Random(number)
        self.next = 10000000 * (number + 1)
        self.first, self.rows = self.next, rows

    def step(self, con):
        how = self.rng.random()
        if how < 0.5:
            count = self.rng.choice([1, 1, 10, 300])
            con.execute("INSERT INTO t SELECT i, i %% %d, i %% 5003 FROM generate_series(%d, %d) i"
                        % (self.rows // 20 + 1, self.next, self.next + count - 1))
            self.next += count
        elif how < 0.7:
            con.execute("UPDATE t SET v = v + 1, g = g + 1 WHERE id = %d" % self.rng.randrange(self.rows))
        elif how < 0.85:
            con.execute("DELETE FROM t WHERE id IN (%d, %d)" % (self.rng.randrange(self.rows), max(self.first, self.next - 5)))
        else:
            con.execute("UPDATE d SET name = 'name ' || %d WHERE g = %d" % (self.rng.randrange(2000), self.rng.randrange(self.rows // 20)))
        self.events.append("commit")


class Reader(Worker):
    def step(self, con):
        con.execute("SELECT count(*) FROM d WHERE g < 100").fetchone()
        con.execute("SELECT v FROM t WHERE id = 17").fetchone()
        self.events.append("read")


class Watcher(Worker):
    def step(self, con):
        for view, phase, done, total in con.execute("SELECT view, phase, rows_done, rows_total FROM millrace.view_builds").fetchall():
            self.events.append(("seen", view, phase, done, total))
        self.events.append("looked")


class Creator(Worker):
    def __init__(self, server, events, view, sql):
        super().__init__(server, events)
        self.view, self.sql = view, sql
        self.con = None

    def step(self, con):
        self.con = con
        self.ending.set()
        self.events.append(("create", self.view))
        con.execute("CREATE MATERIALIZED VIEW %s AS %s" % (self.view, self.sql))
        self.events.append(("created", self.view))


def difference(con, view, sql):
    """Rows that the view and its query do not agree on, in one snapshot."""
    return con.execute("SELECT count(*) FROM ((SELECT * FROM %s EXCEPT ALL (%s)) UNION ALL ((%s) EXCEPT ALL SELECT * FROM %s)) x"
                       % (view, sql, sql, view)).fetchone()[0]


def builds(con):
    return con.execute("SELECT view, pid FROM millrace.view_builds").fetchall()


def wait_for_build(con, view, phase=None):
    while not con.execute("SELECT 1 FROM millrace.view_builds WHERE view = '%s'%s"
                          % (view, " AND phase = '%s'" % phase if phase else "")).fetchall():
        if con.execute("SELECT 1 FROM pg_class WHERE relname = '%s'" % view).fetchall():
            return False
    return True


def expect(con, sqlstate, sql):
    try:
        con.execute(sql)
    except psycopg.Error as error:
        assert error.sqlstate == sqlstate, (sql, error.sqlstate, str(error))
        return
    raise AssertionError("%s: no error" % sql)


def between(events, start, end):
    """The events from the first that start() accepts to the first `end` behind it."""
    first = next((i for i, event in enumerate(events) if start(event)), None)
    return [] if first is None else events[first:events.index(end, first)]


def check_beside_writers(binary, rows, options):
    with harness.millrace(binary, *options) as server, harness.connect_millrace(server) as con:
        fill(con, rows)
        con.execute("CREATE MATERIALIZED VIEW first_view AS " + FIRST_VIEW)
        events = []
        others = [Writer(server, events, n, rows) for n in range(2)] + [Reader(server, events), Watcher(server, events)]
        for other in others:
            other.start()
        while events.count("commit") < 5 or "read" not in events or "looked" not in events:
            time.sleep(0.001)
        builds_seen = {}
        for view, sql in VIEWS.items():
            for _ in range(10):  # others that have to wait do so every time; that they come to nothing once is the machine's load
                start = len(events)
                creator = Creator(server, events, view, sql)
                creator.start()
                creator.join()
                creator.end()
                assert difference(con, view, sql) == 0, "%s differs in its first snapshot" % view
                during = between(events[start:], lambda e, view=view: e[:3] == ("seen", view, "snapshot"), ("created", view))
                if view not in ("grouped", "joined") or (during.count("commit") >= 3 and during.count("read") >= 3):
                    break
                con.execute("DROP MATERIALIZED VIEW %s" % view)
            else:
                raise AssertionError("%s: others had to wait: %s" % (view, during))
            builds_seen[view] = during
        for view, sql in VIEWS.items():
            assert difference(con, view, sql) == 0, "%s differs under load" % view
        for other in others:
            other.end()
        for view in ("grouped", "joined"):
            during = builds_seen[view]
            print("%s: %d commits, %d reads, %d looks between the first sight and the end" %
                  (view, during.count("commit"), during.count("read"), during.count("looked")))
            seen = [e for e in during if e[0] == "seen"]
            # how far it had come at a look is a matter of luck; that it is shown, and against what, is not
            done = [e[3] for e in seen]
            assert seen and all(0 < e[4] for e in seen) and done == sorted(done) and done[-1] > 0, "%s: no progress was seen: %s" % (view, seen[:5])
        for view, sql in VIEWS.items():
            assert difference(con, view, sql) == 0, "%s differs at the end" % view
        assert builds(con) == []


def slow_query(relation, rows):
    """Some forty million pairs, however many rows there are; half of them with sanitizers, which take their time."""
    groups = max(1, (1000000 if harness.SMALL else 2000000) // rows)
    return ("SELECT d.name, count(*) AS n, sum(b.v) AS s FROM %s a JOIN t b ON a.g / %d = b.g / %d JOIN d ON d.g = a.g GROUP BY d.name"
            % (relation, groups, groups))


def check_cancel(con, server, rows):
    sql = slow_query("t", rows)
    for how in ("client", "backend"):
        creator = Creator(server, [], "ended", sql)
        creator.start()
        assert wait_for_build(con, "ended"), "the build was over before it could be cancelled"
        if how == "client":
            creator.con.cancel()
        else:
            con.execute("SELECT pg_cancel_backend(pid) FROM millrace.view_builds")
        creator.join()
        assert isinstance(creator.error, psycopg.errors.QueryCanceled), repr(creator.error)
        assert builds(con) == []
        expect(con, "42P01", "SELECT * FROM ended")
        con.execute("CREATE TABLE ended (x int)")
        con.execute("DROP TABLE ended")
        con.execute("UPDATE t SET v = v WHERE id < 10")


def check_cancel_behind(con, server, rows):
    """Within a tick from behind the snapshot, too: by itself this one would take an hour."""
    con.execute("CREATE TABLE first_ (k int)")
    for table in ("second_", "third_"):
        con.execute("CREATE TABLE %s (id int PRIMARY KEY, k int)" % table)
        con.execute("INSERT INTO %s SELECT i, 0 FROM generate_series(1, 300000) i" % table)
    creator = Creator(server, [], "ended", "SELECT s.id AS n FROM first_ f JOIN second_ s ON s.k = f.k JOIN third_ t ON t.k = f.k WHERE s.id + t.id < 0"
                      " UNION ALL SELECT n FROM (%s) x" % slow_query("t", rows))
    creator.start()
    assert wait_for_build(con, "ended", "snapshot"), "the build was over before it could be cancelled"
    con.execute("INSERT INTO first_ VALUES (0)")
    assert wait_for_build(con, "ended", "catching up"), "the build was over before it could be cancelled"
    time.sleep(0.5)  # it is in the tick
    creator.con.cancel()
    creator.join()
    assert isinstance(creator.error, psycopg.errors.QueryCanceled), repr(creator.error)
    assert builds(con) == []
    con.execute("DROP TABLE first_, second_, third_")


def check_ddl(con, server, rows):
    """What goes with a build and what does not."""
    con.execute("CREATE SCHEMA s")
    con.execute("CREATE TABLE small (x int)")
    con.execute("CREATE VIEW plain AS SELECT g, v FROM t")
    con.execute("CREATE TABLE o (g int)")
    con.execute("INSERT INTO o VALUES (1)")
    con.execute("CREATE MATERIALIZED VIEW replaced AS SELECT g FROM o")
    sql = slow_query("plain", rows)
    creator = Creator(server, [], "s.slow", sql)
    creator.start()
    assert wait_for_build(con, "slow")
    for statement in ("DROP TABLE d", "DROP TABLE t CASCADE", "DROP VIEW plain", "CREATE OR REPLACE VIEW plain AS SELECT g, v + 1 AS v FROM t",
                      "ALTER TABLE d RENAME TO e", "ALTER TABLE d DROP COLUMN name", "DROP SCHEMA s CASCADE", "CREATE TABLE s.slow (x int)",
                      "CREATE MATERIALIZED VIEW s.slow AS SELECT 1 AS x", "CREATE TABLE IF NOT EXISTS s.slow (x int)"):
        expect(con, "55006", statement)
    expect(con, "42P07", "CREATE TABLE small (x int)")
    con.execute("CREATE MATERIALIZED VIEW quick AS SELECT count(*) AS n FROM small")
    con.execute("INSERT INTO small VALUES (1)")
    assert con.execute("SELECT n FROM quick").fetchone() == (1,)
    con.execute("DROP MATERIALIZED VIEW quick")
    con.execute("DROP TABLE small")
    for table in ("d", "t"):  # what comes to a relation that a build reads is no part of what it reads
        con.execute("ALTER TABLE %s ADD COLUMN added int DEFAULT 7" % table)
    con.execute("UPDATE d SET name = name || '+', added = 8 WHERE g < 3")
    con.execute("UPDATE t SET v = v + 1, added = NULL WHERE id % 1000 = 7")
    con.execute("CHECKPOINT")
    con.execute("CREATE INDEX d_name ON d (name)")
    con.execute("COMMENT ON TABLE d IS 'read by a build'")
    con.execute("CREATE OR REPLACE MATERIALIZED VIEW replaced AS SELECT g + 1 AS g FROM o")
    assert builds(con) != [], "the build was over before the statements beside it"
    creator.join()
    creator.end()
    assert difference(con, "s.slow", sql) == 0
    assert con.execute("SELECT count(*) FROM d WHERE added = 8").fetchone()[0] == con.execute("SELECT count(*) FROM d WHERE g < 3").fetchone()[0]
    assert con.execute("SELECT count(*) FROM t WHERE added IS NULL").fetchone()[0] == con.execute("SELECT count(*) FROM t WHERE id % 1000 = 7").fetchone()[0] > 0
    expect(con, "2BP01", "DROP TABLE d")
    expect(con, "42P07", "CREATE TABLE s.slow (x int)")
    expect(con, "42P17", "CREATE OR REPLACE MATERIALIZED VIEW replaced AS SELECT g + 1 AS g FROM replaced")
    assert con.execute("SELECT count(*) FROM replaced").fetchone()[0] > 0
    con.execute("DROP SCHEMA s CASCADE")


def check_several(con, server, rows):
    events = []
    writers = [Writer(server, events, n, rows) for n in range(2, 4)]
    for writer in writers:
        writer.start()
    creators = [Creator(server, events, "b%d" % n, sql) for n, sql in enumerate(
        [VIEWS["joined"], VIEWS["joined"], VIEWS["grouped"], "SELECT t.id, d.name FROM t JOIN d ON t.g = d.g WHERE t.v < 50"])]
    for creator in creators:
        creator.start()
    for creator in creators:
        creator.join()
        creator.end()
        assert difference(con, creator.view, creator.sql) == 0, creator.view
    for writer in writers:
        writer.end()
    for creator in creators:
        assert difference(con, creator.view, creator.sql) == 0, creator.view
    for creator in creators:  # those that share arrangements go one by one
        con.execute("DROP MATERIALIZED VIEW " + creator.view)
        con.execute("UPDATE d SET name = name || '!' WHERE g < 10")


def check_beside(binary, rows, options):
    with harness.millrace(binary, *options) as server, harness.connect_millrace(server) as con:
        fill(con, rows)
        check_cancel(con, server, rows)
        check_cancel_behind(con, server, rows)
        check_ddl(con, server, rows)
        check_several(con, server, rows)


def check_small_limit(binary, rows, options):
    """Writers that are ahead of a view wait for it, and come to their end."""
    with harness.millrace(binary, "--backfill-limit", "64kB", *options) as server, harness.connect_millrace(server) as con:
        fill(con, rows)
        events = []
        writers = [Writer(server, events, n, rows) for n in range(3)]
        for writer in writers:
            writer.start()
        for view in ("grouped", "joined"):
            creator = Creator(server, events, view, VIEWS[view])
            creator.start()
            creator.join()
            creator.end()
            assert difference(con, view, VIEWS[view]) == 0, view
        commits = events.count("commit")
        while events.count("commit") < commits + 5:
            time.sleep(0.001)
        for writer in writers:
            writer.end()
        for view in ("grouped", "joined"):
            assert difference(con, view, VIEWS[view]) == 0, view


STREAM_VIEWS = {
    "windows": "SELECT window_start, k, count(*) AS n, sum(v) AS s FROM tumble(events, ts, INTERVAL '10 seconds') GROUP BY window_start, window_end, k",
    "final": "SELECT window_start, k, count(*) AS n FROM tumble(events, ts, INTERVAL '10 seconds') GROUP BY window_start, window_end, k EMIT FINAL",
    "totals": "SELECT k, count(*) AS n, sum(v) AS s FROM events GROUP BY k",
    "named": "SELECT e.k, d.name, count(*) AS n FROM events e JOIN d ON e.k = d.g GROUP BY e.k, d.name",
}
ON_VIEW = "SELECT k, count(*) AS n, sum(v) AS s FROM passed_on GROUP BY k"  # nothing else reads that view
# What these show depends on the ticks that the view has seen: a restart has to make the same of them.
TICK_VIEWS = {
    "passed": "SELECT k, count(*) AS n, min(v) AS lo FROM passing GROUP BY k",
    "looked_up": "SELECT e.k, e.v, d.name FROM events e JOIN d FOR SYSTEM_TIME AS OF PROCTIME() ON e.k = d.g WHERE e.v < 3",
}


class Feeder(Worker):
    """Rows of a stream whose times go on, some of them late."""

    def __init__(self, server, events):
        super().__init__(server, events)
        self.rng = random.Random(5)
        self.now = 0.0

    def step(self, con):
        rows = []
        for _ in range(self.rng.choice([1, 5, 50])):
            self.now += self.rng.random()
            behind = self.rng.choice([0, 0, 0, 1, 3, 30])
            rows.append("(timestamp '2024-01-01 00:00:00' + interval '%f seconds', %d, %d)"
                        % (max(self.now - behind, 0), self.rng.randrange(5), self.rng.randrange(100)))
        con.execute("INSERT INTO events VALUES " + ", ".join(rows))
        con.execute("INSERT INTO passing VALUES " + ", ".join(rows))
        con.execute("UPDATE d SET name = name || '+' WHERE g = %d" % self.rng.randrange(5))
        self.events.append("commit")


class Checkpointer(Worker):
    def step(self, con):
        con.execute("CHECKPOINT")
        self.events.append("checkpoint")


def check_checkpoints(binary, rows, options):
    """The same while checkpoints are made, which end before a view begins, while it is filled, and when it is live."""
    check_streams(binary, rows, options, checkpoints=True)


def check_streams(binary, rows, options, checkpoints=False):
    """A view made in the middle of a stream with a watermark equals one that was there from the start; also after a kill."""
    with harness.temp_dir() as base:
        data = os.path.join(base, "data")
        server = harness.start_millrace(binary, data, *options)
        con = harness.connect_millrace(server)
        con.execute("CREATE STREAM events (ts timestamp, k int, v int, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)")
        con.execute("CREATE STREAM passing (ts timestamp, k int, v int) WITH (retention = '0')")
        con.execute("CREATE TABLE d (g int PRIMARY KEY, name text)")
        con.execute("INSERT INTO d SELECT g, 'name ' || g FROM generate_series(0, 6) g")
        for view, sql in STREAM_VIEWS.items():
            con.execute("CREATE MATERIALIZED VIEW %s AS %s" % (view, sql))
        con.execute("CREATE MATERIALIZED VIEW passed_on AS SELECT k, v FROM events WHERE v < 50")
        con.execute("INSERT INTO events SELECT timestamp '2023-01-01' + i * interval '1 second', i %% 7, i FROM generate_series(1, %d) i"
                    % (rows // 4))
        events = []
        others = [Feeder(server, events)] + ([Checkpointer(server, events)] if checkpoints else [])
        for other in others:
            other.start()
        for round_number in range(2):
            creators = [Creator(server, events, "%s%d" % (view, round_number), sql) 
                        for view, sql in {**STREAM_VIEWS, **TICK_VIEWS, "on_view": ON_VIEW}.items()]
            for creator in creators:
                creator.start()
            for creator in creators:
                creator.join()
                creator.end()
            commits = events.count("commit")
            while events.count("commit") < commits + 5:
                time.sleep(0.001)
        while con.execute("SELECT count(*) FROM late_rows('windows')").fetchone() == (0,):
            time.sleep(0.001)
        for other in others:
            other.end()
        assert not checkpoints or events.count("checkpoint") > 2, "no checkpoint was made"

        def compare():
            for number in range(2):
                assert difference(con, "on_view%d" % number, ON_VIEW) == 0
            for view in STREAM_VIEWS:
                for number in range(2):
                    other = "%s%d" % (view, number)
                    assert difference(con, other, "SELECT * FROM " + view) == 0, other
                    if view == "windows":
                        late = [con.execute("SELECT count(*) FROM late_rows('%s')" % name).fetchone() for name in (view, other)]
                        assert late[0] == late[1] and late[0] != (0,), (other, late)

        def contents():
            return [sorted(con.execute("SELECT * FROM %s%d" % (view, number)).fetchall()) for view in TICK_VIEWS for number in range(2)]

        compare()
        before = contents()
        assert all(before), "a view saw nothing"
        con.close()
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        server = harness.start_millrace(binary, data, *options)
        con = harness.connect_millrace(server)
        compare()
        assert contents() == before, "a restart has made something else of a view"
        con.close()
        assert server.stop() == 0


def check_kills(binary, rows, options):
    """A kill in the middle of a build leaves nothing of the view; what was acknowledged is there."""
    rng = random.Random(11)
    sql = "SELECT a.g, count(*) AS n, sum(b.v) AS s FROM t a JOIN t b ON a.g = b.g JOIN d ON d.g = a.g GROUP BY a.g"
    with harness.temp_dir() as base:
        data = os.path.join(base, "data")
        server = harness.start_millrace(binary, data, *options)
        con = harness.connect_millrace(server)
        fill(con, rows // 4)
        rounds = 3 if harness.SMALL else 6
        for number in range(rounds):
            events = []
            writer = Writer(server, events, 10 + number, rows // 4)
            writer.start()
            creator = Creator(server, events, "killed", sql)
            creator.start()
            target = [None, "snapshot", "snapshot", "catching up"][number % 4]
            running = wait_for_build(con, "killed", target)
            if target == "snapshot":
                part = rng.random() * 0.9
                while running and con.execute("SELECT 1 FROM millrace.view_builds WHERE phase = 'snapshot' AND rows_done < rows_total * %f"
                                              % part).fetchall():
                    pass
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            writer.join()
            creator.join()
            con.close()
            acknowledged = ("created", "killed") in events
            server = harness.start_millrace(binary, data, *options)
            con = harness.connect_millrace(server)
            exists = con.execute("SELECT count(*) FROM pg_class WHERE relname = 'killed'").fetchone()[0] == 1
            assert exists or not acknowledged, "an acknowledged view is gone"
            if exists:
                assert difference(con, "killed", sql) == 0
                con.execute("DROP MATERIALIZED VIEW killed")
            got = con.execute("SELECT max(id) FROM t WHERE id >= %d" % writer.first).fetchone()[0]
            print("kill %d: %s, %s, %d commits" % (number, target, "whole" if exists else "gone", events.count("commit")))
            assert got is None or got < writer.next + 300
        con.execute("CREATE MATERIALIZED VIEW killed AS " + sql)
        assert difference(con, "killed", sql) == 0
        con.close()
        assert server.stop() == 0


def check_memory(binary, rows, options):
    """A view that does not fit ends with 53200 and gives back what it took; the rest goes on."""
    with harness.millrace(binary, "--memory-limit", "%dkB" % (rows // 4 + 60000), *options) as server, harness.connect_millrace(server) as con:
        fill(con, rows // 2)
        sql = "SELECT a.id, b.id AS other, a.v, b.v AS w, d.name FROM t a JOIN t b ON a.g = b.g JOIN d ON d.g = a.g"
        expect(con, "53200", "CREATE MATERIALIZED VIEW large AS " + sql)
        assert builds(con) == []
        con.execute("UPDATE t SET v = 0 WHERE id = 3")
        con.execute("CREATE MATERIALIZED VIEW fits AS SELECT count(*) AS n FROM d")
        assert con.execute("SELECT n FROM fits").fetchone()[0] > 0


class IndexCreator(Creator):
    def step(self, con):
        self.con = con
        self.ending.set()
        self.events.append("begin")
        try:
            con.execute(self.sql)
        finally:
            self.events.append("end")


def check_indexes(binary, rows, options):
    """Indexes come over large tables while rows change: writers do not wait, no row is missing, no value is there twice."""
    with harness.millrace(binary, *options) as server, harness.connect_millrace(server) as con:
        rows *= 1 if harness.SMALL else 4  # so that something can happen beside: indexes are quick
        fill(con, rows)
        con.execute("ALTER TABLE t ADD COLUMN u int")
        con.execute("UPDATE t SET u = id * 2 + 1 WHERE id % 3 <> 0")
        events = []
        writers = [Writer(server, events, n, rows) for n in range(2)]
        for writer in writers:
            writer.start()

        def create(sql):
            creator = IndexCreator(server, events, None, sql)
            creator.start()
            creator.join()
            assert creator.error is None, creator.error
            during = events[len(events) - events[::-1].index("begin"):len(events) - 1 - events[::-1].index("end")]
            return during.count("commit")

        def create_beside(index, sql):
            """Others commit meanwhile: the engine has no part in it but at its beginning and its end. (Few rows are over too soon to
            say so at the first try.)"""
            for _ in range(10 if harness.SMALL else 1):
                commits = create(sql)
                if commits >= 3:
                    return commits
                con.execute("DROP INDEX " + index)
            raise AssertionError("%s: others had to wait: %d commits" % (index, commits))

        # others see how far it is, and go on with DDL of their own, another index on the same table included
        seen = set()
        while not seen:
            first = IndexCreator(server, events, None, "CREATE UNIQUE INDEX t_first ON t (u)")
            first.start()
            while first.is_alive():
                seen |= set(con.execute("SELECT p.relid::regclass::text, p.tuples_done <= p.tuples_total, b.view, b.kind"
                                        " FROM pg_stat_progress_create_index p JOIN millrace.view_builds b USING (pid)").fetchall())
                try:
                    con.execute("ALTER TABLE t RENAME COLUMN v TO id")
                except psycopg.errors.DuplicateColumn:
                    pass  # it is not being made yet, or any more
                except psycopg.errors.ObjectInUse as e:
                    assert 'index "t_first"' in str(e), e
                    seen.add("refused")
                if len(seen) == 2:
                    con.execute("CREATE UNIQUE INDEX IF NOT EXISTS t_second ON t (v, id)")
            first.join()
            con.execute("DROP INDEX IF EXISTS t_second")
            assert first.error is None, first.error
            u = con.execute("SELECT u FROM t WHERE u IS NOT NULL AND id > 100 ORDER BY id LIMIT 1").fetchone()[0]
            expect(con, "23505", "INSERT INTO t VALUES (-1, 0, 0, %d)" % u)
            con.execute("DROP INDEX t_first")
            if "refused" not in seen or len(seen) < 2:
                seen = set()
        assert seen <= {"refused", ("t", True, "t_first", "index")}, seen
        commits = create_beside("t_v", "CREATE INDEX t_v ON t (v)")
        print("index: %d commits meanwhile" % commits)
        for v in (17, 5000, 12345):
            indexed, scanned = con.execute("SELECT (SELECT count(*) FROM t WHERE v = %d), (SELECT count(*) FROM t WHERE v + 0 = %d)" % (v, v)).fetchone()
            assert indexed == scanned, (v, indexed, scanned)
        commits = create_beside("t_u", "CREATE UNIQUE INDEX t_u ON t (u)")
        print("unique index: %d commits meanwhile" % commits)
        for writer in writers:
            writer.end()
        id, u = con.execute("SELECT id, u FROM t WHERE u IS NOT NULL AND id > 100 ORDER BY id LIMIT 1").fetchone()
        expect(con, "23505", "INSERT INTO t VALUES (-1, 0, 0, %d)" % u)
        con.execute("DELETE FROM t WHERE id = %d" % id)
        con.execute("INSERT INTO t VALUES (-1, 0, 0, %d)" % u)
        con.execute("DROP INDEX t_u")
        con.execute("INSERT INTO t VALUES (-2, 0, 0, %d)" % u)
        expect(con, "23505", "CREATE UNIQUE INDEX t_u ON t (u)")
        con.execute("INSERT INTO t VALUES (-3, 0, 0, %d)" % u)
        con.execute("DELETE FROM t WHERE id IN (-1, -2)")
        con.execute("CREATE UNIQUE INDEX t_u ON t (u)")
        expect(con, "23505", "UPDATE t SET u = %d WHERE id = -3 OR id = 200" % u)
        creator = IndexCreator(server, events, None, "CREATE UNIQUE INDEX ended ON t (id, v)")
        creator.start()
        while creator.con is None:
            time.sleep(0.0001)
        creator.con.cancel()
        creator.join()
        if creator.error is not None:
            assert isinstance(creator.error, psycopg.errors.QueryCanceled), repr(creator.error)
            con.execute("CREATE INDEX ended ON t (id, v)")
        # rows that come and go while a value that they share is being counted
        con.execute("DROP INDEX t_u")
        writers = [Duplicator(server, events, n) for n in range(2)]
        for writer in writers:
            writer.start()
        for _ in range(3 if harness.SMALL else 6):
            first = len(events)
            create("CREATE UNIQUE INDEX t_u ON t (u)")
            changed = [e for e in list(events[first:]) if e[0] in ("came", "went")]
            for how, u in changed[-20:]:
                if how == "came" and ("went", u) not in events:
                    expect(con, "23505", "INSERT INTO t VALUES (-5, 0, 0, %d)" % u)
                elif how == "went":
                    con.execute("INSERT INTO t VALUES (-5, 0, 0, %d)" % u)
                    con.execute("DELETE FROM t WHERE id = -5")
            con.execute("DROP INDEX t_u")
        for writer in writers:
            writer.end()
        for v in (-100, -101):
            indexed, scanned = con.execute("SELECT (SELECT count(*) FROM t WHERE v = %d), (SELECT count(*) FROM t WHERE v + 0 = %d)" % (v, v)).fetchone()
            assert indexed == scanned, (v, indexed, scanned)


class Duplicator(Worker):
    """Rows with one value that move from key to key: never two of them at a time."""

    def __init__(self, server, events, number):
        super().__init__(server, events)
        self.key = -1000 - number * 100000
        self.v = -100 - number
        self.rng = random.Random(number)
        self.last = None

    def step(self, con):
        con.execute("BEGIN")
        con.execute("DELETE FROM t WHERE id = %d" % self.key)
        self.key -= 1
        con.execute("INSERT INTO t (id, g, v, u) VALUES (%d, 1, %d, %d)" % (self.key, self.v, self.v))
        con.execute("COMMIT")
        if self.rng.random() < 0.5:
            self.last = -self.key * 2 - 1000000000
            con.execute("INSERT INTO t (id, g, v, u) VALUES (%d, 1, 0, %d)" % (self.last, self.last))
            self.events.append(("came", self.last))
        elif self.last is not None:
            self.events.append(("went", self.last))  # before it goes: nobody may expect it to be there
            con.execute("DELETE FROM t WHERE id = %d" % self.last)
            self.last = None
        self.events.append("commit")


CHECKS = {"writers": check_beside_writers, "beside": check_beside, "limit": check_small_limit, "streams": check_streams,
          "kills": check_kills, "memory": check_memory, "indexes": check_indexes,
          "checkpoints": check_checkpoints}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--rows", type=int, default=2000000)
    parser.add_argument("--only", default=",".join(CHECKS))
    args, options = parser.parse_known_args()
    if harness.SMALL:
        args.rows = min(args.rows, 60000)
    for name in args.only.split(","):
        CHECKS[name](args.binary, args.rows, options)
        print("%s: ok" % name)


main()
