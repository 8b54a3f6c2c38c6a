/* bind_over.c: window functions: their calls, windows and frames, and the PLAN_OVER nodes that compute them.
 */
#include "planner/bind.h"

/* PostgreSQL's FRAMEOPTION bits, as they come in WindowDef.frame_options. */
enum {
    FRAME_RANGE_BIT = 0x2,
    FRAME_ROWS_BIT = 0x4,
    FRAME_GROUPS_BIT = 0x8,
    START_UNBOUNDED_PRECEDING = 0x20,
    END_UNBOUNDED_PRECEDING = 0x40,
    START_UNBOUNDED_FOLLOWING = 0x80,
    END_UNBOUNDED_FOLLOWING = 0x100,
    START_CURRENT_ROW = 0x200,
    END_CURRENT_ROW = 0x400,
    START_OFFSET_PRECEDING = 0x800,
    END_OFFSET_PRECEDING = 0x1000,
    START_OFFSET_FOLLOWING = 0x2000,
    END_OFFSET_FOLLOWING = 0x4000,
    EXCLUDE_CURRENT_ROW = 0x8000,
    EXCLUDE_GROUP = 0x10000,
    EXCLUDE_TIES = 0x20000,
};

static const PgQuery__WindowDef *find_window(const struct scope *scope, const char *name)
{
    for (size_t i = 0; i < scope->windows_count; i++) {
        const PgQuery__WindowDef *def = scope->windows[i]->window_def;
        if (strcmp(def->name, name) == 0)
            return def;
    }
    return NULL;
}

static bool bind_frame_offset(struct binder *b, const PgQuery__Node *node, struct bound_over *over,
                              bool is_start, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    if (!node_exists(node))
        return true;
    struct expr *expr;
    if (!bind_expr(b, node, &expr, err))
        return false;
    const char *mode = over->frame_mode == FRAME_ROWS     ? "ROWS"
                       : over->frame_mode == FRAME_GROUPS ? "GROUPS"
                                                          : "RANGE";
    if (bound_uses_row(expr))
        return BIND_FAIL(ctx, err, node_location(node), ERRCODE_INVALID_COLUMN_REFERENCE,
                         "argument of %s must not contain variables", mode);
    if (over->frame_mode != FRAME_RANGE) {
        if (!type_can_coerce(expr->type.oid, OID_INT8, COERCION_ASSIGNMENT))
            return BIND_FAIL(ctx, err, node_location(node), ERRCODE_DATATYPE_MISMATCH,
                             "argument of %s must be type bigint, not type %s", mode,
                             type_text(ctx, expr->type));
        if (!bind_coerce(ctx, expr, (struct sql_type){OID_INT8, -1}, COERCION_ASSIGNMENT, node_location(node),
                         &expr, err))
            return false;
    } else {
        if (over->order_count != 1)
            return BIND_FAIL(ctx, err, node_location(node), ERRCODE_WINDOWING_ERROR,
                             "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column");
        uint32_t order_type = over->order[0].expr->type.oid;
        bool is_date = type_category(order_type) == 'D';
        if (!is_date && type_category(order_type) != 'N')
            return BIND_FAIL(ctx, err, node_location(node), ERRCODE_FEATURE_NOT_SUPPORTED,
                             "RANGE with offset PRECEDING/FOLLOWING is not supported for column type %s",
                             type_text(ctx, over->order[0].expr->type));
        struct sql_type wanted = {is_date ? OID_INTERVAL : order_type, -1};
        if (!bind_coerce(ctx, expr, wanted, COERCION_IMPLICIT, node_location(node), &expr, err))
            return false;
    }
    if (is_start)
        over->start_offset = expr;
    else
        over->end_offset = expr;
    return true;
}

