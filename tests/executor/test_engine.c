/* test_engine.c: the engine without a server: transactions of one tick, their checks, views, change streams. */
#include "executor/aggregate.h"
#include "executor/engine.h"
#include "executor/plan.h"
#include "storage/base/clock.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>

#define TXNS_MAX 16

static const struct sql_type int4x3[3] = {{OID_INT4, -1}, {OID_INT4, -1}, {OID_INT4, -1}};
static const char *const names[3] = {"k", "g", "v"};

struct world {
    struct engine *engine;
    struct arena arena;
    struct relation *t, *u; /* (k int4 primary key, g int4, v int4 unique), (k, g, v) without key */
};

static void world_start_limited(struct world *w, uint32_t shards, uint32_t tick_rows_max,
                                int64_t backfill_bytes)
{
    static const uint32_t key[1] = {0}, value[1] = {2};
    static const struct unique_desc unique = {"t_v_key", 1, value};
    struct error err;
    arena_init(&w->arena, NULL);
    w->engine = engine_create(&(struct engine_options){
        .shards = shards, .tick_rows_max = tick_rows_max, .backfill_bytes = backfill_bytes});
    struct relation_desc desc = {.oid = 16384,
                                 .kind = RELATION_TABLE,
                                 .schema = "public",
                                 .name = "t",
                                 .columns_count = 3,
                                 .types = int4x3,
                                 .column_names = names,
                                 .key_count = 1,
                                 .key_columns = key,
                                 .key_name = "t_pkey",
                                 .unique_count = 1,
                                 .uniques = &unique};
    EXPECT(engine_create_relation(w->engine, &desc, &w->t, &err));
    desc = (struct relation_desc){.oid = 16390,
                                  .kind = RELATION_TABLE,
                                  .schema = "public",
                                  .name = "u",
                                  .columns_count = 3,
                                  .types = int4x3,
                                  .column_names = names};
    EXPECT(engine_create_relation(w->engine, &desc, &w->u, &err));
}

static void world_start(struct world *w, uint32_t shards, uint32_t tick_rows_max)
{
    world_start_limited(w, shards, tick_rows_max, 0);
}

static void world_end(struct world *w)
{
    struct error err;
    EXPECT(engine_drop_relation(w->engine, w->t, &err));
    EXPECT(engine_drop_relation(w->engine, w->u, &err));
    engine_destroy(w->engine);
    arena_release(&w->arena);
}

/* ---- transactions ---- */

struct outcome {
    struct world *world;
    struct engine_txn txn;
    struct txn_change changes[8];
    struct txn_read read;
    uint64_t epoch;
    struct error error;
    bool done;
};

struct outcomes {
    struct world *world;
    struct outcome list[TXNS_MAX];
    uint32_t count;
};

static struct outcome *add_txn(struct outcomes *all)
{
    struct outcome *outcome = &all->list[all->count++];
    *outcome = (struct outcome){.world = all->world};
    outcome->txn.changes = outcome->changes;
    outcome->txn.reads = &outcome->read;
    error_init(&outcome->error);
    return outcome;
}

static void change(struct outcome *outcome, struct relation *relation, int weight, int k, int g, int v)
{
    struct batch *rows = batch_create(&outcome->world->arena, int4x3, 3, 1);
    struct datum values[3] = {datum_i32(k), datum_i32(g), datum_i32(v)};
    batch_append_datums(rows, values, weight);
    outcome->changes[outcome->txn.changes_count++] = (struct txn_change){relation, rows, NULL};
}

static void finished(void *ctx, uint64_t epoch, const struct error *err)
{
    struct outcome *outcome = ctx;
    EXPECT(!outcome->done);
    outcome->done = true;
    outcome->epoch = epoch;
    if (err != NULL)
        outcome->error = *err;
}

static void stage_all(void *ctx)
{
    struct outcomes *all = ctx;
    for (uint32_t i = 0; i < all->count; i++)
        engine_commit_async(all->world->engine, &all->list[i].txn, finished, &all->list[i]);
}

static void nothing(void *ctx) {}

