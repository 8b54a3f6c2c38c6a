/* fn_time_format.c: to_char of timestamps and intervals; and the rows of to_date and to_timestamp. */
#define _GNU_SOURCE
#include "executor/functions/number_kernel.h"
#include "executor/functions/time_kernel.h"
#include "executor/functions/time_picture.h"

#include <math.h>

/* What is shown: a moment's fields, or an interval's. */
struct shown {
    bool is_interval;
    int64_t year, month, day, hour; /* year astronomical for a moment */
    int32_t minute, second, us;
    int64_t day_of_year;
    int32_t day_of_week; /* 0 Sunday */
    int32_t days;        /* since 2000-01-01, for week numbers and the Julian day */
    struct zone *zone;   /* NULL: none is known */
    int64_t instant;
    int32_t east;
};

/* TH behind a number that starts at `start`. */
static void put_ordinal(struct strbuf *out, const struct time_node *node, size_t start)
{
    if (!node->ordinal && !node->ordinal_lower)
        return;
    size_t len = out->len - start;
    char last = out->data[out->len - 1];
    bool teen = len > 1 && out->data[out->len - 2] == '1';
    static const char *const endings[2][4] = {{"TH", "ST", "ND", "RD"}, {"th", "st", "nd", "rd"}};
    strbuf_adds(out, endings[node->ordinal_lower][!teen && last >= '1' && last <= '3' ? last - '0' : 0]);
}

/* Zeros in front up to `width`, a minus included. */
static void put_number(struct strbuf *out, const struct time_node *node, int width, int64_t value)
{
    char text[32];
    int at = (int)sizeof(text), sign = value < 0;
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    int least = node->fill ? 1 : width - sign;
    do {
        text[--at] = (char)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude > 0);
    while ((int)sizeof(text) - at < least)
        text[--at] = '0';
    if (sign)
        text[--at] = '-';
    size_t start = out->len;
    strbuf_add(out, text + at, sizeof(text) - (size_t)at);
    put_ordinal(out, node, start);
}

/* Two digits, or three with a minus. */
static int signed_width(int width, int64_t value)
{
    return value >= 0 ? width : width + 1;
}

/* A name in the letters of its picture, padded to `width` unless in fill mode. */
static void put_name(struct strbuf *out, const struct time_node *node, const char *name, size_t len,
                     int width)
{
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        if (node->word->letters == CASE_UPPER)
            c = ascii_upper(c);
        else if (node->word->letters == CASE_LOWER)
            c = ascii_lower(c);
        strbuf_addc(out, c);
    }
    for (int i = (int)len; i < width && !node->fill; i++)
        strbuf_addc(out, ' ');
}

static void put_pair(struct strbuf *out, const struct time_node *node, char first, char second)
{
    char text[4] = {first, '.', second, '.'};
    char plain[2] = {first, second};
    struct time_node unpadded = *node;
    unpadded.fill = true;
    if (node->word->with_points)
        put_name(out, &unpadded, text, 4, 0);
    else
        put_name(out, &unpadded, plain, 2, 0);
}

/* The year as it is counted: 1 BC, not 0. */
static int64_t counted_year(const struct shown *s, int64_t year)
{
    return s->is_interval || year > 0 ? year : 1 - year;
}

/* The width follows the calendar year's sign, also for an ISO year. */
static void put_year(struct strbuf *out, const struct time_node *node, const struct shown *s, int64_t year)
{
    static const int64_t moduli[] = {0, 10, 100, 1000};
    int digits = node->word->digits;
    if (digits < 4)
        year %= moduli[digits];
    put_number(out, node, digits == 1 ? 1 : signed_width(digits, counted_year(s, s->year)), year);
}

static void put_offset(struct strbuf *out, const struct time_node *node, int32_t east)
{
    int32_t magnitude = east < 0 ? -east : east;
    strbuf_addf(out, "%c%0*d", east < 0 ? '-' : '+', node->fill ? 0 : 2, magnitude / 3600);
    if (magnitude % 3600 / 60 != 0)
        strbuf_addf(out, ":%02d", magnitude % 3600 / 60);
}

static void put_roman_month(struct strbuf *out, const struct time_node *node, const struct shown *s)
{
    if (s->month == 0 && s->year == 0)
        return;
    int64_t month = s->month;
    if (month == 0) /* whole years of an interval */
        month = s->year >= 0 ? 12 : 1;
    else if (month < 0)
        month = 13 + month;
    const char *name = time_roman_months[month - 1];
    put_name(out, node, name, strlen(name), 4);
}

