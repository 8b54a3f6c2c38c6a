/* calendar.c: see calendar.h. */
#include "storage/data/calendar.h"

#include "storage/data/datetime.h"
#include "storage/data/datetime_internal.h"

#include <string.h>

#define MONTHS_PER_YEAR 12
#define DAYS_PER_WEEK   7
#define EPOCH_DAY       (-10957) /* 1970-01-01, in days since 2000-01-01 */
#define EPOCH_MONDAY    (-10953)
#define MONTH_DAYS_MAX  31
#define YEARS_MAX       300000 /* no timestamp is that far from the year 0 */
/* a zone may skip a day, or see one twice */
#define ZONE_SLACK_US (2 * US_PER_DAY)

static __int128 floor_div(__int128 a, __int128 b)
{
    return a / b - (a % b < 0);
}

static __int128 floor_to(__int128 a, __int128 width)
{
    return floor_div(a, width) * width;
}

static bool to_timestamp(__int128 us, int64_t *out)
{
    if (us <= INT64_MIN || us >= INT64_MAX)
        return false;
    *out = (int64_t)us;
    return timestamp_valid(*out);
}

static int64_t day_origin(int64_t days)
{
    return days % DAYS_PER_WEEK == 0 ? EPOCH_MONDAY : EPOCH_DAY;
}

/* ---- making one ---- */

static bool width_of(const struct interval *interval, bool is_fixed, const char *what,
                     struct calendar_width *out, struct error *err)
{
    if (interval->months != 0) {
        if (interval->days != 0 || interval->us != 0)
            return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                             "%s of a window cannot mix months with days or hours", what);
        *out = (struct calendar_width){CALENDAR_MONTHS, interval->months};
    } else {
        int64_t us;
        if (__builtin_mul_overflow((int64_t)interval->days, US_PER_DAY, &us) ||
            __builtin_add_overflow(us, interval->us, &us))
            return error_set(err, ERRCODE_INTERVAL_FIELD_OVERFLOW, "interval out of range");
        if (is_fixed)
            *out = (struct calendar_width){CALENDAR_FIXED, us};
        else if (us % US_PER_DAY == 0)
            *out = (struct calendar_width){CALENDAR_DAYS, us / US_PER_DAY};
        else
            *out = (struct calendar_width){CALENDAR_CLOCK, us};
    }
    if (out->count <= 0)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "%s of a window must be positive", what);
    if (out->unit == CALENDAR_CLOCK && out->count > US_PER_DAY) {
        error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                  "%s of a window in a time zone must be less than a day, or whole days or months", what);
        return error_hint(err, "Not all days have 24 hours.");
    }
    if (out->unit == CALENDAR_MONTHS && out->count > YEARS_MAX * MONTHS_PER_YEAR)
        return error_set(err, ERRCODE_INTERVAL_FIELD_OVERFLOW, "interval out of range");
    return true;
}

static bool check_slide(const struct calendar *c, struct error *err)
{
    if (c->slide.unit != c->size.unit)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "slide and size of a window must both be in months, in days, or less than a day");
    if (c->slide.count > c->size.count)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "slide of a window cannot be larger than its size");
    if (c->size.unit == CALENDAR_CLOCK && c->slide.count != c->size.count) {
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                  "hopping windows of less than a day in a time zone are not supported");
        return error_hint(err, "Leave out the zone, or use \"offset\" if it is not a whole number of hours.");
    }
    return true;
}

static bool check_step(const struct calendar *c, struct error *err)
{
    if (c->step.unit > c->size.unit || (c->step.unit == c->size.unit && c->step.count > c->size.count))
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "step of a window cannot be larger than its size");
    if (c->step.unit == c->size.unit && c->size.count % c->step.count != 0)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "size of a cumulating window must be a multiple of its step");
    if (c->step.unit == CALENDAR_CLOCK && c->size.unit != CALENDAR_CLOCK && US_PER_DAY % c->step.count != 0)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "a day must be a multiple of the step of a cumulating window");
    return true;
}

