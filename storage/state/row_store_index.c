/* row_store_index.c: secondary indexes. Both kinds are B+trees from a key to a slot: an ordered index by the
 * encoded columns, another by the hash of that encoding; the slot number makes keys unique.
 *
 * Every version of a row that some snapshot may still see has its key in the tree, so that a reader finds old
 * versions by their old values; it then resolves the slot at its snapshot and looks whether that version is
 * the one the key stands for. A key goes when the last version that has it goes.
 *
 * An index over present rows is filled by a thread of its own, to which the tree belongs until it is done: the writer
 * only notes which keys come and go. Keys of slots that were read at any time, then the notes in their order, make what the
 * versions have: the last note about a key decides, and a key without any was there all the time. */
#include "storage/state/memory_governor.h"
#include "storage/state/row_store_internal.h"

#include "storage/data/hash.h"

#include <pthread.h>
#include <stdlib.h>

#define RUN_KEYS     ((UINT32_C(1) << 19) - 4 * LATCH_ROWS) /* the last rows seldom make it grow once more */
#define RUN_BYTES    ((size_t)32 << 20)
#define NOTES_CHARGE ((size_t)64 << 10) /* notes are charged in pieces of this size */
#define PIECE_KEYS   8192u              /* added at a time */

/* Keys of many rows, to be added in order: neighbours then share the nodes that they touch. */
struct run_key {
    uint64_t prefix; /* the first eight bytes, big-endian */
    union {
        size_t start;         /* while the bytes may move */
        const uint8_t *bytes; /* afterwards */
    };
    uint32_t len;
    uint32_t slot;
};

struct key_run {
    struct strbuf bytes;
    struct run_key *keys;
    uint32_t count, cap, added;
    struct account *account; /* for the memory above; NULL: nobody's */
    int64_t charged;
};

/* An index that is being filled. A note: bytes of the key * 2 + (1: it comes), as uint32_t, then the key. */
struct index_build {
    struct key_run run;   /* the filling thread's */
    struct strbuf taken;  /* the same: notes that it runs */
    pthread_mutex_t lock; /* for the rest */
    struct strbuf notes;
    uint64_t notes_count;
    size_t notes_charged;
};

/* ---- keys ---- */

static void add_slot(struct strbuf *key, uint32_t slot)
{
    strbuf_add_u32be(key, slot);
}

/* The encoded columns give way to their hash. */
static void finish_key(const struct store_index *index, struct strbuf *key, size_t start)
{
    if (index->ordered)
        return;
    uint64_t hash = hash_bytes(key->data + start, key->len - start);
    key->len = start;
    strbuf_add_u64be(key, hash);
}

static void key_of_row(const struct row_store *store, const struct store_index *index, const uint8_t *row,
                       struct strbuf *key)
{
    size_t start = key->len;
    for (uint32_t i = 0; i < index->columns_count; i++) {
        uint32_t column = index->columns[i];
        struct datum value = row_layout_get(&store->layout, row, column);
        type_encode_key(store->layout.types[column].oid, &value, false, false, key);
    }
    finish_key(index, key, start);
}

static void key_of_batch(const struct store_index *index, const struct batch *keys, uint32_t row,
                         const uint32_t *key_columns, struct strbuf *key)
{
    strbuf_reserve(key, 16);
    for (uint32_t i = 0; i < index->columns_count; i++) {
        const struct column *column = &keys->columns[key_columns[i]];
        struct datum value = column_get(column, row);
        type_encode_key(column->type.oid, &value, false, false, key);
    }
    finish_key(index, key, 0);
}

static bool same_key(const struct row_store *store, const struct store_index *index, const uint8_t *row,
                     struct strbuf *scratch, const struct strbuf *key)
{
    strbuf_reset(scratch);
    key_of_row(store, index, row, scratch);
    return scratch->len == key->len && memcmp(strbuf_text(scratch), strbuf_text(key), key->len) == 0;
}

/* ---- keeping up ---- */

static void note_key(struct row_store *store, struct index_build *build, bool comes)
{
    uint32_t head = (uint32_t)store->key_a.len * 2 + comes;
    pthread_mutex_lock(&build->lock);
    strbuf_add(&build->notes, &head, sizeof(head));
    strbuf_add(&build->notes, store->key_a.data, store->key_a.len);
    build->notes_count++;
    size_t grown = build->notes.len - build->notes_charged;
    if (build->notes.len > build->notes_charged && grown >= NOTES_CHARGE)
        build->notes_charged += grown;
    else
        grown = 0;
    pthread_mutex_unlock(&build->lock);
    if (grown > 0)
        account_charge(store->account, (int64_t)grown);
}

