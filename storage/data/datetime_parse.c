/* datetime_parse.c: tokens of date/time input and their meaning (PostgreSQL manual, appendix B.1).
 *
 * The tokens are read left to right into a decoder that knows which fields it has: a number means what is
 * still missing, in the order the session's DateStyle gives. A field given twice makes the input invalid. */
#include "storage/data/datetime_parse.h"

#include "storage/data/datetime_words.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Fields that were read. */
enum {
    HAVE_YEAR = 1 << 0,
    HAVE_MONTH = 1 << 1,
    HAVE_DAY = 1 << 2,
    HAVE_TIME = 1 << 3,
    HAVE_ZONE = 1 << 4,
    HAVE_DST = 1 << 5,
    HAVE_DAY_OF_YEAR = 1 << 6,
    HAVE_WEEKDAY = 1 << 7,
    HAVE_AM_PM = 1 << 8,
    HAVE_ERA = 1 << 9,
    HAVE_SPECIAL = 1 << 10,
    HAVE_DATE = HAVE_YEAR | HAVE_MONTH | HAVE_DAY,
};

/* ---- tokens ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static bool is_alnum(char c)
{
    return is_digit(c) || is_letter(c);
}
static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}
static bool is_punctuation(char c)
{
    return c > ' ' && c < 127 && !is_alnum(c);
}

struct splitter {
    const char *at, *end;
    char *to, *to_end;
    bool full;
};

static char peek(const struct splitter *s)
{
    return s->at < s->end ? *s->at : '\0';
}

/* Moves one character into the current token. */
static void take(struct splitter *s)
{
    char c = *s->at++;
    if (s->to >= s->to_end) {
        s->full = true;
        return;
    }
    *s->to++ = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static void take_digits(struct splitter *s)
{
    while (is_digit(peek(s)))
        take(s);
}

static enum token_kind split_number(struct splitter *s)
{
    take_digits(s);
    char c = peek(s);
    if (c == ':') {
        while (is_digit(peek(s)) || peek(s) == ':' || peek(s) == '.')
            take(s);
        return TOKEN_TIME;
    }
    if (c != '-' && c != '/' && c != '.')
        return TOKEN_NUMBER;
    /* a date, or a number with a fraction */
    take(s);
    if (!is_digit(peek(s))) {
        while (is_alnum(peek(s)) || peek(s) == c)
            take(s);
        return TOKEN_DATE;
    }
    take_digits(s);
    if (peek(s) == c) {
        while (is_digit(peek(s)) || peek(s) == c)
            take(s);
        return TOKEN_DATE;
    }
    return c == '.' ? TOKEN_NUMBER : TOKEN_DATE;
}

static enum token_kind split_word(struct splitter *s)
{
    const char *start = s->to;
    while (is_letter(peek(s)))
        take(s);
    char c = peek(s);
    /* punctuation may belong to a date with a month's name or to a zone's name; + and digits only when the
     * letters alone mean nothing */
    bool goes_on = c == '-' || c == '/' || c == '.';
    if (c == '+' || is_digit(c)) {
        enum datetime_word kind;
        int value;
        goes_on = !datetime_word_find(start, (size_t)(s->to - start), &kind, &value);
    }
    if (!goes_on)
        return TOKEN_WORD;
    do {
        take(s);
        c = peek(s);
    } while (c == '+' || c == '-' || c == '/' || c == '_' || c == '.' || c == ':' || is_alnum(c));
    return TOKEN_DATE;
}

enum datetime_fault tokens_split(const char *text, size_t len, size_t bytes_max, struct tokens *out)
{
    struct splitter s = {.at = text, .end = text + len, .to = out->bytes};
    s.to_end = out->bytes + (bytes_max < sizeof(out->bytes) ? bytes_max : sizeof(out->bytes)) - 1;
    out->count = 0;
    while (s.at < s.end) {
        char c = *s.at;
        if (is_space(c)) {
            s.at++;
            continue;
        }
        if (out->count == TOKENS_MAX)
            return FAULT_FORMAT;
        struct token *token = &out->items[out->count];
        token->text = s.to;
        if (is_digit(c)) {
            token->kind = split_number(&s);
        } else if (c == '.') {
            take(&s);
            take_digits(&s);
            token->kind = TOKEN_NUMBER;
        } else if (is_letter(c)) {
            token->kind = split_word(&s);
        } else if (c == '+' || c == '-') {
            take(&s);
            while (is_space(peek(&s)))
                s.at++;
            if (is_digit(peek(&s))) {
                while (is_digit(peek(&s)) || peek(&s) == ':' || peek(&s) == '.' || peek(&s) == '-')
                    take(&s);
                token->kind = TOKEN_SIGNED;
            } else if (is_letter(peek(&s))) {
                while (is_letter(peek(&s)))
                    take(&s);
                token->kind = TOKEN_SPECIAL;
            } else {
                return FAULT_FORMAT;
            }
        } else if (is_punctuation(c)) {
            s.at++;
            continue;
        } else {
            return FAULT_FORMAT;
        }
        if (s.full || s.to >= s.to_end)
            return FAULT_FORMAT;
        *s.to++ = '\0';
        out->count++;
    }
    return FAULT_NONE;
}

/* ---- numbers ---- */

bool datetime_read_int(const char **at, int32_t *out, bool *overflow)
{
    char *end;
    errno = 0;
    long value = strtol(*at, &end, 10);
    *overflow = errno == ERANGE || value < INT_MIN || value > INT_MAX;
    if (end == *at || *overflow)
        return false;
    *at = end;
    *out = (int32_t)value;
    return true;
}

enum datetime_fault datetime_read_fraction(const char *at, int32_t *us)
{
    char *end;
    if (at[1] == '\0') { /* a point alone */
        *us = 0;
        return FAULT_NONE;
    }
    double fraction = strtod(at, &end);
    if (*end != '\0')
        return FAULT_FORMAT;
    *us = (int32_t)rint(fraction * 1000000);
    return FAULT_NONE;
}

/* ---- decoding ---- */

struct decoder {
    struct tokens *tokens;
    const struct io_env *env;
    bool time_only;
    struct datetime_value *value;
    uint32_t have;
    bool has_text_month, is_julian, is_two_digit_year, is_bc;
    int am_pm;         /* -1 none, 0 AM, 1 PM */
    int unit;          /* of the next number: a letter, 't' after an ISO t, 0 none */
    struct zone *zone; /* named zone whose offset depends on the moment */
};

static int32_t parse_two(const char *at, size_t len)
{
    int32_t value = 0;
    for (size_t i = 0; i < len; i++)
        value = value * 10 + (at[i] - '0');
    return value;
}

static bool all_digits(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(text[i]))
            return false;
    }
    return true;
}

