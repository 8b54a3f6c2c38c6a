/* pass_pushdown.c: moves conditions towards the scans, turns equalities into join keys, and orders the
 * members of inner joins so that no cross product is made while an equality connects them.
 *
 * push(plan, conditions) gives a plan with the same columns that fulfils the conditions: whatever cannot move
 * further down ends as a filter right there. Volatile conditions stay where they were written, and those of a view on
 * the clock above what keeps results by event time: below it they would take rows out of windows that are closed. */
#include "planner/join_keys.h"
#include "planner/pass.h"

struct conditions {
    struct expr **items;
    uint32_t count, cap;
};

static struct plan *push(struct planner_context *ctx, struct plan *plan, struct conditions conditions);

static void add(struct planner_context *ctx, struct conditions *list, struct expr *expr)
{
    ARENA_PUSH(ctx->arena, list->items, list->count, list->cap, expr);
}

static void add_conjuncts(struct planner_context *ctx, struct conditions *list, struct expr *expr)
{
    uint32_t count;
    struct expr **parts = bound_conjuncts(ctx->arena, expr, &count);
    for (uint32_t i = 0; i < count; i++)
        add(ctx, list, parts[i]);
}

static struct plan *filtered(struct planner_context *ctx, struct plan *plan, const struct conditions *list)
{
    struct expr *condition = bound_and_list(ctx->arena, list->items, list->count);
    return condition != NULL ? plan_filter(ctx->arena, plan, condition) : plan;
}

static struct conditions none(void)
{
    return (struct conditions){0};
}

/* Does the condition read only columns for which keep is true? */
static bool reads_only(struct planner_context *ctx, const struct expr *expr, const bool *keep, uint32_t count)
{
    bool *used = ARENA_ARRAY(ctx->arena, bool, count);
    bound_columns(expr, used, count);
    for (uint32_t i = 0; i < count; i++) {
        if (used[i] && !keep[i])
            return false;
    }
    return true;
}

/* Splits by reads_only. */
static void split(struct planner_context *ctx, const struct conditions *from, const bool *keep,
                  uint32_t count, struct conditions *inside, struct conditions *outside)
{
    for (uint32_t i = 0; i < from->count; i++)
        add(ctx, reads_only(ctx, from->items[i], keep, count) ? inside : outside, from->items[i]);
}

static struct plan *push_children(struct planner_context *ctx, struct plan *plan)
{
    for (uint32_t i = 0; i < plan->children_count; i++)
        plan->children[i] = push(ctx, plan->children[i], none());
    return plan;
}

static uint32_t expr_size(const struct expr *expr)
{
    uint32_t size = 1;
    for (uint32_t i = 0; i < expr->args_count && size < 1000; i++)
        size += expr_size(expr->args[i]);
    return size;
}

static struct plan *push_calc(struct planner_context *ctx, struct plan *plan, struct conditions conditions)
{
    struct conditions below = {0}, above = {0};
    add_conjuncts(ctx, &below, plan->calc.condition);
    bool *movable = ARENA_ARRAY(ctx->arena, bool, plan->columns_count);
    for (uint32_t i = 0; i < plan->columns_count; i++)
        movable[i] = !expr_is_volatile(plan->calc.outputs[i]) && expr_size(plan->calc.outputs[i]) < 100;
    for (uint32_t i = 0; i < conditions.count; i++) {
        if (reads_only(ctx, conditions.items[i], movable, plan->columns_count))
            add(ctx, &below, bound_substitute(ctx->arena, conditions.items[i], plan->calc.outputs));
        else
            add(ctx, &above, conditions.items[i]);
    }
    plan->calc.condition = NULL;
    plan->children[0] = push(ctx, plan->children[0], below);
    return filtered(ctx, plan, &above);
}

/* ---- inner joins ---- */

struct leaf {
    struct plan *plan;
    uint32_t first; /* its first column in the flat row */
};
struct edge {
    struct expr *left, *right; /* over the flat row; "=" of one type */
    bool null_safe, used;
};
struct flat {
    struct planner_context *ctx;
    struct leaf *leaves;
    uint32_t leaves_count, leaves_cap, width;
    struct conditions conditions; /* over the flat row */
    struct edge *edges;
    uint32_t edges_count, edges_cap;
};

static bool is_identity(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->columns_count; i++) {
        if (plan->calc.outputs[i]->kind != EXPR_COLUMN || plan->calc.outputs[i]->index != i)
            return false;
    }
    return plan->columns_count == plan->children[0]->columns_count;
}

