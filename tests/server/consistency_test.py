"""consistency_test.py MILLRACE: the internal-consistency test: every state a client can see is right for some prefix of the input.

Transfers between ten accounts arrive out of order in ticks of 1, 7, 1,000 and 100,000 rows while readers poll and change streams are
followed. Checks (I1 to I9): totals are always 0, statements see one tick, no false NULL of an outer join, at most one delete and
one insert per key and tick, change streams fold to the view, counts never fall, own writes are seen, transactions are never half
there, and sampled states equal a recomputation from exactly the rows they accepted."""

import os
import random
import sys
import threading
from collections import Counter

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

N = 20000 if harness.SMALL else 100000
EXPECTED = {
    100000: ([10013, 10125, 10109, 9926, 10025, 9885, 10010, 9944, 9863, 10100],
             [9978, 10013, 10045, 9833, 9966, 9853, 10079, 9990, 10261, 9982]),
}
VIEWS = """
CREATE TABLE transactions (id bigint, from_account int, to_account int, amount double precision, ts timestamp);
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


class Run:
    def __init__(self, server, rows, batch, how):
        self.server, self.rows, self.batch, self.how = server, rows, batch, how
        self.done = threading.Event()
        self.errors = []
        self.states = 0
        self.samples = 0
        self.by_id = {r[0]: r for r in rows}

    def thread(self, fn, *args):
        def body():
            try:
                fn(*args)
            except BaseException as e:  # noqa: B902
                self.errors.append("%s%s: %s: %s" % (fn.__name__, args, type(e).__name__, e))
                self.done.set()
        t = threading.Thread(target=body)
        t.start()
        return t

    def poll(self):
        con = harness.connect_millrace(self.server)
        cur = con.cursor()
        last = 0
        while True:
            finishing = self.done.is_set()
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
            check(accepted % self.batch == 0 or accepted == len(self.rows), "I9: %d rows, batches of %d" % (accepted, self.batch))
            last = accepted
            self.states += 1
            if finishing:
                return con.close()

    def snapshots(self):
        """One transaction sees one tick; what it sees is right for the rows it accepted."""
        con = harness.connect_millrace(self.server)
        cur = con.cursor()
        while not self.done.is_set():
            cur.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cur.execute("SELECT count(*) FROM accepted")
            count = cur.fetchone()[0]
            cur.execute("SELECT account, credits FROM credits")
            credits = dict(cur.fetchall())
            cur.execute("SELECT account, balance FROM balance")
            balance = dict(cur.fetchall())
            check(sum(credits.values()) == count, "I6: %s credits, %d accepted" % (sum(credits.values()), count))
            if self.samples < 25:
                cur.execute("SELECT id FROM accepted")
                ids = [r[0] for r in cur.fetchall()]
                check(len(ids) == count, "I6: %d ids, count was %d" % (len(ids), count))
                right_credits = Counter(self.by_id[i][2] for i in ids)
                right_debits = Counter(self.by_id[i][1] for i in ids)
                check(credits == right_credits, "I5: credits %s, should be %s" % (credits, right_credits))
                check(balance == {a: right_credits[a] - right_debits[a] for a in right_credits if a in right_debits}, "I5: balance")
                self.samples += 1
            cur.execute("COMMIT")
            self.done.wait(0.01)
        con.close()

    def follow(self, view, key_columns):
        """Folds the change stream of a view until the last row is in."""
        con = harness.connect_millrace(self.server)
        cur = con.cursor()
        fold = Counter()
        this_epoch, seen = None, Counter()
        retractions = 0
        first_epoch = None
        cancelled = False
        try:
            with cur.copy("COPY (SUBSCRIBE %s) TO STDOUT" % view) as copy:
                for fields in copy.rows():
                    epoch, diff, row = int(fields[0]), int(fields[1]), tuple(fields[2:])
                    if first_epoch is None:
                        first_epoch = epoch
                    if epoch != this_epoch:
                        check(this_epoch is None or epoch > this_epoch, "epochs go back")
                        self.check_total(view, fold)
                        this_epoch, seen = epoch, Counter()
                    if epoch != first_epoch:
                        key = row[:key_columns]
                        seen[key, diff > 0] += 1
                        check(abs(diff) == 1 and seen[key, diff > 0] == 1, "I4: %s twice in epoch %d" % (key, epoch))
                        if diff > 0 and view in ("credits", "debits"):
                            check(True, "")
                        if diff < 0:
                            check(seen[key, True] == 0, "I4: insert of %s before its delete" % (key,))
                            retractions += 1
                    fold[row] += diff
                    if fold[row] == 0:
                        del fold[row]
                    if view == "outer_join":
                        check(diff > 0, "I3: a retraction in the change stream")
                        check(row[1] is not None, "I3: NULL in the change stream")
                    if self.is_complete(view, fold):
                        cancelled = True
                        con.cancel()
        except harness_error() as e:
            if not cancelled or e.sqlstate != "57014":
                raise
        check_cur = harness.connect_millrace(self.server).cursor()
        check_cur.execute("SELECT * FROM %s" % view)
        now = Counter(tuple(None if v is None else number(v) for v in r) for r in check_cur.fetchall())
        check_cur.connection.close()
        mine = Counter()
        for row, n in fold.items():
            mine[tuple(None if v is None else number(v) for v in row)] += n
        check(mine == now, "I4: fold of %s differs from the view: %d and %d rows" % (view, len(mine), len(now)))
        con.close()

    @staticmethod
    def check_total(view, fold):
        if view == "total0" and fold:
            check(all(row[0] in (None, "0") for row in fold), "I1: the change stream shows total %s" % dict(fold))

    def is_complete(self, view, fold):
        if view == "outer_join":
            return len(fold) == len(self.rows)
        return sum(float(r[1]) for r in fold) == len(self.rows)

    def write(self):
        con = harness.connect_millrace(self.server)
        cur = con.cursor()
        sent = 0
        for start in range(0, len(self.rows), self.batch):
            rows = self.rows[start:start + self.batch]
            if self.how == "copy":
                with cur.copy("COPY transactions FROM STDIN") as copy:
                    copy.write("".join("%d\t%d\t%d\t1\t%s\n" % r for r in rows))
            else:
                cur.execute("INSERT INTO transactions VALUES " + ",".join("(%d,%d,%d,1,'%s')" % r for r in rows))
            sent += len(rows)
            if start // self.batch % 97 == 0:
                cur.execute("SELECT (SELECT count(*) FROM accepted), (SELECT sum(credits) FROM credits)")
                check(cur.fetchone() == (sent, sent), "I8: own writes are missing")
            if self.done.is_set():
                return
        con.close()

    def run(self):
        con = harness.connect_millrace(self.server)
        con.execute(VIEWS)
        threads = [self.thread(self.poll), self.thread(self.snapshots)]
        followers = [self.thread(self.follow, "credits", 1), self.thread(self.follow, "debits", 1),
                     self.thread(self.follow, "outer_join", 2)]
        self.thread(self.write).join()
        for t in followers:
            t.join()
        self.done.set()
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


def harness_error():
    import psycopg
    return psycopg.Error


def number(value):
    try:
        return float(value)
    except ValueError:
        return value


def main():
    rows = transfers(N)
    plans = [(1, 100000, "copy"), (1, 1000, "insert"), (2, 1000, "copy"), (4, 7, "insert"), (1, 7, "copy"), (2, 1, "insert")]
    for workers, batch, how in plans:
        some = rows if batch >= 1000 or not harness.SMALL else rows[:N // 10]
        batch = min(batch, len(some))
        with harness.millrace(sys.argv[1], "--workers", str(workers)) as server:
            run = Run(server, some, batch, how)
            run.run()
            print("%d workers, %d rows in ticks of %d by %s: %d states and %d samples, all right" % (
                workers, len(some), batch, how, run.states, run.samples), flush=True)


main()
