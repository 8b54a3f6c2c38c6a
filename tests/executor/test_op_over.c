/* test_op_over.c: window functions: known answers, frames against a naive recomputation, and a view against a
 * SELECT. */
#include "executor/operators/op_over.h"
#include "tests/executor/save_harness.h"

static struct plan *over_plan(struct harness *h, const char *output, const char *input,
                              uint32_t partition_count, uint32_t keys_count)
{
    struct plan *plan = harness_plan(h, PLAN_OVER, output);
    harness_child(h, plan, input);
    plan->over.partition_count = partition_count;
    plan->over.partition = ARENA_ARRAY(&h->arena, uint32_t, 1);
    plan->over.keys_count = keys_count;
    plan->over.keys = ARENA_ARRAY(&h->arena, struct sort_key, 2);
    plan->over.keys[0].column = 1;
    plan->over.keys[1].column = 2;
    plan->over.calls = ARENA_ARRAY(&h->arena, struct plan_over_call, 16);
    return plan;
}

static struct plan_over_call *add_call(struct harness *h, struct plan *plan, enum over_kind kind,
                                       int32_t column)
{
    struct plan_over_call *call = &plan->over.calls[plan->over.calls_count];
    *call = (struct plan_over_call){.kind = kind,
                                    .filter = -1,
                                    .frame_mode = FRAME_RANGE,
                                    .frame_start = BOUND_UNBOUNDED_PRECEDING,
                                    .frame_end = BOUND_CURRENT,
                                    .frame_start_offset = -1,
                                    .frame_end_offset = -1};
    call->type = plan->types[plan->children[0]->columns_count + plan->over.calls_count++];
    call->args = ARENA_ARRAY(&h->arena, uint32_t, 4);
    if (column >= 0) {
        call->args[0] = (uint32_t)column;
        call->args_count = 1;
    }
    return call;
}

TEST(ranks)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = over_plan(&h, "int4 int4 int8 int8 int8 float8 float8 int4", "int4 int4", 1, 1);
    plan->types[7] = (struct sql_type){OID_INT4, -1};
    add_call(&h, plan, OVER_ROW_NUMBER, -1);
    add_call(&h, plan, OVER_RANK, -1);
    add_call(&h, plan, OVER_DENSE_RANK, -1);
    add_call(&h, plan, OVER_PERCENT_RANK, -1);
    add_call(&h, plan, OVER_CUME_DIST, -1);
    add_call(&h, plan, OVER_LAG, 1);
    harness_open(&h, &op_over_class, plan);
    EXPECT_TEXT(harness_tick(&h, "+ 1 10\n+2 1 20\n+ 1 30\n+ 2 5\n"),
                "+ 1 10 1 1 1 0 0.25 \\N\n"
                "+ 1 20 2 2 2 0.3333333333333333 0.75 10\n"
                "+ 1 20 3 2 2 0.3333333333333333 0.75 20\n"
                "+ 1 30 4 4 3 1 1 20\n"
                "+ 2 5 1 1 1 0 1 \\N\n");
    EXPECT_TEXT(harness_tick(&h, "- 1 30\n"), "+ 1 10 1 1 1 0 0.3333333333333333 \\N\n"
                                              "+ 1 20 2 2 2 0.5 1 10\n"
                                              "+ 1 20 3 2 2 0.5 1 20\n"
                                              "- 1 10 1 1 1 0 0.25 \\N\n"
                                              "- 1 20 2 2 2 0.3333333333333333 0.75 10\n"
                                              "- 1 20 3 2 2 0.3333333333333333 0.75 20\n"
                                              "- 1 30 4 4 3 1 1 20\n");
    EXPECT_TEXT(harness_tick(&h, "- 2 5\n"), "- 2 5 1 1 1 0 1 \\N\n");
    harness_close(&h);
}

TEST(only_changed_rows_are_emitted)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = over_plan(&h, "int4 int4 int8", "int4 int4", 1, 1);
    struct plan_over_call *call = add_call(&h, plan, OVER_AGGREGATE, 1);
    call->aggregate = harness_aggregate("sum", "int4");
    harness_open(&h, &op_over_class, plan);
    harness_tick(&h, "+ 1 1\n+ 1 2\n+ 1 3\n");
    EXPECT_TEXT(harness_tick(&h, "+ 1 4\n"), "+ 1 4 10\n");
    EXPECT_TEXT(harness_tick(&h, "- 1 3\n"), "+ 1 4 7\n- 1 3 6\n- 1 4 10\n");
    harness_close(&h);
}

