"""event_time_test.py MILLRACE [OPTIONS OF THE SERVER]: the same recorded input, in transactions of 1, 7, 600 and 10,000 rows, slowly and at
once, gives the same final results, the same late rows and the same counts, and those that judging row after row gives; and so do checkpoints
and kill -9 in the middle of the input, a restart after it, and views made afterwards."""

import os
import random
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

EVENTS = 600 if harness.SMALL else 4000
DELAY = 5_000_000
START = "timestamp '2026-03-29 00:00:00'"  # microseconds of events count from here

VIEWS = {
    "tumbled": "SELECT window_end, k, count(*) AS n, sum(v) AS total FROM tumble(s, ts, INTERVAL '10 seconds') GROUP BY window_start, window_end, k EMIT FINAL",
    "hopped": "SELECT window_end, k, count(*) AS n, max(v) AS top FROM hop(s, ts, INTERVAL '5 seconds', INTERVAL '15 seconds') GROUP BY window_end, k EMIT FINAL",
    "hop_sums": "SELECT window_end, count(*) AS n, sum(v) AS total FROM hop(s, ts, INTERVAL '5 seconds', INTERVAL '15 seconds') GROUP BY window_end EMIT FINAL",
    "cumulated": "SELECT window_start, window_end, count(*) AS n FROM cumulate(s, ts, INTERVAL '5 seconds', INTERVAL '20 seconds')"
                 " GROUP BY window_start, window_end EMIT FINAL",
    "sessions": "SELECT window_start, window_end, k, count(*) AS n FROM session(s, ts, INTERVAL '4 seconds', k) GROUP BY window_start, window_end, k EMIT FINAL",
    "days": "SELECT window_end, count(*) AS n FROM tumble(s, ts, INTERVAL '1 minute', \"offset\" => INTERVAL '20 seconds') GROUP BY window_end EMIT FINAL",
    "different": "SELECT DISTINCT k, ts FROM s",
    "numbered": "SELECT k, ts, v, row_number() OVER (PARTITION BY k ORDER BY ts, v) AS n FROM s EMIT FINAL",
    "running": "SELECT k, ts, v, sum(v) OVER w AS total, lag(v, 2) OVER w AS earlier FROM s WINDOW w AS (PARTITION BY k ORDER BY ts, v) EMIT FINAL",
    "before": "SELECT a.k, a.ts, a.v, b.ts AS other, b.v AS w FROM s a ASOF LEFT JOIN s b ON a.k = b.k AND a.ts > b.ts EMIT FINAL",
    "highest": "SELECT DISTINCT ON (k) k, ts, v FROM s ORDER BY k, v DESC, ts",
    "pairs": "SELECT a.k, a.ts, a.v, b.ts AS other, b.v AS w FROM s a LEFT JOIN s b ON a.k = b.k AND b.ts > a.ts AND b.ts <= a.ts + INTERVAL '1 second'"
             " EMIT FINAL",
    "tops": "SELECT window_end, k, v FROM (SELECT window_end, k, v, row_number() OVER (PARTITION BY window_end ORDER BY v DESC, ts, k) AS n"
            " FROM tumble(s, ts, INTERVAL '10 seconds')) AS t WHERE n <= 2 EMIT FINAL",
    "ranked": "SELECT window_end, k, v FROM (SELECT window_end, k, v, rank() OVER (PARTITION BY window_end ORDER BY v DESC) AS n"
              " FROM tumble(s, ts, INTERVAL '10 seconds')) AS t WHERE n <= 2 EMIT FINAL",
    "passed": "SELECT k, ts, v FROM s WHERE v % 3 > 0",
    "passed_windows": "SELECT window_end, count(*) AS n FROM tumble(passed, ts, INTERVAL '10 seconds') GROUP BY window_end EMIT FINAL",
    "graced": "SELECT window_end, count(*) AS n FROM tumble(s, ts, INTERVAL '10 seconds') GROUP BY window_end EMIT FINAL",
}
OPTIONS = {"graced": "WITH (grace = '7 seconds')"}
LATE = ["tumbled", "hopped", "hop_sums", "cumulated", "sessions", "different", "passed_windows", "graced"]


