/* pass_interval.c: joins whose condition bounds the distance of a time of each side become interval joins.
 *
 * Of a view's joins. Such a join keeps its sides ordered by time, looks only at the rows between the bounds, does
 * every kind with any residual itself, and can forget what the watermark has passed.
 *
 * A bound is a comparison of two times, one of each side, plus or minus constants: r + c1 >= l + c2; or one of
 * their difference with a constant. Months, and days where a zone changes its clocks, are no constant distances: the
 * bound is made wide enough for all that they may be, and the condition stays in the residual. */
#include "planner/join_keys.h"

#include "executor/expr_program.h"
#include "storage/data/datetime.h"

#include <strings.h>

/* A time of one side plus a distance, which is only known to lie between two numbers of microseconds. */
struct moment {
    struct expr *base;
    __int128 least, most;
};

enum bound_side { BOUND_LOWER, BOUND_UPPER };

/* right - left >= us, or <= us. */
struct time_condition {
    struct expr *left, *right; /* over the join's row */
    enum bound_side side;
    int64_t us;
    bool is_open;  /* it was > or < */
    bool is_exact; /* it says all that the condition says */
};

static bool is_operator(const struct expr *expr, const char *name)
{
    return expr->kind == EXPR_CALL && expr->args_count == 2 && (expr->function->flags & FN_OPERATOR) &&
           strcmp(expr->function->name, name) == 0;
}

static bool is_time(uint32_t oid)
{
    return oid == OID_TIMESTAMP || oid == OID_TIMESTAMPTZ || oid == OID_DATE;
}

static bool constant_of(struct planner_context *ctx, const struct expr *expr, struct datum *value)
{
    if (ctx->env == NULL || bound_uses_row(expr) || bound_is_correlated(expr) || !expr_is_immutable(expr))
        return false;
    struct error ignored;
    error_init(&ignored);
    return expr_eval_constant(expr, ctx->env, ctx->arena, value, &ignored) && !value->is_null;
}

/* Zones whose offset never changes. */
static bool zone_is_fixed(const struct planner_context *ctx)
{
    static const char *const names[] = {"UTC",  "GMT",      "Etc/UTC", "Etc/GMT",
                                        "Zulu", "Etc/Zulu", "UCT",     "Etc/UCT"};
    const char *zone = ctx->env->io.timezone;
    for (size_t i = 0; zone != NULL && i < ARRAY_COUNT(names); i++)
        if (strcasecmp(zone, names[i]) == 0)
            return true;
    return false;
}

/* The greatest difference of two offsets of a zone, and the shortest and longest month. */
#define ZONE_DAYS      2
#define MONTH_DAYS_MIN 28
#define MONTH_DAYS_MAX 31

static void add_interval(const struct planner_context *ctx, struct moment *moment,
                         const struct interval *interval, int sign, bool in_zone)
{
    __int128 day = US_PER_DAY, days = (__int128)interval->days * sign,
             months = (__int128)interval->months * sign;
    __int128 least = (__int128)interval->us * sign + days * day, most = least;
    least += months * day * (months > 0 ? MONTH_DAYS_MIN : MONTH_DAYS_MAX);
    most += months * day * (months > 0 ? MONTH_DAYS_MAX : MONTH_DAYS_MIN);
    if (in_zone && (days != 0 || months != 0) && !zone_is_fixed(ctx)) {
        least -= ZONE_DAYS * day;
        most += ZONE_DAYS * day;
    }
    moment->least += least;
    moment->most += most;
}

