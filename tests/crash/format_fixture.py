"""format_fixture.py: what the data directories in tests/data hold, and the questions asked about them. Only ever extended: directories that exist were
written with what was here then; `python3 format_fixture.py MILLRACE OUT [all|columns]` writes another, with `all` one that has sources, sinks and whatever else can be
defined (format-N-all), with `columns` one whose relations got columns while they had rows (format-N-columns)."""

import json
import os
import sys
import tarfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kafka"))
import checks  # noqa: E402
import harness  # noqa: E402
import kafka_support  # noqa: E402

STATEMENTS = [
    "CREATE SCHEMA shop",
    "CREATE SEQUENCE shop.numbers START 100",
    "CREATE TABLE shop.item (id int PRIMARY KEY, kind text NOT NULL DEFAULT 'none', price numeric(10,2) CHECK (price > 0), added date, tags text[])",
    "CREATE TABLE part (id int GENERATED ALWAYS AS IDENTITY, item int, amount float8, note varchar(20), UNIQUE (item, note))",
    "CREATE TABLE plain (a int, b text)",
    "CREATE STREAM event (id bigint, item int, at timestamp, what text, WATERMARK FOR at AS at - INTERVAL '10 minutes')",
    "CREATE STREAM passing (k int, v int) WITH (retention = '0')",
    "CREATE INDEX part_item ON part (item)",
    "COMMENT ON TABLE shop.item IS 'things to sell'",
    "INSERT INTO shop.item SELECT g, 'kind ' || g % 4, g * 1.25, date '2026-01-01' + g, ARRAY['a' || g, NULL] FROM generate_series(1, 40) g",
    "INSERT INTO part (item, amount, note) SELECT g % 40, g / 3.0, 'note ' || g FROM generate_series(1, 90) g",
    "INSERT INTO plain VALUES (1, 'x'), (1, 'x'), (2, NULL)",
    "INSERT INTO event SELECT g, g % 40, timestamp '2026-03-01' + g * interval '7 minutes', 'w' || g % 5 FROM generate_series(1, 200) g",
    "CREATE VIEW dear AS SELECT id, price FROM shop.item WHERE price > 20",
    "CREATE MATERIALIZED VIEW by_kind AS SELECT kind, count(*) AS n, sum(price) AS s, min(added) AS first FROM shop.item GROUP BY kind",
    "CREATE MATERIALIZED VIEW joined AS SELECT i.id, i.kind, p.amount, p.note FROM shop.item i LEFT JOIN part p ON p.item = i.id",
    "CREATE MATERIALIZED VIEW top AS SELECT id, price FROM dear ORDER BY price DESC LIMIT 5",
    "CREATE MATERIALIZED VIEW hourly AS SELECT window_start, what, count(*) AS n FROM"
    " tumble(event, at, INTERVAL '1 hour') GROUP BY window_start, what EMIT FINAL",
    "CREATE MATERIALIZED VIEW seen AS SELECT k, sum(v) AS s FROM passing GROUP BY k",
    "CREATE MATERIALIZED VIEW ranked AS SELECT id, row_number() OVER (PARTITION BY item ORDER BY amount DESC) AS r FROM part",
    "INSERT INTO passing SELECT g % 7, g FROM generate_series(1, 50) g",
    "UPDATE shop.item SET price = price + 1 WHERE id % 3 = 0",
    "DELETE FROM part WHERE id % 11 = 0",
    "INSERT INTO event VALUES (201, 3, timestamp '2026-03-02 09:00', 'late'), (202, 3, timestamp '2026-03-01 00:10', 'too late')",
    "SELECT nextval('shop.numbers') FROM generate_series(1, 5)",
    "INSERT INTO plain VALUES (3, E'tab\\there')",
    "ALTER TABLE plain RENAME COLUMN b TO c",
]

