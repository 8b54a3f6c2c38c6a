/* test_saved_rows.c: the operators that keep rows by time or in order, saved and put back at random: what comes afterwards
 * is what comes without that. */
#include "executor/function.h"
#include "executor/operators/op_top_few.h"
#include "tests/executor/save_harness.h"

#define SECOND    INT64_C(1000000)
#define ROWS_KEPT 512

/* ---- rows ---- */

static int64_t base_us(void)
{
    static int64_t base;
    if (base == 0) {
        struct datum value;
        struct error err;
        struct arena arena;
        arena_init(&arena, NULL);
        EXPECT(type_input(OID_TIMESTAMP, -1, "2026-01-01", 10, NULL, &arena, &value, &err));
        base = value.i64;
        arena_release(&arena);
    }
    return base;
}

static int64_t at(int64_t second)
{
    return base_us() + second * SECOND;
}

/* Rows "key time number text" of which some are taken back again, while they are not behind the watermark. Times go up;
 * watermark and clock follow them. */
struct flow {
    const char *columns;     /* of a row: k key, t time, n number, w one of a few numbers, s text */
    uint32_t insert_percent; /* 100: append-only */
    uint32_t keys, ports, rows;
    bool has_watermark, has_odd_times;
    uint32_t period; /* of the watermark, in ticks; 0: each */
    int64_t second, watermark;
    struct {
        char text[ROWS_KEPT][160];
        int64_t times[ROWS_KEPT];
        uint32_t count;
    } kept[2];
};

static void flow_start(struct flow *flow)
{
    flow->kept[0].count = flow->kept[1].count = 0;
    flow->second = 1000;
    flow->watermark = 990;
}

static int64_t flow_row(const struct flow *flow, uint32_t *seed, char *out, size_t bytes)
{
    static const char *const texts[] = {"a", "\\N", "a_text_that_does_not_fit_into_a_row_1", "b",
                                        "a_text_that_does_not_fit_into_a_row_2"};
    int64_t time = flow->watermark + 1 + harness_random(seed, 25);
    size_t len = 0;
    for (const char *c = flow->columns; *c != '\0'; c++) {
        const char *blank = c == flow->columns ? "" : " ";
        uint32_t odd = harness_random(seed, 16);
        if (*c == 'k' && odd == 0)
            len += (size_t)snprintf(out + len, bytes - len, "%s\\N", blank);
        else if (*c == 'k')
            len += (size_t)snprintf(out + len, bytes - len, "%s%u", blank, harness_random(seed, flow->keys));
        else if (*c == 't' && flow->has_odd_times && odd < 2)
            len += (size_t)snprintf(out + len, bytes - len, "%s%s", blank, odd == 0 ? "\\N" : "infinity");
        else if (*c == 't')
            len += (size_t)snprintf(out + len, bytes - len, "%s2026-01-01T%02u:%02u:%02u", blank,
                                    (unsigned)(time / 3600 % 24), (unsigned)(time / 60 % 60),
                                    (unsigned)(time % 60));
        else if (*c == 's')
            len += (size_t)snprintf(out + len, bytes - len, "%s%s", blank, texts[odd % 5]);
        else
            len += (size_t)snprintf(out + len, bytes - len, "%s%u", blank,
                                    harness_random(seed, *c == 'w' ? 3 : 100));
        CHECK(len < bytes);
    }
    return time;
}

static void flow_change(void *ctx, uint32_t tick_number, uint32_t *seed, struct save_tick *tick)
{
    struct flow *flow = ctx;
    for (uint32_t port = 0; port < flow->ports; port++) {
        struct strbuf *text = &tick->ports[port];
        uint32_t rows = harness_random(seed, 3) == 0 ? 0 : harness_random(seed, flow->rows) + 1;
        for (uint32_t i = 0; i < rows; i++) {
            uint32_t count = flow->kept[port].count;
            if (count == 0 || harness_random(seed, 100) < flow->insert_percent) {
                uint32_t place = count < ROWS_KEPT ? flow->kept[port].count++ : harness_random(seed, count);
                flow->kept[port].times[place] =
                    flow_row(flow, seed, flow->kept[port].text[place], sizeof(flow->kept[port].text[0]));
                strbuf_addf(text, "+ %s\n", flow->kept[port].text[place]);
                continue;
            }
            uint32_t place = harness_random(seed, count);
            if (!flow->has_watermark || flow->kept[port].times[place] > flow->watermark)
                strbuf_addf(text, "- %s\n", flow->kept[port].text[place]);
            flow->kept[port].times[place] = flow->kept[port].times[count - 1];
            memmove(flow->kept[port].text[place], flow->kept[port].text[count - 1],
                    sizeof(flow->kept[port].text[0]));
            flow->kept[port].count--;
        }
    }
    flow->second += harness_random(seed, 5);
    tick->now_us = at(flow->second);
    if (!flow->has_watermark || (flow->period > 0 && tick_number % flow->period != 0))
        return;
    flow->watermark = flow->second - 10;
    tick->watermark = at(flow->watermark);
}

