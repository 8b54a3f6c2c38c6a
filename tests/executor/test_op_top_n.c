/* test_op_top_n.c: Top-N in a view against the sort of a SELECT: two operators that must agree. */
#include "tests/executor/op_harness.h"

struct shape {
    uint32_t partition_count, keys_count;
    int64_t limit, offset; /* -1: none */
    bool with_ties, distinct_on, descending;
};

static struct expr *number(struct harness *h, int64_t value)
{
    if (value < 0)
        return NULL;
    struct expr *expr = ARENA_NEW(&h->arena, struct expr);
    expr->kind = EXPR_CONSTANT;
    expr->type = (struct sql_type){OID_INT8, -1};
    expr->value = datum_i64(value);
    return expr;
}

static struct plan *sort_plan(struct harness *h, const struct shape *shape)
{
    struct plan *plan = harness_plan(h, PLAN_SORT, "int4 int4 text");
    harness_child(h, plan, "int4 int4 text");
    plan->sort.partition_count = shape->partition_count;
    plan->sort.partition = ARENA_ARRAY(&h->arena, uint32_t, 1);
    plan->sort.keys_count = shape->keys_count;
    plan->sort.keys = ARENA_ARRAY(&h->arena, struct sort_key, 2);
    plan->sort.keys[0] = (struct sort_key){.column = 1, .descending = shape->descending};
    plan->sort.keys[1] = (struct sort_key){.column = 2};
    plan->sort.limit = number(h, shape->limit);
    plan->sort.offset = number(h, shape->offset);
    plan->sort.with_ties = shape->with_ties;
    plan->sort.distinct_on = shape->distinct_on;
    return plan;
}

TEST(limit_with_offset)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    harness_open(&h, &op_top_n_class,
                 sort_plan(&h, &(struct shape){.keys_count = 1, .limit = 2, .offset = 1}));
    EXPECT_TEXT(harness_tick(&h, "+ 0 5 a\n"), "");
    EXPECT_TEXT(harness_tick(&h, "+ 0 1 b\n+ 0 3 c\n"), "+ 0 3 c\n+ 0 5 a\n");
    EXPECT_TEXT(harness_tick(&h, "+ 0 2 d\n"), "+ 0 2 d\n- 0 5 a\n");
    EXPECT_TEXT(harness_tick(&h, "- 0 1 b\n"), "+ 0 5 a\n- 0 2 d\n");
    EXPECT_TEXT(harness_tick(&h, "+5 0 2 d\n"), "+2 0 2 d\n- 0 3 c\n- 0 5 a\n");
    EXPECT_TEXT(harness_tick(&h, "+ 0 9 x\n- 0 9 x\n"), "");
    harness_close(&h);
}

/* partition a order by b: +(1,1) +(1,0) +(1,0), then delete each in turn. */
TEST(first_row_with_ties_in_the_partition)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    harness_open(
        &h, &op_top_n_class,
        sort_plan(&h, &(struct shape){.partition_count = 1, .keys_count = 1, .limit = 1, .offset = -1}));
    EXPECT_TEXT(harness_tick(&h, "+ 1 1 x\n"), "+ 1 1 x\n");
    EXPECT_TEXT(harness_tick(&h, "+ 1 0 b\n"), "+ 1 0 b\n- 1 1 x\n");
    EXPECT_TEXT(harness_tick(&h, "+ 1 0 a\n"), "+ 1 0 a\n- 1 0 b\n");
    EXPECT_TEXT(harness_tick(&h, "- 1 0 a\n"), "+ 1 0 b\n- 1 0 a\n");
    EXPECT_TEXT(harness_tick(&h, "- 1 1 x\n"), "");
    EXPECT_TEXT(harness_tick(&h, "- 1 0 b\n"), "- 1 0 b\n");
    EXPECT_INT(op_top_n_class.state_rows(h.op), 0);
    harness_close(&h);
}

