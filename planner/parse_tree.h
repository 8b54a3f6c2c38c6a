/* parse_tree.h: small helpers over libpg_query's protobuf nodes: strings, name lists, positions.
 *
 * In the protobuf tree a missing node is NULL, a missing string is "", and NULL members of a list are nodes
 * whose case is NOT_SET. */
#ifndef MILLRACE_PLANNER_PARSE_TREE_H
#define MILLRACE_PLANNER_PARSE_TREE_H

#include "planner/planner.h"

/* The text of a String node; "" for anything else. */
const char *node_string(const PgQuery__Node *node);
/* Is there anything? NULL and NOT_SET are nothing. */
bool node_exists(const PgQuery__Node *node);
/* "schema.name" of a list of String nodes, in the arena. */
const char *node_names_text(struct arena *arena, size_t count, PgQuery__Node *const *names);
/* Splits a qualified name: *schema NULL when there is none. false when it has more than two parts (catalog
 * names of three parts are accepted when the first is the database). */
bool node_names_split(size_t count, PgQuery__Node *const *names, const char **schema, const char **name);
/* Byte location of a node's beginning as PostgreSQL's exprLocation, -1 unknown. */
int32_t node_location(const PgQuery__Node *node);
/* An integer constant: true and its value. */
bool node_integer(const PgQuery__Node *node, int64_t *value);
/* Does the constant say NULL? */
bool node_is_null_constant(const PgQuery__Node *node);
/* Name of an output column as PostgreSQL's FigureColname would give it. */
const char *node_column_name(const PgQuery__Node *node);
/* "current_date" for CURRENT_DATE and so on. */
const char *node_value_function_name(PgQuery__SQLValueFunctionOp op);
/* The unqualified name of a ColumnRef of one field, NULL for anything else. */
const char *node_simple_column(const PgQuery__Node *node);

#endif
