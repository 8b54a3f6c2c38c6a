"""security_test.py MILLRACE: sources and sinks over TLS, SASL PLAIN and SCRAM, with passwords from secrets. A wrong password, an unknown
authority or the wrong kind of listener is an error that names its cause; no password is seen in a catalog, a plan, an error or the log."""

import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import kafka_support  # noqa: E402
from checks import Secret, arrived, expect, literal, one, read_all, refused, sink_state, source_state, until, with_options  # noqa: E402
from kafka_support import USERS, Record  # noqa: E402

WRONG = "wr0ng-canary-passw0rd"


def round_trip(cluster, con, name, options):
    """Rows come in and go out over this listener."""
    for topic in (name, name + "_out"):
        cluster.create_topic(topic, 2)
    cluster.produce(name, [Record('{"id": %d}' % i, partition=i % 2) for i in range(100)])
    con.execute("CREATE STREAM %s (id bigint) %s" % (name, with_options(cluster, topic=name, format="json", **options)))
    con.execute("CREATE SINK %s_out AS SELECT id FROM %s %s" % (name, name, with_options(cluster, topic=name + "_out", format="json", **options)))
    cluster.produce(name, [Record('{"id": %d}' % i, partition=i % 2) for i in range(100, 200)])
    read_all(con, name, cluster, name)
    arrived(con, name + "_out")
    expect("rows that came over %s" % name, one(con, "SELECT sum(accepted) FROM %s_progress" % name), 200)


def altered_secret_of_sink(cluster, con, options):
    """The next connection goes by the new value; what has waited is written once."""
    cluster.create_topic("altered_out", 1)
    con.execute("CREATE SECRET sink_password AS '%s'" % WRONG)
    con.execute("CREATE TABLE waits (id int PRIMARY KEY)")
    con.execute("INSERT INTO waits VALUES (1)")
    con.execute("CREATE SINK altered_out FROM waits " + with_options(cluster, topic="altered_out", format="json", **{**options, "sasl.password": Secret("sink_password")}))

    def denied():
        return sink_state(con, "altered_out", "state, sqlstate") == ("retrying", "28000")

    until("a sink with a wrong password says so", denied)
    for id_, password in ((2, USERS["bob"]), (3, WRONG), (4, USERS["bob"])):
        con.execute("ALTER SECRET sink_password AS " + literal(password))
        con.execute("INSERT INTO waits VALUES (%d)" % id_)
        if password == WRONG:
            until("a sink whose password has become wrong says so", denied)
        else:
            arrived(con, "altered_out")
    expect("rows of a sink whose password was altered", sorted(r.key for r in cluster.read("altered_out")), [b'{"id":%d}' % i for i in range(1, 5)])
    con.execute("DROP SINK altered_out")
    con.execute("DROP TABLE waits")
    con.execute("DROP SECRET sink_password")


def fails(con, what, sql, sqlstates, word):
    """The reason is named; returns all that was said."""
    try:
        con.execute(sql)
    except Exception as error:
        text = "%s %s %s %s" % (error.diag.message_primary, error.diag.message_detail, error.diag.message_hint, error.diag.context)
        if error.sqlstate not in sqlstates or word.lower() not in text.lower():
            raise AssertionError("%s: %s %s" % (what, error.sqlstate, text)) from None
        return text
    raise AssertionError("not refused: " + what)


def rotates(cluster, con, options):
    """A secret that is altered is used at once, by what runs: a wrong value is said, the right one reads on."""
    cluster.create_topic("rotates", 1)
    con.execute("CREATE SECRET rotating AS %s" % literal(USERS["bob"]))
    con.execute("CREATE STREAM rotates (id bigint) " + with_options(cluster, topic="rotates", format="json", **{**options, "sasl.password": Secret("rotating")}))
    con.execute("CREATE MATERIALIZED VIEW rotated AS SELECT count(*) AS n, count(DISTINCT id) AS ids FROM rotates")
    cluster.produce("rotates", [Record('{"id": %d}' % i) for i in range(10)])
    read_all(con, "rotates", cluster, "rotates")
    con.execute("ALTER SECRET rotating AS '%s'" % WRONG)
    cluster.produce("rotates", [Record('{"id": %d}' % i) for i in range(10, 20)])
    until("the wrong password is told", lambda: "uthentication" in (source_state(con, "rotates", "error") or ""), lambda: source_state(con, "rotates"))
    expect("nothing is read with it", con.execute("SELECT n, ids FROM rotated").fetchone(), (10, 10))
    con.execute("ALTER SECRET rotating AS %s" % literal(USERS["bob"]))
    read_all(con, "rotates", cluster, "rotates")
    until("it reads on", lambda: source_state(con, "rotates") == ("running", None), lambda: source_state(con, "rotates"))
    expect("each once", con.execute("SELECT n, ids FROM rotated").fetchone(), (20, 20))
    refused(con, "2BP01", "DROP SECRET rotating", "rotates")
    con.execute("DROP STREAM rotates CASCADE")


