/* source_log.c: sources over logs in partitions (partitioned.h): one handle of the log, and threads with partitions of their
 * own.
 *
 * Where each partition is read on is a row of the source's relation of progress, changed by the transaction that brings the
 * rows (docs/kafka.md). */
#include "server/source_log.h"

#include "planner/ddl.h"
#include "planner/redact.h"
#include "server/source_parts.h"
#include "server/source_records.h"
#include "storage/base/log.h"

#include <string.h>

#define START_TIMEOUT_NS (INT64_C(15) * 1000000000) /* for the broker's answer where a new source begins */

/* ---- opening ---- */

/* out NULL: only checks. */
static bool open_log(const struct catalog_object *object, struct partitioned_log **out, struct error *err)
{
    const struct partitioned_class *class = partitioned_find(ddl_option(object, "connector"));
    const struct format_class *format;
    const struct connector_option *format_options;
    uint32_t format_options_count;
    struct source_spec spec;
    struct arena arena;
    arena_init(&arena, NULL);
    bool ok = source_options_format(object, &arena, &format, &format_options, &format_options_count, err);
    if (ok) {
        source_options_connector(object, format, &arena, &spec);
        ok = class->open(&spec, out, err);
    }
    arena_release(&arena);
    return ok;
}

static bool check(struct server *server, const struct catalog_object *object, struct error *err)
{
    struct source_log_settings settings;
    if (!source_options_read(object, &settings, err))
        return false;
    source_skips_release(settings.skips);
    return open_log(object, NULL, err) && source_records_open(server, object, NULL, err);
}

static const struct partition_stats *stats_of(const struct partition_stats *stats, uint32_t count,
                                              int32_t partition)
{
    for (uint32_t i = 0; i < count; i++)
        if (stats[i].partition == partition)
            return &stats[i];
    return NULL;
}

bool source_log_splits(const struct catalog_object *object)
{
    return object->watermark_column != NULL && ddl_option(object, "watermark_partition") == NULL;
}

void source_log_expect(struct partitioned_log *log, struct relation *relation,
                       const struct partition_progress *partitions, uint32_t count, struct arena *arena,
                       struct txn_change *changes, uint32_t *changes_count)
{
    const struct sql_type *types;
    uint32_t columns_count = relation_columns(relation, &types);
    struct partition_stats *stats;
    uint32_t stats_count = log->class->stats(log, arena, &stats);
    for (uint32_t i = 0; i < count; i++) {
        const struct partition_stats *known = stats_of(stats, stats_count, partitions[i].partition);
        if (known != NULL && known->high > partitions[i].next_offset)
            changes[(*changes_count)++] =
                (struct txn_change){.relation = relation,
                                    .rows = batch_create(arena, types, columns_count, 1),
                                    .has_partition = true,
                                    .partition = partitions[i].partition};
    }
}

bool sources_begin(struct server *server, const struct catalog_object *object, struct relation *progress,
                   struct error *err)
{
    const struct partitioned_class *class = partitioned_find(ddl_option(object, "connector"));
    struct partitioned_log *log;
    struct partition_position *positions;
    uint32_t count;
    uint64_t epoch;
    struct arena arena;
    if (!open_log(object, &log, err))
        return false;
    arena_init(&arena, NULL);
    bool ok = class->start(log, START_TIMEOUT_NS, &arena, &positions, &count, err);
    if (ok) {
        struct batch *rows = progress_batch(&arena, count + 1);
        struct partition_progress *at = ARENA_ARRAY(&arena, struct partition_progress, count + 1);
        struct txn_change *changes = ARENA_ARRAY(&arena, struct txn_change, count + 1);
        struct engine_txn txn = {.changes_count = 1, .changes = changes};
        for (uint32_t i = 0; i < count; i++) {
            at[i] = progress_at(&positions[i], class->incarnation(log));
            progress_append(rows, &at[i], 1);
        }
        changes[0] = (struct txn_change){.relation = progress, .rows = rows};
        if (source_log_splits(object))
            source_log_expect(log, object->relation, at, count, &arena, changes, &txn.changes_count);
        ok = engine_commit(server->engine, &txn, NULL, &epoch, err);
    }
    class->close(log);
    arena_release(&arena);
    return ok;
}

