/* partitioned.h: sources that are logs in partitions, whose records have offsets and can be read again from any of them.
 *
 * Whoever reads decides where: offsets are kept by the server in a relation of its own, in the same transaction as the
 * rows (docs/kafka.md), and never by the connector. Several readers share one log; each reads partitions of its own, on a thread
 * of its own, and decodes there. Records of one partition come in order. */
#ifndef MILLRACE_CONNECTOR_PARTITIONED_H
#define MILLRACE_CONNECTOR_PARTITIONED_H

#include "protocol/connector/connector.h"
#include "protocol/connector/record.h"

struct partitioned_log;    /* begins every connector's own struct */
struct partitioned_reader; /* likewise */

/* Where to go on in a partition. Keep all of it together with the rows.
 *
 * The record seen last tells a log that was deleted and made anew: a reader that begins here reads that record once more,
 * compares and drops it, and says 55000 when it is another one. */
struct partition_position {
    int32_t partition;
    int64_t offset;       /* of the next record */
    int64_t seen_offset;  /* of the record that was read last; -1: none, and nothing is compared */
    int64_t seen_time_us; /* its timestamp_us */
};

/* What the log says about a partition. */
struct partition_stats {
    int32_t partition;
    /* First offset there is, and one behind the last that a reader of committed records sees, at most about a second old; -1:
     * unknown. A reader that has read all stands at high, whatever control records are between. */
    int64_t low, high;
    uint64_t lost; /* offsets skipped since open because option "on_lost" says so */
};

struct partitioned_read {
    const struct partition_position *positions; /* borrowed during read */
    uint32_t count;                             /* at least 1 */
    bool headers;                               /* records come with their headers; costs time */
    /* Called from any thread when a poll may have something new to say: records, an error, an error that is over, partitions to
     * discover. Must be quick and call nothing of this log; may be called for nothing. NULL: never. */
    void (*wake)(void *ctx);
    void *wake_ctx;
};

struct partitioned_class {
    const char *name;
    const char *help;
    const struct connector_option_row *options; /* ends with a NULL name */
    /* Any other option that this accepts is handed on as it is (properties of librdkafka); 22023 when there is none of that
     * name or its value is wrong; the message shows no secret. NULL: there are none. */
    bool (*accepts)(const char *name, const char *value, struct error *err);
    /* Checks options; with out NULL that is all, and connects to nothing. Else connects lazily: an unreachable broker is no
     * error here. */
    bool (*open)(const struct source_spec *spec, struct partitioned_log **out, struct error *err);
    /* It will be closed soon: from now on it waits for no broker, so that closing is quick, beside that of other logs. Any thread. */
    void (*hurry)(struct partitioned_log *log);
    /* After all readers. May take some seconds when the brokers do not answer: as long as what they were asked before hurry. */
    void (*close)(struct partitioned_log *log);
    /* Where a new source begins, for every partition there is now, in their order, by option "start". Asks the broker, at most
     * for timeout_ns: 08001 when it cannot be reached, 28000 when it does not let us in, 42501 when it does not let us read,
     * 42P01 when the log does not exist, 22023 when offsets are named for partitions that do not exist, or not for all. In the
     * arena. */
    bool (*start)(struct partitioned_log *log, int64_t timeout_ns, struct arena *arena,
                  struct partition_position **out, uint32_t *count, struct error *err);
    /* Names what the log is part of (the id of the cluster), "" when unknown yet (it is known after start): keep it, another one than before means that
     * offsets of before mean nothing. Borrowed until close; any thread. */
    const char *(*incarnation)(struct partitioned_log *log);
    /* Partitions that are there now and not in `known` (any order); they begin at their first record. Remembers what the broker
     * said last, asks nothing. In the arena. Any thread. */
    void (*discover)(struct partitioned_log *log, const int32_t *known, uint32_t known_count,
                     struct arena *arena, struct partition_position **out, uint32_t *count);
    /* A reader of these partitions, which no other reader has. It belongs to one thread at a time. Never waits for a broker. */
    bool (*read)(struct partitioned_log *log, const struct partitioned_read *spec,
                 struct partitioned_reader **out, struct error *err);
    void (*end)(struct partitioned_reader *reader);
    /* Up to records_max records, borrowed until the next poll, seek or end. After 0 records there is nothing to poll until wake is
     * called; after some, poll again. passed: where every partition of the reader stands behind these records, in the order of
     * read (control records and aborted ones are passed as well, so positions may move without a record); valid until the next
     * poll, seek or end. Never waits.
     * false: nothing was read. Errors that end by themselves: 08006 the brokers, or leaders of partitions, are gone, 28000 and
     * 42501 they do not let us in; poll again after wake. Others stay until seek or end: 22003 records before the first one left
     * are lost (the range is in the detail); 55000 the log was deleted, made anew or has fewer partitions, which stays until close
     * when it is not this reader's places alone that say so; XX001 what the broker sent is damaged. */
    bool (*poll)(struct partitioned_reader *reader, uint32_t records_max, const struct record **out,
                 uint32_t *count, const struct partition_position **passed, uint32_t *passed_count,
                 struct error *err);
    /* Goes on elsewhere in a partition of the reader. */
    bool (*seek)(struct partitioned_reader *reader, struct partition_position to, struct error *err);
    /* Tells the broker how far rows are durable, for dashboards of others; nothing is read from there. Never waits. Any
     * thread. */
    void (*committed)(struct partitioned_log *log, const struct partition_position *positions,
                      uint32_t count);
    /* Of every partition known, in their order; in the arena. Asks nothing. Any thread. */
    uint32_t (*stats)(struct partitioned_log *log, struct arena *arena, struct partition_stats **out);
};

struct partitioned_log {
    const struct partitioned_class *class;
};
struct partitioned_reader {
    const struct partitioned_class *class;
};

extern const struct partitioned_class partitioned_kafka;

/* NULL when there is none of that name. */
const struct partitioned_class *partitioned_find(const char *name);
const struct partitioned_class *partitioned_at(size_t index);
/* The option's value, its default, or NULL. */
const char *partitioned_option(const struct partitioned_class *class, const struct source_spec *spec,
                               const char *name);
/* Every option must be one of the class's or be accepted by it: 22023. Required ones must be there. */
MUST_CHECK
bool partitioned_check_options(const struct partitioned_class *class, const struct source_spec *spec,
                               struct error *err);

#endif
