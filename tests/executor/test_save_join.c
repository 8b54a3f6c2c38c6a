/* test_save_join.c: joins and lookup joins whose sides are saved and put back at random, also such that forget. */
#include "tests/executor/save_harness.h"

#define SECOND INT64_C(1000000)

static struct {
    enum join_kind kind;
    bool is_lookup, forgets;
    bool append_only[2];
} wanted;

struct flow {
    int64_t base_us;
    uint32_t second;
    char recent[2][64][128]; /* rows that may be taken back: not behind the watermark */
    uint32_t recent_count[2];
};

/* (ts timestamp, k int4, t text) on both sides, joined by ts and k, or k alone. */
static void open_join(struct harness *h)
{
    static uint32_t keys[] = {1, 0};
    bool only_left = !wanted.is_lookup && (wanted.kind == JOIN_SEMI || wanted.kind == JOIN_ANTI);
    struct plan *plan =
        harness_plan(h, wanted.is_lookup ? PLAN_LOOKUP_JOIN : PLAN_JOIN,
                     only_left ? "timestamp int4 text" : "timestamp int4 text timestamp int4 text");
    for (uint32_t side = 0; side < 2; side++) {
        harness_child(h, plan, "timestamp int4 text");
        plan->children[side]->append_only = wanted.append_only[side];
    }
    if (wanted.is_lookup) {
        plan->lookup_join.is_left = wanted.kind == JOIN_LEFT;
        plan->lookup_join.keys_count = 1;
        plan->lookup_join.left_keys = plan->lookup_join.right_keys = keys;
        harness_open(h, &op_lookup_join_class, plan);
        return;
    }
    plan->join.kind = wanted.kind;
    plan->join.keys_count = wanted.forgets ? 2 : 1;
    plan->join.left_keys = plan->join.right_keys = keys;
    plan->join.left_expiry = plan->join.right_expiry =
        (struct plan_expiry){.known = wanted.forgets, .column = 0, .after_us = 1};
    harness_open(h, &op_join_class, plan);
}

static void change(void *ctx, uint32_t tick_number, uint32_t *seed, struct save_tick *tick)
{
    struct flow *flow = ctx;
    for (uint32_t side = 0; side < 2; side++) {
        if (tick_number % 6 == 5) /* the watermark moves: what came before stays */
            flow->recent_count[side] = 0;
        for (uint32_t n = harness_random(seed, 8); n > 0; n--) {
            uint32_t *count = &flow->recent_count[side];
            if (!wanted.append_only[side] && *count > 0 && harness_random(seed, 3) == 0) {
                uint32_t at = harness_random(seed, *count);
                strbuf_addf(&tick->ports[side], "- %s\n", flow->recent[side][at]);
                --*count;
                memmove(flow->recent[side][at], flow->recent[side][*count], sizeof(flow->recent[side][at]));
                continue;
            }
            if (*count == ARRAY_COUNT(flow->recent[side]))
                continue;
            char *row = flow->recent[side][(*count)++];
            const char *text = "\\N";
            uint32_t second = flow->second + 1 + harness_random(seed, 3), odd = harness_random(seed, 12);
            if (odd < 11)
                text = odd < 6 ? "short" : "a_text_that_does_not_fit_in_a_row";
            char time[48], key[16];
            snprintf(time, sizeof(time), "2026-01-01T%02u:%02u:%02u", second / 3600, second / 60 % 60,
                     second % 60);
            snprintf(key, sizeof(key), "%u", harness_random(seed, 4));
            const char *shown = odd == 0 ? "\\N" : odd == 1 ? "infinity" : time;
            snprintf(row, sizeof(flow->recent[side][0]), "%s %s %s", shown, odd == 2 ? "\\N" : key, text);
            strbuf_addf(&tick->ports[side], "+ %s\n", row);
        }
    }
    if (tick_number % 6 == 5) {
        flow->second += 3;
        tick->watermark = flow->base_us + flow->second * SECOND;
    }
}

static void run(uint32_t seed)
{
    static struct flow flow;
    memset(&flow, 0, sizeof(flow));
    struct datum base;
    struct error err;
    struct arena arena;
    arena_init(&arena, NULL);
    EXPECT(type_input(OID_TIMESTAMP, -1, "2026-01-01", 10, NULL, &arena, &base, &err));
    arena_release(&arena);
    flow.base_us = base.i64;
    /* what has been taken back waits for its time: a restored operator does not know of it */
    const struct save_case c = {
        .open = open_join, .change = change, .ctx = &flow, .ticks = 120, .due_may_differ = true};
    save_case_run(&c, seed);
}

TEST(joins)
{
    for (uint32_t seed = 0; seed < 40; seed++) {
        wanted.kind = (enum join_kind)(JOIN_INNER + seed % 5);
        wanted.is_lookup = false;
        wanted.forgets = seed % 2;
        wanted.append_only[0] = seed & 4;
        wanted.append_only[1] = seed & 8;
        run(seed);
    }
}

TEST(lookup_joins)
{
    for (uint32_t seed = 0; seed < 8; seed++) {
        wanted.kind = seed & 1 ? JOIN_LEFT : JOIN_INNER;
        wanted.is_lookup = true;
        wanted.append_only[0] = true;
        wanted.append_only[1] = seed & 2;
        run(seed);
    }
}

int main(void)
{
    RUN(joins);
    RUN(lookup_joins);
    return test_result();
}
