/* test_op_temporal.c: conditions on the clock against the clock tried out moment by moment; rows that wait for the clock
 * or the watermark against bags of them. */
#include "executor/clock_function.h"
#include "executor/expr_program.h"
#include "executor/function.h"
#include "storage/data/datetime_internal.h"
#include "tests/executor/op_harness.h"

#define MINUTE_US (60 * US_PER_SECOND)
#define HOUR_US   (3600 * US_PER_SECOND)

/* ---- expressions ---- */

static struct expr *clock_column(struct arena *arena)
{
    return expr_column(arena, 0, (struct sql_type){OID_TIMESTAMPTZ, -1});
}

static struct expr *call2(struct arena *arena, const char *name, uint32_t result, struct expr *a,
                          struct expr *b)
{
    uint32_t types[] = {a->type.oid, b->type.oid};
    const struct function_row *function = function_find_exact(name, types, 2);
    CHECK(function != NULL);
    struct expr **args = ARENA_ARRAY(arena, struct expr *, 2);
    args[0] = a;
    args[1] = b;
    return expr_call(arena, function, (struct sql_type){result, -1}, args, 2);
}

static struct expr *interval(struct arena *arena, int32_t months, int32_t days, int64_t us)
{
    struct datum value = {.interval = {.months = months, .days = days, .us = us}};
    return expr_constant(arena, (struct sql_type){OID_INTERVAL, -1}, value);
}

static struct expr *word(struct arena *arena, const char *text)
{
    struct datum value = {.var = varlen_view(text, (uint32_t)strlen(text))};
    return expr_constant(arena, (struct sql_type){OID_TEXT, -1}, value);
}

static struct expr *cast(struct arena *arena, struct expr *from, uint32_t to)
{
    struct expr *expr = expr_new(arena, EXPR_CAST, (struct sql_type){to, -1});
    expr->args = ARENA_ARRAY(arena, struct expr *, 1);
    expr->args[0] = from;
    expr->args_count = 1;
    expr->cast = CAST_FUNCTION;
    expr->function = function_find_cast(from->type.oid, to);
    CHECK(expr->function != NULL);
    return expr;
}

static struct expr *minus(struct arena *arena, struct expr *clock, struct expr *interval)
{
    uint32_t type =
        clock->type.oid == OID_DATE && interval->type.oid == OID_INTERVAL ? OID_TIMESTAMP : clock->type.oid;
    return call2(arena, "-", type, clock, interval);
}

#define EXPRESSIONS 17
static struct expr *expression(struct arena *a, uint32_t number)
{
    struct expr *now = clock_column(a), *local = cast(a, now, OID_TIMESTAMP), *day = cast(a, now, OID_DATE);
    switch (number) {
    case 0:
        return now;
    case 1:
        return minus(a, now, interval(a, 0, 0, 5 * MINUTE_US));
    case 2:
        return minus(a, now, interval(a, 0, 1, 0));
    case 3:
        return minus(a, now, interval(a, 1, 0, 0));
    case 4:
        return call2(a, "+", OID_TIMESTAMPTZ, interval(a, 1, -2, 3 * HOUR_US), now);
    case 5:
        return day;
    case 6:
        return local;
    case 7:
        return minus(a, day, expr_constant(a, (struct sql_type){OID_INT4, -1}, datum_i32(3)));
    case 8:
        return call2(a, "date_trunc", OID_TIMESTAMPTZ, word(a, "hour"), now);
    case 9:
        return call2(a, "date_trunc", OID_TIMESTAMPTZ, word(a, "day"), now);
    case 10:
        return call2(a, "date_trunc", OID_TIMESTAMP, word(a, "week"),
                     minus(a, local, interval(a, 0, 0, HOUR_US)));
    case 11:
        return call2(a, "timezone", OID_TIMESTAMP, word(a, "America/New_York"), now);
    case 12:
        return cast(a, minus(a, local, interval(a, 0, 1, 0)), OID_TIMESTAMPTZ);
    case 13:
        return cast(a, minus(a, day, interval(a, 13, 0, 0)), OID_TIMESTAMPTZ);
    case 14:
        return call2(a, "date_trunc", OID_TIMESTAMPTZ, word(a, "month"), minus(a, now, interval(a, 0, 1, 0)));
    case 15:
        return cast(a, call2(a, "timezone", OID_TIMESTAMPTZ, word(a, "Australia/Lord_Howe"), local),
                    OID_DATE);
    default: {
        struct expr *rounded = expr_new(a, EXPR_TYPMOD, (struct sql_type){OID_TIMESTAMPTZ, 0});
        rounded->args = ARENA_ARRAY(a, struct expr *, 1);
        rounded->args[0] = now;
        rounded->args_count = 1;
        return rounded;
    }
    }
}

