/* tzif.c: reads compiled zone files and POSIX TZ strings.
 *
 * A file holds the past as a list of transitions; behind its last one a POSIX string tells how summer time
 * goes on for ever. Of the file's blocks only the one with 64-bit times is read. Everything in it is checked:
 * a damaged file is no zone, never a crash. */
#include "storage/data/tzif.h"

#include "storage/base/arena.h"
#include "storage/data/datetime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ZONE_DIRECTORY    "/usr/share/zoneinfo/"
#define FILE_BYTES_MAX    (256 * 1024)
#define NAME_BYTES_MAX    64
#define HEADER_BYTES      44
#define ABBREVIATION_MAX  16
#define SECONDS_PER_DAY   86400
#define UNIX_DAYS_TO_2000 10957

/* When summer time begins or ends within a year. */
struct change {
    char kind;                /* 'M' month.week.weekday, 'J' day 1..365 without 29 February, 'D' day 0..365 */
    int32_t month, week, day; /* day: of the week for 'M' */
    int32_t time;             /* local seconds, -167 h .. 167 h */
};

struct posix {
    bool is_set, has_dst;
    int32_t standard_east, dst_east;
    char standard_name[ABBREVIATION_MAX], dst_name[ABBREVIATION_MAX];
    struct change start, end;
};

struct local_type {
    int32_t east;
    bool is_dst;
    const char *name;
};

struct tz_rules {
    uint32_t count; /* transitions */
    int64_t *times;
    uint8_t *types; /* type from times[i] on */
    uint32_t types_count;
    struct local_type *local_types;
    char *names;
    struct posix tail; /* behind the last transition */
};

void tz_rules_free(struct tz_rules *rules)
{
    if (rules == NULL)
        return;
    mem_free(rules->times);
    mem_free(rules->types);
    mem_free(rules->local_types);
    mem_free(rules->names);
    mem_free(rules);
}

/* ---- POSIX strings ---- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool read_name(const char **at, char *out)
{
    const char *start = *at, *end;
    if (*start == '<') {
        start++;
        end = strchr(start, '>');
        if (end == NULL)
            return false;
        *at = end + 1;
    } else {
        for (end = start; is_letter(*end);)
            end++;
        *at = end;
    }
    size_t len = (size_t)(end - start);
    if (len == 0 || len >= ABBREVIATION_MAX)
        return false;
    memcpy(out, start, len);
    out[len] = '\0';
    return true;
}

static bool read_number(const char **at, int32_t most, int32_t *out)
{
    if (**at < '0' || **at > '9')
        return false;
    for (*out = 0; **at >= '0' && **at <= '9'; ++*at) {
        *out = *out * 10 + (**at - '0');
        if (*out > most)
            return false;
    }
    return true;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static bool read_time(const char **at, int32_t *out)
{
    int32_t sign = 1, hours, minutes = 0, seconds = 0;
    if (**at == '+' || **at == '-')
        sign = *(*at)++ == '-' ? -1 : 1;
    if (!read_number(at, 167, &hours))
        return false;
    if (**at == ':') {
        ++*at;
        if (!read_number(at, 59, &minutes))
            return false;
        if (**at == ':') {
            ++*at;
            if (!read_number(at, 59, &seconds))
                return false;
        }
    }
    *out = sign * (hours * 3600 + minutes * 60 + seconds);
    return true;
}

static bool read_change(const char **at, struct change *out)
{
    *out = (struct change){.kind = 'D', .time = 2 * 3600};
    if (*(*at)++ != ',')
        return false;
    if (**at == 'M') {
        ++*at;
        out->kind = 'M';
        if (!read_number(at, 12, &out->month) || out->month < 1 || *(*at)++ != '.' ||
            !read_number(at, 5, &out->week) || out->week < 1 || *(*at)++ != '.' ||
            !read_number(at, 6, &out->day))
            return false;
    } else {
        if (**at == 'J') {
            ++*at;
            out->kind = 'J';
        }
        if (!read_number(at, 365, &out->day) || (out->kind == 'J' && out->day < 1))
            return false;
    }
    if (**at == '/') {
        ++*at;
        return read_time(at, &out->time);
    }
    return true;
}

static bool parse_posix(const char *text, struct posix *out)
{
    const char *at = text;
    int32_t west;
    *out = (struct posix){.is_set = true};
    if (!read_name(&at, out->standard_name) || !read_time(&at, &west))
        return false;
    out->standard_east = -west;
    if (*at == '\0')
        return true;
    out->has_dst = true;
    out->dst_east = out->standard_east + 3600;
    if (!read_name(&at, out->dst_name))
        return false;
    if (*at != ',' && *at != '\0') {
        if (!read_time(&at, &west))
            return false;
        out->dst_east = -west;
    }
    if (*at == '\0')
        at = ",M3.2.0,M11.1.0";
    return read_change(&at, &out->start) && read_change(&at, &out->end) && *at == '\0';
}

/* Local seconds since 1970 of a change in a year. */
static int64_t change_time(const struct change *change, int32_t year)
{
    int64_t day;
    if (change->kind == 'M') {
        int32_t first = days_from_civil(year, change->month, 1);
        int32_t weekday = ((first + 6) % 7 + 7) % 7; /* 2000-01-01 was a Saturday */
        int32_t next_year = change->month == 12 ? year + 1 : year, next_month = change->month % 12 + 1;
        int32_t length = days_from_civil(next_year, next_month, 1) - first;
        int32_t offset = (change->day - weekday + 7) % 7 + (change->week - 1) * 7;
        while (offset >= length) /* week 5 is the last one */
            offset -= 7;
        day = (int64_t)first + offset;
    } else {
        day = days_from_civil(year, 1, 1) + (change->kind == 'J' ? change->day - 1 : change->day);
        bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        if (change->kind == 'J' && leap && change->day > 59)
            day++;
    }
    return (day + UNIX_DAYS_TO_2000) * SECONDS_PER_DAY + change->time;
}

