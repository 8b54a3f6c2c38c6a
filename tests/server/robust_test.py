"""robust_test.py MILLRACE: bad input leaves the server serving: garbage on the port, a million parentheses, a 16 MB statement, SQLSTATEs of
ordinary mistakes; and an idle server is small, quick to start and costs nothing."""

import os
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402


def alive(server):
    with harness.connect_millrace(server) as con:
        assert con.execute("SELECT 41 + 1").fetchone() == (42,)


def garbage(server):
    rng = __import__("random").Random(1)
    startup = struct.pack("!II", 8 + len(b"user\0x\0\0"), 196608) + b"user\0x\0\0"
    samples = [b"", b"\0", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 5000, struct.pack("!I", 4), struct.pack("!I", 7) + b"abc",
               struct.pack("!I", 0x7fffffff), struct.pack("!I", 0x80000000) + b"x" * 64, struct.pack("!II", 8, 0),
               struct.pack("!II", 8, 196608), startup + b"Q" + struct.pack("!I", 3), startup + b"Q" + struct.pack("!I", 0xffffffff),
               startup + b"Q\0\0\0\x08SEL", startup + b"\0" * 100, startup + b"P\0\0\0\x05\0", startup + b"B\0\0\0\x06\0\0",
               startup + b"d\0\0\0\x04", startup + b"E\0\0\0\x09\0\xff\xff\xff\xff", startup + b"D\0\0\0\x06Z\0",
               startup + b"B\0\0\0\x10\0\0\x7f\xff" + b"\0" * 8, startup + b"~\0\0\0\x04"]
    for _ in range(200):
        samples.append(startup + bytes(rng.randrange(256) for _ in range(rng.randrange(60))))
        samples.append(bytes(rng.randrange(256) for _ in range(rng.randrange(60))))
    for sample in samples:
        with socket.create_connection(("127.0.0.1", server.port), 5) as s:
            s.sendall(sample)
            s.shutdown(socket.SHUT_WR)
            s.settimeout(10)
            try:
                while s.recv(65536):
                    pass
            except (ConnectionError, TimeoutError):
                pass
    alive(server)
    print("%d garbage connections" % len(samples))


def sqlstates(server):
    import psycopg
    con = harness.connect_millrace(server)
    con.execute("CREATE TABLE s (id int PRIMARY KEY, v text NOT NULL)")
    con.execute("INSERT INTO s VALUES (1, 'x')")
    expected = {
        "SELECT * FROM nope": "42P01", "SELEC 1": "42601", "SELECT 1/0": "22012", "SELECT 'x'::int": "22P02",
        "SELECT 2147483647 + 1": "22003", "INSERT INTO s VALUES (1, 'y')": "23505", "INSERT INTO s VALUES (2, NULL)": "23502",
        "SELECT " + "(" * 1000000 + "1" + ")" * 1000000: "54001", "SELECT " + "-" * 3 + "\n" + "NOT " * 200000 + "true": "54001",
        "SELECT " + "1+" * 200000 + "1": "54001", "SELECT ARRAY" + "[" * 100000 + "]" * 100000: "54001",
        "SELECT '" + "[" * 100000 + "'::jsonb": "54001",
    }
    for sql, state in expected.items():
        try:
            con.execute(sql)
            sys.exit("%.60s succeeded" % sql)
        except psycopg.Error as e:
            if e.sqlstate != state:
                sys.exit("%.60s gave %s %s, expected %s" % (sql, e.sqlstate, e, state))
    try:
        con.execute("SELECT 1,\n  nope")
    except psycopg.Error as e:
        assert e.diag.statement_position == "13", e.diag.statement_position
    assert con.execute("SELECT length('" + "x" * (16 << 20) + "')").fetchone() == (16 << 20,)
    many = " OR ".join("id = %d" % i for i in range(10000))
    assert con.execute("SELECT count(*) FROM s WHERE " + many).fetchone() == (1,)
    assert con.execute("SELECT count(*) FROM s WHERE id IN (%s)" % ",".join(map(str, range(10000)))).fetchone() == (1,)
    con.close()
    alive(server)
    print("%d SQLSTATEs, a 16 MB statement, 10,000 ORs" % len(expected))


def cancel(server):
    import psycopg
    con = harness.connect_millrace(server)
    con.execute("CREATE TABLE big (a int)")
    con.execute("INSERT INTO big SELECT * FROM generate_series(1, 100000)")
    timer = threading.Timer(0.5, con.cancel)
    timer.start()
    start = time.monotonic()
    try:
        con.execute("SELECT count(*) FROM big a, big b WHERE a.a + b.a < 0")
        sys.exit("the query was not cancelled")
    except psycopg.Error as e:
        assert e.sqlstate in ("57014",), (e.sqlstate, e)
    assert time.monotonic() - start < 20
    con.execute("SET statement_timeout = 300")
    try:
        con.execute("SELECT count(*) FROM big a, big b WHERE a.a + b.a < 0")
        sys.exit("no timeout")
    except psycopg.Error as e:
        assert e.sqlstate == "57014", e.sqlstate
    con.execute("SET statement_timeout = 0")
    assert con.execute("SELECT count(*) FROM big").fetchone() == (100000,)
    con.close()
    print("cancel and statement_timeout")


def idle(binary):
    with harness.temp_dir() as base:
        best = min_start(binary, base)
        server = harness.start_millrace(binary, os.path.join(base, "idle"))
        alive(server)
        time.sleep(0.5)
        with open("/proc/%d/status" % server.pid) as f:
            rss = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
        before = ticks(server.pid)
        time.sleep(1)
        used = ticks(server.pid) - before
        server.stop()
        print("ready in %.0f ms, %d kB resident, %d clock ticks in an idle second" % (best * 1000, rss, used))
        if not harness.SMALL:
            assert rss < 30000, rss
            assert used <= 1, used


def ticks(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def min_start(binary, base):
    import subprocess
    best = 1e9
    for i in range(3):
        start = time.monotonic()
        p = subprocess.Popen([binary, "--data-dir", os.path.join(base, "start%d" % i), "--port", str(harness.free_port()),
                              "--http-port", "0"], stdout=subprocess.PIPE)
        p.stdout.readline()
        best = min(best, time.monotonic() - start)
        p.terminate()
        assert p.wait() == 0
    return best


def main():
    with harness.millrace(sys.argv[1]) as server:
        sqlstates(server)
        garbage(server)
        cancel(server)
    idle(sys.argv[1])


main()
