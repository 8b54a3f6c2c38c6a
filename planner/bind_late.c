/* bind_late.c: late_rows('view') in FROM: the rows that came too late for a materialized view (docs/event-time.md), read
 * from the relation that the engine keeps them in. */
#include "planner/bind.h"

#include "planner/reg_names.h"

#include <string.h>

bool bind_is_late_rows(const PgQuery__FuncCall *call)
{
    const char *schema, *name;
    return node_names_split(call->n_funcname, call->funcname, &schema, &name) && schema == NULL &&
           strcmp(name, "late_rows") == 0;
}

/* The view that the argument names: 'v' or 'schema.v', as regclass reads it, or the bare name. */
static bool late_view(struct planner_context *ctx, const PgQuery__FuncCall *call, struct catalog_object **out,
                      struct error *err)
{
    PgQuery__RangeVar name = PG_QUERY__RANGE_VAR__INIT;
    name.location = call->location;
    const PgQuery__Node *arg = call->n_args == 1 ? call->args[0] : NULL;
    if (arg != NULL && arg->node_case == PG_QUERY__NODE__NODE_COLUMN_REF && arg->column_ref->n_fields <= 2) {
        const PgQuery__ColumnRef *ref = arg->column_ref;
        name.relname = (char *)node_string(ref->fields[ref->n_fields - 1]);
        if (ref->n_fields == 2)
            name.schemaname = (char *)node_string(ref->fields[0]);
        return planner_relation(ctx, &name, out, err);
    }
    if (arg == NULL || arg->node_case != PG_QUERY__NODE__NODE_A_CONST ||
        arg->a_const->val_case != PG_QUERY__A__CONST__VAL_SVAL) {
        BIND_FAIL(ctx, err, call->location, ERRCODE_SYNTAX_ERROR,
                  "late_rows takes the name of a materialized view");
        return error_hint(err, "For example: SELECT * FROM late_rows('v').");
    }
    const char *text = arg->a_const->sval->sval, *parts[REG_NAME_PARTS_MAX];
    uint32_t count;
    if (!reg_names_split(text, strlen(text), ctx->arena, parts, &count, err))
        return error_at(err, planner_position(ctx, call->location));
    if (count > 2)
        return BIND_FAIL(ctx, err, call->location, ERRCODE_UNDEFINED_TABLE, "relation \"%s\" does not exist",
                         text);
    name.relname = (char *)parts[count - 1];
    if (count == 2)
        name.schemaname = (char *)parts[0];
    return planner_relation(ctx, &name, out, err);
}

bool bind_late_rows(struct planner_context *ctx, const PgQuery__FuncCall *call, struct bound_query *out,
                    const struct catalog_object **view, struct error *err)
{
    struct catalog_object *object;
    if (!late_view(ctx, call, &object, err))
        return false;
    if (object->kind != CATALOG_MATERIALIZED_VIEW)
        return BIND_FAIL(ctx, err, call->location, ERRCODE_WRONG_OBJECT_TYPE,
                         "\"%s\" is not a materialized view", object->name);
    struct relation *relation = relation_late_rows(object->relation);
    if (relation == NULL) {
        BIND_FAIL(ctx, err, call->location, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "materialized view \"%s\" keeps no late rows", object->name);
        return error_hint(
            err, "Rows can be late where a view closes something by the watermark of a stream, and are kept "
                 "with late = 'side'.");
    }
    if (ctx->for_view) {
        BIND_FAIL(ctx, err, call->location, ERRCODE_FEATURE_NOT_SUPPORTED,
                  "late_rows cannot be used in a materialized view");
        return error_hint(err, "Read it with SELECT.");
    }
    const struct sql_type *types;
    uint32_t columns_count = relation_columns(relation, &types);
    const char *const *names = relation_column_names(relation);
    struct plan *plan = plan_new(ctx->arena, PLAN_SCAN, columns_count, 0);
    uint32_t *columns = ARENA_ARRAY(ctx->arena, uint32_t, columns_count);
    out->names = ARENA_ARRAY(ctx->arena, const char *, columns_count);
    for (uint32_t i = 0; i < columns_count; i++) {
        columns[i] = i;
        plan->types[i] = types[i];
        out->names[i] = arena_strdup(ctx->arena, names[i]);
    }
    plan->scan.relation = relation; /* without an OID: the view's would bring the view's indexes */
    plan->scan.name = arena_printf(ctx->arena, "late_rows(%s)", object->name);
    plan->scan.columns = columns;
    out->plan = plan;
    *view = object;
    return true;
}
