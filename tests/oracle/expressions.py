"""expressions.py: random typed values, expressions and conditions, valid in PostgreSQL 15 and Millrace alike.

Every expression knows its SQL type, so that nearly all of them bind. What would differ between two right engines is left out:
floats are multiples of 1/4 or halves of them (sums are exact), division is guarded, values that are equal are also identical
wherever one of several equal values is chosen (canonical)."""

import re
from dataclasses import dataclass, field

LITERALS = {
    "int2": ["0", "1", "2", "7", "-4"],
    "int4": [str(n) for n in range(-3, 10)],
    "int8": ["0", "1", "2", "3", "5", "8", "4000000000", "-4000000000"],
    "numeric": ["0.00", "1.50", "-2.25", "10.00", "99.99", "3.10"],
    "float4": ["0", "0.5", "-1.25", "8", "100.75"],
    "float8": ["0", "0.25", "-1.5", "2.75", "100"],
    "bool": ["true", "false"],
    "text": ["''", "'a'", "'b'", "'abc'", "'a b'", "'zeta'", "'a longer piece of text'", "'ünï'"],
    "varchar": ["''", "'a'", "'b '", "'abc'", "'Zeta'", "'twelve chars'"],
    "bpchar": ["''", "'a'", "'b'", "'abcd'", "'a b'"],
    "timestamp": ["'2026-01-0%d %02d:%02d:00'" % (d, h, m) for d in (1, 2, 3) for h in range(0, 24, 3) for m in (0, 10, 30, 59)],
    "timestamptz": ["'2026-01-0%d %02d:30:00+00'" % (d, h) for d in (1, 2) for h in range(0, 24, 4)],
    "date": ["'2026-01-%02d'" % d for d in range(1, 10)],
    "time": ["'00:00:00'", "'08:15:00'", "'12:30:45.5'", "'23:59:59'"],
    "interval": ["'0'", "'1 hour'", "'90 minutes'", "'3 days'", "'2 mons'", "'-1 day'"],
    "uuid": ["'00000000-0000-0000-0000-00000000000%d'" % n for n in range(4)] + ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"],
    "bytea": ["'\\x'", "'\\x00'", "'\\x6162'", "'\\xff00'"],
    "jsonb": ["'{}'", "'{\"a\": 1}'", "'{\"a\": 2, \"b\": \"x\"}'", "'[1, 2]'", "'{\"a\": {\"c\": [1, true]}}'", "'[]'", "'[null, \"b\"]'"],
    "int4[]": ["'{}'", "'{1}'", "'{1,2}'", "'{3,NULL,2}'", "'{2,2,5}'"],
    "text[]": ["'{}'", "'{a}'", "'{a,b}'", "'{\"a b\",NULL}'", "'{zeta,abc}'"],
}

