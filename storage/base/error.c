/* error.c: filling struct error, and the table of SQLSTATEs. */
#include "storage/base/error.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char *const sqlstates[ERRCODE_COUNT] = {
    [ERRCODE_NONE] = "00000",
#define ERROR_CODE(name, sqlstate) [ERRCODE_##name] = sqlstate,
#include "storage/base/error_codes.def"
#undef ERROR_CODE
};

void error_init(struct error *err)
{
    err->code = ERRCODE_NONE;
    err->position = 0;
    err->message[0] = err->detail[0] = err->hint[0] = err->context[0] = '\0';
    err->schema_name[0] = err->table_name[0] = err->column_name[0] = err->constraint_name[0] = '\0';
}

bool error_set(struct error *err, enum error_code code, const char *format, ...)
{
    if (err == NULL)
        return false;
    error_init(err);
    err->code = code;
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof(err->message), format, args);
    va_end(args);
    return false;
}

bool error_detail(struct error *err, const char *format, ...)
{
    if (err == NULL)
        return false;
    va_list args;
    va_start(args, format);
    vsnprintf(err->detail, sizeof(err->detail), format, args);
    va_end(args);
    return false;
}

bool error_hint(struct error *err, const char *format, ...)
{
    if (err == NULL)
        return false;
    va_list args;
    va_start(args, format);
    vsnprintf(err->hint, sizeof(err->hint), format, args);
    va_end(args);
    return false;
}

bool error_context(struct error *err, const char *format, ...)
{
    if (err == NULL)
        return false;
    va_list args;
    va_start(args, format);
    vsnprintf(err->context, sizeof(err->context), format, args);
    va_end(args);
    return false;
}

bool error_at(struct error *err, int32_t position)
{
    if (err != NULL)
        err->position = position;
    return false;
}

const char *error_sqlstate(enum error_code code)
{
    return (unsigned)code < ERRCODE_COUNT ? sqlstates[code] : "XX000";
}

enum error_code error_code_of(const char *sqlstate)
{
    for (int code = ERRCODE_NONE + 1; code < ERRCODE_COUNT; code++) {
        if (strcmp(sqlstates[code], sqlstate) == 0)
            return (enum error_code)code;
    }
    return ERRCODE_INTERNAL_ERROR;
}
