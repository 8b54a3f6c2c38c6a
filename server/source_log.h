/* source_log.h: what the files of sources over logs in partitions share (source_log.c: one source; source_consumer.c: one of
 * its threads). */
#ifndef MILLRACE_SERVER_SOURCE_LOG_H
#define MILLRACE_SERVER_SOURCE_LOG_H

#include "server/source_kind.h"
#include "server/source_options.h"
#include "server/source_progress.h"

struct log_source {
    struct running_source source; /* first */
    const struct partitioned_class *class;
    struct partitioned_log *log;
    struct relation *progress, *errors; /* held */
    bool splits; /* rows of each partition are a change of their own, for the watermark */
    uint32_t consumers_count;
    struct consumer **consumers;
    pthread_mutex_t lock; /* of what follows */
    struct source_log_settings settings;
    int64_t next_read_ns; /* by the limit of rows per second */
    bool is_broken;       /* it could not be opened again after ALTER */
    struct error error;
    uint64_t refusals; /* of changes of its columns, the last with `refusal` */
    struct error refusal;
};

/* The watermark is one per partition: each change has the rows of one. */
bool source_log_splits(const struct catalog_object *object);
/* Appends the changes that make the watermark wait for those of the partitions that hold something to be read. changes: room for
 * all. */
void source_log_expect(struct partitioned_log *log, struct relation *relation,
                       const struct partition_progress *partitions, uint32_t count, struct arena *arena,
                       struct txn_change *changes, uint32_t *changes_count);
/* A thread for these partitions, which starts to read. */
MUST_CHECK
bool consumer_start(struct log_source *of, uint32_t number, const struct partition_progress *partitions,
                    uint32_t count, struct consumer **out, struct error *err);
void consumer_stop(struct consumer *consumer); /* asks it to */
void consumer_join(struct consumer *consumer); /* waits until it has, and frees it */
/* Settings have changed: it looks at them, also when it has failed. */
void consumer_alter(struct consumer *consumer, bool is_paused);
void consumer_wake(struct consumer *consumer); /* there may be something to look at */
/* Adds its numbers; says its state if that is worse than what stands there. */
void consumer_status(struct consumer *consumer, struct arena *arena, struct source_status *out);
/* Has it failed before a record? */
bool consumer_is_stuck(struct consumer *consumer, struct source_skip *at);
/* Where its partitions stand durably, in the arena. */
uint32_t consumer_partitions(struct consumer *consumer, struct arena *arena, struct partition_progress **out);

#endif
