/* test_type.c: names, text forms, wire forms, order, hash and keys of values, against what PostgreSQL 15
 * gives. */
#include "storage/data/type.h"

#include "storage/data/array.h"
#include "storage/data/float_format.h"
#include "storage/data/hash.h"
#include "storage/data/record.h"
#include "tests/test.h"

#include <math.h>

static struct arena arena;
static struct strbuf buf;

/* Text in, text out; the error as "22P02: message|detail" when reading fails. */
static const char *roundtrip_typmod(uint32_t oid, int32_t typmod, const char *text)
{
    struct datum value;
    struct error err;
    strbuf_reset(&buf);
    if (!type_input(oid, typmod, text, strlen(text), &io_env_default, &arena, &value, &err)) {
        strbuf_addf(&buf, "%s: %s", error_sqlstate(err.code), err.message);
        if (err.detail[0] != '\0')
            strbuf_addf(&buf, "|%s", err.detail);
    } else {
        type_output(oid, &value, &io_env_default, &buf);
    }
    return strbuf_text(&buf);
}

static const char *roundtrip(uint32_t oid, const char *text)
{
    return roundtrip_typmod(oid, -1, text);
}

static struct datum read_value(uint32_t oid, const char *text)
{
    struct datum value;
    struct error err;
    if (!type_input(oid, -1, text, strlen(text), &io_env_default, &arena, &value, &err))
        test_fail(__FILE__, __LINE__, err.message);
    return value;
}

#define CASE(oid, in, out) EXPECT_TEXT(roundtrip(oid, in), out)

TEST(names)
{
    static const struct {
        const char *name;
        uint32_t oid;
    } cases[] = {
        {"int", OID_INT4},
        {"integer", OID_INT4},
        {"int4", OID_INT4},
        {"bigint", OID_INT8},
        {"smallint", OID_INT2},
        {"real", OID_FLOAT4},
        {"double precision", OID_FLOAT8},
        {"float", OID_FLOAT8},
        {"decimal", OID_NUMERIC},
        {"character varying", OID_VARCHAR},
        {"character", OID_BPCHAR},
        {"bpchar", OID_BPCHAR},
        {"char", OID_CHAR},
        {"boolean", OID_BOOL},
        {"string", OID_TEXT},
        {"timestamp", OID_TIMESTAMP},
        {"timestamp without time zone", OID_TIMESTAMP},
        {"timestamp with time zone", OID_TIMESTAMPTZ},
        {"time without time zone", OID_TIME},
        {"int[]", OID_INT4_ARRAY},
        {"text[][]", OID_TEXT_ARRAY},
        {"_int8", OID_INT8_ARRAY},
        {"void", OID_VOID},
        {"anyelement", OID_ANYELEMENT},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct type_row *row = type_find_name(cases[i].name);
        EXPECT(row != NULL);
        if (row != NULL)
            EXPECT_INT(row->oid, cases[i].oid);
    }
    EXPECT(type_find_name("intt") == NULL);
    EXPECT(type_find_name("void[]") == NULL);
    EXPECT(type_find(0) == NULL);
    EXPECT(type_find(5099) == NULL);
    EXPECT(type_find(4000000000u) == NULL);
}

TEST(table_is_consistent)
{
    size_t count;
    const struct type_row *rows = type_rows(&count);
    EXPECT(count > 60);
    for (size_t i = 0; i < count; i++) {
        EXPECT(type_find(rows[i].oid) == &rows[i]);
        EXPECT(rows[i].help[0] != '\0');
        if (rows[i].array_oid != 0)
            EXPECT_INT(type_find(rows[i].array_oid)->element_oid, rows[i].oid);
    }
    EXPECT_INT(type_find(OID_NUMERIC)->array_oid, 1231);
    EXPECT_INT(type_find(OID_JSONB)->array_oid, 3807);
    EXPECT_INT(type_find(OID_UUID)->array_oid, 2951);
    EXPECT_INT(type_find(OID_REGNAMESPACE)->array_oid, 4090);
    EXPECT_INT(type_phys(OID_REGCLASS), PHYS_I64);
    EXPECT(!type_is_array(OID_TEXT) && type_is_array(OID_TEXT_ARRAY) && type_is_array(OID_INT2VECTOR));
}

static const char *format(uint32_t oid, int32_t typmod)
{
    strbuf_reset(&buf);
    type_format(oid, typmod, &buf);
    return strbuf_text(&buf);
}

