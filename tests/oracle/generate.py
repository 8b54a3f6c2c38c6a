"""generate.py: random tables, changes and queries, all from one seed, valid in PostgreSQL 15 and Millrace alike.

Queries are typed: every expression knows its SQL type, so that nearly all of them bind. What would differ between two right
engines is left out: floats are multiples of 1/4 (sums are exact), ORDER BY ... LIMIT orders by every output column, division is
guarded, group keys that are equal are also identical."""

from dataclasses import dataclass, field

TYPES = ["int4", "int8", "text", "numeric", "bool", "timestamp", "date", "float8"]
NUMBERS = ["int4", "int8", "numeric", "float8"]


@dataclass
class Relation:
    name: str
    columns: list  # (name, type)
    key: str = ""
    is_view: bool = False
    depth: int = 0


@dataclass
class Scope:
    """Columns in reach: (qualified name, type)."""
    columns: list = field(default_factory=list)

    def of(self, *types):
        return [c for c, t in self.columns if t in types]


class Generator:
    def __init__(self, rng):
        self.rng = rng
        self.tables = []
        self.views = []
        self.next_alias = 0

    # ---- schema ----

    def make_tables(self, count=4):
        for i in range(count):
            columns = [("k", "int4")]
            for j, t in enumerate(self.rng.sample(TYPES, self.rng.randint(3, 6)) + ["int4"]):
                columns.append(("c%d" % j, t))
            key = "k" if i % 2 == 0 else ""
            self.tables.append(Relation("t%d" % i, columns, key))
        return ["CREATE TABLE %s (%s)" % (t.name, ", ".join(
            "%s %s%s" % (c, self.sql_type(ty), " PRIMARY KEY" if c == t.key else "") for c, ty in t.columns))
            for t in self.tables]

    @staticmethod
    def sql_type(t):
        return {"numeric": "numeric(10,2)"}.get(t, t)

    def chance(self, p):
        return self.rng.random() < p

    # ---- values ----

    def literal(self, t, null=0.0):
        r = self.rng
        if self.chance(null):
            return "NULL"
        if t == "int4":
            return str(r.randint(-3, 9))
        if t == "int8":
            return str(r.choice([0, 1, 2, 3, 5, 8, 4000000000, -4000000000]))
        if t == "text":
            return r.choice(["''", "'a'", "'b'", "'abc'", "'a b'", "'zeta'", "'a longer piece of text'", "'ünï'"])
        if t == "numeric":
            return r.choice(["0.00", "1.50", "-2.25", "10.00", "99.99", "3.10"])
        if t == "bool":
            return r.choice(["true", "false"])
        if t == "timestamp":
            return "timestamp '2026-01-0%d %02d:%02d:00'" % (r.randint(1, 3), r.randint(0, 23), r.choice([0, 10, 30, 59]))
        if t == "date":
            return "date '2026-01-%02d'" % r.randint(1, 9)
        return "%s::float8" % r.choice(["0", "0.25", "-1.5", "2.75", "100"])

    def row(self, table, key):
        return "(%s)" % ", ".join(str(key) if c == "k" else self.literal(t, 0.2) for c, t in table.columns)

    # ---- changes ----

    def change(self, big=False):
        """One DML statement."""
        r = self.rng
        t = r.choice(self.tables)
        what = r.random()
        span = 4000 if big else 30
        if what < 0.45:
            n = r.randint(1000, 3000) if big else r.choice([1, 1, 1, 2, 5, 12])
            keys = r.sample(range(span * 2), n) if t.key else [r.randint(0, span) for _ in range(n)]
            sql = "INSERT INTO %s VALUES %s" % (t.name, ", ".join(self.row(t, k) for k in keys))
            if t.key:
                others = [c for c, _ in t.columns if c != "k"]
                c = r.choice(others)
                sql += r.choice([" ON CONFLICT DO NOTHING", " ON CONFLICT (k) DO NOTHING",
                                 " ON CONFLICT (k) DO UPDATE SET %s = excluded.%s" % (c, c), ""]) if self.chance(0.8) else ""
            return sql
        scope = Scope([(c, ty) for c, ty in t.columns])
        if what < 0.75:
            sets = []
            for c, ty in r.sample(t.columns[1:], r.randint(1, 2)):
                sets.append("%s = %s" % (c, self.expr(scope, ty, 1)) if ty not in ("numeric", "float8", "int4", "int8")
                            else "%s = %s" % (c, self.literal(ty, 0.1)))
            return "UPDATE %s SET %s WHERE %s" % (t.name, ", ".join(sets), self.condition(scope, 1))
        if what < 0.95:
            return "DELETE FROM %s WHERE %s" % (t.name, self.condition(scope, 2) if not big else "k %% 7 = %d" % r.randint(0, 6))
        if what < 0.97:
            return "TRUNCATE %s" % t.name
        other = r.choice([x for x in self.tables if not x.key])
        source = r.choice(self.tables)
        s = Scope([(c, ty) for c, ty in source.columns])
        return "INSERT INTO %s SELECT %s FROM %s WHERE %s AND k < %d" % (
            other.name, ", ".join(self.plain(s, ty) for _, ty in other.columns), source.name, self.condition(s, 1),
            r.randint(0, span // 2))

    def plain(self, scope, t):
        have = scope.of(t)
        return self.rng.choice(have) if have and self.chance(0.8) else self.literal(t)

    # ---- expressions ----

    def expr(self, scope, t, depth):
        r = self.rng
        have = scope.of(t)
        if depth <= 0 or self.chance(0.4):
            return r.choice(have) if have and self.chance(0.85) else self.literal(t, 0.05) + (
                "::%s" % t if self.chance(0) else "")
        d = depth - 1
        pick = r.random()
        if pick < 0.15:
            return "CASE WHEN %s THEN %s ELSE %s END" % (self.condition(scope, d), self.expr(scope, t, d), self.typed(t))
        if pick < 0.3:
            return "coalesce(%s, %s)" % (self.expr(scope, t, d), self.typed(t))
        if pick < 0.36:
            return "nullif(%s, %s)" % (self.expr(scope, t, d), self.typed(t))
        if t in NUMBERS:
            a, b = self.expr(scope, t, d), self.expr(scope, t, d)
            if t == "int4":  # stays small
                return r.choice(["(%s %% 10 + %s %% 10)" % (a, b), "(%s %% 100 - %s %% 100)" % (a, b), "abs(%s %% 7)" % a,
                                 "length(%s)" % self.expr(scope, "text", d), "(%s %% 10 * (%s %% 10))" % (a, b)])
            if t == "int8":
                return r.choice(["(%s %% 1000 + %s %% 1000)" % (a, b), "(%s %% 1000)::int8" % self.expr(scope, "int4", d)])
            if t == "numeric":
                return r.choice(["(%s + %s)" % (a, b), "(%s - %s)" % (a, b), "round(%s, 1)" % a, "(-(%s))" % a])
            return r.choice(["(%s + %s)" % (a, b), "(%s)::float8" % self.expr(scope, "int4", d)])
        if t == "text":
            a = self.expr(scope, t, d)
            return r.choice(["upper(%s)" % a, "(%s || %s)" % (a, self.expr(scope, t, 0)), "substr(%s, 1, 2)" % a,
                             "(%s)::text" % self.expr(scope, "int4", d), "replace(%s, 'a', 'xy')" % a])
        if t == "timestamp":
            return r.choice(["date_trunc('hour', %s)" % self.expr(scope, t, d),
                             "(%s + interval '90 minutes')" % self.expr(scope, t, d),
                             "(%s)::timestamp" % self.expr(scope, "date", d)])
        if t == "date":
            return r.choice(["(%s + 1)" % self.expr(scope, t, d), "(%s)::date" % self.expr(scope, "timestamp", d)])
        return "(%s)" % self.condition(scope, d)

    def typed(self, t):
        lit = self.literal(t)
        return lit if t in ("timestamp", "date", "float8", "text") else "%s::%s" % (lit if lit[0] != "-" else "(%s)" % lit, t)

    def condition(self, scope, depth):
        r = self.rng
        if not scope.columns:
            return "true"
        if depth > 0 and self.chance(0.35):
            a, b = self.condition(scope, depth - 1), self.condition(scope, depth - 1)
            return r.choice(["(%s AND %s)", "(%s OR %s)", "(%s AND NOT %s)"]) % (a, b)
        t = r.choice(scope.columns)[1]
        if t not in TYPES:
            t = "int4"
        a, b = self.expr(scope, t, depth - 1), self.expr(scope, t, depth - 1)
        pick = r.random()
        if pick < 0.5:
            if t == "bool":
                return r.choice(["%s", "%s IS TRUE", "%s IS NOT TRUE", "%s IS NOT DISTINCT FROM true"]) % ("(%s)" % a)
            return "%s %s %s" % (a, r.choice(["=", "<>", "<", ">", "<=", ">="]), b)
        if pick < 0.62:
            return "%s IS %sNULL" % (a, r.choice(["", "NOT "]))
        if pick < 0.75:
            return "%s %sIN (%s)" % (a, r.choice(["", "NOT "]), ", ".join(self.typed(t) for _ in range(r.randint(1, 4))))
        if pick < 0.85 and t == "text":
            return "%s LIKE %s" % (a, r.choice(["'a%'", "'%b%'", "'_'", "'%'"]))
        if pick < 0.9 and t in NUMBERS + ["timestamp", "date"]:
            return "%s BETWEEN %s AND %s" % (a, self.typed(t), self.typed(t))
        return "%s IS %sDISTINCT FROM %s" % (a, r.choice(["", "NOT "]), b)

    # ---- queries ----

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
        rel = self.relation()
        return "%s %s" % (rel.name, alias), Scope([("%s.%s" % (alias, c), t) for c, t in rel.columns])

    def join_condition(self, left, right):
        r = self.rng
        for _ in range(8):
            t = r.choice(["int4", "int4", "int4", "text", "date", "timestamp", "numeric", "int8", "bool"])
            a, b = left.of(t), right.of(t)
            if a and b:
                sql = "%s = %s" % (r.choice(a), r.choice(b))
                if self.chance(0.25):
                    sql += " AND " + self.condition(Scope(left.columns + right.columns), 1)
                return sql
        return "%s" % self.condition(Scope(left.columns + right.columns), 1)

    def from_clause(self, depth):
        sql, scope = self.from_item(depth)
        for _ in range(self.rng.choice([0, 0, 1, 1, 2])):
            more, more_scope = self.from_item(depth - 1)
            kind = self.rng.choice(["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
            on = self.join_condition(scope, more_scope)
            if kind == "FULL JOIN":  # PostgreSQL wants a hashable or mergeable condition
                t = next((t for t in ["int4", "text", "date"] if scope.of(t) and more_scope.of(t)), None)
                if t is None:
                    kind = "LEFT JOIN"
                else:
                    on = "%s = %s" % (self.rng.choice(scope.of(t)), self.rng.choice(more_scope.of(t)))
            sql += " %s %s ON %s" % (kind, more, on)
            scope = Scope(scope.columns + more_scope.columns)
        return sql, scope

    def where(self, scope, depth):
        r = self.rng
        if not self.chance(0.7):
            return ""
        if depth > 0 and self.chance(0.4):
            return " WHERE " + self.subquery_condition(scope, depth - 1) + (
                " AND " + self.condition(scope, 1) if self.chance(0.3) else "")
        return " WHERE " + self.condition(scope, 2)

    def subquery_condition(self, scope, depth):
        r = self.rng
        inner_from, inner = self.from_item(0)
        t = next((t for t in r.sample(["int4", "text", "date", "bool", "numeric"], 5) if scope.of(t) and inner.of(t)), None)
        if t is None:
            return "EXISTS (SELECT 1 FROM %s WHERE %s)" % (inner_from, self.condition(inner, 1))
        a, b = r.choice(scope.of(t)), r.choice(inner.of(t))
        inner_condition = self.condition(inner, 1)
        return r.choice([
            "EXISTS (SELECT 1 FROM %s WHERE %s = %s AND %s)" % (inner_from, a, b, inner_condition),
            "NOT EXISTS (SELECT 1 FROM %s WHERE %s = %s AND %s)" % (inner_from, a, b, inner_condition),
            "%s IN (SELECT %s FROM %s WHERE %s)" % (a, b, inner_from, inner_condition),
            "%s NOT IN (SELECT %s FROM %s WHERE %s)" % (a, b, inner_from, inner_condition),
            "%s > (SELECT min(%s) FROM %s WHERE %s)" % (a, b, inner_from, inner_condition) if t != "bool"
            else "EXISTS (SELECT 1 FROM %s WHERE %s)" % (inner_from, inner_condition),
            "(SELECT count(*) FROM %s WHERE %s = %s) > %d" % (inner_from, b, a, r.randint(0, 2)),
            "(EXISTS (SELECT 1 FROM %s WHERE %s = %s) OR %s)" % (inner_from, a, b, self.condition(scope, 0)),
            "EXISTS (SELECT 1 FROM %s WHERE %s = %s AND %s)" % (
                inner_from, a, b, self.condition(Scope(scope.columns + inner.columns), 1)),
        ])

    def outputs(self, scope, depth):
        r = self.rng
        columns = []
        for _ in range(r.randint(1, 4)):
            t = r.choice(scope.columns)[1] if self.chance(0.7) else r.choice(TYPES)
            if t not in TYPES:
                t = "int4"
            columns.append((self.expr(scope, t, depth), t))
        return columns

    def aggregate(self, scope):
        """SQL, type."""
        r = self.rng
        number = r.choice(["int4", "int8", "numeric", "float8"])
        arg = self.expr(scope, number, 1)
        options = [("count(*)", "int8"), ("count(%s)" % self.expr(scope, r.choice(TYPES), 1), "int8")]
        result = {"int4": "int8", "int8": "numeric", "numeric": "numeric", "float8": "float8"}[number]
        options += [("sum(%s)" % arg, result), ("min(%s)" % arg, number), ("max(%s)" % arg, number)]
        t = r.choice(["text", "timestamp", "date"])
        x = self.expr(scope, t, 1)
        options += [("min(%s)" % x, t), ("max(%s)" % x, t)]
        options += [("count(DISTINCT %s)" % self.expr(scope, r.choice(["int4", "text", "date"]), 1), "int8"),
                    ("sum(DISTINCT %s)" % self.expr(scope, "int4", 1), "int8"),
                    ("avg(%s)" % self.expr(scope, r.choice(["int4", "numeric"]), 1), "numeric"),
                    ("bool_and(%s)" % self.condition(scope, 0), "bool"), ("bool_or(%s)" % self.condition(scope, 0), "bool"),
                    ("string_agg(%s, ',' ORDER BY 1)" % self.expr(scope, "text", 0), "text")
                    if False else ("count(*)", "int8")]
        text = scope.of("text")
        if text:
            c = r.choice(text)
            options += [("string_agg(%s, ',' ORDER BY %s)" % (c, c), "text"),
                        ("array_agg(%s ORDER BY %s)::text" % (c, c), "text")]
        ints = scope.of("int4")
        if ints:
            options += [("var_pop(%s)" % r.choice(ints), "numeric"), ("stddev(%s)" % r.choice(ints), "numeric")]
        sql, t = r.choice(options)
        if self.chance(0.2) and not sql.endswith("::text"):
            sql += " FILTER (WHERE %s)" % self.condition(scope, 1)
        return sql, t

    def grouped(self, depth):
        r = self.rng
        source, scope = self.from_clause(depth)
        groups = []
        for _ in range(r.choice([0, 1, 1, 1, 2])):
            t = r.choice(["int4", "int4", "text", "date", "bool", "timestamp"])
            groups.append((self.expr(scope, t, 1) if not scope.of(t) else r.choice(scope.of(t)), t))
        groups = [(g, t) for g, t in groups if any(c in g for c, _ in scope.columns)]
        aggregates = [self.aggregate(scope) for _ in range(r.randint(1, 3))]
        columns = groups + aggregates
        sql = "SELECT %s FROM %s%s" % (", ".join("%s AS o%d" % (e, i) for i, (e, _) in enumerate(columns)), source,
                                       self.where(scope, depth))
        if groups:
            sql += " GROUP BY " + ", ".join(str(i + 1) for i in range(len(groups)))
        if self.chance(0.25):
            sql += " HAVING count(*) %s %d" % (r.choice([">", "<", "="]), r.randint(0, 3))
        return sql, [("o%d" % i, t) for i, (_, t) in enumerate(columns)]

    def window(self, depth):
        """tumble and hop, said in plain SQL as PostgreSQL has neither: the pair (millrace, postgres)."""
        t = self.rng.choice([x for x in self.tables if any(ty == "timestamp" for _, ty in x.columns)] or [None])
        if t is None:
            return None
        ts = next(c for c, ty in t.columns if ty == "timestamp")
        size = self.rng.choice([1, 3, 12])
        if self.chance(0.5):
            ours = "tumble(%s, %s, INTERVAL '%d hours')" % (t.name, ts, size)
            theirs = ("(SELECT *, date_bin('%d hours', %s, '2000-01-01') AS window_start, date_bin('%d hours', %s, '2000-01-01')"
                      " + interval '%d hours' AS window_end FROM %s WHERE %s IS NOT NULL) w") % (
                          size, ts, size, ts, size, t.name, ts)
        else:
            ours = "hop(%s, %s, INTERVAL '%d hours', INTERVAL '%d hours')" % (t.name, ts, size, size * 2)
            theirs = ("(SELECT t.*, date_bin('%d hours', %s, '2000-01-01') - n * interval '%d hours' AS window_start,"
                      " date_bin('%d hours', %s, '2000-01-01') - n * interval '%d hours' + interval '%d hours' AS window_end"
                      " FROM %s t, generate_series(0, 1) n WHERE %s IS NOT NULL) w") % (
                          size, ts, size, size, ts, size, size * 2, t.name, ts)
        scope = Scope(list(t.columns))
        aggregates = [self.aggregate(scope) for _ in range(2)]
        sql = "SELECT window_start AS o0, window_end AS o1, %s FROM %%s GROUP BY window_start, window_end" % ", ".join(
            "%s AS o%d" % (e.replace("%", "%%"), i + 2) for i, (e, _) in enumerate(aggregates))
        columns = [("o0", "timestamp"), ("o1", "timestamp")] + [("o%d" % (i + 2), t) for i, (_, t) in enumerate(aggregates)]
        return sql % ours, sql % theirs, columns

    def over(self, depth):
        """Window functions over a total order."""
        r = self.rng
        t = r.choice(self.tables)
        scope = Scope(list(t.columns))
        part = r.choice([c for c, ty in t.columns if ty in ("int4", "text", "bool", "date")])
        order = ", ".join(c for c, _ in t.columns)
        call = r.choice(["row_number()", "rank()", "dense_rank()", "count(*)", "sum(k)", "lag(k)", "lead(k)", "first_value(k)",
                         "max(k)", "ntile(3)"])
        frame = ""
        if call in ("count(*)", "sum(k)", "max(k)", "first_value(k)"):
            frame = r.choice(["", " ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING", " ROWS UNBOUNDED PRECEDING",
                              " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW"])
        sql = "SELECT %s, %s OVER (PARTITION BY %s ORDER BY %s%s) AS o9 FROM %s%s" % (
            ", ".join("%s AS o%d" % (c, i) for i, (c, _) in enumerate(t.columns)), call, part, order, frame, t.name,
            self.where(scope, 0))
        kind = "int8" if call in ("row_number()", "rank()", "dense_rank()", "count(*)", "sum(k)") else "int4"
        return sql, [("o%d" % i, ty) for i, (_, ty) in enumerate(t.columns)] + [("o9", kind)]

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
        if depth > 0 and self.chance(0.15):
            inner_from, inner = self.from_item(0)
            t = next((t for t in ["int4", "text", "bool"] if scope.of(t) and inner.of(t)), None)
            if t:
                columns.append(("(SELECT %s FROM %s WHERE %s = %s)" % (
                    r.choice(["count(*)", "sum(%s)" % r.choice(inner.of("int4") or ["1"])]), inner_from,
                    r.choice(inner.of(t)), r.choice(scope.of(t))), "int8"))
        distinct = self.chance(0.2)
        sql = "SELECT %s%s FROM %s%s" % ("DISTINCT " if distinct else "",
                                         ", ".join("%s AS o%d" % (e, i) for i, (e, _) in enumerate(columns)), source,
                                         self.where(scope, depth))
        if self.chance(0.12):
            sql += " ORDER BY %s LIMIT %d" % (", ".join("%d%s" % (i + 1, r.choice(["", " DESC", " NULLS FIRST"]))
                                                        for i in range(len(columns))), r.randint(1, 6))
            if self.chance(0.3):
                sql += " OFFSET %d" % r.randint(1, 3)
        return sql, [("o%d" % i, t) for i, (_, t) in enumerate(columns)]

    def set_operation(self, depth):
        r = self.rng
        types = [r.choice(["int4", "text", "date", "bool"]) for _ in range(r.randint(1, 3))]
        parts = []
        for _ in range(2):
            source, scope = self.from_item(0)
            parts.append("SELECT %s FROM %s%s" % (
                ", ".join("%s AS o%d" % (self.expr(scope, t, 1) if scope.of(t) else self.typed(t), i)
                          for i, t in enumerate(types)), source, self.where(scope, 0)))
        op = r.choice(["UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL"])
        return "%s %s %s" % (parts[0], op, parts[1]), [("o%d" % i, t) for i, t in enumerate(types)]

    def view(self, name):
        """(query for Millrace, query for PostgreSQL, Relation)."""
        pick = self.rng.random()
        if pick < 0.1:
            made = self.window(1)
            if made is not None:
                ours, theirs, columns = made
                return ours, theirs, Relation(name, columns, is_view=True, depth=1)
        if pick < 0.2:
            sql, columns = self.over(1)
        elif pick < 0.3:
            inner, inner_columns = self.select(1)
            scope = Scope([("q.%s" % c, t) for c, t in inner_columns])
            outputs = self.outputs(scope, 1)
            sql = "WITH q AS (%s) SELECT %s FROM q%s" % (
                inner, ", ".join("%s AS o%d" % (e, i) for i, (e, _) in enumerate(outputs)), self.where(scope, 0))
            columns = [("o%d" % i, t) for i, (_, t) in enumerate(outputs)]
        else:
            sql, columns = self.select(2)
        depth = 1 + max([v.depth for v in self.views if (" %s " % v.name) in sql] or [0])
        return sql, sql, Relation(name, columns, is_view=True, depth=depth)
