/* timezone.c: zones, cached per thread as spans of constant offset.
 *
 * Rules come from the system's zone files (tzif.c), from ICU where there are none. Either tells the offset at
 * an instant and the transitions around it; each answer is kept as a span [from, to), spans sorted by time,
 * the last one used tried first. A column of near-by timestamps thus costs two comparisons per row. */
#include "storage/data/timezone.h"

#include "storage/base/arena.h"
#include "storage/data/datetime.h"
#include "storage/data/tzif.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unicode/ucal.h>
#include <unicode/uenum.h>
#include <unicode/ustring.h>

#define ZONE_NAME_MAX    64
#define SPANS_MAX        512            /* of one zone in one thread; all are forgotten when it is reached */
#define EPOCH_UNIX_MS    946684800000LL /* 2000-01-01 in ICU's clock */
#define OFFSET_HOURS_MAX 167

struct span {
    int64_t from, to; /* microseconds; INT64_MIN and INT64_MAX when open */
    int32_t offset;
    const char *abbreviation; /* NULL: ask ICU */
};

struct zone {
    char name[ZONE_NAME_MAX]; /* as asked for */
    enum zone_lookup how;
    char id[ZONE_NAME_MAX]; /* canonical spelling; empty for a fixed zone */
    struct tz_rules *rules; /* one of the two, neither for a fixed zone */
    UCalendar *calendar;
    int32_t fixed_offset;
    uint32_t spans_count, spans_cap, last_span;
    struct span *spans;
};

struct zone_cache {
    struct zone *zones[ZONES_CACHED];
    uint32_t count, next; /* next: which to replace when full */
    struct zone *last;
};

