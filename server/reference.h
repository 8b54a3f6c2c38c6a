/* reference.h: the reference pages under docs/, printed from the tables that the server itself works with.
 *
 * A page is one row of the table in reference.c. `millrace --reference DIR` writes all of them; the pages in
 * docs/ are that output (./dev docs), and a test compares them. */
#ifndef MILLRACE_SERVER_REFERENCE_H
#define MILLRACE_SERVER_REFERENCE_H

#include "storage/base/error.h"

/* Writes every page as DIR/<name>.md. All tables must be registered (system_functions_register). 58030 when a
 * file cannot be written. */
MUST_CHECK
bool reference_write(const char *dir, struct error *err);

#endif
