/* bind.h: what the files of the binder share: scopes, type conversion, overload resolution, the steps of a
 * SELECT.
 *
 * Binding goes straight from the parse tree to a plan. A scope is one level of names: the relations of a FROM
 * clause (or of the part of it that a LATERAL item may see). Columns of a scope are numbers into the row of
 * the plan that is being built for it. Plans only ever grow to the right while a scope's expressions are
 * bound, so those numbers stay valid. */
#ifndef MILLRACE_PLANNER_BIND_H
#define MILLRACE_PLANNER_BIND_H

#include "planner/bound.h"
#include "planner/parse_tree.h"

#include "storage/base/limits.h"

#define OID_ANYNONARRAY        2776u
#define OID_ANYCOMPATIBLE      5077u
#define OID_ANYCOMPATIBLEARRAY 5078u

/* Fails with a message and the position of a byte location. */
#define BIND_FAIL(ctx, err, location, code, ...)                                                             \
    (error_set((err), (code), __VA_ARGS__), error_at((err), planner_position((ctx), (location))))

/* ---- names ---- */

struct range_column {
    const char *name;
    uint32_t column; /* of the scope's row */
    struct sql_type type;
};

/* One name in FROM, or a join. */
struct range_entry {
    const char *alias;                   /* NULL: a join without alias */
    const char *schema;                  /* for s.t.column; NULL for anything but a plain relation */
    const struct catalog_object *object; /* NULL: derived */
    bool relation_visible;               /* alias.column */
    bool columns_visible;                /* column alone, and `*` */
    bool nullable;  /* on the nullable side of an outer join: its whole row may be NULL */
    bool is_scalar; /* a function of one column: its alias names the value as well */
    uint32_t columns_count;
    struct range_column *columns;
};

struct cte {
    struct cte *next; /* those defined before it */
    const PgQuery__CommonTableExpr *node;
    struct scope *owner; /* the query that has the WITH: the body is bound one level below owner->parent */
    bool is_recursive;   /* named in its own body */
    bool is_open;        /* being bound now: a reference to it would be recursive */
};

struct scope {
    struct scope *parent;
    bool is_query; /* the scope of a SELECT; else of a part of its FROM */
    uint32_t
        hidden; /* > 0 while something is bound that may not see these entries: a FROM item without LATERAL */
    uint32_t entries_count, entries_cap;
    struct range_entry **entries;
    struct cte *ctes;
    size_t windows_count; /* WINDOW clause */
    PgQuery__Node **windows;
};

enum bind_place {
    PLACE_SELECT,
    PLACE_WHERE,
    PLACE_HAVING,
    PLACE_GROUP_BY,
    PLACE_ORDER_BY,
    PLACE_DISTINCT_ON,
    PLACE_JOIN_ON,
    PLACE_FROM_FUNCTION,
    PLACE_LIMIT,
    PLACE_OFFSET,
    PLACE_VALUES,
    PLACE_FRAME,
    PLACE_OTHER,
};

/* State of binding the expressions of one clause. */
struct binder {
    struct planner_context *ctx;
    struct scope *scope;
    enum bind_place place;
    const char *what; /* PLACE_OTHER: "DEFAULT expressions" */
    bool subqueries_refused;
    uint32_t in_aggregate; /* depth inside aggregate arguments */
    uint32_t in_over;
    bool in_filter;
    uint32_t in_conditional; /* depth inside CASE and COALESCE: no set-returning functions */
};

/* Resolves a name to an expression over the scope's row, or an outer column. */
bool bind_column_ref(struct binder *b, const PgQuery__ColumnRef *ref, struct expr **out, struct error *err);
/* Looks for a column by name alone among the scope's own entries: count of matches, the first in *out. */
uint32_t scope_find_column(const struct scope *scope, const char *name, struct range_column *out);
/* The entry of a name, looking outwards; *hidden: one exists that may not be named from here. */
struct range_entry *scope_find_entry(struct scope *scope, const char *schema, const char *alias,
                                     uint32_t *levels_up, bool *hidden);
/* ROW(...) of all the entry's columns. */
struct expr *bind_whole_row(struct planner_context *ctx, const struct range_entry *entry, uint32_t levels_up);
struct expr *bind_scope_column(struct planner_context *ctx, const struct range_column *column,
                               uint32_t levels_up, int32_t location);
/* Hides the FROM clause's parts from `scope` up to its query. by: +1 or -1. */
void scope_hide(struct scope *scope, int32_t by);
bool scope_add_entry(struct planner_context *ctx, struct scope *scope, struct range_entry *entry,
                     int32_t location, struct error *err);