static const struct abbreviation {
    const char *word;
    int32_t seconds;
    bool is_dst;
} abbreviations[] = {
    {"acdt", 37800, true},   {"acsst", 37800, true},  {"acst", 34200, false},  {"act", -18000, false},
    {"acwst", 31500, false}, {"adt", -10800, true},   {"aedt", 39600, true},   {"aesst", 39600, true},
    {"aest", 36000, false},  {"aft", 16200, false},   {"akdt", -28800, true},  {"akst", -32400, false},
    {"almst", 25200, true},  {"almt", 21600, false},  {"amst", 14400, false},  {"amt", -14400, false},
    {"anast", 43200, false}, {"anat", 43200, false},  {"arst", -10800, false}, {"art", -10800, false},
    {"ast", -14400, false},  {"awsst", 32400, true},  {"awst", 28800, false},  {"azost", 0, true},
    {"azot", -3600, false},  {"azst", 14400, false},  {"azt", 14400, false},   {"bdst", 7200, true},
    {"bdt", 21600, false},   {"bnt", 28800, false},   {"bort", 28800, false},  {"bot", -14400, false},
    {"bra", -10800, false},  {"brst", -7200, true},   {"brt", -10800, false},  {"bst", 3600, true},
    {"btt", 21600, false},   {"cadt", 37800, true},   {"cast", 34200, false},  {"cct", 28800, false},
    {"cdt", -18000, true},   {"cest", 7200, true},    {"cet", 3600, false},    {"cetdst", 7200, true},
    {"chadt", 49500, true},  {"chast", 45900, false}, {"chut", 36000, false},  {"ckt", -36000, false},
    {"clst", -10800, true},  {"clt", -10800, true},   {"cot", -18000, false},  {"cst", -21600, false},
    {"cxt", 25200, false},   {"davt", 25200, false},  {"ddut", 36000, false},  {"easst", -18000, true},
    {"east", -18000, true},  {"eat", 10800, false},   {"edt", -14400, true},   {"eest", 10800, true},
    {"eet", 7200, false},    {"eetdst", 10800, true}, {"egst", 0, true},       {"egt", -3600, false},
    {"est", -18000, false},  {"fet", 10800, false},   {"fjst", 46800, true},   {"fjt", 43200, false},
    {"fkst", -10800, false}, {"fkt", -10800, false},  {"fnst", -3600, true},   {"fnt", -7200, false},
    {"galt", -21600, false}, {"gamt", -32400, false}, {"gest", 14400, false},  {"get", 14400, false},
    {"gft", -10800, false},  {"gilt", 43200, false},  {"gmt", 0, false},       {"gyt", -14400, false},
    {"hkt", 28800, false},   {"hst", -36000, false},  {"ict", 25200, false},   {"idt", 10800, true},
    {"iot", 21600, false},   {"irkst", 28800, false}, {"irkt", 28800, false},  {"irt", 12600, false},
    {"ist", 7200, false},    {"jayt", 32400, false},  {"jst", 32400, false},   {"kdt", 36000, true},
    {"kgst", 21600, true},   {"kgt", 21600, false},   {"kost", 39600, false},  {"krast", 25200, false},
    {"krat", 25200, false},  {"kst", 32400, false},   {"lhdt", 39600, true},   {"lhst", 37800, false},
    {"ligt", 36000, false},  {"lint", 50400, false},  {"lkt", 19800, false},   {"magst", 39600, false},
    {"magt", 39600, false},  {"mart", -34200, false}, {"mawt", 18000, false},  {"mdt", -21600, true},
    {"mest", 7200, true},    {"mesz", 7200, true},    {"met", 3600, false},    {"metdst", 7200, true},
    {"mez", 3600, false},    {"mht", 43200, false},   {"mmt", 23400, false},   {"mpt", 36000, false},
    {"msd", 14400, true},    {"msk", 10800, false},   {"mst", -25200, false},  {"must", 18000, true},
    {"mut", 14400, false},   {"mvt", 18000, false},   {"myt", 28800, false},   {"ndt", -9000, true},
    {"nft", -12600, false},  {"novst", 25200, false}, {"novt", 25200, false},  {"npt", 20700, false},
    {"nst", -12600, false},  {"nut", -39600, false},  {"nzdt", 46800, true},   {"nzst", 43200, false},
    {"nzt", 43200, false},   {"omsst", 21600, false}, {"omst", 21600, false},  {"pdt", -25200, true},
    {"pet", -18000, false},  {"petst", 43200, false}, {"pett", 43200, false},  {"pgt", 36000, false},
    {"pht", 28800, false},   {"pkst", 21600, true},   {"pkt", 18000, false},   {"pmdt", -7200, true},
    {"pmst", -10800, false}, {"pont", 39600, false},  {"pst", -28800, false},  {"pwt", 32400, false},
    {"pyst", -10800, true},  {"pyt", -10800, false},  {"ret", 14400, false},   {"sadt", 37800, true},
    {"sast", 7200, false},   {"sct", 14400, false},   {"sgt", 28800, false},   {"taht", -36000, false},
    {"tft", 18000, false},   {"tjt", 18000, false},   {"tkt", 46800, false},   {"tmt", 18000, false},
    {"tot", 46800, false},   {"trut", 36000, false},  {"tvt", 43200, false},   {"uct", 0, false},
    {"ulast", 32400, true},  {"ulat", 28800, false},  {"ut", 0, false},        {"utc", 0, false},
    {"uyst", -7200, true},   {"uyt", -10800, false},  {"uzst", 21600, true},   {"uzt", 18000, false},
    {"vet", -14400, false},  {"vlast", 36000, false}, {"vlat", 36000, false},  {"volt", 10800, false},
    {"vut", 39600, false},   {"wadt", 28800, true},   {"wakt", 43200, false},  {"wast", 25200, false},
    {"wat", 3600, false},    {"wdt", 32400, true},    {"wet", 0, false},       {"wetdst", 3600, true},
    {"wft", 43200, false},   {"wgst", -7200, true},   {"wgt", -10800, false},  {"xjt", 21600, false},
    {"yakst", 32400, false}, {"yakt", 32400, false},  {"yapt", 36000, false},  {"yekst", 21600, true},
    {"yekt", 18000, false},  {"z", 0, false},         {"zulu", 0, false},
};

