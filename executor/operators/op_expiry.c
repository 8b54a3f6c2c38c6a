/* op_expiry.c: see op_expiry.h. */
#include "executor/operators/op_expiry.h"

#include "storage/data/datetime.h"
#include "storage/state/hashed_table.h"

void op_expiry_open(struct op_expiry *expiry, const struct op_context *ctx, const struct plan_expiry *plan)
{
    if (!plan->known || ctx->mode == DATAFLOW_ONE_SHOT)
        return;
    expiry->is_on = true;
    expiry->column = plan->column;
    expiry->after_us = plan->after_us;
    expiry_queue_init(&expiry->queue, ctx->account);
}

void op_expiry_close(struct op_expiry *expiry)
{
    if (expiry->is_on)
        expiry_queue_release(&expiry->queue);
}

bool op_expiry_has_time(const struct datum *value, enum phys phys, int64_t *time)
{
    if (value->is_null)
        return false;
    if (phys == PHYS_I32) {
        if (value->i32 == DATE_MINUS_INFINITY || value->i32 == DATE_PLUS_INFINITY)
            return false;
        return !__builtin_mul_overflow((int64_t)value->i32, US_PER_DAY, time); /* no watermark gets there */
    }
    *time = value->i64;
    return value->i64 != TIMESTAMP_MINUS_INFINITY && value->i64 != TIMESTAMP_PLUS_INFINITY;
}

bool op_expiry_add(struct op_expiry *expiry, const struct column *times, uint32_t row, uint32_t piece)
{
    struct datum value = column_get(times, row);
    int64_t time;
    if (!op_expiry_has_time(&value, times->phys, &time))
        return false;
    expiry_queue_add(&expiry->queue, time, piece);
    return true;
}

void op_expiry_add_all(struct op_expiry *expiry, struct hashed_table *table, const uint32_t *columns,
                       const struct sql_type *types, uint32_t count)
{
    uint32_t key = 0, cursor = 0, slot;
    while (key < count && columns[key] != expiry->column)
        key++;
    CHECK(key < count);
    enum phys phys = type_phys(types[key].oid);
    while ((slot = hashed_table_next(table, &cursor)) != SLOT_NONE) {
        struct datum value = hashed_table_key(table, slot, key);
        int64_t time;
        if (op_expiry_has_time(&value, phys, &time))
            expiry_queue_add(&expiry->queue, time, slot);
    }
}

int64_t op_expiry_over_by(const struct op_expiry *expiry, int64_t watermark)
{
    int64_t time;
    if (watermark == WATERMARK_NONE)
        return INT64_MIN;
    if (__builtin_sub_overflow(watermark, expiry->after_us, &time))
        return expiry->after_us > 0 ? INT64_MIN : INT64_MAX;
    return time;
}

bool op_expiry_is_over(const struct op_expiry *expiry, int64_t watermark, int64_t time)
{
    return expiry->is_on && time <= op_expiry_over_by(expiry, watermark);
}

uint32_t op_expiry_take(struct op_expiry *expiry, const struct op_context *ctx, uint32_t *pieces,
                        uint32_t max)
{
    int64_t time = op_expiry_over_by(expiry, ctx->watermark);
    if (!expiry->is_on || time == INT64_MIN)
        return 0;
    return expiry_queue_take(&expiry->queue, time, pieces, max);
}

int64_t op_expiry_due(const struct op_expiry *expiry)
{
    int64_t due, least = expiry->is_on ? expiry_queue_least(&expiry->queue) : INT64_MAX;
    if (least == INT64_MAX)
        return TIME_NEVER;
    if (__builtin_add_overflow(least, expiry->after_us, &due))
        return expiry->after_us > 0 ? TIME_NEVER : INT64_MIN;
    return due;
}
