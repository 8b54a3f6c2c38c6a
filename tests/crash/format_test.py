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

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data")
WORKERS = ("--workers", "1")


def unpack(fixture, data):
    os.makedirs(data)
    with tarfile.open(os.path.join(fixture, "data.tar.xz")) as tar:
        tar.extractall(data)
    with open(os.path.join(fixture, "answers.json")) as f:
        return json.load(f)


def compare(con, expected):
    found = format_fixture.answers(con)
    for name, rows in expected.items():
        assert found[name] == rows, "%s:\n%s\nexpected\n%s" % (name, found[name], rows)
    format_fixture.check_views(con)


def check_directory(binary, fixture, base):
    data = os.path.join(base, os.path.basename(fixture))
    expected = unpack(fixture, data)
    server = harness.start_millrace(binary, data, *WORKERS)
    con = harness.connect_millrace(server)
    compare(con, expected)
    assert con.execute("SELECT nextval('shop.numbers')").fetchone()[0] > 104
    format_fixture.more(con)
    changed = format_fixture.answers(con)
    format_fixture.check_views(con)
    assert changed["hourly"] != expected["hourly"] and changed["seen"] != expected["seen"]
    con.close()
    server.stop(signal.SIGKILL)
    for _ in range(2):  # after a kill, and after an orderly end
        server = harness.start_millrace(binary, data, *WORKERS)
        con = harness.connect_millrace(server)
        compare(con, changed)
        con.close()
        assert server.stop() == 0, server.log_text()


def run_briefly(binary, data, seconds):
    process = subprocess.Popen([binary, "--data-dir", data, "--port", "0", "--http-port", "0", *WORKERS], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    process.kill()
    process.wait()


def check_kills(binary, fixture, base):
    """Wherever the first start under this version is killed, the next one has everything."""
    for step in range(4 if harness.SMALL else 10):
        data = os.path.join(base, "killed.%d" % step)
        expected = unpack(fixture, data)
        run_briefly(binary, data, 0.004 * step)
        run_briefly(binary, data, 0.003 * step)
        server = harness.start_millrace(binary, data, *WORKERS)
        con = harness.connect_millrace(server)
        compare(con, expected)
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
    assert fixtures
    with harness.temp_dir() as base:
        for fixture in fixtures:
            check_directory(binary, fixture, base)
        check_kills(binary, fixtures[0], base)
        check_newer(binary, fixtures[0], base)
    print("formats: " + ", ".join(os.path.basename(fixture) for fixture in fixtures))


main()
