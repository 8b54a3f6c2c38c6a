"""oracle.py MILLRACE [--seed N] [--seeds N] [--statements N] [--views N] [--only KIND] [--big] [--restart N] [--beside] [SERVER OPTIONS]

After every statement each materialized view of Millrace must hold the rows that PostgreSQL 15 gives for the same query, and so must
Millrace's own SELECT of it; with --restart also when the server has been stopped, or killed, and started again. Prints the seed and a
script to repeat when they do not."""

import argparse
import itertools
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
from generate import Generator  # noqa: E402

import psycopg  # noqa: E402


def rows_of(cursor, query):
    """The result as a sorted list of COPY's text lines."""
    data = bytearray()
    with cursor.copy("COPY (%s) TO STDOUT" % query) as copy:
        for block in copy:
            data += block
    return sorted(bytes(data).split(b"\n")[:-1])


POSTGRES_MS = 2000  # a query that takes longer is not worth comparing
BESIDE_MAX = 200  # statements while a view is made; it may be one that never comes nearer
ALL_PASSES = (1 << 19) - 1  # planner/pass.c; required ones run anyway
PUSHDOWN = 1 << 2 | 1 << 5  # without them FROM a, b WHERE a.x = b.x is a cross product: too much for big tables


class Difference(Exception):
    pass


