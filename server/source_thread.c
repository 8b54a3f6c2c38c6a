/* source_thread.c: see source_thread.h. */
#include "server/source_thread.h"

#include <time.h>

void source_thread_init(struct source_thread *thread, struct account *account,
                        void (*landed)(struct source_thread *thread, struct flight *flight,
                                       const struct error *err))
{
    pthread_condattr_t monotonic;
    pthread_mutex_init(&thread->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&thread->cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
    thread->landed = landed;
    for (uint32_t i = 0; i < IN_FLIGHT; i++) {
        thread->flights[i].thread = thread;
        arena_init(&thread->flights[i].arena, account);
    }
}

void source_thread_start(struct source_thread *thread, void *(*run)(void *ctx), void *ctx)
{
    CHECK(pthread_create(&thread->thread, NULL, run, ctx) == 0);
}

void source_thread_stop(struct source_thread *thread)
{
    pthread_mutex_lock(&thread->lock);
    thread->stopping = true;
    pthread_cond_broadcast(&thread->cond);
    pthread_mutex_unlock(&thread->lock);
}

void source_thread_join(struct source_thread *thread)
{
    pthread_join(thread->thread, NULL);
    for (uint32_t i = 0; i < IN_FLIGHT; i++)
        arena_release(&thread->flights[i].arena);
    pthread_mutex_destroy(&thread->lock);
    pthread_cond_destroy(&thread->cond);
}

void source_thread_set_paused(struct source_thread *thread, bool paused)
{
    pthread_mutex_lock(&thread->lock);
    thread->paused = paused;
    pthread_cond_broadcast(&thread->cond);
    pthread_mutex_unlock(&thread->lock);
}

void source_thread_wake(struct source_thread *thread)
{
    pthread_mutex_lock(&thread->lock);
    thread->woken = true;
    pthread_cond_broadcast(&thread->cond);
    pthread_mutex_unlock(&thread->lock);
}

static bool is_interrupted(const struct source_thread *thread)
{
    return thread->stopping || thread->paused || thread->is_failed;
}

bool source_thread_is_interrupted(struct source_thread *thread)
{
    pthread_mutex_lock(&thread->lock);
    bool interrupted = is_interrupted(thread);
    pthread_mutex_unlock(&thread->lock);
    return interrupted;
}

bool source_thread_is_stopping(struct source_thread *thread)
{
    pthread_mutex_lock(&thread->lock);
    bool stopping = thread->stopping;
    pthread_mutex_unlock(&thread->lock);
    return stopping;
}

struct flight *source_thread_take(struct source_thread *thread)
{
    struct flight *found = NULL;
    pthread_mutex_lock(&thread->lock);
    while (!is_interrupted(thread)) {
        for (uint32_t i = 0; i < IN_FLIGHT && found == NULL; i++)
            if (!thread->flights[i].busy)
                found = &thread->flights[i];
        if (found != NULL)
            break;
        pthread_cond_wait(&thread->cond, &thread->lock);
    }
    if (found != NULL)
        found->busy = true;
    pthread_mutex_unlock(&thread->lock);
    if (found != NULL)
        arena_reset(&found->arena);
    return found;
}

static void land(struct flight *flight, const struct error *err, bool was_sent)
{
    struct source_thread *thread = flight->thread;
    pthread_mutex_lock(&thread->lock);
    if (was_sent)
        thread->landed(thread, flight, err);
    flight->busy = false;
    pthread_cond_broadcast(&thread->cond);
    pthread_mutex_unlock(&thread->lock);
}

static void sent(void *ctx, uint64_t epoch, const struct error *err)
{
    (void)epoch;
    land(ctx, err, true);
}

void source_thread_send(struct source_thread *thread, struct engine *engine, struct flight *flight)
{
    (void)thread;
    engine_commit_async(engine, &flight->txn, sent, flight);
}

void source_thread_give(struct source_thread *thread, struct flight *flight)
{
    (void)thread;
    land(flight, NULL, false);
}

bool source_thread_has_landed(const struct source_thread *thread)
{
    bool any = false;
    for (uint32_t i = 0; i < IN_FLIGHT; i++)
        any |= thread->flights[i].busy;
    return !any;
}

void source_thread_land(struct source_thread *thread)
{
    pthread_mutex_lock(&thread->lock);
    for (uint32_t i = 0; i < IN_FLIGHT; i++)
        while (thread->flights[i].busy)
            pthread_cond_wait(&thread->cond, &thread->lock);
    pthread_mutex_unlock(&thread->lock);
}

void source_thread_wait(struct source_thread *thread, int64_t until_ns)
{
    struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    pthread_mutex_lock(&thread->lock);
    int waited = 0;
    while (!is_interrupted(thread) && !thread->woken && waited == 0)
        waited = until_ns == INT64_MAX ? pthread_cond_wait(&thread->cond, &thread->lock)
                                       : pthread_cond_timedwait(&thread->cond, &thread->lock, &until);
    thread->woken = false;
    pthread_mutex_unlock(&thread->lock);
}

bool source_thread_wait_going(struct source_thread *thread)
{
    pthread_mutex_lock(&thread->lock);
    while (!thread->stopping && (thread->paused || thread->is_failed))
        pthread_cond_wait(&thread->cond, &thread->lock);
    bool goes = !thread->stopping;
    pthread_mutex_unlock(&thread->lock);
    return goes;
}

void source_thread_fail(struct source_thread *thread, const struct error *err)
{
    pthread_mutex_lock(&thread->lock);
    if (!thread->is_failed) {
        thread->is_failed = true;
        thread->error = *err;
    }
    pthread_cond_broadcast(&thread->cond);
    pthread_mutex_unlock(&thread->lock);
}

void source_thread_add_cpu(struct source_thread *thread, int64_t cpu_ns)
{
    pthread_mutex_lock(&thread->lock);
    thread->poll_cpu_ns += cpu_ns;
    pthread_mutex_unlock(&thread->lock);
}
