/* table_locks.h: who changes which table right now, so that statements outside BEGIN do not meet 40001.
 *
 * The engine checks that every deleted row is still as it was seen. A single UPDATE holds its table's lock
 * from its snapshot to its commit, so that no other UPDATE comes between. Locks only spare retries:
 * correctness never depends on one, and waiting for one ends after a while. Many may INSERT at once; ON
 * CONFLICT keeps inserts away too, since it decides by what keys exist. */
#ifndef MILLRACE_SERVER_TABLE_LOCKS_H
#define MILLRACE_SERVER_TABLE_LOCKS_H

#include "storage/base/arena.h"

enum table_lock_mode {
    TABLE_LOCK_INSERT, /* with other INSERTs and with MODIFY */
    TABLE_LOCK_MODIFY, /* UPDATE, DELETE: one at a time */
    TABLE_LOCK_UPSERT, /* alone */
};

struct held_lock {
    uint32_t oid;
    enum table_lock_mode mode;
};

struct table_locks;

struct table_locks *table_locks_create(void);
void table_locks_destroy(struct table_locks *locks);
/* false when it was not to be had within wait_ms or *cancel became true. *epoch (may be NULL): the last
 * commit made under the lock. */
bool table_lock_take(struct table_locks *locks, uint32_t oid, enum table_lock_mode mode, int64_t wait_ms,
                     const _Atomic bool *cancel, uint64_t *epoch);
/* epoch: of the commit made under it, 0 none. */
void table_lock_give(struct table_locks *locks, uint32_t oid, enum table_lock_mode mode, uint64_t epoch);

#endif
