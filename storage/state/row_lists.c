/* row_lists.c: see row_lists.h. The last list that goes gives all blocks back. */
#include "storage/state/row_lists.h"

#define LIST_SHRINK_MAX (LIST_SHORT_MAX / 2)

void row_lists_init(struct row_lists *lists, uint32_t (*row_hash)(void *, uint32_t),
                    void (*prefetch)(void *, uint32_t), void *ctx, struct account *account)
{
    *lists = (struct row_lists){.row_hash = row_hash, .prefetch = prefetch, .ctx = ctx, .account = account};
    list_blocks_init(&lists->blocks, account);
}

int64_t row_lists_bytes(const struct row_lists *lists)
{
    return list_blocks_bytes(&lists->blocks) + lists->big_bytes;
}

/* ---- blocks ---- */

static uint32_t class_capacity(uint32_t class)
{
    return ((32u << class) - 16) / 8;
}

static uint32_t resize(struct row_lists *lists, uint32_t ref, uint32_t class)
{
    uint32_t new_ref = list_block_alloc(&lists->blocks, class);
    struct row_list *old = row_list_at(lists, ref), *list = row_list_at(lists, new_ref);
    memcpy(list, old, 16 + old->count * sizeof(struct row_list_entry));
    list_block_free(&lists->blocks, ref, old->class);
    list->class = class;
    return new_ref;
}

/* ---- big lists ---- */

static uint32_t big_hash(void *ctx, uint32_t row)
{
    const struct row_lists *lists = ((struct big_list *)ctx)->lists;
    return lists->row_hash(lists->ctx, row) >> 1;
}

static void big_prefetch(void *ctx, uint32_t row)
{
    const struct row_lists *lists = ((struct big_list *)ctx)->lists;
    lists->prefetch(lists->ctx, row);
}

static int64_t big_bytes(const struct big_list *big)
{
    return (int64_t)sizeof(*big) + slot_pages_bytes(&big->entries) + hash_index_bytes(&big->index);
}

/* The index keeps tags from the low byte of a hash; of a stored row only the upper half is known, so tags are
 * mixed from it. */
static uint64_t index_hash(uint32_t upper)
{
    return (uint64_t)upper << 32 | (upper * UINT32_C(0x9e3779b1)) >> 24;
}

static void big_add(struct big_list *big, uint32_t row, uint32_t hash)
{
    uint32_t position = slot_pages_alloc(&big->entries);
    *(struct row_list_entry *)slot_pages_at(&big->entries, position) = (struct row_list_entry){row, hash};
    hash_index_insert(&big->index, index_hash(hash), row);
}

static void big_destroy(struct row_lists *lists, struct big_list *big)
{
    hash_index_release(&big->index);
    slot_pages_release(&big->entries);
    if (big->previous != NULL)
        big->previous->next = big->next;
    else
        lists->bigs = big->next;
    if (big->next != NULL)
        big->next->previous = big->previous;
    account_charge(lists->account, -(int64_t)sizeof(*big));
    mem_free(big);
}

/* The entries of a full short list move out; the block of 32 bytes that remains points at them. */
static uint32_t make_big(struct row_lists *lists, uint32_t ref)
{
    struct big_list *big = mem_zalloc(sizeof(*big));
    account_charge(lists->account, (int64_t)sizeof(*big));
    big->lists = lists;
    big->next = lists->bigs;
    if (big->next != NULL)
        big->next->previous = big;
    lists->bigs = big;
    slot_pages_init(&big->entries, sizeof(struct row_list_entry), 128, lists->account);
    hash_index_init(&big->index, big_hash, big_prefetch, big, lists->account);
    struct row_list *old = row_list_at(lists, ref);
    for (uint32_t i = 0; i < old->count; i++)
        big_add(big, old->entries[i].row, old->entries[i].hash);
    lists->big_bytes += big_bytes(big);
    uint32_t new_ref = list_block_alloc(&lists->blocks, 0);
    struct row_list *list = row_list_at(lists, new_ref);
    *list = (struct row_list){.count = old->count, .class = LIST_CLASSES, .weight = old->weight};
    list->big = big;
    list_block_free(&lists->blocks, ref, LIST_CLASSES - 1);
    return new_ref;
}

