/* test_format_protobuf.c: the Protobuf decoder against messages of Google's own library (tests/data/protobuf_cases.py), its errors, its
 * framings, evolution with a registry, and round trips through the encoder. */
#include "protocol/format/base64.h"
#include "protocol/format/protobuf_write.h"
#include "tests/protocol/format_case.h"
#include "tests/protocol/tiny_registry.h"

static struct format_case c;
static struct error err;
static struct tiny_registry tiny;
static char *all_proto;

static char *read_file(const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", MILLRACE_TEST_DATA, name);
    FILE *file = fopen(path, "r");
    size_t len = 0, cap = 1 << 20;
    char *text = malloc(cap);
    if (file == NULL)
        test_fail(__FILE__, __LINE__, path);
    else
        len = fread(text, 1, cap - 1, file);
    text[len] = '\0';
    if (file != NULL)
        fclose(file);
    return text;
}

static struct decoder *open_with(const char *schema, const char *message)
{
    struct decoder *decoder = NULL;
    format_case_option(&c, "proto_schema", schema);
    if (message != NULL)
        format_case_option(&c, "message", message);
    if (!format_protobuf.open_decoder(&c.spec, &decoder, &err))
        test_fail(__FILE__, __LINE__, err.message);
    return decoder;
}

static const char *decode(const char *columns, const char *schema, const char *hex)
{
    size_t len;
    format_case_close(&c);
    format_case_open(&c, columns, false);
    struct decoder *decoder = open_with(schema, NULL);
    if (decoder == NULL)
        return "";
    uint8_t *bytes = format_case_hex(&c, hex, &len);
    const char *text = format_case_decode(&c, decoder, NULL, 0, bytes, len);
    format_protobuf.close_decoder(decoder);
    return text;
}

static const char *refused(const char *columns, const char *schema)
{
    format_case_close(&c);
    format_case_open(&c, columns, false);
    format_case_option(&c, "proto_schema", schema);
    EXPECT(!format_protobuf.open_decoder(&c.spec, NULL, &err));
    return format_case_error(&c, &err);
}

/* All lines; damages: how many mutations of each. */
static void run_cases(int damages)
{
    char *text = read_file("protobuf_cases.txt");
    uint64_t state = 88172645463325252u;
    int count = 0;
    for (char *line = text, *next; *line != '\0'; line = next, count++) {
        next = line + strcspn(line, "\n");
        if (*next == '\n')
            *next++ = '\0';
        char *hex = strchr(line, '\t'), *row = strchr(hex + 1, '\t');
        size_t len;
        *hex++ = *row++ = '\0';
        format_case_close(&c);
        format_case_open(&c, line, false);
        struct decoder *decoder = open_with(all_proto, "All");
        uint8_t *bytes = format_case_hex(&c, hex, &len);
        if (damages == 0) {
            const char *got = format_case_decode(&c, decoder, NULL, 0, bytes, len);
            EXPECT(strncmp(got, row, strlen(row)) == 0 && strcmp(got + strlen(row), "\n") == 0);
            if (strncmp(got, row, strlen(row)) != 0)
                fprintf(stderr, "line %d\n%s\n%s\n", count, got, row);
        }
        for (int i = 0; i < damages; i++) {
            size_t cut = i % 3 == 0 && len > 0 ? format_case_random(&state) % len : len;
            uint8_t *copy = malloc(cut + 1);
            memcpy(copy, bytes, cut);
            for (uint64_t k = format_case_random(&state) % 3; cut > 0 && k > 0; k--)
                copy[format_case_random(&state) % cut] = (uint8_t)format_case_random(&state);
            uint8_t *exact = malloc(cut > 0 ? cut : 1);
            memcpy(exact, copy, cut);
            format_case_decode(&c, decoder, NULL, 0, exact, cut);
            free(exact);
            free(copy);
        }
        format_protobuf.close_decoder(decoder);
    }
    EXPECT_INT(count, 150);
    free(text);
}

