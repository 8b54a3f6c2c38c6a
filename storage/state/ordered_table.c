/* ordered_table.c: see ordered_table.h. A slot is a row (row_layout; header: SLOT_LIVE) and then the payload;
 * a B+tree leads from the key to it. */
#include "storage/state/ordered_table.h"

#include "storage/state/btree.h"

struct ordered_table {
    struct row_layout layout;
    uint32_t payload_bytes;
    struct slot_pages slots;
    struct btree tree;
    struct table_heap *heap;
    struct account *account;
};

struct ordered_table *ordered_table_create(const struct sql_type *types, uint32_t types_count,
                                           uint32_t payload_bytes, struct account *account)
{
    struct ordered_table *table = mem_zalloc(sizeof(*table));
    table->account = account;
    account_charge(account, (int64_t)sizeof(*table));
    row_layout_init(&table->layout, types, types_count);
    table->payload_bytes = (payload_bytes + 7) & ~7u;
    slot_pages_init(&table->slots, table->layout.row_bytes + table->payload_bytes, 8, account);
    table->heap = table_heap_create(account);
    btree_init(&table->tree, table->heap, account);
    return table;
}

void ordered_table_destroy(struct ordered_table *table)
{
    if (table == NULL)
        return;
    btree_release(&table->tree, false);
    table_heap_destroy(table->heap);
    slot_pages_release(&table->slots);
    row_layout_release(&table->layout);
    account_charge(table->account, -(int64_t)sizeof(*table));
    mem_free(table);
}

static inline uint8_t *slot_row(const struct ordered_table *table, uint32_t slot)
{
    return slot_pages_at(&table->slots, slot);
}

uint32_t ordered_table_upsert(struct ordered_table *table, const void *key, uint32_t key_bytes,
                              const struct batch *rows, uint32_t row, const uint32_t *columns_map,
                              bool *inserted)
{
    uint32_t slot = slot_pages_alloc(&table->slots), found = slot;
    slot_set_header(slot_row(table, slot), SLOT_LIVE);
    *inserted = btree_insert(&table->tree, key, key_bytes, &found);
    if (!*inserted) {
        slot_pages_free(&table->slots, slot);
        slot_pages_touch(&table->slots, found);
        return found;
    }
    uint8_t *bytes = slot_row(table, slot);
    if (table->layout.columns_count > 0)
        row_layout_store(&table->layout, bytes, rows, row, columns_map, table->heap);
    memset(bytes + table->layout.row_bytes, 0, table->payload_bytes);
    return slot;
}

void ordered_table_touch(struct ordered_table *table, uint32_t slot)
{
    slot_pages_touch(&table->slots, slot);
}

struct slot_pages *ordered_table_slots(struct ordered_table *table)
{
    return &table->slots;
}

bool ordered_table_restore(struct ordered_table *table, uint32_t slot, const void *key, uint32_t key_bytes,
                           const struct batch *rows, uint32_t row, const uint32_t *columns_map)
{
    uint32_t found = slot;
    slot_pages_take(&table->slots, slot);
    uint8_t *bytes = slot_row(table, slot);
    slot_set_header(bytes, SLOT_LIVE);
    if (table->layout.columns_count > 0)
        row_layout_store(&table->layout, bytes, rows, row, columns_map, table->heap);
    memset(bytes + table->layout.row_bytes, 0, table->payload_bytes);
    return btree_insert(&table->tree, key, key_bytes, &found);
}

uint32_t ordered_table_find(struct ordered_table *table, const void *key, uint32_t key_bytes)
{
    uint32_t slot;
    return btree_find(&table->tree, key, key_bytes, &slot) ? slot : SLOT_NONE;
}

bool ordered_table_remove(struct ordered_table *table, const void *key, uint32_t key_bytes)
{
    uint32_t slot;
    if (!btree_remove(&table->tree, key, key_bytes, &slot))
        return false;
    row_layout_free_text(&table->layout, slot_row(table, slot), table->heap);
    slot_pages_free(&table->slots, slot);
    if (table->slots.live == 0)
        slot_pages_clear(&table->slots);
    return true;
}

void *ordered_table_payload(struct ordered_table *table, uint32_t slot)
{
    return slot_row(table, slot) + table->layout.row_bytes;
}

const uint8_t *ordered_table_row(struct ordered_table *table, uint32_t slot)
{
    return slot_row(table, slot);
}

const struct row_layout *ordered_table_layout(const struct ordered_table *table)
{
    return &table->layout;
}

/* ---- cursors ---- */

static void take(struct ordered_cursor *cursor, const struct btree_cursor *place)
{
    cursor->leaf = place->node;
    cursor->index = place->index;
    cursor->slot = place->node != NULL ? btree_value(place) : SLOT_NONE;
}

static struct btree_cursor place_of(const struct ordered_cursor *cursor)
{
    return (struct btree_cursor){.tree = &cursor->table->tree, .node = cursor->leaf, .index = cursor->index};
}

void ordered_table_seek(struct ordered_table *table, const void *key, uint32_t key_bytes,
                        struct ordered_cursor *out)
{
    struct btree_cursor place = btree_seek(&table->tree, key, key_bytes);
    out->table = table;
    take(out, &place);
}

void ordered_table_seek_last(struct ordered_table *table, const void *prefix, uint32_t prefix_bytes,
                             struct ordered_cursor *out)
{
    struct btree_cursor place = btree_seek_last(&table->tree, prefix, prefix_bytes);
    out->table = table;
    take(out, &place);
}

void ordered_cursor_next(struct ordered_cursor *cursor)
{
    struct btree_cursor place = place_of(cursor);
    btree_next(&place);
    take(cursor, &place);
}

void ordered_cursor_prev(struct ordered_cursor *cursor)
{
    struct btree_cursor place = place_of(cursor);
    btree_prev(&place);
    take(cursor, &place);
}

const uint8_t *ordered_cursor_key(const struct ordered_cursor *cursor, uint32_t *key_bytes)
{
    struct btree_cursor place = place_of(cursor);
    return btree_key(&place, key_bytes);
}

bool ordered_cursor_has_prefix(const struct ordered_cursor *cursor, const void *prefix, uint32_t prefix_bytes)
{
    if (cursor->slot == SLOT_NONE)
        return false;
    uint32_t key_bytes;
    const uint8_t *key = ordered_cursor_key(cursor, &key_bytes);
    return key_bytes >= prefix_bytes && (prefix_bytes == 0 || memcmp(key, prefix, prefix_bytes) == 0);
}

void ordered_table_summarize(struct ordered_table *table, const struct btree_summaries *summaries)
{
    btree_summarize(&table->tree, summaries);
}

void ordered_table_fold(struct ordered_table *table, const void *low, uint32_t low_bytes, const void *high,
                        uint32_t high_bytes, void *summary)
{
    btree_fold(&table->tree, low, low_bytes, high, high_bytes, summary);
}

uint64_t ordered_table_rows(const struct ordered_table *table)
{
    return table->tree.entries;
}

int64_t ordered_table_bytes(const struct ordered_table *table)
{
    return (int64_t)sizeof(*table) + slot_pages_bytes(&table->slots) + btree_bytes(&table->tree) +
           table_heap_bytes(table->heap);
}

struct table_heap *ordered_table_heap(struct ordered_table *table)
{
    return table->heap;
}
