/* fn_datetime.c: the clock, operators among dates, times and intervals, casts between them, date_trunc,
 * date_bin, make_*, justify_*, age, overlaps and AT TIME ZONE.
 *
 * What depends on the session's zone is stable and allowed in views: a view keeps the zone of its CREATE. */
#define _GNU_SOURCE
#include "executor/functions/number_kernel.h"
#include "executor/functions/text_kernel.h"
#include "executor/functions/time_kernel.h"

#include "storage/base/clock.h"
#include "storage/data/datetime_io.h"

#include <math.h>

/* ---- the clock ---- */

static void fill_i64(struct fn_call *call, struct column *result, int64_t value)
{
    int64_t *out = result->data;
    for (uint32_t i = 0; i < call->rows; i++)
        out[i] = value;
}

static int64_t now_local(struct fn_call *call)
{
    int64_t now = call->env->io.now_us;
    return now + zone_offset_at(session_zone(call), now) * US_PER_SECOND;
}

static void now_kernel(struct fn_call *call, const struct column *args, struct column *result)
{
    fill_i64(call, result, call->env->io.now_us);
}

static void statement_now(struct fn_call *call, const struct column *args, struct column *result)
{
    fill_i64(call, result, call->env->statement_us);
}

static void clock_now(struct fn_call *call, const struct column *args, struct column *result)
{
    int64_t *out = result->data;
    for (uint32_t i = 0; i < call->rows; i++)
        out[i] = clock_now_us();
}

static void local_timestamp(struct fn_call *call, const struct column *args, struct column *result)
{
    fill_i64(call, result, now_local(call));
}

static void local_time(struct fn_call *call, const struct column *args, struct column *result)
{
    int64_t days, us;
    timestamp_split(now_local(call), &days, &us);
    fill_i64(call, result, us);
}

static void current_day(struct fn_call *call, const struct column *args, struct column *result)
{
    int32_t *out = result->data;
    int64_t days, us;
    timestamp_split(now_local(call), &days, &us);
    for (uint32_t i = 0; i < call->rows; i++)
        out[i] = (int32_t)days;
}

/* ---- errors ---- */

static bool date_out_of_range(struct error *err)
{
    return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "date out of range");
}
static bool timestamp_out_of_range(struct error *err)
{
    return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
}
static bool interval_out_of_range(struct error *err)
{
    return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "interval out of range");
}

/* ---- dates ---- */

static bool date_plus_days(int32_t date, int64_t days, int32_t *out, struct error *err)
{
    *out = date;
    if (date_infinite(date))
        return true;
    int64_t moved = date + days;
    if (!date_valid(moved))
        return date_out_of_range(err);
    *out = (int32_t)moved;
    return true;
}

static bool date_minus_date(int32_t a, int32_t b, int32_t *out, struct error *err)
{
    if (date_infinite(a) || date_infinite(b))
        return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "cannot subtract infinite dates");
    *out = a - b;
    return true;
}

static bool date_to_timestamp_value(int32_t date, int64_t *out, struct error *err)
{
    if (date_infinite(date)) {
        *out = date == DATE_PLUS_INFINITY ? TIMESTAMP_PLUS_INFINITY : TIMESTAMP_MINUS_INFINITY;
        return true;
    }
    if (date >= TIMESTAMP_END / US_PER_DAY)
        return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "date out of range for timestamp");
    *out = date * US_PER_DAY;
    return true;
}

static bool date_plus_time(int32_t date, int64_t time, int64_t *out, struct error *err)
{
    if (!date_to_timestamp_value(date, out, err))
        return false;
    if (timestamp_infinite(*out))
        return true;
    *out += time;
    return timestamp_valid(*out) || timestamp_out_of_range(err);
}

static bool interval_negate(const struct interval *x, struct interval *out, struct error *err)
{
    if (x->us == INT64_MIN || x->days == INT32_MIN || x->months == INT32_MIN)
        return interval_out_of_range(err);
    *out = (struct interval){.us = -x->us, .days = -x->days, .months = -x->months};
    return true;
}

static bool date_plus_interval(int32_t date, const struct interval *interval, int64_t *out, struct error *err)
{
    int64_t start = 0;
    return date_to_timestamp_value(date, &start, err) && timestamp_plus_interval(start, interval, out, err);
}

static bool date_minus_interval(int32_t date, const struct interval *interval, int64_t *out,
                                struct error *err)
{
    struct interval negated;
    return interval_negate(interval, &negated, err) && date_plus_interval(date, &negated, out, err);
}

TRY_KERNEL2(date_add_int, int32_t, int32_t, int32_t, date_plus_days(x, y, &out[i], err))
TRY_KERNEL2(int_add_date, int32_t, int32_t, int32_t, date_plus_days(y, x, &out[i], err))
TRY_KERNEL2(date_sub_int, int32_t, int32_t, int32_t, date_plus_days(x, -(int64_t)y, &out[i], err))
TRY_KERNEL2(date_sub_date, int32_t, int32_t, int32_t, date_minus_date(x, y, &out[i], err))
TRY_KERNEL2(date_add_time, int32_t, int64_t, int64_t, date_plus_time(x, y, &out[i], err))
TRY_KERNEL2(time_add_date, int64_t, int32_t, int64_t, date_plus_time(y, x, &out[i], err))
TRY_KERNEL2(date_add_interval, int32_t, struct interval, int64_t, date_plus_interval(x, &y, &out[i], err))
TRY_KERNEL2(interval_add_date, struct interval, int32_t, int64_t, date_plus_interval(y, &x, &out[i], err))
TRY_KERNEL2(date_sub_interval, int32_t, struct interval, int64_t, date_minus_interval(x, &y, &out[i], err))

/* ---- times ---- */

static int64_t time_of_day(__int128 us)
{
    int64_t rest = (int64_t)(us % US_PER_DAY);
    return rest < 0 ? rest + US_PER_DAY : rest;
}

KERNEL2(time_add_interval, int64_t, struct interval, int64_t, time_of_day((__int128)x + y.us))
KERNEL2(interval_add_time, struct interval, int64_t, int64_t, time_of_day((__int128)y + x.us))
KERNEL2(time_sub_interval, int64_t, struct interval, int64_t, time_of_day((__int128)x - y.us))
KERNEL2(time_sub_time, int64_t, int64_t, struct interval, ((struct interval){.us = x - y}))

