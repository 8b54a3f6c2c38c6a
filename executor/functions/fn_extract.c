/* fn_extract.c: extract (numeric) and date_part (float8) of dates, times, timestamps and intervals.
 *
 * A field is computed once as a whole number of 10^-scale units and then shown as numeric or float8. */
#define _GNU_SOURCE
#include "executor/functions/number_kernel.h"
#include "executor/functions/text_kernel.h"
#include "executor/functions/time_kernel.h"

#include "storage/data/numeric.h"

#include <math.h>

enum field_kind { FIELD_NUMBER, FIELD_JULIAN, FIELD_NULL, FIELD_INFINITY, FIELD_MINUS_INFINITY };

struct field {
    enum field_kind kind;
    int64_t value; /* of 10^-scale units; whole days of FIELD_JULIAN */
    int32_t scale;
    int64_t us; /* FIELD_JULIAN: time within the day */
};

static struct field number(int64_t value, int32_t scale)
{
    return (struct field){.kind = FIELD_NUMBER, .value = value, .scale = scale};
}

/* ---- calendar fields ---- */

/* Year and week of ISO 8601: week 1 holds the year's first Thursday. */
void iso_week_of(int32_t days, int32_t *iso_year, int32_t *week)
{
    int32_t year, month, day;
    int32_t weekday = ((days + 5) % 7 + 7) % 7; /* 0 Monday */
    civil_from_days(days - weekday + 3, &year, &month, &day);
    *iso_year = year;
    *week = (days - weekday + 3 - days_from_civil(year, 1, 1)) / 7 + 1;
}

/* Years count without a zero for users: astronomical 0 is 1 BC, shown as -1. */
static int64_t shown_year(int32_t year)
{
    return year > 0 ? year : year - 1;
}

static bool date_field(enum time_unit unit, int32_t days, struct field *out)
{
    int32_t year, month, day, iso_year, week;
    civil_from_days(days, &year, &month, &day);
    int32_t weekday = ((days + 6) % 7 + 7) % 7; /* 0 Sunday */
    switch (unit) {
    case UNIT_DAY:
        *out = number(day, 0);
        return true;
    case UNIT_MONTH:
        *out = number(month, 0);
        return true;
    case UNIT_QUARTER:
        *out = number((month - 1) / 3 + 1, 0);
        return true;
    case UNIT_WEEK:
        iso_week_of(days, &iso_year, &week);
        *out = number(week, 0);
        return true;
    case UNIT_YEAR:
        *out = number(shown_year(year), 0);
        return true;
    case UNIT_ISOYEAR:
        iso_week_of(days, &iso_year, &week);
        *out = number(shown_year(iso_year), 0);
        return true;
    case UNIT_DECADE:
        *out = number(year >= 0 ? year / 10 : -((9 - year) / 10), 0);
        return true;
    case UNIT_CENTURY:
        *out = number(year > 0 ? (year + 99) / 100 : -((100 - year) / 100), 0);
        return true;
    case UNIT_MILLENNIUM:
        *out = number(year > 0 ? (year + 999) / 1000 : -((1000 - year) / 1000), 0);
        return true;
    case UNIT_DOW:
        *out = number(weekday, 0);
        return true;
    case UNIT_ISODOW:
        *out = number(weekday == 0 ? 7 : weekday, 0);
        return true;
    case UNIT_DOY:
        *out = number(days - days_from_civil(year, 1, 1) + 1, 0);
        return true;
    default:
        return false;
    }
}

/* Fields of a time of day. */
static bool clock_field(enum time_unit unit, int64_t us, struct field *out)
{
    switch (unit) {
    case UNIT_MICROSECOND:
        *out = number(us % (60 * US_PER_SECOND), 0);
        return true;
    case UNIT_MILLISECOND:
        *out = number(us % (60 * US_PER_SECOND), 3);
        return true;
    case UNIT_SECOND:
        *out = number(us % (60 * US_PER_SECOND), 6);
        return true;
    case UNIT_MINUTE:
        *out = number(us / (60 * US_PER_SECOND) % 60, 0);
        return true;
    case UNIT_HOUR:
        *out = number(us / (3600 * US_PER_SECOND), 0);
        return true;
    default:
        return false;
    }
}

/* Fields of the infinities: those that grow without end are infinite, the others NULL. */
static bool infinite_field(enum time_unit unit, bool is_plus, bool is_date, struct field *out)
{
    switch (unit) {
    case UNIT_YEAR:
    case UNIT_DECADE:
    case UNIT_CENTURY:
    case UNIT_MILLENNIUM:
    case UNIT_JULIAN:
    case UNIT_ISOYEAR:
    case UNIT_EPOCH:
        *out = (struct field){.kind = is_plus ? FIELD_INFINITY : FIELD_MINUS_INFINITY};
        return true;
    default:
        *out = (struct field){.kind = FIELD_NULL};
        return !is_date || (unit >= UNIT_DAY && unit < UNIT_TIMEZONE);
    }
}

