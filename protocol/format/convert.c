/* convert.c: see convert.h. */
#include "protocol/format/convert.h"

#include "storage/data/array.h"
#include "storage/data/datetime_internal.h"
#include "storage/data/json_encode.h"
#include "storage/data/numeric.h"
#include "storage/data/text_check.h"

#include <math.h>
#include <string.h>

/* What a numeric's coefficient may take: 131072 digits before the point and 16383 behind it. */
#define DECIMAL_BYTES_MAX ((131072u + 16383u) * 10 / 24)

static bool is_text(uint32_t oid)
{
    return oid == OID_TEXT || oid == OID_VARCHAR || oid == OID_BPCHAR;
}

static bool is_json(uint32_t oid)
{
    return oid == OID_JSON || oid == OID_JSONB;
}

/* ---- which pairs fit ---- */

/* The places that every value of a natural type has, but itself, text and JSON; ends with 0. */
struct fit_row {
    uint32_t from;
    uint32_t exact[6], some[6];
};

static const struct fit_row fits[] = {
    {OID_INT2, {OID_INT4, OID_INT8, OID_NUMERIC, OID_FLOAT4, OID_FLOAT8}, {0}},
    {OID_OID, {OID_INT8, OID_NUMERIC}, {OID_INT4}},
    {OID_INT4, {OID_INT8, OID_NUMERIC, OID_FLOAT8}, {OID_INT2, OID_OID, OID_FLOAT4}},
    {OID_INT8, {OID_NUMERIC}, {OID_INT2, OID_INT4, OID_OID, OID_FLOAT4, OID_FLOAT8}},
    {OID_FLOAT4, {OID_FLOAT8}, {OID_NUMERIC}},
    {OID_FLOAT8, {0}, {OID_FLOAT4, OID_NUMERIC}},
    {OID_NUMERIC, {0}, {OID_FLOAT4, OID_FLOAT8, OID_INT2, OID_INT4, OID_INT8}},
    {OID_DATE, {0}, {OID_TIMESTAMP, OID_TIMESTAMPTZ}},
    {OID_TIMESTAMP, {OID_TIMESTAMPTZ}, {0}},
    {OID_TIMESTAMPTZ, {OID_TIMESTAMP}, {0}},
};

static bool has_oid(const uint32_t *oids, uint32_t oid)
{
    for (uint32_t i = 0; i < 6 && oids[i] != 0; i++) {
        if (oids[i] == oid)
            return true;
    }
    return false;
}

static int32_t numeric_typmod_scale(int32_t typmod)
{
    int32_t scale = (typmod - 4) & 0x7ff;
    return (scale ^ 1024) - 1024;
}

static int32_t numeric_typmod_precision(int32_t typmod)
{
    return (typmod - 4) >> 16 & 0xffff;
}

/* Does a type of the same name hold all values of the other? */
static enum convert_fit fit_typmods(struct sql_type from, struct sql_type to)
{
    if (to.typmod == -1 || to.typmod == from.typmod)
        return CONVERT_EXACT;
    if (to.oid == OID_NUMERIC && from.typmod != -1) {
        int32_t scale = numeric_typmod_scale(to.typmod), old_scale = numeric_typmod_scale(from.typmod);
        int32_t whole = numeric_typmod_precision(to.typmod) - scale;
        if (scale >= old_scale && whole >= numeric_typmod_precision(from.typmod) - old_scale)
            return CONVERT_EXACT;
    }
    return CONVERT_SOME;
}

