/* row_store.c: the writer's side of the row store: create, apply, look at the newest state. */
#include "storage/state/memory_governor.h"
#include "storage/state/row_store_internal.h"

#define RETURN_BYTES ((int64_t)128 << 10) /* an emptied store larger than this gives its memory back */

static uint32_t slot_hash(void *ctx, uint32_t slot)
{
    return slot_header(store_row(ctx, slot)) & ~SLOT_LIVE;
}

static void slot_prefetch(void *ctx, uint32_t slot)
{
    __builtin_prefetch(store_row(ctx, slot));
}

struct row_store *row_store_create(const struct sql_type *types, uint32_t columns_count,
                                   const uint32_t *key_columns, uint32_t key_count, struct account *account)
{
    struct row_store *store = mem_zalloc(sizeof(*store));
    store->account = account;
    account_charge(account, (int64_t)sizeof(*store));
    arena_init(&store->arena, account);
    row_layout_init(&store->layout, types, columns_count);
    store->base_count = columns_count;
    store->key_count = key_count;
    store->key_columns = mem_alloc(sizeof(*key_columns) * key_count);
    if (key_count > 0)
        memcpy(store->key_columns, key_columns, sizeof(*key_columns) * key_count);
    uint32_t meta_bytes = key_count == 0 ? sizeof(struct slot_meta) : offsetof(struct slot_meta, count);
    slot_pages_init(&store->slots, store->layout.row_bytes + meta_bytes, 8, account);
    hash_index_init(&store->index, slot_hash, slot_prefetch, store, account);
    store->heap = table_heap_create(account);
    undo_init(&store->undo, store->layout.row_bytes, account);
    latch_init(&store->latch);
    return store;
}

void row_store_destroy(struct row_store *store)
{
    if (store == NULL)
        return;
    indexes_release(store);
    row_store_free_widening(store, store->widening);
    undo_release(&store->undo);
    table_heap_destroy(store->heap);
    hash_index_release(&store->index);
    slot_pages_release(&store->slots);
    strbuf_release(&store->key_a);
    strbuf_release(&store->key_b);
    mem_free(store->pending);
    mem_free(store->key_columns);
    row_layout_release(&store->layout);
    for (uint32_t i = 0; i < store->old_layouts_count; i++)
        row_layout_release(&store->old_layouts[i]);
    mem_free(store->old_layouts);
    mem_free(store->missing);
    arena_release(&store->arena);
    account_charge(store->account, -(int64_t)sizeof(*store));
    mem_free(store);
}

uint64_t row_store_rows(const struct row_store *store)
{
    int64_t rows = atomic_load_explicit(&store->rows, memory_order_relaxed);
    return rows > 0 ? (uint64_t)rows : 0;
}

int64_t row_store_bytes(const struct row_store *store)
{
    struct latch *latch = (struct latch *)(uintptr_t)&store->latch;
    latch_read(latch);
    int64_t bytes = (int64_t)sizeof(*store) + slot_pages_bytes(&store->slots) +
                    hash_index_bytes(&store->index) + table_heap_bytes(store->heap) + store->undo.bytes +
                    (int64_t)store->arena.total_bytes;
    if (store->widening != NULL)
        bytes += widening_bytes(store->widening);
    for (uint32_t i = 0; i < store->indexes_count; i++) {
        if (store->indexes[i] != NULL && store->indexes[i]->build == NULL) /* else it changes beside us */
            bytes += btree_bytes(&store->indexes[i]->tree) + table_heap_bytes(store->indexes[i]->heap);
    }
    latch_read_done(latch);
    return bytes;
}

static void count_rows(struct row_store *store, int64_t change)
{
    int64_t rows = atomic_load_explicit(&store->rows, memory_order_relaxed);
    atomic_store_explicit(&store->rows, rows + change, memory_order_relaxed);
}

/* ---- finding ---- */

