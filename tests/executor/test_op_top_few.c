/* test_op_top_few.c: the first few rows of append-only input against the ordered table that keeps all of them,
 * whose ranks are checked against OVER. */
#include "executor/operators/op_top_few.h"

#include "tests/executor/op_harness.h"

struct shape {
    uint32_t partition_count, keys_count;
    int64_t limit;
    bool descending, nulls_first, shows_rank, text_first;
    enum over_kind rank;
};

static struct expr *number(struct harness *h, int64_t value)
{
    struct expr *expr = ARENA_NEW(&h->arena, struct expr);
    expr->kind = EXPR_CONSTANT;
    expr->type = (struct sql_type){OID_INT8, -1};
    expr->value = datum_i64(value);
    return expr;
}

static struct plan *sort_plan(struct harness *h, const struct shape *shape, bool append_only)
{
    struct plan *plan =
        harness_plan(h, PLAN_SORT, shape->shows_rank ? "int4 int4 text int8" : "int4 int4 text");
    harness_child(h, plan, "int4 int4 text");
    plan->children[0]->append_only = append_only;
    plan->sort.partition_count = shape->partition_count;
    plan->sort.partition = ARENA_ARRAY(&h->arena, uint32_t, 1);
    plan->sort.keys_count = shape->keys_count;
    plan->sort.keys = ARENA_ARRAY(&h->arena, struct sort_key, 2);
    for (uint32_t k = 0; k < 2; k++)
        plan->sort.keys[k] = (struct sort_key){.column = (k == 0) != shape->text_first ? 1 : 2,
                                               .descending = shape->descending,
                                               .nulls_first = shape->nulls_first};
    plan->sort.limit = number(h, shape->limit);
    plan->sort.rank = shape->rank;
    plan->sort.shows_rank = shape->shows_rank;
    return plan;
}

static const struct operator_class *class_of(const struct plan *plan)
{
    return op_top_few_fits(plan) ? &op_top_few_class : &op_top_n_class;
}

TEST(first_row)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = sort_plan(
        &h, &(struct shape){.partition_count = 1, .keys_count = 1, .limit = 1, .descending = true}, true);
    EXPECT(op_top_few_fits(plan));
    harness_open(&h, &op_top_few_class, plan);
    EXPECT_TEXT(harness_tick(&h, "+ 1 5 a\n+ 1 6 b\n+ 2 1 c\n"), "+ 1 6 b\n+ 2 1 c\n");
    EXPECT_TEXT(harness_tick(&h, "+ 1 5 d\n+ 2 1 c\n"), "");
    EXPECT_TEXT(harness_tick(&h, "+ 1 7 a_long_text_that_lives_in_the_heap_of_the_table\n+ 1 9 e\n"),
                "+ 1 9 e\n- 1 6 b\n");
    EXPECT_TEXT(harness_tick(&h, "+ 1 9 c\n+ 1 9 d\n"), "+ 1 9 c\n- 1 9 e\n");
    EXPECT_INT(op_top_few_class.state_rows(h.op), 2);
    harness_close(&h);
}

TEST(ranks_move)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = sort_plan(
        &h,
        &(struct shape){
            .partition_count = 1, .keys_count = 1, .limit = 3, .rank = OVER_ROW_NUMBER, .shows_rank = true},
        true);
    EXPECT(op_top_few_fits(plan));
    harness_open(&h, &op_top_few_class, plan);
    EXPECT_TEXT(harness_tick(&h, "+ 1 5 a\n+ 1 7 b\n"), "+ 1 5 a 1\n+ 1 7 b 2\n");
    EXPECT_TEXT(harness_tick(&h, "+ 1 6 c\n"), "+ 1 6 c 2\n+ 1 7 b 3\n- 1 7 b 2\n");
    EXPECT_TEXT(harness_tick(&h, "+9 1 6 c\n"), "+ 1 6 c 3\n- 1 7 b 3\n");
    EXPECT_TEXT(harness_tick(&h, "+ 1 8 d\n+ 1 6 c\n"), "");
    harness_close(&h);
}

/* A join gives a row twice and takes it back once: no more than what is left of it counts. */
TEST(corrections_within_a_tick)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan =
        sort_plan(&h, &(struct shape){.partition_count = 1, .keys_count = 1, .limit = 2}, true);
    plan->children[0]->kind = PLAN_JOIN;
    harness_open(&h, &op_top_few_class, plan);
    h.ctx.initial = false;
    EXPECT_TEXT(harness_tick(&h, "+ 1 5 a\n+ 1 7 b\n+ 1 5 a\n- 1 5 a\n"), "+ 1 5 a\n+ 1 7 b\n");
    EXPECT_TEXT(harness_tick(&h, "+ 1 6 c\n+ 1 6 c\n+ 1 4 d\n- 1 4 d\n- 1 6 c\n"), "+ 1 6 c\n- 1 7 b\n");
    EXPECT_TEXT(harness_tick(&h, "- 2 1 a\n+2 2 1 a\n"), "+ 2 1 a\n");
    EXPECT_INT(op_top_few_class.state_rows(h.op), 3);
    harness_close(&h);
}

TEST(what_fits)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct shape shape = {.partition_count = 1, .keys_count = 1, .limit = TOP_FEW_ROWS_MAX};
    EXPECT(op_top_few_fits(sort_plan(&h, &shape, true)));
    EXPECT(!op_top_few_fits(sort_plan(&h, &shape, false)));
    shape.rank = OVER_RANK;
    EXPECT(!op_top_few_fits(sort_plan(&h, &shape, true)));
    shape = (struct shape){.limit = TOP_FEW_ROWS_MAX + 1};
    EXPECT(!op_top_few_fits(sort_plan(&h, &shape, true)));
    harness_open(&h, &op_top_n_class, sort_plan(&h, &shape, true));
    harness_close(&h);
}