static const char *const zones[] = {"UTC",
                                    "America/New_York",
                                    "Europe/Berlin",
                                    "Australia/Lord_Howe",
                                    "America/Sao_Paulo",
                                    "Pacific/Apia",
                                    "Asia/Kolkata",
                                    "-03"};

/* Instants of interest: days on which clocks changed in one of the zones, ends of months, a leap day. */
static int64_t interesting(uint32_t *seed)
{
    static const int32_t days[][3] = {{2024, 3, 10},  {2024, 11, 3}, {2024, 3, 31}, {2024, 10, 27},
                                      {2024, 4, 7},   {2024, 10, 6}, {2018, 11, 4}, {2018, 2, 18},
                                      {2011, 12, 30}, {2024, 2, 29}, {2023, 3, 1},  {2024, 1, 31},
                                      {1999, 12, 31}};
    const int32_t *day = days[harness_random(seed, ARRAY_COUNT(days))];
    int64_t quarter = (int64_t)harness_random(seed, 4 * 96) - 192;
    return days_from_civil(day[0], day[1], day[2]) * US_PER_DAY + quarter * 15 * MINUTE_US;
}

/* The expression by the program that SELECT would run. */
struct oracle {
    struct expr_program *program;
    struct expr_run *run;
    struct eval_env env;
};

/* Up to BATCH_ROWS_MAX clocks at once. */
static void oracle_run(struct oracle *oracle, const int64_t *clocks, uint32_t count, int64_t *values)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct column input = {.type = {OID_TIMESTAMPTZ, -1}, .phys = PHYS_I64, .data = (void *)clocks}, result;
    struct batch rows = {.rows = count, .columns_count = 1, .columns = &input};
    struct error err;
    CHECK(expr_run_eval(oracle->run, &oracle->env, &rows, NULL, count, &result, NULL, &err));
    for (uint32_t i = 0; i < count; i++) {
        struct datum value = column_get(&result, i);
        values[i] = result.phys == PHYS_I32 ? value.i32 * US_PER_DAY : value.i64;
    }
    arena_release(&arena);
}

static int64_t oracle_at(struct oracle *oracle, int64_t clock)
{
    int64_t value;
    oracle_run(oracle, &clock, 1, &value);
    return value;
}

static bool compares(int64_t value, enum time_comparison comparison, int64_t now)
{
    return comparison == TIME_GREATER         ? value > now
           : comparison == TIME_GREATER_EQUAL ? value >= now
           : comparison == TIME_LESS          ? value < now
           : comparison == TIME_LESS_EQUAL    ? value <= now
                                              : value == now;
}

static bool oracle_holds(struct oracle *oracle, int64_t value, enum time_comparison comparison, int64_t clock)
{
    return compares(value, comparison, oracle_at(oracle, clock));
}

/* A turn is one, and nothing turns on any quarter of an hour before it, nor right behind or before one. */
static bool turn_is_right(struct oracle *oracle, int64_t value, enum time_comparison comparison,
                          int64_t clock, int64_t turn)
{
    bool holds = oracle_holds(oracle, value, comparison, clock);
    if (turn != TIME_NEVER && (turn <= clock || oracle_holds(oracle, value, comparison, turn) == holds ||
                               oracle_holds(oracle, value, comparison, turn - 1) != holds))
        return false;
    int64_t end = turn == TIME_NEVER || turn > clock + 6 * US_PER_DAY ? clock + 6 * US_PER_DAY : turn;
    int64_t clocks[BATCH_ROWS_MAX], values[BATCH_ROWS_MAX];
    uint32_t count = 0;
    for (int64_t at = clock; at < end; at += 15 * MINUTE_US) {
        for (int64_t near = at - 1; near <= at + 1; near++)
            if (near > clock && near < end)
                clocks[count++] = near;
        if (count + 3 <= BATCH_ROWS_MAX && at + 15 * MINUTE_US < end)
            continue;
        oracle_run(oracle, clocks, count, values);
        for (uint32_t i = 0; i < count; i++)
            if (compares(value, comparison, values[i]) != holds)
                return false;
        count = 0;
    }
    return true;
}

