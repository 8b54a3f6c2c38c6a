/* bind_call.c: calls written f(...): ordinary functions, aggregates, set-returning functions, and the scalar
 * forms of tumble() and session(). Window calls go on to bind_over.c. */
#include "planner/argument_names.h"
#include "planner/bind_from.h"

/* Where aggregates, windows and sets may not stand: PostgreSQL's names of the places. */
static const char *place_name(const struct binder *b)
{
    switch (b->place) {
    case PLACE_WHERE:
        return "WHERE";
    case PLACE_HAVING:
        return "HAVING";
    case PLACE_GROUP_BY:
        return "GROUP BY";
    case PLACE_ORDER_BY:
        return "ORDER BY";
    case PLACE_JOIN_ON:
        return "JOIN conditions";
    case PLACE_FROM_FUNCTION:
        return "functions in FROM";
    case PLACE_LIMIT:
        return "LIMIT";
    case PLACE_OFFSET:
        return "OFFSET";
    case PLACE_VALUES:
        return "VALUES";
    case PLACE_OTHER:
        return b->what != NULL ? b->what : "this expression";
    default:
        return NULL;
    }
}

static bool place_takes_aggregates(const struct binder *b)
{
    return b->place == PLACE_SELECT || b->place == PLACE_HAVING || b->place == PLACE_ORDER_BY ||
           b->place == PLACE_DISTINCT_ON;
}

