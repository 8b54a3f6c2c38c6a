/* test_op_set_op.c: INTERSECT and EXCEPT against counting, scalar subqueries, and window assignment. */
#include "tests/executor/op_harness.h"

static struct plan *set_plan(struct harness *h, bool is_except, bool all)
{
    struct plan *plan = harness_plan(h, PLAN_SET_OP, "int4 text");
    harness_child(h, plan, "int4 text");
    harness_child(h, plan, "int4 text");
    plan->set_op.is_except = is_except;
    plan->set_op.all = all;
    return plan;
}

TEST(a_left_row_stands_for_its_value)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = harness_plan(&h, PLAN_SET_OP, "numeric");
    harness_child(&h, plan, "numeric");
    harness_child(&h, plan, "numeric");
    plan->set_op.is_except = true;
    harness_open(&h, &op_set_op_class, plan);
    EXPECT_TEXT(harness_tick2(&h, "", "+ 1.00\n"), "");
    EXPECT_TEXT(harness_tick2(&h, "+ 1.0\n", ""), "");
    EXPECT_TEXT(harness_tick2(&h, "", "- 1.00\n"), "+ 1.0\n");
    EXPECT_TEXT(harness_tick2(&h, "+ \\N\n", "+ \\N\n"), "");
    EXPECT_TEXT(harness_tick2(&h, "", "- \\N\n"), "+ \\N\n");
    EXPECT_TEXT(harness_tick2(&h, "- \\N\n- 1.0\n", ""), "- 1.0\n- \\N\n");
    EXPECT_INT(op_set_op_class.state_rows(h.op), 0);
    harness_close(&h);
}

static void make_row(uint32_t *seed, char *out, size_t bytes)
{
    if (harness_random(seed, 6) == 0)
        snprintf(out, bytes, "\\N %c", 'a' + harness_random(seed, 2));
    else
        snprintf(out, bytes, "%u %c", harness_random(seed, 3), 'a' + harness_random(seed, 2));
}

static uint32_t copies_of(const struct harness_bag *bag, const char *row)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < bag->count; i++)
        count += strcmp(bag->rows[i], row) == 0;
    return count;
}

static void expected_rows(const struct harness_bag *left, const struct harness_bag *right, bool is_except,
                          bool all, struct strbuf *out)
{
    const char *values[] = {"0", "1", "2", "\\N"};
    strbuf_reset(out);
    for (uint32_t v = 0; v < 4; v++) {
        for (char c = 'a'; c <= 'b'; c++) {
            char row[16];
            snprintf(row, sizeof(row), "%s %c", values[v], c);
            int l = (int)copies_of(left, row), r = (int)copies_of(right, row);
            int count = is_except ? l - r : l < r ? l : r;
            if (!all)
                count = is_except ? l > 0 && r == 0 : l > 0 && r > 0;
            if (count == 1)
                strbuf_addf(out, "+ %s\n", row);
            else if (count > 1)
                strbuf_addf(out, "+%d %s\n", count, row);
        }
    }
}

/* Sorts the lines of the expectation as the harness does. */
static const char *sorted(struct harness *h, const struct strbuf *text)
{
    struct batch *batch = batch_create(&h->text_arena, h->op->types, h->op->columns_count, 16);
    struct error err;
    EXPECT(text->len == 0 || batch_from_text(batch, text->data, &err));
    return arena_strdup(&h->text_arena, harness_text(h, batch));
}

TEST(random_changes)
{
    static struct harness_bag bags[2];
    for (uint32_t variant = 0; variant < 8; variant++) {
        bool is_except = (variant & 1) != 0, all = (variant & 2) != 0;
        uint32_t seed = variant + 1, changes = (variant & 4) != 0 ? 15 : 1;
        bags[0].count = bags[1].count = 0;
        struct harness h;
        harness_init(&h, DATAFLOW_CONTINUOUS);
        harness_open(&h, &op_set_op_class, set_plan(&h, is_except, all));
        struct strbuf text[2] = {STRBUF_INIT, STRBUF_INIT}, expected = STRBUF_INIT;
        for (uint32_t t = 0; t < 100; t++) {
            for (uint32_t side = 0; side < 2; side++) {
                strbuf_reset(&text[side]);
                harness_bag_change(&bags[side], &seed, harness_random(&seed, changes + 1),
                                   t % 30 < 15 ? 70 : 30, make_row, &text[side]);
            }
            harness_tick2(&h, strbuf_text(&text[0]), strbuf_text(&text[1]));
            expected_rows(&bags[0], &bags[1], is_except, all, &expected);
            const char *wanted = sorted(&h, &expected);
            EXPECT_TEXT(harness_contents(&h), wanted);
        }
        for (uint32_t side = 0; side < 2; side++)
            strbuf_release(&text[side]);
        strbuf_release(&expected);
        harness_close(&h);
    }
}

