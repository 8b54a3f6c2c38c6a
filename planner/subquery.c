/* subquery.c: subqueries in expressions and LATERAL items become joins.
 *
 * A conjunct of WHERE that is EXISTS, NOT EXISTS, IN or NOT IN becomes a semi or anti join. Everywhere else a
 * subquery becomes columns that are joined to the plan: the value of a scalar subquery, a mark for EXISTS,
 * and for IN and its relatives what three-valued logic needs: was there a match, were there rows at all, were
 * there NULLs. */
#include "planner/unnest.h"

static const struct sql_type bool_type = {OID_BOOL, -1};
static const struct sql_type int8_type = {OID_INT8, -1};

/* ---- binding ---- */

static struct expr *subquery_node(struct planner_context *ctx, enum subquery_kind kind, struct plan *plan,
                                  struct sql_type type, int32_t location)
{
    struct bound_subquery *subquery = ARENA_NEW(ctx->arena, struct bound_subquery);
    subquery->kind = kind;
    subquery->plan = plan;
    struct expr *expr = expr_new(ctx->arena, EXPR_SUBQUERY, type);
    expr->planner = subquery;
    expr->position = location + 1;
    return expr;
}

/* The values left of IN: a row's fields or one value. */
static bool bind_left(struct binder *b, const PgQuery__Node *node, struct expr ***left, uint32_t *count,
                      struct error *err)
{
    struct expr *expr;
    if (!bind_expr(b, node, &expr, err))
        return false;
    if (expr->kind == EXPR_ROW && node->node_case == PG_QUERY__NODE__NODE_ROW_EXPR) {
        *left = arena_copy(b->ctx->arena, expr->args, sizeof(*expr->args) * expr->args_count);
        *count = expr->args_count;
        return true;
    }
    *left = arena_copy(b->ctx->arena, &expr, sizeof(expr));
    *count = 1;
    return true;
}

static bool bind_quantified(struct binder *b, const PgQuery__SubLink *link, struct plan *plan,
                            struct expr **out, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    const char *op = link->n_oper_name > 0 ? node_string(link->oper_name[link->n_oper_name - 1]) : "=";
    if (strcmp(op, "!=") == 0)
        op = "<>";
    struct expr **left;
    uint32_t count;
    if (!bind_left(b, link->testexpr, &left, &count, err))
        return false;
    if (count != plan->columns_count)
        return BIND_FAIL(ctx, err, link->location, ERRCODE_SYNTAX_ERROR,
                         count < plan->columns_count ? "subquery has too many columns"
                                                     : "subquery has too few columns");
    bool is_equality = strcmp(op, "=") == 0, is_inequality = strcmp(op, "<>") == 0;
    if (count > 1 && !is_equality && !is_inequality)
        return BIND_FAIL(ctx, err, link->location, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "row comparison %s ANY/ALL over a subquery is not supported", op);
    struct expr *expr = subquery_node(
        ctx, link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK ? SUBQUERY_ANY : SUBQUERY_ALL, plan,
        bool_type, link->location);
    struct bound_subquery *subquery = expr->planner;
    subquery->ops = ARENA_ARRAY(ctx->arena, const struct function_row *, count);
    subquery->is_equality = is_equality;
    subquery->negated_equality = is_inequality;
    struct expr **right = ARENA_ARRAY(ctx->arena, struct expr *, count);
    for (uint32_t i = 0; i < count; i++) {
        struct expr *call, *column = expr_column(ctx->arena, i, plan->types[i]);
        if (!bind_operator(ctx, op, left[i], column, link->location, &call, err))
            return false;
        if ((is_equality || is_inequality) && call->args[0]->type.oid != call->args[1]->type.oid) {
            /* int8 = int4 and the like: keys of a join are of one type. */
            struct expr *both[2] = {call->args[0], call->args[1]};
            struct sql_type common;
            if (!bind_common_type(ctx, both, NULL, 2, "IN", &common, err) ||
                !bind_coerce_all(ctx, both, NULL, 2, common, "IN", err) ||
                !bind_operator(ctx, op, both[0], both[1], link->location, &call, err))
                return false;
        }
        if (call->type.oid != OID_BOOL)
            return BIND_FAIL(ctx, err, link->location, ERRCODE_DATATYPE_MISMATCH,
                             "row comparison operator must yield type boolean, not type %s",
                             type_text(ctx, call->type));
        left[i] = call->args[0];
        right[i] = call->args[1];
        subquery->ops[i] = call->function;
    }
    subquery->plan = plan_project(ctx->arena, plan, right, count);
    expr->args = left;
    expr->args_count = count;
    *out = expr;
    return true;
}

static struct plan *at_most_one(struct planner_context *ctx, struct plan *plan)
{
    struct plan *one = plan_new(ctx->arena, PLAN_AT_MOST_ONE, plan->columns_count, 1);
    memcpy(one->types, plan->types, sizeof(*one->types) * plan->columns_count);
    one->children[0] = plan;
    return one;
}

