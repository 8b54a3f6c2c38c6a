/* bind_group.c: GROUP BY with grouping sets, aggregates, HAVING: the AGGREGATE node and the rewriting of
 * everything above it.
 *
 * Below the node one CALC computes the group expressions and the arguments; above it an expression may use
 * group expressions (matched as a whole), aggregates, and columns that depend on a grouped primary key.
 * Grouping sets are a UNION ALL of one aggregate per set. A group session(ts, gap) puts session windows by the
 * other groups between the CALC and the node, a group tumble(ts, size) its windows: rows without a time are in none. */
#include "planner/bind_from.h"

struct grouping {
    struct select_state *state;
    struct planner_context *ctx;
    uint32_t groups_count, groups_cap;
    struct expr **groups;
    uint32_t calls_count, calls_cap;
    struct expr **calls; /* EXPR_AGGREGATE, all different */
    uint32_t sets_count, sets_cap;
    struct grouping_set {
        uint32_t count, cap;
        uint32_t *groups;
    } * sets;
    bool has_sets;        /* written with ROLLUP, CUBE, GROUPING SETS */
    uint32_t bits_column; /* of GROUPING(): which groups are missing */
    int32_t session;      /* the group that is session(), -1 none */
    int32_t tumble;       /* the first group that is tumble() of constant windows, -1 none */
    struct error *err;
    bool failed;
};

/* ---- GROUP BY items ---- */

/* Is it tumble() of the same windows for all rows? */
static bool is_window(const struct expr *expr)
{
    return expr->kind == EXPR_CALL && strcmp(expr->function->name, "tumble") == 0 &&
           !bound_contains(expr, KIND_BIT(EXPR_SUBQUERY)) &&
           bind_is_constant_calendar(expr->args + 1, expr->args_count - 1);
}

static bool bind_group_expr(struct grouping *g, const PgQuery__Node *node, uint32_t *index, struct error *err)
{
    struct select_state *state = g->state;
    struct planner_context *ctx = g->ctx;
    struct expr *expr = NULL;
    int64_t ordinal;
    const char *name = node_simple_column(node);
    struct range_column ignored;
    if (node_integer(node, &ordinal)) {
        if (ordinal < 1 || ordinal > state->visible_count)
            return BIND_FAIL(ctx, err, node_location(node), ERRCODE_INVALID_COLUMN_REFERENCE,
                             "GROUP BY position %lld is not in select list", (long long)ordinal);
        expr = state->targets[ordinal - 1].expr;
    } else if (name != NULL && scope_find_column(state->scope, name, &ignored) == 0) {
        for (uint32_t i = 0; i < state->visible_count; i++) {
            if (strcmp(state->targets[i].name, name) != 0)
                continue;
            if (expr != NULL && !bound_equal(expr, state->targets[i].expr))
                return BIND_FAIL(ctx, err, node_location(node), ERRCODE_AMBIGUOUS_COLUMN,
                                 "GROUP BY \"%s\" is ambiguous", name);
            expr = state->targets[i].expr;
        }
    }
    if (expr == NULL) {
        struct binder b = {.ctx = ctx, .scope = state->scope, .place = PLACE_GROUP_BY};
        if (!bind_expr(&b, node, &expr, err) || !bind_known(ctx, expr, &expr, err))
            return false;
    }
    if (bound_contains(expr, KIND_BIT(EXPR_AGGREGATE)))
        return BIND_FAIL(ctx, err, node_location(node), ERRCODE_GROUPING_ERROR,
                         "aggregate functions are not allowed in GROUP BY");
    if (bound_contains(expr, KIND_BIT(EXPR_OVER)))
        return BIND_FAIL(ctx, err, node_location(node), ERRCODE_WINDOWING_ERROR,
                         "window functions are not allowed in GROUP BY");
    if (bound_contains(expr, KIND_BIT(EXPR_SET)))
        return BIND_FAIL(ctx, err, node_location(node), ERRCODE_FEATURE_NOT_SUPPORTED,
                         "set-returning functions are not supported in GROUP BY");
    if (expr->kind == EXPR_SESSION) {
        if (g->session >= 0 && !bound_equal(g->groups[g->session], expr))
            return BIND_FAIL(ctx, err, node_location(node), ERRCODE_FEATURE_NOT_SUPPORTED,
                             "rows cannot be grouped by two sessions at once");
    } else if (bound_contains(expr, KIND_BIT(EXPR_SESSION))) {
        return BIND_FAIL(ctx, err, node_location(node), ERRCODE_FEATURE_NOT_SUPPORTED,
                         "session() must be a group of its own");
    }
    if (!type_has_equality(expr->type.oid)) {
        return BIND_FAIL(ctx, err, node_location(node), ERRCODE_UNDEFINED_FUNCTION,
                         "could not identify an equality operator for type %s", type_text(ctx, expr->type));
    }
    for (uint32_t i = 0; i < g->groups_count; i++) {
        if (bound_equal(g->groups[i], expr)) {
            *index = i;
            return true;
        }
    }
    *index = g->groups_count;
    if (expr->kind == EXPR_SESSION)
        g->session = (int32_t)g->groups_count;
    else if (g->tumble < 0 && is_window(expr))
        g->tumble = (int32_t)g->groups_count;
    ARENA_PUSH(ctx->arena, g->groups, g->groups_count, g->groups_cap, expr);
    return true;
}

