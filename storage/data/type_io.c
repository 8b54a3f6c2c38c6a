/* type_io.c: text input, text output and typmod coercion by type. */
#include "storage/base/limits.h"
#include "storage/data/array.h"
#include "storage/data/array_text.h"
#include "storage/data/datetime_io.h"
#include "storage/data/float_format.h"
#include "storage/data/json.h"
#include "storage/data/numeric.h"
#include "storage/data/text_check.h"
#include "storage/data/type.h"
#include "storage/data/type_text.h"

static bool reg_value_input(uint32_t oid, const char *text, size_t len, const struct io_env *env,
                            struct datum *out, struct error *err)
{
    if (len == 1 && text[0] == '-') {
        out->i64 = 0;
        return true;
    }
    bool digits = len > 0;
    for (size_t i = 0; i < len; i++)
        digits &= text[i] >= '0' && text[i] <= '9';
    if (digits || env->reg_input == NULL)
        return oid_input(text, len, &out->i64, err);
    uint32_t value;
    if (!env->reg_input(env->reg_ctx, oid, text, len, &value, err))
        return false;
    out->i64 = value;
    return true;
}

static void reg_value_output(uint32_t oid, int64_t value, const struct io_env *env, struct strbuf *out)
{
    if (value == 0)
        strbuf_addc(out, '-');
    else if (env->reg_output == NULL || !env->reg_output(env->reg_ctx, oid, (uint32_t)value, out))
        integer_output(value, out);
}

/* "\ooo" or the first byte; no bytes stand for the byte zero. */
static void char_value_input(const char *text, size_t len, struct datum *out)
{
    bool octal = len == 4 && text[0] == '\\';
    for (int i = 1; octal && i < 4; i++)
        octal = text[i] >= '0' && text[i] <= '7';
    uint8_t byte = len == 0 ? 0 : (uint8_t)text[0];
    if (octal)
        byte = (uint8_t)((text[1] - '0') * 64 + (text[2] - '0') * 8 + (text[3] - '0'));
    out->var = varlen_view(&byte, byte != 0);
}

static void char_value_output(const struct varlen *value, struct strbuf *out)
{
    if (value->len == 0)
        return;
    uint8_t byte = value->inlined[0];
    if (byte < 0x80) {
        strbuf_addc(out, (char)byte);
        return;
    }
    char octal[4] = {'\\', (char)('0' + (byte >> 6)), (char)('0' + ((byte >> 3) & 7)),
                     (char)('0' + (byte & 7))};
    strbuf_add(out, octal, 4);
}

/* text[0..len) fitted to varchar(n) or char(n); is_explicit cuts where assignment raises 22001. */
static bool fit_length(bool padded, int32_t typmod, bool is_explicit, const char *text, size_t len,
                       struct arena *arena, struct varlen *out, struct error *err)
{
    size_t chars_max = typmod < 4 ? SIZE_MAX : (size_t)typmod - 4;
    size_t bytes = text_bytes_of_chars(text, len, chars_max);
    if (bytes < len) {
        for (size_t i = bytes; i < len && !is_explicit; i++) {
            if (text[i] != ' ')
                return error_set(err, ERRCODE_STRING_DATA_RIGHT_TRUNCATION,
                                 "value too long for type character%s(%d)", padded ? "" : " varying",
                                 typmod - 4);
        }
        *out = varlen_copy(arena, text, (uint32_t)bytes);
        return true;
    }
    size_t chars = padded && typmod >= 4 ? text_chars(text, len) : 0;
    if (!padded || typmod < 4 || chars >= chars_max) {
        *out = varlen_copy(arena, text, (uint32_t)len);
        return true;
    }
    size_t total = len + (chars_max - chars);
    char *copy = arena_alloc(arena, total);
    if (len > 0)
        memcpy(copy, text, len);
    memset(copy + len, ' ', total - len);
    *out = varlen_view(copy, (uint32_t)total);
    return true;
}

