/* connection.c: one client from its first byte to its last: start-up, the loop over messages, the end. */
#include "server/connection.h"

#include "planner/scan.h"
#include "planner/statement.h"
#include "protocol/pgwire/error_response.h"
#include "protocol/pgwire/startup.h"
#include "server/listener.h"
#include "server/session_settings.h"
#include "server/waits.h"
#include "storage/base/clock.h"
#include "storage/base/log.h"
#include "storage/data/text_check.h"

#include <stdio.h>

#define FIRST_MESSAGE_MAX STARTUP_BYTES_MAX

static void send_notice(struct session *session, const char *severity, const char *sqlstate,
                        const char *message, const char *hint)
{
    notice_response_send(&connection_of(session)->wire, severity, sqlstate, message, NULL, hint);
}

static void terminate_session(struct session *session)
{
    connection_interrupt(connection_of(session), true);
}

void connection_interrupt(struct connection *connection, bool cancel)
{
    atomic_store(&connection->terminate, true);
    if (cancel)
        atomic_store(&connection->session.cancel, true);
    wire_interrupt(connection->fd);
}

static void send_fatal(struct connection *connection, const struct error *err)
{
    error_response_send(&connection->wire, "FATAL", err, 0);
    (void)wire_flush(&connection->wire);
    connection->close_after = true;
}

void connection_error(struct connection *connection, struct error *err, int32_t position_base)
{
    bool copy_failed = connection->copy_failed;
    connection->copy_failed = false;
    if (err->code == ERRCODE_QUERY_CANCELED && !copy_failed) {
        if (atomic_load(&connection->terminate)) {
            error_set(err, ERRCODE_ADMIN_SHUTDOWN, "terminating connection due to administrator command");
            send_fatal(connection, err);
            return;
        }
        if (atomic_load(&connection->cancel_reason) == CANCEL_TIMEOUT)
            error_set(err, ERRCODE_QUERY_CANCELED, "canceling statement due to statement timeout");
        else
            error_set(err, ERRCODE_QUERY_CANCELED, "canceling statement due to user request");
    }
    error_response_send(&connection->wire, "ERROR", err, position_base);
    /* at once: what follows up to Sync is skipped, Flush too, and a client may wait before it sends Sync */
    (void)wire_flush(&connection->wire);
}

static void send_reports(struct connection *connection)
{
    uint32_t cursor = 0;
    const char *name, *value;
    while (session_settings_next_report(connection->session.settings, &cursor, &name, &value)) {
        wire_begin(&connection->wire, 'S');
        wire_put_text(&connection->wire, name);
        wire_put_text(&connection->wire, value);
        wire_end(&connection->wire);
    }
}

void connection_ready(struct connection *connection)
{
    send_reports(connection);
    wire_begin(&connection->wire, 'Z');
    strbuf_addc(&connection->wire.out, (char)connection->session.txn.state);
    wire_end(&connection->wire);
    (void)wire_flush(&connection->wire);
}

/* ---- around one statement ---- */

static void timeout_fired(void *ctx)
{
    struct connection *connection = ctx;
    atomic_store(&connection->cancel_reason, CANCEL_TIMEOUT);
    atomic_store(&connection->session.cancel, true);
    waits_wake();
    if (connection->session.server->engine != NULL)
        engine_wake_waiters(connection->session.server->engine);
}

bool connection_begin_statement(struct connection *connection, bool ends_transaction, struct error *err)
{
    struct session *session = &connection->session;
    session_begin_statement(session);
    atomic_store(&connection->cancel_reason, CANCEL_REQUEST);
    if (atomic_load(&connection->terminate))
        atomic_store(&session->cancel, true);
    int64_t timeout_ms = session_settings_number(session->settings, SESSION_STATEMENT_TIMEOUT);
    if (timeout_ms > 0)
        timer_set(listener_timer(connection->listener), &connection->timeout,
                  clock_monotonic_ns() + timeout_ms * 1000000, timeout_fired, connection);
    bool was_idle = session->txn.state == TXN_IDLE;
    if (!transaction_begin_statement(session, ends_transaction, err))
        return false;
    if (was_idle && session_settings_number(session->settings, SESSION_DEFAULT_TRANSACTION_READ_ONLY) != 0)
        session->txn.read_only = true;
    session->env.io.now_us = session->txn.start_us != 0 ? session->txn.start_us : session->statement_start_us;
    return true;
}

void connection_end_statement(struct connection *connection)
{
    timer_clear(listener_timer(connection->listener), &connection->timeout);
}

