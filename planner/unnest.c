/* unnest.c: see unnest.h. One function per kind of plan node. */
#include "planner/unnest.h"

#define NOT_BOUND UINT32_MAX

static uint32_t width(const struct unnest *u)
{
    return u->outer->columns_count;
}

static void count_use(void *u_, const struct expr *expr, uint32_t level)
{
    struct unnest *u = u_;
    if (expr->kind == EXPR_OUTER && expr->levels_up == level)
        u->uses[expr->index]++;
}

void unnest_init(struct unnest *u, struct planner_context *ctx, const struct plan *outer,
                 const struct plan *subquery)
{
    *u = (struct unnest){.ctx = ctx, .outer = outer};
    u->uses = ARENA_ARRAY(ctx->arena, uint32_t, outer->columns_count);
    bound_visit_plan(subquery, count_use, u, 1);
}

static struct unnested unbound(struct unnest *u, struct plan *plan)
{
    struct unnested result = {.plan = plan};
    result.columns = ARENA_ARRAY(u->ctx->arena, uint32_t, width(u));
    result.strict = ARENA_ARRAY(u->ctx->arena, bool, width(u));
    for (uint32_t f = 0; f < width(u); f++)
        result.columns[f] = NOT_BOUND;
    return result;
}

struct resolve_state {
    struct arena *arena;
    const uint32_t *columns;
};

static struct expr *resolve_node(void *state_, const struct expr *expr, uint32_t level)
{
    const struct resolve_state *state = state_;
    if (level != 0 || expr->kind != EXPR_OUTER || expr->levels_up != 1)
        return NULL;
    uint32_t column = state->columns != NULL ? state->columns[expr->index] : expr->index;
    CHECK(column != NOT_BOUND);
    return expr_column(state->arena, column, expr->type);
}

struct expr *unnest_resolve(struct unnest *u, struct expr *expr, const uint32_t *columns)
{
    struct resolve_state state = {u->ctx->arena, columns};
    return expr != NULL ? bound_map(u->ctx->arena, expr, resolve_node, &state, 0) : NULL;
}

struct refs_state {
    bool *used;
    bool any;
};

static void refs_node(void *state_, const struct expr *expr, uint32_t level)
{
    struct refs_state *state = state_;
    if (expr->kind == EXPR_OUTER && expr->levels_up == level + 1) {
        state->any = true;
        if (state->used != NULL)
            state->used[expr->index] = true;
    }
}

/* Outer columns an expression of the subquery reads. */
static bool outer_refs(const struct expr *expr, bool *used)
{
    struct refs_state state = {used, false};
    if (expr != NULL)
        bound_visit(expr, refs_node, &state, 0);
    return state.any;
}

static uint32_t count_set(const bool *set, uint32_t count)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++)
        n += set[i];
    return n;
}

/* Exactly one row, whatever the data are? */
static bool gives_one_row(const struct plan *plan)
{
    while (plan->kind == PLAN_CALC && plan->calc.condition == NULL)
        plan = plan->children[0];
    return plan->kind == PLAN_AGGREGATE && plan->aggregate.groups_count == 0 &&
           plan->aggregate.calls_count > 0;
}

/* One step towards a smaller plan with the same values of the listed columns; NULL when there is none. Unless
 * exact, values of rows that semi and anti joins leave out may be among them. */
static const struct plan *smaller_source(const struct plan *plan, bool exact, uint32_t *list, uint32_t count)
{
    bool of_left = true, plain = true;
    if (plan->kind == PLAN_CALC && plan->calc.condition == NULL) {
        for (uint32_t i = 0; i < count; i++)
            plain = plain && plan->calc.outputs[list[i]]->kind == EXPR_COLUMN;
        for (uint32_t i = 0; plain && i < count; i++)
            list[i] = plan->calc.outputs[list[i]]->index;
        return plain ? plan->children[0] : NULL;
    }
    if (plan->kind != PLAN_JOIN)
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        of_left = of_left && list[i] < plan->children[0]->columns_count;
    bool keeps_left = plan->join.kind == JOIN_LEFT ||
                      ((plan->join.kind == JOIN_SEMI || plan->join.kind == JOIN_ANTI) && !exact) ||
                      (plan->join.kind == JOIN_INNER && plan->join.keys_count == 0 &&
                       plan->join.residual == NULL && gives_one_row(plan->children[1]));
    return of_left && keeps_left ? plan->children[0] : NULL;
}