# Functions and operators by result type; {t} is an expression of type t, {=t} a plain column or value.
CALLS = {
    "int2": ["({int2} % 5::int2)", "({int4} % 9)::int2", "abs({int2} % 9::int2)"],
    "int4": ["({int4} % 10 + {int4} % 10)", "({int4} % 100 - {int4} % 100)", "abs({int4} % 7)", "length({text})",
             "({int4} % 10 * ({int4} % 10))", "mod({int4}, 6)", "greatest({int4}, {int4})", "least({int4}, {int4}, {int4})",
             "position('a' in {text})", "octet_length({text})", "char_length({varchar})", "length({bpchar})", "cardinality({int4[]})",
             "array_length({text[]}, 1)", "({int4[]})[1] % 10", "({date} - {date})", "extract(day from {date})::int4",
             "extract(isodow from {timestamp})::int4", "({int4} & 7)", "({int4} | 1) % 16", "(~{int4}) % 8", "sign({numeric})::int4",
             "({int4} % 10) / 3", "ascii({text})", "({int2} + 1)::int4", "floor({float8} / 2)::int4 % 100",
             "array_position({int4[]}, {int4})", "width_bucket({numeric}, 0, 100, 5)", "length({bytea})",
             "jsonb_array_length(jsonb_build_array({int4}, {text}))", "strpos({text}, {text})", "num_nulls({text}, {int4})"],
    "int8": ["({int8} % 1000 + {int8} % 1000)", "({int4} % 1000)::int8", "abs({int8} % 1000)", "greatest({int8}, {int4})",
             "({int4} % 100)::int8 * 3", "({int8} % 64) # 5::int8"],
    "numeric": ["({numeric} + {numeric})", "({numeric} - {numeric})", "round({numeric}, 1)", "(-({numeric}))", "({=numeric} * {=numeric})",
                "({numeric} / 4)", "({=numeric} / nullif({=numeric}, 0))", "trunc({numeric}, 1)", "floor({numeric})", "ceil({numeric})",
                "abs({numeric})", "sign({numeric})", "({int4} % 50)::numeric", "extract(epoch from {interval})",
                "mod({=numeric}, 3)", "div({=numeric}, 2)", "greatest({numeric}, {numeric})", "extract(hour from {timestamp})",
                "({int8} % 100 / 3.0)", "trim_scale({numeric})"],
    "float4": ["({float4} + {float4})", "({int4} % 10)::float4", "abs({float4})"],
    "float8": ["({float8} + {float8})", "({int4} % 100)::float8", "({float8} - {float8})", "abs({float8})", "({=float8} / 2)",
               "({=float8} * 4)", "floor({float8})", "round({float8})", "greatest({float8}, {float8})", "({float4})::float8",
               "date_part('minute', {timestamp})"],
    "bool": [],
    "text": ["upper({text})", "lower({text})", "({text} || {=text})", "substr({text}, 1, 2)", "({int4})::text", "replace({text}, 'a', 'xy')",
             "left({text}, 2)", "right({text}, 3)", "reverse({text})", "btrim({text}, 'ab')", "lpad({text}, 5, '*')", "rpad({=text}, 6)",
             "concat({text}, {int4}, {bool})", "concat_ws('-', {=text}, {=text})", "split_part({text}, ' ', 1)", "translate({text}, 'ab', 'x')",
             "repeat({=text}, 2)", "initcap({text})", "md5({text})", "to_char({date}, 'YYYY-MM-DD Dy')", "to_char({timestamp}, 'HH24:MI')",
             "substring({text} from 'a.*')", "regexp_replace({text}, '[ab]+', '<\\&>', 'g')", "({bpchar})::text", "({varchar} || {=text})",
             "({uuid})::text", "({jsonb} ->> 'a')", "({jsonb})::text", "jsonb_typeof({jsonb})", "array_to_string({text[]}, ',', '-')",
             "({text[]})[1]", "({numeric})::text", "({interval})::text", "({timestamp})::text", "overlay({text} placing 'zz' from 2 for 1)",
             "quote_literal({text})", "format('%s/%s', {text}, {int4})", "encode({bytea}, 'hex')", "({float8})::text", "({bool})::text",
             "greatest({text}, {text})", "to_char({numeric}, 'FM990.00')", "({bpchar} || {=text})", "({int4[]})::text"],
    "varchar": ["({text})::varchar(5)", "({int4})::varchar", "({varchar})::varchar(2)"],
    "bpchar": ["({text})::char(4)", "({bpchar})::char(2)", "({int4} % 10)::char(3)"],
    "timestamp": ["date_trunc('hour', {timestamp})", "date_trunc('day', {timestamp})", "({timestamp} + interval '90 minutes')",
                  "({date})::timestamp", "({=date} + {=time})", "({timestamp} - {=interval})", "date_bin('15 minutes', {timestamp}, '2001-01-01')",
                  "timezone('UTC', {timestamptz})", "least({timestamp}, {timestamp})", "({date} + interval '1 day 2 hours')"],
    "timestamptz": ["({timestamptz} + interval '1 hour')", "date_trunc('day', {timestamptz})", "timezone('UTC', {timestamp})"],
    "date": ["({date} + 1)", "({timestamp})::date", "({date} - {int4} % 5)", "date_trunc('month', {timestamp})::date", "least({date}, {date})"],
    "time": ["({timestamp})::time", "({=time} + interval '1 hour')", "date_trunc('hour', {timestamp})::time"],
    "interval": ["({timestamp} - {timestamp})", "({interval} + {=interval})", "({=interval} * 2)", "make_interval(0, 0, 0, 0, {int4} % 9)",
                 "(-{interval})", "age({=timestamp}, {=timestamp})", "({=time} - {=time})"],
    "uuid": ["(lpad(to_hex(abs({int4} % 9)), 32, '0'))::uuid"],
    "bytea": ["({bytea} || {=bytea})", "convert_to({text}, 'UTF8')", "substr({bytea}, 1, 1)", "decode(md5({text}), 'hex')"],
    "jsonb": ["({jsonb} -> 'a')", "jsonb_build_object('x', {int4}, 'y', {text})", "to_jsonb({text})", "jsonb_build_array({int4}, {bool})",
              "({jsonb} #> '{a,c}')", "({jsonb} || '[7]')", "to_jsonb({int4[]})", "({jsonb} -> 0)", "jsonb_strip_nulls({jsonb})",
              "jsonb_set(jsonb_build_object('a', {int4}, 'b', {bool}), '{a}', {jsonb})"],
    "int4[]": ["({int4[]} || {=int4})", "array_append({int4[]}, {int4})", "array_cat({int4[]}, {=int4[]})", "array_remove({int4[]}, 2)",
               "ARRAY[{int4}, {int4}]", "({int4[]})[1:2]", "array_replace({int4[]}, 1, 9)"],
    "text[]": ["array_append({text[]}, {text})", "ARRAY[{text}, {text}]", "string_to_array({text}, ' ')", "array_prepend({=text}, {text[]})",
               "array_remove({text[]}, {=text})"],
}

