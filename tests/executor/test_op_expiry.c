/* test_op_expiry.c: operators forget what the watermark has passed, without a word: results equal those of the
 * operator that forgets nothing, and memory stays flat however long the input goes on. */
#include "op_harness.h"

#define SECOND INT64_C(1000000)

/* Endless input: times go up by `step_us` a row, with rows up to `behind_us` behind; the watermark is that far behind the
 * greatest. Types: timestamp, then int4 columns below the limits, then text. */
struct flow {
    int64_t now, step_us, behind_us;
    uint32_t seed;
    uint32_t below[4]; /* of the int4 columns */
    uint32_t ints;
    bool has_text;
    int64_t round_us; /* times are rounded down to it */
    uint32_t number;
};

static struct batch *flow_rows(struct harness *h, struct flow *flow, const struct plan *child, uint32_t rows)
{
    struct batch *batch = batch_create(&h->text_arena, child->types, child->columns_count, rows);
    for (uint32_t i = 0; i < rows; i++) {
        struct datum values[8];
        uint32_t count = 0;
        int64_t time = flow->now - (int64_t)harness_random(&flow->seed, 1000) * flow->behind_us / 1000;
        values[count++] = datum_i64(time - time % flow->round_us);
        for (uint32_t c = 0; c < flow->ints; c++)
            values[count++] = datum_i32((int32_t)harness_random(&flow->seed, flow->below[c]));
        char text[64];
        if (flow->has_text) {
            snprintf(text, sizeof(text), "a text that is not inline %u", flow->number++ % 1000);
            values[count++] = datum_text(&h->text_arena, text, strlen(text));
        }
        batch_append_datums(batch, values, 1);
        flow->now += flow->step_us;
    }
    return batch;
}

static int64_t watermark_of(const struct flow *flow)
{
    int64_t watermark = flow->now - flow->behind_us;
    return watermark - watermark % flow->round_us;
}

