/* op_late.c: takes out the rows that lie behind the watermark: those with time + grace < the row's watermark. Rows
 * without a time pass; -infinity is behind every watermark. Linear and stateless; its input holds no retractions. */
#include "executor/operators/op_common.h"
#include "executor/operators/op_window.h"

#include "storage/data/datetime.h"

struct late {
    struct operator base;
    struct arena scratch;
};

static bool late_open(struct operator* op, const struct plan *plan, struct error *err)
{
    (void)plan;
    (void)err;
    arena_init(&((struct late *)op)->scratch, op->ctx->account);
    return true;
}

static void late_close(struct operator* op)
{
    arena_release(&((struct late *)op)->scratch);
}

/* -infinity lies behind every watermark. */
static bool is_first_of_all(const struct column *times, uint32_t row)
{
    if (column_is_null(times, row))
        return false;
    struct datum value = column_get(times, row);
    return times->phys == PHYS_I32 ? value.i32 == DATE_MINUS_INFINITY : value.i64 == TIMESTAMP_MINUS_INFINITY;
}

static bool is_late(const struct operator* op, const struct batch *change, const struct column *times,
                    uint32_t row)
{
    int64_t time, watermark = op_row_watermark(op, change, row), limit;
    struct error ignored;
    if (!window_row_time(times, row, &time, &ignored))
        return watermark != WATERMARK_NONE && is_first_of_all(times, row);
    return !__builtin_add_overflow(time, op->plan->late.lateness->grace_us, &limit) && limit < watermark;
}

static bool late_push(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    struct late *self = (struct late *)op;
    (void)port;
    arena_reset(&self->scratch);
    op_judged(op, change->rows);
    const struct column *times = &change->columns[op->plan->late.time_column];
    uint32_t late_count = 0;
    for (uint32_t row = 0; row < change->rows; row++)
        late_count += is_late(op, change, times, row);
    if (late_count == 0)
        return operator_emit(op, change, err);
    uint32_t *late = arena_alloc(&self->scratch, sizeof(*late) * late_count);
    uint32_t *good = arena_alloc(&self->scratch, sizeof(*good) * change->rows), good_count = 0;
    late_count = 0;
    for (uint32_t row = 0; row < change->rows; row++) {
        if (is_late(op, change, times, row))
            late[late_count++] = row;
        else
            good[good_count++] = row;
    }
    op_late_rows(op, op->plan->late.lateness, change, late, late_count, NULL, NULL);
    return good_count == 0 || operator_emit(op, op_gather(&self->scratch, change, good, good_count), err);
}

const struct operator_class op_late_class = {
    .name = "late",
    .bytes = sizeof(struct late),
    .open = late_open,
    .push = late_push,
    .close = late_close,
};
