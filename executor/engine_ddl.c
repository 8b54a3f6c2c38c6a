/* engine_ddl.c: relations come and go between two ticks, on the engine's thread; views come by backfill.c, indexes by
 * engine_index.c, columns by engine_columns.c. */
#include "executor/dataflow_internal.h"
#include "executor/engine_internal.h"
#include "executor/kept_rows.h"
#include "storage/base/clock.h"

struct ddl {
    struct relation *relation;
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

struct relation *engine_create_shell(struct engine *engine, const struct relation_desc *desc,
                                     uint64_t created_epoch)
{
    struct relation *relation = relation_create(desc, engine->shards_count, engine->account);
    relation->created_epoch = created_epoch;
    return relation;
}

static void unlist_kept(struct engine *engine, const struct relation *relation)
{
    for (uint32_t i = 0; i < engine->kept_count; i++)
        if (engine->kept[i] == relation)
            engine->kept[i--] = engine->kept[--engine->kept_count];
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
    unlist_kept(engine, relation);
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

/* ---- tables that keep their newest rows ---- */

#define KEEP_STEP_ROWS 1024u /* read between two ticks */

struct keep_job {
    struct relation *relation;
    uint32_t column, shard;
    uint64_t rows, cursor;
    int64_t age_us;
    bool has_more, is_due;
};

static void run_keep(struct engine *engine, void *ctx)
{
    struct keep_job *job = ctx;
    struct relation *relation = job->relation;
    if (relation->dropped)
        return;
    if (job->rows == 0 && job->age_us == 0) {
        unlist_kept(engine, relation);
        kept_rows_destroy(relation->kept);
        relation->kept = NULL;
        engine->wake_us = engine_next_due(engine);
        return;
    }
    if (relation->kept == NULL) {
        relation->kept = kept_rows_create(relation, job->column);
        job->has_more = true;
        if (engine->kept_count == engine->kept_cap) {
            engine->kept_cap = engine->kept_cap ? engine->kept_cap * 2 : 4;
            engine->kept = mem_realloc(engine->kept, sizeof(*engine->kept) * engine->kept_cap);
        }
        engine->kept[engine->kept_count++] = relation;
    }
    kept_rows_limit(relation->kept, job->rows, job->age_us);
    engine->wake_us = engine_next_due(engine);
    job->is_due = engine->wake_us <= clock_now_us();
}

/* Changes come between two steps: kept_rows_note has them. */
static void run_keep_step(struct engine *engine, void *ctx)
{
    struct keep_job *job = ctx;
    struct relation *relation = job->relation;
    struct arena arena;
    arena_init(&arena, &relation->account);
    struct batch *rows = batch_create(&arena, relation_shape(relation)->types,
                                      relation_shape(relation)->columns_count, KEEP_STEP_ROWS);
    if (!row_store_scan(relation->stores[job->shard], UINT64_MAX - 1, &job->cursor, KEEP_STEP_ROWS, rows)) {
        job->shard++;
        job->cursor = 0;
    }
    kept_rows_note(relation->kept, rows);
    arena_release(&arena);
    job->has_more = job->shard < relation->shards_count;
    engine->wake_us = engine_next_due(engine);
    job->is_due = engine->wake_us <= clock_now_us();
}

void engine_keep_newest(struct engine *engine, struct relation *relation, uint32_t column, uint64_t rows,
                        int64_t age_us)
{
    struct keep_job job = {.relation = relation, .column = column, .rows = rows, .age_us = age_us};
    engine_command(engine, run_keep, &job);
    while (job.has_more)
        engine_command(engine, run_keep_step, &job);
    const struct engine_txn nothing = {0};
    uint64_t epoch;
    struct error ignored;
    if (job.is_due && !engine_commit(engine, &nothing, NULL, &epoch, &ignored))
        return; /* when the log can be written again they go */
}

/* ---- external tables ---- */

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