class Oracle:
    def __init__(self, args, server, pg):
        self.rng = random.Random(args.seed)
        self.server = server
        self.args = args
        self.gen = Generator(self.rng)
        self.gen.only_windows = args.windows
        self.gen.only = args.only
        self.mill = harness.connect_millrace(server).cursor()
        self.pg = pg.cursor()
        self.script = []
        self.views = []  # (name, ours, relation, columns added before)
        self.columns_added = 0
        self.views_made = 0
        self.outgrown = 0  # views no longer compared because PostgreSQL takes too long
        self.refused = 0
        self.invalid = 0  # queries of the generator that PostgreSQL does not take
        self.skipped = 0  # comparisons left out because the query fails in PostgreSQL
        self.checked = 0
        self.selects = 0
        self.rows = 0
        self.restarts = 0
        self.beside = 0  # statements while another session made a view

    def both(self, sql):
        """Runs a statement on both sides; the same SQLSTATE must come of it."""
        self.script.append(sql)
        state = {}
        for name, cursor in (("millrace", self.mill), ("postgres", self.pg)):
            try:
                cursor.execute((sql if name == "millrace" else sql.replace("CREATE STREAM", "CREATE TABLE", 1)).encode())
                rows = sorted(map(repr, cursor.fetchall())) if cursor.description else None
                state[name] = "00000", cursor.rowcount, rows
            except psycopg.Error as e:
                state[name] = e.sqlstate, str(e)
        if state["millrace"][0] != state["postgres"][0] or (
                state["millrace"][0] == "00000" and state["millrace"] != state["postgres"]):
            raise Difference("statement differs: %s\n  %s" % (sql, state))
        return state["millrace"][0] == "00000"

    def create(self, cursor, sql, passes_off):
        cursor.execute("SET passes_off = %d" % passes_off)
        try:
            cursor.execute(sql.encode())
        finally:
            cursor.execute("SET passes_off = 0")

    def create_beside(self, name, sql, passes_off):
        """The view is made by another session while this one changes what it reads. False: what it reads has outgrown it meanwhile."""
        result = []
        with harness.connect_millrace(self.server) as con:
            con.execute("SET TimeZone = 'UTC'")

            def run():
                try:
                    self.create(con.cursor(), sql, passes_off)
                except psycopg.Error as e:
                    result.append(e)

            creator = threading.Thread(target=run)
            creator.start()
            outgrown = False
            for number in itertools.count(1):
                creator.join(0.0 if number <= BESIDE_MAX else 1.0)
                if not creator.is_alive():
                    break
                if number <= BESIDE_MAX:
                    self.both(self.gen.change(big=self.args.big and self.rng.random() < 0.5))
                    self.beside += 1
                if number % 20 == 0 and not outgrown and self.is_outgrown(name):
                    outgrown = True
                    con.cancel()
            creator.join()
        if outgrown and (not result or result[0].sqlstate == "57014"):
            self.mill.execute("DROP MATERIALIZED VIEW IF EXISTS %s" % name)
            return False
        if result:
            raise result[0]
        return True

    def is_outgrown(self, name):
        self.pg.execute("SET statement_timeout = %d" % POSTGRES_MS)
        try:
            rows_of(self.pg, "SELECT * FROM %s" % name)
        except psycopg.errors.QueryCanceled:
            return True
        except psycopg.Error:
            return False  # it fails on these rows
        finally:
            self.pg.execute("SET statement_timeout = 0")
        return False

    def add_view(self):
        for _ in range(50):
            name = "v%d" % self.views_made
            ours, theirs, relation = self.gen.view(name)
            try:  # does PostgreSQL take it, and quickly?
                self.pg.execute("SET statement_timeout = %d" % POSTGRES_MS)
                self.pg.execute(("CREATE VIEW %s AS %s" % (name, theirs)).encode())
                rows_of(self.pg, "SELECT * FROM %s" % name)
            except psycopg.Error as e:
                self.pg.execute("DROP VIEW IF EXISTS %s" % name)
                self.invalid += 1
                if self.args.verbose:
                    print("not taken: %s: %s" % (str(e).replace("\n", " | "), theirs), flush=True)
                continue
            finally:
                self.pg.execute("SET statement_timeout = 0")
            sql = "CREATE MATERIALIZED VIEW %s AS %s" % (name, ours)
            passes_off = self.random_passes()
            try:
                if self.args.beside:
                    if not self.create_beside(name, sql, passes_off):
                        self.pg.execute("DROP VIEW %s" % name)
                        self.outgrown += 1
                        continue
                else:
                    self.create(self.mill, sql, passes_off)
            except psycopg.Error as e:
                self.pg.execute("DROP VIEW %s" % name)
                if e.sqlstate == "0A000":
                    self.refused += 1
                    print("refused: %s: %s" % (e, ours), flush=True)
                    continue
                raise Difference("view refused: %s %s\n  %s" % (e.sqlstate, e, sql))
            self.script.append(("SET passes_off = %d;\n%s;\nSET passes_off = 0" if passes_off else "%.0s%s") % (passes_off, sql))
            self.views.append((name, ours, relation, self.columns_added))
            self.views_made += 1
            self.gen.views.append(relation)
            return

    def random_passes(self):
        """Passes of the planner to leave out, as the setting passes_off wants it: none, all or some."""
        if self.rng.random() >= self.args.passes:
            return 0
        off = self.rng.choice([ALL_PASSES, self.rng.randint(1, ALL_PASSES), 1 << self.rng.randint(0, 18)])
        return off & ~PUSHDOWN if self.args.big else off

    def set_passes(self, off):
        self.mill.execute("SET passes_off = %d" % off)

    def check(self):
        for view in list(self.views):
            name, ours, relation, columns_added = view
            inside = self.pg.connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE
            try:
                if inside:
                    self.pg.execute("SAVEPOINT look")
                self.pg.execute("SET statement_timeout = %d" % POSTGRES_MS)
                try:
                    expected = rows_of(self.pg, "SELECT * FROM %s" % name)
                finally:
                    if inside:
                        self.pg.execute("ROLLBACK TO look")
                    self.pg.execute("SET statement_timeout = 0")
            except psycopg.errors.QueryCanceled:  # the tables have outgrown the query: it would take all the time
                self.views.remove(view)
                self.gen.views.remove(relation)
                self.outgrown += 1
                continue
            except psycopg.Error:
                self.skipped += 1
                continue  # the query fails on these rows in PostgreSQL: the view shows what it can
            self.rows += len(expected)
            got = rows_of(self.mill, "SELECT * FROM %s" % name)
            if got != expected:
                raise Difference("view %s: %s\n  PostgreSQL: %s\n  view:       %s" % (name, ours, expected[:20], got[:20]))
            # a column that is added is seen by the same query said anew
            if columns_added == self.columns_added and self.rng.random() < self.args.batch:
                passes_off = self.random_passes()
                if passes_off:
                    self.set_passes(passes_off)
                batch = rows_of(self.mill, ours)
                if passes_off:
                    self.set_passes(0)
                if batch != expected:
                    raise Difference("SELECT of %s, passes_off %d: %s\n  PostgreSQL: %s\n  SELECT:     %s" % (
                        name, passes_off, ours, expected[:20], batch[:20]))
                self.selects += 1
            self.checked += 1

    def add_column(self):
        """Views that are there must not see it; all rows have its default."""
        self.both(self.gen.add_column())
        self.columns_added += 1
        for table in self.gen.tables:
            query = "SELECT * FROM %s" % table.name
            ours, theirs = rows_of(self.mill, query), rows_of(self.pg, query)
            if ours != theirs:
                raise Difference("table %s\n  PostgreSQL: %s\n  Millrace:   %s" % (table.name, theirs[:20], ours[:20]))

    def step(self):
        if self.args.columns and self.rng.random() < self.args.columns:
            self.add_column()
        if self.rng.random() < self.args.transactions:  # a transaction, seen from inside as well
            self.both("BEGIN")
            ok = True
            for _ in range(self.rng.randint(1, 4)):
                ok = self.both(self.gen.change()) and ok
                if not ok:
                    break
                if self.rng.random() < 0.5:
                    self.check()
            self.both(self.rng.choice(["COMMIT", "COMMIT", "ROLLBACK"]))
        else:
            self.both(self.gen.change(big=self.args.big and self.rng.random() < 0.5))
        self.check()

    def checkpoint(self):
        self.script.append("CHECKPOINT")
        self.mill.execute("CHECKPOINT")

    def restart(self):
        """Ends the server, orderly or not, right behind a checkpoint or later; nothing may be missing, nothing be there twice."""
        how = self.rng.choice([signal.SIGTERM, signal.SIGKILL])
        if self.rng.random() < 0.5:
            self.checkpoint()
        self.script.append("-- %s, and started again" % how.name)
        self.mill.connection.close()
        harness.restart_millrace(self.server, how)
        self.mill = harness.connect_millrace(self.server).cursor()
        self.mill.execute("SET TimeZone = 'UTC'")
        self.restarts += 1
        self.check()

    def run(self):
        for cursor in (self.mill, self.pg):
            cursor.execute("SET TimeZone = 'UTC'")
        for sql in self.gen.make_tables():
            self.both(sql)
        start = time.monotonic()
        for n in range(self.args.statements):
            # views come while there are rows and while there are none
            if len(self.views) < self.args.views and (n % 3 == 0 or n == 0):
                self.add_view()
                self.check()
            self.step()
            if self.args.restart and self.rng.random() < 0.5 / self.args.restart:
                self.checkpoint()
            if self.args.restart and (n + 1) % self.args.restart == 0:
                self.restart()
            if self.args.seconds and time.monotonic() - start > self.args.seconds:
                break
        print("seed %d: %d statements, %d views, %d comparisons (%d rows, %d with SELECT), %d skipped, %d outgrown, %d not taken, %d refused,"
              " %d restarts, %d columns added, %d statements beside a CREATE, 0 differences in %.0f s" % (self.args.seed, n + 1, len(self.views), self.checked, self.rows, self.selects, self.skipped, self.outgrown,
                                            self.invalid, self.refused, self.restarts, self.columns_added, self.beside, time.monotonic() - start), flush=True)


