/* row_lists.h: the rows under one key of an arrangement, when there is more than one.
 *
 * A short list is one block of 32 to 512 bytes: count, sum of weights, and per row its number and 32 bits of
 * its hash, so that looking for a row touches the rows themselves only where those bits agree. Beyond 62 rows
 * the entries move to pages that grow without copying, with a hash index of their own: adding, finding and
 * removing stay O(1) however many rows one key has. Order is that of insertion; a removal moves the last
 * entry into the hole.
 *
 * A list is named by a 32-bit reference that changes when the list is regrown. */
#ifndef MILLRACE_STATE_ROW_LISTS_H
#define MILLRACE_STATE_ROW_LISTS_H

#include "storage/state/hash_index.h"
#include "storage/state/list_blocks.h"

struct row_list_entry {
    uint32_t row;
    uint32_t hash; /* the upper half */
};

struct big_list {
    struct slot_pages entries; /* struct row_list_entry by position */
    struct hash_index index;   /* row hash -> row */
    struct row_lists *lists;
    struct big_list *previous, *next;
};

struct row_list {
    uint32_t count;
    uint32_t class; /* of the block */
    int64_t weight; /* sum over the rows */
    union {
        struct row_list_entry entries[2]; /* as many as the block holds */
        struct big_list *big; /* when count > LIST_SHORT_MAX, or not yet shrunk below half of it */
    };
};

#define LIST_SHORT_MAX 62u

struct row_lists {
    struct list_blocks blocks;
    uint32_t lists;
    struct big_list *bigs;
    int64_t big_bytes;
    struct account *account;
    uint32_t (*row_hash)(void *ctx,
                         uint32_t row); /* upper half of a row's hash, for the index of big lists */
    void (*prefetch)(void *ctx, uint32_t row);
    void *ctx;
};

void row_lists_init(struct row_lists *lists, uint32_t (*row_hash)(void *, uint32_t),
                    void (*prefetch)(void *, uint32_t), void *ctx, struct account *account);
void row_lists_release(struct row_lists *lists);
int64_t row_lists_bytes(const struct row_lists *lists);

static inline struct row_list *row_list_at(const struct row_lists *lists, uint32_t ref)
{
    return list_block_at(&lists->blocks, ref);
}

static inline bool row_list_is_big(const struct row_list *list)
{
    return list->class == LIST_CLASSES;
}

static inline struct row_list_entry *row_list_entry_at(struct row_list *list, uint32_t position)
{
    if (LIKELY(!row_list_is_big(list)))
        return &list->entries[position];
    return slot_pages_at(&list->big->entries, position);
}

/* A list of one row. */
uint32_t row_list_create(struct row_lists *lists, uint32_t row, uint64_t hash, int64_t weight);
/* Adds a row at position count; returns the list's reference, which may be new. */
uint32_t row_list_add(struct row_lists *lists, uint32_t ref, uint32_t row, uint64_t hash, int64_t weight);
/* Takes the entry at `position` out; the last one moves there. Returns the reference, which may be new. The
 * weight must have been taken off before. */
uint32_t row_list_remove(struct row_lists *lists, uint32_t ref, uint32_t position);
void row_list_destroy(struct row_lists *lists, uint32_t ref);

/* Looks for a row: yields candidates with the same hash bits until SLOT_NONE. */
struct row_list_search {
    struct row_list *list;
    uint32_t hash;
    uint32_t position;
    struct hash_probe probe;
};
struct row_list_search row_list_search_start(struct row_list *list, uint64_t hash);
uint32_t row_list_search_next(struct row_list_search *search);

#endif
