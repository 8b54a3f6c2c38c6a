/* run_other.c: statements that have little or nothing to do here, and those that are refused. */
#include "planner/parse_tree.h"
#include "server/run_keep.h"
#include "server/secrets.h"

#include <stdio.h>
#include <string.h>

/* LOCK TABLE: nobody else may have changed these tables when the transaction commits. */
static bool run_lock(struct session *session, struct prepared *prepared, struct error *err)
{
    const PgQuery__LockStmt *stmt = prepared->node->lock_stmt;
    if (session->txn.is_implicit)
        return error_set(err, ERRCODE_NO_ACTIVE_SQL_TRANSACTION,
                         "LOCK TABLE can only be used in transaction blocks");
    struct arena arena;
    struct planner_context planner;
    arena_init(&arena, NULL);
    run_planner(session, &planner, &arena, prepared->sql);
    bool ok = true;
    transaction_snapshot(session);
    catalog_read_lock(session->server->catalog);
    for (size_t i = 0; i < stmt->n_relations && ok; i++) {
        struct catalog_object *object;
        ok = planner_relation(&planner, stmt->relations[i]->range_var, &object, err);
        if (ok && object->relation == NULL)
            ok = error_set(err, ERRCODE_WRONG_OBJECT_TYPE, "cannot lock relation \"%s\"", object->name);
        if (ok)
            transaction_read(session, object->relation);
    }
    catalog_unlock(session->server->catalog);
    arena_release(&arena);
    return ok;
}

static bool refuse(struct error *err, const char *what, const char *hint)
{
    error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "%s is not supported", what);
    return hint != NULL ? error_hint(err, "%s", hint) : false;
}

bool run_other(struct session *session, struct prepared *prepared, char *tag, struct error *err)
{
    const PgQuery__Node *node = prepared->node;
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_CHECK_POINT_STMT:
        if (prepared->statement->keep != NULL)
            return run_keep(session, prepared->statement->keep, tag, err);
        if (prepared->statement->secret != NULL)
            return run_secret(session, prepared->statement->secret, tag, err);
        snprintf(tag, 64, "CHECKPOINT");
        return run_checkpoint(session, err);
    case PG_QUERY__NODE__NODE_VACUUM_STMT:
        /* space is reused and statistics are kept as rows change */
        snprintf(tag, 64, node->vacuum_stmt->is_vacuumcmd ? "VACUUM" : "ANALYZE");
        return !node->vacuum_stmt->is_vacuumcmd || run_no_block(session, "VACUUM", err);
    case PG_QUERY__NODE__NODE_REINDEX_STMT:
        snprintf(tag, 64, "REINDEX");
        return true;
    case PG_QUERY__NODE__NODE_LOCK_STMT:
        snprintf(tag, 64, "LOCK TABLE");
        return run_lock(session, prepared, err);
    case PG_QUERY__NODE__NODE_UNLISTEN_STMT:
        /* nothing is listened to */
        snprintf(tag, 64, "UNLISTEN");
        return true;
    case PG_QUERY__NODE__NODE_LISTEN_STMT:
        return refuse(err, "LISTEN", "Use SUBSCRIBE to a table or view.");
    case PG_QUERY__NODE__NODE_NOTIFY_STMT:
        return refuse(err, "NOTIFY", "Insert into a table; others SUBSCRIBE to it.");
    case PG_QUERY__NODE__NODE_CONSTRAINTS_SET_STMT:
        /* no constraint is deferrable */
        snprintf(tag, 64, "SET CONSTRAINTS");
        return true;
    case PG_QUERY__NODE__NODE_CREATE_FUNCTION_STMT:
        return refuse(err, "CREATE FUNCTION", "Use a view, or put the expression into the query.");
    case PG_QUERY__NODE__NODE_CREATE_TRIG_STMT:
        return refuse(err, "CREATE TRIGGER", "Use a materialized view, and SUBSCRIBE to it.");
    case PG_QUERY__NODE__NODE_CREATE_EXTENSION_STMT:
        return refuse(err, "CREATE EXTENSION", NULL);
    case PG_QUERY__NODE__NODE_CREATE_ENUM_STMT:
    case PG_QUERY__NODE__NODE_COMPOSITE_TYPE_STMT:
    case PG_QUERY__NODE__NODE_DEFINE_STMT:
        return refuse(err, "CREATE TYPE", "Use text with a CHECK constraint.");
    case PG_QUERY__NODE__NODE_CREATE_DOMAIN_STMT:
        return refuse(err, "CREATE DOMAIN", "Use the base type with a CHECK constraint.");
    case PG_QUERY__NODE__NODE_CREATEDB_STMT:
        return refuse(err, "CREATE DATABASE", "One server is one database; use CREATE SCHEMA.");
    case PG_QUERY__NODE__NODE_GRANT_STMT:
    case PG_QUERY__NODE__NODE_GRANT_ROLE_STMT:
        return refuse(err, "GRANT and REVOKE", NULL);
    case PG_QUERY__NODE__NODE_CREATE_ROLE_STMT:
        return refuse(err, "CREATE ROLE", NULL);
    case PG_QUERY__NODE__NODE_MERGE_STMT:
        return refuse(err, "MERGE", "Use INSERT ... ON CONFLICT, UPDATE and DELETE.");
    case PG_QUERY__NODE__NODE_DO_STMT:
    case PG_QUERY__NODE__NODE_CALL_STMT:
        return refuse(err, "procedural code", NULL);
    default:
        return refuse(err, "this statement", NULL);
    }
}