/* Digits run together: yyyymmdd, yymmdd, hhmmss[.fff], hhmm. *fields gets what they were. */
static enum datetime_fault decode_run(struct decoder *d, const char *text, uint32_t have, uint32_t *fields)
{
    struct civil_time *civil = &d->value->civil;
    size_t len = strcspn(text, ".");
    if (!all_digits(text, len))
        return FAULT_FORMAT;
    if (text[len] == '.') {
        enum datetime_fault fault = datetime_read_fraction(text + len, &civil->us);
        if (fault != FAULT_NONE)
            return fault;
    } else if ((have & HAVE_DATE) != HAVE_DATE && len >= 6) {
        civil->day = parse_two(text + len - 2, 2);
        civil->month = parse_two(text + len - 4, 2);
        if (len - 4 > 9)
            return FAULT_FIELD;
        civil->year = parse_two(text, len - 4);
        if (len - 4 == 2)
            d->is_two_digit_year = true;
        *fields = HAVE_DATE;
        return FAULT_NONE;
    }
    if (!(have & HAVE_TIME) && (len == 6 || len == 4)) {
        civil->hour = parse_two(text, 2);
        civil->minute = parse_two(text + 2, 2);
        civil->second = len == 6 ? parse_two(text + 4, 2) : 0;
        *fields = HAVE_TIME;
        return FAULT_NONE;
    }
    return FAULT_FORMAT;
}

