/* session_simple.c: the simple Query message: any number of statements in one string.
 *
 * Without BEGIN the whole string is one implicit transaction; it is committed before the last statement is
 * reported done, so that an error of the commit takes that report's place. */
#include "planner/statement.h"
#include "protocol/pgwire/error_response.h"
#include "server/connection.h"
#include "storage/data/text_check.h"

#define CONFLICT_RETRIES 100 /* of a single statement whose rows another transaction changed first */

void connection_complete(struct connection *connection, const char *tag)
{
    wire_begin(&connection->wire, 'C');
    wire_put_text(&connection->wire, tag);
    wire_end(&connection->wire);
}

static bool simple_try(struct connection *connection, const char *text, bool is_last,
                       struct prepared **prepared, struct error *err)
{
    struct session *session = &connection->session;
    if (!connection_begin_statement(connection, connection_ends_transaction(text), err))
        return false;
    if (!prepared_create(session, text, NULL, 0, prepared, err))
        return false;
    if ((*prepared)->params_count > 0)
        return error_set(err, ERRCODE_UNDEFINED_PARAMETER, "there is no parameter $%u",
                         (*prepared)->params_count);
    session->txn.ends_now = is_last;
    struct wire_sink sink;
    wire_sink_init(&sink, connection, *prepared, true);
    char tag[64] = "";
    bool ok = session_run(connection, *prepared, NULL, &sink.sink, tag, err);
    wire_sink_release(&sink);
    if (ok && is_last)
        ok = connection_commit_implicit(connection, err);
    connection_end_statement(connection);
    if (ok && (*prepared)->kind == PREPARED_EMPTY)
        wire_put_empty(&connection->wire, 'I');
    else if (ok)
        connection_complete(connection, tag);
    return ok;
}

static bool simple_statement(struct connection *connection, const char *text, int32_t position_base,
                             bool is_last)
{
    struct session *session = &connection->session;
    struct wire *wire = &connection->wire;
    bool was_idle = session->txn.state == TXN_IDLE;
    size_t mark = wire->out.len;
    uint64_t sent = wire->bytes_sent;
    for (uint32_t tries = 0;; tries++) {
        struct error err;
        error_init(&err);
        struct prepared *prepared = NULL;
        bool ok = simple_try(connection, text, is_last, &prepared, &err);
        bool is_dml = prepared != NULL && prepared->kind == PREPARED_DML;
        if (prepared != NULL)
            prepared_destroy(prepared);
        if (ok)
            return true;
        connection_fail(connection);
        if (err.code == ERRCODE_SERIALIZATION_FAILURE && was_idle && is_last && is_dml &&
            wire->bytes_sent == sent && tries < CONFLICT_RETRIES && !atomic_load(&session->cancel)) {
            wire_truncate(wire, mark);
            continue;
        }
        connection_error(connection, &err, position_base);
        return false;
    }
}

void session_simple_query(struct connection *connection, const char *sql, size_t len)
{
    struct session *session = &connection->session;
    struct arena *arena = &connection->message_arena;
    struct error err;
    error_init(&err);
    /* the unnamed statement and portal do not outlive a simple Query */
    struct portal *unnamed = portal_find(connection, "");
    if (unnamed != NULL)
        portal_remove(connection, unnamed);
    (void)statement_remove(connection, "");

    struct statement_piece *pieces;
    uint32_t count;
    /* the message lies in the input buffer, which COPY reads on with */
    char *copy = arena_strndup(arena, sql, len);
    session_set_activity(session, copy);
    if (!text_check_utf8(copy, len, &err) || !statement_split(arena, copy, len, &pieces, &count, &err)) {
        connection_fail(connection);
        connection_error(connection, &err, 0);
        session_set_activity(session, NULL);
        return;
    }
    connection->in_multi = count > 1;
    if (count == 0)
        wire_put_empty(&connection->wire, 'I');
    /* a syntax error anywhere keeps all of the string from running */
    bool ok = true;
    for (uint32_t i = 0; i < count && count > 1 && ok; i++) {
        struct arena parse_arena;
        arena_init(&parse_arena, NULL);
        struct statement parsed;
        ok = statement_parse(&parse_arena, arena_strndup(&parse_arena, copy + pieces[i].start, pieces[i].len),
                             &parsed, &err);
        arena_release(&parse_arena);
        if (!ok) {
            connection_fail(connection);
            connection_error(connection, &err, pieces[i].position_base);
        }
    }
    for (uint32_t i = 0; i < count && ok; i++) {
        const char *text = arena_strndup(arena, copy + pieces[i].start, pieces[i].len);
        ok = simple_statement(connection, text, pieces[i].position_base, i + 1 == count);
    }
    session_set_activity(session, NULL);
}
