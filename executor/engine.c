/* engine.c: the engine's thread, the staging area, and the publishing of ticks.
 *
 * A tick is computed on the engine's thread while the log thread writes the one before. It is published
 * (visible to readers, acknowledged to writers, shown to subscribers) when it is both, in epoch order, by
 * whichever thread comes last.
 *
 * While the log cannot be written the engine is held: no tick begins, transactions are refused before they have got a
 * place in the order. Those of ticks that are on their way to the log wait for it, since their effects are in
 * memory already and cannot be taken back; nobody sees them before they are durable. */
#include "executor/engine_internal.h"
#include "executor/engine_trouble.h"
#include "executor/outbox_internal.h"

#include "storage/base/clock.h"
#include "storage/base/log.h"
#include "storage/disk/tick_log.h"
#include "storage/state/state_memory.h"

#include <errno.h>
#include <semaphore.h>

#define WAIT_MAX_US INT64_C(3600000000) /* a wall clock that is set meanwhile is noticed */
#define CHECKPOINT_IDLE_NS                                                                                   \
    INT64_C(1000000)        /* a checkpoint copies so long before the next look at what is staged */
#define CHECKPOINT_SHARE  4 /* beside ticks: this part of their time, */
#define CHECKPOINT_MIN_NS INT64_C(100000) /* but at least so long after each */
#define PENDING_TICKS_MAX 64              /* computed ahead of the log; the engine waits beyond */

static void *engine_main(void *arg);
static void log_state(void *ctx, const struct error *err);

struct engine *engine_create(const struct engine_options *options)
{
    struct engine *engine = mem_zalloc(sizeof(*engine));
    CHECK(options->shards >= 1 && options->shards <= SHARDS_MAX);
    engine->shards_count = options->shards;
    engine->threads_count = options->threads != 0 ? options->threads : options->shards;
    if (engine->threads_count > engine->shards_count)
        engine->threads_count = engine->shards_count;
    engine->tick_rows_max = options->tick_rows_max ? options->tick_rows_max : TICK_ROWS_MAX;
    engine->backfill_bytes = options->backfill_bytes ? options->backfill_bytes : BACKFILL_BYTES_MAX;
    engine->log = options->log;
    engine->account = options->account;
    engine->epoch = options->first_epoch;
    engine->wake_us = INT64_MAX;
    atomic_init(&engine->fill_clock_us, INT64_MIN);
    engine->snapshots = snapshots_create();
    snapshots_publish(engine->snapshots, engine->epoch);
    atomic_init(&engine->delivered, engine->epoch);
    engine->workers = workers_create(engine->threads_count, engine->shards_count);
    arena_init(&engine->tick_arena, options->account);
    pthread_mutex_init(&engine->lock, NULL);
    pthread_mutex_init(&engine->subscriptions_lock, NULL);
    pthread_cond_init(&engine->work, NULL);
    pthread_cond_init(&engine->done, NULL);
    error_init(&engine->held_error);
    CHECK(pthread_create(&engine->thread, NULL, engine_main, engine) == 0);
    if (engine->log != NULL)
        tick_log_on_trouble(engine->log, log_state, engine);
    return engine;
}

void engine_destroy(struct engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    engine->stopping = true;
    pthread_cond_broadcast(&engine->work);
    pthread_mutex_unlock(&engine->lock);
    pthread_join(engine->thread, NULL);
    if (engine->log != NULL)
        tick_log_on_trouble(engine->log, NULL, NULL);
    workers_destroy(engine->workers);
    snapshots_destroy(engine->snapshots);
    arena_release(&engine->tick_arena);
    mem_free(engine->touched);
    mem_free(engine->trims);
    mem_free(engine->relations);
    mem_free(engine->failed);
    mem_free(engine->schedule);
    mem_free(engine->watermarked);
    mem_free(engine->caches);
    mem_free(engine->kept);
    mem_free(engine->retained);
    mem_free(engine->timed);
    pthread_mutex_destroy(&engine->lock);
    pthread_mutex_destroy(&engine->subscriptions_lock);
    pthread_cond_destroy(&engine->work);
    pthread_cond_destroy(&engine->done);
    mem_free(engine);
}

