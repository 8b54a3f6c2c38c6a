/* test_format_plain.c: formats text, raw and csv both ways, JSON written, keys written. */
#include "tests/protocol/format_test.h"
#include "tests/test.h"

#define COLUMNS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct format_test test;
static struct strbuf line;

static void open(const char *format, const char *const *columns, const char *const *options)
{
    EXPECT(format_test_open(&test, format, columns, options));
}

static void expect(const char *key, const char *value, const char *expected)
{
    format_test_record(&test, key, value, &line);
    EXPECT_TEXT(strbuf_text(&line), expected);
}

static void expect_open_error(const char *format, const char *const *columns, const char *const *options,
                              const char *expected)
{
    EXPECT(!format_test_open(&test, format, columns, options));
    EXPECT_TEXT(test.err.message, expected);
    format_test_close(&test);
}

/* A row of texts (NULL: NULL) written: "key -> value". */
static void expect_written(const char *const *values, bool is_deletion, const char *expected)
{
    struct datum row[FORMAT_TEST_MAX];
    struct strbuf key = STRBUF_INIT, value = STRBUF_INIT;
    for (uint32_t i = 0; i < test.spec.columns_count; i++) {
        row[i] = datum_null();
        if (values[i] != NULL)
            EXPECT(type_input(test.columns[i].type.oid, test.columns[i].type.typmod, values[i],
                              strlen(values[i]), &io_env_default, &test.arena, &row[i], &test.err));
    }
    batch_append_datums(test.rows, row, is_deletion ? -1 : 1);
    EXPECT(test.class->encode(test.encoder, test.rows, test.rows->rows - 1, is_deletion, &key, &value,
                              &test.err));
    strbuf_reset(&line);
    strbuf_addf(&line, "%s -> %s", strbuf_text(&key), strbuf_text(&value));
    EXPECT_TEXT(strbuf_text(&line), expected);
    strbuf_release(&key);
    strbuf_release(&value);
}

static void open_writer(const char *format, const char *const *columns, const char *const *options)
{
    format_test_open(&test, format, columns, options);
    EXPECT(test.class->open_encoder(&test.spec, &test.encoder, &test.err));
}

TEST(text)
{
    open("text", COLUMNS("a|text"), NULL);
    expect(NULL, "any \xc3\xa9 text", "any \xc3\xa9 text");
    expect(NULL, "", "");
    expect(NULL, NULL, "\\N");
    expect(NULL, "\xc3(", "22021 column \"a\": invalid byte sequence for encoding \"UTF8\": 0xc3 0x28");
    format_test_close(&test);
    open("text", COLUMNS("a|int4||n"), NULL);
    expect(NULL, "17", "17");
    expect(NULL, "x", "22P02 column \"a\": invalid input syntax for type integer: \"x\"");
    expect(NULL, NULL,
           "23502 null value in column \"a\" violates not-null constraint: the record has no value");
    expect(NULL, "18", "18");
    format_test_close(&test);
    open("text", COLUMNS("k|text||k", "v|numeric"), OPTIONS("key_columns=key"));
    expect("a", "1.50", "a|1.50");
    expect("a", NULL, "-a|\\N");
    expect(NULL, "1", "22004 the record has no key");
    format_test_close(&test);
    open("text", COLUMNS("k|int4||k", "v|json"), OPTIONS("key_columns=key", "key_format=json"));
    expect("{\"k\":3}", "{\"a\":[]}", "3|{\"a\":[]}");
    expect("3", "{",
           "22P02 column \"v\": invalid input syntax for type json (The input string ended unexpectedly.)");
    format_test_close(&test);
    expect_open_error("text", COLUMNS("a|int4", "b|int4"), NULL, "format text makes one column, \"t\" has 2");
}

TEST(raw)
{
    open("raw", COLUMNS("a|bytea"), NULL);
    EXPECT(format_test_decode(&test, NULL, 0, "\0\xff rather more than twelve bytes", 32));
    strbuf_reset(&line);
    format_test_row(&test, 0, &line);
    EXPECT_TEXT(line.data, "\\x00ff20726174686572206d6f7265207468616e207477656c7665206279746573");
    expect(NULL, NULL, "\\N");
    format_test_close(&test);
    open("raw", COLUMNS("a|int4"), NULL);
    EXPECT(format_test_decode(&test, NULL, 0, "\xff\xff\xff\xfe", 4));
    strbuf_reset(&line);
    format_test_row(&test, 0, &line);
    EXPECT_TEXT(line.data, "-2");
    expect(NULL, "123", "22P03 column \"a\": incorrect binary data format for type integer");
    format_test_close(&test);
    expect_open_error("raw", COLUMNS("a|numeric"), NULL, "format raw cannot make column \"a\"");
}

