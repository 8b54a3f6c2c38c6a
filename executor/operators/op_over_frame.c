/* op_over_frame.c: which rows a window frame holds: ROWS, GROUPS and RANGE with all their bounds.
 *
 * Starts and ends never go back from one row to the next, so one pass with moving positions finds them all.
 * For RANGE with an offset the bound is the row's sort value plus or minus the offset; a row whose sort value
 * is NULL has its peers, the other NULLs, on that side. */
#include "executor/operators/op_over.h"

#include "storage/data/datetime.h"
#include "storage/data/numeric.h"

static bool is_offset(enum frame_bound bound)
{
    return bound == BOUND_PRECEDING || bound == BOUND_FOLLOWING;
}

static bool offset_missing(bool is_start, struct error *err)
{
    return error_set(err, ERRCODE_NULL_VALUE_NOT_ALLOWED, "frame %s offset must not be null",
                     is_start ? "starting" : "ending");
}

/* An offset of ROWS or GROUPS. */
static bool read_offset(const struct over_partition *partition, int32_t column, bool is_start, int64_t *out,
                        struct error *err)
{
    const struct column *offsets = &partition->rows->columns[column];
    if (column_is_null(offsets, partition->first))
        return offset_missing(is_start, err);
    struct datum value = column_get(offsets, partition->first);
    *out = offsets->phys == PHYS_I64 ? value.i64 : offsets->phys == PHYS_I32 ? value.i32 : value.i16;
    if (*out < 0)
        return error_set(err, ERRCODE_INVALID_PRECEDING_OR_FOLLOWING_SIZE,
                         "frame %s offset must not be negative", is_start ? "starting" : "ending");
    return true;
}

static uint32_t clamp(int64_t position, uint32_t count)
{
    return position < 0 ? 0 : position > count ? count : (uint32_t)position;
}

static int64_t signed_offset(enum frame_bound bound, int64_t offset, uint32_t count)
{
    if (offset > count)
        offset = (int64_t)count + 1; /* beyond either end */
    return bound == BOUND_PRECEDING ? -offset : bound == BOUND_FOLLOWING ? offset : 0;
}

static uint32_t row_bound(enum frame_bound bound, bool is_start, uint32_t position, int64_t offset,
                          uint32_t count)
{
    if (bound == BOUND_UNBOUNDED_PRECEDING)
        return 0;
    if (bound == BOUND_UNBOUNDED_FOLLOWING)
        return count;
    return clamp((int64_t)position + signed_offset(bound, offset, count) + (is_start ? 0 : 1), count);
}

static uint32_t group_bound(const struct over_partition *partition, enum frame_bound bound, bool is_start,
                            uint32_t position, int64_t offset)
{
    if (bound == BOUND_UNBOUNDED_PRECEDING)
        return 0;
    if (bound == BOUND_UNBOUNDED_FOLLOWING)
        return partition->count;
    int64_t group = (int64_t)partition->group[position] +
                    signed_offset(bound, offset, partition->groups_count) + (is_start ? 0 : 1);
    return partition->group_starts[clamp(group, partition->groups_count)];
}

/* ---- RANGE with offset ---- */

static bool is_integer_key(uint32_t oid)
{
    return oid == OID_INT2 || oid == OID_INT4 || oid == OID_INT8;
}

static __int128 integer_of(struct sql_type type, enum phys phys, const struct datum *value)
{
    switch (phys) {
    case PHYS_I16:
        return value->i16;
    case PHYS_I32:
        if (type.oid == OID_DATE && value->i32 == DATE_MINUS_INFINITY)
            return TIMESTAMP_MINUS_INFINITY;
        if (type.oid == OID_DATE && value->i32 == DATE_PLUS_INFINITY)
            return TIMESTAMP_PLUS_INFINITY;
        return type.oid == OID_DATE ? (__int128)value->i32 * US_PER_DAY : value->i32;
    default:
        return value->i64;
    }
}

static bool bad_size(struct error *err)
{
    return error_set(err, ERRCODE_INVALID_PRECEDING_OR_FOLLOWING_SIZE,
                     "invalid preceding or following size in window function");
}