/* Stages everything while the engine stands between two ticks, so that it falls into one. */
static void run_all(struct outcomes *all)
{
    engine_at_boundary(all->world->engine, stage_all, all);
    struct engine_txn empty = {0};
    struct error err;
    uint64_t epoch;
    EXPECT(engine_commit(all->world->engine, &empty, NULL, &epoch, &err)); /* comes after them */
    engine_at_boundary(all->world->engine, nothing, NULL);
    for (uint32_t i = 0; i < all->count; i++)
        EXPECT(all->list[i].done);
}

static void expect_code(const struct outcome *outcome, enum error_code code)
{
    EXPECT_INT(outcome->error.code, code);
    EXPECT((outcome->epoch == 0) == (code != ERRCODE_NONE));
}

static void commit_row(struct world *w, struct relation *relation, int weight, int k, int g, int v)
{
    struct outcomes all = {.world = w};
    change(add_txn(&all), relation, weight, k, g, v);
    uint64_t epoch;
    struct error err;
    EXPECT(engine_commit(w->engine, &all.list[0].txn, NULL, &epoch, &err));
}

/* ---- looking ---- */

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Rows as lines "k g v", sorted, with "xN" when there are several. */
static const char *text_of(struct world *w, struct relation *relation, uint64_t snapshot)
{
    const struct sql_type *types;
    uint32_t columns = relation_columns(relation, &types);
    struct relation_scan scan;
    const struct batch *rows;
    char **lines = NULL;
    uint32_t count = 0, cap = 0;
    relation_scan_start(&scan, relation, snapshot, NULL);
    while ((rows = relation_scan_next(&scan)) != NULL) {
        for (uint32_t row = 0; row < rows->rows; row++) {
            struct strbuf line = STRBUF_INIT;
            for (uint32_t c = 0; c < columns; c++) {
                struct datum value = column_get(&rows->columns[c], row);
                strbuf_addf(&line, "%s%lld", c > 0 ? " " : "",
                            types[c].oid == OID_INT8 ? (long long)value.i64 : (long long)value.i32);
            }
            if (batch_weight(rows, row) != 1)
                strbuf_addf(&line, " x%lld", (long long)batch_weight(rows, row));
            char *copy = arena_strdup(&w->arena, strbuf_text(&line));
            strbuf_release(&line);
            ARENA_PUSH(&w->arena, lines, count, cap, copy);
        }
    }
    relation_scan_end(&scan);
    if (count > 0)
        qsort(lines, count, sizeof(*lines), compare_lines);
    struct strbuf text = STRBUF_INIT;
    for (uint32_t i = 0; i < count; i++)
        strbuf_addf(&text, "%s\n", lines[i]);
    const char *result = arena_strdup(&w->arena, strbuf_text(&text));
    strbuf_release(&text);
    return result;
}

static const char *contents(struct world *w, struct relation *relation)
{
    uint64_t snapshot = snapshot_open(engine_snapshots(w->engine), 0);
    const char *text = text_of(w, relation, snapshot);
    snapshot_close(engine_snapshots(w->engine), snapshot);
    return text;
}

/* ---- a view: SELECT g, count(*) FROM relation GROUP BY g ---- */

static struct plan *count_plan(struct relation *relation, struct arena *arena)
{
    struct plan *scan = plan_new(arena, PLAN_SCAN, 1, 0);
    scan->types[0] = int4x3[1];
    scan->scan.relation_oid = relation_oid(relation);
    scan->scan.relation = relation;
    scan->scan.name = relation_name(relation);
    scan->scan.columns = ARENA_ARRAY(arena, uint32_t, 1);
    scan->scan.columns[0] = 1;
    struct plan *plan = plan_new(arena, PLAN_AGGREGATE, 2, 1);
    plan->children[0] = scan;
    plan->types[0] = int4x3[1];
    plan->types[1] = (struct sql_type){OID_INT8, -1};
    plan->aggregate.groups_count = 1;
    plan->aggregate.groups = ARENA_ARRAY(arena, uint32_t, 1);
    plan->aggregate.calls_count = 1;
    plan->aggregate.calls = ARENA_ARRAY(arena, struct plan_aggregate_call, 1);
    const struct aggregate_row *const *found;
    size_t found_count = aggregate_find("count", &found);
    for (size_t i = 0; i < found_count; i++) {
        if (found[i]->args[0] == '\0' || found[i]->args[0] == '*')
            plan->aggregate.calls[0].aggregate = found[i];
    }
    EXPECT(plan->aggregate.calls[0].aggregate != NULL);
    plan->aggregate.calls[0].type = plan->types[1];
    plan->aggregate.calls[0].filter = -1;
    plan_finish(plan, arena);
    return plan;
}

