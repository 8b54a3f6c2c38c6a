/* source_pull.c: sources that give rows one after another (connector.h).
 *
 * Where one goes on after a restart is the number of rows its stream has seen, so position and rows are one durable
 * fact. */
#include "planner/redact.h"
#include "server/source_kind.h"
#include "server/source_rows.h"
#include "storage/base/clock.h"
#include "storage/base/log.h"
#include "storage/disk/tick_log.h"

#include <stddef.h>

#define POLL_ROWS_MAX 16384u

struct pull {
    struct running_source source; /* first */
    struct source_thread thread;
    struct source_rows *rows; /* the thread's own while it runs */
    uint64_t position;        /* of the next row; the thread's own */
    uint64_t taken;           /* rows that the engine has taken; under the thread's lock */
    bool ended;               /* likewise */
};

struct pulled {
    struct txn_change change;
    struct source_range range;
};

static struct pull *pull_of(struct source_thread *thread)
{
    return (struct pull *)((char *)thread - offsetof(struct pull, thread));
}

static void landed(struct source_thread *thread, struct flight *flight, const struct error *err)
{
    struct pull *pull = pull_of(thread);
    const struct pulled *pulled = flight->of;
    if (err == NULL) {
        pull->taken += pulled->change.rows->rows;
    } else if (!thread->is_failed) {
        thread->is_failed = true;
        thread->error = *err;
        running_source_wake_group(&pull->source);
    }
}

/* One that has failed stays so, and holds nobody up. */
static void note_failure(struct pull *pull)
{
    pthread_mutex_lock(&pull->thread.lock);
    bool failed = pull->thread.is_failed;
    if (failed)
        redact_error(pull->source.object, &pull->thread.error);
    pthread_mutex_unlock(&pull->thread.lock);
    if (!failed)
        return;
    running_source_set_active(&pull->source, false);
    log_write(LOG_ERROR, "source of \"%s\" failed: %s", relation_name(pull->source.relation),
              pull->thread.error.message);
}

/* Waits while the source is paused, and then opens the connector anew where it stopped, so that it does not
 * take the pause for time in which rows were due. false: it is to stop. */
static bool wait_paused(struct pull *pull)
{
    struct source_thread *thread = &pull->thread;
    struct source_rows *fresh;
    struct error error;
    if (!source_thread_is_interrupted(thread))
        return true;
    source_thread_land(thread);
    note_failure(pull);
    if (!source_thread_wait_going(thread))
        return false;
    error_init(&error);
    if (!source_rows_open(pull->source.server, pull->source.object, pull->position, &fresh, &error)) {
        source_thread_fail(thread, &error);
        return wait_paused(pull);
    }
    source_rows_close(pull->rows);
    pull->rows = fresh;
    return true;
}

/* Waits while the source is paused or too far ahead of its group. NULL: it is to stop. */
static struct flight *take_flight(struct pull *pull)
{
    struct flight *flight = NULL;
    while (flight == NULL) {
        if (!wait_paused(pull))
            return NULL;
        running_source_wait_turn(&pull->source, &pull->thread);
        flight = source_thread_take(&pull->thread);
    }
    return flight;
}

/* No row comes any more: what waits for the watermark is final, and stays so over restarts. */
static void end_watermark(struct pull *pull)
{
    struct relation *relation = pull->source.relation;
    struct watermark_stats stats;
    if (!relation_watermark(relation, &stats) || stats.watermark == WATERMARK_END)
        return;
    struct arena arena;
    arena_init(&arena, NULL);
    const struct sql_type *types;
    uint32_t columns_count = relation_columns(relation, &types);
    struct source_range range = {pull->position, 0, clock_now_us()};
    struct txn_change change = {relation, batch_create(&arena, types, columns_count, 1), &range};
    struct engine_txn txn = {.changes_count = 1, .changes = &change, .is_patient = true};
    uint64_t epoch;
    struct error error;
    if (!engine_commit(pull->source.server->engine, &txn, NULL, &epoch, &error))
        log_write(LOG_ERROR, "the end of the source of \"%s\" could not be logged: %s",
                  relation_name(relation), error.message);
    arena_release(&arena);
}