/* ---- timestamps ---- */

static bool timestamp_minus_interval(int64_t timestamp, const struct interval *interval, int64_t *out,
                                     struct error *err)
{
    struct interval negated;
    return interval_negate(interval, &negated, err) && timestamp_plus_interval(timestamp, &negated, out, err);
}

static bool timestamptz_minus_interval(struct zone *zone, int64_t timestamp, const struct interval *interval,
                                       int64_t *out, struct error *err)
{
    struct interval negated;
    return interval_negate(interval, &negated, err) &&
           zone_plus_interval(zone, timestamp, &negated, out, err);
}

TRY_KERNEL2(ts_add_interval, int64_t, struct interval, int64_t, timestamp_plus_interval(x, &y, &out[i], err))
TRY_KERNEL2(interval_add_ts, struct interval, int64_t, int64_t, timestamp_plus_interval(y, &x, &out[i], err))
TRY_KERNEL2(ts_sub_interval, int64_t, struct interval, int64_t, timestamp_minus_interval(x, &y, &out[i], err))
TRY_KERNEL2(ts_sub_ts, int64_t, int64_t, struct interval, timestamp_minus(x, y, &out[i], err))
ZONE_KERNEL2(tz_add_interval, int64_t, struct interval, int64_t,
             zone_plus_interval(zone, x, &y, &out[i], err))
ZONE_KERNEL2(interval_add_tz, struct interval, int64_t, int64_t,
             zone_plus_interval(zone, y, &x, &out[i], err))
ZONE_KERNEL2(tz_sub_interval, int64_t, struct interval, int64_t,
             timestamptz_minus_interval(zone, x, &y, &out[i], err))

/* ---- intervals ---- */

static bool interval_plus(const struct interval *x, const struct interval *y, struct interval *out,
                          struct error *err)
{
    return (!__builtin_add_overflow(x->months, y->months, &out->months) &&
            !__builtin_add_overflow(x->days, y->days, &out->days) &&
            !__builtin_add_overflow(x->us, y->us, &out->us)) ||
           interval_out_of_range(err);
}

static bool interval_minus(const struct interval *x, const struct interval *y, struct interval *out,
                           struct error *err)
{
    return (!__builtin_sub_overflow(x->months, y->months, &out->months) &&
            !__builtin_sub_overflow(x->days, y->days, &out->days) &&
            !__builtin_sub_overflow(x->us, y->us, &out->us)) ||
           interval_out_of_range(err);
}

static bool fits_i32(double value)
{
    return value >= -0x1p31 && value < 0x1p31;
}

static double round_us(double seconds)
{
    return rint(seconds * 1e6) / 1e6;
}

/* The interval whose parts times the factor are given exactly as doubles: fractions of months become days (30
 * per month), fractions of days become time; nothing is carried upwards. */
static bool interval_scaled(double months, double days, double us, struct interval *out, struct error *err)
{
    if (!fits_i32(months) || !fits_i32(days))
        return interval_out_of_range(err);
    out->months = (int32_t)months;
    out->days = (int32_t)days;
    double month_days = round_us((months - out->months) * 30);
    double seconds = round_us((days - out->days + month_days - (int32_t)month_days) * 86400);
    if (fabs(seconds) >= 86400) {
        int32_t more = (int32_t)(seconds / 86400);
        if (__builtin_add_overflow(out->days, more, &out->days))
            return interval_out_of_range(err);
        seconds -= more * 86400.0;
    }
    if (__builtin_add_overflow(out->days, (int32_t)month_days, &out->days))
        return interval_out_of_range(err);
    double total = rint(us + seconds * 1e6);
    if (!(total >= -0x1p63 && total < 0x1p63))
        return interval_out_of_range(err);
    out->us = (int64_t)total;
    return true;
}

static bool interval_times(const struct interval *x, double factor, struct interval *out, struct error *err)
{
    return interval_scaled(x->months * factor, x->days * factor, (double)x->us * factor, out, err);
}

static bool interval_divided(const struct interval *x, double divisor, struct interval *out,
                             struct error *err)
{
    if (divisor == 0)
        return number_division_by_zero(err);
    return interval_scaled(x->months / divisor, x->days / divisor, (double)x->us / divisor, out, err);
}

TRY_KERNEL2(interval_add, struct interval, struct interval, struct interval,
            interval_plus(&x, &y, &out[i], err))
TRY_KERNEL2(interval_sub, struct interval, struct interval, struct interval,
            interval_minus(&x, &y, &out[i], err))
TRY_KERNEL1(interval_neg, struct interval, struct interval, interval_negate(&x, &out[i], err))
TRY_KERNEL2(interval_mul, struct interval, double, struct interval, interval_times(&x, y, &out[i], err))
TRY_KERNEL2(mul_interval, double, struct interval, struct interval, interval_times(&y, x, &out[i], err))
TRY_KERNEL2(interval_div, struct interval, double, struct interval, interval_divided(&x, y, &out[i], err))

/* Whole units of `low` move up into `high`; then both get one sign. */
static bool carry_days(struct interval *value, struct error *err)
{
    int32_t days = (int32_t)(value->us / US_PER_DAY);
    value->us %= US_PER_DAY;
    return !__builtin_add_overflow(value->days, days, &value->days) || interval_out_of_range(err);
}

static bool carry_months(struct interval *value, struct error *err)
{
    int32_t months = value->days / 30;
    value->days %= 30;
    return !__builtin_add_overflow(value->months, months, &value->months) || interval_out_of_range(err);
}

static void align_days(struct interval *value)
{
    if (value->days > 0 && value->us < 0) {
        value->us += US_PER_DAY;
        value->days--;
    } else if (value->days < 0 && value->us > 0) {
        value->us -= US_PER_DAY;
        value->days++;
    }
}

static bool justify_hours(const struct interval *x, struct interval *out, struct error *err)
{
    *out = *x;
    if (!carry_days(out, err))
        return false;
    align_days(out);
    return true;
}