/* The slot of a key, or of a row in a multiset. There is at most one, present or not. */
static uint32_t find_slot(const struct row_store *store, uint64_t hash, const struct batch *rows, uint32_t at,
                          const uint32_t *columns)
{
    struct hash_probe probe = hash_probe_start(&store->index, hash);
    uint32_t header = hash_31(hash) | SLOT_LIVE, slot;
    while ((slot = hash_probe_next(&probe)) != SLOT_NONE) {
        const uint8_t *row = store_row(store, slot);
        if (slot_header(row) != header)
            continue;
        if (store->key_count == 0 ? row_layout_identical(&store->layout, row, rows, at, columns)
                                  : row_layout_fields_equal(&store->layout, row, store->key_columns, rows, at,
                                                            columns, store->key_count))
            return slot;
    }
    return SLOT_NONE;
}

PREFETCHING void prefetch_rows(const struct row_store *store, const uint64_t *hashes, uint32_t count)
{
    for (uint32_t first = 0; first < count; first += PREFETCH_GROUP) {
        uint32_t end = first + PREFETCH_GROUP < count ? first + PREFETCH_GROUP : count;
        for (uint32_t i = first; i < end; i++)
            hash_index_prefetch(&store->index, hashes[i]);
        for (uint32_t i = first; i < end; i++) {
            uint32_t slot = hash_index_peek(&store->index, hashes[i]);
            if (slot == SLOT_NONE) {
                hash_index_prefetch_insert(&store->index, hashes[i]);
                continue;
            }
            __builtin_prefetch(store_row(store, slot), 1);
            __builtin_prefetch(store_meta(store, store_row(store, slot)), 1);
        }
    }
}

/* ---- changing one slot ---- */

void store_free_slot(struct row_store *store, uint32_t slot)
{
    uint8_t *row = store_row(store, slot);
    indexes_forget(store, slot, row, UINT64_MAX);
    hash_index_remove(&store->index, slot_header(row) & ~SLOT_LIVE, slot);
    row_layout_free_text(&store->layout, row, store->heap);
    slot_pages_free(&store->slots, slot);
}

void store_shrink(struct row_store *store)
{
    if (store->slots.live == 0 && store->slots.copies == NULL &&
        slot_pages_bytes(&store->slots) > RETURN_BYTES) {
        slot_pages_clear(&store->slots);
        hash_index_clear(&store->index);
    }
}

static void set_state(struct slot_meta *meta, enum slot_state state)
{
    meta->undo = undo_position(meta->undo) | state;
}

static void insert_row(struct row_store *store, const struct batch *change, uint32_t at, uint64_t hash,
                       int64_t count)
{
    uint32_t slot = slot_pages_alloc(&store->slots);
    uint8_t *row = store_row(store, slot);
    slot_set_header(row, hash_31(hash) | SLOT_LIVE);
    row_layout_store(&store->layout, row, change, at, NULL, store->heap);
    struct slot_meta *meta = store_meta(store, row);
    meta->undo = 0;
    undo_push(store, slot, UNDO_INSERT);
    if (store->key_count == 0)
        meta->count = count;
    set_state(meta, SLOT_PRESENT);
    hash_index_insert(&store->index, hash, slot);
    indexes_add(store, slot);
    count_rows(store, count);
}

/* Keyed: the row of this key becomes another one, whatever the slot's state. */
static void replace_row(struct row_store *store, uint32_t slot, const struct batch *change, uint32_t at)
{
    uint8_t *row = store_row(store, slot);
    struct slot_meta *meta = store_meta(store, row);
    slot_pages_touch(&store->slots, slot);
    if (undo_state(meta->undo) == SLOT_ABSENT)
        count_rows(store, 1);
    uint32_t covered = undo_covers(store, meta);
    if (covered == UNDO_IMAGE || covered == UNDO_INSERT) {
        /* nobody can see this version again */
        indexes_forget(store, slot, row, 0);
        row_layout_free_text(&store->layout, row, store->heap);
    } else {
        if (undo_state(meta->undo) == SLOT_PENDING)
            set_state(meta, SLOT_PRESENT);
        undo_push(store, slot, UNDO_IMAGE);
    }
    row_layout_store(&store->layout, row, change, at, NULL, store->heap);
    set_state(meta, SLOT_PRESENT);
    indexes_add(store, slot);
}