/* ---- the cache of a thread ---- */

static pthread_once_t cache_once = PTHREAD_ONCE_INIT;
static pthread_key_t cache_key;

static void zone_destroy(struct zone *zone)
{
    if (zone == NULL)
        return;
    if (zone->calendar != NULL)
        ucal_close(zone->calendar);
    tz_rules_free(zone->rules);
    mem_free(zone->spans);
    mem_free(zone);
}

static void cache_destroy(void *data)
{
    struct zone_cache *cache = data;
    for (uint32_t i = 0; i < cache->count; i++)
        zone_destroy(cache->zones[i]);
    mem_free(cache);
}

/* Threads that end free their cache by the key; the main thread's goes with the process. */
static void cache_create_key(void)
{
    CHECK(pthread_key_create(&cache_key, cache_destroy) == 0);
}

static _Thread_local struct zone_cache *thread_cache;

static struct zone_cache *cache_get(void)
{
    if (UNLIKELY(thread_cache == NULL)) {
        pthread_once(&cache_once, cache_create_key);
        thread_cache = mem_zalloc(sizeof(*thread_cache));
        pthread_setspecific(cache_key, thread_cache);
    }
    return thread_cache;
}

/* ---- finding a zone ---- */

bool timezone_abbreviation(const char *word, size_t len, int32_t *seconds, bool *is_dst)
{
    size_t low = 0, high = ARRAY_COUNT(abbreviations);
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strncasecmp(word, abbreviations[middle].word, len);
        if (order == 0 && abbreviations[middle].word[len] != '\0')
            order = -1;
        if (order == 0) {
            *seconds = abbreviations[middle].seconds;
            *is_dst = abbreviations[middle].is_dst;
            return true;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

/* Names that only ICU knows, left from Java's early days: PostgreSQL has no such zones. */
static bool is_icu_only(const char *id)
{
    static const char *const names[] = {"ACT", "AET", "AGT", "ART", "AST", "BET", "BST", "CAT", "CNT",
                                        "CST", "CTT", "EAT", "ECT", "IET", "IST", "JST", "MIT", "NET",
                                        "NST", "PLT", "PNT", "PRT", "PST", "SST", "VST"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(id, names[i]) == 0)
            return true;
    }
    return strncmp(id, "SystemV/", 8) == 0 || strcmp(id, "Etc/Unknown") == 0;
}

/* The spelling of a zone name that ICU knows, whatever its case. */
static bool find_id(const char *name, char *id)
{
    UErrorCode status = U_ZERO_ERROR;
    UEnumeration *all = ucal_openTimeZones(&status);
    bool found = false;
    const char *candidate;
    int32_t len;
    while (U_SUCCESS(status) && !found && (candidate = uenum_next(all, &len, &status)) != NULL) {
        if (strcasecmp(candidate, name) == 0 && len < ZONE_NAME_MAX && !is_icu_only(candidate)) {
            memcpy(id, candidate, (size_t)len + 1);
            found = true;
        }
    }
    uenum_close(all);
    return found;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A number of at most three digits; false when there is none. */
static bool read_small(const char **at, int32_t *out)
{
    const char *start = *at;
    *out = 0;
    while (is_digit(**at) && *at - start < 3)
        *out = *out * 10 + (*(*at)++ - '0');
    return *at > start && !is_digit(**at);
}

/* POSIX form without summer time: letters or <...>, then [+-]hours[:minutes[:seconds]], counted to the west.
 */
static bool parse_posix(const char *name, int32_t *east)
{
    const char *at = name;
    if (*at == '<') {
        while (*at != '\0' && *at != '>')
            at++;
        if (*at++ != '>')
            return false;
    } else {
        while ((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z'))
            at++;
    }
    int sign = -1;
    if (*at == '+' || *at == '-')
        sign = *at++ == '-' ? 1 : -1;
    int32_t hours, minutes = 0, seconds = 0;
    if (!read_small(&at, &hours) || hours > OFFSET_HOURS_MAX)
        return false;
    if (*at == ':') {
        at++;
        if (!read_small(&at, &minutes) || minutes > 59)
            return false;
        if (*at == ':') {
            at++;
            if (!read_small(&at, &seconds) || seconds > 60)
                return false;
        }
    }
    *east = sign * (hours * 3600 + minutes * 60 + seconds);
    return *at == '\0';
}

static bool open_calendar(struct zone *zone)
{
    UChar id[ZONE_NAME_MAX];
    UErrorCode status = U_ZERO_ERROR;
    u_uastrcpy(id, zone->id);
    zone->calendar = ucal_open(id, -1, "en_US", UCAL_GREGORIAN, &status);
    return U_SUCCESS(status) && zone->calendar != NULL;
}

static struct zone *zone_create(const char *name, enum zone_lookup how)
{
    struct zone *zone = mem_zalloc(sizeof(*zone));
    snprintf(zone->name, sizeof(zone->name), "%s", name);
    zone->how = how;
    bool is_dst;
    if (strcasecmp(name, "utc") == 0 || strcasecmp(name, "gmt") == 0 || strcasecmp(name, "etc/utc") == 0)
        return zone;
    if (how == ZONE_ABBREVIATION_FIRST &&
        timezone_abbreviation(name, strlen(name), &zone->fixed_offset, &is_dst))
        return zone;
    const char *plain = strncasecmp(name, "posix/", 6) == 0 ? name + 6 : name;
    zone->rules = tz_rules_load(plain);
    if (zone->rules == NULL && find_id(plain, zone->id)) {
        zone->rules = tz_rules_load(zone->id);
        if (zone->rules == NULL && open_calendar(zone))
            return zone;
    }
    if (zone->rules != NULL)
        return zone;
    zone->id[0] = '\0';
    if (parse_posix(name, &zone->fixed_offset))
        return zone;
    zone->rules = tz_rules_from_posix(name);
    if (zone->rules != NULL)
        return zone;
    if (how == ZONE_NAME_FIRST && timezone_abbreviation(name, strlen(name), &zone->fixed_offset, &is_dst))
        return zone;
    zone_destroy(zone);
    return NULL;
}

struct zone *zone_find(const char *name, size_t len, enum zone_lookup how)
{
    struct zone_cache *cache = cache_get();
    struct zone *last = cache->last;
    if (LIKELY(last != NULL && last->how == how && len < ZONE_NAME_MAX &&
               memcmp(last->name, name, len) == 0 && last->name[len] == '\0'))
        return last;
    if (len == 0 || len >= ZONE_NAME_MAX || memchr(name, '\0', len) != NULL)
        return NULL;
    for (uint32_t i = 0; i < cache->count; i++) {
        struct zone *zone = cache->zones[i];
        if (zone->how == how && memcmp(zone->name, name, len) == 0 && zone->name[len] == '\0')
            return cache->last = zone;
    }
    char text[ZONE_NAME_MAX];
    memcpy(text, name, len);
    text[len] = '\0';
    struct zone *zone = zone_create(text, how);
    if (zone == NULL)
        return NULL;
    if (cache->count < ZONES_CACHED) {
        cache->zones[cache->count++] = zone;
    } else {
        zone_destroy(cache->zones[cache->next]);
        cache->zones[cache->next] = zone;
        cache->next = (cache->next + 1) % ZONES_CACHED;
    }
    return cache->last = zone;
}

bool zone_is_fixed(const struct zone *zone)
{
    return zone->calendar == NULL && zone->rules == NULL;
}

/* ---- spans ---- */

static UDate to_icu(int64_t us)
{
    int64_t ms = us / 1000 - (us % 1000 < 0);
    return (UDate)(ms + EPOCH_UNIX_MS);
}

/* Transitions of rules that never end may lie behind the last timestamp. */
static int64_t from_icu(UDate date)
{
    double us = (date - (double)EPOCH_UNIX_MS) * 1000;
    if (us >= 9.2e18)
        return INT64_MAX;
    if (us <= -9.2e18)
        return INT64_MIN;
    return ((int64_t)date - EPOCH_UNIX_MS) * 1000;
}

/* Unix seconds to microseconds since 2000, as far as they go. */
static int64_t from_unix(int64_t seconds)
{
    int64_t us;
    if (__builtin_mul_overflow(seconds - EPOCH_UNIX_MS / 1000, US_PER_SECOND, &us) || seconds == INT64_MIN)
        return seconds < 0 ? INT64_MIN : INT64_MAX;
    return us;
}

/* Asks the rules for the span around an instant. */
static struct span span_query(struct zone *zone, int64_t us)
{
    if (zone->rules != NULL) {
        int64_t seconds = us / US_PER_SECOND - (us % US_PER_SECOND < 0) + EPOCH_UNIX_MS / 1000;
        struct tz_span found = tz_rules_at(zone->rules, seconds);
        return (struct span){.from = found.from == INT64_MIN ? INT64_MIN : from_unix(found.from),
                             .to = from_unix(found.to),
                             .offset = found.east,
                             .abbreviation = found.abbreviation};
    }
    struct span span = {.from = INT64_MIN, .to = INT64_MAX};
    UErrorCode status = U_ZERO_ERROR;
    ucal_setMillis(zone->calendar, to_icu(us), &status);
    span.offset = (ucal_get(zone->calendar, UCAL_ZONE_OFFSET, &status) +
                   ucal_get(zone->calendar, UCAL_DST_OFFSET, &status)) /
                  1000;
    UDate transition;
    if (ucal_getTimeZoneTransitionDate(zone->calendar, UCAL_TZ_TRANSITION_PREVIOUS_INCLUSIVE, &transition,
                                       &status))
        span.from = from_icu(transition);
    if (ucal_getTimeZoneTransitionDate(zone->calendar, UCAL_TZ_TRANSITION_NEXT, &transition, &status))
        span.to = from_icu(transition);
    CHECK(U_SUCCESS(status));
    return span;
}

static const struct span *span_at(struct zone *zone, int64_t us)
{
    if (LIKELY(zone->last_span < zone->spans_count)) {
        const struct span *span = &zone->spans[zone->last_span];
        if (LIKELY(us >= span->from && us < span->to))
            return span;
    }
    uint32_t low = 0, high = zone->spans_count;
    while (low < high) { /* the first span that ends behind us */
        uint32_t middle = (low + high) / 2;
        if (zone->spans[middle].to <= us)
            low = middle + 1;
        else
            high = middle;
    }
    zone->last_span = low;
    if (low < zone->spans_count && zone->spans[low].from <= us)
        return &zone->spans[low];

    struct span span = span_query(zone, us);
    if (zone->spans_count == SPANS_MAX)
        zone->spans_count = zone->last_span = low = 0;
    if (zone->spans_count == zone->spans_cap) {
        zone->spans_cap = zone->spans_cap == 0 ? 16 : zone->spans_cap * 2;
        zone->spans = mem_realloc(zone->spans, zone->spans_cap * sizeof(span));
    }
    memmove(zone->spans + low + 1, zone->spans + low, (zone->spans_count - low) * sizeof(span));
    zone->spans[low] = span;
    zone->spans_count++;
    return &zone->spans[low];
}

int32_t zone_offset_at(struct zone *zone, int64_t instant_us)
{
    return zone_is_fixed(zone) ? zone->fixed_offset : span_at(zone, instant_us)->offset;
}

int64_t zone_offset_until(struct zone *zone, int64_t instant_us)
{
    return zone_is_fixed(zone) ? INT64_MAX : span_at(zone, instant_us)->to;
}

struct zone_span zone_span_at(struct zone *zone, int64_t instant_us)
{
    if (zone_is_fixed(zone))
        return (struct zone_span){INT64_MIN, INT64_MAX, zone->fixed_offset};
    const struct span *span = span_at(zone, instant_us);
    return (struct zone_span){span->from, span->to, span->offset};
}

int64_t zone_first_reaching(struct zone *zone, int64_t local_us)
{
    /* offsets stay below a day: a day before, the clock has not come that far */
    for (int64_t at = local_us - US_PER_DAY;;) {
        struct zone_span span = zone_span_at(zone, at);
        int64_t instant = local_us - span.offset * US_PER_SECOND;
        if (instant < span.to || span.to == INT64_MAX)
            return instant > span.from ? instant : span.from;
        at = span.to;
    }
}

int32_t zone_offset_of_local(struct zone *zone, int64_t local_us)
{
    if (zone_is_fixed(zone))
        return zone->fixed_offset;
    /* the first transition later than a day before the local time read as UTC: offsets stay below a day */
    int64_t day_before = local_us < INT64_MIN + US_PER_DAY ? INT64_MIN : local_us - US_PER_DAY;
    struct span before = *span_at(zone, day_before);
    if (before.to == INT64_MAX)
        return before.offset;
    int32_t after_offset = span_at(zone, before.to)->offset;
    int64_t by_before = local_us - before.offset * US_PER_SECOND,
            by_after = local_us - after_offset * US_PER_SECOND;
    if (by_before < before.to && by_after < before.to)
        return before.offset;
    if (by_before > before.to && by_after >= before.to)
        return after_offset;
    /* in the gap the offset before it, in the fold the one after it */
    return by_before > by_after ? before.offset : after_offset;
}

/* ---- abbreviations of a zone ---- */

void zone_abbreviation_at(struct zone *zone, int64_t instant_us, struct strbuf *out)
{
    int32_t offset = zone_offset_at(zone, instant_us);
    if (zone->rules != NULL) {
        strbuf_adds(out, span_at(zone, instant_us)->abbreviation);
        return;
    }
    if (zone->calendar == NULL) {
        int32_t seconds;
        bool is_dst;
        if (timezone_abbreviation(zone->name, strlen(zone->name), &seconds, &is_dst) || offset == 0) {
            const char *name = offset == 0 && strchr(zone->name, '/') != NULL ? "UTC" : zone->name;
            for (const char *at = name; *at != '\0'; at++)
                strbuf_addc(out, *at >= 'a' && *at <= 'z' ? (char)(*at - 32) : *at);
            return;
        }
    } else {
        /* each English locale knows the short names that are customary where it is spoken */
        static const char *const locales[] = {"en_US", "en_GB", "en_AU", "en_NZ", "en_IN", "en_ZA", "en_IL"};
        UErrorCode status = U_ZERO_ERROR;
        ucal_setMillis(zone->calendar, to_icu(instant_us), &status);
        bool is_dst = ucal_get(zone->calendar, UCAL_DST_OFFSET, &status) != 0;
        for (size_t i = 0; i < ARRAY_COUNT(locales); i++) {
            UChar wide[ZONE_NAME_MAX];
            char text[ZONE_NAME_MAX];
            status = U_ZERO_ERROR;
            int32_t len =
                ucal_getTimeZoneDisplayName(zone->calendar, is_dst ? UCAL_SHORT_DST : UCAL_SHORT_STANDARD,
                                            locales[i], wide, ZONE_NAME_MAX, &status);
            if (U_FAILURE(status) || len <= 0 || len >= ZONE_NAME_MAX)
                continue;
            u_UCharsToChars(wide, text, len);
            text[len] = '\0';
            bool is_word = true;
            for (int32_t k = 0; k < len; k++)
                is_word = is_word && text[k] >= 'A' && text[k] <= 'Z';
            if (is_word) {
                strbuf_adds(out, text);
                return;
            }
        }
    }
    int32_t magnitude = offset < 0 ? -offset : offset;
    strbuf_addf(out, "%c%02d", offset < 0 ? '-' : '+', magnitude / 3600);
    if (magnitude % 3600 != 0)
        strbuf_addf(out, "%02d", magnitude / 60 % 60);
}
