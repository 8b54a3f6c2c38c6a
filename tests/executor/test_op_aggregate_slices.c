/* test_op_aggregate_slices.c: windows of slices against a naive recomputation, and op_window's slices. Times
 * are plain microseconds. */
#include "tests/executor/op_harness.h"

enum { KEYS = 5, TIMES = 60 };

struct shape {
    int64_t slide, size, offset, slice;
    bool by_end;
};

static int64_t floor_to(int64_t time, int64_t width, int64_t offset)
{
    int64_t since = time - offset;
    return (since / width - (since % width < 0)) * width + offset;
}

static const struct shape *shape_now;

/* key, slice_start or slice_end, value */
static void make_row(uint32_t *seed, char *out, size_t bytes)
{
    const struct shape *shape = shape_now;
    int64_t time = (int64_t)harness_random(seed, TIMES) - TIMES / 2;
    int64_t slice = floor_to(time, shape->slice, shape->offset) + (shape->by_end ? shape->slice : 0);
    char value[16] = "\\N";
    if (harness_random(seed, 6) != 0)
        snprintf(value, sizeof(value), "%d", (int)harness_random(seed, 9) - 4);
    snprintf(out, bytes, "%u %lld %s", harness_random(seed, KEYS), (long long)slice, value);
}

static void naive(const struct harness_bag *bag, struct strbuf *out)
{
    const struct shape *shape = shape_now;
    static char text[KEYS * 400][96];
    static char *lines[KEYS * 400];
    uint32_t count = 0;
    for (unsigned key = 0; key < KEYS; key++) {
        int64_t first = floor_to(-TIMES - shape->size, shape->slide, shape->offset);
        for (int64_t start = first; start < TIMES; start += shape->slide) {
            long rows = 0, values = 0, sum = 0;
            for (uint32_t i = 0; i < bag->count; i++) {
                unsigned row_key;
                long long slice;
                char value[16];
                CHECK(sscanf(bag->rows[i], "%u %lld %15s", &row_key, &slice, value) == 3);
                slice -= shape->by_end ? shape->slice : 0;
                if (row_key != key || slice < start || slice >= start + shape->size)
                    continue;
                rows++;
                values += value[0] != '\\';
                sum += value[0] != '\\' ? strtol(value, NULL, 10) : 0;
            }
            if (rows == 0)
                continue;
            CHECK(count < KEYS * 400);
            long long bound = start + (shape->by_end ? shape->size : 0);
            if (values == 0)
                snprintf(text[count], sizeof(text[0]), "+ %u %lld %ld \\N", key, bound, rows);
            else
                snprintf(text[count], sizeof(text[0]), "+ %u %lld %ld %ld", key, bound, rows, sum);
            lines[count] = text[count];
            count++;
        }
    }
    qsort(lines, count, sizeof(lines[0]), harness_compare_lines);
    strbuf_reset(out);
    for (uint32_t i = 0; i < count; i++)
        strbuf_addf(out, "%s\n", lines[i]);
}

static struct plan *slices_plan(struct harness *h, const struct shape *shape)
{
    struct plan *plan = harness_plan(h, PLAN_AGGREGATE, "int4 int8 int8 int8");
    harness_child(h, plan, "int4 int8 int4");
    plan->aggregate.groups_count = 2;
    plan->aggregate.groups = ARENA_ARRAY(&h->arena, uint32_t, 2);
    plan->aggregate.groups[1] = 1;
    plan->aggregate.calls_count = 2;
    plan->aggregate.calls = ARENA_ARRAY(&h->arena, struct plan_aggregate_call, 2);
    for (uint32_t c = 0; c < 2; c++) {
        plan->aggregate.calls[c] = (struct plan_aggregate_call){
            .aggregate = harness_aggregate(c == 0 ? "count" : "sum", c == 0 ? "" : "int4"),
            .filter = -1,
            .type = plan->types[2 + c],
            .args_count = c};
        plan->aggregate.calls[c].args = ARENA_ARRAY(&h->arena, uint32_t, 1);
        plan->aggregate.calls[c].args[0] = 2;
    }
    struct plan_slices *slices = ARENA_NEW(&h->arena, struct plan_slices);
    *slices = (struct plan_slices){shape->slide, shape->size, shape->offset, shape->slice,
                                   ARENA_ARRAY(&h->arena, uint8_t, 2)};
    slices->roles[1] = shape->by_end ? ROLE_WINDOW_END : ROLE_WINDOW_START;
    plan->aggregate.slices = slices;
    return plan;
}

