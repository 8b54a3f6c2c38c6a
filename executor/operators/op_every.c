/* op_every.c: the net change of each period of the clock.
 *
 * Changes are collected as counts of rows, so that what comes and goes within a period is never seen. With the first one
 * the end of the period, the next multiple of its length since 2000-01-01 UTC, becomes due; the first tick whose clock
 * has reached it hands everything on, its own changes too. The initial tick does so at once: the view is filled. */
#include "executor/operators/op_saved.h"
#include "executor/operators/row_queue.h"

struct every {
    struct operator base;
    struct row_queue queue; /* all for one time: only whether they wait counts */
    int64_t due;            /* TIME_NEVER: nothing waits */
    struct arena scratch;
};

static bool every_open(struct operator* op, const struct plan *plan, struct error *err)
{
    struct every *self = (struct every *)op;
    arena_init(&self->scratch, op->ctx->account);
    self->due = TIME_NEVER;
    row_queue_open(&self->queue, op->types, op->columns_count, plan->children[0]->append_only,
                   op->ctx->account);
    return true;
}

static void every_close(struct operator* op)
{
    struct every *self = (struct every *)op;
    row_queue_close(&self->queue);
    arena_release(&self->scratch);
}

static int64_t end_of_period(int64_t clock, int64_t period_us)
{
    int64_t within = clock % period_us;
    return clock + period_us - (within < 0 ? within + period_us : within);
}

static bool every_push(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    struct every *self = (struct every *)op;
    if (op->ctx->initial)
        return operator_emit(op, change, err);
    if (self->due == TIME_NEVER)
        self->due = end_of_period(op->ctx->env->io.now_us, op->plan->every.period_us);
    for (uint32_t i = 0; i < change->rows; i++)
        row_queue_add(&self->queue, 0, change, i, batch_weight(change, i), false);
    return true;
}

static bool every_finish(struct operator* op, struct error *err)
{
    struct every *self = (struct every *)op;
    if (op->ctx->env->io.now_us < self->due)
        return true;
    self->due = TIME_NEVER;
    for (;;) {
        arena_reset(&self->scratch);
        struct batch *due = row_queue_take(&self->queue, 0, NULL, &self->scratch);
        if (due == NULL)
            return true;
        if (!operator_emit(op, due, err))
            return false;
    }
}

static int64_t every_due(const struct operator* op)
{
    return ((const struct every *)op)->due;
}

static int64_t every_bytes(const struct operator* op)
{
    return row_queue_bytes(&((const struct every *)op)->queue);
}

static uint64_t every_rows(const struct operator* op)
{
    return row_queue_rows(&((const struct every *)op)->queue);
}

static void every_saved_tables(struct operator* op, struct saved_tables *out)
{
    row_queue_saved_tables(&((struct every *)op)->queue, out);
}

static void every_save_rest(struct operator* op, struct strbuf *out)
{
    op_rest_add(out, &((const struct every *)op)->due, 1);
}

static bool every_restore_rest(struct operator* op, const void *rest, size_t rest_bytes, struct error *err)
{
    struct every *self = (struct every *)op;
    if (!op_rest_take(rest, rest_bytes, &self->due, 1, err))
        return false;
    return self->due != TIME_NEVER || row_queue_rows(&self->queue) == 0 || op_saved_damaged(err);
}

const struct operator_class op_every_class = {
    .name = "every",
    .bytes = sizeof(struct every),
    .open = every_open,
    .push = every_push,
    .finish = every_finish,
    .close = every_close,
    .due_clock = every_due,
    .state_bytes = every_bytes,
    .state_rows = every_rows,
    .saved_tables = every_saved_tables,
    .save_rest = every_save_rest,
    .restore_rest = every_restore_rest,
};
