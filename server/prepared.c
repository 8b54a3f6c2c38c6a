/* prepared.c: see prepared.h. */
#include "server/prepared.h"

#include "planner/bind_dml.h"
#include "planner/statement.h"
#include "server/run.h"
#include "server/session_settings.h"

#include <stdio.h>
#include <string.h>

/* ---- what kind of statement ---- */

struct kind_row {
    PgQuery__Node__NodeCase node_case;
    enum prepared_kind kind;
    const char *tag;
};

static const struct kind_row kinds[] = {
    {PG_QUERY__NODE__NODE_SELECT_STMT, PREPARED_SELECT, "SELECT"},
    {PG_QUERY__NODE__NODE_INSERT_STMT, PREPARED_DML, "INSERT"},
    {PG_QUERY__NODE__NODE_UPDATE_STMT, PREPARED_DML, "UPDATE"},
    {PG_QUERY__NODE__NODE_DELETE_STMT, PREPARED_DML, "DELETE"},
    {PG_QUERY__NODE__NODE_TRUNCATE_STMT, PREPARED_DML, "TRUNCATE TABLE"},
    {PG_QUERY__NODE__NODE_CREATE_STMT, PREPARED_DDL, "CREATE TABLE"},
    {PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT, PREPARED_DDL, "CREATE TABLE AS"},
    {PG_QUERY__NODE__NODE_VIEW_STMT, PREPARED_DDL, "CREATE VIEW"},
    {PG_QUERY__NODE__NODE_INDEX_STMT, PREPARED_DDL, "CREATE INDEX"},
    {PG_QUERY__NODE__NODE_CREATE_SCHEMA_STMT, PREPARED_DDL, "CREATE SCHEMA"},
    {PG_QUERY__NODE__NODE_CREATE_SEQ_STMT, PREPARED_DDL, "CREATE SEQUENCE"},
    {PG_QUERY__NODE__NODE_ALTER_SEQ_STMT, PREPARED_DDL, "ALTER SEQUENCE"},
    {PG_QUERY__NODE__NODE_DROP_STMT, PREPARED_DDL, "DROP"},
    {PG_QUERY__NODE__NODE_RENAME_STMT, PREPARED_DDL, "ALTER TABLE"},
    {PG_QUERY__NODE__NODE_ALTER_TABLE_STMT, PREPARED_DDL, "ALTER TABLE"},
    {PG_QUERY__NODE__NODE_COMMENT_STMT, PREPARED_DDL, "COMMENT"},
    {PG_QUERY__NODE__NODE_REFRESH_MAT_VIEW_STMT, PREPARED_DDL, "REFRESH MATERIALIZED VIEW"},
    {PG_QUERY__NODE__NODE_EXPLAIN_STMT, PREPARED_EXPLAIN, "EXPLAIN"},
    {PG_QUERY__NODE__NODE_TRANSACTION_STMT, PREPARED_TRANSACTION, "BEGIN"},
    {PG_QUERY__NODE__NODE_VARIABLE_SET_STMT, PREPARED_SET, "SET"},
    {PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT, PREPARED_SET, "SHOW"},
    {PG_QUERY__NODE__NODE_DISCARD_STMT, PREPARED_SET, "DISCARD"},
    {PG_QUERY__NODE__NODE_COPY_STMT, PREPARED_COPY, "COPY"},
    {PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT, PREPARED_CURSOR, "DECLARE CURSOR"},
    {PG_QUERY__NODE__NODE_FETCH_STMT, PREPARED_CURSOR, "FETCH"},
    {PG_QUERY__NODE__NODE_CLOSE_PORTAL_STMT, PREPARED_CURSOR, "CLOSE CURSOR"},
    {PG_QUERY__NODE__NODE_PREPARE_STMT, PREPARED_PREPARE, "PREPARE"},
    {PG_QUERY__NODE__NODE_EXECUTE_STMT, PREPARED_PREPARE, "EXECUTE"},
    {PG_QUERY__NODE__NODE_DEALLOCATE_STMT, PREPARED_PREPARE, "DEALLOCATE"},
};

