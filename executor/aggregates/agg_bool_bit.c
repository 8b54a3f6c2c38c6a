/* agg_bool_bit.c: bool_and, bool_or, every, bit_and, bit_or, bit_xor.
 *
 * Invertible by counting: how many values are true, or how many have each bit set. */
#include "executor/aggregates/agg_tables.h"

struct bool_counts {
    int64_t count, trues;
};

static void bool_add(struct agg_call *call, const struct column *args, const uint32_t *selection,
                     uint32_t count, const int64_t *weights, void *const *states)
{
    const uint8_t *values = args[0].data;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = AGG_ROW(i);
        struct bool_counts *state = states[i];
        state->count += AGG_WEIGHT(row);
        if (values[row])
            state->trues += AGG_WEIGHT(row);
    }
}

static void bool_merge(struct agg_call *call, void *const *wholes, void *const *parts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct bool_counts *whole = wholes[i];
        const struct bool_counts *part = parts[i];
        whole->count += part->count;
        whole->trues += part->trues;
    }
}

static void bool_and_finish(struct agg_call *call, void *const *states, uint32_t count, struct column *result)
{
    uint8_t *out = result->data;
    for (uint32_t i = 0; i < count; i++) {
        const struct bool_counts *state = states[i];
        if (state->count <= 0)
            agg_null(result, i);
        else
            out[i] = state->trues == state->count;
    }
}

static void bool_or_finish(struct agg_call *call, void *const *states, uint32_t count, struct column *result)
{
    uint8_t *out = result->data;
    for (uint32_t i = 0; i < count; i++) {
        const struct bool_counts *state = states[i];
        if (state->count <= 0)
            agg_null(result, i);
        else
            out[i] = state->trues > 0;
    }
}

/* One count per bit of the type: 16, 32 or 64 of them follow. */
struct bit_counts {
    int64_t count;
    int64_t ones[];
};

static void bit_add_value(struct bit_counts *state, uint64_t value, int64_t weight)
{
    state->count += weight;
    for (; value != 0; value &= value - 1)
        state->ones[__builtin_ctzll(value)] += weight;
}

static void bit_merge(void *const *wholes, void *const *parts, uint32_t count, uint32_t bits)
{
    for (uint32_t i = 0; i < count; i++) {
        struct bit_counts *whole = wholes[i];
        const struct bit_counts *part = parts[i];
        whole->count += part->count;
        for (uint32_t b = 0; b < bits; b++)
            whole->ones[b] += part->ones[b];
    }
}

#define BIT_KERNELS(name, type, utype, bits)                                                                 \
    static void name##_add(struct agg_call *call, const struct column *args, const uint32_t *selection,      \
                           uint32_t count, const int64_t *weights, void *const *states)                      \
    {                                                                                                        \
        const type *values = args[0].data;                                                                   \
        for (uint32_t i = 0; i < count; i++) {                                                               \
            uint32_t row = AGG_ROW(i);                                                                       \
            bit_add_value(states[i], (utype)values[row], AGG_WEIGHT(row));                                   \
        }                                                                                                    \
    }                                                                                                        \
    static void name##_merge(struct agg_call *call, void *const *wholes, void *const *parts, uint32_t count) \
    {                                                                                                        \
        bit_merge(wholes, parts, count, bits);                                                               \
    }                                                                                                        \
    static void name##_and(struct agg_call *call, void *const *states, uint32_t count,                       \
                           struct column *result)                                                            \
    {                                                                                                        \
        bit_finish(states, count, result, bits, 0);                                                          \
    }                                                                                                        \
    static void name##_or(struct agg_call *call, void *const *states, uint32_t count, struct column *result) \
    {                                                                                                        \
        bit_finish(states, count, result, bits, 1);                                                          \
    }                                                                                                        \
    static void name##_xor(struct agg_call *call, void *const *states, uint32_t count,                       \
                           struct column *result)                                                            \
    {                                                                                                        \
        bit_finish(states, count, result, bits, 2);                                                          \
    }

static void bit_finish(void *const *states, uint32_t count, struct column *result, uint32_t bits, int op)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct bit_counts *state = states[i];
        if (state->count <= 0) {
            agg_null(result, i);
            continue;
        }
        uint64_t value = 0;
        for (uint32_t b = 0; b < bits; b++) {
            bool is_set = op == 0   ? state->ones[b] == state->count
                          : op == 1 ? state->ones[b] > 0
                                    : (state->ones[b] & 1) != 0;
            value |= (uint64_t)is_set << b;
        }
        if (bits == 16)
            ((int16_t *)result->data)[i] = (int16_t)(uint16_t)value;
        else if (bits == 32)
            ((int32_t *)result->data)[i] = (int32_t)(uint32_t)value;
        else
            ((int64_t *)result->data)[i] = (int64_t)value;
    }
}

BIT_KERNELS(bit16, int16_t, uint16_t, 16)
BIT_KERNELS(bit32, int32_t, uint32_t, 32)
BIT_KERNELS(bit64, int64_t, uint64_t, 64)

#define BOOL_STATE      sizeof(struct bool_counts)
#define BIT_STATE(bits) (8 * ((bits) + 1))
#define BIT_ROWS(type, kernels, bits)                                                                        \
    {"bit_and",                                                                                              \
     type,                                                                                                   \
     type,                                                                                                   \
     "bitwise AND of the values",                                                                            \
     0,                                                                                                      \
     BIT_STATE(bits),                                                                                        \
     kernels##_add,                                                                                          \
     kernels##_and,                                                                                          \
     NULL,                                                                                                   \
     NULL,                                                                                                   \
     kernels##_merge},                                                                                       \
        {"bit_or",                                                                                           \
         type,                                                                                               \
         type,                                                                                               \
         "bitwise OR of the values",                                                                         \
         0,                                                                                                  \
         BIT_STATE(bits),                                                                                    \
         kernels##_add,                                                                                      \
         kernels##_or,                                                                                       \
         NULL,                                                                                               \
         NULL,                                                                                               \
         kernels##_merge},                                                                                   \
    {                                                                                                        \
        "bit_xor", type, type, "bitwise XOR of the values", 0, BIT_STATE(bits), kernels##_add,               \
            kernels##_xor, NULL, NULL, kernels##_merge                                                       \
    }

const struct aggregate_row agg_bool_bit_rows[] = {
    {"bool_and", "bool", "bool", "true when all values are true", 0, BOOL_STATE, bool_add, bool_and_finish,
     NULL, NULL, bool_merge},
    {"every", "bool", "bool", "true when all values are true", 0, BOOL_STATE, bool_add, bool_and_finish, NULL,
     NULL, bool_merge},
    {"bool_or", "bool", "bool", "true when some value is true", 0, BOOL_STATE, bool_add, bool_or_finish, NULL,
     NULL, bool_merge},
    BIT_ROWS("int2", bit16, 16),
    BIT_ROWS("int4", bit32, 32),
    BIT_ROWS("int8", bit64, 64),
};
const size_t agg_bool_bit_rows_count = ARRAY_COUNT(agg_bool_bit_rows);
