/* sysview_millrace.c: our own views: what relations hold, what operators do, where the engine stands. */
#include "planner/ddl.h"
#include "planner/redact.h"
#include "planner/routines.h"
#include "server/checkpointer.h"
#include "server/ddl_objects.h"
#include "server/external.h"
#include "server/session.h"
#include "server/session_settings.h"
#include "server/settings.h"
#include "server/sinks.h"
#include "server/sources.h"
#include "server/sysview.h"
#include "server/view_builds.h"
#include "storage/base/clock.h"
#include "storage/data/datetime.h"
#include "storage/data/datetime_internal.h"
#include "storage/disk/savepoint.h"
#include "storage/disk/tick_log.h"
#include "storage/state/memory_governor.h"
#include "storage/state/state_memory.h"

static bool is_maintained(const struct catalog_object *object)
{
    return object->relation != NULL && object->kind != CATALOG_SEQUENCE;
}

static bool rows_relations(struct sys_rows *rows, struct error *err)
{
    static const char *const kinds[] = {[CATALOG_TABLE] = "table",
                                        [CATALOG_STREAM] = "stream",
                                        [CATALOG_VIEW] = "view",
                                        [CATALOG_MATERIALIZED_VIEW] = "materialized view",
                                        [CATALOG_EXTERNAL_TABLE] = "external table"};
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        if (!is_maintained(object))
            continue;
        struct relation_stats stats;
        relation_stats(object->relation, &stats);
        sys_int(rows, "oid", object->oid);
        sys_text(rows, "schema", sys_schema_name(rows, object->schema_oid));
        sys_text(rows, "name", object->name);
        sys_text(rows, "kind", kinds[object->kind]);
        sys_int(rows, "rows", (int64_t)stats.rows);
        sys_int(rows, "bytes", stats.bytes);
        sys_int(rows, "last_epoch", (int64_t)stats.last_epoch);
        if (object->kind == CATALOG_MATERIALIZED_VIEW) {
            sys_int(rows, "state_bytes", stats.state_bytes);
            sys_int(rows, "rows_in", (int64_t)stats.rows_in);
            sys_int(rows, "rows_out", (int64_t)stats.rows_out);
            sys_int(rows, "errors", (int64_t)stats.errors);
            sys_real(rows, "busy_ms", (double)stats.busy_ns / 1e6);
            uint64_t judged, late;
            relation_late_counts(object->relation, &judged, &late);
            sys_int(rows, "judged", (int64_t)judged);
            sys_int(rows, "late", (int64_t)late);
        }
        sys_end(rows);
    }
    return true;
}

static void add_time(struct sys_rows *rows, const char *column, int64_t us)
{
    if (us != WATERMARK_NONE) /* behind the last timestamp: of a source that has ended */
        sys_int(rows, column, us >= TIMESTAMP_END ? TIMESTAMP_PLUS_INFINITY : us);
}

static bool rows_watermarks(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        struct watermark_stats stats;
        if (!is_maintained(object) || !relation_watermark(object->relation, &stats))
            continue;
        sys_text(rows, "schema", sys_schema_name(rows, object->schema_oid));
        sys_text(rows, "relation", object->name);
        sys_text(rows, "column_name", object->columns[stats.column].name);
        sys_text(rows, "expression", stats.text);
        add_time(rows, "watermark", stats.watermark);
        if (object->kind != CATALOG_MATERIALIZED_VIEW) {
            add_time(rows, "greatest", stats.greatest);
            add_time(rows, "last_row", stats.last_row_us);
            sys_int(rows, "partitions", stats.partitions);
            sys_int(rows, "idle_partitions", stats.idle_partitions);
            sys_int(rows, "rejected", (int64_t)stats.rejected);
        }
        sys_end(rows);
    }
    return true;
}

struct view_walk {
    struct sys_rows *rows;
    const char *schema, *name;
};

