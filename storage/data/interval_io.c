/* interval_io.c: text forms of interval: input in PostgreSQL's, the SQL standard's and ISO 8601's notation,
 * output in the four styles of IntervalStyle, and what a typmod such as "day to second(3)" does.
 *
 * Input is read from right to left, so that a unit is known before its number. */
#include "storage/data/datetime_io.h"
#include "storage/data/datetime_parse.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define INPUT_BYTES_MAX 256
#define DAYS_PER_MONTH  30
#define MONTHS_PER_YEAR 12
#define US_PER_MINUTE   (60 * US_PER_SECOND)
#define US_PER_HOUR     (3600 * US_PER_SECOND)

/* ---- sums with overflow ---- */

/* An interval as it is written: years apart from months, so that each has its own range. */
struct amounts {
    int32_t years, months, days;
    int64_t us;
};

static bool add_us_fraction(struct amounts *to, double fraction, int64_t unit)
{
    if (fraction == 0)
        return true;
    fraction *= (double)unit;
    int64_t us = (int64_t)fraction;
    double rest = fraction - (double)us;
    us += rest > 0.5 ? 1 : rest < -0.5 ? -1 : 0;
    return !__builtin_add_overflow(to->us, us, &to->us);
}

static bool add_us(struct amounts *to, int64_t value, double fraction, int64_t unit)
{
    int64_t us;
    return !__builtin_mul_overflow(value, unit, &us) && !__builtin_add_overflow(to->us, us, &to->us) &&
           add_us_fraction(to, fraction, unit);
}

static bool add_days(struct amounts *to, int64_t value, int32_t unit)
{
    int64_t days;
    return !__builtin_mul_overflow(value, (int64_t)unit, &days) &&
           !__builtin_add_overflow(to->days, days, &to->days);
}

/* A fraction of `unit` days: whole days, the rest as time. */
static bool add_day_fraction(struct amounts *to, double fraction, int32_t unit)
{
    fraction *= unit;
    int32_t days = (int32_t)fraction;
    return add_days(to, days, 1) && add_us_fraction(to, fraction - days, US_PER_DAY);
}

static bool add_months(struct amounts *to, int64_t value)
{
    return !__builtin_add_overflow(to->months, value, &to->months);
}

static bool add_years(struct amounts *to, int64_t value, double fraction, int32_t unit)
{
    int64_t years;
    return !__builtin_mul_overflow(value, (int64_t)unit, &years) &&
           !__builtin_add_overflow(to->years, years, &to->years) &&
           add_months(to, (int64_t)rint(fraction * unit * MONTHS_PER_YEAR));
}

/* ---- PostgreSQL's and the SQL standard's notation ---- */

/* Fields already read: each unit once. A seconds value with a fraction claims milli- and microseconds too. */
enum {
    SECONDS_ALL = 1 << UNIT_SECOND | 1 << UNIT_MILLISECOND | 1 << UNIT_MICROSECOND,
    TIME_ALL = 1 << UNIT_HOUR | 1 << UNIT_MINUTE | SECONDS_ALL,
};

/* What a number without a unit means at the right end, by the typmod's fields. */
static enum time_unit rightmost_unit(int32_t fields)
{
    if (fields == INTERVAL_FIELDS_ALL || (fields & INTERVAL_FIELD_SECOND))
        return UNIT_SECOND;
    if (fields & INTERVAL_FIELD_MINUTE)
        return UNIT_MINUTE;
    if (fields & INTERVAL_FIELD_HOUR)
        return UNIT_HOUR;
    if (fields & INTERVAL_FIELD_DAY)
        return UNIT_DAY;
    return fields & INTERVAL_FIELD_MONTH ? UNIT_MONTH : UNIT_YEAR;
}

static bool read_part(const char **at, int64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoll(*at, &end, 10);
    *at = end;
    return errno == 0;
}

