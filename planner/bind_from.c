/* bind_from.c: FROM: relations, joins, subqueries, functions, VALUES, WITH. Functions over a relation, such as tumble,
 * are in bind_window.c.
 *
 * Every item is bound with the FROM clause so far as its parent scope, so that a LATERAL item refers to what
 * stands to its left as to the columns of an enclosing query; the item's plan then loses one level when it is
 * joined to the rest. Items that are not LATERAL cannot see those entries, but count the level. */
#include "planner/bind_from.h"

#include "planner/bind_time_join.h"
#include "planner/statement.h"
#include "storage/data/datetime.h"

static bool from_node(struct planner_context *ctx, struct scope *parent, const PgQuery__Node *node,
                      struct from_item *out, struct error *err);

struct scope *from_scope(struct planner_context *ctx, struct scope *parent)
{
    struct scope *scope = ARENA_NEW(ctx->arena, struct scope);
    scope->parent = parent;
    return scope;
}

struct range_entry *from_entry(struct planner_context *ctx, const char *alias, uint32_t columns_count)
{
    struct range_entry *entry = ARENA_NEW(ctx->arena, struct range_entry);
    entry->alias = alias;
    entry->relation_visible = alias != NULL;
    entry->columns_visible = true;
    entry->columns_count = columns_count;
    entry->columns = ARENA_ARRAY(ctx->arena, struct range_column, columns_count);
    return entry;
}

/* Words that PostgreSQL takes as an alias but which the user meant as a kind of join or a clause. */
static bool check_alias(struct planner_context *ctx, const char *alias, int32_t location, struct error *err)
{
    static const char *const words[] = {"asof",  "semi",    "anti",      "emit",
                                        "final", "changes", "watermark", "append"};
    for (size_t i = 0; alias != NULL && i < ARRAY_COUNT(words); i++) {
        if (strcmp(alias, words[i]) == 0) {
            BIND_FAIL(ctx, err, location, ERRCODE_SYNTAX_ERROR, "syntax error at or near \"%s\"", alias);
            return error_hint(
                err, "To use this word as an alias, write it in double quotes and capital letters, or "
                     "choose another name.");
        }
    }
    return true;
}

bool from_alias(struct planner_context *ctx, struct range_entry *entry, const PgQuery__Alias *alias,
                int32_t location, struct error *err)
{
    if (alias == NULL)
        return true;
    if (!check_alias(ctx, alias->aliasname, location, err))
        return false;
    entry->alias = alias->aliasname;
    entry->schema = NULL;
    entry->relation_visible = true;
    if (alias->n_colnames > entry->columns_count)
        return BIND_FAIL(ctx, err, -1, ERRCODE_INVALID_COLUMN_REFERENCE,
                         "table \"%s\" has %u columns available but %zu columns specified", entry->alias,
                         entry->columns_count, alias->n_colnames);
    for (size_t i = 0; i < alias->n_colnames; i++)
        entry->columns[i].name = node_string(alias->colnames[i]);
    return true;
}

/* ---- relations ---- */

static void depend_on(struct planner_context *ctx, uint32_t oid)
{
    for (uint32_t i = 0; i < ctx->depends_count; i++) {
        if (ctx->depends[i] == oid)
            return;
    }
    ARENA_PUSH(ctx->arena, ctx->depends, ctx->depends_count, ctx->depends_cap, oid);
}

static bool disabled_error(struct planner_context *ctx, const struct catalog_object *object,
                           struct error *err)
{
    static const char *const words[] = {
        [CATALOG_TABLE] = "table",       [CATALOG_STREAM] = "stream",
        [CATALOG_VIEW] = "view",         [CATALOG_MATERIALIZED_VIEW] = "materialized view",
        [CATALOG_INDEX] = "index",       [CATALOG_SYSTEM_VIEW] = "view",
        [CATALOG_SEQUENCE] = "sequence", [CATALOG_EXTERNAL_TABLE] = "external table",
        [CATALOG_SINK] = "sink"};
    depend_on(ctx, object->oid); /* who reads it goes with it */
    error_set(err, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
              "%s \"%s\" is disabled: the server runs in safe mode", words[object->kind], object->name);
    error_detail(err, "%s", object->disabled);
    return error_hint(err, "Drop it, or start the server without --safe-mode.");
}

bool planner_relation(struct planner_context *ctx, const PgQuery__RangeVar *name, struct catalog_object **out,
                      struct error *err)
{
    static const char *const default_path[] = {"public", NULL};
    const char *const *path =
        ctx->env != NULL && ctx->env->session != NULL && ctx->env->session->search_path != NULL
            ? ctx->env->session->search_path
            : default_path;
    const char *schema = name->schemaname[0] != '\0' ? name->schemaname : NULL;
    *out = catalog_find(ctx->catalog, schema, name->relname, path);
    if (*out != NULL && (*out)->disabled != NULL && !(ctx->sees_disabled && (*out)->relation != NULL))
        return disabled_error(ctx, *out, err);
    if (*out != NULL)
        return true;
    if (schema != NULL && catalog_find_schema(ctx->catalog, schema) == NULL)
        return BIND_FAIL(ctx, err, name->location, ERRCODE_UNDEFINED_TABLE,
                         "relation \"%s.%s\" does not exist", schema, name->relname);
    return BIND_FAIL(ctx, err, name->location, ERRCODE_UNDEFINED_TABLE, "relation \"%s%s%s\" does not exist",
                     schema != NULL ? schema : "", schema != NULL ? "." : "", name->relname);
}

