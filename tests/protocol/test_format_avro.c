/* test_format_avro.c: the Avro decoder against records of Apache Avro's own library (tests/data/avro_cases.py), its errors, its framings,
 * and round trips through the encoder. */
#include "protocol/format/avro_schema.h"
#include "protocol/format/avro_write.h"
#include "tests/protocol/format_case.h"

static struct format_case c;
static struct error err;

static struct decoder *open_with(const char *schema)
{
    struct decoder *decoder = NULL;
    format_case_option(&c, "avro_schema", schema);
    if (!format_avro.open_decoder(&c.spec, &decoder, &err))
        test_fail(__FILE__, __LINE__, err.message);
    return decoder;
}

/* One record, hexadecimal, of a schema. */
static const char *decode(const char *columns, const char *schema, const char *hex)
{
    size_t len;
    format_case_close(&c);
    format_case_open(&c, columns, false);
    struct decoder *decoder = open_with(schema);
    if (decoder == NULL)
        return "";
    uint8_t *bytes = format_case_hex(&c, hex, &len);
    const char *text = format_case_decode(&c, decoder, NULL, 0, bytes, len);
    format_avro.close_decoder(decoder);
    return text;
}

static const char *refused(const char *columns, const char *schema)
{
    format_case_close(&c);
    format_case_open(&c, columns, false);
    format_case_option(&c, "avro_schema", schema);
    EXPECT(!format_avro.open_decoder(&c.spec, NULL, &err));
    return format_case_error(&c, &err);
}

#define RECORD(fields)    "{\"type\":\"record\",\"name\":\"r\",\"fields\":[" fields "]}"
#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":" type "}"

TEST(cases)
{
    FILE *file = fopen(MILLRACE_TEST_DATA "/avro_cases.txt", "r");
    char *line = NULL;
    size_t cap = 0;
    int count = 0;
    EXPECT(file != NULL);
    for (ssize_t len; file != NULL && (len = getline(&line, &cap, file)) > 0; count++) {
        char *columns = strchr(line, '\t'), *hex = strchr(columns + 1, '\t'), *row = strchr(hex + 1, '\t');
        *columns++ = *hex++ = *row++ = '\0';
        EXPECT_TEXT(decode(columns, line, hex), row);
    }
    EXPECT_INT(count, 200);
    free(line);
    if (file != NULL)
        fclose(file);
}

/* Every record cut short is refused, and so is one with more behind it; no byte changed makes it crash. */
TEST(damage)
{
    FILE *file = fopen(MILLRACE_TEST_DATA "/avro_cases.txt", "r");
    char *line = NULL;
    size_t cap = 0;
    uint64_t state = 88172645463325252u;
    long refusals = 0, tries = 0;
    for (ssize_t len; file != NULL && (len = getline(&line, &cap, file)) > 0;) {
        char *columns = strchr(line, '\t'), *hex = strchr(columns + 1, '\t'), *row = strchr(hex + 1, '\t');
        size_t bytes_len;
        *columns++ = *hex++ = *row++ = '\0';
        format_case_close(&c);
        format_case_open(&c, columns, false);
        struct decoder *decoder = open_with(line);
        uint8_t *bytes = format_case_hex(&c, hex, &bytes_len);
        for (size_t cut = 0; cut < bytes_len && cut < 200; cut++) {
            uint8_t *copy = malloc(cut + 1); /* of that size, so that the sanitizer sees each byte too far */
            memcpy(copy, bytes, cut);
            const char *text = format_case_decode(&c, decoder, NULL, 0, copy, cut);
            EXPECT(strncmp(text, "22P03", 5) == 0 || text[0] != '+');
            free(copy);
        }
        for (int i = 0; i < 60; i++, tries++) {
            uint8_t *copy = malloc(bytes_len + 1);
            memcpy(copy, bytes, bytes_len);
            for (uint64_t k = format_case_random(&state) % 3 + 1; bytes_len > 0 && k > 0; k--)
                copy[format_case_random(&state) % bytes_len] = (uint8_t)format_case_random(&state);
            refusals += format_case_decode(&c, decoder, NULL, 0, copy, bytes_len)[0] != '+';
            arena_reset(&c.arena);
            struct sql_type types[FORMAT_CASE_COLUMNS_MAX];
            for (uint32_t k = 0; k < c.spec.columns_count; k++)
                types[k] = c.columns[k].type;
            c.rows = batch_create(&c.arena, types, c.spec.columns_count, 4);
            bytes = format_case_hex(&c, hex, &bytes_len);
            free(copy);
        }
        format_avro.close_decoder(decoder);
    }
    EXPECT(refusals > tries / 10);
    free(line);
    if (file != NULL)
        fclose(file);
}

