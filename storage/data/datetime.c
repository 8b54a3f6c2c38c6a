/* datetime.c: the calendar, arithmetic on timestamps and intervals, and the datetime.h face of time zones.
 *
 * The calendar is the proleptic Gregorian one, year 0 = 1 BC. A timestamp is valid from 4714-11-24 BC on
 * (Julian day 0) until before 294277-01-01; the infinities lie outside and pass through everything. */
#include "storage/data/datetime.h"

#include "storage/data/datetime_internal.h"
#include "storage/data/timezone.h"

/* ---- calendar ---- */

int32_t days_from_civil(int32_t year, int32_t month, int32_t day)
{
    /* years begin in March, in eras of 400 years with 146097 days */
    int64_t y = (int64_t)year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int32_t)(era * 146097 + day_of_era - 730425); /* 0000-03-01 to 2000-01-01 */
}

void civil_from_days(int32_t days, int32_t *year, int32_t *month, int32_t *day)
{
    int64_t z = (int64_t)days + 730425;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    uint32_t day_of_era = (uint32_t)(z - era * 146097);
    uint32_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t shifted = (5 * day_of_year + 2) / 153;
    *day = (int32_t)(day_of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int32_t)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = (int32_t)((int64_t)year_of_era + era * 400 + (*month <= 2));
}

int32_t days_of_month(int32_t year, int32_t month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

bool civil_date_valid(int32_t year, int32_t month)
{
    return (year > JULIAN_YEAR_MIN || (year == JULIAN_YEAR_MIN && month >= 11)) &&
           (year < JULIAN_YEAR_END || (year == JULIAN_YEAR_END && month < 6));
}

void civil_from_timestamp(int64_t timestamp, struct civil_time *out)
{
    int64_t days, us;
    timestamp_split(timestamp, &days, &us);
    civil_from_days((int32_t)days, &out->year, &out->month, &out->day);
    civil_time_of_day(us, out);
    out->day_of_week = (int32_t)(((days + 6) % 7 + 7) % 7); /* 2000-01-01 was a Saturday */
    out->day_of_year = (int32_t)(days - days_from_civil(out->year, 1, 1)) + 1;
}

void civil_time_of_day(int64_t us, struct civil_time *out)
{
    out->us = (int32_t)(us % US_PER_SECOND);
    int32_t seconds = (int32_t)(us / US_PER_SECOND);
    out->hour = seconds / 3600;
    out->minute = seconds / 60 % 60;
    out->second = seconds % 60;
}

static bool out_of_range(struct error *err)
{
    return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
}

static bool interval_out_of_range(struct error *err)
{
    return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "interval out of range");
}

bool timestamp_from_civil(const struct civil_time *civil, int64_t *out, struct error *err)
{
    if (!civil_date_valid(civil->year, civil->month))
        return out_of_range(err);
    int64_t days = days_from_civil(civil->year, civil->month, civil->day);
    int64_t us = ((civil->hour * 60LL + civil->minute) * 60 + civil->second) * US_PER_SECOND + civil->us;
    if (__builtin_mul_overflow(days, US_PER_DAY, out) || __builtin_add_overflow(*out, us, out) ||
        !timestamp_valid(*out))
        return out_of_range(err);
    return true;
}

/* ---- zones ---- */

bool timezone_exists(const char *name)
{
    return zone_find(name, strlen(name), ZONE_NAME_FIRST) != NULL;
}

static struct zone *zone_or_error(const char *name, struct error *err)
{
    struct zone *zone = zone_find(name, strlen(name), ZONE_NAME_FIRST);
    if (UNLIKELY(zone == NULL))
        error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "time zone \"%s\" not recognized", name);
    return zone;
}

bool timezone_offset_at(const char *name, int64_t timestamptz, int32_t *seconds, struct error *err)
{
    struct zone *zone = zone_or_error(name, err);
    if (zone == NULL)
        return false;
    *seconds = zone_offset_at(zone, timestamptz);
    return true;
}

bool zone_from_local(struct zone *zone, int64_t local, int64_t *out, struct error *err)
{
    if (UNLIKELY(timestamp_infinite(local))) {
        *out = local;
        return true;
    }
    int64_t shift = zone_offset_of_local(zone, local) * US_PER_SECOND;
    if (__builtin_sub_overflow(local, shift, out) || !timestamp_valid(*out))
        return out_of_range(err);
    return true;
}