static void hurry(struct running_source *source)
{
    struct log_source *s = (struct log_source *)source;
    for (uint32_t i = 0; i < s->consumers_count; i++)
        if (s->consumers[i] != NULL)
            consumer_stop(s->consumers[i]);
    if (s->log != NULL)
        s->class->hurry(s->log);
}

static void stop_consumers(struct log_source *s)
{
    hurry(&s->source);
    running_source_wake_group(&s->source);
    for (uint32_t i = 0; i < s->consumers_count; i++)
        if (s->consumers[i] != NULL)
            consumer_join(s->consumers[i]);
    mem_free(s->consumers);
    s->consumers = NULL;
    s->consumers_count = 0;
    if (s->log != NULL)
        s->class->close(s->log);
    s->log = NULL;
}

static bool start_consumers(struct log_source *s, struct error *err)
{
    struct partition_progress *all, *own;
    uint32_t count;
    struct arena arena;
    if (!open_log(s->source.object, &s->log, err))
        return false;
    arena_init(&arena, NULL);
    progress_read(s->source.server, s->progress, &arena, &all, &count);
    uint32_t wanted = s->settings.consumers < count ? s->settings.consumers : count;
    wanted = wanted > 0 ? wanted : 1; /* partitions come later */
    s->consumers = mem_zalloc(sizeof(struct consumer *) * wanted);
    s->consumers_count = wanted; /* threads look at it */
    own = ARENA_ARRAY(&arena, struct partition_progress, count + 1);
    bool ok = true;
    for (uint32_t i = 0; i < wanted && ok; i++) {
        uint32_t own_count = 0;
        for (uint32_t p = 0; p < count; p++)
            if ((uint32_t)all[p].partition % wanted == i)
                own[own_count++] = all[p];
        ok = consumer_start(s, i, own, own_count, &s->consumers[i], err);
    }
    arena_release(&arena);
    if (!ok)
        stop_consumers(s);
    return ok;
}