static void set_add(struct grouping *g, struct grouping_set *set, uint32_t group)
{
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->groups[i] == group)
            return;
    }
    ARENA_PUSH(g->ctx->arena, set->groups, set->count, set->cap, group);
}

struct set_list {
    struct grouping_set *items;
    uint32_t count, cap;
};

#define GROUPING_SETS_MAX 4096

static bool list_add(struct grouping *g, struct set_list *list, const struct grouping_set *set,
                     struct error *err)
{
    if (list->count >= GROUPING_SETS_MAX)
        return error_set(err, ERRCODE_STATEMENT_TOO_COMPLEX, "too many grouping sets present (maximum %d)",
                         GROUPING_SETS_MAX);
    struct grouping_set copy = {0};
    for (uint32_t i = 0; i < set->count; i++)
        set_add(g, &copy, set->groups[i]);
    ARENA_PUSH(g->ctx->arena, list->items, list->count, list->cap, copy);
    return true;
}

static void set_append(struct grouping *g, struct grouping_set *to, const struct grouping_set *from)
{
    for (uint32_t i = 0; i < from->count; i++)
        set_add(g, to, from->groups[i]);
}

/* One element of ROLLUP or CUBE: an expression or a parenthesised list. */
static bool bind_unit(struct grouping *g, const PgQuery__Node *node, struct grouping_set *out,
                      struct error *err)
{
    *out = (struct grouping_set){0};
    bool is_row = node->node_case == PG_QUERY__NODE__NODE_ROW_EXPR &&
                  node->row_expr->row_format == PG_QUERY__COERCION_FORM__COERCE_IMPLICIT_CAST;
    size_t count = is_row ? node->row_expr->n_args : 1;
    for (size_t i = 0; i < count; i++) {
        uint32_t group = 0;
        if (!bind_group_expr(g, is_row ? node->row_expr->args[i] : node, &group, err))
            return false;
        set_add(g, out, group);
    }
    return true;
}

static bool bind_grouping_set(struct grouping *g, const PgQuery__Node *node, struct set_list *out,
                              struct error *err)
{
    struct grouping_set unit;
    if (node->node_case != PG_QUERY__NODE__NODE_GROUPING_SET)
        return bind_unit(g, node, &unit, err) && list_add(g, out, &unit, err);
    const PgQuery__GroupingSet *set = node->grouping_set;
    g->has_sets = true;
    size_t n = set->n_content;
    switch (set->kind) {
    case PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_EMPTY:
        return list_add(g, out, &(struct grouping_set){0}, err);
    case PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_SETS:
        for (size_t i = 0; i < n; i++) {
            if (!bind_enter(g->ctx, err))
                return false;
            bool ok = bind_grouping_set(g, set->content[i], out, err);
            bind_leave(g->ctx);
            if (!ok)
                return false;
        }
        return true;
    default:
        break;
    }
    struct grouping_set *units = ARENA_ARRAY(g->ctx->arena, struct grouping_set, n);
    for (size_t i = 0; i < n; i++) {
        if (!bind_unit(g, set->content[i], &units[i], err))
            return false;
    }
    if (set->kind == PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_ROLLUP) {
        for (size_t keep = n + 1; keep-- > 0;) {
            struct grouping_set one = {0};
            for (size_t i = 0; i < keep; i++)
                set_append(g, &one, &units[i]);
            if (!list_add(g, out, &one, err))
                return false;
        }
        return true;
    }
    if (n > 12)
        return BIND_FAIL(g->ctx, err, set->location, ERRCODE_TOO_MANY_COLUMNS,
                         "CUBE is limited to 12 elements");
    for (uint32_t mask = (1u << n); mask-- > 0;) {
        struct grouping_set one = {0};
        for (size_t i = 0; i < n; i++) {
            if (mask & (1u << (n - 1 - i)))
                set_append(g, &one, &units[i]);
        }
        if (!list_add(g, out, &one, err))
            return false;
    }
    return true;
}

