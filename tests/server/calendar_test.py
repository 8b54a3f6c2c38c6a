"""calendar_test.py MILLRACE: windows of days, months and hours in time zones, against a model that walks through time minute by
minute with Python's zoneinfo: around changes of the clock, skipped days, midnights that are missing or come twice."""

import bisect
import datetime
import os
import sys
import zoneinfo

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

MINUTE = datetime.timedelta(minutes=1)
DAY = 1440  # minutes
PLACES = [  # zone, a date near which the clock changes
    ("Europe/Berlin", "2025-03-30"), ("Europe/Berlin", "2025-10-26"), ("America/New_York", "2025-03-09"),
    ("America/New_York", "2025-11-02"), ("Australia/Lord_Howe", "2025-04-06"), ("Australia/Lord_Howe", "2025-10-05"),
    ("Pacific/Apia", "2011-12-30"), ("America/Havana", "2025-03-09"), ("America/Havana", "2025-11-02"),
    ("America/St_Johns", "2006-04-02"), ("America/St_Johns", "2006-10-29"), ("America/Sao_Paulo", "2018-11-04"),
    ("America/Sao_Paulo", "2018-02-18"), ("Asia/Kathmandu", "2025-01-01"), ("Europe/Berlin", "1916-05-01"), ("Africa/Cairo", "2024-10-31"),
]
CLOCK = [(30, 0), (60, 0), (60, 20), (240, 0), (300, 0), (90, -15), (720, 0)]  # minutes: size, offset
DAYS = [(1, 1, 0), (1, 1, 360), (7, 7, 0), (2, 2, 0), (1, 3, 0), (7, 14, 0), (1, 2, -90)]  # slide, size in days; offset in minutes
MONTHS = [(1, 1, 0), (2, 2, 1), (1, 2, 0)]
CUMULATE = [("1 hour", 60, 1), ("6 hours", 360, 1), ("1 day", DAY, 7)]


class Model:
    """The local clock of a zone at every minute of some weeks."""

    def __init__(self, zone, around):
        tz = zoneinfo.ZoneInfo(zone)
        self.start = datetime.datetime.fromisoformat(around).replace(tzinfo=datetime.timezone.utc) - datetime.timedelta(days=120)
        epoch = datetime.datetime(1970, 1, 1)
        self.local = []  # minutes since 1970 that the clock shows

        def shown(minute):
            return ((self.start + minute * MINUTE).astimezone(tz).replace(tzinfo=None) - epoch) // MINUTE

        for day in range(0, 250 * DAY, DAY):  # a day whose ends fit together has no change
            first = shown(day)
            whole = shown(day + DAY) == first + DAY
            self.local += range(first, first + DAY) if whole else map(shown, range(day, day + DAY))
        self.jumps = [i for i in range(1, len(self.local)) if self.local[i] != self.local[i - 1] + 1]

    def clock(self, size, offset):
        """Minutes at which windows begin."""
        bounds = []
        for begin, end in zip([0] + self.jumps, self.jumps + [len(self.local)]):
            if begin > 0:
                shown, passed = self.local[begin] - offset, range(self.local[begin - 1] + 1 - offset, self.local[begin] + 1 - offset)
                if (shown % DAY) % size == 0 or any((m % DAY) % size == 0 for m in passed):
                    bounds.append(begin)
            first, behind = self.local[begin] + 1 - offset, self.local[begin] + end - begin - offset  # minute by minute from here on
            for day in range(first - first % DAY, behind, DAY):
                bounds += [minute - first + begin + 1 for minute in range(day, day + DAY, size) if first <= minute < behind]
        return bounds

    def first(self, local):
        """The first minute at which the clock shows a time or is beyond it; None beyond the weeks known."""
        if not hasattr(self, "reached"):
            self.reached, highest = [], None  # (highest so far, minute)
            for i, l in enumerate(self.local):
                if highest is None or l > highest:
                    highest = l
                    self.reached.append((l, i))
            self.keys = [l for l, _ in self.reached]
        at = bisect.bisect_left(self.keys, local)
        return self.reached[at][1] if 0 < at < len(self.reached) else None

    def units(self, starts, slide, size):
        """(start, end) of all windows; starts: number -> local minute."""
        low, high = self.local[0] // DAY, self.local[-1] // DAY
        out = []
        for number in starts(low, high, slide):
            a, b, after = (self.first(starts.minute(n)) for n in (number, number + size, number + slide))
            if a is not None and b is not None and after is not None and a < after:
                out.append((a, b))
        return out


