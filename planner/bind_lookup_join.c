/* bind_lookup_join.c: see bind_time_join.h. Keys and conditions on one side are sorted out as for an ordinary join. */
#include "planner/bind_time_join.h"

#include "executor/relation.h"
#include "planner/join_keys.h"
#include "planner/statement.h"

bool bind_system_time(const PgQuery__Node *item, PgQuery__RangeVar *relation,
                      const PgQuery__ColumnRef **column)
{
    if (item->node_case != PG_QUERY__NODE__NODE_RANGE_FUNCTION || item->range_function->n_functions != 1)
        return false;
    const PgQuery__Node *node = item->range_function->functions[0]->list->items[0];
    if (node->node_case != PG_QUERY__NODE__NODE_FUNC_CALL)
        return false;
    const PgQuery__FuncCall *call = node->func_call;
    if (call->n_funcname != 1 || strcmp(node_string(call->funcname[0]), STATEMENT_SYSTEM_TIME) != 0 ||
        call->n_args < 1 || call->n_args > 2 || call->args[0]->node_case != PG_QUERY__NODE__NODE_COLUMN_REF)
        return false;
    if (call->n_args == 2 && call->args[1]->node_case != PG_QUERY__NODE__NODE_COLUMN_REF)
        return false;
    *column = call->n_args == 2 ? call->args[1]->column_ref : NULL;
    const PgQuery__ColumnRef *name = call->args[0]->column_ref;
    if (name->n_fields > 2)
        return false;
    for (size_t i = 0; i < name->n_fields; i++)
        if (name->fields[i]->node_case != PG_QUERY__NODE__NODE_STRING)
            return false;
    pg_query__range_var__init(relation);
    relation->location = call->location;
    relation->relname = name->fields[name->n_fields - 1]->string->sval;
    if (name->n_fields == 2)
        relation->schemaname = name->fields[0]->string->sval;
    relation->alias = item->range_function->alias;
    return true;
}

/* IS NOT DISTINCT FROM is no key here: it goes back to the residual. */
static bool add_safe_equality(struct planner_context *ctx, const struct plan *join, uint32_t key,
                              struct expr **residual, struct error *err)
{
    uint32_t left = join->join.left_keys[key], right = join->join.right_keys[key];
    struct expr *equal;
    if (!bind_operator(ctx, "=", expr_column(ctx->arena, left, join->children[0]->types[left]),
                       expr_column(ctx->arena, join->children[0]->columns_count + right,
                                   join->children[1]->types[right]),
                       -1, &equal, err))
        return false;
    struct expr *same = expr_new(ctx->arena, EXPR_IS_DISTINCT, (struct sql_type){OID_BOOL, -1});
    same->args = equal->args;
    same->args_count = 2;
    same->function = equal->function;
    same->flag = true;
    *residual = bound_and(ctx->arena, *residual, same);
    return true;
}

static bool as_lookup_join(struct planner_context *ctx, struct plan **slot, struct error *err)
{
    struct arena *arena = ctx->arena;
    const struct plan *join = *slot;
    struct plan *plan = plan_new(arena, PLAN_LOOKUP_JOIN, join->columns_count, 2);
    memcpy(plan->types, join->types, sizeof(*plan->types) * join->columns_count);
    memcpy(plan->children, join->children, sizeof(struct plan *) * 2);
    plan->lookup_join.is_left = join->join.kind == JOIN_LEFT;
    plan->lookup_join.residual = join->join.residual;
    plan->lookup_join.left_keys = ARENA_ARRAY(arena, uint32_t, join->join.keys_count);
    plan->lookup_join.right_keys = ARENA_ARRAY(arena, uint32_t, join->join.keys_count);
    for (uint32_t i = 0; i < join->join.keys_count; i++) {
        if (join->join.null_safe != NULL && join->join.null_safe[i]) {
            if (!add_safe_equality(ctx, join, i, &plan->lookup_join.residual, err))
                return false;
            continue;
        }
        uint32_t key = plan->lookup_join.keys_count++;
        plan->lookup_join.left_keys[key] = join->join.left_keys[i];
        plan->lookup_join.right_keys[key] = join->join.right_keys[i];
    }
    *slot = plan;
    if (plan->lookup_join.keys_count > 0)
        return true;
    error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
              "a join with FOR SYSTEM_TIME AS OF needs an equality between its sides");
    return error_hint(err, "Rows of the right side are found by it: ON s.key = t.key.");
}