struct snapshots *engine_snapshots(struct engine *engine)
{
    return engine->snapshots;
}

uint32_t engine_shards(const struct engine *engine)
{
    return engine->shards_count;
}

/* ---- relations ---- */

void engine_list_relation(struct engine *engine, struct relation *relation)
{
    if (relation->listed || relation->is_late) /* late rows are saved with the view that they belong to */
        return;
    relation->listed = true;
    if (engine->relations_count == engine->relations_cap) {
        engine->relations_cap = engine->relations_cap ? engine->relations_cap * 2 : 16;
        engine->relations =
            mem_realloc(engine->relations, sizeof(*engine->relations) * engine->relations_cap);
    }
    relation->listed_at = engine->relations_count;
    engine->relations[engine->relations_count++] = relation;
}

void engine_unlist_relation(struct engine *engine, struct relation *relation)
{
    if (!relation->listed)
        return;
    relation->listed = false;
    engine->checkpoint_stale = true;
    struct relation *last = engine->relations[--engine->relations_count];
    engine->relations[relation->listed_at] = last;
    last->listed_at = relation->listed_at;
}

/* ---- publishing ---- */

/* Takes the finished ticks off the front, under the lock; the caller acknowledges them outside of it. */
static struct pending_tick *take_finished(struct engine *engine)
{
    struct pending_tick *first = NULL, **link = &first;
    while (engine->pending_first != NULL && engine->pending_first->durable &&
           engine->pending_first->computed) {
        struct pending_tick *tick = engine->pending_first;
        engine->pending_first = tick->next;
        if (engine->pending_first == NULL)
            engine->pending_last = NULL;
        engine->pending_count--;
        tick->next = NULL;
        *link = tick;
        link = &tick->next;
    }
    return first;
}

void engine_acknowledge(struct pending_tick *tick)
{
    for (struct staged_txn *txn = tick->transactions; txn != NULL;) {
        struct staged_txn *next = txn->next;
        const struct error *error = txn->error.code != ERRCODE_NONE        ? &txn->error
                                    : tick->log_error.code != ERRCODE_NONE ? &tick->log_error
                                                                           : NULL;
        txn->done(txn->done_ctx, error == NULL ? tick->epoch : 0, error);
        mem_free(txn);
        txn = next;
    }
}

/* Called with the lock held; returns with it held. Epoch order holds because visibility only moves forward
 * under the lock. */
static void publish(struct engine *engine)
{
    struct pending_tick *tick = take_finished(engine);
    while (tick != NULL) {
        struct pending_tick *next = tick->next;
        if (tick->log_error.code == ERRCODE_NONE) {
            snapshots_publish(engine->snapshots, tick->epoch);
            atomic_store(&engine->stat_durable, tick->epoch);
        }
        if (tick->log_error.code == ERRCODE_NONE) {
            subscription_deliver(tick->messages);
            atomic_store(&engine->delivered, tick->epoch);
            if (tick->has_outgoing)
                outbox_wake_listeners(engine);
        } else {
            engine->lost = true;
            subscription_discard(tick->messages);
        }
        engine_acknowledge(tick);
        mem_free(tick);
        tick = next;
    }
    pthread_cond_broadcast(&engine->done);
}

/* ---- a log that cannot be written ---- */

struct commit_wait {
    sem_t
        done; /* may be gone as soon as it was posted, unlike a condition variable that is being signalled */
    _Atomic bool stalled; /* posted early: from now on the waiter looks under the engine's lock */
    bool finished;
    uint64_t epoch;
    struct error error;
};

static void commit_done(void *ctx, uint64_t epoch, const struct error *err)
{
    struct commit_wait *wait = ctx;
    wait->epoch = epoch;
    if (err != NULL)
        wait->error = *err;
    wait->finished = true;
    sem_post(&wait->done);
}

static void commit_abandoned(void *ctx, uint64_t epoch, const struct error *err) {}

