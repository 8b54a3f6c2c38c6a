/* test_save_session.c: session windows go on after a restart as if there had been none, in both forms, with and without
 * kept rows, and where rows can be late. */
#include "tests/executor/save_harness.h"

#define SECOND INT64_C(1000000)

static bool is_aggregate, append_only;
static int64_t gap, grace; /* seconds; grace < 0: nothing is late */

static void plan_and_open(struct harness *h)
{
    static uint32_t key[] = {0}, groups[] = {4, 0, 3}, value[] = {2}, text[] = {3};
    groups[0] = 5;
    groups[2] = 4;
    struct plan *plan = harness_plan(h, PLAN_SESSION,
                                     is_aggregate ? "timestamp numeric timestamp int8 int4 float8 int4 text"
                                                  : "numeric timestamp int4 text timestamp timestamp");
    harness_child(h, plan, "numeric timestamp int4 text");
    plan->children[0]->append_only = append_only;
    plan->session.time_column = 1;
    plan->session.gap_us = gap * SECOND;
    plan->session.keys = key;
    plan->session.keys_count = 1;
    plan->session.is_aggregate = is_aggregate;
    if (grace >= 0) {
        plan->session.lateness = ARENA_NEW(&h->arena, struct plan_lateness);
        plan->session.lateness->grace_us = grace * SECOND;
    }
    if (is_aggregate) {
        static const char *const calls[][2] = {
            {"count", ""}, {"max", "int4"}, {"variance", "int4"}, {"min", "int4"}, {"max", "text"}};
        plan->types[5].oid = OID_NUMERIC; /* of variance */
        plan->session.groups = groups;
        plan->session.groups_count = 3;
        plan->session.calls_count = 5;
        plan->session.calls = ARENA_ARRAY(&h->arena, struct plan_aggregate_call, 5);
        for (uint32_t c = 0; c < 5; c++)
            plan->session.calls[c] =
                (struct plan_aggregate_call){.aggregate = harness_aggregate(calls[c][0], calls[c][1]),
                                             .type = plan->types[3 + c],
                                             .filter = -1,
                                             .args = c == 4 ? text : value,
                                             .args_count = c > 0};
    }
    harness_open(h, &op_session_class, plan);
}

static void write_row(uint32_t *seed, uint32_t second, char *out, size_t bytes)
{
    static const char *const keys[] = {"1.0", "1.00", "2", "\\N"};
    static const char *const texts[] = {"a", "\\N", "a_text_that_is_not_inline"};
    char value[16] = "\\N";
    if (harness_random(seed, 8) > 0)
        snprintf(value, sizeof(value), "%u", harness_random(seed, 50));
    snprintf(out, bytes, "%s 2000-01-01T00:%02u:%02u %s %s", keys[harness_random(seed, 4)], second / 60 % 60,
             second % 60, value, texts[harness_random(seed, 3)]);
}

static void make_row(uint32_t *seed, char *out, size_t bytes)
{
    write_row(seed, harness_random(seed, 200), out, bytes);
}

static void change(void *ctx, uint32_t number, uint32_t *seed, struct save_tick *tick)
{
    harness_bag_change(ctx, seed, harness_random(seed, number % 10 == 0 ? 40 : 6),
                       append_only        ? 100
                       : number % 30 < 20 ? 75
                                          : 5,
                       make_row, &tick->ports[0]);
}

TEST(sessions)
{
    grace = -1;
    for (uint32_t variant = 0; variant < 12; variant++) {
        struct harness_bag *bag = calloc(1, sizeof(*bag));
        is_aggregate = (variant & 1) != 0;
        append_only = (variant & 2) != 0;
        gap = 1 + (int64_t)variant / 4 * 3;
        save_case_run(
            &(struct save_case){
                .open = plan_and_open, .change = change, .ctx = bag, .ticks = 80, .tries_damage = true},
            variant);
        free(bag);
    }
}

/* Time goes on; some rows are late. */
static void change_late(void *ctx, uint32_t number, uint32_t *seed, struct save_tick *tick)
{
    char row[96];
    (void)ctx;
    for (uint32_t i = harness_random(seed, 12); i-- > 0;) {
        uint32_t now = 60 + number * 3, back = harness_random(seed, 10) == 0 ? 50 : 12;
        write_row(seed, now - harness_random(seed, back), row, sizeof(row));
        strbuf_addf(&tick->ports[0], "+ %s\n", row);
    }
    if (harness_random(seed, 2) == 0)
        tick->watermark = (50 + (int64_t)number * 3) * SECOND;
}

TEST(sessions_with_late_rows)
{
    for (uint32_t variant = 0; variant < 12; variant++) {
        is_aggregate = (variant & 1) != 0;
        append_only = (variant & 2) != 0;
        gap = 3 + variant % 4;
        grace = variant / 4 * 5;
        save_case_run(&(struct save_case){.open = plan_and_open,
                                          .change = change_late,
                                          .ticks = 200,
                                          .tries_damage = variant % 3 == 0,
                                          .due_may_differ = true},
                      variant);
    }
}

int main(void)
{
    RUN(sessions);
    RUN(sessions_with_late_rows);
    return test_result();
}