static bool bind_frame(struct binder *b, const PgQuery__WindowDef *def, struct bound_over *over,
                       struct error *err)
{
    uint32_t options = (uint32_t)def->frame_options;
    over->frame_mode = options & FRAME_ROWS_BIT     ? FRAME_ROWS
                       : options & FRAME_GROUPS_BIT ? FRAME_GROUPS
                                                    : FRAME_RANGE;
    over->frame_start = options & START_OFFSET_PRECEDING   ? BOUND_PRECEDING
                        : options & START_OFFSET_FOLLOWING ? BOUND_FOLLOWING
                        : options & START_CURRENT_ROW      ? BOUND_CURRENT
                                                           : BOUND_UNBOUNDED_PRECEDING;
    over->frame_end = options & END_OFFSET_PRECEDING      ? BOUND_PRECEDING
                      : options & END_OFFSET_FOLLOWING    ? BOUND_FOLLOWING
                      : options & END_UNBOUNDED_FOLLOWING ? BOUND_UNBOUNDED_FOLLOWING
                                                          : BOUND_CURRENT;
    over->frame_exclude = options & EXCLUDE_CURRENT_ROW ? 1
                          : options & EXCLUDE_GROUP     ? 2
                          : options & EXCLUDE_TIES      ? 3
                                                        : 0;
    if (over->frame_mode == FRAME_GROUPS && over->order_count == 0)
        return BIND_FAIL(b->ctx, err, def->location, ERRCODE_WINDOWING_ERROR,
                         "GROUPS mode requires an ORDER BY clause");
    return bind_frame_offset(b, def->start_offset, over, true, err) &&
           bind_frame_offset(b, def->end_offset, over, false, err);
}

static bool bind_partition(struct binder *b, const PgQuery__WindowDef *def, struct bound_over *over,
                           struct error *err)
{
    struct planner_context *ctx = b->ctx;
    over->partition_count = (uint32_t)def->n_partition_clause;
    over->partition = ARENA_ARRAY(ctx->arena, struct expr *, over->partition_count);
    for (uint32_t i = 0; i < over->partition_count; i++) {
        if (!bind_expr(b, def->partition_clause[i], &over->partition[i], err) ||
            !bind_known(ctx, over->partition[i], &over->partition[i], err))
            return false;
        if (!type_has_equality(over->partition[i]->type.oid))
            return BIND_FAIL(ctx, err, node_location(def->partition_clause[i]), ERRCODE_UNDEFINED_FUNCTION,
                             "could not identify an equality operator for type %s",
                             type_text(ctx, over->partition[i]->type));
    }
    return true;
}

static bool bind_window_order(struct binder *b, const PgQuery__WindowDef *def, struct bound_over *over,
                              struct error *err)
{
    over->order_count = (uint32_t)def->n_order_clause;
    over->order = ARENA_ARRAY(b->ctx->arena, struct bound_order, over->order_count);
    for (uint32_t i = 0; i < over->order_count; i++) {
        if (!bind_sort_item(b, def->order_clause[i]->sort_by, &over->order[i], err))
            return false;
    }
    return true;
}

/* Partition, order and frame of OVER name, OVER (...) and OVER (name ...). */
static bool bind_window(struct binder *b, const PgQuery__WindowDef *def, struct bound_over *over,
                        uint32_t depth, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    const char *base_name = def->refname[0] != '\0' ? def->refname : depth == 0 ? def->name : "";
    if (depth > 100)
        return error_set(err, ERRCODE_STATEMENT_TOO_COMPLEX, "stack depth limit exceeded");
    if (base_name[0] == '\0')
        return bind_partition(b, def, over, err) && bind_window_order(b, def, over, err) &&
               bind_frame(b, def, over, err);
    const PgQuery__WindowDef *base = find_window(b->scope, base_name);
    if (base == NULL)
        return BIND_FAIL(ctx, err, def->location, ERRCODE_UNDEFINED_OBJECT, "window \"%s\" does not exist",
                         base_name);
    if (!bind_window(b, base, over, depth + 1, err))
        return false;
    if (def->refname[0] == '\0')
        return true; /* OVER name: exactly that window */
    if (def->n_partition_clause > 0)
        return BIND_FAIL(ctx, err, def->location, ERRCODE_WINDOWING_ERROR,
                         "cannot override PARTITION BY clause of window \"%s\"", base_name);
    if (def->n_order_clause > 0) {
        if (over->order_count > 0)
            return BIND_FAIL(ctx, err, def->location, ERRCODE_WINDOWING_ERROR,
                             "cannot override ORDER BY clause of window \"%s\"", base_name);
        if (!bind_window_order(b, def, over, err))
            return false;
    }
    if (base->frame_options & 0x1)
        return BIND_FAIL(ctx, err, def->location, ERRCODE_WINDOWING_ERROR,
                         "cannot copy window \"%s\" because it has a frame clause", base_name);
    return bind_frame(b, def, over, err);
}

