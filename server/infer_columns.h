/* infer_columns.h: columns of a relation whose CREATE lists none, from the schema that its format knows. */
#ifndef MILLRACE_SERVER_INFER_COLUMNS_H
#define MILLRACE_SERVER_INFER_COLUMNS_H

#include "planner/catalog.h"
#include "planner/statement.h"
#include "protocol/format/format.h"
#include "server/run_ddl.h"

/* Appends a column's definition: name, type, and where it is in records when its name does not say it. */
void infer_write_column(const struct format_column *column, struct strbuf *out);
/* The statement with its columns written out, in the job's arena; itself when it has no such clause. May ask a registry: no lock is held. 42601
 * when no schema can be asked, and the format's errors. */
MUST_CHECK
bool infer_columns(struct ddl_job *job, const struct statement *statement, const struct statement **out,
                   struct error *err);

#endif