static void classify(struct prepared *prepared)
{
    prepared->kind = PREPARED_OTHER;
    prepared->tag = "";
    if (prepared->node == NULL) {
        prepared->kind = PREPARED_EMPTY;
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (kinds[i].node_case == prepared->node->node_case) {
            prepared->kind = kinds[i].kind;
            prepared->tag = kinds[i].tag;
        }
    }
    if (prepared->statement->sink != NULL) {
        prepared->kind = PREPARED_DDL;
        prepared->tag = "CREATE SINK";
    } else if (prepared->kind == PREPARED_SELECT && prepared->statement->subscribe != NULL) {
        prepared->kind = PREPARED_SUBSCRIBE;
        prepared->tag = "SUBSCRIBE";
    } else if (prepared->kind == PREPARED_SELECT && prepared->node->select_stmt->into_clause != NULL) {
        prepared->kind = PREPARED_DDL; /* SELECT INTO */
        prepared->tag = "SELECT INTO";
    }
}

/* ---- planning ---- */

struct expansion {
    struct session *session;
    bool used;
};

static bool expand_view(void *ctx, const struct catalog_object *view)
{
    struct expansion *expansion = ctx;
    bool touched = transaction_touches(expansion->session, view);
    expansion->used |= touched;
    return touched;
}

void run_planner(struct session *session, struct planner_context *ctx, struct arena *arena, const char *sql)
{
    planner_init(ctx, arena, session->server->catalog, &session->env);
    ctx->sql = sql;
    ctx->passes_off = (uint32_t)session_settings_number(session->settings, SESSION_PASSES_OFF);
    if (transaction_has_changes(session)) {
        struct expansion *expansion = ARENA_NEW(arena, struct expansion);
        expansion->session = session;
        ctx->expand_view = expand_view;
        ctx->expand_ctx = expansion;
    }
}

static const char *path_text(struct session *session, struct arena *arena)
{
    struct strbuf text = STRBUF_INIT;
    for (const char *const *name = session->info.search_path; name != NULL && *name != NULL; name++)
        strbuf_addf(&text, "%s\n", *name);
    const char *copy = arena_strdup(arena, strbuf_text(&text));
    strbuf_release(&text);
    return copy;
}

static void release_objects(struct prepared *prepared)
{
    for (uint32_t i = 0; i < prepared->objects_count; i++)
        catalog_object_release(prepared->objects[i]);
    prepared->objects_count = 0;
}

struct holder {
    struct prepared *prepared;
    struct catalog *catalog;
    uint32_t cap;
};

static void hold(struct holder *holder, struct catalog_object *object)
{
    struct prepared *prepared = holder->prepared;
    catalog_object_retain(object);
    ARENA_PUSH(&prepared->plan_arena, prepared->objects, prepared->objects_count, holder->cap, object);
}

static void hold_scan(void *ctx, struct plan *node)
{
    struct holder *holder = ctx;
    if (node->kind != PLAN_SCAN)
        return;
    struct catalog_object *object = catalog_find_oid(holder->catalog, node->scan.relation_oid);
    if (object != NULL)
        hold(holder, object);
}

/* Relations that a plan reads without a name of their own (late rows) live as long as the view they belong to. */
static void hold_depends(struct holder *holder, const struct planner_context *ctx)
{
    for (uint32_t i = 0; i < ctx->depends_count; i++) {
        struct catalog_object *object = catalog_find_oid(holder->catalog, ctx->depends[i]);
        if (object != NULL)
            hold(holder, object);
    }
}

/* Table and column a result column comes from, as RowDescription tells it. */
static void column_origin(const struct plan *plan, uint32_t column, uint32_t *oid, int16_t *attnum)
{
    *oid = 0;
    *attnum = 0;
    for (;;) {
        switch (plan->kind) {
        case PLAN_SCAN:
            if (plan->scan.relation_oid == 0)
                return;
            *oid = plan->scan.relation_oid;
            *attnum = (int16_t)(plan->scan.columns[column] + 1);
            return;
        case PLAN_CALC:
            if (plan->calc.outputs[column]->kind != EXPR_COLUMN)
                return;
            column = plan->calc.outputs[column]->index;
            break;
        case PLAN_AGGREGATE:
            if (column >= plan->aggregate.groups_count)
                return;
            column = plan->aggregate.groups[column];
            break;
        case PLAN_JOIN:
        case PLAN_INTERVAL_JOIN:
        case PLAN_ASOF_JOIN:
        case PLAN_LOOKUP_JOIN:
            if (column >= plan->children[0]->columns_count) {
                column -= plan->children[0]->columns_count;
                plan = plan->children[1];
                continue;
            }
            break;
        case PLAN_SORT:
        case PLAN_AT_MOST_ONE:
            break;
        case PLAN_PROJECT_SET:
        case PLAN_WINDOW:
        case PLAN_SESSION:
        case PLAN_OVER:
            if (column >= plan->children[0]->columns_count)
                return;
            break;
        default:
            return;
        }
        plan = plan->children[0];
    }
}

