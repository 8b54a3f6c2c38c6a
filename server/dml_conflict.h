/* dml_conflict.h: INSERT ... ON CONFLICT: which proposed rows meet an existing one, and what becomes of them.
 */
#ifndef MILLRACE_SERVER_DML_CONFLICT_H
#define MILLRACE_SERVER_DML_CONFLICT_H

#include "storage/data/batch.h"

struct dml_run;
struct dml_conflict;

struct dml_conflict *dml_conflict_create(struct dml_run *run);
/* Rows of the target that are proposed for insertion; copied. */
MUST_CHECK
bool dml_conflict_add(struct dml_conflict *conflict, const struct batch *rows, struct error *err);
/* Decides about all of them. 21000 when DO UPDATE would change a row twice. */
MUST_CHECK
bool dml_conflict_finish(struct dml_conflict *conflict, struct error *err);

#endif
