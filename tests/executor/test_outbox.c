/* test_outbox.c: what a sink's outbox holds, tick by tick, beside a model of the table it follows; what a checkpoint makes of it. */
#include "executor/outbox.h"
#include "executor/relation_saved.h"
#include "storage/base/clock.h"
#include "tests/storage/saved_image.h"

enum { KEYS = 12, TICKS = 120 };

static const struct sql_type types[3] = {{OID_NUMERIC, -1}, {OID_INT4, -1}, {OID_TEXT, -1}};
static const char *const names[3] = {"k", "g", "v"};
static const uint32_t key[1] = {0};

struct world {
    struct engine *engine;
    struct arena arena;
    struct relation *table;
    char rows[KEYS][96]; /* as text; "": the key is not there */
    uint32_t seed;
};

static uint32_t below(struct world *w, uint32_t limit)
{
    w->seed = w->seed * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)(w->seed >> 8) * limit) >> 24);
}

static void start(struct world *w, uint32_t shards, uint32_t seed)
{
    memset(w, 0, sizeof(*w));
    w->seed = seed;
    arena_init(&w->arena, NULL);
    w->engine = engine_create(&(struct engine_options){.shards = shards});
    struct relation_desc desc = {.oid = 16384,
                                 .kind = RELATION_TABLE,
                                 .name = "t",
                                 .columns_count = 3,
                                 .types = types,
                                 .column_names = names,
                                 .key_count = 1,
                                 .key_columns = key,
                                 .key_name = "t_pkey"};
    struct error err;
    EXPECT(engine_create_relation(w->engine, &desc, &w->table, &err));
}

static struct relation *make_sink(struct world *w, uint32_t oid, enum outbox_kind kind, bool snapshot)
{
    struct arena *arena = mem_alloc(sizeof(*arena));
    arena_init(arena, NULL);
    struct plan *plan = plan_new(arena, PLAN_SCAN, 3, 0);
    plan->scan.relation_oid = relation_oid(w->table);
    plan->scan.relation = w->table;
    plan->scan.name = relation_name(w->table);
    plan->scan.columns = ARENA_ARRAY(arena, uint32_t, 3);
    for (uint32_t i = 0; i < 3; i++) {
        plan->types[i] = types[i];
        plan->scan.columns[i] = i;
    }
    plan_finish(plan, arena);
    EXPECT(plan->has_key && plan->keys_count == 1 && plan->keys[0] == 0);
    const struct outbox_desc outbox = {.kind = kind, .snapshot = snapshot, .key_count = 1, .key = key};
    struct relation_desc desc = {.oid = oid,
                                 .kind = RELATION_VIEW,
                                 .name = "sink",
                                 .columns_count = 3,
                                 .types = types,
                                 .column_names = names,
                                 .append_only = true,
                                 .outbox = &outbox};
    struct eval_env env = {.io = io_env_default};
    struct relation *sink = NULL;
    struct error err;
    EXPECT(engine_create_view(w->engine, &desc, plan, arena, &env, NULL, NULL, &sink, &err));
    return sink;
}

/* Some keys come, go or change, one spelling of a number perhaps into another. */
static void tick(struct world *w)
{
    struct batch *change = batch_create(&w->arena, types, 3, 8);
    struct strbuf text = STRBUF_INIT;
    struct error err;
    for (uint32_t i = 0; i < KEYS; i++) {
        if (below(w, 3) != 0)
            continue;
        char *row = w->rows[i];
        if (row[0] != '\0')
            strbuf_addf(&text, "- %s\n", row);
        if (below(w, 3) == 0)
            row[0] = '\0';
        else if (row[0] == '\0' || below(w, 4) != 0) /* else it comes as it was */
            snprintf(row, sizeof(w->rows[i]), "%u%s %u %s", i, below(w, 3) == 0 ? ".00" : ".0", below(w, 5),
                     below(w, 2) == 0 ? "a_text_that_does_not_fit_into_twelve_bytes" : "short");
        if (row[0] != '\0')
            strbuf_addf(&text, "+ %s\n", row);
    }
    EXPECT(batch_from_text(change, strbuf_text(&text), &err));
    strbuf_release(&text);
    struct txn_change changes = {w->table, change, NULL};
    struct engine_txn txn = {.changes_count = 1, .changes = &changes};
    uint64_t epoch;
    EXPECT(engine_commit(w->engine, &txn, NULL, &epoch, &err));
}