/* Conditions on the clock that read the left side: they hold for the joined row and not for the moment of the lookup,
 * and below the join they would take left rows back. */
static struct expr *take_clock_conditions(struct planner_context *ctx, uint32_t left_count, uint32_t total,
                                          struct expr **condition)
{
    uint32_t count;
    struct expr **parts = bound_conjuncts(ctx->arena, *condition, &count), *above = NULL, *rest = NULL;
    for (uint32_t i = 0; i < count; i++) {
        bool moves = pass_now_has_clock(parts[i]) && (join_sides(ctx, parts[i], left_count, total) & 1);
        struct expr **list = moves ? &above : &rest;
        *list = bound_and(ctx->arena, *list, parts[i]);
    }
    *condition = rest;
    return above;
}

/* ---- external tables ---- */

/* Which column of the key the right side of an equality is; -1: none. A key of type varchar may have been made text: the same bytes. */
static int32_t key_place(const struct expr *right, const uint32_t *key, uint32_t key_count)
{
    while (right->kind == EXPR_CAST && right->type.oid == OID_TEXT && right->args[0]->type.oid == OID_VARCHAR)
        right = right->args[0];
    for (uint32_t k = 0; k < key_count; k++)
        if (right->kind == EXPR_COLUMN && right->index == key[k])
            return (int32_t)k;
    return -1;
}

/* column = constant, for a column of the key: *value is the constant. types: of the right side. */
static int32_t constant_key(struct planner_context *ctx, const struct expr *part, uint32_t left_count,
                            uint32_t total, const uint32_t *key, uint32_t key_count,
                            const struct sql_type *types, struct expr **value)
{
    if (part->kind != EXPR_CALL || part->args_count != 2 || !(part->function->flags & FN_OPERATOR) ||
        strcmp(part->function->name, "=") != 0 || join_sides(ctx, part, left_count, total) != 2)
        return -1;
    uint32_t *map = ARENA_ARRAY(ctx->arena, uint32_t, total);
    for (uint32_t i = 0; i < total; i++)
        map[i] = i < left_count ? UINT32_MAX : i - left_count;
    for (uint32_t side = 0; side < 2; side++) {
        int32_t place = key_place(bound_remap(ctx->arena, part->args[side], map, 0), key, key_count);
        *value = part->args[1 - side];
        if (place >= 0 && !bound_uses_row(*value) && !expr_is_volatile(*value) &&
            !bound_contains(*value, KIND_BIT(EXPR_SUBQUERY)) &&
            type_can_coerce((*value)->type.oid, types[key[place]].oid, COERCION_IMPLICIT))
            return place;
    }
    return -1;
}

/* What ON is made of: a value of the left side for each column of the key, conditions on the left side alone, the rest. */
struct external_condition {
    const uint32_t *key;
    uint32_t key_count;
    struct expr **values;
    struct expr *below, *rest;
};

static bool sort_out(struct planner_context *ctx, bool is_left, uint32_t left_count, const struct plan *right,
                     struct expr *condition, struct external_condition *out, struct error *err)
{
    uint32_t count, total = left_count + right->columns_count;
    struct expr **parts = bound_conjuncts(ctx->arena, condition, &count);
    out->key_count = relation_key(right->scan.relation, &out->key);
    out->values = ARENA_ARRAY(ctx->arena, struct expr *, out->key_count);
    for (uint32_t i = 0; i < count; i++) {
        struct join_equality equality;
        int32_t place = -1;
        if (join_equality_of(ctx, parts[i], left_count, total, &equality) && !equality.null_safe)
            place = key_place(equality.right, out->key, out->key_count);
        else
            place = constant_key(ctx, parts[i], left_count, total, out->key, out->key_count, right->types,
                                 &equality.left);
        if (place >= 0 && out->values[place] == NULL) {
            struct sql_type type = right->types[out->key[place]];
            if (equality.left->type.oid != type.oid &&
                !bind_coerce(ctx, equality.left, (struct sql_type){type.oid, -1}, COERCION_IMPLICIT, -1,
                             &equality.left, err))
                return false;
            out->values[place] = equality.left;
            continue;
        }
        bool on_left =
            !is_left && join_sides(ctx, parts[i], left_count, total) == 1 && !expr_is_volatile(parts[i]);
        struct expr **list = on_left ? &out->below : &out->rest;
        *list = bound_and(ctx->arena, *list, parts[i]);
    }
    for (uint32_t k = 0; k < out->key_count; k++) {
        const char *name = relation_column_names(right->scan.relation)[out->key[k]];
        if (out->values[k] != NULL)
            continue;
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                  "external table \"%s\" is looked up by its primary key: ON needs an equality for column "
                  "\"%s\"",
                  right->scan.name, name);
        return error_hint(err, "ON s.k = %s.%s; a value of a wider type must be cast to that of the column.",
                          right->scan.name, name);
    }
    return true;
}

