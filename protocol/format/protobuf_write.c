/* protobuf_write.c: see protobuf_write.h. */
#include "protocol/format/protobuf_write.h"

#include "protocol/format/key.h"
#include "protocol/format/protobuf_read.h"
#include "protocol/format/registry.h"
#include "storage/data/array.h"
#include "storage/data/datetime_internal.h"
#include "storage/data/numeric.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

struct field {
    const struct proto_field *field;
    uint32_t column;
    struct sql_type from,
        natural; /* of the column; that the field is written from (of an array its elements') */
    bool is_array;
    const char *name;
};

struct proto_encoder {
    struct encoder base;
    struct arena arena;
    struct arena row_arena; /* emptied for every row */
    struct registry *registry;
    const char *text, *subject;
    const struct proto_message *message;
    uint32_t fields_count, id; /* id: REGISTRY_NO_ID: not registered yet */
    struct field *fields;
    struct key_writer *key;
};

/* ---- a schema made of columns ---- */

static const char *made_type(uint32_t oid)
{
    switch (oid) {
    case OID_BOOL:
        return "bool";
    case OID_INT2:
    case OID_INT4:
        return "int32";
    case OID_INT8:
    case OID_OID:
        return "int64";
    case OID_FLOAT4:
        return "float";
    case OID_FLOAT8:
        return "double";
    case OID_BYTEA:
        return "bytes";
    case OID_TIMESTAMPTZ:
        return "google.protobuf.Timestamp";
    default:
        return "string";
    }
}

static bool is_proto_name(const char *name)
{
    for (const char *at = name; *at != '\0'; at++) {
        bool is_letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || *at == '_';
        if (!is_letter && (at == name || *at < '0' || *at > '9'))
            return false;
    }
    return name[0] != '\0';
}

static bool make_schema(struct proto_encoder *self, const struct format_spec *spec, struct error *err)
{
    struct strbuf text = STRBUF_INIT;
    char *name = arena_strdup(&self->arena, spec->relation_name);
    for (char *at = name; *at != '\0'; at++) {
        char one[2] = {*at, '\0'};
        if (!is_proto_name(one) && (at == name || *at < '0' || *at > '9'))
            *at = '_';
    }
    const char *given = format_option(&format_protobuf, spec, "message");
    strbuf_adds(&text, "syntax = \"proto3\";\n\nimport \"google/protobuf/timestamp.proto\";\n\n");
    strbuf_addf(&text, "message %s {\n", given[0] != '\0' ? given : name);
    for (uint32_t i = 0; i < spec->columns_count; i++) {
        const struct format_column *column = &spec->columns[i];
        const char *field = column->path != NULL ? column->path : column->name;
        uint32_t element = type_find(column->type.oid)->element_oid;
        if (!is_proto_name(field)) {
            strbuf_release(&text);
            error_set(err, ERRCODE_INVALID_NAME, "column \"%s\" cannot be the name of a field in Protobuf",
                      column->name);
            return error_hint(err, "Names are letters, digits and underscores: give it another with AS.");
        }
        strbuf_addf(&text, "  %s%s %s = %u;\n",
                    element != 0                           ? "repeated "
                    : !column->not_null && !column->is_key ? "optional "
                                                           : "",
                    made_type(element != 0 ? element : column->type.oid), field, i + 1);
    }
    strbuf_adds(&text, "}\n");
    self->text = arena_strdup(&self->arena, strbuf_text(&text));
    strbuf_release(&text);
    return true;
}

/* ---- fields and columns ---- */

static bool cannot_write(const struct format_column *column, const char *as, struct error *err)
{
    struct strbuf type = STRBUF_INIT;
    type_format(column->type.oid, column->type.typmod, &type);
    error_set(err, ERRCODE_DATATYPE_MISMATCH, "column \"%s\" of type %s cannot be written as its field of %s",
              column->name, strbuf_text(&type), as);
    strbuf_release(&type);
    return false;
}

