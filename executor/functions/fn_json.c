/* fn_json.c: looking into json and jsonb: members, elements, paths, existence, and their rows as sets
 * (PostgreSQL manual 9.16).
 *
 * Both types are text, so all of it walks the text (json_text.h) and results borrow spans of the argument. */
#define _GNU_SOURCE
#include "executor/functions/json_text.h"
#include "storage/data/array.h"

#include <errno.h>
#include <stdlib.h>

/* ---- one value ---- */

static void give_null(struct fn_call *call, struct column *result, uint32_t row)
{
    RESULT_VAR(result)[row] = (struct varlen){0};
    fn_set_null(call, result, row);
}

/* A found value as the result: itself, or for ->> its text, where JSON's null is SQL's. */
static void give(struct fn_call *call, struct column *result, uint32_t row, struct text_arg value,
                 bool as_text)
{
    struct error err;
    if (as_text && json_text_kind(value) == JSON_NULL) {
        give_null(call, result, row);
        return;
    }
    RESULT_VAR(result)[row] = text_view(value);
    if (as_text && !json_text_plain(call->arena, value, &RESULT_VAR(result)[row], &err))
        fn_error_from(call, row, &err);
}

static void get_members(struct fn_call *call, const struct column *args, struct column *result, bool as_text)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg found;
        if (json_text_member(json_text_at(&args[0], i), text_at(&args[1], i), &found))
            give(call, result, i, found, as_text);
        else
            give_null(call, result, i);
    }
}

static void get_elements(struct fn_call *call, const struct column *args, struct column *result, bool as_text)
{
    bool binary = args[0].type.oid == OID_JSONB;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg value = json_text_at(&args[0], i), found = value;
        int32_t index = i32_at(&args[1], i);
        /* jsonb takes a scalar for an array of one element */
        bool is_itself = binary && json_text_kind(value) < JSON_ARRAY && (index == 0 || index == -1);
        if (is_itself || json_text_element(value, index, &found))
            give(call, result, i, found, as_text);
        else
            give_null(call, result, i);
    }
}

/* One step of a path: the member of that name, or the element when the text is an integer. */
static bool path_step(struct text_arg value, struct text_arg step, struct text_arg *out)
{
    enum json_kind kind = json_text_kind(value);
    if (kind == JSON_OBJECT)
        return json_text_member(value, step, out);
    char text[32], *end;
    if (kind != JSON_ARRAY || step.len == 0 || step.len >= sizeof(text))
        return false;
    memcpy(text, step.bytes, step.len);
    text[step.len] = '\0';
    errno = 0;
    long index = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || index < INT32_MIN || index > INT32_MAX)
        return false;
    return json_text_element(value, index, out);
}

static void get_paths(struct fn_call *call, const struct column *args, struct column *result, bool as_text)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg value = json_text_at(&args[0], i);
        if (column_is_null(result, i)) {
            RESULT_VAR(result)[i] = (struct varlen){0};
            continue;
        }
        struct array_view path;
        struct datum step;
        array_open(&COLUMN_VAR(&args[1])[COLUMN_AT(&args[1], i)], &path);
        const uint8_t *cursor = path.elements;
        bool found = true;
        while (found && path.ndim > 0 && array_next(&path, &cursor, &step)) {
            struct text_arg name = {.bytes = (const char *)varlen_bytes(&step.var), .len = step.var.len};
            found = !step.is_null && path_step(value, name, &value);
        }
        if (found)
            give(call, result, i, value, as_text);
        else
            give_null(call, result, i);
    }
}

static void extract_paths(struct fn_call *call, const struct column *args, struct column *result,
                          bool as_text)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg value = json_text_at(&args[0], i);
        bool found = !column_is_null(result, i);
        for (uint32_t arg = 1; found && arg < call->args_count; arg++)
            found = path_step(value, text_at(&args[arg], i), &value);
        if (found)
            give(call, result, i, value, as_text);
        else
            give_null(call, result, i);
    }
}

