/* run_subscribe.h: SUBSCRIBE: the rows of a relation, then every change, as rows of epoch, diff and the
 * relation's columns. */
#ifndef MILLRACE_SERVER_RUN_SUBSCRIBE_H
#define MILLRACE_SERVER_RUN_SUBSCRIBE_H

#include "server/connection.h"

struct subscribe_run;
struct statement;

/* statement: parsed, with its subscribe clause. 42P01, 42809, 0A000 for queries. */
MUST_CHECK
bool subscribe_open(struct session *session, const struct statement *statement, struct subscribe_run **out,
                    struct error *err);
/* May be NULL. */
void subscribe_close(struct subscribe_run *run);
void subscribe_columns(const struct subscribe_run *run, uint32_t *count, const char ***names,
                       struct sql_type **types);
/* The next rows, weights all +1, borrowed until the next call; NULL when the deadline passed first
 * (clock_monotonic_ns; 1 asks only for what is there). At most rows_max of them. */
MUST_CHECK
bool subscribe_next(struct subscribe_run *run, int64_t deadline_ns, uint32_t rows_max,
                    const struct batch **rows, struct error *err);
/* SUBSCRIBE as a statement: streams into the sink until cancelled, the client goes or an error. */
MUST_CHECK
bool subscribe_stream(struct connection *connection, struct subscribe_run *run, struct result_sink *sink,
                      struct error *err);
MUST_CHECK
bool run_subscribe(struct connection *connection, struct prepared *prepared, struct result_sink *sink,
                   char *tag, struct error *err);

#endif