static struct tz_span posix_at(const struct posix *posix, int64_t seconds)
{
    struct tz_span span = {.from = INT64_MIN,
                           .to = INT64_MAX,
                           .east = posix->standard_east,
                           .abbreviation = posix->standard_name};
    if (!posix->has_dst)
        return span;
    int64_t days = seconds / SECONDS_PER_DAY - (seconds % SECONDS_PER_DAY < 0) - UNIX_DAYS_TO_2000;
    int32_t year, month, day;
    civil_from_days((int32_t)days, &year, &month, &day);
    /* the last change at or before, and the first one after, among those of three years */
    for (int32_t y = year - 1; y <= year + 1; y++) {
        const struct {
            int64_t at;
            bool to_dst;
        } changes[] = {{change_time(&posix->start, y) - posix->standard_east, true},
                       {change_time(&posix->end, y) - posix->dst_east, false}};
        for (int i = 0; i < 2; i++) {
            int64_t at = changes[i].at;
            if (at <= seconds && at >= span.from) {
                span.from = at;
                span.is_dst = changes[i].to_dst;
            } else if (at > seconds && at < span.to) {
                span.to = at;
            }
        }
    }
    if (span.is_dst) {
        span.east = posix->dst_east;
        span.abbreviation = posix->dst_name;
    }
    return span;
}

struct tz_rules *tz_rules_from_posix(const char *text)
{
    struct posix posix;
    if (!parse_posix(text, &posix) || !posix.has_dst)
        return NULL;
    struct tz_rules *rules = mem_zalloc(sizeof(*rules));
    rules->tail = posix;
    return rules;
}

/* ---- files ---- */

static uint32_t read_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int64_t read_i64(const uint8_t *at)
{
    return (int64_t)((uint64_t)read_u32(at) << 32 | read_u32(at + 4));
}

struct header {
    uint32_t is_ut, is_standard, leaps, times, types, chars;
};

static bool read_header(const uint8_t *at, size_t len, struct header *out)
{
    if (len < HEADER_BYTES || memcmp(at, "TZif", 4) != 0)
        return false;
    out->is_ut = read_u32(at + 20);
    out->is_standard = read_u32(at + 24);
    out->leaps = read_u32(at + 28);
    out->times = read_u32(at + 32);
    out->types = read_u32(at + 36);
    out->chars = read_u32(at + 40);
    return out->is_ut < 65536 && out->is_standard < 65536 && out->leaps < 65536 && out->times < 65536 &&
           out->types >= 1 && out->types <= 256 && out->chars >= 1 && out->chars < 65536;
}

static size_t block_bytes(const struct header *h, size_t time_bytes)
{
    return h->times * time_bytes + h->times + h->types * 6 + h->chars + h->leaps * (time_bytes + 4) +
           h->is_standard + h->is_ut;
}

