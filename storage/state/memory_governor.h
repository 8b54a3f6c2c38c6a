/* memory_governor.h: keeps the process's resident memory below a limit by taking cold state from it.
 *
 * What is resident is asked of the operating system: so everything counts, state, statements, libraries. State in the
 * spill file (state_memory.h) can be taken away; when the rest alone comes near the limit, statements that hold much
 * of it fail with 53200 (account.pressed).
 *
 * A thread does the work. It sleeps until memory is asked for or, once state has been taken away, until somebody works
 * with state; whoever is faster than it helps (memory_pace).
 *
 * Which pages: a clock with two hands over regions of 2 MB. The first hand takes a sample of each region's pages away;
 * where many of them are back when the second comes by, the region is in use and stays, else it goes. What has gone
 * is still in the kernel's cache until the kernel needs the room, so a mistake costs a page fault and no read. */
#ifndef MILLRACE_STATE_MEMORY_GOVERNOR_H
#define MILLRACE_STATE_MEMORY_GOVERNOR_H

#include "storage/base/arena.h"

#define MEMORY_LIMIT_MIN (INT64_C(64) << 20) /* smaller limits do not hold the process itself */

/* After state_memory_open. root: the account of everything; its `grown` and `pressed` are used. */
void memory_governor_start(int64_t limit_bytes, struct account *root);
void memory_governor_stop(void);

extern _Atomic uint32_t memory_governor_wants; /* memory_pace has something to do */
void memory_pace_slow(void);
/* By whoever works with state, once per group of rows, without a latch: wakes the governor, and helps it when it is behind. A
 * whole batch between two calls would bring back more pages than a small limit has room for. */
static inline void memory_pace(void)
{
    if (UNLIKELY(atomic_load_explicit(&memory_governor_wants, memory_order_relaxed) != 0))
        memory_pace_slow();
}

struct memory_governor_stats {
    int64_t limit_bytes;     /* 0: none */
    int64_t resident_bytes;  /* of the process */
    int64_t anonymous_bytes; /* of these: what cannot be taken away */
    uint64_t rounds;         /* times that state was taken away */
};
void memory_governor_stats(struct memory_governor_stats *out);

#endif
