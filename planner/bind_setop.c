/* bind_setop.c: UNION, INTERSECT, EXCEPT and VALUES, with the types their branches agree on (PostgreSQL
 * manual 10.5). */
#include "planner/bind.h"

/* Converts the plan's columns; literals of unknown type in its topmost projection are converted where they
 * stand. */
static bool convert_columns(struct planner_context *ctx, struct plan **plan, const struct sql_type *types,
                            const char *what, struct error *err)
{
    struct plan *top = *plan;
    uint32_t count = top->columns_count;
    bool changed = false;
    struct expr **outputs = ARENA_ARRAY(ctx->arena, struct expr *, count);
    for (uint32_t i = 0; i < count; i++) {
        bool same = top->types[i].oid == types[i].oid &&
                    (types[i].typmod < 0 || top->types[i].typmod == types[i].typmod);
        struct expr *source = top->kind == PLAN_CALC ? top->calc.outputs[i] : NULL;
        if (!same && source != NULL && source->type.oid == OID_UNKNOWN) {
            if (!bind_coerce(ctx, source, types[i], COERCION_IMPLICIT, source->position - 1,
                             &top->calc.outputs[i], err))
                return false;
            top->types[i] = top->calc.outputs[i]->type;
            same = true;
        }
        outputs[i] = expr_column(ctx->arena, i, top->types[i]);
        if (same)
            continue;
        changed = true;
        if (!bind_coerce_all(ctx, &outputs[i], NULL, 1, types[i], what, err))
            return false;
    }
    if (changed)
        *plan = plan_project(ctx->arena, top, outputs, count);
    return true;
}

static const char *operation_name(const PgQuery__SelectStmt *select)
{
    return select->op == PG_QUERY__SET_OPERATION__SETOP_UNION       ? "UNION"
           : select->op == PG_QUERY__SET_OPERATION__SETOP_INTERSECT ? "INTERSECT"
                                                                    : "EXCEPT";
}

/* A column of a branch as an expression, for finding the common type. */
static struct expr *branch_column(struct planner_context *ctx, const struct plan *plan, uint32_t column)
{
    if (plan->kind == PLAN_CALC && plan->calc.outputs[column]->type.oid == OID_UNKNOWN)
        return plan->calc.outputs[column];
    return expr_column(ctx->arena, column, plan->types[column]);
}

static struct plan *combine(struct planner_context *ctx, const PgQuery__SelectStmt *select,
                            struct plan **branches, uint32_t count)
{
    struct plan *first = branches[0];
    bool is_union = select->op == PG_QUERY__SET_OPERATION__SETOP_UNION;
    struct plan *plan =
        plan_new(ctx->arena, is_union ? PLAN_UNION_ALL : PLAN_SET_OP, first->columns_count, count);
    memcpy(plan->types, first->types, sizeof(*plan->types) * first->columns_count);
    memcpy(plan->children, branches, sizeof(*branches) * count);
    if (is_union)
        return select->all ? plan : plan_distinct(ctx->arena, plan);
    plan->set_op.is_except = select->op == PG_QUERY__SET_OPERATION__SETOP_EXCEPT;
    plan->set_op.all = select->all;
    return plan;
}

/* Where the select list of a branch begins. */
static int32_t branch_location(const PgQuery__SelectStmt *select)
{
    while (select->op != PG_QUERY__SET_OPERATION__SETOP_NONE)
        select = select->larg;
    if (select->n_target_list > 0)
        return node_location(select->target_list[0]);
    return select->n_values_lists > 0 ? node_location(select->values_lists[0]) : -1;
}

static bool bind_branches(struct planner_context *ctx, struct scope *scope, const PgQuery__SelectStmt *select,
                          struct bound_query *out, struct error *err);

/* A branch with ORDER BY, LIMIT or WITH of its own is a query by itself; a bare set operation goes on
 * recursively. */
static bool bind_branch(struct planner_context *ctx, struct scope *scope, const PgQuery__SelectStmt *branch,
                        struct bound_query *out, struct error *err)
{
    bool bare = branch->op != PG_QUERY__SET_OPERATION__SETOP_NONE && branch->n_sort_clause == 0 &&
                !node_exists(branch->limit_count) && !node_exists(branch->limit_offset) &&
                branch->with_clause == NULL;
    if (!bare) {
        if (!bind_query(ctx, scope, branch, true, out, err))
            return false;
        /* The branch was bound below `scope`, which stands for the set operation and has no columns. */
        plan_shift_levels(ctx->arena, out->plan, -1);
        return true;
    }
    if (!bind_enter(ctx, err))
        return false;
    bool ok = bind_branches(ctx, scope, branch, out, err);
    bind_leave(ctx);
    return ok;
}

