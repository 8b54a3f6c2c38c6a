/* op_harness.h: drives one operator, tick by tick, with changes written as text ("+ 1 4", "- 7 5").
 *
 * It provides operator_emit and the op_error functions itself, so that an operator can be tested without a
 * dataflow. The output of a tick is consolidated and sorted by its text form; harness_contents folds the
 * outputs of all ticks. */
#ifndef MILLRACE_TESTS_OP_HARNESS_H
#define MILLRACE_TESTS_OP_HARNESS_H

#include "executor/aggregate.h"
#include "executor/operator.h"
#include "storage/state/arrangement.h"
#include "tests/test.h"

#define HARNESS_COLUMNS_MAX 16

struct harness {
    struct arena arena, tick_arena, text_arena;
    struct op_context ctx;
    struct eval_env env;
    struct operator* op;
    struct operator* arranges[2]; /* in front of a join */
    bool join_shared[2];          /* set before harness_open: the test applies to the arrangements itself */
    struct lookup_source *source; /* of an external lookup join; set before harness_open */
    struct batch *output;         /* of the present tick */
    struct strbuf errors;         /* "+1 22003 message" lines of the present tick */
    struct strbuf late;           /* late rows of all ticks */
    uint64_t late_count, judged;
    struct strbuf text;
    struct batch *total; /* output of all ticks */
};

static struct harness *harness_now; /* the one whose operator runs */

bool operator_emit(struct operator* op, const struct batch *change, struct error *err)
{
    struct harness *h = harness_now;
    EXPECT(change->columns_count == op->columns_count);
    for (uint32_t c = 0; c < change->columns_count; c++)
        EXPECT(!change->columns[c].is_constant);
    for (uint32_t first = 0; first < change->rows; first += BATCH_ROWS_MAX) {
        struct arena arena;
        arena_init(&arena, NULL);
        uint32_t count = change->rows - first < BATCH_ROWS_MAX ? change->rows - first : BATCH_ROWS_MAX;
        struct batch *piece = batch_slice(&arena, change, first, count);
        bool ok = true;
        for (uint32_t e = 0; e < op->edges_count && ok; e++)
            ok = op->edges[e].to->class->push(op->edges[e].to, op->edges[e].port, piece, err);
        if (op == h->op)
            batch_append_range(h->output, piece, 0, count, 1);
        arena_release(&arena);
        if (!ok)
            return false;
    }
    return true;
}

static inline bool harness_error(struct operator* op, int64_t weight, const struct error *error,
                                 struct error *err)
{
    if (!op->ctx->collect_errors) {
        *err = *error;
        return false;
    }
    strbuf_addf(&harness_now->errors, "%+d %s %s\n", (int)weight, error_sqlstate(error->code),
                error->message);
    return true;
}

bool op_error_row(struct operator* op, const struct batch *change, uint32_t row, const struct error *error,
                  struct error *err)
{
    return harness_error(op, batch_weight(change, row), error, err);
}

bool op_error_weight(struct operator* op, int64_t weight, const struct error *error, struct error *err)
{
    return harness_error(op, weight, error, err);
}

/* Late rows of the tick: "row start end", in us; "-" where there is no window. */
void op_late_rows(struct operator* op, const struct plan_lateness *lateness, const struct batch *change,
                  const uint32_t *rows, uint32_t count, const int64_t *starts, const int64_t *ends)
{
    struct harness *h = harness_now;
    struct arena arena;
    arena_init(&arena, NULL);
    (void)op;
    (void)lateness;
    struct sql_type *types = ARENA_ARRAY(&arena, struct sql_type, change->columns_count);
    for (uint32_t c = 0; c < change->columns_count; c++)
        types[c] = change->columns[c].type;
    for (uint32_t i = 0; i < count; i++) {
        struct batch *one = batch_create(&arena, types, change->columns_count, 1);
        batch_append_rows(one, change, &rows[i], 1, 1);
        struct strbuf text = STRBUF_INIT;
        batch_to_text(one, &text);
        strbuf_add(&h->late, text.data, text.len - 1);
        if (starts != NULL)
            strbuf_addf(&h->late, " %lld %lld", (long long)starts[i], (long long)ends[i]);
        strbuf_adds(&h->late, "\n");
        strbuf_release(&text);
    }
    h->late_count += count;
    arena_release(&arena);
}