static bool make_field(struct proto_encoder *self, const struct format_spec *spec, uint32_t at,
                       struct error *err)
{
    const struct format_column *column = &spec->columns[at];
    const char *name = column->path != NULL ? column->path : column->name;
    const struct proto_field *field = NULL;
    for (uint32_t i = 0; i < self->message->count; i++) {
        const char *other = self->message->fields[i].name;
        if (strcmp(other, name) == 0 || (field == NULL && strcasecmp(other, name) == 0))
            field = &self->message->fields[i];
    }
    if (field == NULL)
        return error_set(err, ERRCODE_UNDEFINED_COLUMN, "message \"%s\" has no field for column \"%s\"",
                         self->message->name, column->name);
    struct sql_type natural = proto_natural(field);
    bool writes_known = field->message == NULL || field->message->known == PROTO_TIMESTAMP;
    if (natural.oid == OID_JSONB || !writes_known || convert_fit(column->type, natural) == CONVERT_NEVER)
        return cannot_write(
            column, field->message != NULL ? field->message->name : type_find(natural.oid)->sql_name, err);
    uint32_t element = type_find(natural.oid)->element_oid;
    self->fields[self->fields_count++] = (struct field){
        .field = field,
        .column = at,
        .from = {element != 0 ? type_find(column->type.oid)->element_oid : column->type.oid, -1},
        .natural = {element != 0 ? element : natural.oid, -1},
        .is_array = element != 0,
        .name = arena_strdup(&self->arena, column->name)};
    return true;
}

void proto_close_encoder(struct encoder *base)
{
    struct proto_encoder *self = (struct proto_encoder *)base;
    registry_close(self->registry);
    key_writer_destroy(self->key);
    arena_release(&self->row_arena);
    arena_release(&self->arena);
    mem_free(self);
}

static bool open_message(struct proto_encoder *self, const struct format_spec *spec, struct error *err)
{
    const char *given = format_option(&format_protobuf, spec, "proto_schema");
    const char *name = format_option(&format_protobuf, spec, "message");
    struct proto_message *message;
    if (given[0] != '\0')
        self->text = arena_strdup(&self->arena, given);
    else if (!make_schema(self, spec, err))
        return false;
    struct proto_source source = {"millrace/value.proto", self->text};
    struct proto_schema schema = {
        .sources = &source, .sources_count = 1, .message = name[0] != '\0' ? name : NULL};
    if (!proto_parse(&self->arena, &schema, &message, err))
        return false;
    self->message = message;
    self->fields = ARENA_ARRAY(&self->arena, struct field, spec->columns_count);
    for (uint32_t i = 0; i < spec->columns_count; i++) {
        if (!make_field(self, spec, i, err))
            return false;
    }
    return true;
}

bool proto_open_encoder(const struct format_spec *spec, struct encoder **out, struct error *err)
{
    struct proto_encoder *self = mem_zalloc(sizeof(*self));
    arena_init(&self->arena, NULL);
    arena_init(&self->row_arena, NULL);
    self->base.class = &format_protobuf;
    self->id = REGISTRY_NO_ID;
    bool has_registry = format_option(&format_protobuf, spec, "schema.registry.url")[0] != '\0';
    bool ok = format_check_options(&format_protobuf, spec, err) && open_message(self, spec, err) &&
              (!has_registry || registry_subject(&format_protobuf, spec, false, self->message->name,
                                                 &self->arena, &self->subject, err)) &&
              key_writer_create(&format_protobuf, spec, (struct json_encoding){0}, &self->key, err) &&
              registry_open(&format_protobuf, spec, out != NULL ? &self->registry : NULL, err);
    if (ok && out != NULL)
        *out = &self->base;
    else
        proto_close_encoder(&self->base);
    return ok;
}

const char *proto_encoder_schema(const struct encoder *base)
{
    return ((const struct proto_encoder *)base)->text;
}

/* ---- the wire ---- */

static void write_varint(uint64_t bits, struct strbuf *out)
{
    strbuf_reserve(out, 10);
    for (; bits >= 0x80; bits >>= 7)
        out->data[out->len++] = (char)(bits | 0x80);
    out->data[out->len++] = (char)bits;
    out->data[out->len] = '\0';
}

static void write_tag(uint32_t number, uint32_t type, struct strbuf *out)
{
    write_varint((uint64_t)number << 3 | type, out);
}

