/* avro_write.c: see avro_write.h. */
#include "protocol/format/avro_write.h"

#include "protocol/format/avro_schema.h"
#include "protocol/format/convert.h"
#include "protocol/format/key.h"
#include "protocol/format/registry.h"
#include "storage/data/array.h"
#include "storage/data/json.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A field and the column it is made of. */
struct field {
    const struct avro_node *node; /* without its null */
    int32_t null_branch;          /* -1: there is no null */
    int32_t column;               /* -1: always null */
    struct sql_type from;         /* the column's type */
    const char *name;             /* the column's */
};

/* The value, or the key. */
struct shape {
    const char *text; /* NULL: nothing is written */
    struct avro_node *root;
    uint32_t fields_count;
    struct field *fields;
    const char *subject;
    uint32_t id; /* REGISTRY_NO_ID: not registered yet */
    uint64_t fingerprint;
};

enum framing { FRAMING_NONE, FRAMING_CONFLUENT, FRAMING_SINGLE_OBJECT };

struct avro_encoder {
    struct encoder base;
    struct arena arena;
    struct arena row_arena; /* emptied for every row */
    struct registry *registry;
    enum framing framing;
    struct shape value, key;
    struct key_writer *other_key; /* writes keys that are not in Avro */
};

/* ---- a schema made of columns ---- */

struct made_row {
    uint32_t oid;
    const char *type;
};

/* All others are strings in their text form. */
static const struct made_row made_types[] = {
    {OID_BOOL, "\"boolean\""},
    {OID_INT2, "\"int\""},
    {OID_INT4, "\"int\""},
    {OID_INT8, "\"long\""},
    {OID_OID, "\"long\""},
    {OID_FLOAT4, "\"float\""},
    {OID_FLOAT8, "\"double\""},
    {OID_BYTEA, "\"bytes\""},
    {OID_DATE, "{\"type\":\"int\",\"logicalType\":\"date\"}"},
    {OID_TIME, "{\"type\":\"long\",\"logicalType\":\"time-micros\"}"},
    {OID_TIMESTAMP, "{\"type\":\"long\",\"logicalType\":\"local-timestamp-micros\"}"},
    {OID_TIMESTAMPTZ, "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}"},
    {OID_UUID, "{\"type\":\"string\",\"logicalType\":\"uuid\"}"},
};

