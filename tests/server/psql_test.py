"""psql_test.py MILLRACE: psql's meta-commands show what psql_test.expected.txt says.

With --write the expected text is written anew. With --postgres the commands marked PG in COMMANDS are run on a PostgreSQL as well, where they
must show the same: what is expected there is PostgreSQL's word, not ours."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

EXPECTED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "psql_test.expected.txt")

SCHEMA = """
create table customers (id serial primary key, email varchar(80) not null unique, name text default 'x', age int check (age > 0),
                        balance numeric(10,2) default 0, created timestamptz default now(), tags text[], doc jsonb);
create index customers_name on customers (name);
create view young as select id, name from customers where age < 30;
create materialized view by_age as select age, count(*) as n, sum(balance) as total from customers group by age;
create %s clicks (at timestamptz, who int, url text);
create table made (id bigint generated always as identity primary key, v double precision, b int, c int generated always as (b * 2) stored);
create sequence counter start 5 increment 2;
create schema s2;
create table s2.other (a int, b int, primary key (a, b));
comment on table customers is 'people who buy';
comment on column customers.email is 'address';
"""

PG, OURS = True, False
COMMANDS = [
    (PG, r"\d"), (PG, r"\dt"), (PG, r"\dm"), (PG, r"\dv"), (PG, r"\ds"), (PG, r"\di"), (PG, r"\dt s2.*"), (PG, r"\d customers"),
    (PG, r"\d+ customers"), (PG, r"\d young"), (PG, r"\d by_age"), (PG, r"\d clicks"), (PG, r"\d made"), (PG, r"\d counter"),
    (PG, r"\d customers_id_seq"), (PG, r"\d customers_pkey"), (PG, r"\d s2.other"), (PG, r"\d nosuch"), (PG, r"\dp"), (PG, r"\z customers"),
    (PG, r"\df"), (PG, r"\dT"), (PG, r"\dd"), (PG, r"\dD"), (PG, r"\des"), (PG, r"\dew"), (PG, r"\det"), (OURS, r"\dF"), (PG, r"\dRp"), (PG, r"\dRs"),
    (PG, r"\dX"), (PG, r"\dy"), (PG, r"\dc"), (PG, r"\dO"), (PG, r"\dP"), (PG, r"\drds"), (PG, r"\ddp"), (PG, r"\encoding"), (OURS, r"\sf lower"),
    (PG, r"\dconfig search_path"), (PG, r"\x \dt"),
    (OURS, r"\d+ by_age"), (OURS, r"\d+ young"), (OURS, r"\sv young"), (OURS, r"\l"), (OURS, r"\dn"), (OURS, r"\dn+"), (OURS, r"\du"),
    (OURS, r"\df lower"), (OURS, r"\da count"), (OURS, r"\dT int4"), (OURS, r"\do ~~"), (OURS, r"\dx"), (OURS, r"\db"), (OURS, r"\dL"),
    (OURS, r"\dAc btree int4"),
]


def psql(host, port, commands, **options):
    words = ["psql", "-X", "-q", "-h", host, "-p", str(port), "-U", "millrace", "-d", "millrace"]
    for command in commands:
        words += ["-c", command]
    env = dict(os.environ, LC_ALL="C.UTF-8", PGCONNECT_TIMEOUT="20")
    done = subprocess.run(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, **options)
    return done.stdout


def run_all(host, port, which):
    shown = []
    for is_pg, command in COMMANDS:
        if is_pg or not which:
            parts = command.split(" ", 1) if command.startswith(r"\x ") else [command]
            shown.append("=> %s\n%s" % (command, psql(host, port, parts)))
    return shown


def difference(expected, got):
    import difflib
    return "\n".join(difflib.unified_diff(expected.split("\n"), got.split("\n"), "expected", "shown", lineterm=""))


def main():
    write, with_postgres = "--write" in sys.argv[2:], "--postgres" in sys.argv[2:]
    with harness.millrace(sys.argv[1]) as server:
        out = psql("127.0.0.1", server.port, [SCHEMA % "stream"])
        if out:
            sys.exit("the schema could not be made: " + out)
        shown = run_all("127.0.0.1", server.port, False)
        if write:
            with open(EXPECTED, "w") as f:
                f.write("".join(shown))
        with open(EXPECTED) as f:
            expected = f.read()
        if "".join(shown) != expected:
            sys.exit("psql shows something else:\n" + difference(expected, "".join(shown)))
        print("psql: %d commands as expected" % len(shown))
        if with_postgres:
            with harness.postgres() as pg:
                with harness.connect_postgres(pg) as con:
                    con.autocommit = True
                    con.execute("create role millrace superuser login")
                    con.execute("create database millrace owner millrace")
                psql("127.0.0.1", pg.port, [SCHEMA % "table"])
                theirs = run_all("127.0.0.1", pg.port, True)
                ours = [s for (is_pg, _), s in zip(COMMANDS, shown) if is_pg]
                if ours != theirs:
                    sys.exit("PostgreSQL shows something else:\n" + difference("".join(theirs), "".join(ours)))
                print("PostgreSQL shows the same for %d of them" % len(ours))


main()
