/* pass_fold.c: conditions without columns are decided now; plans that can have no rows become empty ones. */
#include "planner/pass.h"

#include "executor/expr_program.h"

static bool is_empty(const struct plan *plan)
{
    return plan->kind == PLAN_VALUES && plan->values.rows_count == 0;
}

static struct plan *empty_like(struct planner_context *ctx, const struct plan *plan)
{
    return plan_empty(ctx->arena, plan->types, plan->columns_count);
}

/* The constant a row-less condition has; false when it cannot or must not be computed now (its error belongs
 * to run time). */
static bool decide(struct planner_context *ctx, const struct expr *expr, struct datum *value)
{
    if (expr->kind == EXPR_CONSTANT) {
        *value = expr->value;
        return true;
    }
    if (ctx->env == NULL || bound_uses_row(expr) || bound_is_correlated(expr) || !expr_is_immutable(expr))
        return false;
    struct error ignored;
    error_init(&ignored);
    return expr_eval_constant(expr, ctx->env, ctx->arena, value, &ignored);
}

/* a AND x OR a AND y  is  a AND (x OR y): finds join keys hidden in a disjunction. */
static struct expr *factor_or(struct arena *arena, struct expr *expr)
{
    if (expr->kind != EXPR_OR || expr->args_count > 64)
        return expr;
    uint32_t first_count, common_count = 0;
    struct expr **first = bound_conjuncts(arena, expr->args[0], &first_count);
    struct expr **common = ARENA_ARRAY(arena, struct expr *, first_count);
    for (uint32_t i = 0; i < first_count; i++) {
        bool everywhere = !expr_is_volatile(first[i]);
        for (uint32_t k = 1; k < expr->args_count && everywhere; k++) {
            uint32_t count;
            struct expr **parts = bound_conjuncts(arena, expr->args[k], &count);
            everywhere = false;
            for (uint32_t p = 0; p < count && !everywhere; p++)
                everywhere = bound_equal(parts[p], first[i]);
        }
        if (everywhere)
            common[common_count++] = first[i];
    }
    if (common_count == 0)
        return expr;
    struct expr **rest = ARENA_ARRAY(arena, struct expr *, expr->args_count);
    for (uint32_t k = 0; k < expr->args_count; k++) {
        uint32_t count;
        struct expr **parts = bound_conjuncts(arena, expr->args[k], &count), *kept = NULL;
        for (uint32_t p = 0; p < count; p++) {
            bool is_common = false;
            for (uint32_t i = 0; i < common_count && !is_common; i++)
                is_common = bound_equal(parts[p], common[i]);
            if (!is_common)
                kept = bound_and(arena, kept, parts[p]);
        }
        if (kept == NULL)
            return bound_and_list(arena, common,
                                  common_count); /* one branch is nothing but the common part */
        rest[k] = kept;
    }
    struct expr *either = arena_copy(arena, expr, sizeof(*either));
    either->args = rest;
    return bound_and(arena, bound_and_list(arena, common, common_count), either);
}

/* Drops true conjuncts; *never: the whole is false or unknown. NULL: nothing is left. */
static struct expr *fold_condition(struct planner_context *ctx, struct expr *condition, bool *never)
{
    uint32_t count;
    struct expr **parts = bound_conjuncts(ctx->arena, condition, &count);
    struct expr **kept = ARENA_ARRAY(ctx->arena, struct expr *, count);
    uint32_t kept_count = 0;
    bool changed = false;
    *never = false;
    for (uint32_t i = 0; i < count; i++) {
        struct datum value;
        struct expr *part = factor_or(ctx->arena, parts[i]);
        changed = changed || part != parts[i];
        if (!decide(ctx, part, &value)) {
            kept[kept_count++] = part;
            continue;
        }
        changed = true;
        if (value.is_null || !value.boolean) {
            *never = true;
            return NULL;
        }
    }
    return changed ? bound_and_list(ctx->arena, kept, kept_count) : condition;
}

static struct plan *fold(struct planner_context *ctx, struct plan *plan);

