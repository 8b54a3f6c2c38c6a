/* op_over.h: what the files of the window function operator share: a sorted partition, its frames, its
 * results. Internal. */
#ifndef MILLRACE_OPERATORS_OP_OVER_H
#define MILLRACE_OPERATORS_OP_OVER_H

#include "executor/aggregate.h"
#include "executor/operators/op_common.h"

/* Rows first .. first + count of a batch that is sorted by partition and keys; every copy is a row of its
 * own. Positions below are relative to `first`. */
struct over_partition {
    const struct batch *rows;
    uint32_t first, count;
    uint32_t *group;        /* of each position: number of its peer group */
    uint32_t *group_starts; /* groups_count + 1 */
    uint32_t groups_count;
    struct arena *arena;
};

struct over {
    struct operator base;
    const struct plan *plan;
    struct table_heap *heap; /* of aggregate states while a partition is computed */
    struct agg_call *calls;  /* of OVER_AGGREGATE */
};

/* Frame of each position, half-open, without exclusion. zone: of timestamptz arithmetic. false: 22004, 22013,
 * 0A000. */
struct over_frame {
    uint32_t *starts, *ends;
};
MUST_CHECK
bool over_frames(const struct plan_over_call *call, const struct plan *plan, const char *zone,
                 const struct over_partition *partition, struct over_frame *out, struct error *err);

/* Fills results[call][first ..] of all calls for a partition (group arrays are made here). errors[first ..]
 * gets the error of rows whose results fail; what fails as a whole (bad frame offset) fails each row. */
void over_compute(struct over *over, struct over_partition *partition, struct column *results,
                  struct error **errors);

#endif