# go on after what has been written
MORE = [
    "INSERT INTO shop.item VALUES (41, 'kind 1', 99, '2026-05-01', '{}')",
    "DELETE FROM shop.item WHERE id = 7",
    "UPDATE part SET amount = amount * 2 WHERE item = 5",
    "INSERT INTO part (item, amount, note) VALUES (41, 5, 'new')",
    "INSERT INTO event VALUES (203, 4, timestamp '2026-03-02 12:00', 'w1'), (204, 4, timestamp '2026-03-02 15:00', 'w2')",
    "INSERT INTO passing VALUES (1, 1000)",
]

QUESTIONS = {
    "item": "SELECT * FROM shop.item",
    "part": "SELECT * FROM part",
    "plain": "SELECT * FROM plain",
    "event": "SELECT * FROM event",
    "dear": "SELECT * FROM dear",
    "by_kind": "SELECT * FROM by_kind",
    "joined": "SELECT * FROM joined",
    "top": "SELECT * FROM top",
    "hourly": "SELECT * FROM hourly",
    "seen": "SELECT * FROM seen",
    "ranked": "SELECT * FROM ranked",
    "watermarks": "SELECT relation, watermark, greatest FROM millrace.watermarks",
    "comment": "SELECT obj_description('shop.item'::regclass)",
    "indexes": "SELECT indexname FROM pg_indexes WHERE schemaname IN ('public', 'shop')",
}

# views that are the same as a query over what there is
SAME = {
    "by_kind": "SELECT kind, count(*) AS n, sum(price) AS s, min(added) AS first FROM shop.item GROUP BY kind",
    "joined": "SELECT i.id, i.kind, p.amount, p.note FROM shop.item i LEFT JOIN part p ON p.item = i.id",
    "top": "SELECT id, price FROM shop.item WHERE price > 20 ORDER BY price DESC LIMIT 5",
    "ranked": "SELECT id, row_number() OVER (PARTITION BY item ORDER BY amount DESC) AS r FROM part",
}


# ---- whatever can be defined ----

SECRET_KEY = "00112233445566778899aabbccddeeff" * 2
KAFKA = "connector = 'kafka', \"bootstrap.servers\" = SECRET broker, format = 'json'"

