/* fn_math.c: mathematical functions: rounding, roots, logarithms, trigonometry, random numbers, whole-number
 * functions. Errors are PostgreSQL's: 22003 out of range, 2201E and 2201F for arguments without a result. */
#include "executor/functions/number_kernel.h"

#include "storage/base/clock.h"
#include "storage/data/numeric.h"

#include <math.h>
#include <stdio.h>

#ifndef M_PI
#define M_PI 3.14159265358979323846
#endif
#define RADIANS_PER_DEGREE 0.0174532925199432957692

/* ---- rounding ---- */

KERNEL1(f64_round, double, double, rint(x))
KERNEL1(f64_trunc, double, double, trunc(x))
KERNEL1(f64_ceil, double, double, ceil(x))
KERNEL1(f64_floor, double, double, floor(x))
KERNEL1(f64_sign, double, double, x > 0 ? 1.0 : x < 0 ? -1.0 : 0.0)

KERNEL1(numeric_round_kernel, struct varlen, struct varlen, numeric_round(call->arena, &x, 0))
KERNEL1(numeric_trunc_kernel, struct varlen, struct varlen, numeric_trunc(call->arena, &x, 0))
KERNEL2(numeric_round_digits, struct varlen, int32_t, struct varlen, numeric_round(call->arena, &x, y))
KERNEL2(numeric_trunc_digits, struct varlen, int32_t, struct varlen, numeric_trunc(call->arena, &x, y))
KERNEL1(numeric_ceil_kernel, struct varlen, struct varlen, numeric_ceil(call->arena, &x))
KERNEL1(numeric_floor_kernel, struct varlen, struct varlen, numeric_floor(call->arena, &x))
KERNEL1(numeric_trim_scale_kernel, struct varlen, struct varlen, numeric_trim_scale(call->arena, &x))
KERNEL1(numeric_sign_kernel, struct varlen, struct varlen,
        numeric_is_nan(&x) ? x : numeric_from_i64(call->arena, numeric_sign(&x)))

static void scale_of(struct fn_call *call, const struct column *args, struct column *result, bool least)
{
    int32_t *out = result->data;
    EACH_ROW1(struct varlen, {
        out[i] = 0;
        if (numeric_is_special(&x))
            fn_set_null(call, result, i);
        else
            out[i] = least ? numeric_min_scale(&x) : numeric_scale(&x);
    });
}

static void numeric_scale_kernel(struct fn_call *call, const struct column *args, struct column *result)
{
    scale_of(call, args, result, false);
}

static void numeric_min_scale_kernel(struct fn_call *call, const struct column *args, struct column *result)
{
    scale_of(call, args, result, true);
}

/* ---- exponents and logarithms ---- */

static bool exponential(double x, double *out, struct error *err)
{
    *out = exp(x);
    if (isinf(*out) && !isinf(x))
        return float_overflow(err);
    if (*out == 0 && !isinf(x))
        return float_underflow(err);
    return true;
}

static bool check_log(double x, struct error *err)
{
    if (x == 0)
        return error_set(err, ERRCODE_INVALID_ARGUMENT_FOR_LOG, "cannot take logarithm of zero");
    if (x < 0)
        return error_set(err, ERRCODE_INVALID_ARGUMENT_FOR_LOG, "cannot take logarithm of a negative number");
    return true;
}

static bool natural_log(double x, double *out, struct error *err)
{
    *out = log(x);
    return check_log(x, err);
}

static bool decimal_log(double x, double *out, struct error *err)
{
    *out = log10(x);
    return check_log(x, err);
}

TRY_KERNEL1(f64_exp, double, double, exponential(x, &out[i], err))
TRY_KERNEL1(f64_ln, double, double, natural_log(x, &out[i], err))
TRY_KERNEL1(f64_log10, double, double, decimal_log(x, &out[i], err))
TRY_KERNEL1(numeric_sqrt_kernel, struct varlen, struct varlen, numeric_sqrt(arena, &x, &out[i], err))
TRY_KERNEL1(numeric_exp_kernel, struct varlen, struct varlen, numeric_exp(arena, &x, &out[i], err))
TRY_KERNEL1(numeric_ln_kernel, struct varlen, struct varlen, numeric_ln(arena, &x, &out[i], err))
TRY_KERNEL2(numeric_log_kernel, struct varlen, struct varlen, struct varlen,
            numeric_log(arena, &x, &y, &out[i], err))

