/* test_op_asof_join.c: as-of joins tick by tick, against a search through all right rows, and what they forget. */
#include "tests/executor/op_harness.h"

#define SECOND INT64_C(1000000)

struct shape {
    bool is_left, has_keys;
    enum time_comparison comparison;
};

/* Rows: key, time, number. */
static struct plan *join_plan(struct harness *h, const struct shape *shape)
{
    struct plan *plan = harness_plan(h, PLAN_ASOF_JOIN, "int4 timestamp int4 int4 timestamp int4");
    harness_child(h, plan, "int4 timestamp int4");
    harness_child(h, plan, "int4 timestamp int4");
    plan->asof_join.is_left = shape->is_left;
    plan->asof_join.keys_count = shape->has_keys;
    plan->asof_join.left_keys = ARENA_ARRAY(&h->arena, uint32_t, 1);
    plan->asof_join.right_keys = ARENA_ARRAY(&h->arena, uint32_t, 1);
    plan->asof_join.left_time = plan->asof_join.right_time = 1;
    plan->asof_join.comparison = shape->comparison;
    return plan;
}

/* ---- a search through all rows ---- */

static void make_row(uint32_t *seed, char *out, size_t bytes)
{
    char key[8] = "\\N", time[32] = "\\N";
    if (harness_random(seed, 12) != 0)
        snprintf(key, sizeof(key), "%u", harness_random(seed, 3));
    uint32_t odd = harness_random(seed, 24);
    if (odd == 1)
        snprintf(time, sizeof(time), "infinity");
    else if (odd == 2)
        snprintf(time, sizeof(time), "-infinity");
    else if (odd != 0)
        snprintf(time, sizeof(time), "2026-01-01T00:00:%02u", harness_random(seed, 12));
    snprintf(out, bytes, "%s %s %u", key, time, harness_random(seed, 3));
}

#define LATER  1000000
#define BEFORE (-1000000)

/* false: NULL */
static bool time_of(const char *row, int64_t *seconds)
{
    const char *time = strchr(row, ' ') + 1;
    if (time[0] == '\\')
        return false;
    *seconds = time[0] == 'i'   ? LATER
               : time[0] == '-' ? BEFORE
                                : strtol(time + strlen("2026-01-01T00:00:"), NULL, 10);
    return true;
}

static bool rows_match(const struct shape *shape, const char *left, const char *right)
{
    int64_t l, r;
    if (!time_of(left, &l) || !time_of(right, &r))
        return false;
    if (shape->has_keys && (left[0] == '\\' || right[0] == '\\' || left[0] != right[0]))
        return false;
    switch (shape->comparison) {
    case TIME_GREATER:
        return l > r;
    case TIME_GREATER_EQUAL:
        return l >= r;
    case TIME_LESS:
        return l < r;
    default:
        return l <= r;
    }
}

/* Both match the same left row: is `a` the nearer one, or at the same time the greater row? NULLs are greatest. */
static bool is_better(const struct shape *shape, const char *a, const char *b)
{
    int64_t x = 0, y = 0;
    (void)time_of(a, &x);
    (void)time_of(b, &y);
    if (x != y)
        return (shape->comparison == TIME_LESS || shape->comparison == TIME_LESS_EQUAL) == (x < y);
    if (a[0] != b[0])
        return a[0] > b[0]; /* the backslash is greater than digits */
    return strcmp(strrchr(a, ' '), strrchr(b, ' ')) > 0;
}

static void search(struct harness *h, const struct shape *shape, const struct harness_bag bags[2],
                   struct strbuf *out)
{
    const struct harness_bag *left = &bags[0], *right = &bags[1];
    struct strbuf text = STRBUF_INIT;
    for (uint32_t l = 0; l < left->count; l++) {
        const char *best = NULL;
        for (uint32_t r = 0; r < right->count; r++)
            if (rows_match(shape, left->rows[l], right->rows[r]) &&
                (best == NULL || is_better(shape, right->rows[r], best)))
                best = right->rows[r];
        if (best != NULL || shape->is_left)
            strbuf_addf(&text, "+ %s %s\n", left->rows[l], best != NULL ? best : "\\N \\N \\N");
    }
    struct arena arena;
    arena_init(&arena, NULL);
    struct batch *batch = batch_create(&arena, h->op->types, h->op->columns_count, 16);
    struct error err;
    EXPECT(text.len == 0 || batch_from_text(batch, text.data, &err));
    strbuf_reset(out);
    strbuf_adds(out, harness_text(h, batch));
    strbuf_release(&text);
    arena_release(&arena);
}