TEST(write_json)
{
    open_writer("json",
                COLUMNS("a|int4||k", "b|text", "c|timestamptz", "d|numeric", "e|float8", "f|bytea",
                        "g|int4[]", "h|jsonb", "i \"j|bool"),
                NULL);
    expect_written(
        COLUMNS("1", "x\"\n\xc3\xa9\x01", "2024-01-02 03:04:05.6+00", "1.50", "1e300", "\\x00ff", "{1,NULL}",
                "{\"a\":1}", "t"),
        false,
        "{\"a\":1} -> "
        "{\"a\":1,\"b\":\"x\\\"\\n\xc3\xa9\\u0001\",\"c\":\"2024-01-02T03:04:05.6+00:00\",\"d\":1.50,"
        "\"e\":1e+300,\"f\":\"\\\\x00ff\",\"g\":[1,null],\"h\":{\"a\": 1},\"i \\\"j\":true}");
    expect_written(COLUMNS("2", "", "infinity", "NaN", "-Infinity", "\\x", "{}", "null", "f"), true,
                   "{\"a\":2} -> ");
    expect_written(
        ((const char *const[]){"2", NULL, "infinity", "NaN", "-Infinity", NULL, NULL, NULL, NULL}), false,
        "{\"a\":2} -> "
        "{\"a\":2,\"b\":null,\"c\":\"infinity\",\"d\":\"NaN\",\"e\":\"-Infinity\",\"f\":null,\"g\":null,"
        "\"h\":null,\"i \\\"j\":null}");
    format_test_close(&test);
    open_writer("json", COLUMNS("t|timestamp||k", "y|bytea"),
                OPTIONS("timestamp_format=millis", "bytea_format=base64", "key_style=value"));
    expect_written(COLUMNS("2023-11-14 22:13:20.1239", "\\x00ff"), false,
                   "1700000000123 -> {\"t\":1700000000123,\"y\":\"AP8=\"}");
    expect_written(COLUMNS("1969-12-31 23:59:59.9999", "\\x00fffe"), false,
                   "-1 -> {\"t\":-1,\"y\":\"AP/+\"}");
    expect_written(COLUMNS("-infinity", "\\x"), false, "\"-infinity\" -> {\"t\":\"-infinity\",\"y\":\"\"}");
    format_test_close(&test);
    open_writer("json", COLUMNS("t|timestamp"), OPTIONS("timestamp_format=nanos"));
    expect_written(COLUMNS("2023-11-14 22:13:20.123456"), false, " -> {\"t\":1700000000123456000}");
    expect_written(COLUMNS("2523-11-14 22:13:20.123456"), false, " -> {\"t\":17478454400123456000}");
    format_test_close(&test);
}

TEST(write_plain)
{
    open_writer("text", COLUMNS("k|int4||k", "v|numeric"), NULL);
    expect_written(COLUMNS("5", "1.50"), false, "5 -> 1.50");
    expect_written(COLUMNS("5", "1.50"), true, "5 -> ");
    format_test_close(&test);
    open_writer("raw", COLUMNS("k|int4||k", "v|text"), OPTIONS("key_format=text"));
    expect_written(COLUMNS("5", "x"), false, "5 -> x");
    format_test_close(&test);
    open_writer("text", COLUMNS("a|int4||k", "v|text", "b|text||k"), OPTIONS("key_format=json"));
    expect_written(COLUMNS("5", "x", "y"), false, "{\"a\":5,\"b\":\"y\"} -> x");
    format_test_close(&test);
}

