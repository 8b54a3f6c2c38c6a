/* outbox.h: the contents of a sink: what a topic, or the like, is still to be told, in order, until it has it.
 *
 * At the end of a sink's dataflow stands a table that only grows, in place of a view's contents. Each tick appends its net
 * change: first what goes, then what comes, and of a key that stays only the newest row. The table is state as all other: it
 * is saved by checkpoints, goes to disk under a memory limit, and a replay appends again what is newer than the
 * checkpoint. Whoever sends the rows says up to where they have arrived, and they go from the front.
 *
 * Rows have numbers, from 0 at the sink's creation. All of them lie on shard 0, so that there is one order, whatever the number of
 * workers. How many rows a tick appends follows from its net change, so that numbers are the same again where ticks
 * meet; inside a tick a replay may give another order. What a checkpoint holds comes back as it was. */
#ifndef MILLRACE_EXECUTOR_OUTBOX_H
#define MILLRACE_EXECUTOR_OUTBOX_H

#include "executor/engine.h"

enum outbox_kind {
    OUTBOX_APPEND,  /* rows are only added */
    OUTBOX_UPSERT,  /* the newest row of each key; keys that go */
    OUTBOX_CHANGES, /* rows that come and go; where one takes the place of another with its key, both */
};
enum outbox_op {
    OUTBOX_INSERT = 1,
    OUTBOX_DELETE,
    OUTBOX_BEFORE, /* the row behind it is OUTBOX_AFTER and takes its place */
    OUTBOX_AFTER,
};

/* Of struct relation_desc; columns are the relation's. */
struct outbox_desc {
    enum outbox_kind kind;
    bool snapshot; /* what the inputs hold when the sink is made comes first */
    uint32_t key_count;
    const uint32_t *key; /* unique at every tick; 0: none */
};

/* Behind the relation's own columns each row has op (int2), epoch and clock of its tick (int8). */
#define OUTBOX_COLUMNS 3u

/* Some rows, borrowed: they stay until they are dropped. */
struct outbox_rows {
    uint64_t first;     /* number of the first */
    struct batch batch; /* the relation's own columns */
    const int16_t *ops;
    const int64_t *epochs;
    const int64_t *clocks; /* microseconds as in a timestamptz */
};

/* The number behind the last row that is visible, that is durable. Never goes back. Any thread. */
uint64_t outbox_visible(struct engine *engine, struct relation *relation);
/* Up to BATCH_ROWS_MAX rows from number `from` on (or the first that is left), but not `end` and beyond, which is at most
 * what outbox_visible has said; columns: room for the relation's columns and OUTBOX_COLUMNS. false: there are none. Any
 * thread, while nobody drops rows. */
bool outbox_read(struct relation *relation, uint64_t end, uint64_t from, struct column *columns,
                 struct outbox_rows *out);
/* The columns whose changes it tells by; 0: none. */
uint32_t relation_outbox_key(const struct relation *relation, const uint32_t **columns);
/* The number of the first row that is left, and of the next to be appended; bytes they take. Any thread. */
uint64_t outbox_first(const struct relation *relation);
uint64_t outbox_end(const struct relation *relation);
int64_t outbox_bytes(const struct relation *relation);

/* The three wait for a tick boundary. Rows below `first` have arrived. */
void engine_drop_outbox_rows(struct engine *engine, struct relation *relation, uint64_t first);
/* Rows below it come back after a restart in the same order under the same numbers. */
uint64_t engine_outbox_saved(struct engine *engine, struct relation *relation);
/* wake(ctx) is called from any thread, with locks of the engine held, when there are new rows to read; NULL: no call is running
 * or comes any more. */
void engine_listen_outbox(struct engine *engine, struct relation *relation, void (*wake)(void *ctx),
                          void *ctx);

#endif
