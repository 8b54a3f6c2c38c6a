/* sources.c: threads that feed streams.
 *
 * A source keeps some batches in flight: while the engine works on one tick of them, the next are decoded. Where it goes on
 * after a restart is the number of rows its stream has seen, so position and rows are one durable fact. */
#include "server/sources.h"

#include "planner/ddl.h"
#include "planner/ddl_time.h"
#include "server/external.h"
#include "server/source_align.h"
#include "server/source_rows.h"
#include "storage/base/clock.h"
#include "storage/base/log.h"
#include "storage/data/datetime.h"
#include "storage/disk/tick_log.h"

#include <string.h>
#include <time.h>

#define POLL_ROWS_MAX 16384u
#define IN_FLIGHT     4u

struct flight {
    struct runner *runner;
    struct arena arena;
    struct txn_change change;
    struct source_range range;
    struct engine_txn txn;
    bool busy;
};

struct runner {
    struct runner *next;
    struct server *server;
    struct relation *relation;
    struct catalog_object *object;
    struct source_rows *source; /* the thread's own while it runs */
    const char *connector;
    struct source_member *member; /* of its group; NULL: waits for nobody */
    uint32_t time_column;         /* member */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct flight flights[IN_FLIGHT];
    bool stopping, paused, ended, failed;
    uint64_t rows;       /* that the engine has taken */
    int64_t poll_cpu_ns; /* what the connector itself has used */
    struct error error;
};

struct sources {
    pthread_mutex_t lock;
    struct runner *first;
    struct source_groups *groups;
};

/* Options of the relation itself, not of its connector. */
static const char *const own_options[] = {"connector", "append_only", "retention", "retention_rows",
                                          "paused"};

bool sources_option_is_ours(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(own_options); i++) {
        if (strcmp(own_options[i], name) == 0)
            return true;
    }
    return ddl_is_option(ddl_stream_time_options, name);
}

static bool read_paused(const struct catalog_object *object, bool *paused, struct error *err)
{
    const char *value = ddl_option(object, "paused");
    *paused = value != NULL && strcmp(value, "true") == 0;
    return value == NULL || *paused || strcmp(value, "false") == 0 ||
           error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "parameter \"paused\" requires a Boolean value");
}

bool sources_check(struct server *server, const struct catalog_object *object, struct error *err)
{
    bool paused;
    if (object->kind == CATALOG_EXTERNAL_TABLE)
        return external_check(object, err);
    return read_paused(object, &paused, err) && source_rows_open(server, object, 0, NULL, err);
}

static void flight_done(void *ctx, uint64_t epoch, const struct error *err)
{
    struct flight *flight = ctx;
    struct runner *runner = flight->runner;
    (void)epoch;
    pthread_mutex_lock(&runner->lock);
    if (err != NULL && !runner->failed) {
        runner->failed = true;
        runner->error = *err;
    } else if (err == NULL && flight->change.rows != NULL) {
        runner->rows += flight->change.rows->rows;
    }
    flight->busy = false;
    pthread_cond_broadcast(&runner->cond);
    pthread_mutex_unlock(&runner->lock);
    if (err != NULL && runner->member != NULL)
        source_groups_wake(runner->server->running_sources->groups);
}

/* Waits for a free flight; NULL when the source is to stop. */
static struct flight *take_flight(struct runner *runner)
{
    struct flight *free_one = NULL;
    pthread_mutex_lock(&runner->lock);
    while (!runner->stopping && !runner->failed) {
        for (uint32_t i = 0; i < IN_FLIGHT && free_one == NULL; i++) {
            if (!runner->flights[i].busy)
                free_one = &runner->flights[i];
        }
        if (free_one != NULL)
            break;
        pthread_cond_wait(&runner->cond, &runner->lock);
    }
    if (free_one != NULL)
        free_one->busy = true;
    pthread_mutex_unlock(&runner->lock);
    return free_one;
}

/* false: it is to stop. */
static bool wait_until(struct runner *runner, int64_t until_ns)
{
    struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    pthread_mutex_lock(&runner->lock);
    int waited = 0;
    while (!runner->stopping && !runner->failed && !runner->paused && waited == 0)
        waited = pthread_cond_timedwait(&runner->cond, &runner->lock, &until);
    bool go_on = !runner->stopping && !runner->failed;
    pthread_mutex_unlock(&runner->lock);
    return go_on;
}

