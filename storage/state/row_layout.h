/* row_layout.h: how a row of given types lies in a fixed-size slot: null bits, then fields by descending alignment;
 * variable-length fields are a struct varlen into the table's heap. */
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
};

/* Copies the types; release frees. */
void row_layout_init(struct row_layout *layout, const struct sql_type *types, uint32_t columns_count);
void row_layout_release(struct row_layout *layout);
/* Writes columns_map[0..n) (NULL: identity) of a batch row into the slot, text into the heap. */
void row_layout_store(const struct row_layout *layout, uint8_t *row, const struct batch *batch, uint32_t batch_row,
                      const uint32_t *columns_map, struct table_heap *heap);
/* Frees the text of a row. */
void row_layout_free_text(const struct row_layout *layout, const uint8_t *row, struct table_heap *heap);
struct datum row_layout_get(const struct row_layout *layout, const uint8_t *row, uint32_t column);
/* Gathers one column of many rows into `out` (initialised by this call), text borrowed from the heap or, with
 * copy_text, copied into the arena. rows[i] points at row bytes. */
void row_layout_gather(const struct row_layout *layout, const uint8_t *const *rows, uint32_t count, uint32_t column,
                       bool copy_text, struct column *out, struct arena *arena);
/* Value equality of row fields [0, count) with the batch row's columns_map[0..count) (NULL equals NULL). */
bool row_layout_equal(const struct row_layout *layout, const uint8_t *row, const struct batch *batch,
                      uint32_t batch_row, const uint32_t *columns_map, uint32_t count);
/* Byte identity of all fields. */
bool row_layout_identical(const struct row_layout *layout, const uint8_t *row, const struct batch *batch,
                          uint32_t batch_row, const uint32_t *columns_map);

#endif
