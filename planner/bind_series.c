/* bind_series.c: functions over a relation that take its rows in order, key by key: count_window and gap_fill. Both are put
 * together from window functions, set-returning ones and projections, and so are as incremental as those are. */
#include "planner/bind_from.h"

#include "storage/data/datetime.h"

/* ---- rows in order ---- */

static bool call_named(struct planner_context *ctx, const char *name, struct expr **args, uint32_t count,
                       struct expr **out, struct error *err)
{
    struct resolved resolved;
    if (!bind_function(ctx, name, args, count, false, -1, &resolved, err))
        return false;
    *out = expr_call(ctx->arena, resolved.function, resolved.result, resolved.args, resolved.args_count);
    return true;
}

static bool bind_keys(struct table_call *call, uint32_t **out, struct error *err)
{
    *out = ARENA_ARRAY(call->ctx->arena, uint32_t, call->keys_count);
    for (uint32_t k = 0; k < call->keys_count; k++) {
        if (!table_call_key(call, call->keys[k], &(*out)[k], err))
            return false;
    }
    return true;
}

/* An OVER node of the input's rows by key, in the order of a column and then of all others, so that only equal rows are
 * peers. What has no order stands by its text, in columns behind the input's: *width is their number with them. */
static bool ordered_rows(struct table_call *call, struct plan *input, uint32_t first, const uint32_t *keys,
                         uint32_t calls_count, struct plan **out, uint32_t *width, struct error *err)
{
    struct planner_context *ctx = call->ctx;
    uint32_t columns = input->columns_count, added = 0;
    struct sort_key *order = ARENA_ARRAY(ctx->arena, struct sort_key, columns);
    struct expr **texts = ARENA_ARRAY(ctx->arena, struct expr *, columns);
    order[0].column = first;
    for (uint32_t i = 0, next = 1; i < columns; i++) {
        struct expr *column = expr_column(ctx->arena, i, input->types[i]);
        if (i == first)
            continue;
        order[next].column = i;
        if (!type_has_order(input->types[i].oid)) {
            if (!bind_coerce(ctx, column, (struct sql_type){OID_TEXT, -1}, COERCION_EXPLICIT, -1,
                             &texts[added], err))
                return false;
            order[next].column = columns + added++;
        }
        next++;
    }
    uint32_t ignored;
    struct plan *child = added > 0 ? plan_extend(ctx->arena, input, texts, added, &ignored) : input;
    *width = child->columns_count;
    struct plan *plan = plan_new(ctx->arena, PLAN_OVER, *width + calls_count, 1);
    memcpy(plan->types, child->types, sizeof(*plan->types) * *width);
    plan->children[0] = child;
    plan->over.partition_count = call->keys_count;
    plan->over.partition = arena_copy(ctx->arena, keys, sizeof(*keys) * call->keys_count);
    plan->over.keys_count = columns;
    plan->over.keys = order;
    plan->over.calls_count = calls_count;
    plan->over.calls = ARENA_ARRAY(ctx->arena, struct plan_over_call, calls_count);
    *out = plan;
    return true;
}

/* The value of a column in the row before or behind; or the row's number. */
static void set_over(struct planner_context *ctx, struct plan *plan, uint32_t number, enum over_kind kind,
                     uint32_t column)
{
    struct plan_over_call *over = &plan->over.calls[number];
    uint32_t width = plan->children[0]->columns_count;
    *over = (struct plan_over_call){.kind = kind,
                                    .filter = -1,
                                    .type = {OID_INT8, -1},
                                    .frame_mode = FRAME_RANGE,
                                    .frame_start = BOUND_UNBOUNDED_PRECEDING,
                                    .frame_end = BOUND_CURRENT,
                                    .frame_start_offset = -1,
                                    .frame_end_offset = -1};
    if (kind != OVER_ROW_NUMBER) {
        over->args_count = 1;
        over->args = arena_copy(ctx->arena, &column, sizeof(column));
        over->type = plan->children[0]->types[column];
    }
    plan->types[width + number] = over->type;
}

