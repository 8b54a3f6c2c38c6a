/* sinks.c: see sinks.h.
 *
 * A group ends where a tick ends, unless a tick alone is too large for one. Such a tick (the first contents of a sink, most of
 * all) is cut, and the progress is then a row's number inside it. Numbers inside a tick hold over a restart only for rows that
 * a checkpoint has saved, so a checkpoint is waited for before the first cut.
 *
 * A group of which a part has arrived is written again with the same end. */
#include "server/sinks.h"

#include "planner/ddl.h"
#include "planner/redact.h"
#include "protocol/connector/sink.h"
#include "protocol/format/format.h"
#include "protocol/format/registry.h"
#include "server/checkpointer.h"
#include "server/sink_records.h"
#include "storage/base/clock.h"
#include "storage/base/log.h"

#include <string.h>
#include <time.h>

#define GROUP_ROWS   UINT64_C(65536)     /* of a group, where ticks allow it */
#define GROUP_BYTES  (INT64_C(16) << 20) /* the same, in bytes of records */
#define RETRY_MIN_NS INT64_C(100000000)
#define RETRY_MAX_NS INT64_C(2000000000)

const struct connector_option_row sink_options[] = {
    {"format", "json", "how rows are written"},
    {"key", "", "columns that make up the record's key: 'a, b'; by default the key that the query has"},
    {"envelope", "",
     "'append': each new row is a record; 'upsert': the newest row of each key, and records without a value "
     "for "
     "keys that go; 'debezium': rows before and after each change. By default 'append' where rows only come, "
     "else 'upsert'"},
    {"delivery", "exactly_once", "or 'at_least_once': without transactions"},
    {"snapshot", "true", "false: only changes from now on, not what is there"},
    {"headers", "", "a column of type jsonb whose members become headers of the record"},
    {"identity", "", "the name under which the sink's progress is noted; made up when it is not given"},
    {"record_name", "",
     "what schemas that are made for it and envelope 'debezium' call it; without one its name, and kept by "
     "RENAME"},
    {"paused", "false", "true: nothing is written until ALTER SINK ... SET (paused = false)"},
    {NULL, NULL, NULL},
};

static const struct {
    const char *name, *why;
} fixed_options[] = {
    {"connector", "what has been written is where it has led to"},
    {"format", "records that are there have another form"},
    {"key", "records that are there have other keys"},
    {"envelope", "records that are there have another form"},
    {"headers", "records that are there have others"},
    {"record_name", "records that are there have the other"},
    {"delivery", "what has been written is noted in another way"},
    {"snapshot", "it has said what was written when the sink was made"},
    {"identity", "what has been written is noted under it"},
};

/* What a query may say about time, and its memory. */
static const char *const query_options[] = {"emit", "every", "grace", "state_ttl", "memory_limit"};

bool sink_option_is_ours(const char *name)
{
    if (connector_option_row(sink_options, name) != NULL)
        return true;
    for (size_t i = 0; i < ARRAY_COUNT(query_options); i++) {
        if (strcmp(query_options[i], name) == 0)
            return true;
    }
    return strcmp(name, "connector") == 0;
}

static const char *own_option(const struct catalog_object *object, const char *name)
{
    const char *value = ddl_option(object, name);
    const struct connector_option_row *row = connector_option_row(sink_options, name);
    return value == NULL && row != NULL ? row->default_value : value;
}

const char *sinks_why_fixed(const struct catalog_object *object, const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(fixed_options); i++) {
        if (strcmp(fixed_options[i].name, name) == 0)
            return fixed_options[i].why;
    }
    if (strcmp(name, "paused") == 0)
        return NULL;
    if (sink_option_is_ours(name))
        return "it belongs to the query";
    const struct format_class *format = format_find(own_option(object, "format"));
    if (format != NULL && format_has_option(format, name))
        return registry_option_connects(name) ? NULL : "records that are there have another form";
    const struct sink_class *class = sink_find(ddl_option(object, "connector"));
    return class != NULL && class->why_fixed != NULL ? class->why_fixed(name) : NULL;
}

static bool read_boolean(const struct catalog_object *object, const char *name, bool *out, struct error *err)
{
    const char *value = own_option(object, name);
    *out = strcmp(value, "true") == 0;
    return *out || strcmp(value, "false") == 0 ||
           error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "parameter \"%s\" requires a Boolean value", name);
}

static bool read_word(const struct catalog_object *object, const char *name, const char *const *words,
                      uint32_t *out, struct error *err)
{
    const char *value = own_option(object, name);
    for (*out = 0; words[*out] != NULL; ++*out) {
        if (strcmp(words[*out], value) == 0)
            return true;
    }
    error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "invalid value for option \"%s\" of sink \"%s\": \"%s\"",
              name, object->name, value);
    const char *nearest = ddl_nearest(value, words);
    return nearest != NULL ? error_hint(err, "Perhaps you meant \"%s\".", nearest) : false;
}

