/* float_format.c: shortest decimal forms of binary floating point, and back.
 *
 * Output wants the fewest digits that lie strictly between the two neighbouring midpoints, and of those the
 * closest to the value. Up to 15 significant digits (6 for real) that text is unique, so a cheap guess proves
 * itself: if round(x * 10^k) / 10^k == x with both sides exact, those digits are it. Everything else (results
 * of divisions, mostly) tries 16 and then 17 digits through the C library and checks them.
 *
 * Input uses the same exactness: digits < 2^53 and a power of ten up to 10^22 give a correctly rounded
 * quotient or product; the rest goes to strtod. */
#include "storage/data/float_format.h"

#include "storage/base/arena.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXACT_POWERS 22

static const double powers_of_ten[EXACT_POWERS + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                       1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* digits * 10^exponent, digits without trailing zeros */
struct decimal {
    uint64_t digits;
    int exponent;
};

static struct decimal decimal_trim(uint64_t digits, int exponent)
{
    while (digits != 0 && digits % 10 == 0) {
        digits /= 10;
        exponent++;
    }
    return (struct decimal){digits, exponent};
}

/* Is a decimal exactly one of the two midpoints between m*2^e and its neighbours? Such digits read back as
 * the value only by the rule of ties to even; PostgreSQL does not use them. */
static bool is_midpoint(struct decimal decimal, uint64_t mantissa, int exponent, bool lower_is_closer)
{
    for (int side = 0; side < 2; side++) {
        unsigned __int128 midpoint =
            side == 0 ? 2 * (unsigned __int128)mantissa + 1 : 2 * (unsigned __int128)mantissa - 1;
        int midpoint_exponent = exponent - 1;
        if (side == 1 && lower_is_closer) {
            midpoint = 4 * (unsigned __int128)mantissa - 1;
            midpoint_exponent = exponent - 2;
        }
        /* compare digits * 5^k * 2^k with midpoint * 2^me; midpoint is odd */
        unsigned __int128 left = decimal.digits, right = midpoint;
        int k = decimal.exponent, left_exponent = decimal.exponent;
        if (k > 27 || k < -27)
            continue; /* 5^28 does not divide or fit the other side */
        bool fits = true;
        for (; k > 0 && fits; k--)
            fits = !__builtin_mul_overflow(left, 5, &left);
        for (; k < 0 && fits; k++)
            fits = !__builtin_mul_overflow(right, 5, &right);
        if (!fits || left == 0)
            continue;
        while ((left & 1) == 0) {
            left >>= 1;
            left_exponent++;
        }
        if (left == right && left_exponent == midpoint_exponent)
            return true;
    }
    return false;
}

static struct decimal decimal_of_text(const char *text)
{
    struct decimal decimal = {0, 0};
    bool fraction = false;
    for (; *text != '\0' && *text != 'e'; text++) {
        if (*text == '.') {
            fraction = true;
            continue;
        }
        decimal.digits = decimal.digits * 10 + (uint64_t)(*text - '0');
        decimal.exponent -= fraction;
    }
    if (*text == 'e')
        decimal.exponent += (int)strtol(text + 1, NULL, 10);
    return decimal;
}

static double decimal_value(struct decimal decimal, bool is_float4)
{
    char text[48];
    snprintf(text, sizeof(text), "%llue%d", (unsigned long long)decimal.digits, decimal.exponent);
    return is_float4 ? (double)strtof(text, NULL) : strtod(text, NULL);
}

/* The general case: value > 0 and finite; no text of fewer than `first` digits will do. */
static struct decimal shortest_slow(double value, bool is_float4, int first)
{
    uint64_t mantissa;
    int exponent;
    bool lower_is_closer;
    if (is_float4) {
        float narrow = (float)value;
        uint32_t bits;
        memcpy(&bits, &narrow, 4);
        uint32_t fraction = bits & 0x7fffff, biased = bits >> 23;
        mantissa = biased ? fraction | 0x800000 : fraction;
        exponent = (biased ? (int)biased : 1) - 150;
        lower_is_closer = fraction == 0 && biased > 1;
    } else {
        uint64_t bits;
        memcpy(&bits, &value, 8);
        uint64_t fraction = bits & 0xfffffffffffffULL;
        int biased = (int)(bits >> 52);
        mantissa = biased ? fraction | 0x10000000000000ULL : fraction;
        exponent = (biased ? biased : 1) - 1075;
        lower_is_closer = fraction == 0 && biased > 1;
    }
    int last = is_float4 ? 9 : 17;
    for (int digits = first; digits < last; digits++) {
        char text[48];
        snprintf(text, sizeof(text), "%.*e", digits - 1, value);
        struct decimal nearest = decimal_of_text(text);
        /* at a power of two the gap above is twice the gap below: the second nearest may fit alone */
        for (int step = 0; step < (lower_is_closer ? 2 : 1); step++) {
            struct decimal candidate = {nearest.digits + (uint64_t)step, nearest.exponent};
            double back = step > 0    ? decimal_value(candidate, is_float4)
                          : is_float4 ? (double)strtof(text, NULL)
                                      : strtod(text, NULL);
            if (back == value && !is_midpoint(decimal_trim(candidate.digits, candidate.exponent), mantissa,
                                              exponent, lower_is_closer))
                return decimal_trim(candidate.digits, candidate.exponent);
        }
    }
    char text[48];
    snprintf(text, sizeof(text), "%.*e", last - 1, value);
    struct decimal full = decimal_of_text(text);
    return decimal_trim(full.digits, full.exponent);
}

static struct decimal shortest(double value, bool is_float4)
{
    double limit = is_float4 ? 1e6 : 1e15;
    int places_max = is_float4 ? 10 : EXACT_POWERS, unique_digits = is_float4 ? 6 : 15;
    bool subnormal = value < (is_float4 ? 1.1754943508222875e-38 : 2.2250738585072014e-308);
    if (value >= limit || value < (is_float4 ? 1e-4 : 1e-7))
        return shortest_slow(value, is_float4, subnormal ? 1 : unique_digits);
    for (int k = 0; k <= places_max; k++) {
        double scaled = value * powers_of_ten[k];
        if (scaled >= limit)
            break;
        double whole = nearbyint(scaled);
        double back = whole / powers_of_ten[k];
        if (whole < limit && (is_float4 ? (double)(float)back == value : back == value))
            return decimal_trim((uint64_t)whole, -k);
    }
    return shortest_slow(value, is_float4, is_float4 ? unique_digits : unique_digits + 1);
}

static void decimal_write(struct decimal decimal, int fixed_exponent_max, struct strbuf *out)
{
    char digits[24];
    int count = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)decimal.digits);
    int exponent = decimal.exponent + count - 1; /* of the first digit */
    if (exponent < -4 || exponent >= fixed_exponent_max) {
        strbuf_addc(out, digits[0]);
        if (count > 1) {
            strbuf_addc(out, '.');
            strbuf_add(out, digits + 1, (size_t)count - 1);
        }
        strbuf_addf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    } else if (exponent < 0) {
        strbuf_add(out, "0.0000", (size_t)(1 - exponent));
        strbuf_add(out, digits, (size_t)count);
    } else if (count <= exponent + 1) {
        strbuf_add(out, digits, (size_t)count);
        for (int i = count; i <= exponent; i++)
            strbuf_addc(out, '0');
    } else {
        strbuf_add(out, digits, (size_t)exponent + 1);
        strbuf_addc(out, '.');
        strbuf_add(out, digits + exponent + 1, (size_t)(count - exponent - 1));
    }
}

