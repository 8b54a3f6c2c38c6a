/* test_expr.c: how expressions are evaluated: lazy parts, errors of single rows, NULL logic, selections,
 * sharing, folding, arrays, casts. Small functions of its own make calls countable. */
#include "executor/eval_env.h"
#include "executor/expr_program.h"
#include "executor/function.h"
#include "tests/test.h"

#include "storage/data/array.h"

/* ---- functions of the test ---- */

static uint32_t divide_rows;

static void kernel_divide(struct fn_call *call, const struct column *args, struct column *result)
{
    int32_t *out = result->data;
    divide_rows += call->rows;
    for (uint32_t i = 0; i < call->rows; i++) {
        int32_t divisor = COLUMN_I32(&args[1])[COLUMN_AT(&args[1], i)];
        if (divisor == 0) {
            fn_error(call, i, ERRCODE_DIVISION_BY_ZERO, "division by zero");
            continue; /* the value stays unset */
        }
        out[i] = COLUMN_I32(&args[0])[COLUMN_AT(&args[0], i)] / divisor;
    }
}

static void kernel_add(struct fn_call *call, const struct column *args, struct column *result)
{
    int32_t *out = result->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        if (__builtin_add_overflow(COLUMN_I32(&args[0])[COLUMN_AT(&args[0], i)],
                                   COLUMN_I32(&args[1])[COLUMN_AT(&args[1], i)], &out[i]))
            fn_error(call, i, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range");
    }
}

/* Text of the failing rows is never looked at: it points nowhere. */
static void kernel_fail_text(struct fn_call *call, const struct column *args, struct column *result)
{
    memset(result->data, 0xff, sizeof(struct varlen) * call->rows);
    for (uint32_t i = 0; i < call->rows; i++)
        fn_error(call, i, ERRCODE_INTERNAL_ERROR, "no text");
}

static void kernel_counter(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++)
        ((int32_t *)result->data)[i] = (int32_t)i;
}

static void kernel_now(struct fn_call *call, const struct column *args, struct column *result)
{
    EXPECT_INT(call->rows, 1); /* stable and without arguments: once per batch */
    ((int32_t *)result->data)[0] = (int32_t)call->env->statement_us;
}

static const struct function_row test_rows[] = {
    {"test_divide", "int4,int4", "int4", kernel_divide, ""},
    {"test_add", "int4,int4", "int4", kernel_add, ""},
    {"test_fail_text", "int4", "text", kernel_fail_text, ""},
    {"test_counter", "", "int4", kernel_counter, "", FN_VOLATILE},
    {"test_now", "", "int4", kernel_now, "", FN_STABLE},
};

/* ---- building ---- */

static struct arena arena;
static const struct sql_type int4 = {.oid = OID_INT4, .typmod = -1};
static const struct sql_type int8 = {.oid = OID_INT8, .typmod = -1};
static const struct sql_type boolean = {.oid = OID_BOOL, .typmod = -1};
static const struct sql_type text = {.oid = OID_TEXT, .typmod = -1};
static const struct sql_type int4_array = {.oid = OID_INT4_ARRAY, .typmod = -1};

static const struct function_row *find(const char *name)
{
    const struct function_row *const *rows;
    CHECK(function_find(name, false, &rows) == 1);
    return rows[0];
}

static const struct function_row *operator_of(const char *name, uint32_t a, uint32_t b)
{
    const struct function_row *row = function_find_exact(name, (uint32_t[]){a, b}, 2);
    CHECK(row != NULL);
    return row;
}

static struct expr *column(uint32_t index, struct sql_type type)
{
    return expr_column(&arena, index, type);
}

static struct expr *constant(struct sql_type type, const char *value)
{
    struct datum datum = datum_null();
    struct error err;
    if (value != NULL)
        EXPECT(type_input(type.oid, -1, value, strlen(value), &io_env_default, &arena, &datum, &err));
    return expr_constant(&arena, type, datum);
}

static struct expr *number(int32_t value)
{
    return expr_constant(&arena, int4, datum_i32(value));
}

static struct expr *node(enum expr_kind kind, struct sql_type type, uint32_t count, ...)
{
    struct expr *expr = expr_new(&arena, kind, type);
    expr->args_count = count;
    expr->args = ARENA_ARRAY(&arena, struct expr *, count);
    va_list args;
    va_start(args, count);
    for (uint32_t i = 0; i < count; i++)
        expr->args[i] = va_arg(args, struct expr *);
    va_end(args);
    return expr;
}

static struct expr *call2(const struct function_row *row, struct sql_type type, struct expr *a,
                          struct expr *b)
{
    return expr_call(&arena, row, type, (struct expr *[]){a, b}, 2);
}

static struct expr *divide(struct expr *a, struct expr *b)
{
    return call2(find("test_divide"), int4, a, b);
}

static struct expr *add(struct expr *a, struct expr *b)
{
    return call2(find("test_add"), int4, a, b);
}

static struct expr *compare(const char *name, struct expr *a, struct expr *b)
{
    return call2(operator_of(name, a->type.oid, b->type.oid), boolean, a, b);
}

