/* run_cursor.h: DECLARE, FETCH, MOVE, CLOSE. */
#ifndef MILLRACE_SERVER_RUN_CURSOR_H
#define MILLRACE_SERVER_RUN_CURSOR_H

#include "server/connection.h"

MUST_CHECK
bool run_cursor(struct connection *connection, struct prepared *prepared, const struct datum *params,
                struct result_sink *sink, char *tag, struct error *err);

#endif
