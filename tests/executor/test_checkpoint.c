/* test_checkpoint.c: a checkpoint's pieces, given out one by one as the test wants them, beside what comes meanwhile: columns that
 * are added, writers that have to wait, and what the clock asks for. */
#include "executor/checkpoint.h"
#include "executor/engine_internal.h"
#include "storage/base/clock.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>

#define COLUMNS_MOST 6 /* of the relations here */
#define ROWS         (BATCH_ROWS_MAX * 3)
#define SECOND       INT64_C(1000000)

/* ---- what is saved, as a restart would read it ---- */

struct saved_row { /* without padding: compared as bytes */
    int64_t weight;
    uint32_t is_there, columns_count; /* as saved */
    int32_t values[COLUMNS_MOST];
};

struct saved {
    struct relation *relation;
    uint32_t base_count;
    bool is_multiset;
    char owner[16];
    struct saved_row *rows; /* by slot or number */
    uint32_t count, cap;
};

struct sink {
    struct engine *engine;
    struct saved *saved;
    uint32_t saved_count;
    _Atomic uint64_t room; /* pieces */
    _Atomic uint64_t puts; /* those of rows */
    _Atomic bool is_complete;
    _Atomic uint64_t ticks, rows_left; /* at the last piece of rows, at the first */
    struct relation *watched;          /* whose rows are left; or NULL */
};

static struct saved_row *saved_at(struct saved *saved, uint64_t at)
{
    if (at >= saved->cap) {
        uint32_t cap = (uint32_t)at * 2 + 64;
        saved->rows = mem_realloc(saved->rows, sizeof(*saved->rows) * cap);
        saved->cap = cap;
    }
    while (saved->count <= at)
        saved->rows[saved->count++] = (struct saved_row){0};
    return &saved->rows[at];
}

static void take_row(struct saved *saved, uint64_t at, const struct batch *rows, uint32_t row)
{
    struct saved_row *to = saved_at(saved, at);
    *to = (struct saved_row){.is_there = true, .weight = 1};
    for (uint32_t c = 0; c < rows->columns_count; c++) {
        struct datum value = column_get(&rows->columns[c], row);
        if (saved->is_multiset && c == saved->base_count)
            to->weight = value.i64;
        else
            to->values[to->columns_count++] = value.i32;
    }
}

static void take_piece(struct saved *saved, const struct checkpoint_piece *piece)
{
    if (piece->kind == PIECE_VOID)
        saved->count = 0;
    for (uint32_t i = 0; piece->kind == PIECE_SLOTS && i < piece->freed_count; i++)
        *saved_at(saved, piece->freed[i]) = (struct saved_row){0};
    if (piece->rows == NULL)
        return;
    uint32_t columns = relation_columns(saved->relation, NULL) + saved->is_multiset;
    EXPECT_INT(piece->rows->columns_count,
               columns); /* which are filled, whatever the list has said of them */
    for (uint32_t row = 0; row < piece->rows->rows && piece->rows->columns_count <= columns; row++)
        take_row(saved, piece->kind == PIECE_SLOTS ? piece->slots[row] : piece->first + row, piece->rows,
                 row);
}

static bool has_room(void *ctx)
{
    struct sink *sink = ctx;
    return atomic_load(&sink->room) > 0;
}

static uint64_t rows_of(struct relation *relation)
{
    struct relation_stats stats;
    relation_stats(relation, &stats);
    return stats.rows;
}

static void put(void *ctx, struct checkpoint_piece *piece)
{
    struct sink *sink = ctx;
    for (uint32_t i = 0; i < sink->saved_count; i++)
        if (strcmp(piece->owner, sink->saved[i].owner) == 0 && strcmp(piece->table, "rows") == 0)
            take_piece(&sink->saved[i], piece);
    if (piece->rows != NULL) {
        struct engine_stats stats;
        engine_stats(sink->engine, &stats);
        atomic_store(&sink->ticks, stats.ticks);
        if (sink->watched != NULL && atomic_load(&sink->puts) == 0)
            atomic_store(&sink->rows_left, rows_of(sink->watched));
        if (atomic_load(&sink->room) != UINT64_MAX)
            atomic_store(&sink->room, 0);
        atomic_fetch_add(&sink->puts, 1);
    }
    checkpoint_piece_free(piece);
}

