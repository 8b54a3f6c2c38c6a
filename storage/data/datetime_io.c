/* datetime_io.c: text forms of date, time, timestamp and timestamptz (ISO output), and rounding to a typmod.
 *
 * Columns of timestamps are mostly written the ISO way, so input tries that form first and falls back to the
 * full parser; both give the same values. */
#include "storage/data/datetime_io.h"

#include "storage/data/datetime_parse.h"

/* Longest text that the parser looks at, as PostgreSQL's buffer. */
#define INPUT_BYTES_MAX 153

/* ---- input ---- */

static bool two_digits(const char *at, int32_t *out)
{
    unsigned high = (unsigned)(at[0] - '0'), low = (unsigned)(at[1] - '0');
    *out = (int32_t)(high * 10 + low);
    return high <= 9 && low <= 9;
}

/* yyyy-mm-dd[(blank|T)hh:mm:ss[.ffffff]] and nothing else, all fields in range. *consumed is what it took;
 * the caller decides about the rest. */
static bool parse_iso(const char *text, size_t len, struct civil_time *out, size_t *consumed)
{
    int32_t century, year;
    *out = (struct civil_time){0};
    if (len < 10 || text[4] != '-' || text[7] != '-' || !two_digits(text, &century) ||
        !two_digits(text + 2, &year) || !two_digits(text + 5, &out->month) ||
        !two_digits(text + 8, &out->day))
        return false;
    out->year = century * 100 + year;
    if (out->year == 0 || out->month < 1 || out->month > 12 || out->day < 1 ||
        out->day > days_of_month(out->year, out->month))
        return false;
    *consumed = 10;
    if (len == 10)
        return true;
    if (len < 19 || (text[10] != ' ' && text[10] != 'T') || text[13] != ':' || text[16] != ':' ||
        !two_digits(text + 11, &out->hour) || !two_digits(text + 14, &out->minute) ||
        !two_digits(text + 17, &out->second) || out->hour > 23 || out->minute > 59 || out->second > 59)
        return false;
    size_t at = 19;
    if (at < len && text[at] == '.') {
        int32_t scale = 100000;
        size_t start = ++at;
        for (; at < len && text[at] >= '0' && text[at] <= '9'; at++) {
            if (scale == 0)
                return false; /* a seventh digit rounds */
            out->us += (text[at] - '0') * scale;
            scale /= 10;
        }
        if (at == start)
            return false;
    }
    *consumed = at;
    return true;
}

/* Z, +hh, +hhmm or +hh:mm at the very end. */
static bool parse_iso_offset(const char *text, size_t len, int32_t *east)
{
    int32_t hours, minutes = 0;
    if (len == 1 && text[0] == 'Z') {
        *east = 0;
        return true;
    }
    if (len < 3 || (text[0] != '+' && text[0] != '-') || !two_digits(text + 1, &hours) || hours > 15)
        return false;
    if (len == 6) {
        if (text[3] != ':' || !two_digits(text + 4, &minutes))
            return false;
    } else if (len == 5) {
        if (!two_digits(text + 3, &minutes))
            return false;
    } else if (len != 3) {
        return false;
    }
    if (minutes > 59)
        return false;
    *east = (hours * 60 + minutes) * 60;
    if (text[0] == '-')
        *east = -*east;
    return true;
}

static bool parse_any(const char *text, size_t len, const struct io_env *env, bool time_only,
                      const char *type_name, struct datetime_value *value, struct error *err)
{
    struct tokens tokens;
    enum datetime_fault fault = tokens_split(text, len, INPUT_BYTES_MAX, &tokens);
    if (fault == FAULT_NONE)
        fault = datetime_decode(&tokens, env, time_only, value);
    return fault == FAULT_NONE || datetime_fault_error(fault, text, len, type_name, value->zone_name, err);
}

static bool result_out_of_range(const char *what, const char *text, size_t len, struct error *err)
{
    return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "%s out of range: \"%.*s\"", what, (int)len, text);
}