/* expr as base + distance. */
static bool moment_of(struct planner_context *ctx, struct expr *expr, struct moment *out)
{
    if (!is_time(expr->type.oid))
        return false;
    *out = (struct moment){.base = expr};
    for (;;) {
        expr = out->base;
        if (expr->kind == EXPR_CAST && expr->type.oid == OID_TIMESTAMP &&
            expr->args[0]->type.oid == OID_DATE) {
            out->base = expr->args[0];
            continue;
        }
        bool is_plus = is_operator(expr, "+"), is_minus = is_operator(expr, "-");
        if (!is_plus && !is_minus)
            return true;
        uint32_t at = is_plus && is_time(expr->args[1]->type.oid) ? 1 : 0;
        struct expr *base = expr->args[at], *distance = expr->args[1 - at];
        struct datum value;
        if (!is_time(base->type.oid) || !constant_of(ctx, distance, &value))
            return true;
        int sign = is_plus ? 1 : -1;
        if (distance->type.oid == OID_INTERVAL) {
            add_interval(ctx, out, &value.interval, sign, expr->type.oid == OID_TIMESTAMPTZ);
        } else if (distance->type.oid == OID_INT4 && expr->type.oid == OID_DATE) {
            out->least += (__int128)value.i32 * sign * US_PER_DAY;
            out->most += (__int128)value.i32 * sign * US_PER_DAY;
        } else {
            return true;
        }
        out->base = base;
    }
}

static bool is_smooth(const struct expr *expr)
{
    return !expr_is_volatile(expr) && !bound_contains(expr, KIND_BIT(EXPR_SUBQUERY)) &&
           !bound_is_correlated(expr);
}

/* a <op> b: which bound that is once a is the right side's time. */
static bool comparison_of(const struct expr *expr, bool *is_less, bool *is_open)
{
    static const struct {
        const char *name;
        bool is_less, is_open;
    } rows[] = {{"<", true, true}, {"<=", true, false}, {">", false, true}, {">=", false, false}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (!is_operator(expr, rows[i].name))
            continue;
        *is_less = rows[i].is_less;
        *is_open = rows[i].is_open;
        return true;
    }
    return false;
}

static bool fits(__int128 us)
{
    return us > INT64_MIN / 2 && us < INT64_MAX / 2;
}

/* a - b <is less or greater than> something between least and most; a and b are moments' bases. */
static bool condition_from(struct planner_context *ctx, uint32_t left_count, uint32_t total, struct expr *a,
                           struct expr *b, bool is_less, bool is_open, __int128 least, __int128 most,
                           struct time_condition *out)
{
    uint32_t sides_a = join_sides(ctx, a, left_count, total), sides_b = join_sides(ctx, b, left_count, total);
    if (!((sides_a == 1 && sides_b == 2) || (sides_a == 2 && sides_b == 1)) || !is_smooth(a) || !is_smooth(b))
        return false;
    bool tz_a = a->type.oid == OID_TIMESTAMPTZ, tz_b = b->type.oid == OID_TIMESTAMPTZ;
    if (tz_a != tz_b)
        return false;
    if (sides_a == 1) { /* b - a, the other way round */
        struct expr *swap = a;
        a = b;
        b = swap;
        __int128 negated = -least;
        least = -most;
        most = negated;
        is_less = !is_less;
    }
    if (!fits(least) || !fits(most))
        return false;
    out->is_exact = least == most;
    out->is_open = is_open && out->is_exact;
    out->side = is_less ? BOUND_UPPER : BOUND_LOWER;
    out->us = (int64_t)(is_less ? most : least);
    out->us += out->is_open ? (is_less ? -1 : 1) : 0;
    out->left = b;
    out->right = a;
    return true;
}

/* (a - b) <op> constant. */
static bool difference_condition(struct planner_context *ctx, uint32_t left_count, uint32_t total,
                                 struct expr *expr, bool is_less, bool is_open, struct time_condition *out)
{
    for (uint32_t at = 0; at < 2; at++) {
        struct expr *difference = expr->args[at], *limit = expr->args[1 - at];
        struct moment a, b;
        struct datum value;
        if (!is_operator(difference, "-") || !moment_of(ctx, difference->args[0], &a) ||
            !moment_of(ctx, difference->args[1], &b) || !constant_of(ctx, limit, &value))
            continue;
        __int128 us;
        if (difference->type.oid == OID_INTERVAL && limit->type.oid == OID_INTERVAL)
            us =
                ((__int128)value.interval.months * 30 + value.interval.days) * US_PER_DAY + value.interval.us;
        else if (difference->type.oid == OID_INT4 && limit->type.oid == OID_INT4)
            us = (__int128)value.i32 * US_PER_DAY;
        else
            continue;
        /* a.base + ca - (b.base + cb) <op> us */
        return condition_from(ctx, left_count, total, a.base, b.base, (at == 0) == is_less, is_open,
                              us + b.least - a.most, us + b.most - a.least, out);
    }
    return false;
}

