/* csv.c: format csv: fields in the order of the columns, as COPY reads and writes them; one record is one line, without its end. */
#include "protocol/format/json_options.h"
#include "protocol/format/key.h"
#include "protocol/pgwire/copy.h"
#include "protocol/pgwire/csv_field.h"
#include "storage/data/text_check.h"
#include "storage/data/text_store.h"

static const struct connector_option_row options[] = {
    {"delimiter", ",", "what separates fields"},
    {"quote", "\"", "what stands around fields that hold delimiters, quotes or line ends"},
    {"escape", "\"", "what stands before a quote in a quoted field"},
    {"null", "", "the text of a NULL, when it is not quoted"},
    OPTION_KEY_FORMAT("text"),
    OPTION_KEY_COLUMNS,
    OPTION_KEY_STYLE,
    {NULL}};

static bool read_dialect(const struct format_spec *spec, struct csv_dialect *out, struct error *err)
{
    char delimiter, quote, escape;
    if (!format_check_options(&format_csv, spec, err) || !format_check_no_paths(&format_csv, spec, err) ||
        !format_option_byte(&format_csv, spec, "delimiter", &delimiter, err) ||
        !format_option_byte(&format_csv, spec, "quote", &quote, err) ||
        !format_option_byte(&format_csv, spec, "escape", &escape, err))
        return false;
    if (delimiter == quote)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "delimiter and quote of format csv must be different");
    *out = (struct csv_dialect){(uint8_t)delimiter, (uint8_t)quote, (uint8_t)escape};
    return true;
}

/* ---- reading ---- */

struct csv_column {
    uint32_t column;
    enum text_kind kind;
    bool not_null;
    const char *name;
};

struct csv_decoder {
    struct decoder base;
    struct arena arena;
    struct csv_dialect dialect;
    struct strbuf field;
    const char *null_text;
    size_t null_len;
    uint32_t columns_count;
    struct csv_column *columns;
    struct key_reader *key;
    bool is_table, has_key_columns;
};

static void close_decoder(struct decoder *base)
{
    struct csv_decoder *decoder = (struct csv_decoder *)base;
    key_reader_destroy(decoder->key);
    strbuf_release(&decoder->field);
    arena_release(&decoder->arena);
    mem_free(decoder);
}

static bool open_decoder(const struct format_spec *spec, struct decoder **out, struct error *err)
{
    struct csv_dialect dialect;
    struct key_reader *key;
    if (!read_dialect(spec, &dialect, err) || !key_reader_create(&format_csv, spec, NULL, false, &key, err))
        return false;
    struct csv_decoder *decoder = mem_zalloc(sizeof(*decoder));
    arena_init(&decoder->arena, NULL);
    decoder->base.class = &format_csv;
    decoder->dialect = dialect;
    decoder->key = key;
    decoder->is_table = spec->is_table;
    decoder->has_key_columns = key_reader_has_columns(key);
    decoder->null_text = arena_strdup(&decoder->arena, format_option(&format_csv, spec, "null"));
    decoder->null_len = strlen(decoder->null_text);
    decoder->columns = ARENA_ARRAY(&decoder->arena, struct csv_column, spec->columns_count);
    for (uint32_t i = 0; i < spec->columns_count; i++) {
        const struct format_column *column = &spec->columns[i];
        if (column->is_key && decoder->has_key_columns)
            continue;
        decoder->columns[decoder->columns_count++] =
            (struct csv_column){.column = i,
                                .kind = text_kind_of(column->type),
                                .not_null = column->not_null || column->is_key,
                                .name = arena_strdup(&decoder->arena, column->name)};
    }
    if (out != NULL)
        *out = &decoder->base;
    else
        close_decoder(&decoder->base);
    return true;
}

static bool store_field(struct csv_decoder *decoder, const struct csv_column *column,
                        const struct csv_field *field, struct batch *out, struct error *why)
{
    bool is_null = !field->quoted && field->raw_len == decoder->null_len &&
                   memcmp(field->raw, decoder->null_text, field->raw_len) == 0;
    if (is_null && column->not_null)
        return error_set(why, ERRCODE_NOT_NULL_VIOLATION,
                         "null value in column \"%s\" violates not-null constraint", column->name);
    if (is_null) {
        column_set_null(&out->columns[column->column], out->rows, out->capacity, out->arena);
        return true;
    }
    return text_store(out, column->column, out->rows, column->kind, field->text, field->len, &io_env_default,
                      true, why) ||
           format_blame_column(why, column->name);
}

/* An unquoted line end: the record would be more than one line. */
static bool has_line_end(const struct csv_field *field)
{
    return !field->quoted && (memchr(field->raw, '\n', field->raw_len) != NULL ||
                              memchr(field->raw, '\r', field->raw_len) != NULL);
}

