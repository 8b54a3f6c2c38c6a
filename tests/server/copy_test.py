"""copy_test.py MILLRACE [SERVER OPTIONS]

Large COPYs inside and outside of transactions, between other changes, savepoints and reads of their own rows: after every step tables
and a view are as PostgreSQL's, and again after a restart that reads the log."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

VIEW = "SELECT a % 100 AS k, count(*) AS n, sum(a) AS total, max(b) AS b FROM t GROUP BY a % 100"
CHECKS = ("SELECT count(*), sum(a), count(b), sum(length(b)) FROM t", "SELECT * FROM v ORDER BY k", "SELECT count(*), sum(a) FROM s",
          "SELECT * FROM t WHERE a IN (0, 7, 5000, 29999, 30000) ORDER BY a, b")


def rows(first, count):
    return "".join("%d\t%s\n" % (i, "\\N" if i % 11 == 0 else "text %d %s" % (i, "é" * (i % 60))) for i in range(first, first + count))


def copy(con, table, data):
    with con.cursor().copy("COPY %s FROM STDIN" % table) as to:
        to.write(data)


def fails(con, table, data):
    try:
        copy(con, table, data)
    except Exception as problem:  # noqa: BLE001: the same on both sides
        return problem.sqlstate
    raise SystemExit("COPY did not fail")


def sql(text):
    return lambda con: con.execute(text)


def copied_and_undone(con):
    copy(con, "t", rows(0, 6000))
    copy(con, "s", rows(0, 6000))
    con.execute("ROLLBACK TO one")


STEPS = (
    ("one large COPY", lambda con: copy(con, "t", rows(0, 30000))),
    ("into the stream", lambda con: copy(con, "s", rows(0, 30000))),
    ("BEGIN", sql("BEGIN")),
    ("COPY in a block", lambda con: copy(con, "t", rows(30000, 5000))),
    ("and into the stream", lambda con: copy(con, "s", rows(30000, 5000))),
    ("DELETE of its rows", sql("DELETE FROM t WHERE a % 3 = 0")),
    ("COPY of rows deleted", lambda con: copy(con, "t", rows(29990, 4000))),
    ("SAVEPOINT", sql("SAVEPOINT one")),
    ("COPY behind it", lambda con: copy(con, "t", rows(0, 6000))),
    ("COPY that nobody has read, ROLLBACK TO", copied_and_undone),
    ("COPY of some again", lambda con: copy(con, "t", rows(100, 3000))),
    ("UPDATE", sql("UPDATE t SET b = b || '!' WHERE a < 3000")),
    ("COMMIT", sql("COMMIT")),
    ("a COPY that fails late", lambda con: fails(con, "t", rows(0, 9000) + "no number\tx\n")),
    ("BEGIN again", sql("BEGIN")),
    ("COPY to be rolled back", lambda con: copy(con, "t", rows(0, 9000))),
    ("ROLLBACK", sql("ROLLBACK")),
    ("COPY of columns", lambda con: copy(con, "t (b, a)", "".join("x%d\t%d\n" % (i, i) for i in range(5000)))),
)


def compare(what, ours, theirs):
    for check in CHECKS:
        got, expected = ours.execute(check).fetchall(), theirs.execute(check).fetchall()
        if got != expected:
            sys.exit("after %s: %s: %s, PostgreSQL has %s" % (what, check, got[:5], expected[:5]))


def main():
    binary, *options = sys.argv[1:]
    with harness.temp_dir() as base, harness.postgres() as pg:
        theirs = harness.connect_postgres(pg)
        theirs.execute("CREATE TABLE t (a bigint, b text)")
        theirs.execute("CREATE TABLE s (a bigint, b text)")
        theirs.execute("CREATE VIEW v AS " + VIEW)
        data = os.path.join(base, "data")
        mill = harness.start_millrace(binary, data, *options)
        try:
            ours = harness.connect_millrace(mill)
            ours.execute("CREATE TABLE t (a bigint, b text)")
            ours.execute("CREATE STREAM s (a bigint, b text)")
            ours.execute("CREATE MATERIALIZED VIEW v AS " + VIEW)
            for what, step in STEPS:
                results = step(ours), step(theirs)
                if isinstance(results[1], str) and results[0] != results[1]:
                    sys.exit("%s: %s, PostgreSQL says %s" % (what, *results))
                compare(what, ours, theirs)
            ours.close()
            if mill.stop() != 0:
                sys.exit(mill.log_text())
            mill = harness.start_millrace(binary, data, *options)
            ours = harness.connect_millrace(mill)
            compare("a restart", ours, theirs)
            ours.close()
        finally:
            mill.stop()
        theirs.close()
    print("%d steps, equal" % len(STEPS))


main()