TEST(format_type)
{
    EXPECT_TEXT(format(1043, 14), "character varying(10)");
    EXPECT_TEXT(format(1042, 5), "character(1)");
    EXPECT_TEXT(format(1700, (10 << 16 | 2) + 4), "numeric(10,2)");
    EXPECT_TEXT(format(1700, (3 << 16 | 2045) + 4), "numeric(3,-3)");
    EXPECT_TEXT(format(1114, 3), "timestamp(3) without time zone");
    EXPECT_TEXT(format(1184, 3), "timestamp(3) with time zone");
    EXPECT_TEXT(format(1083, 0), "time(0) without time zone");
    EXPECT_TEXT(format(1015, 14), "character varying(10)[]");
    EXPECT_TEXT(format(1231, (10 << 16 | 2) + 4), "numeric(10,2)[]");
    EXPECT_TEXT(format(1186, (32767 << 16) | 3), "interval(3)");
    EXPECT_TEXT(format(1186, (4 << 16) | 65535), "interval year");
    EXPECT_TEXT(format(99999, -1), "???");
    EXPECT_TEXT(format(0, -1), "-");
    EXPECT_TEXT(format(18, -1), "\"char\"");
    EXPECT_TEXT(format(1002, -1), "\"char\"[]");
}

static const char *typmod(uint32_t oid, uint32_t count, int32_t a, int32_t b)
{
    int32_t args[] = {a, b}, out;
    struct error err;
    if (!type_typmod(oid, args, count, &out, &err)) {
        strbuf_reset(&buf);
        strbuf_addf(&buf, "%s: %s", error_sqlstate(err.code), err.message);
        return strbuf_text(&buf);
    }
    return format(oid, out);
}

TEST(typmods)
{
    EXPECT_TEXT(typmod(OID_VARCHAR, 1, 10, 0), "character varying(10)");
    EXPECT_TEXT(typmod(OID_VARCHAR, 1, 0, 0), "22023: length for type varchar must be at least 1");
    EXPECT_TEXT(typmod(OID_VARCHAR, 1, 10485761, 0), "22023: length for type varchar cannot exceed 10485760");
    EXPECT_TEXT(typmod(OID_BPCHAR, 1, 0, 0), "22023: length for type char must be at least 1");
    EXPECT_TEXT(typmod(OID_NUMERIC, 1, 1001, 0), "22023: NUMERIC precision 1001 must be between 1 and 1000");
    EXPECT_TEXT(typmod(OID_NUMERIC, 2, 5, 1001), "22023: NUMERIC scale 1001 must be between -1000 and 1000");
    EXPECT_TEXT(typmod(OID_NUMERIC, 2, 5, -3), "numeric(5,-3)");
    EXPECT_TEXT(typmod(OID_TIMESTAMP, 1, 7, 0), "timestamp(6) without time zone");
    EXPECT_TEXT(typmod(OID_TEXT, 1, 4, 0), "42601: type modifier is not allowed for type \"text\"");
}

TEST(booleans)
{
    CASE(OID_BOOL, " tr ", "t");
    CASE(OID_BOOL, "of", "f");
    CASE(OID_BOOL, "1", "t");
    CASE(OID_BOOL, "NO", "f");
    CASE(OID_BOOL, "o", "22P02: invalid input syntax for type boolean: \"o\"");
    CASE(OID_BOOL, "", "22P02: invalid input syntax for type boolean: \"\"");
    CASE(OID_BOOL, "truee", "22P02: invalid input syntax for type boolean: \"truee\"");
}

TEST(integers)
{
    CASE(OID_INT4, " 12 ", "12");
    CASE(OID_INT4, "+1", "1");
    CASE(OID_INT4, "-2147483648", "-2147483648");
    CASE(OID_INT8, "-9223372036854775808", "-9223372036854775808");
    CASE(OID_INT4, "x", "22P02: invalid input syntax for type integer: \"x\"");
    CASE(OID_INT4, "", "22P02: invalid input syntax for type integer: \"\"");
    CASE(OID_INT4, "- 1", "22P02: invalid input syntax for type integer: \"- 1\"");
    CASE(OID_INT4, "1.5", "22P02: invalid input syntax for type integer: \"1.5\"");
    CASE(OID_INT4, "99999999999", "22003: value \"99999999999\" is out of range for type integer");
    CASE(OID_INT2, "-32769", "22003: value \"-32769\" is out of range for type smallint");
    CASE(OID_INT8, "9223372036854775808",
         "22003: value \"9223372036854775808\" is out of range for type bigint");
    CASE(OID_INT8, "99999999999999999999999999",
         "22003: value \"99999999999999999999999999\" is out of range for type bigint");
    CASE(OID_OID, "-1", "4294967295");
    CASE(OID_OID, "4294967296", "22003: value \"4294967296\" is out of range for type oid");
    CASE(OID_OID, "12x", "22P02: invalid input syntax for type oid: \"12x\"");
    CASE(OID_REGCLASS, "-", "-");
    CASE(OID_REGCLASS, "12", "12");
}