/* row_number() and its like are not in the registry: types of their arguments and results. */
static bool bind_ranking(struct binder *b, const PgQuery__FuncCall *call, const char *name,
                         struct expr **args, uint32_t args_count, struct bound_over *over,
                         struct sql_type *type, struct error *err)
{
    static const struct {
        const char *name;
        enum over_kind kind;
        uint32_t args_min, args_max, result; /* result 0: type of the first argument */
    } kinds[] = {
        {"row_number", OVER_ROW_NUMBER, 0, 0, OID_INT8},
        {"rank", OVER_RANK, 0, 0, OID_INT8},
        {"dense_rank", OVER_DENSE_RANK, 0, 0, OID_INT8},
        {"percent_rank", OVER_PERCENT_RANK, 0, 0, OID_FLOAT8},
        {"cume_dist", OVER_CUME_DIST, 0, 0, OID_FLOAT8},
        {"ntile", OVER_NTILE, 1, 1, OID_INT4},
        {"lag", OVER_LAG, 1, 3, 0},
        {"lead", OVER_LEAD, 1, 3, 0},
        {"first_value", OVER_FIRST_VALUE, 1, 1, 0},
        {"last_value", OVER_LAST_VALUE, 1, 1, 0},
        {"nth_value", OVER_NTH_VALUE, 2, 2, 0},
    };
    struct planner_context *ctx = b->ctx;
    const struct sql_type int4 = {OID_INT4, -1};
    size_t k = 0;
    while (strcmp(kinds[k].name, name) != 0)
        k++;
    bool fits = args_count >= kinds[k].args_min && args_count <= kinds[k].args_max;
    for (uint32_t i = 0; fits && i < args_count; i++) {
        if (!bind_known(ctx, args[i], &args[i], err))
            return false;
    }
    uint32_t counter = kinds[k].kind == OVER_NTILE ? 0 : 1; /* which argument is a number */
    if (fits && args_count > counter && kinds[k].args_max > 0 &&
        (counter == 1 || kinds[k].kind == OVER_NTILE))
        fits = type_can_coerce(args[counter]->type.oid, OID_INT4, COERCION_IMPLICIT);
    if (!fits) {
        struct resolved ignored;
        return bind_function(ctx, name, args, args_count, false, call->location, &ignored, err) ||
               error_set(err, ERRCODE_UNDEFINED_FUNCTION, "function %s does not exist", name);
    }
    if (args_count > counter &&
        !bind_coerce(ctx, args[counter], int4, COERCION_IMPLICIT, call->location, &args[counter], err))
        return false;
    *type = kinds[k].result != 0 ? (struct sql_type){kinds[k].result, -1} : args[0]->type;
    if (args_count == 3) {
        struct expr *both[2] = {args[0], args[2]};
        struct sql_type common;
        if (!bind_common_type(ctx, both, NULL, 2, "lag/lead", &common, err) ||
            !bind_coerce_all(ctx, both, NULL, 2, common, "lag/lead", err))
            return false;
        args[0] = both[0];
        args[2] = both[1];
        *type = common;
    }
    over->kind = kinds[k].kind;
    return true;
}

