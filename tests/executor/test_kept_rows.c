/* test_kept_rows.c: a table that keeps its newest rows only has exactly those of a model after every tick: whatever comes, goes and is asked for. */
#include "executor/engine.h"
#include "storage/base/clock.h"
#include "tests/test.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 60000
#define COLUMNS  4

static const struct sql_type types[COLUMNS] = {
    {OID_TEXT, -1}, {OID_INT4, -1}, {OID_TIMESTAMPTZ, -1}, {OID_INT8, -1}};
static const char *const names[COLUMNS] = {"v", "a", "t", "b"};
static const uint32_t key[2] = {3, 1}; /* b, a */

struct row {
    int64_t t, b;
    int32_t a;
};

struct world {
    struct engine *engine;
    struct relation *relation;
    struct row *rows; /* of the model */
    uint32_t count;
    uint64_t limit;
    int64_t age_us, clock_us;
    uint64_t seed;
};

static uint32_t pick(struct world *w, uint32_t below)
{
    w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((w->seed >> 33) % below);
}

static void start(struct world *w, uint32_t shards)
{
    struct error err;
    *w = (struct world){.seed = shards, .clock_us = 1000000};
    w->rows = mem_alloc(sizeof(*w->rows) * ROWS_MAX);
    clock_set(w->clock_us);
    w->engine = engine_create(&(struct engine_options){.shards = shards});
    struct relation_desc desc = {.oid = 16384,
                                 .kind = RELATION_TABLE,
                                 .schema = "public",
                                 .name = "kept",
                                 .columns_count = COLUMNS,
                                 .types = types,
                                 .column_names = names,
                                 .key_count = 2,
                                 .key_columns = key,
                                 .key_name = "kept_pkey"};
    EXPECT(engine_create_relation(w->engine, &desc, &w->relation, &err));
}

static void end(struct world *w)
{
    struct error err;
    EXPECT(engine_drop_relation(w->engine, w->relation, &err));
    engine_destroy(w->engine);
    mem_free(w->rows);
    clock_release();
}

static int compare(const void *left, const void *right)
{
    const struct row *x = left, *y = right;
    if (x->t != y->t)
        return x->t < y->t ? -1 : 1;
    if (x->b != y->b)
        return x->b < y->b ? -1 : 1;
    return x->a < y->a ? -1 : x->a > y->a;
}

/* What goes in the model. */
static void settle(struct world *w)
{
    uint32_t gone = 0;
    qsort(w->rows, w->count, sizeof(*w->rows), compare);
    while (gone < w->count && ((w->limit > 0 && w->count - gone > w->limit) ||
                               (w->age_us > 0 && w->rows[gone].t + w->age_us <= w->clock_us)))
        gone++;
    w->count -= gone;
    memmove(w->rows, w->rows + gone, sizeof(*w->rows) * w->count);
}

static uint32_t find(const struct world *w, int32_t a, int64_t b)
{
    uint32_t at = 0;
    while (at < w->count && (w->rows[at].a != a || w->rows[at].b != b))
        at++;
    return at;
}

static void append(struct batch *rows, const struct row *row, int64_t weight)
{
    struct datum values[COLUMNS] = {datum_text(rows->arena, "a text that is too long to lie in the row", 41),
                                    datum_i32(row->a), datum_i64(row->t), datum_i64(row->b)};
    batch_append_datums(rows, values, weight);
}

static void commit(struct world *w, struct batch *rows)
{
    struct txn_change change = {.relation = w->relation, .rows = rows, .replaces = true};
    struct engine_txn txn = {.changes_count = 1, .changes = &change};
    uint64_t epoch;
    struct error err;
    EXPECT(engine_commit(w->engine, &txn, NULL, &epoch, &err));
}