static bool justify_days(const struct interval *x, struct interval *out, struct error *err)
{
    *out = *x;
    if (!carry_months(out, err))
        return false;
    if (out->months > 0 && out->days < 0) {
        out->days += 30;
        out->months--;
    } else if (out->months < 0 && out->days > 0) {
        out->days -= 30;
        out->months++;
    }
    return true;
}

static bool justify_interval(const struct interval *x, struct interval *out, struct error *err)
{
    *out = *x;
    /* days first when time would push them over the end */
    if ((out->days > 0 && out->us > 0) || (out->days < 0 && out->us < 0)) {
        if (!carry_months(out, err))
            return false;
    }
    if (!carry_days(out, err) || !carry_months(out, err))
        return false;
    if (out->months > 0 && (out->days < 0 || (out->days == 0 && out->us < 0))) {
        out->days += 30;
        out->months--;
    } else if (out->months < 0 && (out->days > 0 || (out->days == 0 && out->us > 0))) {
        out->days -= 30;
        out->months++;
    }
    align_days(out);
    return true;
}

TRY_KERNEL1(justify_hours_kernel, struct interval, struct interval, justify_hours(&x, &out[i], err))
TRY_KERNEL1(justify_days_kernel, struct interval, struct interval, justify_days(&x, &out[i], err))
TRY_KERNEL1(justify_interval_kernel, struct interval, struct interval, justify_interval(&x, &out[i], err))

KERNEL1(date_is_finite, int32_t, uint8_t, !date_infinite(x))
KERNEL1(timestamp_is_finite, int64_t, uint8_t, !timestamp_infinite(x))
KERNEL1(interval_is_finite, struct interval, uint8_t, ((void)x, true))

/* ---- age ---- */

static bool timestamptz_age(struct zone *zone, int64_t a, int64_t b, struct interval *out, struct error *err)
{
    int64_t x, y;
    return zone_to_local(zone, a, &x, err) && zone_to_local(zone, b, &y, err) &&
           timestamp_age(x, y, out, err);
}

static int64_t midnight_local(struct fn_call *call)
{
    int64_t days, us;
    timestamp_split(now_local(call), &days, &us);
    return days * US_PER_DAY;
}

TRY_KERNEL2(age_ts, int64_t, int64_t, struct interval, timestamp_age(x, y, &out[i], err))
ZONE_KERNEL2(age_tz, int64_t, int64_t, struct interval, timestamptz_age(zone, x, y, &out[i], err))
TRY_KERNEL1(age_ts_today, int64_t, struct interval, timestamp_age(midnight_local(call), x, &out[i], err))

static bool age_of_instant(struct zone *zone, int64_t today, int64_t x, struct interval *out,
                           struct error *err)
{
    int64_t local;
    return zone_to_local(zone, x, &local, err) && timestamp_age(today, local, out, err);
}
ZONE_KERNEL1(age_tz_today, int64_t, struct interval,
             age_of_instant(zone, midnight_local(call), x, &out[i], err))

/* ---- casts ---- */

static bool date_to_instant(struct zone *zone, int32_t date, int64_t *out, struct error *err)
{
    int64_t local = 0;
    return date_to_timestamp_value(date, &local, err) && zone_from_local(zone, local, out, err);
}

static int32_t timestamp_to_date_value(int64_t timestamp)
{
    if (timestamp_infinite(timestamp))
        return timestamp == TIMESTAMP_PLUS_INFINITY ? DATE_PLUS_INFINITY : DATE_MINUS_INFINITY;
    int64_t days, us;
    timestamp_split(timestamp, &days, &us);
    return (int32_t)days;
}

static bool instant_to_date(struct zone *zone, int64_t instant, int32_t *out, struct error *err)
{
    int64_t local;
    if (!zone_to_local(zone, instant, &local, err))
        return false;
    *out = timestamp_to_date_value(local);
    return true;
}

/* Infinities have no time of day: NULL. */
static void timestamp_to_time(struct fn_call *call, const struct column *args, struct column *result)
{
    int64_t *out = result->data;
    EACH_ROW1(int64_t, {
        int64_t days;
        timestamp_split(x, &days, &out[i]);
        if (timestamp_infinite(x))
            fn_set_null(call, result, i);
    });
}

static void timestamptz_to_time(struct fn_call *call, const struct column *args, struct column *result)
{
    int64_t *out = result->data;
    struct zone *zone = session_zone(call);
    EACH_ROW1(int64_t, {
        int64_t days;
        out[i] = 0;
        if (timestamp_infinite(x))
            fn_set_null(call, result, i);
        else if (!column_is_null(result, i))
            timestamp_split(x + zone_offset_at(zone, x) * US_PER_SECOND, &days, &out[i]);
    });
}

TRY_KERNEL1(date_to_timestamp, int32_t, int64_t, date_to_timestamp_value(x, &out[i], err))
ZONE_KERNEL1(date_to_timestamptz, int32_t, int64_t, date_to_instant(zone, x, &out[i], err))
KERNEL1(timestamp_to_date, int64_t, int32_t, timestamp_to_date_value(x))
ZONE_KERNEL1(timestamptz_to_date, int64_t, int32_t, instant_to_date(zone, x, &out[i], err))
ZONE_KERNEL1(timestamp_to_timestamptz, int64_t, int64_t, zone_from_local(zone, x, &out[i], err))
ZONE_KERNEL1(timestamptz_to_timestamp, int64_t, int64_t, zone_to_local(zone, x, &out[i], err))
KERNEL1(time_to_interval, int64_t, struct interval, ((struct interval){.us = x}))
KERNEL1(interval_to_time, struct interval, int64_t, time_of_day(x.us))

/* ---- AT TIME ZONE ---- */

static void zone_text_kernel(struct fn_call *call, const struct column *args, struct column *result,
                             bool to_local)
{
    int64_t *out = result->data;
    struct zone *zone = NULL;
    struct error err;
    for (uint32_t i = 0; i < call->rows; i++) {
        int64_t x = COLUMN_I64(&args[1])[COLUMN_AT(&args[1], i)];
        out[i] = 0;
        if (column_is_null(result, i))
            continue;
        if (zone == NULL || !args[0].is_constant) {
            struct text_arg name = text_at(&args[0], i);
            zone = zone_or_error(name.bytes, name.len, &err);
            if (zone == NULL) {
                fn_error_from(call, i, &err);
                continue;
            }
        }
        if (!(to_local ? zone_to_local(zone, x, &out[i], &err) : zone_from_local(zone, x, &out[i], &err)))
            fn_error_from(call, i, &err);
    }
}

