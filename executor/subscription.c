/* subscription.c: a relation's changes for one reader, tick by tick.
 *
 * The engine copies a tick's net change once per subscriber and hands it over when the tick is published, so
 * that nobody sees what is not durable. A reader that lets more than SUBSCRIBE_BYTES_MAX pile up is cut off.
 */
#include "executor/engine_internal.h"

#include "storage/base/clock.h"

#include <time.h>

struct subscription {
    struct engine *engine;
    struct relation *relation;
    uint32_t columns_count;                /* of what the reader gets */
    struct subscription *next_of_relation; /* engine's thread */
    struct subscription *next_of_engine;   /* engine->subscriptions_lock */
    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct subscription_message *first, *last;
    struct subscription_message *shown; /* what the reader borrows */
    int64_t waiting_bytes;
    bool overflow, dropped, failed;
};

static void message_free(struct subscription_message *message)
{
    if (message == NULL)
        return;
    arena_release(&message->arena);
    mem_free(message);
}

/* The first columns of the relation's whole change of this tick, deletes first. */
static const struct batch *net_change(struct relation *relation, uint32_t columns_count, struct arena *arena)
{
    struct batch *all = batch_create(arena, relation_shape(relation)->types, columns_count,
                                     (uint32_t)feed_rows(&relation->feed));
    for (int sign = -1; sign <= 1; sign += 2) {
        for (uint32_t shard = 0; shard < relation->shards_count; shard++) {
            const struct feed_shard *list = &relation->feed.shards[shard];
            for (uint32_t b = 0; b < list->count; b++) {
                const struct batch *batch = list->batches[b];
                if (batch->weights == NULL) {
                    if (sign > 0)
                        batch_append_range(all, batch, 0, batch->rows, 1);
                    continue;
                }
                uint32_t *rows = mem_alloc(sizeof(*rows) * batch->rows);
                uint32_t count = 0;
                for (uint32_t row = 0; row < batch->rows; row++) {
                    rows[count] = row;
                    count += (batch->weights[row] > 0) == (sign > 0);
                }
                batch_append_rows(all, batch, rows, count, 1);
                mem_free(rows);
            }
        }
    }
    return all->weights == NULL ? all : batch_consolidate(all, arena);
}

struct subscription_message *subscription_collect(struct relation *relation, uint64_t epoch,
                                                  struct subscription_message *list)
{
    for (struct subscription *to = relation->subscriptions; to != NULL; to = to->next_of_relation) {
        struct subscription_message *message = mem_zalloc(sizeof(*message));
        arena_init(&message->arena, &relation->account);
        message->epoch = epoch;
        message->rows = net_change(relation, to->columns_count, &message->arena);
        message->bytes = (int64_t)message->arena.total_bytes;
        message->to = to;
        message->next = list;
        list = message;
    }
    return list;
}

void subscription_deliver(struct subscription_message *messages)
{
    while (messages != NULL) {
        struct subscription_message *message = messages;
        messages = message->next;
        message->next = NULL;
        struct subscription *to = message->to;
        pthread_mutex_lock(&to->lock);
        if (to->overflow || message->rows->rows == 0) {
            message_free(message);
        } else if (to->waiting_bytes + message->bytes > (int64_t)SUBSCRIBE_BYTES_MAX && to->first != NULL) {
            to->overflow = true;
            message_free(message);
        } else {
            to->waiting_bytes += message->bytes;
            if (to->last != NULL)
                to->last->next = message;
            else
                to->first = message;
            to->last = message;
        }
        pthread_cond_signal(&to->cond);
        pthread_mutex_unlock(&to->lock);
    }
}

void subscription_discard(struct subscription_message *messages)
{
    while (messages != NULL) {
        struct subscription_message *message = messages;
        messages = message->next;
        message_free(message);
    }
}

void subscription_relation_dropped(struct relation *relation)
{
    for (struct subscription *to = relation->subscriptions; to != NULL; to = to->next_of_relation) {
        pthread_mutex_lock(&to->lock);
        to->dropped = true;
        pthread_cond_signal(&to->cond);
        pthread_mutex_unlock(&to->lock);
    }
}

void subscription_relation_failed(struct relation *relation)
{
    for (struct subscription *to = relation->subscriptions; to != NULL; to = to->next_of_relation) {
        pthread_mutex_lock(&to->lock);
        to->failed = true;
        pthread_cond_signal(&to->cond);
        pthread_mutex_unlock(&to->lock);
    }
}

static bool failure_of(struct relation *relation, struct error *err)
{
    pthread_mutex_lock(&relation->lock);
    *err = relation->failure;
    pthread_mutex_unlock(&relation->lock);
    return false;
}

struct subscribe {
    struct subscription *subscription;
    uint64_t epoch;
    bool dropped, failed;
};

static void run_subscribe(struct engine *engine, void *ctx)
{
    struct subscribe *subscribe = ctx;
    struct subscription *subscription = subscribe->subscription;
    subscribe->dropped = subscription->relation->dropped;
    subscribe->failed = atomic_load(&subscription->relation->failed);
    if (subscribe->dropped || subscribe->failed)
        return;
    engine_drain(engine); /* so that the newest computed epoch is the one to show first */
    subscribe->epoch = snapshot_open(engine->snapshots, 0);
    subscription->next_of_relation = subscription->relation->subscriptions;
    subscription->relation->subscriptions = subscription;
}

