/* test_format_json.c: format json: values of all types, paths, names in any order, duplicates, keys and tombstones, errors; what is not
 * JSON is refused exactly where type json refuses it. */
#include "protocol/format/json_reader.h"
#include "protocol/format/json_scan.h"
#include "storage/data/text_check.h"
#include "tests/protocol/format_test.h"
#include "tests/test.h"

#define COLUMNS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct format_test test;
static struct strbuf line;

static void expect(const char *value, const char *expected)
{
    format_test_record(&test, NULL, value, &line);
    EXPECT_TEXT(strbuf_text(&line), expected);
}

static void expect_keyed(const char *key, const char *value, const char *expected)
{
    format_test_record(&test, key, value, &line);
    EXPECT_TEXT(strbuf_text(&line), expected);
}

static void open(const char *const *columns, const char *const *options)
{
    EXPECT(format_test_open(&test, "json", columns, options));
}

static void expect_open_error(const char *const *columns, const char *const *options, const char *expected)
{
    EXPECT(!format_test_open(&test, "json", columns, options));
    EXPECT_TEXT(test.err.message, expected);
    format_test_close(&test);
}

TEST(plain)
{
    open(COLUMNS("a|int4", "b|text", "c|int8", "d|bool"), NULL);
    for (int i = 0; i < 5; i++) { /* the same order, another one, white space */
        expect("{\"a\":1,\"b\":\"x\",\"c\":12345678901234567,\"d\":true}", "1|x|12345678901234567|t");
        expect("{\"d\":false,\"c\":-1,\"b\":\"\",\"a\":0}", "0||-1|f");
        expect(" { \"a\" : 7 ,\n\t\"b\" : \"y z\" , \"c\" : 2 , \"d\" : true } ", "7|y z|2|t");
        expect("{\"x\":[1,{\"y\":\"}\"}],\"a\":1,\"yy\":null,\"b\":null}", "1|\\N|\\N|\\N");
        expect("{}", "\\N|\\N|\\N|\\N");
        expect("{\"b\":\"exactly twelve\",\"a\":123456789}", "123456789|exactly twelve|\\N|\\N");
    }
    expect("{\"a\":\"5\",\"b\":5,\"c\":\" 6 \",\"d\":\"yes\"}", "5|5|6|t");
    expect("{\"b\":true,\"d\":1}", "\\N|true|\\N|t");
    expect("{\"b\":{\"x\": [1, 2]}}", "\\N|{\"x\": [1, 2]}|\\N|\\N");
    expect("{\"c\":9223372036854775807,\"a\":-2147483648}", "-2147483648|\\N|9223372036854775807|\\N");
    expect("{\"b\":1.50e3}", "\\N|1.50e3|\\N|\\N");
    format_test_close(&test);
}

TEST(values)
{
    open(COLUMNS("s|int2", "n|numeric", "m|numeric(10,2)", "f|float8", "r|float4"), NULL);
    expect("{\"s\":-32768,\"n\":123.4500,\"m\":1.5,\"f\":0.1,\"r\":0.1}", "-32768|123.4500|1.50|0.1|0.1");
    expect("{\"n\":12345678901234567890.12345678901234567890,\"m\":-7,\"f\":1e300,\"r\":-0}",
           "\\N|12345678901234567890.12345678901234567890|-7.00|1e+300|-0");
    expect("{\"n\":-0.00,\"m\":0.005,\"f\":-0,\"r\":16777217}", "\\N|0.00|0.01|-0|1.6777216e+07");
    expect("{\"n\":1e2,\"m\":\"12.345\",\"f\":9007199254740993,\"r\":\"NaN\"}",
           "\\N|100|12.35|9.007199254740992e+15|NaN");
    /* digits that two roundings would spoil */
    expect("{\"f\":523496474.603100760}", "\\N|\\N|\\N|523496474.6031008|\\N");
    expect("{\"s\":32768}", "22003 column \"s\": value \"32768\" is out of range for type smallint");
    expect("{\"s\":1.0}", "22P02 column \"s\": invalid input syntax for type smallint: \"1.0\"");
    expect("{\"m\":100000000}", "22003 column \"m\": numeric field overflow (A field with precision 10, "
                                "scale 2 must round to an absolute value less than 10^8.)");
    expect("{\"f\":1e400}", "22003 column \"f\": \"1e400\" is out of range for type double precision");
    format_test_close(&test);

    open(COLUMNS("t|timestamp", "z|timestamptz", "d|date", "h|time", "i|interval", "u|uuid", "y|bytea"),
         NULL);
    expect("{\"t\":\"2024-02-29T23:59:59.5\",\"z\":\"2024-02-29T23:59:59.123456Z\",\"d\":\"2024-02-29\","
           "\"h\":\"10:00\","
           "\"i\":\"P1DT2H\",\"u\":\"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11\",\"y\":\"\\\\x00ff\"}",
           "2024-02-29 23:59:59.5|2024-02-29 23:59:59.123456+00|2024-02-29|10:00:00|1 day 02:00:00|"
           "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|\\x00ff");
    expect("{\"t\":\"2024-01-01 00:00:00Z\",\"z\":\"2024-01-01T00:00:00+05:30\"}",
           "2024-01-01 00:00:00|2023-12-31 18:30:00+00|\\N|\\N|\\N|\\N|\\N");
    expect("{\"z\":\"infinity\",\"d\":\"Jan 5, 2020\",\"t\":\"2024-01-01\"}",
           "2024-01-01 00:00:00|infinity|2020-01-05|\\N|\\N|\\N|\\N");
    expect("{\"d\":\"2023-02-29\"}",
           "22008 column \"d\": date/time field value out of range: \"2023-02-29\"");
    format_test_close(&test);
}

