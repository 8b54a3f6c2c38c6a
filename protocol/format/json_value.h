/* json_value.h: one JSON value to a value of a column's type. */
#ifndef MILLRACE_FORMAT_JSON_VALUE_H
#define MILLRACE_FORMAT_JSON_VALUE_H

#include "protocol/format/json_reader.h"
#include "protocol/format/json_scan.h"

/* How values of a type are read: those with a short way, and the others. */
enum json_way {
    JSON_WAY_INT2,
    JSON_WAY_INT4,
    JSON_WAY_INT8,
    JSON_WAY_TEXT, /* text, varchar; not longer than bytes_max */
    JSON_WAY_BOOL,
    JSON_WAY_FLOAT8,
    JSON_WAY_NUMERIC,
    JSON_WAY_TIMESTAMP,
    JSON_WAY_TIMESTAMPTZ,
    JSON_WAY_DATE,
    JSON_WAY_OTHER
};

struct json_target {
    struct sql_type type;
    enum json_way way;
    uint32_t element_oid; /* of arrays, else 0 */
    uint32_t bytes_max;   /* of text that surely fits */
    int32_t precision;    /* of numeric(p,s); 0: any */
    int32_t scale;
    int32_t unit; /* timestamps: microseconds of the last digit */
    struct json_encoding encoding;
};

void json_target_init(struct json_target *target, struct sql_type type, struct json_encoding encoding);

/* What conversions need besides. */
struct json_scratch {
    struct strbuf string; /* a string without its escapes */
    struct arena arena;   /* trees of jsonb, items of arrays; emptied by whoever owns it */
};

/* The value of a token that is not null; bytes are in the arena. Errors of the type's input, without the column's name. */
MUST_CHECK
bool json_convert(const struct json_target *target, const struct json_token *token,
                  struct json_scratch *scratch, struct arena *arena, struct datum *out, struct error *err);

#endif
