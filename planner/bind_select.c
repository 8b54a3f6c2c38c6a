/* bind_select.c: one SELECT from FROM to LIMIT, and the entry points of the planner.
 *
 * The order is SQL's: FROM, WHERE, GROUP BY and aggregates, HAVING, window functions, set-returning
 * functions, DISTINCT, ORDER BY, LIMIT. Each step puts nodes on top of the plan and rewrites what is still to
 * be computed. */
#include "planner/bind.h"

#include "planner/pass.h"

#include <stdarg.h>

void planner_init(struct planner_context *ctx, struct arena *arena, struct catalog *catalog,
                  const struct eval_env *env)
{
    *ctx = (struct planner_context){.arena = arena, .catalog = catalog, .env = env};
}

void planner_notice(struct planner_context *ctx, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *copy = arena_vprintf(ctx->arena, format, args);
    va_end(args);
    ARENA_PUSH(ctx->arena, ctx->notices, ctx->notices_count, ctx->notices_cap, copy);
}

/* ---- conditions ---- */

bool bind_join_plans(struct planner_context *ctx, enum join_kind kind, struct plan *left, struct plan *right,
                     struct expr *condition, struct plan **out, struct error *err)
{
    struct arena *arena = ctx->arena;
    if (condition == NULL) {
        *out = plan_join(arena, kind, left, right);
        return true;
    }
    if (kind == JOIN_INNER) {
        *out = plan_join(arena, kind, left, right);
        return bind_apply_condition(ctx, out, condition, err);
    }
    if (!bound_contains(condition, KIND_BIT(EXPR_SUBQUERY))) {
        *out = plan_join(arena, kind, left, right);
        (*out)->join.residual = condition;
        return true;
    }
    /* Subqueries of ON: those over one side are computed there; both sides at once only for a left join. */
    uint32_t l = left->columns_count, r = right->columns_count, count;
    struct expr **parts = bound_conjuncts(arena, condition, &count);
    struct plan *new_left = left, *new_right = right;
    struct expr **kept = ARENA_ARRAY(arena, struct expr *, count);
    bool *kept_right = ARENA_ARRAY(arena, bool, count);
    uint32_t *to_right = ARENA_ARRAY(arena, uint32_t, l + r);
    for (uint32_t i = 0; i < l + r; i++)
        to_right[i] = i < l ? UINT32_MAX : i - l;
    for (uint32_t i = 0; i < count; i++) {
        kept[i] = parts[i];
        if (!bound_contains(parts[i], KIND_BIT(EXPR_SUBQUERY)))
            continue;
        bool *used = ARENA_ARRAY(arena, bool, l + r), in_left = false, in_right = false;
        bound_columns(parts[i], used, l + r);
        for (uint32_t c = 0; c < l + r; c++) {
            in_left = in_left || (c < l && used[c]);
            in_right = in_right || (c >= l && used[c]);
        }
        if (in_left && in_right)
            return error_set(
                err, ERRCODE_FEATURE_NOT_SUPPORTED,
                "subqueries over both sides in the condition of an outer join are not supported");
        kept_right[i] = in_right;
        if (in_right)
            kept[i] = bound_remap(arena, parts[i], to_right, 0);
        if (!subquery_attach(ctx, in_right ? &new_right : &new_left, &kept[i], 1, err))
            return false;
    }
    uint32_t wide = new_left->columns_count;
    uint32_t *map = ARENA_ARRAY(arena, uint32_t, l + r);
    for (uint32_t i = 0; i < l + r; i++)
        map[i] = i < l ? i : i - l + wide;
    struct expr *residual = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (kept_right[i])
            kept[i] = bound_remap(arena, kept[i], NULL, wide);
        else if (kept[i] == parts[i])
            kept[i] = bound_remap(arena, kept[i], map, 0);
        residual = bound_and(arena, residual, kept[i]);
    }
    struct plan *join = plan_join(arena, kind, new_left, new_right);
    join->join.residual = residual;
    uint32_t *list = ARENA_ARRAY(arena, uint32_t, l + r);
    memcpy(list, map, sizeof(*list) * (l + r));
    *out = plan_pick(arena, join, list, l + r);
    return true;
}

/* ---- targets ---- */