bool zone_to_local(struct zone *zone, int64_t timestamptz, int64_t *out, struct error *err)
{
    if (UNLIKELY(timestamp_infinite(timestamptz))) {
        *out = timestamptz;
        return true;
    }
    int64_t shift = zone_offset_at(zone, timestamptz) * US_PER_SECOND;
    if (__builtin_add_overflow(timestamptz, shift, out) || !timestamp_valid(*out))
        return out_of_range(err);
    return true;
}

bool timestamptz_from_local(const char *zone_name, int64_t local, int64_t *out, struct error *err)
{
    struct zone *zone = zone_or_error(zone_name, err);
    return zone != NULL && zone_from_local(zone, local, out, err);
}

bool timestamptz_to_local(const char *zone_name, int64_t timestamptz, int64_t *out, struct error *err)
{
    struct zone *zone = zone_or_error(zone_name, err);
    return zone != NULL && zone_to_local(zone, timestamptz, out, err);
}

/* ---- timestamps and intervals ---- */

/* Adds the months and days of an interval to a finite local time. */
static bool plus_months_days(int64_t local, int32_t months, int32_t days, int64_t *out, struct error *err)
{
    int64_t date, us;
    timestamp_split(local, &date, &us);
    if (months != 0) {
        int32_t year, month, day;
        civil_from_days((int32_t)date, &year, &month, &day);
        int64_t total = (int64_t)year * 12 + (month - 1) + months;
        int64_t new_year = total >= 0 ? total / 12 : -((11 - total) / 12);
        month = (int32_t)(total - new_year * 12) + 1;
        if (new_year < JULIAN_YEAR_MIN || new_year > TIMESTAMP_YEAR_MAX)
            return out_of_range(err);
        year = (int32_t)new_year;
        int32_t last = days_of_month(year, month);
        date = days_from_civil(year, month, day < last ? day : last);
    }
    date += days;
    if (__builtin_mul_overflow(date, US_PER_DAY, out) || __builtin_add_overflow(*out, us, out) ||
        !timestamp_valid(*out))
        return out_of_range(err);
    return true;
}

bool timestamp_plus_interval(int64_t timestamp, const struct interval *interval, int64_t *out,
                             struct error *err)
{
    if (UNLIKELY(timestamp_infinite(timestamp))) {
        *out = timestamp;
        return true;
    }
    int64_t moved = timestamp;
    if ((interval->months != 0 || interval->days != 0) &&
        !plus_months_days(timestamp, interval->months, interval->days, &moved, err))
        return false;
    if (__builtin_add_overflow(moved, interval->us, out) || !timestamp_valid(*out))
        return out_of_range(err);
    return true;
}

bool zone_plus_interval(struct zone *zone, int64_t timestamptz, const struct interval *interval, int64_t *out,
                        struct error *err)
{
    if (UNLIKELY(timestamp_infinite(timestamptz))) {
        *out = timestamptz;
        return true;
    }
    int64_t moved = timestamptz;
    /* the months' step finds its own offset before the days' step does */
    for (int step = 0; step < 2; step++) {
        int32_t months = step == 0 ? interval->months : 0, days = step == 1 ? interval->days : 0;
        int64_t local;
        if (months == 0 && days == 0)
            continue;
        if (!zone_to_local(zone, moved, &local, err) || !plus_months_days(local, months, days, &local, err) ||
            !zone_from_local(zone, local, &moved, err))
            return false;
    }
    if (__builtin_add_overflow(moved, interval->us, out) || !timestamp_valid(*out))
        return out_of_range(err);
    return true;
}

bool timestamptz_plus_interval(const char *zone_name, int64_t timestamptz, const struct interval *interval,
                               int64_t *out, struct error *err)
{
    if (interval->months == 0 && interval->days == 0)
        return timestamp_plus_interval(timestamptz, interval, out, err);
    struct zone *zone = zone_or_error(zone_name, err);
    return zone != NULL && zone_plus_interval(zone, timestamptz, interval, out, err);
}

