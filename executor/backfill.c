/* backfill.c: see backfill.h. */
#include "executor/backfill.h"

#include "executor/engine_internal.h"

#define CHUNK_BYTES    ((size_t)1 << 20) /* recorded ticks are freed in chunks of about this size */
#define HANDOVER_ROWS  8192u             /* what the engine runs itself, between two ticks */
#define HANDOVER_TICKS 64u
#define TICK_ROWS      (HANDOVER_ROWS / HANDOVER_TICKS) /* what a tick costs besides its rows, in rows */
#define ROUNDS_MAX     4u      /* rounds that may fail to bring the view nearer before writers wait for it */
#define PARALLEL_ROWS  100000u /* fewer rows do not pay for threads of their own */

struct recorded_input {
    const struct feed_shard *shards; /* NULL: no change */
    int64_t watermark_before, watermark;
};

/* In its chunk's arena. */
struct recorded_tick {
    struct recorded_tick *next;
    uint64_t epoch, seed;
    int64_t clock_us;
    uint64_t rows;
    struct recorded_input *inputs; /* NULL: the tick did nothing to any of them */
};

struct tick_chunk {
    struct tick_chunk *next;
    struct arena arena;
    struct recorded_tick *first, *last;
    uint64_t ticks;
};

struct backfill {
    struct backfill *next; /* the engine's list */
    struct engine *engine;
    struct relation *target;
    struct dataflow *flow;
    struct workers *workers; /* of its own, or NULL; in recovery the engine's */
    struct account account;  /* of the recorded ticks */
    struct tick_frame frame;
    uint32_t inputs_cap;
    struct backfill_progress *progress;
    struct backfill_progress own_progress; /* when the caller wants none */
    uint64_t epoch, seed;                  /* of the empty tick */
    int64_t clock_us;
    bool is_recorded;          /* in the engine's list; engine's thread */
    bool holds;                /* engine_hold */
    bool keeps_holding;        /* writers wait until it is live; the filling thread's */
    struct dataflow *given_up; /* arrangements that gave way to others */

    pthread_mutex_t lock;
    struct tick_chunk *first, *last; /* recorded, not taken yet */
    uint64_t queued_rows, queued_ticks;
    int64_t queued_bytes;
};

/* What engine_create_view and its commands hand to each other. */
struct fill {
    struct backfill *backfill;
    const struct relation_desc *desc;
    const struct plan *plan;
    struct arena *plan_arena;
    const struct eval_env *env;
    const _Atomic bool *cancel;
    struct error *err;
    bool ok;
    bool declined; /* run_finish: too much is left */
};

/* ---- recording: the engine's thread ---- */

static const struct batch *copy_batch(const struct relation *relation, const struct batch *from,
                                      struct arena *arena)
{
    struct batch *copy =
        batch_create(arena, relation_shape(relation)->types, from->columns_count, from->rows);
    batch_append_range(copy, from, 0, from->rows, 1);
    if (from->watermarks != NULL) {
        copy->watermarks = arena_copy(arena, from->watermarks, sizeof(int64_t) * from->rows);
        copy->positions = arena_copy(arena, from->positions, sizeof(int64_t) * from->rows);
    }
    return copy;
}

static const struct feed_shard *copy_feed(const struct relation *relation, struct arena *arena,
                                          uint64_t *rows)
{
    struct feed_shard *copy = ARENA_ARRAY(arena, struct feed_shard, relation->shards_count);
    for (uint32_t shard = 0; shard < relation->shards_count; shard++) {
        const struct feed_shard *from = &relation->feed.shards[shard];
        copy[shard].batches = ARENA_ARRAY(arena, const struct batch *, from->count);
        for (uint32_t i = 0; i < from->count; i++) {
            copy[shard].batches[i] = copy_batch(relation, from->batches[i], arena);
            *rows += from->batches[i]->rows;
        }
        copy[shard].count = from->count;
    }
    return copy;
}

