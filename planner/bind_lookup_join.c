/* bind_lookup_join.c: see bind_time_join.h. Keys and conditions on one side are sorted out as for an ordinary join. */
#include "planner/bind_time_join.h"

#include "planner/join_keys.h"

/* IS NOT DISTINCT FROM is no key here: it goes back to the residual. */
static struct expr *safe_equality(struct arena *arena, const struct plan *join, uint32_t key)
{
    uint32_t left = join->join.left_keys[key], right = join->join.right_keys[key];
    struct expr *args[] = {
        expr_column(arena, left, join->children[0]->types[left]),
        expr_column(arena, join->children[0]->columns_count + right, join->children[1]->types[right])};
    struct expr *same = expr_new(arena, EXPR_IS_DISTINCT, (struct sql_type){OID_BOOL, -1});
    same->args = arena_copy(arena, args, sizeof(args));
    same->args_count = 2;
    same->flag = true;
    return same;
}

static struct plan *as_lookup_join(struct arena *arena, const struct plan *join)
{
    struct plan *plan = plan_new(arena, PLAN_LOOKUP_JOIN, join->columns_count, 2);
    memcpy(plan->types, join->types, sizeof(*plan->types) * join->columns_count);
    memcpy(plan->children, join->children, sizeof(struct plan *) * 2);
    plan->lookup_join.is_left = join->join.kind == JOIN_LEFT;
    plan->lookup_join.residual = join->join.residual;
    plan->lookup_join.left_keys = ARENA_ARRAY(arena, uint32_t, join->join.keys_count);
    plan->lookup_join.right_keys = ARENA_ARRAY(arena, uint32_t, join->join.keys_count);
    for (uint32_t i = 0; i < join->join.keys_count; i++) {
        if (join->join.null_safe != NULL && join->join.null_safe[i]) {
            plan->lookup_join.residual =
                bound_and(arena, plan->lookup_join.residual, safe_equality(arena, join, i));
            continue;
        }
        uint32_t key = plan->lookup_join.keys_count++;
        plan->lookup_join.left_keys[key] = join->join.left_keys[i];
        plan->lookup_join.right_keys[key] = join->join.right_keys[i];
    }
    return plan;
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
    join->join.residual = condition;
    join = join_take_keys(ctx, join);
    struct plan **slot = &join;
    while ((*slot)->kind != PLAN_JOIN) /* projections above computed keys */
        slot = &(*slot)->children[0];
    *slot = as_lookup_join(ctx->arena, *slot);
    if ((*slot)->lookup_join.keys_count == 0) {
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                  "a join with FOR SYSTEM_TIME AS OF needs an equality between its sides");
        return error_hint(err, "Rows of the right side are found by it: ON s.key = t.key.");
    }
    *out = join;
    return true;
}
