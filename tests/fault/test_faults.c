/* test_faults.c: a script of statements against a server on a disk that fails at its Nth operation, or loses power there,
 * for every N (`./dev soak faults`; every seventh else).
 *
 * What must hold: every acknowledged statement is there exactly once after a restart, a refused one is not there at all,
 * one whose outcome is unknown is there as a whole or not at all; views are what their queries give; reading works
 * all the time; writing works again when the disk does. What is there is compared with a server without a disk that runs
 * the acknowledged statements. */
#include "storage/base/arena.h"
#include "tests/fault/fault_server.h"
#include "tests/fault/memory_disk.h"
#include "tests/test.h"

#include <errno.h>

#define DIR "/disk/data"

static const char *const script[] = {
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
    "INSERT INTO log SELECT i, i % 5 FROM generate_series(200, 2200) i",
    "CREATE MATERIALIZED VIEW newest AS SELECT v, max(n) AS n FROM log GROUP BY v",
    "UPDATE copy SET v = 0",
    "DROP TABLE copy",
    "DROP VIEW plain",
    "ALTER TABLE t RENAME TO t2",
    "INSERT INTO t2 SELECT i, i, repeat('long ' || i, 40) FROM generate_series(100, 300) i",
    "DELETE FROM t2 WHERE id % 3 = 0",
    "CHECKPOINT",
    "INSERT INTO q (v) VALUES (3)",
    "INSERT INTO log VALUES (5000, 6)",
};
#define SCRIPT_COUNT ((uint32_t)ARRAY_COUNT(script))

static const char *const views[][2] = {
    {"sums", "SELECT v, count(*) AS n, sum(n) AS total FROM log GROUP BY v"},
    {"pairs", "SELECT t.id, t.s, l.n FROM t JOIN log l ON l.v = t.id"},
    {"newest", "SELECT v, max(n) AS n FROM log GROUP BY v"},
};

enum outcome { REFUSED, DONE, UNKNOWN };

/* What a run has seen. */
struct run {
    const char *name;
    uint64_t at; /* the fault's number */
    enum outcome outcomes[SCRIPT_COUNT];
};

static void complain(const struct run *run, const char *what, const char *detail)
{
    char text[700];
    snprintf(text, sizeof(text), "%s at operation %llu: %s: %.500s", run->name, (unsigned long long)run->at,
             what, detail);
    test_fail(__FILE__, __LINE__, text);
}

/* ---- what is there ---- */

