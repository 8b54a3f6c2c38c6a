/* fn_window.c: tumble: the start of the window that holds a time (storage/data/calendar.h); the times between two rows
 * for gap_fill. */
#include "executor/function.h"

#include "storage/data/calendar.h"
#include "storage/data/datetime_internal.h"

/* size, offset and zone of a row, from args[1] on. */
static bool row_calendar(struct fn_call *call, const struct column *args, uint32_t args_count, uint32_t row,
                         struct calendar *out, struct error *err)
{
    struct calendar_text text = {.size = &COLUMN_INTERVAL(&args[0])[COLUMN_AT(&args[0], row)]};
    if (args_count > 1)
        text.offset = &COLUMN_INTERVAL(&args[1])[COLUMN_AT(&args[1], row)];
    if (args_count > 2) {
        const struct varlen *zone = &COLUMN_VAR(&args[2])[COLUMN_AT(&args[2], row)];
        text.zone = arena_strndup(call->arena, (const char *)varlen_bytes(zone), zone->len);
    }
    return calendar_make(&text, out, err);
}

static bool are_constant(const struct column *args, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!args[i].is_constant)
            return false;
    }
    return true;
}

static void tumble_kernel(struct fn_call *call, const struct column *args, struct column *result)
{
    int64_t *out = result->data, start = 0, end = 0;
    struct calendar calendar;
    struct zone *zone = NULL;
    bool is_made = false, is_constant = are_constant(args + 1, call->args_count - 1);
    for (uint32_t i = 0; i < call->rows; i++) {
        out[i] = 0;
        if (column_is_null(result, i))
            continue;
        struct error err;
        if (!is_made || !is_constant) {
            if (!row_calendar(call, args + 1, call->args_count - 1, i, &calendar, &err)) {
                fn_error_from(call, i, &err);
                continue;
            }
            is_made = true;
            zone = calendar_zone(&calendar);
            start = end = 0;
        }
        int64_t time = COLUMN_I64(&args[0])[COLUMN_AT(&args[0], i)];
        if (time >= start && time < end) {
            out[i] = start;
        } else if (timestamp_infinite(time)) {
            out[i] = time;
        } else if (calendar_window(&calendar, zone, time, &start, &end)) {
            out[i] = start;
        } else {
            start = end = 0;
            fn_error(call, i, ERRCODE_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
        }
    }
}

/* Starts of windows from `from` on and before `to`. */
static void append_starts(struct fn_call *call, uint32_t row, const struct calendar *calendar,
                          struct zone *zone, int64_t from, int64_t to, struct srf_output *output)
{
    int64_t start, end;
    bool ok = true;
    if (from >= to)
        return;
    ok = calendar_window(calendar, zone, from, &start, &end);
    for (int64_t at = ok && start == from ? start : end; ok && at < to && !output->stopped; at = end) {
        struct datum value = datum_i64(at);
        srf_append(output, row, &value);
        ok = calendar_window(calendar, zone, at, &start, &end);
    }
    if (!ok)
        fn_error(call, row, ERRCODE_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
}

static bool time_given(const struct column *column, uint32_t row, int64_t *out)
{
    if (column_is_null(column, row))
        return false;
    *out = COLUMN_I64(column)[COLUMN_AT(column, row)];
    return !timestamp_infinite(*out);
}

/* time, next or NULL, start or NULL, step, offset, zone: the starts of windows between start and the time, the time
 * itself, the starts between it and next. */
static void gap_fill_times(struct fn_call *call, const struct column *args, struct srf_output *output)
{
    bool is_made = false;
    struct calendar calendar;
    struct zone *zone = NULL;
    for (uint32_t i = 0; i < call->rows; i++) {
        int64_t time, next, start;
        struct error err;
        if (!time_given(&args[0], i, &time))
            continue;
        if (!is_made && !row_calendar(call, args + 3, call->args_count - 3, i, &calendar, &err)) {
            fn_error_from(call, i, &err);
            return;
        }
        if (!is_made)
            zone = calendar_zone(&calendar);
        is_made = true;
        if (time_given(&args[2], i, &start))
            append_starts(call, i, &calendar, zone, start, time, output);
        struct datum value = datum_i64(time);
        srf_append(output, i, &value);
        if (time_given(&args[1], i, &next))
            append_starts(call, i, &calendar, zone, time + 1, next, output);
    }
}

#define SET(args, result)                                                                                    \
    {                                                                                                        \
        "gap_fill_times", args, result, NULL, "", FN_SET | FN_HIDDEN | FN_NULLS, gap_fill_times, NULL, NULL  \
    }
#define FN(name, args, result, kernel, help, flags)                                                          \
    {                                                                                                        \
        name, args, result, kernel, help, flags, NULL, NULL, NULL                                            \
    }

const struct function_row fn_window_rows[] = {
    FN("tumble", "timestamp,interval", "timestamp", tumble_kernel,
       "tumble(timestamp '2001-02-16 20:38:40', '15 minutes') gives 2001-02-16 20:30:00", 0),
    FN("tumble", "timestamp,interval,interval", "timestamp", tumble_kernel,
       "tumble(timestamp '2001-02-16 20:38:40', '1 day', '6 hours') gives 2001-02-16 06:00:00", 0),
    FN("tumble", "timestamptz,interval", "timestamptz", tumble_kernel,
       "tumble(timestamptz '2001-02-16 20:38:40+00', '1 month') gives 2001-02-01 00:00:00+00", 0),
    FN("tumble", "timestamptz,interval,interval", "timestamptz", tumble_kernel, "the same with an offset", 0),
    FN("tumble", "timestamptz,interval,interval,text", "timestamptz", tumble_kernel,
       "tumble(timestamptz '2001-02-16 20:38:40+00', '1 day', '0', 'Europe/Berlin') gives 2001-02-15 "
       "23:00:00+00",
       0),
    SET("timestamp,timestamp,timestamp,interval,interval", "setof timestamp"),
    SET("timestamptz,timestamptz,timestamptz,interval,interval", "setof timestamptz"),
    SET("timestamptz,timestamptz,timestamptz,interval,interval,text", "setof timestamptz"),
};
const size_t fn_window_rows_count = sizeof(fn_window_rows) / sizeof(fn_window_rows[0]);
