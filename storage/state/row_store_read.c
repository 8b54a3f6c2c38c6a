/* row_store_read.c: what readers on other threads call. Each piece is copied under the shared latch; between
 * pieces the writer may change anything, and what a snapshot sees does not change with it. */
#include "storage/state/row_store_internal.h"

#define SCAN_SLOTS 4096u /* slots looked at under the latch once, however few of them are visible */

int64_t store_version(const struct row_store *store, const uint8_t *row, uint64_t snapshot,
                      struct arena *arena, const uint8_t **version)
{
    const struct slot_meta *meta = store_meta(store, row);
    *version = row;
    if (LIKELY(meta->epoch <= snapshot))
        return slot_count(store, meta);
    uint64_t undo = meta->undo;
    const struct undo_record *image = NULL;
    for (;;) {
        uint64_t position = undo_position(undo);
        if (position < store->undo.first || position >= store->undo.head)
            return 0;
        const struct undo_record *record = undo_at(&store->undo, position);
        if (record_kind(record) == UNDO_INSERT)
            return 0;
        if (record_kind(record) == UNDO_IMAGE)
            image = record;
        if (record->epoch > snapshot) {
            undo = record->undo;
            continue;
        }
        if (image != NULL)
            *version = undo_image(
                store, image,
                undo_image_is_old(store, image) ? arena_alloc(arena, store->layout.row_bytes) : NULL);
        return record_count(store, record);
    }
}

/* One piece under the latch: false at the end. */
static bool scan_piece(struct row_store *store, uint64_t snapshot, uint64_t *cursor, uint32_t max,
                       struct batch *out)
{
    const uint8_t *rows[LATCH_ROWS];
    int64_t counts[LATCH_ROWS];
    uint32_t n = 0;
    latch_read(&store->latch);
    uint64_t used = store->slots.used;
    uint64_t end = *cursor + SCAN_SLOTS < used ? *cursor + SCAN_SLOTS : used;
    for (; *cursor < end && n < max && n < LATCH_ROWS; (*cursor)++) {
        const uint8_t *row = store_row(store, (uint32_t)*cursor);
        if (!(slot_header(row) & SLOT_LIVE))
            continue;
        counts[n] = store_version(store, row, snapshot, out->arena, &rows[n]);
        n += counts[n] != 0;
    }
    bool more = *cursor < used;
    row_layout_append(&store->layout, rows, counts, n, out);
    latch_read_done(&store->latch);
    return more;
}

bool row_store_scan(struct row_store *store, uint64_t snapshot, uint64_t *cursor, uint32_t max,
                    struct batch *out)
{
    uint32_t end = out->rows + max;
    while (out->rows < end) {
        if (!scan_piece(store, snapshot, cursor, end - out->rows, out))
            return false;
    }
    return true;
}

void row_store_lookup(struct row_store *store, uint64_t snapshot, const struct batch *keys,
                      const uint32_t *key_columns, const uint64_t *hashes, struct batch *out)
{
    CHECK(store->key_count > 0);
    const uint8_t *rows[PREFETCH_GROUP];
    for (uint32_t first = 0; first < keys->rows; first += PREFETCH_GROUP) {
        uint32_t end = first + PREFETCH_GROUP < keys->rows ? first + PREFETCH_GROUP : keys->rows, n = 0;
        latch_read(&store->latch);
        for (uint32_t i = first; i < end; i++)
            hash_index_prefetch(&store->index, hashes[i]);
        for (uint32_t i = first; i < end; i++) {
            uint32_t slot = hash_index_peek(&store->index, hashes[i]);
            if (slot == SLOT_NONE)
                continue;
            __builtin_prefetch(store_row(store, slot));
            __builtin_prefetch(store_meta(store, store_row(store, slot)));
        }
        for (uint32_t i = first; i < end; i++) {
            struct hash_probe probe = hash_probe_start(&store->index, hashes[i]);
            uint32_t header = hash_31(hashes[i]) | SLOT_LIVE, slot;
            while ((slot = hash_probe_next(&probe)) != SLOT_NONE) {
                const uint8_t *row = store_row(store, slot);
                if (slot_header(row) != header ||
                    !row_layout_fields_equal(&store->layout, row, store->key_columns, keys, i, key_columns,
                                             store->key_count))
                    continue;
                n += store_version(store, row, snapshot, out->arena, &rows[n]) != 0;
                break;
            }
        }
        row_layout_append(&store->layout, rows, NULL, n, out);
        latch_read_done(&store->latch);
    }
}
