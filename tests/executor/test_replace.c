/* test_replace.c: changes whose rows replace those with their keys: against a model, with indexes, UNIQUE and a change stream. */
#include "executor/engine.h"
#include "tests/test.h"

#include <string.h>

static const struct sql_type types[] = {{OID_INT4, -1}, {OID_INT4, -1}, {OID_TEXT, -1}};

static struct relation *create(struct engine *engine, bool is_unique)
{
    static const char *const names[] = {"key", "value", "note"};
    static const uint32_t key[] = {0}, value[] = {1};
    static const struct unique_desc unique = {"t_value_key", 1, value};
    struct relation_desc desc = {.oid = 20000,
                                 .kind = RELATION_TABLE,
                                 .name = "t",
                                 .schema = "public",
                                 .columns_count = 3,
                                 .types = types,
                                 .column_names = names,
                                 .key_count = 1,
                                 .key_columns = key,
                                 .key_name = "t_pkey",
                                 .unique_count = is_unique,
                                 .uniques = &unique};
    desc.watermark.partition_column = -1;
    struct relation *relation;
    struct error err;
    EXPECT(engine_create_relation(engine, &desc, &relation, &err));
    return relation;
}

struct change {
    int32_t key, value;
    int64_t weight;
};

static enum error_code commit(struct engine *engine, struct relation *relation, bool replaces,
                              const struct change *changes, uint32_t count)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct batch *rows = batch_create(&arena, types, 3, count);
    for (uint32_t i = 0; i < count; i++) {
        /* of a deletion only the key counts */
        bool is_bare = replaces && changes[i].weight < 0;
        struct datum values[] = {
            datum_i32(changes[i].key), is_bare ? datum_null() : datum_i32(changes[i].value),
            is_bare ? datum_null() : datum_text(&arena, "a note that is not inlined", 26)};
        batch_append_datums(rows, values, changes[i].weight);
    }
    struct txn_change change = {.relation = relation, .rows = rows, .replaces = replaces};
    struct engine_txn txn = {.changes_count = 1, .changes = &change};
    struct error err;
    uint64_t epoch;
    error_init(&err);
    bool ok = engine_commit(engine, &txn, NULL, &epoch, &err);
    arena_release(&arena);
    return ok ? ERRCODE_NONE : err.code;
}

#define KEYS 64

/* The rows there are, as value by key; -1: there is none. */
static void read_all(struct engine *engine, struct relation *relation, int32_t *values)
{
    for (uint32_t i = 0; i < KEYS; i++)
        values[i] = -1;
    uint64_t snapshot = snapshot_open(engine_snapshots(engine), 0);
    struct relation_scan scan;
    relation_scan_start(&scan, relation, snapshot, NULL);
    for (const struct batch *rows; (rows = relation_scan_next(&scan)) != NULL;)
        for (uint32_t row = 0; row < rows->rows; row++) {
            int32_t key = ((const int32_t *)rows->columns[0].data)[row];
            EXPECT_INT(batch_weight(rows, row), 1);
            EXPECT_INT(values[key], -1);
            values[key] = ((const int32_t *)rows->columns[1].data)[row];
        }
    relation_scan_end(&scan);
    snapshot_close(engine_snapshots(engine), snapshot);
}

