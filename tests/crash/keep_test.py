"""keep_test.py MILLRACE: BACKUP TO and --restore, CREATE SNAPSHOT and --restore-snapshot, inspect, --safe-mode, connections while the state comes back."""

import json
import os
import random
import resource
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tarfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import psycopg  # noqa: E402

VIEWS = {
    "by_kind": "SELECT kind, count(*) AS n, sum(v) AS s FROM item GROUP BY kind",
    "joined": "SELECT i.id, e.what FROM item i JOIN event e ON e.item = i.id",
    "above": "SELECT count(*) AS kinds FROM by_kind",
}
QUERIES = dict(VIEWS, above="SELECT count(DISTINCT kind) AS kinds FROM item")


def unpack_format_2(data):
    os.makedirs(data)
    with tarfile.open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "format-2", "data.tar.xz")) as tar:
        tar.extractall(data)


class Place:
    """A data directory, and the server on it."""

    def __init__(self, binary, base, name="data"):
        self.binary, self.base, self.data = binary, base, os.path.join(base, name)
        self.server = self.con = None

    def start(self, *options):
        self.server = harness.start_millrace(self.binary, self.data, "--workers", "1", *options)
        self.con = harness.connect_millrace(self.server)
        return self.con

    def stop(self, how=signal.SIGTERM):
        self.con.close()
        code = self.server.stop(how)
        assert how != signal.SIGTERM or code == 0, self.server.log_text()

    def run(self, *words):
        return subprocess.run([self.binary, *words], capture_output=True, text=True, timeout=120)

    def tool(self, *words, code=0):
        run = self.run(*words)
        assert run.returncode == code, (words, run.returncode, run.stdout, run.stderr)
        return run.stdout + run.stderr


def rows(con, sql):
    return sorted(con.execute(sql).fetchall(), key=repr)


def state(con):
    out = {name: rows(con, "SELECT * FROM " + name) for name in ("item", "event")}
    for name in VIEWS:
        out[name] = rows(con, "SELECT * FROM " + name)
        assert out[name] == rows(con, QUERIES[name]), name
    return out


def fill(con):
    con.execute("CREATE TABLE item (id int PRIMARY KEY, kind int, v int)")
    con.execute("CREATE STREAM event (item int, what text)")
    con.execute("CREATE SEQUENCE numbers")
    for name, sql in VIEWS.items():
        con.execute("CREATE MATERIALIZED VIEW %s AS %s" % (name, sql))
    con.execute("INSERT INTO item SELECT g, g % 5, g FROM generate_series(1, 500) g")
    con.execute("INSERT INTO event SELECT g % 500, 'event ' || g FROM generate_series(1, 800) g")


def change(con, number):
    rng = random.Random(number)
    con.execute("UPDATE item SET v = v + %d, kind = kind + 1 WHERE id %% 7 = %d" % (number, number % 7))
    con.execute("DELETE FROM item WHERE id = %d" % rng.randrange(500))
    con.execute("INSERT INTO event SELECT g %% 500, 'more %d' FROM generate_series(1, 50) g" % number)
    con.execute("INSERT INTO item VALUES (%d, 9, 1)" % (1000 + number))


def fails(con, sql, code, text=""):
    try:
        con.execute(sql)
    except psycopg.Error as error:
        assert error.sqlstate == code and text in str(error), (sql, error.sqlstate, str(error))
        return str(error)
    raise AssertionError(sql + " did not fail")


