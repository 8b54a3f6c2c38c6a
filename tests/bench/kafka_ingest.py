"""kafka_ingest.py MILLRACE [--records N] [--rounds N] [--formats json,avro] [--peer flink] [--json FILE]

A topic of one partition into SELECT account, count(*), sum(amount) ... GROUP BY account, with one consumer and one worker, against
kcat, which reads the same topic and throws it away, and with --peer flink against Apache Flink with the same aggregate. What counts
is CPU seconds: user and system time of the whole process, the broker's not counted."""

import argparse
import json
import os
import resource
import statistics
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), os.path.join(HERE, "..", "kafka"), os.path.join(HERE, "flink")]
import harness  # noqa: E402
import kafka_support  # noqa: E402
from checks import one, until, with_options  # noqa: E402

ACCOUNTS = 10000
SCHEMA = {"type": "record", "name": "record", "namespace": "org.apache.flink.avro.generated", "fields": [
    {"name": "id", "type": "long"}, {"name": "account", "type": "int"}, {"name": "amount", "type": "double"}, {"name": "note", "type": "string"}]}
VIEW = "SELECT account, count(*) AS n, sum(amount) AS amount FROM orders GROUP BY account"


def varint(n):
    n = n << 1 ^ n >> 63
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def values(count):
    for i in range(count):
        yield i, i * 7919 % ACCOUNTS, (i % 10007) / 4, "order number %d of somebody" % i


def as_json(row):
    return '{"id": %d, "account": %d, "amount": %s, "note": "%s"}' % row


def as_avro(row):
    i, account, amount, note = row
    return varint(i) + varint(account) + struct.pack("<d", amount) + varint(len(note)) + note.encode()


def fill(cluster, topic, encode, count):
    cluster.create_topic(topic, 1)
    cluster.produce(topic, (kafka_support.Record(encode(row)) for row in values(count)), batch_num_messages=20000, linger_ms=50)


def kcat(cluster, topic):
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(["kcat", "-C", "-q", "-e", "-b", cluster.bootstrap, "-t", topic, "-p", "0", "-o", "beginning", "-X", "isolation.level=read_committed",
                    "-X", "check.crcs=true"], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def millrace(binary, cluster, topic, count, form, options):
    """From the moment it may read until all is in the view."""
    with harness.millrace(binary, "--workers", "1") as server:
        con = harness.connect_millrace(server)
        con.execute("CREATE STREAM orders (id bigint, account int, amount double precision, note text) "
                    + with_options(cluster, topic=topic, format=form, paused="true", **options))
        con.execute("CREATE MATERIALIZED VIEW totals AS " + VIEW)
        before, start = harness.cpu_seconds(server.pid), time.monotonic()
        con.execute("ALTER SOURCE orders SET (paused = 'false')")
        until("all is read", lambda: one(con, "SELECT coalesce(sum(n), 0) FROM totals") == count,
              lambda: con.execute("SELECT * FROM millrace.sources").fetchall())
        result = time.monotonic() - start, harness.cpu_seconds(server.pid) - before
        checked = con.execute("SELECT count(*), sum(amount) FROM totals").fetchone()
        expected = min(ACCOUNTS, count), sum(amount for _, _, amount, _ in values(count))
        if checked != expected:
            raise AssertionError("totals are %s, not %s" % (checked, expected))
        return result


def flink_classpath():
    import run as flink_run
    folder = os.path.join(HERE, "kafka_flink")
    target = os.path.join(folder, "target")
    flink_run.java_version()
    done = subprocess.run(["mvn", "-q", "-B", "-f", os.path.join(folder, "pom.xml"), "process-classes"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    if done.returncode != 0:
        sys.exit("Flink could not be fetched or compiled:\n" + done.stdout[-4000:])
    with open(os.path.join(target, "classpath")) as f:
        return os.path.join(target, "classes") + ":" + f.read().strip(), flink_run.OPEN


def flink(classpath, opened, cluster, topic, form):
    done = subprocess.run(["java", "-Xmx2g", *("--add-opens=java.base/%s=ALL-UNNAMED" % name for name in opened),
                           "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", classpath, "millrace.kafka.Ingest", cluster.bootstrap, topic, form],
                          stdout=subprocess.PIPE, text=True, check=True)
    return tuple(float(word) for word in done.stdout.split()[-2:])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("millrace")
    parser.add_argument("--records", type=int, default=2000000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--formats", default="json,avro")
    parser.add_argument("--peer", choices=["flink"])
    parser.add_argument("--json")
    args = parser.parse_args()
    formats = {"json": (as_json, {}), "avro": (as_avro, {"avro_schema": json.dumps(SCHEMA)})}
    peer = flink_classpath() if args.peer else None
    results = {}
    kafka_support.need_real("the benchmark")
    with kafka_support.cluster(args.millrace) as cluster:
        for form in args.formats.split(","):
            encode, options = formats[form]
            fill(cluster, form, encode, args.records)
            sides = {"kcat": lambda: kcat(cluster, form), "millrace": lambda: millrace(args.millrace, cluster, form, args.records, form, options)}
            if peer:
                sides["flink"] = lambda: flink(*peer, cluster, form, form)
            runs = {side: [] for side in sides}
            for _ in range(args.rounds):
                for side, measure in sides.items():
                    runs[side].append(measure())
            for side, measured in runs.items():
                wall, cpu = (statistics.median(pair[n] for pair in measured) for n in (0, 1))
                results["%s %s" % (form, side)] = {"wall_s": wall, "cpu_s": cpu, "records": args.records}
                print("%-5s %-9s %9.0f records per second, %9.0f per CPU second, %6.0f ns of CPU per record"
                      % (form, side, args.records / wall, args.records / cpu, cpu / args.records * 1e9), flush=True)
    if args.json:
        with open(args.json, "w") as f:
            json.dump(results, f, indent=1)


main()