bool connection_ends_transaction(const char *sql)
{
    struct scanner scanner;
    scan_start(&scanner, sql, strlen(sql));
    struct scan_token token = scan_next(&scanner);
    return scan_is_word(sql, &token, "commit") || scan_is_word(sql, &token, "end") ||
           scan_is_word(sql, &token, "rollback") || scan_is_word(sql, &token, "abort");
}

void connection_fail(struct connection *connection)
{
    struct session *session = &connection->session;
    connection_end_statement(connection);
    if (session->txn.state == TXN_IDLE) {
        connection_transaction_ended(connection, false);
    } else if (session->txn.is_implicit) {
        struct error ignored;
        bool rolled_back = transaction_end_statement(session, true, &ignored);
        (void)rolled_back;
        connection_transaction_ended(connection, false);
    } else {
        transaction_fail(session);
    }
}

bool connection_commit_implicit(struct connection *connection, struct error *err)
{
    struct session *session = &connection->session;
    if (session->txn.state == TXN_IDLE || !session->txn.is_implicit)
        return true;
    bool committed = transaction_end_statement(session, false, err);
    connection_transaction_ended(connection, committed);
    return committed;
}

/* ---- start-up ---- */

static bool apply_startup(struct connection *connection, const struct startup *startup, struct error *err)
{
    struct session *session = &connection->session;
    for (uint32_t i = 0; i < startup->settings_count; i++) {
        const char *value = startup->settings[i].value;
        /* asyncpg quotes the encoding */
        size_t len = strlen(value);
        if (len >= 2 && value[0] == '\'' && value[len - 1] == '\'' &&
            strcmp(startup->settings[i].name, "client_encoding") == 0)
            value = arena_strndup(&connection->arena, value + 1, len - 2);
        if (!session_settings_set_default(session->settings, startup->settings[i].name, value, err))
            return false;
    }
    return true;
}

/* false: the connection ends; what there was to say has been said. */
static bool connection_start(struct connection *connection)
{
    struct error err;
    error_init(&err);
    struct startup startup;
    int64_t deadline_ns = clock_monotonic_ns() + STARTUP_SECONDS * INT64_C(1000000000);
    enum wire_result result =
        startup_read(&connection->wire, deadline_ns, &connection->arena, &startup, &err);
    if (result == WIRE_VIOLATION)
        send_fatal(connection, &err);
    if (result != WIRE_OK)
        return false;
    if (!connection->is_local) {
        error_set(&err, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
                  "connections from \"%s\" are not accepted: only loopback addresses are",
                  connection->client_address);
        send_fatal(connection, &err);
        return false;
    }
    struct server *server = connection->session.server;
    if (!atomic_load(&server->ready)) {
        if (!startup.is_cancel) {
            error_set(&err, ERRCODE_CANNOT_CONNECT_NOW, "the database system is starting up");
            send_fatal(connection, &err);
        }
        return false;
    }
    if (startup.is_cancel) {
        (void)session_cancel(server, startup.cancel_pid, &startup.cancel_secret);
        return false;
    }
    if (startup.is_replication) {
        error_set(&err, ERRCODE_FEATURE_NOT_SUPPORTED, "replication connections are not supported");
        send_fatal(connection, &err);
        return false;
    }
    if (!listener_admit(connection->listener, connection)) {
        error_set(&err, ERRCODE_TOO_MANY_CONNECTIONS, "sorry, too many clients already");
        send_fatal(connection, &err);
        return false;
    }
    struct session *session = &connection->session;
    if (!session_init(session, server, startup.user, startup.database, &err)) {
        send_fatal(connection, &err);
        return false;
    }
    connection->has_session = true;
    session->connection = connection;
    session->notice = send_notice;
    session->terminate = terminate_session;
    snprintf(session->client_address, sizeof(session->client_address), "%s", connection->client_address);
    session->client_port = connection->client_port;
    if (!apply_startup(connection, &startup, &err)) {
        send_fatal(connection, &err);
        return false;
    }
    startup_negotiate(&connection->wire, &startup);
    wire_begin(&connection->wire, 'R');
    wire_put_u32(&connection->wire, 0);
    wire_end(&connection->wire);
    send_reports(connection);
    wire_begin(&connection->wire, 'K');
    wire_put_u32(&connection->wire, (uint32_t)session->pid);
    wire_put_u32(&connection->wire, session->secret);
    wire_end(&connection->wire);
    connection_ready(connection);
    return true;
}

/* ---- messages ---- */

static void function_call(struct connection *connection)
{
    struct error err;
    error_set(&err, ERRCODE_FEATURE_NOT_SUPPORTED, "function calls through the protocol are not supported");
    error_hint(&err, "Use SELECT function(...).");
    connection_fail(connection);
    connection_error(connection, &err, 0);
    connection_ready(connection);
}

