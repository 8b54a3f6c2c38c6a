/* agg_common.h: what aggregate kernels share. Internal to this folder.
 *
 * Kernels are plain loops: the operator has removed NULL arguments and rows that FILTER refuses. `weights`
 * stands by row number, like the columns; states[i] belongs to the i-th selected row. A state of zero bytes
 * is empty. Results: the caller has allocated data and nulls of the result column. */
#ifndef MILLRACE_AGGREGATES_AGG_COMMON_H
#define MILLRACE_AGGREGATES_AGG_COMMON_H

#include "executor/aggregate.h"
#include "executor/function.h"

#define AGG_ROW(i)      (selection != NULL ? selection[i] : (i))
#define AGG_WEIGHT(row) (weights != NULL ? weights[row] : 1)

/* A 128-bit integer in a state, whose alignment is 8. */
struct agg_int128 {
    uint64_t low;
    int64_t high;
};

static inline __int128 agg_int128_get(const struct agg_int128 *value)
{
    return (__int128)(((unsigned __int128)(uint64_t)value->high << 64) | value->low);
}

static inline void agg_int128_set(struct agg_int128 *value, __int128 number)
{
    value->low = (uint64_t)number;
    value->high = (int64_t)(number >> 64);
}

static inline void agg_null(struct column *result, uint32_t row)
{
    result->nulls[row] = 1;
    memset((uint8_t *)result->data + (size_t)row * phys_bytes(result->phys), 0, phys_bytes(result->phys));
}

/* A numeric result; the row is NULL when it failed. */
static inline void agg_set_numeric(struct column *result, uint32_t row, struct varlen value)
{
    ((struct varlen *)result->data)[row] = value;
}

/* ---- states in checkpoints: int64s, least significant byte first ---- */

static inline void agg_save_i64(struct strbuf *out, int64_t value)
{
    uint8_t bytes[8];
    for (uint32_t i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)value >> 8 * i);
    strbuf_add(out, bytes, sizeof(bytes));
}

struct agg_saved {
    const uint8_t *at, *end;
};

static inline bool agg_load_i64(struct agg_saved *from, int64_t *value)
{
    uint64_t bits = 0;
    if (from->end - from->at < 8)
        return false;
    for (uint32_t i = 0; i < 8; i++)
        bits |= (uint64_t)from->at[i] << 8 * i;
    from->at += 8;
    *value = (int64_t)bits;
    return true;
}

#endif
