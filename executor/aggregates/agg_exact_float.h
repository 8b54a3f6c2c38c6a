/* agg_exact_float.h: exact sums of doubles and of products of two doubles.
 *
 * A sum is a fixed-point number in two's complement: a window of 64-bit limbs that grows on the table's heap
 * where values fall. Nothing is rounded until the end, so the order of adding never shows and what was added
 * can be taken back without a trace (the long accumulator of Kulisch). NaN and infinities are counted apart.
 * Example: 1e308, 1, then 1e308 taken back leaves exactly 1. */
#ifndef MILLRACE_AGGREGATES_AGG_EXACT_FLOAT_H
#define MILLRACE_AGGREGATES_AGG_EXACT_FLOAT_H

#include "executor/aggregates/agg_common.h"

#include <gmp.h>

struct float_sum {
    uint64_t *limbs; /* little-endian, on the heap; NULL: 0 */
    int16_t base;    /* limb 0 is worth 2^(64 * base - FLOAT_SUM_BIAS) */
    uint16_t count, cap;
    uint16_t unused;
    int64_t nan, plus_infinity, minus_infinity;
};

/* Adds value * weight; finite or not. */
void float_sum_add(struct float_sum *sum, struct table_heap *heap, double value, int64_t weight);
/* Adds a * b * weight. Both are finite. */
void float_sum_add_product(struct float_sum *sum, struct table_heap *heap, double a, double b,
                           int64_t weight);
/* Adds all that `part` holds. */
void float_sum_merge(struct float_sum *sum, struct table_heap *heap, const struct float_sum *part);
/* NaNs, infinities, base, number of limbs, and they. load: into zero bytes. */
void float_sum_save(const struct float_sum *sum, struct strbuf *out);
bool float_sum_load_saved(struct float_sum *sum, struct table_heap *heap, struct agg_saved *from);
void float_sum_release(struct float_sum *sum, struct table_heap *heap);
bool float_sum_is_special(const struct float_sum *sum);
/* Rounded once, half to even; may be +-infinity by overflow. Specials give NaN or an infinity. */
double float_sum_round(const struct float_sum *sum);
float float_sum_round_f32(const struct float_sum *sum);
/* The finite sum is *out * 2^result. */
int64_t float_sum_load(const struct float_sum *sum, mpz_t out);
/* numerator / denominator * 2^exponent, rounded half to even (once, but for subnormal results). */
double float_ratio(const mpz_t numerator, const mpz_t denominator, int64_t exponent);

#endif