/* Who waits for the tick should look whether it is cancelled meanwhile. Under the lock. */
static void stall(const struct pending_tick *tick)
{
    for (const struct staged_txn *txn = tick->transactions; txn != NULL; txn = txn->next) {
        struct commit_wait *wait = txn->done == commit_done ? txn->done_ctx : NULL;
        if (wait == NULL || atomic_load(&wait->stalled))
            continue;
        atomic_store(&wait->stalled, true);
        sem_post(&wait->done);
    }
}

/* The waiter goes: nobody is to be told. false: the tick is being computed, from the waiter's memory. Under the lock. */
static bool abandon(struct engine *engine, const struct commit_wait *wait)
{
    for (struct pending_tick *tick = engine->pending_first; tick != NULL && tick->computed;
         tick = tick->next) {
        for (struct staged_txn *txn = tick->transactions; txn != NULL; txn = txn->next) {
            if (txn->done_ctx != wait)
                continue;
            txn->done = commit_abandoned;
            return true;
        }
    }
    return false;
}

static bool wait_stalled(struct engine *engine, struct commit_wait *wait, const _Atomic bool *cancel)
{
    pthread_mutex_lock(&engine->lock);
    while (!wait->finished) {
        if (cancel != NULL && atomic_load(cancel) && abandon(engine, wait)) {
            error_set(&wait->error, ERRCODE_STATEMENT_COMPLETION_UNKNOWN,
                      "canceling statement while it is not known whether its transaction will be committed");
            error_detail(&wait->error, "%s",
                         engine->held ? engine->held_error.message : "The log is being written.");
            break;
        }
        pthread_cond_wait(&engine->done, &engine->lock);
    }
    pthread_mutex_unlock(&engine->lock);
    return wait->error.code == ERRCODE_NONE;
}

/* Takes what is staged and can be refused, under the lock. */
static struct staged_txn *take_refused(struct engine *engine)
{
    struct staged_txn *refused = NULL, **refused_end = &refused, **link = &engine->staged_first;
    engine->staged_last = NULL;
    while (*link != NULL) {
        struct staged_txn *txn = *link;
        if (txn->txn->is_patient && !engine->gives_up) {
            engine->staged_last = txn;
            link = &txn->next;
            continue;
        }
        *link = txn->next;
        txn->next = NULL;
        engine->staged_rows -= txn->rows;
        *refused_end = txn;
        refused_end = &txn->next;
    }
    return refused;
}

static void refuse(struct staged_txn *refused, const struct error *err)
{
    while (refused != NULL) {
        struct staged_txn *next = refused->next;
        refused->done(refused->done_ctx, 0, err);
        mem_free(refused);
        refused = next;
    }
}

bool engine_is_held(struct engine *engine, struct error *err)
{
    pthread_mutex_lock(&engine->lock);
    bool held = engine->held;
    if (held)
        *err = engine->held_error;
    pthread_mutex_unlock(&engine->lock);
    return held;
}

static void log_state(void *ctx, const struct error *err)
{
    struct engine *engine = ctx;
    struct staged_txn *refused = NULL;
    pthread_mutex_lock(&engine->lock);
    engine->held = err != NULL;
    if (err != NULL) {
        engine->held_error = *err;
        refused = take_refused(engine);
        for (const struct pending_tick *tick = engine->pending_first; tick != NULL; tick = tick->next)
            stall(tick);
    }
    pthread_cond_signal(&engine->work);
    pthread_cond_broadcast(&engine->done);
    pthread_mutex_unlock(&engine->lock);
    refuse(refused, err);
}

void engine_give_up(struct engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    engine->gives_up = true;
    struct error error = engine->held_error;
    struct staged_txn *refused = engine->held ? take_refused(engine) : NULL;
    pthread_cond_broadcast(&engine->done);
    pthread_mutex_unlock(&engine->lock);
    refuse(refused, &error);
    if (engine->log != NULL)
        tick_log_give_up(engine->log);
}