/* (a, b) = (SELECT c, d ...): a scalar subquery that compares inside. */
static bool bind_row_sublink(struct binder *b, const PgQuery__SubLink *link, struct plan *plan,
                             struct expr **out, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    struct expr **left;
    uint32_t count;
    if (!bind_left(b, link->testexpr, &left, &count, err))
        return false;
    if (count != plan->columns_count)
        return BIND_FAIL(ctx, err, link->location, ERRCODE_SYNTAX_ERROR,
                         count < plan->columns_count ? "subquery has too many columns"
                                                     : "subquery has too few columns");
    struct expr **right = ARENA_ARRAY(ctx->arena, struct expr *, count);
    for (uint32_t i = 0; i < count; i++) {
        if (bound_contains(left[i], KIND_BIT(EXPR_AGGREGATE) | KIND_BIT(EXPR_OVER) | KIND_BIT(EXPR_SET)))
            return BIND_FAIL(ctx, err, link->location, ERRCODE_FEATURE_NOT_SUPPORTED,
                             "aggregates in a row compared with a subquery are not supported");
        left[i] = bound_into_subquery(ctx->arena, left[i]);
        right[i] = expr_column(ctx->arena, i, plan->types[i]);
    }
    struct expr *test;
    const char *op = node_string(link->oper_name[link->n_oper_name - 1]);
    if (!bind_row_compare(b, op, left, right, count, link->location, &test, err))
        return false;
    struct plan *one = at_most_one(ctx, plan);
    *out = subquery_node(ctx, SUBQUERY_SCALAR, plan_project(ctx->arena, one, &test, 1), bool_type,
                         link->location);
    return true;
}

/* ARRAY(SELECT ... ORDER BY ...): array_agg in that order. */
static bool bind_array_sublink(struct binder *b, const PgQuery__SubLink *link, struct bound_query *query,
                               struct expr **out, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    struct plan *plan = query->plan, *top = plan;
    /* Hidden sort columns were dropped by a projection on top of the sort: aggregate below it. */
    uint32_t value = 0;
    if (top->kind == PLAN_CALC && top->calc.condition == NULL && top->children[0]->kind == PLAN_SORT &&
        top->calc.outputs[0]->kind == EXPR_COLUMN) {
        value = top->calc.outputs[0]->index;
        top = top->children[0];
    }
    struct sort_key *order = NULL;
    uint32_t order_count = 0;
    if (top->kind == PLAN_SORT && top->sort.keys_count > 0) {
        order = top->sort.keys;
        order_count = top->sort.keys_count;
        bool cuts = top->sort.limit != NULL || top->sort.offset != NULL || top->sort.distinct_on;
        plan = cuts ? top : top->children[0];
    } else {
        value = 0;
    }
    struct expr *column = expr_column(ctx->arena, value, plan->types[value]);
    struct resolved resolved;
    if (!bind_function(ctx, "array_agg", &column, 1, false, link->location, &resolved, err))
        return false;
    struct plan *aggregate = plan_new(ctx->arena, PLAN_AGGREGATE, 1, 1);
    aggregate->types[0] = resolved.result;
    aggregate->children[0] = plan;
    aggregate->aggregate.calls_count = 1;
    aggregate->aggregate.calls = ARENA_ARRAY(ctx->arena, struct plan_aggregate_call, 1);
    aggregate->aggregate.calls[0] =
        (struct plan_aggregate_call){.aggregate = resolved.aggregate,
                                     .type = resolved.result,
                                     .args_count = 1,
                                     .args = arena_copy(ctx->arena, &value, sizeof(value)),
                                     .filter = -1,
                                     .order_count = order_count,
                                     .order = order};
    struct expr *scalar = subquery_node(ctx, SUBQUERY_SCALAR, aggregate, resolved.result, link->location);
    struct expr *empty = bind_text_constant(ctx, "{}", OID_UNKNOWN, -1);
    if (!bind_coerce(ctx, empty, resolved.result, COERCION_IMPLICIT, -1, &empty, err))
        return false;
    struct expr *both[2] = {scalar, empty};
    *out = expr_new(ctx->arena, EXPR_COALESCE, resolved.result);
    (*out)->args = arena_copy(ctx->arena, both, sizeof(both));
    (*out)->args_count = 2;
    return true;
}

