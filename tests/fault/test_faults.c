/* test_faults.c: a script of statements against a server on a disk that fails at its Nth operation, or loses power there,
 * for every N (`./dev soak faults`; every seventh else); once more with memory that SQLite is refused, and with no space for
 * state under a memory limit.
 *
 * What must hold: every acknowledged statement is there exactly once after a restart, a refused one is not there at all,
 * one whose outcome is unknown is there as a whole or not at all; views are what their queries give; reading works
 * all the time; writing works again when the disk does. What is there is compared with a server without a disk that runs
 * the acknowledged statements. */
#include "storage/base/arena.h"
#include "storage/disk/catalog_store.h"
#include "storage/disk/checkpoint_store.h"
#include "storage/disk/tick_log.h"
#include "tests/fault/fault_script.h"
#include "tests/fault/memory_disk.h"
#include "tests/fault/sqlite_memory.h"
#include "tests/test.h"

#include <errno.h>

#define DIR "/disk/data"

/* ---- runs ---- */

enum fault_kind { FAULT_ONCE, FAULT_LASTING, FAULT_CUT, FAULT_MEMORY_ONCE, FAULT_MEMORY_LASTING };

struct fault_mode {
    const char *name;
    enum fault_kind kind;
    unsigned ops; /* of the disk */
    int code;
    bool cancels;
    enum disk_loss loss; /* at the restart */
    const char *limit;   /* of memory */
    unsigned
        times_fewer; /* so much longer is the stride, unless this mode runs alone: it has many operations */
};

static struct memory_disk *disk;

static bool has_failed(void)
{
    return memory_disk_has_failed(disk) || sqlite_memory_has_failed();
}

static void end_fault(void)
{
    memory_disk_fail(disk, 0, 0, 0);
    sqlite_memory_fail(0, false);
}

/* at 0: no fault, operations are counted. */
static void begin_fault(const struct fault_mode *mode, uint64_t at)
{
    sqlite_memory_count();
    memory_disk_count(disk, mode->ops);
    if (mode->kind == FAULT_CUT)
        memory_disk_cut(disk, at);
    else if (mode->ops != 0)
        memory_disk_fail(disk, at, mode->code, mode->kind == FAULT_LASTING ? FAIL_LASTING : 1);
    else
        sqlite_memory_fail(at, mode->kind == FAULT_MEMORY_LASTING);
}

static uint64_t counted(const struct fault_mode *mode)
{
    return mode->ops != 0 ? memory_disk_counted(disk) : sqlite_memory_counted();
}

struct impatience {
    struct fault_server *server;
    struct fault_client *client;
    bool cancels; /* first, before the fault ends */
    bool lifted;
};

/* A statement that waits for the log: it is cancelled, or the disk works again. Before the fault it is only slow. */
static void impatient(void *ctx, int times)
{
    struct impatience *impatience = ctx;
    if (memory_disk_is_cut(disk)) {
        fault_server_give_up(impatience->server);
    } else if (!has_failed()) {
        return;
    } else if (impatience->cancels && times == 0) {
        fault_client_cancel(impatience->client);
    } else if (times > 0) {
        end_fault();
        impatience->lifted = true;
    }
}

static bool is_class(const struct fault_result *result, const char *sqlstate)
{
    return strcmp(result->sqlstate, sqlstate) == 0;
}

static enum fault_outcome outcome_of(const struct fault_run *run, const struct fault_result *result)
{
    if (result->sqlstate[0] == '\0')
        return DONE;
    if (is_class(result, "40003") || is_class(result, "08006"))
        return UNKNOWN;
    if (strncmp(result->sqlstate, "XX", 2) == 0)
        fault_complain(run, "an internal error", result->message);
    if (!memory_disk_is_cut(disk) &&
        (is_class(result, "53100") || is_class(result, "58030") || is_class(result, "53200")) &&
        strstr(result->message, ".db") == NULL && strstr(result->message, DIR) == NULL)
        fault_complain(run, "the message does not name the file", result->message);
    return REFUSED;
}

