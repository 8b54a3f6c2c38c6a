/* bound.c: see bound.h. */
#include "planner/bound.h"

/* ---- walking ---- */

struct over_slots {
    void (*visit)(void *ctx, struct expr **slot);
    void *ctx;
};

static void visit_slot(const struct over_slots *slots, struct expr **slot)
{
    if (*slot != NULL)
        slots->visit(slots->ctx, slot);
}

static void visit_order(const struct over_slots *slots, struct bound_order *order, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        visit_slot(slots, &order[i].expr);
}

/* Expression slots behind expr->planner. */
static void visit_planner_slots(const struct expr *expr, const struct over_slots *slots)
{
    if (expr->planner == NULL)
        return;
    if (expr->kind == EXPR_AGGREGATE) {
        struct bound_aggregate *aggregate = expr->planner;
        visit_slot(slots, &aggregate->filter);
        visit_order(slots, aggregate->order, aggregate->order_count);
    } else if (expr->kind == EXPR_OVER) {
        struct bound_over *over = expr->planner;
        visit_slot(slots, &over->filter);
        for (uint32_t i = 0; i < over->partition_count; i++)
            visit_slot(slots, &over->partition[i]);
        visit_order(slots, over->order, over->order_count);
        visit_slot(slots, &over->start_offset);
        visit_slot(slots, &over->end_offset);
    }
}

/* The element expression of an array cast sees another row: it is no part of this one. */
static uint32_t own_args(const struct expr *expr)
{
    return expr->kind == EXPR_CAST && expr->cast == CAST_ARRAY && expr->args_count > 1 ? 1 : expr->args_count;
}

void plan_node_exprs(struct plan *plan, void (*visit)(void *ctx, struct expr **slot), void *ctx)
{
    struct over_slots slots = {visit, ctx};
    switch (plan->kind) {
    case PLAN_SCAN:
        for (uint32_t i = 0; i < plan->scan.lookup_count; i++)
            visit_slot(&slots, &plan->scan.lookup_values[i]);
        break;
    case PLAN_VALUES:
        for (uint32_t r = 0; r < plan->values.rows_count; r++) {
            for (uint32_t c = 0; c < plan->columns_count; c++)
                visit_slot(&slots, &plan->values.rows[r][c]);
        }
        break;
    case PLAN_PROJECT_SET:
        for (uint32_t i = 0; i < plan->project_set.calls_count; i++)
            visit_slot(&slots, &plan->project_set.calls[i]);
        break;
    case PLAN_CALC:
        visit_slot(&slots, &plan->calc.condition);
        for (uint32_t i = 0; i < plan->columns_count; i++)
            visit_slot(&slots, &plan->calc.outputs[i]);
        break;
    case PLAN_JOIN:
        visit_slot(&slots, &plan->join.residual);
        break;
    case PLAN_INTERVAL_JOIN:
        visit_slot(&slots, &plan->interval_join.residual);
        break;
    case PLAN_LOOKUP_JOIN:
        visit_slot(&slots, &plan->lookup_join.residual);
        break;
    case PLAN_TEMPORAL_FILTER:
        for (uint32_t i = 0; i < plan->temporal_filter.bounds_count; i++)
            visit_slot(&slots, &plan->temporal_filter.bounds[i].value);
        break;
    case PLAN_SORT:
        visit_slot(&slots, &plan->sort.limit);
        visit_slot(&slots, &plan->sort.offset);
        break;
    default:
        break;
    }
}

struct visit_state {
    void (*visit)(void *ctx, const struct expr *expr, uint32_t level);
    void *ctx;
    uint32_t level;
};

static void visit_in_plan(void *state_, struct expr **slot)
{
    struct visit_state *state = state_;
    bound_visit(*slot, state->visit, state->ctx, state->level);
}

void bound_visit(const struct expr *expr, void (*visit)(void *ctx, const struct expr *expr, uint32_t level),
                 void *ctx, uint32_t level)
{
    visit(ctx, expr, level);
    uint32_t args = own_args(expr);
    for (uint32_t i = 0; i < args; i++)
        bound_visit(expr->args[i], visit, ctx, level);
    struct visit_state state = {visit, ctx, level};
    visit_planner_slots(expr, &(struct over_slots){visit_in_plan, &state});
    if (expr->kind == EXPR_SUBQUERY)
        bound_visit_plan(((const struct bound_subquery *)expr->planner)->plan, visit, ctx, level + 1);
}