ALL_STATEMENTS = [
    "CREATE TABLE kinds (a boolean, b smallint, c int, d bigint, e real, f float8, g numeric, h text, i varchar(5), j char(4), k bytea, l date, m time,"
    " n timestamp, o timestamptz, p interval, q uuid, r json, s jsonb, t int[], u text[], v numeric(12,3) DEFAULT 7, w int GENERATED ALWAYS AS (c * 2) STORED)",
    "INSERT INTO kinds VALUES (true, 1, 2, 3, 4.5, 5.25, 6.125, 'text', 'abc', 'ch', '\\x00ff', '2026-02-03', '04:05:06.7', '2026-02-03 04:05:06',"
    " '2026-02-03 04:05:06+00', '1 mon 2 days 03:04:05', '00112233-4455-6677-8899-aabbccddeeff', '{\"a\": [1, null]}', '{\"b\": 1.50}', '{1,NULL,3}', '{x,\"y z\"}')",
    "INSERT INTO kinds (c, e, f, g) VALUES (NULL, 'NaN', '-Infinity', 'NaN'), (5, NULL, NULL, 1e30)",
    "CREATE STREAM clicks (id int, who int, at timestamp, v int, WATERMARK FOR at AS at - INTERVAL '5 seconds')",
    "CREATE STREAM buys (id int, who int, at timestamp, v int, WATERMARK FOR at AS at)",
    "CREATE STREAM recent (n int) WITH (retention_rows = '100')",
    "CREATE TABLE prices (who int, at timestamp, price numeric(8,2), PRIMARY KEY (who, at))",
    "CREATE TABLE people (id int PRIMARY KEY, name text, boss int)",
    "INSERT INTO people SELECT g, 'person ' || g, nullif(g / 3, 0) FROM generate_series(1, 30) g",
    "INSERT INTO prices SELECT g % 10, timestamp '2026-01-01' + g * interval '1 minute', g * 1.5 FROM generate_series(1, 60) g",
    "CREATE MATERIALIZED VIEW hopped AS SELECT window_start, who, count(*) AS n, sum(v) AS s FROM hop(clicks, at, INTERVAL '5 minutes', INTERVAL '10 minutes')"
    " GROUP BY window_start, who",
    "CREATE MATERIALIZED VIEW corrected WITH (late = 'correct') AS SELECT window_end, count(*) AS n FROM tumble(clicks, at, INTERVAL '10 minutes') GROUP BY window_end",
    "CREATE MATERIALIZED VIEW sessions AS SELECT who, window_start, window_end, count(*) AS n, max(v) AS top FROM session(clicks, at, INTERVAL '3 minutes', who)"
    " GROUP BY who, window_start, window_end",
    "CREATE MATERIALIZED VIEW met AS SELECT c.id, b.id AS bought FROM clicks c LEFT JOIN buys b ON b.who = c.who AND b.at BETWEEN c.at AND c.at + INTERVAL '2 minutes'",
    "CREATE MATERIALIZED VIEW priced AS SELECT c.id, p.price FROM clicks c ASOF LEFT JOIN prices p ON c.who = p.who AND c.at >= p.at",
    "CREATE MATERIALIZED VIEW named AS SELECT c.id, p.name FROM clicks c JOIN people FOR SYSTEM_TIME AS OF now() AS p ON p.id = c.who",
    "CREATE MATERIALIZED VIEW steps AS SELECT id, v - lag(v, 2) OVER w AS step, sum(v) OVER w AS total, row_number() OVER w AS r FROM clicks"
    " WINDOW w AS (PARTITION BY who ORDER BY at)",
    "CREATE MATERIALIZED VIEW newest AS SELECT who, id, v FROM (SELECT *, row_number() OVER (PARTITION BY who ORDER BY at DESC) AS r FROM clicks) x WHERE r <= 2",
    "CREATE MATERIALIZED VIEW bosses AS SELECT p.id, b.name FROM people p FULL JOIN people b ON b.id = p.boss",
    "CREATE MATERIALIZED VIEW lonely AS SELECT id FROM people p WHERE NOT EXISTS (SELECT FROM clicks c WHERE c.who = p.id) AND id NOT IN (SELECT who FROM prices)",
    "CREATE MATERIALIZED VIEW sums AS SELECT boss, count(DISTINCT name) AS n, string_agg(name, ', ' ORDER BY id) AS names, min(name), max(name), array_agg(id ORDER BY id) AS ids,"
    " avg(id) AS a, stddev(id) AS d, bool_and(id > 3) AS b, percentile_cont(0.5) WITHIN GROUP (ORDER BY id) AS m FROM people GROUP BY boss HAVING count(*) > 1",
    "CREATE MATERIALIZED VIEW cube AS SELECT who, v % 3 AS m, count(*) AS n FROM clicks GROUP BY GROUPING SETS ((who), (v % 3), ())",
    "CREATE MATERIALIZED VIEW mixed AS SELECT id FROM people EXCEPT SELECT who FROM buys UNION ALL SELECT DISTINCT who FROM clicks",
    "CREATE MATERIALIZED VIEW last_numbers AS SELECT count(*) AS n, max(n) AS top FROM recent",
    "CREATE INDEX sums_boss ON sums (boss, n)",
    "CREATE UNIQUE INDEX people_name ON people (name)",
    "CREATE MATERIALIZED VIEW small WITH (memory_limit = '1GB') AS SELECT boss, count(*) AS n FROM people GROUP BY boss",
    "CREATE SOURCE bid (auction bigint, price bigint, date_time timestamp) WITH (connector = 'generator', events = '2000', seed = '7')",
    "CREATE MATERIALIZED VIEW bids AS SELECT auction, count(*) AS n, max(price) AS top FROM bid GROUP BY auction",
    "CREATE SECRET password AS 'a ''quoted'' word'",
    "CREATE EXTERNAL TABLE away (id int PRIMARY KEY, name text) WITH (connector = 'redis', host = '127.0.0.1', port = '1', password = SECRET password)",
    "CREATE MATERIALIZED VIEW waiting AS SELECT c.id, a.name FROM clicks c LEFT JOIN away FOR SYSTEM_TIME AS OF now() AS a ON a.id = c.who",
    "CREATE STREAM orders (id bigint, customer int, amount numeric(10,2), ts timestamp, part int OPTIONS (metadata 'partition'), place bigint OPTIONS (metadata 'offset'),"
    " name text OPTIONS (path 'who.name'), WATERMARK FOR ts AS ts - INTERVAL '1 minute') WITH (%s, topic = 'orders')" % KAFKA,
    "CREATE TABLE customers (id int PRIMARY KEY, name text) WITH (%s, topic = 'customers')" % KAFKA,
    "CREATE MATERIALIZED VIEW revenue AS SELECT c.name, count(*) AS n, sum(o.amount) AS s FROM orders o LEFT JOIN customers c ON c.id = o.customer GROUP BY c.name",
    "CREATE MATERIALIZED VIEW per_minute AS SELECT window_start, count(*) AS n FROM tumble(orders, ts, INTERVAL '1 minute') GROUP BY window_start EMIT FINAL",
    "CREATE SINK revenue_out FROM revenue WITH (%s, topic = 'revenue', key = 'name', paused = 'true')" % KAFKA,
    "CREATE SINK minutes_out AS SELECT window_start, n FROM per_minute WITH (%s, topic = 'minutes', delivery = 'at_least_once', paused = 'true')" % KAFKA,
]

