"""format_test.py MILLRACE: data directories of every format there was open, answer as they did, and go on; those of a newer one are refused; a kill
during the upgrade does no harm."""

import glob
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import format_fixture  # noqa: E402
import checks  # noqa: E402
import kafka_support  # noqa: E402

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data")
KEPT = ["format-2", "format-3", "format-3-all", "format-3-columns"]


def unpack(fixture, data):
    os.makedirs(data)
    with tarfile.open(os.path.join(fixture, "data.tar.xz")) as tar:
        tar.extractall(data)
    with open(os.path.join(fixture, "answers.json")) as f:
        return json.load(f)


def kind_of(fixture):
    """The last word of format-3-all; or ""."""
    return "".join(os.path.basename(fixture).split("-")[2:])


# what answers otherwise after format_fixture.more
CHANGED = {"": ["hourly", "seen"], "columns": ["keyed", "loose", "of_keyed", "minutes", "passed", "by_n", "by_what", "passed_later", "columns"]}
CHANGED["all"] = CHANGED[""] + ["hopped", "sessions", "met", "steps", "cube", "sums", "revenue", "errors", "last_numbers"]


def compare(con, expected, kind):
    found = format_fixture.answers(con, kind)
    for name, rows in expected.items():
        assert found[name] == rows, "%s:\n%s\nexpected\n%s" % (name, found[name], rows)
    format_fixture.check_views(con, kind)


def check_directory(binary, fixture, base):
    data, kind = os.path.join(base, os.path.basename(fixture)), kind_of(fixture)
    options = format_fixture.options(kind, base)
    expected = unpack(fixture, data)
    server = harness.start_millrace(binary, data, *options)
    con = harness.connect_millrace(server)
    compare(con, expected, kind)
    assert kind == "columns" or con.execute("SELECT nextval('shop.numbers')").fetchone()[0] > 104
    format_fixture.more(con, kind)
    changed = format_fixture.answers(con, kind)
    format_fixture.check_views(con, kind)
    for name in CHANGED[kind]:
        assert changed[name] != expected[name], name
    con.close()
    server.stop(signal.SIGKILL)
    for _ in range(2):  # after a kill, and after an orderly end
        server = harness.start_millrace(binary, data, *options)
        con = harness.connect_millrace(server)
        compare(con, changed, kind)
        con.close()
        assert server.stop() == 0, server.log_text()
    if kind == "columns":
        check_stored(binary, fixture, options, base)
    if kind == "all":
        check_sinks(binary, data, options, base)
        check_snapshots(binary, data, options, expected)


def stored(data):
    """The catalog as it lies in the file. Of a directory that nobody opens afterwards: pages get no checksums here."""
    with sqlite3.connect(os.path.join(data, "state.db")) as db:
        found = db.execute("SELECT * FROM object ORDER BY oid").fetchall()
    db.close()
    return found


def check_stored(binary, fixture, options, base):
    """What is stored of relations that have got columns is read, and stays as it is."""
    copy, data = os.path.join(base, "copy"), os.path.join(base, "stored")
    unpack(fixture, copy)
    expected = unpack(fixture, data)
    before = stored(copy)
    assert sum("a default of more than a page" in str(row) for row in before) == 1, before
    server = harness.start_millrace(binary, data, *options)
    con = harness.connect_millrace(server)
    compare(con, expected, "columns")
    con.execute("CHECKPOINT")
    con.close()
    assert server.stop() == 0, server.log_text()
    assert stored(data) == before, stored(data)


