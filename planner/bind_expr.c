/* bind_expr.c: expression nodes of the parse tree to typed expressions over the scope's row.
 *
 * Aggregates, window functions, set-returning functions and subqueries become planner-only nodes here; the
 * steps of the SELECT replace them by columns later. */
#include "planner/bind.h"
#include "planner/routines.h"

static const struct sql_type bool_type = {OID_BOOL, -1};

static struct expr *node_of(struct planner_context *ctx, enum expr_kind kind, struct sql_type type,
                            struct expr **args, uint32_t count, int32_t location)
{
    struct expr *expr = expr_new(ctx->arena, kind, type);
    expr->args = args;
    expr->args_count = count;
    expr->position = location + 1;
    return expr;
}

static struct expr *pair_of(struct planner_context *ctx, enum expr_kind kind, struct sql_type type,
                            struct expr *a, struct expr *c, int32_t location)
{
    struct expr *both[2] = {a, c};
    return node_of(ctx, kind, type, arena_copy(ctx->arena, both, sizeof(both)), 2, location);
}

/* Binds a list; locations may be NULL. */
static bool bind_list(struct binder *b, size_t count, PgQuery__Node **nodes, struct expr ***out,
                      int32_t **locations, struct error *err)
{
    struct expr **exprs = ARENA_ARRAY(b->ctx->arena, struct expr *, count);
    int32_t *at = ARENA_ARRAY(b->ctx->arena, int32_t, count);
    for (size_t i = 0; i < count; i++) {
        at[i] = node_location(nodes[i]);
        if (!bind_expr(b, nodes[i], &exprs[i], err))
            return false;
    }
    *out = exprs;
    if (locations != NULL)
        *locations = at;
    return true;
}

/* ---- constants and parameters ---- */

static bool bind_constant(struct binder *b, const PgQuery__AConst *node, struct expr **out, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    struct arena *arena = ctx->arena;
    if (node->isnull) {
        *out = bound_null(arena, (struct sql_type){OID_UNKNOWN, -1});
        (*out)->position = node->location + 1;
        return true;
    }
    switch (node->val_case) {
    case PG_QUERY__A__CONST__VAL_IVAL:
        *out = expr_constant(arena, (struct sql_type){OID_INT4, -1}, datum_i32(node->ival->ival));
        break;
    case PG_QUERY__A__CONST__VAL_FVAL: {
        const char *text = node->fval->fval;
        struct datum value;
        struct error ignored;
        error_init(&ignored);
        bool is_integer = strspn(text, "+-0123456789") == strlen(text);
        uint32_t type = OID_NUMERIC;
        if (is_integer &&
            type_input(OID_INT8, -1, text, strlen(text), &io_env_default, arena, &value, &ignored))
            type = OID_INT8;
        else if (!type_input(OID_NUMERIC, -1, text, strlen(text), &io_env_default, arena, &value, err))
            return error_at(err, planner_position(ctx, node->location));
        *out = expr_constant(arena, (struct sql_type){type, -1}, value);
        break;
    }
    case PG_QUERY__A__CONST__VAL_BOOLVAL:
        *out = bound_boolean(arena, node->boolval->boolval);
        break;
    case PG_QUERY__A__CONST__VAL_SVAL:
        *out = bind_text_constant(ctx, node->sval->sval, OID_UNKNOWN, node->location);
        break;
    default:
        return BIND_FAIL(ctx, err, node->location, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "bit strings are not supported");
    }
    (*out)->position = node->location + 1;
    return true;
}

static bool bind_param(struct binder *b, const PgQuery__ParamRef *node, struct expr **out, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    if (ctx->for_view)
        return BIND_FAIL(ctx, err, node->location, ERRCODE_UNDEFINED_PARAMETER, "there is no parameter $%d",
                         node->number);
    if (node->number < 1 || node->number > PARAMS_MAX ||
        (ctx->params_fixed && (uint32_t)node->number > ctx->params_count))
        return BIND_FAIL(ctx, err, node->location, ERRCODE_UNDEFINED_PARAMETER, "there is no parameter $%d",
                         node->number);
    while (ctx->params_count < (uint32_t)node->number)
        ARENA_PUSH(ctx->arena, ctx->params, ctx->params_count, ctx->params_cap, ((struct sql_type){0, -1}));
    struct sql_type type = ctx->params[node->number - 1];
    if (type.oid == 0)
        type = (struct sql_type){OID_UNKNOWN, -1};
    *out = expr_new(ctx->arena, EXPR_PARAM, (struct sql_type){type.oid, -1});
    (*out)->index = (uint32_t)node->number - 1;
    (*out)->position = node->location + 1;
    return true;
}

/* ---- operators ---- */

static const char *operator_name(struct planner_context *ctx, size_t count, PgQuery__Node **names,
                                 int32_t location, struct error *err)
{
    const char *schema, *name;
    if (!node_names_split(count, names, &schema, &name) ||
        (schema != NULL && strcmp(schema, "pg_catalog") != 0)) {
        BIND_FAIL(ctx, err, location, ERRCODE_UNDEFINED_FUNCTION, "operator does not exist: %s",
                  node_names_text(ctx->arena, count, names));
        return NULL;
    }
    return name;
}

/* How EXPR_IN, EXPR_ANY and the like need "=": its function and the type both sides are converted to. */
static bool comparison(struct planner_context *ctx, const char *op, struct expr *left, struct expr *right,
                       int32_t location, struct expr **call, struct error *err)
{
    if (!bind_operator(ctx, op, left, right, location, call, err))
        return false;
    if ((*call)->type.oid != OID_BOOL)
        return BIND_FAIL(ctx, err, location, ERRCODE_DATATYPE_MISMATCH,
                         "%s requires = operator to yield boolean", op);
    return true;
}