enum convert_fit convert_fit(struct sql_type from, struct sql_type to)
{
    if (is_text(from.oid)) {
        if (is_text(to.oid))
            return to.typmod == -1 && to.oid != OID_BPCHAR ? CONVERT_EXACT : CONVERT_SOME;
        return CONVERT_SOME;
    }
    if (from.oid == to.oid)
        return fit_typmods(from, to);
    if (is_text(to.oid))
        return from.oid == OID_BYTEA ? CONVERT_NEVER : to.typmod == -1 ? CONVERT_EXACT : CONVERT_SOME;
    if (is_json(to.oid))
        return CONVERT_EXACT;
    uint32_t element_from = type_find(from.oid)->element_oid, element_to = type_find(to.oid)->element_oid;
    if (element_from != 0 && element_to != 0)
        return convert_fit((struct sql_type){element_from, from.typmod},
                           (struct sql_type){element_to, to.typmod});
    for (size_t i = 0; i < ARRAY_COUNT(fits); i++) {
        if (fits[i].from != from.oid)
            continue;
        if (has_oid(fits[i].exact, to.oid))
            return to.typmod == -1 ? CONVERT_EXACT : CONVERT_SOME;
        if (has_oid(fits[i].some, to.oid))
            return CONVERT_SOME;
    }
    return CONVERT_NEVER;
}

/* ---- values ---- */

static bool out_of_range(uint32_t oid, struct error *err)
{
    return error_set(err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "%s out of range", type_find(oid)->sql_name);
}

static bool from_integer(int64_t value, struct sql_type to, struct arena *arena, struct datum *out,
                         struct error *err)
{
    *out = (struct datum){0};
    switch (to.oid) {
    case OID_INT2:
        out->i16 = (int16_t)value;
        return out->i16 == value || out_of_range(to.oid, err);
    case OID_INT4:
        out->i32 = (int32_t)value;
        return out->i32 == value || out_of_range(to.oid, err);
    case OID_INT8:
        out->i64 = value;
        return true;
    case OID_OID:
        out->i64 = value;
        return (value >= 0 && value <= UINT32_MAX) || out_of_range(to.oid, err);
    case OID_FLOAT4:
        out->f32 = (float)value;
        return true;
    case OID_FLOAT8:
        out->f64 = (double)value;
        return true;
    default: /* numeric */
        out->var = numeric_from_i64(arena, value);
        return to.typmod == -1 || type_apply_typmod(to.oid, to.typmod, false, out, arena, out, err);
    }
}

static bool from_double(double value, struct sql_type to, struct arena *arena, struct datum *out,
                        struct error *err)
{
    *out = (struct datum){0};
    if (to.oid == OID_FLOAT8) {
        out->f64 = value;
        return true;
    }
    if (to.oid == OID_FLOAT4) {
        out->f32 = (float)value;
        return (!isinf(out->f32) || isinf(value)) && (out->f32 != 0 || value == 0)
                   ? true
                   : out_of_range(to.oid, err);
    }
    return numeric_from_f64(arena, value, &out->var, err) &&
           (to.typmod == -1 || type_apply_typmod(to.oid, to.typmod, false, out, arena, out, err));
}

static bool from_numeric(const struct varlen *value, struct sql_type to, struct arena *arena,
                         struct datum *out, struct error *err)
{
    if (to.oid == OID_FLOAT8 || to.oid == OID_FLOAT4)
        return from_double(numeric_to_f64(value), to, arena, out, err);
    int64_t whole;
    if (numeric_min_scale(value) != 0 || numeric_is_special(value))
        return error_set(err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
                         "a number with digits behind the point is no %s", type_find(to.oid)->sql_name);
    return numeric_to_i64(value, &whole, err) && from_integer(whole, to, arena, out, err);
}

static bool from_text(const struct varlen *value, struct sql_type to, struct arena *arena, struct datum *out,
                      struct error *err)
{
    const char *text = (const char *)varlen_bytes(value);
    return text_check_utf8(text, value->len, err) &&
           type_input(to.oid, to.typmod, text, value->len, &io_env_default, arena, out, err);
}