/* ---- count_window ---- */

bool bind_count_window(struct table_call *call, struct from_item *out, struct error *err)
{
    static const char *const names[] = {"window_number"};
    struct planner_context *ctx = call->ctx;
    const PgQuery__Node *order_node = call->node->args[1];
    const struct datum *n;
    struct expr *order, *number, *zero_based;
    uint32_t *keys, width, columns = call->input.plan->columns_count;
    if (!table_call_expr(call, order_node, &order, err) ||
        !table_call_constant(call, PARAMETER_N, OID_INT8, &n, err) || !bind_keys(call, &keys, err))
        return false;
    if (order->kind != EXPR_COLUMN || !type_has_order(order->type.oid))
        return BIND_FAIL(ctx, err, node_location(order_node), ERRCODE_DATATYPE_MISMATCH,
                         "second argument of count_window must be a column that has an order");
    if (n->i64 <= 0)
        return BIND_FAIL(ctx, err, node_location(call->nodes[PARAMETER_N]), ERRCODE_INVALID_PARAMETER_VALUE,
                         "n of count_window must be positive");
    struct plan *over;
    if (!ordered_rows(call, call->input.plan, order->index, keys, 1, &over, &width, err))
        return false;
    set_over(ctx, over, 0, OVER_ROW_NUMBER, 0);
    const struct sql_type int8 = {OID_INT8, -1};
    if (!bind_operator(ctx, "-", expr_column(ctx->arena, width, int8), bound_int8(ctx->arena, 1), -1,
                       &zero_based, err) ||
        !bind_operator(ctx, "/", zero_based, bound_int8(ctx->arena, n->i64), -1, &number, err))
        return false;
    struct expr **outputs = ARENA_ARRAY(ctx->arena, struct expr *, columns + 1);
    for (uint32_t i = 0; i < columns; i++)
        outputs[i] = expr_column(ctx->arena, i, over->types[i]);
    outputs[columns] = number;
    return table_call_item(call, plan_project(ctx->arena, over, outputs, columns + 1), names, 1, out, err);
}

/* ---- gap_fill ---- */

/* How a column gets its value in the rows that were missing. */
enum filling { FILL_NULL, FILL_KEY, FILL_TIME, FILL_LAST, FILL_LINEAR };

struct gap_fill {
    struct table_call *call;
    struct calendar grid;
    uint32_t columns, time_column; /* of the input */
    struct sql_type time_type;     /* of `time`: a date is filled as a timestamp */
    uint8_t *fillings;             /* enum filling per column of the input */
    uint32_t *keys;
    uint32_t time;               /* column of the rows below OVER */
    uint32_t lead, lag;          /* columns above it; lag UINT32_MAX: not needed */
    uint32_t *lead_of;           /* per input column, where FILL_LINEAR */
    uint32_t filled;             /* column of the set-returning call */
    struct expr *start, *finish; /* of time_type; NULL: not given */
};

static bool can_interpolate(uint32_t oid)
{
    return oid == OID_INT2 || oid == OID_INT4 || oid == OID_INT8 || oid == OID_NUMERIC || oid == OID_FLOAT4 ||
           oid == OID_FLOAT8;
}

