/* run_copy.c: COPY FROM STDIN and TO STDOUT.
 *
 * FROM: the client's bytes are decoded into batches on this thread, and each batch goes the way of an INSERT:
 * defaults, generated columns, checks, then the transaction's changes. Outside BEGIN the whole COPY is one
 * transaction. TO: the query's batches are written as they come. */
#include "server/run_copy.h"

#include "planner/parse_tree.h"
#include "planner/scan.h"
#include "planner/statement.h"
#include "server/copy_options.h"
#include "server/run.h"
#include "server/run_dml.h"
#include "server/run_prepare.h"
#include "server/run_subscribe.h"

#include <stdio.h>

static bool refuse_files(const PgQuery__CopyStmt *stmt, struct error *err)
{
    if (stmt->is_program) {
        error_set(err, ERRCODE_INSUFFICIENT_PRIVILEGE, "COPY to or from an external program is not allowed");
        return error_hint(err, "Only COPY to stdout or from stdin is offered; psql's \\copy also works.");
    }
    if (stmt->filename != NULL && stmt->filename[0] != '\0') {
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                  "COPY to or from a file of the server is not supported");
        return error_hint(err, "Only COPY to stdout or from stdin is offered; psql's \\copy also works.");
    }
    return true;
}

/* CopyInResponse and CopyOutResponse. */
static void send_response(struct wire *wire, char type, enum copy_format format, uint32_t columns_count)
{
    bool binary = format == COPY_BINARY;
    wire_begin(wire, type);
    strbuf_addc(&wire->out, (char)binary);
    wire_put_u16(wire, (uint16_t)columns_count);
    for (uint32_t i = 0; i < columns_count; i++)
        wire_put_u16(wire, binary);
    wire_end(wire);
}

/* ---- FROM ---- */

static bool target_columns(struct arena *arena, const PgQuery__CopyStmt *stmt,
                           const struct catalog_object *target, uint32_t **columns, uint32_t *count,
                           struct error *err)
{
    *columns = ARENA_ARRAY(arena, uint32_t, target->columns_count + stmt->n_attlist);
    *count = 0;
    if (stmt->n_attlist == 0) {
        for (uint32_t i = 0; i < target->columns_count; i++) {
            if (target->columns[i].generated_sql == NULL)
                (*columns)[(*count)++] = i;
        }
        return true;
    }
    for (size_t i = 0; i < stmt->n_attlist; i++) {
        const char *name = node_string(stmt->attlist[i]);
        uint32_t column = 0;
        while (column < target->columns_count && strcmp(target->columns[column].name, name) != 0)
            column++;
        if (column == target->columns_count)
            return error_set(err, ERRCODE_UNDEFINED_COLUMN, "column \"%s\" of relation \"%s\" does not exist",
                             name, target->name);
        if (target->columns[column].generated_sql != NULL) {
            error_set(err, ERRCODE_INVALID_COLUMN_REFERENCE, "column \"%s\" is a generated column", name);
            return error_detail(err, "Generated columns cannot be used in COPY.");
        }
        for (uint32_t before = 0; before < *count; before++) {
            if ((*columns)[before] == column)
                return error_set(err, ERRCODE_DUPLICATE_COLUMN, "column \"%s\" specified more than once",
                                 name);
        }
        (*columns)[(*count)++] = column;
    }
    return true;
}

/* Who may be written to. */
static bool check_target(const struct catalog_object *target, struct error *err)
{
    if (!bind_target_role(target, DML_INSERT, err))
        return false;
    if (target->kind == CATALOG_TABLE || target->kind == CATALOG_STREAM)
        return true;
    const char *what = target->kind == CATALOG_VIEW                ? "view"
                       : target->kind == CATALOG_MATERIALIZED_VIEW ? "materialized view"
                       : target->kind == CATALOG_SEQUENCE          ? "sequence"
                       : target->kind == CATALOG_EXTERNAL_TABLE    ? "external table"
                                                                   : "non-table relation";
    return error_set(err, ERRCODE_WRONG_OBJECT_TYPE, "cannot copy to %s \"%s\"", what, target->name);
}

struct copy_in {
    struct connection *connection;
    struct arena arena;
    struct catalog_object *target;
    struct dml_run *run;
    struct copy_reader *reader;
};

