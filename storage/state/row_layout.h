/* row_layout.h: how a row of given types lies in a fixed-size slot: four bytes for the table's own use
 * (slot_pages.h keeps the slot's header there), null bits, then fields by descending alignment, small ones
 * first where they fill a gap; variable-length fields are a struct varlen into the table's heap. */
#ifndef MILLRACE_STATE_ROW_LAYOUT_H
#define MILLRACE_STATE_ROW_LAYOUT_H

#include "storage/data/batch.h"
#include "storage/state/table_heap.h"

struct row_layout {
    uint32_t columns_count;
    uint32_t row_bytes; /* 8-aligned */
    bool has_varlen;
    struct sql_type *types;
    uint16_t *offsets;
    uint8_t *phys;
    bool *loose; /* equal values may differ in bytes and need type_compare: numeric, char(n), jsonb, arrays
                    ... */
};

#define ROW_HEADER_BYTES 4u

static inline bool row_layout_is_null(const uint8_t *row, uint32_t column)
{
    return row[ROW_HEADER_BYTES + column / 8] >> (column % 8) & 1;
}

/* Copies the types; release frees. */
void row_layout_init(struct row_layout *layout, const struct sql_type *types, uint32_t columns_count);
void row_layout_release(struct row_layout *layout);
/* Writes columns_map[0..n) (NULL: identity) of a batch row into the slot, text into the heap. */
void row_layout_store(const struct row_layout *layout, uint8_t *row, const struct batch *batch,
                      uint32_t batch_row, const uint32_t *columns_map, struct table_heap *heap);
/* Writes rows source[0..count) of a batch, all columns, into the slots rows[0..count): down one column at a
 * time. */
void row_layout_store_many(const struct row_layout *layout, uint8_t *const *rows, const struct batch *batch,
                           const uint32_t *source, uint32_t count, struct table_heap *heap);
/* Frees the text of a row. */
void row_layout_free_text(const struct row_layout *layout, const uint8_t *row, struct table_heap *heap);
struct datum row_layout_get(const struct row_layout *layout, const uint8_t *row, uint32_t column);
/* Gathers one column of many rows into `out` (initialised by this call), text borrowed from the heap or, with
 * copy_text, copied into the arena. rows[i] points at row bytes. */
void row_layout_gather(const struct row_layout *layout, const uint8_t *const *rows, uint32_t count,
                       uint32_t column, bool copy_text, struct column *out, struct arena *arena);
/* Gathers `fields_count` columns (fields NULL: the first ones) of many rows at once, piece by piece, so that a
 * row stays in the cache for all of its fields. may_be_null, by field: 0 when no stored row is NULL there. */
void row_layout_gather_fields(const struct row_layout *layout, const uint8_t *const *rows, uint32_t count,
                              const uint32_t *fields, uint32_t fields_count, const bool *may_be_null,
                              struct column *out, struct arena *arena);
/* Value equality of row fields [0, count) with the batch row's columns_map[0..count) (NULL equals NULL). */
bool row_layout_equal(const struct row_layout *layout, const uint8_t *row, const struct batch *batch,
                      uint32_t batch_row, const uint32_t *columns_map, uint32_t count);
/* Byte identity of all fields. */
bool row_layout_identical(const struct row_layout *layout, const uint8_t *row, const struct batch *batch,
                          uint32_t batch_row, const uint32_t *columns_map);

/* Value equality of the listed fields with the batch row's columns_map[0..count). fields NULL: 0, 1, 2 ... */
bool row_layout_fields_equal(const struct row_layout *layout, const uint8_t *row, const uint32_t *fields,
                             const struct batch *batch, uint32_t batch_row, const uint32_t *columns_map,
                             uint32_t count);
/* Hashes that agree with byte identity of all fields, of a stored row and of a batch row (NULL map:
 * identity). */
uint64_t row_layout_hash(const struct row_layout *layout, const uint8_t *row);
uint64_t row_layout_hash_of(const struct row_layout *layout, const struct batch *batch, uint32_t batch_row,
                            const uint32_t *columns_map);
/* A row in the layout `from` as one of `to`, which has more columns behind the same ones: those are missing[0..]. Text of the
 * row and, with heap NULL, of the missing values is borrowed; else each row gets its own. */
void row_layout_convert(const struct row_layout *from, const uint8_t *row, const struct row_layout *to,
                        uint8_t *out, const struct datum *missing, struct table_heap *heap);
/* Appends many stored rows to a batch of the same types, or of the first of them, text copied into its arena. counts NULL:
 * all +1. */
void row_layout_append(const struct row_layout *layout, const uint8_t *const *rows, const int64_t *counts,
                       uint32_t count, struct batch *out);

#endif