/* ---- what options say ---- */

static const char *const envelopes[] = {"", "append", "upsert", "debezium", NULL};
enum envelope { ENVELOPE_DEFAULT, ENVELOPE_APPEND, ENVELOPE_UPSERT, ENVELOPE_DEBEZIUM };
static const char *const deliveries[] = {"exactly_once", "at_least_once", NULL};

static int32_t find_column(const struct catalog_object *object, const char *name, size_t len)
{
    for (uint32_t i = 0; i < object->columns_count; i++) {
        if (strlen(object->columns[i].name) == len && memcmp(object->columns[i].name, name, len) == 0)
            return (int32_t)i;
    }
    return -1;
}

/* 'a, b' or '"A", b'. */
static bool read_key(const struct catalog_object *object, struct arena *arena, uint32_t **columns,
                     uint32_t *count, struct error *err)
{
    const char *at = own_option(object, "key");
    uint32_t cap = 0;
    *columns = NULL;
    *count = 0;
    while (*(at += strspn(at, " ")) != '\0') {
        bool quoted = *at == '"';
        size_t len = quoted ? strcspn(at + 1, "\"") : strcspn(at, ",");
        const char *name = at + quoted;
        at += len + (quoted ? 1 + (at[len + 1] == '"') : 0);
        while (!quoted && len > 0 && name[len - 1] == ' ')
            len--;
        int32_t column = find_column(object, name, len);
        if (column < 0)
            return error_set(err, ERRCODE_UNDEFINED_COLUMN,
                             "column \"%.*s\" of option \"key\" does not exist", (int)len, name);
        ARENA_PUSH(arena, *columns, *count, cap, (uint32_t)column);
        at += strspn(at, " ");
        if (*at != '\0' && *at != ',')
            return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "invalid value for option \"key\": \"%s\"",
                             own_option(object, "key"));
        at += *at == ',';
    }
    return true;
}

static bool read_headers(const struct catalog_object *object, int32_t *column, struct error *err)
{
    const char *name = own_option(object, "headers");
    *column = -1;
    if (name[0] == '\0')
        return true;
    *column = find_column(object, name, strlen(name));
    if (*column < 0)
        return error_set(err, ERRCODE_UNDEFINED_COLUMN, "column \"%s\" of option \"headers\" does not exist",
                         name);
    return object->columns[*column].type.oid == OID_JSONB ||
           error_set(err, ERRCODE_DATATYPE_MISMATCH,
                     "column \"%s\" of option \"headers\" must be of type jsonb", name);
}

/* Connector and encoder, opened unless checks_only. */
struct sink_parts {
    const struct sink_class *class;
    struct sink_records *records;
    bool exactly_once, paused;
    const struct connector_option *options; /* the connector's */
    uint32_t options_count;
};

static bool read_parts(const struct catalog_object *object, const struct relation *relation,
                       struct arena *arena, struct sink_parts *out, struct error *err)
{
    const char *connector = ddl_option(object, "connector");
    out->class = connector != NULL ? sink_find(connector) : NULL;
    if (out->class == NULL) {
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "connector \"%s\" is not supported for sinks",
                  connector != NULL ? connector : "");
        return error_hint(err, "Supported connectors: kafka.");
    }
    const char *format_name = own_option(object, "format");
    const struct format_class *format = format_find(format_name);
    if (format == NULL || format->open_encoder == NULL)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "format \"%s\" is not supported for sinks",
                         format_name);
    uint32_t envelope, delivery;
    bool snapshot;
    struct sink_records_spec spec = {
        .sink_name = object->name, .topic = ddl_option(object, "topic"), .format = format};
    spec.record_name = own_option(object, "record_name");
    if (spec.record_name[0] == '\0')
        spec.record_name = object->name;
    if (!read_word(object, "envelope", envelopes, &envelope, err) ||
        !read_word(object, "delivery", deliveries, &delivery, err) ||
        !read_boolean(object, "snapshot", &snapshot, err) ||
        !read_boolean(object, "paused", &out->paused, err) ||
        !read_headers(object, &spec.headers_column, err))
        return false;
    uint32_t *key;
    if (!read_key(object, arena, &key, &spec.key_count, err))
        return false;
    spec.key = key;
    if (spec.key_count == 0 && relation != NULL)
        spec.key_count = relation_outbox_key(relation, &spec.key);
    for (uint32_t k = 0; k < spec.key_count; k++) {
        if (spec.headers_column == (int32_t)spec.key[k])
            return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                             "column \"%s\" cannot be both key and headers",
                             object->columns[spec.key[k]].name);
    }
    out->exactly_once = delivery == 0;
    spec.is_debezium = envelope == ENVELOPE_DEBEZIUM;
    spec.columns_count = object->columns_count;
    struct format_column *columns = ARENA_ARRAY(arena, struct format_column, object->columns_count);
    for (uint32_t i = 0; i < object->columns_count; i++)
        columns[i] = (struct format_column){.name = object->columns[i].name, .type = object->columns[i].type};
    spec.columns = columns;
    struct connector_option *ours = ARENA_ARRAY(arena, struct connector_option, object->options_count);
    struct connector_option *theirs = ARENA_ARRAY(arena, struct connector_option, object->options_count);
    for (uint32_t i = 0; i < object->options_count; i++) {
        const struct connector_option option = {object->options[i].name, object->options[i].value};
        if (format_has_option(format, option.name))
            ours[spec.options_count++] = option;
        else if (!sink_option_is_ours(option.name))
            theirs[out->options_count++] = option;
    }
    spec.options = ours;
    out->options = theirs;
    return sink_records_open(&spec, relation != NULL ? &out->records : NULL, err);
}

