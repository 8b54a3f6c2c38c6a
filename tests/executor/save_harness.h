/* save_harness.h: what an operator has to save for checkpoints, and can it be put back? (executor/operator.h: saved_tables,
 * save_rest, restore_rest.)
 *
 * save_case_run drives two operators through the same random ticks: one undisturbed, the other saved at random ends of
 * ticks (save_copy.h) and replaced, at some of them, by a fresh one that gets the saved rows back, from which things go
 * on. Output must be the same after every tick, and the copy must at any time equal all that there is to save. */
#ifndef MILLRACE_TESTS_SAVE_HARNESS_H
#define MILLRACE_TESTS_SAVE_HARNESS_H

#include "tests/executor/op_harness.h"
#include "tests/storage/save_copy.h"

struct save_tick {
    struct strbuf ports[2]; /* changes, as text; empty at first */
    int64_t now_us;         /* the tick's clock; stays until it is changed */
    int64_t watermark;      /* the same; WATERMARK_NONE at first */
};

struct save_case {
    void (*open)(
        struct harness *h); /* makes the plan and calls harness_open; the same whenever it is asked */
    /* Writes the changes of a tick. ctx is the test's own: what changes go on from (a harness_bag ...). */
    void (*change)(void *ctx, uint32_t tick_number, uint32_t *seed, struct save_tick *tick);
    void *ctx;
    uint32_t ticks;
    /* Wrong values are tried as well: they may be refused (XX001), but must not be believed where that would write
     * or read outside. For tables whose int4, int8 and bytea columns need to be checked. */
    bool tries_damage;
    bool due_may_differ; /* the restored operator may want to be called at other times */
};

/* Whatever of the harness remembers: what is in front of the operator first. */
static inline uint32_t save_harness_operators(const struct harness *h, struct operator** out)
{
    uint32_t count = 0;
    for (uint32_t side = 0; side < 2; side++)
        if (h->arranges[side] != NULL)
            out[count++] = h->arranges[side];
    out[count++] = h->op;
    return count;
}

static inline struct saved_tables save_harness_tables(struct operator* op, struct arena *arena)
{
    struct saved_tables tables = {.arena = arena};
    if (op->class->saved_tables != NULL)
        op->class->saved_tables(op, &tables);
    return tables;
}

struct save_harness {
    struct save_copy copies[3]; /* by operator */
    struct strbuf rests[3];
};

static inline void save_harness_take(struct save_harness *saved, struct harness *h)
{
    struct operator* ops[3];
    uint32_t count = save_harness_operators(h, ops);
    struct arena arena;
    arena_init(&arena, NULL);
    harness_now = h;
    for (uint32_t o = 0; o < count; o++) {
        struct saved_tables tables = save_harness_tables(ops[o], &arena);
        save_copy_take(&saved->copies[o], &tables);
        save_copy_check(&saved->copies[o], &tables);
        strbuf_reset(&saved->rests[o]);
        if (ops[o]->class->save_rest != NULL)
            ops[o]->class->save_rest(ops[o], &saved->rests[o]);
    }
    arena_release(&arena);
}

/* Into the operators of a harness that has just been opened. */
static inline bool save_harness_restore(struct save_harness *saved, struct harness *h, bool continues,
                                        bool is_damaged)
{
    struct operator* ops[3];
    uint32_t count = save_harness_operators(h, ops);
    struct arena arena;
    struct error err;
    arena_init(&arena, NULL);
    harness_now = h;
    h->ctx.initial = false;
    bool ok = true;
    for (uint32_t o = 0; o < count && ok; o++) {
        struct saved_tables tables = save_harness_tables(ops[o], &arena);
        struct save_copy *copy = &saved->copies[o];
        ok = save_copy_restore(copy, &tables, continues, is_damaged, &err);
        size_t bytes = saved->rests[o].len;
        bool is_cut = is_damaged && bytes > 0 && save_copy_random(&copy->seed, 4) == 0;
        bytes = is_cut ? save_copy_random(&copy->seed, (uint32_t)bytes) : bytes;
        uint8_t *rest = malloc(bytes > 0 ? bytes : 1); /* as long as it is, for the sanitizer */
        if (bytes > 0)
            memcpy(rest, saved->rests[o].data, bytes);
        if (is_damaged && bytes > 0 && save_copy_random(&copy->seed, 2) == 0)
            rest[save_copy_random(&copy->seed, (uint32_t)bytes)] ^=
                (uint8_t)(1 << save_copy_random(&copy->seed, 8));
        if (ok && ops[o]->class->restore_rest != NULL)
            ok = ops[o]->class->restore_rest(ops[o], rest, bytes, &err);
        free(rest);
        if (ok && !is_damaged) {
            tables = save_harness_tables(ops[o], &arena);
            save_copy_check(copy, &tables);
            struct strbuf again = STRBUF_INIT;
            if (ops[o]->class->save_rest != NULL)
                ops[o]->class->save_rest(ops[o], &again);
            EXPECT(again.len == saved->rests[o].len &&
                   (again.len == 0 || memcmp(again.data, saved->rests[o].data, again.len) == 0));
            strbuf_release(&again);
        }
    }
    if (!ok)
        EXPECT_INT(err.code, ERRCODE_DATA_CORRUPTED);
    if (!ok && !is_damaged) {
        fprintf(stderr, "%s\n", err.message);
        EXPECT(!"what was saved can be restored");
    }
    arena_release(&arena);
    return ok;
}