/* All sets: the product of the items' lists. */
static bool bind_group_clause(struct grouping *g, struct error *err)
{
    const PgQuery__SelectStmt *select = g->state->select;
    struct set_list all = {0};
    if (!list_add(g, &all, &(struct grouping_set){0}, err))
        return false;
    for (size_t i = 0; i < select->n_group_clause; i++) {
        struct set_list item = {0}, product = {0};
        if (!bind_grouping_set(g, select->group_clause[i], &item, err))
            return false;
        for (uint32_t a = 0; a < all.count; a++) {
            for (uint32_t c = 0; c < item.count; c++) {
                struct grouping_set both = {0};
                set_append(g, &both, &all.items[a]);
                set_append(g, &both, &item.items[c]);
                if (!list_add(g, &product, &both, err))
                    return false;
            }
        }
        all = product;
    }
    g->sets = all.items;
    g->sets_count = all.count;
    if (!select->group_distinct)
        return true;
    uint32_t kept = 0;
    for (uint32_t a = 0; a < g->sets_count; a++) {
        bool duplicate = false;
        for (uint32_t c = 0; c < kept && !duplicate; c++) {
            duplicate = g->sets[a].count == g->sets[c].count;
            for (uint32_t i = 0; duplicate && i < g->sets[a].count; i++) {
                bool found = false;
                for (uint32_t k = 0; k < g->sets[c].count && !found; k++)
                    found = g->sets[c].groups[k] == g->sets[a].groups[i];
                duplicate = found;
            }
        }
        if (!duplicate)
            g->sets[kept++] = g->sets[a];
    }
    g->sets_count = kept;
    return true;
}

/* ---- what stands above ---- */

static int64_t find_group(const struct grouping *g, const struct expr *expr)
{
    for (uint32_t i = 0; i < g->groups_count; i++) {
        if (bound_equal(g->groups[i], expr))
            return i;
    }
    return -1;
}

static bool entry_has_column(const struct range_entry *entry, uint32_t column)
{
    for (uint32_t i = 0; i < entry->columns_count; i++) {
        if (entry->columns[i].column == column)
            return true;
    }
    return false;
}

/* Is the column of a relation whose primary key is grouped? */
static bool depends_on_key(const struct grouping *g, uint32_t column)
{
    const struct scope *scope = g->state->scope;
    for (uint32_t e = 0; e < scope->entries_count; e++) {
        const struct range_entry *entry = scope->entries[e];
        if (entry->object == NULL || entry->object->kind == CATALOG_VIEW || !entry_has_column(entry, column))
            continue;
        for (uint32_t k = 0; k < entry->object->constraints_count; k++) {
            const struct catalog_constraint *key = &entry->object->constraints[k];
            bool all = key->kind == CONSTRAINT_PRIMARY_KEY;
            for (uint32_t i = 0; all && i < key->columns_count; i++) {
                struct expr probe = {.kind = EXPR_COLUMN,
                                     .index = entry->columns[key->columns[i]].column,
                                     .type = entry->columns[key->columns[i]].type};
                all = find_group(g, &probe) >= 0;
            }
            if (all)
                return true;
        }
    }
    return false;
}

