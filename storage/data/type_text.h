/* type_text.h: text forms of the plain scalar types; type_input and type_output dispatch to them. */
#ifndef MILLRACE_DATA_TYPE_TEXT_H
#define MILLRACE_DATA_TYPE_TEXT_H

#include "storage/base/arena.h"
#include "storage/base/error.h"
#include "storage/base/strbuf.h"
#include "storage/data/datum.h"

/* 'invalid input syntax for type <type>: "<text>"', 22P02. Always false. */
bool type_syntax_error(const char *type, const char *text, size_t len, struct error *err);
/* Any unambiguous prefix of true, false, yes, no, on, off; 1 and 0. */
MUST_CHECK
bool bool_input(const char *text, size_t len, bool *out, struct error *err);
/* Decimal integer in [min, max]; type names it in the errors 22P02 and 22003. */
MUST_CHECK
bool integer_input(const char *text, size_t len, int64_t min, int64_t max, const char *type, int64_t *out,
                   struct error *err);
/* Like strtoul: negative numbers wrap around, as in PostgreSQL. */
MUST_CHECK
bool oid_input(const char *text, size_t len, int64_t *out, struct error *err);
MUST_CHECK
bool uuid_input(const char *text, size_t len, uint8_t out[16], struct error *err);
void uuid_output(const uint8_t value[16], struct strbuf *out);
/* "\x..." hexadecimal, else the escape format. 22023 and 22P02. */
MUST_CHECK
bool bytea_input(const char *text, size_t len, struct arena *arena, struct varlen *out, struct error *err);
void bytea_output(const struct varlen *value, bool escape, struct strbuf *out);
void integer_output(int64_t value, struct strbuf *out);

#endif
