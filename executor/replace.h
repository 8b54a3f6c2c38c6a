/* replace.h: changes whose rows replace those with their keys (struct txn_change). For the tick, on the engine's thread; what
 * happens follows from the rows alone, so that they are logged as they came. */
#ifndef MILLRACE_EXECUTOR_REPLACE_H
#define MILLRACE_EXECUTOR_REPLACE_H

#include "executor/relation_internal.h"

/* Appends the present rows with the keys of `rows`, whose columns key_columns they are. */
void relation_find_present(struct relation *relation, const struct batch *rows, const uint32_t *key_columns,
                           struct batch *out, struct arena *arena);
/* The net change: its inserted rows, and as deletions the present rows with the keys of any of its rows. In the arena; the
 * change itself when it replaces nothing. No key is in it twice. */
const struct batch *replace_by_key(struct relation *relation, const struct batch *change,
                                   struct arena *arena);

#endif
