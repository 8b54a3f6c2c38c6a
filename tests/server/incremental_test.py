"""incremental_test.py MILLRACE: the work of a change does not grow with the data: counted in rows handed to operators, not in time.

Also: a view that the change does not reach costs nothing, and views that join the same relations on the same keys share arrangements."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

VIEWS = {
    "filtered": "SELECT id, v * 2 AS w FROM t WHERE v > 5",
    "grouped": "SELECT g, count(*) AS n, sum(v) AS s, min(v) AS lo, max(v) AS hi, count(DISTINCT v) AS d FROM t GROUP BY g",
    "joined": "SELECT t.id, d.name FROM t JOIN d ON t.g = d.g",
    "padded": "SELECT t.id, d.name FROM t LEFT JOIN d ON t.g = d.g",
    "semi": "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM d WHERE d.g = t.g AND d.name <> 'x')",
    "scalar": "SELECT id, (SELECT max(name) FROM d WHERE d.g = t.g) AS m FROM t",
    "top": "SELECT id, v FROM t ORDER BY v DESC, id LIMIT 5",
    "best": "SELECT DISTINCT ON (g) g, id, v FROM t ORDER BY g, v DESC, id",
    "merged": "SELECT g FROM t UNION SELECT g FROM d",
    "latest": "SELECT id, row_number() OVER w AS n, sum(v) OVER w AS s, lag(v) OVER w AS l, avg(v) OVER (ORDER BY id DESC ROWS 10 PRECEDING) AS a"
              " FROM t WINDOW w AS (ORDER BY id DESC)",
    "near": "SELECT id, sum(v) OVER (ORDER BY id RANGE BETWEEN 5 PRECEDING AND 5 FOLLOWING) AS s, lead(v, 3) OVER (ORDER BY id) AS l FROM t",
    "chained": "SELECT n, count(*) AS groups FROM grouped GROUP BY n",
}


def processed(con):
    return con.execute("SELECT rows_processed FROM millrace.engine").fetchone()[0]


def cost(con, sql):
    before = processed(con)
    con.execute(sql)
    return processed(con) - before


def fill(con, rows):
    con.execute("CREATE TABLE t (id int PRIMARY KEY, g int, v int)")
    con.execute("CREATE TABLE d (g int PRIMARY KEY, name text)")
    con.execute("INSERT INTO d SELECT g, 'name ' || g FROM generate_series(0, %d) g" % (rows // 10))
    con.execute("INSERT INTO t SELECT i, i / 10, i %% 97 FROM generate_series(0, %d) i" % (rows - 1))


def main():
    costs = {}
    sizes = (500, 20000)
    for rows in sizes:
        with harness.millrace(sys.argv[1]) as server, harness.connect_millrace(server) as con:
            fill(con, rows)
            for name, sql in VIEWS.items():
                con.execute("CREATE MATERIALIZED VIEW %s AS %s" % (name, sql))
            costs[rows] = [cost(con, sql) for sql in (
                "INSERT INTO t VALUES (-1, 7, 50)", "UPDATE t SET v = 51 WHERE id = -1", "UPDATE t SET g = 8 WHERE id = -1",
                "DELETE FROM t WHERE id = -1", "UPDATE d SET name = 'other' WHERE g = 9", "DELETE FROM d WHERE g = 9")]
            print("%d rows: rows handed to operators per one-row change: %s" % (rows, costs[rows]))
    for small, large in zip(costs[sizes[0]], costs[sizes[1]]):
        assert large <= small + 5 and large > 0, costs
    with harness.millrace(sys.argv[1]) as server, harness.connect_millrace(server) as con:
        fill(con, 1000)
        con.execute("CREATE TABLE apart (x int)")
        con.execute("CREATE MATERIALIZED VIEW joined AS " + VIEWS["joined"])
        assert cost(con, "INSERT INTO apart VALUES (1)") == 0, "a view that is not reached was run"
        one = cost(con, "INSERT INTO t VALUES (-1, 7, 50)")
        state = con.execute("SELECT sum(state_bytes) FROM millrace.relations WHERE kind = 'materialized view'").fetchone()[0]
        con.execute("CREATE MATERIALIZED VIEW joined_again AS SELECT d.name, t.id FROM t JOIN d ON t.g = d.g")
        two = cost(con, "INSERT INTO t VALUES (-2, 7, 50)")
        assert two < 2 * one, "arrangements are not shared: %d rows for one view, %d for two" % (one, two)
        assert state > 0
        print("shared arrangements: %d rows for one view, %d for two" % (one, two))


main()
