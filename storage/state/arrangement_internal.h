/* arrangement_internal.h: what arrangement.c and arrangement_append.c share. */
#ifndef MILLRACE_STATE_ARRANGEMENT_INTERNAL_H
#define MILLRACE_STATE_ARRANGEMENT_INTERNAL_H

#include "storage/state/arrangement.h"
#include "storage/state/hash_index.h"
#include "storage/state/row_layout.h"
#include "storage/state/row_lists.h"

struct arrangement {
    struct row_layout layout;
    uint32_t *key_columns;
    uint32_t key_count;
    bool append_only;
    bool plain_i64;    /* one key column of eight bytes whose equality is that of its bytes */
    bool *may_be_null; /* per column: a NULL was ever stored */
    struct slot_pages slots;
    struct hash_index index;
    struct row_lists lists;          /* not append-only */
    struct list_blocks append_lists; /* append-only */
    struct table_heap *heap;
    struct account *account;
    struct saved_rows saved; /* append-only */
};

/* Not append-only: behind the row in its slot. */
struct row_meta {
    int64_t weight;
    uint32_t link;     /* head: its list or LIST_NONE; others: position in the list */
    uint32_t row_hash; /* upper half of the row's hash; set while the row is in a list */
};

static inline uint8_t *arrangement_row(const struct arrangement *a, uint32_t row)
{
    return slot_pages_at(&a->slots, row);
}

static inline bool arrangement_key_matches(const struct arrangement *a, const uint8_t *row, uint32_t header,
                                           const struct batch *rows, uint32_t at, const uint32_t *key_columns)
{
    if (slot_header(row) != header)
        return false;
    if (LIKELY(a->plain_i64)) {
        const struct column *column = &rows->columns[key_columns[0]];
        bool is_null = row_layout_is_null(row, a->key_columns[0]);
        if (UNLIKELY(is_null || column_is_null(column, at)))
            return is_null && column_is_null(column, at);
        const int64_t *value = (const int64_t *)column->data + (column->is_constant ? 0 : at);
        return memcmp(value, row + a->layout.offsets[a->key_columns[0]], sizeof(*value)) == 0;
    }
    return row_layout_fields_equal(&a->layout, row, a->key_columns, rows, at, key_columns, a->key_count);
}

static inline struct row_meta *arrangement_meta(const struct arrangement *a, uint32_t row)
{
    return (struct row_meta *)(void *)(arrangement_row(a, row) + a->layout.row_bytes);
}

/* ---- arrangement.c ---- */

/* Not append-only: a stored row that nothing leads to yet (weight set, no link), different from all others, becomes one
 * of its key; it is row `at` of the batch, which holds all columns. */
void arrangement_link(struct arrangement *arrangement, const struct batch *rows, uint32_t at,
                      uint64_t key_hash, uint32_t row);
void arrangement_note_nulls(struct arrangement *arrangement, const struct batch *rows);

/* The append-only variant of what arrangement.h offers. */
void append_only_init(struct arrangement *arrangement);
void append_only_release(struct arrangement *arrangement);
void append_only_apply(struct arrangement *arrangement, const struct batch *change,
                       const uint64_t *key_hashes);
/* Entries of the index under each row's key, SLOT_NONE when there is none. */
void append_only_find(const struct arrangement *arrangement, const struct batch *rows,
                      const uint32_t *key_columns, const uint64_t *hashes, const uint8_t *skip,
                      uint32_t *entries);
uint32_t append_only_probe_next(struct arrangement_probe *probe, uint32_t max, uint32_t *probe_rows,
                                uint32_t *stored_rows);
/* How many rows there are under each row's key. */
void append_only_weights(const struct arrangement *arrangement, const struct batch *rows,
                         const uint32_t *key_columns, const uint64_t *hashes, const uint8_t *skip,
                         int64_t *weights);

#endif
