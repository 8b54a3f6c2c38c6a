/* run_set.h: SET, RESET, SHOW and DISCARD. */
#ifndef MILLRACE_SERVER_RUN_SET_H
#define MILLRACE_SERVER_RUN_SET_H

#include "server/session.h"

#include <pg_query/pg_query.pb-c.h>

MUST_CHECK
bool run_set(struct session *session, const PgQuery__Node *node, struct result_sink *sink, char *tag,
             struct error *err);
/* SHOW's columns, in the arena; false with err filled for an unknown setting. */
MUST_CHECK
bool show_columns(struct session *session, const PgQuery__Node *node, struct arena *arena, uint32_t *count,
                  const char ***names, struct sql_type **types, struct error *err);

#endif