static void flatten(struct flat *flat, struct plan *plan, uint32_t depth)
{
    struct arena *arena = flat->ctx->arena;
    uint32_t first = flat->width;
    if (depth < 1000 && plan->kind == PLAN_CALC && is_identity(plan) &&
        (plan->children[0]->kind == PLAN_JOIN || plan->children[0]->kind == PLAN_CALC) &&
        (plan->calc.condition == NULL || !expr_is_volatile(plan->calc.condition))) {
        flatten(flat, plan->children[0], depth + 1);
        uint32_t count;
        struct expr **parts = bound_conjuncts(arena, plan->calc.condition, &count);
        for (uint32_t i = 0; i < count; i++)
            add(flat->ctx, &flat->conditions, bound_remap(arena, parts[i], NULL, first));
        return;
    }
    if (depth < 1000 && plan->kind == PLAN_JOIN && plan->join.kind == JOIN_INNER) {
        uint32_t l = plan->children[0]->columns_count;
        flatten(flat, plan->children[0], depth + 1);
        flatten(flat, plan->children[1], depth + 1);
        for (uint32_t i = 0; i < plan->join.keys_count; i++) {
            uint32_t a = plan->join.left_keys[i], c = plan->join.right_keys[i];
            struct edge edge = {expr_column(arena, first + a, plan->types[a]),
                                expr_column(arena, first + l + c, plan->types[l + c]),
                                plan->join.null_safe != NULL && plan->join.null_safe[i], false};
            ARENA_PUSH(arena, flat->edges, flat->edges_count, flat->edges_cap, edge);
        }
        uint32_t count;
        struct expr **parts = bound_conjuncts(arena, plan->join.residual, &count);
        for (uint32_t i = 0; i < count; i++)
            add(flat->ctx, &flat->conditions, bound_remap(arena, parts[i], NULL, first));
        return;
    }
    struct leaf leaf = {plan, first};
    ARENA_PUSH(arena, flat->leaves, flat->leaves_count, flat->leaves_cap, leaf);
    flat->width += plan->columns_count;
}

static uint32_t leaf_of(const struct flat *flat, uint32_t column)
{
    uint32_t leaf = 0;
    while (leaf + 1 < flat->leaves_count && flat->leaves[leaf + 1].first <= column)
        leaf++;
    /* Leaves without columns share their first column with the next one: take the one that has the column. */
    while (column >= flat->leaves[leaf].first + flat->leaves[leaf].plan->columns_count)
        leaf++;
    return leaf;
}

static void leaves_of(const struct flat *flat, const struct expr *expr, bool *leaves)
{
    bool *used = ARENA_ARRAY(flat->ctx->arena, bool, flat->width);
    bound_columns(expr, used, flat->width);
    for (uint32_t c = 0; c < flat->width; c++) {
        if (used[c])
            leaves[leaf_of(flat, c)] = true;
    }
}

static bool all_in(const bool *leaves, const bool *placed, uint32_t count, uint32_t also)
{
    for (uint32_t i = 0; i < count; i++) {
        if (leaves[i] && !placed[i] && i != also)
            return false;
    }
    return true;
}

/* Equalities of conditions become edges; what reads one leaf goes into it; the rest stays. */
static void classify(struct flat *flat)
{
    struct planner_context *ctx = flat->ctx;
    struct conditions rest = {0};
    struct conditions *of_leaf = ARENA_ARRAY(ctx->arena, struct conditions, flat->leaves_count);
    for (uint32_t i = 0; i < flat->conditions.count; i++) {
        struct expr *expr = flat->conditions.items[i];
        bool *leaves = ARENA_ARRAY(ctx->arena, bool, flat->leaves_count);
        leaves_of(flat, expr, leaves);
        uint32_t count = 0, last = 0;
        for (uint32_t k = 0; k < flat->leaves_count; k++) {
            count += leaves[k];
            last = leaves[k] ? k : last;
        }
        if (count <= 1) {
            uint32_t *map = ARENA_ARRAY(ctx->arena, uint32_t, flat->width);
            for (uint32_t c = 0; c < flat->width; c++)
                map[c] = c >= flat->leaves[last].first ? c - flat->leaves[last].first : UINT32_MAX;
            add(ctx, &of_leaf[last], bound_remap(ctx->arena, expr, map, 0));
            continue;
        }
        add(ctx, &rest, expr);
    }
    flat->conditions = rest;
    for (uint32_t k = 0; k < flat->leaves_count; k++)
        flat->leaves[k].plan = push(ctx, flat->leaves[k].plan, of_leaf[k]);
}

