/* waits.c: see waits.h. One mutex and one condition for all: waits are rare and short lists. Nobody starves:
 * a waiter stands in the list from the time it asked, and a later exclusive or conflicting one queues behind
 * it. */
#include "server/waits.h"

#include "server/session.h"
#include "storage/base/clock.h"

#include <errno.h>
#include <time.h>

struct holding {
    struct holding *next;
    struct session *session;
    struct advisory_key key;
    bool is_shared, is_granted, in_transaction;
    uint32_t count;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct holding *holdings; /* in the order in which they were asked for */
    _Atomic uint32_t holdings_count;
} waits = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t waits_once = PTHREAD_ONCE_INIT;

static void make_condition(void)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&waits.changed, &attr);
    pthread_condattr_destroy(&attr);
}

/* Under the lock. false: the deadline has passed. */
static bool wait_change(int64_t deadline_ns)
{
    if (deadline_ns == INT64_MAX) {
        pthread_cond_wait(&waits.changed, &waits.lock);
        return true;
    }
    struct timespec until = {.tv_sec = deadline_ns / 1000000000, .tv_nsec = deadline_ns % 1000000000};
    return pthread_cond_timedwait(&waits.changed, &waits.lock, &until) != ETIMEDOUT;
}

bool wait_until(int64_t deadline_ns, const _Atomic bool *cancel)
{
    pthread_once(&waits_once, make_condition);
    pthread_mutex_lock(&waits.lock);
    while (!(cancel != NULL && atomic_load(cancel)) && clock_monotonic_ns() < deadline_ns)
        (void)wait_change(deadline_ns);
    pthread_mutex_unlock(&waits.lock);
    return !(cancel != NULL && atomic_load(cancel));
}

void waits_wake(void)
{
    pthread_once(&waits_once, make_condition);
    pthread_mutex_lock(&waits.lock);
    pthread_cond_broadcast(&waits.changed);
    pthread_mutex_unlock(&waits.lock);
}

/* ---- advisory locks ---- */

static bool same_key(const struct advisory_key *a, const struct advisory_key *b)
{
    return a->high == b->high && a->low == b->low && a->is_pair == b->is_pair;
}

static bool conflicts(const struct holding *other, const struct session *session,
                      const struct advisory_key *key, bool is_shared)
{
    return other->session != session && same_key(&other->key, key) && !(other->is_shared && is_shared);
}

/* May `wanted` be granted: nobody before it in the list, granted or waiting, stands against it. One that
 * holds the key already does not wait behind those who wait for it. */
static bool is_free(const struct holding *wanted)
{
    bool holds = false, before = true;
    for (const struct holding *other = waits.holdings; other != NULL; other = other->next)
        holds |= other != wanted && other->is_granted && other->session == wanted->session &&
                 same_key(&other->key, &wanted->key);
    for (const struct holding *other = waits.holdings; other != NULL; other = other->next) {
        if (other == wanted) {
            before = false;
            continue;
        }
        bool counts = other->is_granted || (before && !holds);
        if (counts && conflicts(other, wanted->session, &wanted->key, wanted->is_shared))
            return false;
    }
    return true;
}

static void drop(struct holding **slot)
{
    struct holding *gone = *slot;
    *slot = gone->next;
    mem_free(gone);
    atomic_fetch_sub(&waits.holdings_count, 1);
    pthread_cond_broadcast(&waits.changed);
}

static struct holding **slot_of(const struct holding *holding)
{
    struct holding **slot = &waits.holdings;
    while (*slot != holding)
        slot = &(*slot)->next;
    return slot;
}

enum advisory_result advisory_lock(struct session *session, struct advisory_key key, bool is_shared,
                                   bool in_transaction, int64_t deadline_ns)
{
    pthread_once(&waits_once, make_condition);
    enum advisory_result result = ADVISORY_TAKEN;
    pthread_mutex_lock(&waits.lock);
    struct holding **end = &waits.holdings;
    for (; *end != NULL; end = &(*end)->next) {
        struct holding *held = *end;
        if (held->session == session && same_key(&held->key, &key) && held->is_shared == is_shared &&
            held->in_transaction == in_transaction) {
            held->count++;
            goto done;
        }
    }
    struct holding *wanted = mem_zalloc(sizeof(*wanted));
    *wanted = (struct holding){
        .session = session, .key = key, .is_shared = is_shared, .in_transaction = in_transaction, .count = 1};
    *end = wanted;
    atomic_fetch_add(&waits.holdings_count, 1);
    while (!is_free(wanted)) {
        if (atomic_load(&session->cancel))
            result = ADVISORY_CANCELLED;
        else if (deadline_ns == 0 || clock_monotonic_ns() >= deadline_ns)
            result = ADVISORY_BUSY;
        if (result != ADVISORY_TAKEN) {
            drop(slot_of(wanted));
            goto done;
        }
        (void)wait_change(deadline_ns);
    }
    wanted->is_granted = true;
done:
    pthread_mutex_unlock(&waits.lock);
    return result;
}

bool advisory_unlock(struct session *session, struct advisory_key key, bool is_shared)
{
    bool found = false;
    pthread_mutex_lock(&waits.lock);
    for (struct holding **slot = &waits.holdings; *slot != NULL && !found; slot = &(*slot)->next) {
        struct holding *held = *slot;
        found = held->session == session && held->is_granted && !held->in_transaction &&
                same_key(&held->key, &key) && held->is_shared == is_shared;
        if (found && --held->count == 0) {
            pthread_once(&waits_once, make_condition);
            drop(slot);
            break;
        }
    }
    pthread_mutex_unlock(&waits.lock);
    return found;
}

void advisory_unlock_all(struct session *session, bool only_transaction)
{
    if (atomic_load(&waits.holdings_count) == 0)
        return;
    pthread_mutex_lock(&waits.lock);
    for (struct holding **slot = &waits.holdings; *slot != NULL;) {
        bool goes = (*slot)->session == session && (*slot)->in_transaction == only_transaction;
        if (goes)
            drop(slot);
        else
            slot = &(*slot)->next;
    }
    pthread_mutex_unlock(&waits.lock);
}

void advisory_for_each(void (*visit)(void *ctx, const struct advisory_holder *holder), void *ctx)
{
    pthread_mutex_lock(&waits.lock);
    for (const struct holding *held = waits.holdings; held != NULL; held = held->next) {
        struct advisory_holder holder = {held->key, held->session->pid, held->is_shared, held->is_granted};
        visit(ctx, &holder);
    }
    pthread_mutex_unlock(&waits.lock);
}
