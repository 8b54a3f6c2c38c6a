/* numeric_math.c: sqrt, exp, ln, log and power of numerics.
 *
 * The result scale of each is PostgreSQL's: at least 16 significant digits, never fewer decimals than an
 * input shows, at most 1000. It follows from an estimate of the result's magnitude which is part of what
 * users see, so the estimates below use the same base-10000 digits and the same double arithmetic as
 * PostgreSQL documents.
 *
 * Transcendental values are computed in binary fixed point (an integer X standing for X / 2^bits) with enough
 * guard bits that the one decimal rounding at the end is right. */
#include "storage/data/numeric.h"

#include "storage/data/numeric_internal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#define LOG10_E      0.434294481903252
#define LN_10        2.302585092994046
#define BITS_PER_DEC 3.3219280948873623
#define GUARD_DIGITS 8

static int32_t clamp_scale(int32_t scale, int32_t least_a, int32_t least_b)
{
    if (scale < least_a)
        scale = least_a;
    if (scale < least_b)
        scale = least_b;
    if (scale < 0)
        scale = 0;
    return scale < NUMERIC_RESULT_SCALE_MAX ? scale : NUMERIC_RESULT_SCALE_MAX;
}

/* Nearest double of coefficient * 10^-scale; +-HUGE_VAL beyond the range. */
static double decimal_to_double(const mpz_t coefficient, int32_t scale)
{
    long exponent;
    double mantissa = mpz_get_d_2exp(&exponent, coefficient);
    if (mantissa == 0)
        return 0;
    if (scale > 300 || exponent > 900 || exponent - scale * BITS_PER_DEC > 1000) {
        /* far apart: by logarithms is too coarse near the limits, so divide as integers first */
        mpz_t quotient, power;
        mpz_inits(quotient, power, NULL);
        numeric_mpz_pow10(power, (uint32_t)scale);
        mpz_mul_2exp(quotient, coefficient, 1200);
        mpz_tdiv_q(quotient, quotient, power);
        mantissa = mpz_get_d_2exp(&exponent, quotient);
        mpz_clears(quotient, power, NULL);
        return exponent - 1200 > DBL_MAX_EXP ? copysign(HUGE_VAL, mantissa)
                                             : ldexp(mantissa, (int)(exponent - 1200));
    }
    return mpz_get_d(coefficient) / pow(10, scale);
}

/* ---- fixed point ---- */

static void fixed_from_decimal(mpz_t out, const mpz_t coefficient, int32_t scale, uint32_t bits)
{
    mpz_t power;
    mpz_init(power);
    numeric_mpz_pow10(power, (uint32_t)scale);
    mpz_mul_2exp(out, coefficient, bits);
    mpz_tdiv_q(out, out, power);
    mpz_clear(power);
}

/* out = round(value * 10^scale / 2^bits), half away from zero. */
static void fixed_to_decimal(mpz_t out, const mpz_t value, uint32_t bits, int32_t scale)
{
    mpz_t power;
    mpz_init(power);
    numeric_mpz_pow10(power, (uint32_t)scale);
    mpz_mul(out, value, power);
    bool negative = mpz_sgn(out) < 0;
    mpz_abs(out, out);
    if (bits > 0) {
        mpz_set_ui(power, 1);
        mpz_mul_2exp(power, power, bits - 1);
        mpz_add(out, out, power);
        mpz_fdiv_q_2exp(out, out, bits);
    }
    if (negative)
        mpz_neg(out, out);
    mpz_clear(power);
}

/* Adds factor * atanh(1/n) to sum. */
static void add_atanh_inverse(mpz_t sum, unsigned long n, long factor, uint32_t bits)
{
    mpz_t power, term;
    mpz_inits(power, term, NULL);
    mpz_set_ui(power, 1);
    mpz_mul_2exp(power, power, bits);
    mpz_tdiv_q_ui(power, power, n);
    for (unsigned long k = 1; mpz_sgn(power) != 0; k += 2) {
        mpz_tdiv_q_ui(term, power, k);
        mpz_mul_si(term, term, factor);
        mpz_add(sum, sum, term);
        mpz_tdiv_q_ui(power, power, n * n);
    }
    mpz_clears(power, term, NULL);
}

