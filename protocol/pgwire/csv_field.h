/* csv_field.h: one field of a CSV record, as COPY and format csv read it. */
#ifndef MILLRACE_PGWIRE_CSV_FIELD_H
#define MILLRACE_PGWIRE_CSV_FIELD_H

#include "storage/base/strbuf.h"

#include <stdbool.h>

struct csv_dialect {
    uint8_t delimiter, quote, escape;
};

struct csv_field {
    const char *text; /* in the record, or in the scratch buffer when quotes had to be taken out */
    size_t len;
    bool quoted;
    const uint8_t *raw; /* as it stands in the record */
    size_t raw_len;
};

/* Reads one field; *at moves behind it (and not over the delimiter). false: its quotes do not end. */
MUST_CHECK
bool csv_field_read(const struct csv_dialect *dialect, const uint8_t **at, const uint8_t *end,
                    struct strbuf *scratch, struct csv_field *out);

#endif
