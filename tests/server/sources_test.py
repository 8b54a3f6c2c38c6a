"""sources_test.py MILLRACE [SERVER OPTIONS]

Sources that keep no rows, over kill -9: views made before, between and after rows came hold after each restart exactly what they
held before, and in the end the rows of the generator once each. A row's arrival time comes back as it was."""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

EVENTS = 20000 if harness.SMALL else 100000
BIDS = EVENTS // 50 * 46


def one(con, sql):
    return con.execute(sql).fetchone()


def state(con):
    """One snapshot: what the views hold that follows from the definition times and the position alone."""
    return one(con, "SELECT (SELECT n FROM total), (SELECT n FROM between_), (SELECT sum(n) FROM joined),"
                    " (SELECT md5(string_agg(t::text, ',' ORDER BY auction)) FROM by_auction t),"
                    " (SELECT first FROM total), (SELECT string_agg(a::text, ',' ORDER BY a) FROM arrivals)")


def main():
    binary, options = sys.argv[1], sys.argv[2:]
    with harness.temp_dir() as base:
        data = os.path.join(base, "data")
        server = harness.start_millrace(binary, data, *options)
        con = harness.connect_millrace(server)
        con.execute("CREATE SOURCE bid (auction bigint, bidder bigint, price bigint, channel text, date_time timestamp,"
                    " arrived timestamptz DEFAULT now()) WITH (connector = 'generator', events = '%d', rate = '%d', seed = '7',"
                    " paused = 'true')" % (EVENTS, EVENTS // 4))
        con.execute("CREATE TABLE channels (name text PRIMARY KEY, factor int)")
        con.execute("CREATE MATERIALIZED VIEW total AS SELECT count(*) AS n, min(arrived) AS first FROM bid")
        con.execute("CREATE VIEW plain AS SELECT auction, price FROM bid")
        con.execute("CREATE MATERIALIZED VIEW by_auction AS SELECT auction, count(*) AS n, max(price) AS price FROM plain GROUP BY auction")
        con.execute("CREATE MATERIALIZED VIEW arrivals AS SELECT DISTINCT arrived AS a FROM bid")
        con.execute("ALTER SOURCE bid SET (paused = 'false')")
        while one(con, "SELECT n FROM total")[0] < BIDS // 8:
            time.sleep(0.01)
        con.execute("CREATE MATERIALIZED VIEW joined AS SELECT name, sum(factor) AS n FROM bid JOIN channels ON name = channel GROUP BY name")
        con.execute("INSERT INTO channels VALUES ('Apple', 1), ('Google', 1)")
        con.execute("CREATE MATERIALIZED VIEW between_ AS SELECT count(*) AS n FROM bid")
        con.execute("ALTER MATERIALIZED VIEW by_auction RENAME TO other")
        con.execute("ALTER MATERIALIZED VIEW other RENAME TO by_auction")
        missed = None
        for round_ in range(4):
            time.sleep(0.3)
            con.execute("ALTER SOURCE bid SET (paused = 'true')")
            while one(con, "SELECT state FROM millrace.sources")[0] != "paused":
                time.sleep(0.01)
            if round_ == 1:
                con.execute("UPDATE channels SET factor = 2 WHERE name = 'Apple'")
            before = state(con)
            con.close()
            server.stop(signal.SIGKILL)
            server = harness.start_millrace(binary, data, *options)
            con = harness.connect_millrace(server)
            after = state(con)
            if before != after:
                sys.exit("round %d: after the restart the views differ:\n%s\n%s" % (round_, before, after))
            if missed not in (None, after[0] - after[1]):
                sys.exit("a view has rows from before it was made: %d, not %d missing" % (after[0] - after[1], missed))
            missed = after[0] - after[1]
            con.execute("ALTER SOURCE bid SET (paused = 'false')")
            if round_ == 2:  # killed while rows come
                time.sleep(0.2)
                con.close()
                server.stop(signal.SIGKILL)
                server = harness.start_millrace(binary, data, *options)
                con = harness.connect_millrace(server)
        while one(con, "SELECT state FROM millrace.sources")[0] != "ended":
            time.sleep(0.02)
        n, later = one(con, "SELECT (SELECT n FROM total), (SELECT n FROM between_)")
        if n != BIDS or n - later != missed or not 0 < missed < BIDS:
            sys.exit("%d of %d rows; %d missed, expected %s" % (n, BIDS, n - later, missed))
        bytes_ = os.path.getsize(os.path.join(data, "log.db"))
        con.close()
        if server.stop() != 0:
            sys.exit(server.log_text())
        print("%d rows over 5 kills, %d of them before a view was made; log.db %d bytes" % (n, missed, bytes_))


main()
