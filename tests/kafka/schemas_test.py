"""schemas_test.py MILLRACE [SERVER OPTIONS]: Avro and Protobuf with a schema registry: columns that the registry knows, schemas that change,
ids that nobody knows, a registry that is away, and a sink whose topic is read back."""

import os
import signal
import struct
import sys
from collections import Counter

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
    if 'field "b"' not in source_state(con, "strict")[1] or "could not be changed" in source_state(con, "strict")[1]:
        raise AssertionError(source_state(con, "strict"))  # nobody has tried to
    expect("what came before", con.execute("SELECT * FROM sums").fetchone(), (10, 45, 9))
    expect("refused", one(con, "SELECT count(*) FROM strict_errors"), 0)
    expect("offset", one(con, "SELECT next_offset FROM strict_progress"), 10)
    balanced(con, "strict")


def restart(server):
    harness.restart_millrace(server, signal.SIGKILL)
    return harness.connect_millrace(server)


def fails(con, name, *words):
    until("source %s stops" % name, lambda: source_state(con, name)[0] == "failed", lambda: source_state(con, name))
    for word in words:
        if word not in source_state(con, name)[1]:
            raise AssertionError("no %r in %s" % (word, source_state(con, name)))


def adds(cluster, registry, con, server):
    """schema_change = 'add': new fields become columns, rows of before have NULL there, views go on, whenever the server is killed."""
    fields = [("id", "long"), ("name", ["null", "string"])]
    key = registry.register("growing-key", record("growing_key", ("id", "long")))
    schema = registry.register("growing-value", record("growing", *fields))
    cluster.create_topic("growing", 2)
    options = {"format": "avro", "schema.registry.url": registry.url, "schema_change": "add"}
    con.execute("CREATE TABLE growing " + with_options(cluster, topic="growing", consumers=2, **options))
    con.execute("CREATE STREAM grown (*, off bigint OPTIONS (metadata 'offset'), at timestamptz OPTIONS (metadata 'timestamp'),"
                " WATERMARK FOR at AS at - INTERVAL '24 hours') " + with_options(cluster, topic="growing", **options))
    con.execute("CREATE MATERIALIZED VIEW all_growing AS SELECT * FROM growing")
    con.execute("CREATE MATERIALIZED VIEW per_day AS SELECT window_start, count(*) AS n, sum(off) AS o FROM tumble(grown, at, INTERVAL '1 day')"
                " GROUP BY window_start")

    def produce(ids, *more):
        cluster.produce("growing", [Record(framed(schema, long_(i) + maybe("n%d" % i, text) + b"".join(more)), framed(key, long_(i)), i % 2)
                                    for i in ids])

    produce(range(2000))
    rows = {i: ("n%d" % i,) for i in range(2000)}
    stream = sorted((i, "n%d" % i) for i in range(2000))
    for number in range(4):
        field = ("extraField%d" % number, ["null", "int"] if number % 2 else ["null", "string"])
        fields.append(field)
        schema = registry.register("growing-value", record("growing", *fields))
        ids = range(number, 2100, 7)
        values = [maybe(n, long_) if n % 2 else maybe("x%d" % n, text) for n in range(number)]
        produce(ids, *values, maybe(number, long_) if number % 2 else maybe("x%d" % number, text))
        con = restart(server)  # somewhere between the old columns and the new ones
        rows = {i: row + (None,) for i, row in rows.items()}
        stream = [row + (None,) for row in stream]
        added = tuple(n if n % 2 else "x%d" % n for n in range(number + 1))
        rows.update({i: ("n%d" % i, *added) for i in ids})
        stream += [(i, "n%d" % i, *added) for i in ids]
        for name in ("growing", "grown"):
            read_all(con, name, cluster, "growing")
            balanced(con, name)
            expect("errors of " + name, one(con, "SELECT count(*) FROM %s_errors" % name), 0)
        expect("columns", columns(con, "growing")[2:], [("extraField%d" % n, "integer" if n % 2 else "text") for n in range(number + 1)])
        names = ", ".join('"%s"' % column for column, _ in columns(con, "growing"))
        expect("the view's rows", sorted(con.execute("SELECT * FROM all_growing").fetchall()), sorted((i, row[0]) for i, row in rows.items()))
        expect("the windows' rows", con.execute("SELECT sum(n), sum(o) FROM per_day").fetchall(),
               con.execute("SELECT count(*), sum(off) FROM grown").fetchall())
        expect("rows", sorted(con.execute("SELECT * FROM growing").fetchall()), sorted((i, *row) for i, row in rows.items()))
        expect("rows of the stream", sorted(con.execute("SELECT %s FROM grown" % names).fetchall(), key=str), sorted(stream, key=str))
        expect("no record twice", one(con, "SELECT (SELECT count(*) FROM grown) - (SELECT sum(accepted) FROM grown_progress)"), 0)
    con = restart(server)
    expect("rows after one more start", sorted(con.execute("SELECT * FROM growing").fetchall()), sorted((i, *row) for i, row in rows.items()))
    expect("it has its key", one(con, "SELECT name FROM growing WHERE id = 5"), "n5")
    return con


