/* test_copy_text.c: COPY's text, CSV and binary readers and writers: escapes, quotes, cuts at any byte,
 * errors with context. */
#include "protocol/pgwire/copy.h"
#include "tests/test.h"

struct result {
    struct strbuf text;
    struct error err;
    bool ok;
    uint64_t rows;
};

/* "+ 1 one", NULL as \N, nothing quoted. */
static bool collect(void *ctx, const struct batch *rows, struct error *err)
{
    struct strbuf *text = ctx;
    for (uint32_t row = 0; row < rows->rows; row++) {
        strbuf_addc(text, '+');
        for (uint32_t i = 0; i < rows->columns_count; i++) {
            struct datum value = column_get(&rows->columns[i], row);
            strbuf_addc(text, ' ');
            if (value.is_null)
                strbuf_adds(text, "\\N");
            else
                type_output(rows->columns[i].type.oid, &value, &io_env_default, text);
        }
        strbuf_addc(text, '\n');
    }
    return true;
}

static const struct copy_column columns[] = {
    {"a", {OID_INT4, -1}}, {"b", {OID_TEXT, -1}}, {"c", {OID_TIMESTAMP, -1}}};

static struct copy_options text_options(void)
{
    return (struct copy_options){.format = COPY_TEXT, .delimiter = '\t', .null_text = "\\N"};
}

static struct copy_options csv_options(void)
{
    return (struct copy_options){
        .format = COPY_CSV, .delimiter = ',', .quote = '"', .escape = '"', .null_text = ""};
}

/* Feeds the data in pieces of `step` bytes. */
static struct result read_copy(const struct copy_options *options, uint32_t columns_count, const char *data,
                               size_t len, size_t step)
{
    struct result result = {.ok = true};
    error_init(&result.err);
    struct copy_reader *reader = copy_reader_create(options, "t", columns, columns_count, &io_env_default,
                                                    NULL, NULL, collect, &result.text);
    for (size_t at = 0; at < len && result.ok; at += step) {
        size_t part = len - at < step ? len - at : step;
        /* an exact copy, so that a sanitizer sees reads past the piece */
        uint8_t *piece = malloc(part);
        memcpy(piece, data + at, part);
        result.ok = copy_reader_feed(reader, piece, part, &result.err);
        free(piece);
    }
    if (result.ok)
        result.ok = copy_reader_end(reader, &result.err);
    result.rows = copy_reader_rows(reader);
    copy_reader_destroy(reader);
    return result;
}

static void expect_rows(const struct copy_options *options, uint32_t columns_count, const char *data,
                        size_t len, const char *expected)
{
    for (size_t step = 1; step <= len + 1; step = step < 8 ? step + 1 : step * 3) {
        struct result result = read_copy(options, columns_count, data, len, step);
        if (!result.ok)
            fprintf(stderr, "step %zu: %s (%s)\n", step, result.err.message, result.err.context);
        EXPECT(result.ok);
        EXPECT_TEXT(strbuf_text(&result.text), expected);
        strbuf_release(&result.text);
    }
}

static void expect_error(const struct copy_options *options, uint32_t columns_count, const char *data,
                         enum error_code code, const char *message, const char *context)
{
    for (size_t step = 1; step <= strlen(data) + 1; step += 5) {
        struct result result = read_copy(options, columns_count, data, strlen(data), step);
        EXPECT(!result.ok);
        EXPECT_INT(result.err.code, code);
        EXPECT_TEXT(result.err.message, message);
        EXPECT_TEXT(result.err.context, context);
        strbuf_release(&result.text);
    }
}

#define ROWS(options, count, data, expected) expect_rows(options, count, data, sizeof(data) - 1, expected)

TEST(text_lines)
{
    struct copy_options options = text_options();
    ROWS(&options, 2, "1\tone\n-2\t\\N\n\\N\t\n", "+ 1 one\n+ -2 \\N\n+ \\N \n");
    ROWS(&options, 2, "1\ta\r\n2\tb\r\n", "+ 1 a\n+ 2 b\n");
    ROWS(&options, 2, "1\ta\r2\tb", "+ 1 a\n+ 2 b\n");
    ROWS(&options, 2, "1\ta\n\\.\nrubbish\n", "+ 1 a\n");
    ROWS(&options, 3, "1\tx\t2024-02-29 23:59:59.5\n2\ty\tinfinity\n",
         "+ 1 x 2024-02-29 23:59:59.5\n+ 2 y infinity\n");
    ROWS(&options, 1, " 7 \n+8\n", "+ 7\n+ 8\n"); /* not the fast path */
    ROWS(&options, 2, "", "");
}

TEST(text_escapes)
{
    struct copy_options options = text_options();
    ROWS(&options, 2, "1\ta\\\\b\\x41\\101\\q\n", "+ 1 a\\bAAq\n");
    struct result result = read_copy(&options, 2, "1\tx\\ty\\\nz\n", 10, 3);
    EXPECT(result.ok);
    EXPECT_INT(result.rows, 1);
    EXPECT(strstr(strbuf_text(&result.text), "x\ty\nz") != NULL);
    strbuf_release(&result.text);
    /* the null text is compared before escapes are taken out */
    ROWS(&options, 2, "1\t\\\\N\n", "+ 1 \\N\n");
    options.delimiter = '|';
    options.null_text = "null";
    ROWS(&options, 2, "1|a\\|b\nnull|null\n", "+ 1 a|b\n+ \\N \\N\n");
}

