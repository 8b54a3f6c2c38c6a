"""schemas_test.py MILLRACE [SERVER OPTIONS]: Avro and Protobuf with a schema registry: columns that the registry knows, schemas that change,
ids that nobody knows, a registry that is away, and a sink whose topic is read back."""

import os
import struct
import sys

import psycopg

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import kafka_support  # noqa: E402
from checks import balanced, expect, one, read_all, refused, source_state, until, with_options  # noqa: E402
from kafka_support import Record, left_out  # noqa: E402


def long_(value):
    bits, out = (value << 1) ^ (value >> 63), b""
    while bits >= 0x80:
        out += bytes([bits & 0x7F | 0x80])
        bits >>= 7
    return out + bytes([bits])


def text(value):
    return long_(len(value.encode())) + value.encode()


def maybe(value, write):
    return b"\x00" if value is None else b"\x02" + write(value)


def framed(schema, body):
    return struct.pack(">bI", 0, schema) + body


def record(name, *fields):
    return {"type": "record", "name": name, "fields": [{"name": n, "type": t, **({"default": None} if isinstance(t, list) else {})} for n, t in fields]}


def columns(con, name):
    return con.execute("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = '%s' ORDER BY ordinal_position" % name).fetchall()


def tables(cluster, registry, con):
    """A table without a list of columns, with a key; its schema gets a field; a record without a known schema; a sink of it."""
    key = registry.register("people-key", record("people_key", ("id", "long")))
    first = registry.register("people-value", record("people", ("id", "long"), ("Name", ["null", "string"])))
    cluster.create_topic("people", 2)
    cluster.create_topic("people_out", 2)
    avro = dict(format="avro", **{"schema.registry.url": registry.url})
    con.execute("CREATE TABLE people " + with_options(cluster, topic="people", **avro))
    expect("columns of the registry", columns(con, "people"), [("id", "bigint"), ("Name", "text")])
    expect("its key", con.execute("SELECT count(*) FROM information_schema.table_constraints WHERE table_name = 'people'"
                                  " AND constraint_type = 'PRIMARY KEY'").fetchone()[0], 1)
    con.execute("CREATE MATERIALIZED VIEW names AS SELECT id, upper(\"Name\") AS name FROM people")
    if cluster.real:
        con.execute("CREATE SINK people_out FROM people " + with_options(cluster, topic="people_out", **avro))

    def person(schema, id_, name, more=b""):
        return Record(framed(schema, long_(id_) + maybe(name, text) + more), framed(key, long_(id_)), id_ % 2)

    cluster.produce("people", [person(first, i, "n%d" % i if i % 3 else None) for i in range(100)])
    cluster.produce("people", [person(first, i, "again") for i in range(10)])
    cluster.produce("people", [Record(None, framed(key, long_(i)), i % 2) for i in range(5)])
    second = registry.register("people-value", record("people", ("id", "long"), ("Name", ["null", "string"]), ("age", ["null", "int"])))
    cluster.produce("people", [person(second, i, "more", maybe(7, long_)) for i in (200, 201)])
    cluster.produce("people", [person(99999999, 300, "?"), Record(b"no header", framed(key, long_(301)), 1)])
    read_all(con, "people", cluster, "people")
    rows = {i: "n%d" % i if i % 3 else None for i in range(100)}
    rows.update({i: "again" for i in range(10)})
    rows.update({200: "more", 201: "more"})
    rows = sorted((i, name) for i, name in rows.items() if i >= 5)
    expect("rows", sorted(con.execute("SELECT * FROM people").fetchall()), rows)
    expect("rows of the view", sorted(con.execute("SELECT * FROM names").fetchall()), [(i, name and name.upper()) for i, name in rows])
    expect("refused", con.execute("SELECT sqlstate FROM people_errors ORDER BY sqlstate").fetchall(), [("22P03",), ("42704",)])
    balanced(con, "people")
    if not cluster.real:
        left_out("a sink, whose topic of progress the mock cannot make")
        return
    # what the sink wrote, read by its own schema
    until("the sink registers", lambda: "people_out-value" in registry.ask("/subjects"))
    con.execute("CREATE TABLE back " + with_options(cluster, topic="people_out", **avro))
    expect("columns of the sink's schema", columns(con, "back"), [("id", "bigint"), ("Name", "text")])
    until("the sink's topic is the table", lambda: sorted(con.execute("SELECT * FROM back").fetchall()) == rows,
          lambda: con.execute("SELECT * FROM back").fetchall())
    expect("refused of the sink's", one(con, "SELECT count(*) FROM back_errors"), 0)


