/* latch.h: many readers or one writer, for holds of a few microseconds.
 *
 * There is a single writer thread, and it goes first: readers that wait are not counted, so one that the
 * scheduler has put aside never keeps the writer from running. In return the writer gives way for a moment
 * after each hold when readers wait. Waiting spins, then yields the processor; nobody sleeps, since nobody
 * holds long. */
#ifndef MILLRACE_STATE_LATCH_H
#define MILLRACE_STATE_LATCH_H

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

#define LATCH_WRITER (UINT32_C(1) << 31)
#define LATCH_SPINS  200u  /* a few microseconds before the processor is yielded */
#define LATCH_GIVES  1000u /* how long the writer gives way at most */
#define LATCH_SKIPS  8u    /* holds without giving way after nobody took it */

struct latch {
    _Atomic uint32_t state; /* readers inside | LATCH_WRITER */
    _Atomic uint32_t waiting;
    uint32_t skips; /* the writer's own */
};

static inline void latch_pause(uint32_t spins)
{
    if (spins >= LATCH_SPINS) {
        sched_yield();
        return;
    }
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static inline void latch_init(struct latch *latch)
{
    atomic_init(&latch->state, 0);
    atomic_init(&latch->waiting, 0);
    latch->skips = 0;
}

static inline int latch_try_read(struct latch *latch)
{
    uint32_t state = atomic_load_explicit(&latch->state, memory_order_relaxed);
    while (!(state & LATCH_WRITER)) {
        if (atomic_compare_exchange_weak_explicit(&latch->state, &state, state + 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return 1;
    }
    return 0;
}

static inline void latch_read(struct latch *latch)
{
    if (latch_try_read(latch))
        return;
    atomic_fetch_add_explicit(&latch->waiting, 1, memory_order_relaxed);
    for (uint32_t spins = 0; !latch_try_read(latch); spins++)
        latch_pause(spins);
    atomic_fetch_sub_explicit(&latch->waiting, 1, memory_order_relaxed);
}

static inline void latch_read_done(struct latch *latch)
{
    atomic_fetch_sub_explicit(&latch->state, 1, memory_order_release);
}

/* The one writer thread only. */
static inline void latch_write(struct latch *latch)
{
    atomic_fetch_or_explicit(&latch->state, LATCH_WRITER, memory_order_acquire);
    for (uint32_t spins = 0; atomic_load_explicit(&latch->state, memory_order_acquire) != LATCH_WRITER;
         spins++)
        latch_pause(spins);
}

static inline void latch_write_done(struct latch *latch)
{
    atomic_fetch_and_explicit(&latch->state, ~LATCH_WRITER, memory_order_release);
    if (atomic_load_explicit(&latch->waiting, memory_order_relaxed) == 0)
        return;
    if (latch->skips > 0) {
        latch->skips--;
        return;
    }
    for (uint32_t spins = 0; spins < LATCH_GIVES; spins++) {
        if (atomic_load_explicit(&latch->waiting, memory_order_relaxed) == 0 ||
            atomic_load_explicit(&latch->state, memory_order_relaxed) != 0)
            return;
        latch_pause(0);
    }
    latch->skips = LATCH_SKIPS; /* the one who waits does not run now */
}

#endif