/* ---- running ---- */

static struct flow flow;

static void run(void (*open)(struct harness *h), uint32_t seeds, uint32_t ticks)
{
    seeds = test_rounds(seeds, (seeds + 2) / 3); /* at least two: with damage and without */
    for (uint32_t seed = 1; seed <= seeds && test_failures == 0; seed++) {
        struct save_case c = {
            .open = open, .change = flow_change, .ctx = &flow, .ticks = ticks, .tries_damage = seed % 2 == 0};
        flow_start(&flow);
        save_case_run(&c, seed);
        if (test_failures > 0)
            fprintf(stderr, "seed %u\n", seed);
    }
}

static struct expr *number(struct harness *h, int64_t value)
{
    return expr_constant(&h->arena, (struct sql_type){OID_INT8, -1}, datum_i64(value));
}

/* ---- ORDER BY ... LIMIT ---- */

static struct {
    bool append_only, forgets, shows_rank, text_first, descending;
    enum over_kind rank;
    int64_t limit, offset;
    const struct operator_class *class;
} sort;

/* Rows: key, time, number, text. */
static void open_sort(struct harness *h)
{
    struct plan *plan = harness_plan(
        h, PLAN_SORT, sort.shows_rank ? "int4 timestamp int4 text int8" : "int4 timestamp int4 text");
    static uint32_t partition[] = {0, 1};
    static struct sort_key keys[2];
    harness_child(h, plan, "int4 timestamp int4 text");
    plan->children[0]->append_only = sort.append_only;
    plan->sort.partition = partition;
    plan->sort.partition_count = sort.forgets ? 2 : 1;
    keys[sort.text_first] = (struct sort_key){.column = 2, .descending = sort.descending};
    keys[!sort.text_first] = (struct sort_key){.column = 3, .nulls_first = sort.descending};
    plan->sort.keys = keys;
    plan->sort.keys_count = 2;
    plan->sort.limit = number(h, sort.limit);
    if (sort.offset > 0)
        plan->sort.offset = number(h, sort.offset);
    plan->sort.rank = sort.rank;
    plan->sort.shows_rank = sort.shows_rank;
    plan->sort.expiry = (struct plan_expiry){.known = sort.forgets, .column = 1, .after_us = 1};
    harness_open(h, sort.class, plan);
}

static void sort_flow(uint32_t insert_percent)
{
    sort.append_only = insert_percent == 100;
    flow = (struct flow){.columns = "ktns",
                         .insert_percent = insert_percent,
                         .keys = 4,
                         .ports = 1,
                         .rows = 14,
                         .has_watermark = sort.forgets,
                         .has_odd_times = true};
}

TEST(top_n)
{
    static const enum over_kind ranks[] = {OVER_ROW_NUMBER, OVER_RANK, OVER_DENSE_RANK};
    sort.class = &op_top_n_class;
    for (uint32_t bits = 0; bits < 16; bits++) {
        sort.forgets = bits & 1;
        sort.shows_rank = bits & 2;
        sort.text_first = bits & 4;
        sort.rank = ranks[bits % 3];
        sort.limit = 3;
        sort.offset = bits % 5 == 4 ? 2 : 0;
        sort_flow(bits & 8 ? 100 : 60);
        run(open_sort, 6, 60);
    }
}

