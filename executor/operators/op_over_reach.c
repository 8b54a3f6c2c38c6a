/* op_over_reach.c: which results a change of one row can alter.
 *
 * lag, lead and frames of ROWS reach so many rows, frames of GROUPS so many peer groups, frames of RANGE what their
 * offset says. Results that begin with the partition's first row (row_number, running aggregates) depend on all before
 * them. What depends on the partition's size, or on its end, depends on every row. */
#include "executor/operators/op_over.h"

static bool is_offset(enum frame_bound bound)
{
    return bound == BOUND_PRECEDING || bound == BOUND_FOLLOWING;
}

static void watch(struct over_state *state, uint32_t column, int64_t *positive, int64_t *negative)
{
    struct over_reach *reach = &state->reach;
    reach->watches[reach->watches_count++] = (struct over_watch){column, positive, negative};
}

/* A result that looks forward (lead, FOLLOWING) is altered by changes after it: it is a row before the change. */
static void reach_of_bound(struct over_state *state, const struct plan_over_call *call, bool is_start)
{
    struct over_reach *reach = &state->reach;
    const struct plan *plan = state->over.plan;
    enum frame_bound bound = is_start ? call->frame_start : call->frame_end;
    int32_t column = is_start ? call->frame_start_offset : call->frame_end_offset;
    reach->peers |= call->frame_mode != FRAME_ROWS;
    if (!is_offset(bound))
        return;
    bool preceding = bound == BOUND_PRECEDING;
    if (call->frame_mode == FRAME_ROWS) {
        watch(state, (uint32_t)column, preceding ? &reach->rows_after : &reach->rows_before, NULL);
    } else if (call->frame_mode == FRAME_GROUPS) {
        watch(state, (uint32_t)column, preceding ? &reach->groups_after : &reach->groups_before, NULL);
    } else if (plan->over.keys_count != 1) {
        reach->whole = true; /* an error in every row */
    } else {
        struct over_range range = over_range_of(plan, call, is_start, NULL);
        if (preceding)
            reach->after[reach->after_count++] = range;
        else
            reach->before[reach->before_count++] = range;
    }
}

static void reach_of_frame(struct over_state *state, uint32_t c)
{
    struct over_reach *reach = &state->reach;
    const struct plan_over_call *call = &state->over.plan->over.calls[c];
    bool no_order = state->over.plan->over.keys_count == 0 && call->frame_mode != FRAME_ROWS;
    if (call->frame_end == BOUND_UNBOUNDED_FOLLOWING || no_order) {
        reach->whole = true; /* every frame, or the one that all share, holds the partition's last row */
        return;
    }
    reach_of_bound(state, call, true);
    reach_of_bound(state, call, false);
    reach->peers |= call->frame_exclude >= 2;
    if (call->frame_start != BOUND_UNBOUNDED_PRECEDING)
        return;
    reach->head = true;
    if (call->kind == OVER_AGGREGATE) {
        reach->forward = true;
        if ((call->aggregate->flags & AGG_ORDERED) != 0 || call->aggregate->merge == NULL)
            reach->to_start = true;
        else
            reach->summarized[c] = true;
        if (reach->rows_after < 1)
            reach->rows_after =
                1; /* a row behind the change that was there before: does its result differ? */
    } else if (call->frame_mode == FRAME_RANGE && call->frame_end == BOUND_PRECEDING) {
        reach->whole = true; /* the frame's last row may be any number of rows behind the offset */
    } else if (call->kind == OVER_LAST_VALUE) {
        if (call->frame_exclude == 0)
            return;
        /* the last row that is not excluded: one before, or of the group before */
        reach->peers = true;
        reach->rows_after = reach->rows_after < 1 ? 1 : reach->rows_after;
        reach->groups_after = reach->groups_after < 1 ? 1 : reach->groups_after;
    } else {
        reach->forward = true;
        if (call->kind == OVER_NTH_VALUE)
            watch(state, call->args[1], &reach->first_rows, NULL);
        else if (reach->first_rows < 1)
            reach->first_rows = 1;
    }
}

