/* ordered_table.h: ordered state table (b): a B+tree from memcmp-ordered key bytes to row slots that never
 * move.
 *
 * Where order is needed: retractable min/max, ordered aggregates, Top-N, OVER, timers. Keys come from
 * batch_encode_key / type_encode_key, made unique by the caller. Each entry carries a row of the table's
 * types (types_count may be 0) and payload_bytes of free state, zero at first. Owned by one worker. */
#ifndef MILLRACE_STATE_ORDERED_TABLE_H
#define MILLRACE_STATE_ORDERED_TABLE_H

#include "storage/data/batch.h"
#include "storage/state/row_layout.h"

struct ordered_table;

struct ordered_table *ordered_table_create(const struct sql_type *types, uint32_t types_count,
                                           uint32_t payload_bytes, struct account *account);
void ordered_table_destroy(struct ordered_table *table);
/* Finds the key or inserts it with the row columns_map[..] of the batch row. Returns its slot. */
uint32_t ordered_table_upsert(struct ordered_table *table, const void *key, uint32_t key_bytes,
                              const struct batch *rows, uint32_t row, const uint32_t *columns_map,
                              bool *inserted);
/* The payload changes; upsert says so itself, whether it found or inserted. */
void ordered_table_touch(struct ordered_table *table, uint32_t slot);
/* SLOT_NONE when absent. */
uint32_t ordered_table_find(struct ordered_table *table, const void *key, uint32_t key_bytes);
/* false when the key is not there. */
bool ordered_table_remove(struct ordered_table *table, const void *key, uint32_t key_bytes);
void *ordered_table_payload(struct ordered_table *table, uint32_t slot);
const uint8_t *ordered_table_row(struct ordered_table *table, uint32_t slot);
const struct row_layout *ordered_table_layout(const struct ordered_table *table);

/* A cursor is valid until the table changes. */
struct ordered_cursor {
    struct ordered_table *table;
    void *leaf;
    uint32_t index;
    uint32_t slot; /* SLOT_NONE past either end */
};
/* First entry with key >= the given one; the very first with key_bytes 0. */
void ordered_table_seek(struct ordered_table *table, const void *key, uint32_t key_bytes,
                        struct ordered_cursor *out);
/* Last entry whose key starts with the prefix or is smaller than it; the very last with prefix_bytes 0. */
void ordered_table_seek_last(struct ordered_table *table, const void *prefix, uint32_t prefix_bytes,
                             struct ordered_cursor *out);
void ordered_cursor_next(struct ordered_cursor *cursor);
void ordered_cursor_prev(struct ordered_cursor *cursor);
const uint8_t *ordered_cursor_key(const struct ordered_cursor *cursor, uint32_t *key_bytes);
bool ordered_cursor_has_prefix(const struct ordered_cursor *cursor, const void *prefix,
                               uint32_t prefix_bytes);

/* Summaries of ranges of rows (btree.h; values are slots); before the first row. Upserting forgets those above the
 * row, whether it was there or not: whoever changes a payload upserts first. */
struct btree_summaries;
void ordered_table_summarize(struct ordered_table *table, const struct btree_summaries *summaries);
/* Adds to `summary` the rows with low <= key < high. */
void ordered_table_fold(struct ordered_table *table, const void *low, uint32_t low_bytes, const void *high,
                        uint32_t high_bytes, void *summary);

uint64_t ordered_table_rows(const struct ordered_table *table);
int64_t ordered_table_bytes(const struct ordered_table *table);
struct table_heap *ordered_table_heap(struct ordered_table *table);

/* For saved_table.h: the slots; and one saved row put back into its slot of an empty table under its key (which is not
 * saved: its owner computes it from the row again), with a payload of zero bytes. false: the key is there
 * already. */
struct slot_pages *ordered_table_slots(struct ordered_table *table);
MUST_CHECK
bool ordered_table_restore(struct ordered_table *table, uint32_t slot, const void *key, uint32_t key_bytes,
                           const struct batch *rows, uint32_t row, const uint32_t *columns_map);

#endif