static bool add_target(struct select_state *state, struct expr *expr, const char *name, int32_t location,
                       struct error *err)
{
    if (state->targets_count >= 1664)
        return error_set(err, ERRCODE_TOO_MANY_COLUMNS, "target lists can have at most 1664 entries");
    struct target target = {expr, name, location};
    ARENA_PUSH(state->ctx->arena, state->targets, state->targets_count, state->targets_cap, target);
    return true;
}

uint32_t select_add_target(struct select_state *state, struct expr *expr, int32_t location)
{
    for (uint32_t i = 0; i < state->targets_count; i++) {
        if (bound_equal(state->targets[i].expr, expr))
            return i;
    }
    struct target target = {expr, "?column?", location};
    ARENA_PUSH(state->ctx->arena, state->targets, state->targets_count, state->targets_cap, target);
    return state->targets_count - 1;
}

static bool is_star(const PgQuery__Node *node)
{
    return node->node_case == PG_QUERY__NODE__NODE_COLUMN_REF &&
           node->column_ref->fields[node->column_ref->n_fields - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
}

/* (f(x)).*: every column of a set-returning function. */
static bool is_row_star(const PgQuery__Node *node)
{
    return node->node_case == PG_QUERY__NODE__NODE_A_INDIRECTION && node->a_indirection->n_indirection == 1 &&
           node->a_indirection->indirection[0]->node_case == PG_QUERY__NODE__NODE_A_STAR;
}

static bool bind_row_star(struct binder *b, struct select_state *state, const PgQuery__Node *node,
                          struct error *err)
{
    struct expr *row;
    if (!bind_expr(b, node->a_indirection->arg, &row, err))
        return false;
    if (row->kind != EXPR_ROW || row->args_count == 0 || row->args[0]->kind != EXPR_SET)
        return BIND_FAIL(b->ctx, err, node_location(node), ERRCODE_FEATURE_NOT_SUPPORTED,
                         "expansion of this row is not supported");
    const struct function_signature *signature = function_signature(row->args[0]->function);
    for (uint32_t i = 0; i < row->args_count; i++) {
        if (!add_target(state, row->args[i], signature->column_names[i], node_location(node), err))
            return false;
    }
    return true;
}

static bool bind_targets(struct select_state *state, bool unknowns_stay, struct error *err)
{
    struct planner_context *ctx = state->ctx;
    struct binder b = {.ctx = ctx, .scope = state->scope, .place = PLACE_SELECT};
    for (size_t i = 0; i < state->select->n_target_list; i++) {
        const PgQuery__ResTarget *target = state->select->target_list[i]->res_target;
        const PgQuery__Node *node = target->val;
        if (is_star(node)) {
            struct expr **exprs;
            const char **names;
            uint32_t count;
            if (!bind_star(&b, node->column_ref, &exprs, &names, &count, err))
                return false;
            for (uint32_t k = 0; k < count; k++) {
                if (!add_target(state, exprs[k], names[k], node->column_ref->location, err))
                    return false;
            }
            continue;
        }
        if (is_row_star(node)) {
            if (!bind_row_star(&b, state, node, err))
                return false;
            continue;
        }
        struct expr *expr;
        if (!bind_expr(&b, node, &expr, err))
            return false;
        bool literal = expr->kind == EXPR_CONSTANT || expr->kind == EXPR_PARAM;
        if (!(unknowns_stay && literal) && !bind_known(ctx, expr, &expr, err))
            return false;
        const char *name = target->name[0] != '\0' ? target->name : node_column_name(node);
        if (!add_target(state, expr, name, node_location(node), err))
            return false;
    }
    state->visible_count = state->targets_count;
    return true;
}

/* ---- set-returning functions ---- */

struct set_list {
    struct planner_context *ctx;
    struct expr **calls; /* one node per different call */
    uint32_t *columns;   /* first result column in the plan */
    uint32_t count, cap;
};

static bool same_call(const struct expr *a, const struct expr *c)
{
    if (a->function != c->function || a->args_count != c->args_count || a->position != c->position)
        return false;
    for (uint32_t i = 0; i < a->args_count; i++) {
        if (!bound_equal(a->args[i], c->args[i]))
            return false;
    }
    return true;
}

/* Innermost calls first: only those whose arguments hold no other. */
static void collect_sets(void *list_, const struct expr *expr, uint32_t level)
{
    struct set_list *list = list_;
    if (expr->kind != EXPR_SET || level > 0)
        return;
    for (uint32_t i = 0; i < expr->args_count; i++) {
        if (bound_contains(expr->args[i], KIND_BIT(EXPR_SET)))
            return;
    }
    for (uint32_t i = 0; i < list->count; i++) {
        if (same_call(list->calls[i], expr))
            return;
    }
    ARENA_PUSH(list->ctx->arena, list->calls, list->count, list->cap, (struct expr *)expr);
}

static struct expr *replace_sets(void *list_, const struct expr *expr, uint32_t level)
{
    const struct set_list *list = list_;
    if (expr->kind != EXPR_SET || level > 0)
        return NULL;
    for (uint32_t i = 0; i < list->count; i++) {
        if (same_call(list->calls[i], expr))
            return expr_column(list->ctx->arena,
                               list->columns[i] + ((struct bound_set *)expr->planner)->column, expr->type);
    }
    return NULL;
}

bool bind_sets(struct select_state *state, struct error *err)
{
    struct planner_context *ctx = state->ctx;
    for (uint32_t round = 0; round < 16; round++) {
        struct set_list list = {.ctx = ctx};
        for (uint32_t i = 0; i < state->targets_count; i++)
            bound_visit(state->targets[i].expr, collect_sets, &list, 0);
        if (list.count == 0)
            return true;
        list.columns = ARENA_ARRAY(ctx->arena, uint32_t, list.count);
        uint32_t width = state->plan->columns_count;
        for (uint32_t i = 0; i < list.count; i++) {
            list.columns[i] = width;
            width += ((struct bound_set *)list.calls[i]->planner)->columns_count;
        }
        struct plan *set = plan_new(ctx->arena, PLAN_PROJECT_SET, width, 1);
        memcpy(set->types, state->plan->types, sizeof(*set->types) * state->plan->columns_count);
        set->children[0] = state->plan;
        set->project_set.calls_count = list.count;
        set->project_set.calls = ARENA_ARRAY(ctx->arena, struct expr *, list.count);
        for (uint32_t i = 0; i < list.count; i++) {
            const struct expr *call = list.calls[i];
            const struct function_signature *signature = function_signature(call->function);
            bool several = signature->columns_count > 0;
            for (uint32_t c = 0; several && c < signature->columns_count; c++)
                set->types[list.columns[i] + c] = (struct sql_type){
                    signature->column_types[c] == OID_ANYELEMENT ? call->type.oid
                                                                 : signature->column_types[c],
                    -1};
            if (!several)
                set->types[list.columns[i]] = call->type;
            set->project_set.calls[i] = expr_call(ctx->arena, call->function,
                                                  several ? (struct sql_type){OID_RECORD, -1} : call->type,
                                                  call->args, call->args_count);
        }
        state->plan = set;
        for (uint32_t i = 0; i < state->targets_count; i++)
            state->targets[i].expr = bound_map(ctx->arena, state->targets[i].expr, replace_sets, &list, 0);
    }
    return error_set(err, ERRCODE_STATEMENT_TOO_COMPLEX, "set-returning functions are nested too deeply");
}

/* ---- one SELECT ---- */

static bool attach_targets(struct select_state *state, struct error *err)
{
    struct arena *arena = state->ctx->arena;
    struct expr **exprs = ARENA_ARRAY(arena, struct expr *, state->targets_count);
    for (uint32_t i = 0; i < state->targets_count; i++)
        exprs[i] = state->targets[i].expr;
    if (!subquery_attach(state->ctx, &state->plan, exprs, state->targets_count, err))
        return false;
    for (uint32_t i = 0; i < state->targets_count; i++)
        state->targets[i].expr = exprs[i];
    return true;
}

static bool bind_simple_select(struct planner_context *ctx, struct scope *scope,
                               const PgQuery__SelectStmt *select, bool unknowns_stay, struct bound_query *out,
                               struct error *err)
{
    struct select_state state = {.ctx = ctx, .scope = scope, .select = select};
    if (select->into_clause != NULL)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "SELECT INTO is not supported here");
    scope->windows_count = select->n_window_clause;
    scope->windows = select->window_clause;
    if (!bind_from(ctx, scope, select->n_from_clause, select->from_clause, &state.plan, err))
        return false;
    if (node_exists(select->where_clause)) {
        struct binder b = {.ctx = ctx, .scope = scope, .place = PLACE_WHERE};
        struct expr *where;
        if (!bind_condition(&b, select->where_clause, "WHERE", &where, err) ||
            !bind_apply_condition(ctx, &state.plan, where, err))
            return false;
    }
    if (!bind_targets(&state, unknowns_stay, err) || !bind_order_by(&state, err) ||
        !bind_distinct_on(&state, err))
        return false;
    if (node_exists(select->having_clause)) {
        struct binder b = {.ctx = ctx, .scope = scope, .place = PLACE_HAVING};
        if (!bind_condition(&b, select->having_clause, "HAVING", &state.having, err))
            return false;
    }
    if (!bind_grouping(&state, err) || !attach_targets(&state, err) || !bind_windows(&state, err) ||
        !bind_sets(&state, err) || !bind_finish_select(&state, err))
        return false;
    out->plan = state.plan;
    out->names = ARENA_ARRAY(ctx->arena, const char *, state.visible_count);
    for (uint32_t i = 0; i < state.visible_count; i++)
        out->names[i] = arena_strdup(ctx->arena, state.targets[i].name);
    return true;
}

