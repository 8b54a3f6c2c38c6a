/* arrangement.c: see arrangement.h.
 *
 * A slot is a row (row_layout; its header: 31 bits of the KEY's hash and the live bit) followed by struct
 * row_meta. The index leads from a key's hash to the first row of the key, its head. A key with one row has
 * nothing else. With more, the head's link names a list (row_lists.h) of all rows of the key, the head at
 * position 0, and the link of each other row is its position in that list. */
#include "storage/state/arrangement_internal.h"
#include "storage/state/memory_governor.h"

#define RETURN_BYTES                                                                                         \
    ((int64_t)128                                                                                            \
     << 10) /* an emptied arrangement larger than this gives its memory back                    \
                          */

static uint32_t key_hash_of(void *ctx, uint32_t row)
{
    return slot_header(arrangement_row(ctx, row)) & ~SLOT_LIVE;
}

static void prefetch_row(void *ctx, uint32_t row)
{
    __builtin_prefetch(arrangement_row(ctx, row));
}

static uint32_t row_hash_of(void *ctx, uint32_t row)
{
    return arrangement_meta(ctx, row)->row_hash;
}

static void prefetch_meta(void *ctx, uint32_t row)
{
    __builtin_prefetch(arrangement_meta(ctx, row));
}

static struct arrangement *create(const struct sql_type *types, uint32_t columns_count,
                                  const uint32_t *key_columns, uint32_t key_count, bool append_only,
                                  struct account *account)
{
    struct arrangement *a = mem_zalloc(sizeof(*a));
    a->account = account;
    account_charge(account, (int64_t)sizeof(*a));
    row_layout_init(&a->layout, types, columns_count);
    a->may_be_null = mem_zalloc(sizeof(bool) * columns_count);
    a->key_columns = mem_alloc(sizeof(*key_columns) * key_count);
    if (key_count > 0)
        memcpy(a->key_columns, key_columns, sizeof(*key_columns) * key_count);
    a->key_count = key_count;
    a->plain_i64 = key_count == 1 && a->layout.phys[key_columns[0]] == PHYS_I64;
    a->append_only = append_only;
    a->heap = table_heap_create(account);
    if (append_only) {
        append_only_init(a);
        return a;
    }
    slot_pages_init(&a->slots, a->layout.row_bytes + (uint32_t)sizeof(struct row_meta), 8, account);
    hash_index_init(&a->index, key_hash_of, prefetch_row, a, account);
    row_lists_init(&a->lists, row_hash_of, prefetch_meta, a, account);
    return a;
}

struct arrangement *arrangement_create(const struct sql_type *types, uint32_t columns_count,
                                       const uint32_t *key_columns, uint32_t key_count,
                                       struct account *account)
{
    return create(types, columns_count, key_columns, key_count, false, account);
}

struct arrangement *arrangement_create_append_only(const struct sql_type *types, uint32_t columns_count,
                                                   const uint32_t *key_columns, uint32_t key_count,
                                                   struct account *account)
{
    return create(types, columns_count, key_columns, key_count, true, account);
}

void arrangement_destroy(struct arrangement *a)
{
    if (a == NULL)
        return;
    table_heap_destroy(a->heap);
    if (a->append_only)
        append_only_release(a);
    else
        row_lists_release(&a->lists);
    hash_index_release(&a->index);
    slot_pages_release(&a->slots);
    row_layout_release(&a->layout);
    mem_free(a->may_be_null);
    mem_free(a->key_columns);
    account_charge(a->account, -(int64_t)sizeof(*a));
    mem_free(a);
}

bool arrangement_is_append_only(const struct arrangement *a)
{
    return a->append_only;
}

/* ---- finding keys ---- */

static uint32_t find_head(const struct arrangement *a, uint64_t hash, const struct batch *rows, uint32_t at,
                          const uint32_t *key_columns)
{
    struct hash_probe probe = hash_probe_start(&a->index, hash);
    uint32_t header = hash_31(hash) | SLOT_LIVE, row;
    while ((row = hash_probe_next(&probe)) != SLOT_NONE) {
        if (arrangement_key_matches(a, arrangement_row(a, row), header, rows, at, key_columns))
            return row;
    }
    return SLOT_NONE;
}