static void write_bytes(const void *bytes, size_t len, struct strbuf *out)
{
    write_varint(len, out);
    strbuf_add(out, bytes, len);
}

static bool write_enum(const struct proto_enum *enumeration, const struct varlen *value, struct strbuf *out,
                       struct error *err)
{
    for (uint32_t i = 0; i < enumeration->count; i++) {
        if (strlen(enumeration->names[i]) == value->len &&
            memcmp(enumeration->names[i], varlen_bytes(value), value->len) == 0) {
            write_varint((uint64_t)(int64_t)enumeration->numbers[i], out);
            return true;
        }
    }
    return error_set(err, ERRCODE_INVALID_TEXT_REPRESENTATION, "\"%.*s\" is no value of the enum",
                     (int)value->len, (const char *)varlen_bytes(value));
}

static bool write_timestamp(int64_t timestamp, struct strbuf *out, struct error *err)
{
    int64_t us;
    uint8_t made[24];
    struct strbuf inner = STRBUF_INIT;
    if (!convert_to_unix_us(timestamp, &us, err))
        return false;
    int64_t seconds = us / US_PER_SECOND - (us % US_PER_SECOND < 0);
    int64_t nanos = (us - seconds * US_PER_SECOND) * 1000;
    if (seconds != 0) {
        write_tag(1, 0, &inner);
        write_varint((uint64_t)seconds, &inner);
    }
    if (nanos != 0) {
        write_tag(2, 0, &inner);
        write_varint((uint64_t)nanos, &inner);
    }
    size_t len = inner.len;
    memcpy(made, strbuf_text(&inner), len);
    strbuf_release(&inner);
    write_bytes(made, len, out);
    return true;
}

/* A value of the natural type, with its tag. */
static bool write_value(const struct proto_field *field, const struct datum *value, struct strbuf *out,
                        struct error *err)
{
    int64_t number;
    switch (field->kind) {
    case PROTO_DOUBLE:
        write_tag(field->number, 1, out);
        strbuf_add(out, &value->f64, 8);
        return true;
    case PROTO_FLOAT:
        write_tag(field->number, 5, out);
        strbuf_add(out, &value->f32, 4);
        return true;
    case PROTO_STRING:
    case PROTO_BYTES:
        write_tag(field->number, 2, out);
        write_bytes(varlen_bytes(&value->var), value->var.len, out);
        return true;
    case PROTO_MESSAGE:
        write_tag(field->number, 2, out);
        return write_timestamp(value->i64, out, err);
    case PROTO_BOOL:
        write_tag(field->number, 0, out);
        write_varint(value->boolean, out);
        return true;
    case PROTO_ENUM:
        write_tag(field->number, 0, out);
        return write_enum(field->enumeration, &value->var, out, err);
    case PROTO_INT32:
        write_tag(field->number, 0, out);
        write_varint((uint64_t)(int64_t)value->i32, out);
        return true;
    case PROTO_SINT32:
        write_tag(field->number, 0, out);
        write_varint((uint32_t)value->i32 << 1 ^ (uint32_t)(value->i32 >> 31), out);
        return true;
    case PROTO_SFIXED32:
        write_tag(field->number, 5, out);
        strbuf_add(out, &value->i32, 4);
        return true;
    case PROTO_INT64:
        write_tag(field->number, 0, out);
        write_varint((uint64_t)value->i64, out);
        return true;
    case PROTO_SINT64:
        write_tag(field->number, 0, out);
        write_varint((uint64_t)value->i64 << 1 ^ (uint64_t)(value->i64 >> 63), out);
        return true;
    case PROTO_SFIXED64:
        write_tag(field->number, 1, out);
        strbuf_add(out, &value->i64, 8);
        return true;
    case PROTO_UINT32:
    case PROTO_FIXED32:
        if (value->i64 < 0 || value->i64 > UINT32_MAX)
            return error_set(err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
                             "a number of 32 bits without sign is out of range");
        write_tag(field->number, field->kind == PROTO_UINT32 ? 0 : 5, out);
        if (field->kind == PROTO_UINT32)
            write_varint((uint64_t)value->i64, out);
        else
            strbuf_add(out, &value->i64, 4);
        return true;
    default: { /* 64 bits without sign, from numeric */
        struct numeric_small small;
        if (numeric_is_special(&value->var) || numeric_min_scale(&value->var) != 0 ||
            !numeric_unpack_small(&value->var, &small))
            small.coefficient = -1;
        else
            for (; small.scale > 0; small.scale--)
                small.coefficient /= 10;
        if (small.coefficient < 0 || small.coefficient > (__int128)UINT64_MAX)
            return error_set(err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
                             "a number of 64 bits without sign is out of range");
        number = (int64_t)(uint64_t)small.coefficient;
        write_tag(field->number, field->kind == PROTO_UINT64 ? 0 : 1, out);
        if (field->kind == PROTO_UINT64)
            write_varint((uint64_t)number, out);
        else
            strbuf_add(out, &number, 8);
        return true;
    }
    }
}

