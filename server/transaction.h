/* transaction.h: BEGIN to COMMIT: one snapshot, own writes, commit as a whole.
 *
 * Writes are kept as Z-set changes per relation and are seen by the transaction's own statements through an
 * overlay; materialized views over changed relations are then planned as their queries
 * (planner_context.expand_view). COMMIT hands all of it to the engine, which checks and applies it in one
 * tick (engine_commit). Savepoints remember the lengths of the change lists. */
#ifndef MILLRACE_SERVER_TRANSACTION_H
#define MILLRACE_SERVER_TRANSACTION_H

#include "planner/bind_dml.h"
#include "server/session.h"

void transaction_init(struct session *session);
void transaction_release(struct session *session);
/* Before each statement: opens an implicit transaction when none is open; 25P02 in a failed one (unless the
 * statement ends it: is_end). */
MUST_CHECK
bool transaction_begin_statement(struct session *session, bool is_end, struct error *err);
/* After a statement outside BEGIN (or at Sync / end of a simple Query): commits, or rolls back when
 * `failed`. */
MUST_CHECK
bool transaction_end_statement(struct session *session, bool failed, struct error *err);
/* BEGIN. A second BEGIN warns (25001). Turns an implicit transaction into an explicit one. */
MUST_CHECK
bool transaction_begin(struct session *session, bool read_only, struct error *err);
/* COMMIT; *rolled_back says that the transaction had failed and the tag is ROLLBACK. 40001, 23505 ... leave
 * it rolled back. */
MUST_CHECK
bool transaction_commit(struct session *session, bool *rolled_back, struct error *err);
void transaction_rollback(struct session *session);
/* A statement failed: state E when explicit. */
void transaction_fail(struct session *session);
MUST_CHECK
bool transaction_savepoint(struct session *session, const char *name, struct error *err);
MUST_CHECK
bool transaction_release_savepoint(struct session *session, const char *name, struct error *err);
MUST_CHECK
bool transaction_rollback_to(struct session *session, const char *name, struct error *err);

/* The snapshot of the transaction, opened at the first use (not older than session->last_epoch). */
uint64_t transaction_snapshot(struct session *session);
/* Gives the snapshot back and takes a new one at the next use: between statements of an implicit transaction
 * that wrote and retries. */
void transaction_renew_snapshot(struct session *session);
/* Before UPDATE, DELETE and ON CONFLICT outside BEGIN take their snapshot: keeps other such statements off
 * the table until the transaction ends (table_locks.h). Nothing in an explicit transaction. */
void transaction_lock(struct session *session, struct relation *relation, bool is_upsert);
/* Records a change; rows are copied. */
void transaction_change(struct session *session, struct relation *relation, const struct batch *rows);
/* The same for rows of weight 1 whose memory is the transaction's arena: they are not copied. */
void transaction_take(struct session *session, struct relation *relation, const struct batch *rows);
/* The statement's result depends on the whole contents of a relation and the transaction writes: checked at
 * commit. */
void transaction_read(struct session *session, struct relation *relation);
/* At the end of a statement that has changed the plan's target: primary key and UNIQUE constraints in the
 * transaction's view. Left to the engine when the transaction ends with this statement anyway. */
MUST_CHECK
bool transaction_check_keys(struct session *session, const struct dml_plan *plan, struct error *err);
bool transaction_has_changes(const struct session *session);
/* Changes so far as overlay for query_run, in the arena; NULL when there are none. */
const struct overlay *transaction_overlay(struct session *session, struct arena *arena);
/* Did this transaction change a relation the view reads, directly or through others? For
 * planner_context.expand_view. */
bool transaction_touches(struct session *session, const struct catalog_object *view);

#endif