static void property(const struct shape *shape, uint32_t seed, uint32_t ticks, uint32_t changes)
{
    static struct harness_bag bag;
    shape_now = shape;
    bag.count = 0;
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    harness_open(&h, &op_aggregate_class, slices_plan(&h, shape));
    struct strbuf text = STRBUF_INIT, expected = STRBUF_INIT;
    for (uint32_t t = 0; t < ticks; t++) {
        struct error err;
        for (uint32_t p = 1 + harness_random(&seed, 3); p > 0; p--) {
            strbuf_reset(&text);
            harness_bag_change(&bag, &seed, 1 + harness_random(&seed, changes), t % 30 < 15 ? 65 : 20,
                               make_row, &text);
            EXPECT(harness_push(&h, 0, strbuf_text(&text), &err));
        }
        harness_finish(&h);
        naive(&bag, &expected);
        EXPECT_TEXT(harness_contents(&h), strbuf_text(&expected));
    }
    /* everything goes: so does the state */
    strbuf_reset(&text);
    for (uint32_t i = 0; i < bag.count; i++)
        strbuf_addf(&text, "- %s\n", bag.rows[i]);
    harness_tick(&h, strbuf_text(&text));
    EXPECT_TEXT(harness_contents(&h), "");
    EXPECT_INT(h.op->class->state_rows(h.op), 0);
    strbuf_release(&text);
    strbuf_release(&expected);
    harness_close(&h);
}

TEST(windows_of_slices)
{
    static const struct shape shapes[] = {
        {2, 10, 0, 2, false}, {4, 10, 1, 2, true},  {3, 10, -7, 1, false},
        {1, 16, 0, 1, true},  {5, 15, 2, 5, false}, {6, 9, 0, 3, true},
    };
    for (uint32_t s = 0; s < ARRAY_COUNT(shapes); s++) {
        property(&shapes[s], s + 1, 40, 2);
        property(&shapes[s], s + 20, 12, 60);
    }
    property(&shapes[3], 7, 3, 1000); /* more windows than a batch holds */
}

/* The same rows once more, in one statement. */
TEST(a_select_has_windows_too)
{
    static const struct shape shape = {2, 6, 0, 2, false};
    struct harness h;
    harness_init(&h, DATAFLOW_ONE_SHOT);
    harness_open(&h, &op_aggregate_class, slices_plan(&h, &shape));
    EXPECT_TEXT(harness_tick(&h, "+ 1 0 5\n+ 1 4 6\n+ 1 0 1\n"),
                "+ 1 -2 2 6\n+ 1 -4 2 6\n+ 1 0 3 12\n+ 1 2 1 6\n+ 1 4 1 6\n");
    harness_close(&h);
}

static struct plan *window_plan(struct harness *h, int64_t slide, int64_t size, int64_t slice)
{
    struct plan *plan = harness_plan(h, PLAN_WINDOW, "int4 timestamp timestamp timestamp");
    harness_child(h, plan, "int4 timestamp");
    plan->window.time_column = 1;
    plan->window.slide_us = slide;
    plan->window.size_us = size;
    plan->window.slice_us = slice;
    return plan;
}

TEST(rows_with_their_slice)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    h.ctx.collect_errors = true;
    harness_open(&h, &op_window_class, window_plan(&h, 4000000, 10000000, 2000000));
    struct batch *rows = batch_create(&h.text_arena, h.op->plan->children[0]->types, 2, 8);
    int64_t times[] = {0, 1999999, 2000000, -1, 3500000, INT64_MIN + 5, INT64_MAX - 1};
    for (uint32_t i = 0; i < ARRAY_COUNT(times); i++) {
        struct datum row[2] = {datum_i32((int32_t)i), datum_i64(times[i])};
        batch_append_datums(rows, row, 1);
    }
    struct datum without[2] = {datum_i32(9), datum_null()};
    batch_append_datums(rows, without, 1);
    struct error err;
    EXPECT(harness_push_batch(&h, 0, rows, &err));
    EXPECT_INT(h.output->rows, 5);
    const int64_t *starts = h.output->columns[2].data, *ends = h.output->columns[3].data;
    int64_t expected[] = {0, 0, 2000000, -2000000, 2000000};
    for (uint32_t i = 0; i < 5; i++) {
        EXPECT_INT(starts[i], expected[i]);
        EXPECT_INT(ends[i], expected[i] + 2000000);
    }
    /* both rows at the ends of time lie in two windows, or three, none of which has bounds */
    uint32_t errors = 0;
    for (const char *at = strbuf_text(&h.errors); (at = strstr(at, "timestamp out of range")) != NULL; at++)
        errors++;
    EXPECT(errors >= 4);
    harness_finish(&h);
    harness_close(&h);
}

int main(void)
{
    RUN(windows_of_slices);
    RUN(a_select_has_windows_too);
    RUN(rows_with_their_slice);
    return test_result();
}