TEST(widening)
{
    const char *schema = RECORD(FIELD("a", "\"int\"") "," FIELD("b", "\"float\"") "," FIELD("c", "\"long\""));
    EXPECT_TEXT(decode("a bigint; b float8; c numeric(20,2)", schema, "020000803fd00f"), "+ 1 1 1000.00\n");
    EXPECT_TEXT(decode("c integer; a numeric; b text", schema, "030000803fd00f"), "+ 1000 -2 1\n");
    EXPECT_TEXT(decode("c smallint", schema, "030000803fd00f"), "+ 1000\n");
    EXPECT_TEXT(decode("c smallint", schema, "030000803fd08608"),
                "22003 column \"c\": smallint out of range");
    EXPECT_TEXT(refused("a boolean", schema),
                "42804 column \"a\" is of type boolean but its field of Avro type int");
    EXPECT_TEXT(refused("z integer", schema), "42703 the Avro schema has no field for column \"z\"");
}

TEST(names)
{
    const char *schema =
        RECORD(FIELD("orderId", "\"int\"") "," FIELD("a", "\"int\"") "," FIELD("A", "\"int\""));
    EXPECT_TEXT(decode("orderid int; a int; A int", schema, "020406"), "+ 1 2 3\n");
    EXPECT_TEXT(refused("x int orderid", schema), "42703 the Avro schema has no field for column \"x\"");
    EXPECT_TEXT(decode("x int orderId", schema, "020406"), "+ 1\n");
}

TEST(numbers_of_times)
{
    const char *schema = RECORD(FIELD("ts", "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}"));
    EXPECT_TEXT(decode("ts bigint", schema, "d00f"), "+ 1000\n");
    EXPECT_TEXT(decode("ts timestamptz", schema, "d00f"), "+ \"1970-01-01 00:00:01+00\"\n");
    EXPECT_TEXT(decode("ts timestamp(0)", schema, "d80f"), "+ \"1970-01-01 00:00:01\"\n");
    EXPECT_TEXT(decode("ts timestamptz", schema, "feffffffffffffffff01"),
                "22008 column \"ts\": timestamp out of range");
    EXPECT_TEXT(decode("ts text",
                       RECORD(FIELD("ts", "{\"type\":\"int\",\"connect.name\":\"io.debezium.time.Date\"}")),
                       "02"),
                "+ 1970-01-02\n");
    EXPECT_TEXT(
        decode("d interval",
               RECORD(FIELD("d",
                            "{\"type\":\"fixed\",\"name\":\"f\",\"size\":12,\"logicalType\":\"duration\"}")),
               "0e00000003000000d2040000"),
        "+ \"1 year 2 mons 3 days 00:00:01.234\"\n");
}

TEST(unions)
{
    const char *schema = RECORD(FIELD("u", "[\"int\",\"null\",\"string\",\"double\"]"));
    EXPECT_TEXT(decode("u jsonb", schema, "0002"), "+ 1\n");
    EXPECT_TEXT(decode("u jsonb", schema, "02"), "+ \\N\n");
    EXPECT_TEXT(decode("u jsonb", schema, "04046162"), "+ \"\\\"ab\\\"\"\n");
    EXPECT_TEXT(decode("u text", schema, "04046162"), "+ ab\n");
    EXPECT_TEXT(decode("u text", schema, "0002"), "+ 1\n");
    EXPECT_TEXT(refused("u integer", schema),
                "42804 column \"u\" is of type integer but its field of Avro type double");
    schema = RECORD(FIELD("u", "[\"int\",\"null\",\"string\"]"));
    EXPECT_TEXT(decode("u integer", schema, "04043132"), "+ 12\n");
    EXPECT_TEXT(decode("u integer", schema, "0404315a"),
                "22P02 column \"u\": invalid input syntax for type integer: \"1Z\"");
    EXPECT_TEXT(decode("u integer", schema, "08"),
                "22P03 field \"u\": a branch that the union does not have at byte 1");
    const char *records =
        RECORD(FIELD("e", "[{\"type\":\"record\",\"name\":\"x\",\"fields\":[" FIELD(
                              "n", "\"int\"") "]},"
                                              "{\"type\":\"record\",\"name\":\"y\",\"fields\":[" FIELD(
                                                  "m", "\"int\"") "," FIELD("n", "\"string\"") "]}]"));
    EXPECT_TEXT(decode("n text e.n; m int e.m", records, "0002"), "+ 1 \\N\n");
    EXPECT_TEXT(decode("n text e.n; m int e.m", records, "02060261"), "+ a 3\n");
}