static void make_type(struct sql_type type, struct strbuf *out)
{
    uint32_t element = type_find(type.oid)->element_oid;
    if (element != 0 && type.oid != OID_INT2VECTOR && type.oid != OID_OIDVECTOR) {
        strbuf_adds(out, "{\"type\":\"array\",\"items\":[\"null\",");
        make_type((struct sql_type){element, type.typmod}, out);
        strbuf_adds(out, "]}");
        return;
    }
    if (type.oid == OID_NUMERIC && type.typmod != -1) {
        int32_t precision = (type.typmod - 4) >> 16 & 0xffff,
                scale = (((type.typmod - 4) & 0x7ff) ^ 1024) - 1024;
        if (scale >= 0) {
            strbuf_addf(out, "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":%d,\"scale\":%d}",
                        precision > scale ? precision : scale, scale);
            return;
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(made_types); i++) {
        if (made_types[i].oid == type.oid) {
            strbuf_adds(out, made_types[i].type);
            return;
        }
    }
    strbuf_adds(out, "\"string\"");
}

static bool is_avro_name(const char *name)
{
    for (const char *at = name; *at != '\0'; at++) {
        bool is_letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || *at == '_';
        if (!is_letter && (at == name || *at < '0' || *at > '9'))
            return false;
    }
    return name[0] != '\0';
}

/* Names of relations may be anything. */
static const char *record_name(struct arena *arena, const struct format_spec *spec, bool is_key)
{
    const char *given = format_option(&format_avro, spec, "avro_name");
    char *name =
        arena_printf(arena, "%s%s", given[0] != '\0' ? given : spec->relation_name, is_key ? "_key" : "");
    for (char *at = name; *at != '\0'; at++) {
        char one[2] = {*at, '\0'};
        if (!is_avro_name(one) && (at == name || *at < '0' || *at > '9') && (given[0] == '\0' || *at != '.'))
            *at = '_';
    }
    return name;
}

static bool make_schema(struct avro_encoder *self, const struct format_spec *spec, bool is_key,
                        const char **out, struct error *err)
{
    struct strbuf text = STRBUF_INIT;
    const char *comma = "";
    strbuf_addf(&text, "{\"type\":\"record\",\"name\":\"%s\",\"fields\":[",
                record_name(&self->arena, spec, is_key));
    for (uint32_t i = 0; i < spec->columns_count; i++) {
        const struct format_column *column = &spec->columns[i];
        if (is_key && !column->is_key)
            continue;
        const char *name = column->path != NULL ? column->path : column->name;
        if (!is_avro_name(name)) {
            strbuf_release(&text);
            error_set(err, ERRCODE_INVALID_NAME, "column \"%s\" cannot be the name of a field in Avro",
                      column->name);
            return error_hint(err, "Names are letters, digits and underscores: give it another with AS.");
        }
        bool is_nullable = !column->not_null && !column->is_key;
        strbuf_addf(&text, "%s{\"name\":\"%s\",\"type\":%s", comma, name, is_nullable ? "[\"null\"," : "");
        make_type(column->type, &text);
        strbuf_adds(&text, is_nullable ? "],\"default\":null}" : "}");
        comma = ",";
    }
    strbuf_adds(&text, "]}");
    *out = arena_strdup(&self->arena, strbuf_text(&text));
    strbuf_release(&text);
    return true;
}

/* ---- fields and columns ---- */

static int32_t find_column(const struct format_spec *spec, bool is_key, const char *field)
{
    int32_t alike = -1, alike_count = 0;
    for (uint32_t i = 0; i < spec->columns_count; i++) {
        const struct format_column *column = &spec->columns[i];
        const char *name = column->path != NULL ? column->path : column->name;
        if (is_key && !column->is_key)
            continue;
        if (strcmp(name, field) == 0)
            return (int32_t)i;
        if (strcasecmp(name, field) == 0) {
            alike = (int32_t)i;
            alike_count++;
        }
    }
    return alike_count == 1 ? alike : -1;
}

static bool can_write(const struct avro_node *node, struct sql_type from)
{
    if (avro_schema_is_scalar(node))
        return convert_fit(from, node->natural) != CONVERT_NEVER;
    return node->kind == AVRO_KIND_ARRAY && type_is_array(node->natural.oid) && type_is_array(from.oid) &&
           convert_fit(from, node->natural) != CONVERT_NEVER;
}

static bool make_field(const struct format_spec *spec, int32_t column, const char *name,
                       struct avro_node *node, struct field *out, struct error *err)
{
    *out =
        (struct field){.node = avro_schema_other(node), .null_branch = node->null_branch, .column = column};
    if (column < 0) {
        out->name = out->node->name;
        return node->null_branch >= 0 ||
               error_set(err, ERRCODE_UNDEFINED_COLUMN,
                         "there is no column for field \"%s\" of the Avro schema", name);
    }
    out->from = spec->columns[column].type;
    if (can_write(out->node, out->from))
        return true;
    struct strbuf type = STRBUF_INIT;
    type_format(out->from.oid, out->from.typmod, &type);
    error_set(err, ERRCODE_DATATYPE_MISMATCH, "column \"%s\" of type %s cannot be written as Avro type %s",
              spec->columns[column].name, strbuf_text(&type), out->node->name);
    strbuf_release(&type);
    return false;
}

/* A record of the columns, or for one column a bare value. */
static bool make_fields(struct avro_encoder *self, const struct format_spec *spec, bool is_key,
                        struct shape *shape, struct error *err)
{
    struct avro_node *record = shape->root;
    bool *written = ARENA_ARRAY(&self->arena, bool, spec->columns_count);
    uint32_t columns = 0, only = 0;
    for (uint32_t i = 0; i < spec->columns_count; i++) {
        if (!is_key || spec->columns[i].is_key) {
            only = i;
            columns++;
        }
    }
    if (record->kind != AVRO_KIND_RECORD && columns == 1) {
        shape->fields = ARENA_ARRAY(&self->arena, struct field, 1);
        shape->fields_count = 1;
        if (!make_field(spec, (int32_t)only, spec->columns[only].name, record, &shape->fields[0], err))
            return false;
        shape->fields[0].name = arena_strdup(&self->arena, spec->columns[only].name);
        return true;
    }
    if (record->kind != AVRO_KIND_RECORD)
        return error_set(err, ERRCODE_DATATYPE_MISMATCH, "the Avro schema of the %s is no record",
                         is_key ? "key" : "value");
    shape->fields = ARENA_ARRAY(&self->arena, struct field, record->count);
    shape->fields_count = record->count;
    for (uint32_t i = 0; i < record->count; i++) {
        int32_t column = find_column(spec, is_key, record->names[i]);
        if (!make_field(spec, column, record->names[i], record->nodes[i], &shape->fields[i], err))
            return false;
        if (column >= 0) {
            shape->fields[i].name = arena_strdup(&self->arena, spec->columns[column].name);
            written[column] = true;
        }
    }
    for (uint32_t i = 0; i < spec->columns_count; i++) {
        if ((!is_key || spec->columns[i].is_key) && !written[i])
            return error_set(err, ERRCODE_UNDEFINED_COLUMN, "the Avro schema has no field for column \"%s\"",
                             spec->columns[i].name);
    }
    return true;
}

static bool open_shape(struct avro_encoder *self, const struct format_spec *spec, bool is_key,
                       struct shape *shape, struct error *err)
{
    bool has_key = false;
    for (uint32_t i = 0; i < spec->columns_count; i++)
        has_key |= spec->columns[i].is_key;
    shape->id = REGISTRY_NO_ID;
    if (is_key && !has_key)
        return true;
    const char *given = format_option(&format_avro, spec, is_key ? "avro_key_schema" : "avro_schema");
    if (given[0] != '\0')
        shape->text = arena_strdup(&self->arena, given);
    else if (!make_schema(self, spec, is_key, &shape->text, err))
        return false;
    if (!avro_schema_parse_text(&self->arena, shape->text, &shape->root, err) ||
        !make_fields(self, spec, is_key, shape, err))
        return false;
    if (self->framing == FRAMING_SINGLE_OBJECT)
        shape->fingerprint = avro_schema_fingerprint(shape->root);
    const char *name = shape->root->kind == AVRO_KIND_RECORD ? shape->root->name : NULL;
    return self->framing != FRAMING_CONFLUENT ||
           registry_subject(&format_avro, spec, is_key, name, &self->arena, &shape->subject, err);
}

static bool parse_framing(const struct format_spec *spec, enum framing *out, struct error *err)
{
    static const char *const words[] = {"none", "confluent", "single_object", "", NULL};
    bool has_registry = format_option(&format_avro, spec, "schema.registry.url")[0] != '\0';
    uint32_t word;
    if (!format_option_word(&format_avro, spec, "avro_framing", words, &word, err))
        return false;
    *out = words[word][0] != '\0' ? word : has_registry ? FRAMING_CONFLUENT : FRAMING_NONE;
    if ((*out == FRAMING_CONFLUENT) != has_registry)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "option \"avro_framing\" cannot be \"%s\" %s a schema registry", words[word],
                         has_registry ? "with" : "without");
    return true;
}

