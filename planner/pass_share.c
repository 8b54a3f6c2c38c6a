/* pass_share.c: parts of a view's plan that are equal become one node with several parents, which is one
 * operator with several consumers (dataflow_build.c).
 *
 * A SELECT keeps its tree: a join streams its left side only where no row of it has flowed before, so that
 * sharing would cost it an arrangement. Plain scans are left alone: reading a change twice costs nothing. */
#include "planner/pass.h"

struct seen {
    struct plan **nodes;
    uint32_t count, cap;
};

static struct plan *share(struct planner_context *ctx, struct seen *seen, struct plan *plan)
{
    if (plan->kind == PLAN_SCAN || plan->kind == PLAN_VALUES)
        return plan;
    for (uint32_t i = 0; i < seen->count; i++) {
        if (bound_equal_plan(seen->nodes[i], plan))
            return seen->nodes[i];
    }
    for (uint32_t i = 0; i < plan->children_count; i++)
        plan->children[i] = share(ctx, seen, plan->children[i]);
    ARENA_PUSH(ctx->arena, seen->nodes, seen->count, seen->cap, plan);
    return plan;
}

bool pass_share(struct planner_context *ctx, struct plan **plan, struct error *err)
{
    struct seen seen = {0};
    if (ctx->for_view)
        *plan = share(ctx, &seen, *plan);
    (void)err;
    return true;
}