TEST(turns_are_found_exactly)
{
    uint32_t seed = 7;
    for (uint32_t z = 0; z < ARRAY_COUNT(zones); z++) {
        for (uint32_t e = 0; e < EXPRESSIONS; e++) {
            struct arena arena;
            struct error err;
            struct oracle oracle = {.env = {.io = io_env_default}};
            arena_init(&arena, NULL);
            oracle.env.io.timezone = zones[z];
            const struct expr *expr = expression(&arena, e);
            struct clock_function *function = clock_function_create(&arena, expr, zones[z]);
            EXPECT(function != NULL);
            CHECK(expr_compile(&arena, &expr, 1, &oracle.program, &err));
            oracle.run = expr_run_create(oracle.program, NULL);
            for (uint32_t i = 0; i < 300; i++) {
                int64_t clock = interesting(&seed) + (int64_t)harness_random(&seed, 3) - 1;
                EXPECT_INT(clock_function_at(function, clock), oracle_at(&oracle, clock));
            }
            for (uint32_t i = 0; i < 250; i++) {
                int64_t clock = interesting(&seed) + (int64_t)harness_random(&seed, 3) - 1;
                int64_t later =
                    clock + ((int64_t)harness_random(&seed, i % 8 == 0 ? 4000 : 240) - 48) * 15 * MINUTE_US;
                int64_t value = clock_function_at(function, later);
                enum time_comparison comparison = (enum time_comparison)harness_random(&seed, 5);
                int64_t turn = clock_function_change(function, value, comparison, clock);
                if (!turn_is_right(&oracle, value, comparison, clock, turn)) {
                    fprintf(stderr, "zone %s expression %u value %lld comparison %d clock %lld turn %lld\n",
                            zones[z], e, (long long)value, (int)comparison, (long long)clock,
                            (long long)turn);
                    EXPECT(false);
                }
            }
            expr_run_destroy(oracle.run);
            arena_release(&arena);
        }
    }
}

/* In autumn a local clock goes back: what was over comes again. */
TEST(a_clock_that_goes_back)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct clock_function *local = clock_function_create(&arena, expression(&arena, 6), "America/New_York");
    int64_t change = days_from_civil(2024, 11, 3) * US_PER_DAY + 6 * HOUR_US; /* 02:00 becomes 01:00 */
    int64_t half_past_one = days_from_civil(2024, 11, 3) * US_PER_DAY + 90 * MINUTE_US;
    int64_t clock = change - 5 * HOUR_US;
    EXPECT(clock_function_holds(local, half_past_one, TIME_GREATER, clock));
    clock = clock_function_change(local, half_past_one, TIME_GREATER, clock);
    EXPECT_INT(clock, change - 30 * MINUTE_US);
    clock = clock_function_change(local, half_past_one, TIME_GREATER, clock);
    EXPECT_INT(clock, change);
    clock = clock_function_change(local, half_past_one, TIME_GREATER, clock);
    EXPECT_INT(clock, change + 30 * MINUTE_US);
    EXPECT(clock_function_change(local, half_past_one, TIME_GREATER, clock) == TIME_NEVER);
    EXPECT(clock_function_change(local, INT64_MAX, TIME_GREATER, clock) == TIME_NEVER);
    arena_release(&arena);
}

TEST(what_is_not_known_is_refused)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct expr *now = clock_column(&arena);
    struct expr *column = expr_column(&arena, 1, (struct sql_type){OID_INTERVAL, -1});
    EXPECT(clock_function_create(&arena, call2(&arena, "+", OID_TIMESTAMPTZ, now, column), "UTC") == NULL);
    EXPECT(clock_function_create(&arena, cast(&arena, now, OID_TIME), "UTC") == NULL);
    EXPECT(clock_function_create(&arena, minus(&arena, now, interval(&arena, 12 * 8000, 0, 0)), "UTC") ==
           NULL);
    EXPECT(clock_function_create(
               &arena, minus(&arena, now, interval(&arena, INT32_MIN, INT32_MIN, INT64_MIN)), "UTC") == NULL);
    arena_release(&arena);
}

/* ---- operators ---- */

