/* bind_dml.c: see bind_dml.h.
 *
 * Literals of unknown type and parameters that are stored in a column take that column's type: VALUES cells
 * are bound to it one by one, in SELECT lists they are wrapped in a cast to it. Whatever arrives is then
 * converted by assignment rules. */
#include "planner/bind_dml.h"

#include "planner/ddl.h"
#include "planner/node_build.h"
#include "planner/parse_tree.h"
#include "planner/statement.h"

#include <string.h>

#define CELLS_PER_PROGRAM 256u

struct assignment {
    uint32_t column;
    const PgQuery__Node *value; /* SetToDefault: the default */
    int32_t location;
};

static bool fail_at(struct planner_context *ctx, int32_t location, struct error *err)
{
    return error_at(err, planner_position(ctx, location));
}

static bool is_default(const PgQuery__Node *node)
{
    return node->node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT;
}

/* A literal or parameter whose type the column decides. */
static bool takes_type(const PgQuery__Node *node)
{
    if (node->node_case == PG_QUERY__NODE__NODE_PARAM_REF)
        return true;
    return node->node_case == PG_QUERY__NODE__NODE_A_CONST &&
           (node->a_const->isnull || node->a_const->val_case == PG_QUERY__A__CONST__VAL_SVAL);
}

/* A value for a column: converted by assignment rules, errors name the column. */
static bool bind_cell(struct planner_context *ctx, const PgQuery__Node *node,
                      const struct scope_relation *relations, uint32_t relations_count,
                      const struct catalog_column *column, const char *what, struct expr **out,
                      struct error *err)
{
    struct sql_type any = {.oid = 0, .typmod = -1};
    if (takes_type(node))
        return planner_expression(ctx, node, relations, relations_count, column->type, what, out, err);
    return planner_expression(ctx, node, relations, relations_count, any, what, out, err) &&
           planner_assign(ctx, *out, column->type, column->name, out, err);
}

static PgQuery__Node *with_type(struct planner_context *ctx, const PgQuery__Node *node, uint32_t type_oid)
{
    PgQuery__Node *same = (PgQuery__Node *)node;
    return takes_type(node) ? node_new_cast(ctx->arena, same, type_oid) : same;
}

/* ---- the target ---- */

bool bind_target_role(const struct catalog_object *target, enum dml_kind kind, struct error *err)
{
    if (target->role == CATALOG_ROLE_PROGRESS) {
        error_set(err, ERRCODE_WRONG_OBJECT_TYPE, "cannot change \"%s\": its rows are a source's offsets",
                  target->name);
        return error_hint(err, "They change with the rows of the source, and with nothing else.");
    }
    if (target->role == CATALOG_ROLE_ERRORS && (kind == DML_INSERT || kind == DML_UPDATE)) {
        error_set(err, ERRCODE_WRONG_OBJECT_TYPE, "cannot %s \"%s\": its rows are records a source rejected",
                  kind == DML_INSERT ? "insert into" : "update", target->name);
        return error_hint(err,
                          "Insert what was repaired into the source's own relation, and delete it here.");
    }
    return true;
}

static bool find_target(struct planner_context *ctx, const PgQuery__RangeVar *name, enum dml_kind kind,
                        struct catalog_object **out, struct error *err)
{
    static const char *const verbs[] = {"insert into", "update", "delete from", "truncate"};
    if (!planner_relation(ctx, name, out, err))
        return false;
    const struct catalog_object *object = *out;
    if (!bind_target_role(object, kind, err))
        return fail_at(ctx, name->location, err);
    switch (object->kind) {
    case CATALOG_TABLE:
        return true;
    case CATALOG_STREAM:
        if (kind == DML_INSERT)
            return true;
        error_set(err, ERRCODE_WRONG_OBJECT_TYPE, "cannot %s stream \"%s\"", verbs[kind], object->name);
        error_detail(err, "Streams are append-only.");
        error_hint(err, "Use CREATE TABLE for rows that change.");
        break;
    case CATALOG_VIEW:
    case CATALOG_SYSTEM_VIEW:
        error_set(err, ERRCODE_WRONG_OBJECT_TYPE, "cannot %s view \"%s\"", verbs[kind], object->name);
        break;
    case CATALOG_MATERIALIZED_VIEW:
        error_set(err, ERRCODE_WRONG_OBJECT_TYPE, "cannot change materialized view \"%s\"", object->name);
        error_hint(err, "Change the tables it reads; the view follows.");
        break;
    case CATALOG_EXTERNAL_TABLE:
        error_set(err, ERRCODE_WRONG_OBJECT_TYPE, "cannot %s external table \"%s\"", verbs[kind],
                  object->name);
        error_hint(err, "Its rows are changed in the external database.");
        break;
    case CATALOG_SEQUENCE:
        error_set(err, ERRCODE_WRONG_OBJECT_TYPE, "cannot change sequence \"%s\"", object->name);
        break;
    case CATALOG_INDEX:
        error_set(err, ERRCODE_WRONG_OBJECT_TYPE, "\"%s\" is an index", object->name);
        break;
    case CATALOG_SINK:
        error_set(err, ERRCODE_WRONG_OBJECT_TYPE, "cannot change sink \"%s\"", object->name);
        break;
    }
    return fail_at(ctx, name->location, err);
}

static bool target_column(struct planner_context *ctx, const struct catalog_object *target,
                          const PgQuery__ResTarget *name, uint32_t *out, struct error *err)
{
    if (name->n_indirection > 0) {
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                  "assignment to elements of column \"%s\" is not supported", name->name);
        error_hint(err, "Assign the whole value.");
        return fail_at(ctx, name->location, err);
    }
    for (uint32_t i = 0; i < target->columns_count; i++) {
        if (strcmp(target->columns[i].name, name->name) == 0) {
            *out = i;
            return true;
        }
    }
    error_set(err, ERRCODE_UNDEFINED_COLUMN, "column \"%s\" of relation \"%s\" does not exist", name->name,
              target->name);
    return fail_at(ctx, name->location, err);
}

