/* error.h: what went wrong, in PostgreSQL's terms.
 *
 * A function that can fail returns bool, is MUST_CHECK, and takes `struct error *err` last; on false it has
 * filled err exactly once. Messages follow PostgreSQL's style: lower case, no full stop, the object named;
 * advice goes to the hint. SQLSTATEs are the list in error_codes.def (PostgreSQL manual, appendix A). */
#ifndef MILLRACE_BASE_ERROR_H
#define MILLRACE_BASE_ERROR_H

#include "storage/base/check.h"

#include <stdbool.h>
#include <stdint.h>

enum error_code {
    ERRCODE_NONE = 0,
#define ERROR_CODE(name, sqlstate) ERRCODE_##name,
#include "storage/base/error_codes.def"
#undef ERROR_CODE
    ERRCODE_COUNT
};

#define ERROR_TEXT_MAX 512 /* longer messages are cut; the object names in them are short */

struct error {
    enum error_code code;
    int32_t position; /* 1-based character in the statement, 0 when unknown */
    char message[ERROR_TEXT_MAX];
    char detail[ERROR_TEXT_MAX];
    char hint[ERROR_TEXT_MAX];
    char context[ERROR_TEXT_MAX]; /* field W: where it happened, such as 'COPY t, line 3' */
    /* fields s t c d n of the protocol; empty when they do not apply */
    char schema_name[64];
    char table_name[64];
    char column_name[64];
    char constraint_name[64];
};

/* Clears only what tells whether an error is set: cheap. */
void error_init(struct error *err);
/* Fills code and message, clears all else. Always returns false, for `return error_set(...)`. err may be
 * NULL. */
bool error_set(struct error *err, enum error_code code, const char *format, ...) PRINTF_LIKE(3, 4);
/* The four below extend an error that is set; err may be NULL. They return false. */
bool error_detail(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);
bool error_hint(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);
bool error_context(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);
bool error_at(struct error *err, int32_t position);
/* Five characters, NUL-terminated, static. */
const char *error_sqlstate(enum error_code code);
/* Code of a five-character SQLSTATE, ERRCODE_INTERNAL_ERROR when it is not in the list. */
enum error_code error_code_of(const char *sqlstate);

#endif