TEST(times_as_numbers)
{
    open(COLUMNS("t|timestamp", "z|timestamptz(3)", "d|date", "h|time"), OPTIONS("timestamp_format=millis"));
    expect("{\"t\":1700000000123,\"z\":1700000000123.6,\"d\":-1,\"h\":1000}",
           "2023-11-14 22:13:20.123|2023-11-14 22:13:20.124+00|1969-12-31|00:00:01");
    expect("{\"t\":\"2024-01-01T00:00:00\",\"z\":1.7e12,\"d\":1700000000123}",
           "2024-01-01 00:00:00|2023-11-14 22:13:20+00|2023-11-14|\\N");
    expect("{\"t\":99999999999999999}",
           "22008 column \"t\": 99999999999999999 is out of range for type timestamp without time zone");
    expect("{\"h\":-1}", "22008 column \"h\": -1 is out of range for type time without time zone");
    format_test_close(&test);
    open(COLUMNS("t|timestamp"), OPTIONS("timestamp_format=nanos"));
    expect("{\"t\":1700000000123456789}", "2023-11-14 22:13:20.123457");
    format_test_close(&test);
    open(COLUMNS("t|timestamp"), OPTIONS("timestamp_format=seconds"));
    expect("{\"t\":1700000000.25}", "2023-11-14 22:13:20.25");
    expect("{\"t\":-1}", "1969-12-31 23:59:59");
    format_test_close(&test);
}

TEST(strings)
{
    open(COLUMNS("a|text", "v|varchar(3)", "y|bytea"), OPTIONS("bytea_format=base64"));
    expect("{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20ac\\uD83D\\uDE00\"}",
           "\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80|\\N|\\N");
    expect("{\"a\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 and sixteen bytes "
           "more\",\"v\":\"\xc3\xa9\xc3\xa9\xc3\xa9\"}",
           "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 and sixteen bytes more|\xc3\xa9\xc3\xa9\xc3\xa9|\\N");
    expect("{\"\\u0061\":\"escaped name\"}", "escaped name|\\N|\\N");
    expect("{\"y\":\"AP/+\"}", "\\N|\\N|\\x00fffe");
    expect("{\"y\":\"AP8=\"}", "\\N|\\N|\\x00ff");
    expect("{\"y\":\"AP8\"}", "\\N|\\N|\\x00ff");
    expect("{\"y\":\"A\"}", "22P02 column \"y\": invalid base64 end sequence");
    expect("{\"y\":\"A!==\"}", "22P02 column \"y\": invalid base64: byte 0x21 at position 2");
    expect("{\"v\":\"abcd\"}", "22001 column \"v\": value too long for type character varying(3)");
    expect("{\"a\":\"\\u0000\"}",
           "22P05 column \"a\": unsupported Unicode escape sequence (\\u0000 cannot be converted to text.)");
    expect("{\"a\":\"\\ud83d\"}", "22P02 column \"a\": invalid input syntax for type json (Unicode low "
                                  "surrogate must follow a high surrogate.)");
    expect("{\"a\":\"\xff\"}",
           "22021 invalid byte sequence for encoding \"UTF8\": 0xff, at or behind byte 5");
    expect("{\"a\":\"x\ny\"}", "22P02 invalid input syntax for type json, at or behind byte 5 (Character "
                               "with value 0x0a must be escaped.)");
    expect("{\"x\":\"\xc3\x28\"}",
           "22021 invalid byte sequence for encoding \"UTF8\": 0xc3 0x28, at or behind byte 5");
    format_test_close(&test);
}