static bool time_target(const struct over_range *range, __int128 base, const struct interval *offset,
                        bool minus, struct over_target *out, struct error *err)
{
    struct interval none = {0}, step = *offset;
    if (interval_compare(offset, &none) < 0)
        return bad_size(err);
    if (minus)
        step = (struct interval){.us = -step.us, .days = -step.days, .months = -step.months};
    out->integer = base;
    if (base == TIMESTAMP_MINUS_INFINITY || base == TIMESTAMP_PLUS_INFINITY)
        return true;
    if (range->key.oid == OID_TIME) {
        out->integer = base + step.us;
        return true;
    }
    int64_t moved;
    bool done = range->key.oid == OID_TIMESTAMPTZ
                    ? timestamptz_plus_interval(range->zone, (int64_t)base, &step, &moved, err)
                    : timestamp_plus_interval((int64_t)base, &step, &moved, err);
    if (!done) /* outside of what a timestamp can be: beyond every row */
        moved = minus ? TIMESTAMP_MINUS_INFINITY : TIMESTAMP_PLUS_INFINITY;
    out->integer = moved;
    return true;
}

struct over_range over_range_of(const struct plan *plan, const struct plan_over_call *call, bool is_start,
                                const char *zone)
{
    const struct plan *child = plan->children[0];
    int32_t column = is_start ? call->frame_start_offset : call->frame_end_offset;
    enum frame_bound bound = is_start ? call->frame_start : call->frame_end;
    struct over_range range = {.key_column = plan->over.keys[0].column,
                               .offset_column = (uint32_t)column,
                               .descending = plan->over.keys[0].descending,
                               .is_start = is_start,
                               .zone = zone};
    range.key = child->types[range.key_column];
    range.offset = child->types[column];
    range.key_phys = type_phys(range.key.oid);
    range.offset_phys = type_phys(range.offset.oid);
    range.minus = (bound == BOUND_PRECEDING) != range.descending;
    return range;
}

bool over_range_target(const struct over_range *range, const struct datum *base, const struct datum *offset,
                       struct arena *arena, struct over_target *out, struct error *err)
{
    uint32_t oid = range->key.oid;
    enum phys key_phys = range->key_phys, offset_phys = range->offset_phys;
    bool minus = range->minus;
    if (offset->is_null)
        return offset_missing(range->is_start, err);
    out->value = *base;
    if (is_integer_key(oid) && is_integer_key(range->offset.oid)) {
        __int128 step = integer_of(range->offset, offset_phys, offset);
        if (step < 0)
            return bad_size(err);
        out->integer = integer_of(range->key, key_phys, base) + (minus ? -step : step);
        return true;
    }
    if (key_phys >= PHYS_F32 && key_phys <= PHYS_F64 && offset_phys >= PHYS_F32 && offset_phys <= PHYS_F64) {
        double step = offset_phys == PHYS_F64 ? offset->f64 : offset->f32;
        double value = key_phys == PHYS_F64 ? base->f64 : base->f32;
        if (!(step >= 0))
            return bad_size(err);
        value = minus ? value - step : value + step;
        if (key_phys == PHYS_F64)
            out->value.f64 = value;
        else
            out->value.f32 = (float)value;
        return true;
    }
    if (oid == OID_NUMERIC && range->offset.oid == OID_NUMERIC) {
        if (numeric_is_nan(&offset->var) || numeric_sign(&offset->var) < 0)
            return bad_size(err);
        return minus ? numeric_sub(arena, &base->var, &offset->var, &out->value.var, err)
                     : numeric_add(arena, &base->var, &offset->var, &out->value.var, err);
    }
    if (range->offset.oid == OID_INTERVAL &&
        (oid == OID_DATE || oid == OID_TIMESTAMP || oid == OID_TIMESTAMPTZ || oid == OID_TIME))
        return time_target(range, integer_of(range->key, key_phys, base), &offset->interval, minus, out, err);
    if (range->offset.oid == OID_INTERVAL && oid == OID_INTERVAL) {
        struct interval none = {0};
        if (interval_compare(&offset->interval, &none) < 0)
            return bad_size(err);
        int sign = minus ? -1 : 1;
        out->value.interval =
            (struct interval){.us = base->interval.us + sign * offset->interval.us,
                              .days = base->interval.days + sign * offset->interval.days,
                              .months = base->interval.months + sign * offset->interval.months};
        return true;
    }
    return error_set(
        err, ERRCODE_FEATURE_NOT_SUPPORTED,
        "RANGE with offset PRECEDING/FOLLOWING is not supported for column type %s and offset type %s",
        type_find(oid)->sql_name, type_find(range->offset.oid)->sql_name);
}

