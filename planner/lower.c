/* lower.c: what the executor's operators do not do is put together from what they do.
 *
 * Only inner joins have a residual. For the others, with J = the inner join with the residual as a filter:
 *   LEFT   J  UNION ALL  the left rows that do not occur in J, with NULLs
 *   FULL   the same for both sides
 *   SEMI   the left rows that occur in J;  ANTI  those that do not
 * "Occurs" is a null-safe comparison of the columns that decide about a match. Rows keep their weights
 * because the side itself passes the semi or anti join. */
#include "planner/join_keys.h"

static struct plan *lower_plan(struct planner_context *ctx, struct plan *plan);

/* Columns of a side that decide whether a row of it matches: those in keys and residual. Rows that agree in
 * them match or do not match alike. first: where the side begins in the residual's row. */
static uint32_t *deciding_columns(struct planner_context *ctx, const struct plan *join, bool is_left,
                                  uint32_t *count)
{
    uint32_t l = join->children[0]->columns_count, r = join->children[1]->columns_count;
    bool *used = ARENA_ARRAY(ctx->arena, bool, l + r);
    bound_columns(join->join.residual, used, l + r);
    for (uint32_t i = 0; i < join->join.keys_count; i++)
        used[is_left ? join->join.left_keys[i] : l + join->join.right_keys[i]] = true;
    uint32_t first = is_left ? 0 : l, width = is_left ? l : r;
    uint32_t *list = ARENA_ARRAY(ctx->arena, uint32_t, width);
    *count = 0;
    for (uint32_t i = 0; i < width; i++) {
        if (used[first + i])
            list[(*count)++] = i;
    }
    return list;
}

/* A plan whose rows contain those of the side: what semi and anti joins leave out does no harm where only the
 * rows of the side itself are looked for. */
static const struct plan *superset(const struct plan *side)
{
    while (side->kind == PLAN_JOIN && (side->join.kind == JOIN_SEMI || side->join.kind == JOIN_ANTI))
        side = side->children[0];
    return side;
}

/* J, from fresh copies. */
static struct plan *matches(struct planner_context *ctx, const struct plan *join, const struct plan *left,
                            const struct plan *right)
{
    struct plan *inner =
        plan_join(ctx->arena, JOIN_INNER, plan_clone(ctx->arena, left), plan_clone(ctx->arena, right));
    inner->join.keys_count = join->join.keys_count;
    inner->join.left_keys = join->join.left_keys;
    inner->join.right_keys = join->join.right_keys;
    inner->join.null_safe = join->join.null_safe;
    return plan_filter(ctx->arena, inner, join->join.residual);
}

/* SEMI or ANTI join of a side of the join with J. */
static struct plan *occurring(struct planner_context *ctx, enum join_kind kind, const struct plan *join,
                              bool is_left)
{
    const struct plan *left = join->children[0], *right = join->children[1];
    struct plan *found =
        is_left ? matches(ctx, join, superset(left), right) : matches(ctx, join, left, superset(right));
    uint32_t count, first = is_left ? 0 : left->columns_count;
    uint32_t *columns = deciding_columns(ctx, join, is_left, &count);
    uint32_t *picked = ARENA_ARRAY(ctx->arena, uint32_t, count);
    for (uint32_t i = 0; i < count; i++)
        picked[i] = first + columns[i];
    struct plan *out = plan_join(ctx->arena, kind, plan_clone(ctx->arena, is_left ? left : right),
                                 plan_pick(ctx->arena, found, picked, count));
    for (uint32_t i = 0; i < count; i++)
        plan_join_key(ctx->arena, out, columns[i], i, true);
    return out;
}

/* The rows of one side, NULLs in the place of the other's columns. */
static struct plan *padded(struct planner_context *ctx, const struct plan *join, struct plan *rows,
                           bool is_left)
{
    uint32_t l = join->children[0]->columns_count;
    struct expr **outputs = ARENA_ARRAY(ctx->arena, struct expr *, join->columns_count);
    for (uint32_t i = 0; i < join->columns_count; i++) {
        bool own = (i < l) == is_left;
        outputs[i] = own ? expr_column(ctx->arena, is_left ? i : i - l, join->types[i])
                         : bound_null(ctx->arena, join->types[i]);
    }
    return plan_project(ctx->arena, rows, outputs, join->columns_count);
}

static struct plan *lower_join(struct planner_context *ctx, struct plan *plan)
{
    struct plan *join = join_take_keys(ctx, plan);
    if (join->kind != PLAN_JOIN) {
        join->children[0] = lower_plan(ctx, join->children[0]);
        return join;
    }
    for (uint32_t i = 0; i < 2; i++)
        join->children[i] = lower_plan(ctx, join->children[i]);
    enum join_kind kind = join->join.kind;
    if (join->join.residual == NULL || kind == JOIN_INNER)
        return join;
    if (kind == JOIN_SEMI || kind == JOIN_ANTI)
        return occurring(ctx, kind, join, true);
    struct plan *all = plan_new(ctx->arena, PLAN_UNION_ALL, join->columns_count, kind == JOIN_FULL ? 3 : 2);
    memcpy(all->types, join->types, sizeof(*all->types) * join->columns_count);
    all->children[0] = matches(ctx, join, join->children[0], join->children[1]);
    all->children[1] = padded(ctx, join, occurring(ctx, JOIN_ANTI, join, true), true);
    if (kind == JOIN_FULL)
        all->children[2] = padded(ctx, join, occurring(ctx, JOIN_ANTI, join, false), false);
    return all;
}