#define PLAN_NODES_MAX 200000u

bool bind_query(struct planner_context *ctx, struct scope *parent, const PgQuery__SelectStmt *select,
                bool unknowns_stay, struct bound_query *out, struct error *err)
{
    if (!bind_enter(ctx, err))
        return false;
    struct scope *scope = ARENA_NEW(ctx->arena, struct scope);
    scope->parent = parent;
    scope->is_query = true;
    if (select->n_locking_clause > 0 && ctx->for_view) {
        bind_leave(ctx);
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "FOR UPDATE and its like are not supported in a materialized view");
    }
    bool ok = bind_with(ctx, scope, select->with_clause, err);
    if (ok && select->op != PG_QUERY__SET_OPERATION__SETOP_NONE)
        ok = bind_set_operation(ctx, scope, select, out, err);
    else if (ok && select->n_values_lists > 0)
        ok = bind_values(ctx, scope, select, unknowns_stay, out, err);
    else if (ok)
        ok = bind_simple_select(ctx, scope, select, unknowns_stay, out, err);
    bind_leave(ctx);
    if (ok && plan_size(out->plan) > PLAN_NODES_MAX)
        return error_set(err, ERRCODE_STATEMENT_TOO_COMPLEX, "statement needs more than %u plan nodes",
                         PLAN_NODES_MAX);
    return ok;
}

