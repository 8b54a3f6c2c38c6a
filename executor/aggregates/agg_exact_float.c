/* agg_exact_float.c: exact sums of doubles. */
#include "executor/aggregates/agg_exact_float.h"

#include <math.h>

#define BIAS      2176 /* a multiple of 64 not below 2148, the exponent of the least product of doubles */
#define LIMBS_MAX 80   /* (2176 + 2048 + 63 + headroom) / 64 */
#define HEADROOM  ((int64_t)1 << 61)
/* Where limbs of sums can end: the greatest products, 2^64 times. */
#define LIMBS_USED_MAX 70

/* value = m * 2^e for a finite value. */
static int64_t decompose(double value, int *exponent)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    int e = (int)(bits >> 52 & 0x7FF);
    int64_t m = (int64_t)(bits & 0xFFFFFFFFFFFFFULL);
    if (e == 0)
        e = 1;
    else
        m |= (int64_t)1 << 52;
    *exponent = e - 1075;
    return (bits >> 63) != 0 ? -m : m;
}

static void window_resize(struct float_sum *sum, struct table_heap *heap, uint32_t low_more,
                          uint32_t high_more)
{
    uint32_t count = sum->count + low_more + high_more;
    CHECK(count <= LIMBS_MAX);
    uint64_t *limbs = sum->limbs;
    uint64_t sign = sum->count > 0 && (int64_t)limbs[sum->count - 1] < 0 ? ~(uint64_t)0 : 0;
    if (count > sum->cap) {
        uint32_t cap = (count + 1) & ~1u;
        limbs = table_heap_alloc(heap, cap * (uint32_t)sizeof(uint64_t));
        if (sum->count > 0)
            memcpy(limbs + low_more, sum->limbs, sum->count * sizeof(uint64_t));
        if (sum->limbs != NULL)
            table_heap_release(heap, sum->limbs, sum->cap * (uint32_t)sizeof(uint64_t));
        sum->limbs = limbs;
        sum->cap = (uint16_t)cap;
    } else if (low_more > 0) {
        memmove(limbs + low_more, limbs, sum->count * sizeof(uint64_t));
    }
    for (uint32_t i = 0; i < low_more; i++)
        limbs[i] = 0;
    for (uint32_t i = low_more + sum->count; i < count; i++)
        limbs[i] = sign;
    sum->base = (int16_t)(sum->base - (int16_t)low_more);
    sum->count = (uint16_t)count;
}

/* Adds value * 2^exponent. */
static void add_int128(struct float_sum *sum, struct table_heap *heap, __int128 value, int exponent)
{
    if (value == 0)
        return;
    int position = exponent + BIAS;
    int limb = position >> 6, shift = position & 63;
    uint64_t low = (uint64_t)value;
    int64_t high = (int64_t)(value >> 64);
    uint64_t words[3] = {low, (uint64_t)high, (uint64_t)(high >> 63)};
    if (shift != 0) {
        words[2] = (uint64_t)(high >> (64 - shift));
        words[1] = (uint64_t)high << shift | low >> (64 - shift);
        words[0] = low << shift;
    }
    if (sum->limbs == NULL) {
        sum->base = (int16_t)limb;
        window_resize(sum, heap, 0, 4);
    } else {
        int end = sum->base + sum->count;
        uint32_t low_more = limb < sum->base ? (uint32_t)(sum->base - limb) : 0;
        uint32_t high_more = limb + 4 > end ? (uint32_t)(limb + 4 - end) : 0;
        int64_t top = (int64_t)sum->limbs[sum->count - 1];
        if (high_more == 0 && (top >= HEADROOM || top < -HEADROOM))
            high_more = 1;
        if ((low_more | high_more) != 0)
            window_resize(sum, heap, low_more, high_more);
    }
    uint64_t *limbs = sum->limbs + (limb - sum->base);
    uint32_t left = (uint32_t)(sum->base + sum->count - limb);
    unsigned __int128 carry = 0;
    for (uint32_t i = 0; i < 3; i++) {
        carry += (unsigned __int128)limbs[i] + words[i];
        limbs[i] = (uint64_t)carry;
        carry >>= 64;
    }
    uint64_t sign = value < 0 ? ~(uint64_t)0 : 0;
    for (uint32_t i = 3; i < left; i++) {
        if ((sign == 0 && carry == 0) || (sign != 0 && carry == 1))
            break; /* nothing changes from here on */
        carry += (unsigned __int128)limbs[i] + sign;
        limbs[i] = (uint64_t)carry;
        carry >>= 64;
    }
}

