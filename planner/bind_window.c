/* bind_window.c: functions over a relation in FROM, and the windows over time among them: tumble, hop, cumulate,
 * session; tumble(time, size) as an expression. The other functions are in bind_series.c.
 *
 * tumble(relation, time, size, timezone => 'Europe/Berlin'): arguments go to the function's parameters by name or by
 * place; the ones left over are key columns. */
#include "planner/bind_from.h"

#include "storage/data/datetime.h"

/* ---- arguments ---- */

struct table_function {
    const char *name, *usage;
    bool (*bind)(struct table_call *call, struct from_item *out, struct error *err);
    bool has_keys;
    uint32_t positional_count; /* the first parameters, that need no name */
    uint32_t required_count;   /* the first of those: must be there */
    enum table_parameter parameters[TABLE_PARAMETERS_MAX];
    uint32_t parameters_count;
};

static const char *const parameter_names[] = {
    [PARAMETER_SLIDE] = "slide",
    [PARAMETER_SIZE] = "size",
    [PARAMETER_STEP] = "step",
    [PARAMETER_GAP] = "gap",
    [PARAMETER_OFFSET] = "offset",
    [PARAMETER_TIMEZONE] = "timezone",
    [PARAMETER_N] = "n",
    [PARAMETER_START] = "start",
    [PARAMETER_FINISH] = "finish",
    [PARAMETER_LOCF] = "locf",
    [PARAMETER_INTERPOLATE] = "interpolate",
};

static bool bind_aligned(struct table_call *call, struct from_item *out, struct error *err);
static bool bind_session_source(struct table_call *call, struct from_item *out, struct error *err);

static const struct table_function table_functions[] = {
    {"tumble",
     "Write tumble(relation, time column, size).",
     bind_aligned,
     false,
     3,
     1,
     {PARAMETER_SIZE, PARAMETER_OFFSET, PARAMETER_TIMEZONE},
     3},
    {"hop",
     "Write hop(relation, time column, slide, size).",
     bind_aligned,
     false,
     4,
     2,
     {PARAMETER_SLIDE, PARAMETER_SIZE, PARAMETER_OFFSET, PARAMETER_TIMEZONE},
     4},
    {"cumulate",
     "Write cumulate(relation, time column, step, size).",
     bind_aligned,
     false,
     4,
     2,
     {PARAMETER_STEP, PARAMETER_SIZE, PARAMETER_OFFSET, PARAMETER_TIMEZONE},
     4},
    {"session",
     "Write session(relation, time column, gap, key columns ...).",
     bind_session_source,
     true,
     1,
     1,
     {PARAMETER_GAP},
     1},
    {"count_window",
     "Write count_window(relation, order column, n, key columns ...).",
     bind_count_window,
     true,
     1,
     1,
     {PARAMETER_N},
     1},
    {"gap_fill",
     "Write gap_fill(relation, time column, step, key columns ..., locf => 'column, ...', interpolate => "
     "'column, ...').",
     bind_gap_fill,
     true,
     1,
     1,
     {PARAMETER_STEP, PARAMETER_OFFSET, PARAMETER_TIMEZONE, PARAMETER_START, PARAMETER_FINISH, PARAMETER_LOCF,
      PARAMETER_INTERPOLATE},
     7},
};

static const struct table_function *table_function_of(const PgQuery__FuncCall *call)
{
    const char *schema, *name;
    if (!node_names_split(call->n_funcname, call->funcname, &schema, &name) || schema != NULL)
        return NULL;
    for (size_t i = 0; i < ARRAY_COUNT(table_functions); i++) {
        if (strcmp(table_functions[i].name, name) == 0)
            return &table_functions[i];
    }
    return NULL;
}

bool is_table_function(const PgQuery__FuncCall *call)
{
    return table_function_of(call) != NULL && call->n_args >= 2 &&
           (call->args[0]->node_case == PG_QUERY__NODE__NODE_COLUMN_REF ||
            call->args[0]->node_case == PG_QUERY__NODE__NODE_SUB_LINK);
}

