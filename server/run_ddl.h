/* run_ddl.h: what the files of DDL share. All run under server->ddl, so that names looked at stay as they
 * are. */
#ifndef MILLRACE_SERVER_RUN_DDL_H
#define MILLRACE_SERVER_RUN_DDL_H

#include "planner/ddl.h"
#include "planner/statement.h"
#include "server/ddl_objects.h"
#include "server/run.h"

struct ddl_job {
    struct session *session;
    struct server *server;
    struct prepared *prepared;
    const struct statement
        *statement; /* the prepared one, or that with the columns of a schema written out */
    struct arena arena;
    struct planner_context planner; /* use under the catalog's read lock */
    struct result_sink *sink;
    char *tag;
};

/* Is the name free? *skip: it is taken and IF NOT EXISTS says so (a notice is sent). Needs the read lock. */
MUST_CHECK
bool ddl_check_name(struct ddl_job *job, uint32_t schema_oid, const char *name, bool if_not_exists,
                    bool *skip, struct error *err);
/* Sequences of serial and identity columns, into the batch. */
MUST_CHECK
bool ddl_make_sequences(struct ddl_job *job, const struct ddl_table *table, struct ddl_batch *batch,
                        struct error *err);
/* run_drop.c */
MUST_CHECK
bool run_drop(struct ddl_job *job, const PgQuery__DropStmt *node, struct error *err);
/* Takes objects away: store, catalog, engine. They are in an order in which each is dropped before what it
 * depends on. */
MUST_CHECK
bool drop_objects(struct server *server, struct catalog_object **objects, uint32_t count, struct error *err);
/* Dependants other than indexes and owned sequences; needs the read lock. NULL: none; else the first, for
 * messages. */
const struct catalog_object *ddl_first_dependent(struct ddl_job *job, uint32_t oid);
/* run_alter.c */
MUST_CHECK
bool run_rename(struct ddl_job *job, const PgQuery__RenameStmt *node, struct error *err);
MUST_CHECK
bool run_alter_table(struct ddl_job *job, const PgQuery__AlterTableStmt *node, struct error *err);
MUST_CHECK
bool run_comment(struct ddl_job *job, const PgQuery__CommentStmt *node, struct error *err);

#endif