/* Overlaps the misses of a group: buckets, then heads, then the first line of their lists. Tells the first
 * candidates, which mostly are the heads that are looked for. */
PREFETCHING void prefetch_group(const struct arrangement *a, const uint64_t *hashes, uint32_t count,
                                uint32_t *heads, bool inserts)
{
    for (uint32_t i = 0; i < count; i++)
        hash_index_prefetch(&a->index, hashes[i]);
    for (uint32_t i = 0; i < count; i++) {
        heads[i] = hash_index_peek(&a->index, hashes[i]);
        if (heads[i] == SLOT_NONE) {
            if (inserts)
                hash_index_prefetch_insert(&a->index, hashes[i]);
            continue;
        }
        __builtin_prefetch(arrangement_row(a, heads[i]), 1);
        __builtin_prefetch(arrangement_meta(a, heads[i]), 1);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (heads[i] != SLOT_NONE && arrangement_meta(a, heads[i])->link != LIST_NONE)
            __builtin_prefetch(row_list_at(&a->lists, arrangement_meta(a, heads[i])->link), 1);
    }
}

/* ---- changing ---- */

static uint32_t add_row(struct arrangement *a, const struct batch *change, uint32_t at, uint64_t key_hash,
                        int64_t weight)
{
    uint32_t row = slot_pages_alloc(&a->slots);
    uint8_t *bytes = arrangement_row(a, row);
    slot_set_header(bytes, hash_31(key_hash) | SLOT_LIVE);
    row_layout_store(&a->layout, bytes, change, at, NULL, a->heap);
    *arrangement_meta(a, row) = (struct row_meta){.weight = weight, .link = LIST_NONE};
    return row;
}

static void free_row(struct arrangement *a, uint32_t row)
{
    row_layout_free_text(&a->layout, arrangement_row(a, row), a->heap);
    slot_pages_free(&a->slots, row);
}

/* A row of a list goes: the last entry takes its place, which may make it the head. */
static void remove_from_list(struct arrangement *a, uint32_t head, uint32_t row)
{
    uint32_t ref = arrangement_meta(a, head)->link;
    uint32_t position = row == head ? 0 : arrangement_meta(a, row)->link;
    struct row_list *list = row_list_at(&a->lists, ref);
    uint32_t moved = row_list_entry_at(list, list->count - 1)->row;
    uint32_t hash31 = slot_header(arrangement_row(a, head)) & ~SLOT_LIVE;
    ref = row_list_remove(&a->lists, ref, position);
    list = row_list_at(&a->lists, ref);
    if (row == head) {
        head = moved;
        hash_index_replace(&a->index, hash31, row, head);
    } else if (moved != row) {
        arrangement_meta(a, moved)->link = position;
    }
    if (list->count == 1) {
        row_list_destroy(&a->lists, ref);
        ref = LIST_NONE;
    }
    arrangement_meta(a, head)->link = ref;
    free_row(a, row);
}

/* The only row of a key is about to get company. */
static void make_list(struct arrangement *a, uint32_t head)
{
    struct row_meta *meta = arrangement_meta(a, head);
    uint64_t hash = row_layout_hash(&a->layout, arrangement_row(a, head));
    meta->row_hash = (uint32_t)(hash >> 32);
    meta->link = row_list_create(&a->lists, head, hash, meta->weight);
}

static void add_to_list(struct arrangement *a, uint32_t head, uint32_t row, uint64_t hash)
{
    struct row_meta *head_meta = arrangement_meta(a, head), *meta = arrangement_meta(a, row);
    meta->link = row_list_at(&a->lists, head_meta->link)->count;
    meta->row_hash = (uint32_t)(hash >> 32);
    head_meta->link = row_list_add(&a->lists, head_meta->link, row, hash, meta->weight);
}