static void put_zone(struct strbuf *out, const struct time_node *node, const struct shown *s)
{
    if (s->zone == NULL)
        return;
    struct strbuf name = STRBUF_INIT;
    zone_abbreviation_at(s->zone, s->instant, &name);
    struct time_node unpadded = *node;
    unpadded.fill = true;
    put_name(out, &unpadded, strbuf_text(&name), name.len, 0);
    strbuf_release(&name);
}

static bool needs_calendar(enum time_element element)
{
    switch (element) {
    case TE_AD:
    case TE_OFFSET:
    case TE_ZONE:
    case TE_ZONE_HOURS:
    case TE_ZONE_MINUTES:
    case TE_MONTH_NAME:
    case TE_MONTH_SHORT:
    case TE_DAY_NAME:
    case TE_DAY_SHORT:
    case TE_DAY_OF_WEEK:
    case TE_ISO_DAY_OF_WEEK:
        return true;
    default:
        return false;
    }
}

static void put_element(struct strbuf *out, const struct time_node *node, const struct shown *s)
{
    static const int32_t fraction_units[] = {0, 100000, 10000, 1000, 100, 10, 1};
    int32_t iso_year, week;
    int64_t value;
    switch (node->element) {
    case TE_AM:
        put_pair(out, node, s->hour % 24 >= 12 ? 'P' : 'A', 'M');
        return;
    case TE_AD:
        put_pair(out, node, s->year <= 0 ? 'B' : 'A', s->year <= 0 ? 'C' : 'D');
        return;
    case TE_HOUR12:
        value = s->hour % 12 == 0 ? 12 : s->hour % 12;
        put_number(out, node, signed_width(2, s->hour), value);
        return;
    case TE_HOUR24:
        put_number(out, node, signed_width(2, s->hour), s->hour);
        return;
    case TE_MINUTE:
        put_number(out, node, signed_width(2, s->minute), s->minute);
        return;
    case TE_SECOND:
        put_number(out, node, signed_width(2, s->second), s->second);
        return;
    case TE_FRACTION:
    case TE_MILLISECOND:
    case TE_MICROSECOND: {
        struct time_node full = *node; /* never without its zeros */
        full.fill = false;
        put_number(out, &full, node->word->digits, s->us / fraction_units[node->word->digits]);
        return;
    }
    case TE_SECOND_OF_DAY: {
        put_number(out, node, 0, s->hour * 3600 + s->minute * 60 + s->second);
        return;
    }
    case TE_ZONE:
        put_zone(out, node, s);
        return;
    case TE_ZONE_HOURS:
        strbuf_addf(out, "%c%02d", s->east < 0 ? '-' : '+', (s->east < 0 ? -s->east : s->east) / 3600);
        return;
    case TE_ZONE_MINUTES:
        strbuf_addf(out, "%02d", (s->east < 0 ? -s->east : s->east) % 3600 / 60);
        return;
    case TE_OFFSET:
        put_offset(out, node, s->east);
        return;
    case TE_MONTH_NAME:
    case TE_MONTH_SHORT: {
        const char *name = time_month_names[s->month - 1];
        bool is_short = node->element == TE_MONTH_SHORT;
        put_name(out, node, name, is_short ? 3 : strlen(name), is_short || node->translated ? 3 : 9);
        return;
    }
    case TE_MONTH:
        put_number(out, node, signed_width(2, s->month), s->month);
        return;
    case TE_DAY_NAME:
    case TE_DAY_SHORT: {
        const char *name = time_day_names[s->day_of_week];
        bool is_short = node->element == TE_DAY_SHORT;
        put_name(out, node, name, is_short ? 3 : strlen(name), is_short || node->translated ? 3 : 9);
        return;
    }
    case TE_DAY_OF_YEAR:
        put_number(out, node, 3, s->day_of_year);
        return;
    case TE_ISO_DAY_OF_YEAR:
        iso_week_of(s->days, &iso_year, &week);
        put_number(out, node, 3, (week - 1) * 7 + ((s->days + 5) % 7 + 7) % 7 + 1);
        return;
    case TE_DAY:
        put_number(out, node, 2, s->day);
        return;
    case TE_DAY_OF_WEEK:
        put_number(out, node, 0, s->day_of_week + 1);
        return;
    case TE_ISO_DAY_OF_WEEK:
        put_number(out, node, 0, s->day_of_week == 0 ? 7 : s->day_of_week);
        return;
    case TE_WEEK_OF_YEAR:
        put_number(out, node, 2, (s->day_of_year - 1) / 7 + 1);
        return;
    case TE_ISO_WEEK:
        iso_week_of(s->days, &iso_year, &week);
        put_number(out, node, 2, week);
        return;
    case TE_QUARTER:
        if (s->month != 0)
            put_number(out, node, 0, (s->month - 1) / 3 + 1);
        return;
    case TE_CENTURY:
        if (s->is_interval)
            value = s->year / 100;
        else /* the 20th ends with 2000 */
            value = s->year > 0 ? (s->year - 1) / 100 + 1 : s->year / 100 - 1;
        put_number(out, node, value <= 99 && value >= -99 ? signed_width(2, value) : 0, value);
        return;
    case TE_YEAR_COMMA: {
        value = counted_year(s, s->year);
        size_t start = out->len;
        strbuf_addf(out, "%lld,%03lld", (long long)(value / 1000), (long long)(value % 1000));
        put_ordinal(out, node, start);
        return;
    }
    case TE_YEAR:
        put_year(out, node, s, counted_year(s, s->year));
        return;
    case TE_ISO_YEAR:
        iso_week_of(s->days, &iso_year, &week);
        put_year(out, node, s, counted_year(s, iso_year));
        return;
    case TE_ROMAN:
        put_roman_month(out, node, s);
        return;
    case TE_WEEK_OF_MONTH:
        put_number(out, node, 0, (s->day - 1) / 7 + 1);
        return;
    case TE_JULIAN:
        put_number(out, node, 0, (int64_t)s->days + JULIAN_EPOCH);
        return;
    default:
        strbuf_adds(out, node->text);
        return;
    }
}

