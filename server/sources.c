/* sources.c: the list of running sources, what all kinds of them have in common, and which kind a relation wants. */
#include "server/sources.h"

#include "executor/engine_trouble.h"
#include "planner/ddl.h"
#include "planner/ddl_time.h"
#include "protocol/connector/partitioned.h"
#include "server/external.h"
#include "server/source_changes.h"
#include "server/source_kind.h"
#include "storage/data/datetime.h"

#include <string.h>

struct sources {
    pthread_mutex_t lock;
    struct running_source *first;
    struct source_groups *groups;
    struct source_changes *changes;
};

/* ---- options ---- */

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

bool sources_option_may_change(const struct catalog_object *object, const char *name)
{
    static const char *const of_logs[] = {"on_error",    "on_lost",          "max_rows_per_second",
                                          "skip_offset", "schema_change",    "schema_id",
                                          "errors_rows", "errors_retention", NULL};
    return strcmp(name, "paused") == 0 || (sources_has_parts(object) && ddl_is_option(of_logs, name));
}

bool source_read_paused(const struct catalog_object *object, bool *paused, struct error *err)
{
    const char *value = ddl_option(object, "paused");
    *paused = value != NULL && strcmp(value, "true") == 0;
    return value == NULL || *paused || strcmp(value, "false") == 0 ||
           error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "parameter \"paused\" requires a Boolean value");
}

static const struct source_kind *kind_of(const struct catalog_object *object)
{
    return sources_has_parts(object) ? &source_kind_log : &source_kind_pull;
}

bool sources_has_parts(const struct catalog_object *object)
{
    const char *connector = ddl_option(object, "connector");
    return object->kind != CATALOG_EXTERNAL_TABLE && connector != NULL && partitioned_find(connector) != NULL;
}

bool sources_check(struct server *server, const struct catalog_object *object, struct error *err)
{
    bool paused;
    if (object->kind == CATALOG_EXTERNAL_TABLE)
        return external_check(object, err);
    return source_read_paused(object, &paused, err) && kind_of(object)->check(server, object, err);
}

/* ---- one source ---- */

static bool join_group(struct running_source *source, struct error *err)
{
    const struct catalog_object *object = source->object;
    const char *group = ddl_option(object, "align");
    int64_t max_skew_us = 0, idle_timeout_us = 0;
    bool paused;
    if (group == NULL)
        return true;
    if (!ddl_interval_option(object, "max_skew", false, &max_skew_us, err) ||
        !ddl_interval_option(object, "idle_timeout", false, &idle_timeout_us, err) ||
        !source_read_paused(object, &paused, err))
        return false;
    while (strcmp(object->columns[source->time_column].name, object->watermark_column) != 0)
        source->time_column++;
    source->member =
        source_group_join(source->server->running_sources->groups, group, max_skew_us, idle_timeout_us);
    struct watermark_stats stats;
    if (relation_watermark(source->relation, &stats) && stats.greatest != WATERMARK_NONE)
        source_group_rows(source->member, stats.greatest); /* where it was before a restart */
    source_group_set_active(source->member, !paused);
    return true;
}

bool running_source_init(struct running_source *source, const struct source_kind *kind, struct server *server,
                         struct catalog_object *object, struct error *err)
{
    *source = (struct running_source){
        .kind = kind, .server = server, .relation = object->relation, .object = object};
    if (!join_group(source, err))
        return false;
    relation_retain(source->relation);
    catalog_object_retain(object);
    return true;
}

void running_source_release(struct running_source *source)
{
    if (source->member != NULL)
        source_group_leave(source->member);
    relation_release(source->relation);
    catalog_object_release(source->object);
}

static bool is_interrupted(void *ctx)
{
    return source_thread_is_interrupted(ctx);
}

void running_source_wait_turn(struct running_source *source, struct source_thread *thread)
{
    if (source->member != NULL)
        source_group_wait(source->member, is_interrupted, thread);
}

void running_source_note_times(struct running_source *source, const struct batch *rows)
{
    if (source->member == NULL)
        return;
    const struct column *times = &rows->columns[source->time_column];
    int64_t greatest_us = INT64_MIN;
    for (uint32_t row = 0; row < rows->rows; row++) {
        int64_t us = ((const int64_t *)times->data)[times->is_constant ? 0 : row];
        if (us > greatest_us && us != TIMESTAMP_PLUS_INFINITY && !column_is_null(times, row))
            greatest_us = us;
    }
    source_group_rows(source->member, greatest_us);
}

void running_source_set_active(struct running_source *source, bool active)
{
    if (source->member != NULL)
        source_group_set_active(source->member, active);
}