static bool bind_distinct(struct binder *b, struct expr *left, struct expr *right, bool is_not,
                          int32_t location, struct expr **out, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    if (left->kind == EXPR_ROW && right->kind == EXPR_ROW) {
        if (left->args_count != right->args_count)
            return BIND_FAIL(ctx, err, location, ERRCODE_SYNTAX_ERROR,
                             "unequal number of entries in row expressions");
        struct expr **parts = ARENA_ARRAY(ctx->arena, struct expr *, left->args_count);
        for (uint32_t i = 0; i < left->args_count; i++) {
            if (!bind_distinct(b, left->args[i], right->args[i], is_not, location, &parts[i], err))
                return false;
        }
        *out = left->args_count == 1
                   ? parts[0]
                   : node_of(ctx, is_not ? EXPR_AND : EXPR_OR, bool_type, parts, left->args_count, location);
        return true;
    }
    struct expr *call;
    if (!comparison(ctx, "=", left, right, location, &call, err))
        return false;
    *out = node_of(ctx, EXPR_IS_DISTINCT, bool_type, call->args, 2, location);
    (*out)->function = call->function;
    (*out)->flag = is_not;
    return true;
}

static bool equality_chain(struct binder *b, const char *op, struct expr **left, struct expr **right,
                           uint32_t count, int32_t location, struct expr **out, struct error *err)
{
    struct expr **parts = ARENA_ARRAY(b->ctx->arena, struct expr *, count);
    for (uint32_t i = 0; i < count; i++) {
        if (!comparison(b->ctx, op, left[i], right[i], location, &parts[i], err))
            return false;
    }
    bool is_equal = strcmp(op, "=") == 0;
    *out = count == 1 ? parts[0]
                      : node_of(b->ctx, is_equal ? EXPR_AND : EXPR_OR, bool_type, parts, count, location);
    return true;
}

bool bind_row_compare(struct binder *b, const char *op, struct expr **left, struct expr **right,
                      uint32_t count, int32_t location, struct expr **out, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    if (strcmp(op, "!=") == 0)
        op = "<>";
    if (count == 0)
        return BIND_FAIL(ctx, err, location, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "cannot compare rows of zero length");
    if (strcmp(op, "=") == 0 || strcmp(op, "<>") == 0)
        return equality_chain(b, op, left, right, count, location, out, err);
    const char *strict = strcmp(op, "<") == 0 || strcmp(op, "<=") == 0   ? "<"
                         : strcmp(op, ">") == 0 || strcmp(op, ">=") == 0 ? ">"
                                                                         : NULL;
    if (strict == NULL && count > 1)
        return BIND_FAIL(ctx, err, location, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "could not determine interpretation of row comparison operator %s", op);
    /* (a, b) < (c, d)  is  a < c OR (a = c AND b < d) */
    struct expr *result;
    if (!comparison(ctx, op, left[count - 1], right[count - 1], location, &result, err))
        return false;
    for (uint32_t i = count - 1; i-- > 0;) {
        struct expr *before, *same;
        if (!comparison(ctx, strict, left[i], right[i], location, &before, err) ||
            !comparison(ctx, "=", left[i], right[i], location, &same, err))
            return false;
        result = pair_of(ctx, EXPR_OR, bool_type, before,
                         pair_of(ctx, EXPR_AND, bool_type, same, result, location), location);
    }
    *out = result;
    return true;
}

static bool compare_or_operate(struct binder *b, const char *op, struct expr *left, struct expr *right,
                               int32_t location, struct expr **out, struct error *err)
{
    if (left != NULL && left->kind == EXPR_ROW && right->kind == EXPR_ROW) {
        if (left->args_count != right->args_count)
            return BIND_FAIL(b->ctx, err, location, ERRCODE_SYNTAX_ERROR,
                             "unequal number of entries in row expressions");
        return bind_row_compare(b, op, left->args, right->args, left->args_count, location, out, err);
    }
    return bind_operator(b->ctx, op, left, right, location, out, err);
}

static bool bind_in(struct binder *b, const PgQuery__AExpr *node, struct expr **out, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    const char *op = node_string(node->name[0]);
    bool is_not = strcmp(op, "<>") == 0;
    const PgQuery__List *list = node->rexpr->list;
    uint32_t count = (uint32_t)list->n_items;
    struct expr **all = ARENA_ARRAY(ctx->arena, struct expr *, count + 1);
    int32_t *locations = ARENA_ARRAY(ctx->arena, int32_t, count + 1);
    locations[0] = node_location(node->lexpr);
    if (!bind_expr(b, node->lexpr, &all[0], err))
        return false;
    bool rows = all[0]->kind == EXPR_ROW;
    for (uint32_t i = 0; i < count; i++) {
        locations[i + 1] = node_location(list->items[i]);
        if (!bind_expr(b, list->items[i], &all[i + 1], err))
            return false;
        rows = rows || all[i + 1]->kind == EXPR_ROW;
    }
    struct sql_type type;
    struct error ignored;
    error_init(&ignored);
    bool uniform = !rows && bind_common_type(ctx, all, locations, count + 1, "IN", &type, &ignored);
    for (uint32_t i = 0; uniform && i <= count; i++)
        uniform = type_can_coerce(all[i]->type.oid, type.oid, COERCION_IMPLICIT);
    if (uniform) {
        struct expr *probe = expr_column(ctx->arena, 0, (struct sql_type){type.oid, -1}), *call;
        if (!comparison(ctx, "=", probe, probe, node->location, &call, err) ||
            !bind_coerce_all(ctx, all, locations, count + 1, (struct sql_type){type.oid, -1}, "IN", err) ||
            !bind_coerce_all(ctx, all, locations, count + 1, (struct sql_type){call->args[0]->type.oid, -1},
                             "IN", err))
            return false;
        *out = node_of(ctx, EXPR_IN, bool_type, all, count + 1, node->location);
        (*out)->function = call->function;
        (*out)->flag = is_not;
        return true;
    }
    struct expr **parts = ARENA_ARRAY(ctx->arena, struct expr *, count);
    for (uint32_t i = 0; i < count; i++) {
        if (!compare_or_operate(b, op, all[0], all[i + 1], node->location, &parts[i], err))
            return false;
    }
    *out = count == 1 ? parts[0]
                      : node_of(ctx, is_not ? EXPR_AND : EXPR_OR, bool_type, parts, count, node->location);
    return true;
}