/* ---- running ---- */

static struct eval_env env;

static struct batch *batch_of(const struct sql_type *types, uint32_t columns, const char *rows)
{
    struct batch *batch = batch_create(&arena, types, columns, 4);
    struct error err;
    if (!batch_from_text(batch, rows, &err))
        test_fail(__FILE__, __LINE__, err.message);
    return batch;
}

static void show(const struct column *result, uint32_t rows, const struct row_errors *errors,
                 struct strbuf *out)
{
    for (uint32_t i = 0; i < rows; i++) {
        strbuf_adds(out, i > 0 ? " " : "");
        if (errors != NULL && errors->failed != NULL && errors->failed[i]) {
            for (uint32_t e = 0; e < errors->count; e++) {
                if (errors->items[e].row == i)
                    strbuf_adds(out, error_sqlstate(errors->items[e].error->code));
            }
        } else if (column_is_null(result, i)) {
            strbuf_adds(out, "NULL");
        } else {
            struct datum value = column_get(result, i);
            type_output(result->type.oid, &value, &io_env_default, out);
        }
    }
}

/* Evaluates twice, the second time under the selection of all rows in reverse; both must agree. */
static void expect_values(const struct expr *expr, const struct batch *batch, const char *expected,
                          const char *file, int line)
{
    struct expr_program *program;
    struct error err;
    if (!expr_compile(&arena, &expr, 1, &program, &err)) {
        test_fail(file, line, err.message);
        return;
    }
    struct expr_run *run = expr_run_create(program, NULL);
    struct strbuf got = STRBUF_INIT;
    struct row_errors errors = {.arena = &arena};
    struct column result;
    uint32_t rows = batch->rows, *reverse = ARENA_ARRAY(&arena, uint32_t, rows),
             *back = ARENA_ARRAY(&arena, uint32_t, rows);
    EXPECT(expr_run_eval(run, &env, batch, NULL, rows, &result, &errors, &err));
    show(&result, rows, &errors, &got);
    if (strcmp(strbuf_text(&got), expected) != 0) {
        fprintf(stderr, "got      %s\nexpected %s\n", strbuf_text(&got), expected);
        test_fail(file, line, "values");
    }
    for (uint32_t i = 0; i < rows; i++)
        reverse[i] = back[i] = rows - 1 - i;
    EXPECT(expr_run_eval(run, &env, batch, reverse, rows, &result, &errors, &err));
    struct column turned;
    column_gather(&turned, &result, back, rows, &arena);
    uint8_t *failed = errors.failed, *turned_failed = ARENA_ARRAY(&arena, uint8_t, rows);
    for (uint32_t i = 0; failed != NULL && i < rows; i++)
        turned_failed[i] = failed[back[i]];
    for (uint32_t e = 0; e < errors.count; e++)
        errors.items[e].row = back[errors.items[e].row];
    errors.failed = failed != NULL ? turned_failed : NULL;
    strbuf_reset(&got);
    show(&turned, rows, &errors, &got);
    if (strcmp(strbuf_text(&got), expected) != 0) {
        fprintf(stderr, "got      %s\nexpected %s\n", strbuf_text(&got), expected);
        test_fail(file, line, "values under a selection");
    }
    strbuf_release(&got);
    expr_run_destroy(run);
}

#define EXPECT_VALUES(expr, batch, expected) expect_values(expr, batch, expected, __FILE__, __LINE__)

/* ---- lazy parts ---- */

TEST(case_guards_its_branch)
{
    struct batch *batch = batch_of(&int4, 1, "+ 1\n+ 0\n+ 2\n+ \\N\n");
    struct expr *x = column(0, int4);
    struct expr *expr =
        node(EXPR_CASE, int4, 3, compare("<>", x, number(0)), divide(number(10), x), number(-1));
    divide_rows = 0;
    EXPECT_VALUES(expr, batch, "10 -1 5 -1");
    EXPECT_INT(divide_rows, 4); /* two rows, two evaluations */
    EXPECT_VALUES(divide(number(10), x), batch, "10 22012 5 NULL");
}

TEST(case_of_many_branches)
{
    struct batch *batch = batch_of(&int4, 1, "+ 0\n+ 1\n+ 2\n+ 3\n+ \\N\n+ 4\n");
    struct expr *x = column(0, int4);
    struct expr *inner =
        node(EXPR_CASE, int4, 5, compare("=", x, number(3)), divide(number(9), x),
             compare("=", divide(number(4), x), number(1)), number(44), constant(int4, NULL));
    struct expr *expr = node(EXPR_CASE, int4, 5, compare("=", x, number(0)), number(100),
                             compare("<", x, number(3)), add(x, x), inner);
    EXPECT_VALUES(expr, batch, "100 2 4 3 NULL 44");
}