TEST(cases)
{
    run_cases(0);
}

TEST(damage)
{
    run_cases(80);
}

#define PROTO3 "syntax = \"proto3\"; "

TEST(order_and_merging)
{
    const char *schema = PROTO3 "message M { int32 a = 1; N n = 2; repeated int32 r = 3; oneof o { int32 x = "
                                "4; string y = 5; int32 z = 6; } }"
                                "message N { int32 p = 1; int32 q = 2; }";
    /* the last of a field counts, messages are merged, repeated fields grow, packed or not */
    EXPECT_TEXT(decode("a int; p int n.p; q int n.q; r int[]; n jsonb", schema,
                       "1a020102"
                       "0801"
                       "12020805"
                       "1803"
                       "0802"
                       "12021007"
                       "12020806"),
                "+ 2 6 7 {1,2,3} \"{\\\"p\\\": 6, \\\"q\\\": 7}\"\n");
    EXPECT_TEXT(decode("x int; y text", schema,
                       "2001"
                       "2a0161"),
                "+ \\N a\n");
    EXPECT_TEXT(decode("x int; y text", schema,
                       "2a0161"
                       "2001"),
                "+ 1 \\N\n");
    EXPECT_TEXT(decode("x int; y text", schema,
                       "2a0161"
                       "3001"),
                "+ \\N \\N\n");
    /* what is absent */
    EXPECT_TEXT(decode("a int; p int n.p; n jsonb; r int[]; x int", schema, ""), "+ 0 \\N \\N {} \\N\n");
    EXPECT_TEXT(decode("a int; p int n.p; n jsonb", schema, "1200"),
                "+ 0 0 \"{\\\"p\\\": 0, \\\"q\\\": 0}\"\n");
    /* unknown fields of every kind, groups within groups too; a known number with another kind */
    EXPECT_TEXT(decode("a int", schema,
                       "f80107"
                       "f1010000000000000000"
                       "fa010161"
                       "fb01"
                       "0805"
                       "f301f401"
                       "fc01"
                       "f50100000000"
                       "0801"),
                "+ 1\n");
    EXPECT_TEXT(decode("a int", schema, "0a0161"), "+ 0\n");
}

TEST(proto2)
{
    const char *schema =
        "message M { optional int32 a = 1; optional int32 b = 2 [default = 7]; required string c = 3; "
        "optional group G = 4 { optional int32 d = 5; } optional E e = 6 [default = TWO]; }"
        "enum E { ONE = 1; TWO = 2; }";
    EXPECT_TEXT(decode("a int; b int; c text; d int g.d; e text", schema, "1a0178"), "+ \\N 7 x \\N TWO\n");
    EXPECT_TEXT(decode("d int g.d; g jsonb", schema, "23280324"), "+ 3 \"{\\\"d\\\": 3}\"\n");
}

