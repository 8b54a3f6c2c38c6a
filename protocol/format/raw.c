/* raw.c: formats text and raw: the record's value is one column. */
#include "protocol/format/raw.h"

#include "protocol/format/json_options.h"
#include "protocol/format/key.h"
#include "storage/data/text_check.h"
#include "storage/data/text_store.h"

bool raw_has_type(uint32_t oid)
{
    switch (oid) {
    case OID_BYTEA:
    case OID_TEXT:
    case OID_VARCHAR:
    case OID_JSON:
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
    case OID_FLOAT4:
    case OID_FLOAT8:
        return true;
    default:
        return false;
    }
}

bool raw_store(struct batch *out, uint32_t column, uint32_t row, const uint8_t *bytes, size_t len,
               struct error *err)
{
    struct column *target = &out->columns[column];
    struct datum value = {.is_null = false};
    if (target->type.oid == OID_BYTEA) {
        value.var = varlen_copy(out->arena, bytes, (uint32_t)len);
    } else if (target->phys == PHYS_VAR) {
        if (!text_check_utf8((const char *)bytes, len, err) ||
            !type_input(target->type.oid, target->type.typmod, (const char *)bytes, len, &io_env_default,
                        out->arena, &value, err))
            return false;
    } else if (!type_recv(target->type.oid, target->type.typmod, bytes, len, out->arena, &value, err)) {
        return false;
    }
    column_set(target, row, &value, out->capacity, out->arena);
    return true;
}

void raw_write(const struct column *column, uint32_t row, struct strbuf *out)
{
    struct datum value = column_get(column, row);
    if (value.is_null)
        return;
    if (column->phys == PHYS_VAR)
        strbuf_add(out, varlen_bytes(&value.var), value.var.len);
    else
        type_send(column->type.oid, &value, out);
}

static const struct connector_option_row text_options[] = {
    OPTION_KEY_FORMAT("text"), OPTION_KEY_COLUMNS, OPTION_KEY_STYLE, {NULL}};
static const struct connector_option_row raw_options[] = {
    OPTION_KEY_FORMAT("raw"), OPTION_KEY_COLUMNS, OPTION_KEY_STYLE, {NULL}};

struct raw_decoder {
    struct decoder base;
    struct key_reader *key;
    const char *name;
    uint32_t column;
    enum text_kind kind;
    bool is_raw, is_table, has_key_columns, not_null;
};

/* The one column that is the value; key columns may stand beside it when they are read from the record's key. */
static bool find_column(const struct format_class *class, const struct format_spec *spec, bool keys_apart,
                        uint32_t *out, struct error *err)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < spec->columns_count; i++) {
        if (keys_apart && spec->columns[i].is_key)
            continue;
        count++;
        *out = i;
    }
    if (count != 1) {
        error_set(err, ERRCODE_DATATYPE_MISMATCH, "format %s makes one column, \"%s\" has %u", class->name,
                  spec->relation_name, count);
        return error_hint(
            err, "Columns of the primary key can be read from the record's key: key_columns = 'key'.");
    }
    const struct format_column *column = &spec->columns[*out];
    if (class == &format_raw && !raw_has_type(column->type.oid)) {
        error_set(err, ERRCODE_DATATYPE_MISMATCH, "format raw cannot make column \"%s\"", column->name);
        return error_hint(err, "It makes bytea, text, varchar, json, integers and floats.");
    }
    return true;
}

static void close_decoder(struct decoder *base)
{
    struct raw_decoder *decoder = (struct raw_decoder *)base;
    key_reader_destroy(decoder->key);
    mem_free((char *)decoder->name);
    mem_free(decoder);
}

static bool open_decoder(const struct format_class *class, const struct format_spec *spec,
                         struct decoder **out, struct error *err)
{
    struct key_reader *key;
    uint32_t value = 0;
    if (!format_check_options(class, spec, err) || !key_reader_create(class, spec, NULL, false, &key, err))
        return false;
    if (!find_column(class, spec, key_reader_has_columns(key), &value, err)) {
        key_reader_destroy(key);
        return false;
    }
    const struct format_column *column = &spec->columns[value];
    struct raw_decoder *decoder = mem_zalloc(sizeof(*decoder));
    decoder->base.class = class;
    decoder->key = key;
    decoder->name = mem_strdup(column->name);
    decoder->column = value;
    decoder->kind = text_kind_of(column->type);
    decoder->is_raw = class == &format_raw;
    decoder->is_table = spec->is_table;
    decoder->has_key_columns = key_reader_has_columns(key);
    decoder->not_null = column->not_null || column->is_key;
    if (out != NULL)
        *out = &decoder->base;
    else
        close_decoder(&decoder->base);
    return true;
}

