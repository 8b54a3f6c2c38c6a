/* row_store_undo.c: the log of before-images: a queue of records in chunks, written at its head, dropped from
 * its front by row_store_trim, taken back from its head by row_store_rollback_to. See row_store_internal.h
 * for what records say.
 *
 * Positions count bytes and never come back to small values; a record does not cross a chunk's end. The
 * newest record of a slot is the one that meta->undo names, and only while first <= position < head does it
 * exist. */
#include "storage/state/memory_governor.h"
#include "storage/state/row_store_internal.h"

#define CHUNK_MIN 4096u

void undo_init(struct undo_log *log, uint32_t row_bytes, struct account *account)
{
    *log = (struct undo_log){.chunk_bytes = CHUNK_MIN, .account = account};
    while (log->chunk_bytes < 4 * (sizeof(struct undo_record) + row_bytes))
        log->chunk_bytes *= 2;
    log->first = log->head = log->chunk_bytes; /* position 0 means no record */
    log->first_chunk = 1;
}

static void charge(struct undo_log *log, int64_t bytes)
{
    log->bytes += bytes;
    account_charge(log->account, bytes);
}

void undo_release(struct undo_log *log)
{
    for (uint32_t i = 0; i < log->chunks_count; i++)
        mem_free(log->chunks[i].data);
    mem_free(log->chunks);
    mem_free(log->ticks);
    charge(log, -log->bytes);
}

/* Room for `bytes` at the head, which moves to the next chunk when this one is too short. */
static struct undo_record *make_room(struct undo_log *log, uint32_t bytes)
{
    uint32_t used = (uint32_t)(log->head & (log->chunk_bytes - 1));
    if (used > 0 && used + bytes > log->chunk_bytes) {
        undo_at(log, log->head)->bytes = 0;
        log->head += log->chunk_bytes - used;
    }
    if (log->head / log->chunk_bytes - log->first_chunk == log->chunks_count) {
        if (log->chunks_count == log->chunks_capacity) {
            log->chunks_capacity = log->chunks_capacity ? log->chunks_capacity * 2 : 4;
            log->chunks = mem_realloc(log->chunks, sizeof(*log->chunks) * log->chunks_capacity);
        }
        log->chunks[log->chunks_count++] = (struct undo_chunk){0};
    }
    struct undo_chunk *chunk = &log->chunks[log->head / log->chunk_bytes - log->first_chunk];
    uint32_t needed = bytes > log->chunk_bytes ? bytes : log->chunk_bytes;
    if (chunk->bytes < needed) { /* the record is its first */
        mem_free(chunk->data);
        chunk->data = mem_alloc(needed);
        charge(log, (int64_t)needed - chunk->bytes);
        chunk->bytes = needed;
    }
    return undo_at(log, log->head);
}

static void release_front(struct undo_log *log)
{
    uint32_t drop = 0;
    while (drop < log->chunks_count && (log->first_chunk + drop + 1) * log->chunk_bytes <= log->first)
        drop++;
    if (drop == 0)
        return;
    for (uint32_t i = 0; i < drop; i++) {
        mem_free(log->chunks[i].data);
        charge(log, -(int64_t)log->chunks[i].bytes);
    }
    log->chunks_count -= drop;
    log->first_chunk += drop;
    memmove(log->chunks, log->chunks + drop, sizeof(*log->chunks) * log->chunks_count);
}

/* Positions a record takes. */
static uint32_t span_of(const struct undo_log *log, const struct undo_record *record)
{
    return record->bytes < log->chunk_bytes ? record->bytes : log->chunk_bytes;
}

