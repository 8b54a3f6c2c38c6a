/* pass_prune.c: columns that nobody reads are not computed, joined or kept.
 *
 * prune(plan, needed, map) gives a plan with at least the needed columns; map[i] is the new number of column
 * i, UINT32_MAX when it is gone. */
#include "planner/pass.h"

#define GONE UINT32_MAX

static struct plan *prune(struct planner_context *ctx, struct plan *plan, const bool *needed, uint32_t *map);

static bool *flags(struct planner_context *ctx, uint32_t count)
{
    return ARENA_ARRAY(ctx->arena, bool, count);
}

static uint32_t *numbers(struct planner_context *ctx, uint32_t count)
{
    return ARENA_ARRAY(ctx->arena, uint32_t, count);
}

static uint32_t *mapped(struct planner_context *ctx, const uint32_t *list, uint32_t count,
                        const uint32_t *map)
{
    uint32_t *result = numbers(ctx, count);
    for (uint32_t i = 0; i < count; i++)
        result[i] = map[list[i]];
    return result;
}

static struct sort_key *mapped_keys(struct planner_context *ctx, const struct sort_key *keys, uint32_t count,
                                    const uint32_t *map)
{
    struct sort_key *result = ARENA_ARRAY(ctx->arena, struct sort_key, count);
    for (uint32_t i = 0; i < count; i++) {
        result[i] = keys[i];
        result[i].column = map[keys[i].column];
    }
    return result;
}

static void mark(bool *needed, const uint32_t *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        needed[list[i]] = true;
}

static void mark_keys(bool *needed, const struct sort_key *keys, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        needed[keys[i].column] = true;
}

static struct plan *keep_all(struct planner_context *ctx, struct plan *plan)
{
    bool *needed = flags(ctx, plan->columns_count);
    uint32_t *map = numbers(ctx, plan->columns_count), *list = numbers(ctx, plan->columns_count);
    for (uint32_t i = 0; i < plan->columns_count; i++)
        needed[i] = true;
    struct plan *result = prune(ctx, plan, needed, map);
    bool same = result->columns_count == plan->columns_count;
    for (uint32_t i = 0; i < plan->columns_count; i++) {
        list[i] = map[i];
        same = same && map[i] == i;
    }
    return same ? result : plan_pick(ctx->arena, result, list, plan->columns_count);
}

static struct plan *shrunk(struct planner_context *ctx, const struct plan *plan, uint32_t columns_count)
{
    struct plan *copy = arena_copy(ctx->arena, plan, sizeof(*copy));
    copy->columns_count = columns_count;
    copy->types = ARENA_ARRAY(ctx->arena, struct sql_type, columns_count);
    copy->children = ARENA_ARRAY(ctx->arena, struct plan *, plan->children_count);
    copy->names = NULL;
    return copy;
}

static uint32_t number(const bool *needed, uint32_t count, uint32_t *map)
{
    uint32_t next = 0;
    for (uint32_t i = 0; i < count; i++)
        map[i] = needed[i] ? next++ : GONE;
    return next;
}

static struct plan *prune_leaf(struct planner_context *ctx, struct plan *plan, const bool *needed,
                               uint32_t *map)
{
    bool *keep = flags(ctx, plan->columns_count), any = false;
    for (uint32_t i = 0; i < plan->columns_count; i++) {
        keep[i] = needed[i];
        any = any || keep[i];
    }
    if (!any && plan->columns_count > 0)
        keep[0] = true; /* rows are counted by a column */
    uint32_t count = number(keep, plan->columns_count, map);
    if (count == plan->columns_count)
        return plan;
    struct plan *copy = shrunk(ctx, plan, count);
    uint32_t *columns = numbers(ctx, count);
    if (plan->kind == PLAN_VALUES)
        copy->values.rows = ARENA_ARRAY(ctx->arena, struct expr **, plan->values.rows_count);
    for (uint32_t r = 0; plan->kind == PLAN_VALUES && r < plan->values.rows_count; r++)
        copy->values.rows[r] = ARENA_ARRAY(ctx->arena, struct expr *, count);
    for (uint32_t i = 0; i < plan->columns_count; i++) {
        if (!keep[i])
            continue;
        copy->types[map[i]] = plan->types[i];
        if (plan->kind == PLAN_VALUES) {
            for (uint32_t r = 0; r < plan->values.rows_count; r++)
                copy->values.rows[r][map[i]] = plan->values.rows[r][i];
        } else {
            columns[map[i]] = plan->kind == PLAN_SCAN ? plan->scan.columns[i] : plan->system.columns[i];
        }
    }
    if (plan->kind == PLAN_SCAN)
        copy->scan.columns = columns;
    else if (plan->kind == PLAN_SYSTEM)
        copy->system.columns = columns;
    return copy;
}

