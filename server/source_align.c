/* source_align.c: see source_align.h. One lock and one condition for all groups: sources are few, and a member looks at
 * the others once per batch. */
#include "server/source_align.h"

#include "storage/base/arena.h"
#include "storage/base/check.h"
#include "storage/base/clock.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

struct source_groups {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct source_member *first;
};

struct source_member {
    struct source_groups *groups;
    struct source_member *next;
    char *group;
    int64_t max_skew_us, idle_timeout_us;
    int64_t greatest_us; /* INT64_MIN: no row so far */
    int64_t last_rows_ns;
    bool active, waiting;
};

struct source_groups *source_groups_create(void)
{
    struct source_groups *groups = mem_zalloc(sizeof(*groups));
    pthread_condattr_t monotonic;
    pthread_mutex_init(&groups->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&groups->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return groups;
}

void source_groups_destroy(struct source_groups *groups)
{
    CHECK(groups->first == NULL);
    pthread_mutex_destroy(&groups->lock);
    pthread_cond_destroy(&groups->changed);
    mem_free(groups);
}

struct source_member *source_group_join(struct source_groups *groups, const char *group, int64_t max_skew_us,
                                        int64_t idle_timeout_us)
{
    struct source_member *member = mem_zalloc(sizeof(*member));
    *member = (struct source_member){.groups = groups,
                                     .group = mem_strdup(group),
                                     .max_skew_us = max_skew_us,
                                     .idle_timeout_us = idle_timeout_us,
                                     .greatest_us = INT64_MIN,
                                     .last_rows_ns = clock_monotonic_ns(),
                                     .active = true};
    pthread_mutex_lock(&groups->lock);
    member->next = groups->first;
    groups->first = member;
    pthread_mutex_unlock(&groups->lock);
    return member;
}

void source_group_leave(struct source_member *member)
{
    struct source_groups *groups = member->groups;
    pthread_mutex_lock(&groups->lock);
    struct source_member **link = &groups->first;
    while (*link != member)
        link = &(*link)->next;
    *link = member->next;
    pthread_cond_broadcast(&groups->changed);
    pthread_mutex_unlock(&groups->lock);
    mem_free(member->group);
    mem_free(member);
}

void source_group_rows(struct source_member *member, int64_t greatest_us)
{
    struct source_groups *groups = member->groups;
    pthread_mutex_lock(&groups->lock);
    member->last_rows_ns = clock_monotonic_ns();
    if (greatest_us > member->greatest_us)
        member->greatest_us = greatest_us;
    pthread_cond_broadcast(&groups->changed);
    pthread_mutex_unlock(&groups->lock);
}

void source_group_set_active(struct source_member *member, bool active)
{
    struct source_groups *groups = member->groups;
    pthread_mutex_lock(&groups->lock);
    member->active = active;
    member->last_rows_ns = clock_monotonic_ns();
    pthread_cond_broadcast(&groups->changed);
    pthread_mutex_unlock(&groups->lock);
}

/* When the member will have been silent for too long; INT64_MAX: never. One that waits for others is not silent. */
static int64_t idle_at_ns(const struct source_member *member)
{
    int64_t timeout_ns, at_ns;
    if (member->idle_timeout_us == 0 || member->waiting ||
        __builtin_mul_overflow(member->idle_timeout_us, INT64_C(1000), &timeout_ns) ||
        __builtin_add_overflow(member->last_rows_ns, timeout_ns, &at_ns))
        return INT64_MAX;
    return at_ns;
}

/* Is it too far ahead? *until_ns: when that may change without anybody's doing. */
static bool is_ahead(const struct source_member *member, int64_t *until_ns)
{
    bool ahead = false;
    int64_t now_ns = clock_monotonic_ns(), least_us;
    *until_ns = INT64_MAX;
    if (member->greatest_us == INT64_MIN ||
        __builtin_sub_overflow(member->greatest_us, member->max_skew_us, &least_us))
        return false;
    for (const struct source_member *other = member->groups->first; other != NULL; other = other->next) {
        if (other == member || !other->active || strcmp(other->group, member->group) != 0 ||
            other->greatest_us >= least_us)
            continue;
        int64_t idle_ns = idle_at_ns(other);
        if (idle_ns <= now_ns)
            continue;
        ahead = true;
        if (idle_ns < *until_ns)
            *until_ns = idle_ns;
    }
    return ahead;
}

void source_group_wait(struct source_member *member, bool (*give_up)(void *ctx), void *ctx)
{
    struct source_groups *groups = member->groups;
    int64_t until_ns;
    pthread_mutex_lock(&groups->lock);
    while (is_ahead(member, &until_ns) && !give_up(ctx)) {
        member->waiting = true;
        if (until_ns == INT64_MAX) {
            pthread_cond_wait(&groups->changed, &groups->lock);
        } else {
            struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
            pthread_cond_timedwait(&groups->changed, &groups->lock, &until);
        }
    }
    if (member->waiting) {
        member->waiting = false;
        member->last_rows_ns = clock_monotonic_ns();
    }
    pthread_mutex_unlock(&groups->lock);
}

void source_groups_wake(struct source_groups *groups)
{
    pthread_mutex_lock(&groups->lock);
    pthread_cond_broadcast(&groups->changed);
    pthread_mutex_unlock(&groups->lock);
}

bool source_group_is_waiting(struct source_member *member)
{
    pthread_mutex_lock(&member->groups->lock);
    bool waiting = member->waiting;
    pthread_mutex_unlock(&member->groups->lock);
    return waiting;
}