/* hh:mm, hh:mm:ss[.fff] or mm:ss[.fff]; hours have no limit but the range. */
static enum datetime_fault read_clock(const char *text, int32_t fields, int64_t *us)
{
    const char *at = text;
    int64_t hours, minutes, seconds = 0;
    int32_t fraction = 0;
    if (!read_part(&at, &hours))
        return FAULT_FIELD;
    if (*at++ != ':')
        return FAULT_FORMAT;
    if (!read_part(&at, &minutes))
        return FAULT_FIELD;
    bool minutes_first =
        *at == '.' || (*at == '\0' && fields == (INTERVAL_FIELD_MINUTE | INTERVAL_FIELD_SECOND));
    if (*at == ':') {
        at++;
        if (!read_part(&at, &seconds))
            return FAULT_FIELD;
    } else if (minutes_first) {
        seconds = minutes;
        minutes = hours;
        hours = 0;
    }
    if (*at == '.') {
        enum datetime_fault fault = datetime_read_fraction(at, &fraction);
        if (fault != FAULT_NONE)
            return fault;
    } else if (*at != '\0') {
        return FAULT_FORMAT;
    }
    if (hours < 0 || minutes < 0 || minutes > 59 || seconds < 0 || seconds > 60)
        return FAULT_FIELD;
    if (__builtin_mul_overflow(hours, US_PER_HOUR, us) ||
        __builtin_add_overflow(*us, minutes * US_PER_MINUTE + seconds * US_PER_SECOND + fraction, us))
        return FAULT_FIELD;
    return FAULT_NONE;
}

/* A number with the unit read before it. */
static enum datetime_fault read_quantity(const char *text, enum time_unit unit, bool force_negative,
                                         struct amounts *to, uint32_t *fields)
{
    char *end;
    errno = 0;
    int64_t value = strtoll(text, &end, 10);
    if (errno == ERANGE)
        return FAULT_FIELD;
    double fraction = 0;
    if (*end == '-') { /* years-months */
        const char *at = end + 1;
        int32_t months;
        bool overflow;
        if (!datetime_read_int(&at, &months, &overflow)) {
            if (overflow)
                return FAULT_FIELD;
            months = 0;
        }
        if (months < 0 || months >= MONTHS_PER_YEAR)
            return FAULT_FIELD;
        if (*at != '\0')
            return FAULT_FORMAT;
        if (__builtin_mul_overflow(value, (int64_t)MONTHS_PER_YEAR, &value) ||
            __builtin_add_overflow(value, text[0] == '-' ? -months : months, &value))
            return FAULT_FIELD;
        unit = UNIT_MONTH;
    } else if (*end == '.') {
        if (end[1] != '\0') {
            const char *start = end;
            fraction = strtod(start, &end);
            if (*end != '\0')
                return FAULT_FORMAT;
        }
        if (text[0] == '-')
            fraction = -fraction;
    } else if (*end != '\0') {
        return FAULT_FORMAT;
    }
    if (force_negative) {
        value = value > 0 ? -value : value;
        fraction = fraction > 0 ? -fraction : fraction;
    }
    *fields = 1u << unit;
    bool ok;
    switch (unit) {
    case UNIT_MICROSECOND:
        ok = add_us(to, value, fraction, 1);
        break;
    case UNIT_MILLISECOND:
        ok = add_us(to, value, fraction, 1000);
        break;
    case UNIT_SECOND:
        ok = add_us(to, value, fraction, US_PER_SECOND);
        if (fraction != 0)
            *fields = SECONDS_ALL;
        break;
    case UNIT_MINUTE:
        ok = add_us(to, value, fraction, US_PER_MINUTE);
        break;
    case UNIT_HOUR:
        ok = add_us(to, value, fraction, US_PER_HOUR);
        break;
    case UNIT_DAY:
        ok = add_days(to, value, 1) && add_us_fraction(to, fraction, US_PER_DAY);
        break;
    case UNIT_WEEK:
        ok = add_days(to, value, 7) && add_day_fraction(to, fraction, 7);
        break;
    case UNIT_MONTH:
        ok = add_months(to, value) && add_day_fraction(to, fraction, DAYS_PER_MONTH);
        break;
    case UNIT_YEAR:
        ok = add_years(to, value, fraction, 1);
        break;
    case UNIT_DECADE:
        ok = add_years(to, value, fraction, 10);
        break;
    case UNIT_CENTURY:
        ok = add_years(to, value, fraction, 100);
        break;
    case UNIT_MILLENNIUM:
        ok = add_years(to, value, fraction, 1000);
        break;
    default:
        return FAULT_FORMAT;
    }
    return ok ? FAULT_NONE : FAULT_FIELD;
}

