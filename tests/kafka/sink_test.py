"""sink_test.py MILLRACE [--only TEST,TEST] [--workers N]: sinks to Kafka. A reader of committed records sees every change once, and what it folds by key is
the view, whatever is killed, stopped or fenced off meanwhile."""

import json
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import kafka_support  # noqa: E402
from checks import chosen  # noqa: E402

BINARY, OPTIONS = sys.argv[1], sys.argv[2:]


def until(what, condition):
    """Waits until it holds; for as long as a slow machine may need."""
    deadline = time.monotonic() + 180
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("never happened: " + what)
        time.sleep(0.02)


def expect(what, found, expected):
    if found != expected:
        raise SystemExit("%s: found %.2000r, expected %.2000r" % (what, found, expected))


def refused(con, sqlstate, sql, *words):
    try:
        con.execute(sql)
    except Exception as error:
        expect(sql, error.sqlstate, sqlstate)
        text = "%s %s %s" % (error.diag.message_primary, error.diag.message_detail, error.diag.message_hint)
        for word in words:
            if word not in text:
                raise SystemExit("%s: no %r in %s" % (sql, word, text))
        return
    raise SystemExit("not refused: " + sql)


def status(con, sink, columns):
    row = con.execute("SELECT %s FROM millrace.sinks WHERE name = '%s'" % (columns, sink)).fetchone()
    return row[0] if row is not None and len(row) == 1 else row


def arrived(con, *sinks):
    for sink in sinks:
        until("sink %s has written everything: %s" % (sink, status(con, sink, "state, last_error, detail")),
              lambda: status(con, sink, "rows_behind") == 0)


def sink(broker, name, source, topic, **options):
    options = {"connector": "kafka", "topic": topic, "bootstrap.servers": broker.bootstrap, "format": "json", **options}
    return "CREATE SINK %s %s WITH (%s)" % (name, source, ", ".join("\"%s\" = '%s'" % item for item in options.items()))


def fold(records, duplicates=False):
    """By key, as a compacted topic would be; duplicates: a group of records may be there again."""
    out = {}
    for record in records:
        if record.value is None:
            if record.key not in out and not duplicates:
                raise SystemExit("a tombstone for a key that is not there: %r" % (record,))
            out.pop(record.key, None)
        else:
            out[record.key] = json.loads(record.value)
    return out


def same(what, con, query, records, key, duplicates=False):
    """The fold of the records is what the query gives; keys of both are the same."""
    cursor = con.execute(query)
    names = [column.name for column in cursor.description]
    expected = {tuple(row[names.index(k)] for k in key): dict(zip(names, row)) for row in cursor.fetchall()}
    found = {}
    for name, value in fold(records, duplicates).items():
        parsed = json.loads(name)
        expect(what + ": key and value", [parsed[k] for k in key], [value[k] for k in key])
        found[tuple(value[k] for k in key)] = value
    if found != expected:
        missing = [k for k in expected if k not in found]
        extra = [k for k in found if k not in expected]
        other = [(k, found[k], expected[k]) for k in found if k in expected and found[k] != expected[k]]
        raise SystemExit("%s: missing %s, too many %s, different %s" % (what, missing[:5], extra[:5], other[:5]))


# ---- the tests; each gets its own topics ----


def changes(broker, server, con):
    """A table, a view and a query as sinks: first contents, changes, tombstones, several sinks of one view."""
    broker.create_topic("kv", 3)
    broker.create_topic("sums", 2)
    broker.create_topic("later", 1)
    broker.create_topic("query", 1)
    con.execute("CREATE TABLE kv (k int PRIMARY KEY, g int, v int)")
    con.execute("CREATE MATERIALIZED VIEW sums AS SELECT g, count(*) AS n, sum(v) AS total FROM kv GROUP BY g")
    con.execute("INSERT INTO kv SELECT i, i % 7, i FROM generate_series(1, 100) i")
    con.execute(sink(broker, "kv_out", "FROM kv", "kv"))
    con.execute(sink(broker, "sums_out", "FROM sums", "sums"))
    con.execute(sink(broker, "sums_later", "FROM sums", "later", snapshot="false"))
    con.execute(sink(broker, "query_out", "AS SELECT k % 5 AS r, max(v) AS m FROM kv GROUP BY k % 5", "query"))
    expect("which sinks there are", con.execute("SELECT name, connector, query FROM millrace.sinks ORDER BY 1").fetchall(),
           [("kv_out", "kafka", "TABLE kv"), ("query_out", "kafka", "SELECT k % 5 AS r, max(v) AS m FROM kv GROUP BY k % 5"),
            ("sums_later", "kafka", "TABLE sums"), ("sums_out", "kafka", "TABLE sums")])
    arrived(con, "kv_out", "sums_out", "sums_later", "query_out")
    expect("first contents", len(broker.read("kv")), 100)
    expect("none of them", len(broker.read("later")), 0)
    rng = random.Random(7)
    for _ in range(40):
        k = rng.randrange(1, 130)
        what = rng.randrange(4)
        if what == 0:
            con.execute("DELETE FROM kv WHERE k = %d" % k)
        elif what == 1:
            con.execute("UPDATE kv SET g = g + 1, v = v + 3 WHERE k BETWEEN %d AND %d" % (k, k + 5))
        elif what == 2:
            con.execute("DELETE FROM kv WHERE g = %d" % rng.randrange(8))
        else:
            con.execute("INSERT INTO kv VALUES (%d, %d, %d) ON CONFLICT (k) DO UPDATE SET v = excluded.v, g = excluded.g"
                        % (k, rng.randrange(9), rng.randrange(1000)))
    arrived(con, "kv_out", "sums_out", "sums_later", "query_out")
    same("a table", con, "SELECT * FROM kv", broker.read("kv"), ["k"])
    same("a view", con, "SELECT g, n, total::int AS total FROM sums", broker.read("sums"), ["g"])
    same("a query", con, "SELECT k % 5 AS r, max(v) AS m FROM kv GROUP BY 1", broker.read("query"), ["r"])
    sums, later = broker.read("sums"), broker.read("later")
    expect("without the first contents", [(r.key, r.value) for r in sorted(later, key=lambda r: r.offset)],
           [(r.key, r.value) for r in sorted(sums, key=lambda r: (r.timestamp, r.partition, r.offset))][-len(later):]
           if len({r.partition for r in sums}) == 1 else [(r.key, r.value) for r in sorted(later, key=lambda r: r.offset)])
    con.execute("DELETE FROM kv")
    arrived(con, "kv_out", "sums_out", "sums_later", "query_out")
    for topic in ("kv", "sums", "query"):
        expect("an empty table in " + topic, fold(broker.read(topic)), {})
    con.execute("DROP SINK kv_out, sums_out, sums_later, query_out")
    con.execute("DROP TABLE kv CASCADE")