void float_sum_add(struct float_sum *sum, struct table_heap *heap, double value, int64_t weight)
{
    if (!isfinite(value)) {
        if (isnan(value))
            sum->nan += weight;
        else if (value > 0)
            sum->plus_infinity += weight;
        else
            sum->minus_infinity += weight;
        return;
    }
    int exponent;
    int64_t mantissa = decompose(value, &exponent);
    add_int128(sum, heap, (__int128)mantissa * weight, exponent);
}

void float_sum_add_product(struct float_sum *sum, struct table_heap *heap, double a, double b, int64_t weight)
{
    int exponent_a, exponent_b;
    __int128 product = (__int128)decompose(a, &exponent_a) * decompose(b, &exponent_b);
    int exponent = exponent_a + exponent_b;
    __int128 low = (__int128)(uint64_t)product * weight;
    __int128 high = (__int128)(int64_t)(product >> 64) * weight;
    if (weight == 1 || weight == -1) {
        add_int128(sum, heap, product * weight, exponent);
        return;
    }
    add_int128(sum, heap, low, exponent);
    add_int128(sum, heap, high, exponent + 64);
}

/* The limbs [*first, *end) that say something: without zeros below, and the sign above once only. Without this, a merge
 * would make the window wider than its part's, and many in a row wider than any sum needs. */
static void significant(const struct float_sum *sum, uint32_t *first, uint32_t *end)
{
    *first = 0;
    *end = sum->count;
    while (*end > 1 && sum->limbs[*end - 1] == ((int64_t)sum->limbs[*end - 2] < 0 ? ~(uint64_t)0 : 0))
        --*end;
    while (*first < *end && sum->limbs[*first] == 0)
        ++*first;
}

void float_sum_merge(struct float_sum *sum, struct table_heap *heap, const struct float_sum *part)
{
    sum->nan += part->nan;
    sum->plus_infinity += part->plus_infinity;
    sum->minus_infinity += part->minus_infinity;
    uint32_t first, end;
    significant(part, &first, &end);
    for (uint32_t i = first; i < end; i++) {
        bool is_top = i + 1U == end;
        __int128 limb = is_top ? (__int128)(int64_t)part->limbs[i] : (__int128)part->limbs[i];
        add_int128(sum, heap, limb, (part->base + (int)i) * 64 - BIAS);
    }
}

void float_sum_save(const struct float_sum *sum, struct strbuf *out)
{
    uint32_t first, end;
    significant(sum, &first, &end);
    agg_save_i64(out, sum->nan);
    agg_save_i64(out, sum->plus_infinity);
    agg_save_i64(out, sum->minus_infinity);
    agg_save_i64(out, first < end ? sum->base + (int64_t)first : 0);
    agg_save_i64(out, end - first);
    for (uint32_t i = first; i < end; i++)
        agg_save_i64(out, (int64_t)sum->limbs[i]);
}

bool float_sum_load_saved(struct float_sum *sum, struct table_heap *heap, struct agg_saved *from)
{
    int64_t base, count, limb;
    if (!agg_load_i64(from, &sum->nan) || !agg_load_i64(from, &sum->plus_infinity) ||
        !agg_load_i64(from, &sum->minus_infinity) || !agg_load_i64(from, &base) ||
        !agg_load_i64(from, &count) || count < 0 || count > LIMBS_USED_MAX || base < 0 ||
        base > LIMBS_USED_MAX - count)
        return false;
    if (count == 0)
        return true;
    window_resize(sum, heap, 0, (uint32_t)count);
    sum->base = (int16_t)base;
    for (uint32_t i = 0; i < (uint32_t)count; i++) {
        if (!agg_load_i64(from, &limb))
            return false;
        sum->limbs[i] = (uint64_t)limb;
    }
    return true;
}

void float_sum_release(struct float_sum *sum, struct table_heap *heap)
{
    if (sum->limbs != NULL)
        table_heap_release(heap, sum->limbs, sum->cap * (uint32_t)sizeof(uint64_t));
    memset(sum, 0, sizeof(*sum));
}

bool float_sum_is_special(const struct float_sum *sum)
{
    return sum->nan > 0 || sum->plus_infinity > 0 || sum->minus_infinity > 0;
}

static double special_value(const struct float_sum *sum)
{
    if (sum->nan > 0 || (sum->plus_infinity > 0 && sum->minus_infinity > 0))
        return NAN;
    return sum->plus_infinity > 0 ? INFINITY : -INFINITY;
}