/* ---- a reader ---- */

struct folded {
    char key[24], row[96];
};

struct reader {
    struct relation *sink;
    uint64_t at;
    int64_t epoch; /* of the row read last */
    struct folded keys[KEYS * 2];
    uint32_t count;
    char seen[KEYS * 4][24]; /* keys of the tick so far */
    uint32_t seen_count;
};

static struct folded *find(struct reader *reader, const char *name)
{
    for (uint32_t i = 0; i < reader->count; i++) {
        if (strcmp(reader->keys[i].key, name) == 0)
            return &reader->keys[i];
    }
    return NULL;
}

static void row_text(const struct batch *rows, uint32_t row, char *out, size_t bytes, char *key_out,
                     size_t key_bytes)
{
    struct strbuf text = STRBUF_INIT;
    for (uint32_t c = 0; c < 3; c++) {
        struct datum value = column_get(&rows->columns[c], row);
        strbuf_adds(&text, c > 0 ? " " : "");
        type_output(types[c].oid, &value, &io_env_default, &text);
        if (c == 0)
            snprintf(key_out, key_bytes, "%s", strbuf_text(&text));
    }
    snprintf(out, bytes, "%s", strbuf_text(&text));
    strbuf_release(&text);
}

static void apply(struct reader *reader, enum outbox_op op, const char *name, const char *row,
                  enum outbox_op *previous, char *before)
{
    struct folded *old = find(reader, name);
    if (op != OUTBOX_BEFORE) { /* once per key and tick */
        for (uint32_t i = 0; i < reader->seen_count; i++)
            EXPECT(strcmp(reader->seen[i], name) != 0);
        snprintf(reader->seen[reader->seen_count++], sizeof(reader->seen[0]), "%s", name);
    }
    EXPECT((op == OUTBOX_AFTER) == (*previous == OUTBOX_BEFORE));
    switch (op) {
    case OUTBOX_DELETE:
        EXPECT(*previous != OUTBOX_INSERT && *previous != OUTBOX_AFTER); /* what goes comes first */
        EXPECT(old != NULL && strcmp(old->row, row) == 0);
        if (old != NULL)
            *old = reader->keys[--reader->count];
        break;
    case OUTBOX_BEFORE:
        EXPECT(old != NULL && strcmp(old->row, row) == 0);
        snprintf(before, 96, "%s", row);
        break;
    case OUTBOX_AFTER:
        EXPECT(strcmp(before, row) != 0);
        EXPECT(old != NULL && strcmp(old->row, before) == 0);
        break;
    case OUTBOX_INSERT:
        break;
    }
    if (op == OUTBOX_INSERT || op == OUTBOX_AFTER) {
        EXPECT(old == NULL || strcmp(old->row, row) != 0);
        struct folded *to = old != NULL ? old : &reader->keys[reader->count++];
        snprintf(to->key, sizeof(to->key), "%s", name);
        snprintf(to->row, sizeof(to->row), "%s", row);
    }
    *previous = op;
}

/* Reads what is new, and compares with the table. */
static void catch_up(struct world *w, struct reader *reader, enum outbox_kind kind)
{
    struct column columns[3 + OUTBOX_COLUMNS];
    struct outbox_rows rows;
    uint64_t visible = outbox_visible(w->engine, reader->sink);
    uint64_t epoch = snapshots_visible(engine_snapshots(w->engine));
    enum outbox_op previous = OUTBOX_DELETE;
    char before[96] = "";
    while (outbox_read(reader->sink, visible, reader->at, columns, &rows)) {
        EXPECT_INT(rows.first, reader->at);
        EXPECT_INT(rows.batch.columns_count, 3);
        for (uint32_t i = 0; i < rows.batch.rows; i++) {
            char row[96], name[24];
            EXPECT(rows.epochs[i] >= reader->epoch && (uint64_t)rows.epochs[i] <= epoch);
            EXPECT(rows.clocks[i] != 0);
            if (rows.epochs[i] != reader->epoch) {
                reader->seen_count = 0;
                previous = OUTBOX_DELETE;
            }
            reader->epoch = rows.epochs[i];
            row_text(&rows.batch, i, row, sizeof(row), name, sizeof(name));
            enum outbox_op op = (enum outbox_op)rows.ops[i];
            EXPECT(kind == OUTBOX_CHANGES || (op != OUTBOX_BEFORE && op != OUTBOX_AFTER));
            if (kind == OUTBOX_UPSERT && op == OUTBOX_INSERT && find(reader, name) != NULL)
                EXPECT(strcmp(find(reader, name)->row, row) != 0);
            apply(reader, op, name, row, &previous, before);
        }
        reader->at = rows.first + rows.batch.rows;
    }
    EXPECT_INT(reader->at, outbox_end(reader->sink));
    uint32_t live = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        if (w->rows[i][0] == '\0')
            continue;
        char name[24];
        live++;
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(w->rows[i], " "), w->rows[i]);
        const struct folded *found = find(reader, name);
        EXPECT(found != NULL);
        if (found != NULL)
            EXPECT_TEXT(found->row, w->rows[i]);
    }
    EXPECT_INT(reader->count, live);
}