static void describe_plan(struct prepared *prepared, struct arena *arena)
{
    const struct plan *plan = prepared->plan;
    prepared->returns_rows = true;
    prepared->columns_count = plan->columns_count;
    prepared->names = plan->names;
    prepared->types = plan->types;
    prepared->table_oids = ARENA_ARRAY(arena, uint32_t, plan->columns_count);
    prepared->attnums = ARENA_ARRAY(arena, int16_t, plan->columns_count);
    for (uint32_t i = 0; i < plan->columns_count; i++)
        column_origin(plan, i, &prepared->table_oids[i], &prepared->attnums[i]);
}

static void describe_dml(struct prepared *prepared, struct arena *arena)
{
    const struct dml_plan *dml = prepared->dml;
    prepared->returns_rows = dml->returning_count > 0;
    prepared->columns_count = dml->returning_count;
    prepared->names = dml->returning_names;
    prepared->types = dml->returning_types;
    prepared->table_oids = ARENA_ARRAY(arena, uint32_t, dml->returning_count);
    prepared->attnums = ARENA_ARRAY(arena, int16_t, dml->returning_count);
}

static bool plan_statement(struct session *session, struct prepared *prepared, struct error *err)
{
    struct catalog *catalog = session->server->catalog;
    struct arena *arena = &prepared->plan_arena;
    struct planner_context ctx;
    struct holder holder = {.prepared = prepared, .catalog = catalog};
    bool ok = true;
    prepared->search_path = path_text(session, arena);
    catalog_read_lock(catalog);
    run_planner(session, &ctx, arena, prepared->sql);
    ctx.params_count = prepared->params_count;
    ctx.params_cap = prepared->params_count;
    ctx.params = arena_copy(arena, prepared->params, prepared->params_count * sizeof(struct sql_type));
    prepared->catalog_version = catalog_version(catalog);
    if (prepared->kind == PREPARED_SELECT) {
        ok = planner_select(&ctx, prepared->node->select_stmt, &prepared->plan, err);
        if (ok) {
            describe_plan(prepared, arena);
            plan_walk(prepared->plan, hold_scan, &holder);
            hold_depends(&holder, &ctx);
        }
    } else {
        ok = bind_dml(&ctx, prepared->node, &prepared->dml, err);
        if (ok) {
            struct dml_plan *dml = prepared->dml;
            describe_dml(prepared, arena);
            hold(&holder, dml->target);
            if (dml->source != NULL)
                plan_walk(dml->source, hold_scan, &holder);
            hold_depends(&holder, &ctx);
            for (uint32_t i = 0; i < dml->truncate_count; i++)
                hold(&holder, dml->truncate[i]->target);
        }
    }
    catalog_unlock(catalog);
    prepared->views_expanded = ctx.expand_ctx != NULL && ((struct expansion *)ctx.expand_ctx)->used;
    if (!ok)
        return false;
    struct sql_type *params = ARENA_ARRAY(&prepared->arena, struct sql_type, ctx.params_count);
    for (uint32_t i = 0; i < ctx.params_count; i++) {
        params[i] = ctx.params[i];
        if (params[i].oid == 0 || params[i].oid == OID_UNKNOWN)
            params[i] = (struct sql_type){.oid = OID_TEXT, .typmod = -1};
    }
    prepared->params = params;
    prepared->params_count = ctx.params_count;
    return true;
}

/* The query inside a statement that is not one itself, if it may have parameters. */
static const PgQuery__Node *inner_query(const struct prepared *prepared)
{
    const PgQuery__Node *node = prepared->node;
    if (node == NULL || prepared->statement->subscribe != NULL)
        return NULL;
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT:
        return node->declare_cursor_stmt->query;
    case PG_QUERY__NODE__NODE_EXPLAIN_STMT:
        return node->explain_stmt->query;
    case PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT:
        return node->create_table_as_stmt->query;
    default:
        return NULL;
    }
}

