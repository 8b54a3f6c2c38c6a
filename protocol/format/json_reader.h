/* json_reader.h: members of JSON objects to columns, in one pass over the bytes.
 *
 * What columns ask for is a tree of member names and array items made once. Members of a record are compared with the member that came
 * there in the record before, and only looked up by hash when it is another. A value goes from the text straight into its column;
 * values mean what PostgreSQL's json_populate_record makes of them: a scalar is read as the text form of the column's type ('1.0' is no
 * integer), json and jsonb take any value, text takes a nested value as its text, arrays take JSON arrays of equal lengths or the text of an
 * array, null and missing members are NULL, the last of equal names counts. Members that no column takes are checked for their grammar
 * only.
 *
 * One thread owns a reader. */
#ifndef MILLRACE_FORMAT_JSON_READER_H
#define MILLRACE_FORMAT_JSON_READER_H

#include "protocol/format/format.h"

/* What a number means in a column of dates or times: the text form of the type, or a count since 1970 (of a time: since midnight). */
enum json_time {
    JSON_TIME_TEXT,
    JSON_TIME_DAYS,
    JSON_TIME_SECONDS,
    JSON_TIME_MILLIS,
    JSON_TIME_MICROS,
    JSON_TIME_NANOS
};

/* How values of a column are written, where that is not JSON's own way. */
struct json_encoding {
    enum json_time time;
    bool bytes_base64;     /* bytea */
    bool decimal_base64;   /* numeric: two's complement, with this many digits behind the point; */
    int32_t decimal_scale; /* -1: those of the column's type, or an error */
    bool nested_text;      /* json, jsonb: a string that holds the value's text */
    bool refuse_unchanged; /* Debezium's mark for a value that it does not know is refused: 22000 */
};

/* A column, and the number it has in batches. */
struct json_column_spec {
    const char *name;
    const char *path; /* NULL: the member called name */
    struct sql_type type;
    uint32_t column;
    bool not_null;
    struct json_encoding encoding;
};

struct json_reader_spec {
    uint32_t columns_count;
    const struct json_column_spec *columns;
    bool reject_unknown; /* 22P04 for a member that no column takes, in every object that is looked into */
    bool fold_case;      /* names differ not by the case of ASCII letters */
};

struct json_reader;

/* The spec is borrowed during the call. 22023 for a bad path. */
MUST_CHECK
bool json_reader_create(const struct json_reader_spec *spec, struct json_reader **out, struct error *err);
void json_reader_destroy(struct json_reader *reader);
/* Of the spec's column i, from now on. */
void json_reader_set_encoding(struct json_reader *reader, uint32_t i, struct json_encoding encoding);

/* A record's bytes with what scanning them needs behind: a buffer that is kept. */
struct json_text {
    uint8_t *bytes;
    size_t len, cap;
};
void json_text_release(struct json_text *text);
/* 54000 beyond VALUE_BYTES_MAX. */
MUST_CHECK
bool json_text_load(struct json_text *text, const uint8_t *bytes, size_t len, struct error *err);

/* Reads the value at `at` in the text (white space may come first) into row out->rows, which is not counted yet and for which there
 * is room; *end is behind it and the white space there; with end NULL the text must end there. All columns of the spec are set. On
 * false nothing is left that counts, once the row is cancelled. */
MUST_CHECK
bool json_reader_read(struct json_reader *reader, const struct json_text *text, const uint8_t *at,
                      const uint8_t **end, struct batch *out, struct error *err);
/* The same for a value that is the column itself, of a spec with one column. */
MUST_CHECK
bool json_reader_read_bare(struct json_reader *reader, const struct json_text *text, const uint8_t *at,
                           const uint8_t **end, struct batch *out, struct error *err);

#endif