static struct plan *scan_plan(struct planner_context *ctx, const struct catalog_object *object)
{
    bool is_system = object->kind == CATALOG_SYSTEM_VIEW,
         is_external = object->kind == CATALOG_EXTERNAL_TABLE;
    uint32_t own = catalog_visible_columns(object, ctx->as_of_oid);
    uint32_t count = own + is_external; /* and whether there is such a row */
    struct plan *plan = plan_new(ctx->arena, is_system ? PLAN_SYSTEM : PLAN_SCAN, count, 0);
    uint32_t *columns = ARENA_ARRAY(ctx->arena, uint32_t, count);
    for (uint32_t i = 0; i < count; i++) {
        columns[i] = i;
        plan->types[i] = i < own ? object->columns[i].type : (struct sql_type){OID_BOOL, -1};
    }
    if (is_system) {
        plan->system.name = arena_strdup(ctx->arena, object->name);
        plan->system.rows = object->system_rows;
        plan->system.ctx = object->system_ctx;
        plan->system.all_columns_count = object->columns_count;
        plan->system.all_types =
            arena_copy(ctx->arena, plan->types, sizeof(*plan->types) * object->columns_count);
        plan->system.columns = columns;
    } else {
        plan->scan.relation_oid = object->oid;
        plan->scan.relation = object->relation;
        plan->scan.name = arena_strdup(ctx->arena, object->name);
        plan->scan.columns = columns;
    }
    return plan;
}

/* Names in a view mean what they meant at its CREATE: its search path (names separated by newlines) in place
 * of the session's. */
static const struct eval_env *view_env(struct planner_context *ctx, const struct catalog_object *object)
{
    if (object->search_path == NULL || ctx->env == NULL || ctx->env->session == NULL)
        return ctx->env;
    const char **names = NULL, *end = NULL;
    uint32_t count = 0, cap = 0;
    for (const char *at = object->search_path; *at != '\0';) {
        size_t len = strcspn(at, "\n");
        const char *name = arena_strndup(ctx->arena, at, len);
        ARENA_PUSH(ctx->arena, names, count, cap, name);
        at += len + (at[len] != '\0');
    }
    ARENA_PUSH(ctx->arena, names, count, cap, end);
    struct session_info *session = arena_copy(ctx->arena, ctx->env->session, sizeof(*session));
    session->search_path = names;
    struct eval_env *env = arena_copy(ctx->arena, ctx->env, sizeof(*env));
    env->session = session;
    return env;
}

/* A view's query, bound from its stored text in a scope of its own. */
static bool expand_view(struct planner_context *ctx, const struct catalog_object *object, struct plan **out,
                        struct error *err)
{
    PgQuery__ParseResult *tree;
    if (!bind_enter(ctx, err))
        return false;
    const char *sql = ctx->sql;
    int32_t base = ctx->position_base;
    const struct eval_env *env = ctx->env;
    uint32_t as_of_oid = ctx->as_of_oid;
    ctx->sql = object->query_sql;
    ctx->as_of_oid = catalog_defined_at(object);
    ctx->position_base = 0;
    ctx->env = view_env(ctx, object);
    bool ok = statement_parse_query(ctx->arena, object->query_sql, &tree, err);
    if (ok && (tree->n_stmts != 1 || tree->stmts[0]->stmt->node_case != PG_QUERY__NODE__NODE_SELECT_STMT))
        ok = error_set(err, ERRCODE_INTERNAL_ERROR, "definition of view \"%s\" is not a query", object->name);
    struct bound_query query;
    ok = ok && bind_query(ctx, NULL, tree->stmts[0]->stmt->select_stmt, false, &query, err);
    if (ok)
        *out = query.plan;
    else if (err != NULL)
        err->position = 0; /* it would point into the view's text */
    ctx->sql = sql;
    ctx->position_base = base;
    ctx->env = env;
    ctx->as_of_oid = as_of_oid;
    bind_leave(ctx);
    return ok;
}

static bool refuse_external(struct planner_context *ctx, const struct catalog_object *object,
                            int32_t location, struct error *err)
{
    BIND_FAIL(ctx, err, location, ERRCODE_FEATURE_NOT_SUPPORTED, "external table \"%s\" cannot be read %s",
              object->name, ctx->for_view ? "as a whole" : "by a SELECT");
    return error_hint(err,
                      "It is looked up row by row in a materialized view: FROM stream s LEFT JOIN %s FOR "
                      "SYSTEM_TIME AS OF now() AS x ON s.k = x.key.",
                      object->name);
}

static bool relation_plan(struct planner_context *ctx, const struct catalog_object *object, bool is_looked_up,
                          int32_t location, struct plan **out, struct error *err)
{
    switch (object->kind) {
    case CATALOG_VIEW:
        return expand_view(ctx, object, out, err);
    case CATALOG_MATERIALIZED_VIEW:
        if (ctx->expand_view != NULL && ctx->expand_view(ctx->expand_ctx, object))
            return expand_view(ctx, object, out, err);
        break;
    case CATALOG_SYSTEM_VIEW:
        if (ctx->for_view) {
            BIND_FAIL(ctx, err, location, ERRCODE_FEATURE_NOT_SUPPORTED,
                      "system relation \"%s\" cannot be used in a materialized view", object->name);
            return error_hint(err, "Its rows are made when it is read, so changes to it are not known.");
        }
        break;
    case CATALOG_EXTERNAL_TABLE:
        if (!ctx->for_view || !is_looked_up)
            return refuse_external(ctx, object, location, err);
        break;
    case CATALOG_INDEX:
        return BIND_FAIL(ctx, err, location, ERRCODE_WRONG_OBJECT_TYPE, "cannot open relation \"%s\"",
                         object->name);
    case CATALOG_SINK:
        BIND_FAIL(ctx, err, location, ERRCODE_WRONG_OBJECT_TYPE, "sink \"%s\" cannot be read", object->name);
        return error_hint(err, "Read what it sends: its query, or the relation it was created from.");
    default:
        break;
    }
    *out = scan_plan(ctx, object);
    return true;
}

