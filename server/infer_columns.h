/* infer_columns.h: columns of a relation whose CREATE lists none, from the schema that its format knows. */
#ifndef MILLRACE_SERVER_INFER_COLUMNS_H
#define MILLRACE_SERVER_INFER_COLUMNS_H

#include "planner/catalog.h"
#include "planner/statement.h"
#include "server/run_ddl.h"

/* The statement with its columns written out, in the job's arena; itself when it has no such clause. May ask a registry: no lock is held. 42601
 * when no schema can be asked, and the format's errors. */
MUST_CHECK
bool infer_columns(struct ddl_job *job, const struct statement *statement, const struct statement **out,
                   struct error *err);

#endif