CONDITIONS = [
    "{text} LIKE 'a%'", "{text} NOT LIKE '%b%'", "{text} ILIKE '_B%'", "{text} ~ '^[a-c]+$'", "{text} !~* 'Z'", "starts_with({text}, 'a')",
    "{int4} = ANY ({int4[]})", "{int4} <> ALL ({int4[]})", "{int4[]} @> {=int4[]}", "{text[]} && {=text[]}", "{text} = ANY ({text[]})",
    "{jsonb} @> '{\"a\": 1}'", "{jsonb} ? 'a'", "({int4}, {text}) < ({int4}, {text})", "({int4}, {date}) = ({int4}, {date})",
    "ROW({int4}, {bool}) IS DISTINCT FROM ROW({int4}, {bool})", "({int4}, {int4}) IN ((1, 2), (3, {=int4}))", "({=int4}, {=text}) IS NULL",
    "({=int4}, {=text}) IS NOT NULL", "{text} SIMILAR TO '(a|b)%'", "{int4} BETWEEN SYMMETRIC {int4} AND {int4}",
    "({=date}, {=date} + 1) OVERLAPS ({=date}, {=date} + 3)", "num_nonnulls({=int4}, {=text}) = 1", "{bpchar} = {varchar}", "{int2} < {int8}",
    "{int4} > {numeric}", "{float8} <= {int4}", "{date} < {timestamp}", "{bool} IS UNKNOWN", "CASE {int4} WHEN 1 THEN true WHEN 2 THEN NULL ELSE {bool} END",
    "NOT ({bool})", "{text} COLLATE \"C\" < {text}", "{int4} IN ({int4}, {int4}, 4)",
]

TYPES = list(LITERALS)
NUMBERS = ["int2", "int4", "int8", "numeric", "float4", "float8"]
# equal values are identical: grouped, joined and compared freely
PLAIN = ["int4", "int4", "int4", "text", "text", "date", "bool", "timestamp", "int2", "int8", "varchar", "bpchar", "uuid", "timestamptz", "time",
         "int4[]", "text[]", "bytea"]
ORDERED = ["int4", "text", "timestamp", "date", "int8", "int2", "varchar", "bpchar", "float8", "timestamptz", "time", "float4"]  # have min and max