/* Names that the plan tree still needs must outlive the parse tree of an expanded view. */
static const char *keep(struct planner_context *ctx, const char *text)
{
    return arena_strdup(ctx->arena, text);
}

static bool from_cte(struct planner_context *ctx, struct scope *parent, struct cte *cte, uint32_t levels,
                     struct from_item *out, struct error *err)
{
    const PgQuery__CommonTableExpr *node = cte->node;
    if (cte->is_open)
        return BIND_FAIL(ctx, err, node->location, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "WITH RECURSIVE is not supported");
    if (!bind_enter(ctx, err))
        return false;
    /* The body sees what the query with the WITH sees, and the names defined before it. */
    struct scope *body = from_scope(ctx, cte->owner->parent);
    body->is_query = true;
    body->ctes = cte->is_recursive ? cte : cte->next;
    cte->is_open = true;
    struct bound_query query;
    bool ok = bind_query(ctx, body, node->ctequery->select_stmt, false, &query, err);
    cte->is_open = false;
    bind_leave(ctx);
    if (!ok)
        return false;
    if (node->n_aliascolnames > query.plan->columns_count)
        return BIND_FAIL(ctx, err, node->location, ERRCODE_INVALID_COLUMN_REFERENCE,
                         "WITH query \"%s\" has %u columns available but %zu columns specified",
                         node->ctename, query.plan->columns_count, node->n_aliascolnames);
    /* The body was bound below `body` (one level) which stands where the owner does; this place is `levels`
     * deeper. */
    plan_shift_levels(ctx->arena, query.plan, (int32_t)levels);
    out->plan = query.plan;
    out->scope = from_scope(ctx, parent);
    struct range_entry *entry = from_entry(ctx, keep(ctx, node->ctename), query.plan->columns_count);
    for (uint32_t i = 0; i < query.plan->columns_count; i++)
        entry->columns[i] = (struct range_column){
            i < node->n_aliascolnames ? keep(ctx, node_string(node->aliascolnames[i])) : query.names[i], i,
            query.plan->types[i]};
    return scope_add_entry(ctx, out->scope, entry, node->location, err);
}

static struct cte *find_cte(struct scope *scope, const char *name, uint32_t *levels)
{
    *levels = 0;
    for (struct scope *s = scope; s != NULL; s = s->parent, (*levels)++) {
        for (struct cte *cte = s->ctes; cte != NULL; cte = cte->next) {
            if (strcmp(cte->node->ctename, name) == 0)
                return cte;
        }
    }
    return NULL;
}

bool from_relation(struct planner_context *ctx, struct scope *parent, const PgQuery__RangeVar *name,
                   struct from_item *out, struct error *err)
{
    uint32_t levels;
    bool is_looked_up = ctx->in_lookup_join;
    ctx->in_lookup_join = false; /* it is about this relation, not about what a view is made of */
    struct cte *cte = name->schemaname[0] == '\0' ? find_cte(parent, name->relname, &levels) : NULL;
    if (cte != NULL) {
        if (!from_cte(ctx, parent, cte, levels, out, err))
            return false;
        return from_alias(ctx, out->scope->entries[0], name->alias, name->location, err);
    }
    struct catalog_object *object;
    if (!planner_relation(ctx, name, &object, err) ||
        !relation_plan(ctx, object, is_looked_up, name->location, &out->plan, err))
        return false;
    depend_on(ctx, object->oid);
    out->scope = from_scope(ctx, parent);
    uint32_t columns_count = catalog_visible_columns(object, ctx->as_of_oid);
    struct range_entry *entry = from_entry(ctx, object->name, columns_count);
    const struct catalog_schema *schema = catalog_find_schema_oid(ctx->catalog, object->schema_oid);
    entry->schema = schema != NULL ? schema->name : NULL;
    entry->object = object;
    if (entry->columns_count > out->plan->columns_count)
        return error_set(err, ERRCODE_INTERNAL_ERROR, "view \"%s\" gives fewer columns than it declares",
                         object->name);
    for (uint32_t i = 0; i < columns_count; i++)
        entry->columns[i] = (struct range_column){object->columns[i].name, i, out->plan->types[i]};
    return from_alias(ctx, entry, name->alias, name->location, err) &&
           scope_add_entry(ctx, out->scope, entry, name->location, err);
}

/* ---- subqueries ---- */

