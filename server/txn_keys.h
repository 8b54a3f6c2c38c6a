/* txn_keys.h: primary keys and UNIQUE constraints as a statement inside a transaction sees them.
 *
 * The engine checks keys when the transaction commits, against what others have committed by then. A
 * statement that violates a key within its own transaction's view (snapshot plus own changes) fails at once,
 * as clients expect. Per key, the transaction's own changes are counted by value; a look into the snapshot is
 * needed only for values that the transaction adds. Costs O(rows the statement changed). */
#ifndef MILLRACE_SERVER_TXN_KEYS_H
#define MILLRACE_SERVER_TXN_KEYS_H

#include "planner/bind_dml.h"
#include "server/session.h"

struct txn_key;

/* Of one table; zeroed at first. */
struct txn_keys {
    struct txn_key *keys;
    uint32_t count, cap;
    uint64_t statement;
};

/* changes: all of the transaction's, of which those behind the last check are new. 23505 with the first row
 * that fails. */
MUST_CHECK
bool txn_keys_check(struct txn_keys *keys, struct session *session, const struct dml_plan *plan,
                    const struct batch *changes, struct error *err);
/* Before changes behind the first `rows` are taken back. */
void txn_keys_rollback(struct txn_keys *keys, const struct batch *changes, uint32_t rows);
void txn_keys_release(struct txn_keys *keys);

#endif
