/* fn_compare.c: = <> < <= > >= of every comparable type, as typed loops.
 *
 * Each kernel has one loop per case of constant arguments, so that gcc can vectorise it. Floats: NaN equals
 * NaN and is greater than everything else. Text compares by bytes (collation "C"); char(n) without trailing
 * blanks. */
#define _GNU_SOURCE
#include "executor/functions/text_kernel.h"

#include "storage/data/datetime.h"
#include "storage/data/json.h"
#include "storage/data/numeric.h"

/* Defines a kernel whose result for the values x and y is `expression`. */
#define COMPARE_KERNEL(name, type_a, type_b, expression)                                                     \
    static void name(struct fn_call *call, const struct column *args, struct column *result)                 \
    {                                                                                                        \
        const type_a *restrict a = args[0].data;                                                             \
        const type_b *restrict b = args[1].data;                                                             \
        uint8_t *restrict out = result->data;                                                                \
        uint32_t rows = call->rows;                                                                          \
        if (args[0].is_constant && args[1].is_constant) {                                                    \
            const type_a x = a[0];                                                                           \
            const type_b y = b[0];                                                                           \
            memset(out, (expression), rows);                                                                 \
        } else if (args[1].is_constant) {                                                                    \
            const type_b y = b[0];                                                                           \
            for (uint32_t i = 0; i < rows; i++) {                                                            \
                const type_a x = a[i];                                                                       \
                out[i] = (expression);                                                                       \
            }                                                                                                \
        } else if (args[0].is_constant) {                                                                    \
            const type_a x = a[0];                                                                           \
            for (uint32_t i = 0; i < rows; i++) {                                                            \
                const type_b y = b[i];                                                                       \
                out[i] = (expression);                                                                       \
            }                                                                                                \
        } else {                                                                                             \
            for (uint32_t i = 0; i < rows; i++) {                                                            \
                const type_a x = a[i];                                                                       \
                const type_b y = b[i];                                                                       \
                out[i] = (expression);                                                                       \
            }                                                                                                \
        }                                                                                                    \
    }

