/* bound_equal_plan.c: are two plans the same? What makes a subquery in GROUP BY, DISTINCT ON or ORDER BY the
 * same expression as one in the SELECT list, and equal parts of a finished plan one operator. */
#include "planner/bound.h"

#include "storage/data/calendar.h"

static bool same_expr(const struct expr *a, const struct expr *b)
{
    return a == b || (a != NULL && b != NULL && bound_equal(a, b));
}

static bool same_exprs(struct expr *const *a, struct expr *const *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!same_expr(a[i], b[i]))
            return false;
    }
    return true;
}

static bool same_columns(const uint32_t *a, uint32_t a_count, const uint32_t *b, uint32_t b_count)
{
    return a_count == b_count && (a_count == 0 || memcmp(a, b, sizeof(*a) * a_count) == 0);
}

static bool same_keys(const struct sort_key *a, uint32_t a_count, const struct sort_key *b, uint32_t b_count)
{
    if (a_count != b_count)
        return false;
    for (uint32_t i = 0; i < a_count; i++) {
        if (a[i].column != b[i].column || a[i].descending != b[i].descending ||
            a[i].nulls_first != b[i].nulls_first)
            return false;
    }
    return true;
}

static bool same_type(struct sql_type a, struct sql_type b)
{
    return a.oid == b.oid && a.typmod == b.typmod;
}

static bool same_aggregate(const struct plan_aggregate_call *a, const struct plan_aggregate_call *b)
{
    return a->aggregate == b->aggregate && same_type(a->type, b->type) && a->filter == b->filter &&
           a->is_distinct == b->is_distinct && a->keep_input_order == b->keep_input_order &&
           same_columns(a->args, a->args_count, b->args, b->args_count) &&
           same_keys(a->order, a->order_count, b->order, b->order_count);
}

static bool same_aggregates(const struct plan_aggregate_call *a, uint32_t a_count,
                            const struct plan_aggregate_call *b, uint32_t b_count)
{
    if (a_count != b_count)
        return false;
    for (uint32_t i = 0; i < a_count; i++) {
        if (!same_aggregate(&a[i], &b[i]))
            return false;
    }
    return true;
}

static bool same_over(const struct plan_over_call *a, const struct plan_over_call *b)
{
    return a->kind == b->kind && a->aggregate == b->aggregate && same_type(a->type, b->type) &&
           a->filter == b->filter && a->frame_mode == b->frame_mode && a->frame_start == b->frame_start &&
           a->frame_end == b->frame_end && a->frame_start_offset == b->frame_start_offset &&
           a->frame_end_offset == b->frame_end_offset && a->frame_exclude == b->frame_exclude &&
           same_columns(a->args, a->args_count, b->args, b->args_count);
}

static bool same_scan(const struct plan_scan *a, const struct plan_scan *b, uint32_t columns_count)
{
    return a->relation_oid == b->relation_oid && a->relation == b->relation &&
           a->lookup_count == b->lookup_count && a->lookup_index == b->lookup_index &&
           same_columns(a->columns, columns_count, b->columns, columns_count) &&
           same_columns(a->lookup_columns, a->lookup_count, b->lookup_columns, b->lookup_count) &&
           same_exprs(a->lookup_values, b->lookup_values, a->lookup_count);
}

/* Keys of one of the joins, which all have the same fields. */
struct join_keys {
    uint32_t count;
    const uint32_t *left, *right;
    const bool *null_safe;
};

static bool same_join_keys(struct join_keys a, struct join_keys b)
{
    if (!same_columns(a.left, a.count, b.left, b.count) || !same_columns(a.right, a.count, b.right, b.count))
        return false;
    for (uint32_t i = 0; i < a.count; i++) {
        if ((a.null_safe != NULL && a.null_safe[i]) != (b.null_safe != NULL && b.null_safe[i]))
            return false;
    }
    return true;
}

static struct join_keys keys_of_join(const struct plan *plan)
{
    return (struct join_keys){plan->join.keys_count, plan->join.left_keys, plan->join.right_keys,
                              plan->join.null_safe};
}

static struct join_keys keys_of_interval_join(const struct plan *plan)
{
    return (struct join_keys){plan->interval_join.keys_count, plan->interval_join.left_keys,
                              plan->interval_join.right_keys, plan->interval_join.null_safe};
}

static bool same_join(const struct plan *a, const struct plan *b)
{
    return a->join.kind == b->join.kind && same_expr(a->join.residual, b->join.residual) &&
           same_join_keys(keys_of_join(a), keys_of_join(b));
}