static void fixed_ln2(mpz_t out, uint32_t bits)
{
    const uint32_t guard = 32;
    mpz_set_ui(out, 0);
    add_atanh_inverse(out, 26, 18, bits + guard);
    add_atanh_inverse(out, 4801, -2, bits + guard);
    add_atanh_inverse(out, 8749, 8, bits + guard);
    mpz_fdiv_q_2exp(out, out, guard);
}

static uint32_t square_root_of(uint32_t value)
{
    return (uint32_t)sqrt((double)value);
}

/* ln(coefficient * 10^-scale), a positive value, with an error of a few 2^-bits.
 * x = m * 2^k; m comes near 1 by square roots, then ln m = 2 atanh((m - 1) / (m + 1)). */
static void fixed_ln(mpz_t out, const mpz_t coefficient, int32_t scale, uint32_t bits)
{
    uint32_t roots = square_root_of(bits) / 3 + 2;
    uint32_t work = bits + 2 * roots + 64;
    mpz_t m, power, z, square, term;
    mpz_inits(m, power, z, square, term, NULL);

    numeric_mpz_pow10(power, (uint32_t)scale);
    long k = (long)mpz_sizeinbase(coefficient, 2) - (long)mpz_sizeinbase(power, 2);
    if (k >= 0) {
        mpz_mul_2exp(m, coefficient, work);
        mpz_mul_2exp(power, power, (mp_bitcnt_t)k);
    } else {
        mpz_mul_2exp(m, coefficient, work + (mp_bitcnt_t)-k);
    }
    mpz_tdiv_q(m, m, power);
    mpz_set_ui(term, 3); /* now m is within (0.5, 2): bring it into [0.75, 1.5) */
    mpz_mul_2exp(term, term, work - 2);
    if (mpz_cmp(m, term) < 0) {
        mpz_mul_2exp(m, m, 1);
        k--;
    } else {
        mpz_mul_2exp(term, term, 1);
        if (mpz_cmp(m, term) >= 0) {
            mpz_fdiv_q_2exp(m, m, 1);
            k++;
        }
    }
    for (uint32_t i = 0; i < roots; i++) {
        mpz_mul_2exp(m, m, work);
        mpz_sqrt(m, m);
    }
    mpz_set_ui(power, 1);
    mpz_mul_2exp(power, power, work);
    mpz_sub(z, m, power);
    mpz_add(m, m, power);
    mpz_mul_2exp(z, z, work);
    mpz_tdiv_q(z, z, m);
    mpz_mul(square, z, z);
    mpz_fdiv_q_2exp(square, square, work);
    mpz_set_ui(out, 0);
    for (unsigned long n = 1; mpz_sgn(z) != 0; n += 2) {
        mpz_tdiv_q_ui(term, z, n);
        mpz_add(out, out, term);
        mpz_mul(z, z, square);
        mpz_tdiv_q_2exp(z, z, work);
    }
    mpz_mul_2exp(out, out, roots + 1);
    if (k != 0) {
        fixed_ln2(term, work);
        mpz_mul_si(term, term, k);
        mpz_add(out, out, term);
    }
    mpz_tdiv_q_2exp(out, out, work - bits);
    mpz_clears(m, power, z, square, term, NULL);
}

/* e^(coefficient * 10^-scale) = out / 2^bits * 2^(*exponent), out / 2^bits within (0.7, 1.5). */
static void fixed_exp(mpz_t out, long *exponent, const mpz_t coefficient, int32_t scale, uint32_t bits)
{
    uint32_t halvings = square_root_of(bits) + 2;
    uint32_t work = bits + 2 * halvings + 64;
    mpz_t x, ln2, term;
    mpz_inits(x, ln2, term, NULL);
    fixed_from_decimal(x, coefficient, scale, work);
    fixed_ln2(ln2, work);
    mpz_mul_2exp(term, x, 1); /* k = floor(x / ln2 + 1/2) */
    mpz_add(term, term, ln2);
    mpz_fdiv_q(term, term, ln2);
    mpz_fdiv_q_2exp(term, term, 1);
    *exponent = mpz_get_si(term);
    mpz_mul(term, term, ln2);
    mpz_sub(x, x, term);
    mpz_tdiv_q_2exp(x, x, halvings);
    mpz_set_ui(out, 1);
    mpz_mul_2exp(out, out, work);
    mpz_set(term, out);
    for (unsigned long n = 1; mpz_sgn(term) != 0; n++) {
        mpz_mul(term, term, x);
        mpz_tdiv_q_2exp(term, term, work);
        mpz_tdiv_q_ui(term, term, n);
        mpz_add(out, out, term);
    }
    for (uint32_t i = 0; i < halvings; i++) {
        mpz_mul(out, out, out);
        mpz_fdiv_q_2exp(out, out, work);
    }
    mpz_fdiv_q_2exp(out, out, work - bits);
    mpz_clears(x, ln2, term, NULL);
}

