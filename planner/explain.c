/* explain.c: see explain.h. */
#include "planner/explain.h"

bool planner_explain(const struct plan *plan, struct strbuf *out)
{
    if (plan == NULL)
        return false;
    plan_print(plan, out);
    return true;
}
