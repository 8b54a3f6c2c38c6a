/* segments.h: append-only columnar segments (c): the rows of one shard of a stream, or of a keyless
 * append-only view.
 *
 * Rows are never changed, so readers on other threads borrow the columns without a latch: a segment's arrays
 * are published by an atomic row count, and the directory of segments never moves under a reader. Each append
 * is stamped with its epoch; a reader at an older snapshot sees the rows up to it. Rows have numbers, which stay when
 * those before them are dropped. */
#ifndef MILLRACE_STATE_SEGMENTS_H
#define MILLRACE_STATE_SEGMENTS_H

#include "storage/state/saved_table.h"

struct segments;

struct segments *segments_create(const struct sql_type *types, uint32_t columns_count,
                                 struct account *account);
void segments_destroy(struct segments *segments);
/* Writer: more columns, behind the others. Rows that are there have the missing values in them, however many there are;
 * nothing of theirs is written. Copies. */
void segments_widen(struct segments *segments, const struct sql_type *types, uint32_t count,
                    const struct datum *missing);
/* Writer. The batch's weights must all be +1. Epochs never go back. */
void segments_append(struct segments *segments, const struct batch *rows, uint64_t epoch);
/* Writer: forgets the rows appended since `mark` (segments_rows before). */
void segments_truncate(struct segments *segments, uint64_t mark);
/* Any thread: fills *out with a borrowed piece of up to BATCH_ROWS_MAX rows (columns point into the segment;
 * `columns` is the caller's array of columns_count, the first so many of those there are). *cursor starts at 0. false at
 * the end. */
bool segments_scan(struct segments *segments, uint64_t snapshot, uint64_t *cursor, struct column *columns,
                   uint32_t columns_count, struct batch *out);
/* Writer: forgets where epochs ended that no snapshot >= oldest needs to tell apart (without it 24 bytes stay per tick),
 * and gives the memory of dropped rows back that none of them sees. */
void segments_trim(struct segments *segments, uint64_t oldest);
/* Writer: rows below the number `first` are gone for snapshots >= epoch (which is not below that of the last append). Their
 * memory goes in pieces, by segments_trim, when no older snapshot is left. Nothing happens when they are gone
 * already. */
void segments_drop(struct segments *segments, uint64_t first, uint64_t epoch);
/* Nothing has ever been appended: the first row gets this number. */
void segments_begin(struct segments *segments, uint64_t first);
/* Adds the table to what a checkpoint saves (saved_table.h); the name is borrowed. Restored rows are visible at every
 * snapshot; readers of other threads may be there meanwhile. Engine's thread. */
void segments_saved(struct segments *segments, const char *name, struct saved_tables *out);
/* The number of the next row, and of the first that is not dropped. Any thread. */
uint64_t segments_rows(const struct segments *segments);
uint64_t segments_first(const struct segments *segments);
int64_t segments_bytes(const struct segments *segments);
/* The number behind the last row that a snapshot sees; 0 when what it sees has been forgotten (segments_trim). Any thread. */
uint64_t segments_end(struct segments *segments, uint64_t snapshot);
/* Rows below this number are in the last valid checkpoint. Engine's thread. */
uint64_t segments_saved_rows(const struct segments *segments);

#endif