def check_backup(binary, base):
    place = Place(binary, base)
    con = place.start()
    fill(con)
    before = state(con)
    backup = os.path.join(base, "backup 'one'")
    con.execute("BACKUP TO '%s'" % backup.replace("'", "''"))
    change(con, 1)
    assert state(con) != before
    fails(con, "BACKUP TO '%s'" % backup.replace("'", "''"), "55000", "is not empty")
    fails(con, "BACKUP TO 'relative'", "42602")
    fails(con, "BACKUP TO '/nowhere/at/all'", "58030")
    fails(con, "BACKUP TO", "42601")
    fails(con, "BEGIN; BACKUP TO '/tmp/x'", "25001")
    con.execute("ROLLBACK")

    # while others write: one state, at one point in between
    stop = threading.Event()

    def write():
        with harness.connect_millrace(place.server) as other:
            number = 10000
            while not stop.is_set():
                number += 1
                other.execute("BEGIN; INSERT INTO item VALUES (%d, 1, 0); INSERT INTO event VALUES (%d, 'pair'); COMMIT" % (number, number))
                if number % 10 == 0:
                    other.execute("CREATE TABLE extra_%d AS SELECT %d AS a" % (number, number))
    writer = threading.Thread(target=write)
    writer.start()
    for number in range(2, 4):
        change(con, number)
        con.execute("BACKUP TO '%s'" % os.path.join(base, "backup.%d" % number))
    stop.set()
    writer.join()
    last = state(con)
    place.stop()

    for name, expected in (("backup 'one'", before), ("backup.2", None), ("backup.3", None)):
        source = os.path.join(base, name)
        copy = Place(binary, base, "restored " + name)
        assert "All checksums are right" in copy.tool("inspect", source)
        assert "restored" in copy.tool("--restore", source, "--data-dir", copy.data)
        assert "is not empty" in copy.tool("--restore", source, "--data-dir", copy.data, code=1)
        con = copy.start()
        found = state(con)
        assert expected is None or found == expected
        pairs = "SELECT count(*) FROM %s WHERE %s"
        assert rows(con, pairs % ("item", "id > 10000")) == rows(con, pairs % ("event", "what = 'pair'"))
        for table, in rows(con, "SELECT relname FROM pg_class WHERE relname LIKE 'extra%'"):
            assert rows(con, "SELECT a FROM " + table) == [(int(table[6:]),)], table
        change(con, 5)
        state(con)
        copy.stop()
        con = copy.start()
        state(con)
        copy.stop()

    # a backup that was copied elsewhere is a data directory, too
    direct = Place(binary, base, "direct")
    shutil.copytree(os.path.join(base, "backup 'one'"), direct.data)
    con = direct.start()
    assert state(con) == before
    change(con, 6)
    direct.stop()
    assert "not what was backed up" in direct.tool("--restore", direct.data, "--data-dir", os.path.join(base, "none"), code=1)
    assert not os.path.exists(os.path.join(base, "none"))

    # the original has not been touched by all that
    con = place.start()
    assert state(con) == last
    assert rows(con, "SELECT * FROM millrace.snapshots") == []
    place.stop()


def check_damaged_backup(binary, base):
    place = Place(binary, base, "damaged")
    con = place.start()
    fill(con)
    backup = os.path.join(base, "whole")
    con.execute("BACKUP TO '%s'" % backup)
    place.stop()
    names = sorted(os.listdir(backup))
    assert names == ["log.db", "manifest.json", "state.db"], names
    target = os.path.join(base, "target")
    rng = random.Random(3)
    for number, name in enumerate(names * (1 if harness.SMALL else 4)):
        bad = os.path.join(base, "bad.%d" % number)
        shutil.copytree(backup, bad)
        path = os.path.join(bad, name)
        if number < 3:
            os.remove(path)
        else:
            with open(path, "r+b") as f:
                at = rng.randrange(os.path.getsize(path))
                f.seek(at)
                byte = f.read(1)
                f.seek(at)
                f.write(bytes([byte[0] ^ (1 << rng.randrange(8))]))
        place.tool("--restore", bad, "--data-dir", target, code=1)
        assert not os.path.exists(target), (name, number)
        assert place.run("inspect", bad).returncode != 0 or name == "manifest.json" and number < 3, (name, number)