void undo_push(struct row_store *store, uint32_t slot, enum undo_kind kind)
{
    struct undo_log *log = &store->undo;
    uint8_t *row = store_row(store, slot);
    struct slot_meta *meta = store_meta(store, row);
    if (kind == UNDO_INSERT && log->first < log->head && log->last >= store->last_mark) {
        struct undo_record *last = undo_at(log, log->last);
        if (record_kind(last) == UNDO_INSERT && last->slot + last->epoch == slot) {
            last->epoch++;
            meta->epoch = store->epoch;
            meta->undo = log->last;
            return;
        }
    }
    uint32_t bytes = sizeof(struct undo_record);
    if (kind == UNDO_IMAGE)
        bytes += store->layout.row_bytes;
    else if (kind == UNDO_STATE && store->key_count == 0)
        bytes += sizeof(int64_t);
    struct undo_record *record = make_room(log, bytes);
    uint64_t previous = log->first < log->head ? log->head - log->last : 0;
    *record = (struct undo_record){.bytes = bytes,
                                   .previous = (uint32_t)previous,
                                   .slot = slot,
                                   .kind = kind | (kind == UNDO_IMAGE ? store->old_layouts_count << 2 : 0),
                                   .epoch = kind == UNDO_INSERT ? 1 : meta->epoch,
                                   .undo = meta->undo};
    if (kind == UNDO_IMAGE)
        memcpy(record->data, row, store->layout.row_bytes);
    else if (kind == UNDO_STATE && store->key_count == 0)
        memcpy(record->data, &meta->count, sizeof(meta->count));
    log->last = log->head;
    log->head += span_of(log, record);
    meta->epoch = store->epoch;
    meta->undo = log->last | undo_state(meta->undo);
}

uint32_t undo_covers(const struct row_store *store, const struct slot_meta *meta)
{
    const struct undo_log *log = &store->undo;
    uint64_t position = undo_position(meta->undo);
    if (meta->epoch != store->epoch || position < store->last_mark || position < log->first ||
        position >= log->head)
        return 0;
    return record_kind(undo_at(log, position));
}

/* ---- rolling back ---- */

static void take_back(struct row_store *store, const struct undo_record *record, uint64_t position)
{
    if (record_kind(record) == UNDO_INSERT) {
        for (uint64_t i = record->epoch; i-- > 0;) {
            uint32_t slot = record->slot + (uint32_t)i;
            const uint8_t *row = store_row(store, slot);
            const struct slot_meta *meta = store_meta(store, row);
            if (!(slot_header(row) & SLOT_LIVE) || undo_position(meta->undo) != position)
                continue; /* freed within the tick; perhaps someone else's by now */
            atomic_fetch_sub_explicit(&store->rows, slot_count(store, meta), memory_order_relaxed);
            store_free_slot(store, slot);
        }
        return;
    }
    uint8_t *row = store_row(store, record->slot);
    struct slot_meta *meta = store_meta(store, row);
    CHECK(undo_position(meta->undo) == position);
    slot_pages_touch(&store->slots, record->slot);
    int64_t before = slot_count(store, meta);
    if (record_kind(record) == UNDO_IMAGE) {
        CHECK(!undo_image_is_old(store, record)); /* no mark is that old */
        /* the newest version goes: keys that the image or an older one does not have go with it */
        struct row_layout *layout = &store->layout;
        if (store->indexes_count > 0)
            indexes_forget(store, record->slot, row, 0);
        row_layout_free_text(layout, row, store->heap);
        memcpy(row, record->data, layout->row_bytes);
    }
    meta->epoch = record->epoch;
    meta->undo = record->undo;
    if (store->key_count == 0)
        meta->count = record_count(store, record);
    atomic_fetch_add_explicit(&store->rows, slot_count(store, meta) - before, memory_order_relaxed);
}

