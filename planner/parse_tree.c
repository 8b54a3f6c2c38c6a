/* parse_tree.c: see parse_tree.h. */
#include "planner/parse_tree.h"

const char *node_string(const PgQuery__Node *node)
{
    if (node != NULL && node->node_case == PG_QUERY__NODE__NODE_STRING)
        return node->string->sval;
    return "";
}

bool node_exists(const PgQuery__Node *node)
{
    return node != NULL && node->node_case != PG_QUERY__NODE__NODE__NOT_SET;
}

const char *node_names_text(struct arena *arena, size_t count, PgQuery__Node *const *names)
{
    const char *text = "";
    for (size_t i = 0; i < count; i++)
        text = i == 0 ? node_string(names[i]) : arena_printf(arena, "%s.%s", text, node_string(names[i]));
    return text;
}

bool node_names_split(size_t count, PgQuery__Node *const *names, const char **schema, const char **name)
{
    *schema = NULL;
    if (count == 0 || count > 3)
        return false;
    *name = node_string(names[count - 1]);
    if (count >= 2)
        *schema = node_string(names[count - 2]);
    return true;
}

/* The leftmost of a location and a child's. */
static int32_t leftmost(int32_t a, int32_t b)
{
    if (a < 0)
        return b;
    return b < 0 || a < b ? a : b;
}

int32_t node_location(const PgQuery__Node *node)
{
    if (node == NULL)
        return -1;
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return node->column_ref->location;
    case PG_QUERY__NODE__NODE_PARAM_REF:
        return node->param_ref->location;
    case PG_QUERY__NODE__NODE_A_CONST:
        return node->a_const->location;
    case PG_QUERY__NODE__NODE_A_EXPR:
        return leftmost(node->a_expr->location, node_location(node->a_expr->lexpr));
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return node->func_call->location;
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return leftmost(node_location(node->type_cast->arg),
                        leftmost(node->type_cast->location, node->type_cast->type_name != NULL
                                                                ? node->type_cast->type_name->location
                                                                : -1));
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        return node_location(node->collate_clause->arg);
    case PG_QUERY__NODE__NODE_A_INDIRECTION:
        return node_location(node->a_indirection->arg);
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
        return node->a_array_expr->location;
    case PG_QUERY__NODE__NODE_RES_TARGET:
        return node->res_target->location >= 0 ? node->res_target->location
                                               : node_location(node->res_target->val);
    case PG_QUERY__NODE__NODE_SORT_BY:
        return node_location(node->sort_by->node);
    case PG_QUERY__NODE__NODE_SUB_LINK:
        return leftmost(node_location(node->sub_link->testexpr), node->sub_link->location);
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        return node->case_expr->location;
    case PG_QUERY__NODE__NODE_CASE_WHEN:
        return node->case_when->location;
    case PG_QUERY__NODE__NODE_ROW_EXPR:
        return node->row_expr->location;
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return node->coalesce_expr->location;
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        return node->min_max_expr->location;
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        return node->sqlvalue_function->location;
    case PG_QUERY__NODE__NODE_NULL_TEST:
        return leftmost(node->null_test->location, node_location(node->null_test->arg));
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
        return leftmost(node->boolean_test->location, node_location(node->boolean_test->arg));
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
        return leftmost(node->bool_expr->location,
                        node->bool_expr->n_args > 0 ? node_location(node->bool_expr->args[0]) : -1);
    case PG_QUERY__NODE__NODE_GROUPING_FUNC:
        return node->grouping_func->location;
    case PG_QUERY__NODE__NODE_NAMED_ARG_EXPR:
        return node->named_arg_expr->location;
    case PG_QUERY__NODE__NODE_SET_TO_DEFAULT:
        return node->set_to_default->location;
    case PG_QUERY__NODE__NODE_GROUPING_SET:
        return node->grouping_set->location;
    case PG_QUERY__NODE__NODE_LIST:
        return node->list->n_items > 0 ? node_location(node->list->items[0]) : -1;
    case PG_QUERY__NODE__NODE_XML_EXPR:
        return node->xml_expr->location;
    case PG_QUERY__NODE__NODE_RANGE_VAR:
        return node->range_var->location;
    default:
        return -1;
    }
}

bool node_integer(const PgQuery__Node *node, int64_t *value)
{
    if (node == NULL || node->node_case != PG_QUERY__NODE__NODE_A_CONST || node->a_const->isnull ||
        node->a_const->val_case != PG_QUERY__A__CONST__VAL_IVAL)
        return false;
    *value = node->a_const->ival->ival;
    return true;
}

