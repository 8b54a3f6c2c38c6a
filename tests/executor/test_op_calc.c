/* test_op_calc.c: filter and projection, VALUES, and set-returning functions. */
#include "executor/function.h"
#include "tests/executor/op_harness.h"

static struct expr *column(struct harness *h, uint32_t index, uint32_t oid)
{
    return expr_column(&h->arena, index, (struct sql_type){oid, -1});
}

static struct expr *number(struct harness *h, int32_t value)
{
    return expr_constant(&h->arena, (struct sql_type){OID_INT4, -1}, datum_i32(value));
}

static struct expr *call(struct harness *h, const char *name, uint32_t result, struct expr *a, struct expr *b)
{
    uint32_t types[] = {a->type.oid, b->type.oid};
    const struct function_row *function = function_find_exact(name, types, 2);
    CHECK(function != NULL);
    struct expr **args = ARENA_ARRAY(&h->arena, struct expr *, 2);
    args[0] = a;
    args[1] = b;
    return expr_call(&h->arena, function, (struct sql_type){result, -1}, args, 2);
}

static struct plan *calc_plan(struct harness *h, const char *types, uint32_t outputs_count)
{
    struct plan *plan = harness_plan(h, PLAN_CALC, types);
    harness_child(h, plan, "int4 int4 text");
    plan->calc.outputs = ARENA_ARRAY(&h->arena, struct expr *, outputs_count);
    return plan;
}

TEST(filter_and_columns)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = calc_plan(&h, "text int4", 2);
    plan->calc.condition = call(&h, ">", OID_BOOL, column(&h, 0, OID_INT4), number(&h, 2));
    plan->calc.outputs[0] = column(&h, 2, OID_TEXT);
    plan->calc.outputs[1] = column(&h, 0, OID_INT4);
    harness_open(&h, &op_calc_class, plan);
    EXPECT_TEXT(harness_tick(&h, "+ 1 1 a\n+3 5 1 b\n- 4 1 c\n+ \\N 1 d\n"), "+3 b 5\n- c 4\n");
    EXPECT_TEXT(harness_tick(&h, "+ 1 1 a\n"), "");
    EXPECT_TEXT(harness_tick(&h, "+ 3 1 x\n+ 4 1 y\n"), "+ x 3\n+ y 4\n");
    harness_close(&h);
}

/* A row that fails is data with its weight; a row that the condition removed raises nothing. */
TEST(failing_rows)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = calc_plan(&h, "int4", 1);
    plan->calc.condition = call(&h, "<>", OID_BOOL, column(&h, 0, OID_INT4), number(&h, 0));
    plan->calc.outputs[0] = call(&h, "/", OID_INT4, column(&h, 0, OID_INT4), column(&h, 1, OID_INT4));
    harness_open(&h, &op_calc_class, plan);
    EXPECT_TEXT(harness_tick(&h, "+ 6 3 a\n+ 0 0 b\n+ 1 0 c\n+ 8 2 d\n"),
                "+ 2\n+ 4\n+1 22012 division by zero\n");
    EXPECT_TEXT(harness_tick(&h, "- 1 0 c\n"), "-1 22012 division by zero\n");
    harness_close(&h);

    harness_init(&h, DATAFLOW_ONE_SHOT);
    plan = calc_plan(&h, "int4", 1);
    plan->calc.outputs[0] = call(&h, "/", OID_INT4, column(&h, 0, OID_INT4), column(&h, 1, OID_INT4));
    harness_open(&h, &op_calc_class, plan);
    EXPECT_TEXT(harness_tick(&h, "+ 6 3 a\n+ 1 0 c\n"), "error 22012 division by zero\n");
    harness_close(&h);
}