static bool is_in_months(const struct interval *interval)
{
    return interval != NULL && interval->months != 0;
}

bool calendar_make(const struct calendar_text *text, struct calendar *out, struct error *err)
{
    memset(out, 0, sizeof(*out));
    if (text->zone != NULL && zone_find(text->zone, strlen(text->zone), ZONE_NAME_FIRST) == NULL)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "time zone \"%s\" not recognized", text->zone);
    out->zone = text->zone;
    bool is_fixed = text->zone == NULL && !is_in_months(text->size) && !is_in_months(text->slide) &&
                    !is_in_months(text->step);
    if (!width_of(text->size, is_fixed, "size", &out->size, err))
        return false;
    out->slide = out->size;
    if (text->slide != NULL &&
        (!width_of(text->slide, is_fixed, "slide", &out->slide, err) || !check_slide(out, err)))
        return false;
    if (text->step != NULL &&
        (!width_of(text->step, is_fixed, "step", &out->step, err) || !check_step(out, err)))
        return false;
    if (text->offset == NULL)
        return true;
    out->offset_months = text->offset->months;
    if (out->offset_months != 0 && out->slide.unit != CALENDAR_MONTHS)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "offset of a window can be in months only if its size is");
    if (out->offset_months < -YEARS_MAX * MONTHS_PER_YEAR ||
        out->offset_months > YEARS_MAX * MONTHS_PER_YEAR ||
        __builtin_mul_overflow((int64_t)text->offset->days, US_PER_DAY, &out->offset_us) ||
        __builtin_add_overflow(out->offset_us, text->offset->us, &out->offset_us))
        return error_set(err, ERRCODE_INTERVAL_FIELD_OVERFLOW, "interval out of range");
    return true;
}

static bool width_equal(struct calendar_width a, struct calendar_width b)
{
    return a.unit == b.unit && a.count == b.count;
}

bool calendar_equal(const struct calendar *a, const struct calendar *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return width_equal(a->slide, b->slide) && width_equal(a->size, b->size) &&
           width_equal(a->step, b->step) && a->offset_months == b->offset_months &&
           a->offset_us == b->offset_us && (a->zone == NULL) == (b->zone == NULL) &&
           (a->zone == NULL || strcmp(a->zone, b->zone) == 0);
}

int64_t calendar_longest(struct calendar_width width)
{
    int64_t days = width.unit == CALENDAR_MONTHS ? width.count * MONTH_DAYS_MAX : width.count, us;
    if (width.unit == CALENDAR_FIXED)
        return width.count;
    if (width.unit == CALENDAR_CLOCK)
        return width.count + ZONE_SLACK_US;
    if (__builtin_mul_overflow(days, US_PER_DAY, &us) || __builtin_add_overflow(us, ZONE_SLACK_US, &us))
        return INT64_MAX;
    return us;
}

int64_t calendar_fixed_origin(int64_t width_us, int64_t offset_us)
{
    int64_t day = width_us % (DAYS_PER_WEEK * US_PER_DAY) == 0 ? EPOCH_MONDAY : EPOCH_DAY;
    __int128 origin = (__int128)day * US_PER_DAY + offset_us;
    return (int64_t)(origin - floor_to(origin, width_us));
}

struct zone *calendar_zone(const struct calendar *calendar)
{
    const char *name = calendar->zone != NULL ? calendar->zone : "UTC";
    return zone_find(name, strlen(name), ZONE_NAME_FIRST);
}

/* ---- days and months ---- */

