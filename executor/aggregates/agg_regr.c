/* agg_regr.c: covariance, correlation and linear regression of pairs (Y, X), over exact sums.
 *
 * The centred sums are N * Sxy - Sx * Sy and so on, computed without rounding and divided by N at the end;
 * what follows is PostgreSQL's arithmetic on doubles. A NaN or infinity among the values makes every result
 * that uses them NaN. */
#include "executor/aggregates/agg_exact_float.h"
#include "executor/aggregates/agg_tables.h"

#include <math.h>

struct regr_state {
    int64_t count;
    struct float_sum x, y, xx, yy, xy;
};

static void regr_add(struct agg_call *call, const struct column *args, const uint32_t *selection,
                     uint32_t count, const int64_t *weights, void *const *states)
{
    const double *ys = args[0].data, *xs = args[1].data;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = AGG_ROW(i);
        int64_t weight = AGG_WEIGHT(row);
        struct regr_state *state = states[i];
        double x = xs[row], y = ys[row];
        state->count += weight;
        float_sum_add(&state->x, call->heap, x, weight);
        float_sum_add(&state->y, call->heap, y, weight);
        if (isfinite(x))
            float_sum_add_product(&state->xx, call->heap, x, x, weight);
        if (isfinite(y))
            float_sum_add_product(&state->yy, call->heap, y, y, weight);
        if (isfinite(x) && isfinite(y))
            float_sum_add_product(&state->xy, call->heap, x, y, weight);
    }
}

static void regr_count_add(struct agg_call *call, const struct column *args, const uint32_t *selection,
                           uint32_t count, const int64_t *weights, void *const *states)
{
    for (uint32_t i = 0; i < count; i++)
        *(int64_t *)states[i] += AGG_WEIGHT(AGG_ROW(i));
}

static void regr_count_finish(struct agg_call *call, void *const *states, uint32_t count,
                              struct column *result)
{
    int64_t *out = result->data;
    for (uint32_t i = 0; i < count; i++)
        out[i] = *(const int64_t *)states[i];
}

static void regr_count_merge(struct agg_call *call, void *const *wholes, void *const *parts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        *(int64_t *)wholes[i] += *(const int64_t *)parts[i];
}

static void regr_merge(struct agg_call *call, void *const *wholes, void *const *parts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct regr_state *whole = wholes[i];
        const struct regr_state *part = parts[i];
        whole->count += part->count;
        float_sum_merge(&whole->x, call->heap, &part->x);
        float_sum_merge(&whole->y, call->heap, &part->y);
        float_sum_merge(&whole->xx, call->heap, &part->xx);
        float_sum_merge(&whole->yy, call->heap, &part->yy);
        float_sum_merge(&whole->xy, call->heap, &part->xy);
    }
}

static void regr_release(struct agg_call *call, void *state)
{
    struct regr_state *regr = state;
    struct float_sum *sums[] = {&regr->x, &regr->y, &regr->xx, &regr->yy, &regr->xy};
    for (uint32_t i = 0; i < ARRAY_COUNT(sums); i++)
        float_sum_release(sums[i], call->heap);
}

static void regr_save(const struct agg_call *call, const void *state, struct strbuf *out)
{
    const struct regr_state *regr = state;
    const struct float_sum *sums[] = {&regr->x, &regr->y, &regr->xx, &regr->yy, &regr->xy};
    (void)call;
    agg_save_i64(out, regr->count);
    for (uint32_t i = 0; i < ARRAY_COUNT(sums); i++)
        float_sum_save(sums[i], out);
}

static bool regr_load(struct agg_call *call, void *state, const uint8_t *bytes, size_t len)
{
    struct regr_state *regr = state;
    struct float_sum *sums[] = {&regr->x, &regr->y, &regr->xx, &regr->yy, &regr->xy};
    struct agg_saved from = {bytes, bytes + len};
    bool ok = agg_load_i64(&from, &regr->count);
    for (uint32_t i = 0; i < ARRAY_COUNT(sums); i++)
        ok = ok && float_sum_load_saved(sums[i], call->heap, &from);
    return ok && from.at == from.end;
}

/* Sum of (a - mean a) * (b - mean b). */
static double centred(const struct regr_state *state, const struct float_sum *ab, const struct float_sum *a,
                      const struct float_sum *b)
{
    if (float_sum_is_special(a) || float_sum_is_special(b))
        return NAN;
    mpz_t products, sum_a, sum_b, rows;
    mpz_init(products);
    mpz_init(sum_a);
    mpz_init(sum_b);
    mpz_init_set_si(rows, state->count);
    int64_t unit_ab = float_sum_load(ab, products);
    int64_t unit = float_sum_load(a, sum_a) + float_sum_load(b, sum_b);
    mpz_mul(products, products, rows);
    mpz_mul(sum_a, sum_a, sum_b);
    if (mpz_sgn(products) == 0)
        unit_ab = unit;
    if (unit_ab > unit) {
        mpz_mul_2exp(products, products, (mp_bitcnt_t)(unit_ab - unit));
    } else {
        mpz_mul_2exp(sum_a, sum_a, (mp_bitcnt_t)(unit - unit_ab));
        unit = unit_ab;
    }
    mpz_sub(products, products, sum_a);
    double result = float_ratio(products, rows, unit);
    mpz_clear(rows);
    mpz_clear(sum_b);
    mpz_clear(sum_a);
    mpz_clear(products);
    return result;
}

