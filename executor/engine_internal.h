/* engine_internal.h: struct engine, for engine.c (threads, staging, publishing), tick.c (one tick),
 * engine_ddl.c and subscription.c. */
#ifndef MILLRACE_EXECUTOR_ENGINE_INTERNAL_H
#define MILLRACE_EXECUTOR_ENGINE_INTERNAL_H

#include "executor/dataflow.h"
#include "executor/engine.h"
#include "executor/relation_internal.h"
#include "executor/workers.h"

#include <pthread.h>

/* A transaction waiting for its tick. */
struct staged_txn {
    struct staged_txn *next;
    const struct engine_txn *txn;
    uint64_t rows;
    void (*done)(void *ctx, uint64_t epoch, const struct error *err);
    void *done_ctx;
    struct error error; /* why it was rejected */
};

/* Work for the engine's thread between two ticks. */
struct command {
    struct command *next;
    void (*run)(struct engine *engine, void *ctx);
    void *ctx;
    bool done;
};

/* A net change on its way to one subscriber. */
struct subscription_message {
    struct subscription_message *next;
    uint64_t epoch;
    struct arena arena;
    const struct batch *rows;
    int64_t bytes;
    struct subscription *to; /* while the tick is unpublished */
};

/* A tick that is computed and not yet published. */
struct pending_tick {
    struct pending_tick *next;
    uint64_t epoch;
    bool computed, durable;
    struct error log_error; /* code NONE: written */
    struct staged_txn *transactions;
    struct subscription_message *messages;
    bool has_outgoing; /* it has appended to an outbox */
};

struct engine {
    uint32_t shards_count, threads_count;
    uint32_t tick_rows_max;
    int64_t backfill_bytes;
    struct tick_log *log;
    struct account *account;
    struct snapshots *snapshots;
    struct workers *workers;
    pthread_t thread;

    pthread_mutex_t lock; /* staging, commands, pending ticks */
    pthread_cond_t work;  /* the engine's thread waits for staged transactions and commands */
    pthread_cond_t
        done; /* commands finished; staging has room; a tick was published; somebody was cancelled */
    struct staged_txn *staged_first, *staged_last;
    uint64_t staged_rows;
    struct command *commands_first, *commands_last;
    struct pending_tick *pending_first, *pending_last;
    uint32_t pending_count;
    uint32_t
        holds; /* views and indexes that writers have to wait for: no transaction is taken while there are any */
    bool stopping;
    bool checkpoint_waits;         /* for room where its pieces go, or for its end */
    bool held;                     /* the log cannot be written for now: no tick begins */
    bool gives_up;                 /* engine_give_up */
    bool lost;                     /* a tick was given up: what is in memory never becomes durable */
    struct error held_error;       /* why */
    _Atomic bool recovering;       /* ticks are not logged */
    _Atomic int64_t fill_clock_us; /* recovering: of views that are filled; INT64_MIN: the present */

    /* engine's thread only */
    uint64_t epoch;              /* newest computed */
    int64_t clock_us;            /* of its tick */
    struct relation **relations; /* that have ever held rows: what a checkpoint saves */
    uint32_t relations_count, relations_cap;
    struct checkpoint *checkpoint; /* the one that is running; NULL: none is */
    bool checkpoint_stale;         /* what it lists may be gone */
    uint64_t visits;               /* dataflow_is_reached */
    struct arena tick_arena;
    struct relation **touched; /* this tick */
    uint32_t touched_count, touched_cap;
    struct dataflow **failed; /* views that failed in this tick */
    uint32_t failed_count, failed_cap;
    struct relation **trims; /* hold before-images */
    uint32_t trims_count, trims_cap;
    struct dataflow **schedule; /* of this tick, by level and order */
    uint32_t schedule_count, schedule_cap;