static void instant_at_zone(struct fn_call *call, const struct column *args, struct column *result)
{
    zone_text_kernel(call, args, result, true);
}

static void local_at_zone(struct fn_call *call, const struct column *args, struct column *result)
{
    zone_text_kernel(call, args, result, false);
}

/* sign 1: instant to local. */
static bool shift_by_interval(const struct interval *zone, int64_t x, int sign, int64_t *out,
                              struct error *err)
{
    *out = x;
    if (zone->months != 0 || zone->days != 0) {
        struct strbuf text = STRBUF_INIT;
        interval_output(zone, &io_env_default, &text);
        error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                  "interval time zone \"%s\" must not include months or days", text.data);
        strbuf_release(&text);
        return false;
    }
    if (timestamp_infinite(x))
        return true;
    int64_t shift = zone->us / US_PER_SECOND * US_PER_SECOND;
    bool overflow = sign > 0 ? __builtin_add_overflow(x, shift, out) : __builtin_sub_overflow(x, shift, out);
    return (!overflow && timestamp_valid(*out)) || timestamp_out_of_range(err);
}

TRY_KERNEL2(instant_at_interval, struct interval, int64_t, int64_t, shift_by_interval(&x, y, 1, &out[i], err))
TRY_KERNEL2(local_at_interval, struct interval, int64_t, int64_t, shift_by_interval(&x, y, -1, &out[i], err))

/* ---- date_trunc, date_bin ---- */

bool instant_trunc(struct zone *zone, enum time_unit unit, int64_t x, int64_t *out, struct error *err)
{
    int64_t shift = zone_offset_at(zone, x) * US_PER_SECOND, local;
    if (!timestamp_trunc_unit(unit, x + shift, &local, err))
        return false;
    /* up to the hour the offset stays; a day may begin under another one */
    if (unit <= UNIT_HOUR) {
        *out = local - shift;
        return true;
    }
    return zone_from_local(zone, local, out, err);
}

static bool trunc_interval(enum time_unit unit, struct text_arg name, const struct interval *x,
                           struct interval *out, struct error *err)
{
    static const int64_t us_units[] = {
        1, 1000, US_PER_SECOND, 60 * US_PER_SECOND, 3600 * US_PER_SECOND, US_PER_DAY};
    *out = *x;
    if (unit == UNIT_WEEK) {
        time_unit_unsupported(name.bytes, name.len, "interval", err);
        return error_detail(err, "Months usually have fractional weeks.");
    }
    if (unit < UNIT_DAY) {
        out->us -= out->us % us_units[unit];
        return true;
    }
    out->us = 0;
    if (unit == UNIT_DAY)
        return true;
    out->days = 0;
    int32_t months = unit == UNIT_MONTH     ? 1
                     : unit == UNIT_QUARTER ? 3
                     : unit == UNIT_YEAR    ? 12
                     : unit == UNIT_DECADE  ? 120
                     : unit == UNIT_CENTURY ? 1200
                                            : 12000;
    out->months -= out->months % months;
    return true;
}

/* The unit of row i; looked up once when it is a constant. */
static bool row_unit(const struct column *column, uint32_t row, const char *type_name, enum time_unit *unit,
                     bool *known, struct error *err)
{
    if (*known && column->is_constant)
        return true;
    struct text_arg name = text_at(column, row);
    *known = time_unit_for(name.bytes, name.len, UNITS_TRUNC, type_name, unit, err);
    return *known;
}

static void trunc_timestamp_kernel(struct fn_call *call, const struct column *args, struct column *result)
{
    int64_t *out = result->data;
    enum time_unit unit = UNIT_DAY;
    bool known = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct error err;
        out[i] = 0;
        if (column_is_null(result, i))
            continue;
        int64_t x = COLUMN_I64(&args[1])[COLUMN_AT(&args[1], i)];
        if (timestamp_infinite(x)) /* whatever the unit */
            out[i] = x;
        else if (!row_unit(&args[0], i, "timestamp without time zone", &unit, &known, &err) ||
                 !timestamp_trunc_unit(unit, x, &out[i], &err))
            fn_error_from(call, i, &err);
    }
}

static void trunc_timestamptz_kernel(struct fn_call *call, const struct column *args, struct column *result)
{
    int64_t *out = result->data;
    enum time_unit unit = UNIT_DAY;
    bool known = false;
    struct zone *zone = call->args_count == 3 ? NULL : session_zone(call);
    for (uint32_t i = 0; i < call->rows; i++) {
        struct error err;
        bool ok = true;
        out[i] = 0;
        if (column_is_null(result, i))
            continue;
        int64_t x = COLUMN_I64(&args[1])[COLUMN_AT(&args[1], i)];
        if (timestamp_infinite(x)) { /* whatever the unit and the zone */
            out[i] = x;
            continue;
        }
        if (call->args_count == 3 && (zone == NULL || !args[2].is_constant)) {
            struct text_arg name = text_at(&args[2], i);
            zone = zone_or_error(name.bytes, name.len, &err);
            ok = zone != NULL;
        }
        if (!ok || !row_unit(&args[0], i, "timestamp with time zone", &unit, &known, &err) ||
            !instant_trunc(zone, unit, x, &out[i], &err))
            fn_error_from(call, i, &err);
    }
}

static void trunc_interval_kernel(struct fn_call *call, const struct column *args, struct column *result)
{
    struct interval *out = result->data;
    enum time_unit unit = UNIT_DAY;
    bool known = false;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct error err;
        out[i] = (struct interval){0};
        if (column_is_null(result, i))
            continue;
        if (!row_unit(&args[0], i, "interval", &unit, &known, &err) ||
            !trunc_interval(unit, text_at(&args[0], i), &COLUMN_INTERVAL(&args[1])[COLUMN_AT(&args[1], i)],
                            &out[i], &err))
            fn_error_from(call, i, &err);
    }
}

