/* join_keys.c: see join_keys.h. */
#include "planner/join_keys.h"

#include "planner/bind.h"

uint32_t join_sides(struct planner_context *ctx, const struct expr *condition, uint32_t left_count,
                    uint32_t total)
{
    bool *used = ARENA_ARRAY(ctx->arena, bool, total);
    uint32_t sides = 0;
    bound_columns(condition, used, total);
    for (uint32_t c = 0; c < total; c++) {
        if (used[c])
            sides |= c < left_count ? 1 : 2;
    }
    return sides;
}

static int integer_rank(uint32_t oid)
{
    return oid == OID_INT2 ? 1 : oid == OID_INT4 ? 2 : oid == OID_INT8 ? 3 : 0;
}

static int float_rank(uint32_t oid)
{
    return oid == OID_FLOAT4 ? 1 : oid == OID_FLOAT8 ? 2 : 0;
}

/* Brings both to one type on which equality means the same; false when there is none. */
static bool same_type(struct planner_context *ctx, struct expr **a, struct expr **c)
{
    uint32_t x = (*a)->type.oid, y = (*c)->type.oid;
    if (x == y)
        return true;
    int (*rank)(uint32_t) = integer_rank(x) && integer_rank(y) ? integer_rank
                            : float_rank(x) && float_rank(y)   ? float_rank
                                                               : NULL;
    if (rank == NULL)
        return false;
    struct expr **narrow = rank(x) < rank(y) ? a : c;
    uint32_t target = rank(x) < rank(y) ? y : x;
    struct error ignored;
    error_init(&ignored);
    return bind_coerce(ctx, *narrow, (struct sql_type){target, -1}, COERCION_IMPLICIT, -1, narrow, &ignored);
}

bool join_equality_of(struct planner_context *ctx, struct expr *condition, uint32_t left_count,
                      uint32_t total, struct join_equality *out)
{
    bool is_call = condition->kind == EXPR_CALL && condition->args_count == 2 &&
                   (condition->function->flags & FN_OPERATOR) && strcmp(condition->function->name, "=") == 0;
    bool is_safe = condition->kind == EXPR_IS_DISTINCT && condition->flag;
    if (!is_call && !is_safe)
        return false;
    struct expr *a = condition->args[0], *c = condition->args[1];
    uint32_t sides_a = join_sides(ctx, a, left_count, total), sides_c = join_sides(ctx, c, left_count, total);
    if (!((sides_a == 1 && sides_c == 2) || (sides_a == 2 && sides_c == 1)) || expr_is_volatile(condition))
        return false;
    if (bound_contains(condition, KIND_BIT(EXPR_SUBQUERY)))
        return false;
    if (sides_a == 2) {
        struct expr *swap = a;
        a = c;
        c = swap;
    }
    if (!same_type(ctx, &a, &c))
        return false;
    uint32_t *map = ARENA_ARRAY(ctx->arena, uint32_t, total);
    for (uint32_t i = 0; i < total; i++)
        map[i] = i < left_count ? UINT32_MAX : i - left_count;
    out->left = a;
    out->right = bound_remap(ctx->arena, c, map, 0);
    out->null_safe = is_safe;
    return true;
}

/* Computed keys behind the child's columns. */
struct side {
    struct plan *plan;
    struct expr **computed;
    uint32_t count, cap;
    struct expr *condition; /* to be applied below */
};

static uint32_t side_column(struct arena *arena, struct side *side, struct expr *expr)
{
    if (expr->kind == EXPR_COLUMN)
        return expr->index;
    for (uint32_t i = 0; i < side->count; i++) {
        if (bound_equal(side->computed[i], expr))
            return side->plan->columns_count + i;
    }
    ARENA_PUSH(arena, side->computed, side->count, side->cap, expr);
    return side->plan->columns_count + side->count - 1;
}

static struct plan *side_plan(struct arena *arena, const struct side *side)
{
    struct plan *plan = side->plan;
    uint32_t first;
    if (side->condition != NULL)
        plan = plan_filter(arena, plan, side->condition);
    if (side->count > 0)
        plan = plan_extend(arena, plan, side->computed, side->count, &first);
    return plan;
}

struct plan *join_take_keys(struct planner_context *ctx, struct plan *join)
{
    struct arena *arena = ctx->arena;
    if (join->join.residual == NULL)
        return join;
    enum join_kind kind = join->join.kind;
    bool both = kind != JOIN_SEMI && kind != JOIN_ANTI;
    uint32_t l = join->children[0]->columns_count, r = join->children[1]->columns_count, count;
    struct expr **parts = bound_conjuncts(arena, join->join.residual, &count);
    struct side left = {.plan = join->children[0]}, right = {.plan = join->children[1]};
    uint32_t *to_right = ARENA_ARRAY(arena, uint32_t, l + r);
    for (uint32_t i = 0; i < l + r; i++)
        to_right[i] = i < l ? UINT32_MAX : i - l;
    struct plan *out = arena_copy(arena, join, sizeof(*out));
    out->join.residual = NULL;
    struct expr **rest = ARENA_ARRAY(arena, struct expr *, count);
    uint32_t rest_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct join_equality equality;
        if (join_equality_of(ctx, parts[i], l, l + r, &equality)) {
            uint32_t left_key = side_column(arena, &left, equality.left);
            uint32_t right_key = side_column(arena, &right, equality.right);
            plan_join_key(arena, out, left_key, right_key, equality.null_safe);
            continue;
        }
        uint32_t sides = join_sides(ctx, parts[i], l, l + r);
        bool movable = !expr_is_volatile(parts[i]) && !bound_contains(parts[i], KIND_BIT(EXPR_SUBQUERY));
        if (movable && sides == 2 && kind != JOIN_FULL) {
            right.condition = bound_and(arena, right.condition, bound_remap(arena, parts[i], to_right, 0));
        } else if (movable && sides == 0 && kind != JOIN_FULL) {
            right.condition =
                bound_and(arena, right.condition, parts[i]); /* rows of the right side only match if true */
        } else if (movable && sides == 1 && (kind == JOIN_INNER || kind == JOIN_SEMI)) {
            left.condition = bound_and(arena, left.condition, parts[i]);
        } else {
            rest[rest_count++] = parts[i];
        }
    }
    struct expr *residual = bound_and_list(arena, rest, rest_count);
    struct plan *new_left = side_plan(arena, &left), *new_right = side_plan(arena, &right);
    uint32_t wide = new_left->columns_count;
    if (residual != NULL) {
        uint32_t *map = ARENA_ARRAY(arena, uint32_t, l + r);
        for (uint32_t i = 0; i < l + r; i++)
            map[i] = i < l ? i : i - l + wide;
        out->join.residual = bound_remap(arena, residual, map, 0);
    }
    struct plan *shaped = plan_join(arena, kind, new_left, new_right);
    shaped->join = out->join;
    if (wide == l && new_right->columns_count == r)
        return shaped;
    uint32_t *list = ARENA_ARRAY(arena, uint32_t, l + r);
    for (uint32_t i = 0; i < l + r; i++)
        list[i] = i < l ? i : i - l + wide;
    return plan_pick(arena, shaped, list, both ? l + r : l);
}
