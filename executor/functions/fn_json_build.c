/* fn_json_build.c: JSON from SQL values, and back to numbers and booleans by casts (PostgreSQL
 * manual 9.16.2, 8.14).
 *
 * Values are written as JSON text; for jsonb that text is then brought into canonical form. */
#define _GNU_SOURCE
#include "executor/functions/json_text.h"
#include "storage/data/array.h"
#include "storage/data/json_encode.h"
#include "storage/data/numeric.h"

/* What kernels of this file work with: the text being built, and memory of one row. */
struct builder {
    struct strbuf text;
    struct arena scratch;
};

static void builder_init(struct builder *builder)
{
    builder->text = STRBUF_INIT;
    arena_init(&builder->scratch, NULL);
}

static void builder_release(struct builder *builder)
{
    strbuf_release(&builder->text);
    arena_release(&builder->scratch);
}

/* Makes the text the result of a row, in canonical form when that is jsonb. */
static void store(struct fn_call *call, struct column *result, uint32_t row, struct builder *builder)
{
    struct varlen value = {0};
    struct error err;
    bool ok = true;
    if (builder->text.len > VALUE_BYTES_MAX) {
        ok = error_set(&err, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "requested length too large");
    } else if (call->result_type.oid == OID_JSONB) {
        arena_reset(&builder->scratch);
        ok = jsonb_parse(&builder->scratch, strbuf_text(&builder->text), builder->text.len, &value, &err);
        if (ok)
            value = varlen_copy(call->arena, varlen_bytes(&value), value.len);
    } else {
        value = text_from_strbuf(call->arena, &builder->text);
    }
    RESULT_VAR(result)[row] = value;
    if (!ok)
        fn_error_from(call, row, &err);
}

static void fn_to_json(struct fn_call *call, const struct column *args, struct column *result)
{
    struct builder builder;
    builder_init(&builder);
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (column_is_null(result, i))
            continue;
        bool pretty = call->args_count == 2 && COLUMN_BOOL(&args[1])[COLUMN_AT(&args[1], i)];
        struct datum value = column_get(&args[0], i);
        strbuf_reset(&builder.text);
        json_encode(args[0].type.oid, &value, &call->env->io, pretty, &builder.text);
        store(call, result, i, &builder);
    }
    builder_release(&builder);
}

static void fn_build_array(struct fn_call *call, const struct column *args, struct column *result)
{
    struct builder builder;
    builder_init(&builder);
    for (uint32_t i = 0; i < call->rows; i++) {
        strbuf_reset(&builder.text);
        strbuf_addc(&builder.text, '[');
        for (uint32_t arg = 0; arg < call->args_count; arg++) {
            struct datum value = column_get(&args[arg], i);
            if (arg > 0)
                strbuf_add(&builder.text, ", ", 2);
            json_encode(args[arg].type.oid, &value, &call->env->io, false, &builder.text);
        }
        strbuf_addc(&builder.text, ']');
        store(call, result, i, &builder);
    }
    builder_release(&builder);
}

static bool build_key(struct fn_call *call, uint32_t arg, const struct column *column, uint32_t row,
                      struct strbuf *out)
{
    struct error err;
    struct datum key = column_get(column, row);
    bool ok;
    if (!key.is_null) {
        ok = json_encode_key(column->type.oid, &key, &call->env->io, out, &err);
    } else if (call->result_type.oid == OID_JSONB) {
        ok = error_set(&err, ERRCODE_INVALID_PARAMETER_VALUE, "argument %u: key must not be null", arg + 1);
    } else {
        error_set(&err, ERRCODE_INVALID_PARAMETER_VALUE, "argument %u cannot be null", arg + 1);
        ok = error_hint(&err, "Object keys should be text.");
    }
    if (!ok)
        fn_error_from(call, row, &err);
    return ok;
}

