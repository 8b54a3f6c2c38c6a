/* avro_write.h: rows as Avro: the encoder of format_avro.c.
 *
 * The schemas are those of options avro_schema and avro_key_schema, or made from the columns; with a registry they are
 * registered when the first row is written. */
#ifndef MILLRACE_FORMAT_AVRO_WRITE_H
#define MILLRACE_FORMAT_AVRO_WRITE_H

#include "protocol/format/format.h"

/* As struct format_class says. */
bool avro_open_encoder(const struct format_spec *spec, struct encoder **out, struct error *err);
bool avro_encode(struct encoder *encoder, const struct batch *rows, uint32_t row, bool is_deletion,
                 struct strbuf *key, struct strbuf *value, struct error *err);
void avro_close_encoder(struct encoder *encoder);
/* The schema of values, or of keys, of an open encoder (NULL: it writes no keys); for tests. */
const char *avro_encoder_schema(const struct encoder *encoder, bool is_key);

#endif
