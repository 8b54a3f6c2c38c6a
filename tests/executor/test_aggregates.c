/* test_aggregates.c: the kernels: exact sums, scales as PostgreSQL's, retraction without a trace. */
#include "tests/executor/op_harness.h"

#include "executor/aggregates/agg_exact_float.h"
#include "storage/data/numeric.h"

#include <math.h>

/* One state that rows are added to and taken from; results as text. */
struct subject {
    struct arena arena;
    struct table_heap *heap;
    struct agg_call call;
    struct sql_type types[2];
    struct error error;
    struct eval_env env;
    void *state;
    struct strbuf text;
};

static void subject_init(struct subject *s, const char *name, const char *args)
{
    memset(s, 0, sizeof(*s));
    arena_init(&s->arena, NULL);
    s->heap = table_heap_create(NULL);
    s->env.io = io_env_default;
    const struct aggregate_row *row = harness_aggregate(name, args);
    const struct type_row *result = type_find_name(row->result);
    CHECK(result != NULL);
    char first[32];
    snprintf(first, sizeof(first), "%.*s", (int)strcspn(args, ","), args);
    s->types[0] = s->types[1] = (struct sql_type){type_find_name(first)->oid, -1};
    s->call = (struct agg_call){.aggregate = row,
                                .result_type = {result->oid, -1},
                                .arg_types = s->types,
                                .args_count = strchr(args, ',') != NULL ? 2 : 1,
                                .env = &s->env,
                                .heap = s->heap,
                                .arena = &s->arena,
                                .error = &s->error};
    s->state = arena_zalloc(&s->arena, row->state_bytes);
}

static void subject_close(struct subject *s)
{
    if (s->call.aggregate->release != NULL)
        s->call.aggregate->release(&s->call, s->state);
    table_heap_destroy(s->heap);
    strbuf_release(&s->text);
    arena_release(&s->arena);
}

/* "+ 1.5\n- 2\n" */
static void subject_add(struct subject *s, const char *text)
{
    struct error err;
    struct batch *batch = batch_create(&s->arena, s->types, s->call.args_count, 8);
    if (!batch_from_text(batch, text, &err)) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
    void **states = arena_alloc(&s->arena, sizeof(void *) * batch->rows);
    for (uint32_t i = 0; i < batch->rows; i++)
        states[i] = s->state;
    s->call.aggregate->add(&s->call, batch->columns, NULL, batch->rows, batch->weights, states);
}

static const char *subject_result(struct subject *s)
{
    struct column result;
    column_init(&result, s->call.result_type, 1, &s->arena);
    column_need_nulls(&result, 1, &s->arena);
    error_init(&s->error);
    s->call.aggregate->finish(&s->call, &s->state, 1, &result);
    strbuf_reset(&s->text);
    if (s->error.code != ERRCODE_NONE)
        strbuf_adds(&s->text, s->error.message);
    else if (result.nulls[0])
        strbuf_adds(&s->text, "NULL");
    else {
        struct datum value = column_get(&result, 0);
        type_output(s->call.result_type.oid, &value, &s->env.io, &s->text);
    }
    return strbuf_text(&s->text);
}

static void check(const char *name, const char *args, const char *rows, const char *expected)
{
    struct subject s;
    subject_init(&s, name, args);
    subject_add(&s, rows);
    int before = test_failures;
    EXPECT_TEXT(subject_result(&s), expected);
    if (test_failures > before)
        fprintf(stderr, "%s(%s) of %s\n", name, args, rows);
    subject_close(&s);
}

TEST(float_sums_are_exact)
{
    struct subject s;
    subject_init(&s, "sum", "float8");
    EXPECT_TEXT(subject_result(&s), "NULL");
    subject_add(&s, "+ 1e308\n+ 1\n");
    EXPECT_TEXT(subject_result(&s), "1e+308");
    subject_add(&s, "- 1e308\n");
    EXPECT_TEXT(subject_result(&s), "1");
    subject_add(&s, "+ 1e-300\n+ 0.1\n+ 0.2\n- 1\n");
    EXPECT_TEXT(subject_result(&s), "0.30000000000000004");
    subject_add(&s, "- 0.1\n- 0.2\n");
    EXPECT_TEXT(subject_result(&s), "1e-300");
    subject_add(&s, "+ Infinity\n");
    EXPECT_TEXT(subject_result(&s), "Infinity");
    subject_add(&s, "+ -Infinity\n");
    EXPECT_TEXT(subject_result(&s), "NaN");
    subject_add(&s, "- Infinity\n- -Infinity\n- 1e-300\n+ 5e-324\n");
    EXPECT_TEXT(subject_result(&s), "5e-324");
    subject_add(&s, "- 5e-324\n+ -0\n");
    EXPECT_TEXT(subject_result(&s), "-0");
    subject_add(&s, "+9000000000000000 1.5\n");
    EXPECT_TEXT(subject_result(&s), "1.35e+16");
    subject_close(&s);
    check("sum", "float8", "+ 1e308\n+ 1e308\n", "value out of range: overflow");
    check("sum", "float4", "+ 0.1\n+ 0.2\n", "0.3");
    check("sum", "float4", "+ 3e38\n+ 3e38\n", "value out of range: overflow");
    check("avg", "float8", "+ 1\n+ 2\n+ 4\n", "2.3333333333333335");
    check("avg", "float4", "+ 1.5\n+ 2.5\n", "2");
}