static bool read_fields(struct csv_decoder *decoder, const uint8_t *at, const uint8_t *end, struct batch *out,
                        struct error *why)
{
    for (uint32_t i = 0;; i++) {
        struct csv_field field;
        if (!csv_field_read(&decoder->dialect, &at, end, &decoder->field, &field))
            return error_set(why, ERRCODE_BAD_COPY_FILE_FORMAT, "unterminated CSV quoted field");
        if (has_line_end(&field))
            return error_set(why, ERRCODE_BAD_COPY_FILE_FORMAT, "unquoted line end in a CSV record");
        if (i == decoder->columns_count)
            return error_set(why, ERRCODE_BAD_COPY_FILE_FORMAT, "extra data after last expected column");
        if (!store_field(decoder, &decoder->columns[i], &field, out, why))
            return false;
        if (at == end) {
            return i + 1 == decoder->columns_count ||
                   error_set(why, ERRCODE_BAD_COPY_FILE_FORMAT, "missing data for column \"%s\"",
                             decoder->columns[i + 1].name);
        }
        at++;
    }
}

static bool decode(struct decoder *base, const struct record *record, struct batch *out, struct error *why)
{
    struct csv_decoder *decoder = (struct csv_decoder *)base;
    if (record->value == NULL) {
        if (decoder->is_table && decoder->key != NULL)
            return key_reader_delete(decoder->key, record, out, why);
        return error_set(why, ERRCODE_NULL_VALUE_NOT_ALLOWED, "the record has no value");
    }
    const uint8_t *end = record->value + record->value_len;
    if (record->value_len > VALUE_BYTES_MAX)
        return error_set(why, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                         "record of %zu bytes is longer than the maximum of %u", record->value_len,
                         VALUE_BYTES_MAX);
    /* one line end may stand behind the fields */
    if (end > record->value && end[-1] == '\n')
        end--;
    if (end > record->value && end[-1] == '\r')
        end--;
    batch_reserve(out, 1);
    bool ok = text_check_utf8((const char *)record->value, (size_t)(end - record->value), why) &&
              read_fields(decoder, record->value, end, out, why) &&
              (!decoder->has_key_columns || key_reader_read(decoder->key, record, out, why));
    return format_row_finish(out, ok, 1);
}

/* ---- writing ---- */

struct csv_encoder {
    struct encoder base;
    struct arena arena;
    struct copy_options options;
    struct copy_writer writer;
    struct key_writer *key;
};

static void close_encoder(struct encoder *base)
{
    struct csv_encoder *encoder = (struct csv_encoder *)base;
    key_writer_destroy(encoder->key);
    copy_writer_release(&encoder->writer);
    arena_release(&encoder->arena);
    mem_free(encoder);
}

static bool open_encoder(const struct format_spec *spec, struct encoder **out, struct error *err)
{
    struct csv_dialect dialect;
    if (!read_dialect(spec, &dialect, err))
        return false;
    struct csv_encoder *encoder = mem_zalloc(sizeof(*encoder));
    struct arena *arena = &encoder->arena;
    arena_init(arena, NULL);
    encoder->base.class = &format_csv;
    encoder->options = (struct copy_options){
        .format = COPY_CSV,
        .delimiter = (char)dialect.delimiter,
        .quote = (char)dialect.quote,
        .escape = (char)dialect.escape,
        .null_text = arena_strdup(arena, format_option(&format_csv, spec, "null")),
    };
    const char **names = ARENA_ARRAY(arena, const char *, spec->columns_count);
    struct sql_type *types = ARENA_ARRAY(arena, struct sql_type, spec->columns_count);
    for (uint32_t i = 0; i < spec->columns_count; i++) {
        names[i] = spec->columns[i].name;
        types[i] = spec->columns[i].type;
    }
    bool ok = copy_writer_init(&encoder->writer, arena, &encoder->options, names, types, spec->columns_count,
                               err) &&
              key_writer_create(&format_csv, spec, (struct json_encoding){0}, &encoder->key, err);
    if (ok && out != NULL)
        *out = &encoder->base;
    else
        close_encoder(&encoder->base);
    return ok;
}

static bool encode(struct encoder *base, const struct batch *rows, uint32_t row, bool is_deletion,
                   struct strbuf *key, struct strbuf *value, struct error *err)
{
    struct csv_encoder *encoder = (struct csv_encoder *)base;
    key_writer_write(encoder->key, rows, row, key);
    if (!is_deletion) {
        copy_writer_row(&encoder->writer, rows, row, &io_env_default, value);
        value->data[--value->len] = '\0'; /* the line end */
    }
    return true;
}

const struct format_class format_csv = {
    .name = "csv",
    .help = "fields in the order of the columns, as COPY ... (FORMAT csv) reads and writes them; a record is "
            "one line",
    .options = options,
    .open_decoder = open_decoder,
    .decode = decode,
    .close_decoder = close_decoder,
    .open_encoder = open_encoder,
    .encode = encode,
    .close_encoder = close_encoder,
};
