/* row_store.h: the rows of one shard of a table or view, readable by any thread at the epoch of its snapshot.
 *
 * A hashed state table keyed by the primary key (then the rest of the row hangs on it), or, with key_count 0,
 * by the whole row with a count (a multiset; identity is byte identity). Each row is stamped with the epoch
 * of its last change and a position in the undo log; before-images are logged once per row and tick and
 * dropped, by row_store_trim, as soon as no snapshot can want them. A removed row keeps its slot until then.
 *
 * One writer: the engine's worker, from one row_store_begin_tick to the next. Readers hold the
 * store's shared latch only while they copy one piece of rows (text included), so that what they return is
 * theirs; the writer holds it exclusively per batch. Nobody waits for a whole scan or a whole tick. */
#ifndef MILLRACE_STATE_ROW_STORE_H
#define MILLRACE_STATE_ROW_STORE_H

#include "storage/data/batch.h"
#include "storage/state/saved_table.h"
#include "storage/state/snapshot.h"

struct row_store;

struct row_store *row_store_create(const struct sql_type *types, uint32_t columns_count,
                                   const uint32_t *key_columns, uint32_t key_count, struct account *account);
void row_store_destroy(struct row_store *store);

/* More columns, behind the others: rows and before-images that are there have the missing values in them. Rows are laid out
 * anew, in copies of which nobody learns before the end; slots, and what is saved of them, stay. Between two ticks, on the writer's
 * thread or, for several stores, on some that it waits for; readers go on. One at a time. missing: borrowed until the end. */
struct store_widening;
struct store_widening *row_store_begin_widen(struct row_store *store, const struct sql_type *types,
                                             uint32_t count, const struct datum *missing);
/* Copies the next rows: at most `rows`, and twice as many as have come or changed since the last step, so that it comes
 * to an end whatever ticks do in between. Returns how many are left. */
uint64_t row_store_widen_step(struct row_store *store, uint32_t rows);
/* When none is left: the columns are there. In a time that depends on no number of rows. */
void row_store_end_widen(struct row_store *store);
/* Instead, at any time: takes back what about `rows` rows cost; false: that was the last. Nothing else but ticks follows before. */
bool row_store_undo_widen(struct row_store *store, uint32_t rows);
/* Afterwards, by any thread while the store lives: gives back the memory of the rows that are not used. */
void row_store_free_widening(struct row_store *store, struct store_widening *widening);
/* All of that at once, for stores that nobody waits for. */
void row_store_widen(struct row_store *store, const struct sql_type *types, uint32_t count,
                     const struct datum *missing);

/* ---- writer ---- */

/* All changes up to the next begin_tick belong to `epoch`, which is larger than every epoch that may be open.
 */
void row_store_begin_tick(struct row_store *store, uint64_t epoch);
/* Applies a change. With a key: +1 puts the row (replacing one with an equal key), -1 removes the row with
 * that key if it is identical. In a batch, deletes are applied before inserts. Without a key: weights add up.
 * hashes: of row_store_hash. */
void row_store_apply(struct row_store *store, const struct batch *change, const uint64_t *hashes);
/* Of rows with all columns: batch_hash over the key columns; key_count 0: over all columns but the last ones that were added
 * and hold their missing values. Any thread that may not meet row_store_end_widen. */
void row_store_hash(const struct row_store *store, const struct batch *rows, uint64_t *hashes);
/* Where the tick stands: rolling back to it later takes back everything since, as a rejected transaction
 * needs. A mark holds until the next begin_tick or until an earlier one is rolled back to. */
uint64_t row_store_mark(struct row_store *store);
void row_store_rollback_to(struct row_store *store, uint64_t mark);
/* Drops before-images and removed rows that no snapshot >= oldest needs. Cheap when there is nothing. bytes_max: about so many bytes
 * of them, and those that the newest tick has brought twice, at a time; UINT64_MAX: all. false: there are more. */
