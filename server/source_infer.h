/* source_infer.h: columns of a source that its definition leaves to the format's schema. */
#ifndef MILLRACE_SERVER_SOURCE_INFER_H
#define MILLRACE_SERVER_SOURCE_INFER_H

#include "planner/ddl.h"

/* Puts the columns of the schema in front of those that a CREATE STREAM or TABLE says, when none of these comes from a record's
 * value: there are none, or all have OPTIONS (metadata ...). A table gets the schema's key unless it says one. The statement becomes another tree in the context's arena; it stays
 * as it is when it says columns, is over no log, or its format knows of no schema. Asks the registry: 08006, 42704 and 22023 as in
 * registry.h. Call without any lock of the catalog. */
MUST_CHECK
bool source_infer_columns(struct planner_context *ctx, struct statement *statement, struct error *err);

#endif