void avro_close_encoder(struct encoder *base)
{
    struct avro_encoder *self = (struct avro_encoder *)base;
    registry_close(self->registry);
    key_writer_destroy(self->other_key);
    arena_release(&self->row_arena);
    arena_release(&self->arena);
    mem_free(self);
}

bool avro_open_encoder(const struct format_spec *spec, struct encoder **out, struct error *err)
{
    struct avro_encoder *self = mem_zalloc(sizeof(*self));
    arena_init(&self->arena, NULL);
    arena_init(&self->row_arena, NULL);
    self->base.class = &format_avro;
    bool is_key_avro = strcmp(format_option(&format_avro, spec, "key_format"), "avro") == 0;
    bool ok = format_check_options(&format_avro, spec, err) && parse_framing(spec, &self->framing, err) &&
              open_shape(self, spec, false, &self->value, err) &&
              (is_key_avro ? open_shape(self, spec, true, &self->key, err)
                           : key_writer_create(&format_avro, spec, (struct json_encoding){0},
                                               &self->other_key, err)) &&
              registry_open(&format_avro, spec, out != NULL ? &self->registry : NULL, err);
    if (ok && out != NULL)
        *out = &self->base;
    else
        avro_close_encoder(&self->base);
    return ok;
}

const char *avro_encoder_schema(const struct encoder *base, bool is_key)
{
    const struct avro_encoder *self = (const struct avro_encoder *)base;
    return is_key ? self->key.text : self->value.text;
}

/* ---- values ---- */

