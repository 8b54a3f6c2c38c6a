/* datum.h: physical layouts, variable-length values, and one single value.
 *
 * Variable-length values (text, bytea, numeric, json, arrays) are a 16-byte `struct varlen`: up to 12 bytes
 * stand inline, longer ones are a 4-byte prefix and a pointer. The memory behind the pointer belongs to
 * whoever made the value: a batch's arena, a table's heap. Unused inline bytes are zero, so two inline values
 * are equal when their 16 bytes are. */
#ifndef MILLRACE_DATA_DATUM_H
#define MILLRACE_DATA_DATUM_H

#include "storage/base/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum phys {
    PHYS_BOOL,  /* uint8_t 0/1 */
    PHYS_I16,   /* int16_t: int2 */
    PHYS_I32,   /* int32_t: int4, date (days since 2000-01-01; INT32_MIN/MAX = -/+infinity) */
    PHYS_I64,   /* int64_t: int8, time, timestamp, timestamptz (us since 2000-01-01; INT64_MIN/MAX =
                   -/+infinity), oid and reg* types (0..2^32-1) */
    PHYS_F32,   /* float */
    PHYS_F64,   /* double */
    PHYS_FIX16, /* 16 bytes: uuid, interval */
    PHYS_VAR,   /* struct varlen: text, varchar, bpchar, name, "char", bytea, numeric, json, jsonb, arrays,
                   record */
};

#define VARLEN_INLINE_MAX 12u

struct varlen {
    uint32_t len;
    union {
        uint8_t inlined[12];
        struct {
            uint8_t prefix[4];
            uint8_t pointer_bytes[8]; /* unaligned on purpose: keeps the struct 16 bytes and 4-aligned */
        };
    };
};
_Static_assert(sizeof(struct varlen) == 16, "varlen is 16 bytes");

struct interval {
    int64_t us;
    int32_t days;
    int32_t months;
};
_Static_assert(sizeof(struct interval) == 16, "interval is 16 bytes");

struct datum {
    bool is_null;
    union {
        bool boolean;
        int16_t i16;
        int32_t i32;
        int64_t i64;
        float f32;
        double f64;
        uint8_t fix16[16];
        struct interval interval;
        struct varlen var;
    };
};

struct sql_type {
    uint32_t oid;
    int32_t typmod; /* -1: none */
};

static inline uint32_t phys_bytes(enum phys phys)
{
    static const uint8_t bytes[] = {1, 2, 4, 8, 4, 8, 16, 16};
    return bytes[phys];
}

static inline const uint8_t *varlen_bytes(const struct varlen *value)
{
    if (value->len <= VARLEN_INLINE_MAX)
        return value->inlined;
    const uint8_t *pointer;
    memcpy(&pointer, value->pointer_bytes, sizeof(pointer));
    return pointer;
}

/* Borrows `bytes` when longer than VARLEN_INLINE_MAX, else copies them inline. */
static inline struct varlen varlen_view(const void *bytes, uint32_t len)
{
    struct varlen value = {.len = len};
    if (len <= VARLEN_INLINE_MAX) {
        if (len > 0)
            memcpy(value.inlined, bytes, len);
    } else {
        memcpy(value.prefix, bytes, 4);
        memcpy(value.pointer_bytes, &bytes, sizeof(bytes));
    }
    return value;
}

/* Copies the bytes into the arena when they do not fit inline. */
static inline struct varlen varlen_copy(struct arena *arena, const void *bytes, uint32_t len)
{
    if (len <= VARLEN_INLINE_MAX)
        return varlen_view(bytes, len);
    return varlen_view(arena_copy(arena, bytes, len), len);
}

static inline bool varlen_identical(const struct varlen *a, const struct varlen *b)
{
    if (a->len != b->len)
        return false;
    if (a->len <= VARLEN_INLINE_MAX)
        return memcmp(a->inlined, b->inlined, VARLEN_INLINE_MAX) == 0;
    return memcmp(varlen_bytes(a), varlen_bytes(b), a->len) == 0;
}

static inline struct datum datum_null(void)
{
    return (struct datum){.is_null = true};
}
static inline struct datum datum_bool(bool value)
{
    return (struct datum){.boolean = value};
}
static inline struct datum datum_i32(int32_t value)
{
    return (struct datum){.i32 = value};
}
static inline struct datum datum_i64(int64_t value)
{
    return (struct datum){.i64 = value};
}
static inline struct datum datum_f64(double value)
{
    return (struct datum){.f64 = value};
}
static inline struct datum datum_text(struct arena *arena, const char *text, size_t len)
{
    return (struct datum){.var = varlen_copy(arena, text, (uint32_t)len)};
}
/* Copies the bytes of a variable-length value into the arena; phys says which they are. */
static inline struct datum datum_copy(struct arena *arena, enum phys phys, const struct datum *value)
{
    struct datum copy = *value;
    if (phys == PHYS_VAR && !value->is_null)
        copy.var = varlen_copy(arena, varlen_bytes(&value->var), value->var.len);
    return copy;
}

#endif
