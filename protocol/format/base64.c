/* base64.c: see base64.h. */
#include "protocol/format/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static uint32_t digit_of(char c)
{
    return c >= 'A' && c <= 'Z'   ? (uint32_t)(c - 'A')
           : c >= 'a' && c <= 'z' ? (uint32_t)(c - 'a') + 26
           : c >= '0' && c <= '9' ? (uint32_t)(c - '0') + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : UINT32_MAX;
}

bool base64_decode(const char *text, size_t len, uint8_t *out, size_t *out_len, struct error *err)
{
    size_t digits = len;
    while (digits > 0 && len - digits < 2 && text[digits - 1] == '=')
        digits--;
    if (digits % 4 == 1 || (len != digits && len % 4 != 0))
        return error_set(err, ERRCODE_INVALID_TEXT_REPRESENTATION, "invalid base64 end sequence");
    uint8_t *to = out;
    uint32_t word = 0;
    for (size_t i = 0; i < digits; i++) {
        uint32_t digit = digit_of(text[i]);
        if (digit == UINT32_MAX)
            return error_set(err, ERRCODE_INVALID_TEXT_REPRESENTATION,
                             "invalid base64: byte 0x%02x at position %zu", (uint8_t)text[i], i + 1);
        word = word << 6 | digit;
        if (i % 4 == 3) {
            *to++ = (uint8_t)(word >> 16);
            *to++ = (uint8_t)(word >> 8);
            *to++ = (uint8_t)word;
        }
    }
    if (digits % 4 == 2) {
        *to++ = (uint8_t)(word >> 4);
    } else if (digits % 4 == 3) {
        *to++ = (uint8_t)(word >> 10);
        *to++ = (uint8_t)(word >> 2);
    }
    *out_len = (size_t)(to - out);
    return true;
}

void base64_encode(const uint8_t *bytes, size_t len, struct strbuf *out)
{
    strbuf_reserve(out, len / 3 * 4 + 4);
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t word = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                        (left > 2 ? bytes[i + 2] : 0);
        strbuf_addc(out, alphabet[word >> 18]);
        strbuf_addc(out, alphabet[word >> 12 & 63]);
        strbuf_addc(out, left > 1 ? alphabet[word >> 6 & 63] : '=');
        strbuf_addc(out, left > 2 ? alphabet[word & 63] : '=');
    }
}
