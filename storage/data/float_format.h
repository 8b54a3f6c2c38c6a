/* float_format.h: text forms of real and double precision, byte for byte as PostgreSQL's. */
#ifndef MILLRACE_DATA_FLOAT_FORMAT_H
#define MILLRACE_DATA_FLOAT_FORMAT_H

#include "storage/base/error.h"
#include "storage/base/strbuf.h"

#include <stdbool.h>

/* extra_digits > 0: the shortest text that reads back as the same value; else 15 (6 for real) + extra_digits
 * digits. */
void float8_format(double value, int extra_digits, struct strbuf *out);
void float4_format(float value, int extra_digits, struct strbuf *out);
/* Surrounding white space is allowed; NaN, Infinity, inf in any case. 22P02 and 22003. */
MUST_CHECK
bool float8_parse(const char *text, size_t len, double *out, struct error *err);
MUST_CHECK
bool float4_parse(const char *text, size_t len, float *out, struct error *err);

#endif
