/* hashed_table.c: see hashed_table.h.
 *
 * A slot is the key as a row_layout row (its header: 31 bits of the hash and the live bit) and then the
 * payload. Batches are worked in groups: all buckets are prefetched, then the slots of the first candidates,
 * then keys are compared, so that the misses of 64 rows overlap. */
#include "storage/state/hashed_table.h"
#include "storage/state/memory_governor.h"

#include "storage/state/hash_index.h"

#define RESTORE_AHEAD 16u                  /* rows whose buckets are on their way */
#define RETURN_BYTES  ((int64_t)128 << 10) /* an emptied table larger than this gives its memory back */

struct hashed_table {
    struct row_layout layout;
    uint32_t payload_bytes;
    bool plain_i64; /* one key column of eight bytes whose equality is that of its bytes */
    struct slot_pages slots;
    struct hash_index index;
    struct table_heap *heap;
    struct account *account;
};

static uint32_t slot_hash(void *ctx, uint32_t slot)
{
    const struct hashed_table *table = ctx;
    return slot_header(slot_pages_at(&table->slots, slot)) & ~SLOT_LIVE;
}

static void slot_prefetch(void *ctx, uint32_t slot)
{
    const struct hashed_table *table = ctx;
    __builtin_prefetch(slot_pages_at(&table->slots, slot));
}

struct hashed_table *hashed_table_create(const struct sql_type *key_types, uint32_t key_count,
                                         uint32_t payload_bytes, struct account *account)
{
    struct hashed_table *table = mem_zalloc(sizeof(*table));
    table->account = account;
    account_charge(account, (int64_t)sizeof(*table));
    row_layout_init(&table->layout, key_types, key_count);
    table->payload_bytes = (payload_bytes + 7) & ~7u;
    table->plain_i64 = key_count == 1 && table->layout.phys[0] == PHYS_I64;
    uint32_t stride = table->layout.row_bytes + table->payload_bytes;
    slot_pages_init(&table->slots, stride, 8, account);
    hash_index_init(&table->index, slot_hash, slot_prefetch, table, account);
    table->heap = table_heap_create(account);
    return table;
}

void hashed_table_destroy(struct hashed_table *table)
{
    if (table == NULL)
        return;
    table_heap_destroy(table->heap);
    hash_index_release(&table->index);
    slot_pages_release(&table->slots);
    row_layout_release(&table->layout);
    account_charge(table->account, -(int64_t)sizeof(*table));
    mem_free(table);
}

static inline uint8_t *slot_row(const struct hashed_table *table, uint32_t slot)
{
    return slot_pages_at(&table->slots, slot);
}

static inline bool key_equal(const struct hashed_table *table, const uint8_t *row, const struct batch *rows,
                             uint32_t at, const uint32_t *key_columns)
{
    if (table->plain_i64) {
        const struct column *column = &rows->columns[key_columns[0]];
        bool is_null = row_layout_is_null(row, 0);
        int64_t value = ((const int64_t *)column->data)[column->is_constant ? 0 : at];
        return is_null == column_is_null(column, at) &&
               (is_null || memcmp(&value, row + table->layout.offsets[0], sizeof(value)) == 0);
    }
    return row_layout_equal(&table->layout, row, rows, at, key_columns, table->layout.columns_count);
}

static inline bool is_at(const struct hashed_table *table, uint32_t slot, uint32_t header,
                         const struct batch *rows, uint32_t at, const uint32_t *key_columns)
{
    const uint8_t *row = slot_row(table, slot);
    return slot_header(row) == header && key_equal(table, row, rows, at, key_columns);
}

static uint32_t find_one(const struct hashed_table *table, uint64_t hash, const struct batch *rows,
                         uint32_t at, const uint32_t *key_columns)
{
    struct hash_probe probe = hash_probe_start(&table->index, hash);
    uint32_t header = hash_31(hash) | SLOT_LIVE, slot;
    while ((slot = hash_probe_next(&probe)) != SLOT_NONE) {
        if (is_at(table, slot, header, rows, at, key_columns))
            return slot;
    }
    return SLOT_NONE;
}

