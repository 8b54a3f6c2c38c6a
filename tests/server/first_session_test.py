"""first_session_test.py MILLRACE: the README's first session, pasted into psql and run by psycopg 3, gives what the README says."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

README = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "README.md")


def main():
    with open(README) as f:
        session = re.search(r"```sql\n(.*?)```", f.read(), re.S).group(1)
    promised = [line[4:] if line.startswith("--  ") else line[3:] for line in session.split("\n") if line.startswith("--")]
    with harness.millrace(sys.argv[1]) as server:
        out = subprocess.run(["psql", "-X", "-h", "127.0.0.1", "-p", str(server.port), "-v", "ON_ERROR_STOP=1"], input=session,
                             text=True, capture_output=True, env=dict(os.environ, PGUSER="anyone", LC_ALL="C.UTF-8"))
        if out.returncode != 0 or out.stderr:
            sys.exit("psql failed: " + out.stderr)
        shown = [line.strip() for line in out.stdout.split("\n")]
        for line in promised:
            if line.strip() not in shown:
                sys.exit("the README promises %r; psql showed\n%s" % (line, out.stdout))
        print("psql: %d lines as promised" % len(promised))
    with harness.millrace(sys.argv[1]) as server, harness.connect_millrace(server) as con:
        statements = [s.strip() for s in re.sub(r"(?m)^--.*$", "", session).split(";") if s.strip()]
        for statement in statements:
            cursor = con.execute(statement)
            rows = cursor.fetchall() if cursor.description else []
        if [(r[0], str(r[1])) for r in rows] != [("Paris", "40.00")]:
            sys.exit("psycopg read %s" % rows)
        prepared = con.execute("SELECT total FROM revenue WHERE customer = %s", ("ada",), prepare=True).fetchone()
        binary = con.cursor(binary=True).execute("SELECT orders, total FROM revenue WHERE customer = %b", ("ada",)).fetchone()
        if str(prepared[0]) != "14.50" or binary[0] != 2 or str(binary[1]) != "14.50":
            sys.exit("prepared %s, binary %s" % (prepared, binary))
        print("psycopg: the same, prepared and binary too")


main()
