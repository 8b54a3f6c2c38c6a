/* timer.c: armed entries in a list; there are never more than connections. */
#include "server/timer.h"

#include "storage/base/arena.h"
#include "storage/base/clock.h"

#include <pthread.h>
#include <time.h>

struct timer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct timer_entry *armed;
    bool stopping;
};

static void timer_unlink(struct timer *timer, struct timer_entry *entry)
{
    if (entry->prev != NULL)
        entry->prev->next = entry->next;
    else
        timer->armed = entry->next;
    if (entry->next != NULL)
        entry->next->prev = entry->prev;
    entry->next = entry->prev = NULL;
    entry->armed = false;
}

static void *timer_main(void *arg)
{
    struct timer *timer = arg;
    pthread_mutex_lock(&timer->lock);
    while (!timer->stopping) {
        int64_t now_ns = clock_monotonic_ns();
        int64_t earliest_ns = INT64_MAX;
        for (struct timer_entry *entry = timer->armed, *next; entry != NULL; entry = next) {
            next = entry->next;
            if (entry->deadline_ns <= now_ns) {
                timer_unlink(timer, entry);
                entry->fire(entry->ctx);
            } else if (entry->deadline_ns < earliest_ns) {
                earliest_ns = entry->deadline_ns;
            }
        }
        if (earliest_ns == INT64_MAX) {
            pthread_cond_wait(&timer->changed, &timer->lock);
        } else {
            struct timespec until;
            clock_gettime(CLOCK_MONOTONIC, &until);
            int64_t wait_ns = earliest_ns - now_ns + until.tv_nsec;
            until.tv_sec += wait_ns / 1000000000;
            until.tv_nsec = wait_ns % 1000000000;
            pthread_cond_timedwait(&timer->changed, &timer->lock, &until);
        }
    }
    pthread_mutex_unlock(&timer->lock);
    return NULL;
}

struct timer *timer_start(void)
{
    struct timer *timer = mem_zalloc(sizeof(*timer));
    pthread_mutex_init(&timer->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&timer->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    CHECK(pthread_create(&timer->thread, NULL, timer_main, timer) == 0);
    return timer;
}

void timer_stop(struct timer *timer)
{
    pthread_mutex_lock(&timer->lock);
    timer->stopping = true;
    pthread_cond_signal(&timer->changed);
    pthread_mutex_unlock(&timer->lock);
    pthread_join(timer->thread, NULL);
    pthread_cond_destroy(&timer->changed);
    pthread_mutex_destroy(&timer->lock);
    mem_free(timer);
}

void timer_set(struct timer *timer, struct timer_entry *entry, int64_t deadline_ns, void (*fire)(void *ctx),
               void *ctx)
{
    pthread_mutex_lock(&timer->lock);
    if (entry->armed)
        timer_unlink(timer, entry);
    *entry = (struct timer_entry){.deadline_ns = deadline_ns, .fire = fire, .ctx = ctx, .armed = true};
    entry->next = timer->armed;
    if (timer->armed != NULL)
        timer->armed->prev = entry;
    timer->armed = entry;
    pthread_cond_signal(&timer->changed);
    pthread_mutex_unlock(&timer->lock);
}

void timer_clear(struct timer *timer, struct timer_entry *entry)
{
    pthread_mutex_lock(&timer->lock);
    if (entry->armed)
        timer_unlink(timer, entry);
    pthread_mutex_unlock(&timer->lock);
}
