/* bind_time_join.h: joins that PostgreSQL does not have. */
#ifndef MILLRACE_PLANNER_BIND_TIME_JOIN_H
#define MILLRACE_PLANNER_BIND_TIME_JOIN_H

#include "planner/bind.h"

/* Is this item of FROM `t FOR SYSTEM_TIME AS OF now()`, or of a column? Then *relation is t, with its alias, and *column is
 * that column; with now() *column is NULL. */
bool bind_system_time(const PgQuery__Node *item, PgQuery__RangeVar *relation,
                      const PgQuery__ColumnRef **column);

/* left [LEFT] JOIN right FOR SYSTEM_TIME AS OF now() ON condition: over the columns of both, as for bind_join_plans; the
 * output too. In a view each left row meets the right side once, as it stands when the row comes (PLAN_LOOKUP_JOIN);
 * that the left side is append-only is checked by pass_check_view. In a SELECT it is an ordinary join. 0A000 where the
 * condition holds no equality between the sides, or a subquery. */
MUST_CHECK
bool bind_lookup_join(struct planner_context *ctx, bool is_left, struct plan *left, struct plan *right,
                      struct expr *condition, struct plan **out, struct error *err);

/* left ASOF [LEFT] JOIN right ON condition, as above. The condition is a conjunction of equalities between the sides and
 * one inequality of a time of each; 0A000 and 42601 otherwise. */
MUST_CHECK
bool bind_asof_join(struct planner_context *ctx, bool is_left, struct plan *left, struct plan *right,
                    struct expr *condition, struct plan **out, struct error *err);
/* left JOIN right FOR SYSTEM_TIME AS OF column: *out is column >= the time of right, both over the columns of left, then
 * of right. That time is the event time of the relation, or its only column of type timestamp or timestamptz. */
MUST_CHECK
bool bind_version_time(struct planner_context *ctx, struct scope *left, uint32_t left_columns,
                       const struct range_entry *right, const PgQuery__ColumnRef *column, int32_t location,
                       struct expr **out, struct error *err);

#endif
