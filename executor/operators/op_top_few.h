/* op_top_few.h: when the first rows of a partition are kept by op_top_few.c instead of op_top_n.c. */
#ifndef MILLRACE_OPERATORS_OP_TOP_FEW_H
#define MILLRACE_OPERATORS_OP_TOP_FEW_H

#include "executor/operators/op_common.h"

#define TOP_FEW_ROWS_MAX 256 /* larger limits: the ordered table */

/* Of a PLAN_SORT of a view: append-only input, a small constant limit that counts rows, no offset. */
bool op_top_few_fits(const struct plan *plan);

#endif
