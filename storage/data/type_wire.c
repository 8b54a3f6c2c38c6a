/* type_wire.c: the binary wire format (typsend and typreceive of PostgreSQL): big-endian, without the length
 * word. */
#include "storage/data/array.h"
#include "storage/data/datetime.h"
#include "storage/data/json.h"
#include "storage/data/numeric_io.h"
#include "storage/data/record.h"
#include "storage/data/text_check.h"
#include "storage/data/type.h"

#include <stddef.h>

#define JSONB_WIRE_VERSION 1
#define WIRE_NULL          UINT32_MAX
#define DATE_MIN           (-2451545) /* 4714-11-24 BC */
#define DATE_END           (2147483494 - 2451545)
#define TIMESTAMP_MIN      (-211813488000000000LL)
#define TIMESTAMP_END      9223371331200000000LL

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static uint64_t read_be(struct reader *reader, uint32_t bytes)
{
    uint64_t value = 0;
    if ((size_t)(reader->end - reader->at) < bytes) {
        reader->failed = true;
        return 0;
    }
    for (uint32_t i = 0; i < bytes; i++)
        value = value << 8 | reader->at[i];
    reader->at += bytes;
    return value;
}

static bool bad_format(uint32_t oid, struct error *err)
{
    return error_set(err, ERRCODE_INVALID_BINARY_REPRESENTATION, "incorrect binary data format for type %s",
                     type_find(oid)->sql_name);
}

static void send_element(uint32_t oid, const struct datum *value, struct strbuf *out)
{
    if (value->is_null) {
        strbuf_add_u32be(out, WIRE_NULL);
        return;
    }
    size_t at = out->len;
    strbuf_add_u32be(out, 0);
    type_send(oid, value, out);
    uint32_t len = (uint32_t)(out->len - at - 4);
    for (int i = 0; i < 4; i++)
        out->data[at + (size_t)i] = (char)(len >> (24 - 8 * i));
}

static void send_array(const struct varlen *value, struct strbuf *out)
{
    struct array_view view;
    array_open(value, &view);
    struct datum item;
    const uint8_t *at = view.elements;
    bool nulls = false;
    while (array_next(&view, &at, &item))
        nulls |= item.is_null;
    strbuf_add_u32be(out, (uint32_t)view.ndim);
    strbuf_add_u32be(out, nulls);
    strbuf_add_u32be(out, view.element_oid);
    for (int32_t i = 0; i < view.ndim; i++) {
        strbuf_add_u32be(out, (uint32_t)view.lengths[i]);
        strbuf_add_u32be(out, (uint32_t)view.lower_bounds[i]);
    }
    at = view.elements;
    while (array_next(&view, &at, &item))
        send_element(view.element_oid, &item, out);
}

static void send_record(const struct varlen *value, struct strbuf *out)
{
    struct record_view view;
    record_open(value, &view);
    strbuf_add_u32be(out, view.count);
    const uint8_t *at = view.fields;
    uint32_t oid;
    struct datum item;
    while (record_next(&view, &at, &oid, &item)) {
        strbuf_add_u32be(out, oid);
        send_element(oid, &item, out);
    }
}

static void send_var(uint32_t oid, const struct varlen *value, struct strbuf *out)
{
    switch (oid) {
    case OID_NUMERIC:
        numeric_send(value, out);
        return;
    case OID_RECORD:
        send_record(value, out);
        return;
    case OID_CHAR:
        strbuf_addc(out, value->len > 0 ? (char)value->inlined[0] : '\0');
        return;
    case OID_VOID:
        return;
    case OID_JSONB:
        strbuf_addc(out, JSONB_WIRE_VERSION);
        break;
    default:
        if (type_is_array(oid)) {
            send_array(value, out);
            return;
        }
        break;
    }
    strbuf_add(out, varlen_bytes(value), value->len);
}

