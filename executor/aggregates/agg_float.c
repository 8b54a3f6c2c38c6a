/* agg_float.c: sum and avg of real and double precision: exact inside, rounded once.
 *
 * A result that overflows although no infinity went in fails with 22003, and recovers. The sum of nothing but
 * negative zeros is a negative zero. */
#include "executor/aggregates/agg_exact_float.h"
#include "executor/aggregates/agg_tables.h"

#include <math.h>

struct float_state {
    int64_t count;
    int64_t minus_zeros;
    struct float_sum sum;
};

#define FLOAT_ADD(name, type)                                                                                \
    static void name(struct agg_call *call, const struct column *args, const uint32_t *selection,            \
                     uint32_t count, const int64_t *weights, void *const *states)                            \
    {                                                                                                        \
        const type *values = args[0].data;                                                                   \
        for (uint32_t i = 0; i < count; i++) {                                                               \
            uint32_t row = AGG_ROW(i);                                                                       \
            int64_t weight = AGG_WEIGHT(row);                                                                \
            struct float_state *state = states[i];                                                           \
            state->count += weight;                                                                          \
            if (values[row] == 0)                                                                            \
                state->minus_zeros += signbit(values[row]) ? weight : 0;                                     \
            else                                                                                             \
                float_sum_add(&state->sum, call->heap, values[row], weight);                                 \
        }                                                                                                    \
    }

FLOAT_ADD(float4_add, float)
FLOAT_ADD(float8_add, double)

static bool overflow(struct agg_call *call)
{
    return error_set(call->error, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow");
}

/* The sum as a double; 22003 when finite values add up to an infinite one. */
static double rounded_sum(struct agg_call *call, const struct float_state *state)
{
    double sum = float_sum_round(&state->sum);
    if (isinf(sum) && !float_sum_is_special(&state->sum))
        overflow(call);
    return sum;
}

static void sum_float8_finish(struct agg_call *call, void *const *states, uint32_t count,
                              struct column *result)
{
    double *out = result->data;
    for (uint32_t i = 0; i < count; i++) {
        const struct float_state *state = states[i];
        if (state->count <= 0) {
            agg_null(result, i);
            continue;
        }
        out[i] = state->minus_zeros == state->count ? -0.0 : rounded_sum(call, state);
    }
}

static void sum_float4_finish(struct agg_call *call, void *const *states, uint32_t count,
                              struct column *result)
{
    float *out = result->data;
    for (uint32_t i = 0; i < count; i++) {
        const struct float_state *state = states[i];
        if (state->count <= 0) {
            agg_null(result, i);
            continue;
        }
        out[i] = float_sum_round_f32(&state->sum);
        if (isinf(out[i]) && !float_sum_is_special(&state->sum))
            overflow(call);
        if (state->minus_zeros == state->count)
            out[i] = -0.0f;
    }
}

static void avg_float_finish(struct agg_call *call, void *const *states, uint32_t count,
                             struct column *result)
{
    double *out = result->data;
    for (uint32_t i = 0; i < count; i++) {
        const struct float_state *state = states[i];
        if (state->count <= 0) {
            agg_null(result, i);
            continue;
        }
        out[i] = rounded_sum(call, state) / (double)state->count;
    }
}

static void float_merge(struct agg_call *call, void *const *wholes, void *const *parts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct float_state *whole = wholes[i];
        const struct float_state *part = parts[i];
        whole->count += part->count;
        whole->minus_zeros += part->minus_zeros;
        float_sum_merge(&whole->sum, call->heap, &part->sum);
    }
}

static void float_release(struct agg_call *call, void *state)
{
    float_sum_release(&((struct float_state *)state)->sum, call->heap);
}

static void float_save(const struct agg_call *call, const void *state, struct strbuf *out)
{
    const struct float_state *of = state;
    (void)call;
    agg_save_i64(out, of->count);
    agg_save_i64(out, of->minus_zeros);
    float_sum_save(&of->sum, out);
}

static bool float_load(struct agg_call *call, void *state, const uint8_t *bytes, size_t len)
{
    struct float_state *of = state;
    struct agg_saved from = {bytes, bytes + len};
    return agg_load_i64(&from, &of->count) && agg_load_i64(&from, &of->minus_zeros) &&
           float_sum_load_saved(&of->sum, call->heap, &from) && from.at == from.end;
}

#define STATE sizeof(struct float_state)

const struct aggregate_row agg_float_rows[] = {
    {"sum", "float4", "float4", "sum of the values", 0, STATE, float4_add, sum_float4_finish, float_release,
     NULL, float_merge, float_save, float_load},
    {"sum", "float8", "float8", "sum of the values", 0, STATE, float8_add, sum_float8_finish, float_release,
     NULL, float_merge, float_save, float_load},
    {"avg", "float4", "float8", "average of the values", 0, STATE, float4_add, avg_float_finish,
     float_release, NULL, float_merge, float_save, float_load},
    {"avg", "float8", "float8", "average of the values", 0, STATE, float8_add, avg_float_finish,
     float_release, NULL, float_merge, float_save, float_load},
};
const size_t agg_float_rows_count = ARRAY_COUNT(agg_float_rows);