/* Order and history do not show: random adds and takes against long double sums of few values. */
TEST(float_sums_forget)
{
    struct table_heap *heap = table_heap_create(NULL);
    struct float_sum sum = {0}, products = {0};
    uint32_t seed = 3;
    double values[200];
    for (int i = 0; i < 200; i++)
        values[i] =
            ldexp((double)harness_random(&seed, 1 << 20) - (1 << 19), (int)harness_random(&seed, 400) - 200);
    for (int i = 0; i < 200; i++) {
        float_sum_add(&sum, heap, values[i], 3);
        float_sum_add_product(&products, heap, values[i], values[(i * 7) % 200], i % 2 ? 1 : -5);
    }
    for (int i = 199; i >= 0; i--) {
        if (i != 17)
            float_sum_add(&sum, heap, values[i], -3);
        float_sum_add_product(&products, heap, values[i], values[(i * 7) % 200], i % 2 ? -1 : 5);
    }
    EXPECT(float_sum_round(&sum) == 3 * values[17]);
    EXPECT(float_sum_round(&products) == 0);
    float_sum_add_product(&products, heap, 1e-200, 1e-200, 1);
    float_sum_add_product(&products, heap, 3, 0.5, 4);
    EXPECT(float_sum_round(&products) == 6);
    float_sum_release(&sum, heap);
    float_sum_release(&products, heap);
    table_heap_destroy(heap);
}

TEST(integer_sums)
{
    check("sum", "int2", "+ 32767\n+ 32767\n", "65534");
    check("sum", "int4", "+3 2147483647\n", "6442450941");
    check("sum", "int8", "+4 9223372036854775807\n", "36893488147419103228");
    check("sum", "int8", "+4 -9223372036854775808\n", "-36893488147419103232");
    check("avg", "int4", "+ 1\n+ 2\n", "1.5000000000000000");
    check("avg", "int8", "+ 10\n+ 10\n+ 11\n", "10.3333333333333333");
    check("sum", "int4", "+ 1\n- 1\n", "NULL");
}

TEST(numeric_sums_keep_the_scale_of_what_is_there)
{
    struct subject s;
    subject_init(&s, "sum", "numeric");
    subject_add(&s, "+ 1.50\n+ 2.5\n");
    EXPECT_TEXT(subject_result(&s), "4.00");
    subject_add(&s, "+ 0.00001\n");
    EXPECT_TEXT(subject_result(&s), "4.00001");
    subject_add(&s, "- 0.00001\n- 1.50\n");
    EXPECT_TEXT(subject_result(&s), "2.5");
    subject_add(&s, "+ 123456789012345678901234567890123456789012345678901234567890\n");
    EXPECT_TEXT(subject_result(&s), "123456789012345678901234567890123456789012345678901234567892.5");
    subject_add(&s, "+ NaN\n");
    EXPECT_TEXT(subject_result(&s), "NaN");
    subject_add(&s, "- NaN\n- 123456789012345678901234567890123456789012345678901234567890\n");
    EXPECT_TEXT(subject_result(&s), "2.5");
    subject_add(&s, "+1000000000000 99999999999999999999999999.99\n");
    EXPECT_TEXT(subject_result(&s), "99999999999999999999999999990000000002.50");
    subject_close(&s);
    check("avg", "numeric", "+ 0.9\n+ 0.9\n", "0.90000000000000000000");
    check("avg", "numeric", "+ 1\n+ 2\n+ 2\n", "1.6666666666666667");
}