void bound_visit_plan(const struct plan *plan,
                      void (*visit)(void *ctx, const struct expr *expr, uint32_t level), void *ctx,
                      uint32_t level)
{
    struct visit_state state = {visit, ctx, level};
    plan_node_exprs((struct plan *)plan, visit_in_plan, &state);
    for (uint32_t i = 0; i < plan->children_count; i++)
        bound_visit_plan(plan->children[i], visit, ctx, level);
}

struct contains_state {
    uint64_t kinds;
    bool found;
};

static void contains_slot(void *state_, struct expr **slot)
{
    struct contains_state *state = state_;
    if (!state->found)
        state->found = bound_contains(*slot, state->kinds);
}

bool bound_contains(const struct expr *expr, uint64_t kinds)
{
    if (kinds & KIND_BIT(expr->kind))
        return true;
    uint32_t args = own_args(expr);
    for (uint32_t i = 0; i < args; i++) {
        if (bound_contains(expr->args[i], kinds))
            return true;
    }
    struct contains_state state = {kinds, false};
    visit_planner_slots(expr, &(struct over_slots){contains_slot, &state});
    return state.found;
}

/* ---- equality ---- */

static bool equal_or_null(const struct expr *a, const struct expr *b)
{
    return a == b || (a != NULL && b != NULL && bound_equal(a, b));
}

static bool order_equal(const struct bound_order *a, uint32_t a_count, const struct bound_order *b,
                        uint32_t b_count)
{
    if (a_count != b_count)
        return false;
    for (uint32_t i = 0; i < a_count; i++) {
        if (a[i].descending != b[i].descending || a[i].nulls_first != b[i].nulls_first ||
            !bound_equal(a[i].expr, b[i].expr))
            return false;
    }
    return true;
}

static bool aggregate_equal(const struct bound_aggregate *a, const struct bound_aggregate *b)
{
    return a->row == b->row && a->is_distinct == b->is_distinct && equal_or_null(a->filter, b->filter) &&
           order_equal(a->order, a->order_count, b->order, b->order_count);
}

static bool over_equal(const struct bound_over *a, const struct bound_over *b)
{
    if (a->kind != b->kind || a->row != b->row || a->partition_count != b->partition_count ||
        a->frame_mode != b->frame_mode || a->frame_start != b->frame_start || a->frame_end != b->frame_end ||
        a->frame_exclude != b->frame_exclude || !equal_or_null(a->filter, b->filter) ||
        !equal_or_null(a->start_offset, b->start_offset) || !equal_or_null(a->end_offset, b->end_offset))
        return false;
    for (uint32_t i = 0; i < a->partition_count; i++) {
        if (!bound_equal(a->partition[i], b->partition[i]))
            return false;
    }
    return order_equal(a->order, a->order_count, b->order, b->order_count);
}

bool bound_equal(const struct expr *a, const struct expr *b)
{
    if (a == b)
        return true;
    if (a->kind != b->kind || a->type.oid != b->type.oid || a->type.typmod != b->type.typmod ||
        a->flag != b->flag || a->args_count != b->args_count || a->function != b->function ||
        a->index != b->index || a->test != b->test || a->cast != b->cast ||
        a->cast_is_explicit != b->cast_is_explicit || a->levels_up != b->levels_up)
        return false;
    for (uint32_t i = 0; i < a->args_count; i++) {
        if (!bound_equal(a->args[i], b->args[i]))
            return false;
    }
    switch (a->kind) {
    case EXPR_CONSTANT:
        return expr_constant_equal(a, b);
    case EXPR_AGGREGATE:
        return aggregate_equal(a->planner, b->planner);
    case EXPR_OVER:
        return over_equal(a->planner, b->planner);
    case EXPR_SET:
        return ((struct bound_set *)a->planner)->column == ((struct bound_set *)b->planner)->column;
    case EXPR_SUBQUERY:
        return bound_equal_subquery(a->planner, b->planner, a->args_count);
    default:
        return true;
    }
}

