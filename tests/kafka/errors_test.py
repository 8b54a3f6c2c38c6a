"""errors_test.py MILLRACE [SERVER OPTIONS]: the relation of what a source has rejected keeps its newest rows only: so many, or for so long. Exactly those, whenever
one looks; over ALTER, rows that somebody deletes, checkpoints, kill -9 and restarts. Checked against a list."""

import datetime
import os
import random
import signal
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import kafka_support  # noqa: E402
from checks import balanced, expect, offsets, one, refused, source_state, until, with_options  # noqa: E402
from kafka_support import Record  # noqa: E402

PARTITIONS = 3
START = datetime.datetime(2100, 1, 1, tzinfo=datetime.timezone.utc)  # ahead of the machine: a restart lets the clock go


class Source:
    """One over a topic of its own, and what its relation of errors must hold."""

    def __init__(self, cluster, server, name, **options):
        self.cluster, self.server, self.name = cluster, server, name
        self.con = harness.connect_millrace(server)
        self.ends, self.rejected, self.kept = [0] * PARTITIONS, 0, []
        cluster.create_topic(name, PARTITIONS)
        self.con.execute("CREATE STREAM %s (id bigint) %s" % (name, with_options(cluster, topic=name, format="json", consumers=2, **options)))
        self.con.execute('CREATE MATERIALIZED VIEW %s_view AS SELECT partition, "offset", value, count(*) AS n FROM %s_errors GROUP BY 1, 2, 3' % (name, name))

    def produce(self, partition, bad, good=0):
        """Bad records, and good ones in between; what has come is in the list, the newest last."""
        records, arrived = [], []
        for i in range(bad + good):
            is_bad = i * bad // (bad + good) != (i + 1) * bad // (bad + good)
            offset = self.ends[partition]
            self.ends[partition] += 1
            records.append(Record("bad %d" % offset if is_bad else '{"id": %d}' % offset, partition=partition))
            if is_bad:
                arrived.append((partition, offset))
        self.cluster.produce(self.name, records)
        self.rejected += len(arrived)
        self.kept += arrived
        return arrived

    def read(self):
        until("all is read", lambda: [offset for _, offset in sorted(offsets(self.con, self.name).items())] == self.ends,
              lambda: (offsets(self.con, self.name), source_state(self.con, self.name)))

    def restart(self, clock=None):
        harness.restart_millrace(self.server, signal.SIGKILL)
        self.con = harness.connect_millrace(self.server)
        if clock is not None:
            self.con.execute("SET clock = '%s'" % clock.isoformat())

    def check(self, what):
        found = self.con.execute('SELECT partition, "offset", value FROM %s_errors ORDER BY 1, 2' % self.name).fetchall()
        expected = [(partition, offset, b"bad %d" % offset) for partition, offset in sorted(self.kept)]
        if found != expected:
            raise AssertionError("%s: rows of %s: missing %s, too many %s" % (what, self.name, sorted(set(expected) - set(found))[:10], sorted(set(found) - set(expected))[:10]))
        view = self.con.execute('SELECT partition, "offset", value, n FROM %s_view ORDER BY 1, 2' % self.name).fetchall()
        expect("%s: whether the view over them has them" % what, view == [(*row, 1) for row in expected], True)
        expect("%s: rejected" % what, one(self.con, "SELECT sum(rejected)::bigint FROM %s_progress" % self.name), self.rejected)
        balanced(self.con, self.name)


class Watcher:
    """Somebody who looks all the while: there are never too many."""

    def __init__(self, source, most):
        self.con, self.source, self.most, self.found, self.stop = harness.connect_millrace(source.server), source, most, [], False
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()

    def run(self):
        sql = "SELECT (SELECT count(*) FROM %s_errors), (SELECT count(*) FROM %s_view)" % (self.source.name, self.source.name)
        while not self.stop:
            self.found.append(self.con.execute(sql).fetchone())

    def __exit__(self, *failure):
        self.stop = True
        self.thread.join()
        expect("whether there were too many of %d: %s" % (self.most, self.found[-20:]), all(table <= self.most and table == view for table, view in self.found), True)
        expect("whether somebody has looked", len(self.found) > 1, True)


