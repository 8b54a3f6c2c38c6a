/* secrets.h: CREATE, ALTER and DROP SECRET, and secrets back from the store.
 *
 * A secret is a record of kind "secret" in state.db, in the catalog of the process (planner/catalog.h), and the value of each
 * option that says SECRET name: whoever opens a connector finds it there like any other, and shows no option whose `secret`
 * is set (planner/redact.h takes it from errors). */
#ifndef MILLRACE_SERVER_SECRETS_H
#define MILLRACE_SERVER_SECRETS_H

#include "planner/statement.h"
#include "server/run.h"
#include "storage/disk/catalog_store.h"

/* tag: 64 bytes. 42710, 42704, 2BP01 for one that is in use. ALTER opens again what uses it. */
MUST_CHECK
bool run_secret(struct session *session, const struct secret_clause *clause, char *tag, struct error *err);
/* While the catalog comes back, before what uses it. */
MUST_CHECK
bool secret_restore(struct server *server, const struct catalog_record *record, struct error *err);

#endif
