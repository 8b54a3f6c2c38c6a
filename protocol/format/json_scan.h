/* json_scan.h: walking over JSON text without building anything.
 *
 * The text stands in a buffer with JSON_PADDING zero bytes behind it: a zero byte is nowhere allowed in JSON, so every walk ends there by
 * itself and may load whole words without asking how much is left. Walks return where they stopped, or NULL when that is not JSON
 * (json_syntax_error then says why). */
#ifndef MILLRACE_FORMAT_JSON_SCAN_H
#define MILLRACE_FORMAT_JSON_SCAN_H

#include "storage/base/error.h"
#include "storage/base/simd.h"
#include "storage/base/strbuf.h"
#include "storage/data/json.h"
#include "storage/data/text_fast.h"

#define JSON_PADDING 96

static inline const uint8_t *json_skip_space(const uint8_t *at)
{
    while (UNLIKELY(*at <= ' ') && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r'))
        at++;
    return at;
}

/* May a number, true, false or null end before this byte: at white space, a comma, a bracket, or the end? */
static inline bool json_ends_word(uint8_t c)
{
    static const bool ends[256] = {[0] = true,   ['\t'] = true, ['\n'] = true, ['\r'] = true,
                                   [' '] = true, [','] = true,  [']'] = true,  ['}'] = true};
    return ends[c];
}

/* The first quote, backslash or control byte at or behind `at`, which stands in a string. *above is set when there are bytes beyond
 * ASCII before it, else left alone. */
static inline const uint8_t *json_plain_end(const uint8_t *at, bool *above)
{
    for (;; at += 16) {
        uint32_t high, hits = simd_string16(at, &high);
        if (LIKELY(hits != 0)) {
            uint32_t count = (uint32_t)__builtin_ctz(hits);
            *above |= (high & ((1u << count) - 1)) != 0;
            return at + count;
        }
        *above |= high != 0;
    }
}

/* A whole number of up to 18 digits that ends a word there; *end behind it. false: it is something else. */
static inline __attribute__((always_inline)) bool json_fast_int(const uint8_t *at, int64_t *out,
                                                                const uint8_t **end)
{
    bool negative = *at == '-';
    at += negative;
    uint64_t word = text_load8(at) ^ TEXT_EIGHT('0');
    uint64_t stop = text_not_digits(word);
    const uint8_t *first = at;
    uint64_t value = 0;
    if (UNLIKELY(stop == 0)) {
        value = text_eight_digits(word);
        at += 8;
        word = text_load8(at) ^ TEXT_EIGHT('0');
        stop = text_not_digits(word);
        if (stop == 0) {
            value = value * 100000000 + text_eight_digits(word);
            at += 8;
            for (; (uint8_t)(*at - '0') <= 9; at++) {
                if (at - first == 18)
                    return false;
                value = value * 10 + (uint64_t)(*at - '0');
            }
            stop = 0x80; /* no digit behind it */
            word = 0;
        }
    }
    static const uint32_t powers[8] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};
    uint32_t digits = (uint32_t)__builtin_ctzll(stop) / 8;
    if (digits > 0) {
        value = value * powers[digits] + text_eight_digits(word << (64 - 8 * digits));
        at += digits;
    }
    if (at == first || (*first == '0' && at - first > 1) || !json_ends_word(*at))
        return false;
    *out = negative ? -(int64_t)value : (int64_t)value;
    *end = at;
    return true;
}

/* Up to 16 digits; returns how many, and adds them to the value. */
static inline uint32_t json_digits(const uint8_t *at, uint64_t *value)
{
    static const uint64_t powers[9] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    uint32_t count = 0;
    for (int part = 0; part < 2; part++) {
        uint64_t word = text_load8(at + count) ^ TEXT_EIGHT('0');
        uint64_t stop = text_not_digits(word);
        uint32_t digits = stop == 0 ? 8 : (uint32_t)__builtin_ctzll(stop) / 8;
        if (digits == 0)
            break;
        *value = *value * powers[digits] + text_eight_digits(word << (64 - 8 * digits));
        count += digits;
        if (digits < 8)
            break;
    }
    return count;
}

/* A number without exponent, of up to 18 digits and at most 16 on either side of the point: *coefficient (without the sign) over 10 to the
 * *scale. */
static inline bool json_fast_decimal(const uint8_t *at, bool *negative, int64_t *coefficient, int32_t *scale,
                                     const uint8_t **end)
{
    *negative = *at == '-';
    at += *negative;
    uint64_t value = 0;
    uint32_t whole = json_digits(at, &value), fraction = 0;
    if (whole == 0 || (*at == '0' && whole > 1))
        return false;
    at += whole;
    if (*at == '.') {
        fraction = json_digits(at + 1, &value);
        if (fraction == 0)
            return false;
        at += fraction + 1;
    }
    if (!json_ends_word(*at) || whole + fraction > 18)
        return false;
    *scale = (int32_t)fraction;
    *coefficient = (int64_t)value;
    *end = at;
    return true;
}

/* What a value is, before it is looked at closer. */
struct json_token {
    enum json_kind kind;
    bool has_escapes, above; /* strings: backslashes; bytes beyond ASCII */
    const uint8_t *start;    /* its first byte */
    const uint8_t *end;      /* behind its last */
};

/* Behind the value at `at` (no white space before it), which is checked: grammar, escapes, UTF-8. *token may be NULL. */
const uint8_t *json_skip_value(const uint8_t *at, struct json_token *token);
/* Behind the string whose first quote stands at `at`. */
const uint8_t *json_skip_string(const uint8_t *at, struct json_token *token);
/* Behind the number at `at`, by JSON's grammar. */
const uint8_t *json_number_end(const uint8_t *at);

/* Walks over the object at `at` and sets values[i] to where the value of its last member called names[i] begins, NULL when there is none.
 * Behind the object. */
const uint8_t *json_find_members(const uint8_t *at, const char *const *names, uint32_t count,
                                 const uint8_t **values);

/* Appends what the bytes between a string's quotes mean. 22P05 for \u0000, 22P02 for half a surrogate pair. */
MUST_CHECK
bool json_unescape(const uint8_t *at, const uint8_t *end, struct strbuf *out, struct error *err);

/* Says what is wrong with a record that a walk gave up at `at`: 22P02, 22021, 54001 with the byte in the message. Returns false. */
bool json_syntax_error(const uint8_t *text, size_t len, const uint8_t *at, struct error *err);

#endif
