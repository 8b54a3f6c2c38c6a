/* agg_decimal.h: exact sums of decimals that can be taken back: sum, avg and variance of integers and
 * numerics.
 *
 * The sum is one integer times 10^-scale: 128 bits while that is enough, GMP limbs on the table's heap
 * beyond. The scale shown is the largest among the present values, hence a count per scale. NaN and
 * infinities are counted apart. */
#ifndef MILLRACE_AGGREGATES_AGG_DECIMAL_H
#define MILLRACE_AGGREGATES_AGG_DECIMAL_H

#include "executor/aggregates/agg_common.h"
#include "storage/data/numeric.h"

#include <gmp.h>

struct decimal_scale {
    int64_t count;
    int64_t scale;
};

struct decimal_sum {
    struct agg_int128 small; /* the coefficient while big is NULL */
    uint64_t *big;           /* its magnitude in limbs, on the heap */
    uint32_t big_cap;
    int32_t big_size; /* limbs in use; negative: a negative number */
    int32_t scale;
    uint32_t scales_count, scales_cap;
    uint32_t unused;
    struct decimal_scale one;     /* the only scale so far, */
    struct decimal_scale *scales; /* or all of them, on the heap */
    int64_t nan, plus_infinity, minus_infinity;
    int64_t count; /* of all values */
};

/* Adds value * weight. */
void decimal_sum_add(struct decimal_sum *sum, struct table_heap *heap, const struct varlen *value,
                     int64_t weight);
/* Adds value^2 * weight; specials and scales are not counted (the sum of the values itself knows them). */
void decimal_sum_add_square(struct decimal_sum *sum, struct table_heap *heap, const struct varlen *value,
                            int64_t weight);
/* Adds coefficient * weight at scale 0 without counting anything. */
void decimal_sum_add_integer(struct decimal_sum *sum, struct table_heap *heap, __int128 coefficient,
                             int64_t weight);
/* Adds all that `part` holds. */
void decimal_sum_merge(struct decimal_sum *sum, struct table_heap *heap, const struct decimal_sum *part);
/* count, NaNs, infinities; scale; number of scales, and of each the scale and its count; number of limbs of the magnitude
 * (negative: of a negative number; 0: 128 bits follow) and they. load: into zero bytes. */
void decimal_sum_save(const struct decimal_sum *sum, struct strbuf *out);
bool decimal_sum_load(struct decimal_sum *sum, struct table_heap *heap, struct agg_saved *from);
void decimal_sum_release(struct decimal_sum *sum, struct table_heap *heap);
bool decimal_sum_is_special(const struct decimal_sum *sum);
int32_t decimal_sum_scale(const struct decimal_sum *sum); /* to show */
/* The sum at that scale; specials as PostgreSQL adds them. 22003 when out of numeric's range. */
MUST_CHECK
bool decimal_sum_value(const struct decimal_sum *sum, int32_t scale, struct arena *arena, struct varlen *out,
                       struct error *err);

/* Conversions by numeric.h's encoding. */
int32_t agg_numeric_load(const struct varlen *value, mpz_t coefficient);
MUST_CHECK
bool agg_numeric_store(struct arena *arena, const mpz_t coefficient, int32_t scale, struct varlen *out,
                       struct error *err);
struct varlen agg_numeric_nan(void);
void agg_mpz_set_int128(mpz_t out, __int128 value);
struct varlen agg_numeric_from_int128(struct arena *arena, __int128 value);

#endif