static void send_rows(struct pull *pull, struct flight *flight, struct batch *rows, int64_t clock_us)
{
    struct pulled *pulled = ARENA_NEW(&flight->arena, struct pulled);
    pulled->range = (struct source_range){pull->position, rows->rows, clock_us};
    pulled->change = (struct txn_change){.relation = pull->source.relation, .rows = rows};
    if (source_rows_replayable(pull->rows))
        pulled->change.range = &pulled->range;
    flight->of = pulled;
    flight->txn = (struct engine_txn){.changes_count = 1, .changes = &pulled->change, .is_patient = true};
    pull->position += rows->rows;
    running_source_note_times(&pull->source, rows);
    source_thread_send(&pull->thread, pull->source.server->engine, flight);
}

static void *run(void *arg)
{
    struct pull *pull = arg;
    struct flight *flight;
    bool at_end = false;
    while (!at_end && (flight = take_flight(pull)) != NULL) {
        struct batch *rows = NULL;
        int64_t next_ns = 0, clock_us = clock_now_us(), cpu_ns = clock_thread_cpu_ns();
        struct error error;
        error_init(&error);
        bool ok =
            source_rows_poll(pull->rows, POLL_ROWS_MAX, clock_us, &flight->arena, &rows, &next_ns, &error);
        source_thread_add_cpu(&pull->thread, clock_thread_cpu_ns() - cpu_ns);
        if (ok && rows->rows > 0)
            send_rows(pull, flight, rows, clock_us);
        else
            source_thread_give(&pull->thread, flight);
        if (!ok)
            source_thread_fail(&pull->thread, &error);
        at_end = ok && next_ns == INT64_MAX;
        if (!at_end && next_ns > clock_monotonic_ns())
            source_thread_wait(&pull->thread, next_ns);
    }
    source_thread_land(&pull->thread);
    if (at_end)
        end_watermark(pull);
    pthread_mutex_lock(&pull->thread.lock);
    pull->ended = at_end;
    pthread_mutex_unlock(&pull->thread.lock);
    running_source_set_active(&pull->source, false);
    return NULL;
}

static bool check(struct server *server, const struct catalog_object *object, struct error *err)
{
    return source_rows_open(server, object, 0, NULL, err);
}

static bool start(struct server *server, struct catalog_object *object, struct running_source **out,
                  struct error *err)
{
    struct relation_stats stats;
    struct pull *pull = mem_zalloc(sizeof(*pull));
    bool paused;
    relation_stats(object->relation, &stats);
    if (!source_read_paused(object, &paused, err) ||
        !source_rows_open(server, object, stats.rows_seen, &pull->rows, err)) {
        mem_free(pull);
        return false;
    }
    if (!running_source_init(&pull->source, &source_kind_pull, server, object, err)) {
        source_rows_close(pull->rows);
        mem_free(pull);
        return false;
    }
    pull->position = pull->taken = stats.rows_seen;
    source_thread_init(&pull->thread, &server->account, landed);
    pull->thread.paused = paused;
    source_thread_start(&pull->thread, run, pull);
    *out = &pull->source;
    return true;
}

static void stop(struct running_source *source)
{
    struct pull *pull = (struct pull *)source;
    source_thread_stop(&pull->thread);
    running_source_wake_group(source);
    source_thread_join(&pull->thread);
    source_rows_close(pull->rows);
    running_source_release(source);
    mem_free(pull);
}

static void alter(struct running_source *source, const struct catalog_object *object)
{
    struct pull *pull = (struct pull *)source;
    bool paused;
    struct error ignored;
    if (!source_read_paused(object, &paused, &ignored))
        return;
    source_thread_set_paused(&pull->thread, paused);
    pthread_mutex_lock(&pull->thread.lock);
    bool goes = !paused && !pull->ended && !pull->thread.is_failed;
    pthread_mutex_unlock(&pull->thread.lock);
    running_source_set_active(source, goes);
}

static void status(struct running_source *source, struct arena *arena, struct source_status *out)
{
    struct pull *pull = (struct pull *)source;
    struct source_thread *thread = &pull->thread;
    bool waits = source->member != NULL && source_group_is_waiting(source->member);
    pthread_mutex_lock(&thread->lock);
    const char *paused = source_thread_has_landed(thread) ? "paused" : "pausing";
    out->state = thread->is_failed ? "failed"
                 : pull->ended     ? "ended"
                 : thread->paused  ? paused
                 : waits           ? "waiting"
                                   : "running";
    out->rows = pull->taken;
    out->poll_cpu_us = thread->poll_cpu_ns / 1000;
    out->error = thread->is_failed ? arena_strdup(arena, thread->error.message) : NULL;
    pthread_mutex_unlock(&thread->lock);
}

const struct source_kind source_kind_pull = {
    .check = check, .start = start, .alter = alter, .stop = stop, .status = status};
