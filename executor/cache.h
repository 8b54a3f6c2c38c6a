/* cache.h: the relation of an external table: a cache whose rows are replaced by key and go with the clock (relation.h,
 * CACHE_COLUMNS). For the tick, on the engine's thread. What happens follows from the rows and the clocks of the ticks. */
#ifndef MILLRACE_EXECUTOR_CACHE_H
#define MILLRACE_EXECUTOR_CACHE_H

#include "executor/relation_internal.h"

/* The change with the rows that its inserted ones replace, as deletions; in the arena. */
const struct batch *cache_replace(struct relation *relation, const struct batch *change, struct arena *arena);
/* The change has been applied: its inserted rows will expire. */
void cache_note(struct relation *relation, const struct batch *change, struct arena *scratch);
/* Present rows that have expired by the clock, as deletions, in the arena; NULL: none. They are not looked for again. */
const struct batch *cache_take_expired(struct relation *relation, int64_t clock_us, struct arena *arena);
bool cache_has_expired(struct relation *relation, int64_t clock_us);
/* The clock at which the next row expires; INT64_MAX: none is there. */
int64_t cache_due(const struct relation *relation);
/* With the relation. */
void cache_release(struct relation *relation);

#endif