TEST(nested)
{
    open(COLUMNS("j|json", "b|jsonb", "i|int4[]", "t|text[]", "v|varchar(2)[]"), NULL);
    expect("{\"j\":{\"b\" : 1,\"a\":[ ]},\"b\":{\"b\" : 1.0,\"a\":[ "
           "],\"b\":2},\"i\":[1,null,3],\"t\":[\"a,b\",1,{\"x\":1}]}",
           "{\"b\" : 1,\"a\":[ ]}|{\"a\": [], \"b\": 2}|{1,NULL,3}|{\"a,b\",1,\"{\\\"x\\\":1}\"}|\\N");
    expect("{\"j\":\"s\",\"b\":7,\"i\":[[1,2],[3,4]],\"t\":\"{a,b}\"}", "\"s\"|7|{{1,2},{3,4}}|{a,b}|\\N");
    expect("{\"i\":[],\"t\":[[],[]],\"v\":[\"ab\"]}", "\\N|\\N|{}|{}|{ab}");
    expect("{\"i\":[[1,2],[3]]}", "22P02 column \"i\": malformed JSON array (Multidimensional arrays must "
                                  "have sub-arrays with matching dimensions.)");
    expect("{\"i\":[[1],2]}", "22P02 column \"i\": expected JSON array");
    expect("{\"i\":5}", "22P02 column \"i\": expected JSON array");
    expect("{\"v\":[\"abc\"]}", "22001 column \"v\": value too long for type character varying(2)");
    expect("{\"i\":[[[[[[[1]]]]]]]}",
           "54000 column \"i\": number of array dimensions (7) exceeds the maximum allowed (6)");
    format_test_close(&test);
}

TEST(paths)
{
    open(COLUMNS("id|int4|a.id", "whole|jsonb|a", "item|text|a.list[1].x", "odd|int4|\"a.b\"", "all|json|$",
                 "same|int8|a.id"),
         NULL);
    expect("{\"a\":{\"id\":1,\"list\":[0,{\"x\":\"two\"},3]},\"a.b\":4}",
           "1|{\"id\": 1, \"list\": [0, {\"x\": \"two\"}, "
           "3]}|two|4|{\"a\":{\"id\":1,\"list\":[0,{\"x\":\"two\"},3]},\"a.b\":4}|1");
    expect("{\"a\":5}", "\\N|5|\\N|\\N|{\"a\":5}|\\N");
    expect("{\"a\":{\"id\":1,\"list\":[{\"x\":1}]},\"a\":{\"list\":{}}}",
           "\\N|{\"list\": {}}|\\N|\\N|{\"a\":{\"id\":1,\"list\":[{\"x\":1}]},\"a\":{\"list\":{}}}|\\N");
    expect("[1]", "\\N|\\N|\\N|\\N|[1]|\\N");
    format_test_close(&test);
    open(COLUMNS("a|int4|x[0]", "b|int4|x[2][0]"), NULL);
    expect("{\"x\":[7,8,[9]]}", "7|9");
    expect("{\"x\":[]}", "\\N|\\N");
    expect("[7]", "22P02 the record is not a JSON object");
    expect("null", "22P02 the record is not a JSON object");
    format_test_close(&test);
    expect_open_error(COLUMNS("a|int4|x..y"), NULL, "invalid path \"x..y\" of column \"a\" at character 3");
    expect_open_error(COLUMNS("a|int4|x[y]"), NULL, "invalid path \"x[y]\" of column \"a\" at character 2");
    expect_open_error(COLUMNS("a|int4|x."), NULL, "invalid path \"x.\" of column \"a\" at character 3");
}

TEST(duplicates)
{
    open(COLUMNS("a|int4||n", "b|text"), NULL);
    expect("{\"a\":1,\"a\":2,\"b\":null,\"b\":\"x\"}", "2|x");
    expect("{\"a\":\"bad\",\"a\":2,\"b\":\"x\",\"b\":null}", "2|\\N");
    expect("{\"a\":null,\"a\":2}", "2|\\N");
    expect("{\"a\":2,\"a\":null}", "23502 null value in column \"a\" violates not-null constraint");
    expect("{\"b\":\"\"}",
           "23502 null value in column \"a\" violates not-null constraint: the record has no such member");
    expect("{\"a\":3}", "3|\\N");
    EXPECT(test.rows->columns[0].nulls == NULL || test.rows->columns[0].nulls[test.rows->rows - 1] == 0);
    format_test_close(&test);
}