bool date_input(const char *text, size_t len, const struct io_env *env, int32_t *out, struct error *err)
{
    struct datetime_value value;
    size_t consumed;
    if (parse_iso(text, len, &value.civil, &consumed) && len == 10) {
        *out = days_from_civil(value.civil.year, value.civil.month, value.civil.day);
        return true;
    }
    if (!parse_any(text, len, env, false, "date", &value, err))
        return false;
    switch (value.kind) {
    case DATETIME_EPOCH:
        *out = UNIX_EPOCH_DAYS;
        return true;
    case DATETIME_INFINITY:
        *out = DATE_PLUS_INFINITY;
        return true;
    case DATETIME_MINUS_INFINITY:
        *out = DATE_MINUS_INFINITY;
        return true;
    case DATETIME_MOMENT:
        break;
    }
    if (!civil_date_valid(value.civil.year, value.civil.month))
        return result_out_of_range("date", text, len, err);
    *out = days_from_civil(value.civil.year, value.civil.month, value.civil.day);
    return date_valid(*out) || result_out_of_range("date", text, len, err);
}

bool time_input(const char *text, size_t len, int32_t typmod, const struct io_env *env, int64_t *out,
                struct error *err)
{
    struct datetime_value value;
    if (!parse_any(text, len, env, true, "time", &value, err))
        return false;
    const struct civil_time *civil = &value.civil;
    *out = time_round(((civil->hour * 60LL + civil->minute) * 60 + civil->second) * US_PER_SECOND + civil->us,
                      typmod);
    return true;
}

/* *has_zone tells whether *east was given. Infinities and the epoch come back with has_zone and east 0. */
static bool timestamp_read(const char *text, size_t len, const struct io_env *env, const char *type_name,
                           int64_t *local, bool *has_zone, int32_t *east, struct error *err)
{
    struct datetime_value value;
    size_t consumed;
    *has_zone = false;
    *east = 0;
    if (LIKELY(parse_iso(text, len, &value.civil, &consumed))) {
        bool whole = consumed == len;
        if (!whole)
            whole = *has_zone = parse_iso_offset(text + consumed, len - consumed, east);
        if (whole)
            return timestamp_from_civil(&value.civil, local, err) ||
                   result_out_of_range("timestamp", text, len, err);
    }
    if (!parse_any(text, len, env, false, type_name, &value, err))
        return false;
    *has_zone = true;
    *east = 0;
    switch (value.kind) {
    case DATETIME_EPOCH:
        *local = UNIX_EPOCH_US;
        return true;
    case DATETIME_INFINITY:
        *local = TIMESTAMP_PLUS_INFINITY;
        return true;
    case DATETIME_MINUS_INFINITY:
        *local = TIMESTAMP_MINUS_INFINITY;
        return true;
    case DATETIME_MOMENT:
        break;
    }
    *has_zone = value.has_zone;
    *east = value.zone_seconds;
    return timestamp_from_civil(&value.civil, local, NULL) ||
           result_out_of_range("timestamp", text, len, err);
}

bool timestamp_input(const char *text, size_t len, int32_t typmod, const struct io_env *env, int64_t *out,
                     struct error *err)
{
    bool has_zone;
    int32_t east;
    int64_t local;
    return timestamp_read(text, len, env, "timestamp", &local, &has_zone, &east, err) &&
           timestamp_round(local, typmod, out, err);
}

bool timestamptz_input(const char *text, size_t len, int32_t typmod, const struct io_env *env, int64_t *out,
                       struct error *err)
{
    bool has_zone;
    int32_t east;
    int64_t local, instant;
    if (!timestamp_read(text, len, env, "timestamp with time zone", &local, &has_zone, &east, err))
        return false;
    if (timestamp_infinite(local)) {
        *out = local;
        return true;
    }
    if (!has_zone) {
        struct zone *zone = zone_find(env->timezone, strlen(env->timezone), ZONE_NAME_FIRST);
        east = zone != NULL ? zone_offset_of_local(zone, local) : 0;
    }
    if (__builtin_sub_overflow(local, east * US_PER_SECOND, &instant) || !timestamp_valid(instant))
        return result_out_of_range("timestamp", text, len, err);
    return timestamp_round(instant, typmod, out, err);
}

/* ---- rounding ---- */

