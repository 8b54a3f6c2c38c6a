/* arrangement_append.c: arrangements whose rows never go.
 *
 * A slot is nothing but the row. Slots are handed out in order, so that "the rows up to some moment" are those
 * below a number. The index leads from a key's hash to the key's only row, or (IS_LIST) to the newest block of
 * row numbers; a block that cannot grow any more stays as it is, behind a new one. Nothing is looked for among
 * the rows of a key, so adding a row costs the same however many there are. */
#include "storage/state/arrangement_internal.h"
#include "storage/state/memory_governor.h"

#define IS_LIST (UINT32_C(1) << 31)

struct append_list {
    uint32_t total; /* rows in this block and those behind it */
    uint32_t older; /* reference of the block behind, LIST_NONE */
    uint16_t count; /* in this block, ascending */
    uint16_t class;
    uint32_t rows[];
};

static uint32_t list_capacity(uint32_t class)
{
    return ((32u << class) - (uint32_t)offsetof(struct append_list, rows)) / 4;
}

static inline struct append_list *list_at(const struct arrangement *a, uint32_t ref)
{
    return list_block_at(&a->append_lists, ref & ~IS_LIST);
}

/* A row of the entry's key. */
static inline uint32_t first_row(const struct arrangement *a, uint32_t entry)
{
    return entry & IS_LIST ? list_at(a, entry)->rows[0] : entry;
}

static uint32_t entry_hash(void *ctx, uint32_t entry)
{
    return slot_header(arrangement_row(ctx, first_row(ctx, entry))) & ~SLOT_LIVE;
}

static void entry_prefetch(void *ctx, uint32_t entry)
{
    const struct arrangement *a = ctx;
    if (entry & IS_LIST)
        __builtin_prefetch(list_at(a, entry));
    else
        __builtin_prefetch(arrangement_row(a, entry));
}

void append_only_init(struct arrangement *a)
{
    slot_pages_init(&a->slots, a->layout.row_bytes, 8, a->account);
    hash_index_init(&a->index, entry_hash, entry_prefetch, a, a->account);
    list_blocks_init(&a->append_lists, a->account);
}

void append_only_release(struct arrangement *a)
{
    list_blocks_release(&a->append_lists);
}

/* ---- finding ---- */

static inline bool is_at(const struct arrangement *a, uint32_t entry, uint64_t hash, const struct batch *rows,
                         uint32_t at, const uint32_t *key_columns)
{
    return arrangement_key_matches(a, arrangement_row(a, first_row(a, entry)), hash_31(hash) | SLOT_LIVE,
                                   rows, at, key_columns);
}

static uint32_t find_entry(const struct arrangement *a, uint64_t hash, const struct batch *rows, uint32_t at,
                           const uint32_t *key_columns)
{
    struct hash_probe probe = hash_probe_start(&a->index, hash);
    uint32_t entry;
    while ((entry = hash_probe_next(&probe)) != SLOT_NONE) {
        if (is_at(a, entry, hash, rows, at, key_columns))
            return entry;
    }
    return SLOT_NONE;
}

/* Overlaps the misses of a group: buckets (which are on their way), then rows or lists, then the rows of lists.
 * Tells the first candidates, which mostly are what is looked for. */
PREFETCHING void prefetch_group(const struct arrangement *a, const uint64_t *hashes, uint32_t count,
                                uint32_t *candidates, bool inserts)
{
    uint32_t entries[PREFETCH_GROUP];
    uint32_t lists = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t entry = candidates[i] = hash_index_peek(&a->index, hashes[i]);
        if (entry == SLOT_NONE) {
            if (inserts)
                hash_index_prefetch_insert(&a->index, hashes[i]);
            continue;
        }
        if (entry & IS_LIST) {
            entries[lists++] = entry;
            __builtin_prefetch(list_at(a, entry), 1);
        } else {
            __builtin_prefetch(arrangement_row(a, entry));
        }
    }
    for (uint32_t i = 0; i < lists; i++)
        __builtin_prefetch(arrangement_row(a, list_at(a, entries[i])->rows[0]));
}

static void find_group(const struct arrangement *a, const struct batch *rows, uint32_t first, uint32_t count,
                       const uint32_t *key_columns, const uint64_t *hashes, const uint8_t *skip,
                       uint32_t *entries)
{
    for (uint32_t i = first; i < first + count; i++)
        hash_index_prefetch(&a->index, hashes[i]);
    prefetch_group(a, hashes + first, count, entries, false);
    for (uint32_t i = first; i < first + count; i++) {
        uint32_t *entry = &entries[i - first];
        if (skip != NULL && skip[i])
            *entry = SLOT_NONE;
        else if (*entry == SLOT_NONE || !is_at(a, *entry, hashes[i], rows, i, key_columns))
            *entry = find_entry(a, hashes[i], rows, i, key_columns);
    }
}

void append_only_find(const struct arrangement *a, const struct batch *rows, const uint32_t *key_columns,
                      const uint64_t *hashes, const uint8_t *skip, uint32_t *entries)
{
    for (uint32_t first = 0; first < rows->rows; first += PREFETCH_GROUP) {
        memory_pace();
        uint32_t count = rows->rows - first < PREFETCH_GROUP ? rows->rows - first : PREFETCH_GROUP;
        find_group(a, rows, first, count, key_columns, hashes, skip, entries + first);
    }
}

void append_only_weights(const struct arrangement *a, const struct batch *rows, const uint32_t *key_columns,
                         const uint64_t *hashes, const uint8_t *skip, int64_t *weights)
{
    uint32_t entries[PREFETCH_GROUP];
    for (uint32_t first = 0; first < rows->rows; first += PREFETCH_GROUP) {
        memory_pace();
        uint32_t count = rows->rows - first < PREFETCH_GROUP ? rows->rows - first : PREFETCH_GROUP;
        find_group(a, rows, first, count, key_columns, hashes, skip, entries);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t entry = entries[i];
            weights[first + i] = entry == SLOT_NONE ? 0 : entry & IS_LIST ? list_at(a, entry)->total : 1;
        }
    }
}

