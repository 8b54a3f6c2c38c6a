/* checkpointer.c: see checkpointer.h. One thread: it waits until a checkpoint is due, has the engine copy what has changed,
 * and writes the pieces as they come. */
#include "server/checkpointer.h"

#include "executor/checkpoint.h"
#include "server/settings.h"
#include "storage/base/clock.h"
#include "storage/base/log.h"
#include "storage/disk/tick_log.h"
#include "storage/state/state_memory.h"

#include <string.h>
#include <time.h>

#define QUEUE_BYTES_MAX (INT64_C(4) << 20) /* copied and not yet written */

struct checkpointer {
    struct server *server;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t cond; /* all of what follows changes */
    bool stopping;
    uint64_t asked, begun, ended; /* numbers of runs; those who ask for run n wait for ended >= n */
    struct error error;           /* of the run that ended last */
    struct checkpointer_stats stats;

    struct checkpoint_piece *first, *last; /* the queue */
    int64_t bytes;                         /* of the queue */
    bool engine_waits;
    bool complete; /* no more pieces come */
    struct checkpoint_info info;
    struct arena arena; /* owners */
    const char **owners;
    uint32_t owners_count;
    uint64_t epoch; /* of the last valid one */
};

/* ---- the sink: engine's thread ---- */

static bool has_room(void *ctx)
{
    struct checkpointer *checkpointer = ctx;
    pthread_mutex_lock(&checkpointer->lock);
    bool room = checkpointer->bytes < QUEUE_BYTES_MAX;
    checkpointer->engine_waits = !room;
    pthread_mutex_unlock(&checkpointer->lock);
    return room;
}

static void put(void *ctx, struct checkpoint_piece *piece)
{
    struct checkpointer *checkpointer = ctx;
    piece->next = NULL;
    pthread_mutex_lock(&checkpointer->lock);
    if (checkpointer->last != NULL)
        checkpointer->last->next = piece;
    else
        checkpointer->first = piece;
    checkpointer->last = piece;
    checkpointer->bytes += (int64_t)piece->arena.total_bytes;
    pthread_cond_broadcast(&checkpointer->cond);
    pthread_mutex_unlock(&checkpointer->lock);
}

static void complete(void *ctx, uint64_t epoch, int64_t clock_us, const char *const *owners,
                     uint32_t owners_count)
{
    struct checkpointer *checkpointer = ctx;
    pthread_mutex_lock(&checkpointer->lock);
    checkpointer->info.epoch = epoch;
    checkpointer->info.clock_us = clock_us;
    checkpointer->owners = ARENA_ARRAY(&checkpointer->arena, const char *, owners_count);
    for (uint32_t i = 0; i < owners_count; i++)
        checkpointer->owners[i] = arena_strdup(&checkpointer->arena, owners[i]);
    checkpointer->owners_count = owners_count;
    checkpointer->complete = true;
    pthread_cond_broadcast(&checkpointer->cond);
    pthread_mutex_unlock(&checkpointer->lock);
}

/* ---- one run ---- */

/* The next piece; NULL: all are written. */
static struct checkpoint_piece *next_piece(struct checkpointer *checkpointer)
{
    pthread_mutex_lock(&checkpointer->lock);
    while (checkpointer->first == NULL && !checkpointer->complete)
        pthread_cond_wait(&checkpointer->cond, &checkpointer->lock);
    struct checkpoint_piece *piece = checkpointer->first;
    bool wake = false;
    if (piece != NULL) {
        checkpointer->first = piece->next;
        if (checkpointer->first == NULL)
            checkpointer->last = NULL;
        checkpointer->bytes -= (int64_t)piece->arena.total_bytes;
        wake = checkpointer->engine_waits && checkpointer->bytes <= QUEUE_BYTES_MAX / 2;
        if (wake)
            checkpointer->engine_waits = false;
    }
    pthread_mutex_unlock(&checkpointer->lock);
    if (wake)
        engine_checkpoint_wake(checkpointer->server->engine);
    return piece;
}