/* Distinct values of the wanted outer columns; columns[f] says where each stands. */
static struct plan *domain_plan(struct unnest *u, const bool *wanted, bool exact, uint32_t *columns)
{
    struct arena *arena = u->ctx->arena;
    uint32_t *list = ARENA_ARRAY(arena, uint32_t, width(u));
    uint32_t count = 0;
    for (uint32_t f = 0; f < width(u); f++) {
        columns[f] = NOT_BOUND;
        if (!wanted[f])
            continue;
        columns[f] = count;
        list[count++] = f;
    }
    const struct plan *source = u->outer, *next = source;
    while ((next = smaller_source(source, exact, list, count)) != NULL)
        source = next;
    struct plan *outer = plan_clone(arena, source);
    /* It now stands inside the subquery: one level deeper, until the caller takes the level away. */
    plan_shift_levels(arena, outer, 1);
    return plan_distinct(arena, plan_pick(arena, outer, list, count));
}

/* Joins the domain of the wanted columns that are not bound yet. */
static void join_domain(struct unnest *u, struct unnested *node, const bool *wanted)
{
    struct arena *arena = u->ctx->arena;
    bool *missing = ARENA_ARRAY(arena, bool, width(u));
    for (uint32_t f = 0; f < width(u); f++)
        missing[f] = wanted[f] && node->columns[f] == NOT_BOUND;
    if (count_set(missing, width(u)) == 0)
        return;
    uint32_t *columns = ARENA_ARRAY(arena, uint32_t, width(u));
    struct plan *domain = domain_plan(u, missing, false, columns);
    uint32_t base = node->plan->columns_count;
    bool one_row = node->plan->kind == PLAN_VALUES && base == 0 && node->plan->values.rows_count == 1;
    node->plan = one_row ? domain : plan_join(arena, JOIN_INNER, node->plan, domain);
    for (uint32_t f = 0; f < width(u); f++) {
        if (missing[f]) {
            node->columns[f] = base + columns[f];
            node->strict[f] = false;
        }
    }
}

/* Brings a plan into the shape [originals, bound columns]: originals[i] says where column i stands now. */
static void reshape(struct unnest *u, struct unnested *node, const uint32_t *originals, uint32_t count)
{
    struct arena *arena = u->ctx->arena;
    bool in_place = true;
    uint32_t *list = ARENA_ARRAY(arena, uint32_t, count + width(u));
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        in_place = in_place && originals[i] == i;
        list[n++] = originals[i];
    }
    if (in_place)
        return;
    for (uint32_t f = 0; f < width(u); f++) {
        if (node->columns[f] == NOT_BOUND)
            continue;
        list[n] = node->columns[f];
        node->columns[f] = n++;
    }
    node->plan = plan_pick(arena, node->plan, list, n);
}

static uint32_t *identity(struct arena *arena, uint32_t count)
{
    uint32_t *list = ARENA_ARRAY(arena, uint32_t, count);
    for (uint32_t i = 0; i < count; i++)
        list[i] = i;
    return list;
}

/* Appends the bound columns to a list of columns (group keys, partitions). */
static uint32_t *with_bound(struct unnest *u, const struct unnested *node, const uint32_t *list,
                            uint32_t count, uint32_t *new_count)
{
    uint32_t *result = ARENA_ARRAY(u->ctx->arena, uint32_t, count + width(u));
    if (count > 0)
        memcpy(result, list, sizeof(*list) * count);
    for (uint32_t f = 0; f < width(u); f++) {
        if (node->columns[f] != NOT_BOUND)
            result[count++] = node->columns[f];
    }
    *new_count = count;
    return result;
}

static uint32_t bound_count(const struct unnest *u, const struct unnested *node)
{
    uint32_t count = 0;
    for (uint32_t f = 0; f < width(u); f++)
        count += node->columns[f] != NOT_BOUND;
    return count;
}

/* ---- conditions ---- */

static struct expr *strip_relabel(struct expr *expr)
{
    while (expr->kind == EXPR_CAST && expr->cast == CAST_RELABEL && expr->args[0]->type.oid != OID_BPCHAR &&
           expr->type.oid != OID_BPCHAR)
        expr = expr->args[0];
    return expr;
}

/* inner = OUTER f: gives f and the inner side with f's type. */
static bool is_binding(struct unnest *u, const struct expr *expr, uint32_t *f, struct expr **inner)
{
    if (expr->kind != EXPR_CALL || expr->args_count != 2 || strcmp(expr->function->name, "=") != 0 ||
        !(expr->function->flags & FN_OPERATOR))
        return false;
    for (int side = 0; side < 2; side++) {
        struct expr *outer = strip_relabel(expr->args[side]), *other = expr->args[1 - side];
        if (outer->kind != EXPR_OUTER || outer->levels_up != 1 || outer_refs(other, NULL))
            continue;
        if (!type_equal_is_identical(outer->type.oid) && u->uses[outer->index] > 1)
            continue;
        if (expr_is_volatile(other) || expr->args[0]->type.oid != expr->args[1]->type.oid)
            continue;
        struct expr *plain = strip_relabel(other);
        if (plain->type.oid == outer->type.oid) {
            other = plain;
        } else if (other->type.oid != outer->type.oid) {
            struct expr *cast = expr_new(u->ctx->arena, EXPR_CAST, (struct sql_type){outer->type.oid, -1});
            cast->args = arena_copy(u->ctx->arena, &other, sizeof(other));
            cast->args_count = 1;
            cast->cast = CAST_RELABEL;
            other = cast;
        }
        *f = outer->index;
        *inner = other;
        return true;
    }
    return false;
}

