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
    uint32_t is_multiset = store->key_count == 0;
    for (uint32_t c = 0; c < layout->columns_count; c++)
        row_layout_gather(layout, rows, count, c, true, &out[c + (c < store->base_count ? 0 : is_multiset)],
                          arena);
    if (!is_multiset)
        return;
    column_init(&out[store->base_count], (struct sql_type){OID_INT8, -1}, count, arena);
    int64_t *counts = out[store->base_count].data;
    for (uint32_t i = 0; i < count; i++)
        counts[i] = store_meta(store, rows[i])->count;
}

/* Rows first .. first + count of the batch, at most a group. */
static bool restore_group(struct row_store *store, const uint32_t *slots, const struct batch *rows,
                          const int64_t *counts, uint32_t first, uint32_t count, const uint64_t *hashes,
                          struct error *err)
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

/* The rows' columns alone, those that were added after they had been saved with their missing values. */
static const struct batch *whole_rows(const struct row_store *store, const struct batch *rows,
                                      struct arena *arena)
{
    uint32_t is_multiset = store->key_count == 0, base = store->base_count,
             added = rows->columns_count - is_multiset - base;
    struct batch *wide = batch_header(arena, store->layout.columns_count);
    wide->rows = rows->rows;
    memcpy(wide->columns, rows->columns, sizeof(*wide->columns) * base);
    if (added > 0)
        memcpy(wide->columns + base, rows->columns + base + is_multiset, sizeof(*wide->columns) * added);
    for (uint32_t c = base + added; c < store->layout.columns_count; c++)
        column_init_constant(&wide->columns[c], store->layout.types[c], &store->missing[c - base], arena);
    return wide;
}

static bool restore(void *of, const uint32_t *slots, const struct batch *rows, uint32_t version,
                    struct error *err)
{
    struct row_store *store = of;
    uint32_t is_multiset = store->key_count == 0;
    if (version != SAVED_VERSION || rows->columns_count < store->base_count + is_multiset ||
        rows->columns_count > store->layout.columns_count + is_multiset)
        return error_set(err, ERRCODE_DATA_CORRUPTED, "saved rows are not of this form");
    for (uint32_t i = 0; i < store->indexes_count; i++) {
        if (store->indexes[i] != NULL)
            store->indexes[i]->is_behind = true;
    }
    latch_write(&store->latch);
    hash_index_reserve(&store->index, store->slots.used);
    latch_write_done(&store->latch);
    struct arena arena;
    arena_init(&arena, NULL);
    const struct batch *wide = whole_rows(store, rows, &arena);
    const int64_t *counts = is_multiset ? rows->columns[store->base_count].data : NULL;
    uint64_t *hashes = arena_alloc(&arena, sizeof(*hashes) * rows->rows);
    row_store_hash(store, wide, hashes);
    bool ok = true;
    for (uint32_t first = 0; ok && first < rows->rows; first += PREFETCH_GROUP) {
        uint32_t count = rows->rows - first < PREFETCH_GROUP ? rows->rows - first : PREFETCH_GROUP;
        latch_write(&store->latch);
        ok = restore_group(store, slots, wide, counts, first, count, hashes, err);
        latch_write_done(&store->latch);
    }
    arena_release(&arena);
    return ok;
}

void row_store_saved(struct row_store *store, const char *name, struct saved_tables *out)
{
    uint32_t count = store->layout.columns_count;
    struct sql_type *types = arena_alloc(out->arena, sizeof(*types) * (count + 1));
    uint32_t is_multiset = store->key_count == 0;
    for (uint32_t c = 0; c < count; c++)
        types[c + (c < store->base_count ? 0 : is_multiset)] = store->layout.types[c];
    if (is_multiset)
        types[store->base_count] = (struct sql_type){OID_INT8, -1};
    saved_tables_add(out, (struct saved_table){.name = name,
                                               .version = SAVED_VERSION,
                                               .columns_count = count + is_multiset,
                                               .columns_least = store->base_count + is_multiset,
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