void type_send(uint32_t oid, const struct datum *value, struct strbuf *out)
{
    const struct type_row *row = type_find(oid);
    CHECK(row != NULL);
    switch (row->phys) {
    case PHYS_BOOL:
        strbuf_addc(out, value->boolean);
        return;
    case PHYS_I16:
        strbuf_add_u16be(out, (uint16_t)value->i16);
        return;
    case PHYS_I32:
        strbuf_add_u32be(out, (uint32_t)value->i32);
        return;
    case PHYS_I64:
        if (row->typlen == 4) /* oid and reg* */
            strbuf_add_u32be(out, (uint32_t)value->i64);
        else
            strbuf_add_u64be(out, (uint64_t)value->i64);
        return;
    case PHYS_F32: {
        uint32_t bits;
        memcpy(&bits, &value->f32, 4);
        strbuf_add_u32be(out, bits);
        return;
    }
    case PHYS_F64: {
        uint64_t bits;
        memcpy(&bits, &value->f64, 8);
        strbuf_add_u64be(out, bits);
        return;
    }
    case PHYS_FIX16:
        if (oid == OID_INTERVAL) {
            strbuf_add_u64be(out, (uint64_t)value->interval.us);
            strbuf_add_u32be(out, (uint32_t)value->interval.days);
            strbuf_add_u32be(out, (uint32_t)value->interval.months);
        } else {
            strbuf_add(out, value->fix16, 16);
        }
        return;
    case PHYS_VAR:
        send_var(oid, &value->var, out);
        return;
    }
}

/* ---- receiving ---- */

static bool recv_element(uint32_t oid, int32_t typmod, struct reader *reader, struct arena *arena,
                         struct datum *out, struct error *err)
{
    uint32_t len = (uint32_t)read_be(reader, 4);
    if (!reader->failed && len == WIRE_NULL) {
        *out = datum_null();
        return true;
    }
    if (reader->failed || (size_t)(reader->end - reader->at) < len)
        return bad_format(oid, err);
    const uint8_t *bytes = reader->at;
    reader->at += len;
    return type_recv(oid, typmod, bytes, len, arena, out, err);
}

static bool recv_array(uint32_t oid, int32_t typmod, const uint8_t *bytes, size_t len, struct arena *arena,
                       struct varlen *out, struct error *err)
{
    struct reader reader = {bytes, bytes + len, false};
    uint32_t wanted = type_find(oid)->element_oid;
    int32_t ndim = (int32_t)read_be(&reader, 4);
    uint32_t flags = (uint32_t)read_be(&reader, 4);
    uint32_t element_oid = (uint32_t)read_be(&reader, 4);
    if (reader.failed)
        return bad_format(oid, err);
    if (ndim < 0)
        return error_set(err, ERRCODE_INVALID_BINARY_REPRESENTATION, "invalid number of dimensions: %d",
                         ndim);
    if (ndim > ARRAY_DIMS_MAX)
        return error_set(err, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                         "number of array dimensions (%d) exceeds the maximum allowed (%d)", ndim,
                         ARRAY_DIMS_MAX);
    if (flags > 1)
        return error_set(err, ERRCODE_INVALID_BINARY_REPRESENTATION, "invalid array flags");
    if (element_oid != wanted) {
        const struct type_row *got = type_find(element_oid);
        return error_set(err, ERRCODE_DATATYPE_MISMATCH,
                         "binary data has array element type %u (%s) instead of expected %u (%s)",
                         element_oid, got != NULL ? got->sql_name : "???", wanted,
                         type_find(wanted)->sql_name);
    }
    int32_t lengths[ARRAY_DIMS_MAX], lower_bounds[ARRAY_DIMS_MAX];
    uint64_t count = ndim > 0;
    for (int32_t i = 0; i < ndim; i++) {
        lengths[i] = (int32_t)read_be(&reader, 4);
        lower_bounds[i] = (int32_t)read_be(&reader, 4);
        if (lengths[i] < 0)
            return bad_format(oid, err);
        count *= (uint32_t)lengths[i];
        if (count > len / 4) /* each element takes at least its length word */
            return bad_format(oid, err);
    }
    if (reader.failed)
        return bad_format(oid, err);
    struct datum *items = ARENA_ARRAY(arena, struct datum, count);
    for (uint64_t i = 0; i < count; i++) {
        if (!recv_element(element_oid, typmod, &reader, arena, &items[i], err))
            return false;
    }
    if (reader.at != reader.end)
        return bad_format(oid, err);
    *out = array_make_dims(arena, element_oid, items, ndim, lengths, lower_bounds);
    return true;
}

