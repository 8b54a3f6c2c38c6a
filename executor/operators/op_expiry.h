/* op_expiry.h: state that is forgotten once the watermark has passed its time (plan.h, struct plan_expiry).
 * Internal to this folder.
 *
 * An operator registers every piece of its state (a group, a partition, a row: a slot number) when it creates
 * it, and in finish takes out those that are over. Pieces whose time is NULL or infinite are never over. In a SELECT nothing is.
 *
 * A piece that is registered stays, even when it has become empty, until its time comes: its number must not
 * be given to another one meanwhile. */
#ifndef MILLRACE_OPERATORS_OP_EXPIRY_H
#define MILLRACE_OPERATORS_OP_EXPIRY_H

#include "executor/operators/op_common.h"
#include "storage/state/expiry_queue.h"

struct op_expiry {
    bool is_on;
    uint32_t column;
    int64_t after_us;
    struct expiry_queue queue;
};

void op_expiry_open(struct op_expiry *expiry, const struct op_context *ctx, const struct plan_expiry *plan);
void op_expiry_close(struct op_expiry *expiry);
/* Is there a time at which a piece with this value (of a timestamp, timestamptz or date column) is over? */
bool op_expiry_has_time(const struct datum *value, enum phys phys, int64_t *time);
/* The same of a row; false: it was not registered. */
bool op_expiry_add(struct op_expiry *expiry, const struct column *times, uint32_t row, uint32_t piece);
struct hashed_table;
/* After a restart: registers all slots of a table again, whose keys are columns[0..count) of the rows: the piece's time is
 * among them. */
void op_expiry_add_all(struct op_expiry *expiry, struct hashed_table *table, const uint32_t *columns,
                       const struct sql_type *types, uint32_t count);
/* At most `max` pieces that are over; 0: no more. */
uint32_t op_expiry_take(struct op_expiry *expiry, const struct op_context *ctx, uint32_t *pieces,
                        uint32_t max);
/* Has the watermark passed this time? */
bool op_expiry_is_over(const struct op_expiry *expiry, int64_t watermark, int64_t time);
/* The latest time that is over; INT64_MIN: none is. */
int64_t op_expiry_over_by(const struct op_expiry *expiry, int64_t watermark);
/* For due_watermark. */
int64_t op_expiry_due(const struct op_expiry *expiry);
static inline int64_t op_expiry_bytes(const struct op_expiry *expiry)
{
    return expiry->is_on ? expiry_queue_bytes(&expiry->queue) : 0;
}

#endif