def definitions(broker, server, con):
    """What is refused, and what depends on what."""
    con.execute("CREATE TABLE d (a int PRIMARY KEY, b int, h jsonb)")
    con.execute("CREATE STREAM ds (a int, ts timestamptz, WATERMARK FOR ts AS ts - INTERVAL '1 second')")
    con.execute("CREATE MATERIALIZED VIEW dv AS SELECT b, count(*) AS n FROM d GROUP BY b")
    con.execute("CREATE MATERIALIZED VIEW nokey AS SELECT b FROM d")
    refused(con, "0A000", sink(broker, "x", "FROM dv", "t", envelope="append"), "change or go", "EMIT FINAL")
    refused(con, "0A000", sink(broker, "x", "FROM nokey", "t"), "needs a key")
    refused(con, "22023", sink(broker, "x", "FROM dv", "t", key="n"), "not unique", '"b"')
    refused(con, "22023", sink(broker, "x", "FROM nokey", "t", key="b"), "not unique")
    refused(con, "42703", sink(broker, "x", "FROM dv", "t", key="c"))
    refused(con, "42703", sink(broker, "x", "FROM d", "t", headers="x"))
    refused(con, "42804", sink(broker, "x", "FROM d", "t", headers="b"))
    refused(con, "22023", sink(broker, "x", "FROM dv", "t", envelope="upsrt"), "upsert")
    refused(con, "22023", sink(broker, "x", "FROM dv", "t", delivery="twice"))
    refused(con, "22023", sink(broker, "x", "FROM dv", "t", nonsense="1"), "nonsense")
    refused(con, "22023", sink(broker, "x", "FROM dv", "t", **{"linger.ms": "often"}), "linger.ms")
    refused(con, "22023", sink(broker, "x", "FROM dv", "t", **{"enable.idempotence": "false"}))
    refused(con, "22023", sink(broker, "x", "FROM dv", "t", topic_partitions="0"))
    refused(con, "0A000", sink(broker, "x", "FROM dv", "t", format="parchment"), "parchment")
    refused(con, "0A000", "CREATE SINK x FROM dv WITH (connector = 'pigeon')", "pigeon")
    refused(con, "22023", "CREATE SINK x FROM dv WITH (connector = 'kafka', topic = 't')", "bootstrap.servers")
    refused(con, "42P01", sink(broker, "x", "FROM nothing", "t"))
    refused(con, "42601", "CREATE SINK x FROM dv dv2 dv3 WITH (connector = 'kafka')")
    refused(con, "42601", "CREATE SINK x WITH (connector = 'kafka')")
    expect("nothing of it is left", con.execute("SELECT count(*) FROM millrace.sinks").fetchone()[0], 0)
    broker.create_topic("d", 1)
    con.execute(sink(broker, "d_out", "FROM dv", "d"))
    con.execute(sink(broker, "s_out", "AS SELECT a FROM ds", "d"))
    refused(con, "42P07", sink(broker, "d_out", "FROM dv", "d"))
    refused(con, "42P07", sink(broker, "dv", "FROM dv", "d"))
    con.execute(sink(broker, "IF NOT EXISTS d_out", "FROM dv", "d"))
    refused(con, "42809", "SELECT * FROM d_out", "cannot be read")
    refused(con, "42809", "INSERT INTO d_out VALUES (1, 2)")
    refused(con, "42809", "CREATE MATERIALIZED VIEW y AS SELECT * FROM d_out")
    refused(con, "2BP01", "DROP MATERIALIZED VIEW dv", "sink d_out depends on materialized view dv")
    refused(con, "2BP01", "DROP STREAM ds", "sink s_out")
    refused(con, "2BP01", "ALTER TABLE ds RENAME TO ds2", "sink s_out")
    refused(con, "42809", "DROP VIEW d_out", "DROP SINK")
    refused(con, "42809", "DROP SINK dv", "not a sink")
    refused(con, "42P01", "DROP SINK nothing")
    con.execute("DROP SINK IF EXISTS nothing")
    refused(con, "0A000", "ALTER SINK d_out SET (topic = 'x')", "topic")
    refused(con, "22023", "ALTER SINK d_out SET (paused = 'perhaps')")
    refused(con, "42809", "ALTER SINK dv SET (paused = true)")
    con.execute("COMMENT ON SINK d_out IS 'what goes out'")
    con.execute("ALTER SINK d_out SET (paused = true)")
    until("it is paused", lambda: status(con, "d_out", "state") == "paused")
    con.execute("INSERT INTO d VALUES (1, 1, NULL)")
    expect("what waits", status(con, "d_out", "rows_behind"), 1)
    harness.restart_millrace(server, signal.SIGKILL)
    con = connect(server)
    until("it is paused again", lambda: status(con, "d_out", "state") == "paused")
    expect("what waits after a restart", status(con, "d_out", "rows_behind"), 1)
    con.execute("ALTER SINK d_out SET (paused = false)")
    arrived(con, "d_out")
    same("after a pause", con, "SELECT b, n FROM dv", broker.read("d"), ["b"])
    con.execute("DROP MATERIALIZED VIEW dv CASCADE")
    expect("CASCADE", con.execute("SELECT name FROM millrace.sinks").fetchall(), [("s_out",)])
    con.execute("DROP STREAM ds CASCADE")
    con.execute("DROP TABLE d CASCADE")
    return con