static bool bind_branches(struct planner_context *ctx, struct scope *scope, const PgQuery__SelectStmt *select,
                          struct bound_query *out, struct error *err)
{
    /* a UNION b UNION c leans to the left: a chain of the same operation is one list. */
    const PgQuery__SelectStmt **list = NULL;
    uint32_t count = 0, cap = 0;
    const PgQuery__SelectStmt *node = select;
    bool is_union = select->op == PG_QUERY__SET_OPERATION__SETOP_UNION;
    ARENA_PUSH(ctx->arena, list, count, cap, select->rarg);
    while (is_union && node->larg->op == select->op && node->larg->all == select->all &&
           node->larg->n_sort_clause == 0 && !node_exists(node->larg->limit_count) &&
           !node_exists(node->larg->limit_offset) && node->larg->with_clause == NULL) {
        node = node->larg;
        ARENA_PUSH(ctx->arena, list, count, cap, node->rarg);
    }
    ARENA_PUSH(ctx->arena, list, count, cap, node->larg);
    struct plan **plans = ARENA_ARRAY(ctx->arena, struct plan *, count);
    const char *what = operation_name(select);
    for (uint32_t i = 0; i < count; i++) {
        struct bound_query branch;
        if (!bind_branch(ctx, scope, list[count - 1 - i], &branch, err))
            return false;
        plans[i] = branch.plan;
        if (i == 0)
            out->names = branch.names;
        if (plans[i]->columns_count != plans[0]->columns_count)
            return BIND_FAIL(ctx, err, branch_location(list[count - 1 - i]), ERRCODE_SYNTAX_ERROR,
                             "each %s query must have the same number of columns", what);
    }
    uint32_t columns = plans[0]->columns_count;
    struct sql_type *types = ARENA_ARRAY(ctx->arena, struct sql_type, columns);
    struct expr **exprs = ARENA_ARRAY(ctx->arena, struct expr *, count);
    int32_t *locations = ARENA_ARRAY(ctx->arena, int32_t, count);
    for (uint32_t c = 0; c < columns; c++) {
        for (uint32_t i = 0; i < count; i++) {
            exprs[i] = branch_column(ctx, plans[i], c);
            locations[i] = plans[i]->kind == PLAN_CALC ? plans[i]->calc.outputs[c]->position - 1 : -1;
        }
        if (!bind_common_type(ctx, exprs, locations, count, what, &types[c], err))
            return false;
        if (!(is_union && select->all) && !type_has_equality(types[c].oid))
            return error_set(err, ERRCODE_UNDEFINED_FUNCTION,
                             "could not identify an equality operator for type %s", type_text(ctx, types[c]));
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!convert_columns(ctx, &plans[i], types, what, err))
            return false;
    }
    out->plan = combine(ctx, select, plans, count);
    return true;
}

/* ORDER BY over a set operation or VALUES: output columns only, by name or number. */
static bool sort_outputs(struct planner_context *ctx, struct scope *scope, const PgQuery__SelectStmt *select,
                         struct bound_query *query, struct error *err)
{
    bool limited = node_exists(select->limit_count) || node_exists(select->limit_offset);
    if (select->n_sort_clause == 0 && !limited)
        return true;
    struct plan *child = query->plan;
    struct plan *sort = plan_new(ctx->arena, PLAN_SORT, child->columns_count, 1);
    memcpy(sort->types, child->types, sizeof(*sort->types) * child->columns_count);
    sort->children[0] = child;
    sort->sort.keys = ARENA_ARRAY(ctx->arena, struct sort_key, select->n_sort_clause);
    for (size_t i = 0; i < select->n_sort_clause; i++) {
        const PgQuery__SortBy *item = select->sort_clause[i]->sort_by;
        struct sort_key key = {0};
        if (!bind_sort_direction(ctx, item, &key.descending, &key.nulls_first, err))
            return false;
        const char *name = node_simple_column(item->node);
        int64_t ordinal = 0;
        uint32_t matches = 0;
        for (uint32_t c = 0; name != NULL && c < child->columns_count; c++) {
            if (strcmp(query->names[c], name) == 0 && matches++ == 0)
                key.column = c;
        }
        if (matches == 0 && node_integer(item->node, &ordinal)) {
            if (ordinal < 1 || ordinal > child->columns_count)
                return BIND_FAIL(ctx, err, node_location(item->node), ERRCODE_INVALID_COLUMN_REFERENCE,
                                 "ORDER BY position %lld is not in select list", (long long)ordinal);
            key.column = (uint32_t)ordinal - 1;
        } else if (matches > 1) {
            return BIND_FAIL(ctx, err, node_location(item->node), ERRCODE_AMBIGUOUS_COLUMN,
                             "ORDER BY \"%s\" is ambiguous", name);
        } else if (matches == 0 && name != NULL) {
            return BIND_FAIL(ctx, err, node_location(item->node), ERRCODE_UNDEFINED_COLUMN,
                             "column \"%s\" does not exist", name);
        } else if (matches == 0) {
            BIND_FAIL(ctx, err, node_location(item->node), ERRCODE_FEATURE_NOT_SUPPORTED,
                      "invalid UNION/INTERSECT/EXCEPT ORDER BY clause");
            error_detail(err, "Only result column names can be used, not expressions or functions.");
            return error_hint(
                err, "Add the expression/function to every SELECT, or move the UNION into a FROM clause.");
        }
        if (!type_has_order(child->types[key.column].oid))
            return BIND_FAIL(ctx, err, node_location(item->node), ERRCODE_UNDEFINED_FUNCTION,
                             "could not identify an ordering operator for type %s",
                             type_text(ctx, child->types[key.column]));
        sort->sort.keys[sort->sort.keys_count++] = key;
    }
    if (!bind_limit(ctx, scope, select, sort, err))
        return false;
    if (sort->sort.keys_count > 0 || sort->sort.limit != NULL || sort->sort.offset != NULL)
        query->plan = sort;
    return true;
}