TEST(ntile_and_values)
{
    struct harness h;
    harness_init(&h, DATAFLOW_ONE_SHOT);
    struct plan *plan = over_plan(&h, "int4 int4 int4 int4 int4 int4 int4", "int4 int4 int4", 1, 1);
    add_call(&h, plan, OVER_NTILE, 2);
    add_call(&h, plan, OVER_FIRST_VALUE, 1);
    add_call(&h, plan, OVER_LAST_VALUE, 1);
    struct plan_over_call *call = add_call(&h, plan, OVER_NTH_VALUE, 1);
    call->args[1] = 2;
    call->args_count = 2;
    harness_open(&h, &op_over_class, plan);
    EXPECT_TEXT(harness_tick(&h, "+ 1 1 2\n+ 1 2 2\n+ 1 3 2\n"),
                "+ 1 1 2 1 1 1 \\N\n+ 1 2 2 1 1 2 2\n+ 1 3 2 2 1 3 2\n");
    harness_close(&h);

    harness_init(&h, DATAFLOW_CONTINUOUS);
    plan = over_plan(&h, "int4 int4 int4 int4", "int4 int4 int4", 1, 1);
    add_call(&h, plan, OVER_NTILE, 2);
    harness_open(&h, &op_over_class, plan);
    EXPECT_TEXT(harness_tick(&h, "+ 1 1 0\n"), "+1 22014 argument of ntile must be greater than zero\n");
    EXPECT_TEXT(harness_tick(&h, "- 1 1 0\n+ 1 1 1\n"),
                "+ 1 1 1 1\n-1 22014 argument of ntile must be greater than zero\n");
    harness_close(&h);
}

/* ---- frames against nested loops: sum, min and count of x over every kind of frame ---- */

struct row {
    int g, k, x;
    bool x_null, k_null;
};

static bool in_frame(const struct row *rows, const int *groups, uint32_t count, uint32_t i, uint32_t j,
                     const struct plan_over_call *call, int64_t offset, bool descending)
{
    bool same_group = groups[i] == groups[j];
    if ((call->frame_exclude == 1 && i == j) || (call->frame_exclude == 2 && same_group) ||
        (call->frame_exclude == 3 && same_group && i != j))
        return false;
    bool ok[2];
    for (int side = 0; side < 2; side++) {
        enum frame_bound bound = side == 0 ? call->frame_start : call->frame_end;
        int64_t sign = bound == BOUND_PRECEDING ? -1 : bound == BOUND_FOLLOWING ? 1 : 0;
        int64_t at, limit;
        if (bound == BOUND_UNBOUNDED_PRECEDING || bound == BOUND_UNBOUNDED_FOLLOWING) {
            ok[side] = (bound == BOUND_UNBOUNDED_PRECEDING) == (side == 0);
            continue;
        }
        if (call->frame_mode == FRAME_ROWS) {
            at = j;
            limit = (int64_t)i + sign * offset;
        } else if (call->frame_mode == FRAME_GROUPS || sign == 0) {
            at = groups[j];
            limit = groups[i] + (call->frame_mode == FRAME_GROUPS ? sign * offset : 0);
        } else if (rows[i].k_null || rows[j].k_null) {
            if (rows[i].k_null && rows[j].k_null) {
                at = limit = 0;
            } else if (rows[i].k_null) { /* a NULL row's side ends at its peers */
                at = groups[j];
                limit = groups[i];
            } else { /* NULLs stand last */
                at = 1;
                limit = 0;
            }
        } else {
            at = descending ? -rows[j].k : rows[j].k;
            limit = (descending ? -rows[i].k : rows[i].k) + sign * offset;
        }
        ok[side] = side == 0 ? at >= limit : at <= limit;
    }
    return ok[0] && ok[1];
}

static int compare_ascending(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->k_null != y->k_null)
        return x->k_null ? 1 : -1;
    if (!x->k_null && x->k != y->k)
        return x->k < y->k ? -1 : 1;
    return 0;
}

static int compare_descending(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    return x->k_null || y->k_null ? compare_ascending(a, b) : compare_ascending(b, a);
}

