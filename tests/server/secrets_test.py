"""secrets_test.py: secrets and passwords in options are used by connectors, and seen nowhere: not in any system view, answer, error,
log line, metric, nor in what inspect and psql print. What may be seen nowhere holds a canary that is looked for everywhere.

usage: secrets_test.py MILLRACE
"""

import os
import signal
import stat
import subprocess
import sys
import time
import urllib.request

import psycopg

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

CANARY = "c4n4ry"
seen = []  # (where, text)


def note(where, text):
    seen.append((where, str(text)))


def expect(what, found, expected):
    if found != expected:
        raise SystemExit("%s: found %r, expected %r" % (what, found, expected))


def refused(conn, sqlstate, sql, *params):
    """The statement fails so, in the simple protocol and, without parameters, in the extended one."""
    for binary in (False, True):
        try:
            conn.execute(sql, *params, prepare=binary)
        except psycopg.Error as error:
            diag = error.diag
            fields = [getattr(diag, name) for name in dir(diag) if not name.startswith("_")]
            note("error of %s" % sql.replace(CANARY, "..."), fields)
            expect(sql, diag.sqlstate, sqlstate)
            continue
        raise SystemExit("not refused: " + sql)


def look_at_views(conn, when):
    names = conn.execute(
        "SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE nspname IN ('pg_catalog', 'information_schema', 'millrace', 'public') AND relkind IN ('r', 'v', 'm')").fetchall()
    assert len(names) > 150, len(names)
    for schema, name in names:
        try:
            note("%s.%s %s" % (schema, name, when), conn.execute('SELECT * FROM "%s"."%s"' % (schema, name)).fetchall())
        except psycopg.Error as error:
            note("error of %s.%s" % (schema, name), error)
    shown = conn.execute("SHOW ALL").fetchall()
    note("SHOW ALL", shown)


def until(what, condition):
    deadline = time.monotonic() + 120
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("never happened: " + what)
        time.sleep(0.02)


def syntax_errors(conn):
    """Whatever is wrong with a statement, what it says of a secret is not repeated."""
    for sql in ("CREATE SECRET x AS 'CANARY' 'more'", "CREATE SECRET x AS 'CANARY", "CREATE SECRET x 'CANARY'",
                "CREATE SECRET x AS CANARY", 'CREATE SECRET x AS "CANARY"', "CREATE SECRET x AS E'CANARY'",
                "CREATE SECRET x AS $t$CANARY", "CREATE SECRET AS 'CANARY'", "CREATE SECRET x = 'CANARY'",
                "CREATE SECRET 'CANARY'", "CREATE SECRET x AS 'a' || 'CANARY'", "ALTER SECRET x AS CANARY",
                "ALTER SECRET x 'CANARY'", "ALTER SECRET 'CANARY' AS 'x'", "CREATE OR REPLACE SECRET x AS 'CANARY'",
                "CREATE SECRT x AS 'CANARY'", "EXPLAIN CREATE SECRET x AS 'CANARY'", "PREPARE p AS CREATE SECRET x AS 'CANARY'",
                "CREATE EXTERNAL TABLE e (a int PRIMARY KEY) WITH (connector = 'redis', password = 'CANARY' 'x')",
                "CREATE EXTERNAL TABLE e (a int PRIMARY KEY) WITH (connector = 'redis', password 'CANARY')",
                "CREATE EXTERNAL TABLE e (a int PRIMARY KEY) WITH (connector = 'redis', password = 'CANARY",
                "CREATE EXTERNAL TABLE e (a int PRIMARY KEY) WITH (connector = 'redis', password = $$CANARY$$ $$x$$)",
                "ALTER STREAM s SET (password 'CANARY')"):
        refused(conn, "42601", sql.replace("CANARY", CANARY))
    refused(conn, "42704", "ALTER SECRET nobody AS '%s'" % CANARY)
    refused(conn, "42710", "CREATE SECRET pw AS '%s'" % CANARY)
    conn.execute("CREATE SECRET IF NOT EXISTS pw AS '%s'" % CANARY)


