/* test_save_aggregate.c: aggregates go on after a restart as if there had been none: groups, accumulators of every kind,
 * DISTINCT sets, ordered multisets, spellings, what is forgotten. */
#include "tests/executor/save_harness.h"

#include <math.h>

#define SECOND INT64_C(1000000)

static struct plan_aggregate_call *add_call(struct harness *h, struct plan *plan, const char *name,
                                            const char *args, int32_t column)
{
    struct plan_aggregate_call *call = &plan->aggregate.calls[plan->aggregate.calls_count];
    *call = (struct plan_aggregate_call){.aggregate = harness_aggregate(name, args), .filter = -1};
    call->type = plan->types[plan->aggregate.groups_count + plan->aggregate.calls_count++];
    if (column >= 0) {
        call->args = ARENA_ARRAY(&h->arena, uint32_t, 4);
        call->args[0] = call->args[1] = (uint32_t)column;
        call->args_count = strchr(args, ',') != NULL ? 2 : 1;
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

/* ---- input: key numeric, int4, numeric, float8, text, bool ---- */

#define INPUT "numeric int4 numeric float8 text bool"

static void make_row(uint32_t *seed, char *out, size_t bytes)
{
    static const char *const numerics[] = {"NaN", "Infinity", "1e40", "-1e60", "0.000000000001",
                                           "\\N", "7.50"};
    static const char *const floats[] = {"NaN", "-Infinity", "1e308", "-1e308", "5e-324", "-0", "\\N", "0.1"};
    static const char *const texts[] = {"a", "b", "a_text_that_is_not_inline", "\\N"};
    char number[16], numeric[24], real[24];
    snprintf(number, sizeof(number), "%d", (int)harness_random(seed, 2000) - 1000);
    if (harness_random(seed, 4) == 0)
        snprintf(numeric, sizeof(numeric), "%s", numerics[harness_random(seed, ARRAY_COUNT(numerics))]);
    else
        snprintf(numeric, sizeof(numeric), "%d.%02u", (int)harness_random(seed, 200) - 100,
                 harness_random(seed, 100));
    if (harness_random(seed, 4) == 0)
        snprintf(real, sizeof(real), "%s", floats[harness_random(seed, ARRAY_COUNT(floats))]);
    else
        snprintf(real, sizeof(real), "%de%d", (int)harness_random(seed, 200) - 100,
                 (int)harness_random(seed, 60) - 30);
    snprintf(out, bytes, "%u.%s %s %s %s %s %s", harness_random(seed, 6),
             harness_random(seed, 2) == 0 ? "0" : "00", harness_random(seed, 8) == 0 ? "\\N" : number,
             numeric, real, texts[harness_random(seed, 4)], harness_random(seed, 2) == 0 ? "t" : "f");
}

static void change(void *ctx, uint32_t number, uint32_t *seed, struct save_tick *tick)
{
    /* from time to time everything goes */
    harness_bag_change(ctx, seed, harness_random(seed, number % 10 == 0 ? 60 : 6), number % 30 < 15 ? 75 : 10,
                       make_row, &tick->ports[0]);
}

static void change_inserts(void *ctx, uint32_t number, uint32_t *seed, struct save_tick *tick)
{
    struct harness_bag *bag = ctx;
    bag->count = 0;
    (void)number;
    harness_bag_change(bag, seed, harness_random(seed, 6), 100, make_row, &tick->ports[0]);
}

/* ---- calls ---- */

static uint32_t groups_wanted, calls_wanted;
static bool append_only;

static void plan_and_open(struct harness *h)
{
    char output[256];
    static const char *const calls_types[] = {
        "int8 int8 numeric numeric numeric float8 float8",
        "float8 float8 int8 bool int4 numeric float8",
        "text numeric text int8 int8 numeric int4[]",
        "int8 int4 numeric text float8 text float8",
    };
    snprintf(output, sizeof(output), "%s%s", groups_wanted > 0 ? "numeric " : "", calls_types[calls_wanted]);
    struct plan *plan = aggregate_plan(h, output, INPUT, groups_wanted);
    plan->children[0]->append_only = append_only;
    struct plan_aggregate_call *call;
    if (calls_wanted == 0) {
        add_call(h, plan, "count", "", -1);
        add_call(h, plan, "sum", "int4", 1)->filter = 5;
        add_call(h, plan, "avg", "int4", 1);
        add_call(h, plan, "sum", "numeric", 2);
        add_call(h, plan, "stddev", "numeric", 2);
        add_call(h, plan, "avg", "float8", 3);
        add_call(h, plan, "variance", "float8", 3);
    } else if (calls_wanted == 1) {
        add_call(h, plan, "regr_sxx", "float8,float8", 3);
        add_call(h, plan, "corr", "float8,float8", 3);
        add_call(h, plan, "regr_count", "float8,float8", 3);
        add_call(h, plan, "bool_and", "bool", 5);
        add_call(h, plan, "bit_xor", "int4", 1);
        add_call(h, plan, "var_pop", "int4", 1);
        add_call(h, plan, "sum", "float8", 3);
    } else if (calls_wanted == 2) {
        add_call(h, plan, "max", "text", 4);
        add_call(h, plan, "min", "numeric", 2);
        call = add_call(h, plan, "string_agg", "text,text", 4);
        call->order = ARENA_NEW(&h->arena, struct sort_key);
        call->order[0] = (struct sort_key){.column = 1, .descending = true};
        call->order_count = 1;
        add_call(h, plan, "count", "any", 2)->is_distinct = true;
        call = add_call(h, plan, "count", "any", 2);
        call->is_distinct = true;
        call->filter = 5;
        add_call(h, plan, "sum", "numeric", 2)->is_distinct = true;
        add_call(h, plan, "array_agg", "anynonarray", 1);
    } else {
        add_call(h, plan, "count", "any", 4)->is_distinct = true;
        add_call(h, plan, "min", "int4", 1);
        add_call(h, plan, "max", "numeric", 2);
        add_call(h, plan, "min", "text", 4);
        add_call(h, plan, "max", "float8", 3);
        add_call(h, plan, "max", "text", 4);
        add_call(h, plan, "min", "float8", 3);
    }
    harness_open(h, &op_aggregate_class, plan);
}

TEST(every_kind_of_state)
{
    for (uint32_t variant = 0; variant < 16; variant++) {
        struct harness_bag *bag = calloc(1, sizeof(*bag));
        calls_wanted = variant % 4;
        groups_wanted = variant / 4 % 2;
        append_only = variant / 8 != 0;
        save_case_run(&(struct save_case){.open = plan_and_open,
                                          .change = append_only ? change_inserts : change,
                                          .ctx = bag,
                                          .ticks = 60,
                                          .tries_damage = true},
                      variant);
        free(bag);
    }
}

/* ---- what is forgotten ---- */

static void open_timed(struct harness *h)
{
    struct plan *plan = aggregate_plan(h, "timestamp int4 int8 int8 text numeric", "timestamp int4 text", 2);
    add_call(h, plan, "count", "any", 1)->is_distinct = true;
    add_call(h, plan, "count", "any", 2)->is_distinct = true;
    add_call(h, plan, "max", "text", 2);
    add_call(h, plan, "avg", "int4", 1);
    plan->aggregate.expiry = (struct plan_expiry){.known = true, .column = 0, .after_us = 5 * SECOND};
    harness_open(h, &op_aggregate_class, plan);
}

static void change_timed(void *ctx, uint32_t number, uint32_t *seed, struct save_tick *tick)
{
    (void)ctx;
    for (uint32_t i = harness_random(seed, 20); i-- > 0;) {
        uint32_t second = number * 2 + harness_random(seed, 4);
        const char *sign = harness_random(seed, 4) == 0 ? "-" : "+";
        uint32_t value = harness_random(seed, 3), text = harness_random(seed, 5);
        if (harness_random(seed, 20) == 0)
            strbuf_addf(&tick->ports[0], "+ \\N %u text%u\n", value, text);
        else
            strbuf_addf(&tick->ports[0], "%s 2000-01-01T00:%02u:%02u %u a_text_that_is_not_inline_%u\n", sign,
                        second / 60, second % 60, value, text);
    }
    if (harness_random(seed, 2) == 0)
        tick->watermark = (int64_t)number * 2 * SECOND;
}

TEST(groups_that_are_forgotten)
{
    for (uint32_t seed = 0; seed < 4; seed++)
        save_case_run(
            &(struct save_case){
                .open = open_timed, .change = change_timed, .ticks = 150, .tries_damage = seed % 2 == 1},
            seed);
}

/* ---- windows of slices ---- */

static void open_hop(struct harness *h)
{
    static uint8_t roles[] = {ROLE_NONE, ROLE_WINDOW_START};
    static uint32_t groups[] = {0, 3};
    struct plan *plan =
        aggregate_plan(h, "int4 timestamp int8 int8 float8", "int4 float8 timestamp timestamp", 2);
    plan->aggregate.groups = groups;
    add_call(h, plan, "count", "", -1);
    add_call(h, plan, "sum", "int4", 0);
    add_call(h, plan, "sum", "float8", 1);
    struct plan_slices *slices = ARENA_NEW(&h->arena, struct plan_slices);
    *slices = (struct plan_slices){
        .slice_us = SECOND, .slide_us = 2 * SECOND, .size_us = 6 * SECOND, .roles = roles};
    plan->aggregate.slices = slices;
    plan->aggregate.expiry = (struct plan_expiry){.known = true, .column = 1, .after_us = 6 * SECOND};
    harness_open(h, &op_aggregate_class, plan);
}

static void change_hop(void *ctx, uint32_t number, uint32_t *seed, struct save_tick *tick)
{
    (void)ctx;
    for (uint32_t i = harness_random(seed, 20); i-- > 0;) {
        uint32_t second = number + harness_random(seed, 4);
        strbuf_addf(&tick->ports[0], "+ %u %d.5 2000-01-01T00:%02u:%02u.5 2000-01-01T00:%02u:%02u\n",
                    harness_random(seed, 3), (int)harness_random(seed, 100) - 50, second / 60, second % 60,
                    second / 60, second % 60);
    }
    if (harness_random(seed, 2) == 0)
        tick->watermark = (int64_t)number * SECOND;
}

TEST(windows_of_slices)
{
    for (uint32_t seed = 0; seed < 3; seed++)
        save_case_run(&(struct save_case){.open = open_hop, .change = change_hop, .ticks = 120}, seed);
}

/* ---- states as bytes ---- */

/* A sum that is merged on and on needs no more room than its value does. */
TEST(merged_sums_stay_small)
{
    struct table_heap *heap = table_heap_create(NULL);
    const struct aggregate_row *row = harness_aggregate("sum", "float8");
    struct agg_call call = {.aggregate = row, .heap = heap};
    uint64_t states[2][16] = {{0}};
    CHECK(row->state_bytes <= sizeof(states[0]));
    double value = -1e300;
    struct column column = {.type = {OID_FLOAT8, -1}, .phys = PHYS_F64, .data = &value};
    void *at = states[0];
    row->add(&call, &column, NULL, 1, NULL, &at);
    for (uint32_t i = 0; i < 100; i++) {
        void *whole = states[(i + 1) % 2], *part = states[i % 2];
        row->merge(&call, &whole, &part, 1);
        row->release(&call, part);
        memset(part, 0, sizeof(states[0]));
    }
    struct strbuf bytes = STRBUF_INIT;
    aggregate_save(&call, states[0], &bytes);
    EXPECT(bytes.len < 100);
    strbuf_release(&bytes);
    row->release(&call, states[0]);
    table_heap_destroy(heap);
}

/* Sums of integers beyond int8 and back. */
TEST(wide_sums)
{
    struct table_heap *heap = table_heap_create(NULL);
    const struct aggregate_row *row = harness_aggregate("sum", "int8");
    struct agg_call call = {.aggregate = row, .heap = heap};
    uint64_t state[2] = {0}, again[2] = {0};
    int64_t value = INT64_MAX;
    struct column column = {.type = {OID_INT8, -1}, .phys = PHYS_I64, .data = &value};
    void *at = state;
    struct strbuf bytes = STRBUF_INIT, bytes_again = STRBUF_INIT;
    struct error err;
    for (uint32_t i = 0; i < 3; i++) {
        row->add(&call, &column, NULL, 1, NULL, &at);
        strbuf_reset(&bytes);
        strbuf_reset(&bytes_again);
        aggregate_save(&call, state, &bytes);
        EXPECT_INT(bytes.len, i == 0 ? 16 : 24);
        EXPECT(aggregate_load(&call, again, (const uint8_t *)bytes.data, bytes.len, &err));
        aggregate_save(&call, again, &bytes_again);
        EXPECT(bytes.len == bytes_again.len && memcmp(bytes.data, bytes_again.data, bytes.len) == 0);
        row->release(&call, again);
        EXPECT(!aggregate_load(&call, again, (const uint8_t *)bytes.data, bytes.len - 1, &err));
    }
    strbuf_release(&bytes);
    strbuf_release(&bytes_again);
    row->release(&call, state);
    table_heap_destroy(heap);
}

/* Whoever has memory of its own says how it is saved. */
TEST(states_on_the_heap_are_saved)
{
    for (size_t i = 0; aggregate_at(i) != NULL; i++) {
        const struct aggregate_row *row = aggregate_at(i);
        EXPECT((row->release != NULL) == (row->save != NULL) && (row->save != NULL) == (row->load != NULL));
        EXPECT(row->state_bytes % 8 == 0);
    }
}

int main(void)
{
    RUN(every_kind_of_state);
    RUN(groups_that_are_forgotten);
    RUN(windows_of_slices);
    RUN(merged_sums_stay_small);
    RUN(wide_sums);
    RUN(states_on_the_heap_are_saved);
    return test_result();
}