def check_full_disk(binary, base):
    """What cannot be written is an error, nothing of it is left, and the server goes on."""
    place = Place(binary, base, "small")
    con = place.start()
    fill(con)
    con.execute("INSERT INTO item SELECT g, g, (g * 7919) % 100003 FROM generate_series(2000, 60000) g")
    before = state(con)
    limit = resource.prlimit(place.server.pid, resource.RLIMIT_FSIZE)
    con.execute("CHECKPOINT")
    existing = os.path.join(base, "existing")
    os.mkdir(existing)
    for target in (os.path.join(base, "new"), existing):
        for size in (0, 5000, 60000):
            resource.prlimit(place.server.pid, resource.RLIMIT_FSIZE, (size, limit[1]))
            try:
                con.execute("BACKUP TO '%s'" % target)
                raise AssertionError("there was room")
            except psycopg.Error as error:
                assert error.sqlstate in ("53100", "58030"), error.sqlstate
            finally:
                resource.prlimit(place.server.pid, resource.RLIMIT_FSIZE, limit)
            assert not os.path.exists(target) if target != existing else os.listdir(target) == []
    con.close()
    place.server.stop(signal.SIGKILL)  # the log may have met the limit, too
    con = place.start()
    assert state(con) == before
    place.stop()


def check_snapshots(binary, base):
    place = Place(binary, base, "kept")
    con = place.start()
    fill(con)
    con.execute("SELECT nextval('numbers')")
    states = {}
    for number, name in enumerate(["first", "Second Time", "third"]):
        states[name] = state(con)
        con.execute('CREATE SNAPSHOT "%s"' % name)
        change(con, 20 + number)
        if number == 0:
            con.execute("CREATE TABLE later (a int)")
            con.execute("INSERT INTO later VALUES (1)")
        if number == 1:
            con.execute("DROP MATERIALIZED VIEW above")
            con.execute("CREATE MATERIALIZED VIEW above AS " + VIEWS["above"])
            con.execute("CHECKPOINT")
    states["end"] = state(con)
    assert [r[0] for r in rows(con, "SELECT name FROM millrace.snapshots")] == ["Second Time", "first", "third"]
    fails(con, "CREATE SNAPSHOT first", "42710")
    fails(con, "DROP SNAPSHOT nothing", "42704")
    con.execute("DROP SNAPSHOT IF EXISTS nothing")
    fails(con, "CREATE SNAPSHOT", "42601")
    fails(con, "BEGIN; CREATE SNAPSHOT x", "25001")
    con.execute("ROLLBACK")
    assert "in use" in place.tool("--restore-snapshot", "first", "--data-dir", place.data, code=1)
    place.stop(signal.SIGKILL)

    assert "does not exist" in place.tool("--restore-snapshot", "nothing", "--data-dir", place.data, code=1)
    for name in ("third", "first", "Second Time", "first", "third"):
        place.tool("--data-dir", place.data, "--restore-snapshot", name)
        con = place.start()
        assert state(con) == states[name], name
        later = rows(con, "SELECT relname FROM pg_class WHERE relname = 'later'")
        assert later == ([] if name == "first" else [("later",)])
        if later:
            assert rows(con, "SELECT * FROM later") == [(1,)]
        assert con.execute("SELECT nextval('numbers')").fetchone()[0] > 1
        assert len(rows(con, "SELECT * FROM millrace.snapshots")) == 3
        change(con, 40)
        changed = state(con)
        con.execute("CHECKPOINT")
        change(con, 41)
        place.stop(signal.SIGKILL)
        con = place.start()
        assert state(con) != changed
        place.stop()
        assert "All checksums are right" in place.tool("inspect", place.data)

    con = place.start()
    for name in ("first", "Second Time", "third"):
        con.execute('DROP SNAPSHOT "%s"' % name)
    con.execute("CHECKPOINT")
    place.stop()
    told = json.loads(place.tool("inspect", place.data, "--json"))
    assert told["state"]["snapshots"] == [] and len(told["state"]["checkpoints"]) == 1, told["state"]
    assert all(table["dropped"] == 0 for table in told["state"]["tables"]), told["state"]["tables"]
    assert "does not exist" in place.tool("--restore-snapshot", "first", "--data-dir", place.data, code=1)


