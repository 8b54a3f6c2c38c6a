/* pass_slices.c: an aggregate by window_start or window_end of HOP counts every row once, in its slice.
 *
 * Wanted: Aggregate over Window, with at most a Calc in between; the Calc hands window_start and window_end on
 * as they are, and the aggregate uses them for grouping only; every call can be merged. Then Window gives the
 * row's slice where it gave windows, and Aggregate turns slices into windows (op_aggregate_slices.c). What
 * the rows look like in between does not depend on the window, so computing it once is enough. */
#include "planner/pass.h"

#include "executor/operator.h"

static bool uses_window(struct planner_context *ctx, const struct expr *expr, const struct plan *window)
{
    bool *used = ARENA_ARRAY(ctx->arena, bool, window->columns_count);
    bound_columns(expr, used, window->columns_count);
    return used[window->columns_count - 2] || used[window->columns_count - 1];
}

/* What a column of the aggregate's input says of the window; false: something computed from it. */
static bool column_role(struct planner_context *ctx, const struct plan *input, const struct plan *window,
                        uint32_t column, uint8_t *role)
{
    uint32_t window_start = window->columns_count - 2;
    *role = ROLE_NONE;
    if (input != window) {
        const struct expr *output = input->calc.outputs[column];
        if (output->kind != EXPR_COLUMN)
            return !uses_window(ctx, output, window);
        column = output->index;
    }
    if (column >= window_start)
        *role = column == window_start ? ROLE_WINDOW_START : ROLE_WINDOW_END;
    return true;
}

static bool is_plain(struct planner_context *ctx, const struct plan *input, const struct plan *window,
                     uint32_t column)
{
    uint8_t role;
    return column_role(ctx, input, window, column, &role) && role == ROLE_NONE;
}

static bool call_is_plain(struct planner_context *ctx, const struct plan *input, const struct plan *window,
                          const struct plan_aggregate_call *call)
{
    for (uint32_t i = 0; i < call->args_count; i++) {
        if (!is_plain(ctx, input, window, call->args[i]))
            return false;
    }
    return call->filter < 0 || is_plain(ctx, input, window, (uint32_t)call->filter);
}

static int64_t divisor_of(int64_t a, int64_t b)
{
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static void slice(struct planner_context *ctx, struct plan *plan)
{
    struct plan *input = plan->children[0];
    struct plan *window = input->kind == PLAN_CALC ? input->children[0] : input;
    if (window->kind != PLAN_WINDOW || window->window.slide_us == window->window.size_us ||
        window->window.slice_us != 0 || !op_aggregate_can_merge(plan, !ctx->for_view))
        return;
    if (input != window && input->calc.condition != NULL && uses_window(ctx, input->calc.condition, window))
        return;
    struct plan_slices *slices = ARENA_NEW(ctx->arena, struct plan_slices);
    slices->roles = ARENA_ARRAY(ctx->arena, uint8_t, plan->aggregate.groups_count);
    bool by_window = false;
    for (uint32_t g = 0; g < plan->aggregate.groups_count; g++) {
        if (!column_role(ctx, input, window, plan->aggregate.groups[g], &slices->roles[g]))
            return;
        by_window = by_window || slices->roles[g] != ROLE_NONE;
    }
    for (uint32_t c = 0; c < plan->aggregate.calls_count; c++) {
        if (!call_is_plain(ctx, input, window, &plan->aggregate.calls[c]))
            return;
    }
    if (!by_window)
        return;
    slices->slide_us = window->window.slide_us;
    slices->size_us = window->window.size_us;
    slices->slice_us = divisor_of(slices->size_us, slices->slide_us);
    slices->offset_us = window->window.offset_us;
    window->window.slice_us = slices->slice_us;
    plan->aggregate.slices = slices;
}

static void slice_all(struct planner_context *ctx, struct plan *plan)
{
    for (uint32_t i = 0; i < plan->children_count; i++)
        slice_all(ctx, plan->children[i]);
    if (plan->kind == PLAN_AGGREGATE)
        slice(ctx, plan);
}

bool pass_slices(struct planner_context *ctx, struct plan **plan, struct error *err)
{
    plan_finish(*plan, ctx->arena); /* what is append-only */
    slice_all(ctx, *plan);
    (void)err;
    return true;
}