static void record_inputs(const struct backfill *b, struct recorded_tick *tick, struct arena *arena)
{
    bool any = false;
    for (uint32_t i = 0; i < b->frame.inputs_count && !any; i++) {
        const struct relation *relation = b->frame.inputs[i].relation;
        any = relation->feed.dirty || relation_watermark_moved(relation, tick->epoch);
    }
    if (!any)
        return;
    tick->inputs = ARENA_ARRAY(arena, struct recorded_input, b->frame.inputs_count);
    for (uint32_t i = 0; i < b->frame.inputs_count; i++) {
        const struct relation *relation = b->frame.inputs[i].relation;
        struct recorded_input *input = &tick->inputs[i];
        input->watermark_before = relation_watermark_before(relation, tick->epoch);
        input->watermark = relation->watermark_now;
        if (relation->feed.dirty)
            input->shards = copy_feed(relation, arena, &tick->rows);
    }
}

static void record(struct backfill *b, uint64_t epoch, int64_t clock_us, uint64_t seed)
{
    pthread_mutex_lock(&b->lock);
    struct tick_chunk *chunk = b->last;
    if (chunk == NULL || chunk->arena.total_bytes > CHUNK_BYTES) {
        chunk = mem_zalloc(sizeof(*chunk));
        arena_init(&chunk->arena, &b->account);
        if (b->last != NULL)
            b->last->next = chunk;
        else
            b->first = chunk;
        b->last = chunk;
    }
    size_t bytes_before = chunk->arena.total_bytes;
    struct recorded_tick *tick = ARENA_NEW(&chunk->arena, struct recorded_tick);
    tick->epoch = epoch;
    tick->clock_us = clock_us;
    tick->seed = seed;
    record_inputs(b, tick, &chunk->arena);
    if (chunk->last != NULL)
        chunk->last->next = tick;
    else
        chunk->first = tick;
    chunk->last = tick;
    chunk->ticks++;
    b->queued_rows += tick->rows;
    b->queued_ticks++;
    b->queued_bytes += (int64_t)(chunk->arena.total_bytes - bytes_before);
    bool is_full = b->queued_bytes > b->engine->backfill_bytes;
    atomic_fetch_add(&b->progress->ticks_behind, 1);
    atomic_store(&b->progress->waiting_bytes, b->queued_bytes);
    pthread_mutex_unlock(&b->lock);
    if (is_full)
        engine_hold(b->engine, &b->holds, true);
}

void backfill_record(struct engine *engine, uint64_t epoch, int64_t clock_us, uint64_t seed)
{
    for (struct backfill *b = engine->backfills; b != NULL; b = b->next)
        record(b, epoch, clock_us, seed);
}

/* ---- filling: one thread at a time ---- */

static void count_rows(struct backfill *b, struct dataflow *flow)
{
    atomic_fetch_add(&b->engine->stat_rows_processed, dataflow_take_rows_in(flow));
}

/* The view's own part of a tick, as the engine's run_dataflows does it for those that live. */
static bool run_view(struct backfill *b, uint64_t epoch, int64_t clock_us, uint64_t seed, bool initial,
                     const _Atomic bool *cancel, uint64_t rows, struct error *err)
{
    struct relation *target = b->target;
    uint64_t last_epoch = atomic_load(&target->last_epoch);
    atomic_store(&target->last_epoch, epoch);
    relation_begin_tick(target, epoch);
    bool ok = dataflow_tick(b->flow, epoch, clock_us, seed, initial, cancel, b->workers, rows, err);
    count_rows(b, b->flow);
    if (ok) {
        (void)dataflow_pass_watermark(b->flow, epoch);
        if (target->late != NULL && dataflow_has_late_rows(b->flow)) {
            atomic_store(&target->late->last_epoch, epoch);
            relation_begin_tick(target->late, epoch);
            dataflow_store_late_rows(b->flow);
            feed_clear(&target->late->feed);
        }
        if (feed_rows(&target->feed) == 0 && !initial)
            atomic_store(&target->last_epoch, last_epoch);
    }
    dataflow_end_tick(b->flow);
    return ok;
}

static void trim_target(struct backfill *b)
{
    uint64_t oldest = snapshots_oldest(b->engine->snapshots);
    (void)relation_trim(b->target, oldest, UINT64_MAX);
    if (b->target->late != NULL)
        (void)relation_trim(b->target->late, oldest, UINT64_MAX);
}

