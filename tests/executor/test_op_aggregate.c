/* test_op_aggregate.c: GROUP BY, DISTINCT and FILTER, tick by tick and against a naive recomputation. */
#include "tests/executor/op_harness.h"

static struct plan_aggregate_call *add_call(struct harness *h, struct plan *plan, const char *name,
                                            const char *args, int32_t column)
{
    struct plan_aggregate_call *call = &plan->aggregate.calls[plan->aggregate.calls_count];
    *call = (struct plan_aggregate_call){.aggregate = harness_aggregate(name, args), .filter = -1};
    call->type = plan->types[plan->aggregate.groups_count + plan->aggregate.calls_count++];
    if (column >= 0) {
        call->args = ARENA_ARRAY(&h->arena, uint32_t, 4);
        call->args[0] = (uint32_t)column;
        call->args_count = 1;
    }
    return call;
}

static struct plan *aggregate_plan(struct harness *h, const char *output, const char *input,
                                   uint32_t groups_count)
{
    struct plan *plan = harness_plan(h, PLAN_AGGREGATE, output);
    harness_child(h, plan, input);
    plan->aggregate.groups_count = groups_count;
    plan->aggregate.groups = ARENA_ARRAY(&h->arena, uint32_t, groups_count);
    for (uint32_t g = 0; g < groups_count; g++)
        plan->aggregate.groups[g] = g;
    plan->aggregate.calls = ARENA_ARRAY(&h->arena, struct plan_aggregate_call, 16);
    return plan;
}

TEST(counts_and_sums)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = aggregate_plan(&h, "int4 int8 int8", "int4 int4", 1);
    add_call(&h, plan, "count", "", -1);
    add_call(&h, plan, "sum", "int4", 1);
    harness_open(&h, &op_aggregate_class, plan);
    EXPECT_TEXT(harness_tick(&h, "+ 1 10\n+ 1 20\n+ 2 \\N\n"), "+ 1 2 30\n+ 2 1 \\N\n");
    EXPECT_TEXT(harness_tick(&h, "- 1 10\n+ 2 5\n"), "+ 1 1 20\n+ 2 2 5\n- 1 2 30\n- 2 1 \\N\n");
    EXPECT_TEXT(harness_tick(&h, "- 1 20\n"), "- 1 1 20\n");
    EXPECT_TEXT(harness_tick(&h, "+ 2 7\n- 2 7\n"), "");
    EXPECT_TEXT(harness_tick(&h, "- 3 1\n+ 3 1\n"), "");
    EXPECT_TEXT(harness_tick(&h, "+ \\N 1\n+ \\N 2\n"), "+ \\N 2 3\n");
    EXPECT_TEXT(harness_tick(&h, "+5 4 3\n"), "+ 4 5 15\n");
    EXPECT_INT(op_aggregate_class.state_rows(h.op), 3);
    harness_close(&h);
}

TEST(without_groups_a_row_always_exists)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = aggregate_plan(&h, "int8 int8 text", "int4 text", 0);
    add_call(&h, plan, "count", "", -1);
    add_call(&h, plan, "sum", "int4", 0);
    add_call(&h, plan, "max", "text", 1);
    harness_open(&h, &op_aggregate_class, plan);
    EXPECT_TEXT(harness_finish(&h), "+ 0 \\N \\N\n");
    EXPECT_TEXT(harness_tick(&h, "+ 1 a\n+ 2 a_long_text_that_is_not_inline\n"),
                "+ 2 3 a_long_text_that_is_not_inline\n- 0 \\N \\N\n");
    EXPECT_TEXT(harness_tick(&h, "- 2 a_long_text_that_is_not_inline\n"),
                "+ 1 1 a\n- 2 3 a_long_text_that_is_not_inline\n");
    EXPECT_TEXT(harness_tick(&h, "- 1 a\n"), "+ 0 \\N \\N\n- 1 1 a\n");
    EXPECT_TEXT(harness_contents(&h), "+ 0 \\N \\N\n");
    harness_close(&h);

    harness_init(&h, DATAFLOW_CONTINUOUS);
    h.ctx.shard = 1;
    plan = aggregate_plan(&h, "int8", "int4 text", 0);
    add_call(&h, plan, "count", "", -1);
    harness_open(&h, &op_aggregate_class, plan);
    EXPECT_TEXT(harness_finish(&h), "");
    harness_close(&h);
}

