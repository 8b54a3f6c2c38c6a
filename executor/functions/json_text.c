/* json_text.c: see json_text.h. Strings are skipped quote to quote, containers by counting brackets. */
#define _GNU_SOURCE
#include "executor/functions/json_text.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

struct text_arg json_text_at(const struct column *column, uint32_t row)
{
    struct text_arg text = text_at(column, row);
    while (text.len > 0 && is_blank(text.bytes[0])) {
        text.bytes++;
        text.len--;
    }
    while (text.len > 0 && is_blank(text.bytes[text.len - 1]))
        text.len--;
    return text.len > 0 ? text : (struct text_arg){.bytes = "null", .len = 4};
}

enum json_kind json_text_kind(struct text_arg value)
{
    switch (value.bytes[0]) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    case 'n':
        return JSON_NULL;
    default:
        return JSON_NUMBER;
    }
}

const char *json_kind_name(enum json_kind kind)
{
    static const char *const names[] = {
        [JSON_NULL] = "null",     [JSON_FALSE] = "boolean", [JSON_TRUE] = "boolean", [JSON_NUMBER] = "number",
        [JSON_STRING] = "string", [JSON_ARRAY] = "array",   [JSON_OBJECT] = "object"};
    return names[kind];
}

/* Behind the string that starts at `at` (on its quote). */
static const char *skip_string(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++)
        at += *at == '\\' && at + 1 < end;
    return at < end ? at + 1 : end;
}

static const char *skip_value(const char *at, const char *end)
{
    if (*at == '"')
        return skip_string(at, end);
    if (*at != '{' && *at != '[') {
        while (at < end && *at != ',' && *at != ']' && *at != '}' && !is_blank(*at))
            at++;
        return at;
    }
    size_t depth = 0;
    do {
        if (*at == '"') {
            at = skip_string(at, end);
            continue;
        }
        if (*at == '{' || *at == '[')
            depth++;
        else if (*at == '}' || *at == ']')
            depth--;
        at++;
    } while (depth > 0 && at < end);
    return at;
}

void json_text_open(struct text_arg container, struct json_cursor *cursor)
{
    *cursor = (struct json_cursor){.at = container.bytes + 1,
                                   .end = container.bytes + container.len,
                                   .is_object = container.bytes[0] == '{'};
}

static void skip_to_token(struct json_cursor *cursor)
{
    while (cursor->at < cursor->end && (is_blank(*cursor->at) || *cursor->at == ',' || *cursor->at == ':'))
        cursor->at++;
}

static struct text_arg take_value(struct json_cursor *cursor)
{
    const char *start = cursor->at;
    cursor->at = skip_value(start, cursor->end);
    return (struct text_arg){.bytes = start, .len = (size_t)(cursor->at - start)};
}

bool json_text_next(struct json_cursor *cursor, struct text_arg *key, struct text_arg *value)
{
    skip_to_token(cursor);
    if (cursor->at >= cursor->end || *cursor->at == ']' || *cursor->at == '}')
        return false;
    if (cursor->is_object) {
        *key = take_value(cursor);
        skip_to_token(cursor);
    }
    *value = take_value(cursor);
    return true;
}

uint32_t json_text_count(struct text_arg container)
{
    struct json_cursor cursor;
    struct text_arg key, value;
    uint32_t count = 0;
    json_text_open(container, &cursor);
    while (json_text_next(&cursor, &key, &value))
        count++;
    return count;
}

bool json_text_string(struct arena *arena, struct text_arg string, struct varlen *out, struct error *err)
{
    if (memchr(string.bytes, '\\', string.len) == NULL) {
        *out = varlen_view(string.bytes + 1, (uint32_t)(string.len - 2));
        return true;
    }
    struct json_value *value;
    if (!json_parse(arena, string.bytes, string.len, &value, err))
        return false;
    *out = value->text;
    return true;
}

bool json_text_plain(struct arena *arena, struct text_arg value, struct varlen *out, struct error *err)
{
    if (json_text_kind(value) == JSON_STRING)
        return json_text_string(arena, value, out, err);
    *out = text_view(value);
    return true;
}

static bool key_is(struct text_arg quoted, struct text_arg key)
{
    if (memchr(quoted.bytes, '\\', quoted.len) == NULL)
        return quoted.len - 2 == key.len && memcmp(quoted.bytes + 1, key.bytes, key.len) == 0;
    if (quoted.len - 2 < key.len)
        return false; /* decoding never makes a string longer */
    struct arena scratch;
    struct varlen decoded;
    arena_init(&scratch, NULL);
    bool equal = json_text_string(&scratch, quoted, &decoded, NULL) && decoded.len == key.len &&
                 memcmp(varlen_bytes(&decoded), key.bytes, key.len) == 0;
    arena_release(&scratch);
    return equal;
}

bool json_text_member(struct text_arg value, struct text_arg key, struct text_arg *out)
{
    struct json_cursor cursor;
    struct text_arg name, member;
    bool found = false;
    if (json_text_kind(value) != JSON_OBJECT)
        return false;
    json_text_open(value, &cursor);
    while (json_text_next(&cursor, &name, &member)) {
        if (key_is(name, key)) {
            *out = member;
            found = true;
        }
    }
    return found;
}

bool json_text_element(struct text_arg value, int64_t index, struct text_arg *out)
{
    struct json_cursor cursor;
    struct text_arg name;
    if (json_text_kind(value) != JSON_ARRAY)
        return false;
    if (index < 0)
        index += json_text_count(value);
    json_text_open(value, &cursor);
    while (index >= 0 && json_text_next(&cursor, &name, out)) {
        if (index-- == 0)
            return true;
    }
    return false;
}