def envelopes(broker, server, con):
    """Append-only, with and without keys; Debezium's envelope; headers."""
    for topic in ("plain", "final", "dbz", "dbznokey", "headers"):
        broker.create_topic(topic, 1)
    con.execute("CREATE STREAM es (a int, ts timestamptz, WATERMARK FOR ts AS ts)")
    con.execute("CREATE MATERIALIZED VIEW per_minute AS SELECT window_start AS at, count(*) AS n "
                "FROM TUMBLE(es, ts, INTERVAL '1 minute') GROUP BY window_start EMIT FINAL")
    con.execute("CREATE TABLE et (k int PRIMARY KEY, v text, h jsonb)")
    con.execute("INSERT INTO et VALUES (1, 'one', NULL), (2, 'two', '{\"x\": \"y\", \"z\": null}')")
    con.execute(sink(broker, "plain", "FROM es", "plain"))
    con.execute(sink(broker, "final", "FROM per_minute", "final"))
    con.execute(sink(broker, "dbz", "AS SELECT k, v FROM et", "dbz", envelope="debezium"))
    con.execute(sink(broker, "dbznokey", "AS SELECT length(v) AS l FROM et", "dbznokey", envelope="debezium"))
    con.execute(sink(broker, "headers", "FROM et", "headers", headers="h"))
    arrived(con, "dbz", "dbznokey", "headers")
    con.execute("INSERT INTO es VALUES (1, '2026-01-01 00:00:10+00'), (1, '2026-01-01 00:00:10+00'), (2, '2026-01-01 00:01:30+00'), "
                "(3, '2026-01-01 00:02:30+00')")
    con.execute("UPDATE et SET v = 'uno' WHERE k = 1")
    con.execute("DELETE FROM et WHERE k = 2")
    con.execute("INSERT INTO et VALUES (3, 'three', '{}')")
    arrived(con, "plain", "final", "dbz", "dbznokey", "headers")
    expect("append-only", sorted(json.loads(r.value)["a"] for r in broker.read("plain")), [1, 1, 2, 3])
    expect("no key", {r.key for r in broker.read("plain")}, {None})
    expect("final rows", [json.loads(r.value)["n"] for r in broker.read("final")], [2, 1])
    expect("their key", [set(json.loads(r.key)) for r in broker.read("final")], [{"at"}, {"at"}])
    found = [(json.loads(r.key)["k"], r.value and {k: v for k, v in json.loads(r.value).items() if k in ("before", "after", "op")})
             for r in broker.read("dbz")]
    expect("debezium: first contents", sorted(found[:2]),
           [(1, {"before": None, "after": {"k": 1, "v": "one"}, "op": "r"}), (2, {"before": None, "after": {"k": 2, "v": "two"}, "op": "r"})])
    expect("debezium: changes", found[2:],
           [(1, {"before": {"k": 1, "v": "one"}, "after": {"k": 1, "v": "uno"}, "op": "u"}),
            (2, {"before": {"k": 2, "v": "two"}, "after": None, "op": "d"}), (2, None),
            (3, {"before": None, "after": {"k": 3, "v": "three"}, "op": "c"})])
    found = [(r.key, (json.loads(r.value)["before"] or {}).get("l"), (json.loads(r.value)["after"] or {}).get("l"))
             for r in broker.read("dbznokey")]
    expect("debezium without a key", found, [(None, None, 3)] * 2 + [(None, 3, None), (None, None, 5)])
    found = {json.loads(r.key)["k"]: r.headers for r in broker.read("headers") if r.value}
    expect("headers", found, {1: None, 2: [("x", b"y"), ("z", None)], 3: None})
    expect("and not in the value", {tuple(json.loads(r.value)) for r in broker.read("headers") if r.value}, {("k", "v")})
    con.execute("INSERT INTO et VALUES (4, 'four', '[1]')")
    until("headers that are none stop the sink", lambda: status(con, "headers", "state, sqlstate") == ("failed", "22023"))
    con.execute("INSERT INTO et VALUES (5, 'five', NULL)")
    arrived(con, "dbz")
    for name in ("plain", "final", "dbz", "dbznokey", "headers"):
        con.execute("DROP SINK " + name)
    con.execute("DROP STREAM es CASCADE")
    con.execute("DROP TABLE et CASCADE")


