/* list_blocks.c: see list_blocks.h. */
#include "storage/state/list_blocks.h"

#define UNITS_LOG2 4u /* 16 units of 32 bytes per page */

static void forget_free(struct list_blocks *blocks)
{
    for (uint32_t i = 0; i < LIST_CLASSES; i++)
        blocks->free[i] = LIST_NONE;
}

void list_blocks_init(struct list_blocks *blocks, struct account *account)
{
    slot_pages_init(&blocks->pages, 32u << UNITS_LOG2, 1, account);
    forget_free(blocks);
}

void list_blocks_release(struct list_blocks *blocks)
{
    slot_pages_release(&blocks->pages);
}

void list_blocks_clear(struct list_blocks *blocks)
{
    slot_pages_clear(&blocks->pages);
    forget_free(blocks);
}

uint32_t list_block_alloc(struct list_blocks *blocks, uint32_t class)
{
    uint32_t ref = blocks->free[class];
    if (ref != LIST_NONE) {
        memcpy(&blocks->free[class], list_block_at(blocks, ref), sizeof(ref));
        return ref;
    }
    if (class == LIST_CLASSES - 1) {
        uint32_t page = slot_pages_alloc(&blocks->pages);
        CHECK(page < UINT32_C(1) << (31 - UNITS_LOG2)); /* users keep a bit of the reference for themselves */
        return page << UNITS_LOG2;
    }
    ref = list_block_alloc(blocks, class + 1);
    list_block_free(blocks, ref + (UINT32_C(1) << class), class);
    return ref;
}

void list_block_free(struct list_blocks *blocks, uint32_t ref, uint32_t class)
{
    memcpy(list_block_at(blocks, ref), &blocks->free[class], sizeof(ref));
    blocks->free[class] = ref;
}
