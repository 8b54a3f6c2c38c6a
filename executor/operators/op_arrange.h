/* op_arrange.h: forgetting in the arrangements of a join. Internal to this folder. */
#ifndef MILLRACE_OPERATORS_OP_ARRANGE_H
#define MILLRACE_OPERATORS_OP_ARRANGE_H

#include "executor/operators/op_expiry.h"
#include "storage/state/arrangement.h"

/* Forgets the rows that the watermark has passed: when the join above has no more use for them in this tick. */
void op_arrange_forget(struct operator* op);
/* For due_watermark of the join. */
int64_t op_arrange_due(const struct operator* op);

#endif