static void property(const struct shape *shape, bool append_only, uint32_t seed, uint32_t ticks,
                     uint32_t changes)
{
    static struct harness_bag bags[2];
    bags[0].count = bags[1].count = 0;
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = join_plan(&h, shape);
    plan->children[0]->append_only = plan->children[1]->append_only = append_only;
    harness_open(&h, &op_asof_join_class, plan);
    struct strbuf text[2] = {STRBUF_INIT, STRBUF_INIT}, expected = STRBUF_INIT;
    for (uint32_t t = 0; t < ticks && test_failures == 0; t++) {
        for (uint32_t side = 0; side < 2; side++) {
            strbuf_reset(&text[side]);
            if (harness_random(&seed, 3) != 0)
                harness_bag_change(&bags[side], &seed, 1 + harness_random(&seed, changes),
                                   append_only   ? 100
                                   : t % 20 < 10 ? 70
                                                 : 20,
                                   make_row, &text[side]);
        }
        struct error err;
        for (uint32_t i = 0; i < 2; i++) { /* in either order */
            uint32_t port = (t + i) % 2;
            EXPECT(harness_push(&h, port, strbuf_text(&text[port]), &err));
        }
        harness_finish(&h);
        search(&h, shape, bags, &expected);
        EXPECT_TEXT(harness_contents(&h), strbuf_text(&expected));
    }
    /* Everything goes again: nothing is left. */
    if (!append_only) {
        for (uint32_t side = 0; side < 2; side++) {
            strbuf_reset(&text[side]);
            for (uint32_t i = 0; i < bags[side].count; i++)
                strbuf_addf(&text[side], "- %s\n", bags[side].rows[i]);
        }
        harness_tick2(&h, strbuf_text(&text[0]), strbuf_text(&text[1]));
        EXPECT_TEXT(harness_contents(&h), "");
        EXPECT_INT(h.op->class->state_rows(h.op), 0);
    }
    harness_close(&h);

    harness_init(&h, DATAFLOW_ONE_SHOT);
    harness_open(&h, &op_asof_join_class, join_plan(&h, shape));
    harness_bag_text(&bags[0], &text[0]);
    harness_bag_text(&bags[1], &text[1]);
    harness_tick2(&h, strbuf_text(&text[0]), strbuf_text(&text[1]));
    search(&h, shape, bags, &expected);
    EXPECT_TEXT(harness_contents(&h), strbuf_text(&expected));
    harness_close(&h);
    strbuf_release(&text[0]);
    strbuf_release(&text[1]);
    strbuf_release(&expected);
}

TEST(random_changes)
{
    uint32_t seed = 0;
    for (uint32_t comparison = TIME_GREATER; comparison <= TIME_LESS_EQUAL; comparison++) {
        for (uint32_t bits = 0; bits < 4 && test_failures == 0; bits++) {
            struct shape shape = {bits & 1, bits & 2, (enum time_comparison)comparison};
            for (uint32_t i = 0; i < 12; i++) {
                property(&shape, false, ++seed, 10, 1 + i);
                property(&shape, true, ++seed, 5, 4);
            }
        }
    }
}

TEST(large_ticks)
{
    struct shape shape = {true, false, TIME_GREATER};
    property(&shape, false, 7, 4, 1500);
    shape = (struct shape){false, true, TIME_LESS_EQUAL};
    property(&shape, false, 8, 4, 1500);
}

static int64_t at(uint32_t second)
{
    struct datum value;
    struct error err;
    struct arena arena;
    char text[32];
    arena_init(&arena, NULL);
    snprintf(text, sizeof(text), "2026-01-01 00:00:%02u", second);
    EXPECT(type_input(OID_TIMESTAMP, -1, text, strlen(text), NULL, &arena, &value, &err));
    arena_release(&arena);
    return value.i64;
}