/* A stored expression (default, check, generated); its locations mean nothing in the statement. */
static bool bind_stored(struct planner_context *ctx, const char *sql, const struct catalog_object *row,
                        struct sql_type type, const char *what, struct expr **out, struct error *err)
{
    PgQuery__Node *node;
    if (!statement_parse_expression(ctx->arena, sql, &node, err))
        return false;
    struct scope_relation self = {.alias = row != NULL ? row->name : NULL, .object = row};
    const char *sql_before = ctx->sql;
    ctx->sql = "";
    bool ok = planner_expression(ctx, node, &self, row != NULL ? 1 : 0, type, what, out, err);
    ctx->sql = sql_before;
    return ok ? true : error_at(err, 0);
}

bool bind_column_default(struct planner_context *ctx, const struct catalog_object *target, uint32_t column,
                         struct expr **out, struct error *err)
{
    const struct catalog_column *definition = &target->columns[column];
    if (definition->default_sql != NULL && definition->generated_sql == NULL)
        return bind_stored(ctx, definition->default_sql, NULL, definition->type, "DEFAULT expressions", out,
                           err);
    *out = expr_constant(ctx->arena, definition->type, datum_null());
    return true;
}

static bool refuse_value(struct planner_context *ctx, const struct catalog_column *column, bool is_update,
                         int32_t location, struct error *err)
{
    if (is_update)
        error_set(err, ERRCODE_GENERATED_ALWAYS, "column \"%s\" can only be updated to DEFAULT",
                  column->name);
    else
        error_set(err, ERRCODE_GENERATED_ALWAYS, "cannot insert a non-DEFAULT value into column \"%s\"",
                  column->name);
    if (column->generated_sql != NULL) {
        error_detail(err, "Column \"%s\" is a generated column.", column->name);
    } else {
        error_detail(err, "Column \"%s\" is an identity column defined as GENERATED ALWAYS.", column->name);
        if (!is_update)
            error_hint(err, "Use OVERRIDING SYSTEM VALUE to override.");
    }
    return fail_at(ctx, location, err);
}

/* ---- keys ---- */

static void bind_keys(struct planner_context *ctx, struct dml_plan *plan)
{
    uint32_t count, cap = 0;
    const uint32_t *oids = catalog_dependents(ctx->catalog, plan->target->oid, ctx->arena, &count);
    for (int primary = 1; primary >= 0; primary--) {
        for (uint32_t i = 0; i < count; i++) {
            const struct catalog_object *index = catalog_find_oid(ctx->catalog, oids[i]);
            if (index->kind != CATALOG_INDEX || !index->index_is_unique ||
                index->index_is_primary != primary || (!primary && index->index_number < 0))
                continue;
            struct dml_key key = {
                index->oid, arena_strdup(ctx->arena, index->name), index->index_columns_count,
                arena_copy(ctx->arena, index->index_columns, sizeof(uint32_t) * index->index_columns_count),
                primary ? -1 : index->index_number};
            ARENA_PUSH(ctx->arena, plan->keys, plan->keys_count, cap, key);
        }
    }
}

/* ---- programs over the target's row ---- */

static bool bind_row_programs(struct planner_context *ctx, struct dml_plan *plan, struct error *err)
{
    const struct catalog_object *target = plan->target;
    bind_keys(ctx, plan);
    struct expr **generated = ARENA_ARRAY(ctx->arena, struct expr *, target->columns_count);
    plan->generated_columns = ARENA_ARRAY(ctx->arena, uint32_t, target->columns_count);
    struct sql_type any = {.oid = 0, .typmod = -1};
    for (uint32_t i = 0; i < target->columns_count; i++) {
        const struct catalog_column *column = &target->columns[i];
        if (column->generated_sql == NULL)
            continue;
        struct expr *expr;
        if (!bind_stored(ctx, column->generated_sql, target, any, "column generation expressions", &expr,
                         err) ||
            !planner_assign(ctx, expr, column->type, column->name, &expr, err))
            return false;
        generated[plan->generated_count] = expr;
        plan->generated_columns[plan->generated_count++] = i;
    }
    if (plan->generated_count > 0 && !expr_compile(ctx->arena, (const struct expr *const *)generated,
                                                   plan->generated_count, &plan->generated, err))
        return false;
    struct expr **checks = ARENA_ARRAY(ctx->arena, struct expr *, target->constraints_count);
    plan->check_names = ARENA_ARRAY(ctx->arena, const char *, target->constraints_count);
    struct sql_type boolean = {.oid = OID_BOOL, .typmod = -1};
    for (uint32_t i = 0; i < target->constraints_count; i++) {
        const struct catalog_constraint *constraint = &target->constraints[i];
        if (constraint->kind != CONSTRAINT_CHECK)
            continue;
        if (!bind_stored(ctx, constraint->check_sql, target, boolean, "check constraints",
                         &checks[plan->checks_count], err))
            return false;
        plan->check_names[plan->checks_count++] = constraint->name;
    }
    return plan->checks_count == 0 || expr_compile(ctx->arena, (const struct expr *const *)checks,
                                                   plan->checks_count, &plan->checks, err);
}