bool node_is_null_constant(const PgQuery__Node *node)
{
    return node != NULL && node->node_case == PG_QUERY__NODE__NODE_A_CONST && node->a_const->isnull;
}

const char *node_simple_column(const PgQuery__Node *node)
{
    if (node == NULL || node->node_case != PG_QUERY__NODE__NODE_COLUMN_REF ||
        node->column_ref->n_fields != 1 ||
        node->column_ref->fields[0]->node_case != PG_QUERY__NODE__NODE_STRING)
        return NULL;
    return node_string(node->column_ref->fields[0]);
}

const char *node_value_function_name(PgQuery__SQLValueFunctionOp op)
{
    switch (op) {
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE:
        return "current_date";
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME_N:
        return "current_time";
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP_N:
        return "current_timestamp";
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME_N:
        return "localtime";
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP_N:
        return "localtimestamp";
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_ROLE:
        return "current_role";
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_USER:
        return "current_user";
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_USER:
        return "user";
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_SESSION_USER:
        return "session_user";
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_CATALOG:
        return "current_catalog";
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_SCHEMA:
        return "current_schema";
    default:
        return "?column?";
    }
}

/* Strength of a name: a function's or column's name beats a cast's type name, which beats nothing. */
static int figure_name(const PgQuery__Node *node, const char **name)
{
    if (node == NULL)
        return 0;
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF: {
        const char *last = NULL;
        for (size_t i = 0; i < node->column_ref->n_fields; i++) {
            if (node->column_ref->fields[i]->node_case == PG_QUERY__NODE__NODE_STRING)
                last = node_string(node->column_ref->fields[i]);
        }
        if (last == NULL)
            return 0;
        *name = last;
        return 2;
    }
    case PG_QUERY__NODE__NODE_A_INDIRECTION: {
        const char *last = NULL;
        for (size_t i = 0; i < node->a_indirection->n_indirection; i++) {
            if (node->a_indirection->indirection[i]->node_case == PG_QUERY__NODE__NODE_STRING)
                last = node_string(node->a_indirection->indirection[i]);
        }
        if (last != NULL) {
            *name = last;
            return 2;
        }
        return figure_name(node->a_indirection->arg, name);
    }
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        *name = node_string(node->func_call->funcname[node->func_call->n_funcname - 1]);
        return 2;
    case PG_QUERY__NODE__NODE_A_EXPR:
        if (node->a_expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF) {
            *name = "nullif";
            return 2;
        }
        return 0;
    case PG_QUERY__NODE__NODE_TYPE_CAST: {
        int strength = figure_name(node->type_cast->arg, name);
        const PgQuery__TypeName *type = node->type_cast->type_name;
        if (strength <= 1 && type != NULL && type->n_names > 0) {
            *name = node_string(type->names[type->n_names - 1]);
            return 1;
        }
        return strength;
    }
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        return figure_name(node->collate_clause->arg, name);
    case PG_QUERY__NODE__NODE_GROUPING_FUNC:
        *name = "grouping";
        return 2;
    case PG_QUERY__NODE__NODE_SUB_LINK:
        switch (node->sub_link->sub_link_type) {
        case PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK:
            *name = "exists";
            return 2;
        case PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK:
            *name = "array";
            return 2;
        case PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK: {
            const PgQuery__Node *query = node->sub_link->subselect;
            if (query == NULL || query->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
                return 0;
            const PgQuery__SelectStmt *select = query->select_stmt;
            while (select->op != PG_QUERY__SET_OPERATION__SETOP_NONE && select->larg != NULL)
                select = select->larg;
            if (select->n_target_list == 0)
                return 0;
            const PgQuery__ResTarget *target = select->target_list[0]->res_target;
            if (target->name[0] != '\0') {
                *name = target->name;
                return 2;
            }
            return figure_name(target->val, name);
        }
        default:
            return 0;
        }
    case PG_QUERY__NODE__NODE_CASE_EXPR: {
        int strength = figure_name(node->case_expr->defresult, name);
        if (strength <= 1) {
            *name = "case";
            return 1;
        }
        return strength;
    }
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
        *name = "array";
        return 2;
    case PG_QUERY__NODE__NODE_ROW_EXPR:
        *name = "row";
        return 2;
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        *name = "coalesce";
        return 2;
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        *name = node->min_max_expr->op == PG_QUERY__MIN_MAX_OP__IS_LEAST ? "least" : "greatest";
        return 2;
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        *name = node_value_function_name(node->sqlvalue_function->op);
        return 2;
    default:
        return 0;
    }
}

const char *node_column_name(const PgQuery__Node *node)
{
    const char *name = "?column?";
    figure_name(node, &name);
    return name;
}