bool from_subselect(struct planner_context *ctx, struct scope *parent, const PgQuery__RangeSubselect *node,
                    struct from_item *out, struct error *err)
{
    if (node->subquery->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return error_set(err, ERRCODE_SYNTAX_ERROR, "subquery in FROM must be a SELECT");
    if (!node->lateral)
        scope_hide(parent, 1);
    struct bound_query query;
    bool ok = bind_query(ctx, parent, node->subquery->select_stmt, false, &query, err);
    if (!node->lateral)
        scope_hide(parent, -1);
    if (!ok)
        return false;
    out->plan = query.plan;
    out->scope = from_scope(ctx, parent);
    struct range_entry *entry = from_entry(ctx, NULL, query.plan->columns_count);
    for (uint32_t i = 0; i < query.plan->columns_count; i++)
        entry->columns[i] = (struct range_column){query.names[i], i, query.plan->types[i]};
    return from_alias(ctx, entry, node->alias, -1, err) && scope_add_entry(ctx, out->scope, entry, -1, err);
}

/* ---- functions ---- */

/* One function of FROM: its call and the names and types of its columns. *named: its only column has a name
 * of its own, which an alias of the function leaves alone. */
static bool from_call(struct binder *b, const PgQuery__Node *node, struct expr **call, const char ***names,
                      struct sql_type **types, uint32_t *columns, bool *named, struct error *err)
{
    struct planner_context *ctx = b->ctx;
    *named = false;
    struct expr *expr;
    if (!bind_expr(b, node, &expr, err) || !bind_known(ctx, expr, &expr, err))
        return false;
    const char *name = node_column_name(node);
    bool several = expr->kind == EXPR_ROW && expr->args_count > 0 && expr->args[0]->kind == EXPR_SET;
    const struct expr *set = several ? expr->args[0] : expr;
    uint32_t count = several ? expr->args_count : 1;
    *names = ARENA_ARRAY(ctx->arena, const char *, count);
    *types = ARENA_ARRAY(ctx->arena, struct sql_type, count);
    for (uint32_t i = 0; i < count; i++) {
        (*names)[i] = several ? function_signature(set->function)->column_names[i] : keep(ctx, name);
        (*types)[i] = several ? expr->args[i]->type : expr->type;
    }
    *columns = count;
    if (set->kind == EXPR_SET) {
        const char *value_name = function_signature(set->function)->value_name;
        *named = value_name != NULL;
        if (*named)
            (*names)[0] = value_name;
        for (uint32_t i = 0; i < set->args_count; i++) {
            if (bound_contains(set->args[i], KIND_BIT(EXPR_SET)))
                return BIND_FAIL(ctx, err, node_location(node), ERRCODE_FEATURE_NOT_SUPPORTED,
                                 "set-returning functions must appear at top level of FROM");
        }
        *call = expr_call(ctx->arena, set->function, several ? (struct sql_type){OID_RECORD, -1} : set->type,
                          set->args, set->args_count);
        (*call)->position = set->position;
        return true;
    }
    if (bound_contains(expr, KIND_BIT(EXPR_SET)))
        return BIND_FAIL(ctx, err, node_location(node), ERRCODE_FEATURE_NOT_SUPPORTED,
                         "set-returning functions must appear at top level of FROM");
    *call = expr;
    return true;
}

/* The calls that an item of FROM stands for: unnest(a, b) is ROWS FROM (unnest(a), unnest(b)). */
static const PgQuery__Node **from_calls(struct planner_context *ctx, const PgQuery__Node *item, size_t *count)
{
    const PgQuery__FuncCall *call =
        item->node_case == PG_QUERY__NODE__NODE_FUNC_CALL ? item->func_call : NULL;
    bool is_unnest = call != NULL && call->n_args > 1 &&
                     strcmp(node_string(call->funcname[call->n_funcname - 1]), "unnest") == 0;
    *count = is_unnest ? call->n_args : 1;
    const PgQuery__Node **calls = ARENA_ARRAY(ctx->arena, const PgQuery__Node *, *count);
    calls[0] = item;
    for (size_t i = 0; is_unnest && i < *count; i++) {
        PgQuery__FuncCall *single = arena_copy(ctx->arena, call, sizeof(*call));
        single->n_args = 1;
        single->args = &call->args[i];
        PgQuery__Node *node = arena_copy(ctx->arena, item, sizeof(*item));
        node->func_call = single;
        calls[i] = node;
    }
    return calls;
}

static bool from_late_rows(struct planner_context *ctx, struct scope *parent, const PgQuery__FuncCall *call,
                           const PgQuery__Alias *alias, struct from_item *out, struct error *err)
{
    struct bound_query query;
    const struct catalog_object *view;
    if (!bind_late_rows(ctx, call, &query, &view, err))
        return false;
    depend_on(ctx, view->oid);
    out->plan = query.plan;
    out->scope = from_scope(ctx, parent);
    struct range_entry *entry = from_entry(ctx, "late_rows", query.plan->columns_count);
    for (uint32_t i = 0; i < query.plan->columns_count; i++)
        entry->columns[i] = (struct range_column){query.names[i], i, query.plan->types[i]};
    return from_alias(ctx, entry, alias, call->location, err) &&
           scope_add_entry(ctx, out->scope, entry, call->location, err);
}

static bool from_function(struct planner_context *ctx, struct scope *parent,
                          const PgQuery__RangeFunction *node, struct from_item *out, struct error *err)
{
    const PgQuery__Node *first = node->functions[0]->list->items[0];
    if (node->n_functions == 1 && first->node_case == PG_QUERY__NODE__NODE_FUNC_CALL &&
        is_table_function(first->func_call))
        return from_table_function(ctx, parent, first->func_call, node->alias, out, err);
    if (node->n_functions == 1 && first->node_case == PG_QUERY__NODE__NODE_FUNC_CALL && !node->ordinality &&
        bind_is_late_rows(first->func_call))
        return from_late_rows(ctx, parent, first->func_call, node->alias, out, err);
    if (node->n_coldeflist > 0)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "column definition lists are not supported");
    /* An empty scope one level below the FROM so far: arguments are references to an enclosing row. */
    struct scope *inner = from_scope(ctx, parent);
    struct binder b = {.ctx = ctx, .scope = inner, .place = PLACE_FROM_FUNCTION};
    struct plan *set = plan_new(ctx->arena, PLAN_PROJECT_SET, 0, 1);
    struct range_entry *entry = from_entry(ctx, NULL, 0);
    uint32_t columns_cap = 0, types_cap = 0, calls_cap = 0;
    bool named = false;
    for (size_t f = 0; f < node->n_functions; f++) {
        const PgQuery__List *item = node->functions[f]->list;
        if (item->n_items > 1 && node_exists(item->items[1]))
            return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "column definition lists are not supported");
        size_t singles_count;
        const PgQuery__Node **singles = from_calls(ctx, item->items[0], &singles_count);
        for (size_t s = 0; s < singles_count; s++) {
            struct expr *call = NULL;
            const char **names;
            struct sql_type *types;
            uint32_t columns;
            if (!from_call(&b, singles[s], &call, &names, &types, &columns, &named, err))
                return false;
            ARENA_PUSH(ctx->arena, set->project_set.calls, set->project_set.calls_count, calls_cap, call);
            for (uint32_t i = 0; i < columns; i++) {
                ARENA_PUSH(ctx->arena, set->types, set->columns_count, types_cap, types[i]);
                ARENA_PUSH(ctx->arena, entry->columns, entry->columns_count, columns_cap,
                           ((struct range_column){names[i], set->columns_count - 1, types[i]}));
            }
        }
    }
    if (node->ordinality) {
        set->project_set.ordinality = true;
        ARENA_PUSH(ctx->arena, set->types, set->columns_count, types_cap, ((struct sql_type){OID_INT8, -1}));
        ARENA_PUSH(ctx->arena, entry->columns, entry->columns_count, columns_cap,
                   ((struct range_column){"ordinality", set->columns_count - 1, {OID_INT8, -1}}));
    }
    entry->alias = keep(ctx, node_column_name(first));
    entry->relation_visible = true;
    bool one_column = set->project_set.calls_count == 1 && set->columns_count == 1u + node->ordinality;
    bool is_scalar = one_column && set->project_set.calls[0]->type.oid != OID_RECORD;
    entry->is_scalar = is_scalar && !node->ordinality;
    if (is_scalar && !named && node->alias != NULL)
        entry->columns[0].name = keep(ctx, node->alias->aliasname);
    if (!from_alias(ctx, entry, node->alias, node_location(first), err))
        return false;
    for (uint32_t i = 0; i < entry->columns_count; i++)
        entry->columns[i].name = keep(ctx, entry->columns[i].name);
    set->children[0] = plan_one_row(ctx->arena);
    out->plan = set;
    /* Arguments may hold subqueries: they run over the one row. */
    if (!subquery_attach(ctx, &set->children[0], set->project_set.calls, set->project_set.calls_count, err))
        return false;
    uint32_t hidden = set->children[0]->columns_count;
    if (hidden > 0) { /* the subqueries' columns come first: leave them out */
        struct sql_type *types = ARENA_ARRAY(ctx->arena, struct sql_type, hidden + set->columns_count);
        memcpy(types, set->children[0]->types, sizeof(*types) * hidden);
        memcpy(types + hidden, set->types, sizeof(*types) * set->columns_count);
        uint32_t *list = ARENA_ARRAY(ctx->arena, uint32_t, set->columns_count);
        for (uint32_t i = 0; i < set->columns_count; i++)
            list[i] = hidden + i;
        uint32_t visible = set->columns_count;
        set->types = types;
        set->columns_count += hidden;
        out->plan = plan_pick(ctx->arena, set, list, visible);
    }
    out->scope = from_scope(ctx, parent);
    return scope_add_entry(ctx, out->scope, entry, node_location(first), err);
}