# in the middle of which there are a snapshot and checkpoints
ALL_CHANGES = [
    "INSERT INTO clicks SELECT g, g % 12, timestamp '2026-01-01' + g * interval '20 seconds', g * 7 % 50 FROM generate_series(1, 150) g",
    "INSERT INTO buys SELECT g, g % 12, timestamp '2026-01-01' + g * interval '33 seconds', g FROM generate_series(1, 80) g",
    "INSERT INTO recent SELECT generate_series(1, 500)",
    "CREATE SNAPSHOT first_one",
    "UPDATE people SET boss = 1 WHERE id % 7 = 0",
    "DELETE FROM prices WHERE price < 20",
    "INSERT INTO clicks VALUES (200, 3, timestamp '2026-01-01 00:00:01', 5)",
    "CHECKPOINT",
    "INSERT INTO clicks SELECT g, g % 9, timestamp '2026-01-01 01:00' + g * interval '25 seconds', g * 11 % 50 FROM generate_series(300, 380) g",
    "CREATE SNAPSHOT second_one",
    "INSERT INTO recent SELECT generate_series(501, 600)",
    "DELETE FROM people WHERE id > 28",
    "INSERT INTO people VALUES (31, 'somebody', 2)",
]

ALL_MORE = [
    "INSERT INTO clicks VALUES (390, 2, timestamp '2026-01-01 03:39', 9)",  # into a session that is open, behind rows that are forgotten
    "INSERT INTO clicks SELECT g, g % 9, timestamp '2026-01-01 05:00' + g * interval '25 seconds', g FROM generate_series(400, 450) g",
    "INSERT INTO buys SELECT g, g % 9, timestamp '2026-01-01 05:00' + g * interval '25 seconds', g FROM generate_series(400, 450) g",
    "UPDATE people SET name = upper(name), boss = NULL WHERE id IN (1, 5, 31)",
    "INSERT INTO orders (id, customer, amount, ts) VALUES (1000, 2, 5, timestamp '2026-03-01 10:00')",
    "DELETE FROM orders_errors WHERE partition = 0",
    "INSERT INTO recent VALUES (1001)",
]

