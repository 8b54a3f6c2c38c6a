/* recover.h: what the data directory holds, back in memory. */
#ifndef MILLRACE_SERVER_RECOVER_H
#define MILLRACE_SERVER_RECOVER_H

#include "server/server.h"

/* Reads the catalog store, makes schemas, tables, streams and sequences, puts back what the newest checkpoint has saved of
 * them and of views, replays the log behind it, then makes what is newer: views, filled, and indexes. Any failure names the
 * object; nothing is left out silently.
 *
 * With another number of shards than the checkpoint has it fails where its state cannot be moved, and then as well when that
 * goes wrong: nothing on disk has changed, the caller starts over with the checkpoint's. */
MUST_CHECK
bool recover_catalog(struct server *server, struct error *err);

#endif