TEST(float8_text)
{
    static const char *const cases[][2] = {
        {"1e15", "1e+15"},
        {"1e14", "100000000000000"},
        {"123456789012345.7", "123456789012345.7"},
        {"1e-5", "1e-05"},
        {"1e-4", "0.0001"},
        {"123456789012345678", "1.2345678901234568e+17"},
        {"-0", "-0"},
        {"1e100", "1e+100"},
        {"5e-324", "5e-324"},
        {"1.7976931348623157e308", "1.7976931348623157e+308"},
        {"9007199254740993", "9.007199254740992e+15"},
        {"1e23", "9.999999999999999e+22"},
        {"5.6843418860808015e-14", "5.684341886080802e-14"},
        {"1152921504606846976", "1.152921504606847e+18"},
        {"2e22", "2e+22"},
        {"8.41e21", "8.409999999999999e+21"},
        {"5e22", "4.9999999999999996e+22"},
        {"9.5367431640625e-07", "9.5367431640625e-07"},
        {"4.35", "4.35"},
        {"1e22", "1e+22"},
        {"1.9430376160308388e16", "1.9430376160308388e+16"},
        {"4708356024711512064", "4.708356024711512e+18"},
        {"9223372036854775808", "9.223372036854776e+18"},
        {"1125899906842624.5", "1.1258999068426245e+15"},
        {"0.3333333333333333", "0.3333333333333333"},
        {"0.1", "0.1"},
        {"1e-320", "1e-320"},
        {" 1.5 ", "1.5"},
        {"0x10", "16"},
        {"nan", "NaN"},
        {"+inf", "Infinity"},
        {"-iNfinity", "-Infinity"},
        {"x", "22P02: invalid input syntax for type double precision: \"x\""},
        {"", "22P02: invalid input syntax for type double precision: \"\""},
        {"1.5x", "22P02: invalid input syntax for type double precision: \"1.5x\""},
        {"1e400", "22003: \"1e400\" is out of range for type double precision"},
        {"1e-400", "22003: \"1e-400\" is out of range for type double precision"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        CASE(OID_FLOAT8, cases[i][0], cases[i][1]);
}

TEST(float4_text)
{
    static const char *const cases[][2] = {
        {"1e6", "1e+06"},
        {"1e5", "100000"},
        {"123456.7", "123456.7"},
        {"1234567", "1.234567e+06"},
        {"12345678", "1.2345678e+07"},
        {"1e-4", "0.0001"},
        {"1e-5", "1e-05"},
        {"0.1", "0.1"},
        {"16777216", "1.6777216e+07"},
        {"3.4028235e38", "3.4028235e+38"},
        {"618970019642690137449562112", "6.1897002e+26"},
        {"5.9604645e-08", "5.9604645e-08"},
        {"33554432", "3.3554432e+07"},
        {"8.999999e9", "8.999999e+09"},
        {"1.00001e9", "1.00001e+09"},
        {"8388608.5", "8.388608e+06"},
        {"67108864", "6.7108864e+07"},
        {"9.223372e18", "9.223372e+18"},
        {"1e10", "1e+10"},
        {"1.1754944e-38", "1.1754944e-38"},
        {"1.4e-45", "1e-45"},
        {"3.355445e7", "3.3554448e+07"},
        {"1e-40", "1e-40"},
        {"1e40", "22003: \"1e40\" is out of range for type real"},
        {"1e-46", "22003: \"1e-46\" is out of range for type real"},
        {"infinityx", "22P02: invalid input syntax for type real: \"infinityx\""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        CASE(OID_FLOAT4, cases[i][0], cases[i][1]);
}

static const char *float8_digits(double value, int extra)
{
    strbuf_reset(&buf);
    float8_format(value, extra, &buf);
    return strbuf_text(&buf);
}

TEST(extra_float_digits)
{
    EXPECT_TEXT(float8_digits(0.1, 0), "0.1");
    EXPECT_TEXT(float8_digits(1.0 / 3, 0), "0.333333333333333");
    EXPECT_TEXT(float8_digits(1e15, 0), "1e+15");
    EXPECT_TEXT(float8_digits(123456789012345678.0, 0), "1.23456789012346e+17");
    EXPECT_TEXT(float8_digits(1.0 / 3, -3), "0.333333333333");
    EXPECT_TEXT(float8_digits(1.0 / 3, -15), "0.3");
    EXPECT_TEXT(float8_digits(1e6, -15), "1e+06");
}

static uint64_t random_bits(uint64_t *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return hash_u64(*state);
}

/* Whatever is written reads back as the same value, through both readers. */
TEST(floats_read_back)
{
    uint64_t state = 7;
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = random_bits(&state);
        double value, again;
        float narrow, narrow_again;
        memcpy(&value, &bits, 8);
        if (i % 3 == 0)
            value = (double)(int64_t)(bits % 2000000) / 100;
        memcpy(&narrow, &bits, 4);
        if (!isfinite(value) || !isfinite(narrow))
            continue;
        strbuf_reset(&buf);
        float8_format(value, 1, &buf);
        EXPECT(float8_parse(strbuf_text(&buf), buf.len, &again, NULL) && again == value);
        EXPECT(strtod(strbuf_text(&buf), NULL) == value);
        strbuf_reset(&buf);
        float4_format(narrow, 1, &buf);
        EXPECT(float4_parse(strbuf_text(&buf), buf.len, &narrow_again, NULL) && narrow_again == narrow);
        EXPECT(strtof(strbuf_text(&buf), NULL) == narrow);
    }
}

TEST(uuid_and_bytea)
{
    CASE(OID_UUID, "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
    CASE(OID_UUID, "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
    CASE(OID_UUID, "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
    CASE(OID_UUID, "x", "22P02: invalid input syntax for type uuid: \"x\"");
    CASE(OID_UUID, "a0eebc-999c0b4ef8bb6d6bb9bd380a11",
         "22P02: invalid input syntax for type uuid: \"a0eebc-999c0b4ef8bb6d6bb9bd380a11\"");
    CASE(OID_UUID, "{", "22P02: invalid input syntax for type uuid: \"{\"");
    CASE(OID_BYTEA, "\\x 12 34 ", "\\x1234");
    CASE(OID_BYTEA, "a\\\\b\\001c", "\\x615c620163");
    CASE(OID_BYTEA, "\\xg1", "22023: invalid hexadecimal digit: \"g\"");
    CASE(OID_BYTEA, "\\x123", "22023: invalid hexadecimal data: odd number of digits");
    CASE(OID_BYTEA, "\\x12 3", "22023: invalid hexadecimal data: odd number of digits");
    CASE(OID_BYTEA, "a\\b", "22P02: invalid input syntax for type bytea");
    CASE(OID_BYTEA, "\\400", "22P02: invalid input syntax for type bytea");
    struct io_env env = io_env_default;
    env.bytea_escape = true;
    struct datum value = read_value(OID_BYTEA, "a\\\\b\\001c\\377~\\177");
    strbuf_reset(&buf);
    type_output(OID_BYTEA, &value, &env, &buf);
    EXPECT_TEXT(strbuf_text(&buf), "a\\\\b\\001c\\377~\\177");
}

TEST(text_types)
{
    char name[80], expected[64];
    memset(name, 'x', 70);
    name[70] = '\0';
    memset(expected, 'x', 63);
    expected[63] = '\0';
    CASE(OID_NAME, name, expected);
    CASE(OID_TEXT, "a\xff", "22021: invalid byte sequence for encoding \"UTF8\": 0xff");
    CASE(OID_TEXT, "a\xe9 b", "22021: invalid byte sequence for encoding \"UTF8\": 0xe9 0x20 0x62");
    CASE(OID_TEXT, "\xed\xa0\x80", "22021: invalid byte sequence for encoding \"UTF8\": 0xed 0xa0 0x80");
    CASE(OID_TEXT, "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80");
    CASE(OID_CHAR, "abcd", "a");
    CASE(OID_CHAR, "", "");
    CASE(OID_CHAR, "\\101", "A");
    CASE(OID_CHAR, "\\377", "\\377");
    CASE(OID_CHAR, "\xc3\xa9", "\\303");
    EXPECT_TEXT(roundtrip_typmod(OID_VARCHAR, 7, "abcd"),
                "22001: value too long for type character varying(3)");
    EXPECT_TEXT(roundtrip_typmod(OID_VARCHAR, 7, "abc  "), "abc");
    EXPECT_TEXT(roundtrip_typmod(OID_BPCHAR, 7, "a"), "a  ");
    EXPECT_TEXT(roundtrip_typmod(OID_BPCHAR, 7, "abcd  "), "22001: value too long for type character(3)");
    EXPECT_TEXT(roundtrip_typmod(OID_BPCHAR, 9, "\xc3\xa9"), "\xc3\xa9    ");
    CASE(OID_RECORD, "x", "0A000: input of anonymous composite types is not implemented");
}

TEST(apply_typmod)
{
    struct datum value = read_value(OID_TEXT, "\xc3\xa9\xc3\xa8\xc3\xa0\xc3\xbc"), out;
    struct error err;
    EXPECT(type_apply_typmod(OID_VARCHAR, 7, true, &value, &arena, &out, &err));
    EXPECT_INT(out.var.len, 6);
    EXPECT(!type_apply_typmod(OID_VARCHAR, 7, false, &value, &arena, &out, &err));
    EXPECT_TEXT(err.message, "value too long for type character varying(3)");
    EXPECT(type_apply_typmod(OID_BPCHAR, 10, false, &value, &arena, &out, &err));
    EXPECT_INT(out.var.len, 10);
    value = read_value(1015, "{abcd,NULL}");
    EXPECT(type_apply_typmod(1015, 7, true, &value, &arena, &out, &err));
    strbuf_reset(&buf);
    type_output(1015, &out, &io_env_default, &buf);
    EXPECT_TEXT(strbuf_text(&buf), "{abc,NULL}");
}

#define MALFORMED(text, detail) "22P02: malformed array literal: \"" text "\"|" detail

TEST(array_literals)
{
    static const char *const cases[][2] = {
        {"[0:2]={1,2,3}", "[0:2]={1,2,3}"},
        {"{{1,2},{3,4}}", "{{1,2},{3,4}}"},
        {"[1:2][1:2]={{1,2},{3,4}}", "{{1,2},{3,4}}"},
        {"[-1:0]={1,2}", "[-1:0]={1,2}"},
        {"[3]={1,2,3}", "{1,2,3}"},
        {"[0:0] = {1}", "[0:0]={1}"},
        {"  {  }  ", "{}"},
        {"{1,2", MALFORMED("{1,2", "Unexpected end of input.")},
        {"{1,2}x", MALFORMED("{1,2}x", "Junk after closing right brace.")},
        {"  {1,}", MALFORMED("{1,}", "Unexpected \"}\" character.")},
        {"{}}", MALFORMED("{}}", "Junk after closing right brace.")},
        {"1,2", MALFORMED("1,2", "Array value must start with \"{\" or dimension information.")},
        {"", MALFORMED("", "Array value must start with \"{\" or dimension information.")},
        {"{{1,2},{3}}",
         MALFORMED("{{1,2},{3}}", "Multidimensional arrays must have sub-arrays with matching dimensions.")},
        {"{,}", MALFORMED("{,}", "Unexpected \",\" character.")},
        {"{1,}", MALFORMED("{1,}", "Unexpected \"}\" character.")},
        {"{{},{}}", MALFORMED("{{},{}}", "Unexpected \"}\" character.")},
        {"{1,{2}}", MALFORMED("{1,{2}}", "Unexpected \"{\" character.")},
        {"{{1},2}", MALFORMED("{{1},2}", "Unexpected array element.")},
        {"[1:2]={1}", MALFORMED("[1:2]={1}", "Specified array dimensions do not match array contents.")},
        {"[0:0] {1}", MALFORMED("[0:0] {1}", "Missing \"=\" after array dimensions.")},
        {"[0:0]=1", MALFORMED("[0:0]=1", "Array contents must start with \"{\".")},
        {"[1", MALFORMED("[1", "Missing \"]\" after array dimensions.")},
        {"[1:", MALFORMED("[1:", "Missing array dimension value.")},
        {"[a:b]={1}", MALFORMED("[a:b]={1}", "\"[\" must introduce explicitly-specified array dimensions.")},
        {"[2:1]={1}", "2202E: upper bound cannot be less than lower bound"},
        {"{{{{{{{1}}}}}}}", "54000: number of array dimensions (7) exceeds the maximum allowed (6)"},
        {"{1 2}", "22P02: invalid input syntax for type integer: \"1 2\""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        CASE(OID_INT4_ARRAY, cases[i][0], cases[i][1]);
    CASE(OID_TEXT_ARRAY, "{a,\"b c\",NULL,\"null\",\"\"}", "{a,\"b c\",NULL,\"null\",\"\"}");
    CASE(OID_TEXT_ARRAY, "{ a b , c }", "{\"a b\",c}");
    CASE(OID_TEXT_ARRAY, "{\"a\" , \"b\" }", "{a,b}");
    CASE(OID_TEXT_ARRAY, "{\"\\\"\",\"\\\\\",\"{\"}", "{\"\\\"\",\"\\\\\",\"{\"}");
    CASE(OID_TEXT_ARRAY, "{NuLL}", "{NULL}");
    CASE(OID_TEXT_ARRAY, "{\"a\"b}", MALFORMED("{\"a\"b}", "Unexpected array element."));
    CASE(OID_TEXT_ARRAY, "{a\"b\"}", MALFORMED("{a\"b\"}", "Unexpected array element."));
    CASE(OID_TEXT_ARRAY, "{\"a", MALFORMED("{\"a", "Unexpected end of input."));
    CASE(OID_TEXT_ARRAY, "{a\\", MALFORMED("{a\\", "Unexpected end of input."));
    CASE(OID_TEXT_ARRAY, "{a,,b}", MALFORMED("{a,,b}", "Unexpected \",\" character."));
    CASE(OID_INT2VECTOR, "1 2 3", "1 2 3");
    CASE(OID_INT2VECTOR, "", "");
    CASE(OID_INT2VECTOR, "1 99999", "22003: value \"99999\" is out of range for type smallint");
    CASE(OID_OIDVECTOR, "1 4000000000", "1 4000000000");
}

TEST(array_access)
{
    struct datum items[] = {datum_i32(1), datum_null(), datum_i32(3)};
    struct varlen value = array_make(&arena, OID_INT4, items, 3);
    struct array_view view;
    array_open(&value, &view);
    EXPECT_INT(view.count, 3);
    EXPECT_INT(view.lower_bounds[0], 1);
    EXPECT(array_get(&view, 1).is_null);
    EXPECT_INT(array_get(&view, 2).i32, 3);
    EXPECT_INT(array_elements(&view, &arena)[0].i32, 1);
    value = array_make(&arena, OID_INT4, NULL, 0);
    array_open(&value, &view);
    EXPECT_INT(view.ndim, 0);
    EXPECT_INT(view.count, 0);
}

TEST(records)
{
    uint32_t oids[] = {OID_INT4, OID_TEXT, OID_TEXT, OID_TEXT, OID_BOOL};
    struct datum values[] = {datum_i32(1), datum_text(&arena, "b \"c", 4), datum_null(),
                             datum_text(&arena, "", 0), datum_bool(true)};
    struct datum record = {.var = record_make(&arena, oids, values, 5)};
    strbuf_reset(&buf);
    type_output(OID_RECORD, &record, &io_env_default, &buf);
    EXPECT_TEXT(strbuf_text(&buf), "(1,\"b \"\"c\",,\"\",t)");
    values[0].i32 = 2;
    struct datum larger = {.var = record_make(&arena, oids, values, 5)};
    EXPECT(type_compare(OID_RECORD, &record, &larger) < 0);
    EXPECT(type_hash(OID_RECORD, &record) != type_hash(OID_RECORD, &larger));
}

/* ---- wire ---- */

static const char *hex(const char *bytes, size_t len)
{
    static char text[512];
    size_t at = 0;
    for (size_t i = 0; i < len && at + 3 < sizeof(text); i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%02x", (uint8_t)bytes[i]);
    text[at] = '\0';
    return text;
}

static void check_wire(uint32_t oid, const char *text, const char *expected)
{
    struct datum value = read_value(oid, text), again;
    struct strbuf wire = STRBUF_INIT, out = STRBUF_INIT, before = STRBUF_INIT;
    struct error err;
    type_send(oid, &value, &wire);
    EXPECT_TEXT(hex(wire.data, wire.len), expected);
    if (!type_recv(oid, -1, (const uint8_t *)wire.data, wire.len, &arena, &again, &err))
        test_fail(__FILE__, __LINE__, err.message);
    type_output(oid, &value, &io_env_default, &before);
    type_output(oid, &again, &io_env_default, &out);
    EXPECT_TEXT(strbuf_text(&out), strbuf_text(&before));
    /* never crashes on any cut */
    for (size_t len = 0; len < wire.len; len++)
        (void)!type_recv(oid, -1, (const uint8_t *)wire.data, len, &arena, &again, &err);
    strbuf_release(&wire);
    strbuf_release(&out);
    strbuf_release(&before);
}

TEST(wire)
{
    check_wire(OID_BOOL, "t", "01");
    check_wire(OID_INT2, "-2", "fffe");
    check_wire(OID_INT4, "258", "00000102");
    check_wire(OID_INT8, "-1", "ffffffffffffffff");
    check_wire(OID_OID, "4294967295", "ffffffff");
    check_wire(OID_FLOAT4, "1.5", "3fc00000");
    check_wire(OID_FLOAT8, "-1.5", "bff8000000000000");
    check_wire(OID_TEXT, "ab", "6162");
    check_wire(OID_CHAR, "", "00");
    check_wire(OID_BYTEA, "\\x00ff", "00ff");
    check_wire(OID_UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc999c0b4ef8bb6d6bb9bd380a11");
    check_wire(OID_JSONB, "{\"a\":1}", "017b2261223a20317d");
    /* select array_send(array[1,null,3]) */
    check_wire(OID_INT4_ARRAY, "{1,NULL,3}",
               "0000000100000001000000170000000300000001000000040000000"
               "1ffffffff0000000400000003");
    check_wire(OID_INT4_ARRAY, "{}", "000000000000000000000017");
    check_wire(OID_OIDVECTOR, "1 2",
               "00000001000000000000001a0000000200000000000000040000000100000004"
               "00000002");
    struct datum value;
    struct error err;
    EXPECT(!type_recv(OID_INT4, -1, (const uint8_t *)"abc", 3, &arena, &value, &err));
    EXPECT_TEXT(error_sqlstate(err.code), "22P03");
    EXPECT(!type_recv(OID_TEXT, -1, (const uint8_t *)"\xff", 1, &arena, &value, &err));
    EXPECT_TEXT(error_sqlstate(err.code), "22021");
}

/* ---- order, hash, keys ---- */

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

static struct strbuf encode(uint32_t oid, const struct datum *value, bool descending)
{
    struct strbuf key = STRBUF_INIT;
    type_encode_key(oid, value, descending, false, &key);
    return key;
}

/* values in rising order; equal neighbours are marked by a leading '=' */
static void check_order(uint32_t oid, const char *const *texts, int count)
{
    struct datum values[40];
    int ranks[40], rank = 0;
    for (int i = 0; i < count; i++) {
        bool same = texts[i][0] == '=';
        ranks[i] = rank += i > 0 && !same;
        values[i] = read_value(oid, texts[i] + same);
    }
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < count; k++) {
            int expected = sign(ranks[i] - ranks[k]);
            if (sign(type_compare(oid, &values[i], &values[k])) != expected)
                fprintf(stderr, "type %u: compare '%s' with '%s'\n", oid, texts[i], texts[k]);
            EXPECT_INT(sign(type_compare(oid, &values[i], &values[k])), expected);
            EXPECT((type_hash(oid, &values[i]) == type_hash(oid, &values[k])) == (expected == 0));
            for (int descending = 0; descending < 2; descending++) {
                struct strbuf a = encode(oid, &values[i], descending),
                              b = encode(oid, &values[k], descending);
                size_t shorter = a.len < b.len ? a.len : b.len;
                int order = sign(memcmp(a.data, b.data, shorter));
                if (order != (descending ? -expected : expected))
                    fprintf(stderr, "type %u: key of '%s' against '%s'\n", oid, texts[i], texts[k]);
                EXPECT_INT(order, descending ? -expected : expected);
                if (expected == 0)
                    EXPECT_INT(a.len, b.len);
                strbuf_release(&a);
                strbuf_release(&b);
            }
        }
    }
}

#define ORDERED(oid, ...)                                                                                    \
    do {                                                                                                     \
        static const char *const texts_[] = {__VA_ARGS__};                                                   \
        check_order(oid, texts_, (int)ARRAY_COUNT(texts_));                                                  \
    } while (0)

TEST(order)
{
    ORDERED(OID_BOOL, "f", "t");
    ORDERED(OID_INT2, "-32768", "-1", "0", "1", "256", "32767");
    ORDERED(OID_INT4, "-2147483648", "-1", "0", "255", "256", "2147483647");
    ORDERED(OID_INT8, "-9223372036854775808", "-1", "0", "1", "9223372036854775807");
    ORDERED(OID_FLOAT8, "-inf", "-1e300", "-1", "-1e-300", "0", "=-0", "1e-300", "1", "inf", "nan", "=nan");
    ORDERED(OID_FLOAT4, "-inf", "-2.5", "-0", "=0", "1e-45", "3", "inf", "nan");
    ORDERED(OID_TEXT, "", "A", "a", "a ", "ab", "abcdefghijklm", "abcdefghijklmn", "b", "\xc3\xa9");
    ORDERED(OID_BPCHAR, "", "=  ", "a", "=a   ", "ab", "b");
    ORDERED(OID_BYTEA, "", "\\x00", "\\x0000", "\\x0001", "\\x00ff", "\\x01", "\\x0100", "\\xff");
    ORDERED(OID_UUID, "00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000001",
            "ff000000-0000-0000-0000-000000000000");
    ORDERED(OID_INTERVAL, "-1 day", "0", "1 hour", "23:59:59", "1 day", "=24:00:00", "29 days", "1 month",
            "=30 days", "1 year");
    ORDERED(OID_NUMERIC, "-Infinity", "-1e400", "-12345678901234567890123456789012345678901234567890", "-100",
            "-12.3", "-12.25", "=-12.2500", "-12", "-0.001", "-0.0001", "0", "=0.00", "0.0001", "0.00011",
            "1", "=1.000", "1.5", "=1.50", "9", "10", "=10.0", "11",
            "99999999999999999999999999999999999999999999.5", "1e400", "Infinity", "NaN");
    ORDERED(OID_INT4_ARRAY, "{}", "{1}", "{1,2}", "{{1,2}}", "{1,3}", "{1,NULL}", "{2}", "[2:2]={2}",
            "{NULL}");
    ORDERED(OID_OIDVECTOR, "", "5", "9", "1 2", "1 3");
    ORDERED(OID_JSONB, "[]", "null", "\"\"", "\"B\"", "\"a\"", "\"b\"", "\"\xc3\xa9\"", "1", "=1.0", "2",
            "false", "true", "[null]", "[\"a\"]", "[1]", "[2]", "[[]]", "[{}]", "[1,2]", "{}", "{\"a\":null}",
            "{\"a\":1}", "={\"a\":1.00}", "{\"a\":2}", "{\"a\":[]}", "{\"aa\":1}", "{\"b\":null}",
            "{\"b\":1}", "{\"a\":1,\"b\":1}");
}

TEST(nulls_in_keys)
{
    struct datum null = datum_null(), value = datum_i32(5);
    for (int descending = 0; descending < 2; descending++) {
        for (int first = 0; first < 2; first++) {
            struct strbuf a = STRBUF_INIT, b = STRBUF_INIT;
            type_encode_key(OID_INT4, &null, descending, first, &a);
            type_encode_key(OID_INT4, &value, descending, first, &b);
            EXPECT_INT(sign(memcmp(a.data, b.data, 1)), first ? -1 : 1);
            strbuf_release(&a);
            strbuf_release(&b);
        }
    }
    EXPECT(type_hash(OID_INT4, &null) == type_hash(OID_TEXT, &null));
}

/* Stored in checkpoints and deciding shards: these never change. */
TEST(hashes_are_fixed)
{
    struct datum one = datum_i64(1), text = datum_text(&arena, "millrace", 8);
    struct datum narrow = {.i16 = 1};
    EXPECT(type_hash(OID_INT8, &one) == 0xeed8b41af986877aULL);
    EXPECT(type_hash(OID_INT2, &narrow) == type_hash(OID_INT8, &one));
    EXPECT(type_hash(OID_TEXT, &text) == 0x0f798300cb96eca5ULL);
    EXPECT(hash_combine(1, 2) == 0xea9a0a76abb113ecULL);
}

TEST(exact)
{
    static const struct {
        uint32_t oid;
        const char *text;
    } cases[] = {
        {OID_BOOL, "t"},
        {OID_INT2, "-5"},
        {OID_INT4, "77"},
        {OID_INT8, "-9223372036854775808"},
        {OID_FLOAT4, "1.5"},
        {OID_FLOAT8, "-0"},
        {OID_TEXT, ""},
        {OID_TEXT, "a text of more than twelve bytes"},
        {OID_NUMERIC, "1.00"},
        {OID_UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
        {OID_INTERVAL, "1 mon 2"},
        {OID_TEXT_ARRAY, "{a,NULL,\"b c\"}"},
        {OID_JSONB, "{\"a\": 1}"},
    };
    struct error err;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct datum value = read_value(cases[i].oid, cases[i].text), again;
        struct strbuf bytes = STRBUF_INIT, x = STRBUF_INIT, y = STRBUF_INIT;
        size_t used;
        type_encode_exact(cases[i].oid, &value, &bytes);
        EXPECT(
            type_decode_exact(cases[i].oid, (uint8_t *)bytes.data, bytes.len, &used, &arena, &again, &err));
        EXPECT_INT(used, bytes.len);
        type_output(cases[i].oid, &value, &io_env_default, &x);
        type_output(cases[i].oid, &again, &io_env_default, &y);
        EXPECT_TEXT(strbuf_text(&y), strbuf_text(&x));
        for (size_t len = 0; len < bytes.len; len++) {
            EXPECT(!type_decode_exact(cases[i].oid, (uint8_t *)bytes.data, len, &used, &arena, &again, &err));
            EXPECT_TEXT(error_sqlstate(err.code), "XX001");
        }
        strbuf_release(&bytes);
        strbuf_release(&x);
        strbuf_release(&y);
    }
    struct datum one = read_value(OID_NUMERIC, "1.0"), same = read_value(OID_NUMERIC, "1.00");
    struct strbuf a = STRBUF_INIT, b = STRBUF_INIT;
    type_encode_exact(OID_NUMERIC, &one, &a);
    type_encode_exact(OID_NUMERIC, &same, &b);
    EXPECT(a.len != b.len || memcmp(a.data, b.data, a.len) != 0);
    /* an array that claims more than it holds is refused before anyone opens it */
    struct datum array = read_value(OID_INT4_ARRAY, "{1,2,3}"), out;
    size_t used;
    strbuf_reset(&a);
    type_encode_exact(OID_INT4_ARRAY, &array, &a);
    a.data[5 + 8] = 100;
    EXPECT(!type_decode_exact(OID_INT4_ARRAY, (uint8_t *)a.data, a.len, &used, &arena, &out, &err));
    strbuf_release(&a);
    strbuf_release(&b);
}

int main(void)
{
    arena_init(&arena, NULL);
    RUN(names);
    RUN(table_is_consistent);
    RUN(format_type);
    RUN(typmods);
    RUN(booleans);
    RUN(integers);
    RUN(float8_text);
    RUN(float4_text);
    RUN(extra_float_digits);
    RUN(floats_read_back);
    RUN(uuid_and_bytea);
    RUN(text_types);
    RUN(apply_typmod);
    RUN(array_literals);
    RUN(array_access);
    RUN(records);
    RUN(wire);
    RUN(order);
    RUN(nulls_in_keys);
    RUN(hashes_are_fixed);
    RUN(exact);
    arena_release(&arena);
    strbuf_release(&buf);
    return test_result();
}
