"""format_fixture.py: what the data directories in tests/data hold, and the questions asked about them. Only ever extended: directories that exist were
written with what was here then; `python3 format_fixture.py MILLRACE OUT` writes another."""

import json
import os
import sys
import tarfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

STATEMENTS = [
    "CREATE SCHEMA shop",
    "CREATE SEQUENCE shop.numbers START 100",
    "CREATE TABLE shop.item (id int PRIMARY KEY, kind text NOT NULL DEFAULT 'none', price numeric(10,2) CHECK (price > 0), added date, tags text[])",
    "CREATE TABLE part (id int GENERATED ALWAYS AS IDENTITY, item int, amount float8, note varchar(20), UNIQUE (item, note))",
    "CREATE TABLE plain (a int, b text)",
    "CREATE STREAM event (id bigint, item int, at timestamp, what text, WATERMARK FOR at AS at - INTERVAL '10 minutes')",
    "CREATE STREAM passing (k int, v int) WITH (retention = '0')",
    "CREATE INDEX part_item ON part (item)",
    "COMMENT ON TABLE shop.item IS 'things to sell'",
    "INSERT INTO shop.item SELECT g, 'kind ' || g % 4, g * 1.25, date '2026-01-01' + g, ARRAY['a' || g, NULL] FROM generate_series(1, 40) g",
    "INSERT INTO part (item, amount, note) SELECT g % 40, g / 3.0, 'note ' || g FROM generate_series(1, 90) g",
    "INSERT INTO plain VALUES (1, 'x'), (1, 'x'), (2, NULL)",
    "INSERT INTO event SELECT g, g % 40, timestamp '2026-03-01' + g * interval '7 minutes', 'w' || g % 5 FROM generate_series(1, 200) g",
    "CREATE VIEW dear AS SELECT id, price FROM shop.item WHERE price > 20",
    "CREATE MATERIALIZED VIEW by_kind AS SELECT kind, count(*) AS n, sum(price) AS s, min(added) AS first FROM shop.item GROUP BY kind",
    "CREATE MATERIALIZED VIEW joined AS SELECT i.id, i.kind, p.amount, p.note FROM shop.item i LEFT JOIN part p ON p.item = i.id",
    "CREATE MATERIALIZED VIEW top AS SELECT id, price FROM dear ORDER BY price DESC LIMIT 5",
    "CREATE MATERIALIZED VIEW hourly AS SELECT window_start, what, count(*) AS n FROM"
    " tumble(event, at, INTERVAL '1 hour') GROUP BY window_start, what EMIT FINAL",
    "CREATE MATERIALIZED VIEW seen AS SELECT k, sum(v) AS s FROM passing GROUP BY k",
    "CREATE MATERIALIZED VIEW ranked AS SELECT id, row_number() OVER (PARTITION BY item ORDER BY amount DESC) AS r FROM part",
    "INSERT INTO passing SELECT g % 7, g FROM generate_series(1, 50) g",
    "UPDATE shop.item SET price = price + 1 WHERE id % 3 = 0",
    "DELETE FROM part WHERE id % 11 = 0",
    "INSERT INTO event VALUES (201, 3, timestamp '2026-03-02 09:00', 'late'), (202, 3, timestamp '2026-03-01 00:10', 'too late')",
    "SELECT nextval('shop.numbers') FROM generate_series(1, 5)",
    "INSERT INTO plain VALUES (3, E'tab\\there')",
    "ALTER TABLE plain RENAME COLUMN b TO c",
]

# go on after what has been written
MORE = [
    "INSERT INTO shop.item VALUES (41, 'kind 1', 99, '2026-05-01', '{}')",
    "DELETE FROM shop.item WHERE id = 7",
    "UPDATE part SET amount = amount * 2 WHERE item = 5",
    "INSERT INTO part (item, amount, note) VALUES (41, 5, 'new')",
    "INSERT INTO event VALUES (203, 4, timestamp '2026-03-02 12:00', 'w1'), (204, 4, timestamp '2026-03-02 15:00', 'w2')",
    "INSERT INTO passing VALUES (1, 1000)",
]

QUESTIONS = {
    "item": "SELECT * FROM shop.item",
    "part": "SELECT * FROM part",
    "plain": "SELECT * FROM plain",
    "event": "SELECT * FROM event",
    "dear": "SELECT * FROM dear",
    "by_kind": "SELECT * FROM by_kind",
    "joined": "SELECT * FROM joined",
    "top": "SELECT * FROM top",
    "hourly": "SELECT * FROM hourly",
    "seen": "SELECT * FROM seen",
    "ranked": "SELECT * FROM ranked",
    "watermarks": "SELECT relation, watermark, greatest FROM millrace.watermarks",
    "comment": "SELECT obj_description('shop.item'::regclass)",
    "indexes": "SELECT indexname FROM pg_indexes WHERE schemaname IN ('public', 'shop')",
}

# views that are the same as a query over what there is
SAME = {
    "by_kind": "SELECT kind, count(*) AS n, sum(price) AS s, min(added) AS first FROM shop.item GROUP BY kind",
    "joined": "SELECT i.id, i.kind, p.amount, p.note FROM shop.item i LEFT JOIN part p ON p.item = i.id",
    "top": "SELECT id, price FROM shop.item WHERE price > 20 ORDER BY price DESC LIMIT 5",
    "ranked": "SELECT id, row_number() OVER (PARTITION BY item ORDER BY amount DESC) AS r FROM part",
}


def fill(con):
    """With a checkpoint on the way and ticks behind it, where there are checkpoints."""
    for statement in STATEMENTS:
        if statement.startswith("UPDATE"):
            con.execute("CHECKPOINT")
        con.execute(statement)


def more(con):
    for statement in MORE:
        con.execute(statement)


def rows(con, sql):
    """Sorted, values as texts."""
    return sorted(([None if value is None else str(value) for value in row] for row in con.execute(sql).fetchall()), key=repr)


def answers(con):
    return {name: rows(con, sql) for name, sql in QUESTIONS.items()}


def check_views(con):
    for name, sql in SAME.items():
        assert rows(con, "SELECT * FROM " + name) == rows(con, sql), name


def write(binary, out):
    """The server is killed, so that log and WAL are as a crash leaves them."""
    with harness.temp_dir() as base:
        data = os.path.join(base, "data")
        server = harness.start_millrace(binary, data, "--workers", "1")
        con = harness.connect_millrace(server)
        fill(con)
        found = answers(con)
        con.close()
        server.process.kill()
        server.process.wait()
        os.makedirs(out, exist_ok=True)
        with open(os.path.join(out, "answers.json"), "w") as f:
            json.dump(found, f, indent=1, sort_keys=True)
            f.write("\n")
        with tarfile.open(os.path.join(out, "data.tar.xz"), "w:xz") as tar:
            for name in sorted(os.listdir(data)):
                tar.add(os.path.join(data, name), name)


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2])