static bool time_condition_of(struct planner_context *ctx, uint32_t left_count, uint32_t total,
                              struct expr *expr, struct time_condition *out)
{
    bool is_less, is_open;
    if (!comparison_of(expr, &is_less, &is_open))
        return false;
    struct moment a, b;
    if (!moment_of(ctx, expr->args[0], &a) || !moment_of(ctx, expr->args[1], &b))
        return difference_condition(ctx, left_count, total, expr, is_less, is_open, out);
    /* a.base + ca <op> b.base + cb */
    return condition_from(ctx, left_count, total, a.base, b.base, is_less, is_open, b.least - a.most,
                          b.most - a.least, out);
}

/* ---- the join ---- */

struct bounds {
    struct expr *left, *right;
    int64_t lower, upper;
    bool lower_is_open, upper_is_open;
};

static bool is_pair(const struct bounds *bounds, const struct time_condition *condition)
{
    return bound_equal(bounds->left, condition->left) && bound_equal(bounds->right, condition->right);
}

static void tighten(struct bounds *bounds, const struct time_condition *condition)
{
    if (condition->side == BOUND_LOWER) {
        bounds->lower = condition->us > bounds->lower ? condition->us : bounds->lower;
        bounds->lower_is_open |= condition->is_open;
    } else {
        bounds->upper = condition->us < bounds->upper ? condition->us : bounds->upper;
        bounds->upper_is_open |= condition->is_open;
    }
}

/* The bounds of the first pair of times that is bounded from both sides, else of the first pair. */
static bool find_bounds(struct planner_context *ctx, uint32_t left_count, uint32_t total, struct expr **parts,
                        uint32_t count, struct bounds *out)
{
    bool found = false;
    for (uint32_t i = 0; i < count; i++) {
        struct time_condition condition;
        if (!time_condition_of(ctx, left_count, total, parts[i], &condition))
            continue;
        struct bounds bounds = {
            .left = condition.left, .right = condition.right, .lower = INT64_MIN, .upper = INT64_MAX};
        for (uint32_t k = 0; k < count; k++)
            if (time_condition_of(ctx, left_count, total, parts[k], &condition) &&
                is_pair(&bounds, &condition))
                tighten(&bounds, &condition);
        bool is_whole = bounds.lower != INT64_MIN && bounds.upper != INT64_MAX;
        if (!found || is_whole)
            *out = bounds;
        found = true;
        if (is_whole)
            break;
    }
    return found;
}

/* Does something below say how far time has come? */
static bool has_watermark(const struct plan *plan)
{
    uint32_t column;
    bool is_bounded;
    if (plan->kind == PLAN_SCAN)
        return plan->scan.relation != NULL && relation_event_time(plan->scan.relation, &column, &is_bounded);
    for (uint32_t i = 0; i < plan->children_count; i++) {
        if (has_watermark(plan->children[i]))
            return true;
    }
    return false;
}

/* Is it worth it? An inner join with keys finds its rows as fast without an order, unless they can be forgotten. */
static bool pays(const struct plan *join, const struct bounds *bounds)
{
    bool is_whole = bounds->lower != INT64_MIN && bounds->upper != INT64_MAX;
    if (join->join.kind != JOIN_INNER || join->join.keys_count == 0)
        return true;
    return is_whole && has_watermark(join->children[0]) && has_watermark(join->children[1]);
}

/* The column of a side's plan that holds the time; one is added when it is computed. */
static uint32_t time_column(struct planner_context *ctx, struct plan **side, struct expr *time)
{
    if (time->kind == EXPR_COLUMN)
        return time->index;
    uint32_t first;
    *side = plan_extend(ctx->arena, *side, &time, 1, &first);
    return first;
}