static void check_changes(uint32_t shards)
{
    struct world w;
    start(&w, shards, 11 + shards);
    for (uint32_t i = 0; i < 5; i++)
        tick(&w);
    struct reader upsert = {.sink = make_sink(&w, 16390, OUTBOX_UPSERT, true)};
    struct reader both = {.sink = make_sink(&w, 16391, OUTBOX_CHANGES, true)};
    struct reader later = {.sink = make_sink(&w, 16392, OUTBOX_UPSERT, false)};
    for (uint32_t i = 0; i < KEYS; i++) { /* what a reader of changes alone must know */
        if (w.rows[i][0] == '\0')
            continue;
        struct folded *to = &later.keys[later.count++];
        snprintf(to->row, sizeof(to->row), "%s", w.rows[i]);
        snprintf(to->key, sizeof(to->key), "%.*s", (int)strcspn(w.rows[i], " "), w.rows[i]);
    }
    EXPECT_INT(outbox_end(later.sink), 0);
    EXPECT_INT(outbox_end(upsert.sink), later.count);
    for (uint32_t i = 0; i < TICKS; i++) {
        tick(&w);
        if (below(&w, 3) != 0)
            continue;
        catch_up(&w, &upsert, OUTBOX_UPSERT);
        catch_up(&w, &both, OUTBOX_CHANGES);
        catch_up(&w, &later, OUTBOX_UPSERT);
        engine_drop_outbox_rows(w.engine, upsert.sink, upsert.at);
        EXPECT_INT(outbox_first(upsert.sink), upsert.at);
        struct column columns[3 + OUTBOX_COLUMNS];
        struct outbox_rows rows;
        EXPECT(!outbox_read(upsert.sink, outbox_visible(w.engine, upsert.sink), 0, columns, &rows));
    }
    struct error err;
    EXPECT(!engine_drop_relation(w.engine, w.table, &err));
    EXPECT(engine_drop_relation(w.engine, upsert.sink, &err));
    EXPECT(engine_drop_relation(w.engine, both.sink, &err));
    EXPECT(engine_drop_relation(w.engine, later.sink, &err));
    EXPECT(engine_drop_relation(w.engine, w.table, &err));
    engine_destroy(w.engine);
    arena_release(&w.arena);
}

TEST(changes)
{
    for (uint32_t shards = 1; shards <= 3; shards++)
        check_changes(shards);
}

/* ---- checkpoints ---- */

struct saving {
    struct relation *sink;
    struct saved_image images[2]; /* "rows", "errors" */
    struct strbuf rest;
};

static void save(void *ctx)
{
    struct saving *saving = ctx;
    struct arena arena;
    arena_init(&arena, NULL);
    struct saved_tables tables = {.arena = &arena};
    relation_saved_tables(saving->sink, 0, &tables);
    EXPECT_INT(tables.count, 2);
    for (uint32_t i = 0; i < tables.count; i++)
        image_save(&saving->images[i], &tables.items[i]);
    strbuf_reset(&saving->rest);
    relation_save_rest(saving->sink, &saving->rest);
    arena_release(&arena);
}

