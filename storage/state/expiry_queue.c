/* expiry_queue.c: see expiry_queue.h. */
#include "storage/state/expiry_queue.h"

#define BLOCK_ITEMS 30u

struct expiry_block {
    uint32_t header; /* slot_pages */
    uint32_t next;
    uint32_t count;
    uint32_t unused;
    int64_t least, greatest; /* of its times */
    int64_t times[BLOCK_ITEMS];
    uint32_t items[BLOCK_ITEMS];
};

static struct expiry_block *block_at(const struct expiry_queue *queue, uint32_t block)
{
    return slot_pages_at(&queue->blocks, block);
}

/* Times in an order in which their bits tell how far apart they are. */
static uint64_t order_of(int64_t time)
{
    return (uint64_t)time ^ (UINT64_C(1) << 63);
}

static uint32_t high_bit(uint64_t value)
{
    return 63 - (uint32_t)__builtin_clzll(value);
}

/* Where a time > reached lies. */
static uint32_t list_of(const struct expiry_queue *queue, int64_t time)
{
    return high_bit(order_of(time) ^ order_of(queue->reached));
}

void expiry_queue_init(struct expiry_queue *queue, struct account *account)
{
    *queue = (struct expiry_queue){.reached = INT64_MIN, .due = SLOT_NONE};
    slot_pages_init(&queue->blocks, sizeof(struct expiry_block), 1, account);
    for (uint32_t i = 0; i < EXPIRY_LISTS; i++)
        queue->lists[i] = SLOT_NONE;
}

void expiry_queue_release(struct expiry_queue *queue)
{
    slot_pages_release(&queue->blocks);
}

/* Into the first block of a list, or a new one before it. */
static void list_add(struct expiry_queue *queue, uint32_t *list, int64_t time, uint32_t item)
{
    if (*list == SLOT_NONE || block_at(queue, *list)->count == BLOCK_ITEMS) {
        uint32_t added = slot_pages_alloc(&queue->blocks);
        struct expiry_block *block = block_at(queue, added);
        slot_set_header(block, SLOT_LIVE);
        block->next = *list;
        block->count = 0;
        block->least = INT64_MAX;
        block->greatest = INT64_MIN;
        *list = added;
    }
    struct expiry_block *block = block_at(queue, *list);
    block->times[block->count] = time;
    block->items[block->count++] = item;
    block->least = time < block->least ? time : block->least;
    block->greatest = time > block->greatest ? time : block->greatest;
}

static void list_holds(struct expiry_queue *queue, uint32_t list, int64_t time)
{
    uint64_t bit = UINT64_C(1) << list;
    if ((queue->occupied & bit) == 0 || time < queue->least[list])
        queue->least[list] = time;
    queue->occupied |= bit;
}

void expiry_queue_add(struct expiry_queue *queue, int64_t time, uint32_t item)
{
    queue->items++;
    if (time <= queue->reached) {
        list_add(queue, &queue->due, time, item);
        return;
    }
    uint32_t list = list_of(queue, time);
    list_add(queue, &queue->lists[list], time, item);
    list_holds(queue, list, time);
}

/* Puts a block into a list whole, where all of the list but its first block stay full. */
static bool list_take_block(struct expiry_queue *queue, uint32_t *list, uint32_t moved)
{
    struct expiry_block *block = block_at(queue, moved);
    if (*list == SLOT_NONE) {
        block->next = SLOT_NONE;
        *list = moved;
        return true;
    }
    if (block->count < BLOCK_ITEMS)
        return false;
    struct expiry_block *first = block_at(queue, *list);
    block->next = first->next;
    first->next = moved;
    return true;
}

/* A block of the list that the clock now runs through, to where its items belong. */
static void deal_out(struct expiry_queue *queue, uint32_t moved)
{
    struct expiry_block *block = block_at(queue, moved);
    if (block->greatest <= queue->reached) {
        block->next = queue->due;
        queue->due = moved;
        return;
    }
    if (block->least > queue->reached) {
        uint32_t list = list_of(queue, block->least);
        if (list == list_of(queue, block->greatest) && list_take_block(queue, &queue->lists[list], moved)) {
            list_holds(queue, list, block->least);
            return;
        }
    }
    queue->items -= block->count;
    for (uint32_t i = 0; i < block->count; i++)
        expiry_queue_add(queue, block->times[i], block->items[i]);
    slot_pages_free(&queue->blocks, moved);
}

static void advance(struct expiry_queue *queue, int64_t time)
{
    uint32_t changed = high_bit(order_of(time) ^ order_of(queue->reached));
    queue->reached = time;
    /* what differs from the old time in a lower bit lies before the new one */
    uint64_t passed = queue->occupied & ((UINT64_C(1) << changed) - 1);
    for (; passed != 0; passed &= passed - 1) {
        uint32_t list = (uint32_t)__builtin_ctzll(passed);
        uint32_t block = queue->lists[list];
        queue->lists[list] = SLOT_NONE;
        while (block != SLOT_NONE) {
            uint32_t next = block_at(queue, block)->next;
            block_at(queue, block)->next = queue->due;
            queue->due = block;
            block = next;
        }
    }
    uint32_t block = queue->lists[changed];
    queue->lists[changed] = SLOT_NONE;
    queue->occupied = changed == 63 ? 0 : queue->occupied >> (changed + 1) << (changed + 1);
    while (block != SLOT_NONE) {
        uint32_t next = block_at(queue, block)->next;
        deal_out(queue, block);
        block = next;
    }
}

uint32_t expiry_queue_take(struct expiry_queue *queue, int64_t time, uint32_t *items, uint32_t max)
{
    if (time > queue->reached) {
        if (queue->items > 0)
            advance(queue, time);
        queue->reached = time;
    }
    uint32_t count = 0;
    while (count < max && queue->due != SLOT_NONE) {
        struct expiry_block *block = block_at(queue, queue->due);
        uint32_t taken = block->count < max - count ? block->count : max - count;
        block->count -= taken;
        memcpy(items + count, block->items + block->count, sizeof(*items) * taken);
        count += taken;
        if (block->count > 0)
            break;
        uint32_t next = block->next;
        slot_pages_free(&queue->blocks, queue->due);
        queue->due = next;
    }
    queue->items -= count;
    if (queue->items == 0)
        slot_pages_clear(&queue->blocks);
    return count;
}

int64_t expiry_queue_least(const struct expiry_queue *queue)
{
    if (queue->due != SLOT_NONE)
        return queue->reached;
    return queue->occupied != 0 ? queue->least[__builtin_ctzll(queue->occupied)] : INT64_MAX;
}

int64_t expiry_queue_bytes(const struct expiry_queue *queue)
{
    return slot_pages_bytes(&queue->blocks);
}