def run_seed(args, options, pg):
    pg.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    with harness.millrace(args.binary, *options) as server:
        oracle = Oracle(args, server, pg)
        try:
            oracle.run()
        except BaseException as e:
            print("seed %d, options %s: %s: %s" % (args.seed, options, type(e).__name__, e))
            path = "/tmp/oracle-%d.sql" % args.seed
            with open(path, "w") as f:
                f.write(";\n".join(oracle.script) + ";\n")
            print("statements so far: %s" % path)
            raise
        finally:
            oracle.mill.connection.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, from --seed on")
    parser.add_argument("--statements", type=int, default=200)
    parser.add_argument("--views", type=int, default=10)
    parser.add_argument("--batch", type=float, default=0.5, help="how often Millrace's own SELECT is compared too")
    parser.add_argument("--transactions", type=float, default=0.08, help="how often a step is an explicit transaction")
    parser.add_argument("--passes", type=float, default=0.2, help="how often a query is planned with passes switched off")
    parser.add_argument("--verbose", action="store_true", help="show what PostgreSQL does not take")
    parser.add_argument("--keep-going", action="store_true", help="report differences and go on with the next seed")
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--windows", action="store_true", help="mostly views of windows over time, count_window and gap_fill")
    parser.add_argument("--only", choices=["over", "top", "with_query"], help="views of one kind")
    parser.add_argument("--restart", type=int, default=0, help="end and start the server every N statements")
    parser.add_argument("--columns", type=float, default=0, help="how often a step adds a column to a table first")
    parser.add_argument("--big", action="store_true", help="ticks of thousands of rows")
    parser.add_argument("--beside", action="store_true", help="views are made by another session while tables change")
    args, options = parser.parse_known_args()
    if harness.SMALL:
        args.statements = max(10, args.statements // 4)
    with harness.postgres() as pg_server:
        pg = harness.connect_postgres(pg_server)
        failed = []
        for seed in range(args.seed, args.seed + args.seeds):
            args.seed = seed
            try:
                run_seed(args, options, pg)
            except Exception:
                if not args.keep_going:
                    raise
                failed.append(seed)
        pg.close()
    if failed:
        sys.exit("seeds with differences: %s" % failed)


main()
