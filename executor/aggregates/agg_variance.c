/* agg_variance.c: variance and standard deviation.
 *
 * Integers and numerics: exact sums of x and x^2, then numeric arithmetic with PostgreSQL's scales. Floats:
 * exact sums as well, rounded once at the end. */
#include "executor/aggregates/agg_decimal.h"
#include "executor/aggregates/agg_exact_float.h"
#include "executor/aggregates/agg_tables.h"

#include <math.h>

enum variance_kind { IS_SAMPLE = 1, IS_STDDEV = 2 };

/* ---- integers and numeric ---- */

struct decimal_variance {
    struct decimal_sum x, xx;
};

static void variance_numeric_add(struct agg_call *call, const struct column *args, const uint32_t *selection,
                                 uint32_t count, const int64_t *weights, void *const *states)
{
    const struct varlen *values = args[0].data;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = AGG_ROW(i);
        struct decimal_variance *state = states[i];
        decimal_sum_add(&state->x, call->heap, &values[row], AGG_WEIGHT(row));
        decimal_sum_add_square(&state->xx, call->heap, &values[row], AGG_WEIGHT(row));
    }
}

#define VARIANCE_INT_ADD(name, type)                                                                         \
    static void name(struct agg_call *call, const struct column *args, const uint32_t *selection,            \
                     uint32_t count, const int64_t *weights, void *const *states)                            \
    {                                                                                                        \
        const type *values = args[0].data;                                                                   \
        for (uint32_t i = 0; i < count; i++) {                                                               \
            uint32_t row = AGG_ROW(i);                                                                       \
            int64_t weight = AGG_WEIGHT(row);                                                                \
            struct decimal_variance *state = states[i];                                                      \
            state->x.count += weight;                                                                        \
            decimal_sum_add_integer(&state->x, call->heap, values[row], weight);                             \
            decimal_sum_add_integer(&state->xx, call->heap, (__int128)values[row] * values[row], weight);    \
        }                                                                                                    \
    }

VARIANCE_INT_ADD(variance_int2_add, int16_t)
VARIANCE_INT_ADD(variance_int4_add, int32_t)
VARIANCE_INT_ADD(variance_int8_add, int64_t)

static void variance_decimal_merge(struct agg_call *call, void *const *wholes, void *const *parts,
                                   uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct decimal_variance *whole = wholes[i];
        const struct decimal_variance *part = parts[i];
        decimal_sum_merge(&whole->x, call->heap, &part->x);
        decimal_sum_merge(&whole->xx, call->heap, &part->xx);
    }
}

static void variance_decimal_release(struct agg_call *call, void *state)
{
    struct decimal_variance *variance = state;
    decimal_sum_release(&variance->x, call->heap);
    decimal_sum_release(&variance->xx, call->heap);
}

static void variance_decimal_save(const struct agg_call *call, const void *state, struct strbuf *out)
{
    const struct decimal_variance *variance = state;
    (void)call;
    decimal_sum_save(&variance->x, out);
    decimal_sum_save(&variance->xx, out);
}

static bool variance_decimal_load(struct agg_call *call, void *state, const uint8_t *bytes, size_t len)
{
    struct decimal_variance *variance = state;
    struct agg_saved from = {bytes, bytes + len};
    return decimal_sum_load(&variance->x, call->heap, &from) &&
           decimal_sum_load(&variance->xx, call->heap, &from) && from.at == from.end;
}

/* Square root at the value's own scale, rounded half up. */
static bool square_root(struct arena *arena, const struct varlen *value, struct varlen *out,
                        struct error *err)
{
    mpz_t number, root, rest;
    mpz_init(number);
    mpz_init(root);
    mpz_init(rest);
    int32_t scale = agg_numeric_load(value, number);
    mpz_ui_pow_ui(root, 10, (unsigned long)scale);
    mpz_mul(number, number,
            root); /* coefficient * 10^scale = (value * 10^scale)^2 / value ... its root has `scale` digits */
    mpz_sqrtrem(root, rest, number);
    if (mpz_cmp(rest, root) > 0)
        mpz_add_ui(root, root, 1);
    bool done = agg_numeric_store(arena, root, scale, out, err);
    mpz_clear(rest);
    mpz_clear(root);
    mpz_clear(number);
    return done;
}