static void land_all(struct runner *runner)
{
    pthread_mutex_lock(&runner->lock);
    for (uint32_t i = 0; i < IN_FLIGHT; i++) {
        while (runner->flights[i].busy)
            pthread_cond_wait(&runner->cond, &runner->lock);
    }
    pthread_mutex_unlock(&runner->lock);
}

/* Waits while the source is paused, and then opens the connector anew where it stopped, so that it does not
 * take the pause for time in which rows were due. false: it is to stop. */
static bool wait_paused(struct runner *runner)
{
    pthread_mutex_lock(&runner->lock);
    if (!runner->paused) {
        pthread_mutex_unlock(&runner->lock);
        return true;
    }
    pthread_mutex_unlock(&runner->lock);
    land_all(runner);
    pthread_mutex_lock(&runner->lock);
    while (runner->paused && !runner->stopping && !runner->failed)
        pthread_cond_wait(&runner->cond, &runner->lock);
    bool go_on = !runner->stopping && !runner->failed;
    uint64_t position = runner->rows;
    pthread_mutex_unlock(&runner->lock);
    if (!go_on)
        return false;
    struct source_rows *fresh;
    struct error error;
    error_init(&error);
    bool ok = source_rows_open(runner->server, runner->object, position, &fresh, &error);
    pthread_mutex_lock(&runner->lock);
    if (ok) {
        source_rows_close(runner->source);
        runner->source = fresh;
    } else {
        runner->failed = true;
        runner->error = error;
    }
    pthread_mutex_unlock(&runner->lock);
    return ok;
}

static bool is_interrupted(void *ctx)
{
    struct runner *runner = ctx;
    pthread_mutex_lock(&runner->lock);
    bool interrupted = runner->stopping || runner->failed || runner->paused;
    pthread_mutex_unlock(&runner->lock);
    return interrupted;
}

/* Waits while the source is paused or too far ahead of its group. false: it is to stop. */
static bool wait_turn(struct runner *runner)
{
    bool again = true;
    while (again) {
        if (!wait_paused(runner))
            return false;
        if (runner->member != NULL)
            source_group_wait(runner->member, is_interrupted, runner);
        pthread_mutex_lock(&runner->lock);
        again = runner->member != NULL && runner->paused;
        pthread_mutex_unlock(&runner->lock);
    }
    return true;
}

/* Tells the group how far the source has come. */
static void note_times(struct runner *runner, const struct batch *rows)
{
    const struct column *times = &rows->columns[runner->time_column];
    int64_t greatest_us = INT64_MIN;
    for (uint32_t row = 0; row < rows->rows; row++) {
        int64_t us = ((const int64_t *)times->data)[times->is_constant ? 0 : row];
        if (us > greatest_us && us != TIMESTAMP_PLUS_INFINITY && !column_is_null(times, row))
            greatest_us = us;
    }
    source_group_rows(runner->member, greatest_us);
}

/* No row comes any more: what waits for the watermark is final, and stays so over restarts. */
static void end_watermark(struct runner *runner, uint64_t position)
{
    struct watermark_stats stats;
    if (!relation_watermark(runner->relation, &stats) || stats.watermark == WATERMARK_END)
        return;
    struct arena arena;
    arena_init(&arena, NULL);
    const struct sql_type *types;
    uint32_t columns_count = relation_columns(runner->relation, &types);
    struct source_range range = {position, 0, clock_now_us()};
    struct txn_change change = {runner->relation, batch_create(&arena, types, columns_count, 1), &range};
    struct engine_txn txn = {.changes_count = 1, .changes = &change, .is_patient = true};
    uint64_t epoch;
    struct error error;
    if (!engine_commit(runner->server->engine, &txn, NULL, &epoch, &error))
        log_write(LOG_ERROR, "the end of the source of \"%s\" could not be logged: %s",
                  relation_name(runner->relation), error.message);
    arena_release(&arena);
}

