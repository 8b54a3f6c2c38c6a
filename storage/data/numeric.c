/* numeric.c: numeric's encoding, text form, comparison, hash and conversions.
 *
 * Invariants of the encoding: zero has no magnitude bytes and never the negative bit; the magnitude has no
 * leading zero byte; bytes beyond `len` of an inline value are zero. So identical values have identical
 * bytes. */
#include "storage/data/numeric.h"

#include "storage/data/numeric_internal.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <xxhash.h>

#define P19 ((numeric_u128)10000000000000000000ull)

const numeric_u128 numeric_pow10[NUMERIC_POW10_MAX + 1] = {
    1ull,
    10ull,
    100ull,
    1000ull,
    10000ull,
    100000ull,
    1000000ull,
    10000000ull,
    100000000ull,
    1000000000ull,
    10000000000ull,
    100000000000ull,
    1000000000000ull,
    10000000000000ull,
    100000000000000ull,
    1000000000000000ull,
    10000000000000000ull,
    100000000000000000ull,
    1000000000000000000ull,
    P19,
    P19 * 10ull,
    P19 * 100ull,
    P19 * 1000ull,
    P19 * 10000ull,
    P19 * 100000ull,
    P19 * 1000000ull,
    P19 * 10000000ull,
    P19 * 100000000ull,
    P19 * 1000000000ull,
    P19 * 10000000000ull,
    P19 * 100000000000ull,
    P19 * 1000000000000ull,
    P19 * 10000000000000ull,
    P19 * 100000000000000ull,
    P19 * 1000000000000000ull,
    P19 * 10000000000000000ull,
    P19 * 100000000000000000ull,
    P19 * 1000000000000000000ull,
    P19 *P19,
};

/* ---- encoding ---- */

enum numeric_kind numeric_kind(const struct varlen *value)
{
    uint16_t head = numeric_head(value);
    if (!(head & NUMERIC_HEAD_SPECIAL))
        return NUMERIC_FINITE;
    if ((head & NUMERIC_HEAD_SCALE) == 0)
        return NUMERIC_NAN;
    return head & NUMERIC_HEAD_NEGATIVE ? NUMERIC_MINUS_INFINITY : NUMERIC_PLUS_INFINITY;
}

struct varlen numeric_special(enum numeric_kind kind)
{
    uint16_t head = NUMERIC_HEAD_SPECIAL;
    if (kind != NUMERIC_NAN)
        head |= 1;
    if (kind == NUMERIC_MINUS_INFINITY)
        head |= NUMERIC_HEAD_NEGATIVE;
    return varlen_view(&head, sizeof(head));
}

bool numeric_unpack_small(const struct varlen *value, struct numeric_small *out)
{
    uint16_t head;
    uint64_t low = 0, high = 0;
    if (LIKELY(value->len <= VARLEN_INLINE_MAX)) {
        uint16_t top;
        memcpy(&head, value->inlined, sizeof(head));
        memcpy(&low, value->inlined + 2, sizeof(low));
        memcpy(&top, value->inlined + 10, sizeof(top));
        high = top;
        if (UNLIKELY(head & NUMERIC_HEAD_SPECIAL))
            return false;
    } else {
        if (value->len > 2 + 16)
            return false;
        const uint8_t *bytes = varlen_bytes(value);
        memcpy(&head, bytes, sizeof(head));
        memcpy(&low, bytes + 2, sizeof(low));
        memcpy(&high, bytes + 10, value->len - 10);
        if (high >> 63)
            return false;
    }
    __int128 magnitude = (__int128)((numeric_u128)high << 64 | low);
    out->coefficient = head & NUMERIC_HEAD_NEGATIVE ? -magnitude : magnitude;
    out->scale = head & NUMERIC_HEAD_SCALE;
    return true;
}