TEST(at_most_one_withholds_while_there_are_more)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = harness_plan(&h, PLAN_AT_MOST_ONE, "int4 text");
    harness_child(&h, plan, "int4 text");
    uint32_t partition = 0;
    plan->at_most_one.partition = &partition;
    plan->at_most_one.partition_count = 1;
    harness_open(&h, &op_at_most_one_class, plan);
    const char *appears = "+1 21000 more than one row returned by a subquery used as an expression\n";
    EXPECT_TEXT(harness_tick(&h, "+ 1 a\n+ 2 b\n"), "+ 1 a\n+ 2 b\n");
    struct strbuf text = STRBUF_INIT;
    strbuf_addf(&text, "- 1 a\n%s", appears);
    EXPECT_TEXT(harness_tick(&h, "+ 1 a\n"), strbuf_text(&text));
    EXPECT_TEXT(harness_tick(&h, "+ 1 c\n"), "");
    EXPECT_TEXT(harness_tick(&h, "-2 1 a\n"),
                "+ 1 c\n-1 21000 more than one row returned by a subquery used as an expression\n");
    EXPECT_TEXT(harness_tick(&h, "- 1 c\n+ 1 d\n"), "+ 1 d\n- 1 c\n");
    EXPECT_TEXT(harness_tick(&h, "- 1 d\n- 2 b\n"), "- 1 d\n- 2 b\n");
    strbuf_release(&text);
    harness_close(&h);

    harness_init(&h, DATAFLOW_ONE_SHOT);
    plan = harness_plan(&h, PLAN_AT_MOST_ONE, "int4");
    harness_child(&h, plan, "int4");
    harness_open(&h, &op_at_most_one_class, plan);
    EXPECT_TEXT(harness_tick(&h, "+ 1\n+ 1\n"),
                "error 21000 more than one row returned by a subquery used as an expression\n");
    harness_close(&h);
}

TEST(windows)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = harness_plan(&h, PLAN_WINDOW, "timestamp timestamp timestamp");
    harness_child(&h, plan, "timestamp");
    plan->window.slide_us = plan->window.size_us = 600000000;
    harness_open(&h, &op_window_class, plan);
    struct batch *in = batch_create(&h.arena, plan->types, 1, 4);
    struct datum times[] = {datum_i64(0), datum_i64(-1), datum_i64(599999999), datum_null()};
    for (int i = 0; i < 4; i++)
        batch_append_datums(in, &times[i], i == 1 ? -1 : 1);
    struct error err;
    EXPECT(harness_push_batch(&h, 0, in, &err));
    EXPECT_INT(h.output->rows, 3);
    const int64_t *starts = h.output->columns[1].data, *ends = h.output->columns[2].data;
    EXPECT_INT(starts[0], 0);
    EXPECT_INT(ends[0], 600000000);
    EXPECT_INT(starts[1], -600000000);
    EXPECT_INT(ends[1], 0);
    EXPECT_INT(batch_weight(h.output, 1), -1);
    EXPECT_INT(starts[2], 0);
    harness_close(&h);

    harness_init(&h, DATAFLOW_CONTINUOUS);
    plan = harness_plan(&h, PLAN_WINDOW, "timestamp timestamp timestamp");
    harness_child(&h, plan, "timestamp");
    plan->window.slide_us = 4;
    plan->window.size_us = 10;
    plan->window.offset_us = 1;
    harness_open(&h, &op_window_class, plan);
    in = batch_create(&h.arena, plan->types, 1, 4);
    struct datum time = datum_i64(9);
    batch_append_datums(in, &time, 1);
    EXPECT(harness_push_batch(&h, 0, in, &err));
    EXPECT_INT(h.output->rows, 3); /* [1,11) [5,15) [9,19); [-3,7) has ended, at 0 + 1 - 1 */
    starts = h.output->columns[1].data;
    EXPECT_INT(starts[0], 1);
    EXPECT_INT(starts[1], 5);
    EXPECT_INT(starts[2], 9);
    harness_close(&h);
}

int main(void)
{
    RUN(a_left_row_stands_for_its_value);
    RUN(random_changes);
    RUN(at_most_one_withholds_while_there_are_more);
    RUN(windows);
    return test_result();
}
