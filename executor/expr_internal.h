/* expr_internal.h: what expr.c, expr_fold.c, expr_compile.c and expr_run.c share; the rest of Millrace does
 * not include it. */
#ifndef MILLRACE_EXECUTOR_EXPR_INTERNAL_H
#define MILLRACE_EXECUTOR_EXPR_INTERNAL_H

#include "executor/expr.h"

/* Is this argument an expression over other columns than its parent's (the element of an array cast)? */
bool expr_arg_is_private(const struct expr *expr, uint32_t arg);
/* Equal expressions (expr_equal) have equal hashes; not stable between runs. */
uint64_t expr_hash(const struct expr *expr);
/* The same value with its constant parts evaluated; shares unchanged nodes. */
const struct expr *expr_fold(struct arena *arena, const struct expr *expr);

#endif
