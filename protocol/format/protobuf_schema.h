/* protobuf_schema.h: messages of Protocol Buffers as plain structs: what libprotobuf makes of schemas.
 *
 * This header is read by C and by the one file in C++ (protobuf_schema.cc), so it includes nothing of ours. */
#ifndef MILLRACE_FORMAT_PROTOBUF_SCHEMA_H
#define MILLRACE_FORMAT_PROTOBUF_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The numbers of descriptor.proto. */
enum proto_kind {
    PROTO_DOUBLE = 1,
    PROTO_FLOAT,
    PROTO_INT64,
    PROTO_UINT64,
    PROTO_INT32,
    PROTO_FIXED64,
    PROTO_FIXED32,
    PROTO_BOOL,
    PROTO_STRING,
    PROTO_GROUP,
    PROTO_MESSAGE,
    PROTO_BYTES,
    PROTO_UINT32,
    PROTO_ENUM,
    PROTO_SFIXED32,
    PROTO_SFIXED64,
    PROTO_SINT32,
    PROTO_SINT64,
};

/* Messages that stand for a value of SQL. */
enum proto_known {
    PROTO_ORDINARY,
    PROTO_TIMESTAMP,
    PROTO_DURATION,
    PROTO_WRAPPER, /* of its field 1 */
    PROTO_STRUCT,
    PROTO_VALUE,
    PROTO_LIST_VALUE,
    PROTO_DATE,    /* google.type.Date */
    PROTO_DECIMAL, /* confluent.type.Decimal */
};

struct proto_enum {
    uint32_t count;
    int32_t *numbers; /* ascending, each once */
    const char **names;
};

struct proto_message;

struct proto_field {
    const char *name;
    uint32_t number;
    enum proto_kind kind;
    bool is_repeated, is_map, is_packed;
    bool has_presence; /* absent is not the same as the default */
    bool has_default;  /* proto2: the schema names one */
    int32_t oneof;     /* -1: of none */
    struct proto_message *message;
    struct proto_enum *enumeration;
    /* the default value, as far as its kind has one */
    int64_t default_number;
    double default_float;
    const char *default_bytes;
    size_t default_len;
};

struct proto_message {
    const char *name; /* full */
    enum proto_known known;
    uint32_t count;
    struct proto_field *fields;
    uint32_t
        indexes_count; /* where it is in its file, as Confluent's header says: of messages, of messages within ... */
    int32_t *indexes;
};

struct proto_source {
    const char *path; /* by which it is imported */
    const char *text;
};

/* What a schema is made of. */
struct proto_schema {
    uint32_t sources_count; /* the first is the one that has the message */
    const struct proto_source *sources;
    const uint8_t *
        descriptors; /* instead: a serialized FileDescriptorSet, whose last file has the message unless its name says otherwise */
    size_t descriptors_len;
    const char *message; /* full name, or behind the file's package; NULL: by indexes */
    const int32_t *indexes;
    uint32_t indexes_count; /* 0: the first message */
};

/* Memory comes from alloc. false: what is wrong with it is in problem, NUL-terminated. */
bool proto_schema_build(const struct proto_schema *schema, void *(*alloc)(void *ctx, size_t bytes), void *ctx,
                        struct proto_message **out, char *problem, size_t problem_cap);

#ifdef __cplusplus
}
#endif

#endif
