/* test_simulation.c: one seed drives a workload, the clock, faults of the disk, kills and power cuts, in one process, one statement at a time
 * (`./dev soak simulate`; a few seeds else). Method: as in deterministic simulation testing (Zhou et al. 2021, section 4).
 *
 * A second server, without a disk, gets every statement that was acknowledged. After each restart the first holds what the
 * second does, but for the one statement whose outcome nobody knows. Each seed is run twice, and must be the same both
 * times: outcomes, contents, and how many operations the disk was asked for. */
#include "storage/base/arena.h"
#include "storage/base/clock.h"
#include "tests/fault/fault_server.h"
#include "tests/fault/memory_disk.h"
#include "tests/test.h"

#include <errno.h>
#include <xxhash.h>

#define DIR         "/disk/data"
#define ROUNDS      4u
#define ROUND_STEPS 30u
#define START_CLOCK INT64_C(1767225600) /* 2026-01-01, seconds since 1970 */

struct sim {
    uint64_t seed, state;
    struct memory_disk *disk;
    struct fault_server *server, *shadow;
    struct fault_client *client, *mirror;
    char in_doubt[4096]; /* statement whose outcome is unknown; "": none */
    uint64_t trace;
    uint32_t statements, restarts, faults;
    int64_t clock_s;
    int64_t next_row;
};

static uint32_t draw(struct sim *sim, uint32_t below)
{
    sim->state += UINT64_C(0x9e3779b97f4a7c15); /* SplitMix64 (Steele et al. 2014) */
    uint64_t z = sim->state;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ z >> 31) % below);
}

static void note(struct sim *sim, const char *text)
{
    sim->trace = XXH3_64bits_withSeed(text, strlen(text), sim->trace);
    if (getenv("SIMULATION_TRACE") != NULL)
        fprintf(stderr, "%llu: %.200s\n", (unsigned long long)sim->seed, text);
}

static void complain(const struct sim *sim, const char *what, const char *detail)
{
    char text[700];
    snprintf(text, sizeof(text), "seed %llu: %s: %.500s", (unsigned long long)sim->seed, what, detail);
    test_fail(__FILE__, __LINE__, text);
}

/* ---- the workload ---- */

static const char *const tables[] = {
    "CREATE TABLE t (id int PRIMARY KEY, v int, s text)",
    "CREATE STREAM ev (n int, k int, ts timestamp, WATERMARK FOR ts AS ts - INTERVAL '5 seconds')",
    "CREATE TABLE bag (k int, x numeric)",
};

static const char *const views[][2] = {
    {"sums", "SELECT v % 5 AS g, count(*) AS n, sum(id) AS s, max(s) AS m FROM t GROUP BY 1"},
    {"pairs", "SELECT t.id, t.v, b.x FROM t LEFT JOIN bag b ON b.k = t.id"},
    {"few", "SELECT id, v FROM t ORDER BY v DESC, id LIMIT 4"},
    {"kinds", "SELECT k, count(DISTINCT x) AS n, min(x) AS lo FROM bag GROUP BY k"},
    {"running", "SELECT id, sum(v) OVER (ORDER BY id) AS s FROM t"},
    {"latest", "SELECT DISTINCT ON (k) k, n FROM ev ORDER BY k, n DESC"},
    {"added", "SELECT c0, count(*) AS n, max(c1) AS m FROM t GROUP BY c0"},
    {"rows_of", "SELECT k FROM bag INTERSECT ALL SELECT v FROM t"},
};
#define WINDOWS                                                                                              \
    "SELECT window_start, k, count(*) AS n FROM tumble(ev, ts, INTERVAL '10 seconds') GROUP BY "             \
    "window_start, k"

static void row_of_event(struct sim *sim, struct strbuf *out)
{
    sim->clock_s += draw(sim, 3);
    int64_t ts = sim->clock_s - draw(sim, 12);
    strbuf_addf(out, "(%lld, %u, to_timestamp(%lld) AT TIME ZONE 'UTC')", (long long)sim->next_row++,
                draw(sim, 4), (long long)ts);
}