class Days:
    def __init__(self, offset):
        self.offset = offset

    def __call__(self, low, high, slide):
        origin = 4 if slide % 7 == 0 else 0
        return range(low - (low - origin) % slide - 3 * slide, high + 1, slide)

    def minute(self, day):
        return day * DAY + self.offset


class Months:
    def __init__(self, offset):
        self.offset = offset

    def __call__(self, low, high, slide):
        first = datetime.date(1970, 1, 1) + datetime.timedelta(days=low)
        last = datetime.date(1970, 1, 1) + datetime.timedelta(days=high)
        a, b = first.year * 12 + first.month - 1, last.year * 12 + last.month
        return range(a - a % slide - 3 * slide, b, slide)

    def minute(self, month):
        month += self.offset
        return (datetime.date(month // 12, month % 12 + 1, 1) - datetime.date(1970, 1, 1)).days * DAY


def check(conn, sql, model, windows, samples):
    """The windows of each sample; only windows the model knows are compared."""
    known = sorted(windows)
    starts = [a for a, _ in known]
    longest = max(b - a for a, b in known)
    want = sorted((i, a, b) for i in samples for a, b in known[bisect.bisect_left(starts, i - longest):bisect.bisect_right(starts, i)] if i < b)
    first, last = min(starts), max(b for _, b in known)
    got = sorted(r for r in conn.execute(sql).fetchall() if r[1] >= first and r[2] <= last)
    want = [w for w in want if w[1] >= first and w[2] <= last]
    if got != want:
        missing, more = sorted(set(want) - set(got))[:5], sorted(set(got) - set(want))[:5]
        show = lambda rows: [tuple(str(model.start + x * MINUTE) for x in row) for row in rows]  # noqa: E731
        sys.exit("%s\n missing: %s\n too many: %s" % (sql, show(missing), show(more)))
    return len(want)


def main():
    checked = 0
    with harness.millrace(sys.argv[1]) as server:
        conn = harness.connect_millrace(server)
        conn.execute("SET TimeZone = 'UTC'")
        conn.execute("CREATE TABLE t (i int, ts timestamptz)")
        for zone, around in PLACES[:: 1 if "--all" in sys.argv else 2]:
            model = Model(zone, around)
            middle = 120 * DAY
            samples = sorted(set(list(range(middle - 2 * DAY, middle + 3 * DAY, 29)) + list(range(middle - 40 * DAY, middle + 40 * DAY, 997))))
            if harness.SMALL:
                samples = samples[::4]
            conn.execute("TRUNCATE t")
            conn.execute("INSERT INTO t SELECT i, timestamptz '%s' + i * interval '1 minute' FROM unnest(ARRAY[%s]) i" % (
                model.start, ",".join(map(str, samples))))
            out = ["extract(epoch FROM %s - timestamptz '%s')::int8 / 60" % (c, model.start) for c in ("window_start", "window_end")]

            def run(call, windows):
                return check(conn, "SELECT i, %s FROM %s" % (", ".join(out), call), model, windows, samples)

            for size, offset in CLOCK:
                bounds = model.clock(size, offset)
                checked += run("tumble(t, ts, INTERVAL '%d minutes', timezone => '%s', \"offset\" => INTERVAL '%d minutes')" % (
                    size, zone, offset), list(zip(bounds, bounds[1:])))
            for slide, size, offset in DAYS:
                windows = model.units(Days(offset), slide, size)
                checked += run("hop(t, ts, INTERVAL '%d days', INTERVAL '%d days', INTERVAL '%d minutes', '%s')" % (slide, size, offset, zone), windows)
                if slide == size:
                    checked += run("tumble(t, ts, INTERVAL '%d days', INTERVAL '%d minutes', '%s')" % (slide, offset, zone), windows)
            for slide, size, offset in MONTHS:
                checked += run("hop(t, ts, INTERVAL '%d months', INTERVAL '%d months', INTERVAL '%d months', '%s')" % (slide, size, offset, zone),
                               model.units(Months(offset), slide, size))
            for text, step, days in CUMULATE:
                windows = []
                bounds = model.clock(step, 0) if step < DAY else [a for a, _ in model.units(Days(0), 1, 1)]
                for a, b in model.units(Days(0), days, days):
                    windows += [(a, e) for e in sorted(set([x for x in bounds if a < x < b] + [b]))]
                checked += run("cumulate(t, ts, INTERVAL '%s', INTERVAL '%d days', timezone => '%s')" % (text, days, zone), windows)
        conn.close()
    print("%d windows of rows compared" % checked)


main()