/* columns[i] of the target comes from expression values[i] over the source's row (NULL: its default). */
static bool bind_to_row(struct planner_context *ctx, struct dml_plan *plan, struct expr **row,
                        uint32_t source_columns, struct error *err)
{
    uint32_t count = plan->target->columns_count;
    plan->to_row_is_identity = source_columns == count;
    for (uint32_t i = 0; i < count; i++)
        plan->to_row_is_identity &= row[i]->kind == EXPR_COLUMN && row[i]->index == i;
    return plan->to_row_is_identity ||
           expr_compile(ctx->arena, (const struct expr *const *)row, count, &plan->to_row, err);
}

static bool bind_returning(struct planner_context *ctx, struct dml_plan *plan, size_t count,
                           PgQuery__Node **nodes, const struct scope_relation *relations,
                           uint32_t relations_count, struct error *err)
{
    if (count == 0)
        return true;
    struct expr **exprs;
    if (!planner_target_list(ctx, count, nodes, relations, relations_count, &exprs, &plan->returning_names,
                             &plan->returning_count, err))
        return false;
    plan->returning_types = ARENA_ARRAY(ctx->arena, struct sql_type, plan->returning_count);
    for (uint32_t i = 0; i < plan->returning_count; i++)
        plan->returning_types[i] = exprs[i]->type;
    return expr_compile(ctx->arena, (const struct expr *const *)exprs, plan->returning_count,
                        &plan->returning, err);
}

static const char *target_alias(const PgQuery__RangeVar *name)
{
    return name->alias != NULL ? name->alias->aliasname : name->relname;
}

/* ---- INSERT ---- */

static bool insert_columns(struct planner_context *ctx, const PgQuery__InsertStmt *node,
                           const struct catalog_object *target, uint32_t **out, uint32_t *out_count,
                           struct error *err)
{
    uint32_t count = node->n_cols > 0 ? (uint32_t)node->n_cols : target->columns_count;
    uint32_t *columns = ARENA_ARRAY(ctx->arena, uint32_t, count);
    for (uint32_t i = 0; i < count; i++) {
        if (node->n_cols == 0) {
            columns[i] = i;
            continue;
        }
        const PgQuery__ResTarget *name = node->cols[i]->res_target;
        if (!target_column(ctx, target, name, &columns[i], err))
            return false;
        for (uint32_t j = 0; j < i; j++) {
            if (columns[j] == columns[i]) {
                error_set(err, ERRCODE_DUPLICATE_COLUMN, "column \"%s\" specified more than once",
                          name->name);
                return fail_at(ctx, name->location, err);
            }
        }
    }
    *out = columns;
    *out_count = count;
    return true;
}

static bool count_mismatch(struct planner_context *ctx, const PgQuery__InsertStmt *node, uint32_t given,
                           uint32_t columns, int32_t location, struct error *err)
{
    if (given > columns) {
        error_set(err, ERRCODE_SYNTAX_ERROR, "INSERT has more expressions than target columns");
        return fail_at(ctx, location, err);
    }
    if (given < columns && node->n_cols > 0) {
        error_set(err, ERRCODE_SYNTAX_ERROR, "INSERT has more target columns than expressions");
        return fail_at(ctx, node->cols[given]->res_target->location, err);
    }
    return true;
}

/* May the statement give this column a value? *use_default: it is to be ignored (OVERRIDING USER VALUE). */
static bool may_insert(struct planner_context *ctx, const PgQuery__InsertStmt *node,
                       const struct catalog_column *column, int32_t location, bool *use_default,
                       struct error *err)
{
    *use_default = false;
    if (column->generated_sql != NULL)
        return refuse_value(ctx, column, false, location, err);
    if (column->identity != 0 && node->override == PG_QUERY__OVERRIDING_KIND__OVERRIDING_USER_VALUE)
        *use_default = true;
    else if (column->identity == 'a' && node->override != PG_QUERY__OVERRIDING_KIND__OVERRIDING_SYSTEM_VALUE)
        return refuse_value(ctx, column, false, location, err);
    return true;
}

static struct expr *fold(struct planner_context *ctx, struct expr *expr)
{
    struct datum value;
    struct error ignored;
    if (expr->kind == EXPR_CONSTANT || !expr_is_immutable(expr) ||
        !expr_eval_constant(expr, ctx->env, ctx->arena, &value, &ignored))
        return expr; /* an error shows when it is run */
    return expr_constant(ctx->arena, expr->type, value);
}

static bool compile_cells(struct planner_context *ctx, struct dml_values *values, struct error *err)
{
    uint32_t cells = values->rows_count * values->columns_count, cap = 0, programs_cap = 0;
    for (uint32_t i = 0; i < cells; i++)
        if (values->cells[i]->kind != EXPR_CONSTANT && values->cells[i]->kind != EXPR_PARAM)
            ARENA_PUSH(ctx->arena, values->computed, values->computed_count, cap, i);
    for (uint32_t first = 0; first < values->computed_count; first += CELLS_PER_PROGRAM) {
        uint32_t left = values->computed_count - first;
        struct dml_cells piece = {.first = first,
                                  .count = left < CELLS_PER_PROGRAM ? left : CELLS_PER_PROGRAM};
        const struct expr **exprs = ARENA_ARRAY(ctx->arena, const struct expr *, piece.count);
        for (uint32_t i = 0; i < piece.count; i++)
            exprs[i] = values->cells[values->computed[first + i]];
        if (!expr_compile(ctx->arena, exprs, piece.count, &piece.program, err))
            return false;
        ARENA_PUSH(ctx->arena, values->programs, values->programs_count, programs_cap, piece);
    }
    return true;
}

