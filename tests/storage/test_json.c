/* test_json.c: json and jsonb against what PostgreSQL 15 gives: errors, canonical form, order, equality. */
#include "storage/base/limits.h"
#include "storage/data/json.h"
#include "tests/test.h"

static struct arena arena;
static struct strbuf buf;

static const char *error_text(const struct error *err)
{
    strbuf_reset(&buf);
    strbuf_addf(&buf, "%s: %s|%s", error_sqlstate(err->code), err->message, err->detail);
    return strbuf_text(&buf);
}

static const char *check(const char *text)
{
    struct error err;
    return json_validate(text, strlen(text), &err) ? "ok" : error_text(&err);
}

static struct varlen jsonb(const char *text)
{
    struct varlen value = {0};
    struct error err;
    if (!jsonb_parse(&arena, text, strlen(text), &value, &err))
        test_fail(__FILE__, __LINE__, err.message);
    return value;
}

static const char *canonical(const char *text)
{
    struct varlen value;
    struct error err;
    if (!jsonb_parse(&arena, text, strlen(text), &value, &err))
        return error_text(&err);
    strbuf_reset(&buf);
    strbuf_add(&buf, varlen_bytes(&value), value.len);
    return strbuf_text(&buf);
}

#define BAD(detail) "22P02: invalid input syntax for type json|" detail