/* The instant at which day or month `number` of the (moved) clock begins. */
static bool unit_start(const struct calendar *c, struct zone *zone, enum calendar_unit unit, __int128 number,
                       int64_t *out)
{
    __int128 day = number;
    if (unit == CALENDAR_MONTHS) {
        __int128 month = number + c->offset_months, year = floor_div(month, MONTHS_PER_YEAR);
        if (year < -YEARS_MAX || year > YEARS_MAX)
            return false;
        day = days_from_civil((int32_t)year, (int32_t)(month - year * MONTHS_PER_YEAR) + 1, 1);
    }
    __int128 local = day * US_PER_DAY + c->offset_us;
    if (local <= INT64_MIN + ZONE_SLACK_US || local >= INT64_MAX - ZONE_SLACK_US)
        return false;
    return to_timestamp(zone_first_reaching(zone, (int64_t)local), out);
}

/* The number of the day or month that holds the time. */
static bool unit_number(const struct calendar *c, struct zone *zone, enum calendar_unit unit, int64_t time,
                        __int128 *out)
{
    __int128 local = (__int128)time + zone_offset_at(zone, time) * US_PER_SECOND - c->offset_us;
    __int128 number = floor_div(local, US_PER_DAY);
    if (unit == CALENDAR_MONTHS) {
        if (number < INT32_MIN / 2 || number > INT32_MAX / 2)
            return false;
        int32_t year, month, day;
        civil_from_days((int32_t)number, &year, &month, &day);
        number = (__int128)year * MONTHS_PER_YEAR + month - 1 - c->offset_months;
    }
    /* a clock that is set back shows a date again that has passed, and begins none anew */
    int64_t next;
    while (unit_start(c, zone, unit, number + 1, &next) && next <= time)
        number++;
    *out = number;
    return true;
}

static __int128 unit_floor(struct calendar_width width, __int128 number)
{
    int64_t origin = width.unit == CALENDAR_DAYS ? day_origin(width.count) : 0;
    return floor_to(number - origin, width.count) + origin;
}

/* ---- the clock ---- */

/* The last multiple of the width at or before a time of the clock, and the next one; midnight is one. */
static __int128 clock_multiple(int64_t width, __int128 local, __int128 *next)
{
    __int128 midnight = floor_to(local, US_PER_DAY);
    __int128 multiple = midnight + floor_to(local - midnight, width);
    *next = multiple + width < midnight + US_PER_DAY ? multiple + width : midnight + US_PER_DAY;
    return multiple;
}

/* The last instant at or before the time at which the clock shows or jumps over a multiple. */
static bool clock_start(struct zone *zone, int64_t width, int64_t offset_us, int64_t time, int64_t *out)
{
    for (;;) {
        struct zone_span span = zone_span_at(zone, time);
        __int128 shift = (__int128)span.offset * US_PER_SECOND - offset_us, next;
        __int128 multiple = clock_multiple(width, time + shift, &next);
        if (span.from == INT64_MIN || multiple - shift >= span.from)
            return to_timestamp(multiple - shift, out);
        struct zone_span before = zone_span_at(zone, span.from - 1);
        if (multiple >= (__int128)span.from + (__int128)before.offset * US_PER_SECOND - offset_us)
            return to_timestamp(span.from, out);
        time = span.from - 1;
    }
}

/* The first such instant behind the time. */
static bool clock_next(struct zone *zone, int64_t width, int64_t offset_us, int64_t time, int64_t *out)
{
    struct zone_span span = zone_span_at(zone, time);
    __int128 shift = (__int128)span.offset * US_PER_SECOND - offset_us, next;
    clock_multiple(width, time + shift, &next);
    for (;;) {
        if (span.to == INT64_MAX || next - shift < span.to)
            return to_timestamp(next - shift, out);
        int64_t transition = span.to;
        span = zone_span_at(zone, transition);
        shift = (__int128)span.offset * US_PER_SECOND - offset_us;
        __int128 shown = transition + shift;
        if (next <= shown || clock_multiple(width, shown, &next) == shown)
            return to_timestamp(transition, out);
    }
}

/* ---- windows ---- */

static bool fixed_window(const struct calendar *c, int64_t time, int64_t *start, int64_t *end)
{
    int64_t origin = calendar_fixed_origin(c->size.count, c->offset_us);
    __int128 from = floor_to((__int128)time - origin, c->size.count) + origin;
    return to_timestamp(from, start) && to_timestamp(from + c->size.count, end);
}