/* In the SQL standard's style one leading minus counts for all fields, unless any other has a sign of its
 * own. */
static bool sign_is_for_all(const struct tokens *tokens, const struct io_env *env)
{
    if (env->interval_style != 2 || tokens->count == 0 || tokens->items[0].text[0] != '-')
        return false;
    for (uint32_t i = 1; i < tokens->count; i++) {
        char c = tokens->items[i].text[0];
        if (c == '-' || c == '+')
            return false;
    }
    return true;
}

static enum datetime_fault decode_interval(const struct tokens *tokens, int32_t range,
                                           const struct io_env *env, struct amounts *out)
{
    bool force_negative = sign_is_for_all(tokens, env), is_ago = false, has_unit = false;
    enum time_unit unit = UNIT_SECOND;
    uint32_t have = 0;
    *out = (struct amounts){0};
    for (uint32_t i = tokens->count; i-- > 0;) {
        const struct token *token = &tokens->items[i];
        uint32_t fields = 0;
        enum datetime_fault fault = FAULT_NONE;
        const char *clock = token->kind == TOKEN_TIME ? token->text
                            : token->kind == TOKEN_SIGNED && strchr(token->text, ':') != NULL
                                ? token->text + 1
                                : NULL;
        int64_t us;
        if (token->kind == TOKEN_WORD || token->kind == TOKEN_SPECIAL) {
            if (strcmp(token->text, "ago") == 0) {
                is_ago = true;
                has_unit = true; /* a number right before it has no unit */
                unit = UNIT_TIMEZONE;
            } else if (time_unit_find(token->text, strlen(token->text), &unit)) {
                has_unit = true;
            } else {
                return FAULT_FORMAT;
            }
            continue;
        }
        if (clock != NULL) {
            fault = read_clock(clock, range, &us);
            if (fault == FAULT_NONE) {
                if (token->text[0] == '-' || force_negative)
                    us = -us;
                if (__builtin_add_overflow(out->us, us, &out->us))
                    return FAULT_FIELD;
                fields = TIME_ALL;
                unit = UNIT_DAY; /* a number before it */
                has_unit = true;
            } else if (token->kind == TOKEN_TIME) {
                return fault;
            }
        }
        if (fields == 0) {
            if (!has_unit)
                unit = rightmost_unit(range);
            has_unit = true;
            if (token->kind != TOKEN_TIME)
                fault = read_quantity(token->text, unit, force_negative, out, &fields);
            if (fault != FAULT_NONE)
                return fault;
            if (unit == UNIT_HOUR)
                unit = UNIT_DAY;
            if (fields == 1u << UNIT_MONTH)
                unit = UNIT_MONTH;
        }
        if (have & fields)
            return FAULT_FORMAT;
        have |= fields;
    }
    if (have == 0)
        return FAULT_FORMAT;
    if (is_ago) {
        if (out->us == INT64_MIN || out->days == INT32_MIN || out->months == INT32_MIN ||
            out->years == INT32_MIN)
            return FAULT_FIELD;
        *out = (struct amounts){
            .us = -out->us, .days = -out->days, .months = -out->months, .years = -out->years};
    }
    return FAULT_NONE;
}