TEST(names)
{
    open(COLUMNS("Id|int4", "a_name_of_more_than_sixteen_bytes|int4", "q\":1,\"z|int4"),
         OPTIONS("case_sensitive=false"));
    for (int i = 0; i < 3; i++) {
        expect("{\"ID\":1,\"a_name_of_more_than_sixteen_bytes\":2}", "1|2|\\N");
        expect("{\"id\":1,\"A_name_of_more_than_sixteen_bytes\":2,\"a_name_of_more_than_sixteen_bytez\":3}",
               "1|2|\\N");
        expect("{\"q\":1,\"z\":1}", "\\N|\\N|\\N");
        expect("{\"q\\\":1,\\\"z\":1}", "\\N|\\N|1");
    }
    format_test_close(&test);
    open(COLUMNS("a|int4", "b|int4|n.b"), OPTIONS("unknown=reject"));
    expect("{\"a\":1,\"n\":{\"b\":2}}", "1|2");
    expect("{\"a\":1,\"n\":{\"b\":2,\"c\":3}}", "22P04 no column takes member \"c\"");
    expect("{\"A\":1}", "22P04 no column takes member \"A\"");
    expect("{\"A\":1}", "22P04 no column takes member \"A\"");
    format_test_close(&test);
    expect_open_error(COLUMNS("a|int4"), OPTIONS("unknown=maybe"),
                      "invalid value for option \"unknown\" of format json: \"maybe\"");
    expect_open_error(COLUMNS("a|int4"), OPTIONS("unknwn=reject"), "format json has no option \"unknwn\"");
    /* more names than are learned, and more than the first table of slots has */
    open(COLUMNS("last|int4"), NULL);
    struct strbuf text = STRBUF_INIT;
    for (int round = 0; round < 3; round++) {
        strbuf_reset(&text);
        for (int i = 0; i < 2000; i++)
            strbuf_addf(&text, "%s\"name %d\":{\"a\":[%d]}", i == 0 ? "{" : ",", i, i);
        strbuf_addf(&text, ",\"last\":%d}", round);
        char expected[8];
        snprintf(expected, sizeof(expected), "%d", round);
        expect(text.data, expected);
    }
    strbuf_release(&text);
    format_test_close(&test);
}

TEST(keys)
{
    open(COLUMNS("a|int4||k", "b|text||k", "c|text"), NULL);
    expect_keyed("{\"b\":\"x\",\"a\":1}", NULL, "-1|x|\\N");
    expect_keyed("{\"b\":\"x\",\"a\":1}", "{\"a\":5,\"b\":\"y\",\"c\":\"z\"}", "5|y|z");
    expect_keyed(NULL, NULL, "22004 the record has no key");
    expect_keyed(
        "{\"b\":\"x\"}", NULL,
        "23502 null value in column \"a\" violates not-null constraint: the record has no such member");
    expect_keyed(
        NULL, "{\"a\":5,\"c\":\"z\"}",
        "23502 null value in column \"b\" violates not-null constraint: the record has no such member");
    expect_keyed("{\"b\":\"x\",\"a\":1} 2", NULL,
                 "22P02 invalid input syntax for type json, at or behind byte 16 (Expected end of input, but "
                 "found \"2\".)");
    format_test_close(&test);
    open(COLUMNS("c|text", "a|int4||k"), NULL);
    expect_keyed("17", NULL, "-\\N|17");
    expect_keyed("{\"a\":18}", NULL, "-\\N|18");
    expect_keyed("\"19\"", NULL, "-\\N|19");
    expect_keyed("null", NULL, "23502 null value in column \"a\" violates not-null constraint");
    format_test_close(&test);
    open(COLUMNS("c|text", "a|int8||k"), OPTIONS("key_format=raw", "key_columns=key"));
    EXPECT(format_test_decode(&test, "\0\0\0\0\0\0\1\2", 8, "{\"c\":\"x\",\"a\":9}", 15));
    strbuf_reset(&line);
    format_test_row(&test, 0, &line);
    EXPECT_TEXT(strbuf_text(&line), "x|258");
    expect_keyed("1", "{}", "22P03 column \"a\": incorrect binary data format for type bigint");
    format_test_close(&test);
    open(COLUMNS("c|text", "a|text||k"), OPTIONS("key_format=text", "key_columns=key"));
    expect_keyed("key", "{\"c\":\"x\"}", "x|key");
    expect_keyed("key", NULL, "-\\N|key");
    expect_keyed("\xff", NULL, "22021 column \"a\": invalid byte sequence for encoding \"UTF8\": 0xff");
    format_test_close(&test);
    open(COLUMNS("c|text"), NULL);
    expect_keyed("key", NULL, "22004 the record has no value");
    format_test_close(&test);
    expect_open_error(COLUMNS("a|int4||k", "b|int4||k"), OPTIONS("key_format=text"),
                      "key_format \"text\" needs a primary key of one column, that of \"t\" has 2");
    expect_open_error(COLUMNS("a|int4"), OPTIONS("key_columns=key"),
                      "option key_columns = 'key' needs a primary key, which \"t\" has not");
}

