"""external_test.py MILLRACE [OPTIONS OF THE SERVER]: external tables in a real PostgreSQL and a real Redis: what rows of a stream find
there, how long answers are used, databases that stop and start again, and a server that is killed while rows wait. Every row comes
out once, with what the database said."""

import os
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

ROWS = 10000 if harness.SMALL else 100000
SECRET = "hush_hush_7"


def until(what, condition):
    """Waits until it holds; for as long as a slow machine may need."""
    deadline = time.monotonic() + 120
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("never happened: " + what)
        time.sleep(0.02)


def expect(what, found, expected):
    if found == expected:
        return
    if isinstance(found, list):
        missing, extra = list(expected), []
        for row in found:
            if row in missing:
                missing.remove(row)
            else:
                extra.append(row)
        raise SystemExit("%s: of %d rows missing: %s, too many: %s" % (what, len(expected), missing[:10], extra[:10]))
    raise SystemExit("%s: found %s, expected %s" % (what, found, expected))


def refused(con, sqlstate, sql):
    try:
        con.execute(sql)
    except Exception as error:
        expect(sql, error.sqlstate, sqlstate)
        if SECRET in str(error):
            raise SystemExit("a secret in an error: %s" % error)
        return
    raise SystemExit("not refused: " + sql)


def rows(con, sql):
    return sorted(map(str, con.execute(sql).fetchall()))


def status(con, table, column):
    return con.execute("SELECT %s FROM millrace.external_tables WHERE name = '%s'" % (column, table)).fetchone()[0]


def all_come(con, view, count):
    until("%d rows in %s" % (count, view), lambda: con.execute("SELECT count(*) FROM " + view).fetchone()[0] >= count)


class Redis:
    """As much of a client as the test needs."""

    def __init__(self, server, password):
        self.sock = socket.create_connection(("127.0.0.1", server.port))
        self.file = self.sock.makefile("rb")
        self.call("AUTH", password)

    def call(self, *words):
        self.sock.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w.encode()), w.encode()) for w in words))
        line = self.file.readline()
        if line[:1] == b"-":
            raise RuntimeError(line.decode())
        return line


class Test:
    def __init__(self, binary, options, path, postgres):
        self.binary, self.options, self.data = binary, options, os.path.join(path, "data")
        self.postgres = postgres
        self.server = harness.start_millrace(binary, self.data, *options)
        self.con = harness.connect_millrace(self.server)

    def kill_and_restart(self):
        self.con.close()
        self.server.stop(signal.SIGKILL)
        self.server = harness.start_millrace(self.binary, self.data, *self.options)
        self.con = harness.connect_millrace(self.server)

    def external(self, name, columns, options=""):
        self.con.execute("CREATE EXTERNAL TABLE %s (%s) WITH (connector = 'postgres', connection = 'host=127.0.0.1 port=%d user=postgres "
                         "dbname=postgres password=%s', retry_min = '10 milliseconds', retry_max = '50 milliseconds'%s)"
                         % (name, columns, self.postgres.port, SECRET, options))


