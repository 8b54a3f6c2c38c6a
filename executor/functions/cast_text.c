/* cast_text.c: casts between text-like types, to and from boolean, and of object identifiers, with
 * PostgreSQL's contexts (pg_cast). Rows without a kernel mean that the bytes stay the same. Lengths
 * (varchar(n), char(n)) are the caller's. */
#define _GNU_SOURCE
#include "executor/functions/text_kernel.h"

static void bpchar_to_text(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg text = text_at(&args[0], i);
        text.len = text_trimmed_len(text.bytes, text.len);
        RESULT_VAR(result)[i] = text_view(text);
    }
}

static void text_to_name(struct fn_call *call, const struct column *args, struct column *result)
{
    bool padded = args[0].type.oid == OID_BPCHAR;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg text = text_at(&args[0], i);
        text.len = text_clip(text.bytes, text.len, NAME_BYTES_MAX);
        if (padded)
            text.len = text_trimmed_len(text.bytes, text.len);
        RESULT_VAR(result)[i] = text_view(text);
    }
}

static void text_to_char(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg text = text_at(&args[0], i);
        text.len = text.len > 1 ? 1 : text.len;
        RESULT_VAR(result)[i] = text_view(text);
    }
}

static void char_to_int4(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg text = text_at(&args[0], i);
        RESULT_I32(result)[i] = text.len > 0 ? (int8_t)text.bytes[0] : 0;
    }
}

static void int4_to_char(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        int32_t value = i32_at(&args[0], i);
        if (value < INT8_MIN || value > INT8_MAX)
            fn_error(call, i, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "\"char\" out of range");
        char byte = (char)value;
        RESULT_VAR(result)[i] = varlen_view(&byte, value != 0);
    }
}

static void bool_to_text(struct fn_call *call, const struct column *args, struct column *result)
{
    const struct varlen words[2] = {varlen_view("false", 5), varlen_view("true", 4)};
    for (uint32_t i = 0; i < call->rows; i++)
        RESULT_VAR(result)[i] = words[COLUMN_BOOL(&args[0])[COLUMN_AT(&args[0], i)] != 0];
}

static void bool_to_int4(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++)
        RESULT_I32(result)[i] = COLUMN_BOOL(&args[0])[COLUMN_AT(&args[0], i)];
}

static void int4_to_bool(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++)
        RESULT_BOOL(result)[i] = i32_at(&args[0], i) != 0;
}

/* ---- object identifiers: unsigned 32 bits, kept in 64 ---- */

static void int2_to_oid(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++)
        RESULT_I64(result)[i] = (uint32_t)(int32_t)COLUMN_I16(&args[0])[COLUMN_AT(&args[0], i)];
}

static void int4_to_oid(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++)
        RESULT_I64(result)[i] = (uint32_t)i32_at(&args[0], i);
}

static void oid_to_int4(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++)
        RESULT_I32(result)[i] = (int32_t)(uint32_t)COLUMN_I64(&args[0])[COLUMN_AT(&args[0], i)];
}

static void int8_to_oid(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        int64_t value = COLUMN_I64(&args[0])[COLUMN_AT(&args[0], i)];
        if (value < 0 || value > UINT32_MAX)
            fn_error(call, i, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "OID out of range");
        RESULT_I64(result)[i] = value;
    }
}

static void text_to_regclass(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg text = text_at(&args[0], i);
        struct datum value;
        struct error err;
        RESULT_I64(result)[i] = 0;
        if (column_is_null(result, i))
            continue;
        if (type_input(OID_REGCLASS, -1, text.bytes, text.len, &call->env->io, call->arena, &value, &err))
            RESULT_I64(result)[i] = value.i64;
        else
            fn_error_from(call, i, &err);
    }
}

/* ---- rows ---- */

#define IMPLICIT   (FN_CAST | FN_CAST_IMPLICIT | FN_CAST_ASSIGNMENT)
#define ASSIGNMENT (FN_CAST | FN_CAST_ASSIGNMENT)
#define EXPLICIT   FN_CAST

