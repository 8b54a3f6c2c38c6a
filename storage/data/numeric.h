/* numeric.h: PostgreSQL's numeric: arbitrary precision decimals, NaN, +-Infinity (manual 8.1.2).
 *
 * Value = coefficient * 10^-scale. As a varlen: 2 bytes little-endian head (bits 0-13 display scale 0..16383,
 * bit 14 special, bit 15 negative), then the coefficient's magnitude, little-endian, minimal length, nothing
 * for zero. Specials: head only, with scale bits 0 = NaN, 1 = Infinity (sign bit for -Infinity). Up to 80
 * coefficient bits stand inline. Display scale is part of the value ("1.0" and "1.00" are equal, not
 * identical). Big work is done by GMP. */
#ifndef MILLRACE_DATA_NUMERIC_H
#define MILLRACE_DATA_NUMERIC_H

#include "storage/base/arena.h"
#include "storage/base/error.h"
#include "storage/base/strbuf.h"
#include "storage/data/datum.h"

/* A numeric whose coefficient fits 128 bits, unpacked: the fast path of every operation. */
struct numeric_small {
    __int128 coefficient;
    int32_t scale;
};

/* false when special or too large for 127 bits. */
bool numeric_unpack_small(const struct varlen *value, struct numeric_small *out);
struct varlen numeric_pack_small(struct arena *arena, __int128 coefficient, int32_t scale);
struct varlen numeric_from_i64(struct arena *arena, int64_t value);

/* For loops over many values, most of which are small: a coefficient of 63 bits, unpacked and packed in
 * place. false: special or larger; the other functions know what to do then. */
static inline bool numeric_unpack_i64(const struct varlen *value, int64_t *coefficient, int32_t *scale)
{
    uint16_t head;
    uint64_t magnitude;
    memcpy(&head, value->inlined, sizeof(head));
    memcpy(&magnitude, value->inlined + 2, sizeof(magnitude));
    *coefficient = (int64_t)(head & 0x8000 ? 0 - magnitude : magnitude);
    *scale = head & 0x3fff;
    return value->len <= 2 + sizeof(magnitude) && magnitude >> 63 == 0 && (head & 0x4000) == 0;
}

/* scale: 0 to 16383. */
static inline struct varlen numeric_pack_i64(int64_t coefficient, int32_t scale)
{
    uint64_t magnitude = coefficient < 0 ? 0 - (uint64_t)coefficient : (uint64_t)coefficient;
    uint16_t head = (uint16_t)(scale | (coefficient < 0 ? 0x8000 : 0));
    struct varlen value = {.len = 2 + (71 - (uint32_t)__builtin_clzll(magnitude | 1)) / 8};
    value.len -= magnitude == 0;
    memcpy(value.inlined, &head, sizeof(head));
    memcpy(value.inlined + 2, &magnitude, sizeof(magnitude));
    return value;
}
MUST_CHECK
bool numeric_from_f64(struct arena *arena, double value, struct varlen *out, struct error *err);
MUST_CHECK
bool numeric_from_f32(struct arena *arena, float value, struct varlen *out, struct error *err);
/* rounds; 22003 */
MUST_CHECK
bool numeric_to_i64(const struct varlen *value, int64_t *out, struct error *err);
double numeric_to_f64(const struct varlen *value);
MUST_CHECK
bool numeric_parse(struct arena *arena, const char *text, size_t len, int32_t typmod, struct varlen *out,
                   struct error *err);
void numeric_format(const struct varlen *value, struct strbuf *out);
MUST_CHECK
bool numeric_apply_typmod(struct arena *arena, const struct varlen *value, int32_t typmod, struct varlen *out,
                          struct error *err);
int numeric_compare(const struct varlen *a, const struct varlen *b);
uint64_t numeric_hash(const struct varlen *value);
bool numeric_is_nan(const struct varlen *value);
bool numeric_is_special(const struct varlen *value);
int numeric_sign(const struct varlen *value); /* -1 0 1; NaN gives 0 */
int32_t numeric_scale(const struct varlen *value);

/* Arithmetic with PostgreSQL's result scales (numeric.c: select_div_scale and friends). Errors 22003, 22012,
 * 2201E, 2201F. Results live in the arena. */
MUST_CHECK
bool numeric_add(struct arena *arena, const struct varlen *a, const struct varlen *b, struct varlen *out,
                 struct error *err);
MUST_CHECK
bool numeric_sub(struct arena *arena, const struct varlen *a, const struct varlen *b, struct varlen *out,
                 struct error *err);
MUST_CHECK
bool numeric_mul(struct arena *arena, const struct varlen *a, const struct varlen *b, struct varlen *out,
                 struct error *err);
MUST_CHECK
bool numeric_div(struct arena *arena, const struct varlen *a, const struct varlen *b, struct varlen *out,
                 struct error *err);
MUST_CHECK
bool numeric_div_trunc(struct arena *arena, const struct varlen *a, const struct varlen *b,
                       struct varlen *out, struct error *err); /* div() */
MUST_CHECK
bool numeric_mod(struct arena *arena, const struct varlen *a, const struct varlen *b, struct varlen *out,
                 struct error *err);
MUST_CHECK
bool numeric_power(struct arena *arena, const struct varlen *a, const struct varlen *b, struct varlen *out,
                   struct error *err);
MUST_CHECK
bool numeric_sqrt(struct arena *arena, const struct varlen *a, struct varlen *out, struct error *err);
MUST_CHECK
bool numeric_exp(struct arena *arena, const struct varlen *a, struct varlen *out, struct error *err);
MUST_CHECK
bool numeric_ln(struct arena *arena, const struct varlen *a, struct varlen *out, struct error *err);
MUST_CHECK
bool numeric_log(struct arena *arena, const struct varlen *base, const struct varlen *a, struct varlen *out,
                 struct error *err);
struct varlen numeric_neg(struct arena *arena, const struct varlen *a);
struct varlen numeric_abs(struct arena *arena, const struct varlen *a);
/* round half away from zero / towards zero at `digits` decimal places (may be negative); ceil, floor. */
struct varlen numeric_round(struct arena *arena, const struct varlen *a, int32_t digits);
struct varlen numeric_trunc(struct arena *arena, const struct varlen *a, int32_t digits);
struct varlen numeric_ceil(struct arena *arena, const struct varlen *a);
struct varlen numeric_floor(struct arena *arena, const struct varlen *a);
struct varlen numeric_trim_scale(struct arena *arena, const struct varlen *a);
int32_t numeric_min_scale(const struct varlen *a); /* digits behind the point that are needed; 0 for
                                                      specials */
MUST_CHECK
bool numeric_gcd(struct arena *arena, const struct varlen *a, const struct varlen *b, struct varlen *out,
                 struct error *err);
MUST_CHECK
bool numeric_lcm(struct arena *arena, const struct varlen *a, const struct varlen *b, struct varlen *out,
                 struct error *err);
MUST_CHECK
bool numeric_factorial(struct arena *arena, int64_t n, struct varlen *out, struct error *err);

#endif