TEST(ties_at_the_boundary)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    harness_open(
        &h, &op_top_n_class,
        sort_plan(&h, &(struct shape){.keys_count = 1, .limit = 2, .offset = -1, .with_ties = true}));
    EXPECT_TEXT(harness_tick(&h, "+ 0 1 a\n+ 0 2 b\n+ 0 2 c\n+ 0 3 d\n"), "+ 0 1 a\n+ 0 2 b\n+ 0 2 c\n");
    EXPECT_TEXT(harness_tick(&h, "+ 0 1 e\n"), "+ 0 1 e\n- 0 2 b\n- 0 2 c\n");
    EXPECT_TEXT(harness_tick(&h, "- 0 1 a\n"), "+ 0 2 b\n+ 0 2 c\n- 0 1 a\n");
    EXPECT_TEXT(harness_tick(&h, "- 0 2 b\n- 0 2 c\n"), "+ 0 3 d\n- 0 2 b\n- 0 2 c\n");
    harness_close(&h);
}

TEST(append_only_keeps_no_more_than_it_shows)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = sort_plan(&h, &(struct shape){.keys_count = 1, .limit = 2, .offset = 1});
    plan->children[0]->append_only = true;
    harness_open(&h, &op_top_n_class, plan);
    EXPECT_TEXT(harness_tick(&h, "+ 0 9 a\n+ 0 8 a\n+ 0 7 a\n+ 0 6 a\n+ 0 5 a\n"), "+ 0 6 a\n+ 0 7 a\n");
    EXPECT_INT(op_top_n_class.state_rows(h.op), 3);
    EXPECT_TEXT(harness_tick(&h, "+ 0 10 a\n"), "");
    EXPECT_TEXT(harness_tick(&h, "+ 0 1 a\n"), "+ 0 5 a\n- 0 7 a\n");
    EXPECT_INT(op_top_n_class.state_rows(h.op), 3);
    /* a join may take back what it gives later */
    EXPECT_TEXT(harness_tick(&h, "- 0 5 b\n+ 0 5 b\n+ 0 5 b\n"), "+ 0 5 b\n- 0 6 a\n");
    EXPECT_TEXT(harness_tick(&h, "+ 0 0 c\n"), "+ 0 1 a\n- 0 5 b\n");
    harness_close(&h);
}

TEST(bad_limits)
{
    struct harness h;
    harness_init(&h, DATAFLOW_ONE_SHOT);
    struct plan *plan = sort_plan(&h, &(struct shape){.keys_count = 1, .limit = 2, .offset = -1});
    plan->sort.limit->value.i64 = -1;
    harness_open(&h, &op_sort_class, plan);
    EXPECT_TEXT(harness_tick(&h, "+ 0 9 a\n"), "error 2201W LIMIT must not be negative\n");
    harness_close(&h);
}

TEST(limit_without_order_streams)
{
    struct harness h;
    struct error err;
    harness_init(&h, DATAFLOW_ONE_SHOT);
    harness_open(&h, &op_sort_class, sort_plan(&h, &(struct shape){.limit = 3, .offset = 1}));
    EXPECT(harness_push(&h, 0, "+2 0 1 a\n+ 0 2 b\n", &err));
    EXPECT(!h.ctx.enough);
    EXPECT(harness_push(&h, 0, "+4 0 3 c\n", &err));
    EXPECT(h.ctx.enough);
    EXPECT_TEXT(harness_finish(&h), "+ 0 1 a\n+ 0 2 b\n+ 0 3 c\n");
    harness_close(&h);
}

TEST(select_keeps_the_order)
{
    struct harness h;
    struct error err;
    harness_init(&h, DATAFLOW_ONE_SHOT);
    harness_open(
        &h, &op_sort_class,
        sort_plan(&h, &(struct shape){.keys_count = 1, .limit = -1, .offset = -1, .descending = true}));
    EXPECT(harness_push(&h, 0, "+ 0 1 a\n+ 0 3 c\n+ 0 2 b\n+ 0 3 d\n", &err));
    EXPECT(h.op->class->finish(h.op, &err));
    strbuf_reset(&h.text);
    batch_to_text(h.output, &h.text);
    EXPECT_TEXT(strbuf_text(&h.text), "+ 0 3 c\n+ 0 3 d\n+ 0 2 b\n+ 0 1 a\n");
    harness_close(&h);
}

static void make_row(uint32_t *seed, char *out, size_t bytes)
{
    snprintf(out, bytes, "%u %u %c", harness_random(seed, 4), harness_random(seed, 6),
             'a' + harness_random(seed, 3));
}