static bool run_initial(struct backfill *b, const _Atomic bool *cancel, struct error *err)
{
    bool ok = true;
    struct dataflow *fragment;
    while (ok && (fragment = dataflow_next_unfilled(b->flow)) != NULL) {
        ok = dataflow_tick(fragment, b->epoch, b->clock_us, b->seed, true, cancel, b->workers, UINT64_MAX,
                           err);
        count_rows(b, fragment);
        dataflow_end_tick(fragment);
    }
    b->target->created_epoch = b->epoch;
    ok = ok && run_view(b, b->epoch, b->clock_us, b->seed, true, cancel, UINT64_MAX, err);
    trim_target(b);
    return ok;
}

static bool run_recorded(struct backfill *b, const struct recorded_tick *tick, const _Atomic bool *cancel,
                         struct error *err)
{
    for (uint32_t i = 0; i < b->frame.inputs_count; i++) {
        struct frame_input *input = &b->frame.inputs[i];
        input->shards = tick->inputs != NULL ? tick->inputs[i].shards : NULL;
        input->watermark_before = tick->inputs != NULL ? tick->inputs[i].watermark_before : input->watermark;
        if (tick->inputs != NULL)
            input->watermark = tick->inputs[i].watermark;
    }
    if (tick->inputs == NULL && dataflow_due_clock(b->flow) > tick->clock_us)
        return true;
    bool ok = true;
    struct dataflow *fragment;
    for (uint32_t i = 0; ok && (fragment = dataflow_fragment(b->flow, i)) != NULL; i++) {
        if (!dataflow_is_called(fragment, tick->epoch, tick->clock_us))
            continue;
        ok = dataflow_tick(fragment, tick->epoch, tick->clock_us, tick->seed, false, cancel, b->workers,
                           tick->rows, err);
        count_rows(b, fragment);
    }
    if (ok && dataflow_is_called(b->flow, tick->epoch, tick->clock_us))
        ok = run_view(b, tick->epoch, tick->clock_us, tick->seed, false, cancel, tick->rows, err);
    for (uint32_t i = 0; (fragment = dataflow_fragment(b->flow, i)) != NULL; i++)
        dataflow_end_tick(fragment);
    return ok;
}

/* Runs and frees the chunks, or, after a failure, only frees them. */
static bool run_chunks(struct backfill *b, struct tick_chunk *chunk, bool ok, const _Atomic bool *cancel,
                       struct error *err)
{
    while (chunk != NULL) {
        struct tick_chunk *next = chunk->next;
        for (const struct recorded_tick *tick = chunk->first; ok && tick != NULL; tick = tick->next) {
            if (cancel != NULL && atomic_load(cancel))
                ok = error_set(err, ERRCODE_QUERY_CANCELED, "canceling statement due to user request");
            ok = ok && run_recorded(b, tick, cancel, err);
        }
        if (ok)
            trim_target(b);
        atomic_fetch_sub(&b->progress->ticks_behind, chunk->ticks);
        arena_release(&chunk->arena);
        mem_free(chunk);
        chunk = next;
    }
    return ok;
}

/* *cost: of running them, in rows. */
static struct tick_chunk *take_chunks(struct backfill *b, uint64_t *cost)
{
    pthread_mutex_lock(&b->lock);
    struct tick_chunk *first = b->first;
    b->first = b->last = NULL;
    *cost = b->queued_rows + b->queued_ticks * TICK_ROWS;
    b->queued_rows = b->queued_ticks = 0;
    b->queued_bytes = 0;
    atomic_store(&b->progress->waiting_bytes, 0);
    pthread_mutex_unlock(&b->lock);
    return first;
}

static bool is_near(struct backfill *b, uint32_t times)
{
    pthread_mutex_lock(&b->lock);
    bool near = b->queued_rows <= (uint64_t)times * HANDOVER_ROWS &&
                b->queued_ticks <= (uint64_t)times * HANDOVER_TICKS;
    pthread_mutex_unlock(&b->lock);
    return near;
}

/* ---- commands on the engine's thread ---- */