/* VALUES (...), (...) whose cells hold no subquery. */
static bool bind_values_cells(struct planner_context *ctx, const PgQuery__InsertStmt *node,
                              const PgQuery__SelectStmt *select, struct dml_plan *plan,
                              const uint32_t *columns, uint32_t columns_count, uint32_t *given,
                              struct error *err)
{
    const struct catalog_object *target = plan->target;
    struct dml_values *values = ARENA_NEW(ctx->arena, struct dml_values);
    values->rows_count = (uint32_t)select->n_values_lists;
    for (uint32_t r = 0; r < values->rows_count; r++) {
        const PgQuery__List *list = select->values_lists[r]->list;
        if (r == 0) {
            values->columns_count = *given = (uint32_t)list->n_items;
            int32_t location = *given > columns_count ? node_location(list->items[columns_count]) : -1;
            if (!count_mismatch(ctx, node, *given, columns_count, location, err))
                return false;
            values->cells = ARENA_ARRAY(ctx->arena, struct expr *, (size_t)values->rows_count * *given);
        } else if (list->n_items != *given) {
            error_set(err, ERRCODE_SYNTAX_ERROR, "VALUES lists must all be the same length");
            return fail_at(ctx, list->n_items > 0 ? node_location(list->items[0]) : -1, err);
        }
        for (uint32_t c = 0; c < *given; c++) {
            const struct catalog_column *column = &target->columns[columns[c]];
            const PgQuery__Node *item = list->items[c];
            struct expr **cell = &values->cells[(size_t)r * *given + c];
            bool use_default = is_default(item);
            if (!use_default && !may_insert(ctx, node, column, node_location(item), &use_default, err))
                return false;
            bool ok = use_default ? bind_column_default(ctx, target, columns[c], cell, err)
                                  : bind_cell(ctx, item, NULL, 0, column, "VALUES", cell, err);
            if (!ok)
                return false;
            *cell = fold(ctx, *cell);
        }
    }
    plan->values = values;
    return compile_cells(ctx, values, err);
}

/* The SELECT with its untyped literals cast to the columns they go to, and the INSERT's WITH. */
static bool typed_select(struct planner_context *ctx, const PgQuery__InsertStmt *node,
                         const PgQuery__SelectStmt *select, const struct catalog_object *target,
                         const uint32_t *columns, uint32_t columns_count, PgQuery__SelectStmt **out,
                         struct error *err)
{
    PgQuery__SelectStmt *copy = ARENA_NEW(ctx->arena, PgQuery__SelectStmt);
    *copy = *select;
    if (select->n_values_lists > 0) {
        copy->values_lists = ARENA_ARRAY(ctx->arena, PgQuery__Node *, select->n_values_lists);
        for (size_t r = 0; r < select->n_values_lists; r++) {
            const PgQuery__List *list = select->values_lists[r]->list;
            PgQuery__List *typed = ARENA_NEW(ctx->arena, PgQuery__List);
            *typed = *list;
            typed->items = ARENA_ARRAY(ctx->arena, PgQuery__Node *, list->n_items);
            for (size_t c = 0; c < list->n_items; c++) {
                const PgQuery__Node *item = list->items[c];
                if (c < columns_count && is_default(item)) {
                    const struct catalog_column *column = &target->columns[columns[c]];
                    PgQuery__Node *value = node_new_null(ctx->arena);
                    if (column->default_sql != NULL &&
                        !statement_parse_expression(ctx->arena, column->default_sql, &value, err))
                        return false;
                    item = value;
                }
                typed->items[c] = c < columns_count
                                      ? with_type(ctx, item, target->columns[columns[c]].type.oid)
                                      : (PgQuery__Node *)item;
            }
            copy->values_lists[r] = ARENA_NEW(ctx->arena, PgQuery__Node);
            *copy->values_lists[r] = *select->values_lists[r];
            copy->values_lists[r]->list = typed;
        }
    } else if (select->op == PG_QUERY__SET_OPERATION__SETOP_NONE && select->n_target_list > 0) {
        copy->target_list = ARENA_ARRAY(ctx->arena, PgQuery__Node *, select->n_target_list);
        bool star = false;
        for (size_t i = 0; i < select->n_target_list; i++) {
            PgQuery__Node *item = select->target_list[i];
            const PgQuery__Node *value = item->res_target->val;
            const PgQuery__ColumnRef *ref =
                value->node_case == PG_QUERY__NODE__NODE_COLUMN_REF ? value->column_ref : NULL;
            star |= ref != NULL && ref->fields[ref->n_fields - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
            copy->target_list[i] = item;
            if (star || i >= columns_count || !takes_type(value))
                continue;
            PgQuery__Node *typed = ARENA_NEW(ctx->arena, PgQuery__Node);
            *typed = *item;
            typed->res_target = ARENA_NEW(ctx->arena, PgQuery__ResTarget);
            *typed->res_target = *item->res_target;
            typed->res_target->val = with_type(ctx, value, target->columns[columns[i]].type.oid);
            copy->target_list[i] = typed;
        }
    }
    if (node->with_clause != NULL && copy->with_clause != NULL) {
        PgQuery__WithClause *both = ARENA_NEW(ctx->arena, PgQuery__WithClause);
        *both = *node->with_clause;
        both->recursive |= copy->with_clause->recursive;
        both->n_ctes += copy->with_clause->n_ctes;
        both->ctes = ARENA_ARRAY(ctx->arena, PgQuery__Node *, both->n_ctes);
        memcpy(both->ctes, node->with_clause->ctes, node->with_clause->n_ctes * sizeof(PgQuery__Node *));
        memcpy(both->ctes + node->with_clause->n_ctes, copy->with_clause->ctes,
               copy->with_clause->n_ctes * sizeof(PgQuery__Node *));
        copy->with_clause = both;
    } else if (node->with_clause != NULL) {
        copy->with_clause = node->with_clause;
    }
    *out = copy;
    return true;
}

static bool refuse_writing_ctes(struct planner_context *ctx, const PgQuery__WithClause *with,
                                struct error *err)
{
    for (size_t i = 0; with != NULL && i < with->n_ctes; i++) {
        const PgQuery__CommonTableExpr *cte = with->ctes[i]->common_table_expr;
        if (cte->ctequery->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) {
            error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                      "data-modifying statements in WITH are not supported");
            error_hint(err, "Run the statements one by one in a transaction.");
            return fail_at(ctx, cte->location, err);
        }
    }
    return true;
}

