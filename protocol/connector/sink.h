/* sink.h: where records of sinks go: one class per connector, one table row for users.
 *
 * Records are written in groups: begin, write ..., commit. A commit makes the group visible to readers, all of it or nothing, and
 * with it the progress of the sink, which recover tells again after a restart: what is not committed is written again. Where
 * the other side knows no transactions, a group may be seen twice, or a part of it.
 *
 * A sink belongs to one thread, but for `interrupt`. */
#ifndef MILLRACE_CONNECTOR_SINK_H
#define MILLRACE_CONNECTOR_SINK_H

#include "protocol/connector/connector.h"
#include "protocol/connector/record.h"

/* Borrowed during open. */
struct sink_spec {
    const char *sink_name;
    const char *identity; /* of this sink, for ever: who opens it anew under it takes over */
    bool exactly_once;
    const struct connector_option *options; /* without those of sinks in general and of the format */
    uint32_t options_count;
};

/* How far a sink has come: everything up to the epoch is written, and rows of the next ones below the number. */
struct sink_progress {
    uint64_t epoch, rows;
};

/* What recover finds. */
struct sink_recovery {
    bool found; /* there is a progress */
    struct sink_progress progress;
    /* rows > 0: a part of the next group has arrived, in spite of all; its records are passed over when the group is written again,
     * up to this very end. */
    struct sink_progress unfinished;
};

/* What is to be done after a failure. */
enum sink_remedy {
    SINK_RETRY,  /* abort, then write the group again */
    SINK_REOPEN, /* close, open and recover: what is committed is not known before */
    SINK_STOP,   /* nothing helps but somebody who looks after it */
};

struct sink { /* begins every connector's own struct */
    const struct sink_class *class;
    enum sink_remedy remedy; /* of the call that has returned false */
    uint64_t row;            /* number of the row whose records are written; who writes sets it */
};

struct sink_class {
    const char *name;
    const char *help;
    const struct connector_option_row *options; /* ends with a NULL name */
    /* Any other option that this accepts is handed on as it is (properties of librdkafka); 22023 when there is none of that
     * name or its value is wrong. NULL: there are none. */
    bool (*accepts)(const char *name, const char *value, struct error *err);
    /* Why ALTER cannot change the option of a sink that has written already; NULL: it can, for what is opened from then on. */
    const char *(*why_fixed)(const char *name);
    /* Checks options; with out NULL that is all. Connects lazily: who is not there is no error here. */
    bool (*open)(const struct sink_spec *spec, struct sink **out, struct error *err);
    /* Gives up what is not committed. */
    void (*close)(struct sink *sink);
    /* Before the first group: shuts out whoever was open under the same identity, and finds the progress that was committed last.
     * 08006 when the other side cannot be reached. */
    bool (*recover)(struct sink *sink, struct sink_recovery *found, struct error *err);
    bool (*begin)(struct sink *sink, struct error *err);
    /* Waits while too much is on its way. Of the record: key (NULL: none), value (NULL: a tombstone), headers and timestamp; all
     * is copied. What is written from a row is the same whenever it is written again; the order of rows may be another. */
    bool (*write)(struct sink *sink, const struct record *record, struct error *err);
    bool (*commit)(struct sink *sink, const struct sink_progress *progress, struct error *err);
    /* Takes the group back; false: SINK_REOPEN or SINK_STOP. */
    bool (*abort)(struct sink *sink, struct error *err);
    /* Any thread: the call that runs returns soon (57014, SINK_REOPEN), and so does every later one but close. */
    void (*interrupt)(struct sink *sink);
};

extern const struct sink_class sink_kafka;

/* NULL when there is none of that name. */
const struct sink_class *sink_find(const char *name);
const struct sink_class *sink_at(size_t index);
/* An option's value, its default, or NULL. */
const char *sink_option(const struct sink_class *class, const struct sink_spec *spec, const char *name);
/* Every option is the class's or accepted by it, and those that it needs are there: 22023. */
MUST_CHECK
bool sink_check_options(const struct sink_class *class, const struct sink_spec *spec, struct error *err);

#endif
