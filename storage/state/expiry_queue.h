/* expiry_queue.h: which items' times have come, as a clock that only goes forward passes them.
 *
 * Operators register every piece of their state once, under its time, and take those out that a watermark has passed. A radix heap: items lie
 * in one of 64 lists, by the highest bit in which their time differs from the time the clock has reached.
 * When the clock moves, the lists below the highest bit that changes in it are due as a whole, the list of
 * this bit is dealt out to those, and all others stay as they are. So an item moves at most once per bit, and
 * mostly with the whole block it lies in, as items with the same time or times near each other are registered
 * together. Memory is blocks of 30 items, used again.
 *
 * An item cannot be taken back: whoever frees a slot early must know its number again when it comes out.
 * One owner. */
#ifndef MILLRACE_STATE_EXPIRY_QUEUE_H
#define MILLRACE_STATE_EXPIRY_QUEUE_H

#include "storage/state/slot_pages.h"

#define EXPIRY_LISTS 64u

struct expiry_queue {
    struct slot_pages blocks;
    int64_t reached;   /* items up to it are due */
    uint64_t occupied; /* bit per list that has items */
    uint64_t items;
    uint32_t due;                 /* first block of the items that are due; SLOT_NONE: none is */
    uint32_t lists[EXPIRY_LISTS]; /* first block; all behind it are full */
    int64_t least[EXPIRY_LISTS];  /* of their times */
};

void expiry_queue_init(struct expiry_queue *queue, struct account *account);
void expiry_queue_release(struct expiry_queue *queue);
void expiry_queue_add(struct expiry_queue *queue, int64_t time, uint32_t item);
/* The clock has reached `time` (earlier than before: nothing moves): takes out at most `max` of the items whose time is at
 * most that, in no particular order, and tells how many; 0: none is left. */
uint32_t expiry_queue_take(struct expiry_queue *queue, int64_t time, uint32_t *items, uint32_t max);
/* The least time of an item, or one up to which the clock has come; INT64_MAX: there is none. */
int64_t expiry_queue_least(const struct expiry_queue *queue);
int64_t expiry_queue_bytes(const struct expiry_queue *queue);

#endif