/* ---- adding ---- */

static uint32_t list_create(struct arrangement *a, uint32_t older_row, uint32_t row)
{
    uint32_t ref = list_block_alloc(&a->append_lists, 0);
    struct append_list *list = list_at(a, ref);
    *list = (struct append_list){.total = 2, .older = LIST_NONE, .count = 2};
    list->rows[0] = older_row;
    list->rows[1] = row;
    return ref | IS_LIST;
}

/* The list in twice the room, or a new block in front of it. */
static uint32_t list_grow(struct arrangement *a, uint32_t ref)
{
    struct append_list *old = list_at(a, ref);
    uint32_t class = old->class;
    uint32_t new_ref = list_block_alloc(&a->append_lists, class + 1 < LIST_CLASSES ? class + 1 : class);
    struct append_list *list = list_at(a, new_ref);
    if (class + 1 < LIST_CLASSES) {
        memcpy(list, old, 32u << class);
        list->class ++;
        list_block_free(&a->append_lists, ref & ~IS_LIST, class);
    } else {
        *list = (struct append_list){.total = old->total, .older = ref & ~IS_LIST, .class = (uint16_t) class};
    }
    return new_ref | IS_LIST;
}

static void add_to_key(struct arrangement *a, uint64_t hash, uint32_t entry, uint32_t row)
{
    if (!(entry & IS_LIST)) {
        hash_index_replace(&a->index, hash_31(hash), entry, list_create(a, entry, row));
        return;
    }
    struct append_list *list = list_at(a, entry);
    if (UNLIKELY(list->count == list_capacity(list->class))) {
        uint32_t grown = list_grow(a, entry);
        list = list_at(a, grown);
        list->rows[list->count++] = row; /* a row of the key must be there before the index looks */
        list->total++;
        hash_index_replace(&a->index, hash_31(hash), entry, grown);
        return;
    }
    list->rows[list->count++] = row;
    list->total++;
}

/* Stores and links rows source[0..count) of the change, at most a group. */
static void add_group(struct arrangement *a, const struct batch *change, const uint64_t *key_hashes,
                      const uint32_t *source, uint32_t count)
{
    uint64_t hashes[PREFETCH_GROUP];
    uint8_t *rows[PREFETCH_GROUP];
    uint32_t first = slot_pages_extend(&a->slots, count);
    CHECK(first + count < IS_LIST);
    for (uint32_t i = 0; i < count; i++) {
        hashes[i] = key_hashes[source[i]];
        hash_index_prefetch(&a->index, hashes[i]);
        rows[i] = arrangement_row(a, first + i);
        slot_set_header(rows[i], hash_31(hashes[i]) | SLOT_LIVE);
    }
    row_layout_store_many(&a->layout, rows, change, source, count, a->heap);
    uint32_t candidates[PREFETCH_GROUP];
    prefetch_group(a, hashes, count, candidates, true);
    for (uint32_t i = 0; i < count; i++) {
        /* looked for anew: a row before it in the group may have changed the entry of its key */
        uint32_t entry = find_entry(a, hashes[i], change, source[i], a->key_columns);
        if (entry == SLOT_NONE)
            hash_index_insert(&a->index, hashes[i], first + i);
        else
            add_to_key(a, hashes[i], entry, first + i);
    }
}

void append_only_apply(struct arrangement *a, const struct batch *change, const uint64_t *key_hashes)
{
    uint32_t source[PREFETCH_GROUP], count = 0;
    for (uint32_t i = 0; i < change->rows; i++) {
        int64_t copies = batch_weight(change, i);
        CHECK(copies >= 0);
        for (; copies > 0; copies--) {
            source[count++] = i;
            if (count == PREFETCH_GROUP) {
                add_group(a, change, key_hashes, source, count);
                count = 0;
            }
        }
    }
    if (count > 0)
        add_group(a, change, key_hashes, source, count);
}

/* ---- probing ---- */

/* Where a probe stands inside a key's list: block + 1 and position, 0 at its start. */
static inline uint64_t pack_position(uint32_t ref, uint32_t position)
{
    return (uint64_t)(ref + 1) << 32 | position;
}

uint32_t append_only_probe_next(struct arrangement_probe *probe, uint32_t max, uint32_t *probe_rows,
                                uint32_t *stored_rows)
{
    const struct arrangement *a = probe->arrangement;
    uint32_t n = 0;
    while (n < max && probe->row < probe->rows->rows) {
        uint32_t entry = probe->lookahead[probe->row];
        if (entry == SLOT_NONE || !(entry & IS_LIST)) {
            if (entry < probe->limit) { /* SLOT_NONE is below no limit */
                probe_rows[n] = probe->row;
                stored_rows[n++] = entry;
            }
            probe->row++;
            continue;
        }
        uint32_t ref = probe->position != 0 ? (uint32_t)(probe->position >> 32) - 1 : entry & ~IS_LIST;
        uint32_t position = (uint32_t)probe->position;
        const struct append_list *list = list_at(a, ref);
        for (; n < max && position < list->count && list->rows[position] < probe->limit; position++) {
            probe_rows[n] = probe->row;
            stored_rows[n++] = list->rows[position];
        }
        if (n == max) {
            probe->position = pack_position(ref, position);
            break;
        }
        if (list->older != LIST_NONE) {
            probe->position = pack_position(list->older, 0);
            continue;
        }
        probe->position = 0;
        probe->row++;
    }
    return n;
}
