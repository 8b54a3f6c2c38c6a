/* op_aggregate.h: what the files of the aggregate operator share: groups, DISTINCT sets, ordered multisets.
 * Internal.
 *
 * A group is the payload of a slot of the groups table: its count of rows and one area per call. Calls get their rows
 * through feeds: a feed names the columns, the FILTER and where the rows go (a call's `add`, or an ordered
 * multiset that several calls may read). */
#ifndef MILLRACE_OPERATORS_OP_AGGREGATE_H
#define MILLRACE_OPERATORS_OP_AGGREGATE_H

#include "executor/aggregate.h"
#include "executor/operators/op_common.h"
#include "executor/operators/op_expiry.h"
#include "storage/state/hashed_table.h"
#include "storage/state/ordered_table.h"

#define CHUNK_GROUPS (BATCH_ROWS_MAX / 2) /* of finish: each may emit two rows */

struct agg_group {
    int64_t rows; /* the state of count(*) as well */
    /* call areas follow; with DISTINCT sets or multisets the group's number is before them */
};

/* Names the group in DISTINCT sets and multisets; never used twice. */
static inline uint64_t *agg_group_number(const struct agg_group *group)
{
    return (uint64_t *)(uintptr_t)(group + 1);
}

/* ---- ordered multisets (op_aggregate_values.c) ---- */

/* Of a value. */
struct agg_value {
    int64_t copies;
    uint64_t number; /* its group's */
};

/* The values of all groups in one ordered table: group number, order, identity -> count. */
struct agg_value_set {
    struct ordered_table *table;
    uint32_t columns_count; /* arguments, then ORDER BY columns */
    struct sort_key *keys;  /* positions in those columns */
    uint32_t keys_count;
    bool needs_identity; /* the order alone does not tell values apart */
    bool by_arrival;
    uint64_t arrivals;
    uint32_t count_offset; /* of the int64 count of values in the group */
    bool is_saved;         /* payloads are whole; else they end behind `copies` */
    struct strbuf key;
};

struct agg_value_set *agg_value_set_create(struct arena *arena, const struct sql_type *types,
                                           uint32_t columns_count, uint32_t args_count,
                                           const struct sort_key *order, uint32_t order_count,
                                           bool by_arrival, bool is_saved, struct account *account);
/* Lists its table, when is_saved. */
void agg_value_set_saved(struct agg_value_set *set, const char *name, struct saved_tables *out);
/* Are equal values of the type always identical? Not so for 1.0 and 1.00, 0 and -0. */
bool agg_type_is_exact(struct sql_type type);
void agg_value_set_destroy(struct agg_value_set *set);
/* Frees all values of a group. */
void agg_value_set_forget(struct agg_value_set *set, const struct agg_group *group);
/* Rows selection[0..count) of the columns; groups[i] and weights as for aggregate_row.add (weights by row
 * number). */
void agg_value_set_add(struct agg_value_set *set, struct column *columns, uint32_t rows,
                       const uint32_t *selection, uint32_t count, const int64_t *weights,
                       struct agg_group *const *groups);
/* Value of an ordered aggregate for a group; false with *call->error filled. */
bool agg_value_set_collect(struct agg_value_set *set, struct agg_call *call, struct agg_group *group,
                           struct datum *result);

/* The first value of a group; false when it has none. */
bool agg_value_set_first(struct agg_value_set *set, const struct agg_group *group, struct datum *args);

/* ---- feeds and DISTINCT (op_aggregate_feed.c) ---- */

struct agg_feed {
    uint32_t columns_count;
    uint32_t *columns;     /* input columns: arguments, then ORDER BY columns */
    uint32_t strict_count; /* the first of them that must not be NULL */
    int32_t filter;
    struct agg_distinct *distinct; /* NULL: all rows */
    uint32_t variant;
    uint32_t *distinct_map;       /* for each of `columns`: which column of the set */
    struct agg_value_set *values; /* NULL: the call's add */
    struct agg_call *call;
    uint32_t offset; /* of the call's area in the group */
};

#define DISTINCT_VARIANTS_MAX 64u /* more of them go to another set */

/* What calls with DISTINCT over the same argument columns share: an entry per (group, argument values), with
 * a count per FILTER and, last, a mark for distinct_trim; or, while rows only come, a bit per FILTER. */
struct agg_distinct {
    struct hashed_table *table;
    bool only_inserts;
    bool reads_values; /* some call needs more than that there is one */
    bool has_links;    /* the entries of a group are a list: payloads end in a struct agg_link */
    uint32_t link_offset;
    uint32_t first_offset; /* in the group: its first entry's slot + 1, 0: none (8 bytes) */
    uint32_t columns_count;
    uint32_t *columns;
    uint32_t variants_count;
    struct agg_variant {
        int32_t filter;
        uint32_t strict_count;
    } * variants;
};