static inline struct harness *save_case_open(const struct save_case *c)
{
    struct harness *h = calloc(1, sizeof(*h));
    harness_init(h, DATAFLOW_CONTINUOUS);
    h->ctx.watermark = h->ctx.watermark_before = WATERMARK_NONE;
    c->open(h);
    return h;
}

static inline void save_case_close(struct harness *h)
{
    harness_close(h);
    free(h);
}

/* A fresh operator in place of the old one, which is closed. */
static inline struct harness *save_case_restart(const struct save_case *c, struct save_harness *saved,
                                                struct harness *old, uint32_t *seed)
{
    if (c->tries_damage) {
        for (uint32_t i = 0; i < 5; i++) {
            struct harness *damaged = save_case_open(c);
            damaged->ctx.watermark = damaged->ctx.watermark_before = old->ctx.watermark;
            damaged->env.io.now_us = old->env.io.now_us;
            (void)save_harness_restore(saved, damaged, false, true);
            save_case_close(damaged);
        }
    }
    struct harness *h = save_case_open(c);
    h->ctx.watermark = h->ctx.watermark_before = old->ctx.watermark;
    h->env.io.now_us = old->env.io.now_us;
    bool continues = harness_random(seed, 2) == 0;
    EXPECT(save_harness_restore(saved, h, continues, false));
    if (!continues)
        for (uint32_t o = 0; o < ARRAY_COUNT(saved->copies); o++)
            save_copy_reset(&saved->copies[o]);
    batch_append_range(h->total, old->total, 0, old->total->rows, 1);
    strbuf_add(&h->late, strbuf_text(&old->late), old->late.len);
    h->late_count = old->late_count;
    h->judged = old->judged;
    save_case_close(old);
    return h;
}

static inline const char *save_case_tick(struct harness *h, const struct save_tick *tick)
{
    struct error err;
    arena_reset(&h->text_arena);
    h->output = batch_create(&h->text_arena, h->op->types, h->op->columns_count, 16);
    h->env.io.now_us = tick->now_us;
    h->ctx.watermark_before = h->ctx.watermark;
    for (uint32_t port = h->op->plan->children_count; port-- > 0;)
        EXPECT(harness_push(h, port, strbuf_text(&tick->ports[port]), &err));
    h->ctx.watermark = tick->watermark;
    return harness_finish(h);
}

static inline void save_case_compare(const struct save_case *c, const struct harness *h,
                                     const struct harness *reference)
{
    const struct operator_class *class = h->op->class;
    EXPECT_INT(harness_state_rows(h), harness_state_rows(reference));
    EXPECT_INT(h->late_count, reference->late_count);
    EXPECT_INT(h->judged, reference->judged);
    if (class->holds_watermark != NULL)
        EXPECT_INT(class->holds_watermark(h->op), class->holds_watermark(reference->op));
    if (c->due_may_differ)
        return;
    if (class->due_clock != NULL)
        EXPECT_INT(class->due_clock(h->op), class->due_clock(reference->op));
    if (class->due_watermark != NULL)
        EXPECT_INT(class->due_watermark(h->op), class->due_watermark(reference->op));
}

/* Fails the test where the saved operator differs from the one that was left alone. */
static inline void save_case_run(const struct save_case *c, uint32_t seed)
{
    struct save_harness saved;
    memset(&saved, 0, sizeof(saved));
    for (uint32_t o = 0; o < ARRAY_COUNT(saved.copies); o++)
        save_copy_init(&saved.copies[o], seed + o);
    struct harness *reference = save_case_open(c), *h = save_case_open(c);
    struct save_tick tick = {.now_us = reference->env.io.now_us, .watermark = WATERMARK_NONE};
    struct strbuf expected = STRBUF_INIT;
    uint32_t restarts = 0, fails_before = (uint32_t)test_failures;
    for (uint32_t number = 0; number < c->ticks && test_failures == (int)fails_before; number++) {
        for (uint32_t port = 0; port < ARRAY_COUNT(tick.ports); port++)
            strbuf_reset(&tick.ports[port]);
        c->change(c->ctx, number, &seed, &tick);
        strbuf_reset(&expected);
        strbuf_adds(&expected, save_case_tick(reference, &tick));
        EXPECT_TEXT(save_case_tick(h, &tick), strbuf_text(&expected));
        save_case_compare(c, h, reference);
        if (harness_random(&seed, 2) == 0)
            continue;
        save_harness_take(&saved, h);
        if (harness_random(&seed, 3) != 0 && number > 1)
            continue;
        h = save_case_restart(c, &saved, h, &seed);
        restarts++;
        save_case_compare(c, h, reference);
    }
    if (test_failures != (int)fails_before)
        fprintf(stderr, "after %u restarts\n", restarts);
    strbuf_reset(&expected);
    strbuf_adds(&expected, harness_contents(reference));
    EXPECT_TEXT(harness_contents(h), strbuf_text(&expected));
    EXPECT_TEXT(strbuf_text(&h->late), strbuf_text(&reference->late));
    save_case_close(h);
    save_case_close(reference);
    for (uint32_t o = 0; o < ARRAY_COUNT(saved.copies); o++) {
        save_copy_release(&saved.copies[o]);
        strbuf_release(&saved.rests[o]);
    }
    for (uint32_t port = 0; port < ARRAY_COUNT(tick.ports); port++)
        strbuf_release(&tick.ports[port]);
    strbuf_release(&expected);
}

#endif