void row_store_rollback_to(struct row_store *store, uint64_t mark)
{
    struct undo_log *log = &store->undo;
    CHECK(mark <= log->head);
    while (log->first < log->head && log->last >= mark) {
        memory_pace();
        latch_write(&store->latch);
        for (uint32_t i = 0; i < LATCH_ROWS && log->first < log->head && log->last >= mark; i++) {
            const struct undo_record *record = undo_at(log, log->last);
            take_back(store, record, log->last);
            log->head = log->last;
            if (record->previous == 0)
                log->first = log->head; /* it was the only one */
            else
                log->last -= record->previous;
            if (log->last < log->first)
                log->first = log->head;
        }
        if (log->first == log->head)
            store_shrink(store);
        latch_write_done(&store->latch);
    }
    /* what came before the mark may be asked for again by an earlier one */
    store->last_mark = mark < log->head ? mark : log->head;
}

/* ---- trimming ---- */

/* All records below `end` go with it: their images' keys go with those, so that only what stays is asked for a key, however
 * many versions of a row go at once. */
static void forget_image(struct row_store *store, const struct undo_record *record, uint64_t end)
{
    uint8_t *room = undo_image_is_old(store, record) ? mem_alloc(store->layout.row_bytes) : NULL;
    indexes_forget(store, record->slot, undo_image(store, record, room), end - 1);
    mem_free(room);
}

static void drop(struct row_store *store, struct undo_record *record, uint64_t position, uint64_t end)
{
    if (record_kind(record) == UNDO_INSERT)
        return;
    if (record_kind(record) == UNDO_IMAGE) {
        if (store->indexes_count > 0)
            forget_image(store, record, end);
        row_layout_free_text(undo_image_layout(store, record), record->data, store->heap);
    }
    const uint8_t *row = store_row(store, record->slot);
    const struct slot_meta *meta = store_meta(store, row);
    if ((slot_header(row) & SLOT_LIVE) && undo_position(meta->undo) == position &&
        slot_count(store, meta) == 0)
        store_free_slot(store, record->slot);
}

/* Ticks of epochs up to `oldest`: how many of the first ones. */
static uint32_t ticks_up_to(const struct undo_log *log, uint64_t oldest)
{
    uint32_t low = 0, high = log->ticks_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (log->ticks[(log->ticks_first + middle) & (log->ticks_capacity - 1)].epoch <= oldest)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Where the records of the first `count` ticks end. */
static uint64_t end_of_ticks(const struct undo_log *log, uint32_t count)
{
    if (count == log->ticks_count)
        return log->head;
    return log->ticks[(log->ticks_first + count) & (log->ticks_capacity - 1)].start;
}

static uint64_t bytes_of_newest(const struct undo_log *log)
{
    return log->head -
           log->ticks[(log->ticks_first + log->ticks_count - 1) & (log->ticks_capacity - 1)].start;
}

bool row_store_trim(struct row_store *store, uint64_t oldest, uint64_t bytes_max)
{
    struct undo_log *log = &store->undo;
    uint32_t gone = ticks_up_to(log, oldest);
    if (gone == 0)
        return true;
    uint64_t end = end_of_ticks(log, gone), stop = end;
    if (bytes_max < UINT64_MAX && end - log->first > bytes_max + 2 * bytes_of_newest(log))
        stop = log->first + bytes_max + 2 * bytes_of_newest(log);
    while (log->first < stop) {
        memory_pace();
        latch_write(&store->latch);
        for (uint32_t i = 0; i < LATCH_ROWS && log->first < stop; i++) {
            struct undo_record *record = undo_at(log, log->first);
            if (log->first % log->chunk_bytes != 0 && record->bytes == 0) {
                log->first += log->chunk_bytes - log->first % log->chunk_bytes;
                continue;
            }
            uint64_t position = log->first;
            log->first += span_of(log, record);
            drop(store, record, position, end);
        }
        release_front(log);
        if (log->first == log->head) /* no record names a slot any more */
            store_shrink(store);
        latch_write_done(&store->latch);
    }
    while (gone > 0 && end_of_ticks(log, 1) <= log->first) {
        log->ticks_first = (log->ticks_first + 1) & (log->ticks_capacity - 1);
        log->ticks_count--;
        gone--;
    }
    return gone == 0;
}