static bool bin(const struct interval *stride, int64_t x, int64_t origin, int64_t *out, struct error *err)
{
    *out = x;
    if (timestamp_infinite(x))
        return true;
    if (timestamp_infinite(origin))
        return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "origin out of range");
    if (stride->months != 0)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "timestamps cannot be binned into intervals containing months or years");
    int64_t us;
    if (__builtin_mul_overflow((int64_t)stride->days, US_PER_DAY, &us) ||
        __builtin_add_overflow(us, stride->us, &us))
        return interval_out_of_range(err);
    if (us <= 0)
        return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "stride must be greater than zero");
    int64_t difference;
    if (__builtin_sub_overflow(x, origin, &difference))
        return interval_out_of_range(err);
    int64_t rest = difference % us;
    if (__builtin_sub_overflow(x, rest < 0 ? rest + us : rest, out) || !timestamp_valid(*out))
        return timestamp_out_of_range(err);
    return true;
}

static void date_bin_kernel(struct fn_call *call, const struct column *args, struct column *result)
{
    int64_t *out = result->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct error err;
        out[i] = 0;
        if (!column_is_null(result, i) && !bin(&COLUMN_INTERVAL(&args[0])[COLUMN_AT(&args[0], i)],
                                               COLUMN_I64(&args[1])[COLUMN_AT(&args[1], i)],
                                               COLUMN_I64(&args[2])[COLUMN_AT(&args[2], i)], &out[i], &err))
            fn_error_from(call, i, &err);
    }
}

/* ---- make_* ---- */

/* Years below zero are BC; there is no year zero. */
static bool check_date(int32_t year, int32_t month, int32_t day, struct civil_time *out, struct error *err)
{
    out->year = year < 0 && year > INT32_MIN ? year + 1 : year;
    out->month = month;
    out->day = day;
    if (year == 0 || year == INT32_MIN || month < 1 || month > 12 || day < 1 || day > 31 ||
        day > days_of_month(out->year, month))
        return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "date field value out of range: %d-%02d-%02d",
                         out->year, month, day);
    if (!civil_date_valid(out->year, month))
        return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "date out of range: %d-%02d-%02d", out->year,
                         month, day);
    return true;
}

static bool check_time(int32_t hour, int32_t minute, double second, int64_t *us, struct error *err)
{
    if (hour >= 0 && hour <= 24 && minute >= 0 && minute <= 59 && second >= 0 && second <= 60) {
        *us = (hour * 60LL + minute) * 60 * US_PER_SECOND + (int64_t)rint(second * 1e6);
        if (*us <= US_PER_DAY)
            return true;
    }
    const char *special = isnan(second) ? "NaN" : second > 0 ? "Infinity" : "-Infinity";
    if (!isfinite(second))
        return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "time field value out of range: %d:%02d:%s",
                         hour, minute, special);
    return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "time field value out of range: %d:%02d:%02g",
                     hour, minute, second);
}

static bool make_local(const int32_t *part, double second, int64_t *out, struct error *err)
{
    struct civil_time civil = {0};
    int64_t us = 0;
    if (!check_date(part[0], part[1], part[2], &civil, err) ||
        !check_time(part[3], part[4], second, &us, err))
        return false;
    int64_t days = days_from_civil(civil.year, civil.month, civil.day);
    if (__builtin_mul_overflow(days, US_PER_DAY, out) || __builtin_add_overflow(*out, us, out) ||
        !timestamp_valid(*out))
        return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW,
                         "timestamp out of range: %d-%02d-%02d %d:%02d:%02g", part[0], part[1], part[2],
                         part[3], part[4], second);
    return true;
}

static void make_date_kernel(struct fn_call *call, const struct column *args, struct column *result)
{
    int32_t *out = result->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct civil_time civil;
        struct error err;
        out[i] = 0;
        if (column_is_null(result, i))
            continue;
        bool ok = check_date(i32_at(&args[0], i), i32_at(&args[1], i), i32_at(&args[2], i), &civil, &err);
        if (ok) {
            out[i] = days_from_civil(civil.year, civil.month, civil.day);
            ok = date_valid(out[i]) ||
                 error_set(&err, ERRCODE_DATETIME_FIELD_OVERFLOW, "date out of range: %d-%02d-%02d",
                           civil.year, civil.month, civil.day);
        }
        if (!ok)
            fn_error_from(call, i, &err);
    }
}

static void make_time_kernel(struct fn_call *call, const struct column *args, struct column *result)
{
    int64_t *out = result->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct error err;
        out[i] = 0;
        if (!column_is_null(result, i) &&
            !check_time(i32_at(&args[0], i), i32_at(&args[1], i),
                        COLUMN_F64(&args[2])[COLUMN_AT(&args[2], i)], &out[i], &err))
            fn_error_from(call, i, &err);
    }
}

/* A zone as make_timestamptz takes it: +hh[:mm] counts to the east here. */
static bool sane_zone(struct text_arg name, int64_t local, int64_t *out, struct error *err)
{
    if (name.len > 0 && name.bytes[0] >= '0' && name.bytes[0] <= '9') {
        error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                  "invalid input syntax for type numeric time zone: \"%.*s\"", (int)name.len, name.bytes);
        return error_hint(err, "Numeric time zones must have \"-\" or \"+\" as first character.");
    }
    if (name.len > 1 && (name.bytes[0] == '+' || name.bytes[0] == '-')) {
        int32_t field[3] = {0, 0, 0}, count = 0;
        size_t at = 1, digits = 0;
        for (; at < name.len && count < 3; at++) {
            if (name.bytes[at] >= '0' && name.bytes[at] <= '9' && ++digits <= 4)
                field[count] = field[count] * 10 + (name.bytes[at] - '0');
            else if (name.bytes[at] == ':' && digits > 0) {
                count++;
                digits = 0;
            } else
                break;
        }
        if (at == name.len && digits > 0) {
            if (count == 0 && name.len > 3) {
                field[1] = field[0] % 100;
                field[0] /= 100;
            }
            if (field[0] > 15 || field[1] > 59 || field[2] > 59)
                return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                                 "numeric time zone \"%.*s\" out of range", (int)name.len, name.bytes);
            int64_t east = (field[0] * 60 + field[1]) * 60 + field[2];
            *out = local - (name.bytes[0] == '-' ? -east : east) * US_PER_SECOND;
            return timestamp_valid(*out) || timestamp_out_of_range(err);
        }
    }
    struct zone *zone = zone_or_error(name.bytes, name.len, err);
    return zone != NULL && zone_from_local(zone, local, out, err);
}

