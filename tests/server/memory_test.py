"""memory_test.py MILLRACE [--workers N] [--limit MB]: memory limits. A join whose state is five times the server's limit gives the right result
while the process stays below it; statements, views and a full disk get their errors and leave the rest as it was."""

import argparse
import os
import random
import resource
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

MB = 1 << 20
CELL = 400  # bytes of text in a row


def status(server):
    """Resident and peak bytes of the process."""
    with open("/proc/%d/status" % server.pid) as f:
        fields = dict(line.split(":", 1) for line in f)
    return {name: int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM", "RssAnon")}


def expect_error(con, sql, sqlstate, part=""):
    import psycopg
    try:
        con.execute(sql)
    except psycopg.Error as e:
        assert e.sqlstate == sqlstate and part in str(e), "%s gave %s %s, expected %s %s" % (sql, e.sqlstate, e, sqlstate, part)
        return str(e)
    raise AssertionError("%s succeeded, expected %s" % (sql, sqlstate))


def copy(con, table, rows):
    with con.cursor() as cur, cur.copy("COPY %s FROM STDIN" % table) as out:
        out.write("".join("%d\t%d\t%s\n" % (k, v, ("%s%d-" % (table, k)).ljust(CELL, "x")) for k, v in rows))


def join(binary, workers, limit):
    """Two tables in random order, a view that joins them, then changes at random; what the view holds is known."""
    rows, piece = (4000, 2000) if harness.SMALL else (limit * 5 // 2200, 5000)
    with harness.millrace(binary, "--workers", str(workers), "--memory-limit", "%dMB" % (limit // MB)) as server:
        con = harness.connect_millrace(server)
        assert con.execute("SHOW memory_limit").fetchone() == ("%dMB" % (limit // MB),)
        con.execute("CREATE TABLE a (k bigint PRIMARY KEY, v bigint, t text)")
        con.execute("CREATE TABLE b (k bigint, v bigint, t text)")
        con.execute("CREATE MATERIALIZED VIEW j AS SELECT a.k, a.v AS av, b.v AS bv, a.t AS at, b.t AS bt FROM a JOIN b ON a.k = b.k")
        con.execute("CREATE MATERIALIZED VIEW g AS SELECT v % 1000 AS r, count(*) AS n, sum(k) AS s FROM a GROUP BY 1")
        rng = random.Random(5)
        for table in "ab":
            order = list(range(rows))
            rng.shuffle(order)
            for first in range(0, rows, piece):
                copy(con, table, [(k, k * 7) for k in order[first:first + piece]])
        values = {k: k * 7 for k in range(rows)}
        con.execute("DELETE FROM b WHERE k % 50 = 3")
        con.execute("UPDATE a SET v = v + 1 WHERE k % 50 = 20")
        for k in range(20, rows, 50):
            values[k] += 1
        joined = [k for k in range(rows) if k % 50 != 3]
        expected = (len(joined), sum(values[k] for k in joined), sum(k * 7 for k in joined), 2 * CELL * len(joined))
        got = con.execute("SELECT count(*), sum(av), sum(bv), sum(length(at) + length(bt)) FROM j").fetchone()
        assert got == expected, (got, expected)
        for k in rng.sample(range(rows), 50):
            row = con.execute("SELECT av, bv, at FROM j WHERE k = %d" % k).fetchall()
            assert row == ([(values[k], k * 7, ("a%d-" % k).ljust(CELL, "x"))] if k % 50 != 3 else []), (k, row)
        groups = {}
        for k, v in values.items():
            n, s = groups.get(v % 1000, (0, 0))
            groups[v % 1000] = (n + 1, s + k)
        assert {r: (n, s) for r, n, s in con.execute("SELECT r, n, s FROM g")} == groups
        state = con.execute("SELECT sum(bytes) + sum(state_bytes) FROM millrace.relations").fetchone()[0]
        spill, evictions = con.execute("SELECT spill_bytes, evictions FROM millrace.memory").fetchone()
        peak = status(server)["VmHWM"]
        print("join of %d rows with %d workers: state %d MB, limit %d MB, peak resident %d MB, spill file %d MB, %d evictions" %
              (rows, workers, state // MB, limit // MB, peak // MB, spill // MB, evictions))
        if not harness.SMALL:  # sanitizers have memory of their own
            assert state >= 5 * limit and evictions > 0
            assert peak <= limit * 115 // 100, "%d MB resident with a limit of %d MB" % (peak // MB, limit // MB)


def statements(binary):
    """A statement beyond its own limit, and one beyond the server's."""
    limit = (1024 if harness.SMALL else 128) * MB  # sanitizers have memory of their own
    rows = 20000 if harness.SMALL else 120000
    with harness.millrace(binary, "--memory-limit", "%dMB" % (limit // MB), "--query-memory-limit", "3MB") as server:
        con = harness.connect_millrace(server)
        assert con.execute("SHOW query_memory_limit").fetchone() == ("3MB",)
        con.execute("CREATE TABLE t (k bigint, v bigint, t text)")
        con.execute("SET query_memory_limit = 0")
        for first in range(0, rows, 5000):
            copy(con, "t", [(k, k) for k in range(first, first + 5000)])
        con.execute("RESET query_memory_limit")
        greedy = "SELECT count(*) FROM (SELECT DISTINCT k, t FROM t) d"
        expect_error(con, greedy, "53200", "query_memory_limit")
        assert con.execute("SELECT count(*) FROM t").fetchone() == (rows,)
        con.execute("SET query_memory_limit = '32MB'")
        if not harness.SMALL:
            expect_error(con, greedy, "53200", "query_memory_limit")
        con.execute("SET query_memory_limit = 0")
        assert con.execute(greedy).fetchone() == (rows,)  # a hash table can go to disk
        if not harness.SMALL:
            message = expect_error(con, "SELECT count(*) FROM (SELECT t || v || t || v || t AS x FROM t ORDER BY x DESC OFFSET 1) s", "53200", "memory limit of server")
            peak = status(server)["VmHWM"]
            print("a statement too large: %s; peak %d MB" % (message.split("\n")[0], peak // MB))
            assert peak <= limit * 115 // 100, peak // MB
        assert con.execute("SELECT count(*), sum(v) FROM t").fetchone() == (rows, rows * (rows - 1) // 2)
        with harness.connect_millrace(server) as other:
            assert other.execute("SELECT count(*) FROM t").fetchone() == (rows,)


def views(binary, workers):
    """A view beyond its limit fails, with those over it, and the rest goes on; also over a restart."""
    with harness.temp_dir() as base:
        data = os.path.join(base, "data")
        server = harness.start_millrace(binary, data, "--workers", str(workers))
        con = harness.connect_millrace(server)
        con.execute("CREATE TABLE t (k bigint, v bigint, t text)")
        expect_error(con, "CREATE MATERIALIZED VIEW x WITH (memory_limit = 'much') AS SELECT * FROM t", "22023", "memory_limit")
        con.execute("CREATE MATERIALIZED VIEW small WITH (memory_limit = '64MB') AS SELECT count(*) AS n, sum(v) AS s FROM t")
        con.execute("CREATE MATERIALIZED VIEW big WITH (memory_limit = '8.5 MB') AS SELECT k, max(t) AS m, count(*) AS n FROM t GROUP BY k")
        con.execute("CREATE MATERIALIZED VIEW above AS SELECT n, count(*) AS c FROM big GROUP BY n")
        con.execute("CREATE MATERIALIZED VIEW selfjoin WITH (memory_limit = '1MB') AS "
                    "SELECT x.k FROM t x JOIN t y ON x.k = y.k AND x.v <> y.v")
        copy(con, "t", [(k, k) for k in range(1000)])
        assert con.execute("SELECT count(*) FROM big").fetchone() == (1000,)
        assert con.execute("SELECT n, c FROM above").fetchone() == (1, 1000)
        waiting = harness.connect_millrace(server)
        waiting.execute("BEGIN")
        waiting.execute("DECLARE c CURSOR FOR SUBSCRIBE big")
        waiting.execute("FETCH ALL FROM c").fetchall()
        total = 1000
        while total < 40000:
            copy(con, "t", [(k, k) for k in range(total, total + 3000)])
            total += 3000
        con.execute("DELETE FROM t WHERE k < 500")
        numbers = (total - 500, sum(range(500, total)))
        for attempt in ("running", "restarted"):
            for view in ("big", "above"):
                expect_error(con, "SELECT * FROM %s" % view, "53200", 'memory limit of materialized view "big" exceeded')
            expect_error(con, "SELECT * FROM selfjoin", "53200", 'memory limit of materialized view "selfjoin" exceeded')
            assert con.execute("SELECT n, s FROM small").fetchone() == numbers, attempt
            assert con.execute("SELECT count(*), sum(v) FROM t").fetchone() == numbers, attempt
            expect_error(con, "CREATE MATERIALIZED VIEW over AS SELECT m FROM big", "53200", '"big"')
            expect_error(con, "CREATE MATERIALIZED VIEW now WITH (memory_limit = '1MB') AS SELECT k, t FROM t", "53200", '"now"')
            expect_error(con, "SELECT * FROM now", "42P01")
            if attempt == "running":
                for _ in range(1000):
                    try:
                        if not waiting.execute("FETCH ALL FROM c").fetchall():
                            sys.exit("a subscription to a failed view has no error")
                    except Exception as e:  # after the changes that came before
                        assert getattr(e, "sqlstate", None) == "53200", e
                        break
                waiting.close()
                con.close()
                assert server.stop() == 0
                server = harness.start_millrace(binary, data, "--workers", str(workers))
                con = harness.connect_millrace(server)
        con.execute("DROP MATERIALIZED VIEW above")
        con.execute("DROP MATERIALIZED VIEW big")
        con.execute("DROP MATERIALIZED VIEW selfjoin")
        con.execute("CREATE MATERIALIZED VIEW big WITH (memory_limit = '1GB') AS SELECT k, max(t) AS m, count(*) AS n FROM t GROUP BY k")
        assert con.execute("SELECT count(*), sum(n) FROM big").fetchone() == (total - 500, total - 500)
        con.close()
        assert server.stop() == 0
        log = server.log_text()
        assert "internal check failed" not in log and "Sanitizer" not in log and "runtime error" not in log, log[-4000:]
        print("views beyond their limits, %d workers" % workers)


def spill_files(server):
    """What the process has open and has no name, sizes in bytes."""
    sizes, base = {}, "/proc/%d/fd/" % server.pid
    for fd in os.listdir(base):
        try:
            if "(deleted)" in os.readlink(base + fd):
                sizes[os.readlink(base + fd)] = os.stat(base + fd).st_size
        except OSError:
            pass
    return sizes


def full_disk(binary):
    """The spill file cannot grow: 53100, reads go on, nothing is lost, writing recovers. And no file is left behind."""
    import psycopg
    with harness.temp_dir() as base:
        data, spill = os.path.join(base, "data"), os.path.join(base, "spill")
        os.mkdir(spill)
        server = harness.start_millrace(binary, data, "--memory-limit", "128MB", "--spill-dir", spill)
        con = harness.connect_millrace(server)
        con.execute("CREATE TABLE t (k bigint PRIMARY KEY, v bigint, t text)")
        con.execute("CREATE MATERIALIZED VIEW g AS SELECT k % 100 AS r, count(*) AS n, min(t) AS m, sum(v) AS s FROM t GROUP BY 1")
        piece = 500
        files = spill_files(server)
        assert len(files) == 2 and all(name.startswith(spill) for name in files), files
        assert os.listdir(spill) == []
        copy(con, "t", [(k, 1) for k in range(piece)])
        wall = 48 * MB
        hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (wall, hard))
        done, refused = piece, None
        while refused is None and done < 4000000:
            try:
                copy(con, "t", [(k, 1) for k in range(done, done + piece)])
                done += piece
            except psycopg.Error as e:
                refused = e
        assert refused is not None and refused.sqlstate == "53100", refused
        assert con.execute("SELECT spill_full_bytes > 0 FROM millrace.memory").fetchone() == (True,)
        for _ in range(3):
            expect_error(con, "INSERT INTO t VALUES (-1, 0, '')", "53100", "spill file")
            assert con.execute("SELECT count(*), max(k) FROM t").fetchone() == (done, done - 1)
            assert con.execute("SELECT sum(n), sum(s) FROM g").fetchone() == (done, done)
        expect_error(con, "CREATE MATERIALIZED VIEW h AS SELECT k, t FROM t", "53100")
        con.execute("DELETE FROM t WHERE k = 0")
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard, hard))
        con.execute("INSERT INTO t VALUES (0, 1, 'again')")
        for first in range(done, done + 10 * piece, piece):
            copy(con, "t", [(k, 1) for k in range(first, first + piece)])
        done += 10 * piece
        con.execute("CREATE MATERIALIZED VIEW h AS SELECT k, t FROM t")
        assert con.execute("SELECT count(*) FROM h").fetchone() == (done,)
        assert con.execute("SELECT sum(n), sum(s) FROM g").fetchone() == (done, done)
        con.close()
        server.stop(9)
        assert os.listdir(spill) == [], os.listdir(spill)
        server = harness.start_millrace(binary, data, "--memory-limit", "128MB", "--spill-dir", spill)
        con = harness.connect_millrace(server)
        assert con.execute("SELECT count(*), sum(v) FROM t").fetchone() == (done, done)
        assert con.execute("SELECT sum(n), sum(s) FROM g").fetchone() == (done, done)
        con.close()
        assert server.stop() == 0
        assert os.listdir(spill) == []
        print("a full disk at %d rows; nothing lost, no file left" % done)


def lost_file(binary, workers):
    """A spill file is cut short below a running server, a disk that cannot read in small: no wrong answer, an end that says why, and everything is there again."""
    import psycopg
    rows, options = 3000, ("--memory-limit", "%dMB" % (1024 if harness.SMALL else 128), "--workers", str(workers))
    questions = ["SELECT count(*), sum(v), sum(length(t)) FROM t", "SELECT count(*), sum(v), sum(length(t)) FROM s", "SELECT sum(n), count(*), sum(length(m)) FROM g",
                 "SELECT count(*), sum(length(t)) FROM j"]
    with harness.temp_dir() as base:
        data, spill = os.path.join(base, "data"), os.path.join(base, "spill")
        os.mkdir(spill)

        def start():
            server = harness.start_millrace(binary, data, *options, "--spill-dir", spill)
            return server, harness.connect_millrace(server)

        server, con = start()
        con.execute("CREATE TABLE t (k bigint PRIMARY KEY, v bigint, t text)")
        con.execute("CREATE STREAM s (k bigint, v bigint, t text)")
        con.execute("CREATE MATERIALIZED VIEW g AS SELECT k % 700 AS r, count(*) AS n, max(t) AS m FROM s GROUP BY 1")
        con.execute("CREATE MATERIALIZED VIEW j AS SELECT t.k, s.t FROM t JOIN s ON t.k = s.v")
        for table in "ts":
            copy(con, table, [(k, k) for k in range(rows)])
        con.execute("CHECKPOINT")
        copy(con, "s", [(k, k) for k in range(500)])
        expected = [con.execute(sql).fetchone() for sql in questions]
        cut_short = "has lost what was written to it: it was cut short"
        cases = [(0, 0, questions[0], None), (1, 0, questions[1], None), (0, 0, "INSERT INTO t VALUES (-1, 1, 'new')", None),
                 (1, 0, "INSERT INTO s VALUES (-1, 1, 'new')", None), (0, None, "SELECT 1", cut_short), (1, None, "SELECT 1", cut_short),
                 (0, 0, "CHECKPOINT", None)]
        for number, size, sql, reason in cases:
            base_fd = "/proc/%d/fd/" % server.pid
            files = sorted((fd for fd in os.listdir(base_fd) if os.readlink(base_fd + fd).startswith(spill)), key=int)
            assert len(files) == 2, files
            path = base_fd + files[number]
            before = os.stat(path).st_size
            assert before > 0
            os.truncate(path, before - 100 if size is None else size)  # None: no page is missing
            try:
                con.execute(sql)
                sys.exit("%s succeeds without its file" % sql)
            except psycopg.OperationalError:
                pass
            con.close()
            status, log = server.process.wait(60), server.log_text()
            assert status == 74, (sql, status, log[-2000:])
            assert 'millrace: the spill file in "%s" ' % spill in log, (sql, log[-2000:])
            assert reason in log if reason else "could not be read at byte" in log or cut_short in log, (sql, log[-2000:])
            server, con = start()
            for sql, row in zip(questions, expected):
                assert con.execute(sql).fetchone() == row, sql
        con.close()
        assert server.stop() == 0
        assert os.listdir(spill) == []
    print("spill files cut short %d times, %d workers" % (len(cases), workers))


def settings(binary):
    """Limits that cannot be."""
    with harness.temp_dir() as base:
        for options, part in ((("--memory-limit", "10MB"), "too small"), (("--memory-limit", "many"), "invalid value"),
                              (("--memory-limit", "1GB", "--spill-dir", os.path.join(base, "none")), "spill file")):
            try:
                harness.start_millrace(binary, os.path.join(base, "data"), *options).stop()
                sys.exit("%s was accepted" % (options,))
            except RuntimeError as e:
                assert part in str(e), e


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("millrace")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--limit", type=int, default=192, help="of the join, MB")
    parser.add_argument("--only")
    args = parser.parse_args()
    tests = {"settings": lambda: settings(args.millrace), "join": lambda: join(args.millrace, args.workers, args.limit * MB),
             "statements": lambda: statements(args.millrace), "views": lambda: views(args.millrace, args.workers),
             "full_disk": lambda: full_disk(args.millrace), "lost_file": lambda: lost_file(args.millrace, args.workers)}
    for name, test in tests.items():
        if args.only in (None, name):
            test()
