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
    uint32_t saved_shards; /* of relations */
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
                  relation_restore_rest(owner->relation, rest, rest_bytes, job->saved_shards, job->err);
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
        *table->rows =
            (struct saved_rows){.is_begun = true, .saved = end, .taken = end, .front_taken = first};
    }
}

/* ---- another number of shards ---- */

/* One table of a relation on its way from a shard it was saved in to those there are now. */
struct moving {
    struct saved_table *to; /* per shard */
    uint32_t shards_count;
    struct arena arena; /* of a batch */
};

static void begin_moving(void *ctx, uint32_t used) {}

/* Rows that belong to one shard get its next slots, or numbers. */
static bool move_to(struct saved_table *to, const struct batch *rows, uint32_t version, struct arena *arena,
                    struct error *err)
{
    if (to->slots == NULL) {
        uint64_t first, end;
        to->bounds(to->of, &first, &end);
        return to->append(to->of, end, rows, version, err);
    }
    uint32_t used = to->slots->used, *slots = arena_alloc(arena, sizeof(*slots) * rows->rows);
    for (uint32_t i = 0; i < rows->rows; i++)
        slots[i] = used + i;
    slot_pages_restore_begin(to->slots, used + rows->rows);
    return to->restore(to->of, slots, rows, version, err);
}

static bool move_rows(void *ctx, const uint32_t *slots, uint64_t first, const struct batch *rows,
                      uint32_t version, struct error *err)
{
    struct moving *moving = ctx;
    struct saved_table *table = &moving->to[0];
    if ((slots != NULL) != (table->slots != NULL) || version > table->version)
        return error_set(err, ERRCODE_DATA_CORRUPTED,
                         "a table of state is not of the kind or version that it was saved as");
    arena_reset(&moving->arena);
    uint64_t *hashes = arena_alloc(&moving->arena, sizeof(*hashes) * rows->rows);
    uint32_t *list = arena_alloc(&moving->arena, sizeof(*list) * rows->rows);
    batch_hash(rows, table->spread_by, table->spread_by_count, hashes);
    bool ok = true;
    for (uint32_t shard = 0; ok && shard < moving->shards_count; shard++) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < rows->rows; i++) {
            list[count] = i;
            count += shard_of_hash(hashes[i], moving->shards_count) == shard;
        }
        if (count == 0)
            continue;
        struct batch *picked = batch_create(&moving->arena, table->types, table->columns_count, count);
        batch_append_rows(picked, rows, list, count, 1);
        ok = move_to(&moving->to[shard], picked, version, &moving->arena, err);
    }
    return ok;
}

/* The rows of a relation that were saved in another number of shards. They count as changed: the next checkpoint writes them
 * where they are now. */
static void move_relation(struct restore_job *job, struct relation *relation)
{
    struct moving moving = {.shards_count = relation->shards_count};
    const struct checkpoint_visitor visitor = {&moving, begin_moving, move_rows};
    const char *name = arena_printf(&job->arena, "r%u", relation->oid);
    struct saved_tables *tables = ARENA_ARRAY(&job->arena, struct saved_tables, relation->shards_count);
    for (uint32_t shard = 0; shard < relation->shards_count; shard++) {
        tables[shard].arena = &job->arena;
        relation_saved_tables(relation, shard, &tables[shard]);
    }
    arena_init(&moving.arena, NULL);
    for (uint32_t t = 0; job->ok && t < tables[0].count; t++) {
        struct saved_table *table = &tables[0].items[t];
        const struct owner first = {.name = name, .relation = relation};
        if (table->spread_by == NULL) {
            job->ok = restore_table(job->store, &first, table, job->err);
            continue;
        }
        moving.to = ARENA_ARRAY(&job->arena, struct saved_table, relation->shards_count);
        for (uint32_t shard = 0; shard < relation->shards_count; shard++)
            moving.to[shard] = tables[shard].items[t];
        for (uint32_t shard = 0; job->ok && shard < job->saved_shards; shard++)
            job->ok = checkpoint_store_read(job->store, name, shard, table->name, table->types,
                                            table->columns_count, &visitor, job->err);
    }
    arena_release(&moving.arena);
    const void *rest;
    size_t rest_bytes;
    job->ok = job->ok &&
              checkpoint_store_read_rest(job->store, name, 0, &job->arena, &rest, &rest_bytes, job->err) &&
              relation_restore_rest(relation, rest, rest_bytes, job->saved_shards, job->err);
}

/* ---- relations ---- */

struct relation_job {
    struct checkpoint_store *store;
    uint32_t saved_shards;
    struct relation *relation;
    struct error *err;
    bool ok;
};

static void restore_contents(struct engine *engine, struct restore_job *job, struct relation *relation)
{
    if (job->saved_shards != relation->shards_count) {
        move_relation(job, relation);
    } else {
        owners_of_relation(relation, &job->arena, restore_owner, job);
        if (job->ok)
            owners_of_relation(relation, &job->arena, count_as_saved, job);
    }
    if (!job->ok)
        return;
    engine_list_relation(engine, relation);
    if (relation->watermark != NULL)
        engine_list_watermark(engine, relation);
    engine_list_retention(engine, relation);
}

static void run_relation(struct engine *engine, void *ctx)
{
    struct relation_job *asked = ctx;
    struct restore_job job = {
        .store = asked->store, .saved_shards = asked->saved_shards, .err = asked->err, .ok = true};
    arena_init(&job.arena, NULL);
    restore_contents(engine, &job, asked->relation);
    engine->wake_us = engine_next_due(engine);
    arena_release(&job.arena);
    asked->ok = job.ok;
}

bool engine_restore_relation(struct engine *engine, struct checkpoint_store *store, uint32_t saved_shards,
                             struct relation *relation, struct error *err)
{
    struct relation_job job = {store, saved_shards, relation, err, false};
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
        return error_set(job->why, ERRCODE_DATA_CORRUPTED, "its state lies in %u parts, not in %u",
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
    struct restore_job parts = {.store = job->store, .saved_shards = rest->shards, .err = job->why};
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
