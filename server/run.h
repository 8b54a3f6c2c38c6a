/* run.h: the files that run one kind of statement each; prepared_run chooses among them. All run inside the
 * session's transaction. */
#ifndef MILLRACE_SERVER_RUN_H
#define MILLRACE_SERVER_RUN_H

#include "server/prepared.h"
#include "server/transaction.h"

/* The session's environment with the statement's parameters. */
struct eval_env run_env(struct session *session, const struct prepared *prepared, const struct datum *params);
/* A planner context of the session: settings, search path, expansion of views it has touched. The caller
 * holds the catalog's read lock while it plans. */
void run_planner(struct session *session, struct planner_context *ctx, struct arena *arena, const char *sql);
/* The relations a plan scans stay while it is used without the catalog's lock. */
void run_hold_relations(struct plan *plan);
void run_release_relations(struct plan *plan);
/* Is there a scan of a stored relation in it? */
bool run_scans_anything(const struct plan *plan);
/* Notes for COMMIT that what an explicit transaction writes depends on these relations; but: left out, may be
 * NULL. */
void run_note_reads(struct session *session, const struct plan *plan, const struct relation *but);
/* 25006 "cannot execute INSERT in a read-only transaction". */
MUST_CHECK
bool run_needs_writing(struct session *session, const char *tag, struct error *err);
/* 25001 inside BEGIN. */
MUST_CHECK
bool run_no_block(struct session *session, const char *tag, struct error *err);

MUST_CHECK
bool run_query(struct session *session, struct prepared *prepared, const struct datum *params,
               struct result_sink *sink, char *tag, struct error *err);
/* A plan that is no prepared statement's. rows counts what came; sink NULL: rows are only counted. */
MUST_CHECK
bool run_plan(struct session *session, const struct plan *plan, const struct eval_env *env,
              struct result_sink *sink, uint64_t *rows, struct error *err);
MUST_CHECK
bool run_dml(struct session *session, struct prepared *prepared, const struct datum *params,
             struct result_sink *sink, char *tag, struct error *err);
MUST_CHECK
bool run_ddl(struct session *session, struct prepared *prepared, struct result_sink *sink, char *tag,
             struct error *err);
MUST_CHECK
bool run_explain(struct session *session, struct prepared *prepared, const struct datum *params,
                 struct result_sink *sink, char *tag, struct error *err);
MUST_CHECK
bool run_transaction(struct session *session, struct prepared *prepared, char *tag, struct error *err);
MUST_CHECK
bool run_other(struct session *session, struct prepared *prepared, char *tag, struct error *err);

#endif
