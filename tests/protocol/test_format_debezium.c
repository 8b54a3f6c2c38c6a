/* test_format_debezium.c: envelopes with and without schema, every operation, keys and tombstones, encodings of times, decimals and bytes. */
#include "tests/protocol/format_test.h"
#include "tests/test.h"

#define COLUMNS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct format_test test;
static struct strbuf line;

static void open(const char *const *columns, const char *const *options)
{
    EXPECT(format_test_open(&test, "debezium", columns, options));
}

static void expect(const char *key, const char *value, const char *expected)
{
    format_test_record(&test, key, value, &line);
    EXPECT_TEXT(strbuf_text(&line), expected);
}

static void expect_open_error(const char *const *columns, const char *const *options, const char *expected)
{
    EXPECT(!format_test_open(&test, "debezium", columns, options));
    EXPECT_TEXT(test.err.message, expected);
    format_test_close(&test);
}

TEST(operations)
{
    open(COLUMNS("id|int4||k", "name|text", "lsn|int8|$.source.lsn"), NULL);
    expect("{\"id\":1}",
           "{\"before\":null,\"after\":{\"id\":1,\"name\":\"a\"},\"source\":{\"lsn\":17},\"op\":\"c\",\"ts_"
           "ms\":5}",
           "1|a|17");
    expect(NULL, "{\"before\":{\"id\":1,\"name\":\"a\"},\"after\":{\"id\":1,\"name\":\"b\"},\"op\":\"u\"}",
           "1|b|\\N");
    expect(NULL, "{\"op\":\"r\",\"after\":{\"id\":2,\"name\":null},\"before\":null}", "2|\\N|\\N");
    expect(NULL, "{\"before\":{\"id\":1,\"name\":\"b\"},\"after\":null,\"source\":{\"lsn\":18},\"op\":\"d\"}",
           "-1|\\N|\\N");
    expect("{\"id\":3}", "{\"before\":null,\"after\":null,\"op\":\"d\"}", "-3|\\N|\\N");
    expect("{\"id\":1}", NULL, "-1|\\N|\\N");
    expect("{\"schema\":{\"type\":\"struct\"},\"payload\":{\"id\":9}}", NULL, "-9|\\N|\\N");
    expect(NULL, NULL, "");
    expect("{\"id\":1}", "{\"op\":\"m\",\"message\":{}}", "");
    expect(NULL, "{\"op\":\"t\",\"before\":null,\"after\":null}",
           "0A000 the source table was truncated, which cannot be followed: delete its rows here");
    expect(NULL, "{\"op\":\"x\"}",
           "22P04 the record is no Debezium envelope: its \"op\" is none of c, r, u, d, t, m");
    expect(NULL, "{\"id\":1}",
           "22P04 the record is no Debezium envelope: it has no member \"op\" of one letter");
    expect(NULL, "{\"op\":\"c\",\"after\":null}",
           "22P04 the record is no Debezium envelope: member \"after\" is not an object");
    expect(NULL, "[]", "22P04 the record is no Debezium envelope: it is not an object");
    expect(NULL, "{\"op\":\"c\"",
           "22P02 invalid input syntax for type json, at or behind byte 0 (The input string ended "
           "unexpectedly.)");
    expect(NULL, "{\"op\":\"c\",\"after\":{\"id\":\"x\"}}",
           "22P02 column \"id\": invalid input syntax for type integer: \"x\"");
    expect(NULL, "{\"op\":\"c\",\"after\":{\"name\":\"x\"}}",
           "23502 null value in column \"id\" violates not-null constraint: the record has no such member");
    expect(NULL, "{\"op\":\"d\",\"before\":null}", "22004 the record has no key");
    expect(NULL, "{\"op\":\"u\",\"after\":{\"id\":1,\"name\":\"__debezium_unavailable_value\"}}",
           "22000 column \"name\": the record does not have the value, which did not change");
    format_test_close(&test);
    open(COLUMNS("id|int4||k", "name|text"), OPTIONS("key_columns=key"));
    expect("5", "{\"op\":\"c\",\"after\":{\"name\":\"x\"}}", "5|x");
    expect("5", "{\"op\":\"d\",\"before\":{\"id\":6}}", "-5|\\N");
    format_test_close(&test);
    expect_open_error(
        COLUMNS("id|int4"), NULL,
        "format debezium needs a table with a primary key: its records replace and delete rows");
    expect_open_error(COLUMNS("id|int4|$.source.id|k"), NULL,
                      "column \"id\" of the primary key must be a member of the row, not of the envelope");
}

