/* fn_like.c: LIKE and ILIKE (operators ~~, ~~* and their negations), and like_escape.
 *
 * A pattern is looked at once (once per call when it is constant): one without "_" and with "%" only at its
 * ends is an equality, prefix, suffix or substring test; the others are matched by the general loop, which
 * goes back to the last "%" and needs no recursion. An escape at the very end is an error only when the
 * matching gets there. */
#define _GNU_SOURCE
#include "executor/functions/text_kernel.h"

enum like_kind { LIKE_EQUAL, LIKE_PREFIX, LIKE_SUFFIX, LIKE_CONTAINS, LIKE_GENERAL };

struct like_pattern {
    enum like_kind kind;
    struct text_arg literal; /* unescaped, for all kinds but LIKE_GENERAL */
    struct text_arg source;
    bool ignore_case;
    bool bytes; /* "_" is a byte, not a character */
};

static void pattern_prepare(struct like_pattern *pattern, struct text_arg source, struct arena *arena)
{
    pattern->source = source;
    pattern->kind = LIKE_GENERAL;
    if (pattern->ignore_case)
        return;
    size_t first = 0, last = source.len;
    while (first < last && source.bytes[first] == '%')
        first++;
    char *literal = arena_alloc(arena, source.len + 1); /* never NULL */
    size_t len = 0, at = first;
    bool open_end = false;
    for (; at < source.len; at++) {
        char c = source.bytes[at];
        if (c == '_')
            return;
        if (c == '%') {
            while (at < source.len && source.bytes[at] == '%')
                at++;
            if (at < source.len)
                return;
            open_end = true;
            break;
        }
        if (c == '\\' && ++at == source.len)
            return;
        literal[len++] = source.bytes[at];
    }
    pattern->literal = (struct text_arg){.bytes = literal, .len = len};
    if (first == source.len && first > 0)
        pattern->kind = LIKE_PREFIX; /* only %: the empty prefix */
    else if (first > 0)
        pattern->kind = open_end ? LIKE_CONTAINS : LIKE_SUFFIX;
    else
        pattern->kind = open_end ? LIKE_PREFIX : LIKE_EQUAL;
}

/* 1 match, 0 none, -1 the pattern ends with an escape. */
static int match_general(const struct like_pattern *pattern, struct text_arg text)
{
    struct text_arg source = pattern->source;
    size_t at = 0, in = 0, resume_at = SIZE_MAX, resume_in = 0;
    for (;;) {
        bool matches = false;
        if (in < source.len && source.bytes[in] == '%') {
            resume_in = ++in;
            resume_at = at;
            if (in == source.len)
                return 1;
            continue;
        }
        if (at == text.len && in == source.len)
            return 1;
        if (in + 1 == source.len && source.bytes[in] == '\\' && at < text.len)
            return -1;
        if (at == text.len && resume_at != SIZE_MAX && in < source.len)
            return 0; /* nothing left for the rest of the pattern, wherever the last % ends */
        if (at < text.len && in < source.len) {
            if (source.bytes[in] == '_') {
                at += pattern->bytes ? 1 : utf8_step(text, at);
                in++;
                continue;
            }
            size_t literal = in + (source.bytes[in] == '\\');
            char a = text.bytes[at], b = source.bytes[literal];
            matches = pattern->ignore_case ? ascii_lower(a) == ascii_lower(b) : a == b;
            if (matches) {
                at++;
                in = literal + 1;
                continue;
            }
        }
        if (resume_at == SIZE_MAX || resume_at >= text.len)
            return 0;
        resume_at += pattern->bytes ? 1 : utf8_step(text, resume_at);
        at = resume_at;
        in = resume_in;
    }
}

static int match(const struct like_pattern *pattern, struct text_arg text)
{
    struct text_arg literal = pattern->literal;
    switch (pattern->kind) {
    case LIKE_EQUAL:
        return text.len == literal.len && memcmp(text.bytes, literal.bytes, literal.len) == 0;
    case LIKE_PREFIX:
        return text.len >= literal.len && memcmp(text.bytes, literal.bytes, literal.len) == 0;
    case LIKE_SUFFIX:
        return text.len >= literal.len &&
               memcmp(text.bytes + text.len - literal.len, literal.bytes, literal.len) == 0;
    case LIKE_CONTAINS:
        return text_find(text, literal, 0) != SIZE_MAX;
    case LIKE_GENERAL:
        return match_general(pattern, text);
    }
    return 0;
}

static void like_rows(struct fn_call *call, const struct column *args, struct column *result,
                      bool ignore_case, bool negate)
{
    struct like_pattern pattern = {.ignore_case = ignore_case, .bytes = args[0].type.oid == OID_BYTEA};
    uint8_t *out = result->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        if (i == 0 || !args[1].is_constant)
            pattern_prepare(&pattern, text_at(&args[1], i), call->arena);
        int matched = match(&pattern, text_at(&args[0], i));
        if (matched < 0)
            fn_error(call, i, ERRCODE_INVALID_ESCAPE_SEQUENCE,
                     "LIKE pattern must not end with escape character");
        out[i] = (matched > 0) != negate;
    }
}