/* Magnitude into limbs[LIMBS_MAX]; number of limbs in use (0: the sum is 0). */
static uint32_t magnitude(const struct float_sum *sum, uint64_t *limbs, bool *negative)
{
    uint32_t count = sum->count;
    *negative = count > 0 && (int64_t)sum->limbs[count - 1] < 0;
    uint64_t carry = 1;
    for (uint32_t i = 0; i < count; i++) {
        limbs[i] = sum->limbs[i];
        if (*negative) {
            limbs[i] = ~limbs[i] + carry;
            carry = carry != 0 && limbs[i] == 0;
        }
    }
    while (count > 0 && limbs[count - 1] == 0)
        count--;
    return count;
}

static uint64_t bits_at(const uint64_t *limbs, uint32_t count, int64_t bit)
{
    uint32_t limb = (uint32_t)(bit >> 6), shift = (uint32_t)bit & 63;
    uint64_t value = limb < count ? limbs[limb] >> shift : 0;
    if (shift != 0 && limb + 1 < count)
        value |= limbs[limb + 1] << (64 - shift);
    return value;
}

/* Rounds to `digits` bits whose last is worth at least 2^least. */
static double round_sum(const struct float_sum *sum, int digits, int least)
{
    uint64_t limbs[LIMBS_MAX];
    bool negative;
    uint32_t count = magnitude(sum, limbs, &negative);
    if (count == 0)
        return 0;
    int64_t unit = 64 * (int64_t)sum->base - BIAS; /* exponent of bit 0 */
    int64_t top = 64 * (int64_t)count - 1 - __builtin_clzll(limbs[count - 1]);
    int64_t last = top - digits + 1; /* lowest bit that is kept */
    if (last + unit < least)
        last = least - unit;
    double result;
    if (last <= 0) {
        result = ldexp((double)bits_at(limbs, count, 0), (int)unit); /* fewer than `digits` bits: exact */
    } else if (last > top + 1) {
        result = 0;
    } else {
        uint64_t kept = last <= top ? bits_at(limbs, count, last) : 0;
        bool half = (bits_at(limbs, count, last - 1) & 1) != 0, below = false;
        for (int64_t i = 0; i < (last - 1) / 64 && !below; i++)
            below = limbs[i] != 0;
        if (((last - 1) & 63) != 0)
            below = below || (limbs[(last - 1) / 64] & (((uint64_t)1 << ((last - 1) & 63)) - 1)) != 0;
        kept += half && (below || (kept & 1) != 0);
        result = ldexp((double)kept, (int)(last + unit));
    }
    return negative ? -result : result;
}

double float_sum_round(const struct float_sum *sum)
{
    return float_sum_is_special(sum) ? special_value(sum) : round_sum(sum, 53, -1074);
}

float float_sum_round_f32(const struct float_sum *sum)
{
    return (float)(float_sum_is_special(sum) ? special_value(sum) : round_sum(sum, 24, -149));
}

int64_t float_sum_load(const struct float_sum *sum, mpz_t out)
{
    uint64_t limbs[LIMBS_MAX];
    bool negative;
    uint32_t count = magnitude(sum, limbs, &negative);
    mpz_import(out, count, -1, sizeof(uint64_t), 0, 0, limbs);
    if (negative)
        mpz_neg(out, out);
    return 64 * (int64_t)sum->base - BIAS;
}

double float_ratio(const mpz_t numerator, const mpz_t denominator, int64_t exponent)
{
    if (mpz_sgn(numerator) == 0)
        return 0;
    mpz_t a, b;
    mpz_init(a);
    mpz_init(b);
    mpz_abs(a, numerator);
    mpz_abs(b, denominator);
    int64_t shift = (int64_t)mpz_sizeinbase(b, 2) - (int64_t)mpz_sizeinbase(a, 2) + 62;
    if (shift > 0)
        mpz_mul_2exp(a, a, (mp_bitcnt_t)shift);
    else
        mpz_mul_2exp(b, b, (mp_bitcnt_t)-shift);
    mpz_t rest;
    mpz_init(rest);
    mpz_tdiv_qr(a, rest, a, b); /* 62 or 63 bits */
    uint64_t quotient = 0;
    mpz_export(&quotient, NULL, -1, sizeof(quotient), 0, 0, a);
    quotient |= mpz_sgn(rest) != 0; /* far below the rounding position */
    bool negative = (mpz_sgn(numerator) < 0) != (mpz_sgn(denominator) < 0);
    mpz_clear(rest);
    mpz_clear(a);
    mpz_clear(b);
    int64_t power = exponent - shift;
    double result = ldexp((double)quotient, power > 5000 ? 5000 : power < -5000 ? -5000 : (int)power);
    return negative ? -result : result;
}