static struct plan *over_plan(struct harness *h, const struct shape *shape)
{
    struct plan *sort = sort_plan(h, shape, false), *plan = harness_plan(h, PLAN_OVER, "int4 int4 text int8");
    harness_child(h, plan, "int4 int4 text");
    plan->over.partition_count = shape->partition_count;
    plan->over.partition = sort->sort.partition;
    plan->over.keys_count = shape->keys_count;
    plan->over.keys = sort->sort.keys;
    plan->over.calls_count = 1;
    plan->over.calls = ARENA_NEW(&h->arena, struct plan_over_call);
    plan->over.calls->kind = shape->rank;
    plan->over.calls->type = (struct sql_type){OID_INT8, -1};
    plan->over.calls->filter = -1;
    return plan;
}

static void make_row(uint32_t *seed, char *out, size_t bytes)
{
    static const char *const texts[] = {"a", "b", "\\N", "texts_that_differ_late_1",
                                        "texts_that_differ_late_2"};
    char number[16];
    snprintf(number, sizeof(number), "%u", harness_random(seed, 12));
    snprintf(out, bytes, "%u %s %s", harness_random(seed, 3), harness_random(seed, 8) == 0 ? "\\N" : number,
             texts[harness_random(seed, 5)]);
}

/* The lines of the OVER's contents whose last number is within the limit. */
static const char *within(const char *contents, int64_t limit, struct strbuf *out)
{
    strbuf_reset(out);
    for (const char *line = contents; *line != '\0';) {
        const char *end = strchr(line, '\n'), *last = end;
        while (last[-1] != ' ')
            last--;
        if (strtoll(last, NULL, 10) <= limit)
            strbuf_add(out, line, (size_t)(end + 1 - line));
        line = end + 1;
    }
    return strbuf_text(out);
}

static void property(const struct shape *shape, uint32_t seed, uint32_t ticks, uint32_t changes,
                     bool append_only)
{
    static struct harness_bag bag;
    bag.count = 0;
    struct harness few, all;
    harness_init(&few, DATAFLOW_CONTINUOUS);
    struct plan *plan = sort_plan(&few, shape, append_only);
    harness_open(&few, class_of(plan), plan);
    harness_init(&all, DATAFLOW_CONTINUOUS);
    if (shape->shows_rank)
        harness_open(&all, &op_over_class, over_plan(&all, shape));
    else
        harness_open(&all, &op_top_n_class, sort_plan(&all, shape, false));
    struct strbuf text = STRBUF_INIT, expected = STRBUF_INIT;
    for (uint32_t t = 0; t < ticks && test_failures == 0; t++) {
        strbuf_reset(&text);
        harness_bag_change(&bag, &seed, 1 + harness_random(&seed, changes),
                           append_only   ? 100
                           : t % 30 < 15 ? 75
                                         : 25,
                           make_row, &text);
        harness_now = &all;
        harness_tick(&all, strbuf_text(&text));
        harness_now = &few;
        harness_tick(&few, strbuf_text(&text));
        EXPECT_TEXT(harness_contents(&few), shape->shows_rank
                                                ? within(harness_contents(&all), shape->limit, &expected)
                                                : harness_contents(&all));
    }
    strbuf_release(&text);
    strbuf_release(&expected);
    harness_now = &all;
    harness_close(&all);
    harness_now = &few;
    harness_close(&few);
}

TEST(random_changes)
{
    const struct shape shapes[] = {
        {.partition_count = 1, .keys_count = 1, .limit = 1},
        {.partition_count = 1, .keys_count = 2, .limit = 1, .descending = true},
        {.partition_count = 0, .keys_count = 1, .limit = 1, .nulls_first = true},
        {.partition_count = 1, .keys_count = 1, .limit = 3, .descending = true, .nulls_first = true},
        {.partition_count = 1, .keys_count = 2, .limit = 10},
        {.partition_count = 0, .keys_count = 0, .limit = 7},
        {.partition_count = 1, .keys_count = 2, .limit = 4, .text_first = true},
        {.partition_count = 1, .keys_count = 1, .limit = 3, .rank = OVER_ROW_NUMBER, .shows_rank = true},
        {.partition_count = 1,
         .keys_count = 2,
         .limit = 20,
         .rank = OVER_ROW_NUMBER,
         .shows_rank = true,
         .text_first = true,
         .descending = true},
        {.keys_count = 1, .limit = 5, .rank = OVER_ROW_NUMBER, .shows_rank = true, .nulls_first = true},
        {.partition_count = 1, .keys_count = 1, .limit = 3, .rank = OVER_RANK, .shows_rank = true},
        {.partition_count = 1, .keys_count = 1, .limit = 3, .rank = OVER_RANK, .descending = true},
        {.partition_count = 1, .keys_count = 1, .limit = 2, .rank = OVER_DENSE_RANK, .shows_rank = true},
        {.partition_count = 0, .keys_count = 2, .limit = 4, .rank = OVER_DENSE_RANK},
    };
    for (uint32_t s = 0; s < ARRAY_COUNT(shapes); s++) {
        for (int append_only = 0; append_only < 2; append_only++) {
            property(&shapes[s], s + 1, 60, 1, append_only);
            property(&shapes[s], s + 50, 30, 20, append_only);
        }
    }
}

int main(void)
{
    RUN(first_row);
    RUN(ranks_move);
    RUN(corrections_within_a_tick);
    RUN(what_fits);
    RUN(random_changes);
    return test_result();
}