void arrangement_link(struct arrangement *a, const struct batch *rows, uint32_t at, uint64_t key_hash,
                      uint32_t row)
{
    uint32_t head = find_head(a, key_hash, rows, at, a->key_columns);
    if (head == SLOT_NONE) {
        hash_index_insert(&a->index, key_hash, row);
        return;
    }
    if (arrangement_meta(a, head)->link == LIST_NONE)
        make_list(a, head);
    add_to_list(a, head, row, row_layout_hash_of(&a->layout, rows, at, NULL));
}

/* Returns the row if it was added, else SLOT_NONE. */
static uint32_t apply_to_list(struct arrangement *a, uint32_t head, const struct batch *change, uint32_t at,
                              uint64_t key_hash, int64_t weight)
{
    uint64_t hash = row_layout_hash_of(&a->layout, change, at, NULL);
    struct row_list *list = row_list_at(&a->lists, arrangement_meta(a, head)->link);
    struct row_list_search search = row_list_search_start(list, hash);
    uint32_t row;
    while ((row = row_list_search_next(&search)) != SLOT_NONE) {
        if (row_layout_identical(&a->layout, arrangement_row(a, row), change, at, NULL))
            break;
    }
    if (row != SLOT_NONE) {
        slot_pages_touch(&a->slots, row);
        list->weight += weight;
        arrangement_meta(a, row)->weight += weight;
        if (arrangement_meta(a, row)->weight == 0)
            remove_from_list(a, head, row);
        return SLOT_NONE;
    }
    row = add_row(a, change, at, key_hash, weight);
    add_to_list(a, head, row, hash);
    return row;
}

static uint32_t apply_to_single(struct arrangement *a, uint32_t head, const struct batch *change, uint32_t at,
                                uint64_t key_hash, int64_t weight)
{
    struct row_meta *meta = arrangement_meta(a, head);
    const uint8_t *bytes = arrangement_row(a, head);
    if (row_layout_identical(&a->layout, bytes, change, at, NULL)) {
        slot_pages_touch(&a->slots, head);
        meta->weight += weight;
        if (meta->weight == 0) {
            hash_index_remove(&a->index, hash_31(key_hash), head);
            free_row(a, head);
        }
        return SLOT_NONE;
    }
    make_list(a, head);
    return apply_to_list(a, head, change, at, key_hash, weight);
}

void arrangement_note_nulls(struct arrangement *a, const struct batch *change)
{
    for (uint32_t c = 0; c < a->layout.columns_count; c++)
        a->may_be_null[c] |= change->columns[c].nulls != NULL;
}

void arrangement_apply(struct arrangement *a, const struct batch *change, const uint64_t *key_hashes)
{
    if (!a->append_only) {
        arrangement_apply_noting(a, change, key_hashes, NULL);
        return;
    }
    arrangement_note_nulls(a, change);
    append_only_apply(a, change, key_hashes);
}

void arrangement_apply_noting(struct arrangement *a, const struct batch *change, const uint64_t *key_hashes,
                              uint32_t *added)
{
    CHECK(!a->append_only);
    arrangement_note_nulls(a, change);
    uint32_t heads[PREFETCH_GROUP]; /* only to be prefetched: rows change what heads there are */
    for (uint32_t first = 0; first < change->rows; first += PREFETCH_GROUP) {
        memory_pace();
        uint32_t count = change->rows - first < PREFETCH_GROUP ? change->rows - first : PREFETCH_GROUP;
        prefetch_group(a, key_hashes + first, count, heads, true);
        for (uint32_t i = first; i < first + count; i++) {
            int64_t weight = batch_weight(change, i);
            uint32_t row = SLOT_NONE;
            if (weight != 0) {
                uint32_t head = find_head(a, key_hashes[i], change, i, a->key_columns);
                if (head == SLOT_NONE) {
                    row = add_row(a, change, i, key_hashes[i], weight);
                    hash_index_insert(&a->index, key_hashes[i], row);
                } else if (arrangement_meta(a, head)->link == LIST_NONE) {
                    row = apply_to_single(a, head, change, i, key_hashes[i], weight);
                } else {
                    row = apply_to_list(a, head, change, i, key_hashes[i], weight);
                }
            }
            if (added != NULL)
                added[i] = row;
        }
    }
    if (a->slots.live == 0 && slot_pages_bytes(&a->slots) > RETURN_BYTES) {
        slot_pages_clear(&a->slots);
        hash_index_clear(&a->index);
    }
}