static void frames(bool descending, enum frame_mode mode, enum frame_bound start, enum frame_bound end,
                   uint8_t exclude, uint32_t seed)
{
    enum { COUNT = 14 };
    struct row rows[COUNT];
    int groups[COUNT];
    struct harness h;
    harness_init(&h, DATAFLOW_ONE_SHOT);
    struct plan *plan =
        over_plan(&h, "int4 int4 int4 int8 int8 int8 int4 int4 text", "int4 int4 int4 int8", 0, 1);
    struct plan_over_call *calls[5];
    for (int c = 0; c < 5; c++) {
        calls[c] = add_call(&h, plan, OVER_AGGREGATE, c == 0 ? -1 : 2);
        calls[c]->frame_mode = mode;
        calls[c]->frame_start = start;
        calls[c]->frame_end = end;
        calls[c]->frame_exclude = exclude;
        calls[c]->frame_start_offset = calls[c]->frame_end_offset = 3;
    }
    calls[0]->aggregate = harness_aggregate("count", "");
    calls[1]->aggregate = harness_aggregate("sum", "int4");
    calls[2]->aggregate = harness_aggregate("min", "int4");
    calls[3]->aggregate = harness_aggregate("max", "int4");
    calls[4]->aggregate = harness_aggregate("array_agg", "anynonarray");
    plan->types[8] = calls[4]->type = (struct sql_type){OID_INT4_ARRAY, -1};
    int64_t offset = harness_random(&seed, 3);
    for (uint32_t i = 0; i < COUNT; i++)
        rows[i] = (struct row){.g = (int)i,
                               .k = (int)harness_random(&seed, 7),
                               .k_null = harness_random(&seed, 7) == 0,
                               .x = (int)harness_random(&seed, 20) - 10,
                               .x_null = harness_random(&seed, 5) == 0};
    int (*compare_rows)(const void *, const void *) = descending ? compare_descending : compare_ascending;
    plan->over.keys[0].descending = descending;
    qsort(rows, COUNT, sizeof(rows[0]), compare_rows);
    for (uint32_t i = 0; i < COUNT; i++)
        groups[i] = i == 0 ? 0 : groups[i - 1] + (compare_rows(&rows[i], &rows[i - 1]) != 0);
    struct strbuf in = STRBUF_INIT, expected = STRBUF_INIT;
    struct batch *wanted = batch_create(&h.arena, plan->types, plan->columns_count, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        char k[16] = "\\N", x[16] = "\\N";
        if (!rows[i].k_null)
            snprintf(k, sizeof(k), "%d", rows[i].k);
        if (!rows[i].x_null)
            snprintf(x, sizeof(x), "%d", rows[i].x);
        strbuf_addf(&in, "+ %d %s %s %d\n", rows[i].g, k, x, (int)offset);
        long count = 0, values = 0, sum = 0, min = 0, max = 0;
        struct strbuf list = STRBUF_INIT;
        for (uint32_t j = 0; j < COUNT; j++) {
            if (!in_frame(rows, groups, COUNT, i, j, calls[0], offset, descending))
                continue;
            count++;
            if (rows[j].x_null) {
                strbuf_adds(&list, list.len > 0 ? ",NULL" : "{NULL");
                continue;
            }
            strbuf_addf(&list, "%s%d", list.len > 0 ? "," : "{", rows[j].x);
            min = values == 0 || rows[j].x < min ? rows[j].x : min;
            max = values == 0 || rows[j].x > max ? rows[j].x : max;
            sum += rows[j].x;
            values++;
        }
        strbuf_adds(&list, list.len > 0 ? "}" : "\\N");
        strbuf_addf(&expected, "+ %d %s %s %d %ld ", rows[i].g, k, x, (int)offset, count);
        if (values == 0)
            strbuf_addf(&expected, "\\N \\N \\N %s\n", list.data);
        else
            strbuf_addf(&expected, "%ld %ld %ld %s\n", sum, min, max, list.data);
        strbuf_release(&list);
    }
    struct error err;
    harness_open(&h, &op_over_class, plan);
    EXPECT(batch_from_text(wanted, expected.data, &err));
    char *got = arena_strdup(&h.arena, harness_tick(&h, in.data));
    int before = test_failures;
    EXPECT_TEXT(got, harness_text(&h, wanted));
    if (test_failures > before)
        fprintf(stderr, "mode %d from %d to %d exclude %d offset %d\n%s", mode, start, end, exclude,
                (int)offset, in.data);
    strbuf_release(&in);
    strbuf_release(&expected);
    harness_close(&h);
}

TEST(frames_of_every_kind)
{
    uint32_t seed = 0;
    for (int mode = FRAME_ROWS; mode <= FRAME_GROUPS; mode++)
        for (int start = BOUND_UNBOUNDED_PRECEDING; start <= BOUND_FOLLOWING; start++)
            for (int end = start == BOUND_UNBOUNDED_PRECEDING ? BOUND_PRECEDING : start;
                 end <= BOUND_UNBOUNDED_FOLLOWING; end++)
                for (uint8_t exclude = 0; exclude < 4; exclude++)
                    for (int i = 0; i < 3; i++)
                        frames(i == 1, (enum frame_mode)mode, (enum frame_bound)start, (enum frame_bound)end,
                               exclude, ++seed);
}

/* ---- a view equals the SELECT ---- */

static void make_row(uint32_t *seed, char *out, size_t bytes)
{
    snprintf(out, bytes, "%u %u %u", harness_random(seed, 3), harness_random(seed, 5),
             harness_random(seed, 4));
}

static struct plan *property_plan(struct harness *h)
{
    struct plan *plan = over_plan(h, "int4 int4 int4 int8 int8 int8 int4", "int4 int4 int4", 1, 2);
    add_call(h, plan, OVER_ROW_NUMBER, -1);
    struct plan_over_call *call = add_call(h, plan, OVER_AGGREGATE, 2);
    call->aggregate = harness_aggregate("sum", "int4");
    call->frame_mode = FRAME_ROWS;
    add_call(h, plan, OVER_DENSE_RANK, -1);
    add_call(h, plan, OVER_LEAD, 2);
    return plan;
}

TEST(random_changes)
{
    static struct harness_bag bag;
    for (uint32_t round = 0; round < 3; round++) {
        uint32_t seed = round + 7, changes = round == 0 ? 1 : 10 * round;
        bag.count = 0;
        struct harness view, once;
        harness_init(&view, DATAFLOW_CONTINUOUS);
        harness_open(&view, &op_over_class, property_plan(&view));
        struct strbuf text = STRBUF_INIT;
        for (uint32_t t = 0; t < 50; t++) {
            strbuf_reset(&text);
            harness_bag_change(&bag, &seed, 1 + harness_random(&seed, changes), t % 25 < 12 ? 75 : 25,
                               make_row, &text);
            harness_now = &view;
            harness_tick(&view, strbuf_text(&text));
            harness_init(&once, DATAFLOW_ONE_SHOT);
            harness_open(&once, &op_over_class, property_plan(&once));
            harness_bag_text(&bag, &text);
            harness_tick(&once, strbuf_text(&text));
            EXPECT_TEXT(harness_contents(&view), harness_contents(&once));
            harness_close(&once);
        }
        strbuf_release(&text);
        harness_now = &view;
        harness_close(&view);
    }
}