ALL_QUESTIONS = {name: "SELECT * FROM " + name for name in (
    "kinds clicks buys recent prices people hopped corrected sessions met priced named steps newest bosses lonely sums cube mixed last_numbers small bids waiting"
    " orders customers revenue per_minute").split()}
ALL_QUESTIONS.update({
    "late": "SELECT * FROM late_rows('hopped')",
    "progress": "SELECT * FROM orders_progress",
    "customers_progress": "SELECT * FROM customers_progress",
    "errors": "SELECT partition, \"offset\", key, value, sqlstate FROM orders_errors",
    "all_watermarks": "SELECT relation, watermark, greatest FROM millrace.watermarks",
    "all_indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "snapshots": "SELECT name FROM millrace.snapshots",
    "secrets": "SELECT name, used_by FROM millrace.secrets",
    "sinks": "SELECT name, state, rows_behind FROM millrace.sinks",
    "waits": "SELECT name, waiting_rows FROM millrace.external_tables",
})

ALL_SAME = {
    "bosses": "SELECT p.id, b.name FROM people p FULL JOIN people b ON b.id = p.boss",
    "priced": "SELECT c.id, (SELECT p.price FROM prices p WHERE p.who = c.who AND p.at <= c.at ORDER BY p.at DESC LIMIT 1) FROM clicks c",
    "lonely": "SELECT id FROM people p WHERE NOT EXISTS (SELECT FROM clicks c WHERE c.who = p.id) AND id NOT IN (SELECT who FROM prices)",
    "cube": "SELECT who, v % 3 AS m, count(*) AS n FROM clicks GROUP BY GROUPING SETS ((who), (v % 3), ())",
    "mixed": "SELECT id FROM people EXCEPT SELECT who FROM buys UNION ALL SELECT DISTINCT who FROM clicks",
    "revenue": "SELECT c.name, count(*) AS n, sum(o.amount) AS s FROM orders o LEFT JOIN customers c ON c.id = o.customer GROUP BY c.name",
}

# what that row has met: of state that no other view or row tells of
ALL_MET = {
    "SELECT window_start, n, top FROM sessions WHERE who = 2 AND window_end > timestamp '2026-01-01 03:39' AND window_start < timestamp '2026-01-01 04:00'":
        "SELECT timestamp '2026-01-01 03:38:20', 2, 30",
    "SELECT step, total, r FROM steps WHERE id = 390":
        "SELECT 9 - (SELECT v FROM clicks WHERE who = 2 AND at < timestamp '2026-01-01 03:39' ORDER BY at DESC LIMIT 1 OFFSET 1), sum(v), count(*)"
        " FROM clicks WHERE who = 2 AND at <= timestamp '2026-01-01 03:39'",
}


# ---- columns that came later ----

LONG = "a default of more than a page, " * 200