static void fn_build_object(struct fn_call *call, const struct column *args, struct column *result)
{
    struct builder builder;
    builder_init(&builder);
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (call->args_count % 2 != 0) {
            struct error err;
            error_set(&err, ERRCODE_INVALID_PARAMETER_VALUE,
                      "argument list must have even number of elements");
            error_hint(&err, "The arguments of %s() must consist of alternating keys and values.",
                       call->function->name);
            fn_error_from(call, i, &err);
            continue;
        }
        bool ok = true;
        strbuf_reset(&builder.text);
        strbuf_addc(&builder.text, '{');
        for (uint32_t arg = 0; ok && arg < call->args_count; arg += 2) {
            if (arg > 0)
                strbuf_add(&builder.text, ", ", 2);
            ok = build_key(call, arg, &args[arg], i, &builder.text);
            struct datum value = column_get(&args[arg + 1], i);
            strbuf_add(&builder.text, " : ", 3);
            json_encode(args[arg + 1].type.oid, &value, &call->env->io, false, &builder.text);
        }
        strbuf_addc(&builder.text, '}');
        if (ok)
            store(call, result, i, &builder);
    }
    builder_release(&builder);
}

/* A row whose column names are known, as alternating names and values behind the wish for line feeds: what
 * row_to_json gives for a table's row. */
static void fn_named_row(struct fn_call *call, const struct column *args, struct column *result)
{
    struct builder builder;
    builder_init(&builder);
    for (uint32_t i = 0; i < call->rows; i++) {
        bool pretty = !column_is_null(&args[0], i) && COLUMN_BOOL(&args[0])[COLUMN_AT(&args[0], i)];
        strbuf_reset(&builder.text);
        strbuf_addc(&builder.text, '{');
        for (uint32_t arg = 1; arg + 1 < call->args_count; arg += 2) {
            struct text_arg name = text_at(&args[arg], i);
            struct datum value = column_get(&args[arg + 1], i);
            if (arg > 1)
                strbuf_adds(&builder.text, pretty ? ",\n " : ",");
            json_write_string(name.bytes, name.len, &builder.text);
            strbuf_addc(&builder.text, ':');
            json_encode(args[arg + 1].type.oid, &value, &call->env->io, false, &builder.text);
        }
        strbuf_addc(&builder.text, '}');
        store(call, result, i, &builder);
    }
    builder_release(&builder);
}

/* ---- json_object of text arrays ---- */

static void add_pair(struct strbuf *out, bool first, const struct datum *key, const struct datum *value)
{
    if (!first)
        strbuf_add(out, ", ", 2);
    json_write_string((const char *)varlen_bytes(&key->var), key->var.len, out);
    strbuf_add(out, " : ", 3);
    if (value->is_null)
        strbuf_add(out, "null", 4);
    else
        json_write_string((const char *)varlen_bytes(&value->var), value->var.len, out);
}