void running_source_wake_group(struct running_source *source)
{
    if (source->member != NULL)
        source_groups_wake(source->server->running_sources->groups);
}

/* ---- hooks ---- */

static bool source_create(struct server *server, struct catalog_object *object, struct error *err)
{
    if (object->kind == CATALOG_EXTERNAL_TABLE)
        return external_start(server, object, err);
    struct running_source *source;
    if (!kind_of(object)->start(server, object, &source, err))
        return false;
    pthread_mutex_lock(&server->running_sources->lock);
    source->next = server->running_sources->first;
    server->running_sources->first = source;
    pthread_mutex_unlock(&server->running_sources->lock);
    return true;
}

static void source_drop(struct server *server, struct catalog_object *object)
{
    if (object->kind == CATALOG_EXTERNAL_TABLE) {
        external_stop(server, object);
        return;
    }
    pthread_mutex_lock(&server->running_sources->lock);
    struct running_source **link = &server->running_sources->first;
    while (*link != NULL && (*link)->object->oid != object->oid)
        link = &(*link)->next;
    struct running_source *source = *link;
    if (source != NULL)
        *link = source->next;
    pthread_mutex_unlock(&server->running_sources->lock);
    if (source != NULL)
        source->kind->stop(source);
}

static bool source_alter(struct server *server, struct catalog_object *object, struct error *err)
{
    if (!sources_check(server, object, err))
        return false;
    pthread_mutex_lock(&server->running_sources->lock);
    struct running_source *source = server->running_sources->first;
    while (source != NULL && source->object->oid != object->oid)
        source = source->next;
    if (source != NULL)
        source->kind->alter(source, object);
    pthread_mutex_unlock(&server->running_sources->lock);
    return true;
}

const struct source_hooks source_hooks_running = {
    .source_create = source_create, .source_drop = source_drop, .source_alter = source_alter};

void sources_answer(struct sources *sources, uint32_t oid, const struct error *err)
{
    pthread_mutex_lock(&sources->lock);
    struct running_source *source = sources->first;
    while (source != NULL && source->object->oid != oid)
        source = source->next;
    if (source != NULL && source->kind->refused != NULL)
        source->kind->refused(source, err);
    pthread_mutex_unlock(&sources->lock);
}

struct source_changes *sources_changes(struct sources *sources)
{
    return sources->changes;
}

/* ---- all of them ---- */

struct sources *sources_create(struct server *server)
{
    struct sources *sources = mem_zalloc(sizeof(*sources));
    pthread_mutex_init(&sources->lock, NULL);
    sources->groups = source_groups_create();
    sources->changes = source_changes_create(server);
    return sources;
}

void sources_destroy(struct sources *sources)
{
    source_changes_destroy(sources->changes);
    for (struct running_source *source = sources->first; source != NULL; source = source->next)
        if (source->kind->hurry != NULL)
            source->kind->hurry(source);
    while (sources->first != NULL) {
        struct running_source *source = sources->first;
        sources->first = source->next;
        source->kind->stop(source);
    }
    source_groups_destroy(sources->groups);
    pthread_mutex_destroy(&sources->lock);
    mem_free(sources);
}

void sources_for_each(struct sources *sources, bool (*visit)(void *ctx, const struct source_status *status),
                      void *ctx)
{
    struct arena arena;
    struct error trouble;
    bool more = true;
    arena_init(&arena, NULL);
    pthread_mutex_lock(&sources->lock);
    bool is_held = sources->first != NULL && engine_is_held(sources->first->server->engine, &trouble);
    for (struct running_source *source = sources->first; source != NULL && more; source = source->next) {
        struct source_status status = {.relation_oid = source->object->oid,
                                       .connector = ddl_option(source->object, "connector")};
        source->kind->status(source, &arena, &status);
        if (is_held && strcmp(status.state, "running") == 0) { /* its transactions wait in the engine */
            status.state = "waiting for space";
            status.error = trouble.message;
        }
        more = visit(ctx, &status);
        arena_reset(&arena);
    }
    pthread_mutex_unlock(&sources->lock);
    arena_release(&arena);
}

void sources_for_each_partition(struct sources *sources,
                                bool (*visit)(void *ctx, const struct source_partition_status *status),
                                void *ctx)
{
    struct arena arena;
    arena_init(&arena, NULL);
    pthread_mutex_lock(&sources->lock);
    for (struct running_source *source = sources->first; source != NULL; source = source->next) {
        if (source->kind->partitions != NULL)
            source->kind->partitions(source, &arena, visit, ctx);
        arena_reset(&arena);
    }
    pthread_mutex_unlock(&sources->lock);
    arena_release(&arena);
}
