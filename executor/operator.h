/* operator.h: what an operator is, and how changes flow through operators.
 *
 * A plan becomes a graph of operators (dataflow.h). In one tick every operator gets its input by any number
 * of `push` calls per port, then exactly one `finish`, when all of its inputs have finished. It hands rows on
 * with operator_emit during either. Batches are borrowed for the duration of the call; whoever keeps rows
 * copies them (into ctx->tick_arena when they are needed until the end of the tick). Emitted batches hold at
 * most BATCH_ROWS_MAX rows; so do pushed ones.
 *
 * Two modes share all of this. CONTINUOUS: a view's dataflow lives for long and sees changes tick by tick;
 * the first tick (ctx->initial) brings the inputs' whole contents. ONE_SHOT: a SELECT is a single tick over a
 * snapshot (ctx->initial is true as well): nothing needs to be remembered after finish, so memory is kept
 * low; children finish in the order of dataflow_build: a join's right child is complete before its left child
 * starts.
 *
 * Graph and state belong to one shard: an operator is called by one thread at a time. */
#ifndef MILLRACE_EXECUTOR_OPERATOR_H
#define MILLRACE_EXECUTOR_OPERATOR_H

#include "executor/eval_env.h"
#include "executor/plan.h"
#include "storage/state/saved_table.h"

struct operator;
struct error_sink;

enum dataflow_mode { DATAFLOW_ONE_SHOT, DATAFLOW_CONTINUOUS };

/* Shared by all operators of one shard of one dataflow. */
struct op_context {
    enum dataflow_mode mode;
    bool initial; /* this tick brings everything from the start */
    uint32_t shard, shards_count;
    struct arena *plan_arena;   /* lives as long as the dataflow */
    struct arena *tick_arena;   /* reset at the end of each tick; ONE_SHOT: released with the statement */
    struct account *account;    /* state is charged here */
    const struct eval_env *env; /* of this tick or statement; env->io.now_us is the tick's logged clock */
    /* Event time (docs/event-time.md): the lowest watermark of the dataflow's inputs as the tick began, and with the
     * tick's rows counted; microseconds as in a timestamp, WATERMARK_NONE when there is none. Rows of this tick without
     * watermarks of their own (struct batch) are judged by watermark_before; what is finished and what can be
     * forgotten is judged in finish, by watermark. Neither ever goes back. ONE_SHOT: both WATERMARK_NONE. */
    int64_t watermark_before, watermark;
    bool collect_errors; /* CONTINUOUS: rows whose expressions fail go to op_error_row; else they fail the
                            call */
    void *owner;         /* dataflow internals: where op_error_row puts its rows */
    bool stop;           /* ONE_SHOT: the sink wants no more rows: everything may end */
    bool
        enough; /* ONE_SHOT: a LIMIT that all sources serve is satisfied: they end early, what stands above it
                          * goes on */
};

#define TIME_NEVER INT64_MAX

struct operator_class {
    const char *name;
    size_t bytes; /* of the operator's struct, which begins with struct operator */
    /* NULL entries: open nothing to do; push CHECKs; finish, close nothing; state_* 0. */
    bool (*open)(struct operator* op, const struct plan *plan, struct error *err);
    bool (*push)(struct operator* op, uint32_t port, const struct batch *change, struct error *err);
    bool (*finish)(struct operator* op, struct error *err);
    void (*close)(struct operator* op);
    /* When finish wants to be called though no row came: as soon as the tick's clock, or the watermark, has reached
     * this. Asked after each tick; TIME_NEVER (or no entry): not before the next row. */
    int64_t (*due_clock)(const struct operator* op);
    int64_t (*due_watermark)(const struct operator* op);
    /* Rows wait in it that came when the watermark was no further than this: the dataflow's may reach it, but not pass it.
     * TIME_NEVER (or no entry): no such row. */
    int64_t (*holds_watermark)(const struct operator* op);
    int64_t (*state_bytes)(const struct operator* op);
    uint64_t (*state_rows)(const struct operator* op);
    /* What a checkpoint saves of the operator between two ticks (storage/state/saved_table.h); NULL: it remembers nothing.
     * saved_tables lists its tables. save_rest appends what else there is, a few bytes whatever the state's size;
     * restore_rest gets them back when all tables are, in a freshly opened operator, and makes what is computed from
     * the rows (rest_bytes 0: nothing was saved). XX001 when they cannot be. */
    void (*saved_tables)(struct operator* op, struct saved_tables *out);
    void (*save_rest)(struct operator* op, struct strbuf *out);
    bool (*restore_rest)(struct operator* op, const void *rest, size_t rest_bytes, struct error *err);
};

struct operator_edge {
    struct operator* to;
    uint32_t port;
};

struct operator
{
    const struct operator_class *class;
    const struct plan *plan; /* NULL for operators that no plan node asked for */
    struct op_context *ctx;
    uint32_t columns_count; /* of its output */
    const struct sql_type *types;
    uint32_t edges_count;
    struct operator_edge *edges; /* consumers, in the same shard */
    struct operator** inputs;    /* by port */
    uint32_t inputs_count;
    uint32_t inputs_finished; /* this tick; managed by the dataflow */
    bool dirty;               /* this tick; managed by the dataflow */
    /* statistics since creation */
    _Atomic uint64_t rows_in, rows_out, batches_in;
};

/* Hands rows to every consumer: cuts batches over BATCH_ROWS_MAX; empty ones are dropped. */
MUST_CHECK
bool operator_emit(struct operator* op, const struct batch *change, struct error *err);
/* A row of `change` failed with `error` while this operator worked on it: with collect_errors it is kept as
 * data (with the row's weight) and true is returned, else *err = *error and false. */
MUST_CHECK
bool op_error_row(struct operator* op, const struct batch *change, uint32_t row, const struct error *error,
                  struct error *err);