static void write_long(int64_t value, struct strbuf *out)
{
    uint64_t bits = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    strbuf_reserve(out, 10);
    for (; bits >= 0x80; bits >>= 7)
        out->data[out->len++] = (char)(bits | 0x80);
    out->data[out->len++] = (char)bits;
    out->data[out->len] = '\0';
}

static void write_bytes(const void *bytes, size_t len, struct strbuf *out)
{
    write_long((int64_t)len, out);
    strbuf_add(out, bytes, len);
}

/* From microseconds to a schema's unit; rounded down. */
static bool from_us(int64_t us, int32_t unit, int64_t *out, struct error *err)
{
    if (unit == -9)
        return !__builtin_mul_overflow(us, 1000, out) ||
               error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
    *out = unit == -6 ? us : us / 1000 - (us % 1000 < 0);
    return true;
}

static bool write_number(const struct avro_node *node, const struct datum *value, struct strbuf *out,
                         struct error *err)
{
    int64_t number;
    int32_t days;
    switch (node->logical) {
    case AVRO_DATE:
        if (!convert_to_unix_days(value->i32, &days, err))
            return false;
        number = days;
        break;
    case AVRO_TIME:
        if (!from_us(value->i64, node->unit, &number, err))
            return false;
        break;
    case AVRO_TIMESTAMP:
    case AVRO_LOCAL_TIMESTAMP:
        if (!convert_to_unix_us(value->i64, &number, err) || !from_us(number, node->unit, &number, err))
            return false;
        break;
    default:
        number = node->kind == AVRO_KIND_INT ? value->i32 : value->i64;
    }
    write_long(number, out);
    return true;
}

static bool write_binary(const struct avro_node *node, const struct datum *value, struct strbuf *out,
                         struct error *err)
{
    if (node->logical == AVRO_DECIMAL) {
        struct strbuf bytes = STRBUF_INIT;
        bool ok = convert_to_decimal(&value->var, node->scale, node->fixed_bytes, &bytes, err);
        if (ok && node->kind == AVRO_KIND_BYTES)
            write_long((int64_t)bytes.len, out);
        strbuf_add(out, strbuf_text(&bytes), bytes.len);
        strbuf_release(&bytes);
        return ok;
    }
    if (node->logical == AVRO_UUID) {
        strbuf_add(out, value->fix16, 16);
        return true;
    }
    if (node->logical == AVRO_DURATION) {
        const struct interval *interval = &value->interval;
        uint32_t parts[3] = {(uint32_t)interval->months, (uint32_t)interval->days,
                             (uint32_t)(interval->us / 1000)};
        if (interval->months < 0 || interval->days < 0 || interval->us < 0 ||
            interval->us / 1000 > UINT32_MAX)
            return error_set(err, ERRCODE_DATETIME_FIELD_OVERFLOW, "interval out of range");
        strbuf_add(out, parts, sizeof(parts));
        return true;
    }
    if (node->kind == AVRO_KIND_FIXED) {
        if (value->var.len != node->fixed_bytes)
            return error_set(err, ERRCODE_STRING_DATA_RIGHT_TRUNCATION,
                             "%u bytes do not fit a fixed type of %u", value->var.len, node->fixed_bytes);
        strbuf_add(out, varlen_bytes(&value->var), value->var.len);
        return true;
    }
    write_bytes(varlen_bytes(&value->var), value->var.len, out);
    return true;
}

static bool write_enum(const struct avro_node *node, const struct varlen *value, struct strbuf *out,
                       struct error *err)
{
    for (uint32_t i = 0; i < node->count; i++) {
        if (strlen(node->names[i]) == value->len &&
            memcmp(node->names[i], varlen_bytes(value), value->len) == 0) {
            write_long(i, out);
            return true;
        }
    }
    return error_set(err, ERRCODE_INVALID_TEXT_REPRESENTATION, "\"%.*s\" is no symbol of enum %s",
                     (int)value->len, (const char *)varlen_bytes(value), node->name);
}