TEST(errors)
{
    const char *schema =
        PROTO3 "message M { int32 a = 1; string s = 2; Q q = 3; int64 l = 4; } message Q { Q q = 1; }";
    EXPECT_TEXT(decode("a int", schema, "08"), "22P03 the record ends within a number at byte 1");
    EXPECT_TEXT(decode("s text", schema, "120561"), "22P03 a length beyond the end of the record at byte 2");
    EXPECT_TEXT(decode("s text", schema, "1201ff"),
                "22021 column \"s\": invalid byte sequence for encoding \"UTF8\": 0xff");
    EXPECT_TEXT(decode("a int", schema, "00"), "22P03 no number of a field at byte 0");
    EXPECT_TEXT(decode("a int", schema, "0f"), "22P03 an unknown kind of field at byte 0");
    EXPECT_TEXT(decode("l smallint", schema, "20808004"), "22003 column \"l\": smallint out of range");
    EXPECT_TEXT(refused("a boolean", schema),
                "42804 column \"a\" is of type boolean but its field of integer");
    EXPECT_TEXT(refused("z int", schema), "42703 message \"M\" has no field for column \"z\"");
    EXPECT_TEXT(refused("z int", "message M {"), "22023 the Protobuf schema is not valid: line 1: Reached "
                                                 "end of input in message definition (missing '}').");
    EXPECT_TEXT(refused("z int", PROTO3 "message M { X x = 1; }"),
                "22023 the Protobuf schema is not valid: M.x: \"X\" is not defined.");
    EXPECT(strncmp(refused("z int", "import \"nowhere.proto\"; message M { }"),
                   "22023 the Protobuf schema is not valid: ", 40) == 0);
    /* deeper than anybody nests */
    struct strbuf hex = STRBUF_INIT;
    uint8_t bytes[6000];
    size_t at = sizeof(bytes);
    for (int i = 0; i < 1200; i++) {
        size_t len = sizeof(bytes) - at;
        if (len >= 128)
            bytes[--at] = (uint8_t)(len >> 7);
        bytes[--at] = len >= 128 ? (uint8_t)(len | 0x80) : (uint8_t)len;
        bytes[--at] = 0x0a;
    }
    size_t len = sizeof(bytes) - at;
    strbuf_addf(&hex, "1a%02x%02x", (unsigned)(len & 0x7f) | 0x80, (unsigned)(len >> 7));
    for (; at < sizeof(bytes); at++)
        strbuf_addf(&hex, "%02x", bytes[at]);
    EXPECT_TEXT(decode("q jsonb", schema, strbuf_text(&hex)),
                "54001 column \"q\": a message is nested deeper than 200 levels");
    strbuf_release(&hex);
}

