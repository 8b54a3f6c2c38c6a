/* source_parts.h: the relations that a source over a partitioned log owns: where it stands (NAME_progress) and what it has
 * rejected (NAME_errors). They are ordinary tables of the catalog and the engine, so that they lie in the log, in
 * checkpoints and in backups like the rows beside which they are written. */
#ifndef MILLRACE_SERVER_SOURCE_PARTS_H
#define MILLRACE_SERVER_SOURCE_PARTS_H

#include "planner/ddl.h"

/* Columns of the one and of the other, in order. */
enum progress_column {
    PROGRESS_PARTITION,
    PROGRESS_NEXT_OFFSET, /* of the record that is read next */
    PROGRESS_ACCEPTED,    /* records that became rows, took some away, or say nothing of any */
    PROGRESS_REJECTED,    /* in NAME_errors, or were until somebody deleted them there */
    PROGRESS_SKIPPED,     /* rejected and kept nowhere */
    PROGRESS_ABSENT, /* offsets that hold no record for readers: ends of transactions, what was compacted away */
    PROGRESS_LOST,        /* offsets that the log no longer had */
    PROGRESS_LAST_OFFSET, /* of the record that was read last; NULL: none so far */
    PROGRESS_LAST_TIMESTAMP,
    PROGRESS_INCARNATION,
    PROGRESS_UPDATED,
    PROGRESS_COLUMNS
};
enum errors_column {
    ERRORS_PARTITION,
    ERRORS_OFFSET,
    ERRORS_TIMESTAMP,
    ERRORS_KEY,
    ERRORS_VALUE,
    ERRORS_SQLSTATE,
    ERRORS_REASON,
    ERRORS_REJECTED_AT,
    ERRORS_COLUMNS
};

/* The part's name, in the arena. */
const char *source_part_name(struct arena *arena, const char *source_name, enum catalog_role role);
/* A new object for a new source, with OIDs of its own; one reference, the caller's. Whether its name is free has been
 * looked at. Needs the catalog's read lock. */
MUST_CHECK
bool source_part_bind(struct planner_context *ctx, const struct catalog_object *source,
                      enum catalog_role role, struct catalog_object **out, struct error *err);
/* The source's part, or NULL. Needs the read lock. */
struct catalog_object *source_part_find(struct catalog *catalog, uint32_t source_oid, enum catalog_role role);

#endif