/* The first argument: a name of a relation (which arrives as a column reference) or a subquery in
 * parentheses. */
static bool bind_input(struct table_call *call, const PgQuery__Node *node, struct error *err)
{
    if (node->node_case == PG_QUERY__NODE__NODE_COLUMN_REF && node->column_ref->n_fields <= 2) {
        const PgQuery__ColumnRef *ref = node->column_ref;
        PgQuery__RangeVar name = PG_QUERY__RANGE_VAR__INIT;
        name.relname = (char *)node_string(ref->fields[ref->n_fields - 1]);
        if (ref->n_fields == 2)
            name.schemaname = (char *)node_string(ref->fields[0]);
        name.location = ref->location;
        return from_relation(call->ctx, call->parent, &name, &call->input, err);
    }
    if (node->node_case == PG_QUERY__NODE__NODE_SUB_LINK &&
        node->sub_link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK) {
        PgQuery__RangeSubselect subselect = PG_QUERY__RANGE_SUBSELECT__INIT;
        subselect.subquery = node->sub_link->subselect;
        return from_subselect(call->ctx, call->parent, &subselect, &call->input, err);
    }
    return BIND_FAIL(
        call->ctx, err, node_location(node), ERRCODE_SYNTAX_ERROR,
        "first argument of a window function in FROM must be a relation or a subquery in parentheses");
}

static bool place_named(struct table_call *call, const struct table_function *function,
                        const PgQuery__NamedArgExpr *named, struct error *err)
{
    for (uint32_t p = 0; p < function->parameters_count; p++) {
        enum table_parameter parameter = function->parameters[p];
        if (strcmp(parameter_names[parameter], named->name) != 0)
            continue;
        if (call->nodes[parameter] != NULL)
            return BIND_FAIL(call->ctx, err, named->location, ERRCODE_SYNTAX_ERROR,
                             "argument name \"%s\" used more than once", named->name);
        call->nodes[parameter] = named->arg;
        return true;
    }
    BIND_FAIL(call->ctx, err, named->location, ERRCODE_UNDEFINED_FUNCTION, "%s has no argument named \"%s\"",
              function->name, named->name);
    return error_hint(err, "%s", function->usage);
}

static bool place_arguments(struct table_call *call, const struct table_function *function, struct error *err)
{
    const PgQuery__FuncCall *node = call->node;
    for (size_t i = 2; i < node->n_args; i++) {
        if (node->args[i]->node_case == PG_QUERY__NODE__NODE_NAMED_ARG_EXPR &&
            !place_named(call, function, node->args[i]->named_arg_expr, err))
            return false;
    }
    call->keys = ARENA_ARRAY(call->ctx->arena, const PgQuery__Node *, node->n_args);
    uint32_t next = 0;
    for (size_t i = 2; i < node->n_args; i++) {
        if (node->args[i]->node_case == PG_QUERY__NODE__NODE_NAMED_ARG_EXPR)
            continue;
        while (next < function->positional_count && call->nodes[function->parameters[next]] != NULL)
            next++;
        if (next < function->positional_count)
            call->nodes[function->parameters[next]] = node->args[i];
        else if (function->has_keys)
            call->keys[call->keys_count++] = node->args[i];
        else
            return BIND_FAIL(call->ctx, err, node->location, ERRCODE_TOO_MANY_ARGUMENTS,
                             "too many arguments for %s", function->name);
    }
    for (uint32_t p = 0; p < function->required_count; p++) {
        if (call->nodes[function->parameters[p]] == NULL) {
            BIND_FAIL(call->ctx, err, node->location, ERRCODE_UNDEFINED_FUNCTION,
                      "wrong number of arguments for %s", function->name);
            return error_hint(err, "%s", function->usage);
        }
    }
    if (node->args[1]->node_case == PG_QUERY__NODE__NODE_NAMED_ARG_EXPR)
        return BIND_FAIL(call->ctx, err, node_location(node->args[1]), ERRCODE_SYNTAX_ERROR,
                         "second argument of %s must be a column", function->name);
    return true;
}

