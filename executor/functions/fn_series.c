/* fn_series.c: generate_series over numbers and times, generate_subscripts (PostgreSQL manual 9.25). */
#define _GNU_SOURCE
#include "executor/functions/text_kernel.h"
#include "storage/data/array.h"
#include "storage/data/datetime.h"
#include "storage/data/numeric.h"

/* A row whose arguments are all given. */
static bool row_is_given(const struct fn_call *call, const struct column *args, uint32_t row)
{
    for (uint32_t arg = 0; arg < call->args_count; arg++) {
        if (column_is_null(&args[arg], row))
            return false;
    }
    return true;
}

static bool step_is_zero(struct fn_call *call, uint32_t row, bool zero)
{
    if (zero)
        fn_error(call, row, ERRCODE_INVALID_PARAMETER_VALUE, "step size cannot equal zero");
    return zero;
}

static int64_t integer_at(const struct column *column, uint32_t row)
{
    return column->phys == PHYS_I32 ? i32_at(column, row) : COLUMN_I64(column)[COLUMN_AT(column, row)];
}

static void fn_series_integer(struct fn_call *call, const struct column *args, struct srf_output *output)
{
    bool narrow = args[0].phys == PHYS_I32;
    for (uint32_t i = 0; i < call->rows; i++) {
        if (!row_is_given(call, args, i))
            continue;
        int64_t at = integer_at(&args[0], i), end = integer_at(&args[1], i);
        int64_t step = call->args_count == 3 ? integer_at(&args[2], i) : 1;
        if (step_is_zero(call, i, step == 0))
            continue;
        while ((step > 0 ? at <= end : at >= end) && !output->stopped) {
            struct datum value = narrow ? datum_i32((int32_t)at) : datum_i64(at);
            srf_append(output, i, &value);
            if (__builtin_add_overflow(at, step, &at))
                break;
        }
    }
}

static struct varlen numeric_at(const struct column *column, uint32_t row)
{
    return COLUMN_VAR(column)[COLUMN_AT(column, row)];
}

static bool numeric_is_usable(struct fn_call *call, uint32_t row, const struct varlen *value,
                              const char *name)
{
    if (!numeric_is_special(value))
        return true;
    fn_error(call, row, ERRCODE_INVALID_PARAMETER_VALUE, "%s cannot be %s", name,
             numeric_is_nan(value) ? "NaN" : "infinity");
    return false;
}

static void fn_series_numeric(struct fn_call *call, const struct column *args, struct srf_output *output)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        if (!row_is_given(call, args, i))
            continue;
        struct varlen at = numeric_at(&args[0], i), end = numeric_at(&args[1], i);
        struct varlen step =
            call->args_count == 3 ? numeric_at(&args[2], i) : numeric_from_i64(call->arena, 1);
        if (!numeric_is_usable(call, i, &at, "start value") ||
            !numeric_is_usable(call, i, &end, "stop value") ||
            !numeric_is_usable(call, i, &step, "step size"))
            continue;
        int sign = numeric_sign(&step);
        if (step_is_zero(call, i, sign == 0))
            continue;
        struct arena turns[2]; /* a value is made from the one before it, and no third is alive */
        arena_init(&turns[0], NULL);
        arena_init(&turns[1], NULL);
        for (uint32_t turn = 0; numeric_compare(&at, &end) * sign <= 0 && !output->stopped; turn ^= 1) {
            struct datum value = {.var = at};
            struct error err;
            srf_append(output, i, &value);
            arena_reset(&turns[turn]);
            if (!numeric_add(&turns[turn], &at, &step, &at, &err)) {
                fn_error_from(call, i, &err);
                break;
            }
        }
        arena_release(&turns[0]);
        arena_release(&turns[1]);
    }
}