static bool log_of_ten(struct arena *arena, const struct varlen *x, struct varlen *out, struct error *err)
{
    struct varlen ten = numeric_from_i64(arena, 10);
    return numeric_log(arena, &ten, x, out, err);
}
TRY_KERNEL1(numeric_log10_kernel, struct varlen, struct varlen, log_of_ten(arena, &x, &out[i], err))

/* ---- trigonometry ---- */

static bool input_out_of_range(struct error *err)
{
    return error_set(err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "input is out of range");
}

/* A function of angles: infinite ones have no result. */
static bool of_angle(double (*function)(double), double x, double *out, struct error *err)
{
    if (isinf(x))
        return input_out_of_range(err);
    *out = function(x);
    return true;
}

/* A function whose argument lies within [-1, 1]. */
static bool of_ratio(double (*function)(double), double x, double *out, struct error *err)
{
    if (x < -1 || x > 1)
        return input_out_of_range(err);
    *out = function(x);
    return true;
}

static double cotangent(double x)
{
    return 1.0 / tan(x);
}

/* Degrees: the exact values at multiples of 30, 45 and 60 degrees come out exactly because each branch is
 * scaled by its own end point. x is within [0, 90]. */
static double sine_to_30(double x)
{
    return sin(x * RADIANS_PER_DEGREE) / sin(30.0 * RADIANS_PER_DEGREE) / 2.0;
}
static double cosine_to_60(double x)
{
    return 1.0 - (1.0 - cos(x * RADIANS_PER_DEGREE)) / (1.0 - cos(60.0 * RADIANS_PER_DEGREE)) / 2.0;
}
static double sine_first_quadrant(double x)
{
    return x <= 30 ? sine_to_30(x) : cosine_to_60(90 - x);
}
static double cosine_first_quadrant(double x)
{
    return x <= 60 ? cosine_to_60(x) : sine_to_30(90 - x);
}

static double sine_degrees(double x)
{
    double sign = 1;
    x = fmod(x, 360);
    if (x < 0) {
        x = -x;
        sign = -sign;
    }
    if (x > 180) {
        x = 360 - x;
        sign = -sign;
    }
    return sign * sine_first_quadrant(x > 90 ? 180 - x : x);
}

static double cosine_degrees(double x)
{
    double sign = 1;
    x = fabs(fmod(x, 360));
    if (x > 180)
        x = 360 - x;
    if (x > 90) {
        x = 180 - x;
        sign = -sign;
    }
    return sign * cosine_first_quadrant(x);
}

/* Brings an angle into [0, 90] for the tangent and cotangent; returns the sign of the result. */
static double fold_tangent(double *x)
{
    double sign = 1;
    *x = fmod(*x, 360);
    if (*x < 0) {
        *x = -*x;
        sign = -sign;
    }
    if (*x > 180) {
        *x = 360 - *x;
        sign = -sign;
    }
    if (*x > 90) {
        *x = 180 - *x;
        sign = -sign;
    }
    return sign;
}

static double tangent_degrees(double x)
{
    double sign = fold_tangent(&x), unit = sine_first_quadrant(45) / cosine_first_quadrant(45);
    double result = sign * (sine_first_quadrant(x) / cosine_first_quadrant(x) / unit);
    return result == 0 ? 0 : result; /* no minus zero */
}

static double cotangent_degrees(double x)
{
    double sign = fold_tangent(&x), unit = cosine_first_quadrant(45) / sine_first_quadrant(45);
    double result = sign * (cosine_first_quadrant(x) / sine_first_quadrant(x) / unit);
    return result == 0 ? 0 : result;
}