static void add_key(struct row_store *store, struct store_index *index, const uint8_t *row, uint32_t slot)
{
    strbuf_reset(&store->key_a);
    key_of_row(store, index, row, &store->key_a);
    add_slot(&store->key_a, slot);
    uint32_t value = slot;
    if (index->build != NULL)
        note_key(store, index->build, true);
    else
        (void)btree_insert(&index->tree, store->key_a.data, (uint32_t)store->key_a.len, &value);
}

void indexes_add(struct row_store *store, uint32_t slot)
{
    for (uint32_t i = 0; i < store->indexes_count; i++) {
        if (store->indexes[i] != NULL)
            add_key(store, store->indexes[i], store_row(store, slot), slot);
    }
}

static bool image_has_key(struct row_store *store, const struct store_index *index,
                          const struct undo_record *record)
{
    uint8_t *room = undo_image_is_old(store, record) ? mem_alloc(store->layout.row_bytes) : NULL;
    bool has = same_key(store, index, undo_image(store, record, room), &store->key_b, &store->key_a);
    mem_free(room);
    return has;
}

/* Whether the present row, or an image logged behind `above`, has the key in store->key_a. */
static bool key_lives(struct row_store *store, const struct store_index *index, uint32_t slot,
                      const uint8_t *gone, uint64_t above)
{
    const uint8_t *row = store_row(store, slot);
    if (row != gone && same_key(store, index, row, &store->key_b, &store->key_a))
        return true;
    uint64_t position = undo_position(store_meta(store, row)->undo);
    while (position > above && position >= store->undo.first && position < store->undo.head) {
        const struct undo_record *record = undo_at(&store->undo, position);
        if (record_kind(record) == UNDO_INSERT)
            return false;
        if (record_kind(record) == UNDO_IMAGE && image_has_key(store, index, record))
            return true;
        position = undo_position(record->undo);
    }
    return false;
}

void indexes_forget(struct row_store *store, uint32_t slot, const uint8_t *row, uint64_t above)
{
    for (uint32_t i = 0; i < store->indexes_count; i++) {
        struct store_index *index = store->indexes[i];
        if (index == NULL)
            continue;
        strbuf_reset(&store->key_a);
        key_of_row(store, index, row, &store->key_a);
        if (key_lives(store, index, slot, row, above))
            continue;
        add_slot(&store->key_a, slot);
        if (index->build != NULL)
            note_key(store, index->build, false);
        else
            (void)btree_remove(&index->tree, store->key_a.data, (uint32_t)store->key_a.len, NULL);
    }
}

/* ---- keys of many rows ---- */

