/* checkpoint_restore.c: relations and views as a checkpoint has saved them. See checkpoint.h. */
#include "executor/checkpoint.h"

#include "executor/checkpoint_internal.h"
#include "executor/engine_internal.h"
#include "executor/relation_saved.h"

struct restoring {
    struct saved_table *table;
    bool begun;
};

static void begin_slots(void *ctx, uint32_t used)
{
    struct restoring *restoring = ctx;
    slot_pages_restore_begin(restoring->table->slots, used);
    restoring->begun = true;
}

static bool restore_rows(void *ctx, const uint32_t *slots, uint64_t first, const struct batch *rows,
                         uint32_t version, struct error *err)
{
    struct saved_table *table = ((struct restoring *)ctx)->table;
    if ((slots != NULL) != (table->slots != NULL))
        return error_set(err, ERRCODE_DATA_CORRUPTED,
                         "a table of state is of another kind than it was saved as");
    if (version > table->version)
        return error_set(err, ERRCODE_DATA_CORRUPTED,
                         "a table of state was saved by a newer version of Millrace");
    return slots != NULL ? table->restore(table->of, slots, rows, version, err)
                         : table->append(table->of, first, rows, version, err);
}

static bool restore_table(struct checkpoint_store *store, const struct owner *owner,
                          struct saved_table *table, struct error *err)
{
    struct restoring restoring = {.table = table};
    const struct checkpoint_visitor visitor = {&restoring, begin_slots, restore_rows};
    bool ok = checkpoint_store_read(store, owner->name, owner->shard, table->name, table->types,
                                    table->columns_count, &visitor, err);
    if (restoring.begun)
        slot_pages_restore_end(table->slots);
    return ok;
}

struct restore_job {
    struct checkpoint_store *store;
    struct arena arena;
    struct error *err;
    bool ok;
};

static void restore_owner(void *ctx, const struct owner *owner)
{
    struct restore_job *job = ctx;
    struct saved_tables tables = {.arena = &job->arena};
    owner_tables(owner, &tables);
    for (uint32_t i = 0; job->ok && i < tables.count; i++)
        job->ok = restore_table(job->store, owner, &tables.items[i], job->err);
    const void *rest;
    size_t rest_bytes;
    job->ok = job->ok && checkpoint_store_read_rest(job->store, owner->name, owner->shard, &job->arena, &rest,
                                                    &rest_bytes, job->err);
    if (!job->ok)
        return;
    if (owner->relation != NULL && owner->shard == owner->relation->shards_count - 1) {
        /* all shards are back; the rest was saved with the first */
        job->ok = checkpoint_store_read_rest(job->store, owner->name, 0, &job->arena, &rest, &rest_bytes,
                                             job->err) &&
                  relation_restore_rest(owner->relation, rest, rest_bytes, job->err);
    }
    if (owner->op != NULL && owner->op->class->restore_rest != NULL)
        job->ok = owner->op->class->restore_rest(owner->op, rest, rest_bytes, job->err);
}

static void count_as_saved(void *ctx, const struct owner *owner)
{
    struct restore_job *job = ctx;
    struct saved_tables tables = {.arena = &job->arena};
    owner_tables(owner, &tables);
    for (uint32_t i = 0; i < tables.count; i++) {
        const struct saved_table *table = &tables.items[i];
        if (table->slots != NULL)
            continue; /* slot_pages_restore_end has said so */
        uint64_t first, end;
        table->bounds(table->of, &first, &end);
        *table->rows = (struct saved_rows){.saved = end, .taken = end, .front_taken = first};
    }
}

/* ---- relations ---- */

struct relation_job {
    struct checkpoint_store *store;
    struct relation *relation;
    struct error *err;
    bool ok;
};