def finds(t):
    """Inner and left, hit, miss, no such row, conditions, keys of several columns and of other types."""
    con = t.con
    with harness.connect_postgres(t.postgres) as pg:
        pg.execute("CREATE TABLE customers (id int PRIMARY KEY, name text, credit numeric(10,2), since timestamptz, tags text[])")
        pg.execute("INSERT INTO customers VALUES (1, 'one', 10.50, '2020-02-02 10:00+00', '{a,\"b c\"}'), (2, NULL, 7, NULL, NULL), "
                   "(3, 'quote\"s', 0, '1999-01-01 00:00+00', '{}')")
        pg.execute("CREATE SCHEMA shop CREATE TABLE prices (code varchar(20), country text, price bigint, PRIMARY KEY (code, country))")
        pg.execute("INSERT INTO shop.prices VALUES ('a\"\\,', 'de', 1), ('a\"\\,', 'fr', 2), ('b', 'de', 3)")
    t.external("customers", "id int PRIMARY KEY, name text, credit numeric(10,2), since timestamptz, tags text[]")
    t.external("prices", "country text, code varchar(20), price bigint NOT NULL, PRIMARY KEY (country, code)", ", \"table\" = 'shop.prices'")
    con.execute("CREATE STREAM s (k int, v int)")
    con.execute("CREATE STREAM o (code text, land text, n int)")
    con.execute("INSERT INTO s VALUES (1, 0)")  # there before the views
    con.execute("CREATE MATERIALIZED VIEW inner_join AS SELECT s.*, c.* FROM s JOIN customers FOR SYSTEM_TIME AS OF now() AS c ON c.id = s.k")
    con.execute("CREATE MATERIALIZED VIEW left_join AS SELECT v, name, credit FROM s LEFT JOIN customers FOR SYSTEM_TIME AS OF now() AS c "
                "ON s.k = c.id AND c.credit > s.v")
    con.execute("CREATE MATERIALIZED VIEW above AS SELECT v, name FROM s LEFT JOIN customers FOR SYSTEM_TIME AS OF now() AS c "
                "ON s.k + 1 = c.id WHERE c.name IS NULL")
    con.execute("CREATE MATERIALIZED VIEW per_name AS SELECT name, count(*) AS n, sum(v) AS total FROM left_join GROUP BY name")
    con.execute("CREATE MATERIALIZED VIEW priced AS SELECT n, price FROM o JOIN prices FOR SYSTEM_TIME AS OF now() AS p "
                "ON p.code = o.code AND p.country = lower(o.land) AND n > 0")
    con.execute("CREATE MATERIALIZED VIEW chained AS SELECT v, c.name, d.name AS next FROM s LEFT JOIN customers FOR SYSTEM_TIME AS OF now() "
                "AS c ON s.k = c.id LEFT JOIN customers FOR SYSTEM_TIME AS OF now() AS d ON c.id + 1 = d.id")
    con.execute("INSERT INTO s VALUES (1, 5), (2, 9), (3, -1), (4, 1), (NULL, 2)")
    con.execute("INSERT INTO o VALUES ('a\"\\,', 'DE', 1), ('b', 'fr', 2), ('b', 'DE', 3), ('b', 'de', 0), (NULL, 'de', 4)")
    for view, count in (("inner_join", 4), ("left_join", 6), ("above", 4), ("priced", 2), ("chained", 6)):
        all_come(con, view, count)
    until("nothing waits", lambda: status(con, "customers", "waiting_rows") == 0 and status(con, "prices", "waiting_rows") == 0)
    with harness.connect_postgres(t.postgres) as pg:
        pg.execute("CREATE TABLE s (k int, v int); INSERT INTO s VALUES (1, 0), (1, 5), (2, 9), (3, -1), (4, 1), (NULL, 2)")
        pg.execute("CREATE TABLE o (code text, land text, n int)")
        pg.execute("INSERT INTO o VALUES ('a\"\\,', 'DE', 1), ('b', 'fr', 2), ('b', 'DE', 3), ('b', 'de', 0), (NULL, 'de', 4)")
        for view, sql in (
                ("inner_join", "SELECT s.*, c.* FROM s JOIN customers AS c ON c.id = s.k"),
                ("left_join", "SELECT v, name, credit FROM s LEFT JOIN customers c ON s.k = c.id AND c.credit > s.v"),
                ("above", "SELECT v, name FROM s LEFT JOIN customers c ON s.k + 1 = c.id WHERE c.name IS NULL"),
                ("per_name", "SELECT name, count(*), sum(v) FROM s LEFT JOIN customers c ON s.k = c.id AND c.credit > s.v GROUP BY name"),
                ("priced", "SELECT n, price FROM o JOIN shop.prices p ON p.code = o.code AND p.country = lower(o.land) AND n > 0"),
                ("chained", "SELECT v, c.name, d.name FROM s LEFT JOIN customers c ON s.k = c.id LEFT JOIN customers d ON c.id + 1 = d.id")):
            expect(view, rows(con, "SELECT * FROM " + view), rows(pg, sql))
        pg.execute("DROP TABLE s, o")
    misses = status(con, "customers", "misses")
    con.execute("INSERT INTO s VALUES (1, 100)")
    all_come(con, "inner_join", 5)
    expect("misses", status(con, "customers", "misses"), misses)
    for sqlstate, sql in (
            ("0A000", "SELECT * FROM customers"), ("0A000", "SELECT * FROM s JOIN customers FOR SYSTEM_TIME AS OF now() AS c ON k = id"),
            ("0A000", "CREATE MATERIALIZED VIEW no AS SELECT * FROM s JOIN customers ON k = id"),
            ("0A000", "CREATE MATERIALIZED VIEW no AS SELECT * FROM customers"),
            ("0A000", "CREATE MATERIALIZED VIEW no AS SELECT * FROM s JOIN customers FOR SYSTEM_TIME AS OF now() AS c ON s.k = c.id + 1"),
            ("0A000", "CREATE MATERIALIZED VIEW no AS SELECT * FROM s JOIN customers FOR SYSTEM_TIME AS OF now() AS c ON s.k::bigint = c.id"),
            ("0A000", "CREATE MATERIALIZED VIEW no AS SELECT * FROM o JOIN prices FOR SYSTEM_TIME AS OF now() AS p ON o.code = p.code"),
            ("0A000", "CREATE MATERIALIZED VIEW no AS SELECT * FROM per_name JOIN customers FOR SYSTEM_TIME AS OF now() AS c ON n = c.id"),
            ("42809", "INSERT INTO customers VALUES (1)"), ("42809", "DELETE FROM customers"), ("42809", "UPDATE customers SET name = ''"),
            ("42809", "TRUNCATE customers"), ("42809", "COPY customers FROM STDIN"), ("42809", "SUBSCRIBE customers"),
            ("0A000", "ALTER TABLE customers ADD COLUMN x int"), ("2BP01", "ALTER TABLE prices RENAME TO p"),
            ("42809", "CREATE INDEX ON customers (name)"), ("2BP01", "DROP TABLE customers"), ("42809", "DROP STREAM customers"),
            ("42809", "DROP EXTERNAL TABLE s"),
            ("42P16", "CREATE EXTERNAL TABLE no (a int PRIMARY KEY)"), ("42P16", "CREATE EXTERNAL TABLE no (a int) WITH (connector = 'redis')"),
            ("0A000", "CREATE EXTERNAL TABLE no (a int PRIMARY KEY) WITH (connector = 'generator')"),
            ("0A000", "CREATE EXTERNAL TABLE no (a int PRIMARY KEY, b int UNIQUE) WITH (connector = 'redis')"),
            ("22023", "CREATE EXTERNAL TABLE no (a int PRIMARY KEY) WITH (connector = 'redis', pasword = '%s')" % SECRET),
            ("22023", "CREATE EXTERNAL TABLE no (a int PRIMARY KEY) WITH (connector = 'redis', cache_ttl = 'soon')"),
            ("22023", "CREATE EXTERNAL TABLE no (a int PRIMARY KEY) WITH (connector = 'redis', retry_min = '1 day')"),
            ("22023", "CREATE EXTERNAL TABLE no (a int PRIMARY KEY) WITH (connector = 'postgres')"),
            ("22023", "CREATE EXTERNAL TABLE no (a int PRIMARY KEY) WITH (connector = 'postgres', connection = 'x %s')" % SECRET)):
        refused(con, sqlstate, sql)
    for schema, view in con.execute("SELECT n.nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
                                    "WHERE n.nspname IN ('pg_catalog', 'information_schema', 'millrace')").fetchall():
        if SECRET in str(con.execute('SELECT * FROM "%s"."%s"' % (schema, view)).fetchall()):
            raise SystemExit("a secret in %s.%s" % (schema, view))


