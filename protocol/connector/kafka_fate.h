/* kafka_fate.h: what became of records that were written in a transaction: what a consumer of committed records sees of them.
 *
 * The answer to a commit is not enough to know. A coordinator that ends a transaction while a partition has no leader (its broker
 * stops or starts) can leave out that partition's marker ("Couldn't find leader endpoint ... can be skipped" in the log of Apache
 * Kafka): the records stay open there, are held back from readers, and get the fate of the producer's next transaction.
 *
 * Readers are consumers of ours that are assigned to nothing else; each call takes the reader for itself. */
#ifndef MILLRACE_CONNECTOR_KAFKA_FATE_H
#define MILLRACE_CONNECTOR_KAFKA_FATE_H

#include "storage/base/error.h"

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

/* Of the records that a transaction has in a partition, the last. */
struct kafka_last {
    int32_t partition;
    int64_t offset;
};

enum kafka_fate {
    KAFKA_OPEN,    /* neither committed nor aborted, or behind an older record of which that is true */
    KAFKA_VISIBLE, /* committed, and readers of committed records see it */
    KAFKA_ABORTED, /* it is there, and readers of committed records pass it over */
    KAFKA_GONE,    /* no longer there: retention, compaction, a topic made anew */
};

/* ends[i] = end of last[i].partition as the reader's isolation.level has it: behind the last record, or, of committed ones, before
 * the first open one. One request per broker, and again while there is no answer; cancel (NULL: never) ends that after two seconds at
 * most, as a timeout. */
MUST_CHECK
rd_kafka_resp_err_t kafka_ends(rd_kafka_t *reader, const char *topic, const struct kafka_last *last,
                               uint32_t count, int64_t *ends, int timeout_ms, const _Atomic bool *cancel);

/* fates[i] = what became of last[i], which are in order of their partitions. `committed` and `all` read with isolation.level read_committed and read_uncommitted, and with
 * enable.partition.eof. cancel as above. */
MUST_CHECK
rd_kafka_resp_err_t kafka_fates(rd_kafka_t *committed, rd_kafka_t *all, const char *topic,
                                const struct kafka_last *last, uint32_t count, enum kafka_fate *fates,
                                int timeout_ms, const _Atomic bool *cancel);

#endif
