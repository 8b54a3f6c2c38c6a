/* bind_asof_join.c: see bind_time_join.h. */
#include "planner/bind_time_join.h"

#include "planner/join_keys.h"

/* One side: its plan, and computed columns to be added behind it. */
struct asof_side {
    struct plan *plan;
    struct expr **computed;
    uint32_t count, cap;
};

static uint32_t side_column(struct arena *arena, struct asof_side *side, struct expr *expr)
{
    if (expr->kind == EXPR_COLUMN)
        return expr->index;
    ARENA_PUSH(arena, side->computed, side->count, side->cap, expr);
    return side->plan->columns_count + side->count - 1;
}

static bool comparison_of(const struct expr *expr, enum time_comparison *out)
{
    static const struct {
        const char *name;
        enum time_comparison comparison;
    } rows[] = {{"<", TIME_LESS}, {"<=", TIME_LESS_EQUAL}, {">", TIME_GREATER}, {">=", TIME_GREATER_EQUAL}};
    if (expr->kind != EXPR_CALL || expr->args_count != 2 || !(expr->function->flags & FN_OPERATOR))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (strcmp(expr->function->name, rows[i].name) == 0) {
            *out = rows[i].comparison;
            return true;
        }
    }
    return false;
}

static enum time_comparison mirrored(enum time_comparison comparison)
{
    switch (comparison) {
    case TIME_GREATER:
        return TIME_LESS;
    case TIME_GREATER_EQUAL:
        return TIME_LESS_EQUAL;
    case TIME_LESS:
        return TIME_GREATER;
    default:
        return TIME_GREATER_EQUAL;
    }
}

/* Dates compare with timestamps as their midnights do. */
static struct expr *without_cast(struct expr *expr)
{
    return expr->kind == EXPR_CAST && expr->type.oid == OID_TIMESTAMP && expr->args[0]->type.oid == OID_DATE
               ? expr->args[0]
               : expr;
}

static bool times_compare(uint32_t a, uint32_t b)
{
    bool a_plain = a == OID_TIMESTAMP || a == OID_DATE, b_plain = b == OID_TIMESTAMP || b == OID_DATE;
    return (a_plain && b_plain) || (a == OID_TIMESTAMPTZ && b == OID_TIMESTAMPTZ);
}

static bool refuse_condition(struct error *err)
{
    error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
              "the condition of an as-of join holds equalities between its sides and one inequality of two "
              "times only");
    return error_hint(err, "Conditions on one side belong in WHERE, or in a query of WITH that is joined.");
}