TEST(paths)
{
    const char *schema = RECORD(FIELD("m", "{\"type\":\"map\",\"values\":\"long\"}") "," FIELD(
        "l", "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"i\",\"fields\":[" FIELD(
                 "s", "\"string\"") "]}}"));
    const char *hex = "0402610202620400"
                      "0402780279"
                      "00";
    EXPECT_TEXT(decode("a bigint m.a; b int m.b; c int m.c", schema, hex), "+ 1 2 \\N\n");
    EXPECT_TEXT(decode("x text l[1].s; y text l[0].s; z text l[2].s; whole jsonb l", schema, hex),
                "+ y x \\N \"[{\\\"s\\\": \\\"x\\\"}, {\\\"s\\\": \\\"y\\\"}]\"\n");
    EXPECT_TEXT(decode("m jsonb; a bigint m.a; m2 json m", schema, hex),
                "+ \"{\\\"a\\\": 1, \\\"b\\\": 2}\" 1 \"{\\\"a\\\": 1, \\\"b\\\": 2}\"\n");
}

TEST(recursion)
{
    const char *schema = RECORD(FIELD("v", "\"int\"") "," FIELD("next", "[\"null\",\"r\"]"));
    EXPECT_TEXT(decode("v int; w int next.v; x int next.next.v", schema, "0202040200"),
                "22P03 field \"next.next.next\": "
                "the record ends within a number at byte 5");
    EXPECT_TEXT(decode("v int; w int next.v; x int next.next.v", schema,
                       "0202040206"
                       "00"),
                "+ 1 2 3\n");
    EXPECT_TEXT(decode("next jsonb", schema, "02020400"), "+ \"{\\\"v\\\": 2, \\\"next\\\": null}\"\n");
    struct strbuf hex = STRBUF_INIT;
    for (int i = 0; i < 5000; i++)
        strbuf_adds(&hex, "0202");
    strbuf_adds(&hex, "0200");
    EXPECT_TEXT(decode("next json", schema, strbuf_text(&hex)),
                "54001 column \"next\": a record is nested deeper than 2000 levels");
    EXPECT_TEXT(decode("v int", schema, strbuf_text(&hex)),
                "54001 field \"next\": a record is nested deeper than 2000 levels");
    strbuf_release(&hex);
}

/* A few bytes that promise very many elements. */
TEST(promises)
{
    EXPECT_TEXT(decode("a jsonb", RECORD(FIELD("a", "{\"type\":\"array\",\"items\":\"null\"}")),
                       "feffffffffffffffff01"),
                "22P03 column \"a\": a block of too many elements at byte 10");
    EXPECT_TEXT(
        decode("a bigint[]", RECORD(FIELD("a", "{\"type\":\"array\",\"items\":\"long\"}")), "feffff0f02"),
        "22P03 column \"a\": a block of too many elements at byte 4");
    EXPECT_TEXT(decode("a text", RECORD(FIELD("a", "\"string\"")), "feffffff0f61"),
                "22P03 column \"a\": a length beyond the end of the record at byte 5");
    EXPECT_TEXT(decode("a text", RECORD(FIELD("a", "\"string\"")), "0461ff"),
                "22021 column \"a\": invalid byte sequence for encoding \"UTF8\": 0xff");
    EXPECT_TEXT(decode("a text", RECORD(FIELD("a", "\"string\"")), "02616161"),
                "22P03 2 bytes behind the end of the record");
}

/* Blocks that say how many bytes they have, read and stepped over. */
TEST(blocks)
{
    const char *schema =
        RECORD(FIELD("a", "{\"type\":\"array\",\"items\":\"long\"}") "," FIELD("b", "\"int\""));
    EXPECT_TEXT(decode("b int", schema,
                       "03040004"
                       "0206"
                       "00"
                       "0e"),
                "+ 7\n");
    EXPECT_TEXT(decode("a bigint[]; b int", schema,
                       "03040004"
                       "0206"
                       "00"
                       "0e"),
                "+ {0,2,3} 7\n");
    EXPECT_TEXT(decode("b int", schema,
                       "03200204"
                       "00"
                       "0e"),
                "22P03 field \"a\": a block beyond the end of the record at byte 2");
}

