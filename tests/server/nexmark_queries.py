"""nexmark_queries.py: the Nexmark schema and queries q0 to q5, q7, q8: ours, and the same in plain PostgreSQL."""

SCHEMA = {
    "person": "id bigint, name text, email_address text, credit_card text, city text, state text, date_time timestamp, extra text",
    "auction": "id bigint, item_name text, description text, initial_bid bigint, reserve bigint, date_time timestamp,"
               " expires timestamp, seller bigint, category bigint, extra text",
    "bid": "auction bigint, bidder bigint, price bigint, channel text, url text, date_time timestamp, extra text",
}


def tumble(relation, size):
    return ("tumble(%s, date_time, INTERVAL '%s')" % (relation, size),
            "(SELECT *, date_bin('%s', date_time, '2000-01-01') AS window_start,"
            " date_bin('%s', date_time, '2000-01-01') + interval '%s' AS window_end FROM %s)" % (size, size, size, relation))


def hop(relation, slide, size, times):
    return ("hop(%s, date_time, INTERVAL '%s', INTERVAL '%s')" % (relation, slide, size),
            "(SELECT r.*, date_bin('%s', date_time, '2000-01-01') - n * interval '%s' AS window_start,"
            " date_bin('%s', date_time, '2000-01-01') - n * interval '%s' + interval '%s' AS window_end"
            " FROM %s r, generate_series(0, %d) n)" % (slide, slide, slide, slide, size, relation, times - 1))


def queries():
    """name -> (ours, PostgreSQL's)."""
    both = {
        "q0": "SELECT auction, bidder, price, date_time, extra FROM bid",
        "q1": "SELECT auction, bidder, 0.908 * price AS price, date_time, extra FROM bid",
        "q2": "SELECT auction, price FROM bid WHERE auction % 123 = 0",
        "q3": "SELECT p.name, p.city, p.state, a.id FROM auction a JOIN person p ON a.seller = p.id"
              " WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA')",
        "q4": "SELECT category, avg(final) AS price FROM (SELECT max(b.price) AS final, a.category FROM auction a, bid b"
              " WHERE a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires GROUP BY a.id, a.category) q"
              " GROUP BY category",
    }
    result = {name: (sql, sql) for name, sql in both.items()}
    q5 = ("SELECT a.auction, a.num, a.window_start FROM (SELECT auction, count(*) AS num, window_start, window_end FROM {w} w1"
          " GROUP BY auction, window_start, window_end) a JOIN (SELECT max(num) AS maxn, window_start, window_end FROM"
          " (SELECT count(*) AS num, window_start, window_end FROM {w} w2 GROUP BY auction, window_start, window_end) c"
          " GROUP BY window_start, window_end) m ON a.window_start = m.window_start AND a.window_end = m.window_end"
          " AND a.num >= m.maxn")
    result["q5"] = tuple(q5.format(w=w) for w in hop("bid", "2 seconds", "10 seconds", 5))
    q7 = ("SELECT b.auction, b.price, b.bidder, b.date_time, b.extra FROM bid b JOIN (SELECT max(price) AS maxprice, window_end"
          " FROM {w} w1 GROUP BY window_start, window_end) m ON b.price = m.maxprice"
          " AND b.date_time BETWEEN m.window_end - INTERVAL '10 seconds' AND m.window_end")
    result["q7"] = tuple(q7.format(w=w) for w in tumble("bid", "10 seconds"))
    q8 = ("SELECT p.id, p.name, p.window_start FROM (SELECT id, name, window_start, window_end FROM {p} w1"
          " GROUP BY id, name, window_start, window_end) p JOIN (SELECT seller, window_start, window_end FROM {a} w2"
          " GROUP BY seller, window_start, window_end) a ON p.id = a.seller AND p.window_start = a.window_start"
          " AND p.window_end = a.window_end")
    ours_p, theirs_p = tumble("person", "10 seconds")
    ours_a, theirs_a = tumble("auction", "10 seconds")
    result["q8"] = (q8.format(p=ours_p, a=ours_a), q8.format(p=theirs_p, a=theirs_a))
    return result
