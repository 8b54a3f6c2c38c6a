/* numeric_io.h: the binary wire form of numeric: PostgreSQL's base-10000 digits (numeric_send,
 * numeric_recv). */
#ifndef MILLRACE_DATA_NUMERIC_IO_H
#define MILLRACE_DATA_NUMERIC_IO_H

#include "storage/base/arena.h"
#include "storage/base/error.h"
#include "storage/base/strbuf.h"
#include "storage/data/datum.h"

/* Appends the message without its length word. */
void numeric_send(const struct varlen *value, struct strbuf *out);
/* 22P03 for a malformed message, 22003 when the value does not fit the typmod (-1: none). */
MUST_CHECK
bool numeric_recv(struct arena *arena, const uint8_t *bytes, size_t len, int32_t typmod, struct varlen *out,
                  struct error *err);

#endif