static struct sink_spec connector_spec(const struct catalog_object *object, const struct sink_parts *parts)
{
    return (struct sink_spec){.sink_name = object->name,
                              .identity = own_option(object, "identity"),
                              .exactly_once = parts->exactly_once,
                              .options = parts->options,
                              .options_count = parts->options_count};
}

bool sinks_check(struct server *server, const struct catalog_object *object, struct error *err)
{
    struct arena arena;
    struct sink_parts parts = {0};
    (void)server;
    arena_init(&arena, NULL);
    bool ok = read_parts(object, NULL, &arena, &parts, err);
    if (ok) {
        struct sink_spec spec = connector_spec(object, &parts);
        ok = parts.class->open(&spec, NULL, err);
    }
    arena_release(&arena);
    return ok;
}

/* ---- what a plan allows ---- */

static bool only_grows(const struct plan *plan)
{
    if (plan->append_only)
        return true;
    if (plan->kind == PLAN_SCAN)
        return relation_only_grows(plan->scan.relation);
    return plan->kind == PLAN_CALC && only_grows(plan->children[0]);
}

static bool contains(const uint32_t *columns, uint32_t count, uint32_t column)
{
    for (uint32_t i = 0; i < count; i++) {
        if (columns[i] == column)
            return true;
    }
    return false;
}

/* Rows with equal given columns are one row at most: every column of the plan's key is among them. */
static bool is_unique(const struct plan *plan, const uint32_t *key, uint32_t count)
{
    if (!plan->has_key)
        return false;
    for (uint32_t i = 0; i < plan->keys_count; i++) {
        if (!contains(key, count, plan->keys[i]))
            return false;
    }
    return true;
}

static bool refuse_key(const struct catalog_object *object, const struct plan *plan, struct error *err)
{
    error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
              "option \"key\" of sink \"%s\" names columns that are not unique in its rows", object->name);
    if (!plan->has_key)
        return error_hint(err,
                          "Its query has no key: use a query with GROUP BY or a primary key, or envelope = "
                          "'append' or 'debezium'.");
    struct strbuf names = STRBUF_INIT;
    for (uint32_t i = 0; i < plan->keys_count; i++)
        strbuf_addf(&names, "%s\"%s\"", i > 0 ? ", " : "", object->columns[plan->keys[i]].name);
    error_hint(err, "Its rows are unique by %s: these columns must be in the key.", strbuf_text(&names));
    strbuf_release(&names);
    return false;
}