/* ---- assignments: UPDATE SET, ON CONFLICT DO UPDATE SET ---- */

static bool bind_assignments(struct planner_context *ctx, const struct catalog_object *target, size_t count,
                             PgQuery__Node **nodes, struct assignment **out, struct error *err)
{
    struct assignment *list = ARENA_ARRAY(ctx->arena, struct assignment, count);
    for (size_t i = 0; i < count; i++) {
        const PgQuery__ResTarget *item = nodes[i]->res_target;
        struct assignment *assignment = &list[i];
        assignment->location = item->location;
        assignment->value = item->val;
        if (!target_column(ctx, target, item, &assignment->column, err))
            return false;
        for (size_t j = 0; j < i; j++) {
            if (list[j].column == assignment->column) {
                error_set(err, ERRCODE_SYNTAX_ERROR, "multiple assignments to same column \"%s\"",
                          item->name);
                return fail_at(ctx, item->location, err);
            }
        }
        if (item->val->node_case == PG_QUERY__NODE__NODE_MULTI_ASSIGN_REF) {
            const PgQuery__MultiAssignRef *ref = item->val->multi_assign_ref;
            uint32_t number = (uint32_t)ref->colno - 1, width = (uint32_t)ref->ncolumns;
            if (ref->source->node_case == PG_QUERY__NODE__NODE_ROW_EXPR) {
                if (ref->source->row_expr->n_args != width) {
                    error_set(err, ERRCODE_SYNTAX_ERROR, "number of columns does not match number of values");
                    return fail_at(ctx, item->location, err);
                }
                assignment->value = ref->source->row_expr->args[number];
            } else if (ref->source->node_case == PG_QUERY__NODE__NODE_SUB_LINK) {
                assignment->value =
                    node_new_subquery_column(ctx->arena, ref->source->sub_link, number, width);
            } else {
                error_set(
                    err, ERRCODE_FEATURE_NOT_SUPPORTED,
                    "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression");
                return fail_at(ctx, item->location, err);
            }
        }
        const struct catalog_column *column = &target->columns[assignment->column];
        if ((column->generated_sql != NULL || column->identity == 'a') && !is_default(assignment->value))
            return refuse_value(ctx, column, true, item->location, err);
    }
    *out = list;
    return true;
}

/* ---- ON CONFLICT ---- */

static void add_arbiter(struct planner_context *ctx, struct dml_plan *plan, const uint32_t *columns,
                        uint32_t count, int32_t index_number, uint32_t *cap)
{
    const uint32_t *copy = arena_copy(ctx->arena, columns, sizeof(*columns) * count);
    struct dml_arbiter arbiter = {count, copy, index_number};
    ARENA_PUSH(ctx->arena, plan->arbiters, plan->arbiters_count, *cap, arbiter);
}

static bool same_columns(const uint32_t *a, uint32_t a_count, const uint32_t *b, uint32_t b_count)
{
    if (a_count != b_count)
        return false;
    for (uint32_t i = 0; i < a_count; i++) {
        bool found = false;
        for (uint32_t j = 0; j < b_count; j++)
            found |= a[i] == b[j];
        if (!found)
            return false;
    }
    return true;
}

static bool bind_arbiters(struct planner_context *ctx, const PgQuery__OnConflictClause *clause,
                          struct dml_plan *plan, struct error *err)
{
    const struct catalog_object *target = plan->target;
    const PgQuery__InferClause *infer = clause->infer;
    const char *name = infer != NULL && infer->conname[0] != '\0' ? infer->conname : NULL;
    uint32_t *wanted = NULL, wanted_count = 0, wanted_cap = 0, cap = 0;
    for (size_t i = 0; infer != NULL && i < infer->n_index_elems; i++) {
        const PgQuery__IndexElem *element = infer->index_elems[i]->index_elem;
        uint32_t column = UINT32_MAX;
        for (uint32_t c = 0; c < target->columns_count && element->name[0] != '\0'; c++)
            if (strcmp(target->columns[c].name, element->name) == 0)
                column = c;
        if (column == UINT32_MAX && element->name[0] != '\0') {
            error_set(err, ERRCODE_UNDEFINED_COLUMN, "column \"%s\" does not exist", element->name);
            return fail_at(ctx, infer->location, err);
        }
        bool repeated = false;
        for (uint32_t j = 0; j < wanted_count; j++)
            repeated |= wanted[j] == column;
        if (!repeated)
            ARENA_PUSH(ctx->arena, wanted, wanted_count, wanted_cap, column);
    }
    bool any = name == NULL && wanted_count == 0;
    if (any && plan->do_update) {
        error_set(err, ERRCODE_SYNTAX_ERROR,
                  "ON CONFLICT DO UPDATE requires inference specification or constraint name");
        error_hint(err, "For example, ON CONFLICT (column_name).");
        return fail_at(ctx, clause->location, err);
    }
    uint32_t dependents_count;
    uint32_t *dependents = catalog_dependents(ctx->catalog, target->oid, ctx->arena, &dependents_count);
    for (uint32_t i = 0; i < dependents_count; i++) {
        const struct catalog_object *index = catalog_find_oid(ctx->catalog, dependents[i]);
        if (index->kind != CATALOG_INDEX || !index->index_is_unique)
            continue;
        bool fits = any || (name != NULL ? strcmp(index->name, name) == 0
                                         : same_columns(wanted, wanted_count, index->index_columns,
                                                        index->index_columns_count));
        if (fits && (any || plan->arbiters_count == 0))
            add_arbiter(ctx, plan, index->index_columns, index->index_columns_count,
                        index->index_is_primary ? -1 : index->index_number, &cap);
    }
    if (any || plan->arbiters_count > 0)
        return true;
    if (name != NULL)
        error_set(err, ERRCODE_UNDEFINED_OBJECT, "constraint \"%s\" for table \"%s\" does not exist", name,
                  target->name);
    else
        error_set(err, ERRCODE_INVALID_COLUMN_REFERENCE,
                  "there is no unique or exclusion constraint matching the ON CONFLICT specification");
    return fail_at(ctx, name != NULL ? infer->location : -1, err);
}