static void complete(void *ctx, uint64_t epoch, int64_t clock_us, const char *const *owners,
                     uint32_t owners_count)
{
    struct sink *sink = ctx;
    atomic_store(&sink->is_complete, true);
}

static void nothing(void *ctx) {}

/* It stands until it is given room. */
static void start_checkpoint(struct sink *sink)
{
    atomic_store(&sink->room, 0);
    atomic_store(&sink->puts, 0);
    atomic_store(&sink->is_complete, false);
    const struct checkpoint_sink doors = {sink, has_room, put, complete};
    engine_checkpoint_start(sink->engine, &doors);
}

/* Until one more piece of rows has come; then it stands again. */
static void take_one(struct sink *sink)
{
    uint64_t before = atomic_load(&sink->puts);
    atomic_store(&sink->room, 1);
    engine_checkpoint_wake(sink->engine);
    while (atomic_load(&sink->puts) == before && !atomic_load(&sink->is_complete))
        sched_yield();
    engine_at_boundary(sink->engine, nothing, NULL);
}

static void take_all(struct sink *sink)
{
    atomic_store(&sink->room, UINT64_MAX);
    engine_checkpoint_wake(sink->engine);
    while (!atomic_load(&sink->is_complete))
        sched_yield();
}

/* ---- relations of int4 columns ---- */

static const struct sql_type int4s[COLUMNS_MOST] = {{OID_INT4, -1}, {OID_INT4, -1}, {OID_INT4, -1},
                                                    {OID_INT4, -1}, {OID_INT4, -1}, {OID_INT4, -1}};
static const char *const names[COLUMNS_MOST] = {"k", "a", "b", "c", "d", "e"};

/* The values of row k: k, and in every other column something that says whose it is. */
static int32_t value_of(int32_t k, uint32_t column, int32_t round)
{
    return column == 0 ? k : k * 10 + (int32_t)column + round * 1000000;
}

/* Rows first .. end; was >= 0: in place of those that had `had` columns and this round's values, and the missing ones. */
static void write_rows(struct engine *engine, struct relation *relation, int32_t first, int32_t end,
                       int32_t round, int32_t was, uint32_t had)
{
    struct arena arena;
    arena_init(&arena, NULL);
    uint32_t columns = relation_columns(relation, NULL);
    struct batch *rows = batch_create(&arena, int4s, columns, (uint32_t)(end - first) * 2);
    for (int32_t k = first; k < end; k++) {
        struct datum values[COLUMNS_MOST];
        for (uint32_t c = 0; c < columns && was >= 0; c++)
            values[c] = datum_i32(c < had ? value_of(k, c, was) : -(int32_t)c);
        if (was >= 0)
            batch_append_datums(rows, values, -1);
        for (uint32_t c = 0; c < columns; c++)
            values[c] = datum_i32(value_of(k, c, round));
        batch_append_datums(rows, values, 1);
    }
    struct txn_change change = {.relation = relation, .rows = rows};
    const struct engine_txn txn = {.changes_count = 1, .changes = &change};
    uint64_t epoch;
    struct error err;
    EXPECT(engine_commit(engine, &txn, NULL, &epoch, &err));
    arena_release(&arena);
}

static int compare_rows(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct saved_row));
}