bool from_table_function(struct planner_context *ctx, struct scope *parent, const PgQuery__FuncCall *node,
                         const PgQuery__Alias *alias, struct from_item *out, struct error *err)
{
    const struct table_function *function = table_function_of(node);
    struct table_call call = {
        .ctx = ctx, .parent = parent, .node = node, .name = function->name, .alias = alias};
    return bind_input(&call, node->args[0], err) && place_arguments(&call, function, err) &&
           function->bind(&call, out, err);
}

bool table_call_expr(struct table_call *call, const PgQuery__Node *node, struct expr **out, struct error *err)
{
    struct binder b = {.ctx = call->ctx, .scope = call->input.scope, .place = PLACE_FROM_FUNCTION};
    scope_hide(call->parent, 1);
    bool ok = bind_expr(&b, node, out, err);
    scope_hide(call->parent, -1);
    return ok;
}

bool table_call_constant(struct table_call *call, enum table_parameter parameter, uint32_t type,
                         const struct datum **out, struct error *err)
{
    const PgQuery__Node *node = call->nodes[parameter];
    *out = NULL;
    if (node == NULL)
        return true;
    struct binder b = {.ctx = call->ctx, .scope = call->parent, .place = PLACE_FROM_FUNCTION};
    struct expr *expr;
    if (!bind_expr(&b, node, &expr, err) || !bind_coerce(call->ctx, expr, (struct sql_type){type, -1},
                                                         COERCION_IMPLICIT, node_location(node), &expr, err))
        return false;
    if (expr->kind == EXPR_CAST && expr->type.oid == OID_INT8 && expr->args[0]->kind == EXPR_CONSTANT &&
        expr->args[0]->type.oid == OID_INT4 && !expr->args[0]->value.is_null)
        expr = bound_int8(call->ctx->arena, expr->args[0]->value.i32);
    if (expr->kind != EXPR_CONSTANT || expr->value.is_null)
        return BIND_FAIL(call->ctx, err, node_location(node), ERRCODE_INVALID_PARAMETER_VALUE,
                         "%s of %s must be a constant %s", parameter_names[parameter], call->name,
                         type_text(call->ctx, (struct sql_type){type, -1}));
    *out = &expr->value;
    return true;
}

bool table_call_key(struct table_call *call, const PgQuery__Node *node, uint32_t *out, struct error *err)
{
    struct expr *key;
    if (!table_call_expr(call, node, &key, err))
        return false;
    if (key->kind != EXPR_COLUMN)
        return BIND_FAIL(call->ctx, err, node_location(node), ERRCODE_FEATURE_NOT_SUPPORTED,
                         "key of %s must be a column of its relation", call->name);
    if (!type_has_equality(key->type.oid))
        return BIND_FAIL(call->ctx, err, node_location(node), ERRCODE_UNDEFINED_FUNCTION,
                         "could not identify an equality operator for type %s",
                         type_text(call->ctx, key->type));
    *out = key->index;
    return true;
}

bool table_call_time(struct table_call *call, uint32_t *column, uint32_t *type, struct error *err)
{
    const PgQuery__Node *node = call->node->args[1];
    struct expr *time;
    if (!table_call_expr(call, node, &time, err))
        return false;
    *type = time->type.oid;
    if (time->kind != EXPR_COLUMN ||
        (*type != OID_TIMESTAMP && *type != OID_TIMESTAMPTZ && *type != OID_DATE))
        return BIND_FAIL(
            call->ctx, err, node_location(node), ERRCODE_DATATYPE_MISMATCH,
            "second argument of %s must be a column of type timestamp, timestamp with time zone or date",
            call->name);
    *column = time->index;
    return true;
}

