/* csv_field.c: see csv_field.h. */
#include "protocol/pgwire/csv_field.h"

#include "protocol/pgwire/copy_internal.h"

bool csv_field_read(const struct csv_dialect *dialect, const uint8_t **at, const uint8_t *end,
                    struct strbuf *scratch, struct csv_field *out)
{
    uint8_t delimiter = dialect->delimiter, quote = dialect->quote, escape = dialect->escape;
    const uint8_t *start = *at;
    const uint8_t *stop = find_byte2(start, end, delimiter, quote);
    out->raw = start;
    out->quoted = false;
    if (stop == end || *stop == delimiter) {
        out->text = (const char *)start;
        out->len = out->raw_len = (size_t)(stop - start);
        *at = stop;
        return true;
    }
    /* a whole field in quotes without quotes inside is borrowed too */
    if (stop == start) {
        const uint8_t *close = find_byte2(start + 1, end, quote, escape);
        if (close < end && *close == quote && (close + 1 == end || close[1] == delimiter)) {
            out->text = (const char *)start + 1;
            out->len = (size_t)(close - start - 1);
            out->raw_len = (size_t)(close + 1 - start);
            out->quoted = true;
            *at = close + 1;
            return true;
        }
    }
    strbuf_reset(scratch);
    const uint8_t *c = start;
    bool inside = false;
    for (;;) {
        if (!inside) {
            const uint8_t *hit = find_byte2(c, end, delimiter, quote);
            strbuf_add(scratch, c, (size_t)(hit - c));
            c = hit;
            if (c == end || *c == delimiter)
                break;
            out->quoted = inside = true;
            c++;
            continue;
        }
        const uint8_t *hit = find_byte2(c, end, quote, escape);
        strbuf_add(scratch, c, (size_t)(hit - c));
        c = hit;
        if (c == end)
            return false;
        if (*c == escape && c + 1 < end && (c[1] == escape || c[1] == quote)) {
            strbuf_addc(scratch, (char)c[1]);
            c += 2;
        } else if (*c == quote) {
            inside = false;
            c++;
        } else {
            strbuf_addc(scratch, (char)*c++);
        }
    }
    out->text = strbuf_text(scratch);
    out->len = scratch->len;
    out->raw_len = (size_t)(c - start);
    *at = c;
    return true;
}