/* The column holding an expression, computed below when it is none. */
static uint32_t need_column(struct unnest *u, struct unnested *node, struct expr *expr)
{
    if (expr->kind == EXPR_COLUMN)
        return expr->index;
    uint32_t column;
    node->plan = plan_extend(u->ctx->arena, node->plan, &expr, 1, &column);
    return column;
}

struct binding {
    uint32_t f;
    struct expr *inner;
};

/* Joins a domain that holds also the columns of equalities, which become join keys. */
static void join_domain_on(struct unnest *u, struct unnested *node, bool *wanted,
                           const struct binding *bindings, uint32_t count)
{
    struct arena *arena = u->ctx->arena;
    for (uint32_t i = 0; i < count; i++)
        wanted[bindings[i].f] = true;
    uint32_t *columns = ARENA_ARRAY(arena, uint32_t, width(u)), *left = ARENA_ARRAY(arena, uint32_t, count);
    bool *missing = ARENA_ARRAY(arena, bool, width(u));
    for (uint32_t f = 0; f < width(u); f++)
        missing[f] = wanted[f] && node->columns[f] == NOT_BOUND;
    for (uint32_t i = 0; i < count; i++)
        left[i] = need_column(u, node, bindings[i].inner);
    struct plan *domain = domain_plan(u, missing, false, columns);
    uint32_t base = node->plan->columns_count;
    struct plan *join = plan_join(arena, JOIN_INNER, node->plan, domain);
    for (uint32_t i = 0; i < count; i++)
        plan_join_key(arena, join, left[i], columns[bindings[i].f], false);
    node->plan = join;
    for (uint32_t f = 0; f < width(u); f++) {
        if (missing[f])
            node->columns[f] = base + columns[f];
    }
    for (uint32_t i = 0; i < count; i++)
        node->strict[bindings[i].f] = true;
}

/* Applies a condition and makes the outer columns in `wanted` available. What is pulled or turned into a
 * binding leaves the condition; the rest is returned, resolved. */
static struct expr *apply_condition(struct unnest *u, struct unnested *node, struct expr *condition,
                                    bool *wanted, struct pulled *pulled)
{
    struct arena *arena = u->ctx->arena;
    uint32_t count, rest_count = 0, bindings_count = 0;
    struct expr **parts = bound_conjuncts(arena, condition, &count);
    struct expr **rest = ARENA_ARRAY(arena, struct expr *, count);
    struct binding *bindings = ARENA_ARRAY(arena, struct binding, count);
    bool *taken = ARENA_ARRAY(arena, bool, width(u));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t f;
        struct expr *inner;
        if (is_binding(u, parts[i], &f, &inner) && node->columns[f] == NOT_BOUND && !taken[f]) {
            taken[f] = true;
            bindings[bindings_count++] = (struct binding){f, inner};
        } else {
            rest[rest_count++] = parts[i];
        }
    }
    for (uint32_t i = 0; i < rest_count; i++) {
        bool *used = ARENA_ARRAY(arena, bool, width(u));
        if (!outer_refs(rest[i], used))
            continue;
        bool all_bound = true;
        for (uint32_t f = 0; f < width(u); f++)
            all_bound = all_bound && (!used[f] || node->columns[f] != NOT_BOUND || taken[f]);
        if (pulled != NULL && !all_bound && !expr_is_volatile(rest[i])) {
            ARENA_PUSH(arena, pulled->items, pulled->count, pulled->cap, rest[i]);
            rest[i] = NULL;
            continue;
        }
        for (uint32_t f = 0; f < width(u); f++)
            wanted[f] = wanted[f] || used[f];
    }
    bool missing = false;
    for (uint32_t f = 0; f < width(u); f++)
        missing = missing || (wanted[f] && node->columns[f] == NOT_BOUND && !taken[f]);
    struct expr *result = NULL;
    if (missing) {
        join_domain_on(u, node, wanted, bindings, bindings_count);
    } else {
        for (uint32_t i = 0; i < bindings_count; i++) {
            uint32_t column = need_column(u, node, bindings[i].inner);
            node->columns[bindings[i].f] = column;
            node->strict[bindings[i].f] = true;
            result =
                bound_and(arena, result,
                          bound_is_null(arena, expr_column(arena, column, node->plan->types[column]), true));
        }
    }
    for (uint32_t i = 0; i < rest_count; i++) {
        if (rest[i] != NULL)
            result = bound_and(arena, result, unnest_resolve(u, rest[i], node->columns));
    }
    return result;
}