static bool bind_on_conflict(struct planner_context *ctx, const PgQuery__InsertStmt *node,
                             struct dml_plan *plan, struct error *err)
{
    const PgQuery__OnConflictClause *clause = node->on_conflict_clause;
    const struct catalog_object *target = plan->target;
    if (clause == NULL)
        return true;
    plan->on_conflict = true;
    plan->do_update = clause->action == PG_QUERY__ON_CONFLICT_ACTION__ONCONFLICT_UPDATE;
    if (!bind_arbiters(ctx, clause, plan, err))
        return false;
    if (!plan->do_update)
        return true;
    struct scope_relation relations[] = {{target_alias(node->relation), target}, {"excluded", target}};
    struct assignment *assignments;
    if (!bind_assignments(ctx, target, clause->n_target_list, clause->target_list, &assignments, err))
        return false;
    struct expr **row = ARENA_ARRAY(ctx->arena, struct expr *, target->columns_count);
    for (uint32_t i = 0; i < target->columns_count; i++)
        row[i] = expr_column(ctx->arena, i, target->columns[i].type);
    for (size_t i = 0; i < clause->n_target_list; i++) {
        const struct assignment *assignment = &assignments[i];
        const struct catalog_column *column = &target->columns[assignment->column];
        bool ok = is_default(assignment->value)
                      ? bind_column_default(ctx, target, assignment->column, &row[assignment->column], err)
                      : bind_cell(ctx, assignment->value, relations, 2, column, "UPDATE",
                                  &row[assignment->column], err);
        if (!ok)
            return false;
    }
    if (!expr_compile(ctx->arena, (const struct expr *const *)row, target->columns_count, &plan->conflict_row,
                      err))
        return false;
    if (!node_exists(clause->where_clause))
        return true;
    struct expr *where;
    struct sql_type boolean = {.oid = OID_BOOL, .typmod = -1};
    if (!planner_expression(ctx, clause->where_clause, relations, 2, boolean, "WHERE", &where, err))
        return false;
    const struct expr *list[] = {where};
    return expr_compile(ctx->arena, list, 1, &plan->conflict_where, err);
}

static bool bind_insert(struct planner_context *ctx, const PgQuery__InsertStmt *node, struct dml_plan *plan,
                        struct error *err)
{
    if (!find_target(ctx, node->relation, DML_INSERT, &plan->target, err) ||
        !refuse_writing_ctes(ctx, node->with_clause, err))
        return false;
    const struct catalog_object *target = plan->target;
    uint32_t *columns = NULL, columns_count = 0, given = 0;
    if (!insert_columns(ctx, node, target, &columns, &columns_count, err))
        return false;
    struct expr **row = ARENA_ARRAY(ctx->arena, struct expr *, target->columns_count);
    if (!node_exists(node->select_stmt)) {
        plan->values = ARENA_NEW(ctx->arena, struct dml_values); /* DEFAULT VALUES: one row of nothing */
        plan->values->rows_count = 1;
    } else {
        const PgQuery__SelectStmt *select = node->select_stmt->select_stmt;
        bool plain_values = select->n_values_lists > 0 && select->n_sort_clause == 0 &&
                            !node_exists(select->limit_count) && !node_exists(select->limit_offset) &&
                            select->with_clause == NULL;
        for (size_t i = 0; i < select->n_values_lists && plain_values; i++)
            plain_values = !node_has_subquery(&select->values_lists[i]->base);
        if (plain_values) {
            if (!bind_values_cells(ctx, node, select, plan, columns, columns_count, &given, err))
                return false;
            for (uint32_t c = 0; c < given; c++)
                row[columns[c]] = expr_column(ctx->arena, c, target->columns[columns[c]].type);
        } else {
            PgQuery__SelectStmt *typed;
            if (!typed_select(ctx, node, select, target, columns, columns_count, &typed, err) ||
                !planner_select(ctx, typed, &plan->source, err))
                return false;
            given = plan->source->columns_count;
            if (!count_mismatch(ctx, node, given, columns_count, -1, err))
                return false;
            for (uint32_t c = 0; c < given; c++) {
                const struct catalog_column *column = &target->columns[columns[c]];
                bool use_default;
                struct expr *value = expr_column(ctx->arena, c, plan->source->types[c]);
                if (!may_insert(ctx, node, column, -1, &use_default, err))
                    return false;
                if (!use_default &&
                    !planner_assign(ctx, value, column->type, column->name, &row[columns[c]], err))
                    return false;
            }
        }
    }
    for (uint32_t i = 0; i < target->columns_count; i++)
        if (row[i] == NULL && !bind_column_default(ctx, target, i, &row[i], err))
            return false;
    struct scope_relation self = {target_alias(node->relation), target};
    return bind_to_row(ctx, plan, row, given, err) && bind_row_programs(ctx, plan, err) &&
           bind_on_conflict(ctx, node, plan, err) &&
           bind_returning(ctx, plan, node->n_returning_list, node->returning_list, &self, 1, err);
}

