/* unnest.h: removes references to an enclosing query's row from a subquery's plan (Neumann & Kemper,
 * "Unnesting arbitrary queries", 2015).
 *
 * A reference is bound where an equality with a column of the subquery stands for it (then the column takes
 * its place); else the distinct values of the outer columns ("the domain") are joined in where they are
 * needed. Bound columns travel upwards as additional columns: group keys of aggregates, partitions of sorts
 * and windows, join keys. The caller finally joins the outer plan with the result on them. */
#ifndef MILLRACE_PLANNER_UNNEST_H
#define MILLRACE_PLANNER_UNNEST_H

#include "planner/bind.h"

struct unnest {
    struct planner_context *ctx;
    const struct plan *outer; /* cloned for domains */
    uint32_t *uses;           /* how often the subquery reads each outer column */
};

/* A plan whose first columns are the original ones. */
struct unnested {
    struct plan *plan;
    uint32_t *columns; /* per outer column: where its value stands, UINT32_MAX not bound */
    bool *strict;      /* never NULL there */
};

/* Conditions that the caller applies on the final join: over the plan's columns and EXPR_OUTER level 1. */
struct pulled {
    uint32_t count, cap;
    struct expr **items;
};

void unnest_init(struct unnest *u, struct planner_context *ctx, const struct plan *outer,
                 const struct plan *subquery);
/* pulled NULL: conditions must stay inside; else it is empty when the call begins. */
bool unnest_plan(struct unnest *u, struct plan *plan, struct pulled *pulled, struct unnested *out,
                 struct error *err);
/* EXPR_OUTER level 1 of f becomes column columns[f] (NULL: f itself). */
struct expr *unnest_resolve(struct unnest *u, struct expr *expr, const uint32_t *columns);
/* Adds `keys` for all bound columns to a join whose left side is the outer plan. */
void unnest_join_keys(struct unnest *u, const struct unnested *right, struct plan *join);

#endif