TEST(overflow_is_data_and_recovers)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = aggregate_plan(&h, "int4 int8 float8", "int4 int4 float8", 1);
    add_call(&h, plan, "sum", "int4", 1);
    add_call(&h, plan, "sum", "float8", 2);
    harness_open(&h, &op_aggregate_class, plan);
    EXPECT_TEXT(harness_tick(&h, "+ 1 1 1e308\n+ 2 7 1\n"), "+ 1 1 1e+308\n+ 2 7 1\n");
    EXPECT_TEXT(harness_tick(&h, "+ 1 1 1e308\n"), "- 1 1 1e+308\n+1 22003 value out of range: overflow\n");
    EXPECT_TEXT(harness_tick(&h, "+ 1 1 1e308\n"), "");
    EXPECT_TEXT(harness_tick(&h, "-2 1 1 1e308\n+ 1 2 1\n"),
                "+ 1 3 1e+308\n-1 22003 value out of range: overflow\n");
    EXPECT_TEXT(harness_tick(&h, "- 1 1 1e308\n"), "+ 1 2 1\n- 1 3 1e+308\n");
    EXPECT_TEXT(harness_tick(&h, "+5000000000 2 2147483647 0\n"), "- 2 7 1\n+1 22003 bigint out of range\n");
    EXPECT_TEXT(harness_tick(&h, "-5000000000 2 2147483647 0\n"), "+ 2 7 1\n-1 22003 bigint out of range\n");
    harness_close(&h);

    harness_init(&h, DATAFLOW_ONE_SHOT);
    plan = aggregate_plan(&h, "float8", "int4 int4 float8", 0);
    add_call(&h, plan, "sum", "float8", 2);
    harness_open(&h, &op_aggregate_class, plan);
    EXPECT_TEXT(harness_tick(&h, "+ 1 1 1e308\n+ 1 1 1e308\n"), "error 22003 value out of range: overflow\n");
    harness_close(&h);
}

TEST(distinct_and_filter)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan =
        aggregate_plan(&h, "int4 int8 int8 numeric text text", "int4 numeric bool text text", 1);
    add_call(&h, plan, "count", "any", 1)->is_distinct = true;
    struct plan_aggregate_call *call = add_call(&h, plan, "count", "any", 1);
    call->is_distinct = true;
    call->filter = 2;
    add_call(&h, plan, "sum", "numeric", 1)->is_distinct = true;
    call = add_call(&h, plan, "string_agg", "text,text", 3);
    call->args[1] = 4;
    call->args_count = 2;
    call = add_call(&h, plan, "string_agg", "text,text", 3);
    call->args[1] = 4;
    call->args_count = 2;
    call->is_distinct = true;
    harness_open(&h, &op_aggregate_class, plan);
    EXPECT_TEXT(harness_tick(&h, "+ 1 1.0 t b ,\n+ 1 1.00 f a ,\n+ 1 2 f b ,\n+ 1 \\N t \\N ,\n"),
                "+ 1 2 1 3.0 a,b,b a,b\n");
    EXPECT_TEXT(harness_tick(&h, "- 1 1.0 t b ,\n"), "+ 1 2 0 3.0 a,b a,b\n- 1 2 1 3.0 a,b,b a,b\n");
    EXPECT_TEXT(harness_tick(&h, "- 1 1.00 f a ,\n"), "+ 1 1 0 2 b b\n- 1 2 0 3.0 a,b a,b\n");
    EXPECT_TEXT(harness_tick(&h, "- 1 2 f b ,\n- 1 \\N t \\N ,\n"), "- 1 1 0 2 b b\n");
    EXPECT_INT(op_aggregate_class.state_rows(h.op), 0);
    harness_close(&h);
}

