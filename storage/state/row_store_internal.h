/* row_store_internal.h: what the files of the row store share. See row_store.h.
 *
 * A slot is one key (or, in a multiset, one row): the newest version of its row (row_layout; header: 31 bits
 * of the hash and the live bit), then struct slot_meta. Older versions are found through the undo log:
 *
 *   slot: row "b", epoch 12, present --undo--> IMAGE row "a", epoch 9, absent --undo--> STATE epoch 5,
 * present
 *
 * means: "a" from epoch 5 on, nothing from 9 on, "b" from 12 on. A record holds the state before a change;
 * one that changed no bytes of the row (STATE) has no image, the bytes are those of the version after it.
 * INSERT says that there was no row before. Records lie in the order of the changes, so they are dropped from
 * the front. */
#ifndef MILLRACE_STATE_ROW_STORE_INTERNAL_H
#define MILLRACE_STATE_ROW_STORE_INTERNAL_H

#include "storage/state/btree.h"
#include "storage/state/hash_index.h"
#include "storage/state/latch.h"
#include "storage/state/row_layout.h"
#include "storage/state/row_store.h"

#define LATCH_ROWS 256u /* rows the writer changes, or a reader copies, while it holds the latch once */

enum slot_state {
    SLOT_ABSENT,
    SLOT_PRESENT,
    SLOT_PENDING, /* keyed: a delete of this batch waits for an insert with the same key; readers see the row
                   */
    SLOT_STATES = 7,
};

struct slot_meta {
    uint64_t epoch; /* of the last change */
    uint64_t undo;  /* position of that change's record, 8-aligned, | enum slot_state */
    int64_t count;  /* multisets only: not there otherwise */
};

enum undo_kind { UNDO_INSERT = 1, UNDO_STATE, UNDO_IMAGE };
#define UNDO_KINDS 3u /* an image's kind says above it in which layout it is */

struct undo_record {
    uint32_t bytes;    /* of the record; 0: the rest of this chunk is unused */
    uint32_t previous; /* how far back the record before this one starts */
    uint32_t slot;
    uint32_t kind;
    uint64_t epoch; /* of the state before; INSERT: how many slots, from `slot` on, the record is for */
    uint64_t undo;  /* as in slot_meta, of the state before */
    uint8_t data[]; /* multisets: int64_t count before; keyed IMAGE: the row before */
};

struct undo_tick {
    uint64_t epoch;
    uint64_t start; /* its first record is here or behind */
};

/* A record that is larger than a chunk has one of its own, and the numbers of one. */
struct undo_chunk {
    uint8_t *data;
    uint32_t bytes;
};

struct undo_log {
    struct undo_chunk *chunks; /* those from first_chunk on */
    uint32_t chunks_count, chunks_capacity;
    uint64_t first_chunk;
    uint32_t chunk_bytes; /* power of two */
    uint64_t first, head; /* positions of the oldest record and behind the newest */
    uint64_t last;        /* position of the newest record, when first < head */
    struct undo_tick *ticks;
    uint32_t ticks_first, ticks_count, ticks_capacity;
    int64_t bytes;
    struct account *account;
};

struct index_build;

struct store_index {
    struct index_build *build; /* NULL: it is whole, and the writer's */
    bool ordered;
    bool is_behind; /* rows were restored that are not in it */
    uint32_t *columns;
    uint32_t columns_count;
    struct table_heap *heap; /* of its long keys */
    /* encoded columns (or the hash of that encoding, when not ordered) + slot number -> slot */
    struct btree tree;
};

struct row_store {
    struct row_layout layout;
    struct row_layout *old_layouts; /* before each row_store_end_widen: images from then are in them */
    uint32_t old_layouts_count;
    uint32_t base_count;             /* columns behind these were added later */
    struct datum *missing;           /* of those: what rows from before have in them */
    struct arena arena;              /* of their text */
    struct store_widening *widening; /* more are being added; NULL: none */
    uint32_t *key_columns;
    uint32_t key_count; /* 0: a multiset */
    struct slot_pages slots;
    struct hash_index index;
    struct table_heap *heap;
    struct account *account;
    struct latch latch;
    uint64_t epoch;     /* of the present tick */
    uint64_t last_mark; /* records before it must not be skipped over: a mark or the tick's start */
    struct undo_log undo;
    _Atomic int64_t rows;
    struct store_index **indexes; /* NULL: dropped */
    uint32_t indexes_count;
    uint32_t *pending; /* slots, while a batch is applied */
    uint32_t pending_count, pending_capacity;
    struct strbuf key_a, key_b; /* the writer's scratch */
};