# Each has rows from before its columns, in a checkpoint and in the log; between two ALTERs, in both; and behind the last, in the log.
COLUMNS_STATEMENTS = [
    "CREATE TABLE keyed (id int PRIMARY KEY, v int, name text)",
    "CREATE TABLE loose (v int, name text)",
    "CREATE STREAM seen (id int, at timestamp, v int, WATERMARK FOR at AS at - INTERVAL '1 minute')",
    "CREATE STREAM passing (id int, v int) WITH (retention = '0')",
    "CREATE INDEX keyed_v ON keyed (v)",
    "CREATE VIEW plain AS SELECT * FROM keyed",
    "CREATE MATERIALIZED VIEW of_keyed AS SELECT * FROM plain WHERE v <> 3",
    "CREATE MATERIALIZED VIEW of_loose AS SELECT DISTINCT * FROM loose",
    "CREATE MATERIALIZED VIEW joined AS SELECT k.*, l.name AS other FROM keyed k JOIN loose l ON l.v = k.v",
    "CREATE MATERIALIZED VIEW minutes AS SELECT window_start, count(*) AS n, sum(v) AS s FROM tumble(seen, at, INTERVAL '1 minute') GROUP BY window_start",
    "CREATE MATERIALIZED VIEW passed AS SELECT count(*) AS n, sum(v) AS s FROM passing",
    "INSERT INTO keyed SELECT g, g % 9, 'name ' || g FROM generate_series(1, 60) g",
    "INSERT INTO loose SELECT g % 9, 'loose ' || g % 20 FROM generate_series(1, 60) g",
    "INSERT INTO seen SELECT g, timestamp '2026-04-01' + g * interval '7 seconds', g % 5 FROM generate_series(1, 80) g",
    "INSERT INTO passing SELECT g, g FROM generate_series(1, 10) g",
    "CHECKPOINT",
    "INSERT INTO keyed SELECT g, g % 9, 'name ' || g FROM generate_series(61, 70) g",
    "ALTER TABLE keyed ADD COLUMN big text NOT NULL DEFAULT '%s', ADD COLUMN n int DEFAULT 7" % LONG,
    "ALTER TABLE loose ADD COLUMN n numeric(10,2) DEFAULT 1.5",
    "ALTER TABLE seen ADD COLUMN what text DEFAULT 'of before'",
    "ALTER TABLE passing ADD COLUMN w int DEFAULT 100",
    "CREATE MATERIALIZED VIEW by_n AS SELECT n, count(*) AS c, sum(length(big)) AS l FROM keyed GROUP BY n",
    "CREATE MATERIALIZED VIEW all_loose AS SELECT * FROM loose",
    "CREATE MATERIALIZED VIEW by_what AS SELECT what, count(*) AS n FROM seen GROUP BY what",
    "CREATE MATERIALIZED VIEW passed_later AS SELECT sum(w) AS s FROM passing",
    "INSERT INTO keyed (id, v, name, n) SELECT g, g % 9, 'name ' || g, g FROM generate_series(71, 75) g",
    "UPDATE keyed SET n = n + id, big = 'short' WHERE id % 11 = 0",
    "INSERT INTO loose VALUES (1, 'loose 1', 2.25), (1, 'loose 1', DEFAULT), (1, 'loose 1', 1.5)",
    "DELETE FROM loose WHERE v = 2 AND name < 'loose 15'",
    "INSERT INTO seen VALUES (81, timestamp '2026-04-01 00:10', 1, 'a word'), (82, timestamp '2026-04-01 00:11', 2, NULL)",
    "INSERT INTO passing VALUES (11, 11, 1), (12, 12, DEFAULT)",
    "CHECKPOINT",
    "UPDATE keyed SET v = v + 1 WHERE id IN (2, 3, 4)",
    "INSERT INTO keyed (id, v, name) VALUES (76, 4, 'by its defaults')",
    "INSERT INTO loose VALUES (5, 'one more', 3)",
    "INSERT INTO seen VALUES (83, timestamp '2026-04-01 00:12', 3, 'in the log')",
    "ALTER TABLE keyed ALTER COLUMN n SET DEFAULT 8",  # of rows to come: what is there keeps its 7
    "ALTER TABLE keyed ADD COLUMN tags text[] DEFAULT '{a,NULL,\"b c\"}', ADD COLUMN nothing date",
    "ALTER TABLE loose ADD COLUMN late bool",
    "ALTER TABLE seen ADD COLUMN j jsonb DEFAULT '{\"k\": [1]}'",
    "INSERT INTO keyed VALUES (77, 5, 'with all', 'big', 9, '{x}', '2026-04-02')",
    "INSERT INTO keyed (id, v, name) VALUES (78, 6, 'by its defaults')",
    "UPDATE keyed SET nothing = '2026-04-03' WHERE id = 1",
    "INSERT INTO loose VALUES (6, 'with all', 4, true)",
    "INSERT INTO seen VALUES (84, timestamp '2026-04-01 00:13', 4, 'with all', '[]'), (85, timestamp '2026-04-01 00:01', 0, 'late', NULL)",
]