void over_reach_init(struct over_state *state)
{
    struct over_reach *reach = &state->reach;
    const struct plan *plan = state->over.plan;
    struct arena *arena = state->over.base.ctx->plan_arena;
    uint32_t calls = plan->over.calls_count;
    reach->summarized = ARENA_ARRAY(arena, bool, calls + 1);
    reach->watches = ARENA_ARRAY(arena, struct over_watch, 3 * calls + 1);
    reach->after = ARENA_ARRAY(arena, struct over_range, 2 * calls + 1);
    reach->before = ARENA_ARRAY(arena, struct over_range, 2 * calls + 1);
    for (uint32_t c = 0; c < calls; c++) {
        const struct plan_over_call *call = &plan->over.calls[c];
        switch (call->kind) {
        case OVER_ROW_NUMBER:
            reach->forward = true;
            break;
        case OVER_DENSE_RANK:
        case OVER_RANK:
            reach->forward = reach->peers = true;
            reach->counts_groups |= call->kind == OVER_DENSE_RANK;
            break;
        case OVER_LAG:
        case OVER_LEAD: {
            int64_t *near = call->kind == OVER_LAG ? &reach->rows_after : &reach->rows_before;
            int64_t *far = call->kind == OVER_LAG ? &reach->rows_before : &reach->rows_after;
            if (call->args_count > 1)
                watch(state, call->args[1], near, far);
            else if (*near < 1)
                *near = 1;
            break;
        }
        case OVER_AGGREGATE:
        case OVER_FIRST_VALUE:
        case OVER_LAST_VALUE:
        case OVER_NTH_VALUE:
            reach_of_frame(state, c);
            break;
        default: /* shares of the partition's size */
            reach->whole = true;
            break;
        }
    }
    reach->to_start |= reach->whole;
    reach->head = (reach->head || reach->forward) && !reach->to_start;
}

void over_reach_observe(struct over_state *state, const struct batch *change)
{
    for (uint32_t w = 0; w < state->reach.watches_count; w++) {
        const struct over_watch *at = &state->reach.watches[w];
        const struct column *column = &change->columns[at->column];
        for (uint32_t i = 0; i < change->rows; i++) {
            if (column_is_null(column, i))
                continue;
            struct datum value = column_get(column, i);
            int64_t offset = column->phys == PHYS_I64   ? value.i64
                             : column->phys == PHYS_I32 ? value.i32
                                                        : value.i16;
            if (offset > *at->positive)
                *at->positive = offset;
            else if (offset < 0 && at->negative != NULL && offset < -*at->negative)
                *at->negative = offset == INT64_MIN ? INT64_MAX : -offset;
        }
    }
}

bool over_reaches(struct over_state *state, const struct over_range *ranges, uint32_t count, uint32_t of,
                  uint32_t row)
{
    const struct row_layout *layout = ordered_table_layout(state->table);
    const uint8_t *from = ordered_table_row(state->table, of), *to = ordered_table_row(state->table, row);
    for (uint32_t r = 0; r < count; r++) {
        struct over_range range = ranges[r];
        range.zone = state->over.base.ctx->env->io.timezone;
        if (row_layout_is_null(from, range.key_column) || row_layout_is_null(to, range.key_column))
            continue; /* NULLs are in frames of their peers alone */
        struct datum base = row_layout_get(layout, from, range.key_column);
        struct datum offset = row_layout_is_null(from, range.offset_column)
                                  ? datum_null()
                                  : row_layout_get(layout, from, range.offset_column);
        struct datum value = row_layout_get(layout, to, range.key_column);
        struct over_target target;
        struct error error;
        if (!over_range_target(&range, &base, &offset, &state->scratch, &target, &error))
            continue;
        int order = over_range_compare(&range, &value, &target);
        bool preceding = range.minus != range.descending;
        if (preceding ? order >= 0 : order <= 0)
            return true;
    }
    return false;
}
