/* pass.c: the list of passes, and running them. */
#include "planner/pass.h"

const struct plan_pass plan_passes[] = {
    {"fold", "conditions that are always or never true; branches without rows", pass_fold, false},
    {"outer", "outer joins whose added rows are dropped anyway become inner joins", pass_outer_joins, false},
    {"pushdown", "conditions move to the scans and become join keys; joins are put in order", pass_pushdown,
     false},
    {"interval", "of a view: joins that bound the distance of two times look only between the bounds",
     pass_interval, false},
    {"lower", "what no operator does is put together from what they do", pass_lower, true},
    {"push again", "conditions that lowering made", pass_pushdown, false},
    {"fold again", "conditions that became constant", pass_fold, false},
    {"now", "of a view: conditions on now() become temporal filters; lives of rows, periods", pass_now, true},
    {"lateness", "of a view: which rows can be late", pass_lateness, true},
    {"prune", "columns nobody reads", pass_prune, false},
    {"merge", "projections and conditions on top of each other become one", pass_merge, false},
    {"session", "aggregates of session windows are kept by session", pass_session, false},
    {"merge again", "projections that moved below the sessions", pass_merge, false},
    {"top", "of a view: conditions on row_number(), rank() and dense_rank() cut each partition short",
     pass_top, false},
    {"lookup", "key = constant reads one row", pass_lookup, false},
    {"slices", "aggregates over HOP add up slices instead of one copy of a row per window", pass_slices,
     false},
    {"event time", "of a view: what can be forgotten, and when rows are final", pass_event_time, true},
    {"share", "equal parts of a view's plan are computed once", pass_share, false},
    {"view", "refuses what cannot be maintained", pass_check_view, true},
};
const uint32_t plan_passes_count = ARRAY_COUNT(plan_passes);

bool planner_run_passes(struct planner_context *ctx, struct plan *plan, const char **names, struct plan **out,
                        struct error *err)
{
    for (uint32_t i = 0; i < plan_passes_count; i++) {
        if (!plan_passes[i].is_required && (ctx->passes_off & (1u << i)))
            continue;
        if (!plan_passes[i].run(ctx, &plan, err))
            return false;
    }
    plan->names = names;
    plan_finish(plan, ctx->arena);
    *out = plan;
    return true;
}
