/* engine.h: the tick: one clock, one total order of everything that changes.
 *
 * The engine's own thread (worker 0) closes ticks: it takes whatever transactions are staged (capped), gives
 * them the next epoch and the clock, checks and applies each as a whole, hands the tick to the log, runs
 * every dataflow the changes reach, once, in topological order, and publishes the epoch when it is both
 * computed and durable. No timer: the next tick starts when the last ended. DDL runs on the same thread
 * between ticks, so it has its place in the same order.
 *
 * All functions may be called by any thread unless said otherwise. */
#ifndef MILLRACE_EXECUTOR_ENGINE_H
#define MILLRACE_EXECUTOR_ENGINE_H

#include "executor/eval_env.h"
#include "executor/plan.h"
#include "executor/relation.h"
#include "storage/state/snapshot.h"

struct engine;
struct tick_log; /* storage/disk/tick_log.h */
struct source_range;

struct engine_options {
    uint32_t shards;      /* of every state; at least 1 */
    uint32_t threads;     /* workers that run them, at most as many; 0: one per shard */
    uint64_t first_epoch; /* where the log ended: the next tick is first_epoch + 1 */
    struct tick_log *log; /* NULL: nothing is durable (tests) */
    struct account *account;
    uint32_t tick_rows_max; /* 0: TICK_ROWS_MAX; 1: every transaction is a tick of its own (tests) */
    int64_t backfill_bytes; /* ticks that wait for one view that is being filled; 0: BACKFILL_BYTES_MAX */
};

struct engine *engine_create(const struct engine_options *options);
/* Waits for what is staged, stops the threads, frees everything. No other call may be running. */
void engine_destroy(struct engine *engine);
struct snapshots *engine_snapshots(struct engine *engine);
uint32_t engine_shards(const struct engine *engine);

/* ---- DDL: each waits until the engine has done it at a tick boundary ---- */

MUST_CHECK
bool engine_create_relation(struct engine *engine, const struct relation_desc *desc, struct relation **out,
                            struct error *err);
/* How far a view is that is being filled; read by any thread. */
enum backfill_phase {
    BACKFILL_STARTING,    /* waits for its place between two ticks */
    BACKFILL_SNAPSHOT,    /* computes the view of the inputs as they were at one epoch */
    BACKFILL_CATCHING_UP, /* runs the ticks since */
    BACKFILL_LIVE,        /* runs with the others; not published by its creator yet */
};
struct backfill_progress {
    _Atomic enum backfill_phase phase;
    _Atomic uint64_t rows_done,
        rows_total; /* of the inputs, to be read in the first phase; the total is an estimate */
    _Atomic uint64_t ticks_behind; /* recorded, to be run */
    _Atomic int64_t waiting_bytes; /* what they take */
};
/* A relation without rows or anything that fills it, for its names and types alone: a view that is disabled. The caller
 * releases it. created_epoch: as it is stored. */
struct relation *engine_create_shell(struct engine *engine, const struct relation_desc *desc,
                                     uint64_t created_epoch);
/* Builds the dataflow of `plan` (whose life the engine takes over with `plan_arena`: released when the view
 * goes), fills it from the contents of its inputs at the epoch of an empty tick of its own (relation_created_epoch) and
 * keeps it up to date from there on. The calling thread does the work; ticks go on meanwhile, see
 * executor/backfill.h. env: settings recorded with the view; copied. cancel may be NULL. desc->append_only and key
 * come from the plan. progress may be NULL. The caller sees to it that the inputs are not dropped. */
MUST_CHECK
bool engine_create_view(struct engine *engine, const struct relation_desc *desc, struct plan *plan,
                        struct arena *plan_arena, const struct eval_env *env, const _Atomic bool *cancel,
                        struct backfill_progress *progress, struct relation **out, struct error *err);
/* 55006 when other views still depend on it or are being filled from it (the catalog has checked before). The rows live
 * on while somebody holds a reference. */