/* The order among ties is the view's own, so the SELECT sorts by everything where ties would be cut. */
static void property(const struct shape *shape, uint32_t seed, uint32_t ticks, uint32_t changes)
{
    static struct harness_bag bag;
    bag.count = 0;
    struct harness view, once;
    harness_init(&view, DATAFLOW_CONTINUOUS);
    harness_open(&view, &op_top_n_class, sort_plan(&view, shape));
    struct strbuf text = STRBUF_INIT;
    for (uint32_t t = 0; t < ticks; t++) {
        strbuf_reset(&text);
        harness_bag_change(&bag, &seed, 1 + harness_random(&seed, changes), t % 30 < 15 ? 75 : 25, make_row,
                           &text);
        harness_now = &view;
        harness_tick(&view, strbuf_text(&text));
        harness_init(&once, DATAFLOW_ONE_SHOT);
        struct plan *plan = sort_plan(&once, shape);
        if (!shape->with_ties) {
            struct sort_key *keys = ARENA_ARRAY(&once.arena, struct sort_key, 5);
            memcpy(keys, plan->sort.keys, sizeof(*keys) * shape->keys_count);
            for (uint32_t c = 0; c < 3; c++)
                keys[plan->sort.keys_count++] = (struct sort_key){.column = c};
            plan->sort.keys = keys;
        }
        harness_open(&once, &op_sort_class, plan);
        harness_bag_text(&bag, &text);
        harness_tick(&once, strbuf_text(&text));
        EXPECT_TEXT(harness_contents(&view), harness_contents(&once));
        harness_close(&once);
        if (test_failures > 0)
            break;
    }
    harness_now = &view;
    harness_close(&view);
    strbuf_release(&text);
}

TEST(random_changes)
{
    const struct shape shapes[] = {
        {.keys_count = 2, .limit = 3, .offset = -1},
        {.keys_count = 1, .limit = 4, .offset = 2},
        {.keys_count = 1, .limit = 4, .offset = -1, .with_ties = true},
        {.keys_count = 1,
         .limit = 2,
         .offset = -1,
         .with_ties = true,
         .partition_count = 1,
         .descending = true},
        {.keys_count = 2, .limit = -1, .offset = -1, .partition_count = 1, .distinct_on = true},
        {.keys_count = 1, .limit = 2, .offset = 1, .partition_count = 1},
        {.keys_count = 1, .limit = -1, .offset = 3},
        {.keys_count = 0, .limit = 3, .offset = 1},
        {.keys_count = 1, .limit = 0, .offset = -1},
    };
    for (uint32_t s = 0; s < ARRAY_COUNT(shapes); s++) {
        property(&shapes[s], s + 1, 60, 1);
        property(&shapes[s], s + 50, 30, 20);
    }
}

/* More rows than the sort keeps before it prunes. */
TEST(pruning_changes_nothing)
{
    struct harness few, all;
    uint32_t seed = 5;
    struct error err;
    for (int ties = 0; ties < 2; ties++) {
        harness_init(&few, DATAFLOW_ONE_SHOT);
        harness_open(
            &few, &op_sort_class,
            sort_plan(&few, &(struct shape){.keys_count = 2, .limit = 10, .offset = 5, .with_ties = ties}));
        harness_init(&all, DATAFLOW_CONTINUOUS);
        harness_open(
            &all, &op_top_n_class,
            sort_plan(&all, &(struct shape){.keys_count = 2, .limit = 10, .offset = 5, .with_ties = ties}));
        struct strbuf text = STRBUF_INIT;
        for (int b = 0; b < 10; b++) {
            strbuf_reset(&text);
            for (int i = 0; i < 1500; i++)
                strbuf_addf(&text, "+ 0 %u %c%u\n", harness_random(&seed, 100000), 'a',
                            harness_random(&seed, 50));
            EXPECT(harness_push(&few, 0, strbuf_text(&text), &err));
            EXPECT(harness_push(&all, 0, strbuf_text(&text), &err));
        }
        harness_finish(&few);
        harness_finish(&all);
        EXPECT_TEXT(harness_contents(&few), harness_contents(&all));
        strbuf_release(&text);
        harness_close(&few);
        harness_close(&all);
    }
}

int main(void)
{
    RUN(limit_with_offset);
    RUN(first_row_with_ties_in_the_partition);
    RUN(ties_at_the_boundary);
    RUN(append_only_keeps_no_more_than_it_shows);
    RUN(bad_limits);
    RUN(limit_without_order_streams);
    RUN(select_keeps_the_order);
    RUN(random_changes);
    RUN(pruning_changes_nothing);
    return test_result();
}