/* Names between commas, as columns of the input. */
static bool mark_columns(struct gap_fill *g, enum table_parameter parameter, enum filling filling,
                         struct error *err)
{
    struct table_call *call = g->call;
    struct planner_context *ctx = call->ctx;
    const struct datum *list;
    if (!table_call_constant(call, parameter, OID_TEXT, &list, err))
        return false;
    if (list == NULL)
        return true;
    int32_t location = node_location(call->nodes[parameter]);
    const char *text = table_call_text(ctx, list);
    for (const char *at = text, *end; at != NULL; at = *end == ',' ? end + 1 : NULL) {
        end = at + strcspn(at, ",");
        size_t len = (size_t)(end - at);
        for (; len > 0 && *at == ' '; at++)
            len--;
        while (len > 0 && at[len - 1] == ' ')
            len--;
        const char *name = arena_strndup(ctx->arena, at, len);
        struct range_column column;
        if (scope_find_column(call->input.scope, name, &column) != 1)
            return BIND_FAIL(ctx, err, location, ERRCODE_UNDEFINED_COLUMN, "column \"%s\" does not exist",
                             name);
        if (g->fillings[column.column] != FILL_NULL)
            return BIND_FAIL(ctx, err, location, ERRCODE_INVALID_PARAMETER_VALUE,
                             "column \"%s\" is a key, the time, or named twice", name);
        if (filling == FILL_LINEAR && !can_interpolate(column.type.oid))
            return BIND_FAIL(ctx, err, location, ERRCODE_DATATYPE_MISMATCH,
                             "column \"%s\" of type %s cannot be interpolated", name,
                             type_text(ctx, column.type));
        g->fillings[column.column] = (uint8_t)filling;
    }
    return true;
}

static bool bind_bound(struct gap_fill *g, enum table_parameter parameter, struct expr **out,
                       struct error *err)
{
    const struct datum *value;
    if (!table_call_constant(g->call, parameter, g->time_type.oid, &value, err))
        return false;
    *out = value != NULL ? expr_constant(g->call->ctx->arena, g->time_type, *value) : NULL;
    return true;
}

static bool bind_arguments(struct gap_fill *g, struct error *err)
{
    struct table_call *call = g->call;
    struct planner_context *ctx = call->ctx;
    uint32_t type;
    if (!table_call_time(call, &g->time_column, &type, err) ||
        !table_call_calendar(call, PARAMETER_STEP, &g->grid, err) ||
        !bind_time_zone(ctx, g->grid.zone, type, call->node->location, err) ||
        !bind_keys(call, &g->keys, err))
        return false;
    g->time_type = (struct sql_type){type == OID_DATE ? OID_TIMESTAMP : type, -1};
    if (type == OID_DATE && (g->grid.offset_us % US_PER_DAY != 0 ||
                             (g->grid.size.unit == CALENDAR_FIXED && g->grid.size.count % US_PER_DAY != 0)))
        return BIND_FAIL(ctx, err, node_location(call->nodes[PARAMETER_STEP]),
                         ERRCODE_INVALID_PARAMETER_VALUE, "step between dates must be whole days");
    g->fillings = ARENA_ARRAY(ctx->arena, uint8_t, g->columns);
    g->fillings[g->time_column] = FILL_TIME;
    for (uint32_t k = 0; k < call->keys_count; k++) {
        if (g->keys[k] == g->time_column)
            return BIND_FAIL(ctx, err, node_location(call->keys[k]), ERRCODE_INVALID_PARAMETER_VALUE,
                             "the time cannot be a key of gap_fill");
        g->fillings[g->keys[k]] = FILL_KEY;
    }
    return mark_columns(g, PARAMETER_LOCF, FILL_LAST, err) &&
           mark_columns(g, PARAMETER_INTERPOLATE, FILL_LINEAR, err) &&
           bind_bound(g, PARAMETER_START, &g->start, err) && bind_bound(g, PARAMETER_FINISH, &g->finish, err);
}