static bool var_input(const struct type_row *row, int32_t typmod, const char *text, size_t len,
                      const struct io_env *env, struct arena *arena, struct datum *out, struct error *err)
{
    switch (row->oid) {
    case OID_BYTEA:
        return bytea_input(text, len, arena, &out->var, err);
    case OID_NUMERIC:
        return numeric_parse(arena, text, len, typmod, &out->var, err);
    case OID_CHAR:
        char_value_input(text, len, out);
        return true;
    case OID_RECORD:
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "input of anonymous composite types is not implemented");
    case OID_VOID:
        out->var = varlen_view("", 0);
        return true;
    case OID_INT2VECTOR:
    case OID_OIDVECTOR:
        return vector_input(row->oid, text, len, arena, &out->var, err);
    default:
        break;
    }
    if (row->element_oid != 0)
        return array_input(row->oid, typmod, text, len, env, arena, &out->var, err);
    if (row->category == 'P' && row->typlen != -2)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "cannot accept a value of type %s", row->name);
    if (!text_check_utf8(text, len, err))
        return false;
    switch (row->oid) {
    case OID_JSON:
        if (!json_validate(text, len, err))
            return false;
        break;
    case OID_JSONB:
        return jsonb_parse(arena, text, len, &out->var, err);
    case OID_NAME:
        len = text_clip(text, len, NAME_BYTES_MAX);
        break;
    case OID_VARCHAR:
    case OID_BPCHAR:
        return fit_length(row->oid == OID_BPCHAR, typmod, false, text, len, arena, &out->var, err);
    default:
        break;
    }
    out->var = varlen_copy(arena, text, (uint32_t)len);
    return true;
}

bool type_input(uint32_t oid, int32_t typmod, const char *text, size_t len, const struct io_env *env,
                struct arena *arena, struct datum *out, struct error *err)
{
    const struct type_row *row = type_find(oid);
    CHECK(row != NULL);
    memset(out, 0, sizeof(*out));
    if (len > VALUE_BYTES_MAX)
        return error_set(err, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                         "value of %zu bytes is longer than the maximum of %u", len, VALUE_BYTES_MAX);
    int64_t integer;
    switch (oid) {
    case OID_BOOL:
        return bool_input(text, len, &out->boolean, err);
    case OID_INT2:
        if (!integer_input(text, len, INT16_MIN, INT16_MAX, "smallint", &integer, err))
            return false;
        out->i16 = (int16_t)integer;
        return true;
    case OID_INT4:
        if (!integer_input(text, len, INT32_MIN, INT32_MAX, "integer", &integer, err))
            return false;
        out->i32 = (int32_t)integer;
        return true;
    case OID_INT8:
        return integer_input(text, len, INT64_MIN, INT64_MAX, "bigint", &out->i64, err);
    case OID_FLOAT4:
        return float4_parse(text, len, &out->f32, err);
    case OID_FLOAT8:
        return float8_parse(text, len, &out->f64, err);
    case OID_OID:
    case OID_XID:
        return oid_input(text, len, &out->i64, err);
    case OID_REGPROC:
    case OID_REGCLASS:
    case OID_REGTYPE:
    case OID_REGNAMESPACE:
    case OID_REGPROCEDURE:
    case OID_REGOPER:
    case OID_REGOPERATOR:
    case OID_REGROLE:
        return reg_value_input(oid, text, len, env, out, err);
    case OID_DATE:
        return date_input(text, len, env, &out->i32, err);
    case OID_TIME:
        return time_input(text, len, typmod, env, &out->i64, err);
    case OID_TIMESTAMP:
        return timestamp_input(text, len, typmod, env, &out->i64, err);
    case OID_TIMESTAMPTZ:
        return timestamptz_input(text, len, typmod, env, &out->i64, err);
    case OID_INTERVAL:
        return interval_input(text, len, typmod, env, &out->interval, err);
    case OID_UUID:
        return uuid_input(text, len, out->fix16, err);
    default:
        return var_input(row, typmod, text, len, env, arena, out, err);
    }
}