/* ---- joins ---- */

/* Adds the entries of an item to a scope, its columns moved by `shift`. */
static bool merge_entries(struct planner_context *ctx, struct scope *into, const struct scope *from,
                          uint32_t shift, bool nullable, struct error *err)
{
    for (uint32_t e = 0; e < from->entries_count; e++) {
        struct range_entry *copy = arena_copy(ctx->arena, from->entries[e], sizeof(*copy));
        copy->columns = arena_copy(ctx->arena, copy->columns, sizeof(*copy->columns) * copy->columns_count);
        for (uint32_t i = 0; i < copy->columns_count; i++)
            copy->columns[i].column += shift;
        copy->nullable = copy->nullable || nullable;
        if (!scope_add_entry(ctx, into, copy, -1, err))
            return false;
    }
    return true;
}

struct merged_column {
    const char *name;
    struct range_column left, right;
};

/* Columns named by USING, or common to both sides of a NATURAL join. right columns are numbered within the
 * right item. */
static bool merged_columns(struct planner_context *ctx, const PgQuery__JoinExpr *node,
                           const struct scope *left, const struct scope *right, struct merged_column **out,
                           uint32_t *count, struct error *err)
{
    struct merged_column *list = NULL;
    uint32_t cap = 0;
    *count = 0;
    for (size_t i = 0; i < node->n_using_clause; i++) {
        struct merged_column column = {.name = node_string(node->using_clause[i])};
        for (uint32_t k = 0; k < *count; k++) {
            if (strcmp(list[k].name, column.name) == 0)
                return error_set(err, ERRCODE_DUPLICATE_COLUMN,
                                 "column name \"%s\" appears more than once in USING "
                                 "clause",
                                 column.name);
        }
        for (int side = 0; side < 2; side++) {
            uint32_t matches = scope_find_column(side == 0 ? left : right, column.name,
                                                 side == 0 ? &column.left : &column.right);
            const char *side_name = side == 0 ? "left" : "right";
            if (matches == 0)
                return error_set(err, ERRCODE_UNDEFINED_COLUMN,
                                 "column \"%s\" specified in USING clause does not exist in %s table",
                                 column.name, side_name);
            if (matches > 1)
                return error_set(err, ERRCODE_AMBIGUOUS_COLUMN,
                                 "common column name \"%s\" appears more than once in %s table", column.name,
                                 side_name);
        }
        ARENA_PUSH(ctx->arena, list, *count, cap, column);
    }
    if (node->is_natural) {
        for (uint32_t e = 0; e < left->entries_count; e++) {
            const struct range_entry *entry = left->entries[e];
            for (uint32_t i = 0; entry->columns_visible && i < entry->columns_count; i++) {
                struct merged_column column = {.name = entry->columns[i].name, .left = entry->columns[i]};
                uint32_t right_matches = scope_find_column(right, column.name, &column.right);
                if (right_matches == 0)
                    continue;
                struct range_column ignored;
                if (right_matches > 1 || scope_find_column(left, column.name, &ignored) > 1)
                    return error_set(err, ERRCODE_AMBIGUOUS_COLUMN,
                                     "common column name \"%s\" appears more than once in %s table",
                                     column.name, right_matches > 1 ? "right" : "left");
                ARENA_PUSH(ctx->arena, list, *count, cap, column);
            }
        }
    }
    *out = list;
    return true;
}