static bool bind_any_array(struct binder *b, const PgQuery__AExpr *node, bool is_all, struct expr **out,
                           struct error *err)
{
    struct planner_context *ctx = b->ctx;
    struct expr *left, *right;
    const char *op = operator_name(ctx, node->n_name, node->name, node->location, err);
    if (op == NULL || !bind_expr(b, node->lexpr, &left, err) || !bind_expr(b, node->rexpr, &right, err))
        return false;
    if (right->type.oid == OID_UNKNOWN) {
        /* '{1,2}' and $1 take the array type of the left side. */
        struct expr *known = left;
        if (!bind_known(ctx, left, &known, err))
            return false;
        left = known;
        const struct type_row *row = type_find(left->type.oid);
        uint32_t array = row->oid == OID_VARCHAR ? OID_TEXT_ARRAY : row->array_oid;
        if (array == 0 || !bind_coerce(ctx, right, (struct sql_type){array, -1}, COERCION_IMPLICIT,
                                       node->location, &right, err))
            return false;
    }
    const struct type_row *row = type_find(right->type.oid);
    if (row == NULL || row->element_oid == 0)
        return BIND_FAIL(ctx, err, node->location, ERRCODE_WRONG_OBJECT_TYPE,
                         "op ANY/ALL (array) requires array on right side");
    struct expr *element = expr_column(ctx->arena, 0, (struct sql_type){row->element_oid, -1}), *call;
    if (!bind_operator(ctx, op, left, element, node->location, &call, err))
        return false;
    if (call->type.oid != OID_BOOL)
        return BIND_FAIL(ctx, err, node->location, ERRCODE_WRONG_OBJECT_TYPE,
                         "op ANY/ALL (array) requires operator to yield boolean");
    uint32_t wanted = call->args[1]->type.oid;
    if (wanted != row->element_oid) {
        const struct type_row *wanted_row = type_find(wanted);
        if (wanted_row->array_oid == 0 ||
            !bind_coerce(ctx, right, (struct sql_type){wanted_row->array_oid, -1}, COERCION_IMPLICIT,
                         node->location, &right, err))
            return false;
    }
    *out = pair_of(ctx, EXPR_ANY, bool_type, call->args[0], right, node->location);
    (*out)->function = call->function;
    (*out)->flag = is_all;
    return true;
}

static bool bind_between(struct binder *b, const PgQuery__AExpr *node, struct expr **out, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    const PgQuery__List *bounds = node->rexpr->list;
    struct expr *value, *low, *high;
    if (!bind_expr(b, node->lexpr, &value, err) || !bind_expr(b, bounds->items[0], &low, err) ||
        !bind_expr(b, bounds->items[1], &high, err))
        return false;
    bool is_not = node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN ||
                  node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM;
    bool symmetric = node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM ||
                     node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM;
    const char *low_op = is_not ? "<" : ">=", *high_op = is_not ? ">" : "<=";
    enum expr_kind inner = is_not ? EXPR_OR : EXPR_AND;
    struct expr *a, *c;
    if (!compare_or_operate(b, low_op, value, low, node->location, &a, err) ||
        !compare_or_operate(b, high_op, value, high, node->location, &c, err))
        return false;
    *out = pair_of(ctx, inner, bool_type, a, c, node->location);
    if (!symmetric)
        return true;
    if (!compare_or_operate(b, low_op, value, high, node->location, &a, err) ||
        !compare_or_operate(b, high_op, value, low, node->location, &c, err))
        return false;
    *out = pair_of(ctx, is_not ? EXPR_AND : EXPR_OR, bool_type, *out,
                   pair_of(ctx, inner, bool_type, a, c, node->location), node->location);
    return true;
}

static bool bind_nullif(struct binder *b, const PgQuery__AExpr *node, struct expr **out, struct error *err)
{
    struct expr *left, *right, *call;
    if (!bind_expr(b, node->lexpr, &left, err) || !bind_expr(b, node->rexpr, &right, err))
        return false;
    if (!comparison(b->ctx, "=", left, right, node->location, &call, err))
        return false;
    *out = node_of(b->ctx, EXPR_NULLIF, call->args[0]->type, call->args, 2, node->location);
    (*out)->function = call->function;
    return true;
}

/* x op (SELECT ...) of several columns: a row comparison with one row. */
static bool is_row_sublink(const PgQuery__Node *node)
{
    return node != NULL && node->node_case == PG_QUERY__NODE__NODE_SUB_LINK &&
           node->sub_link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK;
}

