"""nexmark_queries.py: the Nexmark schema and the queries q0 to q22 as in Flink's suite: ours, and the same in plain PostgreSQL.

Where Flink's suite leaves ties open (row_number() over equal prices), the time of the bid decides; no two bids have the same.
q6 follows the original (the average over a seller's last closed auctions), q10 is a view with the columns that a file sink would
partition by, q12 counts by arrival: the column p_time is when a row came in."""

from collections import namedtuple

SCHEMA = {
    "person": "id bigint, name text, email_address text, credit_card text, city text, state text, date_time timestamp, extra text",
    "auction": "id bigint, item_name text, description text, initial_bid bigint, reserve bigint, date_time timestamp,"
               " expires timestamp, seller bigint, category bigint, extra text",
    "bid": "auction bigint, bidder bigint, price bigint, channel text, url text, date_time timestamp, extra text",
}
ROWS = {"person": 1, "auction": 3, "bid": 46}  # of 50 events
ARRIVAL = ", p_time timestamptz DEFAULT now()"  # what q12 needs of bid besides

SIDE_INPUT = ("CREATE TABLE side_input (key bigint PRIMARY KEY, value text)",
              "INSERT INTO side_input SELECT n, n::text FROM generate_series(0, 9999) n")

# ours and PostgreSQL's text; streams: what it reads; tables: what must be there before
Query = namedtuple("Query", "ours postgres streams tables")


def rows_of(stream, events):
    """How many of so many Nexmark events (a multiple of 50) are rows of the stream."""
    return events // 50 * ROWS[stream]


def tumble(relation, column, size):
    return ("tumble(%s, %s, INTERVAL '%s')" % (relation, column, size),
            "(SELECT *, date_bin('{s}', {c}, '2000-01-01') AS window_start, date_bin('{s}', {c}, '2000-01-01') + interval '{s}'"
            " AS window_end FROM {r})".format(s=size, c=column, r=relation))


def hop(relation, column, slide, size, times):
    return ("hop(%s, %s, INTERVAL '%s', INTERVAL '%s')" % (relation, column, slide, size),
            "(SELECT r.*, date_bin('{s}', {c}, '2000-01-01') - n * interval '{s}' AS window_start,"
            " date_bin('{s}', {c}, '2000-01-01') - n * interval '{s}' + interval '{z}' AS window_end"
            " FROM {r} r, generate_series(0, {t}) n)".format(s=slide, z=size, c=column, r=relation, t=times - 1))


def session(relation, column, gap, key):
    return ("session(%s, %s, INTERVAL '%s', %s)" % (relation, column, gap, key),
            "(SELECT *, min({c}) OVER island AS window_start, max({c}) OVER island + interval '{g}' AS window_end"
            " FROM (SELECT *, count(*) FILTER (WHERE cut) OVER (PARTITION BY {k} ORDER BY {c}) AS island"
            " FROM (SELECT *, {c} - lag({c}) OVER (PARTITION BY {k} ORDER BY {c}) >= interval '{g}' AS cut FROM {r}) a) b"
            " WINDOW island AS (PARTITION BY {k}, island))".format(c=column, g=gap, k=key, r=relation))


RANKS = ("", " FILTER (WHERE price < 10000)", " FILTER (WHERE price >= 10000 AND price < 1000000)",
         " FILTER (WHERE price >= 1000000)")


def ranked(call, what):
    """The call over all rows and over three ranges of prices."""
    names = ("total", "rank1", "rank2", "rank3")
    return ", ".join("%s%s AS %s_%s" % (call, where, name, what) for name, where in zip(names, RANKS))


COUNTS = ranked("count(*)", "bids")
DISTINCTS = "%s, %s, %s" % (COUNTS, ranked("count(DISTINCT bidder)", "bidders"), ranked("count(DISTINCT auction)", "auctions"))
DAY = "to_char(date_time, 'YYYY-MM-DD')"
BID = "auction, bidder, price, channel, url, date_time, extra"
WINNING = "a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires"

