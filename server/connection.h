/* connection.h: one client: its socket, session, prepared statements and portals. Everything here runs on the
 * connection's own thread; only connection_interrupt and the timer's callback come from others.
 *
 * session_simple.c and session_extended.c turn messages into calls; session_run.c runs one statement of any
 * kind. Named statements of the protocol and of PREPARE are the same; so are the protocol's portals and SQL's
 * cursors. */
#ifndef MILLRACE_SERVER_CONNECTION_H
#define MILLRACE_SERVER_CONNECTION_H

#include "protocol/pgwire/values.h"
#include "server/prepared.h"
#include "server/stored_rows.h"
#include "server/timer.h"
#include "server/transaction.h"

struct listener;
struct subscribe_run;

/* A prepared statement; lives while its name or a portal refers to it. */
struct statement_entry {
    char *name;
    struct prepared *prepared;
    uint32_t references;
    bool from_sql;
    struct statement_entry *next;
};

struct portal {
    char *name;
    struct portal *next;
    struct arena arena;
    struct statement_entry *statement; /* of the protocol; NULL for DECLARE */
    struct datum *params;
    int16_t *formats;
    uint32_t formats_count;
    /* what it gives; columns_count 0: nothing */
    uint32_t columns_count;
    const char **names;
    struct sql_type *types;
    bool returns_rows;
    /* cursors */
    bool is_cursor, is_binary, is_scroll, is_hold;
    uint32_t savepoint_depth;
    /* once it has run with a row limit, or as a cursor */
    struct stored_rows *stored;
    struct subscribe_run *subscription;
    uint64_t position; /* rows given; cursors: 0 before the first, n on row n, rows + 1 behind the last */
    bool finished;
    char tag[64];
};

/* What SAVEPOINT has to remember here. */
struct savepoint_mark {
    char *name;
    uint32_t settings_mark;
    struct savepoint_mark *outer;
};

enum cancel_reason { CANCEL_REQUEST, CANCEL_TIMEOUT };

#define STATEMENT_BUCKETS 64

struct connection {
    struct session session;
    struct listener *listener;
    struct connection *next, *prev; /* listener's list */
    int fd;
    bool is_local; /* came from a loopback address */
    bool has_session;
    bool is_admitted; /* counted against max_connections */
    char client_address[64];
    int32_t client_port;
    struct wire wire;
    struct arena arena;         /* connection life */
    struct arena message_arena; /* the message being handled */
    struct statement_entry *statements[STATEMENT_BUCKETS];
    struct portal *portals;
    struct portal *executing; /* not freed while it runs, even when its own statement ends the transaction */
    bool executing_removed;
    struct savepoint_mark *savepoints;
    uint32_t savepoint_depth;
    bool skip_to_sync;
    bool in_extended; /* the statement runs under the extended protocol */
    bool copy_failed; /* CopyFail: its 57014 keeps its message */
    bool in_multi;    /* a simple Query with several statements: an implicit transaction block */
    bool close_after; /* FATAL was sent */
    struct timer_entry timeout;
    _Atomic int cancel_reason;
    _Atomic bool terminate; /* pg_terminate_backend, shutdown */
    uint32_t nesting;       /* EXECUTE of EXECUTE */
    /* the one statement of an implicit transaction, which may be run again after 40001 at Sync */
    struct portal *retry_portal;
    size_t retry_mark;
    uint64_t retry_sent;
    uint32_t implicit_statements;
};

/* Owns fd. Runs the connection to its end. */
void connection_main(struct connection *connection);
/* Makes its reads end; with `cancel` also its statement. Any thread. */
void connection_interrupt(struct connection *connection, bool cancel);

static inline struct connection *connection_of(struct session *session)
{
    return session->connection;
}

/* ---- shared by the protocol's files ---- */

/* session_begin_statement, statement_timeout, and the transaction: 25P02 when it has failed and the statement
 * does not end it. */
MUST_CHECK
bool connection_begin_statement(struct connection *connection, bool ends_transaction, struct error *err);
/* Stops the timeout. */
void connection_end_statement(struct connection *connection);
/* Does the text begin with COMMIT, END, ROLLBACK or ABORT? Such statements run in a failed transaction. */
bool connection_ends_transaction(const char *sql);
/* After an error: the transaction fails or, when implicit, rolls back. Sends nothing. */
void connection_fail(struct connection *connection);
/* Ends an implicit transaction: true when there was none or it was committed. */
MUST_CHECK
bool connection_commit_implicit(struct connection *connection, struct error *err);
/* Sends an error, 57014 with its reason. */
void connection_error(struct connection *connection, struct error *err, int32_t position_base);
void connection_complete(struct connection *connection, const char *tag);
void connection_ready(struct connection *connection);

/* session_simple.c */
void session_simple_query(struct connection *connection, const char *sql, size_t len);
/* session_extended.c: Parse, Bind, Describe, Execute, Close, Flush, Sync. A malformed body is 08P01: false,
 * err filled. */
MUST_CHECK
bool session_extended_message(struct connection *connection, char type, const uint8_t *body, size_t len,
                              struct error *err);
/* session_run.c: one statement of any kind, inside the transaction that connection_begin_statement opened.
 * tag: 64 bytes. */
MUST_CHECK
bool session_run(struct connection *connection, struct prepared *prepared, const struct datum *params,
                 struct result_sink *sink, char *tag, struct error *err);
/* The columns it will give when run now; *returns false: none. */
MUST_CHECK
bool session_columns(struct connection *connection, struct prepared *prepared, bool *returns, uint32_t *count,
                     const char ***names, struct sql_type **types, struct error *err);
/* The sink that sends DataRows; describe sends RowDescription when asked for. formats live as long as it. */
struct wire_sink {
    struct result_sink sink;
    struct connection *connection;
    const struct prepared *prepared; /* origins of columns; may be NULL */
    bool send_description;
    const int16_t *formats;
    uint32_t formats_count;
    struct row_writer writer;
    struct arena arena;
    uint64_t rows;
};
void wire_sink_init(struct wire_sink *sink, struct connection *connection, const struct prepared *prepared,
                    bool send_description);
void wire_sink_release(struct wire_sink *sink);

/* portals.c: names of statements and portals */
struct statement_entry *statement_find(struct connection *connection, const char *name);
/* Takes the prepared over; an unnamed one replaces the old. */
struct statement_entry *statement_add(struct connection *connection, const char *name,
                                      struct prepared *prepared, bool from_sql);
bool statement_remove(struct connection *connection, const char *name);
void statement_remove_all(struct connection *connection);
void statement_release(struct statement_entry *statement);
struct portal *portal_find(struct connection *connection, const char *name);
struct portal *portal_add(struct connection *connection, const char *name);
void portal_remove(struct connection *connection, struct portal *portal);
void portal_free(struct portal *portal);
void portal_remove_all(struct connection *connection);
/* The transaction has ended: portals go, cursors WITH HOLD stay if it was committed; settings are kept or put
 * back. */
void connection_transaction_ended(struct connection *connection, bool committed);
void connection_savepoint(struct connection *connection, const char *name);
void connection_savepoint_released(struct connection *connection, const char *name);
void connection_savepoint_undone(struct connection *connection, const char *name);

#endif
