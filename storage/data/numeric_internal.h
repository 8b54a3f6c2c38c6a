/* numeric_internal.h: what the numeric_*.c files share: the encoding's head, decimals as GMP integers, and
 * the base-10000 view of a value by which PostgreSQL chooses result scales. Only these files include it. */
#ifndef MILLRACE_DATA_NUMERIC_INTERNAL_H
#define MILLRACE_DATA_NUMERIC_INTERNAL_H

#include "storage/data/numeric.h"

#include <gmp.h>

typedef unsigned __int128 numeric_u128; /* the one spelling of the compiler's 128-bit word */

#define NUMERIC_HEAD_SPECIAL     0x4000u
#define NUMERIC_HEAD_NEGATIVE    0x8000u
#define NUMERIC_HEAD_SCALE       0x3FFFu
#define NUMERIC_SCALE_MAX        16383  /* digits behind the point that a value can show */
#define NUMERIC_DIGITS_MAX       131072 /* digits before the point */
#define NUMERIC_RESULT_SCALE_MAX 1000   /* scale that division, sqrt, ln ... choose at most */
#define NUMERIC_EXP_WEIGHT_MAX   2000   /* exp() works up to three times this */
#define NUMERIC_SIG_DIGITS_MIN   16     /* significant digits such results have at least */
#define NUMERIC_POW10_MAX        38     /* largest power of ten below 2^127 */

enum numeric_kind { NUMERIC_FINITE, NUMERIC_NAN, NUMERIC_PLUS_INFINITY, NUMERIC_MINUS_INFINITY };

extern const numeric_u128 numeric_pow10[NUMERIC_POW10_MAX + 1];

static inline uint16_t numeric_head(const struct varlen *value)
{
    uint16_t head;
    memcpy(&head, varlen_bytes(value), sizeof(head));
    return head;
}

static inline bool numeric_head_special(const struct varlen *value)
{
    return (numeric_head(value) & NUMERIC_HEAD_SPECIAL) != 0;
}

static inline numeric_u128 numeric_magnitude(__int128 coefficient)
{
    return coefficient < 0 ? -(numeric_u128)coefficient : (numeric_u128)coefficient;
}

/* Multiplies by 10^power. false when that leaves 127 bits. */
static inline bool numeric_scale_up(__int128 *coefficient, int32_t power)
{
    if (power == 0 || *coefficient == 0)
        return true;
    if (power > NUMERIC_POW10_MAX)
        return false;
    return !__builtin_mul_overflow(*coefficient, (__int128)numeric_pow10[power], coefficient);
}

enum numeric_kind numeric_kind(const struct varlen *value);
struct varlen numeric_special(enum numeric_kind kind);
int numeric_count_digits(numeric_u128 magnitude); /* of 0: 1 */

/* Sets an initialised integer to the coefficient of a finite value; returns its scale. */
int32_t numeric_load(const struct varlen *value, mpz_t coefficient);
/* Encodes a finite value without checking PostgreSQL's limits. */
struct varlen numeric_store_unchecked(struct arena *arena, const mpz_t coefficient, int32_t scale);
/* Encodes; 22003 'value overflows numeric format' beyond NUMERIC_DIGITS_MAX or NUMERIC_SCALE_MAX. */
MUST_CHECK
bool numeric_store(struct arena *arena, const mpz_t coefficient, int32_t scale, struct varlen *out,
                   struct error *err);
bool numeric_overflow(struct error *err); /* sets that error, returns false */
/* Decimal digits of |coefficient|; 0 has 1. */
int32_t numeric_mpz_digits(const mpz_t coefficient);
void numeric_mpz_pow10(mpz_t out, uint32_t power);
/* Changes the scale of a coefficient from `from` to `to`, rounding half away from zero or cutting. */
void numeric_mpz_rescale(mpz_t coefficient, int32_t from, int32_t to, bool round);
/* quotient = round_half_away(a / b), b not 0. */
void numeric_mpz_div_round(mpz_t quotient, const mpz_t a, const mpz_t b);

/* A value as PostgreSQL holds it: base-10000 digits, the first (not 0) worth 10000^weight. */
struct numeric_leading {
    int32_t weight;    /* 0 for zero */
    int32_t count;     /* base-10000 digits until the last that is not 0; 0 for zero */
    int32_t digits[4]; /* the first four, 0 beyond count */
};
void numeric_leading(const mpz_t coefficient, int32_t scale, struct numeric_leading *out);

#endif
