/* fn_arith.c: the arithmetic and bit operators of integers, floats and numerics.
 *
 * + - * of integers wrap in the loop and gather an overflow flag; the rows that overflowed are looked for
 * only when it is set. Mixed integer types compute in the wider one, float4 with float8 in float8, as in
 * PostgreSQL. */
#include "executor/functions/number_kernel.h"

#include "storage/data/numeric.h"

#include <math.h>

/* ---- integers ---- */

/* `wrapped` computes r of x and y (cast to type_out); `check` is negative or true when it overflowed. */
#define CHECKED_KERNEL(name, type_a, type_b, type_out, type_check, what, wrapped, check, failed)             \
    static void name(struct fn_call *call, const struct column *args, struct column *result)                 \
    {                                                                                                        \
        type_out *restrict out = result->data;                                                               \
        type_check bad = 0;                                                                                  \
        EACH_ROW2(type_a, type_b, {                                                                          \
            const type_out r = (type_out)(wrapped);                                                          \
            bad |= (type_check)(check);                                                                      \
            out[i] = r;                                                                                      \
        });                                                                                                  \
        if (LIKELY(!(bad failed)))                                                                           \
            return;                                                                                          \
        EACH_ROW2(type_a, type_b, {                                                                          \
            const type_out r = out[i];                                                                       \
            if ((type_check)(check)failed)                                                                   \
                fn_error(call, i, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, what " out of range");                 \
        });                                                                                                  \
    }

#define ADD_SUB(prefix, type_a, type_b, type_out, unsigned_out, what)                                        \
    CHECKED_KERNEL(prefix##_add, type_a, type_b, type_out, type_out, what,                                   \
                   (unsigned_out)(type_out)x + (unsigned_out)(type_out)y,                                    \
                   ((type_out)x ^ r) & ((type_out)y ^ r), < 0)                                               \
    CHECKED_KERNEL(prefix##_sub, type_a, type_b, type_out, type_out, what,                                   \
                   (unsigned_out)(type_out)x - (unsigned_out)(type_out)y,                                    \
                   ((type_out)x ^ (type_out)y) & ((type_out)x ^ r), < 0)

/* Products of the narrower types are exact in a wider one. */
#define MUL_WIDE(prefix, type_a, type_b, type_out, type_wide, what)                                          \
    CHECKED_KERNEL(prefix##_mul, type_a, type_b, type_out, type_wide, what, (type_wide)x *(type_wide)y,      \
                   (type_wide)x *(type_wide)y != (type_wide)r, != 0)

