/* session_extended.c: Parse, Bind, Describe, Execute, Close, Flush, Sync (PostgreSQL manual 55.2.3).
 *
 * The first message opens an implicit transaction which Sync commits. After an error everything is skipped
 * until Sync. A portal run without row limit streams; with one, its result is computed once, kept, and given
 * out piece by piece. */
#include "planner/statement.h"
#include "server/connection.h"
#include "server/run_subscribe.h"
#include "server/session_settings.h"
#include "storage/base/clock.h"
#include "storage/data/text_check.h"

#include <stdio.h>

#define CONFLICT_RETRIES 100

static bool is_committed_text(const struct prepared *prepared)
{
    return prepared->kind == PREPARED_TRANSACTION && connection_ends_transaction(prepared->sql);
}

/* ---- Parse ---- */

static bool parse_message(struct connection *connection, struct wire_cursor *cursor, bool *malformed,
                          struct error *err)
{
    struct arena *arena = &connection->message_arena;
    const char *name = wire_get_text(cursor);
    const char *sql = wire_get_text(cursor);
    uint16_t types_count = wire_get_u16(cursor);
    struct sql_type *types = ARENA_ARRAY(arena, struct sql_type, types_count);
    for (uint32_t i = 0; i < types_count; i++)
        types[i] = (struct sql_type){.oid = wire_get_u32(cursor), .typmod = -1};
    if (cursor->bad || cursor->at != cursor->end) {
        *malformed = true;
        return error_set(err, ERRCODE_PROTOCOL_VIOLATION, "invalid message format");
    }
    if (name[0] == '\0')
        (void)statement_remove(connection, "");
    else if (statement_find(connection, name) != NULL)
        return error_set(err, ERRCODE_DUPLICATE_PREPARED_STATEMENT,
                         "prepared statement \"%s\" already exists", name);
    size_t len = strlen(sql);
    if (!text_check_utf8(sql, len, err) || !text_check_utf8(name, strlen(name), err))
        return false;
    for (uint32_t i = 0; i < types_count; i++) {
        if (types[i].oid == OID_UNKNOWN)
            types[i].oid = 0;
        if (types[i].oid != 0 && type_find(types[i].oid) == NULL)
            return error_set(err, ERRCODE_UNDEFINED_OBJECT, "type with OID %u does not exist", types[i].oid);
    }
    struct statement_piece *pieces;
    uint32_t count;
    if (!statement_split(arena, sql, len, &pieces, &count, err))
        return false;
    if (count > 1) {
        struct statement parsed;
        for (uint32_t i = 0; i < count; i++) {
            if (!statement_parse(arena, arena_strndup(arena, sql + pieces[i].start, pieces[i].len), &parsed,
                                 err)) {
                if (err->position > 0)
                    err->position += pieces[i].position_base;
                return false;
            }
        }
        return error_set(err, ERRCODE_SYNTAX_ERROR,
                         "cannot insert multiple commands into a prepared statement");
    }
    int32_t base = count == 1 ? pieces[0].position_base : 0;
    const char *text = count == 1 ? arena_strndup(arena, sql + pieces[0].start, pieces[0].len) : "";
    session_set_activity(&connection->session, text);
    struct prepared *prepared;
    bool ok = connection_begin_statement(connection, connection_ends_transaction(text), err) &&
              prepared_create(&connection->session, text, types, types_count, &prepared, err);
    session_set_activity(&connection->session, NULL);
    if (!ok) {
        if (err->position > 0)
            err->position += base;
        return false;
    }
    (void)statement_add(connection, name, prepared, false);
    wire_put_empty(&connection->wire, '1');
    return true;
}

/* ---- Bind ---- */

static bool bind_params(struct connection *connection, struct portal *portal, const struct prepared *prepared,
                        struct wire_cursor *cursor, const int16_t *formats, uint32_t formats_count,
                        uint32_t params_count, bool *malformed, struct error *err)
{
    portal->params = ARENA_ARRAY(&portal->arena, struct datum, params_count);
    for (uint32_t i = 0; i < params_count; i++) {
        int32_t len = (int32_t)wire_get_u32(cursor);
        const uint8_t *bytes = len == -1 ? NULL : wire_get_bytes(cursor, len < 0 ? SIZE_MAX : (size_t)len);
        if (cursor->bad) {
            *malformed = true;
            return error_set(err, ERRCODE_PROTOCOL_VIOLATION, "insufficient data left in message");
        }
        int16_t format = formats_count == 0 ? 0 : formats_count == 1 ? formats[0] : formats[i];
        if (!value_read(prepared->params[i], format, bytes, len < 0 ? 0 : (size_t)len,
                        &connection->session.env.io, &portal->arena, &portal->params[i], err)) {
            if (portal->name[0] == '\0')
                error_context(err, "unnamed portal parameter $%u", i + 1);
            else
                error_context(err, "portal \"%s\" parameter $%u", portal->name, i + 1);
            return false;
        }
    }
    return true;
}

