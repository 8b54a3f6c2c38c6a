/* checkpoint_restore.c: relations and views as a checkpoint has saved them. See checkpoint.h. */
#include "executor/checkpoint.h"

#include "executor/checkpoint_internal.h"
#include "executor/engine_internal.h"
#include "executor/relation_saved.h"

#include <pthread.h>
#include <unistd.h>

struct restoring {
    struct saved_table *table;
    bool begun;
};

static void begin_slots(void *ctx, uint32_t used)
{
    struct restoring *restoring = ctx;
    slot_pages_restore_begin(restoring->table->slots, used);
    if (restoring->table->index != NULL)
        hash_index_bulk_begin(restoring->table->index, used);
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
                                    saved_table_least(table), table->columns_count, &visitor, err);
    if (restoring.begun)
        slot_pages_restore_end(table->slots);
    if (restoring.begun && table->index != NULL)
        hash_index_bulk_end(table->index);
    return ok;
}

/* Whether all that this owner's shard has saved is back; of relations without the rest, which waits for all shards. */
static bool restore_owner(struct checkpoint_store *store, const struct owner *owner, struct arena *arena,
                          struct error *err)
{
    struct saved_tables tables = {.arena = arena};
    const void *rest;
    size_t rest_bytes;
    owner_tables(owner, &tables);
    for (uint32_t i = 0; i < tables.count; i++) {
        if (!restore_table(store, owner, &tables.items[i], err))
            return false;
    }
    if (owner->op == NULL || owner->op->class->restore_rest == NULL)
        return true;
    return checkpoint_store_read_rest(store, owner->name, owner->shard, arena, &rest, &rest_bytes, err) &&
           owner->op->class->restore_rest(owner->op, rest, rest_bytes, err);
}

static void count_as_saved(const struct owner *owner, struct arena *arena)
{
    struct saved_tables tables = {.arena = arena};
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
        struct batch *picked = batch_create(&moving->arena, table->types, rows->columns_count, count);
        batch_append_rows(picked, rows, list, count, 1);
        ok = move_to(&moving->to[shard], picked, version, &moving->arena, err);
    }
    return ok;
}

/* The rows of a relation that were saved in another number of shards. They count as changed: the next checkpoint writes them
 * where they are now. */
static bool move_relation(struct checkpoint_store *store, struct relation *relation, uint32_t saved_shards,
                          struct arena *arena, struct error *err)
{
    struct moving moving = {.shards_count = relation->shards_count};
    const struct checkpoint_visitor visitor = {&moving, begin_moving, move_rows};
    const struct owner first = {.name = arena_printf(arena, "r%u", relation->oid), .relation = relation};
    struct saved_tables *tables = ARENA_ARRAY(arena, struct saved_tables, relation->shards_count);
    for (uint32_t shard = 0; shard < relation->shards_count; shard++) {
        tables[shard].arena = arena;
        relation_saved_tables(relation, shard, &tables[shard]);
    }
    bool ok = true;
    arena_init(&moving.arena, NULL);
    for (uint32_t t = 0; ok && t < tables[0].count; t++) {
        struct saved_table *table = &tables[0].items[t];
        if (table->spread_by == NULL) {
            ok = restore_table(store, &first, table, err);
            continue;
        }
        moving.to = ARENA_ARRAY(arena, struct saved_table, relation->shards_count);
        for (uint32_t shard = 0; shard < relation->shards_count; shard++) {
            moving.to[shard] = tables[shard].items[t];
            if (moving.to[shard].index != NULL)
                hash_index_bulk_begin(moving.to[shard].index, 0);
        }
        for (uint32_t shard = 0; ok && shard < saved_shards; shard++)
            ok = checkpoint_store_read(store, first.name, shard, table->name, table->types,
                                       saved_table_least(table), table->columns_count, &visitor, err);
        for (uint32_t shard = 0; shard < relation->shards_count; shard++) {
            if (moving.to[shard].index != NULL)
                hash_index_bulk_end(moving.to[shard].index);
        }
    }
    arena_release(&moving.arena);
    return ok;
}

/* ---- several at once ---- */

/* What can be put back beside others: an owner, or a relation that moves. */
struct part {
    struct owner owner;
    bool moves;
};

struct restore_job {
    struct checkpoint_store *store;
    uint32_t saved_shards;
    struct arena arena; /* names, and the list: */
    struct part *parts;
    uint32_t parts_count, parts_cap;
    _Atomic uint32_t next;
    _Atomic bool has_failed;
    pthread_mutex_t lock; /* the first failure: */
    struct error failure;
    uint32_t failed_part;
};

static void job_open(struct restore_job *job, struct checkpoint_store *store, uint32_t saved_shards)
{
    *job = (struct restore_job){.store = store, .saved_shards = saved_shards};
    arena_init(&job->arena, NULL);
    error_init(&job->failure);
    pthread_mutex_init(&job->lock, NULL);
}

static void job_close(struct restore_job *job)
{
    pthread_mutex_destroy(&job->lock);
    arena_release(&job->arena);
}

static void add_part(void *ctx, const struct owner *owner)
{
    struct restore_job *job = ctx;
    struct part part = {.owner = *owner};
    ARENA_PUSH(&job->arena, job->parts, job->parts_count, job->parts_cap, part);
}

