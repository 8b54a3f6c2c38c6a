/* agg_ordered_set.c: percentile_cont, percentile_disc and mode: aggregates WITHIN GROUP (ORDER BY ...).
 *
 * The first ORDER BY column is the value; the fraction is the first argument. Values ascend by the ORDER BY,
 * whichever direction it has. */
#include "executor/aggregates/agg_tables.h"
#include "storage/data/array.h"

#include <math.h>

struct position_walk {
    struct agg_values *values;
    struct datum args[1 + CALL_ARGS_MAX];
    uint64_t end; /* copies up to and with the present value */
};

/* Moves on to the value at a 0-based position; positions must not go back. */
static bool walk_to(struct position_walk *walk, uint64_t position)
{
    while (walk->end <= position) {
        int64_t copies;
        if (!walk->values->next(walk->values, walk->args, &copies))
            return false;
        walk->end += (uint64_t)copies;
    }
    return true;
}

static bool bad_fraction(struct agg_call *call, double fraction)
{
    return error_set(call->error, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
                     "percentile value %g is not between 0 and 1", fraction);
}

static bool interpolate(struct agg_call *call, const struct datum *low, const struct datum *high, double part,
                        struct datum *out)
{
    *out = datum_null();
    if (call->result_type.oid == OID_FLOAT8 || call->result_type.oid == type_find(OID_FLOAT8)->array_oid) {
        out->f64 = low->f64 + part * (high->f64 - low->f64);
        out->is_null = false;
        return true;
    }
    /* interval: low + part * (high - low), as interval * float8 spreads fractions downwards */
    double months = (double)(high->interval.months - low->interval.months) * part;
    double days = (double)(high->interval.days - low->interval.days) * part;
    double us = (double)(high->interval.us - low->interval.us) * part;
    struct interval step = {.months = (int32_t)months, .days = (int32_t)days};
    double month_days = rint((months - step.months) * 30 * 1e6) / 1e6;
    double seconds = rint((days - step.days + month_days - (int32_t)month_days) * 86400 * 1e6) / 1e6;
    if (fabs(seconds) >= 86400) {
        step.days += (int32_t)(seconds / 86400);
        seconds -= (int32_t)(seconds / 86400) * 86400.0;
    }
    step.days += (int32_t)month_days;
    step.us = (int64_t)rint(us + seconds * 1e6);
    out->is_null = false;
    out->interval = (struct interval){.us = low->interval.us + step.us,
                                      .days = low->interval.days + step.days,
                                      .months = low->interval.months + step.months};
    return true;
}

/* The values of the walk may be borrowed from a table: text needs no copy until the table changes. */
static bool percentile_at(struct agg_call *call, struct agg_values *values, double fraction,
                          bool is_continuous, struct datum *out)
{
    if (!(fraction >= 0 && fraction <= 1))
        return bad_fraction(call, fraction);
    struct position_walk walk = {.values = values};
    uint32_t value = call->args_count > 0 ? 1 : 0;
    if (!is_continuous) {
        double row = ceil(fraction * (double)values->count);
        if (!walk_to(&walk, row < 1 ? 0 : (uint64_t)row - 1))
            return error_set(call->error, ERRCODE_INTERNAL_ERROR, "percentile ran past its values");
        *out = walk.args[value];
        return true;
    }
    double position = fraction * (double)(values->count - 1);
    uint64_t low = (uint64_t)floor(position), high = (uint64_t)ceil(position);
    if (!walk_to(&walk, low))
        return error_set(call->error, ERRCODE_INTERNAL_ERROR, "percentile ran past its values");
    struct datum first = walk.args[value];
    if (low == high) {
        *out = first;
        return true;
    }
    if (!walk_to(&walk, high))
        return error_set(call->error, ERRCODE_INTERNAL_ERROR, "percentile ran past its values");
    return interpolate(call, &first, &walk.args[value], position - (double)low, out);
}

/* All values of a group, so that several fractions can be looked up in any order. */
struct value_list {
    struct datum *items;
    int64_t *counts;
    uint32_t count, at;
};

static bool list_next(struct agg_values *values, struct datum *args, int64_t *count)
{
    struct value_list *list = values->state;
    if (list->at == list->count)
        return false;
    args[0] = args[1] = list->items[list->at];
    *count = list->counts[list->at++];
    return true;
}