struct agg_link {
    uint32_t previous, next; /* slot + 1; 0: none */
};

/* Buffers of one push; all have BATCH_ROWS_MAX entries. */
struct agg_buffers {
    uint32_t selection[BATCH_ROWS_MAX];
    uint64_t hashes[BATCH_ROWS_MAX];
    uint32_t slots[BATCH_ROWS_MAX];
    uint8_t inserted[BATCH_ROWS_MAX];
    void *states[BATCH_ROWS_MAX];
    struct agg_group *groups[BATCH_ROWS_MAX];
    struct agg_group *picked[BATCH_ROWS_MAX];
    int64_t weights[BATCH_ROWS_MAX];
};

/* Feeds a batch whose row i belongs to buffers->groups[i] to every feed and DISTINCT set. */
void agg_feed_all(struct agg_feed *feeds, uint32_t feeds_count, struct agg_distinct *distincts,
                  uint32_t distincts_count, const struct batch *change, struct agg_buffers *buffers,
                  struct arena *scratch);
/* Only with has_links: puts an entry into its group's list; frees all entries of a group. */
void agg_distinct_link(struct agg_distinct *set, uint32_t slot, struct agg_group *group);
void agg_distinct_forget(struct agg_distinct *set, struct agg_group *group);

/* ---- the operator ---- */

/* A part of a group's payload that a checkpoint saves as a column. */
struct agg_area {
    uint32_t offset;
    struct agg_call *call; /* whose state it is; NULL: an int64 */
};

struct touched_group {
    uint32_t slot;
    uint32_t old_row; /* in `old`; UINT32_MAX: there was no row */
    struct error *old_error;
};

struct aggregate {
    struct operator base;
    uint32_t groups_count;
    const uint32_t *groups;
    struct hashed_table *table; /* NULL without group columns: `single` */
    struct agg_group *single;
    struct table_heap *single_heap;
    uint32_t payload_bytes;
    uint64_t next_number;
    uint32_t calls_count;
    struct agg_call *calls;
    uint32_t *offsets;
    struct agg_value_set **call_values; /* per call; NULL: finish */
    uint32_t value_sets_count;
    struct agg_value_set **value_sets;
    uint32_t feeds_count;
    struct agg_feed *feeds;
    uint32_t distincts_count;
    struct agg_distinct *distincts;
    struct agg_value_set *spellings; /* of the group columns; NULL: equal ones are identical */
    struct arena scratch;
    struct agg_buffers *buffers;

    bool in_tick;
    bool has_numbers;
    uint64_t *touched_slots; /* bits: is the slot's group in `touched`? */
    uint32_t touched_slots_words;
    struct touched_group *touched; /* tick arena */
    uint32_t touched_count, touched_cap;
    struct batch *old;       /* tick arena: results of calls only */
    struct op_expiry expiry; /* of groups */

    const struct plan_slices *slices; /* HOP: op_aggregate_slices.c */
    struct hashed_table *parts;       /* this tick's rows by slice; empty between ticks */
    const uint32_t
        *part_columns; /* of the input: the groups, then the first open window's start with has_open */
    uint32_t part_columns_count;

    struct agg_area *areas; /* op_aggregate_saved.c; CONTINUOUS */
    uint32_t areas_count;
    struct sql_type *area_types; /* of the group columns, then of the areas */
};

/* Rows 0..rows: buffers->groups and slots name their groups. Lists groups at their first touch in the tick
 * and keeps what their output was. */
void agg_touch_groups(struct aggregate *agg, uint32_t rows);
/* The rows' groups that are new (buffers->inserted) are forgotten when their time has come. columns: those of the
 * batch that hold the group columns. */
void agg_expire_groups(struct aggregate *agg, const struct batch *rows, const uint32_t *columns);

/* ---- checkpoints (op_aggregate_saved.c) ---- */

/* When everything else is open. */
void agg_saved_open(struct aggregate *agg);
void agg_saved_tables(struct operator* op, struct saved_tables *out);
void agg_save_rest(struct operator* op, struct strbuf *out);
MUST_CHECK
bool agg_restore_rest(struct operator* op, const void *rest, size_t rest_bytes, struct error *err);

/* ---- windows of slices (op_aggregate_slices.c) ---- */

void agg_slices_open(struct aggregate *agg, const struct plan *plan);
/* Adds the rows to their slices. */
void agg_slices_push(struct aggregate *agg, const struct batch *change);
/* Adds the slices of this tick to the groups of their windows, as touched groups, and forgets them. */
void agg_slices_finish(struct aggregate *agg);

#endif
