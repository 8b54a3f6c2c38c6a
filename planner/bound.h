/* bound.h: tools over bound expressions and plans while the planner works on them.
 *
 * Expressions are shared and never changed in place: a change makes new nodes along the path. Plan nodes are
 * owned by one parent each; what is needed twice is cloned. A column of the row an expression runs over is
 * EXPR_COLUMN; inside the plan of a subquery the same column is EXPR_OUTER with levels_up 1, one level deeper
 * 2, and so on. Functions that rewrite "the columns of this row" therefore carry the level at which they
 * stand: 0 for EXPR_COLUMN, n for EXPR_OUTER with levels_up n. */
#ifndef MILLRACE_PLANNER_BOUND_H
#define MILLRACE_PLANNER_BOUND_H

#include "executor/aggregate.h"
#include "executor/function.h"
#include "executor/plan.h"

struct bound_order {
    struct expr *expr;
    bool descending, nulls_first;
};

/* Behind EXPR_AGGREGATE (arguments are the expression's args). */
struct bound_aggregate {
    const struct aggregate_row *row;
    struct expr *filter; /* NULL none */
    bool is_distinct;
    uint32_t order_count;
    struct bound_order *order;
};

/* Behind EXPR_OVER (arguments are the expression's args). */
struct bound_over {
    enum over_kind kind;
    const struct aggregate_row *row;
    struct expr *filter;
    uint32_t partition_count;
    struct expr **partition;
    uint32_t order_count;
    struct bound_order *order;
    enum frame_mode frame_mode;
    enum frame_bound frame_start, frame_end;
    struct expr *start_offset, *end_offset;
    uint8_t frame_exclude;
};

enum subquery_kind { SUBQUERY_EXISTS, SUBQUERY_SCALAR, SUBQUERY_ANY, SUBQUERY_ALL, SUBQUERY_ARRAY };
/* Behind EXPR_SUBQUERY. ANY and ALL: args[i] ops[i] column i of the plan, all of them. */
struct bound_subquery {
    enum subquery_kind kind;
    struct plan *plan;
    const struct function_row **ops;
    bool is_equality;      /* every op is "=" */
    bool negated_equality; /* "<>" over one or several columns */
    uint32_t order_count;  /* ARRAY: order of elements, by plan columns */
    struct sort_key *order;
};

/* Behind EXPR_SET: which result column of the call. */
struct bound_set {
    uint32_t column;
    uint32_t columns_count;
};

/* Same meaning, planner-only kinds included. */
bool bound_equal(const struct expr *a, const struct expr *b);
/* Subqueries of the same kind over the same plan; args_count is that of their expressions. */
bool bound_equal_subquery(const struct bound_subquery *a, const struct bound_subquery *b,
                          uint32_t args_count);
bool bound_equal_plan(const struct plan *a, const struct plan *b);
/* Does the expression (or an argument, filter, order of it) hold a node of a kind in the mask (1u << kind)?
 * Does not look into the plans of subqueries. */
bool bound_contains(const struct expr *expr, uint64_t kinds);
#define KIND_BIT(kind) ((uint64_t)1 << (kind))

/* Replaces nodes: map returns the new node, or NULL to go on into the arguments. */
typedef struct expr *(*bound_map_fn)(void *ctx, const struct expr *expr, uint32_t level);
struct expr *bound_map(struct arena *arena, struct expr *expr, bound_map_fn map, void *ctx, uint32_t level);
void bound_map_plan(struct arena *arena, struct plan *plan, bound_map_fn map, void *ctx, uint32_t level);
/* Visits every expression slot of one plan node. */
void plan_node_exprs(struct plan *plan, void (*visit)(void *ctx, struct expr **slot), void *ctx);
/* Visits every node of an expression, those of plans inside it included; level as above. */
void bound_visit(const struct expr *expr, void (*visit)(void *ctx, const struct expr *expr, uint32_t level),
                 void *ctx, uint32_t level);
void bound_visit_plan(const struct plan *plan,
                      void (*visit)(void *ctx, const struct expr *expr, uint32_t level), void *ctx,
                      uint32_t level);

/* Column i of this row becomes column map[i] (NULL: i + shift). */
struct expr *bound_remap(struct arena *arena, struct expr *expr, const uint32_t *map, uint32_t shift);
/* Column i of this row becomes outputs[i]. The expression holds no subquery that uses the row. */
struct expr *bound_substitute(struct arena *arena, struct expr *expr, struct expr *const *outputs);
/* References to enclosing queries move by `by` levels (negative: inwards). */
struct expr *bound_shift_levels(struct arena *arena, struct expr *expr, int32_t by);
void plan_shift_levels(struct arena *arena, struct plan *plan, int32_t by);
/* The expression moved into a subquery of this row: columns become EXPR_OUTER of level 1, outer ones one
 * more. */
struct expr *bound_into_subquery(struct arena *arena, struct expr *expr);
/* Marks in used[0..count) which columns of this row the expression reads, also from within subqueries. */
void bound_columns(const struct expr *expr, bool *used, uint32_t count);
bool bound_uses_row(const struct expr *expr);
/* Columns of the query `level` levels above that a plan reads: true if any; used may be NULL. */
bool plan_outer_columns(const struct plan *plan, uint32_t level, bool *used, uint32_t count);
/* Does the plan or expression refer to any enclosing query at all? */
bool plan_is_correlated(const struct plan *plan);
bool bound_is_correlated(const struct expr *expr);

struct plan *plan_clone(struct arena *arena, const struct plan *plan);
/* Left columns, then right ones (SEMI, ANTI: left only). Keys are added with plan_join_key. */
struct plan *plan_join(struct arena *arena, enum join_kind kind, struct plan *left, struct plan *right);
void plan_join_key(struct arena *arena, struct plan *join, uint32_t left, uint32_t right, bool null_safe);
/* One row and no column. */
struct plan *plan_one_row(struct arena *arena);
/* No row, these types. */
struct plan *plan_empty(struct arena *arena, const struct sql_type *types, uint32_t count);
/* Adds computed columns behind the child's; *first is the number of the first. */
struct plan *plan_extend(struct arena *arena, struct plan *child, struct expr **exprs, uint32_t count,
                         uint32_t *first);
/* Keeps columns list[0..count) in that order. */
struct plan *plan_pick(struct arena *arena, struct plan *child, const uint32_t *list, uint32_t count);
uint32_t plan_size(const struct plan *plan);

/* Builders over "and". NULL stands for true. */
struct expr *bound_and(struct arena *arena, struct expr *a, struct expr *b);
/* The conjuncts of a condition, flat, in the arena. */
struct expr **bound_conjuncts(struct arena *arena, struct expr *expr, uint32_t *count);
struct expr *bound_and_list(struct arena *arena, struct expr **exprs, uint32_t count);
struct expr *bound_boolean(struct arena *arena, bool value);
struct expr *bound_null(struct arena *arena, struct sql_type type);
struct expr *bound_int8(struct arena *arena, int64_t value);
struct expr *bound_is_null(struct arena *arena, struct expr *expr, bool is_not);
struct expr *bound_not(struct arena *arena, struct expr *expr);
/* CASE WHEN a THEN b ... ELSE c: args as EXPR_CASE wants them. */
struct expr *bound_case(struct arena *arena, struct sql_type type, struct expr *const *args, uint32_t count);
/* left op right for two int8 (or boolean "=") expressions from the registry. */
struct expr *bound_compare(struct arena *arena, const char *op, struct expr *left, struct expr *right);

#endif
