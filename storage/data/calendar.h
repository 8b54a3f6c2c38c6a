/* calendar.h: windows over time: fixed ones, and those that follow the calendar and the clock of a time zone.
 *
 * A fixed width counts microseconds from the Unix epoch in UTC; one of whole weeks from Monday, 1970-01-05. A window of
 * days or months begins when its first date is first seen on the zone's clock, so a day can have 23 or 25 hours, and a
 * date that the zone skipped has no window. Less than a day in a zone: windows begin where the clock shows a multiple of
 * the width, counted from midnight, or jumps over one; a time that the clock shows twice begins two windows. Days count
 * from 1970-01-01 (whole weeks from Monday), months from January of the year 0. The offset moves the clock.
 *
 * Times without a zone are their own clock. All times are microseconds since 2000-01-01. A bound that is no timestamp
 * makes a function return false. */
#ifndef MILLRACE_DATA_CALENDAR_H
#define MILLRACE_DATA_CALENDAR_H

#include "storage/base/arena.h"
#include "storage/base/error.h"
#include "storage/data/datum.h"
#include "storage/data/timezone.h"

enum calendar_unit {
    CALENDAR_FIXED,  /* us */
    CALENDAR_CLOCK,  /* us of the local clock, less than a day */
    CALENDAR_DAYS,   /* local dates */
    CALENDAR_MONTHS, /* local months */
};
struct calendar_width {
    enum calendar_unit unit;
    int64_t count; /* 0: none */
};
struct calendar {
    const char *zone;                        /* NULL: UTC */
    struct calendar_width slide, size, step; /* tumble: slide equals size; with step cumulating windows */
    int32_t offset_months;                   /* with months only */
    int64_t offset_us;
};

/* Widths in intervals, as written. NULL: not given. */
struct calendar_text {
    const char *name; /* "tumble": for messages */
    const struct interval *slide, *size, *step, *offset;
    const char *zone; /* as given; must outlive the calendar */
};
/* Checks and converts; 22023 for widths that do not fit each other, for an unknown zone. Size must be given; without
 * slide it is a tumbling window. Without a zone and months all units are CALENDAR_FIXED, else none is. */
MUST_CHECK
bool calendar_make(const struct calendar_text *text, struct calendar *out, struct error *err);
bool calendar_equal(const struct calendar *a, const struct calendar *b);
/* No window is longer, in us. */
int64_t calendar_longest(struct calendar_width width);
/* Where windows of a fixed width begin, modulo the width: us, at least 0 and below it. */
int64_t calendar_fixed_origin(int64_t width_us, int64_t offset_us);
/* The zone of a calendar, for the thread that asks (timezone.h says how long). */
struct zone *calendar_zone(const struct calendar *calendar);

/* The window of calendar->size that holds the time; slide and step do not matter. */
MUST_CHECK
bool calendar_window(const struct calendar *calendar, struct zone *zone, int64_t time, int64_t *start,
                     int64_t *end);

/* The windows of all times of a piece of time: those of t are the ones with t < end. */
struct calendar_piece {
    int64_t from, to; /* from <= t < to */
    uint32_t count, starts_cap, ends_cap;
    int64_t *starts, *ends; /* neither descends; starts are at most `from` */
};
/* The piece around a time, in arrays that grow in the arena and are used again. */
MUST_CHECK
bool calendar_piece_at(const struct calendar *calendar, struct zone *zone, int64_t time,
                       struct calendar_piece *piece, struct arena *arena);

#endif
