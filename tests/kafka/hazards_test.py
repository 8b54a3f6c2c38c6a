"""hazards_test.py MILLRACE: what happens to topics behind the server's back: retention overtakes a source, a topic is deleted and made anew,
has more or fewer partitions, is compacted; another member of the consumer group; a transaction that nobody ends. The source goes on
without loss, or fails with an error that names what is lost; it never says "running" while nothing is read."""

import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import kafka_support  # noqa: E402
from checks import balanced, expect, offsets, one, read_all, source_state, until, with_options  # noqa: E402
from kafka_support import Record  # noqa: E402


def stream(cluster, con, name, topic=None, **options):
    """A stream and a view of its ids."""
    options = {"topic": topic or name, "format": "json", "topic_refresh": "1 second", **options}
    con.execute("CREATE STREAM %s (id bigint) %s" % (name, with_options(cluster, **options)))
    con.execute("CREATE MATERIALIZED VIEW %s_ids AS SELECT id FROM %s" % (name, name))


def ids(con, name):
    return sorted(row[0] for row in con.execute("SELECT id FROM %s_ids" % name).fetchall())


def produce(cluster, topic, numbers, partitions=1):
    cluster.produce(topic, [Record('{"id": %d}' % i, partition=i % partitions) for i in numbers])


def failed(con, name, *words):
    """It says that it has failed, and why."""
    until("source %s has failed" % name, lambda: source_state(con, name, "state") == "failed", lambda: source_state(con, name))
    error = source_state(con, name, "error")
    for word in words:
        if word not in error:
            raise AssertionError("no %r in the error of %s: %s" % (word, name, error))


def retention(cluster, server, con):
    cluster.create_topic("overtaken", 2)
    produce(cluster, "overtaken", range(40), 2)
    names = ("stops", "earliest", "latest")
    for name in names:
        stream(cluster, con, name, "overtaken", on_lost="fail" if name == "stops" else name)
        read_all(con, name, cluster, "overtaken")
        con.execute("ALTER SOURCE %s SET (paused = 'true')" % name)
    harness.restart_millrace(server, signal.SIGTERM)  # so that nothing of it has been fetched ahead
    con = harness.connect_millrace(server)
    produce(cluster, "overtaken", range(40, 100), 2)
    cluster.delete_records("overtaken", 0, 35)  # 20 were read
    for name in names:
        con.execute("ALTER SOURCE %s SET (paused = 'false')" % name)
    failed(con, "stops", "overtaken", "partition 0", "20")
    expect("nothing is passed over", offsets(con, "stops")[0], 20)
    expect("nothing else is in the views", all(i < 40 or i % 2 == 1 for i in ids(con, "stops")), True)
    for name in ("earliest", "latest"):
        until("%s goes on in partition 0" % name, lambda: offsets(con, name)[0] == 50, lambda: source_state(con, name))
        until("%s goes on in partition 1" % name, lambda: offsets(con, name)[1] == 50, lambda: source_state(con, name))
    expect("rows behind what is lost", ids(con, "earliest"), [i for i in range(100) if i % 2 == 1 or i < 40 or i >= 70])
    expect("no rows that were there", ids(con, "latest"), [i for i in range(100) if i % 2 == 1 or i < 40])
    expect("lost offsets", con.execute("SELECT partition, lost FROM earliest_progress ORDER BY 1").fetchall(), [(0, 15), (1, 0)])
    expect("lost offsets", con.execute("SELECT partition, lost FROM latest_progress ORDER BY 1").fetchall(), [(0, 30), (1, 0)])
    for name in ("earliest", "latest"):
        balanced(con, name)
    con.execute("ALTER SOURCE stops SET (on_lost = 'earliest')")
    until("it goes on when it may", lambda: offsets(con, "stops") == {0: 50, 1: 50}, lambda: source_state(con, "stops"))
    expect("as the other", ids(con, "stops"), ids(con, "earliest"))
    stream(cluster, con, "fresh", "overtaken")
    expect("a new source begins at the first record there is", min(one(con, "SELECT next_offset FROM fresh_progress WHERE partition = 0"), 50) >= 35, True)
    read_all(con, "fresh", cluster, "overtaken")
    expect("what is left", ids(con, "fresh"), [i for i in range(100) if i % 2 == 1 or i >= 70])
    balanced(con, "fresh", {0: 35})
    return con