static bool bind_a_expr(struct binder *b, const PgQuery__AExpr *node, struct expr **out, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    switch (node->kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY:
        return bind_any_array(b, node, false, out, err);
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ALL:
        return bind_any_array(b, node, true, out, err);
    case PG_QUERY__A__EXPR__KIND__AEXPR_IN:
        return bind_in(b, node, out, err);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF:
        return bind_nullif(b, node, out, err);
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM:
        return bind_between(b, node, out, err);
    default:
        break;
    }
    const char *op = operator_name(ctx, node->n_name, node->name, node->location, err);
    if (op == NULL)
        return false;
    struct expr *left = NULL, *right;
    if (node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP && is_row_sublink(node->rexpr) &&
        node->lexpr != NULL && node->lexpr->node_case == PG_QUERY__NODE__NODE_ROW_EXPR) {
        PgQuery__SubLink link = *node->rexpr->sub_link;
        link.sub_link_type = PG_QUERY__SUB_LINK_TYPE__ROWCOMPARE_SUBLINK;
        link.testexpr = node->lexpr;
        link.n_oper_name = node->n_name;
        link.oper_name = node->name;
        return bind_sublink(b, &link, out, err);
    }
    if ((node_exists(node->lexpr) && !bind_expr(b, node->lexpr, &left, err)) ||
        !bind_expr(b, node->rexpr, &right, err))
        return false;
    if (node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT ||
        node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT)
        return bind_distinct(b, left, right, node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT,
                             node->location, out, err);
    return compare_or_operate(b, op, left, right, node->location, out, err);
}

/* ---- boolean ---- */

bool bind_condition(struct binder *b, const PgQuery__Node *node, const char *what, struct expr **out,
                    struct error *err)
{
    struct expr *expr;
    if (!bind_expr(b, node, &expr, err))
        return false;
    return bind_to_boolean(b->ctx, expr, what, node_location(node), out, err);
}

static bool bind_bool(struct binder *b, const PgQuery__BoolExpr *node, struct expr **out, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    const char *what = node->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR  ? "AND"
                       : node->boolop == PG_QUERY__BOOL_EXPR_TYPE__OR_EXPR ? "OR"
                                                                           : "NOT";
    struct expr **args = ARENA_ARRAY(ctx->arena, struct expr *, node->n_args);
    for (size_t i = 0; i < node->n_args; i++) {
        if (!bind_condition(b, node->args[i], what, &args[i], err))
            return false;
    }
    enum expr_kind kind = node->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR  ? EXPR_AND
                          : node->boolop == PG_QUERY__BOOL_EXPR_TYPE__OR_EXPR ? EXPR_OR
                                                                              : EXPR_NOT;
    *out = node_of(ctx, kind, bool_type, args, (uint32_t)node->n_args, node->location);
    return true;
}

static struct expr *null_test(struct planner_context *ctx, struct expr *arg, bool is_not, int32_t location)
{
    if (arg->kind != EXPR_ROW || arg->args_count == 0) {
        struct expr *test = bound_is_null(ctx->arena, arg, is_not);
        test->position = location + 1;
        return test;
    }
    /* A row IS NULL when all its fields are, IS NOT NULL when none is. */
    struct expr **parts = ARENA_ARRAY(ctx->arena, struct expr *, arg->args_count);
    for (uint32_t i = 0; i < arg->args_count; i++)
        parts[i] = bound_is_null(ctx->arena, arg->args[i], is_not);
    return bound_and_list(ctx->arena, parts, arg->args_count);
}

static bool bind_null_test(struct binder *b, const PgQuery__NullTest *node, struct expr **out,
                           struct error *err)
{
    struct expr *arg;
    bool is_not = node->nulltesttype == PG_QUERY__NULL_TEST_TYPE__IS_NOT_NULL;
    if (!bind_expr(b, node->arg, &arg, err) || !bind_known(b->ctx, arg, &arg, err))
        return false;
    if (arg->kind == EXPR_CASE && arg->type.oid == OID_RECORD && arg->args_count == 3 &&
        arg->args[2]->kind == EXPR_ROW)
        arg = arg->args[2]; /* the whole row of an outer join: NULL exactly when all columns are */
    *out = null_test(b->ctx, arg, is_not, node->location);
    return true;
}

static bool bind_boolean_test(struct binder *b, const PgQuery__BooleanTest *node, struct expr **out,
                              struct error *err)
{
    static const enum boolean_test tests[] = {
        0, TEST_TRUE, TEST_NOT_TRUE, TEST_FALSE, TEST_NOT_FALSE, TEST_UNKNOWN, TEST_NOT_UNKNOWN};
    static const char *const names[] = {
        "", "IS TRUE", "IS NOT TRUE", "IS FALSE", "IS NOT FALSE", "IS UNKNOWN", "IS NOT UNKNOWN"};
    if ((size_t)node->booltesttype >= ARRAY_COUNT(tests))
        return error_set(err, ERRCODE_INTERNAL_ERROR, "unknown boolean test");
    struct expr *arg;
    if (!bind_condition(b, node->arg, names[node->booltesttype], &arg, err))
        return false;
    *out = node_of(b->ctx, EXPR_BOOLEAN_TEST, bool_type, arena_copy(b->ctx->arena, &arg, sizeof(arg)), 1,
                   node->location);
    (*out)->test = tests[node->booltesttype];
    return true;
}

/* ---- CASE and its like ---- */

