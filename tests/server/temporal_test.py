"""temporal_test.py MILLRACE [--seeds N] [--steps N] [--workers N]: conditions of views on now().

First against PostgreSQL: the clock is stopped, moved and set, rows come and go, and after each step every view holds what PostgreSQL
gives for the same query with the clock written in place of now(), in zones with and without summer time. Then with the clock that
runs: rows leave a view, the view over it and a subscription though nothing comes in; and a restart after kill -9 shows what was there."""

import argparse
import datetime
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

VIEWS = [
    "SELECT id, ts FROM t WHERE ts > {now} - interval '90 minutes'",
    "SELECT id FROM t WHERE ts BETWEEN {now} - interval '1 day' AND {now}",
    "SELECT id, k FROM t WHERE {now} < ts + ttl",
    "SELECT id FROM t WHERE ts > {now} - interval '1 day'",
    "SELECT id FROM t WHERE ts + interval '1 day' >= {now}",
    "SELECT id FROM t WHERE ts >= {now} - interval '1 month' AND ts < {now} + interval '1 month'",
    "SELECT id FROM t WHERE lts > {local} - interval '1 day 2 hours'",
    "SELECT id FROM t WHERE lts > {local}",
    "SELECT id FROM t WHERE d = {today}",
    "SELECT id FROM t WHERE d > {today} - 3 AND d <= {today} + 1",
    "SELECT id FROM t WHERE {today} - d < k",
    "SELECT id FROM t WHERE date_trunc('day', {now}) = date_trunc('day', ts)",
    "SELECT id FROM t WHERE date_trunc('month', ts) = date_trunc('month', {now}) AND k <> 1",
    "SELECT id FROM t WHERE ts >= date_trunc('hour', {now})",
    "SELECT id FROM t WHERE {now} - ts < interval '1 day 02:00'",
    "SELECT id FROM t WHERE ts - {now} >= interval '-3 hours'",
    "SELECT id FROM t WHERE NOT (ts < {now})",
    "SELECT id FROM t WHERE lts > {now} AT TIME ZONE 'Australia/Lord_Howe' - interval '1 hour'",
    "SELECT id FROM t WHERE ts > {now}::timestamp(0)::timestamptz",
    "SELECT id FROM t WHERE lts > {now}",
    "SELECT id FROM t WHERE d < {now} - interval '1 day'",
    "SELECT count(*), max(ts) FROM t WHERE ts > {now} - interval '2 hours'",
    "SELECT k, count(*) AS n FROM t WHERE ts <= {now} GROUP BY k HAVING max(ts) > {now} - interval '6 hours'",
    "SELECT a.id, b.id AS other FROM t a JOIN t b ON a.k = b.k AND a.ts > {now} - interval '1 hour' AND b.ts <= {now}",
    "SELECT a.id, b.id AS other FROM t a JOIN t b ON a.k = b.k AND greatest(a.ts, b.ts) > {now} - interval '1 hour' AND a.id < b.id",
    "SELECT a.id, b.id AS other FROM t a LEFT JOIN t b ON a.id = b.k AND b.ts > {now} - interval '1 hour'",
    "SELECT id FROM t a WHERE NOT EXISTS (SELECT 1 FROM t b WHERE b.k = a.k AND b.ts > {now} AND b.id <> a.id)",
    "SELECT id FROM t WHERE ts > {now} UNION SELECT k FROM t WHERE ts <= {now}",
    "SELECT k, id FROM (SELECT k, id, row_number() OVER (PARTITION BY k ORDER BY id) AS r FROM t WHERE ts > {now}) x WHERE r <= 2",
    "SELECT DISTINCT k FROM t WHERE ts > {now} - interval '3 hours'",
    "SELECT 1 AS one FROM t WHERE {now} > '2024-11-03 07:00+00'",
]
ZONES = ["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo"]
# near changes of clocks, ends of months, a leap day
STARTS = ["2024-03-10 00:00+00", "2024-11-02 20:00+00", "2024-10-26 20:00+00", "2024-02-28 12:00+00", "2024-04-06 12:00+00",
          "2018-11-03 12:00+00", "2024-01-30 20:00+00"]


def same_query(template, zone, clock):
    now = "timestamptz '%s'" % clock.isoformat()
    return template.format(now="(%s)" % now, today="((%s)::date)" % now, local="((%s)::timestamp)" % now)


def rows(con, query):
    return sorted(map(repr, con.execute(query).fetchall()))