static bool write_element(struct proto_encoder *self, const struct field *field, const struct datum *value,
                          struct strbuf *out, struct error *err)
{
    struct datum converted;
    if (field->from.oid == field->natural.oid)
        return write_value(field->field, value, out, err);
    return convert_value(field->from, value, field->natural, &self->row_arena, &converted, err) &&
           write_value(field->field, &converted, out, err);
}

static bool write_field(struct proto_encoder *self, const struct field *field, const struct batch *rows,
                        uint32_t row, struct strbuf *out, struct error *err)
{
    const struct column *column = &rows->columns[field->column];
    if (column_is_null(column, row)) {
        if (field->is_array || field->field->has_presence)
            return true; /* absent */
        return error_set(err, ERRCODE_NOT_NULL_VIOLATION, "a null value where the schema allows none");
    }
    struct datum value = column_get(column, row);
    if (!field->is_array)
        return write_element(self, field, &value, out, err);
    struct array_view view;
    array_open(&value.var, &view);
    if (view.ndim > 1)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "an array of several dimensions cannot be written in Protobuf");
    const uint8_t *cursor = view.elements;
    for (uint32_t i = 0; i < view.count; i++) {
        struct datum element;
        array_next(&view, &cursor, &element);
        if (element.is_null)
            return error_set(err, ERRCODE_NULL_VALUE_NOT_ALLOWED,
                             "a null element, which Protobuf does not have");
        if (!write_element(self, field, &element, out, err))
            return false;
    }
    return true;
}

/* Confluent's header: a zero byte, the schema's number, and where the message is in it. */
static bool write_header(struct proto_encoder *self, struct strbuf *out, struct error *err)
{
    const struct proto_message *message = self->message;
    if (self->subject == NULL)
        return true;
    if (UNLIKELY(self->id == REGISTRY_NO_ID) &&
        !registry_register(self->registry, self->subject, REGISTRY_PROTOBUF, self->text, &self->id, err))
        return false;
    strbuf_addc(out, '\0');
    strbuf_add_u32be(out, self->id);
    if (message->indexes_count == 1 && message->indexes[0] == 0) {
        strbuf_addc(out, '\0');
        return true;
    }
    write_varint((uint64_t)message->indexes_count << 1, out);
    for (uint32_t i = 0; i < message->indexes_count; i++)
        write_varint((uint64_t)message->indexes[i] << 1, out);
    return true;
}

bool proto_encode(struct encoder *base, const struct batch *rows, uint32_t row, bool is_deletion,
                  struct strbuf *key, struct strbuf *value, struct error *err)
{
    struct proto_encoder *self = (struct proto_encoder *)base;
    size_t start = value->len;
    struct error problem;
    key_writer_write(self->key, rows, row, key);
    if (is_deletion)
        return true;
    arena_reset(&self->row_arena);
    if (!write_header(self, value, err))
        return false;
    for (uint32_t i = 0; i < self->fields_count; i++) {
        if (write_field(self, &self->fields[i], rows, row, value, &problem))
            continue;
        value->len = start;
        return error_set(err, problem.code, "column \"%s\": %s", self->fields[i].name, problem.message);
    }
    return true;
}
