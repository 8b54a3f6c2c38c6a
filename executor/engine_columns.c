/* engine_columns.c: columns are added to relations that have rows, while ticks go on.
 *
 * Rows of tables are laid out anew in the background (storage/state/row_store_widen.c): the calling thread asks the engine for one
 * small step after the other, each between two ticks and on all shards at once, so that a transaction waits for one step. What
 * ticks change meanwhile is copied again by the steps that follow, which do twice as much as ticks have changed: what is
 * left becomes less whatever comes. The last step and the switch to the new rows are one command. */
#include "executor/engine_internal.h"
#include "storage/state/state_memory.h"

#define STEP_ROWS 2048u /* per shard */

struct column_job {
    struct engine *engine;
    struct relation *relation;
    uint32_t count;
    const struct sql_type *types;
    const char *const *names;
    const struct datum *missing;
    struct store_widening *widenings[SHARDS_MAX];
    uint64_t left[SHARDS_MAX]; /* rows to be copied; undoing: not 0 when there are some */
    bool switches;             /* as soon as no row is left */
    bool is_over;
};

static void begin_shard(void *ctx, uint32_t shard)
{
    struct column_job *job = ctx;
    job->widenings[shard] =
        row_store_begin_widen(job->relation->stores[shard], job->types, job->count, job->missing);
}

static void step_shard(void *ctx, uint32_t shard)
{
    struct column_job *job = ctx;
    job->left[shard] = row_store_widen_step(job->relation->stores[shard], STEP_ROWS);
}

static void undo_shard(void *ctx, uint32_t shard)
{
    struct column_job *job = ctx;
    if (job->left[shard] > 0)
        job->left[shard] = row_store_undo_widen(job->relation->stores[shard], STEP_ROWS);
}

static uint64_t left_of(const struct column_job *job)
{
    uint64_t left = 0;
    for (uint32_t shard = 0; shard < job->relation->shards_count; shard++)
        left += job->left[shard];
    return left;
}

static void run_begin(struct engine *engine, void *ctx)
{
    struct column_job *job = ctx;
    (void)engine;
    for (uint32_t shard = 0; shard < job->relation->shards_count; shard++)
        begin_shard(job, shard);
}

/* From here on rows have the columns. */
static void switch_over(struct column_job *job)
{
    struct relation *relation = job->relation;
    for (uint32_t shard = 0; !relation->append_only && shard < relation->shards_count; shard++)
        row_store_end_widen(relation->stores[shard]);
    relation_widen(relation, job->count, job->types, job->names, job->missing);
    job->engine->checkpoint_stale = true; /* the running one lists the columns */
    job->is_over = true;
}

static void run_step(struct engine *engine, void *ctx)
{
    struct column_job *job = ctx;
    if (!job->relation->append_only)
        workers_run(engine->workers, true, step_shard, job);
    if (job->switches && left_of(job) == 0)
        switch_over(job);
}

static void run_undo(struct engine *engine, void *ctx)
{
    struct column_job *job = ctx;
    workers_run(engine->workers, true, undo_shard, job);
    job->is_over = left_of(job) == 0;
}

static void job_free(struct column_job *job)
{
    for (uint32_t shard = 0; shard < job->relation->shards_count; shard++)
        if (job->widenings[shard] != NULL)
            row_store_free_widening(job->relation->stores[shard], job->widenings[shard]);
    mem_free(job);
}

bool engine_prepare_columns(struct engine *engine, struct relation *relation, uint32_t count,
                            const struct sql_type *types, const char *const *names,
                            const struct datum *missing, const _Atomic bool *cancel, struct column_job **out,
                            struct error *err)
{
    struct column_job *job = mem_zalloc(sizeof(*job));
    *job = (struct column_job){.engine = engine,
                               .relation = relation,
                               .count = count,
                               .types = types,
                               .names = names,
                               .missing = missing};
    *out = job;
    if (relation->append_only)
        return true;
    engine_command(engine, run_begin, job);
    bool ok = true;
    do {
        engine_command(engine, run_step, job);
        if (cancel != NULL && atomic_load(cancel))
            ok = error_set(err, ERRCODE_QUERY_CANCELED, "canceling statement due to user request");
        ok = ok && state_memory_check(err);
    } while (ok && left_of(job) > STEP_ROWS);
    if (ok)
        return true;
    engine_forget_columns(job);
    *out = NULL;
    return false;
}

void engine_add_columns(struct column_job *job)
{
    job->switches = true;
    while (!job->is_over)
        engine_command(job->engine, run_step, job);
    job_free(job);
}

void engine_forget_columns(struct column_job *job)
{
    for (uint32_t shard = 0; shard < job->relation->shards_count; shard++)
        job->left[shard] = 1;
    while (!job->relation->append_only && !job->is_over)
        engine_command(job->engine, run_undo, job);
    job_free(job);
}
