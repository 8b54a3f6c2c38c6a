/* fn_case.h: calls one SQL function on values given as text, for tables of cases.
 *
 * Each case is evaluated as constants (folding), as columns of a batch with a row of NULLs in the middle, and
 * as a mixture of both; all must agree. A result is its text form, "NULL", or "ERROR: <sqlstate>: <message>";
 * rows of a set are joined by "|", their columns by ",". "cast int4" is the cast to int4. The expected texts
 * come from PostgreSQL 15 (database encoding UTF8, collation C). */
#ifndef MILLRACE_TESTS_FN_CASE_H
#define MILLRACE_TESTS_FN_CASE_H

#include "executor/expr_program.h"
#include "executor/function.h"
#include "tests/test.h"

#define FN_CASE_ARGS_MAX           8
#define FN_CASE_ANYCOMPATIBLE      5077u
#define FN_CASE_ANYCOMPATIBLEARRAY 5078u

struct fn_case {
    const char *name;                   /* function, operator or "cast" */
    const char *types;                  /* of the arguments actually given: "text,int4" */
    const char *args[FN_CASE_ARGS_MAX]; /* NULL: SQL NULL */
    const char *expected;
};

static inline struct eval_env fn_case_env(void)
{
    return (struct eval_env){.io = io_env_default};
}

/* The row whose declared argument types are exactly these. */
static inline const struct function_row *fn_case_find(const char *name, const char *types)
{
    for (size_t i = 0;; i++) {
        const struct function_row *row = function_at(i);
        if (row == NULL)
            return NULL;
        if (strcmp(row->name, name) == 0 && strcmp(row->args, types) == 0)
            return row;
    }
}

/* The declared row, with polymorphic and variadic ones spelled by the caller in front: "declared: given". */
static inline const struct function_row *fn_case_row(const struct fn_case *c, const char **given)
{
    static char declared[128];
    const char *colon = strstr(c->types, ": ");
    *given = colon != NULL ? colon + 2 : c->types;
    snprintf(declared, sizeof(declared), "%.*s",
             (int)(colon != NULL ? (size_t)(colon - c->types) : strlen(c->types)), c->types);
    if (strncmp(c->name, "cast ", 5) == 0)
        return function_find_cast(type_find_name(declared)->oid, type_find_name(c->name + 5)->oid);
    return fn_case_find(c->name, declared);
}

static inline uint32_t fn_case_types(const char *list, uint32_t *types)
{
    uint32_t count = 0;
    char name[64];
    while (*list != '\0') {
        size_t len = strcspn(list, ",");
        snprintf(name, sizeof(name), "%.*s", (int)len, list);
        types[count++] = type_find_name(name)->oid;
        list += len + (list[len] == ',');
    }
    return count;
}

static inline void fn_case_error(const struct error *err, struct strbuf *out)
{
    strbuf_addf(out, "ERROR: %s: %s", error_sqlstate(err->code), err->message);
}

static inline void fn_case_value(uint32_t type, const struct datum *value, struct strbuf *out)
{
    if (value->is_null)
        strbuf_adds(out, "NULL");
    else
        type_output(type, value, &io_env_default, out);
}

static inline bool fn_case_is_array_like(uint32_t oid)
{
    return oid == OID_ANYARRAY || oid == FN_CASE_ANYCOMPATIBLEARRAY || type_is_array(oid);
}

/* Polymorphic results follow the first argument, or for arrays the first argument that is one. */
static inline uint32_t fn_case_result_type(const struct function_row *row, const uint32_t *types)
{
    const struct function_signature *signature = function_signature(row);
    uint32_t result = signature->result;
    if (result == OID_ANYELEMENT || result == FN_CASE_ANYCOMPATIBLE)
        return fn_case_is_array_like(signature->args[0]) ? type_find(types[0])->element_oid : types[0];
    if (result != OID_ANYARRAY && result != FN_CASE_ANYCOMPATIBLEARRAY)
        return result;
    for (uint32_t i = 0; i < signature->args_count; i++) {
        if (signature->args[i] == result)
            return types[i];
    }
    return type_find(types[0])->array_oid;
}

/* Sets: the rows for one input row. */
static inline void fn_case_set(const struct function_row *row, const uint32_t *types, struct datum *args,
                               uint32_t count, struct arena *arena, struct strbuf *out)
{
    struct eval_env env = fn_case_env();
    struct sql_type result = {.oid = fn_case_result_type(row, types), .typmod = -1};
    struct column columns[FN_CASE_ARGS_MAX];
    for (uint32_t i = 0; i < count; i++)
        column_init_constant(&columns[i], (struct sql_type){.oid = types[i], .typmod = -1}, &args[i], arena);
    struct row_errors errors = {.arena = arena, .rows = 1};
    void *state = NULL;
    struct fn_call call = {.rows = 1,
                           .args_count = count,
                           .result_type = result,
                           .arena = arena,
                           .env = &env,
                           .function = row,
                           .errors = &errors,
                           .state = &state,
                           .state_arena = arena};
    const struct function_signature *signature = function_signature(row);
    struct sql_type results[FN_CASE_ARGS_MAX] = {result};
    uint32_t results_count = signature->columns_count > 0 ? signature->columns_count : 1;
    for (uint32_t i = 0; i < signature->columns_count; i++)
        results[i] = (struct sql_type){.oid = signature->column_types[i], .typmod = -1};
    struct srf_output output = {.out = batch_create(arena, results, results_count, 4), .arena = arena};
    row->set(&call, columns, &output);
    if (errors.count > 0) {
        fn_case_error(errors.items[0].error, out);
        return;
    }
    for (uint32_t i = 0; i < output.count; i++) {
        if (i > 0)
            strbuf_addc(out, '|');
        for (uint32_t column = 0; column < results_count; column++) {
            struct datum value = column_get(&output.out->columns[column], i);
            strbuf_adds(out, column > 0 ? "," : "");
            fn_case_value(results[column].oid, &value, out);
        }
    }
}