static double arc_sine_first_quadrant(double x)
{
    return x <= 0.5 ? asin(x) / asin(0.5) * 30.0 : 90.0 - acos(x) / acos(0.5) * 60.0;
}
static double arc_sine_degrees(double x)
{
    return x >= 0 ? arc_sine_first_quadrant(x) : -arc_sine_first_quadrant(-x);
}
static double arc_cosine_first_quadrant(double x)
{
    return x <= 0.5 ? 90.0 - asin(x) / asin(0.5) * 30.0 : acos(x) / acos(0.5) * 60.0;
}
static double arc_cosine_degrees(double x)
{
    return x >= 0 ? arc_cosine_first_quadrant(x) : 90.0 + arc_sine_first_quadrant(-x);
}
static double arc_tangent_degrees(double x)
{
    return atan(x) / atan(1.0) * 45.0;
}
static double arc_tangent2_degrees(double y, double x)
{
    return atan2(y, x) / atan(1.0) * 45.0;
}

TRY_KERNEL1(f64_sin, double, double, of_angle(sin, x, &out[i], err))
TRY_KERNEL1(f64_cos, double, double, of_angle(cos, x, &out[i], err))
TRY_KERNEL1(f64_tan, double, double, of_angle(tan, x, &out[i], err))
TRY_KERNEL1(f64_cot, double, double, of_angle(cotangent, x, &out[i], err))
TRY_KERNEL1(f64_asin, double, double, of_ratio(asin, x, &out[i], err))
TRY_KERNEL1(f64_acos, double, double, of_ratio(acos, x, &out[i], err))
KERNEL1(f64_atan, double, double, atan(x))
KERNEL2(f64_atan2, double, double, double, atan2(x, y))
TRY_KERNEL1(f64_sind, double, double, of_angle(sine_degrees, x, &out[i], err))
TRY_KERNEL1(f64_cosd, double, double, of_angle(cosine_degrees, x, &out[i], err))
TRY_KERNEL1(f64_tand, double, double, of_angle(tangent_degrees, x, &out[i], err))
TRY_KERNEL1(f64_cotd, double, double, of_angle(cotangent_degrees, x, &out[i], err))
TRY_KERNEL1(f64_asind, double, double, of_ratio(arc_sine_degrees, x, &out[i], err))
TRY_KERNEL1(f64_acosd, double, double, of_ratio(arc_cosine_degrees, x, &out[i], err))
KERNEL1(f64_atand, double, double, arc_tangent_degrees(x))
KERNEL2(f64_atan2d, double, double, double, arc_tangent2_degrees(x, y))
KERNEL1(f64_sinh, double, double, sinh(x))
KERNEL1(f64_cosh, double, double, cosh(x))
KERNEL1(f64_tanh, double, double, tanh(x))
KERNEL1(f64_asinh, double, double, asinh(x))

static bool arc_cosine_hyperbolic(double x, double *out, struct error *err)
{
    if (x < 1)
        return input_out_of_range(err);
    *out = acosh(x);
    return true;
}

TRY_KERNEL1(f64_acosh, double, double, arc_cosine_hyperbolic(x, &out[i], err))
TRY_KERNEL1(f64_atanh, double, double, of_ratio(atanh, x, &out[i], err))

static bool to_degrees(double x, double *out, struct error *err)
{
    *out = x / RADIANS_PER_DEGREE;
    return !(isinf(*out) && !isinf(x)) || float_overflow(err);
}
TRY_KERNEL1(f64_degrees, double, double, to_degrees(x, &out[i], err))
KERNEL1(f64_radians, double, double, x *RADIANS_PER_DEGREE)

static void f64_pi(struct fn_call *call, const struct column *args, struct column *result)
{
    double *out = result->data;
    for (uint32_t i = 0; i < call->rows; i++)
        out[i] = M_PI;
}

/* ---- random numbers ---- */

/* What setseed() leaves for the random() calls of the session: statements of a session run on its thread. */
static _Thread_local struct {
    bool is_set;
    uint64_t state;
} session_seed;

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15ull;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
}