def made_anew(cluster, server, con):
    """Also when the new topic has more records than were read of the old one."""
    names = {"anew": 2, "fewer": 1, "more": 3, "gone": 0}
    for name, partitions in names.items():
        cluster.create_topic(name, 2)
        produce(cluster, name, range(10), 2)
        stream(cluster, con, name)
        read_all(con, name, cluster, name)
        cluster.delete_topic(name)
        if partitions:
            cluster.create_topic(name, partitions)
            produce(cluster, name, range(100, 140), partitions)
    for start in range(2):  # it is known after a restart, when the topic is there under its name again
        for name in names:
            failed(con, name, name)
            new = [i for i in ids(con, name) if i not in range(10)]
            # a partition that the old topic did not have cannot be told from one that was added to it
            expect("rows of before are still there, and no others of %s" % name, [i for i in new if name != "more" or i % 3 != 2], [])
            expect("rows of before of %s" % name, [i for i in ids(con, name) if i in range(10)], list(range(10)))
        if start == 0:
            harness.restart_millrace(server, signal.SIGKILL)
            con = harness.connect_millrace(server)
    return con


def more_partitions(cluster, server, con):
    cluster.create_topic("grows", 1)
    stream(cluster, con, "grows", consumers=2)
    produce(cluster, "grows", range(20))
    cluster.add_partitions("grows", 4)
    produce(cluster, "grows", range(20, 100), 4)
    read_all(con, "grows", cluster, "grows")
    expect("rows of all partitions", ids(con, "grows"), list(range(100)))
    cluster.add_partitions("grows", 5)
    cluster.produce("grows", [Record('{"id": 100}', partition=4)])
    harness.restart_millrace(server, signal.SIGKILL)
    con = harness.connect_millrace(server)
    read_all(con, "grows", cluster, "grows")
    expect("rows of all partitions", ids(con, "grows"), list(range(101)))
    balanced(con, "grows")
    return con


def group(cluster, server, con):
    """A consumer of others in the same group takes nothing away; what is committed there is what is durable here."""
    cluster.create_topic("shared", 2)
    stream(cluster, con, "shared", **{"group.id": "everybody"})
    produce(cluster, "shared", range(50), 2)
    import confluent_kafka
    other = confluent_kafka.Consumer(cluster.client_config(group_id="everybody", auto_offset_reset="earliest", enable_auto_commit=False))
    other.subscribe(["shared"])
    until("the other one is a member", lambda: other.poll(0.2) is not None)
    produce(cluster, "shared", range(50, 100), 2)
    read_all(con, "shared", cluster, "shared")
    expect("all rows", ids(con, "shared"), list(range(100)))
    other.close()
    produce(cluster, "shared", range(100, 120), 2)
    read_all(con, "shared", cluster, "shared")
    viewer = confluent_kafka.Consumer(cluster.client_config(group_id="everybody"))
    until("the broker is told how far rows are durable",
          lambda: [at.offset for at in viewer.committed([confluent_kafka.TopicPartition("shared", p) for p in (0, 1)], 60)] == [60, 60])
    viewer.close()
    return con


def open_transaction(cluster, server, con):
    """Records behind a transaction that is still open wait for its end; then they come, and it does not."""
    cluster.create_topic("open", 1)
    stream(cluster, con, "open")
    cluster.produce("open", [Record('{"id": 1}')], transaction="commit")
    cluster.produce("open", [Record('{"id": 2}')], transaction="hang", transaction_timeout_ms=3000)
    cluster.produce("open", [Record('{"id": 3}')])
    until("the broker has given it up", lambda: ids(con, "open") == [1, 3], lambda: ids(con, "open"))
    balanced(con, "open")
    return con


def compaction(cluster, server, con):
    """Offsets that compaction has left out are no loss."""
    cluster.create_topic("compacted", 1, cleanup_policy="compact", segment_ms=100, min_cleanable_dirty_ratio=0.01)
    con.execute("CREATE TABLE compacted (id bigint PRIMARY KEY, v int) " + with_options(cluster, topic="compacted", format="json", paused="true"))
    for i in range(50):
        cluster.produce("compacted", [Record('{"id": %d, "v": %d}' % (k, i), '{"id": %d}' % k) for k in range(20)])
    until("it has been compacted", lambda: len(cluster.read("compacted")) < 500 or
          cluster.produce("compacted", [Record('{"id": 20, "v": 0}', '{"id": 20}')]))
    con.execute("ALTER SOURCE compacted SET (paused = 'false')")
    read_all(con, "compacted", cluster, "compacted")
    expect("the newest rows", con.execute("SELECT count(*), min(v), max(v) FROM compacted WHERE id < 20").fetchone(), (20, 49, 49))
    balanced(con, "compacted")
    return con


TESTS = [retention, made_anew, more_partitions, group, open_transaction, compaction]


def main():
    kafka_support.need_real("retention, deleted topics, new partitions, compaction")
    with kafka_support.cluster(sys.argv[1]) as cluster, harness.millrace(sys.argv[1]) as server:
        con = harness.connect_millrace(server)
        for test in TESTS:
            if os.environ.get("ONLY", test.__name__) == test.__name__:
                con = test(cluster, server, con)
                print(test.__name__, "ok", flush=True)


main()