bool arrangement_value(const struct arrangement *a, uint32_t row, uint32_t column, struct datum *out)
{
    CHECK(!a->append_only);
    if (row >= a->slots.used || (slot_header(arrangement_row(a, row)) & SLOT_LIVE) == 0)
        return false;
    *out = row_layout_get(&a->layout, arrangement_row(a, row), column);
    return true;
}

void arrangement_remove(struct arrangement *a, const uint32_t *stored_rows, uint32_t count,
                        struct arena *scratch)
{
    struct batch *change = batch_header(scratch, a->layout.columns_count);
    uint64_t *hashes = arena_alloc(scratch, sizeof(*hashes) * count);
    change->rows = count;
    change->weights = arena_alloc(scratch, sizeof(*change->weights) * count);
    for (uint32_t i = 0; i < count; i++)
        change->weights[i] = -arrangement_meta(a, stored_rows[i])->weight;
    arrangement_gather_columns(a, stored_rows, count, NULL, a->layout.columns_count, change->columns,
                               scratch);
    batch_hash(change, a->key_columns, a->key_count, hashes);
    arrangement_apply(a, change, hashes);
}

/* ---- probing ---- */

/* Of one group; heads[0] belongs to row `first`. */
static void find_group(const struct arrangement *a, const struct batch *rows, uint32_t first, uint32_t count,
                       const uint32_t *key_columns, const uint64_t *hashes, const uint8_t *skip,
                       uint32_t *heads)
{
    prefetch_group(a, hashes + first, count, heads, false);
    for (uint32_t i = first; i < first + count; i++) {
        uint32_t *head = &heads[i - first], header = hash_31(hashes[i]) | SLOT_LIVE;
        if (skip != NULL && skip[i])
            *head = SLOT_NONE;
        else if (*head == SLOT_NONE ||
                 !arrangement_key_matches(a, arrangement_row(a, *head), header, rows, i, key_columns))
            *head = find_head(a, hashes[i], rows, i, key_columns);
    }
}

static void find_heads(const struct arrangement *a, const struct batch *rows, const uint32_t *key_columns,
                       const uint64_t *hashes, const uint8_t *skip, uint32_t *heads)
{
    for (uint32_t first = 0; first < rows->rows; first += PREFETCH_GROUP) {
        memory_pace();
        uint32_t count = rows->rows - first < PREFETCH_GROUP ? rows->rows - first : PREFETCH_GROUP;
        find_group(a, rows, first, count, key_columns, hashes, skip, heads + first);
    }
}

void arrangement_probe_start(struct arrangement_probe *probe, struct arrangement *a, const struct batch *rows,
                             const uint32_t *key_columns, const uint64_t *hashes, const uint8_t *skip)
{
    CHECK(rows->rows <= BATCH_ROWS_MAX);
    probe->arrangement = a;
    probe->rows = rows;
    probe->key_columns = key_columns;
    probe->hashes = hashes;
    probe->skip = skip;
    probe->row = 0;
    probe->position = 0;
    probe->limit = UINT32_MAX;
    probe->started = true;
    if (a->append_only)
        append_only_find(a, rows, key_columns, hashes, skip, probe->lookahead);
    else
        find_heads(a, rows, key_columns, hashes, skip, probe->lookahead);
}