TEST(variances)
{
    check("variance", "int4", "+ 1\n", "NULL");
    check("var_pop", "int4", "+ 1\n", "0");
    check("variance", "int4", "+ 1\n+ 2\n+ 4\n", "2.3333333333333333");
    check("stddev", "int4", "+ 1\n+ 2\n+ 4\n", "1.5275252316519467");
    check("stddev_pop", "numeric", "+ 1.5\n+ 2.25\n+ 4\n", "1.04748375749804455964");
    check("var_samp", "numeric", "+ 1.5\n+ 2.25\n+ 4\n", "1.6458333333333333");
    check("var_pop", "float8", "+ 1\n+ 2\n+ 4\n", "1.5555555555555556");
    check("stddev_samp", "float8", "+ 1e200\n+ 1e200\n+ 1e200\n", "0");
    check("stddev", "float8", "+ 1\n+ Infinity\n", "NaN");
    check("variance", "int8", "+ 9223372036854775807\n+ -9223372036854775808\n",
          "170141183460469231713240559642174554113");
}

TEST(regressions)
{
    const char *pairs = "+ 2 1\n+ 4 2\n+ 5 3\n";
    check("corr", "float8,float8", pairs, "0.9819805060619656");
    check("regr_slope", "float8,float8", pairs, "1.5");
    check("regr_intercept", "float8,float8", pairs, "0.6666666666666666");
    check("covar_pop", "float8,float8", pairs, "1");
    check("covar_samp", "float8,float8", pairs, "1.5");
    check("regr_r2", "float8,float8", pairs, "0.9642857142857142");
    check("regr_sxx", "float8,float8", pairs, "2");
    check("regr_avgy", "float8,float8", pairs, "3.6666666666666665");
    check("regr_count", "float8,float8", pairs, "3");
    check("corr", "float8,float8", "+ 1 1\n", "NULL");
}

TEST(intervals)
{
    struct subject s;
    subject_init(&s, "avg", "interval");
    struct interval values[] = {{.months = 1}, {.us = 7200000000, .days = 1}, {.months = 3, .days = 5}};
    struct column column;
    column_init(&column, s.types[0], 3, &s.arena);
    memcpy(column.data, values, sizeof(values));
    void *states[] = {s.state, s.state, s.state};
    s.call.aggregate->add(&s.call, &column, NULL, 3, NULL, states);
    EXPECT_TEXT(subject_result(&s), "1 mon 12 days 00:40:00");
    subject_close(&s);
}

TEST(bits_and_booleans)
{
    check("bool_and", "bool", "+ t\n+ f\n", "f");
    check("bool_and", "bool", "+ t\n+ f\n- f\n", "t");
    check("bool_or", "bool", "+ f\n", "f");
    check("bit_and", "int4", "+ 12\n+ -2\n", "12");
    check("bit_or", "int2", "+ 1\n+ -32768\n", "-32767");
    check("bit_xor", "int8", "+ 5\n+ 3\n+ 3\n", "5");
}