static bool bind_case(struct binder *b, const PgQuery__CaseExpr *node, struct expr **out, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    uint32_t whens = (uint32_t)node->n_args;
    struct expr **results = ARENA_ARRAY(ctx->arena, struct expr *, whens + 1);
    int32_t *locations = ARENA_ARRAY(ctx->arena, int32_t, whens + 1);
    struct expr **args = ARENA_ARRAY(ctx->arena, struct expr *, 2 * whens + 1);
    struct expr *operand = NULL;
    if (node_exists(node->arg) &&
        (!bind_expr(b, node->arg, &operand, err) || !bind_known(ctx, operand, &operand, err)))
        return false;
    for (uint32_t i = 0; i < whens; i++) {
        const PgQuery__CaseWhen *when = node->args[i]->case_when;
        struct expr *condition;
        if (!bind_expr(b, when->expr, &condition, err))
            return false;
        if (operand != NULL) {
            if (!compare_or_operate(b, "=", operand, condition, node_location(when->expr), &condition, err))
                return false;
        }
        if (!bind_to_boolean(ctx, condition, "CASE/WHEN", node_location(when->expr), &args[2 * i], err) ||
            !bind_expr(b, when->result, &results[i + 1], err))
            return false;
        locations[i + 1] = node_location(when->result);
    }
    if (node_exists(node->defresult)) {
        if (!bind_expr(b, node->defresult, &results[0], err))
            return false;
        locations[0] = node_location(node->defresult);
    } else {
        results[0] = bound_null(ctx->arena, (struct sql_type){OID_UNKNOWN, -1});
        locations[0] = node->location;
    }
    struct sql_type type;
    if (!bind_common_type(ctx, results, locations, whens + 1, "CASE", &type, err) ||
        !bind_coerce_all(ctx, results, locations, whens + 1, type, "CASE/WHEN", err))
        return false;
    for (uint32_t i = 0; i < whens; i++)
        args[2 * i + 1] = results[i + 1];
    args[2 * whens] = results[0];
    *out = node_of(ctx, EXPR_CASE, type, args, 2 * whens + 1, node->location);
    return true;
}

static bool bind_same_type(struct binder *b, enum expr_kind kind, const char *what, size_t count,
                           PgQuery__Node **nodes, int32_t location, struct expr **out, struct error *err)
{
    struct expr **args;
    int32_t *locations;
    struct sql_type type;
    if (!bind_list(b, count, nodes, &args, &locations, err) ||
        !bind_common_type(b->ctx, args, locations, (uint32_t)count, what, &type, err) ||
        !bind_coerce_all(b->ctx, args, locations, (uint32_t)count, type, what, err))
        return false;
    if (kind != EXPR_COALESCE && !type_has_order(type.oid))
        return BIND_FAIL(b->ctx, err, location, ERRCODE_UNDEFINED_FUNCTION,
                         "could not identify a comparison function for type %s", type_text(b->ctx, type));
    *out = count == 1 ? args[0] : node_of(b->ctx, kind, type, args, (uint32_t)count, location);
    return true;
}

/* ---- arrays, rows, casts ---- */

/* element: the array type a cast asks for (0: found from the elements). */
static bool bind_array(struct binder *b, const PgQuery__AArrayExpr *node, struct sql_type wanted,
                       struct expr **out, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    if (!bind_enter(ctx, err))
        return false;
    struct expr **args = ARENA_ARRAY(ctx->arena, struct expr *, node->n_elements);
    int32_t *locations = ARENA_ARRAY(ctx->arena, int32_t, node->n_elements);
    bool nested = false;
    for (size_t i = 0; i < node->n_elements; i++) {
        const PgQuery__Node *element = node->elements[i];
        locations[i] = node_location(element);
        bool is_array = element->node_case == PG_QUERY__NODE__NODE_A_ARRAY_EXPR;
        nested = nested || is_array;
        if (is_array ? !bind_array(b, element->a_array_expr, wanted, &args[i], err)
                     : !bind_expr(b, element, &args[i], err)) {
            bind_leave(ctx);
            return false;
        }
        nested = nested || (args[i]->type.oid != OID_UNKNOWN && type_is_array(args[i]->type.oid));
    }
    bind_leave(ctx);
    if (node->n_elements == 0 && wanted.oid == 0) {
        BIND_FAIL(ctx, err, node->location, ERRCODE_INDETERMINATE_DATATYPE,
                  "cannot determine type of empty array");
        return error_hint(err, "Explicitly cast to the desired type, for example ARRAY[]::integer[].");
    }
    struct sql_type type, element = wanted;
    if (wanted.oid != 0) {
        element.oid = nested ? wanted.oid : type_find(wanted.oid)->element_oid;
        for (size_t i = 0; i < node->n_elements; i++) {
            if (!bind_coerce(ctx, args[i], element, COERCION_EXPLICIT, locations[i], &args[i], err))
                return false;
        }
        type = (struct sql_type){wanted.oid, -1};
    } else {
        if (!bind_common_type(ctx, args, locations, (uint32_t)node->n_elements, "ARRAY", &element, err) ||
            !bind_coerce_all(ctx, args, locations, (uint32_t)node->n_elements, element, "ARRAY", err))
            return false;
        const struct type_row *row = type_find(element.oid);
        type = (struct sql_type){row->element_oid != 0 ? row->oid : row->array_oid, -1};
        if (type.oid == 0)
            return BIND_FAIL(ctx, err, node->location, ERRCODE_UNDEFINED_OBJECT,
                             "could not find array type for data type %s", type_text(ctx, element));
    }
    *out = node_of(ctx, EXPR_ARRAY, type, args, (uint32_t)node->n_elements, node->location);
    return true;
}

static bool bind_cast(struct binder *b, const PgQuery__TypeCast *node, struct expr **out, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    struct sql_type type;
    if (!bind_type_name(ctx, node->type_name, &type, err))
        return false;
    struct expr *arg;
    if (node->arg->node_case == PG_QUERY__NODE__NODE_A_ARRAY_EXPR && type_is_array(type.oid)) {
        if (!bind_array(b, node->arg->a_array_expr, type, &arg, err))
            return false;
    } else if (!bind_expr(b, node->arg, &arg, err)) {
        return false;
    }
    int32_t location = node->location >= 0 ? node->location : node->type_name->location;
    if (type.oid == OID_BPCHAR && type.typmod < 0 && arg->type.oid == OID_BPCHAR)
        type.typmod = arg->type.typmod;
    if (!bind_coerce(ctx, arg, type, COERCION_EXPLICIT, location, out, err))
        return false;
    if (*out == arg && arg->type.typmod >= 0 && type.typmod < 0) {
        /* x::numeric of a numeric(10,2) column is plain numeric */
        struct expr *copy = arena_copy(ctx->arena, arg, sizeof(*copy));
        if (arg->kind == EXPR_COLUMN || arg->kind == EXPR_OUTER || arg->kind == EXPR_TYPMOD) {
            copy = expr_new(ctx->arena, EXPR_CAST, type);
            copy->args = arena_copy(ctx->arena, &arg, sizeof(arg));
            copy->args_count = 1;
            copy->cast = CAST_RELABEL;
            copy->cast_is_explicit = true;
        }
        copy->type.typmod = -1;
        *out = copy;
    }
    return true;
}