/* A bag of rows (number, time) with weights, and the operator that got them. */
struct model {
    struct harness h;
    struct batch *rows; /* all that was pushed */
    uint32_t seed;
};

static void model_init(struct model *m, uint32_t seed)
{
    harness_init(&m->h, DATAFLOW_CONTINUOUS);
    m->seed = seed;
}

static void model_open(struct model *m, const struct operator_class *class, const struct plan *plan)
{
    harness_open(&m->h, class, plan);
    m->rows = batch_create(&m->h.arena, plan->types, plan->columns_count, 16);
}

static void random_row(struct model *m, struct datum *row, int64_t around, int64_t step_us)
{
    row[0] = datum_i32((int32_t)harness_random(&m->seed, 3));
    row[1] = datum_i64(around + ((int64_t)harness_random(&m->seed, 40) - 20) * step_us);
    if (harness_random(&m->seed, 20) == 0)
        row[1] = datum_null();
    else if (harness_random(&m->seed, 40) == 0)
        row[1] = datum_i64(harness_random(&m->seed, 2) ? INT64_MAX : INT64_MIN);
}

/* Pushes inserts, and deletions of what was inserted before. */
static void push_random(struct model *m, uint32_t count, int64_t around, int64_t step_us)
{
    struct harness *h = &m->h;
    struct arena arena;
    struct error err;
    arena_init(&arena, NULL);
    struct batch *change = batch_create(&arena, h->op->types, 2, 16);
    for (uint32_t i = 0; i < count; i++) {
        const struct batch *live = batch_consolidate(m->rows, &arena);
        struct datum row[2];
        int64_t weight = 1 + harness_random(&m->seed, 2);
        if (live->rows > 0 && harness_random(&m->seed, 100) < 45 && !h->op->plan->children[0]->append_only) {
            uint32_t at = harness_random(&m->seed, live->rows);
            for (uint32_t c = 0; c < 2; c++)
                row[c] = column_get(&live->columns[c], at);
            weight = -1;
        } else {
            random_row(m, row, around, step_us);
        }
        batch_append_datums(change, row, weight);
        batch_append_datums(m->rows, row, weight);
    }
    EXPECT(harness_push_batch(h, 0, change, &err));
    arena_release(&arena);
}

static bool holds(const struct plan_time_bound *bound, const struct eval_env *env, int64_t value)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct error err;
    struct oracle oracle = {.env = *env};
    const struct expr *now = bound->now;
    CHECK(expr_compile(&arena, &now, 1, &oracle.program, &err));
    oracle.run = expr_run_create(oracle.program, NULL);
    bool result = oracle_holds(&oracle, value, bound->comparison, env->io.now_us);
    expr_run_destroy(oracle.run);
    arena_release(&arena);
    return result;
}

/* Compares everything emitted with the rows for which the conditions hold at the clock. */
static void expect_present(struct model *m)
{
    struct harness *h = &m->h;
    const struct plan *plan = h->op->plan;
    struct arena arena;
    arena_init(&arena, NULL);
    struct batch *expected = batch_create(&arena, plan->types, 2, 16);
    const struct batch *live = batch_consolidate(m->rows, &arena);
    for (uint32_t i = 0; i < live->rows; i++) {
        bool all = !column_is_null(&live->columns[1], i);
        for (uint32_t b = 0; b < plan->temporal_filter.bounds_count && all; b++)
            all = holds(&plan->temporal_filter.bounds[b], &h->env, column_get(&live->columns[1], i).i64);
        if (all)
            batch_append_range(expected, live, i, 1, 1);
    }
    char *text = arena_strdup(&arena, harness_text(h, expected));
    EXPECT_TEXT(harness_contents(h), text);
    arena_release(&arena);
}

static void set_bounds(struct harness *h, struct plan *plan, uint32_t number)
{
    struct arena *a = &h->arena;
    plan->temporal_filter.bounds = ARENA_ARRAY(a, struct plan_time_bound, 2);
    plan->temporal_filter.bounds_count = number < 4 ? 1 : 2;
    for (uint32_t b = 0; b < 2; b++)
        plan->temporal_filter.bounds[b].value = expr_column(a, 1, (struct sql_type){OID_TIMESTAMPTZ, -1});
    struct plan_time_bound *bounds = plan->temporal_filter.bounds;
    static const enum time_comparison comparisons[] = {TIME_GREATER, TIME_LESS_EQUAL, TIME_EQUAL,
                                                       TIME_LESS,    TIME_GREATER,    TIME_GREATER_EQUAL};
    bounds[0].comparison = comparisons[number];
    bounds[0].now = number == 1 || number == 3 ? clock_column(a)
                    : number == 2              ? expression(a, 9)
                                               : minus(a, clock_column(a), interval(a, 0, 1, 0));
    bounds[1].comparison = number == 4 ? TIME_LESS_EQUAL : TIME_LESS;
    bounds[1].now = clock_column(a);
}

