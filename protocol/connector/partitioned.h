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

/* Where to go on in a partition, and what is known of it. */
struct partition_position {
    int32_t partition;
    int64_t offset; /* of the next record */
};

/* What the log says about a partition; any thread, without asking the broker. */
struct partition_stats {
    int32_t partition;
    int64_t low,
        high; /* first offset there is, one behind the last that a reader of committed records sees; -1: unknown */
};

struct partitioned_class {
    const char *name;
    const char *help;
    const struct connector_option_row *options; /* ends with a NULL name */
    /* Any other option that this accepts is handed on as it is (properties of librdkafka); 22023 when there is none of that
     * name or its value is wrong. NULL: there are none. */
    bool (*accepts)(const char *name, const char *value, struct error *err);
    /* Checks options; with out NULL that is all, and connects to nothing. Else connects lazily: an unreachable broker is no
     * error here. */
    bool (*open)(const struct source_spec *spec, struct partitioned_log **out, struct error *err);
    void (*close)(struct partitioned_log *log); /* after all readers */
    /* Where a new source begins, for every partition there is now, by option "start". Asks the broker, at most for
     * timeout_ns: 08001 when it cannot be reached, 42P01 when the log does not exist, 22023 for offsets of partitions that do
     * not. In the arena. */
    bool (*start)(struct partitioned_log *log, int64_t timeout_ns, struct arena *arena,
                  struct partition_position **out, uint32_t *count, struct error *err);
    /* Names the log's present incarnation, "" when unknown: another one than before means that the topic was made anew.
     * Borrowed until close. */
    const char *(*incarnation)(struct partitioned_log *log);
    /* Partitions that are there now and not in `known`; they begin at their first record. Remembers what the broker said last, asks
     * nothing. */
    bool (*discover)(struct partitioned_log *log, const int32_t *known, uint32_t known_count,
                     struct arena *arena, struct partition_position **out, uint32_t *count,
                     struct error *err);
    /* A reader of these partitions. wake(wake_ctx) is called from any thread when there may be something to poll. */
    bool (*read)(struct partitioned_log *log, const struct partition_position *positions, uint32_t count,
                 void (*wake)(void *ctx), void *wake_ctx, struct partitioned_reader **out, struct error *err);
    void (*end)(struct partitioned_reader *reader);
    /* Up to records_max records, borrowed until the next poll or end; 0: nothing for now, wake says when. passed: per partition of
     * the reader where it stands now (control records and aborted ones are behind it as well), valid until the next poll.
     * false: the log cannot be read on. 08006: the broker is gone, poll again later and it goes on by itself; 22003 with the range
     * in the detail: records before the first one left are lost (seek or give up); 55000: the topic was deleted or made anew, or has fewer
     * partitions. */
    bool (*poll)(struct partitioned_reader *reader, uint32_t records_max, const struct record **out,
                 uint32_t *count, const struct partition_position **passed, uint32_t *passed_count,
                 struct error *err);
    /* Goes on elsewhere in a partition. */
    bool (*seek)(struct partitioned_reader *reader, struct partition_position to, struct error *err);
    /* Tells the broker how far rows are durable, for dashboards of others; nothing is read from there. Never waits. */
    void (*committed)(struct partitioned_log *log, const struct partition_position *positions,
                      uint32_t count);
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

#endif