void op_judged(struct operator* op, uint64_t pairs)
{
    (void)op;
    harness_now->judged += pairs;
}

/* "int4 text numeric": type names separated by blanks. Returns how many. */
static inline uint32_t harness_types(const char *names, struct sql_type *types)
{
    uint32_t count = 0;
    char name[64];
    while (*names != '\0') {
        size_t len = strcspn(names, " ");
        CHECK(len < sizeof(name) && count < HARNESS_COLUMNS_MAX);
        memcpy(name, names, len);
        name[len] = '\0';
        const struct type_row *row = type_find_name(name);
        CHECK(row != NULL);
        types[count++] = (struct sql_type){row->oid, -1};
        names += len + (names[len] == ' ');
    }
    return count;
}

static inline struct plan *harness_plan(struct harness *h, enum plan_kind kind, const char *types)
{
    struct sql_type list[HARNESS_COLUMNS_MAX];
    uint32_t count = harness_types(types, list);
    struct plan *plan = ARENA_NEW(&h->arena, struct plan);
    plan->kind = kind;
    plan->columns_count = count;
    plan->types = arena_copy(&h->arena, list, sizeof(list));
    plan->children = ARENA_ARRAY(&h->arena, struct plan *, 2);
    return plan;
}

static inline void harness_child(struct harness *h, struct plan *plan, const char *types)
{
    plan->children[plan->children_count++] = harness_plan(h, PLAN_SCAN, types);
}

static inline void harness_init(struct harness *h, enum dataflow_mode mode)
{
    memset(h, 0, sizeof(*h));
    arena_init(&h->arena, NULL);
    arena_init(&h->tick_arena, NULL);
    arena_init(&h->text_arena, NULL);
    h->env.io = io_env_default;
    h->ctx = (struct op_context){.mode = mode,
                                 .initial = true,
                                 .shards_count = 1,
                                 .plan_arena = &h->arena,
                                 .tick_arena = &h->tick_arena,
                                 .env = &h->env,
                                 .collect_errors = mode == DATAFLOW_CONTINUOUS};
    harness_now = h;
}

static inline struct operator*
    harness_operator(struct harness *h, const struct operator_class *class, const struct plan *plan)
{
    struct operator* op = arena_zalloc(&h->arena, class->bytes);
    op->class = class;
    op->plan = plan;
    op->ctx = &h->ctx;
    op->columns_count = plan->columns_count;
    op->types = plan->types;
    return op;
}

