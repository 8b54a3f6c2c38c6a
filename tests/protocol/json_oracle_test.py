"""json_oracle_test.py: format json against PostgreSQL's json_populate_record and row_to_json, on random records.

A record that PostgreSQL makes a row of must make the same row here, and the row written as JSON must be PostgreSQL's text; a record at
which PostgreSQL raises must be refused, with the same SQLSTATE."""

import argparse
import json
import os
import random
import subprocess
import sys

import psycopg

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.harness import postgres  # noqa: E402

COLUMNS = [
    ("i2", "int2"), ("i4", "int4"), ("i8", "int8"), ("n", "numeric"), ("n2", "numeric(10,2)"), ("n0", "numeric(5)"),
    ("f8", "float8"), ("f4", "float4"), ("b", "bool"), ("t", "text"), ("v", "varchar(5)"), ("c", "bpchar(4)"),
    ("ts", "timestamp"), ("ts3", "timestamp(3)"), ("tz", "timestamptz"), ("d", "date"), ("tm", "time"), ("iv", "interval"),
    ("u", "uuid"), ("y", "bytea"), ("j", "json"), ("jb", "jsonb"), ("ia", "int4[]"), ("ta", "text[]"), ("va", "varchar(3)[]"),
    ("na", "numeric(6,1)[]"), ("ja", "jsonb[]")]
KIND = {"int2": "int", "int4": "int", "int8": "int", "float8": "num", "float4": "num", "bool": "bool", "text": "text", "timestamp": "time",
        "timestamptz": "time", "date": "time", "time": "time", "interval": "interval", "uuid": "uuid", "bytea": "bytea", "json": "any",
        "jsonb": "any", "numeric": "num"}


def spaces(r):
    return r.choice(["", "", "", "", " ", "\t", "  "])