static bool bind_row(struct binder *b, const PgQuery__RowExpr *node, struct expr **out, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    struct expr **args = NULL;
    uint32_t count = 0, cap = 0;
    for (size_t i = 0; i < node->n_args; i++) {
        const PgQuery__Node *arg = node->args[i];
        bool star =
            arg->node_case == PG_QUERY__NODE__NODE_COLUMN_REF &&
            arg->column_ref->fields[arg->column_ref->n_fields - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
        if (star) {
            struct expr **exprs;
            const char **names;
            uint32_t n;
            if (!bind_star(b, arg->column_ref, &exprs, &names, &n, err))
                return false;
            for (uint32_t k = 0; k < n; k++)
                ARENA_PUSH(ctx->arena, args, count, cap, exprs[k]);
            continue;
        }
        struct expr *expr;
        if (!bind_expr(b, arg, &expr, err))
            return false;
        ARENA_PUSH(ctx->arena, args, count, cap, expr);
    }
    *out = node_of(ctx, EXPR_ROW, (struct sql_type){OID_RECORD, -1}, args, count, node->location);
    return true;
}

/* A field of a record that came through a subquery: its type modifier names the function that made it. */
static bool bind_record_field(struct binder *b, struct expr *record, const char *field, struct expr **out)
{
    struct planner_context *ctx = b->ctx;
    const struct routine *routine = record->type.oid == OID_RECORD && record->type.typmod > 0
                                        ? routine_find_oid((uint32_t)record->type.typmod)
                                        : NULL;
    static const uint32_t arg_types[2] = {OID_RECORD, OID_INT4};
    const struct function_row *getter = function_find_exact("record_field", arg_types, 2);
    for (uint32_t i = 0; routine != NULL && getter != NULL && i < routine->signature->columns_count; i++) {
        if (strcmp(routine->signature->column_names[i], field) != 0)
            continue;
        struct expr **args = ARENA_ARRAY(ctx->arena, struct expr *, 2);
        args[0] = record;
        args[1] = expr_constant(ctx->arena, (struct sql_type){OID_INT4, -1}, datum_i32((int32_t)i));
        *out = expr_call(ctx->arena, getter, (struct sql_type){routine->signature->column_types[i], -1}, args,
                         2);
        return true;
    }
    return false;
}

/* (x).field where x is known to be a row of named columns. */
static bool bind_field(struct binder *b, const PgQuery__Node *arg, const char *field, struct expr **out,
                       bool *found, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    *found = true;
    if (arg->node_case == PG_QUERY__NODE__NODE_COLUMN_REF) {
        /* (t).column is t.column */
        PgQuery__ColumnRef ref = *arg->column_ref;
        PgQuery__String string = PG_QUERY__STRING__INIT;
        string.sval = (char *)field;
        PgQuery__Node name = PG_QUERY__NODE__INIT;
        name.node_case = PG_QUERY__NODE__NODE_STRING;
        name.string = &string;
        PgQuery__Node **fields = ARENA_ARRAY(ctx->arena, PgQuery__Node *, ref.n_fields + 1);
        memcpy(fields, ref.fields, sizeof(*fields) * ref.n_fields);
        fields[ref.n_fields++] = &name;
        ref.fields = fields;
        uint32_t levels_up;
        bool hidden;
        if (ref.n_fields == 2 &&
            scope_find_entry(b->scope, NULL, node_string(ref.fields[0]), &levels_up, &hidden) != NULL)
            return bind_column_ref(b, &ref, out, err);
        struct expr *record;
        if (!bind_column_ref(b, arg->column_ref, &record, err))
            return false;
        *found = bind_record_field(b, record, field, out);
        return true;
    }
    if (arg->node_case == PG_QUERY__NODE__NODE_FUNC_CALL) {
        struct expr *row;
        if (!bind_expr(b, arg, &row, err))
            return false;
        if (row->kind == EXPR_ROW && row->args_count > 0 && row->args[0]->kind == EXPR_SET) {
            const struct function_signature *signature = function_signature(row->args[0]->function);
            for (uint32_t i = 0; i < signature->columns_count; i++) {
                if (strcmp(signature->column_names[i], field) == 0) {
                    *out = row->args[i];
                    return true;
                }
            }
        }
    }
    *found = false;
    return true;
}

static bool bind_subscripts(struct binder *b, struct expr *array, PgQuery__Node **indirection, size_t count,
                            int32_t location, struct expr **out, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    const struct type_row *row = type_find(array->type.oid);
    if (row == NULL || row->element_oid == 0)
        return BIND_FAIL(ctx, err, location, ERRCODE_DATATYPE_MISMATCH,
                         "cannot subscript type %s because it does not support subscripting",
                         type_text(ctx, array->type));
    bool slice = false;
    for (size_t i = 0; i < count; i++)
        slice = slice || indirection[i]->a_indices->is_slice;
    struct expr **args = ARENA_ARRAY(ctx->arena, struct expr *, 1 + 2 * count);
    uint32_t args_count = 0;
    args[args_count++] = array;
    const struct sql_type int4 = {OID_INT4, -1};
    for (size_t i = 0; i < count; i++) {
        const PgQuery__AIndices *index = indirection[i]->a_indices;
        struct expr *lower = NULL, *upper = NULL;
        if (node_exists(index->lidx) &&
            (!bind_expr(b, index->lidx, &lower, err) ||
             !bind_coerce(ctx, lower, int4, COERCION_ASSIGNMENT, location, &lower, err)))
            return false;
        if (node_exists(index->uidx) &&
            (!bind_expr(b, index->uidx, &upper, err) ||
             !bind_coerce(ctx, upper, int4, COERCION_ASSIGNMENT, location, &upper, err)))
            return false;
        if (slice) {
            /* A plain index among slices means 1:index; a missing bound is the array's own. */
            if (index->is_slice && (lower == NULL || upper == NULL)) {
                struct resolved bound;
                struct expr *bound_args[2] = {array,
                                              expr_constant(ctx->arena, int4, datum_i32((int32_t)i + 1))};
                if (lower == NULL) {
                    if (!bind_function(ctx, "array_lower", bound_args, 2, false, location, &bound, err))
                        return false;
                    lower = expr_call(ctx->arena, bound.function, bound.result, bound.args, 2);
                }
                if (upper == NULL) {
                    if (!bind_function(ctx, "array_upper", bound_args, 2, false, location, &bound, err))
                        return false;
                    upper = expr_call(ctx->arena, bound.function, bound.result, bound.args, 2);
                }
            }
            args[args_count++] = lower != NULL ? lower : expr_constant(ctx->arena, int4, datum_i32(1));
        }
        args[args_count++] = upper;
    }
    struct sql_type type = {slice ? array->type.oid : row->element_oid, slice ? -1 : array->type.typmod};
    *out = node_of(ctx, EXPR_SUBSCRIPT, type, args, args_count, location);
    (*out)->flag = slice;
    return true;
}

static bool bind_indirection(struct binder *b, const PgQuery__AIndirection *node, struct expr **out,
                             struct error *err)
{
    struct planner_context *ctx = b->ctx;
    size_t next = 0;
    int32_t location = node_location(node->arg);
    struct expr *expr = NULL;
    if (node->indirection[0]->node_case == PG_QUERY__NODE__NODE_STRING) {
        bool found;
        if (!bind_field(b, node->arg, node_string(node->indirection[0]), &expr, &found, err))
            return false;
        if (!found)
            return BIND_FAIL(ctx, err, location, ERRCODE_FEATURE_NOT_SUPPORTED,
                             "field selection from this expression is not supported");
        next = 1;
    } else if (!bind_expr(b, node->arg, &expr, err)) {
        return false;
    }
    while (next < node->n_indirection) {
        if (node->indirection[next]->node_case != PG_QUERY__NODE__NODE_A_INDICES)
            return BIND_FAIL(ctx, err, location, ERRCODE_FEATURE_NOT_SUPPORTED,
                             "field selection from this expression is not supported");
        size_t count = 0;
        while (next + count < node->n_indirection &&
               node->indirection[next + count]->node_case == PG_QUERY__NODE__NODE_A_INDICES)
            count++;
        if (!bind_subscripts(b, expr, node->indirection + next, count, location, &expr, err))
            return false;
        next += count;
    }
    *out = expr;
    return true;
}

static bool bind_collate(struct binder *b, const PgQuery__CollateClause *node, struct expr **out,
                         struct error *err)
{
    const char *schema, *name;
    bool known = node_names_split(node->n_collname, node->collname, &schema, &name) &&
                 (schema == NULL || strcmp(schema, "pg_catalog") == 0) &&
                 (strcmp(name, "C") == 0 || strcmp(name, "POSIX") == 0 || strcmp(name, "default") == 0 ||
                  strcmp(name, "ucs_basic") == 0);
    if (!known)
        return BIND_FAIL(b->ctx, err, node->location, ERRCODE_UNDEFINED_OBJECT,
                         "collation \"%s\" for encoding \"UTF8\" does not exist",
                         node_names_text(b->ctx->arena, node->n_collname, node->collname));
    if (!bind_expr(b, node->arg, out, err))
        return false;
    if ((*out)->type.oid != OID_UNKNOWN && type_category((*out)->type.oid) != 'S' &&
        !(type_is_array((*out)->type.oid) && type_category(type_find((*out)->type.oid)->element_oid) == 'S'))
        return BIND_FAIL(b->ctx, err, node->location, ERRCODE_DATATYPE_MISMATCH,
                         "collations are not supported by type %s", type_text(b->ctx, (*out)->type));
    return true;
}

/* ---- CURRENT_DATE and its like ---- */

static const struct function_row *function_without_args(const char *name)
{
    return function_find_exact(name, NULL, 0);
}

bool bind_value_function(struct binder *b, const PgQuery__SQLValueFunction *node, struct expr **out,
                         struct error *err)
{
    struct planner_context *ctx = b->ctx;
    const char *name = node_value_function_name(node->op);
    const struct function_row *row = function_without_args(name);
    if (row == NULL && (strcmp(name, "current_role") == 0 || strcmp(name, "user") == 0))
        row = function_without_args("current_user");
    if (row == NULL && strcmp(name, "current_timestamp") == 0)
        row = function_without_args("now");
    if (row == NULL && strcmp(name, "current_catalog") == 0)
        row = function_without_args("current_database");
    if (row != NULL) {
        *out = expr_call(ctx->arena, row, (struct sql_type){function_signature(row)->result, -1}, NULL, 0);
        (*out)->position = node->location + 1;
    } else {
        /* The others are now() in the session's zone, as another type. */
        uint32_t type = strcmp(name, "current_date") == 0     ? OID_DATE
                        : strcmp(name, "localtimestamp") == 0 ? OID_TIMESTAMP
                        : strcmp(name, "localtime") == 0      ? OID_TIME
                                                              : 0;
        const struct function_row *now = function_without_args("now");
        if (type == 0 || now == NULL)
            return BIND_FAIL(ctx, err, node->location, ERRCODE_FEATURE_NOT_SUPPORTED, "%s is not supported",
                             name);
        struct expr *call = expr_call(ctx->arena, now, (struct sql_type){OID_TIMESTAMPTZ, -1}, NULL, 0);
        if (!bind_coerce(ctx, call, (struct sql_type){type, -1}, COERCION_EXPLICIT, node->location, out, err))
            return false;
    }
    bool has_precision = node->op == PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME_N ||
                         node->op == PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP_N ||
                         node->op == PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME_N ||
                         node->op == PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP_N;
    if (!has_precision)
        return true;
    struct sql_type type = {(*out)->type.oid, -1};
    if (!type_typmod(type.oid, &node->typmod, 1, &type.typmod, err))
        return error_at(err, planner_position(ctx, node->location));
    return bind_coerce(ctx, *out, type, COERCION_EXPLICIT, node->location, out, err);
}

static bool bind_grouping_call(struct binder *b, const PgQuery__GroupingFunc *node, struct expr **out,
                               struct error *err)
{
    struct expr **args;
    if (b->place != PLACE_SELECT && b->place != PLACE_HAVING && b->place != PLACE_ORDER_BY &&
        b->place != PLACE_DISTINCT_ON)
        return BIND_FAIL(b->ctx, err, node->location, ERRCODE_GROUPING_ERROR,
                         "grouping operations are not allowed in %s",
                         b->place == PLACE_WHERE ? "WHERE" : "this clause");
    if (node->n_args > 31)
        return BIND_FAIL(b->ctx, err, node->location, ERRCODE_TOO_MANY_ARGUMENTS,
                         "GROUPING must have fewer than 32 arguments");
    if (!bind_list(b, node->n_args, node->args, &args, NULL, err))
        return false;
    *out = node_of(b->ctx, EXPR_GROUPING, (struct sql_type){OID_INT4, -1}, args, (uint32_t)node->n_args,
                   node->location);
    return true;
}

static bool bind_node(struct binder *b, const PgQuery__Node *node, struct expr **out, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    bool ok;
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return bind_column_ref(b, node->column_ref, out, err);
    case PG_QUERY__NODE__NODE_A_CONST:
        return bind_constant(b, node->a_const, out, err);
    case PG_QUERY__NODE__NODE_PARAM_REF:
        return bind_param(b, node->param_ref, out, err);
    case PG_QUERY__NODE__NODE_A_EXPR:
        return bind_a_expr(b, node->a_expr, out, err);
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
        return bind_bool(b, node->bool_expr, out, err);
    case PG_QUERY__NODE__NODE_NULL_TEST:
        return bind_null_test(b, node->null_test, out, err);
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
        return bind_boolean_test(b, node->boolean_test, out, err);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return bind_func_call(b, node->func_call, out, err);
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return bind_cast(b, node->type_cast, out, err);
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        return bind_collate(b, node->collate_clause, out, err);
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        b->in_conditional++;
        ok = bind_case(b, node->case_expr, out, err);
        b->in_conditional--;
        return ok;
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        b->in_conditional++;
        ok = bind_same_type(b, EXPR_COALESCE, "COALESCE", node->coalesce_expr->n_args,
                            node->coalesce_expr->args, node->coalesce_expr->location, out, err);
        b->in_conditional--;
        return ok;
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR: {
        bool least = node->min_max_expr->op == PG_QUERY__MIN_MAX_OP__IS_LEAST;
        return bind_same_type(b, least ? EXPR_LEAST : EXPR_GREATEST, least ? "LEAST" : "GREATEST",
                              node->min_max_expr->n_args, node->min_max_expr->args,
                              node->min_max_expr->location, out, err);
    }
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
        return bind_array(b, node->a_array_expr, (struct sql_type){0, -1}, out, err);
    case PG_QUERY__NODE__NODE_ROW_EXPR:
        return bind_row(b, node->row_expr, out, err);
    case PG_QUERY__NODE__NODE_A_INDIRECTION:
        return bind_indirection(b, node->a_indirection, out, err);
    case PG_QUERY__NODE__NODE_SUB_LINK:
        return bind_sublink(b, node->sub_link, out, err);
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        return bind_value_function(b, node->sqlvalue_function, out, err);
    case PG_QUERY__NODE__NODE_GROUPING_FUNC:
        return bind_grouping_call(b, node->grouping_func, out, err);
    case PG_QUERY__NODE__NODE_SET_TO_DEFAULT:
        return BIND_FAIL(ctx, err, node->set_to_default->location, ERRCODE_SYNTAX_ERROR,
                         "DEFAULT is not allowed in this context");
    case PG_QUERY__NODE__NODE_NAMED_ARG_EXPR:
        return BIND_FAIL(ctx, err, node->named_arg_expr->location, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "named arguments are not supported here");
    case PG_QUERY__NODE__NODE_LIST:
        if (node->list->n_items == 1)
            return bind_expr(b, node->list->items[0], out, err);
        break;
    default:
        break;
    }
    return BIND_FAIL(ctx, err, node_location(node), ERRCODE_FEATURE_NOT_SUPPORTED,
                     "this kind of expression is not supported");
}

bool bind_expr(struct binder *b, const PgQuery__Node *node, struct expr **out, struct error *err)
{
    if (!node_exists(node))
        return error_set(err, ERRCODE_SYNTAX_ERROR, "missing expression");
    if (!bind_enter(b->ctx, err))
        return false;
    bool ok = bind_node(b, node, out, err);
    bind_leave(b->ctx);
    return ok;
}
