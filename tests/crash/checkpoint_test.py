"""checkpoint_test.py MILLRACE [--rounds N] [--seed S]: checkpoints, kill -9 and restarts between random changes; after each restart every view
equals its query, every table what it was, and only the log's tail is replayed."""

import argparse
import contextlib
import os
import random
import re
import signal
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

TABLES = [
    "CREATE TABLE item (id int PRIMARY KEY, kind int, name text, price numeric)",
    "CREATE TABLE part (id int, item int, amount float8, note text)",
    "CREATE STREAM event (id int, item int, at timestamp, what text)",
    "CREATE SEQUENCE seq",
]
VIEWS = {
    "by_kind": "SELECT kind, count(*) AS n, sum(price) AS s, min(price) AS lo, max(name) AS hi FROM item GROUP BY kind",
    "averages": "SELECT item, avg(amount) AS a, stddev(amount) AS d, sum(amount) AS s FROM part GROUP BY item",
    "joined": "SELECT i.id, i.name, p.amount, p.note FROM item i JOIN part p ON p.item = i.id",
    "kept": "SELECT i.id, p.id AS part FROM item i LEFT JOIN part p ON p.item = i.id AND p.amount > 10",
    "kinds": "SELECT DISTINCT kind, note FROM item JOIN part ON item.id = part.item",
    "counted": "SELECT item, count(DISTINCT what) AS w, count(DISTINCT at) AS a, string_agg(what, ',' ORDER BY what) AS t"
               " FROM event GROUP BY item",
    "newest": "SELECT DISTINCT ON (item) item, id, what FROM event ORDER BY item, at DESC, id DESC",
    "ranked": "SELECT id, kind, row_number() OVER (PARTITION BY kind ORDER BY price, id) AS r,"
              " sum(price) OVER (PARTITION BY kind ORDER BY id) AS s FROM item",
    "top": "SELECT id, price FROM item ORDER BY price DESC, id LIMIT 5",
    "hourly": "SELECT window_start, item, count(*) AS n FROM tumble(event, at, INTERVAL '1 hour')"
              " GROUP BY window_start, item",
    "visits": "SELECT window_start, window_end, item, count(*) AS n FROM"
              " session(event, at, INTERVAL '10 minutes', item)"
              " GROUP BY window_start, window_end, item",
    "without": "SELECT id FROM item EXCEPT SELECT item FROM part",
    "meets": "SELECT kind FROM item INTERSECT ALL SELECT item FROM event",
    "lonely": "SELECT id FROM item WHERE NOT EXISTS (SELECT 1 FROM event WHERE event.item = item.id)",
    "single": "SELECT (SELECT max(price) FROM item) AS highest, count(*) AS n FROM part",
    "raw": "SELECT id, item, what FROM event WHERE item % 2 = 0",
    "failing": "SELECT id, 100 / (kind - 3) AS q FROM item",
}
OVER_VIEWS = {"above": ("SELECT kind, n * 2 AS twice FROM by_kind", "SELECT kind, count(*) * 2 AS twice FROM item GROUP BY kind")}


class Workload:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.event = 0

    def statement(self):
        rng = self.rng
        item, kind = rng.randrange(60), rng.randrange(6)
        text = rng.choice(["", "a", "blue", "a rather long text, that does not fit into a view of it %d" % rng.randrange(9)])
        how = rng.randrange(12)
        if how < 3:
            return ("INSERT INTO item VALUES (%d, %d, '%s', %s) ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, price ="
                    " excluded.price" % (item, kind, text, rng.choice(["1.5", "2.50", "1e3", "NULL", "7"])))
        if how < 5:
            return "INSERT INTO part SELECT g, %d + g %% 3, %s * g, '%s' FROM generate_series(1, %d) g" % (
                item, rng.choice(["0.1", "3", "-1e10"]), text, rng.choice([1, 3, 20]))
        if how < 8:
            rows = []
            for _ in range(rng.choice([1, 5, 50])):
                self.event += 1
                rows.append("(%d, %d, timestamp '2026-01-01' + interval '%d minutes', '%s')" % (
                    self.event, rng.randrange(60), rng.randrange(3000), text))
            return "INSERT INTO event VALUES " + ", ".join(rows)
        if how == 8:
            return "DELETE FROM item WHERE id = %d" % item
        if how == 9:
            return "DELETE FROM part WHERE item = %d AND id %% 2 = 0" % item
        if how == 10:
            return "UPDATE part SET amount = amount + 1, note = '%s' WHERE item = %d" % (text, item)
        return "UPDATE item SET price = price + 1 WHERE kind = %d" % kind


