"""backfill.py MILLRACE [--rows N] [SERVER OPTIONS]: materialized views and indexes over ten million rows, while two sessions write and two read and
checkpoints are made: each build's progress is seen, ends when it is cancelled, and is exact; printed is how long others had to wait."""

import argparse
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import psycopg  # noqa: E402
from statement import Statement  # noqa: E402

PIECE = 500_000
BUILDS = {
    "aggregate": ("CREATE MATERIALIZED VIEW aggregate AS %s", "SELECT g, count(*) AS n, sum(v) AS s, min(v) AS lo, max(v) AS hi FROM t GROUP BY g"),
    "join": ("CREATE MATERIALIZED VIEW \"join\" AS %s", "SELECT d.kind, t.v % 100 AS p, count(*) AS n, sum(t.v) AS s FROM t JOIN d ON d.g = t.g"
             " GROUP BY d.kind, t.v % 100"),
    "index": ("CREATE INDEX index ON t (v)", None),
    "unique index": ("CREATE UNIQUE INDEX \"unique index\" ON t (v, id)", None),
}


class Session(threading.Thread):
    """One statement after the other; the longest time that one took, since it was last asked."""

    def __init__(self, server, number):
        super().__init__()
        self.con, self.rng = harness.connect_millrace(server), random.Random(number)
        self.times, self.longest, self.stop, self.error = 0, 0.0, False, None
        self.start()

    def run(self):
        try:
            while not self.stop:
                sql = self.statement()
                start = time.monotonic()
                self.con.execute(sql)
                self.longest = max(self.longest, time.monotonic() - start)
                self.times += 1
        except BaseException as error:  # noqa: B902
            self.error = error

    def take(self):
        times, longest, self.times, self.longest = self.times, self.longest, 0, 0.0
        return times, longest

    def end(self):
        self.stop = True
        self.join()
        self.con.close()
        if self.error is not None:
            raise self.error


