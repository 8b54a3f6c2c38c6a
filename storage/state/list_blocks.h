/* list_blocks.h: memory for the lists of an arrangement: blocks of 32 to 512 bytes, cut from pieces of 512 by
 * halving. They are not joined again; list_blocks_clear gives everything back.
 *
 * A block is named by a 32-bit reference, which counts units of 32 bytes. One owner. */
#ifndef MILLRACE_STATE_LIST_BLOCKS_H
#define MILLRACE_STATE_LIST_BLOCKS_H

#include "storage/state/slot_pages.h"

#define LIST_NONE    UINT32_MAX
#define LIST_CLASSES 5u /* blocks of 32, 64, 128, 256, 512 bytes */

struct list_blocks {
    struct slot_pages pages; /* of 512 bytes */
    uint32_t free[LIST_CLASSES];
};

void list_blocks_init(struct list_blocks *blocks, struct account *account);
void list_blocks_release(struct list_blocks *blocks);
/* Forgets all blocks. */
void list_blocks_clear(struct list_blocks *blocks);
/* A block of 32 << class bytes, uninitialised. */
uint32_t list_block_alloc(struct list_blocks *blocks, uint32_t class);
void list_block_free(struct list_blocks *blocks, uint32_t ref, uint32_t class);

static inline void *list_block_at(const struct list_blocks *blocks, uint32_t ref)
{
    return (uint8_t *)slot_pages_at(&blocks->pages, ref >> 4) + (ref & 15) * 32;
}

static inline int64_t list_blocks_bytes(const struct list_blocks *blocks)
{
    return slot_pages_bytes(&blocks->pages);
}

#endif
