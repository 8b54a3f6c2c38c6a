/* ddl_time.c: see ddl_time.h. */
#include "planner/ddl_time.h"

#include "planner/bind.h"
#include "planner/ddl.h"
#include "protocol/connector/partitioned.h"
#include "storage/data/datetime.h"
#include "storage/data/datetime_io.h"

#include <string.h>

const char *const ddl_stream_time_options[] = {
    "idle_timeout", "on_idle", "max_future", "watermark_partition", "align", "max_skew", NULL};
const char *const ddl_view_time_options[] = {"emit", "every", "grace", "late", "state_ttl", NULL};

bool ddl_is_option(const char *const *list, const char *name)
{
    for (; *list != NULL; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

static const char *kind_word(const struct catalog_object *object)
{
    return object->kind == CATALOG_MATERIALIZED_VIEW ? "materialized view"
           : object->kind == CATALOG_STREAM          ? "stream"
           : object->kind == CATALOG_SINK            ? "sink"
           : object->kind == CATALOG_EXTERNAL_TABLE  ? "external table"
                                                     : "table";
}

/* ---- values ---- */

bool ddl_interval_option(const struct catalog_object *object, const char *name, bool zero_allowed,
                         int64_t *us, struct error *err)
{
    const char *text = ddl_option(object, name);
    struct interval interval;
    struct error why;
    if (text == NULL)
        return true;
    error_init(&why);
    if (!interval_input(text, strlen(text), -1, &io_env_default, &interval, &why)) {
        error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                  "option \"%s\" of %s \"%s\" is not an interval: \"%s\"", name, kind_word(object),
                  object->name, text);
        return error_hint(err, "For example: %s = '5 seconds'.", name);
    }
    if (interval.months != 0) {
        error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                  "option \"%s\" of %s \"%s\" cannot be given in months or years", name, kind_word(object),
                  object->name);
        return error_hint(err, "Months differ in length; give days.");
    }
    int64_t value;
    if (__builtin_mul_overflow((int64_t)interval.days, US_PER_DAY, &value) ||
        __builtin_add_overflow(value, interval.us, &value))
        return error_set(err, ERRCODE_INTERVAL_FIELD_OVERFLOW, "option \"%s\" of %s \"%s\" is out of range",
                         name, kind_word(object), object->name);
    if (value < 0 || (value == 0 && !zero_allowed))
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "option \"%s\" of %s \"%s\" must be %s zero, not \"%s\"", name, kind_word(object),
                         object->name, zero_allowed ? "at least" : "greater than", text);
    *us = value;
    return true;
}

/* One of some words; the first is what an absent option means. */
static bool word_option(const struct catalog_object *object, const char *name, const char *const *words,
                        uint32_t *out, struct error *err)
{
    const char *text = ddl_option(object, name);
    *out = 0;
    if (text == NULL)
        return true;
    struct strbuf list = STRBUF_INIT;
    for (uint32_t i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], text) == 0) {
            *out = i;
            strbuf_release(&list);
            return true;
        }
        strbuf_addf(&list, "%s'%s'", i == 0 ? "" : words[i + 1] == NULL ? " and " : ", ", words[i]);
    }
    error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "option \"%s\" of %s \"%s\" cannot be \"%s\"", name,
              kind_word(object), object->name, text);
    error_hint(err, "Its values are %s.", strbuf_text(&list));
    strbuf_release(&list);
    return false;
}

static bool needs(const struct catalog_object *object, const char *name, const char *what, const char *hint,
                  struct error *err)
{
    error_set(err, ERRCODE_INVALID_TABLE_DEFINITION, "option \"%s\" of %s \"%s\" needs %s", name,
              kind_word(object), object->name, what);
    return error_hint(err, "%s", hint);
}

/* ---- streams ---- */

static const char *const idle_words[] = {"wait", "advance", NULL};

static int32_t column_number(const struct catalog_object *object, const char *name)
{
    for (uint32_t i = 0; i < object->columns_count; i++)
        if (strcmp(object->columns[i].name, name) == 0)
            return (int32_t)i;
    return -1;
}

