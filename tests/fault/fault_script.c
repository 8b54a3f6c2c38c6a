/* fault_script.c: see fault_script.h. */
#define _GNU_SOURCE /* popen, readlink */
#include "tests/fault/fault_script.h"

#include "storage/base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const fault_script[] = {
    "CREATE TABLE t (id int PRIMARY KEY, v int, s text)",
    "CREATE STREAM log (n int, v int)",
    "CREATE TABLE q (id serial PRIMARY KEY, v int)",
    "INSERT INTO t VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c')",
    "INSERT INTO log SELECT i, i % 7 FROM generate_series(1, 50) i",
    "CREATE MATERIALIZED VIEW sums AS SELECT v, count(*) AS n, sum(n) AS total FROM log GROUP BY v",
    "INSERT INTO q (v) VALUES (1), (2)",
    "CREATE MATERIALIZED VIEW pairs AS SELECT t.id, t.s, l.n FROM t JOIN log l ON l.v = t.id",
    "CHECKPOINT",
    "CREATE INDEX t_v ON t (v)",
    "UPDATE t SET v = v + 1 WHERE id < 3",
    "INSERT INTO log VALUES (100, 1), (101, 2); INSERT INTO t VALUES (4, 40, 'd')",
    "DELETE FROM t WHERE id = 2",
    "INSERT INTO t VALUES (1, 0, 'twice')",
    "ALTER TABLE q ADD COLUMN w int DEFAULT 7",
    "INSERT INTO q (v, w) SELECT i, -i FROM generate_series(10, 60) i",
    "CREATE VIEW plain AS SELECT id, v FROM t WHERE v > 15",
    "CREATE TABLE copy AS SELECT id, v FROM t",
    "DROP MATERIALIZED VIEW pairs",
    "INSERT INTO log SELECT i, i % 5 FROM generate_series(200, 8200) i",
    "CREATE MATERIALIZED VIEW newest AS SELECT v, max(n) AS n FROM log GROUP BY v",
    "UPDATE copy SET v = 0",
    "DROP TABLE copy",
    "DROP VIEW plain",
    "ALTER TABLE t RENAME TO t2",
    "INSERT INTO t2 SELECT i, i, repeat('long ' || i, 400) FROM generate_series(100, 300) i",
    "DELETE FROM t2 WHERE id % 3 = 0",
    "CHECKPOINT",
    "INSERT INTO q (v) VALUES (3)",
    "INSERT INTO log VALUES (5000, 6)",
};
_Static_assert(ARRAY_COUNT(fault_script) == FAULT_SCRIPT_COUNT, "the header says how many");

static const char *const views[][2] = {
    {"sums", "SELECT v, count(*) AS n, sum(n) AS total FROM log GROUP BY v"},
    {"pairs", "SELECT t.id, t.s, l.n FROM t JOIN log l ON l.v = t.id"},
    {"newest", "SELECT v, max(n) AS n FROM log GROUP BY v"},
};

int fault_complaints;

void fault_complain(const struct fault_run *run, const char *what, const char *detail)
{
    fprintf(stderr, "%s at operation %llu: %s: %.500s\n", run->name, (unsigned long long)run->at, what,
            detail);
    if (++fault_complaints > 20)
        exit(1);
}

/* ---- what is there ---- */

static void check_views(const struct fault_run *run, struct fault_client *client)
{
    for (size_t i = 0; i < ARRAY_COUNT(views); i++) {
        struct strbuf view = STRBUF_INIT, fresh = STRBUF_INIT;
        char sql[128];
        snprintf(sql, sizeof(sql), "SELECT * FROM %s", views[i][0]);
        fault_query_sorted(client, sql, &view);
        fault_query_sorted(client, views[i][1], &fresh);
        if (strncmp(strbuf_text(&view), "42P01", 5) != 0 && strncmp(strbuf_text(&fresh), "42P01", 5) != 0 &&
            strcmp(strbuf_text(&view), strbuf_text(&fresh)) != 0)
            fault_complain(run, "a view is not what its query gives", views[i][0]);
        strbuf_release(&view);
        strbuf_release(&fresh);
    }
}