bool table_call_item(struct table_call *call, struct plan *plan, const char *const *names, uint32_t count,
                     struct from_item *out, struct error *err)
{
    struct planner_context *ctx = call->ctx;
    uint32_t first = plan->columns_count - count;
    out->plan = plan;
    out->scope = from_scope(ctx, call->parent);
    const struct range_entry *old = call->input.scope->entries[0];
    struct range_entry *entry =
        from_entry(ctx, old->alias != NULL ? old->alias : call->name, old->columns_count + count);
    for (uint32_t i = 0; i < old->columns_count; i++) {
        entry->columns[i] = old->columns[i];
        entry->columns[i].type = plan->types[old->columns[i].column];
    }
    for (uint32_t i = 0; i < count; i++)
        entry->columns[old->columns_count + i] =
            (struct range_column){names[i], first + i, plan->types[first + i]};
    return from_alias(ctx, entry, call->alias, call->node->location, err) &&
           scope_add_entry(ctx, out->scope, entry, call->node->location, err);
}

/* ---- tumble, hop, cumulate ---- */

/* A node of the input's columns with window_start and window_end behind them. */
static struct plan *window_plan(struct planner_context *ctx, enum plan_kind kind, struct plan *input,
                                struct sql_type bound_type)
{
    uint32_t columns = input->columns_count;
    struct plan *plan = plan_new(ctx->arena, kind, columns + 2, 1);
    memcpy(plan->types, input->types, sizeof(*plan->types) * columns);
    plan->types[columns] = plan->types[columns + 1] = bound_type;
    plan->children[0] = input;
    return plan;
}

static bool window_item(struct table_call *call, struct plan *plan, struct from_item *out, struct error *err)
{
    static const char *const names[] = {"window_start", "window_end"};
    return table_call_item(call, plan, names, 2, out, err);
}

static struct sql_type bound_type_of(uint32_t time_type)
{
    return (struct sql_type){time_type == OID_DATE ? OID_TIMESTAMP : time_type, -1};
}

bool bind_time_zone(struct planner_context *ctx, const char *zone, uint32_t time_type, int32_t location,
                    struct error *err)
{
    if (zone == NULL || time_type == OID_TIMESTAMPTZ)
        return true;
    BIND_FAIL(ctx, err, location, ERRCODE_DATATYPE_MISMATCH,
              "windows in a time zone need a time of type timestamp with time zone, not %s",
              type_text(ctx, (struct sql_type){time_type, -1}));
    return error_hint(err, "A time without a zone is no instant: say which one it is with AT TIME ZONE, or "
                           "leave the zone out.");
}

static void set_window(struct planner_context *ctx, struct plan *plan, const struct calendar *calendar)
{
    plan->window.slide_us = calendar_longest(calendar->slide);
    plan->window.size_us = calendar_longest(calendar->size);
    plan->window.step_us = calendar->step.count != 0 ? calendar_longest(calendar->step) : 0;
    if (calendar->size.unit == CALENDAR_FIXED)
        plan->window.offset_us = calendar_fixed_origin(calendar->slide.count, calendar->offset_us);
    else
        plan->window.calendar = arena_copy(ctx->arena, calendar, sizeof(*calendar));
}

const char *table_call_text(struct planner_context *ctx, const struct datum *text)
{
    return arena_strndup(ctx->arena, (const char *)varlen_bytes(&text->var), text->var.len);
}

bool table_call_calendar(struct table_call *call, enum table_parameter size_parameter, struct calendar *out,
                         struct error *err)
{
    const struct datum *slide, *size, *step = NULL, *offset, *zone;
    if (!table_call_constant(call, PARAMETER_SLIDE, OID_INTERVAL, &slide, err) ||
        !table_call_constant(call, size_parameter, OID_INTERVAL, &size, err) ||
        (size_parameter != PARAMETER_STEP &&
         !table_call_constant(call, PARAMETER_STEP, OID_INTERVAL, &step, err)) ||
        !table_call_constant(call, PARAMETER_OFFSET, OID_INTERVAL, &offset, err) ||
        !table_call_constant(call, PARAMETER_TIMEZONE, OID_TEXT, &zone, err))
        return false;
    struct calendar_text text = {
        .slide = slide != NULL ? &slide->interval : NULL,
        .size = &size->interval,
        .step = step != NULL ? &step->interval : NULL,
        .offset = offset != NULL ? &offset->interval : NULL,
        .zone = zone != NULL ? table_call_text(call->ctx, zone) : NULL,
    };
    return calendar_make(&text, out, err) || error_at(err, planner_position(call->ctx, call->node->location));
}