#define COMPARE_NUMBERS(prefix, type_a, type_b)                                                              \
    COMPARE_KERNEL(prefix##_eq, type_a, type_b, x == y)                                                      \
    COMPARE_KERNEL(prefix##_ne, type_a, type_b, x != y)                                                      \
    COMPARE_KERNEL(prefix##_lt, type_a, type_b, x < y)                                                       \
    COMPARE_KERNEL(prefix##_le, type_a, type_b, x <= y)                                                      \
    COMPARE_KERNEL(prefix##_gt, type_a, type_b, x > y)                                                       \
    COMPARE_KERNEL(prefix##_ge, type_a, type_b, x >= y)

/* x != x only for NaN */
#define COMPARE_FLOATS(prefix, type_a, type_b)                                                               \
    COMPARE_KERNEL(prefix##_eq, type_a, type_b, (x == y) | ((x != x) & (y != y)))                            \
    COMPARE_KERNEL(prefix##_ne, type_a, type_b, !((x == y) | ((x != x) & (y != y))))                         \
    COMPARE_KERNEL(prefix##_lt, type_a, type_b, (x < y) | ((y != y) & (x == x)))                             \
    COMPARE_KERNEL(prefix##_le, type_a, type_b, (x <= y) | (y != y))                                         \
    COMPARE_KERNEL(prefix##_gt, type_a, type_b, (x > y) | ((x != x) & (y == y)))                             \
    COMPARE_KERNEL(prefix##_ge, type_a, type_b, (x >= y) | (x != x))

#define COMPARE_BY(prefix, type, equal, compare)                                                             \
    COMPARE_KERNEL(prefix##_eq, type, type, equal(&x, &y))                                                   \
    COMPARE_KERNEL(prefix##_ne, type, type, !equal(&x, &y))                                                  \
    COMPARE_KERNEL(prefix##_lt, type, type, compare(&x, &y) < 0)                                             \
    COMPARE_KERNEL(prefix##_le, type, type, compare(&x, &y) <= 0)                                            \
    COMPARE_KERNEL(prefix##_gt, type, type, compare(&x, &y) > 0)                                             \
    COMPARE_KERNEL(prefix##_ge, type, type, compare(&x, &y) >= 0)

COMPARE_NUMBERS(bool, uint8_t, uint8_t)
COMPARE_NUMBERS(i16, int16_t, int16_t)
COMPARE_NUMBERS(i16_i32, int16_t, int32_t)
COMPARE_NUMBERS(i16_i64, int16_t, int64_t)
COMPARE_NUMBERS(i32_i16, int32_t, int16_t)
COMPARE_NUMBERS(i32, int32_t, int32_t)
COMPARE_NUMBERS(i32_i64, int32_t, int64_t)
COMPARE_NUMBERS(i64_i16, int64_t, int16_t)
COMPARE_NUMBERS(i64_i32, int64_t, int32_t)
COMPARE_NUMBERS(i64, int64_t, int64_t)
COMPARE_FLOATS(f32, float, float)
COMPARE_FLOATS(f32_f64, float, double)
COMPARE_FLOATS(f64_f32, double, float)
COMPARE_FLOATS(f64, double, double)

/* ---- bytes ---- */

static inline int bytes_compare(const struct varlen *a, const struct varlen *b)
{
    uint32_t x, y; /* the first four bytes, zeros behind short values */
    memcpy(&x, a->inlined, 4);
    memcpy(&y, b->inlined, 4);
    if (x != y)
        return __builtin_bswap32(x) < __builtin_bswap32(y) ? -1 : 1;
    uint32_t len = a->len < b->len ? a->len : b->len;
    int order = len <= 4 ? 0 : memcmp(varlen_bytes(a), varlen_bytes(b), len);
    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static inline bool bytes_equal(const struct varlen *a, const struct varlen *b)
{
    return varlen_identical(a, b);
}

static struct varlen without_blanks(const struct varlen *value)
{
    const char *bytes = (const char *)varlen_bytes(value);
    return varlen_view(bytes, (uint32_t)text_trimmed_len(bytes, value->len));
}

static int bpchar_compare(const struct varlen *a, const struct varlen *b)
{
    struct varlen x = without_blanks(a), y = without_blanks(b);
    return bytes_compare(&x, &y);
}

static bool bpchar_equal(const struct varlen *a, const struct varlen *b)
{
    return bpchar_compare(a, b) == 0;
}

/* Scales differ in comparisons with constants (0.908 * price < 50000000): small values need no 128 bits. */
static inline int decimal_compare(const struct varlen *a, const struct varlen *b)
{
    static const int64_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000};
    int64_t m, n;
    int32_t s, t;
    if (LIKELY(numeric_unpack_i64(a, &m, &s) & numeric_unpack_i64(b, &n, &t))) {
        if (s == t)
            return (m > n) - (m < n);
        bool up = s < t;
        int32_t more = up ? t - s : s - t;
        if (LIKELY(more < (int32_t)ARRAY_COUNT(powers)) &&
            LIKELY(!__builtin_mul_overflow(up ? m : n, powers[more], up ? &m : &n)))
            return (m > n) - (m < n);
    }
    return numeric_compare(a, b);
}

static inline bool decimal_equal(const struct varlen *a, const struct varlen *b)
{
    return decimal_compare(a, b) == 0;
}

struct bytes16 {
    uint8_t bytes[16];
};

static inline int bytes16_compare(const struct bytes16 *a, const struct bytes16 *b)
{
    return memcmp(a, b, 16);
}

static inline bool bytes16_equal(const struct bytes16 *a, const struct bytes16 *b)
{
    return memcmp(a, b, 16) == 0;
}

static bool interval_equal(const struct interval *a, const struct interval *b)
{
    return interval_compare(a, b) == 0;
}

COMPARE_BY(bytes, struct varlen, bytes_equal, bytes_compare)
COMPARE_BY(bpchar, struct varlen, bpchar_equal, bpchar_compare)
COMPARE_BY(numeric, struct varlen, decimal_equal, decimal_compare)
COMPARE_BY(jsonb, struct varlen, jsonb_equal, jsonb_compare)
COMPARE_BY(uuid, struct bytes16, bytes16_equal, bytes16_compare)
COMPARE_BY(interval, struct interval, interval_equal, interval_compare)

/* ---- arrays and records: by the type of the arguments ---- */

#define COMPARE_GENERIC(name, condition)                                                                     \
    static void name(struct fn_call *call, const struct column *args, struct column *result)                 \
    {                                                                                                        \
        for (uint32_t i = 0; i < call->rows; i++) {                                                          \
            struct datum x = column_get(&args[0], i), y = column_get(&args[1], i);                           \
            int order = x.is_null || y.is_null ? 0 : type_compare(args[0].type.oid, &x, &y);                 \
            RESULT_BOOL(result)[i] = order condition 0;                                                      \
        }                                                                                                    \
    }
COMPARE_GENERIC(generic_eq, ==)
COMPARE_GENERIC(generic_ne, !=)
COMPARE_GENERIC(generic_lt, <)
COMPARE_GENERIC(generic_le, <=)
COMPARE_GENERIC(generic_gt, >)
COMPARE_GENERIC(generic_ge, >=)

/* ---- dates with timestamps ---- */

/* What a value is beyond the range of the other type's: before or after everything finite. */
static int64_t date_to_timestamp(int32_t date)
{
    if (date == DATE_MINUS_INFINITY)
        return TIMESTAMP_MINUS_INFINITY;
    if (date == DATE_PLUS_INFINITY)
        return TIMESTAMP_PLUS_INFINITY;
    int64_t timestamp;
    if (__builtin_mul_overflow((int64_t)date, US_PER_DAY, &timestamp))
        return TIMESTAMP_PLUS_INFINITY - 1;
    return timestamp;
}

static int64_t local_to_instant(const char *zone, int64_t local)
{
    int64_t instant;
    struct error err;
    if (local == TIMESTAMP_MINUS_INFINITY || local == TIMESTAMP_PLUS_INFINITY)
        return local;
    return timestamptz_from_local(zone, local, &instant, &err) ? instant : local;
}

/* The column as int64 of the type both sides are compared in: timestamps, or instants when to_instant. */
static struct column widen(struct fn_call *call, const struct column *from, bool to_instant)
{
    uint32_t oid = from->type.oid;
    if (oid == OID_TIMESTAMPTZ || (oid == OID_TIMESTAMP && !to_instant))
        return *from;
    uint32_t rows = from->is_constant ? 1 : call->rows;
    struct column wide = *from;
    int64_t *out = arena_alloc(call->arena, sizeof(*out) * rows);
    const char *zone = call->env->io.timezone;
    for (uint32_t i = 0; i < rows; i++) {
        int64_t value = oid == OID_DATE ? date_to_timestamp(COLUMN_I32(from)[i]) : COLUMN_I64(from)[i];
        out[i] = to_instant ? local_to_instant(zone, value) : value;
    }
    wide.data = out;
    return wide;
}

static void compare_widened(struct fn_call *call, const struct column *args, struct column *result,
                            fn_kernel kernel)
{
    bool to_instant = args[0].type.oid == OID_TIMESTAMPTZ || args[1].type.oid == OID_TIMESTAMPTZ;
    struct column wide[2] = {widen(call, &args[0], to_instant), widen(call, &args[1], to_instant)};
    kernel(call, wide, result);
}

#define COMPARE_TIMES(condition)                                                                             \
    static void times_##condition(struct fn_call *call, const struct column *args, struct column *result)    \
    {                                                                                                        \
        compare_widened(call, args, result, i64_##condition);                                                \
    }
COMPARE_TIMES(eq)
COMPARE_TIMES(ne)
COMPARE_TIMES(lt)
COMPARE_TIMES(le)
COMPARE_TIMES(gt)
COMPARE_TIMES(ge)

/* ---- rows ---- */

#define OPERATOR_ROWS(prefix, a, b, extra)                                                                   \
    {"=", a "," b, "bool", prefix##_eq, "1 = 1 gives true", FN_OPERATOR | (extra), NULL, "=", "<>"},         \
        {"<>", a "," b, "bool", prefix##_ne, "1 <> 2 gives true", FN_OPERATOR | (extra), NULL, "<>", "="},   \
        {"<", a "," b, "bool", prefix##_lt, "1 < 2 gives true", FN_OPERATOR | (extra), NULL, ">", ">="},     \
        {"<=", a "," b, "bool", prefix##_le, "2 <= 2 gives true", FN_OPERATOR | (extra), NULL, ">=", ">"},   \
        {">", a "," b, "bool", prefix##_gt, "2 > 1 gives true", FN_OPERATOR | (extra), NULL, "<", "<="},     \
    {                                                                                                        \
        ">=", a "," b, "bool", prefix##_ge, "2 >= 2 gives true", FN_OPERATOR | (extra), NULL, "<=", "<"      \
    }

#define SESSION_ZONE (FN_STABLE | FN_VIEW_OK)

const struct function_row fn_compare_rows[] = {
    OPERATOR_ROWS(bool, "bool", "bool", 0),
    OPERATOR_ROWS(i16, "int2", "int2", 0),
    OPERATOR_ROWS(i16_i32, "int2", "int4", 0),
    OPERATOR_ROWS(i16_i64, "int2", "int8", 0),
    OPERATOR_ROWS(i32_i16, "int4", "int2", 0),
    OPERATOR_ROWS(i32, "int4", "int4", 0),
    OPERATOR_ROWS(i32_i64, "int4", "int8", 0),
    OPERATOR_ROWS(i64_i16, "int8", "int2", 0),
    OPERATOR_ROWS(i64_i32, "int8", "int4", 0),
    OPERATOR_ROWS(i64, "int8", "int8", 0),
    OPERATOR_ROWS(f32, "float4", "float4", 0),
    OPERATOR_ROWS(f32_f64, "float4", "float8", 0),
    OPERATOR_ROWS(f64_f32, "float8", "float4", 0),
    OPERATOR_ROWS(f64, "float8", "float8", 0),
    OPERATOR_ROWS(numeric, "numeric", "numeric", 0),
    OPERATOR_ROWS(i64, "oid", "oid", 0),
    OPERATOR_ROWS(bytes, "text", "text", 0),
    OPERATOR_ROWS(bytes, "name", "name", 0),
    OPERATOR_ROWS(bytes, "name", "text", 0),
    OPERATOR_ROWS(bytes, "text", "name", 0),
    OPERATOR_ROWS(bytes, "char", "char", 0),
    OPERATOR_ROWS(bpchar, "bpchar", "bpchar", 0),
    OPERATOR_ROWS(bytes, "bytea", "bytea", 0),
    OPERATOR_ROWS(i32, "date", "date", 0),
    OPERATOR_ROWS(i64, "time", "time", 0),
    OPERATOR_ROWS(i64, "timestamp", "timestamp", 0),
    OPERATOR_ROWS(i64, "timestamptz", "timestamptz", 0),
    OPERATOR_ROWS(times, "date", "timestamp", 0),
    OPERATOR_ROWS(times, "timestamp", "date", 0),
    OPERATOR_ROWS(times, "date", "timestamptz", SESSION_ZONE),
    OPERATOR_ROWS(times, "timestamptz", "date", SESSION_ZONE),
    OPERATOR_ROWS(times, "timestamp", "timestamptz", SESSION_ZONE),
    OPERATOR_ROWS(times, "timestamptz", "timestamp", SESSION_ZONE),
    OPERATOR_ROWS(interval, "interval", "interval", 0),
    OPERATOR_ROWS(uuid, "uuid", "uuid", 0),
    OPERATOR_ROWS(jsonb, "jsonb", "jsonb", 0),
    OPERATOR_ROWS(generic, "oidvector", "oidvector", 0),
    OPERATOR_ROWS(generic, "anyarray", "anyarray", 0),
    OPERATOR_ROWS(generic, "record", "record", 0),
};
const size_t fn_compare_rows_count = sizeof(fn_compare_rows) / sizeof(fn_compare_rows[0]);