/* One number: the next missing field of the date, or a run of time digits once the date is there. */
static enum datetime_fault decode_number(struct decoder *d, const char *text, uint32_t have, uint32_t *fields)
{
    struct civil_time *civil = &d->value->civil;
    size_t len = strlen(text);
    const char *at = text;
    int32_t value;
    bool overflow;
    if (!datetime_read_int(&at, &value, &overflow))
        return overflow ? FAULT_FIELD : FAULT_FORMAT;
    if (*at == '.') {
        if (at - text > 2)
            return decode_run(d, text, have | HAVE_DATE, fields);
        enum datetime_fault fault = datetime_read_fraction(at, &civil->us);
        if (fault != FAULT_NONE)
            return fault;
    } else if (*at != '\0') {
        return FAULT_FORMAT;
    }
    if (len == 3 && (have & HAVE_DATE) == HAVE_YEAR && value >= 1 && value <= 366) {
        *fields = HAVE_DAY_OF_YEAR | HAVE_MONTH | HAVE_DAY;
        civil->day_of_year = value;
        return FAULT_NONE;
    }
    bool year_first = d->env->date_order == 'Y';
    switch (have & HAVE_DATE) {
    case 0:
        *fields = len >= 3 || year_first ? HAVE_YEAR : d->env->date_order == 'D' ? HAVE_DAY : HAVE_MONTH;
        break;
    case HAVE_YEAR:
    case HAVE_DAY:
        *fields = HAVE_MONTH;
        break;
    case HAVE_MONTH:
        *fields = d->has_text_month && (len >= 3 || year_first) ? HAVE_YEAR : HAVE_DAY;
        break;
    case HAVE_YEAR | HAVE_MONTH:
        *fields = HAVE_DAY;
        if (d->has_text_month && len >= 3 && d->is_two_digit_year) {
            /* 08-Jan-1999 in year-first order: the first number was the day after all */
            civil->day = civil->year;
            civil->year = value;
            d->is_two_digit_year = false;
            return FAULT_NONE;
        }
        break;
    case HAVE_MONTH | HAVE_DAY:
        *fields = HAVE_YEAR;
        break;
    case HAVE_DATE:
        return decode_run(d, text, have, fields);
    default:
        return FAULT_FORMAT;
    }
    if (*fields == HAVE_YEAR) {
        civil->year = value;
        d->is_two_digit_year = len <= 2;
    } else if (*fields == HAVE_MONTH) {
        civil->month = value;
    } else {
        civil->day = value;
    }
    return FAULT_NONE;
}

/* Three fields with separators, one of them perhaps a month's name. */
static enum datetime_fault decode_date(struct decoder *d, char *text, uint32_t *fields)
{
    char *parts[TOKENS_MAX];
    size_t count = 0;
    for (char *at = text; *at != '\0' && count < TOKENS_MAX; count++) {
        while (*at != '\0' && !is_alnum(*at))
            at++;
        if (*at == '\0')
            return FAULT_FORMAT;
        parts[count] = at;
        if (is_digit(*at)) {
            while (is_digit(*at))
                at++;
        } else {
            while (is_letter(*at))
                at++;
        }
        if (*at != '\0')
            *at++ = '\0';
    }
    uint32_t have = d->have;
    *fields = 0;
    for (size_t i = 0; i < count; i++) { /* the month's name first: it is certain */
        if (!is_letter(*parts[i]))
            continue;
        enum datetime_word kind;
        int value;
        if (!datetime_word_find(parts[i], strlen(parts[i]), &kind, &value))
            return FAULT_FORMAT;
        if (kind == WORD_IGNORE)
            continue;
        if (kind != WORD_MONTH || (have & HAVE_MONTH))
            return FAULT_FORMAT;
        d->value->civil.month = value;
        d->has_text_month = true;
        have |= HAVE_MONTH;
        *fields |= HAVE_MONTH;
        parts[i] = NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (parts[i] == NULL)
            continue;
        uint32_t found;
        enum datetime_fault fault = decode_number(d, parts[i], have, &found);
        if (fault != FAULT_NONE)
            return fault;
        if (have & found)
            return FAULT_FORMAT;
        have |= found;
        *fields |= found;
    }
    return (have & ~(uint32_t)(HAVE_DAY_OF_YEAR | HAVE_ZONE)) == HAVE_DATE ? FAULT_NONE : FAULT_FORMAT;
}

