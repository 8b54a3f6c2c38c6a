/* test_op_interval_join.c: interval joins tick by tick, against nested loops, and what they forget. */
#include "executor/function.h"
#include "tests/executor/op_harness.h"

#define SECOND   INT64_C(1000000)
#define NO_BOUND INT64_MAX

/* right >= left + lower, right <= left + upper, in seconds; or > and <. */
struct shape {
    enum join_kind kind;
    bool has_keys, has_residual;
    int64_t lower, upper; /* NO_BOUND */
    bool lower_is_open, upper_is_open;
};

/* Rows: key, time, number. */
static struct plan *join_plan(struct harness *h, const struct shape *shape)
{
    bool is_single = shape->kind == JOIN_SEMI || shape->kind == JOIN_ANTI;
    struct plan *plan = harness_plan(
        h, PLAN_INTERVAL_JOIN, is_single ? "int4 timestamp int4" : "int4 timestamp int4 int4 timestamp int4");
    harness_child(h, plan, "int4 timestamp int4");
    harness_child(h, plan, "int4 timestamp int4");
    plan->interval_join.kind = shape->kind;
    plan->interval_join.keys_count = shape->has_keys;
    plan->interval_join.left_keys = ARENA_ARRAY(&h->arena, uint32_t, 1);
    plan->interval_join.right_keys = ARENA_ARRAY(&h->arena, uint32_t, 1);
    plan->interval_join.left_time = plan->interval_join.right_time = 1;
    plan->interval_join.lower_us =
        shape->lower == NO_BOUND ? INT64_MIN : shape->lower * SECOND + shape->lower_is_open;
    plan->interval_join.upper_us =
        shape->upper == NO_BOUND ? INT64_MAX : shape->upper * SECOND - shape->upper_is_open;
    plan->interval_join.lower_is_open = shape->lower_is_open;
    plan->interval_join.upper_is_open = shape->upper_is_open;
    if (shape->has_residual) {
        struct sql_type int4 = {OID_INT4, -1};
        const struct function_row *row = function_find_exact("<>", (uint32_t[]){OID_INT4, OID_INT4}, 2);
        struct expr *args[] = {expr_column(&h->arena, 2, int4), expr_column(&h->arena, 5, int4)};
        plan->interval_join.residual = expr_call(&h->arena, row, (struct sql_type){OID_BOOL, -1},
                                                 arena_copy(&h->arena, args, sizeof(args)), 2);
    }
    return plan;
}

/* ---- nested loops ---- */

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
        snprintf(time, sizeof(time), "2026-01-01T00:00:%02u", harness_random(seed, 30));
    snprintf(out, bytes, "%s %s %u", key, time, harness_random(seed, 2));
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

static int64_t plus(int64_t time, int64_t distance)
{
    return time == LATER || time == BEFORE ? time : time + distance;
}

static bool rows_match(const struct shape *shape, const char *left, const char *right)
{
    int64_t l, r;
    if (!time_of(left, &l) || !time_of(right, &r))
        return false;
    if (shape->has_keys && (left[0] == '\\' || right[0] == '\\' || left[0] != right[0]))
        return false;
    if (shape->has_residual && strrchr(left, ' ')[1] == strrchr(right, ' ')[1])
        return false;
    if (shape->lower != NO_BOUND) {
        int64_t bound = plus(l, shape->lower);
        if (shape->lower_is_open ? r <= bound : r < bound)
            return false;
    }
    if (shape->upper != NO_BOUND) {
        int64_t bound = plus(l, shape->upper);
        if (shape->upper_is_open ? r >= bound : r > bound)
            return false;
    }
    return true;
}

