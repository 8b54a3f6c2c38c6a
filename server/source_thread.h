/* source_thread.h: a thread that reads from a connector and keeps some transactions in flight: while the engine works on one
 * tick of them, the next are decoded. What it reads is the business of its kind (source_rows.h, source_log.h). */
#ifndef MILLRACE_SERVER_SOURCE_THREAD_H
#define MILLRACE_SERVER_SOURCE_THREAD_H

#include "executor/engine.h"
#include "storage/base/arena.h"

#include <pthread.h>

struct source_thread;

#define IN_FLIGHT 4u

/* One transaction and the memory it lies in. */
struct flight {
    struct source_thread *thread;
    struct arena arena; /* reset by source_thread_take */
    struct engine_txn txn;
    void *of; /* the kind's, in the arena */
    bool busy;
};

struct source_thread {
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t cond;
    struct flight flights[IN_FLIGHT];
    bool stopping, paused, woken;
    bool is_failed; /* error says why; it waits to be stopped or altered */
    struct error error;
    int64_t poll_cpu_ns; /* what connector and format have used */
    /* A flight has landed; under the lock, from the engine's or the log's thread. */
    void (*landed)(struct source_thread *thread, struct flight *flight, const struct error *err);
};

/* account: of the flights' arenas. */
void source_thread_init(struct source_thread *thread, struct account *account,
                        void (*landed)(struct source_thread *thread, struct flight *flight,
                                       const struct error *err));
void source_thread_start(struct source_thread *thread, void *(*run)(void *ctx), void *ctx);
/* Asks it to stop; source_thread_join waits until it has and frees what is in here. */
void source_thread_stop(struct source_thread *thread);
void source_thread_join(struct source_thread *thread);

/* ---- for others ---- */

void source_thread_set_paused(struct source_thread *thread, bool paused);
/* There may be something to do. */
void source_thread_wake(struct source_thread *thread);

/* ---- for the thread itself ---- */

/* It is to stop, to pause, or has failed. */
bool source_thread_is_interrupted(struct source_thread *thread);
bool source_thread_is_stopping(struct source_thread *thread);
/* Waits for a free flight; NULL when it is interrupted. The caller sends it or gives it back. */
struct flight *source_thread_take(struct source_thread *thread);
void source_thread_send(struct source_thread *thread, struct engine *engine, struct flight *flight);
void source_thread_give(struct source_thread *thread, struct flight *flight);
/* None is in the air, or about to be. Under the lock, any thread. */
bool source_thread_has_landed(const struct source_thread *thread);
/* Waits until none is in the air. */
void source_thread_land(struct source_thread *thread);
/* Waits until it is woken or interrupted, or until the time comes (clock_monotonic_ns; INT64_MAX: never). A wake that came
 * since the last wait ends it at once. */
void source_thread_wait(struct source_thread *thread, int64_t until_ns);
/* Waits while it is paused or has failed. false: it is to stop. */
bool source_thread_wait_going(struct source_thread *thread);
void source_thread_fail(struct source_thread *thread, const struct error *err);
void source_thread_add_cpu(struct source_thread *thread, int64_t cpu_ns);

#endif
