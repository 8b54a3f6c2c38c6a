"""lookup_join_test.py MILLRACE [OPTIONS OF THE SERVER]: what rows of a stream have found when they came stays, through changes of the
other side, checkpoints, kill -9 and a restart; checked against a dictionary that is changed in the same order."""

import os
import random
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

STATEMENTS = 60 if harness.SMALL else 300
VIEWS = {
    # a table, arranged once for all views; the same filtered; a side that the view keeps itself
    "inner_join": "SELECT s.k, v, name FROM s JOIN t FOR SYSTEM_TIME AS OF now() ON s.k = t.k",
    "left_join": "SELECT s.k, v, name FROM s LEFT JOIN t FOR SYSTEM_TIME AS OF now() ON s.k = t.k AND t.least <= s.v",
    "kept": "SELECT s.k, v, n FROM s LEFT JOIN sums FOR SYSTEM_TIME AS OF now() ON s.k = sums.k",
    "counted": "SELECT name, count(*) AS n, sum(v) AS total FROM left_join GROUP BY name",
}


def contents(con):
    return {name: sorted(map(str, con.execute("SELECT * FROM " + name).fetchall())) for name in VIEWS}


def expect(what, found, expected):
    for name in VIEWS:
        if found[name] != expected[name]:
            missing = [row for row in expected[name] if row not in found[name]][:5]
            extra = [row for row in found[name] if row not in expected[name]][:5]
            raise SystemExit("%s: %s differs: missing %s, too many %s" % (what, name, missing, extra))


class Model:
    """Rows found by each view, as tuples."""

    def __init__(self):
        self.table, self.rows = {}, {"inner_join": [], "left_join": [], "kept": []}

    def arrive(self, rows):
        for k, v in rows:
            name, least = self.table.get(k, (None, None))
            if k in self.table:
                self.rows["inner_join"].append((k, v, name))
            self.rows["left_join"].append((k, v, name if least is not None and least <= v else None))
            self.rows["kept"].append((k, v, least))

    def contents(self):
        out = {name: sorted(map(str, rows)) for name, rows in self.rows.items()}
        groups = {}
        for _, v, name in self.rows["left_join"]:
            n, total = groups.get(name, (0, 0))
            groups[name] = (n + 1, total + v)
        out["counted"] = sorted(str((name, *sums)) for name, sums in groups.items())
        return out


def run(con, model, rng, count):
    for _ in range(count):
        kind, k = rng.random(), rng.randrange(8)
        if kind < 0.5:
            rows = [(rng.choice([None, *range(8)]), rng.randrange(20)) for _ in range(rng.randrange(1, 6))]
            values = ", ".join("(%s, %d)" % ("NULL" if key is None else key, v) for key, v in rows)
            if kind < 0.2:  # the table changes in the same transaction: after the rows, which see it all the same
                name = "n%d" % rng.randrange(100)
                with con.transaction():
                    con.execute("INSERT INTO s VALUES " + values)
                    con.execute("DELETE FROM t WHERE k = %d" % k)
                    con.execute("INSERT INTO t VALUES (%d, '%s', 3)" % (k, name))
                model.table[k] = (name, 3)
            else:
                con.execute("INSERT INTO s VALUES " + values)
            model.arrive(rows)
        elif kind < 0.52:
            con.execute("CHECKPOINT")
        elif kind < 0.65:
            con.execute("DELETE FROM t WHERE k = %d" % k)
            model.table.pop(k, None)
        else:
            name, least = "n%d" % rng.randrange(100), rng.randrange(20)
            con.execute("INSERT INTO t VALUES (%d, '%s', %d) ON CONFLICT (k) DO UPDATE SET name = excluded.name, least = excluded.least"
                        % (k, name, least))
            model.table[k] = (name, least)


def main():
    binary, *options = sys.argv[1:]
    rng, model = random.Random(int(os.environ.get("SEED", "0"))), Model()
    with harness.temp_dir() as path:
        data = os.path.join(path, "data")
        server = harness.start_millrace(binary, data, *options)
        try:
            with harness.connect_millrace(server) as con:
                con.execute("CREATE STREAM s (k int, v int)")
                con.execute("CREATE TABLE t (k int PRIMARY KEY, name text, least int)")
                con.execute("CREATE VIEW sums AS SELECT k, sum(least) AS n FROM t GROUP BY k")
                con.execute("INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2)")
                con.execute("INSERT INTO s VALUES (1, 10), (2, 1), (7, 7)")
                model.table.update({1: ("one", 1), 2: ("two", 2)})
                model.arrive([(1, 10), (2, 1), (7, 7)])
                for name, query in VIEWS.items():
                    con.execute("CREATE MATERIALIZED VIEW %s AS %s" % (name, query))
                run(con, model, rng, STATEMENTS)
                expect("running", contents(con), model.contents())
            for again in range(2):
                server.stop(signal.SIGKILL)
                server = harness.start_millrace(binary, data, *options)
                with harness.connect_millrace(server) as con:
                    expect("after restart %d" % again, contents(con), model.contents())
                    run(con, model, rng, STATEMENTS // 3)
                    expect("going on after restart %d" % again, contents(con), model.contents())
        finally:
            server.stop()
    print(", ".join("%s %d" % (name, len(rows)) for name, rows in model.contents().items()))
    return 0


sys.exit(main())