def expires(t):
    """Answers are used until cache_ttl has passed, by the clock."""
    con = t.con
    with harness.connect_postgres(t.postgres) as pg:
        pg.execute("CREATE TABLE rates (code text PRIMARY KEY, rate int); INSERT INTO rates VALUES ('a', 1)")
        t.external("rates", "code text PRIMARY KEY, rate int", ", cache_ttl = '10 minutes', missing_ttl = '1 minute'")
        con.execute("CREATE STREAM x (code text, n int)")
        con.execute("CREATE MATERIALIZED VIEW rated AS SELECT n, rate FROM x LEFT JOIN rates FOR SYSTEM_TIME AS OF now() AS r ON x.code = r.code")
        con.execute("SET clock = '2026-01-01 12:00:00+00'")
        con.execute("INSERT INTO x VALUES ('a', 1), ('b', 2)")
        all_come(con, "rated", 2)
        pg.execute("UPDATE rates SET rate = 2; INSERT INTO rates VALUES ('b', 7)")
        con.execute("SELECT advance_clock(INTERVAL '59 seconds')")
        con.execute("INSERT INTO x VALUES ('a', 3), ('b', 4)")
        expect("cached", rows(con, "SELECT * FROM rated"), ["(1, 1)", "(2, None)", "(3, 1)", "(4, None)"])
        con.execute("SELECT advance_clock(INTERVAL '1 second')")
        expect("what is known", status(con, "rates", "cached_rows"), 1)
        con.execute("INSERT INTO x VALUES ('a', 5), ('b', 6)")
        all_come(con, "rated", 6)
        con.execute("SELECT advance_clock(INTERVAL '8 minutes 59 seconds')")
        con.execute("INSERT INTO x VALUES ('a', 7)")
        con.execute("SELECT advance_clock(INTERVAL '1 second')")
        con.execute("INSERT INTO x VALUES ('a', 8), ('b', 9)")
        all_come(con, "rated", 9)
        until("nothing waits", lambda: status(con, "rates", "waiting_rows") == 0)
        expected = ["(1, 1)", "(2, None)", "(3, 1)", "(4, None)", "(5, 1)", "(6, 7)", "(7, 1)", "(8, 2)", "(9, 7)"]
        expect("after ten minutes", rows(con, "SELECT * FROM rated"), expected)
        con.execute("SELECT advance_clock(INTERVAL '1 hour')")
        expect("all is forgotten", status(con, "rates", "cached_rows"), 0)
        con.execute("SET clock = 'system'")
        con.execute("CHECKPOINT")
        t.kill_and_restart()
        expect("after a restart", rows(t.con, "SELECT * FROM rated"), expected)
        # nothing is kept: each row asks anew
        t.external("fresh", "code text PRIMARY KEY, rate int", ", \"table\" = 'rates', cache_ttl = '0'")
        t.con.execute("CREATE MATERIALIZED VIEW freshly AS SELECT n, rate FROM x LEFT JOIN fresh FOR SYSTEM_TIME AS OF now() AS r "
                      "ON x.code = r.code WHERE n > 100")
        for n in range(3):
            pg.execute("UPDATE rates SET rate = %d WHERE code = 'a'" % (n + 50))
            t.con.execute("INSERT INTO x VALUES ('a', %d)" % (n + 101))
            all_come(t.con, "freshly", n + 1)
        expect("without a cache", rows(t.con, "SELECT * FROM freshly"), ["(101, 50)", "(102, 51)", "(103, 52)"])
        until("nothing is cached", lambda: status(t.con, "fresh", "cached_rows") == 0)


