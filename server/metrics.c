/* metrics.c: one table row per metric of the engine and the log, then one line per relation. */
#include "server/metrics.h"

#include "storage/disk/tick_log.h"

#include <inttypes.h>

struct sample {
    struct engine_stats engine;
    struct tick_log_stats log;
    int64_t memory_bytes;
};

struct metric_row {
    const char *name;
    const char *type;
    const char *help;
    double (*value)(const struct sample *sample);
};

static double visible(const struct sample *s)
{
    return (double)s->engine.epoch_visible;
}
static double ticks(const struct sample *s)
{
    return (double)s->engine.ticks;
}
static double transactions(const struct sample *s)
{
    return (double)s->engine.transactions;
}
static double rows_in(const struct sample *s)
{
    return (double)s->engine.rows_in;
}
static double rows_processed(const struct sample *s)
{
    return (double)s->engine.rows_processed;
}
static double busy_seconds(const struct sample *s)
{
    return (double)s->engine.busy_ns * 1e-9;
}
static double log_bytes(const struct sample *s)
{
    return (double)s->log.bytes;
}
static double log_commits(const struct sample *s)
{
    return (double)s->log.commits;
}
static double log_sync_seconds(const struct sample *s)
{
    return (double)s->log.sync_ns * 1e-9;
}
static double memory_bytes(const struct sample *s)
{
    return (double)s->memory_bytes;
}

static const struct metric_row rows[] = {
    {"millrace_epoch_visible", "gauge", "newest epoch that readers see", visible},
    {"millrace_ticks_total", "counter", "ticks computed since start", ticks},
    {"millrace_transactions_total", "counter", "transactions taken in, rejected ones included", transactions},
    {"millrace_rows_in_total", "counter", "changed rows of accepted transactions", rows_in},
    {"millrace_rows_processed_total", "counter", "rows handed to operators of views", rows_processed},
    {"millrace_engine_busy_seconds_total", "counter", "time the engine spent in ticks", busy_seconds},
    {"millrace_log_bytes_total", "counter", "bytes written to the tick log", log_bytes},
    {"millrace_log_commits_total", "counter", "durable group commits", log_commits},
    {"millrace_log_sync_seconds_total", "counter", "time spent in making them durable", log_sync_seconds},
    {"millrace_memory_bytes", "gauge", "bytes in accounts", memory_bytes},
};

/* Label values: backslash, quote and line end are escaped. */
static void add_label(struct strbuf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\' || *text == '"')
            strbuf_addc(out, '\\');
        if (*text == '\n')
            strbuf_adds(out, "\\n");
        else
            strbuf_addc(out, *text);
    }
}

static void relations(struct server *server, struct strbuf *out)
{
    static const char *const heads =
        "# HELP millrace_relation_rows rows of a table, stream or view, or waiting in a sink\n"
        "# TYPE millrace_relation_rows gauge\n";
    strbuf_adds(out, heads);
    catalog_read_lock(server->catalog);
    uint32_t cursor = 0;
    struct catalog_object *object;
    while ((object = catalog_next(server->catalog, &cursor)) != NULL) {
        if (object->relation == NULL)
            continue;
        struct relation_stats stats;
        relation_stats(object->relation, &stats);
        const struct catalog_schema *schema = catalog_find_schema_oid(server->catalog, object->schema_oid);
        strbuf_adds(out, "millrace_relation_rows{schema=\"");
        add_label(out, schema != NULL ? schema->name : "");
        strbuf_adds(out, "\",name=\"");
        add_label(out, object->name);
        strbuf_addf(out, "\"} %" PRIu64 "\n", stats.rows);
    }
    catalog_unlock(server->catalog);
}

bool metrics_answer(void *ctx, const char *path, struct http_reply *reply)
{
    struct server *server = ctx;
    if (strcmp(path, "/health") == 0) {
        strbuf_adds(&reply->body, "ok\n");
        return true;
    }
    if (strcmp(path, "/metrics") != 0)
        return false;
    struct sample sample = {.memory_bytes = atomic_load(&server->account.used_bytes)};
    engine_stats(server->engine, &sample.engine);
    if (server->log != NULL)
        tick_log_stats(server->log, &sample.log);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        strbuf_addf(&reply->body, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", rows[i].name, rows[i].help,
                    rows[i].name, rows[i].type, rows[i].name, rows[i].value(&sample));
    relations(server, &reply->body);
    reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
    return true;
}