#define GET_KERNELS(name, get)                                                                               \
    static void name(struct fn_call *call, const struct column *args, struct column *result)                 \
    {                                                                                                        \
        get(call, args, result, false);                                                                      \
    }                                                                                                        \
    static void name##_text(struct fn_call *call, const struct column *args, struct column *result)          \
    {                                                                                                        \
        get(call, args, result, true);                                                                       \
    }
GET_KERNELS(fn_member, get_members)
GET_KERNELS(fn_element, get_elements)
GET_KERNELS(fn_path, get_paths)
GET_KERNELS(fn_extract, extract_paths)

static void fn_typeof(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        const char *name = json_kind_name(json_text_kind(json_text_at(&args[0], i)));
        RESULT_VAR(result)[i] = varlen_view(name, (uint32_t)strlen(name));
    }
}

static void fn_array_length(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg value = json_text_at(&args[0], i);
        enum json_kind kind = json_text_kind(value);
        RESULT_I32(result)[i] = 0;
        if (kind == JSON_ARRAY)
            RESULT_I32(result)[i] = (int32_t)json_text_count(value);
        else
            fn_error(call, i, ERRCODE_INVALID_PARAMETER_VALUE, "cannot get array length of a %s",
                     kind == JSON_OBJECT ? "non-array" : "scalar");
    }
}

/* ---- existence ---- */

static bool string_is(struct text_arg value, struct text_arg text)
{
    struct arena scratch;
    struct varlen plain;
    if (json_text_kind(value) != JSON_STRING || value.len - 2 < text.len)
        return false;
    arena_init(&scratch, NULL);
    bool equal = json_text_string(&scratch, value, &plain, NULL) && plain.len == text.len &&
                 memcmp(varlen_bytes(&plain), text.bytes, text.len) == 0;
    arena_release(&scratch);
    return equal;
}

/* A key of an object, a string among the elements of an array, or the string itself. */
static bool exists(struct text_arg value, struct text_arg key)
{
    struct json_cursor cursor;
    struct text_arg name, item;
    if (json_text_kind(value) == JSON_OBJECT)
        return json_text_member(value, key, &item);
    if (json_text_kind(value) != JSON_ARRAY)
        return string_is(value, key);
    json_text_open(value, &cursor);
    while (json_text_next(&cursor, &name, &item)) {
        if (string_is(item, key))
            return true;
    }
    return false;
}

static void fn_exists(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++)
        RESULT_BOOL(result)[i] = exists(json_text_at(&args[0], i), text_at(&args[1], i));
}

/* NULLs among the keys are passed over. */
static void exists_rows(struct fn_call *call, const struct column *args, struct column *result, bool all)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_BOOL(result)[i] = 0;
        if (column_is_null(result, i))
            continue;
        struct array_view keys;
        struct datum key;
        struct text_arg value = json_text_at(&args[0], i);
        array_open(&COLUMN_VAR(&args[1])[COLUMN_AT(&args[1], i)], &keys);
        const uint8_t *cursor = keys.elements;
        bool found = all;
        while (found == all && keys.ndim > 0 && array_next(&keys, &cursor, &key)) {
            if (!key.is_null)
                found = exists(value, (struct text_arg){.bytes = (const char *)varlen_bytes(&key.var),
                                                        .len = key.var.len});
        }
        RESULT_BOOL(result)[i] = found;
    }
}

static void fn_exists_any(struct fn_call *call, const struct column *args, struct column *result)
{
    exists_rows(call, args, result, false);
}
static void fn_exists_all(struct fn_call *call, const struct column *args, struct column *result)
{
    exists_rows(call, args, result, true);
}

/* ---- sets ---- */

static bool is_binary(const struct column *args)
{
    return args[0].type.oid == OID_JSONB;
}

/* A value of a set, as json or as text; false with an error for the row. */
static bool set_value(struct fn_call *call, uint32_t row, struct arena *arena, struct text_arg value,
                      bool as_text, struct datum *out)
{
    struct error err;
    *out = (struct datum){.is_null = as_text && json_text_kind(value) == JSON_NULL};
    if (out->is_null)
        return true;
    out->var = text_view(value);
    if (!as_text || json_text_plain(arena, value, &out->var, &err))
        return true;
    fn_error_from(call, row, &err);
    return false;
}