static struct plan *fold_join(struct planner_context *ctx, struct plan *plan)
{
    bool left_empty = is_empty(plan->children[0]), right_empty = is_empty(plan->children[1]), never = false;
    if (plan->join.residual != NULL)
        plan->join.residual = fold_condition(ctx, plan->join.residual, &never);
    if (never && plan->join.kind == JOIN_FULL) {
        /* No pair matches: a residual of false keeps saying so. */
        plan->join.residual = bound_boolean(ctx->arena, false);
        return plan;
    }
    right_empty = right_empty || never;
    switch (plan->join.kind) {
    case JOIN_INNER:
    case JOIN_SEMI:
        return left_empty || right_empty ? empty_like(ctx, plan) : plan;
    case JOIN_ANTI:
        return left_empty || right_empty ? plan->children[0] : plan;
    case JOIN_LEFT:
        if (left_empty)
            return empty_like(ctx, plan);
        if (!right_empty)
            return plan;
        break;
    case JOIN_FULL:
        if (left_empty && right_empty)
            return empty_like(ctx, plan);
        if (!right_empty)
            return plan;
        break;
    }
    /* Left rows with NULLs beside them. */
    struct expr **outputs = ARENA_ARRAY(ctx->arena, struct expr *, plan->columns_count);
    uint32_t l = plan->children[0]->columns_count;
    for (uint32_t i = 0; i < plan->columns_count; i++)
        outputs[i] =
            i < l ? expr_column(ctx->arena, i, plan->types[i]) : bound_null(ctx->arena, plan->types[i]);
    return plan_project(ctx->arena, plan->children[0], outputs, plan->columns_count);
}

static struct plan *fold_union(struct planner_context *ctx, struct plan *plan)
{
    uint32_t kept = 0;
    struct plan **children = ARENA_ARRAY(ctx->arena, struct plan *, plan->children_count);
    for (uint32_t i = 0; i < plan->children_count; i++) {
        if (!is_empty(plan->children[i]))
            children[kept++] = plan->children[i];
    }
    if (kept == 0)
        return empty_like(ctx, plan);
    if (kept == 1)
        return children[0];
    plan->children = children;
    plan->children_count = kept;
    return plan;
}

static struct plan *fold(struct planner_context *ctx, struct plan *plan)
{
    for (uint32_t i = 0; i < plan->children_count; i++)
        plan->children[i] = fold(ctx, plan->children[i]);
    bool child_empty = plan->children_count > 0 && is_empty(plan->children[0]), never;
    switch (plan->kind) {
    case PLAN_CALC:
        plan->calc.condition = fold_condition(ctx, plan->calc.condition, &never);
        return child_empty || never ? empty_like(ctx, plan) : plan;
    case PLAN_JOIN:
        return fold_join(ctx, plan);
    case PLAN_UNION_ALL:
        return fold_union(ctx, plan);
    case PLAN_AGGREGATE:
        return child_empty && (plan->aggregate.groups_count > 0 || plan->aggregate.calls_count == 0)
                   ? empty_like(ctx, plan)
                   : plan;
    case PLAN_SORT: {
        struct datum limit;
        bool zero = plan->sort.limit != NULL && decide(ctx, plan->sort.limit, &limit) && !limit.is_null &&
                    limit.i64 == 0;
        return child_empty || zero ? empty_like(ctx, plan) : plan;
    }
    case PLAN_PROJECT_SET:
    case PLAN_WINDOW:
    case PLAN_SESSION:
    case PLAN_OVER:
    case PLAN_AT_MOST_ONE:
        return child_empty ? empty_like(ctx, plan) : plan;
    case PLAN_SET_OP:
        if (child_empty)
            return empty_like(ctx, plan);
        if (!is_empty(plan->children[1]))
            return plan;
        if (!plan->set_op.is_except)
            return empty_like(ctx, plan);
        return plan->set_op.all ? plan->children[0] : plan_distinct(ctx->arena, plan->children[0]);
    default:
        return plan;
    }
}

bool pass_fold(struct planner_context *ctx, struct plan **plan, struct error *err)
{
    *plan = fold(ctx, *plan);
    (void)err;
    return true;
}