/* The same for results of a group: message with weight (+1 appears, -1 disappears). */
MUST_CHECK
bool op_error_weight(struct operator* op, int64_t weight, const struct error *error, struct error *err);

/* Rows of `change` (all columns of what a window or a join was given) that came too late: they go to the view's late
 * rows, which late_rows('view') reads, or are only counted (plan_lateness.keeps_rows). rows: which, count of them.
 * starts, ends: of the window that refused each, per entry of rows; NULL: no window. Watermarks and positions are
 * taken from the batch, or are those of the tick. */
struct plan_lateness;
void op_late_rows(struct operator* op, const struct plan_lateness *lateness, const struct batch *change,
                  const uint32_t *rows, uint32_t count, const int64_t *starts, const int64_t *ends);
/* Pairs of row and window (or rows) that were judged, late ones included. */
void op_judged(struct operator* op, uint64_t pairs);
/* The watermark by which a row of a pushed batch is judged: its own, else the one the tick began with. */
static inline int64_t op_row_watermark(const struct operator* op, const struct batch *change, uint32_t row)
{
    return change->watermarks != NULL ? change->watermarks[row] : op->ctx->watermark_before;
}

/* ---- the operators (executor/operators/op_*.c) ---- */

extern const struct operator_class op_calc_class;        /* PLAN_CALC */
extern const struct operator_class op_project_set_class; /* PLAN_PROJECT_SET */
extern const struct operator_class op_window_class;      /* PLAN_WINDOW */
extern const struct operator_class op_session_class;     /* PLAN_SESSION */
extern const struct operator_class op_aggregate_class;   /* PLAN_AGGREGATE */
extern const struct operator_class op_arrange_class;     /* a side of a join that must be remembered: below */
extern const struct operator_class op_join_class;        /* PLAN_JOIN */
extern const struct operator_class op_union_class;       /* PLAN_UNION_ALL: passes on */
extern const struct operator_class op_set_op_class;      /* PLAN_SET_OP */
extern const struct operator_class op_sort_class;        /* PLAN_SORT, ONE_SHOT */
extern const struct operator_class op_top_n_class;       /* PLAN_SORT, CONTINUOUS (keys, partitions, limit) */
extern const struct operator_class op_top_few_class;     /* the same, where op_top_few_fits */
extern const struct operator_class op_at_most_one_class; /* PLAN_AT_MOST_ONE */
extern const struct operator_class op_over_class;        /* PLAN_OVER */
extern const struct operator_class op_late_class;        /* PLAN_LATE */
extern const struct operator_class op_temporal_filter_class; /* PLAN_TEMPORAL_FILTER */
extern const struct operator_class op_final_class;           /* PLAN_FINAL */
extern const struct operator_class op_every_class;           /* PLAN_EVERY */
extern const struct operator_class op_interval_join_class;   /* PLAN_INTERVAL_JOIN */
extern const struct operator_class op_lookup_join_class;     /* PLAN_LOOKUP_JOIN */
extern const struct operator_class op_asof_join_class;       /* PLAN_ASOF_JOIN */
/* PLAN_VALUES emits its rows in finish of an initial tick (shard 0 only). */
extern const struct operator_class op_values_class;

/* PLAN_AGGREGATE: can all of its calls be merged (aggregate_row.merge), so that rows may be added up in parts
 * first? For the plan's owner: plan_finish has run. only_inserts: a SELECT, whose input holds no deletion. */
bool op_aggregate_can_merge(const struct plan *plan, bool only_inserts);

/* op_arrange keeps an arrangement keyed by the child's join keys; it applies its input as it is pushed,
 * passes each batch on after applying it, and drops nothing: rows with NULL keys are kept too. append_only: no
 * retraction will come. Call before open. */
struct arrangement;
void op_arrange_setup(struct operator* op, const uint32_t *key_columns, uint32_t key_count, bool append_only);
/* Not append-only: rows are forgotten as `expiry` says, but not before op_arrange_forget is called. Call before open. */
void op_arrange_expire(struct operator* op, const struct plan_expiry *expiry);
struct arrangement *op_arrange_state(struct operator* op);
/* The join's sides: NULL when a side is not arranged (only the left one, ONE_SHOT, kinds other than FULL).
 * A side is shared when its arrangement has the tick's new contents before the first of them is pushed;
 * otherwise an arrange operator applies each batch right before it pushes it. Call before open. In an initial
 * tick only L x R (and unmatched rows) is computed, once, streaming from the left arrangement in finish
 * (ONE_SHOT without left arrangement: streaming in push on port 0). */
void op_join_setup(struct operator* op, struct arrangement *left, bool left_is_shared,
                   struct arrangement *right, bool right_is_shared);
/* The arrange operators of the sides that forget rows (NULL: the side does not): at the end of the join's finish. Call
 * before open. */
void op_join_forget_setup(struct operator* op, struct operator* left, struct operator* right);
/* Between two ticks: where the join reads `from` it reads `to`, which holds the same rows, from now on. */
void op_join_replace(struct operator* op, const struct arrangement *from, struct arrangement *to);
void op_lookup_join_replace(struct operator* op, const struct arrangement *from, struct arrangement *to);
/* The right side of a lookup join, shared or not as above; its left side is never arranged. Call before open. */
void op_lookup_join_setup(struct operator* op, struct arrangement *right, bool right_is_shared);
/* The right side, which is shared, is the cache of an external table: rows that are not there wait and are asked for.
 * Call after op_lookup_join_setup, before open. */
struct lookup_source;
void op_lookup_join_external(struct operator* op, struct lookup_source *source);
/* Asks once more for all keys that rows wait for. Between two ticks. */
void op_lookup_join_ask_again(struct operator* op);

#endif
