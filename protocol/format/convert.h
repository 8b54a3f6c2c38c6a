/* convert.h: values of formats that know their types (Avro, Protobuf) as values of columns.
 *
 * Such a format names a natural SQL type for each of its own; a column may have another that holds the values, as PostgreSQL would
 * assign them. */
#ifndef MILLRACE_FORMAT_CONVERT_H
#define MILLRACE_FORMAT_CONVERT_H

#include "protocol/format/format.h"

enum convert_fit {
    CONVERT_NEVER,
    CONVERT_SOME,  /* values may not fit: checked one by one */
    CONVERT_EXACT, /* every value has its place */
};
enum convert_fit convert_fit(struct sql_type from, struct sql_type to);
/* A value, not NULL, of a pair that fits; bytes are copied into the arena. 22003, 22001, 22P02, 22007 ... */
MUST_CHECK
bool convert_value(struct sql_type from, const struct datum *value, struct sql_type to, struct arena *arena,
                   struct datum *out, struct error *err);

/* A decimal: a two's complement number, big-endian, worth 10^-scale. 22003 beyond what numeric holds. */
MUST_CHECK
bool convert_decimal(const uint8_t *bytes, size_t len, int32_t scale, struct arena *arena, struct varlen *out,
                     struct error *err);
/* The reverse, appended, in the fewest bytes or, width not 0, in that many. 22003 when it needs digits behind the point that scale cuts
 * off, more bytes than width, or is NaN or infinite. */
MUST_CHECK
bool convert_to_decimal(const struct varlen *value, int32_t scale, uint32_t width, struct strbuf *out,
                        struct error *err);
/* Microseconds since 1970 as a timestamp. 22008 when out of range. */
MUST_CHECK
bool convert_unix_us(int64_t us, int64_t *out, struct error *err);
/* Days since 1970 as a date, microseconds of a day as a time: 22008. */
MUST_CHECK
bool convert_unix_days(int64_t days, int32_t *out, struct error *err);
MUST_CHECK
bool convert_time_us(int64_t us, struct error *err);
/* The reverse; 22008 for infinities, which other formats do not have. */
MUST_CHECK
bool convert_to_unix_us(int64_t timestamp, int64_t *us, struct error *err);
MUST_CHECK
bool convert_to_unix_days(int32_t date, int32_t *days, struct error *err);

#endif