def recorded(seed):
    """Rows (us, key, value): mostly in order, some behind, some far behind; ties and exact bounds on purpose."""
    rng = random.Random(seed)
    now, rows = 0, []
    for _ in range(EVENTS):
        now += rng.choice([0, 1, 1_000_000, rng.randrange(2_000_000), rng.randrange(200_000)])
        back = rng.choice([0, 0, 0, 0, DELAY, rng.randrange(DELAY), rng.randrange(30_000_000)])
        us = max(0, now - back)
        if rng.random() < 0.1:
            us -= us % 1_000_000
        rows.append((us, rng.randrange(4), rng.randrange(100)))
    rows.append((now + 600_000_000, 0, 0))  # closes everything before
    return rows


def reference(rows, ends_of, grace=0):
    """(final counts by window end, late pairs): each row judged by the watermark of the rows before it."""
    watermark, counts, late = None, {}, 0
    for us, _, _ in rows:
        for end in ends_of(us):
            if watermark is not None and end + grace <= watermark:
                late += 1
            else:
                counts[end] = counts.get(end, 0) + 1
        watermark = max(us - DELAY, watermark if watermark is not None else us - DELAY)
    return {end: n for end, n in counts.items() if end + grace <= watermark}, late


def tumble(size):
    return lambda us: [us - us % size + size]


def hop(slide, size):
    return lambda us: [start + size for start in range(us - us % slide, us - size, -slide)]


def create_views(con):
    for name, query in VIEWS.items():
        con.execute("CREATE MATERIALIZED VIEW %s %s AS %s" % (name, OPTIONS.get(name, ""), query))


def contents(con):
    out = {}
    for name in VIEWS:
        out[name] = sorted(map(str, con.execute("SELECT * FROM " + name).fetchall()))
    for name in LATE:
        out["late " + name] = sorted(map(str, con.execute("SELECT * FROM late_rows('%s')" % name).fetchall()))
    return out


class Run:
    """A server with the stream and its views, that can be killed and started again."""

    def __init__(self, binary, path, options):
        self.start = lambda: harness.start_millrace(binary, path, *options)
        self.server = self.start()
        self.con = harness.connect_millrace(self.server)

    def restart(self):
        self.con.close()
        self.server.stop(signal.SIGKILL)
        self.server = self.start()
        self.con = harness.connect_millrace(self.server)
        if "filled again" in self.server.log_text():  # from rows, when its state was not taken back
            raise SystemExit(self.server.log_text())

    def set_clock(self):
        self.con.execute("SET clock = '2026-05-01 00:00:00+00'")

    def feed(self, rows, size, slowly, rng):
        """With rng: killed some transactions after a checkpoint, now and then."""
        count = (len(rows) + size - 1) // size
        checkpoints = set(rng.sample(range(count), 5)) if rng else ()
        kills = {at + rng.randrange(4) for at in checkpoints if rng.random() < 0.7} if rng else ()
        for number in range(count):
            first = number * size
            if number in checkpoints:
                self.con.execute("CHECKPOINT")
            values = ", ".join("(%s + INTERVAL '%d microseconds', %d, %d)" % (START, *row) for row in rows[first:first + size])
            self.con.execute("INSERT INTO s VALUES " + values)
            if slowly and first % 50 == 0:
                self.con.execute("SELECT advance_clock(INTERVAL '1 minute')")
            if number in kills:
                found = contents(self.con)
                self.restart()
                compare("transactions of %d rows, killed behind number %d of %d" % (size, number, count), found, contents(self.con))
                self.set_clock()


def compare(what, one, other):
    for key in one:
        if one[key] != other[key]:
            missing = [row for row in one[key] if row not in other[key]][:5]
            extra = [row for row in other[key] if row not in one[key]][:5]
            raise SystemExit("%s: %s differs: only first %s, only second %s" % (what, key, missing, extra))