/* Every row that is saved, padded to the present columns, in order; and those that are there. */
static void expect_saved(struct engine *engine, const struct saved *saved)
{
    uint32_t columns = relation_columns(saved->relation, NULL), count = 0, found = 0, cap = saved->count + 1;
    struct saved_row *wanted = mem_zalloc(sizeof(*wanted) * cap), *there = mem_zalloc(sizeof(*there) * cap);
    for (uint32_t i = 0; i < saved->count; i++) {
        if (!saved->rows[i].is_there)
            continue;
        struct saved_row *row = &wanted[count++];
        *row = saved->rows[i];
        for (; row->columns_count < columns; row->columns_count++)
            row->values[row->columns_count] = -(int32_t)row->columns_count;
    }
    struct relation_scan scan;
    const struct batch *rows;
    uint64_t snapshot = snapshot_open(engine_snapshots(engine), 0);
    relation_scan_start(&scan, saved->relation, snapshot, NULL);
    while ((rows = relation_scan_next(&scan)) != NULL) {
        for (uint32_t row = 0; row < rows->rows; row++, found++) {
            if (found == cap)
                break;
            there[found] = (struct saved_row){
                .is_there = true, .columns_count = rows->columns_count, .weight = batch_weight(rows, row)};
            for (uint32_t c = 0; c < rows->columns_count; c++)
                there[found].values[c] = column_get(&rows->columns[c], row).i32;
        }
    }
    relation_scan_end(&scan);
    snapshot_close(engine_snapshots(engine), snapshot);
    EXPECT_INT(count, found);
    qsort(wanted, count, sizeof(*wanted), compare_rows);
    qsort(there, found, sizeof(*there), compare_rows);
    EXPECT(count == found && memcmp(wanted, there, sizeof(*wanted) * count) == 0);
    mem_free(wanted);
    mem_free(there);
}

static void create(struct engine *engine, struct saved *saved, uint32_t oid, enum relation_kind kind,
                   uint32_t key_count)
{
    static const uint32_t key[1] = {0};
    struct error err;
    const struct relation_desc desc = {.oid = oid,
                                       .kind = kind,
                                       .schema = "public",
                                       .name = "t",
                                       .columns_count = 3,
                                       .types = int4s,
                                       .column_names = names,
                                       .append_only = kind == RELATION_STREAM,
                                       .key_count = key_count,
                                       .key_columns = key,
                                       .key_name = "t_pkey"};
    *saved = (struct saved){.base_count = 3, .is_multiset = kind == RELATION_TABLE && key_count == 0};
    snprintf(saved->owner, sizeof(saved->owner), "r%u", oid);
    EXPECT(engine_create_relation(engine, &desc, &saved->relation, &err));
}

/* ---- columns that are added while a checkpoint copies ---- */

/* Some pieces are of before, with fewer columns; rows that come or change behind them are saved with all their values, in this checkpoint
 * and in one that saves only what has changed since. */
static void check_columns(enum relation_kind kind, uint32_t key_count)
{
    struct saved saved;
    struct sink sink = {.saved = &saved, .saved_count = 1};
    sink.engine = engine_create(&(struct engine_options){.shards = 1});
    create(sink.engine, &saved, 16384, kind, key_count);
    int32_t next = ROWS;
    write_rows(sink.engine, saved.relation, 0, ROWS, 0, -1, 0);
    for (int32_t round = 1; round <= 2; round++) {
        uint32_t had = 2 + (uint32_t)round;
        start_checkpoint(&sink);
        take_one(&sink);
        EXPECT(!atomic_load(&sink.is_complete));
        struct datum missing = datum_i32(-(int32_t)had);
        struct column_job *job;
        struct error err;
        EXPECT(engine_prepare_columns(sink.engine, saved.relation, 1, &int4s[had], &names[had], &missing,
                                      NULL, &job, &err));
        engine_add_columns(job);
        write_rows(sink.engine, saved.relation, next, next + 5, round, -1, 0);
        if (kind == RELATION_TABLE) { /* one that is copied, and one that is not */
            write_rows(sink.engine, saved.relation, 0, 1, round, round - 1, had);
            write_rows(sink.engine, saved.relation, ROWS - 1, ROWS, round, round - 1, had);
        }
        next += 5;
        take_all(&sink);
        EXPECT(atomic_load(&sink.puts) >= 3);
        engine_checkpoint_end(sink.engine, true);
        expect_saved(sink.engine, &saved);
        if (kind == RELATION_TABLE) /* enough for the next to have several pieces */
            write_rows(sink.engine, saved.relation, 1, ROWS - 1, round, round - 1, had);
        else
            write_rows(sink.engine, saved.relation, next, next + ROWS, round, -1, 0);
        next += kind == RELATION_TABLE ? 0 : ROWS;
    }
    struct error err;
    EXPECT(engine_drop_relation(sink.engine, saved.relation, &err));
    engine_destroy(sink.engine);
    mem_free(saved.rows);
}