def option_errors(conn):
    table = "CREATE EXTERNAL TABLE e (a int PRIMARY KEY, b text) WITH (connector = %s)"
    refused(conn, "22023", table % "'redis', host = 'localhost', port = SECRET pw")
    refused(conn, "22023", table % "'redis', host = 'localhost', format = 'hash', database = SECRET pw")
    refused(conn, "22023", table % "'redis', cache_ttl = SECRET pw")
    refused(conn, "22023", table % "'postgres', connection = SECRET not_a_connection")
    refused(conn, "22023", table % "'postgres', connection = '%s is no connection string'" % CANARY)
    refused(conn, "22023", table % "SECRET pw")
    refused(conn, "22023", table % "'redis', host = 'localhost', no_such_option = SECRET pw")
    refused(conn, "42704", table % "'redis', host = 'localhost', password = SECRET nobody")
    refused(conn, "22023", "CREATE MATERIALIZED VIEW m WITH (memory_limit = SECRET pw) AS SELECT 1 AS a")
    refused(conn, "22023", "CREATE STREAM g (a int) WITH (connector = 'generator', rows = SECRET pw)")
    # an alias, not a secret
    expect("alias", conn.execute("SELECT a = secret pw FROM (VALUES (1, 2)) v(a, secret)").fetchone(), (False,))


USED_BY = [("My Secret", ["public.names"]), ("not_a_connection", ['public."Out"']), ("pw", ["public.away", 'public."Out"'])]


def files_hold(directory, text):
    for name in os.listdir(directory):
        with open(os.path.join(directory, name), "rb") as f:
            if text.encode() in f.read():
                return True
    return False


def refuses(binary, data, words, *options):
    try:
        harness.start_millrace(binary, data, *options).stop()
    except RuntimeError as error:
        if not all(word in str(error) for word in words) or CANARY in str(error):
            raise SystemExit("not the right refusal: %s" % error)
        return
    raise SystemExit("it starts with %s" % (options,))


def encryption(binary):
    """With a key, the values are on disk only encrypted."""
    with harness.temp_dir() as base:
        data, key, other = (os.path.join(base, name) for name in ("data", "key", "other"))
        for path, text in (key, "0123456789abcdef" * 4 + "\n"), (other, "a" * 32):
            with open(path, "w") as f:
                f.write(text)
            os.chmod(path, 0o600)
        plain = harness.start_millrace(binary, data)
        connect = "host=127.0.0.1 port=%d user=test dbname=test"
        with psycopg.connect(connect % plain.port, autocommit=True) as conn:
            conn.execute("CREATE SECRET before AS '%s'" % CANARY)
        plain.stop()
        expect("without a key", files_hold(data, CANARY), True)
        server = harness.start_millrace(binary, data, "--secret-key-file", key)
        with psycopg.connect(connect % server.port, autocommit=True) as conn:
            conn.execute("CREATE SECRET later AS '%s_2'" % CANARY)
            conn.execute("ALTER SECRET later AS $$%s_3$$" % CANARY)
            conn.execute("CREATE SECRET long AS '%s'" % ((CANARY + "_4") * 5000))
            conn.execute("CREATE SECRET empty AS ''")
            conn.execute("CREATE EXTERNAL TABLE e (a int PRIMARY KEY) WITH (connector = 'redis', host = '127.0.0.1', port = '1', password = SECRET later)")
        harness.restart_millrace(server, signal.SIGKILL)
        with psycopg.connect(connect % server.port, autocommit=True) as conn:
            expect("secrets", conn.execute("SELECT name, used_by FROM millrace.secrets").fetchall(),
                   [("before", []), ("empty", []), ("later", ["public.e"]), ("long", [])])
            # it is the value itself that came back: as a port it is refused by what it says
            refused(conn, "22023", "CREATE EXTERNAL TABLE f (a int PRIMARY KEY) WITH (connector = 'redis', host = 'h', port = SECRET later)")
        server.stop()
        for version in "_2", "_3", "_4":
            expect("with a key", files_hold(data, CANARY + version), False)
        refuses(binary, data, ["secret \"before\" cannot be restored", "--secret-key-file"])
        refuses(binary, data, ["secret \"before\" cannot be restored", "another key"], "--secret-key-file", other)
        os.chmod(key, 0o644)
        refuses(binary, data, ["key file", "others than its owner"], "--secret-key-file", key)
        os.chmod(key, 0o600)
        with open(other, "w") as f:
            f.write("a" * 33)
        refuses(binary, data, ["key file", "neither 32 bytes"], "--secret-key-file", other)
        safe = harness.start_millrace(binary, data, "--safe-mode")
        with psycopg.connect(connect % safe.port, autocommit=True) as conn:
            expect("secrets", conn.execute("SELECT count(*) FROM millrace.secrets").fetchone(), (4,))
        safe.stop()
        again = harness.start_millrace(binary, data, "--secret-key-file", key)
        expect("clean stop", again.stop(), 0)


