/* copy_csv.c: COPY's CSV format: quoted fields may hold delimiters, quotes and line ends. */
#include "protocol/pgwire/copy_internal.h"
#include "protocol/pgwire/csv_field.h"
#include "storage/data/text_check.h"

static bool csv_error(struct copy_reader *reader, const char *message, const char *hint, struct error *err)
{
    error_set(err, ERRCODE_BAD_COPY_FILE_FORMAT, "%s", message);
    if (hint != NULL)
        error_hint(err, "%s", hint);
    return copy_line_context(reader, NULL, 0, err);
}

/* Like find_line of the text format, with quotes. The state of the search is kept between calls. */
static bool find_record(struct copy_reader *reader, const uint8_t *start, const uint8_t *end, bool at_end,
                        const uint8_t **record_end, const uint8_t **next, struct error *err)
{
    uint8_t quote = (uint8_t)reader->options->quote;
    /* a quote that escapes itself just closes and opens again */
    uint8_t escape =
        reader->options->escape == reader->options->quote ? quote : (uint8_t)reader->options->escape;
    const uint8_t set[4] = {quote, escape, '\n', '\r'};
    const uint8_t *at = start + reader->searched;
    *record_end = NULL;
    for (;;) {
        const uint8_t *hit = find_byte4(at, end, set);
        if (hit != at)
            reader->after_escape = false;
        if (hit == end) {
            if (!at_end) {
                reader->searched = (size_t)(end - start);
                return true;
            }
            if (reader->in_quote)
                return csv_error(reader, "unterminated CSV quoted field", NULL, err);
            *record_end = *next = end;
            break;
        }
        uint8_t c = *hit;
        at = hit + 1;
        if (c == quote || c == escape) {
            if (reader->in_quote && c == escape && escape != quote)
                reader->after_escape = !reader->after_escape;
            if (c == quote && !reader->after_escape)
                reader->in_quote = !reader->in_quote;
            if (c != escape || escape == quote)
                reader->after_escape = false;
            continue;
        }
        reader->after_escape = false;
        if (reader->in_quote) {
            if (c == (reader->line_end == LINE_END_CR || reader->line_end == LINE_END_CRNL ? '\r' : '\n'))
                reader->lines_inside++;
            continue;
        }
        if (reader->line_end == LINE_END_UNKNOWN) {
            if (c == '\r' && at == end && !at_end) {
                reader->searched = (size_t)(hit - start);
                return true;
            }
            reader->line_end = c == '\n'                 ? LINE_END_NL
                               : at < end && *at == '\n' ? LINE_END_CRNL
                                                         : LINE_END_CR;
        }
        if (c == '\n') {
            if (reader->line_end != LINE_END_NL)
                return csv_error(reader, "unquoted newline found in data",
                                 "Use quoted CSV field to represent newline.", err);
            *record_end = hit;
            *next = at;
            break;
        }
        if (reader->line_end == LINE_END_NL)
            return csv_error(reader, "unquoted carriage return found in data",
                             "Use quoted CSV field to represent carriage return.", err);
        if (reader->line_end == LINE_END_CRNL) {
            if (at == end && !at_end) {
                reader->searched = (size_t)(hit - start);
                return true;
            }
            if (at == end || *at != '\n')
                return csv_error(reader, "unquoted carriage return found in data",
                                 "Use quoted CSV field to represent carriage return.", err);
            at++;
        }
        *record_end = hit;
        *next = at;
        break;
    }
    reader->searched = 0;
    reader->in_quote = reader->after_escape = false;
    return true;
}

static bool read_field(struct copy_reader *reader, const uint8_t **at, const uint8_t *end,
                       struct csv_field *out, struct error *err)
{
    struct csv_dialect dialect = {(uint8_t)reader->options->delimiter, (uint8_t)reader->options->quote,
                                  (uint8_t)reader->options->escape};
    return csv_field_read(&dialect, at, end, &reader->field, out) ||
           csv_error(reader, "unterminated CSV quoted field", NULL, err);
}