static bool bind_message(struct connection *connection, struct wire_cursor *cursor, bool *malformed,
                         struct error *err)
{
    struct arena *arena = &connection->message_arena;
    const char *portal_name = wire_get_text(cursor);
    const char *statement_name = wire_get_text(cursor);
    uint16_t formats_count = wire_get_u16(cursor);
    int16_t *formats = ARENA_ARRAY(arena, int16_t, formats_count);
    for (uint32_t i = 0; i < formats_count; i++)
        formats[i] = (int16_t)wire_get_u16(cursor);
    uint16_t params_count = wire_get_u16(cursor);
    if (cursor->bad) {
        *malformed = true;
        return error_set(err, ERRCODE_PROTOCOL_VIOLATION, "insufficient data left in message");
    }
    struct statement_entry *statement = statement_find(connection, statement_name);
    if (statement == NULL) {
        if (statement_name[0] == '\0')
            return error_set(err, ERRCODE_INVALID_SQL_STATEMENT_NAME,
                             "unnamed prepared statement does not exist");
        return error_set(err, ERRCODE_INVALID_SQL_STATEMENT_NAME, "prepared statement \"%s\" does not exist",
                         statement_name);
    }
    struct prepared *prepared = statement->prepared;
    if (!connection_begin_statement(connection, is_committed_text(prepared), err) ||
        !prepared_refresh(&connection->session, prepared, err))
        return false;
    if (formats_count > 1 && formats_count != params_count)
        return error_set(err, ERRCODE_PROTOCOL_VIOLATION,
                         "bind message has %u parameter formats but %u parameters", formats_count,
                         params_count);
    if (params_count != prepared->params_count)
        return error_set(err, ERRCODE_PROTOCOL_VIOLATION,
                         "bind message supplies %u parameters, but prepared statement \"%s\" requires %u",
                         params_count, statement_name, prepared->params_count);
    struct portal *old = portal_find(connection, portal_name);
    if (old != NULL && portal_name[0] != '\0')
        return error_set(err, ERRCODE_DUPLICATE_CURSOR, "cursor \"%s\" already exists", portal_name);
    if (old != NULL)
        portal_remove(connection, old);
    struct portal *portal = portal_add(connection, portal_name);
    portal->statement = statement;
    statement->references++;
    if (!bind_params(connection, portal, prepared, cursor, formats, formats_count, params_count, malformed,
                     err)) {
        portal_remove(connection, portal);
        return false;
    }
    uint16_t results_count = wire_get_u16(cursor);
    portal->formats = ARENA_ARRAY(&portal->arena, int16_t, results_count);
    portal->formats_count = results_count;
    for (uint32_t i = 0; i < results_count; i++)
        portal->formats[i] = (int16_t)wire_get_u16(cursor);
    if (cursor->bad || cursor->at != cursor->end) {
        portal_remove(connection, portal);
        *malformed = true;
        return error_set(err, ERRCODE_PROTOCOL_VIOLATION, "invalid message format");
    }
    wire_put_empty(&connection->wire, '2');
    return true;
}

/* ---- Describe ---- */

static bool describe_columns(struct connection *connection, struct prepared *prepared, const int16_t *formats,
                             uint32_t formats_count, struct error *err)
{
    bool returns;
    uint32_t count;
    const char **names;
    struct sql_type *types;
    if (!session_columns(connection, prepared, &returns, &count, &names, &types, err))
        return false;
    if (!returns) {
        wire_put_empty(&connection->wire, 'n');
        return true;
    }
    if (formats_count > 1 && formats_count != count)
        return error_set(err, ERRCODE_PROTOCOL_VIOLATION,
                         "bind message has %u result formats but query has %u columns", formats_count, count);
    bool origins = prepared->columns_count == count && prepared->types == types;
    row_description_send(&connection->wire, count, names, types, origins ? prepared->table_oids : NULL,
                         origins ? prepared->attnums : NULL, formats, formats_count);
    return true;
}