TEST(without_schema)
{
    open(COLUMNS("id|int4||k", "t|timestamp", "t3|timestamp(3)", "z|timestamptz", "d|date", "h|time",
                 "h3|time(3)", "i|interval", "n|numeric(10,2)", "m|numeric", "y|bytea", "j|jsonb",
                 "a|int4[]"),
         NULL);
    expect(NULL,
           "{\"op\":\"c\",\"after\":{\"id\":1,\"t\":1700000000123456,\"t3\":1700000000123,\"z\":\"2023-11-"
           "14T22:13:20.5Z\",\"d\":19675,"
           "\"h\":3600000001,\"h3\":3600001,\"i\":90000000,\"n\":\"AN3V\",\"m\":12.5,\"y\":\"AP8=\",\"j\":\"{"
           "\\\"a\\\": [1]}\",\"a\":[1,null]}}",
           "1|2023-11-14 22:13:20.123456|2023-11-14 22:13:20.123|2023-11-14 "
           "22:13:20.5+00|2023-11-14|01:00:00.000001|01:00:00.001|00:01:30|"
           "567.89|12.5|\\x00ff|{\"a\": [1]}|{1,NULL}");
    expect(NULL,
           "{\"op\":\"c\",\"after\":{\"id\":1,\"n\":\"////"
           "\",\"m\":{\"scale\":3,\"value\":\"AYag\"},\"j\":{\"b\":1}}}",
           "1|\\N|\\N|\\N|\\N|\\N|\\N|\\N|-0.01|100.000|\\N|{\"b\": 1}|\\N");
    expect(NULL, "{\"op\":\"c\",\"after\":{\"id\":1,\"m\":\"AN3V\"}}",
           "22P02 column \"m\": the digits behind the point are not known: neither the record nor the "
           "column's type says so");
    format_test_close(&test);
    open(COLUMNS("id|int4||k", "n|numeric", "t|timestamp"),
         OPTIONS("decimal_format=text", "timestamp_format=millis"));
    expect(NULL, "{\"op\":\"c\",\"after\":{\"id\":1,\"n\":\"123.450\",\"t\":1700000000123}}",
           "1|123.450|2023-11-14 22:13:20.123");
    format_test_close(&test);
}

#define FIELDS                                                                                               \
    "[{\"type\":\"int32\",\"field\":\"id\"},{\"type\":\"int64\",\"name\":\"io.debezium.time."                \
    "NanoTimestamp\",\"field\":\"t\"},"                                                                      \
    "{\"type\":\"int64\",\"name\":\"org.apache.kafka.connect.data.Timestamp\",\"field\":\"u\"},"             \
    "{\"type\":\"bytes\",\"name\":\"org.apache.kafka.connect.data.Decimal\",\"version\":1,\"parameters\":{"  \
    "\"scale\":\"4\"},\"field\":\"n\"},"                                                                     \
    "{\"type\":\"string\",\"field\":\"m\"},{\"type\":\"array\",\"items\":{\"type\":\"int32\",\"name\":\"io." \
    "debezium.time.Date\"},\"field\":\"d\"}]"
#define SCHEMA(fields)                                                                                       \
    "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"struct\",\"fields\":" fields                   \
    ",\"optional\":true,\"field\":\"before\"},{\"type\":\"struct\",\"fields\":" fields                       \
    ",\"field\":\"after\"},{\"type\":\"string\",\"field\":\"op\"}]},\"payload\":"

TEST(with_schema)
{
    open(COLUMNS("id|int4||k", "t|timestamp", "u|timestamp", "n|numeric", "m|numeric", "d|date[]"), NULL);
    for (int i = 0; i < 3; i++) { /* the same prefix, then others */
        expect(NULL,
               SCHEMA(FIELDS) "{\"before\":null,\"after\":{\"id\":1,\"t\":1700000000123456789,\"u\":"
                              "1700000000123,\"n\":\"AN3V\",\"m\":\"1.50\",\"d\":[19675]},\"op\":\"c\"}}",
               "1|2023-11-14 22:13:20.123457|2023-11-14 22:13:20.123|5.6789|1.50|{2023-11-14}");
        expect(NULL, SCHEMA(FIELDS) "{\"before\":{\"id\":2},\"after\":null,\"op\":\"d\"}}",
               "-2|\\N|\\N|\\N|\\N|\\N");
        expect(NULL, "{\"after\":{\"id\":3,\"t\":1700000000123456,\"n\":\"1\"},\"op\":\"c\"}",
               "22P02 column \"n\": the digits behind the point are not known: neither the record nor the "
               "column's type says so");
        expect(NULL, "{\"after\":{\"id\":3,\"t\":1700000000123456},\"op\":\"c\"}",
               "3|2023-11-14 22:13:20.123456|\\N|\\N|\\N|\\N");
        expect(NULL, SCHEMA("[]") "{\"after\":{\"id\":3,\"t\":1700000000123456,\"n\":1},\"op\":\"c\"}}",
               "3|2023-11-14 22:13:20.123456|\\N|1|\\N|\\N");
        expect(NULL, "{\"after\":{\"id\":3,\"t\":1700000000123456},\"op\":\"c\"}",
               "3|2023-11-14 22:13:20.123456|\\N|\\N|\\N|\\N");
    }
    /* many bytes: exact beyond 128 bits, both signs; numbers checked with Python's int.from_bytes */
    expect(NULL, SCHEMA(FIELDS) "{\"after\":{\"id\":1,\"n\":\"AQAAAAAAAAAAAAAAAAAAAAAA\"},\"op\":\"c\"}}",
           "1|\\N|\\N|8711228593176024664662389950253266213.2736|\\N|\\N");
    expect(NULL, SCHEMA(FIELDS) "{\"after\":{\"id\":1,\"n\":\"/wAAAAAAAAAAAAAAAAAAAAAA\"},\"op\":\"c\"}}",
           "1|\\N|\\N|-8711228593176024664662389950253266213.2736|\\N|\\N");
    expect("{\"id\":4}", SCHEMA(FIELDS) "null}", "-4|\\N|\\N|\\N|\\N|\\N");
    expect(NULL, SCHEMA(FIELDS) "{\"after\":{\"id\":1},\"op\":\"c\"}} x",
           "22P02 invalid input syntax for type json, at or behind byte 1030 (Token \"x\" is invalid.)");
    expect(NULL, SCHEMA(FIELDS) "{\"after\":{\"id\":1},\"op\":\"c\"}}", "1|\\N|\\N|\\N|\\N|\\N");
    expect(NULL, SCHEMA(FIELDS) "{\"after\":{\"id\":1},\"op\":\"c\"}",
           "22P02 invalid input syntax for type json, at or behind byte 0 (The input string ended "
           "unexpectedly.)");
    expect(NULL, "{\"payload\":{\"after\":{\"id\":1},\"op\":\"c\"},\"schema\":null}",
           "1|\\N|\\N|\\N|\\N|\\N");
    format_test_close(&test);
}

