/* table_locks.c: see table_locks.h. Entries are kept per OID for good: a few dozen bytes per table ever
 * changed. */
#include "server/table_locks.h"

#include "storage/base/clock.h"

#include <pthread.h>
#include <time.h>

#define BUCKETS       64
#define WAIT_SLICE_NS 50000000 /* how often a waiting statement looks at its cancel flag */

struct entry {
    uint32_t oid;
    uint32_t inserters;
    bool modifier, upserter;
    uint32_t upserts_waiting; /* new INSERTs let them go first */
    uint64_t epoch;
    struct entry *next;
};

struct bucket {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct entry *entries;
};

struct table_locks {
    struct bucket buckets[BUCKETS];
};

struct table_locks *table_locks_create(void)
{
    struct table_locks *locks = mem_zalloc(sizeof(*locks));
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    for (uint32_t i = 0; i < BUCKETS; i++) {
        pthread_mutex_init(&locks->buckets[i].lock, NULL);
        pthread_cond_init(&locks->buckets[i].changed, &attr);
    }
    pthread_condattr_destroy(&attr);
    return locks;
}

void table_locks_destroy(struct table_locks *locks)
{
    for (uint32_t i = 0; i < BUCKETS; i++) {
        while (locks->buckets[i].entries != NULL) {
            struct entry *entry = locks->buckets[i].entries;
            locks->buckets[i].entries = entry->next;
            mem_free(entry);
        }
        pthread_cond_destroy(&locks->buckets[i].changed);
        pthread_mutex_destroy(&locks->buckets[i].lock);
    }
    mem_free(locks);
}

static struct entry *find_entry(struct bucket *bucket, uint32_t oid)
{
    struct entry *entry = bucket->entries;
    while (entry != NULL && entry->oid != oid)
        entry = entry->next;
    if (entry == NULL) {
        entry = mem_zalloc(sizeof(*entry));
        entry->oid = oid;
        entry->next = bucket->entries;
        bucket->entries = entry;
    }
    return entry;
}

static bool is_free(const struct entry *entry, enum table_lock_mode mode)
{
    switch (mode) {
    case TABLE_LOCK_INSERT:
        return !entry->upserter && entry->upserts_waiting == 0;
    case TABLE_LOCK_MODIFY:
        return !entry->upserter && !entry->modifier;
    case TABLE_LOCK_UPSERT:
        return !entry->upserter && !entry->modifier && entry->inserters == 0;
    }
    return false;
}

bool table_lock_take(struct table_locks *locks, uint32_t oid, enum table_lock_mode mode, int64_t wait_ms,
                     const _Atomic bool *cancel, uint64_t *epoch)
{
    struct bucket *bucket = &locks->buckets[oid % BUCKETS];
    pthread_mutex_lock(&bucket->lock);
    struct entry *entry = find_entry(bucket, oid);
    bool taken = is_free(entry, mode);
    if (!taken && wait_ms > 0) {
        int64_t deadline = clock_monotonic_ns() + wait_ms * 1000000;
        if (mode == TABLE_LOCK_UPSERT)
            entry->upserts_waiting++;
        while (!(taken = is_free(entry, mode))) {
            int64_t now = clock_monotonic_ns();
            if (now >= deadline || (cancel != NULL && *cancel))
                break;
            struct timespec until;
            clock_gettime(CLOCK_MONOTONIC, &until);
            int64_t ns = until.tv_nsec + (deadline - now < WAIT_SLICE_NS ? deadline - now : WAIT_SLICE_NS);
            until.tv_sec += ns / 1000000000;
            until.tv_nsec = ns % 1000000000;
            pthread_cond_timedwait(&bucket->changed, &bucket->lock, &until);
        }
        if (mode == TABLE_LOCK_UPSERT && --entry->upserts_waiting == 0 && !taken)
            pthread_cond_broadcast(&bucket->changed);
    }
    if (taken) {
        if (mode == TABLE_LOCK_INSERT)
            entry->inserters++;
        else if (mode == TABLE_LOCK_MODIFY)
            entry->modifier = true;
        else
            entry->upserter = true;
        if (epoch != NULL)
            *epoch = entry->epoch;
    }
    pthread_mutex_unlock(&bucket->lock);
    return taken;
}

void table_lock_give(struct table_locks *locks, uint32_t oid, enum table_lock_mode mode, uint64_t epoch)
{
    struct bucket *bucket = &locks->buckets[oid % BUCKETS];
    pthread_mutex_lock(&bucket->lock);
    struct entry *entry = find_entry(bucket, oid);
    if (mode == TABLE_LOCK_INSERT)
        entry->inserters--;
    else if (mode == TABLE_LOCK_MODIFY)
        entry->modifier = false;
    else
        entry->upserter = false;
    if (epoch > entry->epoch)
        entry->epoch = epoch;
    pthread_cond_broadcast(&bucket->changed);
    pthread_mutex_unlock(&bucket->lock);
}
