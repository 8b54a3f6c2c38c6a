/* test_format_registry.c: the client of schema registries, and Avro with one, against a registry within this process. */
#include "protocol/format/avro_write.h"
#include "protocol/format/registry.h"
#include "tests/protocol/format_case.h"
#include "tests/protocol/tiny_registry.h"

static struct tiny_registry tiny;
static struct format_case c;
static struct error err;

static const char *schema_of(const char *fields)
{
    return arena_printf(&c.arena, "{\"type\":\"record\",\"name\":\"r\",\"fields\":[%s]}", fields);
}

static void start_case(const char *columns, bool is_table, const char *url)
{
    char *kept = strdup(url); /* it may lie in the case's arena */
    format_case_close(&c);
    format_case_open(&c, columns, is_table);
    format_case_option(&c, "schema.registry.url", kept);
    free(kept);
}

static struct registry *open_client(void)
{
    struct registry *registry = NULL;
    if (!registry_open(&format_avro, &c.spec, &registry, &err))
        test_fail(__FILE__, __LINE__, err.message);
    return registry;
}

TEST(asks_once)
{
    const struct registry_schema *schema, *again;
    start_case("a int", false, tiny.url);
    struct registry *one = open_client(), *two = open_client();
    uint32_t id = tiny_add(&tiny, "asks_once-value", NULL, "\"int\"", NULL), got, version;
    int before = tiny.requests;
    EXPECT(registry_by_id(one, id, &schema, &err));
    EXPECT(registry_by_id(one, id, &again, &err) && again == schema);
    EXPECT(registry_by_id(two, id, &again, &err) && again == schema);
    EXPECT_INT(tiny.requests - before, 1);
    EXPECT_TEXT(schema->text, "\"int\"");
    EXPECT_INT(schema->kind, REGISTRY_AVRO);
    /* the latest is asked for each time, the schema is the known one */
    EXPECT(registry_latest(one, "asks_once-value", &again, &got, &version, &err) && again == schema);
    EXPECT_INT(got, id);
    EXPECT_INT(version, 1);
    EXPECT_INT(tiny.requests - before, 2);
    /* that there is none is known as well */
    EXPECT(!registry_by_id(one, 9999, &schema, &err));
    EXPECT(!registry_by_id(two, 9999, &schema, &err));
    EXPECT_INT(tiny.requests - before, 3);
    EXPECT_TEXT(format_case_error(&c, &err),
                arena_printf(&c.arena, "42704 schema registry at %s has no schema with id 9999", tiny.url));
    registry_close(one);
    registry_close(two);
}

static void *ask_on_thread(void *ctx)
{
    const struct registry_schema *schema = NULL;
    struct registry *registry = NULL;
    struct error problem;
    if (!registry_open(&format_avro, &c.spec, &registry, &problem) ||
        !registry_by_id(registry, *(uint32_t *)ctx, &schema, &problem))
        schema = NULL;
    registry_close(registry);
    return (void *)schema;
}

TEST(many_threads_ask_once)
{
    pthread_t threads[8];
    void *schemas[8];
    start_case("a int", false, tiny.url);
    uint32_t id = tiny_add(&tiny, "many-value", NULL, "\"long\"", NULL);
    int before = tiny.requests;
    tiny.delay_ms = 200;
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, ask_on_thread, &id);
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], &schemas[i]);
        EXPECT(schemas[i] != NULL && schemas[i] == schemas[0]);
    }
    tiny.delay_ms = 0;
    EXPECT_INT(tiny.requests - before, 1);
}