static int compare_keys(const void *a_, const void *b_)
{
    const struct run_key *a = a_, *b = b_;
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix ? -1 : 1;
    int order = memcmp(a->bytes, b->bytes, a->len < b->len ? a->len : b->len);
    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static bool run_is_full(const struct key_run *run)
{
    return run->count >= RUN_KEYS || run->bytes.len >= RUN_BYTES;
}

static void run_charge(struct key_run *run)
{
    int64_t bytes = (int64_t)(run->bytes.cap + sizeof(*run->keys) * run->cap);
    account_charge(run->account, bytes - run->charged);
    run->charged = bytes;
}

static void run_release(struct key_run *run)
{
    mem_free(run->keys);
    strbuf_release(&run->bytes);
    account_charge(run->account, -run->charged);
}

static void run_add(struct row_store *store, const struct store_index *index, struct key_run *run,
                    const uint8_t *row, uint32_t slot)
{
    if (run->count == run->cap) {
        run->cap = run->cap ? run->cap * 2 : 64;
        run->keys = mem_realloc(run->keys, sizeof(*run->keys) * run->cap);
    }
    size_t start = run->bytes.len;
    key_of_row(store, index, row, &run->bytes);
    add_slot(&run->bytes, slot);
    run->keys[run->count++] =
        (struct run_key){.start = start, .len = (uint32_t)(run->bytes.len - start), .slot = slot};
}

/* The keys of all versions of a slot's row. */
static void run_add_slot(struct row_store *store, const struct store_index *index, struct key_run *run,
                         uint32_t slot)
{
    const uint8_t *row = store_row(store, slot);
    if (!(slot_header(row) & SLOT_LIVE))
        return;
    run_add(store, index, run, row, slot);
    uint64_t position = undo_position(store_meta(store, row)->undo);
    while (position >= store->undo.first && position < store->undo.head) {
        const struct undo_record *record = undo_at(&store->undo, position);
        if (record_kind(record) == UNDO_INSERT)
            break;
        if (record_kind(record) == UNDO_IMAGE) {
            uint8_t *room = undo_image_is_old(store, record) ? mem_alloc(store->layout.row_bytes) : NULL;
            run_add(store, index, run, undo_image(store, record, room), slot);
            mem_free(room);
        }
        position = undo_position(record->undo);
    }
}

static void run_sort(struct key_run *run)
{
    for (uint32_t i = 0; i < run->count; i++) {
        struct run_key *key = &run->keys[i];
        uint8_t first[8] = {0};
        key->bytes = (const uint8_t *)run->bytes.data + key->start;
        memcpy(first, key->bytes, key->len < 8 ? key->len : 8);
        for (uint32_t b = 0; b < 8; b++)
            key->prefix = key->prefix << 8 | first[b];
    }
    if (run->count > 1)
        qsort(run->keys, run->count, sizeof(*run->keys), compare_keys);
}

/* Adds the next of them; false: that was the last. */
static bool run_insert(struct store_index *index, struct key_run *run, uint32_t max)
{
    uint32_t end = run->count - run->added <= max ? run->count : run->added + max;
    for (; run->added < end; run->added++) {
        uint32_t value = run->keys[run->added].slot;
        (void)btree_insert(&index->tree, run->keys[run->added].bytes, run->keys[run->added].len, &value);
    }
    if (run->added < run->count)
        return true;
    run->count = run->added = 0;
    strbuf_reset(&run->bytes);
    return false;
}

void index_fill(struct row_store *store, struct store_index *index)
{
    struct key_run run = {.bytes = STRBUF_INIT};
    for (uint32_t slot = 0; slot < store->slots.used;) {
        while (slot < store->slots.used && !run_is_full(&run))
            run_add_slot(store, index, &run, slot++);
        run_sort(&run);
        (void)run_insert(index, &run, UINT32_MAX);
    }
    run_release(&run);
}

/* ---- creating and dropping ---- */

static struct store_index *index_create(struct row_store *store, const uint32_t *columns,
                                        uint32_t columns_count, bool ordered)
{
    struct store_index *index = mem_zalloc(sizeof(*index));
    index->ordered = ordered;
    index->columns_count = columns_count;
    index->columns = mem_alloc(sizeof(*columns) * columns_count);
    memcpy(index->columns, columns, sizeof(*columns) * columns_count);
    index->heap = table_heap_create(store->account);
    btree_init(&index->tree, index->heap, store->account);
    return index;
}

static uint32_t index_list(struct row_store *store, struct store_index *index)
{
    latch_write(&store->latch);
    uint32_t number = store->indexes_count++;
    store->indexes = mem_realloc(store->indexes, sizeof(*store->indexes) * store->indexes_count);
    store->indexes[number] = index;
    latch_write_done(&store->latch);
    return number;
}

uint32_t row_store_add_index(struct row_store *store, const uint32_t *columns, uint32_t columns_count,
                             bool ordered)
{
    struct store_index *index = index_create(store, columns, columns_count, ordered);
    index_fill(store, index);
    return index_list(store, index);
}

struct store_index *row_store_begin_index(struct row_store *store, const uint32_t *columns,
                                          uint32_t columns_count, bool ordered, uint32_t *number)
{
    struct store_index *index = index_create(store, columns, columns_count, ordered);
    index->build = mem_zalloc(sizeof(*index->build));
    index->build->run.account = store->account;
    pthread_mutex_init(&index->build->lock, NULL);
    *number = index_list(store, index);
    return index;
}

/* The next piece of the keys that were read; how many. */
static uint32_t insert_piece(struct store_index *index)
{
    struct key_run *run = &index->build->run;
    uint32_t left = run->count - run->added;
    memory_pace();
    (void)run_insert(index, run, PIECE_KEYS);
    return left < PIECE_KEYS ? left : PIECE_KEYS;
}

bool row_store_fill_index(struct row_store *store, struct store_index *index, uint32_t *cursor,
                          uint32_t *keys)
{
    struct key_run *run = &index->build->run;
    *keys = 0;
    if (run->count > 0) {
        *keys = insert_piece(index);
        return true;
    }
    bool more = true;
    while (more && !run_is_full(run)) {
        memory_pace();
        latch_read(&store->latch);
        for (uint32_t i = 0; i < LATCH_ROWS && *cursor < store->slots.used; i++)
            run_add_slot(store, index, run, (*cursor)++);
        more = *cursor < store->slots.used;
        latch_read_done(&store->latch);
    }
    run_charge(run);
    run_sort(run);
    return run->count > 0;
}

uint32_t row_store_fill_noted(struct row_store *store, struct store_index *index)
{
    struct index_build *build = index->build;
    uint32_t read = 0; /* before what is noted now, some of it */
    while (build->run.count > 0)
        read += insert_piece(index);
    pthread_mutex_lock(&build->lock);
    struct strbuf taken = build->notes;
    int64_t charged = (int64_t)build->notes_charged;
    build->notes = build->taken;
    strbuf_reset(&build->notes);
    build->notes_count = 0;
    build->notes_charged = 0;
    pthread_mutex_unlock(&build->lock);
    build->taken = taken;
    uint32_t keys = 0;
    for (size_t at = 0; at < taken.len; keys++) {
        uint32_t head, slot = 0;
        memcpy(&head, taken.data + at, sizeof(head));
        const uint8_t *key = (const uint8_t *)taken.data + at + sizeof(head);
        uint32_t bytes = head / 2;
        for (uint32_t i = bytes - 4; i < bytes; i++)
            slot = slot << 8 | key[i];
        if (keys % LATCH_ROWS == 0)
            memory_pace();
        if (head & 1)
            (void)btree_insert(&index->tree, key, bytes, &slot);
        else
            (void)btree_remove(&index->tree, key, bytes, NULL);
        at += sizeof(head) + bytes;
    }
    if (taken.cap > NOTES_CHARGE) /* it may have been an unusual many */
        strbuf_release(&build->taken);
    account_charge(store->account, -charged);
    return read;
}

uint64_t row_store_noted(struct store_index *index, int64_t *bytes)
{
    struct index_build *build = index->build;
    pthread_mutex_lock(&build->lock);
    uint64_t count = build->notes_count;
    *bytes += (int64_t)build->notes.len;
    pthread_mutex_unlock(&build->lock);
    return count;
}

static void build_destroy(struct row_store *store, struct index_build *build)
{
    run_release(&build->run);
    account_charge(store->account, -(int64_t)build->notes_charged);
    strbuf_release(&build->taken);
    strbuf_release(&build->notes);
    pthread_mutex_destroy(&build->lock);
    mem_free(build);
}

void row_store_end_index(struct row_store *store, struct store_index *index)
{
    (void)row_store_fill_noted(store, index);
    latch_write(&store->latch);
    struct index_build *build = index->build;
    index->build = NULL;
    latch_write_done(&store->latch);
    build_destroy(store, build);
}

struct store_index *row_store_take_index(struct row_store *store, uint32_t number)
{
    CHECK(number < store->indexes_count && store->indexes[number] != NULL);
    latch_write(&store->latch);
    struct store_index *index = store->indexes[number];
    store->indexes[number] = NULL; /* numbers are not used again: a reader may be in the middle of a range */
    latch_write_done(&store->latch);
    return index;
}

void row_store_free_index(struct row_store *store, struct store_index *index)
{
    if (index->build != NULL)
        build_destroy(store, index->build);
    btree_release(&index->tree, false);
    table_heap_destroy(index->heap);
    mem_free(index->columns);
    mem_free(index);
}

void indexes_release(struct row_store *store)
{
    for (uint32_t i = 0; i < store->indexes_count; i++) {
        if (store->indexes[i] != NULL)
            row_store_free_index(store, store->indexes[i]);
    }
    mem_free(store->indexes);
}

/* ---- reading ---- */

/* A place to go on from: the key after which comes the next entry; empty: from `start`. */
static struct btree_cursor resume(const struct btree *tree, const void *start, size_t start_bytes,
                                  struct strbuf *after)
{
    if (after->len == 0)
        return btree_seek(tree, start, (uint32_t)start_bytes);
    strbuf_addc(after, '\0'); /* the least key behind it */
    struct btree_cursor place = btree_seek(tree, after->data, (uint32_t)after->len);
    after->len--;
    return place;
}

static void remember(const struct btree_cursor *place, struct strbuf *after)
{
    uint32_t bytes;
    const uint8_t *key = btree_key(place, &bytes);
    strbuf_reset(after);
    strbuf_add(after, key, bytes);
}

/* One piece of the entries that start with the key: false at the end. */
static bool lookup_piece(struct row_store *store, uint32_t number, uint64_t snapshot,
                         const struct strbuf *key, const struct batch *keys, uint32_t at,
                         const uint32_t *key_columns, struct strbuf *after, struct batch *out)
{
    const uint8_t *rows[LATCH_ROWS];
    int64_t counts[LATCH_ROWS];
    uint32_t n = 0, looked = 0;
    const struct store_index *index = store->indexes[number];
    if (index == NULL)
        return false;
    struct btree_cursor place = resume(&index->tree, key->data, key->len, after);
    for (; place.node != NULL && looked < LATCH_ROWS; btree_next(&place), looked++) {
        uint32_t bytes;
        const uint8_t *entry = btree_key(&place, &bytes);
        if (bytes != key->len + 4 || memcmp(entry, key->data, key->len) != 0) {
            place.node = NULL;
            break;
        }
        counts[n] =
            store_version(store, store_row(store, btree_value(&place)), snapshot, out->arena, &rows[n]);
        n += counts[n] != 0 && row_layout_fields_equal(&store->layout, rows[n], index->columns, keys, at,
                                                       key_columns, index->columns_count);
        if (looked + 1 == LATCH_ROWS)
            remember(&place, after);
    }
    row_layout_append(&store->layout, rows, counts, n, out);
    return place.node != NULL;
}

void row_store_index_lookup(struct row_store *store, uint32_t number, uint64_t snapshot,
                            const struct batch *keys, const uint32_t *key_columns, struct batch *out)
{
    struct strbuf key = STRBUF_INIT, after = STRBUF_INIT;
    for (uint32_t i = 0; i < keys->rows; i++) {
        strbuf_reset(&after);
        for (bool more = true; more;) {
            latch_read(&store->latch);
            CHECK(number < store->indexes_count);
            if (store->indexes[number] != NULL && after.len == 0) {
                strbuf_reset(&key);
                key_of_batch(store->indexes[number], keys, i, key_columns, &key);
            }
            more = lookup_piece(store, number, snapshot, &key, keys, i, key_columns, &after, out);
            latch_read_done(&store->latch);
        }
    }
    strbuf_release(&key);
    strbuf_release(&after);
}

/* Whether the entry's columns are at or behind `high`. */
static bool at_end(const uint8_t *columns, size_t bytes, const struct strbuf *high)
{
    size_t least = bytes < high->len ? bytes : high->len;
    int order = least > 0 ? memcmp(columns, high->data, least) : 0;
    return order > 0 || (order == 0 && bytes >= high->len);
}

bool row_store_index_range(struct row_store *store, uint32_t number, uint64_t snapshot,
                           const struct strbuf *low, const struct strbuf *high, struct strbuf *cursor,
                           uint32_t max, struct batch *out)
{
    const uint8_t *rows[LATCH_ROWS];
    int64_t counts[LATCH_ROWS];
    struct strbuf scratch = STRBUF_INIT;
    bool more = true;
    for (uint32_t left = max; left > 0 && more;) {
        uint32_t n = 0, looked = 0;
        latch_read(&store->latch);
        CHECK(number < store->indexes_count);
        const struct store_index *index = store->indexes[number];
        struct btree_cursor place = {0};
        if (index != NULL) {
            CHECK(index->ordered);
            place = resume(&index->tree, low != NULL ? low->data : NULL, low != NULL ? low->len : 0, cursor);
        }
        while (place.node != NULL && looked < 4 * LATCH_ROWS && n < LATCH_ROWS && n < left) {
            uint32_t bytes;
            const uint8_t *entry = btree_key(&place, &bytes);
            if (high != NULL && at_end(entry, bytes - 4, high)) {
                place.node = NULL;
                break;
            }
            const uint8_t *row = store_row(store, btree_value(&place));
            counts[n] = store_version(store, row, snapshot, out->arena, &rows[n]);
            uint64_t undo = undo_position(store_meta(store, row)->undo);
            if (counts[n] != 0 && undo >= store->undo.first) {
                /* several versions: is the visible one that of this key? */
                strbuf_reset(&scratch);
                key_of_row(store, index, rows[n], &scratch);
                if (scratch.len != bytes - 4 || memcmp(strbuf_text(&scratch), entry, scratch.len) != 0)
                    counts[n] = 0;
            }
            n += counts[n] != 0;
            looked++;
            struct btree_cursor here = place;
            btree_next(&place);
            if (place.node == NULL || looked == 4 * LATCH_ROWS || n == LATCH_ROWS || n == left)
                remember(&here, cursor);
        }
        row_layout_append(&store->layout, rows, counts, n, out);
        more = place.node != NULL;
        left -= n;
        latch_read_done(&store->latch);
    }
    strbuf_release(&scratch);
    return more;
}
