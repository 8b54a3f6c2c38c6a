/* waits.h: one place where statements wait for time or for each other, and where a cancel wakes them. */
#ifndef MILLRACE_SERVER_WAITS_H
#define MILLRACE_SERVER_WAITS_H

#include <stdbool.h>
#include <stdint.h>

struct session;

/* Waits until the deadline (clock_monotonic_ns) or until *cancel becomes true (false). */
bool wait_until(int64_t deadline_ns, const _Atomic bool *cancel);
/* Wakes all waits so that they look at their cancel flags; after a flag was set. Any thread. */
void waits_wake(void);

/* Advisory locks: numbers that sessions lock by agreement (PostgreSQL manual 13.3.5). Held by a session, as
 * often as it asked, or until its transaction ends. */
struct advisory_key {
    uint32_t high, low;
    bool is_pair; /* made from two int4: another space of numbers than one int8 */
};
enum advisory_result { ADVISORY_TAKEN, ADVISORY_BUSY, ADVISORY_CANCELLED };
/* deadline_ns 0: do not wait; INT64_MAX: without end. */
enum advisory_result advisory_lock(struct session *session, struct advisory_key key, bool is_shared,
                                   bool in_transaction, int64_t deadline_ns);
/* false: this session does not hold it. */
bool advisory_unlock(struct session *session, struct advisory_key key, bool is_shared);
/* Those of its transaction, or all others that it holds. */
void advisory_unlock_all(struct session *session, bool only_transaction);

/* For pg_locks. */
struct advisory_holder {
    struct advisory_key key;
    int32_t pid;
    bool is_shared, is_granted;
};
void advisory_for_each(void (*visit)(void *ctx, const struct advisory_holder *holder), void *ctx);

#endif
