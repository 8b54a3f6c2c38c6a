/* source_records.h: records of a log as rows of the relation that it feeds.
 *
 * The format decodes a record's value straight into columns; columns with OPTIONS (metadata ...) come from what surrounds it,
 * columns the record says nothing of get their DEFAULT (once per call: now() is the call's clock), and generated columns,
 * NOT NULL and CHECK are as for INSERT. A record that fails at any of this is rejected with the reason, alone. Used by one
 * thread. */
#ifndef MILLRACE_SERVER_SOURCE_RECORDS_H
#define MILLRACE_SERVER_SOURCE_RECORDS_H

#include "protocol/connector/record.h"
#include "protocol/format/format.h"
#include "server/server.h"

struct source_records;
struct source_skips;

/* out NULL: only checks. 22023 for options of the format, 42703 and 42804 for columns, 0A000 for defaults that differ from row
 * to row. Takes the catalog's read lock. */
MUST_CHECK
bool source_records_open(struct server *server, const struct catalog_object *object,
                         struct source_records **out, struct error *err);
void source_records_close(struct source_records *records);
/* After source_records_decode has stopped with 55000: what would have to be done to the relation's columns for it to go on (format_class.changes); 0:
 * nothing that the options allow. Borrowed until the next decode. */
uint32_t source_records_changes(struct source_records *records, const struct format_change **out);
/* Rows replace those with their keys. */
bool source_records_replace(const struct source_records *records);
/* A column holds headers. */
bool source_records_want_headers(const struct source_records *records);

struct rejected_record {
    uint32_t record;      /* its number in the call */
    enum error_code code; /* ERRCODE_NONE: the rules say that it is skipped */
    const char *reason;
};

struct decoded_records {
    uint32_t taken;            /* records that were looked at; those behind them come in the next call */
    struct batch *rows;        /* all columns of the relation; where they replace, no key is twice */
    const uint32_t *record_of; /* per row */
    uint32_t rejected_count;
    const struct rejected_record *rejected; /* in order */
    /* Why it stopped before the last record. 08006: that record cannot be decoded now; 55000: the schema of records has changed;
     * ERRCODE_NONE: it was enough. With stops_at_error the error of that record, which is not in `rejected`. */
    struct error why;
};

struct decode_rules {
    bool stops_at_error;
    const struct source_skips *skips; /* records that are not even looked at; NULL: none (source_options.h) */
    /* The record that the engine has refused: rejected for that reason. */
    bool has_refused;
    int32_t refused_partition;
    int64_t refused_offset;
    enum error_code refused_code;
    const char *refused_reason;
};

/* Records in the order of their partitions. Everything in the arena, nothing of the records is kept. */
void source_records_decode(struct source_records *records, const struct record *from, uint32_t count,
                           const struct decode_rules *rules, int64_t clock_us, struct arena *arena,
                           struct decoded_records *out);

#endif