bool sinks_outbox(const struct catalog_object *object, const struct plan *plan, struct arena *arena,
                  struct outbox_desc *out, struct error *err)
{
    uint32_t envelope, *key, count;
    *out = (struct outbox_desc){0};
    if (!read_word(object, "envelope", envelopes, &envelope, err) ||
        !read_boolean(object, "snapshot", &out->snapshot, err) || !read_key(object, arena, &key, &count, err))
        return false;
    bool grows = only_grows(plan);
    if (envelope == ENVELOPE_DEFAULT)
        envelope = grows ? ENVELOPE_APPEND : ENVELOPE_UPSERT;
    bool is_given = count > 0;
    if (!is_given && plan->has_key) {
        key = arena_copy(arena, plan->keys, sizeof(*key) * plan->keys_count);
        count = plan->keys_count;
    }
    out->key = key;
    out->key_count = count;
    if (envelope == ENVELOPE_DEBEZIUM && !plan->has_key)
        out->key_count = 0; /* a key that is not unique: which row takes the place of which cannot be told */
    switch ((enum envelope)envelope) {
    case ENVELOPE_APPEND:
        out->kind = OUTBOX_APPEND;
        if (grows)
            return true;
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                  "sink \"%s\" cannot be append-only: rows of its query change or go", object->name);
        return error_hint(err,
                          "Use envelope = 'upsert' or 'debezium', or a query whose rows are final: a stream "
                          "without aggregates, or EMIT FINAL.");
    case ENVELOPE_UPSERT:
        out->kind = OUTBOX_UPSERT;
        if (count == 0) {
            error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                      "sink \"%s\" needs a key: rows of its query change or go, and have none", object->name);
            return error_hint(
                err, "Use option \"key\", a query with GROUP BY or over a table with a primary key, or "
                     "envelope = 'debezium'.");
        }
        return !is_given || is_unique(plan, key, count) || refuse_key(object, plan, err);
    case ENVELOPE_DEBEZIUM:
    case ENVELOPE_DEFAULT:
        break;
    }
    out->kind = OUTBOX_CHANGES;
    if (is_given && plan->has_key && !is_unique(plan, key, count))
        return refuse_key(object, plan, err);
    return true;
}

/* ---- a running sink ---- */

/* What the object says, opened. */
struct setup {
    struct catalog_object *object;
    struct arena arena; /* of parts */
    struct sink_parts parts;
};

struct runner {
    struct runner *next;
    struct server *server;
    struct relation *relation;
    uint32_t oid;
    struct setup *setup;    /* exchanged by the thread, under `lock` */
    struct column *columns; /* room for what outbox_read gives */
    pthread_t thread;
    struct sink *sink;               /* the thread's; set and cleared under `lock`, for others to interrupt */
    bool is_recovered;               /* position says what has arrived */
    uint64_t position;               /* of the next row to write */
    struct sink_progress unfinished; /* where the next group must end; rows: 0: where it likes */
    uint32_t failed_in_a_row;

    pthread_mutex_t lock; /* nothing of the engine is called with it */
    pthread_cond_t cond;
    bool stopping, paused, failed, woken;
    struct setup *altered; /* to be taken in place of setup; NULL: nothing has changed */
    _Atomic bool cancel;   /* of a wait for a checkpoint: stopping, paused or altered */
    const char *state;
    uint64_t arrived; /* number of the first row that has not */
    uint64_t epoch;
    uint64_t rows, transactions, aborted, failures;
    struct error last_error;
    int64_t last_error_us;
};

struct sinks {
    pthread_mutex_t lock;
    struct runner *first;
};

/* What is being done is to end; under the lock. */
static bool is_called_off(const struct runner *runner)
{
    return runner->stopping || runner->paused || runner->altered != NULL;
}

static void set_state(struct runner *runner, const char *state)
{
    pthread_mutex_lock(&runner->lock);
    runner->state = state;
    pthread_mutex_unlock(&runner->lock);
}

static void wake(void *ctx)
{
    struct runner *runner = ctx;
    pthread_mutex_lock(&runner->lock);
    runner->woken = true;
    pthread_cond_signal(&runner->cond);
    pthread_mutex_unlock(&runner->lock);
}

static void close_sink(struct runner *runner)
{
    pthread_mutex_lock(&runner->lock);
    struct sink *sink = runner->sink;
    runner->sink = NULL;
    pthread_mutex_unlock(&runner->lock);
    runner->is_recovered = false;
    if (sink != NULL)
        sink->class->close(sink);
}

/* ---- beginning ---- */

static bool fail_for_good(struct runner *runner, enum error_code code, const char *message,
                          const char *detail, const char *hint, struct error *err)
{
    runner->sink->remedy = SINK_STOP;
    error_set(err, code, "%s", message);
    error_detail(err, "%s", detail);
    return error_hint(err, "%s", hint);
}