static bool percentile_array(struct agg_call *call, struct agg_values *values, bool is_continuous,
                             struct datum *result)
{
    struct value_list list = {0};
    uint32_t cap = 0, counts_cap = 0, counts_count = 0;
    struct datum args[1 + CALL_ARGS_MAX];
    struct datum fractions = datum_null();
    int64_t copies;
    uint64_t total = values->count;
    while (values->next(values, args, &copies)) {
        if (fractions.is_null)
            fractions = args[0];
        ARENA_PUSH(call->arena, list.items, list.count, cap, args[1]);
        ARENA_PUSH(call->arena, list.counts, counts_count, counts_cap, copies);
    }
    struct array_view view;
    array_open(&fractions.var, &view);
    struct datum *out = arena_alloc(call->arena, sizeof(*out) * (view.count + 1));
    const uint8_t *cursor = view.elements;
    struct datum fraction;
    for (uint32_t i = 0; array_next(&view, &cursor, &fraction); i++) {
        out[i] = datum_null();
        if (fraction.is_null)
            continue;
        list.at = 0;
        struct agg_values again = {.next = list_next, .count = total, .state = &list};
        if (!percentile_at(call, &again, fraction.f64, is_continuous, &out[i]))
            return false;
    }
    uint32_t element = type_find(call->result_type.oid)->element_oid;
    *result = (struct datum){
        .var = array_make_dims(call->arena, element, out, view.ndim, view.lengths, view.lower_bounds)};
    return true;
}

static bool percentile_collect(struct agg_call *call, struct agg_values *values, struct datum *result,
                               bool is_continuous)
{
    *result = datum_null();
    if (values->count == 0)
        return true;
    struct datum args[1 + CALL_ARGS_MAX];
    if (type_is_array(call->arg_types[0].oid))
        return percentile_array(call, values, is_continuous, result);
    /* Every row carries the fraction: look at the last one, then walk from the start. */
    if (!values->last(values, args))
        return true;
    return percentile_at(call, values, args[0].f64, is_continuous, result);
}

static bool percentile_cont_collect(struct agg_call *call, struct agg_values *values, struct datum *result)
{
    return percentile_collect(call, values, result, true);
}

static bool percentile_disc_collect(struct agg_call *call, struct agg_values *values, struct datum *result)
{
    return percentile_collect(call, values, result, false);
}

/* Most frequent value; the first in order among equals. Copies that are equal but not identical count
 * together. */
static bool mode_collect(struct agg_call *call, struct agg_values *values, struct datum *result)
{
    struct datum args[1 + CALL_ARGS_MAX];
    struct datum run = datum_null();
    int64_t copies, run_count = 0, best = 0;
    *result = datum_null();
    uint32_t oid = call->arg_types[0].oid;
    while (values->next(values, args, &copies)) {
        if (run.is_null || type_compare(oid, &run, &args[0]) != 0) {
            run = args[0];
            run_count = 0;
        }
        run_count += copies;
        if (run_count > best) {
            best = run_count;
            *result = run;
        }
    }
    return true;
}

#define FLAGS (AGG_ORDERED | AGG_ORDERED_SET)

const struct aggregate_row agg_ordered_set_rows[] = {
    {"percentile_cont", "float8,float8", "float8", "value at a fraction of the order, interpolated", FLAGS, 0,
     NULL, NULL, NULL, percentile_cont_collect},
    {"percentile_cont", "float8,interval", "interval", "value at a fraction of the order, interpolated",
     FLAGS, 0, NULL, NULL, NULL, percentile_cont_collect},
    {"percentile_cont", "float8[],float8", "float8[]", "values at fractions of the order, interpolated",
     FLAGS, 0, NULL, NULL, NULL, percentile_cont_collect},
    {"percentile_disc", "float8,anyelement", "anyelement", "first value at or behind a fraction of the order",
     FLAGS, 0, NULL, NULL, NULL, percentile_disc_collect},
    {"percentile_disc", "float8[],anyelement", "anyarray", "first values at or behind fractions of the order",
     FLAGS, 0, NULL, NULL, NULL, percentile_disc_collect},
    {"mode", "anyelement", "anyelement", "most frequent value", FLAGS, 0, NULL, NULL, NULL, mode_collect},
};
const size_t agg_ordered_set_rows_count = ARRAY_COUNT(agg_ordered_set_rows);
