/* json_encode.c: see json_encode.h. */
#include "storage/data/json_encode.h"

#include "storage/data/array.h"
#include "storage/data/json.h"
#include "storage/data/record.h"

/* Makes out->data[start..] ISO: "2024-01-01 10:00:00+02 BC" -> "2024-01-01T10:00:00+02:00 BC": the zone always has minutes. */
static void make_iso(struct strbuf *out, size_t start)
{
    char *space = memchr(out->data + start, ' ', out->len - start);
    if (space == NULL || space[1] < '0' || space[1] > '9')
        return; /* a date, or infinity */
    *space = 'T';
    size_t zone = (size_t)(space - out->data) + 1;
    while (zone < out->len && out->data[zone] != '+' && out->data[zone] != '-' && out->data[zone] != ' ')
        zone++;
    size_t tail = zone;
    while (tail < out->len && out->data[tail] != ' ')
        tail++;
    if (tail - zone != 3)
        return;
    strbuf_add(out, ":00", 3);
    memmove(out->data + tail + 3, out->data + tail, out->len - 3 - tail);
    memcpy(out->data + tail, ":00", 3);
}

/* Text in quotes; times in ISO form. */
static void write_quoted(uint32_t oid, const struct datum *value, const struct io_env *env,
                         struct strbuf *out)
{
    if (oid == OID_TEXT || oid == OID_VARCHAR) {
        json_write_string((const char *)varlen_bytes(&value->var), value->var.len, out);
        return;
    }
    strbuf_addc(out, '"');
    size_t start = out->len;
    type_output(oid, value, env, out);
    if (oid == OID_TIMESTAMP || oid == OID_TIMESTAMPTZ) {
        make_iso(out, start);
    } else if (!json_is_plain(out->data + start, out->len - start)) {
        struct strbuf text = STRBUF_INIT;
        strbuf_add(&text, out->data + start, out->len - start);
        out->len = start - 1;
        json_write_string(strbuf_text(&text), text.len, out);
        strbuf_release(&text);
        return;
    }
    strbuf_addc(out, '"');
}

/* Floats and numerics; those that JSON has no number for are quoted. */
static void write_number(uint32_t oid, const struct datum *value, const struct io_env *env,
                         struct strbuf *out)
{
    size_t start = out->len;
    type_output(oid, value, env, out);
    char first = out->data[start] == '-' ? out->data[start + 1] : out->data[start];
    if (first >= '0' && first <= '9')
        return;
    out->len = start;
    write_quoted(oid, value, env, out);
}

static void write_array(const struct array_view *view, const uint8_t **cursor, int32_t dimension, bool pretty,
                        const struct io_env *env, struct strbuf *out)
{
    strbuf_addc(out, '[');
    for (int32_t i = 0; view->ndim > 0 && i < view->lengths[dimension]; i++) {
        if (i > 0)
            strbuf_adds(out, pretty ? ",\n " : ",");
        struct datum element;
        if (dimension + 1 < view->ndim)
            write_array(view, cursor, dimension + 1, false, env, out);
        else if (array_next(view, cursor, &element))
            json_encode(view->element_oid, &element, env, false, out);
    }
    strbuf_addc(out, ']');
}

static void write_record(const struct varlen *value, const struct io_env *env, bool pretty,
                         struct strbuf *out)
{
    struct record_view view;
    struct datum field;
    uint32_t oid;
    record_open(value, &view);
    const uint8_t *cursor = view.fields;
    strbuf_addc(out, '{');
    for (uint32_t i = 1; record_next(&view, &cursor, &oid, &field); i++) {
        strbuf_addf(out, "%s\"f%u\":", i == 1 ? "" : pretty ? ",\n " : ",", i);
        json_encode(oid, &field, env, false, out);
    }
    strbuf_addc(out, '}');
}

void json_encode(uint32_t type_oid, const struct datum *value, const struct io_env *env, bool pretty,
                 struct strbuf *out)
{
    if (value->is_null) {
        strbuf_add(out, "null", 4);
        return;
    }
    switch (type_oid) {
    case OID_BOOL:
        strbuf_adds(out, value->boolean ? "true" : "false");
        return;
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
        type_output(type_oid, value, env, out);
        return;
    case OID_FLOAT4:
    case OID_FLOAT8:
    case OID_NUMERIC:
        write_number(type_oid, value, env, out);
        return;
    case OID_JSON:
    case OID_JSONB:
        strbuf_add(out, varlen_bytes(&value->var), value->var.len);
        return;
    case OID_RECORD:
        write_record(&value->var, env, pretty, out);
        return;
    default:
        break;
    }
    if (!type_is_array(type_oid)) {
        write_quoted(type_oid, value, env, out);
        return;
    }
    struct array_view view;
    array_open(&value->var, &view);
    const uint8_t *cursor = view.elements;
    write_array(&view, &cursor, 0, pretty, env, out);
}

bool json_encode_key(uint32_t type_oid, const struct datum *value, const struct io_env *env,
                     struct strbuf *out, struct error *err)
{
    if (type_oid == OID_JSON || type_oid == OID_JSONB || type_oid == OID_RECORD || type_is_array(type_oid))
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "key value must be scalar, not array, composite, or json");
    if (type_oid == OID_BOOL) {
        strbuf_adds(out, value->boolean ? "\"true\"" : "\"false\"");
        return true;
    }
    write_quoted(type_oid, value, env, out);
    return true;
}
