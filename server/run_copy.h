/* run_copy.h: COPY between a client and a table or query. */
#ifndef MILLRACE_SERVER_RUN_COPY_H
#define MILLRACE_SERVER_RUN_COPY_H

#include "server/connection.h"

MUST_CHECK
bool run_copy(struct connection *connection, struct prepared *prepared, char *tag, struct error *err);

#endif