/* ---- any calls, frames and orders ---- */

enum { G, K, X, OFFSET, DISTANCE, NTH, RANGE_OFFSET, INPUTS };

struct shape {
    const char *key, *range_offset; /* types */
    const char *const *keys;        /* values */
    const char *offset_value;
    uint32_t groups, keys_used;
};

static const char *const integer_keys[] = {"1", "2", "3", "4", "6", "9", "\\N"};
static const char *const numeric_keys[] = {"1", "1.0", "2.5", "3", "4.25", "9", "\\N"};
static const char *const float_keys[] = {"1", "1.5", "2.5", "-3", "Infinity", "NaN", "\\N"};
static const char *const date_keys[] = {"2024-01-31", "2024-02-01", "2024-02-29", "2024-03-01",
                                        "2024-03-31", "2024-05-01", "\\N"};
static const struct shape shapes[] = {
    {"int4", "int8", integer_keys, "2", 3, 7},   {"numeric", "numeric", numeric_keys, "1.5", 2, 7},
    {"float8", "float8", float_keys, "1", 2, 6}, {"date", "interval", date_keys, "P1M", 2, 7},
    {"int4", "int8", integer_keys, "0", 1, 4},
};
static const struct shape *shape_now;
static bool constant_distance;

static void make_any_row(uint32_t *seed, char *out, size_t bytes)
{
    const char *key = shape_now->keys[harness_random(seed, shape_now->keys_used)];
    char x[16] = "\\N";
    if (harness_random(seed, 6) > 0)
        snprintf(x, sizeof(x), "%d", (int)harness_random(seed, 20) - 5);
    snprintf(out, bytes, "%u %s %s %d %d %u %s", harness_random(seed, shape_now->groups), key, x, 1,
             constant_distance ? 1 : (int)harness_random(seed, 6) - 1, 1 + harness_random(seed, 3),
             shape_now->offset_value);
}

static void add_any_call(struct harness *h, struct plan *plan, uint32_t *seed, uint32_t c)
{
    static const struct {
        enum over_kind kind;
        const char *aggregate, *args, *result;
    } calls[] = {
        {OVER_ROW_NUMBER, NULL, NULL, "int8"},
        {OVER_RANK, NULL, NULL, "int8"},
        {OVER_DENSE_RANK, NULL, NULL, "int8"},
        {OVER_LAG, NULL, NULL, "int4"},
        {OVER_LEAD, NULL, NULL, "int4"},
        {OVER_FIRST_VALUE, NULL, NULL, "int4"},
        {OVER_LAST_VALUE, NULL, NULL, "int4"},
        {OVER_NTH_VALUE, NULL, NULL, "int4"},
        {OVER_AGGREGATE, "sum", "int4", "int8"},
        {OVER_AGGREGATE, "min", "int4", "int4"},
        {OVER_AGGREGATE, "max", "int4", "int4"},
        {OVER_AGGREGATE, "count", "", "int8"},
        {OVER_AGGREGATE, "avg", "int4", "numeric"},
        {OVER_AGGREGATE, "array_agg", "anynonarray", "int4[]"},
        {OVER_AGGREGATE, "sum", "int4", "int8"},
        {OVER_AGGREGATE, "max", "int4", "int4"},
        {OVER_CUME_DIST, NULL, NULL, "float8"},
        {OVER_PERCENT_RANK, NULL, NULL, "float8"},
    };
    uint32_t pick = harness_random(seed, 40) == 0 ? 16 + harness_random(seed, 2) : harness_random(seed, 16);
    struct sql_type type[HARNESS_COLUMNS_MAX];
    harness_types(strcmp(calls[pick].result, "int4[]") == 0 ? "int4" : calls[pick].result, type);
    if (strcmp(calls[pick].result, "int4[]") == 0)
        type[0].oid = OID_INT4_ARRAY;
    plan->types[INPUTS + c] = type[0];
    struct plan_over_call *call =
        add_call(h, plan, calls[pick].kind, calls[pick].args != NULL && *calls[pick].args == '\0' ? -1 : X);
    if (calls[pick].aggregate != NULL)
        call->aggregate = harness_aggregate(calls[pick].aggregate, calls[pick].args);
    if (call->kind == OVER_LAG || call->kind == OVER_LEAD)
        call->args[call->args_count++] = DISTANCE;
    if (call->kind == OVER_NTH_VALUE)
        call->args[call->args_count++] = NTH;
    call->frame_mode = (enum frame_mode)harness_random(seed, 3);
    call->frame_start = (enum frame_bound)harness_random(seed, 4);
    do
        call->frame_end = (enum frame_bound)(1 + harness_random(seed, 4));
    while (call->frame_end < call->frame_start ||
           (call->frame_end == BOUND_UNBOUNDED_FOLLOWING && harness_random(seed, 4) > 0));
    call->frame_start_offset = call->frame_end_offset =
        call->frame_mode == FRAME_RANGE ? RANGE_OFFSET : OFFSET;
    call->frame_exclude = harness_random(seed, 2) == 0 ? 0 : (uint8_t)harness_random(seed, 4);
}