/* Two left rows and two versions: whatever comes when, the contents are the same in the end. */
TEST(order_of_arrival_does_not_matter)
{
    static const struct {
        uint32_t port;
        const char *row;
    } rows[] = {{0, "+ 1 2026-01-01T00:00:10 0\n"},
                {0, "+ 1 2026-01-01T00:00:20 1\n"},
                {1, "+ 1 2026-01-01T00:00:05 7\n"},
                {1, "+ 1 2026-01-01T00:00:15 8\n"}};
    for (uint32_t n = 0; n < 256; n++) {
        uint32_t order[] = {n & 3, n >> 2 & 3, n >> 4 & 3, n >> 6 & 3};
        uint32_t seen = 0;
        for (uint32_t i = 0; i < 4; i++)
            seen |= 1u << order[i];
        if (seen != 15)
            continue;
        struct harness h;
        struct shape shape = {true, true, TIME_GREATER_EQUAL};
        harness_init(&h, DATAFLOW_CONTINUOUS);
        harness_open(&h, &op_asof_join_class, join_plan(&h, &shape));
        for (uint32_t i = 0; i < 4; i++) {
            bool is_left = rows[order[i]].port == 0;
            harness_tick2(&h, is_left ? rows[order[i]].row : "", is_left ? "" : rows[order[i]].row);
        }
        EXPECT_TEXT(harness_contents(&h), "+ 1 \"2026-01-01 00:00:10\" 0 1 \"2026-01-01 00:00:05\" 7\n"
                                          "+ 1 \"2026-01-01 00:00:20\" 1 1 \"2026-01-01 00:00:15\" 8\n");
        harness_close(&h);
    }
}

/* Only the left rows between a version and the next are looked at again. */
TEST(a_version_changes_only_the_rows_up_to_the_next)
{
    struct harness h;
    struct shape shape = {false, true, TIME_GREATER_EQUAL};
    harness_init(&h, DATAFLOW_CONTINUOUS);
    harness_open(&h, &op_asof_join_class, join_plan(&h, &shape));
    harness_tick2(&h, "+ 1 2026-01-01T00:00:10 0\n+ 1 2026-01-01T00:00:20 1\n+ 1 2026-01-01T00:00:30 2\n",
                  "+ 1 2026-01-01T00:00:05 7\n+ 1 2026-01-01T00:00:25 8\n");
    EXPECT_TEXT(harness_tick2(&h, "", "+ 1 2026-01-01T00:00:15 9\n"),
                "+ 1 \"2026-01-01 00:00:20\" 1 1 \"2026-01-01 00:00:15\" 9\n"
                "- 1 \"2026-01-01 00:00:20\" 1 1 \"2026-01-01 00:00:05\" 7\n");
    EXPECT_TEXT(harness_tick2(&h, "", "- 1 2026-01-01T00:00:15 9\n+ 1 2026-01-01T00:00:15 4\n"),
                "+ 1 \"2026-01-01 00:00:20\" 1 1 \"2026-01-01 00:00:15\" 4\n"
                "- 1 \"2026-01-01 00:00:20\" 1 1 \"2026-01-01 00:00:15\" 9\n");
    EXPECT_TEXT(harness_tick2(&h, "", "- 1 2026-01-01T00:00:25 8\n+ 1 2026-01-01T00:00:25 8\n"), "");
    harness_close(&h);
}

static void open_forgetting(struct harness *h, int64_t after)
{
    harness_init(h, DATAFLOW_CONTINUOUS);
    struct shape shape = {true, true, TIME_GREATER_EQUAL};
    struct plan *plan = join_plan(h, &shape);
    plan->children[0]->append_only = plan->children[1]->append_only = true;
    plan->asof_join.left_expiry = plan->asof_join.right_expiry = (struct plan_expiry){true, 1, after};
    harness_open(h, &op_asof_join_class, plan);
    h->ctx.initial = false;
    h->ctx.watermark_before = h->ctx.watermark = WATERMARK_NONE;
}