static inline uint8_t *store_row(const struct row_store *store, uint32_t slot)
{
    return slot_pages_at(&store->slots, slot);
}

static inline struct slot_meta *store_meta(const struct row_store *store, const uint8_t *row)
{
    return (struct slot_meta *)(void *)(uintptr_t)(row + store->layout.row_bytes);
}

static inline enum undo_kind record_kind(const struct undo_record *record)
{
    return (enum undo_kind)(record->kind & UNDO_KINDS);
}

static inline enum slot_state undo_state(uint64_t undo)
{
    return (enum slot_state)(undo & SLOT_STATES);
}

static inline uint64_t undo_position(uint64_t undo)
{
    return undo & ~(uint64_t)SLOT_STATES;
}

/* How many copies of its row a slot holds now. */
static inline int64_t slot_count(const struct row_store *store, const struct slot_meta *meta)
{
    return store->key_count == 0 ? meta->count : undo_state(meta->undo) != SLOT_ABSENT;
}

static inline int64_t record_count(const struct row_store *store, const struct undo_record *record)
{
    if (store->key_count != 0)
        return undo_state(record->undo) != SLOT_ABSENT;
    int64_t count;
    memcpy(&count, record->data, sizeof(count));
    return count;
}

/* ---- row_store_widen.c ---- */

/* What row_store_bytes has to say of it. */
int64_t widening_bytes(const struct store_widening *widening);
/* The row of an image in the present layout: the record's own, or one that is made in `room`, of as many bytes as a row has.
 * Text is borrowed. */
const uint8_t *undo_image(const struct row_store *store, const struct undo_record *record, uint8_t *room);
static inline bool undo_image_is_old(const struct row_store *store, const struct undo_record *record)
{
    return record->kind >> 2 != store->old_layouts_count;
}
static inline const struct row_layout *undo_image_layout(const struct row_store *store,
                                                         const struct undo_record *record)
{
    return undo_image_is_old(store, record) ? &store->old_layouts[record->kind >> 2] : &store->layout;
}

/* ---- row_store_undo.c ---- */

void undo_init(struct undo_log *log, uint32_t row_bytes, struct account *account);
void undo_release(struct undo_log *log);
static inline struct undo_record *undo_at(const struct undo_log *log, uint64_t position)
{
    uint8_t *chunk = log->chunks[position / log->chunk_bytes - log->first_chunk].data;
    return (struct undo_record *)(void *)(chunk + (position & (log->chunk_bytes - 1)));
}
/* Logs the state of a slot before a change of this tick and stamps the slot; the state bits of meta->undo and
 * the count are then set by the caller. */
void undo_push(struct row_store *store, uint32_t slot, enum undo_kind kind);
/* The kind of the newest record of a slot when that record alone serves every reader and every mark, so that
 * another change of the slot needs no record; 0 when it does not. */
uint32_t undo_covers(const struct row_store *store, const struct slot_meta *meta);

/* ---- row_store_index.c ---- */

/* Adds the keys of a slot's present row to all indexes. */
void indexes_add(struct row_store *store, uint32_t slot);
/* `row` is the slot's present row that is about to go, or an image that is dropped: removes those of its keys
 * that neither the present row (when it is another) nor an image logged behind position `above` has. */
void indexes_forget(struct row_store *store, uint32_t slot, const uint8_t *row, uint64_t above);
void indexes_release(struct row_store *store);
/* The index of an otherwise filled store, from empty. */
void index_fill(struct row_store *store, struct store_index *index);

/* ---- row_store.c ---- */

void store_free_slot(struct row_store *store, uint32_t slot);
/* Gives the memory of a store without any slot back, but not while the slots are copied (row_store_begin_widen): its end does. */
void store_shrink(struct row_store *store);

/* ---- row_store_read.c ---- */

/* The version of a slot's row that a snapshot sees and how many copies; 0 when none. It may be made in the arena. */
int64_t store_version(const struct row_store *store, const uint8_t *row, uint64_t snapshot,
                      struct arena *arena, const uint8_t **version);

#endif