class Values:
    """JSON texts of random values."""

    def __init__(self, seed):
        self.r = random.Random(seed)

    def int(self):
        r = self.r
        return r.choice([
            lambda: str(r.randint(-100, 100)), lambda: str(r.randint(-40000, 40000)), lambda: str(r.randint(-2**32, 2**32)),
            lambda: str(r.choice([2**15, 2**31, 2**63, 10**18, 10**17]) * r.choice([1, -1]) + r.randint(-1, 1)),
            lambda: str(r.randint(0, 10 ** r.randint(1, 20))), lambda: '"%d"' % r.randint(-9, 99999), lambda: '" %d "' % r.randint(0, 9),
            lambda: "-0", lambda: "1.0", lambda: "1e2", lambda: '"0x1"', lambda: '""'])()

    def num(self):
        r = self.r
        digits = lambda least, most: "".join(r.choice("0123456789") for _ in range(r.randint(least, most)))
        whole = lambda most: digits(1, most).lstrip("0") or "0"
        return r.choice([
            self.int, lambda: "%s%s.%s" % (r.choice(["", "-"]), whole(6), digits(1, 4)),
            lambda: "%s%s.%s" % (r.choice(["", "-"]), whole(20), digits(1, 20)), lambda: "%s.%se%d" % (whole(3), digits(1, 3), r.randint(-30, 30)),
            lambda: "%s.%s" % (whole(8), digits(1, 3)),
            lambda: '"NaN"', lambda: '"-Infinity"', lambda: "-0.000", lambda: repr(r.random()), lambda: repr(r.uniform(-1e30, 1e30)),
            lambda: "1e400", lambda: "1e-400", lambda: "0.1e1", lambda: '"%s"' % r.random(), lambda: "9007199254740993", lambda: whole(18)])()

    def bool(self):
        return self.r.choice(["true", "false", '"t"', '"no"', "1", "0", "2", '"maybe"', "true", "false", "1.0"])

    def text(self):
        r = self.r
        parts = ["a", "b c", "é", "€", "\\n", "\\\"", "\\\\", "\\/", "\\u0041", "\\u00e9", "\\ud83d\\ude00", "😀", "  ", "longer text here", "'", ",", "{}"]
        text = "".join(r.choice(parts) for _ in range(r.choice([0, 1, 1, 2, 3, 9])))
        if r.random() < 0.02:
            text += r.choice(["\\u0000", "\\ud83d", "\\ude00x", "\\ud83dx", "\\ud83d\\ud83d"])
        return r.choice(['"%s"' % text] * 8 + [self.num(), self.bool(), self.any()])

    def time(self):
        r = self.r
        day = "%04d-%02d-%02d" % (r.choice([1, 1900, 1999, 2000, 2023, 2024, 2024, 9999]), r.randint(0, 13), r.randint(0, 32))
        if r.random() < 0.8:
            day = "%04d-%02d-%02d" % (r.randint(1, 3000), r.randint(1, 12), r.randint(1, 28))
        fraction = r.choice(["", "", ".5", ".123", ".123456", ".1234567", ".999999", ".9999996", "."])
        time = "%02d:%02d:%02d%s" % (r.randint(0, 24), r.randint(0, 60), r.randint(0, 60), fraction)
        zone = r.choice(["", "", "Z", "+00", "+02:00", "-05:30", "+1530", " UTC", "z"])
        return r.choice(['"%s%s%s%s"' % (day, r.choice(["T", " "]), time, zone)] * 6 +
                        ['"%s"' % day, '"%s"' % time, '"infinity"', '"-infinity"', '"2024-02-29"', '"2023-02-29"', "17", '""', '"Jan 5 2020"', '"20200105"'])

    def interval(self):
        return self.r.choice(['"1 day"', '"P1Y2M3DT4H5M6.5S"', '"-01:00"', '"1 mon 2 days"', "5", '"x"', '"@ 1 minute"'])

    def uuid(self):
        u = "%032x" % self.r.getrandbits(128)
        dashed = "-".join([u[:8], u[8:12], u[12:16], u[16:20], u[20:]])
        return self.r.choice(['"%s"' % dashed, '"%s"' % u, '"%s"' % dashed.upper(), '"{%s}"' % dashed, '"%s"' % dashed[1:], "7"])

    def bytea(self):
        return self.r.choice(['"\\\\x00ff"', '"\\\\x"', '"abc"', '"\\\\x0"', '"\\\\001"', '"a\\\\b"', "12"])

    def any(self, depth=0):
        r = self.r
        scalar = [lambda: "null", lambda: "true", lambda: "false", lambda: str(r.randint(-5, 5)), lambda: "1.50", lambda: "1e3",
                  lambda: '"x%d"' % r.randint(0, 3), lambda: '"é\\n"', lambda: "{}", lambda: "[]"]
        if depth > 2 or r.random() < 0.5:
            return r.choice(scalar)()
        if r.random() < 0.5:
            return "[" + ",".join(spaces(r) + self.any(depth + 1) for _ in range(r.randint(0, 3))) + "]"
        return "{" + ",".join('%s"%s"%s:%s%s' % (spaces(r), r.choice(["a", "b", "aa", "é"]), spaces(r), spaces(r), self.any(depth + 1))
                              for _ in range(r.randint(0, 3))) + "}"

    def array(self, kind):
        r = self.r
        item = lambda: "null" if r.random() < 0.1 else getattr(self, kind)()
        if r.random() < 0.15:
            return r.choice(['"{1,2}"', '"{}"', '"{a,NULL}"', '"x"', "7", "[]", "[[]]", "[[],[]]", "[[1],[2]]", "[[[1]],[[2]]]", "[[1],2]", "[1,[2]]",
                             "[[[[[[[1]]]]]]]", "{}", "true"])
        if r.random() < 0.3:
            width = r.randint(0, 2)
            return "[" + ",".join("[" + ",".join(item() for _ in range(width if r.random() < 0.9 else 1)) + "]" for _ in range(r.randint(1, 3))) + "]"
        return "[" + ",".join(spaces(r) + item() for _ in range(r.randint(0, 4))) + spaces(r) + "]"

    def value(self, type_name):
        if self.r.random() < 0.05:
            return "null"
        if self.r.random() < 0.03:
            return self.any()
        base = type_name.split("(")[0].replace("[]", "")
        kind = KIND.get(base, "text")
        return self.array(kind) if type_name.endswith("[]") else getattr(self, kind)()

    def record(self, columns):
        r = self.r
        members = [(name, self.value(type_name)) for name, type_name in columns if r.random() < 0.9]
        if r.random() < 0.2:
            r.shuffle(members)
        if r.random() < 0.3:
            members.insert(r.randint(0, len(members)), (r.choice(["x", "unknown member", "I4", "", "\\u0069\\u0034"]), self.any()))
        if r.random() < 0.1 and members:
            name = r.choice(members)[0]
            members.insert(r.randint(0, len(members)), (name, self.value(dict(columns).get(name, "int4"))))
        text = "{" + ",".join('%s"%s"%s:%s%s%s' % (spaces(r), name, spaces(r), spaces(r), value, spaces(r)) for name, value in members) + "}"
        if r.random() < 0.01:
            at = r.randrange(len(text))
            text = text[:at] + r.choice(["", ",", '"', "}", "]", "0"]) + text[at + 1:]
        return text.replace("\t", " ")