TEST(descriptors)
{
    /* what protoc makes of: syntax = "proto2"; package p; message A { message B { optional int32 x = 1; } } */
    static const char *const set = "CiQKB3AucHJvdG8SAXAiFgoBQRoRCgFCEgwKAXgYASABKAVSAXg=";
    struct decoder *decoder = NULL;
    format_case_close(&c);
    format_case_open(&c, "x int", false);
    format_case_option(&c, "proto_descriptor", set);
    format_case_option(&c, "message", "A.B");
    EXPECT(format_protobuf.open_decoder(&c.spec, &decoder, &err));
    EXPECT_TEXT(format_case_decode(&c, decoder, NULL, 0, "\x08\x07", 2), "+ 7\n");
    format_protobuf.close_decoder(decoder);
    static const char *const wrong[][2] = {
        {"bm90aGluZw==", "22023 the Protobuf schema is not valid: it is no FileDescriptorSet"},
        {"?", "22023 option \"proto_descriptor\" is not in base64"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        format_case_close(&c);
        format_case_open(&c, "x int", false);
        format_case_option(&c, "proto_descriptor", wrong[i][0]);
        EXPECT(!format_protobuf.open_decoder(&c.spec, NULL, &err));
        EXPECT_TEXT(format_case_error(&c, &err), wrong[i][1]);
    }
}

TEST(inferred)
{
    struct format_column *columns;
    uint32_t count;
    struct strbuf text = STRBUF_INIT;
    format_case_close(&c);
    format_case_open(&c, "", false);
    format_case_option(&c, "proto_schema", all_proto);
    format_case_option(&c, "message", "cases.All");
    EXPECT(format_protobuf.infer(&c.spec, &c.arena, &columns, &count, &err));
    for (uint32_t i = 0; i < count; i++) {
        strbuf_addf(&text, "%s ", columns[i].name);
        type_format(columns[i].type.oid, columns[i].type.typmod, &text);
        strbuf_adds(&text, ";");
    }
    EXPECT_TEXT(strbuf_text(&text), "b boolean;i32 integer;i64 bigint;u32 bigint;u64 numeric;s32 integer;s64 "
                                    "bigint;f32 bigint;f64 numeric;sf32 integer;sf64 bigint;"
                                    "fl real;db double precision;text text;raw bytea;color text;maybe "
                                    "bigint;maybe_text text;inner jsonb;numbers integer[];"
                                    "unpacked bigint[];words text[];inners jsonb;counts jsonb;by_number "
                                    "jsonb;left text;right integer;both jsonb;"
                                    "at timestamp with time zone;took interval;wrapped bigint;wrapped_text "
                                    "text;anything jsonb;times timestamp with time zone[];"
                                    "doubles double precision[];colors text[];far integer;");
    strbuf_release(&text);
}

/* Confluent's header names the schema and the message in it; schemas of records change. */
TEST(registry)
{
    struct decoder *decoder = NULL;
    size_t len;
    format_case_close(&c);
    format_case_open(&c, "a int; b text", false);
    format_case_option(&c, "schema.registry.url", tiny.url);
    uint32_t other =
        tiny_add(&tiny, "common", "PROTOBUF", PROTO3 "package k; message K { string b = 1; }", NULL);
    uint32_t id = tiny_add(&tiny, "topic-value", "PROTOBUF",
                           PROTO3 "import \"k.proto\"; message X { string b = 2; } message Y { message Z { "
                                  "int32 a = 1; string b = 3; k.K k = 4; } }",
                           "[{\"name\":\"k.proto\",\"subject\":\"common\",\"version\":1}]");
    uint32_t avro = tiny_add(&tiny, "avro-value", NULL, "\"int\"", NULL);
    EXPECT(other == 1 && id == 2 && avro == 3);
    EXPECT(format_protobuf.open_decoder(&c.spec, &decoder, &err));
    uint8_t *bytes = format_case_hex(&c,
                                     "0000000002"
                                     "00"
                                     "120178",
                                     &len);
    EXPECT_TEXT(format_case_decode(&c, decoder, NULL, 0, bytes, len), "+ \\N x\n");
    bytes = format_case_hex(&c,
                            "0000000002"
                            "040200"
                            "0807"
                            "1a0179",
                            &len);
    EXPECT_TEXT(format_case_decode(&c, decoder, NULL, 0, bytes, len), "+ 7 y\n");
    bytes = format_case_hex(&c,
                            "0000000002"
                            "0206",
                            &len);
    EXPECT_TEXT(
        format_case_decode(&c, decoder, NULL, 0, bytes, len),
        "22023 schema 2 cannot be used: the Protobuf schema is not valid: it has no message of that index");
    bytes = format_case_hex(&c,
                            "0000000003"
                            "00",
                            &len);
    EXPECT_TEXT(format_case_decode(&c, decoder, NULL, 0, bytes, len),
                "22023 schema 3 cannot be used: the schema in the registry is not one of Protobuf");
    EXPECT(strncmp(format_case_decode(&c, decoder, NULL, 0, bytes, 5), "22P03 ", 6) == 0);
    format_protobuf.close_decoder(decoder);
    /* stop */
    uint32_t more = tiny_add(&tiny, "topic-value", "PROTOBUF",
                             PROTO3 "message X { int32 a = 1; string b = 2; bool n = 3; }", NULL);
    uint32_t same =
        tiny_add(&tiny, "topic-value", "PROTOBUF", PROTO3 "message X { int32 a = 1; string b = 2; }", NULL);
    format_case_option(&c, "schema_change", "stop");
    EXPECT(format_protobuf.open_decoder(&c.spec, &decoder, &err));
    bytes = format_case_hex(&c,
                            arena_printf(&c.arena,
                                         "00%08x00"
                                         "0807",
                                         same),
                            &len);
    EXPECT_TEXT(format_case_decode(&c, decoder, NULL, 0, bytes, len), "+ 7 \"\"\n");
    bytes = format_case_hex(&c,
                            arena_printf(&c.arena,
                                         "00%08x00"
                                         "0807",
                                         more),
                            &len);
    EXPECT_TEXT(format_case_decode(&c, decoder, NULL, 0, bytes, len),
                "55000 the schema of records has changed: there is no column for field \"n\"");
    format_protobuf.close_decoder(decoder);
}

TEST(round_trips)
{
    static const char *const rows_text =
        "+ 1 t -5 1.5 0.1 hello \\x0102 2020-02-03 \"2020-02-03 04:05:06.7+00\" 12.340 {1,2} "
        "\"{\\\"2020-02-03 04:05:06+00\\\"}\" 11111111-2222-3333-4444-555555555555 \"{\\\"a\\\": 1}\" \"1 "
        "mon\"\n"
        "+ 2 \\N \\N \\N \\N \\N \\N \\N \\N \\N {} {} \\N \\N \\N\n"
        "+ 0 f 0 0 0 \"\" \\x 2000-01-01 \"1969-12-31 23:59:59.5+00\" 0 {0} {} "
        "00000000-0000-0000-0000-000000000000 null 00:00:00\n";
    const char *columns = "id bigint key; b boolean; s smallint; r real; d float8; t text; y bytea; day "
                          "date; at timestamptz; n numeric; "
                          "l bigint[]; ts timestamptz[]; u uuid; j jsonb; i interval";
    for (int with_registry = 0; with_registry < 2; with_registry++) {
        struct encoder *encoder = NULL;
        struct decoder *decoder = NULL;
        struct strbuf key = STRBUF_INIT, value = STRBUF_INIT, again = STRBUF_INIT;
        format_case_close(&c);
        format_case_open(&c, columns, true);
        if (with_registry)
            format_case_option(&c, "schema.registry.url", tiny.url);
        EXPECT(format_protobuf.open_encoder(&c.spec, &encoder, &err));
        EXPECT(batch_from_text(c.rows, rows_text, &err));
        if (!with_registry)
            format_case_option(&c, "proto_schema", proto_encoder_schema(encoder));
        if (!format_protobuf.open_decoder(&c.spec, &decoder, &err))
            test_fail(__FILE__, __LINE__, err.message);
        struct sql_type types[FORMAT_CASE_COLUMNS_MAX];
        for (uint32_t i = 0; i < c.spec.columns_count; i++)
            types[i] = c.columns[i].type;
        struct batch *back = batch_create(&c.arena, types, c.spec.columns_count, 2);
        for (uint32_t row = 0; row < 3; row++) {
            strbuf_reset(&key);
            strbuf_reset(&value);
            if (!format_protobuf.encode(encoder, c.rows, row, false, &key, &value, &err))
                test_fail(__FILE__, __LINE__, err.message);
            struct record record = {.value = (const uint8_t *)strbuf_text(&value), .value_len = value.len};
            if (!format_protobuf.decode(decoder, &record, back, &err))
                test_fail(__FILE__, __LINE__, err.message);
        }
        batch_to_text(back, &again);
        EXPECT_TEXT(strbuf_text(&again), rows_text);
        EXPECT_TEXT(strbuf_text(&key), "{\"id\":0}");
        EXPECT_TEXT(format_case_decode(&c, decoder, "{\"id\":7}", 8, NULL, 0),
                    "- 7 \\N \\N \\N \\N \\N \\N \\N \\N \\N \\N \\N \\N \\N \\N\n");
        strbuf_release(&again);
        strbuf_release(&key);
        strbuf_release(&value);
        format_protobuf.close_encoder(encoder);
        format_protobuf.close_decoder(decoder);
    }
}

int main(void)
{
    tiny_start(&tiny);
    format_case_open(&c, "", false);
    all_proto = read_file("protobuf_cases.proto");
    RUN(cases);
    RUN(damage);
    RUN(order_and_merging);
    RUN(proto2);
    RUN(errors);
    RUN(descriptors);
    RUN(inferred);
    RUN(registry);
    RUN(round_trips);
    free(all_proto);
    format_case_close(&c);
    tiny_stop(&tiny);
    return test_result();
}
