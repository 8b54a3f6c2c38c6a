"""event_time.py MILLRACE [--events N] [--workers N]: generated events run through operators that forget behind the watermark; their state
must stay flat.

Every view keeps state for all rows and shows none of them, so that what grows is state and not results. State and resident memory
are printed 20 times; the state of a view may not exceed its greatest value of the first quarter by more than half."""

import argparse
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
import harness  # noqa: E402
from nexmark_queries import ROWS, SCHEMA  # noqa: E402

VIEWS = {
    "tumble": "SELECT window_end, bidder, count(*) FROM tumble(bid, date_time, INTERVAL '1 second')"
              " GROUP BY window_end, bidder HAVING count(*) < 0",
    "hop": "SELECT window_end, auction, count(*) FROM hop(bid, date_time, INTERVAL '1 second', INTERVAL '5 seconds')"
           " GROUP BY window_end, auction HAVING count(*) < 0",
    "session": "SELECT bidder, window_end, count(*) FROM session(bid, date_time, INTERVAL '1 second', bidder)"
               " GROUP BY bidder, window_end, window_start HAVING count(*) < 0",
    "dedup": "SELECT date_time, bidder, auction FROM bid GROUP BY date_time, bidder, auction HAVING count(*) < 0",
    "over": "SELECT bidder, l FROM (SELECT bidder, price, lag(price) OVER (PARTITION BY bidder % 1000 ORDER BY date_time) AS l"
            " FROM bid) t WHERE l < price - price",
    "interval": "SELECT a.id FROM auction a JOIN bid b ON a.id = b.auction AND b.date_time BETWEEN a.date_time"
                " AND a.date_time + INTERVAL '2 seconds' WHERE a.id + b.price < 0",
}


def resident_mb(pid):
    with open("/proc/%d/status" % pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) // 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--events", type=int, default=50_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--views", default=",".join(VIEWS))
    args = parser.parse_args()
    names = args.views.split(",")
    with harness.millrace(args.binary, "--workers", str(args.workers)) as server, harness.connect_millrace(server) as con:
        for stream in ("auction", "bid"):
            con.execute("CREATE STREAM %s (%s, WATERMARK FOR date_time AS date_time - INTERVAL '1 second') WITH (connector ="
                        " 'generator', events = '%d', seed = '7', retention = '0', paused = 'true', align = 'soak',"
                        " max_skew = '1 second')"
                        % (stream, SCHEMA[stream], args.events))
        for name in names:
            con.execute("CREATE MATERIALIZED VIEW v_%s WITH (late = 'drop') AS %s" % (name, VIEWS[name]))
        for stream in ("auction", "bid"):
            con.execute("ALTER STREAM %s SET (paused = 'false')" % stream)
        wanted = args.events // 50 * ROWS["bid"]
        print("%12s %8s" % ("bids", "RSS MB"), *("%12s" % name for name in names))
        greatest, step, failed = {}, 0, []
        while step < 20:
            time.sleep(0.2)
            rows = con.execute("SELECT rows FROM millrace.sources WHERE relation = 'bid'").fetchone()[0]
            if rows < wanted * (step + 1) // 20:
                continue
            step += 1
            state = dict(con.execute("SELECT name, state_bytes FROM millrace.relations").fetchall())
            print("%12d %8d" % (rows, resident_mb(server.pid)), *("%12d" % state["v_" + name] for name in names), flush=True)
            for name in names:
                bytes_now = state["v_" + name]
                if step <= 5:
                    greatest[name] = max(bytes_now, greatest.get(name, 0))
                elif bytes_now > greatest[name] * 3 // 2 and name not in failed:
                    failed.append(name)
        if failed:
            print("state grows: " + ", ".join(failed))
            return 1
    return 0


sys.exit(main())
