"""crash_test.py MILLRACE [--rounds N] [--seed S] [--workers N] [--broker]: the server is killed and frozen, and with --broker the broker restarted
as well, while records come and go.

A producer writes ids to a topic with 8 partitions all the while; a source reads them, an upsert table follows another topic, sinks write each
row and two views to topics. In every round the server is killed (kill -9), the broker stopped or killed, or both, or the server
is frozen for longer than its transactions may take. Checked:
  * ids in the view: count = distinct = produced, offsets accounted for per partition;
  * the upsert table is its topic folded by key;
  * a reader of committed records sees each id once in the sink's topic, in every round, and all of them in the end;
  * sinks of views: no deletion of a key that is not there, and folded they are the view.
With the mock cluster sinks are left out, whose aborted records it would show."""

import argparse
import json
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import kafka_support  # noqa: E402
from checks import arrived, balanced, expect, read_all, until, with_options  # noqa: E402
from kafka_support import Record, left_out  # noqa: E402

PARTITIONS, KEYS = 8, 200


class Producer(threading.Thread):
    """Sends ids as fast as it is let, over any outage: an idempotent producer tries again without writing twice."""

    def __init__(self, cluster, seed):
        import confluent_kafka
        super().__init__()
        self.producer = confluent_kafka.Producer(cluster.client_config(
            enable_idempotence=True, linger_ms=2, message_timeout_ms=0, socket_timeout_ms=5000, queue_buffering_max_messages=20000))
        self.rng = random.Random(seed)
        self.most = None if cluster.real else 20000 * PARTITIONS  # a mock partition has room for 5 MB
        self.sent = 0
        self.upserts = {}  # key -> value, or None: deleted
        self.failed = []
        self.ends = threading.Event()
        self.goes = threading.Event()

    def delivered(self, error, _message):
        if error is not None:
            self.failed.append(error)

    def send(self, topic, value, **options):
        while True:
            try:
                return self.producer.produce(topic, value, on_delivery=self.delivered, **options)
            except BufferError:
                self.producer.poll(0.05)

    def run(self):
        while not self.ends.is_set():
            self.producer.poll(0.01)
            if not self.goes.wait(0.05) or self.sent == self.most:
                continue
            for _ in range(self.rng.choice([1, 10, 200])):
                i = self.sent
                if i == self.most:
                    break
                self.sent += 1
                self.send("ids", '{"id": %d, "k": %d, "v": %d}' % (i, i % KEYS, i % 13), partition=self.rng.randrange(PARTITIONS))
                if i % 3 == 0:
                    key = self.rng.randrange(KEYS)
                    value = None if self.rng.random() < 0.2 else '{"id": %d, "v": %d}' % (key, i)
                    self.upserts[key] = value and i
                    self.send("upserts", value, key='{"id": %d}' % key, partition=key % PARTITIONS)

    def finish(self):
        self.ends.set()
        self.join()
        if self.producer.flush(600) != 0 or self.failed:
            raise AssertionError("the producer could not deliver: %s" % self.failed[:3])


class Sink:
    """A sink's topic as a reader of committed records sees it, folded as it goes."""

    def __init__(self, cluster, topic):
        self.topic, self.reader, self.fold = topic, cluster.reader(topic), {}

    def more(self):
        for record in self.reader.more():
            key = record.key
            if self.topic == "out_ids":
                key = json.loads(record.value)["id"]
                if key in self.fold:
                    raise AssertionError("id %d is in %s a second time, at offset %d of partition %d" % (key, self.topic, record.offset, record.partition))
            if record.value is None:
                if key not in self.fold:
                    raise AssertionError("%s: a deletion of %r, which is not there, at offset %d" % (self.topic, key, record.offset))
                del self.fold[key]
            else:
                self.fold[key] = json.loads(record.value)


VIEWS = {
    "per_key": "SELECT k, count(*) AS n, sum(v) AS s, max(id) AS last FROM ids GROUP BY k",
    "all_ids": "SELECT id, part, off FROM ids",
    "joined": "SELECT u.id, u.v, p.n FROM upserts u JOIN per_key p ON p.k = u.id WHERE u.v % 2 = 0",
}