def unescape(field):
    if field == "\\N":
        return None
    return field.replace("\\\\", "\x00").replace("\\t", "\t").replace("\\n", "\n").replace("\\r", "\r").replace("\x00", "\\")


def run_here(tool, columns, records):
    command = [tool, "json", "--write"] + ["%s|%s" % column for column in columns]
    run = subprocess.run(command, input="".join(record + "\n" for record in records).encode(), stdout=subprocess.PIPE, check=True)
    answers = []
    for line in run.stdout.decode().split("\n")[:-1]:
        what, *fields = line.split("\t")
        answers.append((what, [unescape(field) for field in fields]))
    return answers


FUNCTION = """
CREATE FUNCTION populate(line text, OUT state text, OUT message text, OUT columns text[], OUT written text) LANGUAGE plpgsql AS $$
DECLARE r t;
BEGIN
    r := json_populate_record(NULL::t, line::json);
    columns := ARRAY[%s];
    written := row_to_json(r)::text;
EXCEPTION WHEN OTHERS THEN
    state := SQLSTATE; message := SQLERRM;
END $$"""


def run_postgres(connection, columns, records):
    texts = ", ".join("CASE WHEN r.%s IS NULL THEN NULL ELSE format('%%s', r.%s) END" % (name, name) for name, _ in columns)
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS t CASCADE; DROP FUNCTION IF EXISTS populate; SET timezone = 'UTC'")
        cursor.execute("CREATE TABLE t (%s)" % ", ".join("%s %s" % column for column in columns))
        cursor.execute(FUNCTION % texts.replace("%%", "%"))
        answers = []
        for record in records:
            cursor.execute("SELECT state, message, columns, written FROM populate(%s)", (record,))
            answers.append(cursor.fetchone())
    return answers


def differs(record, here, there):
    """What is different, or None."""
    what, fields = here
    state, message, columns, written = there
    # PostgreSQL decodes names and strings nobody asks for, and finds what cannot be decoded
    if state in ("22P05", "22P02") and ("\\u0000" in record or "\\ud83d" in record or "\\ude00" in record):
        return None
    if state is not None:
        if what != "error":
            return "PostgreSQL raises %s: %s" % (state, message)
        return None if fields[0] == state else "%s (%s), PostgreSQL: %s (%s)" % (fields[0], fields[1], state, message)
    if what != "row":
        return "refused: %s; PostgreSQL takes it" % fields
    if fields[:-1] != columns:
        return "column %s" % [(name, mine, theirs) for (name, _), mine, theirs in zip(COLUMNS_NOW, fields, columns) if mine != theirs]
    return None if fields[-1] == written else "written %s, PostgreSQL: %s" % (fields[-1], written)


COLUMNS_NOW = []


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", help="not used")
    parser.add_argument("tool", help="format_rows")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--records", type=int, default=400)
    args = parser.parse_args()
    rows = refused = 0
    with postgres() as server, psycopg.connect(host="127.0.0.1", port=server.port, user="postgres", dbname="postgres", autocommit=True) as connection:
        for seed in range(args.seed, args.seed + args.rounds):
            values = Values(seed)
            COLUMNS_NOW[:] = values.r.sample(COLUMNS, values.r.randint(1, 5))
            records = [values.record(COLUMNS_NOW) for _ in range(args.records)]
            here, there = run_here(args.tool, COLUMNS_NOW, records), run_postgres(connection, COLUMNS_NOW, records)
            assert len(here) == len(there) == len(records)
            bad = 0
            for record, mine, theirs in zip(records, here, there):
                rows += mine[0] == "row"
                refused += mine[0] == "error"
                difference = differs(record, mine, theirs)
                if difference is not None:
                    bad += 1
                    print("seed %d, %s\n  %s\n  %s" % (seed, COLUMNS_NOW, record, difference))
                if bad > 5:
                    break
            if bad:
                sys.exit(1)
    assert rows > 0 and refused > 0, (rows, refused)
    print("%d rows, %d refused records: as PostgreSQL" % (rows, refused))


if __name__ == "__main__":
    main()