static struct plan *any_plan(struct harness *h, uint32_t seed)
{
    char input[128], output[256];
    uint32_t calls = 1 + harness_random(&seed, 3);
    snprintf(input, sizeof(input), "int4 %s int4 int8 int4 int4 %s", shape_now->key, shape_now->range_offset);
    snprintf(output, sizeof(output), "%s int8 int8 int8", input);
    struct plan *plan =
        over_plan(h, output, input, harness_random(&seed, 4) > 0, 1 + (harness_random(&seed, 4) == 0));
    plan->over.keys[0].descending = harness_random(&seed, 3) == 0;
    plan->over.keys[0].nulls_first = harness_random(&seed, 3) == 0;
    for (uint32_t c = 0; c < calls; c++)
        add_any_call(h, plan, &seed, c);
    plan->columns_count = INPUTS + calls;
    for (uint32_t c = 0; c < calls; c++) {
        struct plan_over_call *call = &plan->over.calls[c];
        if (plan->over.keys_count > 1 && call->frame_mode == FRAME_RANGE)
            call->frame_mode = FRAME_GROUPS, call->frame_start_offset = call->frame_end_offset = OFFSET;
    }
    return plan;
}

static void any_changes(uint32_t seed, uint32_t rows, uint32_t ticks)
{
    static struct harness_bag bag;
    struct harness view, once;
    bag.count = 0;
    shape_now = &shapes[seed % ARRAY_COUNT(shapes)];
    constant_distance = seed % 3 == 0;
    harness_init(&view, DATAFLOW_CONTINUOUS);
    harness_open(&view, &op_over_class, any_plan(&view, seed));
    struct strbuf text = STRBUF_INIT, changes = STRBUF_INIT;
    uint32_t dice = seed * 77;
    for (uint32_t t = 0; t < ticks; t++) {
        strbuf_reset(&changes);
        uint32_t many = t == 0 ? rows : harness_random(&dice, 3) == 0 ? harness_random(&dice, 12) : 1;
        harness_bag_change(&bag, &dice, many, t == 0 ? 100 : 50, make_any_row, &changes);
        harness_now = &view;
        harness_tick(&view, strbuf_text(&changes));
        harness_init(&once, DATAFLOW_CONTINUOUS); /* from nothing: whole partitions */
        harness_open(&once, &op_over_class, any_plan(&once, seed));
        harness_bag_text(&bag, &text);
        int before = test_failures;
        char *got = arena_strdup(&once.arena, harness_contents(&view));
        EXPECT_TEXT(got, harness_tick(&once, strbuf_text(&text)));
        harness_close(&once);
        if (test_failures > before) {
            fprintf(stderr, "seed %u tick %u: %s\n", seed, t, strbuf_text(&changes));
            break;
        }
    }
    strbuf_release(&text);
    strbuf_release(&changes);
    harness_now = &view;
    harness_close(&view);
}

TEST(any_calls_and_frames)
{
    for (uint32_t seed = 1; seed <= test_rounds(300, 100); seed++)
        any_changes(seed, 12 + seed % 20, 25);
    for (uint32_t seed = 301; seed <= test_rounds(330, 310); seed++)
        any_changes(seed, 400, 12);
}

/* ---- work and state ---- */

/* Appends, and a change at the end, of a partition of `rows` rows: rows computed for each. */
static void work(uint32_t rows, uint64_t *append, uint64_t *update)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = over_plan(&h, "int4 int4 int4 int8 int8 int8 int8 int4", "int4 int4 int4 int8", 1, 1);
    add_call(&h, plan, OVER_ROW_NUMBER, -1);
    struct plan_over_call *call = add_call(&h, plan, OVER_AGGREGATE, 2);
    call->aggregate = harness_aggregate("sum", "int4");
    call = add_call(&h, plan, OVER_AGGREGATE, 2);
    call->aggregate = harness_aggregate("sum", "int4");
    call->frame_mode = FRAME_RANGE;
    call->frame_start = BOUND_PRECEDING;
    call->frame_start_offset = 3;
    add_call(&h, plan, OVER_LAG, 2);
    harness_open(&h, &op_over_class, plan);
    const struct over_state *state = (const struct over_state *)h.op;
    struct strbuf text = STRBUF_INIT;
    for (uint32_t i = 0; i < rows; i++)
        strbuf_addf(&text, "+ 1 %u %u 10\n", i, i % 7);
    harness_tick(&h, strbuf_text(&text));
    *append = *update = 0;
    for (uint32_t i = 0; i < 10; i++) {
        uint64_t before = state->rows_computed;
        strbuf_reset(&text);
        strbuf_addf(&text, "+ 1 %u 1 10\n", rows + i);
        harness_tick(&h, strbuf_text(&text));
        if (i > 0 && state->rows_computed - before > *append)
            *append = state->rows_computed - before;
    }
    uint64_t before = state->rows_computed;
    strbuf_reset(&text);
    strbuf_addf(&text, "- 1 %u 1 10\n+ 1 %u 3 10\n", rows + 8, rows + 8);
    harness_tick(&h, strbuf_text(&text));
    *update = state->rows_computed - before;
    strbuf_release(&text);
    harness_close(&h);
}

TEST(work_does_not_grow_with_the_partition)
{
    uint64_t append[2], update[2];
    work(500, &append[0], &update[0]);
    work(20000, &append[1], &update[1]);
    /* a leaf may be less full in one than in the other */
    EXPECT(append[0] > 0 && append[1] < append[0] + 256 && append[1] < 400);
    EXPECT(update[0] > 0 && update[1] < update[0] + 256 && update[1] < 600);
}