bool row_store_trim(struct row_store *store, uint64_t oldest, uint64_t bytes_max);
/* Newest state, for the writer: appends to `out` the row with each key (keyed stores), found[i] = 1; and for
 * multisets counts[i] = how many copies of that row. Either output may be NULL. */
void row_store_current(struct row_store *store, const struct batch *rows, const uint32_t *key_columns,
                       const uint64_t *hashes, uint8_t *found, int64_t *counts, struct batch *out);

/* ---- readers, any thread ---- */

/* Appends to `out` up to about `max` rows visible at the snapshot, with weights when a count is not 1.
 * *cursor starts at 0. false when the end was reached (rows may have been appended). */
bool row_store_scan(struct row_store *store, uint64_t snapshot, uint64_t *cursor, uint32_t max,
                    struct batch *out);
/* Appends the rows visible at the snapshot whose key equals that of a row of `keys` (keyed stores). */
void row_store_lookup(struct row_store *store, uint64_t snapshot, const struct batch *keys,
                      const uint32_t *key_columns, const uint64_t *hashes, struct batch *out);

/* ---- secondary indexes ---- */

/* Adds an index (ordered: range scans too) over the columns of all rows. Writer's thread. Returns its number. */
uint32_t row_store_add_index(struct row_store *store, const uint32_t *columns, uint32_t columns_count,
                             bool ordered);

/* The same beside changes. The writer begins: from now on it notes the keys that come and go. *number: as above, for readers
 * once it has ended. */
struct store_index;
struct store_index *row_store_begin_index(struct row_store *store, const uint32_t *columns,
                                          uint32_t columns_count, bool ordered, uint32_t *number);
/* One other thread fills: the next piece of what it has to do for the slots from *cursor, 0 at first, on. *keys: how many are
 * new in the index, mostly one per row. false: it has those of all slots. Short enough to look whether it is to end in
 * between. */
bool row_store_fill_index(struct row_store *store, struct store_index *index, uint32_t *cursor,
                          uint32_t *keys);
/* The same thread: adds what it has read and not yet added, then runs what is noted. Returns how many keys of rows are new, as
 * *keys above. */
uint32_t row_store_fill_noted(struct row_store *store, struct store_index *index);
/* Any thread: how many notes wait; adds to *bytes what they take. */
uint64_t row_store_noted(struct store_index *index, int64_t *bytes);
/* The writer, when that thread is done: runs what is still noted; readers may use it. */
void row_store_end_index(struct row_store *store, struct store_index *index);

/* Nobody finds it any more. Writer's thread, and nobody fills it. */
struct store_index *row_store_take_index(struct row_store *store, uint32_t number);
/* Afterwards; any thread, while the store lives. */
void row_store_free_index(struct row_store *store, struct store_index *index);
/* Rows visible at the snapshot with equal index columns. */
void row_store_index_lookup(struct row_store *store, uint32_t index, uint64_t snapshot,
                            const struct batch *keys, const uint32_t *key_columns, struct batch *out);
/* Ordered index: rows with low <= encoded columns < high (encoded key bytes, ascending; NULL: open end). The
 * cursor (a strbuf, empty at first) holds where to go on; false at the end. */
bool row_store_index_range(struct row_store *store, uint32_t index, uint64_t snapshot,
                           const struct strbuf *low, const struct strbuf *high, struct strbuf *cursor,
                           uint32_t max, struct batch *out);

/* ---- checkpoints (saved_table.h), engine's thread ---- */

/* Adds the table: the columns of a row that it was created with, (multisets) how many copies there are, and the columns that
 * were added. Its name is borrowed. Restored rows
 * are visible at every snapshot; readers of other threads may be there meanwhile. */
void row_store_saved(struct row_store *store, const char *name, struct saved_tables *out);
/* All rows are back: secondary indexes that were there before get them. Any one thread. */
void row_store_restore_end(struct row_store *store);

uint64_t row_store_rows(const struct row_store *store); /* newest */
int64_t row_store_bytes(const struct row_store *store);

#endif