static bool from_array(struct sql_type from, const struct datum *value, struct sql_type to,
                       struct arena *arena, struct datum *out, struct error *err)
{
    struct array_view view;
    struct sql_type element_from = {type_find(from.oid)->element_oid, from.typmod};
    struct sql_type element_to = {type_find(to.oid)->element_oid, to.typmod};
    array_open(&value->var, &view);
    struct datum *elements = ARENA_ARRAY(arena, struct datum, view.count);
    const uint8_t *cursor = view.elements;
    for (uint32_t i = 0; i < view.count; i++) {
        struct datum element;
        array_next(&view, &cursor, &element);
        if (element.is_null)
            elements[i] = element;
        else if (!convert_value(element_from, &element, element_to, arena, &elements[i], err))
            return false;
    }
    *out = (struct datum){
        .var = array_make_dims(arena, element_to.oid, elements, view.ndim, view.lengths, view.lower_bounds)};
    return true;
}

/* Through the text form: into text and JSON, whatever the type. */
static bool through_text(uint32_t from, const struct datum *value, struct sql_type to, struct arena *arena,
                         struct datum *out, struct error *err)
{
    struct strbuf text = STRBUF_INIT;
    if (is_json(to.oid))
        json_encode(from, value, &io_env_default, false, &text);
    else
        type_output(from, value, &io_env_default, &text);
    bool ok = type_input(to.oid, to.typmod, strbuf_text(&text), text.len, &io_env_default, arena, out, err);
    strbuf_release(&text);
    return ok;
}

bool convert_value(struct sql_type from, const struct datum *value, struct sql_type to, struct arena *arena,
                   struct datum *out, struct error *err)
{
    if (is_text(from.oid))
        return from_text(&value->var, to, arena, out, err);
    if (from.oid == to.oid) {
        *out = datum_copy(arena, type_phys(from.oid), value);
        return to.typmod == -1 || to.typmod == from.typmod ||
               type_apply_typmod(to.oid, to.typmod, false, out, arena, out, err);
    }
    if (is_text(to.oid) || is_json(to.oid))
        return through_text(from.oid, value, to, arena, out, err);
    if (type_is_array(from.oid))
        return from_array(from, value, to, arena, out, err);
    switch (from.oid) {
    case OID_INT2:
        return from_integer(value->i16, to, arena, out, err);
    case OID_INT4:
        return from_integer(value->i32, to, arena, out, err);
    case OID_OID:
    case OID_INT8:
        return from_integer(value->i64, to, arena, out, err);
    case OID_FLOAT4:
        if (to.oid == OID_NUMERIC) {
            *out = (struct datum){0};
            return numeric_from_f32(arena, value->f32, &out->var, err) &&
                   (to.typmod == -1 || type_apply_typmod(to.oid, to.typmod, false, out, arena, out, err));
        }
        return from_double(value->f32, to, arena, out, err);
    case OID_FLOAT8:
        return from_double(value->f64, to, arena, out, err);
    case OID_NUMERIC:
        return from_numeric(&value->var, to, arena, out, err);
    case OID_DATE: {
        int64_t us;
        if (__builtin_mul_overflow((int64_t)value->i32, US_PER_DAY, &us) || !timestamp_valid(us))
            return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "date out of range for timestamp");
        *out = datum_i64(us);
        return true;
    }
    default: /* timestamps, with and without zone: both are UTC here */
        *out = *value;
        return to.typmod == -1 || type_apply_typmod(to.oid, to.typmod, false, out, arena, out, err);
    }
}

/* ---- decimals ---- */