/* ---- UPDATE and DELETE ---- */

/* All rows of the target, for TRUNCATE and for the counts of rows without key. */
static bool bind_target_scan(struct planner_context *ctx, struct dml_plan *plan,
                             const PgQuery__RangeVar *name, struct error *err)
{
    PgQuery__RangeVar *range = ARENA_NEW(ctx->arena, PgQuery__RangeVar);
    *range = *name;
    range->alias = NULL;
    PgQuery__SelectStmt *select = node_new_select(ctx->arena);
    select->n_target_list = 1;
    select->target_list = ARENA_ARRAY(ctx->arena, PgQuery__Node *, 1);
    select->target_list[0] = node_new_target(ctx->arena, node_new_column(ctx->arena, name->relname, NULL));
    select->n_from_clause = 1;
    select->from_clause = ARENA_ARRAY(ctx->arena, PgQuery__Node *, 1);
    select->from_clause[0] = node_new_range(ctx->arena, range);
    return planner_select(ctx, select, &plan->target_scan, err);
}

/* The relations of FROM or USING for RETURNING, behind the target's own. */
static bool other_relations(struct planner_context *ctx, const PgQuery__WithClause *with, size_t count,
                            PgQuery__Node **items, bool needed, struct scope_relation **relations,
                            uint32_t *relations_count, struct error *err)
{
    for (size_t i = 0; needed && i < count; i++) {
        bool plain = items[i]->node_case == PG_QUERY__NODE__NODE_RANGE_VAR;
        const PgQuery__RangeVar *name = plain ? items[i]->range_var : NULL;
        for (size_t j = 0; plain && with != NULL && j < with->n_ctes; j++)
            plain = name->schemaname[0] != '\0' ||
                    strcmp(with->ctes[j]->common_table_expr->ctename, name->relname) != 0;
        if (!plain || (name->alias != NULL && name->alias->n_colnames > 0)) {
            error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                      "RETURNING together with joins or subqueries in FROM or USING is not supported");
            return error_hint(err, "Put the other rows into a view, or name plain relations only.");
        }
        struct catalog_object *object;
        if (!planner_relation(ctx, name, &object, err))
            return false;
        (*relations)[(*relations_count)++] = (struct scope_relation){target_alias(name), object};
    }
    return true;
}

struct change_parts {
    const PgQuery__RangeVar *relation;
    size_t n_from;
    PgQuery__Node **from;
    PgQuery__Node *where;
    PgQuery__WithClause *with;
    size_t n_returning;
    PgQuery__Node **returning;
};

static bool bind_change(struct planner_context *ctx, const struct change_parts *parts, struct dml_plan *plan,
                        const struct assignment *assignments, size_t assignments_count, struct error *err)
{
    const struct catalog_object *target = plan->target;
    const char *alias = target_alias(parts->relation);
    if (!refuse_writing_ctes(ctx, parts->with, err))
        return false;
    struct scope_relation *relations = ARENA_ARRAY(ctx->arena, struct scope_relation, parts->n_from + 1);
    uint32_t relations_count = 1;
    relations[0] = (struct scope_relation){alias, target};
    if (!other_relations(ctx, parts->with, parts->n_from, parts->from, parts->n_returning > 0, &relations,
                         &relations_count, err))
        return false;

    PgQuery__SelectStmt *select = node_new_select(ctx->arena);
    size_t cap = 1 + assignments_count + parts->n_from;
    select->target_list = ARENA_ARRAY(ctx->arena, PgQuery__Node *, cap);
    select->target_list[select->n_target_list++] =
        node_new_target(ctx->arena, node_new_column(ctx->arena, alias, NULL));
    uint32_t next = target->columns_count;
    struct expr **row = ARENA_ARRAY(ctx->arena, struct expr *, target->columns_count);
    uint32_t *value_at = ARENA_ARRAY(ctx->arena, uint32_t, target->columns_count);
    plan->reads_others = parts->n_from > 0 || parts->with != NULL ||
                         (node_exists(parts->where) && node_has_subquery(&parts->where->base));
    for (size_t i = 0; i < assignments_count; i++) {
        const struct assignment *assignment = &assignments[i];
        if (is_default(assignment->value)) {
            if (!bind_column_default(ctx, target, assignment->column, &row[assignment->column], err))
                return false;
            continue;
        }
        plan->reads_others |= node_has_subquery(&assignment->value->base);
        select->target_list[select->n_target_list++] = node_new_target(
            ctx->arena, with_type(ctx, assignment->value, target->columns[assignment->column].type.oid));
        value_at[assignment->column] = next++;
    }
    plan->extra_first = next;
    for (uint32_t i = 1; i < relations_count; i++)
        select->target_list[select->n_target_list++] =
            node_new_target(ctx->arena, node_new_column(ctx->arena, relations[i].alias, NULL));
    select->n_from_clause = 1 + parts->n_from;
    select->from_clause = ARENA_ARRAY(ctx->arena, PgQuery__Node *, select->n_from_clause);
    select->from_clause[0] = node_new_range(ctx->arena, parts->relation);
    for (size_t i = 0; i < parts->n_from; i++)
        select->from_clause[i + 1] = parts->from[i];
    select->where_clause = parts->where;
    select->with_clause = parts->with;
    plan->is_joined = parts->n_from > 0;
    if (!planner_select(ctx, select, &plan->source, err))
        return false;
    plan->extra_count = plan->source->columns_count - plan->extra_first;

    if (plan->kind == DML_UPDATE) {
        for (uint32_t i = 0; i < target->columns_count; i++) {
            const struct catalog_column *column = &target->columns[i];
            if (row[i] != NULL)
                continue;
            uint32_t from = value_at[i] != 0 ? value_at[i] : i;
            struct expr *value = expr_column(ctx->arena, from, plan->source->types[from]);
            if (from == i)
                row[i] = value;
            else if (!planner_assign(ctx, value, column->type, column->name, &row[i], err))
                return false;
        }
        if (!expr_compile(ctx->arena, (const struct expr *const *)row, target->columns_count, &plan->to_row,
                          err) ||
            !bind_row_programs(ctx, plan, err))
            return false;
    }
    bool has_key = false;
    for (uint32_t i = 0; i < target->constraints_count; i++)
        has_key |= target->constraints[i].kind == CONSTRAINT_PRIMARY_KEY;
    if (plan->is_joined && !has_key && !bind_target_scan(ctx, plan, parts->relation, err))
        return false;
    return bind_returning(ctx, plan, parts->n_returning, parts->returning, relations, relations_count, err);
}