TEST(partitions_are_forgotten)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = over_plan(&h, "date int4 int8", "date int4", 1, 1);
    add_call(&h, plan, OVER_ROW_NUMBER, -1);
    plan->over.expiry = (struct plan_expiry){.known = true, .column = 0, .after_us = 1000};
    h.ctx.watermark = h.ctx.watermark_before = WATERMARK_NONE;
    harness_open(&h, &op_over_class, plan);
    EXPECT_TEXT(harness_tick(&h, "+ 2000-01-11 1\n+ 2000-01-11 2\n+ \\N 7\n"),
                "+ 2000-01-11 1 1\n+ 2000-01-11 2 2\n+ \\N 7 1\n");
    int64_t day = INT64_C(86400000000);
    EXPECT(op_over_class.due_watermark(h.op) == 10 * day + 1000);
    h.ctx.watermark = 10 * day + 999;
    EXPECT_TEXT(harness_tick(&h, "+ 2000-01-11 0\n"),
                "+ 2000-01-11 0 1\n+ 2000-01-11 1 2\n+ 2000-01-11 2 3\n- 2000-01-11 1 1\n- 2000-01-11 2 2\n");
    EXPECT(op_over_class.state_rows(h.op) == 4);
    h.ctx.watermark = 10 * day + 1000;
    EXPECT_TEXT(harness_finish(&h), ""); /* results stay */
    EXPECT(op_over_class.state_rows(h.op) == 1);
    EXPECT_TEXT(harness_tick(&h, "+ \\N 8\n"), "+ \\N 8 2\n"); /* no time: never */
    struct strbuf text = STRBUF_INIT;
    int64_t bytes = 0;
    for (uint32_t d = 1; d < 28; d++) {
        strbuf_reset(&text);
        for (uint32_t i = 0; i < 1000; i++)
            strbuf_addf(&text, "+ 2001-02-%02u %u\n", d, i);
        h.ctx.watermark = (396 + (int64_t)d) * day; /* of the day before */
        harness_tick(&h, strbuf_text(&text));
        if (d == 6)
            bytes = op_over_class.state_bytes(h.op);
    }
    EXPECT(bytes > 0 && op_over_class.state_bytes(h.op) <= bytes);
    EXPECT(op_over_class.state_rows(h.op) < 3000);
    strbuf_release(&text);
    harness_close(&h);
}

/* ---- rows that the watermark has passed ---- */

static const char *const offset_texts[] = {"0", "1", "2", "5"};
static const char *const date_spans[] = {"P0D", "P1D", "P5D", "P1M"};
static const char *const second_spans[] = {"PT0S", "PT1S", "PT4S", "PT20S"};

/* Calls that look back; offsets are constants of the child. */
static struct plan *looking_back_plan(struct harness *h, uint32_t seed, bool days, uint32_t offset,
                                      bool forgets)
{
    char input[128], output[256];
    snprintf(input, sizeof(input), "int4 %s int4 int8 int4 int4 interval", days ? "date" : "timestamp");
    snprintf(output, sizeof(output), "%s int8 int8 int8", input);
    for (;; seed += 1000) {
        uint32_t dice = seed, calls = 1 + harness_random(&dice, 3);
        struct plan *plan =
            over_plan(h, output, input, harness_random(&dice, 4) > 0, 1 + (harness_random(&dice, 4) == 0));
        for (uint32_t c = 0; c < calls; c++) {
            add_any_call(h, plan, &dice, c);
            struct plan_over_call *call = &plan->over.calls[c];
            call->frame_start = (enum frame_bound)harness_random(&dice, 3);
            call->frame_end = harness_random(&dice, 2) == 0 ? BOUND_CURRENT : call->frame_start;
            if (call->frame_end == BOUND_UNBOUNDED_PRECEDING)
                call->frame_end = BOUND_PRECEDING;
        }
        plan->columns_count = INPUTS + calls;
        struct plan *child = plan->children[0];
        child->kind = PLAN_CALC;
        child->calc.outputs = ARENA_ARRAY(&h->arena, struct expr *, INPUTS);
        for (uint32_t c = 0; c < INPUTS; c++) {
            child->calc.outputs[c] = ARENA_ARRAY(&h->arena, struct expr, 1);
            *child->calc.outputs[c] =
                (struct expr){.kind = c == OFFSET || c >= DISTANCE ? EXPR_CONSTANT : EXPR_COLUMN,
                              .type = child->types[c],
                              .index = c};
            if (c == DISTANCE)
                child->calc.outputs[c]->value.i32 = (int32_t)offset;
        }
        if (!op_over_can_forget(plan))
            continue;
        plan->over.order_expiry = (struct plan_expiry){.known = forgets, .column = K, .after_us = 1000000};
        return plan;
    }
}

static void print_row(uint32_t *dice, bool days, uint32_t time, uint32_t offset, char *out, size_t bytes)
{
    char when[40], x[16] = "\\N";
    if (harness_random(dice, 40) == 0)
        snprintf(when, sizeof(when), "\\N");
    else if (days)
        snprintf(when, sizeof(when), "%u-%02u-%02u", 2001 + time / 336, 1 + time / 28 % 12, 1 + time % 28);
    else
        snprintf(when, sizeof(when), "2000-01-01T00:%02u:%02u", time / 60, time % 60);
    if (harness_random(dice, 6) > 0)
        snprintf(x, sizeof(x), "%d", (int)harness_random(dice, 20) - 5);
    snprintf(out, bytes, "%u %s %s %s %u %u %s", harness_random(dice, 3), when, x, offset_texts[offset],
             offset, 1 + offset, days ? date_spans[offset] : second_spans[offset]);
}