bool convert_decimal(const uint8_t *bytes, size_t len, int32_t scale, struct arena *arena, struct varlen *out,
                     struct error *err)
{
    bool negative = len > 0 && bytes[0] >= 0x80;
    if (len <= 15) {
        __int128 value = negative ? -1 : 0;
        for (size_t i = 0; i < len; i++)
            value = (__int128)((unsigned __int128)value << 8 | bytes[i]);
        *out = numeric_pack_small(arena, value, scale);
        return true;
    }
    if (len > DECIMAL_BYTES_MAX)
        return error_set(err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
    /* a numeric's own form: head, then the magnitude, little-endian, without leading zeros */
    uint8_t *made = arena_alloc(arena, len + 2);
    uint16_t head = (uint16_t)(scale | (negative ? 0x8000 : 0));
    unsigned carry = negative;
    memcpy(made, &head, 2);
    for (size_t i = 0; i < len; i++) {
        unsigned byte = negative ? (uint8_t)~bytes[len - 1 - i] + carry : bytes[len - 1 - i];
        made[2 + i] = (uint8_t)byte;
        carry = byte >> 8;
    }
    while (len > 0 && made[1 + len] == 0)
        len--;
    if (len == 0) {
        head &= 0x7fff;
        memcpy(made, &head, 2);
    }
    *out = varlen_view(made, (uint32_t)(2 + len));
    return true;
}

bool convert_to_decimal(const struct varlen *value, int32_t scale, uint32_t width, struct strbuf *out,
                        struct error *err)
{
    if (numeric_is_special(value))
        return error_set(err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "a decimal cannot be NaN or infinite");
    struct arena arena;
    struct varlen scaled = *value;
    bool ok = true;
    arena_init(&arena, NULL);
    if (numeric_scale(value) != scale) {
        if (numeric_min_scale(value) > scale)
            ok = error_set(err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
                           "a decimal with %d digits behind the point cannot hold a number with %d", scale,
                           numeric_min_scale(value));
        else
            scaled = numeric_round(&arena, value, scale);
    }
    if (ok) {
        const uint8_t *bytes = varlen_bytes(&scaled);
        size_t len = scaled.len - 2;
        uint16_t head;
        memcpy(&head, bytes, 2);
        bytes += 2;
        bool negative = (head & 0x8000) != 0;
        /* a byte more when the highest bit would say the wrong sign; -128 needs none */
        bool power = negative && len > 0 && bytes[len - 1] == 0x80;
        for (size_t i = 0; power && i + 1 < len; i++)
            power = bytes[i] == 0;
        size_t need = len == 0 ? 1 : len + (bytes[len - 1] >= 0x80 && !power);
        size_t size = width != 0 ? width : need;
        if (size < need)
            ok = error_set(err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "a number does not fit into %u bytes",
                           width);
        unsigned carry = negative;
        if (ok) {
            strbuf_reserve(out, size);
            uint8_t *to = (uint8_t *)out->data + out->len;
            for (size_t i = 0; i < size; i++) {
                uint8_t magnitude = i < len ? bytes[i] : 0;
                unsigned byte = negative ? (uint8_t)~magnitude + carry : magnitude;
                to[size - 1 - i] = (uint8_t)byte;
                carry = byte >> 8;
            }
            out->len += size;
            out->data[out->len] = '\0';
        }
    }
    arena_release(&arena);
    return ok;
}

/* ---- times ---- */

bool convert_unix_us(int64_t us, int64_t *out, struct error *err)
{
    if (__builtin_add_overflow(us, UNIX_EPOCH_US, out) || !timestamp_valid(*out))
        return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
    return true;
}

bool convert_unix_days(int64_t days, int32_t *out, struct error *err)
{
    int64_t date;
    if (__builtin_add_overflow(days, (int64_t)UNIX_EPOCH_DAYS, &date) || !date_valid(date))
        return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "date out of range");
    *out = (int32_t)date;
    return true;
}

bool convert_time_us(int64_t us, struct error *err)
{
    return (us >= 0 && us <= US_PER_DAY) ||
           error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "time out of range");
}

bool convert_to_unix_us(int64_t timestamp, int64_t *us, struct error *err)
{
    if (timestamp_infinite(timestamp) || __builtin_sub_overflow(timestamp, UNIX_EPOCH_US, us))
        return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
    return true;
}

bool convert_to_unix_days(int32_t date, int32_t *days, struct error *err)
{
    if (date_infinite(date) || __builtin_sub_overflow(date, UNIX_EPOCH_DAYS, days))
        return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "date out of range");
    return true;
}