/* ---- nodes ---- */

static bool unnest_calc(struct unnest *u, struct plan *plan, struct pulled *pulled, struct unnested *out,
                        struct error *err)
{
    struct arena *arena = u->ctx->arena;
    if (!unnest_plan(u, plan->children[0], pulled, out, err))
        return false;
    bool *wanted = ARENA_ARRAY(arena, bool, width(u));
    for (uint32_t i = 0; i < plan->columns_count; i++)
        outer_refs(plan->calc.outputs[i], wanted);
    struct expr *condition = apply_condition(u, out, plan->calc.condition, wanted, pulled);
    /* Outputs: the original ones, the bound columns, and what pulled conditions read. */
    struct expr **outputs = NULL;
    uint32_t count = 0, cap = 0;
    for (uint32_t i = 0; i < plan->columns_count; i++)
        ARENA_PUSH(arena, outputs, count, cap, unnest_resolve(u, plan->calc.outputs[i], out->columns));
    uint32_t child_columns = out->plan->columns_count;
    uint32_t *map = ARENA_ARRAY(arena, uint32_t, child_columns);
    bool *used = ARENA_ARRAY(arena, bool, child_columns);
    for (uint32_t i = 0; pulled != NULL && i < pulled->count; i++)
        bound_columns(pulled->items[i], used, child_columns);
    for (uint32_t c = 0; c < child_columns; c++) {
        map[c] = NOT_BOUND;
        if (!used[c])
            continue;
        map[c] = count;
        ARENA_PUSH(arena, outputs, count, cap, expr_column(arena, c, out->plan->types[c]));
    }
    for (uint32_t i = 0; pulled != NULL && i < pulled->count; i++)
        pulled->items[i] = bound_remap(arena, pulled->items[i], map, 0);
    for (uint32_t f = 0; f < width(u); f++) {
        if (out->columns[f] == NOT_BOUND)
            continue;
        uint32_t column = out->columns[f], same = 0;
        /* An output that is the column already keeps what is known about keys. */
        while (same < plan->columns_count &&
               !(outputs[same]->kind == EXPR_COLUMN && outputs[same]->index == column))
            same++;
        if (same < plan->columns_count) {
            out->columns[f] = same;
            continue;
        }
        out->columns[f] = count;
        ARENA_PUSH(arena, outputs, count, cap, expr_column(arena, column, out->plan->types[column]));
    }
    out->plan = plan_project(arena, out->plan, outputs, count);
    out->plan->calc.condition = condition;
    return true;
}

static void remap_pulled(struct unnest *u, struct pulled *pulled, const uint32_t *map)
{
    for (uint32_t i = 0; pulled != NULL && i < pulled->count; i++)
        pulled->items[i] = bound_remap(u->ctx->arena, pulled->items[i], map, 0);
}

/* Copies the keys and adds those for outer columns bound on both sides. */
static void copy_join_keys(struct unnest *u, const struct plan *from, struct plan *join,
                           const struct unnested *left, const struct unnested *right)
{
    for (uint32_t i = 0; i < from->join.keys_count; i++)
        plan_join_key(u->ctx->arena, join, from->join.left_keys[i], from->join.right_keys[i],
                      from->join.null_safe != NULL && from->join.null_safe[i]);
    for (uint32_t f = 0; f < width(u); f++) {
        if (left->columns[f] != NOT_BOUND && right->columns[f] != NOT_BOUND)
            plan_join_key(u->ctx->arena, join, left->columns[f], right->columns[f],
                          !left->strict[f] && !right->strict[f]);
    }
}

