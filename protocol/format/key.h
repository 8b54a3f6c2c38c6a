/* key.h: the key of a record to the columns of a primary key, and back, for formats that have these options:
 *
 *   key_format   json | text | raw     how keys are written
 *   key_columns  value | key           where the columns of the primary key are read from
 *
 * json: an object of the columns by their names, or of a key of one column its bare value. text: the text form of the only column. raw:
 * its bytes (raw.h). */
#ifndef MILLRACE_FORMAT_KEY_H
#define MILLRACE_FORMAT_KEY_H

#include "protocol/format/json_reader.h"

struct key_reader;

/* Encodings of json by column of the spec; NULL: plain. has_envelope: the key may stand beside its schema, in member "payload". 22023 for
 * text and raw when the key has not one column; a spec without key columns gives NULL. */
MUST_CHECK
bool key_reader_create(const struct format_class *class, const struct format_spec *spec,
                       const struct json_encoding *encodings, bool has_envelope, struct key_reader **out,
                       struct error *err);
void key_reader_destroy(struct key_reader *reader);
/* From now on; as in create, and not NULL. reader may be NULL. */
void key_reader_set_encodings(struct key_reader *reader, const struct json_encoding *encodings);
/* Does option key_columns say that the columns are read from the key, though there is a value? */
bool key_reader_has_columns(const struct key_reader *reader);
/* Sets the key's columns in row out->rows, for which there is room. 22004 when the record has no key. */
MUST_CHECK
bool key_reader_read(struct key_reader *reader, const struct record *record, struct batch *out,
                     struct error *err);
/* Appends a deletion of the record's key; all other columns are NULL. */
MUST_CHECK
bool key_reader_delete(struct key_reader *reader, const struct record *record, struct batch *out,
                       struct error *err);

struct key_writer;

/* The class has option key_style as well; encoding: of times and bytes in JSON. 22023 as above; a spec without key columns gives NULL,
 * which writes nothing. */
MUST_CHECK
bool key_writer_create(const struct format_class *class, const struct format_spec *spec,
                       struct json_encoding encoding, struct key_writer **out, struct error *err);
void key_writer_destroy(struct key_writer *writer);
void key_writer_write(struct key_writer *writer, const struct batch *rows, uint32_t row, struct strbuf *out);

#endif