def contents(path):
    out = {}
    for name in os.listdir(path):
        with open(os.path.join(path, name), "rb") as f:
            out[name] = f.read()
    return out


def check_inspect(binary, base):
    place = Place(binary, base, "seen")
    con = place.start()
    fill(con)
    con.execute("CREATE SNAPSHOT kept")
    change(con, 1)
    assert "in use" in place.tool("inspect", place.data, code=2)
    place.stop(signal.SIGKILL)
    before = contents(place.data)
    text = place.tool("inspect", place.data)
    told = json.loads(place.tool("inspect", place.data, "--json"))
    assert contents(place.data) == before
    for word in ("materialized view", "public.by_kind", "kept: checkpoint", "All checksums are right"):
        assert word in text, text
    objects = {row["name"]: row for row in told["state"]["objects"]}
    assert objects["item"]["kind"] == "table" and objects["above"]["kind"] == "materialized view"
    newest = [row for row in told["state"]["checkpoints"] if row["is_newest"]]
    assert len(newest) == 1 and newest[0]["workers"] == 1
    assert told["log"]["last_epoch"] > newest[0]["epoch"] and told["log"]["ticks_to_replay"] == 4, told["log"]
    assert {"item", "event", "by_kind"} <= {row["object"] for row in told["state"]["tables"]}, told["state"]["tables"]
    assert told["damage"] == []
    assert "No such file" in place.tool("inspect", os.path.join(base, "nowhere"), code=2)

    # ticks that are not what was written, in pages that are (those of format 2 have no checksums of their own)
    for sql in ("UPDATE tick SET body = zeroblob(length(body)) WHERE epoch = (SELECT max(epoch) FROM tick)",
                "UPDATE tick SET is_last = 0 WHERE epoch = (SELECT max(epoch) FROM tick)"):
        bad = os.path.join(base, "bad copy")
        unpack_format_2(bad)
        assert "All checksums are right" in place.tool("inspect", bad)
        db = sqlite3.connect(os.path.join(bad, "log.db"))
        db.execute(sql)
        db.commit()
        db.close()
        assert "log.db" in place.tool("inspect", bad, code=1).split("damage:")[1]
        shutil.rmtree(bad)
    rng = random.Random(5)
    found = 0
    for _ in range(12):
        bad = os.path.join(base, "bad copy")
        shutil.copytree(place.data, bad)
        name = rng.choice(["state.db", "state.db-wal", "log.db", "log.db-wal"])
        path = os.path.join(bad, name)
        size = os.path.getsize(path) if os.path.exists(path) else 0
        if size > 0:
            with open(path, "r+b") as f:
                at = rng.randrange(size)
                f.seek(at)
                byte = f.read(1)
                f.seek(at)
                f.write(bytes([byte[0] ^ 255]))
            run = place.run("inspect", bad)
            assert run.returncode in (0, 1), (name, at, run.stdout, run.stderr)
            found += run.returncode
        shutil.rmtree(bad)
    assert found > 0, "nothing was noticed"


DISABLED = ("SELECT * FROM by_kind", "SUBSCRIBE by_kind", "COPY by_kind TO STDOUT", "EXPLAIN MATERIALIZED VIEW by_kind",
            "REFRESH MATERIALIZED VIEW by_kind", "CREATE MATERIALIZED VIEW more AS SELECT * FROM by_kind", "CREATE INDEX i ON by_kind (s)",
            "ALTER MATERIALIZED VIEW by_kind RENAME TO kinds", "COMMENT ON MATERIALIZED VIEW by_kind IS 'x'", "SELECT * FROM plain")