static bool unnest_inner_join(struct unnest *u, struct plan *plan, struct pulled *pulled,
                              struct unnested *out, struct error *err)
{
    struct arena *arena = u->ctx->arena;
    struct unnested left, right;
    uint32_t l = plan->children[0]->columns_count, r = plan->children[1]->columns_count;
    struct pulled of_right = {0};
    if (!unnest_plan(u, plan->children[0], pulled, &left, err) ||
        !unnest_plan(u, plan->children[1], pulled != NULL ? &of_right : NULL, &right, err))
        return false;
    uint32_t wide = left.plan->columns_count;
    struct plan *join = plan_join(arena, JOIN_INNER, left.plan, right.plan);
    copy_join_keys(u, plan, join, &left, &right);
    *out = unbound(u, join);
    for (uint32_t f = 0; f < width(u); f++) {
        if (left.columns[f] != NOT_BOUND)
            out->columns[f] = left.columns[f];
        else if (right.columns[f] != NOT_BOUND)
            out->columns[f] = right.columns[f] + wide;
        out->strict[f] = left.strict[f] || right.strict[f];
    }
    /* Columns of the original row within the wider one. */
    uint32_t *originals = ARENA_ARRAY(arena, uint32_t, l + r);
    for (uint32_t i = 0; i < l + r; i++)
        originals[i] = i < l ? i : i - l + wide;
    for (uint32_t i = 0; i < of_right.count; i++)
        ARENA_PUSH(arena, pulled->items, pulled->count, pulled->cap,
                   bound_remap(arena, of_right.items[i], NULL, wide));
    if (plan->join.residual != NULL) {
        bool *wanted = ARENA_ARRAY(arena, bool, width(u));
        struct expr *residual = bound_remap(arena, plan->join.residual, originals, 0);
        struct expr *condition = apply_condition(u, out, residual, wanted, pulled);
        if (condition != NULL)
            out->plan = plan_filter(arena, out->plan, condition);
    }
    bool moved = wide != l;
    if (!moved)
        return true;
    /* Reshape by hand: pulled conditions need their columns too. */
    uint32_t total = out->plan->columns_count, n = 0;
    uint32_t *list = ARENA_ARRAY(arena, uint32_t, total), *map = ARENA_ARRAY(arena, uint32_t, total);
    bool *placed = ARENA_ARRAY(arena, bool, total);
    for (uint32_t i = 0; i < l + r; i++) {
        placed[originals[i]] = true;
        map[originals[i]] = n;
        list[n++] = originals[i];
    }
    for (uint32_t c = 0; c < total; c++) {
        if (placed[c])
            continue;
        map[c] = n;
        list[n++] = c;
    }
    out->plan = plan_pick(arena, out->plan, list, n);
    for (uint32_t f = 0; f < width(u); f++) {
        if (out->columns[f] != NOT_BOUND)
            out->columns[f] = map[out->columns[f]];
    }
    remap_pulled(u, pulled, map);
    return true;
}

static bool unnest_other_join(struct unnest *u, struct plan *plan, struct pulled *pulled,
                              struct unnested *out, struct error *err)
{
    struct arena *arena = u->ctx->arena;
    enum join_kind kind = plan->join.kind;
    struct unnested left, right;
    uint32_t l = plan->children[0]->columns_count, r = plan->children[1]->columns_count;
    if (!unnest_plan(u, plan->children[0], kind == JOIN_FULL ? NULL : pulled, &left, err) ||
        !unnest_plan(u, plan->children[1], NULL, &right, err))
        return false;
    bool *wanted = ARENA_ARRAY(arena, bool, width(u));
    outer_refs(plan->join.residual, wanted);
    for (uint32_t f = 0; f < width(u); f++)
        wanted[f] = wanted[f] || right.columns[f] != NOT_BOUND;
    join_domain(u, &left, wanted);
    if (kind == JOIN_FULL) {
        for (uint32_t f = 0; f < width(u); f++)
            wanted[f] = left.columns[f] != NOT_BOUND;
        join_domain(u, &right, wanted);
    }
    uint32_t wide = left.plan->columns_count;
    struct plan *join = plan_join(arena, kind, left.plan, right.plan);
    copy_join_keys(u, plan, join, &left, &right);
    uint32_t *originals = ARENA_ARRAY(arena, uint32_t, l + r);
    for (uint32_t i = 0; i < l + r; i++)
        originals[i] = i < l ? i : i - l + wide;
    if (plan->join.residual != NULL)
        join->join.residual =
            unnest_resolve(u, bound_remap(arena, plan->join.residual, originals, 0), left.columns);
    *out = unbound(u, join);
    memcpy(out->columns, left.columns, sizeof(*out->columns) * width(u));
    memcpy(out->strict, left.strict, sizeof(*out->strict) * width(u));
    if (kind == JOIN_SEMI || kind == JOIN_ANTI)
        return true;
    if (kind == JOIN_FULL) {
        struct expr **both = ARENA_ARRAY(arena, struct expr *, width(u));
        uint32_t count = 0, first;
        for (uint32_t f = 0; f < width(u); f++) {
            if (left.columns[f] == NOT_BOUND)
                continue;
            struct expr *args[2] = {
                expr_column(arena, left.columns[f], left.plan->types[left.columns[f]]),
                expr_column(arena, wide + right.columns[f], right.plan->types[right.columns[f]])};
            both[count] = expr_new(arena, EXPR_COALESCE, args[0]->type);
            both[count]->args = arena_copy(arena, args, sizeof(args));
            both[count++]->args_count = 2;
        }
        out->plan = plan_extend(arena, join, both, count, &first);
        for (uint32_t f = 0; f < width(u); f++) {
            if (left.columns[f] != NOT_BOUND) {
                out->columns[f] = first++;
                out->strict[f] = false;
            }
        }
    }
    if (pulled != NULL && kind != JOIN_FULL && pulled->count > 0) {
        /* Pulled conditions keep their columns: originals first, everything else behind them. */
        uint32_t total = out->plan->columns_count, n = 0;
        uint32_t *list = ARENA_ARRAY(arena, uint32_t, total), *map = ARENA_ARRAY(arena, uint32_t, total);
        bool *placed = ARENA_ARRAY(arena, bool, total);
        for (uint32_t i = 0; i < l + r; i++) {
            placed[originals[i]] = true;
            map[originals[i]] = n;
            list[n++] = originals[i];
        }
        for (uint32_t c = 0; c < total; c++) {
            if (!placed[c]) {
                map[c] = n;
                list[n++] = c;
            }
        }
        out->plan = plan_pick(arena, out->plan, list, n);
        for (uint32_t f = 0; f < width(u); f++) {
            if (out->columns[f] != NOT_BOUND)
                out->columns[f] = map[out->columns[f]];
        }
        remap_pulled(u, pulled, map);
        return true;
    }
    reshape(u, out, originals, l + r);
    return true;
}

