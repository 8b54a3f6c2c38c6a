"""generate.py: random tables, changes and queries, all from one seed, valid in PostgreSQL 15 and Millrace alike.

Expressions come from expressions.py. Queries leave out what would differ between two right engines: ORDER BY ... LIMIT orders by
every output column, window functions whose value depends on the order of peers get a total order."""

from dataclasses import dataclass

from expressions import NUMBERS, ORDERED, PLAIN, TYPES, Expressions, Scope, canonical


@dataclass
class Relation:
    name: str
    columns: list  # (name, type)
    key: str = ""
    is_view: bool = False
    depth: int = 0
    is_stream: bool = False  # rows are only ever added


def named(columns):
    """The SELECT list, and the output columns, of (expression, type) pairs."""
    return ", ".join("%s AS o%d" % (e, i) for i, (e, _) in enumerate(columns)), [("o%d" % i, t) for i, (_, t) in enumerate(columns)]


class Generator(Expressions):
    def __init__(self, rng):
        self.only = None  # the method that makes every view
        super().__init__(rng)
        self.tables = []
        self.views = []
        self.next_alias = 0
        self.only_windows = False  # but for a few views

    # ---- schema ----

    def make_tables(self, count=5):
        for i in range(count):
            columns = [("k", "int4")]
            common = ["int8", "text", "numeric", "bool", "timestamp", "date", "float8"]
            rare = [t for t in TYPES if t not in common and t != "int4"]
            types = self.rng.sample(common, self.rng.randint(2, 4)) + self.rng.sample(rare, self.rng.randint(1, 3)) + ["int4"]
            columns += [("c%d" % j, t) for j, t in enumerate(types)]
            self.tables.append(Relation("t%d" % i, columns, "k" if i % 2 == 0 else ""))
        self.tables.append(Relation("t%d" % count, self.tables[1].columns, is_stream=True))
        return ["CREATE %s %s (%s)" % ("STREAM" if t.is_stream else "TABLE", t.name, ", ".join(
            "%s %s%s" % (c, self.sql_type(ty), " PRIMARY KEY" if c == t.key else "") for c, ty in t.columns))
            for t in self.tables]

    def row(self, table, key):
        return "(%s)" % ", ".join(str(key) if c == "k" else self.literal(t, 0.2) for c, t in table.columns)

    # ---- changes ----

    def change(self, big=False):
        """One DML statement."""
        r = self.rng
        t = r.choice(self.tables)
        what = 0 if t.is_stream else r.random()
        span = 4000 if big else 30
        if what < 0.5:
            n = r.randint(1000, 3000) if big else r.choice([1, 1, 1, 2, 5, 12, 20])
            keys = r.sample(range(span * 2), n) if t.key else [r.randint(0, span) for _ in range(n)]
            sql = "INSERT INTO %s VALUES %s" % (t.name, ", ".join(self.row(t, k) for k in keys))
            if t.key:
                others = [c for c, _ in t.columns if c != "k"]
                c = r.choice(others)
                sql += r.choice([" ON CONFLICT DO NOTHING", " ON CONFLICT (k) DO NOTHING",
                                 " ON CONFLICT (k) DO UPDATE SET %s = excluded.%s" % (c, c),
                                 " ON CONFLICT (k) DO UPDATE SET (%s) = ROW(excluded.%s) WHERE %s.k > 3" % (c, c, t.name),
                                 ""]) if self.chance(0.8) else ""
            return sql + self.returning(t)
        scope = Scope(list(t.columns))
        if what < 0.75:
            if t.key and self.chance(0.08) and not big:
                return "UPDATE %s SET k = k + 1000 WHERE k < 1000 AND %s" % (t.name, self.condition(scope, 1))
            sets = []
            for c, ty in r.sample(t.columns[1:], r.randint(1, 2)):
                sets.append("%s = %s" % (c, self.literal(ty, 0.1) if ty in NUMBERS + ["bytea", "int4[]", "text[]", "varchar"]
                                         else "substr(%s, 1, 40)" % self.expr(scope, ty, 1) if ty == "text"
                                         else "(%s)::char(4)" % self.expr(scope, ty, 1) if ty == "bpchar" else self.expr(scope, ty, 1)))
            return "UPDATE %s SET %s WHERE %s%s" % (t.name, ", ".join(sets), self.change_condition(t), self.returning(t))
        if what < 0.95:
            if big:
                return "DELETE FROM %s WHERE k %% 7 = %d" % (t.name, r.randint(0, 6))
            if self.chance(0.15):
                o = r.choice(self.tables)
                return "DELETE FROM %s USING %s o WHERE o.k = %s.k AND %s" % (
                    t.name, o.name, t.name, self.condition(Scope([("o.%s" % c, ty) for c, ty in o.columns]), 1))
            return "DELETE FROM %s WHERE %s%s" % (t.name, self.change_condition(t), self.returning(t))
        if what < 0.97:
            return "TRUNCATE %s" % t.name
        other = r.choice([x for x in self.tables if not x.key])
        if self.views and self.chance(0.4) and not big:
            v = r.choice(self.views)
            s = Scope([("v.%s" % c, ty) for c, ty in v.columns])
            return "INSERT INTO %s SELECT DISTINCT %s FROM %s v WHERE %s AND (SELECT count(*) FROM %s) < 100" % (
                other.name, ", ".join("CASE WHEN %s THEN %s END" % (self.condition(s, 0), self.typed(ty)) for _, ty in other.columns), v.name,
                self.condition(s, 1), other.name)
        source = r.choice(self.tables)
        s = Scope(list(source.columns))
        return "INSERT INTO %s SELECT %s FROM %s WHERE %s AND k < %d" % (
            other.name, ", ".join(self.plain(s, ty) for _, ty in other.columns), source.name, self.condition(s, 1),
            r.randint(0, span // 2))

    def add_column(self):
        """ALTER TABLE ADD COLUMN; the name may be one that views give a column of their own, which goes on meaning that."""
        r = self.rng
        t = r.choice(self.tables)
        taken = [c for c, _ in t.columns]
        name = r.choice([c for c in ["c%d" % i for i in range(40)] + ["o0", "o1", "n1"] if c not in taken])
        ty = self.any_type()
        default = "" if self.chance(0.3) else " DEFAULT %s" % self.literal(ty, 0.1)
        if default and "NULL" not in default and self.chance(0.5):
            default = r.choice([" NOT NULL%s", "%s NOT NULL"]) % default
        t.columns = t.columns + [(name, ty)]
        return "ALTER TABLE %s ADD COLUMN %s %s%s" % (t.name, name, self.sql_type(ty), default)

    def change_condition(self, t):
        if self.chance(0.2):
            return self.subquery_condition(Scope([("%s.%s" % (t.name, c), ty) for c, ty in t.columns]), 0)
        return self.condition(Scope(list(t.columns)), 2)

    def returning(self, t):
        return " RETURNING %s" % self.rng.choice(["*", "k", "k + 1, %s" % self.rng.choice(t.columns)[0]]) if self.chance(0.15) else ""

    def plain(self, scope, t):
        have = scope.of(t)
        return self.rng.choice(have) if have and self.chance(0.8) else self.typed(t)

    # ---- FROM ----

    def alias(self):
        self.next_alias += 1
        return "x%d" % self.next_alias

    def relation(self, max_depth=3):
        pool = self.tables * 2 + [v for v in self.views if v.depth < max_depth]
        return self.rng.choice(pool)

    def from_item(self, depth):
        """SQL, scope."""
        r = self.rng
        alias = self.alias()
        if depth > 0 and self.chance(0.2):
            sql, columns = self.select(depth - 1)
            return "(%s) %s" % (sql, alias), Scope([("%s.%s" % (alias, c), t) for c, t in columns])
        if self.chance(0.04):
            types = [r.choice(PLAIN) for _ in range(r.randint(1, 3))]
            rows = ", ".join("(%s)" % ", ".join(self.typed(t) for t in types) for _ in range(r.randint(1, 4)))
            return "(VALUES %s) %s(%s)" % (rows, alias, ", ".join("a%d" % i for i in range(len(types)))), Scope(
                [("%s.a%d" % (alias, i), t) for i, t in enumerate(types)])
        if self.chance(0.03):
            return "generate_series(%d, %d) %s(g)" % (r.randint(-1, 3), r.randint(3, 8), alias), Scope([("%s.g" % alias, "int4")])
        rel = self.relation()
        return "%s %s" % (rel.name, alias), Scope([("%s.%s" % (alias, c), t) for c, t in rel.columns])

    def join_condition(self, left, right):
        r = self.rng
        if self.chance(0.12):  # keys of different types
            t, u = r.choice([("int4", "int8"), ("int4", "numeric"), ("int2", "int4"), ("text", "varchar"), ("bpchar", "text"), ("varchar", "bpchar"),
                             ("date", "timestamp"), ("timestamp", "timestamptz"), ("int4", "float8"), ("numeric", "float8"), ("float4", "float8"),
                             ("int8", "numeric"), ("numeric", "int4")])
            a, b = left.of(t), right.of(u)
            if a and b:
                return "%s = %s" % (r.choice(a), r.choice(b))
        if self.chance(0.1) and left.columns and right.columns:  # keys that are computed
            t = r.choice(["int4", "text", "date"])
            return "%s = %s" % (self.expr(left, t, 2), self.expr(right, t, 2))
        for _ in range(8):
            t = r.choice(PLAIN + ["numeric"])
            a, b = left.of(t), right.of(t)
            if a and b:
                sql = "%s = %s" % (r.choice(a), r.choice(b))
                if self.chance(0.1):
                    sql = "%s IS NOT DISTINCT FROM %s" % (r.choice(a), r.choice(b))
                if self.chance(0.25):
                    sql += " AND " + self.condition(Scope(left.columns + right.columns), 1)
                return sql
        return "%s" % self.condition(Scope(left.columns + right.columns), 1)

    def lateral(self, scope):
        """A derived table that reads the columns to its left: SQL with its join, scope; None when nothing fits."""
        r = self.rng
        alias = self.alias()
        arrays = scope.of("int4[]")
        if arrays and self.chance(0.4):
            return "%s unnest(%s) %s(u)%s" % (*(("LEFT JOIN", r.choice(arrays), alias, " ON true") if self.chance(0.4)
                                                else ("CROSS JOIN", r.choice(arrays), alias, "")),), Scope([("%s.u" % alias, "int4")])
        inner_from, inner = self.from_item(0)
        t = next((t for t in r.sample(["int4", "text", "date", "bool"], 4) if scope.of(t) and inner.of(t)), None)
        if t is None:
            return None
        where = "%s = %s" % (r.choice(inner.of(t)), r.choice(scope.of(t)))
        if self.chance(0.3):
            where += " AND " + self.condition(inner, 1)
        pick = r.random()
        if pick < 0.4:
            columns = [self.aggregate(inner) for _ in range(r.randint(1, 2))]
            tail = ""
        elif pick < 0.7:
            columns = [(canonical(e, t), t) for e, t in self.outputs(inner, 0)]
            tail = " ORDER BY %s LIMIT %d" % (", ".join("%d%s" % (i + 1, r.choice(["", " DESC"])) for i in range(len(columns))), r.randint(1, 3))
        else:
            columns = self.outputs(Scope(inner.columns + scope.columns), 1)
            tail = ""
        names, outs = named(columns)
        join = r.choice([("CROSS JOIN", ""), ("LEFT JOIN", " ON true"), ("JOIN", " ON true")])
        return "%s LATERAL (SELECT %s FROM %s WHERE %s%s) %s%s" % (join[0], names, inner_from, where, tail, alias, join[1]), Scope(
            [("%s.%s" % (alias, c), t) for c, t in outs])

    def using(self):
        """A join by names: SQL, scope."""
        r = self.rng
        a, b = r.choice(self.tables), r.choice(self.tables)
        x, y = self.alias(), self.alias()
        kind = r.choice(["", "LEFT ", "RIGHT ", "FULL "])
        if self.chance(0.5):
            return "%s %s %sJOIN %s %s USING (k)" % (a.name, x, kind, b.name, y), Scope(
                [("k", "int4"), ("%s.k" % x, "int4")] + [("%s.%s" % (x, c), t) for c, t in a.columns[1:]] +
                [("%s.%s" % (y, c), t) for c, t in b.columns[1:]])
        (c, t), (d, u) = r.choice(a.columns[1:]), r.choice(b.columns[1:])
        return "(SELECT k, %s AS n1 FROM %s) %s NATURAL %sJOIN (SELECT k, %s AS n2 FROM %s) %s" % (c, a.name, x, kind, d, b.name, y), Scope(
            [("k", "int4"), ("n1", t), ("n2", u)])

    def time_bounds(self, left, right):
        """Bounds on the distance of a time of each side, from one side or both; None: there are no two times."""
        r = self.rng
        t = next((t for t in r.sample(["timestamp", "timestamptz", "date"], 3) if left.of(t) and right.of(t)), None)
        if t is None:
            return None
        a, b = r.choice(left.of(t)), r.choice(right.of(t))
        if self.chance(0.3):
            a, b = b, a
        if self.chance(0.1):
            a = self.expr(left if a in left.of(t) else right, t, 1)

        def distance():
            if t == "date" and self.chance(0.7):
                return str(r.choice([0, 1, 3, 30, 400]))
            return "interval '%s'" % r.choice(["1 hour", "1 day", "5 days 2 hours", "1 month", "100 days", "1 year 3 hours", "-2 days", "0"])

        def bound(x, y):  # x < y + something, in one of its spellings
            low = r.choice(["<", "<="])
            form = r.randint(0, 4)
            if form == 0:
                return "%s - %s %s %s" % (x, distance(), low, y)
            if form == 1:
                return "%s + %s %s %s" % (y, distance(), r.choice([">", ">="]), x)
            if form == 2:
                return "%s %s %s" % (x, low, y)
            if form == 3 and t != "date":
                return "%s - %s %s %s" % (x, y, low, distance())
            return "%s %s %s + %s" % (x, low, y, distance())

        form = r.random()
        if form < 0.2:
            return bound(a, b)
        if form < 0.5:
            return "%s BETWEEN %s - %s AND %s + %s" % (a, b, distance(), b, distance())
        return "%s AND %s" % (bound(a, b), bound(b, a))

    def from_clause(self, depth):
        r = self.rng
        if self.chance(0.06):
            return self.using()
        if self.chance(0.05):  # joined by WHERE alone
            items = [self.from_item(0) for _ in range(3)]
            on = []
            for (_, x), (_, y) in zip(items, items[1:]):
                t = next((t for t in r.sample(["int4", "text", "date", "int8"], 4) if x.of(t) and y.of(t)), None)
                on.append("%s = %s" % (r.choice(x.of(t)), r.choice(y.of(t))) if t else self.condition(Scope(x.columns + y.columns), 0))
            alias = self.alias()
            names, outs = named(self.outputs(Scope([c for _, x in items for c in x.columns]), 0))
            return "(SELECT %s FROM %s WHERE %s) %s" % (names, ", ".join(sql for sql, _ in items), " AND ".join(on), alias), Scope(
                [("%s.%s" % (alias, c), t) for c, t in outs])
        sql, scope = self.from_item(depth)
        for _ in range(r.choice([0, 0, 1, 1, 2])):
            if self.chance(0.12):
                made = self.lateral(scope)
                if made:
                    sql += " " + made[0]
                    scope = Scope(scope.columns + made[1].columns)
                    continue
            more, more_scope = self.from_item(depth - 1)
            kind = r.choice(["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
            on = self.join_condition(scope, more_scope)
            bounds = self.time_bounds(scope, more_scope) if self.chance(0.25) else None
            if bounds and kind != "FULL JOIN":
                on = r.choice([bounds, "%s AND %s" % (on, bounds)])
            if kind == "FULL JOIN":  # PostgreSQL wants a hashable or mergeable condition
                t = next((t for t in ["int4", "text", "date", "uuid", "bpchar"] if scope.of(t) and more_scope.of(t)), None)
                if t is None:
                    kind = "LEFT JOIN"
                else:
                    on = "%s = %s" % (r.choice(scope.of(t)), r.choice(more_scope.of(t)))
                    if bounds:
                        on += " AND " + bounds
                    if self.chance(0.2):
                        on += " AND " + self.condition(Scope(scope.columns + more_scope.columns), 1)
            sql += " %s %s ON %s" % (kind, more, on)
            scope = Scope(scope.columns + more_scope.columns)
        return sql, scope

    # ---- WHERE ----

    def where(self, scope, depth):
        if not self.chance(0.5):
            return ""
        if depth > 0 and self.chance(0.4):
            sql = " WHERE " + self.subquery_condition(scope, depth - 1)
            if self.chance(0.3):
                sql += self.rng.choice([" AND ", " OR "]) + self.condition(scope, 1)
            if self.chance(0.1):
                sql += " AND " + self.subquery_condition(scope, 0)
            return sql
        return " WHERE " + self.condition(scope, 2)

    def subquery_condition(self, scope, depth):
        r = self.rng
        inner_from, inner = self.from_item(0)
        t = next((t for t in r.sample(["int4", "text", "date", "bool", "numeric", "bpchar", "uuid"], 7) if scope.of(t) and inner.of(t)), None)
        if t is None:
            return "EXISTS (SELECT 1 FROM %s WHERE %s)" % (inner_from, self.condition(inner, 1))
        a, b = r.choice(scope.of(t)), r.choice(inner.of(t))
        a2, b2 = r.choice(scope.of(t)), r.choice(inner.of(t))
        inner_condition = self.condition(inner, 1)
        bounds = self.time_bounds(scope, inner) if self.chance(0.25) else None
        if bounds:
            return "%sEXISTS (SELECT 1 FROM %s WHERE %s AND (%s))" % (r.choice(["", "NOT "]), inner_from, r.choice(["%s = %s" % (a, b), inner_condition]), bounds)
        both = Scope(scope.columns + inner.columns)
        if depth >= 0 and self.chance(0.15):  # two levels, the inner one perhaps reading the outermost row
            deep = self.subquery_condition(both if self.chance(0.6) else inner, depth - 1)
            return "%sEXISTS (SELECT 1 FROM %s WHERE %s = %s AND %s)" % (r.choice(["", "NOT "]), inner_from, a, b, deep)
        return r.choice([
            "EXISTS (SELECT 1 FROM %s WHERE %s = %s AND %s)" % (inner_from, a, b, inner_condition),
            "NOT EXISTS (SELECT 1 FROM %s WHERE %s = %s AND %s)" % (inner_from, a, b, inner_condition),
            "%s IN (SELECT %s FROM %s WHERE %s)" % (a, b, inner_from, inner_condition),
            "%s NOT IN (SELECT %s FROM %s WHERE %s)" % (a, b, inner_from, inner_condition),
            "%s > (SELECT min(%s) FROM %s WHERE %s)" % (a, b, inner_from, inner_condition) if t not in ("bool", "uuid")
            else "EXISTS (SELECT 1 FROM %s WHERE %s)" % (inner_from, inner_condition),
            "(SELECT count(*) FROM %s WHERE %s = %s) > %d" % (inner_from, b, a, r.randint(0, 2)),
            "(EXISTS (SELECT 1 FROM %s WHERE %s = %s) OR %s)" % (inner_from, a, b, self.condition(scope, 0)),
            "EXISTS (SELECT 1 FROM %s WHERE %s = %s AND %s)" % (inner_from, a, b, self.condition(both, 1)),
            "(%s, %s) IN (SELECT %s, %s FROM %s WHERE %s)" % (a, a2, b, b2, inner_from, inner_condition),
            "(%s, %s) NOT IN (SELECT %s, %s FROM %s WHERE %s)" % (a, a2, b, b2, inner_from, inner_condition),
            "%s %s %s (SELECT %s FROM %s WHERE %s)" % (a, r.choice(["<", ">=", "=", "<>"]), r.choice(["ANY", "ALL"]), b, inner_from, inner_condition),
            "(%s IN (SELECT %s FROM %s WHERE %s)) IS NOT TRUE" % (a, b, inner_from, self.condition(both, 1)),
            "EXISTS (SELECT 1 FROM %s WHERE %s = %s GROUP BY %s HAVING count(*) > %d)" % (inner_from, a, b, b2, r.randint(0, 2)),
            "%s = (SELECT %s FROM %s WHERE %s ORDER BY 1 LIMIT 1)" % (a, b, inner_from, self.condition(both, 1)),
        ])

    # ---- outputs ----

    def outputs(self, scope, depth):
        r = self.rng
        columns = []
        for _ in range(r.randint(1, 4)):
            t = r.choice(scope.columns)[1] if self.chance(0.7) else self.any_type()
            columns.append((self.expr(scope, t, depth), t))
        return columns

    def scalar_subquery(self, scope):
        """(SQL, type) or None."""
        r = self.rng
        inner_from, inner = self.from_item(0)
        t = next((t for t in ["int4", "text", "bool", "date"] if scope.of(t) and inner.of(t)), None)
        if t is None:
            return None
        a, b = r.choice(scope.of(t)), r.choice(inner.of(t))
        extra = " AND " + self.condition(Scope(inner.columns + scope.columns), 1) if self.chance(0.3) else ""
        made, made_t = self.aggregate(inner)
        return r.choice([
            ("(SELECT %s FROM %s WHERE %s = %s%s)" % (made, inner_from, b, a, extra), made_t),
            ("(SELECT count(*) FROM %s WHERE %s <= %s%s)" % (inner_from, b, a, extra), "int8"),
            ("EXISTS (SELECT 1 FROM %s WHERE %s = %s%s)" % (inner_from, b, a, extra), "bool"),
            ("(%s IN (SELECT %s FROM %s WHERE true%s))" % (a, b, inner_from, extra), "bool"),
            ("(%s NOT IN (SELECT %s FROM %s WHERE true%s))" % (a, b, inner_from, extra), "bool"),
            ("(SELECT %s FROM %s WHERE %s = %s%s ORDER BY 1 LIMIT 1)" % (b, inner_from, b, a, extra), t),
            ("ARRAY(SELECT %s FROM %s WHERE %s = %s%s ORDER BY 1)::text" % (b, inner_from, b, a, extra), "text"),
            ("coalesce((SELECT max(%s) FROM %s WHERE %s = %s%s), -1)" % (r.choice(inner.of("int4") or ["7"]), inner_from, b, a, extra), "int4"),
        ])

    def aggregate(self, scope):
        """SQL, type."""
        r = self.rng
        number = r.choice(["int2", "int4", "int8", "numeric", "float8", "float4"])
        arg = self.expr(scope, number, 1)
        result = {"int2": "int8", "int4": "int8", "int8": "numeric", "numeric": "numeric", "float8": "float8", "float4": "float4"}[number]
        any_t = self.any_type()
        ordered = r.choice(ORDERED)
        value = self.expr(scope, ordered, 1)
        distinct = r.choice(["", "", "DISTINCT "])
        plain = r.choice(["int4", "text", "date", "uuid", "bpchar", "timestamp"])
        p = self.expr(scope, plain, 0)
        text, integer = self.expr(scope, "text", 0), self.expr(scope, "int4", 0)
        options = [
            ("count(*)", "int8"), ("count(%s)" % self.expr(scope, any_t, 1), "int8"), ("sum(%s)" % arg, result), ("sum(%s)" % arg, result),
            ("min(%s)" % value, ordered), ("max(%s)" % value, ordered), ("min(%s)" % value, ordered), ("max(%s)" % value, ordered),
            ("max(%s)" % canonical(self.expr(scope, "numeric", 1), "numeric"), "numeric"),
            ("min(%s)" % canonical(self.expr(scope, "interval", 1), "interval"), "interval"),
            ("count(DISTINCT %s)" % self.expr(scope, r.choice(PLAIN), 1), "int8"),
            ("sum(DISTINCT %s)" % self.expr(scope, "int4", 1), "int8"),
            ("avg(%s%s)" % (distinct, self.expr(scope, "int4", 1)), "numeric"),
            ("avg(%s)" % self.expr(scope, "numeric", 1), "numeric"),
            ("avg(%s)" % self.expr(scope, "float8", 1), "float8"),
            ("bool_and(%s)" % self.condition(scope, 0), "bool"), ("every(%s)" % self.condition(scope, 1), "bool"),
            ("bool_or(%s)" % self.condition(scope, 0), "bool"),
            ("bit_and(%s)" % integer, "int4"), ("bit_or(%s)" % integer, "int4"), ("bit_xor(%s)" % integer, "int4"),
            ("string_agg(%s%s, ',' ORDER BY %s)" % (distinct, text, text), "text"),
            ("array_agg(%s%s ORDER BY %s)::text" % (distinct, p, p), "text"),
            ("array_agg(%s%s ORDER BY %s DESC NULLS LAST)" % (distinct, integer, integer), "int4[]"),
            ("jsonb_agg(%s ORDER BY %s)" % (p, p) if plain != "bpchar" else "jsonb_agg(%s ORDER BY %s)" % (integer, integer), "jsonb"),
            ("var_pop(%s)" % integer, "numeric"), ("stddev(%s%s)" % (distinct, integer), "numeric"),
            ("var_samp(%s)" % self.expr(scope, "int8", 1), "numeric"),
            ("percentile_disc(0.5) WITHIN GROUP (ORDER BY %s)" % integer, "int4"),
            ("percentile_cont(0.25) WITHIN GROUP (ORDER BY %s)" % self.expr(scope, "float8", 0), "float8"),
            ("mode() WITHIN GROUP (ORDER BY %s)" % text, "text"),
            ("sum(%s)" % self.expr(scope, "interval", 0), "interval"),
        ]
        sql, t = r.choice(options)
        if self.chance(0.25):
            condition = self.condition(scope, 1)
            sql = sql[:-6] + " FILTER (WHERE %s)::text" % condition if sql.endswith("::text") else sql + " FILTER (WHERE %s)" % condition
        return sql, t

    # ---- queries ----

    def grouped(self, depth):
        r = self.rng
        source, scope = self.from_clause(depth)
        groups = []
        for _ in range(r.choice([0, 1, 1, 1, 2])):
            t = r.choice(PLAIN)
            groups.append((self.expr(scope, t, 1) if not scope.of(t) else r.choice(scope.of(t)), t))
        groups = [(g, t) for g, t in groups if any(c in g for c, _ in scope.columns)]
        columns = groups + [self.aggregate(scope) for _ in range(r.randint(1, 3))]
        if groups and self.chance(0.1):
            columns.append(("sum(count(*)) OVER (ORDER BY %s)" % groups[0][0], "numeric"))
        if groups and self.chance(0.1):
            columns.append(("rank() OVER (ORDER BY count(*) DESC)", "int8"))
        sets = ""
        if groups and self.chance(0.15):
            plain = [g for g, _ in groups if g in [c for c, _ in scope.columns]]
            if len(plain) == len(groups):
                columns.append(("grouping(%s)" % ", ".join(plain), "int4"))
                sets = r.choice(["ROLLUP (%s)", "CUBE (%s)", "GROUPING SETS ((%s), ())"]) % ", ".join(plain)
                if len(plain) == 2 and self.chance(0.4):
                    sets = "GROUPING SETS (%s, %s)" % tuple(plain)
        if self.chance(0.08) and not sets and groups and groups[0][0] in [c for c, _ in scope.columns]:
            made = self.scalar_subquery(Scope([groups[0]]))
            if made:
                columns.append(made)
        names, outs = named(columns)
        sql = "SELECT %s FROM %s%s" % (names, source, self.where(scope, depth))
        if sets:
            sql += " GROUP BY " + sets
        elif groups:
            sql += " GROUP BY " + ", ".join(str(i + 1) for i in range(len(groups)))
        if self.chance(0.3):
            inner_from, inner = self.from_item(0)
            key = groups[0] if groups and not sets and groups[0][0] in [c for c, _ in scope.columns] else None
            sql += " HAVING " + r.choice([
                "count(*) %s %d" % (r.choice([">", "<", "="]), r.randint(0, 3)), "count(*) > 1 OR %s IS NULL" % self.aggregate(scope)[0],
                "count(*) > (SELECT count(*) FROM %s WHERE %s)" % (inner_from, self.condition(inner, 1)),
                "EXISTS (SELECT 1 FROM %s WHERE %s = %s)" % (inner_from, r.choice(inner.of(key[1])), key[0])
                if key and inner.of(key[1]) else "count(*) < 5",
                "(SELECT count(*) FROM %s WHERE %s = %s) < count(*)" % (inner_from, r.choice(inner.of(key[1])), key[0])
                if key and inner.of(key[1]) else "bool_or(%s)" % self.condition(scope, 0)])
        return sql, outs

    def window(self, depth):
        """tumble, hop and cumulate, said in plain SQL as PostgreSQL has neither: the pair (millrace, postgres)."""
        t = self.rng.choice([x for x in self.tables if any(ty == "timestamp" for _, ty in x.columns)] or [None])
        if t is None:
            return None
        ts = next(c for c, ty in t.columns if ty == "timestamp")
        slide, times = self.rng.choice([(1, 1), (3, 1), (12, 1), (1, 2), (1, 5), (2, 5), (3, 4), (4, 10), (12, 24), (5, 24)])
        size = slide if times == 1 else times if (slide, times) in [(2, 5), (4, 10), (12, 24), (5, 24)] else slide * times
        offset = self.rng.choice([0, 0, 1, -7])
        said = ", \"offset\" => INTERVAL '%d hours'" % offset if offset else ""
        if size == slide:
            ours = "tumble(%s, %s, INTERVAL '%d hours'%s)" % (t.name, ts, size, said)
        else:
            ours = "hop(%s, %s, INTERVAL '%d hours', INTERVAL '%d hours'%s)" % (t.name, ts, slide, size, said)
        first = "date_bin('%d hours', %s, timestamp '1970-01-01' + interval '%d hours')" % (slide, ts, offset)
        theirs = ("(SELECT t.*, %s - n * interval '%d hours' AS window_start, %s - n * interval '%d hours' + interval '%d hours' AS window_end"
                  " FROM %s t, generate_series(0, %d) n WHERE %s IS NOT NULL AND %s < %s - n * interval '%d hours' + interval '%d hours') w") % (
                      first, slide, first, slide, size, t.name, (size - 1) // slide, ts, ts, first, slide, size)
        if self.chance(0.2):
            times = self.rng.choice([1, 2, 3, 6])
            ours = "cumulate(%s, %s, INTERVAL '%d hours', INTERVAL '%d hours'%s)" % (t.name, ts, slide, slide * times, said)
            first = "date_bin('%d hours', %s, timestamp '1970-01-01' + interval '%d hours')" % (slide * times, ts, offset)
            theirs = ("(SELECT t.*, {f} AS window_start, {f} + n * interval '{s} hours' AS window_end FROM {t} t, generate_series(1, {n}) n"
                      " WHERE {c} < {f} + n * interval '{s} hours') w").format(f=first, s=slide, n=times, t=t.name, c=ts)
        scope = Scope(list(t.columns))
        groups = self.rng.choice([["window_start", "window_end"], ["window_start", "window_end"], ["window_start"], ["window_end"]])
        columns = [(g, "timestamp") for g in groups]
        if self.chance(0.5):
            key = self.rng.choice([c for c in t.columns if c[1] in ("int4", "text", "bool", "date", "numeric")])
            columns.append((canonical(key[0], key[1]), key[1]))
        keys = len(columns)
        pick = self.rng.random()
        if pick < 0.45:  # what can be added up by slices
            mergeable = ["count(*)", "sum(%s)" % self.expr(scope, "int4", 1), "bool_or(%s)" % self.condition(scope, 0),
                         "count(*) FILTER (WHERE %s)" % self.condition(scope, 1), "count(%s)" % self.expr(scope, self.any_type(), 0)]
            kinds = ["int8", "int8", "bool", "int8", "int8"]
            columns += [(mergeable[i], kinds[i]) for i in self.rng.sample(range(5), 2)]
        elif pick < 0.7:  # what does not mind a row twice
            where = " FILTER (WHERE %s)" % self.condition(scope, 1)
            number = self.expr(scope, "int4", 1)
            calls = [("max(%s)" % number, "int4"), ("min(%s)%s" % (number, where), "int4"), ("min(%s)" % self.expr(scope, "text", 0), "text"),
                     ("count(DISTINCT %s)" % number, "int8"), ("sum(DISTINCT %s)%s" % (number, where), "int8"),
                     ("count(DISTINCT %s)%s" % (self.expr(scope, "text", 0), where), "int8")]
            columns += self.rng.sample(calls[:3] if self.chance(0.4) else calls, 2)
        else:
            columns += [self.aggregate(scope) for _ in range(2)]
        names, columns = named(columns)
        sql = ("SELECT ", names, " FROM ", None, " GROUP BY ", ", ".join(str(i + 1) for i in range(keys)))
        sql = ["".join(side if p is None else p for p in sql) for side in (ours, theirs)]
        if self.chance(0.3):  # the same twice: computed once
            time, last = columns[0][0], columns[-1]
            if last[1] in ("int4", "int8", "float8"):
                sql = ["SELECT a.* FROM (%s) a JOIN (SELECT %s AS t, max(%s) AS m FROM (%s) b GROUP BY %s) c ON a.%s = c.t AND a.%s >= c.m" %
                       (q, time, last[0], q, time, time, last[0]) for q in sql]
        return sql[0], sql[1], columns

    def calendar(self, depth):
        """Windows of days, weeks, months and hours in a zone around a change of its clock: the pair (millrace, postgres)."""
        r = self.rng
        t = r.choice([x for x in self.tables if any(ty == "timestamp" for _, ty in x.columns)] or [None])
        if t is None:
            return None
        ts = next(c for c, ty in t.columns if ty == "timestamp")
        zone, days = r.choice([("Europe/Berlin", 86), ("Europe/Berlin", 296), ("America/New_York", 65), ("America/New_York", 303),
                               ("Australia/Lord_Howe", 93), ("Australia/Lord_Howe", 275), ("UTC", 27)])
        rows = "(SELECT *, (%s + interval '%d days') AT TIME ZONE 'UTC' AS at FROM %s)" % (ts, days, t.name)
        local = "(at AT TIME ZONE '%s')" % zone
        said = ", timezone => '%s'" % zone
        unit, slide, size = r.choice([("hour", 4, 4), ("hour", 6, 6), ("hour", 12, 12), ("day", 1, 1), ("day", 1, 1), ("day", 2, 2), ("day", 7, 7),
                                      ("day", 1, 2), ("day", 1, 7), ("day", 2, 3), ("month", 1, 1), ("month", 3, 3), ("month", 1, 3), ("month", 12, 12)])
        offset = r.choice([0, 0, 6, 30]) if unit != "hour" else 0  # hours; a time that comes once
        if offset:
            said += ", \"offset\" => INTERVAL '%d hours'" % offset
        moved = "(%s - interval '%d hours')" % (local, offset)
        if unit == "month":
            first = "date_trunc('month', %s) - ((extract(month from %s)::int - 1) %% %d) * interval '1 month'" % (moved, moved, slide)
        else:
            first = "date_bin('%d %ss', %s, timestamp '1970-01-0%d')" % (slide, unit, moved, 5 if unit == "day" and slide % 7 == 0 else 1)
        start = "(%s - n * interval '%d %ss' + interval '%d hours')" % (first, slide, unit, offset)
        end = "(%s - n * interval '%d %ss' + interval '%d %ss' + interval '%d hours')" % (first, slide, unit, size, unit, offset)
        theirs = ("(SELECT * FROM (SELECT a.*, {start} AT TIME ZONE '{zone}' AS window_start, {end} AT TIME ZONE '{zone}' AS window_end"
                  " FROM {rows} a, generate_series(0, {last}) n) b WHERE at < window_end) w").format(
                      start=start, end=end, zone=zone, rows=rows, last=(size - 1) // slide)
        if size == slide and r.random() < 0.7:
            ours = "tumble(%s, at, INTERVAL '%d %ss'%s)" % (rows, size, unit, said)
        else:
            ours = "hop(%s, at, INTERVAL '%d %ss', INTERVAL '%d %ss'%s)" % (rows, slide, unit, size, unit, said) if unit != "hour" else \
                "cumulate(%s, at, INTERVAL '%d hours', INTERVAL '%d hours'%s)" % (rows, size, size, said)
        scope = Scope(list(t.columns))
        bounds = [("window_start", "timestamptz"), ("window_end", "timestamptz")]
        if self.chance(0.2):
            outs, columns = named([(canonical(c, ty), ty) for c, ty in t.columns] + bounds)
            return "SELECT %s FROM %s" % (outs, ours), "SELECT %s FROM %s" % (outs, theirs), columns
        groups = r.choice([bounds, bounds, bounds[:1], bounds[1:]])
        outs, columns = named(groups + [self.aggregate(scope) for _ in range(r.randint(1, 3))])
        tail = " GROUP BY " + ", ".join(g for g, _ in groups)
        if ours.startswith("tumble") and groups == bounds[:1] and self.chance(0.6):  # the same as a group
            group = "tumble(at, INTERVAL '%d %ss'%s)" % (size, unit, said)
            return ("SELECT %s FROM %s a GROUP BY 1" % (outs.replace("window_start AS", group + " AS"), rows),
                    "SELECT %s FROM %s%s" % (outs, theirs, tail), columns)
        return "SELECT %s FROM %s%s" % (outs, ours, tail), "SELECT %s FROM %s%s" % (outs, theirs, tail), columns

    def in_order(self, t, first):
        """ORDER BY one column, then all others."""
        return ", ".join([first] + [c for c, _ in t.columns if c != first])

    def count_window(self, depth):
        """Windows of n rows by key: the pair (millrace, postgres)."""
        r = self.rng
        t = r.choice(self.tables)
        n = r.choice([1, 2, 3, 5])
        order = r.choice([c for c, ty in t.columns if ty in ORDERED])
        keys = r.sample([c for c, ty in t.columns if ty in PLAIN and c != order], r.choice([0, 1, 1, 2]))
        ours = "count_window(%s, %s, %d%s)" % (t.name, order, n, "".join(", " + k for k in keys))
        theirs = "(SELECT *, (row_number() OVER (PARTITION BY %s ORDER BY %s) - 1) / %d AS window_number FROM %s) w" % (
            ", ".join(keys + ["true"]), self.in_order(t, order), n, t.name)
        types = dict(t.columns)
        if self.chance(0.4):
            outs, columns = named([(canonical(c, ty), ty) for c, ty in t.columns] + [("window_number", "int8")])
            tail = ""
        else:
            groups = [(k, types[k]) for k in keys] + [("window_number", "int8")]
            outs, columns = named(groups + [self.aggregate(Scope(list(t.columns))) for _ in range(r.randint(1, 2))])
            tail = " GROUP BY " + ", ".join(g for g, _ in groups)
        return "SELECT %s FROM %s%s" % (outs, ours, tail), "SELECT %s FROM %s%s" % (outs, theirs, tail), columns

    def gap_fill(self, depth):
        """Rows for the steps that are missing: the pair (millrace, postgres)."""
        r = self.rng
        t = r.choice([x for x in self.tables if any(ty in ("timestamp", "date") for _, ty in x.columns)] or [None])
        if t is None:
            return None
        ts, ts_type = r.choice([(c, ty) for c, ty in t.columns if ty in ("timestamp", "date")])
        hours = r.choice([1, 3, 5, 24]) if ts_type == "timestamp" else r.choice([24, 48])
        source, columns = t.name, list(t.columns)
        keys = r.sample([c for c, ty in columns if ty in PLAIN and c != ts], r.choice([0, 1, 1, 2]))
        if ts_type == "timestamp" and self.chance(0.5):  # over a windowed aggregate
            value = r.choice([("count(*)", "int8"), ("sum(k)", "int8"), ("max(k)", "int4"), ("avg(k)::float8", "float8")])
            key_types = dict(columns)
            inner = "SELECT date_bin('%d hours', %s, timestamp '1970-01-01') AS window_start, %s AS v%s FROM %s WHERE %s IS NOT NULL GROUP BY 1%s" % (
                hours, ts, value[0], "".join(", " + k for k in keys), t.name, ts, "".join(", " + k for k in keys))
            source, ts = "(%s)" % inner, "window_start"
            columns = [("window_start", "timestamp"), ("v", value[1])] + [(k, key_types[k]) for k in keys]
        rest = [(c, ty) for c, ty in columns if c != ts and c not in keys]
        r.shuffle(rest)
        linear = [c for c, ty in rest if ty in ("int4", "int8", "int2", "numeric", "float8") and self.chance(0.5)]
        last = [c for c, _ in rest if c not in linear and self.chance(0.5)]
        start = self.chance(0.3)
        ours = "gap_fill(%s, %s, INTERVAL '%d hours'%s%s%s%s)" % (
            source, ts, hours, "".join(", " + k for k in keys), ", locf => '%s'" % ", ".join(last) if last else "",
            ", interpolate => '%s'" % ",".join(linear) if linear else "",
            ", start => '2025-12-31 12:00', finish => '2026-01-04 18:00'" if start else "")
        order = ", ".join([ts] + [c for c, _ in columns if c != ts])
        base = "%s::timestamp" % ts
        grid = "date_bin('%d hours', %%s, timestamp '1970-01-01')" % hours
        outs = []
        for c, ty in columns:
            part = "extract(epoch from g - at)"
            whole = "extract(epoch from nx - at)"
            inner_type = "float8" if ty == "float8" else "numeric"
            outs.append("g::%s AS %s" % (ts_type, c) if c == ts else c if c in keys else
                        "CASE WHEN g >= at THEN %s END AS %s" % (c, c) if c in last else
                        ("CASE WHEN g = at THEN {c} WHEN g > at THEN ({c}::{i} + (n_{c}::{i} - {c}::{i}) * {p}::{i} / {w}::{i})::{t} END AS {c}"
                         .format(c=c, i=inner_type, p=part, w=whole, t=self.sql_type(ty)) if c in linear else
                         "CASE WHEN g = at THEN %s END AS %s" % (c, c)))
        finish = "coalesce(nx, timestamp '2026-01-04 18:00')" if start else "nx"
        fills = "SELECT g FROM generate_series(%s + interval '%d hours', %s - interval '1 us', interval '%d hours') g" % (
            grid % "at", hours, finish, hours)
        if start:
            fills += " UNION ALL SELECT g FROM generate_series(%s, at - interval '1 us', interval '%d hours') g WHERE g >= '2025-12-31 12:00' AND is_first" % (
                grid % "timestamp '2025-12-31 12:00'", hours)
        theirs = ("(SELECT {outs} FROM (SELECT *, {base} AS at, lead({base}) OVER o AS nx, lag({base}) OVER o IS NULL AS is_first{leads}"
                  " FROM {source} a WHERE isfinite({ts}) WINDOW o AS (PARTITION BY {part} ORDER BY {order})) b"
                  " CROSS JOIN LATERAL (SELECT at AS g UNION ALL {fills}) c) w").format(
                      outs=", ".join(outs), base=base, leads="".join(", lead(%s) OVER o AS n_%s" % (c, c) for c in linear), source=source, ts=ts,
                      part=", ".join(keys + ["true"]), order=order, fills=fills)
        names, columns = named([(canonical(c, ty), ty) for c, ty in columns])
        return "SELECT %s FROM %s" % (names, ours), "SELECT %s FROM %s" % (names, theirs), columns

    def session(self, depth):
        """session, which PostgreSQL says with gaps and islands: the pair (millrace, postgres)."""
        r = self.rng
        t = r.choice([x for x in self.tables if any(ty in ("timestamp", "date") for _, ty in x.columns)] or [None])
        if t is None:
            return None
        ts, ts_type = r.choice([(c, ty) for c, ty in t.columns if ty in ("timestamp", "date")])
        gap = "%d %s" % (r.choice([1, 3, 12]), "hours" if ts_type == "timestamp" and self.chance(0.7) else "days")
        keys = r.sample([c for c, ty in t.columns if ty in PLAIN and c != ts], r.choice([0, 1, 1, 2]))
        scope = Scope(list(t.columns))
        rows = t.name if self.chance(0.7) else "(SELECT * FROM %s WHERE %s)" % (t.name, self.condition(scope, 1))
        ours = "session(%s, %s, INTERVAL '%s'%s)" % (rows, ts, gap, "".join(", " + k for k in keys))
        names = ", ".join(c for c, _ in t.columns)
        part = "PARTITION BY %s" % ", ".join(keys + ["true"])
        theirs = ("(SELECT {names}, min({ts}::timestamp) OVER ({part}, island) AS window_start,"
                  " max({ts}::timestamp) OVER ({part}, island) + interval '{gap}' AS window_end"
                  " FROM (SELECT *, count(*) FILTER (WHERE cut) OVER ({part} ORDER BY {ts}) AS island"
                  " FROM (SELECT *, {ts}::timestamp - lag({ts}::timestamp) OVER ({part} ORDER BY {ts}) >= interval '{gap}' AS cut"
                  " FROM {rows} a WHERE {ts} IS NOT NULL) b) c) w").format(names=names, ts=ts, part=part, gap=gap, rows=rows)
        bounds = [("window_start", "timestamp"), ("window_end", "timestamp")]
        types = dict(t.columns)
        if self.chance(0.35):
            outs, columns = named(list(t.columns) + bounds)
            tail = self.where(scope, 0)
        else:
            groups = [(k, types[k]) for k in keys] + r.choice([bounds, bounds, bounds[:1], bounds[1:]])
            if self.chance(0.1):
                groups = groups[1:]
            outs, columns = named(groups + [self.aggregate(scope) for _ in range(r.randint(0, 3))])
            tail = self.where(Scope([g for g in groups]), 0) if self.chance(0.3) and groups else ""
            tail += " GROUP BY " + ", ".join(g for g, _ in groups) if groups else ""
            if not columns:
                return None
            if [g for g, _ in groups] == keys + ["window_start"] and rows == t.name and self.chance(0.6):  # the same as a group
                group = "session(%s, INTERVAL '%s')" % (ts, gap)
                tail = " GROUP BY " + ", ".join(keys + ["window_start"])
                return ("SELECT %s FROM %s%s" % (outs.replace("window_start AS", group + " AS"), rows, tail.replace("window_start", group)),
                        "SELECT %s FROM %s%s" % (outs, theirs, tail), columns)
        return "SELECT %s FROM %s%s" % (outs, ours, tail), "SELECT %s FROM %s%s" % (outs, theirs, tail), columns

    def over_frame(self, order_type):
        """Any frame; RANGE with offsets where the order is by one column of a type that has them."""
        r = self.rng
        modes = ["ROWS", "ROWS", "GROUPS", "RANGE"]
        if order_type is None or self.chance(0.15):
            return ""
        mode = r.choice(modes if order_type == "total" else modes[2:])
        offsets = {"date": ["interval '1 day'", "interval '1 month'"], "timestamp": ["interval '3 hours'", "interval '1 day 2 hours'"],
                   "text": [], "total": []}.get(order_type, ["0", "1", "2"]) if mode == "RANGE" else ["0", "1", "1", "2", "3", "7"]
        kinds = ["UNBOUNDED PRECEDING", "%s PRECEDING", "CURRENT ROW", "%s FOLLOWING", "UNBOUNDED FOLLOWING"]
        kinds = [(i, k) for i, k in enumerate(kinds) if "%s" not in k or offsets]
        start = r.choice([k for k in kinds if k[0] < 4])
        end = r.choice([k for k in kinds if k[0] > 0 and k[0] >= start[0]])
        if end[0] == 4 and self.chance(0.5):
            end = next(k for k in kinds if k[0] == 2) if start[0] <= 2 else end
        bound = [k % r.choice(offsets) if "%s" in k else k for _, k in (start, end)]
        exclude = r.choice(["", "", "", " EXCLUDE CURRENT ROW", " EXCLUDE GROUP", " EXCLUDE TIES", " EXCLUDE NO OTHERS"])
        return " %s BETWEEN %s AND %s%s" % (mode, bound[0], bound[1], exclude)

    def over(self, depth):
        """Window functions: over a total order, or of values that do not depend on the order of peers."""
        r = self.rng
        t = r.choice(self.tables + [t for t in self.tables if t.is_stream])
        scope = Scope(list(t.columns))
        part = r.choice([c for c, ty in t.columns if ty in ("int4", "text", "bool", "date")])
        order = ", ".join("%s%s" % (c, r.choice(["", "", " DESC", " NULLS FIRST"])) for c, _ in t.columns)
        calls, named_windows = [], []
        for _ in range(r.choice([1, 1, 2, 3])):
            partition = r.choice(["PARTITION BY %s " % part, "PARTITION BY %s " % part, "PARTITION BY k % 3 ", "", ""])
            total = [("row_number()", "int8"), ("rank()", "int8"), ("dense_rank()", "int8"), ("lag(k)", "int4"), ("lead(k, 2, -1)", "int4"),
                     ("ntile(3)", "int4"), ("lag(k, 1, 0)", "int4"), ("cume_dist()", "float8"), ("percent_rank()", "float8"),
                     ("lag(k, k % 4)", "int4"), ("lead(k, 5)", "int4")]
            ranks = [("rank()", "int8"), ("dense_rank()", "int8")]
            framed = [("count(*)", "int8"), ("sum(k)", "int8"), ("max(k)", "int4"), ("min(k)", "int4"), ("avg(k)", "numeric"),
                      ("count(*) FILTER (WHERE %s)" % self.condition(scope, 1), "int8")]
            framed += [("%s(%s)" % (f, c), "numeric") for c, ty in t.columns if ty == "numeric" for f in ("sum", "max")]
            first = [("first_value(k)", "int4"), ("last_value(k)", "int4"), ("nth_value(k, 2)", "int4"), ("nth_value(k, 1 + k % 3)", "int4")]
            lists = [("array_agg(k)", "int4[]")]
            kind = r.random()
            if kind < 0.3:
                call, ty = r.choice(total)
                window = "%sORDER BY %s" % (partition, order)
            elif kind < 0.65:
                call, ty = r.choice(framed + first + lists)
                if "nth_value(k, 1" in call:
                    call = call.replace("1 + k % 3", "1 + abs(k % 3)")
                window = "%sORDER BY %s%s" % (partition, order, self.over_frame("total"))
            else:
                by, by_type = r.choice([(c, ty) for c, ty in t.columns
                                        if ty in ("int4", "int8", "numeric", "date", "timestamp", "text", "float8")])
                call, ty = r.choice(framed * 3 + ranks)
                window = "%sORDER BY %s%s%s" % (partition, by, r.choice(["", " DESC", " NULLS FIRST"]),
                                                self.over_frame(None if call in ("rank()", "dense_rank()") else by_type))
            if self.chance(0.3):
                named_windows.append("w%d AS (%s)" % (len(named_windows), window))
                calls.append(("%s OVER w%d" % (call, len(named_windows) - 1), ty))
            else:
                calls.append(("%s OVER (%s)" % (call, window), ty))
        names, outs = named(list(t.columns) + calls)
        tail = " WINDOW " + ", ".join(named_windows) if named_windows else ""
        return "SELECT %s FROM %s%s%s" % (names, t.name, self.where(scope, 0), tail), outs

    def top(self, depth):
        """The first rows of each partition, by rank."""
        r = self.rng
        t = r.choice(self.tables + [t for t in self.tables if t.is_stream] * 2)
        scope = Scope(list(t.columns))
        parts = [c for c, ty in t.columns if ty in ("int4", "text", "bool", "date", "numeric")] + ["k % 3"]
        partition = r.choice(["PARTITION BY %s " % ", ".join(r.sample(parts, r.randint(1, 2)))] * 4 + [""])
        call = r.choice(["row_number()", "row_number()", "rank()", "dense_rank()"])
        by = list(t.columns)
        r.shuffle(by)
        if call != "row_number()":
            by = by[:r.choice([1, 1, 2])]
        order = ", ".join("%s%s" % (c, r.choice(["", "", " DESC", " NULLS FIRST", " DESC NULLS LAST"])) for c, _ in by)
        n = r.choice([1, 1, 2, 3, 5, 10])
        cut = r.choice(["rn <= %d" % n, "rn <= %d" % n, "rn < %d" % (n + 1), "rn = %d" % n, "%d >= rn" % n,
                        "rn BETWEEN 1 AND %d" % n, "rn BETWEEN 2 AND %d" % (n + 1)])
        columns = r.sample(t.columns, r.randint(1, len(t.columns))) if self.chance(0.5) else list(t.columns)
        if self.chance(0.5):
            columns = columns + [r.choice([("rn", "int8"), ("rn", "int8"), ("rn * 2", "int8")])]
        names, outs = named(columns)
        source = t.name
        if self.chance(0.3):  # each row as often as it has partners; both sides change at once
            source = "(SELECT a.* FROM %s a JOIN %s b ON a.k = b.k) j" % (t.name, r.choice([t, t, r.choice(self.tables)]).name)
        inner = "SELECT *, %s OVER (%sORDER BY %s) AS rn FROM %s%s" % (call, partition, order, source, self.where(scope, 0))
        beside = " AND %s" % self.condition(scope, 0) if self.chance(0.2) else ""
        return "SELECT %s FROM (%s) q WHERE %s%s" % (names, inner, cut, beside), outs

    def select(self, depth):
        """SQL, [(output name, type)]."""
        r = self.rng
        pick = r.random()
        if pick < 0.35:
            return self.grouped(depth)
        if pick < 0.45 and depth > 0:
            return self.set_operation(depth)
        source, scope = self.from_clause(depth)
        columns = self.outputs(scope, 2)
        if depth > 0 and self.chance(0.2):
            made = self.scalar_subquery(scope)
            if made:
                columns.append(made)
        if self.chance(0.03) and scope.of("int4[]"):
            columns.append(("unnest(%s)" % r.choice(scope.of("int4[]")), "int4"))
        distinct, limit = self.chance(0.2), self.chance(0.12)
        prefix = "DISTINCT " if distinct else ""
        if distinct or limit:
            columns = [(canonical(e, t), t) for e, t in columns]
        if distinct and self.chance(0.25):
            keys = r.randint(1, len(columns))
            prefix = "DISTINCT ON (%s) " % ", ".join(e for e, _ in columns[:keys]) if not any(
                e.startswith("unnest") for e, _ in columns) else prefix
        names, outs = named(columns)
        sql = "SELECT %s%s FROM %s%s" % (prefix, names, source, self.where(scope, depth))
        if limit or prefix.startswith("DISTINCT ON"):
            sql += " ORDER BY " + ", ".join("%d%s" % (i + 1, r.choice(["", " DESC", " NULLS FIRST"])) for i in range(len(columns)))
        if limit:
            first = r.randint(1, 6)
            sql += r.choice([" LIMIT %d" % first, " LIMIT %d OFFSET %d" % (first, r.randint(1, 3)), " LIMIT %d" % first,
                             " FETCH FIRST %d ROWS WITH TIES" % first])
        return sql, outs

    def set_operation(self, depth):
        r = self.rng
        types = [r.choice(PLAIN) for _ in range(r.randint(1, 3))]
        parts = []
        for _ in range(r.choice([2, 2, 3])):
            source, scope = self.from_item(0)
            parts.append("SELECT %s FROM %s%s" % (
                ", ".join("%s AS o%d" % (self.expr(scope, t, 1) if scope.of(t) else self.typed(t), i)
                          for i, t in enumerate(types)), source, self.where(scope, 0)))
        ops = ["UNION", "UNION ALL", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL"]
        sql = "%s %s %s" % (parts[0], r.choice(ops), parts[1])
        if len(parts) == 3:
            sql = "(%s) %s %s" % (sql, r.choice(ops), parts[2]) if self.chance(0.5) else "%s %s (%s)" % (parts[2], r.choice(ops), sql)
        if self.chance(0.1):
            sql += " ORDER BY %s LIMIT %d" % (", ".join(str(i + 1) for i in range(len(types))), r.randint(1, 5))
        return sql, [("o%d" % i, t) for i, t in enumerate(types)]

    def with_query(self):
        """Common table expressions, one of them perhaps read twice or holding its own."""
        r = self.rng
        inner, inner_columns = self.select(1)
        scope = Scope([("q.%s" % c, t) for c, t in inner_columns])
        columns = self.outputs(scope, 1)
        names, outs = named(columns)
        where = self.where(scope, 0)
        pick = r.random()
        if pick < 0.5:
            return "WITH q AS (%s) SELECT %s FROM q%s" % (inner, names, where), outs
        if pick < 0.75:
            return "WITH p AS (%s), q AS (WITH r AS %s(SELECT * FROM p) SELECT * FROM r) SELECT %s FROM q%s" % (
                inner, r.choice(["", "MATERIALIZED ", "NOT MATERIALIZED "]), names, where), outs
        c, t = r.choice(inner_columns)
        on = "q.%s = p.%s" % (c, c) if t != "jsonb" else "true"
        return "WITH q AS (%s), p AS (SELECT * FROM q%s) SELECT %s FROM q LEFT JOIN p ON %s" % (inner, where, names, on), outs

    def as_of(self, depth):
        """ASOF JOIN, which is a LATERAL query for PostgreSQL: the pair. Of the right side only what is equal among rows of one time is shown."""
        timed = [x for x in self.tables if any(ty == "timestamp" for _, ty in x.columns)]
        if not timed:
            return None
        a, b = self.rng.choice(timed), self.rng.choice(timed)
        time_a, time_b = (self.rng.choice([c for c, ty in x.columns if ty == "timestamp"]) for x in (a, b))
        pairs = [(c, d) for c, t in a.columns for d, u in b.columns if t == u and t in ("int4", "text", "bool", "date", "numeric")]
        keys = self.rng.sample(pairs, min(len(pairs), self.rng.choice([0, 1, 1, 1, 2])))
        op = self.rng.choice([">=", ">=", ">", "<", "<="])
        left = self.rng.choice(["", "LEFT "])
        condition = " AND ".join(["l.%s = r.%s" % pair for pair in keys] + ["l.%s %s r.%s" % (time_a, op, time_b)])
        columns = [("l.%s" % c, ty) for c, ty in a.columns] + [("r.%s" % time_b, "timestamp")]
        columns += [("r.%s" % d, ty) for d, ty in b.columns if d in [pair[1] for pair in keys] and ty != "numeric"]
        shown, out = named(columns)
        ours = "SELECT %s FROM %s l ASOF %sJOIN %s r ON %s" % (shown, a.name, left, b.name, condition)
        theirs = "SELECT %s FROM %s l %sJOIN LATERAL (SELECT * FROM %s r WHERE %s ORDER BY r.%s %s LIMIT 1) r ON true" % (
            shown, a.name, left, b.name, condition, time_b, "DESC" if op[0] == ">" else "ASC")
        return ours, theirs, out

    WINDOWS = [window, window, session, session, calendar, count_window, gap_fill, as_of]

    def view(self, name):
        """(query for Millrace, query for PostgreSQL, Relation)."""
        pick = self.rng.random()
        if self.only is not None:
            sql, columns = getattr(self, self.only)(1)
            return sql, sql, Relation(name, columns, is_view=True, depth=1)
        if pick < (0.9 if self.only_windows else 0.16):
            made = self.rng.choice(self.WINDOWS)(self, 1)
            if made is not None:
                ours, theirs, columns = made
                return ours, theirs, Relation(name, columns, is_view=True, depth=1)
        if pick < 0.2:
            sql, columns = self.top(1)
        elif pick < 0.28:
            sql, columns = self.over(1)
        elif pick < 0.38:
            sql, columns = self.with_query()
        else:
            sql, columns = self.select(2)
        depth = 1 + max([v.depth for v in self.views if (" %s " % v.name) in sql] or [0])
        return sql, sql, Relation(name, columns, is_view=True, depth=depth)
