"""consistency.py: the internal-consistency test: every state a client can see is right for some prefix of the input, whichever way
rows come in (server/consistency_test.py, kafka/consistency_test.py).

Transfers between ten accounts arrive out of order in ticks of 1, 7, 1,000 and 100,000 rows while readers poll and change streams are
followed. Checks (I1 to I9): totals are always 0, statements see one tick, no false NULL of an outer join, at most one delete and
one insert per key and tick, change streams fold to the view, counts never fall, own writes are seen, transactions are never half
there, and sampled states equal a recomputation from exactly the rows they accepted.

Change streams show every tick. A read costs as much as there are rows, so readers do not read as often as they can (with small
ticks that takes many times as long as all the rest) but beside a fixed number of ticks, spread over the whole input."""

import queue
import random
import threading
from collections import Counter

import harness

N = 20000 if harness.SMALL else 100000
POLLED_TICKS = 500  # beside each: reads until it is committed, at least POLLS
POLLS = 5
SNAPSHOT_TICKS = 250
SAMPLES = 20  # of the snapshots: with all rows they accepted
EXPECTED = {
    100000: ([10013, 10125, 10109, 9926, 10025, 9885, 10010, 9944, 9863, 10100],
             [9978, 10013, 10045, 9833, 9966, 9853, 10079, 9990, 10261, 9982]),
}
TABLE = "CREATE TABLE transactions (id bigint, from_account int, to_account int, amount double precision, ts timestamp)"
VIEWS = """
CREATE MATERIALIZED VIEW accepted AS SELECT id FROM transactions;
CREATE MATERIALIZED VIEW outer_join AS
  SELECT t1.id, t2.id AS other_id FROM transactions t1 LEFT JOIN transactions t2 ON t1.id = t2.id;
CREATE MATERIALIZED VIEW credits AS SELECT to_account AS account, sum(amount) AS credits FROM transactions GROUP BY to_account;
CREATE MATERIALIZED VIEW debits AS SELECT from_account AS account, sum(amount) AS debits FROM transactions GROUP BY from_account;
CREATE MATERIALIZED VIEW balance AS
  SELECT credits.account, credits - debits AS balance FROM credits, debits WHERE credits.account = debits.account;
CREATE MATERIALIZED VIEW total AS SELECT sum(balance) AS total FROM balance;
CREATE MATERIALIZED VIEW total0 AS
  SELECT sum(coalesce(credits, 0) - coalesce(debits, 0)) AS total FROM credits FULL JOIN debits USING (account);
"""