static struct plan *prune_calc(struct planner_context *ctx, struct plan *plan, const bool *needed,
                               uint32_t *map)
{
    struct plan *child = plan->children[0];
    bool *below = flags(ctx, child->columns_count);
    uint32_t *child_map = numbers(ctx, child->columns_count);
    if (plan->calc.condition != NULL)
        bound_columns(plan->calc.condition, below, child->columns_count);
    for (uint32_t i = 0; i < plan->columns_count; i++) {
        if (needed[i])
            bound_columns(plan->calc.outputs[i], below, child->columns_count);
    }
    struct plan *new_child = prune(ctx, child, below, child_map);
    struct plan *copy = shrunk(ctx, plan, number(needed, plan->columns_count, map));
    copy->children[0] = new_child;
    copy->calc.outputs = ARENA_ARRAY(ctx->arena, struct expr *, copy->columns_count);
    if (plan->calc.condition != NULL)
        copy->calc.condition = bound_remap(ctx->arena, plan->calc.condition, child_map, 0);
    for (uint32_t i = 0; i < plan->columns_count; i++) {
        if (!needed[i])
            continue;
        copy->calc.outputs[map[i]] = bound_remap(ctx->arena, plan->calc.outputs[i], child_map, 0);
        copy->types[map[i]] = plan->types[i];
    }
    return copy;
}

static struct plan *prune_aggregate(struct planner_context *ctx, struct plan *plan, const bool *needed,
                                    uint32_t *map)
{
    struct plan *child = plan->children[0];
    uint32_t groups = plan->aggregate.groups_count, calls = plan->aggregate.calls_count;
    bool *keep = flags(ctx, plan->columns_count), any = groups > 0;
    for (uint32_t i = 0; i < plan->columns_count; i++) {
        keep[i] = i < groups || needed[i];
        any = any || keep[i];
    }
    if (!any && calls > 0)
        keep[0] = true; /* a global aggregate is one row because of its calls */
    uint32_t count = number(keep, plan->columns_count, map);
    bool *below = flags(ctx, child->columns_count);
    uint32_t *child_map = numbers(ctx, child->columns_count);
    mark(below, plan->aggregate.groups, groups);
    for (uint32_t i = 0; i < calls; i++) {
        const struct plan_aggregate_call *call = &plan->aggregate.calls[i];
        if (!keep[groups + i])
            continue;
        mark(below, call->args, call->args_count);
        mark_keys(below, call->order, call->order_count);
        if (call->filter >= 0)
            below[call->filter] = true;
    }
    struct plan *copy = shrunk(ctx, plan, count);
    copy->children[0] = prune(ctx, child, below, child_map);
    copy->aggregate.groups = mapped(ctx, plan->aggregate.groups, groups, child_map);
    copy->aggregate.calls = ARENA_ARRAY(ctx->arena, struct plan_aggregate_call, calls);
    copy->aggregate.calls_count = 0;
    for (uint32_t i = 0; i < plan->columns_count; i++) {
        if (keep[i])
            copy->types[map[i]] = plan->types[i];
    }
    for (uint32_t i = 0; i < calls; i++) {
        if (!keep[groups + i])
            continue;
        struct plan_aggregate_call *call = &copy->aggregate.calls[copy->aggregate.calls_count++];
        *call = plan->aggregate.calls[i];
        call->args = mapped(ctx, call->args, call->args_count, child_map);
        if (call->order_count > 0)
            call->order = mapped_keys(ctx, call->order, call->order_count, child_map);
        if (call->filter >= 0)
            call->filter = (int32_t)child_map[call->filter];
    }
    return copy;
}