# the same text on both sides
PLAIN = {
    "q0": ("bid", "SELECT auction, bidder, price, date_time, extra FROM bid"),
    "q1": ("bid", "SELECT auction, bidder, 0.908 * price AS price, date_time, extra FROM bid"),
    "q2": ("bid", "SELECT auction, price FROM bid WHERE auction % 123 = 0"),
    "q3": ("person auction", "SELECT p.name, p.city, p.state, a.id FROM auction a JOIN person p ON a.seller = p.id"
           " WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA')"),
    "q4": ("auction bid", "SELECT category, avg(final) AS price FROM (SELECT max(b.price) AS final, a.category"
           " FROM auction a, bid b WHERE " + WINNING + " GROUP BY a.id, a.category) q GROUP BY category"),
    "q6": ("auction bid", "SELECT seller, avg(final) OVER (PARTITION BY seller ORDER BY date_time ROWS BETWEEN 10 PRECEDING"
           " AND CURRENT ROW) AS price FROM (SELECT a.seller, b.price AS final, b.date_time, row_number() OVER"
           " (PARTITION BY a.id, a.seller ORDER BY b.price DESC, b.date_time) AS rank_number FROM auction a, bid b WHERE "
           + WINNING + ") q WHERE rank_number <= 1"),
    "q9": ("auction bid", "SELECT id, item_name, description, initial_bid, reserve, date_time, expires, seller, category, extra,"
           " auction, bidder, price, bid_date_time, bid_extra FROM (SELECT a.*, b.auction, b.bidder, b.price,"
           " b.date_time AS bid_date_time, b.extra AS bid_extra, row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC,"
           " b.date_time) AS rank_number FROM auction a, bid b WHERE " + WINNING + ") q WHERE rank_number <= 1"),
    "q10": ("bid", "SELECT auction, bidder, price, date_time, extra, " + DAY + " AS dt, to_char(date_time, 'HH24:MI') AS hm"
            " FROM bid"),
    "q13": ("bid", "SELECT b.auction, b.bidder, b.price, b.date_time, s.value FROM bid b JOIN side_input s"
            " ON b.auction % 10000 = s.key"),
    "q14": ("bid", "SELECT auction, bidder, 0.908 * price AS price, CASE"
            " WHEN extract(hour FROM date_time) >= 8 AND extract(hour FROM date_time) <= 18 THEN 'dayTime'"
            " WHEN extract(hour FROM date_time) <= 6 OR extract(hour FROM date_time) >= 20 THEN 'nightTime'"
            " ELSE 'otherTime' END AS bid_time_type, date_time, extra,"
            " length(extra) - length(replace(extra, 'c', '')) AS c_counts"
            " FROM bid WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000"),
    "q15": ("bid", "SELECT " + DAY + " AS day, " + DISTINCTS + " FROM bid GROUP BY " + DAY),
    "q16": ("bid", "SELECT channel, " + DAY + " AS day, max(to_char(date_time, 'HH24:MI')) AS minute, " + DISTINCTS +
            " FROM bid GROUP BY channel, " + DAY),
    "q17": ("bid", "SELECT auction, " + DAY + " AS day, " + COUNTS + ", min(price) AS min_price, max(price) AS max_price,"
            " avg(price) AS avg_price, sum(price) AS sum_price FROM bid GROUP BY auction, " + DAY),
    "q18": ("bid", "SELECT " + BID + " FROM (SELECT *, row_number() OVER (PARTITION BY bidder, auction ORDER BY date_time DESC)"
            " AS rank_number FROM bid) b WHERE rank_number <= 1"),
    "q19": ("bid", "SELECT " + BID + ", rank_number FROM (SELECT *, row_number() OVER (PARTITION BY auction ORDER BY price DESC,"
            " date_time) AS rank_number FROM bid) b WHERE rank_number <= 10"),
    "q20": ("auction bid", "SELECT b.auction, b.bidder, b.price, b.channel, b.url, b.date_time AS bid_date_time,"
            " b.extra AS bid_extra, a.item_name, a.description, a.initial_bid, a.reserve, a.date_time, a.expires, a.seller,"
            " a.category, a.extra FROM bid b JOIN auction a ON b.auction = a.id WHERE a.category = 10"),
    "q21": ("bid", "SELECT auction, bidder, price, channel, CASE WHEN lower(channel) = 'apple' THEN '0'"
            " WHEN lower(channel) = 'google' THEN '1' WHEN lower(channel) = 'facebook' THEN '2'"
            " WHEN lower(channel) = 'baidu' THEN '3' ELSE (regexp_match(url, '(&|^)channel_id=([^&]*)'))[2] END AS channel_id"
            " FROM bid WHERE (regexp_match(url, '(&|^)channel_id=([^&]*)'))[2] IS NOT NULL"
            " OR lower(channel) IN ('apple', 'google', 'facebook', 'baidu')"),
    "q22": ("bid", "SELECT auction, bidder, price, channel, split_part(url, '/', 4) AS dir1, split_part(url, '/', 5) AS dir2,"
            " split_part(url, '/', 6) AS dir3 FROM bid"),
}