/* `*` and `t.*`: columns in order. The list is in the arena. */
bool bind_star(struct binder *b, const PgQuery__ColumnRef *ref, struct expr ***exprs, const char ***names,
               uint32_t *count, struct error *err);
/* "table.column" of a column of the scope's row, for messages. */
const char *scope_column_text(struct planner_context *ctx, const struct scope *scope, uint32_t column);

/* ---- depth ---- */

bool bind_enter(struct planner_context *ctx, struct error *err); /* 54001 */
static inline void bind_leave(struct planner_context *ctx)
{
    ctx->depth--;
}

/* ---- types ---- */

enum coercion { COERCION_IMPLICIT, COERCION_ASSIGNMENT, COERCION_EXPLICIT };

bool type_can_coerce(uint32_t source, uint32_t target, enum coercion coercion);
/* Same bytes, implicitly: varchar to text, regclass to oid. */
bool type_is_binary_coercible(uint32_t source, uint32_t target);
bool type_is_preferred(uint32_t oid);
char type_category(uint32_t oid);
const char *type_text(struct planner_context *ctx, struct sql_type type);
/* Converts; 42846 when there is no way. location: of the cast or the expression, -1 unknown. */
bool bind_coerce(struct planner_context *ctx, struct expr *expr, struct sql_type target,
                 enum coercion coercion, int32_t location, struct expr **out, struct error *err);
/* Type UNION, CASE, ... give to their parts; `what` names the construct in messages. */
bool bind_common_type(struct planner_context *ctx, struct expr *const *exprs, const int32_t *locations,
                      uint32_t count, const char *what, struct sql_type *out, struct error *err);
/* Converts each to the type in place. */
bool bind_coerce_all(struct planner_context *ctx, struct expr **exprs, const int32_t *locations,
                     uint32_t count, struct sql_type type, const char *what, struct error *err);
/* Unknown literals and parameters become text. */
bool bind_known(struct planner_context *ctx, struct expr *expr, struct expr **out, struct error *err);
/* Boolean, or 42804 "argument of WHERE must be type boolean, not type integer". */
bool bind_to_boolean(struct planner_context *ctx, struct expr *expr, const char *what, int32_t location,
                     struct expr **out, struct error *err);
bool bind_type_name(struct planner_context *ctx, const PgQuery__TypeName *name, struct sql_type *out,
                    struct error *err);
struct expr *bind_text_constant(struct planner_context *ctx, const char *text, uint32_t oid,
                                int32_t location);

/* ---- functions ---- */

/* What a name and arguments resolve to: exactly one of function and aggregate is set. */
struct resolved {
    const struct function_row *function;
    const struct aggregate_row *aggregate;
    struct sql_type result;
    uint32_t args_count;
    struct expr **args; /* converted */
};
struct function_name {
    const char *schema, *name;
};

/* 42883 with PostgreSQL's message. is_star: f(*). */
bool bind_function(struct planner_context *ctx, const char *name, struct expr **args, uint32_t args_count,
                   bool is_variadic, int32_t location, struct resolved *out, struct error *err);
/* left NULL: prefix operator. */
bool bind_operator(struct planner_context *ctx, const char *name, struct expr *left, struct expr *right,
                   int32_t location, struct expr **out, struct error *err);
/* The "=" or "<" of a type with itself (varchar: that of text); NULL when it has none. */
const struct function_row *type_operator(uint32_t oid, const char *name);
/* Type on which values of this type are compared: text for varchar and name, else itself. */
bool type_has_equality(uint32_t oid);
bool type_has_order(uint32_t oid);

/* ---- expressions ---- */

bool bind_expr(struct binder *b, const PgQuery__Node *node, struct expr **out, struct error *err);
/* The same, boolean. */
bool bind_condition(struct binder *b, const PgQuery__Node *node, const char *what, struct expr **out,
                    struct error *err);
/* Function calls: aggregates, windows, sets and ordinary ones. */
bool bind_func_call(struct binder *b, const PgQuery__FuncCall *call, struct expr **out, struct error *err);
bool bind_over_call(struct binder *b, const PgQuery__FuncCall *call, const char *name, struct expr **args,
                    uint32_t args_count, struct expr *filter, struct expr **out, struct error *err);
bool is_window_function(const char *name);
/* Direction and place of NULLs of an ORDER BY item. */
bool bind_sort_direction(struct planner_context *ctx, const PgQuery__SortBy *item, bool *descending,
                         bool *nulls_first, struct error *err);
bool bind_sort_item(struct binder *b, const PgQuery__SortBy *item, struct bound_order *out,
                    struct error *err);
/* Comparison of two rows or of a row with a subquery's row. */
bool bind_row_compare(struct binder *b, const char *op, struct expr **left, struct expr **right,
                      uint32_t count, int32_t location, struct expr **out, struct error *err);