TEST(ordered_aggregates)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = aggregate_plan(&h, "int4 text int4[] int4 int4", "int4 text text int4 float8", 1);
    struct plan_aggregate_call *call = add_call(&h, plan, "string_agg", "text,text", 1);
    call->args[1] = 2;
    call->args_count = 2;
    call->order = ARENA_NEW(&h.arena, struct sort_key);
    call->order[0] = (struct sort_key){.column = 3, .descending = true, .nulls_first = true};
    call->order_count = 1;
    add_call(&h, plan, "array_agg", "anynonarray", 3);
    add_call(&h, plan, "min", "int4", 3);
    add_call(&h, plan, "max", "int4", 3);
    harness_open(&h, &op_aggregate_class, plan);
    EXPECT_TEXT(harness_tick(&h, "+ 1 a - 1 0.5\n+ 1 b - 3 0.5\n+ 1 c + 2 0.5\n"), "+ 1 b+c-a {1,2,3} 1 3\n");
    EXPECT_TEXT(harness_tick(&h, "- 1 b - 3 0.5\n+ 1 z - \\N 0.5\n"),
                "+ 1 z+c-a {1,2,NULL} 1 2\n- 1 b+c-a {1,2,3} 1 3\n");
    harness_close(&h);
}

TEST(percentiles_and_mode)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = aggregate_plan(&h, "float8 int4 int4", "float8 float8 int4", 0);
    const char *names[] = {"percentile_cont", "percentile_disc", "mode"};
    const char *args[] = {"float8,float8", "float8,anyelement", "anyelement"};
    for (uint32_t i = 0; i < 3; i++) {
        struct plan_aggregate_call *call = add_call(&h, plan, names[i], args[i], i < 2 ? 0 : -1);
        call->order = ARENA_NEW(&h.arena, struct sort_key);
        call->order[0] = (struct sort_key){.column = i == 0 ? 1 : 2};
        call->order_count = 1;
    }
    harness_open(&h, &op_aggregate_class, plan);
    EXPECT_TEXT(harness_finish(&h), "+ \\N \\N \\N\n");
    EXPECT_TEXT(harness_tick(&h, "+ 0.5 1 1\n+ 0.5 2 2\n+ 0.5 4 2\n+ 0.5 10 3\n"),
                "+ 3 2 2\n- \\N \\N \\N\n");
    EXPECT_TEXT(harness_tick(&h, "- 0.5 1 1\n- 0.5 2 2\n"), "+ 7 2 2\n- 3 2 2\n");
    EXPECT_TEXT(harness_tick(&h, "+ 0.5 \\N \\N\n"), "");
    harness_close(&h);
}

TEST(percentile_arrays)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = aggregate_plan(&h, "float8[] text[]", "float8[] float8 text", 0);
    for (uint32_t i = 0; i < 2; i++) {
        struct plan_aggregate_call *call = add_call(&h, plan, i == 0 ? "percentile_cont" : "percentile_disc",
                                                    i == 0 ? "float8[],float8" : "float8[],anyelement", 0);
        call->order = ARENA_NEW(&h.arena, struct sort_key);
        call->order[0] = (struct sort_key){.column = 1 + i};
        call->order_count = 1;
    }
    harness_open(&h, &op_aggregate_class, plan);
    EXPECT_TEXT(harness_tick(&h, "+ {1,0,NULL,0.5} 1 a\n+ {1,0,NULL,0.5} 2 bb\n"),
                "+ {2,1,NULL,1.5} {bb,a,NULL,a}\n");
    harness_close(&h);
}

TEST(input_order_is_kept_when_asked)
{
    struct harness h;
    harness_init(&h, DATAFLOW_ONE_SHOT);
    struct plan *plan = aggregate_plan(&h, "int4[]", "int4", 0);
    struct plan_aggregate_call *call = add_call(&h, plan, "array_agg", "anynonarray", 0);
    call->keep_input_order = true;
    harness_open(&h, &op_aggregate_class, plan);
    EXPECT_TEXT(harness_tick(&h, "+ 3\n+ 1\n+ \\N\n+ 2\n+ 1\n"), "+ {3,1,NULL,2,1}\n");
    harness_close(&h);
}

/* Equal group values that look different: what stands for the group must still be there. */
TEST(spelling_of_a_group)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = aggregate_plan(&h, "numeric int8", "numeric", 1);
    add_call(&h, plan, "count", "", -1);
    harness_open(&h, &op_aggregate_class, plan);
    EXPECT_TEXT(harness_tick(&h, "+ 1.0\n+ 1.00\n"), "+ 1.0 2\n");
    EXPECT_TEXT(harness_tick(&h, "+ 1.00\n- 1.0\n"), "+ 1.00 2\n- 1.0 2\n");
    EXPECT_TEXT(harness_tick(&h, "- 1.00\n"), "+ 1.00 1\n- 1.00 2\n");
    EXPECT_TEXT(harness_tick(&h, "- 1.00\n"), "- 1.00 1\n");
    EXPECT_INT(op_aggregate_class.state_rows(h.op), 0);
    harness_close(&h);
}