/* Value of an aggregate over no rows: count gives 0, all others NULL. */
static bool counts_from_zero(const struct aggregate_row *row)
{
    return strcmp(row->name, "count") == 0 || strcmp(row->name, "regr_count") == 0;
}

static bool unnest_aggregate(struct unnest *u, struct plan *plan, struct unnested *out, struct error *err)
{
    struct arena *arena = u->ctx->arena;
    struct unnested child;
    if (!unnest_plan(u, plan->children[0], NULL, &child, err))
        return false;
    uint32_t groups = plan->aggregate.groups_count, calls = plan->aggregate.calls_count;
    uint32_t bound = bound_count(u, &child);
    struct plan *aggregate = plan_new(arena, PLAN_AGGREGATE, groups + bound + calls, 1);
    aggregate->children[0] = child.plan;
    aggregate->aggregate.groups =
        with_bound(u, &child, plan->aggregate.groups, groups, &aggregate->aggregate.groups_count);
    aggregate->aggregate.calls_count = calls;
    aggregate->aggregate.calls = plan->aggregate.calls;
    for (uint32_t i = 0; i < groups + bound; i++)
        aggregate->types[i] = child.plan->types[aggregate->aggregate.groups[i]];
    for (uint32_t i = 0; i < calls; i++)
        aggregate->types[groups + bound + i] = plan->aggregate.calls[i].type;
    *out = unbound(u, aggregate);
    uint32_t next = groups;
    bool *wanted = ARENA_ARRAY(arena, bool, width(u));
    for (uint32_t f = 0; f < width(u); f++) {
        if (child.columns[f] == NOT_BOUND)
            continue;
        out->columns[f] = next++;
        out->strict[f] = child.strict[f];
        wanted[f] = true;
    }
    uint32_t *originals = ARENA_ARRAY(arena, uint32_t, groups + calls);
    for (uint32_t i = 0; i < groups + calls; i++)
        originals[i] = i < groups ? i : i + bound;
    if (groups > 0 || calls == 0 || bound == 0) {
        reshape(u, out, originals, groups + calls);
        return true;
    }
    /* A global aggregate has a row for every outer value, also where nothing was found: domain left join
     * aggregate. */
    uint32_t *columns = ARENA_ARRAY(arena, uint32_t, width(u));
    struct plan *domain = domain_plan(u, wanted, true, columns);
    struct plan *join = plan_join(arena, JOIN_LEFT, domain, aggregate);
    for (uint32_t f = 0; f < width(u); f++) {
        if (wanted[f])
            plan_join_key(arena, join, columns[f], out->columns[f], !out->strict[f]);
    }
    struct expr **outputs = ARENA_ARRAY(arena, struct expr *, calls + bound);
    for (uint32_t i = 0; i < calls; i++) {
        outputs[i] = expr_column(arena, bound + bound + i, plan->aggregate.calls[i].type);
        if (counts_from_zero(plan->aggregate.calls[i].aggregate)) {
            struct expr *args[2] = {outputs[i], bound_int8(arena, 0)};
            outputs[i] = expr_new(arena, EXPR_COALESCE, args[0]->type);
            outputs[i]->args = arena_copy(arena, args, sizeof(args));
            outputs[i]->args_count = 2;
        }
    }
    uint32_t n = calls;
    for (uint32_t f = 0; f < width(u); f++) {
        if (!wanted[f])
            continue;
        outputs[n] = expr_column(arena, columns[f], domain->types[columns[f]]);
        out->columns[f] = n++;
        out->strict[f] = false;
    }
    out->plan = plan_project(arena, join, outputs, n);
    return true;
}

