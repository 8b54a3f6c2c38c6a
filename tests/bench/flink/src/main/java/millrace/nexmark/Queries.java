package millrace.nexmark;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * The queries q0 to q22 of Flink's Nexmark suite. `date_time` is exact to the microsecond; `rowtime` is the same in
 * milliseconds and carries the watermark, so it stands wherever Flink asks for event time (windows, deduplication).
 */
final class Queries {
    static final Map<String, String> SCHEMA = new LinkedHashMap<>();
    private static final Map<String, String> QUERIES = new LinkedHashMap<>();

    static {
        SCHEMA.put("person", "id BIGINT, name STRING, email_address STRING, credit_card STRING, city STRING, state STRING,"
                + " date_time TIMESTAMP(6), extra STRING");
        SCHEMA.put("auction", "id BIGINT, item_name STRING, description STRING, initial_bid BIGINT, reserve BIGINT,"
                + " date_time TIMESTAMP(6), expires TIMESTAMP(6), seller BIGINT, category BIGINT, extra STRING");
        SCHEMA.put("bid", "auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, date_time TIMESTAMP(6),"
                + " extra STRING");
        /* the rows themselves, to compare them with ours */
        QUERIES.put("person", "SELECT id, name, email_address, credit_card, city, state, date_time, extra FROM person");
        QUERIES.put("auction", "SELECT id, item_name, description, initial_bid, reserve, date_time, expires, seller, category,"
                + " extra FROM auction");
        QUERIES.put("bid", "SELECT auction, bidder, price, channel, url, date_time, extra FROM bid");

        QUERIES.put("q0", "SELECT auction, bidder, price, date_time, extra FROM bid");
        QUERIES.put("q1", "SELECT auction, bidder, 0.908 * price AS price, date_time, extra FROM bid");
        QUERIES.put("q2", "SELECT auction, price FROM bid WHERE MOD(auction, 123) = 0");
        QUERIES.put("q3", """
                SELECT P.name, P.city, P.state, A.id FROM auction AS A INNER JOIN person AS P ON A.seller = P.id
                WHERE A.category = 10 AND (P.state = 'OR' OR P.state = 'ID' OR P.state = 'CA')""");
        QUERIES.put("q4", """
                SELECT Q.category, AVG(Q.final) AS price FROM (
                    SELECT MAX(B.price) AS final, A.category FROM auction A, bid B
                    WHERE A.id = B.auction AND B.date_time BETWEEN A.date_time AND A.expires
                    GROUP BY A.id, A.category) Q
                GROUP BY Q.category""");
        QUERIES.put("q5", """
                SELECT AuctionBids.auction, AuctionBids.num, AuctionBids.starttime FROM (
                    SELECT auction, count(*) AS num, window_start AS starttime, window_end AS endtime
                    FROM TABLE(HOP(TABLE bid, DESCRIPTOR(rowtime), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
                    GROUP BY auction, window_start, window_end) AS AuctionBids
                JOIN (
                    SELECT max(CountBids.num) AS maxn, CountBids.starttime, CountBids.endtime FROM (
                        SELECT count(*) AS num, window_start AS starttime, window_end AS endtime
                        FROM TABLE(HOP(TABLE bid, DESCRIPTOR(rowtime), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
                        GROUP BY auction, window_start, window_end) AS CountBids
                    GROUP BY CountBids.starttime, CountBids.endtime) AS MaxBids
                ON AuctionBids.starttime = MaxBids.starttime AND AuctionBids.endtime = MaxBids.endtime
                    AND AuctionBids.num >= MaxBids.maxn""");
        QUERIES.put("q6", """
                SELECT Q.seller, AVG(Q.price) OVER (
                    PARTITION BY Q.seller ORDER BY Q.bid_time ROWS BETWEEN 10 PRECEDING AND CURRENT ROW) AS price
                FROM (
                    SELECT id, seller, price, bid_time FROM (
                        SELECT A.id, A.seller, B.price, B.rowtime AS bid_time,
                            ROW_NUMBER() OVER (PARTITION BY A.id, A.seller ORDER BY B.price DESC) AS rownum
                        FROM auction AS A, bid AS B
                        WHERE A.id = B.auction AND B.date_time BETWEEN A.date_time AND A.expires)
                    WHERE rownum <= 1) AS Q""");
        QUERIES.put("q7", """
                SELECT B.auction, B.price, B.bidder, B.date_time, B.extra FROM bid B
                JOIN (
                    SELECT MAX(price) AS maxprice, window_end AS endtime
                    FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(rowtime), INTERVAL '10' SECOND))
                    GROUP BY window_start, window_end) B1
                ON B.price = B1.maxprice
                WHERE B.date_time BETWEEN B1.endtime - INTERVAL '10' SECOND AND B1.endtime""");
        QUERIES.put("q8", """
                SELECT P.id, P.name, P.starttime FROM (
                    SELECT id, name, window_start AS starttime, window_end AS endtime
                    FROM TABLE(TUMBLE(TABLE person, DESCRIPTOR(rowtime), INTERVAL '10' SECOND))
                    GROUP BY id, name, window_start, window_end) P
                JOIN (
                    SELECT seller, window_start AS starttime, window_end AS endtime
                    FROM TABLE(TUMBLE(TABLE auction, DESCRIPTOR(rowtime), INTERVAL '10' SECOND))
                    GROUP BY seller, window_start, window_end) A
                ON P.id = A.seller AND P.starttime = A.starttime AND P.endtime = A.endtime""");
        QUERIES.put("q9", """
                SELECT id, item_name, description, initial_bid, reserve, date_time, expires, seller, category, extra, auction,
                    bidder, price, bid_date_time, bid_extra FROM (
                    SELECT A.*, B.auction, B.bidder, B.price, B.date_time AS bid_date_time, B.extra AS bid_extra,
                        ROW_NUMBER() OVER (PARTITION BY A.id ORDER BY B.price DESC, B.date_time ASC) AS rownum
                    FROM auction A, bid B
                    WHERE A.id = B.auction AND B.date_time BETWEEN A.date_time AND A.expires)
                WHERE rownum <= 1""");
        QUERIES.put("q10", """
                SELECT auction, bidder, price, date_time, extra, DATE_FORMAT(date_time, 'yyyy-MM-dd') AS dt,
                    DATE_FORMAT(date_time, 'HH:mm') AS hm FROM bid""");
        QUERIES.put("q11", """
                SELECT bidder, count(*) AS bid_count, window_start AS starttime, window_end AS endtime
                FROM TABLE(SESSION(TABLE bid PARTITION BY bidder, DESCRIPTOR(rowtime), INTERVAL '10' SECOND))
                GROUP BY bidder, window_start, window_end""");
        QUERIES.put("q12", """
                SELECT bidder, count(*) AS bid_count, window_start AS starttime, window_end AS endtime
                FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(p_time), INTERVAL '10' SECOND))
                GROUP BY bidder, window_start, window_end""");
        QUERIES.put("q13", """
                SELECT B.auction, B.bidder, B.price, B.date_time, S.`value` FROM bid AS B
                JOIN side_input FOR SYSTEM_TIME AS OF B.p_time AS S ON MOD(B.auction, 10000) = S.key""");
        QUERIES.put("q14", """
                SELECT auction, bidder, 0.908 * price AS price,
                    CASE WHEN HOUR(date_time) >= 8 AND HOUR(date_time) <= 18 THEN 'dayTime'
                         WHEN HOUR(date_time) <= 6 OR HOUR(date_time) >= 20 THEN 'nightTime'
                         ELSE 'otherTime' END AS bid_time_type,
                    date_time, extra, count_char(extra, 'c') AS c_counts
                FROM bid WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000""");
        String ranks = """
                    count(*) AS total_bids,
                    count(*) FILTER (WHERE price < 10000) AS rank1_bids,
                    count(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2_bids,
                    count(*) FILTER (WHERE price >= 1000000) AS rank3_bids""";
        String distinct = ranks + """
                ,
                    count(DISTINCT bidder) AS total_bidders,
                    count(DISTINCT bidder) FILTER (WHERE price < 10000) AS rank1_bidders,
                    count(DISTINCT bidder) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2_bidders,
                    count(DISTINCT bidder) FILTER (WHERE price >= 1000000) AS rank3_bidders,
                    count(DISTINCT auction) AS total_auctions,
                    count(DISTINCT auction) FILTER (WHERE price < 10000) AS rank1_auctions,
                    count(DISTINCT auction) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2_auctions,
                    count(DISTINCT auction) FILTER (WHERE price >= 1000000) AS rank3_auctions
                """;
        QUERIES.put("q15", "SELECT DATE_FORMAT(date_time, 'yyyy-MM-dd') AS `day`,\n" + distinct
                + "FROM bid GROUP BY DATE_FORMAT(date_time, 'yyyy-MM-dd')");
        QUERIES.put("q16", "SELECT channel, DATE_FORMAT(date_time, 'yyyy-MM-dd') AS `day`,"
                + " max(DATE_FORMAT(date_time, 'HH:mm')) AS `minute`,\n" + distinct
                + "FROM bid GROUP BY channel, DATE_FORMAT(date_time, 'yyyy-MM-dd')");
        QUERIES.put("q17", "SELECT auction, DATE_FORMAT(date_time, 'yyyy-MM-dd') AS `day`,\n" + ranks
                + ",\n min(price) AS min_price, max(price) AS max_price, avg(price) AS avg_price, sum(price) AS sum_price\n"
                + "FROM bid GROUP BY auction, DATE_FORMAT(date_time, 'yyyy-MM-dd')");
        QUERIES.put("q18", """
                SELECT auction, bidder, price, channel, url, date_time, extra FROM (
                    SELECT auction, bidder, price, channel, url, date_time, extra,
                        ROW_NUMBER() OVER (PARTITION BY bidder, auction ORDER BY rowtime DESC) AS rank_number
                    FROM bid)
                WHERE rank_number <= 1""");
        QUERIES.put("q19", """
                SELECT auction, bidder, price, channel, url, date_time, extra, rank_number FROM (
                    SELECT auction, bidder, price, channel, url, date_time, extra,
                        ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC) AS rank_number
                    FROM bid)
                WHERE rank_number <= 10""");
        QUERIES.put("q20", """
                SELECT B.auction, B.bidder, B.price, B.channel, B.url, B.date_time AS bid_date_time, B.extra AS bid_extra,
                    A.item_name, A.description, A.initial_bid, A.reserve, A.date_time, A.expires, A.seller, A.category, A.extra
                FROM bid AS B INNER JOIN auction AS A ON B.auction = A.id WHERE A.category = 10""");
        QUERIES.put("q21", """
                SELECT auction, bidder, price, channel,
                    CASE WHEN lower(channel) = 'apple' THEN '0' WHEN lower(channel) = 'google' THEN '1'
                         WHEN lower(channel) = 'facebook' THEN '2' WHEN lower(channel) = 'baidu' THEN '3'
                         ELSE REGEXP_EXTRACT(url, '(&|^)channel_id=([^&]*)', 2) END AS channel_id
                FROM bid WHERE REGEXP_EXTRACT(url, '(&|^)channel_id=([^&]*)', 2) IS NOT NULL
                    OR lower(channel) IN ('apple', 'google', 'facebook', 'baidu')""");
        QUERIES.put("q22", """
                SELECT auction, bidder, price, channel, SPLIT_INDEX(url, '/', 3) AS dir1, SPLIT_INDEX(url, '/', 4) AS dir2,
                    SPLIT_INDEX(url, '/', 5) AS dir3 FROM bid""");
    }

    private Queries() {
    }

    /** Null: there is no such query. */
    static String sql(String name) {
        return QUERIES.get(name);
    }

    /** Whether the query reads the relation. */
    static boolean reads(String sql, String relation) {
        return Pattern.compile("\\b(FROM|JOIN|TABLE) " + relation + "\\b|, " + relation + " (AS )?B\\b").matcher(sql).find();
    }
}