/* Also tells the first candidates, which mostly are the rows that are looked for. */
PREFETCHING void prefetch_group(const struct hashed_table *table, const uint64_t *hashes, uint32_t count,
                                uint32_t *candidates, bool inserts)
{
    for (uint32_t i = 0; i < count; i++)
        hash_index_prefetch(&table->index, hashes[i]);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = candidates[i] = hash_index_peek(&table->index, hashes[i]);
        if (slot == SLOT_NONE) {
            if (inserts)
                hash_index_prefetch_insert(&table->index, hashes[i]);
            continue;
        }
        const uint8_t *row = slot_row(table, slot);
        __builtin_prefetch(row, 1);
        __builtin_prefetch(row + table->layout.row_bytes, 1);
    }
}

void hashed_table_find(struct hashed_table *table, const struct batch *rows, const uint32_t *key_columns,
                       const uint64_t *hashes, uint32_t *slots)
{
    for (uint32_t first = 0; first < rows->rows; first += PREFETCH_GROUP) {
        memory_pace();
        uint32_t count = rows->rows - first < PREFETCH_GROUP ? rows->rows - first : PREFETCH_GROUP;
        prefetch_group(table, hashes + first, count, slots + first, false);
        for (uint32_t i = first; i < first + count; i++) {
            uint32_t header = hash_31(hashes[i]) | SLOT_LIVE;
            if (slots[i] != SLOT_NONE && LIKELY(is_at(table, slots[i], header, rows, i, key_columns)))
                continue;
            slots[i] = find_one(table, hashes[i], rows, i, key_columns);
        }
    }
}

/* touches: slots that are found count as changed. */
PREFETCHING void find_or_insert(struct hashed_table *table, const struct batch *rows,
                                const uint32_t *key_columns, const uint64_t *hashes, uint32_t *slots,
                                uint8_t *inserted, bool touches)
{
    for (uint32_t first = 0; first < rows->rows; first += PREFETCH_GROUP) {
        memory_pace();
        uint32_t count = rows->rows - first < PREFETCH_GROUP ? rows->rows - first : PREFETCH_GROUP;
        prefetch_group(table, hashes + first, count, slots + first, true);
        for (uint32_t i = first; i < first + count; i++) {
            uint32_t header = hash_31(hashes[i]) | SLOT_LIVE;
            inserted[i] = 0;
            if (slots[i] != SLOT_NONE && LIKELY(is_at(table, slots[i], header, rows, i, key_columns))) {
                if (touches)
                    slot_pages_touch(&table->slots, slots[i]);
                continue;
            }
            uint32_t slot = find_one(table, hashes[i], rows, i, key_columns);
            inserted[i] = slot == SLOT_NONE;
            if (slot == SLOT_NONE) {
                slot = slot_pages_alloc(&table->slots);
                uint8_t *row = slot_row(table, slot);
                slot_set_header(row, header);
                row_layout_store(&table->layout, row, rows, i, key_columns, table->heap);
                memset(row + table->layout.row_bytes, 0, table->payload_bytes);
                hash_index_insert(&table->index, hashes[i], slot);
            }
            if (touches)
                slot_pages_touch(&table->slots, slot);
            slots[i] = slot;
        }
    }
}

void hashed_table_upsert(struct hashed_table *table, const struct batch *rows, const uint32_t *key_columns,
                         const uint64_t *hashes, uint32_t *slots, uint8_t *inserted)
{
    find_or_insert(table, rows, key_columns, hashes, slots, inserted, true);
}

void hashed_table_insert_new(struct hashed_table *table, const struct batch *rows,
                             const uint32_t *key_columns, const uint64_t *hashes, uint32_t *slots,
                             uint8_t *inserted)
{
    find_or_insert(table, rows, key_columns, hashes, slots, inserted, false);
}

