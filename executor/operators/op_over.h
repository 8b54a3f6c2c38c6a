/* op_over.h: what the files of the window function operator share: a sorted partition, its frames, its
 * results; and what a view keeps. Internal. */
#ifndef MILLRACE_OPERATORS_OP_OVER_H
#define MILLRACE_OPERATORS_OP_OVER_H

#include "executor/aggregate.h"
#include "executor/operators/op_common.h"
#include "executor/operators/op_expiry.h"
#include "storage/state/ordered_table.h"

struct over_state;

/* Rows first .. first + count of a batch that is sorted by partition and keys; every copy is a row of its
 * own. Positions below are relative to `first`. A view computes a piece of a partition: rows_before stand before the
 * piece; a frame that begins at UNBOUNDED PRECEDING begins with them. */
struct over_partition {
    const struct batch *rows;
    uint32_t first, count;
    uint32_t *group;        /* of each position: number of its peer group */
    uint32_t *group_starts; /* groups_count + 1 */
    uint32_t groups_count;
    struct arena *arena;
    int64_t rows_before, groups_before; /* the piece begins with a group where anything depends on peers */
    const struct over_summary *head;    /* of the rows before; NULL: none */
    struct over_state *state;           /* with rows_before > 0: where they can be read */
    const uint8_t *prefix;              /* and the bytes of their partition */
    uint32_t prefix_bytes;
};

struct over {
    struct operator base;
    const struct plan *plan;
    struct table_heap *heap; /* of aggregate states: while a partition is computed, and of summaries */
    struct agg_call *calls;  /* of OVER_AGGREGATE */
};

/* ---- frames ---- */

/* Frame of each position, half-open, without exclusion. zone: of timestamptz arithmetic. errors[first ..]: of rows
 * whose bound fails. false: 22004, 22013, 0A000. */
struct over_frame {
    uint32_t *starts, *ends;
};
MUST_CHECK
bool over_frames(const struct plan_over_call *call, const struct plan *plan, const char *zone,
                 const struct over_partition *partition, struct over_frame *out, struct error **errors,
                 struct error *err);

/* A bound of a RANGE frame that is an offset: the row's sort value plus or minus the offset is the target, which
 * other rows' sort values are compared with, in sort order. */
struct over_range {
    uint32_t key_column, offset_column;
    struct sql_type key, offset;
    enum phys key_phys, offset_phys;
    bool minus, descending, is_start;
    const char *zone;
};
struct over_target {
    __int128 integer;   /* integer, date and time types */
    struct datum value; /* others; in the arena or borrowed from the base */
};
struct over_range over_range_of(const struct plan *plan, const struct plan_over_call *call, bool is_start,
                                const char *zone);
/* base: not NULL. 22004, 22013, 0A000, 22003. */
MUST_CHECK
bool over_range_target(const struct over_range *range, const struct datum *base, const struct datum *offset,
                       struct arena *arena, struct over_target *out, struct error *err);
int over_range_compare(const struct over_range *range, const struct datum *value,
                       const struct over_target *target);

/* ---- results ---- */

/* Fills results[call][first ..] of all calls for a partition (group arrays are made here). errors[first ..]
 * gets the error of rows whose results fail; what fails as a whole (bad frame offset) fails each row. */
void over_compute(struct over *over, struct over_partition *partition, struct column *results,
                  struct error **errors);
/* Environment and heap of an aggregate's call, for a tick or a statement; its errors go to *error. */
struct agg_call *over_agg_call(struct over *over, uint32_t call, struct arena *arena, struct error *error);

/* ---- how far a change reaches ---- */

struct over_watch {
    uint32_t column;
    int64_t *positive, *negative; /* greatest distances seen; negative NULL: such offsets are errors */
};

/* Which results a change of one row can alter, over all calls. Distances are the greatest that any row has asked for,
 * ever: they come from columns. */
struct over_reach {
    bool whole;                          /* all results of the partition */
    bool to_start;                       /* results need all rows before them */
    bool peers;                          /* pieces begin and end with peer groups */
    bool forward;                        /* some results depend on everything before them */
    bool head;                           /* what stands before a piece must be known */
    bool counts_groups;                  /* dense_rank */
    int64_t rows_after, rows_before;     /* results of so many rows after and before the change */
    int64_t groups_after, groups_before; /* of so many peer groups */
    int64_t first_rows; /* forward, but only of changes among so many first rows of the partition */
    struct over_watch *watches;
    uint32_t watches_count;
    struct over_range *after, *before; /* RANGE offsets that reach rows after and before the change */
    uint32_t after_count, before_count;
    bool *summarized;         /* by call: its state is in summaries */
    uint32_t *summary_offset; /* by call */
    uint32_t summary_bytes;
};
void over_reach_init(struct over_state *state);
void over_reach_observe(struct over_state *state, const struct batch *change);
/* Whether the frame of the stored row `of` reaches the stored row `row` by one of these bounds. */
bool over_reaches(struct over_state *state, const struct over_range *ranges, uint32_t count, uint32_t of,
                  uint32_t row);

/* ---- the state of a view ---- */