static bool describe_message(struct connection *connection, struct wire_cursor *cursor, bool *malformed,
                             struct error *err)
{
    uint8_t what = wire_get_u8(cursor);
    const char *name = wire_get_text(cursor);
    if (cursor->bad || cursor->at != cursor->end || (what != 'S' && what != 'P')) {
        *malformed = true;
        return error_set(err, ERRCODE_PROTOCOL_VIOLATION, "invalid DESCRIBE message subtype %u", what);
    }
    if (what == 'S') {
        struct statement_entry *statement = statement_find(connection, name);
        if (statement == NULL)
            return error_set(err, ERRCODE_INVALID_SQL_STATEMENT_NAME,
                             "prepared statement \"%s\" does not exist", name);
        struct prepared *prepared = statement->prepared;
        if (!connection_begin_statement(connection, is_committed_text(prepared), err) ||
            !prepared_refresh(&connection->session, prepared, err))
            return false;
        wire_begin(&connection->wire, 't');
        wire_put_u16(&connection->wire, (uint16_t)prepared->params_count);
        for (uint32_t i = 0; i < prepared->params_count; i++)
            wire_put_u32(&connection->wire, prepared->params[i].oid);
        wire_end(&connection->wire);
        return describe_columns(connection, prepared, NULL, 0, err);
    }
    struct portal *portal = portal_find(connection, name);
    if (portal == NULL)
        return error_set(err, ERRCODE_INVALID_CURSOR_NAME, "portal \"%s\" does not exist", name);
    if (portal->is_cursor) {
        int16_t format = portal->is_binary;
        row_description_send(&connection->wire, portal->columns_count, portal->names, portal->types, NULL,
                             NULL, &format, 1);
        return true;
    }
    if (!connection_begin_statement(connection, is_committed_text(portal->statement->prepared), err))
        return false;
    return describe_columns(connection, portal->statement->prepared, portal->formats, portal->formats_count,
                            err);
}

/* ---- Execute ---- */

/* Gives out up to max_rows (0: all) rows of a kept result. *suspended: there may be more. */
static bool send_stored(struct connection *connection, struct portal *portal, uint32_t max_rows,
                        struct result_sink *sink, uint64_t *given, bool *suspended, struct error *err)
{
    uint64_t left = portal->stored->rows - portal->position;
    uint64_t count = max_rows == 0 || left < max_rows ? left : max_rows;
    if (!sink->describe(sink, portal->stored->columns_count, portal->stored->names, portal->stored->types,
                        err) ||
        !stored_rows_send(portal->stored, portal->position, count, false, sink, err))
        return false;
    portal->position += count;
    *given = count;
    *suspended = max_rows != 0 && count == max_rows;
    return true;
}

/* A subscription never ends by itself: with a row limit it waits for at least one row. */
static bool execute_subscription(struct connection *connection, struct portal *portal,
                                 struct prepared *prepared, uint32_t max_rows, struct result_sink *sink,
                                 struct error *err)
{
    struct session *session = &connection->session;
    if (portal->subscription == NULL &&
        !subscribe_open(session, prepared->statement, &portal->subscription, err))
        return false;
    uint32_t columns_count;
    const char **names;
    struct sql_type *types;
    subscribe_columns(portal->subscription, &columns_count, &names, &types);
    if (!sink->describe(sink, columns_count, names, types, err))
        return false;
    if (max_rows == 0)
        return subscribe_stream(connection, portal->subscription, sink, err);
    int64_t timeout_ms = session_settings_number(session->settings, SESSION_FETCH_TIMEOUT);
    int64_t deadline_ns = timeout_ms == 0 ? 0 : clock_monotonic_ns() + timeout_ms * 1000000;
    uint32_t given = 0;
    while (given < max_rows) {
        const struct batch *rows;
        bool stop = false;
        if (!subscribe_next(portal->subscription, given > 0 ? 1 : deadline_ns, max_rows - given, &rows, err))
            return false;
        if (rows == NULL)
            break;
        given += rows->rows;
        if (!sink->rows(sink, rows, &stop, err))
            return false;
    }
    return true;
}

