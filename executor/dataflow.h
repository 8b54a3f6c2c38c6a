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
struct feed_shard;
struct workers;

/* What a tick brings to a dataflow that is being filled (backfill.h): its inputs are further on by then. */
struct frame_input {
    struct relation *relation;
    const struct feed_shard *shards; /* its change in this tick; NULL: none */
    int64_t watermark_before, watermark;
};
struct tick_frame {
    uint64_t snapshot; /* an initial tick reads its inputs as they were at this epoch */
    uint32_t inputs_count;
    struct frame_input *inputs;  /* of the dataflow and of its arrangements */
    _Atomic uint64_t *rows_done; /* rows that the initial tick has read */
};

/* A view's dataflow, not hooked to its inputs yet: dataflow_publish does that. Takes over plan_arena (mem_alloc'ed
 * struct, released and freed with the dataflow). env is copied, and so is late (NULL: no row can be late). frame:
 * where its ticks come from until it is published; it then has every arrangement to itself, and any thread may build,
 * run and destroy it. NULL: the engine's thread fills it between two ticks; arrangements that are there are used. */
MUST_CHECK
bool dataflow_create_view(struct relation *target, const struct plan *plan, struct arena *plan_arena,
                          const struct eval_env *env, const struct late_desc *late, struct account *parent,
                          const struct tick_frame *frame, struct dataflow **out, struct error *err);
/* Unhooks it from its inputs and frees it; shared arrangements without users go as well. */
void dataflow_destroy(struct dataflow *dataflow);
/* Arrangements created for it that have not had their first tick, in order; NULL at the end. */
struct dataflow *dataflow_next_unfilled(struct dataflow *dataflow);
/* Its i-th arrangement, NULL behind the last. */
struct dataflow *dataflow_fragment(struct dataflow *dataflow, uint32_t i);
/* The relations that it and its arrangements read; one may come several times. */
void dataflow_visit_inputs(struct dataflow *dataflow, void (*visit)(void *ctx, struct relation *relation),
                           void *ctx);
/* Rows that an initial tick is going to read. */
uint64_t dataflow_rows_to_read(const struct dataflow *dataflow);
/* With a frame, once its arrangements have run: does the tick ask for it? */
bool dataflow_is_called(const struct dataflow *dataflow, uint64_t epoch, int64_t clock_us);
/* Engine's thread, at a tick boundary, when it has seen all ticks so far: from the next tick on it runs with the
 * others. Arrangements of its own give way to equal ones that others use, or are there for others to use. Returns a
 * list of those that gave way, for dataflow_destroy_list by any thread. */
struct dataflow *dataflow_publish(struct dataflow *dataflow);
void dataflow_destroy_list(struct dataflow *first);

uint32_t dataflow_level(const struct dataflow *dataflow);
uint32_t dataflow_order(const struct dataflow *dataflow);
/* What depends on its result. */
struct feed *dataflow_feed(struct dataflow *dataflow);
struct relation *dataflow_target(struct dataflow *dataflow); /* NULL: a shared arrangement */
/* Runs one tick. initial: from the whole contents of the inputs. rows: estimate, decides whether workers are
 * woken (NULL: there are none, the caller runs all shards). On false the view cannot be maintained any more (memory
 * limit, cancel). */
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
/* After its tick: a view's watermark follows from those of its inputs. Returns whether that of the result moved. */
bool dataflow_pass_watermark(struct dataflow *dataflow, uint64_t epoch);
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