/* A checkpoint that could not be made says so, and the system's view keeps it. */
static void check_checkpoint(struct fault_run *run, const struct fault_result *result, bool cannot,
                             struct fault_client *reader)
{
    if (cannot && result->sqlstate[0] == '\0')
        fault_complain(run, "it succeeds on a disk that takes nothing", "CHECKPOINT");
    if (!is_class(result, "53100") && !is_class(result, "58030") && !is_class(result, "53200"))
        return;
    char message[sizeof(result->message)];
    snprintf(message, sizeof(message), "%s", result->message);
    result = fault_query(reader, "SELECT error FROM millrace.checkpoints WHERE failed > 0", 0, NULL, NULL);
    if (strncmp(strbuf_text(&result->rows), message, strlen(message)) != 0)
        fault_complain(run, "millrace.checkpoints does not say why", message);
}

static bool adds_rows(const char *statement)
{
    return strncmp(statement, "INSERT", 6) == 0 && strstr(statement, "twice") == NULL;
}

static void run_script(struct fault_run *run, struct fault_server *server, const struct fault_mode *mode)
{
    struct fault_client *client = fault_client_open(server), *reader = fault_client_open(server);
    struct impatience impatience = {server, client, mode->cancels, false};
    /* nobody waits for the space that state needs: a statement that takes its time is only slow */
    bool is_for_state = mode->ops == OP_RESERVE, is_lasting = mode->kind == FAULT_LASTING;
    void (*patience)(void *ctx, int times) = is_for_state ? NULL : impatient;
    uint32_t told = 0;
    for (uint32_t i = 0; i < FAULT_SCRIPT_COUNT && !memory_disk_is_cut(disk); i++) {
        bool is_failing = is_lasting && has_failed();
        const struct fault_result *result = fault_query(client, fault_script[i], 10, patience, &impatience);
        run->outcomes[i] = outcome_of(run, result);
        told += is_class(result, "53100");
        is_failing &= !impatience.lifted;
        if (is_for_state && is_failing && adds_rows(fault_script[i]) && !is_class(result, "53100"))
            fault_complain(run, "there is no space for state, and nobody is told", fault_script[i]);
        if (strcmp(fault_script[i], "CHECKPOINT") == 0)
            check_checkpoint(run, result, is_failing && !is_for_state, reader);
        result = fault_query(reader, "SELECT count(*) FROM log", 0, NULL, NULL);
        if (result->sqlstate[0] != '\0' && !is_class(result, "42P01"))
            fault_complain(run, "reading fails", result->message);
    }
    if (is_for_state && is_lasting && memory_disk_has_failed(disk) && told == 0)
        fault_complain(run, "nobody was told", "53100");
    fault_client_close(client);
    fault_client_close(reader);
}

/* The disk works again: so does writing, by itself. */
static void check_recovers(struct fault_run *run, struct fault_server *server)
{
    end_fault();
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
        fault_complain(run, "writing does not recover", last);
    fault_check_contents(run, client, "before the restart");
    fault_client_close(client);
}

static void expect_done(const struct fault_run *run, struct fault_client *client, const char *sql)
{
    const struct fault_result *result = fault_query(client, sql, 0, NULL, NULL);
    if (result->sqlstate[0] != '\0')
        fault_complain(run, sql, result->message);
}

/* Recover, look, write, lose power, recover, look. What was made after the first start holds nothing, whatever the log and
 * checkpoints have of objects that never came to be. */
