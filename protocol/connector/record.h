/* record.h: one record of a partitioned log (Kafka), as bytes, before a format has looked at it. */
#ifndef MILLRACE_CONNECTOR_RECORD_H
#define MILLRACE_CONNECTOR_RECORD_H

#include <stddef.h>
#include <stdint.h>

struct record_header {
    const char *name;
    const uint8_t *value; /* NULL: none */
    size_t value_len;
};

/* Everything is borrowed from whoever gave it. */
struct record {
    int32_t partition;
    int64_t offset;
    int64_t timestamp_us; /* since 2000-01-01 as in a timestamptz; INT64_MIN: none */
    const uint8_t *key;   /* NULL: none */
    size_t key_len;
    const uint8_t *value; /* NULL: none, a tombstone */
    size_t value_len;
    uint32_t headers_count;
    const struct record_header *headers;
};

#endif
