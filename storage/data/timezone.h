/* timezone.h: time zones by name, and their offsets, fast for columns of near-by instants.
 *
 * A zone is an IANA name (any case), a fixed offset in PostgreSQL's POSIX form ("UTC-3", "<+02>-02", "+02":
 * the number counts west of Greenwich) or one of PostgreSQL's default abbreviations. Zones are cached per
 * thread: a struct zone may be used by the thread that found it until that thread finds ZONES_CACHED
 * others. */
#ifndef MILLRACE_DATA_TIMEZONE_H
#define MILLRACE_DATA_TIMEZONE_H

#include "storage/base/error.h"
#include "storage/base/strbuf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ZONES_CACHED 64

struct zone;

enum zone_lookup {
    ZONE_NAME_FIRST,         /* a session's zone: CET has summer time */
    ZONE_ABBREVIATION_FIRST, /* AT TIME ZONE: CET is +01 all the year */
    ZONE_NAME_ONLY,          /* zone names within date/time input */
};

/* NULL when there is no such zone. */
struct zone *zone_find(const char *name, size_t len, enum zone_lookup how);
/* Seconds east of UTC at an instant (microseconds since 2000-01-01 UTC). */
int32_t zone_offset_at(struct zone *zone, int64_t instant_us);
/* Until when (excluded) that offset holds; INT64_MAX: for ever. */
int64_t zone_offset_until(struct zone *zone, int64_t instant_us);
/* Seconds east of UTC that a local wall time is taken to have: see timestamptz_from_local. */
int32_t zone_offset_of_local(struct zone *zone, int64_t local_us);
/* The time around an instant in which the offset does not change. */
struct zone_span {
    int64_t from, to; /* from <= instant < to; INT64_MIN and INT64_MAX when open */
    int32_t offset;   /* seconds east of UTC */
};
struct zone_span zone_span_at(struct zone *zone, int64_t instant_us);
/* The first instant at which the local clock shows the time or has jumped over it. The time is at least two days away
 * from the ends of int64. */
int64_t zone_first_reaching(struct zone *zone, int64_t local_us);
bool zone_is_fixed(const struct zone *zone);
/* Appends the zone's abbreviation at an instant ("CET", "EDT", "UTC"; a numeric form when none is
 * customary). */
void zone_abbreviation_at(struct zone *zone, int64_t instant_us, struct strbuf *out);
/* Is the lower-case word a default abbreviation? Then its seconds east of UTC. */
bool timezone_abbreviation(const char *word, size_t len, int32_t *seconds, bool *is_dst);

#endif
