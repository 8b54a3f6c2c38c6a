/* run_prepare.c: prepared statements of SQL. They share their names with those of the protocol. */
#include "server/run_prepare.h"

#include "executor/expr_program.h"
#include "planner/parse_tree.h"
#include "planner/scan.h"
#include "planner/statement.h"
#include "server/session_settings.h"

#include <stdio.h>

#define EXECUTE_NESTING_MAX 10

const char *text_from(struct arena *arena, const char *sql, size_t from)
{
    size_t len = strlen(sql);
    char *text = arena_alloc(arena, len + 1);
    size_t out = 0;
    for (size_t i = 0; i < from; i++) {
        /* one blank per character */
        if (((uint8_t)sql[i] & 0xc0) != 0x80)
            text[out++] = sql[i] == '\n' ? '\n' : ' ';
    }
    memcpy(text + out, sql + from, len - from + 1);
    return text;
}

/* Byte behind the word AS that stands outside all brackets; 0 when there is none. */
static size_t query_start(const char *sql)
{
    struct scanner scanner;
    scan_start(&scanner, sql, strlen(sql));
    uint32_t depth = 0;
    for (;;) {
        struct scan_token token = scan_next(&scanner);
        if (token.kind == SCAN_END || token.kind == SCAN_UNTERMINATED)
            return 0;
        if (scan_is(sql, &token, '('))
            depth++;
        else if (scan_is(sql, &token, ')') && depth > 0)
            depth--;
        else if (depth == 0 && scan_is_word(sql, &token, "as"))
            return token.start + token.len;
    }
}

static bool prepare(struct connection *connection, struct prepared *outer, char *tag, struct error *err)
{
    struct session *session = &connection->session;
    const PgQuery__PrepareStmt *stmt = outer->node->prepare_stmt;
    if (statement_find(connection, stmt->name) != NULL)
        return error_set(err, ERRCODE_DUPLICATE_PREPARED_STATEMENT,
                         "prepared statement \"%s\" already exists", stmt->name);
    struct arena arena;
    arena_init(&arena, NULL);
    struct sql_type *types = ARENA_ARRAY(&arena, struct sql_type, stmt->n_argtypes);
    bool ok = true;
    catalog_read_lock(session->server->catalog);
    struct planner_context ctx;
    planner_init(&ctx, &arena, session->server->catalog, &session->env);
    ctx.sql = outer->sql;
    for (size_t i = 0; i < stmt->n_argtypes && ok; i++) {
        ok = planner_type(&ctx, stmt->argtypes[i]->type_name, &types[i], err);
        if (ok && types[i].oid == OID_UNKNOWN)
            types[i].oid = 0;
    }
    catalog_unlock(session->server->catalog);
    struct prepared *prepared = NULL;
    if (ok) {
        size_t from = query_start(outer->sql);
        ok = prepared_create(session, text_from(&arena, outer->sql, from), types, (uint32_t)stmt->n_argtypes,
                             &prepared, err);
    }
    arena_release(&arena);
    if (!ok)
        return false;
    (void)statement_add(connection, stmt->name, prepared, true);
    snprintf(tag, 64, "PREPARE");
    return true;
}

/* EXECUTE's arguments as values of the parameters' types. */
static bool arguments(struct connection *connection, const struct prepared *outer,
                      const PgQuery__ExecuteStmt *stmt, const struct prepared *inner,
                      const struct datum *params, struct arena *arena, struct datum **out, struct error *err)
{
    struct session *session = &connection->session;
    if (stmt->n_params != inner->params_count) {
        error_set(err, ERRCODE_SYNTAX_ERROR, "wrong number of parameters for prepared statement \"%s\"",
                  stmt->name);
        return error_detail(err, "Expected %u parameters but got %zu.", inner->params_count, stmt->n_params);
    }
    *out = ARENA_ARRAY(arena, struct datum, inner->params_count);
    if (inner->params_count == 0)
        return true;
    session->env.params = params;
    session->env.param_types = outer->params;
    session->env.params_count = outer->params_count;
    catalog_read_lock(session->server->catalog);
    struct planner_context ctx;
    planner_init(&ctx, arena, session->server->catalog, &session->env);
    ctx.sql = outer->sql;
    ctx.params = outer->params;
    ctx.params_count = ctx.params_cap = outer->params_count;
    ctx.params_fixed = true;
    bool ok = true;
    for (uint32_t i = 0; i < inner->params_count && ok; i++) {
        struct expr *expr;
        ok = planner_expression(&ctx, stmt->params[i], NULL, 0, inner->params[i], "EXECUTE parameter", &expr,
                                err) &&
             expr_eval_constant(expr, &session->env, arena, &(*out)[i], err);
    }
    catalog_unlock(session->server->catalog);
    return ok;
}

static bool execute(struct connection *connection, struct prepared *outer, const struct datum *params,
                    struct result_sink *sink, char *tag, struct error *err)
{
    const PgQuery__ExecuteStmt *stmt = outer->node->execute_stmt;
    struct statement_entry *entry = statement_find(connection, stmt->name);
    if (entry == NULL)
        return error_set(err, ERRCODE_INVALID_SQL_STATEMENT_NAME, "prepared statement \"%s\" does not exist",
                         stmt->name);
    if (connection->nesting >= EXECUTE_NESTING_MAX)
        return error_set(err, ERRCODE_STATEMENT_TOO_COMPLEX, "EXECUTE is nested too deeply");
    struct arena arena;
    arena_init(&arena, &connection->session.account);
    entry->references++;
    connection->nesting++;
    struct datum *values = NULL;
    bool ok = prepared_refresh(&connection->session, entry->prepared, err) &&
              arguments(connection, outer, stmt, entry->prepared, params, &arena, &values, err) &&
              session_run(connection, entry->prepared, values, sink, tag, err);
    connection->nesting--;
    statement_release(entry);
    arena_release(&arena);
    return ok;
}

bool run_prepare(struct connection *connection, struct prepared *prepared, const struct datum *params,
                 struct result_sink *sink, char *tag, struct error *err)
{
    switch (prepared->node->node_case) {
    case PG_QUERY__NODE__NODE_PREPARE_STMT:
        return prepare(connection, prepared, tag, err);
    case PG_QUERY__NODE__NODE_EXECUTE_STMT:
        return execute(connection, prepared, params, sink, tag, err);
    case PG_QUERY__NODE__NODE_DEALLOCATE_STMT: {
        const char *name = prepared->node->deallocate_stmt->name;
        if (name == NULL || name[0] == '\0') {
            statement_remove_all(connection);
            snprintf(tag, 64, "DEALLOCATE ALL");
            return true;
        }
        if (!statement_remove(connection, name))
            return error_set(err, ERRCODE_INVALID_SQL_STATEMENT_NAME,
                             "prepared statement \"%s\" does not exist", name);
        snprintf(tag, 64, "DEALLOCATE");
        return true;
    }
    default:
        return error_set(err, ERRCODE_INTERNAL_ERROR, "not a PREPARE statement");
    }
}