/* Types of the parameters of a statement that is planned only when it runs: Bind must know them before. */
static bool infer_params(struct session *session, struct prepared *prepared, struct error *err)
{
    const PgQuery__Node *query = inner_query(prepared);
    struct sql_type *params = prepared->params;
    uint32_t count = prepared->params_count;
    bool ok = true;
    if (query != NULL) {
        struct arena *arena = &prepared->plan_arena;
        struct planner_context ctx;
        catalog_read_lock(session->server->catalog);
        run_planner(session, &ctx, arena, prepared->sql);
        ctx.params_count = ctx.params_cap = count;
        ctx.params = arena_copy(arena, params, count * sizeof(*params));
        if (query->node_case == PG_QUERY__NODE__NODE_SELECT_STMT) {
            struct plan *plan;
            ok = planner_select(&ctx, query->select_stmt, &plan, err);
        } else if (query->node_case == PG_QUERY__NODE__NODE_INSERT_STMT ||
                   query->node_case == PG_QUERY__NODE__NODE_UPDATE_STMT ||
                   query->node_case == PG_QUERY__NODE__NODE_DELETE_STMT) {
            struct dml_plan *dml;
            ok = bind_dml(&ctx, query, &dml, err);
        }
        catalog_unlock(session->server->catalog);
        if (!ok)
            return false;
        count = ctx.params_count;
        params = arena_copy(&prepared->arena, ctx.params, count * sizeof(*params));
        arena_reset(arena);
    }
    for (uint32_t i = 0; i < count && ok; i++) {
        if (params[i].oid != 0 && params[i].oid != OID_UNKNOWN)
            continue;
        if (query == NULL)
            ok = error_set(err, ERRCODE_INDETERMINATE_DATATYPE,
                           "could not determine data type of parameter $%u", i + 1);
        params[i] = (struct sql_type){.oid = OID_TEXT, .typmod = -1};
    }
    prepared->params = params;
    prepared->params_count = count;
    return ok;
}

bool prepared_create(struct session *session, const char *sql, const struct sql_type *params,
                     uint32_t params_count, struct prepared **out, struct error *err)
{
    struct prepared *prepared = mem_zalloc(sizeof(*prepared));
    account_init(&prepared->account, &session->server->account, "prepared statement", 0);
    arena_init(&prepared->arena, &prepared->account);
    arena_init(&prepared->plan_arena, &prepared->account);
    prepared->sql = arena_strdup(&prepared->arena, sql);
    prepared->statement = ARENA_NEW(&prepared->arena, struct statement);
    if (params_count > PARAMS_MAX) {
        error_set(err, ERRCODE_TOO_MANY_ARGUMENTS, "a statement can have at most %d parameters", PARAMS_MAX);
        goto failed;
    }
    if (!statement_parse(&prepared->arena, prepared->sql, prepared->statement, err))
        goto failed;
    prepared->parse = prepared->statement->parse;
    prepared->node = prepared->statement->node;
    classify(prepared);
    prepared->params = ARENA_ARRAY(&prepared->arena, struct sql_type, params_count);
    prepared->params_count = prepared->declared_count = params_count;
    for (uint32_t i = 0; i < params_count; i++)
        prepared->params[i] = params[i].oid == OID_UNKNOWN ? (struct sql_type){.typmod = -1} : params[i];
    if (prepared->kind == PREPARED_SELECT || prepared->kind == PREPARED_DML) {
        if (!plan_statement(session, prepared, err))
            goto failed;
    } else if ((params_count > 0 || strchr(sql, '$') != NULL) && !infer_params(session, prepared, err)) {
        goto failed;
    }
    if (prepared->kind == PREPARED_EXPLAIN) {
        static const char *names[] = {"QUERY PLAN"};
        static struct sql_type types[] = {{.oid = OID_TEXT, .typmod = -1}};
        prepared->returns_rows = true;
        prepared->columns_count = 1;
        prepared->names = names;
        prepared->types = types;
    }
    *out = prepared;
    return true;
failed:
    prepared_destroy(prepared);
    *out = NULL;
    return false;
}

