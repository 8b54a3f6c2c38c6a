/* dataflow_internal.h: struct dataflow and the operators that connect it to relations, workers and sinks
 * (flow_*.c). */
#ifndef MILLRACE_EXECUTOR_DATAFLOW_INTERNAL_H
#define MILLRACE_EXECUTOR_DATAFLOW_INTERNAL_H

#include "executor/dataflow.h"
#include "executor/feed.h"
#include "executor/relation_internal.h"

/* Where the rows of a node's output lie. */
enum distribution_kind { ROWS_ANYWHERE, ROWS_BY_HASH, ROWS_ON_SHARD_0 };
struct distribution {
    enum distribution_kind kind;
    uint32_t columns_count;
    uint32_t *columns; /* output columns whose batch_hash decides the shard, in order */
};

/* One operator in all its shards. */
struct node {
    const struct plan *plan;
    uint32_t depth; /* in the plan, for listings */
    uint32_t stage;
    struct operator** ops; /* per shard */
    struct distribution distribution;
    bool is_source; /* has a run step of its own: flow_source, flow_receive */
    /* State of all shards as it was at the end of the last tick: for other threads to look at. */
    _Atomic uint64_t state_rows;
    _Atomic int64_t state_bytes;
};

struct shared_arrangement {
    struct shared_arrangement *next;
    char *fingerprint;
    struct relation *relation;
    struct dataflow *dataflow;
    struct arrangement **states; /* per shard */
    uint32_t users;
    bool filled;
    bool is_listed; /* among its relation's arrangements; before that it is its one user's own */
};

struct pending_error { /* of one shard in one tick */
    const char *op_name;
    char sqlstate[6];
    const char *message;
    const char *row;
    int64_t weight;
};

struct dataflow_shard {
    struct op_context ctx;
    struct arena tick_arena;
    struct dataflow *dataflow;
    struct pending_error *errors; /* in the tick arena */
    uint32_t errors_count, errors_cap;
    struct error failure;
    uint64_t judged, late_count; /* of the running tick */
    const struct batch **late;   /* late rows of the running tick, in the tick arena */
    uint32_t late_batches, late_cap;
};

struct dataflow {
    enum dataflow_mode mode;
    uint32_t shards_count;
    struct dataflow_shard *shards;
    struct arena arena; /* operators, nodes */
    struct arena *plan_arena;
    struct account account;
    struct eval_env env;
    struct node **nodes; /* children before parents; ONE_SHOT: right sides of joins before left ones */
    uint32_t nodes_count, nodes_cap;
    uint32_t stages_count;
    uint32_t level, order;
    bool scheduled;
    bool failed;
    struct error failure;
    uint64_t epoch; /* of the running tick */
    _Atomic int64_t busy_ns;
    uint64_t rows_in_taken;
    uint64_t visited; /* dataflow_is_reached */

    struct relation *target;                /* view */
    struct shared_arrangement *arrangement; /* or this */
    struct feed own_feed;                   /* of an arrangement; a view uses its relation's */
    struct relation **inputs;               /* relations it reads directly: references held */
    uint32_t inputs_count, inputs_cap;
    struct shared_arrangement **used; /* arrangements it uses */
    uint32_t used_count, used_cap;
    bool is_hooked;                 /* its inputs know it */
    const struct tick_frame *frame; /* of a view that is being filled, and of its arrangements */
    struct dataflow *next;          /* dataflow_publish's list */

    /* event time */
    const struct late_desc *late; /* in the arena; NULL: none can be */
    struct node **timed_nodes;    /* whose classes have due times */
    uint32_t timed_nodes_count;
    int64_t watermark_before, watermark; /* see struct op_context */
    bool holds_watermark;                /* some operator can */
    int64_t due_clock, due_watermark;
    bool timed;         /* in the engine's list */
    uint64_t plan_hash; /* views: XXH3 of the plan's text */

    /* ONE_SHOT */
    const struct query_options *options;
    query_sink sink;
    void *sink_ctx;
};

/* Makes one operator per shard, without opening it. */
struct node *dataflow_add_node(struct dataflow *flow, const struct operator_class *class,
                               const struct plan *plan, uint32_t columns_count, const struct sql_type *types,
                               uint32_t depth);
/* Restoring: the watermark its operators are given back with; and when they are, what is due. */
void dataflow_set_watermark(struct dataflow *flow, int64_t watermark);
void dataflow_restored(struct dataflow *flow);
void dataflow_connect(struct dataflow *flow, struct node *from, struct node *to, uint32_t port);
/* What the frame says about one of its inputs. */
const struct frame_input *frame_input(const struct tick_frame *frame, const struct relation *relation);
MUST_CHECK
bool dataflow_open_node(struct node *node, uint32_t shards_count, struct error *err);

/* flow_source.c */
extern const struct operator_class flow_scan_class;   /* rows or change of a relation */
extern const struct operator_class flow_system_class; /* PLAN_SYSTEM */
extern const struct operator_class flow_shared_class; /* change of a shared arrangement */
void flow_scan_setup(struct operator* op, struct relation *relation);
void flow_shared_setup(struct operator* op, struct shared_arrangement *shared);
struct shared_arrangement *flow_shared_arrangement(const struct operator* op);
/* Sources and receivers: emit what they have for this tick. */
MUST_CHECK
bool flow_source_run(struct operator* op, struct error *err);
/* flow_exchange.c */
extern const struct operator_class flow_exchange_class;
extern const struct operator_class flow_receive_class;
void flow_exchange_setup(struct operator* op, const uint32_t *columns, uint32_t columns_count,
                         bool to_shard_0);
void flow_receive_setup(struct operator* op, struct node *exchange);
MUST_CHECK
bool flow_receive_run(struct operator* op, struct error *err);
/* flow_materialize.c: the roots */
extern const struct operator_class flow_materialize_class;
extern const struct operator_class flow_tap_class;
extern const struct operator_class flow_sink_class;
/* Once per batch: memory, and while a view is made the cancel flag. */
MUST_CHECK
bool flow_check(const struct operator* op, struct error *err);

#endif
