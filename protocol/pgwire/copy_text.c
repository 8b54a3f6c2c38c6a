/* copy_text.c: COPY's text format: one line per row, fields between delimiters, backslash escapes.
 *
 * A line ends at the first line end that no backslash precedes; the kind of line end of the first line holds
 * for all. Fields without backslashes, nearly all, are decoded where they stand. */
#include "protocol/pgwire/copy_internal.h"
#include "storage/data/text_check.h"

/* Is the byte at `at` escaped: an odd number of backslashes before it? */
static bool is_escaped(const uint8_t *start, const uint8_t *at)
{
    size_t count = 0;
    while (at - count > start && at[-(ptrdiff_t)count - 1] == '\\')
        count++;
    return count % 2 == 1;
}

static bool line_error(struct copy_reader *reader, const char *message, const char *hint, struct error *err)
{
    error_set(err, ERRCODE_BAD_COPY_FILE_FORMAT, "%s", message);
    if (hint != NULL)
        error_hint(err, "%s", hint);
    return copy_line_context(reader, NULL, 0, err);
}

/* Finds the end of the line at `start`. *line_end is its first byte behind the text, *next the next line;
 * *line_end NULL: not whole yet. */
static bool find_line(struct copy_reader *reader, const uint8_t *start, const uint8_t *end, bool at_end,
                      const uint8_t **line_end, const uint8_t **next, struct error *err)
{
    const uint8_t *at = start + reader->searched;
    *line_end = NULL;
    for (;;) {
        uint8_t last = reader->line_end == LINE_END_CR ? '\r' : '\n';
        const uint8_t *hit;
        if (reader->line_end == LINE_END_UNKNOWN) {
            hit = find_byte2(at, end, '\n', '\r');
            if (hit == end)
                hit = NULL;
        } else {
            hit = memchr(at, last, (size_t)(end - at));
        }
        if (hit == NULL) {
            if (at_end && start < end) {
                *line_end = *next = end;
                break;
            }
            reader->searched = (size_t)(end - start);
            return true;
        }
        if (is_escaped(start, hit)) {
            at = hit + 1;
            continue;
        }
        if (reader->line_end == LINE_END_UNKNOWN) {
            if (*hit == '\r' && hit + 1 == end && !at_end) {
                reader->searched = (size_t)(hit - start);
                return true;
            }
            reader->line_end = *hit == '\n'                      ? LINE_END_NL
                               : hit + 1 < end && hit[1] == '\n' ? LINE_END_CRNL
                                                                 : LINE_END_CR;
            if (reader->line_end == LINE_END_CRNL)
                hit++;
        }
        *next = hit + 1;
        *line_end = hit;
        if (reader->line_end == LINE_END_CRNL) {
            if (hit == start || hit[-1] != '\r')
                return line_error(reader, "literal newline found in data",
                                  "Use \"\\n\" to represent newline.", err);
            *line_end = hit - 1;
        }
        break;
    }
    reader->searched = 0;
    /* the other kind of line end must not stand in the line */
    uint8_t other = reader->line_end == LINE_END_CR ? '\n' : '\r';
    const uint8_t *stray = start;
    while ((stray = memchr(stray, other, (size_t)(*line_end - stray))) != NULL) {
        if (!is_escaped(start, stray))
            return other == '\r' ? line_error(reader, "literal carriage return found in data",
                                              "Use \"\\r\" to represent carriage return.", err)
                                 : line_error(reader, "literal newline found in data",
                                              "Use \"\\n\" to represent newline.", err);
        stray++;
    }
    return true;
}

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Takes the escapes out of [at, end) into reader->field. *numeric: bytes were given by number. */
static void unescape(struct copy_reader *reader, const uint8_t *at, const uint8_t *end, bool *numeric)
{
    struct strbuf *out = &reader->field;
    strbuf_reset(out);
    *numeric = false;
    while (at < end) {
        if (*at != '\\' || at + 1 == end) {
            strbuf_addc(out, (char)*at++);
            continue;
        }
        uint8_t c = at[1];
        at += 2;
        switch (c) {
        case 'b':
            strbuf_addc(out, '\b');
            break;
        case 'f':
            strbuf_addc(out, '\f');
            break;
        case 'n':
            strbuf_addc(out, '\n');
            break;
        case 'r':
            strbuf_addc(out, '\r');
            break;
        case 't':
            strbuf_addc(out, '\t');
            break;
        case 'v':
            strbuf_addc(out, '\v');
            break;
        case 'x': {
            int value = 0, digits = 0;
            while (digits < 2 && at < end && hex_digit(*at) >= 0) {
                value = value * 16 + hex_digit(*at++);
                digits++;
            }
            strbuf_addc(out, digits > 0 ? (char)value : 'x');
            *numeric = *numeric || digits > 0;
            break;
        }
        default:
            if (c >= '0' && c <= '7') {
                int value = c - '0';
                for (int digits = 1; digits < 3 && at < end && *at >= '0' && *at <= '7'; digits++)
                    value = value * 8 + (*at++ - '0');
                strbuf_addc(out, (char)value);
                *numeric = true;
            } else {
                strbuf_addc(out, (char)c);
            }
        }
    }
}

