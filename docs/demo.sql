-- demo.sql: what ./dev demo runs: a generated auction (Nexmark's bids) and two windowed views over it.
CREATE STREAM bid (auction bigint, bidder bigint, price bigint, channel text, url text, date_time timestamp, extra text,
    WATERMARK FOR date_time AS date_time - INTERVAL '1 second')
  WITH (connector = 'generator', kind = 'nexmark', relation = 'bid', rate = '2000', seed = '1');
CREATE MATERIALIZED VIEW bids_per_window AS
  SELECT window_start, count(*) AS bids, round(avg(price), 2) AS avg_price
  FROM tumble(bid, date_time, INTERVAL '1 second') GROUP BY window_start;
CREATE MATERIALIZED VIEW hot_auctions AS
  SELECT window_start, auction, count(*) AS bids
  FROM hop(bid, date_time, INTERVAL '1 second', INTERVAL '2 seconds') GROUP BY window_start, auction;