static bool object_of_pairs(const struct array_view *pairs, struct strbuf *out, struct error *err)
{
    if (pairs->ndim > 2)
        return error_set(err, ERRCODE_ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts");
    if (pairs->ndim == 1 && pairs->count % 2 != 0)
        return error_set(err, ERRCODE_ARRAY_SUBSCRIPT_ERROR, "array must have even number of elements");
    if (pairs->ndim == 2 && pairs->lengths[1] != 2)
        return error_set(err, ERRCODE_ARRAY_SUBSCRIPT_ERROR, "array must have two columns");
    const uint8_t *cursor = pairs->elements;
    for (uint32_t i = 0; i + 1 < pairs->count; i += 2) {
        struct datum key, value;
        if (!array_next(pairs, &cursor, &key) || !array_next(pairs, &cursor, &value))
            break;
        if (key.is_null)
            return error_set(err, ERRCODE_NULL_VALUE_NOT_ALLOWED, "null value not allowed for object key");
        add_pair(out, i == 0, &key, &value);
    }
    return true;
}

static bool object_of_two(const struct array_view *keys, const struct array_view *values, struct strbuf *out,
                          struct error *err)
{
    if (keys->ndim > 1 || keys->ndim != values->ndim)
        return error_set(err, ERRCODE_ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts");
    if (keys->count != values->count)
        return error_set(err, ERRCODE_ARRAY_SUBSCRIPT_ERROR, "mismatched array dimensions");
    const uint8_t *key_cursor = keys->elements, *value_cursor = values->elements;
    for (uint32_t i = 0; i < keys->count; i++) {
        struct datum key, value;
        if (!array_next(keys, &key_cursor, &key) || !array_next(values, &value_cursor, &value))
            break;
        if (key.is_null)
            return error_set(err, ERRCODE_NULL_VALUE_NOT_ALLOWED, "null value not allowed for object key");
        add_pair(out, i == 0, &key, &value);
    }
    return true;
}

static void fn_object(struct fn_call *call, const struct column *args, struct column *result)
{
    struct builder builder;
    builder_init(&builder);
    for (uint32_t i = 0; i < call->rows; i++) {
        struct array_view views[2];
        struct error err;
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (column_is_null(result, i))
            continue;
        for (uint32_t arg = 0; arg < call->args_count; arg++)
            array_open(&COLUMN_VAR(&args[arg])[COLUMN_AT(&args[arg], i)], &views[arg]);
        strbuf_reset(&builder.text);
        strbuf_addc(&builder.text, '{');
        bool ok = call->args_count == 1 ? object_of_pairs(&views[0], &builder.text, &err)
                                        : object_of_two(&views[0], &views[1], &builder.text, &err);
        strbuf_addc(&builder.text, '}');
        if (ok)
            store(call, result, i, &builder);
        else
            fn_error_from(call, i, &err);
    }
    builder_release(&builder);
}

/* ---- casts ---- */

static void json_to_jsonb(struct fn_call *call, const struct column *args, struct column *result)
{
    struct builder builder;
    builder_init(&builder);
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg text = json_text_at(&args[0], i);
        strbuf_reset(&builder.text);
        strbuf_add(&builder.text, text.bytes, text.len);
        store(call, result, i, &builder);
    }
    builder_release(&builder);
}

static bool is_castable(struct fn_call *call, const struct column *result, uint32_t row,
                        struct text_arg value)
{
    static const char *const names[] = {
        [JSON_NULL] = "null",      [JSON_FALSE] = "boolean", [JSON_TRUE] = "boolean",
        [JSON_NUMBER] = "numeric", [JSON_STRING] = "string", [JSON_ARRAY] = "array",
        [JSON_OBJECT] = "object"};
    enum json_kind kind = json_text_kind(value);
    if (column_is_null(result, row))
        return false;
    bool wants_bool = call->result_type.oid == OID_BOOL;
    if (wants_bool ? kind == JSON_TRUE || kind == JSON_FALSE : kind == JSON_NUMBER)
        return true;
    fn_error(call, row, ERRCODE_INVALID_PARAMETER_VALUE, "cannot cast jsonb %s to type %s", names[kind],
             type_find(call->result_type.oid)->sql_name);
    return false;
}

static void jsonb_to_bool(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg value = json_text_at(&args[0], i);
        RESULT_BOOL(result)[i] = is_castable(call, result, i, value) && json_text_kind(value) == JSON_TRUE;
    }
}

/* Integers round as numeric does; floats read the digits. */
static bool cast_number(struct fn_call *call, struct arena *scratch, struct text_arg text, struct datum *out,
                        struct error *err)
{
    uint32_t target = call->result_type.oid;
    struct varlen number;
    if (target == OID_FLOAT4 || target == OID_FLOAT8)
        return type_input(target, -1, text.bytes, text.len, &call->env->io, call->arena, out, err);
    if (target == OID_NUMERIC)
        return numeric_parse(call->arena, text.bytes, text.len, -1, &out->var, err);
    int64_t value = 0, limit = target == OID_INT2 ? INT16_MAX : target == OID_INT4 ? INT32_MAX : INT64_MAX;
    bool ok = numeric_parse(scratch, text.bytes, text.len, -1, &number, err) &&
              numeric_to_i64(&number, &value, NULL);
    if (!ok || value > limit || value < -limit - 1)
        return error_set(err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "%s out of range",
                         type_find(target)->sql_name);
    if (target == OID_INT2)
        out->i16 = (int16_t)value;
    else if (target == OID_INT4)
        out->i32 = (int32_t)value;
    else
        out->i64 = value;
    return true;
}

static void jsonb_to_number(struct fn_call *call, const struct column *args, struct column *result)
{
    struct arena scratch;
    arena_init(&scratch, NULL);
    uint32_t bytes = phys_bytes(result->phys);
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg value = json_text_at(&args[0], i);
        struct datum number = {0};
        struct error err;
        if (is_castable(call, result, i, value) && !cast_number(call, &scratch, value, &number, &err)) {
            fn_error_from(call, i, &err);
            number = (struct datum){0};
        }
        memcpy((uint8_t *)result->data + (size_t)i * bytes, &number.i64, bytes);
        arena_reset(&scratch);
    }
    arena_release(&scratch);
}

/* ---- rows ---- */

