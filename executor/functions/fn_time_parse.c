/* fn_time_parse.c: to_date and to_timestamp: reads text along a picture and puts the fields together.
 *
 * Outside FX mode blanks are skipped before and after fields, and separators of the picture match one
 * separator of the text, or nothing. */
#define _GNU_SOURCE
#include "executor/functions/time_kernel.h"
#include "executor/functions/time_picture.h"
#include "storage/data/datetime_io.h"
#include "storage/data/datetime_parse.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#define FIELD_MAX    20000000
#define ISO_YEAR_MAX 5800000

struct fields {
    enum date_mode mode;
    int32_t hour, minute, second, second_of_day, millisecond, microsecond;
    int32_t weekday, day, day_of_year, month, year, century, julian, week, week_of_month;
    int32_t year_digits;     /* how many the picture's year has */
    int32_t fraction_digits; /* of FF1..FF6: the result is rounded to them; 0 none */
    int32_t zone_sign, zone_hours, zone_minutes;
    bool is_bc, is_pm, is_12_hour;
    int32_t bc_set, pm_set; /* what was read; 0 counts as unset, as for all fields */
};

struct scanner {
    const char *at; /* NUL-terminated text */
    int32_t extra;  /* blanks and separators skipped beyond the picture's */
    bool exact;
    struct error *err;
};

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_separator(char c)
{
    return c > ' ' && c < 0x7F &&
           !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'));
}

static void skip_blanks(struct scanner *s)
{
    while (is_blank(*s->at)) {
        s->at++;
        s->extra++;
    }
}

static void skip_character(struct scanner *s)
{
    for (size_t bytes = utf8_bytes(*s->at); bytes > 0 && *s->at != '\0'; bytes--)
        s->at++;
}

/* Is what follows the node something that cannot be a digit? Then its number may have any length. */
static bool number_ends(const struct time_picture *picture, uint32_t index)
{
    const struct time_node *node = &picture->nodes[index];
    if (node->ordinal || node->ordinal_lower || index + 1 == picture->count)
        return true;
    const struct time_node *next = node + 1;
    if (next->word != NULL)
        return !next->word->is_number;
    return !(next->text[1] == '\0' && next->text[0] >= '0' && next->text[0] <= '9');
}

static bool set_field(struct scanner *s, const struct time_node *node, int32_t value, int32_t *out)
{
    if (*out != 0 && *out != value) {
        error_set(s->err, ERRCODE_INVALID_DATETIME_FORMAT,
                  "conflicting values for \"%s\" field in formatting string", node->word->text);
        return error_detail(s->err, "This value contradicts a previous setting for the same field type.");
    }
    *out = value;
    return true;
}

/* A whole number of `len` digits, or of any number when the picture tells where it ends. out NULL: only read.
 */
static bool read_int(struct scanner *s, const struct time_picture *picture, uint32_t index, size_t len,
                     int32_t *out, size_t *read)
{
    const struct time_node *node = &picture->nodes[index];
    const char *name = node->word->text;
    const char *begin = s->at; /* blanks before the number count as read */
    while (is_blank(*s->at))
        s->at++;
    const char *start = s->at;
    char copy[16];
    size_t used = strnlen(s->at, len);
    memcpy(copy, s->at, used);
    copy[used] = '\0';
    char *end;
    long value;
    errno = 0;
    if (node->fill || number_ends(picture, index)) {
        value = strtol(start, &end, 10);
        s->at = end;
    } else {
        if (used < len) {
            error_set(s->err, ERRCODE_INVALID_DATETIME_FORMAT,
                      "source string too short for \"%s\" formatting field", name);
            error_detail(s->err, "Field requires %d characters, but only %d remain.", (int)len, (int)used);
            return error_hint(s->err,
                              "If your source string is not fixed-width, try using the \"FM\" modifier.");
        }
        value = strtol(copy, &end, 10);
        used = (size_t)(end - copy);
        if (used > 0 && used < len) {
            error_set(s->err, ERRCODE_INVALID_DATETIME_FORMAT, "invalid value \"%s\" for \"%s\"", copy, name);
            error_detail(s->err, "Field requires %d characters, but only %d could be parsed.", (int)len,
                         (int)used);
            return error_hint(s->err,
                              "If your source string is not fixed-width, try using the \"FM\" modifier.");
        }
        s->at += used;
    }
    if (s->at == begin) {
        error_set(s->err, ERRCODE_INVALID_DATETIME_FORMAT, "invalid value \"%s\" for \"%s\"", copy, name);
        return error_detail(s->err, "Value must be an integer.");
    }
    if (errno == ERANGE || value < INT_MIN || value > INT_MAX) {
        error_set(s->err, ERRCODE_DATETIME_FIELD_OVERFLOW,
                  "value for \"%s\" in source string is out of range", name);
        return error_detail(s->err, "Value must be in the range %d to %d.", INT_MIN, INT_MAX);
    }
    *read = (size_t)(s->at - begin);
    return out == NULL || set_field(s, node, (int32_t)value, out);
}

