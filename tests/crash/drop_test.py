"""drop_test.py MILLRACE: tables and views are dropped while a checkpoint copies them; it goes on without them."""

import os
import random
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import psycopg  # noqa: E402

TABLES = 6
ROWS = 20000 if harness.SMALL else 60000
VIEW = "CREATE MATERIALIZED VIEW v%d AS SELECT a %% 30000 AS k, count(*) AS n, max(b) AS m FROM t%d GROUP BY 1"


def checkpoint(server, errors):
    try:
        con = harness.connect_millrace(server)
        con.execute("CHECKPOINT")
        con.close()
    except psycopg.Error as e:
        errors.append(e)


def main():
    rng = random.Random(1)
    with harness.millrace(sys.argv[1], *sys.argv[2:]) as server:
        con = harness.connect_millrace(server)
        con.execute("CREATE TABLE stays AS SELECT i AS a FROM generate_series(1, 1000) AS g(i)")
        con.execute("CREATE MATERIALIZED VIEW sums AS SELECT sum(a) AS s FROM stays")
        for _ in range(5):
            for t in range(TABLES):
                con.execute("CREATE TABLE t%d (a int, b text)" % t)
                con.execute("INSERT INTO t%d SELECT i, 'x' || i FROM generate_series(1, %d) AS g(i)" % (t, ROWS))
                con.execute(VIEW % (t, t))
            errors = []
            thread = threading.Thread(target=checkpoint, args=(server, errors))
            thread.start()
            for t in rng.sample(range(TABLES), TABLES):
                con.execute("DROP MATERIALIZED VIEW v%d" % t)
                con.execute("DROP TABLE t%d" % t)
            thread.join()
            assert not errors, errors
        con.execute("CHECKPOINT")
        con.close()
        harness.restart_millrace(server, harness.signal.SIGKILL)
        con = harness.connect_millrace(server)
        assert con.execute("SELECT s FROM sums").fetchall() == [(500500,)]
        con.close()
    print("ok")


main()