/* ---- what should be there ---- */

struct expected {
    struct expected *next;
    uint64_t done; /* statements by number */
    struct strbuf text;
};

static struct expected *expectations;

void fault_print_expected(const char *mask)
{
    uint64_t done = strtoull(mask, NULL, 16);
    struct strbuf text = STRBUF_INIT;
    struct fault_server *server;
    struct error err;
    error_init(&err);
    CHECK(fault_server_open(NULL, 1, &server, &err));
    struct fault_client *client = fault_client_open(server);
    for (uint32_t i = 0; i < FAULT_SCRIPT_COUNT; i++)
        if (done & UINT64_C(1) << i)
            (void)fault_query(client, fault_script[i], 0, NULL, NULL);
    fault_dump(client, &text);
    fputs(strbuf_text(&text), stdout);
    fflush(stdout);
    strbuf_release(&text);
    fault_client_close(client);
    fault_server_close(server);
}

/* From a server without a disk, in a process of its own, since the one here may be refused memory, or have a limit of it;
 * kept, since most runs end the same. */
static const char *expect(uint64_t done)
{
    for (struct expected *it = expectations; it != NULL; it = it->next)
        if (it->done == done)
            return strbuf_text(&it->text);
    struct expected *made = calloc(1, sizeof(*made));
    CHECK(made != NULL);
    char self[4096], command[4200], part[4096];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    CHECK(len > 0);
    self[len] = '\0';
    snprintf(command, sizeof(command), "exec '%s' --expect %llx", self, (unsigned long long)done);
    FILE *pipe = popen(command, "r");
    CHECK(pipe != NULL);
    for (size_t got; (got = fread(part, 1, sizeof(part), pipe)) > 0;)
        strbuf_add(&made->text, part, got);
    CHECK(pclose(pipe) == 0);
    made->done = done;
    made->next = expectations;
    expectations = made;
    return strbuf_text(&made->text);
}

/* The first lines that differ. */
static void show_difference(const char *got, const char *expected)
{
    size_t at = 0;
    while (got[at] != '\0' && got[at] == expected[at])
        at++;
    while (at > 0 && got[at - 1] != '\n')
        at--;
    fprintf(stderr, "--- got\n%.200s\n--- expected\n%.200s\n", got + at, expected + at);
}

/* Compares; statements whose outcome was unknown are known afterwards. */
void fault_check_contents(struct fault_run *run, struct fault_client *client, const char *when)
{
    struct strbuf got = STRBUF_INIT;
    fault_dump(client, &got);
    uint64_t done = 0, unknown = 0;
    for (uint32_t i = 0; i < FAULT_SCRIPT_COUNT; i++) {
        done |= run->outcomes[i] == DONE ? UINT64_C(1) << i : 0;
        unknown |= run->outcomes[i] == UNKNOWN ? UINT64_C(1) << i : 0;
    }
    bool found = false;
    for (uint64_t more = unknown;; more = (more - 1) & unknown) {
        if (strcmp(strbuf_text(&got), expect(done | more)) == 0) {
            for (uint32_t i = 0; i < FAULT_SCRIPT_COUNT; i++)
                if (run->outcomes[i] == UNKNOWN)
                    run->outcomes[i] = more & UINT64_C(1) << i ? DONE : REFUSED;
            found = true;
            break;
        }
        if (more == 0)
            break;
    }
    if (!found) {
        fault_complain(run, "not what was acknowledged", when);
        for (uint32_t i = 0; i < FAULT_SCRIPT_COUNT; i++)
            if (run->outcomes[i] != DONE)
                fprintf(stderr, "%s: %s\n", run->outcomes[i] == UNKNOWN ? "unknown" : "refused",
                        fault_script[i]);
        show_difference(strbuf_text(&got), expect(done));
    }
    check_views(run, client);
    strbuf_release(&got);
}
