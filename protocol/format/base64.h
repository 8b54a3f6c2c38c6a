/* base64.h: base64 with the standard alphabet and padding, as JSON has bytes. */
#ifndef MILLRACE_FORMAT_BASE64_H
#define MILLRACE_FORMAT_BASE64_H

#include "storage/base/error.h"
#include "storage/base/strbuf.h"

/* Writes at most len / 4 * 3 + 3 bytes to out. 22P02 when it is none. Padding may be missing. */
MUST_CHECK
bool base64_decode(const char *text, size_t len, uint8_t *out, size_t *out_len, struct error *err);
void base64_encode(const uint8_t *bytes, size_t len, struct strbuf *out);

#endif