struct varlen numeric_pack_small(struct arena *arena, __int128 coefficient, int32_t scale)
{
    numeric_u128 magnitude = numeric_magnitude(coefficient);
    uint16_t head = (uint16_t)(scale & NUMERIC_HEAD_SCALE);
    if (coefficient < 0)
        head |= NUMERIC_HEAD_NEGATIVE;
    uint64_t low = (uint64_t)magnitude, high = (uint64_t)(magnitude >> 64);
    struct varlen value;
    if (LIKELY(high >> 16 == 0)) {
        uint32_t bytes = 0;
        if (high != 0)
            bytes = 8 + (71 - (uint32_t)__builtin_clzll(high)) / 8;
        else if (low != 0)
            bytes = (71 - (uint32_t)__builtin_clzll(low)) / 8;
        uint16_t top = (uint16_t)high;
        value.len = 2 + bytes;
        memcpy(value.inlined, &head, sizeof(head));
        memcpy(value.inlined + 2, &low, sizeof(low));
        memcpy(value.inlined + 10, &top, sizeof(top));
        return value;
    }
    uint32_t len = 2 + 8 + (71 - (uint32_t)__builtin_clzll(high)) / 8;
    uint8_t *bytes = arena_alloc(arena, 18);
    memcpy(bytes, &head, sizeof(head));
    memcpy(bytes + 2, &low, sizeof(low));
    memcpy(bytes + 10, &high, sizeof(high));
    return varlen_view(bytes, len);
}

int32_t numeric_load(const struct varlen *value, mpz_t coefficient)
{
    uint16_t head = numeric_head(value);
    if (value->len <= 2) { /* also the zero bytes that stand for NULL in a column */
        mpz_set_ui(coefficient, 0);
        return head & NUMERIC_HEAD_SCALE;
    }
    mpz_import(coefficient, value->len - 2, -1, 1, 0, 0, varlen_bytes(value) + 2);
    if (head & NUMERIC_HEAD_NEGATIVE)
        mpz_neg(coefficient, coefficient);
    return head & NUMERIC_HEAD_SCALE;
}

struct varlen numeric_store_unchecked(struct arena *arena, const mpz_t coefficient, int32_t scale)
{
    uint16_t head = (uint16_t)(scale & NUMERIC_HEAD_SCALE);
    if (mpz_sgn(coefficient) < 0)
        head |= NUMERIC_HEAD_NEGATIVE;
    size_t bytes = mpz_sgn(coefficient) == 0 ? 0 : (mpz_sizeinbase(coefficient, 2) + 7) / 8;
    uint8_t inlined[VARLEN_INLINE_MAX];
    uint8_t *to = 2 + bytes <= VARLEN_INLINE_MAX ? inlined : arena_alloc(arena, 2 + bytes);
    memcpy(to, &head, sizeof(head));
    if (bytes > 0)
        mpz_export(to + 2, NULL, -1, 1, 0, 0, coefficient);
    return varlen_view(to, (uint32_t)(2 + bytes));
}