static bool add_operator(void *ctx, const struct operator_stats *stats)
{
    const struct view_walk *walk = ctx;
    struct sys_rows *rows = walk->rows;
    sys_text(rows, "schema", walk->schema);
    sys_text(rows, "view", walk->name);
    sys_int(rows, "id", stats->id);
    sys_int(rows, "depth", stats->depth);
    sys_text(rows, "name", arena_strdup(rows->arena, stats->name));
    sys_int(rows, "rows_in", (int64_t)stats->rows_in);
    sys_int(rows, "rows_out", (int64_t)stats->rows_out);
    sys_int(rows, "batches", (int64_t)stats->batches);
    sys_int(rows, "state_rows", (int64_t)stats->state_rows);
    sys_int(rows, "state_bytes", stats->state_bytes);
    sys_real(rows, "busy_ms", (double)stats->busy_ns / 1e6);
    sys_end(rows);
    return true;
}

static bool add_view_error(void *ctx, const char *sqlstate, const char *message, const char *row,
                           const char *op_name, int64_t weight)
{
    const struct view_walk *walk = ctx;
    struct sys_rows *rows = walk->rows;
    sys_text(rows, "schema", walk->schema);
    sys_text(rows, "view", walk->name);
    sys_text(rows, "sqlstate", sqlstate);
    sys_text(rows, "message", message);
    sys_text(rows, "row", row);
    sys_text(rows, "operator", op_name);
    sys_int(rows, "count", weight);
    sys_end(rows);
    return true;
}

static bool rows_operators(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        if (object->kind != CATALOG_MATERIALIZED_VIEW || object->relation == NULL)
            continue;
        struct view_walk walk = {rows, sys_schema_name(rows, object->schema_oid), object->name};
        relation_operators(object->relation, add_operator, &walk);
    }
    return true;
}

static bool rows_view_errors(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        if (!is_maintained(object))
            continue;
        struct view_walk walk = {rows, sys_schema_name(rows, object->schema_oid), object->name};
        relation_errors(object->relation, add_view_error, &walk);
    }
    for (uint32_t i = 0; i < rows->sinks_count; i++) {
        const struct catalog_object *sink = rows->sinks[i];
        struct view_walk walk = {rows, sys_schema_name(rows, sink->schema_oid), sink->name};
        if (sink->relation != NULL)
            relation_errors(sink->relation, add_view_error, &walk);
    }
    return true;
}

static void add_build(void *ctx, const struct view_build *build)
{
    static const char *const phases[] = {[BACKFILL_STARTING] = "starting",
                                         [BACKFILL_SNAPSHOT] = "snapshot",
                                         [BACKFILL_CATCHING_UP] = "catching up",
                                         [BACKFILL_LIVE] = "live"};
    struct sys_rows *rows = ctx;
    const struct backfill_progress *progress = &build->progress;
    sys_text(rows, "schema", sys_schema_name(rows, build->object->schema_oid));
    sys_text(rows, "view", arena_strdup(rows->arena, build->object->name));
    sys_text(rows, "phase", phases[atomic_load(&progress->phase)]);
    sys_int(rows, "rows_done", (int64_t)atomic_load(&progress->rows_done));
    sys_int(rows, "rows_total", (int64_t)atomic_load(&progress->rows_total));
    sys_int(rows, "ticks_behind", (int64_t)atomic_load(&progress->ticks_behind));
    sys_int(rows, "waiting_bytes", atomic_load(&progress->waiting_bytes));
    sys_int(rows, "started", build->started_us);
    sys_int(rows, "pid", build->pid);
    sys_text(rows, "kind", build->object->kind == CATALOG_INDEX ? "index" : "materialized view");
    sys_end(rows);
}

static bool rows_view_builds(struct sys_rows *rows, struct error *err)
{
    view_builds_for_each(rows->server, add_build, rows);
    return true;
}

static bool rows_engine(struct sys_rows *rows, struct error *err)
{
    struct engine_stats stats;
    engine_stats(rows->server->engine, &stats);
    sys_int(rows, "epoch_visible", (int64_t)stats.epoch_visible);
    sys_int(rows, "epoch_computed", (int64_t)stats.epoch_computed);
    sys_int(rows, "epoch_durable", (int64_t)stats.epoch_durable);
    sys_int(rows, "ticks", (int64_t)stats.ticks);
    sys_int(rows, "transactions", (int64_t)stats.transactions);
    sys_int(rows, "rows_in", (int64_t)stats.rows_in);
    sys_int(rows, "rows_processed", (int64_t)stats.rows_processed);
    sys_real(rows, "busy_ms", (double)stats.busy_ns / 1e6);
    sys_end(rows);
    return true;
}

