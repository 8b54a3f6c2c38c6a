/* run_prepare.h: PREPARE, EXECUTE, DEALLOCATE. */
#ifndef MILLRACE_SERVER_RUN_PREPARE_H
#define MILLRACE_SERVER_RUN_PREPARE_H

#include "server/connection.h"

MUST_CHECK
bool run_prepare(struct connection *connection, struct prepared *prepared, const struct datum *params,
                 struct result_sink *sink, char *tag, struct error *err);
/* The statement's text from byte `from` on, everything before it blank, so that positions stay the same. */
const char *text_from(struct arena *arena, const char *sql, size_t from);

#endif