bool bind_over_call(struct binder *b, const PgQuery__FuncCall *call, const char *name, struct expr **args,
                    uint32_t args_count, struct expr *filter, struct expr **out, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    struct bound_over *over = ARENA_NEW(ctx->arena, struct bound_over);
    struct sql_type type;
    b->in_over++;
    enum bind_place place = b->place;
    bool ok = bind_window(b, call->over, over, 0, err);
    b->place = place;
    b->in_over--;
    if (!ok)
        return false;
    if (is_window_function(name)) {
        if (filter != NULL)
            return BIND_FAIL(ctx, err, call->location, ERRCODE_FEATURE_NOT_SUPPORTED,
                             "FILTER is not implemented for non-aggregate window functions");
        if (!bind_ranking(b, call, name, args, args_count, over, &type, err))
            return false;
    } else {
        struct resolved resolved;
        if (!bind_function(ctx, name, args, args_count, call->func_variadic, call->location, &resolved, err))
            return false;
        if (resolved.aggregate == NULL)
            return BIND_FAIL(ctx, err, call->location, ERRCODE_WRONG_OBJECT_TYPE,
                             "OVER specified, but %s is not a window function nor an aggregate function",
                             name);
        if (resolved.aggregate->flags & AGG_ORDERED_SET)
            return BIND_FAIL(ctx, err, call->location, ERRCODE_FEATURE_NOT_SUPPORTED,
                             "OVER is not supported for ordered-set aggregate %s", name);
        over->kind = OVER_AGGREGATE;
        over->row = resolved.aggregate;
        over->filter = filter;
        args = resolved.args;
        type = resolved.result;
    }
    *out = expr_new(ctx->arena, EXPR_OVER, type);
    (*out)->args = args;
    (*out)->args_count = args_count;
    (*out)->planner = over;
    (*out)->position = call->location + 1;
    return true;
}

/* ---- the plan ---- */

struct over_list {
    struct planner_context *ctx;
    struct expr **calls;
    uint32_t *columns; /* of the plan, once computed */
    uint32_t count, cap;
};

static void collect_over(void *list_, const struct expr *expr, uint32_t level)
{
    struct over_list *list = list_;
    if (expr->kind != EXPR_OVER || level > 0)
        return;
    for (uint32_t i = 0; i < list->count; i++) {
        if (bound_equal(list->calls[i], expr))
            return;
    }
    ARENA_PUSH(list->ctx->arena, list->calls, list->count, list->cap, (struct expr *)expr);
}

static struct expr *replace_over(void *list_, const struct expr *expr, uint32_t level)
{
    const struct over_list *list = list_;
    if (expr->kind != EXPR_OVER || level > 0)
        return NULL;
    for (uint32_t i = 0; i < list->count; i++) {
        if (bound_equal(list->calls[i], expr))
            return expr_column(list->ctx->arena, list->columns[i], expr->type);
    }
    return NULL;
}

static bool same_window(const struct bound_over *a, const struct bound_over *c)
{
    if (a->partition_count != c->partition_count || a->order_count != c->order_count)
        return false;
    for (uint32_t i = 0; i < a->partition_count; i++) {
        if (!bound_equal(a->partition[i], c->partition[i]))
            return false;
    }
    for (uint32_t i = 0; i < a->order_count; i++) {
        if (a->order[i].descending != c->order[i].descending ||
            a->order[i].nulls_first != c->order[i].nulls_first ||
            !bound_equal(a->order[i].expr, c->order[i].expr))
            return false;
    }
    return true;
}

/* Columns that are computed below the window node, plain ones used as they are. */
struct inputs {
    struct arena *arena;
    uint32_t base; /* columns of the child */
    struct expr **exprs;
    uint32_t count, cap;
};

static uint32_t input_column(struct inputs *inputs, struct expr *expr)
{
    if (expr->kind == EXPR_COLUMN)
        return expr->index;
    for (uint32_t i = 0; i < inputs->count; i++) {
        if (bound_equal(inputs->exprs[i], expr))
            return inputs->base + i;
    }
    ARENA_PUSH(inputs->arena, inputs->exprs, inputs->count, inputs->cap, expr);
    return inputs->base + inputs->count - 1;
}

