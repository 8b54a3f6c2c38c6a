"""kill_test.py MILLRACE [--rounds N]: kill -9 under load: every acknowledged commit is there exactly once after the restart, and every view equals
its query over what is there."""

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

VIEWS = {
    "per_writer": "SELECT writer, count(*) AS n, sum(v) AS s FROM log GROUP BY writer",
    "pairs": "SELECT a.writer, count(*) AS n FROM log a JOIN kept k ON a.writer = k.id GROUP BY a.writer",
    "newest": "SELECT writer, max(n) AS n FROM log GROUP BY writer",
}


class Writer(threading.Thread):
    def __init__(self, server, number, start):
        super().__init__()
        self.server, self.number = server, number
        self.sent = self.acknowledged = start
        self.updates = 0

    def run(self):
        rng = random.Random(self.number)
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
                elif how < 0.5:
                    con.execute("BEGIN")
                    con.execute("INSERT INTO log VALUES " + ",".join("(%d,%d,%d)" % v for v in values))
                    con.execute("UPDATE kept SET count = count + %d WHERE id = %d" % (rows, self.number))
                    con.execute("COMMIT")
                    self.updates += rows
                else:
                    con.execute("INSERT INTO log VALUES " + ",".join("(%d,%d,%d)" % v for v in values))
                self.acknowledged = self.sent
        except psycopg.Error:
            pass


def verify(con, writers):
    for writer in writers:
        got = [r[0] for r in con.execute("SELECT n FROM log WHERE writer = %d ORDER BY n" % writer.number).fetchall()]
        assert got == list(range(len(got))), "writer %d: gaps or duplicates" % writer.number
        assert writer.acknowledged <= len(got) <= writer.sent, (writer.number, writer.acknowledged, len(got), writer.sent)
        writer.sent = writer.acknowledged = len(got)
    for name, sql in VIEWS.items():
        view = sorted(con.execute("SELECT * FROM " + name).fetchall())
        fresh = sorted(con.execute(sql).fetchall())
        assert view == fresh, "%s: %s %s" % (name, view, fresh)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=3 if harness.SMALL else 8)
    args, options = parser.parse_known_args()
    rng = random.Random(7)
    with harness.temp_dir() as base:
        data = os.path.join(base, "data")
        server = harness.start_millrace(args.binary, data, *options)
        con = harness.connect_millrace(server)
        con.execute("CREATE TABLE log (writer int, n int, v int)")
        con.execute("CREATE TABLE kept (id int PRIMARY KEY, count bigint)")
        con.execute("INSERT INTO kept VALUES (0, 0), (1, 0), (2, 0)")
        for name, sql in VIEWS.items():
            con.execute("CREATE MATERIALIZED VIEW %s AS %s" % (name, sql))
        con.close()
        writers = [Writer(server, n, 0) for n in range(3)]
        total = 0
        for round_number in range(args.rounds):
            for writer in writers:
                writer.start()
            time.sleep(rng.uniform(0.05, 1.0))
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            for writer in writers:
                writer.join()
            server = harness.start_millrace(args.binary, data, *options)
            con = harness.connect_millrace(server)
            verify(con, writers)
            total = con.execute("SELECT count(*) FROM log").fetchone()[0]
            if round_number % 2:
                con.execute("DROP MATERIALIZED VIEW pairs")
                con.execute("CREATE MATERIALIZED VIEW pairs AS " + VIEWS["pairs"])
            con.close()
            writers = [Writer(server, w.number, w.sent) for w in writers]
        assert server.stop() == 0
        print("%d kills, %d rows, nothing lost, nothing twice" % (args.rounds, total))


main()