# by another session: it has begun before the last columns and ends behind them
COLUMNS_OPEN = ["INSERT INTO keyed (id, v, name) VALUES (80, 8, 'open')", "UPDATE keyed SET n = -1 WHERE id = 5", "INSERT INTO loose VALUES (7, 'open', 7)"]

COLUMNS_MORE = [
    "INSERT INTO keyed (id, v, name) VALUES (90, 1, 'more')",
    "UPDATE keyed SET v = v + 1, nothing = '2026-05-01' WHERE id % 2 = 0",
    "DELETE FROM loose WHERE v = 3",
    "DELETE FROM loose WHERE n = 1.5 AND v = 4",
    "INSERT INTO loose SELECT v, name FROM loose WHERE v = 5",
    "INSERT INTO seen VALUES (90, timestamp '2026-04-01 00:20', 9, DEFAULT, DEFAULT)",
    "INSERT INTO passing VALUES (20, 20)",
    "ALTER TABLE loose ADD COLUMN more int DEFAULT 3",
    "INSERT INTO loose VALUES (8, 'more')",
    "DELETE FROM loose WHERE v = 0",
]

COLUMNS_QUESTIONS = {name: "SELECT * FROM " + name for name in (
    "keyed loose seen plain of_keyed of_loose joined minutes passed by_n all_loose by_what passed_later").split()}
COLUMNS_QUESTIONS.update({
    "keyed": "SELECT id, v, name, md5(big), n, tags, nothing FROM keyed",
    "by_index": "SELECT id, n, tags FROM keyed WHERE v = 5",
    "late": "SELECT * FROM late_rows('minutes')",
    "columns": "SELECT table_name, ordinal_position, column_name, data_type, column_default, is_nullable FROM information_schema.columns WHERE table_schema = 'public'",
    "watermarks": "SELECT relation, watermark, greatest FROM millrace.watermarks",
})

COLUMNS_SAME = {
    "of_keyed": "SELECT id, v, name FROM keyed WHERE v <> 3",
    "of_loose": "SELECT DISTINCT v, name FROM loose",
    "joined": "SELECT k.id, k.v, k.name, l.name FROM keyed k JOIN loose l ON l.v = k.v",
    "by_n": "SELECT n, count(*), sum(length(big)) FROM keyed GROUP BY n",
    "all_loose": "SELECT v, name, n FROM loose",
    "by_what": "SELECT what, count(*) FROM seen GROUP BY what",
}