static struct plan *prune_join(struct planner_context *ctx, struct plan *plan, const bool *needed,
                               uint32_t *map)
{
    struct plan *left = plan->children[0], *right = plan->children[1];
    uint32_t l = left->columns_count, r = right->columns_count;
    bool both = plan->columns_count == l + r && plan->join.kind != JOIN_SEMI && plan->join.kind != JOIN_ANTI;
    bool *used = flags(ctx, l + r);
    for (uint32_t i = 0; i < plan->columns_count; i++)
        used[i] = needed[i];
    for (uint32_t i = 0; i < plan->join.keys_count; i++) {
        used[plan->join.left_keys[i]] = true;
        used[l + plan->join.right_keys[i]] = true;
    }
    if (plan->join.residual != NULL)
        bound_columns(plan->join.residual, used, l + r);
    uint32_t *left_map = numbers(ctx, l), *right_map = numbers(ctx, r);
    struct plan *new_left = prune(ctx, left, used, left_map),
                *new_right = prune(ctx, right, used + l, right_map);
    struct plan *copy = plan_join(ctx->arena, plan->join.kind, new_left, new_right);
    uint32_t *joined = numbers(ctx, l + r);
    for (uint32_t i = 0; i < l; i++)
        joined[i] = left_map[i];
    for (uint32_t i = 0; i < r; i++)
        joined[l + i] = right_map[i] == GONE ? GONE : right_map[i] + new_left->columns_count;
    copy->join.keys_count = plan->join.keys_count;
    copy->join.left_keys = mapped(ctx, plan->join.left_keys, plan->join.keys_count, left_map);
    copy->join.right_keys = mapped(ctx, plan->join.right_keys, plan->join.keys_count, right_map);
    copy->join.null_safe = plan->join.null_safe;
    if (plan->join.residual != NULL)
        copy->join.residual = bound_remap(ctx->arena, plan->join.residual, joined, 0);
    for (uint32_t i = 0; i < (both ? l + r : l); i++)
        map[i] = joined[i];
    return copy;
}

/* What joins in time read of their children. */
struct time_join {
    enum join_kind kind; /* as far as the columns of the output go */
    uint32_t keys_count;
    uint32_t **left_keys, **right_keys;
    uint32_t *left_time, *right_time; /* NULL: none */
    struct expr **residual;           /* NULL: none */
};

static struct time_join time_join_of(struct plan *plan)
{
    if (plan->kind == PLAN_INTERVAL_JOIN)
        return (struct time_join){
            .kind = plan->interval_join.kind,
            .keys_count = plan->interval_join.keys_count,
            .left_keys = &plan->interval_join.left_keys,
            .right_keys = &plan->interval_join.right_keys,
            .left_time = &plan->interval_join.left_time,
            .right_time = &plan->interval_join.right_time,
            .residual = &plan->interval_join.residual,
        };
    if (plan->kind == PLAN_ASOF_JOIN)
        return (struct time_join){
            .kind = JOIN_LEFT,
            .keys_count = plan->asof_join.keys_count,
            .left_keys = &plan->asof_join.left_keys,
            .right_keys = &plan->asof_join.right_keys,
            .left_time = &plan->asof_join.left_time,
            .right_time = &plan->asof_join.right_time,
        };
    return (struct time_join){
        .kind = JOIN_LEFT,
        .keys_count = plan->lookup_join.keys_count,
        .left_keys = &plan->lookup_join.left_keys,
        .right_keys = &plan->lookup_join.right_keys,
        .residual = &plan->lookup_join.residual,
    };
}