class Run:
    def __init__(self, mill, pg, seed):
        self.rng = random.Random(seed)
        self.mill, self.pg = mill, pg
        self.zone = self.rng.choice(ZONES)
        self.clock = datetime.datetime.fromisoformat(self.rng.choice(STARTS).replace("+00", "+00:00"))
        self.ids = []
        self.next_id = 0
        self.script = []

    def both(self, sql):
        self.script.append(sql)
        self.mill.execute(sql)
        self.pg.execute(sql.replace("CREATE STREAM", "CREATE TABLE"))

    def set_clock(self):
        sql = "SET clock = '%s'" % self.clock.isoformat()
        self.script.append(sql)
        self.mill.execute(sql)

    def a_row(self):
        quarter = datetime.timedelta(minutes=15)
        ts = self.clock + quarter * self.rng.choice([self.rng.randint(-10, 10), self.rng.randint(-200, 200), self.rng.randint(-4000, 4000)])
        local = ts.replace(tzinfo=None)
        self.next_id += 1
        self.ids.append(self.next_id)
        values = ["%d" % self.next_id, "%d" % self.rng.randint(0, 4), "'%s'" % ts.isoformat(), "'%s'" % local.isoformat(),
                  "'%s'" % local.date().isoformat(), "'%d minutes'" % (15 * self.rng.randint(-8, 100))]
        if self.rng.random() < 0.1:
            values[self.rng.randint(2, 5)] = "NULL"
        return "(%s)" % ", ".join(values)

    def step(self):
        what = self.rng.random()
        if what < 0.35 or not self.ids:
            self.both("INSERT INTO t VALUES " + ", ".join(self.a_row() for _ in range(self.rng.randint(1, 6))))
        elif what < 0.45:
            self.both("DELETE FROM t WHERE id %% %d = 0" % self.rng.randint(3, 7))
        elif what < 0.55:
            self.both("UPDATE t SET ts = ts + interval '%d minutes', k = k + 1 WHERE id %% 3 = 0" % (15 * self.rng.randint(-9, 9)))
        else:
            steps = [datetime.timedelta(minutes=15), datetime.timedelta(hours=1), datetime.timedelta(hours=7),
                     datetime.timedelta(days=1), datetime.timedelta(microseconds=1)]
            self.clock += self.rng.choice(steps)
            self.set_clock()

    def check(self):
        for number, template in enumerate(VIEWS):
            expected = rows(self.pg, same_query(template, self.zone, self.clock))
            got = rows(self.mill, "SELECT * FROM v%d" % number)
            if got != expected:
                raise SystemExit("view %d: %s\n in %s at %s\n got      %s\n expected %s\n%s" % (
                    number, template, self.zone, self.clock, got, expected, ";\n".join(self.script[-40:])))
        over = rows(self.mill, "SELECT * FROM over_v0")
        expected = rows(self.pg, "SELECT count(*) FROM (%s) x" % same_query(VIEWS[0], self.zone, self.clock))
        if over != expected:
            raise SystemExit("view over a view: got %s expected %s" % (over, expected))

    def run(self, steps):
        for con in (self.mill, self.pg):
            con.execute("SET timezone = '%s'" % self.zone)
        self.set_clock()
        self.both("CREATE TABLE t (id int PRIMARY KEY, k int, ts timestamptz, lts timestamp, d date, ttl interval)")
        self.both("INSERT INTO t VALUES " + ", ".join(self.a_row() for _ in range(20)))
        for number, template in enumerate(VIEWS):
            self.mill.execute("CREATE MATERIALIZED VIEW v%d AS %s" % (
                number, template.format(now="now()", today="current_date", local="localtimestamp")))
        self.mill.execute("CREATE MATERIALIZED VIEW over_v0 AS SELECT count(*) FROM v0")
        self.check()
        for _ in range(steps):
            self.step()
            self.check()
        # far ahead nothing waits any more
        self.both("DELETE FROM t")
        self.check()
        self.mill.execute("DROP TABLE t CASCADE")
        self.pg.execute("DROP TABLE t")
        return steps * (len(VIEWS) + 1)


def compare_with_postgres(args):
    checks = 0
    with harness.millrace(args.millrace, "--workers", str(args.workers)) as server, harness.postgres() as pg_server:
        with harness.connect_millrace(server) as mill, harness.connect_postgres(pg_server) as pg:
            for seed in range(args.seed, args.seed + args.seeds):
                checks += Run(mill, pg, seed).run(args.steps)
            mill.execute("SET clock = 'system'")
    return checks


def until(con, query, expected, seconds=60):
    """Waits until a query has its answer; the time it may take is only there to end."""
    deadline = time.monotonic() + seconds
    while True:
        got = con.execute(query).fetchall()
        if got == expected:
            return
        if time.monotonic() > deadline:
            raise SystemExit("%s: still %s, not %s" % (query, got, expected))
        time.sleep(0.02)


