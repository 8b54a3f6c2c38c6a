"""registry_test.py MILLRACE: Avro with a schema registry, written by Python's own Avro: schemas of several versions in one topic, columns that
follow from the newest, a number that no schema has, a registry that is away; a sink registers its schema, and Python reads it."""

import io
import json
import os
import signal
import struct
import sys

import avro.io
import avro.schema

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import kafka_support  # noqa: E402
from checks import arrived, balanced, expect, one, read_all, source_state, until, with_options  # noqa: E402
from kafka_support import Record  # noqa: E402

FIRST = {"type": "record", "name": "customer", "namespace": "shop", "fields": [
    {"name": "id", "type": "long"}, {"name": "name", "type": "string"}, {"name": "vip", "type": ["null", "boolean"], "default": None},
    {"name": "born", "type": {"type": "int", "logicalType": "date"}},
    {"name": "balance", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}}]}
SECOND = {**FIRST, "fields": [*FIRST["fields"], {"name": "city", "type": "string", "default": "nowhere"}]}


def encode(schema, number, value):
    out = io.BytesIO()
    avro.io.DatumWriter(avro.schema.parse(json.dumps(schema))).write(value, avro.io.BinaryEncoder(out))
    return b"\0" + struct.pack(">i", number) + out.getvalue()


def decode(registry, data):
    expect("framing", data[0], 0)
    number, = struct.unpack(">i", data[1:5])
    schema = avro.schema.parse(registry.ask("/schemas/ids/%d" % number)["schema"])
    return avro.io.DatumReader(schema).read(avro.io.BinaryDecoder(io.BytesIO(data[5:])))


def customer(i, **more):
    import datetime
    import decimal
    return {"id": i, "name": "n%d" % i, "vip": None if i % 3 == 0 else i % 2 == 0, "born": datetime.date(2000, 1, 1) + datetime.timedelta(i),
            "balance": decimal.Decimal(i * 25).scaleb(-2), **more}


def sources(cluster, registry, server, con):
    cluster.create_topic("customers", 2)
    first = registry.register("customers-value", FIRST)
    options = {"topic": "customers", "format": "avro", "schema.registry.url": registry.url}
    cluster.produce("customers", [Record(encode(FIRST, first, customer(i)), partition=i % 2) for i in range(50)])
    con.execute("CREATE STREAM customers (id bigint, name text, vip boolean, born date, balance numeric(12,2), city text) " + with_options(cluster, **options))
    con.execute("CREATE MATERIALIZED VIEW by_city AS SELECT city, count(*) AS n, sum(balance) AS balance, max(born)::text AS youngest,"
                " count(vip) AS known FROM customers GROUP BY city")
    read_all(con, "customers", cluster, "customers")
    second = registry.register("customers-value", SECOND)
    both = [(FIRST, first, customer(i)) if i % 3 == 0 else (SECOND, second, customer(i, city="Paris" if i % 2 else "Rome")) for i in range(50, 100)]
    cluster.produce("customers", [Record(encode(*each), partition=i % 2) for i, each in enumerate(both)])
    read_all(con, "customers", cluster, "customers")
    expected = {}
    for row in [customer(i) for i in range(50)] + [row for _, _, row in both]:
        n, balance, youngest, known = expected.get(row.get("city"), (0, 0, "", 0))
        expected[row.get("city")] = (n + 1, balance + row["balance"], max(youngest, str(row["born"])), known + (row["vip"] is not None))
    found = {city: (n, balance, youngest, known) for city, n, balance, youngest, known in con.execute("SELECT * FROM by_city").fetchall()}
    expect("rows of both schemas", found, {city if city else found.keys() & {None, "nowhere"} and next(iter(found.keys() & {None, "nowhere"})): row
                                          for city, row in expected.items()})
    expect("rejected", one(con, "SELECT sum(rejected) FROM customers_progress"), 0)
    cluster.produce("customers", [Record(encode(FIRST, 999999, customer(100)), partition=0), Record(b"no avro at all", partition=1),
                                  Record(encode(FIRST, first, customer(101)), partition=0)])
    read_all(con, "customers", cluster, "customers")
    expect("what no schema fits", con.execute("SELECT partition, length(value) > 0 FROM customers_errors ORDER BY 1").fetchall(), [(0, True), (1, True)])
    expect("and what comes behind it", one(con, "SELECT count(*) FROM customers WHERE id = 101"), 1)
    harness.restart_millrace(server, signal.SIGKILL)
    con = harness.connect_millrace(server)
    cluster.produce("customers", [Record(encode(FIRST, first, customer(102)), partition=1)])
    read_all(con, "customers", cluster, "customers")
    balanced(con, "customers")
    expect("rows", one(con, "SELECT (count(*), count(DISTINCT id))::text FROM customers"), "(102,102)")
    return con


def away(cluster, registry, server, con):
    """Without the registry a source waits for the schema it needs; it loses and rejects nothing."""
    number = registry.register("waits-value", FIRST)
    cluster.create_topic("waits", 1)
    con.execute("CREATE STREAM waits (id bigint, name text) " + with_options(
        cluster, topic="waits", format="avro", schema_registry_timeout=1000, **{"schema.registry.url": registry.url}))
    cluster.produce("waits", [Record(encode(FIRST, number, customer(1)))])
    read_all(con, "waits", cluster, "waits")
    newer = registry.register("waits-value", SECOND)
    registry.stop()
    cluster.produce("waits", [Record(encode(SECOND, newer, customer(2, city="Oslo")))])
    until("it says that the registry is away", lambda: source_state(con, "waits", "error"), lambda: source_state(con, "waits"))
    expect("what it had is there", one(con, "SELECT count(*) FROM waits"), 1)
    expect("nothing is rejected", one(con, "SELECT sum(rejected) FROM waits_progress"), 0)
    return con


def sink(cluster, registry, server, con):
    con.execute("CREATE TABLE stock (item int PRIMARY KEY, name text, amount numeric(10,2), since date)")
    con.execute("INSERT INTO stock SELECT i, 'item ' || i, i / 4.0, date '2020-01-01' + i FROM generate_series(1, 40) i")
    cluster.create_topic("stock", 1)
    if not cluster.real:
        cluster.create_topic("millrace_progress", 1)  # the mock cluster makes none by request
    con.execute("CREATE SINK stock_out FROM stock " + with_options(cluster, topic="stock", format="avro", **{"schema.registry.url": registry.url}))
    con.execute("UPDATE stock SET amount = amount + 1 WHERE item % 2 = 0")
    con.execute("DELETE FROM stock WHERE item > 30")
    arrived(con, "stock_out")
    fold = {}
    for record in cluster.read("stock"):
        key = decode(registry, record.key)["item"]
        if record.value is None:
            del fold[key]
        else:
            fold[key] = decode(registry, record.value)
    rows = con.execute("SELECT item, name, amount::text, since::text FROM stock ORDER BY 1").fetchall()
    expect("the topic folded", [(row["item"], row["name"], str(row["amount"]), str(row["since"])) for _, row in sorted(fold.items())], rows)
    subjects = registry.ask("/subjects")
    expect("schemas are registered", [subject for subject in ("stock-key", "stock-value") if subject not in subjects], [])
    return con


def main():
    with kafka_support.cluster(sys.argv[1]) as cluster, kafka_support.registry() as registry, harness.millrace(sys.argv[1]) as server:
        con = harness.connect_millrace(server)
        for test in (sources, sink, away):
            if os.environ.get("ONLY", test.__name__) == test.__name__:
                con = test(cluster, registry, server, con)
                print(test.__name__, "ok", flush=True)


main()