TEST(json)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = aggregate_plan(&h, "json jsonb json jsonb json", "text numeric int4[]", 0);
    add_call(&h, plan, "json_agg", "anyelement", 1);
    add_call(&h, plan, "jsonb_agg", "anyelement", 1);
    struct plan_aggregate_call *call = add_call(&h, plan, "json_object_agg", "any,any", 0);
    call->args[1] = 1;
    call->args_count = 2;
    call = add_call(&h, plan, "jsonb_object_agg", "any,any", 0);
    call->args[1] = 1;
    call->args_count = 2;
    add_call(&h, plan, "json_agg", "anyelement", 2);
    harness_open(&h, &op_aggregate_class, plan);
    struct error err;
    EXPECT(harness_push(&h, 0, "+ k 1.50 {1,2}\n+ j \\N \\N\n", &err));
    const char *row = "\"[1.50, null]\" \"[1.50, null]\" \"{ \\\"j\\\" : null, \\\"k\\\" : 1.50 }\" "
                      "\"{\\\"j\\\": null, \\\"k\\\": 1.50}\" \"[[1,2], null]\"\n";
    struct strbuf expected = STRBUF_INIT;
    strbuf_addf(&expected, "+ %s", row);
    EXPECT_TEXT(harness_finish(&h), strbuf_text(&expected));
    strbuf_reset(&expected);
    strbuf_addf(&expected, "- %s+1 22023 field name must not be null\n", row);
    EXPECT_TEXT(harness_tick(&h, "+ \\N 1 \\N\n"), strbuf_text(&expected));
    strbuf_release(&expected);
    harness_close(&h);
}

/* ---- against a naive recomputation ---- */

static void make_row(uint32_t *seed, char *out, size_t bytes)
{
    char value[16] = "\\N";
    if (harness_random(seed, 8) != 0)
        snprintf(value, sizeof(value), "%d", (int)harness_random(seed, 30) - 15);
    snprintf(out, bytes, "%u %s %s", harness_random(seed, 12), value, harness_random(seed, 2) ? "t" : "f");
}

struct naive_group {
    long rows, values, sum, min, max, distinct, filtered, trues, distinct_sum;
    bool seen[31], seen_true[31];
};

static void naive(const struct harness_bag *bag, struct strbuf *out)
{
    struct naive_group groups[12] = {0};
    for (uint32_t i = 0; i < bag->count; i++) {
        unsigned group;
        char value[16], flag;
        CHECK(sscanf(bag->rows[i], "%u %15s %c", &group, value, &flag) == 3);
        struct naive_group *g = &groups[group];
        g->rows++;
        if (value[0] == '\\')
            continue;
        long number = strtol(value, NULL, 10);
        g->min = g->values == 0 || number < g->min ? number : g->min;
        g->max = g->values == 0 || number > g->max ? number : g->max;
        g->values++;
        g->sum += number;
        g->filtered += flag == 't' ? number : 0;
        g->distinct += !g->seen[number + 15];
        g->seen[number + 15] = true;
        if (flag != 't')
            continue;
        g->trues++;
        g->distinct_sum += g->seen_true[number + 15] ? 0 : number;
        g->seen_true[number + 15] = true;
    }
    char *lines[12];
    uint32_t count = 0;
    static char text[12][160];
    for (uint32_t g = 0; g < 12; g++) {
        if (groups[g].rows == 0)
            continue;
        const struct naive_group *n = &groups[g];
        char last[24] = "\\N";
        if (n->trues > 0)
            snprintf(last, sizeof(last), "%ld", n->distinct_sum);
        long distinct_true = 0;
        for (uint32_t i = 0; i < 31; i++)
            distinct_true += n->seen_true[i];
        if (n->values == 0)
            snprintf(text[g], 160, "+ %u %ld \\N \\N \\N 0 0 \\N", g, n->rows);
        else
            snprintf(text[g], 160, "+ %u %ld %ld %ld %ld %ld %ld %s", g, n->rows, n->sum, n->min, n->max,
                     n->distinct, distinct_true, last);
        lines[count++] = text[g];
    }
    qsort(lines, count, sizeof(lines[0]), harness_compare_lines);
    strbuf_reset(out);
    for (uint32_t i = 0; i < count; i++)
        strbuf_addf(out, "%s\n", lines[i]);
}