/* Keys in the order of the table's own; conditions on the right side stay above the lookup, which would take a row that
 * they leave out for one that is not known yet. */
static bool bind_external_join(struct planner_context *ctx, bool is_left, struct plan *left,
                               struct plan *right, struct expr *condition, struct plan **out,
                               struct error *err)
{
    struct arena *arena = ctx->arena;
    uint32_t l = left->columns_count, r = right->columns_count;
    struct external_condition on = {0};
    if (!sort_out(ctx, is_left, l, right, condition, &on, err))
        return false;
    struct expr **computed = ARENA_ARRAY(arena, struct expr *, on.key_count);
    uint32_t *left_keys = ARENA_ARRAY(arena, uint32_t, on.key_count), computed_count = 0, first = 0;
    for (uint32_t k = 0; k < on.key_count; k++) {
        bool is_column = on.values[k]->kind == EXPR_COLUMN;
        left_keys[k] = is_column ? on.values[k]->index : l + computed_count;
        if (!is_column)
            computed[computed_count++] = on.values[k];
    }
    if (on.below != NULL)
        left = plan_filter(arena, left, on.below);
    if (computed_count > 0)
        left = plan_extend(arena, left, computed, computed_count, &first);
    uint32_t wide = left->columns_count;
    CHECK(wide == l + computed_count);
    uint32_t *list = ARENA_ARRAY(arena, uint32_t, l + r);
    for (uint32_t i = 0; i < l + r; i++)
        list[i] = i < l ? i : i - l + wide;
    struct plan *plan = plan_new(arena, PLAN_LOOKUP_JOIN, wide + r, 2);
    memcpy(plan->types, left->types, sizeof(*plan->types) * wide);
    memcpy(plan->types + wide, right->types, sizeof(*plan->types) * r);
    plan->children[0] = left;
    plan->children[1] = right;
    plan->lookup_join.is_left = is_left;
    plan->lookup_join.keys_count = on.key_count;
    plan->lookup_join.left_keys = left_keys;
    plan->lookup_join.right_keys = arena_copy(arena, on.key, sizeof(*on.key) * on.key_count);
    plan->lookup_join.residual = on.rest != NULL ? bound_remap(arena, on.rest, list, 0) : NULL;
    plan->lookup_join.is_external = true;
    plan->lookup_join.found_column = r - 1; /* scan_plan */
    *out = wide > l ? plan_pick(arena, plan, list, l + r) : plan;
    return true;
}

static bool is_external(const struct plan *plan)
{
    return plan->kind == PLAN_SCAN && plan->scan.relation != NULL &&
           relation_lookup_source(plan->scan.relation) != NULL;
}

bool bind_lookup_join(struct planner_context *ctx, bool is_left, struct plan *left, struct plan *right,
                      struct expr *condition, struct plan **out, struct error *err)
{
    enum join_kind kind = is_left ? JOIN_LEFT : JOIN_INNER;
    if (!ctx->for_view)
        return bind_join_plans(ctx, kind, left, right, condition, out, err);
    if (condition != NULL && bound_contains(condition, KIND_BIT(EXPR_SUBQUERY)))
        return error_set(
            err, ERRCODE_FEATURE_NOT_SUPPORTED,
            "subqueries in the condition of a join with FOR SYSTEM_TIME AS OF are not supported");
    struct plan *join = plan_join(ctx->arena, kind, left, right);
    struct expr *above = NULL;
    if (!is_left)
        above = take_clock_conditions(ctx, left->columns_count, join->columns_count, &condition);
    if (is_external(right)) {
        if (!bind_external_join(ctx, is_left, left, right, condition, &join, err))
            return false;
        *out = above != NULL ? plan_filter(ctx->arena, join, above) : join;
        return true;
    }
    join->join.residual = condition;
    join = join_take_keys(ctx, join);
    struct plan **slot = &join;
    while ((*slot)->kind != PLAN_JOIN) /* projections above computed keys */
        slot = &(*slot)->children[0];
    if (!as_lookup_join(ctx, slot, err))
        return false;
    *out = above != NULL ? plan_filter(ctx->arena, join, above) : join;
    return true;
}