TEST(columns_come_to_tables_with_a_key)
{
    check_columns(RELATION_TABLE, 1);
}

TEST(columns_come_to_tables_without)
{
    check_columns(RELATION_TABLE, 0);
}

TEST(columns_come_to_streams)
{
    check_columns(RELATION_STREAM, 0);
}

/* ---- writers ---- */

struct writer {
    _Atomic bool is_done;
};

static void writer_done(void *ctx, uint64_t epoch, const struct error *err)
{
    struct writer *writer = ctx;
    EXPECT(err == NULL);
    atomic_store(&writer->is_done, true);
}

/* While a view or an index is behind nobody is taken, though a checkpoint keeps the engine awake. */
TEST(writers_wait_beside_a_checkpoint)
{
    struct saved saved;
    struct sink sink = {.saved = &saved, .saved_count = 1};
    sink.engine = engine_create(&(struct engine_options){.shards = 1});
    create(sink.engine, &saved, 16384, RELATION_TABLE, 1);
    write_rows(sink.engine, saved.relation, 0, ROWS, 0, -1, 0);
    start_checkpoint(&sink);
    take_one(&sink);
    bool holds = false;
    struct writer writer = {false};
    const struct engine_txn txn = {0};
    engine_hold(sink.engine, &holds, true);
    engine_commit_async(sink.engine, &txn, writer_done, &writer);
    take_one(&sink);
    EXPECT(!atomic_load(&writer.is_done));
    take_all(&sink);
    EXPECT(!atomic_load(&writer.is_done));
    engine_checkpoint_end(sink.engine, true);
    EXPECT(!atomic_load(&writer.is_done));
    engine_hold(sink.engine, &holds, false);
    while (!atomic_load(&writer.is_done))
        sched_yield();
    struct error err;
    EXPECT(engine_drop_relation(sink.engine, saved.relation, &err));
    engine_destroy(sink.engine);
    mem_free(saved.rows);
}

/* ---- what the clock asks for ---- */

#define MANY 20000 /* more than one tick takes away */

/* (k int4 primary key, t timestamptz), from which rows go a minute after t. */
static struct relation *create_kept(struct engine *engine, int32_t count)
{
    static const struct sql_type types[2] = {{OID_INT4, -1}, {OID_TIMESTAMPTZ, -1}};
    static const uint32_t key[1] = {0};
    struct error err;
    struct relation *relation;
    const struct relation_desc desc = {.oid = 16390,
                                       .kind = RELATION_TABLE,
                                       .schema = "public",
                                       .name = "kept",
                                       .columns_count = 2,
                                       .types = types,
                                       .column_names = names,
                                       .key_count = 1,
                                       .key_columns = key,
                                       .key_name = "kept_pkey"};
    EXPECT(engine_create_relation(engine, &desc, &relation, &err));
    struct arena arena;
    arena_init(&arena, NULL);
    struct batch *rows = batch_create(&arena, types, 2, (uint32_t)count);
    for (int32_t k = 0; k < count; k++) {
        struct datum values[2] = {datum_i32(k), datum_i64(clock_now_us())};
        batch_append_datums(rows, values, 1);
    }
    struct txn_change change = {.relation = relation, .rows = rows};
    const struct engine_txn txn = {.changes_count = 1, .changes = &change};
    uint64_t epoch;
    EXPECT(engine_commit(engine, &txn, NULL, &epoch, &err));
    arena_release(&arena);
    engine_keep_newest(engine, relation, 1, 0, 60 * SECOND);
    EXPECT_INT(rows_of(relation), count);
    return relation;
}