    struct relation **watermarked; /* relations with rows and a watermark of their own */
    uint32_t watermarked_count, watermarked_cap;
    struct backfill *backfills;   /* views that are being filled, which every tick is recorded for */
    struct index_job *index_jobs; /* indexes that are being filled, which changes are noted for */
    struct relation **caches;     /* of external tables */
    uint32_t caches_count, caches_cap;
    struct relation **retained; /* relations with rows and a retention */
    uint32_t retained_count, retained_cap;
    struct relation **kept; /* relations with kept_rows.h */
    uint32_t kept_count, kept_cap;
    struct dataflow **timed; /* wait for a clock */
    uint32_t timed_count, timed_cap;
    int64_t wake_us; /* clock at which something is due though no row comes; INT64_MAX: nothing */

    struct outbox_listener *outbox_listeners; /* under `lock`; outbox.c */

    pthread_mutex_t subscriptions_lock; /* the list below, for waking */
    struct subscription *subscriptions;

    _Atomic uint64_t
        checkpoint_epoch;       /* of the newest that was complete, whether it became valid or not; 0: none */
    _Atomic uint64_t delivered; /* subscribers have got everything up to this epoch */
    _Atomic uint64_t stat_ticks, stat_transactions, stat_rows_in, stat_rows_processed, stat_durable,
        stat_computed;
    _Atomic int64_t stat_busy_ns;
};

/* tick.c */
/* transactions NULL: a tick that the clock asks for. */
void engine_run_tick(struct engine *engine, struct staged_txn *transactions);
/* The next clock at which something is due. */
int64_t engine_next_due(struct engine *engine);
/* The dataflow may have something due by the clock; it goes. */
void engine_note_timer(struct engine *engine, struct dataflow *flow);
void engine_forget_timer(struct engine *engine, struct dataflow *flow);
/* The relation holds rows from now on; it goes. */
void engine_list_relation(struct engine *engine, struct relation *relation);
void engine_unlist_relation(struct engine *engine, struct relation *relation);
/* Its watermark may move by itself. */
void engine_list_watermark(struct engine *engine, struct relation *relation);
/* It holds rows that will have to go (nothing happens without a retention). */
void engine_list_retention(struct engine *engine, struct relation *relation);
/* A tick that changes nothing: its epoch is visible when this returns, unless the log has failed. */
uint64_t engine_empty_tick(struct engine *engine, int64_t *clock_us, uint64_t *seed);
/* The relation may hold what a later trim can take away. */
void engine_note_trim(struct engine *engine, struct relation *relation);
/* engine.c: the tick's input is known: it gets its place in the order and goes to the log. */
struct tick_log_entry;
void engine_log_tick(struct engine *engine, struct pending_tick *tick, int64_t clock_us, uint64_t seed,
                     const struct tick_log_entry *entries, uint32_t entries_count);
/* false: the log cannot be written for now; no tick should begin that can be refused. */
MUST_CHECK
bool engine_may_log(struct engine *engine, struct error *err);
/* The tick is computed: it is published once it is durable as well. */
void engine_finish_tick(struct engine *engine, struct pending_tick *tick);
/* Answers transactions that changed nothing: all of them were rejected. */
void engine_acknowledge(struct pending_tick *tick);
/* Runs fn on the engine's thread at a tick boundary and waits. */
void engine_command(struct engine *engine, void (*run)(struct engine *engine, void *ctx), void *ctx);
/* Writers wait, or not any more, for a view or an index that is behind; *holds: whether they do for this one. */
void engine_hold(struct engine *engine, bool *holds, bool hold);
/* engine_index.c: after a tick: indexes that are being filled may have too many changes before them. */
void engine_index_noted(struct engine *engine);
/* Engine's thread: waits until everything computed is published. */
void engine_drain(struct engine *engine);
/* Replay: what is computed is visible at once. */
void engine_published(struct engine *engine);
/* checkpoint.c: copies for about budget_ns; checkpoint_waits when there is nothing to copy, or no room for it. */
void checkpoint_step(struct engine *engine, int64_t budget_ns);
/* subscription.c */
struct subscription_message *subscription_collect(struct relation *relation, uint64_t epoch,
                                                  struct subscription_message *list);
void subscription_deliver(struct subscription_message *messages);
void subscription_discard(struct subscription_message *messages);
void subscription_relation_dropped(struct relation *relation);
/* Readers get its failure after the changes that came before. */
void subscription_relation_failed(struct relation *relation);

#endif