TEST(extremes)
{
    check("min", "float8", "+ NaN\n+ 1\n+ -Infinity\n", "-Infinity");
    check("max", "float8", "+ NaN\n+ 1\n", "NaN");
    check("max", "text", "+ a\n+ bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n+ b\n", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
    check("min", "numeric", "+ 1.5\n+ -2\n", "-2");
    check("max", "date", "+ 2020-01-01\n+ 2019-05-05\n", "2020-01-01");
}

static const char *sample_value(const char *type, uint32_t *seed)
{
    static const char *const numbers[] = {"0", "1", "-7", "12", "300", "-32768", "32767"};
    static const char *const numerics[] = {"0", "1.50", "1.5", "-0.00001", "1e40", "NaN", "7", "2.000"};
    static const char *const floats[] = {"0", "-0", "1.5", "1e30", "-1e-30", "NaN", "0.1", "-Infinity"};
    static const char *const booleans[] = {"t", "f"};
    static const char *const dates[] = {"2020-01-01", "1999-12-31", "2024-02-29"};
    static const char *const times[] = {"10:00:00", "00:00:01", "23:59:59.5"};
    static const char *const intervals[] = {"1mon", "3days", "-04:05:06", "00:00:01"};
    static const char *const uuids[] = {"00000000-0000-0000-0000-000000000001",
                                        "f0000000-0000-0000-0000-000000000001"};
    static const char *const texts[] = {"a", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
                                        "zzzzzzzzzzzzzzzzzzzzzzzzz", "c"};
    static const char *const bytes[] = {"\\\\x00", "\\\\xff00", "\\\\xabcdef"};
#define SAMPLE(list) list[harness_random(seed, ARRAY_COUNT(list))]
    if (strcmp(type, "int8") == 0 && harness_random(seed, 3) == 0) /* sums leave 64 bits and come back */
        return harness_random(seed, 2) == 0 ? "9223372036854775807" : "-9223372036854775808";
    if (strncmp(type, "int", 3) == 0 && strcmp(type, "interval") != 0)
        return SAMPLE(numbers);
    if (strcmp(type, "oid") == 0)
        return "77";
    if (strncmp(type, "float", 5) == 0)
        return SAMPLE(floats);
    if (strcmp(type, "numeric") == 0)
        return SAMPLE(numerics);
    if (strcmp(type, "bool") == 0)
        return SAMPLE(booleans);
    if (strcmp(type, "date") == 0 || strncmp(type, "timestamp", 9) == 0)
        return SAMPLE(dates);
    if (strcmp(type, "time") == 0)
        return SAMPLE(times);
    if (strcmp(type, "interval") == 0)
        return SAMPLE(intervals);
    if (strcmp(type, "uuid") == 0)
        return SAMPLE(uuids);
    if (strcmp(type, "bytea") == 0)
        return SAMPLE(bytes);
    return SAMPLE(texts);
#undef SAMPLE
}

/* Rows spread over two accumulators, one merged into the other twice over, are as all rows in one. */
TEST(merging_is_adding)
{
    uint32_t seed = 11, merged = 0;
    struct strbuf line = STRBUF_INIT;
    for (const struct aggregate_row *row; (row = aggregate_at(merged)) != NULL; merged++) {
        if (row->merge == NULL || strncmp(row->args, "any", 3) == 0 || row->args[0] == '\0')
            continue;
        struct subject whole, part, all;
        subject_init(&whole, row->name, row->args);
        subject_init(&part, row->name, row->args);
        subject_init(&all, row->name, row->args);
        bool only_inserts = (row->flags & AGG_APPEND_ONLY_ADD) != 0;
        for (uint32_t step = 0; step < 60; step++) {
            struct subject *one = harness_random(&seed, 2) == 0 ? &whole : &part;
            strbuf_reset(&line);
            strbuf_adds(&line, only_inserts || harness_random(&seed, 4) > 0 ? "+" : "-");
            for (uint32_t a = 0; a < all.call.args_count; a++)
                strbuf_addf(&line, " %s", sample_value(type_find(all.types[a].oid)->name, &seed));
            strbuf_addc(&line, '\n');
            subject_add(one, strbuf_text(&line));
            subject_add(&all, strbuf_text(&line));
            if (step % 20 != 19)
                continue;
            whole.call.aggregate->merge(&whole.call, &whole.state, &part.state, 1);
            if (part.call.aggregate->release != NULL)
                part.call.aggregate->release(&part.call, part.state);
            memset(part.state, 0, row->state_bytes);
            int before = test_failures;
            EXPECT_TEXT(subject_result(&whole), subject_result(&all));
            if (test_failures > before)
                fprintf(stderr, "%s(%s) after merging\n", row->name, row->args);
        }
        subject_close(&whole);
        subject_close(&part);
        subject_close(&all);
    }
    strbuf_release(&line);
}

TEST(every_row_has_a_number_and_a_signature)
{
    uint32_t count = 0;
    for (const struct aggregate_row *row; (row = aggregate_at(count)) != NULL; count++) {
        EXPECT(row->state_bytes % 8 == 0);
        EXPECT(aggregate_oid(row) != 0);
        EXPECT((row->flags & AGG_ORDERED) != 0 ? row->collect != NULL
                                               : row->add != NULL && row->finish != NULL);
        EXPECT(row->help != NULL && row->help[0] != '\0');
        const struct aggregate_row *const *rows;
        EXPECT(aggregate_find(row->name, &rows) > 0);
        for (uint32_t i = 0; i < count; i++)
            EXPECT(aggregate_oid(aggregate_at(i)) != aggregate_oid(row));
    }
    EXPECT(count > 100);
    const struct aggregate_row *const *rows;
    EXPECT_INT(aggregate_find("no_such_aggregate", &rows), 0);
}

int main(void)
{
    RUN(float_sums_are_exact);
    RUN(float_sums_forget);
    RUN(integer_sums);
    RUN(numeric_sums_keep_the_scale_of_what_is_there);
    RUN(variances);
    RUN(regressions);
    RUN(intervals);
    RUN(bits_and_booleans);
    RUN(extremes);
    RUN(merging_is_adding);
    RUN(every_row_has_a_number_and_a_signature);
    return test_result();
}