int64_t time_round(int64_t us, int32_t typmod)
{
    static const int64_t units[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    if (typmod < 0 || typmod >= 6)
        return us;
    int64_t unit = units[typmod], rest = us % unit;
    if (rest >= 0)
        return rest * 2 >= unit ? us - rest + unit : us - rest;
    return -rest * 2 >= unit ? us - rest - unit : us - rest;
}

bool timestamp_round(int64_t value, int32_t typmod, int64_t *out, struct error *err)
{
    *out = value;
    if (typmod < 0 || typmod >= 6 || timestamp_infinite(value))
        return true;
    *out = time_round(value, typmod);
    return timestamp_valid(*out) || error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
}

/* ---- output ---- */

static char *put_two(char *to, int32_t value)
{
    to[0] = (char)('0' + value / 10);
    to[1] = (char)('0' + value % 10);
    return to + 2;
}

static char *put_date(char *to, int32_t year, int32_t month, int32_t day)
{
    int32_t shown = year > 0 ? year : 1 - year;
    if (shown > 9999) {
        char digits[12];
        int count = 0;
        for (; shown > 0; shown /= 10)
            digits[count++] = (char)('0' + shown % 10);
        while (count > 0)
            *to++ = digits[--count];
    } else {
        to = put_two(put_two(to, shown / 100), shown % 100);
    }
    *to++ = '-';
    to = put_two(to, month);
    *to++ = '-';
    return put_two(to, day);
}

static char *put_clock(char *to, int32_t hour, int32_t minute, int32_t second, int32_t us)
{
    to = put_two(to, hour);
    *to++ = ':';
    to = put_two(to, minute);
    *to++ = ':';
    to = put_two(to, second);
    if (us != 0) {
        *to++ = '.';
        for (int32_t unit = 100000; us != 0; unit /= 10) {
            *to++ = (char)('0' + us / unit);
            us %= unit;
        }
    }
    return to;
}

static char *put_offset(char *to, int32_t east)
{
    int32_t magnitude = east < 0 ? -east : east;
    *to++ = east < 0 ? '-' : '+';
    to = put_two(to, magnitude / 3600);
    if (magnitude % 3600 != 0) {
        *to++ = ':';
        to = put_two(to, magnitude / 60 % 60);
        if (magnitude % 60 != 0) {
            *to++ = ':';
            to = put_two(to, magnitude % 60);
        }
    }
    return to;
}

static char *put_text(char *to, const char *text)
{
    size_t len = strlen(text);
    memcpy(to, text, len);
    return to + len;
}

#define OUTPUT_BYTES_MAX 64

static char *output_begin(struct strbuf *out)
{
    strbuf_reserve(out, OUTPUT_BYTES_MAX);
    return out->data + out->len;
}

static void output_end(struct strbuf *out, char *to)
{
    *to = '\0';
    out->len = (size_t)(to - out->data);
}

void date_output(int32_t value, const struct io_env *env, struct strbuf *out)
{
    if (date_infinite(value)) {
        strbuf_adds(out, value == DATE_PLUS_INFINITY ? "infinity" : "-infinity");
        return;
    }
    int32_t year, month, day;
    civil_from_days(value, &year, &month, &day);
    char *to = put_date(output_begin(out), year, month, day);
    if (year <= 0)
        to = put_text(to, " BC");
    output_end(out, to);
}

void time_output(int64_t value, const struct io_env *env, struct strbuf *out)
{
    struct civil_time clock;
    civil_time_of_day(value, &clock);
    output_end(out, put_clock(output_begin(out), clock.hour, clock.minute, clock.second, clock.us));
}

/* Local time, with the offset when has_zone. */
static void moment_output(int64_t local, bool has_zone, int32_t east, struct strbuf *out)
{
    if (timestamp_infinite(local)) {
        strbuf_adds(out, local == TIMESTAMP_PLUS_INFINITY ? "infinity" : "-infinity");
        return;
    }
    int64_t days, us;
    int32_t year, month, day;
    struct civil_time clock;
    timestamp_split(local, &days, &us);
    civil_from_days((int32_t)days, &year, &month, &day);
    civil_time_of_day(us, &clock);
    char *to = put_date(output_begin(out), year, month, day);
    *to++ = ' ';
    to = put_clock(to, clock.hour, clock.minute, clock.second, clock.us);
    if (has_zone)
        to = put_offset(to, east);
    if (year <= 0)
        to = put_text(to, " BC");
    output_end(out, to);
}

void timestamp_output(int64_t value, const struct io_env *env, struct strbuf *out)
{
    moment_output(value, false, 0, out);
}

void timestamptz_output(int64_t value, const struct io_env *env, struct strbuf *out)
{
    if (timestamp_infinite(value)) {
        moment_output(value, false, 0, out);
        return;
    }
    struct zone *zone = zone_find(env->timezone, strlen(env->timezone), ZONE_NAME_FIRST);
    int32_t east = zone != NULL ? zone_offset_at(zone, value) : 0;
    int64_t local;
    if (__builtin_add_overflow(value, east * US_PER_SECOND, &local)) {
        local = value;
        east = 0;
    }
    moment_output(local, true, east, out);
}
