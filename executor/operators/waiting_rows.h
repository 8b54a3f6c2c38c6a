/* waiting_rows.h: left rows of a lookup join whose keys an external table has not answered yet. Internal to this folder.
 *
 * Rows wait by key, each with its number in the order of arrival and with the watermark and position it came with. The
 * least of these watermarks is held: the view's own must not pass it (operator_class.holds_watermark). Owned by one
 * shard; memory is charged to the operator's account. */
#ifndef MILLRACE_OPERATORS_WAITING_ROWS_H
#define MILLRACE_OPERATORS_WAITING_ROWS_H

#include "executor/operators/op_common.h"
#include "storage/state/arrangement.h"
#include "storage/state/ordered_table.h"

/* A stored row whose key has been answered in this tick. */
struct answered_row {
    int64_t number;
    int64_t weight;
    uint32_t stored_row;
};

struct waiting_rows {
    struct arrangement *rows; /* the left columns, then number, watermark and position */
    struct ordered_table
        *holds;           /* watermark and number of each row; of those that came without: the tick's */
    uint32_t width;       /* left columns */
    const uint32_t *keys; /* of them */
    uint32_t keys_count;
    int64_t next;                  /* number of the next row */
    struct answered_row *answered; /* in the tick arena */
    uint32_t answered_count, answered_cap, answered_taken;
    bool answered_sorted;
};

/* types, keys: borrowed, of the left side. */
void waiting_rows_open(struct waiting_rows *waiting, const struct sql_type *types, uint32_t width,
                       const uint32_t *keys, uint32_t keys_count, struct account *account);
/* Also of one that was never opened. */
void waiting_rows_close(struct waiting_rows *waiting);
/* Rows which[0..count) of a batch (copied) wait from now on. first: rows of them whose key nobody waited for before,
 * *first_count of them; room for count. */
void waiting_rows_add(struct waiting_rows *waiting, const struct operator* op, const struct batch *rows,
                      const uint32_t *which, uint32_t count, uint32_t *first, uint32_t *first_count,
                      struct arena *scratch);
/* Rows with weight > 0 of a change of the right side (keys: its columns) are answers: whatever waits for their keys is
 * to be taken. */
void waiting_rows_answer(struct waiting_rows *waiting, const struct batch *change, const uint32_t *keys,
                         struct arena *tick_arena, struct arena *scratch);
/* Takes up to BATCH_ROWS_MAX of the answered rows, in the order of their arrival; NULL: there are no more. Everything is
 * copied into the arena. */
struct batch *waiting_rows_take(struct waiting_rows *waiting, struct arena *arena);
/* The keys of all rows, in batches of the key columns: a cursor that starts at 0; NULL at the end. */
struct batch *waiting_rows_keys(struct waiting_rows *waiting, uint64_t *cursor, struct arena *arena);
/* What a checkpoint saves: the rows. */
void waiting_rows_saved(struct waiting_rows *waiting, struct saved_tables *out);
/* They are back: what follows from them. next: as it was. */
void waiting_rows_restored(struct waiting_rows *waiting, int64_t next);
/* The least watermark among the rows; TIME_NEVER when none waits. */
int64_t waiting_rows_watermark(const struct waiting_rows *waiting);

#endif
