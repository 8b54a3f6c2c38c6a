/* sink_records.h: rows of an outbox as records: key, value and headers, in one of the envelopes. One thread. */
#ifndef MILLRACE_SERVER_SINK_RECORDS_H
#define MILLRACE_SERVER_SINK_RECORDS_H

#include "executor/outbox.h"
#include "protocol/connector/sink.h"
#include "protocol/format/format.h"

struct sink_records;

/* Borrowed during open. */
struct sink_records_spec {
    const char *sink_name;   /* in errors */
    const char *record_name; /* in schemas and envelopes */
    const char *topic;
    const struct format_class *format;
    const struct connector_option *options; /* the format's */
    uint32_t options_count;
    uint32_t columns_count;
    const struct format_column *columns; /* name and type */
    uint32_t key_count;
    const uint32_t *key;
    int32_t headers_column; /* jsonb, its members are headers and not in the value; -1: none */
    bool is_debezium;
};

/* Checks options and columns; with out NULL that is all. */
MUST_CHECK
bool sink_records_open(const struct sink_records_spec *spec, struct sink_records **out, struct error *err);
void sink_records_close(struct sink_records *records);
/* Forgets the first half of a change (OUTBOX_BEFORE) whose second half has not come. */
void sink_records_reset(struct sink_records *records);
/* Hands row number `row` to the sink, in as many records as its envelope wants; bytes grows by theirs. is_snapshot: the row was there
 * when the sink was made. An error of the format has the remedy SINK_STOP. */
MUST_CHECK
bool sink_records_write(struct sink_records *records, struct sink *sink, const struct outbox_rows *rows,
                        uint32_t row, bool is_snapshot, int64_t *bytes, struct error *err);

#endif
