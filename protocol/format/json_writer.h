/* json_writer.h: rows as JSON objects, values as to_json writes them. */
#ifndef MILLRACE_FORMAT_JSON_WRITER_H
#define MILLRACE_FORMAT_JSON_WRITER_H

#include "protocol/format/json_reader.h"

struct json_writer;

/* Of these columns of the batches, in this order; names are copied. times: numbers since 1970 for timestamps instead of text, cut
 * to the unit (infinities stay text). */
struct json_writer *json_writer_create(const struct format_column *columns, const uint32_t *which,
                                       uint32_t count, enum json_time times, bool bytes_base64);
void json_writer_destroy(struct json_writer *writer);
/* Appends the object. */
void json_writer_row(const struct json_writer *writer, const struct batch *rows, uint32_t row,
                     struct strbuf *out);
/* Appends the bare value of the i-th column. */
void json_writer_value(const struct json_writer *writer, uint32_t i, const struct batch *rows, uint32_t row,
                       struct strbuf *out);

#endif