/* One call over a batch; bit i of `constants`: argument i is a constant instead of a column. Rows 0 and 2
 * hold the arguments, row 1 NULLs. */
static inline void fn_case_batch(const struct function_row *row, const uint32_t *types, struct datum *args,
                                 uint32_t count, uint32_t constants, struct arena *arena, struct strbuf *out)
{
    struct eval_env env = fn_case_env();
    struct batch *batch = batch_header(arena, count);
    struct expr *exprs[FN_CASE_ARGS_MAX];
    batch->rows = 3;
    for (uint32_t i = 0; i < count; i++) {
        struct sql_type type = {.oid = types[i], .typmod = -1};
        column_init(&batch->columns[i], type, 3, arena);
        struct datum null = datum_null();
        column_set(&batch->columns[i], 0, &args[i], 3, arena);
        column_set(&batch->columns[i], 1, &null, 3, arena);
        column_set(&batch->columns[i], 2, &args[i], 3, arena);
        exprs[i] =
            (constants >> i & 1) != 0 ? expr_constant(arena, type, args[i]) : expr_column(arena, i, type);
    }
    const struct expr *call = expr_call(
        arena, row, (struct sql_type){.oid = fn_case_result_type(row, types), .typmod = -1}, exprs, count);
    struct expr_program *program;
    struct error err;
    struct column result;
    struct row_errors errors = {.arena = arena};
    if (!expr_compile(arena, &call, 1, &program, &err)) {
        fn_case_error(&err, out);
        return;
    }
    struct expr_run *run = expr_run_create(program, NULL);
    for (int pass = 0; pass < 2; pass++) { /* the second with the states of the first */
        strbuf_reset(out);
        if (!expr_run_eval(run, &env, batch, NULL, 3, &result, &errors, &err)) {
            fn_case_error(&err, out);
            break;
        }
        EXPECT((row->flags & FN_NULLS) != 0 || count == 0 || constants + 1u == 1u << count ||
               column_is_null(&result, 1));
        struct datum value = column_get(&result, 2);
        if (errors.failed != NULL && errors.failed[2])
            fn_case_error(errors.items[errors.count - 1].error, out);
        else
            fn_case_value(result.type.oid, &value, out);
    }
    expr_run_destroy(run);
}

static inline void fn_case_constant(const struct function_row *row, const uint32_t *types, struct datum *args,
                                    uint32_t count, struct arena *arena, struct strbuf *out)
{
    struct eval_env env = fn_case_env();
    struct expr *exprs[FN_CASE_ARGS_MAX];
    for (uint32_t i = 0; i < count; i++)
        exprs[i] = expr_constant(arena, (struct sql_type){.oid = types[i], .typmod = -1}, args[i]);
    struct sql_type type = {.oid = fn_case_result_type(row, types), .typmod = -1};
    struct datum value;
    struct error err;
    if (expr_eval_constant(expr_call(arena, row, type, exprs, count), &env, arena, &value, &err))
        fn_case_value(type.oid, &value, out);
    else
        fn_case_error(&err, out);
}

static inline void fn_case_expect(const struct fn_case *c, const char *how, const struct strbuf *got)
{
    if (strcmp(strbuf_text(got), c->expected) == 0)
        return;
    fprintf(stderr, "%s(%s) of", c->name, c->types);
    for (int i = 0; i < FN_CASE_ARGS_MAX && c->args[i] != NULL; i++)
        fprintf(stderr, " '%s'", c->args[i]);
    fprintf(stderr, " %s\n  got      %s\n  expected %s\n", how, strbuf_text(got), c->expected);
    test_fail(__FILE__, __LINE__, c->name);
}

static inline void fn_case_run(const struct fn_case *c)
{
    const char *given;
    const struct function_row *row = fn_case_row(c, &given);
    if (row == NULL) {
        fprintf(stderr, "%s(%s) ", c->name, c->types);
        test_fail(__FILE__, __LINE__, "no such function");
        return;
    }
    struct arena arena;
    arena_init(&arena, NULL);
    uint32_t types[FN_CASE_ARGS_MAX], count = fn_case_types(given, types);
    struct datum args[FN_CASE_ARGS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        struct error err;
        args[i] = datum_null();
        if (c->args[i] != NULL && !type_input(types[i], -1, c->args[i], strlen(c->args[i]), &io_env_default,
                                              &arena, &args[i], &err))
            test_fail(__FILE__, __LINE__, err.message);
    }
    struct strbuf got = STRBUF_INIT;
    if ((row->flags & FN_SET) != 0) {
        fn_case_set(row, types, args, count, &arena, &got);
        fn_case_expect(c, "as a set", &got);
    } else {
        fn_case_constant(row, types, args, count, &arena, &got);
        fn_case_expect(c, "as a constant", &got);
        strbuf_reset(&got);
        fn_case_batch(row, types, args, count, 0, &arena, &got);
        fn_case_expect(c, "as columns", &got);
        if (count > 1) {
            strbuf_reset(&got);
            fn_case_batch(row, types, args, count, (1u << count) - 2, &arena, &got);
            fn_case_expect(c, "as column and constants", &got);
        }
    }
    strbuf_release(&got);
    arena_release(&arena);
}

#define FN_CASES_RUN(cases)                                                                                  \
    for (size_t case_ = 0; case_ < ARRAY_COUNT(cases); case_++)                                              \
    fn_case_run(&(cases)[case_])

#endif
