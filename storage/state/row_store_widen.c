/* row_store_widen.c: columns that are added to a row store which has rows.
 *
 * The rows are laid out anew, in slots of the same numbers: what is saved of them stays valid, since a saved row with
 * fewer columns is padded when it comes back. That is done in small steps with ticks between them: a row that changes after
 * it was copied is copied again (slot_copies), and what is left becomes less with each step, until the copies take the
 * place of the rows. A copy shares the text of its row, which may be gone when the row has changed: nobody follows these
 * pointers before the end. Of the text of added columns each copy has its own, which goes when it is copied again or
 * everything is given up.
 *
 * Before-images stay as they are and say in which layout that is; whoever looks at one gets it padded. A row's hash must not
 * change with a column it has the missing value of, so the columns at the end that hold theirs do not count in it. */
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

struct store_widening {
    struct row_layout layout; /* before the end the new one, afterwards nothing */
    const struct datum *missing;
    bool has_text; /* of which a row has its own copy */
    bool undoes;
    struct slot_copies copies;
    uint64_t noted; /* slot_pages_copies_noted at the end of the last step */
};

int64_t widening_bytes(const struct store_widening *widening)
{
    return (int64_t)sizeof(*widening) + slot_copies_bytes(&widening->copies);
}

struct store_widening *row_store_begin_widen(struct row_store *store, const struct sql_type *types,
                                             uint32_t count, const struct datum *missing)
{
    CHECK(store->widening == NULL);
    uint32_t before = store->layout.columns_count;
    struct sql_type *all = mem_alloc(sizeof(*all) * (before + count));
    if (before > 0)
        memcpy(all, store->layout.types, sizeof(*all) * before);
    memcpy(all + before, types, sizeof(*all) * count);
    struct store_widening *widening = mem_zalloc(sizeof(*widening));
    row_layout_init(&widening->layout, all, before + count);
    mem_free(all);
    widening->missing = missing;
    for (uint32_t i = 0; i < count; i++)
        widening->has_text |= !missing[i].is_null && type_phys(types[i].oid) == PHYS_VAR &&
                              missing[i].var.len > VARLEN_INLINE_MAX;
    account_charge(store->account, (int64_t)sizeof(*widening));
    latch_write(&store->latch);
    uint32_t stride = widening->layout.row_bytes + (store->slots.stride - store->layout.row_bytes);
    slot_pages_begin_copy(&store->slots, stride, &widening->copies);
    widening->noted = slot_pages_copies_noted(&store->slots);
    store->widening = widening;
    latch_write_done(&store->latch);
    return widening;
}

/* The text that belongs to the copy alone. */
static void free_added_text(struct row_store *store, const struct store_widening *widening,
                            const uint8_t *copy)
{
    const struct row_layout *wide = &widening->layout;
    uint32_t before = store->layout.columns_count;
    if (!widening->has_text || !(slot_header(copy) & SLOT_LIVE))
        return;
    for (uint32_t c = before; c < wide->columns_count; c++) {
        if (widening->missing[c - before].is_null || wide->phys[c] != PHYS_VAR)
            continue;
        struct varlen var;
        memcpy(&var, copy + wide->offsets[c], sizeof(var));
        table_heap_free(store->heap, &var);
    }
}

static void copy_slot(struct row_store *store, const struct store_widening *widening, uint32_t slot)
{
    const struct row_layout *layout = &store->layout, *wide = &widening->layout;
    const uint8_t *row = store_row(store, slot);
    uint8_t *copy = slot_pages_at(&widening->copies.pages, slot);
    free_added_text(store, widening, copy);
    if (!(slot_header(row) & SLOT_LIVE)) {
        memcpy(copy, row, 8);
        return;
    }
    row_layout_convert(layout, row, wide, copy, widening->missing, store->heap);
    memcpy(copy + wide->row_bytes, row + layout->row_bytes, store->slots.stride - layout->row_bytes);
}