bool is_window_function(const char *name)
{
    static const char *const names[] = {"row_number",  "rank",       "dense_rank", "percent_rank",
                                        "cume_dist",   "ntile",      "lag",        "lead",
                                        "first_value", "last_value", "nth_value"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

bool bind_sort_direction(struct planner_context *ctx, const PgQuery__SortBy *item, bool *descending,
                         bool *nulls_first, struct error *err)
{
    *descending = item->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
    if (item->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_USING) {
        const char *op = item->n_use_op > 0 ? node_string(item->use_op[item->n_use_op - 1]) : "";
        if (strcmp(op, "<") != 0 && strcmp(op, ">") != 0) {
            BIND_FAIL(ctx, err, item->location, ERRCODE_WRONG_OBJECT_TYPE,
                      "operator %s is not a valid ordering operator", op);
            return error_hint(
                err, "Ordering operators must be \"<\" or \">\" members of btree operator families.");
        }
        *descending = op[0] == '>';
    }
    *nulls_first = item->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST ||
                   (item->sortby_nulls != PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST && *descending);
    return true;
}

bool bind_sort_item(struct binder *b, const PgQuery__SortBy *item, struct bound_order *out, struct error *err)
{
    if (!bind_sort_direction(b->ctx, item, &out->descending, &out->nulls_first, err) ||
        !bind_expr(b, item->node, &out->expr, err) || !bind_known(b->ctx, out->expr, &out->expr, err))
        return false;
    if (type_has_order(out->expr->type.oid))
        return true;
    BIND_FAIL(b->ctx, err, node_location(item->node), ERRCODE_UNDEFINED_FUNCTION,
              "could not identify an ordering operator for type %s", type_text(b->ctx, out->expr->type));
    return error_hint(err, "Use an explicit ordering operator or modify the query.");
}

/* ---- aggregates ---- */

struct levels_found {
    bool own, outer;
};

static void find_levels(void *ctx, const struct expr *expr, uint32_t level)
{
    struct levels_found *found = ctx;
    if (level == 0 ? expr->kind == EXPR_COLUMN : expr->kind == EXPR_OUTER && expr->levels_up == level)
        found->own = true;
    if (expr->kind == EXPR_OUTER && expr->levels_up > level)
        found->outer = true;
}

static bool check_aggregate_args(struct binder *b, struct expr *const *args, uint32_t count, int32_t location,
                                 struct error *err)
{
    struct levels_found found = {false, false};
    for (uint32_t i = 0; i < count; i++) {
        if (bound_contains(args[i], KIND_BIT(EXPR_AGGREGATE)))
            return BIND_FAIL(b->ctx, err, location, ERRCODE_GROUPING_ERROR,
                             "aggregate function calls cannot be nested");
        if (bound_contains(args[i], KIND_BIT(EXPR_OVER)))
            return BIND_FAIL(b->ctx, err, location, ERRCODE_GROUPING_ERROR,
                             "aggregate function calls cannot contain window function calls");
        if (bound_contains(args[i], KIND_BIT(EXPR_SET)))
            return BIND_FAIL(b->ctx, err, location, ERRCODE_FEATURE_NOT_SUPPORTED,
                             "aggregate function calls cannot contain set-returning function calls");
        bound_visit(args[i], find_levels, &found, 0);
    }
    if (found.outer && !found.own)
        return BIND_FAIL(b->ctx, err, location, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "aggregates over columns of an outer query only are not supported");
    return true;
}

static bool check_aggregate_place(struct binder *b, int32_t location, struct error *err)
{
    if (b->in_aggregate > 0)
        return BIND_FAIL(b->ctx, err, location, ERRCODE_GROUPING_ERROR,
                         "aggregate function calls cannot be nested");
    if (b->in_filter)
        return BIND_FAIL(b->ctx, err, location, ERRCODE_GROUPING_ERROR,
                         "aggregate functions are not allowed in FILTER");
    if (place_takes_aggregates(b))
        return true;
    return BIND_FAIL(b->ctx, err, location, ERRCODE_GROUPING_ERROR,
                     "aggregate functions are not allowed in %s", place_name(b));
}

static bool bind_filter(struct binder *b, const PgQuery__Node *node, struct expr **out, struct error *err)
{
    *out = NULL;
    if (!node_exists(node))
        return true;
    bool outer = b->in_filter;
    b->in_filter = true;
    bool ok = bind_condition(b, node, "FILTER", out, err);
    b->in_filter = outer;
    return ok;
}

static bool make_aggregate(struct binder *b, const PgQuery__FuncCall *call, const char *name,
                           struct resolved *resolved, struct bound_order *order, uint32_t order_count,
                           struct expr *filter, struct expr **out, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    const struct aggregate_row *row = resolved->aggregate;
    bool ordered_set = (row->flags & AGG_ORDERED_SET) != 0;
    if (ordered_set != (bool)call->agg_within_group)
        return ordered_set
                   ? BIND_FAIL(ctx, err, call->location, ERRCODE_WRONG_OBJECT_TYPE,
                               "WITHIN GROUP is required for ordered-set aggregate %s", name)
                   : BIND_FAIL(ctx, err, call->location, ERRCODE_WRONG_OBJECT_TYPE,
                               "%s is not an ordered-set aggregate, so it cannot have WITHIN GROUP", name);
    if (!call->agg_star && resolved->args_count == 0)
        return BIND_FAIL(ctx, err, call->location, ERRCODE_WRONG_OBJECT_TYPE,
                         "%s(*) must be used to call a parameterless aggregate function", name);
    if (!check_aggregate_args(b, resolved->args, resolved->args_count, call->location, err) ||
        (filter != NULL && !check_aggregate_args(b, &filter, 1, call->location, err)))
        return false;
    struct bound_aggregate *aggregate = ARENA_NEW(ctx->arena, struct bound_aggregate);
    aggregate->row = row;
    aggregate->filter = filter;
    aggregate->is_distinct = call->agg_distinct;
    aggregate->order = order;
    aggregate->order_count = order_count;
    for (uint32_t i = 0; i < order_count; i++) {
        if (!check_aggregate_args(b, &order[i].expr, 1, call->location, err))
            return false;
    }
    if (call->agg_distinct) {
        for (uint32_t i = 0; i < resolved->args_count; i++) {
            if (!type_has_equality(resolved->args[i]->type.oid))
                return BIND_FAIL(ctx, err, call->location, ERRCODE_UNDEFINED_FUNCTION,
                                 "could not identify an equality operator for type %s",
                                 type_text(ctx, resolved->args[i]->type));
        }
        for (uint32_t i = 0; i < order_count; i++) {
            bool is_arg = false;
            for (uint32_t k = 0; k < resolved->args_count && !is_arg; k++)
                is_arg = bound_equal(order[i].expr, resolved->args[k]);
            if (!is_arg)
                return BIND_FAIL(
                    ctx, err, call->location, ERRCODE_INVALID_COLUMN_REFERENCE,
                    "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list");
        }
    }
    struct expr *expr = expr_new(ctx->arena, EXPR_AGGREGATE, resolved->result);
    expr->args = resolved->args;
    expr->args_count = resolved->args_count;
    expr->planner = aggregate;
    expr->position = call->location + 1;
    *out = expr;
    return true;
}

/* ---- set-returning functions ---- */

static bool make_set(struct binder *b, const PgQuery__FuncCall *call, struct resolved *resolved,
                     struct expr **out, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    if (b->in_conditional > 0 && b->place != PLACE_FROM_FUNCTION) {
        BIND_FAIL(ctx, err, call->location, ERRCODE_FEATURE_NOT_SUPPORTED,
                  "set-returning functions are not allowed in CASE");
        return error_hint(err,
                          "You might be able to move the set-returning function into a LATERAL FROM item.");
    }
    if (b->place != PLACE_SELECT && b->place != PLACE_ORDER_BY && b->place != PLACE_FROM_FUNCTION &&
        b->place != PLACE_GROUP_BY && b->place != PLACE_DISTINCT_ON)
        return BIND_FAIL(ctx, err, call->location, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "set-returning functions are not allowed in %s", place_name(b));
    const struct function_signature *signature = function_signature(resolved->function);
    uint32_t columns = signature->columns_count > 0 ? signature->columns_count : 1;
    struct expr **fields = ARENA_ARRAY(ctx->arena, struct expr *, columns);
    for (uint32_t i = 0; i < columns; i++) {
        struct sql_type type = signature->columns_count > 0
                                   ? (struct sql_type){signature->column_types[i], -1}
                                   : resolved->result;
        /* Polymorphic columns take the type of the call's result. */
        if (type.oid == OID_ANYELEMENT)
            type = resolved->result;
        struct bound_set *set = ARENA_NEW(ctx->arena, struct bound_set);
        set->column = i;
        set->columns_count = columns;
        fields[i] = expr_new(ctx->arena, EXPR_SET, type);
        fields[i]->args = resolved->args;
        fields[i]->args_count = resolved->args_count;
        fields[i]->function = resolved->function;
        fields[i]->planner = set;
        fields[i]->position = call->location + 1;
    }
    if (signature->columns_count == 0) {
        *out = fields[0];
        return true;
    }
    /* The type modifier says whose columns they are, so that (x).field still works above a subquery. */
    *out = expr_new(ctx->arena, EXPR_ROW,
                    (struct sql_type){OID_RECORD, (int32_t)function_oid(resolved->function)});
    (*out)->args = fields;
    (*out)->args_count = columns;
    return true;
}

/* ---- tumble and session as groups ---- */

/* tumble(ts, size, offset, timezone): start of the window that holds ts. What is constant is checked here. */
static bool bind_tumble(struct binder *b, struct expr **args, uint32_t count, int32_t location, bool *handled,
                        struct expr **out, struct error *err)
{
    static const uint32_t types[] = {OID_UNKNOWN, OID_INTERVAL, OID_INTERVAL, OID_TEXT};
    struct planner_context *ctx = b->ctx;
    *handled = count >= 2 && count <= ARRAY_COUNT(types) &&
               (type_category(args[0]->type.oid) == 'D' || args[0]->type.oid == OID_UNKNOWN);
    if (!*handled)
        return true;
    struct expr *full[ARRAY_COUNT(types)] = {args[0]};
    if (full[0]->type.oid == OID_DATE || full[0]->type.oid == OID_UNKNOWN) {
        uint32_t type = full[0]->type.oid == OID_UNKNOWN && count > 3 ? OID_TIMESTAMPTZ : OID_TIMESTAMP;
        if (!bind_coerce(ctx, full[0], (struct sql_type){type, -1}, COERCION_EXPLICIT, location, &full[0],
                         err))
            return false;
    }
    if (count > 3 && !bind_time_zone(ctx, "", full[0]->type.oid, location, err))
        return false;
    for (uint32_t i = 1; i < count; i++) {
        if (!bind_coerce(ctx, args[i], (struct sql_type){types[i], -1}, COERCION_IMPLICIT, location, &full[i],
                         err))
            return false;
    }
    struct calendar ignored;
    if (bind_is_constant_calendar(full + 1, count - 1) &&
        !bind_calendar(ctx, full + 1, count - 1, location, &ignored, err))
        return false;
    struct resolved resolved;
    if (!bind_function(ctx, "tumble", full, count, false, location, &resolved, err))
        return false;
    *out = expr_call(ctx->arena, resolved.function, resolved.result, resolved.args, count);
    (*out)->position = location + 1;
    return true;
}

/* session(ts, gap): start of the row's session, as a group; the other groups are its keys. */
static bool bind_session(struct binder *b, struct expr **args, uint32_t count, int32_t location,
                         bool *handled, struct expr **out, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    *handled = count == 2 && type_category(args[0]->type.oid) == 'D';
    if (!*handled)
        return true;
    if ((b->place != PLACE_GROUP_BY && !place_takes_aggregates(b)) || b->in_aggregate > 0 || b->in_filter ||
        b->in_over > 0) {
        BIND_FAIL(ctx, err, location, ERRCODE_GROUPING_ERROR,
                  "session() is only allowed in GROUP BY and where its group is read");
        return error_hint(err, "Write FROM session(relation, time column, gap, key columns ...).");
    }
    struct expr *time = args[0], *gap;
    int64_t gap_us;
    if (time->type.oid == OID_DATE && !bind_coerce(ctx, time, (struct sql_type){OID_TIMESTAMP, -1},
                                                   COERCION_EXPLICIT, location, &time, err))
        return false;
    if (!bind_coerce(ctx, args[1], (struct sql_type){OID_INTERVAL, -1}, COERCION_IMPLICIT, location, &gap,
                     err) ||
        !bind_window_interval(ctx, gap, location, "gap", &gap_us, err))
        return false;
    if (gap_us <= 0)
        return BIND_FAIL(ctx, err, location, ERRCODE_INVALID_PARAMETER_VALUE,
                         "gap of a session window must be positive");
    struct expr *both[2] = {time, bound_int8(ctx->arena, gap_us)};
    *out = expr_new(ctx->arena, EXPR_SESSION, (struct sql_type){time->type.oid, -1});
    (*out)->args = arena_copy(ctx->arena, both, sizeof(both));
    (*out)->args_count = 2;
    (*out)->position = location + 1;
    return true;
}

/* ---- calls ---- */

static bool check_schema(struct planner_context *ctx, const PgQuery__FuncCall *call, const char *schema,
                         struct error *err)
{
    if (schema == NULL || strcmp(schema, "pg_catalog") == 0 || strcmp(schema, "information_schema") == 0)
        return true;
    if (catalog_find_schema(ctx->catalog, schema) == NULL)
        return BIND_FAIL(ctx, err, call->location, ERRCODE_INVALID_SCHEMA_NAME,
                         "schema \"%s\" does not exist", schema);
    return BIND_FAIL(ctx, err, call->location, ERRCODE_UNDEFINED_FUNCTION, "function %s(...) does not exist",
                     node_names_text(ctx->arena, call->n_funcname, call->funcname));
}

/* f(a, name => b): the arguments from call->args[from] on go to their places; gaps get defaults. */
static bool bind_named_args(struct binder *b, const PgQuery__FuncCall *call, size_t from, struct expr ***args,
                            uint32_t *count, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    const char *function = node_names_text(ctx->arena, 1, call->funcname + call->n_funcname - 1);
    const struct argument_names *names = argument_names_find(function);
    if (names == NULL)
        return BIND_FAIL(ctx, err, call->location, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "named arguments are not supported here");
    struct expr **placed = ARENA_ARRAY(ctx->arena, struct expr *, ARGUMENT_NAMES_MAX + from);
    for (size_t i = 0; i < from; i++)
        placed[i] = (*args)[i];
    uint32_t end = (uint32_t)from;
    for (size_t i = from; i < call->n_args; i++) {
        if (call->args[i]->node_case != PG_QUERY__NODE__NODE_NAMED_ARG_EXPR)
            return BIND_FAIL(ctx, err, node_location(call->args[i]), ERRCODE_SYNTAX_ERROR,
                             "positional argument cannot follow named argument");
        const PgQuery__NamedArgExpr *named = call->args[i]->named_arg_expr;
        int place = argument_names_place(names, named->name);
        if (place < 0 || (size_t)place < from)
            return BIND_FAIL(ctx, err, call->location, ERRCODE_UNDEFINED_FUNCTION,
                             "function %s(... %s => ...) does not exist", function, named->name);
        if (placed[place] != NULL)
            return BIND_FAIL(ctx, err, named->location, ERRCODE_SYNTAX_ERROR,
                             "argument name \"%s\" used more than once", named->name);
        if (!bind_expr(b, named->arg, &placed[place], err))
            return false;
        end = (uint32_t)place + 1 > end ? (uint32_t)place + 1 : end;
    }
    for (uint32_t i = 0; i < end; i++) {
        if (placed[i] != NULL)
            continue;
        if (names->defaults[i] == NULL)
            return BIND_FAIL(ctx, err, call->location, ERRCODE_UNDEFINED_FUNCTION,
                             "function %s(...) needs its argument \"%s\"", function, names->names[i]);
        placed[i] = bind_text_constant(ctx, names->defaults[i], OID_UNKNOWN, call->location);
    }
    *args = placed;
    *count = end;
    return true;
}

static bool bind_args(struct binder *b, const PgQuery__FuncCall *call, struct expr ***args, uint32_t *count,
                      struct error *err)
{
    struct planner_context *ctx = b->ctx;
    size_t order = call->agg_within_group ? call->n_agg_order : 0;
    *args = ARENA_ARRAY(ctx->arena, struct expr *, call->n_args + order);
    *count = 0;
    for (size_t i = 0; i < call->n_args; i++) {
        if (call->args[i]->node_case == PG_QUERY__NODE__NODE_NAMED_ARG_EXPR)
            return bind_named_args(b, call, i, args, count, err);
        if (!bind_expr(b, call->args[i], &(*args)[*count], err))
            return false;
        (*count)++;
    }
    return true;
}

/* Does any aggregate have this name? Decides early whether arguments count as being inside of one. */
static bool names_aggregate(const char *name)
{
    const struct aggregate_row *const *rows;
    return aggregate_find(name, &rows) > 0;
}

/* ---- rows as JSON ---- */

/* A whole row of FROM in a call that writes JSON: its text as JSON, because only here the names of its
 * columns are known. */
static struct expr *named_row(struct planner_context *ctx, struct expr *expr, struct expr *pretty)
{
    const struct range_entry *entry = expr->planner;
    if (expr->type.oid != OID_RECORD || entry == NULL)
        return expr;
    const struct function_row *const *rows;
    if (function_find("json_named_row", false, &rows) == 0)
        return expr;
    const struct sql_type json = {OID_JSON, -1};
    if (expr->kind == EXPR_CASE) { /* NULL beyond an outer join */
        struct expr *nullable = arena_copy(ctx->arena, expr, sizeof(*expr));
        nullable->planner = NULL;
        nullable->type = json;
        nullable->args = arena_copy(ctx->arena, expr->args, sizeof(*expr->args) * expr->args_count);
        nullable->args[1] = bound_null(ctx->arena, json);
        nullable->args[2] = named_row(ctx, expr->args[2], pretty);
        return nullable;
    }
    if (expr->kind != EXPR_ROW)
        return expr;
    struct expr **args = ARENA_ARRAY(ctx->arena, struct expr *, 1 + 2 * expr->args_count);
    args[0] = pretty != NULL ? pretty
                             : expr_constant(ctx->arena, (struct sql_type){OID_BOOL, -1},
                                             (struct datum){.boolean = false});
    for (uint32_t i = 0; i < expr->args_count; i++) {
        args[1 + 2 * i] = bind_text_constant(ctx, entry->columns[i].name, OID_TEXT, -1);
        args[2 + 2 * i] = expr->args[i];
    }
    return expr_call(ctx->arena, rows[0], json, args, 1 + 2 * expr->args_count);
}

static bool starts_with(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

static void name_rows(struct planner_context *ctx, const PgQuery__FuncCall *call, const char *name,
                      struct resolved *resolved)
{
    bool writes_json = starts_with(name, "json_") || starts_with(name, "jsonb_") ||
                       starts_with(name, "to_json") || strcmp(name, "row_to_json") == 0;
    if (!writes_json || call->agg_distinct) /* json has no equality */
        return;
    struct expr *pretty =
        strcmp(name, "row_to_json") == 0 && resolved->args_count == 2 ? resolved->args[1] : NULL;
    struct expr **args = ARENA_ARRAY(ctx->arena, struct expr *, resolved->args_count);
    bool changed = false;
    for (uint32_t i = 0; i < resolved->args_count; i++) {
        args[i] = named_row(ctx, resolved->args[i], pretty);
        changed = changed || args[i] != resolved->args[i];
    }
    resolved->args = args;
    const struct aggregate_row *const *rows;
    if (changed && resolved->aggregate != NULL && strcmp(name, "json_agg") == 0 &&
        aggregate_find("json_agg_rows", &rows) > 0)
        resolved->aggregate = rows[0];
}

static bool bind_resolved(struct binder *b, const PgQuery__FuncCall *call, const char *name,
                          struct expr **args, uint32_t args_count, struct expr *filter,
                          struct bound_order *order, uint32_t order_count, struct expr **out,
                          struct error *err)
{
    struct planner_context *ctx = b->ctx;
    struct resolved resolved;
    if (!bind_function(ctx, name, args, args_count, call->func_variadic, call->location, &resolved, err))
        return false;
    name_rows(ctx, call, name, &resolved);
    if (resolved.aggregate != NULL)
        return check_aggregate_place(b, call->location, err) &&
               make_aggregate(b, call, name, &resolved, order, order_count, filter, out, err);
    if (call->agg_star)
        return BIND_FAIL(ctx, err, call->location, ERRCODE_WRONG_OBJECT_TYPE,
                         "%s(*) specified, but %s is not an aggregate function", name, name);
    const char *wrong = call->agg_distinct       ? "DISTINCT"
                        : call->agg_within_group ? "WITHIN GROUP"
                        : order_count > 0        ? "ORDER BY"
                        : filter != NULL         ? "FILTER"
                                                 : NULL;
    if (wrong != NULL)
        return BIND_FAIL(ctx, err, call->location, ERRCODE_WRONG_OBJECT_TYPE,
                         "%s specified, but %s is not an aggregate function", wrong, name);
    if (resolved.function == NULL) { /* a type's name: the converted argument */
        *out = resolved.args[0];
        return true;
    }
    if (resolved.function->flags & FN_SET)
        return make_set(b, call, &resolved, out, err);
    *out = expr_call(ctx->arena, resolved.function, resolved.result, resolved.args, resolved.args_count);
    (*out)->position = call->location + 1;
    return true;
}

bool bind_func_call(struct binder *b, const PgQuery__FuncCall *call, struct expr **out, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    const char *schema, *name;
    if (!node_names_split(call->n_funcname, call->funcname, &schema, &name))
        return BIND_FAIL(ctx, err, call->location, ERRCODE_SYNTAX_ERROR,
                         "improper qualified name (too many dotted names)");
    if (!check_schema(ctx, call, schema, err))
        return false;
    bool aggregate = names_aggregate(name) && call->over == NULL;
    struct expr **args, *filter;
    uint32_t args_count;
    b->in_aggregate += aggregate;
    bool ok = bind_args(b, call, &args, &args_count, err) && bind_filter(b, call->agg_filter, &filter, err);
    struct bound_order *order = ok ? ARENA_ARRAY(ctx->arena, struct bound_order, call->n_agg_order) : NULL;
    for (size_t i = 0; ok && i < call->n_agg_order; i++) {
        ok = bind_sort_item(b, call->agg_order[i]->sort_by, &order[i], err);
        if (ok && call->agg_within_group)
            args[args_count++] = order[i].expr;
    }
    b->in_aggregate -= aggregate;
    if (!ok)
        return false;
    if (call->over != NULL) {
        if (call->agg_distinct)
            return BIND_FAIL(ctx, err, call->location, ERRCODE_FEATURE_NOT_SUPPORTED,
                             "DISTINCT is not implemented for window functions");
        if (call->n_agg_order > 0)
            return BIND_FAIL(ctx, err, call->location, ERRCODE_FEATURE_NOT_SUPPORTED,
                             "aggregate ORDER BY is not implemented for window functions");
        if (!place_takes_aggregates(b) || b->place == PLACE_HAVING)
            return BIND_FAIL(ctx, err, call->location, ERRCODE_WINDOWING_ERROR,
                             "window functions are not allowed in %s", place_name(b));
        if (b->in_aggregate > 0)
            return BIND_FAIL(ctx, err, call->location, ERRCODE_GROUPING_ERROR,
                             "aggregate function calls cannot contain window function calls");
        if (b->in_over > 0)
            return BIND_FAIL(ctx, err, call->location, ERRCODE_WINDOWING_ERROR,
                             "window function calls cannot be nested");
        return bind_over_call(b, call, name, args, args_count, filter, out, err);
    }
    if (is_window_function(name) && !aggregate)
        return BIND_FAIL(ctx, err, call->location, ERRCODE_WRONG_OBJECT_TYPE,
                         "window function %s requires an OVER clause", name);
    const struct function_row *const *rows;
    if (strcmp(name, "tumble") == 0) {
        bool handled;
        if (!bind_tumble(b, args, args_count, call->location, &handled, out, err))
            return false;
        if (handled)
            return true;
    }
    if (strcmp(name, "session") == 0 && function_find(name, false, &rows) == 0) {
        bool handled;
        if (!bind_session(b, args, args_count, call->location, &handled, out, err))
            return false;
        if (handled)
            return true;
    }
    return bind_resolved(b, call, name, args, args_count, filter, order, (uint32_t)call->n_agg_order, out,
                         err);
}
