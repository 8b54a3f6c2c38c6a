/* json.h: json and jsonb (PostgreSQL manual 8.14, 9.16).
 *
 * json is the text as given. jsonb is kept as its canonical text: PostgreSQL's own output form (", " and ": "
 * separators, keys ordered by length then bytes, last duplicate wins, numbers as numeric prints them); equal
 * values differ at most in numeric scale. */
#ifndef MILLRACE_DATA_JSON_H
#define MILLRACE_DATA_JSON_H

#include "storage/base/arena.h"
#include "storage/base/error.h"
#include "storage/base/strbuf.h"
#include "storage/data/datum.h"

enum json_kind { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* A parsed tree, in an arena. Children of arrays and objects in order (objects of jsonb: canonical key
 * order). */
struct json_value {
    enum json_kind kind;
    struct varlen text; /* JSON_STRING: unescaped UTF-8; JSON_NUMBER: digits as written */
    uint32_t count;
    struct json_value **items;
    struct varlen *keys; /* objects only, unescaped */
};

/* 22P02 with PostgreSQL's wording, 54001 when nested deeper than NESTING_MAX. */
MUST_CHECK
bool json_parse(struct arena *arena, const char *text, size_t len, struct json_value **out,
                struct error *err);
/* Only the check: what a value of type json must pass. \u0000 and lone surrogates are allowed here, not
 * above. */
MUST_CHECK
bool json_validate(const char *text, size_t len, struct error *err);
/* Text to a jsonb value (canonical text); 22003 for numbers that numeric cannot hold. */
MUST_CHECK
bool jsonb_parse(struct arena *arena, const char *text, size_t len, struct varlen *out, struct error *err);
/* Sorts keys, drops duplicates and writes numbers as numeric does, in place, recursively. Numbers beyond
 * numeric's range stay as written: jsonb_parse refuses them. */
void json_canonicalize(struct json_value *value, struct arena *arena);
/* jsonb's text form. */
void json_write(const struct json_value *value, struct strbuf *out);
/* Can the text stand between quotes as it is? */
bool json_is_plain(const char *text, size_t len);
void json_write_string(const char *text, size_t len, struct strbuf *out);
/* PostgreSQL's jsonb btree order. */
int json_compare(const struct json_value *a, const struct json_value *b);
int jsonb_compare(const struct varlen *a, const struct varlen *b);
bool jsonb_equal(const struct varlen *a, const struct varlen *b);
uint64_t jsonb_hash(const struct varlen *value);

#endif