/* The rows that have a time, each with what it needs to know of its neighbours. */
static bool neighbours(struct gap_fill *g, struct plan **out, struct error *err)
{
    struct planner_context *ctx = g->call->ctx;
    struct plan *rows = g->call->input.plan;
    struct expr *time = expr_column(ctx->arena, g->time_column, rows->types[g->time_column]), *is_finite;
    g->time = g->time_column;
    if (time->type.oid == OID_DATE) {
        if (!bind_coerce(ctx, time, g->time_type, COERCION_EXPLICIT, -1, &time, err))
            return false;
        rows = plan_extend(ctx->arena, rows, &time, 1, &g->time);
    }
    struct expr *column = expr_column(ctx->arena, g->time, g->time_type);
    if (!call_named(ctx, "isfinite", &column, 1, &is_finite, err))
        return false;
    rows = plan_filter(ctx->arena, rows, is_finite);
    uint32_t calls = 1 + (g->start != NULL), width;
    for (uint32_t i = 0; i < g->columns; i++)
        calls += g->fillings[i] == FILL_LINEAR;
    if (!ordered_rows(g->call, rows, g->time, g->keys, calls, out, &width, err))
        return false;
    uint32_t next = 0;
    g->lead = width;
    set_over(ctx, *out, next++, OVER_LEAD, g->time);
    g->lag = g->start != NULL ? width + next : UINT32_MAX;
    if (g->start != NULL)
        set_over(ctx, *out, next++, OVER_LAG, g->time);
    g->lead_of = ARENA_ARRAY(ctx->arena, uint32_t, g->columns);
    for (uint32_t i = 0; i < g->columns; i++) {
        if (g->fillings[i] != FILL_LINEAR)
            continue;
        g->lead_of[i] = width + next;
        set_over(ctx, *out, next++, OVER_LEAD, i);
    }
    return true;
}

/* Each row once with its own time, and once for every step that no row has before the next. */
static bool filled_rows(struct gap_fill *g, struct plan **plan, struct error *err)
{
    struct planner_context *ctx = g->call->ctx;
    struct arena *arena = ctx->arena;
    struct expr *next = expr_column(arena, g->lead, g->time_type), *start = bound_null(arena, g->time_type);
    if (g->finish != NULL) {
        struct expr *both[2] = {next, g->finish};
        next = expr_new(arena, EXPR_COALESCE, g->time_type);
        next->args = arena_copy(arena, both, sizeof(both));
        next->args_count = 2;
    }
    if (g->start != NULL) {
        struct expr *cases[3] = {bound_is_null(arena, expr_column(arena, g->lag, g->time_type), false),
                                 g->start, bound_null(arena, g->time_type)};
        start = bound_case(arena, g->time_type, cases, 3);
    }
    const struct datum *step, *offset;
    if (!table_call_constant(g->call, PARAMETER_STEP, OID_INTERVAL, &step, err) ||
        !table_call_constant(g->call, PARAMETER_OFFSET, OID_INTERVAL, &offset, err))
        return false;
    const struct sql_type interval = {OID_INTERVAL, -1};
    struct expr *args[6] = {expr_column(arena, g->time, g->time_type),
                            next,
                            start,
                            expr_constant(arena, interval, *step),
                            expr_constant(arena, interval, offset != NULL ? *offset : (struct datum){0}),
                            NULL};
    uint32_t count = 5;
    if (g->grid.zone != NULL)
        args[count++] = bind_text_constant(ctx, g->grid.zone, OID_TEXT, -1);
    struct expr *call;
    if (!call_named(ctx, "gap_fill_times", args, count, &call, err))
        return false;
    struct plan *set = plan_new(arena, PLAN_PROJECT_SET, (*plan)->columns_count + 1, 1);
    g->filled = (*plan)->columns_count;
    memcpy(set->types, (*plan)->types, sizeof(*set->types) * g->filled);
    set->types[g->filled] = g->time_type;
    set->children[0] = *plan;
    set->project_set.calls_count = 1;
    set->project_set.calls = arena_copy(arena, &call, sizeof(call));
    *plan = set;
    return true;
}

static bool seconds_between(struct gap_fill *g, uint32_t later, uint32_t earlier, uint32_t type,
                            struct expr **out, struct error *err)
{
    struct planner_context *ctx = g->call->ctx;
    struct expr *args[2] = {bind_text_constant(ctx, "epoch", OID_TEXT, -1), NULL};
    return bind_operator(ctx, "-", expr_column(ctx->arena, later, g->time_type),
                         expr_column(ctx->arena, earlier, g->time_type), -1, &args[1], err) &&
           call_named(ctx, "extract", args, 2, out, err) &&
           bind_coerce(ctx, *out, (struct sql_type){type, -1}, COERCION_EXPLICIT, -1, out, err);
}