TEST(versions_and_registering)
{
    const struct registry_schema *schema;
    uint32_t *numbers, count, id = 0, other = 0;
    start_case("a int", false, tiny.url);
    struct registry *registry = open_client();
    EXPECT(registry_register(registry, "odd name/x-value", REGISTRY_AVRO, "\"int\"", &id, &err));
    EXPECT(registry_register(registry, "odd name/x-value", REGISTRY_AVRO, "\"int\"", &other, &err) &&
           id == other);
    EXPECT(registry_register(registry, "v-value", REGISTRY_AVRO, "\"int\"", &id, &err));
    EXPECT(registry_register(registry, "v-value", REGISTRY_AVRO, "\"long\"", &other, &err) && id != other);
    EXPECT(registry_versions(registry, "v-value", &c.arena, &numbers, &count, &err));
    EXPECT(count == 2 && numbers[0] == 1 && numbers[1] == 2);
    EXPECT(registry_version(registry, "v-value", 1, &schema, &other, &err) && other == id);
    EXPECT_TEXT(schema->text, "\"int\"");
    EXPECT(!registry_register(registry, "v-value", REGISTRY_AVRO, "\"forbidden\"", &id, &err));
    EXPECT_TEXT(err.detail, "Schema being registered is incompatible");
    EXPECT_TEXT(format_case_error(&c, &err),
                arena_printf(&c.arena,
                             "22023 schema registry at %s refuses the schema for subject \"v-value\"",
                             tiny.url));
    EXPECT(!registry_latest(registry, "nobody-value", &schema, NULL, NULL, &err));
    EXPECT_TEXT(format_case_error(&c, &err),
                arena_printf(&c.arena,
                             "42704 schema registry at %s has no version latest of subject \"nobody-value\"",
                             tiny.url));
    registry_close(registry);
}

/* Passwords are sent and never told. */
TEST(credentials)
{
    const struct registry_schema *schema;
    uint32_t id = tiny_add(&tiny, "secret-value", NULL, "\"float\"", NULL);
    tiny.user = "me";
    tiny.password = "pass:word/1";
    start_case("a int", false, tiny.url);
    struct registry *registry = open_client();
    EXPECT(!registry_by_id(registry, id, &schema, &err));
    EXPECT_TEXT(format_case_error(&c, &err),
                arena_printf(&c.arena,
                             "08006 schema registry at %s answers with HTTP status 401 to schema with id %u",
                             tiny.url, id));
    registry_close(registry);
    start_case("a int", false, arena_printf(&c.arena, "http://me:wrongsecret@127.0.0.1:%u/", tiny.port));
    registry = open_client();
    EXPECT(!registry_by_id(registry, id, &schema, &err));
    EXPECT(strstr(err.message, "wrongsecret") == NULL && strstr(err.message, tiny.url) != NULL);
    registry_close(registry);
    start_case("a int", false, arena_printf(&c.arena, "http://me:pass%%3Aword%%2F1@127.0.0.1:%u", tiny.port));
    registry = open_client();
    EXPECT(registry_by_id(registry, id, &schema, &err));
    registry_close(registry);
    id = tiny_add(&tiny, "secret2-value", NULL, "\"float\"", NULL);
    start_case("a int", false, tiny.url);
    format_case_option(&c, "schema_registry_user", "me");
    format_case_option(&c, "schema_registry_password", "pass:word/1");
    registry = open_client();
    EXPECT(registry_by_id(registry, id, &schema, &err));
    registry_close(registry);
    tiny.user = NULL;
}