/* Is the leaf connected to what is placed by an equality? */
static bool is_connected(struct flat *flat, const bool *placed, uint32_t leaf)
{
    struct arena *arena = flat->ctx->arena;
    for (uint32_t i = 0; i < flat->edges_count + flat->conditions.count; i++) {
        const struct expr *sides[2];
        if (i < flat->edges_count) {
            sides[0] = flat->edges[i].left;
            sides[1] = flat->edges[i].right;
        } else {
            const struct expr *expr = flat->conditions.items[i - flat->edges_count];
            bool equality = (expr->kind == EXPR_CALL && expr->args_count == 2 &&
                             strcmp(expr->function->name, "=") == 0) ||
                            (expr->kind == EXPR_IS_DISTINCT && expr->flag);
            if (!equality)
                continue;
            sides[0] = expr->args[0];
            sides[1] = expr->args[1];
        }
        for (int s = 0; s < 2; s++) {
            bool *own = ARENA_ARRAY(arena, bool, flat->leaves_count),
                 *other = ARENA_ARRAY(arena, bool, flat->leaves_count);
            leaves_of(flat, sides[s], own);
            leaves_of(flat, sides[1 - s], other);
            bool only_leaf = own[leaf], any_other = false;
            for (uint32_t k = 0; k < flat->leaves_count; k++) {
                only_leaf = only_leaf && (!own[k] || k == leaf);
                any_other = any_other || other[k];
            }
            if (only_leaf && any_other && !other[leaf] &&
                all_in(other, placed, flat->leaves_count, UINT32_MAX))
                return true;
        }
    }
    return false;
}

/* Joins the next leaf with every equality that can now be a key; other conditions that are complete become
 * the residual. */
static struct plan *join_leaf(struct flat *flat, struct plan *plan, uint32_t *where, bool *placed,
                              uint32_t leaf)
{
    struct planner_context *ctx = flat->ctx;
    struct arena *arena = ctx->arena;
    struct plan *right = flat->leaves[leaf].plan;
    uint32_t l = plan->columns_count;
    struct plan *join = plan_join(arena, JOIN_INNER, plan, right);
    for (uint32_t c = 0; c < right->columns_count; c++)
        where[flat->leaves[leaf].first + c] = l + c;
    for (uint32_t i = 0; i < flat->edges_count; i++) {
        struct edge *edge = &flat->edges[i];
        uint32_t a = where[edge->left->index], c = where[edge->right->index];
        if (edge->used || a == UINT32_MAX || c == UINT32_MAX)
            continue;
        edge->used = true;
        if (a >= l && c < l) {
            uint32_t swap = a;
            a = c;
            c = swap;
        }
        if (a < l && c >= l) {
            plan_join_key(arena, join, a, c - l, edge->null_safe);
            continue;
        }
        /* Both on one side: a plain condition. */
        struct expr *same = expr_new(arena, EXPR_IS_DISTINCT, (struct sql_type){OID_BOOL, -1});
        struct expr *args[2] = {edge->left, edge->right};
        same->args = arena_copy(arena, args, sizeof(args));
        same->args_count = 2;
        same->flag = true;
        struct expr *test = same;
        if (!edge->null_safe)
            test = bound_and(arena, bound_is_null(arena, edge->left, true), same);
        add(ctx, &flat->conditions, test);
    }
    placed[leaf] = true;
    struct expr *residual = NULL;
    for (uint32_t i = 0; i < flat->conditions.count; i++) {
        struct expr *expr = flat->conditions.items[i];
        if (expr == NULL)
            continue;
        bool *leaves = ARENA_ARRAY(arena, bool, flat->leaves_count);
        leaves_of(flat, expr, leaves);
        if (!all_in(leaves, placed, flat->leaves_count, UINT32_MAX))
            continue;
        residual = bound_and(arena, residual, bound_remap(arena, expr, where, 0));
        flat->conditions.items[i] = NULL;
    }
    join->join.residual = residual;
    return residual != NULL ? join_take_keys(ctx, join) : join;
}