TEST(forgets_behind_the_watermark)
{
    struct harness h;
    open_forgetting(&h, 1);
    harness_tick2(&h, "+ 1 2026-01-01T00:00:10 0\n+ 2 2026-01-01T00:00:12 0\n",
                  "+ 1 2026-01-01T00:00:05 7\n+ 1 2026-01-01T00:00:08 8\n+ 1 2026-01-01T00:00:20 9\n");
    EXPECT_INT(h.op->class->state_rows(h.op), 5);
    EXPECT(h.op->class->due_watermark(h.op) > at(5) && h.op->class->due_watermark(h.op) <= at(6));
    h.ctx.watermark = at(15); /* both left rows go, and the version before the one that holds now */
    EXPECT_TEXT(harness_finish(&h), "");
    EXPECT_INT(h.op->class->state_rows(h.op), 2);
    h.ctx.watermark_before = h.ctx.watermark;
    EXPECT_TEXT(harness_tick2(&h, "+ 1 2026-01-01T00:00:16 1\n", ""),
                "+ 1 \"2026-01-01 00:00:16\" 1 1 \"2026-01-01 00:00:08\" 8\n");
    h.ctx.watermark = at(30);
    EXPECT_TEXT(harness_finish(&h), "");
    EXPECT_INT(h.op->class->state_rows(h.op), 1); /* the newest version stays */
    EXPECT(h.op->class->due_watermark(h.op) == TIME_NEVER);
    h.ctx.watermark_before = h.ctx.watermark;
    EXPECT_TEXT(harness_tick2(&h, "+ 1 2026-01-01T00:00:45 2\n", ""),
                "+ 1 \"2026-01-01 00:00:45\" 2 1 \"2026-01-01 00:00:20\" 9\n");
    harness_close(&h);
}

/* State stays small however long it runs, and each row finds the version before it though versions come late. */
TEST(state_is_bounded)
{
    struct harness h;
    open_forgetting(&h, 1);
    struct error err;
    uint64_t most = 0;
    for (uint32_t t = 10; t < 3000; t++) {
        struct batch *left = batch_create(&h.text_arena, h.op->plan->children[0]->types, 3, 4);
        struct batch *right = batch_create(&h.text_arena, h.op->plan->children[0]->types, 3, 4);
        struct datum row[3] = {datum_i32((int32_t)(t % 2)), datum_i64(at(0) + t * SECOND),
                               datum_i32((int32_t)t)};
        batch_append_datums(left, row, 1);
        uint32_t v = t - 3; /* three seconds late: for the row of the tick before and of that before it */
        struct datum version[3] = {datum_i32((int32_t)(v % 2)), datum_i64(at(0) + v * SECOND - 1),
                                   datum_i32((int32_t)v)};
        batch_append_datums(right, version, 1);
        EXPECT(harness_push_batch(&h, 0, left, &err) && harness_push_batch(&h, 1, right, &err));
        h.ctx.watermark = at(0) + (t - 4) * SECOND;
        harness_finish(&h);
        h.ctx.watermark_before = h.ctx.watermark;
        uint64_t rows = h.op->class->state_rows(h.op);
        most = rows > most ? rows : most;
    }
    EXPECT(most <= 16);
    struct arena arena;
    arena_init(&arena, NULL);
    const struct batch *all = batch_consolidate(h.total, &arena);
    EXPECT_INT(all->rows, 2990);
    for (uint32_t i = 0; i < all->rows; i++) {
        int32_t number = ((const int32_t *)all->columns[2].data)[i];
        if (column_is_null(&all->columns[5], i) || number >= 2996)
            continue; /* before the first version, and those whose version has not come */
        EXPECT_INT(((const int32_t *)all->columns[5].data)[i], number);
    }
    arena_release(&arena);
    harness_close(&h);
}

int main(void)
{
    RUN(random_changes);
    RUN(large_ticks);
    RUN(order_of_arrival_does_not_matter);
    RUN(a_version_changes_only_the_rows_up_to_the_next);
    RUN(forgets_behind_the_watermark);
    RUN(state_is_bounded);
    return test_result();
}
