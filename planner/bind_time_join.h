/* bind_time_join.h: joins that PostgreSQL does not have. */
#ifndef MILLRACE_PLANNER_BIND_TIME_JOIN_H
#define MILLRACE_PLANNER_BIND_TIME_JOIN_H

#include "planner/bind.h"

/* Is this item of FROM `t FOR SYSTEM_TIME AS OF now()`? Then *relation is t, with its alias. */
bool bind_system_time(const PgQuery__Node *item, PgQuery__RangeVar *relation);

/* left [LEFT] JOIN right FOR SYSTEM_TIME AS OF now() ON condition: over the columns of both, as for bind_join_plans; the
 * output too. In a view each left row meets the right side once, as it stands when the row comes (PLAN_LOOKUP_JOIN);
 * that the left side is append-only is checked by pass_check_view. In a SELECT it is an ordinary join. 0A000 where the
 * condition holds no equality between the sides, or a subquery. */
MUST_CHECK
bool bind_lookup_join(struct planner_context *ctx, bool is_left, struct plan *left, struct plan *right,
                      struct expr *condition, struct plan **out, struct error *err);

#endif
