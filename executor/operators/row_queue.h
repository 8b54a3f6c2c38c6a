/* row_queue.h: rows that wait for a time, in its order, as counts: what the operators of waiting rows share.
 *
 * An entry is a row and the time it waits for; the same row waiting for the same time is one entry. When the counts come
 * to nothing it goes. O(log n) per row; memory is charged to the operator's account. Owned by one shard. */
#ifndef MILLRACE_OPERATORS_ROW_QUEUE_H
#define MILLRACE_OPERATORS_ROW_QUEUE_H

#include "executor/operators/op_common.h"
#include "storage/state/ordered_table.h"

struct row_queue {
    struct ordered_table *table;
    bool append_only;  /* no row will be taken back: entries are not looked for */
    uint64_t sequence; /* append_only: number of the next one */
};

/* Before anything else. append_only: no negative weight will come. */
void row_queue_open(struct row_queue *queue, const struct sql_type *types, uint32_t types_count,
                    bool append_only, struct account *account);
/* Also of one that was never opened. */
void row_queue_close(struct row_queue *queue);
/* Adds a row (copied) `weight` times. flag: one bit of the caller's, the same whenever the same row waits for the same
 * time. */
void row_queue_add(struct row_queue *queue, int64_t time, const struct batch *rows, uint32_t row,
                   int64_t weight, bool flag);
/* The earliest time; TIME_NEVER when nothing waits. */
int64_t row_queue_first(const struct row_queue *queue);
/* Takes out rows whose time is not after `until`, earliest first, at most BATCH_ROWS_MAX; NULL when there is none.
 * Everything is copied into the arena. flags: one per row, and weights are always given; may be NULL. */
struct batch *row_queue_take(struct row_queue *queue, int64_t until, uint8_t **flags, struct arena *arena);

/* Checkpoints: adds a table. Restoring it makes the whole queue. */
void row_queue_saved_tables(struct row_queue *queue, struct saved_tables *out);

static inline int64_t row_queue_bytes(const struct row_queue *queue)
{
    return ordered_table_bytes(queue->table);
}
static inline uint64_t row_queue_rows(const struct row_queue *queue)
{
    return ordered_table_rows(queue->table);
}

#endif
