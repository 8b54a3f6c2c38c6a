"""nexmark_check.py: are the contents of the Nexmark views those of PostgreSQL over the very rows that the generator made?"""

import time

import harness
from nexmark_queries import ARRIVAL, SCHEMA, queries, rows_of


def lines(con, sql):
    data = bytearray()
    with con.cursor().copy("COPY (%s) TO STDOUT" % sql) as copy:
        for block in copy:
            data += block
    return sorted(bytes(data).split(b"\n")[:-1])


def wait_for_rows(con, events, streams):
    expected = {name: rows_of(name, events) for name in streams}
    while dict(con.execute("SELECT relation, rows FROM millrace.sources").fetchall()) != expected:
        failed = con.execute("SELECT relation, error FROM millrace.sources WHERE error IS NOT NULL").fetchone()
        if failed:
            raise RuntimeError("source %s: %s" % failed)
        time.sleep(0.02)


def create_stream(con, name, columns, retained, **options):
    """retained: as a stream that keeps its rows; else as a source, whose rows only pass through the views."""
    con.execute("CREATE %s %s (%s) WITH (connector = 'generator', seed = '7', %s)" % (
        "STREAM" if retained else "SOURCE", name, columns, ", ".join("%s = '%s'" % option for option in options.items())))


def start_stream(con, name, retained):
    con.execute("ALTER %s %s SET (paused = 'false')" % ("STREAM" if retained else "SOURCE", name))


def create_views(con, made):
    for statement in dict.fromkeys(statement for query in made.values() for statement in query.tables):
        con.execute(statement)
    for name, query in made.items():
        con.execute("CREATE MATERIALIZED VIEW %s AS %s" % (name, query.ours))


def fill_postgres(theirs, ours, events, source_of):
    """Copies the rows of each stream over; their number must be right."""
    for name, columns in SCHEMA.items():
        theirs.execute("DROP TABLE IF EXISTS %s" % name)
        theirs.execute("CREATE TABLE %s (%s)" % (name, columns + (ARRIVAL if name == "bid" else "")))
        with theirs.cursor().copy("COPY %s FROM STDIN" % name) as to, \
                ours.cursor().copy("COPY (SELECT * FROM %s) TO STDOUT" % (source_of % name)) as source:
            for block in source:
                to.write(block)
        count = theirs.execute("SELECT count(*) FROM %s" % name).fetchone()[0]
        if count != rows_of(name, events):
            raise RuntimeError("%s has %d rows, expected %d" % (name, count, rows_of(name, events)))
        theirs.execute("ANALYZE %s" % name)


def check(binary, events, options, names=None, retained=False):
    """name -> (rows expected, what differs or None).

    retained: the streams keep their rows, half of the views are made after the last row, and the query is run as a SELECT too.
    Else the rows pass: all views are there before, and views that only copy say what came."""
    made = {name: query for name, query in queries().items() if names is None or name in names}
    result = {}
    with harness.postgres() as pg, harness.millrace(binary, *options) as mill:
        ours, theirs = harness.connect_millrace(mill), harness.connect_postgres(pg)
        for name, columns in SCHEMA.items():  # event time that has several windows, sessions that end, and two days
            create_stream(ours, name, columns + (ARRIVAL if name == "bid" else ""), retained, events=events, event_rate=500,
                          start="2025-12-31 23:59:40", paused="false" if retained else "true")
        if retained:
            half = dict(list(made.items())[:len(made) // 2])
            create_views(ours, half)
            wait_for_rows(ours, events, SCHEMA)
            create_views(ours, {name: query for name, query in made.items() if name not in half})
        else:
            create_views(ours, made)
            for name in SCHEMA:
                ours.execute("CREATE MATERIALIZED VIEW came_%s AS SELECT * FROM %s" % (name, name))
            for name in SCHEMA:
                start_stream(ours, name, retained)
            wait_for_rows(ours, events, SCHEMA)
        fill_postgres(theirs, ours, events, "%s" if retained else "came_%s")
        for statement in dict.fromkeys(statement for query in made.values() for statement in query.tables):
            theirs.execute(statement)
        for name, query in made.items():
            expected = lines(theirs, query.postgres)
            got = {"view": lines(ours, "SELECT * FROM %s" % name)}
            if retained:
                got["SELECT"] = lines(ours, query.ours)
            differs = None if expected else "PostgreSQL has no rows"
            for what, rows in got.items():
                if rows != expected:
                    wrong = sorted(set(rows) ^ set(expected))
                    differs = "%s differs from PostgreSQL: %d rows, expected %d: %s" % (what, len(rows), len(expected), wrong[:6])
            result[name] = (len(expected), differs)
        ours.close()
        theirs.close()
    return result