static struct plan_aggregate_call *add_call(struct harness *h, struct plan *plan, const char *name,
                                            const char *args, int32_t column)
{
    struct plan_aggregate_call *call = &plan->aggregate.calls[plan->aggregate.calls_count];
    *call = (struct plan_aggregate_call){.aggregate = harness_aggregate(name, args), .filter = -1};
    call->type = plan->types[plan->aggregate.groups_count + plan->aggregate.calls_count++];
    if (column >= 0) {
        call->args = ARENA_ARRAY(&h->arena, uint32_t, 4);
        call->args[0] = (uint32_t)column;
        call->args_count = 1;
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

/* Runs the flow through a plan and, for its first part, through the same plan that forgets nothing. */
struct subject {
    const struct operator_class *class;
    struct plan *(*plan)(struct harness *h, bool forgets);
    struct flow flow;
    uint32_t ports;
};

static void run(const struct subject *subject, uint32_t ticks, uint32_t compared, uint32_t tick_rows)
{
    struct harness *forgets = calloc(1, sizeof(*forgets)), *keeps = calloc(1, sizeof(*keeps));
    harness_init(keeps, DATAFLOW_CONTINUOUS);
    harness_open(keeps, subject->class, subject->plan(keeps, false));
    harness_init(forgets, DATAFLOW_CONTINUOUS);
    harness_open(forgets, subject->class, subject->plan(forgets, true));
    struct flow flows[2] = {subject->flow, subject->flow};
    struct strbuf expected = STRBUF_INIT;
    int64_t greatest = 0;
    uint64_t rows = 0;
    forgets->ctx.watermark = keeps->ctx.watermark = WATERMARK_NONE;
    ticks = test_rounds(ticks, ticks / 3); /* a quarter is still longer than rows are kept */
    for (uint32_t tick = 0; tick < ticks; tick++) {
        for (int which = tick < compared ? 0 : 1; which < 2; which++) {
            struct harness *h = which == 0 ? keeps : forgets;
            struct error err;
            h->ctx.watermark_before = h->ctx.watermark;
            for (uint32_t port = subject->ports; port-- > 0;)
                EXPECT(harness_push_batch(
                    h, port, flow_rows(h, &flows[which], h->op->plan->children[port], tick_rows), &err));
            h->ctx.watermark = watermark_of(&flows[which]);
            const char *text = harness_finish(h);
            if (which == 0) {
                strbuf_reset(&expected);
                strbuf_adds(&expected, text);
            } else if (tick < compared) {
                EXPECT_TEXT(text, strbuf_text(&expected));
            }
            arena_reset(&h->text_arena);
            h->output = batch_create(&h->text_arena, h->op->types, h->op->columns_count, 16);
            batch_clear(h->total);
        }
        if (subject->class->due_watermark != NULL)
            EXPECT(subject->class->due_watermark(forgets->op) > forgets->ctx.watermark);
        int64_t bytes = harness_state_bytes(forgets);
        if (tick <= ticks / 4) {
            greatest = bytes > greatest ? bytes : greatest;
            rows = harness_state_rows(forgets);
        } else if (bytes > greatest + greatest / 4) {
            fprintf(stderr, "tick %u: %lld bytes, %lld in the first quarter\n", tick, (long long)bytes,
                    (long long)greatest);
            EXPECT(false);
            break;
        }
    }
    EXPECT(harness_state_rows(keeps) > 0);
    EXPECT(harness_state_rows(forgets) < 2 * rows + 1000);
    /* and when the watermark passes everything nothing is left */
    harness_now = forgets;
    forgets->ctx.watermark = flows[1].now + 1000 * SECOND;
    EXPECT_TEXT(harness_finish(forgets), "");
    EXPECT_INT(harness_state_rows(forgets), 0);
    EXPECT_INT(subject->class->due_watermark(forgets->op), TIME_NEVER);
    strbuf_release(&expected);
    harness_close(keeps);
    harness_close(forgets);
    free(keeps);
    free(forgets);
}

static struct plan *windows_plan(struct harness *h, bool forgets)
{
    struct plan *plan =
        aggregate_plan(h, "timestamp int4 int8 int8 int4 int8 text", "timestamp int4 int4 text", 2);
    add_call(h, plan, "count", "", -1);
    add_call(h, plan, "sum", "int4", 2);
    add_call(h, plan, "max", "int4", 2);
    add_call(h, plan, "count", "any", 2)->is_distinct = true;
    add_call(h, plan, "max", "text", 3);
    plan->children[0]->append_only = true;
    plan->aggregate.expiry = (struct plan_expiry){.known = forgets, .column = 0, .after_us = 1};
    return plan;
}

/* As of an input that takes rows back: counts of distinct values and multisets. */
static struct plan *windows_with_deletes_plan(struct harness *h, bool forgets)
{
    struct plan *plan = windows_plan(h, forgets);
    plan->children[0]->append_only = false;
    return plan;
}

static struct plan *distinct_plan(struct harness *h, bool forgets)
{
    struct plan *plan = aggregate_plan(h, "timestamp int4 int4 text", "timestamp int4 int4 text", 4);
    plan->children[0]->append_only = true;
    plan->aggregate.expiry = (struct plan_expiry){.known = forgets, .column = 0, .after_us = 1};
    return plan;
}

/* HOP of 5 s every second, the input's times being those of slices. */
static struct plan *slices_plan(struct harness *h, bool forgets)
{
    struct plan *plan = aggregate_plan(h, "timestamp int4 int8 int8 text", "timestamp int4 int4 text", 2);
    static uint8_t roles[] = {ROLE_WINDOW_START, ROLE_NONE};
    static struct plan_slices slices = {
        .slide_us = SECOND, .size_us = 5 * SECOND, .slice_us = SECOND, .roles = roles};
    add_call(h, plan, "count", "", -1);
    add_call(h, plan, "sum", "int4", 2);
    add_call(h, plan, "max", "text", 3);
    plan->children[0]->append_only = true;
    plan->aggregate.slices = &slices;
    plan->aggregate.expiry = (struct plan_expiry){.known = forgets, .column = 0, .after_us = 5 * SECOND};
    return plan;
}

TEST(groups_are_forgotten)
{
    struct subject subject = {&op_aggregate_class,
                              windows_plan,
                              {.now = 1000 * SECOND,
                               .step_us = 1000,
                               .behind_us = 2 * SECOND,
                               .seed = 3,
                               .below = {100, 50},
                               .ints = 2,
                               .has_text = true,
                               .round_us = SECOND},
                              1};
    run(&subject, 600, 40, 500);
    subject.plan = windows_with_deletes_plan;
    run(&subject, 300, 40, 500);
    subject.plan = slices_plan;
    run(&subject, 300, 40, 500);
    subject.plan = distinct_plan;
    run(&subject, 400, 40, 500);
    subject.flow.round_us = 1;
    run(&subject, 400, 40, 500);
}

static struct plan *sort_plan(struct harness *h, bool forgets)
{
    struct plan *plan = harness_plan(h, PLAN_SORT, "timestamp int4 int4 text");
    static uint32_t partition[] = {1, 0};
    static struct sort_key keys[] = {{.column = 2, .descending = true}};
    harness_child(h, plan, "timestamp int4 int4 text");
    plan->children[0]->append_only = true;
    plan->sort.partition = partition;
    plan->sort.partition_count = 2;
    plan->sort.keys = keys;
    plan->sort.keys_count = 1;
    plan->sort.limit = expr_constant(&h->arena, (struct sql_type){OID_INT8, -1}, datum_i64(6));
    plan->sort.expiry = (struct plan_expiry){.known = forgets, .column = 0, .after_us = 1};
    return plan;
}

static struct plan *ranks_plan(struct harness *h, bool forgets)
{
    struct plan *plan = sort_plan(h, forgets);
    plan->sort.with_ties = true;
    return plan;
}

static struct plan *sort_with_deletes_plan(struct harness *h, bool forgets)
{
    struct plan *plan = sort_plan(h, forgets);
    plan->children[0]->append_only = false;
    return plan;
}

TEST(partitions_are_forgotten)
{
    struct subject subject = {&op_top_few_class,
                              sort_plan,
                              {.now = 1000 * SECOND,
                               .step_us = 1000,
                               .behind_us = 2 * SECOND,
                               .seed = 4,
                               .below = {100, 50},
                               .ints = 2,
                               .has_text = true,
                               .round_us = SECOND},
                              1};
    run(&subject, 600, 40, 500);
    subject.class = &op_top_n_class;
    subject.plan = ranks_plan;
    run(&subject, 400, 40, 500);
    subject.plan = sort_with_deletes_plan;
    run(&subject, 400, 40, 500);
}

static struct plan *set_op_plan(struct harness *h, bool forgets)
{
    struct plan *plan = harness_plan(h, PLAN_SET_OP, "timestamp int4 text");
    harness_child(h, plan, "timestamp int4 text");
    harness_child(h, plan, "timestamp int4 text");
    plan->set_op.expiry = (struct plan_expiry){.known = forgets, .column = 0, .after_us = 1};
    return plan;
}

static struct plan *except_all_plan(struct harness *h, bool forgets)
{
    struct plan *plan = set_op_plan(h, forgets);
    plan->set_op.is_except = plan->set_op.all = true;
    return plan;
}

TEST(rows_of_set_operations_are_forgotten)
{
    struct subject subject = {&op_set_op_class,
                              set_op_plan,
                              {.now = 1000 * SECOND,
                               .step_us = 1000,
                               .behind_us = 2 * SECOND,
                               .seed = 5,
                               .below = {2},
                               .ints = 1,
                               .has_text = true,
                               .round_us = SECOND},
                              2};
    run(&subject, 400, 40, 500);
    subject.plan = except_all_plan;
    run(&subject, 400, 40, 500);
}

static enum join_kind kind_wanted;
static bool left_takes_back;

static struct plan *join_plan(struct harness *h, bool forgets)
{
    bool only_left = kind_wanted == JOIN_SEMI || kind_wanted == JOIN_ANTI;
    struct plan *plan = harness_plan(
        h, PLAN_JOIN, only_left ? "timestamp int4 text" : "timestamp int4 text timestamp int4 text");
    static uint32_t keys[] = {1, 0};
    harness_child(h, plan, "timestamp int4 text");
    harness_child(h, plan, "timestamp int4 text");
    plan->children[0]->append_only = !left_takes_back;
    plan->children[1]->append_only = true;
    plan->join.kind = kind_wanted;
    plan->join.keys_count = 2;
    plan->join.left_keys = plan->join.right_keys = keys;
    plan->join.left_expiry = plan->join.right_expiry =
        (struct plan_expiry){.known = forgets, .column = 0, .after_us = 1};
    return plan;
}

TEST(rows_of_joins_are_forgotten)
{
    struct subject subject = {&op_join_class,
                              join_plan,
                              {.now = 1000 * SECOND,
                               .step_us = 1000,
                               .behind_us = 2 * SECOND,
                               .seed = 6,
                               .below = {1000},
                               .ints = 1,
                               .has_text = true,
                               .round_us = SECOND},
                              2};
    static const enum join_kind kinds[] = {JOIN_INNER, JOIN_LEFT, JOIN_FULL, JOIN_SEMI, JOIN_ANTI};
    for (uint32_t k = 0; k < ARRAY_COUNT(kinds); k++) {
        kind_wanted = kinds[k];
        left_takes_back = k % 2 == 1;
        run(&subject, k == 0 ? 400 : 100, 20, 500);
    }
}

TEST(groups_that_become_empty_wait_for_their_time)
{
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    struct plan *plan = aggregate_plan(&h, "date int8 int8 int4", "date int4", 1);
    add_call(&h, plan, "count", "", -1);
    add_call(&h, plan, "count", "any", 1)->is_distinct = true;
    add_call(&h, plan, "max", "int4", 1);
    plan->aggregate.expiry = (struct plan_expiry){.known = true, .column = 0, .after_us = 10 * SECOND};
    h.ctx.watermark = WATERMARK_NONE;
    harness_open(&h, &op_aggregate_class, plan);
    int64_t day = 86400 * SECOND;
    EXPECT_TEXT(harness_tick(&h, "+ 2000-01-02 7\n+ 2000-01-03 7\n+ 2000-01-03 8\n+ \\N 1\n+ infinity 1\n"),
                "+ 2000-01-02 1 1 7\n+ 2000-01-03 2 2 8\n+ \\N 1 1 1\n+ infinity 1 1 1\n");
    EXPECT_INT(op_aggregate_class.due_watermark(h.op), day + 10 * SECOND);
    EXPECT_TEXT(harness_tick(&h, "- 2000-01-02 7\n- 2000-01-03 8\n"),
                "+ 2000-01-03 1 1 7\n- 2000-01-02 1 1 7\n- 2000-01-03 2 2 8\n");
    EXPECT_TEXT(harness_tick(&h, "+ 2000-01-02 9\n+ 2000-01-02 9\n- \\N 1\n"),
                "+ 2000-01-02 2 1 9\n- \\N 1 1 1\n");
    h.ctx.watermark = day + 10 * SECOND - 1;
    EXPECT_TEXT(harness_finish(&h), "");
    EXPECT_TEXT(harness_tick(&h, "- 2000-01-02 9\n"), "+ 2000-01-02 1 1 9\n- 2000-01-02 2 1 9\n");
    h.ctx.watermark = day + 10 * SECOND;
    EXPECT_TEXT(harness_tick(&h, "- 2000-01-03 7\n"), "- 2000-01-03 1 1 7\n");
    EXPECT_INT(op_aggregate_class.due_watermark(h.op), 2 * day + 10 * SECOND);
    /* the retraction of what is forgotten says nothing, and leaves nothing */
    uint64_t rows = op_aggregate_class.state_rows(h.op);
    EXPECT_TEXT(harness_tick(&h, "- 2000-01-02 9\n"), "");
    EXPECT_INT(op_aggregate_class.state_rows(h.op), rows);
    h.ctx.watermark = 3 * day;
    EXPECT_TEXT(harness_finish(&h), "");
    EXPECT_INT(op_aggregate_class.due_watermark(h.op), TIME_NEVER);
    EXPECT_TEXT(harness_contents(&h), "+ 2000-01-02 1 1 9\n+ infinity 1 1 1\n");
    EXPECT_TEXT(harness_tick(&h, "- infinity 1\n"), "- infinity 1 1 1\n");
    EXPECT_INT(op_aggregate_class.state_rows(h.op), 0);
    harness_close(&h);
}

int main(void)
{
    RUN(groups_are_forgotten);
    RUN(partitions_are_forgotten);
    RUN(rows_of_set_operations_are_forgotten);
    RUN(rows_of_joins_are_forgotten);
    RUN(groups_that_become_empty_wait_for_their_time);
    return test_result();
}
