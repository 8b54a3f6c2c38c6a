/* cast_number.c: casts among int2, int4, int8, float4, float8 and numeric, with pg_cast's contexts.
 *
 * Narrowing rounds to nearest (floats: half to even, numerics: half away from zero) and fails with 22003.
 * Precision and scale of numeric(p,s) are the caller's. */
#include "executor/functions/number_kernel.h"

#include "storage/data/numeric.h"

#include <math.h>
#include <stdlib.h>

/* ---- integers and floats ---- */

KERNEL1(i16_to_i32, int16_t, int32_t, x)
KERNEL1(i16_to_i64, int16_t, int64_t, x)
KERNEL1(i32_to_i64, int32_t, int64_t, x)
KERNEL1(i16_to_f32, int16_t, float, (float)x)
KERNEL1(i32_to_f32, int32_t, float, (float)x)
KERNEL1(i64_to_f32, int64_t, float, (float)x)
KERNEL1(i16_to_f64, int16_t, double, (double)x)
KERNEL1(i32_to_f64, int32_t, double, (double)x)
KERNEL1(i64_to_f64, int64_t, double, (double)x)
KERNEL1(f32_to_f64, float, double, (double)x)

#define NARROW_INT(name, type_a, type_out, what)                                                             \
    static void name(struct fn_call *call, const struct column *args, struct column *result)                 \
    {                                                                                                        \
        type_out *restrict out = result->data;                                                               \
        bool bad = false;                                                                                    \
        EACH_ROW1(type_a, {                                                                                  \
            out[i] = (type_out)x;                                                                            \
            bad |= (type_a)(type_out)x != x;                                                                 \
        });                                                                                                  \
        if (LIKELY(!bad))                                                                                    \
            return;                                                                                          \
        EACH_ROW1(type_a, {                                                                                  \
            if ((type_a)(type_out)x != x)                                                                    \
                fn_error(call, i, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, what " out of range");                 \
        });                                                                                                  \
    }

NARROW_INT(i32_to_i16, int32_t, int16_t, "smallint")
NARROW_INT(i64_to_i16, int64_t, int16_t, "smallint")
NARROW_INT(i64_to_i32, int64_t, int32_t, "integer")

/* low and end are exact in the float's type; the range is [low, end). */
#define FLOAT_TO_INT(name, type_a, type_out, round_function, low, end, what)                                 \
    static void name(struct fn_call *call, const struct column *args, struct column *result)                 \
    {                                                                                                        \
        type_out *restrict out = result->data;                                                               \
        bool bad = false;                                                                                    \
        EACH_ROW1(type_a, {                                                                                  \
            const type_a r = round_function(x);                                                              \
            bool fits = r >= (type_a)(low) && r < (type_a)(end);                                             \
            out[i] = fits ? (type_out)r : 0;                                                                 \
            bad |= !fits;                                                                                    \
        });                                                                                                  \
        if (LIKELY(!bad))                                                                                    \
            return;                                                                                          \
        EACH_ROW1(type_a, {                                                                                  \
            const type_a r = round_function(x);                                                              \
            if (!(r >= (type_a)(low) && r < (type_a)(end)))                                                  \
                fn_error(call, i, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, what " out of range");                 \
        });                                                                                                  \
    }

FLOAT_TO_INT(f32_to_i16, float, int16_t, rintf, -0x1p15, 0x1p15, "smallint")
FLOAT_TO_INT(f32_to_i32, float, int32_t, rintf, -0x1p31, 0x1p31, "integer")
FLOAT_TO_INT(f32_to_i64, float, int64_t, rintf, -0x1p63, 0x1p63, "bigint")
FLOAT_TO_INT(f64_to_i16, double, int16_t, rint, -0x1p15, 0x1p15, "smallint")
FLOAT_TO_INT(f64_to_i32, double, int32_t, rint, -0x1p31, 0x1p31, "integer")
FLOAT_TO_INT(f64_to_i64, double, int64_t, rint, -0x1p63, 0x1p63, "bigint")

static bool narrow_float(double x, float *out, struct error *err)
{
    *out = (float)x;
    if (isinf(*out) && !isinf(x))
        return float_overflow(err);
    if (*out == 0 && x != 0)
        return float_underflow(err);
    return true;
}
TRY_KERNEL1(f64_to_f32, double, float, narrow_float(x, &out[i], err))

/* ---- numeric ---- */

KERNEL1(i16_to_numeric, int16_t, struct varlen, numeric_from_i64(call->arena, x))
KERNEL1(i32_to_numeric, int32_t, struct varlen, numeric_from_i64(call->arena, x))
KERNEL1(i64_to_numeric, int64_t, struct varlen,
        LIKELY(x != INT64_MIN) ? numeric_pack_i64(x, 0) : numeric_from_i64(call->arena, x))
TRY_KERNEL1(f32_to_numeric, float, struct varlen, numeric_from_f32(arena, x, &out[i], err))
TRY_KERNEL1(f64_to_numeric, double, struct varlen, numeric_from_f64(arena, x, &out[i], err))

static bool numeric_to_int(const struct varlen *x, int64_t low, int64_t high, const char *what, int64_t *out,
                           struct error *err)
{
    if (numeric_is_special(x))
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "cannot convert %s to %s",
                         numeric_is_nan(x) ? "NaN" : "infinity", what);
    if (!numeric_to_i64(x, out, err) || *out < low || *out > high)
        return number_out_of_range(what, err);
    return true;
}