static struct plan *push_inner_join(struct planner_context *ctx, struct plan *plan,
                                    struct conditions conditions)
{
    struct arena *arena = ctx->arena;
    struct flat flat = {.ctx = ctx};
    flatten(&flat, plan, 0);
    for (uint32_t i = 0; i < conditions.count; i++)
        add(ctx, &flat.conditions, conditions.items[i]);
    classify(&flat);
    bool *placed = ARENA_ARRAY(arena, bool, flat.leaves_count);
    uint32_t *where = ARENA_ARRAY(arena, uint32_t, flat.width);
    for (uint32_t c = 0; c < flat.width; c++)
        where[c] = UINT32_MAX;
    struct plan *result = NULL;
    for (uint32_t step = 0; step < flat.leaves_count; step++) {
        uint32_t next = 0;
        while (placed[next])
            next++;
        for (uint32_t k = next; step > 0 && k < flat.leaves_count; k++) {
            if (!placed[k] && is_connected(&flat, placed, k)) {
                next = k;
                break;
            }
        }
        if (step == 0) {
            result = flat.leaves[next].plan;
            placed[next] = true;
            for (uint32_t c = 0; c < result->columns_count; c++)
                where[flat.leaves[next].first + c] = c;
            continue;
        }
        result = join_leaf(&flat, result, where, placed, next);
        /* join_take_keys keeps the columns in place. */
        for (uint32_t i = 0; i < flat.conditions.count; i++) {
            if (flat.conditions.items[i] != NULL)
                continue;
        }
        uint32_t kept = 0;
        for (uint32_t i = 0; i < flat.conditions.count; i++) {
            if (flat.conditions.items[i] != NULL)
                flat.conditions.items[kept++] = flat.conditions.items[i];
        }
        flat.conditions.count = kept;
    }
    bool in_place = true;
    for (uint32_t c = 0; c < flat.width; c++)
        in_place = in_place && where[c] == c;
    return in_place && result->columns_count == flat.width ? result
                                                           : plan_pick(arena, result, where, flat.width);
}

/* ---- other joins ---- */

static struct plan *push_other_join(struct planner_context *ctx, struct plan *plan,
                                    struct conditions conditions)
{
    struct plan *taken = join_take_keys(ctx, plan);
    if (taken->kind != PLAN_JOIN) { /* a projection was put on top because keys are computed */
        taken->children[0] = push_other_join(ctx, taken->children[0], none());
        return filtered(ctx, taken, &conditions);
    }
    plan = taken;
    struct conditions to_left = {0}, above = {0};
    if (plan->join.kind == JOIN_FULL) {
        above = conditions;
    } else {
        uint32_t l = plan->children[0]->columns_count;
        bool *left = ARENA_ARRAY(ctx->arena, bool, plan->columns_count);
        for (uint32_t c = 0; c < plan->columns_count; c++)
            left[c] = c < l;
        split(ctx, &conditions, left, plan->columns_count, &to_left, &above);
    }
    plan->children[0] = push(ctx, plan->children[0], to_left);
    plan->children[1] = push(ctx, plan->children[1], none());
    return filtered(ctx, plan, &above);
}

/* Conditions on the clock stay above: rows of the left side are never taken back. */
static struct plan *push_lookup_join(struct planner_context *ctx, struct plan *plan,
                                     struct conditions conditions)
{
    uint32_t l = plan->children[0]->columns_count;
    bool *left = ARENA_ARRAY(ctx->arena, bool, plan->columns_count);
    for (uint32_t c = 0; c < plan->columns_count; c++)
        left[c] = c < l;
    struct conditions to_left = {0}, above = {0};
    for (uint32_t i = 0; i < conditions.count; i++) {
        struct expr *expr = conditions.items[i];
        bool moves = !pass_now_has_clock(expr) && reads_only(ctx, expr, left, plan->columns_count);
        add(ctx, moves ? &to_left : &above, expr);
    }
    plan->children[0] = push(ctx, plan->children[0], to_left);
    plan->children[1] = push(ctx, plan->children[1], none());
    return filtered(ctx, plan, &above);
}

/* ---- other nodes ---- */

static struct plan *push_aggregate(struct planner_context *ctx, struct plan *plan,
                                   struct conditions conditions)
{
    uint32_t groups = plan->aggregate.groups_count;
    if (groups == 0) {
        push_children(ctx, plan);
        return filtered(ctx, plan, &conditions);
    }
    bool *keep = ARENA_ARRAY(ctx->arena, bool, plan->columns_count);
    uint32_t *map = ARENA_ARRAY(ctx->arena, uint32_t, plan->columns_count);
    for (uint32_t i = 0; i < plan->columns_count; i++) {
        keep[i] = i < groups;
        map[i] = i < groups ? plan->aggregate.groups[i] : UINT32_MAX;
    }
    struct conditions below = {0}, above = {0}, moved = {0};
    for (uint32_t i = 0; i < conditions.count; i++) {
        /* A condition without columns decides about the groups, not the rows: it may move as well, there are
         * groups. */
        add(ctx, reads_only(ctx, conditions.items[i], keep, plan->columns_count) ? &below : &above,
            conditions.items[i]);
    }
    for (uint32_t i = 0; i < below.count; i++)
        add(ctx, &moved, bound_remap(ctx->arena, below.items[i], map, 0));
    plan->children[0] = push(ctx, plan->children[0], moved);
    return filtered(ctx, plan, &above);
}