static bool is_elements(struct fn_call *call, uint32_t row, enum json_kind kind, bool binary)
{
    if (kind == JSON_ARRAY)
        return true;
    if (binary)
        fn_error(call, row, ERRCODE_INVALID_PARAMETER_VALUE, "cannot extract elements from %s",
                 kind == JSON_OBJECT ? "an object" : "a scalar");
    else
        fn_error(call, row, ERRCODE_INVALID_PARAMETER_VALUE, "cannot call %s on a %s", call->function->name,
                 kind == JSON_OBJECT ? "non-array" : "scalar");
    return false;
}

static void elements(struct fn_call *call, const struct column *args, struct srf_output *output, bool as_text)
{
    struct arena scratch;
    arena_init(&scratch, NULL);
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg array = json_text_at(&args[0], i), key, item;
        if (column_is_null(&args[0], i) || !is_elements(call, i, json_text_kind(array), is_binary(args)))
            continue;
        struct json_cursor cursor;
        struct datum value;
        json_text_open(array, &cursor);
        while (json_text_next(&cursor, &key, &item)) {
            arena_reset(&scratch);
            if (!set_value(call, i, &scratch, item, as_text, &value))
                break;
            srf_append(output, i, &value);
        }
    }
    arena_release(&scratch);
}

static void fn_elements(struct fn_call *call, const struct column *args, struct srf_output *output)
{
    elements(call, args, output, false);
}
static void fn_elements_text(struct fn_call *call, const struct column *args, struct srf_output *output)
{
    elements(call, args, output, true);
}

enum members { MEMBERS_KEYS, MEMBERS_JSON, MEMBERS_TEXT };

static bool is_members(struct fn_call *call, uint32_t row, enum json_kind kind, bool binary,
                       enum members which)
{
    if (kind == JSON_OBJECT)
        return true;
    if (which == MEMBERS_KEYS)
        fn_error(call, row, ERRCODE_INVALID_PARAMETER_VALUE, "cannot call %s on %s", call->function->name,
                 kind == JSON_ARRAY ? "an array" : "a scalar");
    else if (binary)
        fn_error(call, row, ERRCODE_INVALID_PARAMETER_VALUE, "cannot call %s on a non-object",
                 call->function->name);
    else
        fn_error(call, row, ERRCODE_INVALID_PARAMETER_VALUE, "cannot deconstruct %s",
                 kind == JSON_ARRAY ? "an array as an object" : "a scalar");
    return false;
}

static void members(struct fn_call *call, const struct column *args, struct srf_output *output,
                    enum members which)
{
    struct arena scratch;
    struct error err;
    arena_init(&scratch, NULL);
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg object = json_text_at(&args[0], i), key, item;
        if (column_is_null(&args[0], i) ||
            !is_members(call, i, json_text_kind(object), is_binary(args), which))
            continue;
        struct json_cursor cursor;
        json_text_open(object, &cursor);
        while (json_text_next(&cursor, &key, &item)) {
            struct datum values[2] = {{.is_null = false}};
            arena_reset(&scratch);
            if (!json_text_string(&scratch, key, &values[0].var, &err)) {
                fn_error_from(call, i, &err);
                break;
            }
            if (which != MEMBERS_KEYS &&
                !set_value(call, i, &scratch, item, which == MEMBERS_TEXT, &values[1]))
                break;
            srf_append(output, i, values);
        }
    }
    arena_release(&scratch);
}

static void fn_each(struct fn_call *call, const struct column *args, struct srf_output *output)
{
    members(call, args, output, MEMBERS_JSON);
}
static void fn_each_text(struct fn_call *call, const struct column *args, struct srf_output *output)
{
    members(call, args, output, MEMBERS_TEXT);
}
static void fn_keys(struct fn_call *call, const struct column *args, struct srf_output *output)
{
    members(call, args, output, MEMBERS_KEYS);
}