/* ---- entry points ---- */

static void settle_params(struct planner_context *ctx)
{
    for (uint32_t i = 0; i < ctx->params_count; i++) {
        if (ctx->params[i].oid == 0 || ctx->params[i].oid == OID_UNKNOWN)
            ctx->params[i] = (struct sql_type){OID_TEXT, -1};
    }
}

bool planner_select(struct planner_context *ctx, const PgQuery__SelectStmt *select, struct plan **out,
                    struct error *err)
{
    struct bound_query query;
    if (!bind_query(ctx, NULL, select, false, &query, err))
        return false;
    settle_params(ctx);
    return planner_run_passes(ctx, query.plan, query.names, out, err);
}

static bool relation_scope(struct planner_context *ctx, const struct scope_relation *relations,
                           uint32_t count, struct scope *scope, struct error *err)
{
    uint32_t column = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct catalog_object *object = relations[i].object;
        struct range_entry *entry = ARENA_NEW(ctx->arena, struct range_entry);
        entry->alias = relations[i].alias != NULL ? relations[i].alias : object->name;
        const struct catalog_schema *schema =
            ctx->catalog != NULL ? catalog_find_schema_oid(ctx->catalog, object->schema_oid) : NULL;
        entry->schema = relations[i].alias == NULL || strcmp(relations[i].alias, object->name) == 0
                            ? (schema != NULL ? schema->name : NULL)
                            : NULL;
        entry->object = object;
        entry->relation_visible = true;
        entry->columns_visible = i == 0; /* EXCLUDED and the like need their name */
        entry->columns_count = object->columns_count;
        entry->columns = ARENA_ARRAY(ctx->arena, struct range_column, object->columns_count);
        for (uint32_t k = 0; k < object->columns_count; k++)
            entry->columns[k] =
                (struct range_column){object->columns[k].name, column++, object->columns[k].type};
        if (!scope_add_entry(ctx, scope, entry, -1, err))
            return false;
    }
    return true;
}