static void restore_contents(struct engine *engine, struct restore_job *job, struct relation *relation)
{
    owners_of_relation(relation, &job->arena, restore_owner, job);
    if (!job->ok)
        return;
    owners_of_relation(relation, &job->arena, count_as_saved, job);
    engine_list_relation(engine, relation);
    if (relation->watermark != NULL)
        engine_list_watermark(engine, relation);
    engine_list_retention(engine, relation);
}

static void run_relation(struct engine *engine, void *ctx)
{
    struct relation_job *asked = ctx;
    struct restore_job job = {.store = asked->store, .err = asked->err, .ok = true};
    arena_init(&job.arena, NULL);
    restore_contents(engine, &job, asked->relation);
    engine->wake_us = engine_next_due(engine);
    arena_release(&job.arena);
    asked->ok = job.ok;
}

bool engine_restore_relation(struct engine *engine, struct checkpoint_store *store, struct relation *relation,
                             struct error *err)
{
    struct relation_job job = {store, relation, err, false};
    engine_command(engine, run_relation, &job);
    return job.ok;
}

/* ---- views ---- */

struct view_job {
    struct checkpoint_store *store;
    const struct relation_desc *desc;
    struct plan *plan;
    struct arena *plan_arena;
    const struct eval_env *env;
    uint64_t created_epoch;
    bool may_refill;
    struct relation *relation;
    struct error *why, *err;
    bool ok;
};

/* Whether what was saved is the state of this plan in so many shards; else *why. */
static bool read_head(struct view_job *job, struct dataflow *flow, struct arena *arena,
                      struct view_rest *rest)
{
    const void *bytes;
    size_t len;
    if (!checkpoint_store_read_rest(job->store, arena_printf(arena, "v%u", job->desc->oid), 0, arena, &bytes,
                                    &len, job->why))
        return false;
    if (bytes == NULL || len < sizeof(*rest))
        return error_set(job->why, ERRCODE_DATA_CORRUPTED, "no state of it was saved");
    memcpy(rest, bytes, sizeof(*rest));
    if (rest->format != VIEW_REST_FORMAT)
        return error_set(job->why, ERRCODE_DATA_CORRUPTED, "its state has format %u, this version reads %u",
                         rest->format, VIEW_REST_FORMAT);
    if (rest->shards != flow->shards_count)
        return error_set(job->why, ERRCODE_DATA_CORRUPTED, "its state is that of %u workers, not %u",
                         rest->shards, flow->shards_count);
    return rest->plan_hash == flow->plan_hash ||
           error_set(job->why, ERRCODE_DATA_CORRUPTED, "its plan is another under this version");
}

/* Shared arrangements that are new: from the rows of their relations, which are back. */
static bool fill_fragments(struct engine *engine, struct dataflow *flow, bool all, struct error *err)
{
    bool ok = true;
    struct dataflow *fragment;
    while ((fragment = dataflow_next_unfilled(flow)) != NULL) {
        if (ok && (all || !arrangement_is_saved(fragment->arrangement)))
            ok = dataflow_tick(fragment, engine->epoch, engine->clock_us, 0, true, NULL, engine->workers,
                               UINT64_MAX, err);
        dataflow_end_tick(fragment);
    }
    return ok;
}

static bool put_back(struct engine *engine, struct view_job *job, struct dataflow *flow,
                     const struct view_rest *rest)
{
    struct restore_job parts = {.store = job->store, .err = job->why};
    arena_init(&parts.arena, NULL);
    dataflow_set_watermark(flow, rest->watermark);
    parts.ok = fill_fragments(engine, flow, false, job->why);
    if (parts.ok)
        owners_of_view(flow, &parts.arena, restore_owner, &parts);
    if (parts.ok)
        owners_of_view(flow, &parts.arena, count_as_saved, &parts);
    if (parts.ok)
        restore_contents(engine, &parts, job->relation);
    if (parts.ok)
        dataflow_restored(flow);
    arena_release(&parts.arena);
    return parts.ok;
}

