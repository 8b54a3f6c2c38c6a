/* op_window.h: what the window operators share. Internal to this folder. */
#ifndef MILLRACE_OPERATORS_OP_WINDOW_H
#define MILLRACE_OPERATORS_OP_WINDOW_H

#include "executor/operators/op_common.h"

/* The time of a row (timestamp, timestamptz or date) in us; false: the row is in no window, because it has no
 * time (error->code is ERRCODE_NONE then) or an infinite one. */
bool window_row_time(const struct column *column, uint32_t row, int64_t *out, struct error *error);

#endif
