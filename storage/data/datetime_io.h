/* datetime_io.h: text forms of dates, times, timestamps and intervals (PostgreSQL manual 8.5, appendix B),
 * and what their typmods do.
 *
 * Input errors: 22007 not a date/time, 22008 a field or the result is out of range, 22009 a zone displacement
 * out of range, 22015 an interval out of range. Output appends; infinities are spelled out. Typmods: time and
 * timestamp 0..6 digits of fraction or -1; interval (fields << 16 | digits) as in pg_attribute.atttypmod. */
#ifndef MILLRACE_DATA_DATETIME_IO_H
#define MILLRACE_DATA_DATETIME_IO_H

#include "storage/base/error.h"
#include "storage/base/strbuf.h"
#include "storage/data/datum.h"
#include "storage/data/type.h"

/* Field bits of an interval typmod, and its parts. */
#define INTERVAL_FIELD_MONTH  (1 << 1)
#define INTERVAL_FIELD_YEAR   (1 << 2)
#define INTERVAL_FIELD_DAY    (1 << 3)
#define INTERVAL_FIELD_HOUR   (1 << 10)
#define INTERVAL_FIELD_MINUTE (1 << 11)
#define INTERVAL_FIELD_SECOND (1 << 12)
#define INTERVAL_FIELDS_ALL   0x7FFF
#define INTERVAL_DIGITS_ALL   0xFFFF

MUST_CHECK
bool date_input(const char *text, size_t len, const struct io_env *env, int32_t *out, struct error *err);
MUST_CHECK
bool time_input(const char *text, size_t len, int32_t typmod, const struct io_env *env, int64_t *out,
                struct error *err);
MUST_CHECK
bool timestamp_input(const char *text, size_t len, int32_t typmod, const struct io_env *env, int64_t *out,
                     struct error *err);
MUST_CHECK
bool timestamptz_input(const char *text, size_t len, int32_t typmod, const struct io_env *env, int64_t *out,
                       struct error *err);
MUST_CHECK
bool interval_input(const char *text, size_t len, int32_t typmod, const struct io_env *env,
                    struct interval *out, struct error *err);

void date_output(int32_t value, const struct io_env *env, struct strbuf *out);
void time_output(int64_t value, const struct io_env *env, struct strbuf *out);
void timestamp_output(int64_t value, const struct io_env *env, struct strbuf *out);
void timestamptz_output(int64_t value, const struct io_env *env, struct strbuf *out);
void interval_output(const struct interval *value, const struct io_env *env, struct strbuf *out);

/* Rounds to the typmod's digits, half away from zero; -1 changes nothing. */
int64_t time_round(int64_t us, int32_t typmod);
/* Infinities pass; 22008 when rounding leaves the range. */
MUST_CHECK
bool timestamp_round(int64_t value, int32_t typmod, int64_t *out, struct error *err);
/* Drops the fields the typmod does not name and rounds seconds; 22008 on overflow. */
MUST_CHECK
bool interval_apply_typmod(const struct interval *value, int32_t typmod, struct interval *out,
                           struct error *err);

#endif