static bool is_merged(const struct merged_column *merged, uint32_t count, uint32_t column, bool is_left)
{
    for (uint32_t i = 0; i < count; i++) {
        if ((is_left ? merged[i].left.column : merged[i].right.column) == column)
            return true;
    }
    return false;
}

/* The entry that gives a join its columns: merged ones first, then the rest of left and right. */
static struct range_entry *join_entry(struct planner_context *ctx, const struct scope *left,
                                      const struct scope *right, uint32_t left_columns,
                                      const struct merged_column *merged, uint32_t merged_count,
                                      const struct range_column *merged_out)
{
    struct range_entry *entry = from_entry(ctx, NULL, 0);
    uint32_t cap = 0;
    for (uint32_t i = 0; i < merged_count; i++)
        ARENA_PUSH(ctx->arena, entry->columns, entry->columns_count, cap, merged_out[i]);
    for (int side = 0; side < 2; side++) {
        const struct scope *scope = side == 0 ? left : right;
        for (uint32_t e = 0; e < scope->entries_count; e++) {
            const struct range_entry *from = scope->entries[e];
            for (uint32_t i = 0; from->columns_visible && i < from->columns_count; i++) {
                if (is_merged(merged, merged_count, from->columns[i].column, side == 0))
                    continue;
                struct range_column column = from->columns[i];
                column.column += side == 0 ? 0 : left_columns;
                ARENA_PUSH(ctx->arena, entry->columns, entry->columns_count, cap, column);
            }
        }
    }
    return entry;
}

static bool using_condition(struct planner_context *ctx, const struct merged_column *merged, uint32_t count,
                            uint32_t left_columns, struct expr **out, struct error *err)
{
    *out = NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct expr *left = expr_column(ctx->arena, merged[i].left.column, merged[i].left.type);
        struct expr *right =
                        expr_column(ctx->arena, merged[i].right.column + left_columns, merged[i].right.type),
                    *equal;
        if (!bind_operator(ctx, "=", left, right, -1, &equal, err))
            return false;
        *out = bound_and(ctx->arena, *out, equal);
    }
    return true;
}

/* The merged column: of the side that is always there, of both for FULL. */
static bool merged_value(struct planner_context *ctx, PgQuery__JoinType type,
                         const struct merged_column *merged, uint32_t left_columns, struct expr **out,
                         struct error *err)
{
    struct expr *both[2] = {expr_column(ctx->arena, merged->left.column, merged->left.type),
                            expr_column(ctx->arena, merged->right.column + left_columns, merged->right.type)};
    struct sql_type common;
    if (!bind_common_type(ctx, both, NULL, 2, "JOIN/USING", &common, err) ||
        !bind_coerce_all(ctx, both, NULL, 2, common, "JOIN/USING", err))
        return false;
    if (type == PG_QUERY__JOIN_TYPE__JOIN_FULL) {
        *out = expr_new(ctx->arena, EXPR_COALESCE, common);
        (*out)->args = arena_copy(ctx->arena, both, sizeof(both));
        (*out)->args_count = 2;
    } else {
        *out = both[type == PG_QUERY__JOIN_TYPE__JOIN_RIGHT];
        /* Prefer a plain column: the other side's when only that one needs no conversion. */
        if (type == PG_QUERY__JOIN_TYPE__JOIN_INNER && (*out)->kind != EXPR_COLUMN &&
            both[1]->kind == EXPR_COLUMN)
            *out = both[1];
    }
    return true;
}

