/* run_transaction.c: BEGIN, COMMIT, ROLLBACK, SAVEPOINT. */
#include "planner/parse_tree.h"
#include "server/run.h"
#include "server/session_settings.h"

#include <stdio.h>
#include <string.h>

/* READ ONLY of BEGIN; isolation levels are all met by the one there is. */
static bool wants_read_only(struct session *session, const PgQuery__TransactionStmt *stmt)
{
    bool read_only = session_settings_number(session->settings, SESSION_DEFAULT_TRANSACTION_READ_ONLY) != 0;
    for (size_t i = 0; i < stmt->n_options; i++) {
        const PgQuery__DefElem *def = stmt->options[i]->def_elem;
        int64_t value;
        if (strcmp(def->defname, "transaction_read_only") == 0 && node_integer(def->arg, &value))
            read_only = value != 0;
    }
    return read_only;
}

static bool no_transaction(struct session *session)
{
    if (session->txn.state != TXN_IDLE && !session->txn.is_implicit)
        return false;
    session_notice(session, "WARNING", "25P01", NULL, "there is no transaction in progress");
    return true;
}

bool run_transaction(struct session *session, struct prepared *prepared, char *tag, struct error *err)
{
    const PgQuery__TransactionStmt *stmt = prepared->node->transaction_stmt;
    bool read_only = session->txn.read_only, rolled_back;
    switch (stmt->kind) {
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START:
        snprintf(tag, 64,
                 stmt->kind == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN ? "BEGIN"
                                                                                 : "START TRANSACTION");
        return transaction_begin(session, wants_read_only(session, stmt), err);
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT: {
        bool none = no_transaction(session);
        if (!transaction_commit(session, &rolled_back, err))
            return false;
        snprintf(tag, 64, rolled_back ? "ROLLBACK" : "COMMIT");
        return !stmt->chain || none || transaction_begin(session, read_only, err);
    }
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK: {
        bool none = no_transaction(session);
        transaction_rollback(session);
        snprintf(tag, 64, "ROLLBACK");
        return !stmt->chain || none || transaction_begin(session, read_only, err);
    }
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_SAVEPOINT:
        snprintf(tag, 64, "SAVEPOINT");
        return transaction_savepoint(session, stmt->savepoint_name, err);
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_RELEASE:
        snprintf(tag, 64, "RELEASE");
        return transaction_release_savepoint(session, stmt->savepoint_name, err);
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO:
        snprintf(tag, 64, "ROLLBACK");
        return transaction_rollback_to(session, stmt->savepoint_name, err);
    default:
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "two-phase commit is not supported");
        return error_hint(err, "Use COMMIT.");
    }
}