TEST(and_or_stop_early)
{
    struct batch *batch = batch_of(&int4, 1, "+ 1\n+ 0\n+ 20\n+ \\N\n");
    struct expr *x = column(0, int4);
    struct expr *large = compare(">", divide(number(10), x), number(5));
    EXPECT_VALUES(node(EXPR_AND, boolean, 2, compare("<>", x, number(0)), large), batch, "t f f NULL");
    EXPECT_VALUES(node(EXPR_OR, boolean, 2, compare("=", x, number(0)), large), batch, "t t f NULL");
    EXPECT_VALUES(node(EXPR_AND, boolean, 2, large, compare("<>", x, number(0))), batch, "t 22012 f NULL");
    /* three arguments, one of them cheap, between two lazy ones */
    EXPECT_VALUES(node(EXPR_AND, boolean, 4, compare("<>", x, number(0)), large, compare("=", x, number(1)),
                       compare("=", divide(number(7), x), number(7))),
                  batch, "t f f NULL");
}

TEST(three_valued_logic)
{
    struct sql_type types[2] = {boolean, boolean};
    struct batch *batch =
        batch_of(types, 2, "+ t t\n+ t f\n+ t \\N\n+ f t\n+ f f\n+ f \\N\n+ \\N t\n+ \\N f\n+ \\N \\N\n");
    struct expr *a = column(0, boolean), *b = column(1, boolean);
    EXPECT_VALUES(node(EXPR_AND, boolean, 2, a, b), batch, "t f NULL f f f NULL f NULL");
    EXPECT_VALUES(node(EXPR_OR, boolean, 2, a, b), batch, "t t t t f NULL t NULL NULL");
    EXPECT_VALUES(node(EXPR_NOT, boolean, 1, b), batch, "f t NULL f t NULL f t NULL");
    /* the same through the lazy way: the second argument is not cheap */
    struct expr *lazy = node(EXPR_CASE, boolean, 3, compare("=", b, b), b, constant(boolean, NULL));
    EXPECT_VALUES(node(EXPR_AND, boolean, 2, a, lazy), batch, "t f NULL f f f NULL f NULL");
    EXPECT_VALUES(node(EXPR_OR, boolean, 2, a, lazy), batch, "t t t t f NULL t NULL NULL");
    static const char *const tests[] = {
        [TEST_TRUE] = "t f f t f f t f f",    [TEST_NOT_TRUE] = "f t t f t t f t t",
        [TEST_FALSE] = "f t f f t f f t f",   [TEST_NOT_FALSE] = "t f t t f t t f t",
        [TEST_UNKNOWN] = "f f t f f t f f t", [TEST_NOT_UNKNOWN] = "t t f t t f t t f"};
    for (int test = TEST_TRUE; test <= TEST_NOT_UNKNOWN; test++) {
        struct expr *expr = node(EXPR_BOOLEAN_TEST, boolean, 1, b);
        expr->test = (enum boolean_test)test;
        EXPECT_VALUES(expr, batch, tests[test]);
    }
}

TEST(distinct_nullif_coalesce)
{
    struct sql_type types[2] = {int4, int4};
    struct batch *batch = batch_of(types, 2, "+ 1 1\n+ 1 2\n+ \\N 2\n+ 1 \\N\n+ \\N \\N\n");
    struct expr *a = column(0, int4), *b = column(1, int4);
    struct expr *distinct = node(EXPR_IS_DISTINCT, boolean, 2, a, b),
                *same = node(EXPR_IS_DISTINCT, boolean, 2, a, b);
    struct expr *nullif = node(EXPR_NULLIF, int4, 2, a, b);
    distinct->function = same->function = nullif->function = operator_of("=", OID_INT4, OID_INT4);
    same->flag = true;
    EXPECT_VALUES(distinct, batch, "f t t t f");
    EXPECT_VALUES(same, batch, "t f f f t");
    EXPECT_VALUES(nullif, batch, "NULL 1 NULL 1 NULL");
    EXPECT_VALUES(node(EXPR_COALESCE, int4, 2, a, b), batch, "1 1 2 1 NULL");
    EXPECT_VALUES(node(EXPR_COALESCE, int4, 3, a, b, number(9)), batch, "1 1 2 1 9");
    EXPECT_VALUES(node(EXPR_COALESCE, int4, 2, a, divide(number(1), number(0))), batch, "1 1 22012 1 22012");
    EXPECT_VALUES(node(EXPR_GREATEST, int4, 3, a, b, number(1)), batch, "1 2 2 1 1");
    EXPECT_VALUES(node(EXPR_LEAST, int4, 2, a, b), batch, "1 1 2 1 NULL");
}

/* ---- errors ---- */

TEST(a_failed_row_hurts_no_other)
{
    struct batch *batch = batch_of(&int4, 1, "+ 1\n+ 2\n");
    struct expr *fail =
        expr_call(&arena, find("test_fail_text"), text, (struct expr *[]){column(0, int4)}, 1);
    struct expr *guarded =
        node(EXPR_CASE, text, 3, compare("=", column(0, int4), number(2)), fail, constant(text, "fine"));
    struct expr *joined = call2(operator_of("||", OID_TEXT, OID_TEXT), text, guarded, constant(text, "!"));
    EXPECT_VALUES(joined, batch, "fine! XX000");
}