/* What has arrived must fit to what the outbox holds. */
static bool check_progress(struct runner *runner, const struct sink_recovery *recovery, struct error *err)
{
    const struct sink_progress *progress = &recovery->progress;
    const struct sink_progress *latest = recovery->unfinished.rows > 0 ? &recovery->unfinished : progress;
    bool found = recovery->found;
    static const char anew[] = "DROP SINK, then CREATE it again: its topic gets everything anew.";
    struct strbuf detail = STRBUF_INIT;
    struct engine_stats stats;
    engine_stats(runner->server->engine, &stats);
    uint64_t first = outbox_first(runner->relation), end = outbox_end(runner->relation);
    bool ok = true;
    if ((found || latest != progress) && (latest->rows > end || latest->epoch > stats.epoch_durable)) {
        strbuf_addf(&detail, "It has epoch %llu and %llu rows, the data directory %llu and %llu.",
                    (unsigned long long)latest->epoch, (unsigned long long)latest->rows,
                    (unsigned long long)stats.epoch_durable, (unsigned long long)end);
        ok =
            fail_for_good(runner, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                          "the topic is ahead of the data directory, which was restored from an earlier time",
                          strbuf_text(&detail), anew, err);
    } else if (!found && first > 0 && runner->setup->parts.exactly_once) {
        strbuf_addf(&detail, "%llu rows had arrived, and more may have.", (unsigned long long)first);
        ok = fail_for_good(runner, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                           "the note of the sink's progress is gone", strbuf_text(&detail), anew, err);
    } else if (found && progress->rows < first) {
        strbuf_addf(&detail, "It says %llu rows, and %llu had arrived before.",
                    (unsigned long long)progress->rows, (unsigned long long)first);
        ok = fail_for_good(runner, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                           "the note of the sink's progress is older than the sink", strbuf_text(&detail),
                           anew, err);
    }
    strbuf_release(&detail);
    return ok;
}

static bool connect_sink(struct runner *runner, struct error *err)
{
    set_state(runner, "connecting");
    if (runner->sink == NULL) {
        const struct setup *setup = runner->setup;
        struct sink_spec spec = connector_spec(setup->object, &setup->parts);
        struct sink *sink;
        if (!setup->parts.class->open(&spec, &sink, err))
            return false;
        pthread_mutex_lock(&runner->lock);
        runner->sink = sink;
        bool interrupted = is_called_off(runner);
        pthread_mutex_unlock(&runner->lock);
        if (interrupted) {
            sink->remedy = SINK_REOPEN;
            return error_set(err, ERRCODE_QUERY_CANCELED, "the sink is stopped");
        }
    }
    struct sink_recovery recovery = {0};
    if (!runner->sink->class->recover(runner->sink, &recovery, err) ||
        !check_progress(runner, &recovery, err))
        return false;
    runner->position = recovery.found ? recovery.progress.rows : outbox_first(runner->relation);
    runner->unfinished = recovery.unfinished;
    runner->is_recovered = true;
    pthread_mutex_lock(&runner->lock);
    runner->arrived = runner->position;
    if (recovery.progress.epoch > runner->epoch)
        runner->epoch = recovery.progress.epoch;
    pthread_mutex_unlock(&runner->lock);
    return true;
}

/* ---- groups ---- */

/* About what a row's record takes. */
static int64_t estimate(const struct batch *rows, uint32_t row)
{
    int64_t bytes = 0;
    for (uint32_t c = 0; c < rows->columns_count; c++) {
        const struct column *column = &rows->columns[c];
        bytes += column->phys == PHYS_VAR ? ((const struct varlen *)column->data)[row].len : 8;
    }
    return bytes;
}

/* Where the next group ends: *end; *is_whole: a tick ends there. */
static void find_end(struct runner *runner, uint64_t visible, uint64_t *end, bool *is_whole)
{
    struct outbox_rows rows;
    uint64_t at = runner->position, ended = at;
    int64_t epoch = 0, bytes = 0;
    bool is_full = false;
    while (!is_full && outbox_read(runner->relation, visible, at, runner->columns, &rows)) {
        for (uint32_t i = 0; i < rows.batch.rows && !is_full; i++) {
            if (rows.epochs[i] != epoch && epoch != 0)
                ended = at;
            is_full = at - runner->position >= GROUP_ROWS || bytes >= GROUP_BYTES;
            epoch = rows.epochs[i];
            bytes += estimate(&rows.batch, i);
            at += !is_full;
        }
    }
    *is_whole = !is_full || ended > runner->position;
    *end = is_full && *is_whole ? ended : at;
}

/* Rows below `end` come back after a restart as they are. */
static bool make_stable(struct runner *runner, uint64_t end, struct error *err)
{
    struct server *server = runner->server;
    if (server->checkpointer == NULL || engine_outbox_saved(server->engine, runner->relation) >= end)
        return true;
    set_state(runner, "waiting");
    runner->sink->remedy = SINK_RETRY;
    if (!checkpointer_run(server->checkpointer, &runner->cancel, err))
        return false;
    set_state(runner, "running");
    return engine_outbox_saved(server->engine, runner->relation) >= end ||
           error_set(err, ERRCODE_INTERNAL_ERROR, "a checkpoint has left out rows of the sink");
}