def transfers(n):
    rng = random.Random(42)
    rows = []
    for i in range(n):
        delay = rng.uniform(0, 10)
        a, b = rng.randint(0, 9), rng.randint(0, 9)
        second = 60 * i / n
        rows.append((int(second) + delay, i, a, b, second))
    rows.sort()
    return [(i, a, b, "2021-01-01 00:%02d:%09.6f" % (s // 60, s % 60)) for _, i, a, b, s in rows]


class Failure(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Failure(what)


class Turns:
    """The ticks beside which a reader reads: the writer hands them out as it begins with them, then goes on."""

    def __init__(self, ticks, count):
        self.ticks = set(random.Random(ticks).sample(range(ticks), min(ticks, count)))
        self.given = queue.SimpleQueue()

    def begin(self, tick):
        if tick in self.ticks:
            self.given.put(tick)

    def end(self):
        self.given.put(None)

    def __iter__(self):
        return iter(self.given.get, None)


class Run:
    """Rows go in by method write, which others override: ticks must begin and end there."""

    table = TABLE
    whole_ticks = True  # a tick is seen with all its rows or not at all

    def __init__(self, server, rows, batch, how):
        self.server, self.rows, self.batch, self.how = server, rows, batch, how
        self.ticks = -(-len(rows) // batch)
        self.committed = 0  # ticks
        self.poll_turns, self.snapshot_turns = Turns(self.ticks, POLLED_TICKS), Turns(self.ticks, SNAPSHOT_TICKS)
        self.done = threading.Event()
        self.total_stream = harness.Wire(server)
        self.followed = [self.total_stream]  # connections with change streams
        self.errors = []
        self.states = 0
        self.different = set()  # numbers of rows accepted in them
        self.snapshots_taken = 0
        self.samples = 0
        self.changes = []  # of each stream
        self.by_id = {r[0]: r for r in rows}

    def finish(self):
        self.done.set()
        self.poll_turns.end()
        self.snapshot_turns.end()

    def thread(self, fn, *args):
        def body():
            try:
                fn(*args)
            except BaseException as e:  # noqa: B902
                self.errors.append("%s%s: %s: %s" % (fn.__name__, args[:1], type(e).__name__, e))
                self.finish()
                for con in self.followed:
                    con.cancel()
        t = threading.Thread(target=body)
        t.start()
        return t

    def beside(self, turns, least):
        """Yields (tick, True when it is the turn's first) as often as the reader should read: until the tick is committed, and at
        least so often. Turns the reader comes to after the last tick are left out, as all would show the same; then one more."""
        for tick in turns:
            n = 0
            while self.committed < self.ticks and (n < least or self.committed <= tick) and not self.done.is_set():
                yield tick
                n += 1
        yield self.ticks

    def poll(self):
        con = harness.connect_millrace(self.server)
        cur = con.cursor()
        last = 0
        for _ in self.beside(self.poll_turns, POLLS):
            cur.execute("SELECT (SELECT total FROM total0), (SELECT sum(credits) FROM credits), (SELECT sum(debits) FROM debits),"
                        " (SELECT count(*) FROM accepted), (SELECT count(*) FROM outer_join),"
                        " (SELECT count(*) FROM outer_join WHERE other_id IS NULL), (SELECT count(*) FROM balance),"
                        " (SELECT total FROM total)")
            total0, credits, debits, accepted, outer, nulls, accounts, total = cur.fetchone()
            check(total0 in (None, 0), "I1: total0 is %s" % total0)
            check(accounts < 10 or total == 0, "I1: total is %s" % total)
            check((credits or 0) == (debits or 0) == accepted, "I2: %s %s %s" % (credits, debits, accepted))
            check(nulls == 0 and outer == accepted, "I3: %d NULLs, %d rows of %d" % (nulls, outer, accepted))
            check(accepted >= last, "I7: count fell from %d to %d" % (last, accepted))
            check(not self.whole_ticks or accepted % self.batch == 0 or accepted == len(self.rows), "I9: %d rows, batches of %d" % (accepted, self.batch))
            last = accepted
            self.states += 1
            self.different.add(accepted)
        con.close()

    def snapshots(self):
        """One transaction sees one tick; what it sees is right for the rows it accepted."""
        con = harness.Wire(self.server)
        ticks = sorted(self.snapshot_turns.ticks)
        sampled = set(ticks[::-(-len(ticks) // SAMPLES)] + [self.ticks])
        last_sampled = None
        for tick in self.beside(self.snapshot_turns, 1):
            con.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            count = int(con.rows("SELECT count(*) FROM accepted")[0][0])
            credits = {int(a): int(n) for a, n in con.rows("SELECT account, credits FROM credits")}
            balance = {int(a): int(n) for a, n in con.rows("SELECT account, balance FROM balance")}
            check(sum(credits.values()) == count, "I6: %s credits, %d accepted" % (sum(credits.values()), count))
            if tick in sampled and (count != last_sampled or tick == self.ticks):
                last_sampled = count
                ids = [int(r[0]) for r in con.rows("SELECT id FROM accepted")]
                check(len(ids) == count, "I6: %d ids, count was %d" % (len(ids), count))
                right_credits = Counter(self.by_id[i][2] for i in ids)
                right_debits = Counter(self.by_id[i][1] for i in ids)
                check(credits == right_credits, "I5: credits %s, should be %s" % (credits, right_credits))
                check(balance == {a: right_credits[a] - right_debits[a] for a in right_credits if a in right_debits}, "I5: balance")
                self.samples += 1
            con.execute("COMMIT")
            self.snapshots_taken += 1
        con.close()

    def follow(self, view, key_columns, pause=None):
        """Folds the change stream of a view until the last row is in."""
        con = harness.Wire(self.server, pause=pause)
        self.followed.append(con)
        fold = Counter()
        this_epoch, seen = None, set()
        first_epoch = None
        accepted = changes = 0
        cancelled = False
        try:
            for fields in con.copy_out("COPY (SUBSCRIBE %s) TO STDOUT" % view):
                changes += 1
                epoch, diff, row = int(fields[0]), int(fields[1]), tuple(fields[2:])
                if first_epoch is None:
                    first_epoch = epoch
                if epoch != this_epoch:
                    check(this_epoch is None or epoch > this_epoch, "epochs go back")
                    this_epoch, seen = epoch, set()
                if epoch != first_epoch:
                    key = row[:key_columns]
                    check(abs(diff) == 1 and (key, diff) not in seen, "I4: %s twice in epoch %d" % (key, epoch))
                    check(diff > 0 or (key, 1) not in seen, "I4: insert of %s before its delete" % (key,))
                    seen.add((key, diff))
                fold[row] += diff
                if fold[row] == 0:
                    del fold[row]
                if view == "outer_join":
                    check(diff > 0, "I3: a retraction in the change stream")
                    check(row[1] is not None, "I3: NULL in the change stream")
                    accepted += diff
                else:
                    accepted += diff * float(row[1])
                if accepted == len(self.rows):
                    cancelled = True
                    con.cancel()
        except harness.WireError as e:
            if e.sqlstate != "57014" or not (cancelled or self.done.is_set()):
                raise
            if not cancelled:
                return con.close()  # another thread has failed
        self.changes.append(changes)
        check_cur = harness.connect_millrace(self.server).cursor()
        check_cur.execute("SELECT * FROM %s" % view)
        now = Counter(tuple(None if v is None else number(v) for v in r) for r in check_cur.fetchall())
        check_cur.connection.close()
        mine = Counter()
        for row, n in fold.items():
            mine[tuple(None if v is None else number(v) for v in row)] += n
        check(mine == now, "I4: fold of %s differs from the view: %d and %d rows" % (view, len(mine), len(now)))
        con.close()

    def pause(self):
        if self.committed < self.ticks:
            self.done.wait(0.005)

    def follow_total(self):
        """The total never changes after the first rows, not even for a moment."""
        try:
            for fields in self.total_stream.copy_out("COPY (SUBSCRIBE total0) TO STDOUT"):
                check(fields[2] in (None, "0"), "I1: the change stream shows total %s" % fields)
        except harness.WireError as e:
            if e.sqlstate != "57014" or not self.done.is_set():
                raise
        self.total_stream.close()

    def write(self):
        con = harness.Wire(self.server)
        sent = 0
        for tick in range(self.ticks):
            self.poll_turns.begin(tick)
            self.snapshot_turns.begin(tick)
            start = tick * self.batch
            rows = self.rows[start:start + self.batch]
            if self.how == "copy":
                con.copy_in("COPY transactions FROM STDIN", "".join("%d\t%d\t%d\t1\t%s\n" % r for r in rows))
            else:
                con.execute("INSERT INTO transactions VALUES " + ",".join("(%d,%d,%d,1,'%s')" % r for r in rows))
            sent += len(rows)
            self.committed = tick + 1
            if tick % 97 == 0:
                (own,) = con.rows("SELECT (SELECT count(*) FROM accepted), (SELECT sum(credits) FROM credits)")
                check(own == [str(sent), str(sent)], "I8: own writes are missing: %s of %d" % (own, sent))
            if self.done.is_set():
                return
        con.close()

    def run(self):
        con = harness.connect_millrace(self.server)
        con.execute(self.table)
        con.execute(VIEWS)
        threads = [self.thread(self.poll), self.thread(self.snapshots)]
        # one reads each tick as it comes, the others fall a little behind
        followers = [self.thread(self.follow, "credits", 1, self.pause), self.thread(self.follow, "debits", 1, self.pause),
                     self.thread(self.follow, "outer_join", 2)]
        threads.append(self.thread(self.follow_total))
        self.thread(self.write).join()
        for t in followers:
            t.join()
        self.finish()
        self.total_stream.cancel()
        for t in threads:
            t.join()
        if self.errors:
            raise Failure("\n".join(self.errors))
        cur = con.cursor()
        credits = [int(r[0]) for r in cur.execute("SELECT credits FROM credits ORDER BY account").fetchall()]
        debits = [int(r[0]) for r in cur.execute("SELECT debits FROM debits ORDER BY account").fetchall()]
        if len(self.rows) in EXPECTED:
            check((credits, debits) == EXPECTED[len(self.rows)], "final values: %s %s" % (credits, debits))
        check(cur.execute("SELECT total FROM total").fetchone()[0] == 0, "final total")
        con.close()
        return ("%d rows in ticks of %d by %s: %d states polled, %d of them different, %d snapshots, %d recomputed, %d changes followed,"
                " all right" % (len(self.rows), self.batch, self.how, self.states, len(self.different), self.snapshots_taken, self.samples,
                                sum(self.changes)))


def number(value):
    try:
        return float(value)
    except ValueError:
        return value