static bool same_interval_join(const struct plan *a, const struct plan *b)
{
    return a->interval_join.kind == b->interval_join.kind &&
           same_expr(a->interval_join.residual, b->interval_join.residual) &&
           same_join_keys(keys_of_interval_join(a), keys_of_interval_join(b)) &&
           a->interval_join.left_time == b->interval_join.left_time &&
           a->interval_join.right_time == b->interval_join.right_time &&
           a->interval_join.lower_us == b->interval_join.lower_us &&
           a->interval_join.upper_us == b->interval_join.upper_us &&
           a->interval_join.lower_is_open == b->interval_join.lower_is_open &&
           a->interval_join.upper_is_open == b->interval_join.upper_is_open;
}

static struct join_keys keys_of_lookup_join(const struct plan *plan)
{
    return (struct join_keys){plan->lookup_join.keys_count, plan->lookup_join.left_keys,
                              plan->lookup_join.right_keys, NULL};
}

static bool same_lookup_join(const struct plan *a, const struct plan *b)
{
    return a->lookup_join.is_left == b->lookup_join.is_left &&
           a->lookup_join.is_external == b->lookup_join.is_external &&
           a->lookup_join.found_column == b->lookup_join.found_column &&
           same_expr(a->lookup_join.residual, b->lookup_join.residual) &&
           same_join_keys(keys_of_lookup_join(a), keys_of_lookup_join(b));
}

static bool same_asof_join(const struct plan *a, const struct plan *b)
{
    struct join_keys keys_a = {a->asof_join.keys_count, a->asof_join.left_keys, a->asof_join.right_keys,
                               NULL};
    struct join_keys keys_b = {b->asof_join.keys_count, b->asof_join.left_keys, b->asof_join.right_keys,
                               NULL};
    return a->asof_join.is_left == b->asof_join.is_left && same_join_keys(keys_a, keys_b) &&
           a->asof_join.left_time == b->asof_join.left_time &&
           a->asof_join.right_time == b->asof_join.right_time &&
           a->asof_join.comparison == b->asof_join.comparison;
}

static bool same_values(const struct plan *a, const struct plan *b)
{
    if (a->values.rows_count != b->values.rows_count)
        return false;
    for (uint32_t r = 0; r < a->values.rows_count; r++) {
        if (!same_exprs(a->values.rows[r], b->values.rows[r], a->columns_count))
            return false;
    }
    return true;
}

static bool same_calls(const struct plan *a, const struct plan *b)
{
    if (a->kind == PLAN_AGGREGATE)
        return same_aggregates(a->aggregate.calls, a->aggregate.calls_count, b->aggregate.calls,
                               b->aggregate.calls_count);
    if (a->over.calls_count != b->over.calls_count)
        return false;
    for (uint32_t i = 0; i < a->over.calls_count; i++) {
        if (!same_over(&a->over.calls[i], &b->over.calls[i]))
            return false;
    }
    return true;
}

static bool same_slices(const struct plan_slices *a, const struct plan_slices *b, uint32_t groups_count)
{
    if (a == NULL || b == NULL)
        return a == b;
    return a->slide_us == b->slide_us && a->size_us == b->size_us && a->offset_us == b->offset_us &&
           memcmp(a->roles, b->roles, groups_count) == 0;
}

static bool same_bounds(const struct plan *a, const struct plan *b)
{
    bool same = a->temporal_filter.ttl_us == b->temporal_filter.ttl_us &&
                a->temporal_filter.bounds_count == b->temporal_filter.bounds_count;
    for (uint32_t i = 0; i < a->temporal_filter.bounds_count && same; i++) {
        const struct plan_time_bound *bound_a = &a->temporal_filter.bounds[i],
                                     *bound_b = &b->temporal_filter.bounds[i];
        same = bound_a->comparison == bound_b->comparison && same_expr(bound_a->value, bound_b->value) &&
               same_expr(bound_a->now, bound_b->now);
    }
    return same;
}