/* Each call site has its own sequence, mixed from the statement's seed. */
static void f64_random(struct fn_call *call, const struct column *args, struct column *result)
{
    double *out = result->data;
    uint64_t *state = session_seed.is_set ? &session_seed.state : *call->state;
    if (state == NULL) {
        *call->state = state = arena_alloc(call->state_arena, sizeof(*state));
        *state = call->env->seed ^ random_u64();
    }
    for (uint32_t i = 0; i < call->rows; i++)
        out[i] = (double)(next_random(state) >> 11) * 0x1.0p-53;
}

/* The result type is void: an empty value in every row. */
static void set_seed(struct fn_call *call, const struct column *args, struct column *result)
{
    memset(result->data, 0, (size_t)phys_bytes(result->phys) * call->rows);
    EACH_ROW1(double, {
        if (column_is_null(result, i))
            continue;
        if (!(x >= -1 && x <= 1)) {
            char text[32];
            snprintf(text, sizeof(text), "%g", x);
            fn_error(call, i, ERRCODE_INVALID_PARAMETER_VALUE,
                     "setseed parameter %s is out of allowed range [-1,1]",
                     isnan(x)   ? "NaN"
                     : isinf(x) ? (x > 0 ? "Infinity" : "-Infinity")
                                : text);
            continue;
        }
        session_seed.is_set = true;
        memcpy(&session_seed.state, &x, sizeof(x));
    });
}

/* ---- whole numbers ---- */

