/* node_build.h: small parse trees made by the planner itself: SELECT lists, column references, casts. All in
 * an arena. */
#ifndef MILLRACE_PLANNER_NODE_BUILD_H
#define MILLRACE_PLANNER_NODE_BUILD_H

#include "storage/base/arena.h"
#include "storage/data/datum.h"

#include <pg_query/pg_query.pb-c.h>

PgQuery__Node *node_new_string(struct arena *arena, const char *text);
PgQuery__Node *node_new_null(struct arena *arena);
/* qualifier.column; column NULL: qualifier.* */
PgQuery__Node *node_new_column(struct arena *arena, const char *qualifier, const char *column);
PgQuery__Node *node_new_target(struct arena *arena, PgQuery__Node *value);
/* value::type, without typmod. */
PgQuery__Node *node_new_cast(struct arena *arena, PgQuery__Node *value, uint32_t type_oid);
PgQuery__Node *node_new_range(struct arena *arena, const PgQuery__RangeVar *range);
PgQuery__SelectStmt *node_new_select(struct arena *arena);
PgQuery__Node *node_of_select(struct arena *arena, PgQuery__SelectStmt *select);
/* (SELECT * FROM query AS alias(c1, c2 ..)), only column number `column` of it: for multi-column assignment.
 */
PgQuery__Node *node_new_subquery_column(struct arena *arena, const PgQuery__SubLink *link, uint32_t column,
                                        uint32_t columns_count);
/* Does a SubLink stand anywhere below? */
bool node_has_subquery(const ProtobufCMessage *message);

#endif
