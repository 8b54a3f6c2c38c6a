/* fn_vector.h: runs rows of the function registry on values given as text, with the session's zone, and
 * compares with what PostgreSQL 15 gave.
 *
 * Every call has three rows: the values, NULLs, and the values again; as columns and as constants. The NULL
 * row must raise no error and the others must agree. Zones and the clock are those of the vector's
 * environment. */
#ifndef MILLRACE_TESTS_FN_VECTOR_H
#define MILLRACE_TESTS_FN_VECTOR_H

#include "executor/eval_env.h"
#include "executor/function.h"
#include "tests/test.h"

#define VECTOR_ARGS_MAX 8

struct fn_vector {
    const char *name, *types, *result, *zone; /* types and result as the function's row has them */
    const char *args[VECTOR_ARGS_MAX];        /* NULL behind the last; "\\N": SQL NULL */
    const char *expected;                     /* "ERR sqlstate message | detail" for errors, "" for NULL */
};

static const struct function_row *vector_row(const struct fn_vector *v)
{
    const struct function_row *row;
    for (size_t i = 0; (row = function_at(i)) != NULL; i++) {
        if (strcmp(row->name, v->name) == 0 && strcmp(row->args, v->types) == 0 &&
            strcmp(row->result, v->result) == 0)
            return row;
    }
    return NULL;
}

static uint32_t vector_type(const char **list)
{
    char name[64];
    size_t len = strcspn(*list, ",");
    snprintf(name, sizeof(name), "%.*s", (int)len, *list);
    *list += len + ((*list)[len] == ',');
    return type_find_name(name)->oid;
}

static void vector_error(const struct error *err, struct strbuf *out)
{
    strbuf_addf(out, "ERR %s %s", error_sqlstate(err->code), err->message);
    if (err->detail[0] != '\0')
        strbuf_addf(out, " | %s", err->detail);
}

static void vector_value(const struct column *column, uint32_t row, const struct row_errors *errors,
                         const struct io_env *io, struct strbuf *out)
{
    for (uint32_t i = 0; i < errors->count; i++) {
        if (errors->items[i].row == row) {
            vector_error(errors->items[i].error, out);
            return;
        }
    }
    struct datum value = column_get(column, row);
    if (!value.is_null)
        type_output(column->type.oid, &value, io, out);
}

/* Calls the row with the given values; mode bit 0: first argument constant, bit 1: the others. */
static void vector_call(const struct fn_vector *v, const struct function_row *row, int mode,
                        struct arena *arena, struct strbuf *out)
{
    struct eval_env env = {.io = io_env_default};
    env.io.timezone = v->zone;
    env.io.now_us = env.statement_us = 758548800000000LL; /* 2024-01-14 12:00 */
    struct column args[VECTOR_ARGS_MAX];
    uint32_t count = 0;
    const char *types = v->types;
    bool strict = (row->flags & FN_NULLS) == 0;
    for (; *types != '\0' && v->args[count] != NULL; count++) {
        struct sql_type type = {.oid = vector_type(&types), .typmod = -1};
        struct datum value = {0}, null = datum_null();
        struct error err;
        value.is_null = strcmp(v->args[count], "\\N") == 0;
        if (!value.is_null &&
            !type_input(type.oid, -1, v->args[count], strlen(v->args[count]), &env.io, arena, &value, &err)) {
            vector_error(&err, out);
            return;
        }
        bool constant = !value.is_null && (count == 0 ? mode & 1 : mode & 2) != 0;
        if (constant) {
            column_init_constant(&args[count], type, &value, arena);
        } else {
            column_init(&args[count], type, 3, arena);
            column_set(&args[count], 0, &value, 3, arena);
            column_set(&args[count], 1, &null, 3, arena);
            column_set(&args[count], 2, &value, 3, arena);
        }
    }
    struct column result;
    column_init(&result, (struct sql_type){.oid = type_find_name(v->result)->oid, .typmod = -1}, 3, arena);
    for (uint32_t i = 0; strict && i < count; i++) {
        for (uint32_t k = 0; k < 3; k++) {
            if (column_is_null(&args[i], k))
                column_need_nulls(&result, 3, arena)[k] = 1;
        }
    }
    struct row_errors errors = {.arena = arena, .rows = 3};
    void *state = NULL;
    struct fn_call call = {.rows = 3,
                           .args_count = count,
                           .result_type = result.type,
                           .arena = arena,
                           .env = &env,
                           .function = row,
                           .result = &result,
                           .errors = &errors,
                           .state = &state,
                           .state_arena = arena};
    row->kernel(&call, args, &result);
    struct strbuf again = STRBUF_INIT;
    vector_value(&result, 0, &errors, &env.io, out);
    vector_value(&result, 2, &errors, &env.io, &again);
    EXPECT_TEXT(strbuf_text(&again), strbuf_text(out));
    if (strict && count > 0 && column_is_null(&result, 1)) {
        for (uint32_t i = 0; i < errors.count; i++)
            EXPECT(errors.items[i].row != 1);
    }
    strbuf_release(&again);
}

static void vectors_run(const struct fn_vector *vectors, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct fn_vector *v = &vectors[i];
        const struct function_row *row = vector_row(v);
        if (row == NULL || row->kernel == NULL) {
            fprintf(stderr, "no function %s(%s)\n", v->name, v->types);
            EXPECT(row != NULL);
            continue;
        }
        for (int mode = 0; mode < 4; mode++) {
            struct strbuf out = STRBUF_INIT;
            struct arena arena;
            arena_init(&arena, NULL);
            vector_call(v, row, mode, &arena, &out);
            if (strcmp(strbuf_text(&out), v->expected) != 0)
                fprintf(stderr, "%s(%s) of %s, %s in %s, mode %d\n", v->name, v->types,
                        v->args[0] ? v->args[0] : "", v->args[0] && v->args[1] ? v->args[1] : "", v->zone,
                        mode);
            EXPECT_TEXT(strbuf_text(&out), v->expected);
            strbuf_release(&out);
            arena_release(&arena);
        }
    }
}

#endif