static uint32_t make_short(struct row_lists *lists, uint32_t ref)
{
    struct row_list *old = row_list_at(lists, ref);
    struct big_list *big = old->big;
    uint32_t class = 0;
    while (class_capacity(class) < old->count)
        class ++;
    uint32_t new_ref = list_block_alloc(&lists->blocks, class);
    struct row_list *list = row_list_at(lists, new_ref);
    *list = (struct row_list){.count = old->count, .class = class, .weight = old->weight};
    for (uint32_t i = 0; i < old->count; i++)
        list->entries[i] = *(struct row_list_entry *)slot_pages_at(&big->entries, i);
    lists->big_bytes -= big_bytes(big);
    big_destroy(lists, big);
    list_block_free(&lists->blocks, ref, 0);
    return new_ref;
}

/* ---- lists ---- */

uint32_t row_list_create(struct row_lists *lists, uint32_t row, uint64_t hash, int64_t weight)
{
    uint32_t ref = list_block_alloc(&lists->blocks, 0);
    struct row_list *list = row_list_at(lists, ref);
    *list = (struct row_list){.count = 1, .weight = weight};
    list->entries[0] = (struct row_list_entry){row, (uint32_t)(hash >> 32)};
    lists->lists++;
    return ref;
}

uint32_t row_list_add(struct row_lists *lists, uint32_t ref, uint32_t row, uint64_t hash, int64_t weight)
{
    struct row_list *list = row_list_at(lists, ref);
    if (!row_list_is_big(list) && list->count == class_capacity(list->class)) {
        ref = list->class + 1 < LIST_CLASSES ? resize(lists, ref, list->class + 1) : make_big(lists, ref);
        list = row_list_at(lists, ref);
    }
    if (row_list_is_big(list)) {
        int64_t before = big_bytes(list->big);
        big_add(list->big, row, (uint32_t)(hash >> 32));
        lists->big_bytes += big_bytes(list->big) - before;
    } else {
        list->entries[list->count] = (struct row_list_entry){row, (uint32_t)(hash >> 32)};
    }
    list->count++;
    list->weight += weight;
    return ref;
}

uint32_t row_list_remove(struct row_lists *lists, uint32_t ref, uint32_t position)
{
    struct row_list *list = row_list_at(lists, ref);
    struct row_list_entry *entry = row_list_entry_at(list, position);
    struct row_list_entry *last = row_list_entry_at(list, list->count - 1);
    if (row_list_is_big(list)) {
        struct big_list *big = list->big;
        int64_t before = big_bytes(big);
        hash_index_remove(&big->index, entry->hash >> 1, entry->row);
        *entry = *last;
        slot_pages_pop(&big->entries);
        lists->big_bytes += big_bytes(big) - before;
        list->count--;
        return list->count < LIST_SHRINK_MAX ? make_short(lists, ref) : ref;
    }
    *entry = *last;
    list->count--;
    if (list->class > 0 && list->count <= class_capacity(list->class - 1) / 2)
        return resize(lists, ref, list->class - 1);
    return ref;
}

void row_list_destroy(struct row_lists *lists, uint32_t ref)
{
    struct row_list *list = row_list_at(lists, ref);
    if (row_list_is_big(list)) {
        lists->big_bytes -= big_bytes(list->big);
        big_destroy(lists, list->big);
        list_block_free(&lists->blocks, ref, 0);
    } else {
        list_block_free(&lists->blocks, ref, list->class);
    }
    if (--lists->lists == 0) {
        list_blocks_clear(&lists->blocks);
    }
}

void row_lists_release(struct row_lists *lists)
{
    while (lists->bigs != NULL)
        big_destroy(lists, lists->bigs);
    list_blocks_release(&lists->blocks);
}

/* ---- search ---- */

struct row_list_search row_list_search_start(struct row_list *list, uint64_t hash)
{
    struct row_list_search search = {.list = list, .hash = (uint32_t)(hash >> 32)};
    if (row_list_is_big(list))
        search.probe = hash_probe_start(&list->big->index, index_hash(search.hash));
    return search;
}

uint32_t row_list_search_next(struct row_list_search *search)
{
    struct row_list *list = search->list;
    if (row_list_is_big(list))
        return hash_probe_next(&search->probe);
    while (search->position < list->count) {
        const struct row_list_entry *entry = &list->entries[search->position++];
        if (entry->hash == search->hash)
            return entry->row;
    }
    return SLOT_NONE;
}