TEST(out_of_reach)
{
    const struct registry_schema *schema;
    start_case("a int", false, "http://u:topsecret@127.0.0.1:1/base/");
    struct registry *registry = open_client();
    EXPECT(!registry_by_id(registry, 1, &schema, &err));
    EXPECT(strncmp(format_case_error(&c, &err),
                   "08006 schema registry at http://127.0.0.1:1/base cannot be reached: ", 68) == 0);
    EXPECT(strstr(err.message, "topsecret") == NULL);
    registry_close(registry);
    /* the second URL is tried */
    uint32_t id = tiny_add(&tiny, "two-value", NULL, "\"int\"", NULL);
    start_case("a int", false, arena_printf(&c.arena, "http://127.0.0.1:1, %s", tiny.url));
    registry = open_client();
    EXPECT(registry_by_id(registry, id, &schema, &err));
    registry_close(registry);
    /* an answer that takes too long */
    id = tiny_add(&tiny, "slow-value", NULL, "\"int\"", NULL);
    start_case("a int", false, tiny.url);
    format_case_option(&c, "schema_registry_timeout", "100");
    registry = open_client();
    tiny.delay_ms = 1000;
    EXPECT(!registry_by_id(registry, id, &schema, &err) && err.code == ERRCODE_CONNECTION_FAILURE);
    tiny.delay_ms = 0;
    EXPECT(registry_by_id(registry, id, &schema, &err));
    registry_close(registry);
    /* options that are wrong */
    start_case("a int", false, "ftp://x");
    EXPECT(!registry_open(&format_avro, &c.spec, NULL, &err));
    EXPECT_TEXT(format_case_error(&c, &err),
                "22023 option \"schema.registry.url\" is no URL of http or https");
}

static const char *decode(struct decoder *decoder, uint32_t id, const char *hex)
{
    size_t len;
    uint8_t *bytes = format_case_hex(&c, arena_printf(&c.arena, "00%08x%s", id, hex), &len);
    return format_case_decode(&c, decoder, NULL, 0, bytes, len);
}

#define A_INT  "{\"name\":\"a\",\"type\":\"int\"}"
#define A_LONG "{\"name\":\"a\",\"type\":\"long\"}"
#define A_TEXT "{\"name\":\"a\",\"type\":\"string\"}"
#define A_MAP  "{\"name\":\"a\",\"type\":{\"type\":\"map\",\"values\":\"int\"}}"
#define B_TEXT "{\"name\":\"b\",\"type\":[\"null\",\"string\"],\"default\":null}"
#define C_INT  "{\"name\":\"c\",\"type\":[\"null\",\"int\"],\"default\":null}"

/* Records of many schemas, one behind the other. */
TEST(evolution_ignores)
{
    struct decoder *decoder = NULL;
    start_case("a bigint; b text", false, tiny.url);
    uint32_t first = tiny_add(&tiny, "e-value", NULL, schema_of(A_INT), NULL);
    uint32_t second = tiny_add(&tiny, "e-value", NULL, schema_of(C_INT "," B_TEXT "," A_LONG), NULL);
    uint32_t third = tiny_add(&tiny, "e-value", NULL, schema_of(A_MAP "," B_TEXT), NULL);
    uint32_t fourth = tiny_add(&tiny, "e-value", NULL, schema_of(B_TEXT), NULL);
    uint32_t broken = tiny_add(&tiny, "e-value", NULL, "{}", NULL);
    uint32_t other = tiny_add(&tiny, "e-value", "PROTOBUF", "message M {}", NULL);
    EXPECT(format_avro.open_decoder(&c.spec, &decoder, &err));
    int before = tiny.requests;
    for (int i = 0; i < 3; i++) {
        EXPECT_TEXT(decode(decoder, first, "0e"), "+ 7 \\N\n");
        EXPECT_TEXT(decode(decoder, second,
                           "0202"
                           "020278"
                           "0e"),
                    "+ 7 x\n");
        EXPECT_TEXT(decode(decoder, third,
                           "00"
                           "00"),
                    "42804 column \"a\": Avro type map does not fit type bigint");
        EXPECT_TEXT(decode(decoder, fourth,
                           "0202"
                           "79"),
                    "+ \\N y\n");
        EXPECT(strncmp(decode(decoder, broken, ""), "22023 schema ", 13) == 0);
        EXPECT_TEXT(
            decode(decoder, other, ""),
            arena_printf(&c.arena,
                         "22023 schema %u cannot be used: the schema in the registry is not one of Avro",
                         other));
    }
    EXPECT_INT(tiny.requests - before, 6);
    /* a registry out of reach is another thing than a bad record */
    uint32_t later = tiny_add(&tiny, "e-value", NULL, schema_of(A_INT "," C_INT), NULL);
    tiny.fail_with = 503;
    EXPECT(strncmp(decode(decoder, later, "0e00"), "08006 ", 6) == 0);
    EXPECT_TEXT(decode(decoder, first, "0e"), "+ 7 \\N\n");
    tiny.fail_with = 0;
    EXPECT_TEXT(decode(decoder, later, "0e00"), "+ 7 \\N\n");
    format_avro.close_decoder(decoder);
}

