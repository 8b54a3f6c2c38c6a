"""consistency_test.py MILLRACE: the internal-consistency test (support/consistency.py) over a topic with 1 and 8 partitions: rows of one
transfer stay whole, whatever the threads that read partitions do beside each other."""

import json
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import checks  # noqa: E402
import consistency  # noqa: E402
import harness  # noqa: E402
import kafka_support  # noqa: E402

N = consistency.N


class KafkaRun(consistency.Run):
    whole_ticks = False  # a commit takes what the partitions have, not what was sent together

    def __init__(self, server, rows, batch, cluster, partitions, consumers, kind):
        consistency.Run.__init__(self, server, rows, batch, "topic of %d partitions (%s, %d consumers)" % (partitions, kind, consumers))
        self.cluster, self.partitions = cluster, partitions
        self.topic = "transactions-%d-%s" % (partitions, kind)
        cluster.create_topic(self.topic, partitions)
        key = " PRIMARY KEY" if kind == "table" else ""
        self.table = ("CREATE %s transactions (id bigint%s, from_account int, to_account int, amount double precision, ts timestamp) %s"
                      % (kind, key, checks.with_options(cluster, topic=self.topic, format="json", consumers=consumers)))

    def write(self):
        """Sends a tick when the one before the last has been read: so there are many states to see, and always something to read."""
        con = harness.Wire(self.server)
        rng = random.Random(self.batch)
        sent = [0]
        for tick in range(self.ticks):
            self.poll_turns.begin(tick)
            self.snapshot_turns.begin(tick)
            rows = self.rows[tick * self.batch:(tick + 1) * self.batch]
            self.cluster.produce(self.topic, [kafka_support.Record(
                json.dumps(dict(zip(("id", "from_account", "to_account", "ts"), row), amount=1)), str(row[0]), rng.randrange(self.partitions))
                for row in rows])
            sent.append(sent[-1] + len(rows))
            while int(con.rows("SELECT count(*) FROM accepted")[0][0]) < sent[-2] and not self.done.is_set():
                self.done.wait(0.002)
            self.committed = tick + 1
            if self.done.is_set():
                return
        checks.until("all rows are there", lambda: int(con.rows("SELECT count(*) FROM accepted")[0][0]) == sent[-1] or self.done.is_set(),
                     lambda: con.rows("SELECT * FROM millrace.sources"))
        con.close()


def main():
    rows = consistency.transfers(N)
    with kafka_support.cluster(sys.argv[1]) as cluster:
        for workers, batch, partitions, consumers, kind in ((1, 1000, 8, 3, "stream"), (2, 5000, 8, 8, "table"), (4, 2000, 1, 1, "stream")):
            with harness.millrace(sys.argv[1], "--workers", str(workers)) as server:
                run = KafkaRun(server, rows, batch, cluster, partitions, consumers, kind)
                print("%d workers, %s" % (workers, run.run()), flush=True)
                checks.balanced(harness.connect_millrace(server), "transactions")


main()