static inline void harness_open(struct harness *h, const struct operator_class *class,
                                const struct plan *plan)
{
    struct error err;
    harness_now = h;
    h->op = harness_operator(h, class, plan);
    if (class == &op_join_class) {
        struct arrangement *states[2] = {NULL, NULL};
        struct operator* forgetting[2] = {NULL, NULL};
        for (uint32_t side = 0; side < 2; side++) {
            if (side == 0 && h->ctx.mode == DATAFLOW_ONE_SHOT && plan->join.kind != JOIN_FULL)
                continue;
            struct operator* arrange = harness_operator(h, &op_arrange_class, plan->children[side]);
            const struct plan_expiry *expiry = side == 0 ? &plan->join.left_expiry : &plan->join.right_expiry;
            op_arrange_setup(arrange, side == 0 ? plan->join.left_keys : plan->join.right_keys,
                             plan->join.keys_count, plan->children[side]->append_only && !expiry->known);
            if (expiry->known) {
                op_arrange_expire(arrange, expiry);
                forgetting[side] = arrange;
            }
            arrange->edges = ARENA_NEW(&h->arena, struct operator_edge);
            arrange->edges[0] = (struct operator_edge){h->op, side};
            arrange->edges_count = 1;
            h->arranges[side] = arrange;
            states[side] = op_arrange_state(arrange);
        }
        op_join_setup(h->op, states[0], h->join_shared[0], states[1], h->join_shared[1]);
        op_join_forget_setup(h->op, forgetting[0], forgetting[1]);
    }
    if (class == &op_lookup_join_class) {
        struct operator* arrange = harness_operator(h, &op_arrange_class, plan->children[1]);
        op_arrange_setup(arrange, plan->lookup_join.right_keys, plan->lookup_join.keys_count,
                         plan->children[1]->append_only);
        arrange->edges = ARENA_NEW(&h->arena, struct operator_edge);
        arrange->edges[0] = (struct operator_edge){h->op, 1};
        arrange->edges_count = 1;
        h->arranges[1] = arrange;
        op_lookup_join_setup(h->op, op_arrange_state(arrange), h->join_shared[1]);
        if (h->source != NULL)
            op_lookup_join_external(h->op, h->source);
    }
    if (class->open != NULL && !class->open(h->op, plan, &err)) {
        fprintf(stderr, "open: %s\n", err.message);
        abort();
    }
    h->output = batch_create(&h->text_arena, plan->types, plan->columns_count, 16);
    h->total = batch_create(&h->arena, plan->types, plan->columns_count, 16);
}

static inline void harness_close(struct harness *h)
{
    harness_now = h;
    if (h->op->class->close != NULL)
        h->op->class->close(h->op);
    for (uint32_t side = 0; side < 2; side++)
        if (h->arranges[side] != NULL)
            h->arranges[side]->class->close(h->arranges[side]);
    strbuf_release(&h->errors);
    strbuf_release(&h->late);
    strbuf_release(&h->text);
    arena_release(&h->arena);
    arena_release(&h->tick_arena);
    arena_release(&h->text_arena);
}

static inline bool harness_push_batch(struct harness *h, uint32_t port, const struct batch *change,
                                      struct error *err)
{
    struct operator* to = h->arranges[port] != NULL ? h->arranges[port] : h->op;
    harness_now = h;
    return change->rows == 0 || to->class->push(to, port, change, err);
}

/* Pushes a text change to a port. */
static inline bool harness_push(struct harness *h, uint32_t port, const char *text, struct error *err)
{
    const struct plan *child = h->op->plan->children[port];
    struct batch *change = batch_create(&h->text_arena, child->types, child->columns_count, 4);
    if (!batch_from_text(change, text, err)) {
        fprintf(stderr, "bad test input: %s\n", err->message);
        abort();
    }
    return harness_push_batch(h, port, change, err);
}

static inline int harness_compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Consolidated rows as sorted lines. */
static inline const char *harness_text(struct harness *h, const struct batch *batch)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct strbuf text = STRBUF_INIT;
    batch_to_text(batch_consolidate(batch, &arena), &text);
    char **lines = NULL;
    uint32_t count = 0, cap = 0;
    for (char *at = text.len > 0 ? text.data : NULL; at != NULL && *at != '\0';) {
        char *end = strchr(at, '\n');
        *end = '\0';
        ARENA_PUSH(&arena, lines, count, cap, at);
        at = end + 1;
    }
    if (count > 0)
        qsort(lines, count, sizeof(lines[0]), harness_compare_lines);
    strbuf_reset(&h->text);
    for (uint32_t i = 0; i < count; i++)
        strbuf_addf(&h->text, "%s\n", lines[i]);
    strbuf_release(&text);
    arena_release(&arena);
    return strbuf_text(&h->text);
}

