/* recover.h: what the data directory holds, back in memory. */
#ifndef MILLRACE_SERVER_RECOVER_H
#define MILLRACE_SERVER_RECOVER_H

#include "server/server.h"

/* Reads the catalog store, makes schemas, tables, streams and sequences, puts back what the newest checkpoint has saved of
 * them and of views, replays the log behind it, then makes what is newer: views, filled, and indexes. Any failure names the
 * object; nothing is left out silently. */
MUST_CHECK
bool recover_catalog(struct server *server, struct error *err);

#endif