static bool bind_update(struct planner_context *ctx, const PgQuery__UpdateStmt *node, struct dml_plan *plan,
                        struct error *err)
{
    struct change_parts parts = {node->relation,      node->n_from_clause, node->from_clause,
                                 node->where_clause,  node->with_clause,   node->n_returning_list,
                                 node->returning_list};
    struct assignment *assignments;
    return find_target(ctx, node->relation, DML_UPDATE, &plan->target, err) &&
           bind_assignments(ctx, plan->target, node->n_target_list, node->target_list, &assignments, err) &&
           bind_change(ctx, &parts, plan, assignments, node->n_target_list, err);
}

static bool bind_delete(struct planner_context *ctx, const PgQuery__DeleteStmt *node, struct dml_plan *plan,
                        struct error *err)
{
    struct change_parts parts = {node->relation,      node->n_using_clause, node->using_clause,
                                 node->where_clause,  node->with_clause,    node->n_returning_list,
                                 node->returning_list};
    return find_target(ctx, node->relation, DML_DELETE, &plan->target, err) &&
           bind_change(ctx, &parts, plan, NULL, 0, err);
}

static bool bind_truncate(struct planner_context *ctx, const PgQuery__TruncateStmt *node,
                          struct dml_plan *plan, struct error *err)
{
    plan->restart_identity = node->restart_seqs;
    plan->truncate = ARENA_ARRAY(ctx->arena, struct dml_plan *, node->n_relations);
    for (size_t i = 0; i < node->n_relations; i++) {
        struct dml_plan *one = ARENA_NEW(ctx->arena, struct dml_plan);
        one->kind = DML_TRUNCATE;
        const PgQuery__RangeVar *name = node->relations[i]->range_var;
        if (!find_target(ctx, name, DML_TRUNCATE, &one->target, err) ||
            !bind_target_scan(ctx, one, name, err))
            return false;
        plan->truncate[plan->truncate_count++] = one;
    }
    plan->target = plan->truncate[0]->target;
    return true;
}

bool bind_dml(struct planner_context *ctx, const PgQuery__Node *node, struct dml_plan **out,
              struct error *err)
{
    struct dml_plan *plan = *out = ARENA_NEW(ctx->arena, struct dml_plan);
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_INSERT_STMT:
        plan->kind = DML_INSERT;
        return bind_insert(ctx, node->insert_stmt, plan, err);
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
        plan->kind = DML_UPDATE;
        return bind_update(ctx, node->update_stmt, plan, err);
    case PG_QUERY__NODE__NODE_DELETE_STMT:
        plan->kind = DML_DELETE;
        return bind_delete(ctx, node->delete_stmt, plan, err);
    case PG_QUERY__NODE__NODE_TRUNCATE_STMT:
        plan->kind = DML_TRUNCATE;
        return bind_truncate(ctx, node->truncate_stmt, plan, err);
    default:
        return error_set(err, ERRCODE_INTERNAL_ERROR, "not a statement that changes rows");
    }
}

bool bind_dml_rows(struct planner_context *ctx, struct catalog_object *target, const uint32_t *columns,
                   const struct sql_type *types, uint32_t columns_count, struct dml_plan **out,
                   struct error *err)
{
    struct dml_plan *plan = *out = ARENA_NEW(ctx->arena, struct dml_plan);
    plan->kind = DML_INSERT;
    plan->target = target;
    struct expr **row = ARENA_ARRAY(ctx->arena, struct expr *, target->columns_count);
    for (uint32_t i = 0; i < columns_count; i++) {
        const struct catalog_column *column = &target->columns[columns[i]];
        if (column->generated_sql != NULL) {
            error_set(err, ERRCODE_INVALID_COLUMN_REFERENCE, "column \"%s\" is a generated column",
                      column->name);
            return error_detail(err, "Generated columns cannot be used in COPY.");
        }
        row[columns[i]] = expr_column(ctx->arena, i, types != NULL ? types[i] : column->type);
        if (types != NULL &&
            !planner_assign(ctx, row[columns[i]], column->type, column->name, &row[columns[i]], err))
            return false;
    }
    for (uint32_t i = 0; i < target->columns_count; i++)
        if (row[i] == NULL && !bind_column_default(ctx, target, i, &row[i], err))
            return false;
    return bind_to_row(ctx, plan, row, columns_count, err) && bind_row_programs(ctx, plan, err);
}