bool bind_sublink(struct binder *b, const PgQuery__SubLink *link, struct expr **out, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    if (b->subqueries_refused)
        return BIND_FAIL(ctx, err, link->location, ERRCODE_FEATURE_NOT_SUPPORTED, "cannot use subquery in %s",
                         b->what != NULL ? b->what : "this expression");
    if (link->subselect == NULL || link->subselect->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return BIND_FAIL(ctx, err, link->location, ERRCODE_SYNTAX_ERROR, "subquery must be a SELECT");
    struct bound_query query;
    if (!bind_query(ctx, b->scope, link->subselect->select_stmt, false, &query, err))
        return false;
    switch (link->sub_link_type) {
    case PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK:
        *out = subquery_node(ctx, SUBQUERY_EXISTS, query.plan, bool_type, link->location);
        return true;
    case PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK:
    case PG_QUERY__SUB_LINK_TYPE__ALL_SUBLINK:
        return bind_quantified(b, link, query.plan, out, err);
    case PG_QUERY__SUB_LINK_TYPE__ROWCOMPARE_SUBLINK:
        return bind_row_sublink(b, link, query.plan, out, err);
    case PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK:
    case PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK:
        if (query.plan->columns_count != 1)
            return BIND_FAIL(ctx, err, link->location, ERRCODE_SYNTAX_ERROR,
                             "subquery must return only one column");
        if (link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK)
            return bind_array_sublink(b, link, &query, out, err);
        *out = subquery_node(ctx, SUBQUERY_SCALAR, query.plan, query.plan->types[0], link->location);
        return true;
    default:
        return BIND_FAIL(ctx, err, link->location, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "this kind of subquery is not supported");
    }
}

/* ---- shapes ---- */

static bool is_one_row(const struct plan *plan)
{
    return plan->kind == PLAN_VALUES && plan->values.rows_count == 1 && plan->columns_count == 0;
}

/* Exactly one row, whatever the data are? */
static bool gives_one_row(const struct plan *plan)
{
    while (plan->kind == PLAN_CALC && plan->calc.condition == NULL)
        plan = plan->children[0];
    return (plan->kind == PLAN_VALUES && plan->values.rows_count == 1) ||
           (plan->kind == PLAN_AGGREGATE && plan->aggregate.groups_count == 0 &&
            plan->aggregate.calls_count > 0);
}

/* What EXISTS asks does not depend on columns, order, duplicates or a positive limit. */
static struct plan *strip_for_exists(struct planner_context *ctx, struct plan *plan)
{
    for (;;) {
        if (plan->kind == PLAN_SORT && plan->sort.offset == NULL && !plan->sort.with_ties &&
            (plan->sort.limit == NULL ||
             (plan->sort.limit->kind == EXPR_CONSTANT && !plan->sort.limit->value.is_null &&
              plan->sort.limit->value.i64 > 0)) &&
            plan->sort.partition_count == 0 && !plan->sort.distinct_on) {
            plan = plan->children[0];
        } else if (plan->kind == PLAN_AGGREGATE && plan->aggregate.calls_count == 0 &&
                   plan->aggregate.groups_count > 0) {
            plan = plan->children[0];
        } else if (plan->kind == PLAN_CALC && plan->calc.condition == NULL) {
            plan = plan->children[0];
        } else {
            break;
        }
    }
    if (plan->kind == PLAN_CALC) {
        plan = plan_clone(ctx->arena, plan);
        plan->columns_count = 0;
    }
    return plan;
}

/* ---- joins ---- */

/* Puts left values into columns of the plan. */
static void left_columns(struct planner_context *ctx, struct plan **plan, struct expr *const *args,
                         uint32_t count, uint32_t *columns)
{
    struct expr **computed = ARENA_ARRAY(ctx->arena, struct expr *, count);
    uint32_t n = 0, base = (*plan)->columns_count, first;
    for (uint32_t i = 0; i < count; i++) {
        columns[i] = args[i]->kind == EXPR_COLUMN ? args[i]->index : base + n;
        if (args[i]->kind != EXPR_COLUMN)
            computed[n++] = args[i];
    }
    if (n > 0)
        *plan = plan_extend(ctx->arena, *plan, computed, n, &first);
}

/* Conditions that could not stay inside: over the join's columns. */
static struct expr *pulled_residual(struct unnest *u, const struct pulled *pulled, uint32_t left)
{
    struct expr *residual = NULL;
    for (uint32_t i = 0; i < pulled->count; i++) {
        struct expr *moved = bound_remap(u->ctx->arena, pulled->items[i], NULL, left);
        residual = bound_and(u->ctx->arena, residual, unnest_resolve(u, moved, NULL));
    }
    return residual;
}

static bool join_unnested(struct planner_context *ctx, struct plan *left, struct plan *subquery,
                          enum join_kind kind, const uint32_t *left_keys, uint32_t keys_count, bool may_pull,
                          struct plan **out, struct unnested *inner, struct error *err)
{
    struct unnest u;
    struct pulled pulled = {0};
    unnest_init(&u, ctx, left, subquery);
    if (!unnest_plan(&u, subquery, may_pull ? &pulled : NULL, inner, err))
        return false;
    plan_shift_levels(ctx->arena, inner->plan, -1);
    struct plan *join = plan_join(ctx->arena, kind, left, inner->plan);
    for (uint32_t i = 0; i < keys_count; i++)
        plan_join_key(ctx->arena, join, left_keys[i], i, false);
    unnest_join_keys(&u, inner, join);
    struct expr *residual = pulled_residual(&u, &pulled, left->columns_count);
    if (residual != NULL)
        join->join.residual = bound_shift_levels(ctx->arena, residual, -1);
    *out = join;
    return true;
}

static bool attach_exists_join(struct planner_context *ctx, struct plan **plan,
                               const struct bound_subquery *subquery, bool negated, struct error *err)
{
    struct unnested inner;
    struct plan *inside = strip_for_exists(ctx, plan_clone(ctx->arena, subquery->plan));
    return join_unnested(ctx, *plan, inside, negated ? JOIN_ANTI : JOIN_SEMI, NULL, 0, true, plan, &inner,
                         err);
}

static bool attach_in_join(struct planner_context *ctx, struct plan **plan, struct expr *const *args,
                           uint32_t count, const struct bound_subquery *subquery, struct error *err)
{
    uint32_t *columns = ARENA_ARRAY(ctx->arena, uint32_t, count);
    left_columns(ctx, plan, args, count, columns);
    struct unnested inner;
    return join_unnested(ctx, *plan, plan_clone(ctx->arena, subquery->plan), JOIN_SEMI, columns, count, true,
                         plan, &inner, err);
}

static bool never_null(const struct expr *expr)
{
    return expr->kind == EXPR_CONSTANT && !expr->value.is_null;
}

/* x NOT IN (S) is true when S has no row equal to x, and, unless S is empty, x and all its values are not
 * NULL. */
static bool attach_not_in(struct planner_context *ctx, struct plan **plan, struct expr *const *args,
                          const struct bound_subquery *subquery, struct error *err)
{
    struct arena *arena = ctx->arena;
    struct unnested inner;
    uint32_t column;
    left_columns(ctx, plan, args, 1, &column);
    if (!join_unnested(ctx, *plan, plan_clone(arena, subquery->plan), JOIN_ANTI, &column, 1, true, plan,
                       &inner, err))
        return false;
    /* A NULL among the values. */
    struct plan *nulls = plan_clone(arena, subquery->plan);
    struct expr *value = expr_column(arena, 0, nulls->types[0]);
    nulls = plan_filter(arena, nulls, bound_is_null(arena, value, false));
    if (!join_unnested(ctx, *plan, nulls, JOIN_ANTI, NULL, 0, true, plan, &inner, err))
        return false;
    if (never_null(args[0]))
        return true;
    /* x is NULL: any row at all. The key is true where x is NULL and matches nothing elsewhere. */
    struct expr *x = expr_column(arena, column, (*plan)->types[column]);
    struct expr *parts[3] = {bound_is_null(arena, x, false), bound_boolean(arena, true),
                             bound_null(arena, bool_type)};
    struct expr *key = bound_case(arena, bool_type, parts, 3);
    uint32_t key_column;
    *plan = plan_extend(arena, *plan, &key, 1, &key_column);
    struct plan *any = strip_for_exists(ctx, plan_clone(arena, subquery->plan));
    struct expr *yes = bound_boolean(arena, true);
    any = plan_project(arena, any, &yes, 1);
    return join_unnested(ctx, *plan, any, JOIN_ANTI, &key_column, 1, true, plan, &inner, err);
}

/* ---- values ---- */

struct attach {
    struct planner_context *ctx;
    struct plan *plan;
    struct done {
        const void *subquery;
        struct expr *value;
        struct expr *node;
    } * done;
    uint32_t done_count, done_cap;
    struct error *err;
    bool failed;
};

struct composed {
    struct arena *arena;
    struct expr *const *inputs; /* what column i of the subquery's node is, over the outer row */
};

static struct expr *compose_node(void *state_, const struct expr *expr, uint32_t level)
{
    const struct composed *state = state_;
    if (level == 0 && expr->kind == EXPR_COLUMN)
        return state->inputs[expr->index];
    if (level == 0 && expr->kind == EXPR_OUTER) {
        if (expr->levels_up == 1)
            return expr_column(state->arena, expr->index, expr->type);
        struct expr *copy = arena_copy(state->arena, expr, sizeof(*copy));
        copy->levels_up--;
        return copy;
    }
    return NULL;
}

/* The values of the first outputs of a chain of projections, computed over the outer row; inputs belong to
 * its bottom. NULL where a condition of the chain is not true: there is no row then. */
static void compose(struct arena *arena, struct plan *const *chain, uint32_t chain_count,
                    struct expr *const *inputs, struct expr **values, uint32_t values_count)
{
    struct expr **current = (struct expr **)inputs, *guard = NULL;
    for (uint32_t i = chain_count; i-- > 0;) {
        const struct plan *calc = chain[i];
        struct expr **next = ARENA_ARRAY(arena, struct expr *, calc->columns_count);
        struct composed state = {arena, current};
        if (calc->calc.condition != NULL)
            guard = bound_and(arena, guard, bound_map(arena, calc->calc.condition, compose_node, &state, 0));
        for (uint32_t c = 0; c < calc->columns_count; c++)
            next[c] = bound_map(arena, calc->calc.outputs[c], compose_node, &state, 0);
        current = next;
    }
    for (uint32_t i = 0; i < values_count; i++) {
        values[i] = current[i];
        if (guard == NULL)
            continue;
        struct expr *parts[3] = {guard, current[i], bound_null(arena, current[i]->type)};
        values[i] = bound_case(arena, current[i]->type, parts, 3);
    }
}

/* Scalar subqueries that are projections of one row or of one global aggregate need no domain: a left join
 * with the grouped aggregate, and the projections over its result. */
static bool attach_simple_scalar(struct attach *a, struct plan *subquery, struct expr **values,
                                 uint32_t values_count, bool *done, struct error *err)
{
    struct arena *arena = a->ctx->arena;
    struct plan **chain = NULL, *bottom = subquery;
    uint32_t chain_count = 0, chain_cap = 0;
    *done = false;
    while (bottom->kind == PLAN_CALC) {
        ARENA_PUSH(arena, chain, chain_count, chain_cap, bottom);
        bottom = bottom->children[0];
    }
    if (is_one_row(bottom) && chain_count > 0) {
        compose(arena, chain, chain_count, NULL, values, values_count);
        *done = true;
        return true;
    }
    if (bottom->kind != PLAN_AGGREGATE || bottom->aggregate.groups_count > 0 ||
        bottom->aggregate.calls_count == 0)
        return true;
    uint32_t calls = bottom->aggregate.calls_count, base = a->plan->columns_count;
    struct expr **inputs = ARENA_ARRAY(arena, struct expr *, calls);
    for (uint32_t i = 0; i < calls; i++)
        inputs[i] = expr_column(arena, base + i, bottom->types[i]);
    if (!plan_outer_columns(bottom, 1, NULL, 0)) {
        plan_shift_levels(arena, bottom, -1);
        a->plan = plan_join(arena, JOIN_INNER, a->plan, bottom);
    } else {
        struct unnest u;
        struct unnested child;
        unnest_init(&u, a->ctx, a->plan, bottom);
        if (!unnest_plan(&u, bottom->children[0], NULL, &child, err))
            return false;
        plan_shift_levels(arena, child.plan, -1);
        uint32_t groups = 0, n = 0;
        for (uint32_t f = 0; f < base; f++)
            groups += child.columns[f] != UINT32_MAX;
        struct plan *aggregate = plan_new(arena, PLAN_AGGREGATE, groups + calls, 1);
        aggregate->children[0] = child.plan;
        aggregate->aggregate.groups_count = groups;
        aggregate->aggregate.groups = ARENA_ARRAY(arena, uint32_t, groups);
        aggregate->aggregate.calls_count = calls;
        aggregate->aggregate.calls = bottom->aggregate.calls;
        struct plan *join = plan_new(arena, PLAN_JOIN, base + groups + calls, 2);
        join->join.kind = JOIN_LEFT;
        join->children[0] = a->plan;
        join->children[1] = aggregate;
        for (uint32_t f = 0; f < base; f++) {
            join->types[f] = a->plan->types[f];
            if (child.columns[f] == UINT32_MAX)
                continue;
            aggregate->aggregate.groups[n] = child.columns[f];
            aggregate->types[n] = child.plan->types[child.columns[f]];
            plan_join_key(arena, join, f, n++, !child.strict[f]);
        }
        for (uint32_t i = 0; i < calls; i++) {
            aggregate->types[groups + i] = bottom->types[i];
            inputs[i] = expr_column(arena, base + groups + i, bottom->types[i]);
            const char *name = bottom->aggregate.calls[i].aggregate->name;
            if (strcmp(name, "count") == 0 || strcmp(name, "regr_count") == 0) {
                struct expr *args[2] = {inputs[i], bound_int8(arena, 0)};
                inputs[i] = expr_new(arena, EXPR_COALESCE, args[0]->type);
                inputs[i]->args = arena_copy(arena, args, sizeof(args));
                inputs[i]->args_count = 2;
            }
        }
        memcpy(join->types + base, aggregate->types, sizeof(*join->types) * (groups + calls));
        a->plan = join;
    }
    compose(arena, chain, chain_count, inputs, values, values_count);
    *done = true;
    return true;
}

/* The first columns of a subquery that gives one row or none. */
static bool attach_scalar(struct attach *a, struct plan *subquery, struct expr **values,
                          uint32_t values_count, struct error *err)
{
    struct arena *arena = a->ctx->arena;
    bool done;
    if (!attach_simple_scalar(a, subquery, values, values_count, &done, err))
        return false;
    if (done)
        return true;
    uint32_t base = a->plan->columns_count;
    if (!gives_one_row(subquery))
        subquery = at_most_one(a->ctx, subquery);
    struct unnested inner;
    if (!plan_outer_columns(subquery, 1, NULL, 0)) {
        plan_finish(subquery, arena);
        if (subquery->kind == PLAN_AT_MOST_ONE && subquery->children[0]->has_key &&
            subquery->children[0]->keys_count == 0)
            subquery = subquery->children[0];
    }
    if (!join_unnested(a->ctx, a->plan, subquery, JOIN_LEFT, NULL, 0, false, &a->plan, &inner, err))
        return false;
    for (uint32_t i = 0; i < values_count; i++)
        values[i] = expr_column(arena, base + i, a->plan->types[base + i]);
    return true;
}

static struct plan *count_plan(struct planner_context *ctx, struct plan *child, const int32_t *filters,
                               uint32_t count)
{
    const struct aggregate_row *const *rows;
    size_t n = aggregate_find("count", &rows);
    const struct aggregate_row *star = NULL;
    for (size_t i = 0; i < n; i++)
        star = rows[i]->args[0] == '\0' ? rows[i] : star;
    CHECK(star != NULL);
    struct plan *plan = plan_new(ctx->arena, PLAN_AGGREGATE, count, 1);
    plan->children[0] = child;
    plan->aggregate.calls_count = count;
    plan->aggregate.calls = ARENA_ARRAY(ctx->arena, struct plan_aggregate_call, count);
    for (uint32_t i = 0; i < count; i++) {
        plan->types[i] = int8_type;
        plan->aggregate.calls[i] =
            (struct plan_aggregate_call){.aggregate = star, .type = int8_type, .filter = filters[i]};
    }
    return plan;
}

static struct expr *is_positive(struct arena *arena, struct expr *count)
{
    return bound_compare(arena, ">", count, bound_int8(arena, 0));
}

static bool attach_exists(struct attach *a, struct plan *subquery, struct expr **value, struct error *err)
{
    struct arena *arena = a->ctx->arena;
    struct plan *inside = strip_for_exists(a->ctx, subquery);
    if (!plan_outer_columns(inside, 1, NULL, 0)) {
        int32_t none = -1;
        struct expr *count;
        if (!attach_scalar(a, count_plan(a->ctx, inside, &none, 1), &count, 1, err))
            return false;
        *value = is_positive(arena, count);
        return true;
    }
    /* Distinct outer values for which there is a row, with a mark. */
    struct unnest u;
    struct unnested inner;
    unnest_init(&u, a->ctx, a->plan, inside);
    if (!unnest_plan(&u, inside, NULL, &inner, err))
        return false;
    plan_shift_levels(arena, inner.plan, -1);
    uint32_t base = a->plan->columns_count, n = 0;
    struct expr **outputs = ARENA_ARRAY(arena, struct expr *, base + 1);
    uint32_t *columns = ARENA_ARRAY(arena, uint32_t, base);
    for (uint32_t f = 0; f < base; f++) {
        if (inner.columns[f] == UINT32_MAX)
            continue;
        columns[n] = f;
        outputs[n++] = expr_column(arena, inner.columns[f], inner.plan->types[inner.columns[f]]);
    }
    outputs[n] = bound_boolean(arena, true);
    struct plan *marks = plan_distinct(arena, plan_project(arena, inner.plan, outputs, n + 1));
    struct plan *join = plan_join(arena, JOIN_LEFT, a->plan, marks);
    for (uint32_t i = 0; i < n; i++)
        plan_join_key(arena, join, columns[i], i, !inner.strict[columns[i]]);
    a->plan = join;
    *value = bound_is_null(arena, expr_column(arena, base + n, bool_type), true);
    return true;
}

/* x = ANY (S) of one column: a match, the number of rows, the number of those not NULL. */
static bool attach_equal_any(struct attach *a, struct expr *x, const struct bound_subquery *subquery,
                             struct expr **value, struct error *err)
{
    struct arena *arena = a->ctx->arena;
    struct expr *counts[2];
    const int32_t filters[2] = {-1, 0};
    struct plan *inside = plan_clone(arena, subquery->plan);
    struct expr *is_null = bound_is_null(arena, expr_column(arena, 0, inside->types[0]), false);
    inside = count_plan(a->ctx, plan_project(arena, inside, &is_null, 1), filters, 2);
    if (!attach_scalar(a, inside, counts, 2, err))
        return false;
    uint32_t column;
    left_columns(a->ctx, &a->plan, &x, 1, &column);
    /* Distinct values with a mark; outer columns ride along. */
    inside = plan_clone(arena, subquery->plan);
    struct unnest u;
    struct unnested inner;
    unnest_init(&u, a->ctx, a->plan, inside);
    if (!unnest_plan(&u, inside, NULL, &inner, err))
        return false;
    plan_shift_levels(arena, inner.plan, -1);
    uint32_t base = a->plan->columns_count, n = 1;
    struct expr **outputs = ARENA_ARRAY(arena, struct expr *, base + 2);
    uint32_t *columns = ARENA_ARRAY(arena, uint32_t, base + 1);
    outputs[0] = expr_column(arena, 0, inner.plan->types[0]);
    for (uint32_t f = 0; f < base; f++) {
        if (inner.columns[f] == UINT32_MAX)
            continue;
        columns[n] = f;
        outputs[n++] = expr_column(arena, inner.columns[f], inner.plan->types[inner.columns[f]]);
    }
    outputs[n] = bound_boolean(arena, true);
    struct plan *marks = plan_distinct(arena, plan_project(arena, inner.plan, outputs, n + 1));
    struct plan *join = plan_join(arena, JOIN_LEFT, a->plan, marks);
    plan_join_key(arena, join, column, 0, false);
    for (uint32_t i = 1; i < n; i++)
        plan_join_key(arena, join, columns[i], i, !inner.strict[columns[i]]);
    a->plan = join;
    struct expr *matched = bound_is_null(arena, expr_column(arena, base + n, bool_type), true);
    struct expr *empty = bound_compare(arena, "=", counts[0], bound_int8(arena, 0));
    struct expr *unknown[2] = {bound_is_null(arena, expr_column(arena, column, x->type), false),
                               is_positive(arena, counts[1])};
    struct expr *either = expr_new(arena, EXPR_OR, bool_type);
    either->args = arena_copy(arena, unknown, sizeof(unknown));
    either->args_count = 2;
    struct expr *parts[7] = {matched,
                             bound_boolean(arena, true),
                             empty,
                             bound_boolean(arena, false),
                             either,
                             bound_null(arena, bool_type),
                             bound_boolean(arena, false)};
    *value = bound_case(arena, bool_type, parts, 7);
    return true;
}

/* Any comparison: how often it was true, false, unknown. Compared inside, over the domain. */
static bool attach_counted(struct attach *a, const struct expr *node, const struct bound_subquery *subquery,
                           struct expr **value, struct error *err)
{
    struct arena *arena = a->ctx->arena;
    bool is_any = subquery->kind == SUBQUERY_ANY;
    struct plan *inside = plan_clone(arena, subquery->plan);
    struct expr **tests = ARENA_ARRAY(arena, struct expr *, node->args_count);
    for (uint32_t i = 0; i < node->args_count; i++) {
        struct expr *args[2] = {bound_into_subquery(arena, node->args[i]),
                                expr_column(arena, i, inside->types[i])};
        tests[i] = expr_call(arena, subquery->ops[i], bool_type, arena_copy(arena, args, sizeof(args)), 2);
    }
    struct expr *test = tests[0];
    if (node->args_count > 1) {
        test = expr_new(arena, subquery->is_equality ? EXPR_AND : EXPR_OR, bool_type);
        test->args = tests;
        test->args_count = node->args_count;
    }
    struct expr *outputs[2] = {is_any ? test : bound_not(arena, test), bound_is_null(arena, test, false)};
    inside = plan_project(arena, inside, outputs, 2);
    struct expr *counts[2];
    const int32_t filters[2] = {0, 1};
    if (!attach_scalar(a, count_plan(a->ctx, inside, filters, 2), counts, 2, err))
        return false;
    struct expr *parts[5] = {is_positive(arena, counts[0]), bound_boolean(arena, is_any),
                             is_positive(arena, counts[1]), bound_null(arena, bool_type),
                             bound_boolean(arena, !is_any)};
    *value = bound_case(arena, bool_type, parts, 5);
    return true;
}

static bool attach_value(struct attach *a, struct expr *node, struct expr **value, struct error *err)
{
    const struct bound_subquery *subquery = node->planner;
    struct arena *arena = a->ctx->arena;
    switch (subquery->kind) {
    case SUBQUERY_EXISTS:
        return attach_exists(a, plan_clone(arena, subquery->plan), value, err);
    case SUBQUERY_SCALAR:
    case SUBQUERY_ARRAY:
        return attach_scalar(a, plan_clone(arena, subquery->plan), value, 1, err);
    case SUBQUERY_ANY:
        if (subquery->is_equality && node->args_count == 1)
            return attach_equal_any(a, node->args[0], subquery, value, err);
        return attach_counted(a, node, subquery, value, err);
    case SUBQUERY_ALL:
        if (subquery->negated_equality && node->args_count == 1) {
            if (!attach_equal_any(a, node->args[0], subquery, value, err))
                return false;
            *value = bound_not(arena, *value);
            return true;
        }
        return attach_counted(a, node, subquery, value, err);
    }
    return error_set(err, ERRCODE_INTERNAL_ERROR, "unknown kind of subquery");
}

static struct expr *attach_node(void *a_, const struct expr *expr, uint32_t level)
{
    struct attach *a = a_;
    if (expr->kind != EXPR_SUBQUERY || level > 0)
        return NULL;
    if (a->failed)
        return (struct expr *)expr;
    for (uint32_t i = 0; i < a->done_count; i++) {
        if (a->done[i].subquery == expr->planner)
            return a->done[i].value;
    }
    struct expr *node = arena_copy(a->ctx->arena, expr, sizeof(*node));
    node->args = arena_copy(a->ctx->arena, expr->args, sizeof(*node->args) * expr->args_count);
    for (uint32_t i = 0; i < node->args_count; i++)
        node->args[i] = bound_map(a->ctx->arena, node->args[i], attach_node, a, 0);
    struct expr *value = NULL;
    if (a->failed || !bind_enter(a->ctx, a->err)) {
        a->failed = true;
        return (struct expr *)expr;
    }
    a->failed = !attach_value(a, node, &value, a->err);
    bind_leave(a->ctx);
    if (a->failed)
        return (struct expr *)expr;
    struct done done = {expr->planner, value, node};
    ARENA_PUSH(a->ctx->arena, a->done, a->done_count, a->done_cap, done);
    return value;
}

bool subquery_attach(struct planner_context *ctx, struct plan **plan, struct expr **exprs, uint32_t count,
                     struct error *err)
{
    struct attach a = {.ctx = ctx, .plan = *plan, .err = err};
    for (uint32_t i = 0; i < count && !a.failed; i++) {
        if (bound_contains(exprs[i], KIND_BIT(EXPR_SUBQUERY)))
            exprs[i] = bound_map(ctx->arena, exprs[i], attach_node, &a, 0);
    }
    *plan = a.plan;
    return !a.failed;
}

/* ---- conditions ---- */

/* A conjunct that is a semi or anti join by itself: *done. */
static bool apply_conjunct(struct planner_context *ctx, struct plan **plan, struct expr *expr, bool *done,
                           struct error *err)
{
    bool negated = false;
    *done = true;
    while (expr->kind == EXPR_NOT) {
        negated = !negated;
        expr = expr->args[0];
    }
    if (expr->kind != EXPR_SUBQUERY) {
        *done = false;
        return true;
    }
    const struct bound_subquery *subquery = expr->planner;
    if (subquery->kind == SUBQUERY_EXISTS)
        return attach_exists_join(ctx, plan, subquery, negated, err);
    struct expr **args = arena_copy(ctx->arena, expr->args, sizeof(*args) * expr->args_count);
    bool is_in = subquery->kind == SUBQUERY_ANY && subquery->is_equality && !negated;
    bool is_not_in =
        expr->args_count == 1 && ((subquery->kind == SUBQUERY_ANY && subquery->is_equality && negated) ||
                                  (subquery->kind == SUBQUERY_ALL && subquery->negated_equality && !negated));
    for (uint32_t i = 0; i < expr->args_count; i++) {
        /* Keys of a join have the same type on both sides. */
        bool same = args[i]->type.oid == subquery->plan->types[i].oid;
        is_in = is_in && same;
        is_not_in = is_not_in && same;
    }
    if (!is_in && !is_not_in) {
        *done = false;
        return true;
    }
    if (!subquery_attach(ctx, plan, args, expr->args_count, err))
        return false;
    return is_in ? attach_in_join(ctx, plan, args, expr->args_count, subquery, err)
                 : attach_not_in(ctx, plan, args, subquery, err);
}

bool bind_apply_condition(struct planner_context *ctx, struct plan **plan, struct expr *condition,
                          struct error *err)
{
    struct arena *arena = ctx->arena;
    uint32_t count;
    struct expr **parts = bound_conjuncts(arena, condition, &count);
    struct expr **plain = ARENA_ARRAY(arena, struct expr *, count);
    uint32_t plain_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (bound_contains(parts[i], KIND_BIT(EXPR_SUBQUERY)))
            continue;
        plain[plain_count++] = parts[i];
        parts[i] = NULL;
    }
    if (plain_count > 0)
        *plan = plan_filter(arena, *plan, bound_and_list(arena, plain, plain_count));
    for (uint32_t i = 0; i < count; i++) {
        bool done;
        if (parts[i] == NULL)
            continue;
        if (!apply_conjunct(ctx, plan, parts[i], &done, err))
            return false;
        if (done)
            continue;
        if (!subquery_attach(ctx, plan, &parts[i], 1, err))
            return false;
        *plan = plan_filter(arena, *plan, parts[i]);
    }
    return true;
}

