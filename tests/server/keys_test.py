"""keys_test.py MILLRACE: keys are checked by the statement inside a transaction, as in PostgreSQL: same rows, errors, details."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import psycopg  # noqa: E402

SCRIPT = """
create table t (a int primary key, b text unique, c int, d int, unique (c, d))
insert into t values (1, 'x', 1, 1), (2, 'y', 2, null), (3, 'z', 2, null)
begin
insert into t values (4, 'x', 1, 2)
rollback
begin
insert into t values (4, 'w', 1, 1)
rollback
begin
insert into t values (1, 'w', 5, 5)
rollback
begin
savepoint s
insert into t values (4, 'w', 2, null)
insert into t values (4, 'v', 7, 7)
rollback to s
insert into t values (4, 'v', 7, 7)
update t set b = 'y' where a = 1
rollback to s
insert into t values (4, 'v', 7, 7)
update t set b = 'yy' where a = 2
update t set b = 'y' where a = 1
insert into t values (6, 'x', 8, 8)
delete from t where a = 1
insert into t values (1, 'q', 1, 1)
select * from t order by a
commit
select * from t order by a
begin
insert into t values (10, 'a', 1, 3), (11, 'b', 1, 4), (11, 'c', 1, 5), (10, 'd', 1, 6)
commit
begin
insert into t values (10, 'a', 1, 3), (11, 'b', 1, 4), (12, 'b', 1, 5), (10, 'd', 1, 6)
rollback
begin
insert into t values (1, 'y', 30, 30) on conflict (a) do update set b = 'v'
rollback
insert into t values (30, 'v', 30, 30) returning *
begin
delete from t
insert into t select x, 'n' || x, x, x from generate_series(1, 5000) x
insert into t select x, 'n' || x, x, x from generate_series(5001, 5003) x
insert into t select x, 'm' || x, x, x from generate_series(5003, 5004) x
rollback
begin
delete from t
insert into t select x, 'n' || x, x, x from generate_series(1, 5000) x
delete from t where a > 10
insert into t select x, 'n' || x, x, x from generate_series(11, 15) x
commit
select count(*), sum(a), max(b) from t
create unique index more on t (d)
begin
insert into t values (100, 'hundred', 100, 15)
rollback
drop index more
begin
insert into t values (100, 'hundred', 100, 15)
commit
create table n (k numeric primary key, at timestamp unique)
begin
insert into n values (1.0, '2024-01-01 00:00')
insert into n values (1.00, null)
rollback
begin
insert into n values (1.0, '2024-01-01 00:00')
insert into n values (2.00, '2024-01-01 00:00:00')
rollback
"""


def answer(connection, sql):
    try:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else cursor.rowcount
    except psycopg.Error as e:
        d = e.diag
        return d.sqlstate, d.message_primary, d.message_detail, d.schema_name, d.table_name, d.constraint_name


def copied(connection):
    with connection.cursor() as cursor:
        cursor.execute("begin")
        try:
            with cursor.copy("copy t from stdin (format csv)") as copy:
                copy.write("2000,k,2000,2000\n1,l,2001,2001\n")
            return "copied"
        except psycopg.Error as e:
            return e.diag.sqlstate, e.diag.message_detail, e.diag.constraint_name
        finally:
            cursor.execute("rollback")


def main():
    options = sys.argv[2:]
    with harness.postgres() as pg_server, harness.millrace(sys.argv[1], *options) as server:
        pg, mill = harness.connect_postgres(pg_server), harness.connect_millrace(server)
        lines = SCRIPT.strip().split("\n")
        errors = 0
        for sql in lines:
            expected, got = answer(pg, sql), answer(mill, sql)
            assert got == expected, "%s\n  PostgreSQL: %s\n  Millrace:   %s" % (sql, expected, got)
            errors += isinstance(expected, tuple)
        assert errors >= 13, errors
        assert copied(mill) == copied(pg), (copied(mill), copied(pg))
        # another transaction that commits first still wins
        other = harness.connect_millrace(server)
        mill.execute("begin")
        mill.execute("insert into t values (500, 'five hundred', 500, 500)")
        other.execute("insert into t values (501, 'five hundred', 501, 501)")
        got = answer(mill, "commit")
        assert got[0] == "23505" and got[5] == "t_b_key", got
        other.close()
        pg.close()
        mill.close()
    print("keys: %d statements, %d errors as PostgreSQL's" % (len(lines), errors))


main()