static void *runner_main(void *arg)
{
    struct runner *runner = arg;
    struct flight *flight;
    uint64_t position = runner->rows; /* of the next row */
    bool at_end = false;
    while (wait_turn(runner) && (flight = take_flight(runner)) != NULL) {
        arena_reset(&flight->arena);
        struct batch *rows = NULL;
        int64_t next_ns = 0, clock_us = clock_now_us(), cpu_ns = clock_thread_cpu_ns();
        struct error error;
        error_init(&error);
        bool ok = source_rows_poll(runner->source, POLL_ROWS_MAX, clock_us, &flight->arena, &rows, &next_ns,
                                   &error);
        cpu_ns = clock_thread_cpu_ns() - cpu_ns;
        pthread_mutex_lock(&runner->lock);
        runner->poll_cpu_ns += cpu_ns;
        pthread_mutex_unlock(&runner->lock);
        if (ok && rows->rows > 0) {
            flight->range = (struct source_range){position, rows->rows, clock_us};
            flight->change = (struct txn_change){runner->relation, rows, NULL};
            if (source_rows_replayable(runner->source))
                flight->change.range = &flight->range;
            flight->txn =
                (struct engine_txn){.changes_count = 1, .changes = &flight->change, .is_patient = true};
            position += rows->rows;
            if (runner->member != NULL)
                note_times(runner, rows);
            engine_commit_async(runner->server->engine, &flight->txn, flight_done, flight);
        } else {
            flight->change.rows = NULL;
            flight_done(flight, 0, ok ? NULL : &error);
        }
        if (ok && next_ns == INT64_MAX) {
            at_end = true;
            break;
        }
        if (next_ns > clock_monotonic_ns() && !wait_until(runner, next_ns))
            break;
    }
    land_all(runner);
    if (at_end)
        end_watermark(runner, position);
    pthread_mutex_lock(&runner->lock);
    runner->ended = at_end;
    pthread_mutex_unlock(&runner->lock);
    if (runner->member != NULL)
        source_group_set_active(runner->member, false);
    if (runner->failed)
        log_write(LOG_ERROR, "source of \"%s\" failed: %s", relation_name(runner->relation),
                  runner->error.message);
    return NULL;
}

static bool join_group(struct runner *runner, struct error *err)
{
    const struct catalog_object *object = runner->object;
    const char *group = ddl_option(object, "align");
    int64_t max_skew_us = 0, idle_timeout_us = 0;
    if (group == NULL)
        return true;
    if (!ddl_interval_option(object, "max_skew", false, &max_skew_us, err) ||
        !ddl_interval_option(object, "idle_timeout", false, &idle_timeout_us, err))
        return false;
    while (strcmp(object->columns[runner->time_column].name, object->watermark_column) != 0)
        runner->time_column++;
    runner->member =
        source_group_join(runner->server->running_sources->groups, group, max_skew_us, idle_timeout_us);
    struct watermark_stats stats;
    if (relation_watermark(runner->relation, &stats) && stats.greatest != WATERMARK_NONE)
        source_group_rows(runner->member, stats.greatest); /* where it was before a restart */
    if (runner->paused)
        source_group_set_active(runner->member, false);
    return true;
}