TEST(rows_come_and_go)
{
    for (uint32_t round = 0; round < 24; round++) {
        struct model m;
        model_init(&m, round + 1);
        struct harness *h = &m.h;
        h->env.io.timezone = zones[round % ARRAY_COUNT(zones)];
        struct plan *plan = harness_plan(h, PLAN_TEMPORAL_FILTER, "int4 timestamptz");
        harness_child(h, plan, "int4 timestamptz");
        plan->children[0]->append_only = round % 4 == 3;
        set_bounds(h, plan, round % 6);
        int64_t start = interesting(&m.seed);
        h->env.io.now_us = start;
        model_open(&m, &op_temporal_filter_class, plan);
        for (uint32_t tick = 0; tick < 25; tick++) {
            if (harness_random(&m.seed, 4) > 0) {
                push_random(&m, 12, h->env.io.now_us, 2 * HOUR_US);
                if (harness_random(&m.seed, 2) == 0) /* a second batch of the same tick */
                    push_random(&m, 5, h->env.io.now_us, 2 * HOUR_US);
            }
            harness_finish(h);
            expect_present(&m);
            int64_t due = op_temporal_filter_class.due_clock(h->op);
            EXPECT(due > h->env.io.now_us);
            uint32_t step = harness_random(&m.seed, 4);
            if (step == 0 && due != TIME_NEVER) {
                /* just before the instant nothing changes */
                h->env.io.now_us = due - 1;
                harness_finish(h);
                expect_present(&m);
                h->env.io.now_us = due;
            } else if (step > 1) {
                h->env.io.now_us += step * HOUR_US;
            }
        }
        /* a clock that goes back brings nothing back, and nothing twice */
        int64_t now = h->env.io.now_us;
        h->env.io.now_us = now - US_PER_DAY;
        EXPECT_TEXT(harness_finish(h), "");
        h->env.io.now_us = now + 1000 * US_PER_DAY;
        harness_finish(h);
        expect_present(&m);
        EXPECT_INT(op_temporal_filter_class.state_rows(h->op), 0);
        harness_close(h);
    }
}

TEST(rows_with_a_time_to_live)
{
    struct model m;
    model_init(&m, 1);
    struct harness *h = &m.h;
    struct plan *plan = harness_plan(h, PLAN_TEMPORAL_FILTER, "int4");
    harness_child(h, plan, "int4");
    plan->children[0]->append_only = true;
    plan->temporal_filter.ttl_us = 100;
    h->env.io.now_us = 1000;
    harness_open(h, &op_temporal_filter_class, plan);
    EXPECT_TEXT(harness_tick(h, "+ 1\n+ 1\n"), "+2 1\n");
    EXPECT_INT(op_temporal_filter_class.due_clock(h->op), 1100);
    h->env.io.now_us = 1050;
    EXPECT_TEXT(harness_tick(h, "+ 2\n"), "+ 2\n");
    h->env.io.now_us = 1099;
    EXPECT_TEXT(harness_finish(h), "");
    h->env.io.now_us = 1100;
    EXPECT_TEXT(harness_finish(h), "-2 1\n");
    EXPECT_INT(op_temporal_filter_class.due_clock(h->op), 1150);
    h->env.io.now_us = 2000;
    EXPECT_TEXT(harness_tick(h, "+ 3\n"), "+ 3\n- 2\n");
    EXPECT_INT(op_temporal_filter_class.state_rows(h->op), 1);
    harness_close(h);
}

/* ---- final ---- */

static void expect_final(struct model *m, struct batch *expected)
{
    struct arena arena;
    arena_init(&arena, NULL);
    char *text = arena_strdup(&arena, harness_text(&m->h, expected));
    EXPECT_TEXT(harness_contents(&m->h), text);
    arena_release(&arena);
}