MUST_CHECK
bool engine_drop_relation(struct engine *engine, struct relation *relation, struct error *err);
/* Over the present rows, in small steps between which ticks go on. cancel and progress may be NULL; rows of a unique index
 * are counted twice there, since they are read twice. 23505 when a unique one finds a value twice. */
MUST_CHECK
bool engine_create_index(struct engine *engine, struct relation *relation, const uint32_t *columns,
                         uint32_t columns_count, bool is_unique, const char *name, const _Atomic bool *cancel,
                         struct backfill_progress *progress, uint32_t *index, struct error *err);
/* Rows of a table with a primary key go by themselves: after each tick there are at most `rows` of them (0: any number), and none
 * that has come age_us ago (0: at any time), by the tick's clock. In the order of the column in which it stands when a row has
 * come (timestamptz), then of the key. They are deleted in the tick, as by a transaction at its end, and logged so: a replay
 * knows nothing of this, and it has to be asked for anew after it. Both 0: no more. Of the rows that are there as many as a tick may take have
 * gone when it returns (they are read in small steps between which ticks go on), the others follow at once. One call at a time per
 * relation. */
void engine_keep_newest(struct engine *engine, struct relation *relation, uint32_t column, uint64_t rows,
                        int64_t age_us);
MUST_CHECK
bool engine_drop_index(struct engine *engine, struct relation *relation, uint32_t index, struct error *err);
/* Columns behind those of a table or stream, at a tick boundary: rows that are there have the missing values in them, as have
 * those of transactions that were made before and lack them. Views, subscriptions and plans over the relation go on as they
 * are. Rows of append-only relations are not touched; those of others are laid out anew, in small steps between which ticks
 * go on.
 * In two parts: engine_prepare_columns does what takes long, and shows nobody anything; then either engine_add_columns makes the
 * columns be there, which cannot fail, or engine_forget_columns leaves everything as it was. All end with the job. What is
 * given is borrowed until then. One at a time per relation, which the caller keeps. cancel may be NULL. 53100 when there is no
 * room for the rows, 57014; then there is no job. */
struct column_job;
MUST_CHECK
bool engine_prepare_columns(struct engine *engine, struct relation *relation, uint32_t count,
                            const struct sql_type *types, const char *const *names,
                            const struct datum *missing, const _Atomic bool *cancel, struct column_job **job,
                            struct error *err);
void engine_add_columns(struct column_job *job);
void engine_forget_columns(struct column_job *job);
/* External tables: joins ask once more (relation_lookup_source) for everything that waits in them. For who has begun to listen. */
void engine_ask_again(struct engine *engine, struct relation *relation);
/* Runs fn(ctx) on the engine's thread between two ticks: catalog switches that must have a place in the
 * order. */
void engine_at_boundary(struct engine *engine, void (*fn)(void *ctx), void *ctx);

/* ---- time ---- */

/* Runs the ticks that the clock (storage/base/clock.h) asks for by now, and waits until they are visible: after a test
 * has set the clock. */
void engine_run_due(struct engine *engine);

/* ---- DML ---- */