/* Conditions on the partition columns keep or drop whole partitions. */
static struct plan *push_partitioned(struct planner_context *ctx, struct plan *plan,
                                     struct conditions conditions, const uint32_t *partition, uint32_t count)
{
    bool *keep = ARENA_ARRAY(ctx->arena, bool, plan->columns_count);
    for (uint32_t i = 0; i < count; i++)
        keep[partition[i]] = true;
    struct conditions below = {0}, above = {0};
    split(ctx, &conditions, keep, plan->columns_count, &below, &above);
    if (count == 0) {
        above = conditions;
        below = none();
    }
    plan->children[0] = push(ctx, plan->children[0], below);
    return filtered(ctx, plan, &above);
}

static struct plan *push_widening(struct planner_context *ctx, struct plan *plan,
                                  struct conditions conditions)
{
    bool *keep = ARENA_ARRAY(ctx->arena, bool, plan->columns_count);
    for (uint32_t i = 0; i < plan->children[0]->columns_count; i++)
        keep[i] = true;
    struct conditions below = {0}, above = {0};
    split(ctx, &conditions, keep, plan->columns_count, &below, &above);
    plan->children[0] = push(ctx, plan->children[0], below);
    return filtered(ctx, plan, &above);
}

static struct plan *push_branches(struct planner_context *ctx, struct plan *plan,
                                  struct conditions conditions)
{
    bool left_only = plan->kind == PLAN_SET_OP;
    for (uint32_t i = 0; i < plan->children_count; i++) {
        struct conditions copy = {0};
        for (uint32_t k = 0; k < conditions.count && (i == 0 || !left_only); k++)
            add(ctx, &copy, conditions.items[k]);
        plan->children[i] = push(ctx, plan->children[i], copy);
    }
    return plan;
}

static struct plan *push_node(struct planner_context *ctx, struct plan *plan, struct conditions conditions)
{
    switch (plan->kind) {
    case PLAN_CALC:
        if (plan->calc.condition != NULL && expr_is_volatile(plan->calc.condition)) {
            push_children(ctx, plan);
            return filtered(ctx, plan, &conditions);
        }
        return push_calc(ctx, plan, conditions);
    case PLAN_JOIN:
        return plan->join.kind == JOIN_INNER ? push_inner_join(ctx, plan, conditions)
                                             : push_other_join(ctx, plan, conditions);
    case PLAN_LOOKUP_JOIN:
        return push_lookup_join(ctx, plan, conditions);
    case PLAN_AGGREGATE:
        return push_aggregate(ctx, plan, conditions);
    case PLAN_SORT:
        if (plan->sort.limit == NULL && plan->sort.offset == NULL && !plan->sort.distinct_on) {
            plan->children[0] = push(ctx, plan->children[0], conditions);
            return plan;
        }
        return push_partitioned(ctx, plan, conditions, plan->sort.partition, plan->sort.partition_count);
    case PLAN_OVER:
        return push_partitioned(ctx, plan, conditions, plan->over.partition, plan->over.partition_count);
    case PLAN_SESSION:
        return push_partitioned(ctx, plan, conditions, plan->session.keys, plan->session.keys_count);
    case PLAN_WINDOW:
    case PLAN_PROJECT_SET:
        return push_widening(ctx, plan, conditions);
    case PLAN_UNION_ALL:
    case PLAN_SET_OP:
        return push_branches(ctx, plan, conditions);
    default:
        push_children(ctx, plan);
        return filtered(ctx, plan, &conditions);
    }
}

static bool has_event_time(const struct plan *plan)
{
    uint32_t column;
    bool is_bounded;
    if (plan->kind == PLAN_SCAN && plan->scan.relation != NULL &&
        relation_event_time(plan->scan.relation, &column, &is_bounded))
        return true;
    for (uint32_t i = 0; i < plan->children_count; i++) {
        if (has_event_time(plan->children[i]))
            return true;
    }
    return false;
}

