/* checkpointer.h: when checkpoints are made, and the thread that writes them (docs/durability.md).
 *
 * One after checkpoint_interval, or when the log has grown by checkpoint_log_bytes since the last; for CHECKPOINT; and
 * when the server stops. Nothing is written when nothing has changed. */
#ifndef MILLRACE_SERVER_CHECKPOINTER_H
#define MILLRACE_SERVER_CHECKPOINTER_H

#include "server/server.h"
#include "storage/disk/checkpoint_store.h"

struct checkpointer;

/* After recovery; server->checkpoints is open. */
struct checkpointer *checkpointer_start(struct server *server);
/* Waits for the one that runs. last: then makes one more, so that the next start has nothing to replay. */
void checkpointer_stop(struct checkpointer *checkpointer, bool last);
/* Makes one that holds everything acknowledged before the call, and waits until it is valid. Any thread. 53100, 58030:
 * it could not be written; the one before is still valid. 57014 when *cancel became true (it goes on). */
MUST_CHECK
bool checkpointer_run(struct checkpointer *checkpointer, const _Atomic bool *cancel, struct error *err);
/* A statement may wait in checkpointer_run, and its cancel flag was set. NULL: nothing. */
void checkpointer_wake(struct checkpointer *checkpointer);

struct checkpointer_stats {
    struct checkpoint_info last; /* number 0: there is none */
    uint64_t made, failed;       /* since the start */
    bool is_running;
    int64_t running_since_us;
    struct error last_error; /* code NONE: the last try succeeded */
};
void checkpointer_stats(struct checkpointer *checkpointer, struct checkpointer_stats *out);

#endif
