"""durability.py MILLRACE [--keys N] [--rows N] [SERVER OPTIONS]: what durability costs: checkpoints with 1, 10 and 100 % of the state changed, commits
beside them, the restart with all of it, and ingest with the log and without."""

import argparse
import os
import re
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

PIECE = 500_000
VIEW = "CREATE MATERIALIZED VIEW totals AS SELECT k, count(*) AS n, sum(v) AS s FROM pair GROUP BY k"


class Committer(threading.Thread):
    """Commits one row after the other, and keeps the longest time that one took."""

    def __init__(self, server):
        super().__init__()
        self.con = harness.connect_millrace(server)
        self.commits, self.longest, self.stop = 0, 0.0, False

    def run(self):
        while not self.stop:
            start = time.monotonic()
            self.con.execute("INSERT INTO single VALUES (1)")
            self.longest = max(self.longest, time.monotonic() - start)
            self.commits += 1


def insert(con, first, count, step, keys):
    for at in range(first, first + count, PIECE):
        n = min(PIECE, first + count - at)
        con.execute("INSERT INTO pair SELECT (g * bigint '%d') %% %d, g %% 100 FROM generate_series(%d, %d) g" % (step, keys, at, at + n - 1))


def beside(server, what):
    committer = Committer(server)
    committer.start()
    start = time.monotonic()
    what()
    wall = time.monotonic() - start
    committer.stop = True
    committer.join()
    return wall, committer


def checkpoint(server, con, name):
    cpu = harness.cpu_seconds(server.pid)
    wall, committer = beside(server, lambda: con.execute("CHECKPOINT"))
    cpu = harness.cpu_seconds(server.pid) - cpu
    rows, size, ms = con.execute("SELECT rows, bytes, duration_ms FROM millrace.checkpoints").fetchone()
    print("%-26s %9d rows %8.1f MB %7.2f s, %.2f CPU s; beside it %d commits, the longest %.1f ms" % (
        name, rows, size / 1e6, wall, cpu, committer.commits, committer.longest * 1e3), flush=True)


def state(args, options):
    with harness.temp_dir() as base:
        data = os.path.join(base, "data")
        settings = ["--checkpoint-interval", "0", "--checkpoint-log-size", "0"] + options
        server = harness.start_millrace(args.binary, data, *settings)
        con = harness.connect_millrace(server)
        con.execute("CREATE STREAM pair (k bigint, v bigint) WITH (retention = '0')")
        con.execute("CREATE TABLE single (n int)")
        con.execute(VIEW)
        insert(con, 0, args.keys, 1, args.keys)
        wall, committer = beside(server, lambda: time.sleep(2))
        print("no checkpoint: %d commits in %.1f s, the longest %.1f ms" % (committer.commits, wall, committer.longest * 1e3), flush=True)
        checkpoint(server, con, "everything is new")
        step = 7_919_111 if args.keys > 7_919_111 else 104_729
        for percent in (1, 10, 100):
            insert(con, 0, args.keys * percent // 100, step, args.keys)
            checkpoint(server, con, "%d %% of %d keys" % (percent, args.keys))
        n, s = con.execute("SELECT count(*), sum(n) FROM totals").fetchone()
        size = sum(os.path.getsize(os.path.join(data, f)) for f in os.listdir(data))
        for how in (signal.SIGKILL, signal.SIGTERM):
            con.close()
            server.stop(how, timeout=120)
            start = time.monotonic()
            server = harness.start_millrace(args.binary, data, *settings)
            con = harness.connect_millrace(server)
            assert con.execute("SELECT count(*), sum(n) FROM totals").fetchone() == (n, s)
            wall = time.monotonic() - start
            said = re.findall(r"recovered \d+ objects and (\d+) ticks in ([0-9.]+) s", server.log_text())[-1]
            print("restart after signal %d: %s ticks replayed, state back in %s s, first answer after %.2f s, %.2f CPU s; files of %.0f MB" % (
                how, said[0], said[1], wall, harness.cpu_seconds(server.pid), size / 1e6), flush=True)
        con.close()
        server.stop(timeout=120)


def ingest(args, options):
    def one(data):
        server = harness.start_millrace(args.binary, data, *options)
        con = harness.connect_millrace(server)
        con.execute("CREATE STREAM pair (k bigint, v bigint)")
        con.execute(VIEW)
        start, cpu = time.monotonic(), harness.cpu_seconds(server.pid)
        line = "".join("%d\t%d\n" % (i * 7919 % 100_000, i % 100) for i in range(100_000))
        for _ in range(args.rows // 100_000):
            with con.cursor().copy("COPY pair FROM STDIN") as copy:
                copy.write(line)
        wall, cpu = time.monotonic() - start, harness.cpu_seconds(server.pid) - cpu
        start = time.monotonic()
        for _ in range(500):
            con.execute("INSERT INTO pair VALUES (1, 1)")
        singles = (time.monotonic() - start) / 500
        con.close()
        server.stop(timeout=60)
        return wall, cpu, singles

    with harness.temp_dir() as base:
        durable = one(os.path.join(base, "data"))
        server_data = os.path.join(base, "none")
        options[:] = options + ["--data-dir", ""]
        volatile = one(server_data)
    for name, (wall, cpu, singles) in (("with the log", durable), ("without", volatile)):
        print("%-13s COPY of %d rows into a view: %.2f s, %.2f CPU s; one INSERT %.0f us" % (name, args.rows, wall, cpu, singles * 1e6))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--keys", type=int, default=10_000_000)
    parser.add_argument("--rows", type=int, default=5_000_000)
    args, options = parser.parse_known_args()
    state(args, options)
    ingest(args, options)


main()
