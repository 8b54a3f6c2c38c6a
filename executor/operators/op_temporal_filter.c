/* op_temporal_filter.c: rows whose time with respect to now() has come and is not over.
 *
 * The operator's clock is the tick's, but never goes back. At it a row is there or not, and from it on there is a first
 * instant at which that turns; both follow from the row and the clock alone. Until then the row waits in a queue by that
 * instant, with its bit. So a row that is taken back finds its entry without being looked for: between two turns each
 * clock gives the same instant. What turns no more is not kept: a row without an end passes, one that is over is
 * dropped.
 *
 * With a time to live instead of conditions (ttl_us) rows are there from the tick in which they came until so much
 * later; they are never taken back. */
#include "executor/clock_function.h"
#include "executor/expr_program.h"
#include "executor/operators/op_saved.h"
#include "executor/operators/row_queue.h"
#include "storage/data/datetime_internal.h"

struct temporal_filter {
    struct operator base;
    struct row_queue queue;
    struct expr_program *values; /* one per bound */
    struct expr_run *values_run;
    struct clock_function **functions;
    struct column *columns; /* of the values of a batch */
    int64_t clock;
    struct arena scratch, due_scratch; /* of push; of rows whose time has come, also within a push */
};

/* A row at the clock: is it there, and when that turns. */
struct presence {
    int64_t turn;
    bool is_there;
};

static bool temporal_open(struct operator* op, const struct plan *plan, struct error *err)
{
    struct temporal_filter *self = (struct temporal_filter *)op;
    struct arena *arena = op->ctx->plan_arena;
    arena_init(&self->scratch, op->ctx->account);
    arena_init(&self->due_scratch, op->ctx->account);
    self->clock = INT64_MIN;
    row_queue_open(&self->queue, op->types, op->columns_count, plan->children[0]->append_only,
                   op->ctx->account);
    uint32_t count = plan->temporal_filter.bounds_count;
    if (count == 0)
        return true;
    const struct expr **values = ARENA_ARRAY(arena, const struct expr *, count);
    self->functions = ARENA_ARRAY(arena, struct clock_function *, count);
    self->columns = ARENA_ARRAY(arena, struct column, count);
    for (uint32_t b = 0; b < count; b++) {
        const struct plan_time_bound *bound = &plan->temporal_filter.bounds[b];
        values[b] = bound->value;
        self->functions[b] = clock_function_create(arena, bound->now, op->ctx->env->io.timezone);
        if (self->functions[b] == NULL)
            return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "condition on now() is out of range");
    }
    if (!expr_compile(arena, values, count, &self->values, err))
        return false;
    self->values_run = expr_run_create(self->values, op->ctx->account);
    return true;
}

static void temporal_close(struct operator* op)
{
    struct temporal_filter *self = (struct temporal_filter *)op;
    if (self->values_run != NULL)
        expr_run_destroy(self->values_run);
    row_queue_close(&self->queue);
    arena_release(&self->scratch);
    arena_release(&self->due_scratch);
}

/* false: NULL, which compares with nothing. */
static bool value_at(const struct column *column, uint32_t row, int64_t *out)
{
    if (column_is_null(column, row))
        return false;
    if (column->phys != PHYS_I32) {
        *out = ((const int64_t *)column->data)[row];
        return true;
    }
    int32_t date = ((const int32_t *)column->data)[row];
    *out = date == DATE_PLUS_INFINITY    ? TIMESTAMP_PLUS_INFINITY
           : date == DATE_MINUS_INFINITY ? TIMESTAMP_MINUS_INFINITY
                                         : date * US_PER_DAY;
    return true;
}

static bool all_hold(const struct temporal_filter *self, uint32_t row, int64_t clock)
{
    const struct plan_time_bound *bounds = self->base.plan->temporal_filter.bounds;
    for (uint32_t b = 0; b < self->base.plan->temporal_filter.bounds_count; b++) {
        int64_t value;
        if (!value_at(&self->columns[b], row, &value) ||
            !clock_function_holds(self->functions[b], value, bounds[b].comparison, clock))
            return false;
    }
    return true;
}

/* The first instant after `clock` at which one of the conditions turns. */
static int64_t next_turn(const struct temporal_filter *self, uint32_t row, int64_t clock)
{
    const struct plan_time_bound *bounds = self->base.plan->temporal_filter.bounds;
    int64_t first = TIME_NEVER;
    for (uint32_t b = 0; b < self->base.plan->temporal_filter.bounds_count; b++) {
        int64_t value;
        if (!value_at(&self->columns[b], row, &value))
            return TIME_NEVER;
        int64_t turn = clock_function_change(self->functions[b], value, bounds[b].comparison, clock);
        first = turn < first ? turn : first;
    }
    return first;
}

/* Of a row of the batch whose values are in self->columns. */
static struct presence presence_of(const struct temporal_filter *self, uint32_t row)
{
    struct presence result = {.is_there = all_hold(self, row, self->clock), .turn = self->clock};
    do
        result.turn = next_turn(self, row, result.turn);
    while (result.turn != TIME_NEVER && all_hold(self, row, result.turn) == result.is_there);
    return result;
}

static bool evaluate(struct temporal_filter *self, const struct batch *rows, struct row_errors *errors,
                     struct error *err)
{
    struct operator* op = & self->base;
    for (uint32_t b = 0; b < op->plan->temporal_filter.bounds_count; b++)
        clock_function_bind(self->functions[b]);
    return expr_run_eval(self->values_run, op->ctx->env, rows, NULL, rows->rows, self->columns, errors, err);
}