/* Keyed: the row that was removed comes back as it was. */
static void revive_row(struct row_store *store, uint32_t slot)
{
    struct slot_meta *meta = store_meta(store, store_row(store, slot));
    if (undo_covers(store, meta) == 0)
        undo_push(store, slot, UNDO_STATE);
    slot_pages_touch(&store->slots, slot);
    set_state(meta, SLOT_PRESENT);
    count_rows(store, 1);
}

static void remove_row(struct row_store *store, uint32_t slot)
{
    struct slot_meta *meta = store_meta(store, store_row(store, slot));
    count_rows(store, -1);
    uint32_t covered = undo_covers(store, meta);
    if (covered == UNDO_INSERT) {
        store_free_slot(store, slot);
        return;
    }
    slot_pages_touch(&store->slots, slot);
    set_state(meta, SLOT_PRESENT); /* what the record is to say, were it pending */
    if (covered == 0)
        undo_push(store, slot, UNDO_STATE);
    set_state(meta, SLOT_ABSENT);
}

static void add_copies(struct row_store *store, uint32_t slot, int64_t weight)
{
    struct slot_meta *meta = store_meta(store, store_row(store, slot));
    count_rows(store, weight);
    uint32_t covered = undo_covers(store, meta);
    if (covered == UNDO_INSERT && meta->count + weight == 0) {
        store_free_slot(store, slot);
        return;
    }
    if (covered == 0)
        undo_push(store, slot, UNDO_STATE);
    slot_pages_touch(&store->slots, slot);
    meta->count += weight;
    set_state(meta, meta->count == 0 ? SLOT_ABSENT : SLOT_PRESENT);
}

/* ---- applying ---- */

void row_store_begin_tick(struct row_store *store, uint64_t epoch)
{
    struct undo_log *log = &store->undo;
    CHECK(epoch >= store->epoch);
    store->epoch = epoch;
    store->last_mark = log->head;
    if (log->ticks_count > 0) {
        struct undo_tick *last =
            &log->ticks[(log->ticks_first + log->ticks_count - 1) & (log->ticks_capacity - 1)];
        if (last->epoch == epoch)
            return;
        if (last->start == log->head) { /* nothing was changed in it */
            last->epoch = epoch;
            return;
        }
    }
    if (log->ticks_count == log->ticks_capacity) {
        uint32_t capacity = log->ticks_capacity ? log->ticks_capacity * 2 : 4;
        struct undo_tick *ticks = mem_alloc(sizeof(*ticks) * capacity);
        for (uint32_t i = 0; i < log->ticks_count; i++)
            ticks[i] = log->ticks[(log->ticks_first + i) & (log->ticks_capacity - 1)];
        mem_free(log->ticks);
        log->ticks = ticks;
        log->ticks_first = 0;
        log->ticks_capacity = capacity;
    }
    log->ticks[(log->ticks_first + log->ticks_count++) & (log->ticks_capacity - 1)] =
        (struct undo_tick){.epoch = epoch, .start = log->head};
}

uint64_t row_store_mark(struct row_store *store)
{
    store->last_mark = store->undo.head;
    return store->undo.head;
}

static void push_pending(struct row_store *store, uint32_t slot)
{
    if (store->pending_count == store->pending_capacity) {
        store->pending_capacity = store->pending_capacity ? store->pending_capacity * 2 : 64;
        store->pending = mem_realloc(store->pending, sizeof(*store->pending) * store->pending_capacity);
    }
    store->pending[store->pending_count++] = slot;
}

static void keyed_delete(struct row_store *store, const struct batch *change, uint32_t at, uint64_t hash)
{
    uint32_t slot = find_slot(store, hash, change, at, store->key_columns);
    if (slot == SLOT_NONE)
        return;
    const uint8_t *row = store_row(store, slot);
    struct slot_meta *meta = store_meta(store, row);
    if (undo_state(meta->undo) == SLOT_PRESENT &&
        row_layout_identical(&store->layout, row, change, at, NULL)) {
        set_state(meta, SLOT_PENDING);
        push_pending(store, slot);
    }
}

