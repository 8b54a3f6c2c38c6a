/* kafka_log.h: what the parts of partitioned_kafka share. */
#ifndef MILLRACE_CONNECTOR_KAFKA_LOG_H
#define MILLRACE_CONNECTOR_KAFKA_LOG_H

#include "protocol/connector/kafka.h"
#include "protocol/connector/partitioned.h"

#include <pthread.h>
#include <stdatomic.h>

#define KAFKA_EPOCH_2000_MS INT64_C(946684800000) /* timestamps count from 2000, Kafka's from 1970 */

struct kafka_reader;

enum kafka_on_lost { KAFKA_LOST_FAIL, KAFKA_LOST_EARLIEST, KAFKA_LOST_LATEST };

/* A record of a partition by which a topic that was made anew is told (kafka_watch.c): none up to its offset is younger than its time. */
struct kafka_mark {
    int64_t offset; /* -1: none */
    int64_t time_us;
};
enum kafka_mark_state { KAFKA_MARK_IDLE, KAFKA_MARK_WANTED, KAFKA_MARK_GIVEN };

/* One partition. Never freed before the log, so that its reader and the watcher need no lock to look at it. */
struct kafka_partition {
    int32_t id;
    _Atomic int64_t low,
        high; /* as in partition_stats; low and high of one answer, or what a reader saw since */
    _Atomic int64_t position; /* of its reader; -1: it has none */
    _Atomic uint64_t lost;
    bool exists; /* by the last metadata, and it is known where it begins; under the log's lock */
    uint32_t
        cut_count; /* answers in a row by which the partition ends before its reader's position; watcher */
    struct kafka_mark mark;  /* the watcher's; proven: the brokers have said that it holds */
    struct kafka_mark given; /* the reader's when wanted, the watcher's when given */
    _Atomic int mark_state;  /* enum kafka_mark_state */
};

struct kafka_log {
    struct partitioned_log base;
    struct kafka_client client;
    char *topic;
    rd_kafka_t *rk;
    rd_kafka_topic_t *rkt;
    rd_kafka_queue_t *events; /* errors that librdkafka reports; the watcher serves them */
    char *start;
    enum kafka_on_lost on_lost;
    int64_t refresh_ns;
    bool has_group;
    uint64_t queue_messages, queue_bytes; /* a reader's queue is full with one of them */

    pthread_t watcher;
    bool watching;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    /* below: under lock */
    bool stopping, hurries;
    bool asked;                          /* the watcher is to look at once */
    bool nudged;                         /* likewise, but only where partitions begin and end */
    uint64_t asks;                       /* times that a reader has asked for limits */
    uint64_t asks_seen;                  /* of which answered: limits are younger than the asking */
    struct kafka_partition **partitions; /* by id */
    uint32_t partitions_count;           /* highest id known + 1 */
    struct kafka_reader *readers;
    char *cluster_id;     /* "" until it is known */
    struct error status;  /* ERRCODE_NONE: brokers answer; else what ends by itself */
    struct error failure; /* ERRCODE_NONE, or what stays */
    struct error broker;  /* last error that librdkafka reported since brokers answered */
    bool all_down;        /* it has reported since then that none of them can be reached */
    _Atomic uint32_t
        changes; /* of status, failure and suspicions: readers look under the lock when it has grown */
    /* Reasons to think that the topic may be another one of the same name: what comes after one grows it is worth nothing until the
     * record seen last was read again and is the same. */
    _Atomic uint64_t suspicions;
};

/* ---- kafka_log.c ---- */

/* The partition's struct, made when it is new. Takes the lock. */
struct kafka_partition *kafka_partition(struct kafka_log *log, int32_t id);

/* ---- kafka_watch.c: a thread per log that asks brokers what nobody else waits for ---- */

MUST_CHECK
bool kafka_watch_start(struct kafka_log *log, struct error *err);
void kafka_watch_stop(struct kafka_log *log);
/* Makes it look now; returns the number whose answer is meant (asks_seen reaches it). Takes the lock. */
uint64_t kafka_watch_ask(struct kafka_log *log);
/* librdkafka's threads sleep up to a second when a queue was full, whoever empties it meanwhile; any question to a broker makes
 * its thread look again, and where partitions end is good to know while they are read. Takes the lock. */
void kafka_watch_nudge(struct kafka_log *log);
/* kafka_notice: a leader has refused to be asked for a partition, as it does when that was deleted. Before anything else comes
 * of that partition. */
void kafka_watch_noticed(void *owner, const char *facility);
/* rd_kafka_conf_set_error_cb: remembers the last error of brokers, and whether all are gone. */
void kafka_watch_error(rd_kafka_t *rk, int err, const char *reason, void *opaque);
/* Keeps the id of the cluster that answered; false with 55000 when it is another one than before: its offsets mean something
 * else. */
MUST_CHECK
bool kafka_note_cluster(struct kafka_log *log, struct error *err);
/* Offsets of all partitions of the list at a time (milliseconds since 1970, RD_KAFKA_OFFSET_BEGINNING or
 * RD_KAFKA_OFFSET_END, which is the last stable one under read_committed). false: no answer, by *failed. Each partition has an
 * error of its own beside. */
MUST_CHECK
bool kafka_offsets_at(struct kafka_log *log, rd_kafka_topic_partition_list_t *list, int64_t at,
                      int timeout_ms, rd_kafka_resp_err_t *failed);

/* ---- kafka_start.c ---- */

/* Checks the text of option "start". */
MUST_CHECK
bool kafka_start_check(const char *start, struct error *err);
MUST_CHECK
bool kafka_start(struct partitioned_log *base, int64_t timeout_ns, struct arena *arena,
                 struct partition_position **out, uint32_t *count, struct error *err);

/* ---- kafka_reader.c ---- */

bool kafka_read(struct partitioned_log *base, const struct partitioned_read *spec,
                struct partitioned_reader **out, struct error *err);
void kafka_end(struct partitioned_reader *base);
bool kafka_poll(struct partitioned_reader *base, uint32_t records_max, const struct record **out,
                uint32_t *count, const struct partition_position **passed, uint32_t *passed_count,
                struct error *err);
bool kafka_seek(struct partitioned_reader *base, struct partition_position to, struct error *err);
/* Calls wake of every reader. Under the log's lock. */
void kafka_readers_wake(struct kafka_log *log);

#endif
