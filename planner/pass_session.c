/* pass_session.c: an aggregate by keys and window of session() is computed where the sessions are kept.
 *
 * Otherwise every row of a session would change whenever its end moves. Groups must be exactly the sessions:
 * all keys, window_start or window_end or both, nothing else. A condition that reads nothing else may stand
 * between; expressions for the calls move below the sessions, where rows without a time are dropped first so
 * that they cannot fail. Keys whose equal values may look different stay in the row form, for a group shows
 * the spelling of its own rows; so do aggregates that need their values in order, and DISTINCT. */
#include "planner/pass.h"

#include "executor/operators/op_aggregate.h"

/* Are the groups, as columns of the session node, its keys and window? */
static bool groups_are_sessions(const struct plan *session, const uint32_t *groups, uint32_t count)
{
    uint32_t columns = session->children[0]->columns_count;
    bool has_window = false;
    for (uint32_t g = 0; g < count; g++) {
        bool is_key = false;
        for (uint32_t k = 0; k < session->session.keys_count; k++)
            is_key = is_key || session->session.keys[k] == groups[g];
        has_window = has_window || groups[g] >= columns;
        if (!is_key && groups[g] < columns)
            return false;
    }
    for (uint32_t k = 0; k < session->session.keys_count; k++) {
        uint32_t at = 0;
        while (at < count && groups[at] != session->session.keys[k])
            at++;
        if (at == count || !agg_type_is_exact(session->types[groups[at]]))
            return false;
    }
    return has_window;
}

static bool calls_fit(const struct plan *aggregate)
{
    for (uint32_t c = 0; c < aggregate->aggregate.calls_count; c++) {
        const struct plan_aggregate_call *call = &aggregate->aggregate.calls[c];
        if (call->is_distinct || call->aggregate->merge == NULL)
            return false;
    }
    return true;
}

/* The calls over the columns of `calc` (NULL: of the session node): which of its outputs they read. false
 * when one of those depends on the window. */
static bool find_arguments(const struct plan *aggregate, const struct plan *calc, const struct plan *session,
                           struct arena *arena, bool *used)
{
    uint32_t width = aggregate->children[0]->columns_count, columns = session->children[0]->columns_count;
    for (uint32_t c = 0; c < aggregate->aggregate.calls_count; c++) {
        const struct plan_aggregate_call *call = &aggregate->aggregate.calls[c];
        for (uint32_t a = 0; a < call->args_count; a++)
            used[call->args[a]] = true;
        if (call->filter >= 0)
            used[call->filter] = true;
    }
    for (uint32_t i = 0; i < width; i++) {
        if (!used[i])
            continue;
        bool *reads = ARENA_ARRAY(arena, bool, session->columns_count);
        if (calc != NULL)
            bound_columns(calc->calc.outputs[i], reads, session->columns_count);
        else
            reads[i] = true;
        if (reads[columns] || reads[columns + 1])
            return false;
    }
    return true;
}

/* Where a column of the session node is among the groups; UINT32_MAX: nowhere. */
static uint32_t *group_positions(const struct plan *session, const uint32_t *groups, uint32_t count,
                                 struct arena *arena)
{
    uint32_t *map = ARENA_ARRAY(arena, uint32_t, session->columns_count);
    memset(map, 0xFF, sizeof(*map) * session->columns_count);
    for (uint32_t g = count; g-- > 0;)
        map[groups[g]] = g;
    return map;
}

static bool condition_fits(const struct expr *condition, const uint32_t *map, uint32_t columns,
                           struct arena *arena)
{
    if (condition == NULL)
        return true;
    bool *reads = ARENA_ARRAY(arena, bool, columns);
    bound_columns(condition, reads, columns);
    for (uint32_t i = 0; i < columns; i++)
        if (reads[i] && map[i] == UINT32_MAX)
            return false;
    return !expr_is_volatile(condition);
}

/* Below the sessions: what the calls read of `calc`, behind the child's own columns. moved[i]: the place of
 * output i. */