TEST(errors)
{
    static const char *const cases[][2] = {
        {"", BAD("The input string ended unexpectedly.")},
        {"  ", BAD("The input string ended unexpectedly.")},
        {"{", BAD("The input string ended unexpectedly.")},
        {"{\"a\"", BAD("The input string ended unexpectedly.")},
        {"{\"a\":1,", BAD("The input string ended unexpectedly.")},
        {"[1", BAD("The input string ended unexpectedly.")},
        {"{\"a\":1,}", BAD("Expected string, but found \"}\".")},
        {"{a:1}", BAD("Token \"a\" is invalid.")},
        {"{\"a\":1 \"b\"}", BAD("Expected \",\" or \"}\", but found \"\"b\"\".")},
        {"[1,]", BAD("Expected JSON value, but found \"]\".")},
        {"[1 2]", BAD("Expected \",\" or \"]\", but found \"2\".")},
        {"[,]", BAD("Expected JSON value, but found \",\".")},
        {"{\"a\" 1}", BAD("Expected \":\", but found \"1\".")},
        {"{1:2}", BAD("Expected string or \"}\", but found \"1\".")},
        {"{,}", BAD("Expected string or \"}\", but found \",\".")},
        {"}", BAD("Expected JSON value, but found \"}\".")},
        {"1 2", BAD("Expected end of input, but found \"2\".")},
        {"[1]]", BAD("Expected end of input, but found \"]\".")},
        {"{} x", BAD("Token \"x\" is invalid.")},
        {"truf", BAD("Token \"truf\" is invalid.")},
        {"nul", BAD("Token \"nul\" is invalid.")},
        {"tr@ue", BAD("Token \"tr\" is invalid.")},
        {"@@@@", BAD("Token \"@\" is invalid.")},
        {"+1", BAD("Token \"+\" is invalid.")},
        {".5", BAD("Token \".\" is invalid.")},
        {"-", BAD("Token \"-\" is invalid.")},
        {"01", BAD("Token \"01\" is invalid.")},
        {"1.", BAD("Token \"1.\" is invalid.")},
        {"1e", BAD("Token \"1e\" is invalid.")},
        {"1.5e+3x", BAD("Token \"1.5e+3x\" is invalid.")},
        {"\"abc", BAD("Token \"\"abc\" is invalid.")},
        {"\"\\", BAD("Token \"\"\\\" is invalid.")},
        {"\"\\u", BAD("Token \"\"\\u\" is invalid.")},
        {"\"ab\tc\"", BAD("Character with value 0x09 must be escaped.")},
        {"\"\\q\"", BAD("Escape sequence \"\\q\" is invalid.")},
        {"\"\\u00zz\"", BAD("\"\\u\" must be followed by four hexadecimal digits.")},
        {"\"\\ud83d\"", "ok"},
        {"\"\\u0000\"", "ok"},
        {" {\"a\" : [1, -2.5e+3, true, false, null, \"x\\n\", {}, []]} ", "ok"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        EXPECT_TEXT(check(cases[i][0]), cases[i][1]);
}

TEST(canonical_form)
{
    EXPECT_TEXT(canonical("{\"bb\":1,\"a\":2,\"c\":{\"y\":[1, 2,{}],\"x\":[]},\"a\":3}"),
                "{\"a\": 3, \"c\": {\"x\": [], \"y\": [1, 2, {}]}, \"bb\": 1}");
    EXPECT_TEXT(canonical("\"\\u00e9\\ud83d\\ude00\\/\\b\\f\\n\\r\\t\\\"\""),
                "\"\xc3\xa9\xf0\x9f\x98\x80/\\b\\f\\n\\r\\t\\\"\"");
    EXPECT_TEXT(canonical("1.10"), "1.10");
    EXPECT_TEXT(canonical("1e3"), "1000");
    EXPECT_TEXT(canonical("-0"), "0");
    EXPECT_TEXT(canonical("-0.0"), "0.0");
    EXPECT_TEXT(canonical("1.5e-3"), "0.0015");
    EXPECT_TEXT(canonical("\"\\u0001\\u007f\""), "\"\\u0001\x7f\"");
    EXPECT_TEXT(canonical("1e200000"), "22003: value overflows numeric format|");
    EXPECT_TEXT(canonical("\"\\ud83d\""), BAD("Unicode low surrogate must follow a high surrogate."));
    EXPECT_TEXT(canonical("\"\\ude00\""), BAD("Unicode low surrogate must follow a high surrogate."));
    EXPECT_TEXT(canonical("\"\\ud83dx\""), BAD("Unicode low surrogate must follow a high surrogate."));
    EXPECT_TEXT(canonical("\"\\ud83d\\n\""), BAD("Unicode low surrogate must follow a high surrogate."));
    EXPECT_TEXT(canonical("\"\\ud83d\\ud83d\""),
                BAD("Unicode high surrogate must not follow a high surrogate."));
    EXPECT_TEXT(canonical("\"\\ud83d\\u"), BAD("Token \"\"\\ud83d\\u\" is invalid."));
    EXPECT_TEXT(canonical("\"\\u0000\""),
                "22P05: unsupported Unicode escape sequence|\\u0000 cannot be converted to text.");
}

TEST(depth)
{
    struct strbuf text = STRBUF_INIT;
    for (int i = 0; i < NESTING_MAX; i++)
        strbuf_adds(&text, "[");
    for (int i = 0; i < NESTING_MAX; i++)
        strbuf_adds(&text, "]");
    EXPECT_TEXT(check(strbuf_text(&text)), "ok");
    struct varlen value = jsonb(strbuf_text(&text));
    EXPECT_INT(value.len, 2 * NESTING_MAX);
    strbuf_reset(&text);
    for (int i = 0; i < 100000; i++)
        strbuf_adds(&text, "{\"a\":");
    EXPECT_TEXT(check(strbuf_text(&text)), "54001: stack depth limit exceeded|");
    strbuf_release(&text);
}

TEST(trees)
{
    const char *text = "{\"key\": [\"a longer text \\u0041\", 12.50, null, false]}";
    struct json_value *value;
    struct error err;
    EXPECT(json_parse(&arena, text, strlen(text), &value, &err));
    EXPECT_INT(value->kind, JSON_OBJECT);
    EXPECT_INT(value->count, 1);
    EXPECT(value->keys[0].len == 3 && memcmp(varlen_bytes(&value->keys[0]), "key", 3) == 0);
    struct json_value *list = value->items[0];
    EXPECT_INT(list->count, 4);
    EXPECT_INT(list->items[0]->text.len, 15);
    EXPECT(memcmp(varlen_bytes(&list->items[0]->text), "a longer text A", 15) == 0);
    EXPECT(list->items[1]->text.len == 5 && memcmp(varlen_bytes(&list->items[1]->text), "12.50", 5) == 0);
    EXPECT_INT(list->items[2]->kind, JSON_NULL);
    strbuf_reset(&buf);
    json_write(value, &buf);
    EXPECT_TEXT(strbuf_text(&buf), "{\"key\": [\"a longer text A\", 12.50, null, false]}");
}

TEST(equality)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        {"1", "1.0", true},
        {"{\"a\":1.50}", "{\"a\":1.5}", true},
        {"100", "1", false},
        {"1.05", "1.5", false},
        {"[1.0,2]", "[1,2.000]", true},
        {"[10.0]", "[1]", false},
        {"\"1.0\"", "\"1\"", false},
        {"\"a\\\"1.0\"", "\"a\\\"1\"", false},
        {"{\"b\":2,\"a\":1}", "{\"a\":1,\"b\":2}", true},
        {"0.0", "-0", true},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct varlen a = jsonb(cases[i].a), b = jsonb(cases[i].b);
        EXPECT(jsonb_equal(&a, &b) == cases[i].equal);
        EXPECT((jsonb_compare(&a, &b) == 0) == cases[i].equal);
        EXPECT((jsonb_hash(&a) == jsonb_hash(&b)) == cases[i].equal);
    }
}

/* Cut and twisted inputs end in an error or a value, never in a crash (the sanitizers watch). */
TEST(damaged_input)
{
    const char *text = "{\"a\\u00e9\":[1.5e+3,true,null,\"\\ud83d\\ude00\"],\"b\":{\"c\":-0.0}}";
    char copy[128];
    size_t len = strlen(text);
    for (size_t at = 0; at < len; at++) {
        for (int c = 1; c < 256; c += 5) {
            memcpy(copy, text, len);
            copy[at] = (char)c;
            struct varlen value;
            struct error err;
            bool valid = json_validate(copy, len, &err);
            bool parsed = jsonb_parse(&arena, copy, len, &value, &err);
            EXPECT(valid || !parsed);
            (void)!json_validate(copy, at, &err);
        }
    }
}

int main(void)
{
    arena_init(&arena, NULL);
    RUN(errors);
    RUN(canonical_form);
    RUN(depth);
    RUN(trees);
    RUN(equality);
    RUN(damaged_input);
    arena_release(&arena);
    strbuf_release(&buf);
    return test_result();
}
