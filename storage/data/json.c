/* json.c: the JSON parser, for json (check only) and for trees.
 *
 * One loop with a stack of open containers instead of recursion, so depth is a number and not a stack
 * overflow. Tokens and error details follow PostgreSQL's lexer: a bad word is reported whole, other bad
 * characters one at a time. */
#include "storage/data/json.h"

#include "storage/base/limits.h"

#include <string.h>

#define SHOWN_BYTES_MAX 400

enum token { TOKEN_END, TOKEN_STRING, TOKEN_NUMBER, TOKEN_TRUE, TOKEN_FALSE, TOKEN_NULL, TOKEN_PUNCTUATION };

struct lexer {
    const char *start; /* of the token */
    const char *at;    /* behind it */
    const char *end;
    struct arena *arena; /* NULL: check only, strings are not decoded */
    struct varlen value; /* of a string */
    struct error *err;
};

static bool syntax_error(struct error *err)
{
    return error_set(err, ERRCODE_INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json");
}

static int shown(const struct lexer *lexer)
{
    ptrdiff_t len = lexer->at - lexer->start;
    return (int)(len > SHOWN_BYTES_MAX ? SHOWN_BYTES_MAX : len);
}

static bool invalid_token(const struct lexer *lexer)
{
    syntax_error(lexer->err);
    return error_detail(lexer->err, "Token \"%.*s\" is invalid.", shown(lexer), lexer->start);
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (uint8_t)c >= 0x80;
}

static bool is_digit(const struct lexer *lexer)
{
    return lexer->at < lexer->end && *lexer->at >= '0' && *lexer->at <= '9';
}

static bool lex_number(struct lexer *lexer)
{
    bool bad = false;
    if (*lexer->at == '-')
        lexer->at++;
    if (!is_digit(lexer))
        bad = true;
    else if (*lexer->at == '0')
        lexer->at++;
    else
        while (is_digit(lexer))
            lexer->at++;
    if (lexer->at < lexer->end && *lexer->at == '.') {
        lexer->at++;
        bad |= !is_digit(lexer);
        while (is_digit(lexer))
            lexer->at++;
    }
    if (lexer->at < lexer->end && (*lexer->at == 'e' || *lexer->at == 'E')) {
        lexer->at++;
        if (lexer->at < lexer->end && (*lexer->at == '+' || *lexer->at == '-'))
            lexer->at++;
        bad |= !is_digit(lexer);
        while (is_digit(lexer))
            lexer->at++;
    }
    for (; lexer->at < lexer->end && is_word(*lexer->at); lexer->at++)
        bad = true;
    return !bad || invalid_token(lexer);
}

static bool surrogate_error(struct lexer *lexer, const char *detail)
{
    syntax_error(lexer->err);
    return error_detail(lexer->err, "%s", detail);
}

static const char low_must_follow[] = "Unicode low surrogate must follow a high surrogate.";

/* The four digits behind "\u"; at stands on the 'u'. */
static bool lex_hex(struct lexer *lexer, uint32_t *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++) {
        if (++lexer->at == lexer->end)
            return invalid_token(lexer);
        char c = *lexer->at;
        uint32_t digit;
        if (c >= '0' && c <= '9') {
            digit = (uint32_t)(c - '0');
        } else if ((c | 32) >= 'a' && (c | 32) <= 'f') {
            digit = (uint32_t)((c | 32) - 'a' + 10);
        } else {
            syntax_error(lexer->err);
            return error_detail(lexer->err, "\"\\u\" must be followed by four hexadecimal digits.");
        }
        *code = *code * 16 + digit;
    }
    return true;
}

static char *put_utf8(char *to, uint32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    } else {
        *to++ = (char)(0xf0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    }
    return to;
}

