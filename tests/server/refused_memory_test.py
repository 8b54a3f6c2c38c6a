"""refused_memory_test.py: the operating system refuses the server memory (a limit of its address space): the statement that
holds much of it fails with 53200, others and the server go on, and nothing is lost.

usage: refused_memory_test.py MILLRACE
"""

import os
import resource
import sys

import psycopg

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

MB = 1 << 20


def address_space(pid):
    with open("/proc/%d/statm" % pid) as f:
        return int(f.read().split()[0]) * resource.getpagesize()


def connect(server):
    return psycopg.connect(host="127.0.0.1", port=server.port, user="test", dbname="test", autocommit=True)


def main():
    binary = sys.argv[1]
    if harness.SMALL:  # a sanitizer's allocator ends the process itself
        print("ok (not under sanitizers)")
        return
    with harness.millrace(binary, "--workers", "1") as server, connect(server) as conn, connect(server) as other:
        conn.execute("CREATE TABLE kept (id int PRIMARY KEY, s text)")
        conn.execute("INSERT INTO kept SELECT i, repeat('x', 50) FROM generate_series(1, 20000) i")
        conn.execute("CREATE MATERIALIZED VIEW counted AS SELECT id % 10 AS k, count(*) AS n FROM kept GROUP BY 1")
        other.execute("SELECT 1")
        greedy = "SELECT count(*) FROM (SELECT i, repeat('y', 200) AS s FROM generate_series(1, 5000000) i ORDER BY s DESC) x"
        for round in range(3):
            limit = address_space(server.pid) + 256 * MB
            resource.prlimit(server.pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
            try:
                conn.execute(greedy)
                raise AssertionError("a statement got more memory than there is")
            except psycopg.errors.OutOfMemory as error:
                assert "refuses memory" in str(error), error
                assert "This statement holds" in error.diag.message_detail, error.diag.message_detail
            # the session goes on, and the other
            conn.execute("INSERT INTO kept VALUES (%s, 'after')", [-1 - round])
            assert other.execute("SELECT count(*) FROM kept").fetchone() == (20001 + round,)
            assert other.execute("SELECT sum(n)::int FROM counted").fetchone() == (20001 + round,)
            resource.prlimit(server.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        harness.restart_millrace(server, 9)
        with connect(server) as again:
            assert again.execute("SELECT count(*), count(*) FILTER (WHERE s = 'after') FROM kept").fetchone() == (20003, 3)
            assert again.execute("SELECT sum(n)::int FROM counted").fetchone() == (20003,)
    print("ok")


if __name__ == "__main__":
    main()