static void make_timestamp_kernel(struct fn_call *call, const struct column *args, struct column *result)
{
    int64_t *out = result->data;
    bool with_zone = call->result_type.oid == OID_TIMESTAMPTZ;
    for (uint32_t i = 0; i < call->rows; i++) {
        int32_t part[5];
        struct error err;
        int64_t local;
        out[i] = 0;
        if (column_is_null(result, i))
            continue;
        for (int k = 0; k < 5; k++)
            part[k] = i32_at(&args[k], i);
        bool ok = make_local(part, COLUMN_F64(&args[5])[COLUMN_AT(&args[5], i)], &local, &err);
        if (ok && !with_zone)
            out[i] = local;
        else if (ok && call->args_count == 6)
            ok = zone_from_local(session_zone(call), local, &out[i], &err);
        else if (ok)
            ok = sane_zone(text_at(&args[6], i), local, &out[i], &err);
        if (!ok)
            fn_error_from(call, i, &err);
    }
}

static bool make_interval(const int64_t *part, double seconds, struct interval *out, struct error *err)
{
    double us = rint(seconds * 1e6);
    int64_t months = part[0] * 12 + part[1], days = part[2] * 7 + part[3];
    int64_t clock = (part[4] * 3600 + part[5] * 60) * US_PER_SECOND;
    if (!(us > -0x1p62 && us < 0x1p62) || months < INT32_MIN || months > INT32_MAX || days < INT32_MIN ||
        days > INT32_MAX || __builtin_add_overflow(clock, (int64_t)us, &out->us))
        return interval_out_of_range(err);
    out->months = (int32_t)months;
    out->days = (int32_t)days;
    return true;
}

static void make_interval_kernel(struct fn_call *call, const struct column *args, struct column *result)
{
    struct interval *out = result->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        int64_t part[6] = {0};
        double seconds = 0;
        struct error err;
        out[i] = (struct interval){0};
        if (column_is_null(result, i))
            continue;
        for (uint32_t k = 0; k < call->args_count && k < 6; k++)
            part[k] = i32_at(&args[k], i);
        if (call->args_count == 7)
            seconds = COLUMN_F64(&args[6])[COLUMN_AT(&args[6], i)];
        if (!make_interval(part, seconds, &out[i], &err))
            fn_error_from(call, i, &err);
    }
}

/* ---- overlaps ---- */

struct bound {
    bool is_null;
    int64_t at;
};

/* One period: its ends in order; when only one is known it is the start. false when neither is. */
static bool order_period(struct bound *start, struct bound *end)
{
    if (start->is_null) {
        if (end->is_null)
            return false;
        *start = *end;
        end->is_null = true;
    } else if (!end->is_null && start->at > end->at) {
        struct bound other = *start;
        *start = *end;
        *end = other;
    }
    return true;
}

/* 1, 0, or -1 for NULL. */
static int overlap(struct bound start_a, struct bound end_a, struct bound start_b, struct bound end_b)
{
    if (!order_period(&start_a, &end_a) || !order_period(&start_b, &end_b))
        return -1;
    if (start_a.at == start_b.at)
        return end_a.is_null || end_b.is_null ? -1 : 1;
    if (start_a.at < start_b.at) {
        struct bound start = start_a, end = end_a;
        start_a = start_b;
        end_a = end_b;
        start_b = start;
        end_b = end;
    }
    /* a starts later: does it start within b? */
    if (end_b.is_null)
        return -1;
    if (start_a.at < end_b.at)
        return 1;
    return end_a.is_null ? -1 : 0;
}

static struct bound bound_at(const struct column *column, uint32_t row)
{
    return (struct bound){.is_null = column_is_null(column, row),
                          .at = COLUMN_I64(column)[COLUMN_AT(column, row)]};
}

/* The end of a period: given, or the start plus an interval. */
static bool period_end(struct fn_call *call, const struct column *args, uint32_t start, uint32_t row,
                       struct bound *out, struct error *err)
{
    const struct column *end = &args[start + 1];
    if (end->type.oid != OID_INTERVAL) {
        *out = bound_at(end, row);
        return true;
    }
    out->is_null = column_is_null(&args[start], row) || column_is_null(end, row);
    out->at = 0;
    if (out->is_null)
        return true;
    int64_t from = COLUMN_I64(&args[start])[COLUMN_AT(&args[start], row)];
    const struct interval *interval = &COLUMN_INTERVAL(end)[COLUMN_AT(end, row)];
    if (args[start].type.oid == OID_TIMESTAMPTZ)
        return zone_plus_interval(session_zone(call), from, interval, &out->at, err);
    if (args[start].type.oid == OID_TIMESTAMP)
        return timestamp_plus_interval(from, interval, &out->at, err);
    out->at = time_of_day((__int128)from + interval->us);
    return true;
}

static void overlaps_kernel(struct fn_call *call, const struct column *args, struct column *result)
{
    uint8_t *out = result->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct bound end_a, end_b;
        struct error err;
        out[i] = 0;
        if (!period_end(call, args, 0, i, &end_a, &err) || !period_end(call, args, 2, i, &end_b, &err)) {
            fn_error_from(call, i, &err);
            continue;
        }
        int answer = overlap(bound_at(&args[0], i), end_a, bound_at(&args[2], i), end_b);
        out[i] = answer == 1;
        if (answer < 0)
            fn_set_null(call, result, i);
    }
}

/* ---- rows ---- */

#define ZONED (FN_STABLE | FN_VIEW_OK)

#define OPERATOR(symbol, args, result, kernel, help, extra)                                                  \
    {                                                                                                        \
        symbol, args, result, kernel, help, FN_OPERATOR | (extra), NULL, NULL, NULL                          \
    }