static void compare(struct world *w, struct saving *saving, uint64_t seed)
{
    const struct outbox_desc outbox = {.kind = OUTBOX_UPSERT, .snapshot = true, .key_count = 1, .key = key};
    struct relation_desc desc = {.oid = 16390,
                                 .kind = RELATION_VIEW,
                                 .name = "sink",
                                 .columns_count = 3,
                                 .types = types,
                                 .column_names = names,
                                 .append_only = true,
                                 .outbox = &outbox};
    struct relation *fresh = relation_create(&desc, 1, NULL);
    struct arena arena;
    struct error err;
    arena_init(&arena, NULL);
    struct saved_tables tables = {.arena = &arena};
    relation_saved_tables(fresh, 0, &tables);
    for (uint32_t i = 0; i < tables.count; i++)
        image_restore(&saving->images[i], &tables.items[i], seed + i);
    EXPECT(relation_restore_rest(fresh, saving->rest.data, saving->rest.len, 1, &err));
    EXPECT_INT(outbox_first(fresh), outbox_first(saving->sink));
    EXPECT_INT(outbox_end(fresh), outbox_end(saving->sink));
    struct column columns[2][3 + OUTBOX_COLUMNS];
    struct outbox_rows rows[2];
    uint64_t visible = outbox_visible(w->engine, saving->sink);
    for (uint64_t at = outbox_first(fresh); outbox_read(fresh, visible, at, columns[0], &rows[0]);) {
        EXPECT(outbox_read(saving->sink, visible, at, columns[1], &rows[1]));
        EXPECT_INT(rows[0].first, rows[1].first);
        uint32_t count = rows[0].batch.rows < rows[1].batch.rows ? rows[0].batch.rows : rows[1].batch.rows;
        for (uint32_t i = 0; i < count; i++) {
            EXPECT(batch_rows_identical(&rows[0].batch, i, &rows[1].batch, i));
            EXPECT_INT(rows[0].ops[i], rows[1].ops[i]);
            EXPECT_INT(rows[0].epochs[i], rows[1].epochs[i]);
            EXPECT_INT(rows[0].clocks[i], rows[1].clocks[i]);
        }
        at = rows[0].first + count;
    }
    relation_release(fresh);
    arena_release(&arena);
}

TEST(checkpoints)
{
    struct world w;
    struct error err;
    start(&w, 1, 5);
    struct saving saving = {.sink = make_sink(&w, 16390, OUTBOX_UPSERT, true)};
    for (uint32_t i = 0; i < 2; i++)
        image_init(&saving.images[i]);
    EXPECT_INT(engine_outbox_saved(w.engine, saving.sink), 0);
    for (uint32_t i = 0; i < TICKS; i++) {
        tick(&w);
        if (below(&w, 4) == 0) {
            uint64_t first = outbox_first(saving.sink), end = outbox_end(saving.sink);
            engine_drop_outbox_rows(w.engine, saving.sink, first + below(&w, (uint32_t)(end - first) + 1));
        }
        if (below(&w, 3) != 0)
            continue;
        engine_at_boundary(w.engine, save, &saving);
        EXPECT_INT(engine_outbox_saved(w.engine, saving.sink), outbox_end(saving.sink));
        compare(&w, &saving, i);
    }
    for (uint32_t i = 0; i < 2; i++)
        image_release(&saving.images[i]);
    strbuf_release(&saving.rest);
    EXPECT(engine_drop_relation(w.engine, saving.sink, &err));
    EXPECT(engine_drop_relation(w.engine, w.table, &err));
    engine_destroy(w.engine);
    arena_release(&w.arena);
}

static void count_wakes(void *ctx)
{
    ++*(_Atomic uint32_t *)ctx;
}

/* Who listens is told of ticks that have something for the sink, when it can be read. */
TEST(listening)
{
    struct world w;
    struct error err;
    _Atomic uint32_t wakes = 0;
    start(&w, 2, 9);
    struct relation *sink = make_sink(&w, 16390, OUTBOX_UPSERT, true);
    engine_listen_outbox(w.engine, sink, count_wakes, &wakes);
    struct engine_txn empty = {0};
    uint64_t epoch, last = outbox_end(sink);
    EXPECT(engine_commit(w.engine, &empty, NULL, &epoch, &err));
    EXPECT_INT(wakes, 0);
    uint32_t expected = 0;
    for (uint32_t i = 0; i < 20; i++) {
        tick(&w);
        expected += outbox_end(sink) > last;
        last = outbox_end(sink);
        EXPECT_INT(wakes, expected);
    }
    EXPECT(expected > 10);
    engine_listen_outbox(w.engine, sink, NULL, NULL);
    tick(&w);
    EXPECT_INT(wakes, expected);
    EXPECT(engine_drop_relation(w.engine, sink, &err));
    EXPECT(engine_drop_relation(w.engine, w.table, &err));
    engine_destroy(w.engine);
    arena_release(&w.arena);
}

int main(void)
{
    RUN(changes);
    RUN(checkpoints);
    RUN(listening);
    return test_result();
}