static struct relation *count_view(struct world *w, struct relation *over)
{
    static const char *const columns[2] = {"g", "count"};
    struct arena *arena = mem_alloc(sizeof(*arena));
    arena_init(arena, NULL);
    struct plan *plan = count_plan(over, arena);
    struct eval_env env = {.io = io_env_default};
    struct relation_desc desc = {.oid = 16400 + relation_oid(over) % 16,
                                 .kind = RELATION_VIEW,
                                 .schema = "public",
                                 .name = "counted",
                                 .columns_count = 2,
                                 .types = plan->types,
                                 .column_names = columns,
                                 .key_count = plan->keys_count,
                                 .key_columns = plan->keys,
                                 .key_name = "counted"};
    EXPECT(plan->has_key && plan->keys_count == 1);
    struct relation *view = NULL;
    struct error err;
    EXPECT(engine_create_view(w->engine, &desc, plan, arena, &env, NULL, NULL, &view, &err));
    return view;
}

/* ---- cases ---- */

static void check_one_tick(uint32_t shards)
{
    struct world w;
    world_start(&w, shards, 0);
    struct outcomes all = {.world = &w};
    struct outcome *a = add_txn(&all), *b = add_txn(&all), *c = add_txn(&all), *d = add_txn(&all),
                   *e = add_txn(&all), *f = add_txn(&all), *g = add_txn(&all);
    change(a, w.t, 1, 1, 10, 100);
    change(a, w.t, 1, 2, 20, 200);
    change(b, w.u, 1, 7, 7, 7); /* goes back with the rest of b */
    change(b, w.t, 1, 8, 80, 800);
    change(b, w.t, 1, 2, 21, 201); /* a has taken 2 */
    change(c, w.t, 1, 3, 30, 800); /* 800 is free again */
    change(d, w.t, -1, 1, 10, 100);
    change(e, w.t, -1, 1, 10, 100); /* d has taken it away */
    change(f, w.t, 1, 4, 40, 200);  /* UNIQUE */
    change(g, w.t, -1, 2, 20, 200); /* an update: what goes makes room for what comes */
    change(g, w.t, 1, 2, 22, 200);
    change(g, w.u, 2, 5, 5, 5);
    struct engine_stats before, after;
    engine_stats(w.engine, &before);
    run_all(&all);
    engine_stats(w.engine, &after);
    expect_code(a, ERRCODE_NONE);
    expect_code(b, ERRCODE_UNIQUE_VIOLATION);
    EXPECT_TEXT(b->error.constraint_name, "t_pkey");
    EXPECT_TEXT(b->error.detail, "Key (k)=(2) already exists.");
    expect_code(c, ERRCODE_NONE);
    expect_code(d, ERRCODE_NONE);
    expect_code(e, ERRCODE_SERIALIZATION_FAILURE);
    expect_code(f, ERRCODE_UNIQUE_VIOLATION);
    EXPECT_TEXT(f->error.constraint_name, "t_v_key");
    EXPECT_TEXT(f->error.detail, "Key (v)=(200) already exists.");
    expect_code(g, ERRCODE_NONE);
    EXPECT(a->epoch == c->epoch && c->epoch == d->epoch && d->epoch == g->epoch);
    EXPECT(after.ticks - before.ticks <= 2); /* theirs, and that of the empty transaction behind them */
    EXPECT_TEXT(contents(&w, w.t), "2 22 200\n3 30 800\n");
    EXPECT_TEXT(contents(&w, w.u), "5 5 5 x2\n");
    world_end(&w);
}

TEST(transactions_of_one_tick)
{
    check_one_tick(1);
    check_one_tick(3);
}