TEST(evolution_stops)
{
    struct decoder *decoder = NULL;
    start_case("a bigint; b text", false, tiny.url);
    format_case_option(&c, "schema_change", "stop");
    uint32_t same = tiny_add(&tiny, "s-value", NULL, schema_of(A_INT "," B_TEXT), NULL);
    uint32_t more = tiny_add(&tiny, "s-value", NULL, schema_of(A_INT "," B_TEXT "," C_INT), NULL);
    uint32_t fewer = tiny_add(&tiny, "s-value", NULL, schema_of(A_INT), NULL);
    uint32_t wrong = tiny_add(&tiny, "s-value", NULL, schema_of(A_TEXT "," B_TEXT), NULL);
    EXPECT(format_avro.open_decoder(&c.spec, &decoder, &err));
    EXPECT_TEXT(decode(decoder, same,
                       "0e0202"
                       "78"),
                "+ 7 x\n");
    for (int i = 0; i < 2; i++)
        EXPECT_TEXT(decode(decoder, more,
                           "0e0202"
                           "7800"),
                    "55000 the schema of records has changed: there is no column for field \"c\"");
    EXPECT_TEXT(decode(decoder, fewer, "0e"),
                "55000 the schema of records has changed: it has no field for column \"b\"");
    EXPECT_TEXT(
        decode(decoder, wrong, "0e"),
        "55000 the schema of records has changed: column \"a\" does not hold all values of its field");
    EXPECT_TEXT(decode(decoder, same,
                       "0e0202"
                       "78"),
                "+ 7 x\n");
    format_avro.close_decoder(decoder);
    /* the schema that the columns were made from has fields without a column, and a field that fits in part */
    start_case("a int", false, tiny.url);
    uint32_t known = tiny_add(&tiny, "s-value", NULL, schema_of(A_LONG "," B_TEXT), NULL);
    format_case_option(&c, "schema_change", "stop");
    format_case_option(&c, "schema_id", arena_printf(&c.arena, "%u", known));
    EXPECT(format_avro.open_decoder(&c.spec, &decoder, &err));
    EXPECT_TEXT(decode(decoder, same,
                       "0e0202"
                       "78"),
                "+ 7\n");
    EXPECT_TEXT(decode(decoder, known,
                       "0e0202"
                       "78"),
                "+ 7\n");
    EXPECT_TEXT(decode(decoder, more,
                       "0e0202"
                       "7800"),
                "55000 the schema of records has changed: there is no column for field \"c\"");
    format_avro.close_decoder(decoder);
}

TEST(references)
{
    struct decoder *decoder = NULL;
    start_case("city text home.city; street text home.street.name; work text work.city", false, tiny.url);
    tiny_add(
        &tiny, "street", NULL,
        "{\"type\":\"record\",\"name\":\"x.Street\",\"fields\":[{\"name\":\"name\",\"type\":\"string\"}]}",
        NULL);
    tiny_add(&tiny, "address", NULL,
             "{\"type\":\"record\",\"name\":\"x.Address\",\"fields\":[{\"name\":\"street\",\"type\":\"x."
             "Street\"},{\"name\":\"city\",\"type\":\"string\"}]}",
             "[{\"name\":\"x.Street\",\"subject\":\"street\",\"version\":1}]");
    uint32_t id = tiny_add(
        &tiny, "person", NULL,
        "{\"type\":\"record\",\"name\":\"x.Person\",\"fields\":[{\"name\":\"home\",\"type\":\"x.Address\"},"
        "{\"name\":\"work\",\"type\":[\"null\",\"Address\"]}]}",
        "[{\"name\":\"x.Street\",\"subject\":\"street\",\"version\":1},{\"name\":\"x.Address\",\"subject\":"
        "\"address\",\"version\":1}]");
    EXPECT(format_avro.open_decoder(&c.spec, &decoder, &err));
    EXPECT_TEXT(decode(decoder, id,
                       "02610262"
                       "0202630264"),
                "+ b a d\n");
    format_avro.close_decoder(decoder);
}

