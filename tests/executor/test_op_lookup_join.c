/* test_op_lookup_join.c: lookup joins tick by tick, against loops over what each tick brings, and what they keep. */
#include "executor/function.h"
#include "tests/executor/op_harness.h"

struct shape {
    bool is_left, has_residual, is_shared, right_append_only;
};

/* Rows: key, number. */
static struct plan *join_plan(struct harness *h, const struct shape *shape)
{
    struct plan *plan = harness_plan(h, PLAN_LOOKUP_JOIN, "int4 int4 int4 int4");
    harness_child(h, plan, "int4 int4");
    harness_child(h, plan, "int4 int4");
    plan->children[0]->append_only = true;
    plan->children[1]->append_only = shape->right_append_only;
    plan->lookup_join.is_left = shape->is_left;
    plan->lookup_join.keys_count = 1;
    plan->lookup_join.left_keys = ARENA_ARRAY(&h->arena, uint32_t, 1);
    plan->lookup_join.right_keys = ARENA_ARRAY(&h->arena, uint32_t, 1);
    if (shape->has_residual) {
        struct sql_type int4 = {OID_INT4, -1};
        const struct function_row *row = function_find_exact("<", (uint32_t[]){OID_INT4, OID_INT4}, 2);
        struct expr *args[] = {expr_column(&h->arena, 3, int4), expr_column(&h->arena, 1, int4)};
        plan->lookup_join.residual = expr_call(&h->arena, row, (struct sql_type){OID_BOOL, -1},
                                               arena_copy(&h->arena, args, sizeof(args)), 2);
    }
    return plan;
}

static void make_row(uint32_t *seed, char *out, size_t bytes)
{
    char key[8] = "\\N";
    if (harness_random(seed, 10) != 0)
        snprintf(key, sizeof(key), "%u", harness_random(seed, 5));
    snprintf(out, bytes, "%s %u", key, harness_random(seed, 3));
}

static bool rows_match(const struct shape *shape, const char *left, const char *right)
{
    return left[0] != '\\' && left[0] == right[0] &&
           (!shape->has_residual || strrchr(right, ' ')[1] < strrchr(left, ' ')[1]);
}

/* Adds what the left rows from number `first` on find. */
static void look_up(const struct shape *shape, const struct harness_bag *left, uint32_t first,
                    const struct harness_bag *right, struct strbuf *out)
{
    for (uint32_t l = first; l < left->count; l++) {
        bool matched = false;
        for (uint32_t r = 0; r < right->count; r++) {
            if (!rows_match(shape, left->rows[l], right->rows[r]))
                continue;
            matched = true;
            strbuf_addf(out, "+ %s %s\n", left->rows[l], right->rows[r]);
        }
        if (!matched && shape->is_left)
            strbuf_addf(out, "+ %s \\N \\N\n", left->rows[l]);
    }
}

static void property(const struct shape *shape, uint32_t seed, uint32_t ticks, uint32_t changes)
{
    static struct harness_bag left, right;
    left.count = right.count = 0;
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    h.join_shared[1] = shape->is_shared;
    harness_open(&h, &op_lookup_join_class, join_plan(&h, shape));
    struct strbuf text[2] = {STRBUF_INIT, STRBUF_INIT}, expected = STRBUF_INIT;
    for (uint32_t t = 0; t < ticks && test_failures == 0; t++) {
        strbuf_reset(&text[0]);
        strbuf_reset(&text[1]);
        uint32_t first = left.count;
        if (harness_random(&seed, 4) != 0)
            harness_bag_change(&left, &seed, 1 + harness_random(&seed, changes), 100, make_row, &text[0]);
        if (harness_random(&seed, 4) != 0)
            harness_bag_change(&right, &seed, 1 + harness_random(&seed, changes),
                               shape->right_append_only ? 100
                               : t % 10 < 5             ? 70
                                                        : 30,
                               make_row, &text[1]);
        struct error err;
        for (uint32_t i = 0; i < 2; i++) { /* in either order; what is shared is there before */
            uint32_t port = shape->is_shared ? 1 - i : (t + i) % 2;
            EXPECT(harness_push(&h, port, strbuf_text(&text[port]), &err));
        }
        uint32_t before = h.total->rows;
        harness_finish(&h);
        for (uint32_t i = before; i < h.total->rows; i++)
            EXPECT(batch_weight(h.total, i) > 0);
        look_up(shape, &left, first, &right, &expected);
        struct arena arena;
        arena_init(&arena, NULL);
        struct batch *batch = batch_create(&arena, h.op->types, h.op->columns_count, 16);
        EXPECT(expected.len == 0 || batch_from_text(batch, expected.data, &err));
        struct strbuf sorted = STRBUF_INIT;
        strbuf_adds(&sorted, harness_text(&h, batch));
        EXPECT_TEXT(harness_contents(&h), strbuf_text(&sorted));
        strbuf_release(&sorted);
        arena_release(&arena);
    }
    EXPECT_INT(harness_state_rows(&h),
               h.arranges[1]->class->state_rows(h.arranges[1])); /* nothing of the left */
    harness_close(&h);
    strbuf_release(&text[0]);
    strbuf_release(&text[1]);
    strbuf_release(&expected);
}

TEST(random_changes)
{
    for (uint32_t bits = 0; bits < 16 && test_failures == 0; bits++) {
        struct shape shape = {bits & 1, bits & 2, bits & 4, bits & 8};
        for (uint32_t seed = 1; seed <= 8; seed++)
            property(&shape, seed * 16 + bits, 20, 1 + seed * 2);
        property(&shape, bits, 3, 150);
    }
}