TEST(without_errors_the_first_row_fails_all)
{
    struct batch *batch = batch_of(&int4, 1, "+ 1\n+ 2147483647\n+ 0\n");
    const struct expr *exprs[2] = {divide(number(1), column(0, int4)), add(column(0, int4), number(1))};
    struct expr_program *program;
    struct error err;
    struct column results[2];
    EXPECT(expr_compile(&arena, exprs, 2, &program, &err));
    struct expr_run *run = expr_run_create(program, NULL);
    EXPECT(!expr_run_eval(run, &env, batch, NULL, 3, results, NULL, &err));
    EXPECT_TEXT(err.message,
                "integer out of range"); /* row 1, although row 2 fails in an earlier expression */
    EXPECT(expr_run_eval(run, &env, batch, NULL, 1, results, NULL, &err));
    EXPECT_INT(((int32_t *)results[1].data)[0], 2);
    expr_run_destroy(run);
}

TEST(folding_defers_errors)
{
    struct batch *batch = batch_of(&int4, 1, "+ 1\n+ 2\n");
    struct expr *bad = divide(number(1), number(0));
    EXPECT_VALUES(bad, batch, "22012 22012");
    EXPECT_VALUES(node(EXPR_CASE, int4, 3, constant(boolean, "f"), bad, number(3)), batch, "3 3");
    EXPECT_VALUES(node(EXPR_CASE, int4, 3, compare("=", column(0, int4), number(2)), bad, number(3)), batch,
                  "3 22012");
    EXPECT_VALUES(node(EXPR_AND, boolean, 2, compare("=", bad, number(1)), constant(boolean, "f")), batch,
                  "f f");
    divide_rows = 0;
    struct expr_program *program;
    struct error err;
    const struct expr *folded = add(divide(number(8), number(2)), number(1));
    EXPECT(expr_compile(&arena, &folded, 1, &program, &err));
    EXPECT_INT(divide_rows, 1);
    EXPECT_VALUES(folded, batch, "5 5");
}

/* ---- sharing, volatility, environment ---- */

TEST(common_parts_run_once)
{
    struct batch *batch = batch_of(&int4, 1, "+ 2\n+ 5\n");
    const struct expr *exprs[3] = {divide(number(10), column(0, int4)),
                                   add(divide(number(10), column(0, int4)), number(1)), column(0, int4)};
    struct expr_program *program;
    struct error err;
    struct column results[3];
    EXPECT(expr_compile(&arena, exprs, 3, &program, &err));
    EXPECT_INT(expr_program_results(program), 3);
    struct expr_run *run = expr_run_create(program, NULL);
    divide_rows = 0;
    EXPECT(expr_run_eval(run, &env, batch, NULL, 2, results, NULL, &err));
    EXPECT_INT(divide_rows, 2);
    EXPECT_INT(((int32_t *)results[1].data)[1], 3);
    EXPECT(results[2].data == batch->columns[0].data); /* not copied */
    /* warm: no more memory is taken */
    struct account account;
    account_init(&account, NULL, "test", 0);
    struct expr_run *counted = expr_run_create(program, &account);
    EXPECT(expr_run_eval(counted, &env, batch, NULL, 2, results, NULL, &err));
    int64_t used = account.used_bytes;
    for (int i = 0; i < 100; i++)
        EXPECT(expr_run_eval(counted, &env, batch, NULL, 2, results, NULL, &err));
    EXPECT_INT(account.used_bytes, used);
    expr_run_destroy(counted);
    EXPECT_INT(account.used_bytes, 0);
    expr_run_destroy(run);
}

TEST(shared_into_lazy_parts)
{
    struct batch *batch = batch_of(&int4, 1, "+ 1\n+ 2\n+ 5\n");
    struct expr *quotient = divide(number(10), column(0, int4));
    struct expr *expr = node(EXPR_CASE, int4, 5, compare("=", quotient, number(10)), add(quotient, number(1)),
                             compare("=", quotient, number(5)), add(quotient, number(2)), quotient);
    divide_rows = 0;
    EXPECT_VALUES(expr, batch, "11 7 2");
    EXPECT_INT(divide_rows, 6);
}

TEST(volatile_stable_and_params)
{
    struct batch *batch = batch_of(&int4, 1, "+ 7\n+ 8\n+ 9\n");
    struct expr *counter = expr_call(&arena, find("test_counter"), int4, NULL, 0);
    struct expr_program *program;
    struct error err;
    struct column result;
    const struct expr *sum = add(counter, number(10));
    EXPECT(expr_compile(&arena, &sum, 1, &program, &err));
    struct expr_run *run = expr_run_create(program, NULL);
    EXPECT(expr_run_eval(run, &env, batch, NULL, 3, &result, NULL, &err));
    EXPECT_INT(((int32_t *)result.data)[2], 12);
    expr_run_destroy(run);
    struct datum params[1] = {datum_i32(100)};
    env.params = params;
    env.param_types = &int4;
    env.params_count = 1;
    env.statement_us = 1000;
    struct expr *now = expr_call(&arena, find("test_now"), int4, NULL, 0),
                *param = expr_new(&arena, EXPR_PARAM, int4);
    EXPECT_VALUES(add(add(now, param), column(0, int4)), batch, "1107 1108 1109");
    EXPECT(!expr_is_immutable(now) && !expr_is_immutable(param) && !expr_is_volatile(now) &&
           expr_is_volatile(sum));
    EXPECT(expr_is_immutable(add(number(1), column(0, int4))));
    env.params_count = 0;
    struct datum value;
    EXPECT(!expr_eval_constant(param, &env, &arena, &value, &err));
    EXPECT_TEXT(error_sqlstate(err.code), "42P02");
}

