/* engine_ddl.c: relations and indexes come and go between two ticks, on the engine's thread; views come by
 * backfill.c. */
#include "executor/engine_internal.h"

struct ddl {
    struct relation *relation;
    const uint32_t *columns;
    uint32_t columns_count;
    bool is_unique;
    const char *name;
    uint32_t index;
    struct error *err;
    bool ok;
};

static void run_add_cache(struct engine *engine, void *ctx)
{
    if (engine->caches_count == engine->caches_cap) {
        engine->caches_cap = engine->caches_cap ? engine->caches_cap * 2 : 4;
        engine->caches = mem_realloc(engine->caches, sizeof(*engine->caches) * engine->caches_cap);
    }
    engine->caches[engine->caches_count++] = ctx;
}

bool engine_create_relation(struct engine *engine, const struct relation_desc *desc, struct relation **out,
                            struct error *err)
{
    /* an empty relation that nobody knows yet needs no place in the order, but for the list of caches */
    struct relation *relation = relation_create(desc, engine->shards_count, engine->account);
    if (desc->watermark.is_declared && !watermark_create(&desc->watermark, desc->types, desc->columns_count,
                                                         engine->account, &relation->watermark, err)) {
        relation_release(relation);
        return false;
    }
    if (desc->is_cache)
        engine_command(engine, run_add_cache, relation);
    *out = relation;
    return true;
}

static void run_drop(struct engine *engine, void *ctx)
{
    struct ddl *ddl = ctx;
    struct relation *relation = ddl->relation;
    if (relation->feed.dependents_count > 0) {
        ddl->ok = error_set(ddl->err, ERRCODE_OBJECT_IN_USE, "\"%s\" is read by a materialized view",
                            relation->name);
        return;
    }
    if (relation->recorders > 0) {
        ddl->ok = error_set(ddl->err, ERRCODE_OBJECT_IN_USE,
                            "a materialized view is being created over \"%s\"", relation->name);
        return;
    }
    engine_unlist_relation(engine, relation);
    if (relation->dataflow != NULL) {
        engine_forget_timer(engine, relation->dataflow);
        dataflow_destroy(relation->dataflow);
    }
    for (uint32_t i = 0; i < engine->watermarked_count; i++) {
        if (engine->watermarked[i] == relation)
            engine->watermarked[i--] = engine->watermarked[--engine->watermarked_count];
    }
    for (uint32_t i = 0; i < engine->caches_count; i++) {
        if (engine->caches[i] == relation)
            engine->caches[i--] = engine->caches[--engine->caches_count];
    }
    for (uint32_t i = 0; i < engine->retained_count; i++) {
        if (engine->retained[i] == relation)
            engine->retained[i--] = engine->retained[--engine->retained_count];
    }
    engine->wake_us = engine_next_due(engine);
    subscription_relation_dropped(relation);
    relation->dropped = true;
    for (uint32_t i = 0; i < engine->trims_count; i++) {
        if (engine->trims[i] == relation || (relation->late != NULL && engine->trims[i] == relation->late))
            engine->trims[i--] = engine->trims[--engine->trims_count];
    }
    ddl->ok = true;
}

bool engine_drop_relation(struct engine *engine, struct relation *relation, struct error *err)
{
    struct ddl ddl = {.relation = relation, .err = err};
    engine_command(engine, run_drop, &ddl);
    if (ddl.ok)
        relation_release(relation);
    return ddl.ok;
}

static void run_ask_again(struct engine *engine, void *ctx)
{
    const struct relation *relation = ctx;
    (void)engine;
    for (const struct shared_arrangement *shared = relation->arrangements; shared != NULL;
         shared = shared->next) {
        const struct feed *feed = &shared->dataflow->own_feed;
        for (uint32_t d = 0; d < feed->dependents_count; d++) {
            const struct dataflow *flow = feed->dependents[d];
            for (uint32_t n = 0; n < flow->nodes_count; n++)
                for (uint32_t shard = 0; shard < flow->shards_count; shard++)
                    if (flow->nodes[n]->ops[shard]->class == &op_lookup_join_class)
                        op_lookup_join_ask_again(flow->nodes[n]->ops[shard]);
        }
    }
}

void engine_ask_again(struct engine *engine, struct relation *relation)
{
    engine_command(engine, run_ask_again, relation);
}