TEST(text_errors)
{
    struct copy_options options = text_options();
    expect_error(&options, 2, "1\ta\nx\tb\n", ERRCODE_INVALID_TEXT_REPRESENTATION,
                 "invalid input syntax for type integer: \"x\"", "COPY t, line 2, column a: \"x\"");
    expect_error(&options, 2, "1\n", ERRCODE_BAD_COPY_FILE_FORMAT, "missing data for column \"b\"",
                 "COPY t, line 1: \"1\"");
    expect_error(&options, 2, "1\ta\tc\n", ERRCODE_BAD_COPY_FILE_FORMAT,
                 "extra data after last expected column", "COPY t, line 1: \"1\ta\tc\"");
    expect_error(&options, 2, "1\ta\n2\tb\rc\n", ERRCODE_BAD_COPY_FILE_FORMAT,
                 "literal carriage return found in data", "COPY t, line 2");
    expect_error(&options, 1, "2147483648\n", ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
                 "value \"2147483648\" is out of range for type integer",
                 "COPY t, line 1, column a: \"2147483648\"");
    expect_error(&options, 2, "1\t\xff\n", ERRCODE_CHARACTER_NOT_IN_REPERTOIRE,
                 "invalid byte sequence for encoding \"UTF8\": 0xff", "COPY t, line 1");
    expect_error(&options, 2, "1\t\\xff\n", ERRCODE_CHARACTER_NOT_IN_REPERTOIRE,
                 "invalid byte sequence for encoding \"UTF8\": 0xff", "COPY t, line 1: \"1\t\\xff\"");
}

TEST(header)
{
    struct copy_options options = text_options();
    options.header = COPY_HEADER_LINE;
    ROWS(&options, 2, "whatever\n1\ta\n", "+ 1 a\n");
    options.header = COPY_HEADER_MATCH;
    ROWS(&options, 2, "a\tb\n1\ta\n", "+ 1 a\n");
    expect_error(&options, 2, "a\tx\n1\ta\n", ERRCODE_BAD_COPY_FILE_FORMAT,
                 "column name mismatch in header line field 2: got \"x\", expected \"b\"", "COPY t, line 1");
    expect_error(&options, 2, "a\n1\ta\n", ERRCODE_BAD_COPY_FILE_FORMAT,
                 "wrong number of fields in header line: got 1, expected 2", "COPY t, line 1");
    struct copy_options csv = csv_options();
    csv.header = COPY_HEADER_MATCH;
    ROWS(&csv, 2, "a,\"b\"\r\n1,x\r\n", "+ 1 x\n");
}

TEST(csv_fields)
{
    struct copy_options options = csv_options();
    ROWS(&options, 2, "1,one\n2,\n3,\"\"\n", "+ 1 one\n+ 2 \\N\n+ 3 \n");
    ROWS(&options, 2, "1,\"a,b\"\n2,\"say \"\"x\"\"\"\n3,x\"y\"z\n", "+ 1 a,b\n+ 2 say \"x\"\n+ 3 xyz\n");
    options.escape = '\\';
    ROWS(&options, 2, "1,\"a\\\"b\\\\c\\d\"\n", "+ 1 a\"b\\c\\d\n");
    options = csv_options();
    struct result result = read_copy(&options, 2, "1,\"x\ny\"\n2,z\n", 12, 4);
    EXPECT(result.ok);
    EXPECT_INT(result.rows, 2);
    EXPECT(strstr(strbuf_text(&result.text), "x\ny") != NULL);
    strbuf_release(&result.text);
    static const bool flags[] = {false, true};
    options.null_text = "NULL";
    options.force_null = flags;
    ROWS(&options, 2, "1,\"NULL\"\n", "+ 1 \\N\n");
    options.force_null = NULL;
    options.force_not_null = flags;
    ROWS(&options, 2, "1,NULL\n", "+ 1 NULL\n");
}

TEST(csv_errors)
{
    struct copy_options options = csv_options();
    expect_error(&options, 2, "1,\"abc\n", ERRCODE_BAD_COPY_FILE_FORMAT, "unterminated CSV quoted field",
                 "COPY t, line 1");
    /* line numbers count line ends inside quotes */
    expect_error(&options, 2, "1,\"x\ny\"\nq,z\n", ERRCODE_INVALID_TEXT_REPRESENTATION,
                 "invalid input syntax for type integer: \"q\"", "COPY t, line 3, column a: \"q\"");
    expect_error(&options, 2, "1,a\n2,b\rc\n", ERRCODE_BAD_COPY_FILE_FORMAT,
                 "unquoted carriage return found in data", "COPY t, line 2");
}