static void format_any(double value, bool is_float4, int extra_digits, struct strbuf *out)
{
    if (isnan(value)) {
        strbuf_adds(out, "NaN");
        return;
    }
    if (isinf(value)) {
        strbuf_adds(out, value < 0 ? "-Infinity" : "Infinity");
        return;
    }
    if (extra_digits <= 0) {
        int digits = (is_float4 ? 6 : 15) + extra_digits;
        strbuf_addf(out, "%.*g", digits < 1 ? 1 : digits, value);
        return;
    }
    if (signbit(value)) {
        strbuf_addc(out, '-');
        value = -value;
    }
    if (value == 0) {
        strbuf_addc(out, '0');
        return;
    }
    decimal_write(shortest(value, is_float4), is_float4 ? 6 : 15, out);
}

void float8_format(double value, int extra_digits, struct strbuf *out)
{
    format_any(value, false, extra_digits, out);
}

void float4_format(float value, int extra_digits, struct strbuf *out)
{
    format_any((double)value, true, extra_digits, out);
}

/* ---- input ---- */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool word_is(const char *text, size_t len, const char *lower)
{
    if (strlen(lower) != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c + 32);
        if (c != lower[i])
            return false;
    }
    return true;
}

/* Plain decimals whose digits and power of ten are both exact. */
static bool parse_exact(const char *text, size_t len, double *out)
{
    size_t at = 0;
    bool negative = false;
    if (at < len && (text[at] == '-' || text[at] == '+'))
        negative = text[at++] == '-';
    uint64_t digits = 0;
    int exponent = 0, seen = 0;
    for (; at < len && text[at] >= '0' && text[at] <= '9'; at++, seen++)
        digits = digits * 10 + (uint64_t)(text[at] - '0');
    if (at < len && text[at] == '.') {
        for (at++; at < len && text[at] >= '0' && text[at] <= '9'; at++, seen++, exponent--)
            digits = digits * 10 + (uint64_t)(text[at] - '0');
    }
    if (seen == 0 || seen > 18 || digits > (1ULL << 53))
        return false;
    if (at < len && (text[at] == 'e' || text[at] == 'E')) {
        bool minus = false;
        int power = 0;
        at++;
        if (at < len && (text[at] == '-' || text[at] == '+'))
            minus = text[at++] == '-';
        size_t start = at;
        for (; at < len && text[at] >= '0' && text[at] <= '9' && at - start < 4; at++)
            power = power * 10 + (text[at] - '0');
        if (at == start)
            return false;
        exponent += minus ? -power : power;
    }
    if (at != len || exponent < -EXACT_POWERS || exponent > EXACT_POWERS)
        return false;
    double value =
        exponent < 0 ? (double)digits / powers_of_ten[-exponent] : (double)digits * powers_of_ten[exponent];
    *out = negative ? -value : value;
    return true;
}

