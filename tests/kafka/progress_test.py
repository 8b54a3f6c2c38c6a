"""progress_test.py MILLRACE [--only PART,PART] [SERVER OPTIONS]

Sources over topics: rows, rejected records and offsets are one; over kill -9, with the relations that belong to a source."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time

import psycopg

import kafka_support
from checks import chosen
from kafka_support import Record
from kafka_support import harness


def one(con, sql):
    return con.execute(sql).fetchone()


def rows(con, sql):
    return con.execute(sql).fetchall()


def until(con, sql, wanted, what):
    """Waits for what a query gives."""
    deadline = time.monotonic() + 120
    while True:
        got = rows(con, sql)
        if got == wanted:
            return
        if time.monotonic() > deadline:
            raise AssertionError("%s: got %r, not %r; sources: %r" % (what, got[:5], wanted[:5], rows(con, "SELECT * FROM millrace.sources")))
        time.sleep(0.02)


def expect(got, wanted, what):
    if got != wanted:
        raise AssertionError("%s: got %r, not %r" % (what, got, wanted))


def refused(con, sqlstate, sql, part=""):
    try:
        con.execute(sql)
    except psycopg.Error as error:
        if error.sqlstate != sqlstate or part not in str(error):
            raise AssertionError("%s: %s %s, not %s %s" % (sql, error.sqlstate, error, sqlstate, part)) from None
        return
    raise AssertionError("%s: it was not refused with %s" % (sql, sqlstate))


def record(partition=None, key=None, **members):
    return Record(json.dumps(members).encode(), key, partition)


class World:
    def __init__(self, binary, data, options, cluster):
        self.binary, self.data, self.options, self.cluster = binary, data, options, cluster
        self.start()

    def start(self):
        self.server = harness.start_millrace(self.binary, self.data, *self.options)
        self.con = harness.connect_millrace(self.server)

    def kill(self):
        self.con.close()
        self.server.stop(signal.SIGKILL)
        self.start()

    def source(self, kind, name, columns, topic, options=""):
        self.con.execute("CREATE %s %s (%s) WITH (connector = 'kafka', topic = '%s', \"bootstrap.servers\" = '%s', format = 'json'%s)" % (
            kind, name, columns, topic, self.cluster.bootstrap, options))


def accounts(con, name):
    """accepted + rejected + skipped + offsets without a record = offsets read"""
    return one(con, "SELECT sum(accepted), sum(rejected), sum(skipped), sum(next_offset - accepted - rejected - skipped - absent - lost) FROM %s_progress" % name)


def streams(world):
    con, cluster = world.con, world.cluster
    cluster.create_topic("orders", 3)
    cluster.produce("orders", [record(i % 3, id=i, amount="%d.50" % i) for i in range(300)])
    world.source("STREAM", "orders", "id bigint NOT NULL, amount numeric, part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset')",
                 "orders", ", consumers = 2")
    until(con, "SELECT count(*), count(DISTINCT id), sum(amount) FROM orders", [(300, 300, sum(i + 0.5 for i in range(300)))], "rows")
    expect(rows(con, "SELECT part, count(*), min(off), max(off) FROM orders GROUP BY part ORDER BY part"), [(p, 100, 0, 99) for p in range(3)], "metadata")
    cluster.produce("orders", [Record(b"{bad", b"k", 1), record(2, id=None), record(0, id=1000, amount="1")])
    until(con, "SELECT count(*) FROM orders", [(301,)], "the good one")
    until(con, "SELECT partition, \"offset\", key, value, sqlstate FROM orders_errors ORDER BY 1, 2",
          [(1, 100, b"k", b"{bad", "22P02"), (2, 100, None, b'{"id": null}', "23502")], "rejected records")
    expect(accounts(con, "orders"), (301, 2, 0, 0), "accounts")
    for round_ in range(1, 4):
        world.kill()
        con = world.con
        cluster.produce("orders", [record(i % 3, id=2000 + i) for i in range(30)])
        until(con, "SELECT sum(next_offset) FROM orders_progress", [(303 + 30 * round_,)], "read to the end")
    expect(one(con, "SELECT count(*), count(DISTINCT (part, off)) FROM orders"), (391, 391), "each once")
    expect(accounts(con, "orders")[1:], (2, 0, 0), "accounts after restarts")


def belongings(world):
    con = world.con
    refused(con, "2BP01", "DROP TABLE orders_progress", "orders")
    refused(con, "2BP01", "DROP TABLE orders_errors", "orders")
    refused(con, "42809", "DELETE FROM orders_progress")
    refused(con, "42809", "INSERT INTO orders_progress SELECT * FROM orders_progress")
    refused(con, "42809", "UPDATE orders_errors SET reason = ''")
    refused(con, "42809", "ALTER TABLE orders_progress ADD COLUMN x int", "belongs")
    con.execute("INSERT INTO orders (id, amount) SELECT 5000, 1 FROM orders_errors WHERE partition = 1")
    con.execute("DELETE FROM orders_errors WHERE partition = 1")
    expect(one(con, "SELECT count(*) FROM orders_errors"), (1,), "one is repaired")
    con.execute("CREATE VIEW broken AS SELECT * FROM orders_errors")
    refused(con, "2BP01", "DROP STREAM orders")
    con.execute("DROP VIEW broken")
    con.execute("ALTER TABLE orders RENAME TO purchases")
    expect(one(con, "SELECT count(*) FROM purchases_errors"), (1,), "the parts are renamed")
    world.kill()
    con = world.con
    expect(one(con, "SELECT count(*) FROM purchases_errors"), (1,), "also after a restart")
    con.execute("CREATE TABLE taken_errors (a int)")
    refused(con, "42P07", "CREATE STREAM taken (id int) WITH (connector = 'kafka', topic = 'orders', \"bootstrap.servers\" = '%s', format = 'json')"
            % world.cluster.bootstrap, "taken_errors")
    refused(con, "08001", "CREATE STREAM gone (id int) WITH (connector = 'kafka', topic = 'orders', \"bootstrap.servers\" = '127.0.0.1:%d', format = 'json')"
            % harness.free_port())
    expect(rows(con, "SELECT relname FROM pg_class WHERE relname LIKE 'gone%' OR relname = 'taken'"), [], "nothing is left behind")
    con.execute("DROP STREAM purchases")
    expect(rows(con, "SELECT relname FROM pg_class WHERE relname LIKE 'purchases%'"), [], "the parts are gone")


def tables(world):
    con, cluster = world.con, world.cluster
    cluster.create_topic("users", 2)
    world.source("TABLE", "users", "id bigint PRIMARY KEY, name text, email text UNIQUE", "users", ", key_columns = 'key', key_format = 'json'")
    con.execute("CREATE MATERIALIZED VIEW names AS SELECT name, count(*) AS n FROM users GROUP BY name")
    con.execute("CREATE INDEX ON users (name)")
    latest = {}
    for round_ in range(6):
        batch = []
        for i in range(400):
            key = (i * 7 + round_ * 13) % 150
            raw = json.dumps({"id": key}).encode()
            if i % 11 == 3:
                batch.append(Record(None, raw, key % 2))
                latest.pop(key, None)
            else:
                batch.append(record(key % 2, raw, name="n%d" % (i % 5), email="%d@%d" % (key, round_)))
                latest[key] = ("n%d" % (i % 5), "%d@%d" % (key, round_))
        if round_ == 2:
            con.execute("CHECKPOINT")  # views come from there, and these records from the log behind it
        if round_ % 2 == 1:
            con.execute("ALTER TABLE users SET (paused = 'true')")
        cluster.produce("users", batch)
        if round_ % 2 == 1:  # all at once: several of one key in one transaction
            con.execute("ALTER TABLE users SET (paused = 'false')")
        wanted = sorted((key, *value) for key, value in latest.items())
        until(con, "SELECT id, name, email FROM users ORDER BY id", wanted, "the newest of each key")
        if round_ in (2, 4):
            world.kill()
            con = world.con
            expect(rows(con, "SELECT id, name, email FROM users ORDER BY id"), wanted, "the same after a restart")
        expect(rows(con, "SELECT * FROM names ORDER BY name"), rows(con, "SELECT name, count(*) FROM users GROUP BY name ORDER BY name"),
               "a view over it, round %d" % round_)
        expect(rows(con, "SELECT id FROM users WHERE name = 'n1' ORDER BY id"), [(k,) for k, v in sorted(latest.items()) if v[0] == "n1"], "its index")
    # what a UNIQUE constraint refuses is one record, not its neighbours
    key = json.dumps({"id": 9001}).encode()
    other = sorted(latest)[0]
    cluster.produce("users", [record(0, json.dumps({"id": 9000}).encode(), name="x", email="new"),
                              record(0, key, name="y", email=latest[other][1]),
                              record(0, json.dumps({"id": 9002}).encode(), name="z", email="newer")])
    until(con, "SELECT id FROM users WHERE id >= 9000 ORDER BY id", [(9000,), (9002,)], "neighbours of a refused record")
    expect(rows(con, "SELECT key, sqlstate FROM users_errors"), [(key, "23505")], "the refused record")
    expect(accounts(con, "users")[1:], (1, 0, 0), "accounts")
    con.execute("UPDATE users SET name = 'changed' WHERE id = 9000")
    refused(con, "23505", "INSERT INTO users VALUES (9000, 'a', 'b')")
    con.execute("DROP TABLE users CASCADE")


def policies(world):
    con, cluster = world.con, world.cluster
    cluster.create_topic("checked", 1)
    cluster.produce("checked", [record(0, id=i) for i in range(5)] + [record(0, id=-1), record(0, id=6)])
    columns = "id int CHECK (id >= 0), twice int GENERATED ALWAYS AS (id * 2) STORED, note text DEFAULT 'none', k text OPTIONS (metadata 'key')"
    world.source("STREAM", "letters", columns, "checked")
    world.source("STREAM", "skips", columns, "checked", ", on_error = 'skip'")
    world.source("STREAM", "fails", columns, "checked", ", on_error = 'fail'")
    until(con, "SELECT id, twice, note FROM letters ORDER BY id", [(i, 2 * i, "none") for i in (0, 1, 2, 3, 4, 6)], "rows that are right")
    expect(rows(con, "SELECT \"offset\", sqlstate FROM letters_errors"), [(5, "23514")], "the other")
    until(con, "SELECT count(*) FROM skips", [(6,)], "skip")
    expect(accounts(con, "skips"), (6, 0, 1, 0), "skipped records are counted")
    expect(rows(con, "SELECT * FROM skips_errors"), [], "and not kept")
    until(con, "SELECT state FROM millrace.sources WHERE relation = 'fails'", [("failed",)], "fail")
    expect(one(con, "SELECT count(*), (SELECT next_offset FROM fails_progress) FROM fails"), (5, 5), "it stands before the record")
    error = one(con, "SELECT error FROM millrace.sources WHERE relation = 'fails'")[0]
    expect(["offset 5" in error, "partition 0" in error, "fails" in error], [True] * 3, error)
    world.kill()
    con = world.con
    until(con, "SELECT state FROM millrace.sources WHERE relation = 'fails'", [("failed",)], "it fails there again")
    con.execute("ALTER STREAM fails SET (skip_offset = '0:5')")
    until(con, "SELECT count(*), (SELECT skipped FROM fails_progress) FROM fails", [(6, 1)], "the record is skipped")
    con.execute("ALTER STREAM letters SET (paused = 'true')")
    until(con, "SELECT state FROM millrace.sources WHERE relation = 'letters'", [("paused",)], "paused")
    cluster.produce("checked", [record(0, id=7)])
    until(con, "SELECT count(*) FROM skips", [(7,)], "the others go on")
    expect(one(con, "SELECT count(*) FROM letters"), (6,), "it does not")
    world.kill()
    con = world.con
    expect(one(con, "SELECT state FROM millrace.sources WHERE relation = 'letters'"), ("paused",), "paused over a restart")
    con.execute("ALTER STREAM letters SET (paused = 'false', max_rows_per_second = 1000)")
    until(con, "SELECT count(*) FROM letters", [(7,)], "it goes on")
    until(con, "SELECT relation, lag FROM millrace.source_partitions ORDER BY 1", [("fails", 0), ("letters", 0), ("skips", 0)], "nothing is left to read")
    for name in ("letters", "skips", "fails"):
        con.execute("DROP STREAM " + name)


def watermarks(world):
    con, cluster = world.con, world.cluster
    cluster.create_topic("times", 2)
    cluster.produce("times", [record(0, ts="2026-01-01 00:00:10")] * 50 + [record(1, ts="2026-01-01 00:00:05")])
    world.source("STREAM", "times", "ts timestamp, WATERMARK FOR ts AS ts - INTERVAL '1 second'", "times", ", max_rows_per_second = 20")
    until(con, "SELECT partitions, watermark::text FROM millrace.watermarks WHERE relation = 'times'", [(2, "2026-01-01 00:00:04")], "the slowest partition")
    con.execute("INSERT INTO times VALUES ('2026-01-01 00:00:01')")
    cluster.produce("times", [record(1, ts="2026-01-01 00:00:20")])
    until(con, "SELECT partitions, watermark::text FROM millrace.watermarks WHERE relation = 'times'", [(2, "2026-01-01 00:00:09")], "it goes on")
    world.kill()
    expect(rows(world.con, "SELECT partitions, watermark::text FROM millrace.watermarks WHERE relation = 'times'"), [(2, "2026-01-01 00:00:09")],
           "also after a restart")
    world.con.execute("DROP STREAM times")


def waiting(world):
    con, cluster = world.con, world.cluster
    cluster.create_topic("awaited", 2)
    world.source("STREAM", "awaited", "id int", "awaited")
    expect(one(con, "SELECT wait_for('awaited', 1, 0, timeout => '10 ms')"), (False,), "nothing has come")
    cluster.produce("awaited", [record(1, id=1)])
    expect(one(con, "SELECT wait_for('awaited', 1, 0, timeout => '2 minutes')"), (True,), "it has")
    expect(rows(con, "SELECT id FROM awaited"), [(1,)], "and can be seen")
    # the broker goes and comes back
    cluster.stop()
    until(con, "SELECT state FROM millrace.sources", [("waiting for broker",)], "the broker is away")
    expect(one(con, "SELECT error IS NOT NULL FROM millrace.sources"), (True,), "why it waits")
    cluster.start()
    cluster.produce("awaited", [record(0, id=2)])
    until(con, "SELECT id FROM awaited ORDER BY id", [(1,), (2,)], "it goes on by itself")
    until(con, "SELECT state, error FROM millrace.sources", [("running", None)], "and says so")
    # and is away when the server starts
    cluster.stop()
    world.kill()
    con = world.con
    until(con, "SELECT state FROM millrace.sources", [("waiting for broker",)], "the broker is away at the start")
    cluster.start()
    cluster.produce("awaited", [record(1, id=3)])
    until(con, "SELECT id FROM awaited ORDER BY id", [(1,), (2,), (3,)], "it goes on after the start as well")
    con.execute("DROP STREAM awaited")


def in_flight(world):
    """Transactions in flight behind one that fails fail with it: else its records would be passed by."""
    con, cluster = world.con, world.cluster
    cluster.create_topic("wide", 1)
    count, taken = 60000, range(1, 60000, 2500)  # each of these has what the record before it has
    cluster.produce("wide", [record(0, id=i, u=str(i - (i in taken))) for i in range(count)])
    world.source("TABLE", "wide", "id int PRIMARY KEY, u text UNIQUE", "wide", ", paused = 'true'")
    con.execute("CREATE MATERIALIZED VIEW most AS SELECT u, max(id) AS id, count(*) AS n FROM wide GROUP BY u")  # ticks that take their time
    con.execute("ALTER TABLE wide SET (paused = 'false')")
    until(con, "SELECT next_offset FROM wide_progress", [(count,)], "all are read")
    expect(one(con, "SELECT accepted, rejected FROM wide_progress"), (count - len(taken), len(taken)), "accounts")
    missing = set(range(count)).difference(id_ for id_, in rows(con, "SELECT id FROM wide"))
    expect(sorted(missing), list(taken), "each is there but those that are refused")
    expect(rows(con, "SELECT \"offset\", sqlstate FROM wide_errors ORDER BY 1"), [(offset, "23505") for offset in taken], "which are kept")
    con.execute("DROP TABLE wide CASCADE")


def fill_disk(world, name, take_room, give_room):
    """Rows that find no room wait for it, and come once."""
    con, cluster = world.con, world.cluster
    cluster.create_topic(name, 2)
    world.source("STREAM", name, "id int, pad text", name)
    con.execute("CREATE MATERIALIZED VIEW %s_sums AS SELECT count(*) AS n, sum(id) AS s FROM %s" % (name, name))
    cluster.produce(name, [record(i % 2, id=i) for i in range(200)])
    until(con, "SELECT n FROM %s_sums" % name, [(200,)], "rows with room")
    take_room(world)
    cluster.produce(name, [record(i % 2, id=i, pad=os.urandom(1000).hex()) for i in range(200, 4200)])
    until(con, "SELECT state FROM millrace.sources", [("waiting for space",)], "it waits")
    expect(one(con, "SELECT error IS NOT NULL FROM millrace.sources"), (True,), "and says for what")
    cluster.produce(name, [record(i % 2, id=i, pad=os.urandom(1000).hex()) for i in range(4200, 4300)])
    n, s = one(con, "SELECT n, s FROM %s_sums" % name)
    expect(one(con, "SELECT count(*), sum(id) FROM " + name), (n, s), "what there is can be read meanwhile")
    give_room(world)
    for start in range(2):
        until(world.con, "SELECT n, s FROM %s_sums" % name, [(4300, sum(range(4300)))], "all rows when there is room")
        expect(one(world.con, "SELECT count(*), count(DISTINCT id) FROM " + name), (4300, 4300), "each once")
        until(world.con, "SELECT state, error FROM millrace.sources", [("running", None)], "it says so")
        expect(one(world.con, "SELECT sum(accepted), sum(rejected) FROM %s_progress" % name), (4300, 0), "and counts them once")
        if start == 0:
            world.kill()
    world.con.execute("DROP MATERIALIZED VIEW %s_sums" % name)
    world.con.execute("DROP STREAM " + name)


def full(world):
    limits = []

    def files_stop_growing(world):
        pid = world.server.pid
        limits.append(resource.prlimit(pid, resource.RLIMIT_FSIZE))
        most = max(os.path.getsize(os.path.join(world.data, name)) for name in os.listdir(world.data))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most + 300000, limits[0][1]))

    fill_disk(world, "limited", files_stop_growing, lambda world: resource.prlimit(world.server.pid, resource.RLIMIT_FSIZE, limits[0]))


def full_disk(world):
    """A file system of its own that has no room left."""
    disk = os.path.join(os.path.dirname(world.data), "disk")
    ballast = os.path.join(disk, "ballast")
    os.mkdir(disk)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        print("left out without the right to mount a file system: a source whose disk is full", flush=True)
        return

    def take_room(_world):
        with open(ballast, "wb", buffering=0) as out, contextlib.suppress(OSError):
            while out.write(bytes(4096)) > 0:
                pass

    other = None
    try:
        other = World(world.binary, os.path.join(disk, "data"), world.options, world.cluster)
        fill_disk(other, "crowded", take_room, lambda _world: os.unlink(ballast))
        other.con.close()
        expect(other.server.stop(), 0, "it stops as it should")
    finally:
        if other is not None:
            other.server.stop(signal.SIGKILL)
        subprocess.run(["umount", disk], check=True)


def hazards(world):
    con, cluster = world.con, world.cluster
    if not cluster.real:
        return kafka_support.left_out("sources over topics that lose records, are made anew, get more partitions, hold transactions or large records")
    cluster.create_topic("kept", 1)
    cluster.produce("kept", [record(0, id=i) for i in range(5)])
    world.source("STREAM", "kept", "id int", "kept", ", topic_refresh = '1 second'")
    until(con, "SELECT count(*) FROM kept", [(5,)], "rows")
    con.execute("ALTER STREAM kept SET (paused = 'true')")
    cluster.produce("kept", [record(0, id=i) for i in range(5, 20)])
    world.kill()
    con = world.con
    cluster.delete_records("kept", 0, 12)
    con.execute("ALTER STREAM kept SET (paused = 'false')")
    until(con, "SELECT state FROM millrace.sources", [("failed",)], "records are lost")
    error = one(con, "SELECT error FROM millrace.sources")[0]
    expect("kept" in error, True, error)
    con.execute("ALTER STREAM kept SET (on_lost = 'earliest')")
    until(con, "SELECT count(*) FROM kept", [(13,)], "it goes on at the first record left")
    expect(one(con, "SELECT next_offset, accepted, absent, lost FROM kept_progress"), (20, 13, 0, 7), "what was lost is counted")
    cluster.add_partitions("kept", 3)
    cluster.produce("kept", [record(2, id=100), record(1, id=101)])
    until(con, "SELECT count(*) FROM kept WHERE id >= 100", [(2,)], "new partitions")
    expect(rows(con, "SELECT partition, next_offset FROM kept_progress ORDER BY 1"), [(0, 20), (1, 1), (2, 1)], "have rows of their own")
    cluster.produce("kept", [record(0, id=200)], transaction="commit")
    cluster.produce("kept", [record(0, id=201)], transaction="abort")
    until(con, "SELECT id FROM kept WHERE id >= 200", [(200,)], "committed records")
    until(con, "SELECT next_offset, absent FROM kept_progress WHERE partition = 0", [(24, 3)], "what is no record is counted as absent")
    cluster.delete_topic("kept")
    cluster.create_topic("kept", 3)
    cluster.produce("kept", [record(0, id=300)] * 5)
    until(con, "SELECT state FROM millrace.sources", [("failed",)], "a topic made anew")
    expect(one(con, "SELECT count(*) FROM kept WHERE id = 300"), (0,), "none of its records is taken for another")
    con.execute("DROP STREAM kept")


def schemas(world):
    """Columns that are left to the schema."""
    con, cluster = world.con, world.cluster
    cluster.create_topic("described", 1)
    schema = json.dumps({"type": "record", "name": "r", "fields": [{"name": "id", "type": "long"}, {"name": "name", "type": ["null", "string"]}]})
    more = ", format = 'avro', avro_schema = '%s', avro_framing = 'none'" % schema
    text = "CREATE %s described (%s) WITH (connector = 'kafka', topic = 'described', \"bootstrap.servers\" = '%s'" + more + ")"
    con.execute(text % ("STREAM", "*, off bigint OPTIONS (metadata 'offset')", cluster.bootstrap))
    cluster.produce("described", [Record(b"\x0e\x02\x04ab"), Record(b"\x10\x00")])
    until(con, "SELECT * FROM described ORDER BY id", [(7, "ab", 0), (8, None, 1)], "columns of the schema")
    world.kill()
    expect(rows(world.con, "SELECT * FROM described ORDER BY id"), [(7, "ab", 0), (8, None, 1)], "and after a restart")
    world.con.execute("DROP STREAM described")
    world.con.execute(text % ("TABLE", "*, PRIMARY KEY (id)", cluster.bootstrap))
    until(world.con, "SELECT * FROM described ORDER BY id", [(7, "ab"), (8, None)], "a table of the schema")
    world.con.execute("DROP TABLE described")


PARTS = [streams, belongings, tables, policies, watermarks, waiting, full, full_disk, schemas, in_flight, hazards]


def main():
    binary, options = sys.argv[1], sys.argv[2:]
    parts = chosen(PARTS, options)
    with kafka_support.cluster(binary) as cluster, harness.temp_dir() as base:
        world = World(binary, os.path.join(base, "data"), options, cluster)
        try:
            for part in parts:
                part(world)
        except BaseException:
            sys.stderr.write(world.server.log_text()[-4000:])
            raise
        world.con.close()
        if world.server.stop() != 0:
            sys.exit(world.server.log_text())


main()
