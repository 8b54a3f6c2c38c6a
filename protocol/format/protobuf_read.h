/* protobuf_read.h: from the wire format of Protocol Buffers straight into columns.
 *
 * A program is made once per message type and set of columns: for each message on the way of a path, what to do with each of its fields.
 * Fields come in any order; of one that comes again the last counts, messages are merged, repeated fields grow. */
#ifndef MILLRACE_FORMAT_PROTOBUF_READ_H
#define MILLRACE_FORMAT_PROTOBUF_READ_H

#include "protocol/format/convert.h"
#include "protocol/format/json_path.h"
#include "protocol/format/protobuf_schema.h"
#include "protocol/format/registry.h"

/* A message type; in the arena. 22023 saying what is wrong with the schema. */
MUST_CHECK
bool proto_parse(struct arena *arena, const struct proto_schema *schema, struct proto_message **out,
                 struct error *err);
/* Of a registry's schema, with those it imports. */
MUST_CHECK
bool proto_parse_registered(struct arena *arena, const struct registry_schema *schema, const char *message,
                            const int32_t *indexes, uint32_t indexes_count, struct proto_message **out,
                            struct error *err);
/* The type that a column made of the field has. */
struct sql_type proto_natural(const struct proto_field *field);

/* A column to be filled. */
struct proto_target {
    const struct format_column *column;
    uint32_t index; /* in the batch */
    uint32_t parts_count;
    const struct json_step *parts;
    /* set by proto_program_make: */
    bool is_found;
    enum convert_fit fit;
    const char *type; /* what is there, when it never fits */
    struct sql_type natural;
};

struct proto_program;
struct proto_scratch; /* what programs work with; of one thread */
struct proto_scratch *proto_scratch_create(void);
void proto_scratch_destroy(struct proto_scratch *scratch);

/* In the arena; borrows the message and the targets' columns. */
struct proto_program *proto_program_make(struct arena *arena, const struct proto_message *message,
                                         struct proto_target *targets, uint32_t targets_count);
/* The fields of the message that no target reads, and the types of columns made of them. */
const char *const *proto_program_unread(const struct proto_program *program, const struct sql_type **types,
                                        uint32_t *count);
/* As avro_program_run. */
MUST_CHECK
bool proto_program_run(const struct proto_program *program, struct proto_scratch *scratch,
                       const uint8_t *bytes, size_t len, struct batch *out, uint32_t row, struct error *err);

#endif