static void check_views(const struct run *run, struct fault_client *client)
{
    for (size_t i = 0; i < ARRAY_COUNT(views); i++) {
        struct strbuf view = STRBUF_INIT, fresh = STRBUF_INIT;
        char sql[128];
        snprintf(sql, sizeof(sql), "SELECT * FROM %s", views[i][0]);
        fault_query_sorted(client, sql, &view);
        fault_query_sorted(client, views[i][1], &fresh);
        if (strncmp(strbuf_text(&view), "42P01", 5) != 0 && strncmp(strbuf_text(&fresh), "42P01", 5) != 0 &&
            strcmp(strbuf_text(&view), strbuf_text(&fresh)) != 0)
            complain(run, "a view is not what its query gives", views[i][0]);
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

/* From a server without a disk; kept, since most runs end the same. */
static const char *expect(uint64_t done)
{
    for (struct expected *it = expectations; it != NULL; it = it->next)
        if (it->done == done)
            return strbuf_text(&it->text);
    struct expected *made = mem_zalloc(sizeof(*made));
    struct fault_server *server;
    struct error err;
    error_init(&err);
    CHECK(fault_server_open(NULL, 1, &server, &err));
    struct fault_client *client = fault_client_open(server);
    for (uint32_t i = 0; i < SCRIPT_COUNT; i++)
        if (done & UINT64_C(1) << i)
            (void)fault_query(client, script[i], 0, NULL, NULL);
    fault_dump(client, &made->text);
    fault_client_close(client);
    fault_server_close(server);
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
static void check_contents(struct run *run, struct fault_client *client, const char *when)
{
    struct strbuf got = STRBUF_INIT;
    fault_dump(client, &got);
    uint64_t done = 0, unknown = 0;
    for (uint32_t i = 0; i < SCRIPT_COUNT; i++) {
        done |= run->outcomes[i] == DONE ? UINT64_C(1) << i : 0;
        unknown |= run->outcomes[i] == UNKNOWN ? UINT64_C(1) << i : 0;
    }
    bool found = false;
    for (uint64_t more = unknown;; more = (more - 1) & unknown) {
        if (strcmp(strbuf_text(&got), expect(done | more)) == 0) {
            for (uint32_t i = 0; i < SCRIPT_COUNT; i++)
                if (run->outcomes[i] == UNKNOWN)
                    run->outcomes[i] = more & UINT64_C(1) << i ? DONE : REFUSED;
            found = true;
            break;
        }
        if (more == 0)
            break;
    }
    if (!found) {
        complain(run, "not what was acknowledged", when);
        for (uint32_t i = 0; i < SCRIPT_COUNT; i++)
            if (run->outcomes[i] != DONE)
                fprintf(stderr, "%s: %s\n", run->outcomes[i] == UNKNOWN ? "unknown" : "refused", script[i]);
        show_difference(strbuf_text(&got), expect(done));
    }
    check_views(run, client);
    strbuf_release(&got);
}

/* ---- runs ---- */

static struct memory_disk *disk;

struct impatience {
    struct fault_server *server;
    struct fault_client *client;
    bool cancels; /* first, before the fault ends */
    bool lifted;
};

/* A statement that waits for the log: it is cancelled, or the disk works again. */
static void impatient(void *ctx, int times)
{
    struct impatience *impatience = ctx;
    if (memory_disk_is_cut(disk)) {
        fault_server_give_up(impatience->server);
    } else if (impatience->cancels && times == 0) {
        fault_client_cancel(impatience->client);
    } else if (times > 0 && memory_disk_has_failed(disk)) {
        memory_disk_fail(disk, 0, 0, 0);
        impatience->lifted = true;
    }
}

static bool is_class(const struct fault_result *result, const char *sqlstate)
{
    return strcmp(result->sqlstate, sqlstate) == 0;
}

static enum outcome outcome_of(const struct run *run, const struct fault_result *result)
{
    if (result->sqlstate[0] == '\0')
        return DONE;
    if (is_class(result, "40003") || is_class(result, "08006"))
        return UNKNOWN;
    if (strncmp(result->sqlstate, "XX", 2) == 0)
        complain(run, "an internal error", result->message);
    if (!memory_disk_is_cut(disk) && (is_class(result, "53100") || is_class(result, "58030")) &&
        strstr(result->message, ".db") == NULL && strstr(result->message, DIR) == NULL)
        complain(run, "the message does not name the file", result->message);
    return REFUSED;
}

static void run_script(struct run *run, struct fault_server *server, bool cancels)
{
    struct fault_client *client = fault_client_open(server), *reader = fault_client_open(server);
    struct impatience impatience = {server, client, cancels, false};
    for (uint32_t i = 0; i < SCRIPT_COUNT && !memory_disk_is_cut(disk); i++) {
        const struct fault_result *result = fault_query(client, script[i], 10, impatient, &impatience);
        run->outcomes[i] = outcome_of(run, result);
        result = fault_query(reader, "SELECT count(*) FROM log", 0, NULL, NULL);
        if (result->sqlstate[0] != '\0' && !is_class(result, "42P01"))
            complain(run, "reading fails", result->message);
    }
    fault_client_close(client);
    fault_client_close(reader);
}

/* The disk works again: so does writing, by itself. */
static void check_recovers(struct run *run, struct fault_server *server)
{
    memory_disk_fail(disk, 0, 0, 0);
    struct fault_client *client = fault_client_open(server);
    static const char *const wanted[] = {"DROP TABLE IF EXISTS again", "CREATE TABLE again (a int)",
                                         "INSERT INTO again VALUES (1)", "DROP TABLE again"};
    bool ok = false;
    char last[64] = "";
    for (int tries = 0; !ok && tries < 500; tries++) {
        ok = true;
        for (size_t i = 0; ok && i < ARRAY_COUNT(wanted); i++) {
            const struct fault_result *result = fault_query(client, wanted[i], 0, NULL, NULL);
            ok = result->sqlstate[0] == '\0';
            snprintf(last, sizeof(last), "%s %.50s", result->sqlstate, result->message);
        }
        if (!ok)
            (void)fault_query(client, "SELECT pg_sleep(0.02)", 0, NULL, NULL);
    }
    if (!ok)
        complain(run, "writing does not recover", last);
    check_contents(run, client, "before the restart");
    fault_client_close(client);
}

/* Recover, look, write, lose power, recover, look. */
static void check_restart(struct run *run, enum disk_loss loss)
{
    for (int round = 0; round < 2; round++) {
        memory_disk_power_on(disk, round == 0 ? loss : LOSS_ALL, run->at);
        struct fault_server *server;
        struct error err;
        error_init(&err);
        if (!fault_server_open(DIR, 1, &server, &err)) {
            complain(run, "it does not start again", err.message);
            return;
        }
        struct fault_client *client = fault_client_open(server);
        check_contents(run, client, round == 0 ? "after the restart" : "after the second restart");
        if (round == 0) {
            const struct fault_result *result =
                fault_query(client, "CREATE TABLE x (a int); DROP TABLE x", 0, NULL, NULL);
            if (result->sqlstate[0] != '\0')
                complain(run, "nothing can be written after the restart", result->message);
            memory_disk_count(disk, OP_ALL);
            memory_disk_cut(disk, 1);
        }
        fault_client_close(client);
        fault_server_close(server);
    }
}

static void new_disk(void)
{
    disk = memory_disk_create();
    disk_use(memory_disk_door(disk));
    struct error err;
    error_init(&err);
    CHECK(disk_make_dir("/disk", NULL, &err) && disk_sync_dir("", &err));
}

static void drop_disk(void)
{
    disk_use(NULL);
    memory_disk_destroy(disk);
}

static uint64_t count_operations(unsigned ops)
{
    struct run run = {.name = "no fault"};
    new_disk();
    memory_disk_count(disk, ops);
    struct fault_server *server;
    struct error err;
    error_init(&err);
    CHECK(fault_server_open(DIR, 1, &server, &err));
    run_script(&run, server, false);
    uint64_t count = memory_disk_counted(disk);
    for (uint32_t i = 0; i < SCRIPT_COUNT; i++)
        if (run.outcomes[i] != (strstr(script[i], "twice") != NULL ? REFUSED : DONE))
            complain(&run, "refused", script[i]);
    fault_server_close(server);
    check_restart(&run, LOSS_ALL);
    drop_disk();
    return count;
}

enum fault_kind { FAULT_ONCE, FAULT_LASTING, FAULT_CUT };

struct fault_mode {
    const char *name;
    enum fault_kind kind;
    unsigned ops;
    int code;
    bool cancels;
    enum disk_loss loss; /* at the restart */
};

static void run_fault(const struct fault_mode *mode, uint64_t at)
{
    struct run run = {.name = mode->name, .at = at};
    new_disk();
    memory_disk_count(disk, mode->ops);
    if (mode->kind == FAULT_CUT)
        memory_disk_cut(disk, at);
    else
        memory_disk_fail(disk, at, mode->code, mode->kind == FAULT_LASTING ? FAIL_LASTING : 1);
    struct fault_server *server;
    struct error err;
    error_init(&err);
    if (fault_server_open(DIR, 1, &server, &err)) {
        run_script(&run, server, mode->cancels);
        if (mode->kind != FAULT_CUT) {
            check_recovers(&run, server);
            memory_disk_count(disk, OP_ALL);
            memory_disk_cut(disk, 1);
        }
        fault_server_close(server);
    } else if (strstr(err.message, "/disk") == NULL && strstr(err.message, ".db") == NULL) {
        complain(&run, "the message does not name the file", err.message);
    }
    check_restart(&run, mode->loss);
    drop_disk();
}

static void run_mode(const struct fault_mode *mode, uint64_t stride, uint64_t first)
{
    uint64_t count = count_operations(mode->ops), runs = 0;
    for (uint64_t at = 1 + first % stride; at <= count; at += stride, runs++)
        run_fault(mode, at);
    printf("%s: %llu of %llu operations\n", mode->name, (unsigned long long)runs, (unsigned long long)count);
    fflush(stdout);
}

static const struct fault_mode modes[] = {
    {"EIO once", FAULT_ONCE, OP_CHANGES | OP_OPEN, EIO, false, LOSS_ALL},
    {"ENOSPC once", FAULT_ONCE, OP_CHANGES | OP_OPEN, ENOSPC, false, LOSS_SECTORS},
    {"EIO when reading", FAULT_ONCE, OP_READ, EIO, false, LOSS_ALL},
    {"EIO from now on", FAULT_LASTING, OP_CHANGES | OP_OPEN, EIO, true, LOSS_ALL},
    {"ENOSPC from now on", FAULT_LASTING, OP_CHANGES | OP_OPEN, ENOSPC, false, LOSS_PAGES},
    {"sync fails from now on", FAULT_LASTING, OP_SYNC, EIO, true, LOSS_NONE},
    {"kill", FAULT_CUT, OP_CHANGES | OP_OPEN, 0, false, LOSS_NONE},
    {"power cut", FAULT_CUT, OP_CHANGES | OP_OPEN, 0, false, LOSS_ALL},
    {"power cut, some sectors", FAULT_CUT, OP_CHANGES | OP_OPEN, 0, false, LOSS_SECTORS},
    {"power cut, some pages", FAULT_CUT, OP_CHANGES | OP_OPEN, 0, false, LOSS_PAGES},
};

/* test_faults [STRIDE [MODE [AT]]]: stride 1 is every operation; a failure names mode and operation. */
int main(int argc, char **argv)
{
    test_name = "faults";
    uint64_t stride = argc > 1 ? strtoull(argv[1], NULL, 10) : 7;
    for (size_t i = 0; i < ARRAY_COUNT(modes); i++) {
        if (argc > 2 && strcmp(argv[2], modes[i].name) != 0)
            continue;
        if (argc > 3)
            run_fault(&modes[i], strtoull(argv[3], NULL, 10));
        else
            run_mode(&modes[i], stride, i * 7);
    }
    return test_result();
}