/* Joins \u escapes into characters; *high is the open high surrogate, 0 when none. */
static bool decode_unicode(struct lexer *lexer, uint32_t code, uint32_t *high, char **to)
{
    if (code >= 0xd800 && code <= 0xdbff) {
        if (*high != 0)
            return surrogate_error(lexer, "Unicode high surrogate must not follow a high surrogate.");
        *high = code;
        return true;
    }
    if (code >= 0xdc00 && code <= 0xdfff) {
        if (*high == 0)
            return surrogate_error(lexer, low_must_follow);
        code = 0x10000 + ((*high & 0x3ff) << 10) + (code & 0x3ff);
        *high = 0;
    } else if (*high != 0) {
        return surrogate_error(lexer, low_must_follow);
    }
    if (code == 0) {
        error_set(lexer->err, ERRCODE_UNTRANSLATABLE_CHARACTER, "unsupported Unicode escape sequence");
        return error_detail(lexer->err, "\\u0000 cannot be converted to text.");
    }
    *to = put_utf8(*to, code);
    return true;
}

static bool bad_escape(struct lexer *lexer)
{
    int len = 1;
    while (lexer->at + len < lexer->end && ((uint8_t)lexer->at[len] & 0xc0) == 0x80)
        len++;
    syntax_error(lexer->err);
    return error_detail(lexer->err, "Escape sequence \"\\%.*s\" is invalid.", len, lexer->at);
}

