/* lookup_source.c: see lookup_source.h. */
#include "executor/lookup_source.h"

#include <pthread.h>

struct lookup_source {
    pthread_mutex_t lock; /* once per batch with misses */
    void (*ask)(void *ctx, const struct batch *keys);
    void *ctx;
    _Atomic bool has_listener;
    _Atomic uint64_t hits, misses;
    _Atomic int64_t waiting;
};

struct lookup_source *lookup_source_create(void)
{
    struct lookup_source *source = mem_zalloc(sizeof(*source));
    pthread_mutex_init(&source->lock, NULL);
    return source;
}

void lookup_source_destroy(struct lookup_source *source)
{
    if (source == NULL)
        return;
    pthread_mutex_destroy(&source->lock);
    mem_free(source);
}

void lookup_source_listen(struct lookup_source *source, void (*ask)(void *ctx, const struct batch *keys),
                          void *ctx)
{
    pthread_mutex_lock(&source->lock);
    source->ask = ask;
    source->ctx = ctx;
    atomic_store(&source->has_listener, ask != NULL);
    pthread_mutex_unlock(&source->lock);
}

void lookup_source_ask(struct lookup_source *source, const struct batch *keys)
{
    pthread_mutex_lock(&source->lock);
    if (source->ask != NULL && keys->rows > 0)
        source->ask(source->ctx, keys);
    pthread_mutex_unlock(&source->lock);
}

void lookup_source_count(struct lookup_source *source, uint64_t hits, uint64_t misses)
{
    if (!atomic_load(&source->has_listener)) /* a replay */
        return;
    atomic_fetch_add(&source->hits, hits);
    atomic_fetch_add(&source->misses, misses);
}

void lookup_source_wait(struct lookup_source *source, int64_t rows)
{
    atomic_fetch_add(&source->waiting, rows);
}

void lookup_source_counts(struct lookup_source *source, struct lookup_counts *out)
{
    *out = (struct lookup_counts){.hits = atomic_load(&source->hits),
                                  .misses = atomic_load(&source->misses),
                                  .waiting = atomic_load(&source->waiting)};
}