/* A tick of rejected transactions only leaves no trace. */
TEST(rejected_alone)
{
    struct world w;
    world_start(&w, 2, 1);
    commit_row(&w, w.t, 1, 1, 1, 1);
    uint64_t before = snapshots_visible(engine_snapshots(w.engine));
    struct outcomes all = {.world = &w};
    change(add_txn(&all), w.t, 1, 1, 2, 2);
    struct error err;
    uint64_t epoch;
    EXPECT(!engine_commit(w.engine, &all.list[0].txn, NULL, &epoch, &err));
    EXPECT_INT(err.code, ERRCODE_UNIQUE_VIOLATION);
    EXPECT_INT(snapshots_visible(engine_snapshots(w.engine)), before);
    commit_row(&w, w.t, 1, 2, 2, 2);
    EXPECT_TEXT(contents(&w, w.t), "1 1 1\n2 2 2\n");
    world_end(&w);
}

TEST(reads_are_checked)
{
    struct world w;
    world_start(&w, 2, 0);
    commit_row(&w, w.t, 1, 1, 1, 1);
    struct relation *view = count_view(&w, w.t);
    uint64_t snapshot = snapshot_open(engine_snapshots(w.engine), 0);
    struct outcomes all = {.world = &w};
    struct outcome *reads_before = add_txn(&all), *writes = add_txn(&all), *reads_table = add_txn(&all),
                   *reads_view = add_txn(&all), *reads_other = add_txn(&all);
    for (struct outcome *it = reads_before; it <= reads_other; it++) {
        it->txn.snapshot = snapshot;
        it->txn.reads_count = it != writes;
        if (it != writes)
            change(it, w.u, 1, (int)(it - reads_before), 0, 0);
    }
    reads_before->read.relation = view;
    change(writes, w.t, 1, 2, 1, 2);
    reads_table->read.relation = w.t;
    reads_view->read.relation = view; /* changes at the end of this tick only */
    reads_other->read.relation = w.t;
    reads_other->txn.reads_count = 0;
    run_all(&all);
    expect_code(reads_before, ERRCODE_NONE);
    expect_code(writes, ERRCODE_NONE);
    expect_code(reads_table, ERRCODE_SERIALIZATION_FAILURE);
    expect_code(reads_view, ERRCODE_SERIALIZATION_FAILURE);
    expect_code(reads_other, ERRCODE_NONE);
    EXPECT_TEXT(contents(&w, w.u), "0 0 0\n4 0 0\n");
    EXPECT_TEXT(contents(&w, view), "1 2\n");
    EXPECT_TEXT(text_of(&w, view, snapshot), "1 1\n"); /* as it was */
    EXPECT_TEXT(text_of(&w, w.t, snapshot), "1 1 1\n");
    snapshot_close(engine_snapshots(w.engine), snapshot);
    struct error err;
    EXPECT(!engine_drop_relation(w.engine, w.t, &err));
    EXPECT_INT(err.code, ERRCODE_OBJECT_IN_USE);
    EXPECT(engine_drop_relation(w.engine, view, &err));
    world_end(&w);
}

/* Many rows over several shards, before and after the view is there, with groups that come and go. */
TEST(views_over_shards)
{
    struct world w;
    world_start(&w, 4, 0);
    struct relation *view = NULL;
    int counts[7] = {0};
    for (int round = 0; round < 6; round++) {
        struct batch *rows = batch_create(&w.arena, int4x3, 3, 600);
        for (int i = 0; i < 600; i++) {
            int k = round * 600 + i, g = k % 7;
            struct datum values[3] = {datum_i32(k), datum_i32(g), datum_i32(k)};
            batch_append_datums(rows, values, 1);
            counts[g]++;
            if (round == 0 || i % 2 == 0)
                continue;
            int old = k - 600; /* odd rows of the round before go */
            struct datum gone[3] = {datum_i32(old), datum_i32(old % 7), datum_i32(old)};
            batch_append_datums(rows, gone, -1);
            counts[old % 7]--;
        }
        struct txn_change one = {w.t, rows, NULL};
        struct engine_txn txn = {.changes_count = 1, .changes = &one};
        uint64_t epoch;
        struct error err;
        EXPECT(engine_commit(w.engine, &txn, NULL, &epoch, &err));
        if (round == 1)
            view = count_view(&w, w.t);
        if (view == NULL)
            continue;
        struct strbuf expected = STRBUF_INIT;
        for (int g = 0; g < 7; g++)
            strbuf_addf(&expected, "%d %d\n", g, counts[g]);
        EXPECT_TEXT(contents(&w, view), strbuf_text(&expected));
        strbuf_release(&expected);
    }
    struct error err;
    EXPECT(engine_drop_relation(w.engine, view, &err));
    world_end(&w);
}