/* One of `count` words (their first `len` letters, 0: all), in any case. */
static bool read_name(struct scanner *s, const struct time_node *node, const char *const *names, size_t count,
                      size_t len, int32_t *index)
{
    for (size_t i = 0; i < count; i++) {
        size_t letters = len != 0 ? len : strlen(names[i]);
        if (strncasecmp(s->at, names[i], letters) == 0) {
            s->at += letters;
            *index = (int32_t)i;
            return true;
        }
    }
    /* the message shows the text up to the next blank */
    size_t shown = strcspn(s->at, " \t\n\v\f\r");
    error_set(s->err, ERRCODE_INVALID_DATETIME_FORMAT, "invalid value \"%.*s\" for \"%s\"", (int)shown, s->at,
              node->word->text);
    return error_detail(s->err, "The given value did not match any of the allowed values for this field.");
}

static int32_t complete_year(int32_t year)
{
    if (year < 70)
        return year + 2000;
    if (year < 100)
        return year + 1900;
    if (year < 520)
        return year + 2000;
    return year < 1000 ? year + 1000 : year;
}

static bool set_mode(struct scanner *s, struct fields *f, enum date_mode mode)
{
    if (mode == MODE_ANY)
        return true;
    if (f->mode != MODE_ANY && f->mode != mode) {
        error_set(s->err, ERRCODE_INVALID_DATETIME_FORMAT, "invalid combination of date conventions");
        return error_hint(s->err,
                          "Do not mix Gregorian and ISO week date conventions in a formatting template.");
    }
    f->mode = mode;
    return true;
}

static void skip_ordinal(struct scanner *s, const struct time_node *node)
{
    if (node->ordinal || node->ordinal_lower) {
        for (int i = 0; i < 2 && *s->at != '\0'; i++)
            skip_character(s);
    }
}

static bool read_fraction(struct scanner *s, const struct time_picture *picture, uint32_t index,
                          size_t digits, int32_t *out)
{
    size_t read = 0;
    int32_t value = 0;
    if (!read_int(s, picture, index, digits, &value, &read))
        return false;
    size_t full = picture->nodes[index].element == TE_MILLISECOND ? 3 : 6;
    for (; read < full; read++) { /* 25 is a quarter, as 250 is */
        if (value > INT_MAX / 10)
            break;
        value *= 10;
    }
    skip_ordinal(s, &picture->nodes[index]);
    return set_field(s, &picture->nodes[index], value, out);
}

static bool read_zone_hours(struct scanner *s, const struct time_picture *picture, uint32_t index,
                            struct fields *f)
{
    size_t read;
    /* a minus may have been taken for a separator */
    if (*s->at == '+' || *s->at == '-' || *s->at == ' ') {
        f->zone_sign = *s->at == '-' ? -1 : 1;
        s->at++;
    } else {
        f->zone_sign = s->extra > 0 && s->at[-1] == '-' ? -1 : 1;
    }
    return read_int(s, picture, index, 2, &f->zone_hours, &read);
}