#define COMMUTES(symbol, args, result, kernel, help, extra)                                                  \
    {                                                                                                        \
        symbol, args, result, kernel, help, FN_OPERATOR | (extra), NULL, symbol, NULL                        \
    }
#define FN(name, args, result, kernel, help, flags)                                                          \
    {                                                                                                        \
        name, args, result, kernel, help, flags, NULL, NULL, NULL                                            \
    }
#define IMPLICIT(from, to, kernel, extra)                                                                    \
    {                                                                                                        \
        "cast", from, to, kernel, from " to " to, FN_CAST | FN_CAST_IMPLICIT | FN_CAST_ASSIGNMENT | (extra), \
            NULL, NULL, NULL                                                                                 \
    }
#define ASSIGNMENT(from, to, kernel, extra)                                                                  \
    {                                                                                                        \
        "cast", from, to, kernel, from " to " to, FN_CAST | FN_CAST_ASSIGNMENT | (extra), NULL, NULL, NULL   \
    }
#define OVERLAPS(type, flags)                                                                                \
    FN("overlaps", type "," type "," type "," type, "bool", overlaps_kernel, "do two periods overlap?",      \
       FN_NULLS | (flags)),                                                                                  \
        FN("overlaps", type "," type "," type ",interval", "bool", overlaps_kernel,                          \
           "do two periods overlap?", FN_NULLS | (flags)),                                                   \
        FN("overlaps", type ",interval," type "," type, "bool", overlaps_kernel, "do two periods overlap?",  \
           FN_NULLS | (flags)),                                                                              \
        FN("overlaps", type ",interval," type ",interval", "bool", overlaps_kernel,                          \
           "do two periods overlap?", FN_NULLS | (flags))
#define MAKE_INTERVAL(args)                                                                                  \
    FN("make_interval", args, "interval", make_interval_kernel,                                              \
       "make_interval(years, months, weeks, days, hours, mins, secs)", 0)