static void add_relation(struct restore_job *job, struct relation *relation)
{
    if (job->saved_shards == relation->shards_count) {
        owners_of_relation(relation, &job->arena, add_part, job);
        return;
    }
    struct part part = {.owner = {.relation = relation}, .moves = true};
    ARENA_PUSH(&job->arena, job->parts, job->parts_count, job->parts_cap, part);
}

static void *restore_parts(void *arg)
{
    struct restore_job *job = arg;
    struct arena arena;
    struct error error;
    arena_init(&arena, NULL);
    error_init(&error);
    for (uint32_t i;
         !atomic_load(&job->has_failed) && (i = atomic_fetch_add(&job->next, 1)) < job->parts_count;) {
        const struct part *part = &job->parts[i];
        arena_reset(&arena);
        if (part->moves ? move_relation(job->store, part->owner.relation, job->saved_shards, &arena, &error)
                        : restore_owner(job->store, &part->owner, &arena, &error))
            continue;
        pthread_mutex_lock(&job->lock);
        if (!atomic_load(&job->has_failed)) {
            job->failure = error;
            job->failed_part = i;
        }
        atomic_store(&job->has_failed, true);
        pthread_mutex_unlock(&job->lock);
    }
    arena_release(&arena);
    return NULL;
}

/* All parts, on as many threads as there are processors: nothing else runs yet. */
static bool run_parts(struct restore_job *job, struct error *err)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t threads = processors < 1 ? 1 : processors > SHARDS_MAX ? SHARDS_MAX : (uint32_t)processors;
    threads = threads < job->parts_count ? threads : job->parts_count;
    pthread_t *others = ARENA_ARRAY(&job->arena, pthread_t, threads);
    uint32_t started = 0; /* beside this one; it can do without those that the system refuses */
    while (started + 1 < threads && pthread_create(&others[started], NULL, restore_parts, job) == 0)
        started++;
    restore_parts(job);
    for (uint32_t i = 0; i < started; i++)
        pthread_join(others[i], NULL);
    if (job->has_failed)
        *err = job->failure;
    return !job->has_failed;
}

/* When the rests are back too: nothing has changed since it was saved, but for what moves. */
static void count_parts(struct restore_job *job)
{
    for (uint32_t i = 0; i < job->parts_count; i++) {
        if (!job->parts[i].moves)
            count_as_saved(&job->parts[i].owner, &job->arena);
    }
}

/* ---- relations ---- */

/* The rows of all shards are there. */
static bool finish_relation(struct engine *engine, struct restore_job *job, struct relation *relation,
                            struct error *err)
{
    const void *rest;
    size_t rest_bytes;
    if (!checkpoint_store_read_rest(job->store, arena_printf(&job->arena, "r%u", relation->oid), 0,
                                    &job->arena, &rest, &rest_bytes, err) ||
        !relation_restore_rest(relation, rest, rest_bytes, job->saved_shards, err))
        return false;
    if (relation->late != NULL &&
        (!checkpoint_store_read_rest(job->store, arena_printf(&job->arena, "l%u", relation->oid), 0,
                                     &job->arena, &rest, &rest_bytes, err) ||
         !relation_restore_rest(relation->late, rest, rest_bytes, job->saved_shards, err)))
        return false;
    engine_list_relation(engine, relation);
    if (relation->watermark != NULL)
        engine_list_watermark(engine, relation);
    engine_list_retention(engine, relation);
    return true;
}

struct relations_job {
    struct checkpoint_store *store;
    uint32_t saved_shards;
    struct relation *const *relations;
    uint32_t count;
    struct relation *failed;
    struct error *err;
    bool ok;
};

static void run_relations(struct engine *engine, void *ctx)
{
    struct relations_job *asked = ctx;
    struct restore_job job;
    job_open(&job, asked->store, asked->saved_shards);
    for (uint32_t i = 0; i < asked->count; i++)
        add_relation(&job, asked->relations[i]);
    asked->ok = run_parts(&job, asked->err);
    if (!asked->ok)
        asked->failed = job.parts[job.failed_part].owner.relation;
    for (uint32_t i = 0; asked->ok && i < asked->count; i++) {
        asked->ok = finish_relation(engine, &job, asked->relations[i], asked->err);
        if (!asked->ok)
            asked->failed = asked->relations[i];
    }
    if (asked->ok)
        count_parts(&job);
    engine->wake_us = engine_next_due(engine);
    job_close(&job);
}

bool engine_restore_relations(struct engine *engine, struct checkpoint_store *store, uint32_t saved_shards,
                              struct relation *const *relations, uint32_t count, struct relation **failed,
                              struct error *err)
{
    struct relations_job job = {
        .store = store, .saved_shards = saved_shards, .relations = relations, .count = count, .err = err};
    engine_command(engine, run_relations, &job);
    *failed = job.failed;
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
    struct restore_job parts;
    job_open(&parts, job->store, rest->shards);
    dataflow_set_watermark(flow, rest->watermark);
    bool ok = fill_fragments(engine, flow, false, job->why);
    if (ok) {
        owners_of_view(flow, &parts.arena, add_part, &parts);
        add_relation(&parts, job->relation);
        ok = run_parts(&parts, job->why) && finish_relation(engine, &parts, job->relation, job->why);
    }
    if (ok) {
        count_parts(&parts);
        dataflow_restored(flow);
    }
    job_close(&parts);
    return ok;
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