static uint32_t bits_for_digits(int64_t digits)
{
    return digits <= 0 ? 64 : (uint32_t)((double)digits * BITS_PER_DEC) + 64;
}

/* ---- decimal ---- */

/* Decimal weight of ln(value) by PostgreSQL's estimate; value is positive. */
static int32_t estimate_ln_weight(const mpz_t coefficient, int32_t scale)
{
    mpz_t one, difference;
    mpz_inits(one, difference, NULL);
    numeric_mpz_pow10(one, (uint32_t)scale);
    mpz_sub(difference, coefficient, one); /* value - 1, at the same scale */
    int32_t weight = 0;
    mpz_t tenfold;
    mpz_init(tenfold);
    mpz_mul_ui(tenfold, difference, 10);
    struct numeric_leading lead;
    if (mpz_cmpabs(tenfold, one) <= 0) { /* 0.9 <= value <= 1.1: ln(1 + x) is about x */
        if (mpz_sgn(difference) != 0) {
            numeric_leading(difference, scale, &lead);
            weight = lead.weight * 4 + (int32_t)log10((double)lead.digits[0]);
        }
    } else {
        numeric_leading(coefficient, scale, &lead);
        double digits = lead.digits[0];
        int32_t exponent = lead.weight * 4;
        if (lead.count > 1) {
            digits = digits * 10000 + lead.digits[1];
            exponent -= 4;
        }
        double ln = log(digits) + exponent * LN_10;
        weight = (int32_t)log10(fabs(ln));
    }
    mpz_clears(one, difference, tenfold, NULL);
    return weight;
}

/* out = ln(value) rounded to out_scale decimals. */
static void decimal_ln(mpz_t out, const mpz_t coefficient, int32_t scale, int32_t out_scale)
{
    uint32_t bits = bits_for_digits(out_scale + GUARD_DIGITS);
    mpz_t value;
    mpz_init(value);
    fixed_ln(value, coefficient, scale, bits);
    fixed_to_decimal(out, value, bits, out_scale);
    mpz_clear(value);
}

/* out = e^value rounded to out_scale decimals; 22003 for a value of 6000 and more, 0 for one of -6000 and
 * less. */
static bool decimal_exp(mpz_t out, const mpz_t coefficient, int32_t scale, int32_t out_scale,
                        struct error *err)
{
    double approximate = decimal_to_double(coefficient, scale);
    if (fabs(approximate) >= NUMERIC_EXP_WEIGHT_MAX * 3) {
        if (approximate > 0)
            return numeric_overflow(err);
        mpz_set_ui(out, 0);
        return true;
    }
    int64_t whole_digits = approximate > 0 ? (int64_t)(approximate * LOG10_E) + 1 : 0;
    uint32_t bits = bits_for_digits(out_scale + whole_digits + GUARD_DIGITS);
    long exponent;
    mpz_t value;
    mpz_init(value);
    fixed_exp(value, &exponent, coefficient, scale, bits);
    if (exponent >= 0)
        mpz_mul_2exp(value, value, (mp_bitcnt_t)exponent);
    else
        bits += (uint32_t)-exponent;
    fixed_to_decimal(out, value, bits, out_scale);
    mpz_clear(value);
    return true;
}

/* ---- square root ---- */