static bool rows_memory(struct sys_rows *rows, struct error *err)
{
    struct memory_governor_stats governor;
    struct state_memory_stats state;
    memory_governor_stats(&governor);
    state_memory_stats(&state);
    if (governor.limit_bytes > 0)
        sys_int(rows, "limit_bytes", governor.limit_bytes);
    sys_int(rows, "resident_bytes", governor.resident_bytes);
    sys_int(rows, "anonymous_bytes", governor.anonymous_bytes);
    sys_int(rows, "used_bytes", atomic_load(&rows->server->account.used_bytes));
    sys_int(rows, "spill_bytes", state.file_bytes);
    sys_int(rows, "spill_full_bytes", state.anonymous_bytes);
    sys_int(rows, "evicted_bytes", state.evicted_bytes);
    sys_int(rows, "evictions", (int64_t)governor.rounds);
    sys_end(rows);
    return true;
}

static bool rows_log(struct sys_rows *rows, struct error *err)
{
    if (rows->server->log == NULL)
        return true;
    struct tick_log_stats stats;
    tick_log_stats(rows->server->log, &stats);
    sys_int(rows, "ticks", (int64_t)stats.ticks);
    sys_int(rows, "commits", (int64_t)stats.commits);
    sys_int(rows, "bytes", (int64_t)stats.bytes);
    sys_int(rows, "removed_before", (int64_t)stats.removed_before);
    sys_real(rows, "sync_ms", (double)stats.sync_ns / 1e6);
    sys_end(rows);
    return true;
}

static bool add_source(void *ctx, const struct source_status *status)
{
    struct sys_rows *rows = ctx;
    const struct catalog_object *object = sys_object(rows, status->relation_oid);
    if (object == NULL)
        return true;
    sys_text(rows, "schema", sys_schema_name(rows, object->schema_oid));
    sys_text(rows, "relation", object->name);
    sys_text(rows, "connector", status->connector);
    sys_text(rows, "state", status->state);
    sys_int(rows, "rows", (int64_t)status->rows);
    sys_int(rows, "poll_cpu_us", status->poll_cpu_us);
    if (status->error != NULL)
        sys_text(rows, "error", arena_strdup(rows->arena, status->error));
    if (status->has_records) {
        sys_int(rows, "accepted", (int64_t)status->accepted);
        sys_int(rows, "rejected", (int64_t)status->rejected);
        sys_int(rows, "skipped", (int64_t)status->skipped);
        if (status->lag >= 0)
            sys_int(rows, "lag", status->lag);
    }
    if (status->hint != NULL)
        sys_text(rows, "hint", arena_strdup(rows->arena, status->hint));
    sys_end(rows);
    return true;
}

static bool add_source_partition(void *ctx, const struct source_partition_status *status)
{
    struct sys_rows *rows = ctx;
    const struct catalog_object *object = sys_object(rows, status->relation_oid);
    if (object == NULL)
        return true;
    sys_text(rows, "schema", sys_schema_name(rows, object->schema_oid));
    sys_text(rows, "relation", object->name);
    sys_int(rows, "partition", status->partition);
    sys_int(rows, "consumer", status->consumer);
    sys_int(rows, "next_offset", status->next_offset);
    if (status->low >= 0)
        sys_int(rows, "low", status->low);
    if (status->high >= 0) {
        sys_int(rows, "high", status->high);
        sys_int(rows, "lag", status->high > status->next_offset ? status->high - status->next_offset : 0);
    }
    sys_int(rows, "accepted", status->accepted);
    sys_int(rows, "rejected", status->rejected);
    sys_int(rows, "skipped", status->skipped);
    sys_int(rows, "absent", status->absent);
    sys_int(rows, "lost", status->lost);
    sys_int(rows, "updated", status->updated_us);
    sys_end(rows);
    return true;
}

static bool rows_source_partitions(struct sys_rows *rows, struct error *err)
{
    if (rows->server->running_sources != NULL)
        sources_for_each_partition(rows->server->running_sources, add_source_partition, rows);
    return true;
}