static bool parse_word(const char *text, size_t len, double *out)
{
    bool negative = false, sign = len > 0 && (text[0] == '-' || text[0] == '+');
    if (sign) {
        negative = text[0] == '-';
        text++;
        len--;
    }
    if (!sign && word_is(text, len, "nan")) {
        *out = (double)NAN;
        return true;
    }
    if (word_is(text, len, "infinity") || word_is(text, len, "inf")) {
        *out = negative ? -(double)INFINITY : (double)INFINITY;
        return true;
    }
    return false;
}

static bool parse_any(const char *text, size_t len, bool is_float4, double *out, struct error *err)
{
    const char *type = is_float4 ? "real" : "double precision";
    const char *whole = text;
    size_t whole_len = len;
    while (len > 0 && is_space(text[0])) {
        text++;
        len--;
    }
    while (len > 0 && is_space(text[len - 1]))
        len--;
    if (parse_exact(text, len, out)) {
        uint64_t bits;
        memcpy(&bits, out, 8);
        /* for real: rounding twice is safe unless the double lies on the midpoint of two floats or out of
         * range */
        double size = fabs(*out);
        if (!is_float4 || *out == 0 ||
            ((bits & 0x1fffffff) != 0x10000000 && size >= 1.2e-38 && size <= 3.4e38))
            return true;
    }
    if (parse_word(text, len, out))
        return true;
    char small[64];
    char *copy = len < sizeof(small) ? small : mem_alloc(len + 1);
    if (len > 0)
        memcpy(copy, text, len);
    copy[len] = '\0';
    char *end = copy;
    errno = 0;
    double value = is_float4 ? (double)strtof(copy, &end) : strtod(copy, &end);
    bool range = errno == ERANGE && (value == 0 || isinf(value));
    bool complete = len > 0 && (size_t)(end - copy) == len && !isnan(value);
    if (isinf(value) && !range)
        complete = false;
    if (copy != small)
        mem_free(copy);
    if (!complete)
        return error_set(err, ERRCODE_INVALID_TEXT_REPRESENTATION,
                         "invalid input syntax for type %s: \"%.*s\"", type,
                         (int)(whole_len > 400 ? 400 : whole_len), whole);
    if (range)
        return error_set(err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "\"%.*s\" is out of range for type %s",
                         (int)(len > 400 ? 400 : len), text, type);
    *out = value;
    return true;
}

bool float8_parse(const char *text, size_t len, double *out, struct error *err)
{
    return parse_any(text, len, false, out, err);
}

bool float4_parse(const char *text, size_t len, float *out, struct error *err)
{
    double value;
    if (!parse_any(text, len, true, &value, err))
        return false;
    *out = (float)value;
    return true;
}