static bool insert_rows(void *ctx, const struct batch *rows, struct error *err)
{
    struct copy_in *in = ctx;
    if (dml_run_insert(in->run, rows, err))
        return true;
    if (err->context[0] == '\0')
        error_context(err, "COPY %s", in->target->name);
    return false;
}

/* Reads CopyData until CopyDone. */
static bool receive(struct copy_in *in, struct error *err)
{
    struct connection *connection = in->connection;
    for (;;) {
        char type;
        const uint8_t *body;
        size_t len;
        if (atomic_load(&connection->session.cancel))
            return error_set(err, ERRCODE_QUERY_CANCELED, "canceling statement due to user request");
        switch (wire_read(&connection->wire, 0, MESSAGE_BYTES_MAX, &type, &body, &len, err)) {
        case WIRE_OK:
            break;
        case WIRE_VIOLATION:
            connection->close_after = true;
            return false;
        case WIRE_TOO_LONG:
            return false;
        default:
            connection->wire.broken = !atomic_load(&connection->terminate);
            if (!connection->wire.broken)
                return error_set(err, ERRCODE_QUERY_CANCELED, "terminating connection");
            return error_set(err, ERRCODE_CONNECTION_FAILURE,
                             "unexpected EOF on client connection with an open transaction");
        }
        switch (type) {
        case 'd':
            if (!copy_reader_feed(in->reader, body, len, err))
                return false;
            break;
        case 'c':
            return copy_reader_end(in->reader, err);
        case 'f': {
            struct wire_cursor cursor = {.at = body, .end = body + len};
            const char *reason = wire_get_text(&cursor);
            error_set(err, ERRCODE_QUERY_CANCELED, "COPY from stdin failed: %.400s", reason);
            connection->copy_failed = true;
            return false;
        }
        case 'H':
        case 'S':
            break; /* sent before the data by clients of the extended protocol */
        default:
            error_set(err, ERRCODE_PROTOCOL_VIOLATION,
                      "unexpected message type 0x%02X during COPY from stdin", (unsigned)(uint8_t)type);
            connection->close_after = type == 'X';
            return false;
        }
    }
}

static bool start_in(struct copy_in *in, struct prepared *prepared, struct copy_settings *settings,
                     struct error *err)
{
    struct session *session = &in->connection->session;
    const PgQuery__CopyStmt *stmt = prepared->node->copy_stmt;
    struct arena *arena = &in->arena;
    struct catalog *catalog = session->server->catalog;
    struct planner_context ctx;
    uint32_t *columns, columns_count;
    struct dml_plan *plan = NULL;

    catalog_read_lock(catalog);
    run_planner(session, &ctx, arena, prepared->sql);
    struct catalog_object *target;
    bool ok = planner_relation(&ctx, stmt->relation, &target, err);
    if (ok) {
        catalog_object_retain(target);
        in->target = target;
        ok = check_target(target, err) &&
             target_columns(arena, stmt, target, &columns, &columns_count, err) &&
             bind_dml_rows(&ctx, target, columns, NULL, columns_count, &plan, err);
    }
    catalog_unlock(catalog);
    if (!ok || !run_needs_writing(session, "COPY FROM", err))
        return false;

    struct copy_column *list = ARENA_ARRAY(arena, struct copy_column, columns_count);
    const char **names = ARENA_ARRAY(arena, const char *, columns_count);
    for (uint32_t i = 0; i < columns_count; i++) {
        list[i] = (struct copy_column){target->columns[columns[i]].name, target->columns[columns[i]].type};
        names[i] = list[i].name;
    }
    if (!copy_settings_resolve(arena, settings, names, columns_count, err))
        return false;
    in->run = dml_run_create(session, plan, &session->env);
    bool takes_rows = dml_run_takes_rows(in->run);
    in->reader =
        copy_reader_create(&settings->options, target->name, list, columns_count, &session->env.io,
                           &session->account, takes_rows ? &session->txn.arena : NULL, insert_rows, in);
    send_response(&in->connection->wire, 'G', settings->options.format, columns_count);
    return wire_flush(&in->connection->wire) ||
           error_set(err, ERRCODE_CONNECTION_FAILURE, "connection to client lost");
}