#define REG_CASTS(type)                                                                                      \
    {"cast", "int8", type, int8_to_oid, "1::" type, IMPLICIT},                                               \
        {"cast", "int4", type, int4_to_oid, "1::" type, IMPLICIT},                                           \
        {"cast", "int2", type, int2_to_oid, "1::int2::" type, IMPLICIT},                                     \
        {"cast", "oid", type, NULL, "1::oid::" type, IMPLICIT},                                              \
        {"cast", type, "oid", NULL, type "::oid", IMPLICIT},                                                 \
        {"cast", type, "int8", NULL, type "::int8", ASSIGNMENT},                                             \
    {                                                                                                        \
        "cast", type, "int4", oid_to_int4, type "::int4", ASSIGNMENT                                         \
    }

const struct function_row cast_text_rows[] = {
    {"cast", "text", "varchar", NULL, "'a'::varchar", IMPLICIT},
    {"cast", "text", "bpchar", NULL, "'a'::bpchar", IMPLICIT},
    {"cast", "text", "name", text_to_name, "'a'::name", IMPLICIT},
    {"cast", "text", "char", text_to_char, "'a'::\"char\"", ASSIGNMENT},
    {"cast", "varchar", "text", NULL, "'a'::varchar::text", IMPLICIT},
    {"cast", "varchar", "bpchar", NULL, "'a'::varchar::bpchar", IMPLICIT},
    {"cast", "varchar", "name", text_to_name, "'a'::varchar::name", IMPLICIT},
    {"cast", "varchar", "char", text_to_char, "'a'::varchar::\"char\"", ASSIGNMENT},
    {"cast", "bpchar", "text", bpchar_to_text, "'a '::bpchar::text gives 'a'", IMPLICIT},
    {"cast", "bpchar", "varchar", bpchar_to_text, "'a '::bpchar::varchar gives 'a'", IMPLICIT},
    {"cast", "bpchar", "name", text_to_name, "'a '::bpchar::name gives 'a'", IMPLICIT},
    {"cast", "bpchar", "char", text_to_char, "'a '::bpchar::\"char\"", ASSIGNMENT},
    {"cast", "name", "text", NULL, "'a'::name::text", IMPLICIT},
    {"cast", "name", "varchar", NULL, "'a'::name::varchar", ASSIGNMENT},
    {"cast", "name", "bpchar", NULL, "'a'::name::bpchar", ASSIGNMENT},
    {"cast", "char", "text", NULL, "'a'::\"char\"::text", IMPLICIT},
    {"cast", "char", "varchar", NULL, "'a'::\"char\"::varchar", ASSIGNMENT},
    {"cast", "char", "bpchar", NULL, "'a'::\"char\"::bpchar", ASSIGNMENT},
    {"cast", "char", "int4", char_to_int4, "'a'::\"char\"::int4 gives 97", EXPLICIT},
    {"cast", "int4", "char", int4_to_char, "97::\"char\" gives 'a'", EXPLICIT},
    {"cast", "bool", "text", bool_to_text, "true::text gives 'true'", ASSIGNMENT},
    {"cast", "bool", "varchar", bool_to_text, "true::varchar gives 'true'", ASSIGNMENT},
    {"cast", "bool", "bpchar", bool_to_text, "true::bpchar gives 'true'", ASSIGNMENT},
    {"cast", "bool", "int4", bool_to_int4, "true::int4 gives 1", EXPLICIT},
    {"cast", "int4", "bool", int4_to_bool, "1::bool gives true", EXPLICIT},
    {"cast", "int8", "oid", int8_to_oid, "1::oid", IMPLICIT},
    {"cast", "int4", "oid", int4_to_oid, "1::oid", IMPLICIT},
    {"cast", "int2", "oid", int2_to_oid, "1::int2::oid", IMPLICIT},
    {"cast", "oid", "int8", NULL, "1::oid::int8", ASSIGNMENT},
    {"cast", "oid", "int4", oid_to_int4, "1::oid::int4", ASSIGNMENT},
    REG_CASTS("regclass"),
    REG_CASTS("regtype"),
    REG_CASTS("regproc"),
    REG_CASTS("regnamespace"),
    {"cast", "text", "regclass", text_to_regclass, "'t'::text::regclass", IMPLICIT | FN_STABLE},
    {"cast", "varchar", "regclass", text_to_regclass, "'t'::varchar::regclass", IMPLICIT | FN_STABLE},
};
const size_t cast_text_rows_count = sizeof(cast_text_rows) / sizeof(cast_text_rows[0]);
