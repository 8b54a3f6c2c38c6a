/* datetime.h: dates, times, timestamps, intervals and time zones (PostgreSQL manual 8.5, 9.9, appendix B).
 *
 * Units: microseconds and days since 2000-01-01, as on the wire. Zones come from the system's zone files or
 * ICU (timezone.h); offsets are cached per thread. */
#ifndef MILLRACE_DATA_DATETIME_H
#define MILLRACE_DATA_DATETIME_H

#include "storage/base/error.h"
#include "storage/base/strbuf.h"
#include "storage/data/datum.h"
#include "storage/data/type.h"

#define TIMESTAMP_MINUS_INFINITY INT64_MIN
#define TIMESTAMP_PLUS_INFINITY  INT64_MAX
#define DATE_MINUS_INFINITY      INT32_MIN
#define DATE_PLUS_INFINITY       INT32_MAX
#define US_PER_SECOND            1000000LL
#define US_PER_DAY               86400000000LL

/* Broken-down local time. */
struct civil_time {
    int32_t year; /* astronomical: 0 = 1 BC */
    int32_t month, day, hour, minute, second, us;
    int32_t day_of_week; /* 0 Sunday */
    int32_t day_of_year; /* 1.. */
};

int32_t days_from_civil(int32_t year, int32_t month, int32_t day);
void civil_from_days(int32_t days, int32_t *year, int32_t *month, int32_t *day);
void civil_from_timestamp(int64_t timestamp, struct civil_time *out);
/* 22008 when out of range. */
MUST_CHECK
bool timestamp_from_civil(const struct civil_time *civil, int64_t *out, struct error *err);

/* Is it a zone PostgreSQL would take (IANA name, abbreviation, offset such as "+02" or "UTC-3")? */
bool timezone_exists(const char *name);
/* Seconds east of UTC in the zone at an instant. 22023 for an unknown zone. */
MUST_CHECK
bool timezone_offset_at(const char *name, int64_t timestamptz, int32_t *seconds, struct error *err);
/* Local wall time to instant: in the spring gap the offset before it counts, in the autumn fold standard
 * time, as in PostgreSQL's DetermineTimeZoneOffset. And back. Infinities pass through. */
MUST_CHECK
bool timestamptz_from_local(const char *zone, int64_t local, int64_t *out, struct error *err);
MUST_CHECK
bool timestamptz_to_local(const char *zone, int64_t timestamptz, int64_t *out, struct error *err);

MUST_CHECK
bool timestamp_plus_interval(int64_t timestamp, const struct interval *interval, int64_t *out,
                             struct error *err);
/* Days and months move in the zone's local time. */
MUST_CHECK
bool timestamptz_plus_interval(const char *zone, int64_t timestamptz, const struct interval *interval,
                               int64_t *out, struct error *err);
/* a - b as days and time, justified as PostgreSQL's timestamp_mi. */
MUST_CHECK
bool timestamp_minus(int64_t a, int64_t b, struct interval *out, struct error *err);
MUST_CHECK
bool timestamp_age(int64_t a, int64_t b, struct interval *out, struct error *err);
/* date_trunc on local time; unknown unit 22023. */
MUST_CHECK
bool timestamp_trunc(const char *unit, size_t unit_len, int64_t local, int64_t *out, struct error *err);
int interval_compare(const struct interval *a, const struct interval *b);

#endif