static bool source_create(struct server *server, struct catalog_object *object, struct error *err)
{
    struct relation_stats stats;
    if (object->kind == CATALOG_EXTERNAL_TABLE)
        return external_start(server, object, err);
    relation_stats(object->relation, &stats);
    struct runner *runner = mem_zalloc(sizeof(*runner));
    runner->server = server;
    runner->relation = object->relation;
    runner->object = object;
    if (!read_paused(object, &runner->paused, err) ||
        !source_rows_open(server, object, stats.rows_seen, &runner->source, err)) {
        mem_free(runner);
        return false;
    }
    if (!join_group(runner, err)) {
        source_rows_close(runner->source);
        mem_free(runner);
        return false;
    }
    runner->connector = source_rows_connector(runner->source);
    runner->rows = stats.rows_seen;
    relation_retain(runner->relation);
    catalog_object_retain(object);
    pthread_mutex_init(&runner->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&runner->cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
    for (uint32_t i = 0; i < IN_FLIGHT; i++) {
        runner->flights[i].runner = runner;
        arena_init(&runner->flights[i].arena, &server->account);
    }
    CHECK(pthread_create(&runner->thread, NULL, runner_main, runner) == 0);
    pthread_mutex_lock(&server->running_sources->lock);
    runner->next = server->running_sources->first;
    server->running_sources->first = runner;
    pthread_mutex_unlock(&server->running_sources->lock);
    return true;
}

static void runner_stop(struct runner *runner)
{
    pthread_mutex_lock(&runner->lock);
    runner->stopping = true;
    pthread_cond_broadcast(&runner->cond);
    pthread_mutex_unlock(&runner->lock);
    if (runner->member != NULL)
        source_groups_wake(runner->server->running_sources->groups);
    pthread_join(runner->thread, NULL);
    if (runner->member != NULL)
        source_group_leave(runner->member);
    source_rows_close(runner->source);
    for (uint32_t i = 0; i < IN_FLIGHT; i++)
        arena_release(&runner->flights[i].arena);
    relation_release(runner->relation);
    catalog_object_release(runner->object);
    pthread_mutex_destroy(&runner->lock);
    pthread_cond_destroy(&runner->cond);
    mem_free(runner);
}

static void source_drop(struct server *server, struct catalog_object *object)
{
    if (object->kind == CATALOG_EXTERNAL_TABLE) {
        external_stop(server, object);
        return;
    }
    pthread_mutex_lock(&server->running_sources->lock);
    struct runner **link = &server->running_sources->first;
    while (*link != NULL && (*link)->object->oid != object->oid)
        link = &(*link)->next;
    struct runner *runner = *link;
    if (runner != NULL)
        *link = runner->next;
    pthread_mutex_unlock(&server->running_sources->lock);
    if (runner != NULL)
        runner_stop(runner);
}

static bool source_alter(struct server *server, struct catalog_object *object, struct error *err)
{
    bool paused;
    if (!read_paused(object, &paused, err))
        return false;
    pthread_mutex_lock(&server->running_sources->lock);
    struct runner *runner = server->running_sources->first;
    while (runner != NULL && runner->object->oid != object->oid)
        runner = runner->next;
    if (runner != NULL) {
        pthread_mutex_lock(&runner->lock);
        runner->paused = paused;
        bool goes = !paused && !runner->ended && !runner->failed;
        pthread_cond_broadcast(&runner->cond);
        pthread_mutex_unlock(&runner->lock);
        if (runner->member != NULL)
            source_group_set_active(runner->member, goes);
    }
    pthread_mutex_unlock(&server->running_sources->lock);
    return true;
}

const struct source_hooks source_hooks_running = {
    .source_create = source_create, .source_drop = source_drop, .source_alter = source_alter};

struct sources *sources_create(void)
{
    struct sources *sources = mem_zalloc(sizeof(*sources));
    pthread_mutex_init(&sources->lock, NULL);
    sources->groups = source_groups_create();
    return sources;
}

void sources_destroy(struct sources *sources)
{
    while (sources->first != NULL) {
        struct runner *runner = sources->first;
        sources->first = runner->next;
        runner_stop(runner);
    }
    source_groups_destroy(sources->groups);
    pthread_mutex_destroy(&sources->lock);
    mem_free(sources);
}

void sources_for_each(struct sources *sources, bool (*visit)(void *ctx, const struct source_status *status),
                      void *ctx)
{
    pthread_mutex_lock(&sources->lock);
    bool more = true;
    for (struct runner *runner = sources->first; runner != NULL && more; runner = runner->next) {
        bool waits = runner->member != NULL && source_group_is_waiting(runner->member);
        pthread_mutex_lock(&runner->lock);
        struct source_status status = {.relation_oid = runner->object->oid,
                                       .connector = runner->connector,
                                       .state = runner->failed   ? "failed"
                                                : runner->ended  ? "ended"
                                                : runner->paused ? "paused"
                                                : waits          ? "waiting"
                                                                 : "running",
                                       .rows = runner->rows,
                                       .poll_cpu_us = runner->poll_cpu_ns / 1000,
                                       .error = runner->failed ? runner->error.message : NULL};
        more = visit(ctx, &status);
        pthread_mutex_unlock(&runner->lock);
    }
    pthread_mutex_unlock(&sources->lock);
}
