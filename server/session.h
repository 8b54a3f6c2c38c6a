/* session.h: one client's state: settings, transaction, prepared statements, cursors.
 *
 * Belongs to its connection's thread. Only `cancel` is touched by others (a CancelRequest,
 * pg_cancel_backend). The files that use it: session.c (life), connection.c, session_simple.c and
 * session_extended.c (protocol), prepared.c (text to something runnable), transaction.c, run_*.c (one kind of
 * statement each). */
#ifndef MILLRACE_SERVER_SESSION_H
#define MILLRACE_SERVER_SESSION_H

#include "executor/query.h"
#include "planner/planner.h"
#include "server/server.h"

enum txn_state { TXN_IDLE = 'I', TXN_OPEN = 'T', TXN_FAILED = 'E' };

struct txn_table; /* changes of one relation, transaction.c */

/* server/transaction.h has the functions. */
struct transaction {
    enum txn_state state;
    bool is_implicit; /* opened by a statement outside BEGIN; ends with it (or with Sync, or with the simple
                         Query) */
    bool read_only;
    bool ends_now;     /* implicit, and the running statement is the last */
    uint64_t snapshot; /* open snapshot, 0 none yet: taken by the first statement that reads */
    int64_t start_us;
    struct arena arena; /* changes */
    struct txn_table *tables;
    uint32_t tables_count, tables_cap;
    struct txn_read *reads;
    uint32_t reads_count, reads_cap;
    struct txn_savepoint *savepoints; /* innermost first */
    struct held_lock *locks;          /* server/table_locks.h; given back at the end */
    uint32_t locks_count, locks_cap;
};

/* Where results go. Implemented by the protocol code (and by cursors, COPY, tests). */
struct result_sink {
    /* Once, before rows, when the statement returns rows. */
    bool (*describe)(struct result_sink *sink, uint32_t columns_count, const char *const *names,
                     const struct sql_type *types, struct error *err);
    /* Borrowed rows; weights > 1 stand for equal rows. *stop: the client wants no more. */
    bool (*rows)(struct result_sink *sink, const struct batch *rows, bool *stop, struct error *err);
    /* Rows of a BINARY cursor: binary format, said before describe. NULL: there is no choice of formats. */
    void (*set_binary)(struct result_sink *sink);
};

struct session_path;
struct session_settings; /* server/session_settings.h: name -> value, SET, SHOW, RESET, SET LOCAL */

struct session {
    struct server *server;
    int32_t pid;
    uint32_t secret;
    char user[64], database[64];
    char client_address[64];
    int32_t client_port;
    struct session_settings *settings;
    struct session_info info;
    struct eval_env env; /* io from the settings; refreshed by session_begin_statement */
    struct transaction txn;
    uint64_t last_epoch; /* of its last acknowledged write: its next snapshot is not older */
    uint32_t alters_oid; /* the relation that ALTER TABLE must find under its name, or fail (42P01); 0: any */
    _Atomic bool cancel;
    struct account account; /* of the running statement: limit = query_memory_limit */
    /* NOTICE and WARNING to the client; sqlstate five characters. */
    void (*notice)(struct session *session, const char *severity, const char *sqlstate, const char *message,
                   const char *hint);
    struct sequence_value *sequence_values;     /* server/sequence.h: what currval() knows; newest first */
    void *connection;                           /* protocol side */
    void (*terminate)(struct session *session); /* ends the connection; called under the list's lock; NULL:
                                                   none */
    struct session_path *path;                  /* session.c: the search path's names */
    const char *current_sql;                    /* NULL idle */
    /* For pg_stat_activity, which other threads read under session_list_lock. */
    struct {
        char application_name[64];
        char query[1024]; /* the last one, cut */
        enum txn_state txn_state;
        int64_t txn_start_us, query_start_us;
    } shown;
    int64_t statement_start_us, state_change_us, backend_start_us;
    struct session *next, *prev; /* list of all sessions, under session_list_lock */
};

MUST_CHECK
bool session_init(struct session *session, struct server *server, const char *user, const char *database,
                  struct error *err);
void session_release(struct session *session);
/* Sets statement time, cancel, env.io from the settings, search path; call before prepare and before
 * execute. */
void session_begin_statement(struct session *session);
/* What the session is doing, for pg_stat_activity: borrowed until the next call; NULL: idle. */
void session_set_activity(struct session *session, const char *sql);
void session_notice(struct session *session, const char *severity, const char *sqlstate, const char *hint,
                    const char *format, ...) PRINTF_LIKE(5, 6);
/* Visits every session under the list's lock: pg_stat_activity, cancel. */
void session_for_each(void (*visit)(void *ctx, struct session *session), void *ctx);
/* Marks the session with that pid (secret checked unless NULL) cancelled and wakes its waits. */
bool session_cancel(struct server *server, int32_t pid, const uint32_t *secret);
/* pg_terminate_backend: the same, and the connection ends with 57P01. */
bool session_terminate(struct server *server, int32_t pid);

#endif