/* instant: what the epoch counts from; local: what the fields are of. */
static bool timestamp_field(enum time_unit unit, int64_t instant, int64_t local, bool has_zone,
                            struct field *out)
{
    if (timestamp_infinite(instant))
        return infinite_field(unit, instant == TIMESTAMP_PLUS_INFINITY, false, out);
    int64_t days, us, east = (local - instant) / US_PER_SECOND;
    timestamp_split(local, &days, &us);
    switch (unit) {
    case UNIT_EPOCH: {
        int64_t since;
        if (__builtin_sub_overflow(instant, UNIX_EPOCH_US, &since)) {
            /* beyond 64 bits of microseconds: only the last years, where whole seconds must do */
            *out = number(instant / US_PER_SECOND - UNIX_EPOCH_US / US_PER_SECOND, 0);
            return true;
        }
        *out = number(since, 6);
        return true;
    }
    case UNIT_JULIAN:
        *out = (struct field){.kind = FIELD_JULIAN, .value = days + JULIAN_EPOCH, .us = us};
        return true;
    case UNIT_TIMEZONE:
        *out = number(east, 0);
        return has_zone;
    case UNIT_TIMEZONE_HOUR:
        *out = number(east / 3600, 0);
        return has_zone;
    case UNIT_TIMEZONE_MINUTE:
        *out = number(east / 60 % 60, 0);
        return has_zone;
    default:
        return clock_field(unit, us, out) || date_field(unit, (int32_t)days, out);
    }
}

static bool extract_timestamp(struct zone *zone, enum time_unit unit, const struct column *column,
                              uint32_t row, struct field *out)
{
    int64_t x = COLUMN_I64(column)[row];
    return timestamp_field(unit, x, x, false, out);
}

static bool extract_timestamptz(struct zone *zone, enum time_unit unit, const struct column *column,
                                uint32_t row, struct field *out)
{
    int64_t x = COLUMN_I64(column)[row];
    int64_t local = timestamp_infinite(x) ? x : x + zone_offset_at(zone, x) * US_PER_SECOND;
    return timestamp_field(unit, x, local, true, out);
}

static bool extract_date(struct zone *zone, enum time_unit unit, const struct column *column, uint32_t row,
                         struct field *out)
{
    int32_t x = COLUMN_I32(column)[row];
    if (date_infinite(x))
        return infinite_field(unit, x == DATE_PLUS_INFINITY, true, out);
    if (unit == UNIT_EPOCH) {
        *out = number(((int64_t)x - UNIX_EPOCH_DAYS) * 86400, 0);
        return true;
    }
    if (unit == UNIT_JULIAN) {
        *out = number((int64_t)x + JULIAN_EPOCH, 0);
        return true;
    }
    return date_field(unit, x, out);
}

/* date_part of a date is that of its midnight: it knows the clock's fields. */
static bool extract_midnight(struct zone *zone, enum time_unit unit, const struct column *column,
                             uint32_t row, struct field *out)
{
    int32_t x = COLUMN_I32(column)[row];
    int64_t midnight = x == DATE_PLUS_INFINITY    ? TIMESTAMP_PLUS_INFINITY
                       : x == DATE_MINUS_INFINITY ? TIMESTAMP_MINUS_INFINITY
                                                  : x * US_PER_DAY;
    return timestamp_field(unit, midnight, midnight, false, out);
}

static bool extract_time(struct zone *zone, enum time_unit unit, const struct column *column, uint32_t row,
                         struct field *out)
{
    int64_t x = COLUMN_I64(column)[row];
    if (unit == UNIT_EPOCH) {
        *out = number(x, 6);
        return true;
    }
    return clock_field(unit, x, out);
}

static bool extract_interval(struct zone *zone, enum time_unit unit, const struct column *column,
                             uint32_t row, struct field *out)
{
    const struct interval *x = &COLUMN_INTERVAL(column)[row];
    int32_t years = x->months / 12, months = x->months % 12;
    switch (unit) {
    case UNIT_DAY:
        *out = number(x->days, 0);
        return true;
    case UNIT_MONTH:
        *out = number(months, 0);
        return true;
    case UNIT_QUARTER:
        *out = number(months / 3 + 1, 0);
        return true;
    case UNIT_YEAR:
        *out = number(years, 0);
        return true;
    case UNIT_DECADE:
        *out = number(years / 10, 0);
        return true;
    case UNIT_CENTURY:
        *out = number(years / 100, 0);
        return true;
    case UNIT_MILLENNIUM:
        *out = number(years / 1000, 0);
        return true;
    case UNIT_EPOCH: {
        /* years of 365.25 days, months of 30 */
        int64_t seconds = years * 31557600LL + (months * 30LL + x->days) * 86400, us;
        if (__builtin_mul_overflow(seconds, US_PER_SECOND, &us) || __builtin_add_overflow(us, x->us, &us))
            *out = number(seconds + x->us / US_PER_SECOND, 0);
        else
            *out = number(us, 6);
        return true;
    }
    default:
        return clock_field(unit, x->us, out);
    }
}

/* ---- results ---- */