static void write_copy(const struct copy_options *options, const struct batch *rows, struct strbuf *out)
{
    static const char *const names[] = {"a", "b", "c"};
    struct sql_type types[3];
    for (uint32_t i = 0; i < rows->columns_count; i++)
        types[i] = rows->columns[i].type;
    struct arena arena;
    arena_init(&arena, NULL);
    struct copy_writer writer;
    struct error err;
    EXPECT(copy_writer_init(&writer, &arena, options, names, types, rows->columns_count, &err));
    copy_writer_start(&writer, out);
    for (uint32_t row = 0; row < rows->rows; row++)
        copy_writer_row(&writer, rows, row, &io_env_default, out);
    copy_writer_end(&writer, out);
    copy_writer_release(&writer);
    arena_release(&arena);
}

TEST(writing_and_round_trip)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct sql_type types[] = {{OID_INT4, -1}, {OID_TEXT, -1}, {OID_TIMESTAMP, -1}};
    struct batch *rows = batch_create(&arena, types, 3, 8);
    static const char *const texts[] = {"plain", "tab\tnew\nline\\", "a,\"b\"", "", "\\."};
    for (int i = 0; i < 5; i++) {
        struct datum values[] = {datum_i32(i - 2), datum_text(&arena, texts[i], strlen(texts[i])),
                                 datum_i64(i * 1000001)};
        values[2].is_null = i == 3;
        batch_append_datums(rows, values, 1);
    }
    struct copy_options options = text_options();
    struct strbuf out = STRBUF_INIT, expected = STRBUF_INIT;
    write_copy(&options, rows, &out);
    EXPECT_TEXT(strbuf_text(&out), "-2\tplain\t2000-01-01 00:00:00\n"
                                   "-1\ttab\\tnew\\nline\\\\\t2000-01-01 00:00:01.000001\n"
                                   "0\ta,\"b\"\t2000-01-01 00:00:02.000002\n"
                                   "1\t\t\\N\n"
                                   "2\t\\\\.\t2000-01-01 00:00:04.000004\n");
    EXPECT(collect(&expected, rows, NULL));
    expect_rows(&options, 3, out.data, out.len, strbuf_text(&expected));
    strbuf_reset(&out);
    options = csv_options();
    options.header = COPY_HEADER_LINE;
    static const bool force[] = {true, false, false};
    options.force_quote = force;
    write_copy(&options, rows, &out);
    EXPECT_TEXT(strbuf_text(&out), "a,b,c\n\"-2\",plain,2000-01-01 00:00:00\n"
                                   "\"-1\",\"tab\tnew\nline\\\",2000-01-01 00:00:01.000001\n"
                                   "\"0\",\"a,\"\"b\"\"\",2000-01-01 00:00:02.000002\n"
                                   "\"1\",\"\",\n"
                                   "\"2\",\\.,2000-01-01 00:00:04.000004\n");
    expect_rows(&options, 3, out.data, out.len, strbuf_text(&expected));
    strbuf_reset(&out);
    options = (struct copy_options){.format = COPY_BINARY, .null_text = ""};
    write_copy(&options, rows, &out);
    expect_rows(&options, 3, out.data, out.len, strbuf_text(&expected));
    strbuf_release(&out);
    strbuf_release(&expected);
    arena_release(&arena);
}

TEST(binary_errors)
{
    struct copy_options options = {.format = COPY_BINARY, .null_text = ""};
    expect_error(&options, 1, "nonsense", ERRCODE_BAD_COPY_FILE_FORMAT, "COPY file signature not recognized",
                 "");
    static const char head[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0";
    char data[64];
    memcpy(data, head, 19);
    memcpy(data + 19, "\0\2", 2);
    struct result result = read_copy(&options, 1, data, 21, 7);
    EXPECT_TEXT(result.err.message, "row field count is 2, expected 1");
    strbuf_release(&result.text);
    memcpy(data + 19, "\0\1\377\377\377\376", 6);
    result = read_copy(&options, 1, data, 25, 7);
    EXPECT_TEXT(result.err.message, "invalid field size");
    strbuf_release(&result.text);
    memcpy(data + 19, "\0\1\0\0\0\4\0\0", 8);
    result = read_copy(&options, 1, data, 27, 7);
    EXPECT_TEXT(result.err.message, "unexpected EOF in COPY data");
    strbuf_release(&result.text);
}

/* Many rows: batches of BATCH_ROWS_MAX follow each other. */
TEST(many_rows)
{
    struct strbuf data = STRBUF_INIT;
    for (int i = 0; i < 5000; i++)
        strbuf_addf(&data, "%d\trow number %d, long enough for the heap\n", i, i);
    struct copy_options options = text_options();
    struct result result = read_copy(&options, 2, data.data, data.len, 4096);
    EXPECT(result.ok);
    EXPECT_INT(result.rows, 5000);
    EXPECT(strstr(strbuf_text(&result.text), "+ 4999 row number 4999, long enough for the heap\n") != NULL);
    strbuf_release(&result.text);
    strbuf_release(&data);
}

int main(void)
{
    RUN(text_lines);
    RUN(text_escapes);
    RUN(text_errors);
    RUN(header);
    RUN(csv_fields);
    RUN(csv_errors);
    RUN(writing_and_round_trip);
    RUN(binary_errors);
    RUN(many_rows);
    return test_result();
}