def connect(server):
    return harness.connect_millrace(server)


def ids(broker, topic):
    return sorted(json.loads(record.value)["id"] for record in broker.read(topic))


def once(broker, found):
    """Sorted. In the mock cluster what was aborted is seen as well."""
    return sorted(found) if broker.real else sorted(set(found))


def kills(broker, server, con):
    """The server is killed, the broker restarted: each row is there once, and the view is what is folded."""
    broker.create_topic("once", 3)
    broker.create_topic("counts", 2)
    con.execute("CREATE STREAM events (id int, g int)")
    con.execute("CREATE MATERIALIZED VIEW counts AS SELECT g, count(*) AS n, max(id) AS last FROM events GROUP BY g")
    con.execute(sink(broker, "once", "FROM events", "once"))
    con.execute(sink(broker, "counts_out", "FROM counts", "counts", **{"compression.type": "lz4"}))
    rng, at = random.Random(3), 0
    for kill in range(3 if harness.SMALL else 10):
        for _ in range(rng.randrange(5, 25)):
            count = rng.randrange(1, 400)
            con.execute("INSERT INTO events SELECT i, i %% 17 FROM generate_series(%d, %d) i" % (at, at + count - 1))
            at += count
            if rng.randrange(8) == 0:
                con.execute("CHECKPOINT")
        if kill % 5 != 4:  # else perhaps before it has written anything
            until("the sinks write", lambda: status(con, "once", "transactions") > 0 and status(con, "counts_out", "transactions") > 0)
        for _ in range(rng.randrange(6)):
            con.execute("INSERT INTO events SELECT i, i %% 17 FROM generate_series(%d, %d) i" % (at, at + 99))
            at += 100
        if kill % 3 == 2 and broker.real:
            broker.stop(signal.SIGKILL if kill % 2 else signal.SIGTERM)
        if kill % 4 == 3:
            con.execute("DROP SINK counts_out")  # and again: everything anew
            con.execute(sink(broker, "counts_out", "FROM counts", "counts"))
        harness.restart_millrace(server, signal.SIGKILL if kill % 4 != 1 else signal.SIGTERM)
        con = connect(server)
        if kill % 3 == 2 and broker.real:
            con.execute("INSERT INTO events VALUES (%d, 1)" % at)
            at += 1
            broker.start()
    arrived(con, "once", "counts_out")
    expect("every id once", once(broker, ids(broker, "once")), list(range(at)))
    same("the fold", con, "SELECT * FROM counts", broker.read("counts"), ["g"])
    expect("what waits", status(con, "once", "rows_behind, bytes_behind, epochs_behind"), (0, 0, 0))
    con.execute("DROP SINK once")
    con.execute("DROP STREAM events CASCADE")
    return con


