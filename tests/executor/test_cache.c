/* test_cache.c: relations of external tables: rows are replaced by key, and go when the clock has reached their time. */
#include "executor/engine.h"
#include "executor/lookup_source.h"
#include "storage/base/clock.h"
#include "tests/test.h"

static const struct sql_type types[] = {
    {OID_INT4, -1}, {OID_INT4, -1}, {OID_BOOL, -1}, {OID_TIMESTAMPTZ, -1}};

static struct relation *create(struct engine *engine)
{
    static const char *const names[] = {"key", "value", "found", "expires"};
    static const uint32_t key[] = {0};
    struct relation_desc desc = {.oid = 20000,
                                 .kind = RELATION_TABLE,
                                 .name = "cache",
                                 .columns_count = 4,
                                 .types = types,
                                 .column_names = names,
                                 .key_count = 1,
                                 .key_columns = key,
                                 .is_cache = true};
    desc.watermark.partition_column = -1;
    struct relation *relation;
    struct error err;
    EXPECT(engine_create_relation(engine, &desc, &relation, &err));
    return relation;
}

struct answer {
    int32_t key, value;
    int64_t expires;
};

static void commit(struct engine *engine, struct relation *relation, const struct answer *answers,
                   uint32_t count)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct batch *rows = batch_create(&arena, types, 4, count);
    for (uint32_t i = 0; i < count; i++) {
        struct datum values[] = {datum_i32(answers[i].key), datum_i32(answers[i].value), datum_bool(true),
                                 datum_i64(answers[i].expires)};
        batch_append_datums(rows, values, 1);
    }
    struct txn_change change = {relation, rows, NULL};
    struct engine_txn txn = {.changes_count = 1, .changes = &change};
    struct error err;
    uint64_t epoch;
    error_init(&err);
    EXPECT(engine_commit(engine, &txn, NULL, &epoch, &err));
    EXPECT_TEXT(err.message, "");
    arena_release(&arena);
}

/* What the change stream of the relation adds up to, as value by key; -1: there is none. */
static void follow(struct subscription *subscription, uint64_t until, int64_t *counts, int32_t *values,
                   uint32_t keys)
{
    const struct batch *rows;
    struct error err;
    uint64_t epoch = 0;
    (void)keys;
    while (epoch < until) {
        EXPECT(subscription_next(subscription, 0, NULL, &epoch, &rows, &err));
        for (uint32_t i = 0; rows != NULL && i < rows->rows; i++) {
            int32_t key = ((const int32_t *)rows->columns[0].data)[i];
            int64_t weight = batch_weight(rows, i);
            counts[key] += weight;
            if (weight > 0)
                values[key] = ((const int32_t *)rows->columns[1].data)[i];
        }
    }
}

TEST(replaced_and_expired)
{
    for (uint32_t shards = 1; shards <= 3; shards += 2) {
        clock_set(1000);
        struct engine *engine = engine_create(&(struct engine_options){.shards = shards});
        struct relation *relation = create(engine);
        struct subscription *subscription;
        struct error err;
        uint64_t snapshot;
        EXPECT(relation_lookup_source(relation) != NULL);
        EXPECT(engine_subscribe(engine, relation, relation_columns(relation, NULL), &subscription, &snapshot,
                                &err));
        snapshot_close(engine_snapshots(engine), snapshot);
        int64_t counts[8] = {0};
        int32_t values[8] = {0};
        struct engine_stats engine_now;
        struct relation_stats stats;
        commit(engine, relation, (struct answer[]){{1, 10, 2000}, {2, 20, 2000}, {3, 30, 3000}}, 3);
        /* again: the newer ones stand, with their own times */
        commit(engine, relation, (struct answer[]){{1, 11, 2500}, {4, 40, 2000}, {3, 30, 3000}}, 3);
        engine_stats(engine, &engine_now);
        follow(subscription, engine_now.epoch_visible, counts, values, 8);
        for (int32_t key = 1; key <= 4; key++)
            EXPECT_INT(counts[key], 1);
        EXPECT_INT(values[1], 11);
        relation_stats(relation, &stats);
        EXPECT_INT(stats.rows, 4);
        clock_set(1999);
        engine_run_due(engine);
        relation_stats(relation, &stats);
        EXPECT_INT(stats.rows, 4);
        clock_set(2000);
        engine_run_due(engine);
        relation_stats(relation, &stats);
        EXPECT_INT(stats.rows, 2); /* 1 and 3 */
        clock_set(2600);
        /* what has expired goes before what comes */
        commit(engine, relation, (struct answer[]){{1, 12, 9000}, {5, 50, 2000}}, 2);
        engine_run_due(engine);
        engine_stats(engine, &engine_now);
        follow(subscription, engine_now.epoch_visible, counts, values, 8);
        EXPECT_INT(counts[1], 1);
        EXPECT_INT(values[1], 12);
        EXPECT_INT(counts[2], 0);
        EXPECT_INT(counts[3], 1);
        EXPECT_INT(counts[4], 0);
        EXPECT_INT(counts[5], 0); /* it was there for one tick */
        EXPECT_INT(values[5], 50);
        clock_set(10000);
        engine_run_due(engine);
        relation_stats(relation, &stats);
        EXPECT_INT(stats.rows, 0);
        subscription_end(subscription);
        EXPECT(engine_drop_relation(engine, relation, &err));
        engine_destroy(engine);
        clock_release();
    }
}

int main(void)
{
    RUN(replaced_and_expired);
    return test_result();
}