/* ---- ISO 8601 ---- */

struct iso_reader {
    const char *at;
    const char *start; /* of the last number */
    int64_t value;
    double fraction;
    struct amounts *to;
};

static enum datetime_fault iso_number(struct iso_reader *r)
{
    char *end;
    r->start = r->at;
    if (!((*r->at >= '0' && *r->at <= '9') || *r->at == '-' || *r->at == '.'))
        return FAULT_FORMAT;
    errno = 0;
    double value = strtod(r->at, &end);
    if (end == r->at || errno != 0)
        return FAULT_FORMAT;
    if (isnan(value) || value < -1e15 || value > 1e15)
        return FAULT_FIELD;
    r->at = end;
    r->value = (int64_t)value;
    r->fraction = value - (double)r->value;
    return FAULT_NONE;
}

static size_t iso_width(const char *start)
{
    if (*start == '-')
        start++;
    return strspn(start, "0123456789");
}

#define ISO_TRY(expression)                                                                                  \
    do {                                                                                                     \
        enum datetime_fault fault_ = (expression);                                                           \
        if (fault_ != FAULT_NONE)                                                                            \
            return fault_;                                                                                   \
    } while (0)
#define ISO_ADD(expression)                                                                                  \
    do {                                                                                                     \
        if (!(expression))                                                                                   \
            return FAULT_FIELD;                                                                              \
    } while (0)

/* The alternative date form after its first number: P0001-02-03 (extended). *more: a T follows. */
static enum datetime_fault iso_extended_date(struct iso_reader *r, char unit, bool *more)
{
    *more = unit == 'T';
    ISO_ADD(add_years(r->to, r->value, r->fraction, 1));
    if (unit != '-')
        return FAULT_NONE;
    ISO_TRY(iso_number(r));
    ISO_ADD(add_months(r->to, r->value) && add_day_fraction(r->to, r->fraction, DAYS_PER_MONTH));
    if (*r->at == '-') {
        r->at++;
        ISO_TRY(iso_number(r));
        ISO_ADD(add_days(r->to, r->value, 1) && add_us_fraction(r->to, r->fraction, US_PER_DAY));
    }
    *more = *r->at == 'T';
    if (*more)
        r->at++;
    return *more || *r->at == '\0' ? FAULT_NONE : FAULT_FORMAT;
}

/* The alternative time form after its first number: T04:05:06. */
static enum datetime_fault iso_extended_time(struct iso_reader *r, char unit)
{
    ISO_ADD(add_us(r->to, r->value, r->fraction, US_PER_HOUR));
    if (unit == '\0')
        return FAULT_NONE;
    ISO_TRY(iso_number(r));
    ISO_ADD(add_us(r->to, r->value, r->fraction, US_PER_MINUTE));
    if (*r->at == '\0')
        return FAULT_NONE;
    if (*r->at++ != ':')
        return FAULT_FORMAT;
    ISO_TRY(iso_number(r));
    ISO_ADD(add_us(r->to, r->value, r->fraction, US_PER_SECOND));
    return *r->at == '\0' ? FAULT_NONE : FAULT_FORMAT;
}