/* Adds columns that depend on grouped keys to the groups, before the node is built. */
static struct expr *collect_above(void *g_, const struct expr *expr, uint32_t level)
{
    struct grouping *g = g_;
    if (level == 0 && find_group(g, expr) >= 0)
        return (struct expr *)expr;
    if (level == 0 && expr->kind == EXPR_AGGREGATE) {
        for (uint32_t i = 0; i < g->calls_count; i++) {
            if (bound_equal(g->calls[i], expr))
                return (struct expr *)expr;
        }
        ARENA_PUSH(g->ctx->arena, g->calls, g->calls_count, g->calls_cap, (struct expr *)expr);
        return (struct expr *)expr;
    }
    if (level == 0 && expr->kind == EXPR_GROUPING)
        return (struct expr *)expr;
    bool own = level == 0 ? expr->kind == EXPR_COLUMN : expr->kind == EXPR_OUTER && expr->levels_up == level;
    if (!own || g->has_sets)
        return NULL;
    struct expr *column = expr_column(g->ctx->arena, expr->index, expr->type);
    if (find_group(g, column) < 0 && depends_on_key(g, expr->index)) {
        for (uint32_t s = 0; s < g->sets_count; s++)
            set_add(g, &g->sets[s], g->groups_count);
        ARENA_PUSH(g->ctx->arena, g->groups, g->groups_count, g->groups_cap, column);
    }
    return NULL;
}

static struct expr *grouping_bits(struct grouping *g, const struct expr *expr)
{
    struct arena *arena = g->ctx->arena;
    struct sql_type int4 = {OID_INT4, -1};
    struct expr *result = NULL;
    for (uint32_t i = 0; i < expr->args_count; i++) {
        int64_t group = find_group(g, expr->args[i]);
        if (group < 0) {
            if (!g->failed)
                BIND_FAIL(g->ctx, g->err, expr->position - 1, ERRCODE_GROUPING_ERROR,
                          "arguments to GROUPING must be grouping expressions of the associated query level");
            g->failed = true;
            return (struct expr *)expr;
        }
        /* One CASE per argument over the number of the set: WHEN set = n THEN bit ... ELSE 0 */
        int32_t bit = 1 << (expr->args_count - 1 - i);
        struct expr **args = ARENA_ARRAY(arena, struct expr *, 2 * g->sets_count + 1);
        uint32_t count = 0;
        for (uint32_t s = 0; s < g->sets_count; s++) {
            bool present = false;
            for (uint32_t k = 0; k < g->sets[s].count; k++)
                present = present || g->sets[s].groups[k] == (uint32_t)group;
            if (present)
                continue;
            args[count++] =
                bound_compare(arena, "=", expr_column(arena, g->bits_column, (struct sql_type){OID_INT8, -1}),
                              bound_int8(arena, s));
            args[count++] = expr_constant(arena, int4, datum_i32(bit));
        }
        args[count++] = expr_constant(arena, int4, datum_i32(0));
        struct expr *part = count == 1 ? args[0] : bound_case(arena, int4, args, count);
        if (result == NULL) {
            result = part;
        } else {
            uint32_t types[2] = {OID_INT4, OID_INT4};
            struct expr *both[2] = {result, part};
            result = expr_call(arena, function_find_exact("+", types, 2), int4,
                               arena_copy(arena, both, sizeof(both)), 2);
        }
    }
    return result;
}

static struct expr *rewrite_above(void *g_, const struct expr *expr, uint32_t level)
{
    struct grouping *g = g_;
    struct arena *arena = g->ctx->arena;
    if (level == 0 && expr->kind == EXPR_GROUPING)
        return grouping_bits(g, expr);
    if (level == 0 && expr->kind != EXPR_CONSTANT) {
        int64_t group = find_group(g, expr);
        if (group >= 0)
            return expr_column(arena, (uint32_t)group, expr->type);
    }
    if (level == 0 && expr->kind == EXPR_AGGREGATE) {
        for (uint32_t i = 0; i < g->calls_count; i++) {
            if (bound_equal(g->calls[i], expr))
                return expr_column(arena, g->groups_count + i, expr->type);
        }
    }
    if (level == 0 && expr->kind == EXPR_SESSION) {
        if (!g->failed)
            BIND_FAIL(g->ctx, g->err, expr->position - 1, ERRCODE_GROUPING_ERROR,
                      "session() must appear in the GROUP BY clause");
        g->failed = true;
        return (struct expr *)expr;
    }
    bool own = level == 0 ? expr->kind == EXPR_COLUMN : expr->kind == EXPR_OUTER && expr->levels_up == level;
    if (!own)
        return NULL;
    struct expr probe = {.kind = EXPR_COLUMN, .index = expr->index, .type = expr->type};
    int64_t group = find_group(g, &probe);
    if (group >= 0) {
        struct expr *copy = arena_copy(arena, expr, sizeof(*copy));
        copy->index = (uint32_t)group;
        return copy;
    }
    if (!g->failed) {
        const char *name = scope_column_text(g->ctx, g->state->scope, expr->index);
        if (level == 0)
            BIND_FAIL(g->ctx, g->err, expr->position - 1, ERRCODE_GROUPING_ERROR,
                      "column \"%s\" must appear in the GROUP BY clause or be used in an aggregate function",
                      name);
        else
            BIND_FAIL(g->ctx, g->err, expr->position - 1, ERRCODE_GROUPING_ERROR,
                      "subquery uses ungrouped column \"%s\" from outer query", name);
    }
    g->failed = true;
    return (struct expr *)expr;
}