/* Rows come a little out of order, some that are not over yet are taken back. */
enum { DELAY = 4, RECENT = 64 };
struct late_flow {
    bool days;
    uint32_t offset, clock, recents;
    uint32_t times[RECENT];
    char recent[RECENT][128];
};

/* The text of a tick; returns the watermark behind it. */
static int64_t late_flow_tick(struct late_flow *flow, uint32_t *dice, struct harness *h, struct strbuf *text)
{
    for (uint32_t i = harness_random(dice, 7); i > 0; i--) {
        uint32_t time = flow->clock - DELAY + 1 + harness_random(dice, DELAY + 2);
        if (flow->recents > 0 && harness_random(dice, 8) == 0) {
            if (flow->times[--flow->recents] > flow->clock - DELAY)
                strbuf_addf(text, "- %s\n", flow->recent[flow->recents]);
            continue;
        }
        if (flow->recents == RECENT)
            flow->recents = 0;
        flow->times[flow->recents] = time;
        print_row(dice, flow->days, time, flow->offset, flow->recent[flow->recents], sizeof(flow->recent[0]));
        strbuf_addf(text, "+ %s\n", flow->recent[flow->recents++]);
    }
    flow->clock += harness_random(dice, 3) == 0 ? harness_random(dice, 5) : 0;
    uint32_t closed = flow->clock - DELAY;
    if (!flow->days)
        return (closed + 1) * INT64_C(1000000);
    /* months of the rows have 28 days */
    struct error err;
    struct datum value;
    char date[32];
    snprintf(date, sizeof(date), "%u-%02u-%02u", 2001 + closed / 336, 1 + closed / 28 % 12, 1 + closed % 28);
    EXPECT(type_input(OID_DATE, -1, date, strlen(date), &h->env.io, &h->arena, &value, &err));
    return value.i32 * INT64_C(86400000000) + 1000000;
}

static void forget(uint32_t seed, uint64_t *kept, uint64_t *forgotten)
{
    enum { TICKS = 150 };
    static struct late_flow flow;
    bool days = seed % 2 == 0;
    uint32_t offset = seed / 2 % ARRAY_COUNT(offset_texts), dice = seed * 31;
    flow.days = days;
    flow.offset = offset;
    flow.clock = DELAY;
    flow.recents = 0;
    struct harness all, some;
    harness_init(&all, DATAFLOW_CONTINUOUS);
    harness_open(&all, &op_over_class, looking_back_plan(&all, seed, days, offset, false));
    harness_init(&some, DATAFLOW_CONTINUOUS);
    some.ctx.watermark = some.ctx.watermark_before = WATERMARK_NONE;
    harness_open(&some, &op_over_class, looking_back_plan(&some, seed, days, offset, true));
    struct strbuf text = STRBUF_INIT;
    for (uint32_t tick = 0; tick < TICKS; tick++) {
        strbuf_reset(&text);
        some.ctx.watermark = late_flow_tick(&flow, &dice, &some, &text);
        harness_now = &all;
        char *expected = arena_strdup(&some.arena, harness_tick(&all, strbuf_text(&text)));
        int before = test_failures;
        EXPECT_TEXT(harness_tick(&some, strbuf_text(&text)), expected);
        EXPECT_TEXT(harness_finish(&some), "");
        if (test_failures > before) {
            fprintf(stderr, "seed %u tick %u: %s\n", seed, tick, strbuf_text(&text));
            break;
        }
    }
    *kept += op_over_class.state_rows(some.op);
    *forgotten += op_over_class.state_rows(all.op) - op_over_class.state_rows(some.op);
    strbuf_release(&text);
    harness_now = &all;
    harness_close(&all);
    harness_now = &some;
    harness_close(&some);
}

TEST(forgetting_rows_changes_no_result)
{
    uint64_t kept = 0, forgotten = 0;
    for (uint32_t seed = 1; seed <= test_rounds(200, 64); seed++)
        forget(seed, &kept, &forgotten);
    EXPECT(forgotten > 2 * kept);
}

/* ---- checkpoints ---- */

struct saved {
    uint32_t seed;
    struct harness *h;
    struct late_flow flow;
    struct harness_bag bag;
};
static struct saved saved;

static void open_forgetting(struct harness *h)
{
    saved.h = h;
    harness_open(h, &op_over_class,
                 looking_back_plan(h, saved.seed, saved.flow.days, saved.flow.offset, true));
}

static void change_forgetting(void *ctx, uint32_t tick_number, uint32_t *seed, struct save_tick *tick)
{
    struct saved *self = ctx;
    (void)tick_number;
    tick->watermark = late_flow_tick(&self->flow, seed, self->h, &tick->ports[0]);
}

static void open_any(struct harness *h)
{
    harness_open(h, &op_over_class, any_plan(h, saved.seed));
}

