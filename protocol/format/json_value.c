/* json_value.c: see json_value.h. */
#include "protocol/format/json_value.h"

#include "protocol/format/base64.h"
#include "storage/base/limits.h"
#include "storage/data/array.h"
#include "storage/data/datetime_internal.h"
#include "storage/data/datetime_io.h"
#include "storage/data/numeric.h"

#include <stdio.h>

#define UNCHANGED        "__debezium_unavailable_value"
#define UNCHANGED_BASE64 "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="

static enum json_way way_of(const struct json_target *target)
{
    bool plain_time = target->unit > 0;
    switch (target->type.oid) {
    case OID_INT2:
        return JSON_WAY_INT2;
    case OID_INT4:
        return JSON_WAY_INT4;
    case OID_INT8:
        return JSON_WAY_INT8;
    case OID_TEXT:
    case OID_VARCHAR:
        return target->encoding.refuse_unchanged ? JSON_WAY_OTHER : JSON_WAY_TEXT;
    case OID_BOOL:
        return JSON_WAY_BOOL;
    case OID_FLOAT8:
        return JSON_WAY_FLOAT8;
    case OID_NUMERIC:
        return target->precision >= 0 ? JSON_WAY_NUMERIC : JSON_WAY_OTHER;
    case OID_TIMESTAMP:
        return plain_time ? JSON_WAY_TIMESTAMP : JSON_WAY_OTHER;
    case OID_TIMESTAMPTZ:
        return plain_time ? JSON_WAY_TIMESTAMPTZ : JSON_WAY_OTHER;
    case OID_DATE:
        return JSON_WAY_DATE;
    default:
        return JSON_WAY_OTHER;
    }
}

void json_target_init(struct json_target *target, struct sql_type type, struct json_encoding encoding)
{
    *target = (struct json_target){.type = type, .encoding = encoding, .bytes_max = VALUE_BYTES_MAX};
    const struct type_row *row = type_find(type.oid);
    if (row->category == 'A' && type.oid != OID_INT2VECTOR && type.oid != OID_OIDVECTOR)
        target->element_oid = row->element_oid;
    if (type.oid == OID_VARCHAR && type.typmod >= 4)
        target->bytes_max = (uint32_t)type.typmod - 4;
    if (type.oid == OID_NUMERIC && type.typmod >= 4) {
        target->precision = (type.typmod - 4) >> 16 & 0xffff;
        target->scale = (((type.typmod - 4) & 0x7ff) ^ 1024) - 1024;
        if (target->precision > 18 || target->scale < 0 || target->scale > 18)
            target->precision = -1; /* the long way */
    }
    if (type.oid == OID_TIMESTAMP || type.oid == OID_TIMESTAMPTZ) {
        static const int32_t units[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
        target->unit = type.typmod < 0 ? 1 : type.typmod <= 6 ? units[type.typmod] : 0;
    }
    target->way = way_of(target);
}

/* ---- times as numbers ---- */

static bool out_of_range(const struct json_target *target, const struct json_token *token, struct error *err)
{
    struct strbuf name = STRBUF_INIT;
    type_format(target->type.oid, -1, &name);
    int len = (int)(token->end - token->start > 100 ? 100 : token->end - token->start);
    error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "%.*s is out of range for type %s", len,
              (const char *)token->start, strbuf_text(&name));
    strbuf_release(&name);
    return false;
}

/* Units of the encoding to microseconds, the nearest one. */
static bool number_to_us(enum json_time unit, const struct json_token *token, struct json_scratch *scratch,
                         int64_t *us)
{
    static const char *const factors[] = {[JSON_TIME_DAYS] = "86400000000",
                                          [JSON_TIME_SECONDS] = "1000000",
                                          [JSON_TIME_MILLIS] = "1000",
                                          [JSON_TIME_MICROS] = "1",
                                          [JSON_TIME_NANOS] = "0.001"};
    static const int64_t whole[] = {[JSON_TIME_DAYS] = US_PER_DAY,
                                    [JSON_TIME_SECONDS] = US_PER_SECOND,
                                    [JSON_TIME_MILLIS] = 1000,
                                    [JSON_TIME_MICROS] = 1,
                                    [JSON_TIME_NANOS] = 0};
    int64_t count;
    const uint8_t *end;
    if (whole[unit] != 0 && json_fast_int(token->start, &count, &end))
        return !__builtin_mul_overflow(count, whole[unit], us);
    struct varlen number, factor, product;
    const char *text = (const char *)token->start;
    return numeric_parse(&scratch->arena, text, (size_t)(token->end - token->start), -1, &number, NULL) &&
           numeric_parse(&scratch->arena, factors[unit], strlen(factors[unit]), -1, &factor, NULL) &&
           numeric_mul(&scratch->arena, &number, &factor, &product, NULL) &&
           numeric_to_i64(&product, us, NULL);
}