TEST(rows_come_out_when_they_are_final)
{
    for (uint32_t round = 0; round < 20; round++) {
        struct model m;
        model_init(&m, round + 1);
        struct harness *h = &m.h;
        struct plan *plan = harness_plan(h, PLAN_FINAL, "int4 timestamp");
        harness_child(h, plan, "int4 timestamp");
        plan->children[0]->append_only = round % 5 == 4;
        plan->final.column = 1;
        plan->final.after_us = round % 3 == 0 ? 3 : 0;
        plan->final.corrects = round % 2 == 1;
        h->ctx.watermark_before = h->ctx.watermark = WATERMARK_NONE;
        model_open(&m, &op_final_class, plan);
        struct batch *expected = batch_create(&h->arena, plan->types, 2, 16);
        for (uint32_t tick = 0; tick < 40; tick++) {
            uint32_t before = m.rows->rows;
            int64_t reached = h->ctx.watermark_before;
            if (harness_random(&m.seed, 4) > 0)
                push_random(&m, 10, reached == WATERMARK_NONE ? 0 : reached, 1);
            int64_t now = reached;
            if (harness_random(&m.seed, 3) > 0)
                now = reached == WATERMARK_NONE ? 0 : reached + harness_random(&m.seed, 12);
            h->ctx.watermark = now;
            harness_finish(h);
            /* by the definition: all that came so far for the times reached in this tick, and corrections */
            for (uint32_t i = 0; i < m.rows->rows && now != WATERMARK_NONE; i++) {
                if (column_is_null(&m.rows->columns[1], i))
                    continue;
                int64_t value = column_get(&m.rows->columns[1], i).i64;
                bool infinite = value == INT64_MAX || value == INT64_MIN;
                int64_t time = infinite ? value : value + plan->final.after_us;
                bool was_final = reached != WATERMARK_NONE && time <= reached;
                bool is_final = time != INT64_MAX && time <= now;
                if ((is_final && !was_final) || (was_final && i >= before && plan->final.corrects))
                    batch_append_range(expected, m.rows, i, 1, 1);
            }
            expect_final(&m, expected);
            h->ctx.watermark_before = now;
            EXPECT(op_final_class.due_watermark(h->op) > now || now == WATERMARK_NONE);
        }
        h->ctx.watermark = INT64_MAX - 1;
        harness_finish(h);
        EXPECT_INT(op_final_class.state_rows(h->op), 0);
        harness_close(h);
    }
}

/* ---- every ---- */

TEST(periods_show_net_changes)
{
    struct model m;
    model_init(&m, 1);
    struct harness *h = &m.h;
    struct plan *plan = harness_plan(h, PLAN_EVERY, "int4");
    harness_child(h, plan, "int4");
    plan->every.period_us = 100;
    h->env.io.now_us = 1000;
    harness_open(h, &op_every_class, plan);
    EXPECT_TEXT(harness_tick(h, "+ 1\n+ 2\n"), "+ 1\n+ 2\n");
    EXPECT(op_every_class.due_clock(h->op) == TIME_NEVER);
    EXPECT_TEXT(harness_tick(h, "- 1\n+ 3\n"), "");
    EXPECT_INT(op_every_class.due_clock(h->op), 1100);
    h->env.io.now_us = 1099;
    EXPECT_TEXT(harness_tick(h, "+ 1\n+ 4\n"), "");
    h->env.io.now_us = 1100;
    EXPECT_TEXT(harness_tick(h, "+ 4\n- 3\n"), "+2 4\n");
    EXPECT_INT(op_every_class.state_rows(h->op), 0);
    EXPECT(op_every_class.due_clock(h->op) == TIME_NEVER);
    h->env.io.now_us = -250;
    EXPECT_TEXT(harness_tick(h, "+ 5\n"), "");
    EXPECT_INT(op_every_class.due_clock(h->op), -200);
    h->env.io.now_us = 7;
    EXPECT_TEXT(harness_finish(h), "+ 5\n");
    EXPECT_TEXT(harness_finish(h), "");
    harness_close(h);
}

int main(void)
{
    RUN(turns_are_found_exactly);
    RUN(a_clock_that_goes_back);
    RUN(what_is_not_known_is_refused);
    RUN(rows_come_and_go);
    RUN(rows_with_a_time_to_live);
    RUN(rows_come_out_when_they_are_final);
    RUN(periods_show_net_changes);
    return test_result();
}