bool numeric_sqrt(struct arena *arena, const struct varlen *a, struct varlen *out, struct error *err)
{
    enum numeric_kind kind = numeric_kind(a);
    if (kind == NUMERIC_MINUS_INFINITY || (kind == NUMERIC_FINITE && numeric_sign(a) < 0))
        return error_set(err, ERRCODE_INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                         "cannot take square root of a negative number");
    if (kind != NUMERIC_FINITE) {
        *out = *a;
        return true;
    }
    mpz_t value;
    mpz_init(value);
    int32_t scale = numeric_load(a, value);
    struct numeric_leading lead;
    numeric_leading(value, scale, &lead);
    int32_t weight = (lead.weight + 1) * 4 / 2 - 1;
    int32_t out_scale = clamp_scale(NUMERIC_SIG_DIGITS_MIN - weight, scale, 0);
    /* the root cut to one decimal more, then rounded: the cut digit alone decides */
    numeric_mpz_rescale(value, scale, 2 * (out_scale + 1), false);
    mpz_sqrt(value, value);
    numeric_mpz_rescale(value, out_scale + 1, out_scale, true);
    bool ok = numeric_store(arena, value, out_scale, out, err);
    mpz_clear(value);
    return ok;
}

/* ---- exp, ln, log ---- */

static struct varlen zero_value(void)
{
    uint16_t head = 0;
    return varlen_view(&head, sizeof(head));
}

bool numeric_exp(struct arena *arena, const struct varlen *a, struct varlen *out, struct error *err)
{
    enum numeric_kind kind = numeric_kind(a);
    if (kind != NUMERIC_FINITE) {
        *out = kind == NUMERIC_MINUS_INFINITY ? zero_value() : *a;
        return true;
    }
    mpz_t value;
    mpz_init(value);
    int32_t scale = numeric_load(a, value);
    double weight = decimal_to_double(value, scale) * LOG10_E;
    weight = fmin(fmax(weight, -NUMERIC_EXP_WEIGHT_MAX), NUMERIC_EXP_WEIGHT_MAX);
    int32_t out_scale = clamp_scale(NUMERIC_SIG_DIGITS_MIN - (int32_t)weight, scale, 0);
    bool ok =
        decimal_exp(value, value, scale, out_scale, err) && numeric_store(arena, value, out_scale, out, err);
    mpz_clear(value);
    return ok;
}

static bool check_log_argument(const struct varlen *a, struct error *err)
{
    if (numeric_is_nan(a))
        return true;
    int sign = numeric_sign(a);
    if (sign < 0)
        return error_set(err, ERRCODE_INVALID_ARGUMENT_FOR_LOG, "cannot take logarithm of a negative number");
    if (sign == 0)
        return error_set(err, ERRCODE_INVALID_ARGUMENT_FOR_LOG, "cannot take logarithm of zero");
    return true;
}

bool numeric_ln(struct arena *arena, const struct varlen *a, struct varlen *out, struct error *err)
{
    if (!check_log_argument(a, err))
        return false;
    if (numeric_head_special(a)) {
        *out = *a;
        return true;
    }
    mpz_t value;
    mpz_init(value);
    int32_t scale = numeric_load(a, value);
    int32_t out_scale = clamp_scale(NUMERIC_SIG_DIGITS_MIN - estimate_ln_weight(value, scale), scale, 0);
    decimal_ln(value, value, scale, out_scale);
    bool ok = numeric_store(arena, value, out_scale, out, err);
    mpz_clear(value);
    return ok;
}

bool numeric_log(struct arena *arena, const struct varlen *base, const struct varlen *a, struct varlen *out,
                 struct error *err)
{
    enum numeric_kind kind_base = numeric_kind(base), kind_a = numeric_kind(a);
    if (kind_base == NUMERIC_NAN || kind_a == NUMERIC_NAN) {
        *out = numeric_special(NUMERIC_NAN);
        return true;
    }
    if (!check_log_argument(base, err) || !check_log_argument(a, err))
        return false;
    if (kind_base != NUMERIC_FINITE) {
        *out = kind_a != NUMERIC_FINITE ? numeric_special(NUMERIC_NAN) : zero_value();
        return true;
    }
    if (kind_a != NUMERIC_FINITE) {
        *out = *a;
        return true;
    }
    mpz_t x, y;
    mpz_inits(x, y, NULL);
    int32_t scale_x = numeric_load(base, x), scale_y = numeric_load(a, y);
    int32_t weight_x = estimate_ln_weight(x, scale_x), weight_y = estimate_ln_weight(y, scale_y);
    int32_t weight = weight_y - weight_x;
    int32_t out_scale = clamp_scale(NUMERIC_SIG_DIGITS_MIN - weight, scale_x, scale_y);
    int32_t ln_scale_x = out_scale + weight - weight_x + GUARD_DIGITS;
    int32_t ln_scale_y = out_scale + weight - weight_y + GUARD_DIGITS;
    ln_scale_x = ln_scale_x < 0 ? 0 : ln_scale_x;
    ln_scale_y = ln_scale_y < 0 ? 0 : ln_scale_y;
    decimal_ln(x, x, scale_x, ln_scale_x);
    decimal_ln(y, y, scale_y, ln_scale_y);
    bool ok;
    if (mpz_sgn(x) == 0) {
        ok = error_set(err, ERRCODE_DIVISION_BY_ZERO, "division by zero");
    } else {
        int32_t power = out_scale + ln_scale_x - ln_scale_y;
        if (power >= 0)
            numeric_mpz_rescale(y, 0, power, false);
        else
            numeric_mpz_rescale(x, 0, -power, false);
        numeric_mpz_div_round(y, y, x);
        ok = numeric_store(arena, y, out_scale, out, err);
    }
    mpz_clears(x, y, NULL);
    return ok;
}