bool engine_may_log(struct engine *engine, struct error *err)
{
    pthread_mutex_lock(&engine->lock);
    bool held = engine->held && !atomic_load(&engine->recovering);
    if (held)
        *err = engine->held_error;
    pthread_mutex_unlock(&engine->lock);
    return !held;
}

/* ---- the log's answers ---- */

static void log_done(void *ctx, uint64_t epoch, const struct error *err)
{
    struct engine *engine = ctx;
    pthread_mutex_lock(&engine->lock);
    for (struct pending_tick *tick = engine->pending_first; tick != NULL; tick = tick->next) {
        if (tick->epoch != epoch)
            continue;
        tick->durable = true;
        if (err != NULL)
            tick->log_error = *err;
        break;
    }
    publish(engine);
    pthread_mutex_unlock(&engine->lock);
}

void engine_log_tick(struct engine *engine, struct pending_tick *tick, int64_t clock_us, uint64_t seed,
                     const struct tick_log_entry *entries, uint32_t entries_count)
{
    error_init(&tick->log_error);
    state_memory_verify(); /* changed rows come from it */
    bool logged = engine->log != NULL && !atomic_load(&engine->recovering);
    tick->durable = !logged;
    pthread_mutex_lock(&engine->lock);
    if (engine->pending_last != NULL)
        engine->pending_last->next = tick;
    else
        engine->pending_first = tick;
    engine->pending_last = tick;
    engine->pending_count++;
    if (logged && engine->held)
        stall(tick);
    pthread_mutex_unlock(&engine->lock);
    if (logged)
        tick_log_append(engine->log, tick->epoch, clock_us, seed, entries, entries_count, log_done, engine);
}

void engine_finish_tick(struct engine *engine, struct pending_tick *tick)
{
    state_memory_verify();
    atomic_store(&engine->stat_computed, tick->epoch);
    atomic_fetch_add(&engine->stat_ticks, 1);
    pthread_mutex_lock(&engine->lock);
    tick->computed = true;
    publish(engine);
    while (engine->pending_count >= PENDING_TICKS_MAX)
        pthread_cond_wait(&engine->done, &engine->lock);
    pthread_mutex_unlock(&engine->lock);
}

void engine_drain(struct engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    while (engine->pending_first != NULL)
        pthread_cond_wait(&engine->done, &engine->lock);
    pthread_mutex_unlock(&engine->lock);
}

void engine_published(struct engine *engine)
{
    snapshots_publish(engine->snapshots, engine->epoch);
    atomic_store(&engine->delivered, engine->epoch);
    atomic_store(&engine->stat_computed, engine->epoch);
    atomic_store(&engine->stat_durable, engine->epoch);
}

void engine_set_recovering(struct engine *engine, bool recovering)
{
    atomic_store(&engine->fill_clock_us, INT64_MIN);
    pthread_mutex_lock(&engine->lock);
    atomic_store(&engine->recovering, recovering);
    pthread_cond_signal(&engine->work); /* what was due meanwhile */
    pthread_mutex_unlock(&engine->lock);
}

void engine_set_fill_clock(struct engine *engine, int64_t clock_us)
{
    atomic_store(&engine->fill_clock_us, clock_us);
}

/* ---- staging ---- */

void engine_commit_async(struct engine *engine, const struct engine_txn *txn,
                         void (*done)(void *ctx, uint64_t epoch, const struct error *err), void *ctx)
{
    struct staged_txn *staged = mem_zalloc(sizeof(*staged));
    staged->txn = txn;
    staged->done = done;
    staged->done_ctx = ctx;
    for (uint32_t i = 0; i < txn->changes_count; i++)
        staged->rows += txn->changes[i].rows->rows;
    pthread_mutex_lock(&engine->lock);
    while (engine->staged_rows >= 2ull * TICK_ROWS_MAX && !engine->stopping &&
           !(engine->held && (engine->gives_up || !txn->is_patient)))
        pthread_cond_wait(&engine->done, &engine->lock);
    if (engine->held && (engine->gives_up || !txn->is_patient)) {
        struct error error = engine->held_error;
        pthread_mutex_unlock(&engine->lock);
        refuse(staged, &error);
        return;
    }
    if (engine->staged_last != NULL)
        engine->staged_last->next = staged;
    else
        engine->staged_first = staged;
    engine->staged_last = staged;
    engine->staged_rows += staged->rows;
    pthread_mutex_unlock(&engine->lock);
    pthread_cond_signal(&engine->work); /* without the lock, which the engine wants first thing */
}