static void nested_loops(struct harness *h, const struct shape *shape, const struct harness_bag bags[2],
                         struct strbuf *out)
{
    enum join_kind kind = shape->kind;
    const struct harness_bag *left = &bags[0], *right = &bags[1];
    struct strbuf text = STRBUF_INIT;
    for (uint32_t l = 0; l < left->count; l++) {
        bool matched = false;
        for (uint32_t r = 0; r < right->count; r++) {
            if (!rows_match(shape, left->rows[l], right->rows[r]))
                continue;
            matched = true;
            if (kind != JOIN_SEMI && kind != JOIN_ANTI)
                strbuf_addf(&text, "+ %s %s\n", left->rows[l], right->rows[r]);
        }
        if (kind == (matched ? JOIN_SEMI : JOIN_ANTI))
            strbuf_addf(&text, "+ %s\n", left->rows[l]);
        if (!matched && (kind == JOIN_LEFT || kind == JOIN_FULL))
            strbuf_addf(&text, "+ %s \\N \\N \\N\n", left->rows[l]);
    }
    for (uint32_t r = 0; r < right->count && kind == JOIN_FULL; r++) {
        bool matched = false;
        for (uint32_t l = 0; l < left->count; l++)
            matched = matched || rows_match(shape, left->rows[l], right->rows[r]);
        if (!matched)
            strbuf_addf(&text, "+ \\N \\N \\N %s\n", right->rows[r]);
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
    harness_open(&h, &op_interval_join_class, plan);
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
        uint32_t before = h.total->rows;
        harness_finish(&h);
        for (uint32_t i = before; append_only && shape->kind == JOIN_INNER && i < h.total->rows; i++)
            EXPECT(batch_weight(h.total, i) > 0);
        nested_loops(&h, shape, bags, &expected);
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
    harness_open(&h, &op_interval_join_class, join_plan(&h, shape));
    harness_bag_text(&bags[0], &text[0]);
    harness_bag_text(&bags[1], &text[1]);
    harness_tick2(&h, strbuf_text(&text[0]), strbuf_text(&text[1]));
    nested_loops(&h, shape, bags, &expected);
    EXPECT_TEXT(harness_contents(&h), strbuf_text(&expected));
    harness_close(&h);
    strbuf_release(&text[0]);
    strbuf_release(&text[1]);
    strbuf_release(&expected);
}

TEST(random_changes)
{
    static const struct {
        int64_t lower, upper;
    } bounds[] = {{0, 5}, {-3, 0}, {-2, 2}, {3, 6}, {NO_BOUND, 0}, {1, NO_BOUND}, {2, 1}};
    uint32_t seed = 0;
    for (uint32_t kind = JOIN_INNER; kind <= JOIN_ANTI; kind++) {
        for (uint32_t b = 0; b < ARRAY_COUNT(bounds) && test_failures == 0; b++) {
            struct shape shape = {
                .kind = (enum join_kind)kind, .lower = bounds[b].lower, .upper = bounds[b].upper};
            for (uint32_t bits = 0; bits < 16; bits++) {
                shape.has_keys = bits & 1;
                shape.has_residual = bits & 2;
                shape.lower_is_open = bits & 4;
                shape.upper_is_open = bits & 8;
                property(&shape, false, ++seed, 8, 1 + bits % 8);
                property(&shape, true, ++seed, 4, 3);
            }
        }
    }
}

TEST(large_ticks)
{
    struct shape shape = {.kind = JOIN_FULL, .has_keys = true, .has_residual = true, .lower = -1, .upper = 3};
    property(&shape, false, 7, 3, 120);
    shape.kind = JOIN_INNER;
    property(&shape, false, 8, 3, 150);
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

/* Left rows find matches up to five seconds later, right ones in rows up to five seconds older. */
static void open_forgetting(struct harness *h, enum join_kind kind)
{
    harness_init(h, DATAFLOW_CONTINUOUS);
    struct shape shape = {.kind = kind, .has_keys = true, .lower = 0, .upper = 5};
    struct plan *plan = join_plan(h, &shape);
    plan->children[0]->append_only = plan->children[1]->append_only = true;
    plan->interval_join.left_expiry = (struct plan_expiry){true, 1, 5 * SECOND + 1};
    plan->interval_join.right_expiry = (struct plan_expiry){true, 1, 1};
    harness_open(h, &op_interval_join_class, plan);
    h->ctx.initial = false;
    h->ctx.watermark_before = h->ctx.watermark = WATERMARK_NONE;
}

TEST(forgets_behind_the_watermark)
{
    struct harness h;
    open_forgetting(&h, JOIN_LEFT);
    EXPECT_TEXT(harness_tick2(&h, "+ 1 2026-01-01T00:00:10 0\n+ 2 2026-01-01T00:00:11 0\n",
                              "+ 3 2026-01-01T00:00:12 0\n"),
                "+ 1 \"2026-01-01 00:00:10\" 0 \\N \\N \\N\n+ 2 \"2026-01-01 00:00:11\" 0 \\N \\N \\N\n");
    EXPECT_INT(h.op->class->state_rows(h.op), 3);
    EXPECT(h.op->class->due_watermark(h.op) > at(12) && h.op->class->due_watermark(h.op) <= at(13));
    h.ctx.watermark = at(13); /* no left row as old as the right one comes any more */
    harness_finish(&h);
    EXPECT_INT(h.op->class->state_rows(h.op), 2);
    h.ctx.watermark_before = h.ctx.watermark;
    EXPECT_TEXT(harness_tick2(&h, "", "+ 1 2026-01-01T00:00:15 7\n"),
                "+ 1 \"2026-01-01 00:00:10\" 0 1 \"2026-01-01 00:00:15\" 7\n- 1 \"2026-01-01 00:00:10\" 0 "
                "\\N \\N \\N\n");
    EXPECT_INT(h.op->class->state_rows(h.op), 3);
    h.ctx.watermark = at(16);
    harness_finish(&h);
    EXPECT_INT(h.op->class->state_rows(h.op), 1);
    h.ctx.watermark = at(17);
    EXPECT_TEXT(harness_finish(&h), ""); /* the row with NULLs stays in the view */
    EXPECT_INT(h.op->class->state_rows(h.op), 0);
    EXPECT(h.op->class->due_watermark(h.op) == TIME_NEVER);
    harness_close(&h);
}

/* State stays small however long it runs, and what is found is what nested loops over everything find. */
TEST(state_is_bounded)
{
    struct harness h;
    open_forgetting(&h, JOIN_INNER);
    struct error err;
    uint64_t most = 0;
    int64_t pairs = 0;
    for (uint32_t t = 0; t < 2000; t++) {
        struct batch *change = batch_create(&h.text_arena, h.op->plan->children[0]->types, 3, 4);
        struct datum row[3] = {datum_i32((int32_t)(t % 7)), datum_i64(at(0) + t * SECOND),
                               datum_i32((int32_t)t)};
        batch_append_datums(change, row, 1);
        EXPECT(harness_push_batch(&h, 0, change, &err) && harness_push_batch(&h, 1, change, &err));
        h.ctx.watermark = at(0) + t * SECOND;
        harness_finish(&h);
        for (uint32_t i = 0; i < h.total->rows; i++)
            pairs += batch_weight(h.total, i);
        batch_clear(h.total);
        h.ctx.watermark_before = h.ctx.watermark;
        uint64_t rows = h.op->class->state_rows(h.op);
        most = rows > most ? rows : most;
    }
    EXPECT(most <= 10);
    EXPECT_INT(pairs, 2000); /* keys come back after seven seconds, and each row meets itself */
    harness_close(&h);
}

int main(void)
{
    RUN(random_changes);
    RUN(large_ticks);
    RUN(forgets_behind_the_watermark);
    RUN(state_is_bounded);
    return test_result();
}