bool bind_asof_join(struct planner_context *ctx, bool is_left, struct plan *left_plan,
                    struct plan *right_plan, struct expr *condition, struct plan **out, struct error *err)
{
    struct arena *arena = ctx->arena;
    uint32_t l = left_plan->columns_count, r = right_plan->columns_count, count = 0;
    struct expr **parts = condition != NULL ? bound_conjuncts(arena, condition, &count) : NULL;
    struct asof_side left = {.plan = left_plan}, right = {.plan = right_plan};
    uint32_t *left_keys = ARENA_ARRAY(arena, uint32_t, count + 1), keys_count = 0;
    uint32_t *right_keys = ARENA_ARRAY(arena, uint32_t, count + 1), left_time = 0, right_time = 0;
    uint32_t *to_right = ARENA_ARRAY(arena, uint32_t, l + r);
    for (uint32_t i = 0; i < l + r; i++)
        to_right[i] = i < l ? UINT32_MAX : i - l;
    enum time_comparison comparison = TIME_EQUAL, found;
    for (uint32_t i = 0; i < count; i++) {
        struct expr *part = parts[i];
        struct join_equality equality;
        if (bound_contains(part, KIND_BIT(EXPR_SUBQUERY)) || bound_is_correlated(part) ||
            expr_is_volatile(part))
            return refuse_condition(err);
        if (join_equality_of(ctx, part, l, l + r, &equality) && !equality.null_safe) {
            left_keys[keys_count] = side_column(arena, &left, equality.left);
            right_keys[keys_count++] = side_column(arena, &right, equality.right);
            continue;
        }
        if (!comparison_of(part, &found))
            return refuse_condition(err);
        struct expr *a = without_cast(part->args[0]), *b = without_cast(part->args[1]);
        uint32_t sides_a = join_sides(ctx, a, l, l + r), sides_b = join_sides(ctx, b, l, l + r);
        if (sides_a + sides_b != 3 || sides_a == 0 || sides_b == 0)
            return refuse_condition(err);
        if (!times_compare(a->type.oid, b->type.oid)) {
            error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                      "the inequality of an as-of join must compare two times of one type");
            return error_hint(err, "Both timestamptz, or each timestamp or date; a cast makes them so.");
        }
        if (comparison != TIME_EQUAL)
            return error_set(err, ERRCODE_SYNTAX_ERROR, "an as-of join takes one inequality, not several");
        bool is_mirrored = sides_a == 2;
        comparison = is_mirrored ? mirrored(found) : found;
        left_time = side_column(arena, &left, is_mirrored ? b : a);
        right_time = side_column(arena, &right, bound_remap(arena, is_mirrored ? a : b, to_right, 0));
    }
    if (comparison == TIME_EQUAL) {
        error_set(err, ERRCODE_SYNTAX_ERROR, "an as-of join needs an inequality of two times");
        return error_hint(err,
                          "The nearest row of the right side in time is joined: ON a.k = b.k AND a.ts >= "
                          "b.ts.");
    }
    uint32_t ignored;
    if (left.count > 0)
        left.plan = plan_extend(arena, left.plan, left.computed, left.count, &ignored);
    if (right.count > 0)
        right.plan = plan_extend(arena, right.plan, right.computed, right.count, &ignored);
    uint32_t wide = left.plan->columns_count, right_wide = right.plan->columns_count;
    struct plan *plan = plan_new(arena, PLAN_ASOF_JOIN, wide + right_wide, 2);
    memcpy(plan->types, left.plan->types, sizeof(*plan->types) * wide);
    memcpy(plan->types + wide, right.plan->types, sizeof(*plan->types) * right_wide);
    plan->children[0] = left.plan;
    plan->children[1] = right.plan;
    plan->asof_join.is_left = is_left;
    plan->asof_join.keys_count = keys_count;
    plan->asof_join.left_keys = left_keys;
    plan->asof_join.right_keys = right_keys;
    plan->asof_join.left_time = left_time;
    plan->asof_join.right_time = right_time;
    plan->asof_join.comparison = comparison;
    *out = plan;
    if (wide == l && right_wide == r)
        return true;
    uint32_t *list = ARENA_ARRAY(arena, uint32_t, l + r);
    for (uint32_t i = 0; i < l + r; i++)
        list[i] = i < l ? i : i - l + wide;
    *out = plan_pick(arena, plan, list, l + r);
    return true;
}

bool bind_version_time(struct planner_context *ctx, struct scope *left, uint32_t left_columns,
                       const struct range_entry *right, const PgQuery__ColumnRef *column, int32_t location,
                       struct expr **out, struct error *err)
{
    uint32_t at = UINT32_MAX, times = 0;
    bool is_bounded;
    const struct catalog_object *object = right->object;
    if (object == NULL || object->relation == NULL ||
        !relation_event_time(object->relation, &at, &is_bounded)) {
        for (uint32_t i = 0; i < right->columns_count; i++) {
            uint32_t oid = right->columns[i].type.oid;
            if (oid != OID_TIMESTAMP && oid != OID_TIMESTAMPTZ)
                continue;
            at = i;
            times++;
        }
        if (times != 1) {
            BIND_FAIL(ctx, err, location, ERRCODE_FEATURE_NOT_SUPPORTED,
                      "FOR SYSTEM_TIME AS OF does not know which column of the right side is its time");
            return error_hint(err, "The relation needs a WATERMARK or only one column of type timestamp or "
                                   "timestamptz; ASOF JOIN says it in ON.");
        }
    }
    struct binder b = {.ctx = ctx, .scope = left, .place = PLACE_JOIN_ON};
    PgQuery__ColumnRef *ref = arena_copy(ctx->arena, column, sizeof(*column));
    ref->location = location; /* the text of the clause has moved */
    struct expr *time;
    if (!bind_column_ref(&b, ref, &time, err))
        return false;
    const struct range_column *version = &right->columns[at];
    return bind_operator(ctx, ">=", time,
                         expr_column(ctx->arena, left_columns + version->column, version->type), location,
                         out, err);
}