static void add_input(void *ctx, struct relation *relation)
{
    struct backfill *b = ctx;
    for (uint32_t i = 0; i < b->frame.inputs_count; i++) {
        if (b->frame.inputs[i].relation == relation)
            return;
    }
    if (b->frame.inputs_count == b->inputs_cap) {
        b->inputs_cap = b->inputs_cap ? b->inputs_cap * 2 : 4;
        b->frame.inputs = mem_realloc(b->frame.inputs, sizeof(*b->frame.inputs) * b->inputs_cap);
    }
    b->frame.inputs[b->frame.inputs_count++] = (struct frame_input){.relation = relation};
}

/* Takes the empty tick, pins its epoch and begins to record. */
static void run_begin(struct engine *engine, void *ctx)
{
    struct fill *fill = ctx;
    struct backfill *b = fill->backfill;
    for (uint32_t i = 0; i < b->frame.inputs_count; i++) {
        const struct relation *relation = b->frame.inputs[i].relation;
        if (!relation->dropped)
            continue;
        fill->ok =
            error_set(fill->err, ERRCODE_UNDEFINED_TABLE, "relation \"%s\" does not exist", relation->name);
        return;
    }
    if (!engine_may_log(engine, fill->err)) {
        fill->ok = false;
        return;
    }
    b->epoch = engine_empty_tick(engine, &b->clock_us, &b->seed);
    b->frame.snapshot = snapshot_open(engine->snapshots, 0);
    if (b->frame.snapshot != b->epoch) {
        snapshot_close(engine->snapshots, b->frame.snapshot);
        fill->ok = error_set(fill->err, ERRCODE_IO_ERROR, "the tick log cannot be written");
        return;
    }
    for (uint32_t i = 0; i < b->frame.inputs_count; i++) {
        struct frame_input *input = &b->frame.inputs[i];
        input->watermark_before = input->watermark = input->relation->watermark_now;
        input->relation->recorders++;
    }
    b->next = engine->backfills;
    engine->backfills = b;
    b->is_recorded = true;
    fill->ok = true;
}

static void stop_recording(struct backfill *b)
{
    if (!b->is_recorded)
        return;
    struct backfill **link = &b->engine->backfills;
    while (*link != b)
        link = &(*link)->next;
    *link = b->next;
    b->is_recorded = false;
    for (uint32_t i = 0; i < b->frame.inputs_count; i++)
        b->frame.inputs[i].relation->recorders--;
    engine_hold(b->engine, &b->holds, false);
}

static void run_abort(struct engine *engine, void *ctx)
{
    struct fill *fill = ctx;
    stop_recording(fill->backfill);
}

static void publish(struct backfill *b)
{
    struct engine *engine = b->engine;
    b->given_up = dataflow_publish(b->flow);
    engine_list_relation(engine, b->target);
    engine_note_timer(engine, b->flow);
    engine_note_trim(engine, b->target);
    if (b->target->late != NULL)
        engine_note_trim(engine, b->target->late);
    if (b->target->has_watermark)
        relation_publish_watermark(b->target);
    engine->wake_us = engine_next_due(engine);
    atomic_store(&b->progress->phase, BACKFILL_LIVE);
}

/* Runs what is left and puts the view among those that live. */
static void run_finish(struct engine *engine, void *ctx)
{
    struct fill *fill = ctx;
    struct backfill *b = fill->backfill;
    fill->declined = !is_near(b, 2);
    if (fill->declined)
        return;
    uint64_t cost;
    fill->ok = run_chunks(b, take_chunks(b, &cost), true, fill->cancel, fill->err);
    stop_recording(b);
    if (fill->ok)
        publish(b);
}

/* ---- the way of a view ---- */

static struct backfill *backfill_create(struct engine *engine, const struct relation_desc *desc,
                                        struct backfill_progress *progress)
{
    struct backfill *b = mem_zalloc(sizeof(*b));
    b->engine = engine;
    b->progress = progress != NULL ? progress : &b->own_progress;
    b->frame.rows_done = &b->progress->rows_done;
    account_init(&b->account, engine->account, "backfill", 0);
    pthread_mutex_init(&b->lock, NULL);
    b->target = relation_create(desc, engine->shards_count, engine->account);
    return b;
}