/* A unique index over present rows: each value at most once. */
static bool check_unique(struct relation *relation, const struct ddl *ddl, struct error *err)
{
    struct sql_type types[COLUMNS_MAX];
    for (uint32_t i = 0; i < ddl->columns_count; i++)
        types[i] = relation->types[ddl->columns[i]];
    struct hashed_table *counts =
        hashed_table_create(types, ddl->columns_count, sizeof(int64_t), &relation->account);
    struct relation_scan scan;
    relation_scan_start(&scan, relation, UINT64_MAX - 1, NULL);
    const struct batch *batch;
    bool ok = true;
    while (ok && (batch = relation_scan_next(&scan)) != NULL) {
        uint64_t hashes[BATCH_ROWS_MAX];
        CHECK(batch->rows <= BATCH_ROWS_MAX);
        batch_hash(batch, ddl->columns, ddl->columns_count, hashes);
        for (uint32_t row = 0; ok && row < batch->rows; row++) {
            bool has_null = false;
            for (uint32_t i = 0; i < ddl->columns_count; i++)
                has_null |= column_is_null(&batch->columns[ddl->columns[i]], row);
            if (has_null)
                continue;
            struct arena arena;
            arena_init(&arena, NULL);
            uint32_t slot;
            uint8_t inserted;
            hashed_table_upsert(counts, batch_slice(&arena, batch, row, 1), ddl->columns, &hashes[row], &slot,
                                &inserted);
            arena_release(&arena);
            int64_t *count = hashed_table_payload(counts, slot);
            *count += batch_weight(batch, row);
            if (*count > 1)
                ok = error_set(err, ERRCODE_UNIQUE_VIOLATION, "could not create unique index \"%s\"",
                               ddl->name);
        }
    }
    relation_scan_end(&scan);
    if (!ok) {
        hashed_table_destroy(counts);
        return false;
    }
    struct unique_index *grown =
        ARENA_ARRAY(&relation->arena, struct unique_index, relation->uniques_count + 1);
    if (relation->uniques_count > 0)
        memcpy(grown, relation->uniques, sizeof(*grown) * relation->uniques_count);
    grown[relation->uniques_count] = (struct unique_index){
        .name = arena_strdup(&relation->arena, ddl->name),
        .columns_count = ddl->columns_count,
        .columns = arena_copy(&relation->arena, ddl->columns, sizeof(uint32_t) * ddl->columns_count),
        .counts = counts};
    relation->uniques = grown;
    relation->uniques_count++;
    return true;
}

static void run_create_index(struct engine *engine, void *ctx)
{
    struct ddl *ddl = ctx;
    struct relation *relation = ddl->relation;
    ddl->ok = false;
    if (relation->append_only) {
        error_set(ddl->err, ERRCODE_FEATURE_NOT_SUPPORTED, "\"%s\" is append-only and cannot have an index",
                  relation->name);
        error_hint(ddl->err, "Create the index on a materialized view over it.");
        return;
    }
    if (ddl->is_unique && !check_unique(relation, ddl, ddl->err))
        return;
    engine_drain(engine);
    uint32_t number = 0;
    while (number < relation->indexes_count && relation->indexes[number].used)
        number++;
    pthread_mutex_lock(&relation->lock);
    if (number == relation->indexes_count) {
        relation->indexes = mem_realloc(relation->indexes, sizeof(*relation->indexes) * (number + 1));
        relation->indexes_count++;
        relation->indexes[number] = (struct relation_index){0};
    }
    struct relation_index *index = &relation->indexes[number];
    mem_free(index->columns);
    mem_free(index->store_numbers);
    *index = (struct relation_index){.used = true,
                                     .columns_count = ddl->columns_count,
                                     .is_unique = ddl->is_unique,
                                     .serial = ++relation->indexes_created};
    index->columns = mem_alloc(sizeof(uint32_t) * ddl->columns_count);
    memcpy(index->columns, ddl->columns, sizeof(uint32_t) * ddl->columns_count);
    index->store_numbers = mem_alloc(sizeof(uint32_t) * relation->shards_count);
    for (uint32_t shard = 0; shard < relation->shards_count; shard++)
        index->store_numbers[shard] =
            row_store_add_index(relation->stores[shard], ddl->columns, ddl->columns_count, true);
    pthread_mutex_unlock(&relation->lock);
    ddl->index = number;
    ddl->ok = true;
}

bool engine_create_index(struct engine *engine, struct relation *relation, const uint32_t *columns,
                         uint32_t columns_count, bool is_unique, const char *name, uint32_t *index,
                         struct error *err)
{
    struct ddl ddl = {.relation = relation,
                      .columns = columns,
                      .columns_count = columns_count,
                      .is_unique = is_unique,
                      .name = name,
                      .err = err};
    engine_command(engine, run_create_index, &ddl);
    *index = ddl.index;
    return ddl.ok;
}

static void run_drop_index(struct engine *engine, void *ctx)
{
    struct ddl *ddl = ctx;
    struct relation *relation = ddl->relation;
    struct relation_index *index = &relation->indexes[ddl->index];
    for (uint32_t i = 0; index->is_unique && i < relation->uniques_count; i++) {
        struct unique_index *unique = &relation->uniques[i];
        if (unique->columns_count != index->columns_count ||
            memcmp(unique->columns, index->columns, sizeof(uint32_t) * index->columns_count) != 0)
            continue;
        hashed_table_destroy(unique->counts);
        *unique = relation->uniques[--relation->uniques_count];
        break;
    }
    pthread_mutex_lock(&relation->lock);
    index->used = false; /* first, so that a reader of the stores' indexes can tell */
    pthread_mutex_unlock(&relation->lock);
    for (uint32_t shard = 0; shard < relation->shards_count; shard++)
        row_store_drop_index(relation->stores[shard], index->store_numbers[shard]);
    ddl->ok = true;
}

bool engine_drop_index(struct engine *engine, struct relation *relation, uint32_t index, struct error *err)
{
    struct ddl ddl = {.relation = relation, .index = index, .err = err};
    engine_command(engine, run_drop_index, &ddl);
    return ddl.ok;
}