/* Columns that come to what has rows and views, and values in them. */
static void columns_statement(struct sim *sim, struct strbuf *out)
{
    static const char *const types[] = {"int DEFAULT 7", "text DEFAULT 'a text that does not fit a field'",
                                        "numeric"};
    static const char *const relations[] = {"TABLE t", "TABLE bag", "STREAM ev"};
    uint32_t relation = draw(sim, 3), column = draw(sim, ARRAY_COUNT(types));
    if (draw(sim, 3) == 0)
        strbuf_addf(out, "ALTER %s ADD COLUMN IF NOT EXISTS c%u %s", relations[relation], column,
                    types[column]);
    else if (relation == 0)
        strbuf_addf(out, "UPDATE t SET c%u = v WHERE id %% 3 = %u", column, draw(sim, 3));
    else
        strbuf_addf(out, "INSERT INTO bag (k, c%u) VALUES (%u, %u)", column, draw(sim, 40), draw(sim, 9));
}

static void next_statement(struct sim *sim, struct strbuf *out)
{
    strbuf_reset(out);
    uint32_t id = draw(sim, 40), v = draw(sim, 30), view = draw(sim, ARRAY_COUNT(views));
    switch (draw(sim, 18)) {
    case 0:
    case 1:
        strbuf_addf(out, "INSERT INTO t VALUES (%u, %u, repeat('s%u', %u))", id, v, v, 1 + draw(sim, 9));
        break;
    case 2:
        strbuf_addf(out,
                    "INSERT INTO t SELECT i, i %% 7, 'many' FROM generate_series(%u, %u) i ON CONFLICT (id) "
                    "DO UPDATE SET v = t.v + 1",
                    id, id + draw(sim, 30));
        break;
    case 3:
        strbuf_addf(out, "UPDATE t SET v = v + %u WHERE id %% 4 = %u", v, draw(sim, 4));
        break;
    case 4:
        strbuf_addf(out, "DELETE FROM t WHERE id %% 5 = %u", draw(sim, 5));
        break;
    case 5:
    case 6:
        strbuf_addf(out, "INSERT INTO bag SELECT %u, i * 1.5 FROM generate_series(1, %u) i", id,
                    1 + draw(sim, 20));
        break;
    case 7:
        strbuf_addf(out, "DELETE FROM bag WHERE k = %u", id);
        break;
    case 8:
        strbuf_addf(out,
                    "BEGIN; UPDATE t SET v = v - 1 WHERE id = %u; INSERT INTO bag VALUES (%u, %u); COMMIT",
                    id, id, v);
        break;
    case 9:
    case 10:
    case 11: {
        strbuf_adds(out, "INSERT INTO ev VALUES ");
        for (uint32_t i = 0, rows = 1 + draw(sim, 6); i < rows; i++) {
            strbuf_adds(out, i > 0 ? ", " : "");
            row_of_event(sim, out);
        }
        break;
    }
    case 12:
        strbuf_addf(out, "CREATE MATERIALIZED VIEW %s AS %s", views[view][0], views[view][1]);
        break;
    case 13:
        if (draw(sim, 3) == 0)
            strbuf_adds(out, draw(sim, 2) ? "CREATE INDEX t_v ON t (v)" : "DROP INDEX t_v");
        else
            strbuf_addf(out, "DROP MATERIALIZED VIEW %s", views[view][0]);
        break;
    case 14:
    case 15:
        columns_statement(sim, out);
        break;
    default:
        strbuf_adds(out, "CHECKPOINT");
    }
}

/* ---- running ---- */

/* Behind a power cut nothing on the disk changes any more: when this comes makes no difference. */
static void impatient(void *ctx, int times)
{
    struct sim *sim = ctx;
    if (memory_disk_is_cut(sim->disk))
        fault_server_give_up(sim->server);
}

