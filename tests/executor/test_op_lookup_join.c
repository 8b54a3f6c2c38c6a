/* test_op_lookup_join.c: lookup joins tick by tick, against loops over what each tick brings, and what they keep. */
#include "executor/function.h"
#include "executor/lookup_source.h"
#include "tests/executor/save_harness.h"

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

/* ---- external tables ---- */

#define EXTERNAL_KEYS 7

static bool asked[EXTERNAL_KEYS];

static void note_asked(void *ctx, const struct batch *keys)
{
    (void)ctx;
    for (uint32_t i = 0; i < keys->rows; i++)
        asked[((const int32_t *)keys->columns[0].data)[i]] = true;
}

/* Rows: key, number; on the right, found behind them. */
static struct plan *external_plan(struct harness *h, const struct shape *shape)
{
    struct plan *plan = harness_plan(h, PLAN_LOOKUP_JOIN, "int4 int4 int4 int4 bool");
    harness_child(h, plan, "int4 int4");
    harness_child(h, plan, "int4 int4 bool");
    plan->children[0]->append_only = true;
    plan->lookup_join = join_plan(h, shape)->lookup_join;
    plan->lookup_join.is_external = true;
    plan->lookup_join.found_column = 2;
    return plan;
}

struct external_row {
    int32_t key; /* -1: NULL */
    uint32_t number;
    int64_t watermark;
};

struct cached_row {
    bool is_there, is_found;
    uint32_t number;
};

static void cached_text(uint32_t key, const struct cached_row *row, char sign, struct strbuf *out)
{
    if (row->is_found)
        strbuf_addf(out, "%c %u %u t\n", sign, key, row->number);
    else
        strbuf_addf(out, "%c %u \\N f\n", sign, key);
}

static void external_result(const struct shape *shape, const struct external_row *left,
                            const struct cached_row *right, struct strbuf *out)
{
    char key[16] = "\\N";
    if (left->key >= 0)
        snprintf(key, sizeof(key), "%d", left->key);
    if (left->key >= 0 && right->is_found && (!shape->has_residual || right->number < left->number))
        strbuf_addf(out, "+ %s %u %d %u t\n", key, left->number, left->key, right->number);
    else if (shape->is_left)
        strbuf_addf(out, "+ %s %u \\N \\N \\N\n", key, left->number);
}

/* Answers come some ticks later, several times, and are forgotten again. */
static void external_property(const struct shape *shape, uint32_t seed, uint32_t ticks)
{
    static struct external_row waiting[100000];
    struct cached_row cache[EXTERNAL_KEYS] = {{0}};
    uint32_t waiting_count = 0, number = 0;
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    h.join_shared[1] = true;
    h.source = lookup_source_create();
    memset(asked, 0, sizeof(asked));
    lookup_source_listen(h.source, note_asked, NULL);
    harness_open(&h, &op_lookup_join_class, external_plan(&h, shape));
    struct strbuf left = STRBUF_INIT, right = STRBUF_INIT, expected = STRBUF_INIT;
    uint64_t hits = 0, misses = 0;
    for (uint32_t t = 0; t < ticks && test_failures == 0; t++) {
        strbuf_reset(&left);
        strbuf_reset(&right);
        h.ctx.watermark_before = h.ctx.watermark = 1000 + t;
        bool answered[EXTERNAL_KEYS] = {0};
        for (uint32_t key = 0; key < EXTERNAL_KEYS; key++) {
            bool forgets = cache[key].is_there && harness_random(&seed, 4) == 0;
            bool answers = (asked[key] || cache[key].is_there) && harness_random(&seed, 3) == 0;
            if (cache[key].is_there && (forgets || answers))
                cached_text(key, &cache[key], '-', &right);
            if (forgets)
                cache[key].is_there = false;
            if (!answers)
                continue;
            cache[key] =
                (struct cached_row){true, harness_random(&seed, 3) != 0, harness_random(&seed, number + 1)};
            cached_text(key, &cache[key], '+', &right);
            answered[key] = true;
            asked[key] = false;
        }
        uint32_t kept = 0;
        for (uint32_t i = 0; i < waiting_count; i++) {
            if (answered[waiting[i].key])
                external_result(shape, &waiting[i], &cache[waiting[i].key], &expected);
            else
                waiting[kept++] = waiting[i];
        }
        waiting_count = kept;
        for (uint32_t i = harness_random(&seed, 40); i > 0; i--) {
            struct external_row row = {(int32_t)harness_random(&seed, EXTERNAL_KEYS + 1) - 1, ++number,
                                       1000 + t};
            if (row.key < 0)
                strbuf_addf(&left, "+ \\N %u\n", row.number);
            else
                strbuf_addf(&left, "+ %d %u\n", row.key, row.number);
            if (row.key >= 0 && !cache[row.key].is_there) {
                waiting[waiting_count++] = row;
                misses++;
            } else {
                external_result(shape, &row, row.key >= 0 ? &cache[row.key] : NULL, &expected);
                hits++;
            }
        }
        struct error err;
        EXPECT(harness_push(&h, 1, strbuf_text(&right), &err));
        EXPECT(harness_push(&h, 0, strbuf_text(&left), &err));
        uint32_t before = h.total->rows;
        harness_finish(&h);
        bool in_order =
            !shape->has_residual && !shape->is_left; /* else rows without a match come behind the others */
        for (uint32_t i = before + 1; i < h.total->rows && in_order; i++)
            EXPECT(((const int32_t *)h.total->columns[1].data)[i] >
                   ((const int32_t *)h.total->columns[1].data)[i - 1]);
        struct arena arena;
        arena_init(&arena, NULL);
        struct batch *batch = batch_create(&arena, h.op->types, h.op->columns_count, 16);
        EXPECT(expected.len == 0 || batch_from_text(batch, expected.data, &err));
        struct strbuf sorted = STRBUF_INIT;
        strbuf_adds(&sorted, harness_text(&h, batch));
        EXPECT_TEXT(harness_contents(&h), strbuf_text(&sorted));
        strbuf_release(&sorted);
        arena_release(&arena);
        struct lookup_counts counts;
        lookup_source_counts(h.source, &counts);
        EXPECT_INT(counts.waiting, waiting_count);
        EXPECT_INT(counts.hits, hits);
        EXPECT_INT(counts.misses, misses);
        EXPECT_INT(h.op->class->state_rows(h.op), waiting_count);
        int64_t held = TIME_NEVER;
        for (uint32_t i = 0; i < waiting_count; i++) {
            EXPECT(asked[waiting[i].key]);
            held = waiting[i].watermark < held ? waiting[i].watermark : held;
        }
        EXPECT_INT(h.op->class->holds_watermark(h.op), held);
        if (harness_random(&seed, 10) == 0) { /* as after a restart */
            memset(asked, 0, sizeof(asked));
            op_lookup_join_ask_again(h.op);
            for (uint32_t i = 0; i < waiting_count; i++)
                EXPECT(asked[waiting[i].key]);
        }
    }
    harness_close(&h);
    struct lookup_counts counts;
    lookup_source_counts(h.source, &counts);
    EXPECT_INT(counts.waiting, 0);
    lookup_source_destroy(h.source);
    strbuf_release(&left);
    strbuf_release(&right);
    strbuf_release(&expected);
}