uint64_t row_store_widen_step(struct row_store *store, uint32_t rows)
{
    struct store_widening *widening = store->widening;
    uint64_t budget = rows + 2 * (slot_pages_copies_noted(&store->slots) - widening->noted);
    uint32_t slots[LATCH_ROWS], count = 1;
    while (budget > 0 && count > 0) {
        memory_pace();
        latch_write(&store->latch);
        count =
            slot_pages_next_copies(&store->slots, slots, budget < LATCH_ROWS ? (uint32_t)budget : LATCH_ROWS);
        for (uint32_t i = 0; i < count; i++)
            copy_slot(store, widening, slots[i]);
        latch_write_done(&store->latch);
        budget -= count;
    }
    widening->noted = slot_pages_copies_noted(&store->slots);
    return slot_pages_copies_left(&store->slots);
}

/* The columns that come get their missing values, which belong to the store. */
static void keep_missing(struct row_store *store, const struct row_layout *wide, const struct datum *missing)
{
    uint32_t before = store->layout.columns_count, had = before - store->base_count,
             count = wide->columns_count - before;
    store->missing = mem_realloc(store->missing, sizeof(*missing) * (had + count));
    for (uint32_t i = 0; i < count; i++) {
        struct datum *value = &store->missing[had + i];
        *value = missing[i];
        if (!value->is_null && wide->phys[before + i] == PHYS_VAR)
            value->var = varlen_copy(&store->arena, varlen_bytes(&missing[i].var), missing[i].var.len);
    }
}

/* Slots that nobody uses any more were kept for the copying. */
static void shrink_late(struct row_store *store)
{
    if (store->undo.first == store->undo.head)
        store_shrink(store);
}

void row_store_end_widen(struct row_store *store)
{
    struct store_widening *widening = store->widening;
    latch_write(&store->latch);
    keep_missing(store, &widening->layout, widening->missing);
    slot_pages_end_copy(&store->slots);
    store->old_layouts =
        mem_realloc(store->old_layouts, sizeof(*store->old_layouts) * (store->old_layouts_count + 1));
    store->old_layouts[store->old_layouts_count++] = store->layout;
    store->layout = widening->layout;
    widening->layout = (struct row_layout){0};
    store->widening = NULL;
    shrink_late(store);
    latch_write_done(&store->latch);
}

bool row_store_undo_widen(struct row_store *store, uint32_t rows)
{
    struct store_widening *widening = store->widening;
    struct slot_copies *copies = &widening->copies;
    if (!widening->undoes) {
        latch_write(&store->latch);
        slot_pages_drop_copy(&store->slots);
        shrink_late(store);
        latch_write_done(&store->latch);
        widening->undoes = true;
    }
    while (widening->has_text && copies->copied > 0 && rows > 0) {
        memory_pace();
        latch_write(&store->latch);
        for (uint32_t i = 0; i < LATCH_ROWS && copies->copied > 0 && rows > 0; i++, rows--)
            free_added_text(store, widening, slot_pages_at(&copies->pages, --copies->copied));
        latch_write_done(&store->latch);
    }
    if (widening->has_text && copies->copied > 0)
        return true;
    latch_write(&store->latch);
    store->widening = NULL;
    latch_write_done(&store->latch);
    return false;
}

void row_store_free_widening(struct row_store *store, struct store_widening *widening)
{
    if (widening == NULL)
        return;
    slot_copies_release(&widening->copies);
    row_layout_release(&widening->layout);
    account_charge(store->account, -(int64_t)sizeof(*widening));
    mem_free(widening);
}

void row_store_widen(struct row_store *store, const struct sql_type *types, uint32_t count,
                     const struct datum *missing)
{
    struct store_widening *widening = row_store_begin_widen(store, types, count, missing);
    while (row_store_widen_step(store, UINT32_MAX) > 0) {
    }
    row_store_end_widen(store);
    row_store_free_widening(store, widening);
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