static uint64_t gcd_u64(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static uint64_t magnitude(int64_t value)
{
    return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

static bool gcd_i64(int64_t x, int64_t y, int64_t most, const char *what, int64_t *out, struct error *err)
{
    uint64_t divisor = gcd_u64(magnitude(x), magnitude(y));
    *out = (int64_t)divisor;
    return divisor <= (uint64_t)most || number_out_of_range(what, err);
}

static bool lcm_i64(int64_t x, int64_t y, int64_t most, const char *what, int64_t *out, struct error *err)
{
    *out = 0;
    if (x == 0 || y == 0)
        return true;
    uint64_t a = magnitude(x), b = magnitude(y), product;
    if (__builtin_mul_overflow(a / gcd_u64(a, b), b, &product) || product > (uint64_t)most)
        return number_out_of_range(what, err);
    *out = (int64_t)product;
    return true;
}

static bool gcd_i32(int32_t x, int32_t y, int32_t *out, struct error *err)
{
    int64_t wide;
    bool ok = gcd_i64(x, y, INT32_MAX, "integer", &wide, err);
    *out = (int32_t)wide;
    return ok;
}

static bool lcm_i32(int32_t x, int32_t y, int32_t *out, struct error *err)
{
    int64_t wide;
    bool ok = lcm_i64(x, y, INT32_MAX, "integer", &wide, err);
    *out = (int32_t)wide;
    return ok;
}

TRY_KERNEL2(i32_gcd, int32_t, int32_t, int32_t, gcd_i32(x, y, &out[i], err))
TRY_KERNEL2(i32_lcm, int32_t, int32_t, int32_t, lcm_i32(x, y, &out[i], err))
TRY_KERNEL2(i64_gcd, int64_t, int64_t, int64_t, gcd_i64(x, y, INT64_MAX, "bigint", &out[i], err))
TRY_KERNEL2(i64_lcm, int64_t, int64_t, int64_t, lcm_i64(x, y, INT64_MAX, "bigint", &out[i], err))
TRY_KERNEL2(numeric_gcd_kernel, struct varlen, struct varlen, struct varlen,
            numeric_gcd(arena, &x, &y, &out[i], err))
TRY_KERNEL2(numeric_lcm_kernel, struct varlen, struct varlen, struct varlen,
            numeric_lcm(arena, &x, &y, &out[i], err))
TRY_KERNEL2(numeric_div_kernel, struct varlen, struct varlen, struct varlen,
            numeric_div_trunc(arena, &x, &y, &out[i], err))
TRY_KERNEL1(factorial, int64_t, struct varlen, numeric_factorial(arena, x, &out[i], err))

static struct varlen hex_text(struct arena *arena, uint64_t value)
{
    char digits[16];
    uint32_t count = 0;
    do {
        digits[sizeof(digits) - ++count] = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value != 0);
    return varlen_copy(arena, digits + sizeof(digits) - count, count);
}
KERNEL1(i32_to_hex, int32_t, struct varlen, hex_text(call->arena, (uint32_t)x))
KERNEL1(i64_to_hex, int64_t, struct varlen, hex_text(call->arena, (uint64_t)x))

/* ---- width_bucket ---- */

static bool bucket_error(const char *what, struct error *err)
{
    return error_set(err, ERRCODE_INVALID_ARGUMENT_FOR_WIDTH_BUCKET, "%s", what);
}

static bool bucket_of_double(double x, double low, double high, int32_t count, int32_t *out,
                             struct error *err)
{
    if (count <= 0)
        return bucket_error("count must be greater than zero", err);
    if (isnan(x) || isnan(low) || isnan(high))
        return bucket_error("operand, lower bound, and upper bound cannot be NaN", err);
    if (isinf(low) || isinf(high))
        return bucket_error("lower and upper bounds must be finite", err);
    if (low == high)
        return bucket_error("lower bound cannot equal upper bound", err);
    bool rising = low < high;
    int64_t bucket;
    if (rising ? x < low : x > low) {
        bucket = 0;
    } else if (rising ? x >= high : x <= high) {
        bucket = (int64_t)count + 1;
    } else {
        double part;
        if (isinf(high - low)) /* far apart: halve both before subtracting */
            part = (x / 2 - low / 2) / (high / 2 - low / 2);
        else
            part = (x - low) / (high - low);
        bucket = (int64_t)(count * part);
        if (bucket >= count) /* rounding must not carry it over the end */
            bucket = count - 1;
        bucket++;
    }
    if (bucket > INT32_MAX)
        return number_out_of_range("integer", err);
    *out = (int32_t)bucket;
    return true;
}

static bool bucket_of_numeric(struct arena *arena, const struct varlen *x, const struct varlen *low,
                              const struct varlen *high, int32_t count, int32_t *out, struct error *err)
{
    if (count <= 0)
        return bucket_error("count must be greater than zero", err);
    if (numeric_is_nan(x) || numeric_is_nan(low) || numeric_is_nan(high))
        return bucket_error("operand, lower bound, and upper bound cannot be NaN", err);
    if (numeric_is_special(low) || numeric_is_special(high))
        return bucket_error("lower and upper bounds must be finite", err);
    int order = numeric_compare(low, high);
    if (order == 0)
        return bucket_error("lower bound cannot equal upper bound", err);
    int64_t bucket;
    if (order * numeric_compare(x, low) > 0) {
        bucket = 0;
    } else if (order * numeric_compare(x, high) <= 0) {
        bucket = (int64_t)count + 1;
    } else {
        struct varlen part, width, whole, factor = numeric_from_i64(arena, count);
        if (!numeric_sub(arena, x, low, &part, err) || !numeric_sub(arena, high, low, &width, err) ||
            !numeric_mul(arena, &part, &factor, &part, err) ||
            !numeric_div_trunc(arena, &part, &width, &whole, err) || !numeric_to_i64(&whole, &bucket, err))
            return false;
        bucket++;
    }
    if (bucket > INT32_MAX)
        return number_out_of_range("integer", err);
    *out = (int32_t)bucket;
    return true;
}

static void f64_width_bucket(struct fn_call *call, const struct column *args, struct column *result)
{
    int32_t *out = result->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct error err;
        out[i] = 0;
        if (!column_is_null(result, i) &&
            !bucket_of_double(COLUMN_F64(&args[0])[COLUMN_AT(&args[0], i)],
                              COLUMN_F64(&args[1])[COLUMN_AT(&args[1], i)],
                              COLUMN_F64(&args[2])[COLUMN_AT(&args[2], i)],
                              COLUMN_I32(&args[3])[COLUMN_AT(&args[3], i)], &out[i], &err))
            fn_error_from(call, i, &err);
    }
}

static void numeric_width_bucket(struct fn_call *call, const struct column *args, struct column *result)
{
    int32_t *out = result->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct error err;
        out[i] = 0;
        if (!column_is_null(result, i) &&
            !bucket_of_numeric(call->arena, &COLUMN_VAR(&args[0])[COLUMN_AT(&args[0], i)],
                               &COLUMN_VAR(&args[1])[COLUMN_AT(&args[1], i)],
                               &COLUMN_VAR(&args[2])[COLUMN_AT(&args[2], i)],
                               COLUMN_I32(&args[3])[COLUMN_AT(&args[3], i)], &out[i], &err))
            fn_error_from(call, i, &err);
    }
}