/* ---- rows ---- */

#define JSON_ROWS(json)                                                                                        \
    {"->", json ",text", json, fn_member, "'{\"a\": 1}'::" json " -> 'a' gives 1", FN_OPERATOR},               \
        {"->", json ",int4", json, fn_element, "'[1,2]'::" json " -> 0 gives 1", FN_OPERATOR},                 \
        {"->>",      json ",text", "text", fn_member_text, "'{\"a\": \"x\"}'::" json " ->> 'a' gives 'x'",     \
         FN_OPERATOR},                                                                                         \
        {"->>", json ",int4", "text", fn_element_text, "'[1,2]'::" json " ->> 0 gives '1'", FN_OPERATOR},      \
        {"#>", json ",text[]", json, fn_path, "'{\"a\": [1,2]}'::" json " #> '{a,1}' gives 2", FN_OPERATOR},   \
        {"#>>",      json ",text[]", "text", fn_path_text, "'{\"a\": [1,2]}'::" json " #>> '{a,1}' gives '2'", \
         FN_OPERATOR},                                                                                         \
        {json "_extract_path", json ",variadic text", json, fn_extract,                                        \
         json "_extract_path('{\"a\": {\"b\": 1}}', 'a', 'b') gives 1"},                                       \
        {json "_extract_path_text", json ",variadic text", "text", fn_extract_text,                            \
         json "_extract_path_text('{\"a\": \"x\"}', 'a') gives 'x'"},                                          \
        {json "_typeof", json, "text", fn_typeof, json "_typeof('[1]') gives 'array'"},                        \
        {json "_array_length", json, "int4", fn_array_length, json "_array_length('[1,2]') gives 2"},          \
        {json "_array_elements",                                                                               \
         json,                                                                                                 \
         "setof " json "(value)",                                                                              \
         NULL,                                                                                                 \
         json "_array_elements('[1,2]') gives 1, 2",                                                           \
         FN_SET,                                                                                               \
         fn_elements},                                                                                         \
        {json "_array_elements_text",                                                                          \
         json,                                                                                                 \
         "setof text(value)",                                                                                  \
         NULL,                                                                                                 \
         json "_array_elements_text('[\"a\"]') gives 'a'",                                                     \
         FN_SET,                                                                                               \
         fn_elements_text},                                                                                    \
        {json "_object_keys",                                                                                  \
         json,                                                                                                 \
         "setof text",                                                                                         \
         NULL,                                                                                                 \
         json "_object_keys('{\"a\": 1}') gives 'a'",                                                          \
         FN_SET,                                                                                               \
         fn_keys},                                                                                             \
        {json "_each",                                                                                         \
         json,                                                                                                 \
         "setof record(key text, value " json ")",                                                             \
         NULL,                                                                                                 \
         json "_each('{\"a\": 1}') gives a row (a, 1)",                                                        \
         FN_SET,                                                                                               \
         fn_each},                                                                                             \
    {                                                                                                          \
        json "_each_text", json, "setof record(key text, value text)", NULL,                                   \
            json "_each_text('{\"a\": \"x\"}') gives a row (a, x)", FN_SET, fn_each_text                       \
    }

const struct function_row fn_json_rows[] = {
    JSON_ROWS("json"),
    JSON_ROWS("jsonb"),
    {"?", "jsonb,text", "bool", fn_exists, "'{\"a\": 1}'::jsonb ? 'a' gives true", FN_OPERATOR},
    {"?|", "jsonb,text[]", "bool", fn_exists_any, "'{\"a\": 1}'::jsonb ?| '{a,b}' gives true", FN_OPERATOR},
    {"?&", "jsonb,text[]", "bool", fn_exists_all, "'{\"a\": 1}'::jsonb ?& '{a,b}' gives false", FN_OPERATOR},
};
const size_t fn_json_rows_count = sizeof(fn_json_rows) / sizeof(fn_json_rows[0]);