static bool format(const struct time_picture *picture, const struct shown *s, struct strbuf *out,
                   struct error *err)
{
    for (uint32_t i = 0; i < picture->count; i++) {
        if (s->is_interval && needs_calendar(picture->nodes[i].element)) {
            error_set(err, ERRCODE_INVALID_DATETIME_FORMAT,
                      "invalid format specification for an interval value");
            return error_hint(err, "Intervals are not tied to specific calendar dates.");
        }
        put_element(out, &picture->nodes[i], s);
    }
    return true;
}

static void show_local(int64_t local, struct shown *out)
{
    struct civil_time civil;
    int64_t days, us;
    civil_from_timestamp(local, &civil);
    timestamp_split(local, &days, &us);
    *out = (struct shown){.year = civil.year,
                          .month = civil.month,
                          .day = civil.day,
                          .hour = civil.hour,
                          .minute = civil.minute,
                          .second = civil.second,
                          .us = civil.us,
                          .day_of_year = civil.day_of_year,
                          .day_of_week = civil.day_of_week,
                          .days = (int32_t)days};
}

static void show_interval(const struct interval *x, struct shown *out)
{
    *out = (struct shown){.is_interval = true,
                          .year = x->months / 12,
                          .month = x->months % 12,
                          .day = x->days,
                          .hour = x->us / (3600 * US_PER_SECOND),
                          .minute = (int32_t)(x->us / (60 * US_PER_SECOND) % 60),
                          .second = (int32_t)(x->us / US_PER_SECOND % 60),
                          .us = (int32_t)(x->us % US_PER_SECOND)};
    out->day_of_year = (int64_t)x->months * 30 + x->days;
    /* week numbers and the Julian day read the fields as if they were a date */
    int64_t year = out->year + (out->month <= 0 ? -1 : 0),
            month = out->month <= 0 ? out->month + 12 : out->month;
    out->days = (int32_t)(days_from_civil((int32_t)year, (int32_t)month, 1) + (int64_t)x->days - 1);
}