/* ---- power ---- */

/* |base|^exponent at out_scale decimals, exponent >= 3, by squaring with a mantissa cut to `bits` bits. */
static void decimal_power(mpz_t out, const mpz_t base, int32_t scale, uint64_t exponent, bool invert,
                          int32_t out_scale, uint32_t bits)
{
    /* each factor is mantissa * 2^shift, shift growing as low bits are cut; decimal places are counted apart
     */
    mpz_t result, square, power;
    mpz_init_set_ui(result, 1);
    mpz_init(square);
    mpz_init(power);
    mpz_abs(square, base);
    /* binary: base = square / 10^scale as mantissa and exponent */
    numeric_mpz_pow10(power, (uint32_t)scale);
    int64_t square_shift = -(int64_t)bits - (int64_t)mpz_sizeinbase(power, 2), result_shift = 0;
    mpz_mul_2exp(square, square, (mp_bitcnt_t)-square_shift);
    mpz_tdiv_q(square, square, power);
    for (uint64_t rest = exponent; rest != 0; rest >>= 1) {
        size_t size = mpz_sizeinbase(square, 2);
        if (size > bits) {
            mpz_fdiv_q_2exp(square, square, size - bits);
            square_shift += (int64_t)(size - bits);
        }
        if (rest & 1) {
            mpz_mul(result, result, square);
            result_shift += square_shift;
            size = mpz_sizeinbase(result, 2);
            if (size > bits) {
                mpz_fdiv_q_2exp(result, result, size - bits);
                result_shift += (int64_t)(size - bits);
            }
        }
        mpz_mul(square, square, square);
        square_shift *= 2;
    }
    if (invert) {
        mpz_set_ui(power, 1);
        mpz_mul_2exp(power, power, 2 * bits);
        mpz_tdiv_q(result, power, result);
        result_shift = -result_shift - 2 * (int64_t)bits;
    }
    if (result_shift >= 0) {
        mpz_mul_2exp(result, result, (mp_bitcnt_t)result_shift);
        fixed_to_decimal(out, result, 0, out_scale);
    } else {
        fixed_to_decimal(out, result, (uint32_t)-result_shift, out_scale);
    }
    mpz_clears(result, square, power, NULL);
}

