/* json_options.h: the options that formats made of JSON share. */
#ifndef MILLRACE_FORMAT_JSON_OPTIONS_H
#define MILLRACE_FORMAT_JSON_OPTIONS_H

#include "protocol/format/json_reader.h"

#define OPTION_CASE_SENSITIVE                                                                                \
    {                                                                                                        \
        "case_sensitive", "true",                                                                            \
            "false: names of members and columns differ not by the case of ASCII letters"                    \
    }
#define OPTION_BYTEA(value)                                                                                  \
    {                                                                                                        \
        "bytea_format", value,                                                                               \
            "how bytea stands in strings: hex, as type bytea reads and writes it, or base64"                 \
    }
#define OPTION_KEY_FORMAT(value)                                                                             \
    {                                                                                                        \
        "key_format", value,                                                                                 \
            "how the record's key is written: json (an object of the key's columns, or the bare value of "   \
            "one), text, or raw"                                                                             \
    }
#define OPTION_KEY_COLUMNS                                                                                   \
    {                                                                                                        \
        "key_columns", "value",                                                                              \
            "where the columns of the primary key are read from: value, or key (the record's key); records " \
            "without value always give their key"                                                            \
    }
#define OPTION_KEY_STYLE                                                                                     \
    {                                                                                                        \
        "key_style", "object", "how a sink writes a JSON key of one column: object, or value (bare)"         \
    }

/* Options "timestamp_format" and "bytea_format" of a class that has them. */
MUST_CHECK
bool json_options_read(const struct format_class *class, const struct format_spec *spec,
                       struct json_encoding *out, struct error *err);

#endif