TEST(filter_keeps_true_rows)
{
    struct batch *batch = batch_of(&int4, 1, "+ 1\n+ \\N\n+ 0\n+ 3\n+ 20\n");
    const struct expr *condition = compare("<", divide(number(10), column(0, int4)), number(5));
    struct expr_program *program;
    struct error err;
    EXPECT(expr_compile(&arena, &condition, 1, &program, &err));
    struct expr_run *run = expr_run_create(program, NULL);
    struct row_errors errors = {.arena = &arena};
    uint32_t selected[5], count;
    EXPECT(expr_run_filter(run, &env, batch, NULL, 5, selected, &count, &errors, &err));
    EXPECT_INT(count, 2);
    EXPECT_INT(selected[0], 3);
    EXPECT_INT(selected[1], 4);
    EXPECT_INT(errors.count, 1);
    EXPECT_INT(errors.items[0].row, 2);
    EXPECT(expr_run_filter(run, &env, batch, (uint32_t[]){4, 1, 0}, 3, selected, &count, &errors, &err));
    EXPECT_INT(count, 1);
    EXPECT_INT(selected[0], 4);
    EXPECT(!expr_run_filter(run, &env, batch, NULL, 5, selected, &count, NULL, &err));
    EXPECT_TEXT(err.message, "division by zero");
    expr_run_destroy(run);
}

/* ---- IN, ANY, arrays ---- */

static struct expr *in_list(bool negate, struct expr *left, uint32_t count, struct expr *const *items)
{
    struct expr *expr = expr_new(&arena, EXPR_IN, boolean);
    expr->flag = negate;
    expr->function = operator_of("=", left->type.oid, left->type.oid);
    expr->args_count = count + 1;
    expr->args = ARENA_ARRAY(&arena, struct expr *, count + 1);
    expr->args[0] = left;
    memcpy(expr->args + 1, items, sizeof(*items) * count);
    return expr;
}

TEST(in_lists)
{
    struct sql_type types[2] = {int4, text};
    struct batch *batch = batch_of(types, 2, "+ 1 a\n+ 2 bb\n+ \\N \\N\n+ 4 a_text_that_is_not_inline\n");
    struct expr *a = column(0, int4), *b = column(1, text);
    EXPECT_VALUES(in_list(false, a, 2, (struct expr *[]){number(4), number(1)}), batch, "t f NULL t");
    EXPECT_VALUES(in_list(true, a, 2, (struct expr *[]){number(4), number(1)}), batch, "f t NULL f");
    EXPECT_VALUES(in_list(false, a, 2, (struct expr *[]){number(4), constant(int4, NULL)}), batch,
                  "NULL NULL NULL t");
    EXPECT_VALUES(in_list(true, a, 2, (struct expr *[]){number(4), constant(int4, NULL)}), batch,
                  "NULL NULL NULL f");
    EXPECT_VALUES(
        in_list(false, b, 2,
                (struct expr *[]){constant(text, "a_text_that_is_not_inline"), constant(text, "a")}),
        batch, "t f NULL t");
    EXPECT_VALUES(in_list(false, a, 2, (struct expr *[]){add(a, number(0)), number(1)}), batch, "t t NULL t");
    EXPECT_VALUES(in_list(true, a, 2, (struct expr *[]){add(a, number(1)), number(1)}), batch, "f t NULL t");
    struct sql_type numeric = {.oid = OID_NUMERIC, .typmod = -1};
    struct batch *decimals = batch_of(&numeric, 1, "+ 1.0\n+ 1.5\n");
    EXPECT_VALUES(in_list(false, column(0, numeric), 1, (struct expr *[]){constant(numeric, "1.00")}),
                  decimals, "t f");
}

static struct expr *any(const char *name, bool all, struct expr *left, struct expr *array)
{
    struct expr *expr = node(EXPR_ANY, boolean, 2, left, array);
    expr->function = operator_of(name, left->type.oid, left->type.oid);
    expr->flag = all;
    return expr;
}