/* Rows that turned by now: in or out, and perhaps waiting again. */
static bool turn_rows(struct temporal_filter *self, struct error *err)
{
    struct operator* op = & self->base;
    bool has_bounds = op->plan->temporal_filter.bounds_count > 0;
    for (;;) {
        arena_reset(&self->due_scratch);
        uint8_t *were_there;
        struct batch *due = row_queue_take(&self->queue, self->clock, &were_there, &self->due_scratch);
        if (due == NULL)
            return true;
        struct row_errors errors = {.arena = &self->due_scratch};
        if (has_bounds && !evaluate(self, due, &errors, err))
            return false;
        uint32_t *rows = arena_alloc(&self->due_scratch, sizeof(uint32_t) * due->rows), count = 0;
        for (uint32_t i = 0; i < due->rows; i++) {
            struct presence presence = {.turn = TIME_NEVER};
            if (has_bounds)
                presence = presence_of(self, i);
            if (presence.turn != TIME_NEVER)
                row_queue_add(&self->queue, presence.turn, due, i, due->weights[i], presence.is_there);
            if (presence.is_there == (were_there[i] != 0))
                continue;
            due->weights[i] *= presence.is_there ? 1 : -1;
            rows[count++] = i;
        }
        if (count == 0)
            continue;
        const struct batch *out = count < due->rows ? op_gather(&self->due_scratch, due, rows, count) : due;
        if (!operator_emit(op, out, err))
            return false;
    }
}

/* Moves the clock to that of the tick; what turns by it comes before what the tick brings. */
static bool follow_clock(struct temporal_filter *self, struct error *err)
{
    int64_t now = self->base.ctx->env->io.now_us;
    if (now <= self->clock)
        return true;
    self->clock = now;
    return turn_rows(self, err);
}

static bool temporal_push(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    struct temporal_filter *self = (struct temporal_filter *)op;
    int64_t ttl_us = op->plan->temporal_filter.ttl_us;
    if (!follow_clock(self, err))
        return false;
    if (ttl_us > 0) {
        for (uint32_t i = 0; i < change->rows; i++)
            row_queue_add(&self->queue, self->clock + ttl_us, change, i, batch_weight(change, i), true);
        return operator_emit(op, change, err);
    }
    arena_reset(&self->scratch);
    struct row_errors errors = {.arena = &self->scratch};
    if (!evaluate(self, change, op->ctx->collect_errors ? &errors : NULL, err))
        return false;
    if (errors.count > 0 && !op_emit_row_errors(op, change, NULL, &errors, err))
        return false;
    uint32_t *rows = arena_alloc(&self->scratch, sizeof(uint32_t) * change->rows), count = 0;
    for (uint32_t i = 0; i < change->rows; i++) {
        if (errors.count > 0 && errors.failed[i])
            continue;
        struct presence presence = presence_of(self, i);
        if (presence.turn != TIME_NEVER)
            row_queue_add(&self->queue, presence.turn, change, i, batch_weight(change, i), presence.is_there);
        if (presence.is_there)
            rows[count++] = i;
    }
    if (count == 0)
        return true;
    if (count == change->rows)
        return operator_emit(op, change, err);
    struct batch *out = op_gather(&self->scratch, change, rows, count);
    op_pick_arrival(&self->scratch, out, change, rows);
    return operator_emit(op, out, err);
}

static bool temporal_finish(struct operator* op, struct error *err)
{
    return follow_clock((struct temporal_filter *)op, err);
}

static int64_t temporal_due(const struct operator* op)
{
    return row_queue_first(&((const struct temporal_filter *)op)->queue);
}

static int64_t temporal_bytes(const struct operator* op)
{
    return row_queue_bytes(&((const struct temporal_filter *)op)->queue);
}

static uint64_t temporal_rows(const struct operator* op)
{
    return row_queue_rows(&((const struct temporal_filter *)op)->queue);
}

static void temporal_saved_tables(struct operator* op, struct saved_tables *out)
{
    row_queue_saved_tables(&((struct temporal_filter *)op)->queue, out);
}

/* The clock that the rows were judged by. */
static void temporal_save_rest(struct operator* op, struct strbuf *out)
{
    op_rest_add(out, &((const struct temporal_filter *)op)->clock, 1);
}

static bool temporal_restore_rest(struct operator* op, const void *rest, size_t rest_bytes, struct error *err)
{
    struct temporal_filter *self = (struct temporal_filter *)op;
    if (!op_rest_take(rest, rest_bytes, &self->clock, 1, err))
        return false;
    return self->clock <= INT64_MAX - op->plan->temporal_filter.ttl_us || op_saved_damaged(err);
}

const struct operator_class op_temporal_filter_class = {
    .name = "temporal_filter",
    .bytes = sizeof(struct temporal_filter),
    .open = temporal_open,
    .push = temporal_push,
    .finish = temporal_finish,
    .close = temporal_close,
    .due_clock = temporal_due,
    .state_bytes = temporal_bytes,
    .state_rows = temporal_rows,
    .saved_tables = temporal_saved_tables,
    .save_rest = temporal_save_rest,
    .restore_rest = temporal_restore_rest,
};
