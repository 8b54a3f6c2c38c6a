/* json_text.h: walks JSON text that is known to be valid (values of json and jsonb) without building a tree.
 *
 * A value is the span of its text, no blanks around it; members of objects come in the order of the text, so
 * json keeps its duplicates and its spelling. */
#ifndef MILLRACE_EXECUTOR_FUNCTIONS_JSON_TEXT_H
#define MILLRACE_EXECUTOR_FUNCTIONS_JSON_TEXT_H

#include "executor/functions/text_kernel.h"
#include "storage/data/json.h"

struct json_cursor {
    const char *at, *end;
    bool is_object;
};

/* The value of a column: blanks around it are cut off. Empty text (a NULL row) reads as null. */
struct text_arg json_text_at(const struct column *column, uint32_t row);
enum json_kind json_text_kind(struct text_arg value);
/* "null", "boolean", "number", "string", "array", "object" */
const char *json_kind_name(enum json_kind kind);

/* Opens an array or object. */
void json_text_open(struct text_arg container, struct json_cursor *cursor);
/* The next member; key keeps its quotes and is only set for objects. false at the end. */
bool json_text_next(struct json_cursor *cursor, struct text_arg *key, struct text_arg *value);
uint32_t json_text_count(struct text_arg container);

/* Member of an object by its key (the last of equal ones) or element of an array (negative: from the end).
 * false when there is none, when the value is of another kind, or when a key cannot be decoded. */
bool json_text_member(struct text_arg value, struct text_arg key, struct text_arg *out);
bool json_text_element(struct text_arg value, int64_t index, struct text_arg *out);

/* The characters of a JSON string (quotes included); borrowed unless it has escapes. 22P05 for \u0000. */
MUST_CHECK
bool json_text_string(struct arena *arena, struct text_arg string, struct varlen *out, struct error *err);
/* What ->> makes of a value: strings without quotes, everything else as it is. */
MUST_CHECK
bool json_text_plain(struct arena *arena, struct text_arg value, struct varlen *out, struct error *err);

#endif
