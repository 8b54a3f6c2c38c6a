/* pass_merge.c: a CALC on top of a CALC becomes one, and one that changes nothing goes away. */
#include "planner/pass.h"

static uint32_t size_of(const struct expr *expr, uint32_t limit)
{
    uint32_t size = 1;
    for (uint32_t i = 0; i < expr->args_count && size < limit; i++)
        size += size_of(expr->args[i], limit);
    return size;
}

struct uses {
    uint32_t *counts;
};

static void count_columns(void *uses_, const struct expr *expr, uint32_t level)
{
    struct uses *uses = uses_;
    if (level == 0 && expr->kind == EXPR_COLUMN)
        uses->counts[expr->index]++;
}

/* May the lower one's outputs be written out in the upper one? Not when that computes something volatile
 * twice, or makes expressions grow without end. */
static bool can_merge(struct planner_context *ctx, const struct plan *upper, const struct plan *lower)
{
    struct uses uses = {ARENA_ARRAY(ctx->arena, uint32_t, lower->columns_count)};
    if (upper->calc.condition != NULL)
        bound_visit(upper->calc.condition, count_columns, &uses, 0);
    for (uint32_t i = 0; i < upper->columns_count; i++)
        bound_visit(upper->calc.outputs[i], count_columns, &uses, 0);
    for (uint32_t i = 0; i < lower->columns_count; i++) {
        const struct expr *output = lower->calc.outputs[i];
        if (output->kind == EXPR_COLUMN || output->kind == EXPR_CONSTANT || output->kind == EXPR_PARAM)
            continue;
        if (expr_is_volatile(output))
            return false;
        if (uses.counts[i] > 1 && size_of(output, 40) >= 40)
            return false;
        if (uses.counts[i] > 0 && size_of(output, 500) >= 500)
            return false;
    }
    return lower->calc.condition == NULL || !expr_is_volatile(lower->calc.condition);
}

static bool is_identity(const struct plan *plan)
{
    if (plan->calc.condition != NULL || plan->columns_count != plan->children[0]->columns_count)
        return false;
    for (uint32_t i = 0; i < plan->columns_count; i++) {
        if (plan->calc.outputs[i]->kind != EXPR_COLUMN || plan->calc.outputs[i]->index != i)
            return false;
    }
    return true;
}

static struct plan *merge(struct planner_context *ctx, struct plan *plan)
{
    for (uint32_t i = 0; i < plan->children_count; i++)
        plan->children[i] = merge(ctx, plan->children[i]);
    if (plan->kind != PLAN_CALC)
        return plan;
    struct plan *lower = plan->children[0];
    if (lower->kind == PLAN_CALC && can_merge(ctx, plan, lower)) {
        struct expr *condition = plan->calc.condition;
        if (condition != NULL)
            condition = bound_substitute(ctx->arena, condition, lower->calc.outputs);
        plan->calc.condition = bound_and(ctx->arena, lower->calc.condition, condition);
        for (uint32_t i = 0; i < plan->columns_count; i++)
            plan->calc.outputs[i] = bound_substitute(ctx->arena, plan->calc.outputs[i], lower->calc.outputs);
        plan->children[0] = lower->children[0];
    }
    return is_identity(plan) ? plan->children[0] : plan;
}

bool pass_merge(struct planner_context *ctx, struct plan **plan, struct error *err)
{
    *plan = merge(ctx, *plan);
    (void)err;
    return true;
}