static bool copy_from(struct connection *connection, struct prepared *prepared,
                      struct copy_settings *settings, char *tag, struct error *err)
{
    if (node_exists(prepared->node->copy_stmt->where_clause))
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "COPY FROM with WHERE is not supported");
    struct copy_in in = {.connection = connection};
    arena_init(&in.arena, &connection->session.account);
    bool ok = start_in(&in, prepared, settings, err) && receive(&in, err) &&
              transaction_check_keys(&connection->session, dml_run_plan(in.run), err);
    if (ok)
        snprintf(tag, 64, "COPY %llu", (unsigned long long)copy_reader_rows(in.reader));
    copy_reader_destroy(in.reader);
    if (in.run != NULL)
        dml_run_destroy(in.run);
    if (in.target != NULL)
        catalog_object_release(in.target);
    arena_release(&in.arena);
    return ok;
}

/* ---- TO ---- */

struct copy_out {
    struct result_sink sink;
    struct connection *connection;
    struct copy_settings *settings;
    struct arena arena;
    struct copy_writer writer;
    bool started, begun;
    uint64_t rows;
};

static bool out_describe(struct result_sink *base, uint32_t columns_count, const char *const *names,
                         const struct sql_type *types, struct error *err)
{
    struct copy_out *out = (struct copy_out *)base;
    struct wire *wire = &out->connection->wire;
    if (!copy_settings_resolve(&out->arena, out->settings, names, columns_count, err) ||
        !copy_writer_init(&out->writer, &out->arena, &out->settings->options, names, types, columns_count,
                          err))
        return false;
    out->started = true;
    send_response(wire, 'H', out->settings->options.format, columns_count);
    /* a line of its own; the binary header stands before the first row in one message, which clients count
     * on */
    if (out->settings->options.format != COPY_BINARY && out->settings->options.header != COPY_HEADER_NONE) {
        wire_begin(wire, 'd');
        copy_writer_start(&out->writer, &wire->out);
        wire_end(wire);
    }
    return true;
}

/* Begins the message of a row or of the binary trailer. */
static void out_begin(struct copy_out *out)
{
    struct wire *wire = &out->connection->wire;
    wire_begin(wire, 'd');
    if (out->settings->options.format == COPY_BINARY && !out->begun)
        copy_writer_start(&out->writer, &wire->out);
    out->begun = true;
}

static bool out_rows(struct result_sink *base, const struct batch *rows, bool *stop, struct error *err)
{
    struct copy_out *out = (struct copy_out *)base;
    struct wire *wire = &out->connection->wire;
    const struct io_env *io = &out->connection->session.env.io;
    for (uint32_t row = 0; row < rows->rows; row++) {
        for (int64_t copies = batch_weight(rows, row); copies > 0; copies--) {
            out_begin(out);
            copy_writer_row(&out->writer, rows, row, io, &wire->out);
            wire_end(wire);
            out->rows++;
        }
        if (wire->broken)
            return error_set(err, ERRCODE_CONNECTION_FAILURE, "connection to client lost");
    }
    return true;
}

/* The text between the parentheses of COPY (...) TO, everything else blank. */
static const char *query_text(struct arena *arena, const char *sql)
{
    struct scanner scanner;
    scan_start(&scanner, sql, strlen(sql));
    uint32_t depth = 0;
    size_t from = 0;
    for (;;) {
        struct scan_token token = scan_next(&scanner);
        if (token.kind == SCAN_END || token.kind == SCAN_UNTERMINATED)
            return "";
        if (scan_is(sql, &token, '(') && depth++ == 0)
            from = token.start + token.len;
        if (scan_is(sql, &token, ')') && --depth == 0)
            return text_from(arena, arena_strndup(arena, sql, token.start), from);
    }
}