bool timestamp_minus(int64_t a, int64_t b, struct interval *out, struct error *err)
{
    if (timestamp_infinite(a) || timestamp_infinite(b))
        return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "cannot subtract infinite timestamps");
    int64_t us;
    if (__builtin_sub_overflow(a, b, &us))
        return interval_out_of_range(err);
    *out = (struct interval){.us = us % US_PER_DAY, .days = (int32_t)(us / US_PER_DAY)};
    return true;
}

bool timestamp_age(int64_t a, int64_t b, struct interval *out, struct error *err)
{
    if (timestamp_infinite(a) || timestamp_infinite(b))
        return out_of_range(err);
    /* the difference field by field, borrowing from the next larger one; for a < b the mirror image */
    bool negative = a < b;
    struct civil_time late, early;
    civil_from_timestamp(negative ? b : a, &late);
    civil_from_timestamp(negative ? a : b, &early);
    int32_t months = (late.year - early.year) * 12 + late.month - early.month;
    int32_t days = late.day - early.day;
    int64_t us = ((late.hour - early.hour) * 3600LL + (late.minute - early.minute) * 60LL + late.second -
                  early.second) *
                     US_PER_SECOND +
                 late.us - early.us;
    if (us < 0) {
        us += US_PER_DAY;
        days--;
    }
    while (days < 0) { /* the month lent is the earlier one's; after a short February that takes two */
        days += days_of_month(early.year, early.month);
        months--;
    }
    *out = negative ? (struct interval){.us = -us, .days = -days, .months = -months}
                    : (struct interval){.us = us, .days = days, .months = months};
    return true;
}

/* ---- date_trunc ---- */

bool timestamp_trunc_unit(enum time_unit unit, int64_t local, int64_t *out, struct error *err)
{
    if (timestamp_infinite(local)) {
        *out = local;
        return true;
    }
    int64_t days, us;
    timestamp_split(local, &days, &us);
    switch (unit) {
    case UNIT_MICROSECOND:
        *out = local;
        return true;
    case UNIT_MILLISECOND:
        *out = local - us % 1000;
        return true;
    case UNIT_SECOND:
        *out = local - us % US_PER_SECOND;
        return true;
    case UNIT_MINUTE:
        *out = local - us % (60 * US_PER_SECOND);
        return true;
    case UNIT_HOUR:
        *out = local - us % (3600 * US_PER_SECOND);
        return true;
    case UNIT_DAY:
        *out = local - us;
        return true;
    case UNIT_WEEK:
        days -= ((days + 5) % 7 + 7) % 7; /* to Monday */
        break;
    default: {
        int32_t year, month, day;
        civil_from_days((int32_t)days, &year, &month, &day);
        if (unit == UNIT_QUARTER)
            month = (month - 1) / 3 * 3 + 1;
        else if (unit != UNIT_MONTH)
            month = 1;
        /* decades count from year 0, centuries and millennia from year 1, and backwards from 1 BC */
        if (unit == UNIT_DECADE)
            year = year > 0 ? year / 10 * 10 : -((9 - year) / 10) * 10;
        else if (unit == UNIT_CENTURY)
            year = year > 0 ? (year + 99) / 100 * 100 - 99 : -((99 - (year - 1)) / 100) * 100 + 1;
        else if (unit == UNIT_MILLENNIUM)
            year = year > 0 ? (year + 999) / 1000 * 1000 - 999 : -((999 - (year - 1)) / 1000) * 1000 + 1;
        if (year < JULIAN_YEAR_MIN)
            return out_of_range(err);
        days = days_from_civil(year, month, 1);
        break;
    }
    }
    *out = days * US_PER_DAY;
    return timestamp_valid(*out) || out_of_range(err);
}

bool timestamp_trunc(const char *unit, size_t unit_len, int64_t local, int64_t *out, struct error *err)
{
    enum time_unit found;
    return time_unit_for(unit, unit_len, UNITS_TRUNC, "timestamp without time zone", &found, err) &&
           timestamp_trunc_unit(found, local, out, err);
}

/* ---- order of intervals ---- */

int interval_compare(const struct interval *a, const struct interval *b)
{
    /* months of 30 days, days of 24 hours */
    __int128 x = interval_span(a), y = interval_span(b);
    return x < y ? -1 : x > y;
}
