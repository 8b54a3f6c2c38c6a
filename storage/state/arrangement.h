/* arrangement.h: an indexed Z-set: key -> rows with weights, one side of joins, shared by all that join on
 * it.
 *
 * Hashed state table whose rows hang in chunks per key; a key with more than about 64 rows gets a sub-index
 * by row hash so that deletes stay O(1). Rows are stored whole; identical rows are one entry with the sum of
 * weights; entries at weight 0 go. Weights may be negative in between (a delete may come before its insert
 * inside a tick). Written by its worker at its place in the tick, read by operators of the same worker after
 * that.
 *
 * An append-only arrangement takes rows with weights >= 0 only, and keeps a row of weight n as n rows: it never
 * looks for identical rows. Its row numbers ascend in the order of arrival. */
#ifndef MILLRACE_STATE_ARRANGEMENT_H
#define MILLRACE_STATE_ARRANGEMENT_H

#include "storage/state/saved_table.h"

struct arrangement;

struct arrangement *arrangement_create(const struct sql_type *types, uint32_t columns_count,
                                       const uint32_t *key_columns, uint32_t key_count,
                                       struct account *account);
struct arrangement *arrangement_create_append_only(const struct sql_type *types, uint32_t columns_count,
                                                   const uint32_t *key_columns, uint32_t key_count,
                                                   struct account *account);
void arrangement_destroy(struct arrangement *arrangement);
bool arrangement_is_append_only(const struct arrangement *arrangement);
/* Adds the change (any weights). key_hashes = batch_hash over the key columns. */
void arrangement_apply(struct arrangement *arrangement, const struct batch *change,
                       const uint64_t *key_hashes);
/* The same, not append-only; tells for each row of the change the number of the row that it added, UINT32_MAX where it
 * changed a weight only. */
void arrangement_apply_noting(struct arrangement *arrangement, const struct batch *change,
                              const uint64_t *key_hashes, uint32_t *added);
/* Not append-only: one column of a stored row, text borrowed; false: no row has this number. */
bool arrangement_value(const struct arrangement *arrangement, uint32_t row, uint32_t column,
                       struct datum *out);
/* Not append-only: takes stored rows away, all of their weight; at most BATCH_ROWS_MAX, each once. */
void arrangement_remove(struct arrangement *arrangement, const uint32_t *stored_rows, uint32_t count,
                        struct arena *scratch);

/* A probe in progress: matches come in pieces so that a hot key never needs unbounded memory. */
struct arrangement_probe {
    struct arrangement *arrangement;
    const struct batch *rows;
    const uint32_t *key_columns; /* of `rows` */
    const uint64_t *hashes;
    const uint8_t *skip;                /* 1: no match for this row (NULL key); may be NULL */
    uint32_t row;                       /* next probe row */
    uint64_t position;                  /* inside its match list; opaque */
    uint32_t lookahead[BATCH_ROWS_MAX]; /* key slots of the probe rows; opaque */
    uint32_t limit; /* append-only: rows from this number on are left out; set after the start */
    bool started;
};
/* rows->rows <= BATCH_ROWS_MAX. The arrangement must not change until the probe ends. */
void arrangement_probe_start(struct arrangement_probe *probe, struct arrangement *arrangement,
                             const struct batch *rows, const uint32_t *key_columns, const uint64_t *hashes,
                             const uint8_t *skip);
/* Next up to `max` matches: probe row number, stored row, its weight (append-only: weights are all 1 and may be
 * NULL). 0 at the end. */
uint32_t arrangement_probe_next(struct arrangement_probe *probe, uint32_t max, uint32_t *probe_rows,
                                uint32_t *stored_rows, int64_t *weights);
/* Gathers a column of stored rows; text borrowed until the next apply. */
void arrangement_gather(struct arrangement *arrangement, const uint32_t *stored_rows, uint32_t count,
                        uint32_t column, struct column *out, struct arena *arena);
/* The same for the first columns_count of `columns` (NULL: of all) at once. */
void arrangement_gather_columns(struct arrangement *arrangement, const uint32_t *stored_rows, uint32_t count,
                                const uint32_t *columns, uint32_t columns_count, struct column *out,
                                struct arena *arena);
/* Sum of the weights of all rows under each probe row's key; 0 when none. */
void arrangement_weights(struct arrangement *arrangement, const struct batch *rows,
                         const uint32_t *key_columns, const uint64_t *hashes, const uint8_t *skip,
                         int64_t *weights);
/* Walks all stored rows: fills up to max numbers and weights; 0 at the end. *cursor starts at 0. */
uint32_t arrangement_scan(struct arrangement *arrangement, uint64_t *cursor, uint32_t max,
                          uint32_t *stored_rows, int64_t *weights);
/* Adds the table to what a checkpoint saves (saved_table.h): the columns of a row, then its weight; append-only: the
 * columns alone, rows that are only added. Lists and indexes are made again as rows come back, which keep their
 * numbers. The name is borrowed. */
void arrangement_saved(struct arrangement *arrangement, const char *name, struct saved_tables *out);
uint64_t arrangement_rows(const struct arrangement *arrangement);
/* Append-only: the number of the next row. */
uint32_t arrangement_mark(const struct arrangement *arrangement);
int64_t arrangement_bytes(const struct arrangement *arrangement);

#endif
