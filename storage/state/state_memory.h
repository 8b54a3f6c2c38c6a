/* state_memory.h: where state lives: large pieces of memory, which go to a file when memory is short.
 *
 * Usually a large piece is anonymous memory in huge pages. After state_memory_open it is a piece of a file without a
 * name, mapped into a reserved range of addresses: the kernel can then write its pages back and take them from the
 * process (memory_governor.h decides which), and a touch brings them back. Space in the file is reserved before it is
 * touched, so that a full disk shows when memory is asked for and not as SIGBUS: that memory is then anonymous, and
 * state_memory_check says 53100 until there is space again.
 *
 * Any thread. */
#ifndef MILLRACE_STATE_STATE_MEMORY_H
#define MILLRACE_STATE_STATE_MEMORY_H

#include "storage/base/error.h"

#include <stdatomic.h>
#include <stddef.h>

enum memory_use {
    MEMORY_HUGE = 1,   /* ask for huge pages, where the memory is anonymous */
    MEMORY_GROWS = 2,  /* only bytes that memory_grow was told of are touched */
    MEMORY_SCANNED = 4 /* read in order: from a file, more than was asked for */
};

/* Zeroed memory, 64-byte aligned; large pieces are backed on first touch. use: of memory_use. */
void *memory_map(size_t bytes, unsigned use);
/* data may be NULL. bytes: as it was given to memory_map. */
void memory_unmap(void *data, size_t bytes);

/* Whole pages of a piece that is backed on first touch: they are zero again and cost nothing, until they are touched. */
void memory_discard(void *data, size_t bytes);

extern size_t state_memory_lazy_bytes;
/* Whether memory_map hands out this size as address space backed on first touch. */
static inline bool memory_is_lazy(size_t bytes)
{
    return bytes >= state_memory_lazy_bytes;
}

extern _Atomic bool state_memory_is_open;
void memory_grow_slow(void *data, size_t bytes, size_t used);
/* Of a piece with MEMORY_GROWS that is lazy: its first `used` bytes are going to be touched. One thread per piece. */
static inline void memory_grow(void *data, size_t bytes, size_t used)
{
    if (UNLIKELY(atomic_load_explicit(&state_memory_is_open, memory_order_relaxed)))
        memory_grow_slow(data, bytes, used);
}

/* Before any state: from now on it lies in files in `dir`, which have no names: they go with the process, however it
 * ends. 53100, 58030. */
MUST_CHECK
bool state_memory_open(const char *dir, struct error *err);
/* All state is gone. */
void state_memory_close(void);
/* false with 53100 while the file cannot grow; looks whether it can again. */
MUST_CHECK
bool state_memory_check(struct error *err);

/* With files a server cannot do without what is in them, and they are not what is durable: when a page cannot be read
 * (SIGBUS), when one could not be written or a file was cut short, the process ends with a message and this status. */
#define SPILL_LOST_EXIT 74
void state_memory_verify_slow(void);
/* By whoever has worked with state, before anybody learns of it: nothing of it was wrong, as far as the operating system
 * knows. */
static inline void state_memory_verify(void)
{
    if (UNLIKELY(atomic_load_explicit(&state_memory_is_open, memory_order_relaxed)))
        state_memory_verify_slow();
}

struct state_memory_stats {
    int64_t file_bytes;      /* reserved in the files */
    int64_t anonymous_bytes; /* because the disk was full */
    int64_t evicted_bytes;   /* taken from the process since the start */
};
void state_memory_stats(struct state_memory_stats *out);

/* ---- for the governor ---- */

#define REGION_BYTES ((size_t)2 << 20)

/* Regions that have ever been used; their numbers are below. */
uint32_t state_memory_regions(void);
/* Does it hold pages that can be taken? */
bool state_memory_region_used(uint32_t region);
uint8_t *state_memory_region(uint32_t region);
/* Takes `bytes` at `offset` of the region from the process; multiples of the page size. Whoever uses them gets them
 * back from the kernel's cache, or from the file. */
void state_memory_evict(uint32_t region, size_t offset, size_t bytes);
/* Begins to write them to the file, so that the kernel can forget them. */
void state_memory_write_out(uint32_t region);

#endif
