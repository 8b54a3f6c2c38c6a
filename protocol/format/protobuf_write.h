/* protobuf_write.h: rows as Protocol Buffers: the encoder of format_protobuf.c.
 *
 * The message is that of option proto_schema, or made of the columns: fields are numbered as columns stand. With a registry
 * the schema is registered when the first row is written. */
#ifndef MILLRACE_FORMAT_PROTOBUF_WRITE_H
#define MILLRACE_FORMAT_PROTOBUF_WRITE_H

#include "protocol/format/format.h"

/* As struct format_class says. */
bool proto_open_encoder(const struct format_spec *spec, struct encoder **out, struct error *err);
bool proto_encode(struct encoder *encoder, const struct batch *rows, uint32_t row, bool is_deletion,
                  struct strbuf *key, struct strbuf *value, struct error *err);
void proto_close_encoder(struct encoder *encoder);
/* The .proto text of an open encoder's values; for tests. */
const char *proto_encoder_schema(const struct encoder *encoder);

#endif