/* ---- the plan ---- */

struct below {
    struct arena *arena;
    struct expr **exprs;
    uint32_t count, cap;
};

static uint32_t below_column(struct below *below, struct expr *expr)
{
    for (uint32_t i = 0; i < below->count; i++) {
        if (bound_equal(below->exprs[i], expr))
            return i;
    }
    ARENA_PUSH(below->arena, below->exprs, below->count, below->cap, expr);
    return below->count - 1;
}

/* Does the child hand on rows in an order someone asked for? */
static bool is_sorted(const struct plan *plan)
{
    while (plan->kind == PLAN_CALC)
        plan = plan->children[0];
    return plan->kind == PLAN_SORT && plan->sort.keys_count > 0;
}

static void fill_calls(struct grouping *g, struct below *below, bool sorted,
                       struct plan_aggregate_call *calls)
{
    struct arena *arena = g->ctx->arena;
    for (uint32_t i = 0; i < g->calls_count; i++) {
        const struct expr *expr = g->calls[i];
        const struct bound_aggregate *aggregate = expr->planner;
        struct plan_aggregate_call *call = &calls[i];
        call->aggregate = aggregate->row;
        call->type = expr->type;
        call->args_count = expr->args_count;
        call->args = ARENA_ARRAY(arena, uint32_t, expr->args_count);
        for (uint32_t k = 0; k < expr->args_count; k++)
            call->args[k] = below_column(below, expr->args[k]);
        call->filter = aggregate->filter != NULL ? (int32_t)below_column(below, aggregate->filter) : -1;
        call->is_distinct = aggregate->is_distinct;
        call->order_count = aggregate->order_count;
        call->order =
            aggregate->order_count > 0 ? ARENA_ARRAY(arena, struct sort_key, aggregate->order_count) : NULL;
        for (uint32_t k = 0; k < aggregate->order_count; k++)
            call->order[k] =
                (struct sort_key){below_column(below, aggregate->order[k].expr),
                                  aggregate->order[k].descending, aggregate->order[k].nulls_first};
        call->keep_input_order = sorted && aggregate->order_count == 0 && !aggregate->is_distinct &&
                                 (aggregate->row->flags & AGG_ORDERED) && !g->ctx->for_view;
    }
}

static struct plan *aggregate_plan(struct grouping *g, struct plan *child, const struct grouping_set *set,
                                   struct plan_aggregate_call *calls)
{
    struct arena *arena = g->ctx->arena;
    if (set->count == 0 && g->calls_count == 0)
        return plan_one_row(arena); /* one group, whatever the input is */
    struct plan *plan = plan_new(arena, PLAN_AGGREGATE, set->count + g->calls_count, 1);
    plan->children[0] = child;
    plan->aggregate.groups_count = set->count;
    plan->aggregate.groups = arena_copy(arena, set->groups, sizeof(uint32_t) * set->count);
    plan->aggregate.calls_count = g->calls_count;
    plan->aggregate.calls = calls;
    for (uint32_t i = 0; i < set->count; i++)
        plan->types[i] = child->types[set->groups[i]];
    for (uint32_t i = 0; i < g->calls_count; i++)
        plan->types[set->count + i] = calls[i].type;
    return plan;
}

/* Columns of every set in one shape: all groups (NULL where the set lacks one), the results, the number of
 * the set. */
