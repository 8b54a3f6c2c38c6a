"""build_test.py MILLRACE [--rows N] [--rounds N] [--workers N]: checkpoints end, and the log becomes short, while materialized views and indexes
are being filled; then kill -9. What was acknowledged is there, a view or an index is there whole or not at all, and all of it is what a model
in Python says.

Nothing here is timed: that a build still ran when a checkpoint had ended is looked at in the system views, and when it did not, all is done
again with more to do."""

import argparse
import contextlib
import os
import random
import re
import shutil
import signal
import sqlite3
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import psycopg  # noqa: E402
from statement import Statement  # noqa: E402

PAIRS = 2_000_000 if harness.SMALL else 8_000_000  # of a self-join: what a build has to do


def groups(rows, pairs):
    return max(1, rows * rows // pairs)


class Model:
    """Table t as it was acknowledged, and the change that is on its way."""

    def __init__(self, rows, number):
        self.rows = {i: (i % number, i * 7919 % 10007) for i in range(rows)}
        self.number, self.next, self.pending = number, 10_000_000, None
        self.initial = rows

    def change(self, con, rng):
        how, changes = rng.random(), {}
        if how < 0.4:
            for _ in range(rng.choice([1, 5, 40])):
                changes[self.next] = (rng.randrange(self.number), rng.randrange(1000))
                self.next += 1
            sql = "INSERT INTO t VALUES " + ", ".join("(%d, %d, %d)" % (i, g, v) for i, (g, v) in changes.items())
        else:
            row = rng.randrange(self.initial)
            if row not in self.rows:
                return
            g, v = self.rows[row]
            if how < 0.8:
                changes[row] = ((g + 1) % self.number, v + 1)
                sql = "UPDATE t SET g = %d, v = %d WHERE id = %d" % (*changes[row], row)
            else:
                changes[row] = None
                sql = "DELETE FROM t WHERE id = %d" % row
        self.pending = changes
        con.execute(sql)
        self.settle(True)

    def settle(self, happened):
        for row, value in self.pending.items() if happened else ():
            if value is None:
                del self.rows[row]
            else:
                self.rows[row] = value
        self.pending = None

    def sums(self):
        sums = {}
        for row, (g, v) in self.rows.items():
            n, s, check = sums.get(g, (0, 0, 0))
            sums[g] = (n + 1, s + v, check + row * (v + 1))
        return sums

    def compare(self, con, when):
        """The server has the table of the model, with or without the change of which nobody knows."""
        got = {g: (n, s, int(check)) for g, n, s, check in con.execute(
            "SELECT g, count(*), sum(v), sum(id::bigint * (v + 1)) FROM t GROUP BY g").fetchall()}
        if self.pending is not None:
            here = con.execute("SELECT id, g, v FROM t WHERE id IN (%s)" % ", ".join(map(str, self.pending))).fetchall()
            self.settle(here == [] if list(self.pending.values()) == [None] else
                        {i: (g, v) for i, g, v in here} == self.pending)
        assert got == self.sums(), "%s: the table is another than acknowledged" % when

    def joined(self, factor):
        """What JOINED shows, of the table alone."""
        groups = {}
        for g, (n, s, _) in self.sums().items():
            a, b = groups.get(g // factor, (0, 0))
            groups[g // factor] = (a + n, b + s)
        return {k: (n * n, n * s) for k, (n, s) in groups.items()}


# FACTOR: of the scene, so many times the work. The comparison, which always holds, has each pair looked at.
JOINED = ("SELECT a.g / FACTOR AS k, count(*) AS n, sum(b.v) AS s FROM t a JOIN t b ON a.g / FACTOR = b.g / FACTOR AND a.v < b.v + 100000"
          " GROUP BY a.g / FACTOR")
# Rows of a stream that keeps none: the view alone knows them, so that it cannot be filled again after a crash.
COUNTED = ("SELECT k, sum(n)::bigint AS n, sum(s)::bigint AS s FROM (SELECT k, 1::bigint AS n, v::bigint AS s FROM passing UNION ALL"
           " SELECT a.g / FACTOR, 1, b.v FROM t a JOIN t b ON a.g / FACTOR = b.g / FACTOR AND a.v < b.v + 100000) x GROUP BY k")
# The same as JOINED, but whoever starts the server must think that it depends on when rows came.
LIVING = "CREATE MATERIALIZED VIEW %s WITH (state_ttl = '300 days') AS " + JOINED
PLAIN = "CREATE MATERIALIZED VIEW %s AS " + JOINED


class Scene:
    """A server with a table t of which the model knows everything."""

    def __init__(self, args, options, base):
        self.args, self.options = args, options
        self.data = os.path.join(base, "data")
        os.mkdir(base)
        self.number = groups(args.rows, PAIRS)
        self.model = Model(args.rows, self.number)
        self.rng = random.Random(args.seed)
        self.counted = {}  # rows of `passing`
        self.factor = 1
        self.server = None
        self.start()
        self.con.execute("CREATE TABLE t (id int PRIMARY KEY, g int, v int)")
        self.con.execute("CREATE STREAM passing (k int, v int) WITH (retention = '0')")
        for first in range(0, args.rows, 100_000):
            self.con.execute("INSERT INTO t SELECT i, i %% %d, (i::int8 * 7919 %% 10007)::int FROM generate_series(%d, %d) i"
                             % (self.number, first, min(first + 100_000, args.rows) - 1))

    def start(self):
        self.server = harness.start_millrace(self.args.binary, self.data, *self.options)
        self.con = harness.connect_millrace(self.server)

    def kill(self, how=signal.SIGKILL):
        self.con.close()
        self.server.stop(how, timeout=120)

    def one(self, sql):
        return self.con.execute(sql).fetchone()

    def is_building(self, name):
        return self.one("SELECT count(*) FROM millrace.view_builds WHERE view = '%s' AND phase IN ('snapshot', 'catching up')" % name) == (1,)

    def wait_for_build(self, name, statement):
        while not self.one("SELECT count(*) FROM millrace.view_builds WHERE view = '%s' AND phase = 'snapshot'" % name)[0]:
            if not statement.is_alive():
                return False
            time.sleep(0.001)
        return True

    def change(self, count):
        for _ in range(count):
            self.model.change(self.con, self.rng)

    def pass_rows(self, counts):
        rows = [(self.rng.randrange(self.number + 2), self.rng.randrange(100)) for _ in range(20)]
        self.con.execute("INSERT INTO passing VALUES " + ", ".join("(%d, %d)" % row for row in rows))
        for k, v in rows if counts else ():
            n, s = self.counted.get(k, (0, 0))
            self.counted[k] = (n + 1, s + v)

    def checkpoint(self):
        """It ends, holds what is there, and the log before it goes."""
        epoch = self.one("SELECT epoch_computed FROM millrace.engine")[0]
        self.con.execute("CHECKPOINT")
        made = self.one("SELECT epoch FROM millrace.checkpoints")[0]
        assert made >= epoch, "the checkpoint is older than what was there before it: %s, %s" % (made, epoch)
        return made

    def wait_for_log(self, epoch):
        while self.one("SELECT removed_before FROM millrace.log")[0] < epoch:
            time.sleep(0.001)

    def expected(self, passing=True):
        joined = self.model.joined(self.factor)
        for k, (n, s) in self.counted.items() if passing else ():
            a, b = joined.get(k, (0, 0))
            joined[k] = (a + n, b + s)
        return joined

    def view(self, name):
        return {k: (n, int(s)) for k, n, s in self.con.execute("SELECT k, n, s FROM %s" % name).fetchall()}

    def number_of(self, name):
        """The OID of a table made just now."""
        self.con.execute("DROP TABLE IF EXISTS " + name)
        self.con.execute("CREATE TABLE %s (x int)" % name)
        return self.one("SELECT oid::bigint FROM pg_class WHERE relname = '%s'" % name)[0]

    def has(self, name):
        return self.one("SELECT count(*) FROM pg_class WHERE relname = '%s'" % name) == (1,)

    def logged(self):
        """Ticks and bytes in the log's file, of a server that does not run."""
        with harness.temp_dir() as copy:
            for name in ("log.db", "log.db-wal"):
                with contextlib.suppress(FileNotFoundError), open(os.path.join(self.data, name), "rb") as f:
                    with open(os.path.join(copy, name), "wb") as to:
                        to.write(f.read())
            with contextlib.closing(sqlite3.connect(os.path.join(copy, "log.db"))) as db:
                return db.execute("SELECT min(epoch), sum(length(body)) FROM tick").fetchone()

    def replayed(self):
        return int(re.findall(r"recovered \d+ objects and (\d+) ticks", self.server.log_text())[-1])


def begin(scene, name, create, within):
    """Starts the statement and runs within() while it fills; returns it when the build has outlived that. An index is made quickly: its
    statement may have ended."""
    is_index = "INDEX" in create
    for attempt in range(8):
        scene.factor = min(1 << attempt, 16)
        scene.counted = {}
        scene.pass_rows(False)  # before the view
        scene.number_of("mark")
        statement = Statement(scene.server, create.replace("FACTOR", str(scene.factor)))
        if scene.wait_for_build(name, statement):
            within()
            if scene.is_building(name):
                return statement
        statement.wait()
        if is_index and attempt == 7:
            return statement
        scene.con.execute("DROP %s %s" % ("INDEX" if is_index else "MATERIALIZED VIEW", name))
    raise AssertionError("%s: every build was over before the checkpoint" % name)


def check_views(scene):
    epoch = 0

    def within():
        nonlocal epoch
        scene.change(5)
        scene.pass_rows(True)
        epoch = scene.checkpoint()

    # killed while it is filled: it is gone, and its number is given to nobody else
    scene.number_of("one")
    step = -scene.number_of("two") + scene.number_of("one")
    scene.con.execute("CHECKPOINT")
    statement = begin(scene, "killed", "CREATE MATERIALIZED VIEW killed AS " + COUNTED, within)
    scene.change(5)
    scene.wait_for_log(epoch)
    scene.kill()
    statement.join()
    first, size = scene.logged()
    assert first >= epoch and size < 20_000, "the log still holds epoch %d of before %d, %d bytes" % (first, epoch, size)
    scene.start()
    assert not scene.has("killed"), "a view of which nobody was told is there"
    scene.model.compare(scene.con, "killed while a view was filled")
    assert scene.replayed() <= 8, scene.replayed()
    mark = scene.one("SELECT oid::bigint FROM pg_class WHERE relname = 'mark'")[0]
    assert scene.number_of("one") > mark + step, "the number of a view that came to nothing is given again"
    print("views: gone after a kill, log of %d bytes, %d ticks replayed" % (size, scene.replayed()))

    # live after a checkpoint, then killed before the next
    for name, create, passing in (("counted", "CREATE MATERIALIZED VIEW counted AS " + COUNTED, True), ("living", LIVING % "living", False),
                                  ("joined", PLAIN % "joined", False)):
        statement = begin(scene, name, create, within)
        scene.change(5)
        scene.pass_rows(True)
        statement.wait()
        counted = dict(scene.counted)
        assert scene.view(name) == scene.expected(passing), name
        scene.change(5)
        scene.pass_rows(True)
        for how in (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM):
            scene.kill(how)
            scene.start()
            scene.model.compare(scene.con, "%s, signal %d" % (name, how))
            assert scene.view(name) == scene.expected(passing), "%s after signal %d, %d rows passed" % (name, how, len(counted))
            scene.change(3)
            scene.pass_rows(True)
            assert scene.view(name) == scene.expected(passing), "%s goes on wrongly after signal %d" % (name, how)
        assert "filled again" not in scene.server.log_text(), "a view was not in the checkpoint: " + scene.server.log_text()
        print("views: %s is whole after kills" % name)
        scene.con.execute("DROP MATERIALIZED VIEW " + name)


def check_backup(scene):
    """A backup that is made while a view is filled is one without it."""
    with harness.temp_dir() as base:
        to = os.path.join(base, "backup")

        def within():
            scene.change(5)
            shutil.rmtree(to, ignore_errors=True)
            scene.con.execute("BACKUP TO '%s'" % to)

        statement = begin(scene, "kept", PLAIN % "kept", within)
        copy = harness.start_millrace(scene.args.binary, to, *scene.options)
        try:
            with harness.connect_millrace(copy) as con:
                scene.model.compare(con, "the backup")
                assert con.execute("SELECT count(*) FROM pg_class WHERE relname = 'kept'").fetchone() == (0,)
        finally:
            copy.stop(signal.SIGKILL)
        statement.wait()
        assert scene.view("kept") == scene.expected(False)
        scene.con.execute("DROP MATERIALIZED VIEW kept")
    print("backup: made beside a build")


def check_indexes(scene):
    def within():
        scene.change(5)
        scene.checkpoint()

    scene.con.execute("CHECKPOINT")
    for name, create in (("whole", "CREATE UNIQUE INDEX whole ON t (v, id)"), ("plain", "CREATE INDEX plain ON t (v, g)")):
        statement = begin(scene, name, create, within)
        scene.kill()
        statement.join()
        scene.start()
        scene.model.compare(scene.con, "killed while index %s was made" % name)
        if not scene.has(name):  # it may have ended meanwhile
            assert not statement.done, "an acknowledged index is gone"
            scene.con.execute(create)
        scene.con.execute("DROP INDEX " + name)
        begin(scene, name, create, within).wait()
        scene.change(5)
        scene.kill()
        scene.start()
        assert scene.has(name), "an acknowledged index is gone"
        scene.model.compare(scene.con, "index " + name)
        for v in (17, 5000):
            found = sorted(row[0] for row in scene.con.execute("SELECT id FROM t WHERE v = %d" % v).fetchall())
            assert found == sorted(i for i, (_, value) in scene.model.rows.items() if value == v), (name, v)
        scene.con.execute("DROP INDEX " + name)
    print("indexes: whole or gone")


def check_automatic(args, options, base):
    """Checkpoints by time and by the log's size end as well."""
    for setting in (["--checkpoint-log-size", "20kB", "--checkpoint-interval", "0"], ["--checkpoint-interval", "1"]):
        scene = Scene(args, setting + options, os.path.join(base, setting[1]))
        try:
            made = [0, 0]

            def within():
                made[0] = scene.one("SELECT made FROM millrace.checkpoints")[0]
                while scene.is_building("automatic") and made[1] < made[0] + 2:
                    scene.change(20)
                    made[1] = scene.one("SELECT made FROM millrace.checkpoints")[0]

            begin(scene, "automatic", LIVING % "automatic", within).wait()
            scene.change(5)
            scene.kill()
            scene.start()
            scene.model.compare(scene.con, setting[0])
            assert scene.view("automatic") == scene.expected(False)
            scene.kill(signal.SIGTERM)
        finally:
            scene.server.stop(signal.SIGKILL)
        print("automatic: %s %s" % tuple(setting[:2]))


class Repeated(threading.Thread):
    def __init__(self, server, step):
        super().__init__()
        self.con, self.step, self.stop, self.times, self.error = harness.connect_millrace(server), step, False, 0, None
        self.start()

    def run(self):
        try:
            while not self.stop:
                self.step(self.con)
                self.times += 1
        except psycopg.OperationalError:
            pass  # the server is gone
        except BaseException as error:  # noqa: B902
            self.error = error

    def end(self):
        self.stop = True
        self.join()
        self.con.close()
        if self.error is not None:
            raise self.error


def check_random(scene, rounds):
    """Kills at any time, under changes and one checkpoint after the other."""
    rng = scene.rng
    seen = {"gone": 0, "whole": 0}
    for number in range(rounds):
        name = "any%d" % number
        writer = Repeated(scene.server, lambda con: (scene.model.change(con, rng), time.sleep(0.01)))  # each costs the view a group's pairs
        others = [Repeated(scene.server, lambda con: con.execute("CHECKPOINT"))]
        scene.factor = 1
        create = rng.choice([LIVING, PLAIN]) % name
        statement = Statement(scene.server, create.replace("FACTOR", str(scene.factor)))
        when = ["filled", "live", "whole", "later"][number % 4]
        scene.wait_for_build(name, statement)
        if when == "filled":
            part = rng.random()
            while scene.one("SELECT count(*) FROM millrace.view_builds WHERE phase = 'snapshot' AND rows_done < rows_total * %f" % part)[0]:
                time.sleep(0.001)
        elif when == "live":
            while scene.one("SELECT count(*) FROM millrace.view_builds WHERE phase <> 'live'")[0]:
                time.sleep(0.001)
        else:
            statement.join()
            times = writer.times
            while when == "later" and writer.times < times + 20 and writer.is_alive():
                time.sleep(0.001)
        scene.kill()
        statement.join()
        for other in [writer] + others:
            other.end()
        scene.start()
        scene.model.compare(scene.con, "round %d, killed %s" % (number, when))
        whole = scene.has(name)
        assert whole or not statement.done, "round %d: an acknowledged view is gone" % number
        if whole:
            assert scene.view(name) == scene.expected(False), "round %d" % number
            scene.change(3)
            assert scene.view(name) == scene.expected(False), "round %d" % number
            scene.con.execute("DROP MATERIALIZED VIEW " + name)
        seen["whole" if whole else "gone"] += 1
        print("round %d: killed %s, %s, %d commits, %d checkpoints" % (
            number, when, "whole" if whole else "gone", writer.times, others[0].times), flush=True)
    return seen


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="views,backup,indexes,automatic,random")
    args, options = parser.parse_known_args()
    if harness.SMALL:
        args.rows = min(args.rows, 40_000)
    with harness.temp_dir(harness.memory_dir(1 << 30)) as base:  # so that checkpoints wait for no disk; a kill takes nothing from it
        scene = Scene(args, ["--checkpoint-interval", "0", "--checkpoint-log-size", "0"] + options, os.path.join(base, "main"))
        try:
            for name in args.only.split(","):
                if name == "views":
                    check_views(scene)
                elif name == "backup":
                    check_backup(scene)
                elif name == "indexes":
                    check_indexes(scene)
                elif name == "automatic":
                    check_automatic(args, options, base)
                else:
                    print("random: %s" % check_random(scene, args.rounds))
            scene.con.close()
            assert scene.server.stop(timeout=120) == 0, scene.server.log_text()
        except BaseException:
            sys.stderr.write(scene.server.log_text()[-6000:])
            raise
        finally:
            scene.server.stop(signal.SIGKILL)
        text = scene.server.log_text()
        for mark in ("runtime error:", "AddressSanitizer", "ThreadSanitizer", "internal check failed"):
            assert mark not in text, text


main()