bool engine_commit(struct engine *engine, const struct engine_txn *txn, const _Atomic bool *cancel,
                   uint64_t *epoch, struct error *err)
{
    struct commit_wait wait = {.epoch = 0};
    error_init(&wait.error);
    CHECK(sem_init(&wait.done, 0, 0) == 0);
    engine_commit_async(engine, txn, commit_done, &wait);
    while (sem_wait(&wait.done) != 0)
        CHECK(errno == EINTR);
    bool ok =
        atomic_load(&wait.stalled) ? wait_stalled(engine, &wait, cancel) : wait.error.code == ERRCODE_NONE;
    sem_destroy(&wait.done);
    *epoch = wait.epoch;
    if (!ok)
        *err = wait.error;
    return ok;
}

void engine_command(struct engine *engine, void (*run)(struct engine *engine, void *ctx), void *ctx)
{
    struct command command = {.run = run, .ctx = ctx};
    pthread_mutex_lock(&engine->lock);
    if (engine->commands_last != NULL)
        engine->commands_last->next = &command;
    else
        engine->commands_first = &command;
    engine->commands_last = &command;
    pthread_cond_signal(&engine->work);
    while (!command.done)
        pthread_cond_wait(&engine->done, &engine->lock);
    pthread_mutex_unlock(&engine->lock);
}

void engine_hold(struct engine *engine, bool *holds, bool hold)
{
    pthread_mutex_lock(&engine->lock);
    if (hold != *holds) {
        *holds = hold;
        engine->holds += hold ? 1 : -1u;
        if (engine->holds == 0)
            pthread_cond_signal(&engine->work);
    }
    pthread_mutex_unlock(&engine->lock);
}

struct boundary {
    void (*fn)(void *ctx);
    void *ctx;
};

static void run_boundary(struct engine *engine, void *ctx)
{
    struct boundary *boundary = ctx;
    boundary->fn(boundary->ctx);
}

void engine_at_boundary(struct engine *engine, void (*fn)(void *ctx), void *ctx)
{
    struct boundary boundary = {fn, ctx};
    engine_command(engine, run_boundary, &boundary);
}

/* Takes transactions for one tick off the staging list: all of them, up to tick_rows_max rows, at least one.
 */
static struct staged_txn *take_staged(struct engine *engine)
{
    struct staged_txn *first = engine->staged_first, *last = first;
    if (first == NULL)
        return NULL;
    uint64_t rows = first->rows;
    while (last->next != NULL && rows + last->next->rows <= engine->tick_rows_max) {
        last = last->next;
        rows += last->rows;
    }
    engine->staged_first = last->next;
    if (engine->staged_first == NULL)
        engine->staged_last = NULL;
    engine->staged_rows -= rows;
    last->next = NULL;
    return first;
}

static bool checkpoint_runs(const struct engine *engine)
{
    return engine->checkpoint != NULL && !engine->checkpoint_waits;
}

/* No tick begins; what is staged then is patient. Under the lock. */
static bool is_held(const struct engine *engine)
{
    return engine->held && !engine->stopping;
}

/* The same, or views and indexes that are behind have to come nearer first. */
static bool takes_none(const struct engine *engine)
{
    return is_held(engine) || (engine->holds > 0 && !engine->stopping);
}

