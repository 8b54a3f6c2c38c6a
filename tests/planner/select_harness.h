/* select_harness.h: plans and runs SQL without a server: tables of a private catalog and engine.
 *
 * Understands CREATE TABLE (columns, PRIMARY KEY), INSERT ... SELECT or VALUES, CREATE VIEW v AS, SELECT, and
 * EXPLAIN SELECT. Results are text: one line per row, values separated by '|', errors as "ERROR 42703 at 8:
 * message". */
#ifndef MILLRACE_TESTS_SELECT_HARNESS_H
#define MILLRACE_TESTS_SELECT_HARNESS_H

#include "executor/engine.h"
#include "executor/query.h"
#include "planner/explain.h"
#include "planner/planner.h"

#include <pg_query.h>

struct harness {
    struct engine *engine;
    struct catalog *catalog;
    struct eval_env env;
    struct session_info session;
    uint32_t passes_off;
    bool for_view;
    struct arena arena;
};

static const char *const harness_path[] = {"public", NULL};

static inline void harness_open(struct harness *h)
{
    *h = (struct harness){0};
    h->engine = engine_create(&(struct engine_options){.shards = 1});
    h->catalog = catalog_create();
    h->session = (struct session_info){.user = "me",
                                       .database = "db",
                                       .application_name = "",
                                       .search_path = harness_path,
                                       .catalog = h->catalog};
    h->env = (struct eval_env){.io = io_env_default, .session = &h->session};
    arena_init(&h->arena, NULL);
}

static inline void harness_close(struct harness *h)
{
    catalog_destroy(h->catalog);
    engine_destroy(h->engine);
    arena_release(&h->arena);
}

static inline bool harness_create(struct harness *h, struct planner_context *ctx,
                                  const PgQuery__CreateStmt *create, struct error *err)
{
    struct catalog_object *object = catalog_object_create();
    struct arena *arena = &object->arena;
    object->oid = catalog_new_oid(h->catalog);
    object->schema_oid = SCHEMA_PUBLIC;
    object->kind = CATALOG_TABLE;
    object->name = arena_strdup(arena, create->relation->relname);
    object->columns = ARENA_ARRAY(arena, struct catalog_column, create->n_table_elts);
    uint32_t keys_count = 0, *keys = ARENA_ARRAY(arena, uint32_t, create->n_table_elts);
    struct sql_type *types = ARENA_ARRAY(arena, struct sql_type, create->n_table_elts);
    const char **names = ARENA_ARRAY(arena, const char *, create->n_table_elts);
    for (size_t i = 0; i < create->n_table_elts; i++) {
        const PgQuery__ColumnDef *def = create->table_elts[i]->column_def;
        struct catalog_column *column = &object->columns[object->columns_count];
        column->name = arena_strdup(arena, def->colname);
        if (!planner_type(ctx, def->type_name, &column->type, err))
            return false;
        if (def->n_constraints > 0)
            keys[keys_count++] = object->columns_count;
        types[object->columns_count] = column->type;
        names[object->columns_count++] = column->name;
    }
    if (keys_count > 0) {
        object->constraints_count = 1;
        object->constraints = ARENA_ARRAY(arena, struct catalog_constraint, 1);
        object->constraints[0] = (struct catalog_constraint){
            .name = "key", .kind = CONSTRAINT_PRIMARY_KEY, .columns_count = keys_count, .columns = keys};
    }
    struct relation_desc desc = {.oid = object->oid,
                                 .kind = RELATION_TABLE,
                                 .schema = "public",
                                 .name = object->name,
                                 .columns_count = object->columns_count,
                                 .types = types,
                                 .column_names = names,
                                 .key_count = keys_count,
                                 .key_columns = keys,
                                 .key_name = "key"};
    return engine_create_relation(h->engine, &desc, &object->relation, err) &&
           catalog_add(h->catalog, object, err);
}

static inline bool harness_select(struct harness *h, struct planner_context *ctx,
                                  const PgQuery__SelectStmt *select, struct batch **rows, struct error *err)
{
    struct plan *plan;
    if (!planner_select(ctx, select, &plan, err))
        return false;
    uint64_t snapshot = snapshot_open(engine_snapshots(h->engine), 0);
    struct query_options options = {.snapshot = snapshot, .env = &h->env};
    bool ok = query_collect(plan, &options, &h->arena, rows, err);
    snapshot_close(engine_snapshots(h->engine), snapshot);
    return ok;
}