@dataclass
class Scope:
    """Columns in reach: (qualified name, type)."""
    columns: list = field(default_factory=list)

    def of(self, *types):
        return [c for c, t in self.columns if t in types]


def canonical(sql, t):
    """The same value, of which equal ones are identical."""
    return {"numeric": "round(%s, 2)", "interval": "justify_interval(%s)"}.get(t, "%s") % sql


class Expressions:
    def __init__(self, rng):
        self.rng = rng

    def chance(self, p):
        return self.rng.random() < p

    @staticmethod
    def sql_type(t):
        return {"numeric": "numeric(10,2)", "varchar": "varchar(12)", "bpchar": "char(4)"}.get(t, t)

    def any_type(self):
        """The common types more often."""
        return self.rng.choice(["int4", "int8", "text", "numeric", "bool", "timestamp", "date", "float8"]
                               if self.chance(0.6) else TYPES)

    def literal(self, t, null=0.0):
        if self.chance(null):
            return "NULL"
        text = self.rng.choice(LITERALS[t])
        return {"timestamp": "timestamp %s", "date": "date %s", "float8": "%s::float8"}.get(t, "%s") % text

    def typed(self, t):
        text = self.rng.choice(LITERALS[t])
        return "%s::%s" % ("(%s)" % text if text[0] == "-" else text, t)

    def fill(self, template, scope, depth):
        def one(m):
            name = m.group(1)
            return self.expr(scope, name.lstrip("="), 0 if name[0] == "=" else depth)
        return re.sub(r"\{(=?[a-z0-9]+(?:\[\])?)\}", lambda m: one(m) if m.group(1).lstrip("=") in LITERALS else m.group(0), template)

    def expr(self, scope, t, depth):
        r = self.rng
        have = scope.of(t)
        if depth <= 0 or self.chance(0.4):
            return r.choice(have) if have and self.chance(0.85) else self.typed(t) if self.chance(0.95) else "NULL::%s" % t
        d = depth - 1
        pick = r.random()
        if pick < 0.12:
            return "CASE WHEN %s THEN %s ELSE %s END" % (self.condition(scope, d), self.expr(scope, t, d), self.typed(t))
        if pick < 0.22:
            return "coalesce(%s, %s)" % (self.expr(scope, t, d), self.typed(t))
        if pick < 0.28:
            return "nullif(%s, %s)" % (self.expr(scope, t, d), self.typed(t))
        if t == "bool":
            return "(%s)" % self.condition(scope, d)
        return self.fill(r.choice(CALLS[t]), scope, d)

    def condition(self, scope, depth):
        r = self.rng
        if not scope.columns:
            return "true"
        if depth > 0 and self.chance(0.35):
            a, b = self.condition(scope, depth - 1), self.condition(scope, depth - 1)
            return r.choice(["(%s AND %s)", "(%s OR %s)", "(%s AND NOT %s)", "(NOT %s OR %s)"]) % (a, b)
        if depth > 0 and self.chance(0.25):
            return "(%s)" % self.fill(r.choice(CONDITIONS), scope, depth - 1)
        t = r.choice(scope.columns)[1]
        a, b = self.expr(scope, t, depth - 1), self.expr(scope, t, depth - 1)
        pick = r.random()
        if pick < 0.5:
            if t == "bool":
                return r.choice(["%s", "%s IS TRUE", "%s IS NOT TRUE", "%s IS NOT DISTINCT FROM true"]) % ("(%s)" % a)
            return "%s %s %s" % (a, r.choice(["=", "<>", "<", ">", "<=", ">="]), b)
        if pick < 0.65:
            return "%s IS %sNULL" % (a, r.choice(["", "NOT "]))
        if pick < 0.78:
            return "%s %sIN (%s)" % (a, r.choice(["", "NOT "]), ", ".join(self.typed(t) for _ in range(r.randint(1, 4))))
        if pick < 0.88:
            return "%s BETWEEN %s AND %s" % (a, self.typed(t), self.typed(t))
        return "%s IS %sDISTINCT FROM %s" % (a, r.choice(["", "NOT "]), b)
