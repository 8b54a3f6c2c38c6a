/* raw.h: bytes as they are: bytea, text in UTF-8, numbers as Kafka's serializers write them (big-endian). */
#ifndef MILLRACE_FORMAT_RAW_H
#define MILLRACE_FORMAT_RAW_H

#include "storage/data/batch.h"

/* Can values of the type be bytes as they are? */
bool raw_has_type(uint32_t oid);
/* Into row `row`, for which there is room. 22021, 22P03. */
MUST_CHECK
bool raw_store(struct batch *out, uint32_t column, uint32_t row, const uint8_t *bytes, size_t len,
               struct error *err);
void raw_write(const struct column *column, uint32_t row, struct strbuf *out);

#endif