def with_the_real_clock(args):
    with harness.temp_dir() as base:
        data = os.path.join(base, "data")
        server = harness.start_millrace(args.millrace, data, "--workers", str(args.workers))
        try:
            con = harness.connect_millrace(server)
            reader = harness.connect_millrace(server)
            con.execute("CREATE TABLE t (id int PRIMARY KEY, ts timestamptz)")
            con.execute("CREATE MATERIALIZED VIEW young AS SELECT id FROM t WHERE ts > now() - interval '1 second'")
            con.execute("CREATE MATERIALIZED VIEW how_many AS SELECT count(*) AS n FROM young")
            con.execute("CREATE MATERIALIZED VIEW later AS SELECT id FROM t WHERE ts <= now()")
            reader.execute("SET fetch_timeout = 60000")
            reader.execute("DECLARE c CURSOR WITH HOLD FOR SUBSCRIBE young")
            con.execute("INSERT INTO t VALUES (1, now()), (2, now() + interval '1 second'), (3, now() - interval '1 hour')")
            # nothing comes in from here on
            seen = []
            while len(seen) < 4:
                seen += [(row[1], row[2]) for row in reader.execute("FETCH 1 FROM c").fetchall()]
            if sorted(seen) != [(-1, 1), (-1, 2), (1, 1), (1, 2)]:
                raise SystemExit("the subscription gave %s" % seen)
            until(con, "SELECT id FROM young", [])
            until(con, "SELECT n FROM how_many", [(0,)])
            until(con, "SELECT id FROM later ORDER BY id", [(1,), (2,), (3,)])
            con.execute("INSERT INTO t VALUES (4, now() + interval '1 day'), (5, now() + interval '2 seconds')")
            until(con, "SELECT id FROM young ORDER BY id", [(4,), (5,)])
            con.execute("CHECKPOINT")
            server.stop(signal.SIGKILL)
            server = harness.start_millrace(args.millrace, data, "--workers", str(args.workers))
            con = harness.connect_millrace(server)
            # what waited goes on to leave by itself
            until(con, "SELECT id FROM young", [(4,)])
            until(con, "SELECT n FROM how_many", [(1,)])
            until(con, "SELECT id FROM later ORDER BY id", [(1,), (2,), (3,), (5,)])
        finally:
            server.stop(signal.SIGKILL)


RECOVERED = {
    "totals": "SELECT k, window_end, count(*) AS n FROM tumble(s, ts, INTERVAL '1 minute') GROUP BY k, window_start, window_end EMIT FINAL",
    "visits": "SELECT k, window_start, window_end, count(*) AS n FROM session(s, ts, INTERVAL '20 seconds', k) "
              "GROUP BY k, window_start, window_end EMIT FINAL",
    "young": "SELECT k, count(*) AS n FROM s WHERE ts > now() - interval '5 minutes' GROUP BY k",
    "past": "SELECT k, ts FROM s WHERE ts <= now()",
    "in_periods": "SELECT k, count(*) AS n FROM s GROUP BY k EMIT EVERY INTERVAL '1 minute'",
}


def after_a_crash(args):
    """The same rows are there after kill -9, with and without checkpoints before: final ones, waiting ones, those of the last
    period."""
    rng = random.Random(args.seed)
    # ahead of the machine's clock, which goes until the clock is set again: nothing is due by it
    start = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=2)).replace(microsecond=0)

    def contents(con):
        return {name: rows(con, "SELECT * FROM %s" % name) for name in [*RECOVERED, "alive"]}

    with harness.temp_dir() as base:
        data = os.path.join(base, "data")
        server = harness.start_millrace(args.millrace, data, "--workers", str(args.workers))
        try:
            con = harness.connect_millrace(server)
            con.execute("SET clock = '%s'" % start.isoformat())
            con.execute("CREATE STREAM s (k int, ts timestamptz, WATERMARK FOR ts AS ts - INTERVAL '10 seconds')")
            for name, query in RECOVERED.items():
                con.execute("CREATE MATERIALIZED VIEW %s AS %s" % (name, query))
            con.execute("CREATE MATERIALIZED VIEW alive WITH (state_ttl = '3 minutes') AS SELECT k, count(*) AS n FROM s GROUP BY k")
            clock = start
            for step in range(60):
                clock += datetime.timedelta(seconds=rng.randint(0, 20))
                con.execute("SET clock = '%s'" % clock.isoformat())
                times = [clock + datetime.timedelta(seconds=rng.randint(-40, 30)) for _ in range(rng.randint(0, 4))]
                if times:
                    con.execute("INSERT INTO s VALUES " + ", ".join("(%d, '%s')" % (rng.randint(1, 3), ts.isoformat()) for ts in times))
                if rng.random() < 0.1:
                    con.execute("CHECKPOINT")
                if step % 20 != 19:
                    continue
                before = contents(con)
                if any(not found for found in before.values()):
                    raise SystemExit("nothing to compare in %s" % [name for name, found in before.items() if not found])
                server.stop(signal.SIGKILL)
                server = harness.start_millrace(args.millrace, data, "--workers", str(args.workers))
                con = harness.connect_millrace(server)
                after = contents(con)
                if after != before:
                    raise SystemExit("after kill -9\n%s\nnot\n%s" % (after, before))
        finally:
            server.stop(signal.SIGKILL)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("millrace")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=2 if harness.SMALL else 5)
    parser.add_argument("--steps", type=int, default=20 if harness.SMALL else 60)
    parser.add_argument("--workers", default="1")
    args = parser.parse_args()
    print("%d comparisons" % compare_with_postgres(args))
    after_a_crash(args)
    with_the_real_clock(args)
    print("ok")


main()