const struct function_row fn_datetime_rows[] = {
    FN("now", "", "timestamptz", now_kernel, "start of the transaction; in a view the tick's clock",
       FN_STABLE),
    FN("transaction_timestamp", "", "timestamptz", now_kernel, "start of the transaction", FN_STABLE),
    FN("current_timestamp", "", "timestamptz", now_kernel, "start of the transaction", FN_STABLE | FN_HIDDEN),
    FN("statement_timestamp", "", "timestamptz", statement_now, "start of the statement", FN_STABLE),
    FN("clock_timestamp", "", "timestamptz", clock_now, "the clock, read for each row", FN_VOLATILE),
    FN("current_date", "", "date", current_day, "today in the session's zone", FN_STABLE | FN_HIDDEN),
    FN("localtimestamp", "", "timestamp", local_timestamp, "now() in the session's zone",
       FN_STABLE | FN_HIDDEN),
    FN("localtime", "", "time", local_time, "time of day in the session's zone", FN_STABLE | FN_HIDDEN),

    COMMUTES("+", "date,int4", "date", date_add_int, "date '2001-09-28' + 7 gives 2001-10-05", 0),
    COMMUTES("+", "int4,date", "date", int_add_date, "7 + date '2001-09-28' gives 2001-10-05", 0),
    OPERATOR("-", "date,int4", "date", date_sub_int, "date '2001-10-01' - 7 gives 2001-09-24", 0),
    OPERATOR("-", "date,date", "int4", date_sub_date, "date '2001-10-01' - date '2001-09-28' gives 3", 0),
    COMMUTES("+", "date,time", "timestamp", date_add_time, "date '2001-09-28' + time '03:00'", 0),
    COMMUTES("+", "time,date", "timestamp", time_add_date, "time '03:00' + date '2001-09-28'", 0),
    COMMUTES("+", "date,interval", "timestamp", date_add_interval, "date '2001-09-28' + interval '1 hour'",
             0),
    COMMUTES("+", "interval,date", "timestamp", interval_add_date, "interval '1 hour' + date '2001-09-28'",
             0),
    OPERATOR("-", "date,interval", "timestamp", date_sub_interval, "date '2001-09-28' - interval '1 hour'",
             0),
    COMMUTES("+", "time,interval", "time", time_add_interval,
             "time '23:00' + interval '3 hours' gives 02:00:00", 0),
    COMMUTES("+", "interval,time", "time", interval_add_time,
             "interval '3 hours' + time '23:00' gives 02:00:00", 0),
    OPERATOR("-", "time,interval", "time", time_sub_interval,
             "time '05:00' - interval '2 hours' gives 03:00:00", 0),
    OPERATOR("-", "time,time", "interval", time_sub_time, "time '05:00' - time '03:00' gives 02:00:00", 0),
    COMMUTES("+", "timestamp,interval", "timestamp", ts_add_interval,
             "timestamp '2001-09-28' + interval '1 day'", 0),
    COMMUTES("+", "interval,timestamp", "timestamp", interval_add_ts,
             "interval '1 day' + timestamp '2001-09-28'", 0),
    OPERATOR("-", "timestamp,interval", "timestamp", ts_sub_interval,
             "timestamp '2001-09-28' - interval '1 day'", 0),
    OPERATOR("-", "timestamp,timestamp", "interval", ts_sub_ts, "difference in days and time", 0),
    COMMUTES("+", "timestamptz,interval", "timestamptz", tz_add_interval, "days move in the session's zone",
             ZONED),
    COMMUTES("+", "interval,timestamptz", "timestamptz", interval_add_tz, "days move in the session's zone",
             ZONED),
    OPERATOR("-", "timestamptz,interval", "timestamptz", tz_sub_interval, "days move in the session's zone",
             ZONED),
    OPERATOR("-", "timestamptz,timestamptz", "interval", ts_sub_ts, "difference in days and time", 0),
    COMMUTES("+", "interval,interval", "interval", interval_add, "interval '1 day' + interval '1 hour'", 0),
    OPERATOR("-", "interval,interval", "interval", interval_sub, "interval '1 day' - interval '1 hour'", 0),
    OPERATOR("-", "interval", "interval", interval_neg, "- interval '23 hours' gives -23:00:00", 0),
    COMMUTES("*", "interval,float8", "interval", interval_mul, "interval '1 hour' * 3.5 gives 03:30:00", 0),
    COMMUTES("*", "float8,interval", "interval", mul_interval, "3.5 * interval '1 hour' gives 03:30:00", 0),
    OPERATOR("/", "interval,float8", "interval", interval_div, "interval '1 hour' / 1.5 gives 00:40:00", 0),

    IMPLICIT("date", "timestamp", date_to_timestamp, 0),
    IMPLICIT("date", "timestamptz", date_to_timestamptz, ZONED),
    IMPLICIT("time", "interval", time_to_interval, 0),
    ASSIGNMENT("timestamp", "date", timestamp_to_date, 0),
    ASSIGNMENT("timestamp", "time", timestamp_to_time, 0),
    IMPLICIT("timestamp", "timestamptz", timestamp_to_timestamptz, ZONED),
    ASSIGNMENT("timestamptz", "date", timestamptz_to_date, ZONED),
    ASSIGNMENT("timestamptz", "time", timestamptz_to_time, ZONED),
    ASSIGNMENT("timestamptz", "timestamp", timestamptz_to_timestamp, ZONED),
    ASSIGNMENT("interval", "time", interval_to_time, 0),
    FN("date", "timestamp", "date", timestamp_to_date, "the day of a timestamp", 0),
    FN("date", "timestamptz", "date", timestamptz_to_date, "the day of an instant in the session's zone",
       ZONED),

    FN("timezone", "text,timestamptz", "timestamp", instant_at_zone,
       "timestamptz AT TIME ZONE 'Europe/Berlin'", 0),
    FN("timezone", "text,timestamp", "timestamptz", local_at_zone, "timestamp AT TIME ZONE 'Europe/Berlin'",
       0),
    FN("timezone", "interval,timestamptz", "timestamp", instant_at_interval,
       "timestamptz AT TIME ZONE interval '-08:00'", 0),
    FN("timezone", "interval,timestamp", "timestamptz", local_at_interval,
       "timestamp AT TIME ZONE interval '-08:00'", 0),

    FN("date_trunc", "text,timestamp", "timestamp", trunc_timestamp_kernel,
       "date_trunc('hour', timestamp '2001-02-16 20:38:40') gives 2001-02-16 20:00:00", 0),
    FN("date_trunc", "text,timestamptz", "timestamptz", trunc_timestamptz_kernel,
       "truncates in the session's zone", ZONED),
    FN("date_trunc", "text,timestamptz,text", "timestamptz", trunc_timestamptz_kernel,
       "truncates in the zone named", 0),
    FN("date_trunc", "text,interval", "interval", trunc_interval_kernel,
       "date_trunc('hour', interval '2 days 03:40') gives 2 days 03:00:00", 0),
    FN("date_bin", "interval,timestamp,timestamp", "timestamp", date_bin_kernel,
       "date_bin('15 minutes', timestamp '2001-02-16 20:38:40', timestamp '2001-02-16') gives 2001-02-16 "
       "20:30:00",
       0),
    FN("date_bin", "interval,timestamptz,timestamptz", "timestamptz", date_bin_kernel,
       "start of the bin that holds it", 0),
    FN("age", "timestamp,timestamp", "interval", age_ts,
       "age(timestamp '2001-04-10', timestamp '1957-06-13') gives 43 years 9 mons 27 days", 0),
    FN("age", "timestamptz,timestamptz", "interval", age_tz, "difference in years, months and days", ZONED),
    FN("age", "timestamp", "interval", age_ts_today, "age(current_date, x)", FN_STABLE),
    FN("age", "timestamptz", "interval", age_tz_today, "age(current_date, x)", FN_STABLE),
    FN("isfinite", "date", "bool", date_is_finite, "isfinite(date '2001-02-16') gives true", 0),
    FN("isfinite", "timestamp", "bool", timestamp_is_finite, "isfinite(timestamp 'infinity') gives false", 0),
    FN("isfinite", "timestamptz", "bool", timestamp_is_finite, "isfinite(timestamptz 'infinity') gives false",
       0),
    FN("isfinite", "interval", "bool", interval_is_finite, "isfinite(interval '4 hours') gives true", 0),
    FN("justify_hours", "interval", "interval", justify_hours_kernel,
       "justify_hours('27 hours') gives 1 day 03:00:00", 0),
    FN("justify_days", "interval", "interval", justify_days_kernel,
       "justify_days('35 days') gives 1 mon 5 days", 0),
    FN("justify_interval", "interval", "interval", justify_interval_kernel,
       "justify_interval('1 mon -1 hour') gives 29 days 23:00:00", 0),

    FN("make_date", "int4,int4,int4", "date", make_date_kernel, "make_date(2013, 7, 15) gives 2013-07-15", 0),
    FN("make_time", "int4,int4,float8", "time", make_time_kernel, "make_time(8, 15, 23.5) gives 08:15:23.5",
       0),
    FN("make_timestamp", "int4,int4,int4,int4,int4,float8", "timestamp", make_timestamp_kernel,
       "make_timestamp(2013, 7, 15, 8, 15, 23.5) gives 2013-07-15 08:15:23.5", 0),
    FN("make_timestamptz", "int4,int4,int4,int4,int4,float8", "timestamptz", make_timestamp_kernel,
       "the same in the session's zone", ZONED),
    FN("make_timestamptz", "int4,int4,int4,int4,int4,float8,text", "timestamptz", make_timestamp_kernel,
       "the same in the zone named", 0),
    MAKE_INTERVAL(""),
    MAKE_INTERVAL("int4"),
    MAKE_INTERVAL("int4,int4"),
    MAKE_INTERVAL("int4,int4,int4"),
    MAKE_INTERVAL("int4,int4,int4,int4"),
    MAKE_INTERVAL("int4,int4,int4,int4,int4"),
    MAKE_INTERVAL("int4,int4,int4,int4,int4,int4"),
    MAKE_INTERVAL("int4,int4,int4,int4,int4,int4,float8"),

    OVERLAPS("time", 0),
    OVERLAPS("timestamp", 0),
    OVERLAPS("timestamptz", ZONED),
};
const size_t fn_datetime_rows_count = sizeof(fn_datetime_rows) / sizeof(fn_datetime_rows[0]);
