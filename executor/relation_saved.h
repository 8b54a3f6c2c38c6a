/* relation_saved.h: what a checkpoint saves of a relation (storage/state/saved_table.h): its rows, and with shard 0 its
 * error rows and the partitions of its watermark; and a few numbers beside them. Late rows are a relation of their own.
 * What follows from the rows (indexes, counts of UNIQUE constraints) is made again. Engine's thread, between two
 * ticks. */
#ifndef MILLRACE_EXECUTOR_RELATION_SAVED_H
#define MILLRACE_EXECUTOR_RELATION_SAVED_H

#include "executor/relation_internal.h"
#include "storage/state/saved_table.h"

void relation_saved_tables(struct relation *relation, uint32_t shard, struct saved_tables *out);
/* Of all shards: bytes in proportion to their number and, with retention, to some hundred marks. */
void relation_save_rest(struct relation *relation, struct strbuf *out);
/* When the tables of all shards are back, in a fresh relation; rest_bytes 0: nothing was saved. saved_shards: of how many
 * shards the rest speaks. Fills indexes and UNIQUE counts. The engine must then list it: its watermark (engine_list_watermark), its retention (engine_list_retention).
 * XX001 when it cannot be. */
MUST_CHECK
bool relation_restore_rest(struct relation *relation, const void *rest, size_t rest_bytes,
                           uint32_t saved_shards, struct error *err);

#endif