/* The rest of a string from its first backslash on; `to` has room for what is left of the input. */
static bool lex_escaped(struct lexer *lexer, char *to, char **to_end)
{
    static const char escapes[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    uint32_t high = 0;
    for (;; lexer->at++) {
        if (lexer->at == lexer->end)
            return invalid_token(lexer);
        char c = *lexer->at;
        bool literal = c != '"' && c != '\\';
        if (high != 0 && (c != '\\' || lexer->at + 1 == lexer->end || lexer->at[1] != 'u') &&
            !(c == '\\' && lexer->at + 1 == lexer->end))
            return surrogate_error(lexer, low_must_follow);
        if (c == '"')
            break;
        if ((uint8_t)c < 0x20) {
            syntax_error(lexer->err);
            return error_detail(lexer->err, "Character with value 0x%02x must be escaped.", c);
        }
        if (literal) {
            if (to != NULL)
                *to++ = c;
            continue;
        }
        if (++lexer->at == lexer->end)
            return invalid_token(lexer);
        if (*lexer->at == 'u') {
            uint32_t code;
            if (!lex_hex(lexer, &code) || (to != NULL && !decode_unicode(lexer, code, &high, &to)))
                return false;
            continue;
        }
        const char *escape = *lexer->at != '\0' ? strchr(escapes, *lexer->at) : NULL;
        if (escape == NULL)
            return bad_escape(lexer);
        if (to != NULL)
            *to++ = values[escape - escapes];
    }
    *to_end = to;
    return true;
}

static bool lex_string(struct lexer *lexer)
{
    const char *first = ++lexer->at;
    while (lexer->at < lexer->end && *lexer->at != '"' && *lexer->at != '\\' && (uint8_t)*lexer->at >= 0x20)
        lexer->at++;
    if (lexer->at < lexer->end && *lexer->at == '"') {
        if (lexer->arena != NULL)
            lexer->value = varlen_copy(lexer->arena, first, (uint32_t)(lexer->at - first));
        lexer->at++;
        return true;
    }
    char *buffer = NULL, *to = NULL;
    if (lexer->arena != NULL && lexer->at < lexer->end) {
        /* no longer than its source; find where that ends so that a short string does not take the whole rest
         */
        const char *close = lexer->at;
        while (close < lexer->end && *close != '"')
            close += *close == '\\' && close + 1 < lexer->end ? 2 : 1;
        size_t before = (size_t)(lexer->at - first);
        buffer = arena_alloc(lexer->arena, (size_t)(close - first) + 4);
        if (before > 0)
            memcpy(buffer, first, before);
        to = buffer + before;
    }
    if (!lex_escaped(lexer, to, &to))
        return false;
    if (lexer->arena != NULL)
        lexer->value = varlen_view(buffer, (uint32_t)(to - buffer));
    lexer->at++;
    return true;
}

static bool lex(struct lexer *lexer, enum token *token)
{
    while (lexer->at < lexer->end &&
           (*lexer->at == ' ' || *lexer->at == '\n' || *lexer->at == '\t' || *lexer->at == '\r'))
        lexer->at++;
    lexer->start = lexer->at;
    if (lexer->at == lexer->end) {
        *token = TOKEN_END;
        return true;
    }
    char c = *lexer->at;
    if (c == '"') {
        *token = TOKEN_STRING;
        return lex_string(lexer);
    }
    if (c == '-' || (c >= '0' && c <= '9')) {
        *token = TOKEN_NUMBER;
        return lex_number(lexer);
    }
    if (c == '{' || c == '}' || c == '[' || c == ']' || c == ',' || c == ':') {
        lexer->at++;
        *token = TOKEN_PUNCTUATION;
        return true;
    }
    while (lexer->at < lexer->end && is_word(*lexer->at))
        lexer->at++;
    size_t len = (size_t)(lexer->at - lexer->start);
    if (len == 0) {
        lexer->at++;
        return invalid_token(lexer);
    }
    if (len == 4 && memcmp(lexer->start, "true", 4) == 0)
        *token = TOKEN_TRUE;
    else if (len == 4 && memcmp(lexer->start, "null", 4) == 0)
        *token = TOKEN_NULL;
    else if (len == 5 && memcmp(lexer->start, "false", 5) == 0)
        *token = TOKEN_FALSE;
    else
        return invalid_token(lexer);
    return true;
}

/* ---- parser ---- */

enum expect {
    EXPECT_VALUE,
    EXPECT_FIRST_ITEM,
    EXPECT_FIRST_KEY,
    EXPECT_KEY,
    EXPECT_COLON,
    EXPECT_NEXT,
    EXPECT_END
};

struct open_container {
    struct json_value *value;
    uint32_t items_cap;
    uint32_t keys_count;
    uint32_t keys_cap;
};

struct parser {
    struct lexer lexer;
    uint32_t depth;
    uint8_t is_object[NESTING_MAX];
    struct open_container *open; /* when building */
    uint32_t open_cap;
    struct json_value *root;
};

static bool unexpected(const struct parser *parser, enum expect expect, enum token token)
{
    static const char *const wanted[] = {
        [EXPECT_VALUE] = "JSON value",
        [EXPECT_FIRST_ITEM] = "JSON value",
        [EXPECT_FIRST_KEY] = "string or \"}\"",
        [EXPECT_KEY] = "string",
        [EXPECT_COLON] = "\":\"",
        [EXPECT_END] = "end of input",
    };
    struct error *err = parser->lexer.err;
    syntax_error(err);
    if (token == TOKEN_END)
        return error_detail(err, "The input string ended unexpectedly.");
    const char *what = wanted[expect];
    if (expect == EXPECT_NEXT)
        what = parser->is_object[parser->depth - 1] ? "\",\" or \"}\"" : "\",\" or \"]\"";
    return error_detail(err, "Expected %s, but found \"%.*s\".", what, shown(&parser->lexer),
                        parser->lexer.start);
}

/* A new value in the tree, below the innermost open container. */
static struct json_value *add_value(struct parser *parser, enum json_kind kind)
{
    struct arena *arena = parser->lexer.arena;
    if (arena == NULL)
        return NULL;
    struct json_value *value = ARENA_NEW(arena, struct json_value);
    value->kind = kind;
    if (kind == JSON_STRING)
        value->text = parser->lexer.value;
    else if (kind == JSON_NUMBER)
        value->text =
            varlen_copy(arena, parser->lexer.start, (uint32_t)(parser->lexer.at - parser->lexer.start));
    if (parser->depth == 0) {
        parser->root = value;
        return value;
    }
    struct open_container *open = &parser->open[parser->depth - 1];
    ARENA_PUSH(arena, open->value->items, open->value->count, open->items_cap, value);
    return value;
}

static bool open_container(struct parser *parser, bool is_object)
{
    if (parser->depth >= NESTING_MAX)
        return error_set(parser->lexer.err, ERRCODE_STATEMENT_TOO_COMPLEX, "stack depth limit exceeded");
    struct json_value *value = add_value(parser, is_object ? JSON_OBJECT : JSON_ARRAY);
    if (value != NULL) {
        struct open_container open = {.value = value};
        uint32_t count = parser->depth;
        ARENA_PUSH(parser->lexer.arena, parser->open, count, parser->open_cap, open);
    }
    parser->is_object[parser->depth++] = is_object;
    return true;
}

static void add_key(struct parser *parser)
{
    if (parser->lexer.arena == NULL)
        return;
    struct open_container *open = &parser->open[parser->depth - 1];
    ARENA_PUSH(parser->lexer.arena, open->value->keys, open->keys_count, open->keys_cap, parser->lexer.value);
}

static bool close_allowed(const struct parser *parser, enum expect expect, char c)
{
    if (c == ']')
        return expect == EXPECT_FIRST_ITEM ||
               (expect == EXPECT_NEXT && !parser->is_object[parser->depth - 1]);
    return expect == EXPECT_FIRST_KEY || (expect == EXPECT_NEXT && parser->is_object[parser->depth - 1]);
}

static bool parse_punctuation(struct parser *parser, enum expect *expect)
{
    char c = *parser->lexer.start;
    bool wants_value = *expect == EXPECT_VALUE || *expect == EXPECT_FIRST_ITEM;
    if ((c == '{' || c == '[') && wants_value) {
        *expect = c == '{' ? EXPECT_FIRST_KEY : EXPECT_FIRST_ITEM;
        return open_container(parser, c == '{');
    }
    if ((c == '}' || c == ']') && close_allowed(parser, *expect, c)) {
        parser->depth--;
        *expect = parser->depth > 0 ? EXPECT_NEXT : EXPECT_END;
        return true;
    }
    if (c == ',' && *expect == EXPECT_NEXT) {
        *expect = parser->is_object[parser->depth - 1] ? EXPECT_KEY : EXPECT_VALUE;
        return true;
    }
    if (c == ':' && *expect == EXPECT_COLON) {
        *expect = EXPECT_VALUE;
        return true;
    }
    return unexpected(parser, *expect, TOKEN_PUNCTUATION);
}

static bool parse(struct parser *parser)
{
    enum expect expect = EXPECT_VALUE;
    for (;;) {
        enum token token = TOKEN_END;
        if (!lex(&parser->lexer, &token))
            return false;
        if (token == TOKEN_END)
            return expect == EXPECT_END || unexpected(parser, expect, token);
        if (token == TOKEN_PUNCTUATION) {
            if (!parse_punctuation(parser, &expect))
                return false;
        } else if (token == TOKEN_STRING && (expect == EXPECT_KEY || expect == EXPECT_FIRST_KEY)) {
            add_key(parser);
            expect = EXPECT_COLON;
        } else if (expect == EXPECT_VALUE || expect == EXPECT_FIRST_ITEM) {
            static const enum json_kind kinds[] = {[TOKEN_STRING] = JSON_STRING,
                                                   [TOKEN_NUMBER] = JSON_NUMBER,
                                                   [TOKEN_TRUE] = JSON_TRUE,
                                                   [TOKEN_FALSE] = JSON_FALSE,
                                                   [TOKEN_NULL] = JSON_NULL};
            add_value(parser, kinds[token]);
            expect = parser->depth > 0 ? EXPECT_NEXT : EXPECT_END;
        } else {
            return unexpected(parser, expect, token);
        }
    }
}

bool json_parse(struct arena *arena, const char *text, size_t len, struct json_value **out, struct error *err)
{
    struct parser parser;
    parser.lexer = (struct lexer){.start = text, .at = text, .end = text + len, .arena = arena, .err = err};
    parser.depth = 0;
    parser.open = NULL;
    parser.open_cap = 0;
    parser.root = NULL;
    if (!parse(&parser))
        return false;
    *out = parser.root;
    return true;
}

bool json_validate(const char *text, size_t len, struct error *err)
{
    struct json_value *none;
    return json_parse(NULL, text, len, &none, err);
}