TEST(schemas)
{
    EXPECT_TEXT(refused("a int", "{"), "22023 the Avro schema is no JSON");
    EXPECT(strncmp(refused("a int", "{\"type\":\"nothing\"}"), "22023 the Avro schema is not valid: ", 36) ==
           0);
    EXPECT_TEXT(decode("a int", "\"int\"", "0e"), "+ 7\n");
    EXPECT_TEXT(decode("a int", "[\"null\",\"int\"]", "020e"), "+ 7\n");
    EXPECT_TEXT(decode("a int[]", "{\"type\":\"array\",\"items\":\"int\"}", "04020400"), "+ {1,2}\n");
    /* names in a namespace, used before and after */
    EXPECT_TEXT(decode("a text a.f; b text b.f",
                       "{\"type\":\"record\",\"name\":\"n.r\",\"fields\":[" FIELD(
                           "a", "{\"type\":\"record\",\"name\":\"s\",\"fields\":[" FIELD(
                                    "f", "\"string\"") "]}") "," FIELD("b", "\"n.s\"") "]}",
                       "02610262"),
                "+ a b\n");
}

TEST(not_null)
{
    const char *schema = RECORD(FIELD("a", "[\"null\",\"int\"]"));
    EXPECT_TEXT(decode("a int not null", schema, "00"),
                "23502 column \"a\": null value where none is allowed");
    EXPECT_TEXT(decode("a int not null", schema, "0202"), "+ 1\n");
}

TEST(tables)
{
    struct decoder *decoder = NULL;
    size_t len, key_len;
    format_case_close(&c);
    format_case_open(&c, "id bigint key; name text", true);
    format_case_option(&c, "avro_schema", RECORD(FIELD("name", "\"string\"")));
    format_case_option(&c, "avro_key_schema", "\"long\"");
    EXPECT(format_avro.open_decoder(&c.spec, &decoder, &err));
    uint8_t *value = format_case_hex(&c, "0261", &len), *key = format_case_hex(&c, "0e", &key_len);
    EXPECT_TEXT(format_case_decode(&c, decoder, key, key_len, value, len), "+ 7 a\n");
    EXPECT_TEXT(format_case_decode(&c, decoder, key, key_len, NULL, 0), "- 7 \\N\n");
    EXPECT_TEXT(format_case_decode(&c, decoder, NULL, 0, NULL, 0), "22004 the record has no key");
    EXPECT_TEXT(format_case_decode(&c, decoder, NULL, 0, value, len),
                "23502 column \"id\": null value where none is allowed");
    format_avro.close_decoder(decoder);
    /* keys of other formats */
    format_case_close(&c);
    format_case_open(&c, "id bigint key; name text", true);
    format_case_option(&c, "avro_schema", RECORD(FIELD("name", "\"string\"")));
    format_case_option(&c, "key_format", "text");
    format_case_option(&c, "key_columns", "key");
    EXPECT(format_avro.open_decoder(&c.spec, &decoder, &err));
    value = format_case_hex(&c, "0261", &len);
    EXPECT_TEXT(format_case_decode(&c, decoder, "42", 2, value, len), "+ 42 a\n");
    EXPECT_TEXT(format_case_decode(&c, decoder, "42", 2, NULL, 0), "- 42 \\N\n");
    EXPECT(strncmp(format_case_decode(&c, decoder, "x", 1, NULL, 0), "22P02 ", 6) == 0);
    format_avro.close_decoder(decoder);
    format_case_close(&c);
    format_case_open(&c, "a int", false);
    decoder = open_with(RECORD(FIELD("a", "\"int\"")));
    EXPECT_TEXT(format_case_decode(&c, decoder, NULL, 0, NULL, 0), "22004 the record has no value");
    format_avro.close_decoder(decoder);
}

