/* aggregate.h: aggregate functions: one table row each, beside its code.
 *
 * Two ways to stay incremental. Invertible ones (count, sum, avg, stddev ...) keep a fixed-size state per
 * group to which a row is added with a weight, negative to take it back. The others need their values in
 * order: the operator keeps a counted ordered multiset per group and calls `collect`. min and max have both:
 * `add` serves append-only input, the multiset the rest. DISTINCT and FILTER are the operator's work; kernels
 * never see them. */
#ifndef MILLRACE_EXECUTOR_AGGREGATE_H
#define MILLRACE_EXECUTOR_AGGREGATE_H

#include "executor/eval_env.h"
#include "storage/state/table_heap.h"

struct agg_call {
    const struct aggregate_row *aggregate;
    struct sql_type result_type;
    const struct sql_type *arg_types; /* arguments, then ORDER BY columns */
    uint32_t args_count;
    const struct eval_env *env;
    struct table_heap *heap; /* for state of variable size: owned by the group, given back by release */
    struct arena *arena;     /* results' text */
    struct error *error;     /* finish and collect: fill it to fail the group's row (22003 ...) */
};

/* A multiset in order: values ascend by the aggregate's ORDER BY, else by the arguments themselves. */
struct agg_values {
    bool (*next)(struct agg_values *values, struct datum *args, int64_t *count); /* false at the end */
    bool (*last)(struct agg_values *values, struct datum *args); /* the greatest; false when empty */
    uint64_t count;                                              /* values in all, copies included */
    void *state;
};

enum aggregate_flags {
    AGG_NULLS = 1,           /* sees rows whose argument is NULL (array_agg); else they are left out */
    AGG_ORDERED = 2,         /* needs the multiset always (string_agg, array_agg, percentile, mode) */
    AGG_APPEND_ONLY_ADD = 4, /* `add` may be used only while the input is append-only; else the multiset */
    AGG_ORDERED_SET = 8,     /* WITHIN GROUP syntax */
    AGG_STAR = 16,           /* count(*) */
    AGG_COUNTS = 32,         /* the state is one int64, the sum of the weights: no argument is looked at */
};

struct aggregate_row {
    const char *name;
    const char *args; /* as function_row.args */
    const char *result;
    const char *help;
    uint32_t flags;
    uint32_t state_bytes; /* multiple of 8; zero bytes are the empty state */
    /* Adds rows selection[0..count) (NULL: 0..count): states[i] belongs to the i-th of them; weights stand by
     * row number, like the columns; NULL: +1. */
    void (*add)(struct agg_call *call, const struct column *args, const uint32_t *selection, uint32_t count,
                const int64_t *weights, void *const *states);
    /* Results of `count` groups into result (initialised by the caller, nulls allocated). */
    void (*finish)(struct agg_call *call, void *const *states, uint32_t count, struct column *result);
    void (*release)(struct agg_call *call, void *state); /* NULL: nothing on the heap */
    /* Ordered ones: the value of one group; false with *call->error filled. */
    bool (*collect)(struct agg_call *call, struct agg_values *values, struct datum *result);
    /* Adds the accumulator parts[i] to wholes[i]: as if the rows of the part had been added to the whole. A
     * whole may occur more than once; parts stay as they are. NULL: cannot be merged. */
    void (*merge)(struct agg_call *call, void *const *wholes, void *const *parts, uint32_t count);
    /* For checkpoints: appends a state in bytes that do not depend on the machine (agg_common.h); and makes it again in
     * zero bytes, false when they are not what `save` writes. NULL, both: the state is state_bytes of plain int64s.
     * Who has `release` has both. */
    void (*save)(const struct agg_call *call, const void *state, struct strbuf *out);
    bool (*load)(struct agg_call *call, void *state, const uint8_t *bytes, size_t len);
};

/* A state of any aggregate as bytes, part of the format on disk; and back into zero bytes: XX001 when it cannot be. */
void aggregate_save(const struct agg_call *call, const void *state, struct strbuf *out);
MUST_CHECK
bool aggregate_load(struct agg_call *call, void *state, const uint8_t *bytes, size_t len, struct error *err);

size_t aggregate_find(const char *name, const struct aggregate_row *const **rows);
struct function_signature;
const struct function_signature *aggregate_signature(const struct aggregate_row *row);
const struct aggregate_row *aggregate_at(size_t index);
uint32_t aggregate_oid(const struct aggregate_row *row);

#endif
