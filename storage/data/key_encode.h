/* key_encode.h: the pieces that single values and whole columns share for hashing and key encoding. */
#ifndef MILLRACE_DATA_KEY_ENCODE_H
#define MILLRACE_DATA_KEY_ENCODE_H

#include "storage/base/strbuf.h"
#include "storage/data/datum.h"
#include "storage/data/hash.h"

#define KEY_NULL_FIRST 0
#define KEY_VALUE      1
#define KEY_NULL_LAST  2
#define KEY_SIGN_64    0x8000000000000000ULL

/* Bits of a float for hashing: one zero, one NaN. */
static inline uint64_t float_bits(double value)
{
    uint64_t bits;
    if (value != value)
        return 0x7ff8000000000000ULL;
    value += 0.0; /* -0 becomes 0 */
    memcpy(&bits, &value, 8);
    return bits;
}

/* Unsigned order of these is the order of floats; NaN last. */
static inline uint64_t float_key(double value)
{
    uint64_t bits = float_bits(value);
    return bits & KEY_SIGN_64 ? ~bits : bits | KEY_SIGN_64;
}

/* Months count 30 days, days 24 hours: what PostgreSQL orders intervals by. */
static inline __int128 interval_span(const struct interval *interval)
{
    return ((__int128)interval->months * 30 + interval->days) * 86400000000LL + interval->us;
}

static inline uint64_t interval_hash(const struct interval *interval)
{
    __int128 span = interval_span(interval);
    return hash_combine(hash_u64((uint64_t)(span >> 64)), hash_u64((uint64_t)span));
}

static inline size_t escaped_key_bytes(const uint8_t *bytes, size_t len)
{
    size_t total = len + 2;
    for (size_t i = 0; i < len; i++)
        total += bytes[i] == 0;
    return total;
}

/* Writes the escaped bytes and the terminator; returns behind them. */
static inline uint8_t *escaped_key_write(uint8_t *to, const uint8_t *bytes, size_t len)
{
    if (len > 0 && memchr(bytes, 0, len) == NULL) {
        memcpy(to, bytes, len);
        to += len;
    } else {
        for (size_t i = 0; i < len; i++) {
            *to++ = bytes[i];
            if (bytes[i] == 0)
                *to++ = 0xff;
        }
    }
    *to++ = 0;
    *to++ = 0;
    return to;
}

/* type_compare() == 0, but cheaper where equality is. Neither is NULL. */
bool value_equal(uint32_t oid, const struct datum *a, const struct datum *b);
/* The key without its marker, ascending. Not NULL. */
void type_encode_key_body(uint32_t oid, const struct datum *value, struct strbuf *out);
/* A class byte (-Infinity, negative, zero, positive, Infinity, NaN), the exponent, digits in base 100, an end
 * byte; all but the class inverted when negative. */
void numeric_encode_key(const struct varlen *value, struct strbuf *out);

#endif
