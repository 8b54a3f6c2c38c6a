/* run_keep.h: CHECKPOINT, BACKUP TO, CREATE SNAPSHOT, DROP SNAPSHOT. */
#ifndef MILLRACE_SERVER_RUN_KEEP_H
#define MILLRACE_SERVER_RUN_KEEP_H

#include "planner/statement.h"
#include "server/run.h"

MUST_CHECK
bool run_checkpoint(struct session *session, struct error *err);
/* tag: 64 bytes. */
MUST_CHECK
bool run_keep(struct session *session, const struct keep_clause *clause, char *tag, struct error *err);

#endif