/* Ends the tick; the text of its output, errors behind it. */
static inline const char *harness_finish(struct harness *h)
{
    struct error err;
    harness_now = h;
    if (h->op->class->finish != NULL && !h->op->class->finish(h->op, &err)) {
        strbuf_reset(&h->text);
        strbuf_addf(&h->text, "error %s %s\n", error_sqlstate(err.code), err.message);
        return strbuf_text(&h->text);
    }
    batch_append_range(h->total, h->output, 0, h->output->rows, 1);
    harness_text(h, h->output);
    strbuf_adds(&h->text, strbuf_text(&h->errors));
    strbuf_reset(&h->errors);
    batch_clear(h->output);
    arena_reset(&h->tick_arena);
    h->ctx.initial = false;
    return strbuf_text(&h->text);
}

/* One tick with one change on port 0. */
static inline const char *harness_tick(struct harness *h, const char *text)
{
    struct error err;
    if (!harness_push(h, 0, text, &err)) {
        strbuf_reset(&h->text);
        strbuf_addf(&h->text, "error %s %s\n", error_sqlstate(err.code), err.message);
        return strbuf_text(&h->text);
    }
    return harness_finish(h);
}

static inline const char *harness_tick2(struct harness *h, const char *left, const char *right)
{
    struct error err;
    EXPECT(harness_push(h, 1, right, &err));
    EXPECT(harness_push(h, 0, left, &err));
    return harness_finish(h);
}

static inline const char *harness_contents(struct harness *h)
{
    return harness_text(h, h->total);
}

/* A small generator with a seed of its own: tests are the same in every run. */
static inline uint32_t harness_random(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)(*seed >> 8) * below) >> 24);
}

/* A bag of live rows as texts, from which random changes are made: inserts, and deletes of live rows. */
struct harness_bag {
    char rows[4096][64];
    uint32_t count;
};

/* Appends a change of `changes` rows to `text`; make writes a new random row. Inserts and deletes in any
 * order. */
static inline void harness_bag_change(struct harness_bag *bag, uint32_t *seed, uint32_t changes,
                                      uint32_t insert_percent,
                                      void (*make)(uint32_t *seed, char *out, size_t bytes),
                                      struct strbuf *text)
{
    for (uint32_t i = 0; i < changes; i++) {
        if (bag->count == 0 ||
            (bag->count < ARRAY_COUNT(bag->rows) && harness_random(seed, 100) < insert_percent)) {
            make(seed, bag->rows[bag->count], sizeof(bag->rows[0]));
            strbuf_addf(text, "+ %s\n", bag->rows[bag->count]);
            bag->count++;
        } else {
            uint32_t at = harness_random(seed, bag->count);
            strbuf_addf(text, "- %s\n", bag->rows[at]);
            if (at != bag->count - 1)
                memcpy(bag->rows[at], bag->rows[bag->count - 1], sizeof(bag->rows[0]));
            bag->count--;
        }
    }
}

static inline void harness_bag_text(const struct harness_bag *bag, struct strbuf *text)
{
    strbuf_reset(text);
    for (uint32_t i = 0; i < bag->count; i++)
        strbuf_addf(text, "+ %s\n", bag->rows[i]);
}

/* Of the operator and the arrangements in front of it. */
static inline int64_t harness_state_bytes(const struct harness *h)
{
    int64_t bytes = h->op->class->state_bytes != NULL ? h->op->class->state_bytes(h->op) : 0;
    for (uint32_t side = 0; side < 2; side++)
        if (h->arranges[side] != NULL)
            bytes += h->arranges[side]->class->state_bytes(h->arranges[side]);
    return bytes;
}

static inline uint64_t harness_state_rows(const struct harness *h)
{
    uint64_t rows = h->op->class->state_rows != NULL ? h->op->class->state_rows(h->op) : 0;
    for (uint32_t side = 0; side < 2; side++)
        if (h->arranges[side] != NULL)
            rows += h->arranges[side]->class->state_rows(h->arranges[side]);
    return rows;
}

static inline const struct aggregate_row *harness_aggregate(const char *name, const char *args)
{
    const struct aggregate_row *const *rows;
    size_t count = aggregate_find(name, &rows);
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i]->args, args) == 0)
            return rows[i];
    fprintf(stderr, "no aggregate %s(%s)\n", name, args);
    abort();
}

#endif