static struct plan *prune_time_join(struct planner_context *ctx, struct plan *plan, const bool *needed,
                                    uint32_t *map)
{
    struct plan *left = plan->children[0], *right = plan->children[1];
    uint32_t l = left->columns_count, r = right->columns_count;
    struct time_join old = time_join_of(plan);
    bool both = old.kind != JOIN_SEMI && old.kind != JOIN_ANTI;
    bool *used = flags(ctx, l + r);
    for (uint32_t i = 0; i < plan->columns_count; i++)
        used[i] = needed[i];
    for (uint32_t i = 0; i < old.keys_count; i++) {
        used[(*old.left_keys)[i]] = true;
        used[l + (*old.right_keys)[i]] = true;
    }
    if (old.left_time != NULL) {
        used[*old.left_time] = true;
        used[l + *old.right_time] = true;
    }
    if (old.residual != NULL && *old.residual != NULL)
        bound_columns(*old.residual, used, l + r);
    if (plan->kind == PLAN_LOOKUP_JOIN && plan->lookup_join.is_external)
        used[l + plan->lookup_join.found_column] = true;
    /* The whole row decides which of several with the same time is the nearest. */
    for (uint32_t i = 0; plan->kind == PLAN_ASOF_JOIN && i < r; i++)
        used[l + i] = true;
    uint32_t *left_map = numbers(ctx, l), *right_map = numbers(ctx, r), *joined = numbers(ctx, l + r);
    struct plan *new_left = prune(ctx, left, used, left_map),
                *new_right = prune(ctx, right, used + l, right_map);
    uint32_t base = new_left->columns_count, added = both ? new_right->columns_count : 0;
    for (uint32_t i = 0; i < l + r; i++)
        joined[i] = i < l ? left_map[i] : right_map[i - l] == GONE ? GONE : right_map[i - l] + base;
    struct plan *copy = shrunk(ctx, plan, base + added);
    memcpy(copy->types, new_left->types, sizeof(*copy->types) * base);
    if (added > 0)
        memcpy(copy->types + base, new_right->types, sizeof(*copy->types) * added);
    copy->children[0] = new_left;
    copy->children[1] = new_right;
    struct time_join new = time_join_of(copy);
    *new.left_keys = mapped(ctx, *old.left_keys, old.keys_count, left_map);
    *new.right_keys = mapped(ctx, *old.right_keys, old.keys_count, right_map);
    if (new.left_time != NULL) {
        *new.left_time = left_map[*old.left_time];
        *new.right_time = right_map[*old.right_time];
    }
    if (new.residual != NULL &&*old.residual != NULL)
        *new.residual = bound_remap(ctx->arena, *old.residual, joined, 0);
    if (copy->kind == PLAN_LOOKUP_JOIN && copy->lookup_join.is_external)
        copy->lookup_join.found_column = right_map[plan->lookup_join.found_column];
    for (uint32_t i = 0; i < (both ? l + r : l); i++)
        map[i] = joined[i];
    return copy;
}

/* SORT, AT_MOST_ONE: same columns as the child. */
static struct plan *prune_same(struct planner_context *ctx, struct plan *plan, const bool *needed,
                               uint32_t *map)
{
    struct plan *child = plan->children[0];
    bool *below = flags(ctx, child->columns_count);
    for (uint32_t i = 0; i < child->columns_count; i++)
        below[i] = needed[i];
    if (plan->kind == PLAN_SORT) {
        mark(below, plan->sort.partition, plan->sort.partition_count);
        mark_keys(below, plan->sort.keys, plan->sort.keys_count);
        /* In a view ties are broken by the whole row: what Top-N keeps must not depend on who reads it. */
        if (plan->sort.limit != NULL || plan->sort.offset != NULL || plan->sort.distinct_on) {
            for (uint32_t i = 0; ctx->for_view && i < child->columns_count; i++)
                below[i] = true;
        }
    } else {
        mark(below, plan->at_most_one.partition, plan->at_most_one.partition_count);
    }
    struct plan *new_child = prune(ctx, child, below, map);
    struct plan *copy = shrunk(ctx, plan, new_child->columns_count);
    memcpy(copy->types, new_child->types, sizeof(*copy->types) * copy->columns_count);
    copy->children[0] = new_child;
    if (plan->kind == PLAN_SORT) {
        copy->sort.partition = mapped(ctx, plan->sort.partition, plan->sort.partition_count, map);
        copy->sort.keys = mapped_keys(ctx, plan->sort.keys, plan->sort.keys_count, map);
    } else {
        copy->at_most_one.partition =
            mapped(ctx, plan->at_most_one.partition, plan->at_most_one.partition_count, map);
    }
    return copy;
}