def survives(t):
    """The database stops, rows come, the server is killed, the database comes back: each row once, and nothing else has stopped."""
    con = t.con
    with harness.connect_postgres(t.postgres) as pg:
        pg.execute("CREATE TABLE names (id bigint PRIMARY KEY, name text); INSERT INTO names SELECT i, 'n' || i FROM generate_series(0, 499) AS i")
    t.external("names", "id bigint PRIMARY KEY, name text", ", cache_ttl = '1 hour'")
    con.execute("CREATE STREAM e (ts timestamp, k int, v int, WATERMARK FOR ts AS ts - INTERVAL '5 seconds')")
    con.execute("CREATE MATERIALIZED VIEW named AS SELECT k, v, name FROM e JOIN names FOR SYSTEM_TIME AS OF now() AS n ON e.k = n.id")
    con.execute("CREATE MATERIALIZED VIEW others AS SELECT count(*) AS n FROM e")
    con.execute("CREATE MATERIALIZED VIEW windows AS SELECT window_start, count(*) AS n, min(name) AS least FROM tumble((SELECT ts, name FROM e "
                "LEFT JOIN names FOR SYSTEM_TIME AS OF now() AS n ON e.k = n.id), ts, INTERVAL '10 seconds') GROUP BY window_start EMIT FINAL")

    def insert(first, count):
        t.con.execute("INSERT INTO e SELECT timestamp '2026-01-01' + INTERVAL '1 second' * i, i %% 1000, i FROM generate_series(%d, %d) AS i"
                      % (first, first + count - 1))

    def found(first, last):
        return sorted(str((i % 1000, i, "n%d" % (i % 1000))) for i in range(first, last) if i % 1000 < 500)

    insert(0, 300)
    all_come(con, "named", 300)
    until("windows", lambda: con.execute("SELECT count(*) FROM windows").fetchone()[0] == 29)
    t.postgres.stop(signal.SIGINT)
    insert(300, 400)
    insert(100, 1)  # known: it does not wait; its window has closed
    until("a failure", lambda: status(con, "names", "failures") > 1 and status(con, "names", "state") == "retrying")
    if SECRET in status(con, "names", "last_error") or SECRET in t.server.log_text():
        raise SystemExit("a secret in the last error or the log")
    expect("rows that wait", status(con, "names", "waiting_rows"), 800)
    expect("other views", rows(con, "SELECT * FROM others"), ["(701,)"])
    expect("what is known", len(rows(con, "SELECT * FROM named")), 301)
    expect("windows wait", len(rows(con, "SELECT * FROM windows")), 29)
    for again in range(3):
        if again > 0:
            t.con.execute("CHECKPOINT")
        t.kill_and_restart()
        until("a failure", lambda: status(t.con, "names", "failures") > 1)
        expect("rows that wait", status(t.con, "names", "waiting_rows"), 800)
        expect("what is known", len(rows(t.con, "SELECT * FROM named")), 301)
    insert(700, 50)
    con = t.con
    t.postgres.start_again()
    expected = sorted(found(0, 750) + [str((100, 100, "n100"))])
    all_come(con, "named", len(expected))
    until("all answers", lambda: status(con, "names", "waiting_rows") == 0)
    expect("exactly once", rows(con, "SELECT * FROM named"), expected)
    until("windows go on", lambda: con.execute("SELECT count(*) FROM windows").fetchone()[0] == 74)
    full = [str(row) for row in con.execute("SELECT n, least FROM windows ORDER BY window_start").fetchall()]
    expect("windows", full, [str((10, min(["n%d" % i for i in range(w * 10, w * 10 + 10) if i < 500] or ["~"]) if w < 50 else None))
                             for w in range(74)])
    expect("late rows", con.execute("SELECT late FROM millrace.relations WHERE name = 'windows'").fetchone()[0], 1)
    questions = status(con, "names", "questions")
    con.execute("CHECKPOINT")
    t.kill_and_restart()
    con = t.con
    expect("after the last restart", rows(con, "SELECT * FROM named"), expected)
    insert(1000, 10)
    all_come(con, "named", len(expected) + 10)
    expect("questions after it", (status(con, "names", "questions"), questions > 0), (0, True))
    # a view that is made while the database is away
    t.postgres.stop(signal.SIGINT)
    t.external("later", "id bigint PRIMARY KEY, name text", ", \"table\" = 'names'")
    con.execute("CREATE MATERIALIZED VIEW afterwards AS SELECT k, v, name FROM e JOIN later FOR SYSTEM_TIME AS OF now() AS n ON e.k = n.id")
    until("a failure", lambda: status(con, "later", "failures") > 0)
    refused(con, "2BP01", "DROP EXTERNAL TABLE later")
    con.execute("DROP EXTERNAL TABLE names CASCADE")
    t.postgres.start_again()
    all_come(con, "afterwards", len(expected) + 10)
    until("nothing waits", lambda: status(con, "later", "waiting_rows") == 0)
    expect("a late view", rows(con, "SELECT * FROM afterwards"), sorted(expected + found(1000, 1010)))