static bool open_text_decoder(const struct format_spec *spec, struct decoder **out, struct error *err)
{
    return open_decoder(&format_text, spec, out, err);
}

static bool open_raw_decoder(const struct format_spec *spec, struct decoder **out, struct error *err)
{
    return open_decoder(&format_raw, spec, out, err);
}

static bool store_value(struct raw_decoder *decoder, const struct record *record, struct batch *out,
                        struct error *why)
{
    if (record->value == NULL) {
        if (decoder->not_null) {
            error_set(why, ERRCODE_NOT_NULL_VIOLATION,
                      "null value in column \"%s\" violates not-null constraint: the record has no value",
                      decoder->name);
            return false;
        }
        column_set_null(&out->columns[decoder->column], out->rows, out->capacity, out->arena);
        return true;
    }
    const char *text = (const char *)record->value;
    bool ok = decoder->is_raw
                  ? raw_store(out, decoder->column, out->rows, record->value, record->value_len, why)
                  : text_check_utf8(text, record->value_len, why) &&
                        text_store(out, decoder->column, out->rows, decoder->kind, text, record->value_len,
                                   &io_env_default, true, why);
    return ok || format_blame_column(why, decoder->name);
}

static bool decode(struct decoder *base, const struct record *record, struct batch *out, struct error *why)
{
    struct raw_decoder *decoder = (struct raw_decoder *)base;
    if (record->value == NULL && decoder->is_table && decoder->key != NULL)
        return key_reader_delete(decoder->key, record, out, why);
    if (record->value_len > VALUE_BYTES_MAX)
        return error_set(why, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                         "record of %zu bytes is longer than the maximum of %u", record->value_len,
                         VALUE_BYTES_MAX);
    batch_reserve(out, 1);
    bool ok = store_value(decoder, record, out, why) &&
              (!decoder->has_key_columns || key_reader_read(decoder->key, record, out, why));
    return format_row_finish(out, ok, 1);
}

/* ---- writing ---- */

struct raw_encoder {
    struct encoder base;
    struct key_writer *key;
    uint32_t column;
    bool is_raw;
};

static void close_encoder(struct encoder *base)
{
    struct raw_encoder *encoder = (struct raw_encoder *)base;
    key_writer_destroy(encoder->key);
    mem_free(encoder);
}

static bool open_encoder(const struct format_class *class, const struct format_spec *spec,
                         struct encoder **out, struct error *err)
{
    struct key_writer *key;
    uint32_t column = 0;
    /* the key is written apart, unless it is all there is */
    bool keys_apart = spec->columns_count > 1;
    if (!format_check_options(class, spec, err) || !find_column(class, spec, keys_apart, &column, err) ||
        !key_writer_create(class, spec, (struct json_encoding){0}, &key, err))
        return false;
    struct raw_encoder *encoder = mem_zalloc(sizeof(*encoder));
    encoder->base.class = class;
    encoder->key = key;
    encoder->column = column;
    encoder->is_raw = class == &format_raw;
    if (out != NULL)
        *out = &encoder->base;
    else
        close_encoder(&encoder->base);
    return true;
}

static bool open_text_encoder(const struct format_spec *spec, struct encoder **out, struct error *err)
{
    return open_encoder(&format_text, spec, out, err);
}

static bool open_raw_encoder(const struct format_spec *spec, struct encoder **out, struct error *err)
{
    return open_encoder(&format_raw, spec, out, err);
}

static bool encode(struct encoder *base, const struct batch *rows, uint32_t row, bool is_deletion,
                   struct strbuf *key, struct strbuf *value, struct error *err)
{
    struct raw_encoder *encoder = (struct raw_encoder *)base;
    const struct column *column = &rows->columns[encoder->column];
    key_writer_write(encoder->key, rows, row, key);
    if (is_deletion)
        return true;
    if (encoder->is_raw) {
        raw_write(column, row, value);
        return true;
    }
    struct datum datum = column_get(column, row);
    if (!datum.is_null)
        type_output(column->type.oid, &datum, &io_env_default, value);
    return true;
}

const struct format_class format_text = {
    .name = "text",
    .help = "the value is the text form of the only column",
    .options = text_options,
    .open_decoder = open_text_decoder,
    .decode = decode,
    .close_decoder = close_decoder,
    .open_encoder = open_text_encoder,
    .encode = encode,
    .close_encoder = close_encoder,
};

const struct format_class format_raw = {
    .name = "raw",
    .help = "the value is the only column's bytes: bytea, text, or integers and floats as Kafka's "
            "serializers write them (big-endian)",
    .options = raw_options,
    .open_decoder = open_raw_decoder,
    .decode = decode,
    .close_decoder = close_decoder,
    .open_encoder = open_raw_encoder,
    .encode = encode,
    .close_encoder = close_encoder,
};