static bool make_join(struct planner_context *ctx, PgQuery__JoinType type, struct plan *left,
                      struct plan *right, struct expr *condition, struct plan **out, struct error *err)
{
    bool lateral = plan_outer_columns(right, 1, NULL, 0);
    if (lateral && type != PG_QUERY__JOIN_TYPE__JOIN_INNER && type != PG_QUERY__JOIN_TYPE__JOIN_LEFT)
        return error_set(err, ERRCODE_INVALID_COLUMN_REFERENCE,
                         "invalid reference to FROM-clause entry: the combining "
                         "JOIN type must be INNER or LEFT for a LATERAL "
                         "reference");
    if (lateral)
        return subquery_lateral(ctx, left, right,
                                type == PG_QUERY__JOIN_TYPE__JOIN_LEFT ? JOIN_LEFT : JOIN_INNER, condition,
                                out, err);
    plan_shift_levels(ctx->arena, right, -1);
    if (type != PG_QUERY__JOIN_TYPE__JOIN_RIGHT) {
        enum join_kind kind = type == PG_QUERY__JOIN_TYPE__JOIN_LEFT   ? JOIN_LEFT
                              : type == PG_QUERY__JOIN_TYPE__JOIN_FULL ? JOIN_FULL
                                                                       : JOIN_INNER;
        return bind_join_plans(ctx, kind, left, right, condition, out, err);
    }
    /* RIGHT: the sides swapped, and their columns swapped back. */
    uint32_t l = left->columns_count, r = right->columns_count;
    uint32_t *map = ARENA_ARRAY(ctx->arena, uint32_t, l + r);
    for (uint32_t i = 0; i < l + r; i++)
        map[i] = i < l ? i + r : i - l;
    if (condition != NULL)
        condition = bound_remap(ctx->arena, condition, map, 0);
    if (!bind_join_plans(ctx, JOIN_LEFT, right, left, condition, out, err))
        return false;
    *out = plan_pick(ctx->arena, *out, map, l + r);
    return true;
}

/* The right side of ASOF JOIN is marked by ONLY (statement.c). */
static bool is_marked_asof(const PgQuery__Node *item)
{
    return item->node_case == PG_QUERY__NODE__NODE_RANGE_VAR && !item->range_var->inh;
}

static bool from_join(struct planner_context *ctx, struct scope *parent, const PgQuery__JoinExpr *node,
                      struct from_item *out, struct error *err)
{
    struct from_item left, right;
    if (!from_node(ctx, parent, node->larg, &left, err))
        return false;
    /* The right side may refer to the left one, which is one level above it. */
    PgQuery__RangeVar system_time;
    const PgQuery__ColumnRef *version = NULL;
    bool has_clause = bind_system_time(node->rarg, &system_time, &version);
    bool is_lookup = has_clause && version == NULL;
    bool is_asof = version != NULL || is_marked_asof(node->rarg);
    if (is_marked_asof(node->larg))
        return BIND_FAIL(ctx, err, node->larg->range_var->location, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "the right side of ASOF JOIN must be one relation");
    ctx->in_lookup_join = is_lookup;
    if (has_clause ? !from_relation(ctx, left.scope, &system_time, &right, err)
                   : !from_node(ctx, left.scope, node->rarg, &right, err))
        return false;
    PgQuery__JoinType type = node->jointype;
    if (has_clause && type != PG_QUERY__JOIN_TYPE__JOIN_INNER && type != PG_QUERY__JOIN_TYPE__JOIN_LEFT)
        return BIND_FAIL(ctx, err, system_time.location, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "only JOIN and LEFT JOIN take FOR SYSTEM_TIME AS OF");
    bool left_nullable = type == PG_QUERY__JOIN_TYPE__JOIN_RIGHT || type == PG_QUERY__JOIN_TYPE__JOIN_FULL;
    bool right_nullable = type == PG_QUERY__JOIN_TYPE__JOIN_LEFT || type == PG_QUERY__JOIN_TYPE__JOIN_FULL;
    struct merged_column *merged = NULL;
    uint32_t merged_count, l = left.plan->columns_count;
    if (!merged_columns(ctx, node, left.scope, right.scope, &merged, &merged_count, err))
        return false;
    struct scope *scope = from_scope(ctx, parent);
    if (!merge_entries(ctx, scope, left.scope, 0, left_nullable, err) ||
        !merge_entries(ctx, scope, right.scope, l, right_nullable, err))
        return false;
    struct expr *condition;
    if (!using_condition(ctx, merged, merged_count, l, &condition, err))
        return false;
    if (node_exists(node->quals)) {
        struct binder b = {.ctx = ctx, .scope = scope, .place = PLACE_JOIN_ON};
        scope_hide(parent, 1);
        bool ok = bind_condition(&b, node->quals, "JOIN/ON", &condition, err);
        scope_hide(parent, -1);
        if (!ok)
            return false;
    }
    if (version != NULL) {
        struct expr *comparison;
        if (!bind_version_time(ctx, left.scope, l, right.scope->entries[0], version, system_time.location,
                               &comparison, err))
            return false;
        condition = bound_and(ctx->arena, condition, comparison);
    }
    if (is_lookup || is_asof)
        plan_shift_levels(ctx->arena, right.plan, -1);
    if (is_asof) {
        if (!bind_asof_join(ctx, right_nullable, left.plan, right.plan, condition, &out->plan, err))
            return false;
    } else if (is_lookup
                   ? !bind_lookup_join(ctx, right_nullable, left.plan, right.plan, condition, &out->plan, err)
                   : !make_join(ctx, type, left.plan, right.plan, condition, &out->plan, err))
        return false;
    if (merged_count == 0 && node->alias == NULL) {
        out->scope = scope; /* columns are found through the sides, in the same order */
        return true;
    }
    struct range_column *merged_out = ARENA_ARRAY(ctx->arena, struct range_column, merged_count);
    struct expr **values = ARENA_ARRAY(ctx->arena, struct expr *, merged_count);
    uint32_t added = 0;
    for (uint32_t i = 0; i < merged_count; i++) {
        struct expr *value;
        if (!merged_value(ctx, type, &merged[i], l, &value, err))
            return false;
        uint32_t column = value->kind == EXPR_COLUMN ? value->index : out->plan->columns_count + added;
        if (value->kind != EXPR_COLUMN)
            values[added++] = value;
        merged_out[i] = (struct range_column){merged[i].name, column, value->type};
    }
    if (added > 0) {
        uint32_t first;
        out->plan = plan_extend(ctx->arena, out->plan, values, added, &first);
    }
    struct range_entry *entry = join_entry(ctx, left.scope, right.scope, l, merged, merged_count, merged_out);
    for (uint32_t e = 0; e < scope->entries_count; e++) {
        scope->entries[e]->columns_visible = false;
        if (node->alias != NULL)
            scope->entries[e]->relation_visible = false;
    }
    if (!from_alias(ctx, entry, node->alias, -1, err))
        return false;
    out->scope = scope;
    if (!scope_add_entry(ctx, scope, entry, -1, err))
        return false;
    if (node->join_using_alias != NULL) {
        struct range_entry *named = from_entry(ctx, node->join_using_alias->aliasname, merged_count);
        memcpy(named->columns, merged_out, sizeof(*merged_out) * merged_count);
        named->columns_visible = false;
        return scope_add_entry(ctx, scope, named, -1, err);
    }
    return true;
}