/* Writes rows up to `end`; *progress says how far they were. */
static bool write_rows(struct runner *runner, uint64_t visible, uint64_t end, struct sink_progress *progress,
                       struct error *err)
{
    struct outbox_rows rows;
    uint64_t at = runner->position, created = relation_created_epoch(runner->relation);
    int64_t bytes = 0, epoch = 0;
    bool is_half = false; /* a row and the one that takes its place are never parted */
    struct sink_records *records = runner->setup->parts.records;
    sink_records_reset(records);
    while ((at < end || is_half) && outbox_read(runner->relation, visible, at, runner->columns, &rows)) {
        CHECK(rows.first == at);
        for (uint32_t i = 0; i < rows.batch.rows && (at < end || is_half); i++, at++) {
            epoch = rows.epochs[i];
            is_half = rows.ops[i] == OUTBOX_BEFORE;
            runner->sink->row = at;
            if (!sink_records_write(records, runner->sink, &rows, i, (uint64_t)epoch == created, &bytes, err))
                return false;
        }
    }
    CHECK(at > runner->position);
    *progress = (struct sink_progress){(uint64_t)epoch, at};
    return true;
}

/* Writes the next rows, if there are some: *wrote. */
static bool write_group(struct runner *runner, bool *wrote, struct error *err)
{
    struct server *server = runner->server;
    const struct sink_class *class = runner->sink->class;
    uint64_t visible = outbox_visible(server->engine, runner->relation), end;
    *wrote = visible > runner->position;
    if (!*wrote)
        return true;
    set_state(runner, "running");
    bool is_whole = true,
         is_again = runner->unfinished.rows > 0; /* then what its end needs was done before */
    if (is_again)
        end = runner->unfinished.rows;
    else
        find_end(runner, visible, &end, &is_whole);
    if (!is_whole && !make_stable(runner, end + 1, err))
        return false;
    struct sink_progress progress;
    if (!class->begin(runner->sink, err) || !write_rows(runner, visible, end, &progress, err))
        return false;
    progress.epoch -= !is_whole; /* of the last one rows may be left */
    if (is_again) {
        CHECK(progress.rows == end);
        progress = runner->unfinished;
    }
    if (!class->commit(runner->sink, &progress, err))
        return false;
    runner->unfinished = (struct sink_progress){0};
    pthread_mutex_lock(&runner->lock);
    runner->rows += progress.rows - runner->position;
    runner->transactions++;
    runner->arrived = progress.rows;
    if (progress.epoch > runner->epoch)
        runner->epoch = progress.epoch;
    pthread_mutex_unlock(&runner->lock);
    runner->position = progress.rows;
    engine_drop_outbox_rows(server->engine, runner->relation, runner->position);
    return true;
}

/* ---- the thread ---- */

/* Notes the error and does what can be done about it: how long to wait before the next try. */
static int64_t handle_failure(struct runner *runner, struct error *error)
{
    enum sink_remedy remedy = runner->sink != NULL ? runner->sink->remedy : SINK_REOPEN;
    bool aborted = runner->is_recovered;
    struct error second;
    error_init(&second);
    if (remedy == SINK_RETRY && runner->is_recovered && !runner->sink->class->abort(runner->sink, &second)) {
        remedy = runner->sink->remedy;
        if (remedy == SINK_STOP)
            *error = second;
    }
    if (remedy != SINK_RETRY || !runner->is_recovered)
        close_sink(runner);
    pthread_mutex_lock(&runner->lock);
    bool called_off = is_called_off(runner) || error->code == ERRCODE_QUERY_CANCELED;
    if (!called_off) {
        runner->failures++;
        runner->aborted += aborted;
        redact_error(runner->setup->object, error);
        runner->last_error = *error;
        runner->last_error_us = clock_now_us();
        runner->failed = remedy == SINK_STOP;
        runner->state = runner->failed ? "failed" : "retrying";
    }
    pthread_mutex_unlock(&runner->lock);
    if (called_off)
        return 0;
    if (remedy == SINK_STOP) {
        log_write(LOG_ERROR, "sink \"%s\" has failed: %s", runner->setup->object->name, error->message);
        return 0;
    }
    if (runner->failed_in_a_row == 0)
        log_write(LOG_WARNING, "sink \"%s\": %s; retrying", runner->setup->object->name, error->message);
    int64_t wait_ns = RETRY_MIN_NS;
    for (uint32_t i = 0; i < runner->failed_in_a_row && wait_ns < RETRY_MAX_NS; i++)
        wait_ns *= 2;
    runner->failed_in_a_row++;
    return wait_ns < RETRY_MAX_NS ? wait_ns : RETRY_MAX_NS;
}

/* One try: *wrote: there may be more. */
static bool run_once(struct runner *runner, bool *wrote, struct error *err)
{
    *wrote = false;
    if (!runner->is_recovered && !connect_sink(runner, err))
        return false;
    if (!write_group(runner, wrote, err))
        return false;
    if (runner->failed_in_a_row > 0)
        log_write(LOG_INFO, "sink \"%s\" writes again", runner->setup->object->name);
    runner->failed_in_a_row = 0;
    struct error failure;
    if (*wrote || !relation_has_failed(runner->relation, &failure))
        return true;
    /* what came before that has arrived */
    runner->sink->remedy = SINK_STOP;
    *err = failure;
    return false;
}