/* What a transaction asks for; filled by its session, handed over by engine_commit. */
struct txn_change {
    struct relation *relation;
    struct batch *rows; /* all columns, weights; deletes are of rows seen in the snapshot */
    /* The rows can be had again from the relation's source: this is logged in their place. NULL: the rows. A range of
     * no rows says that the source has ended: the relation's watermark has passed everything. */
    const struct source_range *range;
    /* The relation has a primary key, and no key is in `rows` twice. A row replaces the one with its key, if there is one;
     * with weight -1 it takes that away, and of its own columns only the key's count. Such a change is checked against no
     * snapshot, and apart from the transaction's other changes of the relation. */
    bool replaces;
    /* All rows come from this partition of the relation's source: its watermark may be one per partition. No rows: some are
     * there to be read, so that the watermark waits for them. */
    bool has_partition;
    int32_t partition;
};
struct txn_read {
    struct relation *relation; /* contents this transaction's writes depend on as a whole */
};
struct engine_txn {
    uint64_t snapshot; /* what it read; 0 when it read nothing */
    uint32_t changes_count;
    struct txn_change *changes; /* in statement order; constraint checks see their sum */
    uint32_t reads_count;
    struct txn_read *reads; /* 40001 when one of these changed after `snapshot` */
    /* While the log cannot be written it waits for its turn, and is not refused: who cannot ask again. */
    bool is_patient;
};
/* Applies the transaction as a whole in the next tick and waits until that tick is computed and durable:
 * *epoch. Fails as a whole and changes nothing: 23505 with constraint name and the key in the detail; 40001
 * when a deleted row is gone or a read relation changed; 53100, 58030 when the log cannot be written for now.
 * When that shows after the transaction has got its place in the order, it is waited for until the log has it,
 * unless *cancel (may be NULL; engine_wake_waiters) becomes true meanwhile: 40003, it may come to be or not, and
 * nobody has seen it so far. The caller keeps ownership of everything. */
MUST_CHECK
bool engine_commit(struct engine *engine, const struct engine_txn *txn, const _Atomic bool *cancel,
                   uint64_t *epoch, struct error *err);
/* The same without waiting for the end: done(ctx, epoch, err or NULL) is called once from the engine's or the
 * log's thread. The transaction's memory must live until then. Blocks only while the staging area is full. */
void engine_commit_async(struct engine *engine, const struct engine_txn *txn,
                         void (*done)(void *ctx, uint64_t epoch, const struct error *err), void *ctx);
/* The server stops: what waits for a log that cannot be written ends with an error. */
void engine_give_up(struct engine *engine);
/* Recovery, before any other use: a logged tick again, through the views that are there, without logging or
 * constraint checks. */
void engine_replay(struct engine *engine, uint64_t epoch, int64_t clock_us, uint64_t seed,
                   const struct txn_change *changes, uint32_t changes_count);
/* Recovery: while it lasts nothing is logged, so that a view filled in it takes the epoch it was filled at
 * before: the next after the last replayed. */
void engine_set_recovering(struct engine *engine, bool recovering);
/* Recovery: the logged clock of the tick in which the next view was filled. */
void engine_set_fill_clock(struct engine *engine, int64_t clock_us);

/* ---- change streams ---- */

struct subscription;
/* Follows the first columns of a table, stream or view from a tick boundary on: *epoch is the epoch of the snapshot to show first
 * (opened for the caller, who closes it with snapshot_close); every later change comes from
 * subscription_next, epoch by epoch. */
MUST_CHECK
bool engine_subscribe(struct engine *engine, struct relation *relation, uint32_t columns_count,
                      struct subscription **out, uint64_t *epoch, struct error *err);
/* Waits until there is something new, the deadline (clock_monotonic_ns; 0: none) passes or *cancel becomes
 * true. *rows: the consolidated net change of one tick, deletes before inserts (borrowed until the next
 * call), or NULL when only time passed; *epoch: all changes up to it have been given. false: 53400 when the
 * reader was too slow, 42P01 when the relation was dropped, 57014 when cancelled. Only durable epochs are
 * given. */
MUST_CHECK
bool subscription_next(struct subscription *subscription, int64_t deadline_ns, const _Atomic bool *cancel,
                       uint64_t *epoch, const struct batch **rows, struct error *err);
/* Wakes every waiting subscription_next and engine_commit so that they look at their cancel flags. */
void engine_wake_waiters(struct engine *engine);
void subscription_end(struct subscription *subscription);

struct engine_stats {
    uint64_t epoch_visible, epoch_computed, epoch_durable;
    uint64_t ticks, transactions, rows_in;
    uint64_t
        rows_processed; /* rows handed to operators, all views together: the incremental-work test reads it */
    int64_t busy_ns;
};
void engine_stats(struct engine *engine, struct engine_stats *out);

#endif
