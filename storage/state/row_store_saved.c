/* row_store_saved.c: what a checkpoint saves of a row store: the newest version of each row that is there.
 *
 * Restored rows have no before-image, and the epoch 0: whoever looks sees them. */
#include "storage/state/row_store_internal.h"

#define SAVED_VERSION 1u

static bool is_row(const void *of, uint32_t slot)
{
    const struct row_store *store = of;
    const uint8_t *row = store_row(store, slot);
    return (slot_header(row) & SLOT_LIVE) && slot_count(store, store_meta(store, row)) != 0;
}

static void gather(void *of, const uint32_t *slots, uint32_t count, struct column *out, struct arena *arena)
{
    const struct row_store *store = of;
    const struct row_layout *layout = &store->layout;
    const uint8_t **rows = arena_alloc(arena, sizeof(*rows) * count);
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = store_row(store, slots[i]);
        __builtin_prefetch(rows[i]);
    }
    for (uint32_t c = 0; c < layout->columns_count; c++)
        row_layout_gather(layout, rows, count, c, true, &out[c], arena);
    if (store->key_count > 0)
        return;
    column_init(&out[layout->columns_count], (struct sql_type){OID_INT8, -1}, count, arena);
    int64_t *counts = out[layout->columns_count].data;
    for (uint32_t i = 0; i < count; i++)
        counts[i] = store_meta(store, rows[i])->count;
}

/* Rows first .. first + count of the batch, at most a group. */
static bool restore_group(struct row_store *store, const uint32_t *slots, const struct batch *rows,
                          uint32_t first, uint32_t count, const uint64_t *hashes, struct error *err)
{
    uint8_t *stored[PREFETCH_GROUP];
    uint32_t source[PREFETCH_GROUP];
    for (uint32_t i = 0; i < count; i++) {
        if (slots[first + i] >= store->slots.used)
            return error_set(err, ERRCODE_DATA_CORRUPTED, "a saved row has the number %u of %u",
                             slots[first + i], store->slots.used);
        stored[i] = store_row(store, slots[first + i]);
        __builtin_prefetch(stored[i], 1);
        if (store->index.bulk == NULL)
            hash_index_prefetch(&store->index, hashes[first + i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (store->index.bulk == NULL)
            hash_index_prefetch_insert(&store->index, hashes[first + i]);
        if (slot_header(stored[i]) != 0)
            return error_set(err, ERRCODE_DATA_CORRUPTED, "two saved rows have the number %u",
                             slots[first + i]);
        source[i] = first + i;
        slot_set_header(stored[i], hash_31(hashes[first + i]) | SLOT_LIVE);
        slot_pages_take(&store->slots, slots[first + i]);
    }
    row_layout_store_many(&store->layout, stored, rows, source, count, store->heap);
    const int64_t *counts = store->key_count == 0 ? rows->columns[store->layout.columns_count].data : NULL;
    int64_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct slot_meta *meta = store_meta(store, stored[i]);
        meta->epoch = 0;
        meta->undo = SLOT_PRESENT;
        if (counts != NULL)
            meta->count = counts[first + i];
        total += counts != NULL ? counts[first + i] : 1;
        hash_index_insert(&store->index, hashes[first + i], slots[first + i]);
    }
    atomic_fetch_add_explicit(&store->rows, total, memory_order_relaxed);
    return true;
}

static bool restore(void *of, const uint32_t *slots, const struct batch *rows, uint32_t version,
                    struct error *err)
{
    struct row_store *store = of;
    uint32_t columns_count = store->layout.columns_count, key_count = store->key_count;
    if (version != SAVED_VERSION || rows->columns_count != columns_count + (key_count == 0))
        return error_set(err, ERRCODE_DATA_CORRUPTED, "saved rows are not of this form");
    for (uint32_t i = 0; i < store->indexes_count; i++) {
        if (store->indexes[i] != NULL)
            store->indexes[i]->is_behind = true;
    }
    latch_write(&store->latch);
    hash_index_reserve(&store->index, store->slots.used);
    latch_write_done(&store->latch);
    uint32_t *all = mem_alloc(sizeof(*all) * columns_count);
    for (uint32_t c = 0; c < columns_count; c++)
        all[c] = c;
    uint64_t *hashes = mem_alloc(sizeof(*hashes) * rows->rows);
    batch_hash(rows, key_count > 0 ? store->key_columns : all, key_count > 0 ? key_count : columns_count,
               hashes);
    bool ok = true;
    for (uint32_t first = 0; ok && first < rows->rows; first += PREFETCH_GROUP) {
        uint32_t count = rows->rows - first < PREFETCH_GROUP ? rows->rows - first : PREFETCH_GROUP;
        latch_write(&store->latch);
        ok = restore_group(store, slots, rows, first, count, hashes, err);
        latch_write_done(&store->latch);
    }
    mem_free(hashes);
    mem_free(all);
    return ok;
}

void row_store_saved(struct row_store *store, const char *name, struct saved_tables *out)
{
    uint32_t count = store->layout.columns_count;
    struct sql_type *types = arena_alloc(out->arena, sizeof(*types) * (count + 1));
    memcpy(types, store->layout.types, sizeof(*types) * count);
    types[count] = (struct sql_type){OID_INT8, -1};
    saved_tables_add(out, (struct saved_table){.name = name,
                                               .version = SAVED_VERSION,
                                               .columns_count = count + (store->key_count == 0),
                                               .types = types,
                                               .of = store,
                                               .slots = &store->slots,
                                               .index = &store->index,
                                               .is_row = is_row,
                                               .gather = gather,
                                               .restore = restore});
}

void row_store_restore_end(struct row_store *store)
{
    for (uint32_t i = 0; i < store->indexes_count; i++) {
        struct store_index *index = store->indexes[i];
        if (index == NULL || !index->is_behind)
            continue;
        latch_write(
            &store->latch); /* readers of the index wait: nobody needs it before the restore is over */
        index_fill(store, index);
        latch_write_done(&store->latch);
        index->is_behind = false;
    }
}