/* A time given as a number. */
static bool convert_time(const struct json_target *target, const struct json_token *token,
                         struct json_scratch *scratch, struct datum *out, struct error *err)
{
    int64_t us, days, rest;
    memset(out, 0, sizeof(*out));
    if (!number_to_us(target->encoding.time, token, scratch, &us))
        return out_of_range(target, token, err);
    switch (target->type.oid) {
    case OID_TIME:
        if (us < 0 || us > US_PER_DAY)
            return out_of_range(target, token, err);
        out->i64 = time_round(us, target->type.typmod);
        return true;
    case OID_INTERVAL: {
        struct interval interval = {.us = us};
        return interval_apply_typmod(&interval, target->type.typmod, &out->interval, err);
    }
    default:
        break;
    }
    if (__builtin_add_overflow(us, UNIX_EPOCH_US, &us) || !timestamp_valid(us))
        return out_of_range(target, token, err);
    if (target->type.oid != OID_DATE)
        return timestamp_round(us, target->type.typmod, &out->i64, err);
    timestamp_split(us, &days, &rest);
    out->i32 = (int32_t)days;
    return true;
}

/* Days are counted beyond the range of timestamps. */
static bool convert_days(const struct json_target *target, const struct json_token *token, struct datum *out,
                         struct error *err)
{
    int64_t days;
    const uint8_t *end;
    memset(out, 0, sizeof(*out));
    if (!json_fast_int(token->start, &days, &end) || !date_valid(days + UNIX_EPOCH_DAYS))
        return out_of_range(target, token, err);
    out->i32 = (int32_t)(days + UNIX_EPOCH_DAYS);
    return true;
}

static bool is_time(uint32_t oid)
{
    return oid == OID_TIMESTAMP || oid == OID_TIMESTAMPTZ || oid == OID_DATE || oid == OID_TIME ||
           oid == OID_INTERVAL;
}

/* ---- decimals as bytes ---- */

/* coefficient / 10^scale, of a coefficient of any length. */
static bool long_decimal(const uint8_t *bytes, size_t len, int32_t scale, struct arena *arena,
                         struct varlen *out, struct error *err)
{
    bool negative = len > 0 && (bytes[0] & 0x80) != 0;
    struct varlen value = numeric_from_i64(arena, 0), base = numeric_from_i64(arena, 256), power;
    for (size_t i = 0; i < len; i++) {
        struct varlen digit = numeric_from_i64(arena, negative ? (uint8_t)~bytes[i] : bytes[i]);
        if (!numeric_mul(arena, &value, &base, &value, err) ||
            !numeric_add(arena, &value, &digit, &value, err))
            return false;
    }
    struct varlen one = numeric_from_i64(arena, 1);
    if (negative) { /* two's complement: -x = ~x + 1 */
        if (!numeric_add(arena, &value, &one, &value, err))
            return false;
        value = numeric_neg(arena, &value);
    }
    char text[24];
    int text_len = snprintf(text, sizeof(text), "1e%d", -scale);
    return numeric_parse(arena, text, (size_t)text_len, -1, &power, err) &&
           numeric_mul(arena, &value, &power, out, err);
}

static bool decimal_of_base64(const struct json_target *target, const char *text, size_t text_len,
                              int32_t scale, struct json_scratch *scratch, struct arena *arena,
                              struct varlen *out, struct error *err)
{
    uint8_t *bytes = arena_alloc(&scratch->arena, text_len / 4 * 3 + 3);
    size_t len;
    if (!base64_decode(text, text_len, bytes, &len, err))
        return false;
    struct varlen value;
    if (len <= 15 && scale >= 0 && scale <= 16383) {
        unsigned __int128 coefficient = len > 0 && (bytes[0] & 0x80) != 0 ? ~(unsigned __int128)0 : 0;
        for (size_t i = 0; i < len; i++)
            coefficient = coefficient << 8 | bytes[i];
        value = numeric_pack_small(&scratch->arena, (__int128)coefficient, scale);
    } else if (!long_decimal(bytes, len, scale, &scratch->arena, &value, err)) {
        return false;
    }
    if (!numeric_apply_typmod(&scratch->arena, &value, target->type.typmod, &value, err))
        return false;
    *out = varlen_copy(arena, varlen_bytes(&value), value.len);
    return true;
}

static const struct json_value *member_of(const struct json_value *object, const char *name,
                                          enum json_kind kind)
{
    for (uint32_t i = 0; i < object->count; i++) {
        const struct varlen *key = &object->keys[i];
        if (key->len == strlen(name) && memcmp(varlen_bytes(key), name, key->len) == 0)
            return object->items[i]->kind == kind ? object->items[i] : NULL;
    }
    return NULL;
}