static void timestamp_to_char(struct fn_call *call, const struct column *args, struct column *result)
{
    bool with_zone = args[0].type.oid == OID_TIMESTAMPTZ;
    struct zone *zone = with_zone ? session_zone(call) : NULL;
    struct strbuf out = STRBUF_INIT;
    /* what was written last, and the local moments [same_from, same_end) that look the same */
    struct varlen last = {0};
    int64_t same_from = 0, same_end = 0;
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (column_is_null(result, i))
            continue;
        int64_t x = COLUMN_I64(&args[0])[COLUMN_AT(&args[0], i)];
        if (timestamp_infinite(x) || text_at(&args[1], i).len == 0) {
            fn_set_null(call, result, i);
            continue;
        }
        int32_t east = with_zone ? zone_offset_at(zone, x) : 0;
        int64_t local = x + east * US_PER_SECOND;
        if (local >= same_from && local < same_end) {
            RESULT_VAR(result)[i] = last;
            continue;
        }
        struct shown shown;
        struct error err;
        show_local(local, &shown);
        shown.zone = zone;
        shown.instant = x;
        shown.east = east;
        strbuf_reset(&out);
        const struct time_picture *picture = time_picture_at(call, &args[1], i);
        if (!format(picture, &shown, &out, &err)) {
            fn_error_from(call, i, &err);
            continue;
        }
        last = RESULT_VAR(result)[i] = text_from_strbuf(call->arena, &out);
        if (args[1].is_constant && picture->period_us > 1) {
            int64_t days, us;
            timestamp_split(local, &days, &us);
            same_from = local - us % picture->period_us;
            same_end = same_from + picture->period_us;
        }
    }
    strbuf_release(&out);
}

static void interval_to_char(struct fn_call *call, const struct column *args, struct column *result)
{
    struct strbuf out = STRBUF_INIT;
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (column_is_null(result, i))
            continue;
        if (text_at(&args[1], i).len == 0) {
            fn_set_null(call, result, i);
            continue;
        }
        struct shown shown;
        struct error err;
        show_interval(&COLUMN_INTERVAL(&args[0])[COLUMN_AT(&args[0], i)], &shown);
        strbuf_reset(&out);
        if (format(time_picture_at(call, &args[1], i), &shown, &out, &err))
            RESULT_VAR(result)[i] = text_from_strbuf(call->arena, &out);
        else
            fn_error_from(call, i, &err);
    }
    strbuf_release(&out);
}

/* ---- to_timestamp(seconds) ---- */

static bool timestamp_of_seconds(double x, int64_t *out, struct error *err)
{
    if (isnan(x))
        return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "timestamp cannot be NaN");
    if (isinf(x)) {
        *out = x > 0 ? TIMESTAMP_PLUS_INFINITY : TIMESTAMP_MINUS_INFINITY;
        return true;
    }
    /* the range in seconds since 1970, then microseconds since 2000 */
    double low = (double)(TIMESTAMP_MIN - UNIX_EPOCH_US) / 1e6,
           end = (double)TIMESTAMP_END / 1e6 - (double)UNIX_EPOCH_US / 1e6;
    if (x < low || x >= end)
        return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "timestamp out of range: \"%g\"", x);
    double us = rint((x + (double)UNIX_EPOCH_US / 1e6) * 1e6);
    if (us < (double)TIMESTAMP_MIN || us >= (double)TIMESTAMP_END)
        return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "timestamp out of range: \"%g\"", x);
    *out = (int64_t)us;
    return true;
}
TRY_KERNEL1(seconds_to_timestamptz, double, int64_t, timestamp_of_seconds(x, &out[i], err))

/* ---- rows ---- */

#define ZONED (FN_STABLE | FN_VIEW_OK)
#define FN(name, args, result, kernel, help, flags)                                                          \
    {                                                                                                        \
        name, args, result, kernel, help, flags, NULL, NULL, NULL                                            \
    }

const struct function_row fn_time_format_rows[] = {
    FN("to_char", "timestamp,text", "text", timestamp_to_char,
       "to_char(timestamp '2002-04-20 17:31:12.66', 'HH12:MI:SS') gives '05:31:12'", 0),
    FN("to_char", "timestamptz,text", "text", timestamp_to_char, "an instant in the session's zone as text",
       ZONED),
    FN("to_char", "interval,text", "text", interval_to_char,
       "to_char(interval '15h 2m 12s', 'HH24:MI:SS') gives '15:02:12'", 0),
    FN("to_date", "text,text", "date", text_to_date_kernel,
       "to_date('05 Dec 2000', 'DD Mon YYYY') gives 2000-12-05", 0),
    FN("to_timestamp", "text,text", "timestamptz", text_to_timestamptz_kernel,
       "to_timestamp('05 Dec 2000', 'DD Mon YYYY') in the session's zone", ZONED),
    FN("to_timestamp", "float8", "timestamptz", seconds_to_timestamptz,
       "to_timestamp(1284352323) gives 2010-09-13 04:32:03+00", 0),
};
const size_t fn_time_format_rows_count = sizeof(fn_time_format_rows) / sizeof(fn_time_format_rows[0]);
