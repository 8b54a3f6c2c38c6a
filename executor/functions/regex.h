/* regex.h: PostgreSQL's advanced regular expressions on PCRE2.
 *
 * The pattern is rewritten into PCRE2's syntax (escapes such as \m \M \y \Y \Z, options at its start, bracket
 * expressions, newline modes). Like PostgreSQL, a greedy pattern matches the longest text at the leftmost
 * place, also where it has alternatives, and one whose first quantifier is non-greedy the shortest. Not
 * reproduced: case rules of letters beyond ASCII (they fold as in Unicode), the rule of length for patterns
 * with back references, and its parts where alternatives end in a look-ahead. */
#ifndef MILLRACE_EXECUTOR_FUNCTIONS_REGEX_H
#define MILLRACE_EXECUTOR_FUNCTIONS_REGEX_H

#include "storage/base/arena.h"
#include "storage/base/error.h"
#include "storage/base/strbuf.h"

#define REGEX_CAPTURES_MAX 100u

struct function_row; /* executor/function.h */
struct regex;

struct regex_options {
    bool global;        /* g: not the expression's business, but written among its flags */
    bool ignore_case;   /* i */
    bool literal;       /* q */
    bool expanded;      /* x */
    bool newline_stops; /* n, m, p: "." and [^...] do not match a newline */
    bool newline_lines; /* n, m, w: ^ and $ match at every line */
};

/* Reads flags as regexp_replace and others take them; 22023 for an unknown one. */
MUST_CHECK
bool regex_options_parse(const char *flags, size_t len, struct regex_options *out, struct error *err);
/* Everything in the arena; 2201B for a bad pattern, worded as PostgreSQL's. */
MUST_CHECK
bool regex_compile(struct arena *arena, const char *pattern, size_t len, const struct regex_options *options,
                   struct regex **out, struct error *err);
/* Machine code for a pattern that is going to be used for many texts; nothing but speed changes. After it
 * the regex holds memory outside of its arena: regex_release. One thread uses it at a time. */
void regex_make_fast(struct regex *regex);
/* Only needed after regex_make_fast; the rest goes with the arena. */
void regex_release(struct regex *regex);
/* Parenthesised parts. */
uint32_t regex_captures(const struct regex *regex);
/* Does the pattern match anywhere in the text? 54000 when that cannot be found out with bounded work. */
MUST_CHECK
bool regex_test(const struct regex *regex, const char *text, size_t len, bool *found, struct error *err);
/* Finds the leftmost match at or after `from`: bounds gets start and end of the whole and of every part,
 * SIZE_MAX for a part that took no part in it. Room for 2 * (captures + 1). */
MUST_CHECK
bool regex_search(const struct regex *regex, const char *text, size_t len, size_t from, size_t *bounds,
                  bool *found, struct error *err);

/* The function that gives one element of the array that `function` makes without making it: its arguments, then
 * the element's number (fn_regex.c). NULL when the function is not regexp_match. No statement can name it. */
const struct function_row *regex_part_of_match(const struct function_row *function, uint32_t args_count);

#endif
