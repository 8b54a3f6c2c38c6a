/* numeric_key.c: order-preserving bytes of numerics.
 *
 * The value is 0.d1d2d3... * 10^exponent without leading and trailing zeros, so 1.0 and 1.00 give the same
 * bytes. Digits go in pairs as byte 1..100, the end is byte 0: shorter digit strings sort before their
 * extensions. */
#include "storage/data/key_encode.h"
#include "storage/data/numeric.h"

#include <stdlib.h>

enum { CLASS_MINUS_INFINITY = 1, CLASS_NEGATIVE, CLASS_ZERO, CLASS_POSITIVE, CLASS_INFINITY, CLASS_NAN };

/* digits: characters '0'..'9', first and last not '0' */
static void encode_digits(const char *digits, size_t count, int32_t exponent, bool negative,
                          struct strbuf *out)
{
    strbuf_addc(out, negative ? CLASS_NEGATIVE : CLASS_POSITIVE);
    size_t start = out->len;
    strbuf_add_u32be(out, (uint32_t)exponent ^ 0x80000000u);
    strbuf_reserve(out, count / 2 + 2);
    for (size_t i = 0; i < count; i += 2) {
        int pair = (digits[i] - '0') * 10 + (i + 1 < count ? digits[i + 1] - '0' : 0);
        out->data[out->len++] = (char)(pair + 1);
    }
    out->data[out->len++] = 0;
    out->data[out->len] = '\0';
    if (negative) {
        for (size_t i = start; i < out->len; i++)
            out->data[i] = (char)~out->data[i];
    }
}

static void encode_small(const struct numeric_small *small, struct strbuf *out)
{
    bool negative = small->coefficient < 0;
    unsigned __int128 rest =
        negative ? -(unsigned __int128)small->coefficient : (unsigned __int128)small->coefficient;
    char digits[40];
    size_t at = sizeof(digits), end = sizeof(digits);
    while (rest >> 64 != 0) {
        digits[--at] = (char)('0' + (int)(rest % 10));
        rest /= 10;
    }
    for (uint64_t low = (uint64_t)rest; low != 0; low /= 10)
        digits[--at] = (char)('0' + low % 10);
    int32_t exponent = (int32_t)(end - at) - small->scale;
    while (digits[end - 1] == '0')
        end--;
    encode_digits(digits + at, end - at, exponent, negative, out);
}

static void encode_large(const struct varlen *value, struct strbuf *out)
{
    struct strbuf text = STRBUF_INIT;
    numeric_format(value, &text);
    char *digits = text.data;
    size_t count = 0;
    int32_t exponent = 0;
    bool fraction = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '.') {
            fraction = true;
        } else if (c >= '0' && c <= '9') {
            if (c == '0' && count == 0) {
                exponent -= fraction;
                continue;
            }
            exponent += !fraction;
            digits[count++] = c; /* never ahead of i */
        }
    }
    while (count > 0 && digits[count - 1] == '0')
        count--;
    encode_digits(digits, count, exponent, numeric_sign(value) < 0, out);
    strbuf_release(&text);
}

void numeric_encode_key(const struct varlen *value, struct strbuf *out)
{
    struct numeric_small small;
    if (numeric_is_nan(value))
        strbuf_addc(out, CLASS_NAN);
    else if (numeric_is_special(value))
        strbuf_addc(out, numeric_sign(value) < 0 ? CLASS_MINUS_INFINITY : CLASS_INFINITY);
    else if (numeric_sign(value) == 0)
        strbuf_addc(out, CLASS_ZERO);
    else if (numeric_unpack_small(value, &small))
        encode_small(&small, out);
    else
        encode_large(value, out);
}