# {0}, {1}: windows, which are written differently
WINDOWED = {
    "q5": ("bid", [hop("bid", "date_time", "2 seconds", "10 seconds", 5)],
           "SELECT a.auction, a.num, a.window_start FROM (SELECT auction, count(*) AS num, window_start, window_end FROM {0} w1"
           " GROUP BY auction, window_start, window_end) a JOIN (SELECT max(num) AS maxn, window_start, window_end FROM"
           " (SELECT count(*) AS num, window_start, window_end FROM {0} w2 GROUP BY auction, window_start, window_end) c"
           " GROUP BY window_start, window_end) m ON a.window_start = m.window_start AND a.window_end = m.window_end"
           " AND a.num >= m.maxn"),
    "q7": ("bid", [tumble("bid", "date_time", "10 seconds")],
           "SELECT b.auction, b.price, b.bidder, b.date_time, b.extra FROM bid b JOIN (SELECT max(price) AS maxprice, window_end"
           " FROM {0} w1 GROUP BY window_start, window_end) m ON b.price = m.maxprice"
           " AND b.date_time BETWEEN m.window_end - INTERVAL '10 seconds' AND m.window_end"),
    "q8": ("person auction", [tumble("person", "date_time", "10 seconds"), tumble("auction", "date_time", "10 seconds")],
           "SELECT p.id, p.name, p.window_start FROM (SELECT id, name, window_start, window_end FROM {0} w1"
           " GROUP BY id, name, window_start, window_end) p JOIN (SELECT seller, window_start, window_end FROM {1} w2"
           " GROUP BY seller, window_start, window_end) a ON p.id = a.seller AND p.window_start = a.window_start"
           " AND p.window_end = a.window_end"),
    "q11": ("bid", [session("bid", "date_time", "10 seconds", "bidder")],
            "SELECT bidder, count(*) AS bid_count, window_start, window_end FROM {0} w1"
            " GROUP BY bidder, window_start, window_end"),
    "q12": ("bid", [tumble("bid", "p_time", "10 seconds")],
            "SELECT bidder, count(*) AS bid_count, window_start, window_end FROM {0} w1"
            " GROUP BY bidder, window_start, window_end"),
}


def queries():
    """name -> Query, in order."""
    result = {name: Query(sql, sql, streams.split(), ()) for name, (streams, sql) in PLAIN.items()}
    q13 = result["q13"].postgres  # the table does not change while it is looked up: to PostgreSQL an ordinary join
    result["q13"] = Query(q13.replace("side_input s", "side_input FOR SYSTEM_TIME AS OF now() AS s"), q13, ["bid"], SIDE_INPUT)
    for name, (streams, windows, sql) in WINDOWED.items():
        result[name] = Query(sql.format(*[ours for ours, _ in windows]), sql.format(*[theirs for _, theirs in windows]),
                             streams.split(), ())
    return dict(sorted(result.items(), key=lambda item: int(item[0][1:])))
