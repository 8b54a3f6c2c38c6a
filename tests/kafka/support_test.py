"""support_test.py MILLRACE

What the other tests of this folder rest on: topics, records with all their parts, transactions, a broker that goes and comes back,
retention, deletion, more partitions, TLS and SASL, the schema registry. With the mock cluster, what that can do."""

import signal
import sys

import kafka_support
from kafka_support import Record, left_out


def expect(got, wanted, what):
    if got != wanted:
        raise AssertionError("%s: got %r, not %r" % (what, got, wanted))


def values(records):
    return [record.value for record in records]


def clients(cluster):
    cluster.create_topic("plain", 3)
    sent = [Record(b"v%d" % i, b"k%d" % (i % 7), i % 3, [("h", b"x"), ("h", None), ("n", b"%d" % i)], 1700000000000 + i) for i in range(300)]
    cluster.produce("plain", sent)
    got = cluster.read("plain")
    expect([record._replace(offset=None) for record in got], sorted(sent, key=lambda record: record.partition), "records come back")
    expect([record.offset for record in got], list(range(100)) * 3, "offsets")
    expect(cluster.ends("plain"), {partition: (0, 100) for partition in range(3)}, "ends")
    cluster.produce("plain", [Record(None, b"gone", 1)])
    expect(cluster.read("plain")[200][:3], (None, b"gone", 1), "a tombstone")
    reader = cluster.reader("plain")
    expect(len(reader.more()), 301, "a reader")
    cluster.produce("plain", [Record(b"late", partition=2)])
    expect(values(reader.more()), [b"late"], "a reader goes on where it was")
    reader.close()


def outage(cluster):
    reader = cluster.reader("plain")
    reader.more()
    for how in (signal.SIGTERM, signal.SIGKILL):
        cluster.stop(how)
        cluster.start()
        cluster.produce("plain", [Record(how.name.encode(), partition=0)])
        expect(values(reader.more()), [how.name.encode()], "records after an outage")
    reader.close()


def transactions(cluster):
    cluster.create_topic("txn", 1)
    for number, end in enumerate(("commit", "abort", "commit")):
        cluster.produce("txn", [Record(b"%d" % number)], transaction=end)
    if not cluster.real:
        return left_out("aborted records")
    expect(values(cluster.read("txn")), [b"0", b"2"], "committed records")
    expect(values(cluster.read("txn", isolation_level="read_uncommitted")), [b"0", b"1", b"2"], "all records")
    cluster.produce("txn", [Record(b"3")], transaction="hang", transaction_timeout_ms=2000)
    cluster.produce("txn", [Record(b"4")])
    while values(cluster.read("txn")) != [b"0", b"2", b"4"]:
        pass  # the broker gives the open transaction up
    expect(cluster.ends("txn")[0], (0, 9), "control records have offsets")


def topics(cluster):
    cluster.create_topic("kept", 1)
    cluster.produce("kept", [Record(b"%d" % i) for i in range(10)])
    cluster.delete_records("kept", 0, 7)
    expect(cluster.ends("kept"), {0: (7, 10)}, "the first offset after retention")
    expect(values(cluster.read("kept")), [b"7", b"8", b"9"], "records after retention")
    cluster.add_partitions("kept", 3)
    cluster.produce("kept", [Record(b"new", partition=2)])
    expect(values(cluster.read("kept"))[3:], [b"new"], "a new partition")
    cluster.delete_topic("kept")
    cluster.create_topic("kept", 1)
    expect(cluster.ends("kept"), {0: (0, 0)}, "a topic made anew")
    cluster.create_topic("compacted", 1, cleanup_policy="compact", segment_ms=100, min_cleanable_dirty_ratio=0.01)
    cluster.produce("compacted", [Record(b"%d" % i, b"k") for i in range(100)])
    while len(cluster.read("compacted")) > 10:
        cluster.produce("compacted", [Record(b"last", b"k")])
    expect(values(cluster.read("compacted"))[-1], b"last", "the newest row of a key stays")


def write_over(cluster, ways):
    cluster.create_topic("secret", 1)
    for bootstrap, config in ways:
        cluster.produce("secret", [Record(config.get("sasl_mechanism", "TLS").encode())], bootstrap_servers=bootstrap, **config)
    expect(len(cluster.read("secret")), len(ways), "records over every listener")


def refused(cluster, bootstrap, **config):
    try:
        cluster.produce("secret", [Record(b"x")], bootstrap_servers=bootstrap, message_timeout_ms=2000, **config)
    except RuntimeError:
        return
    raise AssertionError("the broker took a record without a right to send it: %s" % config)


def security(cluster):
    tls = {"ssl_ca_location": cluster.authority}
    bob = {"sasl_mechanism": "PLAIN", "sasl_username": "bob", "sasl_password": kafka_support.USERS["bob"]}
    write_over(cluster, [
        (cluster.tls, {"security_protocol": "SSL", **tls}),
        (cluster.tls, {"security_protocol": "SSL", **tls, "ssl_certificate_location": cluster.client_certificate,
                       "ssl_key_location": cluster.client_key}),
        (cluster.sasl, {"security_protocol": "SASL_PLAINTEXT", **bob}),
        (cluster.sasl_tls, {"security_protocol": "SASL_SSL", **tls, **bob})])
    refused(cluster, cluster.tls, security_protocol="SSL")
    refused(cluster, cluster.sasl, security_protocol="SASL_PLAINTEXT", **{**bob, "sasl_password": "wrong"})


def scram(binary):
    alice = {"sasl_username": "alice", "sasl_password": kafka_support.USERS["alice"]}
    with kafka_support.cluster(binary, security=True, version=kafka_support.SCRAM_VERSION) as cluster:
        write_over(cluster, [
            (cluster.sasl, {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "SCRAM-SHA-256", **alice}),
            (cluster.sasl_tls, {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512", "ssl_ca_location": cluster.authority, **alice})])
        refused(cluster, cluster.sasl, security_protocol="SASL_PLAINTEXT", sasl_mechanism="SCRAM-SHA-256", sasl_username="alice",
                sasl_password="wrong")


def schemas():
    with kafka_support.registry() as registry:
        schema = {"type": "record", "name": "order", "fields": [{"name": "id", "type": "long"}]}
        first = registry.register("orders-value", schema)
        expect(registry.register("orders-value", schema), first, "the same schema again")
        second = registry.register("orders-value", {**schema, "fields": schema["fields"] + [{"name": "note", "type": "string", "default": ""}]})
        expect(second != first, True, "another schema, another id")
        latest = registry.ask("/subjects/orders-value/versions/latest")
        expect((latest["id"], latest["version"]), (second, 2), "the latest version")
        expect(registry.ask("/schemas/ids/%d" % first)["schema"].replace(" ", ""), kafka_support.json.dumps(schema).replace(" ", ""), "by id")
        proto = registry.register("p-value", 'syntax = "proto3"; message p { int64 id = 1; }', "PROTOBUF")
        expect(registry.ask("/schemas/ids/%d" % proto).get("schemaType"), "PROTOBUF", "a schema of another kind")


def main():
    with kafka_support.cluster(sys.argv[1], security=True) as cluster:
        clients(cluster)
        transactions(cluster)
        if cluster.real:
            topics(cluster)
            security(cluster)
        else:
            left_out("retention, compaction, deleted topics, TLS and SASL")
        outage(cluster)
    if cluster.real:
        scram(sys.argv[1])
    schemas()
    print("ok: %s" % ("Apache Kafka" if cluster.real else "mock cluster"))


main()