static uint32_t *shift_map(struct planner_context *ctx, uint32_t left_count, uint32_t total,
                           uint32_t left_width)
{
    uint32_t *map = ARENA_ARRAY(ctx->arena, uint32_t, total);
    for (uint32_t i = 0; i < total; i++)
        map[i] = i < left_count ? i : i - left_count + left_width;
    return map;
}

static struct plan *as_interval_join(struct planner_context *ctx, struct plan *join)
{
    struct arena *arena = ctx->arena;
    if (join->join.residual == NULL)
        return join;
    struct plan *left = join->children[0], *right = join->children[1];
    uint32_t l = left->columns_count, r = right->columns_count, count;
    struct expr **parts = bound_conjuncts(arena, join->join.residual, &count);
    struct bounds bounds;
    if (!find_bounds(ctx, l, l + r, parts, count, &bounds) || !pays(join, &bounds))
        return join;
    struct expr **rest = ARENA_ARRAY(arena, struct expr *, count);
    uint32_t rest_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct time_condition condition;
        if (!time_condition_of(ctx, l, l + r, parts[i], &condition) || !is_pair(&bounds, &condition) ||
            !condition.is_exact)
            rest[rest_count++] = parts[i];
    }
    uint32_t *to_right = ARENA_ARRAY(arena, uint32_t, l + r);
    for (uint32_t i = 0; i < l + r; i++)
        to_right[i] = i < l ? UINT32_MAX : i - l;
    uint32_t left_time = time_column(ctx, &left, bounds.left);
    uint32_t right_time = time_column(ctx, &right, bound_remap(arena, bounds.right, to_right, 0));
    bool both = join->join.kind != JOIN_SEMI && join->join.kind != JOIN_ANTI;
    uint32_t width = left->columns_count + (both ? right->columns_count : 0);
    struct plan *plan = plan_new(arena, PLAN_INTERVAL_JOIN, width, 2);
    memcpy(plan->types, left->types, sizeof(*plan->types) * left->columns_count);
    if (both)
        memcpy(plan->types + left->columns_count, right->types, sizeof(*plan->types) * right->columns_count);
    plan->children[0] = left;
    plan->children[1] = right;
    plan->interval_join.kind = join->join.kind;
    plan->interval_join.keys_count = join->join.keys_count;
    plan->interval_join.left_keys = join->join.left_keys;
    plan->interval_join.right_keys = join->join.right_keys;
    plan->interval_join.null_safe = join->join.null_safe;
    plan->interval_join.left_time = left_time;
    plan->interval_join.right_time = right_time;
    plan->interval_join.lower_us = bounds.lower;
    plan->interval_join.upper_us = bounds.upper;
    plan->interval_join.lower_is_open = bounds.lower_is_open;
    plan->interval_join.upper_is_open = bounds.upper_is_open;
    uint32_t *map = shift_map(ctx, l, l + r, left->columns_count);
    struct expr *residual = bound_and_list(arena, rest, rest_count);
    if (residual != NULL)
        plan->interval_join.residual = bound_remap(arena, residual, map, 0);
    if (left->columns_count == l && right->columns_count == r)
        return plan;
    return plan_pick(arena, plan, map, both ? l + r : l);
}

static struct plan *visit(struct planner_context *ctx, struct plan *plan)
{
    if (plan->kind == PLAN_JOIN && plan->join.residual != NULL) {
        struct plan *taken = join_take_keys(ctx, plan);
        if (taken->kind != PLAN_JOIN) { /* a projection was put on top because keys are computed */
            taken->children[0] = visit(ctx, taken->children[0]);
            return taken;
        }
        plan = taken;
    }
    for (uint32_t i = 0; i < plan->children_count; i++)
        plan->children[i] = visit(ctx, plan->children[i]);
    return plan->kind == PLAN_JOIN ? as_interval_join(ctx, plan) : plan;
}

bool pass_interval(struct planner_context *ctx, struct plan **plan, struct error *err)
{
    if (ctx->for_view)
        *plan = visit(ctx, *plan);
    (void)err;
    return true;
}