TEST(framings)
{
    struct decoder *decoder;
    size_t len;
    uint8_t *bytes;
    format_case_close(&c);
    format_case_open(&c, "a int", false);
    format_case_option(&c, "avro_framing", "confluent");
    decoder = open_with(RECORD(FIELD("a", "\"int\"")));
    bytes = format_case_hex(&c, "000000000702", &len);
    EXPECT_TEXT(format_case_decode(&c, decoder, NULL, 0, bytes, len), "+ 1\n");
    EXPECT_TEXT(format_case_decode(&c, decoder, NULL, 0, bytes + 1, len - 1),
                "22P03 column \"a\": the record ends within a number at byte 0");
    EXPECT_TEXT(format_case_decode(&c, decoder, NULL, 0, bytes, 4),
                "22P03 the value does not begin with a zero byte and the number of a schema");
    format_avro.close_decoder(decoder);
    /* the fingerprint of "int" in the specification's test data is 7275d51a3f395c8f */
    struct avro_node *node;
    EXPECT(avro_schema_parse_text(&c.arena, "\"int\"", &node, &err));
    EXPECT(avro_schema_fingerprint(node) == 0x7275d51a3f395c8fu);
    format_case_close(&c);
    format_case_open(&c, "a int", false);
    format_case_option(&c, "avro_framing", "single_object");
    decoder = open_with("\"int\"");
    bytes = format_case_hex(&c, "c3018f5c393f1ad5727502", &len);
    EXPECT_TEXT(format_case_decode(&c, decoder, NULL, 0, bytes, len),
                "22P03 the value was written with another schema than that of the options");
    bytes = format_case_hex(&c, "c3018f5c393f1ad5757202", &len);
    EXPECT_TEXT(format_case_decode(&c, decoder, NULL, 0, bytes, len), "+ 1\n");
    format_avro.close_decoder(decoder);
    format_case_close(&c);
    format_case_open(&c, "a int", false);
    EXPECT(!format_avro.open_decoder(&c.spec, NULL, &err));
    EXPECT_TEXT(format_case_error(&c, &err),
                "22023 format avro needs either option \"avro_schema\" or \"schema.registry.url\"");
}

TEST(inferred)
{
    struct format_column *columns;
    uint32_t count;
    format_case_close(&c);
    format_case_open(&c, "", true);
    format_case_option(&c, "avro_key_schema",
                       RECORD(FIELD("id", "\"long\"") "," FIELD("region", "\"string\"")));
    format_case_option(
        &c, "avro_schema",
        RECORD(FIELD("id", "\"long\"") "," FIELD(
            "Price",
            "[\"null\",{\"type\":\"bytes\",\"logicalType\":"
            "\"decimal\",\"precision\":9,\"scale\":2}]") "," FIELD("tags",
                                                                   "{\"type\":\"array\",\"items\":"
                                                                   "\"string\"}") "," FIELD("n",
                                                                                            "[\"int\","
                                                                                            "\"long\","
                                                                                            "\"null\"]") "," FIELD("x",
                                                                                                                   "[\"int\",\"string\"]") "," FIELD("m",
                                                                                                                                                     "{\"type\":"
                                                                                                                                                     "\"map\","
                                                                                                                                                     "\"values\":"
                                                                                                                                                     "\"int\"}") "," FIELD("ts",
                                                                                                                                                                           "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}")));
    EXPECT(format_avro.infer(&c.spec, &c.arena, &columns, &count, &err));
    struct strbuf text = STRBUF_INIT;
    for (uint32_t i = 0; i < count; i++) {
        strbuf_addf(&text, "%s ", columns[i].name);
        type_format(columns[i].type.oid, columns[i].type.typmod, &text);
        strbuf_adds(&text, columns[i].is_key ? " key\n" : "\n");
    }
    EXPECT_TEXT(
        strbuf_text(&text),
        "region text key\nid bigint key\nPrice numeric(9,2)\ntags text[]\nn bigint\nx jsonb\nm jsonb\n"
        "ts timestamp with time zone\n");
    strbuf_release(&text);
}

/* ---- the encoder ---- */

#define VALUE_BYTES 200

static void random_text(uint64_t *state, char *out)
{
    uint64_t len = format_case_random(state) % 40;
    for (uint64_t i = 0; i < len; i++)
        out[i] = (char)('a' + format_case_random(state) % 26);
    out[len] = '\0';
}

