/* snapshot.c: a queue of open epochs, oldest first, each with its number of readers. Readers only ever open
 * the newest visible epoch, so the queue is ordered by itself. */
#include "storage/state/snapshot.h"

#include "storage/base/arena.h"
#include "storage/base/clock.h"

#include <pthread.h>
#include <time.h>

struct open_epoch {
    uint64_t epoch;
    uint64_t readers;
};

struct snapshots {
    pthread_mutex_t mutex;
    pthread_cond_t published;
    uint64_t visible;
    struct open_epoch *queue; /* a ring of capacity entries */
    uint32_t first, count, capacity;
};

struct snapshots *snapshots_create(void)
{
    struct snapshots *set = mem_zalloc(sizeof(*set));
    pthread_mutex_init(&set->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&set->published, &attributes);
    pthread_condattr_destroy(&attributes);
    set->capacity = 16;
    set->queue = mem_zalloc(sizeof(*set->queue) * set->capacity);
    return set;
}

void snapshots_destroy(struct snapshots *set)
{
    if (set == NULL)
        return;
    pthread_cond_destroy(&set->published);
    pthread_mutex_destroy(&set->mutex);
    mem_free(set->queue);
    mem_free(set);
}

static struct open_epoch *entry(struct snapshots *set, uint32_t at)
{
    return &set->queue[(set->first + at) & (set->capacity - 1)];
}

void snapshots_publish(struct snapshots *set, uint64_t epoch)
{
    pthread_mutex_lock(&set->mutex);
    CHECK(epoch >= set->visible);
    set->visible = epoch;
    pthread_cond_broadcast(&set->published);
    pthread_mutex_unlock(&set->mutex);
}

uint64_t snapshots_visible(struct snapshots *set)
{
    pthread_mutex_lock(&set->mutex);
    uint64_t visible = set->visible;
    pthread_mutex_unlock(&set->mutex);
    return visible;
}

static void grow(struct snapshots *set)
{
    struct open_epoch *queue = mem_zalloc(sizeof(*queue) * set->capacity * 2);
    for (uint32_t i = 0; i < set->count; i++)
        queue[i] = *entry(set, i);
    mem_free(set->queue);
    set->queue = queue;
    set->first = 0;
    set->capacity *= 2;
}

uint64_t snapshot_open(struct snapshots *set, uint64_t at_least)
{
    pthread_mutex_lock(&set->mutex);
    while (set->visible < at_least)
        pthread_cond_wait(&set->published, &set->mutex);
    uint64_t epoch = set->visible;
    if (set->count > 0 && entry(set, set->count - 1)->epoch == epoch) {
        entry(set, set->count - 1)->readers++;
    } else {
        if (set->count == set->capacity)
            grow(set);
        *entry(set, set->count++) = (struct open_epoch){.epoch = epoch, .readers = 1};
    }
    pthread_mutex_unlock(&set->mutex);
    return epoch;
}

void snapshot_close(struct snapshots *set, uint64_t epoch)
{
    pthread_mutex_lock(&set->mutex);
    uint32_t low = 0, high = set->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (entry(set, middle)->epoch < epoch)
            low = middle + 1;
        else
            high = middle;
    }
    CHECK(low < set->count && entry(set, low)->epoch == epoch && entry(set, low)->readers > 0);
    entry(set, low)->readers--;
    while (set->count > 0 && entry(set, 0)->readers == 0) {
        set->first = (set->first + 1) & (set->capacity - 1);
        set->count--;
    }
    pthread_mutex_unlock(&set->mutex);
}

uint64_t snapshots_oldest(struct snapshots *set)
{
    pthread_mutex_lock(&set->mutex);
    uint64_t oldest = set->count > 0 ? entry(set, 0)->epoch : set->visible;
    pthread_mutex_unlock(&set->mutex);
    return oldest;
}

_Bool snapshots_wait(struct snapshots *set, uint64_t at_least, int64_t deadline_ns)
{
    pthread_mutex_lock(&set->mutex);
    while (set->visible < at_least) {
        if (deadline_ns == 0) {
            pthread_cond_wait(&set->published, &set->mutex);
            continue;
        }
        if (clock_monotonic_ns() >= deadline_ns)
            break;
        struct timespec until = {.tv_sec = deadline_ns / 1000000000, .tv_nsec = deadline_ns % 1000000000};
        pthread_cond_timedwait(&set->published, &set->mutex, &until);
    }
    _Bool reached = set->visible >= at_least;
    pthread_mutex_unlock(&set->mutex);
    return reached;
}
