/* tzif.h: time zone rules from the system's compiled zone files (RFC 8536) and from POSIX TZ strings.
 *
 * The files are newer than the zones inside the ICU library, and they know the abbreviations; timezone.c
 * falls back to ICU where a system has none. Rules are read-only once made; seconds count from 1970-01-01
 * UTC. */
#ifndef MILLRACE_DATA_TZIF_H
#define MILLRACE_DATA_TZIF_H

#include <stdbool.h>
#include <stdint.h>

struct tz_rules;

struct tz_span {
    int64_t from, to; /* [from, to); INT64_MIN and INT64_MAX when open */
    int32_t east;     /* seconds */
    bool is_dst;
    const char *abbreviation; /* lives as long as the rules */
};

/* By the exact name of a zone file ("Europe/Berlin"); NULL when there is none or it is damaged. */
struct tz_rules *tz_rules_load(const char *name);
/* From a POSIX string that has summer time ("PST8PDT,M3.2.0,M11.1.0"; without rules those of the United
 * States); NULL when it is not one. */
struct tz_rules *tz_rules_from_posix(const char *text);
void tz_rules_free(struct tz_rules *rules);
struct tz_span tz_rules_at(const struct tz_rules *rules, int64_t unix_seconds);

#endif