uint32_t arrangement_probe_next(struct arrangement_probe *probe, uint32_t max, uint32_t *probe_rows,
                                uint32_t *stored_rows, int64_t *weights)
{
    const struct arrangement *a = probe->arrangement;
    CHECK(probe->started);
    uint32_t n = 0;
    if (a->append_only) {
        n = append_only_probe_next(probe, max, probe_rows, stored_rows);
        for (uint32_t i = 0; weights != NULL && i < n; i++)
            weights[i] = 1;
        return n;
    }
    while (n < max && probe->row < probe->rows->rows) {
        uint32_t head = probe->lookahead[probe->row];
        if (head == SLOT_NONE) {
            probe->row++;
            continue;
        }
        uint32_t ref = arrangement_meta(a, head)->link;
        if (ref == LIST_NONE) {
            probe_rows[n] = probe->row++;
            stored_rows[n++] = head;
            continue;
        }
        struct row_list *list = row_list_at(&a->lists, ref);
        uint32_t position = (uint32_t)probe->position;
        for (; n < max && position < list->count; position++, n++) {
            probe_rows[n] = probe->row;
            stored_rows[n] = row_list_entry_at(list, position)->row;
            __builtin_prefetch(arrangement_meta(a, stored_rows[n]));
        }
        probe->position = position;
        if (position == list->count) {
            probe->position = 0;
            probe->row++;
        }
    }
    for (uint32_t i = 0; i < n; i++)
        weights[i] = arrangement_meta(a, stored_rows[i])->weight;
    return n;
}

void arrangement_gather_columns(struct arrangement *a, const uint32_t *stored_rows, uint32_t count,
                                const uint32_t *columns, uint32_t columns_count, struct column *out,
                                struct arena *arena)
{
    const uint8_t **rows = arena_alloc(arena, sizeof(*rows) * count);
    for (uint32_t i = 0; i < count; i++)
        rows[i] = arrangement_row(a, stored_rows[i]);
    row_layout_gather_fields(&a->layout, rows, count, columns, columns_count, a->may_be_null, out, arena);
}

void arrangement_gather(struct arrangement *a, const uint32_t *stored_rows, uint32_t count, uint32_t column,
                        struct column *out, struct arena *arena)
{
    arrangement_gather_columns(a, stored_rows, count, &column, 1, out, arena);
}

void arrangement_weights(struct arrangement *a, const struct batch *rows, const uint32_t *key_columns,
                         const uint64_t *hashes, const uint8_t *skip, int64_t *weights)
{
    if (a->append_only) {
        append_only_weights(a, rows, key_columns, hashes, skip, weights);
        return;
    }
    uint32_t heads[PREFETCH_GROUP];
    for (uint32_t first = 0; first < rows->rows; first += PREFETCH_GROUP) {
        memory_pace();
        uint32_t count = rows->rows - first < PREFETCH_GROUP ? rows->rows - first : PREFETCH_GROUP;
        find_group(a, rows, first, count, key_columns, hashes, skip, heads);
        for (uint32_t i = 0; i < count; i++) {
            const struct row_meta *meta = heads[i] != SLOT_NONE ? arrangement_meta(a, heads[i]) : NULL;
            if (meta == NULL)
                weights[first + i] = 0;
            else
                weights[first + i] =
                    meta->link == LIST_NONE ? meta->weight : row_list_at(&a->lists, meta->link)->weight;
        }
    }
}

uint32_t arrangement_scan(struct arrangement *a, uint64_t *cursor, uint32_t max, uint32_t *stored_rows,
                          int64_t *weights)
{
    uint32_t n = 0;
    for (; n < max && *cursor < a->slots.used; (*cursor)++) {
        uint32_t row = (uint32_t)*cursor;
        if (!(slot_header(arrangement_row(a, row)) & SLOT_LIVE))
            continue;
        stored_rows[n] = row;
        weights[n++] = a->append_only ? 1 : arrangement_meta(a, row)->weight;
    }
    return n;
}

uint64_t arrangement_rows(const struct arrangement *a)
{
    return a->slots.live;
}

int64_t arrangement_bytes(const struct arrangement *a)
{
    return (int64_t)sizeof(*a) + slot_pages_bytes(&a->slots) + hash_index_bytes(&a->index) +
           (a->append_only ? list_blocks_bytes(&a->append_lists) : row_lists_bytes(&a->lists)) +
           table_heap_bytes(a->heap);
}

uint32_t arrangement_mark(const struct arrangement *a)
{
    CHECK(a->append_only);
    return a->slots.used;
}