#define MUL_I64(prefix, type_a, type_b)                                                                      \
    static void prefix##_mul(struct fn_call *call, const struct column *args, struct column *result)         \
    {                                                                                                        \
        int64_t *restrict out = result->data;                                                                \
        bool bad = false;                                                                                    \
        EACH_ROW2(type_a, type_b, { bad |= __builtin_mul_overflow((int64_t)x, (int64_t)y, &out[i]); });      \
        if (LIKELY(!bad))                                                                                    \
            return;                                                                                          \
        EACH_ROW2(type_a, type_b, {                                                                          \
            if (__builtin_mul_overflow((int64_t)x, (int64_t)y, &out[i]))                                     \
                fn_error(call, i, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range");                \
        });                                                                                                  \
    }

static inline bool least_i16(int16_t value)
{
    return value == INT16_MIN;
}
static inline bool least_i32(int32_t value)
{
    return value == INT32_MIN;
}
static inline bool least_i64(int64_t value)
{
    return value == INT64_MIN;
}

#define DIV_INT(prefix, type_a, type_b, type_out, is_least, what)                                            \
    static void prefix##_div(struct fn_call *call, const struct column *args, struct column *result)         \
    {                                                                                                        \
        type_out *restrict out = result->data;                                                               \
        bool bad = false;                                                                                    \
        EACH_ROW2(type_a, type_b, {                                                                          \
            bool fails = y == 0 || (is_least((type_out)x) && y == -1);                                       \
            bad |= fails;                                                                                    \
            out[i] = fails ? 0 : (type_out)((type_out)x / (type_out)y);                                      \
        });                                                                                                  \
        if (LIKELY(!bad))                                                                                    \
            return;                                                                                          \
        EACH_ROW2(type_a, type_b, {                                                                          \
            if (y == 0)                                                                                      \
                fn_error(call, i, ERRCODE_DIVISION_BY_ZERO, "division by zero");                             \
            else if (is_least((type_out)x) && y == -1)                                                       \
                fn_error(call, i, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, what " out of range");                 \
        });                                                                                                  \
    }

#define MOD_INT(prefix, type)                                                                                \
    static void prefix##_mod(struct fn_call *call, const struct column *args, struct column *result)         \
    {                                                                                                        \
        type *restrict out = result->data;                                                                   \
        bool bad = false;                                                                                    \
        EACH_ROW2(type, type, {                                                                              \
            bad |= y == 0;                                                                                   \
            out[i] = y == 0 || y == -1 ? 0 : (type)(x % y);                                                  \
        });                                                                                                  \
        if (LIKELY(!bad))                                                                                    \
            return;                                                                                          \
        EACH_ROW2(type, type, {                                                                              \
            (void)x;                                                                                         \
            if (y == 0)                                                                                      \
                fn_error(call, i, ERRCODE_DIVISION_BY_ZERO, "division by zero");                             \
        });                                                                                                  \
    }

#define INT_KERNELS_I16(prefix)                                                                              \
    ADD_SUB(prefix, int16_t, int16_t, int16_t, uint16_t, "smallint")                                         \
    MUL_WIDE(prefix, int16_t, int16_t, int16_t, int32_t, "smallint")                                         \
    DIV_INT(prefix, int16_t, int16_t, int16_t, least_i16, "smallint")
#define INT_KERNELS_I32(prefix, a, b)                                                                        \
    ADD_SUB(prefix, a, b, int32_t, uint32_t, "integer")                                                      \
    MUL_WIDE(prefix, a, b, int32_t, int64_t, "integer")                                                      \
    DIV_INT(prefix, a, b, int32_t, least_i32, "integer")
#define INT_KERNELS_I64(prefix, a, b)                                                                        \
    ADD_SUB(prefix, a, b, int64_t, uint64_t, "bigint")                                                       \
    MUL_I64(prefix, a, b)                                                                                    \
    DIV_INT(prefix, a, b, int64_t, least_i64, "bigint")

INT_KERNELS_I16(i16)
INT_KERNELS_I32(i32, int32_t, int32_t)
INT_KERNELS_I32(i16_i32, int16_t, int32_t)
INT_KERNELS_I32(i32_i16, int32_t, int16_t)
INT_KERNELS_I64(i64, int64_t, int64_t)
INT_KERNELS_I64(i16_i64, int16_t, int64_t)
INT_KERNELS_I64(i64_i16, int64_t, int16_t)
INT_KERNELS_I64(i32_i64, int32_t, int64_t)
INT_KERNELS_I64(i64_i32, int64_t, int32_t)
MOD_INT(i16, int16_t)
MOD_INT(i32, int32_t)
MOD_INT(i64, int64_t)

/* Unary minus and @ (absolute value). */
#define SIGN_KERNELS(prefix, type, unsigned_type, least, what)                                               \
    static void prefix##_check_least(struct fn_call *call, const struct column *args)                        \
    {                                                                                                        \
        EACH_ROW1(type, {                                                                                    \
            if (x == (least))                                                                                \
                fn_error(call, i, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, what " out of range");                 \
        });                                                                                                  \
    }                                                                                                        \
    static void prefix##_neg(struct fn_call *call, const struct column *args, struct column *result)         \
    {                                                                                                        \
        type *restrict out = result->data;                                                                   \
        bool bad = false;                                                                                    \
        EACH_ROW1(type, {                                                                                    \
            bad |= x == (least);                                                                             \
            out[i] = (type)(0 - (unsigned_type)x);                                                           \
        });                                                                                                  \
        if (UNLIKELY(bad))                                                                                   \
            prefix##_check_least(call, args);                                                                \
    }                                                                                                        \
    static void prefix##_abs(struct fn_call *call, const struct column *args, struct column *result)         \
    {                                                                                                        \
        type *restrict out = result->data;                                                                   \
        bool bad = false;                                                                                    \
        EACH_ROW1(type, {                                                                                    \
            bad |= x == (least);                                                                             \
            out[i] = x < 0 ? (type)(0 - (unsigned_type)x) : x;                                               \
        });                                                                                                  \
        if (UNLIKELY(bad))                                                                                   \
            prefix##_check_least(call, args);                                                                \
    }                                                                                                        \
    KERNEL1(prefix##_plus, type, type, x)

SIGN_KERNELS(i16, int16_t, uint16_t, INT16_MIN, "smallint")
SIGN_KERNELS(i32, int32_t, uint32_t, INT32_MIN, "integer")
SIGN_KERNELS(i64, int64_t, uint64_t, INT64_MIN, "bigint")

/* Shifts take the count modulo the width of the computing register, as the processors PostgreSQL runs on do.
 */
#define BIT_KERNELS(prefix, type, unsigned_wide, wide, mask)                                                 \
    KERNEL2(prefix##_and, type, type, type, (type)(x & y))                                                   \
    KERNEL2(prefix##_or, type, type, type, (type)(x | y))                                                    \
    KERNEL2(prefix##_xor, type, type, type, (type)(x ^ y))                                                   \
    KERNEL1(prefix##_not, type, type, (type)~x)                                                              \
    KERNEL2(prefix##_shl, type, int32_t, type, (type)((unsigned_wide)(wide)x << (y & (mask))))               \
    KERNEL2(prefix##_shr, type, int32_t, type, (type)((wide)x >> (y & (mask))))

BIT_KERNELS(i16, int16_t, uint32_t, int32_t, 31)
BIT_KERNELS(i32, int32_t, uint32_t, int32_t, 31)
BIT_KERNELS(i64, int64_t, uint64_t, int64_t, 63)

/* ---- floats ---- */

/* The checks are done on the bits, in integers as wide as the floats, so that gcc can vectorise the loops:
 * each of these has its top bit set or clear. The second loop knows what exactly is an error. */
static inline uint64_t f64_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}
static inline uint32_t f32_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}
static inline uint64_t f64_not_finite(double value) /* top bit: an infinity or NaN */
{
    return (f64_bits(value) & 0x7FF0000000000000u) + 0x0010000000000000u;
}
static inline uint32_t f32_not_finite(float value)
{
    return (f32_bits(value) & 0x7F800000u) + 0x00800000u;
}
static inline uint64_t f64_not_zero(double value) /* top bit: neither 0 nor -0 */
{
    uint64_t magnitude = f64_bits(value) << 1;
    return magnitude | (0 - magnitude);
}
static inline uint32_t f32_not_zero(float value)
{
    uint32_t magnitude = f32_bits(value) << 1;
    return magnitude | (0 - magnitude);
}

/* bits: f64 or f32, of the result type. `tiny` has its top bit set when a zero result means underflow. */
#define FLOAT_KERNEL(name, type_a, type_b, type_out, bits, type_bits, expression, tiny)                      \
    static void name(struct fn_call *call, const struct column *args, struct column *result)                 \
    {                                                                                                        \
        type_out *restrict out = result->data;                                                               \
        type_bits bad = 0;                                                                                   \
        EACH_ROW2(type_a, type_b, {                                                                          \
            const type_out r = (type_out)(expression);                                                       \
            bad |= bits##_not_finite(r) | (tiny);                                                            \
            out[i] = r;                                                                                      \
        });                                                                                                  \
        if (LIKELY(bad >> (sizeof(bad) * 8 - 1) == 0))                                                       \
            return;                                                                                          \
        EACH_ROW2(type_a, type_b, {                                                                          \
            const type_out r = out[i];                                                                       \
            struct error err;                                                                                \
            if (isinf(r) && !isinf((type_out)x) && !isinf((type_out)y)) {                                    \
                float_overflow(&err);                                                                        \
                fn_error_from(call, i, &err);                                                                \
            } else if ((type_bits)(tiny) >> (sizeof(bad) * 8 - 1) != 0) {                                    \
                float_underflow(&err);                                                                       \
                fn_error_from(call, i, &err);                                                                \
            }                                                                                                \
        });                                                                                                  \
    }

#define FLOAT_KERNELS(prefix, type_a, type_b, type_out, bits, type_bits)                                     \
    FLOAT_KERNEL(prefix##_add, type_a, type_b, type_out, bits, type_bits, (type_out)x + (type_out)y, 0)      \
    FLOAT_KERNEL(prefix##_sub, type_a, type_b, type_out, bits, type_bits, (type_out)x - (type_out)y, 0)      \
    FLOAT_KERNEL(prefix##_mul, type_a, type_b, type_out, bits, type_bits, (type_out)x *(type_out)y,          \
                 ~bits##_not_zero(r) & bits##_not_zero((type_out)x) & bits##_not_zero((type_out)y))          \
    static void prefix##_div(struct fn_call *call, const struct column *args, struct column *result)         \
    {                                                                                                        \
        type_out *restrict out = result->data;                                                               \
        type_bits bad = 0;                                                                                   \
        EACH_ROW2(type_a, type_b, {                                                                          \
            const type_out r = (type_out)x / (type_out)y;                                                    \
            bad |= bits##_not_finite(r) | (~bits##_not_zero(r) & bits##_not_zero((type_out)x));              \
            out[i] = r;                                                                                      \
        });                                                                                                  \
        if (LIKELY(bad >> (sizeof(bad) * 8 - 1) == 0))                                                       \
            return;                                                                                          \
        EACH_ROW2(type_a, type_b, {                                                                          \
            const type_out r = out[i];                                                                       \
            struct error err;                                                                                \
            bool ok = true;                                                                                  \
            if (y == 0 && !isnan(x))                                                                         \
                ok = number_division_by_zero(&err);                                                          \
            else if (isinf(r) && !isinf((type_out)x))                                                        \
                ok = float_overflow(&err);                                                                   \
            else if (r == 0 && x != 0 && !isinf((type_out)y))                                                \
                ok = float_underflow(&err);                                                                  \
            if (!ok)                                                                                         \
                fn_error_from(call, i, &err);                                                                \
        });                                                                                                  \
    }

FLOAT_KERNELS(f32, float, float, float, f32, uint32_t)
FLOAT_KERNELS(f64, double, double, double, f64, uint64_t)
FLOAT_KERNELS(f32_f64, float, double, double, f64, uint64_t)
FLOAT_KERNELS(f64_f32, double, float, double, f64, uint64_t)
KERNEL1(f32_neg, float, float, -x)
KERNEL1(f64_neg, double, double, -x)
KERNEL1(f32_plus, float, float, x)
KERNEL1(f64_plus, double, double, x)
KERNEL1(f32_abs, float, float, fabsf(x))
KERNEL1(f64_abs, double, double, fabs(x))

static bool square_root(double x, double *out, struct error *err)
{
    if (x < 0)
        return error_set(err, ERRCODE_INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                         "cannot take square root of a negative number");
    *out = sqrt(x);
    return true;
}
TRY_KERNEL1(f64_sqrt, double, double, square_root(x, &out[i], err))
KERNEL1(f64_cbrt, double, double, cbrt(x))

static bool raise_to_power(double x, double y, double *out, struct error *err)
{
    if (x == 0 && y < 0)
        return error_set(err, ERRCODE_INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                         "zero raised to a negative power is undefined");
    if (x < 0 && floor(y) != y && !isnan(y))
        return error_set(err, ERRCODE_INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                         "a negative number raised to a non-integer power yields a complex result");
    *out = pow(x, y);
    if (isinf(*out) && !isinf(x) && !isinf(y))
        return float_overflow(err);
    if (*out == 0 && x != 0 && !isinf(x) && !isinf(y))
        return float_underflow(err);
    return true;
}
TRY_KERNEL2(f64_power, double, double, double, raise_to_power(x, y, &out[i], err))

/* ---- numeric ---- */

/* Small decimals in place: `fits` makes the coefficient r of the small values m (scale s) and n (scale t), and
 * is false when it cannot; r_scale is the result's scale. All others go to `attempt`. */
#define SMALL_KERNEL2(name, fits, r_scale, attempt)                                                          \
    static void name(struct fn_call *call, const struct column *args, struct column *result)                 \
    {                                                                                                        \
        struct varlen *out = result->data;                                                                   \
        struct arena *arena = call->arena;                                                                   \
        struct error error, *err = &error;                                                                   \
        EACH_ROW2(struct varlen, struct varlen, {                                                            \
            int64_t m;                                                                                       \
            int64_t n;                                                                                       \
            int64_t r;                                                                                       \
            int32_t s;                                                                                       \
            int32_t t;                                                                                       \
            if (LIKELY(numeric_unpack_i64(&x, &m, &s) & numeric_unpack_i64(&y, &n, &t)) && LIKELY(fits)) {   \
                out[i] = numeric_pack_i64(r, r_scale);                                                       \
                continue;                                                                                    \
            }                                                                                                \
            out[i] = (struct varlen){0};                                                                     \
            if (!column_is_null(result, i) && !(attempt))                                                    \
                fn_error_from(call, i, err);                                                                 \
        });                                                                                                  \
    }
SMALL_KERNEL2(numeric_add_kernel, s == t && !__builtin_add_overflow(m, n, &r), s,
              numeric_add(arena, &x, &y, &out[i], err))
SMALL_KERNEL2(numeric_sub_kernel, s == t && !__builtin_sub_overflow(m, n, &r), s,
              numeric_sub(arena, &x, &y, &out[i], err))
SMALL_KERNEL2(numeric_mul_kernel, s + t <= 16383 && !__builtin_mul_overflow(m, n, &r), s + t,
              numeric_mul(arena, &x, &y, &out[i], err))
TRY_KERNEL2(numeric_div_kernel, struct varlen, struct varlen, struct varlen,
            numeric_div(arena, &x, &y, &out[i], err))
TRY_KERNEL2(numeric_mod_kernel, struct varlen, struct varlen, struct varlen,
            numeric_mod(arena, &x, &y, &out[i], err))
TRY_KERNEL2(numeric_power_kernel, struct varlen, struct varlen, struct varlen,
            numeric_power(arena, &x, &y, &out[i], err))
KERNEL1(numeric_neg_kernel, struct varlen, struct varlen, numeric_neg(call->arena, &x))
KERNEL1(numeric_abs_kernel, struct varlen, struct varlen, numeric_abs(call->arena, &x))
KERNEL1(numeric_plus_kernel, struct varlen, struct varlen, x)

/* ---- rows ---- */

#define COMMUTES(symbol, a, b, r, kernel, help)                                                              \
    {                                                                                                        \
        symbol, a "," b, r, kernel, help, FN_OPERATOR, NULL, symbol, NULL                                    \
    }
#define OPERATOR(symbol, args, r, kernel, help)                                                              \
    {                                                                                                        \
        symbol, args, r, kernel, help, FN_OPERATOR, NULL, NULL, NULL                                         \
    }
#define FUNCTION(name, args, r, kernel, help)                                                                \
    {                                                                                                        \
        name, args, r, kernel, help, 0, NULL, NULL, NULL                                                     \
    }

#define ARITHMETIC(prefix, a, b, r)                                                                          \
    COMMUTES("+", a, b, r, prefix##_add, "1 + 2 gives 3"),                                                   \
        COMMUTES("*", a, b, r, prefix##_mul, "2 * 3 gives 6"),                                               \
        OPERATOR("-", a "," b, r, prefix##_sub, "3 - 2 gives 1"),                                            \
        OPERATOR("/", a "," b, r, prefix##_div, "7 / 2 gives 3; 7.0 / 2 gives 3.5")
#define SIGNS(prefix, type)                                                                                  \
    OPERATOR("-", type, type, prefix##_neg, "- 5 gives -5"),                                                 \
        OPERATOR("+", type, type, prefix##_plus, "+ 5 gives 5"),                                             \
        OPERATOR("@", type, type, prefix##_abs, "@ -5 gives 5"),                                             \
        FUNCTION("abs", type, type, prefix##_abs, "abs(-5) gives 5")
#define BITS(prefix, type)                                                                                   \
    COMMUTES("&", type, type, type, prefix##_and, "6 & 3 gives 2"),                                          \
        COMMUTES("|", type, type, type, prefix##_or, "6 | 3 gives 7"),                                       \
        COMMUTES("#", type, type, type, prefix##_xor, "6 # 3 gives 5"),                                      \
        OPERATOR("~", type, type, prefix##_not, "~ 1 gives -2"),                                             \
        OPERATOR("<<", type ",int4", type, prefix##_shl, "1 << 4 gives 16"),                                 \
        OPERATOR(">>", type ",int4", type, prefix##_shr, "16 >> 2 gives 4"),                                 \
        OPERATOR("%", type "," type, type, prefix##_mod, "7 % 4 gives 3"),                                   \
        FUNCTION("mod", type "," type, type, prefix##_mod, "mod(7, 4) gives 3")

const struct function_row fn_arith_rows[] = {
    ARITHMETIC(i16, "int2", "int2", "int2"),
    ARITHMETIC(i32, "int4", "int4", "int4"),
    ARITHMETIC(i64, "int8", "int8", "int8"),
    ARITHMETIC(i16_i32, "int2", "int4", "int4"),
    ARITHMETIC(i32_i16, "int4", "int2", "int4"),
    ARITHMETIC(i16_i64, "int2", "int8", "int8"),
    ARITHMETIC(i64_i16, "int8", "int2", "int8"),
    ARITHMETIC(i32_i64, "int4", "int8", "int8"),
    ARITHMETIC(i64_i32, "int8", "int4", "int8"),
    ARITHMETIC(f32, "float4", "float4", "float4"),
    ARITHMETIC(f64, "float8", "float8", "float8"),
    ARITHMETIC(f32_f64, "float4", "float8", "float8"),
    ARITHMETIC(f64_f32, "float8", "float4", "float8"),
    SIGNS(i16, "int2"),
    SIGNS(i32, "int4"),
    SIGNS(i64, "int8"),
    SIGNS(f32, "float4"),
    SIGNS(f64, "float8"),
    BITS(i16, "int2"),
    BITS(i32, "int4"),
    BITS(i64, "int8"),
    COMMUTES("+", "numeric", "numeric", "numeric", numeric_add_kernel, "1.1 + 2.2 gives 3.3"),
    COMMUTES("*", "numeric", "numeric", "numeric", numeric_mul_kernel, "1.5 * 2 gives 3.0"),
    OPERATOR("-", "numeric,numeric", "numeric", numeric_sub_kernel, "1.5 - 0.25 gives 1.25"),
    OPERATOR("/", "numeric,numeric", "numeric", numeric_div_kernel, "1.0 / 3 gives 0.33333333333333333333"),
    OPERATOR("%", "numeric,numeric", "numeric", numeric_mod_kernel, "7.5 % 2 gives 1.5"),
    FUNCTION("mod", "numeric,numeric", "numeric", numeric_mod_kernel, "mod(7.5, 2) gives 1.5"),
    OPERATOR("-", "numeric", "numeric", numeric_neg_kernel, "- 1.5 gives -1.5"),
    OPERATOR("+", "numeric", "numeric", numeric_plus_kernel, "+ 1.5 gives 1.5"),
    OPERATOR("@", "numeric", "numeric", numeric_abs_kernel, "@ -1.5 gives 1.5"),
    FUNCTION("abs", "numeric", "numeric", numeric_abs_kernel, "abs(-1.5) gives 1.5"),
    OPERATOR("^", "float8,float8", "float8", f64_power, "2 ^ 10 gives 1024"),
    OPERATOR("^", "numeric,numeric", "numeric", numeric_power_kernel, "2.0 ^ 3 gives 8.0000000000000000"),
    FUNCTION("power", "float8,float8", "float8", f64_power, "power(2, 10) gives 1024"),
    FUNCTION("power", "numeric,numeric", "numeric", numeric_power_kernel,
             "power(2.0, 3) gives 8.0000000000000000"),
    FUNCTION("pow", "float8,float8", "float8", f64_power, "pow(2, 10) gives 1024"),
    FUNCTION("pow", "numeric,numeric", "numeric", numeric_power_kernel,
             "pow(2.0, 3) gives 8.0000000000000000"),
    OPERATOR("|/", "float8", "float8", f64_sqrt, "|/ 25.0 gives 5"),
    OPERATOR("||/", "float8", "float8", f64_cbrt, "||/ 27.0 gives 3"),
    FUNCTION("sqrt", "float8", "float8", f64_sqrt, "sqrt(2) gives 1.4142135623730951"),
    FUNCTION("cbrt", "float8", "float8", f64_cbrt, "cbrt(64.0) gives 4"),
};
const size_t fn_arith_rows_count = sizeof(fn_arith_rows) / sizeof(fn_arith_rows[0]);