void type_output(uint32_t oid, const struct datum *value, const struct io_env *env, struct strbuf *out)
{
    switch (oid) {
    case OID_BOOL:
        strbuf_addc(out, value->boolean ? 't' : 'f');
        return;
    case OID_INT2:
        integer_output(value->i16, out);
        return;
    case OID_INT4:
        integer_output(value->i32, out);
        return;
    case OID_INT8:
    case OID_OID:
    case OID_XID:
        integer_output(value->i64, out);
        return;
    case OID_FLOAT4:
        float4_format(value->f32, env->extra_float_digits, out);
        return;
    case OID_FLOAT8:
        float8_format(value->f64, env->extra_float_digits, out);
        return;
    case OID_REGPROC:
    case OID_REGCLASS:
    case OID_REGTYPE:
    case OID_REGNAMESPACE:
    case OID_REGPROCEDURE:
    case OID_REGOPER:
    case OID_REGOPERATOR:
    case OID_REGROLE:
        reg_value_output(oid, value->i64, env, out);
        return;
    case OID_DATE:
        date_output(value->i32, env, out);
        return;
    case OID_TIME:
        time_output(value->i64, env, out);
        return;
    case OID_TIMESTAMP:
        timestamp_output(value->i64, env, out);
        return;
    case OID_TIMESTAMPTZ:
        timestamptz_output(value->i64, env, out);
        return;
    case OID_INTERVAL:
        interval_output(&value->interval, env, out);
        return;
    case OID_UUID:
        uuid_output(value->fix16, out);
        return;
    case OID_NUMERIC:
        numeric_format(&value->var, out);
        return;
    case OID_BYTEA:
        bytea_output(&value->var, env->bytea_escape, out);
        return;
    case OID_CHAR:
        char_value_output(&value->var, out);
        return;
    case OID_RECORD:
        record_output(&value->var, env, out);
        return;
    case OID_INT2VECTOR:
    case OID_OIDVECTOR:
        vector_output(&value->var, out);
        return;
    case OID_VOID:
        return;
    default:
        if (type_is_array(oid))
            array_output(&value->var, env, out);
        else
            strbuf_add(out, varlen_bytes(&value->var), value->var.len);
        return;
    }
}

static bool array_apply_typmod(int32_t typmod, bool is_explicit, const struct varlen *value,
                               struct arena *arena, struct varlen *out, struct error *err)
{
    struct array_view view;
    array_open(value, &view);
    struct datum *items = array_elements(&view, arena);
    for (uint32_t i = 0; i < view.count; i++) {
        struct datum item = items[i];
        if (!item.is_null &&
            !type_apply_typmod(view.element_oid, typmod, is_explicit, &item, arena, &items[i], err))
            return false;
    }
    *out = array_make_dims(arena, view.element_oid, items, view.ndim, view.lengths, view.lower_bounds);
    return true;
}

bool type_apply_typmod(uint32_t oid, int32_t typmod, bool is_explicit, const struct datum *value,
                       struct arena *arena, struct datum *out, struct error *err)
{
    struct datum in = *value; /* out may be value */
    *out = in;
    if (typmod < 0 || in.is_null)
        return true;
    switch (oid) {
    case OID_VARCHAR:
    case OID_BPCHAR:
        return fit_length(oid == OID_BPCHAR, typmod, is_explicit, (const char *)varlen_bytes(&in.var),
                          in.var.len, arena, &out->var, err);
    case OID_NUMERIC:
        return numeric_apply_typmod(arena, &in.var, typmod, &out->var, err);
    case OID_TIME:
        out->i64 = time_round(in.i64, typmod);
        return true;
    case OID_TIMESTAMP:
    case OID_TIMESTAMPTZ:
        return timestamp_round(in.i64, typmod, &out->i64, err);
    case OID_INTERVAL:
        return interval_apply_typmod(&in.interval, typmod, &out->interval, err);
    default:
        if (type_is_array(oid))
            return array_apply_typmod(typmod, is_explicit, &in.var, arena, &out->var, err);
        return true;
    }
}