static void dump(struct fault_client *client, struct strbuf *out)
{
    strbuf_reset(out);
    fault_dump(client, out);
    fault_query_sorted(client, "SELECT * FROM late_rows('windows')", out);
    fault_query_sorted(
        client,
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'",
        out); /* those of empty tables too */
    for (size_t i = 0; i < ARRAY_COUNT(views); i++) {
        struct strbuf view = STRBUF_INIT, fresh = STRBUF_INIT;
        char sql[64];
        snprintf(sql, sizeof(sql), "SELECT * FROM %s", views[i][0]);
        fault_query_sorted(client, sql, &view);
        fault_query_sorted(client, views[i][1], &fresh);
        if (strncmp(strbuf_text(&view), "42P01", 5) != 0 &&
            strcmp(strbuf_text(&view), strbuf_text(&fresh)) != 0)
            strbuf_addf(out, "%s is not what its query gives\n", views[i][0]);
        strbuf_release(&view);
        strbuf_release(&fresh);
    }
}

static void mirror(struct sim *sim, const char *sql)
{
    const struct fault_result *result = fault_query(sim->mirror, sql, 0, NULL, NULL);
    if (result->sqlstate[0] != '\0')
        complain(sim, "acknowledged, and refused by the server without a disk", result->message);
}

/* What is there is what was acknowledged; afterwards nothing is in doubt. */
static void compare(struct sim *sim, const char *when)
{
    struct strbuf got = STRBUF_INIT, expected = STRBUF_INIT;
    dump(sim->client, &got);
    dump(sim->mirror, &expected);
    if (strcmp(strbuf_text(&got), strbuf_text(&expected)) != 0 && sim->in_doubt[0] != '\0') {
        mirror(sim, sim->in_doubt);
        dump(sim->mirror, &expected);
    }
    sim->in_doubt[0] = '\0';
    if (strcmp(strbuf_text(&got), strbuf_text(&expected)) != 0) {
        complain(sim, "not what was acknowledged", when);
        size_t at = 0;
        while (got.data[at] != '\0' && got.data[at] == expected.data[at])
            at++;
        while (at > 0 && got.data[at - 1] != '\n')
            at--;
        fprintf(stderr, "--- got\n%.300s\n--- expected\n%.300s\n", got.data + at, expected.data + at);
    }
    note(sim, strbuf_text(&got));
    strbuf_release(&got);
    strbuf_release(&expected);
}

static void set_clock(struct sim *sim)
{
    clock_set(sim->clock_s * 1000000);
}

static void plan_fault(struct sim *sim)
{
    static const int codes[] = {EIO, ENOSPC};
    uint64_t at = 1 + draw(sim, 160);
    unsigned ops = OP_CHANGES | OP_OPEN;
    memory_disk_count(sim->disk, ops);
    memory_disk_fail(sim->disk, 0, 0, 0);
    switch (draw(sim, 4)) {
    case 0:
        memory_disk_cut(sim->disk, at);
        break;
    case 1:
        memory_disk_fail(sim->disk, at, codes[draw(sim, 2)], 1);
        break;
    case 2: {
        int code = codes[draw(sim, 2)];
        memory_disk_fail(sim->disk, at, code, 2 + draw(sim, 12));
        break;
    }
    default:
        return;
    }
    sim->faults++;
}

static void step(struct sim *sim, struct strbuf *sql)
{
    next_statement(sim, sql);
    set_clock(sim);
    const char *text = strbuf_text(sql);
    const struct fault_result *result = fault_query(sim->client, text, 10, impatient, sim);
    sim->statements++;
    char outcome[96];
    snprintf(outcome, sizeof(outcome), "%.40s: %s, operation %llu", text, result->sqlstate,
             memory_disk_is_cut(sim->disk) ? 0ull : (unsigned long long)memory_disk_counted(sim->disk));
    note(sim, outcome);
    if (result->sqlstate[0] == '\0') {
        mirror(sim, text);
    } else if (strcmp(result->sqlstate, "40003") == 0 || strcmp(result->sqlstate, "08006") == 0) {
        snprintf(sim->in_doubt, sizeof(sim->in_doubt), "%s", text);
    } else if (strncmp(result->sqlstate, "XX", 2) == 0) {
        complain(sim, text, result->message);
    }
}