/* PROJECT_SET, WINDOW, SESSION: the child's columns shrink, the added ones stay. */
static struct plan *prune_widening(struct planner_context *ctx, struct plan *plan, const bool *needed,
                                   uint32_t *map)
{
    struct plan *child = plan->children[0];
    uint32_t old = child->columns_count, added = plan->columns_count - old;
    bool *below = flags(ctx, old);
    for (uint32_t i = 0; i < old; i++)
        below[i] = needed[i];
    const struct plan_lateness *lateness = plan->kind == PLAN_WINDOW    ? plan->window.lateness
                                           : plan->kind == PLAN_SESSION ? plan->session.lateness
                                                                        : NULL;
    for (uint32_t i = 0; i < old && lateness != NULL && lateness->keeps_rows; i++)
        below[i] = true; /* late rows are shown whole */
    if (plan->kind == PLAN_WINDOW) {
        below[plan->window.time_column] = true;
    } else if (plan->kind == PLAN_SESSION) {
        below[plan->session.time_column] = true;
        mark(below, plan->session.keys, plan->session.keys_count);
    } else {
        for (uint32_t i = 0; i < plan->project_set.calls_count; i++)
            bound_columns(plan->project_set.calls[i], below, old);
    }
    uint32_t *child_map = numbers(ctx, old);
    struct plan *new_child = prune(ctx, child, below, child_map);
    uint32_t base = new_child->columns_count;
    struct plan *copy = shrunk(ctx, plan, base + added);
    memcpy(copy->types, new_child->types, sizeof(*copy->types) * base);
    memcpy(copy->types + base, plan->types + old, sizeof(*copy->types) * added);
    copy->children[0] = new_child;
    for (uint32_t i = 0; i < plan->columns_count; i++)
        map[i] = i < old ? child_map[i] : base + i - old;
    if (plan->kind == PLAN_WINDOW) {
        copy->window.time_column = child_map[plan->window.time_column];
        return copy;
    }
    if (plan->kind == PLAN_SESSION) {
        copy->session.time_column = child_map[plan->session.time_column];
        copy->session.keys = mapped(ctx, plan->session.keys, plan->session.keys_count, child_map);
        return copy;
    }
    copy->project_set.calls = ARENA_ARRAY(ctx->arena, struct expr *, plan->project_set.calls_count);
    for (uint32_t i = 0; i < plan->project_set.calls_count; i++)
        copy->project_set.calls[i] = bound_remap(ctx->arena, plan->project_set.calls[i], child_map, 0);
    return copy;
}

static struct plan *prune_over(struct planner_context *ctx, struct plan *plan, const bool *needed,
                               uint32_t *map)
{
    struct plan *child = plan->children[0];
    uint32_t old = child->columns_count, calls = plan->over.calls_count, kept = 0;
    bool *below = flags(ctx, old);
    for (uint32_t i = 0; i < old; i++)
        below[i] = needed[i];
    for (uint32_t i = 0; i < calls; i++)
        kept += needed[old + i];
    if (kept == 0) {
        for (uint32_t i = 0; i < calls; i++)
            map[old + i] = GONE;
        return prune(ctx, child, below, map);
    }
    mark(below, plan->over.partition, plan->over.partition_count);
    mark_keys(below, plan->over.keys, plan->over.keys_count);
    for (uint32_t i = 0; i < calls; i++) {
        const struct plan_over_call *call = &plan->over.calls[i];
        if (!needed[old + i])
            continue;
        mark(below, call->args, call->args_count);
        if (call->filter >= 0)
            below[call->filter] = true;
        if (call->frame_start_offset >= 0)
            below[call->frame_start_offset] = true;
        if (call->frame_end_offset >= 0)
            below[call->frame_end_offset] = true;
    }
    uint32_t *child_map = numbers(ctx, old);
    struct plan *new_child = prune(ctx, child, below, child_map);
    uint32_t base = new_child->columns_count;
    struct plan *copy = shrunk(ctx, plan, base + kept);
    memcpy(copy->types, new_child->types, sizeof(*copy->types) * base);
    copy->children[0] = new_child;
    copy->over.partition = mapped(ctx, plan->over.partition, plan->over.partition_count, child_map);
    copy->over.keys = mapped_keys(ctx, plan->over.keys, plan->over.keys_count, child_map);
    copy->over.calls = ARENA_ARRAY(ctx->arena, struct plan_over_call, kept);
    copy->over.calls_count = 0;
    for (uint32_t i = 0; i < old; i++)
        map[i] = child_map[i];
    for (uint32_t i = 0; i < calls; i++) {
        map[old + i] = GONE;
        if (!needed[old + i])
            continue;
        uint32_t at = copy->over.calls_count++;
        struct plan_over_call *call = &copy->over.calls[at];
        *call = plan->over.calls[i];
        call->args = mapped(ctx, call->args, call->args_count, child_map);
        call->filter = call->filter >= 0 ? (int32_t)child_map[call->filter] : -1;
        call->frame_start_offset =
            call->frame_start_offset >= 0 ? (int32_t)child_map[call->frame_start_offset] : -1;
        call->frame_end_offset =
            call->frame_end_offset >= 0 ? (int32_t)child_map[call->frame_end_offset] : -1;
        map[old + i] = base + at;
        copy->types[base + at] = plan->types[old + i];
    }
    return copy;
}