/* ---- rows ---- */

#define F8(name, kernel, help)                                                                               \
    {                                                                                                        \
        name, "float8", "float8", kernel, help, 0, NULL, NULL, NULL                                          \
    }
#define NUM(name, kernel, help)                                                                              \
    {                                                                                                        \
        name, "numeric", "numeric", kernel, help, 0, NULL, NULL, NULL                                        \
    }
#define FN(name, args, result, kernel, help)                                                                 \
    {                                                                                                        \
        name, args, result, kernel, help, 0, NULL, NULL, NULL                                                \
    }

const struct function_row fn_math_rows[] = {
    F8("round", f64_round, "round(2.5::float8) gives 2"),
    F8("trunc", f64_trunc, "trunc(-1.5::float8) gives -1"),
    F8("ceil", f64_ceil, "ceil(1.2::float8) gives 2"),
    F8("ceiling", f64_ceil, "ceiling(1.2::float8) gives 2"),
    F8("floor", f64_floor, "floor(-1.2::float8) gives -2"),
    F8("sign", f64_sign, "sign(-8.4::float8) gives -1"),
    NUM("round", numeric_round_kernel, "round(2.5) gives 3"),
    NUM("trunc", numeric_trunc_kernel, "trunc(-1.5) gives -1"),
    FN("round", "numeric,int4", "numeric", numeric_round_digits, "round(42.4382, 2) gives 42.44"),
    FN("trunc", "numeric,int4", "numeric", numeric_trunc_digits, "trunc(42.4382, 2) gives 42.43"),
    NUM("ceil", numeric_ceil_kernel, "ceil(1.2) gives 2"),
    NUM("ceiling", numeric_ceil_kernel, "ceiling(1.2) gives 2"),
    NUM("floor", numeric_floor_kernel, "floor(-1.2) gives -2"),
    NUM("sign", numeric_sign_kernel, "sign(-8.4) gives -1"),
    NUM("trim_scale", numeric_trim_scale_kernel, "trim_scale(8.4100) gives 8.41"),
    FN("scale", "numeric", "int4", numeric_scale_kernel, "scale(8.4100) gives 4"),
    FN("min_scale", "numeric", "int4", numeric_min_scale_kernel, "min_scale(8.4100) gives 2"),
    F8("exp", f64_exp, "exp(1.0::float8) gives 2.718281828459045"),
    F8("ln", f64_ln, "ln(2.0::float8) gives 0.6931471805599453"),
    F8("log", f64_log10, "log(100::float8) gives 2"),
    F8("log10", f64_log10, "log10(100::float8) gives 2"),
    NUM("sqrt", numeric_sqrt_kernel, "sqrt(2.0) gives 1.414213562373095"),
    NUM("exp", numeric_exp_kernel, "exp(1.0) gives 2.7182818284590452"),
    NUM("ln", numeric_ln_kernel, "ln(2.0) gives 0.6931471805599453"),
    NUM("log", numeric_log10_kernel, "log(100.0) gives 2.0000000000000000"),
    NUM("log10", numeric_log10_kernel, "log10(100.0) gives 2.0000000000000000"),
    FN("log", "numeric,numeric", "numeric", numeric_log_kernel, "log(2.0, 64.0) gives 6.0000000000000000"),
    F8("sin", f64_sin, "sin(1) gives 0.8414709848078965"),
    F8("cos", f64_cos, "cos(0) gives 1"),
    F8("tan", f64_tan, "tan(1) gives 1.5574077246549023"),
    F8("cot", f64_cot, "cot(0.5) gives 1.830487721712452"),
    F8("asin", f64_asin, "asin(1) gives 1.5707963267948966"),
    F8("acos", f64_acos, "acos(1) gives 0"),
    F8("atan", f64_atan, "atan(1) gives 0.7853981633974483"),
    FN("atan2", "float8,float8", "float8", f64_atan2, "atan2(1, 0) gives 1.5707963267948966"),
    F8("sind", f64_sind, "sind(30) gives 0.5"),
    F8("cosd", f64_cosd, "cosd(60) gives 0.5"),
    F8("tand", f64_tand, "tand(45) gives 1"),
    F8("cotd", f64_cotd, "cotd(45) gives 1"),
    F8("asind", f64_asind, "asind(0.5) gives 30"),
    F8("acosd", f64_acosd, "acosd(0.5) gives 60"),
    F8("atand", f64_atand, "atand(1) gives 45"),
    FN("atan2d", "float8,float8", "float8", f64_atan2d, "atan2d(1, 0) gives 90"),
    F8("sinh", f64_sinh, "sinh(1) gives 1.1752011936438014"),
    F8("cosh", f64_cosh, "cosh(0) gives 1"),
    F8("tanh", f64_tanh, "tanh(1) gives 0.7615941559557649"),
    F8("asinh", f64_asinh, "asinh(1) gives 0.881373587019543"),
    F8("acosh", f64_acosh, "acosh(1) gives 0"),
    F8("atanh", f64_atanh, "atanh(0.5) gives 0.5493061443340548"),
    F8("degrees", f64_degrees, "degrees(0.5) gives 28.64788975654116"),
    F8("radians", f64_radians, "radians(45.0) gives 0.7853981633974483"),
    FN("pi", "", "float8", f64_pi, "pi() gives 3.141592653589793"),
    {"random", "", "float8", f64_random, "random() gives a number in [0, 1)", FN_VOLATILE, NULL, NULL, NULL},
    {"setseed", "float8", "void", set_seed, "setseed(0.5) makes the random() calls of the session repeatable",
     FN_VOLATILE, NULL, NULL, NULL},
    FN("gcd", "int4,int4", "int4", i32_gcd, "gcd(1071, 462) gives 21"),
    FN("gcd", "int8,int8", "int8", i64_gcd, "gcd(1071::int8, 462::int8) gives 21"),
    FN("gcd", "numeric,numeric", "numeric", numeric_gcd_kernel, "gcd(1.2, 0.8) gives 0.4"),
    FN("lcm", "int4,int4", "int4", i32_lcm, "lcm(1071, 462) gives 23562"),
    FN("lcm", "int8,int8", "int8", i64_lcm, "lcm(1071::int8, 462::int8) gives 23562"),
    FN("lcm", "numeric,numeric", "numeric", numeric_lcm_kernel, "lcm(1.2, 0.8) gives 2.4"),
    FN("div", "numeric,numeric", "numeric", numeric_div_kernel, "div(9, 4) gives 2"),
    FN("factorial", "int8", "numeric", factorial, "factorial(5) gives 120"),
    FN("to_hex", "int4", "text", i32_to_hex, "to_hex(2147483647) gives '7fffffff'"),
    FN("to_hex", "int8", "text", i64_to_hex, "to_hex(255::int8) gives 'ff'"),
    FN("width_bucket", "float8,float8,float8,int4", "int4", f64_width_bucket,
       "width_bucket(5.35::float8, 0.024, 10.06, 5) gives 3"),
    FN("width_bucket", "numeric,numeric,numeric,int4", "int4", numeric_width_bucket,
       "width_bucket(5.35, 0.024, 10.06, 5) gives 3"),
};
const size_t fn_math_rows_count = sizeof(fn_math_rows) / sizeof(fn_math_rows[0]);