TEST(top_few)
{
    sort.class = &op_top_few_class;
    sort.offset = 0;
    for (uint32_t bits = 0; bits < 16; bits++) {
        sort.forgets = bits & 1;
        sort.shows_rank = bits & 2;
        sort.text_first = bits & 4;
        sort.descending = bits & 8;
        sort.rank = OVER_ROW_NUMBER;
        sort.limit = bits % 3 == 0 ? 1 : bits % 3 == 1 ? 4 : 20;
        sort_flow(100);
        flow.columns = bits % 5 == 0 ? "ktws" : "ktns"; /* copies of rows, too */
        run(open_sort, 8, 60);
    }
}

/* ---- rows that wait ---- */

static struct {
    bool append_only, corrects;
    int64_t ttl_us;
} queue;

static void open_temporal(struct harness *h)
{
    struct plan *plan = harness_plan(h, PLAN_TEMPORAL_FILTER, "int4 timestamptz text");
    harness_child(h, plan, "int4 timestamptz text");
    plan->children[0]->append_only = queue.append_only;
    plan->temporal_filter.ttl_us = queue.ttl_us;
    if (queue.ttl_us == 0) {
        /* time <= now, and less than 20 seconds ago */
        struct sql_type type = {OID_TIMESTAMPTZ, -1};
        struct plan_time_bound *bounds = ARENA_ARRAY(&h->arena, struct plan_time_bound, 2);
        uint32_t types[] = {OID_TIMESTAMPTZ, OID_INTERVAL};
        struct expr *args[] = {
            expr_column(&h->arena, 0, type),
            expr_constant(&h->arena, (struct sql_type){OID_INTERVAL, -1},
                          (struct datum){.interval = {.us = 20 * SECOND}}),
        };
        bounds[0] = (struct plan_time_bound){.value = expr_column(&h->arena, 1, type),
                                             .comparison = TIME_LESS_EQUAL,
                                             .now = expr_column(&h->arena, 0, type)};
        bounds[1] =
            (struct plan_time_bound){.value = expr_column(&h->arena, 1, type),
                                     .comparison = TIME_GREATER,
                                     .now = expr_call(&h->arena, function_find_exact("-", types, 2), type,
                                                      arena_copy(&h->arena, args, sizeof(args)), 2)};
        plan->temporal_filter.bounds = bounds;
        plan->temporal_filter.bounds_count = 2;
    }
    harness_open(h, &op_temporal_filter_class, plan);
}

static void queue_flow(bool append_only)
{
    queue.append_only = append_only;
    flow = (struct flow){.columns = "kts",
                         .insert_percent = append_only ? 100 : 60,
                         .keys = 3,
                         .ports = 1,
                         .rows = 14,
                         .has_odd_times = true};
}

/* Only its clock moves; rows come for any time around it. */
static void temporal_change(void *ctx, uint32_t tick_number, uint32_t *seed, struct save_tick *tick)
{
    struct flow *self = ctx;
    self->watermark = self->second - 15;
    flow_change(ctx, tick_number, seed, tick);
}

TEST(temporal_filter)
{
    for (uint32_t bits = 0; bits < 3; bits++) {
        queue_flow(bits > 0);
        queue.ttl_us = bits == 2 ? 30 * SECOND : 0;
        for (uint32_t seed = 1; seed <= 40 && test_failures == 0; seed++) {
            struct save_case c = {.open = open_temporal,
                                  .change = temporal_change,
                                  .ctx = &flow,
                                  .ticks = 60,
                                  .tries_damage = seed % 2 == 0};
            flow_start(&flow);
            save_case_run(&c, seed);
        }
    }
}

static void open_final(struct harness *h)
{
    struct plan *plan = harness_plan(h, PLAN_FINAL, "int4 timestamp text");
    harness_child(h, plan, "int4 timestamp text");
    plan->children[0]->append_only = queue.append_only;
    plan->final.column = 1;
    plan->final.corrects = queue.corrects;
    harness_open(h, &op_final_class, plan);
}

TEST(final)
{
    for (uint32_t bits = 0; bits < 4; bits++) {
        queue_flow(bits & 1);
        flow.has_watermark = true;
        queue.corrects = bits & 2;
        run(open_final, 20, 60);
    }
}