def altered(broker, server, con):
    """Properties change and sinks get other names while they write, and over kill -9: each row once. What would change the records
    themselves is refused."""
    for topic in ("altered", "altered_dbz"):
        broker.create_topic(topic, 2)
    con.execute("CREATE STREAM al (id int)")
    con.execute("CREATE MATERIALIZED VIEW al_sums AS SELECT id % 5 AS g, count(*) AS n FROM al GROUP BY 1")
    con.execute(sink(broker, "al_0", "FROM al", "altered", **{"linger.ms": "1"}))
    con.execute(sink(broker, "al_dbz", "FROM al_sums", "altered_dbz", envelope="debezium"))
    for name, value in (("topic", "x"), ("progress_topic", "x"), ("format", "text"), ("key", "id"), ("envelope", "upsert"), ("headers", "h"),
                        ("identity", "x"), ("transactional.id", "x"), ("delivery", "at_least_once"), ("partitioner", "random"), ("snapshot", "false"),
                        ("connector", "x"), ("record_name", "x"), ("key_style", "value"), ("state_ttl", "1 day")):
        refused(con, "0A000", "ALTER SINK al_0 SET (\"%s\" = '%s')" % (name, value), name, "al_0")
    refused(con, "0A000", "ALTER SINK al_0 RESET (topic)", "topic")
    refused(con, "22023", "ALTER SINK al_0 SET (nonsense = 1)", "nonsense")
    refused(con, "22023", "ALTER SINK al_0 SET (\"linger.ms\" = 'often')", "linger.ms")
    refused(con, "22023", "ALTER SINK al_0 SET (\"enable.idempotence\" = false)")
    refused(con, "22023", "ALTER SINK al_0 RESET (\"bootstrap.servers\")", "bootstrap.servers")
    refused(con, "42601", "ALTER SINK al_0 SET (paused = true, paused = false)")
    refused(con, "42704", "ALTER SINK al_0 SET (\"sasl.password\" = SECRET nowhere)")
    refused(con, "42809", "ALTER VIEW al_0 RENAME TO x", "ALTER SINK")
    refused(con, "42809", "ALTER SINK al_sums RENAME TO x")
    refused(con, "42P07", "ALTER SINK al_0 RENAME TO al_dbz")
    refused(con, "42P01", "ALTER SINK nothing RENAME TO x")
    con.execute("ALTER SINK IF EXISTS nothing RENAME TO x")
    rng, at = random.Random(5), 0
    for i in range(8 if harness.SMALL else 16):
        count = rng.randrange(100, 3000)
        con.execute("INSERT INTO al SELECT i FROM generate_series(%d, %d) i" % (at, at + count - 1))
        at += count
        if i % 2 == 0:  # it has perhaps begun to write them
            until("it writes", lambda: status(con, "al_%d" % i, "rows_behind") < count)
        con.execute("ALTER SINK al_%d RENAME TO al_%d" % (i, i + 1))
        con.execute("ALTER SINK al_%d SET (\"compression.type\" = '%s', \"linger.ms\" = %d, \"transaction.timeout.ms\" = %d)"
                    % (i + 1, ("lz4", "zstd", "none")[i % 3], i, 20000 + i))
        if i == 3:
            con.execute("ALTER SINK al_dbz RENAME TO al_changes")
        if i % 4 == 3:
            harness.restart_millrace(server, signal.SIGKILL)
            con = connect(server)
        if i % 4 == 1:
            con.execute("ALTER SINK al_%d RESET (\"linger.ms\")" % (i + 1))
    name = "al_%d" % (i + 1)
    arrived(con, name, "al_changes")
    expect("every id once", ids(broker, "altered"), list(range(at)))
    expect("what a renamed sink calls itself", {json.loads(r.value)["source"]["name"] for r in broker.read("altered_dbz") if r.value}, {"al_dbz"})
    con.execute("ALTER SINK %s SET (\"bootstrap.servers\" = '127.0.0.1:%d')" % (name, harness.free_port()))
    con.execute("INSERT INTO al VALUES (%d)" % at)
    until("other brokers are asked", lambda: status(con, name, "state, sqlstate") == ("retrying", "08006"))
    con.execute("ALTER SINK %s SET (\"bootstrap.servers\" = '%s')" % (name, broker.bootstrap))
    arrived(con, name)
    expect("every id once, after others were asked", ids(broker, "altered"), list(range(at + 1)))
    con.execute("DROP SINK %s, al_changes" % name)
    con.execute("DROP STREAM al CASCADE")
    return con


def at_least_once(broker, server, con):
    """Without transactions: over kills and a broker that is away nothing is lost, what comes again comes in the same order."""
    options = {"delivery": "at_least_once", "message.timeout.ms": "5000"}
    broker.create_topic("least", 3)
    broker.create_topic("least_counts", 2)
    con.execute("CREATE STREAM le (id int, g int)")
    con.execute("CREATE TABLE lt (g int PRIMARY KEY)")
    con.execute("INSERT INTO lt SELECT i FROM generate_series(0, 30) i")
    con.execute("CREATE MATERIALIZED VIEW least_counts AS SELECT g, count(*) AS n, max(id) AS last FROM le JOIN lt USING (g) GROUP BY g")
    con.execute(sink(broker, "least", "FROM le", "least", **options))
    con.execute(sink(broker, "least_counts_out", "FROM least_counts", "least_counts", **options))
    rng, at = random.Random(11), 0
    for kill in range(3 if harness.SMALL else 6):
        for _ in range(rng.randrange(10, 40)):
            count = rng.randrange(1, 300)
            con.execute("INSERT INTO le SELECT i, i %% 31 FROM generate_series(%d, %d) i" % (at, at + count - 1))
            at += count
            what, g = rng.randrange(12), rng.randrange(31)
            if what == 0:
                con.execute("CHECKPOINT")
            elif what < 4:  # tombstones, and keys that come back
                con.execute("DELETE FROM lt WHERE g = %d" % g if what == 1 else "INSERT INTO lt VALUES (%d) ON CONFLICT DO NOTHING" % g)
        until("the sinks write", lambda: status(con, "least", "transactions") > 0 and status(con, "least_counts_out", "transactions") > 0)
        if kill % 3 == 1:  # while they write; and the server goes while it is away
            con.execute("INSERT INTO le SELECT i, i %% 31 FROM generate_series(%d, %d) i" % (at, at + 9999))
            at += 10000
            broker.stop(signal.SIGKILL)
            con.execute("DELETE FROM lt WHERE g % 4 = 1")
            until("they say that the broker is away", lambda: status(con, "least", "state, sqlstate") == ("retrying", "08006"))
        if kill % 3 != 2:
            harness.restart_millrace(server, signal.SIGKILL)
            con = connect(server)
        else:
            con.execute("INSERT INTO le SELECT i, i %% 31 FROM generate_series(%d, %d) i" % (at, at + 9999))
            at += 10000
            broker.stop()
        if kill % 3 != 0:
            con.execute("INSERT INTO lt SELECT i FROM generate_series(1, 30, 4) i ON CONFLICT DO NOTHING")
            broker.start()
    arrived(con, "least", "least_counts_out")
    found = ids(broker, "least")
    expect("ids that are missing", sorted(set(range(at)) - set(found)), [])
    expect("ids that nobody has written", sorted(set(found) - set(range(at))), [])
    same("the fold", con, "SELECT * FROM least_counts", broker.read("least_counts"), ["g"], duplicates=True)
    if broker.real:  # an offset that is no record is the mark of a transaction
        expect("transactions", sum(high - low for low, high in broker.ends("least").values()) - len(found), 0)
    con.execute("DROP SINK least, least_counts_out")
    con.execute("DROP STREAM le CASCADE")
    con.execute("DROP TABLE lt")
    return con