static bool same_node(const struct plan *a, const struct plan *b)
{
    switch (a->kind) {
    case PLAN_SCAN:
        return same_scan(&a->scan, &b->scan, a->columns_count);
    case PLAN_SYSTEM:
        return a->system.rows == b->system.rows && a->system.ctx == b->system.ctx &&
               same_columns(a->system.columns, a->columns_count, b->system.columns, b->columns_count);
    case PLAN_VALUES:
        return same_values(a, b);
    case PLAN_PROJECT_SET:
        return a->project_set.calls_count == b->project_set.calls_count &&
               a->project_set.ordinality == b->project_set.ordinality &&
               a->project_set.keep_empty == b->project_set.keep_empty &&
               same_exprs(a->project_set.calls, b->project_set.calls, a->project_set.calls_count);
    case PLAN_CALC:
        return same_expr(a->calc.condition, b->calc.condition) &&
               same_exprs(a->calc.outputs, b->calc.outputs, a->columns_count);
    case PLAN_WINDOW:
        return a->window.time_column == b->window.time_column && a->window.slide_us == b->window.slide_us &&
               a->window.size_us == b->window.size_us && a->window.offset_us == b->window.offset_us &&
               a->window.step_us == b->window.step_us && a->window.slice_us == b->window.slice_us &&
               calendar_equal(a->window.calendar, b->window.calendar);
    case PLAN_SESSION:
        return a->session.time_column == b->session.time_column && a->session.gap_us == b->session.gap_us &&
               a->session.is_aggregate == b->session.is_aggregate &&
               same_columns(a->session.keys, a->session.keys_count, b->session.keys, b->session.keys_count) &&
               same_columns(a->session.groups, a->session.groups_count, b->session.groups,
                            b->session.groups_count) &&
               same_aggregates(a->session.calls, a->session.calls_count, b->session.calls,
                               b->session.calls_count);
    case PLAN_AGGREGATE:
        return same_columns(a->aggregate.groups, a->aggregate.groups_count, b->aggregate.groups,
                            b->aggregate.groups_count) &&
               same_calls(a, b) &&
               same_slices(a->aggregate.slices, b->aggregate.slices, a->aggregate.groups_count);
    case PLAN_JOIN:
        return same_join(a, b);
    case PLAN_UNION_ALL:
        return true;
    case PLAN_SET_OP:
        return a->set_op.is_except == b->set_op.is_except && a->set_op.all == b->set_op.all;
    case PLAN_SORT:
        return a->sort.with_ties == b->sort.with_ties && a->sort.distinct_on == b->sort.distinct_on &&
               a->sort.rank == b->sort.rank && a->sort.shows_rank == b->sort.shows_rank &&
               same_expr(a->sort.limit, b->sort.limit) && same_expr(a->sort.offset, b->sort.offset) &&
               same_keys(a->sort.keys, a->sort.keys_count, b->sort.keys, b->sort.keys_count) &&
               same_columns(a->sort.partition, a->sort.partition_count, b->sort.partition,
                            b->sort.partition_count);
    case PLAN_AT_MOST_ONE:
        return same_columns(a->at_most_one.partition, a->at_most_one.partition_count,
                            b->at_most_one.partition, b->at_most_one.partition_count);
    case PLAN_OVER:
        return same_columns(a->over.partition, a->over.partition_count, b->over.partition,
                            b->over.partition_count) &&
               same_keys(a->over.keys, a->over.keys_count, b->over.keys, b->over.keys_count) &&
               same_calls(a, b);
    case PLAN_INTERVAL_JOIN:
        return same_interval_join(a, b);
    case PLAN_LOOKUP_JOIN:
        return same_lookup_join(a, b);
    case PLAN_ASOF_JOIN:
        return same_asof_join(a, b);
    case PLAN_TEMPORAL_FILTER:
        return same_bounds(a, b);
    case PLAN_LATE:
    case PLAN_FINAL:
    case PLAN_EVERY:
        break;
    }
    return false;
}

bool bound_equal_plan(const struct plan *a, const struct plan *b)
{
    if (a == b)
        return true;
    if (a->kind != b->kind || a->columns_count != b->columns_count || a->children_count != b->children_count)
        return false;
    for (uint32_t i = 0; i < a->columns_count; i++) {
        if (!same_type(a->types[i], b->types[i]))
            return false;
    }
    if (!same_node(a, b))
        return false;
    for (uint32_t i = 0; i < a->children_count; i++) {
        if (!bound_equal_plan(a->children[i], b->children[i]))
            return false;
    }
    return true;
}

bool bound_equal_subquery(const struct bound_subquery *a, const struct bound_subquery *b, uint32_t args_count)
{
    if (a->kind != b->kind || !same_keys(a->order, a->order_count, b->order, b->order_count))
        return false;
    if (a->ops != NULL && memcmp(a->ops, b->ops, sizeof(struct function_row *) * args_count) != 0)
        return false;
    return bound_equal_plan(a->plan, b->plan);
}
