/* datetime_internal.h: the parts of date/time values that the text forms and the SQL functions build on:
 * ranges, units by name, zones as handles. */
#ifndef MILLRACE_DATA_DATETIME_INTERNAL_H
#define MILLRACE_DATA_DATETIME_INTERNAL_H

#include "storage/data/datetime.h"
#include "storage/data/timezone.h"

#define TIMESTAMP_MIN      (-211813488000000000LL) /* 4714-11-24 BC */
#define TIMESTAMP_END      9223371331200000000LL   /* 294277-01-01, excluded */
#define TIMESTAMP_YEAR_MAX 294277
#define JULIAN_YEAR_MIN    (-4713)
#define JULIAN_YEAR_END    5874898
#define JULIAN_EPOCH       2451545                     /* Julian day of 2000-01-01 */
#define DATE_MIN           (-JULIAN_EPOCH)             /* 4714-11-24 BC */
#define DATE_END           (2147483494 - JULIAN_EPOCH) /* 5874898-01-01, excluded */
#define UNIX_EPOCH_DAYS    (-10957)                    /* 1970-01-01 */
#define UNIX_EPOCH_US      (UNIX_EPOCH_DAYS * US_PER_DAY)

static inline bool timestamp_infinite(int64_t timestamp)
{
    return timestamp == TIMESTAMP_PLUS_INFINITY || timestamp == TIMESTAMP_MINUS_INFINITY;
}
static inline bool timestamp_valid(int64_t timestamp)
{
    return timestamp >= TIMESTAMP_MIN && timestamp < TIMESTAMP_END;
}
static inline bool date_infinite(int32_t date)
{
    return date == DATE_PLUS_INFINITY || date == DATE_MINUS_INFINITY;
}
static inline bool date_valid(int64_t date)
{
    return date >= DATE_MIN && date < DATE_END;
}
/* Days (rounded down) and microseconds within the day. */
static inline void timestamp_split(int64_t timestamp, int64_t *days, int64_t *us)
{
    *days = timestamp / US_PER_DAY;
    *us = timestamp % US_PER_DAY;
    if (*us < 0) {
        *us += US_PER_DAY;
        --*days;
    }
}
/* Microseconds of an interval with months of 30 days and days of 24 hours: its place in the order. */
static inline __int128 interval_span(const struct interval *interval)
{
    return (__int128)interval->us + ((__int128)interval->months * 30 + interval->days) * US_PER_DAY;
}

int32_t days_of_month(int32_t year, int32_t month);
bool civil_date_valid(int32_t year, int32_t month);
/* Fills hour..us from microseconds of a day (24:00 gives hour 24). */
void civil_time_of_day(int64_t us, struct civil_time *out);

MUST_CHECK
bool zone_from_local(struct zone *zone, int64_t local, int64_t *out, struct error *err);
MUST_CHECK
bool zone_to_local(struct zone *zone, int64_t timestamptz, int64_t *out, struct error *err);
MUST_CHECK
bool zone_plus_interval(struct zone *zone, int64_t timestamptz, const struct interval *interval, int64_t *out,
                        struct error *err);

/* ---- units by name ---- */

enum time_unit {
    UNIT_MICROSECOND,
    UNIT_MILLISECOND,
    UNIT_SECOND,
    UNIT_MINUTE,
    UNIT_HOUR,
    UNIT_DAY,
    UNIT_WEEK,
    UNIT_MONTH,
    UNIT_QUARTER,
    UNIT_YEAR,
    UNIT_DECADE,
    UNIT_CENTURY,
    UNIT_MILLENNIUM,
    UNIT_EPOCH,
    UNIT_DOW,
    UNIT_ISODOW,
    UNIT_DOY,
    UNIT_ISOYEAR,
    UNIT_JULIAN,
    UNIT_TIMEZONE,
    UNIT_TIMEZONE_HOUR,
    UNIT_TIMEZONE_MINUTE,
};

/* What a unit is wanted for decides which names are known. */
enum unit_use {
    UNITS_TRUNC,   /* date_trunc: spans up to the millennium */
    UNITS_EXTRACT, /* extract: fields as well */
};

/* Span units by name or abbreviation ("hours", "h", "mon"); the word in any case. */
bool time_unit_find(const char *word, size_t len, enum time_unit *out);
/* 22023 for an unknown name, 0A000 for one that is known but cannot be used, naming the type. */
MUST_CHECK
bool time_unit_for(const char *word, size_t len, enum unit_use use, const char *type_name,
                   enum time_unit *out, struct error *err);
bool time_unit_unsupported(const char *word, size_t len, const char *type_name, struct error *err);
/* date_trunc on local time with a unit that is a span. */
MUST_CHECK
bool timestamp_trunc_unit(enum time_unit unit, int64_t local, int64_t *out, struct error *err);

#endif