static enum datetime_fault read_clock_part(const char **at, int32_t *out)
{
    bool overflow;
    if (datetime_read_int(at, out, &overflow))
        return FAULT_NONE;
    if (overflow)
        return FAULT_FIELD;
    *out = 0; /* an empty part is zero */
    return FAULT_NONE;
}

/* hh:mm, hh:mm:ss[.fff], or mm:ss.fff */
static enum datetime_fault decode_clock(const char *text, struct civil_time *civil)
{
    const char *at = text;
    enum datetime_fault fault = read_clock_part(&at, &civil->hour);
    if (fault != FAULT_NONE)
        return fault;
    if (*at++ != ':')
        return FAULT_FORMAT;
    if ((fault = read_clock_part(&at, &civil->minute)) != FAULT_NONE)
        return fault;
    civil->second = 0;
    civil->us = 0;
    if (*at == '.') {
        if ((fault = datetime_read_fraction(at, &civil->us)) != FAULT_NONE)
            return fault;
        civil->second = civil->minute;
        civil->minute = civil->hour;
        civil->hour = 0;
    } else if (*at == ':') {
        at++;
        if ((fault = read_clock_part(&at, &civil->second)) != FAULT_NONE)
            return fault;
        if (*at == '.') {
            if ((fault = datetime_read_fraction(at, &civil->us)) != FAULT_NONE)
                return fault;
        } else if (*at != '\0') {
            return FAULT_FORMAT;
        }
    } else if (*at != '\0') {
        return FAULT_FORMAT;
    }
    if (civil->hour < 0 || civil->minute < 0 || civil->minute > 59 || civil->second < 0 || civil->second > 60)
        return FAULT_FIELD;
    return FAULT_NONE;
}

static bool clock_overflows(const struct civil_time *civil)
{
    if (civil->hour > 24 || civil->minute > 59 || civil->second > 60)
        return true;
    return ((civil->hour * 60LL + civil->minute) * 60 + civil->second) * US_PER_SECOND + civil->us >
           US_PER_DAY;
}

/* +hh, +hhmm, +hh:mm[:ss] */
static enum datetime_fault decode_offset(const char *text, int32_t *east)
{
    const char *at = text + 1;
    int32_t hours, minutes = 0, seconds = 0;
    bool overflow;
    if (*text != '+' && *text != '-')
        return FAULT_FORMAT;
    if (!datetime_read_int(&at, &hours, &overflow))
        return overflow ? FAULT_ZONE_DISPLACEMENT : FAULT_FORMAT;
    if (*at == ':') {
        at++;
        if (!datetime_read_int(&at, &minutes, &overflow) && overflow)
            return FAULT_ZONE_DISPLACEMENT;
        if (*at == ':') {
            at++;
            if (!datetime_read_int(&at, &seconds, &overflow) && overflow)
                return FAULT_ZONE_DISPLACEMENT;
        }
    } else if (*at == '\0' && strlen(text) > 3) {
        minutes = hours % 100;
        hours /= 100;
    }
    if (hours < 0 || hours > 15 || minutes < 0 || minutes > 59 || seconds < 0 || seconds > 59)
        return FAULT_ZONE_DISPLACEMENT;
    *east = (hours * 60 + minutes) * 60 + seconds;
    if (*text == '-')
        *east = -*east;
    return *at == '\0' ? FAULT_NONE : FAULT_FORMAT;
}