static void wait_for_rows(struct runner *runner)
{
    pthread_mutex_lock(&runner->lock);
    if (!runner->woken && !is_called_off(runner))
        runner->state = "idle";
    while (!runner->woken && !is_called_off(runner))
        pthread_cond_wait(&runner->cond, &runner->lock);
    runner->woken = false;
    pthread_mutex_unlock(&runner->lock);
}

static void wait_to_retry(struct runner *runner, int64_t wait_ns)
{
    int64_t until_ns = clock_monotonic_ns() + wait_ns;
    struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    pthread_mutex_lock(&runner->lock);
    int waited = 0;
    while (!is_called_off(runner) && waited == 0)
        waited = pthread_cond_timedwait(&runner->cond, &runner->lock, &until);
    pthread_mutex_unlock(&runner->lock);
}

static void free_setup(struct setup *setup)
{
    sink_records_close(setup->parts.records);
    catalog_object_release(setup->object);
    arena_release(&setup->arena);
    mem_free(setup);
}

/* What ALTER has changed, with nothing open that goes by the old. */
static void take_altered(struct runner *runner)
{
    struct setup *old = NULL;
    close_sink(runner);
    pthread_mutex_lock(&runner->lock);
    if (runner->altered != NULL) {
        old = runner->setup;
        runner->setup = runner->altered;
        runner->altered = NULL;
        atomic_store(&runner->cancel, is_called_off(runner));
    }
    pthread_mutex_unlock(&runner->lock);
    runner->failed_in_a_row = 0;
    if (old != NULL)
        free_setup(old);
}

/* Waits while it is paused or has failed. false: it is to stop. */
static bool wait_going(struct runner *runner)
{
    pthread_mutex_lock(&runner->lock);
    while (!runner->stopping && (runner->paused || runner->failed || runner->altered != NULL)) {
        if (runner->altered != NULL || runner->sink != NULL) {
            pthread_mutex_unlock(&runner->lock);
            take_altered(runner);
            pthread_mutex_lock(&runner->lock);
            continue;
        }
        runner->state = runner->paused ? "paused" : "failed";
        pthread_cond_wait(&runner->cond, &runner->lock);
    }
    bool go_on = !runner->stopping;
    pthread_mutex_unlock(&runner->lock);
    return go_on;
}

static void *runner_main(void *arg)
{
    struct runner *runner = arg;
    while (wait_going(runner)) {
        bool wrote;
        struct error error;
        error_init(&error);
        if (!run_once(runner, &wrote, &error)) {
            int64_t wait_ns = handle_failure(runner, &error);
            if (wait_ns != 0)
                wait_to_retry(runner, wait_ns);
        } else if (!wrote) {
            wait_for_rows(runner);
        }
    }
    close_sink(runner);
    return NULL;
}

/* ---- its life ---- */

/* NULL: options or columns do not fit the format, or its registry cannot be used. */
static struct setup *open_setup(struct catalog_object *object, struct error *err)
{
    struct setup *setup = mem_zalloc(sizeof(*setup));
    setup->object = object;
    catalog_object_retain(object);
    arena_init(&setup->arena, NULL);
    if (read_parts(object, object->relation, &setup->arena, &setup->parts, err))
        return setup;
    free_setup(setup);
    return NULL;
}

static void free_runner(struct runner *runner)
{
    free_setup(runner->setup);
    if (runner->altered != NULL)
        free_setup(runner->altered);
    mem_free(runner->columns);
    relation_release(runner->relation);
    pthread_mutex_destroy(&runner->lock);
    pthread_cond_destroy(&runner->cond);
    mem_free(runner);
}