def rows(cluster, server, rng):
    """A number of rows."""
    source = Source(cluster, server, "few", errors_rows=20)
    limit = 20
    for round_ in range(12 if harness.SMALL else 25):
        source.produce(rng.randrange(PARTITIONS), rng.choice([1, 2, 7, 30]), rng.randrange(20))
        if rng.random() < 0.25:
            source.restart()  # while it reads them
        source.read()
        if limit > 0:
            source.kept = source.kept[-limit:]
        source.check("round %d, at most %d" % (round_, limit))
        what = rng.random()
        if what < 0.25:
            partition = rng.randrange(PARTITIONS)
            source.con.execute('DELETE FROM few_errors WHERE partition = %d AND "offset" %% 3 = 0' % partition)
            source.kept = [(p, offset) for p, offset in source.kept if p != partition or offset % 3 != 0]
        elif what < 0.5:
            limit = rng.choice([3, 12, 20, 50, 0])
            source.con.execute("ALTER SOURCE few SET (errors_rows = '%d')" % limit)
            if limit > 0:
                source.kept = source.kept[-limit:]
            source.check("round %d, after ALTER to %d" % (round_, limit))
        elif what < 0.6:
            source.con.execute("CHECKPOINT")
        if rng.random() < 0.2:
            source.restart()
            source.check("round %d, started anew" % round_)
    source.con.execute("TRUNCATE few_errors")
    source.kept = []
    source.con.execute("ALTER SOURCE few SET (errors_rows = '4')")
    source.kept = (source.kept + source.produce(0, 9))[-4:]
    source.read()
    source.check("after TRUNCATE")
    return source


def many(source):
    """From all partitions at once, with somebody who looks."""
    con = source.con
    con.execute("ALTER SOURCE few SET (errors_rows = '50')")
    with Watcher(source, 50):
        for partition in range(PARTITIONS):
            source.produce(partition, 2000, 2000)
        source.read()
    newest = con.execute('SELECT partition, "offset" FROM few_errors').fetchall()
    expect("number of rows", len(newest), 50)
    source.kept = newest
    source.check("many")
    con.execute("ALTER SOURCE few SET (errors_rows = '0')")
    for partition in range(PARTITIONS):
        source.produce(partition, 12000)
    source.read()
    source.check("all of many")
    newest = con.execute('SELECT partition, "offset" FROM few_errors ORDER BY rejected_at DESC, partition DESC, "offset" DESC LIMIT 7').fetchall()
    con.execute("ALTER SOURCE few SET (errors_rows = '7')")
    until("seven are left", lambda: one(con, "SELECT count(*) FROM few_errors") == 7)
    source.kept = newest
    source.check("seven of many")
    source.restart()
    source.check("seven of many, started anew")
    source.con.execute("DROP STREAM few CASCADE")


def retention(cluster, server, rng):
    """So long, and both: by the server's clock, which stands still."""
    con = harness.connect_millrace(server)
    clock, minute, limit, hour = START, 0, 0, 60
    con.execute("SET clock = '%s'" % clock.isoformat())
    source = Source(cluster, server, "old", errors_retention="1 hour")
    times = {}
    for round_ in range(12 if harness.SMALL else 25):
        what = rng.random()
        if what < 0.5:
            for record in source.produce(rng.randrange(PARTITIONS), rng.choice([1, 3, 10]), rng.randrange(4)):
                times[record] = minute
            source.read()
        elif what < 0.85:
            by = rng.choice([1, 20, 59, 60])
            minute += by
            clock += datetime.timedelta(minutes=by)
            source.con.execute("SELECT advance_clock('%d minutes')" % by)
        elif what < 0.95:
            hour, limit = rng.choice([(60, 0), (60, 15), (30, 0), (0, 15), (90, 10)])
            source.con.execute("ALTER SOURCE old SET (errors_retention = '%s', errors_rows = %d)" % ("%d minutes" % hour if hour else "forever", limit))
        if rng.random() < 0.3:
            by = rng.choice([0, 0, 31, 61])  # passes while it does not run
            minute += by
            clock += datetime.timedelta(minutes=by)
            source.restart(clock)
        source.kept = [record for record in source.kept if hour == 0 or minute - times[record] < hour]
        if limit > 0:  # of one time: by partition and offset
            source.kept = sorted(source.kept, key=lambda record: (times[record], record))[-limit:]
        source.check("round %d, minute %d, for %d minutes, at most %d" % (round_, minute, hour, limit))
    source.con.execute("DROP STREAM old CASCADE")
    source.con.execute("SET clock = 'system'")


def goes_by_itself(cluster, server):
    """Rows go though nothing comes."""
    source = Source(cluster, server, "brief", errors_retention="2 seconds")
    source.produce(1, 5)
    source.read()
    until("they go", lambda: one(source.con, "SELECT count(*) FROM brief_errors") == 0)
    source.kept = []
    source.check("after two seconds")
    for option, value in ("errors_rows", "-1"), ("errors_rows", "few"), ("errors_retention", "0"), ("errors_retention", "soon"), ("errors_retention", "1 month"):
        refused(source.con, "22023", "ALTER SOURCE brief SET (%s = '%s')" % (option, value), option, "brief")
    source.con.execute("DROP STREAM brief CASCADE")


def main():
    with kafka_support.cluster(sys.argv[1]) as cluster, harness.millrace(sys.argv[1], *sys.argv[2:]) as server:
        rng = random.Random(int(os.environ.get("SEED", 1)))
        many(rows(cluster, server, rng))
        print("rows ok", flush=True)
        retention(cluster, server, rng)
        print("retention ok", flush=True)
        goes_by_itself(cluster, server)


main()