def check_sinks(binary, data, options, base):
    """What waited for topics goes there."""
    server = harness.start_millrace(binary, data, *options)
    con = harness.connect_millrace(server)
    cluster = kafka_support.MockCluster(base, os.path.join(os.path.dirname(os.path.abspath(binary)), "mock_cluster"))
    cluster.start()
    cluster.create_topic("millrace_progress")  # the mock makes none when it is asked
    for topic in ("revenue", "minutes"):
        cluster.create_topic(topic)
    con.execute("ALTER SECRET broker AS '%s'" % cluster.bootstrap)
    for sink in ("revenue_out", "minutes_out"):
        con.execute("ALTER SINK %s SET (paused = false)" % sink)
        checks.until(sink + " has written everything", lambda: checks.one(con, "SELECT rows_behind = 0 AND rows > 0 FROM millrace.sinks WHERE name = '%s'" % sink),
                     lambda: con.execute("SELECT * FROM millrace.sinks").fetchall())
    newest = {record.key: json.loads(record.value) for record in cluster.read("revenue") if record.value is not None}
    assert sorted((row["name"] or "", row["n"]) for row in newest.values()) == sorted(
        (name or "", n) for name, n in con.execute("SELECT name, n FROM revenue").fetchall()), newest
    minutes = [json.loads(record.value)["n"] for record in cluster.read("minutes")]
    assert len(minutes) == checks.one(con, "SELECT count(*) FROM per_minute") and sum(minutes) == checks.one(con, "SELECT sum(n) FROM per_minute"), minutes
    con.close()
    cluster.end()
    assert server.stop() == 0, server.log_text()


def check_snapshots(binary, data, options, expected):
    """Back to one, and forward to the next."""
    for name, clicks in (("first_one", 150), ("second_one", 232)):
        run = subprocess.run([binary, "--data-dir", data, "--restore-snapshot", name], capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stderr
        server = harness.start_millrace(binary, data, *options)
        con = harness.connect_millrace(server)
        assert checks.one(con, "SELECT count(*) FROM clicks") == clicks
        for view in ("orders", "errors", "progress", "bids", "per_minute", "kinds"):
            assert format_fixture.rows(con, format_fixture.ALL_QUESTIONS[view]) == expected[view], view
        con.close()
        assert server.stop() == 0, server.log_text()


def run_briefly(binary, data, options, seconds):
    process = subprocess.Popen([binary, "--data-dir", data, "--port", "0", "--http-port", "0", *options], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    process.kill()
    process.wait()


def check_kills(binary, fixture, base):
    """Wherever the first start under this version is killed, the next one has everything."""
    options = format_fixture.options(kind_of(fixture), base)
    for step in range(4 if harness.SMALL else 10):
        data = os.path.join(base, "killed.%d" % step)
        expected = unpack(fixture, data)
        run_briefly(binary, data, options, 0.004 * step)
        run_briefly(binary, data, options, 0.003 * step)
        server = harness.start_millrace(binary, data, *options)
        con = harness.connect_millrace(server)
        compare(con, expected, kind_of(fixture))
        con.close()
        assert server.stop() == 0, server.log_text()


def check_newer(binary, fixture, base):
    """fixture: of format 2, whose pages have no checksums."""
    for name in ("state.db", "log.db"):
        data = os.path.join(base, "newer." + name)
        unpack(fixture, data)
        with sqlite3.connect(os.path.join(data, name)) as db:
            db.execute("PRAGMA user_version = 1000")
        db.close()
        for command in ([binary, "--data-dir", data, "--port", "0"], [binary, "inspect", data]):
            run = subprocess.run(command, capture_output=True, text=True, timeout=60)
            assert run.returncode != 0, command
            assert "was written by a newer version of Millrace" in run.stderr and name in run.stderr, run.stderr
            assert "format is 1000" in run.stderr, run.stderr


def main():
    binary = sys.argv[1]
    fixtures = sorted(glob.glob(os.path.join(DATA, "format-*")))
    assert [os.path.basename(fixture) for fixture in fixtures] == KEPT  # none gets lost
    with harness.temp_dir() as base:
        for fixture in fixtures:
            check_directory(binary, fixture, base)
        check_kills(binary, fixtures[0], base)
        check_newer(binary, fixtures[0], base)
    print("formats: " + ", ".join(os.path.basename(fixture) for fixture in fixtures))


main()