static bool read_header(struct copy_reader *reader, const uint8_t *at, const uint8_t *end, struct error *err)
{
    reader->header_done = true;
    if (reader->options->header != COPY_HEADER_MATCH)
        return true;
    for (uint32_t fields = 0;; fields++) {
        struct csv_field field;
        if (!read_field(reader, &at, end, &field, err) ||
            !copy_check_header(reader, fields, field.text, field.len, err))
            return false;
        if (at == end)
            return copy_check_header_count(reader, fields + 1, err);
        at++;
    }
}

static bool read_record(struct copy_reader *reader, const uint8_t *record, const uint8_t *end,
                        struct error *err)
{
    const struct copy_options *options = reader->options;
    const uint8_t *at = record;
    if (!text_check_utf8((const char *)record, (size_t)(end - record), err))
        return copy_line_context(reader, NULL, 0, err);
    if (reader->columns_count == 0) {
        if (record == end)
            return copy_finish_row(reader, err);
        error_set(err, ERRCODE_BAD_COPY_FILE_FORMAT, "extra data after last expected column");
        return copy_line_context(reader, record, (size_t)(end - record), err);
    }
    for (uint32_t column = 0;; column++) {
        struct csv_field field;
        if (!read_field(reader, &at, end, &field, err))
            return false;
        bool is_null = !field.quoted && field.raw_len == reader->null_len &&
                       memcmp(field.raw, options->null_text, field.raw_len) == 0;
        if (is_null && options->force_not_null != NULL && options->force_not_null[column]) {
            is_null = false;
            field.text = options->null_text;
            field.len = reader->null_len;
        } else if (!is_null && options->force_null != NULL && options->force_null[column]) {
            is_null = field.len == reader->null_len && memcmp(field.text, options->null_text, field.len) == 0;
        }
        if (is_null)
            (void)copy_store_null(reader, column);
        else if (!copy_store_text(reader, column, field.text, field.len, err))
            return false;
        bool more = at < end;
        if (column + 1 == reader->columns_count) {
            if (!more)
                return copy_finish_row(reader, err);
            error_set(err, ERRCODE_BAD_COPY_FILE_FORMAT, "extra data after last expected column");
            return copy_line_context(reader, record, (size_t)(end - record), err);
        }
        if (!more) {
            error_set(err, ERRCODE_BAD_COPY_FILE_FORMAT, "missing data for column \"%s\"",
                      reader->columns[column + 1].name);
            return copy_line_context(reader, record, (size_t)(end - record), err);
        }
        at++;
    }
}

bool copy_csv_consume(struct copy_reader *reader, const uint8_t *bytes, size_t len, bool at_end, size_t *used,
                      struct error *err)
{
    const uint8_t *at = bytes, *end = bytes + len;
    while (at < end && !reader->ended) {
        const uint8_t *record_end, *next;
        if (!find_record(reader, at, end, at_end, &record_end, &next, err))
            return false;
        if (record_end == NULL)
            break;
        reader->line += reader->lines_inside;
        reader->lines_inside = 0;
        if (record_end - at == 2 && at[0] == '\\' && at[1] == '.')
            reader->ended = true;
        else if (!reader->header_done ? !read_header(reader, at, record_end, err)
                                      : !read_record(reader, at, record_end, err))
            return false;
        reader->line++;
        at = next;
    }
    *used = (size_t)(at - bytes);
    return true;
}

void copy_csv_quote(struct copy_writer *writer, const char *text, size_t len, bool force, struct strbuf *out)
{
    const struct copy_options *options = writer->options;
    bool quote = force || (strlen(options->null_text) == len && memcmp(text, options->null_text, len) == 0) ||
                 (writer->columns_count == 1 && len == 2 && memcmp(text, "\\.", 2) == 0);
    for (size_t i = 0; i < len && !quote; i++)
        quote = writer->special[(unsigned char)text[i]];
    if (!quote) {
        strbuf_add(out, text, len);
        return;
    }
    strbuf_addc(out, options->quote);
    for (size_t i = 0; i < len; i++) {
        if (text[i] == options->quote || text[i] == options->escape)
            strbuf_addc(out, options->escape);
        strbuf_addc(out, text[i]);
    }
    strbuf_addc(out, options->quote);
}
