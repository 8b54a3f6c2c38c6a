/* pass_now.c: conditions of a view on now() become temporal filters; rows of streams that live for a time; periods.
 *
 * A conjunct that compares something of the row with something of the clock is taken out of its filter or join. What
 * the clock side may be stands in executor/clock_function.h; a difference of the two, compared with a constant, is
 * brought into that form. All of one place become one node, below the projection and above what does not look at the
 * clock, so that only rows that can matter wait, with the columns that are needed. Whatever else looks at the clock
 * is left where it is: pass_check_view refuses it. */
#include "executor/clock_function.h"
#include "planner/pass.h"
#include "storage/data/datetime_internal.h"

bool pass_now_is_clock(const struct expr *expr)
{
    static const char *const names[] = {"now",          "transaction_timestamp", "statement_timestamp",
                                        "current_date", "localtimestamp",        "current_timestamp"};
    if (expr->kind != EXPR_CALL || expr->args_count != 0)
        return false;
    for (uint32_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strcmp(expr->function->name, names[i]) == 0)
            return true;
    return false;
}

static void find_clock(void *found_, const struct expr *expr, uint32_t level)
{
    bool *found = found_;
    *found = *found || pass_now_is_clock(expr);
    (void)level;
}

bool pass_now_has_clock(const struct expr *expr)
{
    bool found = false;
    bound_visit(expr, find_clock, &found, 0);
    return found;
}

/* ---- one condition ---- */

static struct expr *call_of(struct arena *arena, const char *name, struct expr *a, struct expr *b)
{
    uint32_t types[] = {a->type.oid, b->type.oid};
    const struct function_row *function = function_find_exact(name, types, 2);
    if (function == NULL)
        return NULL;
    struct expr *args[] = {a, b};
    struct sql_type result = {function_signature(function)->result, -1};
    return expr_call(arena, function, result, arena_copy(arena, args, sizeof(args)), 2);
}

static struct expr *cast_of(struct arena *arena, struct expr *expr, uint32_t type)
{
    struct expr *cast = expr_new(arena, EXPR_CAST, (struct sql_type){type, -1});
    cast->args = arena_copy(arena, &expr, sizeof(expr));
    cast->args_count = 1;
    cast->cast = CAST_FUNCTION;
    cast->function = function_find_cast(expr->type.oid, type);
    CHECK(cast->function != NULL);
    return cast;
}

/* now() and its like become the clock column, or what they make of it. */
static struct expr *clock_for_call(void *arena, const struct expr *expr, uint32_t level)
{
    if (!pass_now_is_clock(expr))
        return NULL;
    struct expr *clock = expr_column(arena, 0, (struct sql_type){OID_TIMESTAMPTZ, -1});
    (void)level;
    return expr->type.oid == OID_TIMESTAMPTZ ? clock : cast_of(arena, clock, expr->type.oid);
}

static bool comparison_of(const struct expr *expr, enum time_comparison *comparison)
{
    static const char *const names[] = {[TIME_GREATER] = ">",
                                        [TIME_GREATER_EQUAL] = ">=",
                                        [TIME_LESS] = "<",
                                        [TIME_LESS_EQUAL] = "<=",
                                        [TIME_EQUAL] = "="};
    if (expr->kind != EXPR_CALL || expr->args_count != 2 || !(expr->function->flags & FN_OPERATOR))
        return false;
    for (uint32_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(expr->function->name, names[i]) == 0) {
            *comparison = (enum time_comparison)i;
            return true;
        }
    }
    return false;
}

/* a < b is b > a */
static enum time_comparison turned(enum time_comparison comparison)
{
    static const enum time_comparison others[] = {TIME_LESS, TIME_LESS_EQUAL, TIME_GREATER,
                                                  TIME_GREATER_EQUAL, TIME_EQUAL};
    return others[comparison];
}

/* not a < b is a >= b, NULLs as they are */
static bool denied(enum time_comparison *comparison)
{
    static const enum time_comparison others[] = {TIME_LESS_EQUAL, TIME_LESS, TIME_GREATER_EQUAL,
                                                  TIME_GREATER};
    if (*comparison == TIME_EQUAL)
        return false;
    *comparison = others[*comparison];
    return true;
}

static bool is_time(uint32_t type)
{
    return type == OID_DATE || type == OID_TIMESTAMP || type == OID_TIMESTAMPTZ;
}

/* Times of different types are compared as the one that says more. */
static uint32_t wider_time(uint32_t a, uint32_t b)
{
    if (a == OID_TIMESTAMPTZ || b == OID_TIMESTAMPTZ)
        return OID_TIMESTAMPTZ;
    return a == OID_TIMESTAMP || b == OID_TIMESTAMP ? OID_TIMESTAMP : OID_DATE;
}