class Writer(Session):
    def __init__(self, server, number, rows):
        self.rows, self.next = rows, 100_000_000 * (number + 1)
        super().__init__(server, number)

    def statement(self):
        how = self.rng.random()
        if how < 0.5:
            count = self.rng.choice([1, 1, 20])
            self.next += count
            return "INSERT INTO t SELECT i, i %% %d, i %% 1000003 FROM generate_series(%d, %d) i" % (self.rows // 20, self.next - count, self.next - 1)
        row = self.rng.randrange(self.rows)
        return "UPDATE t SET v = v + 1, g = g / 2 WHERE id = %d" % row if how < 0.8 else "DELETE FROM t WHERE id = %d" % row


class Reader(Session):
    def __init__(self, server, number, rows):
        self.rows = rows
        super().__init__(server, number)

    def statement(self):
        return "SELECT g, v FROM t WHERE id = %d" % self.rng.randrange(self.rows)


def others_waited(sessions):
    taken = [session.take() for session in sessions]
    return sum(times for times, _ in taken), max(longest for _, longest in taken) * 1e3


def waits(writers, readers):
    return "%d commits, the longest %.0f ms; %d reads, the longest %.0f ms" % (*others_waited(writers), *others_waited(readers))


def resident_mb(pid):
    with open("/proc/%d/status" % pid) as f:
        return {line.split(":")[0]: int(line.split()[1]) // 1024 for line in f if line.startswith("Vm") and line.split()[1].isdigit()}


def progress(con, name):
    return con.execute("SELECT phase, rows_done, rows_total FROM millrace.view_builds WHERE view = '%s'" % name).fetchone()


def build(server, con, name, writers, readers):
    create, query = BUILDS[name]
    made = con.execute("SELECT made FROM millrace.checkpoints").fetchone()[0]
    others_waited(writers + readers)
    cpu, start = harness.cpu_seconds(server.pid), time.monotonic()
    creator = Statement(server, create % query if query else create)
    seen, phases = set(), []
    while creator.is_alive():
        row = progress(con, name)
        if row is not None:
            seen.add(row[1])
            assert row[1] <= 2 * row[2] + 1_000_000, row
            if row[0] not in phases:
                phases.append(row[0])
        time.sleep(0.05)
    wall, cpu = time.monotonic() - start, harness.cpu_seconds(server.pid) - cpu
    creator.wait()
    made = con.execute("SELECT made FROM millrace.checkpoints").fetchone()[0] - made
    print("%-13s %.1f s, %.1f CPU s with all others; beside it %s; progress seen %d times (%s); %d checkpoints; resident %d MB" % (
        name, wall, cpu, waits(writers, readers), len(seen), ", ".join(phases), made, resident_mb(server.pid)["VmRSS"]), flush=True)
    assert len(seen) >= 3 and "snapshot" in phases, "no progress was seen"
    if query:
        other = con.execute("SELECT count(*) FROM ((SELECT * FROM \"%s\" EXCEPT ALL (%s)) UNION ALL ((%s) EXCEPT ALL SELECT * FROM \"%s\")) x"
                            % (name, query, query, name)).fetchone()[0]
        assert other == 0, "%s differs from its query in %d rows" % (name, other)


def cancel(server, con, name):
    """Half way."""
    create, query = BUILDS[name]
    again = (create % query if query else create).replace(" index ", " ended ").replace('"%s"' % name, "ended").replace(" aggregate AS", " ended AS")
    creator = Statement(server, again)
    while True:
        row = progress(con, "ended")
        assert creator.is_alive(), "it was over before it could be cancelled"
        if row is not None and row[0] == "snapshot" and row[1] > row[2] * 0.3:
            break
    start = time.monotonic()
    con.execute("SELECT pg_cancel_backend(pid) FROM millrace.view_builds")
    creator.join()
    assert isinstance(creator.error, psycopg.errors.QueryCanceled), repr(creator.error)
    print("%-13s cancelled after %d of %d rows: ended %.0f ms later" % (name, row[1], row[2], (time.monotonic() - start) * 1e3), flush=True)
    assert con.execute("SELECT count(*) FROM millrace.view_builds").fetchone() == (0,)
    assert con.execute("SELECT count(*) FROM pg_class WHERE relname = 'ended'").fetchone() == (0,)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--rows", type=int, default=10_000_000)
    args, options = parser.parse_known_args()
    below = harness.memory_dir(8 << 30)  # what others wait for is then the server, not the disk
    with harness.millrace(args.binary, "--checkpoint-interval", "2", *options, below=below) as server, harness.connect_millrace(server) as con:
        con.execute("CREATE TABLE t (id int PRIMARY KEY, g int, v int)")
        con.execute("CREATE TABLE d (g int PRIMARY KEY, kind int)")
        con.execute("INSERT INTO d SELECT g, g %% 1000 FROM generate_series(0, %d) g" % (args.rows // 20))
        for first in range(0, args.rows, PIECE):
            con.execute("INSERT INTO t SELECT i, i %% %d, (i::int8 * 7919 %% 1000003)::int FROM generate_series(%d, %d) i"
                        % (args.rows // 20, first, min(first + PIECE, args.rows) - 1))
        con.execute("CHECKPOINT")
        print("%d rows, resident %d MB, data in %s" % (args.rows, resident_mb(server.pid)["VmRSS"], below or "a directory on disk"), flush=True)
        writers = [Writer(server, number, args.rows) for number in range(2)]
        readers = [Reader(server, number, args.rows) for number in range(2)]
        try:
            time.sleep(1)
            others_waited(writers + readers)
            time.sleep(10)
            print("no build      10 s: %s" % waits(writers, readers), flush=True)
            for name in BUILDS:
                build(server, con, name, writers, readers)
            for name in BUILDS:
                cancel(server, con, name)
        finally:
            for session in writers + readers:
                session.stop = True
        for session in writers + readers:
            session.end()
        print("peak resident %d MB" % resident_mb(server.pid)["VmHWM"])


main()