def mixes(cluster, registry, con, server):
    """Several fields at once, anywhere in the record; records of older schemas among the new ones; killed while the columns are being changed. Every value says
    whose it is."""
    key = registry.register("mixed-key", record("mixed_key", ("id", "long")))
    options = {"format": "avro", "schema.registry.url": registry.url, "schema_change": "add"}
    writers = {"long": long_, "int": long_, "string": text}
    base = [("id", "long"), ("name", "string")]
    schemas = [(registry.register("mixed-value", record("mixed", *base)), base)]
    cluster.create_topic("mixed", 2)
    con.execute("CREATE TABLE mixed " + with_options(cluster, topic="mixed", consumers=2, **options))
    con.execute("CREATE STREAM mixed_log (*, off bigint OPTIONS (metadata 'offset')) " + with_options(cluster, topic="mixed", **options))
    newest, log = {}, []

    def written(i, schema):
        number, fields = schema
        row = {name: i if name == "id" else "%s of %d" % (name, i) if kind == "string" else 1000 * int(name[1:]) + i % 1000
               for name, kind in fields if name in ("id", "name") or (i + int(name[1:])) % 5}
        newest[i] = row
        log.append(row)
        body = b"".join(writers[kind](row[name]) if (name, kind) in base else maybe(row.get(name), writers[kind]) for name, kind in fields)
        return Record(framed(number, body), framed(key, long_(i)), i % 2)

    def check(what):
        names = [name for name, _ in columns(con, "mixed")]
        expect("%s: columns" % what, sorted(names), sorted(name for name, _ in schemas[-1][1]))
        for relation, rows in ("mixed", newest.values()), ("mixed_log", log):
            read_all(con, relation, cluster, "mixed")
            balanced(con, relation)
            expect("%s: refused of %s" % (what, relation), one(con, "SELECT count(*) FROM %s_errors" % relation), 0)
            found = con.execute("SELECT %s FROM %s" % (", ".join(names), relation)).fetchall()
            missing = Counter(tuple(row.get(name) for name in names) for row in rows)
            missing.subtract(found)
            expect("%s: rows of %s, missing and too many" % (what, relation), [(row, n) for row, n in missing.items() if n][:10], [])

    cluster.produce("mixed", [written(i, schemas[0]) for i in range(4000 if harness.SMALL else 20000)])
    for relation in ("mixed", "mixed_log"):
        read_all(con, relation, cluster, "mixed")
    number = 0
    for round_, (first, middle, last) in enumerate([("string", "string", "int"), ("int", "int", "string"), ("string", "int", "int")]):
        fields = list(schemas[-1][1])
        for at, kind in (0, first), (len(fields) // 2, middle), (len(fields) + 2, last):
            number += 1
            fields.insert(at, ("f%d" % number, kind))
        schemas.append((registry.register("mixed-value", record("mixed", *[(n, t if (n, t) in base else ["null", t]) for n, t in fields])), fields))
        # ids that were there and ones that were not, and the newest of a key may be of an older schema
        cluster.produce("mixed", [written(i * 31 % 25000, schemas[-1 - i * i % 3 % len(schemas)]) for i in range(3000)])
        for moment in ("waiting for its columns to be changed", None):  # it has asked for them; it stands still for that
            while source_state(con, "mixed", "state") != moment and len(columns(con, "mixed")) < len(fields):
                pass
            con = restart(server)
            print("killed; there are %d of %d columns" % (len(columns(con, "mixed")), len(fields)), flush=True)
        for relation in ("mixed", "mixed_log"):
            read_all(con, relation, cluster, "mixed")
        check("round %d" % round_)
    con = restart(server)
    check("one more start")
    return con


def races(cluster, registry, con, server):
    """Many schemas, each right behind the one before in two partitions: two consumers ask for each column, somebody else adds some of them too, and
    none of them stops for that."""
    key = registry.register("raced-key", record("raced_key", ("id", "long")))
    names = ["f%d" % n for n in range(1, 81)]
    schemas = [registry.register("raced-value", record("raced", ("id", "long"), *[(name, ["null", "int"]) for name in names[:n]])) for n in range(len(names) + 1)]
    cluster.create_topic("raced", 2)
    rows = []
    for n, schema in enumerate(schemas):
        ids = range(n * 20, n * 20 + 20)
        rows += [(i, *[i + f if f < n else None for f in range(len(names))]) for i in ids]
        cluster.produce("raced", [Record(framed(schema, long_(i) + b"".join(maybe(i + f, long_) for f in range(n))), framed(key, long_(i)), i % 2) for i in ids])
    con.execute("CREATE TABLE raced " + with_options(cluster, topic="raced", consumers=2, format="avro", schema_change="add", schema_id=schemas[0],
                                                     **{"schema.registry.url": registry.url}))
    for name in names[::5]:
        con.execute("ALTER TABLE raced ADD COLUMN IF NOT EXISTS %s int" % name)
    read_all(con, "raced", cluster, "raced")
    expect("columns", sorted(name for name, _ in columns(con, "raced")), sorted(["id", *names]))
    expect("rows", con.execute("SELECT id, %s FROM raced ORDER BY id" % ", ".join(names)).fetchall(), rows)
    expect("refused", one(con, "SELECT count(*) FROM raced_errors"), 0)
    expect("how often it has failed", server.log_text().count('source of "raced" failed'), 0)
    balanced(con, "raced")
    return con


def widens(cluster, registry, con, server):
    """schema_change = 'widen': int to long, float to double, long to decimal, in Avro; int32 to int64 in Protobuf."""
    def schema(whole, broken, *more):
        return registry.register("wide-value", record("wide", ("id", whole), ("x", broken), *more))

    first = schema("int", "float")
    cluster.create_topic("wide", 1)
    options = {"format": "avro", "schema.registry.url": registry.url, "schema_change": "widen"}
    con.execute("CREATE TABLE wide (*, PRIMARY KEY (id)) " + with_options(cluster, topic="wide", key_columns="value", key_format="text", **options))
    expect("columns", columns(con, "wide"), [("id", "integer"), ("x", "real")])
    cluster.produce("wide", [Record(framed(first, long_(i) + struct.pack("<f", i / 2)), b"%d" % i, 0) for i in range(100)])
    read_all(con, "wide", cluster, "wide")
    second = schema("long", "double", ("n", ["null", "string"]))
    cluster.produce("wide", [Record(framed(second, long_(i) + struct.pack("<d", 1e300) + maybe("n", text)), b"%d" % i, 0) for i in (5, 1 << 40)])
    con = restart(server)
    read_all(con, "wide", cluster, "wide")
    expect("wider columns", columns(con, "wide"), [("id", "bigint"), ("x", "double precision"), ("n", "text")])
    expect("rows", sorted(con.execute("SELECT * FROM wide").fetchall()),
           sorted([(i, i / 2, None) for i in range(100) if i != 5] + [(5, 1e300, "n"), (1 << 40, 1e300, "n")]))
    expect("nothing was refused", one(con, "SELECT count(*) FROM wide_errors"), 0)
    # a view reads it: a column is added all the same; for another type it stops, says which view, and goes on when that is gone
    con.execute("CREATE MATERIALIZED VIEW watching AS SELECT count(*) AS n FROM wide")
    added = schema("long", "double", ("n", ["null", "string"]), ("m", ["null", "int"]))
    cluster.produce("wide", [Record(framed(added, long_(6) + struct.pack("<d", 6) + maybe("n", text) + maybe(3, long_)), b"6", 0)])
    read_all(con, "wide", cluster, "wide")
    expect("a column below the view", (one(con, "SELECT m FROM wide WHERE id = 6"), one(con, "SELECT n FROM watching")), (3, 101))
    third = schema("long", "double", ("n", ["null", "string"]), ("m", ["null", "long"]))
    cluster.produce("wide", [Record(framed(third, long_(7) + struct.pack("<d", 7) + maybe("n", text) + maybe(8, long_)), b"7", 0)])
    fails(con, "wide", 'column "m"', "watching")
    expect("what came before", one(con, "SELECT n FROM watching"), 101)
    con.execute("DROP MATERIALIZED VIEW watching")
    con.execute("ALTER TABLE wide SET (paused = 'false')")
    read_all(con, "wide", cluster, "wide")
    expect("it has gone on", one(con, "SELECT m FROM wide WHERE id = 7"), 8)
    # several consumers ask for the same: it is done once
    one_int = registry.register("twice-value", record("twice", ("id", "int")))
    cluster.create_topic("twice", 2)
    con.execute("CREATE STREAM twice " + with_options(cluster, topic="twice", consumers=2, **options))
    cluster.produce("twice", [Record(framed(one_int, long_(i)), partition=i % 2) for i in range(20000)])
    read_all(con, "twice", cluster, "twice")
    expect("columns", columns(con, "twice"), [("id", "integer")])
    one_long = registry.register("twice-value", record("twice", ("id", "long")))
    cluster.produce("twice", [Record(framed(one_long, long_(i)), partition=i % 2) for i in range(1 << 40, (1 << 40) + 200)])
    read_all(con, "twice", cluster, "twice")
    expect("rows of both", con.execute("SELECT count(*), sum(id) FROM twice").fetchone(), (20200, 20000 * 19999 // 2 + 200 * (1 << 40) + 199 * 100))
    # text is no wider number; then somebody decides
    fourth = schema("long", "string", ("n", ["null", "string"]), ("m", ["null", "long"]))
    cluster.produce("wide", [Record(framed(fourth, long_(9) + text("1.25") + maybe("n", text) + maybe(8, long_)), b"9", 0)])
    fails(con, "wide", 'column "x"')
    con.execute("ALTER TABLE wide SET (schema_change = 'ignore')")
    read_all(con, "wide", cluster, "wide")
    expect("how often it has failed: for a view, and for a type", server.log_text().count('source of "wide" failed'), 2)
    expect("as text", (one(con, "SELECT x FROM wide WHERE id = 9"), one(con, "SELECT count(*) FROM wide_errors")), (1.25, 0))
    balanced(con, "wide")
    # Protobuf
    def shape(kind, more=""):
        return registry.register("boxes-value", 'syntax = "proto3"; message Box { %s id = 1; %s }' % (kind, more), "PROTOBUF")

    first = shape("int32")
    cluster.create_topic("boxes", 1)
    con.execute("CREATE STREAM boxes " + with_options(cluster, topic="boxes", **{**options, "format": "protobuf"}))
    cluster.produce("boxes", [Record(framed(first, b"\x00\x08\x07"), partition=0)])
    second = shape("int64", "string label = 2;")
    cluster.produce("boxes", [Record(framed(second, b"\x00\x08\x08\x12\x01a"), partition=0)])
    read_all(con, "boxes", cluster, "boxes")
    expect("columns", columns(con, "boxes"), [("id", "bigint"), ("label", "text")])
    expect("rows", con.execute("SELECT * FROM boxes ORDER BY id").fetchall(), [(7, None), (8, "a")])
    until("what was asked for before is done", lambda: "ALTER TABLE public.boxes " in server.log_text())
    expect("ALTERs of table twice", server.log_text().count("the schema of records has changed: ALTER TABLE public.twice "), 1)
    return con


def nested(cluster, registry, con):
    """A field within a record is no column, and no change; a field that is a record becomes one, jsonb. Older schemas go on behind newer ones."""
    place, more = record("place", ("x", "int")), record("place", ("x", "int"), ("y", ["null", "string"]))
    key = registry.register("nested-key", record("nested_key", ("id", "long")))

    def schema(*fields):
        return registry.register("nested-value", record("nested", ("id", "long"), *fields))

    first = schema(("place", place))
    cluster.create_topic("nested", 1)
    con.execute("CREATE TABLE nested " + with_options(cluster, topic="nested", format="avro", schema_change="add", **{"schema.registry.url": registry.url}))
    con.execute("CREATE TABLE nested_x (id bigint PRIMARY KEY, x int OPTIONS (path 'place.x'), y text OPTIONS (path 'place.y')) "
                + with_options(cluster, topic="nested", format="avro", schema_change="add", **{"schema.registry.url": registry.url}))
    second = schema(("place", more))
    who = record("who", ("name", "string"), ("age", ["null", "int"]))
    third = schema(("place", more), ("who", ["null", who]))
    at = long_(5) + maybe("why", text)
    records = [(1, first, long_(4)), (2, second, at), (3, first, long_(6)), (4, third, at + maybe("me", lambda name: text(name) + maybe(7, long_))),
               (5, first, long_(8)), (6, third, at + b"\x00"), (7, second, at)]
    cluster.produce("nested", [Record(framed(number, long_(i) + body), framed(key, long_(i)), 0) for i, number, body in records])
    for name in "nested", "nested_x":
        read_all(con, name, cluster, "nested")
        balanced(con, name)
        expect("refused of " + name, one(con, "SELECT count(*) FROM %s_errors" % name), 0)
    expect("columns", columns(con, "nested"), [("id", "bigint"), ("place", "jsonb"), ("who", "jsonb")])
    there = {"x": 5, "y": "why"}
    expect("rows", con.execute("SELECT * FROM nested ORDER BY id").fetchall(),
           [(1, {"x": 4}, None), (2, there, None), (3, {"x": 6}, None), (4, there, {"name": "me", "age": 7}), (5, {"x": 8}, None), (6, there, None),
            (7, there, None)])
    expect("columns by their paths", con.execute("SELECT id, x, y FROM nested_x ORDER BY id").fetchall(),
           [(i, {1: 4, 3: 6, 5: 8}.get(i, 5), None if i in (1, 3, 5) else "why") for i in range(1, 8)])


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
    refused(con, "22023", "CREATE STREAM nothing (a int) " + with_options(cluster, topic="nothing", schema_change="grow", **avro), "schema_change")
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
        for test in (tables, stops, adds, mixes, races, widens, nested, protobuf, refusals):
            if os.environ.get("ONLY", test.__name__) == test.__name__:
                con = test(cluster, registry, con, server) if test in (adds, mixes, races, widens) else test(cluster, registry, con) or con
                print(test.__name__, "ok", flush=True)


main()