/* A value of the node's natural type. */
static bool write_scalar(const struct avro_node *node, const struct datum *value, struct strbuf *out,
                         struct error *err)
{
    switch (node->kind) {
    case AVRO_KIND_BOOLEAN:
        strbuf_addc(out, value->boolean);
        return true;
    case AVRO_KIND_INT:
    case AVRO_KIND_LONG:
        return write_number(node, value, out, err);
    case AVRO_KIND_FLOAT:
        strbuf_add(out, &value->f32, 4);
        return true;
    case AVRO_KIND_DOUBLE:
        strbuf_add(out, &value->f64, 8);
        return true;
    case AVRO_KIND_STRING:
        if (node->logical == AVRO_UUID) {
            struct strbuf text = STRBUF_INIT;
            type_output(OID_UUID, value, &io_env_default, &text);
            write_bytes(strbuf_text(&text), text.len, out);
            strbuf_release(&text);
            return true;
        }
        write_bytes(varlen_bytes(&value->var), value->var.len, out);
        return true;
    case AVRO_KIND_ENUM:
        return write_enum(node, &value->var, out, err);
    default:
        return write_binary(node, value, out, err);
    }
}

static bool write_array(const struct avro_node *node, const struct datum *value, struct strbuf *out,
                        struct error *err)
{
    struct array_view view;
    const struct avro_node *item = avro_schema_other(node->nodes[0]);
    int32_t null_branch = node->nodes[0]->null_branch;
    array_open(&value->var, &view);
    if (view.ndim > 1)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "an array of several dimensions cannot be written in Avro");
    const uint8_t *cursor = view.elements;
    if (view.count > 0)
        write_long(view.count, out);
    for (uint32_t i = 0; i < view.count; i++) {
        struct datum element;
        array_next(&view, &cursor, &element);
        if (element.is_null && null_branch < 0)
            return error_set(err, ERRCODE_NULL_VALUE_NOT_ALLOWED,
                             "a null element where the schema allows none");
        if (null_branch >= 0)
            write_long(element.is_null ? null_branch : 1 - null_branch, out);
        if (!element.is_null && !write_scalar(item, &element, out, err))
            return false;
    }
    write_long(0, out);
    return true;
}

static bool write_field(struct avro_encoder *self, const struct field *field, const struct batch *rows,
                        uint32_t row, struct strbuf *out, struct error *err)
{
    if (field->column < 0 || column_is_null(&rows->columns[field->column], row)) {
        if (field->null_branch < 0)
            return error_set(err, ERRCODE_NOT_NULL_VIOLATION, "a null value where the schema allows none");
        write_long(field->null_branch, out);
        return true;
    }
    struct datum value = column_get(&rows->columns[field->column], row), converted;
    const struct avro_node *node = field->node;
    if (field->null_branch >= 0)
        write_long(1 - field->null_branch, out);
    if (field->from.oid != node->natural.oid) {
        if (!convert_value(field->from, &value, (struct sql_type){node->natural.oid, -1}, &self->row_arena,
                           &converted, err))
            return false;
        value = converted;
    }
    return node->kind == AVRO_KIND_ARRAY ? write_array(node, &value, out, err)
                                         : write_scalar(node, &value, out, err);
}

static bool write_header(struct avro_encoder *self, struct shape *shape, struct strbuf *out,
                         struct error *err)
{
    if (self->framing == FRAMING_SINGLE_OBJECT) {
        strbuf_add(out, "\xc3\x01", 2);
        strbuf_add(out, &shape->fingerprint, 8);
    }
    if (self->framing != FRAMING_CONFLUENT)
        return true;
    if (UNLIKELY(shape->id == REGISTRY_NO_ID) &&
        !registry_register(self->registry, shape->subject, REGISTRY_AVRO, shape->text, &shape->id, err))
        return false;
    strbuf_addc(out, '\0');
    strbuf_add_u32be(out, shape->id);
    return true;
}

static bool write_shape(struct avro_encoder *self, struct shape *shape, const struct batch *rows,
                        uint32_t row, struct strbuf *out, struct error *err)
{
    size_t start = out->len;
    struct error problem;
    if (!write_header(self, shape, out, err))
        return false;
    for (uint32_t i = 0; i < shape->fields_count; i++) {
        if (write_field(self, &shape->fields[i], rows, row, out, &problem))
            continue;
        out->len = start;
        return error_set(err, problem.code, "column \"%s\": %s", shape->fields[i].name, problem.message);
    }
    return true;
}

bool avro_encode(struct encoder *base, const struct batch *rows, uint32_t row, bool is_deletion,
                 struct strbuf *key, struct strbuf *value, struct error *err)
{
    struct avro_encoder *self = (struct avro_encoder *)base;
    arena_reset(&self->row_arena);
    key_writer_write(self->other_key, rows, row, key);
    return (self->key.text == NULL || write_shape(self, &self->key, rows, row, key, err)) &&
           (is_deletion || write_shape(self, &self->value, rows, row, value, err));
}