static void open_every(struct harness *h)
{
    struct plan *plan = harness_plan(h, PLAN_EVERY, "int4 timestamp text");
    harness_child(h, plan, "int4 timestamp text");
    plan->children[0]->append_only = queue.append_only;
    plan->every.period_us = 7 * SECOND;
    harness_open(h, &op_every_class, plan);
}

TEST(every)
{
    for (uint32_t bits = 0; bits < 2; bits++) {
        queue_flow(bits & 1);
        run(open_every, 20, 60);
    }
}

/* ---- joins in time ---- */

static struct {
    enum join_kind kind;
    enum time_comparison comparison;
    bool has_keys, append_only, forgets, is_left;
} join;

static struct plan *join_plan(struct harness *h, enum plan_kind kind)
{
    bool is_single = kind == PLAN_INTERVAL_JOIN && (join.kind == JOIN_SEMI || join.kind == JOIN_ANTI);
    struct plan *plan =
        harness_plan(h, kind, is_single ? "int4 timestamp text" : "int4 timestamp text int4 timestamp text");
    harness_child(h, plan, "int4 timestamp text");
    harness_child(h, plan, "int4 timestamp text");
    plan->children[0]->append_only = plan->children[1]->append_only = join.append_only;
    return plan;
}

static uint32_t key_column[] = {0};

static void open_interval_join(struct harness *h)
{
    struct plan *plan = join_plan(h, PLAN_INTERVAL_JOIN);
    plan->interval_join.kind = join.kind;
    plan->interval_join.keys_count = join.has_keys;
    plan->interval_join.left_keys = plan->interval_join.right_keys = key_column;
    plan->interval_join.left_time = plan->interval_join.right_time = 1;
    plan->interval_join.lower_us = -2 * SECOND;
    plan->interval_join.upper_us = 5 * SECOND;
    if (join.forgets) {
        plan->interval_join.left_expiry = (struct plan_expiry){true, 1, 5 * SECOND + 1};
        plan->interval_join.right_expiry = (struct plan_expiry){true, 1, 2 * SECOND + 1};
    }
    harness_open(h, &op_interval_join_class, plan);
}

static void join_flow(void)
{
    flow = (struct flow){.columns = "kts",
                         .insert_percent = join.append_only ? 100 : 65,
                         .keys = 6,
                         .ports = 2,
                         .rows = 10,
                         .has_watermark = join.forgets,
                         .has_odd_times = true,
                         .period = 3};
}

TEST(interval_joins)
{
    for (uint32_t kind = JOIN_INNER; kind <= JOIN_ANTI; kind++) {
        for (uint32_t bits = 0; bits < 8; bits++) {
            join.kind = (enum join_kind)kind;
            join.has_keys = bits & 1;
            join.append_only = bits & 2;
            join.forgets = bits & 4;
            join_flow();
            run(open_interval_join, 4, 50);
        }
    }
}

static void open_asof_join(struct harness *h)
{
    struct plan *plan = join_plan(h, PLAN_ASOF_JOIN);
    plan->asof_join.is_left = join.is_left;
    plan->asof_join.keys_count = join.has_keys;
    plan->asof_join.left_keys = plan->asof_join.right_keys = key_column;
    plan->asof_join.left_time = plan->asof_join.right_time = 1;
    plan->asof_join.comparison = join.comparison;
    if (join.forgets) {
        plan->asof_join.left_expiry = (struct plan_expiry){true, 1, 1};
        plan->asof_join.right_expiry = (struct plan_expiry){true, 1, 1};
    }
    harness_open(h, &op_asof_join_class, plan);
}

TEST(asof_joins)
{
    for (uint32_t bits = 0; bits < 64; bits++) {
        join.has_keys = bits & 1;
        join.append_only = bits & 2;
        join.is_left = bits & 4;
        join.forgets = bits & 8;
        join.comparison = (enum time_comparison)(bits >> 4);
        /* what comes before the left row: the other way round nothing can be forgotten */
        join.forgets &= join.comparison == TIME_GREATER || join.comparison == TIME_GREATER_EQUAL;
        join_flow();
        run(open_asof_join, 4, 50);
    }
}

int main(void)
{
    RUN(top_n);
    RUN(top_few);
    RUN(temporal_filter);
    RUN(final);
    RUN(every);
    RUN(interval_joins);
    RUN(asof_joins);
    return test_result();
}