/* Everything but the expression. */
static bool read_stream_time(const struct catalog_object *object, struct watermark_desc *out,
                             struct error *err)
{
    uint32_t on_idle;
    int64_t max_skew_us = 0;
    out->partition_column = -1;
    for (const char *const *name = ddl_stream_time_options; *name != NULL; name++)
        if (ddl_option(object, *name) != NULL && object->watermark_column == NULL)
            return needs(object, *name, "a watermark",
                         "Declare one: WATERMARK FOR column AS column - INTERVAL '5 seconds'.", err);
    if (!ddl_interval_option(object, "idle_timeout", false, &out->idle_timeout_us, err) ||
        !word_option(object, "on_idle", idle_words, &on_idle, err) ||
        !ddl_interval_option(object, "max_future", false, &out->max_future_us, err) ||
        !ddl_interval_option(object, "max_skew", false, &max_skew_us, err))
        return false;
    out->advances_when_idle = on_idle == 1;
    if (out->advances_when_idle && out->idle_timeout_us == 0)
        return needs(object, "on_idle", "option \"idle_timeout\"",
                     "It says how long a stream is silent before its watermark goes on by itself.", err);
    const char *partition = ddl_option(object, "watermark_partition");
    if (partition != NULL) {
        out->partition_column = column_number(object, partition);
        if (out->partition_column < 0)
            return error_set(
                err, ERRCODE_UNDEFINED_COLUMN,
                "option \"watermark_partition\" of %s \"%s\" names column \"%s\", which does not exist",
                kind_word(object), object->name, partition);
        uint32_t type = object->columns[out->partition_column].type.oid;
        if (!type_has_equality(type))
            return error_set(err, ERRCODE_DATATYPE_MISMATCH,
                             "column \"%s\" of type %s cannot be the watermark_partition of %s \"%s\"",
                             partition, type_find(type)->sql_name, kind_word(object), object->name);
    }
    bool has_connector = ddl_option(object, "connector") != NULL;
    if (partition == NULL && has_connector && partitioned_find(ddl_option(object, "connector")) != NULL)
        out->partition_column = WATERMARK_BY_SOURCE;
    const char *align = ddl_option(object, "align");
    if (align != NULL && !has_connector)
        return needs(object, "align", "a connector", "Rows that clients insert cannot be made to wait.", err);
    if (align != NULL && align[0] == '\0')
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "option \"align\" of %s \"%s\" names a group of sources and cannot be empty",
                         kind_word(object), object->name);
    if (align != NULL && max_skew_us == 0)
        return needs(object, "align", "option \"max_skew\"",
                     "It says how far a source may run ahead of the slowest of its group.", err);
    if (align == NULL && max_skew_us != 0)
        return needs(object, "max_skew", "option \"align\"",
                     "It names the group of sources that wait for each other.", err);
    return true;
}

bool ddl_stream_retention(const struct catalog_object *object, struct stream_retention *out,
                          struct error *err)
{
    const char *retention = ddl_option(object, "retention"), *rows = ddl_option(object, "retention_rows");
    *out = (struct stream_retention){0};
    const char *name = retention != NULL ? "retention" : rows != NULL ? "retention_rows" : NULL;
    if (name != NULL && object->kind != CATALOG_STREAM)
        return error_set(err, ERRCODE_INVALID_TABLE_DEFINITION,
                         "option \"%s\" is for streams: \"%s\" is a table", name, object->name);
    out->none = retention != NULL && strcmp(retention, "0") == 0;
    if (out->none && rows != NULL)
        return error_set(
            err, ERRCODE_INVALID_TABLE_DEFINITION,
            "options \"retention\" = '0' and \"retention_rows\" of stream \"%s\" exclude each other",
            object->name);
    if (rows != NULL) {
        uint64_t value = 0;
        const char *digit = rows;
        for (; *digit >= '0' && *digit <= '9' && value < (uint64_t)INT64_MAX / 10; digit++)
            value = value * 10 + (uint64_t)(*digit - '0');
        if (*digit != '\0' || value == 0)
            return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                             "option \"retention_rows\" of stream \"%s\" is not a number of rows: \"%s\"",
                             object->name, rows);
        out->rows = value;
    }
    if (retention == NULL || out->none || strcmp(retention, "forever") == 0)
        return true;
    if (ddl_interval_option(object, "retention", false, &out->us, err))
        return true;
    return error_hint(err,
                      "Use '0' (rows are passed on to views and not kept), an interval like '7 days', or "
                      "'forever'.");
}

bool ddl_check_stream_time(const struct catalog_object *object, struct error *err)
{
    struct watermark_desc unused = {0};
    return read_stream_time(object, &unused, err);
}