/* ---- rewriting ---- */

struct map_state {
    struct arena *arena;
    bound_map_fn map;
    void *ctx;
    uint32_t level;
};

static void map_slot(void *state_, struct expr **slot)
{
    struct map_state *state = state_;
    *slot = bound_map(state->arena, *slot, state->map, state->ctx, state->level);
}

static void *copy_planner(struct arena *arena, const struct expr *expr)
{
    if (expr->kind == EXPR_AGGREGATE) {
        struct bound_aggregate *copy = arena_copy(arena, expr->planner, sizeof(*copy));
        copy->order = arena_copy(arena, copy->order, sizeof(*copy->order) * copy->order_count);
        return copy;
    }
    if (expr->kind == EXPR_OVER) {
        struct bound_over *copy = arena_copy(arena, expr->planner, sizeof(*copy));
        copy->order = arena_copy(arena, copy->order, sizeof(*copy->order) * copy->order_count);
        copy->partition =
            arena_copy(arena, copy->partition, sizeof(*copy->partition) * copy->partition_count);
        return copy;
    }
    if (expr->kind == EXPR_SUBQUERY)
        return arena_copy(arena, expr->planner, sizeof(struct bound_subquery));
    return expr->planner;
}

static void any_outer_above(void *ctx, const struct expr *expr, uint32_t level)
{
    bool *found = ctx;
    if (expr->kind == EXPR_OUTER && expr->levels_up >= level)
        *found = true;
}

struct expr *bound_map(struct arena *arena, struct expr *expr, bound_map_fn map, void *ctx, uint32_t level)
{
    struct expr *mapped = map(ctx, expr, level);
    if (mapped != NULL)
        return mapped;
    uint32_t args = own_args(expr);
    if (args == 0 && (expr->planner == NULL || expr->kind == EXPR_SET))
        return expr;
    struct expr **new_args = NULL;
    bool changed = false;
    if (args > 0) {
        new_args = arena_copy(arena, expr->args, sizeof(*new_args) * expr->args_count);
        for (uint32_t i = 0; i < args; i++) {
            new_args[i] = bound_map(arena, expr->args[i], map, ctx, level);
            changed = changed || new_args[i] != expr->args[i];
        }
    }
    bool has_planner = expr->kind == EXPR_AGGREGATE || expr->kind == EXPR_OVER || expr->kind == EXPR_SUBQUERY;
    if (!changed && !has_planner)
        return expr;
    if (expr->kind == EXPR_SUBQUERY) {
        struct bound_subquery *subquery = expr->planner;
        bool touches = false;
        bound_visit_plan(subquery->plan, any_outer_above, &touches, level + 1);
        if (!changed && !touches)
            return expr;
    }
    struct expr *copy = arena_copy(arena, expr, sizeof(*copy));
    copy->args = new_args;
    if (has_planner) {
        copy->planner = copy_planner(arena, expr);
        struct map_state state = {arena, map, ctx, level};
        visit_planner_slots(copy, &(struct over_slots){map_slot, &state});
        if (expr->kind == EXPR_SUBQUERY) {
            struct bound_subquery *subquery = copy->planner;
            subquery->plan = plan_clone(arena, subquery->plan);
            bound_map_plan(arena, subquery->plan, map, ctx, level + 1);
        }
    }
    return copy;
}

void bound_map_plan(struct arena *arena, struct plan *plan, bound_map_fn map, void *ctx, uint32_t level)
{
    struct map_state state = {arena, map, ctx, level};
    plan_node_exprs(plan, map_slot, &state);
    for (uint32_t i = 0; i < plan->children_count; i++)
        bound_map_plan(arena, plan->children[i], map, ctx, level);
}

static bool is_of_row(const struct expr *expr, uint32_t level)
{
    return level == 0 ? expr->kind == EXPR_COLUMN : expr->kind == EXPR_OUTER && expr->levels_up == level;
}

struct remap_state {
    struct arena *arena;
    const uint32_t *map;
    uint32_t shift;
    struct expr *const *outputs;
    int32_t by;
};

