/* pass.h: the passes over a bound plan, in order. Each keeps the meaning of the plan; each that is not needed
 * for correctness can be switched off by its bit in planner_context.passes_off. */
#ifndef MILLRACE_PLANNER_PASS_H
#define MILLRACE_PLANNER_PASS_H

#include "planner/bound.h"
#include "planner/planner.h"

struct plan_pass {
    const char *name;
    const char *help;
    bool (*run)(struct planner_context *ctx, struct plan **plan, struct error *err);
    bool is_required; /* cannot be switched off */
};

/* The table; bit i of passes_off is pass i. */
extern const struct plan_pass plan_passes[];
extern const uint32_t plan_passes_count;

/* All passes, then names and plan_finish. */
MUST_CHECK
bool planner_run_passes(struct planner_context *ctx, struct plan *plan, const char **names, struct plan **out,
                        struct error *err);

/* pass_fold.c: constants computed, conditions that are never true make a plan empty. */
bool pass_fold(struct planner_context *ctx, struct plan **plan, struct error *err);
/* pass_outer.c: outer joins below a condition that drops the rows they add become inner ones. */
bool pass_outer_joins(struct planner_context *ctx, struct plan **plan, struct error *err);
/* pass_pushdown.c: conditions move towards the scans and become join keys; order of comma joins. */
bool pass_pushdown(struct planner_context *ctx, struct plan **plan, struct error *err);
/* pass_event_time.c: in views, which rows can be late; what can be forgotten, and when rows are final. */
bool pass_lateness(struct planner_context *ctx, struct plan **plan, struct error *err);
bool pass_event_time(struct planner_context *ctx, struct plan **plan, struct error *err);
/* pass_interval.c: of a view: bounds on the distance of two times make a join an interval join. */
bool pass_interval(struct planner_context *ctx, struct plan **plan, struct error *err);
/* pass_prune.c: columns nobody reads are not computed. */
bool pass_prune(struct planner_context *ctx, struct plan **plan, struct error *err);
/* pass_merge.c: adjacent CALC nodes become one. */
bool pass_merge(struct planner_context *ctx, struct plan **plan, struct error *err);
/* pass_session.c: an aggregate per session and the sessions below it become one node. */
bool pass_session(struct planner_context *ctx, struct plan **plan, struct error *err);
/* pass_top.c: row_number() <= n becomes the first n rows of each partition. */
bool pass_top(struct planner_context *ctx, struct plan **plan, struct error *err);
/* pass_now.c: conditions of a view on now() become temporal filters; state_ttl; emit = every. */
bool pass_now(struct planner_context *ctx, struct plan **plan, struct error *err);
bool pass_now_is_clock(const struct expr *expr); /* now() or one of its like */
bool pass_now_has_clock(const struct expr *expr);
/* pass_lookup.c: key = constant reads one row instead of all. */
bool pass_lookup(struct planner_context *ctx, struct plan **plan, struct error *err);
/* pass_slices.c: HOP without a copy of each row per window. */
bool pass_slices(struct planner_context *ctx, struct plan **plan, struct error *err);
/* pass_share.c: from here on a plan may be a graph: a node with several parents. */
bool pass_share(struct planner_context *ctx, struct plan **plan, struct error *err);
/* lower.c: what the executor does not do is expressed by what it does; refusals for views. */
bool pass_lower(struct planner_context *ctx, struct plan **plan, struct error *err);
bool pass_check_view(struct planner_context *ctx, struct plan **plan, struct error *err);

#endif