static bool recv_var(const struct type_row *row, int32_t typmod, const uint8_t *bytes, size_t len,
                     struct arena *arena, struct datum *out, struct error *err)
{
    uint32_t oid = row->oid;
    switch (oid) {
    case OID_BYTEA:
        out->var = varlen_copy(arena, bytes, (uint32_t)len);
        return true;
    case OID_NUMERIC:
        return numeric_recv(arena, bytes, len, typmod, &out->var, err);
    case OID_CHAR:
        if (len != 1)
            return bad_format(oid, err);
        out->var = varlen_view(bytes, bytes[0] != 0);
        return true;
    case OID_VOID:
        out->var = varlen_view("", 0);
        return true;
    case OID_RECORD:
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "input of anonymous composite types is not implemented");
    case OID_JSONB:
        if (len < 1 || bytes[0] != JSONB_WIRE_VERSION)
            return error_set(err, ERRCODE_INVALID_BINARY_REPRESENTATION,
                             "unsupported jsonb version number %d", len < 1 ? 0 : bytes[0]);
        bytes++;
        len--;
        break;
    default:
        if (row->element_oid != 0)
            return recv_array(oid, typmod, bytes, len, arena, &out->var, err);
        if (row->category == 'P' && row->typlen != -2)
            return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "cannot accept a value of type %s",
                             row->name);
        break;
    }
    /* the rest is text; length limits are those of text input */
    return type_input(oid, typmod, (const char *)bytes, len, &io_env_default, arena, out, err);
}

static bool recv_i64(uint32_t oid, int32_t typmod, uint64_t raw, struct datum *out, struct error *err)
{
    int64_t value = (int64_t)raw;
    out->i64 = value;
    if (oid == OID_TIME && (value < 0 || value > US_PER_DAY))
        return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "time out of range");
    if ((oid == OID_TIMESTAMP || oid == OID_TIMESTAMPTZ) && value != TIMESTAMP_MINUS_INFINITY &&
        value != TIMESTAMP_PLUS_INFINITY && (value < TIMESTAMP_MIN || value >= TIMESTAMP_END))
        return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
    struct datum plain = *out;
    return type_apply_typmod(oid, typmod, true, &plain, NULL, out, err);
}

bool type_recv(uint32_t oid, int32_t typmod, const uint8_t *bytes, size_t len, struct arena *arena,
               struct datum *out, struct error *err)
{
    const struct type_row *row = type_find(oid);
    CHECK(row != NULL);
    memset(out, 0, sizeof(*out));
    if (row->phys == PHYS_VAR)
        return recv_var(row, typmod, bytes, len, arena, out, err);
    if (len != (size_t)row->typlen)
        return bad_format(oid, err);
    struct reader reader = {bytes, bytes + len, false};
    switch (row->phys) {
    case PHYS_BOOL:
        out->boolean = bytes[0] != 0;
        return true;
    case PHYS_I16:
        out->i16 = (int16_t)read_be(&reader, 2);
        return true;
    case PHYS_I32:
        out->i32 = (int32_t)read_be(&reader, 4);
        if (oid == OID_DATE && out->i32 != DATE_MINUS_INFINITY && out->i32 != DATE_PLUS_INFINITY &&
            (out->i32 < DATE_MIN || out->i32 >= DATE_END))
            return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "date out of range");
        return true;
    case PHYS_I64:
        return recv_i64(oid, typmod, read_be(&reader, (uint32_t)len), out, err);
    case PHYS_F32: {
        uint32_t bits = (uint32_t)read_be(&reader, 4);
        memcpy(&out->f32, &bits, 4);
        return true;
    }
    case PHYS_F64: {
        uint64_t bits = read_be(&reader, 8);
        memcpy(&out->f64, &bits, 8);
        return true;
    }
    case PHYS_FIX16:
        if (oid == OID_INTERVAL) {
            struct interval raw;
            raw.us = (int64_t)read_be(&reader, 8);
            raw.days = (int32_t)read_be(&reader, 4);
            raw.months = (int32_t)read_be(&reader, 4);
            struct datum plain = {.interval = raw};
            return type_apply_typmod(oid, typmod, true, &plain, arena, out, err);
        }
        memcpy(out->fix16, bytes, 16);
        return true;
    default:
        return true;
    }
}
