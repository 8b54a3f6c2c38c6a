/* agg_sum.c: sum of integers, numerics and intervals. (Floats: agg_float.c.)
 *
 * Integers add up in 64 bits, and in 128 when these are full, which no number of rows can fill; sum(int2) and sum(int4) fail with 22003
 * while the total lies outside int8, and recover when it comes back. */
#include "executor/aggregates/agg_decimal.h"
#include "executor/aggregates/agg_tables.h"

/* 16 bytes while the sum fits an int8, which nearly every sum does; else it lies on the heap. */
struct int_sum {
    union {
        int64_t sum;
        struct agg_int128 *wide;
    };
    int64_t tagged; /* count of values * 2 + is it wide */
};

static inline int64_t int_sum_count(const struct int_sum *state)
{
    return state->tagged >> 1;
}

static inline __int128 int_sum_get(const struct int_sum *state)
{
    return (state->tagged & 1) != 0 ? agg_int128_get(state->wide) : state->sum;
}

static void int_sum_widen(struct agg_call *call, struct int_sum *state, __int128 term)
{
    __int128 total = int_sum_get(state) + term;
    if ((state->tagged & 1) == 0) {
        state->wide = table_heap_alloc(call->heap, sizeof(struct agg_int128));
        state->tagged |= 1;
    }
    agg_int128_set(state->wide, total);
}

static inline void int_sum_add(struct agg_call *call, struct int_sum *state, int64_t value, int64_t weight)
{
    int64_t term, sum;
    if (LIKELY((state->tagged & 1) == 0 && !__builtin_mul_overflow(value, weight, &term) &&
               !__builtin_add_overflow(state->sum, term, &sum)))
        state->sum = sum;
    else
        int_sum_widen(call, state, (__int128)value * weight);
    state->tagged += weight * 2;
}

static void sum_int_release(struct agg_call *call, void *state)
{
    struct int_sum *sum = state;
    if ((sum->tagged & 1) != 0)
        table_heap_release(call->heap, sum->wide, sizeof(struct agg_int128));
    *sum = (struct int_sum){0};
}

/* The sum, in two int64s when it is wide, and `tagged`. */
static void sum_int_save(const struct agg_call *call, const void *state, struct strbuf *out)
{
    const struct int_sum *sum = state;
    (void)call;
    if ((sum->tagged & 1) != 0) {
        agg_save_i64(out, (int64_t)sum->wide->low);
        agg_save_i64(out, sum->wide->high);
    } else {
        agg_save_i64(out, sum->sum);
    }
    agg_save_i64(out, sum->tagged);
}

static bool sum_int_load(struct agg_call *call, void *state, const uint8_t *bytes, size_t len)
{
    struct int_sum *sum = state;
    struct agg_saved from = {bytes, bytes + len};
    bool is_wide = len == 24;
    int64_t low, high = 0, tagged;
    if ((len != 16 && !is_wide) || !agg_load_i64(&from, &low) || (is_wide && !agg_load_i64(&from, &high)) ||
        !agg_load_i64(&from, &tagged) || (tagged & 1) != is_wide)
        return false;
    sum->sum = low;
    if (is_wide) {
        sum->wide = table_heap_alloc(call->heap, sizeof(struct agg_int128));
        *sum->wide = (struct agg_int128){(uint64_t)low, high};
    }
    sum->tagged = tagged;
    return true;
}

#define INT_SUM_ADD(name, type)                                                                              \
    static void name(struct agg_call *call, const struct column *args, const uint32_t *selection,            \
                     uint32_t count, const int64_t *weights, void *const *states)                            \
    {                                                                                                        \
        const type *values = args[0].data;                                                                   \
        for (uint32_t i = 0; i < count; i++) {                                                               \
            uint32_t row = AGG_ROW(i);                                                                       \
            int_sum_add(call, states[i], values[row], AGG_WEIGHT(row));                                      \
        }                                                                                                    \
    }

INT_SUM_ADD(sum_int2_add, int16_t)
INT_SUM_ADD(sum_int4_add, int32_t)
INT_SUM_ADD(sum_int8_add, int64_t)

static void sum_int_merge(struct agg_call *call, void *const *wholes, void *const *parts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct int_sum *whole = wholes[i];
        const struct int_sum *part = parts[i];
        int64_t sum;
        if (LIKELY(((whole->tagged | part->tagged) & 1) == 0 &&
                   !__builtin_add_overflow(whole->sum, part->sum, &sum)))
            whole->sum = sum;
        else
            int_sum_widen(call, whole, int_sum_get(part));
        whole->tagged += int_sum_count(part) * 2;
    }
}

