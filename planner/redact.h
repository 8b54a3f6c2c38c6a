/* redact.h: statements and errors without what nobody but their author may see: values of secrets, passwords in options.
 *
 * Any thread. */
#ifndef MILLRACE_PLANNER_REDACT_H
#define MILLRACE_PLANNER_REDACT_H

#include "planner/catalog.h"
#include "storage/base/strbuf.h"

/* Options of connectors whose values are shown nowhere, even when they are written out: those with such words in their
 * names as password, secret, token or connection, and URLs with a user in them. */
bool redact_is_private(const char *option, const char *value);
/* Appends one or more statements, in which '***' stands for the values of CREATE and ALTER SECRET and, in CREATE and ALTER,
 * of private options. A text that was cut within such a value loses the rest of it. */
void redact_statement(const char *sql, size_t len, struct strbuf *out);
/* The same text in the arena. */
const char *redact_in(struct arena *arena, const char *sql);
/* May strings in these statements be private? Those of CREATE and ALTER may. */
bool redact_is_sensitive(const char *sql);
/* Takes from an error about the object the values of its secrets and private options. Returns false. */
bool redact_error(const struct catalog_object *object, struct error *err);

#endif