static void keyed_insert(struct row_store *store, const struct batch *change, uint32_t at, uint64_t hash)
{
    uint32_t slot = find_slot(store, hash, change, at, store->key_columns);
    if (slot == SLOT_NONE) {
        insert_row(store, change, at, hash, 1);
        return;
    }
    const uint8_t *row = store_row(store, slot);
    struct slot_meta *meta = store_meta(store, row);
    if (!row_layout_identical(&store->layout, row, change, at, NULL))
        replace_row(store, slot, change, at);
    else if (undo_state(meta->undo) == SLOT_ABSENT)
        revive_row(store, slot);
    else
        set_state(meta, SLOT_PRESENT);
}

static void multiset_change(struct row_store *store, const struct batch *change, uint32_t at, uint64_t hash)
{
    int64_t weight = batch_weight(change, at);
    if (weight == 0)
        return;
    uint32_t slot = find_slot(store, hash, change, at, NULL);
    if (slot == SLOT_NONE)
        insert_row(store, change, at, hash, weight);
    else
        add_copies(store, slot, weight);
}

enum pass { PASS_DELETES, PASS_INSERTS, PASS_MULTISET };

static void run_pass(struct row_store *store, const struct batch *change, const uint64_t *hashes,
                     enum pass pass)
{
    for (uint32_t first = 0; first < change->rows; first += LATCH_ROWS) {
        memory_pace();
        uint32_t end = first + LATCH_ROWS < change->rows ? first + LATCH_ROWS : change->rows;
        prefetch_rows(store, hashes + first, end - first);
        latch_write(&store->latch);
        for (uint32_t i = first; i < end; i++) {
            if (pass == PASS_MULTISET)
                multiset_change(store, change, i, hashes[i]);
            else if (pass == PASS_DELETES && batch_weight(change, i) < 0)
                keyed_delete(store, change, i, hashes[i]);
            else if (pass == PASS_INSERTS && batch_weight(change, i) > 0)
                keyed_insert(store, change, i, hashes[i]);
        }
        latch_write_done(&store->latch);
    }
}

void row_store_apply(struct row_store *store, const struct batch *change, const uint64_t *hashes)
{
    CHECK(change->columns_count == store->layout.columns_count);
    if (store->key_count == 0) {
        run_pass(store, change, hashes, PASS_MULTISET);
        return;
    }
    bool deletes = false;
    for (uint32_t i = 0; change->weights != NULL && i < change->rows && !deletes; i++)
        deletes = change->weights[i] < 0;
    if (deletes)
        run_pass(store, change, hashes, PASS_DELETES);
    run_pass(store, change, hashes, PASS_INSERTS);
    for (uint32_t first = 0; first < store->pending_count; first += LATCH_ROWS) {
        memory_pace();
        uint32_t end = first + LATCH_ROWS < store->pending_count ? first + LATCH_ROWS : store->pending_count;
        latch_write(&store->latch);
        for (uint32_t i = first; i < end; i++) {
            uint32_t slot = store->pending[i];
            const uint8_t *row = store_row(store, slot);
            if (undo_state(store_meta(store, row)->undo) == SLOT_PENDING)
                remove_row(store, slot);
        }
        latch_write_done(&store->latch);
    }
    store->pending_count = 0;
}

void row_store_current(struct row_store *store, const struct batch *rows, const uint32_t *key_columns,
                       const uint64_t *hashes, uint8_t *found, int64_t *counts, struct batch *out)
{
    const uint8_t *group[LATCH_ROWS];
    for (uint32_t first = 0; first < rows->rows; first += LATCH_ROWS) {
        memory_pace();
        uint32_t end = first + LATCH_ROWS < rows->rows ? first + LATCH_ROWS : rows->rows, n = 0;
        prefetch_rows(store, hashes + first, end - first);
        for (uint32_t i = first; i < end; i++) {
            uint32_t slot = find_slot(store, hashes[i], rows, i, key_columns);
            int64_t count = 0;
            if (slot != SLOT_NONE)
                count = slot_count(store, store_meta(store, store_row(store, slot)));
            if (found != NULL)
                found[i] = count != 0;
            if (counts != NULL)
                counts[i] = count;
            if (count != 0)
                group[n++] = store_row(store, slot);
        }
        if (out != NULL && store->key_count != 0)
            row_layout_append(&store->layout, group, NULL, n, out);
    }
}