/* More groups than a chunk of finish holds, appearing and going in one tick each. */
TEST(many_groups)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = aggregate_plan(&h, "int4 int8 int4", "int4 int4", 1);
    add_call(&h, plan, "count", "", -1);
    add_call(&h, plan, "max", "int4", 1);
    harness_open(&h, &op_aggregate_class, plan);
    struct error err;
    for (int step = 0; step < 4; step++) {
        for (int32_t at = 0; at < 6000; at += 1500) {
            struct batch *rows = batch_create(&h.text_arena, plan->children[0]->types, 2, 1500);
            for (int32_t i = at; i < at + 1500; i++) {
                struct datum row[2] = {datum_i32(i % 5000), datum_i32(step % 2)};
                batch_append_datums(rows, row, step < 2 ? 1 : -1);
            }
            EXPECT(harness_push_batch(&h, 0, rows, &err));
        }
        harness_finish(&h);
        const struct batch *all = batch_consolidate(h.total, &h.text_arena);
        EXPECT_INT(all->rows, step < 3 ? 5000 : 0);
        for (uint32_t i = 0; i < all->rows; i++) {
            int32_t group = ((const int32_t *)all->columns[0].data)[i];
            int64_t copies = (group < 1000 ? 2 : 1) * (step == 1 ? 2 : 1);
            EXPECT_INT(((const int64_t *)all->columns[1].data)[i], copies);
            EXPECT_INT(((const int32_t *)all->columns[2].data)[i], step == 0 ? 0 : 1);
        }
    }
    harness_close(&h);
}

static void property(uint32_t seed, uint32_t ticks, uint32_t changes, bool append_only)
{
    static struct harness_bag bag;
    bag.count = 0;
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = aggregate_plan(&h, "int4 int8 int8 int4 int4 int8 int8 int8", "int4 int4 bool", 1);
    plan->children[0]->append_only = append_only;
    add_call(&h, plan, "count", "", -1);
    add_call(&h, plan, "sum", "int4", 1);
    add_call(&h, plan, "min", "int4", 1);
    add_call(&h, plan, "max", "int4", 1);
    add_call(&h, plan, "count", "any", 1)->is_distinct = true;
    for (uint32_t i = 0; i < 2; i++) {
        struct plan_aggregate_call *call =
            add_call(&h, plan, i == 0 ? "count" : "sum", i == 0 ? "any" : "int4", 1);
        call->is_distinct = true;
        call->filter = 2;
    }
    harness_open(&h, &op_aggregate_class, plan);
    struct strbuf text = STRBUF_INIT, expected = STRBUF_INIT;
    for (uint32_t t = 0; t < ticks; t++) {
        uint32_t pushes = 1 + harness_random(&seed, 3);
        for (uint32_t p = 0; p < pushes; p++) {
            struct error err;
            strbuf_reset(&text);
            harness_bag_change(&bag, &seed, 1 + harness_random(&seed, changes),
                               append_only   ? 100
                               : t % 40 < 20 ? 65
                                             : 25,
                               make_row, &text);
            EXPECT(harness_push(&h, 0, strbuf_text(&text), &err));
        }
        harness_finish(&h);
        if (t % 7 == 0 || t + 1 == ticks) {
            naive(&bag, &expected);
            EXPECT_TEXT(harness_contents(&h), strbuf_text(&expected));
        }
    }
    strbuf_release(&text);
    strbuf_release(&expected);
    harness_close(&h);
}

TEST(random_changes)
{
    property(1, 150, 1, false);
    property(2, 60, 50, false);
    property(3, 10, 1000, false);
    property(4, 150, 1, true);
    property(5, 40, 50, true);
}

int main(void)
{
    RUN(counts_and_sums);
    RUN(without_groups_a_row_always_exists);
    RUN(overflow_is_data_and_recovers);
    RUN(distinct_and_filter);
    RUN(ordered_aggregates);
    RUN(percentiles_and_mode);
    RUN(percentile_arrays);
    RUN(input_order_is_kept_when_asked);
    RUN(spelling_of_a_group);
    RUN(json);
    RUN(many_groups);
    RUN(random_changes);
    return test_result();
}