static bool rows_sources(struct sys_rows *rows, struct error *err)
{
    if (rows->server->running_sources != NULL)
        sources_for_each(rows->server->running_sources, add_source, rows);
    return true;
}

static bool add_external(void *ctx, const struct external_status *status)
{
    struct sys_rows *rows = ctx;
    const struct catalog_object *object = sys_object(rows, status->relation_oid);
    if (object == NULL)
        return true;
    struct relation_stats stats;
    relation_stats(object->relation, &stats);
    sys_text(rows, "schema", sys_schema_name(rows, object->schema_oid));
    sys_text(rows, "name", object->name);
    sys_text(rows, "connector", status->connector);
    sys_text(rows, "state", status->state);
    sys_int(rows, "cached_rows", (int64_t)stats.rows);
    sys_int(rows, "cached_bytes", stats.bytes);
    sys_int(rows, "hits", (int64_t)status->hits);
    sys_int(rows, "misses", (int64_t)status->misses);
    sys_int(rows, "waiting_rows", status->waiting_rows);
    sys_int(rows, "waiting_keys", (int64_t)status->waiting_keys);
    sys_int(rows, "questions", (int64_t)status->questions);
    sys_int(rows, "found", (int64_t)status->found);
    sys_int(rows, "not_found", (int64_t)status->not_found);
    sys_int(rows, "failures", (int64_t)status->failures);
    sys_int(rows, "retries", (int64_t)status->retries);
    if (status->last_error != NULL) {
        sys_text(rows, "last_error", arena_strdup(rows->arena, status->last_error));
        sys_int(rows, "last_error_at", status->last_error_us);
    }
    sys_end(rows);
    return true;
}

static bool rows_external_tables(struct sys_rows *rows, struct error *err)
{
    if (rows->server->externals != NULL)
        externals_for_each(rows->server->externals, add_external, rows);
    return true;
}

/* The process's settings, then the session's. */
static bool rows_settings(struct sys_rows *rows, struct error *err)
{
    size_t count;
    const struct setting_row *table = settings_rows(&count);
    const struct settings *settings = rows->server->settings;
    for (size_t i = 0; settings != NULL && i < count; i++) {
        const void *value = (const char *)settings + table[i].offset;
        sys_text(rows, "name", table[i].name);
        if (table[i].type == SETTING_TEXT)
            sys_text(rows, "value", *(const char *const *)value);
        else
            sys_textf(rows, "value", "%lld", (long long)*(const int64_t *)value);
        sys_text(rows, "scope", "server");
        sys_text(rows, "default_value", table[i].default_text);
        sys_text(rows, "help", table[i].help);
        sys_end(rows);
    }
    const struct session *session = rows->info->session;
    struct session_setting_info info;
    for (uint32_t i = 0; session != NULL && session_settings_at(session->settings, i, &info); i++) {
        sys_text(rows, "name", info.name);
        sys_text(rows, "value", info.value);
        sys_text(rows, "scope", "session");
        sys_text(rows, "default_value", info.boot);
        sys_text(rows, "help", info.help);
        sys_end(rows);
    }
    return true;
}

static bool rows_functions(struct sys_rows *rows, struct error *err)
{
    static const char *const kinds[] = {[ROUTINE_FUNCTION] = "function",
                                        [ROUTINE_OPERATOR] = "operator",
                                        [ROUTINE_AGGREGATE] = "aggregate",
                                        [ROUTINE_WINDOW] = "window function"};
    struct strbuf text = STRBUF_INIT;
    const struct routine *routine;
    for (size_t i = 0; (routine = routine_at(i)) != NULL; i++) {
        if (routine->kind == ROUTINE_IO ||
            (routine->function != NULL && routine->function->flags & FN_HIDDEN))
            continue;
        sys_text(rows, "name", routine->name);
        strbuf_reset(&text);
        routine_arguments(routine, &text);
        sys_text(rows, "arguments", arena_strndup(rows->arena, strbuf_text(&text), text.len));
        strbuf_reset(&text);
        routine_result(routine, &text);
        sys_text(rows, "result", arena_strndup(rows->arena, strbuf_text(&text), text.len));
        sys_text(rows, "kind", kinds[routine->kind]);
        sys_text(rows, "help", routine->help);
        sys_end(rows);
    }
    strbuf_release(&text);
    return true;
}