/* Reads the block with 64-bit times into the rules. */
static bool read_block(struct tz_rules *rules, const uint8_t *at, const struct header *h)
{
    const uint8_t *times = at, *types = times + h->times * 8, *locals = types + h->times,
                  *names = locals + h->types * 6;
    rules->count = h->times;
    rules->types_count = h->types;
    rules->times = mem_alloc(h->times * sizeof(int64_t) + 1);
    rules->types = mem_alloc(h->times + 1);
    rules->local_types = mem_zalloc(h->types * sizeof(struct local_type));
    rules->names = mem_zalloc(h->chars + 1);
    memcpy(rules->names, names, h->chars);
    for (uint32_t i = 0; i < h->types; i++) {
        struct local_type *type = &rules->local_types[i];
        type->east = (int32_t)read_u32(locals + i * 6);
        type->is_dst = locals[i * 6 + 4] != 0;
        if (locals[i * 6 + 5] >= h->chars || type->east <= -SECONDS_PER_DAY || type->east >= SECONDS_PER_DAY)
            return false;
        type->name = rules->names + locals[i * 6 + 5];
    }
    for (uint32_t i = 0; i < h->times; i++) {
        rules->times[i] = read_i64(times + i * 8);
        rules->types[i] = types[i];
        if (types[i] >= h->types || (i > 0 && rules->times[i] <= rules->times[i - 1]))
            return false;
    }
    return true;
}

static bool parse_file(struct tz_rules *rules, const uint8_t *bytes, size_t len)
{
    struct header h;
    if (!read_header(bytes, len, &h) || bytes[4] < '2')
        return false; /* version 1 has no 64-bit block */
    size_t first = HEADER_BYTES + block_bytes(&h, 4);
    if (first > len || !read_header(bytes + first, len - first, &h))
        return false;
    size_t body = first + HEADER_BYTES, size = block_bytes(&h, 8);
    if (body > len || size > len - body || !read_block(rules, bytes + body, &h))
        return false;
    /* the footer: newline, POSIX string, newline; it may be empty */
    size_t at = body + size;
    if (at < len && bytes[at] == '\n') {
        const uint8_t *end = memchr(bytes + at + 1, '\n', len - at - 1);
        char text[128];
        if (end != NULL && (size_t)(end - bytes) - at - 1 < sizeof(text)) {
            size_t text_len = (size_t)(end - bytes) - at - 1;
            memcpy(text, bytes + at + 1, text_len);
            text[text_len] = '\0';
            if (text_len > 0 && !parse_posix(text, &rules->tail))
                return false;
        }
    }
    return true;
}

/* Names lead nowhere but into the zone directory. */
static bool name_is_safe(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len >= NAME_BYTES_MAX || name[0] == '/' || strstr(name, "..") != NULL)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        if (!is_letter(c) && !(c >= '0' && c <= '9') && strchr("/_+-", c) == NULL)
            return false;
    }
    return true;
}

struct tz_rules *tz_rules_load(const char *name)
{
    char path[sizeof(ZONE_DIRECTORY) + NAME_BYTES_MAX];
    if (!name_is_safe(name))
        return NULL;
    snprintf(path, sizeof(path), "%s%s", ZONE_DIRECTORY, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    uint8_t *bytes = mem_alloc(FILE_BYTES_MAX);
    size_t len = fread(bytes, 1, FILE_BYTES_MAX, file);
    bool whole = len < FILE_BYTES_MAX && ferror(file) == 0;
    fclose(file);
    struct tz_rules *rules = mem_zalloc(sizeof(*rules));
    if (!whole || !parse_file(rules, bytes, len)) {
        tz_rules_free(rules);
        rules = NULL;
    }
    mem_free(bytes);
    return rules;
}

struct tz_span tz_rules_at(const struct tz_rules *rules, int64_t seconds)
{
    uint32_t low = 0, high = rules->count;
    while (low < high) { /* the first transition later than the moment */
        uint32_t middle = (low + high) / 2;
        if (rules->times[middle] <= seconds)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == rules->count && rules->tail.is_set) {
        struct tz_span span = posix_at(&rules->tail, seconds);
        if (low > 0 && span.from < rules->times[low - 1])
            span.from = rules->times[low - 1];
        return span;
    }
    const struct local_type *type = &rules->local_types[low > 0 ? rules->types[low - 1] : 0];
    return (struct tz_span){.from = low > 0 ? rules->times[low - 1] : INT64_MIN,
                            .to = low < rules->count ? rules->times[low] : INT64_MAX,
                            .east = type->east,
                            .is_dst = type->is_dst,
                            .abbreviation = type->name};
}