bool numeric_overflow(struct error *err)
{
    return error_set(err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
}

bool numeric_store(struct arena *arena, const mpz_t coefficient, int32_t scale, struct varlen *out,
                   struct error *err)
{
    if (scale > NUMERIC_SCALE_MAX)
        return numeric_overflow(err);
    /* the size in base 10 may be one too large: count exactly only when that decides */
    if (mpz_sizeinbase(coefficient, 10) > (size_t)scale + NUMERIC_DIGITS_MAX &&
        numeric_mpz_digits(coefficient) - scale > NUMERIC_DIGITS_MAX)
        return numeric_overflow(err);
    *out = numeric_store_unchecked(arena, coefficient, scale);
    return true;
}

/* ---- decimal helpers ---- */

int numeric_count_digits(numeric_u128 magnitude)
{
    int bits = magnitude >> 64 != 0 ? 128 - __builtin_clzll((uint64_t)(magnitude >> 64))
                                    : 64 - __builtin_clzll((uint64_t)magnitude | 1);
    int digits = bits * 1233 >> 12; /* floor(bits * log10(2)), right for up to 128 bits */
    return digits > NUMERIC_POW10_MAX || magnitude < numeric_pow10[digits] ? (digits == 0 ? 1 : digits)
                                                                           : digits + 1;
}

int32_t numeric_mpz_digits(const mpz_t coefficient)
{
    size_t digits = mpz_sizeinbase(coefficient, 10);
    if (digits > 1) {
        mpz_t power;
        mpz_init(power);
        numeric_mpz_pow10(power, (uint32_t)digits - 1);
        if (mpz_cmpabs(coefficient, power) < 0)
            digits--;
        mpz_clear(power);
    }
    return (int32_t)digits;
}

void numeric_mpz_pow10(mpz_t out, uint32_t power)
{
    mpz_ui_pow_ui(out, 10, power);
}

void numeric_mpz_div_round(mpz_t quotient, const mpz_t a, const mpz_t b)
{
    mpz_t rest, whole;
    mpz_inits(rest, whole, NULL);
    int sign = mpz_sgn(a) * mpz_sgn(b);
    mpz_tdiv_qr(whole, rest, a, b);
    mpz_mul_2exp(rest, rest, 1);
    if (mpz_cmpabs(rest, b) >= 0) {
        if (sign >= 0)
            mpz_add_ui(whole, whole, 1);
        else
            mpz_sub_ui(whole, whole, 1);
    }
    mpz_swap(quotient, whole);
    mpz_clears(rest, whole, NULL);
}

void numeric_mpz_rescale(mpz_t coefficient, int32_t from, int32_t to, bool round)
{
    if (from == to || mpz_sgn(coefficient) == 0)
        return;
    mpz_t power;
    mpz_init(power);
    if (to > from) {
        numeric_mpz_pow10(power, (uint32_t)(to - from));
        mpz_mul(coefficient, coefficient, power);
    } else if ((size_t)(from - to) > mpz_sizeinbase(coefficient, 10)) {
        mpz_set_ui(coefficient, 0);
    } else {
        numeric_mpz_pow10(power, (uint32_t)(from - to));
        if (round)
            numeric_mpz_div_round(coefficient, coefficient, power);
        else
            mpz_tdiv_q(coefficient, coefficient, power);
    }
    mpz_clear(power);
}

void numeric_leading(const mpz_t coefficient, int32_t scale, struct numeric_leading *out)
{
    *out = (struct numeric_leading){0};
    if (mpz_sgn(coefficient) == 0)
        return;
    int32_t exponent = numeric_mpz_digits(coefficient) - 1 - scale; /* of the first decimal digit */
    out->weight = exponent >= 0 ? exponent / 4 : -((3 - exponent) / 4);
    /* the value's first 16 decimal places from the top of that base-10000 digit on */
    mpz_t part, power;
    mpz_init_set(part, coefficient);
    mpz_init(power);
    mpz_abs(part, part);
    int32_t keep_scale = 12 - 4 * out->weight; /* digit 3 is worth 10^-keep_scale */
    numeric_mpz_rescale(part, scale, keep_scale, false);
    uint64_t digits = 0;
    mpz_export(&digits, NULL, -1, 8, 0, 0, part);
    for (int i = 3; i >= 0; i--) {
        out->digits[i] = (int32_t)(digits % 10000);
        digits /= 10000;
    }
    /* where the last base-10000 digit that is not 0 stands */
    mpz_set_ui(power, 10);
    int32_t trailing = (int32_t)mpz_remove(part, coefficient, power);
    int32_t last = trailing - scale; /* exponent of the last decimal digit */
    int32_t last_weight = last >= 0 ? last / 4 : -((3 - last) / 4);
    out->count = out->weight - last_weight + 1;
    mpz_clears(part, power, NULL);
}

/* ---- properties ---- */

bool numeric_is_nan(const struct varlen *value)
{
    return numeric_kind(value) == NUMERIC_NAN;
}

bool numeric_is_special(const struct varlen *value)
{
    return numeric_head_special(value);
}

int numeric_sign(const struct varlen *value)
{
    uint16_t head = numeric_head(value);
    if (head & NUMERIC_HEAD_SPECIAL) {
        if ((head & NUMERIC_HEAD_SCALE) == 0)
            return 0;
    } else if (value->len <= 2) {
        return 0;
    }
    return head & NUMERIC_HEAD_NEGATIVE ? -1 : 1;
}

int32_t numeric_scale(const struct varlen *value)
{
    uint16_t head = numeric_head(value);
    return head & NUMERIC_HEAD_SPECIAL ? 0 : head & NUMERIC_HEAD_SCALE;
}

/* Rank in the order -Infinity < finite < Infinity < NaN. */
static int special_rank(enum numeric_kind kind)
{
    switch (kind) {
    case NUMERIC_MINUS_INFINITY:
        return -1;
    case NUMERIC_PLUS_INFINITY:
        return 1;
    case NUMERIC_NAN:
        return 2;
    case NUMERIC_FINITE:
        break;
    }
    return 0;
}

static int compare_big(const struct varlen *a, const struct varlen *b)
{
    int sign_a = numeric_sign(a), sign_b = numeric_sign(b);
    if (sign_a != sign_b)
        return sign_a < sign_b ? -1 : 1;
    mpz_t x, y;
    mpz_inits(x, y, NULL);
    int32_t scale_x = numeric_load(a, x), scale_y = numeric_load(b, y);
    if (scale_x < scale_y)
        numeric_mpz_rescale(x, scale_x, scale_y, false);
    else
        numeric_mpz_rescale(y, scale_y, scale_x, false);
    int order = mpz_cmp(x, y);
    mpz_clears(x, y, NULL);
    return order < 0 ? -1 : order > 0;
}

int numeric_compare(const struct varlen *a, const struct varlen *b)
{
    struct numeric_small x, y;
    if (LIKELY(numeric_unpack_small(a, &x) && numeric_unpack_small(b, &y))) {
        bool fits =
            x.scale == y.scale || (x.scale < y.scale ? numeric_scale_up(&x.coefficient, y.scale - x.scale)
                                                     : numeric_scale_up(&y.coefficient, x.scale - y.scale));
        if (fits)
            return x.coefficient < y.coefficient ? -1 : x.coefficient > y.coefficient;
    }
    enum numeric_kind kind_a = numeric_kind(a), kind_b = numeric_kind(b);
    if (kind_a != NUMERIC_FINITE || kind_b != NUMERIC_FINITE) {
        int rank_a = special_rank(kind_a), rank_b = special_rank(kind_b);
        return rank_a < rank_b ? -1 : rank_a > rank_b;
    }
    return compare_big(a, b);
}

/* Hash of (magnitude without trailing zeros, exponent, sign): the same whatever the display scale. */
static uint64_t hash_parts(const void *magnitude, size_t bytes, int32_t exponent, bool negative)
{
    uint64_t seed = ((uint64_t)(uint32_t)exponent << 1 | negative) * 0x9E3779B97F4A7C15ull;
    return XXH3_64bits_withSeed(magnitude, bytes, seed);
}

uint64_t numeric_hash(const struct varlen *value)
{
    struct numeric_small small;
    if (LIKELY(numeric_unpack_small(value, &small))) {
        if (small.coefficient == 0)
            return hash_parts(NULL, 0, 0, false);
        numeric_u128 magnitude = numeric_magnitude(small.coefficient);
        int32_t exponent = -small.scale;
        while (magnitude >> 64 != 0 && magnitude % 10 == 0) {
            magnitude /= 10;
            exponent++;
        }
        if (magnitude >> 64 == 0) {
            uint64_t low = (uint64_t)magnitude;
            while (low % 10000 == 0) {
                low /= 10000;
                exponent += 4;
            }
            while (low % 10 == 0) {
                low /= 10;
                exponent++;
            }
            return hash_parts(&low, sizeof(low), exponent, small.coefficient < 0);
        }
        return hash_parts(&magnitude, sizeof(magnitude), exponent, small.coefficient < 0);
    }
    enum numeric_kind kind = numeric_kind(value);
    if (kind != NUMERIC_FINITE) {
        uint8_t tag = (uint8_t)kind;
        return hash_parts(&tag, 1, INT32_MAX, false);
    }
    mpz_t coefficient, ten;
    mpz_init(coefficient);
    mpz_init_set_ui(ten, 10);
    int32_t exponent = -numeric_load(value, coefficient);
    exponent += (int32_t)mpz_remove(coefficient, coefficient, ten);
    bool negative = mpz_sgn(coefficient) < 0;
    size_t bits = mpz_sizeinbase(coefficient, 2);
    uint64_t hash;
    if (bits <= 128) { /* must agree with the path above */
        uint64_t words[2] = {0, 0};
        mpz_export(words, NULL, -1, 8, 0, 0, coefficient);
        hash = hash_parts(words, bits <= 64 ? 8 : 16, exponent, negative);
    } else {
        hash = hash_parts(mpz_limbs_read(coefficient), mpz_size(coefficient) * sizeof(mp_limb_t), exponent,
                          negative);
    }
    mpz_clears(coefficient, ten, NULL);
    return hash;
}

/* ---- conversions ---- */

struct varlen numeric_from_i64(struct arena *arena, int64_t value)
{
    return numeric_pack_small(arena, value, 0);
}

static bool from_double_text(struct arena *arena, double value, int digits, struct varlen *out,
                             struct error *err)
{
    if (isnan(value)) {
        *out = numeric_special(NUMERIC_NAN);
        return true;
    }
    if (isinf(value)) {
        *out = numeric_special(value < 0 ? NUMERIC_MINUS_INFINITY : NUMERIC_PLUS_INFINITY);
        return true;
    }
    char text[64];
    int len = snprintf(text, sizeof(text), "%.*g", digits, value);
    return numeric_parse(arena, text, (size_t)len, -1, out, err);
}

bool numeric_from_f64(struct arena *arena, double value, struct varlen *out, struct error *err)
{
    /* whole numbers of up to 15 digits need no text */
    if (value > -1e15 && value < 1e15 && value == (double)(int64_t)value) {
        *out = numeric_pack_small(arena, (int64_t)value, 0);
        return true;
    }
    return from_double_text(arena, value, 15, out, err);
}

bool numeric_from_f32(struct arena *arena, float value, struct varlen *out, struct error *err)
{
    return from_double_text(arena, (double)value, 6, out, err);
}

bool numeric_to_i64(const struct varlen *value, int64_t *out, struct error *err)
{
    struct numeric_small small;
    if (LIKELY(numeric_unpack_small(value, &small))) {
        __int128 whole = small.coefficient;
        if (small.scale > NUMERIC_POW10_MAX) {
            whole = 0; /* below 0.5: 2^127 < 5 * 10^38 */
        } else if (small.scale > 0) {
            __int128 power = (__int128)numeric_pow10[small.scale];
            __int128 rest = whole % power;
            whole /= power;
            if (rest >= power - rest)
                whole++;
            else if (-rest >= power + rest)
                whole--;
        }
        if (whole < INT64_MIN || whole > INT64_MAX)
            return error_set(err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range");
        *out = (int64_t)whole;
        return true;
    }
    enum numeric_kind kind = numeric_kind(value);
    if (kind == NUMERIC_NAN)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "cannot convert NaN to bigint");
    if (kind != NUMERIC_FINITE)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "cannot convert infinity to bigint");
    mpz_t coefficient;
    mpz_init(coefficient);
    int32_t scale = numeric_load(value, coefficient);
    numeric_mpz_rescale(coefficient, scale, 0, true);
    bool fits = mpz_fits_slong_p(coefficient);
    if (fits)
        *out = mpz_get_si(coefficient);
    mpz_clear(coefficient);
    return fits || error_set(err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range");
}

double numeric_to_f64(const struct varlen *value)
{
    static const double exact_pow10[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                         1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                         1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    struct numeric_small small;
    if (LIKELY(numeric_unpack_small(value, &small))) {
        /* both operands exact: one correctly rounded division */
        if (numeric_magnitude(small.coefficient) <= (1ull << 53) && small.scale <= 22)
            return (double)(int64_t)small.coefficient / exact_pow10[small.scale];
    } else {
        switch (numeric_kind(value)) {
        case NUMERIC_NAN:
            return (double)NAN;
        case NUMERIC_PLUS_INFINITY:
            return (double)INFINITY;
        case NUMERIC_MINUS_INFINITY:
            return (double)-INFINITY;
        case NUMERIC_FINITE:
            break;
        }
    }
    struct strbuf text = STRBUF_INIT;
    numeric_format(value, &text);
    double result = strtod(text.data, NULL);
    strbuf_release(&text);
    return result;
}

/* ---- text ---- */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool bad_syntax(const char *text, size_t len, struct error *err)
{
    return error_set(err, ERRCODE_INVALID_TEXT_REPRESENTATION,
                     "invalid input syntax for type numeric: \"%.*s\"", (int)(len > INT_MAX ? INT_MAX : len),
                     text);
}

static bool word_is(const char *at, size_t len, const char *word)
{
    return strlen(word) == len && strncasecmp(at, word, len) == 0;
}

/* NaN, Infinity, inf, with a sign before the latter two. */
static bool parse_special(const char *at, size_t len, enum numeric_kind *kind)
{
    if (word_is(at, len, "nan")) {
        *kind = NUMERIC_NAN;
        return true;
    }
    bool negative = len > 0 && *at == '-';
    if (len > 0 && (*at == '-' || *at == '+')) {
        at++;
        len--;
    }
    if (!word_is(at, len, "infinity") && !word_is(at, len, "inf"))
        return false;
    *kind = negative ? NUMERIC_MINUS_INFINITY : NUMERIC_PLUS_INFINITY;
    return true;
}

/* A scanned literal: digits of `digits` (a point among them skipped) times 10^exponent. */
struct literal {
    bool negative;
    const char *digits;
    const char *digits_end;
    size_t digit_count;
    int32_t fraction_digits;
    int64_t exponent;
};

static bool scan_literal(const char *at, const char *end, struct literal *out)
{
    *out = (struct literal){0};
    if (at < end && (*at == '+' || *at == '-'))
        out->negative = *at++ == '-';
    out->digits = at;
    bool point = false;
    for (; at < end; at++) {
        if (*at == '.' && !point) {
            point = true;
        } else if (*at >= '0' && *at <= '9') {
            out->digit_count++;
            out->fraction_digits += point;
        } else {
            break;
        }
    }
    out->digits_end = at;
    if (out->digit_count == 0)
        return false;
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        bool negative = false;
        if (at < end && (*at == '+' || *at == '-'))
            negative = *at++ == '-';
        if (at == end || *at < '0' || *at > '9')
            return false;
        int64_t exponent = 0;
        for (; at < end && *at >= '0' && *at <= '9'; at++) {
            if (exponent < INT_MAX)
                exponent = exponent * 10 + (*at - '0');
        }
        out->exponent = negative ? -exponent : exponent;
    }
    return at == end;
}

static bool literal_small(const struct literal *literal, __int128 *out)
{
    if (literal->digit_count > NUMERIC_POW10_MAX)
        return false;
    numeric_u128 magnitude = 0;
    uint64_t chunk = 0, chunk_power = 1;
    for (const char *at = literal->digits; at < literal->digits_end; at++) {
        if (*at == '.')
            continue;
        chunk = chunk * 10 + (uint64_t)(*at - '0');
        chunk_power *= 10;
        if (chunk_power == 1000000000000000000ull) {
            magnitude = magnitude * chunk_power + chunk;
            chunk = 0;
            chunk_power = 1;
        }
    }
    magnitude = magnitude * chunk_power + chunk;
    *out = literal->negative ? -(__int128)magnitude : (__int128)magnitude;
    return true;
}

static void literal_big(const struct literal *literal, mpz_t out)
{
    char *digits = mem_alloc(literal->digit_count + 1);
    size_t count = 0;
    for (const char *at = literal->digits; at < literal->digits_end; at++) {
        if (*at != '.')
            digits[count++] = *at;
    }
    digits[count] = '\0';
    mpz_set_str(out, digits, 10);
    mem_free(digits);
    if (literal->negative)
        mpz_neg(out, out);
}

bool numeric_parse(struct arena *arena, const char *text, size_t len, int32_t typmod, struct varlen *out,
                   struct error *err)
{
    const char *at = text, *end = text + len;
    while (at < end && is_space(*at))
        at++;
    while (end > at && is_space(end[-1]))
        end--;
    struct literal literal;
    if (!scan_literal(at, end, &literal)) {
        enum numeric_kind kind;
        if (!parse_special(at, (size_t)(end - at), &kind))
            return bad_syntax(text, len, err);
        struct varlen special = numeric_special(kind);
        return numeric_apply_typmod(arena, &special, typmod, out, err);
    }
    int64_t scale = literal.fraction_digits - literal.exponent;
    if (literal.exponent >= INT_MAX / 2 || scale > NUMERIC_SCALE_MAX)
        return numeric_overflow(err);
    struct varlen value;
    __int128 small;
    if (LIKELY(literal_small(&literal, &small) &&
               (scale >= 0 || (scale >= -NUMERIC_POW10_MAX && numeric_scale_up(&small, (int32_t)-scale))))) {
        value = numeric_pack_small(arena, small, scale < 0 ? 0 : (int32_t)scale);
        if (typmod < 4) {
            *out = value;
            return true;
        }
        return numeric_apply_typmod(arena, &value, typmod, out, err);
    }
    mpz_t big;
    mpz_init(big);
    literal_big(&literal, big);
    bool ok;
    if (mpz_sgn(big) == 0 && scale < 0)
        scale = 0;
    if (mpz_sgn(big) != 0 && (int64_t)mpz_sizeinbase(big, 10) - 1 - scale > NUMERIC_DIGITS_MAX) {
        ok = numeric_overflow(err);
    } else {
        if (scale < 0) {
            numeric_mpz_rescale(big, 0, (int32_t)-scale, false);
            scale = 0;
        }
        ok = numeric_store(arena, big, (int32_t)scale, &value, err);
    }
    mpz_clear(big);
    return ok && numeric_apply_typmod(arena, &value, typmod, out, err);
}

/* Writes digits[0..count) as a decimal with `scale` digits behind the point. */
static void format_digits(const char *digits, size_t count, int32_t scale, bool negative, struct strbuf *out)
{
    size_t before = count > (size_t)scale ? count - (size_t)scale : 0;
    strbuf_reserve(out, count + (size_t)scale + 4);
    char *to = out->data + out->len;
    if (negative)
        *to++ = '-';
    if (before == 0)
        *to++ = '0';
    memcpy(to, digits, before);
    to += before;
    if (scale > 0) {
        *to++ = '.';
        size_t zeros = count < (size_t)scale ? (size_t)scale - count : 0;
        memset(to, '0', zeros);
        to += zeros;
        memcpy(to, digits + before, count - before);
        to += count - before;
    }
    *to = '\0';
    out->len = (size_t)(to - out->data);
}

void numeric_format(const struct varlen *value, struct strbuf *out)
{
    struct numeric_small small;
    if (LIKELY(numeric_unpack_small(value, &small))) {
        char digits[40];
        char *at = digits + sizeof(digits);
        numeric_u128 magnitude = numeric_magnitude(small.coefficient);
        while (magnitude >> 64 != 0) {
            uint64_t low = (uint64_t)(magnitude % P19);
            magnitude /= P19;
            for (int i = 0; i < 19; i++) {
                *--at = (char)('0' + low % 10);
                low /= 10;
            }
        }
        for (uint64_t low = (uint64_t)magnitude; low != 0; low /= 10)
            *--at = (char)('0' + low % 10);
        format_digits(at, (size_t)(digits + sizeof(digits) - at), small.scale, small.coefficient < 0, out);
        return;
    }
    switch (numeric_kind(value)) {
    case NUMERIC_NAN:
        strbuf_adds(out, "NaN");
        return;
    case NUMERIC_PLUS_INFINITY:
        strbuf_adds(out, "Infinity");
        return;
    case NUMERIC_MINUS_INFINITY:
        strbuf_adds(out, "-Infinity");
        return;
    case NUMERIC_FINITE:
        break;
    }
    mpz_t coefficient;
    mpz_init(coefficient);
    int32_t scale = numeric_load(value, coefficient);
    char *digits = mem_alloc(mpz_sizeinbase(coefficient, 10) + 2);
    mpz_get_str(digits, 10, coefficient);
    bool negative = digits[0] == '-';
    format_digits(digits + negative, strlen(digits + negative), scale, negative, out);
    mem_free(digits);
    mpz_clear(coefficient);
}

/* ---- typmod ---- */

bool numeric_apply_typmod(struct arena *arena, const struct varlen *value, int32_t typmod, struct varlen *out,
                          struct error *err)
{
    if (typmod < 4) {
        *out = *value;
        return true;
    }
    int32_t precision = (typmod - 4) >> 16 & 0xFFFF;
    int32_t scale = (((typmod - 4) & 0x7FF) ^ 1024) - 1024;
    int32_t digits_max = precision - scale;
    struct numeric_small small;
    if (LIKELY(numeric_unpack_small(value, &small)) && scale >= 0 && digits_max >= 0 &&
        precision <= NUMERIC_POW10_MAX) {
        __int128 coefficient = small.coefficient;
        if (small.scale < scale) {
            if (!numeric_scale_up(&coefficient, scale - small.scale))
                goto overflow; /* beyond 2^127 > 10^precision: no field of up to 38 digits holds it */
        } else if (small.scale - scale > NUMERIC_POW10_MAX) {
            coefficient = 0;
        } else if (small.scale > scale) {
            __int128 power = (__int128)numeric_pow10[small.scale - scale];
            __int128 rest = coefficient % power;
            coefficient /= power;
            if (rest >= power - rest)
                coefficient++;
            else if (-rest >= power + rest)
                coefficient--;
        }
        if (numeric_magnitude(coefficient) >= numeric_pow10[precision])
            goto overflow;
        *out = numeric_pack_small(arena, coefficient, scale);
        return true;
    }
    enum numeric_kind kind = numeric_kind(value);
    if (kind == NUMERIC_NAN) {
        *out = *value;
        return true;
    }
    if (kind != NUMERIC_FINITE) {
        error_set(err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow");
        return error_detail(err, "A field with precision %d, scale %d cannot hold an infinite value.",
                            precision, scale);
    }
    mpz_t coefficient;
    mpz_init(coefficient);
    int32_t from = numeric_load(value, coefficient);
    numeric_mpz_rescale(coefficient, from, scale, true);
    bool fits = mpz_sgn(coefficient) == 0 || numeric_mpz_digits(coefficient) <= precision;
    if (fits) {
        if (scale < 0)
            numeric_mpz_rescale(coefficient, scale, 0, false);
        *out = numeric_store_unchecked(arena, coefficient, scale < 0 ? 0 : scale);
    }
    mpz_clear(coefficient);
    if (fits)
        return true;
overflow:
    error_set(err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow");
    return error_detail(err,
                        "A field with precision %d, scale %d must round to an absolute value less than %s%d.",
                        precision, scale, digits_max != 0 ? "10^" : "", digits_max != 0 ? digits_max : 1);
}
