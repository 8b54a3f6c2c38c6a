/* type_key.c: order, hash and order-preserving key encoding of single values.
 *
 * A key is one marker byte (0 null first, 1 a value, 2 null last) and the value's bytes, all inverted when
 * descending. Integers are big-endian with the sign bit flipped; floats likewise with negative ones inverted;
 * variable bytes escape 00 as 00 FF and end in 00 00; composite values are the keys of their parts between
 * markers. */
#include "storage/data/array.h"
#include "storage/data/datetime.h"
#include "storage/data/hash.h"
#include "storage/data/json.h"
#include "storage/data/key_encode.h"
#include "storage/data/numeric.h"
#include "storage/data/record.h"
#include "storage/data/text_check.h"
#include "storage/data/type.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash_bytes(const void *bytes, size_t len)
{
    return XXH3_64bits(bytes, len);
}

/* ---- order ---- */

#define ORDER(a, b) (((a) > (b)) - ((a) < (b)))

static int bytes_order(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    size_t shorter = a_len < b_len ? a_len : b_len;
    int order = shorter == 0 ? 0 : memcmp(a, b, shorter);
    return order != 0 ? order : ORDER(a_len, b_len);
}

static int float_order(double a, double b)
{
    if (a != a || b != b) /* NaN equals NaN and is greater than all else */
        return (a != a) - (b != b);
    return ORDER(a, b);
}

/* Nulls sort last inside arrays and records. */
static int element_order(uint32_t oid, const struct datum *a, const struct datum *b)
{
    if (a->is_null || b->is_null)
        return (int)a->is_null - (int)b->is_null;
    return type_compare(oid, a, b);
}

static int array_order(uint32_t array_oid, const struct varlen *a, const struct varlen *b)
{
    struct array_view x, y;
    array_open(a, &x);
    array_open(b, &y);
    if (array_oid == OID_OIDVECTOR && x.count != y.count)
        return ORDER(x.count, y.count);
    const uint8_t *x_at = x.elements, *y_at = y.elements;
    uint32_t shorter = x.count < y.count ? x.count : y.count;
    for (uint32_t i = 0; i < shorter; i++) {
        struct datum left, right;
        array_next(&x, &x_at, &left);
        array_next(&y, &y_at, &right);
        int order = element_order(x.element_oid, &left, &right);
        if (order != 0)
            return order;
    }
    if (x.count != y.count)
        return ORDER(x.count, y.count);
    if (x.ndim != y.ndim)
        return ORDER(x.ndim, y.ndim);
    for (int32_t i = 0; i < x.ndim; i++) {
        if (x.lengths[i] != y.lengths[i])
            return ORDER(x.lengths[i], y.lengths[i]);
    }
    for (int32_t i = 0; i < x.ndim; i++) {
        if (x.lower_bounds[i] != y.lower_bounds[i])
            return ORDER(x.lower_bounds[i], y.lower_bounds[i]);
    }
    return 0;
}

static int record_order(const struct varlen *a, const struct varlen *b)
{
    struct record_view x, y;
    record_open(a, &x);
    record_open(b, &y);
    const uint8_t *x_at = x.fields, *y_at = y.fields;
    uint32_t x_oid, y_oid;
    struct datum left, right;
    for (;;) {
        bool x_more = record_next(&x, &x_at, &x_oid, &left), y_more = record_next(&y, &y_at, &y_oid, &right);
        if (!x_more || !y_more)
            return (int)x_more - (int)y_more;
        if (x_oid != y_oid)
            return ORDER(x_oid, y_oid);
        int order = element_order(x_oid, &left, &right);
        if (order != 0)
            return order;
    }
}

bool type_equal_is_identical(uint32_t oid)
{
    switch (oid) {
    case OID_BOOL:
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
    case OID_OID:
    case OID_REGCLASS:
    case OID_REGTYPE:
    case OID_REGPROC:
    case OID_REGNAMESPACE:
    case OID_TEXT:
    case OID_VARCHAR:
    case OID_NAME:
    case OID_CHAR:
    case OID_BYTEA:
    case OID_DATE:
    case OID_TIME:
    case OID_TIMESTAMP:
    case OID_TIMESTAMPTZ:
    case OID_UUID:
        return true;
    default:
        return false;
    }
}