static bool write_pieces(struct checkpointer *checkpointer, struct error *err)
{
    struct server *server = checkpointer->server;
    struct checkpoint_piece *piece;
    bool ok = checkpoint_store_begin(server->checkpoints, err);
    while ((piece = next_piece(checkpointer)) != NULL) {
        if (ok)
            ok = checkpoint_store_put(server->checkpoints, piece, err);
        else
            checkpoint_piece_free(piece); /* the engine goes on until it is complete */
    }
    return ok;
}

static bool make_one(struct checkpointer *checkpointer, struct error *err)
{
    struct server *server = checkpointer->server;
    arena_init(&checkpointer->arena, NULL);
    checkpointer->complete = false;
    checkpointer->info = (struct checkpoint_info){.shards = engine_shards(server->engine)};
    const struct checkpoint_sink sink = {checkpointer, has_room, put, complete};
    error_init(err);
    engine_checkpoint_start(server->engine, &sink);
    bool ok = write_pieces(checkpointer, err);
    struct checkpoint_info info = checkpointer->info;
    /* what is saved must not be ahead of the log: a tick that was never durable never was */
    if (ok && !engine_wait_durable(server->engine, info.epoch))
        ok = error_set(err, ERRCODE_IO_ERROR, "could not write \"log.db\": it was given up");
    if (ok)
        state_memory_verify(); /* what was copied */
    ok = ok && checkpoint_store_commit(server->checkpoints, checkpointer->owners, checkpointer->owners_count,
                                       &info, err);
    if (!ok)
        checkpoint_store_abort(server->checkpoints);
    engine_checkpoint_end(server->engine, ok);
    arena_release(&checkpointer->arena);
    if (!ok)
        return false;
    tick_log_truncate(server->log, info.epoch + 1);
    pthread_mutex_lock(&checkpointer->lock);
    checkpointer->epoch = info.epoch;
    checkpointer->stats.last = info;
    pthread_mutex_unlock(&checkpointer->lock);
    log_write(LOG_DEBUG, "checkpoint at epoch %llu: %llu rows, %llu bytes in %.3f s",
              (unsigned long long)info.epoch, (unsigned long long)info.rows, (unsigned long long)info.bytes,
              (double)(info.ended_us - info.started_us) / 1e6);
    return true;
}

/* Runs what was asked for; called with the lock held. */
static void run_asked(struct checkpointer *checkpointer)
{
    uint64_t number = checkpointer->asked;
    checkpointer->begun = number;
    checkpointer->stats.is_running = true;
    checkpointer->stats.running_since_us = clock_now_us();
    pthread_mutex_unlock(&checkpointer->lock);
    struct error error;
    error_init(&error);
    bool ok = make_one(checkpointer, &error);
    if (!ok)
        log_write(LOG_WARNING, "no checkpoint could be made: %s", error.message);
    pthread_mutex_lock(&checkpointer->lock);
    checkpointer->error = checkpointer->stats.last_error = error;
    checkpointer->stats.made += ok;
    checkpointer->stats.failed += !ok;
    checkpointer->stats.is_running = false;
    checkpointer->ended = number;
    pthread_cond_broadcast(&checkpointer->cond);
}

/* ---- when ---- */

static bool has_changed(struct checkpointer *checkpointer)
{
    struct engine_stats stats;
    engine_stats(checkpointer->server->engine, &stats);
    return stats.epoch_computed > checkpointer->epoch;
}

/* The log's thread. */
static void log_has_grown(void *ctx)
{
    struct checkpointer *checkpointer = ctx;
    pthread_mutex_lock(&checkpointer->lock);
    if (checkpointer->asked == checkpointer->begun)
        checkpointer->asked++;
    pthread_cond_broadcast(&checkpointer->cond);
    pthread_mutex_unlock(&checkpointer->lock);
}