def one_bad_row(t):
    """A value that does not fit stops the rows of its key, and no others, until it does."""
    con = t.con
    with harness.connect_postgres(t.postgres) as pg:
        pg.execute("CREATE TABLE sizes (id int, size bigint); INSERT INTO sizes SELECT i, i FROM generate_series(1, 300) AS i")
        pg.execute("UPDATE sizes SET size = 5000000000 WHERE id = 77; INSERT INTO sizes VALUES (200, 1)")
        t.external("sizes", "id int PRIMARY KEY, size int")
        con.execute("CREATE STREAM z (k int)")
        con.execute("CREATE MATERIALIZED VIEW sized AS SELECT k, size FROM z JOIN sizes FOR SYSTEM_TIME AS OF now() AS s ON z.k = s.id")
        con.execute("INSERT INTO z SELECT * FROM generate_series(1, 300)")
        all_come(con, "sized", 298)
        expect("rows that wait", status(con, "sizes", "waiting_rows"), 2)
        until("two errors", lambda: status(con, "sizes", "failures") > 2)
        pg.execute("UPDATE sizes SET size = 5 WHERE id = 77; DELETE FROM sizes WHERE id = 200 AND size = 1")
        all_come(con, "sized", 300)
        expect("all rows", rows(con, "SELECT * FROM sized"), sorted(str((i, 5 if i == 77 else i)) for i in range(1, 301)))


