/* bind_order.c: ORDER BY, DISTINCT, DISTINCT ON, LIMIT and OFFSET.
 *
 * Sort expressions that are no output column become hidden targets behind the visible ones and are dropped at
 * the end. */
#include "planner/bind.h"

#include "executor/expr_program.h"

/* An ORDER BY or DISTINCT ON item: output name, ordinal, or an expression over FROM. */
static bool bind_output_reference(struct select_state *state, const PgQuery__Node *node,
                                  enum bind_place place, uint32_t *target, struct error *err)
{
    struct planner_context *ctx = state->ctx;
    const char *clause = place == PLACE_ORDER_BY ? "ORDER BY" : "SELECT DISTINCT ON";
    const char *name = node_simple_column(node);
    int64_t ordinal;
    if (name != NULL) {
        bool found = false;
        for (uint32_t i = 0; i < state->visible_count; i++) {
            if (strcmp(state->targets[i].name, name) != 0)
                continue;
            if (found && !bound_equal(state->targets[*target].expr, state->targets[i].expr))
                return BIND_FAIL(ctx, err, node_location(node), ERRCODE_AMBIGUOUS_COLUMN,
                                 "%s \"%s\" is ambiguous", clause, name);
            if (!found)
                *target = i;
            found = true;
        }
        if (found)
            return true;
    }
    if (node->node_case == PG_QUERY__NODE__NODE_A_CONST) {
        if (!node_integer(node, &ordinal))
            return BIND_FAIL(ctx, err, node_location(node), ERRCODE_SYNTAX_ERROR,
                             "non-integer constant in %s", clause);
        if (ordinal < 1 || ordinal > state->visible_count)
            return BIND_FAIL(ctx, err, node_location(node), ERRCODE_INVALID_COLUMN_REFERENCE,
                             "%s position %lld is not in select list", clause, (long long)ordinal);
        *target = (uint32_t)ordinal - 1;
        return true;
    }
    struct binder b = {.ctx = ctx, .scope = state->scope, .place = place};
    struct expr *expr;
    if (!bind_expr(&b, node, &expr, err) || !bind_known(ctx, expr, &expr, err))
        return false;
    *target = select_add_target(state, expr, node_location(node));
    return true;
}

bool bind_order_by(struct select_state *state, struct error *err)
{
    struct planner_context *ctx = state->ctx;
    const PgQuery__SelectStmt *select = state->select;
    state->sort = ARENA_ARRAY(ctx->arena, struct bound_sort, select->n_sort_clause);
    for (size_t i = 0; i < select->n_sort_clause; i++) {
        const PgQuery__SortBy *item = select->sort_clause[i]->sort_by;
        struct bound_sort sort = {0};
        if (!bind_sort_direction(ctx, item, &sort.descending, &sort.nulls_first, err) ||
            !bind_output_reference(state, item->node, PLACE_ORDER_BY, &sort.target, err))
            return false;
        struct expr *expr = state->targets[sort.target].expr;
        if (!type_has_order(expr->type.oid)) {
            BIND_FAIL(ctx, err, node_location(item->node), ERRCODE_UNDEFINED_FUNCTION,
                      "could not identify an ordering operator for type %s", type_text(ctx, expr->type));
            return error_hint(err, "Use an explicit ordering operator or modify the query.");
        }
        bool repeated = false;
        for (uint32_t k = 0; k < state->sort_count && !repeated; k++)
            repeated = state->sort[k].target == sort.target;
        if (!repeated)
            state->sort[state->sort_count++] = sort;
    }
    bool is_distinct = select->n_distinct_clause > 0 && !node_exists(select->distinct_clause[0]);
    if (is_distinct && state->targets_count > state->visible_count)
        return BIND_FAIL(ctx, err, state->targets[state->visible_count].location,
                         ERRCODE_INVALID_COLUMN_REFERENCE,
                         "for SELECT DISTINCT, ORDER BY expressions must appear in select list");
    return true;
}

bool bind_distinct_on(struct select_state *state, struct error *err)
{
    struct planner_context *ctx = state->ctx;
    const PgQuery__SelectStmt *select = state->select;
    if (select->n_distinct_clause == 0 || !node_exists(select->distinct_clause[0]))
        return true;
    state->distinct_on = ARENA_ARRAY(ctx->arena, uint32_t, select->n_distinct_clause);
    for (size_t i = 0; i < select->n_distinct_clause; i++) {
        uint32_t target;
        if (!bind_output_reference(state, select->distinct_clause[i], PLACE_DISTINCT_ON, &target, err))
            return false;
        bool repeated = false;
        for (uint32_t k = 0; k < state->distinct_on_count && !repeated; k++)
            repeated = state->distinct_on[k] == target;
        if (!repeated)
            state->distinct_on[state->distinct_on_count++] = target;
    }
    /* The first sort keys must be the DISTINCT ON expressions, in any order. */
    for (uint32_t i = 0; i < state->sort_count && i < state->distinct_on_count; i++) {
        bool found = false;
        for (uint32_t k = 0; k < state->distinct_on_count && !found; k++)
            found = state->distinct_on[k] == state->sort[i].target;
        if (!found)
            return BIND_FAIL(ctx, err, node_location(select->distinct_clause[0]),
                             ERRCODE_INVALID_COLUMN_REFERENCE,
                             "SELECT DISTINCT ON expressions must match initial ORDER BY expressions");
    }
    return true;
}

/* ---- LIMIT ---- */

