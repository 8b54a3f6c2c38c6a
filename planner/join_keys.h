/* join_keys.h: equalities between the two sides of a join, as keys. */
#ifndef MILLRACE_PLANNER_JOIN_KEYS_H
#define MILLRACE_PLANNER_JOIN_KEYS_H

#include "planner/pass.h"

/* left_expr = right_expr over the columns [0, left_count) and [left_count, total): the two sides, each over
 * its own child's columns and of one type; null_safe for IS NOT DISTINCT FROM. */
struct join_equality {
    struct expr *left, *right;
    bool null_safe;
};
bool join_equality_of(struct planner_context *ctx, struct expr *condition, uint32_t left_count,
                      uint32_t total, struct join_equality *out);
/* Which sides a condition reads: bit 0 left, bit 1 right. */
uint32_t join_sides(struct planner_context *ctx, const struct expr *condition, uint32_t left_count,
                    uint32_t total);
/* Turns equalities of the residual into keys and moves conditions on one side below the join where its kind
 * allows. The output columns stay the same (a projection is added when a key had to be computed). */
struct plan *join_take_keys(struct planner_context *ctx, struct plan *join);

#endif