static struct plan *lower_plan(struct planner_context *ctx, struct plan *plan)
{
    if (plan->kind == PLAN_JOIN)
        return lower_join(ctx, plan);
    for (uint32_t i = 0; i < plan->children_count; i++)
        plan->children[i] = lower_plan(ctx, plan->children[i]);
    bool cuts = plan->kind == PLAN_SORT &&
                (plan->sort.limit != NULL || plan->sort.offset != NULL || plan->sort.distinct_on);
    if (plan->kind == PLAN_SORT && ctx->for_view && !cuts)
        return plan->children[0]; /* contents of a view have no order */
    return plan;
}

bool pass_lower(struct planner_context *ctx, struct plan **plan, struct error *err)
{
    *plan = lower_plan(ctx, *plan);
    (void)err;
    return true;
}

/* ---- what views cannot keep up to date ---- */

struct check {
    struct planner_context *ctx;
    struct error *err;
    bool failed;
};

static void check_expr(void *check_, const struct expr *expr, uint32_t level)
{
    struct check *check = check_;
    if (check->failed || expr->function == NULL)
        return;
    const struct function_row *function = expr->function;
    bool refused =
        (function->flags & FN_VOLATILE) || ((function->flags & FN_STABLE) && !(function->flags & FN_VIEW_OK));
    if (!refused)
        return;
    check->failed = true;
    error_set(check->err, ERRCODE_FEATURE_NOT_SUPPORTED, "%s%s is not supported in a materialized view",
              function->name, function->flags & FN_OPERATOR ? "" : "()");
    error_hint(
        check->err,
        function->flags & FN_VOLATILE
            ? "Its value differs from call to call, so a row could not be taken back later."
        : pass_now_is_clock(expr)
            ? "Conditions of WHERE, ON and HAVING, connected by AND, may compare a value with it, plus or "
              "minus "
              "a constant interval, truncated or cast: ts > now() - INTERVAL '1 hour', ts + ttl > now(), "
              "day = current_date, now() - ts < INTERVAL '1 day'. Elsewhere, compute it when the view is "
              "read."
            : "Its value changes without any change of the data; compute it when the view is read.");
    (void)level;
}

/* What stands in the way of a left side that is not append-only. */
static void refuse_lookup(struct check *check, const struct plan *left)
{
    for (uint32_t i = 0; i < left->children_count; i++) {
        if (!left->children[i]->append_only) {
            refuse_lookup(check, left->children[i]);
            return;
        }
    }
    check->failed = true;
    if (left->kind == PLAN_SCAN)
        error_set(check->err, ERRCODE_FEATURE_NOT_SUPPORTED,
                  "FOR SYSTEM_TIME AS OF needs an append-only left side, but rows of \"%s\" can change",
                  left->scan.name);
    else
        error_set(check->err, ERRCODE_FEATURE_NOT_SUPPORTED,
                  "FOR SYSTEM_TIME AS OF needs an append-only left side, but rows of this query's left side "
                  "can be taken back");
    error_hint(check->err,
               "A row meets the right side once, when it comes, so it cannot be taken back later. Use a "
               "stream, a view of streams that only filters, projects or unites them, or one with EMIT "
               "FINAL; or leave the clause out for a join that follows both sides.");
}

static void check_node(void *check_, struct plan *plan)
{
    struct check *check = check_;
    if (check->failed)
        return;
    const struct expr *counts[2] = {NULL, NULL};
    if (plan->kind == PLAN_SORT) {
        counts[0] = plan->sort.limit;
        counts[1] = plan->sort.offset;
    }
    for (int i = 0; i < 2; i++) {
        if (counts[i] == NULL || expr_is_immutable(counts[i]))
            continue;
        check->failed = true;
        error_set(check->err, ERRCODE_FEATURE_NOT_SUPPORTED, "%s in a materialized view must be constant",
                  i == 0 ? "LIMIT" : "OFFSET");
        return;
    }
    if (plan->kind == PLAN_LOOKUP_JOIN && !plan->children[0]->append_only) {
        refuse_lookup(check, plan->children[0]);
        return;
    }
    if (plan->kind == PLAN_SYSTEM) {
        check->failed = true;
        error_set(check->err, ERRCODE_FEATURE_NOT_SUPPORTED,
                  "system relation \"%s\" cannot be used in a materialized view", plan->system.name);
    }
}

bool pass_check_view(struct planner_context *ctx, struct plan **plan, struct error *err)
{
    if (!ctx->for_view)
        return true;
    struct check check = {ctx, err, false};
    bound_visit_plan(*plan, check_expr, &check, 0);
    if (!check.failed)
        plan_walk(*plan, check_node, &check);
    return !check.failed;
}