TEST(written)
{
    struct strbuf key = STRBUF_INIT, value = STRBUF_INIT;
    open(COLUMNS("id|int4||k", "t|timestamp", "y|bytea", "j|jsonb"), NULL);
    EXPECT(test.class->open_encoder(&test.spec, &test.encoder, &test.err));
    expect(NULL,
           "{\"op\":\"c\",\"after\":{\"id\":1,\"t\":\"2024-01-02T03:04:05\",\"y\":\"AP8=\",\"j\":{\"a\":1}}}",
           "1|2024-01-02 03:04:05|\\x00ff|{\"a\": 1}");
    EXPECT(test.class->encode(test.encoder, test.rows, 0, false, &key, &value, &test.err));
    EXPECT_TEXT(key.data, "{\"id\":1}");
    EXPECT_TEXT(value.data, "{\"before\":null,\"after\":{\"id\":1,\"t\":\"2024-01-02T03:04:05\",\"y\":\"AP8="
                            "\",\"j\":{\"a\": 1}},\"op\":\"c\"}");
    expect(key.data, value.data, "1|2024-01-02 03:04:05|\\x00ff|{\"a\": 1}");
    strbuf_reset(&value);
    EXPECT(test.class->encode(test.encoder, test.rows, 0, true, &key, &value, &test.err));
    EXPECT_TEXT(value.data, "{\"before\":{\"id\":1,\"t\":\"2024-01-02T03:04:05\",\"y\":\"AP8=\",\"j\":{\"a\":"
                            " 1}},\"after\":null,\"op\":\"d\"}");
    expect(NULL, value.data, "-1|\\N|\\N|\\N");
    strbuf_release(&key);
    strbuf_release(&value);
    format_test_close(&test);
}

static uint64_t seed = 88172645463325252u;

static uint32_t random_below(uint32_t limit)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 16) % limit);
}

/* Nearly right records: refused or taken whole. */
TEST(mutations)
{
    static const char *const samples[] = {
        SCHEMA(FIELDS) "{\"before\":{\"id\":2},\"after\":{\"id\":1,\"t\":17,\"n\":\"AN3V\",\"d\":[1]},\"op\":"
                       "\"u\"}}",
        "{\"before\":{\"id\":2},\"after\":null,\"op\":\"d\"}",
        "{\"after\":{\"id\":3,\"m\":{\"scale\":2,\"value\":\"AN3V\"}},\"op\":\"c\"}",
    };
    static const char bytes[] = "{}[]\",:0123enulcrdtx\\ ";
    struct strbuf text = STRBUF_INIT;
    open(COLUMNS("id|int4||k", "t|timestamp", "n|numeric", "m|numeric", "d|date[]"), NULL);
    for (int round = 0; round < 20000; round++) {
        strbuf_reset(&text);
        strbuf_adds(&text, samples[random_below(ARRAY_COUNT(samples))]);
        for (uint32_t i = random_below(3); i > 0; i--)
            text.data[random_below((uint32_t)text.len)] = bytes[random_below(sizeof(bytes) - 1)];
        uint32_t before = test.rows->rows;
        bool ok = format_test_decode(&test, "{\"id\":7}", 8, text.data, text.len);
        EXPECT(test.rows->rows <= before + ok);
        if (test.rows->rows > before) {
            strbuf_reset(&line);
            format_test_row(&test, before, &line);
        }
        if (test.rows->rows > 1000)
            batch_clear(test.rows);
    }
    strbuf_release(&text);
    format_test_close(&test);
}

int main(void)
{
    RUN(operations);
    RUN(without_schema);
    RUN(with_schema);
    RUN(written);
    RUN(mutations);
    strbuf_release(&line);
    return test_result();
}
