/* values.h: rows to DataRow messages, and Bind's parameters to values.
 *
 * How a column is written is chosen once per result: a function for its type and format. */
#ifndef MILLRACE_PGWIRE_VALUES_H
#define MILLRACE_PGWIRE_VALUES_H

#include "protocol/pgwire/message.h"
#include "storage/data/batch.h"

/* Appends the value at `row` (not NULL) without its length. */
typedef void (*value_write_fn)(const struct column *column, uint32_t row, const struct io_env *io,
                               struct strbuf *out);

/* The writer of a type in a format (0 text, 1 binary). */
value_write_fn value_writer(uint32_t oid, int16_t format);

struct row_writer {
    uint32_t columns_count;
    value_write_fn *writers; /* in the arena */
};

/* formats: none (all text), one for all, or one per column; 08P01 otherwise. 0A000 when a type has no such
 * form. */
MUST_CHECK
bool row_writer_init(struct row_writer *writer, struct arena *arena, const struct sql_type *types,
                     uint32_t columns_count, const int16_t *formats, uint32_t formats_count,
                     struct error *err);
/* Sends rows [first, first + count) as DataRow messages, a row of weight n n times. Flushes as it goes.
 * Returns the number of rows sent; fewer mean that the connection broke. */
uint64_t row_writer_send(const struct row_writer *writer, struct wire *wire, const struct batch *rows,
                         uint32_t first, uint32_t count, const struct io_env *io);
/* RowDescription. Origins and formats may be NULL. formats as above, already checked. */
void row_description_send(struct wire *wire, uint32_t columns_count, const char *const *names,
                          const struct sql_type *types, const uint32_t *table_oids, const int16_t *attnums,
                          const int16_t *formats, uint32_t formats_count);

/* One parameter of Bind (bytes NULL: SQL NULL). 22021 for invalid text, 22P02 ..., 22P03. Text is copied into
 * the arena. */
MUST_CHECK
bool value_read(struct sql_type type, int16_t format, const uint8_t *bytes, size_t len,
                const struct io_env *io, struct arena *arena, struct datum *out, struct error *err);

#endif