static bool rows_checkpoints(struct sys_rows *rows, struct error *err)
{
    struct checkpointer *checkpointer = rows->server->checkpointer;
    if (checkpointer == NULL)
        return true;
    struct checkpointer_stats stats;
    struct engine_stats engine;
    checkpointer_stats(checkpointer, &stats);
    engine_stats(rows->server->engine, &engine);
    if (stats.last.number != 0) {
        sys_int(rows, "number", (int64_t)stats.last.number);
        sys_int(rows, "epoch", (int64_t)stats.last.epoch);
        sys_int(rows, "epochs_behind", (int64_t)(engine.epoch_computed - stats.last.epoch));
        sys_int(rows, "ended", stats.last.ended_us);
        sys_real(rows, "age_s", (double)(clock_now_us() - stats.last.ended_us) / 1e6);
        sys_real(rows, "duration_ms", (double)(stats.last.ended_us - stats.last.started_us) / 1e3);
        sys_int(rows, "rows", (int64_t)stats.last.rows);
        sys_int(rows, "bytes", (int64_t)stats.last.bytes);
    }
    sys_int(rows, "made", (int64_t)stats.made);
    sys_int(rows, "failed", (int64_t)stats.failed);
    if (stats.is_running)
        sys_int(rows, "running_since", stats.running_since_us);
    if (stats.last_error.code != ERRCODE_NONE)
        sys_text(rows, "error", arena_strdup(rows->arena, stats.last_error.message));
    sys_end(rows);
    return true;
}

static bool add_snapshot(void *ctx, const struct savepoint_info *info)
{
    struct sys_rows *rows = ctx;
    sys_text(rows, "name", arena_strdup(rows->arena, info->name));
    sys_int(rows, "checkpoint", (int64_t)info->number);
    sys_int(rows, "epoch", (int64_t)info->epoch);
    sys_int(rows, "taken", info->taken_us);
    sys_int(rows, "objects", info->objects);
    sys_end(rows);
    return true;
}

static bool rows_snapshots(struct sys_rows *rows, struct error *err)
{
    struct catalog_store *store = rows->server->store;
    return store == NULL || savepoint_snapshots(store, add_snapshot, rows, err);
}

static void add_sink(void *ctx, const struct sink_status *status)
{
    struct sys_rows *rows = ctx;
    const struct catalog_object *object = status->object;
    sys_text(rows, "schema", sys_schema_name(rows, object->schema_oid));
    sys_text(rows, "name", arena_strdup(rows->arena, object->name));
    sys_text(rows, "connector", status->connector);
    sys_text(rows, "query", arena_strdup(rows->arena, object->query_sql));
    sys_text(rows, "state", status->state);
    sys_int(rows, "epoch", (int64_t)status->epoch);
    sys_int(rows, "epochs_behind", (int64_t)status->epochs_behind);
    sys_int(rows, "rows_behind", (int64_t)status->rows_behind);
    sys_int(rows, "bytes_behind", status->bytes_behind);
    sys_int(rows, "rows", (int64_t)status->rows);
    sys_int(rows, "transactions", (int64_t)status->transactions);
    sys_int(rows, "aborted", (int64_t)status->aborted);
    sys_int(rows, "failures", (int64_t)status->failures);
    if (status->last_error.code != ERRCODE_NONE) {
        sys_text(rows, "sqlstate", error_sqlstate(status->last_error.code));
        sys_text(rows, "last_error", arena_strdup(rows->arena, status->last_error.message));
        if (status->last_error.detail[0] != '\0')
            sys_text(rows, "detail", arena_strdup(rows->arena, status->last_error.detail));
        if (status->last_error.hint[0] != '\0')
            sys_text(rows, "hint", arena_strdup(rows->arena, status->last_error.hint));
        sys_int(rows, "last_error_at", status->last_error_us);
    }
    sys_end(rows);
}

static bool rows_sinks(struct sys_rows *rows, struct error *err)
{
    sinks_for_each(rows->server, add_sink, rows);
    return true;
}