static struct expr *as_type(struct arena *arena, struct expr *expr, uint32_t type)
{
    return expr->type.oid == type ? expr : cast_of(arena, expr, type);
}

/* clock - value <comparison> span, or value - clock: the value goes over to the span's side. Intervals are compared by
 * their length with months of 30 days and days of 24 hours; differences of times have no months. */
static bool move_difference(struct arena *arena, struct expr **clock_side, struct expr **other,
                            enum time_comparison *comparison)
{
    struct expr *difference = *clock_side, *span = *other;
    if (difference->kind != EXPR_CALL || difference->args_count != 2 ||
        strcmp(difference->function->name, "-") != 0)
        return false;
    struct expr *left = difference->args[0], *right = difference->args[1];
    bool clock_is_left = pass_now_has_clock(left);
    if (left->type.oid != right->type.oid || !is_time(left->type.oid) ||
        clock_is_left == pass_now_has_clock(right))
        return false;
    struct expr *value = clock_is_left ? right : left;
    if (span->type.oid == OID_INTERVAL) {
        if (span->kind != EXPR_CONSTANT || span->value.is_null)
            return false;
        __int128 us = interval_span(&span->value.interval);
        if (us > INT64_MAX || us < -INT64_MAX)
            return false;
        span = expr_constant(arena, span->type, (struct datum){.interval = {.us = (int64_t)us}});
    } else if (span->type.oid != OID_INT4) {
        return false;
    }
    /* clock - value < span: value + span > clock; value - clock < span: value - span < clock */
    *other = call_of(arena, clock_is_left ? "+" : "-", value, span);
    *clock_side = clock_is_left ? left : right;
    if (!clock_is_left)
        *comparison = turned(*comparison);
    return *other != NULL && (*other)->type.oid == (*clock_side)->type.oid;
}

/* Is the conjunct a bound? */
static bool bound_of(struct planner_context *ctx, struct expr *expr, struct plan_time_bound *out)
{
    struct arena *arena = ctx->arena;
    bool is_denied = expr->kind == EXPR_NOT;
    struct expr *test = is_denied ? expr->args[0] : expr;
    enum time_comparison comparison; /* of the other side with that of the clock */
    if (!comparison_of(test, &comparison) || (is_denied && !denied(&comparison)))
        return false;
    bool clock_is_left = pass_now_has_clock(test->args[0]);
    if (clock_is_left == pass_now_has_clock(test->args[1]))
        return false;
    struct expr *clock_side = test->args[clock_is_left ? 0 : 1], *value = test->args[clock_is_left ? 1 : 0];
    if (clock_is_left)
        comparison = turned(comparison);
    if (bound_uses_row(clock_side) && !move_difference(arena, &clock_side, &value, &comparison))
        return false;
    if (!is_time(value->type.oid) || !is_time(clock_side->type.oid))
        return false;
    uint32_t type = wider_time(value->type.oid, clock_side->type.oid);
    value = as_type(arena, value, type);
    clock_side = as_type(arena, clock_side, type);
    if (bound_uses_row(clock_side) || bound_contains(value, ~(uint64_t)0 << EXPR_OUTER))
        return false;
    *out = (struct plan_time_bound){.value = value,
                                    .comparison = comparison,
                                    .now = bound_map(arena, clock_side, clock_for_call, arena, 0)};
    return clock_function_create(arena, out->now, ctx->env->io.timezone) != NULL;
}

/* ---- plans ---- */

struct bounds {
    struct plan_time_bound *items;
    uint32_t count, cap;
};

/* Takes the bounds out of a condition; what remains, NULL for nothing. */
static struct expr *take_bounds(struct planner_context *ctx, struct expr *condition, struct bounds *bounds)
{
    uint32_t count, kept = 0;
    struct expr **conjuncts = bound_conjuncts(ctx->arena, condition, &count);
    for (uint32_t i = 0; i < count; i++) {
        struct plan_time_bound bound;
        if (pass_now_has_clock(conjuncts[i]) && bound_of(ctx, conjuncts[i], &bound))
            ARENA_PUSH(ctx->arena, bounds->items, bounds->count, bounds->cap, bound);
        else
            conjuncts[kept++] = conjuncts[i];
    }
    return bounds->count == 0 ? condition : bound_and_list(ctx->arena, conjuncts, kept);
}

static struct plan *temporal_node(struct arena *arena, struct plan *child)
{
    struct plan *node = plan_new(arena, PLAN_TEMPORAL_FILTER, child->columns_count, 1);
    node->children[0] = child;
    if (child->columns_count > 0)
        memcpy(node->types, child->types, sizeof(*node->types) * child->columns_count);
    return node;
}