bool bind_set_operation(struct planner_context *ctx, struct scope *scope, const PgQuery__SelectStmt *select,
                        struct bound_query *out, struct error *err)
{
    return bind_branches(ctx, scope, select, out, err) && sort_outputs(ctx, scope, select, out, err);
}

bool bind_values(struct planner_context *ctx, struct scope *scope, const PgQuery__SelectStmt *select,
                 bool unknowns_stay, struct bound_query *out, struct error *err)
{
    struct arena *arena = ctx->arena;
    struct binder b = {.ctx = ctx, .scope = scope, .place = PLACE_VALUES};
    uint32_t rows = (uint32_t)select->n_values_lists;
    uint32_t columns = (uint32_t)select->values_lists[0]->list->n_items;
    struct expr ***values = ARENA_ARRAY(arena, struct expr **, rows);
    int32_t *locations = ARENA_ARRAY(arena, int32_t, rows);
    bool has_subquery = false, is_correlated = false;
    for (uint32_t r = 0; r < rows; r++) {
        const PgQuery__List *list = select->values_lists[r]->list;
        if (list->n_items != columns)
            return BIND_FAIL(ctx, err, node_location(select->values_lists[r]), ERRCODE_SYNTAX_ERROR,
                             "VALUES lists must all be the same length");
        values[r] = ARENA_ARRAY(arena, struct expr *, columns);
        for (uint32_t c = 0; c < columns; c++) {
            if (!bind_expr(&b, list->items[c], &values[r][c], err))
                return false;
            has_subquery = has_subquery || bound_contains(values[r][c], KIND_BIT(EXPR_SUBQUERY));
            is_correlated = is_correlated || bound_is_correlated(values[r][c]);
        }
    }
    struct expr **exprs = ARENA_ARRAY(arena, struct expr *, rows);
    struct sql_type *types = ARENA_ARRAY(arena, struct sql_type, columns);
    for (uint32_t c = 0; c < columns; c++) {
        bool all_unknown = true;
        for (uint32_t r = 0; r < rows; r++) {
            exprs[r] = values[r][c];
            locations[r] = node_location(select->values_lists[r]->list->items[c]);
            all_unknown = all_unknown && exprs[r]->type.oid == OID_UNKNOWN;
        }
        if (unknowns_stay && all_unknown && rows == 1) {
            types[c] = (struct sql_type){OID_UNKNOWN, -1};
            continue;
        }
        if (!bind_common_type(ctx, exprs, locations, rows, "VALUES", &types[c], err) ||
            !bind_coerce_all(ctx, exprs, locations, rows, types[c], "VALUES", err))
            return false;
        for (uint32_t r = 0; r < rows; r++)
            values[r][c] = exprs[r];
    }
    struct plan *plan;
    if (!has_subquery && !is_correlated && !(unknowns_stay && rows == 1)) {
        plan = plan_new(arena, PLAN_VALUES, columns, 0);
        memcpy(plan->types, types, sizeof(*types) * columns);
        plan->values.rows_count = rows;
        plan->values.rows = values;
    } else {
        /* Rows that depend on something are projections of one row, put together. */
        plan = plan_new(arena, PLAN_UNION_ALL, columns, rows);
        memcpy(plan->types, types, sizeof(*types) * columns);
        for (uint32_t r = 0; r < rows; r++) {
            struct plan *row = plan_one_row(arena);
            if (!subquery_attach(ctx, &row, values[r], columns, err))
                return false;
            plan->children[r] = plan_project(arena, row, values[r], columns);
        }
        if (rows == 1)
            plan = plan->children[0];
    }
    out->plan = plan;
    out->names = ARENA_ARRAY(arena, const char *, columns);
    for (uint32_t c = 0; c < columns; c++)
        out->names[c] = arena_printf(arena, "column%u", c + 1);
    return sort_outputs(ctx, scope, select, out, err);
}