TEST(csv)
{
    open("csv", COLUMNS("a|int4||n", "b|text", "c|timestamp"), NULL);
    expect(NULL, "1,x,2024-01-02 03:04:05", "1|x|2024-01-02 03:04:05");
    expect(NULL, "2,\"a,\"\"b\"\"\nc\",\n", "2|a,\"b\"\nc|\\N");
    expect(NULL, "3,\"\",\r\n", "3||\\N");
    expect(NULL, "4,,", "4|\\N|\\N");
    expect(NULL, ",x,", "23502 null value in column \"a\" violates not-null constraint");
    expect(NULL, "5,x", "22P04 missing data for column \"c\"");
    expect(NULL, "5,x,,", "22P04 extra data after last expected column");
    expect(NULL, "5,\"x,", "22P04 unterminated CSV quoted field");
    expect(NULL, "5,x,\n6,y,", "22P04 unquoted line end in a CSV record");
    expect(NULL, "z,x,", "22P02 column \"a\": invalid input syntax for type integer: \"z\"");
    expect(NULL, "5,\xff,", "22021 invalid byte sequence for encoding \"UTF8\": 0xff");
    expect(NULL, "", "23502 null value in column \"a\" violates not-null constraint");
    expect(NULL, NULL, "22004 the record has no value");
    expect(NULL, "6,y,", "6|y|\\N");
    EXPECT(test.rows->columns[1].nulls[test.rows->rows - 1] == 0);
    format_test_close(&test);
    open("csv", COLUMNS("k|int4||k", "b|text", "c|int4"),
         OPTIONS("delimiter=;", "quote='", "escape=\\", "null=NULL", "key_columns=key"));
    expect("7", "'it\\'s';NULL", "7|it's|\\N");
    expect("7", "'NULL';1", "7|NULL|1");
    expect("8", NULL, "-8|\\N|\\N");
    expect("x", "a;1", "22P02 column \"k\": invalid input syntax for type integer: \"x\"");
    format_test_close(&test);
    open_writer("csv", COLUMNS("k|int4||k", "b|text", "c|bool"), OPTIONS("null=-"));
    expect_written(COLUMNS("1", "a,\"b", "t"), false, "1 -> 1,\"a,\"\"b\",t");
    expect_written(((const char *const[]){"1", NULL, NULL}), false, "1 -> 1,-,-");
    expect_written(COLUMNS("1", "-", "f"), false, "1 -> 1,\"-\",f");
    expect_written(COLUMNS("1", "-", "f"), true, "1 -> ");
    format_test_close(&test);
    expect_open_error("csv", COLUMNS("a|int4"), OPTIONS("delimiter=ab"),
                      "option \"delimiter\" of format csv must be a single one-byte character");
    expect_open_error("csv", COLUMNS("a|int4|b.c"), NULL,
                      "column \"a\" has a path, and records of format csv have none");
}

static uint64_t seed = 88172645463325252u;

static uint32_t random_below(uint32_t limit)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 16) % limit);
}

/* What is written is read again, and what is read of random bytes never leaves half a row. */
TEST(csv_again)
{
    static const char bytes[] = "a,b\"\"\n\r;'x1 \xc3\xa9\\N.";
    struct strbuf key = STRBUF_INIT, value = STRBUF_INIT;
    format_test_open(&test, "csv", COLUMNS("a|text", "b|text", "c|int4"), NULL);
    EXPECT(test.class->open_encoder(&test.spec, &test.encoder, &test.err));
    for (int round = 0; round < 20000; round++) {
        char text[2][24];
        uint32_t lens[2], before = test.rows->rows;
        for (int i = 0; i < 2; i++) {
            lens[i] = random_below(10);
            for (uint32_t c = 0; c < lens[i]; c++)
                text[i][c] = bytes[random_below(sizeof(bytes) - 1)];
        }
        bool ok = format_test_decode(&test, NULL, 0, text[0], lens[0]);
        EXPECT_INT(test.rows->rows, before + ok);
        for (int i = 0; i < 2; i++) {
            for (uint32_t c = 0; c < lens[i]; c++)
                text[i][c] = (uint8_t)text[i][c] < 0x80 ? text[i][c] : 'u';
        }
        struct datum row[3] = {datum_text(&test.rows_arena, text[0], lens[0]),
                               random_below(5) == 0 ? datum_null()
                                                    : datum_text(&test.rows_arena, text[1], lens[1]),
                               datum_i32((int32_t)random_below(1000))};
        batch_append_datums(test.rows, row, 1);
        strbuf_reset(&value);
        uint32_t written = test.rows->rows - 1;
        EXPECT(test.class->encode(test.encoder, test.rows, written, false, &key, &value, &test.err));
        EXPECT(format_test_decode(&test, NULL, 0, strbuf_text(&value), value.len));
        EXPECT(batch_rows_identical(test.rows, written, test.rows, test.rows->rows - 1));
        if (test.rows->rows > 1000)
            batch_clear(test.rows);
    }
    strbuf_release(&key);
    strbuf_release(&value);
    format_test_close(&test);
}

int main(void)
{
    RUN(csv);
    RUN(csv_again);
    RUN(text);
    RUN(raw);
    RUN(write_json);
    RUN(write_plain);
    strbuf_release(&line);
    return test_result();
}
