/* numeric_arith.c: exact arithmetic on numerics: + - * / div mod, rounding, signs.
 *
 * Every operation first tries 128-bit integers; only when an operand is special or a product leaves 127 bits
 * does it turn to GMP. Division never leaves the stack while the divisor fits 128 bits. */
#include "storage/data/numeric.h"

#include "storage/data/numeric_internal.h"

#define FACTORIAL_MAX 32177 /* the last whose result has no more than NUMERIC_DIGITS_MAX digits */

static bool divide_by_zero(struct error *err)
{
    return error_set(err, ERRCODE_DIVISION_BY_ZERO, "division by zero");
}

static struct varlen signed_infinity(int sign)
{
    return numeric_special(sign < 0 ? NUMERIC_MINUS_INFINITY : NUMERIC_PLUS_INFINITY);
}

static int32_t max_i32(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* ---- add, subtract ---- */

static bool add_big(struct arena *arena, const struct varlen *a, const struct varlen *b, bool subtract,
                    struct varlen *out, struct error *err)
{
    enum numeric_kind kind_a = numeric_kind(a), kind_b = numeric_kind(b);
    if (kind_a != NUMERIC_FINITE || kind_b != NUMERIC_FINITE) {
        int sign_b = subtract ? -numeric_sign(b) : numeric_sign(b);
        if (kind_a == NUMERIC_NAN || kind_b == NUMERIC_NAN)
            *out = numeric_special(NUMERIC_NAN);
        else if (kind_a == NUMERIC_FINITE)
            *out = signed_infinity(sign_b);
        else if (kind_b == NUMERIC_FINITE || numeric_sign(a) == sign_b)
            *out = *a;
        else
            *out = numeric_special(NUMERIC_NAN);
        return true;
    }
    mpz_t x, y;
    mpz_inits(x, y, NULL);
    int32_t scale_x = numeric_load(a, x), scale_y = numeric_load(b, y);
    int32_t scale = max_i32(scale_x, scale_y);
    numeric_mpz_rescale(x, scale_x, scale, false);
    numeric_mpz_rescale(y, scale_y, scale, false);
    if (subtract)
        mpz_sub(x, x, y);
    else
        mpz_add(x, x, y);
    bool ok = numeric_store(arena, x, scale, out, err);
    mpz_clears(x, y, NULL);
    return ok;
}

static inline bool add_or_subtract(struct arena *arena, const struct varlen *a, const struct varlen *b,
                                   bool subtract, struct varlen *out, struct error *err)
{
    struct numeric_small x, y;
    if (UNLIKELY(!numeric_unpack_small(a, &x) || !numeric_unpack_small(b, &y)))
        return add_big(arena, a, b, subtract, out, err);
    if (x.scale < y.scale) {
        if (!numeric_scale_up(&x.coefficient, y.scale - x.scale))
            return add_big(arena, a, b, subtract, out, err);
        x.scale = y.scale;
    } else if (!numeric_scale_up(&y.coefficient, x.scale - y.scale)) {
        return add_big(arena, a, b, subtract, out, err);
    }
    __int128 sum;
    bool overflow = subtract ? __builtin_sub_overflow(x.coefficient, y.coefficient, &sum)
                             : __builtin_add_overflow(x.coefficient, y.coefficient, &sum);
    if (overflow)
        return add_big(arena, a, b, subtract, out, err);
    *out = numeric_pack_small(arena, sum, x.scale);
    return true;
}

bool numeric_add(struct arena *arena, const struct varlen *a, const struct varlen *b, struct varlen *out,
                 struct error *err)
{
    return add_or_subtract(arena, a, b, false, out, err);
}

bool numeric_sub(struct arena *arena, const struct varlen *a, const struct varlen *b, struct varlen *out,
                 struct error *err)
{
    return add_or_subtract(arena, a, b, true, out, err);
}

/* ---- multiply ---- */

static bool mul_big(struct arena *arena, const struct varlen *a, const struct varlen *b, struct varlen *out,
                    struct error *err)
{
    enum numeric_kind kind_a = numeric_kind(a), kind_b = numeric_kind(b);
    if (kind_a != NUMERIC_FINITE || kind_b != NUMERIC_FINITE) {
        int sign = numeric_sign(a) * numeric_sign(b); /* 0 for NaN and for 0 * Infinity */
        *out = sign == 0 ? numeric_special(NUMERIC_NAN) : signed_infinity(sign);
        return true;
    }
    mpz_t x, y;
    mpz_inits(x, y, NULL);
    int32_t scale = numeric_load(a, x) + numeric_load(b, y);
    mpz_mul(x, x, y);
    if (scale > NUMERIC_SCALE_MAX) {
        numeric_mpz_rescale(x, scale, NUMERIC_SCALE_MAX, true);
        scale = NUMERIC_SCALE_MAX;
    }
    bool ok = numeric_store(arena, x, scale, out, err);
    mpz_clears(x, y, NULL);
    return ok;
}

bool numeric_mul(struct arena *arena, const struct varlen *a, const struct varlen *b, struct varlen *out,
                 struct error *err)
{
    struct numeric_small x, y;
    __int128 product;
    if (LIKELY(numeric_unpack_small(a, &x) && numeric_unpack_small(b, &y)) &&
        x.scale + y.scale <= NUMERIC_SCALE_MAX &&
        !__builtin_mul_overflow(x.coefficient, y.coefficient, &product)) {
        *out = numeric_pack_small(arena, product, x.scale + y.scale);
        return true;
    }
    return mul_big(arena, a, b, out, err);
}

/* ---- divide ---- */

/* The leading base-10000 digit of a small value and its weight: numeric_leading without GMP. */
static void small_leading(const struct numeric_small *value, int32_t *weight, int32_t *digit)
{
    *weight = *digit = 0;
    if (value->coefficient == 0)
        return;
    numeric_u128 magnitude = numeric_magnitude(value->coefficient);
    int32_t count = numeric_count_digits(magnitude);
    int32_t exponent = count - 1 - value->scale;
    *weight = exponent >= 0 ? exponent / 4 : -((3 - exponent) / 4);
    int32_t keep = exponent - 4 * *weight + 1; /* decimal digits in the first base-10000 digit */
    if (count >= keep)
        *digit = (int32_t)(magnitude / numeric_pow10[count - keep]);
    else
        *digit = (int32_t)(magnitude * numeric_pow10[keep - count]);
}

static int32_t div_scale(int32_t weight_a, int32_t digit_a, int32_t scale_a, int32_t weight_b,
                         int32_t digit_b, int32_t scale_b)
{
    int32_t quotient_weight = weight_a - weight_b - (digit_a <= digit_b);
    int32_t scale = NUMERIC_SIG_DIGITS_MIN - quotient_weight * 4;
    scale = max_i32(scale, scale_a);
    scale = max_i32(scale, scale_b);
    scale = max_i32(scale, 0);
    return scale < NUMERIC_RESULT_SCALE_MAX ? scale : NUMERIC_RESULT_SCALE_MAX;
}

/* The quotient rounded half away from zero, by a 256-bit dividend on the stack. false when it does not fit.
 */
static bool small_quotient(__int128 a, int32_t power, __int128 b, __int128 *out)
{
    numeric_u128 dividend = numeric_magnitude(a), divisor = numeric_magnitude(b), quotient;
    if (power > NUMERIC_POW10_MAX)
        return false;
    numeric_u128 factor = numeric_pow10[power], low, rest;
    if (!__builtin_mul_overflow(dividend, factor, &low)) {
        if (low >> 64 == 0 && divisor >> 64 == 0) {
            quotient = (uint64_t)low / (uint64_t)divisor;
            rest = (uint64_t)low % (uint64_t)divisor;
        } else {
            quotient = low / divisor;
            rest = low - quotient * divisor;
        }
    } else {
        mp_limb_t x[2] = {(mp_limb_t)dividend, (mp_limb_t)(dividend >> 64)};
        mp_limb_t y[2] = {(mp_limb_t)factor, (mp_limb_t)(factor >> 64)};
        mp_limb_t d[2] = {(mp_limb_t)divisor, (mp_limb_t)(divisor >> 64)};
        mp_limb_t product[4], q[4] = {0}, r[2] = {0};
        mpn_mul_n(product, x, y, 2);
        mp_size_t product_limbs = product[3] != 0 ? 4 : 3, divisor_limbs = d[1] != 0 ? 2 : 1;
        mpn_tdiv_qr(q, r, 0, product, product_limbs, d, divisor_limbs);
        if (q[3] != 0 || q[2] != 0 || q[1] >> 63 != 0)
            return false;
        quotient = (numeric_u128)q[1] << 64 | q[0];
        rest = (numeric_u128)r[1] << 64 | r[0];
    }
    if (rest >= divisor - rest)
        quotient++;
    if (quotient >> 127 != 0)
        return false;
    *out = (a < 0) != (b < 0) ? -(__int128)quotient : (__int128)quotient;
    return true;
}

/* Infinities and NaN in a division; true when they decide the result (or *failed is set). */
static bool div_special(const struct varlen *a, const struct varlen *b, struct varlen *out, bool *failed,
                        struct error *err)
{
    enum numeric_kind kind_a = numeric_kind(a), kind_b = numeric_kind(b);
    *failed = false;
    if (kind_a == NUMERIC_FINITE && kind_b == NUMERIC_FINITE)
        return false;
    if (kind_a == NUMERIC_NAN || kind_b == NUMERIC_NAN) {
        *out = numeric_special(NUMERIC_NAN);
    } else if (kind_a != NUMERIC_FINITE) {
        int sign_b = numeric_sign(b);
        if (kind_b != NUMERIC_FINITE)
            *out = numeric_special(NUMERIC_NAN);
        else if (sign_b == 0)
            *failed = !divide_by_zero(err);
        else
            *out = signed_infinity(numeric_sign(a) * sign_b);
    } else {
        uint16_t zero = 0;
        *out = varlen_view(&zero, sizeof(zero));
    }
    return true;
}

static bool div_big(struct arena *arena, const struct varlen *a, const struct varlen *b, struct varlen *out,
                    struct error *err)
{
    bool failed;
    if (div_special(a, b, out, &failed, err))
        return !failed;
    mpz_t x, y;
    mpz_inits(x, y, NULL);
    int32_t scale_x = numeric_load(a, x), scale_y = numeric_load(b, y);
    bool ok;
    if (mpz_sgn(y) == 0) {
        ok = divide_by_zero(err);
    } else {
        struct numeric_leading lead_x, lead_y;
        numeric_leading(x, scale_x, &lead_x);
        numeric_leading(y, scale_y, &lead_y);
        int32_t scale =
            div_scale(lead_x.weight, lead_x.digits[0], scale_x, lead_y.weight, lead_y.digits[0], scale_y);
        int32_t power = scale + scale_y - scale_x;
        if (power >= 0)
            numeric_mpz_rescale(x, 0, power, false);
        else
            numeric_mpz_rescale(y, 0, -power, false);
        numeric_mpz_div_round(x, x, y);
        ok = numeric_store(arena, x, scale, out, err);
    }
    mpz_clears(x, y, NULL);
    return ok;
}

bool numeric_div(struct arena *arena, const struct varlen *a, const struct varlen *b, struct varlen *out,
                 struct error *err)
{
    struct numeric_small x, y;
    if (LIKELY(numeric_unpack_small(a, &x) && numeric_unpack_small(b, &y))) {
        if (y.coefficient == 0)
            return divide_by_zero(err);
        int32_t weight_x, weight_y, digit_x, digit_y;
        small_leading(&x, &weight_x, &digit_x);
        small_leading(&y, &weight_y, &digit_y);
        int32_t scale = div_scale(weight_x, digit_x, x.scale, weight_y, digit_y, y.scale);
        int32_t power = scale + y.scale - x.scale;
        __int128 quotient;
        if (power >= 0 && small_quotient(x.coefficient, power, y.coefficient, &quotient)) {
            *out = numeric_pack_small(arena, quotient, scale);
            return true;
        }
    }
    return div_big(arena, a, b, out, err);
}

bool numeric_div_trunc(struct arena *arena, const struct varlen *a, const struct varlen *b,
                       struct varlen *out, struct error *err)
{
    struct numeric_small small_x, small_y;
    if (LIKELY(numeric_unpack_small(a, &small_x) && numeric_unpack_small(b, &small_y))) {
        if (small_y.coefficient == 0)
            return divide_by_zero(err);
        int32_t scale = max_i32(small_x.scale, small_y.scale);
        if (numeric_scale_up(&small_x.coefficient, scale - small_x.scale) &&
            numeric_scale_up(&small_y.coefficient, scale - small_y.scale)) {
            *out = numeric_pack_small(arena, small_x.coefficient / small_y.coefficient, 0);
            return true;
        }
    }
    bool failed;
    if (div_special(a, b, out, &failed, err))
        return !failed;
    mpz_t x, y;
    mpz_inits(x, y, NULL);
    int32_t scale_x = numeric_load(a, x), scale_y = numeric_load(b, y);
    int32_t scale = max_i32(scale_x, scale_y);
    numeric_mpz_rescale(x, scale_x, scale, false);
    numeric_mpz_rescale(y, scale_y, scale, false);
    bool ok;
    if (mpz_sgn(y) == 0) {
        ok = divide_by_zero(err);
    } else {
        mpz_tdiv_q(x, x, y);
        ok = numeric_store(arena, x, 0, out, err);
    }
    mpz_clears(x, y, NULL);
    return ok;
}

bool numeric_mod(struct arena *arena, const struct varlen *a, const struct varlen *b, struct varlen *out,
                 struct error *err)
{
    struct numeric_small small_x, small_y;
    if (LIKELY(numeric_unpack_small(a, &small_x) && numeric_unpack_small(b, &small_y))) {
        if (small_y.coefficient == 0)
            return divide_by_zero(err);
        int32_t scale = max_i32(small_x.scale, small_y.scale);
        if (numeric_scale_up(&small_x.coefficient, scale - small_x.scale) &&
            numeric_scale_up(&small_y.coefficient, scale - small_y.scale)) {
            *out = numeric_pack_small(arena, small_x.coefficient % small_y.coefficient, scale);
            return true;
        }
    }
    enum numeric_kind kind_a = numeric_kind(a), kind_b = numeric_kind(b);
    if (kind_a != NUMERIC_FINITE || kind_b != NUMERIC_FINITE) {
        if (kind_a == NUMERIC_NAN || kind_b == NUMERIC_NAN)
            *out = numeric_special(NUMERIC_NAN);
        else if (kind_a == NUMERIC_FINITE)
            *out = *a;
        else if (numeric_sign(b) == 0)
            return divide_by_zero(err);
        else
            *out = numeric_special(NUMERIC_NAN);
        return true;
    }
    mpz_t x, y;
    mpz_inits(x, y, NULL);
    int32_t scale_x = numeric_load(a, x), scale_y = numeric_load(b, y);
    int32_t scale = max_i32(scale_x, scale_y);
    numeric_mpz_rescale(x, scale_x, scale, false);
    numeric_mpz_rescale(y, scale_y, scale, false);
    bool ok;
    if (mpz_sgn(y) == 0) {
        ok = divide_by_zero(err);
    } else {
        mpz_tdiv_r(x, x, y);
        ok = numeric_store(arena, x, scale, out, err);
    }
    mpz_clears(x, y, NULL);
    return ok;
}

/* ---- signs and rounding ---- */

struct varlen numeric_neg(struct arena *arena, const struct varlen *a)
{
    int sign = numeric_sign(a);
    if (sign == 0)
        return *a;
    uint16_t head = numeric_head(a) ^ NUMERIC_HEAD_NEGATIVE;
    struct varlen result = *a;
    if (a->len <= VARLEN_INLINE_MAX) {
        memcpy(result.inlined, &head, sizeof(head));
        return result;
    }
    uint8_t *bytes = arena_copy(arena, varlen_bytes(a), a->len);
    memcpy(bytes, &head, sizeof(head));
    return varlen_view(bytes, a->len);
}

struct varlen numeric_abs(struct arena *arena, const struct varlen *a)
{
    return numeric_sign(a) < 0 ? numeric_neg(arena, a) : *a;
}

static struct varlen change_digits(struct arena *arena, const struct varlen *a, int32_t digits, bool round)
{
    if (digits > NUMERIC_SCALE_MAX)
        digits = NUMERIC_SCALE_MAX;
    if (digits < -NUMERIC_DIGITS_MAX - 1)
        digits = -NUMERIC_DIGITS_MAX - 1;
    struct numeric_small small;
    if (LIKELY(numeric_unpack_small(a, &small))) {
        int32_t scale = digits < 0 ? 0 : digits;
        int32_t drop = small.scale - digits;
        __int128 value = small.coefficient;
        if (drop <= 0) {
            if (numeric_scale_up(&value, -drop))
                return numeric_pack_small(arena, value, scale);
        } else if (drop > NUMERIC_POW10_MAX) {
            return numeric_pack_small(arena, 0, scale);
        } else {
            __int128 power = (__int128)numeric_pow10[drop], rest = value % power;
            value /= power;
            if (round && rest >= power - rest)
                value++;
            else if (round && -rest >= power + rest)
                value--;
            if (digits >= 0 || numeric_scale_up(&value, -digits))
                return numeric_pack_small(arena, value, scale);
        }
    } else if (numeric_head_special(a)) {
        return *a;
    }
    mpz_t coefficient;
    mpz_init(coefficient);
    int32_t scale = numeric_load(a, coefficient);
    numeric_mpz_rescale(coefficient, scale, digits, round);
    if (digits < 0)
        numeric_mpz_rescale(coefficient, digits, 0, false);
    struct varlen result = numeric_store_unchecked(arena, coefficient, digits < 0 ? 0 : digits);
    mpz_clear(coefficient);
    return result;
}

struct varlen numeric_round(struct arena *arena, const struct varlen *a, int32_t digits)
{
    return change_digits(arena, a, digits, true);
}

struct varlen numeric_trunc(struct arena *arena, const struct varlen *a, int32_t digits)
{
    return change_digits(arena, a, digits, false);
}

/* The whole number next to a fraction: away from zero when its sign is `away_sign`, else towards zero. */
static struct varlen to_whole(struct arena *arena, const struct varlen *a, int away_sign)
{
    if (numeric_head_special(a))
        return *a;
    struct varlen whole = numeric_trunc(arena, a, 0);
    if (numeric_sign(a) != away_sign || numeric_compare(&whole, a) == 0)
        return whole;
    struct varlen one = numeric_from_i64(arena, away_sign), result;
    /* cannot leave the format: |a| + 1 has as many digits as |a| or one more, stored unchecked below if so */
    if (numeric_add(arena, &whole, &one, &result, NULL))
        return result;
    mpz_t coefficient;
    mpz_init(coefficient);
    numeric_load(&whole, coefficient);
    if (away_sign > 0)
        mpz_add_ui(coefficient, coefficient, 1);
    else
        mpz_sub_ui(coefficient, coefficient, 1);
    result = numeric_store_unchecked(arena, coefficient, 0);
    mpz_clear(coefficient);
    return result;
}

struct varlen numeric_ceil(struct arena *arena, const struct varlen *a)
{
    return to_whole(arena, a, 1);
}

struct varlen numeric_floor(struct arena *arena, const struct varlen *a)
{
    return to_whole(arena, a, -1);
}

struct varlen numeric_trim_scale(struct arena *arena, const struct varlen *a)
{
    struct numeric_small small;
    if (LIKELY(numeric_unpack_small(a, &small))) {
        if (small.coefficient == 0)
            return numeric_pack_small(arena, 0, 0);
        while (small.scale > 0 && small.coefficient % 10 == 0) {
            small.coefficient /= 10;
            small.scale--;
        }
        return numeric_pack_small(arena, small.coefficient, small.scale);
    }
    if (numeric_head_special(a))
        return *a;
    mpz_t coefficient, ten, stripped;
    mpz_inits(coefficient, stripped, NULL);
    mpz_init_set_ui(ten, 10);
    int32_t scale = numeric_load(a, coefficient);
    int32_t zeros = (int32_t)mpz_remove(stripped, coefficient, ten);
    int32_t drop = zeros < scale ? zeros : scale;
    numeric_mpz_rescale(coefficient, scale, scale - drop, false);
    struct varlen result = numeric_store_unchecked(arena, coefficient, scale - drop);
    mpz_clears(coefficient, ten, stripped, NULL);
    return result;
}

/* ---- whole-number functions ---- */

/* gcd or lcm of both, brought to one scale; NaN when either is special. */
static bool common_scale(struct arena *arena, const struct varlen *a, const struct varlen *b,
                         void (*combine)(mpz_ptr, mpz_srcptr, mpz_srcptr), struct varlen *out,
                         struct error *err)
{
    if (numeric_head_special(a) || numeric_head_special(b)) {
        *out = numeric_special(NUMERIC_NAN);
        return true;
    }
    mpz_t x, y;
    mpz_inits(x, y, NULL);
    int32_t scale_x = numeric_load(a, x), scale_y = numeric_load(b, y), scale = max_i32(scale_x, scale_y);
    numeric_mpz_rescale(x, scale_x, scale, false);
    numeric_mpz_rescale(y, scale_y, scale, false);
    combine(x, x, y);
    bool ok = numeric_store(arena, x, scale, out, err);
    mpz_clears(x, y, NULL);
    return ok;
}

bool numeric_gcd(struct arena *arena, const struct varlen *a, const struct varlen *b, struct varlen *out,
                 struct error *err)
{
    return common_scale(arena, a, b, mpz_gcd, out, err);
}

bool numeric_lcm(struct arena *arena, const struct varlen *a, const struct varlen *b, struct varlen *out,
                 struct error *err)
{
    return common_scale(arena, a, b, mpz_lcm, out, err);
}

bool numeric_factorial(struct arena *arena, int64_t n, struct varlen *out, struct error *err)
{
    if (n < 0)
        return error_set(err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
                         "factorial of a negative number is undefined");
    if (n > FACTORIAL_MAX)
        return numeric_overflow(err);
    mpz_t result;
    mpz_init(result);
    mpz_fac_ui(result, (unsigned long)n);
    bool ok = numeric_store(arena, result, 0, out, err);
    mpz_clear(result);
    return ok;
}

int32_t numeric_min_scale(const struct varlen *a)
{
    struct numeric_small small;
    if (LIKELY(numeric_unpack_small(a, &small))) {
        if (small.coefficient == 0)
            return 0;
        while (small.scale > 0 && small.coefficient % 10 == 0) {
            small.coefficient /= 10;
            small.scale--;
        }
        return small.scale;
    }
    if (numeric_head_special(a))
        return 0;
    mpz_t coefficient, ten;
    mpz_init(coefficient);
    mpz_init_set_ui(ten, 10);
    int32_t scale = numeric_load(a, coefficient), zeros = (int32_t)mpz_remove(coefficient, coefficient, ten);
    mpz_clears(coefficient, ten, NULL);
    return zeros < scale ? scale - zeros : 0;
}