TEST(values_once_on_shard_0)
{
    for (uint32_t shard = 0; shard < 2; shard++) {
        struct harness h;
        harness_init(&h, DATAFLOW_CONTINUOUS);
        h.ctx.shard = shard;
        struct plan *plan = harness_plan(&h, PLAN_VALUES, "int4 int4");
        plan->values.rows_count = 2;
        plan->values.rows = ARENA_ARRAY(&h.arena, struct expr **, 2);
        for (int r = 0; r < 2; r++) {
            plan->values.rows[r] = ARENA_ARRAY(&h.arena, struct expr *, 2);
            plan->values.rows[r][0] = number(&h, r);
            plan->values.rows[r][1] = call(&h, "+", OID_INT4, number(&h, r), number(&h, 10));
        }
        harness_open(&h, &op_values_class, plan);
        EXPECT_TEXT(harness_finish(&h), shard == 0 ? "+ 0 10\n+ 1 11\n" : "");
        EXPECT_TEXT(harness_finish(&h), "");
        harness_close(&h);
    }
}

/* A set-returning function of the test's own: n rows 1..n. */
static void count_up(struct fn_call *fn, const struct column *args, struct srf_output *output)
{
    const int32_t *n = args[0].data;
    for (uint32_t i = 0; i < fn->rows; i++) {
        if (n[i] < 0)
            fn_error(fn, i, ERRCODE_INVALID_PARAMETER_VALUE, "negative count");
        for (int32_t v = 1; v <= n[i]; v++) {
            struct datum value = datum_i32(v);
            srf_append(output, i, &value);
        }
    }
}

static const struct function_row test_rows[] = {
    {"test_count_up", "int4", "setof int4", NULL, "test", FN_SET, count_up, NULL, NULL},
};

TEST(sets_in_lock_step)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = harness_plan(&h, PLAN_PROJECT_SET, "int4 int4 int4 int4 int4 int8");
    harness_child(&h, plan, "int4 int4");
    plan->project_set.calls_count = 3;
    plan->project_set.calls = ARENA_ARRAY(&h.arena, struct expr *, 3);
    for (uint32_t c = 0; c < 2; c++) {
        struct expr **args = ARENA_ARRAY(&h.arena, struct expr *, 1);
        args[0] = column(&h, c, OID_INT4);
        plan->project_set.calls[c] =
            expr_call(&h.arena, &test_rows[0], (struct sql_type){OID_INT4, -1}, args, 1);
    }
    plan->project_set.calls[2] = column(&h, 0, OID_INT4);
    plan->project_set.ordinality = true;
    harness_open(&h, &op_project_set_class, plan);
    EXPECT_TEXT(harness_tick(&h, "+ 2 3\n+ 0 0\n- \\N 1\n"),
                "+ 2 3 1 1 2 1\n+ 2 3 2 2 2 2\n+ 2 3 \\N 3 2 3\n- \\N 1 \\N 1 \\N 1\n");
    EXPECT_TEXT(harness_tick(&h, "+ -1 1\n+ 0 1\n"), "+ 0 1 \\N 1 0 1\n+1 22023 negative count\n");
    harness_close(&h);

    harness_init(&h, DATAFLOW_CONTINUOUS);
    plan = harness_plan(&h, PLAN_PROJECT_SET, "int4 int4");
    harness_child(&h, plan, "int4");
    plan->project_set.calls_count = 1;
    plan->project_set.calls = ARENA_ARRAY(&h.arena, struct expr *, 1);
    struct expr **args = ARENA_ARRAY(&h.arena, struct expr *, 1);
    args[0] = column(&h, 0, OID_INT4);
    plan->project_set.calls[0] = expr_call(&h.arena, &test_rows[0], (struct sql_type){OID_INT4, -1}, args, 1);
    plan->project_set.keep_empty = true;
    harness_open(&h, &op_project_set_class, plan);
    EXPECT_TEXT(harness_tick(&h, "+ 0\n+ 1\n"), "+ 0 \\N\n+ 1 1\n");
    struct error err;
    EXPECT(harness_push(&h, 0, "-2 3000\n", &err)); /* more rows than a batch holds */
    EXPECT_INT(h.output->rows, 3000);
    EXPECT_INT(batch_weight(h.output, 2999), -2);
    harness_close(&h);
}

int main(void)
{
    function_registry_add(test_rows, ARRAY_COUNT(test_rows));
    RUN(filter_and_columns);
    RUN(failing_rows);
    RUN(values_once_on_shard_0);
    RUN(sets_in_lock_step);
    return test_result();
}
