"""checks.py: what the tests of sources and sinks share: statements, waiting, sums that must be right."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

BAD = "this is no record"


def chosen(parts, options):
    """Those of the functions that `--only NAME,NAME` names, which is taken out of the options; all of them without it."""
    if "--only" not in options:
        return parts
    at = options.index("--only")
    names = options[at + 1].split(",")
    del options[at:at + 2]
    for name in set(names) - {part.__name__ for part in parts}:
        raise SystemExit("there is no part %s" % name)
    return [part for part in parts if part.__name__ in names]


def until(what, condition, also=lambda: "", seconds=180):
    """Waits until it holds, for as long as a busy machine may need; also says what to show when it never does."""
    deadline = time.monotonic() + seconds
    while True:
        held = condition()
        if held:
            return held
        if time.monotonic() > deadline:
            raise AssertionError("never happened: %s %s" % (what, also()))
        time.sleep(0.05)


def expect(what, found, expected):
    if found != expected:
        raise AssertionError("%s: found %.3000r, expected %.3000r" % (what, found, expected))


def one(con, sql):
    row = con.execute(sql).fetchone()
    return row[0] if row is not None and len(row) == 1 else row


class Secret(str):
    """The value of an option: a secret's name."""


def literal(value):
    return "SECRET " + value if isinstance(value, Secret) else "'%s'" % str(value).replace("'", "''")


def with_options(cluster, **options):
    """The WITH clause of a source or sink of this broker."""
    options = {"connector": "kafka", "bootstrap.servers": cluster.bootstrap, **options}
    return "WITH (%s)" % ", ".join('"%s" = %s' % (name, literal(value)) for name, value in options.items())


def refused(con, sqlstate, sql, *words):
    """The statement fails with this SQLSTATE, and says these words."""
    try:
        con.execute(sql)
    except Exception as error:
        text = "%s %s %s" % (error.diag.message_primary, error.diag.message_detail, error.diag.message_hint)
        expect("SQLSTATE of %s (%s)" % (sql, text), error.sqlstate, sqlstate)
        for word in words:
            if word not in text:
                raise AssertionError("%s: no %r in %s" % (sql, word, text)) from None
        return
    raise AssertionError("not refused: " + sql)


def source_state(con, name, columns="state, error"):
    return one(con, "SELECT %s FROM millrace.sources WHERE relation = '%s'" % (columns, name))


def offsets(con, name):
    """{partition: next offset}, as it is durable."""
    return dict(con.execute("SELECT partition, next_offset FROM %s_progress" % name).fetchall())


def read_all(con, name, cluster, topic):
    """Waits until the source has read all that the topic has by now."""
    ends = {partition: high for partition, (_, high) in cluster.ends(topic).items()}
    until("source %s has read %s" % (name, ends),
          lambda: all(offsets(con, name).get(partition, -1) >= high for partition, high in ends.items()),
          lambda: "(it stands at %s, %s)" % (offsets(con, name), source_state(con, name)))


def balanced(con, name, starts=None):
    """Every offset that was passed is accounted for, per partition. starts: where partitions began, if not at 0."""
    for partition, next_offset, accepted, rejected, skipped, absent, lost in con.execute(
            "SELECT partition, next_offset, accepted, rejected, skipped, absent, lost FROM %s_progress" % name).fetchall():
        passed = next_offset - (starts or {}).get(partition, 0)
        expect("offsets of partition %d of %s" % (partition, name), accepted + rejected + skipped + absent + lost, passed)


def sink_state(con, name, columns="state, last_error"):
    return one(con, "SELECT %s FROM millrace.sinks WHERE name = '%s'" % (columns, name))


def arrived(con, *sinks):
    for sink in sinks:
        until("sink %s has written everything" % sink, lambda: sink_state(con, sink, "rows_behind") == 0,
              lambda: "(%s)" % (sink_state(con, sink),))