/* ---- change streams ---- */

TEST(streams_in_order)
{
    struct world w;
    world_start(&w, 2, 1);
    commit_row(&w, w.t, 1, 1, 1, 1);
    struct relation *view = count_view(&w, w.t);
    struct subscription *stream;
    uint64_t start, epoch, last;
    struct error err;
    EXPECT(engine_subscribe(w.engine, view, relation_columns(view, NULL), &stream, &start, &err));
    EXPECT_TEXT(text_of(&w, view, start), "1 1\n");
    snapshot_close(engine_snapshots(w.engine), start);
    for (int i = 2; i <= 20; i++)
        commit_row(&w, w.t, 1, i, 1, i);
    commit_row(&w, w.u, 1, 0, 0, 0); /* nothing of it reaches the stream */
    last = start;
    for (int i = 2; i <= 20; i++) {
        const struct batch *rows;
        EXPECT(subscription_next(stream, clock_monotonic_ns() + 10000000000, NULL, &epoch, &rows, &err));
        EXPECT(rows != NULL && epoch > last);
        last = epoch;
        if (rows == NULL)
            break;
        EXPECT_INT(rows->rows, 2); /* what goes before what comes */
        EXPECT(batch_weight(rows, 0) == -1 && batch_weight(rows, 1) == 1);
        EXPECT_INT(column_get(&rows->columns[1], 0).i64, i - 1);
        EXPECT_INT(column_get(&rows->columns[1], 1).i64, i);
    }
    const struct batch *rows;
    EXPECT(subscription_next(stream, clock_monotonic_ns(), NULL, &epoch, &rows, &err));
    EXPECT(rows == NULL && epoch > last);
    _Atomic bool cancel = true;
    EXPECT(!subscription_next(stream, 0, &cancel, &epoch, &rows, &err));
    EXPECT_INT(err.code, ERRCODE_QUERY_CANCELED);
    /* what came before the drop is still given */
    commit_row(&w, w.t, -1, 20, 1, 20);
    EXPECT(engine_drop_relation(w.engine, view, &err));
    EXPECT(subscription_next(stream, 0, NULL, &epoch, &rows, &err) && rows != NULL && rows->rows == 2);
    EXPECT(!subscription_next(stream, 0, NULL, &epoch, &rows, &err));
    EXPECT_INT(err.code, ERRCODE_UNDEFINED_TABLE);
    subscription_end(stream);
    world_end(&w);
}

TEST(dropped_relations)
{
    struct world w;
    world_start(&w, 1, 0);
    struct error err;
    uint64_t epoch;
    struct subscription *stream;
    relation_retain(w.u);
    EXPECT(engine_drop_relation(w.engine, w.u, &err));
    struct outcomes all = {.world = &w};
    struct outcome *outcome = add_txn(&all);
    change(outcome, w.t, 1, 1, 1, 1);
    change(outcome, w.u, 1, 1, 1, 1);
    EXPECT(!engine_commit(w.engine, &outcome->txn, NULL, &epoch, &err));
    EXPECT_INT(err.code, ERRCODE_UNDEFINED_TABLE);
    EXPECT(!engine_subscribe(w.engine, w.u, relation_columns(w.u, NULL), &stream, &epoch, &err));
    EXPECT_INT(err.code, ERRCODE_UNDEFINED_TABLE);
    EXPECT_TEXT(contents(&w, w.t), "");
    relation_release(w.u);
    EXPECT(engine_drop_relation(w.engine, w.t, &err));
    engine_destroy(w.engine);
    arena_release(&w.arena);
}