static bool read_year_comma(struct scanner *s, struct fields *f, const struct time_node *node)
{
    char *end;
    long thousands = strtol(s->at, &end, 10);
    if (end == s->at || *end != ',' || thousands < 0 || thousands > 999999)
        return error_set(s->err, ERRCODE_INVALID_DATETIME_FORMAT, "invalid input string for \"Y,YYY\"");
    const char *at = end + 1;
    int32_t years = 0, digits = 0;
    for (; digits < 3 && at[digits] >= '0' && at[digits] <= '9'; digits++)
        years = years * 10 + (at[digits] - '0');
    if (digits == 0)
        return error_set(s->err, ERRCODE_INVALID_DATETIME_FORMAT, "invalid input string for \"Y,YYY\"");
    s->at = at + digits;
    f->year_digits = 4;
    skip_ordinal(s, node);
    return set_field(s, node, (int32_t)thousands * 1000 + years, &f->year);
}

static bool read_year(struct scanner *s, const struct time_picture *picture, uint32_t index, struct fields *f)
{
    const struct time_node *node = &picture->nodes[index];
    size_t read;
    int32_t value = 0;
    if (!read_int(s, picture, index, node->word->digits, &value, &read))
        return false;
    if (node->word->digits < 4 && read < 4)
        value = complete_year(value);
    f->year_digits = node->word->digits;
    skip_ordinal(s, node);
    return set_field(s, node, value, &f->year);
}

static bool read_field(struct scanner *s, const struct time_picture *picture, uint32_t index,
                       struct fields *f)
{
    static const char *const half_days[] = {"A.M.", "P.M.", "AM", "PM"}, *const eras[] = {"A.D.", "B.C.",
                                                                                          "AD", "BC"};
    const struct time_node *node = &picture->nodes[index];
    size_t read;
    int32_t value = 0;
    int32_t *number = NULL;
    if (!set_mode(s, f, node->word->mode))
        return false;
    switch (node->element) {
    case TE_EXACT:
        s->exact = true;
        return true;
    case TE_AM:
        if (!read_name(s, node, half_days + (node->word->with_points ? 0 : 2), 2, 0, &value) ||
            !set_field(s, node, value, &f->pm_set))
            return false;
        f->is_pm = value == 1;
        f->is_12_hour = true;
        return true;
    case TE_AD:
        if (!read_name(s, node, eras + (node->word->with_points ? 0 : 2), 2, 0, &value) ||
            !set_field(s, node, value, &f->bc_set))
            return false;
        f->is_bc = value == 1;
        return true;
    case TE_HOUR12:
        f->is_12_hour = true;
        number = &f->hour;
        break;
    case TE_HOUR24:
        number = &f->hour;
        break;
    case TE_MINUTE:
        number = &f->minute;
        break;
    case TE_SECOND:
        number = &f->second;
        break;
    case TE_MILLISECOND:
        return read_fraction(s, picture, index, 3, &f->millisecond);
    case TE_FRACTION:
        f->fraction_digits = node->word->digits;
        return read_fraction(s, picture, index, node->word->digits, &f->microsecond);
    case TE_MICROSECOND:
        return read_fraction(s, picture, index, node->word->digits, &f->microsecond);
    case TE_SECOND_OF_DAY:
        number = &f->second_of_day;
        break;
    case TE_ZONE:
    case TE_OFFSET:
        return error_set(s->err, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "formatting field \"%s\" is only supported in to_char", node->word->text);
    case TE_ZONE_HOURS:
        return read_zone_hours(s, picture, index, f);
    case TE_ZONE_MINUTES:
        if (f->zone_sign == 0)
            f->zone_sign = 1;
        return read_int(s, picture, index, 2, &f->zone_minutes, &read);
    case TE_MONTH_NAME:
    case TE_MONTH_SHORT:
        return read_name(s, node, time_month_names, 12, node->element == TE_MONTH_SHORT ? 3 : 0, &value) &&
               set_field(s, node, value + 1, &f->month);
    case TE_MONTH:
        number = &f->month;
        break;
    case TE_DAY_NAME:
    case TE_DAY_SHORT:
        /* the check is on the number before it is counted from 1, as PostgreSQL's */
        if (!read_name(s, node, time_day_names, 7, node->element == TE_DAY_SHORT ? 3 : 0, &value) ||
            !set_field(s, node, value, &f->weekday))
            return false;
        f->weekday++;
        return true;
    case TE_DAY_OF_YEAR:
    case TE_ISO_DAY_OF_YEAR:
        number = &f->day_of_year;
        break;
    case TE_DAY:
        number = &f->day;
        break;
    case TE_DAY_OF_WEEK:
        number = &f->weekday;
        break;
    case TE_ISO_DAY_OF_WEEK:
        if (!read_int(s, picture, index, 1, &f->weekday, &read))
            return false;
        f->weekday = f->weekday >= 7 ? 1 : f->weekday + 1;
        skip_ordinal(s, node);
        return true;
    case TE_WEEK_OF_YEAR:
    case TE_ISO_WEEK:
        number = &f->week;
        break;
    case TE_QUARTER: /* read and ignored: it does not say which day */
        break;
    case TE_CENTURY:
        number = &f->century;
        break;
    case TE_YEAR_COMMA:
        return read_year_comma(s, f, node);
    case TE_YEAR:
    case TE_ISO_YEAR:
        return read_year(s, picture, index, f);
    case TE_ROMAN: {
        /* longer numerals before their beginnings */
        static const char *const numerals[] = {"XII", "XI", "X",  "IX",  "VIII", "VII",
                                               "VI",  "V",  "IV", "III", "II",   "I"};
        return read_name(s, node, numerals, 12, 0, &value) && set_field(s, node, 12 - value, &f->month);
    }
    case TE_WEEK_OF_MONTH:
        number = &f->week_of_month;
        break;
    case TE_JULIAN:
        number = &f->julian;
        break;
    default:
        return true;
    }
    if (!read_int(s, picture, index, node->word->digits, number, &read))
        return false;
    skip_ordinal(s, node);
    return true;
}