def check_catalogs(con):
    for catalog in ("pg_class", "pg_attribute", "pg_indexes", "pg_matviews", "pg_views", "pg_tables", "information_schema.columns",
                    "millrace.relations", "millrace.operators", "millrace.watermarks", "pg_stat_user_tables"):
        con.execute("SELECT * FROM " + catalog).fetchall()
    con.execute("SELECT relname, pg_relation_size(oid), pg_get_viewdef(oid), pg_get_indexdef(oid) FROM pg_class WHERE oid >= 16384").fetchall()


def check_safe_mode(binary, base):
    place = Place(binary, base, "safe")
    con = place.start()
    fill(con)
    con.execute("CREATE VIEW plain AS SELECT kind FROM by_kind")
    con.execute("CREATE INDEX by_kind_n ON by_kind (n)")
    con.execute("CREATE INDEX item_kind ON item (kind)")
    con.execute("CHECKPOINT")
    change(con, 1)
    before = state(con)
    place.stop(signal.SIGKILL)
    con = place.start("--safe-mode")
    assert rows(con, "SELECT * FROM item") == before["item"]
    assert rows(con, "SELECT * FROM event") == before["event"]
    told = {r[0]: r for r in con.execute("SELECT name, kind, reason, definition FROM millrace.disabled").fetchall()}
    assert set(told) == {"by_kind", "joined", "above"}, told
    for sql in DISABLED:
        assert "safe mode" in fails(con, sql, "55000", "is disabled")
    for sql in ("CHECKPOINT", "CREATE SNAPSHOT x", "BACKUP TO '%s'" % os.path.join(base, "safe backup")):
        fails(con, sql, "55000", "safe mode")
    assert not os.path.exists(os.path.join(base, "safe backup"))
    check_catalogs(con)
    fails(con, "DROP MATERIALIZED VIEW by_kind", "2BP01")
    change(con, 2)
    con.execute("DROP MATERIALIZED VIEW joined")
    con.execute("CREATE MATERIALIZED VIEW fresh AS SELECT count(*) AS n FROM item")
    changed = {name: rows(con, "SELECT * FROM " + name) for name in ("item", "event")}
    place.stop()
    con = place.start()
    assert rows(con, "SELECT * FROM millrace.disabled") == []
    con.execute("CREATE MATERIALIZED VIEW joined AS " + VIEWS["joined"])
    found = state(con)
    assert {name: found[name] for name in changed} == changed
    assert rows(con, "SELECT * FROM fresh") == rows(con, "SELECT count(*) FROM item")
    assert rows(con, "SELECT DISTINCT kind FROM plain") == rows(con, "SELECT DISTINCT kind FROM item")
    place.stop()

    # definitions that cannot be bound, put into a directory whose pages have no checksums
    place = Place(binary, base, "broken")
    unpack_format_2(place.data)
    db = sqlite3.connect(os.path.join(place.data, "state.db"))
    db.execute("UPDATE object SET sql = 'CREATE MATERIALIZED VIEW public.joined (id, kind, amount, note) AS SELECT id, 1, 2, no_such_column FROM"
               " shop.item' WHERE name = 'joined'")
    db.execute("UPDATE object SET sql = 'CREATE MATERIALIZED VIEW public.top (id, price) AS SELECT id, price FROM no_such_table' WHERE name = 'top'")
    db.execute("INSERT INTO object VALUES (900001, 2200, 'wrong', 'table', 'CREATE TABLE wrong (a no_such_type)', NULL, 1)")
    db.execute("INSERT INTO object VALUES (900002, 2200, 'over', 'view', 'CREATE VIEW public.over (id) AS SELECT id FROM top', NULL, 1)")
    db.commit()
    db.close()
    out = place.tool("--data-dir", place.data, "--port", "0", "--http-port", "0", "--workers", "1", code=1)
    assert "wrong" in out and "cannot be restored" in out, out
    con = place.start("--safe-mode")
    told = {r[0]: r for r in con.execute("SELECT name, kind, reason, definition FROM millrace.disabled").fetchall()}
    assert set(told) == {"by_kind", "joined", "top", "hourly", "seen", "ranked", "wrong", "over"}, told
    assert "no_such_column" in told["joined"][2] and "no_such_type" in told["wrong"][2] and "no_such_table" in told["top"][2], told
    assert len(rows(con, "SELECT * FROM shop.item")) == 40 and len(rows(con, "SELECT * FROM dear")) > 0
    for sql in ("INSERT INTO wrong VALUES (1)", "ALTER TABLE wrong RENAME TO whole", "SELECT * FROM over", "SELECT * FROM top",
                "COMMENT ON TABLE wrong IS 'x'", "SELECT * FROM joined"):
        assert "safe mode" in fails(con, sql, "55000", "is disabled")
    check_catalogs(con)
    fails(con, "DROP MATERIALIZED VIEW top", "2BP01")
    con.execute("DROP MATERIALIZED VIEW top CASCADE")
    con.execute("DROP MATERIALIZED VIEW joined")
    con.execute("DROP TABLE wrong")
    con.execute("INSERT INTO shop.item VALUES (77, 'kind 1', 5, NULL, NULL)")
    con.execute("INSERT INTO passing VALUES (1, 1000)")
    place.stop()
    con = place.start()
    kinds = "SELECT kind, count(*), sum(price), min(added) FROM shop.item GROUP BY kind"
    assert rows(con, "SELECT * FROM by_kind") == rows(con, kinds)
    assert rows(con, "SELECT sum(s) FROM seen") == [(50 * 51 // 2 + 1000,)]
    place.stop()


def first_answer(port):
    """What the server says to a new connection: an SQLSTATE, "ready", or None when nobody listens."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as sock:
            body = struct.pack("!i", 196608) + b"user\0test\0database\0millrace\0\0"
            sock.sendall(struct.pack("!i", len(body) + 4) + body)
            data = b""
            while True:
                more = sock.recv(4096)
                data += more
                if data[:1] == b"R":
                    return "ready"
                if data[:1] == b"E" and not more:
                    fields = {part[:1]: part[1:].decode() for part in data[5:].split(b"\0") if part}
                    return fields[b"C"]
                if not more:
                    return None
    except OSError:
        return None


def check_starting(binary, base):
    place = Place(binary, base, "long")
    con = place.start("--checkpoint-interval", "0", "--checkpoint-log-size", "0")
    con.execute("CREATE TABLE t (a int)")
    con.execute("CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n FROM t")
    size = 50000
    for _ in range(6):  # until a restart takes long enough to be seen
        con.execute("INSERT INTO t SELECT g FROM generate_series(1, %d) g" % size)
        total = con.execute("SELECT n FROM v").fetchone()[0]
        place.stop(signal.SIGKILL)
        port = harness.free_port()
        process = subprocess.Popen([binary, "--data-dir", place.data, "--port", str(port), "--http-port", "0", "--workers", "1",
                                    "--checkpoint-interval", "0", "--checkpoint-log-size", "0"], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        answers = []
        while "ready" not in answers:
            assert process.poll() is None
            answers.append(first_answer(port))
        place.server = harness.Server(process, port, place.data + ".log")
        place.con = con = harness.connect_millrace(place.server)
        assert con.execute("SELECT n FROM v").fetchone()[0] == total
        assert set(answers) <= {None, "57P03", "ready"}, answers
        if "57P03" in answers:
            break
        size *= 3
    else:
        raise AssertionError("no connection was told to wait")
    place.stop()


def main():
    binary = sys.argv[1]
    checks = [check_backup, check_damaged_backup, check_full_disk, check_snapshots, check_inspect, check_safe_mode, check_starting]
    wanted = sys.argv[2:]
    for check in checks:
        if wanted and check.__name__ not in wanted:
            continue
        with harness.temp_dir() as base:
            check(binary, base)
            print(check.__name__)


main()
