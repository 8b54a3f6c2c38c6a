"""protocol_test.py MILLRACE [name ...]: raw-socket tests of the PostgreSQL protocol, all of them or the named ones.

Needs no driver; each test opens its own connections, and some make a table of their own. Exit status 0 when all pass.
"""
import os
import random
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

PORT = 0  # of the server that main starts
TESTS = []


def test(function):
    TESTS.append(function)
    return function


class Closed(Exception):
    pass


def raw():
    sock = socket.create_connection(("127.0.0.1", PORT), timeout=10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def startup_packet(params, version=196608):
    body = struct.pack("!i", version)
    for key, value in params.items():
        body += key.encode() + b"\0" + value.encode() + b"\0"
    body += b"\0"
    return struct.pack("!i", len(body) + 4) + body


def message(kind, body=b""):
    return kind.encode() + struct.pack("!i", len(body) + 4) + body


def cstr(text):
    return text.encode() + b"\0"


class Conn:
    def __init__(self, start=True, **params):
        self.sock = raw()
        self.buffer = b""
        self.params = {}
        self.pid = self.secret = None
        if start:
            self.sock.sendall(startup_packet({"user": "tester", "database": "test", **params}))
            self.started = self.until("Z")

    def recv_exact(self, count):
        while len(self.buffer) < count:
            data = self.sock.recv(65536)
            if not data:
                raise Closed()
            self.buffer += data
        out, self.buffer = self.buffer[:count], self.buffer[count:]
        return out

    def read(self):
        kind = self.recv_exact(1).decode("latin1")
        (length,) = struct.unpack("!i", self.recv_exact(4))
        body = self.recv_exact(length - 4)
        if kind == "S":
            key, value = body.split(b"\0")[:2]
            self.params[key.decode()] = value.decode()
        elif kind == "K":
            self.pid, self.secret = struct.unpack("!iI", body)
        return kind, body

    def until(self, last):
        out = []
        while True:
            kind, body = self.read()
            out.append((kind, body))
            if kind == "E" and last == "Z" and fields(body)["S"] == "FATAL":
                raise AssertionError(fields(body))
            if kind == last:
                return out

    def send(self, *messages):
        self.sock.sendall(b"".join(messages))

    def query(self, sql):
        self.send(message("Q", cstr(sql)))
        return self.until("Z")

    def close(self):
        self.sock.close()

    def closed_by_peer(self):
        """Everything until the server closes."""
        out = []
        try:
            while True:
                out.append(self.read())
        except (Closed, ConnectionError):
            return out


def fields(body):
    out = {}
    for part in body.split(b"\0"):
        if part:
            out[part[:1].decode()] = part[1:].decode()
    return out


def kinds(messages):
    return "".join(kind for kind, _ in messages if kind not in "SN")


def rows(messages):
    out = []
    for kind, body in messages:
        if kind != "D":
            continue
        (count,) = struct.unpack("!h", body[:2])
        at, row = 2, []
        for _ in range(count):
            (length,) = struct.unpack("!i", body[at:at + 4])
            at += 4
            row.append(None if length < 0 else body[at:at + length])
            at += max(length, 0)
        out.append(tuple(row))
    return out


def tags(messages):
    return [body[:-1].decode() for kind, body in messages if kind == "C"]


def error(messages):
    found = [fields(body) for kind, body in messages if kind == "E"]
    assert found, messages
    return found[0]


def status(messages):
    assert messages[-1][0] == "Z"
    return messages[-1][1].decode()


def parse(name, sql, oids=()):
    return message("P", cstr(name) + cstr(sql) + struct.pack("!h", len(oids)) + b"".join(struct.pack("!I", o) for o in oids))


def bind(portal, name, params=(), formats=(), results=()):
    body = cstr(portal) + cstr(name) + struct.pack("!h", len(formats)) + b"".join(struct.pack("!h", f) for f in formats)
    body += struct.pack("!h", len(params))
    for param in params:
        body += struct.pack("!i", -1) if param is None else struct.pack("!i", len(param)) + param
    body += struct.pack("!h", len(results)) + b"".join(struct.pack("!h", f) for f in results)
    return message("B", body)


def execute(portal="", limit=0):
    return message("E", cstr(portal) + struct.pack("!i", limit))


def describe(what, name=""):
    return message("D", what.encode() + cstr(name))


def close_message(what, name=""):
    return message("C", what.encode() + cstr(name))


SYNC = message("S")
FLUSH = message("H")


def expect(actual, wanted):
    assert actual == wanted, f"got {actual!r}, expected {wanted!r}"


# ---- start-up ----

@test
def startup_reports():
    conn = Conn(client_encoding="'utf-8'", DateStyle="ISO, DMY", options="-c statement_timeout=5s --application_name=a\\ b")
    for key, value in {"client_encoding": "UTF8", "server_encoding": "UTF8", "standard_conforming_strings": "on",
                       "integer_datetimes": "on", "DateStyle": "ISO, DMY", "IntervalStyle": "postgres",
                       "application_name": "a b", "session_authorization": "tester"}.items():
        expect(conn.params.get(key), value)
    assert conn.params["server_version"].startswith("15.")
    assert "TimeZone" in conn.params and conn.pid and conn.secret is not None
    expect(kinds(conn.started), "RKZ")
    expect(rows(conn.query("show statement_timeout")), [(b"5s",)])


@test
def ssl_and_gss_are_declined():
    conn = Conn(start=False)
    conn.send(struct.pack("!ii", 8, 80877103))
    expect(conn.recv_exact(1), b"N")
    conn.send(struct.pack("!ii", 8, 80877104))
    expect(conn.recv_exact(1), b"N")
    conn.send(startup_packet({"user": "u"}))
    conn.until("Z")


@test
def data_behind_ssl_request_is_refused():
    conn = Conn(start=False)
    conn.send(struct.pack("!ii", 8, 80877103) + startup_packet({"user": "u"}))
    assert "Z" not in kinds(conn.closed_by_peer())


@test
def newer_minor_version_is_negotiated():
    conn = Conn(start=False)
    conn.send(startup_packet({"user": "u", "_pq_.fancy": "1"}, version=196610))
    answer = conn.until("Z")
    assert any(kind == "v" and b"_pq_.fancy" in body for kind, body in answer), answer


@test
def bad_startup():
    for packet, code in [
            (struct.pack("!i", 4), "08P01"), (struct.pack("!i", 7), "08P01"), (struct.pack("!i", 10001), "08P01"),
            (struct.pack("!i", -1), "08P01"), (struct.pack("!I", 0x7fffffff), "08P01"),
            (startup_packet({"database": "x"}), "28000"), (startup_packet({"user": "u"}, 131072), "0A000"),
            (struct.pack("!ii", 20, 196608) + b"user\0abcdefg", "08P01"),
            (startup_packet({"user": "u", "client_encoding": "latin9000"}), "22023"),
            (startup_packet({"user": "u", "no_such_setting": "1"}), "42704")]:
        conn = Conn(start=False)
        conn.send(packet)
        answer = conn.closed_by_peer()
        expect([kind for kind, _ in answer], ["E"])
        expect((error(answer)["S"], error(answer)["C"]), ("FATAL", code))


@test
def garbage_before_login():
    rng = random.Random(4)
    for size in (1, 3, 8, 100, 5000, 65536):
        conn = Conn(start=False)
        try:
            conn.send(rng.randbytes(size))
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        try:
            assert "Z" not in kinds(conn.closed_by_peer())
        except ConnectionError:
            pass
    Conn().close()


# ---- frames ----

@test
def malformed_messages_close_only_their_connection():
    other = Conn()
    for bad in [b"Q\0\0\0\3", b"Q\xff\xff\xff\xff", b"d\x7f\xff\xff\xff", b"z\0\0\0\4", b"\0\0\0\0\4",
                message("Q", b"select 1"), message("Q"), message("B", b"\0"), message("P", b"x"), message("E", b"abc"),
                message("D", b"S"), message("D", b"Xa\0"), message("C", b""),
                message("P", b"\0select 1\0\x7f\xff")]:
        conn = Conn()
        conn.send(bad)
        answer = conn.closed_by_peer()
        found = error(answer)
        expect((found["S"], found["C"]), ("FATAL", "08P01"))
    expect(rows(other.query("select 1")), [(b"1",)])


@test
def truncated_messages():
    whole = parse("s", "select 1") + bind("", "s") + execute() + SYNC + message("Q", cstr("select 2"))
    for cut in range(1, len(whole), 3):
        conn = Conn()
        conn.send(whole[:cut])
        conn.sock.shutdown(socket.SHUT_WR)
        conn.closed_by_peer()
    expect(rows(Conn().query("select 1")), [(b"1",)])


@test
def one_byte_at_a_time():
    conn = Conn()
    for byte in parse("", "select 7") + bind("", "") + describe("P") + execute() + SYNC:
        conn.send(bytes([byte]))
    expect(rows(conn.until("Z")), [(b"7",)])


@test
def too_long_statement_keeps_the_connection():
    conn = Conn()
    conn.send(b"Q" + struct.pack("!i", (64 << 20) + 5))
    for _ in range(64):
        conn.send(b" " * (1 << 20))
    conn.send(b"\0")
    expect(error(conn.until("Z"))["C"], "54000")
    expect(rows(conn.query("select 1")), [(b"1",)])


@test
def invalid_utf8():
    conn = Conn()
    conn.send(message("Q", b"select '\xff'\0"))
    expect(error(conn.until("Z"))["C"], "22021")


@test
def random_messages():
    rng = random.Random(7)
    for _ in range(60):
        conn = Conn()
        for _ in range(5):
            kind = rng.choice("QPBDECHSFdcfX")
            body = rng.randbytes(rng.randrange(40))
            try:
                conn.send(message(kind, body))
            except OSError:
                break
        try:
            conn.send(SYNC, message("X"))
        except OSError:
            pass
        conn.closed_by_peer()
    expect(rows(Conn().query("select 1")), [(b"1",)])


# ---- simple protocol ----

@test
def simple_query():
    conn = Conn()
    answer = conn.query("select 1, 'x'")
    expect(kinds(answer), "TDCZ")
    expect((rows(answer), tags(answer), status(answer)), ([(b"1", b"x")], ["SELECT 1"], "I"))
    expect(kinds(conn.query("")), "IZ")
    expect(kinds(conn.query(" ; -- nothing\n;")), "IZ")


@test
def several_statements():
    conn = Conn()
    answer = conn.query("select 1; select 2;select 3")
    expect(tags(answer), ["SELECT 1"] * 3)
    answer = conn.query("select 1; select 1/0; select 3")
    expect((tags(answer), error(answer)["C"], status(answer)), (["SELECT 1"], "22012", "I"))
    answer = conn.query("select 1; selec 2")
    expect((tags(answer), error(answer)["C"], error(answer)["P"]), ([], "42601", "11"))
    answer = conn.query("begin; select 1")
    expect((tags(answer), status(answer)), (["BEGIN", "SELECT 1"], "T"))
    answer = conn.query("select 1/0; select 2")
    expect((tags(answer), status(answer)), ([], "E"))
    expect(error(conn.query("select 1"))["C"], "25P02")
    answer = conn.query("commit; begin; select 1; commit")
    expect((tags(answer), status(answer)), (["ROLLBACK", "BEGIN", "SELECT 1", "COMMIT"], "I"))


@test
def error_position_counts_characters():
    conn = Conn()
    answer = conn.query("select 'äöü'; select nosuch")
    expect((error(answer)["C"], error(answer)["P"], error(answer)["V"]), ("42703", "22", "ERROR"))


@test
def streams_many_rows():
    conn = Conn()
    answer = conn.query("select generate_series(1, 100000)")
    expect(len(rows(answer)), 100000)
    expect(rows(answer)[-1], (b"100000",))
    expect(tags(answer), ["SELECT 100000"])


# ---- settings ----

@test
def parameter_status_follows_set():
    conn = Conn()
    conn.query("set timezone = 'Europe/Paris'; set application_name = 'app'")
    expect((conn.params["TimeZone"], conn.params["application_name"]), ("Europe/Paris", "app"))
    conn.query("begin; set timezone = 'Asia/Tokyo'")
    expect(conn.params["TimeZone"], "Asia/Tokyo")
    conn.query("rollback")
    expect(conn.params["TimeZone"], "Europe/Paris")
    conn.query("begin; set local timezone = 'Asia/Tokyo'")
    conn.query("commit")
    expect(rows(conn.query("show timezone")), [(b"Europe/Paris",)])
    conn.query("begin; savepoint a; set timezone = 'UTC'; rollback to a; commit")
    expect(rows(conn.query("show timezone")), [(b"Europe/Paris",)])
    conn.query("set timezone to default")
    expect(conn.params["TimeZone"], "UTC")
    expect(error(conn.query("set timezone = 'No/Where'"))["C"], "22023")
    expect(error(conn.query("set server_version = 1"))["C"], "55P02")
    expect(error(conn.query("show nosuch"))["C"], "42704")
    expect(tags(conn.query("set my.own = 'x'; reset my.own; discard plans")), ["SET", "RESET", "DISCARD PLANS"])
    expect(rows(conn.query("set statement_timeout = 60000; show statement_timeout")), [(b"1min",)])
    expect(tags(conn.query("discard all")), ["DISCARD ALL"])
    expect(rows(conn.query("show statement_timeout")), [(b"0",)])
    expect(rows(conn.query("set search_path = a, \"B c\"; show search_path")), [(b'a, "B c"',)])


@test
def statement_timeout():
    conn, name = table()
    conn.query("set statement_timeout = 200")
    start = time.time()
    found = error(conn.query(f"subscribe {name}"))
    expect((found["C"], found["M"]), ("57014", "canceling statement due to statement timeout"))
    assert time.time() - start < 3
    expect(tags(conn.query("set statement_timeout = 0; select 1")), ["SET", "SELECT 1"])


@test
def cancel_request():
    conn, name = table()
    conn.send(message("Q", cstr(f"subscribe {name}")))
    time.sleep(0.2)
    wrong = raw()
    wrong.sendall(struct.pack("!iiiI", 16, 80877102, conn.pid, conn.secret ^ 1))
    expect(wrong.recv(1), b"")
    time.sleep(0.2)
    cancel = raw()
    cancel.sendall(struct.pack("!iiiI", 16, 80877102, conn.pid, conn.secret))
    expect(cancel.recv(1), b"")
    start = time.time()
    found = error(conn.until("Z"))
    expect((found["C"], found["M"]), ("57014", "canceling statement due to user request"))
    assert time.time() - start < 2
    expect(rows(conn.query("select 1")), [(b"1",)])


@test
def idle_in_transaction_timeout():
    conn = Conn()
    conn.query("set idle_in_transaction_session_timeout = 200")
    conn.query("begin")
    answer = conn.closed_by_peer()
    expect((error(answer)["S"], error(answer)["C"]), ("FATAL", "25P03"))


# ---- extended protocol ----

@test
def extended_round_trip():
    conn = Conn()
    conn.send(parse("", "select $1::int4, $2", [0, 25]), describe("S"), bind("", "", [b"5", b"abc"]), describe("P"), execute(), SYNC)
    answer = conn.until("Z")
    expect(kinds(answer), "1tT2TDCZ")
    parameters = [body for kind, body in answer if kind == "t"][0]
    expect(parameters, struct.pack("!hII", 2, 23, 25))
    expect(rows(answer), [(b"5", b"abc")])


@test
def binary_formats():
    conn = Conn()
    conn.send(parse("", "select $1::int4, $2", [23, 25]), bind("", "", [struct.pack("!i", -9), b"x"], [1, 0], [1]), execute(), SYNC)
    expect(rows(conn.until("Z")), [(struct.pack("!i", -9), b"x")])
    conn.send(bind("", "", [None, None], (), [0, 1]), execute(), SYNC)
    expect(rows(conn.until("Z")), [(None, None)])
    conn.send(bind("", "", [b"abc", b"x"], [1, 0]), execute(), SYNC)
    expect(error(conn.until("Z"))["C"], "22P03")
    conn.send(bind("", "", [b"1", b"x"], (), [0, 0, 0]), describe("P"), SYNC)
    expect(error(conn.until("Z"))["C"], "08P01")


@test
def pipelining():
    conn = Conn()
    batch = b""
    for i in range(50):
        batch += parse("", f"select {i}") + bind("", "") + execute()
    conn.send(batch + SYNC + parse("", "select 'end'") + bind("", "") + execute() + SYNC)
    answer = conn.until("Z")
    expect([int(row[0]) for row in rows(answer)], list(range(50)))
    expect(rows(conn.until("Z")), [(b"end",)])


@test
def errors_skip_to_sync():
    conn = Conn()
    conn.send(parse("", "selec"), bind("", ""), execute(), FLUSH, SYNC, parse("", "select 1"), bind("", ""), execute(), SYNC)
    answer = conn.until("Z")
    expect((kinds(answer), error(answer)["C"]), ("EZ", "42601"))
    expect(rows(conn.until("Z")), [(b"1",)])
    conn.send(bind("", "nosuch"), SYNC)
    expect(error(conn.until("Z"))["C"], "26000")
    conn.send(execute("nosuch"), SYNC)
    expect(error(conn.until("Z"))["C"], "34000")
    conn.send(parse("", "select 1; select 2"), SYNC)
    expect(error(conn.until("Z"))["C"], "42601")
    conn.send(parse("", "select $1::int4"), bind("", ""), SYNC)
    expect(error(conn.until("Z"))["C"], "08P01")
    conn.send(parse("", "select 1", [4000000000]), SYNC)
    expect(error(conn.until("Z"))["C"], "42704")


@test
def named_statements():
    conn = Conn()
    conn.send(parse("s", "select 3"), SYNC)
    conn.until("Z")
    conn.send(parse("s", "select 4"), SYNC)
    expect(error(conn.until("Z"))["C"], "42P05")
    conn.send(bind("p", "s"), execute("p"), SYNC)
    expect(rows(conn.until("Z")), [(b"3",)])
    expect(rows(conn.query("execute s")), [(b"3",)])
    conn.send(close_message("S", "s"), close_message("S", "never"), close_message("P", "never"), SYNC)
    expect(kinds(conn.until("Z")), "333Z")
    conn.send(bind("", "s"), SYNC)
    expect(error(conn.until("Z"))["C"], "26000")
    expect(tags(conn.query("prepare q(int4) as select $1::int4; execute q(8); deallocate q")), ["PREPARE", "SELECT 1", "DEALLOCATE"])
    expect(error(conn.query("execute q(8)"))["C"], "26000")
    expect(error(conn.query("deallocate q"))["C"], "26000")
    expect(tags(conn.query("deallocate all")), ["DEALLOCATE ALL"])


@test
def suspended_portals():
    conn = Conn()
    conn.send(parse("", "select generate_series(1, 5)"), bind("a", ""), bind("b", ""), execute("a", 2), execute("b", 3),
              execute("a", 2), execute("b", 3), execute("a", 2), execute("a", 2), SYNC)
    answer = conn.until("Z")
    expect(kinds(answer), "122" + "DDs" + "DDDs" + "DDs" + "DDC" + "DC" + "C" + "Z")
    expect([int(row[0]) for row in rows(answer)], [1, 2, 1, 2, 3, 3, 4, 4, 5, 5])
    conn.send(execute("a", 2), SYNC)
    expect(error(conn.until("Z"))["C"], "34000")
    # the portal lives until the transaction ends
    conn.query("begin")
    conn.send(parse("", "select generate_series(1, 3)"), bind("p", ""), execute("p", 1), SYNC)
    expect(kinds(conn.until("Z")), "12DsZ")
    conn.send(execute("p", 0), SYNC)
    expect(kinds(conn.until("Z")), "DDCZ")
    conn.query("commit")
    conn.send(execute("p", 0), SYNC)
    expect(error(conn.until("Z"))["C"], "34000")


@test
def flush_gives_answers_without_sync():
    conn = Conn()
    conn.send(parse("", "select 1"), FLUSH)
    expect(conn.read()[0], "1")
    conn.send(describe("S"), FLUSH)
    expect([conn.read()[0], conn.read()[0]], ["t", "T"])
    conn.send(bind("", ""), execute(), FLUSH)
    expect([conn.read()[0] for _ in range(3)], ["2", "D", "C"])
    conn.send(SYNC)
    expect(kinds(conn.until("Z")), "Z")


@test
def no_data_and_empty():
    conn = Conn()
    conn.send(parse("", "set application_name = 'x'"), bind("", ""), describe("P"), execute(), SYNC)
    expect(kinds(conn.until("Z")), "12nCZ")
    expect(conn.params["application_name"], "x")
    conn.send(parse("", ""), bind("", ""), describe("P"), execute(), SYNC)
    expect(kinds(conn.until("Z")), "12nIZ")
    conn.send(parse("", "show timezone"), describe("S"), bind("", ""), execute(), SYNC)
    expect(kinds(conn.until("Z")), "1tT2DCZ")


@test
def transactions_through_extended():
    conn = Conn()
    for sql, after in (("begin", "T"), ("select 1/0", "E"), ("rollback", "I"), ("begin", "T"), ("commit", "I")):
        conn.send(parse("", sql), bind("", ""), execute(), SYNC)
        expect(status(conn.until("Z")), after)


@test
def function_call_is_refused():
    conn = Conn()
    conn.send(message("F", struct.pack("!ihhh", 1, 0, 0, 0)))
    answer = conn.until("Z")
    expect((error(answer)["C"], status(answer)), ("0A000", "I"))


# ---- cursors ----

@test
def cursors():
    conn = Conn()
    expect(error(conn.query("declare c cursor for select 1"))["C"], "25P01")
    conn.query("begin")
    expect(tags(conn.query("declare c scroll cursor for select generate_series(1, 10)")), ["DECLARE CURSOR"])

    def fetch(how):
        answer = conn.query(f"fetch {how} c" if how.endswith(("from", "in")) else f"fetch {how} from c")
        return [int(row[0]) for row in rows(answer)]
    expect(fetch("3"), [1, 2, 3])
    expect(fetch("prior"), [2])
    expect(fetch("next"), [3])
    expect(fetch("backward 2"), [2, 1])
    expect(fetch("backward 2"), [])
    expect(fetch("absolute 7"), [7])
    expect(fetch("relative 2"), [9])
    expect(fetch("relative 0"), [9])
    expect(fetch("last"), [10])
    expect(fetch("absolute -3"), [8])
    expect(fetch("first"), [1])
    expect(fetch("all"), list(range(2, 11)))
    expect(fetch("next"), [])
    expect(fetch("backward all"), list(range(10, 0, -1)))
    expect(tags(conn.query("move forward 4 from c")), ["MOVE 4"])
    expect(fetch("forward 1"), [5])
    expect(tags(conn.query("close c")), ["CLOSE CURSOR"])
    expect(error(conn.query("fetch c"))["C"], "34000")
    conn.query("rollback")
    conn.query("begin; declare n no scroll cursor for select generate_series(1, 3)")
    expect(error(conn.query("fetch backward 1 from n"))["C"], "55000")
    conn.query("rollback")
    conn.query("begin; declare h cursor with hold for select generate_series(1, 3); commit")
    expect([int(row[0]) for row in rows(conn.query("fetch 2 from h"))], [1, 2])
    conn.query("begin; declare b binary cursor for select 258")
    expect(rows(conn.query("fetch b")), [(struct.pack("!i", 258),)])
    expect(error(conn.query("declare b cursor for select 1"))["C"], "42P03")
    conn.query("rollback")
    expect(tags(conn.query("close all")), ["CLOSE CURSOR ALL"])
    expect(error(conn.query("fetch 1 from h"))["C"], "34000")


@test
def copy_out():
    conn = Conn()
    answer = conn.query("copy (select generate_series(1, 3), 'a,b') to stdout with (format csv, header)")
    data = b"".join(body for kind, body in answer if kind == "d")
    expect(data.split(b"\n")[1:], [b'1,"a,b"', b'2,"a,b"', b'3,"a,b"', b""])
    expect((tags(answer), kinds(answer)[0]), (["COPY 3"], "H"))
    answer = conn.query("copy (select 1) to stdout (format binary)")
    data = b"".join(body for kind, body in answer if kind == "d")
    assert data.startswith(b"PGCOPY\n\xff\r\n\0") and data.endswith(b"\xff\xff"), data
    for options, code in (("format x", "22023"), ("nosuch 1", "42601"), ("delimiter 'ab'", "0A000"), ("quote '\"'", "0A000"),
                          ("format csv, delimiter '\"'", "22023"), ("format csv, format csv", "42601"),
                          ("format binary, header", "0A000"), ("header match", "0A000"), ("delimiter 'a'", "22023")):
        expect((options, error(conn.query(f"copy (select 1) to stdout ({options})"))["C"]), (options, code))
    expect(error(conn.query("copy (select 1) to '/tmp/x'"))["C"], "0A000")
    expect(error(conn.query("copy (select 1) to program 'cat'"))["C"], "42501")


@test
def disconnects_in_the_middle():
    for sql in ("select generate_series(1, 1000000)", "select 1; select 2", "copy (select generate_series(1, 1000000)) to stdout"):
        conn = Conn()
        conn.send(message("Q", cstr(sql)))
        time.sleep(0.05)
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        conn.close()
    expect(rows(Conn().query("select 1")), [(b"1",)])


@test
def many_connections():
    conns = [Conn() for _ in range(50)]
    for i, conn in enumerate(conns):
        conn.send(message("Q", cstr(f"select {i}")))
    for i, conn in enumerate(conns):
        expect(rows(conn.until("Z")), [(str(i).encode(),)])

# ---- with tables ----

def table(columns="a int4, b text"):
    """A connection and the name of a fresh table."""
    conn = Conn()
    name = f"protocol_test_{time.time_ns()}"
    answer = conn.query(f"create table {name} ({columns})")
    expect(tags(answer), ["CREATE TABLE"])
    return conn, name


def copy_data(data):
    return message("d", data)


COPY_DONE = message("c")


@test
def copy_in():
    conn, name = table()
    conn.send(message("Q", cstr(f"copy {name} from stdin; select 5")))
    expect(conn.until("G")[-1], ("G", b"\0\0\2\0\0\0\0"))
    conn.send(copy_data(b"1\to"), copy_data(b"ne\n2\t\\N"), copy_data(b"\n3\tx\\ty"), COPY_DONE)
    answer = conn.until("Z")
    expect((tags(answer), status(answer)), (["COPY 3", "SELECT 1"], "I"))
    expect(sorted(rows(conn.query(f"select a, b from {name}"))), [(b"1", b"one"), (b"2", None), (b"3", b"x\ty")])
    conn.send(message("Q", cstr(f"copy {name} (b, a) from stdin (format csv, header match)")))
    conn.until("G")
    conn.send(copy_data(b'b,a\r\n"q,1",7\r\n'), COPY_DONE)
    expect(tags(conn.until("Z")), ["COPY 1"])
    conn.send(message("Q", cstr(f"copy {name} from stdin (format binary)")))
    conn.until("G")
    conn.send(copy_data(b"PGCOPY\n\xff\r\n\0" + struct.pack("!iihii", 0, 0, 2, 4, 9) + struct.pack("!i", -1)
                        + struct.pack("!h", -1)), COPY_DONE)
    expect(tags(conn.until("Z")), ["COPY 1"])
    expect(rows(conn.query(f"select b from {name} where a = 9")), [(None,)])


@test
def copy_in_fails():
    conn, name = table("a int4 primary key, b text")
    for data, end, code, context in ((b"1\tx\nbad\ty\n", COPY_DONE, "22P02", f'COPY {name}, line 2, column a: "bad"'),
                                     (b"1\n", COPY_DONE, "22P04", f'COPY {name}, line 1: "1"'),
                                     (b"1\tx\n", message("f", cstr("no more")), "57014", None),
                                     (b"1\tx\n1\ty\n", COPY_DONE, "23505", None)):
        conn.send(message("Q", cstr(f"copy {name} from stdin; select 1")))
        conn.until("G")
        conn.send(copy_data(data), end)
        answer = conn.until("Z")
        found = error(answer)
        expect((found["C"], tags(answer), status(answer)), (code, [], "I"))
        if context:
            expect(found["W"], context)
        if code == "57014":
            expect(found["M"], "COPY from stdin failed: no more")
    expect(len(rows(conn.query(f"select a from {name}"))), 0)
    conn.send(message("Q", cstr(f"copy {name} from stdin")))
    conn.until("G")
    conn.close()
    expect(len(rows(Conn().query(f"select a from {name}"))), 0)


@test
def copy_in_extended_with_sync_before_data():
    conn, name = table()
    conn.send(parse("", f"copy {name} from stdin"), bind("", ""), describe("P"), execute(), SYNC)
    expect(kinds(conn.until("G")), "12nG")
    conn.send(copy_data(b"1\tx\n"), COPY_DONE, SYNC)
    answer = conn.until("Z")
    expect((tags(answer), status(answer)), (["COPY 1"], "I"))
    conn.send(parse("", f"copy {name} from stdin"), bind("", ""), execute(), SYNC)
    conn.until("G")
    conn.send(copy_data(b"z\tx\n"), copy_data(b"2\tx\n"), COPY_DONE, SYNC)
    expect(error(conn.until("Z"))["C"], "22P02")
    expect(len(rows(conn.query(f"select a from {name}"))), 1)


@test
def copy_in_many_rows():
    conn, name = table()
    conn.send(message("Q", cstr(f"copy {name} from stdin")))
    conn.until("G")
    for first in range(0, 50000, 1000):
        conn.send(copy_data(b"".join(b"%d\trow %d\n" % (i, i) for i in range(first, first + 1000))))
    conn.send(COPY_DONE)
    expect(tags(conn.until("Z")), ["COPY 50000"])
    answer = conn.query(f"copy {name} to stdout")
    expect(sum(1 for kind, _ in answer if kind == "d"), 50000)


@test
def transaction_rolls_back_at_disconnect():
    conn, name = table()
    conn.query(f"begin; insert into {name} values (1, 'x')")
    conn.close()
    expect(len(rows(Conn().query(f"select a from {name}"))), 0)


def subscribed(conn, count):
    """The next `count` rows of a running SUBSCRIBE, without their epochs."""
    out = []
    while len(out) < count:
        kind, body = conn.read()
        if kind == "D":
            out.append(rows([(kind, body)])[0][1:])
        else:
            assert kind in "TS", (kind, body)
    return out


@test
def subscribe_streams_and_cancels():
    writer, name = table()
    writer.query(f"insert into {name} values (1, 'old')")
    conn = Conn()
    conn.send(message("Q", cstr(f"subscribe {name}")))
    expect(subscribed(conn, 1), [(b"1", b"1", b"old")])
    writer.query(f"insert into {name} values (2, 'new')")
    expect(subscribed(conn, 1), [(b"1", b"2", b"new")])
    writer.query(f"update {name} set b = 'newer' where a = 2")
    expect(subscribed(conn, 2), [(b"-1", b"2", b"new"), (b"1", b"2", b"newer")])
    cancel = raw()
    cancel.sendall(struct.pack("!iiiI", 16, 80877102, conn.pid, conn.secret))
    cancel.recv(1)
    expect(error(conn.until("Z"))["C"], "57014")
    expect(rows(conn.query("select 1")), [(b"1",)])
    # a client that vanishes is noticed
    conn.send(message("Q", cstr(f"subscribe {name} with (snapshot = false)")))
    time.sleep(0.1)
    conn.close()
    writer.query(f"insert into {name} values (3, 'last')")


@test
def subscribe_cursor_and_portal():
    writer, name = table()
    writer.query(f"insert into {name} values (1, 'old')")
    conn = Conn()
    conn.query("begin; set local fetch_timeout = 100")
    conn.query(f"declare c cursor for subscribe {name}")
    expect([row[1:] for row in rows(conn.query("fetch 10 from c"))], [(b"1", b"1", b"old")])
    expect(rows(conn.query("fetch 10 from c")), [])
    writer.query(f"delete from {name}")
    expect([row[1:] for row in rows(conn.query("fetch 10 from c"))], [(b"-1", b"1", b"old")])
    conn.query("close c; commit")
    writer.query(f"insert into {name} values (1, 'x'), (2, 'y')")
    conn.send(parse("", f"subscribe {name}"), bind("", ""), describe("P"), execute("", 1), execute("", 1), SYNC)
    expect(kinds(conn.until("Z")), "12TDsDsZ")


@test
def copy_subscribe():
    writer, name = table()
    writer.query(f"insert into {name} values (1, 'old')")
    conn = Conn()
    conn.send(message("Q", cstr(f"copy (subscribe {name} with (progress)) to stdout")))
    conn.until("H")
    lines = [conn.until("d")[-1][1].split(b"\t") for _ in range(2)]
    expect(lines[0][1:], [b"1", b"1", b"old\n"])
    expect(lines[1][1:], [b"\\N", b"\\N", b"\\N\n"])
    conn.close()


def run(wanted):
    failed = 0
    for function in TESTS:
        if wanted and function.__name__ not in wanted:
            continue
        try:
            function()
        except Exception as problem:  # noqa: BLE001
            failed += 1
            frame = problem.__traceback__.tb_next or problem.__traceback__
            print(f"FAILED {function.__name__} (line {frame.tb_lineno}): {type(problem).__name__}: {problem}", flush=True)
    return failed


def main():
    global PORT
    with harness.millrace(sys.argv[1]) as server:
        PORT = server.port
        failed = run(sys.argv[2:])
    print("ok" if failed == 0 else f"{failed} failed")
    sys.exit(1 if failed else 0)


main()
