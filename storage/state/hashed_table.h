/* hashed_table.h: hashed state table (a): key -> fixed payload, in row slots that never move.
 *
 * Index of 64-byte buckets (12 one-byte tags, 12 slot numbers) over slots in a reserved address range;
 * batches are hashed first and prefetched in groups. Growth without a stall (segments or incremental rehash).
 * For operator state: aggregation groups, distinct counts. Owned by one worker; readers of other threads
 * never come here (row_store.h is the versioned one).
 *
 * Key equality is value equality, NULL equals NULL. The first key stored for a group stays its
 * representative. */
#ifndef MILLRACE_STATE_HASHED_TABLE_H
#define MILLRACE_STATE_HASHED_TABLE_H

#include "storage/data/batch.h"
#include "storage/state/row_layout.h"

#define SLOT_NONE UINT32_MAX

struct hash_index;
struct hashed_table;

struct hashed_table *hashed_table_create(const struct sql_type *key_types, uint32_t key_count,
                                         uint32_t payload_bytes, struct account *account);
void hashed_table_destroy(struct hashed_table *table);

/* For each row of the batch: the slot of its key, SLOT_NONE when absent. hashes = batch_hash over
 * key_columns. */
void hashed_table_find(struct hashed_table *table, const struct batch *rows, const uint32_t *key_columns,
                       const uint64_t *hashes, uint32_t *slots);
/* Finds or inserts. inserted[i] = 1 for the row that created its slot; its payload is zero bytes. */
void hashed_table_upsert(struct hashed_table *table, const struct batch *rows, const uint32_t *key_columns,
                         const uint64_t *hashes, uint32_t *slots, uint8_t *inserted);
/* The same for tables of which only keys are saved: slots that are found do not count as changed. */
void hashed_table_insert_new(struct hashed_table *table, const struct batch *rows,
                             const uint32_t *key_columns, const uint64_t *hashes, uint32_t *slots,
                             uint8_t *inserted);
/* The payload changes; upsert and what inserts says so itself for the slots it tells. */
void hashed_table_touch(struct hashed_table *table, uint32_t slot);
/* Frees the slot and its key's text. The payload's own heap blocks are the caller's to release before. */
void hashed_table_remove(struct hashed_table *table, uint32_t slot);
/* Stable until the slot is removed; 8-byte aligned. */
void *hashed_table_payload(struct hashed_table *table, uint32_t slot);
/* One column of a slot's key; text is borrowed. */
struct datum hashed_table_key(const struct hashed_table *table, uint32_t slot, uint32_t column);
/* Replaces the key that stands for a group by the (equal) one in this row. */
void hashed_table_set_key(struct hashed_table *table, uint32_t slot, const struct batch *rows, uint32_t row,
                          const uint32_t *key_columns);
/* Key columns of many slots into columns out[0..key_count) (initialised by this call); text is copied. */
void hashed_table_gather_keys(struct hashed_table *table, const uint32_t *slots, uint32_t count,
                              struct column *out, struct arena *arena);
/* Walks all slots: *cursor starts at 0; SLOT_NONE at the end. No inserts meanwhile. */
uint32_t hashed_table_next(struct hashed_table *table, uint32_t *cursor);
uint64_t hashed_table_rows(const struct hashed_table *table);
int64_t hashed_table_bytes(const struct hashed_table *table);
struct table_heap *hashed_table_heap(struct hashed_table *table);

/* For saved_table.h: the slots, and the index over them; and one saved key put back into its slot of an empty table, with a payload of zero
 * bytes. hashes = batch_hash over key_columns, of all rows: those ahead are prefetched. */
struct slot_pages *hashed_table_slots(struct hashed_table *table);
struct hash_index *hashed_table_index(struct hashed_table *table);
void hashed_table_restore(struct hashed_table *table, uint32_t slot, const struct batch *rows, uint32_t row,
                          const uint32_t *key_columns, const uint64_t *hashes);

#endif
