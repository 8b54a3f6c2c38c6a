/* test_op_join.c: all kinds of joins, tick by tick and against nested loops. */
#include "tests/executor/save_harness.h"

static struct plan *join_plan(struct harness *h, enum join_kind kind, uint32_t keys_count)
{
    bool is_single = kind == JOIN_SEMI || kind == JOIN_ANTI;
    struct plan *plan = harness_plan(h, PLAN_JOIN, is_single ? "int4 int4" : "int4 int4 int4 int4");
    harness_child(h, plan, "int4 int4");
    harness_child(h, plan, "int4 int4");
    plan->join.kind = kind;
    plan->join.keys_count = keys_count;
    plan->join.left_keys = ARENA_ARRAY(&h->arena, uint32_t, 1);
    plan->join.right_keys = ARENA_ARRAY(&h->arena, uint32_t, 1);
    return plan;
}

TEST(inner)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    harness_open(&h, &op_join_class, join_plan(&h, JOIN_INNER, 1));
    EXPECT_TEXT(harness_tick2(&h, "+ 1 10\n+ 2 20\n+ \\N 1\n", "+ 1 100\n+ \\N 2\n"), "+ 1 10 1 100\n");
    EXPECT_TEXT(harness_tick2(&h, "+ 1 11\n", "+ 2 200\n+ 1 101\n"),
                "+ 1 10 1 101\n+ 1 11 1 100\n+ 1 11 1 101\n+ 2 20 2 200\n");
    EXPECT_TEXT(harness_tick2(&h, "- 1 10\n", "- 1 100\n"), "- 1 10 1 100\n- 1 10 1 101\n- 1 11 1 100\n");
    EXPECT_TEXT(harness_tick2(&h, "- 2 20\n+ 2 20\n", ""), "");
    EXPECT_TEXT(harness_tick2(&h, "+2 2 20\n", "+3 2 200\n"), "+11 2 20 2 200\n");
    harness_close(&h);
}

/* Bag multiplicities: l = {1,1,2,2}, r = {1,1,1}. */
TEST(left_keeps_multiplicities)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    harness_open(&h, &op_join_class, join_plan(&h, JOIN_LEFT, 1));
    EXPECT_TEXT(harness_tick2(&h, "+2 1 0\n+2 2 0\n", "+3 1 0\n"), "+2 2 0 \\N \\N\n+6 1 0 1 0\n");
    EXPECT_TEXT(harness_tick2(&h, "", "- 1 0\n"), "-2 1 0 1 0\n");
    EXPECT_TEXT(harness_tick2(&h, "", "-2 1 0\n"), "+2 1 0 \\N \\N\n-4 1 0 1 0\n");
    EXPECT_TEXT(harness_contents(&h), "+2 1 0 \\N \\N\n+2 2 0 \\N \\N\n");
    harness_close(&h);
}

/* Right insert and delete, then left insert. */
TEST(full_after_the_other_side_went)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    harness_open(&h, &op_join_class, join_plan(&h, JOIN_FULL, 1));
    EXPECT_TEXT(harness_tick2(&h, "", ""), "");
    EXPECT_TEXT(harness_tick2(&h, "", "+ 3 0\n- 3 0\n"), "");
    EXPECT_TEXT(harness_tick2(&h, "+ 3 1\n", ""), "+ 3 1 \\N \\N\n");
    EXPECT_TEXT(harness_tick2(&h, "+ \\N 1\n", "+ \\N 1\n"), "+ \\N 1 \\N \\N\n+ \\N \\N \\N 1\n");
    EXPECT_TEXT(harness_tick2(&h, "", "+ 3 5\n"), "+ 3 1 3 5\n- 3 1 \\N \\N\n");
    EXPECT_TEXT(harness_tick2(&h, "- 3 1\n", ""), "+ \\N \\N 3 5\n- 3 1 3 5\n");
    harness_close(&h);
}

