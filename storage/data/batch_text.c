/* batch_text.c: batches as lines of text, for tests and dumps.
 *
 *   + 1 apple
 *   -2 7 "two words"
 *   + \N 2024-01-01
 *
 * A value stands bare unless it is empty, begins with a quote, is \N itself, or holds white space; then it is
 * quoted, and inside quotes \" \\ \n \r \t are escapes. A bare value is taken as it is, backslashes included.
 */
#include "storage/data/batch.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool needs_quotes(const char *text, size_t len)
{
    if (len == 0 || text[0] == '"' || (len == 2 && text[0] == '\\' && text[1] == 'N'))
        return true;
    for (size_t i = 0; i < len; i++) {
        if (is_blank(text[i]))
            return true;
    }
    return false;
}

static void write_quoted(const char *text, size_t len, struct strbuf *out)
{
    strbuf_addc(out, '"');
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        const char *letter = strchr("\"\"\\\\\nn\rr\tt", c);
        if (c != '\0' && letter != NULL && (c == '"' || c == '\\' || (uint8_t)c < 0x20)) {
            strbuf_addc(out, '\\');
            c = letter[1];
        }
        strbuf_addc(out, c);
    }
    strbuf_addc(out, '"');
}

void batch_to_text(const struct batch *batch, struct strbuf *out)
{
    struct strbuf item = STRBUF_INIT;
    for (uint32_t row = 0; row < batch->rows; row++) {
        int64_t weight = batch_weight(batch, row);
        if (weight == 1 || weight == -1)
            strbuf_addc(out, weight < 0 ? '-' : '+');
        else
            strbuf_addf(out, "%+lld", (long long)weight);
        for (uint32_t k = 0; k < batch->columns_count; k++) {
            const struct column *column = &batch->columns[k];
            struct datum value = column_get(column, row);
            strbuf_addc(out, ' ');
            if (value.is_null) {
                strbuf_add(out, "\\N", 2);
                continue;
            }
            strbuf_reset(&item);
            type_output(column->type.oid, &value, &io_env_default, &item);
            if (needs_quotes(strbuf_text(&item), item.len))
                write_quoted(strbuf_text(&item), item.len, out);
            else
                strbuf_add(out, strbuf_text(&item), item.len);
        }
        strbuf_addc(out, '\n');
    }
    strbuf_release(&item);
}

/* ---- parsing ---- */

struct text_reader {
    const char *at;
    uint32_t line;
};

static void skip_blanks(struct text_reader *reader)
{
    while (*reader->at == ' ' || *reader->at == '\t' || *reader->at == '\r')
        reader->at++;
}

static bool line_error(const struct text_reader *reader, const char *what, struct error *err)
{
    return error_set(err, ERRCODE_INVALID_TEXT_REPRESENTATION, "batch text, line %u: %s", reader->line, what);
}

static bool read_weight(struct text_reader *reader, int64_t *weight, struct error *err)
{
    char sign = *reader->at;
    if (sign != '+' && sign != '-')
        return line_error(reader, "a row begins with + or -", err);
    uint64_t count = 0;
    const char *digits = ++reader->at;
    for (; *reader->at >= '0' && *reader->at <= '9'; reader->at++) {
        if (reader->at - digits >= 18)
            return line_error(reader, "the weight is too large", err);
        count = count * 10 + (uint64_t)(*reader->at - '0');
    }
    if (reader->at == digits)
        count = 1;
    *weight = sign == '-' ? -(int64_t)count : (int64_t)count;
    return true;
}

/* The next value without its quotes. */
static bool read_item(struct text_reader *reader, struct strbuf *item, bool *is_null, struct error *err)
{
    strbuf_reset(item);
    *is_null = false;
    skip_blanks(reader);
    if (*reader->at == '\0' || *reader->at == '\n')
        return line_error(reader, "too few values", err);
    if (*reader->at != '"') {
        const char *start = reader->at;
        while (*reader->at != '\0' && !is_blank(*reader->at))
            reader->at++;
        strbuf_add(item, start, (size_t)(reader->at - start));
        *is_null = item->len == 2 && memcmp(start, "\\N", 2) == 0;
        return true;
    }
    for (reader->at++; *reader->at != '"'; reader->at++) {
        char c = *reader->at;
        if (c == '\\' && reader->at[1] != '\0') {
            c = *++reader->at;
            c = c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
        } else if (c == '\0' || c == '\n') {
            return line_error(reader, "a quoted value does not end", err);
        }
        strbuf_addc(item, c);
    }
    reader->at++;
    return true;
}

static bool read_row(struct batch *batch, struct text_reader *reader, struct datum *values,
                     struct strbuf *item, struct error *err)
{
    int64_t weight = 1;
    if (!read_weight(reader, &weight, err))
        return false;
    for (uint32_t k = 0; k < batch->columns_count; k++) {
        bool is_null;
        if (!read_item(reader, item, &is_null, err))
            return false;
        struct sql_type type = batch->columns[k].type;
        if (is_null)
            values[k] = datum_null();
        else if (!type_input(type.oid, type.typmod, strbuf_text(item), item->len, &io_env_default,
                             batch->arena, &values[k], err))
            return false;
    }
    skip_blanks(reader);
    if (*reader->at != '\0' && *reader->at != '\n')
        return line_error(reader, "too many values", err);
    batch_append_datums(batch, values, weight);
    return true;
}

bool batch_from_text(struct batch *batch, const char *text, struct error *err)
{
    struct text_reader reader = {text, 1};
    struct strbuf item = STRBUF_INIT;
    struct datum *values = ARENA_ARRAY(batch->arena, struct datum, batch->columns_count);
    bool ok = true;
    while (ok && *reader.at != '\0') {
        skip_blanks(&reader);
        if (*reader.at == '\n') {
            reader.at++;
            reader.line++;
        } else if (*reader.at != '\0') {
            ok = read_row(batch, &reader, values, &item, err);
        }
    }
    strbuf_release(&item);
    return ok;
}