static struct expr *remap_node(void *state_, const struct expr *expr, uint32_t level)
{
    struct remap_state *state = state_;
    if (!is_of_row(expr, level))
        return NULL;
    struct expr *copy = arena_copy(state->arena, expr, sizeof(*copy));
    copy->index = state->map != NULL ? state->map[expr->index] : expr->index + state->shift;
    CHECK(copy->index != UINT32_MAX);
    return copy;
}

struct expr *bound_remap(struct arena *arena, struct expr *expr, const uint32_t *map, uint32_t shift)
{
    struct remap_state state = {.arena = arena, .map = map, .shift = shift};
    return bound_map(arena, expr, remap_node, &state, 0);
}

static struct expr *substitute_node(void *state_, const struct expr *expr, uint32_t level)
{
    struct remap_state *state = state_;
    if (!is_of_row(expr, level))
        return NULL;
    CHECK(level == 0);
    return state->outputs[expr->index];
}

struct expr *bound_substitute(struct arena *arena, struct expr *expr, struct expr *const *outputs)
{
    struct remap_state state = {.arena = arena, .outputs = outputs};
    return bound_map(arena, expr, substitute_node, &state, 0);
}

static struct expr *shift_node(void *state_, const struct expr *expr, uint32_t level)
{
    struct remap_state *state = state_;
    if (expr->kind != EXPR_OUTER || expr->levels_up <= level)
        return NULL;
    struct expr *copy = arena_copy(state->arena, expr, sizeof(*copy));
    copy->levels_up = (uint32_t)((int32_t)copy->levels_up + state->by);
    CHECK(copy->levels_up > level);
    return copy;
}

struct expr *bound_shift_levels(struct arena *arena, struct expr *expr, int32_t by)
{
    struct remap_state state = {.arena = arena, .by = by};
    return by == 0 ? expr : bound_map(arena, expr, shift_node, &state, 0);
}

void plan_shift_levels(struct arena *arena, struct plan *plan, int32_t by)
{
    struct remap_state state = {.arena = arena, .by = by};
    if (by != 0)
        bound_map_plan(arena, plan, shift_node, &state, 0);
}

static struct expr *into_node(void *state_, const struct expr *expr, uint32_t level)
{
    struct remap_state *state = state_;
    if (level == 0 && expr->kind == EXPR_COLUMN) {
        struct expr *copy = arena_copy(state->arena, expr, sizeof(*copy));
        copy->kind = EXPR_OUTER;
        copy->levels_up = 1;
        return copy;
    }
    if (expr->kind == EXPR_OUTER && expr->levels_up >= level && expr->levels_up > 0) {
        struct expr *copy = arena_copy(state->arena, expr, sizeof(*copy));
        copy->levels_up++;
        return copy;
    }
    return NULL;
}

struct expr *bound_into_subquery(struct arena *arena, struct expr *expr)
{
    struct remap_state state = {.arena = arena};
    return bound_map(arena, expr, into_node, &state, 0);
}

/* ---- columns ---- */

struct columns_state {
    bool *used;
    uint32_t count;
    uint32_t base; /* level that stands for this row, added to the visit's level */
    bool any;
};

static void columns_node(void *state_, const struct expr *expr, uint32_t level)
{
    struct columns_state *state = state_;
    if (!is_of_row(expr, level))
        return;
    state->any = true;
    if (state->used != NULL) {
        CHECK(expr->index < state->count);
        state->used[expr->index] = true;
    }
}

void bound_columns(const struct expr *expr, bool *used, uint32_t count)
{
    struct columns_state state = {.used = used, .count = count};
    bound_visit(expr, columns_node, &state, 0);
}

bool bound_uses_row(const struct expr *expr)
{
    struct columns_state state = {0};
    bound_visit(expr, columns_node, &state, 0);
    return state.any;
}

bool plan_outer_columns(const struct plan *plan, uint32_t level, bool *used, uint32_t count)
{
    struct columns_state state = {.used = used, .count = count};
    bound_visit_plan(plan, columns_node, &state, level);
    return state.any;
}

static void correlated_node(void *ctx, const struct expr *expr, uint32_t level)
{
    bool *found = ctx;
    if (expr->kind == EXPR_OUTER && expr->levels_up > level)
        *found = true;
}

bool plan_is_correlated(const struct plan *plan)
{
    bool found = false;
    bound_visit_plan(plan, correlated_node, &found, 0);
    return found;
}