static bool unnest_at_most_one(struct unnest *u, struct plan *plan, struct unnested *out, struct error *err)
{
    struct arena *arena = u->ctx->arena;
    if (!unnest_plan(u, plan->children[0], NULL, out, err))
        return false;
    uint32_t count;
    uint32_t *partition = with_bound(u, out, NULL, 0, &count);
    plan_finish(out->plan, arena);
    bool unique = out->plan->has_key;
    for (uint32_t i = 0; i < out->plan->keys_count && unique; i++) {
        bool found = false;
        for (uint32_t k = 0; k < count && !found; k++)
            found = partition[k] == out->plan->keys[i];
        unique = found;
    }
    if (unique)
        return true;
    /* Values no outer row has must not raise the error: leave them out first. */
    bool *wanted = ARENA_ARRAY(arena, bool, width(u)), substituted = false;
    for (uint32_t f = 0; f < width(u); f++) {
        wanted[f] = out->columns[f] != NOT_BOUND;
        substituted = substituted || (wanted[f] && out->strict[f]);
    }
    if (substituted) {
        uint32_t *columns = ARENA_ARRAY(arena, uint32_t, width(u));
        struct plan *domain = domain_plan(u, wanted, true, columns);
        struct plan *join = plan_join(arena, JOIN_SEMI, out->plan, domain);
        for (uint32_t f = 0; f < width(u); f++) {
            if (wanted[f])
                plan_join_key(arena, join, out->columns[f], columns[f], !out->strict[f]);
        }
        out->plan = join;
    }
    struct plan *one = plan_new(arena, PLAN_AT_MOST_ONE, out->plan->columns_count, 1);
    memcpy(one->types, out->plan->types, sizeof(*one->types) * one->columns_count);
    one->children[0] = out->plan;
    one->at_most_one.partition_count = count;
    one->at_most_one.partition = partition;
    out->plan = one;
    return true;
}

/* Nodes that add columns behind their child's: OVER, WINDOW, PROJECT_SET. */
static void widen(struct unnest *u, const struct plan *plan, struct unnested *out)
{
    struct arena *arena = u->ctx->arena;
    uint32_t old_child = plan->children[0]->columns_count, child = out->plan->columns_count;
    uint32_t added = plan->columns_count - old_child;
    struct plan *node = arena_copy(arena, plan, sizeof(*node));
    node->columns_count = child + added;
    node->types = ARENA_ARRAY(arena, struct sql_type, child + added);
    memcpy(node->types, out->plan->types, sizeof(*node->types) * child);
    memcpy(node->types + child, plan->types + old_child, sizeof(*node->types) * added);
    node->children = ARENA_ARRAY(arena, struct plan *, 1);
    node->children[0] = out->plan;
    if (node->kind == PLAN_OVER)
        node->over.partition =
            with_bound(u, out, plan->over.partition, plan->over.partition_count, &node->over.partition_count);
    if (node->kind == PLAN_SESSION)
        node->session.keys =
            with_bound(u, out, plan->session.keys, plan->session.keys_count, &node->session.keys_count);
    out->plan = node;
    uint32_t *originals = ARENA_ARRAY(arena, uint32_t, plan->columns_count);
    for (uint32_t i = 0; i < plan->columns_count; i++)
        originals[i] = i < old_child ? i : i - old_child + child;
    reshape(u, out, originals, plan->columns_count);
}

static bool unnest_project_set(struct unnest *u, struct plan *plan, struct unnested *out, struct error *err)
{
    if (!unnest_plan(u, plan->children[0], NULL, out, err))
        return false;
    bool *wanted = ARENA_ARRAY(u->ctx->arena, bool, width(u));
    for (uint32_t i = 0; i < plan->project_set.calls_count; i++)
        outer_refs(plan->project_set.calls[i], wanted);
    join_domain(u, out, wanted);
    for (uint32_t i = 0; i < plan->project_set.calls_count; i++)
        plan->project_set.calls[i] = unnest_resolve(u, plan->project_set.calls[i], out->columns);
    widen(u, plan, out);
    return true;
}

static bool unnest_sort(struct unnest *u, struct plan *plan, struct pulled *pulled, struct unnested *out,
                        struct error *err)
{
    struct arena *arena = u->ctx->arena;
    bool cuts = plan->sort.limit != NULL || plan->sort.offset != NULL || plan->sort.distinct_on;
    if (!unnest_plan(u, plan->children[0], cuts ? NULL : pulled, out, err))
        return false;
    if (!cuts)
        return true; /* order means nothing once it is joined */
    struct plan *sort = arena_copy(arena, plan, sizeof(*sort));
    sort->columns_count = out->plan->columns_count;
    sort->types = arena_copy(arena, out->plan->types, sizeof(*sort->types) * sort->columns_count);
    sort->children = ARENA_ARRAY(arena, struct plan *, 1);
    sort->children[0] = out->plan;
    sort->sort.partition =
        with_bound(u, out, plan->sort.partition, plan->sort.partition_count, &sort->sort.partition_count);
    out->plan = sort;
    return true;
}

