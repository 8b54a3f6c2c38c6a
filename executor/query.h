/* query.h: a SELECT: its plan run once over a snapshot, on the caller's thread. */
#ifndef MILLRACE_EXECUTOR_QUERY_H
#define MILLRACE_EXECUTOR_QUERY_H

#include "executor/eval_env.h"
#include "executor/plan.h"

/* Rows a transaction has changed and not committed: seen by its own statements only. */
struct overlay_relation {
    struct relation *relation;
    const struct batch *rows; /* consolidated, weights */
};
struct overlay {
    uint32_t count;
    const struct overlay_relation *items;
};

struct query_options {
    uint64_t snapshot;             /* an open snapshot */
    const struct eval_env *env;    /* env->cancel is honoured between batches */
    const struct overlay *overlay; /* NULL: none */
    struct account *account;       /* the statement's; 53200 beyond its limit */
};

/* Gets the result's rows in order; borrowed. Weights > 1 stand for equal rows. *stop = true: no more are
 * wanted. */
typedef bool (*query_sink)(void *ctx, const struct batch *rows, bool *stop, struct error *err);

MUST_CHECK
bool query_run(const struct plan *plan, const struct query_options *options, query_sink sink, void *ctx,
               struct error *err);
/* Runs it and collects everything into a batch in the arena (weights expanded to single rows). */
MUST_CHECK
bool query_collect(const struct plan *plan, const struct query_options *options, struct arena *arena,
                   struct batch **out, struct error *err);

#endif