static void end_kept(struct sink *sink)
{
    struct error err;
    EXPECT(engine_drop_relation(sink->engine, sink->watched, &err));
    EXPECT(engine_drop_relation(sink->engine, sink->saved->relation, &err));
    engine_destroy(sink->engine);
    mem_free(sink->saved->rows);
    clock_release();
}

/* No transaction comes, and a checkpoint has work: what is due goes first. */
TEST(the_clock_is_heard_beside_a_checkpoint)
{
    for (int is_behind = 0; is_behind < 2; is_behind++) { /* a writer waits for something, or there is none */
        clock_set(1000 * SECOND);
        struct saved saved;
        struct sink sink = {.saved = &saved, .saved_count = 1};
        sink.engine = engine_create(&(struct engine_options){.shards = 1});
        create(sink.engine, &saved, 16384, RELATION_TABLE, 1);
        write_rows(sink.engine, saved.relation, 0, ROWS, 0, -1, 0);
        sink.watched = create_kept(sink.engine, 1);
        start_checkpoint(&sink);
        take_one(&sink);
        bool holds = false;
        struct writer writer = {!is_behind};
        const struct engine_txn txn = {0};
        engine_hold(sink.engine, &holds, is_behind != 0);
        if (is_behind)
            engine_commit_async(sink.engine, &txn, writer_done, &writer);
        uint64_t before = atomic_load(&sink.ticks);
        clock_set(1100 * SECOND);
        take_one(&sink);
        EXPECT(!atomic_load(&sink.is_complete));
        EXPECT_INT(atomic_load(&sink.ticks), before + 1);
        EXPECT_INT(rows_of(sink.watched), 0);
        EXPECT(atomic_load(&writer.is_done) == !is_behind);
        engine_hold(sink.engine, &holds, false);
        take_all(&sink);
        engine_checkpoint_end(sink.engine, true);
        while (!atomic_load(&writer.is_done))
            sched_yield();
        end_kept(&sink);
    }
}

struct moment {
    struct sink *sink;
    int64_t clock_us;
};

static void come(void *ctx)
{
    const struct moment *moment = ctx;
    clock_set(moment->clock_us);
    atomic_store(&moment->sink->room, UINT64_MAX);
    engine_checkpoint_wake(moment->sink->engine);
}

/* Something is due all the time: the checkpoint has its share of that as of ticks with transactions. */
TEST(a_checkpoint_is_heard_beside_the_clock)
{
    clock_set(1000 * SECOND);
    struct saved saved;
    struct sink sink = {.saved = &saved, .saved_count = 1};
    sink.engine = engine_create(&(struct engine_options){.shards = 1});
    create(sink.engine, &saved, 16384, RELATION_TABLE, 1);
    write_rows(sink.engine, saved.relation, 0, ROWS, 0, -1, 0);
    sink.watched = create_kept(sink.engine, MANY);
    start_checkpoint(&sink);
    struct moment moment = {&sink, 1100 * SECOND};
    engine_at_boundary(sink.engine, come, &moment);
    while (!atomic_load(&sink.is_complete))
        sched_yield();
    EXPECT(atomic_load(&sink.rows_left) > 0);
    engine_checkpoint_end(sink.engine, true);
    engine_run_due(sink.engine);
    EXPECT_INT(rows_of(sink.watched), 0);
    end_kept(&sink);
}

int main(void)
{
    RUN(columns_come_to_tables_with_a_key);
    RUN(columns_come_to_tables_without);
    RUN(columns_come_to_streams);
    RUN(writers_wait_beside_a_checkpoint);
    RUN(the_clock_is_heard_beside_a_checkpoint);
    RUN(a_checkpoint_is_heard_beside_the_clock);
    return test_result();
}
