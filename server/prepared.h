/* prepared.h: one statement from text to something that can be run many times.
 *
 * prepared_create splits off nothing: its text holds exactly one statement (planner/statement.h splits).
 * SELECT and DML are planned here (with parameters of inferred types); planning is repeated when the catalog
 * or search path changed since (prepared_refresh; 0A000 "cached plan must not change result type"). All other
 * statements keep their tree and do their work when run. */
#ifndef MILLRACE_SERVER_PREPARED_H
#define MILLRACE_SERVER_PREPARED_H

#include "server/session.h"

enum prepared_kind {
    PREPARED_EMPTY,
    PREPARED_SELECT,      /* run_query.c */
    PREPARED_DML,         /* INSERT, UPDATE, DELETE: run_dml.c; TRUNCATE too */
    PREPARED_DDL,         /* CREATE, DROP, ALTER, COMMENT ...: run_ddl.c */
    PREPARED_EXPLAIN,     /* run_explain.c */
    PREPARED_TRANSACTION, /* BEGIN, COMMIT, ROLLBACK, SAVEPOINT ...: run_transaction.c */
    PREPARED_SET,         /* SET, RESET, SHOW, DISCARD: run_set.c */
    PREPARED_COPY,        /* run_copy.c (protocol) */
    PREPARED_CURSOR,      /* DECLARE, FETCH, MOVE, CLOSE: run_cursor.c */
    PREPARED_SUBSCRIBE,   /* run_subscribe.c */
    PREPARED_PREPARE,     /* PREPARE, EXECUTE, DEALLOCATE: run_prepare.c */
    PREPARED_OTHER,       /* LISTEN, CHECKPOINT, LOCK ...: accepted with an effect or refused truthfully:
                             run_other.c */
};

struct dml_plan;  /* planner/bind_dml.h */
struct statement; /* planner/statement.h */

struct prepared {
    struct arena arena;
    struct account account;
    const char *sql;
    struct statement *statement; /* our own clauses: SUBSCRIBE's options, watermark ...; never NULL */
    enum prepared_kind kind;
    const char *tag;             /* command tag without count: "SELECT", "CREATE TABLE" */
    PgQuery__ParseResult *parse; /* NULL when empty */
    const PgQuery__Node *node;   /* the statement */
    uint32_t params_count;
    struct sql_type *params;
    bool returns_rows;
    uint32_t columns_count;
    const char **names;
    struct sql_type *types;
    uint32_t *table_oids; /* RowDescription's table and attribute numbers; 0 when not a plain column */
    int16_t *attnums;
    struct arena plan_arena; /* plan and dml: freed when planned anew */
    struct plan *plan;       /* SELECT */
    struct dml_plan *dml;
    uint64_t catalog_version;
    const char *search_path;         /* under which names were resolved */
    uint32_t declared_count;         /* parameters whose type was given */
    bool views_expanded;             /* planned for a transaction that has changed what a view reads */
    struct catalog_object **objects; /* references held */
    uint32_t objects_count;
};

/* Parse errors 42601 with position; names and types are checked. params: declared types (oid 0 = infer), may
 * be fewer. */
MUST_CHECK
bool prepared_create(struct session *session, const char *sql, const struct sql_type *params,
                     uint32_t params_count, struct prepared **out, struct error *err);
void prepared_destroy(struct prepared *prepared);
/* Plans again when the catalog changed. */
MUST_CHECK
bool prepared_refresh(struct session *session, struct prepared *prepared, struct error *err);

/* Runs it inside the session's transaction (an implicit one is opened by the caller:
 * transaction_begin_statement). Handles SELECT, DML, DDL, EXPLAIN, TRANSACTION, SET, OTHER; the protocol's
 * kinds (COPY, CURSOR, SUBSCRIBE, PREPARE) are run by their own files. tag (64 bytes) gets the completed
 * command tag with its count: "INSERT 0 3". */
MUST_CHECK
bool prepared_run(struct session *session, struct prepared *prepared, const struct datum *params,
                  struct result_sink *sink, char *tag, struct error *err);

#endif
