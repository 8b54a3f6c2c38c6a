/* row_store_widen.c: columns that are added to a row store which has rows.
 *
 * The rows are laid out anew at once, in slots of the same numbers: what is saved of them stays valid, since a saved row with
 * fewer columns is padded when it comes back. Before-images stay as they are and say in which layout that is; whoever looks
 * at one gets it padded. A row's hash must not change with a column it has the missing value of, so the columns at the end
 * that hold theirs do not count in it. */
#include "storage/state/memory_governor.h"
#include "storage/state/row_store_internal.h"

const uint8_t *undo_image(const struct row_store *store, const struct undo_record *record, uint8_t *room)
{
    if (!undo_image_is_old(store, record))
        return record->data;
    const struct row_layout *from = undo_image_layout(store, record);
    row_layout_convert(from, record->data, &store->layout, room,
                       store->missing + (from->columns_count - store->base_count), NULL);
    return room;
}

static void keep_missing(struct row_store *store, const struct sql_type *types, uint32_t count,
                         const struct datum *missing)
{
    uint32_t before = store->layout.columns_count - store->base_count;
    store->missing = mem_realloc(store->missing, sizeof(*missing) * (before + count));
    for (uint32_t i = 0; i < count; i++) {
        struct datum *value = &store->missing[before + i];
        *value = missing[i];
        if (!value->is_null && type_phys(types[i].oid) == PHYS_VAR)
            value->var = varlen_copy(&store->arena, varlen_bytes(&missing[i].var), missing[i].var.len);
    }
}

static void copy_slot(struct row_store *store, const struct row_layout *wide, uint32_t slot,
                      struct slot_pages *copies)
{
    const struct row_layout *layout = &store->layout;
    const uint8_t *row = store_row(store, slot);
    uint8_t *copy = slot_pages_at(copies, slot);
    if (!(slot_header(row) & SLOT_LIVE)) {
        memcpy(copy, row, 8);
        return;
    }
    row_layout_convert(layout, row, wide, copy, store->missing + (layout->columns_count - store->base_count),
                       store->heap);
    memcpy(copy + wide->row_bytes, row + layout->row_bytes, store->slots.stride - layout->row_bytes);
}

void row_store_widen(struct row_store *store, const struct sql_type *types, uint32_t count,
                     const struct datum *missing)
{
    uint32_t before = store->layout.columns_count;
    struct sql_type *all = mem_alloc(sizeof(*all) * (before + count));
    if (before > 0)
        memcpy(all, store->layout.types, sizeof(*all) * before);
    memcpy(all + before, types, sizeof(*all) * count);
    struct row_layout wide;
    row_layout_init(&wide, all, before + count);
    mem_free(all);
    latch_write(&store->latch);
    keep_missing(store, types, count, missing);
    latch_write_done(&store->latch);
    struct slot_pages copies;
    slot_pages_begin_copy(&store->slots, wide.row_bytes + (store->slots.stride - store->layout.row_bytes),
                          &copies);
    for (uint32_t slot = 0; slot < store->slots.used;) {
        memory_pace();
        latch_write(&store->latch);
        for (uint32_t i = 0; i < LATCH_ROWS && slot < store->slots.used; i++, slot++)
            copy_slot(store, &wide, slot, &copies);
        latch_write_done(&store->latch);
    }
    latch_write(&store->latch);
    slot_pages_end_copy(&store->slots, &copies);
    store->old_layouts =
        mem_realloc(store->old_layouts, sizeof(*store->old_layouts) * (store->old_layouts_count + 1));
    store->old_layouts[store->old_layouts_count++] = store->layout;
    store->layout = wide;
    latch_write_done(&store->latch);
}

static bool is_missing(const struct row_store *store, const struct column *column, uint32_t row,
                       uint32_t added)
{
    const struct datum *missing = &store->missing[added];
    if (missing->is_null || column_is_null(column, row))
        return missing->is_null && column_is_null(column, row);
    struct datum value = column_get(column, row);
    return column->phys == PHYS_VAR ? varlen_identical(&value.var, &missing->var)
                                    : memcmp(&value.fix16, &missing->fix16, phys_bytes(column->phys)) == 0;
}

void row_store_hash(const struct row_store *store, const struct batch *rows, uint64_t *hashes)
{
    if (store->key_count > 0) {
        batch_hash(rows, store->key_columns, store->key_count, hashes);
        return;
    }
    uint32_t count = store->layout.columns_count;
    uint32_t *all = mem_alloc(sizeof(*all) * (count + 1));
    for (uint32_t c = 0; c < count; c++)
        all[c] = c;
    batch_hash(rows, all, store->base_count, hashes);
    /* The rows whose last column that counts is this one; whole batches are hashed, as most rows have the same one. */
    uint64_t *longer = count > store->base_count ? mem_alloc(sizeof(*longer) * rows->rows) : NULL;
    for (uint32_t c = store->base_count; c < count; c++) {
        bool is_hashed = false;
        for (uint32_t row = 0; row < rows->rows; row++) {
            if (is_missing(store, &rows->columns[c], row, c - store->base_count))
                continue;
            if (!is_hashed)
                batch_hash(rows, all, c + 1, longer);
            is_hashed = true;
            hashes[row] = longer[row];
        }
    }
    mem_free(longer);
    mem_free(all);
}
