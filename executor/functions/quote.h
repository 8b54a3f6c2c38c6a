/* quote.h: text as it must be written inside an SQL statement. */
#ifndef MILLRACE_EXECUTOR_FUNCTIONS_QUOTE_H
#define MILLRACE_EXECUTOR_FUNCTIONS_QUOTE_H

#include "storage/base/strbuf.h"

/* Appends an identifier, in double quotes when it needs them (upper case, other characters, key words). */
void quote_identifier(const char *text, size_t len, struct strbuf *out);
/* Appends a string constant: 'it''s', E'a\\b'. */
void quote_literal(const char *text, size_t len, struct strbuf *out);

#endif