/* UNION ALL, INTERSECT, EXCEPT: every branch carries the same outer columns. */
static bool unnest_branches(struct unnest *u, struct plan *plan, struct unnested *out, struct error *err)
{
    struct arena *arena = u->ctx->arena;
    struct unnested *branches = ARENA_ARRAY(arena, struct unnested, plan->children_count);
    bool *wanted = ARENA_ARRAY(arena, bool, width(u)), *strict = ARENA_ARRAY(arena, bool, width(u));
    for (uint32_t i = 0; i < plan->children_count; i++) {
        if (!unnest_plan(u, plan->children[i], NULL, &branches[i], err))
            return false;
        for (uint32_t f = 0; f < width(u); f++)
            wanted[f] = wanted[f] || branches[i].columns[f] != NOT_BOUND;
    }
    for (uint32_t f = 0; f < width(u); f++)
        strict[f] = true;
    uint32_t count = plan->columns_count, bound = count_set(wanted, width(u));
    struct plan *node = arena_copy(arena, plan, sizeof(*node));
    node->columns_count = count + bound;
    node->types = ARENA_ARRAY(arena, struct sql_type, count + bound);
    node->children = ARENA_ARRAY(arena, struct plan *, plan->children_count);
    for (uint32_t i = 0; i < plan->children_count; i++) {
        join_domain(u, &branches[i], wanted);
        uint32_t *list = identity(arena, count + bound);
        uint32_t n = count;
        for (uint32_t f = 0; f < width(u); f++) {
            if (!wanted[f])
                continue;
            list[n++] = branches[i].columns[f];
            strict[f] = strict[f] && branches[i].strict[f];
        }
        node->children[i] = plan_pick(arena, branches[i].plan, list, n);
        if (i == 0)
            memcpy(node->types, node->children[0]->types, sizeof(*node->types) * n);
    }
    *out = unbound(u, node);
    uint32_t n = count;
    for (uint32_t f = 0; f < width(u); f++) {
        if (wanted[f]) {
            out->columns[f] = n++;
            out->strict[f] = strict[f];
        }
    }
    return true;
}

static bool unnest_node(struct unnest *u, struct plan *plan, struct pulled *pulled, struct unnested *out,
                        struct error *err)
{
    switch (plan->kind) {
    case PLAN_CALC:
        return unnest_calc(u, plan, pulled, out, err);
    case PLAN_JOIN:
        return plan->join.kind == JOIN_INNER ? unnest_inner_join(u, plan, pulled, out, err)
                                             : unnest_other_join(u, plan, pulled, out, err);
    case PLAN_AGGREGATE:
        return unnest_aggregate(u, plan, out, err);
    case PLAN_AT_MOST_ONE:
        return unnest_at_most_one(u, plan, out, err);
    case PLAN_SORT:
        return unnest_sort(u, plan, pulled, out, err);
    case PLAN_UNION_ALL:
    case PLAN_SET_OP:
        return unnest_branches(u, plan, out, err);
    case PLAN_PROJECT_SET:
        return unnest_project_set(u, plan, out, err);
    case PLAN_OVER:
    case PLAN_WINDOW:
    case PLAN_SESSION:
        if (!unnest_plan(u, plan->children[0], NULL, out, err))
            return false;
        widen(u, plan, out);
        return true;
    case PLAN_INTERVAL_JOIN:
    case PLAN_ASOF_JOIN:
    case PLAN_LOOKUP_JOIN:
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "joins in time cannot refer to columns of an outer query");
    case PLAN_LATE:
    case PLAN_TEMPORAL_FILTER:
    case PLAN_FINAL:
    case PLAN_EVERY:
    case PLAN_SCAN:
    case PLAN_SYSTEM:
    case PLAN_VALUES:
        break;
    }
    return error_set(err, ERRCODE_INTERNAL_ERROR, "a leaf of the plan refers to an outer query");
}

bool unnest_plan(struct unnest *u, struct plan *plan, struct pulled *pulled, struct unnested *out,
                 struct error *err)
{
    if (!plan_outer_columns(plan, 1, NULL, 0)) {
        *out = unbound(u, plan);
        return true;
    }
    if (!bind_enter(u->ctx, err))
        return false;
    bool ok = unnest_node(u, plan, pulled, out, err);
    bind_leave(u->ctx);
    return ok;
}

void unnest_join_keys(struct unnest *u, const struct unnested *right, struct plan *join)
{
    for (uint32_t f = 0; f < width(u); f++) {
        if (right->columns[f] != NOT_BOUND)
            plan_join_key(u->ctx->arena, join, f, right->columns[f], !right->strict[f]);
    }
}