bool ddl_watermark_desc(struct planner_context *ctx, const struct catalog_object *object,
                        struct watermark_desc *out, struct error *err)
{
    PgQuery__Node *node;
    struct expr *expr;
    struct sql_type any = {.oid = 0, .typmod = -1};
    struct scope_relation self = {.alias = object->name, .object = object};
    *out = (struct watermark_desc){.partition_column = -1};
    if (object->watermark_column == NULL || object->kind == CATALOG_MATERIALIZED_VIEW)
        return true;
    if (!read_stream_time(object, out, err) ||
        !statement_parse_expression(ctx->arena, object->watermark_sql, &node, err))
        return false;
    const char *outer_sql = ctx->sql;
    ctx->sql = ""; /* locations refer to the stored text */
    bool ok = planner_expression(ctx, node, &self, 1, any, "watermarks", &expr, err);
    ctx->sql = outer_sql;
    if (!ok)
        return false;
    out->is_declared = true;
    out->column = (uint32_t)column_number(object, object->watermark_column);
    out->expression = expr;
    out->text = object->watermark_sql;
    return true;
}

/* The stable operators whose result does not depend on the zone: an instant and an interval without days and months. */
static bool is_fixed_shift(const struct expr *node)
{
    if (node->kind != EXPR_CALL || node->type.oid != OID_TIMESTAMPTZ || node->args_count != 2 ||
        (strcmp(node->function->name, "+") != 0 && strcmp(node->function->name, "-") != 0))
        return false;
    for (uint32_t i = 0; i < 2; i++) {
        const struct expr *arg = node->args[i];
        if (arg->type.oid == OID_INTERVAL)
            return arg->kind == EXPR_CONSTANT &&
                   (arg->value.is_null || (arg->value.interval.months == 0 && arg->value.interval.days == 0));
    }
    return false;
}

static bool is_zone_free(void *ctx, const struct expr *node)
{
    if (is_fixed_shift(node))
        return true;
    /* the node alone: its arguments are visited anyway */
    struct expr alone = *node;
    alone.args_count = 0;
    return expr_is_immutable(&alone);
}

bool ddl_check_watermark_zone(const struct catalog_object *object, const struct expr *expr, struct error *err)
{
    if (expr_walk(expr, is_zone_free, NULL))
        return true;
    error_set(err, ERRCODE_INVALID_TABLE_DEFINITION,
              "the watermark of column \"%s\" depends on a session's time zone or settings",
              object->watermark_column);
    return error_hint(
        err,
        "A day of timestamp with time zone has 23 to 25 hours: give hours, as in %s - INTERVAL '24 "
        "hours', or use a column of type timestamp.",
        object->watermark_column);
}

/* ---- views ---- */

static const char *const emit_words[] = {
    [VIEW_EMIT_CHANGES] = "changes", [VIEW_EMIT_FINAL] = "final", [VIEW_EMIT_EVERY] = "every", NULL};
static const char *const late_words[] = {
    [VIEW_LATE_SIDE] = "side", [VIEW_LATE_DROP] = "drop", [VIEW_LATE_CORRECT] = "correct", NULL};

bool ddl_view_time(const struct catalog_object *object, struct view_time *out, struct error *err)
{
    uint32_t emit, late;
    *out = (struct view_time){0};
    if (!word_option(object, "emit", emit_words, &emit, err) ||
        !word_option(object, "late", late_words, &late, err) ||
        !ddl_interval_option(object, "every", false, &out->every_us, err) ||
        !ddl_interval_option(object, "grace", true, &out->grace_us, err) ||
        !ddl_interval_option(object, "state_ttl", false, &out->state_ttl_us, err))
        return false;
    out->emit = (enum view_emit)emit;
    out->late = (enum view_late)late;
    if (out->emit == VIEW_EMIT_EVERY && out->every_us == 0)
        return needs(object, "emit", "a period", "For example: emit = 'every', every = '10 seconds'.", err);
    if (out->emit != VIEW_EMIT_EVERY && out->every_us != 0)
        return needs(object, "every", "emit = 'every'", "Without it each change comes out at once.", err);
    if (out->late == VIEW_LATE_CORRECT && out->grace_us != 0 && out->emit != VIEW_EMIT_FINAL) {
        error_set(err, ERRCODE_INVALID_TABLE_DEFINITION,
                  "option \"grace\" of %s \"%s\" has no meaning with late = 'correct'", kind_word(object),
                  object->name);
        return error_hint(err, "No row is late for a view that is always corrected.");
    }
    return true;
}
