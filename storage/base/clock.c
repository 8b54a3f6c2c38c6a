/* clock.c: wall clock, monotonic clock, random bits. */
#include "storage/base/clock.h"

#include "storage/base/check.h"

#include <stdatomic.h>
#include <sys/random.h>
#include <time.h>

#define UNIX_TO_2000_SECONDS 946684800LL

static _Atomic uint64_t seeded_state;
static _Atomic bool seeded;

static _Atomic int64_t set_us;
static _Atomic bool is_set;

void clock_set(int64_t now_us)
{
    atomic_store(&set_us, now_us);
    atomic_store(&is_set, true);
}

void clock_release(void)
{
    atomic_store(&is_set, false);
}

bool clock_is_set(void)
{
    return atomic_load(&is_set);
}

int64_t clock_now_us(void)
{
    if (atomic_load(&is_set))
        return atomic_load(&set_us);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return ((int64_t)now.tv_sec - UNIX_TO_2000_SECONDS) * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_thread_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clock_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void random_seed(uint64_t seed)
{
    atomic_store(&seeded_state, seed);
    atomic_store(&seeded, true);
}

/* One system call for many; up to 256 bytes are never cut short (getrandom(2)). */
#define RANDOM_VALUES 32u

uint64_t random_u64(void)
{
    if (atomic_load(&seeded)) {
        /* splitmix64 (Steele, Lea, Flood 2014) */
        uint64_t z = atomic_fetch_add(&seeded_state, 0x9e3779b97f4a7c15u) + 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    static _Thread_local uint64_t values[RANDOM_VALUES];
    static _Thread_local uint32_t left;
    if (left == 0) {
        CHECK(getrandom(values, sizeof(values), 0) == (ssize_t)sizeof(values));
        left = RANDOM_VALUES;
    }
    return values[--left];
}