/* A lookup goes on when its index is dropped, and when its number stands for another one. */
TEST(lookups_without_index)
{
    struct world w;
    world_start(&w, 2, 0);
    for (int i = 0; i < 10; i++)
        commit_row(&w, w.t, 1, i, i % 3, i);
    static const uint32_t by_g[1] = {1}, by_v[1] = {2};
    uint32_t index;
    struct error err;
    struct batch *keys = batch_create(&w.arena, int4x3, 1, 1);
    struct datum two = datum_i32(2);
    batch_append_datums(keys, &two, 1);
    EXPECT(engine_create_index(w.engine, w.t, by_g, 1, false, "t_g", NULL, NULL, &index, &err));
    for (int state = 0; state < 3; state++) {
        uint64_t snapshot = snapshot_open(engine_snapshots(w.engine), 0);
        struct batch *found = batch_create(&w.arena, int4x3, 3, 4);
        relation_lookup(w.t, (int32_t)index, by_g, snapshot, keys, found);
        EXPECT_INT(found->rows, 3);
        for (uint32_t row = 0; row < found->rows; row++)
            EXPECT_INT(column_get(&found->columns[1], row).i32, 2);
        snapshot_close(engine_snapshots(w.engine), snapshot);
        uint32_t again;
        if (state == 0)
            EXPECT(engine_drop_index(w.engine, w.t, index, &err));
        if (state == 1)
            EXPECT(engine_create_index(w.engine, w.t, by_v, 1, false, "t_v", NULL, NULL, &again, &err) &&
                   again == index);
    }
    world_end(&w);
}

/* ---- indexes ---- */

enum { MANY_ROWS = 200000 };

static void commit_many(struct world *w, int first, int count)
{
    struct batch *rows = batch_create(&w->arena, int4x3, 3, (uint32_t)count);
    for (int k = first; k < first + count; k++) {
        struct datum values[3] = {datum_i32(k), datum_i32((int32_t)((uint32_t)k * 7919u % 100003u)),
                                  datum_i32(k)};
        batch_append_datums(rows, values, 1);
    }
    struct txn_change change = {.relation = w->t, .rows = rows};
    struct engine_txn txn = {.changes_count = 1, .changes = &change};
    uint64_t epoch;
    struct error err;
    EXPECT(engine_commit(w->engine, &txn, NULL, &epoch, &err));
}

struct making {
    struct world *world;
    struct backfill_progress progress;
    bool is_unique;
    uint32_t column, index;
    pthread_t thread;
    _Atomic bool ended, ok;
    bool is_caught; /* the engine stood still while rows were left to be read */
    struct error error;
};

static void *make_index(void *argument)
{
    struct making *making = argument;
    making->ok =
        engine_create_index(making->world->engine, making->world->t, &making->column, 1, making->is_unique,
                            "made", NULL, &making->progress, &making->index, &making->error);
    making->ended = true;
    return NULL;
}

static void start_making(struct making *making)
{
    error_init(&making->error);
    EXPECT_INT(pthread_create(&making->thread, NULL, make_index, making), 0);
    while (making->progress.phase == BACKFILL_STARTING || making->progress.rows_done == 0)
        sched_yield();
}

/* As long as the engine's thread is here it does nothing else. */
static void until_all_rows(void *ctx)
{
    struct making *making = ctx;
    making->is_caught = making->progress.rows_done < making->progress.rows_total;
    while (making->progress.rows_done < making->progress.rows_total)
        sched_yield();
    EXPECT(!making->is_caught || !making->ended); /* its last step has a place between two ticks */
}

/* Rows whose g is that of row k, in the index. */
static uint32_t indexed(struct world *w, uint32_t index, uint32_t column, int value)
{
    struct batch *keys = batch_create(&w->arena, int4x3, 1, 1);
    struct datum datum = datum_i32(value);
    batch_append_datums(keys, &datum, 1);
    uint64_t snapshot = snapshot_open(engine_snapshots(w->engine), 0);
    struct batch *found = batch_create(&w->arena, int4x3, 3, 4);
    relation_lookup(w->t, (int32_t)index, &column, snapshot, keys, found);
    snapshot_close(engine_snapshots(w->engine), snapshot);
    return found->rows;
}

/* None of the rows that are there costs the engine's thread anything. Where an index was too quick for the test to stop the
 * engine it is made again. */