static void release(struct log_source *s)
{
    relation_release(s->progress);
    relation_release(s->errors);
    source_skips_release(s->settings.skips);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

static bool find_parts(struct log_source *s, struct server *server, const struct catalog_object *object,
                       struct error *err)
{
    catalog_read_lock(server->catalog);
    const struct catalog_object *progress =
                                    source_part_find(server->catalog, object->oid, CATALOG_ROLE_PROGRESS),
                                *errors = source_part_find(server->catalog, object->oid, CATALOG_ROLE_ERRORS);
    bool ok = progress != NULL && errors != NULL;
    if (ok) {
        s->progress = progress->relation;
        s->errors = errors->relation;
        relation_retain(s->progress);
        relation_retain(s->errors);
    }
    catalog_unlock(server->catalog);
    return ok ||
           error_set(err, ERRCODE_DATA_CORRUPTED, "the relations of source \"%s\" are missing", object->name);
}

static void keep_errors(struct log_source *s)
{
    engine_keep_newest(s->source.server->engine, s->errors, ERRORS_REJECTED_AT, s->settings.errors_rows,
                       s->settings.errors_us);
}

static bool start(struct server *server, struct catalog_object *object, struct running_source **out,
                  struct error *err)
{
    struct log_source *s = mem_zalloc(sizeof(*s));
    if (!source_options_read(object, &s->settings, err) || !find_parts(s, server, object, err)) {
        source_skips_release(s->settings.skips);
        mem_free(s);
        return false;
    }
    pthread_mutex_init(&s->lock, NULL);
    s->class = partitioned_find(ddl_option(object, "connector"));
    s->splits = source_log_splits(object);
    if (!running_source_init(&s->source, &source_kind_log, server, object, err)) {
        release(s);
        return false;
    }
    keep_errors(s);
    if (!start_consumers(s, err)) {
        running_source_release(&s->source);
        release(s);
        return false;
    }
    *out = &s->source;
    return true;
}

static void stop(struct running_source *source)
{
    struct log_source *s = (struct log_source *)source;
    stop_consumers(s);
    running_source_release(source);
    release(s);
}

/* ---- ALTER ---- */

static bool differ(const char *a, const char *b)
{
    return strcmp(a != NULL ? a : "", b != NULL ? b : "") != 0;
}

/* Does what connector and consumers were opened with differ? */
static bool needs_reopening(const struct catalog_object *old, const struct catalog_object *new)
{
    static const char *const options[] = {"on_lost", "schema_change", "schema_id"};
    for (size_t i = 0; i < ARRAY_COUNT(options); i++)
        if (differ(ddl_option(old, options[i]), ddl_option(new, options[i])))
            return true;
    if (old->columns_count != new->columns_count)
        return true;
    for (uint32_t i = 0; i < new->columns_count; i++)
        if (differ(old->columns[i].default_sql, new->columns[i].default_sql) ||
            old->columns[i].not_null != new->columns[i].not_null)
            return true;
    return false;
}

static void alter(struct running_source *source, const struct catalog_object *object)
{
    struct log_source *s = (struct log_source *)source;
    struct source_log_settings settings;
    struct error error;
    if (!source_options_read(object, &settings, &error))
        return;
    bool reopens = s->is_broken || needs_reopening(source->object, object);
    struct catalog_object *old = source->object;
    if (reopens)
        stop_consumers(s);
    pthread_mutex_lock(&s->lock);
    struct source_log_settings before = s->settings;
    s->settings = settings;
    pthread_mutex_unlock(&s->lock);
    source_skips_release(before.skips);
    if (settings.errors_rows != before.errors_rows || settings.errors_us != before.errors_us)
        keep_errors(s);
    if (reopens) {
        source->object = (struct catalog_object *)object;
        catalog_object_retain(source->object);
        catalog_object_release(old);
        s->is_broken = !start_consumers(s, &s->error);
        if (s->is_broken && !redact_error(source->object, &s->error))
            log_write(LOG_ERROR, "source of \"%s\" failed: %s", relation_name(source->relation),
                      s->error.message);
    } else {
        for (uint32_t i = 0; i < s->consumers_count; i++)
            consumer_alter(s->consumers[i], settings.is_paused);
    }
    running_source_set_active(source, !settings.is_paused && !s->is_broken);
}

static void refused(struct running_source *source, const struct error *err)
{
    struct log_source *s = (struct log_source *)source;
    pthread_mutex_lock(&s->lock);
    s->refusals++;
    s->refusal = *err;
    pthread_mutex_unlock(&s->lock);
    for (uint32_t i = 0; i < s->consumers_count; i++)
        consumer_wake(s->consumers[i]);
}

/* ---- what it shows ---- */

static bool is_passed(const struct source_skip *skip, const struct partition_progress *partitions,
                      uint32_t count)
{
    for (uint32_t p = 0; p < count; p++)
        if (partitions[p].partition == skip->partition)
            return skip->offset < partitions[p].next_offset;
    return false;
}

static void add_skip(struct strbuf *list, const struct source_skip *skip)
{
    strbuf_addf(list, "%s%d:%lld", list->len > 0 ? ", " : "", skip->partition, (long long)skip->offset);
}

/* Those of the option that are still to come: the others need not be in it any more. */
static void add_coming_skips(struct log_source *s, struct arena *arena, struct strbuf *list)
{
    const struct source_skips *skips = s->settings.skips;
    struct partition_progress *all = NULL, *own;
    uint32_t all_count = 0, all_cap = 0;
    for (uint32_t i = 0; i < s->consumers_count && skips != NULL; i++) {
        uint32_t own_count = consumer_partitions(s->consumers[i], arena, &own);
        for (uint32_t p = 0; p < own_count; p++)
            ARENA_PUSH(arena, all, all_count, all_cap, own[p]);
    }
    for (uint32_t i = 0; skips != NULL && i < skips->count; i++)
        if (!is_passed(&skips->items[i], all, all_count))
            add_skip(list, &skips->items[i]);
}

/* What takes all consumers past the records before which they have failed, in the arena; NULL: none has. */
static const char *stuck_hint(struct log_source *s, struct arena *arena)
{
    struct strbuf list = STRBUF_INIT;
    struct source_skip stuck;
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->consumers_count; i++)
        count += consumer_is_stuck(s->consumers[i], &stuck);
    if (count == 0)
        return NULL;
    add_coming_skips(s, arena, &list);
    for (uint32_t i = 0; i < s->consumers_count; i++)
        if (consumer_is_stuck(s->consumers[i], &stuck))
            add_skip(&list, &stuck);
    const char *them = count == 1 ? "it" : "them";
    const char *hint = arena_printf(
        arena,
        "ALTER SOURCE \"%s\" SET (skip_offset = '%s') leaves %s out, SET (on_error = "
        "'dead_letter') keeps %s in \"%s\".",
        relation_name(s->source.relation), strbuf_text(&list), them, them, relation_name(s->errors));
    strbuf_release(&list);
    return hint;
}