static bool start(struct sim *sim)
{
    struct error err;
    error_init(&err);
    if (!fault_server_open_in_turns(DIR, 1, &sim->server, &err)) {
        complain(sim, "it does not start", err.message);
        return false;
    }
    sim->client = fault_client_open(sim->server);
    return true;
}

static void stop(struct sim *sim)
{
    fault_client_close(sim->client);
    fault_server_close(sim->server);
}

static bool run_round(struct sim *sim, struct strbuf *sql)
{
    static const enum disk_loss losses[] = {LOSS_NONE, LOSS_ALL, LOSS_SECTORS, LOSS_PAGES};
    plan_fault(sim);
    for (uint32_t i = 0; i < ROUND_STEPS && sim->in_doubt[0] == '\0' && !memory_disk_is_cut(sim->disk); i++)
        step(sim, sql);
    memory_disk_fail(sim->disk, 0, 0, 0);
    bool clean = draw(sim, 4) == 0 && !memory_disk_is_cut(sim->disk);
    if (!clean && !memory_disk_is_cut(sim->disk)) {
        memory_disk_count(sim->disk, OP_ALL);
        memory_disk_cut(sim->disk, 1);
    }
    stop(sim);
    memory_disk_power_on(sim->disk, clean ? LOSS_NONE : losses[draw(sim, 4)], sim->state);
    sim->restarts++;
    if (!start(sim))
        return false;
    compare(sim, clean ? "after a clean stop" : "after a crash");
    return true;
}

/* The trace of what was seen. */
static uint64_t run_seed(uint64_t seed, struct sim *total)
{
    struct sim sim = {.seed = seed, .state = seed, .clock_s = START_CLOCK};
    struct strbuf sql = STRBUF_INIT;
    struct error err;
    error_init(&err);
    sim.disk = memory_disk_create();
    disk_use(memory_disk_door(sim.disk));
    CHECK(disk_make_dir("/disk", NULL, &err) && disk_sync_dir("", &err));
    set_clock(&sim);
    CHECK(fault_server_open(NULL, 1, &sim.shadow, &err));
    sim.mirror = fault_client_open(sim.shadow);
    bool ok = start(&sim);
    for (size_t i = 0; ok && i <= ARRAY_COUNT(tables); i++) {
        const char *text = i < ARRAY_COUNT(tables)
                               ? tables[i]
                               : "CREATE MATERIALIZED VIEW windows WITH (emit = 'final') AS " WINDOWS;
        const struct fault_result *result = fault_query(sim.client, text, 0, NULL, NULL);
        if (result->sqlstate[0] != '\0')
            complain(&sim, text, result->message);
        mirror(&sim, text);
    }
    for (uint32_t round = 0; ok && round < ROUNDS; round++)
        ok = run_round(&sim, &sql);
    if (ok)
        stop(&sim);
    fault_client_close(sim.mirror);
    fault_server_close(sim.shadow);
    disk_use(NULL);
    memory_disk_destroy(sim.disk);
    strbuf_release(&sql);
    clock_release();
    total->statements += sim.statements;
    total->restarts += sim.restarts;
    total->faults += sim.faults;
    return sim.trace;
}

/* test_simulation [SEEDS [FIRST]] */
int main(int argc, char **argv)
{
    test_name = "simulation";
    uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : 12,
             first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    uint64_t parted = 0;
    struct sim total = {0};
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        uint64_t once = run_seed(seed, &total), again = run_seed(seed, &total);
        parted += once != again;
        if (once != again) {
            char text[64];
            snprintf(text, sizeof(text), "seed %llu: two runs differ", (unsigned long long)seed);
            test_fail(__FILE__, __LINE__, text);
        }
    }
    printf("%llu seeds twice: %u statements, %u restarts, %u faults planned; %llu seeds whose runs differ\n",
           (unsigned long long)seeds, total.statements, total.restarts, total.faults,
           (unsigned long long)parted);
    return test_result();
}