/* value + (next value - value) * seconds / all seconds, in numeric or float8; of the column's type. */
static bool linear_value(struct gap_fill *g, uint32_t column, struct sql_type type, struct expr **out,
                         struct error *err)
{
    struct planner_context *ctx = g->call->ctx;
    bool is_float = type.oid == OID_FLOAT4 || type.oid == OID_FLOAT8;
    const struct sql_type inner = {is_float ? OID_FLOAT8 : OID_NUMERIC, -1};
    struct expr *value, *next, *part, *whole, *share;
    return bind_coerce(ctx, expr_column(ctx->arena, column, type), inner, COERCION_EXPLICIT, -1, &value,
                       err) &&
           bind_coerce(ctx, expr_column(ctx->arena, g->lead_of[column], type), inner, COERCION_EXPLICIT, -1,
                       &next, err) &&
           seconds_between(g, g->filled, g->time, inner.oid, &part, err) &&
           seconds_between(g, g->lead, g->time, inner.oid, &whole, err) &&
           bind_operator(ctx, "-", next, value, -1, &share, err) &&
           bind_operator(ctx, "*", share, part, -1, &share, err) &&
           bind_operator(ctx, "/", share, whole, -1, &share, err) &&
           bind_operator(ctx, "+", value, share, -1, out, err) &&
           bind_coerce(ctx, *out, type, COERCION_EXPLICIT, -1, out, err);
}

static bool output_of(struct gap_fill *g, struct plan *rows, uint32_t column, struct expr **out,
                      struct error *err)
{
    struct planner_context *ctx = g->call->ctx;
    struct arena *arena = ctx->arena;
    struct sql_type type = rows->types[column];
    struct expr *filled = expr_column(arena, g->filled, g->time_type),
                *time = expr_column(arena, g->time, g->time_type), *is_row, *is_behind, *linear;
    struct expr *value = expr_column(arena, column, type), *null = bound_null(arena, type);
    if (!bind_operator(ctx, "=", filled, time, -1, &is_row, err) ||
        !bind_operator(ctx, ">=", filled, time, -1, &is_behind, err))
        return false;
    switch ((enum filling)g->fillings[column]) {
    case FILL_KEY:
        *out = value;
        break;
    case FILL_TIME:
        return bind_coerce(ctx, filled, type, COERCION_EXPLICIT, -1, out, err);
    case FILL_NULL:
        *out = bound_case(arena, type, (struct expr *[]){is_row, value, null}, 3);
        break;
    case FILL_LAST:
        *out = bound_case(arena, type, (struct expr *[]){is_behind, value, null}, 3);
        break;
    case FILL_LINEAR:
        if (!linear_value(g, column, type, &linear, err))
            return false;
        *out = bound_case(arena, type, (struct expr *[]){is_row, value, is_behind, linear, null}, 5);
        break;
    }
    return true;
}

bool bind_gap_fill(struct table_call *call, struct from_item *out, struct error *err)
{
    struct gap_fill g = {.call = call, .columns = call->input.plan->columns_count};
    struct plan *plan;
    if (!bind_arguments(&g, err) || !neighbours(&g, &plan, err) || !filled_rows(&g, &plan, err))
        return false;
    struct expr **outputs = ARENA_ARRAY(call->ctx->arena, struct expr *, g.columns);
    for (uint32_t i = 0; i < g.columns; i++) {
        if (!output_of(&g, plan, i, &outputs[i], err))
            return false;
    }
    return table_call_item(call, plan_project(call->ctx->arena, plan, outputs, g.columns), NULL, 0, out, err);
}
