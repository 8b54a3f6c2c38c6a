/* source_rows.h: rows of a connector as rows of the relation that it feeds.
 *
 * Columns that the connector makes come from it, all others get their DEFAULT, once per batch: now() is the
 * batch's clock, which is logged, so that the same positions give the same rows again after a restart.
 * Used by one thread at a time. */
#ifndef MILLRACE_SERVER_SOURCE_ROWS_H
#define MILLRACE_SERVER_SOURCE_ROWS_H

#include "server/server.h"

struct source_range; /* storage/disk/tick_log.h */
struct source_rows;

/* Opens the object's connector at a position (rows delivered before). out NULL: only checks: 0A000 for an
 * unknown connector and for defaults that differ from row to row, 22023 for options, 42703 and 42804 for
 * columns. Takes the catalog's read lock. */
MUST_CHECK
bool source_rows_open(struct server *server, const struct catalog_object *object, uint64_t position,
                      struct source_rows **out, struct error *err);
void source_rows_close(struct source_rows *rows);
const char *source_rows_connector(const struct source_rows *rows);
/* The same positions give the same rows again. */
bool source_rows_replayable(const struct source_rows *rows);
/* Up to rows_max rows that came at clock_us (wall clock), in the arena; *wait_until_ns as in connector.h. */
MUST_CHECK
bool source_rows_poll(struct source_rows *rows, uint32_t rows_max, int64_t clock_us, struct arena *arena,
                      struct batch **out, int64_t *wait_until_ns, struct error *err);
/* The rows of a range again; only when replayable. */
MUST_CHECK
bool source_rows_read(struct source_rows *rows, const struct source_range *range, struct arena *arena,
                      struct batch **out, struct error *err);

#endif