bool bound_is_correlated(const struct expr *expr)
{
    bool found = false;
    bound_visit(expr, correlated_node, &found, 0);
    return found;
}

/* ---- plans ---- */

struct plan *plan_clone(struct arena *arena, const struct plan *plan)
{
    struct plan *copy = arena_copy(arena, plan, sizeof(*copy));
    copy->children = arena_copy(arena, plan->children, sizeof(*copy->children) * plan->children_count);
    for (uint32_t i = 0; i < plan->children_count; i++)
        copy->children[i] = plan_clone(arena, plan->children[i]);
    /* Arrays of expression slots are rewritten in place: every node needs its own. */
    switch (plan->kind) {
    case PLAN_SCAN:
        copy->scan.lookup_values =
            arena_copy(arena, plan->scan.lookup_values, sizeof(struct expr *) * plan->scan.lookup_count);
        break;
    case PLAN_VALUES:
        copy->values.rows =
            arena_copy(arena, plan->values.rows, sizeof(struct expr **) * plan->values.rows_count);
        for (uint32_t r = 0; r < plan->values.rows_count; r++)
            copy->values.rows[r] =
                arena_copy(arena, plan->values.rows[r], sizeof(struct expr *) * plan->columns_count);
        break;
    case PLAN_PROJECT_SET:
        copy->project_set.calls =
            arena_copy(arena, plan->project_set.calls, sizeof(struct expr *) * plan->project_set.calls_count);
        break;
    case PLAN_CALC:
        copy->calc.outputs =
            arena_copy(arena, plan->calc.outputs, sizeof(struct expr *) * plan->columns_count);
        break;
    case PLAN_TEMPORAL_FILTER:
        copy->temporal_filter.bounds =
            arena_copy(arena, plan->temporal_filter.bounds,
                       sizeof(*copy->temporal_filter.bounds) * plan->temporal_filter.bounds_count);
        break;
    default:
        break;
    }
    return copy;
}

struct plan *plan_join(struct arena *arena, enum join_kind kind, struct plan *left, struct plan *right)
{
    bool both = kind != JOIN_SEMI && kind != JOIN_ANTI;
    struct plan *join =
        plan_new(arena, PLAN_JOIN, left->columns_count + (both ? right->columns_count : 0), 2);
    memcpy(join->types, left->types, sizeof(*join->types) * left->columns_count);
    if (both)
        memcpy(join->types + left->columns_count, right->types, sizeof(*join->types) * right->columns_count);
    join->children[0] = left;
    join->children[1] = right;
    join->join.kind = kind;
    return join;
}

void plan_join_key(struct arena *arena, struct plan *join, uint32_t left, uint32_t right, bool null_safe)
{
    uint32_t count = join->join.keys_count;
    join->join.left_keys =
        arena_grow(arena, join->join.left_keys, sizeof(uint32_t) * count, sizeof(uint32_t) * (count + 1));
    join->join.right_keys =
        arena_grow(arena, join->join.right_keys, sizeof(uint32_t) * count, sizeof(uint32_t) * (count + 1));
    join->join.null_safe = arena_grow(arena, join->join.null_safe, count, count + 1);
    join->join.left_keys[count] = left;
    join->join.right_keys[count] = right;
    join->join.null_safe[count] = null_safe;
    join->join.keys_count++;
}

struct plan *plan_one_row(struct arena *arena)
{
    struct plan *plan = plan_new(arena, PLAN_VALUES, 0, 0);
    plan->values.rows_count = 1;
    plan->values.rows = ARENA_ARRAY(arena, struct expr **, 1);
    return plan;
}

struct plan *plan_empty(struct arena *arena, const struct sql_type *types, uint32_t count)
{
    struct plan *plan = plan_new(arena, PLAN_VALUES, count, 0);
    memcpy(plan->types, types, sizeof(*types) * count);
    return plan;
}

struct plan *plan_extend(struct arena *arena, struct plan *child, struct expr **exprs, uint32_t count,
                         uint32_t *first)
{
    uint32_t old = child->columns_count;
    struct expr **outputs = ARENA_ARRAY(arena, struct expr *, old + count);
    for (uint32_t i = 0; i < old; i++)
        outputs[i] = expr_column(arena, i, child->types[i]);
    memcpy(outputs + old, exprs, sizeof(*exprs) * count);
    *first = old;
    return plan_project(arena, child, outputs, old + count);
}