static enum datetime_fault decode_iso(const char *text, struct amounts *out)
{
    *out = (struct amounts){0};
    struct iso_reader r = {.to = out};
    bool in_date = true, has_field = false;
    if (text[0] != 'P' || text[1] == '\0')
        return FAULT_FORMAT;
    r.at = text + 1;
    while (*r.at != '\0') {
        if (*r.at == 'T') {
            in_date = false;
            has_field = false;
            r.at++;
            continue;
        }
        ISO_TRY(iso_number(&r));
        char unit = *r.at;
        if (unit != '\0')
            r.at++;
        if (in_date) {
            switch (unit) {
            case 'Y':
                ISO_ADD(add_years(out, r.value, r.fraction, 1));
                break;
            case 'M':
                ISO_ADD(add_months(out, r.value) && add_day_fraction(out, r.fraction, DAYS_PER_MONTH));
                break;
            case 'W':
                ISO_ADD(add_days(out, r.value, 7) && add_day_fraction(out, r.fraction, 7));
                break;
            case 'D':
                ISO_ADD(add_days(out, r.value, 1) && add_us_fraction(out, r.fraction, US_PER_DAY));
                break;
            case 'T':
            case '\0':
            case '-': {
                if (has_field)
                    return FAULT_FORMAT;
                bool more = unit == 'T';
                if (unit != '-' && iso_width(r.start) == 8) { /* basic form: yyyymmdd */
                    ISO_ADD(add_years(out, r.value / 10000, 0, 1) && add_months(out, r.value / 100 % 100) &&
                            add_days(out, r.value % 100, 1) && add_us_fraction(out, r.fraction, US_PER_DAY));
                } else {
                    ISO_TRY(iso_extended_date(&r, unit, &more));
                }
                if (!more)
                    return FAULT_NONE;
                in_date = false;
                continue;
            }
            default:
                return FAULT_FORMAT;
            }
        } else {
            switch (unit) {
            case 'H':
                ISO_ADD(add_us(out, r.value, r.fraction, US_PER_HOUR));
                break;
            case 'M':
                ISO_ADD(add_us(out, r.value, r.fraction, US_PER_MINUTE));
                break;
            case 'S':
                ISO_ADD(add_us(out, r.value, r.fraction, US_PER_SECOND));
                break;
            case '\0':
            case ':':
                if (unit == '\0' && iso_width(r.start) == 6 && !has_field) { /* basic form: hhmmss */
                    ISO_ADD(add_us(out, r.value / 10000, 0, US_PER_HOUR) &&
                            add_us(out, r.value / 100 % 100, 0, US_PER_MINUTE) &&
                            add_us(out, r.value % 100, 0, US_PER_SECOND) &&
                            add_us_fraction(out, r.fraction, 1));
                    return FAULT_NONE;
                }
                return has_field ? FAULT_FORMAT : iso_extended_time(&r, unit);
            default:
                return FAULT_FORMAT;
            }
        }
        has_field = true;
    }
    return FAULT_NONE;
}

bool interval_input(const char *text, size_t len, int32_t typmod, const struct io_env *env,
                    struct interval *out, struct error *err)
{
    struct tokens tokens;
    struct amounts amounts;
    int32_t fields = typmod >= 0 ? typmod >> 16 & INTERVAL_FIELDS_ALL : INTERVAL_FIELDS_ALL;
    enum datetime_fault fault = tokens_split(text, len, INPUT_BYTES_MAX, &tokens);
    if (fault == FAULT_NONE)
        fault = decode_interval(&tokens, fields, env, &amounts);
    if (fault == FAULT_FORMAT && len < INPUT_BYTES_MAX) {
        char copy[INPUT_BYTES_MAX];
        memcpy(copy, text, len);
        copy[len] = '\0';
        fault = decode_iso(copy, &amounts);
    }
    if (fault == FAULT_FIELD)
        fault = FAULT_INTERVAL_FIELD;
    if (fault != FAULT_NONE)
        return datetime_fault_error(fault, text, len, "interval", "", err);
    struct interval value = {.us = amounts.us, .days = amounts.days};
    if (__builtin_mul_overflow(amounts.years, MONTHS_PER_YEAR, &value.months) ||
        __builtin_add_overflow(value.months, amounts.months, &value.months))
        return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "interval out of range");
    return interval_apply_typmod(&value, typmod, out, err);
}

/* ---- typmod ---- */