static enum datetime_fault name_zone(struct decoder *d, const char *name, enum datetime_fault unknown,
                                     uint32_t *fields)
{
    d->zone = zone_find(name, strlen(name), ZONE_NAME_ONLY);
    if (d->zone == NULL) {
        snprintf(d->value->zone_name, sizeof(d->value->zone_name), "%s", name);
        return unknown;
    }
    *fields = HAVE_ZONE;
    return FAULT_NONE;
}

/* "123456-08": digits of a time with a zone at the end. */
static enum datetime_fault decode_run_with_zone(struct decoder *d, char *text, uint32_t *fields)
{
    if (d->have & HAVE_TIME)
        return FAULT_FORMAT;
    char *zone = strchr(text, '-');
    if (zone == NULL)
        return FAULT_FORMAT;
    enum datetime_fault fault = decode_offset(zone, &d->value->zone_seconds);
    if (fault != FAULT_NONE)
        return fault;
    d->value->has_zone = true;
    *zone = '\0';
    fault = decode_run(d, text, d->have | (d->time_only ? HAVE_DATE : 0), fields);
    *fields |= HAVE_ZONE;
    return fault;
}

static void set_julian(struct decoder *d, int32_t day)
{
    struct civil_time *civil = &d->value->civil;
    civil_from_days(day - JULIAN_EPOCH, &civil->year, &civil->month, &civil->day);
    d->is_julian = true;
}

/* A number that a unit letter before it explains: "J2451187". */
static enum datetime_fault decode_unit_number(struct decoder *d, const char *text, int unit, uint32_t *fields)
{
    struct civil_time *civil = &d->value->civil;
    const char *at = text;
    int32_t value;
    bool overflow;
    if (unit == 't') {
        enum datetime_fault fault = decode_run(d, text, d->have | HAVE_DATE, fields);
        return fault == FAULT_NONE && *fields != HAVE_TIME ? FAULT_FORMAT : fault;
    }
    if (!datetime_read_int(&at, &value, &overflow))
        return overflow ? FAULT_FIELD : FAULT_FORMAT;
    if (*at != '\0' && (*at != '.' || (unit != 'j' && unit != 's')))
        return FAULT_FORMAT;
    switch (unit) {
    case 'y':
        civil->year = value;
        *fields = HAVE_YEAR;
        return FAULT_NONE;
    case 'm':
        /* after the hours it is minutes, which only whole times may carry here */
        civil->month = value;
        *fields = HAVE_MONTH;
        return FAULT_NONE;
    case 'd':
        civil->day = value;
        *fields = HAVE_DAY;
        return FAULT_NONE;
    case 'j':
        if (value < 0)
            return FAULT_FIELD;
        set_julian(d, value);
        *fields = HAVE_DATE;
        if (*at == '.') {
            char *end;
            double fraction = at[1] == '\0' ? 0 : strtod(at, &end);
            civil_time_of_day((int64_t)(fraction * (double)US_PER_DAY), civil);
            *fields |= HAVE_TIME;
        }
        return FAULT_NONE;
    default:
        return FAULT_FORMAT;
    }
}

static enum datetime_fault decode_date_token(struct decoder *d, uint32_t index, uint32_t *fields)
{
    struct tokens *tokens = d->tokens;
    char *text = tokens->items[index].text;
    if (d->unit == 'j') { /* J2451187-08 */
        const char *at = text;
        int32_t value;
        bool overflow;
        d->unit = 0;
        if (!datetime_read_int(&at, &value, &overflow))
            return overflow ? FAULT_FIELD : FAULT_FORMAT;
        if (value < 0)
            return FAULT_FIELD;
        enum datetime_fault fault = decode_offset(at, &d->value->zone_seconds);
        set_julian(d, value);
        d->value->has_zone = true;
        *fields = HAVE_DATE | HAVE_TIME | HAVE_ZONE;
        return fault;
    }
    if (d->time_only) {
        bool date_leads =
            index == 0 && tokens->count >= 2 &&
            (tokens->items[tokens->count - 1].kind == TOKEN_DATE || tokens->items[1].kind == TOKEN_TIME);
        if (date_leads)
            return decode_date(d, text, fields);
        if (is_digit(*text)) {
            d->unit = 0;
            return decode_run_with_zone(d, text, fields);
        }
        return name_zone(d, text, FAULT_ZONE_NAME, fields);
    }
    if (d->unit != 0 || (d->have & (HAVE_MONTH | HAVE_DAY)) == (HAVE_MONTH | HAVE_DAY)) {
        if (!is_digit(*text) && d->unit == 0)
            return name_zone(d, text, FAULT_ZONE_NAME, fields);
        if (d->unit != 0 && d->unit != 't')
            return FAULT_FORMAT;
        d->unit = 0;
        return decode_run_with_zone(d, text, fields);
    }
    return decode_date(d, text, fields);
}