static bool unit_window(const struct calendar *c, struct zone *zone, int64_t time, int64_t *start,
                        int64_t *end)
{
    __int128 number;
    if (!unit_number(c, zone, c->size.unit, time, &number))
        return false;
    number = unit_floor(c->size, number);
    return unit_start(c, zone, c->size.unit, number, start) &&
           unit_start(c, zone, c->size.unit, number + c->size.count, end);
}

bool calendar_window(const struct calendar *c, struct zone *zone, int64_t time, int64_t *start, int64_t *end)
{
    switch (c->size.unit) {
    case CALENDAR_FIXED:
        return fixed_window(c, time, start, end);
    case CALENDAR_CLOCK:
        return clock_start(zone, c->size.count, c->offset_us, time, start) &&
               clock_next(zone, c->size.count, c->offset_us, time, end);
    case CALENDAR_DAYS:
    case CALENDAR_MONTHS:
        break;
    }
    return unit_window(c, zone, time, start, end);
}

static void piece_add(struct calendar_piece *piece, struct arena *arena, int64_t start, int64_t end)
{
    uint32_t count = piece->count;
    ARENA_PUSH(arena, piece->starts, count, piece->starts_cap, start);
    ARENA_PUSH(arena, piece->ends, piece->count, piece->ends_cap, end);
}

/* From the start of the last window that has begun until the next begins. */
static bool hop_piece(const struct calendar *c, struct zone *zone, int64_t time, struct calendar_piece *piece,
                      struct arena *arena)
{
    enum calendar_unit unit = c->slide.unit;
    __int128 number, slide = c->slide.count, size = c->size.count;
    if (!unit_number(c, zone, unit, time, &number))
        return false;
    __int128 last = unit_floor(c->slide, number), first = last - floor_to(size - 1, slide);
    if (!unit_start(c, zone, unit, last, &piece->from) ||
        !unit_start(c, zone, unit, last + slide, &piece->to))
        return false;
    for (__int128 k = first; k <= last; k += slide) {
        int64_t start, next, end;
        if (!unit_start(c, zone, unit, k, &start) || !unit_start(c, zone, unit, k + slide, &next) ||
            !unit_start(c, zone, unit, k + size, &end))
            return false;
        if (start < next) /* else the zone skipped these days */
            piece_add(piece, arena, start, end);
    }
    return true;
}

/* One window of the whole size, which all windows of the piece begin with. */
static bool cumulated_piece(const struct calendar *c, struct zone *zone, int64_t time,
                            struct calendar_piece *piece, struct arena *arena)
{
    if (!calendar_window(c, zone, time, &piece->from, &piece->to))
        return false;
    __int128 number = 0;
    bool by_clock = c->step.unit == CALENDAR_CLOCK;
    if (!by_clock && !unit_number(c, zone, c->step.unit, piece->from, &number))
        return false;
    for (int64_t end = piece->from; end < piece->to;) {
        number += c->step.count;
        int64_t before = end;
        if (by_clock ? !clock_next(zone, c->step.count, c->offset_us, end, &end)
                     : !unit_start(c, zone, c->step.unit, number, &end))
            return false;
        end = end > piece->to ? piece->to : end;
        if (end > before)
            piece_add(piece, arena, piece->from, end);
    }
    return true;
}

bool calendar_piece_at(const struct calendar *c, struct zone *zone, int64_t time,
                       struct calendar_piece *piece, struct arena *arena)
{
    piece->count = 0;
    if (c->step.count != 0)
        return cumulated_piece(c, zone, time, piece, arena);
    if (c->slide.count != c->size.count)
        return hop_piece(c, zone, time, piece, arena);
    if (!calendar_window(c, zone, time, &piece->from, &piece->to))
        return false;
    piece_add(piece, arena, piece->from, piece->to);
    return true;
}