bool interval_apply_typmod(const struct interval *value, int32_t typmod, struct interval *out,
                           struct error *err)
{
    *out = *value;
    if (typmod < 0)
        return true;
    int32_t fields = typmod >> 16 & INTERVAL_FIELDS_ALL, digits = typmod & 0xFFFF;
    if (fields != INTERVAL_FIELDS_ALL) {
        /* fields smaller than the last named one are cut; larger ones are kept */
        if (fields & INTERVAL_FIELD_SECOND) {
        } else if (fields & INTERVAL_FIELD_MINUTE) {
            out->us -= out->us % US_PER_MINUTE;
        } else if (fields & INTERVAL_FIELD_HOUR) {
            out->us -= out->us % US_PER_HOUR;
        } else if (fields & INTERVAL_FIELD_DAY) {
            out->us = 0;
        } else {
            out->us = 0;
            out->days = 0;
            if (!(fields & INTERVAL_FIELD_MONTH))
                out->months -= out->months % MONTHS_PER_YEAR;
        }
    }
    if (digits < 6) {
        static const int64_t units[] = {1000000, 100000, 10000, 1000, 100, 10};
        int64_t half = units[digits] / 2, shifted;
        if (out->us >= 0 ? __builtin_add_overflow(out->us, half, &shifted)
                         : __builtin_sub_overflow(out->us, half, &shifted))
            return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "interval out of range");
        out->us = shifted - shifted % units[digits];
    }
    return true;
}

/* ---- output ---- */

struct parts {
    int32_t years, months, days;
    int64_t hours;
    int32_t minutes, seconds, us;
};

static struct parts split(const struct interval *value)
{
    return (struct parts){
        .years = value->months / MONTHS_PER_YEAR,
        .months = value->months % MONTHS_PER_YEAR,
        .days = value->days,
        .hours = value->us / US_PER_HOUR,
        .minutes = (int32_t)(value->us / US_PER_MINUTE % 60),
        .seconds = (int32_t)(value->us / US_PER_SECOND % 60),
        .us = (int32_t)(value->us % US_PER_SECOND),
    };
}

static long long magnitude(int64_t value)
{
    return value < 0 ? -value : value;
}

/* Seconds without sign, at least `digits` wide, fraction without trailing zeros. */
static void add_seconds(struct strbuf *out, int32_t seconds, int32_t us, int digits)
{
    strbuf_addf(out, "%0*lld", digits, magnitude(seconds));
    if (us != 0) {
        strbuf_addf(out, ".%06lld", magnitude(us));
        while (out->data[out->len - 1] == '0')
            out->data[--out->len] = '\0';
    }
}

static void output_postgres(const struct interval *value, const struct parts *p, struct strbuf *out)
{
    const struct {
        int32_t amount;
        const char *name;
    } fields[] = {{p->years, "year"}, {p->months, "mon"}, {p->days, "day"}};
    bool empty = true, after_negative = false;
    for (size_t i = 0; i < ARRAY_COUNT(fields); i++) {
        int32_t amount = fields[i].amount;
        if (amount == 0)
            continue;
        strbuf_addf(out, "%s%s%d %s%s", empty ? "" : " ", after_negative && amount > 0 ? "+" : "", amount,
                    fields[i].name, amount == 1 ? "" : "s");
        after_negative = amount < 0;
        empty = false;
    }
    if (!empty && value->us == 0)
        return;
    strbuf_addf(out, "%s%s%02lld:%02lld:", empty ? "" : " ",
                value->us < 0    ? "-"
                : after_negative ? "+"
                                 : "",
                magnitude(p->hours), magnitude(p->minutes));
    add_seconds(out, p->seconds, p->us, 2);
}