def without_permission(broker, server, con):
    """A user who may use no transactions."""
    if not broker.real:
        kafka_support.left_out("users without permission for transactions")
        return
    with broker.denied_transactions():
        broker.create_topic("np_least", 1)
        broker.create_topic("np_once", 1)
        con.execute("CREATE TABLE np (k int PRIMARY KEY)")
        con.execute("INSERT INTO np SELECT i FROM generate_series(1, 100) i")
        con.execute(sink(broker, "np_least", "FROM np", "np_least", delivery="at_least_once"))
        con.execute(sink(broker, "np_once", "FROM np", "np_once"))
        arrived(con, "np_least")
        con.execute("DELETE FROM np WHERE k > 50")
        arrived(con, "np_least")
        same("a user without permission for transactions", con, "SELECT * FROM np", broker.read("np_least"), ["k"], duplicates=True)
        until("who wants them is told", lambda: status(con, "np_once", "state, sqlstate") == ("retrying", "42501"))
        con.execute("DROP SINK np_least, np_once")
        con.execute("DROP TABLE np")


def large(broker, server, con):
    """First contents, and a tick, that are more than one transaction: cut, and killed in between."""
    rows = 150000 if harness.SMALL else 400000
    broker.create_topic("large", 2 if broker.real else 32)  # a mock partition has room for 5 MB
    con.execute("CREATE TABLE big (k int PRIMARY KEY, v text)")
    con.execute("INSERT INTO big SELECT i, 'a text that is a bit longer than most ' || i FROM generate_series(1, %d) i" % rows)
    con.execute(sink(broker, "large", "FROM big", "large"))
    until("a part is written", lambda: status(con, "large", "transactions") > 0)
    harness.restart_millrace(server, signal.SIGKILL)
    con = connect(server)
    arrived(con, "large")
    expect("first contents", once(broker, [json.loads(r.key)["k"] for r in broker.read("large")]), list(range(1, rows + 1)))
    con.execute("DELETE FROM big WHERE k % 2 = 0")
    con.execute("UPDATE big SET v = 'changed'")
    until("a part is written", lambda: status(con, "large", "transactions") > 0)
    harness.restart_millrace(server, signal.SIGKILL)
    con = connect(server)
    arrived(con, "large")
    records = broker.read("large")
    if broker.real:
        expect("records", len(records), rows * 2)
    expect("the fold", {json.loads(k)["k"]: v["v"] for k, v in fold(records).items()}, {k: "changed" for k in range(1, rows + 1, 2)})
    con.execute("DROP SINK large")
    con.execute("DROP TABLE big")
    return con


def outages(broker, server, con):
    """A broker that is away for long, one that does not answer for longer than a transaction may last, a topic that is not there: the
    sink waits, nothing else does."""
    broker.create_topic("away", 1)
    con.execute("CREATE TABLE aw (k int PRIMARY KEY, v int)")
    con.execute(sink(broker, "away", "FROM aw", "away", **{"transaction.timeout.ms": "2000", "message.timeout.ms": "2000"}))
    con.execute(sink(broker, "nowhere", "FROM aw", "no_such_topic"))
    con.execute("INSERT INTO aw SELECT i, 0 FROM generate_series(1, 1000) i")
    arrived(con, "away")
    if broker.real:
        until("a topic that is not there is named", lambda: status(con, "nowhere", "state, sqlstate") == ("retrying", "42P01"))
    expect("and its rows wait", status(con, "nowhere", "rows_behind") > 0 or not broker.real, True)
    broker.stop()
    for i in range(1, 30):
        con.execute("UPDATE aw SET v = v + 1 WHERE k % 3 = 0")
    until("it says that the broker is away", lambda: status(con, "away", "state, sqlstate") == ("retrying", "08006"))
    expect("what waits", status(con, "away", "rows_behind"), 29 * 333)
    broker.start()
    arrived(con, "away")
    if broker.real:
        os.kill(broker.pid, signal.SIGSTOP)
        con.execute("UPDATE aw SET v = v + 1")
        until("the transaction takes too long", lambda: status(con, "away", "state") == "retrying")
        con.execute("UPDATE aw SET v = v + 1")
        os.kill(broker.pid, signal.SIGCONT)
        arrived(con, "away")
    else:
        kafka_support.left_out("transactions that take too long")
        con.execute("UPDATE aw SET v = v + 2")
        arrived(con, "away")
    same("after outages", con, "SELECT * FROM aw", broker.read("away"), ["k"])
    if broker.real:
        expect("each change once", len(broker.read("away")), 1000 + 29 * 333 + 2 * 1000)
        broker.create_topic("no_such_topic", 1)
        con.execute("DELETE FROM aw WHERE k > 10")
        arrived(con, "nowhere")
        same("a topic that came later", con, "SELECT * FROM aw", broker.read("no_such_topic"), ["k"])
    con.execute("DROP SINK away, nowhere")
    con.execute("DROP TABLE aw")