TEST(syntax)
{
    open(COLUMNS("a|int4", "b|text"), NULL);
    expect("", "22P02 invalid input syntax for type json, at or behind byte 0 (The input string ended "
               "unexpectedly.)");
    expect("{\"a\":1", "22P02 invalid input syntax for type json, at or behind byte 6 (The input string "
                       "ended unexpectedly.)");
    expect("{\"a\":1}}", "22P02 invalid input syntax for type json, at or behind byte 7 (Expected end of "
                         "input, but found \"}\".)");
    expect("{\"a\":01}",
           "22P02 invalid input syntax for type json, at or behind byte 5 (Token \"01\" is invalid.)");
    expect(
        "{\"a\":1,}",
        "22P02 invalid input syntax for type json, at or behind byte 7 (Expected string, but found \"}\".)");
    expect("{\"a\":tru}",
           "22P02 invalid input syntax for type json, at or behind byte 5 (Token \"tru\" is invalid.)");
    expect("{'a':1}",
           "22P02 invalid input syntax for type json, at or behind byte 1 (Token \"'\" is invalid.)");
    /* grammar before values */
    expect("{\"a\":\"x\",\"b\":]}", "22P02 invalid input syntax for type json, at or behind byte 13 "
                                    "(Expected JSON value, but found \"]\".)");
    expect("{\"a\":1}", "1|\\N");
    format_test_close(&test);
}

/* ---- what is JSON and what is not: as type json says, on texts that are nearly right ---- */

static uint64_t seed = 88172645463325252u;

static uint32_t random_below(uint32_t limit)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 16) % limit);
}

static void mutate(struct strbuf *text)
{
    static const char bytes[] = "{}[]\",:\\/u0019-+.eEtruefalsn \n\t\x01\x7f\x80\xc3\xa9\xff"
                                "bdAaD";
    for (uint32_t i = random_below(3); i > 0 && text->len > 0; i--) {
        uint32_t at = random_below((uint32_t)text->len);
        switch (random_below(4)) {
        case 0:
            text->data[at] = bytes[random_below(sizeof(bytes) - 1)];
            break;
        case 1: /* a byte less */
            memmove(text->data + at, text->data + at + 1, text->len - at);
            text->len--;
            break;
        case 2: /* a byte more */
            strbuf_addc(text, ' ');
            memmove(text->data + at + 1, text->data + at, text->len - at - 1);
            text->data[at] = bytes[random_below(sizeof(bytes) - 1)];
            break;
        default: /* a piece again */
            strbuf_reserve(text, text->len);
            uint32_t len = random_below((uint32_t)text->len - at) + 1;
            memmove(text->data + at + len, text->data + at, text->len - at);
            text->len += len;
            text->data[text->len] = '\0';
            break;
        }
    }
}

static const char *const samples[] = {
    "{\"i\":1,\"t\":\"text of some "
    "length\",\"n\":-12.50,\"f\":1e-5,\"b\":true,\"z\":\"2024-02-29T12:34:56.789Z\",\"d\":\"2024-02-29\"}",
    "{\"t\":\"\\u00e9\\ud83d\\ude00\xc3\xa9\\n\",\"l\":[[1,2],[3,null]],\"j\":{\"a\":[{}, [], "
    "\"x\"]},\"x\":{\"y\":[0,{\"z\":7}]}}",
    "{\"i\":\"12\",\"unknown\":[1.5e+3,-0.0,\"\\\\\",{\"a\":false}],\"t\":{\"k\":null},\"n\":"
    "123456789012345678901234567890}",
    "{ \"i\" : 0 , \"i\" : 2 , \"t\" : null, \"l\" : \"{1,2}\", \"j\" : \"\\\"\", \"f\" : 17 }",
};