/* The end of the field at `at`; *escaped: it holds backslashes. */
static const uint8_t *field_end(const uint8_t *at, const uint8_t *end, uint8_t delimiter, bool *escaped)
{
    *escaped = false;
    for (;;) {
        at = find_byte2(at, end, delimiter, '\\');
        if (at == end || *at == delimiter)
            return at;
        *escaped = true;
        at += end - at >= 2 ? 2 : 1;
    }
}

static bool read_header(struct copy_reader *reader, const uint8_t *at, const uint8_t *end, struct error *err)
{
    reader->header_done = true;
    if (reader->options->header != COPY_HEADER_MATCH)
        return true;
    uint32_t fields = 0;
    for (;;) {
        bool escaped, numeric;
        const uint8_t *stop = field_end(at, end, (uint8_t)reader->options->delimiter, &escaped);
        unescape(reader, at, stop, &numeric);
        if (!copy_check_header(reader, fields, strbuf_text(&reader->field), reader->field.len, err))
            return false;
        fields++;
        if (stop == end)
            break;
        at = stop + 1;
    }
    return copy_check_header_count(reader, fields, err);
}

static bool read_line(struct copy_reader *reader, const uint8_t *line, const uint8_t *end, struct error *err)
{
    size_t null_len = reader->null_len;
    const char *null_text = reader->options->null_text;
    uint8_t delimiter = (uint8_t)reader->options->delimiter;
    const uint8_t *at = line;
    if (!text_check_utf8((const char *)line, (size_t)(end - line), err))
        return copy_line_context(reader, NULL, 0, err);
    if (reader->columns_count == 0) {
        if (line == end)
            return copy_finish_row(reader, err);
        error_set(err, ERRCODE_BAD_COPY_FILE_FORMAT, "extra data after last expected column");
        return copy_line_context(reader, line, (size_t)(end - line), err);
    }
    for (uint32_t column = 0;; column++) {
        bool escaped;
        const uint8_t *stop = field_end(at, end, delimiter, &escaped);
        size_t len = (size_t)(stop - at);
        if (len == null_len && memcmp(at, null_text, len) == 0) {
            (void)copy_store_null(reader, column);
        } else if (!escaped) {
            if (!copy_store_text(reader, column, (const char *)at, len, err))
                return false;
        } else {
            bool numeric;
            unescape(reader, at, stop, &numeric);
            const char *text = strbuf_text(&reader->field);
            if (numeric && !text_check_utf8(text, reader->field.len, err))
                return copy_line_context(reader, line, (size_t)(end - line), err);
            if (!copy_store_text(reader, column, text, reader->field.len, err))
                return false;
        }
        bool more = stop < end;
        if (column + 1 == reader->columns_count) {
            if (!more)
                return copy_finish_row(reader, err);
            error_set(err, ERRCODE_BAD_COPY_FILE_FORMAT, "extra data after last expected column");
            return copy_line_context(reader, line, (size_t)(end - line), err);
        }
        if (!more) {
            error_set(err, ERRCODE_BAD_COPY_FILE_FORMAT, "missing data for column \"%s\"",
                      reader->columns[column + 1].name);
            return copy_line_context(reader, line, (size_t)(end - line), err);
        }
        at = stop + 1;
    }
}

bool copy_text_consume(struct copy_reader *reader, const uint8_t *bytes, size_t len, bool at_end,
                       size_t *used, struct error *err)
{
    const uint8_t *at = bytes, *end = bytes + len;
    while (at < end && !reader->ended) {
        const uint8_t *line_end, *next;
        if (!find_line(reader, at, end, at_end, &line_end, &next, err))
            return false;
        if (line_end == NULL)
            break;
        if (line_end - at == 2 && at[0] == '\\' && at[1] == '.')
            reader->ended = true;
        else if (!reader->header_done ? !read_header(reader, at, line_end, err)
                                      : !read_line(reader, at, line_end, err))
            return false;
        reader->line++;
        at = next;
    }
    *used = (size_t)(at - bytes);
    return true;
}

void copy_text_escape(struct copy_writer *writer, const char *text, size_t len, struct strbuf *out)
{
    size_t start = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (LIKELY(!writer->special[c]))
            continue;
        strbuf_add(out, text + start, i - start);
        start = i + 1;
        strbuf_addc(out, '\\');
        switch (c) {
        case '\b':
            strbuf_addc(out, 'b');
            break;
        case '\f':
            strbuf_addc(out, 'f');
            break;
        case '\n':
            strbuf_addc(out, 'n');
            break;
        case '\r':
            strbuf_addc(out, 'r');
            break;
        case '\t':
            strbuf_addc(out, 't');
            break;
        case '\v':
            strbuf_addc(out, 'v');
            break;
        default:
            strbuf_addc(out, (char)c);
        }
    }
    strbuf_add(out, text + start, len - start);
}