/* (N * sum x^2 - (sum x)^2) / (N * N or N * (N - 1)), as PostgreSQL's numeric_stddev_internal scales it. */
static bool variance_decimal(struct agg_call *call, const struct decimal_variance *state, int kind,
                             struct varlen *out)
{
    struct arena *arena = call->arena;
    struct error *err = call->error;
    if (decimal_sum_is_special(&state->x)) {
        *out = agg_numeric_nan();
        return true;
    }
    int32_t scale = decimal_sum_scale(&state->x);
    struct varlen x, xx, square, scaled, numerator, denominator;
    struct varlen rows = numeric_from_i64(arena, state->x.count);
    struct varlen others = numeric_from_i64(arena, state->x.count - ((kind & IS_SAMPLE) != 0));
    if (!decimal_sum_value(&state->x, scale, arena, &x, err) ||
        !decimal_sum_value(&state->xx, scale * 2, arena, &xx, err) ||
        !numeric_mul(arena, &x, &x, &square, err) || !numeric_mul(arena, &rows, &xx, &scaled, err) ||
        !numeric_sub(arena, &scaled, &square, &numerator, err) ||
        !numeric_mul(arena, &rows, &others, &denominator, err))
        return false;
    if (numeric_sign(&numerator) <= 0) {
        *out = numeric_from_i64(arena, 0);
        return true;
    }
    if (!numeric_div(arena, &numerator, &denominator, out, err))
        return false;
    return (kind & IS_STDDEV) == 0 || square_root(arena, out, out, err);
}

static void variance_decimal_finish(struct agg_call *call, void *const *states, uint32_t count,
                                    struct column *result, int kind)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct decimal_variance *state = states[i];
        struct varlen value;
        if (state->x.count <= ((kind & IS_SAMPLE) != 0 ? 1 : 0) ||
            !variance_decimal(call, state, kind, &value))
            agg_null(result, i);
        else
            agg_set_numeric(result, i, value);
    }
}

/* ---- floats ---- */

struct float_variance {
    int64_t count;
    struct float_sum x, xx;
};

#define VARIANCE_FLOAT_ADD(name, type)                                                                       \
    static void name(struct agg_call *call, const struct column *args, const uint32_t *selection,            \
                     uint32_t count, const int64_t *weights, void *const *states)                            \
    {                                                                                                        \
        const type *values = args[0].data;                                                                   \
        for (uint32_t i = 0; i < count; i++) {                                                               \
            uint32_t row = AGG_ROW(i);                                                                       \
            int64_t weight = AGG_WEIGHT(row);                                                                \
            double value = values[row];                                                                      \
            struct float_variance *state = states[i];                                                        \
            state->count += weight;                                                                          \
            float_sum_add(&state->x, call->heap, value, weight);                                             \
            if (isfinite(value))                                                                             \
                float_sum_add_product(&state->xx, call->heap, value, value, weight);                         \
        }                                                                                                    \
    }

VARIANCE_FLOAT_ADD(variance_float4_add, float)
VARIANCE_FLOAT_ADD(variance_float8_add, double)

static void variance_float_merge(struct agg_call *call, void *const *wholes, void *const *parts,
                                 uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct float_variance *whole = wholes[i];
        const struct float_variance *part = parts[i];
        whole->count += part->count;
        float_sum_merge(&whole->x, call->heap, &part->x);
        float_sum_merge(&whole->xx, call->heap, &part->xx);
    }
}

static void variance_float_release(struct agg_call *call, void *state)
{
    struct float_variance *variance = state;
    float_sum_release(&variance->x, call->heap);
    float_sum_release(&variance->xx, call->heap);
}

static void variance_float_save(const struct agg_call *call, const void *state, struct strbuf *out)
{
    const struct float_variance *variance = state;
    (void)call;
    agg_save_i64(out, variance->count);
    float_sum_save(&variance->x, out);
    float_sum_save(&variance->xx, out);
}

static bool variance_float_load(struct agg_call *call, void *state, const uint8_t *bytes, size_t len)
{
    struct float_variance *variance = state;
    struct agg_saved from = {bytes, bytes + len};
    return agg_load_i64(&from, &variance->count) && float_sum_load_saved(&variance->x, call->heap, &from) &&
           float_sum_load_saved(&variance->xx, call->heap, &from) && from.at == from.end;
}