static bool scan(const struct time_picture *picture, const char *text, struct fields *f, struct error *err)
{
    struct scanner s = {.at = text, .err = err};
    *f = (struct fields){0};
    for (uint32_t i = 0; i < picture->count && *s.at != '\0'; i++) {
        const struct time_node *node = &picture->nodes[i];
        if (!s.exact && node->element != TE_EXACT && (node->word != NULL || i == 0))
            skip_blanks(&s);
        if (node->element == TE_SPACE || node->element == TE_SEPARATOR) {
            if (s.exact) {
                skip_character(&s);
            } else {
                s.extra--;
                if (is_blank(*s.at) || is_separator(*s.at)) {
                    s.at++;
                    s.extra++;
                }
            }
        } else if (node->word == NULL) {
            if (!s.exact && s.extra > 0)
                s.extra--;
            else
                skip_character(&s);
        } else {
            if (!read_field(&s, picture, i, f))
                return false;
            if (!s.exact) {
                s.extra = 0;
                skip_blanks(&s);
            }
        }
    }
    return true;
}

/* ---- putting the fields together ---- */

/* The Monday of week 1 of an ISO year. */
static int32_t iso_year_start(int32_t year)
{
    int32_t fourth = days_from_civil(year, 1, 4);
    return fourth - ((fourth + 5) % 7 + 7) % 7;
}

static void century_year(const struct fields *f, struct civil_time *out)
{
    int32_t century = f->is_bc ? -f->century : f->century;
    if (f->year == 0) {
        out->year = century >= 0 ? (century - 1) * 100 + 1 : century * 100 + 1;
        return;
    }
    out->year = f->year % 100;
    if (out->year == 0)
        out->year = century * 100 + (century >= 0 ? 0 : 1);
    else if (century >= 0)
        out->year += (century - 1) * 100;
    else
        out->year = (century + 1) * 100 - out->year + 1;
}