int over_range_compare(const struct over_range *range, const struct datum *value,
                       const struct over_target *target)
{
    uint32_t oid = range->key.oid;
    int order;
    if (is_integer_key(oid) || oid == OID_DATE || oid == OID_TIME || oid == OID_TIMESTAMP ||
        oid == OID_TIMESTAMPTZ) {
        __int128 integer = integer_of(range->key, range->key_phys, value);
        order = integer < target->integer ? -1 : integer > target->integer;
    } else {
        order = type_compare(oid, value, &target->value);
    }
    return range->descending ? -order : order;
}

/* A row whose bound fails has the error and an empty frame. */
static void range_bounds(const struct over_range *range, const struct over_partition *partition,
                         uint32_t *out, struct error **errors)
{
    const struct column *key = &partition->rows->columns[range->key_column];
    const struct column *offsets = &partition->rows->columns[range->offset_column];
    uint32_t at = 0;
    uint32_t first_null = partition->count,
             end_null = partition->count; /* rows [first_null, end_null) are NULL */
    for (uint32_t i = 0; i < partition->count; i++) {
        if (!column_is_null(key, partition->first + i))
            continue;
        if (first_null == partition->count)
            first_null = i;
        end_null = i + 1;
    }
    uint32_t low = first_null == 0 ? end_null : 0; /* rows with values: [low, high) */
    uint32_t high = first_null > 0 ? first_null : partition->count;
    if (first_null == partition->count)
        low = 0;
    at = low;
    for (uint32_t i = 0; i < partition->count; i++) {
        if (i < low || i >= high) {
            out[i] = range->is_start ? first_null : end_null;
            continue;
        }
        uint32_t row = partition->first + i;
        struct datum base = column_get(key, row);
        struct datum offset = column_is_null(offsets, row) ? datum_null() : column_get(offsets, row);
        struct over_target target;
        struct error error;
        if (!over_range_target(range, &base, &offset, partition->arena, &target, &error)) {
            if (errors[row] == NULL)
                errors[row] = arena_copy(partition->arena, &error, sizeof(error));
            out[i] = at;
            continue;
        }
        for (; at < high; at++) {
            struct datum value = column_get(key, partition->first + at);
            if (over_range_compare(range, &value, &target) >= (range->is_start ? 0 : 1))
                break;
        }
        out[i] = at;
    }
}

static bool bounds(const struct plan_over_call *call, const struct plan *plan, const char *zone,
                   const struct over_partition *partition, bool is_start, uint32_t *out,
                   struct error **errors, struct error *err)
{
    enum frame_bound bound = is_start ? call->frame_start : call->frame_end;
    int32_t column = is_start ? call->frame_start_offset : call->frame_end_offset;
    int64_t offset = 0;
    if (call->frame_mode == FRAME_RANGE && is_offset(bound)) {
        if (plan->over.keys_count != 1)
            return error_set(err, ERRCODE_WINDOWING_ERROR,
                             "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column");
        struct over_range range = over_range_of(plan, call, is_start, zone);
        range_bounds(&range, partition, out, errors);
        return true;
    }
    if (is_offset(bound) && !read_offset(partition, column, is_start, &offset, err))
        return false;
    for (uint32_t i = 0; i < partition->count; i++) {
        if (call->frame_mode == FRAME_ROWS)
            out[i] = row_bound(bound, is_start, i, offset, partition->count);
        else
            out[i] = group_bound(partition, bound, is_start, i, offset);
    }
    return true;
}

bool over_frames(const struct plan_over_call *call, const struct plan *plan, const char *zone,
                 const struct over_partition *partition, struct over_frame *out, struct error **errors,
                 struct error *err)
{
    out->starts = arena_alloc(partition->arena, sizeof(uint32_t) * partition->count);
    out->ends = arena_alloc(partition->arena, sizeof(uint32_t) * partition->count);
    if (!bounds(call, plan, zone, partition, true, out->starts, errors, err) ||
        !bounds(call, plan, zone, partition, false, out->ends, errors, err))
        return false;
    for (uint32_t i = 0; i < partition->count; i++)
        if (out->ends[i] < out->starts[i])
            out->ends[i] = out->starts[i]; /* an empty frame */
    return true;
}