/* COPY t (a, b) TO as the query it stands for. */
static const char *table_text(struct connection *connection, struct arena *arena,
                              const PgQuery__CopyStmt *stmt, const char *sql, struct error *err)
{
    struct session *session = &connection->session;
    struct catalog *catalog = session->server->catalog;
    struct planner_context ctx;
    struct catalog_object *source;
    uint32_t *columns, columns_count;
    struct strbuf text = STRBUF_INIT;
    catalog_read_lock(catalog);
    run_planner(session, &ctx, arena, sql);
    bool ok = planner_relation(&ctx, stmt->relation, &source, err);
    if (ok &&
        (source->kind == CATALOG_VIEW || source->kind == CATALOG_SEQUENCE || source->kind == CATALOG_INDEX)) {
        ok = error_set(err, ERRCODE_WRONG_OBJECT_TYPE, "cannot copy from %s \"%s\"",
                       source->kind == CATALOG_VIEW       ? "view"
                       : source->kind == CATALOG_SEQUENCE ? "sequence"
                                                          : "index",
                       source->name);
        error_hint(err, "Try the COPY (SELECT ...) TO variant.");
    }
    ok = ok && target_columns(arena, stmt, source, &columns, &columns_count, err);
    if (ok) {
        strbuf_adds(&text, "SELECT ");
        for (uint32_t i = 0; i < columns_count; i++) {
            if (i > 0)
                strbuf_adds(&text, ", ");
            statement_quote_name(source->columns[columns[i]].name, &text);
        }
        strbuf_adds(&text, " FROM ");
        const struct catalog_schema *schema = catalog_find_schema_oid(catalog, source->schema_oid);
        if (schema != NULL) {
            statement_quote_name(schema->name, &text);
            strbuf_addc(&text, '.');
        }
        statement_quote_name(source->name, &text);
    }
    catalog_unlock(catalog);
    const char *result = ok ? arena_strdup(arena, strbuf_text(&text)) : NULL;
    strbuf_release(&text);
    return result;
}

static bool run_source(struct copy_out *out, struct prepared *prepared, struct error *err)
{
    struct connection *connection = out->connection;
    const PgQuery__CopyStmt *stmt = prepared->node->copy_stmt;
    if (prepared->statement->subscribe != NULL) {
        struct subscribe_run *run;
        if (!subscribe_open(&connection->session, prepared->statement, &run, err))
            return false;
        uint32_t count;
        const char **names;
        struct sql_type *types;
        subscribe_columns(run, &count, &names, &types);
        bool streamed = out_describe(&out->sink, count, names, types, err) &&
                        subscribe_stream(connection, run, &out->sink, err);
        subscribe_close(run);
        return streamed;
    }
    const char *text = node_exists(stmt->query)
                           ? query_text(&out->arena, prepared->sql)
                           : table_text(connection, &out->arena, stmt, prepared->sql, err);
    if (text == NULL)
        return false;
    struct prepared *inner;
    if (!prepared_create(&connection->session, text, NULL, 0, &inner, err))
        return false;
    char tag[64];
    bool ok = session_run(connection, inner, NULL, &out->sink, tag, err);
    prepared_destroy(inner);
    if (ok && !out->started)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "COPY query must have a RETURNING clause");
    return ok;
}

static bool copy_to(struct connection *connection, struct prepared *prepared, struct copy_settings *settings,
                    char *tag, struct error *err)
{
    struct wire *wire = &connection->wire;
    struct copy_out out = {
        .sink = {.describe = out_describe, .rows = out_rows}, .connection = connection, .settings = settings};
    arena_init(&out.arena, &connection->session.account);
    bool ok = run_source(&out, prepared, err);
    if (ok) {
        if (settings->options.format == COPY_BINARY) {
            out_begin(&out);
            copy_writer_end(&out.writer, &wire->out);
            wire_end(wire);
        }
        wire_put_empty(wire, 'c');
        snprintf(tag, 64, "COPY %llu", (unsigned long long)out.rows);
    }
    copy_writer_release(&out.writer);
    arena_release(&out.arena);
    return ok;
}

bool run_copy(struct connection *connection, struct prepared *prepared, char *tag, struct error *err)
{
    const PgQuery__CopyStmt *stmt = prepared->node->copy_stmt;
    struct copy_settings settings;
    if (!refuse_files(stmt, err))
        return false;
    struct arena arena;
    arena_init(&arena, NULL);
    bool ok = copy_settings_parse(&arena, stmt, &settings, err) &&
              (stmt->is_from ? copy_from(connection, prepared, &settings, tag, err)
                             : copy_to(connection, prepared, &settings, tag, err));
    arena_release(&arena);
    return ok;
}