def many(t):
    """A stream of many rows over a thousand keys: PostgreSQL's own join."""
    con = t.con
    with harness.connect_postgres(t.postgres) as pg:
        pg.execute("CREATE TABLE products (id int PRIMARY KEY, name text, price numeric)")
        pg.execute("INSERT INTO products SELECT i, 'product ' || i, i * 1.25 FROM generate_series(0, 999) AS i WHERE i %% 10 <> 0".replace("%%", "%"))
        t.external("products", "id int PRIMARY KEY, name text, price numeric", ", cache_ttl = '1 hour'")
        con.execute("CREATE STREAM sales (n int, product int, amount int)")
        con.execute("CREATE MATERIALIZED VIEW sold AS SELECT n, name, amount * price AS value FROM sales "
                    "LEFT JOIN products FOR SYSTEM_TIME AS OF now() AS p ON sales.product = p.id")
        pg.execute("CREATE TABLE sales (n int, product int, amount int)")
        generate = "INSERT INTO sales SELECT i, (i::bigint * 7919 %% 1000)::int, i %% 13 FROM generate_series(%d, %d) AS i"
        step = ROWS // 20
        for first in range(0, ROWS, step):
            for one in (con, pg):
                one.execute(generate % (first, first + step - 1))
        all_come(con, "sold", ROWS)
        query = "SELECT count(*), sum(n::bigint), md5(string_agg(n || ' ' || coalesce(name, '-') || ' ' || coalesce(value, -1), ',' ORDER BY n)) FROM "
        expect("all sales", rows(con, query + "sold"),
               rows(pg, query + "(SELECT n, name, amount * price AS value FROM sales LEFT JOIN products p ON sales.product = p.id) AS sold"))
        counts = con.execute("SELECT found, not_found FROM millrace.external_tables WHERE name = 'products'").fetchone()
        expect("each key once", counts, (900, 100))
        # rows that find everything in the cache
        extra = 3 * ROWS
        cpu = harness.cpu_seconds(t.server.pid)
        con.execute(generate % (ROWS, ROWS + extra - 1))
        all_come(con, "sold", ROWS + extra)
        cpu = harness.cpu_seconds(t.server.pid) - cpu
        print("warm cache: %d rows, %.2f CPU seconds, %.0f rows per CPU second, with INSERT ... SELECT of a series and the log"
              % (extra, cpu, extra / max(cpu, 0.01)))