class Run:
    def __init__(self, cluster, server, seed, with_broker):
        self.cluster, self.server, self.rng, self.with_broker = cluster, server, random.Random(seed), with_broker
        self.counts = {}
        con = self.connect()
        for topic in ("ids", "upserts"):
            cluster.create_topic(topic, PARTITIONS)
        con.execute("CREATE STREAM ids (id bigint, k int, v int, part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset')) "
                    + with_options(cluster, topic="ids", format="json", consumers=3))
        con.execute("CREATE TABLE upserts (id int PRIMARY KEY, v int) " + with_options(cluster, topic="upserts", format="json", consumers=2))
        for name in VIEWS:
            con.execute("CREATE MATERIALIZED VIEW %s AS %s" % (name, VIEWS[name]))
        self.sinks = []
        if cluster.real:
            for name, query in (("out_ids", "AS SELECT id FROM ids"), ("out_per_key", "FROM per_key"), ("out_joined", "FROM joined")):
                cluster.create_topic(name, 3)
                key = " key" if name == "out_joined" else ""
                options = {"topic": name, "format": "json", "transaction.timeout.ms": 3000, **({"key": "id"} if key else {})}
                con.execute("CREATE SINK %s %s %s" % (name, query, with_options(cluster, **options)))
                self.sinks.append(Sink(cluster, name))
        else:
            left_out("sinks over kill -9")
        self.producer = Producer(cluster, seed)
        self.producer.start()

    def connect(self):
        return harness.connect_millrace(self.server)

    def pause(self, most=1.0):
        time.sleep(self.rng.uniform(0, most))

    def kill_server(self):
        harness.restart_millrace(self.server, self.rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))

    def restart_broker(self):
        self.cluster.stop(self.rng.choice([signal.SIGKILL, signal.SIGTERM]))
        self.pause(2)
        self.cluster.start()

    def kill_without_broker(self):
        """The server starts while there is no broker."""
        self.cluster.stop(signal.SIGKILL)
        self.pause()
        self.kill_server()
        self.pause()
        self.cluster.start()

    def freeze_server(self):
        """For longer than the broker lets a transaction be open: it is aborted, and has to be written again."""
        self.server.process.send_signal(signal.SIGSTOP)
        time.sleep(4)
        self.server.process.send_signal(signal.SIGCONT)

    def round(self, number):
        actions = [self.kill_server, self.freeze_server, self.kill_server]
        if self.with_broker:
            actions = [self.kill_server, self.restart_broker, self.kill_without_broker, self.freeze_server]
        if number < len(actions):
            action = actions[number]
        else:  # each was there; the one that takes longest comes less often
            action = self.rng.choice([action for action in actions if action != self.freeze_server] * 2 + [self.freeze_server])
        self.producer.goes.set()
        self.pause()
        if self.rng.random() < 0.3:
            self.connect().execute("CHECKPOINT")
        self.pause()
        action()
        self.pause()
        self.producer.goes.clear()
        for sink in self.sinks:
            sink.more()
        self.counts[action.__name__] = self.counts.get(action.__name__, 0) + 1

    @staticmethod
    def columns(con, sink):
        return [column.name for column in con.execute("SELECT * FROM %s LIMIT 0" % sink.topic[len("out_"):]).description]

    def found(self, con, sink):
        """What the topic says, folded."""
        if sink.topic == "out_ids":
            return sorted(sink.fold)
        names = self.columns(con, sink)
        return sorted(tuple(row[name] for name in names) for row in sink.fold.values())

    @staticmethod
    def wanted(con, sink, produced):
        if sink.topic == "out_ids":
            return list(range(produced))
        return sorted(tuple(row) for row in con.execute("SELECT * FROM " + sink.topic[len("out_"):]).fetchall())

    def finish(self):
        self.producer.finish()
        con, produced = self.connect(), self.producer.sent
        for name in ("ids", "upserts"):
            read_all(con, name, self.cluster, name)
            balanced(con, name)
        expect("ids: count, distinct, first, last", con.execute("SELECT count(*), count(DISTINCT id), min(id), max(id) FROM all_ids").fetchone(),
               (produced, produced, 0, produced - 1))
        expect("places: each offset once", con.execute("SELECT count(*) FROM (SELECT DISTINCT part, off FROM all_ids) p").fetchone(), (produced,))
        expect("the upsert table", {i: v for i, v in con.execute("SELECT id, v FROM upserts").fetchall()},
               {key: v for key, v in self.producer.upserts.items() if v is not None})
        expect("per_key", sorted(con.execute("SELECT * FROM per_key").fetchall()),
               sorted(con.execute("SELECT id % 200, count(*), sum(id % 13), max(id) FROM all_ids GROUP BY 1").fetchall()))
        arrived(con, *(sink.topic for sink in self.sinks))
        for sink in self.sinks:
            # a transaction is committed a little before its readers see it
            found, wanted = [], self.wanted(con, sink, produced)
            deadline = time.monotonic() + 60
            while found != wanted and time.monotonic() < deadline:
                sink.more()
                found = self.found(con, sink)
            expect("missing in " + sink.topic, sorted(set(wanted) - set(found))[:20], [])
            expect(sink.topic + " folded", found, wanted)
        print("%d ids, %d keys; %s" % (produced, len(self.producer.upserts), ", ".join("%s %d" % item for item in sorted(self.counts.items()))))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("millrace")
    parser.add_argument("--rounds", type=int, default=3 if harness.SMALL else 10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", default="2")
    parser.add_argument("--broker", action="store_true")
    args = parser.parse_args()
    with kafka_support.cluster(args.millrace) as cluster, harness.millrace(args.millrace, "--workers", args.workers) as server:
        run = Run(cluster, server, args.seed, args.broker)
        try:
            for number in range(args.rounds):
                run.round(number)
                if number % 10 == 9:
                    print("%d rounds, %d ids" % (number + 1, run.producer.sent), flush=True)
        finally:
            run.producer.ends.set()
        run.finish()


main()