static enum datetime_fault decode_number_token(struct decoder *d, uint32_t index, uint32_t *fields)
{
    struct tokens *tokens = d->tokens;
    char *text = tokens->items[index].text;
    if (d->unit != 0) {
        int unit = d->unit;
        d->unit = 0;
        return decode_unit_number(d, text, unit, fields);
    }
    size_t len = strlen(text);
    const char *point = strchr(text, '.');
    if (d->time_only) {
        uint32_t have = d->have | HAVE_DATE;
        if (point != NULL) {
            if (index == 0 && tokens->count >= 2 && tokens->items[tokens->count - 1].kind == TOKEN_DATE)
                return decode_date(d, text, fields);
            return point - text > 2 ? decode_run(d, text, have, fields) : FAULT_FORMAT;
        }
        return len > 4 ? decode_run(d, text, have, fields) : decode_number(d, text, have, fields);
    }
    if (point != NULL && !(d->have & HAVE_DATE))
        return decode_date(d, text, fields);
    if (point != NULL && point - text > 2)
        return decode_run(d, text, d->have, fields);
    if (len >= 6 && (!(d->have & HAVE_DATE) || !(d->have & HAVE_TIME)))
        return decode_run(d, text, d->have, fields);
    return decode_number(d, text, d->have, fields);
}

/* The current day in the session's zone. */
static void set_now(struct decoder *d, bool with_time, int32_t plus_days)
{
    struct zone *zone = zone_find(d->env->timezone, strlen(d->env->timezone), ZONE_NAME_FIRST);
    int32_t offset = zone != NULL ? zone_offset_at(zone, d->env->now_us) : 0;
    struct civil_time now;
    civil_from_timestamp(d->env->now_us + offset * US_PER_SECOND + plus_days * US_PER_DAY, &now);
    struct civil_time *civil = &d->value->civil;
    civil->year = now.year;
    civil->month = now.month;
    civil->day = now.day;
    if (with_time) {
        *civil = now;
        d->value->has_zone = true;
        d->value->zone_seconds = offset;
    }
    d->is_julian = true; /* the year is right as it is */
}

