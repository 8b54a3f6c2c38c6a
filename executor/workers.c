/* workers.c: a fixed pool with one generation counter; threads spin briefly, then sleep on a condition. Thread t runs the
 * shards t, t + threads, t + 2 threads ..., so that a shard stays with its thread. */
#include "executor/workers.h"

#include "storage/base/arena.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define SPIN_ROUNDS 200

struct workers {
    uint32_t shards_count, threads_count; /* threads: with the caller */
    pthread_t *threads;
    pthread_mutex_t lock;
    pthread_cond_t start, finished;
    _Atomic uint64_t generation;
    _Atomic uint32_t running;
    bool stopping;
    void (*fn)(void *ctx, uint32_t shard);
    void *ctx;
};

struct worker_start {
    struct workers *workers;
    uint32_t thread;
};

static void run_shards(struct workers *workers, uint32_t thread)
{
    for (uint32_t shard = thread; shard < workers->shards_count; shard += workers->threads_count)
        workers->fn(workers->ctx, shard);
}

static void *worker_main(void *arg)
{
    struct worker_start start = *(struct worker_start *)arg;
    mem_free(arg);
    struct workers *workers = start.workers;
    uint64_t seen = 0;
    for (;;) {
        for (int i = 0;
             i < SPIN_ROUNDS && atomic_load_explicit(&workers->generation, memory_order_acquire) == seen; i++)
            sched_yield();
        pthread_mutex_lock(&workers->lock);
        while (atomic_load(&workers->generation) == seen && !workers->stopping)
            pthread_cond_wait(&workers->start, &workers->lock);
        bool stop = workers->stopping;
        seen = atomic_load(&workers->generation);
        pthread_mutex_unlock(&workers->lock);
        if (stop)
            return NULL;
        run_shards(workers, start.thread);
        if (atomic_fetch_sub(&workers->running, 1) == 1) {
            pthread_mutex_lock(&workers->lock);
            pthread_cond_signal(&workers->finished);
            pthread_mutex_unlock(&workers->lock);
        }
    }
}

struct workers *workers_create(uint32_t threads_count, uint32_t shards_count)
{
    struct workers *workers = mem_zalloc(sizeof(*workers));
    workers->shards_count = shards_count;
    workers->threads_count = threads_count < shards_count ? threads_count : shards_count;
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->start, NULL);
    pthread_cond_init(&workers->finished, NULL);
    workers->threads = mem_zalloc(sizeof(pthread_t) * workers->threads_count);
    for (uint32_t thread = 1; thread < workers->threads_count; thread++) {
        struct worker_start *start = mem_alloc(sizeof(*start));
        *start = (struct worker_start){workers, thread};
        CHECK(pthread_create(&workers->threads[thread], NULL, worker_main, start) == 0);
    }
    return workers;
}

void workers_destroy(struct workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    workers->stopping = true;
    pthread_cond_broadcast(&workers->start);
    pthread_mutex_unlock(&workers->lock);
    for (uint32_t thread = 1; thread < workers->threads_count; thread++)
        pthread_join(workers->threads[thread], NULL);
    pthread_cond_destroy(&workers->start);
    pthread_cond_destroy(&workers->finished);
    pthread_mutex_destroy(&workers->lock);
    mem_free(workers->threads);
    mem_free(workers);
}

void workers_run(struct workers *workers, bool parallel, void (*fn)(void *ctx, uint32_t shard), void *ctx)
{
    if (!parallel || workers->threads_count == 1) {
        for (uint32_t shard = 0; shard < workers->shards_count; shard++)
            fn(ctx, shard);
        return;
    }
    pthread_mutex_lock(&workers->lock);
    workers->fn = fn;
    workers->ctx = ctx;
    atomic_store(&workers->running, workers->threads_count - 1);
    atomic_fetch_add_explicit(&workers->generation, 1, memory_order_release);
    pthread_cond_broadcast(&workers->start);
    pthread_mutex_unlock(&workers->lock);
    run_shards(workers, 0);
    for (int i = 0; i < SPIN_ROUNDS && atomic_load(&workers->running) > 0; i++)
        sched_yield();
    pthread_mutex_lock(&workers->lock);
    while (atomic_load(&workers->running) > 0)
        pthread_cond_wait(&workers->finished, &workers->lock);
    pthread_mutex_unlock(&workers->lock);
}
