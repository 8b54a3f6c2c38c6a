/* timer.h: one thread that calls functions at deadlines: statement_timeout. It sleeps until the earliest one.
 */
#ifndef MILLRACE_SERVER_TIMER_H
#define MILLRACE_SERVER_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct timer;

/* Belongs to its user; zero before the first timer_set. */
struct timer_entry {
    int64_t deadline_ns;     /* clock_monotonic_ns */
    void (*fire)(void *ctx); /* on the timer's thread, under its lock: short, and no timer_* calls */
    void *ctx;
    struct timer_entry *next, *prev;
    bool armed;
};

struct timer *timer_start(void);
void timer_stop(struct timer *timer);
/* Arms the entry, or moves its deadline. */
void timer_set(struct timer *timer, struct timer_entry *entry, int64_t deadline_ns, void (*fire)(void *ctx),
               void *ctx);
/* After it returns, the entry neither fires nor is firing. */
void timer_clear(struct timer *timer, struct timer_entry *entry);

#endif
