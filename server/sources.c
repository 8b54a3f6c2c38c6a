/* sources.c: threads that feed streams.
 *
 * A source keeps two batches in flight: while the engine works on one, the next is decoded. Where it goes on
 * after a restart is the number of rows its stream holds, so position and rows are one durable fact. */
#include "server/sources.h"

#include "protocol/connector/connector.h"
#include "storage/base/clock.h"
#include "storage/base/log.h"

#include <time.h>

#define POLL_ROWS_MAX 16384u
#define IN_FLIGHT     2u

struct flight {
    struct runner *runner;
    struct arena arena;
    struct txn_change change;
    struct engine_txn txn;
    bool busy;
};

struct runner {
    struct runner *next;
    struct server *server;
    struct relation *relation;
    struct catalog_object *object;
    const struct connector_class *class;
    struct source *source;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct flight flights[IN_FLIGHT];
    bool stopping, ended, failed;
    uint64_t rows;
    struct error error;
};

struct sources {
    pthread_mutex_t lock;
    struct runner *first;
};

static const char *option_of(const struct catalog_object *object, const char *name)
{
    for (uint32_t i = 0; i < object->options_count; i++) {
        if (strcmp(object->options[i].name, name) == 0)
            return object->options[i].value;
    }
    return NULL;
}

/* Opens the object's source; *out NULL only checks. */
static bool open_source(const struct catalog_object *object, uint64_t position,
                        const struct connector_class **class, struct source **out, struct error *err)
{
    const char *name = option_of(object, "connector");
    *class = name != NULL ? connector_find(name) : NULL;
    if (*class == NULL) {
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "connector \"%s\" is not supported",
                  name != NULL ? name : "");
        return error_hint(err, "Supported connectors: generator.");
    }
    struct arena arena;
    arena_init(&arena, NULL);
    struct source_spec spec = {
        .relation_name = object->name, .columns_count = object->columns_count, .position = position};
    const char **names = ARENA_ARRAY(&arena, const char *, object->columns_count);
    struct sql_type *types = ARENA_ARRAY(&arena, struct sql_type, object->columns_count);
    for (uint32_t i = 0; i < object->columns_count; i++) {
        names[i] = object->columns[i].name;
        types[i] = object->columns[i].type;
    }
    struct connector_option *options = ARENA_ARRAY(&arena, struct connector_option, object->options_count);
    for (uint32_t i = 0; i < object->options_count; i++) {
        if (strcmp(object->options[i].name, "connector") == 0 ||
            strcmp(object->options[i].name, "append_only") == 0 ||
            strcmp(object->options[i].name, "retention") == 0)
            continue;
        options[spec.options_count++] =
            (struct connector_option){object->options[i].name, object->options[i].value};
    }
    spec.column_names = names;
    spec.types = types;
    spec.options = options;
    bool ok = (*class)->open(&spec, out, err);
    arena_release(&arena);
    return ok;
}

bool sources_check(const struct catalog_object *object, struct error *err)
{
    const struct connector_class *class;
    return open_source(object, 0, &class, NULL, err);
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
    } else if (err == NULL) {
        runner->rows += flight->change.rows->rows;
    }
    flight->busy = false;
    pthread_cond_broadcast(&runner->cond);
    pthread_mutex_unlock(&runner->lock);
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
    while (!runner->stopping && !runner->failed && waited == 0)
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

static void *runner_main(void *arg)
{
    struct runner *runner = arg;
    const struct sql_type *types;
    uint32_t columns_count = relation_columns(runner->relation, &types);
    struct flight *flight;
    while ((flight = take_flight(runner)) != NULL) {
        arena_reset(&flight->arena);
        struct batch *rows = batch_create(&flight->arena, types, columns_count, 1024);
        int64_t next_ns = 0;
        struct error error;
        error_init(&error);
        bool ok = runner->class->poll(runner->source, POLL_ROWS_MAX, rows, &next_ns, &error);
        flight->change = (struct txn_change){runner->relation, rows};
        flight->txn = (struct engine_txn){.changes_count = 1, .changes = &flight->change};
        if (ok && rows->rows > 0)
            engine_commit_async(runner->server->engine, &flight->txn, flight_done, flight);
        else
            flight_done(flight, 0, ok ? NULL : &error);
        if (ok && next_ns == INT64_MAX) {
            runner->ended = true;
            break;
        }
        if (next_ns > clock_monotonic_ns() && !wait_until(runner, next_ns))
            break;
    }
    land_all(runner);
    if (runner->failed)
        log_write(LOG_ERROR, "source of \"%s\" failed: %s", relation_name(runner->relation),
                  runner->error.message);
    return NULL;
}

static bool source_create(struct server *server, struct catalog_object *object, struct error *err)
{
    struct relation_stats stats;
    relation_stats(object->relation, &stats);
    struct runner *runner = mem_zalloc(sizeof(*runner));
    if (!open_source(object, stats.rows, &runner->class, &runner->source, err)) {
        mem_free(runner);
        return false;
    }
    runner->server = server;
    runner->relation = object->relation;
    runner->object = object;
    runner->rows = stats.rows;
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
    pthread_join(runner->thread, NULL);
    runner->class->close(runner->source);
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

const struct source_hooks source_hooks_running = {.source_create = source_create, .source_drop = source_drop};

struct sources *sources_create(void)
{
    struct sources *sources = mem_zalloc(sizeof(*sources));
    pthread_mutex_init(&sources->lock, NULL);
    return sources;
}

void sources_destroy(struct sources *sources)
{
    while (sources->first != NULL) {
        struct runner *runner = sources->first;
        sources->first = runner->next;
        runner_stop(runner);
    }
    pthread_mutex_destroy(&sources->lock);
    mem_free(sources);
}

void sources_for_each(struct sources *sources, bool (*visit)(void *ctx, const struct source_status *status),
                      void *ctx)
{
    pthread_mutex_lock(&sources->lock);
    bool more = true;
    for (struct runner *runner = sources->first; runner != NULL && more; runner = runner->next) {
        pthread_mutex_lock(&runner->lock);
        struct source_status status = {.relation_oid = runner->object->oid,
                                       .connector = runner->class->name,
                                       .state = runner->failed  ? "failed"
                                                : runner->ended ? "ended"
                                                                : "running",
                                       .rows = runner->rows,
                                       .error = runner->failed ? runner->error.message : NULL};
        more = visit(ctx, &status);
        pthread_mutex_unlock(&runner->lock);
    }
    pthread_mutex_unlock(&sources->lock);
}