static void change_any(void *ctx, uint32_t tick_number, uint32_t *seed, struct save_tick *tick)
{
    struct saved *self = ctx;
    uint32_t many = tick_number == 0 ? 20 : harness_random(seed, 3) == 0 ? harness_random(seed, 12) : 1;
    harness_bag_change(&self->bag, seed, many, tick_number == 0 ? 100 : 50, make_any_row, &tick->ports[0]);
}

static void open_partitions(struct harness *h)
{
    struct plan *plan = over_plan(h, "date int4 int8 int8", "date int4", 1, 1);
    add_call(h, plan, OVER_ROW_NUMBER, -1);
    add_call(h, plan, OVER_DENSE_RANK, -1);
    plan->over.expiry = (struct plan_expiry){.known = true, .column = 0, .after_us = 1000};
    harness_open(h, &op_over_class, plan);
}

static void change_partitions(void *ctx, uint32_t tick_number, uint32_t *seed, struct save_tick *tick)
{
    int64_t day = INT64_C(86400000000);
    uint32_t today = 10 + tick_number / 5;
    (void)ctx;
    for (uint32_t i = harness_random(seed, 6); i > 0; i--)
        strbuf_addf(&tick->ports[0], "+ 2000-01-%02u %u\n", today - harness_random(seed, 5),
                    harness_random(seed, 10));
    if (harness_random(seed, 10) == 0)
        strbuf_addf(&tick->ports[0], "+ \\N %u\n", harness_random(seed, 10));
    tick->watermark = (today - 6) * day + 1000;
}

TEST(saved_and_put_back)
{
    for (uint32_t seed = 1; seed <= test_rounds(120, 40) && test_failures == 0; seed++) {
        struct save_case c = {.ctx = &saved, .ticks = 60, .tries_damage = seed % 4 == 0};
        memset(&saved, 0, sizeof(saved));
        saved.seed = seed;
        saved.flow.days = seed % 2 == 0;
        saved.flow.offset = seed / 2 % ARRAY_COUNT(offset_texts);
        saved.flow.clock = DELAY;
        c.open = open_forgetting;
        c.change = change_forgetting;
        save_case_run(&c, seed);
        shape_now = &shapes[seed % ARRAY_COUNT(shapes)];
        constant_distance = seed % 3 == 0;
        c.ticks = 25;
        c.open = open_any;
        c.change = change_any;
        save_case_run(&c, seed);
        c.open = open_partitions;
        c.change = change_partitions;
        c.ticks = 60;
        if (seed % 10 == 0)
            save_case_run(&c, seed);
        if (test_failures > 0)
            fprintf(stderr, "seed %u\n", seed);
    }
}

TEST(state_is_flat_behind_the_watermark)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan =
        over_plan(&h, "int4 date int4 interval int8 int8 int8 int8 int4", "int4 date int4 interval", 1, 1);
    add_call(&h, plan, OVER_ROW_NUMBER, -1);
    add_call(&h, plan, OVER_DENSE_RANK, -1);
    struct plan_over_call *call = add_call(&h, plan, OVER_AGGREGATE, 2);
    call->aggregate = harness_aggregate("sum", "int4");
    call = add_call(&h, plan, OVER_AGGREGATE, 2);
    call->aggregate = harness_aggregate("sum", "int4");
    call->frame_start = BOUND_PRECEDING;
    call->frame_start_offset = 3;
    add_call(&h, plan, OVER_LAG, 2);
    plan->over.order_expiry = (struct plan_expiry){.known = true, .column = 1};
    h.ctx.watermark = h.ctx.watermark_before = WATERMARK_NONE;
    harness_open(&h, &op_over_class, plan);
    struct strbuf text = STRBUF_INIT;
    int64_t bytes = 0;
    static const int64_t months[] = {0, 31, 59, 90, 120, 151};
    for (uint32_t d = 0; d < 28 * 6; d++) {
        strbuf_reset(&text);
        for (uint32_t i = 0; i < 200; i++)
            strbuf_addf(&text, "+ %u 2001-%02u-%02u %u P1D\n", i % 5, 1 + d / 28, 1 + d % 28, i);
        harness_tick(&h, strbuf_text(&text));
        h.ctx.watermark = (366 + months[d / 28] + d % 28) * INT64_C(86400000000);
        EXPECT_TEXT(harness_finish(&h), "");
        EXPECT(op_over_class.due_watermark(h.op) > h.ctx.watermark);
        if (d == 20)
            bytes = op_over_class.state_bytes(h.op);
    }
    EXPECT(op_over_class.state_rows(h.op) < 1000);
    EXPECT(bytes > 0 && op_over_class.state_bytes(h.op) <= bytes);
    /* a partition without rows that matter is gone but for its sums */
    EXPECT_TEXT(harness_tick(&h, "+ 1 2002-01-01 7 P1D\n"),
                "+ 1 2002-01-01 7 \"1 day\" 6721 169 661927 7 196\n");
    strbuf_release(&text);
    harness_close(&h);
}

int main(void)
{
    RUN(ranks);
    RUN(only_changed_rows_are_emitted);
    RUN(ntile_and_values);
    RUN(frames_of_every_kind);
    RUN(random_changes);
    RUN(any_calls_and_frames);
    RUN(work_does_not_grow_with_the_partition);
    RUN(partitions_are_forgotten);
    RUN(forgetting_rows_changes_no_result);
    RUN(saved_and_put_back);
    RUN(state_is_flat_behind_the_watermark);
    return test_result();
}