static bool numeric_to_i16_value(const struct varlen *x, int16_t *out, struct error *err)
{
    int64_t wide = 0;
    bool ok = numeric_to_int(x, INT16_MIN, INT16_MAX, "smallint", &wide, err);
    *out = (int16_t)wide;
    return ok;
}

static bool numeric_to_i32_value(const struct varlen *x, int32_t *out, struct error *err)
{
    int64_t wide = 0;
    bool ok = numeric_to_int(x, INT32_MIN, INT32_MAX, "integer", &wide, err);
    *out = (int32_t)wide;
    return ok;
}

TRY_KERNEL1(numeric_to_i16, struct varlen, int16_t, numeric_to_i16_value(&x, &out[i], err))
TRY_KERNEL1(numeric_to_i32, struct varlen, int32_t, numeric_to_i32_value(&x, &out[i], err))
TRY_KERNEL1(numeric_to_i64_kernel, struct varlen, int64_t,
            numeric_to_int(&x, INT64_MIN, INT64_MAX, "bigint", &out[i], err))

static bool float_out_of_range(const struct varlen *x, const char *type_name, struct error *err)
{
    struct strbuf text = STRBUF_INIT;
    numeric_format(x, &text);
    error_set(err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "\"%s\" is out of range for type %s", text.data,
              type_name);
    strbuf_release(&text);
    return false;
}

static bool numeric_to_double(const struct varlen *x, double *out, struct error *err)
{
    *out = numeric_to_f64(x);
    if (numeric_is_special(x))
        return true;
    if (isinf(*out) || (*out == 0 && numeric_sign(x) != 0))
        return float_out_of_range(x, "double precision", err);
    return true;
}

/* Through the text, not through double: that would round twice. */
static bool numeric_to_float(const struct varlen *x, float *out, struct error *err)
{
    if (numeric_is_special(x)) {
        *out = (float)numeric_to_f64(x);
        return true;
    }
    struct strbuf text = STRBUF_INIT;
    numeric_format(x, &text);
    *out = strtof(text.data, NULL);
    strbuf_release(&text);
    if (isinf(*out) || (*out == 0 && numeric_sign(x) != 0))
        return float_out_of_range(x, "real", err);
    return true;
}

TRY_KERNEL1(numeric_to_f64_kernel, struct varlen, double, numeric_to_double(&x, &out[i], err))
TRY_KERNEL1(numeric_to_f32_kernel, struct varlen, float, numeric_to_float(&x, &out[i], err))

/* ---- rows ---- */

#define IMPLICIT(from, to, kernel)                                                                           \
    {                                                                                                        \
        "cast", from, to, kernel, "1::" from "::" to, FN_CAST | FN_CAST_IMPLICIT | FN_CAST_ASSIGNMENT, NULL, \
            NULL, NULL                                                                                       \
    }
#define ASSIGNMENT(from, to, kernel)                                                                         \
    {                                                                                                        \
        "cast", from, to, kernel, "1::" from "::" to, FN_CAST | FN_CAST_ASSIGNMENT, NULL, NULL, NULL         \
    }

const struct function_row cast_number_rows[] = {
    IMPLICIT("int2", "int4", i16_to_i32),
    IMPLICIT("int2", "int8", i16_to_i64),
    IMPLICIT("int2", "float4", i16_to_f32),
    IMPLICIT("int2", "float8", i16_to_f64),
    IMPLICIT("int2", "numeric", i16_to_numeric),
    ASSIGNMENT("int4", "int2", i32_to_i16),
    IMPLICIT("int4", "int8", i32_to_i64),
    IMPLICIT("int4", "float4", i32_to_f32),
    IMPLICIT("int4", "float8", i32_to_f64),
    IMPLICIT("int4", "numeric", i32_to_numeric),
    ASSIGNMENT("int8", "int2", i64_to_i16),
    ASSIGNMENT("int8", "int4", i64_to_i32),
    IMPLICIT("int8", "float4", i64_to_f32),
    IMPLICIT("int8", "float8", i64_to_f64),
    IMPLICIT("int8", "numeric", i64_to_numeric),
    ASSIGNMENT("float4", "int2", f32_to_i16),
    ASSIGNMENT("float4", "int4", f32_to_i32),
    ASSIGNMENT("float4", "int8", f32_to_i64),
    IMPLICIT("float4", "float8", f32_to_f64),
    ASSIGNMENT("float4", "numeric", f32_to_numeric),
    ASSIGNMENT("float8", "int2", f64_to_i16),
    ASSIGNMENT("float8", "int4", f64_to_i32),
    ASSIGNMENT("float8", "int8", f64_to_i64),
    ASSIGNMENT("float8", "float4", f64_to_f32),
    ASSIGNMENT("float8", "numeric", f64_to_numeric),
    ASSIGNMENT("numeric", "int2", numeric_to_i16),
    ASSIGNMENT("numeric", "int4", numeric_to_i32),
    ASSIGNMENT("numeric", "int8", numeric_to_i64_kernel),
    IMPLICIT("numeric", "float4", numeric_to_f32_kernel),
    IMPLICIT("numeric", "float8", numeric_to_f64_kernel),
};
const size_t cast_number_rows_count = sizeof(cast_number_rows) / sizeof(cast_number_rows[0]);