static void status(struct running_source *source, struct arena *arena, struct source_status *out)
{
    struct log_source *s = (struct log_source *)source;
    bool waits = source->member != NULL && source_group_is_waiting(source->member);
    struct partition_stats *stats = NULL;
    uint32_t stats_count = s->log != NULL ? s->class->stats(s->log, arena, &stats) : 0;
    out->state = s->is_broken ? "failed" : s->settings.is_paused ? "paused" : waits ? "waiting" : "running";
    out->error = s->is_broken ? s->error.message : NULL;
    out->hint = stuck_hint(s, arena);
    out->has_records = true;
    for (uint32_t i = 0; i < s->consumers_count; i++) {
        consumer_status(s->consumers[i], arena, out);
        struct partition_progress *partitions;
        uint32_t count = consumer_partitions(s->consumers[i], arena, &partitions);
        for (uint32_t p = 0; p < count; p++) {
            const struct partition_stats *known = stats_of(stats, stats_count, partitions[p].partition);
            out->accepted += (uint64_t)partitions[p].accepted;
            out->rejected += (uint64_t)partitions[p].rejected;
            out->skipped += (uint64_t)partitions[p].skipped;
            if (known == NULL || known->high < 0 || out->lag < 0)
                out->lag = -1;
            else if (known->high > partitions[p].next_offset)
                out->lag += known->high - partitions[p].next_offset;
        }
    }
}

static void partitions(struct running_source *source, struct arena *arena,
                       bool (*visit)(void *ctx, const struct source_partition_status *status), void *ctx)
{
    struct log_source *s = (struct log_source *)source;
    struct partition_stats *stats = NULL;
    uint32_t stats_count = s->log != NULL ? s->class->stats(s->log, arena, &stats) : 0;
    for (uint32_t i = 0; i < s->consumers_count; i++) {
        struct partition_progress *list;
        uint32_t count = consumer_partitions(s->consumers[i], arena, &list);
        for (uint32_t p = 0; p < count; p++) {
            const struct partition_stats *known = stats_of(stats, stats_count, list[p].partition);
            struct source_partition_status one = {.relation_oid = source->object->oid,
                                                  .partition = list[p].partition,
                                                  .consumer = i,
                                                  .next_offset = list[p].next_offset,
                                                  .low = known != NULL ? known->low : -1,
                                                  .high = known != NULL ? known->high : -1,
                                                  .accepted = list[p].accepted,
                                                  .rejected = list[p].rejected,
                                                  .skipped = list[p].skipped,
                                                  .absent = list[p].absent,
                                                  .lost = list[p].lost,
                                                  .updated_us = list[p].updated_us};
            if (!visit(ctx, &one))
                return;
        }
    }
}

const struct source_kind source_kind_log = {.check = check,
                                            .start = start,
                                            .alter = alter,
                                            .hurry = hurry,
                                            .stop = stop,
                                            .status = status,
                                            .refused = refused,
                                            .partitions = partitions};