static double sxx(const struct regr_state *state)
{
    return centred(state, &state->xx, &state->x, &state->x);
}
static double syy(const struct regr_state *state)
{
    return centred(state, &state->yy, &state->y, &state->y);
}
static double sxy(const struct regr_state *state)
{
    return centred(state, &state->xy, &state->x, &state->y);
}

/* false: NULL. */
static bool regr_sxx(const struct regr_state *state, double *out)
{
    *out = sxx(state);
    return true;
}
static bool regr_syy(const struct regr_state *state, double *out)
{
    *out = syy(state);
    return true;
}
static bool regr_sxy(const struct regr_state *state, double *out)
{
    *out = sxy(state);
    return true;
}
static bool regr_avgx(const struct regr_state *state, double *out)
{
    *out = float_sum_round(&state->x) / (double)state->count;
    return true;
}
static bool regr_avgy(const struct regr_state *state, double *out)
{
    *out = float_sum_round(&state->y) / (double)state->count;
    return true;
}
static bool covar_pop(const struct regr_state *state, double *out)
{
    *out = sxy(state) / (double)state->count;
    return true;
}
static bool covar_samp(const struct regr_state *state, double *out)
{
    if (state->count < 2)
        return false;
    *out = sxy(state) / (double)(state->count - 1);
    return true;
}
static bool corr(const struct regr_state *state, double *out)
{
    double x = sxx(state), y = syy(state);
    if (x == 0 || y == 0)
        return false;
    *out = sxy(state) / sqrt(x * y);
    return true;
}
static bool regr_r2(const struct regr_state *state, double *out)
{
    double x = sxx(state), y = syy(state);
    if (x == 0)
        return false;
    double xy = sxy(state);
    *out = y == 0 ? 1.0 : (xy * xy) / (x * y);
    return true;
}
static bool regr_slope(const struct regr_state *state, double *out)
{
    double x = sxx(state);
    if (x == 0)
        return false;
    *out = sxy(state) / x;
    return true;
}
static bool regr_intercept(const struct regr_state *state, double *out)
{
    double x = sxx(state);
    if (x == 0)
        return false;
    *out = (float_sum_round(&state->y) - float_sum_round(&state->x) * sxy(state) / x) / (double)state->count;
    return true;
}

#define REGR_FINISH(name)                                                                                    \
    static void name##_finish(struct agg_call *call, void *const *states, uint32_t count,                    \
                              struct column *result)                                                         \
    {                                                                                                        \
        double *out = result->data;                                                                          \
        for (uint32_t i = 0; i < count; i++) {                                                               \
            const struct regr_state *state = states[i];                                                      \
            if (state->count < 1 || !name(state, &out[i]))                                                   \
                agg_null(result, i);                                                                         \
        }                                                                                                    \
    }

REGR_FINISH(regr_sxx)
REGR_FINISH(regr_syy)
REGR_FINISH(regr_sxy)
REGR_FINISH(regr_avgx)
REGR_FINISH(regr_avgy)
REGR_FINISH(covar_pop)
REGR_FINISH(covar_samp)
REGR_FINISH(corr)
REGR_FINISH(regr_r2)
REGR_FINISH(regr_slope)
REGR_FINISH(regr_intercept)

#define REGR_ROW(name, help)                                                                                 \
    {                                                                                                        \
#name, "float8,float8", "float8", help, 0, sizeof(struct regr_state), regr_add, name##_finish,       \
            regr_release, NULL, regr_merge, regr_save, regr_load                                             \
    }

const struct aggregate_row agg_regr_rows[] = {
    {"regr_count", "float8,float8", "int8", "number of pairs without NULL", AGG_COUNTS, 8, regr_count_add,
     regr_count_finish, NULL, NULL, regr_count_merge},
    REGR_ROW(regr_sxx, "sum of squares of X around its average"),
    REGR_ROW(regr_syy, "sum of squares of Y around its average"),
    REGR_ROW(regr_sxy, "sum of products of X and Y around their averages"),
    REGR_ROW(regr_avgx, "average of X"),
    REGR_ROW(regr_avgy, "average of Y"),
    REGR_ROW(covar_pop, "population covariance"),
    REGR_ROW(covar_samp, "sample covariance"),
    REGR_ROW(corr, "correlation coefficient"),
    REGR_ROW(regr_r2, "square of the correlation coefficient"),
    REGR_ROW(regr_slope, "slope of the least-squares line"),
    REGR_ROW(regr_intercept, "where the least-squares line crosses the Y axis"),
};
const size_t agg_regr_rows_count = ARRAY_COUNT(agg_regr_rows);