static inline bool harness_insert(struct harness *h, struct planner_context *ctx,
                                  const PgQuery__InsertStmt *insert, struct error *err)
{
    struct batch *rows;
    struct catalog_object *object = catalog_find(h->catalog, NULL, insert->relation->relname, harness_path);
    if (!harness_select(h, ctx, insert->select_stmt->select_stmt, &rows, err))
        return false;
    struct sql_type *types = ARENA_ARRAY(&h->arena, struct sql_type, object->columns_count);
    for (uint32_t i = 0; i < object->columns_count; i++)
        types[i] = object->columns[i].type;
    struct batch *converted = batch_create(&h->arena, types, object->columns_count, rows->rows);
    struct strbuf text = STRBUF_INIT;
    for (uint32_t r = 0; r < rows->rows; r++) {
        struct datum *values = ARENA_ARRAY(&h->arena, struct datum, object->columns_count);
        for (uint32_t c = 0; c < object->columns_count; c++) {
            values[c] = column_get(&rows->columns[c], r);
            if (values[c].is_null)
                continue;
            strbuf_reset(&text);
            type_output(rows->columns[c].type.oid, &values[c], &h->env.io, &text);
            if (!type_input(types[c].oid, types[c].typmod, strbuf_text(&text), text.len, &h->env.io,
                            &h->arena, &values[c], err)) {
                strbuf_release(&text);
                return false;
            }
        }
        batch_append_datums(converted, values, 1);
    }
    strbuf_release(&text);
    struct txn_change change = {object->relation, converted, NULL};
    struct engine_txn txn = {.changes_count = 1, .changes = &change};
    uint64_t epoch;
    return engine_commit(h->engine, &txn, NULL, &epoch, err);
}

static inline bool harness_statement(struct harness *h, struct planner_context *ctx,
                                     const PgQuery__Node *node, const char *sql, struct strbuf *out,
                                     struct error *err)
{
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_CREATE_STMT:
        return harness_create(h, ctx, node->create_stmt, err);
    case PG_QUERY__NODE__NODE_INSERT_STMT:
        return harness_insert(h, ctx, node->insert_stmt, err);
    case PG_QUERY__NODE__NODE_EXPLAIN_STMT: {
        struct plan *plan;
        ctx->for_view = h->for_view;
        return planner_select(ctx, node->explain_stmt->query->select_stmt, &plan, err) &&
               planner_explain(plan, out);
    }
    case PG_QUERY__NODE__NODE_VIEW_STMT: {
        struct catalog_object *object = catalog_object_create();
        struct arena *arena = &object->arena;
        struct plan *plan;
        if (!planner_select(ctx, node->view_stmt->query->select_stmt, &plan, err))
            return false;
        object->oid = catalog_new_oid(h->catalog);
        object->schema_oid = SCHEMA_PUBLIC;
        object->kind = CATALOG_VIEW;
        object->name = arena_strdup(arena, node->view_stmt->view->relname);
        object->query_sql = arena_strdup(arena, strstr(sql, " as ") + 4);
        object->columns_count = plan->columns_count;
        object->columns = ARENA_ARRAY(arena, struct catalog_column, plan->columns_count);
        for (uint32_t i = 0; i < plan->columns_count; i++)
            object->columns[i] =
                (struct catalog_column){.name = arena_strdup(arena, plan->names[i]), .type = plan->types[i]};
        return catalog_add(h->catalog, object, err);
    }
    default:
        break;
    }
    struct batch *rows;
    if (!harness_select(h, ctx, node->select_stmt, &rows, err))
        return false;
    for (uint32_t r = 0; r < rows->rows; r++) {
        for (uint32_t c = 0; c < rows->columns_count; c++) {
            struct datum value = column_get(&rows->columns[c], r);
            strbuf_adds(out, c > 0 ? "|" : "");
            if (value.is_null)
                continue;
            if (rows->columns[c].type.oid == OID_BOOL)
                strbuf_adds(out, value.boolean ? "t" : "f");
            else
                type_output(rows->columns[c].type.oid, &value, &h->env.io, out);
        }
        strbuf_adds(out, "\n");
    }
    return true;
}

/* Appends what the statement gives. */
static inline void harness_run(struct harness *h, const char *sql, struct strbuf *out)
{
    struct error err;
    error_init(&err);
    PgQueryProtobufParseResult parsed = pg_query_parse_protobuf(sql);
    if (parsed.error != NULL) {
        strbuf_addf(out, "ERROR 42601 %s\n", parsed.error->message);
        pg_query_free_protobuf_parse_result(parsed);
        return;
    }
    PgQuery__ParseResult *tree =
        pg_query__parse_result__unpack(NULL, parsed.parse_tree.len, (const uint8_t *)parsed.parse_tree.data);
    for (size_t i = 0; i < tree->n_stmts; i++) {
        struct planner_context ctx;
        planner_init(&ctx, &h->arena, h->catalog, &h->env);
        ctx.passes_off = h->passes_off;
        ctx.sql = sql;
        catalog_read_lock(h->catalog);
        bool is_write = tree->stmts[i]->stmt->node_case == PG_QUERY__NODE__NODE_CREATE_STMT ||
                        tree->stmts[i]->stmt->node_case == PG_QUERY__NODE__NODE_VIEW_STMT;
        if (is_write) {
            catalog_unlock(h->catalog);
            catalog_write_lock(h->catalog);
        }
        if (!harness_statement(h, &ctx, tree->stmts[i]->stmt, sql, out, &err)) {
            strbuf_addf(out, "ERROR %s", error_sqlstate(err.code));
            if (err.position > 0)
                strbuf_addf(out, " at %d", err.position);
            strbuf_addf(out, ": %s\n", err.message);
        }
        catalog_unlock(h->catalog);
    }
    pg_query__parse_result__free_unpacked(tree, NULL);
    pg_query_free_protobuf_parse_result(parsed);
}

#endif