def check_reference(con, rows):
    for name, ends_of, grace in [("tumbled", tumble(10_000_000), 0), ("hop_sums", hop(5_000_000, 15_000_000), 0),
                                 ("graced", tumble(10_000_000), 7_000_000)]:
        counts, late = reference(rows, ends_of, grace)
        found = con.execute("SELECT extract(epoch FROM window_end - %s) * 1000000, sum(n) FROM %s GROUP BY 1" % (START, name)).fetchall()
        found = {int(end): int(n) for end, n in found}
        if found != counts:
            raise SystemExit("%s: %d windows, expected %d; differing: %s" % (
                name, len(found), len(counts), sorted(set(found.items()) ^ set(counts.items()))[:6]))
        late_found = con.execute("SELECT count(*) FROM late_rows('%s')" % name).fetchone()[0]
        if late_found != late:
            raise SystemExit("%s: %d late pairs, expected %d" % (name, late_found, late))
        judged, counted = con.execute("SELECT judged, late FROM millrace.relations WHERE name = '%s'" % name).fetchone()
        pairs = sum(len(ends_of(row[0])) for row in rows)
        if (judged, counted) != (pairs, late):
            raise SystemExit("%s: %d judged and %d late, expected %d and %d" % (name, judged, counted, pairs, late))
        print("%s: %d windows, %d late of %d pairs" % (name, len(found), late, pairs))


def check_pairs(con, rows):
    pairs = reference_pairs(rows)
    found = con.execute("SELECT k, extract(epoch FROM ts - {0}) * 1000000, v, extract(epoch FROM other - {0}) * 1000000, w FROM pairs".format(START))
    found = sorted(tuple(-1 if value is None else int(value) for value in row) for row in found.fetchall())
    if found != pairs:
        raise SystemExit("pairs: %s" % sorted(set(found) ^ set(pairs))[:6])


def reference_pairs(rows):
    """The interval join of the rows that are not behind their watermark, without left rows that still wait."""
    watermark, accepted = -1 << 60, []
    for row in rows:
        if row[0] >= watermark:
            accepted.append(row)
        watermark = max(watermark, row[0] - DELAY)
    out = []
    for us, k, v in accepted[:-1]:
        found = [(k, us, v, other[0], other[2]) for other in accepted if other[1] == k and us < other[0] <= us + 1_000_000]
        out += found or [(k, us, v, -1, -1)]
    return sorted(out)


def main():
    binary, *options = sys.argv[1:]
    seed = int(os.environ.get("SEED", "0"))
    rows = recorded(seed)
    first = None
    for size, slowly in [(10_000, False), (600, False), (7, True), (1, False)]:
        with harness.temp_dir() as path:
            run = Run(binary, os.path.join(path, "data"), options)
            try:
                run.con.execute("CREATE STREAM s (ts timestamp, k int, v int, WATERMARK FOR ts AS ts - INTERVAL '5 seconds')")
                create_views(run.con)
                run.set_clock()
                run.feed(rows, size, slowly, random.Random(seed + size) if size < EVENTS / 5 else None)
                found = contents(run.con)
                if first is None:
                    first = found
                    check_pairs(run.con, rows)
                compare("seed %d, transactions of %d rows" % (seed, size), first, found)
                check_reference(run.con, rows)
                for when in ["after a restart", "after a checkpoint and a restart"]:
                    run.restart()
                    compare("seed %d, transactions of %d rows, %s" % (seed, size, when), first, contents(run.con))
                    check_reference(run.con, rows)
                    run.con.execute("CHECKPOINT")
                for name in reversed(VIEWS):
                    run.con.execute("DROP MATERIALIZED VIEW " + name)
                create_views(run.con)
                compare("seed %d, transactions of %d rows, views made afterwards" % (seed, size), first, contents(run.con))
                moves = re.findall(r"stays in \d+ shards", run.server.log_text())
                if any("," in option for option in options) and not moves:
                    raise SystemExit("no start had another number of workers than shards")
            finally:
                run.server.stop()
        print("seed %d, %d rows in transactions of %d: %s" % (
            seed, len(rows), size, ", ".join("%s %d" % (key, len(value)) for key, value in found.items())))
    return 0


sys.exit(main())
