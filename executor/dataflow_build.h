/* dataflow_build.h: plan nodes to operators; used by dataflow.c only. */
#ifndef MILLRACE_EXECUTOR_DATAFLOW_BUILD_H
#define MILLRACE_EXECUTOR_DATAFLOW_BUILD_H

#include "executor/dataflow_internal.h"

MUST_CHECK
bool dataflow_build_view(struct dataflow *flow, const struct plan *plan, struct error *err);
MUST_CHECK
bool dataflow_build_once(struct dataflow *flow, const struct plan *plan, struct error *err);
/* A dataflow for one side of joins that several views can use (dataflow.c). */
struct dataflow *dataflow_new_fragment(struct dataflow *user, struct shared_arrangement *shared);

#endif
