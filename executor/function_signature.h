/* function_signature.h: reads the type lists of function and aggregate rows. */
#ifndef MILLRACE_EXECUTOR_FUNCTION_SIGNATURE_H
#define MILLRACE_EXECUTOR_FUNCTION_SIGNATURE_H

#include "executor/function.h"

/* Parses "text,variadic any" and "setof record(key text, value text)" as function.h describes them. The
 * arrays live in the arena. A type that does not exist is our own mistake and CHECKs. */
void function_signature_parse(struct arena *arena, const char *args, const char *result,
                              struct function_signature *out);

#endif