/* ---- LATERAL ---- */

/* A lateral item that only computes from the row: put it on top of the left plan. NULL when it is none. */
static struct plan *replay(struct planner_context *ctx, struct plan *left, const struct plan *right,
                           bool may_filter)
{
    struct arena *arena = ctx->arena;
    if (is_one_row(right))
        return left;
    if (right->kind != PLAN_CALC && right->kind != PLAN_PROJECT_SET)
        return NULL;
    if (right->kind == PLAN_CALC && right->calc.condition != NULL && !may_filter)
        return NULL;
    struct plan *child = replay(ctx, left, right->children[0], may_filter);
    if (child == NULL)
        return NULL;
    uint32_t l = left->columns_count;
    struct expr **inputs = ARENA_ARRAY(arena, struct expr *, child->columns_count - l);
    for (uint32_t i = l; i < child->columns_count; i++)
        inputs[i - l] = expr_column(arena, i, child->types[i]);
    struct composed state = {arena, inputs};
    if (right->kind == PLAN_PROJECT_SET) {
        uint32_t added = right->columns_count - right->children[0]->columns_count;
        struct plan *set = plan_new(arena, PLAN_PROJECT_SET, child->columns_count + added, 1);
        memcpy(set->types, child->types, sizeof(*set->types) * child->columns_count);
        memcpy(set->types + child->columns_count, right->types + right->children[0]->columns_count,
               sizeof(*set->types) * added);
        set->children[0] = child;
        set->project_set = right->project_set;
        set->project_set.calls = ARENA_ARRAY(arena, struct expr *, right->project_set.calls_count);
        for (uint32_t i = 0; i < right->project_set.calls_count; i++)
            set->project_set.calls[i] =
                bound_map(arena, right->project_set.calls[i], compose_node, &state, 0);
        return set;
    }
    struct expr **outputs = ARENA_ARRAY(arena, struct expr *, l + right->columns_count);
    for (uint32_t i = 0; i < l; i++)
        outputs[i] = expr_column(arena, i, left->types[i]);
    for (uint32_t i = 0; i < right->columns_count; i++)
        outputs[l + i] = bound_map(arena, right->calc.outputs[i], compose_node, &state, 0);
    struct plan *calc = plan_project(arena, child, outputs, l + right->columns_count);
    if (right->calc.condition != NULL)
        calc->calc.condition = bound_map(arena, right->calc.condition, compose_node, &state, 0);
    return calc;
}

