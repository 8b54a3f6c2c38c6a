/* workers.h: the threads that run shards side by side.
 *
 * `threads` - 1 threads plus the caller; as many as there are shards, or fewer: then a thread runs several. workers_run
 * returns when all shards are done: a barrier. Small jobs are run by the caller alone, shard after shard, which gives the same result without
 * waking anybody. */
#ifndef MILLRACE_EXECUTOR_WORKERS_H
#define MILLRACE_EXECUTOR_WORKERS_H

#include <stdbool.h>
#include <stdint.h>

struct workers;

/* Both at least 1; more threads than shards are not made. */
struct workers *workers_create(uint32_t threads_count, uint32_t shards_count);
void workers_destroy(struct workers *workers);
/* Calls fn(ctx, shard) for every shard. Only one thread (the engine's) may call it. */
void workers_run(struct workers *workers, bool parallel, void (*fn)(void *ctx, uint32_t shard), void *ctx);

#endif
