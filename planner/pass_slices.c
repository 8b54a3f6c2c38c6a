/* pass_slices.c: an aggregate by window_start or window_end of HOP sees every row once, in its slice.
 *
 * Wanted: Aggregate over Window, with at most a Calc in between; the Calc hands window_start and window_end on
 * as they are, and the aggregate uses them for grouping only. What the rows look like in between does not
 * depend on the window, so computing it once is enough. Then:
 *
 *   every call can be merged      Window gives the row's slice where it gave windows, and Aggregate turns
 *                                 slices into windows (op_aggregate_slices.c)
 *   every call is min or max      the same aggregate by slice; then by window, over the slices' results
 *   none minds duplicates         the different rows of each slice; then the aggregate by window over them */
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

/* Where rows can be late for some of their windows only, a slice says which is the first that takes the row. */
static bool has_open(const struct plan *window)
{
    return window->window.lateness != NULL;
}

static void add_open_column(struct planner_context *ctx, struct plan *window)
{
    uint32_t count = window->columns_count;
    struct sql_type *types = ARENA_ARRAY(ctx->arena, struct sql_type, count + 1);
    memcpy(types, window->types, sizeof(*types) * count);
    types[count] = types[count - 2];
    window->types = types;
    window->columns_count = count + 1;
}

/* The aggregate's input hands it on. */
static void pass_open_column(struct planner_context *ctx, struct plan *plan, struct plan *window)
{
    struct plan *input = plan->children[0];
    uint32_t open = window->columns_count;
    add_open_column(ctx, window);
    plan->aggregate.slices->has_open = true;
    plan->aggregate.slices->open_column = input->columns_count;
    if (input == window) {
        plan->aggregate.slices->open_column = open;
        return;
    }
    uint32_t count = input->columns_count;
    struct expr **outputs = ARENA_ARRAY(ctx->arena, struct expr *, count + 1);
    struct sql_type *types = ARENA_ARRAY(ctx->arena, struct sql_type, count + 1);
    memcpy(outputs, input->calc.outputs, sizeof(*outputs) * count);
    memcpy(types, input->types, sizeof(*types) * count);
    outputs[count] = expr_column(ctx->arena, open, window->types[open]);
    types[count] = window->types[open];
    input->calc.outputs = outputs;
    input->types = types;
    input->columns_count = count + 1;
}

/* The input once more, by slice: the given columns of it, then where the slice starts, then the first window that takes
 * the row if there is such a column. */
static struct plan *sliced_input(struct planner_context *ctx, const struct plan *input, struct plan *window,
                                 const uint32_t *columns, uint32_t count)
{
    uint32_t start = window->columns_count - 2, width = count + 1 + has_open(window);
    if (has_open(window))
        add_open_column(ctx, window);
    struct plan *calc = plan_new(ctx->arena, PLAN_CALC, width, 1);
    calc->children[0] = window;
    if (input != window)
        calc->calc.condition = input->calc.condition;
    calc->calc.outputs = ARENA_ARRAY(ctx->arena, struct expr *, width);
    for (uint32_t i = 0; i < count; i++)
        calc->calc.outputs[i] = input != window
                                    ? input->calc.outputs[columns[i]]
                                    : expr_column(ctx->arena, columns[i], input->types[columns[i]]);
    calc->calc.outputs[count] = expr_column(ctx->arena, start, window->types[start]);
    if (width > count + 1)
        calc->calc.outputs[count + 1] = expr_column(ctx->arena, start + 2, window->types[start + 2]);
    for (uint32_t i = 0; i < width; i++)
        calc->types[i] = calc->calc.outputs[i]->type;
    return calc;
}

/* HOP over rows that stand for slices; where they say which window is the first, that stands behind time_column. */
static struct plan *windows_of_slices(struct planner_context *ctx, struct plan *rows,
                                      const struct plan *window, uint32_t time_column)
{
    uint32_t count = rows->columns_count;
    struct plan *hop = plan_new(ctx->arena, PLAN_WINDOW, count + 2, 1);
    memcpy(hop->types, rows->types, sizeof(*hop->types) * count);
    memcpy(hop->types + count, window->types + window->children[0]->columns_count, sizeof(*hop->types) * 2);
    hop->children[0] = rows;
    hop->window = window->window;
    hop->window.time_column = time_column;
    hop->window.slice_us = 0;
    hop->window.lateness = NULL;
    hop->window.has_open = has_open(window);
    hop->window.open_column = time_column + 1;
    return hop;
}

static uint32_t place_of(uint32_t *list, uint32_t *count, uint32_t column)
{
    uint32_t at = 0;
    while (at < *count && list[at] != column)
        at++;
    if (at == *count)
        list[(*count)++] = column;
    return at;
}

/* The group columns of the aggregate over windows whose rows begin with those of `list`. */
static void regroup(struct plan *plan, const uint8_t *roles, uint32_t *list, uint32_t *count,
                    uint32_t window_start)
{
    for (uint32_t g = 0; g < plan->aggregate.groups_count; g++)
        plan->aggregate.groups[g] = roles[g] == ROLE_WINDOW_START ? window_start
                                    : roles[g] == ROLE_WINDOW_END
                                        ? window_start + 1
                                        : place_of(list, count, plan->aggregate.groups[g]);
}