void hashed_table_touch(struct hashed_table *table, uint32_t slot)
{
    slot_pages_touch(&table->slots, slot);
}

struct slot_pages *hashed_table_slots(struct hashed_table *table)
{
    return &table->slots;
}

struct hash_index *hashed_table_index(struct hashed_table *table)
{
    return &table->index;
}

void hashed_table_restore(struct hashed_table *table, uint32_t slot, const struct batch *rows, uint32_t row,
                          const uint32_t *key_columns, const uint64_t *hashes)
{
    uint64_t hash = hashes[row];
    if (table->index.bulk == NULL && row + RESTORE_AHEAD < rows->rows) {
        hash_index_prefetch(&table->index, hashes[row + RESTORE_AHEAD]);
        hash_index_prefetch_insert(&table->index, hashes[row + RESTORE_AHEAD]);
    }
    slot_pages_take(&table->slots, slot);
    uint8_t *bytes = slot_row(table, slot);
    slot_set_header(bytes, hash_31(hash) | SLOT_LIVE);
    row_layout_store(&table->layout, bytes, rows, row, key_columns, table->heap);
    memset(bytes + table->layout.row_bytes, 0, table->payload_bytes);
    hash_index_insert(&table->index, hash, slot);
}

void hashed_table_remove(struct hashed_table *table, uint32_t slot)
{
    uint8_t *row = slot_row(table, slot);
    CHECK(slot_header(row) & SLOT_LIVE);
    hash_index_remove(&table->index, slot_header(row) & ~SLOT_LIVE, slot);
    row_layout_free_text(&table->layout, row, table->heap);
    slot_pages_free(&table->slots, slot);
    if (table->slots.live == 0 && slot_pages_bytes(&table->slots) > RETURN_BYTES) {
        slot_pages_clear(&table->slots);
        hash_index_clear(&table->index);
    }
}

void *hashed_table_payload(struct hashed_table *table, uint32_t slot)
{
    return slot_row(table, slot) + table->layout.row_bytes;
}

struct datum hashed_table_key(const struct hashed_table *table, uint32_t slot, uint32_t column)
{
    return row_layout_get(&table->layout, slot_row(table, slot), column);
}

void hashed_table_set_key(struct hashed_table *table, uint32_t slot, const struct batch *rows, uint32_t row,
                          const uint32_t *key_columns)
{
    uint8_t *bytes = slot_row(table, slot);
    slot_pages_touch(&table->slots, slot);
    row_layout_free_text(&table->layout, bytes, table->heap);
    row_layout_store(&table->layout, bytes, rows, row, key_columns, table->heap);
}

void hashed_table_gather_keys(struct hashed_table *table, const uint32_t *slots, uint32_t count,
                              struct column *out, struct arena *arena)
{
    const uint8_t **rows = arena_alloc(arena, sizeof(*rows) * count);
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = slot_row(table, slots[i]);
        __builtin_prefetch(rows[i]);
    }
    for (uint32_t c = 0; c < table->layout.columns_count; c++)
        row_layout_gather(&table->layout, rows, count, c, true, &out[c], arena);
}

uint32_t hashed_table_next(struct hashed_table *table, uint32_t *cursor)
{
    while (*cursor < table->slots.used) {
        uint32_t slot = (*cursor)++;
        if (slot_header(slot_row(table, slot)) & SLOT_LIVE)
            return slot;
    }
    return SLOT_NONE;
}

uint64_t hashed_table_rows(const struct hashed_table *table)
{
    return table->slots.live;
}

int64_t hashed_table_bytes(const struct hashed_table *table)
{
    return (int64_t)sizeof(*table) + slot_pages_bytes(&table->slots) + hash_index_bytes(&table->index) +
           table_heap_bytes(table->heap);
}

struct table_heap *hashed_table_heap(struct hashed_table *table)
{
    return table->heap;
}
