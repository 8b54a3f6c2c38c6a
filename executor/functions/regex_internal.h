/* regex_internal.h: between regex.c and regex_translate.c only. */
#ifndef MILLRACE_EXECUTOR_FUNCTIONS_REGEX_INTERNAL_H
#define MILLRACE_EXECUTOR_FUNCTIONS_REGEX_INTERNAL_H

#include "executor/functions/regex.h"

struct regex_translation {
    struct regex_options options; /* in: from flags; out: with those at the pattern's start */
    struct strbuf text;           /* PCRE2's syntax; release it */
    bool
        ambiguous; /* alternatives that are not apart, optional groups or non-greedy quantifiers: the length has to be searched
                       for */
    bool prefers_short;  /* the whole is non-greedy: its first quantifier with a preference is */
    bool has_references; /* back references: no search for the length */
};

MUST_CHECK
bool regex_translate(const char *pattern, size_t len, struct regex_translation *out, struct error *err);

#endif
