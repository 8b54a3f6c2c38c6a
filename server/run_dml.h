/* run_dml.h: rows on their way into a table: defaults, generated columns, checks, in batches. Also for COPY
 * FROM. */
#ifndef MILLRACE_SERVER_RUN_DML_H
#define MILLRACE_SERVER_RUN_DML_H

#include "planner/bind_dml.h"
#include "server/session.h"

struct dml_run;

/* env is borrowed until the end. The target's kind and read_only have been looked at. */
struct dml_run *dml_run_create(struct session *session, const struct dml_plan *plan,
                               const struct eval_env *env);
/* INSERT: rows with the source's columns (any number, weights >= 1) become changes of the transaction. 23502,
 * 23514 and what the expressions raise. */
MUST_CHECK
bool dml_run_insert(struct dml_run *run, const struct batch *rows, struct error *err);
/* True when the rows of dml_run_insert become the change as they are, without a copy: they must then live in the
 * transaction's arena. Ask before the first. */
bool dml_run_takes_rows(struct dml_run *run);
/* Rows taken so far. */
const struct dml_plan *dml_run_plan(const struct dml_run *run);
uint64_t dml_run_count(const struct dml_run *run);
void dml_run_destroy(struct dml_run *run);

#endif