/* Rows come, replace others of their key, and go, in one transaction. */
static void change_rows(struct world *w, uint32_t changes)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct batch *rows = batch_create(&arena, types, COLUMNS, changes);
    uint8_t *used = ARENA_ARRAY(&arena, uint8_t, 40 * 10);
    for (uint32_t i = 0; i < changes; i++) {
        struct row row = {
            .t = w->clock_us - (int64_t)pick(w, 3), .b = pick(w, 40), .a = (int32_t)pick(w, 10)};
        uint32_t at = find(w, row.a, row.b);
        bool comes = pick(w, 4) > 0;
        if (used[row.b * 10 + row.a]++)
            continue;
        append(rows, &row, comes ? 1 : -1);
        if (at < w->count)
            w->rows[at] = w->rows[--w->count];
        if (comes)
            w->rows[w->count++] = row;
    }
    if (rows->rows > 0)
        commit(w, rows);
    settle(w);
    arena_release(&arena);
}

static uint32_t read_all(struct world *w, struct row *out)
{
    struct relation_scan scan;
    uint32_t count = 0;
    struct snapshots *snapshots = engine_snapshots(w->engine);
    uint64_t snapshot = snapshot_open(snapshots, 0);
    relation_scan_start(&scan, w->relation, snapshot, NULL);
    for (const struct batch *rows; (rows = relation_scan_next(&scan)) != NULL;)
        for (uint32_t i = 0; i < rows->rows; i++)
            out[count++] = (struct row){.t = ((const int64_t *)rows->columns[2].data)[i],
                                        .b = ((const int64_t *)rows->columns[3].data)[i],
                                        .a = ((const int32_t *)rows->columns[1].data)[i]};
    relation_scan_end(&scan);
    snapshot_close(snapshots, snapshot);
    qsort(out, count, sizeof(*out), compare);
    return count;
}

static void check(struct world *w)
{
    struct row *found = mem_alloc(sizeof(*found) * ROWS_MAX);
    EXPECT_INT(read_all(w, found), w->count);
    for (uint32_t i = 0; i < w->count; i++)
        EXPECT(compare(&found[i], &w->rows[i]) == 0);
    mem_free(found);
}

static void keep(struct world *w, uint64_t limit, int64_t age_us)
{
    w->limit = limit;
    w->age_us = age_us;
    engine_keep_newest(w->engine, w->relation, 2, limit, age_us);
    settle(w);
}

static void follow_model(uint32_t shards)
{
    static const uint64_t limits[] = {0, 1, 5, 20, 60};
    static const int64_t ages[] = {0, 1, 7, 40};
    struct world w;
    start(&w, shards);
    for (uint32_t round = 0; round < 3000; round++) {
        uint32_t what = pick(&w, 20);
        if (what < 13) {
            change_rows(&w, 1 + pick(&w, what == 0 ? 60 : 6));
        } else if (what < 19) {
            w.clock_us += pick(&w, 5);
            clock_set(w.clock_us);
            engine_run_due(w.engine);
            settle(&w);
        } else {
            keep(&w, limits[pick(&w, 5)], ages[pick(&w, 4)]);
        }
        check(&w);
    }
    end(&w);
}

TEST(as_the_model)
{
    follow_model(1);
    follow_model(3);
}

/* More go than a tick takes. */
TEST(many)
{
    struct world w;
    struct row *found = mem_alloc(sizeof(*found) * ROWS_MAX);
    start(&w, 3);
    for (int32_t a = 0; a < 5; a++) {
        struct arena arena;
        arena_init(&arena, NULL);
        struct batch *rows = batch_create(&arena, types, COLUMNS, 10000);
        for (int64_t b = 0; b < 10000; b++) {
            w.rows[w.count] = (struct row){.t = b % 100, .b = b, .a = a};
            append(rows, &w.rows[w.count++], 1);
        }
        commit(&w, rows);
        arena_release(&arena);
    }
    settle(&w);
    check(&w);
    keep(&w, 17, 0);
    for (uint32_t tries = 0; tries < 10 && read_all(&w, found) > 17; tries++)
        engine_run_due(w.engine);
    check(&w);
    end(&w);
    mem_free(found);
}