/* Does the node keep results that are closed by a watermark? */
static bool closes_by_time(const struct planner_context *ctx, const struct plan *plan)
{
    bool keeps = plan->kind == PLAN_AGGREGATE || plan->kind == PLAN_SORT || plan->kind == PLAN_OVER ||
                 plan->kind == PLAN_SESSION || plan->kind == PLAN_SET_OP;
    return keeps && ctx->for_view && ctx->view_time.late != VIEW_LATE_CORRECT && has_event_time(plan);
}

static struct plan *push(struct planner_context *ctx, struct plan *plan, struct conditions conditions)
{
    struct conditions movable = {0}, staying = {0};
    for (uint32_t i = 0; i < conditions.count; i++) {
        struct expr *expr = conditions.items[i];
        bool stays = expr_is_volatile(expr) || (pass_now_has_clock(expr) && closes_by_time(ctx, plan));
        add(ctx, stays ? &staying : &movable, expr);
    }
    return filtered(ctx, push_node(ctx, plan, movable), &staying);
}

bool pass_pushdown(struct planner_context *ctx, struct plan **plan, struct error *err)
{
    *plan = push(ctx, *plan, none());
    (void)err;
    return true;
}

/* ---- outer joins ---- */

/* Is the value NULL whenever the marked columns are? */
static bool null_with(const struct expr *expr, const bool *columns)
{
    switch (expr->kind) {
    case EXPR_COLUMN:
        return columns[expr->index];
    case EXPR_CALL:
        if (expr->function->flags & FN_NULLS)
            return false;
        break;
    case EXPR_CAST:
    case EXPR_TYPMOD:
        return null_with(expr->args[0], columns);
    case EXPR_NOT:
        break;
    case EXPR_IN:
        return null_with(expr->args[0], columns);
    default:
        return false;
    }
    for (uint32_t i = 0; i < expr->args_count; i++) {
        if (null_with(expr->args[i], columns))
            return true;
    }
    return false;
}

/* Is the condition never true when the marked columns are NULL? */
static bool drops_null(const struct expr *expr, const bool *columns)
{
    switch (expr->kind) {
    case EXPR_AND:
        for (uint32_t i = 0; i < expr->args_count; i++) {
            if (drops_null(expr->args[i], columns))
                return true;
        }
        return false;
    case EXPR_OR:
        for (uint32_t i = 0; i < expr->args_count; i++) {
            if (!drops_null(expr->args[i], columns))
                return false;
        }
        return true;
    case EXPR_IS_NULL:
        return expr->flag && null_with(expr->args[0], columns);
    case EXPR_BOOLEAN_TEST:
        return (expr->test == TEST_TRUE || expr->test == TEST_FALSE) && null_with(expr->args[0], columns);
    case EXPR_ANY:
        return !expr->flag && null_with(expr->args[0], columns);
    default:
        return null_with(expr, columns);
    }
}

static void reduce_outer(struct planner_context *ctx, struct plan *plan)
{
    if (plan->kind == PLAN_CALC && plan->calc.condition != NULL) {
        struct plan *join = plan->children[0];
        struct expr *condition = plan->calc.condition;
        /* Look through plain projections. */
        while (join->kind == PLAN_CALC && join->calc.condition == NULL) {
            condition = bound_substitute(ctx->arena, condition, join->calc.outputs);
            join = join->children[0];
        }
        if (join->kind == PLAN_JOIN && (join->join.kind == JOIN_LEFT || join->join.kind == JOIN_FULL)) {
            uint32_t l = join->children[0]->columns_count;
            bool *left = ARENA_ARRAY(ctx->arena, bool, join->columns_count);
            bool *right = ARENA_ARRAY(ctx->arena, bool, join->columns_count);
            for (uint32_t c = 0; c < join->columns_count; c++) {
                left[c] = c < l;
                right[c] = c >= l;
            }
            bool no_right_nulls = drops_null(condition, right);
            if (join->join.kind == JOIN_LEFT && no_right_nulls)
                join->join.kind = JOIN_INNER;
            else if (join->join.kind == JOIN_FULL && no_right_nulls && drops_null(condition, left))
                join->join.kind = JOIN_INNER;
            else if (join->join.kind == JOIN_FULL && drops_null(condition, left))
                join->join.kind = JOIN_LEFT;
        }
    }
    for (uint32_t i = 0; i < plan->children_count; i++)
        reduce_outer(ctx, plan->children[i]);
}

bool pass_outer_joins(struct planner_context *ctx, struct plan **plan, struct error *err)
{
    reduce_outer(ctx, *plan);
    (void)err;
    return true;
}