static void output_verbose(const struct parts *p, struct strbuf *out)
{
    const struct {
        int64_t amount;
        const char *name;
    } fields[] = {
        {p->years, "year"}, {p->months, "mon"}, {p->days, "day"}, {p->hours, "hour"}, {p->minutes, "min"}};
    bool empty = true, is_ago = false; /* the first field's sign is told by "ago", others relative to it */
    strbuf_addc(out, '@');
    for (size_t i = 0; i < ARRAY_COUNT(fields); i++) {
        int64_t amount = fields[i].amount;
        if (amount == 0)
            continue;
        if (empty)
            is_ago = amount < 0;
        if (is_ago)
            amount = -amount;
        strbuf_addf(out, " %lld %s%s", (long long)amount, fields[i].name, amount == 1 ? "" : "s");
        empty = false;
    }
    if (p->seconds != 0 || p->us != 0) {
        bool negative = p->seconds < 0 || p->us < 0;
        if (empty)
            is_ago = negative;
        strbuf_adds(out, negative != is_ago ? " -" : " ");
        add_seconds(out, p->seconds, p->us, 1);
        strbuf_addf(out, " sec%s", magnitude(p->seconds) != 1 || p->us != 0 ? "s" : "");
        empty = false;
    }
    if (empty)
        strbuf_adds(out, " 0");
    if (is_ago)
        strbuf_adds(out, " ago");
}

static void output_iso(const struct interval *value, const struct parts *p, struct strbuf *out)
{
    if (value->months == 0 && value->days == 0 && value->us == 0) {
        strbuf_adds(out, "PT0S");
        return;
    }
    strbuf_addc(out, 'P');
    if (p->years != 0)
        strbuf_addf(out, "%dY", p->years);
    if (p->months != 0)
        strbuf_addf(out, "%dM", p->months);
    if (p->days != 0)
        strbuf_addf(out, "%dD", p->days);
    if (value->us != 0)
        strbuf_addc(out, 'T');
    if (p->hours != 0)
        strbuf_addf(out, "%lldH", (long long)p->hours);
    if (p->minutes != 0)
        strbuf_addf(out, "%dM", p->minutes);
    if (p->seconds != 0 || p->us != 0) {
        if (p->seconds < 0 || p->us < 0)
            strbuf_addc(out, '-');
        add_seconds(out, p->seconds, p->us, 1);
        strbuf_addc(out, 'S');
    }
}

static void output_sql(const struct interval *value, const struct parts *p, struct strbuf *out)
{
    bool has_negative = value->months < 0 || value->days < 0 || value->us < 0;
    bool has_positive = value->months > 0 || value->days > 0 || value->us > 0;
    bool has_day_time = value->days != 0 || value->us != 0;
    if (!has_negative && !has_positive) {
        strbuf_addc(out, '0');
        return;
    }
    if ((has_negative && has_positive) || (value->months != 0 && has_day_time)) {
        /* no form of the standard: every part with its sign */
        strbuf_addf(out, "%c%lld-%lld %c%lld %c%lld:%02lld:", value->months < 0 ? '-' : '+',
                    magnitude(p->years), magnitude(p->months), value->days < 0 ? '-' : '+',
                    magnitude(p->days), value->us < 0 ? '-' : '+', magnitude(p->hours),
                    magnitude(p->minutes));
        add_seconds(out, p->seconds, p->us, 2);
        return;
    }
    if (has_negative)
        strbuf_addc(out, '-');
    if (value->months != 0) {
        strbuf_addf(out, "%lld-%lld", magnitude(p->years), magnitude(p->months));
        return;
    }
    if (value->days != 0)
        strbuf_addf(out, "%lld ", magnitude(p->days));
    strbuf_addf(out, "%lld:%02lld:", magnitude(p->hours), magnitude(p->minutes));
    add_seconds(out, p->seconds, p->us, 2);
}

void interval_output(const struct interval *value, const struct io_env *env, struct strbuf *out)
{
    struct parts parts = split(value);
    switch (env->interval_style) {
    case 1:
        output_verbose(&parts, out);
        break;
    case 2:
        output_sql(value, &parts, out);
        break;
    case 3:
        output_iso(value, &parts, out);
        break;
    default:
        output_postgres(value, &parts, out);
        break;
    }
}