int type_compare(uint32_t oid, const struct datum *a, const struct datum *b)
{
    const struct type_row *row = type_find(oid);
    switch (row->phys) {
    case PHYS_BOOL:
        return ORDER(a->boolean, b->boolean);
    case PHYS_I16:
        return ORDER(a->i16, b->i16);
    case PHYS_I32:
        return ORDER(a->i32, b->i32);
    case PHYS_I64:
        return ORDER(a->i64, b->i64);
    case PHYS_F32:
        return float_order((double)a->f32, (double)b->f32);
    case PHYS_F64:
        return float_order(a->f64, b->f64);
    case PHYS_FIX16:
        if (oid == OID_INTERVAL)
            return interval_compare(&a->interval, &b->interval);
        return memcmp(a->fix16, b->fix16, 16);
    case PHYS_VAR:
        break;
    }
    if (oid == OID_NUMERIC)
        return numeric_compare(&a->var, &b->var);
    if (oid == OID_JSONB)
        return jsonb_compare(&a->var, &b->var);
    if (oid == OID_RECORD)
        return record_order(&a->var, &b->var);
    if (row->element_oid != 0)
        return array_order(oid, &a->var, &b->var);
    const uint8_t *x = varlen_bytes(&a->var), *y = varlen_bytes(&b->var);
    size_t x_len = a->var.len, y_len = b->var.len;
    if (oid == OID_BPCHAR) {
        x_len = text_trimmed_len((const char *)x, x_len);
        y_len = text_trimmed_len((const char *)y, y_len);
    }
    return bytes_order(x, x_len, y, y_len);
}

bool value_equal(uint32_t oid, const struct datum *a, const struct datum *b)
{
    if (oid == OID_JSONB)
        return jsonb_equal(&a->var, &b->var);
    return type_compare(oid, a, b) == 0;
}

/* ---- hash ---- */

static uint64_t array_hash(const struct varlen *value)
{
    struct array_view view;
    array_open(value, &view);
    uint64_t hash = hash_u64(((uint64_t)view.element_oid << 8) | (uint64_t)view.ndim);
    const uint8_t *at = view.elements;
    struct datum item;
    while (array_next(&view, &at, &item))
        hash = hash_combine(hash, type_hash(view.element_oid, &item));
    for (int32_t i = 0; i < view.ndim; i++)
        hash = hash_combine(
            hash, hash_u64((uint64_t)(uint32_t)view.lengths[i] << 32 | (uint32_t)view.lower_bounds[i]));
    return hash;
}

static uint64_t record_hash(const struct varlen *value)
{
    struct record_view view;
    record_open(value, &view);
    uint64_t hash = hash_u64(view.count);
    const uint8_t *at = view.fields;
    uint32_t oid;
    struct datum item;
    while (record_next(&view, &at, &oid, &item))
        hash = hash_combine(hash, type_hash(oid, &item));
    return hash;
}

uint64_t type_hash(uint32_t oid, const struct datum *value)
{
    if (value->is_null)
        return HASH_OF_NULL;
    const struct type_row *row = type_find(oid);
    switch (row->phys) {
    case PHYS_BOOL:
        return hash_u64(value->boolean);
    case PHYS_I16:
        return hash_u64((uint64_t)(int64_t)value->i16);
    case PHYS_I32:
        return hash_u64((uint64_t)(int64_t)value->i32);
    case PHYS_I64:
        return hash_u64((uint64_t)value->i64);
    case PHYS_F32:
        return hash_u64(float_bits((double)value->f32));
    case PHYS_F64:
        return hash_u64(float_bits(value->f64));
    case PHYS_FIX16:
        if (oid == OID_INTERVAL)
            return interval_hash(&value->interval);
        return hash_bytes(value->fix16, 16);
    case PHYS_VAR:
        break;
    }
    if (oid == OID_NUMERIC)
        return numeric_hash(&value->var);
    if (oid == OID_JSONB)
        return jsonb_hash(&value->var);
    if (oid == OID_RECORD)
        return record_hash(&value->var);
    if (row->element_oid != 0)
        return array_hash(&value->var);
    const uint8_t *bytes = varlen_bytes(&value->var);
    size_t len = value->var.len;
    if (oid == OID_BPCHAR)
        len = text_trimmed_len((const char *)bytes, len);
    return hash_bytes(bytes, len);
}

/* ---- keys ---- */

static void encode_u32(uint32_t value, struct strbuf *out)
{
    strbuf_add_u32be(out, value);
}

static void encode_bytes(const uint8_t *bytes, size_t len, struct strbuf *out)
{
    strbuf_reserve(out, escaped_key_bytes(bytes, len));
    uint8_t *to = escaped_key_write((uint8_t *)out->data + out->len, bytes, len);
    out->len = (size_t)(to - (uint8_t *)out->data);
    *to = 0;
}