TEST(null_safe_keys_match)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = join_plan(&h, JOIN_ANTI, 1);
    plan->join.null_safe = ARENA_NEW(&h.arena, bool);
    plan->join.null_safe[0] = true;
    harness_open(&h, &op_join_class, plan);
    EXPECT_TEXT(harness_tick2(&h, "+ \\N 1\n+ 1 1\n", ""), "+ 1 1\n+ \\N 1\n");
    EXPECT_TEXT(harness_tick2(&h, "", "+ \\N 7\n"), "- \\N 1\n");
    EXPECT_TEXT(harness_tick2(&h, "", "- \\N 7\n"), "+ \\N 1\n");
    harness_close(&h);
}

/* ---- nested loops ---- */

static void make_row(uint32_t *seed, char *out, size_t bytes)
{
    if (harness_random(seed, 9) == 0)
        snprintf(out, bytes, "\\N %u", harness_random(seed, 3));
    else
        snprintf(out, bytes, "%u %u", harness_random(seed, 8), harness_random(seed, 3));
}

static bool keys_match(const char *a, const char *b, bool is_cross)
{
    return is_cross || (a[0] != '\\' && b[0] != '\\' && strtol(a, NULL, 10) == strtol(b, NULL, 10));
}

static void nested_loops(struct harness *h, const struct harness_bag *left, const struct harness_bag *right,
                         enum join_kind kind, bool is_cross, struct strbuf *out)
{
    struct strbuf text = STRBUF_INIT;
    for (uint32_t l = 0; l < left->count; l++) {
        bool matched = false;
        for (uint32_t r = 0; r < right->count; r++) {
            if (!keys_match(left->rows[l], right->rows[r], is_cross))
                continue;
            matched = true;
            if (kind != JOIN_SEMI && kind != JOIN_ANTI)
                strbuf_addf(&text, "+ %s %s\n", left->rows[l], right->rows[r]);
        }
        if (kind == (matched ? JOIN_SEMI : JOIN_ANTI))
            strbuf_addf(&text, "+ %s\n", left->rows[l]);
        if (!matched && (kind == JOIN_LEFT || kind == JOIN_FULL))
            strbuf_addf(&text, "+ %s \\N \\N\n", left->rows[l]);
    }
    for (uint32_t r = 0; r < right->count && kind == JOIN_FULL; r++) {
        bool matched = false;
        for (uint32_t l = 0; l < left->count; l++)
            matched = matched || keys_match(left->rows[l], right->rows[r], is_cross);
        if (!matched)
            strbuf_addf(&text, "+ \\N \\N %s\n", right->rows[r]);
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

static void property(enum join_kind kind, uint32_t keys_count, uint32_t seed, uint32_t ticks,
                     uint32_t changes)
{
    static struct harness_bag bags[2];
    bags[0].count = bags[1].count = 0;
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    harness_open(&h, &op_join_class, join_plan(&h, kind, keys_count));
    struct strbuf text[2] = {STRBUF_INIT, STRBUF_INIT}, expected = STRBUF_INIT;
    for (uint32_t t = 0; t < ticks; t++) {
        for (uint32_t side = 0; side < 2; side++) {
            strbuf_reset(&text[side]);
            if (harness_random(&seed, 3) != 0)
                harness_bag_change(&bags[side], &seed, 1 + harness_random(&seed, changes),
                                   t % 20 < 10 ? 70 : 20, make_row, &text[side]);
        }
        harness_tick2(&h, strbuf_text(&text[0]), strbuf_text(&text[1]));
        nested_loops(&h, &bags[0], &bags[1], kind, keys_count == 0, &expected);
        EXPECT_TEXT(harness_contents(&h), strbuf_text(&expected));
        if (test_failures > 0)
            break;
    }
    harness_close(&h);

    /* The same contents in one initial tick, and as a SELECT. */
    for (int mode = 0; mode < 2; mode++) {
        harness_init(&h, mode == 0 ? DATAFLOW_CONTINUOUS : DATAFLOW_ONE_SHOT);
        harness_open(&h, &op_join_class, join_plan(&h, kind, keys_count));
        harness_bag_text(&bags[0], &text[0]);
        harness_bag_text(&bags[1], &text[1]);
        harness_tick2(&h, strbuf_text(&text[0]), strbuf_text(&text[1]));
        nested_loops(&h, &bags[0], &bags[1], kind, keys_count == 0, &expected);
        EXPECT_TEXT(harness_contents(&h), strbuf_text(&expected));
        harness_close(&h);
    }
    strbuf_release(&text[0]);
    strbuf_release(&text[1]);
    strbuf_release(&expected);
}

/* One tick with both sides in two pieces each. Shared arrangements get everything before the join gets
 * anything. */
static void push_pieces(struct harness *h, uint32_t *seed, struct batch *const changes[2])
{
    struct error err;
    for (uint32_t side = 0; side < 2; side++) {
        struct operator* arrange = h->arranges[side];
        arrange->edges_count = h->join_shared[side] ? 0 : 1;
        if (h->join_shared[side] && changes[side]->rows > 0)
            EXPECT(arrange->class->push(arrange, 0, changes[side], &err));
    }
    uint32_t first = harness_random(seed, 2), done[2] = {0, 0};
    for (uint32_t step = 0; step < 4; step++) {
        uint32_t side = (first + (step == 1 || step == 2 ? 1 : 0)) % 2;
        uint32_t count = changes[side]->rows - done[side];
        if (step < 2)
            count = harness_random(seed, count + 1);
        struct batch *piece = batch_slice(&h->text_arena, changes[side], done[side], count);
        done[side] += count;
        struct operator* to = h->join_shared[side] ? h->op : h->arranges[side];
        if (count > 0)
            EXPECT(to->class->push(to, side, piece, &err));
    }
    harness_finish(h);
}

static struct harness *variant_open(enum join_kind kind, const bool shared[2], const bool append_only[2])
{
    struct harness *h = calloc(1, sizeof(*h));
    harness_init(h, DATAFLOW_CONTINUOUS);
    struct plan *plan = join_plan(h, kind, 1);
    for (uint32_t side = 0; side < 2; side++) {
        h->join_shared[side] = shared[side];
        plan->children[side]->append_only = append_only[side];
    }
    harness_open(h, &op_join_class, plan);
    return h;
}

/* Sides that are shared or not, append-only or not; from time to time saved and put back. */
static void variant(enum join_kind kind, const bool shared[2], const bool append_only[2], uint32_t seed)
{
    static struct harness_bag bags[2];
    bags[0].count = bags[1].count = 0;
    struct harness *h = variant_open(kind, shared, append_only);
    struct save_harness saved;
    memset(&saved, 0, sizeof(saved));
    for (uint32_t i = 0; i < ARRAY_COUNT(saved.copies); i++)
        save_copy_init(&saved.copies[i], seed + i);
    struct strbuf text = STRBUF_INIT, expected = STRBUF_INIT;
    for (uint32_t t = 0; t < 40 && test_failures == 0; t++) {
        struct batch *changes[2];
        for (uint32_t side = 0; side < 2; side++) {
            strbuf_reset(&text);
            if (harness_random(&seed, 3) != 0)
                harness_bag_change(&bags[side], &seed, 1 + harness_random(&seed, 4),
                                   append_only[side] ? 100 : 60, make_row, &text);
            struct error err;
            changes[side] = batch_create(&h->text_arena, h->op->plan->children[side]->types, 2, 4);
            EXPECT(batch_from_text(changes[side], strbuf_text(&text), &err));
        }
        uint32_t before = h->total->rows;
        push_pieces(h, &seed, changes);
        bool grows_only = kind == JOIN_INNER && append_only[0] && append_only[1];
        for (uint32_t i = before; grows_only && i < h->total->rows; i++)
            EXPECT(batch_weight(h->total, i) > 0);
        nested_loops(h, &bags[0], &bags[1], kind, false, &expected);
        EXPECT_TEXT(harness_contents(h), strbuf_text(&expected));
        if (harness_random(&seed, 4) != 0)
            continue;
        save_harness_take(&saved, h);
        struct harness *old = h;
        h = variant_open(kind, shared, append_only);
        EXPECT(save_harness_restore(&saved, h, true, false));
        batch_append_range(h->total, old->total, 0, old->total->rows, 1);
        save_case_close(old);
        harness_now = h;
    }
    save_case_close(h);
    for (uint32_t i = 0; i < ARRAY_COUNT(saved.copies); i++) {
        save_copy_release(&saved.copies[i]);
        strbuf_release(&saved.rests[i]);
    }
    strbuf_release(&text);
    strbuf_release(&expected);
}

TEST(shared_and_append_only_sides)
{
    for (uint32_t seed = 0; seed < 48; seed++) {
        bool shared[2] = {seed & 1, seed & 2}, append_only[2] = {seed & 4, seed & 8};
        variant(JOIN_INNER, shared, append_only, seed);
        variant(JOIN_LEFT, shared, append_only, seed);
        variant(JOIN_SEMI, shared, append_only, seed);
    }
}

/* More keys and more rows of one key than a batch holds. */
TEST(large_ticks)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    harness_open(&h, &op_join_class, join_plan(&h, JOIN_FULL, 1));
    struct sql_type types[2] = {{OID_INT4, -1}, {OID_INT4, -1}};
    struct batch *rows = batch_create(&h.arena, types, 2, 16), *hot = batch_create(&h.arena, types, 2, 16);
    for (int32_t i = 0; i < 5000; i++) {
        struct datum row[2] = {datum_i32(i), datum_i32(0)}, same[2] = {datum_i32(7), datum_i32(i + 1)};
        batch_append_datums(rows, row, 1);
        batch_append_datums(hot, same, 1);
    }
    struct error err;
    const struct {
        uint32_t port;
        const struct batch *rows;
        int sign;
        long expected; /* rows shown after it */
    } steps[] = {
        {0, rows, 1, 5000},  {1, rows, 1, 5000}, {1, hot, 1, 10000}, {1, rows, -1, 9999},
        {0, rows, -1, 5000}, {0, rows, 1, 9999}, {1, hot, -1, 5000}, {0, rows, -1, 0},
    };
    harness_finish(&h); /* the initial tick */
    for (uint32_t s = 0; s < ARRAY_COUNT(steps); s++) {
        for (uint32_t at = 0; at < 5000; at += 2000) {
            struct batch *piece = batch_create(&h.text_arena, types, 2, 2000);
            batch_append_range(piece, steps[s].rows, at, at + 2000 < 5000 ? 2000 : 5000 - at, steps[s].sign);
            EXPECT(harness_push_batch(&h, steps[s].port, piece, &err));
        }
        harness_finish(&h);
        const struct batch *all = batch_consolidate(h.total, &h.text_arena);
        long shown = 0;
        for (uint32_t i = 0; i < all->rows; i++)
            shown += (long)batch_weight(all, i);
        EXPECT_INT(shown, steps[s].expected);
    }
    EXPECT_TEXT(harness_contents(&h), "");
    harness_close(&h);
}

TEST(random_changes)
{
    for (uint32_t kind = JOIN_INNER; kind <= JOIN_ANTI; kind++) {
        property((enum join_kind)kind, 1, kind + 1, 60, 1);
        property((enum join_kind)kind, 1, kind + 11, 40, 12);
        property((enum join_kind)kind, 0, kind + 21, 30, 3);
    }
    property(JOIN_INNER, 1, 99, 4, 200);
}

int main(void)
{
    RUN(inner);
    RUN(left_keeps_multiplicities);
    RUN(full_after_the_other_side_went);
    RUN(null_safe_keys_match);
    RUN(large_ticks);
    RUN(random_changes);
    RUN(shared_and_append_only_sides);
    return test_result();
}