static void fn_like(struct fn_call *call, const struct column *args, struct column *result)
{
    like_rows(call, args, result, false, false);
}
static void fn_not_like(struct fn_call *call, const struct column *args, struct column *result)
{
    like_rows(call, args, result, false, true);
}
static void fn_ilike(struct fn_call *call, const struct column *args, struct column *result)
{
    like_rows(call, args, result, true, false);
}
static void fn_not_ilike(struct fn_call *call, const struct column *args, struct column *result)
{
    like_rows(call, args, result, true, true);
}

/* Rewrites a pattern with another escape character into one with the backslash. */
static void fn_like_escape(struct fn_call *call, const struct column *args, struct column *result)
{
    bool bytes = args[0].type.oid == OID_BYTEA;
    struct strbuf buf = STRBUF_INIT;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg pattern = text_at(&args[0], i), escape = text_at(&args[1], i);
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (escape.len > 0 && (bytes ? escape.len > 1 : utf8_step(escape, 0) < escape.len)) {
            struct error err;
            error_set(&err, ERRCODE_INVALID_ESCAPE_SEQUENCE, "invalid escape string");
            error_hint(&err, "Escape string must be empty or one character.");
            fn_error_from(call, i, &err);
            continue;
        }
        if (escape.len == 1 && escape.bytes[0] == '\\') {
            RESULT_VAR(result)[i] = text_view(pattern);
            continue;
        }
        strbuf_reset(&buf);
        bool escaped = false;
        for (size_t at = 0; at < pattern.len;) {
            size_t step = bytes ? 1 : utf8_step(pattern, at);
            const char *c = pattern.bytes + at;
            at += step;
            if (!escaped && escape.len == step && memcmp(c, escape.bytes, step) == 0) {
                strbuf_addc(&buf, '\\');
                escaped = true;
                continue;
            }
            if (*c == '\\' && !escaped)
                strbuf_addc(&buf, '\\');
            strbuf_add(&buf, c, step);
            escaped = false;
        }
        RESULT_VAR(result)[i] = text_from_strbuf(call->arena, &buf);
    }
    strbuf_release(&buf);
}

#define LIKE_OPERATORS(a, b)                                                                                 \
    {"~~", a "," b, "bool", fn_like, "'abc' LIKE 'a%' gives true", FN_OPERATOR, NULL, NULL, "!~~"},          \
    {                                                                                                        \
        "!~~", a "," b, "bool", fn_not_like, "'abc' NOT LIKE 'a%' gives false", FN_OPERATOR, NULL, NULL,     \
            "~~"                                                                                             \
    }
#define ILIKE_OPERATORS(a, b)                                                                                \
    {"~~*", a "," b, "bool", fn_ilike, "'abc' ILIKE 'A%' gives true", FN_OPERATOR, NULL, NULL, "!~~*"},      \
    {                                                                                                        \
        "!~~*", a "," b, "bool", fn_not_ilike, "'abc' NOT ILIKE 'A%' gives false", FN_OPERATOR, NULL, NULL,  \
            "~~*"                                                                                            \
    }

const struct function_row fn_like_rows[] = {
    LIKE_OPERATORS("text", "text"),
    LIKE_OPERATORS("name", "text"),
    LIKE_OPERATORS("bpchar", "text"),
    LIKE_OPERATORS("bytea", "bytea"),
    ILIKE_OPERATORS("text", "text"),
    ILIKE_OPERATORS("name", "text"),
    ILIKE_OPERATORS("bpchar", "text"),
    {"like", "text,text", "bool", fn_like, "like('abc', 'a%') gives true"},
    {"like", "name,text", "bool", fn_like, "like('abc'::name, 'a%') gives true"},
    {"like", "bytea,bytea", "bool", fn_like, "like('\\x01'::bytea, '\\x01') gives true"},
    {"notlike", "text,text", "bool", fn_not_like, "notlike('abc', 'a%') gives false"},
    {"notlike", "name,text", "bool", fn_not_like, "notlike('abc'::name, 'a%') gives false"},
    {"notlike", "bytea,bytea", "bool", fn_not_like, "notlike('\\x01'::bytea, '\\x01') gives false"},
    {"like_escape", "text,text", "text", fn_like_escape, "like_escape('a!%', '!') gives 'a\\%'"},
    {"like_escape", "bytea,bytea", "bytea", fn_like_escape, "like_escape('a!%'::bytea, '!')"},
};
const size_t fn_like_rows_count = sizeof(fn_like_rows) / sizeof(fn_like_rows[0]);