static struct plan *temporal_filter(struct arena *arena, struct plan *child, const struct bounds *bounds)
{
    struct plan *node = temporal_node(arena, child);
    node->temporal_filter.bounds = bounds->items;
    node->temporal_filter.bounds_count = bounds->count;
    return node;
}

static bool is_identity(const struct plan *calc)
{
    for (uint32_t i = 0; i < calc->columns_count; i++)
        if (calc->calc.outputs[i]->kind != EXPR_COLUMN || calc->calc.outputs[i]->index != i)
            return false;
    return calc->columns_count == calc->children[0]->columns_count;
}

/* Filter and projection with bounds: the rest of the condition and the columns that are needed, the bounds, the
 * outputs. */
static struct plan *split_calc(struct planner_context *ctx, struct plan *plan)
{
    struct arena *arena = ctx->arena;
    struct bounds bounds = {0};
    struct expr *rest = take_bounds(ctx, plan->calc.condition, &bounds);
    if (bounds.count == 0)
        return plan;
    struct plan *child = plan->children[0];
    uint32_t width = child->columns_count, kept = 0;
    bool *used = ARENA_ARRAY(arena, bool, width);
    uint32_t *map = ARENA_ARRAY(arena, uint32_t, width);
    for (uint32_t i = 0; i < plan->columns_count; i++)
        bound_columns(plan->calc.outputs[i], used, width);
    for (uint32_t b = 0; b < bounds.count; b++)
        bound_columns(bounds.items[b].value, used, width);
    struct expr **columns = ARENA_ARRAY(arena, struct expr *, width);
    for (uint32_t c = 0; c < width; c++) {
        map[c] = used[c] ? kept : UINT32_MAX;
        if (used[c])
            columns[kept++] = expr_column(arena, c, child->types[c]);
    }
    if (rest != NULL || kept < width) {
        child = plan_project(arena, child, columns, kept);
        child->calc.condition = rest;
    }
    for (uint32_t b = 0; b < bounds.count; b++)
        bounds.items[b].value = bound_remap(arena, bounds.items[b].value, map, 0);
    plan->calc.condition = NULL;
    for (uint32_t i = 0; i < plan->columns_count; i++)
        plan->calc.outputs[i] = bound_remap(arena, plan->calc.outputs[i], map, 0);
    plan->children[0] = temporal_filter(arena, child, &bounds);
    return is_identity(plan) ? plan->children[0] : plan;
}

static struct plan *split(struct planner_context *ctx, struct plan *plan)
{
    for (uint32_t i = 0; i < plan->children_count; i++)
        plan->children[i] = split(ctx, plan->children[i]);
    if (plan->kind == PLAN_CALC && plan->calc.condition != NULL)
        return split_calc(ctx, plan);
    if (plan->kind == PLAN_JOIN && plan->join.kind == JOIN_INNER && plan->join.residual != NULL) {
        struct bounds bounds = {0};
        plan->join.residual = take_bounds(ctx, plan->join.residual, &bounds);
        return bounds.count > 0 ? temporal_filter(ctx->arena, plan, &bounds) : plan;
    }
    return plan;
}

/* ---- rows of streams that live for a time ---- */

static bool is_stream(const struct plan *plan)
{
    return plan->kind == PLAN_SCAN && plan->scan.relation != NULL &&
           relation_is_append_only(plan->scan.relation);
}

/* Above a stream's scan, or its filter and projection: rows that are dropped anyway do not wait. */
static struct plan *let_streams_go(struct planner_context *ctx, struct plan *plan)
{
    if (is_stream(plan) || (plan->kind == PLAN_CALC && is_stream(plan->children[0]))) {
        struct plan *node = temporal_node(ctx->arena, plan);
        node->temporal_filter.ttl_us = ctx->view_time.state_ttl_us;
        return node;
    }
    for (uint32_t i = 0; i < plan->children_count; i++)
        plan->children[i] = let_streams_go(ctx, plan->children[i]);
    return plan;
}

bool pass_now(struct planner_context *ctx, struct plan **plan, struct error *err)
{
    (void)err;
    if (!ctx->for_view)
        return true;
    *plan = split(ctx, *plan);
    if (ctx->view_time.state_ttl_us > 0)
        *plan = let_streams_go(ctx, *plan);
    if (ctx->view_time.emit == VIEW_EMIT_EVERY) {
        struct plan *every = temporal_node(ctx->arena, *plan);
        every->kind = PLAN_EVERY;
        every->every.period_us = ctx->view_time.every_us;
        *plan = every;
    }
    return true;
}