static void sum_int_finish(struct agg_call *call, void *const *states, uint32_t count, struct column *result)
{
    int64_t *out = result->data;
    for (uint32_t i = 0; i < count; i++) {
        const struct int_sum *state = states[i];
        __int128 sum = int_sum_get(state);
        if (int_sum_count(state) <= 0) {
            agg_null(result, i);
        } else if (sum < INT64_MIN || sum > INT64_MAX) {
            error_set(call->error, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range");
            agg_null(result, i);
        } else {
            out[i] = (int64_t)sum;
        }
    }
}

static void sum_int8_finish(struct agg_call *call, void *const *states, uint32_t count, struct column *result)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct int_sum *state = states[i];
        if (int_sum_count(state) <= 0)
            agg_null(result, i);
        else
            agg_set_numeric(result, i, agg_numeric_from_int128(call->arena, int_sum_get(state)));
    }
}

static void avg_int_finish(struct agg_call *call, void *const *states, uint32_t count, struct column *result)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct int_sum *state = states[i];
        if (int_sum_count(state) <= 0) {
            agg_null(result, i);
            continue;
        }
        struct varlen sum = agg_numeric_from_int128(call->arena, int_sum_get(state));
        struct varlen rows = numeric_from_i64(call->arena, int_sum_count(state)), average;
        if (numeric_div(call->arena, &sum, &rows, &average, call->error))
            agg_set_numeric(result, i, average);
        else
            agg_null(result, i);
    }
}

/* ---- numeric ---- */

static void sum_numeric_add(struct agg_call *call, const struct column *args, const uint32_t *selection,
                            uint32_t count, const int64_t *weights, void *const *states)
{
    const struct varlen *values = args[0].data;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = AGG_ROW(i);
        decimal_sum_add(states[i], call->heap, &values[row], AGG_WEIGHT(row));
    }
}

static void sum_numeric_merge(struct agg_call *call, void *const *wholes, void *const *parts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        decimal_sum_merge(wholes[i], call->heap, parts[i]);
}

static void sum_numeric_release(struct agg_call *call, void *state)
{
    decimal_sum_release(state, call->heap);
}

static void sum_numeric_save(const struct agg_call *call, const void *state, struct strbuf *out)
{
    (void)call;
    decimal_sum_save(state, out);
}

static bool sum_numeric_load(struct agg_call *call, void *state, const uint8_t *bytes, size_t len)
{
    struct agg_saved from = {bytes, bytes + len};
    return decimal_sum_load(state, call->heap, &from) && from.at == from.end;
}

static void numeric_finish(struct agg_call *call, void *const *states, uint32_t count, struct column *result,
                           bool is_average)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct decimal_sum *state = states[i];
        struct varlen value;
        if (state->count <= 0) {
            agg_null(result, i);
            continue;
        }
        bool done = decimal_sum_value(state, decimal_sum_scale(state), call->arena, &value, call->error);
        if (done && is_average) {
            struct varlen rows = numeric_from_i64(call->arena, state->count);
            done = numeric_div(call->arena, &value, &rows, &value, call->error);
        }
        if (done)
            agg_set_numeric(result, i, value);
        else
            agg_null(result, i);
    }
}

static void sum_numeric_finish(struct agg_call *call, void *const *states, uint32_t count,
                               struct column *result)
{
    numeric_finish(call, states, count, result, false);
}

static void avg_numeric_finish(struct agg_call *call, void *const *states, uint32_t count,
                               struct column *result)
{
    numeric_finish(call, states, count, result, true);
}

/* ---- interval ---- */

struct interval_sum {
    struct agg_int128 us;
    int64_t days, months;
    int64_t count;
};

static void sum_interval_add(struct agg_call *call, const struct column *args, const uint32_t *selection,
                             uint32_t count, const int64_t *weights, void *const *states)
{
    const struct interval *values = args[0].data;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = AGG_ROW(i);
        int64_t weight = AGG_WEIGHT(row);
        struct interval_sum *state = states[i];
        agg_int128_set(&state->us, agg_int128_get(&state->us) + (__int128)values[row].us * weight);
        state->days += values[row].days * weight;
        state->months += values[row].months * weight;
        state->count += weight;
    }
}

static void sum_interval_merge(struct agg_call *call, void *const *wholes, void *const *parts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct interval_sum *whole = wholes[i];
        const struct interval_sum *part = parts[i];
        agg_int128_set(&whole->us, agg_int128_get(&whole->us) + agg_int128_get(&part->us));
        whole->days += part->days;
        whole->months += part->months;
        whole->count += part->count;
    }
}

static bool interval_total(struct agg_call *call, const struct interval_sum *state, struct interval *out)
{
    __int128 us = agg_int128_get(&state->us);
    if (us < INT64_MIN || us > INT64_MAX || state->days < INT32_MIN || state->days > INT32_MAX ||
        state->months < INT32_MIN || state->months > INT32_MAX)
        return error_set(call->error, ERRCODE_DATETIME_FIELD_OVERFLOW, "interval out of range");
    *out =
        (struct interval){.us = (int64_t)us, .days = (int32_t)state->days, .months = (int32_t)state->months};
    return true;
}