static bool bind_count(struct planner_context *ctx, struct scope *scope, const PgQuery__Node *node,
                       bool is_limit, struct expr **out, struct error *err)
{
    *out = NULL;
    if (!node_exists(node) || node_is_null_constant(node))
        return true;
    const char *what = is_limit ? "LIMIT" : "OFFSET";
    struct binder b = {.ctx = ctx, .scope = scope, .place = is_limit ? PLACE_LIMIT : PLACE_OFFSET};
    struct expr *expr;
    if (!bind_expr(&b, node, &expr, err))
        return false;
    if (bound_uses_row(expr))
        return BIND_FAIL(ctx, err, node_location(node), ERRCODE_INVALID_COLUMN_REFERENCE,
                         "argument of %s must not contain variables", what);
    if (bound_contains(expr, KIND_BIT(EXPR_SUBQUERY)) || bound_is_correlated(expr))
        return BIND_FAIL(ctx, err, node_location(node), ERRCODE_FEATURE_NOT_SUPPORTED,
                         "subqueries and outer columns are not supported in %s", what);
    if (!type_can_coerce(expr->type.oid, OID_INT8, COERCION_ASSIGNMENT))
        return BIND_FAIL(ctx, err, node_location(node), ERRCODE_DATATYPE_MISMATCH,
                         "argument of %s must be type bigint, not type %s", what, type_text(ctx, expr->type));
    if (!bind_coerce(ctx, expr, (struct sql_type){OID_INT8, -1}, COERCION_ASSIGNMENT, node_location(node),
                     out, err))
        return false;
    struct datum value;
    struct error ignored;
    error_init(&ignored);
    if (ctx->env != NULL && expr_is_immutable(*out) &&
        expr_eval_constant(*out, ctx->env, ctx->arena, &value, &ignored))
        *out = expr_constant(ctx->arena, (struct sql_type){OID_INT8, -1}, value);
    return true;
}

bool bind_limit(struct planner_context *ctx, struct scope *scope, const PgQuery__SelectStmt *select,
                struct plan *sort, struct error *err)
{
    if (!bind_count(ctx, scope, select->limit_count, true, &sort->sort.limit, err) ||
        !bind_count(ctx, scope, select->limit_offset, false, &sort->sort.offset, err))
        return false;
    sort->sort.with_ties = select->limit_option == PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES;
    return true;
}

/* ---- the top of a SELECT ---- */

static struct plan *sort_node(struct planner_context *ctx, struct plan *child)
{
    struct plan *sort = plan_new(ctx->arena, PLAN_SORT, child->columns_count, 1);
    memcpy(sort->types, child->types, sizeof(*sort->types) * child->columns_count);
    sort->children[0] = child;
    return sort;
}

static void sort_keys(struct select_state *state, struct plan *sort)
{
    sort->sort.keys_count = state->sort_count;
    sort->sort.keys = ARENA_ARRAY(state->ctx->arena, struct sort_key, state->sort_count);
    for (uint32_t i = 0; i < state->sort_count; i++)
        sort->sort.keys[i] =
            (struct sort_key){state->sort[i].target, state->sort[i].descending, state->sort[i].nulls_first};
}

static bool check_distinct(struct select_state *state, const uint32_t *targets, uint32_t count,
                           struct error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t target = targets != NULL ? targets[i] : i;
        struct sql_type type = state->targets[target].expr->type;
        if (!type_has_equality(type.oid))
            return BIND_FAIL(state->ctx, err, state->targets[target].location, ERRCODE_UNDEFINED_FUNCTION,
                             "could not identify an equality operator for type %s",
                             type_text(state->ctx, type));
    }
    return true;
}

bool bind_finish_select(struct select_state *state, struct error *err)
{
    struct planner_context *ctx = state->ctx;
    const PgQuery__SelectStmt *select = state->select;
    struct expr **outputs = ARENA_ARRAY(ctx->arena, struct expr *, state->targets_count);
    for (uint32_t i = 0; i < state->targets_count; i++)
        outputs[i] = state->targets[i].expr;
    struct plan *plan = plan_project(ctx->arena, state->plan, outputs, state->targets_count);
    if (state->distinct_on_count > 0) {
        if (!check_distinct(state, state->distinct_on, state->distinct_on_count, err))
            return false;
        plan = sort_node(ctx, plan);
        plan->sort.distinct_on = true;
        plan->sort.partition_count = state->distinct_on_count;
        plan->sort.partition = state->distinct_on;
        sort_keys(state, plan);
    } else if (select->n_distinct_clause > 0) {
        if (!check_distinct(state, NULL, state->visible_count, err))
            return false;
        plan = plan_distinct(ctx->arena, plan);
    }
    bool limited = node_exists(select->limit_count) || node_exists(select->limit_offset);
    if (state->sort_count > 0 || limited) {
        struct plan *sort = sort_node(ctx, plan);
        sort_keys(state, sort);
        if (!bind_limit(ctx, state->scope, select, sort, err))
            return false;
        if (state->sort_count > 0 || sort->sort.limit != NULL || sort->sort.offset != NULL)
            plan = sort;
    }
    if (state->targets_count > state->visible_count) {
        uint32_t *list = ARENA_ARRAY(ctx->arena, uint32_t, state->visible_count);
        for (uint32_t i = 0; i < state->visible_count; i++)
            list[i] = i;
        plan = plan_pick(ctx->arena, plan, list, state->visible_count);
    }
    state->plan = plan;
    return true;
}