def contents(con, sql):
    return sorted(con.execute(sql).fetchall(), key=repr)


def rounded(rows):
    return [tuple(float("%.9g" % v) if isinstance(v, float) else v for v in row) for row in rows]


def verify(con, when):
    for name, sql in VIEWS.items():
        if name == "failing":
            sql += " WHERE kind <> 3"
        view, fresh = rounded(contents(con, "SELECT * FROM " + name)), rounded(contents(con, sql))
        assert view == fresh, "%s: view %s differs\n%s\n%s" % (when, name, view, fresh)
    for name, (_, sql) in OVER_VIEWS.items():
        assert contents(con, "SELECT * FROM " + name) == contents(con, sql), (when, name)
    failed = con.execute("SELECT coalesce(sum(count), 0) FROM millrace.view_errors WHERE view = 'failing'").fetchone()[0]
    assert failed == con.execute("SELECT count(*) FROM item WHERE kind = 3").fetchone()[0], when


def tables(con):
    return {name: contents(con, "SELECT * FROM " + name) for name in ("item", "part", "event")}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=6 if harness.SMALL else 15)
    parser.add_argument("--seed", type=int, default=1)
    args, options = parser.parse_known_args()
    rng = random.Random(args.seed)
    workload = Workload(args.seed)
    with harness.temp_dir() as base:
        data = os.path.join(base, "data")
        settings = ["--checkpoint-interval", "0"] + options
        server = harness.start_millrace(args.binary, data, *settings)
        con = harness.connect_millrace(server)
        for sql in TABLES:
            con.execute(sql)
        pending = list(VIEWS.items()) + [(name, sqls[0]) for name, sqls in OVER_VIEWS.items()]
        for round_number in range(args.rounds):
            for _ in range(3 if round_number > 0 else len(pending)):
                if pending:  # a few views are newer than the first checkpoints
                    name, sql = pending.pop(0)
                    con.execute("CREATE MATERIALIZED VIEW %s AS %s" % (name, sql))
            for _ in range(rng.choice([3, 30, 100])):
                con.execute(workload.statement())
            if rng.random() < 0.3:
                con.execute("CREATE INDEX IF NOT EXISTS item_kind ON item (kind)")
            tail = 0
            if round_number % 4 != 3:
                con.execute("CHECKPOINT")
                if rng.random() < 0.3:  # at once again
                    con.execute("CHECKPOINT")
                tail = rng.choice([0, 1, 20])
                for _ in range(tail):
                    con.execute(workload.statement())
            value = con.execute("SELECT nextval('seq')").fetchone()[0]
            before = tables(con)
            how = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
            con.close()
            server.stop(how)
            server = harness.start_millrace(args.binary, data, *settings)
            con = harness.connect_millrace(server)
            when = "round %d, signal %d" % (round_number, how)
            assert tables(con) == before, when
            assert con.execute("SELECT nextval('seq')").fetchone()[0] > value, when
            verify(con, when)
            replayed = re.findall(r"recovered \d+ objects and (\d+) ticks", server.log_text())
            if how == signal.SIGTERM:
                assert int(replayed[-1]) == 0, (when, replayed)
            elif round_number % 4 != 3:
                assert int(replayed[-1]) <= tail + 4, (when, tail, replayed)
            print("%s: %s ticks replayed" % (when, replayed[-1]), flush=True)
        moves = re.findall(r"moved from (\d+) to (\d+) shards", server.log_text())
        if any("," in option for option in options):
            assert len(moves) >= 3 and "stays in" not in server.log_text(), server.log_text()
        con.close()
        server.stop()
        with contextlib.closing(sqlite3.connect(os.path.join(data, "state.db"))) as db:
            left = db.execute("SELECT count(*) FROM piece WHERE dropped IS NULL AND shard >="
                              " (SELECT shards FROM checkpoint ORDER BY number DESC LIMIT 1)").fetchone()[0]
            assert left == 0, "%d pieces of shards that are no more" % left
    print("checkpoint: %d rounds, moved %s" % (args.rounds, ", ".join("%s to %s" % move for move in moves) or "never"))


main()