/* Rows with another text and all else as it was, by a change that says both. */
TEST(updated)
{
    struct world w;
    struct arena arena;
    struct datum values[COLUMNS] = {[1] = datum_i32(0), [2] = datum_i64(5)};
    start(&w, 3);
    keep(&w, 1000, 0);
    arena_init(&arena, NULL);
    struct batch *first = batch_create(&arena, types, COLUMNS, 500);
    struct batch *update = batch_create(&arena, types, COLUMNS, 1000);
    for (int64_t b = 0; b < 500; b++) {
        w.rows[w.count] = (struct row){.t = 5, .b = b};
        append(first, &w.rows[w.count], 1);
        values[0] = datum_text(&arena, "another text", 12);
        values[3] = datum_i64(b);
        batch_append_datums(update, values, 1);
        append(update, &w.rows[w.count++], -1);
    }
    commit(&w, first);
    struct txn_change change = {.relation = w.relation, .rows = update};
    struct engine_txn txn = {.changes_count = 1, .changes = &change};
    uint64_t epoch;
    struct error err;
    EXPECT(engine_commit(w.engine, &txn, NULL, &epoch, &err));
    check(&w);
    keep(&w, 3, 0);
    check(&w);
    arena_release(&arena);
    end(&w);
}

static void *add_rows(void *ctx)
{
    struct world *w = ctx;
    struct arena arena;
    arena_init(&arena, NULL);
    for (uint32_t i = 0; i < 400; i++) {
        struct row row = {.t = 1000 + i / 2, .b = i, .a = 7};
        struct batch *rows = batch_create(&arena, types, COLUMNS, 2);
        append(rows, &row, 1);
        row = (struct row){.b = i * 20, .a = (int32_t)i % 5}; /* of those that were there */
        append(rows, &row, -1);
        commit(w, rows);
        arena_reset(&arena);
    }
    arena_release(&arena);
    return NULL;
}

/* Rows come and go while those that are there are read for the first time. */
TEST(meanwhile)
{
    struct world w;
    pthread_t thread;
    struct row *found = mem_alloc(sizeof(*found) * ROWS_MAX);
    start(&w, 3);
    for (int32_t a = 0; a < 5; a++) {
        struct arena arena;
        arena_init(&arena, NULL);
        struct batch *rows = batch_create(&arena, types, COLUMNS, 8000);
        for (int64_t b = 0; b < 8000; b++) {
            struct row row = {.t = b / 1000, .b = b, .a = a};
            append(rows, &row, 1);
            if (b % 20 != 0 || b / 20 % 5 != a)
                w.rows[w.count++] = row;
        }
        commit(&w, rows);
        arena_release(&arena);
    }
    for (uint32_t i = 0; i < 400; i++)
        w.rows[w.count++] = (struct row){.t = 1000 + i / 2, .b = i, .a = 7};
    EXPECT(pthread_create(&thread, NULL, add_rows, &w) == 0);
    engine_keep_newest(w.engine, w.relation, 2, 35000, 0);
    pthread_join(thread, NULL);
    /* what was deleted after others had gone leaves fewer; those that are left are the newest in any case */
    uint32_t count = read_all(&w, found);
    EXPECT(count <= 35000 && count >= 34500);
    qsort(w.rows, w.count, sizeof(*w.rows), compare);
    for (uint32_t i = 0; i < count; i++)
        EXPECT(compare(&found[i], &w.rows[w.count - count + i]) == 0);
    keep(&w, 300, 0);
    for (uint32_t tries = 0; tries < 10 && read_all(&w, found) > 300; tries++)
        engine_run_due(w.engine);
    check(&w);
    end(&w);
    mem_free(found);
}

int main(void)
{
    RUN(as_the_model);
    RUN(many);
    RUN(updated);
    RUN(meanwhile);
    return test_result();
}
