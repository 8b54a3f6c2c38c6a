"""retention_test.py MILLRACE [OPTIONS OF THE SERVER]: rows of a stream go after an hour, or when there are too many; views have seen
all of them; a transaction sees what it saw; checkpoints, kill -9 and restarts change nothing. Checked against a list."""

import datetime
import os
import random
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

STATEMENTS = 80 if harness.SMALL else 200
START = datetime.datetime(2100, 1, 1, tzinfo=datetime.timezone.utc)  # ahead of the machine: a restart lets the clock go
FEW = 20


class Model:
    def __init__(self):
        self.minute, self.next = 0, 0
        self.old, self.few = [], []  # (minute, value); lists of one statement's values
        self.total, self.names, self.later = 0, {}, {}

    def arrive(self, count):
        values = list(range(self.next, self.next + count))
        self.next += count
        self.old += [(self.minute, value) for value in values]
        self.few.append(values)
        while sum(len(values) for values in self.few[1:]) >= FEW:
            self.few.pop(0)
        self.total += sum(values)
        self.later = {name: rows + values for name, rows in self.later.items()}
        return values

    def pass_time(self, minutes):
        self.minute += minutes
        self.old = [(minute, value) for minute, value in self.old if self.minute - minute < 60]

    def contents(self):
        return {
            "old": sorted(value for _, value in self.old),
            "few": sorted(value for values in self.few for value in values),
            "total": [self.total],
            "joined": sorted(range(self.next)),
            **{name: sorted(rows) for name, rows in self.later.items()},
        }


def contents(con, model):
    queries = {"old": "SELECT a FROM old", "few": "SELECT a FROM few", "total": "SELECT coalesce(sum, 0)::bigint FROM total",
               "joined": "SELECT a FROM joined", **{name: "SELECT a FROM " + name for name in model.later}}
    return {name: sorted(row[0] for row in con.execute(query).fetchall()) for name, query in queries.items()}


def expect(what, con, model):
    found, expected = contents(con, model), model.contents()
    for name in expected:
        if found[name] != expected[name]:
            missing = [row for row in expected[name] if row not in found[name]][:5]
            extra = [row for row in found[name] if row not in expected[name]][:5]
            raise SystemExit("%s: %s differs: missing %s, too many %s" % (what, name, missing, extra))


def run(con, other, model, rng, count):
    for n in range(count):
        if rng.random() < 0.5:
            values = model.arrive(rng.randrange(1, 9 if rng.random() < 0.9 else 600))
            rows = ", ".join("(%d, %s)" % (value, "NULL" if value % 3 else "'a text that is too long to lie in the row %d'" % value)
                             for value in values)
            with con.transaction():
                con.execute("INSERT INTO old VALUES " + rows)
                con.execute("INSERT INTO few VALUES " + rows)
        elif rng.random() < 0.1:
            with other.transaction():
                other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                before = contents(other, model)
                model.pass_time(45)
                con.execute("SELECT advance_clock('45 minutes')")
                expect("beside a transaction", con, model)
                if contents(other, model) != before:
                    raise SystemExit("a transaction lost rows that it has seen")
        else:
            minutes = rng.choice([0, 1, 1, 5, 20, 59, 61])
            model.pass_time(minutes)
            con.execute("SELECT advance_clock('%d minutes')" % minutes)
        if rng.random() < 0.03:
            con.execute("CHECKPOINT")
        if n % 60 == 30:
            name = "later%d" % len(model.later)
            model.later[name] = [value for _, value in model.old]
            con.execute("CREATE MATERIALIZED VIEW %s AS SELECT o.a FROM old o JOIN keys ON o.a >= least" % name)
        if n % 8 == 0:
            expect("statement %d" % n, con, model)


def main():
    binary, *options = sys.argv[1:]
    rng, model = random.Random(int(os.environ.get("SEED", "0"))), Model()
    with harness.temp_dir() as path:
        data = os.path.join(path, "data")
        server = harness.start_millrace(binary, data, *options)
        try:
            with harness.connect_millrace(server) as con, harness.connect_millrace(server) as other:
                con.execute("SET clock = '%s'" % START)
                con.execute("CREATE STREAM old (a bigint, note text) WITH (retention = '1 hour')")
                con.execute("CREATE STREAM few (a bigint, note text) WITH (retention_rows = '%d')" % FEW)
                con.execute("CREATE TABLE keys (least bigint)")
                con.execute("INSERT INTO keys VALUES (0)")
                con.execute("CREATE MATERIALIZED VIEW total AS SELECT sum(a) FROM old")
                con.execute("CREATE MATERIALIZED VIEW joined AS SELECT f.a FROM few f JOIN keys ON f.a >= least")
                run(con, other, model, rng, STATEMENTS)
                expect("running", con, model)
            for again in range(4):
                server.stop(signal.SIGKILL)
                server = harness.start_millrace(binary, data, *options)
                with harness.connect_millrace(server) as con, harness.connect_millrace(server) as other:
                    con.execute("SET clock = '%s'" % (START + datetime.timedelta(minutes=model.minute)))
                    expect("after restart %d" % again, con, model)
                    run(con, other, model, rng, STATEMENTS // 4)
                    expect("going on after restart %d" % again, con, model)
        finally:
            server.stop()
    print(", ".join("%s %d" % (name, len(rows)) for name, rows in model.contents().items()))
    return 0


sys.exit(main())