TEST(any_and_all)
{
    struct sql_type types[2] = {int4, int4_array};
    struct batch *batch =
        batch_of(types, 2, "+ 1 {1,2}\n+ 3 {1,2}\n+ 3 {1,NULL}\n+ 1 {}\n+ \\N {1}\n+ 1 \\N\n+ \\N {}\n");
    struct expr *a = column(0, int4), *b = column(1, int4_array);
    EXPECT_VALUES(any("=", false, a, b), batch, "t f NULL f NULL NULL f");
    EXPECT_VALUES(any("<>", true, a, b), batch, "f t NULL t NULL NULL t");
    EXPECT_VALUES(any(">", false, a, b), batch, "f t t f NULL NULL f");
    EXPECT_VALUES(any("=", false, a, constant(int4_array, "{1,NULL}")), batch, "t NULL NULL t NULL t NULL");
    EXPECT_VALUES(any("<=", true, a, constant(int4_array, "{1,2}")), batch, "t f f t NULL t NULL");
    EXPECT_VALUES(any("=", false, number(1), b), batch, "t t t f t NULL f");
    struct batch *many = batch_create(&arena, &int4, 1, 100);
    for (int32_t i = 0; i < 100; i++) {
        struct datum value = datum_i32(i);
        batch_append_datums(many, &value, 1);
    }
    const struct expr *hashed = any("=", false, a, constant(int4_array, "{1,3,5,7,9,11,13,15,17,19,99}"));
    struct expr_program *program;
    struct error err;
    EXPECT(expr_compile(&arena, &hashed, 1, &program, &err));
    struct expr_run *run = expr_run_create(program, NULL);
    uint32_t selected[100], count;
    EXPECT(expr_run_filter(run, &env, many, NULL, 100, selected, &count, NULL, &err));
    EXPECT_INT(count, 11);
    EXPECT_INT(selected[10], 99);
    expr_run_destroy(run);
}

TEST(arrays_and_subscripts)
{
    struct sql_type types[2] = {int4, int4_array};
    struct batch *batch = batch_of(types, 2, "+ 1 {10,20,30}\n+ 3 {{1,2},{3,4}}\n+ \\N {10}\n+ 2 \\N\n");
    struct expr *a = column(0, int4), *b = column(1, int4_array);
    EXPECT_VALUES(node(EXPR_ARRAY, int4_array, 3, a, number(7), constant(int4, NULL)), batch,
                  "{1,7,NULL} {3,7,NULL} {NULL,7,NULL} {2,7,NULL}");
    EXPECT_VALUES(node(EXPR_ARRAY, int4_array, 2, node(EXPR_ARRAY, int4_array, 1, a),
                       node(EXPR_ARRAY, int4_array, 1, a)),
                  batch, "{{1},{1}} {{3},{3}} {{NULL},{NULL}} {{2},{2}}");
    EXPECT_VALUES(node(EXPR_ARRAY, int4_array, 2, b, constant(int4_array, "{1,2,3}")), batch,
                  "{{10,20,30},{1,2,3}} 2202E 2202E 2202E");
    EXPECT_VALUES(node(EXPR_SUBSCRIPT, int4, 2, b, a), batch, "10 NULL NULL NULL");
    EXPECT_VALUES(node(EXPR_SUBSCRIPT, int4, 3, b, number(2), number(1)), batch, "NULL 3 NULL NULL");
    struct expr *slice = node(EXPR_SUBSCRIPT, int4_array, 3, b, number(2), number(5));
    slice->flag = true;
    EXPECT_VALUES(slice, batch, "{20,30} {{3,4}} {} NULL");
    struct expr *open = node(EXPR_SUBSCRIPT, int4_array, 3, b, NULL, number(2));
    open->flag = true;
    EXPECT_VALUES(open, batch, "{10,20} {{1,2},{3,4}} {10} NULL");
}

/* ---- casts, rows ---- */

static struct expr *cast(struct expr *from, struct sql_type type, enum cast_method method)
{
    struct expr *expr = node(EXPR_CAST, type, 1, from);
    expr->cast = method;
    return expr;
}

TEST(casts)
{
    struct sql_type types[2] = {text, int4};
    struct batch *batch = batch_of(types, 2, "+ 12 1\n+ x 2\n+ \\N \\N\n+ 2147483648 -2147483648\n");
    EXPECT_VALUES(cast(column(0, text), int4, CAST_INPUT), batch, "12 22P02 NULL 22003");
    EXPECT_VALUES(cast(column(1, int4), text, CAST_OUTPUT), batch, "1 2 NULL -2147483648");
    struct sql_type varchar2 = {.oid = OID_VARCHAR, .typmod = 4 + 2};
    struct expr *cut = cast(column(0, text), varchar2, CAST_RELABEL);
    EXPECT_VALUES(cut, batch, "12 x NULL 22001");
    cut->cast_is_explicit = true;
    EXPECT_VALUES(cut, batch, "12 x NULL 21");
    struct expr *typmod = node(EXPR_TYPMOD, varchar2, 1,
                               cast(column(0, text), (struct sql_type){OID_VARCHAR, -1}, CAST_RELABEL));
    EXPECT_VALUES(typmod, batch, "12 x NULL 22001");
    struct sql_type bpchar = {.oid = OID_BPCHAR, .typmod = -1};
    struct expr *strip = cast(constant(bpchar, "a  "), text, CAST_FUNCTION);
    strip->function = function_find_cast(OID_BPCHAR, OID_TEXT);
    EXPECT_VALUES(call2(operator_of("||", OID_TEXT, OID_TEXT), text, strip, constant(text, "|")), batch,
                  "a| a| a| a|");
    EXPECT(function_find_cast(OID_TEXT, OID_VARCHAR) != NULL &&
           function_find_cast(OID_TEXT, OID_VARCHAR)->kernel == NULL);
    EXPECT(function_find_cast(OID_TEXT, OID_BOOL) == NULL);
}