def main():
    binary = sys.argv[1]
    encryption(binary)
    http = harness.free_port()
    with harness.postgres() as peer, harness.millrace(binary, "--log-level", "debug", "--http-port", str(http)) as server:
        connect = "host=127.0.0.1 port=%d user=test dbname=test" % server.port
        conn, other = (psycopg.connect(connect, autocommit=True, cursor_factory=psycopg.ClientCursor) for _ in range(2))
        there = psycopg.connect(host="127.0.0.1", port=peer.port, user="postgres", dbname="postgres", autocommit=True)
        there.execute("CREATE TABLE names (id int PRIMARY KEY, name text)")
        there.execute("INSERT INTO names VALUES (1, 'one'), (2, 'two')")
        there.execute("CREATE ROLE %s LOGIN; GRANT SELECT ON names TO %s" % (CANARY, CANARY))
        good = "host=127.0.0.1 port=%d dbname=postgres user=%s" % (peer.port, CANARY)

        # made, in one string with others too; quotes, dollar quotes, names in quotes
        conn.execute("CREATE SECRET pw AS '%s''s'; SELECT 1" % CANARY)
        note("activity", other.execute("SELECT query FROM pg_stat_activity").fetchall())
        conn.execute('CREATE SECRET "My Secret" AS $$%s$$' % good)
        note("activity", other.execute("SELECT query FROM pg_stat_activity").fetchall())
        conn.execute("CREATE SECRET not_a_connection AS '%s'" % CANARY)
        expect("shown", other.execute("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%SECRET%''***''%'").fetchone()[0] > 0, True)
        syntax_errors(conn)
        option_errors(conn)

        # used; what is written out is hidden as well
        conn.execute("CREATE STREAM s (id int)")
        conn.execute("CREATE EXTERNAL TABLE names (id int PRIMARY KEY, name text)"
                     " WITH (connector = 'postgres', connection = SECRET \"My Secret\", cache_ttl = '1 hour')")
        conn.execute("CREATE EXTERNAL TABLE plain (id int PRIMARY KEY, name text)"
                     " WITH (connector = 'postgres', connection = '%s', \"table\" = 'names')" % good)
        note("activity", other.execute("SELECT query FROM pg_stat_activity").fetchall())
        conn.execute("CREATE EXTERNAL TABLE away (id int PRIMARY KEY, name text)"
                     " WITH (connector = 'redis', host = '127.0.0.1', port = '1', password = SECRET pw)")
        conn.execute("CREATE SINK \"Out\" FROM s WITH (connector = 'kafka', topic = 's', \"bootstrap.servers\" = '127.0.0.1:1', format = 'json',"
                     " \"sasl.password\" = SECRET pw, \"sasl.username\" = SECRET not_a_connection)")
        conn.execute("CREATE MATERIALIZED VIEW joined AS SELECT s.id, n.name FROM s JOIN names FOR SYSTEM_TIME AS OF now() AS n ON n.id = s.id")
        conn.execute("CREATE MATERIALIZED VIEW joined2 AS SELECT s.id, n.name FROM s JOIN plain FOR SYSTEM_TIME AS OF now() AS n ON n.id = s.id")
        conn.execute("CREATE MATERIALIZED VIEW never AS SELECT s.id, n.name FROM s JOIN away FOR SYSTEM_TIME AS OF now() AS n ON n.id = s.id")
        conn.execute("INSERT INTO s VALUES (1)")
        for view in "joined", "joined2":
            until(view, lambda: conn.execute("SELECT * FROM %s" % view).fetchall() == [(1, "one")])
        until("an error", lambda: conn.execute("SELECT last_error FROM millrace.external_tables WHERE name = 'away'").fetchone()[0])
        expect("secrets", conn.execute("SELECT name, used_by FROM millrace.secrets").fetchall(),
               USED_BY)
        refused(conn, "2BP01", 'DROP SECRET "My Secret"')
        look_at_views(conn, "while used")
        for command in "\\d", "\\d+ names", "\\d+ plain", "\\d+ away", "\\det+", "\\des+", "\\dew+", "\\deu+":
            out = subprocess.run(["psql", "-X", "-h", "127.0.0.1", "-p", str(server.port), "-U", "test", "-c", command, "test"],
                                 capture_output=True, text=True)
            note("psql " + command, out.stdout + out.stderr)
        for sql in ("EXPLAIN SELECT * FROM joined", "EXPLAIN MATERIALIZED VIEW joined", "EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM joined2",
                    "SELECT pg_get_viewdef('joined'::regclass)"):
            note(sql, conn.execute(sql).fetchall())
        with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % http) as answer:
            note("metrics", answer.read().decode())

        # another value takes effect at once: a wrong one, and a right one
        conn.execute("ALTER SECRET \"My Secret\" AS 'host=127.0.0.1 port=1 dbname=%s'" % CANARY)
        note("activity", other.execute("SELECT query FROM pg_stat_activity").fetchall())
        conn.execute("INSERT INTO s VALUES (2)")
        until("an error", lambda: conn.execute("SELECT last_error FROM millrace.external_tables WHERE name = 'names'").fetchone()[0])
        look_at_views(conn, "with a wrong value")
        conn.execute('ALTER SECRET "My Secret" AS $$%s$$' % good)
        until("joined", lambda: conn.execute("SELECT count(*) FROM joined").fetchone() == (2,))

        # it is the same after a kill, and in a backup; files are for their owner
        harness.restart_millrace(server, signal.SIGKILL)
        conn, other = (psycopg.connect(connect, autocommit=True, cursor_factory=psycopg.ClientCursor) for _ in range(2))
        there.execute("INSERT INTO names VALUES (3, 'three')")
        conn.execute("INSERT INTO s VALUES (3)")
        until("joined", lambda: conn.execute("SELECT count(*) FROM joined").fetchone() == (3,))
        expect("secrets", conn.execute("SELECT name, used_by FROM millrace.secrets").fetchall(),
               USED_BY)
        conn.execute("CREATE TABLE after_it (a int)")
        data = server.started_with[1]
        backup = data + ".backup"
        conn.execute("BACKUP TO '%s'" % backup)
        for directory in data, backup:
            expect("mode of " + directory, stat.S_IMODE(os.stat(directory).st_mode), 0o700)
            for name in os.listdir(directory):
                expect("mode of " + name, stat.S_IMODE(os.stat(os.path.join(directory, name)).st_mode) & 0o077, 0)
        for json in [], ["--json"]:
            out = subprocess.run([binary, "inspect", backup] + json, capture_output=True, text=True)
            expect("inspect", (out.returncode, "CREATE SECRET" in out.stdout or not json), (0, True))
            note("inspect", out.stdout + out.stderr)
        conn.execute("DROP MATERIALIZED VIEW joined; DROP EXTERNAL TABLE names")
        conn.execute('DROP SECRET "My Secret"')
        refused(conn, "2BP01", "DROP SECRET not_a_connection")
        conn.execute('DROP SINK "Out"')
        expect("secrets", conn.execute("SELECT name, used_by FROM millrace.secrets").fetchall(), [("not_a_connection", []), ("pw", ["public.away"])])
        conn.execute('DROP SECRET IF EXISTS "My Secret"')
        refused(conn, "42704", 'DROP SECRET "My Secret"')
        conn.execute("SET default_transaction_read_only = on")
        refused(conn, "25006", "CREATE SECRET no AS '%s'" % CANARY)
        conn.execute("RESET default_transaction_read_only")
        harness.restart_millrace(server, signal.SIGTERM)
        with psycopg.connect(connect, autocommit=True) as again:
            expect("secrets", again.execute("SELECT name FROM millrace.secrets").fetchall(), [("not_a_connection",), ("pw",)])
            look_at_views(again, "after all")

        # the backup is a server with the same secrets
        copy = harness.start_millrace(binary, backup)
        try:
            with psycopg.connect("host=127.0.0.1 port=%d user=test dbname=test" % copy.port, autocommit=True) as again:
                expect("secrets", again.execute("SELECT name, used_by FROM millrace.secrets").fetchall(),
                       USED_BY)
        finally:
            copy.stop()
        note("log", server.log_text() + copy.log_text())
    leaks = sorted({where for where, text in seen if CANARY in text})
    if leaks:
        for where, text in seen:
            if CANARY in text:
                at = text.index(CANARY)
                print("%s: ...%s..." % (where, text[max(0, at - 80):at + 40]))
        raise SystemExit("the canary was seen in: " + ", ".join(leaks))
    expect("looked at", len(seen) > 500, True)
    print("ok, looked at %d texts" % len(seen))


if __name__ == "__main__":
    main()