static bool power_of_int(struct arena *arena, mpz_t base, int32_t scale, int32_t exponent, struct varlen *out,
                         struct error *err)
{
    struct numeric_leading lead;
    numeric_leading(base, scale, &lead);
    double weight = 0; /* of the result, in decimal digits */
    if (lead.count > 0) {
        double f = lead.digits[0];
        int32_t p = lead.weight * 4;
        for (int i = 1; i < lead.count && i < 4; i++) {
            f = f * 10000 + lead.digits[i];
            p -= 4;
        }
        weight = exponent * (log10(f) + p);
    }
    /* unlike power_by_exp: at least 16 decimals, however large or small the result is */
    int32_t out_scale = clamp_scale(NUMERIC_SIG_DIGITS_MIN, scale, 0);
    if (weight > 3.0 * INT16_MAX * 4)
        return numeric_overflow(err);
    if (exponent < -1 || exponent > 2) {
        if (weight + 1 < -out_scale) {
            *out = numeric_pack_small(arena, 0, out_scale);
            return true;
        }
    }
    if (exponent == 0) {
        mpz_set_ui(base, 1);
        numeric_mpz_rescale(base, 0, out_scale, false);
        return numeric_store(arena, base, out_scale, out, err);
    }
    if (mpz_sgn(base) == 0) {
        if (exponent < 0)
            return error_set(err, ERRCODE_DIVISION_BY_ZERO, "division by zero");
        *out = numeric_pack_small(arena, 0, out_scale);
        return true;
    }
    uint32_t magnitude = exponent < 0 ? -(uint32_t)exponent : (uint32_t)exponent;
    bool negative = mpz_sgn(base) < 0 && (magnitude & 1);
    uint64_t exact_bits = (uint64_t)mpz_sizeinbase(base, 2) * magnitude;
    uint64_t exact_scale = (uint64_t)scale * magnitude;
    if (exact_bits <= 8192 && exact_scale <= 8192) {
        mpz_t power;
        mpz_init(power);
        mpz_pow_ui(base, base, magnitude);
        if (exponent > 0) {
            numeric_mpz_rescale(base, (int32_t)exact_scale, out_scale, true);
        } else { /* 10^(exact_scale + out_scale) / base^n */
            numeric_mpz_pow10(power, (uint32_t)exact_scale + (uint32_t)out_scale);
            numeric_mpz_div_round(base, power, base);
        }
        mpz_clear(power);
    } else {
        int64_t digits =
            1 + out_scale + (int64_t)weight + GUARD_DIGITS + (int64_t)log10((double)magnitude) + 2;
        decimal_power(base, base, scale, magnitude, exponent < 0, out_scale, bits_for_digits(digits));
        if (negative)
            mpz_neg(base, base);
    }
    return numeric_store(arena, base, out_scale, out, err);
}

/* value^exponent by e^(exponent * ln value); value is positive. */
static bool power_by_exp(struct arena *arena, mpz_t value, int32_t scale, const mpz_t exponent,
                         int32_t exponent_scale, bool negative, struct varlen *out, struct error *err)
{
    int32_t ln_weight = estimate_ln_weight(value, scale);
    int32_t ln_scale = 8 - ln_weight;
    if (ln_scale < 0)
        ln_scale = 0;
    mpz_t ln;
    mpz_init(ln);
    /* eight digits of the result's logarithm tell its scale */
    decimal_ln(ln, value, scale, ln_scale);
    mpz_mul(ln, ln, exponent);
    numeric_mpz_rescale(ln, ln_scale + exponent_scale, ln_scale, true);
    double weight = decimal_to_double(ln, ln_scale);
    bool ok;
    if (fabs(weight) > NUMERIC_EXP_WEIGHT_MAX * 3.01) {
        ok = weight < 0 || numeric_overflow(err);
        if (ok)
            *out = numeric_pack_small(arena, 0, NUMERIC_RESULT_SCALE_MAX);
    } else {
        weight *= LOG10_E;
        int32_t out_scale = clamp_scale(NUMERIC_SIG_DIGITS_MIN - (int32_t)weight, scale, exponent_scale);
        int32_t digits = out_scale + (int32_t)weight;
        ln_scale = (digits < 0 ? 0 : digits) - ln_weight + GUARD_DIGITS;
        if (ln_scale < 0)
            ln_scale = 0;
        decimal_ln(ln, value, scale, ln_scale);
        mpz_mul(ln, ln, exponent);
        numeric_mpz_rescale(ln, ln_scale + exponent_scale, ln_scale, true);
        ok = decimal_exp(value, ln, ln_scale, out_scale, err);
        if (ok && negative)
            mpz_neg(value, value);
        ok = ok && numeric_store(arena, value, out_scale, out, err);
    }
    mpz_clear(ln);
    return ok;
}

/* Is the finite value coefficient * 10^-scale whole? Then *whole gets it. */
static bool decimal_whole(const mpz_t coefficient, int32_t scale, mpz_t whole)
{
    mpz_t rest;
    mpz_init(rest);
    numeric_mpz_pow10(rest, (uint32_t)scale);
    mpz_tdiv_qr(whole, rest, coefficient, rest);
    bool is_whole = mpz_sgn(rest) == 0;
    mpz_clear(rest);
    return is_whole;
}