static struct plan *shaped_set(struct grouping *g, struct plan *aggregate, uint32_t set_number)
{
    struct arena *arena = g->ctx->arena;
    const struct grouping_set *set = &g->sets[set_number];
    uint32_t width = g->groups_count + g->calls_count + 1;
    struct expr **outputs = ARENA_ARRAY(arena, struct expr *, width);
    for (uint32_t i = 0; i < g->groups_count; i++) {
        outputs[i] = bound_null(arena, g->groups[i]->type);
        for (uint32_t k = 0; k < set->count; k++) {
            if (set->groups[k] == i)
                outputs[i] = expr_column(arena, k, aggregate->types[k]);
        }
    }
    for (uint32_t i = 0; i < g->calls_count; i++)
        outputs[g->groups_count + i] = expr_column(arena, set->count + i, aggregate->types[set->count + i]);
    outputs[width - 1] = bound_int8(arena, set_number);
    return plan_project(arena, aggregate, outputs, width);
}

/* Over rows whose session group stands in column g->session as the time alone: sessions by the other groups,
 * their start in its place. */
static struct plan *session_plan(struct grouping *g, struct plan *child, int64_t gap_us)
{
    struct arena *arena = g->ctx->arena;
    uint32_t columns = child->columns_count, time = (uint32_t)g->session;
    struct plan *plan = plan_new(arena, PLAN_SESSION, columns + 2, 1);
    memcpy(plan->types, child->types, sizeof(*plan->types) * columns);
    plan->types[columns] = plan->types[columns + 1] = child->types[time];
    plan->children[0] = child;
    plan->session.time_column = time;
    plan->session.gap_us = gap_us;
    plan->session.keys = ARENA_ARRAY(arena, uint32_t, g->groups_count);
    uint32_t *list = ARENA_ARRAY(arena, uint32_t, columns);
    for (uint32_t i = 0; i < columns; i++)
        list[i] = i == time ? columns : i;
    for (uint32_t i = 0; i < g->groups_count; i++)
        if (i != time)
            plan->session.keys[plan->session.keys_count++] = i;
    return plan_pick(arena, plan, list, columns);
}

/* The same for a group tumble(): windows, and their start in place of the time. */
static struct plan *tumble_plan(struct grouping *g, struct plan *child, const struct calendar *calendar)
{
    uint32_t columns = child->columns_count, time = (uint32_t)g->tumble;
    uint32_t *list = ARENA_ARRAY(g->ctx->arena, uint32_t, columns);
    for (uint32_t i = 0; i < columns; i++)
        list[i] = i == time ? columns : i;
    return plan_pick(g->ctx->arena, bind_window_plan(g->ctx, child, time, calendar), list, columns);
}

static bool build_plan(struct grouping *g, struct error *err)
{
    struct select_state *state = g->state;
    struct arena *arena = g->ctx->arena;
    struct below below = {.arena = arena};
    for (uint32_t i = 0; i < g->groups_count; i++)
        ARENA_PUSH(arena, below.exprs, below.count, below.cap, g->groups[i]);
    struct plan_aggregate_call *calls = ARENA_ARRAY(arena, struct plan_aggregate_call, g->calls_count);
    fill_calls(g, &below, is_sorted(state->plan), calls);
    const struct expr *session = g->session >= 0 ? g->groups[g->session] : NULL;
    if (session != NULL)
        below.exprs[g->session] = session->args[0];
    const struct expr *tumble = g->tumble >= 0 && session == NULL ? g->groups[g->tumble] : NULL;
    struct calendar calendar;
    if (tumble != NULL) {
        if (!bind_calendar(g->ctx, tumble->args + 1, tumble->args_count - 1, tumble->position - 1, &calendar,
                           err))
            return false;
        below.exprs[g->tumble] = tumble->args[0];
    }
    struct plan *child = plan_project(arena, state->plan, below.exprs, below.count);
    if (session != NULL)
        child = session_plan(g, child, session->args[1]->value.i64);
    else if (tumble != NULL)
        child = tumble_plan(g, child, &calendar);
    if (!g->has_sets) {
        /* One set, with the groups in order. */
        struct grouping_set all = {0};
        for (uint32_t i = 0; i < g->groups_count; i++)
            set_add(g, &all, i);
        state->plan = aggregate_plan(g, child, &all, calls);
        return true;
    }
    struct plan *all = plan_new(arena, PLAN_UNION_ALL, g->groups_count + g->calls_count + 1, g->sets_count);
    for (uint32_t s = 0; s < g->sets_count; s++) {
        struct plan *input = s == 0 ? child : plan_clone(arena, child);
        all->children[s] = shaped_set(g, aggregate_plan(g, input, &g->sets[s], calls), s);
    }
    if (g->sets_count > 0)
        memcpy(all->types, all->children[0]->types, sizeof(*all->types) * all->columns_count);
    g->bits_column = all->columns_count - 1;
    state->plan = all;
    return true;
}