/* A value of a type as text. */
static void random_value(uint64_t *state, uint32_t oid, char *out)
{
    long long number = (long long)format_case_random(state) >> format_case_random(state) % 64;
    switch (oid) {
    case OID_BOOL:
        snprintf(out, VALUE_BYTES, "%s", number & 1 ? "t" : "f");
        break;
    case OID_INT2:
        snprintf(out, VALUE_BYTES, "%d", (int16_t)number);
        break;
    case OID_INT4:
        snprintf(out, VALUE_BYTES, "%d", (int32_t)number);
        break;
    case OID_INT8:
        snprintf(out, VALUE_BYTES, "%lld", number);
        break;
    case OID_FLOAT4:
    case OID_FLOAT8:
        snprintf(out, VALUE_BYTES, "%d.5", (int16_t)number);
        break;
    case OID_NUMERIC:
        snprintf(out, VALUE_BYTES, "%lld%03d.%02d", number, (int)(number & 511), (int)(number & 63));
        break;
    case OID_BYTEA:
        snprintf(out, VALUE_BYTES, "\\x%016llx%04x", number, (unsigned)number & 0xffff);
        break;
    case OID_DATE:
        snprintf(out, VALUE_BYTES, "%04d-02-%02d", 1 + (int)(format_case_random(state) % 9000),
                 1 + (int)(number & 15));
        break;
    case OID_TIME:
        snprintf(out, VALUE_BYTES, "%02d:00:00.%06d", (int)(number & 15), (int)(number & 0xffff));
        break;
    case OID_TIMESTAMP:
    case OID_TIMESTAMPTZ:
        snprintf(out, VALUE_BYTES, "%04d-02-%02d 11:12:13.%06d", 1 + (int)(format_case_random(state) % 9000),
                 1 + (int)(number & 15), (int)(number & 0xffff));
        break;
    case OID_INTERVAL:
        snprintf(out, VALUE_BYTES, "%d mons %d days %d seconds", (int8_t)number, (int8_t)(number >> 8),
                 (int16_t)(number >> 16));
        break;
    case OID_UUID:
        snprintf(out, VALUE_BYTES, "%016llx%016llx", (unsigned long long)format_case_random(state),
                 (unsigned long long)number);
        break;
    case OID_JSONB:
        snprintf(out, VALUE_BYTES, "{\"a\": [%lld, null]}", number);
        break;
    default:
        random_text(state, out);
    }
}

/* Rows written and read again are the same, whatever their types; so with the schema named instead of made. */
TEST(round_trips)
{
    static const char *const types[] = {
        "boolean", "smallint",      "integer",     "bigint",          "real",         "float8",
        "numeric", "numeric(40,2)", "text",        "varchar(60)",     "bytea",        "date",
        "time",    "timestamp",     "timestamptz", "interval",        "uuid",         "jsonb",
        "json",    "bigint[]",      "text[]",      "numeric(30,4)[]", "timestamptz[]"};
    uint64_t state = 2463534242u;
    for (int round = 0; round < 200; round++) {
        struct encoder *encoder = NULL;
        struct decoder *decoder = NULL;
        struct strbuf columns = STRBUF_INIT, key = STRBUF_INIT, value = STRBUF_INIT, all = STRBUF_INIT;
        uint32_t count = 1 + (uint32_t)(format_case_random(&state) % 10);
        for (uint32_t i = 0; i < count; i++)
            strbuf_addf(&columns, "c%u %s%s;", i, types[format_case_random(&state) % ARRAY_COUNT(types)],
                        i > 0 && format_case_random(&state) % 4 == 0 ? " not null" : "");
        format_case_close(&c);
        format_case_open(&c, strbuf_text(&columns), false);
        if (!format_avro.open_encoder(&c.spec, &encoder, &err))
            test_fail(__FILE__, __LINE__, err.message);
        struct batch *rows = c.rows;
        struct datum values[FORMAT_CASE_COLUMNS_MAX];
        for (int row = 0; row < 5; row++) {
            for (uint32_t i = 0; i < count; i++) {
                char text[4][VALUE_BYTES], array[900];
                uint32_t oid = c.columns[i].type.oid, element = type_find(oid)->element_oid;
                values[i] = datum_null();
                if (!c.columns[i].not_null && format_case_random(&state) % 4 == 0)
                    continue;
                random_value(&state, element != 0 ? element : oid == OID_JSON ? OID_JSONB : oid, text[0]);
                if (element != 0)
                    snprintf(array, sizeof(array),
                             format_case_random(&state) % 3 == 0 ? "{}" : "{\"%s\",NULL,\"%s\"}", text[0],
                             text[0]);
                const char *in = element != 0 ? array : text[0];
                if (!type_input(oid, c.columns[i].type.typmod, in, strlen(in), &io_env_default, &c.arena,
                                &values[i], &err))
                    test_fail(__FILE__, __LINE__, err.message);
            }
            batch_append_datums(rows, values, 1);
        }
        batch_to_text(rows, &all);
        format_case_option(&c, "avro_schema", avro_encoder_schema(encoder, false));
        EXPECT(format_avro.open_decoder(&c.spec, &decoder, &err));
        struct batch *back = batch_create(&c.arena, &(struct sql_type){OID_INT4, -1}, 0, 1);
        struct sql_type column_types[FORMAT_CASE_COLUMNS_MAX];
        for (uint32_t i = 0; i < count; i++)
            column_types[i] = c.columns[i].type;
        back = batch_create(&c.arena, column_types, count, 2);
        for (uint32_t row = 0; row < 5; row++) {
            strbuf_reset(&key);
            strbuf_reset(&value);
            if (!format_avro.encode(encoder, rows, row, false, &key, &value, &err))
                test_fail(__FILE__, __LINE__, err.message);
            EXPECT_INT(key.len, 0);
            struct record record = {.value = (const uint8_t *)value.data, .value_len = value.len};
            if (!format_avro.decode(decoder, &record, back, &err))
                test_fail(__FILE__, __LINE__, err.message);
        }
        struct strbuf again = STRBUF_INIT;
        batch_to_text(back, &again);
        EXPECT_TEXT(strbuf_text(&again), strbuf_text(&all));
        strbuf_release(&again);
        strbuf_release(&all);
        strbuf_release(&key);
        strbuf_release(&value);
        strbuf_release(&columns);
        format_avro.close_encoder(encoder);
        format_avro.close_decoder(decoder);
    }
}