TEST(array_casts)
{
    struct sql_type texts = {.oid = OID_TEXT_ARRAY, .typmod = -1};
    struct batch *batch = batch_of(&texts, 1, "+ {1,NULL,3}\n+ {x}\n+ \\N\n+ {{1},{2}}\n+ {}\n");
    struct expr *array = cast(column(0, texts), int4_array, CAST_ARRAY);
    array->args_count = 2;
    array->args = ARENA_ARRAY(&arena, struct expr *, 2);
    array->args[0] = column(0, texts);
    array->args[1] = cast(column(0, text), int4, CAST_INPUT);
    EXPECT_VALUES(array, batch, "{1,NULL,3} 22P02 NULL {{1},{2}} {}");
    uint32_t map[1] = {5};
    struct expr *remapped = expr_remap(&arena, array, map);
    EXPECT_INT(remapped->args[0]->index, 5);
    EXPECT_INT(remapped->args[1]->args[0]->index, 0); /* the element stays column 0 */
}

TEST(rows_are_records)
{
    struct sql_type types[2] = {int4, text}, record = {.oid = OID_RECORD, .typmod = -1};
    struct batch *batch = batch_of(types, 2, "+ 1 a\n+ \\N b\n");
    EXPECT_VALUES(node(EXPR_ROW, record, 2, column(0, int4), column(1, text)), batch, "(1,a) (,b)");
}

/* ---- property: a batch gives what its rows give one by one ---- */

static uint64_t random_state = 88172645463325252ull;

static uint32_t random_below(uint32_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 20) % limit;
}

static struct expr *random_boolean(int depth);

static struct expr *random_int(int depth)
{
    uint32_t choice = depth <= 0 ? random_below(4) : random_below(12);
    switch (choice) {
    case 0:
    case 1:
    case 2:
        return column(random_below(3), int4);
    case 3:
        return random_below(5) == 0 ? constant(int4, NULL) : number((int32_t)random_below(4));
    case 4:
    case 5:
        return add(random_int(depth - 1), random_int(depth - 1));
    case 6:
    case 7:
        return divide(random_int(depth - 1), random_int(depth - 1));
    case 8:
        return node(EXPR_CASE, int4, 5, random_boolean(depth - 1), random_int(depth - 1),
                    random_boolean(depth - 1), random_int(depth - 1), random_int(depth - 1));
    case 9:
        return node(EXPR_COALESCE, int4, 3, random_int(depth - 1), random_int(depth - 1),
                    random_int(depth - 1));
    case 10: {
        struct expr *expr = node(EXPR_NULLIF, int4, 2, random_int(depth - 1), random_int(depth - 1));
        expr->function = operator_of("=", OID_INT4, OID_INT4);
        return expr;
    }
    default:
        return node(random_below(2) ? EXPR_GREATEST : EXPR_LEAST, int4, 2, random_int(depth - 1),
                    random_int(depth - 1));
    }
}

static struct expr *random_boolean(int depth)
{
    static const char *const comparisons[] = {"=", "<>", "<", "<=", ">", ">="};
    switch (depth <= 0 ? 0 : random_below(8)) {
    case 0:
    case 1:
        return compare(comparisons[random_below(6)], random_int(depth - 1), random_int(depth - 1));
    case 2:
    case 3:
        return node(random_below(2) ? EXPR_AND : EXPR_OR, boolean, 3, random_boolean(depth - 1),
                    random_boolean(depth - 1), random_boolean(depth - 1));
    case 4:
        return node(EXPR_NOT, boolean, 1, random_boolean(depth - 1));
    case 5: {
        struct expr *expr = node(EXPR_IS_NULL, boolean, 1, random_int(depth - 1));
        expr->flag = random_below(2) != 0;
        return expr;
    }
    case 6:
        return in_list(random_below(2) != 0, random_int(depth - 1), 2,
                       (struct expr *[]){random_int(depth - 2), random_int(depth - 2)});
    default: {
        struct expr *expr = node(EXPR_IS_DISTINCT, boolean, 2, random_int(depth - 1), random_int(depth - 1));
        expr->function = operator_of("=", OID_INT4, OID_INT4);
        return expr;
    }
    }
}

static void append_value(const struct column *result, uint32_t row, const struct row_errors *errors,
                         struct strbuf *out)
{
    if (errors->failed != NULL && errors->failed[row])
        strbuf_adds(out, "error");
    else if (column_is_null(result, row))
        strbuf_adds(out, "NULL");
    else
        strbuf_addf(out, "%d", ((const int32_t *)result->data)[row]);
    strbuf_addc(out, ' ');
}