static double round_to_us(double seconds)
{
    return __builtin_rint(seconds * 1000000.0) / 1000000.0;
}

/* As interval / float8: fractions of months become days of 30 per month, fractions of days become time. */
static bool interval_divide(struct agg_call *call, const struct interval *sum, double divisor,
                            struct interval *out)
{
    double months = sum->months / divisor, days = sum->days / divisor;
    if (months < INT32_MIN || months > INT32_MAX || days < INT32_MIN || days > INT32_MAX)
        return error_set(call->error, ERRCODE_DATETIME_FIELD_OVERFLOW, "interval out of range");
    out->months = (int32_t)months;
    out->days = (int32_t)days;
    double month_days = round_to_us((months - out->months) * 30);
    double seconds = round_to_us((days - out->days + month_days - (int32_t)month_days) * 86400);
    if (__builtin_fabs(seconds) >= 86400) {
        out->days += (int32_t)(seconds / 86400);
        seconds -= (int32_t)(seconds / 86400) * 86400.0;
    }
    out->days += (int32_t)month_days;
    double us = __builtin_rint((double)sum->us / divisor + seconds * 1000000.0);
    if (!(us >= -9223372036854775808.0 && us < 9223372036854775808.0))
        return error_set(call->error, ERRCODE_DATETIME_FIELD_OVERFLOW, "interval out of range");
    out->us = (int64_t)us;
    return true;
}

static void interval_finish(struct agg_call *call, void *const *states, uint32_t count, struct column *result,
                            bool is_average)
{
    struct interval *out = result->data;
    for (uint32_t i = 0; i < count; i++) {
        const struct interval_sum *state = states[i];
        struct interval total;
        if (state->count <= 0 || !interval_total(call, state, &total))
            agg_null(result, i);
        else if (!is_average)
            out[i] = total;
        else if (!interval_divide(call, &total, (double)state->count, &out[i]))
            agg_null(result, i);
    }
}

static void sum_interval_finish(struct agg_call *call, void *const *states, uint32_t count,
                                struct column *result)
{
    interval_finish(call, states, count, result, false);
}

static void avg_interval_finish(struct agg_call *call, void *const *states, uint32_t count,
                                struct column *result)
{
    interval_finish(call, states, count, result, true);
}

#define INT_STATE      sizeof(struct int_sum)
#define DECIMAL_STATE  sizeof(struct decimal_sum)
#define INTERVAL_STATE sizeof(struct interval_sum)

const struct aggregate_row agg_sum_rows[] = {
    {"sum", "int2", "int8", "sum of the values", 0, INT_STATE, sum_int2_add, sum_int_finish, sum_int_release,
     NULL, sum_int_merge, sum_int_save, sum_int_load},
    {"sum", "int4", "int8", "sum of the values", 0, INT_STATE, sum_int4_add, sum_int_finish, sum_int_release,
     NULL, sum_int_merge, sum_int_save, sum_int_load},
    {"sum", "int8", "numeric", "sum of the values", 0, INT_STATE, sum_int8_add, sum_int8_finish,
     sum_int_release, NULL, sum_int_merge, sum_int_save, sum_int_load},
    {"sum", "numeric", "numeric", "sum of the values", 0, DECIMAL_STATE, sum_numeric_add, sum_numeric_finish,
     sum_numeric_release, NULL, sum_numeric_merge, sum_numeric_save, sum_numeric_load},
    {"sum", "interval", "interval", "sum of the values", 0, INTERVAL_STATE, sum_interval_add,
     sum_interval_finish, NULL, NULL, sum_interval_merge},
};
const size_t agg_sum_rows_count = ARRAY_COUNT(agg_sum_rows);

const struct aggregate_row agg_avg_rows[] = {
    {"avg", "int2", "numeric", "average of the values", 0, INT_STATE, sum_int2_add, avg_int_finish,
     sum_int_release, NULL, sum_int_merge, sum_int_save, sum_int_load},
    {"avg", "int4", "numeric", "average of the values", 0, INT_STATE, sum_int4_add, avg_int_finish,
     sum_int_release, NULL, sum_int_merge, sum_int_save, sum_int_load},
    {"avg", "int8", "numeric", "average of the values", 0, INT_STATE, sum_int8_add, avg_int_finish,
     sum_int_release, NULL, sum_int_merge, sum_int_save, sum_int_load},
    {"avg", "numeric", "numeric", "average of the values", 0, DECIMAL_STATE, sum_numeric_add,
     avg_numeric_finish, sum_numeric_release, NULL, sum_numeric_merge, sum_numeric_save, sum_numeric_load},
    {"avg", "interval", "interval", "average of the values", 0, INTERVAL_STATE, sum_interval_add,
     avg_interval_finish, NULL, NULL, sum_interval_merge},
};
const size_t agg_avg_rows_count = ARRAY_COUNT(agg_avg_rows);
