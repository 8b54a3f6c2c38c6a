"""rows_test.py MILLRACE [--only PART,PART] [SERVER OPTIONS]: rows come from a topic, each once: 8 partitions read by several threads, where a source begins, metadata,
upserts and tombstones, records that cannot become rows, records of transactions that were aborted; the server is stopped and killed
in between."""

import json
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import kafka_support  # noqa: E402
from checks import balanced, chosen, expect, offsets, one, read_all, refused, source_state, until, with_options  # noqa: E402
from kafka_support import Record, left_out  # noqa: E402

ROWS = 20000 if harness.SMALL else 100000


def many(cluster, server, con):
    """ids: count = distinct = produced, from 8 partitions with 3 consumers, over kill -9."""
    cluster.create_topic("many", 8)
    rows = [Record('{"id": %d, "name": "n%d", "inner": {"x": [%d, 2]}}' % (i, i % 100, i), str(i), i % 8, [("h", b"%d" % (i % 3))], 1700000000000 + i)
            for i in range(ROWS)]
    cluster.produce("many", rows[:ROWS // 2])
    con.execute("CREATE STREAM many (id bigint, name text, part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset'),"
                " at timestamptz OPTIONS (metadata 'timestamp'), k text OPTIONS (metadata 'key'), h jsonb OPTIONS (metadata 'headers'),"
                " x int OPTIONS (path '$.inner.x[0]')) " + with_options(cluster, topic="many", format="json", consumers=3))
    con.execute("CREATE MATERIALIZED VIEW per_name AS SELECT name, count(*) AS n, count(DISTINCT id) AS ids, sum(x) AS xs FROM many GROUP BY name")
    con.execute("CREATE MATERIALIZED VIEW wrong AS SELECT * FROM many WHERE part <> id % 8 OR k <> id::text OR x <> id"
                " OR at <> timestamptz '2023-11-14 22:13:20+00' + id * INTERVAL '1 millisecond' OR off <> id / 8")
    con.execute("CREATE MATERIALIZED VIEW some_headers AS SELECT h, count(*) AS n FROM many GROUP BY h")
    until("it reads", lambda: sum(offsets(con, "many").values()) > 0)
    harness.restart_millrace(server, signal.SIGKILL)
    con = harness.connect_millrace(server)
    cluster.produce("many", rows[ROWS // 2:])
    until("it reads on", lambda: sum(offsets(con, "many").values()) > ROWS // 2)
    harness.restart_millrace(server, signal.SIGKILL)
    con = harness.connect_millrace(server)
    read_all(con, "many", cluster, "many")
    balanced(con, "many")
    expect("ids: count and distinct", one(con, "SELECT (sum(n), sum(ids), sum(xs))::text FROM per_name"), "(%d,%d,%d)" % (ROWS, ROWS, ROWS * (ROWS - 1) // 2))
    expect("headers", con.execute("SELECT h->>'h', n FROM some_headers ORDER BY 1").fetchall(),
           [(str(h), len(range(h, ROWS, 3))) for h in range(3)])
    expect("metadata that is wrong", con.execute("SELECT * FROM wrong LIMIT 3").fetchall(), [])
    expect("accepted", one(con, "SELECT sum(accepted) FROM many_progress"), ROWS)
    expect("accepted, rejected, lag", source_state(con, "many", "accepted, rejected, lag"), (ROWS, 0, 0))
    expect("partitions", con.execute("SELECT partition, high FROM millrace.source_partitions WHERE relation = 'many' ORDER BY 1").fetchall(),
           [(partition, ROWS // 8) for partition in range(8)])
    return con


def counted(cluster, server, con):
    """The same with everything made before the first record, so that totals are exact."""
    cluster.create_topic("counted", 8)
    con.execute("CREATE STREAM counted (id bigint, v int) " + with_options(cluster, topic="counted", format="json", consumers=4, paused="true"))
    con.execute("CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n, count(DISTINCT id) AS ids, sum(v) AS vs, min(id) AS low, max(id) AS high"
                " FROM counted")
    expect("no record is read while it is paused", source_state(con, "counted", "state"), "paused")
    con.execute("ALTER SOURCE counted SET (paused = 'false')")
    produced, total = 0, 0
    for round_ in range(6):
        ends = ("commit", "abort") if cluster.real else (None,)
        for end in ends:
            rows = [Record('{"id": %d, "v": %d}' % (i, i % 11), partition=i * 7 % 8) for i in range(produced, produced + ROWS // 20)]
            cluster.produce("counted", rows, transaction=end)
        produced += len(rows)
        total = sum(i % 11 for i in range(produced))
        if round_ == 2:
            harness.restart_millrace(server, signal.SIGKILL)
            con = harness.connect_millrace(server)
        if round_ == 4:
            con.execute("CHECKPOINT")
            harness.restart_millrace(server, signal.SIGKILL)
            con = harness.connect_millrace(server)
    read_all(con, "counted", cluster, "counted")
    expect("ids: count, distinct, sum, first, last", con.execute("SELECT * FROM totals").fetchone(), (produced, produced, total, 0, produced - 1))
    balanced(con, "counted")
    if cluster.real:
        expect("offsets of aborted records and of ends of transactions", one(con, "SELECT sum(absent) >= %d FROM counted_progress" % produced), True)
    else:
        left_out("aborted records")
    con.execute("DROP STREAM counted CASCADE")
    refused(con, "42P01", "SELECT * FROM counted_progress")
    return con


def starts(cluster, server, con):
    cluster.create_topic("starts", 2)
    cluster.produce("starts", [Record('{"id": %d}' % i, partition=i % 2, timestamp=1700000000000 + i * 1000) for i in range(20)])
    ways = {"earliest": {0: 0, 1: 0}, "latest": {0: 10, 1: 10}, "0:3,1:7": {0: 3, 1: 7}}
    if cluster.real:
        ways["2023-11-14 22:13:29.5+00"] = {0: 5, 1: 5}  # records 10 and 11 are the first that are not older
    else:
        left_out("start at a time")
    for number, (start, begin) in enumerate(ways.items()):
        name = "start%d" % number
        con.execute("CREATE STREAM %s (id bigint) %s" % (name, with_options(cluster, topic="starts", format="json", start=start, paused="true")))
        expect("start %s is durable before the first record" % start, offsets(con, name), begin)
    harness.restart_millrace(server, signal.SIGKILL)
    con = harness.connect_millrace(server)
    for number, begin in enumerate(ways.values()):
        name = "start%d" % number
        con.execute("CREATE MATERIALIZED VIEW %s_ids AS SELECT id FROM %s" % (name, name))
        con.execute("ALTER SOURCE %s SET (paused = 'false')" % name)
    cluster.produce("starts", [Record('{"id": %d}' % i, partition=i % 2) for i in range(20, 24)])
    for number, (start, begin) in enumerate(ways.items()):
        name = "start%d" % number
        read_all(con, name, cluster, "starts")
        expect("rows from %s on" % start, sorted(row[0] for row in con.execute("SELECT id FROM %s_ids" % name).fetchall()),
               [i for i in range(24) if i // 2 >= begin[i % 2]])
        balanced(con, name, begin)
    for start in ("0:3,1:7,2:0", "0:3", "0:3,0:4", "yesterday or so", "1:x"):  # a partition that is not there, one that is missing, ...
        refused(con, "22023", "CREATE STREAM nostart (id bigint) " + with_options(cluster, topic="starts", format="json", start=start))
    if cluster.real:  # the mock cluster makes every topic it is asked for
        refused(con, "42P01", "CREATE STREAM nostart (id bigint) " + with_options(cluster, topic="nothing", format="json"), "nothing")
    refused(con, "22023", "CREATE STREAM nostart (id bigint) " + with_options(cluster, topic="starts", format="json", nonsense="1"), "nonsense")
    refused(con, "22023", "CREATE STREAM nostart (id bigint) " + with_options(cluster, topic="starts", format="json", **{"fetch.min.bytes": "few"}))
    refused(con, "22023", "CREATE STREAM nostart (id bigint) " + with_options(cluster, topic="starts", format="parchment"), "parchment")
    return con


def upserts(cluster, server, con):
    """A table is the topic folded by key; what is deleted goes."""
    cluster.create_topic("upserts", 4)
    con.execute("CREATE TABLE upserts (id bigint PRIMARY KEY, v int, note text) " + with_options(cluster, topic="upserts", format="json", consumers=2))
    con.execute("CREATE MATERIALIZED VIEW by_note AS SELECT note, count(*) AS n, sum(v) AS s FROM upserts GROUP BY note")
    wanted = {}
    for round_ in range(5):
        records = []
        for i in range(4000):
            key = (i * 7919 + round_ * 13) % 1000
            name = json.dumps({"id": key})
            if (i + round_) % 9 == 0:
                wanted.pop(key, None)
                records.append(Record(None, name, key % 4))
            else:
                wanted[key] = (i, "note%d" % (i % 5))
                records.append(Record(json.dumps({"id": key, "v": i, "note": "note%d" % (i % 5)}), name, key % 4))
        cluster.produce("upserts", records)
        if round_ == 3:
            harness.restart_millrace(server, signal.SIGKILL)
            con = harness.connect_millrace(server)
    read_all(con, "upserts", cluster, "upserts")
    expect("the newest row of each key", {i: (v, note) for i, v, note in con.execute("SELECT * FROM upserts").fetchall()}, wanted)
    sums = {}
    for v, note in wanted.values():
        n, s = sums.get(note, (0, 0))
        sums[note] = (n + 1, s + v)
    expect("a view of them", {note: (n, s) for note, n, s in con.execute("SELECT * FROM by_note").fetchall()}, sums)
    balanced(con, "upserts")
    return con


def bad_records(cluster, server, con):
    """Each way to treat them; repaired ones go in; what is left is right all the while."""
    cluster.create_topic("bad", 2)
    good = [Record('{"id": %d}' % i, "k%d" % i, i % 2) for i in range(100)]
    broken = [Record("no record %d" % i, "bad%d" % i, i % 2) for i in range(3)] + [Record('{"id": "word"}', None, 0), Record(b"\xff\xfe", b"\x00\xff", 1)]
    cluster.produce("bad", good[:50] + broken + good[50:])
    ends = cluster.ends("bad")
    for name, on_error in (("letters", "dead_letter"), ("skips", "skip"), ("fails", "fail")):
        con.execute("CREATE STREAM %s (id bigint, raw text OPTIONS (metadata 'key')) %s"
                    % (name, with_options(cluster, topic="bad", format="json", on_error=on_error, paused="true", consumers=2)))
        con.execute("CREATE MATERIALIZED VIEW %s_ids AS SELECT id FROM %s" % (name, name))
        con.execute("ALTER SOURCE %s SET (paused = 'false')" % name)
    for name in ("letters", "skips"):
        read_all(con, name, cluster, "bad")
        balanced(con, name)
        expect("good rows of " + name, one(con, "SELECT (count(*), count(DISTINCT id))::text FROM %s_ids" % name), "(100,100)")
    expect("counts", source_state(con, "letters", "accepted, rejected, skipped"), (100, 5, 0))
    expect("counts", source_state(con, "skips", "accepted, rejected, skipped"), (100, 0, 5))
    found = con.execute('SELECT partition, "offset", key, value, sqlstate, reason FROM letters_errors ORDER BY 1, 2').fetchall()
    expect("what was rejected", [(partition, key, value) for partition, _, key, value, _, _ in found],
           [(0, b"bad0", b"no record 0"), (0, b"bad2", b"no record 2"), (0, None, b'{"id": "word"}'),
            (1, b"bad1", b"no record 1"), (1, b"\x00\xff", b"\xff\xfe")])
    expect("their offsets", [offset for _, offset, *_ in found], [25, 26, 27, 25, 26])
    expect("why", all(len(state) == 5 and reason for *_, state, reason in found), True)
    # a record that was repaired goes in as a row; rows that stand for nothing can be deleted
    con.execute("BEGIN")
    con.execute("INSERT INTO letters (id) SELECT 1000 + \"offset\" FROM letters_errors WHERE key = 'bad0'")
    con.execute("DELETE FROM letters_errors WHERE key = 'bad0'")
    con.execute("COMMIT")
    expect("the repaired row", one(con, "SELECT count(*) FROM letters_ids WHERE id = 1025"), 1)
    expect("the rest", one(con, "SELECT count(*) FROM letters_errors"), 4)
    harness.restart_millrace(server, signal.SIGKILL)
    con = harness.connect_millrace(server)
    expect("the rest after kill -9", one(con, "SELECT count(*) FROM letters_errors"), 4)
    # fail: each thread stops before the first it meets, and says how all of them get past theirs; what is to come stays in the list
    con = stops(cluster, server, con, {0: 25, 1: 25}, {(0, 25), (1, 25)})
    con.execute("ALTER SOURCE fails SET (skip_offset = '1:26, 0:27,0:25 , 1:25')")
    con = stops(cluster, server, con, {0: 26, 1: ends[1][1]}, {(0, 26), (0, 27)}, kill=False)
    con.execute(hinted(con)[0])
    until("it is done", lambda: offsets(con, "fails") == {partition: high for partition, (_, high) in ends.items()}, lambda: source_state(con, "fails"))
    expect("good rows", one(con, "SELECT (count(*), count(DISTINCT id))::text FROM fails_ids"), "(100,100)")
    expect("skipped", con.execute("SELECT partition, accepted, rejected, skipped FROM fails_progress ORDER BY 1").fetchall(), [(0, 50, 0, 3), (1, 50, 0, 2)])
    balanced(con, "fails")
    # a list that is there from the start; records in it are not even looked at
    con.execute("CREATE STREAM listed (id bigint) " + with_options(cluster, topic="bad", format="json", on_error="fail", paused="true",
                                                                   skip_offset="1:26, 1:25, 0:27, 0:26, 0:25, 0:0, 7:1"))
    con.execute("CREATE MATERIALIZED VIEW listed_ids AS SELECT id FROM listed")
    con.execute("ALTER SOURCE listed SET (paused = 'false')")
    read_all(con, "listed", cluster, "bad")
    expect("good rows", sorted(row[0] for row in con.execute("SELECT id FROM listed_ids").fetchall()), list(range(1, 100)))
    expect("skipped", con.execute("SELECT partition, accepted, skipped FROM listed_progress ORDER BY 1").fetchall(), [(0, 49, 4), (1, 50, 2)])
    return con


def hinted(con):
    """The statement that takes the source past what it has stopped at, and the records in it."""
    hint = source_state(con, "fails", "hint")
    statement = hint[:hint.index(")") + 1]
    return statement, {tuple(map(int, item.split(":"))) for item in statement.split("'")[1].split(", ")}


def stops(cluster, server, con, at, hint, kill=True):
    """The source has stopped there, also when it has been started anew."""
    for again in range(1 + kill):
        if again:
            harness.restart_millrace(server, signal.SIGKILL)
            con = harness.connect_millrace(server)
        until("it has stopped at %s, and asks for %s" % (at, hint), lambda: offsets(con, "fails") == at and source_state(con, "fails", "state") == "failed" and
              hinted(con)[1] == hint, lambda: source_state(con, "fails", "state, error, hint"))
        error = source_state(con, "fails", "error")
        for partition in at:
            expect("whether the error names partition %d: %s" % (partition, error), "offset %d of partition %d " % (at[partition], partition) in error,
                   (partition, at[partition]) in hint)
    return con


def outage(cluster, server, con):
    """The broker goes and comes back, also while the server starts."""
    cluster.create_topic("outage", 3)
    con.execute("CREATE STREAM outage (id bigint) " + with_options(cluster, topic="outage", format="json", consumers=2))
    con.execute("CREATE MATERIALIZED VIEW outage_ids AS SELECT count(*) AS n, count(DISTINCT id) AS ids FROM outage")
    cluster.produce("outage", [Record('{"id": %d}' % i, partition=i % 3) for i in range(300)])
    read_all(con, "outage", cluster, "outage")
    cluster.stop(signal.SIGKILL)
    until("it says so", lambda: source_state(con, "outage", "error"))
    expect("others do not wait", one(con, "SELECT n FROM outage_ids"), 300)
    refused(con, "08001", "CREATE STREAM later (id bigint) " + with_options(cluster, topic="outage", format="json"), "127.0.0.1")
    harness.restart_millrace(server, signal.SIGKILL)
    con = harness.connect_millrace(server)
    expect("after a start without a broker", one(con, "SELECT n FROM outage_ids"), 300)
    cluster.start()
    cluster.produce("outage", [Record('{"id": %d}' % i, partition=i % 3) for i in range(300, 600)])
    read_all(con, "outage", cluster, "outage")
    expect("ids", con.execute("SELECT * FROM outage_ids").fetchone(), (600, 600))
    until("no error is left", lambda: source_state(con, "outage") == ("running", None), lambda: source_state(con, "outage"))
    balanced(con, "outage")
    return con


TESTS = [many, counted, starts, upserts, bad_records, outage]


def main():
    options = sys.argv[2:]
    tests = chosen(TESTS, options)
    with kafka_support.cluster(sys.argv[1]) as cluster, harness.millrace(sys.argv[1], *options) as server:
        con = harness.connect_millrace(server)
        for test in tests:
            con = test(cluster, server, con)
            print(test.__name__, "ok", flush=True)


main()
