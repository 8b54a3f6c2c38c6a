"""dpkg_log_test.py MILLRACE: real input: this machine's /var/log/dpkg.log through psql's \\copy, three views, each equal to PostgreSQL's
answer to the same query over the same file."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

LOG = "/var/log/dpkg.log"
STREAM = "CREATE STREAM dpkg (ts timestamp, action text, package text, detail text)"
TABLE = STREAM.replace("STREAM", "TABLE")
PER_MINUTE = """SELECT window_start, count(*) AS installed FROM {tumble}
  WHERE action = 'status' AND detail LIKE 'installed %' GROUP BY window_start"""
OURS = "tumble(dpkg, ts, INTERVAL '1 minute')"
THEIRS = "(SELECT *, date_trunc('minute', ts) AS window_start FROM dpkg) w"
VIEWS = {
    "installed_per_minute": (PER_MINUTE.format(tumble=OURS), PER_MINUTE.format(tumble=THEIRS)),
    "states_per_package": ("SELECT package, count(*) AS changes, max(ts) AS last_change FROM dpkg WHERE action = 'status'"
                           " GROUP BY package",) * 2,
    "busiest_minutes": ("SELECT date_trunc('minute', ts) AS minute, count(*) AS entries FROM dpkg GROUP BY 1"
                        " ORDER BY entries DESC, minute LIMIT 10",) * 2,
}


def convert(path):
    """date time action package detail..., tab separated; the status lines carry the package behind the state."""
    count = 0
    with open(LOG, errors="replace") as log, open(path, "w") as out:
        for line in log:
            words = line.split()
            if len(words) < 4:
                continue
            ts = words[0] + " " + words[1]
            if words[2] == "status":
                fields = [ts, "status", words[4] if len(words) > 4 else "", words[3] + " " + " ".join(words[5:])]
            else:
                fields = [ts, words[2], words[3], " ".join(words[4:])]
            out.write("\t".join(f.replace("\\", "\\\\") for f in fields) + "\n")
            count += 1
    return count


def psql(port, user, database, *commands):
    args = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(port), "-U", user, "-d", database, "-At"]
    for command in commands:
        args += ["-c", command]
    return subprocess.run(args, check=True, capture_output=True, text=True).stdout


def main():
    with harness.temp_dir() as base, harness.postgres() as pg, harness.millrace(sys.argv[1]) as mill:
        path = os.path.join(base, "dpkg.tsv")
        rows = convert(path)
        if rows < 100:
            sys.exit("%s holds only %d entries" % (LOG, rows))
        ours = (mill.port, "test", "millrace")
        theirs = (pg.port, "postgres", "postgres")
        psql(*ours, STREAM)
        psql(*theirs, TABLE)
        names = list(VIEWS)
        for name in names[:2]:  # before the data; the third comes after it
            psql(*ours, "CREATE MATERIALIZED VIEW %s AS %s" % (name, VIEWS[name][0]))
        for server in (ours, theirs):
            psql(*server, "\\copy dpkg FROM '%s'" % path)
        psql(*ours, "CREATE MATERIALIZED VIEW %s AS %s" % (names[2], VIEWS[names[2]][0]))
        for name in names:
            view = psql(*ours, "SELECT * FROM %s ORDER BY 2 DESC, 1" % name)
            select = psql(*ours, "SELECT * FROM (%s) q ORDER BY 2 DESC, 1" % VIEWS[name][0])
            expected = psql(*theirs, "SELECT * FROM (%s) q ORDER BY 2 DESC, 1" % VIEWS[name][1])
            if not expected or view != expected or select != expected:
                sys.exit("%s differs:\n--- PostgreSQL\n%s--- view\n%s--- SELECT\n%s" % (
                    name, expected[:2000], view[:2000], select[:2000]))
            print("%s: %d rows from %d log entries, equal" % (name, expected.count("\n"), rows))


main()