static void fill_call(struct arena *arena, const struct expr *expr, struct inputs *inputs,
                      struct plan_over_call *call)
{
    const struct bound_over *over = expr->planner;
    call->kind = over->kind;
    call->aggregate = over->row;
    call->type = expr->type;
    call->args_count = expr->args_count;
    call->args = ARENA_ARRAY(arena, uint32_t, expr->args_count);
    for (uint32_t i = 0; i < expr->args_count; i++)
        call->args[i] = input_column(inputs, expr->args[i]);
    call->filter = over->filter != NULL ? (int32_t)input_column(inputs, over->filter) : -1;
    call->frame_mode = over->frame_mode;
    call->frame_start = over->frame_start;
    call->frame_end = over->frame_end;
    call->frame_start_offset =
        over->start_offset != NULL ? (int32_t)input_column(inputs, over->start_offset) : -1;
    call->frame_end_offset = over->end_offset != NULL ? (int32_t)input_column(inputs, over->end_offset) : -1;
    call->frame_exclude = over->frame_exclude;
}

bool bind_windows(struct select_state *state, struct error *err)
{
    struct planner_context *ctx = state->ctx;
    struct over_list list = {.ctx = ctx};
    for (uint32_t i = 0; i < state->targets_count; i++)
        bound_visit(state->targets[i].expr, collect_over, &list, 0);
    if (list.count == 0)
        return true;
    list.columns = ARENA_ARRAY(ctx->arena, uint32_t, list.count);
    bool *done = ARENA_ARRAY(ctx->arena, bool, list.count);
    for (uint32_t first = 0; first < list.count; first++) {
        if (done[first])
            continue;
        const struct bound_over *window = list.calls[first]->planner;
        struct inputs inputs = {.arena = ctx->arena, .base = state->plan->columns_count};
        uint32_t *partition = ARENA_ARRAY(ctx->arena, uint32_t, window->partition_count);
        for (uint32_t i = 0; i < window->partition_count; i++)
            partition[i] = input_column(&inputs, window->partition[i]);
        struct sort_key *keys = ARENA_ARRAY(ctx->arena, struct sort_key, window->order_count);
        for (uint32_t i = 0; i < window->order_count; i++)
            keys[i] = (struct sort_key){input_column(&inputs, window->order[i].expr),
                                        window->order[i].descending, window->order[i].nulls_first};
        struct plan_over_call *calls = ARENA_ARRAY(ctx->arena, struct plan_over_call, list.count);
        uint32_t *members = ARENA_ARRAY(ctx->arena, uint32_t, list.count);
        uint32_t count = 0;
        for (uint32_t i = first; i < list.count; i++) {
            if (done[i] || !same_window(window, list.calls[i]->planner))
                continue;
            fill_call(ctx->arena, list.calls[i], &inputs, &calls[count]);
            members[count++] = i;
            done[i] = true;
        }
        uint32_t ignored;
        struct plan *child = state->plan;
        if (inputs.count > 0)
            child = plan_extend(ctx->arena, child, inputs.exprs, inputs.count, &ignored);
        struct plan *over = plan_new(ctx->arena, PLAN_OVER, child->columns_count + count, 1);
        memcpy(over->types, child->types, sizeof(*over->types) * child->columns_count);
        over->children[0] = child;
        over->over.partition_count = window->partition_count;
        over->over.partition = partition;
        over->over.keys_count = window->order_count;
        over->over.keys = keys;
        over->over.calls_count = count;
        over->over.calls = calls;
        for (uint32_t i = 0; i < count; i++) {
            over->types[child->columns_count + i] = calls[i].type;
            list.columns[members[i]] = child->columns_count + i;
        }
        state->plan = over;
    }
    for (uint32_t i = 0; i < state->targets_count; i++)
        state->targets[i].expr = bound_map(ctx->arena, state->targets[i].expr, replace_over, &list, 0);
    (void)err;
    return true;
}