/* {"scale": 2, "value": "..."}: decimals whose column has no scale. */
static bool variable_decimal(const struct json_target *target, const struct json_token *token,
                             struct json_scratch *scratch, struct arena *arena, struct varlen *out,
                             struct error *err)
{
    struct json_value *object;
    if (!json_parse(&scratch->arena, (const char *)token->start, (size_t)(token->end - token->start), &object,
                    err))
        return false;
    const struct json_value *scale = member_of(object, "scale", JSON_NUMBER);
    const struct json_value *value = member_of(object, "value", JSON_STRING);
    int64_t digits = 0;
    if (scale == NULL || value == NULL ||
        !text_fast_int((const char *)varlen_bytes(&scale->text), scale->text.len, &digits) ||
        digits < -16383 || digits > 16383)
        return error_set(err, ERRCODE_INVALID_TEXT_REPRESENTATION,
                         "a decimal of variable scale has members \"scale\" and \"value\"");
    return decimal_of_base64(target, (const char *)varlen_bytes(&value->text), value->text.len,
                             (int32_t)digits, scratch, arena, out, err);
}

/* ---- arrays ---- */

struct items {
    struct datum *items;
    uint32_t count, cap;
    int32_t ndim; /* 0 until the first value that is no array */
    int32_t dims[ARRAY_DIMS_MAX];
    int32_t sizes[ARRAY_DIMS_MAX];
};

static bool not_an_array(struct error *err)
{
    return error_set(err, ERRCODE_INVALID_TEXT_REPRESENTATION, "expected JSON array");
}

static bool close_dimension(struct items *items, int32_t dimension, struct error *err)
{
    int32_t size = items->sizes[dimension];
    if (items->dims[dimension] < 0) {
        items->dims[dimension] = size;
    } else if (items->dims[dimension] != size) {
        error_set(err, ERRCODE_INVALID_TEXT_REPRESENTATION, "malformed JSON array");
        return error_detail(err, "Multidimensional arrays must have sub-arrays with matching dimensions.");
    }
    items->sizes[dimension] = 0;
    if (dimension > 0)
        items->sizes[dimension - 1]++;
    return true;
}

/* A value that is no array of a further dimension. */
static bool add_item(struct items *items, int32_t depth, const struct json_target *element,
                     const struct json_token *token, struct json_scratch *scratch, struct error *err)
{
    if (items->ndim == 0)
        items->ndim = depth;
    else if (depth < items->ndim)
        return not_an_array(err);
    struct datum item = datum_null();
    if (token->kind != JSON_NULL && !json_convert(element, token, scratch, &scratch->arena, &item, err))
        return false;
    ARENA_PUSH(&scratch->arena, items->items, items->count, items->cap, item);
    items->sizes[depth - 1]++;
    return true;
}

/* The grammar of the token was checked. */
static bool convert_array(const struct json_target *target, const struct json_token *token,
                          struct json_scratch *scratch, struct arena *arena, struct varlen *out,
                          struct error *err)
{
    struct json_target element;
    struct sql_type type = {target->element_oid, target->type.typmod};
    struct items items = {.ndim = 0};
    for (int i = 0; i < ARRAY_DIMS_MAX; i++)
        items.dims[i] = -1;
    json_target_init(&element, type, target->encoding);
    int32_t depth = 1;
    const uint8_t *at = json_skip_space(token->start + 1);
    for (;;) {
        if (*at == ']') {
            if (items.ndim == 0)
                items.ndim = depth;
            if (depth <= items.ndim && !close_dimension(&items, depth - 1, err))
                return false;
            at = json_skip_space(at + 1);
            if (--depth == 0)
                break;
        } else if (*at == ',') {
            at = json_skip_space(at + 1);
            continue;
        } else if (*at == '[' && (items.ndim == 0 || depth < items.ndim)) {
            if (depth == ARRAY_DIMS_MAX)
                return error_set(err, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                                 "number of array dimensions (%d) exceeds the maximum allowed (%d)",
                                 depth + 1, ARRAY_DIMS_MAX);
            depth++;
            at = json_skip_space(at + 1);
        } else {
            struct json_token item;
            at = json_skip_value(at, &item);
            if (!add_item(&items, depth, &element, &item, scratch, err))
                return false;
            at = json_skip_space(at);
        }
    }
    int32_t lower_bounds[ARRAY_DIMS_MAX] = {1, 1, 1, 1, 1, 1};
    *out = array_make_dims(arena, target->element_oid, items.items, items.count > 0 ? items.ndim : 0,
                           items.dims, lower_bounds);
    return true;
}

/* ---- all others ---- */