def stops(cluster, registry, con):
    """schema_change = 'stop': before the first record of another schema, and on from there when that is what is wanted."""
    first = registry.register("strict-value", record("strict", ("a", "int")))
    second = registry.register("strict-value", record("strict", ("a", "int"), ("b", ["null", "string"])))
    cluster.create_topic("strict", 1)
    options = {"schema.registry.url": registry.url}
    con.execute("CREATE STREAM strict (*, off bigint OPTIONS (metadata 'offset')) "
                + with_options(cluster, topic="strict", format="avro", schema_change="stop", schema_id=first, **options))
    expect("columns", columns(con, "strict"), [("a", "integer"), ("off", "bigint")])
    con.execute("CREATE MATERIALIZED VIEW sums AS SELECT count(*) AS n, sum(a) AS s, max(off) AS last FROM strict")
    cluster.produce("strict", [Record(framed(first, long_(i)), partition=0) for i in range(10)])
    cluster.produce("strict", [Record(framed(second, long_(100) + maybe("x", text)), partition=0)])
    until("it stops", lambda: source_state(con, "strict")[0] == "failed", lambda: source_state(con, "strict"))
    if 'field "b"' not in source_state(con, "strict")[1]:
        raise AssertionError(source_state(con, "strict"))
    expect("what came before", con.execute("SELECT * FROM sums").fetchone(), (10, 45, 9))
    expect("refused", one(con, "SELECT count(*) FROM strict_errors"), 0)
    expect("offset", one(con, "SELECT next_offset FROM strict_progress"), 10)
    balanced(con, "strict")


def protobuf(cluster, registry, con):
    schema = registry.register("shots-value", 'syntax = "proto3"; message Shot { int64 id = 1; repeated string tags = 2; Place place = 3; '
                               "message Place { double x = 1; } }", "PROTOBUF")
    cluster.create_topic("shots", 1)
    con.execute("CREATE STREAM shots " + with_options(cluster, topic="shots", format="protobuf", **{"schema.registry.url": registry.url}))
    expect("columns", columns(con, "shots"), [("id", "bigint"), ("tags", "ARRAY"), ("place", "jsonb")])
    body = b"\x08\x07\x12\x01a\x12\x01b\x1a\x09\x09" + struct.pack("<d", 1.5)
    cluster.produce("shots", [Record(framed(schema, b"\x00" + body), partition=0), Record(framed(schema, b"\x00" + body[:3]), partition=0)])
    con.execute("CREATE MATERIALIZED VIEW seen AS SELECT * FROM shots")
    read_all(con, "shots", cluster, "shots")
    balanced(con, "shots")
    expect("refused", one(con, "SELECT sqlstate FROM shots_errors"), "22P03")


def refusals(cluster, registry, con):
    cluster.create_topic("nothing", 1)
    avro = dict(format="avro", **{"schema.registry.url": registry.url})
    refused(con, "42704", "CREATE STREAM nothing " + with_options(cluster, topic="nothing", **avro), "nothing-value")
    refused(con, "42601", "CREATE STREAM nothing " + with_options(cluster, topic="nothing", format="json"), "json")
    refused(con, "42601", "CREATE TABLE nothing WITH (fillfactor = 10)")
    away = "http://someone:hidden@127.0.0.1:1"
    try:
        con.execute("CREATE STREAM nothing " + with_options(cluster, topic="nothing", format="avro", **{"schema.registry.url": away}))
        raise AssertionError("a registry that is not there")
    except psycopg.Error as error:
        expect("SQLSTATE", error.sqlstate, "08006")
        if "hidden" in str(error):
            raise AssertionError(str(error)) from None
    con.execute("CREATE TABLE plain ()")
    expect("a table without columns", columns(con, "plain"), [])


def main():
    with kafka_support.cluster(sys.argv[1]) as cluster, kafka_support.registry() as registry, harness.millrace(sys.argv[1], *sys.argv[2:]) as server:
        con = harness.connect_millrace(server)
        for test in (tables, stops, protobuf, refusals):
            if os.environ.get("ONLY", test.__name__) == test.__name__:
                test(cluster, registry, con)
                print(test.__name__, "ok", flush=True)


main()