def redis(t):
    con = t.con
    with harness.redis("--requirepass", SECRET) as server:
        client = Redis(server, SECRET)
        client.call("HSET", "user:1", "name", "one", "born", "2000-02-29", "other", "x")
        client.call("HSET", "user:2", "name", "two")
        client.call("SET", "user:bad", "text")
        client.call("SET", "item/1:de", '{"price": 1.50, "name": "a \\"b\\"", "more": {"x": [1, null]}, "id": 9}')
        client.call("SET", "item/2:de", '{"price": null, "name": 7}')
        options = "connector = 'redis', host = '127.0.0.1', port = %d, password = '%s', retry_min = '10 ms', retry_max = '50 ms'" % (server.port, SECRET)
        con.execute("CREATE EXTERNAL TABLE users (id text PRIMARY KEY, name text, born date) WITH (%s, key_prefix = 'user:', "
                    "missing_ttl = '0')" % options)
        con.execute("CREATE EXTERNAL TABLE items (id int, land text, name text, price numeric, more jsonb, PRIMARY KEY (id, land)) "
                    "WITH (%s, key_prefix = 'item/', format = 'json')" % options)
        con.execute("CREATE STREAM visits (who text, item int, n int)")
        con.execute("CREATE MATERIALIZED VIEW seen AS SELECT n, u.* FROM visits LEFT JOIN users FOR SYSTEM_TIME AS OF now() AS u ON who = u.id")
        con.execute("CREATE MATERIALIZED VIEW bought AS SELECT n, i.name, i.price, i.more::text AS more FROM visits "
                    "JOIN items FOR SYSTEM_TIME AS OF now() AS i ON i.id = item AND i.land = 'de'")
        con.execute("INSERT INTO visits VALUES ('1', 1, 1), ('2', 2, 2), ('3', 3, 3), ('bad', 1, 4)")
        all_come(con, "seen", 3)
        all_come(con, "bought", 3)
        expect("hashes", rows(con, "SELECT * FROM seen"), ["(1, '1', 'one', datetime.date(2000, 2, 29))", "(2, '2', 'two', None)",
                                                           "(3, None, None, None)"])
        json = "(%d, 'a \"b\"', Decimal('1.50'), '{\"x\": [1, null]}')"
        expect("objects", rows(con, "SELECT * FROM bought"), [json % 1, "(2, '7', None, None)", json % 4])
        client.call("HSET", "user:3", "name", "three")
        con.execute("INSERT INTO visits VALUES ('3', NULL, 5)")
        all_come(con, "seen", 4)
        expect("a new key", rows(con, "SELECT name FROM seen WHERE n = 5"), ["('three',)"])
        expect("rows that wait", status(con, "users", "waiting_rows"), 1)
        try:
            client.call("SHUTDOWN", "SAVE")
        except (RuntimeError, OSError):
            pass
        server.process.wait()
        con.execute("INSERT INTO visits SELECT i::text, 1, i FROM generate_series(100, 199) AS i")
        until("a failure", lambda: "refused" in status(con, "users", "last_error"))
        if SECRET in t.server.log_text():
            raise SystemExit("a secret in the log")
        t.kill_and_restart()
        con = t.con
        server.start_again()
        client = Redis(server, SECRET)
        client.call("HSET", "user:good", "name", "good")
        client.call("RENAME", "user:good", "user:bad")  # at once: it is asked for all the time
        all_come(con, "seen", 105)
        all_come(con, "bought", 103)
        until("nothing waits", lambda: status(con, "users", "waiting_rows") == 0)
        expect("after it is back", len(rows(con, "SELECT * FROM seen")), 105)
        expect("a key that was of another type", rows(con, "SELECT name FROM seen WHERE n = 4"), ["('good',)"])
        client.call("CONFIG", "SET", "requirepass", "another")
        t.kill_and_restart()
        con = t.con
        con.execute("INSERT INTO visits VALUES ('7', 7, 7)")
        until("a refusal", lambda: "WRONGPASS" in (status(con, "users", "last_error") or ""))
        con.execute("DROP EXTERNAL TABLE users, items CASCADE")


def main():
    binary, *options = sys.argv[1:]
    with harness.temp_dir() as path, harness.postgres() as postgres:
        t = Test(binary, options, path, postgres)
        try:
            for step in (finds, expires, survives, one_bad_row, many, redis):
                step(t)
                print(step.__name__ + ": ok")
            t.con.close()
            expect("exit code", t.server.stop(), 0)
            for mark in ("runtime error:", "AddressSanitizer", "ThreadSanitizer", "internal check failed"):
                if mark in t.server.log_text():
                    raise SystemExit("report in the server's log:\n" + t.server.log_text())
        except BaseException:
            sys.stderr.write(t.server.log_text()[-6000:])
            raise
        finally:
            t.server.stop(signal.SIGKILL)
    return 0


sys.exit(main())