/* min and max: by slice, then over the slices. */
static void extremes_by_slice(struct planner_context *ctx, struct plan *plan, struct plan *window,
                              int64_t slice_us, const uint8_t *roles)
{
    struct plan *input = plan->children[0];
    uint32_t calls_count = plan->aggregate.calls_count, keys = 0, count = 0;
    uint32_t *list = ARENA_ARRAY(ctx->arena, uint32_t, input->columns_count);
    for (uint32_t g = 0; g < plan->aggregate.groups_count; g++)
        if (roles[g] == ROLE_NONE)
            place_of(list, &count, plan->aggregate.groups[g]);
    keys = count;
    uint32_t groups = keys + 1 + has_open(window);
    struct plan *inner = plan_new(ctx->arena, PLAN_AGGREGATE, groups + calls_count, 1);
    inner->aggregate.calls_count = calls_count;
    inner->aggregate.calls =
        arena_copy(ctx->arena, plan->aggregate.calls, sizeof(*plan->aggregate.calls) * calls_count);
    for (uint32_t c = 0; c < calls_count; c++) {
        struct plan_aggregate_call *call = &inner->aggregate.calls[c], *outer = &plan->aggregate.calls[c];
        call->args = ARENA_ARRAY(ctx->arena, uint32_t, 1);
        call->args[0] = place_of(list, &count, outer->args[0]);
        if (call->filter >= 0)
            call->filter = (int32_t)place_of(list, &count, (uint32_t)call->filter);
        outer->args = ARENA_ARRAY(ctx->arena, uint32_t, 1);
        outer->args[0] = groups + c;
        outer->filter = -1;
        inner->types[groups + c] = call->type;
    }
    window->window.slice_us = slice_us;
    inner->children[0] = sliced_input(ctx, input, window, list, count);
    inner->aggregate.groups_count = groups;
    inner->aggregate.groups = ARENA_ARRAY(ctx->arena, uint32_t, groups);
    for (uint32_t k = 0; k < groups; k++) {
        inner->aggregate.groups[k] = k < keys ? k : count + k - keys;
        inner->types[k] = inner->children[0]->types[inner->aggregate.groups[k]];
    }
    plan->children[0] = windows_of_slices(ctx, inner, window, keys);
    regroup(plan, roles, list, &keys, inner->columns_count);
}

/* Calls that do not mind duplicates: over the different rows of each slice. */
static void distinct_by_slice(struct planner_context *ctx, struct plan *plan, struct plan *window,
                              int64_t slice_us, const uint8_t *roles)
{
    struct plan *input = plan->children[0];
    uint32_t *list = ARENA_ARRAY(ctx->arena, uint32_t, input->columns_count), count = 0;
    for (uint32_t g = 0; g < plan->aggregate.groups_count; g++)
        if (roles[g] == ROLE_NONE)
            place_of(list, &count, plan->aggregate.groups[g]);
    for (uint32_t c = 0; c < plan->aggregate.calls_count; c++) {
        struct plan_aggregate_call *call = &plan->aggregate.calls[c];
        uint32_t *args = ARENA_ARRAY(ctx->arena, uint32_t, call->args_count);
        for (uint32_t i = 0; i < call->args_count; i++)
            args[i] = place_of(list, &count, call->args[i]);
        call->args = args;
        if (call->filter >= 0)
            call->filter = (int32_t)place_of(list, &count, (uint32_t)call->filter);
    }
    window->window.slice_us = slice_us;
    struct plan *rows = plan_distinct(ctx->arena, sliced_input(ctx, input, window, list, count));
    plan->children[0] = windows_of_slices(ctx, rows, window, count);
    regroup(plan, roles, list, &count, rows->columns_count);
}

static bool is_exact(const struct plan *plan, uint32_t column)
{
    return type_equal_is_identical(plan->types[column].oid);
}

enum slicing { SLICING_NONE, SLICING_MERGE, SLICING_EXTREMES, SLICING_DISTINCT };

static enum slicing slicing_of(const struct plan *plan, const uint8_t *roles, bool only_inserts)
{
    const struct plan *input = plan->children[0];
    if (op_aggregate_can_merge(plan, only_inserts))
        return SLICING_MERGE;
    bool extremes = true, groups_exact = true, args_exact = true;
    for (uint32_t g = 0; g < plan->aggregate.groups_count; g++)
        groups_exact = groups_exact && (roles[g] != ROLE_NONE || is_exact(input, plan->aggregate.groups[g]));
    for (uint32_t c = 0; c < plan->aggregate.calls_count; c++) {
        const struct plan_aggregate_call *call = &plan->aggregate.calls[c];
        bool is_extreme = (call->aggregate->flags & AGG_APPEND_ONLY_ADD) != 0;
        if ((call->aggregate->flags & AGG_ORDERED) != 0 || (!is_extreme && !call->is_distinct))
            return SLICING_NONE;
        extremes = extremes && is_extreme;
        for (uint32_t i = 0; i < call->args_count; i++)
            args_exact = args_exact && is_exact(input, call->args[i]);
    }
    /* which of 1.0 and 1.00 stands for both must not depend on the way */
    if (!groups_exact)
        return SLICING_NONE;
    return extremes ? SLICING_EXTREMES : args_exact ? SLICING_DISTINCT : SLICING_NONE;
}

static void slice(struct planner_context *ctx, struct plan *plan)
{
    struct plan *input = plan->children[0];
    struct plan *window = input->kind == PLAN_CALC ? input->children[0] : input;
    if (window->kind != PLAN_WINDOW || window->window.slide_us == window->window.size_us ||
        window->window.slice_us != 0 || window->window.calendar != NULL)
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
    switch (slicing_of(plan, slices->roles, !ctx->for_view)) {
    case SLICING_NONE:
        break;
    case SLICING_MERGE:
        window->window.slice_us = slices->slice_us;
        plan->aggregate.slices = slices;
        if (has_open(window))
            pass_open_column(ctx, plan, window);
        break;
    case SLICING_EXTREMES:
        extremes_by_slice(ctx, plan, window, slices->slice_us, slices->roles);
        break;
    case SLICING_DISTINCT:
        distinct_by_slice(ctx, plan, window, slices->slice_us, slices->roles);
        break;
    }
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