/* For LEFT: a single PROJECT_SET below plain column picks can keep rows without results by itself. */
static bool keeps_empty(const struct plan *right)
{
    while (right->kind == PLAN_CALC) {
        for (uint32_t i = 0; i < right->columns_count; i++) {
            if (right->calc.outputs[i]->kind != EXPR_COLUMN)
                return false;
        }
        if (right->calc.condition != NULL)
            return false;
        right = right->children[0];
    }
    return right->kind == PLAN_PROJECT_SET && is_one_row(right->children[0]);
}

static void set_keep_empty(struct plan *plan)
{
    while (plan->kind == PLAN_CALC)
        plan = plan->children[0];
    plan->project_set.keep_empty = true;
}

static bool is_true(const struct expr *expr)
{
    return expr == NULL || (expr->kind == EXPR_CONSTANT && !expr->value.is_null && expr->value.boolean);
}

bool subquery_lateral(struct planner_context *ctx, struct plan *left, struct plan *right, enum join_kind kind,
                      struct expr *condition, struct plan **out, struct error *err)
{
    struct arena *arena = ctx->arena;
    uint32_t l = left->columns_count, r = right->columns_count;
    bool always_one = gives_one_row(right) && right->kind == PLAN_CALC;
    if (kind == JOIN_INNER || (is_true(condition) && (keeps_empty(right) || always_one))) {
        struct plan *plan = replay(ctx, left, right, kind == JOIN_INNER);
        if (plan != NULL) {
            if (kind == JOIN_LEFT && keeps_empty(right))
                set_keep_empty(plan);
            *out = plan;
            return is_true(condition) || bind_apply_condition(ctx, out, condition, err);
        }
    }
    if (condition != NULL && bound_contains(condition, KIND_BIT(EXPR_SUBQUERY)) && kind != JOIN_INNER)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "subqueries in the condition of a LEFT JOIN LATERAL are not supported");
    struct unnested inner;
    if (!join_unnested(ctx, left, right, kind, NULL, 0, true, out, &inner, err))
        return false;
    uint32_t *map = ARENA_ARRAY(arena, uint32_t, l + r);
    for (uint32_t i = 0; i < l + r; i++)
        map[i] = i;
    if (kind == JOIN_LEFT && condition != NULL)
        (*out)->join.residual = bound_and(arena, (*out)->join.residual, condition);
    if ((*out)->columns_count > l + r)
        *out = plan_pick(arena, *out, map, l + r);
    return kind == JOIN_LEFT || condition == NULL || bind_apply_condition(ctx, out, condition, err);
}