static void fn_series_time(struct fn_call *call, const struct column *args, struct srf_output *output)
{
    bool zoned = args[0].type.oid == OID_TIMESTAMPTZ;
    const struct interval zero = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        if (!row_is_given(call, args, i))
            continue;
        int64_t at = integer_at(&args[0], i), end = integer_at(&args[1], i);
        struct interval step = COLUMN_INTERVAL(&args[2])[COLUMN_AT(&args[2], i)];
        int sign = interval_compare(&step, &zero);
        if (step_is_zero(call, i, sign == 0))
            continue;
        while ((sign > 0 ? at <= end : at >= end) && !output->stopped) {
            struct datum value = datum_i64(at);
            struct error err;
            srf_append(output, i, &value);
            if (at == TIMESTAMP_MINUS_INFINITY || at == TIMESTAMP_PLUS_INFINITY)
                break;
            bool ok = zoned ? timestamptz_plus_interval(call->env->io.timezone, at, &step, &at, &err)
                            : timestamp_plus_interval(at, &step, &at, &err);
            if (!ok) {
                fn_error_from(call, i, &err);
                break;
            }
        }
    }
}

static void fn_subscripts(struct fn_call *call, const struct column *args, struct srf_output *output)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        if (!row_is_given(call, args, i))
            continue;
        struct array_view view;
        array_open(&COLUMN_VAR(&args[0])[COLUMN_AT(&args[0], i)], &view);
        int32_t dim = i32_at(&args[1], i) - 1;
        if (dim < 0 || dim >= view.ndim)
            continue;
        bool reverse = call->args_count == 3 && COLUMN_BOOL(&args[2])[COLUMN_AT(&args[2], i)];
        for (int32_t at = 0; at < view.lengths[dim]; at++) {
            int32_t offset = reverse ? view.lengths[dim] - 1 - at : at;
            struct datum value = datum_i32(view.lower_bounds[dim] + offset);
            srf_append(output, i, &value);
        }
    }
}

#define ZONED (FN_SET | FN_STABLE | FN_VIEW_OK)

const struct function_row fn_series_rows[] = {
    {"generate_series", "int4,int4", "setof int4", NULL, "generate_series(1, 3) gives 1, 2, 3", FN_SET,
     fn_series_integer},
    {"generate_series", "int4,int4,int4", "setof int4", NULL, "generate_series(1, 5, 2) gives 1, 3, 5",
     FN_SET, fn_series_integer},
    {"generate_series", "int8,int8", "setof int8", NULL, "generate_series(1::int8, 3) gives 1, 2, 3", FN_SET,
     fn_series_integer},
    {"generate_series", "int8,int8,int8", "setof int8", NULL, "generate_series(3::int8, 1, -1) gives 3, 2, 1",
     FN_SET, fn_series_integer},
    {"generate_series", "numeric,numeric", "setof numeric", NULL, "generate_series(1.5, 3) gives 1.5, 2.5",
     FN_SET, fn_series_numeric},
    {"generate_series", "numeric,numeric,numeric", "setof numeric", NULL,
     "generate_series(0, 1, 0.5) gives 0, 0.5, 1.0", FN_SET, fn_series_numeric},
    {"generate_series", "timestamp,timestamp,interval", "setof timestamp", NULL,
     "generate_series(timestamp '2026-01-01', '2026-01-02', '1 day')", FN_SET, fn_series_time},
    {"generate_series", "timestamptz,timestamptz,interval", "setof timestamptz", NULL,
     "generate_series(timestamptz '2026-01-01', '2026-01-02', '1 day')", ZONED, fn_series_time},
    {"generate_subscripts", "anyarray,int4", "setof int4", NULL,
     "generate_subscripts('{a,b}'::text[], 1) gives 1, 2", FN_SET, fn_subscripts},
    {"generate_subscripts", "anyarray,int4,bool", "setof int4", NULL,
     "generate_subscripts('{a,b}'::text[], 1, true) gives 2, 1", FN_SET, fn_subscripts},
};
const size_t fn_series_rows_count = sizeof(fn_series_rows) / sizeof(fn_series_rows[0]);