TEST(encoder_keys_and_errors)
{
    struct encoder *encoder = NULL;
    struct strbuf key = STRBUF_INIT, value = STRBUF_INIT;
    format_case_close(&c);
    format_case_open(&c, "id bigint key; at timestamptz", true);
    EXPECT(format_avro.open_encoder(&c.spec, &encoder, &err));
    EXPECT_TEXT(avro_encoder_schema(encoder, true),
                "{\"type\":\"record\",\"name\":\"t_key\",\"fields\":[{\"name\":\"id\",\"type\":\"long\"}]}");
    EXPECT(batch_from_text(c.rows, "+ 7 \"1970-01-01 00:00:01+00\"\n+ 8 infinity\n", &err));
    EXPECT(format_avro.encode(encoder, c.rows, 0, true, &key, &value, &err));
    EXPECT_INT(value.len, 0);
    EXPECT(key.len == 1 && key.data[0] == 14);
    EXPECT(!format_avro.encode(encoder, c.rows, 1, false, &key, &value, &err));
    EXPECT_TEXT(format_case_error(&c, &err), "22008 column \"at\": timestamp out of range");
    format_avro.close_encoder(encoder);
    format_case_close(&c);
    format_case_open(&c, "a-b int", false);
    EXPECT(!format_avro.open_encoder(&c.spec, NULL, &err));
    EXPECT_TEXT(format_case_error(&c, &err), "42602 column \"a-b\" cannot be the name of a field in Avro");
    format_case_close(&c);
    format_case_open(&c, "a int; b text", false);
    format_case_option(&c, "avro_schema", RECORD(FIELD("a", "\"int\"")));
    EXPECT(!format_avro.open_encoder(&c.spec, NULL, &err));
    EXPECT_TEXT(format_case_error(&c, &err), "42703 the Avro schema has no field for column \"b\"");
    strbuf_release(&key);
    strbuf_release(&value);
}

int main(void)
{
    format_case_open(&c, "", false);
    RUN(cases);
    RUN(damage);
    RUN(widening);
    RUN(names);
    RUN(numbers_of_times);
    RUN(unions);
    RUN(paths);
    RUN(recursion);
    RUN(promises);
    RUN(blocks);
    RUN(schemas);
    RUN(not_null);
    RUN(tables);
    RUN(framings);
    RUN(inferred);
    RUN(round_trips);
    RUN(encoder_keys_and_errors);
    format_case_close(&c);
    return test_result();
}