static bool execute_portal(struct connection *connection, struct portal *portal, uint32_t max_rows, char *tag,
                           bool *suspended, struct error *err)
{
    struct prepared *prepared = portal->statement != NULL ? portal->statement->prepared : NULL;
    struct wire_sink sink;
    wire_sink_init(&sink, connection, prepared, false);
    sink.formats = portal->formats;
    sink.formats_count = portal->formats_count;
    int16_t cursor_format = portal->is_binary;
    bool ok = true;
    *suspended = false;
    uint64_t given = 0;
    bool rows_first = prepared != NULL && prepared->kind != PREPARED_COPY && max_rows > 0;
    if (portal->is_cursor && portal->stored != NULL) {
        sink.formats = &cursor_format;
        sink.formats_count = 1;
        ok = send_stored(connection, portal, max_rows, &sink.sink, &given, suspended, err);
        snprintf(tag, 64, "SELECT %llu", (unsigned long long)given);
    } else if (prepared == NULL) {
        ok = error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "cursor \"%s\" is read with FETCH", portal->name);
    } else if (prepared->kind == PREPARED_SUBSCRIBE) {
        ok = execute_subscription(connection, portal, prepared, max_rows, &sink.sink, err);
        *suspended = ok;
        snprintf(tag, 64, "SUBSCRIBE");
    } else if (portal->stored != NULL) {
        ok = send_stored(connection, portal, max_rows, &sink.sink, &given, suspended, err);
        if (prepared->kind == PREPARED_SELECT)
            snprintf(tag, 64, "SELECT %llu", (unsigned long long)given);
        else
            snprintf(tag, 64, "%s", portal->tag);
    } else if (portal->finished) {
        if (prepared->returns_rows)
            snprintf(tag, 64, "%s 0", prepared->kind == PREPARED_SELECT ? "SELECT" : prepared->tag);
        else
            ok = error_set(err, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "portal \"%s\" cannot be run",
                           portal->name);
    } else if (rows_first) {
        struct stored_rows *stored = stored_rows_create(&connection->session.account);
        portal->finished = true;
        ok = session_run(connection, prepared, portal->params, &stored->sink, portal->tag, err);
        snprintf(tag, 64, "%s", portal->tag);
        if (!ok || !stored->described) {
            stored_rows_destroy(stored);
        } else {
            portal->stored = stored;
            ok = send_stored(connection, portal, max_rows, &sink.sink, &given, suspended, err);
            if (prepared->kind == PREPARED_SELECT)
                snprintf(tag, 64, "SELECT %llu", (unsigned long long)given);
        }
    } else {
        portal->finished = true;
        ok = session_run(connection, prepared, portal->params, &sink.sink, tag, err);
    }
    wire_sink_release(&sink);
    return ok;
}

static bool execute_named(struct connection *connection, struct portal *portal, uint32_t max_rows,
                          struct error *err)
{
    struct statement_entry *statement = portal->statement;
    struct prepared *prepared = statement != NULL ? statement->prepared : NULL;
    if (!connection_begin_statement(connection, prepared != NULL && is_committed_text(prepared), err))
        return false;
    if (prepared != NULL && !portal->finished && !prepared_refresh(&connection->session, prepared, err))
        return false;
    connection->retry_portal = NULL;
    connection->implicit_statements++;
    if (prepared != NULL && prepared->kind == PREPARED_DML && connection->session.txn.is_implicit &&
        connection->implicit_statements == 1) {
        connection->retry_portal = portal;
        connection->retry_mark = connection->wire.out.len;
        connection->retry_sent = connection->wire.bytes_sent;
    }
    if (statement != NULL)
        statement->references++;
    connection->executing = portal;
    connection->executing_removed = false;
    session_set_activity(&connection->session, prepared != NULL ? prepared->sql : NULL);
    char tag[64] = "";
    bool suspended;
    bool ok = execute_portal(connection, portal, max_rows, tag, &suspended, err);
    session_set_activity(&connection->session, NULL);
    connection->executing = NULL;
    if (connection->executing_removed)
        portal_free(portal);
    bool is_empty = prepared != NULL && prepared->kind == PREPARED_EMPTY;
    statement_release(statement);
    if (!ok)
        return false;
    if (suspended)
        wire_put_empty(&connection->wire, 's');
    else if (is_empty)
        wire_put_empty(&connection->wire, 'I');
    else
        connection_complete(connection, tag);
    return true;
}

