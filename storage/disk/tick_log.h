/* tick_log.h: the input, durable: one row per tick in log.db (SQLite, synchronous=FULL), written by one
 * thread in groups.
 *
 * A tick's record: epoch, clock, seed, and for each changed relation its rows (columnar, zstd when that
 * pays) or where its source has them, guarded by an XXH3 checksum. Derived state is never logged. Not in the log: rows of relations with
 * durable = false. */
#ifndef MILLRACE_DISK_TICK_LOG_H
#define MILLRACE_DISK_TICK_LOG_H

#include "storage/data/batch.h"

struct tick_log;

/* Rows that a source gives again when it is asked for the same positions. */
struct source_range {
    uint64_t first; /* position of the first row */
    uint32_t count;
    int64_t clock_us; /* when they came: now() of the columns' defaults */
};

struct tick_log_entry {
    uint32_t relation_oid;
    const struct batch *rows;
    const struct source_range *range; /* logged in place of the rows; NULL: the rows are */
    bool replaces, has_partition;     /* as in struct txn_change */
    int32_t partition;
};

/* Opens DIR/log.db, creating it only with may_create, and starts the log thread. 55006 when another process
 * has it open, XX001 when it is damaged or newer than this program, 58030 with the file's name on I/O
 * errors. */
MUST_CHECK
bool tick_log_open(const char *dir, bool may_create, struct tick_log **out, struct error *err);
void tick_log_close(struct tick_log *log);
/* Epoch of the last tick in the log; 0 when empty. */
uint64_t tick_log_last(struct tick_log *log);
/* Queues a tick for the log thread, which serializes nothing: the bytes are made here. done(ctx, epoch, err)
 * is called from the log thread when it is on disk, in epoch order. An error of the disk delays that until a later
 * try succeeds; only after tick_log_give_up done is called with an error: 40003, the tick may be there at the next
 * start or not, and every later one fails as well. */
void tick_log_append(struct tick_log *log, uint64_t epoch, int64_t clock_us, uint64_t seed,
                     const struct tick_log_entry *entries, uint32_t entries_count,
                     void (*done)(void *ctx, uint64_t epoch, const struct error *err), void *ctx);
/* on_trouble(ctx, err) is called from the log thread when ticks cannot be written for now, or little space is left (53100,
 * 58030 with the file's name), and with NULL when all is well again. Meanwhile nothing should be appended that can
 * be refused. NULL: nobody listens, and no call is running or comes any more. */
void tick_log_on_trouble(struct tick_log *log, void (*on_trouble)(void *ctx, const struct error *err),
                         void *ctx);
/* on_growth(ctx) is called from the log thread whenever another `bytes` have been written (and not before the first
 * of them). NULL: nobody listens, and no call is running or comes any more. */
void tick_log_on_growth(struct tick_log *log, uint64_t bytes, void (*on_growth)(void *ctx), void *ctx);
/* From now on what fails is tried once more at once and then given up: the server stops. */
void tick_log_give_up(struct tick_log *log);
/* Ticks with epoch < before may go, but for the newest: they go soon, a few at a time between others' commits. */
void tick_log_truncate(struct tick_log *log, uint64_t before);
/* For simulations: from now on tick_log_append and tick_log_truncate return only when the log's thread has nothing to do any
 * more, so that it works in turn with whoever gives it work, and its operations on the disk have their place in the order.
 * While the disk fails the caller waits until it works again, or tick_log_give_up. */
void tick_log_take_turns(struct tick_log *log);
/* Reads every tick with epoch > after in order. visit gets the raw entries: decode each with tick_log_decode
 * into a batch of the relation's types. */
struct tick_log_raw {
    uint32_t relation_oid;
    const uint8_t *bytes; /* of the rows; NULL: there is a range */
    size_t len;
    struct source_range range;
    bool replaces, has_partition;
    int32_t partition;
    bool
        continues; /* rows of the entry before it, which was logged in slices. Only of entries with one of the above: other
                       neighbours of one relation may be taken together. */
};
MUST_CHECK
bool tick_log_read(struct tick_log *log, uint64_t after,
                   bool (*visit)(void *ctx, uint64_t epoch, int64_t clock_us, uint64_t seed,
                                 const struct tick_log_raw *entries, uint32_t count, struct error *err),
                   void *ctx, struct error *err);
MUST_CHECK
bool tick_log_decode(const struct tick_log_raw *entry, struct batch *batch, struct error *err);
struct tick_log_stats {
    uint64_t ticks, commits, bytes, errors;
    uint64_t removed_before; /* since the start: ticks before this epoch; 0: none */
    int64_t sync_ns;
};
void tick_log_stats(struct tick_log *log, struct tick_log_stats *out);

#endif
