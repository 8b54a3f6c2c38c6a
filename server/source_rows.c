/* source_rows.c: see source_rows.h. */
#include "server/source_rows.h"

#include "executor/expr_program.h"
#include "planner/bind_dml.h"
#include "planner/ddl.h"
#include "protocol/connector/connector.h"
#include "server/sources.h"
#include "storage/base/clock.h"
#include "storage/disk/tick_log.h"

#include <string.h>

struct source_rows {
    struct arena arena; /* lists and bound defaults */
    const struct connector_class *class;
    struct source *source;
    uint32_t columns_count; /* of the relation */
    struct sql_type *types;
    struct expr **defaults; /* per column; NULL: the connector makes it */
    uint32_t made_count;
    uint32_t *made; /* columns the connector makes */
    struct sql_type *made_types;
};

const char *source_rows_connector(const struct source_rows *rows)
{
    return rows->class->name;
}

bool source_rows_replayable(const struct source_rows *rows)
{
    return rows->class->read != NULL;
}

/* ---- opening ---- */

static bool find_class(const struct catalog_object *object, const struct connector_class **out,
                       struct error *err)
{
    const char *name = ddl_option(object, "connector");
    *out = name != NULL ? connector_find(name) : NULL;
    if (*out != NULL)
        return true;
    error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "connector \"%s\" is not supported",
              name != NULL ? name : "");
    return error_hint(err, "Supported connectors: generator, kafka.");
}

/* A column that the connector does not make and that has a default. */
static bool bind_default(struct source_rows *rows, struct server *server, const struct catalog_object *object,
                         uint32_t column, struct error *err)
{
    struct eval_env env = {.io = io_env_default};
    struct planner_context ctx;
    planner_init(&ctx, &rows->arena, server->catalog, &env);
    catalog_read_lock(server->catalog);
    bool ok = bind_column_default(&ctx, object, column, &rows->defaults[column], err);
    catalog_unlock(server->catalog);
    if (ok && expr_is_volatile(rows->defaults[column])) {
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                  "the default of column \"%s\" may differ from row to row, which connectors cannot fill",
                  object->columns[column].name);
        return error_hint(err, "now() and constants are possible.");
    }
    return ok;
}

static bool open_rows(struct source_rows *rows, struct server *server, const struct catalog_object *object,
                      uint64_t position, bool check_only, struct error *err)
{
    if (!find_class(object, &rows->class, err))
        return false;
    struct arena *arena = &rows->arena;
    uint32_t count = rows->columns_count = object->columns_count;
    struct connector_option *options = ARENA_ARRAY(arena, struct connector_option, object->options_count);
    struct source_spec spec = {.relation_name = object->name, .position = position, .options = options};
    for (uint32_t i = 0; i < object->options_count; i++) {
        if (!sources_option_is_ours(object->options[i].name))
            options[spec.options_count++] =
                (struct connector_option){object->options[i].name, object->options[i].value};
    }
    const char **names = ARENA_ARRAY(arena, const char *, count);
    rows->types = ARENA_ARRAY(arena, struct sql_type, count);
    rows->defaults = ARENA_ARRAY(arena, struct expr *, count);
    rows->made = ARENA_ARRAY(arena, uint32_t, count);
    rows->made_types = ARENA_ARRAY(arena, struct sql_type, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct catalog_column *column = &object->columns[i];
        if (column->metadata != NULL || column->path != NULL)
            return error_set(
                err, ERRCODE_FEATURE_NOT_SUPPORTED,
                "connector \"%s\" has no records, so that column \"%s\" cannot have option \"%s\"",
                rows->class->name, column->name, column->metadata != NULL ? "metadata" : "path");
        rows->types[i] = column->type;
        if (column->default_sql != NULL && !rows->class->makes(&spec, column->name)) {
            if (!bind_default(rows, server, object, i, err))
                return false;
            continue;
        }
        names[rows->made_count] = column->name;
        rows->made_types[rows->made_count] = column->type;
        rows->made[rows->made_count++] = i;
    }
    spec.columns_count = rows->made_count;
    spec.column_names = names;
    spec.types = rows->made_types;
    return rows->class->open(&spec, check_only ? NULL : &rows->source, err);
}

bool source_rows_open(struct server *server, const struct catalog_object *object, uint64_t position,
                      struct source_rows **out, struct error *err)
{
    struct source_rows *rows = mem_zalloc(sizeof(*rows));
    arena_init(&rows->arena, NULL);
    bool ok = open_rows(rows, server, object, position, out == NULL, err);
    if (ok && out != NULL)
        *out = rows;
    else
        source_rows_close(rows);
    return ok;
}

void source_rows_close(struct source_rows *rows)
{
    if (rows->source != NULL)
        rows->class->close(rows->source);
    arena_release(&rows->arena);
    mem_free(rows);
}

/* ---- rows ---- */

/* The relation's rows around those the connector made. */
static bool add_defaults(struct source_rows *rows, struct batch *made, int64_t clock_us, struct arena *arena,
                         struct batch **out, struct error *err)
{
    *out = made;
    if (rows->made_count == rows->columns_count || made->rows == 0)
        return true;
    struct eval_env env = {.io = io_env_default, .statement_us = clock_us};
    env.io.now_us = clock_us;
    struct batch *full = batch_header(arena, rows->columns_count);
    full->rows = made->rows;
    for (uint32_t i = 0; i < rows->made_count; i++)
        full->columns[rows->made[i]] = made->columns[i];
    for (uint32_t i = 0; i < rows->columns_count; i++) {
        struct datum value;
        if (rows->defaults[i] == NULL)
            continue;
        if (!expr_eval_constant(rows->defaults[i], &env, arena, &value, err))
            return false;
        column_init_constant(&full->columns[i], rows->types[i], &value, arena);
        column_expand(&full->columns[i], made->rows, arena);
    }
    *out = full;
    return true;
}

bool source_rows_poll(struct source_rows *rows, uint32_t rows_max, int64_t clock_us, struct arena *arena,
                      struct batch **out, int64_t *wait_until_ns, struct error *err)
{
    struct batch *made = batch_create(arena, rows->made_types, rows->made_count, 1024);
    return rows->class->poll(rows->source, rows_max, made, wait_until_ns, err) &&
           add_defaults(rows, made, clock_us, arena, out, err);
}

bool source_rows_read(struct source_rows *rows, const struct source_range *range, struct arena *arena,
                      struct batch **out, struct error *err)
{
    struct batch *made = batch_create(arena, rows->made_types, rows->made_count, range->count);
    if (!rows->class->read(rows->source, range->first, range->count, made, err))
        return false;
    if (made->rows != range->count)
        return error_set(err, ERRCODE_DATA_CORRUPTED,
                         "connector \"%s\" gave %u rows in place of the %u that the log counts",
                         rows->class->name, made->rows, range->count);
    return add_defaults(rows, made, range->clock_us, arena, out, err);
}