def takeovers(broker, server, con):
    """A second server on a copy of the data directory, a progress that is gone, a directory from an earlier time: named, not guessed."""
    if not broker.real:
        kafka_support.left_out("takeovers of a sink")
        return
    import confluent_kafka
    broker.create_topic("taken", 1)
    con.execute("CREATE STREAM tk (id int)")
    con.execute(sink(broker, "taken", "FROM tk", "taken", identity="taken-1"))
    con.execute("INSERT INTO tk VALUES (1)")
    arrived(con, "taken")
    other = confluent_kafka.Producer(broker.client_config(transactional_id="taken-1"))
    other.init_transactions(60)
    con.execute("INSERT INTO tk VALUES (2)")
    until("who is shut out stops", lambda: status(con, "taken", "state, sqlstate") == ("failed", "55000"))
    expect("and says why", "taken-1" in status(con, "taken", "last_error"), True)
    con.execute("INSERT INTO tk VALUES (3)")
    con.execute("ALTER SINK taken SET (paused = false)")
    arrived(con, "taken")
    expect("every id once", ids(broker, "taken"), [1, 2, 3])
    with harness.temp_dir() as base:
        con.execute("BACKUP TO '%s/backup'" % base)
        con.execute("INSERT INTO tk VALUES (4)")
        arrived(con, "taken")
        con.execute("ALTER SINK taken SET (paused = true)")
        until("it is paused", lambda: status(con, "taken", "state") == "paused")
        copy = harness.start_millrace(BINARY, base + "/backup", *OPTIONS)
        try:
            until("the topic is ahead", lambda: status(connect(copy), "taken", "state, sqlstate") == ("failed", "55000"))
            expect("and that is said", "ahead" in status(connect(copy), "taken", "last_error"), True)
        finally:
            copy.stop()
    broker.delete_topic("millrace_progress")
    con.execute("INSERT INTO tk VALUES (5)")
    con.execute("ALTER SINK taken SET (paused = false)")
    until("progress is gone", lambda: status(con, "taken", "state, sqlstate") == ("failed", "55000"))
    expect("and that is said", "gone" in status(con, "taken", "last_error"), True)
    expect("nothing is written", ids(broker, "taken"), [1, 2, 3, 4])
    con.execute("DROP SINK taken")
    con.execute("DROP STREAM tk")


