"""run_slt.py MILLRACE SLT [OPTIONS OF THE SERVER]: runs sql-tests/ against a fresh server.

Scripts in sql-tests/postgres/ hold for PostgreSQL as well: with --postgres they are run there instead, which proves our expectations."""

import glob
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def scripts(folder):
    return sorted(glob.glob(os.path.join(ROOT, "sql-tests", folder, "**", "*.slt"), recursive=True))


def main():
    binary, slt, *options = sys.argv[1:]
    if options == ["--postgres"]:
        failed = 0
        with harness.postgres() as pg, harness.connect_postgres(pg) as con:
            for n, script in enumerate(scripts("postgres")):
                con.execute("CREATE DATABASE script%d" % n)
                failed += subprocess.run([slt, "--port", str(pg.port), "--user", "postgres", "--database", "script%d" % n,
                                          "--label", "postgresql", script]).returncode != 0
        return 1 if failed else 0
    failed = 0
    for script in scripts("postgres") + scripts("millrace"):  # a server each: objects of one cannot help another
        with harness.millrace(binary, *options) as server:
            failed += subprocess.run([slt, "--port", str(server.port), script]).returncode != 0
    return 1 if failed else 0


sys.exit(main())