TEST(mutations)
{
    struct strbuf text = STRBUF_INIT;
    struct json_text padded = {0};
    open(COLUMNS("i|int4", "t|text", "n|numeric(12,3)", "f|float8", "b|bool", "z|timestamptz", "d|date",
                 "l|int4[]", "j|jsonb", "w|json|j", "q|int8|x.y[1].z"),
         NULL);
    uint32_t accepted = 0;
    for (int round = 0; round < 60000; round++) {
        strbuf_reset(&text);
        strbuf_adds(&text, samples[random_below(ARRAY_COUNT(samples))]);
        mutate(&text);
        struct error err;
        bool valid = text_check_utf8(text.data, text.len, &err) && json_validate(text.data, text.len, &err);
        EXPECT(json_text_load(&padded, (const uint8_t *)text.data, text.len, &err));
        const uint8_t *end = json_skip_value(json_skip_space(padded.bytes), NULL);
        bool skipped = end != NULL && json_skip_space(end) == padded.bytes + padded.len;
        if (skipped != valid)
            fprintf(stderr, "%s\n", text.data);
        EXPECT(skipped == valid);
        uint32_t before = test.rows->rows;
        bool ok = format_test_decode(&test, NULL, 0, text.data, text.len);
        EXPECT(valid || !ok);
        EXPECT_INT(test.rows->rows, before + ok);
        accepted += ok;
        if (ok) {
            strbuf_reset(&line);
            format_test_row(&test, before, &line);
        } else {
            EXPECT(test.err.code != ERRCODE_NONE);
            for (uint32_t i = 0; i < test.rows->columns_count; i++)
                EXPECT(test.rows->columns[i].nulls == NULL || before == test.rows->capacity ||
                       test.rows->columns[i].nulls[before] == 0);
        }
        if (test.rows->rows > 1000) {
            batch_clear(test.rows);
            struct sql_type types[FORMAT_TEST_MAX];
            for (uint32_t i = 0; i < test.spec.columns_count; i++)
                types[i] = test.columns[i].type;
            arena_reset(&test.rows_arena);
            test.rows = batch_create(&test.rows_arena, types, test.spec.columns_count, 16);
        }
    }
    EXPECT(accepted > 15000 && accepted < 58000);
    strbuf_release(&text);
    json_text_release(&padded);
    format_test_close(&test);
}

TEST(lanes)
{
    for (int round = 0; round < 4096; round++) {
        uint8_t bytes[16];
        uint32_t expected = 0, expected_above = 0, above, above_portable;
        for (uint32_t i = 0; i < 16; i++) {
            static const uint8_t edges[] = {0,    1,   0x1f, 0x20, '!',  '"',  '#',  '[',
                                            '\\', ']', 0x7f, 0x80, 0x9f, 0xa2, 0xdc, 0xff};
            bytes[i] = edges[random_below(sizeof(edges))];
            expected |= (uint32_t)(bytes[i] == '"' || bytes[i] == '\\' || bytes[i] < 0x20) << i;
            expected_above |= (uint32_t)(bytes[i] >= 0x80) << i;
        }
        EXPECT_INT(simd_string16(bytes, &above), expected);
        EXPECT_INT(simd_string16_portable(bytes, &above_portable), expected);
        EXPECT_INT(above, expected_above);
        EXPECT_INT(above_portable, expected_above);
    }
}

TEST(depth)
{
    struct strbuf text = STRBUF_INIT;
    open(COLUMNS("a|int4"), NULL);
    for (int depth = 1990; depth <= 2010; depth += 10) {
        strbuf_reset(&text);
        strbuf_adds(&text, "{\"a\":3,\"x\":");
        for (int i = 0; i < depth; i++)
            strbuf_addc(&text, '[');
        for (int i = 0; i < depth; i++)
            strbuf_addc(&text, ']');
        strbuf_addc(&text, '}');
        if (depth < 2000)
            expect(text.data, "3");
        else if (depth > 2000)
            expect(text.data, "54001 stack depth limit exceeded, at or behind byte 11");
    }
    strbuf_release(&text);
    format_test_close(&test);
}

int main(void)
{
    RUN(plain);
    RUN(values);
    RUN(times_as_numbers);
    RUN(strings);
    RUN(nested);
    RUN(paths);
    RUN(duplicates);
    RUN(names);
    RUN(keys);
    RUN(syntax);
    RUN(mutations);
    RUN(depth);
    RUN(lanes);
    strbuf_release(&line);
    return test_result();
}