static void set_date(int32_t days, struct civil_time *out)
{
    civil_from_days(days, &out->year, &out->month, &out->day);
}

static bool field_overflow(const char *text, struct error *err)
{
    return datetime_fault_error(FAULT_FIELD, text, strlen(text), "timestamp", "", err);
}

static bool combine_time(const struct fields *f, const char *text, struct civil_time *out, struct error *err)
{
    if (f->second_of_day != 0) {
        out->hour = f->second_of_day / 3600;
        out->minute = f->second_of_day / 60 % 60;
        out->second = f->second_of_day % 60;
    }
    if (f->second != 0)
        out->second = f->second;
    if (f->minute != 0)
        out->minute = f->minute;
    if (f->hour != 0)
        out->hour = f->hour;
    if (f->is_12_hour) {
        if (out->hour < 1 || out->hour > 12) {
            error_set(err, ERRCODE_INVALID_DATETIME_FORMAT, "hour \"%d\" is invalid for the 12-hour clock",
                      out->hour);
            return error_hint(err, "Use the 24-hour clock, or give an hour between 1 and 12.");
        }
        if (f->is_pm && out->hour < 12)
            out->hour += 12;
        else if (!f->is_pm && out->hour == 12)
            out->hour = 0;
    }
    int64_t us = (int64_t)f->millisecond * 1000 + f->microsecond;
    if (out->hour < 0 || out->hour >= 24 || out->minute < 0 || out->minute >= 60 || out->second < 0 ||
        out->second >= 60 || us < 0 || us >= US_PER_SECOND)
        return field_overflow(text, err);
    out->us = (int32_t)us;
    return true;
}

static bool combine_date(struct fields *f, const char *text, struct civil_time *out, struct error *err)
{
    bool has_year = false, has_month = false, has_day = false;
    /* far beyond any calendar, and safe to calculate with below */
    const int32_t numbers[] = {f->century, f->week, f->week_of_month, f->day_of_year, f->weekday};
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        if (numbers[i] > FIELD_MAX || numbers[i] < -FIELD_MAX)
            return field_overflow(text, err);
    }
    if (f->julian < -FIELD_MAX || f->year == INT32_MIN ||
        (f->mode == MODE_ISO_WEEK && (f->year > ISO_YEAR_MAX || f->year < -ISO_YEAR_MAX)))
        return field_overflow(text, err);
    out->year = 0; /* 1 BC, when nothing says otherwise */
    out->month = out->day = 1;
    if (f->century != 0 && (f->year == 0 || f->year_digits <= 2)) {
        century_year(f, out);
        has_year = true;
    } else if (f->year != 0) {
        out->year = f->is_bc ? -f->year : f->year;
        if (out->year < 0)
            out->year++;
        has_year = true;
    }
    if (f->julian != 0) {
        set_date(f->julian - JULIAN_EPOCH, out);
        has_year = has_month = has_day = true;
    }
    if (f->week != 0) {
        if (f->mode == MODE_ISO_WEEK) {
            int32_t day = iso_year_start(out->year) + (f->week - 1) * 7;
            if (f->weekday != 0) /* counted from Sunday = 1; the ISO week ends with it */
                day += f->weekday == 1 ? 6 : f->weekday - 2;
            set_date(day, out);
            has_year = has_month = has_day = true;
        } else {
            f->day_of_year = (f->week - 1) * 7 + 1;
        }
    }
    if (f->week_of_month != 0)
        f->day = (f->week_of_month - 1) * 7 + 1;
    if (f->day != 0) {
        out->day = f->day;
        has_day = true;
    }
    if (f->month != 0) {
        out->month = f->month;
        has_month = true;
    }
    if (f->day_of_year != 0 && (out->month <= 1 || out->day <= 1)) {
        if (out->year == 0 && !f->is_bc)
            return error_set(err, ERRCODE_INVALID_DATETIME_FORMAT,
                             "cannot calculate day of year without year information");
        if (f->mode == MODE_ISO_WEEK) {
            set_date(iso_year_start(out->year) + f->day_of_year - 1, out);
            has_year = true;
        } else {
            int32_t month = 1, day = f->day_of_year;
            for (; month <= 12 && day > days_of_month(out->year, month); month++)
                day -= days_of_month(out->year, month);
            if (out->month <= 1)
                out->month = month;
            if (out->day <= 1)
                out->day = day;
        }
        has_month = has_day = true;
    }
    if ((has_month && (out->month < 1 || out->month > 12)) || (has_day && (out->day < 1 || out->day > 31)))
        return field_overflow(text, err);
    if (has_year && has_month && has_day && out->day > days_of_month(out->year, out->month))
        return field_overflow(text, err);
    return true;
}