def produce(cluster):
    """Records, of which some are none."""
    Record = kafka_support.Record
    cluster.produce("customers", [Record(json.dumps({"id": n, "name": "customer %d" % n}), key=json.dumps({"id": n})) for n in range(1, 6)])
    for partition in range(2):
        cluster.produce("orders", [Record(checks.BAD if n % 13 == 0 else json.dumps(
            {"id": n, "customer": n % 7, "amount": n * 1.25, "ts": "2026-03-01 0%d:%02d:00" % (n // 30, n % 30), "who": {"name": "n%d" % n}}),
            key=str(n), partition=partition, timestamp=1772000000000 + n) for n in range(partition, 80, 2)])


def fill_all(con, cluster):
    for topic, partitions in (("orders", 2), ("customers", 1)):
        cluster.create_topic(topic, partitions)
    con.execute("CREATE SECRET broker AS '%s'" % cluster.bootstrap)
    produce(cluster)
    for statement in ALL_STATEMENTS:
        con.execute(statement)
    for sql in ("SELECT count(*) FROM orders HAVING count(*) = 73", "SELECT count(*) FROM orders_errors HAVING count(*) = 7",
                "SELECT count(*) FROM customers HAVING count(*) = 5", "SELECT sum(n) FROM bids HAVING sum(n) > 0 AND (SELECT bool_and(state = 'ended') FROM millrace.sources WHERE relation = 'bid')"):
        checks.until(sql, lambda sql=sql: con.execute(sql).fetchone())
    con.execute("ALTER STREAM orders SET (paused = true)")
    con.execute("ALTER TABLE customers SET (paused = true)")
    for statement in ALL_CHANGES:
        con.execute(statement)


def fill(con):
    """With a checkpoint on the way and ticks behind it, where there are checkpoints."""
    for statement in STATEMENTS:
        if statement.startswith("UPDATE"):
            con.execute("CHECKPOINT")
        con.execute(statement)


def fill_columns(con, other):
    for statement in COLUMNS_STATEMENTS:
        if "tags" in statement and statement.startswith("ALTER"):
            for sql in ["BEGIN", *COLUMNS_OPEN]:
                other.execute(sql)
        con.execute(statement)
    other.execute("COMMIT")


def more(con, kind):
    for statement in COLUMNS_MORE if kind == "columns" else MORE + (ALL_MORE if kind == "all" else []):
        con.execute(statement)
    for sql, same in ALL_MET.items() if kind == "all" else ():
        assert rows(con, sql) == rows(con, same), "%s: %s, not %s" % (sql, rows(con, sql), rows(con, same))


def rows(con, sql):
    """Sorted, values as texts."""
    return sorted(([None if value is None else str(value) for value in row] for row in con.execute(sql).fetchall()), key=repr)


def answers(con, kind):
    questions = COLUMNS_QUESTIONS if kind == "columns" else {**QUESTIONS, **(ALL_QUESTIONS if kind == "all" else {})}
    return {name: rows(con, sql) for name, sql in questions.items()}


def check_views(con, kind):
    for name, sql in (COLUMNS_SAME if kind == "columns" else {**SAME, **(ALL_SAME if kind == "all" else {})}).items():
        assert rows(con, "SELECT * FROM " + name) == rows(con, sql), name


def options(kind, directory):
    """Of the server; directory: in which its key is."""
    return ("--workers", "1") if kind == "" else ("--workers", "2") if kind == "columns" else ("--workers", "2", "--secret-key-file", write_key(directory))


def write_key(directory):
    path = os.path.join(directory, "secret.key")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
        f.write(SECRET_KEY)
    return path


def write(binary, out, kind):
    """The server is killed, so that log and WAL are as a crash leaves them. Nobody will be there where the broker was."""
    with harness.temp_dir() as base:
        data = os.path.join(base, "data")
        server = harness.start_millrace(binary, data, *options(kind, base))
        con, other = harness.connect_millrace(server), harness.connect_millrace(server)
        if kind == "all":
            cluster = kafka_support.MockCluster(base, os.path.join(os.path.dirname(os.path.abspath(binary)), "mock_cluster"))
            cluster.start()
            fill_all(con, cluster)
            cluster.end()
            con.execute("ALTER SECRET broker AS '127.0.0.1:1'")
        if kind == "columns":
            fill_columns(con, other)
        else:
            fill(con)
        check_views(con, kind)
        found = answers(con, kind)
        con.close()
        other.close()
        server.process.kill()
        server.process.wait()
        os.makedirs(out, exist_ok=True)
        with open(os.path.join(out, "answers.json"), "w") as f:
            f.write("{\n%s\n}\n" % ",\n".join("%s: %s" % (json.dumps(name), json.dumps(found[name], sort_keys=True)) for name in sorted(found)))
        with tarfile.open(os.path.join(out, "data.tar.xz"), "w:xz") as tar:
            for name in sorted(os.listdir(data)):
                tar.add(os.path.join(data, name), name)


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2], "".join(sys.argv[3:]))