def doubts(broker, server, con):
    """What a broker has left in doubt, made by hand under the sink's transactional.id: of the group that its note speaks of, one partition
    was committed, the other aborted; then neither; then a transaction that does not end."""
    if not broker.real:
        kafka_support.left_out("transactions that are in doubt")
        return
    import confluent_kafka
    keys = 40
    for topic in ("halves", "like_halves"):
        broker.create_topic(topic, 2)
    con.execute("CREATE TABLE hv (k int PRIMARY KEY, v text)")
    con.execute("INSERT INTO hv SELECT i, 'first' FROM generate_series(1, %d) i" % keys)
    con.execute(sink(broker, "halves", "FROM hv", "halves", identity="halves-1"))
    con.execute(sink(broker, "like_halves", "FROM hv", "like_halves"))
    arrived(con, "halves", "like_halves")

    def note():
        return json.loads([r.value for r in broker.read("millrace_progress", isolation_level="read_uncommitted") if r.key == b"halves-1"][-1])

    def in_doubt(value, is_committed):
        """The sink sleeps while what it would write is written for it: records of the partitions in one transaction each."""
        con.execute("ALTER SINK halves SET (paused = true)")
        until("it is paused", lambda: status(con, "halves", "state") == "paused")
        con.execute("UPDATE hv SET v = '%s'" % value)
        arrived(con, "like_halves")
        before, rows = note(), status(con, "halves", "rows_behind")
        producer = confluent_kafka.Producer(broker.client_config(transactional_id="halves-1"))
        producer.init_transactions(60)
        last = [None, None]
        for partition in sorted((0, 1), key=lambda partition: is_committed[partition]):  # the note goes with what is committed
            producer.begin_transaction()
            for record in broker.read("like_halves"):
                if record.partition == partition and value.encode() in record.value:
                    producer.produce("halves", record.value, record.key, partition,
                                     on_delivery=lambda _, message: last.__setitem__(message.partition(), message.offset()))
            producer.flush(60)
            if is_committed[partition]:
                to = {"format": 2, "epoch": before["epoch"] + 1, "rows": before["rows"] + rows, "from": [before["epoch"], before["rows"]],
                      "partitions": 2, "last": [[0, last[0]], [1, last[1]]], "done": []}
                producer.produce("millrace_progress", json.dumps(to).encode(), b"halves-1")
                producer.commit_transaction(60)
            else:
                producer.abort_transaction(60)
        if not any(is_committed):
            producer.begin_transaction()
            to = {"format": 2, "epoch": before["epoch"] + 1, "rows": before["rows"] + rows, "from": [before["epoch"], before["rows"]],
                  "partitions": 2, "last": [[0, last[0]], [1, last[1]]], "done": []}
            producer.produce("millrace_progress", json.dumps(to).encode(), b"halves-1")
            producer.commit_transaction(60)
        con.execute("ALTER SINK halves SET (paused = false)")
        arrived(con, "halves")

    changes = 1
    for value, is_committed in (("second", (True, False)), ("third", (False, True)), ("fourth", (False, False)), ("fifth", (True, False))):
        in_doubt(value, is_committed)
        if value == "fifth":  # what is written after that is judged as ever, also by the next server
            harness.restart_millrace(server, signal.SIGKILL)
            con = connect(server)
            arrived(con, "halves")
        changes += 1
        records = broker.read("halves")
        expect("each change once, %s" % value, sorted((json.loads(r.key)["k"], json.loads(r.value)["v"]) for r in records),
               sorted((k, v) for k in range(1, keys + 1) for v in ("first", "second", "third", "fourth", "fifth")[:changes]))
        same("the fold", con, "SELECT * FROM hv", records, ["k"])
    con.execute("ALTER SINK halves SET (paused = true)")
    until("it is paused", lambda: status(con, "halves", "state") == "paused")
    con.execute("UPDATE hv SET v = 'sixth' WHERE k <= 10")
    other = confluent_kafka.Producer(broker.client_config(transactional_id="another", transaction_timeout_ms=600000))
    other.init_transactions(60)
    other.begin_transaction()
    other.produce("halves", b"{}", b"{}", 1)
    other.flush(60)
    con.execute("ALTER SINK halves SET (paused = false)")
    until("it says what it waits for", lambda: status(con, "halves", "state, sqlstate") == ("retrying", "55006"))
    other.abort_transaction(60)
    arrived(con, "halves")
    expect("each change once, behind another's", len(broker.read("halves")), 5 * keys + 10)
    con.execute("DROP SINK halves")
    con.execute("DROP SINK like_halves")
    con.execute("DROP TABLE hv")
    return con


def memory(broker, server, con):
    """The broker is away while more comes than fits into memory."""
    rows, rounds = 200000, 2 if harness.SMALL else 5
    broker.create_topic("spilled", 4 if broker.real else 64)
    with harness.millrace(BINARY, "--memory-limit", "2GB" if harness.SMALL else "256MB", "--checkpoint-interval", "0", *OPTIONS) as limited:
        con = connect(limited)
        con.execute("CREATE STREAM sp (id int, t text)")
        con.execute(sink(broker, "spilled", "AS SELECT id, t FROM sp", "spilled"))
        con.execute("INSERT INTO sp VALUES (0, '')")
        arrived(con, "spilled")
        broker.stop()
        for i in range(rounds):
            con.execute("INSERT INTO sp SELECT i, repeat('x', 100) || i FROM generate_series(%d, %d) i" % (i * rows + 1, (i + 1) * rows))
        expect("what waits", status(con, "spilled", "rows_behind"), rows * rounds)
        con.execute("CHECKPOINT")
        harness.restart_millrace(limited, signal.SIGKILL)
        con = connect(limited)
        expect("what waits after a restart", status(con, "spilled", "rows_behind"), rows * rounds)
        broker.start()
        arrived(con, "spilled")
        expect("and the memory it took", status(con, "spilled", "bytes_behind"), 0)
        reader, count, total = broker.reader("spilled"), 0, 0
        for record in reader.more():
            count += 1
            total += json.loads(record.value)["id"]
        reader.close()
        expect("every row once", (count, total), (rows * rounds + 1, rows * rounds * (rows * rounds + 1) // 2))


TESTS = [changes, definitions, envelopes, altered, kills, at_least_once, without_permission, large, outages, takeovers, doubts, memory]


def main():
    tests = chosen(TESTS, OPTIONS)
    with kafka_support.cluster(BINARY, properties=kafka_support.AUTHORIZED) as broker, harness.millrace(BINARY, "--checkpoint-interval", "0", *OPTIONS) as server:
        con = connect(server)
        if not broker.real:
            kafka_support.left_out("each row once after kills")
            broker.create_topic("millrace_progress", 1)  # the mock cannot be asked to make topics
        for test in tests:
            con = test(broker, server, con) or con
            print(test.__name__, "ok", flush=True)


main()