TEST(batches_equal_rows_one_by_one)
{
    enum { ROWS = 40, EXPRS = 3 };
    for (int round = 0; round < 400; round++) {
        struct arena outer = arena;
        arena_init(&arena, NULL);
        struct sql_type types[3] = {int4, int4, int4};
        struct batch *batch = batch_create(&arena, types, 3, ROWS);
        for (int i = 0; i < ROWS; i++) {
            struct datum values[3];
            for (int column_index = 0; column_index < 3; column_index++)
                values[column_index] =
                    random_below(6) == 0 ? datum_null() : datum_i32((int32_t)random_below(4));
            batch_append_datums(batch, values, 1);
        }
        const struct expr *exprs[EXPRS];
        for (int i = 0; i < EXPRS; i++)
            exprs[i] = random_int(4);
        struct expr_program *program;
        struct error err;
        struct column results[EXPRS], single[EXPRS];
        struct row_errors errors = {.arena = &arena}, row_errors = {.arena = &arena};
        EXPECT(expr_compile(&arena, exprs, EXPRS, &program, &err));
        struct expr_run *run = expr_run_create(program, NULL), *row_run = expr_run_create(program, NULL);
        struct strbuf all = STRBUF_INIT, one_by_one = STRBUF_INIT;
        EXPECT(expr_run_eval(run, &env, batch, NULL, ROWS, results, &errors, &err));
        for (uint32_t i = 0; i < ROWS; i++) {
            EXPECT(expr_run_eval(row_run, &env, batch, &i, 1, single, &row_errors, &err));
            for (int e = 0; e < EXPRS; e++) {
                append_value(&results[e], i, &errors, &all);
                append_value(&single[e], 0, &row_errors, &one_by_one);
            }
        }
        EXPECT_TEXT(strbuf_text(&all), strbuf_text(&one_by_one));
        strbuf_release(&all);
        strbuf_release(&one_by_one);
        expr_run_destroy(run);
        expr_run_destroy(row_run);
        arena_release(&arena);
        arena = outer;
    }
}

/* ---- trees ---- */

TEST(printing_and_equality)
{
    struct expr *a = compare("=", column(0, int4), number(1)), *b = compare("=", column(0, int4), number(1));
    struct expr *c = compare("=", column(1, int4), number(1));
    EXPECT(expr_equal(a, b) && !expr_equal(a, c));
    struct strbuf out = STRBUF_INIT;
    expr_print(node(EXPR_AND, boolean, 2, a, node(EXPR_IS_NULL, boolean, 1, constant(text, "it's"))), &out);
    EXPECT_TEXT(strbuf_text(&out), "((#0 = 1) AND ('it''s' IS NULL))");
    strbuf_reset(&out);
    expr_print(node(EXPR_CASE, int4, 3, a, divide(number(1), column(0, int4)), constant(int8, "5")), &out);
    EXPECT_TEXT(strbuf_text(&out), "CASE WHEN (#0 = 1) THEN test_divide(1, #0) ELSE '5'::bigint END");
    strbuf_release(&out);
}

TEST(planner_kinds_are_refused)
{
    const struct expr *expr = node(EXPR_OUTER, int4, 0);
    struct expr_program *program;
    struct error err;
    EXPECT(!expr_compile(&arena, &expr, 1, &program, &err));
    EXPECT_TEXT(error_sqlstate(err.code), "0A000");
}

TEST(registry_is_consistent)
{
    for (size_t i = 0; function_at(i) != NULL; i++) {
        const struct function_row *row = function_at(i);
        const struct function_signature *signature = function_signature(row);
        EXPECT((row->flags & FN_SET) != 0 ? row->set != NULL
                                          : row->kernel != NULL || (row->flags & FN_CAST) != 0);
        EXPECT(function_oid(row) >= 16384 && function_oid(row) < 0x80000000u);
        if ((row->flags & FN_OPERATOR) == 0 || signature->args_count != 2)
            continue;
        if (row->commutator != NULL) /* its arguments change places */
            EXPECT(function_find_exact(row->commutator, (uint32_t[]){signature->args[1], signature->args[0]},
                                       2) != NULL);
        if (row->negator != NULL)
            EXPECT(function_find_exact(row->negator, signature->args, 2) != NULL);
    }
}

int main(void)
{
    arena_init(&arena, NULL);
    env = (struct eval_env){.io = io_env_default};
    function_registry_add(test_rows, ARRAY_COUNT(test_rows));
    RUN(case_guards_its_branch);
    RUN(case_of_many_branches);
    RUN(and_or_stop_early);
    RUN(three_valued_logic);
    RUN(distinct_nullif_coalesce);
    RUN(a_failed_row_hurts_no_other);
    RUN(without_errors_the_first_row_fails_all);
    RUN(folding_defers_errors);
    RUN(common_parts_run_once);
    RUN(shared_into_lazy_parts);
    RUN(volatile_stable_and_params);
    RUN(filter_keeps_true_rows);
    RUN(in_lists);
    RUN(any_and_all);
    RUN(arrays_and_subscripts);
    RUN(casts);
    RUN(array_casts);
    RUN(rows_are_records);
    RUN(batches_equal_rows_one_by_one);
    RUN(printing_and_equality);
    RUN(planner_kinds_are_refused);
    RUN(registry_is_consistent);
    arena_release(&arena);
    return test_result();
}