TEST(inferred)
{
    struct format_column *columns;
    uint32_t count;
    start_case("", true, tiny.url);
    tiny_add(&tiny, "topic-value", NULL, schema_of(A_INT "," B_TEXT), NULL);
    tiny_add(&tiny, "topic-key", NULL, schema_of(A_INT), NULL);
    EXPECT(format_avro.infer(&c.spec, &c.arena, &columns, &count, &err));
    EXPECT(count == 2 && columns[0].is_key && !columns[1].is_key && columns[1].type.oid == OID_TEXT);
    start_case("", false, tiny.url);
    format_case_option(&c, "schema_subject", "unheard-of");
    EXPECT(!format_avro.infer(&c.spec, &c.arena, &columns, &count, &err) &&
           err.code == ERRCODE_UNDEFINED_OBJECT);
}

TEST(encoder_registers)
{
    struct encoder *encoder = NULL;
    struct decoder *decoder = NULL;
    struct strbuf key = STRBUF_INIT, value = STRBUF_INIT;
    start_case("id bigint key; name text", true, tiny.url);
    c.spec.topic = "made";
    EXPECT(format_avro.open_encoder(&c.spec, &encoder, &err));
    EXPECT(format_avro.open_decoder(&c.spec, &decoder, &err));
    EXPECT(batch_from_text(c.rows, "+ 7 a\n+ 8 \\N\n", &err));
    tiny.fail_with = 500;
    EXPECT(!format_avro.encode(encoder, c.rows, 0, false, &key, &value, &err) &&
           err.code == ERRCODE_CONNECTION_FAILURE);
    tiny.fail_with = 0;
    int before = tiny.requests;
    strbuf_reset(&key);
    strbuf_reset(&value);
    EXPECT(format_avro.encode(encoder, c.rows, 0, false, &key, &value, &err));
    EXPECT_TEXT(format_case_decode(&c, decoder, key.data, key.len, value.data, value.len), "+ 7 a\n");
    EXPECT_INT(tiny.requests - before,
               3); /* two registered, one read: its text comes from the answer by id */
    EXPECT_TEXT(format_case_decode(&c, decoder, key.data, key.len, NULL, 0), "- 7 \\N\n");
    const struct registry_schema *schema;
    struct registry *registry = open_client();
    EXPECT(registry_latest(registry, "made-value", &schema, NULL, NULL, &err));
    EXPECT_TEXT(schema->text, avro_encoder_schema(encoder, false));
    EXPECT(registry_latest(registry, "made-key", &schema, NULL, NULL, &err));
    registry_close(registry);
    format_avro.close_encoder(encoder);
    format_avro.close_decoder(decoder);
    strbuf_release(&key);
    strbuf_release(&value);
}

int main(void)
{
    tiny_start(&tiny);
    format_case_open(&c, "", false);
    RUN(asks_once);
    RUN(many_threads_ask_once);
    RUN(versions_and_registering);
    RUN(credentials);
    RUN(out_of_reach);
    RUN(evolution_ignores);
    RUN(evolution_stops);
    RUN(references);
    RUN(inferred);
    RUN(encoder_registers);
    tiny_stop(&tiny);
    format_case_close(&c);
    return test_result();
}