static struct plan *prune_union(struct planner_context *ctx, struct plan *plan, const bool *needed,
                                uint32_t *map)
{
    uint32_t count = number(needed, plan->columns_count, map);
    struct plan *copy = shrunk(ctx, plan, count);
    for (uint32_t i = 0; i < plan->columns_count; i++) {
        if (needed[i])
            copy->types[map[i]] = plan->types[i];
    }
    for (uint32_t b = 0; b < plan->children_count; b++) {
        uint32_t *child_map = numbers(ctx, plan->columns_count), *list = numbers(ctx, count);
        struct plan *child = prune(ctx, plan->children[b], needed, child_map);
        bool same = child->columns_count == count;
        for (uint32_t i = 0; i < plan->columns_count; i++) {
            if (!needed[i])
                continue;
            list[map[i]] = child_map[i];
            same = same && child_map[i] == map[i];
        }
        copy->children[b] = same ? child : plan_pick(ctx->arena, child, list, count);
    }
    return copy;
}

static struct plan *prune_temporal(struct planner_context *ctx, struct plan *plan, const bool *needed,
                                   uint32_t *map)
{
    bool *below = flags(ctx, plan->columns_count);
    uint32_t bounds_count = plan->temporal_filter.bounds_count;
    for (uint32_t i = 0; i < plan->columns_count; i++)
        below[i] = needed[i];
    for (uint32_t b = 0; b < bounds_count; b++)
        bound_columns(plan->temporal_filter.bounds[b].value, below, plan->columns_count);
    struct plan *child = prune(ctx, plan->children[0], below, map);
    struct plan *copy = shrunk(ctx, plan, child->columns_count);
    copy->children[0] = child;
    for (uint32_t i = 0; i < child->columns_count; i++)
        copy->types[i] = child->types[i];
    copy->temporal_filter.bounds =
        arena_copy(ctx->arena, plan->temporal_filter.bounds, sizeof(struct plan_time_bound) * bounds_count);
    for (uint32_t b = 0; b < bounds_count; b++) {
        struct plan_time_bound *bound = &copy->temporal_filter.bounds[b];
        bound->value = bound_remap(ctx->arena, bound->value, map, 0);
    }
    return copy;
}

static struct plan *prune(struct planner_context *ctx, struct plan *plan, const bool *needed, uint32_t *map)
{
    switch (plan->kind) {
    case PLAN_SCAN:
    case PLAN_SYSTEM:
    case PLAN_VALUES:
        return prune_leaf(ctx, plan, needed, map);
    case PLAN_CALC:
        return prune_calc(ctx, plan, needed, map);
    case PLAN_TEMPORAL_FILTER:
        return prune_temporal(ctx, plan, needed, map);
    case PLAN_AGGREGATE:
        return prune_aggregate(ctx, plan, needed, map);
    case PLAN_JOIN:
        return prune_join(ctx, plan, needed, map);
    case PLAN_SORT:
    case PLAN_AT_MOST_ONE:
        return prune_same(ctx, plan, needed, map);
    case PLAN_PROJECT_SET:
    case PLAN_WINDOW:
    case PLAN_SESSION:
        return prune_widening(ctx, plan, needed, map);
    case PLAN_OVER:
        return prune_over(ctx, plan, needed, map);
    case PLAN_UNION_ALL:
        return prune_union(ctx, plan, needed, map);
    case PLAN_INTERVAL_JOIN:
    case PLAN_ASOF_JOIN:
    case PLAN_LOOKUP_JOIN:
        return prune_time_join(ctx, plan, needed, map);
    case PLAN_SET_OP:
    case PLAN_LATE:
    case PLAN_FINAL:
    case PLAN_EVERY:
        break;
    }
    for (uint32_t i = 0; i < plan->children_count; i++)
        plan->children[i] = keep_all(ctx, plan->children[i]);
    for (uint32_t i = 0; i < plan->columns_count; i++)
        map[i] = i;
    return plan;
}

bool pass_prune(struct planner_context *ctx, struct plan **plan, struct error *err)
{
    *plan = keep_all(ctx, *plan);
    (void)err;
    return true;
}
