/* slot_pages.h: fixed-size slots, numbered from 0, that never move.
 *
 * Chunk k holds first << k slots, so a slot's address is one count of leading zeros and one load from a small
 * array; nothing is copied as the table grows. Small chunks come from malloc, large ones are address space
 * that the kernel backs on first touch; the account is charged for what was handed out, not for what is
 * reserved.
 *
 * The first four bytes of a slot belong to its header: 0 while the slot is free, not 0 while it is in use
 * (the user sees to that; see SLOT_LIVE). A freed slot goes on a list and is handed out again first. One
 * owner; readers of other threads need a latch.
 *
 * Slots that a checkpoint saves (saved_table.h) are tracked: a bit per slot tells that it was handed out, freed or, by
 * slot_pages_touch, changed. While all of them are copied beside changes (slot_copies) the same calls tell which have to be
 * copied again. */
#ifndef MILLRACE_STATE_SLOT_PAGES_H
#define MILLRACE_STATE_SLOT_PAGES_H

#include "storage/base/arena.h"
#include "storage/state/state_memory.h"

#include <stdbool.h>
#include <string.h>

#ifndef SLOT_NONE
#define SLOT_NONE UINT32_MAX
#endif
#define SLOT_LIVE                                                                                            \
    (UINT32_C(1) << 31) /* set in the header of every slot in use; 31 bits of hash stand beside it */

/* For functions that only prefetch: the compiler takes calls of such a function for useless and drops them
 * unless it is inlined. */
#define PREFETCHING static inline __attribute__((always_inline))

struct slot_pages {
    uintptr_t
        biased[32]; /* by the highest bit of slot + first: chunk address minus what the number already says */
    uint32_t stride;
    uint32_t first; /* slots of chunk 0, a power of two */
    uint32_t used;  /* slots ever handed out: all numbers are below it */
    uint32_t capacity;
    uint32_t free_head;
    uint32_t live;
    int64_t charged;
    struct account *account;
    /* tracked: */
    uint64_t *dirty; /* a bit per slot up to capacity; NULL: not tracked */
    uint64_t *taken; /* bits that the running checkpoint has taken from it; NULL: none */
    uint32_t dirty_words;
    bool is_whole;        /* everything saved before is void: all slots are new */
    bool taken_whole;     /* the running checkpoint has seen that */
    uint64_t saved_live;  /* rows of the last whole save, and */
    uint64_t saved_since; /* rows and removals saved since */
    uint64_t saved_taken; /* of the running checkpoint */
    /* being copied: */
    struct slot_copies *copies; /* NULL: they are not */
};

/* The same slots with another stride, copied while they change. */
struct slot_copies {
    struct slot_pages pages;
    uint32_t copied;   /* slots below it are copied; of these have changed since then: */
    uint32_t *changed; /* each once, in no order */
    uint32_t changed_count, changed_cap;
    uint64_t *is_changed; /* a bit per slot that the pages have room for */
    uint32_t words;
    uint64_t noted; /* how many times a slot has come to `changed` */
    int64_t charged;
};

/* stride: bytes per slot, a multiple of 8, at least 8. Nothing is allocated before the first slot. */
void slot_pages_init(struct slot_pages *pages, uint32_t stride, uint32_t first, struct account *account);
void slot_pages_release(struct slot_pages *pages);
/* Forgets all slots and gives the memory back. */
void slot_pages_clear(struct slot_pages *pages);
/* The bytes are uninitialised; the caller writes a header other than 0. */
uint32_t slot_pages_alloc(struct slot_pages *pages);
/* For users that never free a slot: `count` slots in a row, whose first number is returned. */
uint32_t slot_pages_extend(struct slot_pages *pages, uint32_t count);
void slot_pages_free(struct slot_pages *pages, uint32_t slot);
/* For users that treat the slots as a stack and never free one: takes the last one away. */
void slot_pages_pop(struct slot_pages *pages);

static inline void *slot_pages_at(const struct slot_pages *pages, uint32_t slot)
{
    uint32_t biased = slot + pages->first;
    return (void *)(pages->biased[31 - __builtin_clz(biased)] + (uintptr_t)biased * pages->stride);
}

void slot_pages_note(struct slot_pages *pages, uint32_t slot);
/* The slot's contents change. */
static inline void slot_pages_touch(struct slot_pages *pages, uint32_t slot)
{
    if (pages->dirty != NULL)
        pages->dirty[slot >> 6] |= UINT64_C(1) << (slot & 63);
    if (UNLIKELY(pages->copies != NULL))
        slot_pages_note(pages, slot);
}
/* From now on changes are tracked; all slots count as changed. Again: nothing happens. */
void slot_pages_track(struct slot_pages *pages);
/* All slots count as changed, and what was saved of them as void. */
void slot_pages_mark_whole(struct slot_pages *pages);

/* A checkpoint takes the bits of 64 slots, or learns that everything saved before is void; once it is valid or given up,
 * slot_pages_settle forgets what was taken, or gives it back. */
void slot_pages_take_dirty(struct slot_pages *pages, uint32_t word);
void slot_pages_take_whole(struct slot_pages *pages);
void slot_pages_settle(struct slot_pages *pages, bool valid);

/* Putting saved slots back into empty pages: begin with how many numbers there were (again: with more);
 * slot_pages_take makes one of them a slot in use (bytes as after slot_pages_alloc); end makes the rest free ones. The
 * headers of taken slots are set by then. The pages are tracked then, and no slot counts as changed. Without an end
 * they are as if all had just been handed out, which all must have been. */
void slot_pages_restore_begin(struct slot_pages *pages, uint32_t used);
void slot_pages_take(struct slot_pages *pages, uint32_t slot);
void slot_pages_restore_end(struct slot_pages *pages);

/* The same slots with another stride, beside changes; meanwhile slot_pages_clear must not be called. next_copies says which
 * slots are to be copied now, at most `max` (0: none is left), and has room for them in copies->pages: their contents (of
 * free ones the first eight bytes) are the caller's to copy before anything changes. A slot comes again when it has changed;
 * before the first time its copy is zero. When none is left, end_copy puts the copies in place of the slots, which stay
 * tracked as they are; or drop_copy ends it without. Then slot_copies_release gives the memory back, by any thread. */
void slot_pages_begin_copy(struct slot_pages *pages, uint32_t stride, struct slot_copies *copies);
uint32_t slot_pages_next_copies(struct slot_pages *pages, uint32_t *slots, uint32_t max);
void slot_pages_end_copy(struct slot_pages *pages);
void slot_pages_drop_copy(struct slot_pages *pages);
void slot_copies_release(struct slot_copies *copies);
/* How many slots are to be copied, and of how many that has ever been said. */
static inline uint64_t slot_pages_copies_left(const struct slot_pages *pages)
{
    return pages->used - pages->copies->copied + pages->copies->changed_count;
}
static inline uint64_t slot_pages_copies_noted(const struct slot_pages *pages)
{
    return pages->used + pages->copies->noted;
}
static inline int64_t slot_copies_bytes(const struct slot_copies *copies)
{
    return copies->pages.charged + copies->charged;
}

static inline uint32_t slot_header(const void *slot)
{
    uint32_t header;
    memcpy(&header, slot, sizeof(header));
    return header;
}

static inline void slot_set_header(void *slot, uint32_t header)
{
    memcpy(slot, &header, sizeof(header));
}

static inline int64_t slot_pages_bytes(const struct slot_pages *pages)
{
    return pages->charged;
}

#endif
