/* clock.h: the one door to time and randomness, so that a seed and a test can replay a run. Any thread. */
#ifndef MILLRACE_BASE_CLOCK_H
#define MILLRACE_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* The wall clock: microseconds since 2000-01-01 00:00:00 UTC, PostgreSQL's timestamp epoch. */
int64_t clock_now_us(void);
/* Tests: from now on clock_now_us stands still at this value, until it is set again or released. */
void clock_set(int64_t now_us);
void clock_release(void);
bool clock_is_set(void);
/* Nanoseconds of a clock that never goes back; only differences mean something. */
int64_t clock_monotonic_ns(void);
/* Nanoseconds of CPU time that the calling thread has used. */
int64_t clock_thread_cpu_ns(void);
/* Uniform 64 bits from the operating system, or from the seed when one was set. */
uint64_t random_u64(void);
void random_seed(uint64_t seed);

#endif