static void *checkpointer_main(void *arg)
{
    struct checkpointer *checkpointer = arg;
    int64_t interval_ns = checkpointer->server->settings->checkpoint_interval_s * INT64_C(1000000000);
    int64_t due_ns = clock_monotonic_ns() + interval_ns;
    pthread_mutex_lock(&checkpointer->lock);
    while (!checkpointer->stopping) {
        if (checkpointer->asked > checkpointer->ended) {
            run_asked(checkpointer);
            due_ns = clock_monotonic_ns() + interval_ns;
        } else if (interval_ns == 0) {
            pthread_cond_wait(&checkpointer->cond, &checkpointer->lock);
        } else if (clock_monotonic_ns() >= due_ns) {
            due_ns += interval_ns;
            checkpointer->asked += has_changed(checkpointer);
        } else {
            struct timespec until = {.tv_sec = due_ns / 1000000000, .tv_nsec = due_ns % 1000000000};
            (void)pthread_cond_timedwait(&checkpointer->cond, &checkpointer->lock, &until);
        }
    }
    pthread_mutex_unlock(&checkpointer->lock);
    return NULL;
}

struct checkpointer *checkpointer_start(struct server *server)
{
    struct checkpointer *checkpointer = mem_zalloc(sizeof(*checkpointer));
    checkpointer->server = server;
    pthread_mutex_init(&checkpointer->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&checkpointer->cond, &attr);
    pthread_condattr_destroy(&attr);
    struct error error;
    if (!checkpoint_store_newest(server->checkpoints, &checkpointer->stats.last, &error))
        checkpointer->stats.last = (struct checkpoint_info){0}; /* and the first one will tell */
    checkpointer->epoch = checkpointer->stats.last.epoch;
    CHECK(pthread_create(&checkpointer->thread, NULL, checkpointer_main, checkpointer) == 0);
    if (server->settings->checkpoint_log_bytes > 0)
        tick_log_on_growth(server->log, (uint64_t)server->settings->checkpoint_log_bytes, log_has_grown,
                           checkpointer);
    return checkpointer;
}

void checkpointer_stop(struct checkpointer *checkpointer, bool last)
{
    if (checkpointer == NULL)
        return;
    struct error error;
    tick_log_on_growth(checkpointer->server->log, 0, NULL, NULL);
    if (last && has_changed(checkpointer) && !checkpointer_run(checkpointer, NULL, &error))
        log_write(LOG_WARNING, "the log is replayed at the next start: %s", error.message);
    pthread_mutex_lock(&checkpointer->lock);
    checkpointer->stopping = true;
    pthread_cond_broadcast(&checkpointer->cond);
    pthread_mutex_unlock(&checkpointer->lock);
    pthread_join(checkpointer->thread, NULL);
    pthread_cond_destroy(&checkpointer->cond);
    pthread_mutex_destroy(&checkpointer->lock);
    mem_free(checkpointer);
}

bool checkpointer_run(struct checkpointer *checkpointer, const _Atomic bool *cancel, struct error *err)
{
    pthread_mutex_lock(&checkpointer->lock);
    /* one that runs may have passed what this one is to hold */
    uint64_t number = checkpointer->begun + 1;
    if (checkpointer->asked < number)
        checkpointer->asked = number;
    pthread_cond_broadcast(&checkpointer->cond);
    while (checkpointer->ended < number && (cancel == NULL || !atomic_load(cancel)))
        pthread_cond_wait(&checkpointer->cond, &checkpointer->lock);
    bool ended = checkpointer->ended >= number;
    if (ended)
        *err = checkpointer->error;
    pthread_mutex_unlock(&checkpointer->lock);
    if (!ended)
        return error_set(err, ERRCODE_QUERY_CANCELED, "canceling statement due to user request");
    return err->code == ERRCODE_NONE;
}

void checkpointer_wake(struct checkpointer *checkpointer)
{
    if (checkpointer == NULL)
        return;
    pthread_mutex_lock(&checkpointer->lock);
    pthread_cond_broadcast(&checkpointer->cond);
    pthread_mutex_unlock(&checkpointer->lock);
}

void checkpointer_stats(struct checkpointer *checkpointer, struct checkpointer_stats *out)
{
    pthread_mutex_lock(&checkpointer->lock);
    *out = checkpointer->stats;
    pthread_mutex_unlock(&checkpointer->lock);
}
