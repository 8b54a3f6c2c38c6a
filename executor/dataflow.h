/* dataflow.h: a plan turned into operators, and the running of one tick through them.
 *
 * CONTINUOUS dataflows belong to the engine: a view (whose root materializes into a relation) or a shared
 * arrangement (whose root keeps one side of joins for several views). Each exists once per shard; where the
 * key changes, rows cross shards through an exchange, which cuts the dataflow into stages: all shards finish
 * a stage before the next begins. ONE_SHOT dataflows have one shard and belong to a statement.
 *
 * A plan may be a DAG: a node reached twice is one operator with two consumers. */
#ifndef MILLRACE_EXECUTOR_DATAFLOW_H
#define MILLRACE_EXECUTOR_DATAFLOW_H

#include "executor/operator.h"
#include "executor/query.h"
#include "executor/relation.h"

struct dataflow;
struct feed;
struct workers;

/* A view's dataflow. Takes over plan_arena (mem_alloc'ed struct, released and freed with the dataflow). env
 * is copied, and so is late (NULL: no row can be late). Shared arrangements that are missing are created and appended to *created (caller runs their
 * first tick before this dataflow's). */
MUST_CHECK
bool dataflow_create_view(struct relation *target, const struct plan *plan, struct arena *plan_arena,
                          const struct eval_env *env, const struct late_desc *late, struct account *parent,
                          struct dataflow **out, struct error *err);
/* Unhooks it from its inputs and frees it; shared arrangements without users go as well. */
void dataflow_destroy(struct dataflow *dataflow);
/* Arrangements created for it that have not had their first tick, in order; NULL at the end. */
struct dataflow *dataflow_next_unfilled(struct dataflow *dataflow);

uint32_t dataflow_level(const struct dataflow *dataflow);
uint32_t dataflow_order(const struct dataflow *dataflow);
/* What depends on its result. */
struct feed *dataflow_feed(struct dataflow *dataflow);
struct relation *dataflow_target(struct dataflow *dataflow); /* NULL: a shared arrangement */
/* Runs one tick. initial: from the whole contents of the inputs. rows: estimate, decides whether workers are
 * woken. On false the view cannot be maintained any more (memory limit, cancel). */
MUST_CHECK
bool dataflow_tick(struct dataflow *dataflow, uint64_t epoch, int64_t clock_us, uint64_t seed, bool initial,
                   const _Atomic bool *cancel, struct workers *workers, uint64_t rows, struct error *err);
/* A view, or a shared arrangement, cannot be maintained any more, and neither can what reads it: from now on reading
 * them fails with `err`. */
void dataflow_fail(struct dataflow *dataflow, const struct error *err);
/* Gives back what the dataflow of a failed view keeps besides the rows of the view. Between ticks. */
void dataflow_give_up(struct dataflow *dataflow);
/* After all dataflows of the tick: forgets this tick's batches. */
void dataflow_end_tick(struct dataflow *dataflow);
/* Whether something it reads, directly or through other views, has changed in the running tick, so that its
 * result may change when it runs. visit: larger than at the last call. */
bool dataflow_is_reached(struct dataflow *dataflow, uint64_t visit);
/* Marked by the engine's schedule of the running tick. */
bool *dataflow_scheduled(struct dataflow *dataflow);

/* ---- event time ---- */

/* When finish wants to be called though no row comes: the least of its operators' due_clock. */
int64_t dataflow_due_clock(const struct dataflow *dataflow);
bool *dataflow_timed(struct dataflow *dataflow); /* in the engine's list of those with a due clock */
/* The watermark of the inputs of a feed's relation at which one of its dependents, or of theirs, wants to be called. */
int64_t feed_due_watermark(const struct feed *feed);
/* Of the last tick. */
int64_t dataflow_watermark(const struct dataflow *dataflow);
bool dataflow_watermark_moved(const struct dataflow *dataflow);
bool dataflow_has_late_rows(const struct dataflow *dataflow);
/* Appends them to the target's late rows, which are touched in this tick. */
void dataflow_store_late_rows(struct dataflow *dataflow);

/* Rows its operators were handed since the last call. */
uint64_t dataflow_take_rows_in(struct dataflow *dataflow);
void dataflow_stats(struct dataflow *dataflow, struct relation_stats *out);
void dataflow_operators(struct dataflow *dataflow, relation_operator_fn visit, void *ctx);

/* ONE_SHOT: query.c. */
MUST_CHECK
bool dataflow_run_once(const struct plan *plan, const struct query_options *options, query_sink sink,
                       void *sink_ctx, struct error *err);

#endif