static struct plan *push_arguments(const struct plan *calc, struct plan *session, const bool *used,
                                   uint32_t *moved, struct arena *arena)
{
    struct plan *child = session->children[0];
    struct expr **outputs = ARENA_ARRAY(arena, struct expr *, child->columns_count + calc->columns_count);
    uint32_t count = child->columns_count;
    for (uint32_t i = 0; i < count; i++)
        outputs[i] = expr_column(arena, i, child->types[i]);
    for (uint32_t i = 0; i < calc->columns_count; i++) {
        if (!used[i])
            continue;
        struct expr *output = calc->calc.outputs[i];
        moved[i] = output->kind == EXPR_COLUMN ? output->index : count;
        if (output->kind != EXPR_COLUMN)
            outputs[count++] = output;
    }
    if (count == child->columns_count)
        return child;
    uint32_t time = session->session.time_column;
    struct expr *has_time = bound_is_null(arena, expr_column(arena, time, child->types[time]), true);
    return plan_project(arena, plan_filter(arena, child, has_time), outputs, count);
}

static struct plan *by_session(struct arena *arena, struct plan *aggregate)
{
    struct plan *calc = aggregate->children[0], *session = calc;
    if (calc->kind == PLAN_CALC)
        session = calc->children[0];
    else
        calc = NULL;
    if (session->kind != PLAN_SESSION || session->session.is_aggregate || !calls_fit(aggregate))
        return aggregate;
    uint32_t groups_count = aggregate->aggregate.groups_count;
    uint32_t *groups = arena_copy(arena, aggregate->aggregate.groups, sizeof(*groups) * groups_count);
    for (uint32_t g = 0; g < groups_count && calc != NULL; g++) {
        const struct expr *output = calc->calc.outputs[groups[g]];
        if (output->kind != EXPR_COLUMN)
            return aggregate;
        groups[g] = output->index;
    }
    bool *used = ARENA_ARRAY(arena, bool, aggregate->children[0]->columns_count);
    if (!groups_are_sessions(session, groups, groups_count) ||
        !find_arguments(aggregate, calc, session, arena, used))
        return aggregate;
    struct expr *condition = calc != NULL ? calc->calc.condition : NULL;
    uint32_t *positions = group_positions(session, groups, groups_count, arena);
    if (!condition_fits(condition, positions, session->columns_count, arena))
        return aggregate;

    struct plan *node = plan_new(arena, PLAN_SESSION, aggregate->columns_count, 1);
    memcpy(node->types, aggregate->types, sizeof(*node->types) * node->columns_count);
    node->session = session->session;
    node->session.is_aggregate = true;
    node->session.calls_count = aggregate->aggregate.calls_count;
    node->session.calls = arena_copy(arena, aggregate->aggregate.calls,
                                     sizeof(*node->session.calls) * aggregate->aggregate.calls_count);
    node->children[0] = session->children[0];
    if (calc != NULL) {
        uint32_t *moved = ARENA_ARRAY(arena, uint32_t, calc->columns_count);
        node->children[0] = push_arguments(calc, session, used, moved, arena);
        for (uint32_t c = 0; c < node->session.calls_count; c++) {
            struct plan_aggregate_call *call = &node->session.calls[c];
            call->args = arena_copy(arena, call->args, sizeof(*call->args) * call->args_count);
            for (uint32_t a = 0; a < call->args_count; a++)
                call->args[a] = moved[call->args[a]];
            call->filter = call->filter >= 0 ? (int32_t)moved[call->filter] : -1;
        }
    }
    /* The window's columns stand behind those of the new child. */
    uint32_t added = node->children[0]->columns_count - session->children[0]->columns_count;
    for (uint32_t g = 0; g < groups_count; g++)
        groups[g] += groups[g] >= session->children[0]->columns_count ? added : 0;
    node->session.groups_count = groups_count;
    node->session.groups = groups;
    if (condition == NULL)
        return node;
    return plan_filter(arena, node, bound_remap(arena, condition, positions, 0));
}

static struct plan *visit(struct arena *arena, struct plan *plan)
{
    for (uint32_t i = 0; i < plan->children_count; i++)
        plan->children[i] = visit(arena, plan->children[i]);
    return plan->kind == PLAN_AGGREGATE ? by_session(arena, plan) : plan;
}

bool pass_session(struct planner_context *ctx, struct plan **plan, struct error *err)
{
    *plan = visit(ctx->arena, *plan);
    (void)err;
    return true;
}