/* Waits for something to do, or until what the clock asks for is due: then true. Called with the lock held. */
static bool wait_for_work(struct engine *engine)
{
    while ((engine->staged_first == NULL || takes_none(engine)) && engine->commands_first == NULL &&
           !engine->stopping) {
        int64_t left_us = INT64_MAX;
        if (engine->wake_us != INT64_MAX && !atomic_load(&engine->recovering) && !is_held(engine))
            left_us = engine->wake_us - clock_now_us();
        if (left_us <= 0)
            return true;
        if (checkpoint_runs(engine))
            break;
        if (left_us == INT64_MAX || clock_is_set()) { /* a clock that is set stands still: engine_run_due
                                                         follows when it is moved */
            pthread_cond_wait(&engine->work, &engine->lock);
            continue;
        }
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        left_us = left_us < WAIT_MAX_US ? left_us : WAIT_MAX_US;
        until.tv_sec += left_us / 1000000;
        until.tv_nsec += left_us % 1000000 * 1000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&engine->work, &engine->lock, &until);
    }
    return false;
}

static void run_due(struct engine *engine, void *ctx)
{
    (void)ctx;
    while (engine->wake_us <= clock_now_us()) {
        int64_t due = engine->wake_us;
        engine_run_tick(engine, NULL);
        if (engine->wake_us <= due)
            break; /* the clock was set back meanwhile */
    }
    engine_drain(engine);
}

void engine_run_due(struct engine *engine)
{
    engine_command(engine, run_due, NULL);
}

/* NULL: a tick that the clock asks for. Without the lock. */
static void run_tick(struct engine *engine, struct staged_txn *transactions)
{
    int64_t start_ns = clock_monotonic_ns();
    engine_run_tick(engine, transactions);
    int64_t busy_ns = clock_monotonic_ns() - start_ns;
    atomic_fetch_add(&engine->stat_busy_ns, busy_ns);
    if (engine->checkpoint != NULL) {
        int64_t share_ns = busy_ns / CHECKPOINT_SHARE;
        checkpoint_step(engine, share_ns > CHECKPOINT_MIN_NS ? share_ns : CHECKPOINT_MIN_NS);
    }
}

static void *engine_main(void *arg)
{
    struct engine *engine = arg;
    pthread_mutex_lock(&engine->lock);
    for (;;) {
        if (wait_for_work(engine)) {
            pthread_mutex_unlock(&engine->lock);
            run_tick(engine, NULL);
            pthread_mutex_lock(&engine->lock);
            continue;
        }
        struct command *command = engine->commands_first;
        if (command != NULL) {
            engine->commands_first = command->next;
            if (engine->commands_first == NULL)
                engine->commands_last = NULL;
            pthread_mutex_unlock(&engine->lock);
            command->run(engine, command->ctx);
            pthread_mutex_lock(&engine->lock);
            command->done = true;
            pthread_cond_broadcast(&engine->done);
            continue;
        }
        struct staged_txn *transactions = takes_none(engine) ? NULL : take_staged(engine);
        if (transactions == NULL && !engine->stopping) { /* a checkpoint runs, and has all the time */
            pthread_mutex_unlock(&engine->lock);
            checkpoint_step(engine, CHECKPOINT_IDLE_NS);
            pthread_mutex_lock(&engine->lock);
            continue;
        }
        if (transactions == NULL)
            break; /* stopping, and nothing is left */
        pthread_cond_broadcast(&engine->done);
        pthread_mutex_unlock(&engine->lock);
        run_tick(engine, transactions);
        pthread_mutex_lock(&engine->lock);
    }
    pthread_mutex_unlock(&engine->lock);
    engine_drain(engine);
    return NULL;
}

void engine_stats(struct engine *engine, struct engine_stats *out)
{
    *out = (struct engine_stats){.epoch_visible = snapshots_visible(engine->snapshots),
                                 .epoch_computed = atomic_load(&engine->stat_computed),
                                 .epoch_durable = atomic_load(&engine->stat_durable),
                                 .ticks = atomic_load(&engine->stat_ticks),
                                 .transactions = atomic_load(&engine->stat_transactions),
                                 .rows_in = atomic_load(&engine->stat_rows_in),
                                 .rows_processed = atomic_load(&engine->stat_rows_processed),
                                 .busy_ns = atomic_load(&engine->stat_busy_ns)};
}