static enum datetime_fault decode_word_token(struct decoder *d, uint32_t index, uint32_t *fields)
{
    struct tokens *tokens = d->tokens;
    const char *text = tokens->items[index].text;
    size_t len = strlen(text);
    struct civil_time *civil = &d->value->civil;
    int32_t seconds;
    bool is_dst;
    *fields = 0;
    if (timezone_abbreviation(text, len, &seconds, &is_dst)) {
        d->value->has_zone = true;
        d->value->zone_seconds = seconds;
        *fields = HAVE_ZONE;
        return FAULT_NONE;
    }
    enum datetime_word kind;
    int value;
    if (!datetime_word_find(text, len, &kind, &value))
        return name_zone(d, text, FAULT_FORMAT, fields);
    switch (kind) {
    case WORD_IGNORE:
        return FAULT_NONE;
    case WORD_MONTH:
        *fields = HAVE_MONTH;
        if ((d->have & HAVE_MONTH) && !d->has_text_month && !(d->have & HAVE_DAY) && civil->month >= 1 &&
            civil->month <= 31) {
            civil->day = civil->month; /* the number before was the day */
            *fields = HAVE_DAY;
        }
        d->has_text_month = true;
        civil->month = value;
        return FAULT_NONE;
    case WORD_WEEKDAY:
        *fields = HAVE_WEEKDAY;
        return FAULT_NONE;
    case WORD_AM_PM:
        *fields = HAVE_AM_PM;
        d->am_pm = value;
        return FAULT_NONE;
    case WORD_ERA:
        *fields = HAVE_ERA;
        d->is_bc = value == 1;
        return FAULT_NONE;
    case WORD_DST:
        *fields = HAVE_DST | HAVE_ZONE;
        if (d->have & HAVE_ZONE)
            *fields = HAVE_DST;
        d->value->has_zone = true;
        d->value->zone_seconds += 3600;
        return FAULT_NONE;
    case WORD_NOW:
        *fields = d->time_only ? HAVE_TIME : HAVE_DATE | HAVE_TIME | HAVE_ZONE;
        set_now(d, true, 0);
        return FAULT_NONE;
    case WORD_TODAY:
        if (d->time_only)
            return FAULT_FORMAT;
        *fields = HAVE_DATE;
        set_now(d, false, value);
        return FAULT_NONE;
    case WORD_ALLBALLS:
        *fields = HAVE_TIME | HAVE_ZONE;
        civil->hour = civil->minute = civil->second = 0;
        d->value->has_zone = true;
        d->value->zone_seconds = 0;
        return FAULT_NONE;
    case WORD_EPOCH:
    case WORD_INFINITY:
        if (d->time_only)
            return FAULT_FORMAT;
        *fields = HAVE_SPECIAL;
        d->value->kind = kind == WORD_EPOCH ? DATETIME_EPOCH
                         : value > 0        ? DATETIME_INFINITY
                                            : DATETIME_MINUS_INFINITY;
        return FAULT_NONE;
    case WORD_ISO_TIME: {
        if (!d->time_only && (d->have & HAVE_DATE) != HAVE_DATE)
            return FAULT_FORMAT;
        if (index + 1 >= tokens->count)
            return FAULT_FORMAT;
        enum token_kind next = tokens->items[index + 1].kind;
        if (next != TOKEN_NUMBER && next != TOKEN_TIME && next != TOKEN_DATE)
            return FAULT_FORMAT;
        d->unit = 't';
        return FAULT_NONE;
    }
    case WORD_UNIT:
        d->unit = value;
        return FAULT_NONE;
    }
    return FAULT_FORMAT;
}

static enum datetime_fault validate_date(struct decoder *d)
{
    struct civil_time *civil = &d->value->civil;
    if ((d->have & HAVE_YEAR) && !d->is_julian) {
        if (d->is_bc) {
            if (civil->year <= 0)
                return FAULT_FIELD;
            civil->year = 1 - civil->year;
        } else if (d->is_two_digit_year) {
            if (civil->year < 0)
                return FAULT_FIELD;
            civil->year += civil->year < 70 ? 2000 : civil->year < 100 ? 1900 : 0;
        } else if (civil->year <= 0) {
            return FAULT_FIELD;
        }
    }
    if ((d->have & HAVE_DAY_OF_YEAR) && civil->year < JULIAN_YEAR_END)
        civil_from_days(days_from_civil(civil->year, 1, 1) + civil->day_of_year - 1, &civil->year,
                        &civil->month, &civil->day);
    if ((d->have & HAVE_MONTH) && (civil->month < 1 || civil->month > 12))
        return FAULT_FIELD_ORDER;
    if ((d->have & HAVE_DAY) && (civil->day < 1 || civil->day > 31))
        return FAULT_FIELD_ORDER;
    if ((d->have & HAVE_DATE) == HAVE_DATE && civil->day > days_of_month(civil->year, civil->month))
        return FAULT_FIELD;
    return FAULT_NONE;
}