static bool make_view(struct view_job *job, struct engine *engine, struct dataflow **flow)
{
    job->relation = relation_create(job->desc, engine->shards_count, engine->account);
    if (dataflow_create_view(job->relation, job->plan, NULL, job->env, job->desc->late, engine->account, NULL,
                             flow, job->err)) {
        /* arrangements that are there already, filled, serve it too */
        dataflow_destroy_list(dataflow_publish(*flow));
        return true;
    }
    relation_release(job->relation);
    job->relation = NULL;
    return false;
}

static void unmake_view(struct view_job *job, struct engine *engine, struct dataflow *flow)
{
    engine_forget_timer(engine, flow);
    engine_unlist_relation(engine, job->relation);
    dataflow_destroy(flow);
    relation_release(job->relation);
    job->relation = NULL;
}

static bool refill(struct engine *engine, struct view_job *job, struct dataflow *flow)
{
    struct relation *target = job->relation;
    for (uint32_t shard = 0; !target->append_only && shard < target->shards_count; shard++)
        row_store_begin_tick(target->stores[shard], engine->epoch);
    if (!fill_fragments(engine, flow, true, job->err) ||
        !dataflow_tick(flow, engine->epoch, engine->clock_us, 0, true, NULL, engine->workers, UINT64_MAX,
                       job->err))
        return false;
    engine_list_relation(engine, target);
    atomic_store(&target->last_epoch, engine->epoch);
    if (target->late != NULL && dataflow_has_late_rows(flow)) {
        dataflow_store_late_rows(flow);
        feed_clear(&target->late->feed);
        atomic_store(&target->late->last_epoch, engine->epoch);
    }
    dataflow_end_tick(flow);
    return true;
}

static void run_view(struct engine *engine, void *ctx)
{
    struct view_job *job = ctx;
    struct arena arena;
    arena_init(&arena, NULL);
    struct dataflow *flow = NULL;
    struct view_rest rest;
    error_init(job->why);
    job->ok = make_view(job, engine, &flow);
    if (job->ok && !(read_head(job, flow, &arena, &rest) && put_back(engine, job, flow, &rest))) {
        /* half of it may be there */
        unmake_view(job, engine, flow);
        if (!job->may_refill) {
            *job->err = *job->why;
            job->ok = false;
        } else {
            job->ok = make_view(job, engine, &flow);
            if (job->ok && !refill(engine, job, flow)) {
                unmake_view(job, engine, flow);
                job->ok = false;
            }
        }
    }
    if (job->ok) {
        job->relation->created_epoch = job->created_epoch;
        flow->plan_arena = job->plan_arena;
        engine_note_timer(engine, flow);
    } else {
        arena_release(job->plan_arena);
        mem_free(job->plan_arena);
    }
    engine->wake_us = engine_next_due(engine);
    arena_release(&arena);
}

bool engine_restore_view(struct engine *engine, struct checkpoint_store *store,
                         const struct relation_desc *desc, struct plan *plan, struct arena *plan_arena,
                         const struct eval_env *env, uint64_t created_epoch, bool may_refill,
                         struct relation **out, struct error *why, struct error *err)
{
    struct view_job job = {.store = store,
                           .desc = desc,
                           .plan = plan,
                           .plan_arena = plan_arena,
                           .env = env,
                           .created_epoch = created_epoch,
                           .may_refill = may_refill,
                           .why = why,
                           .err = err};
    engine_command(engine, run_view, &job);
    *out = job.relation;
    return job.ok;
}

struct restore_epoch {
    uint64_t epoch;
    int64_t clock_us;
};

static void run_epoch(struct engine *engine, void *ctx)
{
    const struct restore_epoch *to = ctx;
    engine->epoch = to->epoch;
    engine->clock_us = to->clock_us;
    engine_published(engine);
}

void engine_restore_epoch(struct engine *engine, uint64_t epoch, int64_t clock_us)
{
    struct restore_epoch to = {epoch, clock_us};
    engine_command(engine, run_epoch, &to);
}