/* false: the connection ends. */
static bool handle_message(struct connection *connection, char type, const uint8_t *body, size_t len)
{
    struct error err;
    error_init(&err);
    /* behind an error everything but Sync and Terminate is skipped; a simple Query ends the skipping */
    if (connection->skip_to_sync && type != 'S' && type != 'X' && type != 'Q')
        return true;
    switch (type) {
    case 'Q': {
        const char *sql = (const char *)body;
        if (len == 0 || memchr(body, 0, len) != body + len - 1) {
            error_set(&err, ERRCODE_PROTOCOL_VIOLATION, "invalid string in message");
            send_fatal(connection, &err);
            return false;
        }
        connection->skip_to_sync = false;
        connection->in_extended = false;
        session_simple_query(connection, sql, len - 1);
        if (!connection->close_after)
            connection_ready(connection);
        break;
    }
    case 'P':
    case 'B':
    case 'D':
    case 'E':
    case 'C':
    case 'H':
    case 'S':
        connection->in_extended = true;
        if (!session_extended_message(connection, type, body, len, &err)) {
            send_fatal(connection, &err);
            return false;
        }
        break;
    case 'F':
        function_call(connection);
        break;
    case 'X':
        return false;
    case 'd':
    case 'c':
    case 'f':
        break; /* left over from a COPY that has failed */
    default:
        error_set(&err, ERRCODE_PROTOCOL_VIOLATION, "unexpected message type \"%c\"", type);
        send_fatal(connection, &err);
        return false;
    }
    return !connection->close_after && !connection->wire.broken;
}

static int64_t idle_deadline(const struct connection *connection, enum error_code *code)
{
    const struct session *session = &connection->session;
    bool inside = session->txn.state != TXN_IDLE;
    *code = inside ? ERRCODE_IDLE_IN_TRANSACTION_SESSION_TIMEOUT : ERRCODE_IDLE_SESSION_TIMEOUT;
    int64_t ms = session_settings_number(session->settings, inside ? SESSION_IDLE_IN_TRANSACTION_TIMEOUT
                                                                   : SESSION_IDLE_SESSION_TIMEOUT);
    return ms == 0 ? 0 : clock_monotonic_ns() + ms * 1000000;
}

static void connection_loop(struct connection *connection)
{
    for (;;) {
        char type;
        const uint8_t *body;
        size_t len;
        struct error err;
        error_init(&err);
        enum error_code idle_code;
        int64_t deadline_ns = idle_deadline(connection, &idle_code);
        if (atomic_load(&connection->terminate))
            wire_interrupt(connection->fd);
        enum wire_result result =
            wire_read(&connection->wire, deadline_ns, MESSAGE_BYTES_MAX, &type, &body, &len, &err);
        switch (result) {
        case WIRE_OK:
            if (!handle_message(connection, type, body, len))
                return;
            arena_reset(&connection->message_arena);
            break;
        case WIRE_CLOSED:
            if (atomic_load(&connection->terminate)) {
                error_set(&err, ERRCODE_ADMIN_SHUTDOWN,
                          "terminating connection due to administrator command");
                send_fatal(connection, &err);
            }
            return;
        case WIRE_TIMEOUT:
            error_set(&err, idle_code, "terminating connection due to %s timeout",
                      idle_code == ERRCODE_IDLE_SESSION_TIMEOUT ? "idle-session" : "idle-in-transaction");
            send_fatal(connection, &err);
            return;
        case WIRE_VIOLATION:
            send_fatal(connection, &err);
            return;
        case WIRE_TOO_LONG:
            if (connection->skip_to_sync && type != 'Q')
                break;
            connection_fail(connection);
            connection_error(connection, &err, 0);
            if (type == 'Q')
                connection_ready(connection);
            else
                connection->skip_to_sync = true;
            break;
        }
    }
}

void connection_main(struct connection *connection)
{
    wire_init(&connection->wire, connection->fd);
    arena_init(&connection->arena, NULL);
    arena_init(&connection->message_arena, NULL);
    connection->session.server = listener_server(connection->listener);
    if (connection_start(connection))
        connection_loop(connection);
    if (connection->has_session) {
        struct session *session = &connection->session;
        connection_end_statement(connection);
        session_set_activity(session, NULL);
        portal_remove_all(connection);
        statement_remove_all(connection);
        if (session->txn.state != TXN_IDLE)
            transaction_rollback(session);
        connection_transaction_ended(connection, false);
        session_release(session);
    }
    (void)wire_flush(&connection->wire);
    wire_release(&connection->wire);
    arena_release(&connection->message_arena);
    arena_release(&connection->arena);
}