bool bind_sublink(struct binder *b, const PgQuery__SubLink *link, struct expr **out, struct error *err);
bool bind_value_function(struct binder *b, const PgQuery__SQLValueFunction *node, struct expr **out,
                         struct error *err);

/* ---- queries ---- */

struct bound_query {
    struct plan *plan; /* exactly the visible columns */
    const char **names;
};

/* unknowns_stay: literals of unknown type are left so (branches of UNION, INSERT ... SELECT does not need
 * it). */
bool bind_query(struct planner_context *ctx, struct scope *parent, const PgQuery__SelectStmt *select,
                bool unknowns_stay, struct bound_query *out, struct error *err);
bool bind_set_operation(struct planner_context *ctx, struct scope *scope, const PgQuery__SelectStmt *select,
                        struct bound_query *out, struct error *err);
bool bind_values(struct planner_context *ctx, struct scope *scope, const PgQuery__SelectStmt *select,
                 bool unknowns_stay, struct bound_query *out, struct error *err);
bool bind_with(struct planner_context *ctx, struct scope *scope, const PgQuery__WithClause *with,
               struct error *err);
/* FROM: the plan of all items, entries added to the scope. */
bool bind_from(struct planner_context *ctx, struct scope *scope, size_t count, PgQuery__Node **items,
               struct plan **out, struct error *err);
/* late_rows('view') in FROM: bind_late.c. Fills plan and names; *view is what the plan depends on. 42P01, 42809, 55000
 * when the view keeps none. */
bool bind_is_late_rows(const PgQuery__FuncCall *call);
bool bind_late_rows(struct planner_context *ctx, const PgQuery__FuncCall *call, struct bound_query *out,
                    const struct catalog_object **view, struct error *err);
/* The microseconds of a constant interval expression without months; what: "size" (for errors). */
bool bind_window_interval(struct planner_context *ctx, const struct expr *expr, int32_t location,
                          const char *what, int64_t *us, struct error *err);
/* Sort keys over the plan's columns, LIMIT and OFFSET of the statement, put on top. */
bool bind_limit(struct planner_context *ctx, struct scope *scope, const PgQuery__SelectStmt *select,
                struct plan *sort, struct error *err);
/* Applies a condition over the plan's row: subqueries in it become joins. */
bool bind_apply_condition(struct planner_context *ctx, struct plan **plan, struct expr *condition,
                          struct error *err);

/* Target list while a SELECT is built. */
struct target {
    struct expr *expr;
    const char *name;
    int32_t location;
};
struct select_state {
    struct planner_context *ctx;
    struct scope *scope;
    const PgQuery__SelectStmt *select;
    struct plan *plan;
    uint32_t visible_count; /* of targets; hidden ones for ORDER BY follow */
    uint32_t targets_count, targets_cap;
    struct target *targets;
    struct expr *having;
    uint32_t sort_count;
    struct bound_sort {
        uint32_t target;
        bool descending, nulls_first;
    } * sort;
    uint32_t distinct_on_count;
    uint32_t *distinct_on; /* targets */
};
/* GROUP BY, aggregates, HAVING: after it targets and having run over the aggregate's row. */
bool bind_grouping(struct select_state *state, struct error *err);
/* Window functions of the targets become columns. */
bool bind_windows(struct select_state *state, struct error *err);
/* Set-returning functions of the targets become columns. */
bool bind_sets(struct select_state *state, struct error *err);
bool bind_order_by(struct select_state *state, struct error *err);
bool bind_distinct_on(struct select_state *state, struct error *err);
/* Sorting, DISTINCT, LIMIT on top of the projected targets. */
bool bind_finish_select(struct select_state *state, struct error *err);
/* Gives index of an equal expression among the targets, adding it when there is none. */
uint32_t select_add_target(struct select_state *state, struct expr *expr, int32_t location);

/* ---- subqueries ---- */

/* Replaces EXPR_SUBQUERY in the expressions by columns added to the plan. */
bool subquery_attach(struct planner_context *ctx, struct plan **plan, struct expr **exprs, uint32_t count,
                     struct error *err);
/* FROM plan, LATERAL right: kind INNER or LEFT; condition over left then right columns, may be NULL. The
 * right plan's references to level 1 are columns of the left one; deeper ones come one level nearer. */
bool subquery_lateral(struct planner_context *ctx, struct plan *left, struct plan *right, enum join_kind kind,
                      struct expr *condition, struct plan **out, struct error *err);
/* A join of two plans on a condition: equalities become keys. Subqueries in the condition are handled. */
bool bind_join_plans(struct planner_context *ctx, enum join_kind kind, struct plan *left, struct plan *right,
                     struct expr *condition, struct plan **out, struct error *err);

#endif
