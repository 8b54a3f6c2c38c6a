/* kafka_note.h: the record in which a sink notes its progress: JSON, under the sink's identity as its key.
 *
 *     {"format": 2, "epoch": 93, "rows": 527, "from": [92, 510], "partitions": 2, "last": [[0, 164], [1, 395]], "done": []}
 *
 * Format 1 had epoch and rows only, and so has what is written at least once. */
#ifndef MILLRACE_CONNECTOR_KAFKA_NOTE_H
#define MILLRACE_CONNECTOR_KAFKA_NOTE_H

#include "protocol/connector/kafka_fate.h"
#include "protocol/connector/sink.h"
#include "storage/base/strbuf.h"

struct kafka_note {
    struct sink_progress to; /* with the group that it was written with */
    bool tells_where;        /* the rest is there */
    bool has_from;
    struct sink_progress from; /* before that group */
    int32_t partitions;        /* of the topic */
    uint32_t last_count;       /* in order of partitions: where the group's last records are */
    struct kafka_last *last;
    /* By partition: the group's rows for it had arrived when it was written before, and are not among its records. NULL: nowhere. */
    bool *is_done;
};

void kafka_note_write(const struct kafka_note *note, struct strbuf *out);
/* false: it is no such record. The note is to be released in any case. */
MUST_CHECK
bool kafka_note_read(const void *text, size_t len, struct kafka_note *note);
void kafka_note_release(struct kafka_note *note);

#endif
