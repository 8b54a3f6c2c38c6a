/* session_run.c: one statement of any kind, and the sink that puts its rows on the wire. */
#include "planner/parse_tree.h"
#include "planner/statement.h"
#include "server/connection.h"
#include "server/run_copy.h"
#include "server/run_cursor.h"
#include "server/run_prepare.h"
#include "server/run_set.h"
#include "server/run_subscribe.h"
#include "server/session_settings.h"

/* ---- rows to the client ---- */

static bool wire_sink_describe(struct result_sink *base, uint32_t columns_count, const char *const *names,
                               const struct sql_type *types, struct error *err)
{
    struct wire_sink *sink = (struct wire_sink *)base;
    if (!row_writer_init(&sink->writer, &sink->arena, types, columns_count, sink->formats,
                         sink->formats_count, err))
        return false;
    if (sink->send_description) {
        const struct prepared *prepared = sink->prepared;
        bool origins = prepared != NULL && prepared->columns_count == columns_count;
        row_description_send(&sink->connection->wire, columns_count, names, types,
                             origins ? prepared->table_oids : NULL, origins ? prepared->attnums : NULL,
                             sink->formats, sink->formats_count);
    }
    return true;
}

static bool wire_sink_rows(struct result_sink *base, const struct batch *rows, bool *stop, struct error *err)
{
    struct wire_sink *sink = (struct wire_sink *)base;
    sink->rows += row_writer_send(&sink->writer, &sink->connection->wire, rows, 0, rows->rows,
                                  &sink->connection->session.env.io);
    if (sink->connection->wire.broken)
        return error_set(err, ERRCODE_CONNECTION_FAILURE, "connection to client lost");
    return true;
}

static void wire_sink_binary(struct result_sink *base)
{
    static const int16_t binary = 1;
    struct wire_sink *sink = (struct wire_sink *)base;
    sink->formats = &binary;
    sink->formats_count = 1;
}

void wire_sink_init(struct wire_sink *sink, struct connection *connection, const struct prepared *prepared,
                    bool send_description)
{
    *sink = (struct wire_sink){
        .sink = {.describe = wire_sink_describe, .rows = wire_sink_rows, .set_binary = wire_sink_binary},
        .connection = connection,
        .prepared = prepared,
        .send_description = send_description,
    };
    arena_init(&sink->arena, NULL);
}

void wire_sink_release(struct wire_sink *sink)
{
    arena_release(&sink->arena);
}

/* ---- statements ---- */

/* What BEGIN, COMMIT, SAVEPOINT ... mean for settings and cursors. The transaction itself has been dealt
 * with. */
static void after_transaction_statement(struct connection *connection, const PgQuery__TransactionStmt *stmt,
                                        const char *tag)
{
    struct session *session = &connection->session;
    switch (stmt->kind) {
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START: {
        struct error ignored;
        bool set = session_settings_set(session->settings, "transaction_read_only",
                                        session->txn.read_only ? "on" : "off", true, &ignored);
        CHECK(set);
        break;
    }
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT:
        connection_transaction_ended(connection, strncmp(tag, "COMMIT", 6) == 0);
        break;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK:
        connection_transaction_ended(connection, false);
        break;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_SAVEPOINT:
        connection_savepoint(connection, stmt->savepoint_name);
        break;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_RELEASE:
        connection_savepoint_released(connection, stmt->savepoint_name);
        break;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO:
        connection_savepoint_undone(connection, stmt->savepoint_name);
        break;
    default:
        break;
    }
}

bool session_run(struct connection *connection, struct prepared *prepared, const struct datum *params,
                 struct result_sink *sink, char *tag, struct error *err)
{
    struct session *session = &connection->session;
    switch (prepared->kind) {
    case PREPARED_EMPTY:
        tag[0] = '\0';
        return true;
    case PREPARED_SET:
        return run_set(session, prepared->node, sink, tag, err);
    case PREPARED_COPY:
        return run_copy(connection, prepared, tag, err);
    case PREPARED_CURSOR:
        return run_cursor(connection, prepared, params, sink, tag, err);
    case PREPARED_SUBSCRIBE:
        return run_subscribe(connection, prepared, sink, tag, err);
    case PREPARED_PREPARE:
        return run_prepare(connection, prepared, params, sink, tag, err);
    case PREPARED_TRANSACTION:
        if (!prepared_run(session, prepared, params, sink, tag, err))
            return false;
        after_transaction_statement(connection, prepared->node->transaction_stmt, tag);
        return true;
    default:
        return prepared_run(session, prepared, params, sink, tag, err);
    }
}

bool session_columns(struct connection *connection, struct prepared *prepared, bool *returns, uint32_t *count,
                     const char ***names, struct sql_type **types, struct error *err)
{
    struct session *session = &connection->session;
    const PgQuery__Node *node = prepared->node;
    *returns = prepared->returns_rows;
    *count = prepared->columns_count;
    *names = prepared->names;
    *types = prepared->types;
    if (node == NULL)
        return true;
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT:
        *returns = true;
        return show_columns(session, node, &connection->message_arena, count, names, types, err);
    case PG_QUERY__NODE__NODE_FETCH_STMT: {
        struct portal *portal = portal_find(connection, node->fetch_stmt->portalname);
        if (node->fetch_stmt->ismove) {
            *returns = false;
            return true;
        }
        if (portal == NULL || !portal->is_cursor)
            return error_set(err, ERRCODE_INVALID_CURSOR_NAME, "cursor \"%s\" does not exist",
                             node->fetch_stmt->portalname);
        *returns = true;
        *count = portal->columns_count;
        *names = portal->names;
        *types = portal->types;
        return true;
    }
    case PG_QUERY__NODE__NODE_EXECUTE_STMT: {
        struct statement_entry *entry = statement_find(connection, node->execute_stmt->name);
        if (entry == NULL)
            return error_set(err, ERRCODE_INVALID_SQL_STATEMENT_NAME,
                             "prepared statement \"%s\" does not exist", node->execute_stmt->name);
        if (entry->prepared->kind == PREPARED_PREPARE) {
            *returns = false;
            return true;
        }
        return session_columns(connection, entry->prepared, returns, count, names, types, err);
    }
    default:
        break;
    }
    if (prepared->kind == PREPARED_SUBSCRIBE) {
        /* opened and closed again: only the names are wanted */
        struct subscribe_run *run;
        if (!subscribe_open(session, prepared->statement, &run, err))
            return false;
        const char **run_names;
        struct sql_type *run_types;
        subscribe_columns(run, count, &run_names, &run_types);
        *returns = true;
        *names = ARENA_ARRAY(&connection->message_arena, const char *, *count);
        for (uint32_t i = 0; i < *count; i++)
            (*names)[i] = arena_strdup(&connection->message_arena, run_names[i]);
        *types = arena_copy(&connection->message_arena, run_types, sizeof(**types) * *count);
        subscribe_close(run);
    }
    return true;
}
