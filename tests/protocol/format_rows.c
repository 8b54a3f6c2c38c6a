/* format_rows.c: a format from the command line, for tests that compare it with somebody else's.
 *
 *   format_rows FORMAT [--option NAME=VALUE]... [--write] COLUMN...     COLUMN: name|type|path|flags (format_test.h)
 *
 * Reads records from standard input, one per line, a key before a tab when there is one (\N: none). Writes one line per record: "row" and
 * the values, or "none", or "error" and the SQLSTATE and message; separated by tabs, escaped as in COPY. With --write the row is
 * written again by the same format, as one more field. */
#include "tests/protocol/format_test.h"

static void put(const char *text, size_t len, struct strbuf *out)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '\\' || c == '\t' || c == '\n' || c == '\r') {
            strbuf_addc(out, '\\');
            c = c == '\t' ? 't' : c == '\n' ? 'n' : c == '\r' ? 'r' : c;
        }
        strbuf_addc(out, c);
    }
}

static void put_row(struct format_test *test, uint32_t row, bool is_written, struct strbuf *out)
{
    struct strbuf text = STRBUF_INIT, key = STRBUF_INIT;
    strbuf_adds(out, batch_weight(test->rows, row) < 0 ? "delete" : "row");
    for (uint32_t i = 0; i < test->rows->columns_count; i++) {
        strbuf_addc(out, '\t');
        if (column_is_null(&test->rows->columns[i], row)) {
            strbuf_adds(out, "\\N");
            continue;
        }
        strbuf_reset(&text);
        format_test_value(&test->rows->columns[i], row, &text);
        put(strbuf_text(&text), text.len, out);
    }
    if (is_written) {
        strbuf_reset(&text);
        if (!test->class->encode(test->encoder, test->rows, row, false, &key, &text, &test->err))
            exit(3);
        strbuf_addc(out, '\t');
        put(strbuf_text(&text), text.len, out);
    }
    strbuf_release(&text);
    strbuf_release(&key);
}

int main(int argc, char **argv)
{
    static struct format_test test;
    const char *columns[FORMAT_TEST_MAX + 1] = {NULL}, *options[FORMAT_TEST_MAX + 1] = {NULL};
    uint32_t columns_count = 0, options_count = 0;
    bool is_written = false;
    if (argc < 3)
        return 2;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--write") == 0)
            is_written = true;
        else if (strcmp(argv[i], "--option") == 0 && i + 1 < argc && options_count < FORMAT_TEST_MAX)
            options[options_count++] = argv[++i];
        else if (columns_count < FORMAT_TEST_MAX)
            columns[columns_count++] = argv[i];
    }
    if (!format_test_open(&test, argv[1], columns, options) ||
        (is_written && !test.class->open_encoder(&test.spec, &test.encoder, &test.err))) {
        fprintf(stderr, "%s\n", test.err.message);
        return 1;
    }
    char *line = NULL;
    size_t cap = 0;
    struct strbuf out = STRBUF_INIT;
    for (ssize_t len; (len = getline(&line, &cap, stdin)) >= 0;) {
        len -= len > 0 && line[len - 1] == '\n';
        char *tab = memchr(line, '\t', (size_t)len), *value = tab != NULL ? tab + 1 : line;
        size_t key_len = tab != NULL ? (size_t)(tab - line) : 0, value_len = (size_t)(line + len - value);
        bool has_value = value_len != 2 || memcmp(value, "\\N", 2) != 0;
        uint32_t before = test.rows->rows;
        strbuf_reset(&out);
        if (!format_test_decode(&test, tab != NULL ? line : NULL, key_len, has_value ? value : NULL,
                                value_len)) {
            strbuf_addf(&out, "error\t%s\t", error_sqlstate(test.err.code));
            put(test.err.message, strlen(test.err.message), &out);
        } else if (test.rows->rows == before) {
            strbuf_adds(&out, "none");
        } else {
            put_row(&test, before, is_written, &out);
        }
        printf("%s\n", strbuf_text(&out));
    }
    free(line);
    strbuf_release(&out);
    format_test_close(&test);
    return 0;
}