/* ---- items ---- */

static bool from_case(struct planner_context *ctx, struct scope *parent, const PgQuery__Node *node,
                      struct from_item *out, struct error *err)
{
    PgQuery__RangeVar system_time;
    const PgQuery__ColumnRef *version;
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_RANGE_VAR:
        return from_relation(ctx, parent, node->range_var, out, err);
    case PG_QUERY__NODE__NODE_JOIN_EXPR:
        return from_join(ctx, parent, node->join_expr, out, err);
    case PG_QUERY__NODE__NODE_RANGE_SUBSELECT:
        return from_subselect(ctx, parent, node->range_subselect, out, err);
    case PG_QUERY__NODE__NODE_RANGE_FUNCTION:
        if (bind_system_time(node, &system_time, &version))
            return BIND_FAIL(ctx, err, system_time.location, ERRCODE_FEATURE_NOT_SUPPORTED,
                             "FOR SYSTEM_TIME AS OF is for the right side of a join");
        return from_function(ctx, parent, node->range_function, out, err);
    case PG_QUERY__NODE__NODE_RANGE_TABLE_SAMPLE:
        return BIND_FAIL(ctx, err, node->range_table_sample->location, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "TABLESAMPLE is not supported");
    default:
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "this kind of FROM item is not supported");
    }
}

static bool from_node(struct planner_context *ctx, struct scope *parent, const PgQuery__Node *node,
                      struct from_item *out, struct error *err)
{
    if (!bind_enter(ctx, err))
        return false;
    bool ok = from_case(ctx, parent, node, out, err);
    bind_leave(ctx);
    return ok;
}

bool bind_from(struct planner_context *ctx, struct scope *scope, size_t count, PgQuery__Node **items,
               struct plan **out, struct error *err)
{
    struct plan *plan = plan_one_row(ctx->arena);
    for (size_t i = 0; i < count; i++) {
        struct from_item item;
        if (!from_node(ctx, scope, items[i], &item, err))
            return false;
        uint32_t shift = i == 0 ? 0 : plan->columns_count;
        if (i == 0) {
            plan_shift_levels(ctx->arena, item.plan, -1);
            plan = item.plan;
        } else if (!make_join(ctx, PG_QUERY__JOIN_TYPE__JOIN_INNER, plan, item.plan, NULL, &plan, err)) {
            return false;
        }
        if (!merge_entries(ctx, scope, item.scope, shift, false, err))
            return false;
        if (plan->columns_count > 64 * COLUMNS_MAX)
            return error_set(err, ERRCODE_TOO_MANY_COLUMNS, "joins can have at most %d columns",
                             64 * COLUMNS_MAX);
    }
    *out = plan;
    return true;
}

bool bind_with(struct planner_context *ctx, struct scope *scope, const PgQuery__WithClause *with,
               struct error *err)
{
    if (with == NULL)
        return true;
    for (size_t i = 0; i < with->n_ctes; i++) {
        const PgQuery__CommonTableExpr *node = with->ctes[i]->common_table_expr;
        for (const struct cte *old = scope->ctes; old != NULL; old = old->next) {
            if (strcmp(old->node->ctename, node->ctename) == 0 && old->owner == scope)
                return BIND_FAIL(ctx, err, node->location, ERRCODE_DUPLICATE_ALIAS,
                                 "WITH query name \"%s\" specified more than once", node->ctename);
        }
        if (node->ctequery->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
            return BIND_FAIL(ctx, err, node->location, ERRCODE_FEATURE_NOT_SUPPORTED,
                             "data-modifying statements in WITH are not supported");
        struct cte *cte = ARENA_NEW(ctx->arena, struct cte);
        cte->next = scope->ctes;
        cte->node = node;
        cte->owner = scope;
        cte->is_recursive = with->recursive;
        scope->ctes = cte;
    }
    return true;
}