static const struct catalog_object *object_or_sink(const struct sys_rows *rows, uint32_t number)
{
    return number < rows->objects_count ? rows->objects[number] : rows->sinks[number - rows->objects_count];
}

static bool rows_secrets(struct sys_rows *rows, struct error *err)
{
    struct catalog *catalog = rows->server->catalog;
    const struct catalog_secret *secret;
    catalog_read_lock(catalog);
    for (uint32_t i = 0; (secret = catalog_secret_at(catalog, i)) != NULL; i++) {
        const char **users = ARENA_ARRAY(rows->arena, const char *, rows->objects_count + rows->sinks_count);
        uint32_t count = 0;
        for (uint32_t j = 0; j < rows->objects_count + rows->sinks_count; j++) {
            const struct catalog_object *object = object_or_sink(rows, j);
            if (catalog_uses_secret(object, secret->name))
                users[count++] = ddl_qualified(rows->arena, catalog, object);
        }
        sys_text(rows, "name", arena_strdup(rows->arena, secret->name));
        sys_int(rows, "created", secret->created_us);
        sys_text_array(rows, "used_by", users, count);
        sys_end(rows);
    }
    catalog_unlock(catalog);
    return true;
}

static bool rows_disabled(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count + rows->sinks_count; i++) {
        const struct catalog_object *object = object_or_sink(rows, i);
        if (object->disabled == NULL)
            continue;
        sys_text(rows, "schema", sys_schema_name(rows, object->schema_oid));
        sys_text(rows, "name", object->name);
        sys_text(rows, "kind", ddl_kind_word(object));
        sys_text(rows, "reason", object->disabled);
        sys_text(rows, "definition", redact_in(rows->arena, object->sql));
        sys_end(rows);
    }
    return true;
}

#define VIEW(name, columns, rows, help)                                                                      \
    {                                                                                                        \
        SCHEMA_MILLRACE, 'v', name, columns, rows, help                                                      \
    }

