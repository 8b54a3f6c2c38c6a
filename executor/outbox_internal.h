/* outbox_internal.h: outboxes, for relation.c, the engine and dataflow_build.c. */
#ifndef MILLRACE_EXECUTOR_OUTBOX_INTERNAL_H
#define MILLRACE_EXECUTOR_OUTBOX_INTERNAL_H

#include "executor/operator.h"
#include "executor/outbox.h"

/* The root of a sink's dataflow; all of its rows come to shard 0. */
extern const struct operator_class flow_outbox_class;
/* Types of the columns behind the relation's own; room for OUTBOX_COLUMNS. */
void outbox_types(struct sql_type *types);
/* Under the engine's lock: a tick that has appended to some outbox is published. */
void outbox_wake_listeners(struct engine *engine);

#endif
