/* explain.h: the text EXPLAIN shows. */
#ifndef MILLRACE_PLANNER_EXPLAIN_H
#define MILLRACE_PLANNER_EXPLAIN_H

#include "executor/plan.h"

/* One line per plan node, children indented; ends in a newline. */
MUST_CHECK
bool planner_explain(const struct plan *plan, struct strbuf *out);

#endif
