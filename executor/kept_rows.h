/* kept_rows.h: a table that keeps its newest rows only (engine_keep_newest): its keys in the order in which rows go. For the
 * tick, on the engine's thread. O(log n) per row that comes or goes; memory is the relation's. */
#ifndef MILLRACE_EXECUTOR_KEPT_ROWS_H
#define MILLRACE_EXECUTOR_KEPT_ROWS_H

#include "executor/engine.h"
#include "executor/relation_internal.h"

struct kept_rows;

/* Knows of no row yet. The relation has a key, and outlives it. */
struct kept_rows *kept_rows_create(struct relation *relation, uint32_t column);
void kept_rows_destroy(struct kept_rows *kept); /* NULL: nothing */
/* Other limits, over the same column. */
void kept_rows_limit(struct kept_rows *kept, uint64_t rows, int64_t age_us);
/* The relation has changed, or holds these rows. While not all that were there have been read, the oldest of those that are known go: there are newer
 * ones enough. */
void kept_rows_note(struct kept_rows *kept, const struct batch *change);
/* Rows that go at this clock, the first ones first and at most `most`, as a change that replaces (struct txn_change), in the
 * arena; NULL: none. They are known until kept_rows_note says that they are gone. */
const struct batch *kept_rows_take(struct kept_rows *kept, int64_t clock_us, uint64_t most,
                                   struct arena *arena);
/* The clock at which rows go next; INT64_MIN: there are too many; INT64_MAX: none go. */
int64_t kept_rows_due(const struct kept_rows *kept);

#endif