static bool power_finite(struct arena *arena, const struct varlen *a, const struct varlen *b,
                         struct varlen *out, struct error *err)
{
    mpz_t base, exponent, whole;
    mpz_inits(base, exponent, whole, NULL);
    int32_t base_scale = numeric_load(a, base), exponent_scale = numeric_load(b, exponent);
    bool is_whole = decimal_whole(exponent, exponent_scale, whole), ok;
    if (mpz_sgn(base) == 0 && mpz_sgn(exponent) < 0) {
        ok = error_set(err, ERRCODE_INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                       "zero raised to a negative power is undefined");
    } else if (mpz_sgn(base) < 0 && !is_whole) {
        ok = error_set(err, ERRCODE_INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                       "a negative number raised to a non-integer power yields a complex result");
    } else if (is_whole && mpz_fits_sint_p(whole)) {
        ok = power_of_int(arena, base, base_scale, (int32_t)mpz_get_si(whole), out, err);
    } else if (mpz_sgn(base) == 0) {
        *out = numeric_pack_small(arena, 0, NUMERIC_SIG_DIGITS_MIN);
        ok = true;
    } else {
        bool negative = mpz_sgn(base) < 0 && mpz_odd_p(whole);
        mpz_abs(base, base);
        ok = power_by_exp(arena, base, base_scale, exponent, exponent_scale, negative, out, err);
    }
    mpz_clears(base, exponent, whole, NULL);
    return ok;
}

/* pow() of POSIX for infinite and NaN operands, with PostgreSQL's errors. */
static bool power_special(struct arena *arena, const struct varlen *a, const struct varlen *b,
                          enum numeric_kind kind_a, enum numeric_kind kind_b, struct varlen *out,
                          struct error *err)
{
    struct varlen one = numeric_from_i64(arena, 1), minus_one = numeric_from_i64(arena, -1);
    int sign_a = numeric_sign(a), sign_b = numeric_sign(b);
    bool b_is_zero = kind_b == NUMERIC_FINITE && sign_b == 0;
    bool a_is_one = kind_a == NUMERIC_FINITE && numeric_compare(a, &one) == 0;
    bool b_is_whole = true, b_is_odd = false;
    if (kind_b == NUMERIC_FINITE) {
        mpz_t value, whole;
        mpz_inits(value, whole, NULL);
        int32_t scale = numeric_load(b, value);
        b_is_whole = decimal_whole(value, scale, whole);
        b_is_odd = b_is_whole && mpz_odd_p(whole);
        mpz_clears(value, whole, NULL);
    }
    if (kind_a == NUMERIC_NAN || kind_b == NUMERIC_NAN) {
        bool is_one = kind_a == NUMERIC_NAN ? b_is_zero : a_is_one;
        *out = is_one ? one : numeric_special(NUMERIC_NAN);
        return true;
    }
    if (sign_a == 0 && sign_b < 0)
        return error_set(err, ERRCODE_INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                         "zero raised to a negative power is undefined");
    if (sign_a < 0 && !b_is_whole)
        return error_set(err, ERRCODE_INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                         "a negative number raised to a non-integer power yields a complex result");
    if (a_is_one || b_is_zero) {
        *out = one;
    } else if (sign_a == 0) {
        *out = zero_value();
    } else if (kind_b != NUMERIC_FINITE) {
        struct varlen magnitude = numeric_abs(arena, a);
        if (kind_a == NUMERIC_FINITE && numeric_compare(a, &minus_one) == 0)
            *out = one;
        else if ((numeric_compare(&magnitude, &one) > 0) == (sign_b > 0))
            *out = numeric_special(NUMERIC_PLUS_INFINITY);
        else
            *out = zero_value();
    } else if (sign_b < 0) {
        *out = zero_value();
    } else {
        bool minus = kind_a == NUMERIC_MINUS_INFINITY && b_is_odd;
        *out = numeric_special(minus ? NUMERIC_MINUS_INFINITY : NUMERIC_PLUS_INFINITY);
    }
    return true;
}

bool numeric_power(struct arena *arena, const struct varlen *a, const struct varlen *b, struct varlen *out,
                   struct error *err)
{
    enum numeric_kind kind_a = numeric_kind(a), kind_b = numeric_kind(b);
    if (kind_a != NUMERIC_FINITE || kind_b != NUMERIC_FINITE)
        return power_special(arena, a, b, kind_a, kind_b, out, err);
    return power_finite(arena, a, b, out, err);
}