static void encode_json(const struct json_value *value, bool top, struct arena *arena, struct strbuf *out)
{
    bool scalar = value->kind != JSON_ARRAY && value->kind != JSON_OBJECT;
    if (top && scalar) { /* counts as an array of one element, before real ones */
        strbuf_addc(out, 5);
        encode_u32(1, out);
        strbuf_addc(out, 0);
    }
    switch (value->kind) {
    case JSON_NULL:
        strbuf_addc(out, 1);
        return;
    case JSON_STRING:
        strbuf_addc(out, 2);
        encode_bytes(varlen_bytes(&value->text), value->text.len, out);
        return;
    case JSON_NUMBER: {
        struct varlen number;
        strbuf_addc(out, 3);
        if (numeric_parse(arena, (const char *)varlen_bytes(&value->text), value->text.len, -1, &number,
                          NULL))
            numeric_encode_key(&number, out);
        return;
    }
    case JSON_FALSE:
    case JSON_TRUE:
        strbuf_addc(out, 4);
        strbuf_addc(out, value->kind == JSON_TRUE);
        return;
    case JSON_ARRAY:
        strbuf_addc(out, 5);
        encode_u32(value->count, out);
        if (top)
            strbuf_addc(out, 1);
        break;
    case JSON_OBJECT:
        strbuf_addc(out, 6);
        encode_u32(value->count, out);
        break;
    }
    for (uint32_t i = 0; i < value->count; i++) {
        if (value->kind == JSON_OBJECT)
            encode_bytes(varlen_bytes(&value->keys[i]), value->keys[i].len, out);
        encode_json(value->items[i], false, arena, out);
    }
}

static void encode_jsonb(const struct varlen *value, struct strbuf *out)
{
    struct arena arena;
    struct json_value *tree;
    arena_init(&arena, NULL);
    if (json_parse(&arena, (const char *)varlen_bytes(value), value->len, &tree, NULL))
        encode_json(tree, true, &arena, out);
    arena_release(&arena);
}

static void encode_array(uint32_t array_oid, const struct varlen *value, struct strbuf *out)
{
    struct array_view view;
    array_open(value, &view);
    if (array_oid == OID_OIDVECTOR)
        encode_u32(view.count, out);
    const uint8_t *at = view.elements;
    struct datum item;
    while (array_next(&view, &at, &item))
        type_encode_key(view.element_oid, &item, false, false, out); /* markers 1 and 2 */
    strbuf_addc(out, 0);
    strbuf_addc(out, (char)view.ndim);
    for (int32_t i = 0; i < view.ndim; i++)
        encode_u32((uint32_t)view.lengths[i] ^ 0x80000000u, out);
    for (int32_t i = 0; i < view.ndim; i++)
        encode_u32((uint32_t)view.lower_bounds[i] ^ 0x80000000u, out);
}

static void encode_record(const struct varlen *value, struct strbuf *out)
{
    struct record_view view;
    record_open(value, &view);
    const uint8_t *at = view.fields;
    uint32_t oid;
    struct datum item;
    while (record_next(&view, &at, &oid, &item)) {
        strbuf_addc(out, 1);
        encode_u32(oid, out);
        type_encode_key(oid, &item, false, false, out);
    }
    strbuf_addc(out, 0);
}

void type_encode_key_body(uint32_t oid, const struct datum *value, struct strbuf *out)
{
    const struct type_row *row = type_find(oid);
    switch (row->phys) {
    case PHYS_BOOL:
        strbuf_addc(out, value->boolean);
        return;
    case PHYS_I16:
        strbuf_add_u16be(out, (uint16_t)((uint16_t)value->i16 ^ 0x8000u));
        return;
    case PHYS_I32:
        strbuf_add_u32be(out, (uint32_t)value->i32 ^ 0x80000000u);
        return;
    case PHYS_I64:
        strbuf_add_u64be(out, (uint64_t)value->i64 ^ KEY_SIGN_64);
        return;
    case PHYS_F32:
        strbuf_add_u64be(out, float_key((double)value->f32));
        return;
    case PHYS_F64:
        strbuf_add_u64be(out, float_key(value->f64));
        return;
    case PHYS_FIX16:
        if (oid == OID_INTERVAL) {
            __int128 span = interval_span(&value->interval);
            strbuf_add_u64be(out, (uint64_t)(span >> 64) ^ KEY_SIGN_64);
            strbuf_add_u64be(out, (uint64_t)span);
        } else {
            strbuf_add(out, value->fix16, 16);
        }
        return;
    case PHYS_VAR:
        break;
    }
    if (oid == OID_NUMERIC) {
        numeric_encode_key(&value->var, out);
    } else if (oid == OID_JSONB) {
        encode_jsonb(&value->var, out);
    } else if (oid == OID_RECORD) {
        encode_record(&value->var, out);
    } else if (row->element_oid != 0) {
        encode_array(oid, &value->var, out);
    } else {
        const uint8_t *bytes = varlen_bytes(&value->var);
        encode_bytes(
            bytes, oid == OID_BPCHAR ? text_trimmed_len((const char *)bytes, value->var.len) : value->var.len,
            out);
    }
}

void type_encode_key(uint32_t oid, const struct datum *value, bool descending, bool nulls_first,
                     struct strbuf *out)
{
    if (value->is_null) {
        strbuf_addc(out, nulls_first ? KEY_NULL_FIRST : KEY_NULL_LAST);
        return;
    }
    strbuf_addc(out, KEY_VALUE);
    size_t start = out->len;
    type_encode_key_body(oid, value, out);
    if (descending) {
        for (size_t i = start; i < out->len; i++)
            out->data[i] = (char)~out->data[i];
    }
}