bool sinks_start(struct server *server, struct catalog_object *object, struct error *err)
{
    struct setup *setup = open_setup(object, err);
    if (setup == NULL)
        return false;
    struct runner *runner = mem_zalloc(sizeof(*runner));
    runner->server = server;
    runner->relation = object->relation;
    runner->oid = object->oid;
    runner->setup = setup;
    relation_retain(runner->relation);
    error_init(&runner->last_error);
    pthread_mutex_init(&runner->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&runner->cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
    uint32_t columns_count = relation_columns(runner->relation, NULL);
    runner->columns = mem_alloc(sizeof(*runner->columns) * (columns_count + OUTBOX_COLUMNS));
    runner->state = "connecting";
    runner->arrived = outbox_first(runner->relation);
    runner->paused = setup->parts.paused;
    atomic_store(&runner->cancel, runner->paused);
    engine_listen_outbox(server->engine, runner->relation, wake, runner);
    CHECK(pthread_create(&runner->thread, NULL, runner_main, runner) == 0);
    pthread_mutex_lock(&server->sinks->lock);
    runner->next = server->sinks->first;
    server->sinks->first = runner;
    pthread_mutex_unlock(&server->sinks->lock);
    return true;
}

/* What the thread waits for ends; under the lock. */
static void call_off(struct runner *runner)
{
    atomic_store(&runner->cancel, true);
    if (runner->sink != NULL)
        runner->sink->class->interrupt(runner->sink);
    pthread_cond_broadcast(&runner->cond);
}

static void stop(struct runner *runner)
{
    engine_listen_outbox(runner->server->engine, runner->relation, NULL, NULL);
    pthread_mutex_lock(&runner->lock);
    runner->stopping = true;
    call_off(runner);
    pthread_mutex_unlock(&runner->lock);
    checkpointer_wake(runner->server->checkpointer);
    pthread_join(runner->thread, NULL);
    free_runner(runner);
}

void sinks_stop(struct server *server, const struct catalog_object *object)
{
    pthread_mutex_lock(&server->sinks->lock);
    struct runner **link = &server->sinks->first;
    while (*link != NULL && (*link)->oid != object->oid)
        link = &(*link)->next;
    struct runner *runner = *link;
    if (runner != NULL)
        *link = runner->next;
    pthread_mutex_unlock(&server->sinks->lock);
    if (runner != NULL)
        stop(runner);
}

bool sinks_alter(struct server *server, struct catalog_object *object, bool goes_on, struct error *err)
{
    struct setup *setup = open_setup(object, err);
    if (setup == NULL)
        return false;
    pthread_mutex_lock(&server->sinks->lock);
    struct runner *runner = server->sinks->first;
    while (runner != NULL && runner->oid != object->oid)
        runner = runner->next;
    if (runner != NULL) {
        pthread_mutex_lock(&runner->lock);
        struct setup *passed_by = runner->altered;
        runner->altered = setup;
        setup = passed_by;
        runner->paused = runner->altered->parts.paused;
        runner->failed &= !goes_on;
        call_off(runner);
        pthread_mutex_unlock(&runner->lock);
    }
    pthread_mutex_unlock(&server->sinks->lock);
    checkpointer_wake(server->checkpointer);
    if (setup != NULL)
        free_setup(setup);
    return true;
}

struct sinks *sinks_create(void)
{
    struct sinks *sinks = mem_zalloc(sizeof(*sinks));
    pthread_mutex_init(&sinks->lock, NULL);
    return sinks;
}

void sinks_destroy(struct sinks *sinks)
{
    for (struct runner *runner = sinks->first; runner != NULL; runner = runner->next) {
        pthread_mutex_lock(&runner->lock);
        runner->stopping = true;
        call_off(runner); /* all of them at once, then one after the other is waited for */
        pthread_mutex_unlock(&runner->lock);
    }
    while (sinks->first != NULL) {
        struct runner *runner = sinks->first;
        sinks->first = runner->next;
        stop(runner);
    }
    pthread_mutex_destroy(&sinks->lock);
    mem_free(sinks);
}

void sinks_for_each(struct server *server, void (*visit)(void *ctx, const struct sink_status *status),
                    void *ctx)
{
    uint64_t visible = snapshots_visible(engine_snapshots(server->engine));
    pthread_mutex_lock(&server->sinks->lock);
    for (struct runner *runner = server->sinks->first; runner != NULL; runner = runner->next) {
        pthread_mutex_lock(&runner->lock);
        uint64_t end = outbox_end(runner->relation);
        const struct setup *setup = runner->altered != NULL ? runner->altered : runner->setup;
        struct sink_status status = {.object = setup->object,
                                     .connector = setup->parts.class->name,
                                     .state = runner->state,
                                     .epoch = runner->epoch,
                                     .rows_behind = end > runner->arrived ? end - runner->arrived : 0,
                                     .rows = runner->rows,
                                     .transactions = runner->transactions,
                                     .aborted = runner->aborted,
                                     .failures = runner->failures,
                                     .last_error = runner->last_error,
                                     .last_error_us = runner->last_error_us};
        if (status.rows_behind == 0)
            status.epoch = visible; /* what came since has nothing for it */
        status.epochs_behind = visible > status.epoch ? visible - status.epoch : 0;
        status.bytes_behind = status.rows_behind > 0 ? outbox_bytes(runner->relation) : 0;
        visit(ctx, &status);
        pthread_mutex_unlock(&runner->lock);
    }
    pthread_mutex_unlock(&server->sinks->lock);
}