struct plan *plan_pick(struct arena *arena, struct plan *child, const uint32_t *list, uint32_t count)
{
    struct expr **outputs = ARENA_ARRAY(arena, struct expr *, count);
    for (uint32_t i = 0; i < count; i++)
        outputs[i] = expr_column(arena, list[i], child->types[list[i]]);
    return plan_project(arena, child, outputs, count);
}

uint32_t plan_size(const struct plan *plan)
{
    uint32_t size = 1;
    for (uint32_t i = 0; i < plan->children_count; i++)
        size += plan_size(plan->children[i]);
    return size;
}

/* ---- small expressions ---- */

static const struct sql_type bool_type = {OID_BOOL, -1};

static void flatten_and(struct arena *arena, struct expr *expr, struct expr ***list, uint32_t *count,
                        uint32_t *cap)
{
    if (expr->kind == EXPR_AND) {
        for (uint32_t i = 0; i < expr->args_count; i++)
            flatten_and(arena, expr->args[i], list, count, cap);
        return;
    }
    ARENA_PUSH(arena, *list, *count, *cap, expr);
}

struct expr **bound_conjuncts(struct arena *arena, struct expr *expr, uint32_t *count)
{
    struct expr **list = NULL;
    uint32_t cap = 0;
    *count = 0;
    if (expr != NULL)
        flatten_and(arena, expr, &list, count, &cap);
    return list;
}

struct expr *bound_and_list(struct arena *arena, struct expr **exprs, uint32_t count)
{
    if (count <= 1)
        return count == 0 ? NULL : exprs[0];
    struct expr *result = expr_new(arena, EXPR_AND, bool_type);
    result->args = arena_copy(arena, exprs, sizeof(*exprs) * count);
    result->args_count = count;
    return result;
}

struct expr *bound_and(struct arena *arena, struct expr *a, struct expr *b)
{
    if (a == NULL || b == NULL)
        return a == NULL ? b : a;
    struct expr *both[2] = {a, b};
    struct expr *nested = bound_and_list(arena, both, 2);
    uint32_t count;
    struct expr **list = bound_conjuncts(arena, nested, &count);
    return bound_and_list(arena, list, count);
}

struct expr *bound_boolean(struct arena *arena, bool value)
{
    return expr_constant(arena, bool_type, datum_bool(value));
}

struct expr *bound_null(struct arena *arena, struct sql_type type)
{
    return expr_constant(arena, type, datum_null());
}

struct expr *bound_int8(struct arena *arena, int64_t value)
{
    return expr_constant(arena, (struct sql_type){OID_INT8, -1}, datum_i64(value));
}

static struct expr *unary(struct arena *arena, enum expr_kind kind, struct expr *arg, bool flag)
{
    struct expr *result = expr_new(arena, kind, bool_type);
    result->args = arena_copy(arena, &arg, sizeof(arg));
    result->args_count = 1;
    result->flag = flag;
    return result;
}

struct expr *bound_is_null(struct arena *arena, struct expr *expr, bool is_not)
{
    return unary(arena, EXPR_IS_NULL, expr, is_not);
}

struct expr *bound_not(struct arena *arena, struct expr *expr)
{
    return unary(arena, EXPR_NOT, expr, false);
}

struct expr *bound_case(struct arena *arena, struct sql_type type, struct expr *const *args, uint32_t count)
{
    struct expr *result = expr_new(arena, EXPR_CASE, type);
    result->args = arena_copy(arena, args, sizeof(*args) * count);
    result->args_count = count;
    return result;
}

struct expr *bound_compare(struct arena *arena, const char *op, struct expr *left, struct expr *right)
{
    uint32_t types[2] = {left->type.oid, right->type.oid};
    const struct function_row *function = function_find_exact(op, types, 2);
    CHECK(function != NULL);
    struct expr *args[2] = {left, right};
    return expr_call(arena, function, bool_type, arena_copy(arena, args, sizeof(args)), 2);
}