TEST(newest_of_each_key)
{
    for (uint32_t shards = 1; shards <= 4; shards++) {
        struct engine *engine = engine_create(&(struct engine_options){.shards = shards});
        struct relation *relation = create(engine, false);
        struct subscription *subscription;
        struct error err;
        uint64_t snapshot, state = 7 + shards;
        EXPECT(engine_subscribe(engine, relation, relation_columns(relation, NULL), &subscription, &snapshot,
                                &err));
        snapshot_close(engine_snapshots(engine), snapshot);
        int32_t model[KEYS], found[KEYS];
        memset(model, 0xFF, sizeof(model));
        for (int round = 0; round < 200; round++) {
            struct change changes[KEYS];
            uint32_t count = 0;
            for (int32_t key = 0; key < KEYS; key++) {
                state = state * 6364136223846793005u + 1442695040888963407u;
                uint32_t dice = (uint32_t)(state >> 40) % 8;
                if (dice > 2)
                    continue;
                bool goes = dice == 0;
                changes[count++] = (struct change){key, (int32_t)(state >> 50) % 4, goes ? -1 : 1};
                model[key] = goes ? -1 : changes[count - 1].value;
            }
            EXPECT_INT(commit(engine, relation, true, changes, count), ERRCODE_NONE);
        }
        read_all(engine, relation, found);
        EXPECT(memcmp(found, model, sizeof(model)) == 0);
        /* the change stream adds up to the same */
        int64_t counts[KEYS] = {0}, sums[KEYS] = {0};
        struct engine_stats stats;
        engine_stats(engine, &stats);
        for (uint64_t epoch = 0; epoch < stats.epoch_visible;) {
            const struct batch *rows;
            EXPECT(subscription_next(subscription, 0, NULL, &epoch, &rows, &err));
            for (uint32_t row = 0; rows != NULL && row < rows->rows; row++) {
                int32_t key = ((const int32_t *)rows->columns[0].data)[row];
                counts[key] += batch_weight(rows, row);
                sums[key] += batch_weight(rows, row) * ((const int32_t *)rows->columns[1].data)[row];
            }
        }
        for (uint32_t key = 0; key < KEYS; key++) {
            EXPECT_INT(counts[key], model[key] >= 0);
            EXPECT_INT(sums[key], model[key] >= 0 ? model[key] : 0);
        }
        subscription_end(subscription);
        EXPECT(engine_drop_relation(engine, relation, &err));
        engine_destroy(engine);
    }
}

TEST(unique_and_ordinary_changes)
{
    struct engine *engine = engine_create(&(struct engine_options){.shards = 2});
    struct relation *relation = create(engine, true);
    struct error err;
    int32_t found[KEYS];
    EXPECT_INT(commit(engine, relation, true, (struct change[]){{1, 10, 1}, {2, 20, 1}}, 2), ERRCODE_NONE);
    /* values change places */
    EXPECT_INT(commit(engine, relation, true, (struct change[]){{1, 20, 1}, {2, 10, 1}}, 2), ERRCODE_NONE);
    EXPECT_INT(commit(engine, relation, true, (struct change[]){{3, 20, 1}, {4, 40, 1}}, 2),
               ERRCODE_UNIQUE_VIOLATION);
    read_all(engine, relation, found);
    EXPECT_INT(found[1], 20);
    EXPECT_INT(found[3], -1);
    EXPECT_INT(found[4], -1);
    EXPECT_INT(commit(engine, relation, true, (struct change[]){{1, 0, -1}, {3, 20, 1}, {9, 0, -1}}, 3),
               ERRCODE_NONE);
    read_all(engine, relation, found);
    EXPECT_INT(found[1], -1);
    EXPECT_INT(found[3], 20);
    /* changes that do not replace are checked as ever */
    EXPECT_INT(commit(engine, relation, false, (struct change[]){{3, 7, 1}}, 1), ERRCODE_UNIQUE_VIOLATION);
    EXPECT_INT(commit(engine, relation, false, (struct change[]){{2, 11, -1}}, 1),
               ERRCODE_SERIALIZATION_FAILURE);
    EXPECT_INT(commit(engine, relation, false, (struct change[]){{2, 10, -1}, {2, 12, 1}}, 2), ERRCODE_NONE);
    read_all(engine, relation, found);
    EXPECT_INT(found[2], 12);
    EXPECT(engine_drop_relation(engine, relation, &err));
    engine_destroy(engine);
}

int main(void)
{
    RUN(newest_of_each_key);
    RUN(unique_and_ordinary_changes);
    return test_result();
}