TEST(indexes_are_filled_beside_the_engine)
{
    for (int is_unique = 0; is_unique < 2; is_unique++) {
        struct world w;
        world_start(&w, 2, 0);
        for (int first = 0; first < MANY_ROWS; first += MANY_ROWS / 10)
            commit_many(&w, first, MANY_ROWS / 10);
        struct making making = {0};
        while (!making.is_caught) {
            struct error err;
            if (making.ok)
                EXPECT(engine_drop_index(w.engine, w.t, making.index, &err));
            making = (struct making){.world = &w, .is_unique = is_unique, .column = is_unique ? 0 : 1};
            start_making(&making);
            engine_at_boundary(w.engine, until_all_rows, &making);
            pthread_join(making.thread, NULL);
            EXPECT(making.ok);
        }
        EXPECT_INT(indexed(&w, making.index, making.column, is_unique ? 17 : 17 * 7919 % 100003),
                   is_unique ? 1 : 2);
        world_end(&w);
    }
}

/* Changes come faster than the index takes them: writers wait for it, it comes to its end and has all of them. */
TEST(indexes_that_are_behind)
{
    for (int is_unique = 0; is_unique < 2; is_unique++) {
        struct world w;
        world_start_limited(&w, 2, 0, 1000);
        commit_many(&w, 0, MANY_ROWS / 4);
        struct making making = {.world = &w, .is_unique = is_unique, .column = 0};
        start_making(&making);
        int next = MANY_ROWS;
        for (; !making.ended; next += 50)
            commit_many(&w, next, 50);
        pthread_join(making.thread, NULL);
        EXPECT(making.ok);
        for (int k = MANY_ROWS; k < next; k++)
            EXPECT_INT(indexed(&w, making.index, 0, k), 1);
        /* of a unique one: a value that came meanwhile is known */
        struct outcomes all = {.world = &w};
        struct outcome *outcome = add_txn(&all);
        change(outcome, w.t, 1, next, 1, next);
        uint64_t epoch;
        struct error err;
        EXPECT(engine_commit(w.engine, &outcome->txn, NULL, &epoch, &err));
        EXPECT(engine_drop_index(w.engine, w.t, making.index, &err));
        world_end(&w);
    }
}

/* A value that comes a second time while the index is made. */
TEST(unique_indexes_and_changes)
{
    struct world w;
    world_start(&w, 2, 0);
    commit_many(&w, 0, MANY_ROWS); /* twice each g */
    struct making making = {.world = &w, .is_unique = true, .column = 1};
    EXPECT(!engine_create_index(w.engine, w.t, &making.column, 1, true, "made", NULL, NULL, &making.index,
                                &making.error));
    EXPECT_INT(making.error.code, ERRCODE_UNIQUE_VIOLATION);
    for (int round = 0; round < 2; round++) {
        struct making again = {.world = &w, .is_unique = true, .column = 0};
        start_making(&again);
        commit_row(&w, w.t, 1, 1000000 + round, 0, -1 - round);
        commit_row(&w, w.t, -1, 1000000 + round, 0, -1 - round);
        commit_row(&w, w.t, 1, 1000000 + round, 1, -1 - round);
        pthread_join(again.thread, NULL);
        EXPECT(again.ok);
        EXPECT_INT(indexed(&w, again.index, 0, 1000000 + round), 1);
        struct error err;
        EXPECT(engine_drop_index(w.engine, w.t, again.index, &err));
    }
    world_end(&w);
}

/* ---- columns that are added ---- */

struct adding {
    struct world *world;
    const _Atomic bool *cancel;
    pthread_t thread;
    _Atomic bool ended;
    bool ok;
    struct error error;
};

static void *add_column(void *argument)
{
    static const char *const name[1] = {"added"};
    static const struct sql_type text = {OID_TEXT, -1};
    static const char value[] = "what rows from before have in it";
    struct adding *adding = argument;
    struct datum missing = {.var = varlen_view((const uint8_t *)value, sizeof(value) - 1)};
    struct column_job *job;
    error_init(&adding->error);
    adding->ok = engine_prepare_columns(adding->world->engine, adding->world->t, 1, &text, name, &missing,
                                        adding->cancel, &job, &adding->error);
    if (adding->ok)
        engine_add_columns(job);
    adding->ended = true;
    return NULL;
}