static enum datetime_fault finish(struct decoder *d)
{
    struct civil_time *civil = &d->value->civil;
    enum datetime_fault fault = validate_date(d);
    if (fault != FAULT_NONE)
        return fault;
    if (d->am_pm >= 0) {
        if (civil->hour > 12)
            return FAULT_FIELD;
        if (civil->hour == 12)
            civil->hour = 0;
        if (d->am_pm == 1)
            civil->hour += 12;
    }
    if (d->time_only && clock_overflows(civil))
        return FAULT_FIELD;
    if (d->value->kind != DATETIME_MOMENT)
        return FAULT_NONE;
    if (d->time_only ? !(d->have & HAVE_TIME) : (d->have & HAVE_DATE) != HAVE_DATE)
        return FAULT_FORMAT;
    if (d->time_only && d->zone != NULL && (d->have & HAVE_DATE) != HAVE_DATE)
        return zone_is_fixed(d->zone) ? FAULT_NONE : FAULT_FORMAT;
    if (d->zone != NULL) {
        if (d->have & HAVE_DST)
            return FAULT_FORMAT;
        int64_t local;
        d->value->has_zone = true;
        if (timestamp_from_civil(civil, &local, NULL))
            d->value->zone_seconds = zone_offset_of_local(d->zone, local);
    }
    return FAULT_NONE;
}

enum datetime_fault datetime_decode(struct tokens *tokens, const struct io_env *env, bool time_only,
                                    struct datetime_value *out)
{
    *out = (struct datetime_value){0};
    struct decoder d = {.tokens = tokens, .env = env, .time_only = time_only, .value = out, .am_pm = -1};
    if (tokens->count == 0)
        return FAULT_FORMAT;
    for (uint32_t i = 0; i < tokens->count; i++) {
        struct token *token = &tokens->items[i];
        uint32_t fields = 0;
        enum datetime_fault fault = FAULT_NONE;
        switch (token->kind) {
        case TOKEN_DATE:
            fault = decode_date_token(&d, i, &fields);
            break;
        case TOKEN_TIME:
            if (d.unit != 0 && d.unit != 't')
                return FAULT_FORMAT;
            d.unit = 0;
            fault = decode_clock(token->text, &out->civil);
            fields = HAVE_TIME;
            if (fault == FAULT_NONE && clock_overflows(&out->civil))
                fault = FAULT_FIELD;
            break;
        case TOKEN_SIGNED:
            fault = decode_offset(token->text, &out->zone_seconds);
            out->has_zone = true;
            fields = HAVE_ZONE;
            break;
        case TOKEN_NUMBER:
            fault = decode_number_token(&d, i, &fields);
            break;
        case TOKEN_WORD:
        case TOKEN_SPECIAL:
            fault = decode_word_token(&d, i, &fields);
            break;
        }
        if (fault != FAULT_NONE)
            return fault;
        if (fields & d.have)
            return FAULT_FORMAT;
        d.have |= fields;
    }
    return finish(&d);
}

bool datetime_fault_error(enum datetime_fault fault, const char *text, size_t len, const char *type_name,
                          const char *zone_name, struct error *err)
{
    int shown = len > INT_MAX ? INT_MAX : (int)len;
    switch (fault) {
    case FAULT_FIELD:
    case FAULT_FIELD_ORDER:
        error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "date/time field value out of range: \"%.*s\"", shown,
                  text);
        if (fault == FAULT_FIELD_ORDER)
            error_hint(err, "Perhaps you need a different \"datestyle\" setting.");
        return false;
    case FAULT_INTERVAL_FIELD:
        return error_set(err, ERRCODE_INTERVAL_FIELD_OVERFLOW, "interval field value out of range: \"%.*s\"",
                         shown, text);
    case FAULT_ZONE_DISPLACEMENT:
        return error_set(err, ERRCODE_INVALID_TIME_ZONE_DISPLACEMENT_VALUE,
                         "time zone displacement out of range: \"%.*s\"", shown, text);
    case FAULT_ZONE_NAME:
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "time zone \"%s\" not recognized", zone_name);
    case FAULT_FORMAT:
    case FAULT_NONE:
        break;
    }
    return error_set(err, ERRCODE_INVALID_DATETIME_FORMAT, "invalid input syntax for type %s: \"%.*s\"",
                     type_name, shown, text);
}
