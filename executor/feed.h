/* feed.h: the change a relation or a shared arrangement had in the running tick, for those that depend on it.
 *
 * Lists of borrowed batches per shard, valid until the end of the tick. Engine's thread writes, workers read
 * their own shard. `level` orders everything that runs in a tick: tables and streams 0, a dataflow one above
 * its inputs. */
#ifndef MILLRACE_EXECUTOR_FEED_H
#define MILLRACE_EXECUTOR_FEED_H

#include "storage/data/batch.h"

struct dataflow;

struct feed_shard {
    const struct batch **batches;
    uint32_t count, cap;
    uint64_t rows; /* of the batches, and those that were only counted */
};

struct feed {
    uint32_t shards_count;
    struct feed_shard *shards;
    bool dirty;
    struct dataflow **dependents;
    uint32_t dependents_count, dependents_cap;
};

void feed_init(struct feed *feed, uint32_t shards_count);
void feed_release(struct feed *feed);
/* Borrowed until feed_clear. Empty batches are dropped. Different shards may be filled by different threads.
 */
void feed_add(struct feed *feed, uint32_t shard, const struct batch *batch);
/* Rows that nobody is going to read: only that there was a change is kept. */
void feed_count(struct feed *feed, uint32_t shard, uint64_t rows);
void feed_clear(struct feed *feed);
uint64_t feed_rows(const struct feed *feed);
void feed_add_dependent(struct feed *feed, struct dataflow *dataflow);
void feed_remove_dependent(struct feed *feed, struct dataflow *dataflow);

#endif