/* Many ticks pass while a column is added to a table with rows, and what they do to rows that were copied is in it. */
TEST(columns_are_added_beside_ticks)
{
    enum { WANTED = 10, TRIES = 20 };
    struct world w;
    world_start(&w, 2, 0);
    for (int first = 0; first < MANY_ROWS; first += MANY_ROWS / 10)
        commit_many(&w, first, MANY_ROWS / 10);
    int64_t sum = (int64_t)MANY_ROWS * (MANY_ROWS - 1) / 2;
    int beside = 0, columns = 3;
    for (int tries = 0; beside < WANTED; tries++) { /* once it was the machine's load */
        EXPECT(tries < TRIES);
        struct adding adding = {.world = &w};
        beside = 0;
        EXPECT_INT(pthread_create(&adding.thread, NULL, add_column, &adding), 0);
        for (int k = 0; !adding.ended; k++, beside++) {
            int at = (int)((uint32_t)k * 7919u % MANY_ROWS);
            commit_row(&w, w.t, 1, MANY_ROWS + k, at, -1 - k);
            if (k % 2 == 0) {
                commit_row(&w, w.t, -1, MANY_ROWS + k, at, -1 - k);
                continue;
            }
            sum += -1 - k;
        }
        pthread_join(adding.thread, NULL);
        EXPECT(adding.ok);
        columns++;
        EXPECT_INT(relation_columns(w.t, NULL), columns);
        struct relation_scan scan;
        uint64_t snapshot = snapshot_open(engine_snapshots(w.engine), 0);
        relation_scan_start(&scan, w.t, snapshot, NULL);
        const struct batch *rows;
        int64_t found = 0;
        uint32_t kept = 0;
        while ((rows = relation_scan_next(&scan)) != NULL) {
            EXPECT_INT(rows->columns_count, columns);
            for (uint32_t i = 0; i < rows->rows; i++) {
                struct datum value = column_get(&rows->columns[2], i),
                             text = column_get(&rows->columns[columns - 1], i);
                found += value.i32;
                kept += !text.is_null && text.var.len == 32;
            }
        }
        relation_scan_end(&scan);
        snapshot_close(engine_snapshots(w.engine), snapshot);
        struct relation_stats stats;
        relation_stats(w.t, &stats);
        EXPECT_INT(found, sum);
        EXPECT_INT(kept, stats.rows);
        if (beside < WANTED) { /* the same keys again */
            sum -= found - (int64_t)MANY_ROWS * (MANY_ROWS - 1) / 2;
            for (int k = 1; k < beside; k += 2)
                commit_row(&w, w.t, -1, MANY_ROWS + k, (int)((uint32_t)k * 7919u % MANY_ROWS), -1 - k);
        }
    }
    world_end(&w);
}

/* It leaves nothing, at once or in the middle. */
TEST(columns_that_are_given_up)
{
    struct world w;
    world_start(&w, 2, 0);
    commit_many(&w, 0, MANY_ROWS);
    struct relation_stats before, after;
    relation_stats(w.t, &before);
    for (int rows = 0; rows < 4; rows++) {
        _Atomic bool cancel = rows == 0;
        struct adding adding = {.world = &w, .cancel = &cancel};
        EXPECT_INT(pthread_create(&adding.thread, NULL, add_column, &adding), 0);
        for (int k = 0; k < rows; k++) {
            commit_row(&w, w.t, 1, MANY_ROWS, 0, -1);
            commit_row(&w, w.t, -1, MANY_ROWS, 0, -1);
        }
        cancel = true;
        pthread_join(adding.thread, NULL);
        if (adding.ok) { /* it was quicker */
            EXPECT(rows > 0);
            break;
        }
        EXPECT_INT(adding.error.code, ERRCODE_QUERY_CANCELED);
        relation_stats(w.t, &after);
        EXPECT_INT(after.rows, before.rows);
        EXPECT(after.bytes < before.bytes + 100000); /* the heap keeps a chunk, there are before-images */
    }
    world_end(&w);
}

int main(void)
{
    RUN(transactions_of_one_tick);
    RUN(rejected_alone);
    RUN(reads_are_checked);
    RUN(views_over_shards);
    RUN(streams_in_order);
    RUN(dropped_relations);
    RUN(lookups_without_index);
    RUN(indexes_are_filled_beside_the_engine);
    RUN(indexes_that_are_behind);
    RUN(unique_indexes_and_changes);
    RUN(columns_are_added_beside_ticks);
    RUN(columns_that_are_given_up);
    return test_result();
}
