/* json.c: format json: a JSON object per record, a member per column. */
#include "protocol/format/json_options.h"
#include "protocol/format/json_scan.h"
#include "protocol/format/json_writer.h"
#include "protocol/format/key.h"

static const struct connector_option_row options[] = {
    {"unknown", "ignore", "members that no column takes: ignore, or reject (the record is an error)"},
    OPTION_CASE_SENSITIVE,
    {"timestamp_format", "iso",
     "how times stand in numbers: iso (never, only as text), or seconds, millis, micros, nanos since 1970; "
     "text is always read"},
    OPTION_BYTEA("hex"),
    OPTION_KEY_FORMAT("json"),
    OPTION_KEY_COLUMNS,
    OPTION_KEY_STYLE,
    {NULL}};

struct json_decoder {
    struct decoder base;
    struct json_reader *reader;
    struct key_reader *key;
    struct json_text text;
    bool is_table, has_key_columns;
};

static void close_decoder(struct decoder *base)
{
    struct json_decoder *decoder = (struct json_decoder *)base;
    json_reader_destroy(decoder->reader);
    key_reader_destroy(decoder->key);
    json_text_release(&decoder->text);
    mem_free(decoder);
}

/* The columns that are read from the value. */
static bool make_reader(struct json_decoder *decoder, const struct format_spec *spec,
                        struct json_encoding encoding, struct error *err)
{
    static const char *const unknown[] = {"ignore", "reject", NULL};
    uint32_t word;
    bool sensitive;
    if (!format_option_word(&format_json, spec, "unknown", unknown, &word, err) ||
        !format_option_bool(&format_json, spec, "case_sensitive", &sensitive, err))
        return false;
    struct json_column_spec *columns = mem_zalloc(sizeof(*columns) * (spec->columns_count + 1));
    struct json_reader_spec json = {.columns = columns, .reject_unknown = word == 1, .fold_case = !sensitive};
    for (uint32_t i = 0; i < spec->columns_count; i++) {
        const struct format_column *column = &spec->columns[i];
        if (column->is_key && decoder->has_key_columns)
            continue;
        columns[json.columns_count++] =
            (struct json_column_spec){.name = column->name,
                                      .path = column->path,
                                      .type = column->type,
                                      .column = i,
                                      .not_null = column->not_null || column->is_key,
                                      .encoding = encoding};
    }
    bool ok = json_reader_create(&json, &decoder->reader, err);
    mem_free(columns);
    return ok;
}

static bool open_decoder(const struct format_spec *spec, struct decoder **out, struct error *err)
{
    struct json_encoding encoding;
    if (!format_check_options(&format_json, spec, err) ||
        !json_options_read(&format_json, spec, &encoding, err))
        return false;
    struct json_encoding *encodings = mem_zalloc(sizeof(*encodings) * (spec->columns_count + 1));
    for (uint32_t i = 0; i < spec->columns_count; i++)
        encodings[i] = encoding;
    struct json_decoder *decoder = mem_zalloc(sizeof(*decoder));
    decoder->base.class = &format_json;
    decoder->is_table = spec->is_table;
    bool ok = key_reader_create(&format_json, spec, encodings, false, &decoder->key, err);
    decoder->has_key_columns = key_reader_has_columns(decoder->key);
    ok = ok && make_reader(decoder, spec, encoding, err);
    mem_free(encodings);
    if (ok && out != NULL)
        *out = &decoder->base;
    else
        close_decoder(&decoder->base);
    return ok;
}

static bool decode(struct decoder *base, const struct record *record, struct batch *out, struct error *why)
{
    struct json_decoder *decoder = (struct json_decoder *)base;
    if (UNLIKELY(record->value == NULL)) {
        if (decoder->is_table && decoder->key != NULL)
            return key_reader_delete(decoder->key, record, out, why);
        return error_set(why, ERRCODE_NULL_VALUE_NOT_ALLOWED, "the record has no value");
    }
    if (!json_text_load(&decoder->text, record->value, record->value_len, why))
        return false;
    batch_reserve(out, 1);
    bool ok = json_reader_read(decoder->reader, &decoder->text, decoder->text.bytes, NULL, out, why);
    if (ok && decoder->has_key_columns)
        ok = key_reader_read(decoder->key, record, out, why);
    return format_row_finish(out, ok, 1);
}

/* ---- writing ---- */

struct json_encoder {
    struct encoder base;
    struct json_writer *value;
    struct key_writer *key;
};

static void close_encoder(struct encoder *base)
{
    struct json_encoder *encoder = (struct json_encoder *)base;
    json_writer_destroy(encoder->value);
    key_writer_destroy(encoder->key);
    mem_free(encoder);
}

static bool open_encoder(const struct format_spec *spec, struct encoder **out, struct error *err)
{
    struct json_encoding encoding;
    struct key_writer *key;
    if (!format_check_options(&format_json, spec, err) ||
        !json_options_read(&format_json, spec, &encoding, err) ||
        !key_writer_create(&format_json, spec, encoding, &key, err))
        return false;
    struct json_encoder *encoder = mem_zalloc(sizeof(*encoder));
    encoder->base.class = &format_json;
    encoder->key = key;
    encoder->value =
        json_writer_create(spec->columns, NULL, spec->columns_count, encoding.time, encoding.bytes_base64);
    if (out != NULL)
        *out = &encoder->base;
    else
        close_encoder(&encoder->base);
    return true;
}

static bool encode(struct encoder *base, const struct batch *rows, uint32_t row, bool is_deletion,
                   struct strbuf *key, struct strbuf *value, struct error *err)
{
    struct json_encoder *encoder = (struct json_encoder *)base;
    key_writer_write(encoder->key, rows, row, key);
    if (!is_deletion)
        json_writer_row(encoder->value, rows, row, value);
    return true;
}

const struct format_class format_json = {
    .name = "json",
    .help = "a JSON object per record, members by the names of columns, or by their OPTIONS (path 'a.b[0]')",
    .options = options,
    .open_decoder = open_decoder,
    .decode = decode,
    .close_decoder = close_decoder,
    .open_encoder = open_encoder,
    .encode = encode,
    .close_encoder = close_encoder,
};