static bool bind_aligned(struct table_call *call, struct from_item *out, struct error *err)
{
    uint32_t time_column, time_type;
    struct calendar calendar;
    if (!table_call_time(call, &time_column, &time_type, err) ||
        !table_call_calendar(call, PARAMETER_SIZE, &calendar, err) ||
        !bind_time_zone(call->ctx, calendar.zone, time_type, call->node->location, err))
        return false;
    return window_item(call, bind_window_plan(call->ctx, call->input.plan, time_column, &calendar), out, err);
}

/* ---- tumble as an expression and as a group ---- */

bool bind_is_constant_calendar(struct expr *const *args, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (args[i]->kind != EXPR_CONSTANT || args[i]->value.is_null)
            return false;
    }
    return true;
}

bool bind_calendar(struct planner_context *ctx, struct expr *const *args, uint32_t count, int32_t location,
                   struct calendar *out, struct error *err)
{
    struct calendar_text text = {.size = &args[0]->value.interval};
    if (count > 1)
        text.offset = &args[1]->value.interval;
    if (count > 2)
        text.zone = table_call_text(ctx, &args[2]->value);
    return calendar_make(&text, out, err) || error_at(err, planner_position(ctx, location));
}

struct plan *bind_window_plan(struct planner_context *ctx, struct plan *child, uint32_t time_column,
                              const struct calendar *calendar)
{
    struct plan *plan = window_plan(ctx, PLAN_WINDOW, child, bound_type_of(child->types[time_column].oid));
    plan->window.time_column = time_column;
    set_window(ctx, plan, calendar);
    return plan;
}

/* ---- session ---- */

bool bind_window_interval(struct planner_context *ctx, const struct expr *expr, int32_t location,
                          const char *what, int64_t *us, struct error *err)
{
    if (expr->kind != EXPR_CONSTANT || expr->value.is_null)
        return BIND_FAIL(ctx, err, location, ERRCODE_INVALID_PARAMETER_VALUE,
                         "%s of a window must be a constant interval", what);
    const struct interval *interval = &expr->value.interval;
    if (interval->months != 0)
        return BIND_FAIL(ctx, err, location, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "%s of a window cannot be given in months or years", what);
    if (__builtin_mul_overflow((int64_t)interval->days, US_PER_DAY, us) ||
        __builtin_add_overflow(*us, interval->us, us))
        return BIND_FAIL(ctx, err, location, ERRCODE_INTERVAL_FIELD_OVERFLOW, "interval out of range");
    return true;
}

/* session(relation, time column, gap, key ...) */
static bool bind_session_source(struct table_call *call, struct from_item *out, struct error *err)
{
    struct planner_context *ctx = call->ctx;
    uint32_t time_column, time_type;
    const struct datum *gap;
    int64_t gap_us;
    int32_t location = node_location(call->nodes[PARAMETER_GAP]);
    if (!table_call_time(call, &time_column, &time_type, err) ||
        !table_call_constant(call, PARAMETER_GAP, OID_INTERVAL, &gap, err) ||
        !bind_window_interval(ctx, expr_constant(ctx->arena, (struct sql_type){OID_INTERVAL, -1}, *gap),
                              location, "gap", &gap_us, err))
        return false;
    if (gap_us <= 0)
        return BIND_FAIL(ctx, err, location, ERRCODE_INVALID_PARAMETER_VALUE,
                         "gap of a session window must be positive");
    uint32_t *keys = ARENA_ARRAY(ctx->arena, uint32_t, call->keys_count);
    for (uint32_t k = 0; k < call->keys_count; k++) {
        if (!table_call_key(call, call->keys[k], &keys[k], err))
            return false;
    }
    struct plan *plan = window_plan(ctx, PLAN_SESSION, call->input.plan, bound_type_of(time_type));
    plan->session.time_column = time_column;
    plan->session.gap_us = gap_us;
    plan->session.keys_count = call->keys_count;
    plan->session.keys = keys;
    return window_item(call, plan, out, err);
}