static bool combine(struct fields *f, const char *text, struct civil_time *out, struct error *err)
{
    *out = (struct civil_time){0};
    struct civil_time clock = {0};
    /* the date's own errors come before the clock's, except for the 12-hour clock's */
    if (f->is_12_hour && !combine_time(f, text, &clock, err))
        return false;
    if (!combine_date(f, text, out, err) || (!f->is_12_hour && !combine_time(f, text, &clock, err)))
        return false;
    out->hour = clock.hour;
    out->minute = clock.minute;
    out->second = clock.second;
    out->us = clock.us;
    if (f->zone_sign != 0 &&
        (f->zone_hours < 0 || f->zone_hours > 15 || f->zone_minutes < 0 || f->zone_minutes >= 60))
        return datetime_fault_error(FAULT_ZONE_DISPLACEMENT, text, strlen(text), "timestamp", "", err);
    return true;
}

static bool parse(struct fn_call *call, const struct column *args, uint32_t row, struct fields *f,
                  const char **text, struct civil_time *civil, struct error *err)
{
    struct text_arg source = text_at(&args[0], row);
    *text = arena_strndup(call->arena, source.bytes, source.len);
    return scan(time_picture_at(call, &args[1], row), *text, f, err) && combine(f, *text, civil, err);
}

void text_to_date_kernel(struct fn_call *call, const struct column *args, struct column *result)
{
    int32_t *out = result->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct fields fields;
        struct civil_time civil;
        struct error err;
        const char *text;
        out[i] = 0;
        if (column_is_null(result, i))
            continue;
        bool ok = parse(call, args, i, &fields, &text, &civil, &err);
        if (ok) {
            ok = civil_date_valid(civil.year, civil.month);
            if (ok)
                out[i] = days_from_civil(civil.year, civil.month, civil.day);
            if (!ok || !date_valid(out[i]))
                ok = error_set(&err, ERRCODE_DATETIME_FIELD_OVERFLOW, "date out of range: \"%s\"", text);
        }
        if (!ok)
            fn_error_from(call, i, &err);
    }
}

void text_to_timestamptz_kernel(struct fn_call *call, const struct column *args, struct column *result)
{
    int64_t *out = result->data;
    struct zone *zone = session_zone(call);
    for (uint32_t i = 0; i < call->rows; i++) {
        struct fields fields;
        struct civil_time civil;
        struct error err;
        const char *text;
        int64_t local;
        out[i] = 0;
        if (column_is_null(result, i))
            continue;
        bool ok =
            parse(call, args, i, &fields, &text, &civil, &err) && timestamp_from_civil(&civil, &local, &err);
        if (ok && fields.zone_sign != 0) {
            int64_t east =
                fields.zone_sign * (fields.zone_hours * 60LL + fields.zone_minutes) * 60 * US_PER_SECOND;
            ok = (!__builtin_sub_overflow(local, east, &out[i]) && timestamp_valid(out[i])) ||
                 error_set(&err, ERRCODE_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
        } else if (ok) {
            ok = zone_from_local(zone, local, &out[i], &err);
        }
        if (ok && fields.fraction_digits != 0)
            ok = timestamp_round(out[i], fields.fraction_digits, &out[i], &err);
        if (!ok)
            fn_error_from(call, i, &err);
    }
}