bool planner_expression(struct planner_context *ctx, const PgQuery__Node *node,
                        const struct scope_relation *relations, uint32_t relations_count,
                        struct sql_type target, const char *what, struct expr **out, struct error *err)
{
    struct scope *scope = ARENA_NEW(ctx->arena, struct scope);
    scope->is_query = true;
    if (!relation_scope(ctx, relations, relations_count, scope, err))
        return false;
    struct binder b = {
        .ctx = ctx, .scope = scope, .place = PLACE_OTHER, .what = what, .subqueries_refused = true};
    struct expr *expr;
    if (!bind_expr(&b, node, &expr, err))
        return false;
    if (target.oid == 0) {
        if (!bind_known(ctx, expr, &expr, err))
            return false;
    } else if (target.oid == OID_BOOL) {
        if (!bind_to_boolean(ctx, expr, what != NULL ? what : "expression", node_location(node), &expr, err))
            return false;
    } else {
        if (!type_can_coerce(expr->type.oid, target.oid, COERCION_ASSIGNMENT))
            return BIND_FAIL(ctx, err, node_location(node), ERRCODE_DATATYPE_MISMATCH,
                             "expression is of type %s but type %s is expected", type_text(ctx, expr->type),
                             type_text(ctx, target));
        if (!bind_coerce(ctx, expr, target, COERCION_ASSIGNMENT, node_location(node), &expr, err))
            return false;
    }
    *out = expr;
    return true;
}

bool planner_target_list(struct planner_context *ctx, size_t nodes_count, PgQuery__Node **nodes,
                         const struct scope_relation *relations, uint32_t relations_count,
                         struct expr ***exprs, const char ***names, uint32_t *count, struct error *err)
{
    struct scope *scope = ARENA_NEW(ctx->arena, struct scope);
    scope->is_query = true;
    if (!relation_scope(ctx, relations, relations_count, scope, err))
        return false;
    struct binder b = {
        .ctx = ctx, .scope = scope, .place = PLACE_OTHER, .what = "RETURNING", .subqueries_refused = true};
    struct expr **list = NULL;
    const char **list_names = NULL;
    uint32_t list_cap = 0, names_cap = 0, names_count = 0;
    *count = 0;
    for (size_t i = 0; i < nodes_count; i++) {
        const PgQuery__ResTarget *target = nodes[i]->res_target;
        struct expr **found, *expr;
        const char **found_names, *name;
        uint32_t found_count = 1;
        if (is_star(target->val)) {
            if (!bind_star(&b, target->val->column_ref, &found, &found_names, &found_count, err))
                return false;
        } else {
            if (!bind_expr(&b, target->val, &expr, err) || !bind_known(ctx, expr, &expr, err))
                return false;
            name = target->name[0] != '\0' ? target->name : node_column_name(target->val);
            found = &expr;
            found_names = &name;
        }
        for (uint32_t k = 0; k < found_count; k++) {
            ARENA_PUSH(ctx->arena, list, *count, list_cap, found[k]);
            ARENA_PUSH(ctx->arena, list_names, names_count, names_cap,
                       arena_strdup(ctx->arena, found_names[k]));
        }
    }
    *exprs = list;
    *names = list_names;
    return true;
}

bool planner_assign(struct planner_context *ctx, struct expr *expr, struct sql_type target,
                    const char *column_name, struct expr **out, struct error *err)
{
    if (!type_can_coerce(expr->type.oid, target.oid, COERCION_ASSIGNMENT)) {
        BIND_FAIL(ctx, err, expr->position - 1, ERRCODE_DATATYPE_MISMATCH,
                  "column \"%s\" is of type %s but expression is of type %s", column_name,
                  type_text(ctx, (struct sql_type){target.oid, -1}),
                  type_text(ctx, (struct sql_type){expr->type.oid, -1}));
        return error_hint(err, "You will need to rewrite or cast the expression.");
    }
    return bind_coerce(ctx, expr, target, COERCION_ASSIGNMENT, expr->position - 1, out, err);
}