struct over_entry {
    int64_t count;
    int64_t old_count; /* before the tick `stamp` */
    uint32_t stamp;
    uint32_t peer_bytes; /* of the key: partition and sort keys */
};

struct over_change {
    const uint8_t *key; /* tick arena */
    uint32_t key_bytes, prefix_bytes;
    uint32_t slot;
};

struct over_state {
    struct over over;
    uint32_t child_columns;
    struct sort_key *keys; /* partition, then sort keys */
    uint32_t keys_count;
    uint32_t partition_count;
    struct arena rows_arena;
    struct batch *rows; /* ONE_SHOT */
    struct ordered_table *table;
    struct over_reach reach;
    uint32_t tick;
    bool in_tick;
    struct over_change *changes; /* of this tick, each row once; tick arena */
    uint32_t changes_count, changes_cap;
    struct op_expiry expiry;          /* of partitions, or of rows in them */
    struct hashed_table *forgettable; /* partitions that expire */
    struct sql_type *partition_types;
    struct sort_key *partition_keys; /* of a row of these types */
    struct ordered_table *bases;     /* with rows that expire: what stands for those, by partition */
    int64_t range_span;              /* with them: RANGE offsets reach no further back, us */
    struct strbuf key;
    struct arena scratch, fold_arena;
    uint64_t rows_computed; /* since creation: rows of pieces, and rows that were summed up */
};

/* What is known of the rows of a range: followed by the states of the summarized calls. */
struct over_summary {
    int64_t rows;
    int64_t groups;       /* with counts_groups: peer groups */
    uint32_t first, last; /* slots; only with groups > 0 */
};
void over_summaries_init(struct over_state *state);
/* Of rows of a partition before a key, what was forgotten counted. In the arena; over_summary_release gives its heap
 * back. */
struct over_summary *over_fold(struct over_state *state, struct arena *arena, const void *prefix,
                               uint32_t prefix_bytes, const void *key, uint32_t key_bytes);
/* The same of the rows that are stored. */
struct over_summary *over_fold_rows(struct over_state *state, struct arena *arena, const void *prefix,
                                    uint32_t prefix_bytes, const void *key, uint32_t key_bytes);
/* Adds `part`, which stands behind `whole` and shares no peer group with it; whole's first and last stay. */
void over_summary_append(struct over_state *state, struct over_summary *whole,
                         const struct over_summary *part);
void over_summary_release(struct over_state *state, struct over_summary *summary);
/* The slot that holds a position of the partition, counted from its first row, which may be forgotten; of a position
 * that is, a later one. */
uint32_t over_slot_at(struct over_state *state, const void *prefix, uint32_t prefix_bytes, int64_t position);

/* Whether the call's aggregate has the same state over old[i] copies of the stored rows as over now[i] of them. */
bool over_same_state(struct over_state *state, uint32_t call, const uint8_t *const *rows, const int64_t *old,
                     const int64_t *now, uint32_t count);

/* Ends a view's tick: computes what the changes reach, and emits what differs. */
MUST_CHECK
bool over_finish_view(struct over_state *state, struct error *err);

/* Whether a piece may end between two rows that are next to each other. */
bool over_may_cut(const struct over_state *state, const struct ordered_cursor *a,
                  const struct ordered_cursor *b);

/* ---- forgetting by order (op_over_forget.c) ---- */

/* For planner/pass_event_time.c, of a plan whose first sort key is an ascending time. Do rows that come later in the
 * order leave the results of earlier ones alone? */
bool op_over_looks_back(const struct plan *plan);
/* Can a view forget the rows behind the watermark? Implies that it looks back. */
bool op_over_can_forget(const struct plan *plan);

/* After over_summaries_init. */
void over_forget_open(struct over_state *state, const struct plan_expiry *expiry);
/* Before the rows of a change are taken. */
void over_forget_observe(struct over_state *state, const struct batch *change);
/* After the tick's results are out. */
void over_forget(struct over_state *state);
/* What was forgotten of a partition; NULL: nothing. Valid until over_forget; first and last are not set. */
const struct over_summary *over_forgotten(struct over_state *state, const void *prefix,
                                          uint32_t prefix_bytes);

/* "bases", where rows are forgotten. */
void over_forget_saved_tables(struct over_state *state, struct saved_tables *out);
/* After all tables are back. */
void over_forget_restored(struct over_state *state);

/* ---- checkpoints (op_over_save.c): saved_tables, save_rest, restore_rest of operator.h ---- */

void over_saved_tables(struct operator* op, struct saved_tables *out);
void over_save_rest(struct operator* op, struct strbuf *out);
MUST_CHECK
bool over_restore_rest(struct operator* op, const void *rest, size_t rest_bytes, struct error *err);

/* A row's key, in state->key: of it, the partition and the partition and sort keys are so many bytes. */
void over_row_key(struct over_state *state, const struct batch *rows, uint32_t row, uint32_t *prefix_bytes,
                  uint32_t *peer_bytes);

/* Columns for the results of all calls over `rows` rows. */
struct column *over_result_columns(struct over_state *state, uint32_t rows, struct arena *arena);

#endif