static bool put_numeric(struct arena *arena, const struct field *field, struct varlen *out, struct error *err)
{
    switch (field->kind) {
    case FIELD_JULIAN: {
        struct varlen us = numeric_from_i64(arena, field->us), day = numeric_from_i64(arena, US_PER_DAY);
        struct varlen whole = numeric_from_i64(arena, field->value), fraction;
        return numeric_div(arena, &us, &day, &fraction, err) &&
               numeric_add(arena, &whole, &fraction, out, err);
    }
    case FIELD_INFINITY:
        return numeric_from_f64(arena, (double)INFINITY, out, err);
    case FIELD_MINUS_INFINITY:
        return numeric_from_f64(arena, (double)-INFINITY, out, err);
    case FIELD_NUMBER:
    case FIELD_NULL:
        break;
    }
    *out = numeric_pack_small(arena, field->value, field->scale);
    return true;
}

static double as_double(const struct field *field, enum time_unit unit)
{
    switch (field->kind) {
    case FIELD_JULIAN:
        return (double)field->value + (double)field->us / (double)US_PER_DAY;
    case FIELD_INFINITY:
        return (double)INFINITY;
    case FIELD_MINUS_INFINITY:
        return (double)-INFINITY;
    case FIELD_NUMBER:
    case FIELD_NULL:
        break;
    }
    /* seconds and their fraction are added, as PostgreSQL does: the last bit of the sum shows */
    int64_t seconds = field->value / US_PER_SECOND, us = field->value % US_PER_SECOND;
    if (unit == UNIT_MILLISECOND)
        return (double)seconds * 1000.0 + (double)us / 1000.0;
    if (unit == UNIT_SECOND)
        return (double)seconds + (double)us / 1000000.0;
    return field->scale == 0 ? (double)field->value : (double)field->value / 1000000.0;
}

typedef bool extract_fn(struct zone *zone, enum time_unit unit, const struct column *column, uint32_t row,
                        struct field *out);

static void extract_rows(struct fn_call *call, const struct column *args, struct column *result,
                         extract_fn *extract, const char *type_name)
{
    bool is_numeric = result->phys == PHYS_VAR;
    struct zone *zone = session_zone(call);
    enum time_unit unit = UNIT_DAY;
    bool known = false;
    struct error err;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct field field = {0};
        struct text_arg name = text_at(&args[0], i);
        bool ok = true;
        if (is_numeric)
            RESULT_VAR(result)[i] = (struct varlen){0};
        else
            ((double *)result->data)[i] = 0;
        if (column_is_null(result, i))
            continue;
        if (!known || !args[0].is_constant)
            ok = known = time_unit_for(name.bytes, name.len, UNITS_EXTRACT, type_name, &unit, &err);
        if (ok && !extract(zone, unit, &args[1], COLUMN_AT(&args[1], i), &field))
            ok = time_unit_unsupported(name.bytes, name.len, type_name, &err);
        if (ok && field.kind == FIELD_NULL)
            fn_set_null(call, result, i);
        else if (ok && is_numeric)
            ok = put_numeric(call->arena, &field, &RESULT_VAR(result)[i], &err);
        else if (ok)
            ((double *)result->data)[i] = as_double(&field, unit);
        if (!ok)
            fn_error_from(call, i, &err);
    }
}

#define EXTRACT_KERNEL(name, extract, type_name)                                                             \
    static void name(struct fn_call *call, const struct column *args, struct column *result)                 \
    {                                                                                                        \
        extract_rows(call, args, result, extract, type_name);                                                \
    }

EXTRACT_KERNEL(timestamp_kernel, extract_timestamp, "timestamp without time zone")
EXTRACT_KERNEL(timestamptz_kernel, extract_timestamptz, "timestamp with time zone")
EXTRACT_KERNEL(date_kernel, extract_date, "date")
EXTRACT_KERNEL(date_part_kernel, extract_midnight, "timestamp without time zone")
EXTRACT_KERNEL(time_kernel, extract_time, "time without time zone")
EXTRACT_KERNEL(interval_kernel, extract_interval, "interval")

/* ---- rows ---- */

#define EXTRACT(name, type, result, kernel, flags)                                                           \
    {                                                                                                        \
        name, "text," type, result, kernel, name "('year', " type " ...)", flags, NULL, NULL, NULL           \
    }
#define ZONED (FN_STABLE | FN_VIEW_OK)

const struct function_row fn_extract_rows[] = {
    EXTRACT("extract", "timestamp", "numeric", timestamp_kernel, 0),
    EXTRACT("extract", "timestamptz", "numeric", timestamptz_kernel, ZONED),
    EXTRACT("extract", "date", "numeric", date_kernel, 0),
    EXTRACT("extract", "time", "numeric", time_kernel, 0),
    EXTRACT("extract", "interval", "numeric", interval_kernel, 0),
    EXTRACT("date_part", "timestamp", "float8", timestamp_kernel, 0),
    EXTRACT("date_part", "timestamptz", "float8", timestamptz_kernel, ZONED),
    EXTRACT("date_part", "date", "float8", date_part_kernel, 0),
    EXTRACT("date_part", "time", "float8", time_kernel, 0),
    EXTRACT("date_part", "interval", "float8", interval_kernel, 0),
};
const size_t fn_extract_rows_count = sizeof(fn_extract_rows) / sizeof(fn_extract_rows[0]);
