/* source_changes.h: a thread that changes the columns of relations for the sources that feed them, when the schema of their records asks for it
 * (option schema_change). It runs ALTER TABLE in a session of its own, as a user would: the source's consumers are stopped for it and started again behind
 * its last transaction, with the new columns. */
#ifndef MILLRACE_SERVER_SOURCE_CHANGES_H
#define MILLRACE_SERVER_SOURCE_CHANGES_H

#include "protocol/format/format.h"
#include "server/server.h"

struct source_changes;

struct source_changes *source_changes_create(struct server *server);
/* Gives up what it is doing. No more source is stopped or started by it afterwards. */
void source_changes_destroy(struct source_changes *changes);
/* Any thread: asks for it, of a relation of so many columns. When it is done, or the relation has others by then, the consumer that
 * has asked is no more; when it cannot be, sources_answer is called. */
void source_changes_ask(struct source_changes *changes, const struct catalog_object *object,
                        const struct format_change *wanted, uint32_t count);

#endif