/* More pairs than fit into a batch, found by one row and by many. */
TEST(many_pairs)
{
    struct shape shape = {.is_left = true};
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    harness_open(&h, &op_lookup_join_class, join_plan(&h, &shape));
    struct error err;
    for (uint32_t i = 0; i < 3; i++) {
        struct batch *right = batch_create(&h.text_arena, h.op->plan->children[1]->types, 2, BATCH_ROWS_MAX);
        for (uint32_t r = 0; r < BATCH_ROWS_MAX; r++)
            batch_append_datums(right, (struct datum[]){datum_i32(1), datum_i32((int32_t)r)}, 1);
        EXPECT(harness_push_batch(&h, 1, right, &err));
    }
    struct batch *left = batch_create(&h.text_arena, h.op->plan->children[0]->types, 2, 3);
    batch_append_datums(left, (struct datum[]){datum_i32(2), datum_i32(7)}, 1);
    batch_append_datums(left, (struct datum[]){datum_i32(1), datum_i32(8)}, 2);
    batch_append_datums(left, (struct datum[]){datum_i32(1), datum_i32(9)}, 1);
    EXPECT(harness_push_batch(&h, 0, left, &err));
    harness_finish(&h);
    int64_t pairs = 0, single = 0;
    for (uint32_t i = 0; i < h.total->rows; i++) {
        bool is_single = column_is_null(&h.total->columns[2], i);
        *(is_single ? &single : &pairs) += batch_weight(h.total, i);
    }
    EXPECT_INT(pairs, 3 * 3 * BATCH_ROWS_MAX);
    EXPECT_INT(single, 1);
    harness_close(&h);
}

/* Hands on nothing; notes the watermark and position of each row. */
static struct strbuf arrivals;

static bool note_arrivals(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    (void)op;
    (void)port;
    (void)err;
    for (uint32_t i = 0; i < change->rows; i++) {
        struct datum number = column_get(&change->columns[1], i);
        strbuf_addf(&arrivals, "%d:", number.i32);
        if (change->watermarks == NULL)
            strbuf_adds(&arrivals, "none ");
        else
            strbuf_addf(&arrivals, "%lld@%lld ", (long long)change->watermarks[i],
                        (long long)change->positions[i]);
    }
    return true;
}

TEST(arrival_is_passed_on)
{
    static const struct operator_class noting = {
        .name = "noting", .bytes = sizeof(struct operator), .push = note_arrivals};
    for (uint32_t shared = 0; shared < 2; shared++) {
        struct shape shape = {.is_left = true, .is_shared = shared};
        struct harness h;
        harness_init(&h, DATAFLOW_CONTINUOUS);
        h.join_shared[1] = shape.is_shared;
        harness_open(&h, &op_lookup_join_class, join_plan(&h, &shape));
        struct operator_edge edge = {harness_operator(&h, &noting, h.op->plan), 0};
        h.op->edges = &edge;
        h.op->edges_count = 1;
        struct error err;
        EXPECT(harness_push(&h, 1, "+ 1 5\n+ 1 6\n+ 3 7\n", &err));
        struct batch *left = batch_create(&h.text_arena, h.op->plan->children[0]->types, 2, 4);
        EXPECT(batch_from_text(left, "+ 3 0\n+ 2 1\n+ 1 2\n+ 2 3\n", &err));
        int64_t watermarks[] = {100, 101, 102, 103}, positions[] = {10, 11, 12, 13};
        left->watermarks = watermarks;
        left->positions = positions;
        EXPECT(harness_push_batch(&h, 0, left, &err));
        memset(watermarks, 0, sizeof(watermarks)); /* borrowed for the push only */
        EXPECT(harness_push(&h, 0, "+ 3 9\n", &err));
        harness_finish(&h);
        EXPECT_TEXT(strbuf_text(&arrivals), "0:100@10 2:102@12 2:102@12 1:101@11 3:103@13 9:none ");
        strbuf_release(&arrivals);
        arrivals = (struct strbuf)STRBUF_INIT;
        harness_close(&h);
    }
}

/* A row whose residual fails is an error as long as the view lives, not a match. */
TEST(failing_residual)
{
    struct shape shape = {.is_left = true};
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = join_plan(&h, &shape);
    struct sql_type int4 = {OID_INT4, -1};
    const struct function_row *divide = function_find_exact("/", (uint32_t[]){OID_INT4, OID_INT4}, 2);
    const struct function_row *equal = function_find_exact("=", (uint32_t[]){OID_INT4, OID_INT4}, 2);
    struct expr *operands[] = {expr_column(&h.arena, 1, int4), expr_column(&h.arena, 3, int4)};
    struct expr *args[] = {
        expr_call(&h.arena, divide, int4, arena_copy(&h.arena, operands, sizeof(operands)), 2),
        expr_column(&h.arena, 3, int4)};
    plan->lookup_join.residual = expr_call(&h.arena, equal, (struct sql_type){OID_BOOL, -1},
                                           arena_copy(&h.arena, args, sizeof(args)), 2);
    harness_open(&h, &op_lookup_join_class, plan);
    EXPECT_TEXT(harness_tick2(&h, "+ 1 4\n+ 2 9\n", "+ 1 0\n+ 1 2\n+ 2 0\n"),
                "+ 1 4 1 2\n+ 2 9 \\N \\N\n+1 22012 division by zero\n+1 22012 division by zero\n");
    harness_close(&h);
}

int main(void)
{
    RUN(random_changes);
    RUN(many_pairs);
    RUN(arrival_is_passed_on);
    RUN(failing_residual);
    return test_result();
}
