/* test_save_set_op.c: INTERSECT and EXCEPT, and scalar subqueries, go on after a restart as if there had been none. */
#include "tests/executor/save_harness.h"

struct flow {
    struct harness_bag bags[2];
};

static void make_row(uint32_t *seed, char *out, size_t bytes)
{
    if (harness_random(seed, 6) == 0)
        snprintf(out, bytes, "\\N %u a", harness_random(seed, 20));
    else
        snprintf(out, bytes, "%u.%s %u %s", harness_random(seed, 30), harness_random(seed, 2) ? "0" : "00",
                 harness_random(seed, 3),
                 harness_random(seed, 2) ? "b" : "a_text_that_is_too_long_to_be_kept_inline");
}

static void change(void *ctx, uint32_t number, uint32_t *seed, struct save_tick *tick)
{
    struct flow *flow = ctx;
    for (uint32_t side = 0; side < 2; side++)
        harness_bag_change(&flow->bags[side], seed, harness_random(seed, number % 10 == 0 ? 60 : 6),
                           number % 30 < 15 ? 75 : 10, make_row, &tick->ports[side]);
}

static bool is_except, all;

static void open_set(struct harness *h)
{
    struct plan *plan = harness_plan(h, PLAN_SET_OP, "numeric int4 text");
    harness_child(h, plan, "numeric int4 text");
    harness_child(h, plan, "numeric int4 text");
    plan->set_op.is_except = is_except;
    plan->set_op.all = all;
    harness_open(h, &op_set_op_class, plan);
}

TEST(set_operations)
{
    for (uint32_t variant = 0; variant < 12; variant++) {
        struct flow *flow = calloc(1, sizeof(*flow));
        is_except = (variant & 1) != 0;
        all = (variant & 2) != 0;
        save_case_run(
            &(struct save_case){
                .open = open_set, .change = change, .ctx = flow, .ticks = 90, .tries_damage = true},
            variant);
        free(flow);
    }
}

static void open_at_most_one(struct harness *h)
{
    static uint32_t partition[] = {1};
    struct plan *plan = harness_plan(h, PLAN_AT_MOST_ONE, "numeric int4 text");
    harness_child(h, plan, "numeric int4 text");
    plan->at_most_one.partition = partition;
    plan->at_most_one.partition_count = is_except ? 1 : 0;
    harness_open(h, &op_at_most_one_class, plan);
}

static void change_few(void *ctx, uint32_t number, uint32_t *seed, struct save_tick *tick)
{
    struct flow *flow = ctx;
    harness_bag_change(&flow->bags[0], seed, harness_random(seed, 4), number % 16 < 8 ? 70 : 20, make_row,
                       &tick->ports[0]);
}

TEST(scalar_subqueries)
{
    for (uint32_t variant = 0; variant < 6; variant++) {
        struct flow *flow = calloc(1, sizeof(*flow));
        is_except = (variant & 1) != 0;
        save_case_run(
            &(struct save_case){.open = open_at_most_one, .change = change_few, .ctx = flow, .ticks = 120},
            variant);
        free(flow);
    }
}

static void open_timed_set(struct harness *h)
{
    struct plan *plan = harness_plan(h, PLAN_SET_OP, "timestamp int4");
    harness_child(h, plan, "timestamp int4");
    harness_child(h, plan, "timestamp int4");
    plan->set_op.is_except = is_except;
    plan->set_op.all = all;
    plan->set_op.expiry = (struct plan_expiry){.known = true, .column = 0, .after_us = 5000000};
    harness_open(h, &op_set_op_class, plan);
}

static void change_timed(void *ctx, uint32_t number, uint32_t *seed, struct save_tick *tick)
{
    (void)ctx;
    for (uint32_t side = 0; side < 2; side++)
        for (uint32_t i = harness_random(seed, 12); i-- > 0;) {
            uint32_t second = number * 2 + harness_random(seed, 4);
            if (harness_random(seed, 20) == 0)
                strbuf_addf(&tick->ports[side], "%+d \\N 1\n", harness_random(seed, 2) ? 1 : -1);
            else
                strbuf_addf(&tick->ports[side], "%+d 2000-01-01T00:%02u:%02u %u\n",
                            harness_random(seed, 3) ? 1 : -1, second / 60, second % 60,
                            harness_random(seed, 2));
        }
    if (harness_random(seed, 2) == 0)
        tick->watermark = (int64_t)number * 2000000;
}

TEST(set_operations_that_forget)
{
    for (uint32_t variant = 0; variant < 4; variant++) {
        is_except = (variant & 1) != 0;
        all = (variant & 2) != 0;
        save_case_run(&(struct save_case){.open = open_timed_set, .change = change_timed, .ticks = 150},
                      variant);
    }
}

int main(void)
{
    RUN(set_operations);
    RUN(set_operations_that_forget);
    RUN(scalar_subqueries);
    return test_result();
}