static double variance_float(const struct float_variance *state, int kind)
{
    if (float_sum_is_special(&state->x))
        return NAN;
    mpz_t x, xx, rows, denominator;
    mpz_init(x);
    mpz_init(xx);
    mpz_init_set_si(rows, state->count);
    mpz_init_set_si(denominator, state->count - ((kind & IS_SAMPLE) != 0));
    mpz_mul(denominator, denominator, rows);
    int64_t unit = 2 * float_sum_load(&state->x, x), unit_xx = float_sum_load(&state->xx, xx);
    mpz_mul(x, x, x);
    mpz_mul(xx, xx, rows);
    if (mpz_sgn(xx) == 0)
        unit_xx = unit;
    if (unit_xx > unit) {
        mpz_mul_2exp(xx, xx, (mp_bitcnt_t)(unit_xx - unit));
    } else {
        mpz_mul_2exp(x, x, (mp_bitcnt_t)(unit - unit_xx));
        unit = unit_xx;
    }
    mpz_sub(xx, xx, x);
    double result = mpz_sgn(xx) <= 0 ? 0 : float_ratio(xx, denominator, unit);
    mpz_clear(denominator);
    mpz_clear(rows);
    mpz_clear(xx);
    mpz_clear(x);
    return (kind & IS_STDDEV) != 0 ? sqrt(result) : result;
}

static void variance_float_finish(struct agg_call *call, void *const *states, uint32_t count,
                                  struct column *result, int kind)
{
    double *out = result->data;
    for (uint32_t i = 0; i < count; i++) {
        const struct float_variance *state = states[i];
        if (state->count <= ((kind & IS_SAMPLE) != 0 ? 1 : 0))
            agg_null(result, i);
        else
            out[i] = variance_float(state, kind);
    }
}

#define VARIANCE_FINISH(name, kind)                                                                          \
    static void name##_decimal(struct agg_call *call, void *const *states, uint32_t count,                   \
                               struct column *result)                                                        \
    {                                                                                                        \
        variance_decimal_finish(call, states, count, result, kind);                                          \
    }                                                                                                        \
    static void name##_float(struct agg_call *call, void *const *states, uint32_t count,                     \
                             struct column *result)                                                          \
    {                                                                                                        \
        variance_float_finish(call, states, count, result, kind);                                            \
    }

VARIANCE_FINISH(var_pop, 0)
VARIANCE_FINISH(var_samp, IS_SAMPLE)
VARIANCE_FINISH(stddev_pop, IS_STDDEV)
VARIANCE_FINISH(stddev_samp, IS_SAMPLE | IS_STDDEV)

#define DECIMAL_ROW(name, kernels, type, help)                                                               \
    {                                                                                                        \
        name, #type, "numeric", help, 0, sizeof(struct decimal_variance), variance_##type##_add,             \
            kernels##_decimal, variance_decimal_release, NULL, variance_decimal_merge,                       \
            variance_decimal_save, variance_decimal_load                                                     \
    }
#define FLOAT_ROW(name, kernels, type, help)                                                                 \
    {                                                                                                        \
        name, #type, "float8", help, 0, sizeof(struct float_variance), variance_##type##_add,                \
            kernels##_float, variance_float_release, NULL, variance_float_merge, variance_float_save,        \
            variance_float_load                                                                              \
    }
#define VARIANCE_ROWS(name, kernels, help)                                                                   \
    DECIMAL_ROW(name, kernels, int2, help), DECIMAL_ROW(name, kernels, int4, help),                          \
        DECIMAL_ROW(name, kernels, int8, help), DECIMAL_ROW(name, kernels, numeric, help),                   \
        FLOAT_ROW(name, kernels, float4, help), FLOAT_ROW(name, kernels, float8, help)

const struct aggregate_row agg_variance_rows[] = {
    VARIANCE_ROWS("variance", var_samp, "sample variance"),
    VARIANCE_ROWS("var_samp", var_samp, "sample variance"),
    VARIANCE_ROWS("var_pop", var_pop, "population variance"),
    VARIANCE_ROWS("stddev", stddev_samp, "sample standard deviation"),
    VARIANCE_ROWS("stddev_samp", stddev_samp, "sample standard deviation"),
    VARIANCE_ROWS("stddev_pop", stddev_pop, "population standard deviation"),
};
const size_t agg_variance_rows_count = ARRAY_COUNT(agg_variance_rows);