def everything_shown(con):
    """All rows of all catalogs and system views, as text."""
    relations = con.execute("SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                            " WHERE n.nspname IN ('pg_catalog', 'information_schema', 'millrace')").fetchall()
    return "\n".join(str(con.execute('SELECT t::text FROM "%s"."%s" t' % relation).fetchall()) for relation in relations)


def nothing_leaks(con, server, said):
    shown = everything_shown(con)
    expect("sources are shown", "ssl.ca.location" in shown or "plain" in shown, True)
    for password in [*USERS.values(), WRONG]:
        for form in (password, password.replace("'", "''"), password.replace("\\", "\\\\")):
            for where, text in (("a catalog", shown), ("the server's log", server.log_text()), ("an error", "\n".join(said))):
                if form in text:
                    at = text.index(form)
                    raise AssertionError("a password is in %s: ...%s..." % (where, text[max(0, at - 200):at + 50]))


def main():
    kafka_support.need_real("TLS and SASL")
    binary, said = sys.argv[1], []
    with harness.millrace(binary) as server:
        con = harness.connect_millrace(server)
        for name, password in USERS.items():
            con.execute("CREATE SECRET %s_password AS %s" % (name, literal(password)))
        con.execute("CREATE SECRET wrong AS '%s'" % WRONG)
        with kafka_support.cluster(binary, security=True) as cluster:
            tls = {"security.protocol": "SSL", "bootstrap.servers": cluster.tls, "ssl.ca.location": cluster.authority}
            bob = {"sasl.mechanism": "PLAIN", "sasl.username": "bob", "sasl.password": Secret("bob_password")}
            plain = {"security.protocol": "SASL_PLAINTEXT", "bootstrap.servers": cluster.sasl, **bob}
            both = {**tls, **bob, "security.protocol": "SASL_SSL", "bootstrap.servers": cluster.sasl_tls}
            round_trip(cluster, con, "tls", tls)
            round_trip(cluster, con, "client", {**tls, "ssl.certificate.location": cluster.client_certificate, "ssl.key.location": cluster.client_key})
            round_trip(cluster, con, "plain", plain)
            round_trip(cluster, con, "plain_tls", both)
            altered_secret_of_sink(cluster, con, plain)
            rotates(cluster, con, plain)

            def source(**options):
                return "CREATE STREAM failing (id bigint) " + with_options(cluster, topic="tls", format="json", **options)

            denied = ("28000", "28P01", "08001")
            said.append(fails(con, "a wrong password", source(**{**plain, "sasl.password": Secret("wrong")}), denied, "authentication"))
            said.append(fails(con, "a wrong password as it is", source(**{**plain, "sasl.password": WRONG}), denied, "authentication"))
            said.append(fails(con, "an unknown authority", source(**{**tls, "ssl.ca.location": cluster.client_certificate}), denied, "certificate"))
            said.append(fails(con, "no TLS at a TLS listener", source(**{"bootstrap.servers": cluster.tls}), denied, cluster.tls))
            said.append(fails(con, "a secret that is not there", source(**{**plain, "sasl.password": Secret("nothing")}), ("42704",), "nothing"))
            said.append(fails(con, "a file that is not there", source(**{**tls, "ssl.ca.location": "/nonexistent.pem"}), ("22023",), "ssl.ca.location"))
            said.append(fails(con, "a syntax error", source(**{**plain, "sasl.password": WRONG}) + " SYNTAX", ("42601",), ""))
            # all of it again after kill -9: the passwords are still known
            harness.restart_millrace(server, signal.SIGKILL)
            con = harness.connect_millrace(server)
            for name in ("tls", "client", "plain", "plain_tls"):
                cluster.produce(name, [Record('{"id": 200}', partition=0)])
                read_all(con, name, cluster, name)
                arrived(con, name + "_out")
                expect("records of the sink over " + name, len(cluster.read(name + "_out")) <= 201, True)
            nothing_leaks(con, server, said)
        until("sources say that the broker is gone", lambda: one(con, "SELECT count(error) FROM millrace.sources") == 4)
        nothing_leaks(con, server, said)
        with kafka_support.cluster(binary, security=True, version=kafka_support.SCRAM_VERSION) as cluster:
            alice = {"security.protocol": "SASL_PLAINTEXT", "bootstrap.servers": cluster.sasl, "sasl.mechanism": "SCRAM-SHA-256",
                     "sasl.username": "alice", "sasl.password": Secret("alice_password")}
            round_trip(cluster, con, "scram256", alice)
            round_trip(cluster, con, "scram512", {**alice, "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512",
                                                  "bootstrap.servers": cluster.sasl_tls, "ssl.ca.location": cluster.authority})
            said.append(fails(con, "a wrong SCRAM password", "CREATE STREAM failing (id bigint) " + with_options(
                cluster, topic="scram256", format="json", **{**alice, "sasl.password": Secret("wrong")}), ("28000", "28P01", "08001"), "authentication"))
            nothing_leaks(con, server, said)
    print("ok")


main()