TEST(external_tables)
{
    for (uint32_t bits = 0; bits < 4 && test_failures == 0; bits++) {
        struct shape shape = {.is_left = bits & 1, .has_residual = bits & 2};
        external_property(&shape, bits + 1, 200);
    }
}

/* More rows than a batch holds wait for one key; they come with the watermarks and positions they came with. */
TEST(external_many_rows)
{
    struct shape shape = {0};
    struct harness h;
    struct error err;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    h.join_shared[1] = true;
    h.source = lookup_source_create();
    harness_open(&h, &op_lookup_join_class, external_plan(&h, &shape));
    const struct plan *child = h.op->plan->children[0];
    uint32_t rows = 3 * BATCH_ROWS_MAX + 5;
    int64_t watermarks[BATCH_ROWS_MAX], positions[BATCH_ROWS_MAX];
    for (uint32_t first = 0; first < rows; first += BATCH_ROWS_MAX) {
        uint32_t count = rows - first < BATCH_ROWS_MAX ? rows - first : BATCH_ROWS_MAX;
        struct batch *change = batch_create(&h.text_arena, child->types, 2, count);
        for (uint32_t i = 0; i < count; i++) {
            struct datum values[] = {datum_i32(3), datum_i32((int32_t)(first + i))};
            batch_append_datums(change, values, 1);
            watermarks[i] = 100 + first + i;
            positions[i] = first + i;
        }
        change->watermarks = watermarks;
        change->positions = positions;
        EXPECT(harness_push_batch(&h, 0, change, &err));
        EXPECT_TEXT(harness_finish(&h), "");
    }
    EXPECT_INT(h.op->class->holds_watermark(h.op), 100);
    EXPECT(harness_push(&h, 1, "+ 3 9 t\n", &err));
    harness_finish(&h);
    EXPECT_INT(h.total->rows, rows);
    for (uint32_t i = 0; i < h.total->rows; i++)
        EXPECT_INT(((const int32_t *)h.total->columns[1].data)[i], i);
    EXPECT_INT(h.op->class->state_rows(h.op), 0);
    EXPECT(h.op->class->holds_watermark(h.op) == TIME_NEVER);
    harness_close(&h);
    lookup_source_destroy(h.source);
}

/* ---- checkpoints ---- */

static struct lookup_source *saved_source;

static void open_external(struct harness *h)
{
    struct shape shape = {.is_left = true};
    h->join_shared[1] = true;
    h->source = saved_source;
    harness_open(h, &op_lookup_join_class, external_plan(h, &shape));
}

static void change_external(void *ctx, uint32_t tick_number, uint32_t *seed, struct save_tick *tick)
{
    struct cached_row *cache = ctx;
    tick->watermark = tick_number;
    for (uint32_t key = 0; key < EXTERNAL_KEYS; key++) {
        bool replaces = cache[key].is_there && harness_random(seed, 4) == 0;
        if (replaces || (cache[key].is_there && harness_random(seed, 3) == 0)) {
            cached_text(key, &cache[key], '-', &tick->ports[1]);
            cache[key].is_there = false;
        }
        if (!replaces && harness_random(seed, 6) != 0)
            continue;
        cache[key] = (struct cached_row){true, harness_random(seed, 3) != 0, tick_number};
        cached_text(key, &cache[key], '+', &tick->ports[1]);
    }
    for (uint32_t i = harness_random(seed, 20); i > 0; i--)
        strbuf_addf(&tick->ports[0], "+ %u %u\n", harness_random(seed, EXTERNAL_KEYS), tick_number * 100 + i);
}

TEST(external_saved)
{
    saved_source = lookup_source_create();
    for (uint32_t seed = 1; seed <= 4 && test_failures == 0; seed++) {
        struct cached_row cache[EXTERNAL_KEYS] = {{0}};
        struct save_case c = {.open = open_external, .change = change_external, .ctx = cache, .ticks = 120};
        save_case_run(&c, seed);
    }
    lookup_source_destroy(saved_source);
}

int main(void)
{
    RUN(random_changes);
    RUN(many_pairs);
    RUN(arrival_is_passed_on);
    RUN(failing_residual);
    RUN(external_tables);
    RUN(external_many_rows);
    RUN(external_saved);
    return test_result();
}