static void check_restart(struct fault_run *run, enum disk_loss loss)
{
    for (int round = 0; round < 2; round++) {
        memory_disk_power_on(disk, round == 0 ? loss : LOSS_ALL, run->at);
        struct fault_server *server;
        struct error err;
        error_init(&err);
        if (!fault_server_open(DIR, 1, &server, &err)) {
            fault_complain(run, "it does not start again", err.message);
            return;
        }
        struct fault_client *client = fault_client_open(server);
        if (round == 1) {
            const struct fault_result *result = fault_query(client, "SELECT * FROM new", 0, NULL, NULL);
            if (result->sqlstate[0] != '\0' || result->rows.len > 0)
                fault_complain(run, "a new table is not empty after a restart", strbuf_text(&result->rows));
            expect_done(run, client, "DROP TABLE new");
        }
        fault_check_contents(run, client, round == 0 ? "after the restart" : "after the second restart");
        if (round == 0) {
            expect_done(run, client, "CREATE TABLE new (id int NOT NULL, v int, w int)");
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

static uint64_t count_operations(const struct fault_mode *mode)
{
    struct fault_run run = {.name = "no fault"};
    new_disk();
    begin_fault(mode, 0);
    struct fault_server *server;
    struct error err;
    error_init(&err);
    CHECK(fault_server_open(DIR, 1, &server, &err));
    run_script(&run, server, mode);
    uint64_t count = counted(mode);
    for (uint32_t i = 0; i < FAULT_SCRIPT_COUNT; i++)
        if (run.outcomes[i] != (strstr(fault_script[i], "twice") != NULL ? REFUSED : DONE))
            fault_complain(&run, "refused", fault_script[i]);
    fault_server_close(server);
    check_restart(&run, LOSS_ALL);
    drop_disk();
    return count;
}

static void run_fault(const struct fault_mode *mode, uint64_t at)
{
    struct fault_run run = {.name = mode->name, .at = at};
    new_disk();
    begin_fault(mode, at);
    struct fault_server *server;
    struct error err;
    error_init(&err);
    if (fault_server_open(DIR, 1, &server, &err)) {
        run_script(&run, server, mode);
        if (mode->kind != FAULT_CUT) {
            check_recovers(&run, server);
            memory_disk_count(disk, OP_ALL);
            memory_disk_cut(disk, 1);
        }
        fault_server_close(server);
    } else if (strstr(err.message, "/disk") == NULL && strstr(err.message, ".db") == NULL) {
        fault_complain(&run, "the message does not name the file", err.message);
    }
    end_fault();
    check_restart(&run, mode->loss);
    drop_disk();
}

static void run_mode(const struct fault_mode *mode, uint64_t stride, uint64_t first, bool is_alone)
{
    uint64_t count = count_operations(mode), runs = 0;
    if (stride > 1 && mode->times_fewer > 0 && !is_alone)
        stride *= mode->times_fewer;
    stride = count <= 30 ? 1 : stride;
    for (uint64_t at = 1 + first % stride; at <= count; at += stride, runs++)
        run_fault(mode, at);
    printf("%s: %llu of %llu operations\n", mode->name, (unsigned long long)runs, (unsigned long long)count);
    fflush(stdout);
}

/* ---- what objects that never came to be have left ---- */

#define STRANGERS 4u

/* A checkpoint with a row of each of the relations that would have got the next OIDs. */
static void leave_strangers(void)
{
    struct error err;
    struct catalog_store *catalog;
    struct checkpoint_store *store;
    struct checkpoint_info info;
    struct arena arena;
    const char *owners[STRANGERS];
    uint32_t oid, slot = 0;
    arena_init(&arena, NULL);
    error_init(&err);
    CHECK(catalog_store_open(DIR, &catalog, &err) && checkpoint_store_open(catalog, &store, &err));
    CHECK(catalog_store_next_oid(catalog, &oid, &err) && checkpoint_store_newest(store, &info, &err));
    CHECK(checkpoint_store_begin(store, &err));
    for (uint32_t i = 0; i < STRANGERS; i++) {
        struct checkpoint_piece *piece = checkpoint_piece_new(NULL);
        struct sql_type type = {OID_INT4, -1};
        struct datum value = datum_i32(1);
        struct batch *rows = batch_create(&piece->arena, &type, 1, 1);
        batch_append_datums(rows, &value, 1);
        owners[i] = arena_printf(&arena, "r%u", oid + i);
        piece->owner = arena_strdup(&piece->arena, owners[i]);
        piece->table = "rows";
        piece->version = 1;
        piece->kind = PIECE_SLOTS;
        piece->slots = arena_copy(&piece->arena, &slot, sizeof(slot));
        piece->rows = rows;
        CHECK(checkpoint_store_put(store, piece, &err));
    }
    CHECK(checkpoint_store_commit(store, owners, STRANGERS, &info, &err));
    checkpoint_store_close(store);
    catalog_store_close(catalog);
    arena_release(&arena);
}

static void check_written(void *ctx, uint64_t epoch, const struct error *err)
{
    CHECK(err == NULL);
}

/* A tick with such rows in the log, behind all checkpoints: their CREATE was lost, or rolled back, and the tick was not. */
static void leave_strangers_in_log(void)
{
    struct error err;
    struct catalog_store *catalog;
    struct tick_log *log;
    struct tick_log_entry entries[STRANGERS];
    struct arena arena;
    uint32_t oid;
    arena_init(&arena, NULL);
    error_init(&err);
    CHECK(catalog_store_open(DIR, &catalog, &err) && catalog_store_next_oid(catalog, &oid, &err));
    catalog_store_close(catalog);
    CHECK(tick_log_open(DIR, false, &log, &err));
    for (uint32_t i = 0; i < STRANGERS; i++) {
        struct sql_type type = {OID_INT4, -1};
        struct datum value = datum_i32(1);
        struct batch *rows = batch_create(&arena, &type, 1, 1);
        batch_append_datums(rows, &value, 1);
        entries[i] = (struct tick_log_entry){.relation_oid = oid + i, .rows = rows};
    }
    tick_log_append(log, tick_log_last(log) + 1, 0, 1, entries, STRANGERS, check_written, NULL);
    tick_log_close(log);
    arena_release(&arena);
}

/* Nothing that is made later takes it for its own. */
static void check_strangers(const char *name, void (*leave)(void))
{
    struct fault_run run = {.name = name};
    struct error err;
    error_init(&err);
    fault_server_limit_memory(NULL);
    new_disk();
    for (int round = 0; round < 3; round++) {
        struct fault_server *server;
        if (!fault_server_open(DIR, 1, &server, &err)) {
            fault_complain(&run, "it does not start again", err.message);
            break;
        }
        struct fault_client *client = fault_client_open(server);
        if (round == 0) {
            expect_done(&run, client, "CREATE TABLE before (a int)");
            expect_done(&run, client, "CHECKPOINT");
        } else if (round == 1) {
            expect_done(&run, client, "CREATE TABLE one (a int)");
            expect_done(&run, client, "CREATE TABLE two (a text)");
        } else {
            const struct fault_result *result =
                fault_query(client, "SELECT a::text FROM one UNION ALL SELECT a FROM two", 0, NULL, NULL);
            if (result->sqlstate[0] != '\0' || result->rows.len > 0)
                fault_complain(&run, "a new table holds it", strbuf_text(&result->rows));
        }
        memory_disk_count(disk, OP_ALL); /* no last checkpoint */
        memory_disk_cut(disk, 1);
        fault_client_close(client);
        fault_server_close(server);
        memory_disk_power_on(disk, LOSS_NONE, 1);
        if (round == 0)
            leave();
    }
    drop_disk();
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
    {"no space for state once", FAULT_ONCE, OP_RESERVE, ENOSPC, false, LOSS_ALL, "1GB"},
    {"no space for state from now on", FAULT_LASTING, OP_RESERVE, ENOSPC, false, LOSS_ALL, "1GB"},
    {"SQLite is refused memory once", FAULT_MEMORY_ONCE, 0, 0, false, LOSS_ALL, NULL, 60},
    {"SQLite is refused memory from now on", FAULT_MEMORY_LASTING, 0, 0, false, LOSS_ALL, NULL, 60},
};

/* test_faults [STRIDE [MODE [AT]]]: stride 1 is every operation; a failure names mode and operation. */
int main(int argc, char **argv)
{
    test_name = "faults";
    if (argc > 2 && strcmp(argv[1], "--expect") == 0) {
        fault_print_expected(argv[2]);
        return 0;
    }
    sqlite_memory_install();
    uint64_t stride = argc > 1 ? strtoull(argv[1], NULL, 10) : test_rounds(7, 29);
    for (size_t i = 0; i < ARRAY_COUNT(modes); i++) {
        if (argc > 2 && strcmp(argv[2], modes[i].name) != 0)
            continue;
        fault_server_limit_memory(modes[i].limit);
        if (argc > 3)
            run_fault(&modes[i], strtoull(argv[3], NULL, 10));
        else
            run_mode(&modes[i], stride, i * 7, argc > 2);
    }
    if (argc < 3 || strcmp(argv[2], "strangers") == 0) {
        check_strangers("what a checkpoint has of a relation that never was", leave_strangers);
        check_strangers("what the log has of a relation that never was", leave_strangers_in_log);
    }
    test_failures += fault_complaints;
    return test_result();
}