/* The text of times inside depends on the session's zone. */
#define ZONED      (FN_STABLE | FN_VIEW_OK)
#define ASSIGNMENT (FN_CAST | FN_CAST_ASSIGNMENT)

const struct function_row fn_json_build_rows[] = {
    {"to_json", "anyelement", "json", fn_to_json, "to_json('a'::text) gives '\"a\"'", ZONED},
    {"to_jsonb", "anyelement", "jsonb", fn_to_json, "to_jsonb(ARRAY[1,2]) gives [1, 2]", ZONED},
    {"row_to_json", "record", "json", fn_to_json, "row_to_json(ROW(1, 'a')) gives {\"f1\":1,\"f2\":\"a\"}",
     ZONED},
    {"row_to_json", "record,bool", "json", fn_to_json, "row_to_json(ROW(1, 'a'), true) breaks lines", ZONED},
    {"array_to_json", "anyarray", "json", fn_to_json, "array_to_json(ARRAY[1,2]) gives [1,2]", ZONED},
    {"array_to_json", "anyarray,bool", "json", fn_to_json, "array_to_json(ARRAY[1,2], true) breaks lines",
     ZONED},
    {"json_build_array", "", "json", fn_build_array, "json_build_array() gives []"},
    {"json_build_array", "variadic any", "json", fn_build_array, "json_build_array(1, 'a') gives [1, \"a\"]",
     FN_NULLS | ZONED},
    {"jsonb_build_array", "", "jsonb", fn_build_array, "jsonb_build_array() gives []"},
    {"jsonb_build_array", "variadic any", "jsonb", fn_build_array,
     "jsonb_build_array(1, 'a') gives [1, \"a\"]", FN_NULLS | ZONED},
    {"json_build_object", "", "json", fn_build_object, "json_build_object() gives {}"},
    {"json_build_object", "variadic any", "json", fn_build_object,
     "json_build_object('a', 1) gives {\"a\" : 1}", FN_NULLS | ZONED},
    {"jsonb_build_object", "", "jsonb", fn_build_object, "jsonb_build_object() gives {}"},
    {"jsonb_build_object", "variadic any", "jsonb", fn_build_object,
     "jsonb_build_object('a', 1) gives {\"a\": 1}", FN_NULLS | ZONED},
    {"json_named_row", "bool,variadic any", "json", fn_named_row,
     "json_named_row(false, 'a', 1) gives {\"a\":1}", FN_NULLS | ZONED | FN_HIDDEN},
    {"json_object", "text[]", "json", fn_object, "json_object('{a,1}') gives {\"a\" : \"1\"}"},
    {"json_object", "text[],text[]", "json", fn_object, "json_object('{a}', '{1}') gives {\"a\" : \"1\"}"},
    {"jsonb_object", "text[]", "jsonb", fn_object, "jsonb_object('{a,1}') gives {\"a\": \"1\"}"},
    {"jsonb_object", "text[],text[]", "jsonb", fn_object, "jsonb_object('{a}', '{1}') gives {\"a\": \"1\"}"},
    {"cast", "json", "jsonb", json_to_jsonb, "'{}'::json::jsonb", ASSIGNMENT},
    {"cast", "jsonb", "json", NULL, "'{}'::jsonb::json", ASSIGNMENT},
    {"cast", "jsonb", "bool", jsonb_to_bool, "'true'::jsonb::bool gives true", FN_CAST},
    {"cast", "jsonb", "numeric", jsonb_to_number, "'1.5'::jsonb::numeric gives 1.5", FN_CAST},
    {"cast", "jsonb", "int2", jsonb_to_number, "'1'::jsonb::int2 gives 1", FN_CAST},
    {"cast", "jsonb", "int4", jsonb_to_number, "'1'::jsonb::int4 gives 1", FN_CAST},
    {"cast", "jsonb", "int8", jsonb_to_number, "'1'::jsonb::int8 gives 1", FN_CAST},
    {"cast", "jsonb", "float4", jsonb_to_number, "'1.5'::jsonb::float4 gives 1.5", FN_CAST},
    {"cast", "jsonb", "float8", jsonb_to_number, "'1.5'::jsonb::float8 gives 1.5", FN_CAST},
};
const size_t fn_json_build_rows_count = sizeof(fn_json_build_rows) / sizeof(fn_json_build_rows[0]);