static void backfill_destroy(struct backfill *b)
{
    dataflow_destroy_list(b->given_up);
    mem_free(b->frame.inputs);
    pthread_mutex_destroy(&b->lock);
    mem_free(b);
}

/* Rounds of recorded ticks, each shorter than the one before, until the engine takes over. A view that a few rounds
 * have not brought nearer would never arrive: then no more transactions are taken until it does. */
static bool catch_up(struct fill *fill)
{
    struct backfill *b = fill->backfill;
    uint64_t before = UINT64_MAX;
    for (uint32_t wasted = 0;;) {
        if (is_near(b, 1) || b->keeps_holding) {
            fill->declined = false;
            engine_command(b->engine, run_finish, fill);
            if (!fill->declined)
                return fill->ok;
        }
        uint64_t cost;
        struct tick_chunk *chunks = take_chunks(b, &cost);
        wasted += cost > before - before / 4;
        before = cost;
        b->keeps_holding |= wasted > ROUNDS_MAX;
        engine_hold(b->engine, &b->holds, b->keeps_holding);
        if (!run_chunks(b, chunks, true, fill->cancel, fill->err))
            return false;
    }
}

static bool fill_apart(struct fill *fill)
{
    struct backfill *b = fill->backfill;
    struct engine *engine = b->engine;
    if (!dataflow_create_view(b->target, fill->plan, fill->plan_arena, fill->env, fill->desc->late,
                              engine->account, &b->frame, &b->flow, fill->err))
        return false;
    dataflow_visit_inputs(b->flow, add_input, b);
    uint64_t rows = dataflow_rows_to_read(b->flow);
    atomic_store(&b->progress->rows_total, rows);
    engine_command(engine, run_begin, fill);
    if (!fill->ok)
        return false;
    atomic_store(&b->progress->phase, BACKFILL_SNAPSHOT);
    if (engine->threads_count > 1 && rows >= PARALLEL_ROWS)
        b->workers = workers_create(engine->threads_count, engine->shards_count);
    bool ok = run_initial(b, fill->cancel, fill->err);
    snapshot_close(engine->snapshots, b->frame.snapshot);
    atomic_store(&b->progress->phase, BACKFILL_CATCHING_UP);
    ok = ok && catch_up(fill);
    if (!ok) {
        uint64_t cost;
        engine_command(engine, run_abort, fill);
        (void)run_chunks(b, take_chunks(b, &cost), false, NULL, fill->err);
    }
    if (b->workers != NULL)
        workers_destroy(b->workers);
    b->workers = NULL;
    return ok;
}

/* Recovery: nothing else happens, so the engine's thread fills it, from arrangements that others have if there are
 * any. */
static void run_in_place(struct engine *engine, void *ctx)
{
    struct fill *fill = ctx;
    struct backfill *b = fill->backfill;
    fill->ok = dataflow_create_view(b->target, fill->plan, fill->plan_arena, fill->env, fill->desc->late,
                                    engine->account, NULL, &b->flow, fill->err);
    if (!fill->ok)
        return;
    b->epoch = engine_empty_tick(engine, &b->clock_us, &b->seed);
    b->workers = engine->workers;
    fill->ok = run_initial(b, fill->cancel, fill->err);
    if (fill->ok)
        publish(b);
    else
        dataflow_destroy(b->flow);
    b->flow = NULL;
}

bool engine_create_view(struct engine *engine, const struct relation_desc *desc, struct plan *plan,
                        struct arena *plan_arena, const struct eval_env *env, const _Atomic bool *cancel,
                        struct backfill_progress *progress, struct relation **out, struct error *err)
{
    struct backfill *b = backfill_create(engine, desc, progress);
    struct fill fill = {.backfill = b,
                        .desc = desc,
                        .plan = plan,
                        .plan_arena = plan_arena,
                        .env = env,
                        .cancel = cancel,
                        .err = err};
    if (atomic_load(&engine->recovering)) {
        engine_command(engine, run_in_place, &fill);
    } else {
        fill.ok = fill_apart(&fill);
        if (!fill.ok && b->flow != NULL)
            dataflow_destroy(b->flow);
    }
    if (fill.ok)
        *out = b->target;
    else
        relation_release(b->target);
    backfill_destroy(b);
    return fill.ok;
}
