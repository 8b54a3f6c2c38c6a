/* lookup_source.h: where joins ask for rows of an external table that are not in its cache, and what has come of it.
 *
 * The relation of an external table has one. Joins ask; whoever listens (server/external.c) gets the answers and
 * commits them to the relation, and so they come back to the joins in a tick. While nobody listens keys are dropped:
 * once somebody does, engine_ask_again asks for everything that waits. Any thread. */
#ifndef MILLRACE_EXECUTOR_LOOKUP_SOURCE_H
#define MILLRACE_EXECUTOR_LOOKUP_SOURCE_H

#include "storage/data/batch.h"

struct lookup_source;

struct lookup_source *lookup_source_create(void);
void lookup_source_destroy(struct lookup_source *source);
/* From now on ask(ctx, keys) gets the keys: the relation's key columns in order, without NULLs, perhaps several times
 * the same, borrowed for the call. ask NULL: nobody listens; no call runs any more when this returns. */
void lookup_source_listen(struct lookup_source *source, void (*ask)(void *ctx, const struct batch *keys),
                          void *ctx);
void lookup_source_ask(struct lookup_source *source, const struct batch *keys);

struct lookup_counts {
    uint64_t hits, misses; /* rows joined at once, and rows that had to wait, while somebody listened */
    int64_t waiting;       /* rows that wait now, in all joins */
};
void lookup_source_count(struct lookup_source *source, uint64_t hits, uint64_t misses);
void lookup_source_wait(struct lookup_source *source, int64_t rows);
void lookup_source_counts(struct lookup_source *source, struct lookup_counts *out);

#endif