bool engine_subscribe(struct engine *engine, struct relation *relation, uint32_t columns_count,
                      struct subscription **out, uint64_t *epoch, struct error *err)
{
    struct subscription *subscription = mem_zalloc(sizeof(*subscription));
    subscription->engine = engine;
    subscription->relation = relation;
    subscription->columns_count = columns_count;
    relation_retain(relation);
    pthread_mutex_init(&subscription->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&subscription->cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
    struct subscribe subscribe = {.subscription = subscription};
    engine_command(engine, run_subscribe, &subscribe);
    if (subscribe.dropped || subscribe.failed) {
        if (subscribe.dropped)
            error_set(err, ERRCODE_UNDEFINED_TABLE, "relation \"%s\" does not exist", relation->name);
        else
            (void)failure_of(relation, err);
        pthread_mutex_destroy(&subscription->lock);
        pthread_cond_destroy(&subscription->cond);
        mem_free(subscription);
        relation_release(relation);
        return false;
    }
    pthread_mutex_lock(&engine->subscriptions_lock);
    subscription->next_of_engine = engine->subscriptions;
    engine->subscriptions = subscription;
    pthread_mutex_unlock(&engine->subscriptions_lock);
    *out = subscription;
    *epoch = subscribe.epoch;
    return true;
}

static bool wait_for_news(struct subscription *subscription, int64_t deadline_ns)
{
    if (deadline_ns == 0)
        return pthread_cond_wait(&subscription->cond, &subscription->lock) == 0;
    struct timespec until = {.tv_sec = deadline_ns / 1000000000, .tv_nsec = deadline_ns % 1000000000};
    return pthread_cond_timedwait(&subscription->cond, &subscription->lock, &until) == 0;
}

bool subscription_next(struct subscription *subscription, int64_t deadline_ns, const _Atomic bool *cancel,
                       uint64_t *epoch, const struct batch **rows, struct error *err)
{
    *rows = NULL;
    message_free(subscription->shown);
    subscription->shown = NULL;
    pthread_mutex_lock(&subscription->lock);
    bool in_time = true;
    uint64_t delivered;
    for (;;) {
        delivered = atomic_load(&subscription->engine->delivered);
        if (subscription->first != NULL || subscription->overflow || subscription->dropped ||
            subscription->failed || !in_time || (cancel != NULL && atomic_load(cancel)))
            break;
        in_time = wait_for_news(subscription, deadline_ns);
    }
    struct subscription_message *message = subscription->first;
    bool ok = true;
    if (cancel != NULL && atomic_load(cancel)) {
        ok = error_set(err, ERRCODE_QUERY_CANCELED, "canceling statement due to user request");
    } else if (message != NULL) {
        subscription->first = message->next;
        if (subscription->first == NULL)
            subscription->last = NULL;
        subscription->waiting_bytes -= message->bytes;
        subscription->shown = message;
        *rows = message->rows;
        *epoch = message->epoch;
    } else if (subscription->overflow) {
        ok = error_set(err, ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                       "the subscription to \"%s\" was closed: its reader is too slow",
                       subscription->relation->name);
    } else if (subscription->failed) {
        ok = failure_of(subscription->relation, err);
    } else if (subscription->dropped) {
        ok = error_set(err, ERRCODE_UNDEFINED_TABLE, "relation \"%s\" was dropped",
                       subscription->relation->name);
    } else {
        *epoch = delivered; /* read before the queue was seen empty: everything up to it has been given */
    }
    pthread_mutex_unlock(&subscription->lock);
    return ok;
}

void engine_wake_waiters(struct engine *engine)
{
    pthread_mutex_lock(&engine->subscriptions_lock);
    for (struct subscription *it = engine->subscriptions; it != NULL; it = it->next_of_engine) {
        pthread_mutex_lock(&it->lock);
        pthread_cond_signal(&it->cond);
        pthread_mutex_unlock(&it->lock);
    }
    pthread_mutex_unlock(&engine->subscriptions_lock);
    pthread_mutex_lock(&engine->lock);
    pthread_cond_broadcast(&engine->done);
    pthread_mutex_unlock(&engine->lock);
}

static void run_unsubscribe(struct engine *engine, void *ctx)
{
    struct subscription *subscription = ctx;
    engine_drain(engine); /* no message to it is on its way */
    struct subscription **link = &subscription->relation->subscriptions;
    while (*link != subscription)
        link = &(*link)->next_of_relation;
    *link = subscription->next_of_relation;
}

void subscription_end(struct subscription *subscription)
{
    struct engine *engine = subscription->engine;
    engine_command(engine, run_unsubscribe, subscription);
    pthread_mutex_lock(&engine->subscriptions_lock);
    struct subscription **link = &engine->subscriptions;
    while (*link != subscription)
        link = &(*link)->next_of_engine;
    *link = subscription->next_of_engine;
    pthread_mutex_unlock(&engine->subscriptions_lock);
    while (subscription->first != NULL) {
        struct subscription_message *message = subscription->first;
        subscription->first = message->next;
        message_free(message);
    }
    message_free(subscription->shown);
    relation_release(subscription->relation);
    pthread_mutex_destroy(&subscription->lock);
    pthread_cond_destroy(&subscription->cond);
    mem_free(subscription);
}