static bool execute_message(struct connection *connection, struct wire_cursor *cursor, bool *malformed,
                            struct error *err)
{
    const char *name = arena_strdup(&connection->message_arena, wire_get_text(cursor));
    uint32_t max_rows = wire_get_u32(cursor);
    if (cursor->bad || cursor->at != cursor->end) {
        *malformed = true;
        return error_set(err, ERRCODE_PROTOCOL_VIOLATION, "invalid message format");
    }
    struct portal *portal = portal_find(connection, name);
    if (portal == NULL)
        return error_set(err, ERRCODE_INVALID_CURSOR_NAME, "portal \"%s\" does not exist", name);
    return execute_named(connection, portal, max_rows > INT32_MAX ? 0 : max_rows, err);
}

/* ---- Close, Sync ---- */

static bool close_message(struct connection *connection, struct wire_cursor *cursor, bool *malformed,
                          struct error *err)
{
    uint8_t what = wire_get_u8(cursor);
    const char *name = wire_get_text(cursor);
    if (cursor->bad || cursor->at != cursor->end || (what != 'S' && what != 'P')) {
        *malformed = true;
        return error_set(err, ERRCODE_PROTOCOL_VIOLATION, "invalid CLOSE message subtype %u", what);
    }
    if (what == 'S') {
        (void)statement_remove(connection, name);
    } else {
        struct portal *portal = portal_find(connection, name);
        if (portal != NULL)
            portal_remove(connection, portal);
    }
    wire_put_empty(&connection->wire, '3');
    return true;
}

/* Commits; a single DML statement that met a conflict runs again while its answer has not been sent. */
static bool sync_commit(struct connection *connection, struct error *err)
{
    struct session *session = &connection->session;
    struct wire *wire = &connection->wire;
    for (uint32_t tries = 0;; tries++) {
        if (session->txn.state == TXN_IDLE || !session->txn.is_implicit)
            return true;
        if (transaction_end_statement(session, false, err)) {
            connection_transaction_ended(connection, true);
            return true;
        }
        struct portal *portal = connection->retry_portal;
        size_t mark = connection->retry_mark;
        if (err->code != ERRCODE_SERIALIZATION_FAILURE || portal == NULL ||
            wire->bytes_sent != connection->retry_sent || tries >= CONFLICT_RETRIES) {
            connection_transaction_ended(connection, false);
            return false;
        }
        wire_truncate(wire, mark);
        stored_rows_destroy(portal->stored);
        portal->stored = NULL;
        portal->finished = false;
        portal->position = 0;
        connection->implicit_statements = 0;
        session_settings_rollback(session->settings);
        if (!execute_named(connection, portal, 0, err)) {
            connection_fail(connection);
            return false;
        }
    }
}

static void sync_message(struct connection *connection)
{
    struct error err;
    error_init(&err);
    connection->skip_to_sync = false;
    if (!sync_commit(connection, &err))
        connection_error(connection, &err, 0);
    connection_end_statement(connection);
    connection->implicit_statements = 0;
    connection->retry_portal = NULL;
    if (!connection->close_after)
        connection_ready(connection);
}

bool session_extended_message(struct connection *connection, char type, const uint8_t *body, size_t len,
                              struct error *err)
{
    struct wire_cursor cursor = {.at = body, .end = body + len};
    bool malformed = false, ok = true;
    if (type != 'S' && type != 'E')
        connection->retry_portal = NULL;
    switch (type) {
    case 'P':
        ok = parse_message(connection, &cursor, &malformed, err);
        break;
    case 'B':
        ok = bind_message(connection, &cursor, &malformed, err);
        break;
    case 'D':
        ok = describe_message(connection, &cursor, &malformed, err);
        break;
    case 'E':
        ok = execute_message(connection, &cursor, &malformed, err);
        break;
    case 'C':
        ok = close_message(connection, &cursor, &malformed, err);
        break;
    case 'H':
        (void)wire_flush(&connection->wire);
        break;
    case 'S':
        sync_message(connection);
        break;
    default:
        break;
    }
    connection_end_statement(connection);
    if (malformed)
        return false;
    if (!ok) {
        connection_fail(connection);
        connection_error(connection, err, 0);
        connection->skip_to_sync = true;
    }
    return true;
}