static bool convert_json(const struct json_target *target, const char *text, size_t len,
                         struct json_scratch *scratch, struct arena *arena, struct varlen *out,
                         struct error *err)
{
    if (target->type.oid == OID_JSON) {
        *out = varlen_copy(arena, text, (uint32_t)len);
        return true;
    }
    struct varlen value;
    if (!jsonb_parse(&scratch->arena, text, len, &value, err))
        return false;
    *out = varlen_copy(arena, varlen_bytes(&value), value.len);
    return true;
}

static bool is_unchanged(const char *text, size_t len)
{
    return (len == sizeof(UNCHANGED) - 1 && memcmp(text, UNCHANGED, len) == 0) ||
           (len == sizeof(UNCHANGED_BASE64) - 1 && memcmp(text, UNCHANGED_BASE64, len) == 0);
}

static bool unchanged_error(struct error *err)
{
    error_set(err, ERRCODE_DATA_EXCEPTION, "the record does not have the value, which did not change");
    return error_hint(err, "Let the database send whole rows, in PostgreSQL by REPLICA IDENTITY FULL.");
}

static bool convert_string(const struct json_target *target, const char *text, size_t len,
                           struct json_scratch *scratch, struct arena *arena, struct datum *out,
                           struct error *err)
{
    const struct json_encoding *encoding = &target->encoding;
    if (encoding->refuse_unchanged && is_unchanged(text, len))
        return unchanged_error(err);
    if (encoding->bytes_base64 && target->type.oid == OID_BYTEA) {
        uint8_t *bytes = arena_alloc(arena, len / 4 * 3 + 3);
        size_t bytes_len;
        if (!base64_decode(text, len, bytes, &bytes_len, err))
            return false;
        out->var = varlen_view(bytes, (uint32_t)bytes_len);
        return true;
    }
    if (encoding->decimal_base64 && target->type.oid == OID_NUMERIC) {
        int32_t scale = encoding->decimal_scale;
        if (scale < 0 && target->type.typmod >= 4)
            scale = (((target->type.typmod - 4) & 0x7ff) ^ 1024) - 1024;
        if (scale < 0)
            return error_set(err, ERRCODE_INVALID_TEXT_REPRESENTATION,
                             "the digits behind the point are not known: neither the record nor the column's "
                             "type says so");
        return decimal_of_base64(target, text, len, scale, scratch, arena, &out->var, err);
    }
    if (encoding->nested_text && (target->type.oid == OID_JSON || target->type.oid == OID_JSONB))
        return type_input(target->type.oid, -1, text, len, &io_env_default, arena, out, err);
    if (target->way == JSON_WAY_TEXT && len <= target->bytes_max) {
        out->var = varlen_copy(arena, text, (uint32_t)len);
        return true;
    }
    return type_input(target->type.oid, target->type.typmod, text, len, &io_env_default, arena, out, err);
}

bool json_convert(const struct json_target *target, const struct json_token *token,
                  struct json_scratch *scratch, struct arena *arena, struct datum *out, struct error *err)
{
    const char *text = (const char *)token->start;
    size_t len = (size_t)(token->end - token->start);
    const struct json_encoding *encoding = &target->encoding;
    bool is_json = target->type.oid == OID_JSON || target->type.oid == OID_JSONB;
    memset(out, 0, sizeof(*out));
    if (is_json && !(encoding->nested_text && token->kind == JSON_STRING))
        return convert_json(target, text, len, scratch, arena, &out->var, err);
    if (target->element_oid != 0 && token->kind != JSON_STRING)
        return token->kind == JSON_ARRAY ? convert_array(target, token, scratch, arena, &out->var, err)
                                         : not_an_array(err);
    if (token->kind == JSON_STRING) {
        text++;
        len -= 2;
        if (token->has_escapes) {
            strbuf_reset(&scratch->string);
            if (!json_unescape(token->start + 1, token->end - 1, &scratch->string, err))
                return false;
            text = strbuf_text(&scratch->string);
            len = scratch->string.len;
        }
        return convert_string(target, text, len, scratch, arena, out, err);
    }
    if (token->kind == JSON_NUMBER && encoding->time != JSON_TIME_TEXT && is_time(target->type.oid))
        return encoding->time == JSON_TIME_DAYS && target->type.oid == OID_DATE
                   ? convert_days(target, token, out, err)
                   : convert_time(target, token, scratch, out, err);
    if (encoding->decimal_base64 && target->type.oid == OID_NUMERIC && token->kind == JSON_OBJECT)
        return variable_decimal(target, token, scratch, arena, &out->var, err);
    if (target->way == JSON_WAY_TEXT && len <= target->bytes_max) {
        out->var = varlen_copy(arena, text, (uint32_t)len);
        return true;
    }
    return type_input(target->type.oid, target->type.typmod, text, len, &io_env_default, arena, out, err);
}