/* Subqueries in group expressions and aggregate arguments become columns below the node. */
static bool attach_below(struct grouping *g, struct error *err)
{
    struct arena *arena = g->ctx->arena;
    struct expr **slots = NULL;
    uint32_t count = 0, cap = 0;
    for (uint32_t i = 0; i < g->calls_count; i++) {
        if (!bound_contains(g->calls[i], KIND_BIT(EXPR_SUBQUERY)))
            continue;
        const struct bound_aggregate *aggregate = g->calls[i]->planner;
        for (uint32_t k = 0; k < g->calls[i]->args_count; k++)
            ARENA_PUSH(arena, slots, count, cap, g->calls[i]->args[k]);
        for (uint32_t k = 0; k < aggregate->order_count; k++)
            ARENA_PUSH(arena, slots, count, cap, aggregate->order[k].expr);
        if (aggregate->filter != NULL)
            ARENA_PUSH(arena, slots, count, cap, aggregate->filter);
    }
    if (count == 0)
        return true;
    if (!subquery_attach(g->ctx, &g->state->plan, slots, count, err))
        return false;
    uint32_t at = 0;
    for (uint32_t i = 0; i < g->calls_count; i++) {
        if (!bound_contains(g->calls[i], KIND_BIT(EXPR_SUBQUERY)))
            continue;
        /* The call itself stays as it is for rewriting above; its plan is built from a copy. */
        struct expr *copy = arena_copy(arena, g->calls[i], sizeof(*copy));
        struct bound_aggregate *aggregate = arena_copy(arena, copy->planner, sizeof(*aggregate));
        aggregate->order =
            arena_copy(arena, aggregate->order, sizeof(*aggregate->order) * aggregate->order_count);
        copy->args = arena_copy(arena, copy->args, sizeof(*copy->args) * copy->args_count);
        copy->planner = aggregate;
        for (uint32_t k = 0; k < copy->args_count; k++)
            copy->args[k] = slots[at++];
        for (uint32_t k = 0; k < aggregate->order_count; k++)
            aggregate->order[k].expr = slots[at++];
        if (aggregate->filter != NULL)
            aggregate->filter = slots[at++];
        g->calls[i] = copy;
    }
    return true;
}

bool bind_grouping(struct select_state *state, struct error *err)
{
    struct planner_context *ctx = state->ctx;
    struct grouping g = {.state = state, .ctx = ctx, .err = err, .session = -1, .tumble = -1};
    bool needed = state->select->n_group_clause > 0 || state->having != NULL;
    for (uint32_t i = 0; i < state->targets_count && !needed; i++)
        needed = bound_contains(state->targets[i].expr,
                                KIND_BIT(EXPR_AGGREGATE) | KIND_BIT(EXPR_GROUPING) | KIND_BIT(EXPR_SESSION));
    if (!needed)
        return true;
    if (!bind_group_clause(&g, err))
        return false;
    if (g.session >= 0 && g.has_sets)
        return BIND_FAIL(ctx, err, g.groups[g.session]->position - 1, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "session() is not supported in grouping sets");
    for (uint32_t i = 0; i < state->targets_count; i++)
        bound_map(ctx->arena, state->targets[i].expr, collect_above, &g, 0);
    if (state->having != NULL)
        bound_map(ctx->arena, state->having, collect_above, &g, 0);
    struct expr **calls = arena_copy(ctx->arena, g.calls, sizeof(*calls) * g.calls_count);
    struct expr **groups = arena_copy(ctx->arena, g.groups, sizeof(*groups) * g.groups_count);
    if (!subquery_attach(ctx, &state->plan, g.groups, g.groups_count, err) || !attach_below(&g, err) ||
        !build_plan(&g, err))
        return false;
    g.calls = calls;
    g.groups = groups;
    for (uint32_t i = 0; i < state->targets_count; i++)
        state->targets[i].expr = bound_map(ctx->arena, state->targets[i].expr, rewrite_above, &g, 0);
    if (state->having != NULL)
        state->having = bound_map(ctx->arena, state->having, rewrite_above, &g, 0);
    if (g.failed)
        return false;
    return state->having == NULL || bind_apply_condition(ctx, &state->plan, state->having, err);
}