void prepared_destroy(struct prepared *prepared)
{
    release_objects(prepared);
    arena_release(&prepared->plan_arena);
    arena_release(&prepared->arena);
    mem_free(prepared);
}

bool prepared_refresh(struct session *session, struct prepared *prepared, struct error *err)
{
    if (prepared->kind != PREPARED_SELECT && prepared->kind != PREPARED_DML)
        return true;
    bool own_changes = transaction_has_changes(session);
    struct arena scratch;
    arena_init(&scratch, NULL);
    bool fresh = prepared->catalog_version == catalog_version(session->server->catalog) && !own_changes &&
                 !prepared->views_expanded &&
                 strcmp(prepared->search_path, path_text(session, &scratch)) == 0;
    if (!fresh && own_changes && !prepared->views_expanded) {
        /* own changes matter only to materialized views over what was changed */
        fresh = prepared->catalog_version == catalog_version(session->server->catalog) &&
                strcmp(prepared->search_path, path_text(session, &scratch)) == 0;
        catalog_read_lock(session->server->catalog);
        for (uint32_t i = 0; i < prepared->objects_count && fresh; i++)
            fresh = prepared->objects[i]->kind != CATALOG_MATERIALIZED_VIEW ||
                    !transaction_touches(session, prepared->objects[i]);
        catalog_unlock(session->server->catalog);
    }
    arena_release(&scratch);
    if (fresh)
        return true;

    uint32_t columns_count = prepared->columns_count;
    struct sql_type *types = mem_alloc((columns_count + 1) * sizeof(*types));
    if (columns_count > 0)
        memcpy(types, prepared->types, columns_count * sizeof(*types));
    release_objects(prepared);
    prepared->objects = NULL;
    prepared->plan = NULL;
    prepared->dml = NULL;
    arena_reset(&prepared->plan_arena);
    bool ok = plan_statement(session, prepared, err);
    if (!ok) { /* nothing of the old plan is left: it is planned again next time */
        prepared->catalog_version = 0;
        prepared->search_path = "";
        prepared->columns_count = columns_count;
        prepared->types = arena_copy(&prepared->arena, types, columns_count * sizeof(*types));
    } else if (prepared->columns_count != columns_count) {
        ok = false;
    } else {
        for (uint32_t i = 0; i < columns_count; i++)
            ok &= prepared->types[i].oid == types[i].oid && prepared->types[i].typmod == types[i].typmod;
    }
    if (!ok && prepared->catalog_version != 0) {
        prepared->catalog_version = 0;
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "cached plan must not change result type");
    }
    mem_free(types);
    return ok;
}

/* ---- running ---- */

struct eval_env run_env(struct session *session, const struct prepared *prepared, const struct datum *params)
{
    struct eval_env env = session->env;
    env.params = params;
    env.param_types = prepared->params;
    env.params_count = prepared->params_count;
    return env;
}

bool run_needs_writing(struct session *session, const char *tag, struct error *err)
{
    return !session->txn.read_only || error_set(err, ERRCODE_READ_ONLY_SQL_TRANSACTION,
                                                "cannot execute %s in a read-only transaction", tag);
}

bool run_no_block(struct session *session, const char *tag, struct error *err)
{
    return session->txn.is_implicit ||
           error_set(err, ERRCODE_ACTIVE_SQL_TRANSACTION, "%s cannot run inside a transaction block", tag);
}

bool prepared_run(struct session *session, struct prepared *prepared, const struct datum *params,
                  struct result_sink *sink, char *tag, struct error *err)
{
    tag[0] = '\0';
    if (!prepared_refresh(session, prepared, err))
        return false;
    switch (prepared->kind) {
    case PREPARED_EMPTY:
        return true;
    case PREPARED_SELECT:
        return run_query(session, prepared, params, sink, tag, err);
    case PREPARED_DML:
        return run_dml(session, prepared, params, sink, tag, err);
    case PREPARED_DDL:
        return run_ddl(session, prepared, sink, tag, err);
    case PREPARED_EXPLAIN:
        return run_explain(session, prepared, params, sink, tag, err);
    case PREPARED_TRANSACTION:
        return run_transaction(session, prepared, tag, err);
    case PREPARED_OTHER:
        return run_other(session, prepared, tag, err);
    default:
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "%s cannot be run here", prepared->tag);
    }
}