const struct system_view_row sysview_millrace_rows[] = {
    VIEW("relations",
         "oid oid, schema name, name name, kind text, rows int8, bytes int8, state_bytes int8, last_epoch "
         "int8, "
         "rows_in int8, rows_out int8, errors int8, busy_ms float8, judged int8, late int8",
         rows_relations,
         "rows, memory and work of tables, streams and materialized views; judged: pairs of row and window "
         "that could "
         "have been late, late: those that were"),
    VIEW("watermarks",
         "schema name, relation name, column_name name, expression text, watermark timestamp, greatest "
         "timestamp, "
         "last_row timestamptz, partitions int4, idle_partitions int4, rejected int8",
         rows_watermarks,
         "how far relations are complete in event time, and what has come; times of timestamptz columns are "
         "in UTC; "
         "rejected: rows further ahead than max_future"),
    VIEW("operators",
         "schema name, view name, id int4, depth int4, name text, rows_in int8, rows_out int8, batches int8, "
         "state_rows int8, state_bytes int8, busy_ms float8",
         rows_operators, "work and state of each operator of each materialized view"),
    VIEW("view_errors",
         "schema name, view name, sqlstate text, message text, row text, operator text, count int8",
         rows_view_errors,
         "rows that a materialized view could not compute, and rows of streams beyond max_future"),
    VIEW("view_builds",
         "schema name, view name, phase text, rows_done int8, rows_total int8, ticks_behind int8, "
         "waiting_bytes int8, "
         "started timestamptz, pid int4, kind text",
         rows_view_builds,
         "materialized views, sinks and indexes that are being created: rows read of those that the inputs "
         "held at "
         "the start "
         "(phase snapshot; a unique index reads them twice), ticks since then that are still to be run, and "
         "the memory they wait in"),
    VIEW("engine",
         "epoch_visible int8, epoch_computed int8, epoch_durable int8, ticks int8, transactions int8, "
         "rows_in int8, "
         "rows_processed int8, busy_ms float8",
         rows_engine, "where the engine stands"),
    VIEW("memory",
         "limit_bytes int8, resident_bytes int8, anonymous_bytes int8, used_bytes int8, spill_bytes int8, "
         "spill_full_bytes int8, evicted_bytes int8, evictions int8",
         rows_memory,
         "memory of the process; anonymous: what of it cannot go to disk; used: what accounts know of, on "
         "disk or "
         "not; spill: space in the spill files; spill_full: state for which they had none; evicted: taken "
         "from the process since the start, in so many evictions"),
    VIEW("log", "ticks int8, commits int8, bytes int8, removed_before int8, sync_ms float8", rows_log,
         "what the tick log has written; removed_before: epoch before which ticks have been taken out again, "
         "behind a checkpoint"),
    VIEW("checkpoints",
         "number int8, epoch int8, epochs_behind int8, ended timestamptz, age_s float8, duration_ms float8, "
         "rows int8, "
         "bytes int8, made int8, failed int8, running_since timestamptz, error text",
         rows_checkpoints,
         "the last valid checkpoint: rows and bytes written for it; made, failed: since the start; error: "
         "why the last "
         "try failed"),
    VIEW("snapshots", "name text, checkpoint int8, epoch int8, taken timestamptz, objects int4",
         rows_snapshots, "states of the database that are kept: CREATE SNAPSHOT"),
    VIEW("secrets", "name text, created timestamptz, used_by text[]", rows_secrets,
         "secrets, without their values; created: when the present value was given; used_by: what has an "
         "option that is "
         "one"),
    VIEW("disabled", "schema name, name name, kind text, reason text, definition text", rows_disabled,
         "what the server left out when it was started with --safe-mode, and why"),
    VIEW("sources",
         "schema name, relation name, connector text, state text, rows int8, poll_cpu_us int8, error text, "
         "accepted int8, rejected int8, skipped int8, lag int8, hint text",
         rows_sources,
         "connectors that feed relations; rows: since the server has started; of logs in partitions: records "
         "that "
         "became rows, that went to the relation of errors, that are kept nowhere, and that are still to be "
         "read; hint: what takes all of its threads past the records before which they have failed; state: "
         "running, waiting (for slower sources of its group), pausing (what is on its way still comes), "
         "paused, "
         "ended, failed, or what it waits for"),
    VIEW("source_partitions",
         "schema name, relation name, partition int4, consumer int4, next_offset int8, low int8, high int8, "
         "lag "
         "int8, accepted int8, rejected int8, skipped int8, absent int8, lost int8, updated timestamptz",
         rows_source_partitions,
         "partitions of the logs that feed relations: where each is read on, and the first offset there is "
         "and one "
         "behind the last, as the broker said last; absent: offsets without a record, lost: offsets that the "
         "log no "
         "longer had"),
    VIEW("sinks",
         "schema name, name name, connector text, query text, state text, epoch int8, epochs_behind int8, "
         "rows_behind int8, bytes_behind int8, rows int8, transactions int8, aborted int8, failures int8, "
         "sqlstate text, last_error text, detail text, hint text, last_error_at timestamptz",
         rows_sinks,
         "sinks: everything up to epoch has arrived where it goes; behind: what has not, by now; "
         "bytes_behind: "
         "memory it takes; the rest since the server has started: rows and transactions that have arrived, "
         "transactions that had to be written again, failures; state: connecting, running, idle, waiting "
         "(for a "
         "checkpoint), retrying, paused, failed"),
    VIEW(
        "external_tables",
        "schema name, name name, connector text, state text, cached_rows int8, cached_bytes int8, hits int8, "
        "misses int8, waiting_rows int8, waiting_keys int8, questions int8, found int8, not_found int8, "
        "failures int8, retries int8, last_error text, last_error_at timestamptz",
        rows_external_tables,
        "caches of external tables and the questions to their databases, since the server has started; "
        "misses: rows that had to wait for an answer; waiting_rows, waiting_keys: now; found, not_found: "
        "keys "
        "that were answered; retries: keys that had to be asked for again"),
    VIEW("settings", "name text, value text, scope text, default_value text, help text", rows_settings,
         "settings of the server and of this session"),
    VIEW("functions", "name text, arguments text, result text, kind text, help text", rows_functions,
         "functions, aggregates and operators"),
};
const size_t sysview_millrace_rows_count = ARRAY_COUNT(sysview_millrace_rows);
