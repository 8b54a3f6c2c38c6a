/* op_final.c: rows once the watermark says that they do not change any more.
 *
 * Rows wait, as counts, for the watermark to reach their time. When it does, what is left of them comes out, earliest
 * first, once. What comes for a time that the watermark had reached before the tick is a correction: it is passed on
 * at once, or dropped. Rows without a time (NULL), and those at infinity, never become final: they are dropped. */
#include "executor/operators/row_queue.h"
#include "storage/data/datetime_internal.h"

struct final {
    struct operator base;
    struct row_queue queue;
    struct arena scratch;
};

static bool final_open(struct operator* op, const struct plan *plan, struct error *err)
{
    struct final *self = (struct final *)op;
    arena_init(&self->scratch, op->ctx->account);
    row_queue_open(&self->queue, op->types, op->columns_count, plan->children[0]->append_only,
                   op->ctx->account);
    return true;
}

static void final_close(struct operator* op)
{
    struct final *self = (struct final *)op;
    row_queue_close(&self->queue);
    arena_release(&self->scratch);
}

/* The watermark that makes a row with this time final; TIME_NEVER: none does. */
static int64_t final_time(const struct column *column, int64_t after_us, uint32_t row)
{
    int64_t value, time;
    if (column_is_null(column, row))
        return TIME_NEVER;
    if (column->phys == PHYS_I32) {
        int32_t date = ((const int32_t *)column->data)[row];
        if (date_infinite(date))
            return date == DATE_PLUS_INFINITY ? TIME_NEVER : INT64_MIN;
        value = date * US_PER_DAY;
    } else {
        value = ((const int64_t *)column->data)[row];
        if (timestamp_infinite(value))
            return value;
    }
    if (__builtin_add_overflow(value, after_us, &time))
        return after_us > 0 ? TIME_NEVER : INT64_MIN;
    return time;
}

static bool final_push(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    struct final *self = (struct final *)op;
    const struct plan *plan = op->plan;
    const struct column *column = &change->columns[plan->final.column];
    const struct column *other = plan->final.has_other ? &change->columns[plan->final.other_column] : NULL;
    int64_t reached = op->ctx->watermark_before;
    arena_reset(&self->scratch);
    uint32_t *rows = arena_alloc(&self->scratch, sizeof(uint32_t) * change->rows), count = 0;
    for (uint32_t i = 0; i < change->rows; i++) {
        int64_t time = other != NULL && column_is_null(column, i)
                           ? final_time(other, plan->final.other_after_us, i)
                           : final_time(column, plan->final.after_us, i);
        if (reached != WATERMARK_NONE && time <= reached)
            rows[count++] = i;
        else if (time != TIME_NEVER)
            row_queue_add(&self->queue, time, change, i, batch_weight(change, i), false);
    }
    if (count == 0 || !op->plan->final.corrects)
        return true;
    return operator_emit(op, count < change->rows ? op_gather(&self->scratch, change, rows, count) : change,
                         err);
}

static bool final_finish(struct operator* op, struct error *err)
{
    struct final *self = (struct final *)op;
    if (op->ctx->watermark == WATERMARK_NONE)
        return true;
    for (;;) {
        arena_reset(&self->scratch);
        struct batch *due = row_queue_take(&self->queue, op->ctx->watermark, NULL, &self->scratch);
        if (due == NULL)
            return true;
        if (!operator_emit(op, due, err))
            return false;
    }
}

static int64_t final_due(const struct operator* op)
{
    return row_queue_first(&((const struct final *)op)->queue);
}

static int64_t final_bytes(const struct operator* op)
{
    return row_queue_bytes(&((const struct final *)op)->queue);
}

static uint64_t final_rows(const struct operator* op)
{
    return row_queue_rows(&((const struct final *)op)->queue);
}

static void final_saved_tables(struct operator* op, struct saved_tables *out)
{
    row_queue_saved_tables(&((struct final *)op)->queue, out);
}

const struct operator_class op_final_class = {
    .name = "final",
    .bytes = sizeof(struct final),
    .open = final_open,
    .push = final_push,
    .finish = final_finish,
    .close = final_close,
    .due_watermark = final_due,
    .state_bytes = final_bytes,
    .state_rows = final_rows,
    .saved_tables = final_saved_tables,
};
