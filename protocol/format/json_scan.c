/* json_scan.c: see json_scan.h. */
#include "protocol/format/json_scan.h"

#include "storage/base/limits.h"
#include "storage/data/text_check.h"

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* Behind the escape whose backslash stands at `at`, or NULL. */
static const uint8_t *skip_escape(const uint8_t *at)
{
    switch (at[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return at + 2;
    case 'u':
        for (int i = 2; i < 6; i++) {
            if (hex_digit(at[i]) < 0)
                return NULL;
        }
        return at + 6;
    default:
        return NULL;
    }
}

const uint8_t *json_skip_string(const uint8_t *at, struct json_token *token)
{
    const uint8_t *first = at + 1;
    bool above = false, has_escapes = false;
    for (const uint8_t *next = first;;) {
        next = json_plain_end(next, &above);
        if (*next == '"') {
            if (UNLIKELY(above) && !text_check_utf8((const char *)first, (size_t)(next - first), NULL))
                return NULL;
            if (token != NULL)
                *token = (struct json_token){JSON_STRING, has_escapes, above, at, next + 1};
            return next + 1;
        }
        if (*next != '\\' || (next = skip_escape(next)) == NULL)
            return NULL;
        has_escapes = true;
    }
}

const uint8_t *json_number_end(const uint8_t *at)
{
    at += *at == '-';
    if (*at == '0')
        at++;
    else if (*at >= '1' && *at <= '9')
        while ((uint8_t)(*at - '0') <= 9)
            at++;
    else
        return NULL;
    if (*at == '.') {
        if ((uint8_t)(at[1] - '0') > 9)
            return NULL;
        for (at++; (uint8_t)(*at - '0') <= 9;)
            at++;
    }
    if ((*at | 32) == 'e') {
        at++;
        at += *at == '+' || *at == '-';
        if ((uint8_t)(*at - '0') > 9)
            return NULL;
        while ((uint8_t)(*at - '0') <= 9)
            at++;
    }
    return json_ends_word(*at) ? at : NULL;
}

static const uint8_t *skip_word(const uint8_t *at, const char *word, size_t len)
{
    return memcmp(at, word, len) == 0 && json_ends_word(at[len]) ? at + len : NULL;
}

/* A value that is no container. */
static const uint8_t *skip_scalar(const uint8_t *at, struct json_token *token)
{
    enum json_kind kind;
    const uint8_t *end;
    switch (*at) {
    case '"':
        return json_skip_string(at, token);
    case 't':
        kind = JSON_TRUE;
        end = skip_word(at, "true", 4);
        break;
    case 'f':
        kind = JSON_FALSE;
        end = skip_word(at, "false", 5);
        break;
    case 'n':
        kind = JSON_NULL;
        end = skip_word(at, "null", 4);
        break;
    default:
        kind = JSON_NUMBER;
        end = json_number_end(at);
        break;
    }
    if (token != NULL)
        *token = (struct json_token){.kind = kind, .start = at, .end = end};
    return end;
}

/* The containers that are open, a bit each: 1 for objects. */
struct open_containers {
    uint32_t depth;
    uint64_t is_object[NESTING_MAX / 64 + 1];
};

static bool push(struct open_containers *open, bool is_object)
{
    if (open->depth == NESTING_MAX)
        return false;
    uint64_t bit = UINT64_C(1) << open->depth % 64, *word = &open->is_object[open->depth / 64];
    *word = is_object ? *word | bit : *word & ~bit;
    open->depth++;
    return true;
}

static bool in_object(const struct open_containers *open)
{
    return (open->is_object[(open->depth - 1) / 64] >> (open->depth - 1) % 64 & 1) != 0;
}

/* From a member's name to its value. */
static const uint8_t *skip_name(const uint8_t *at)
{
    if (*at != '"' || (at = json_skip_string(at, NULL)) == NULL)
        return NULL;
    at = json_skip_space(at);
    return *at == ':' ? json_skip_space(at + 1) : NULL;
}

static const uint8_t *skip_container(const uint8_t *at)
{
    struct open_containers open;
    open.depth = 0;
    open.is_object[0] = 0;
    for (;;) { /* `at` stands at a value */
        if (*at == '{' || *at == '[') {
            bool is_object = *at == '{';
            if (open.depth % 64 == 0)
                open.is_object[open.depth / 64] = 0;
            if (!push(&open, is_object))
                return NULL;
            at = json_skip_space(at + 1);
            if (*at == (is_object ? '}' : ']')) {
                open.depth--;
                at++;
            } else {
                if (is_object && (at = skip_name(at)) == NULL)
                    return NULL;
                continue;
            }
        } else if ((at = skip_scalar(at, NULL)) == NULL) {
            return NULL;
        }
        /* behind a value: more of its container, or the end of that */
        for (;;) {
            if (open.depth == 0)
                return at;
            at = json_skip_space(at);
            bool is_object = in_object(&open);
            if (*at == ',') {
                at = json_skip_space(at + 1);
                if (is_object && (at = skip_name(at)) == NULL)
                    return NULL;
                break;
            }
            if (*at != (is_object ? '}' : ']'))
                return NULL;
            open.depth--;
            at++;
        }
    }
}

const uint8_t *json_skip_value(const uint8_t *at, struct json_token *token)
{
    if (*at != '{' && *at != '[')
        return skip_scalar(at, token);
    const uint8_t *end = skip_container(at);
    if (token != NULL)
        *token = (struct json_token){.kind = *at == '{' ? JSON_OBJECT : JSON_ARRAY, .start = at, .end = end};
    return end;
}

const uint8_t *json_find_members(const uint8_t *at, const char *const *names, uint32_t count,
                                 const uint8_t **values)
{
    for (uint32_t i = 0; i < count; i++)
        values[i] = NULL;
    if (*at != '{')
        return NULL;
    at = json_skip_space(at + 1);
    if (*at == '}')
        return at + 1;
    while (*at == '"') {
        const uint8_t *name = at + 1;
        if ((at = json_skip_string(at, NULL)) == NULL)
            return NULL;
        size_t len = (size_t)(at - name) - 1;
        at = json_skip_space(at);
        if (*at != ':')
            return NULL;
        at = json_skip_space(at + 1);
        for (uint32_t i = 0; i < count; i++) {
            if (strlen(names[i]) == len && memcmp(name, names[i], len) == 0)
                values[i] = at;
        }
        if ((at = json_skip_value(at, NULL)) == NULL)
            return NULL;
        at = json_skip_space(at);
        if (*at != ',')
            return *at == '}' ? at + 1 : NULL;
        at = json_skip_space(at + 1);
    }
    return NULL;
}

/* ---- strings ---- */

static void add_utf8(struct strbuf *out, uint32_t code)
{
    if (code < 0x80) {
        strbuf_addc(out, (char)code);
        return;
    }
    if (code < 0x800) {
        strbuf_addc(out, (char)(0xc0 | code >> 6));
    } else {
        if (code < 0x10000) {
            strbuf_addc(out, (char)(0xe0 | code >> 12));
        } else {
            strbuf_addc(out, (char)(0xf0 | code >> 18));
            strbuf_addc(out, (char)(0x80 | (code >> 12 & 0x3f)));
        }
        strbuf_addc(out, (char)(0x80 | (code >> 6 & 0x3f)));
    }
    strbuf_addc(out, (char)(0x80 | (code & 0x3f)));
}

static uint32_t four_hex(const uint8_t *at)
{
    uint32_t code = 0;
    for (int i = 0; i < 4; i++)
        code = code * 16 + (uint32_t)hex_digit(at[i]);
    return code;
}

static bool surrogate_error(struct error *err)
{
    error_set(err, ERRCODE_INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json");
    return error_detail(err, "Unicode low surrogate must follow a high surrogate.");
}

bool json_unescape(const uint8_t *at, const uint8_t *end, struct strbuf *out, struct error *err)
{
    while (at < end) {
        const uint8_t *hit = memchr(at, '\\', (size_t)(end - at));
        if (hit == NULL)
            hit = end;
        strbuf_add(out, at, (size_t)(hit - at));
        at = hit;
        if (at == end)
            break;
        static const char escapes[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
        if (at[1] != 'u') {
            strbuf_addc(out, values[strchr(escapes, at[1]) - escapes]);
            at += 2;
            continue;
        }
        uint32_t code = four_hex(at + 2);
        at += 6;
        if (code >= 0xdc00 && code <= 0xdfff)
            return surrogate_error(err);
        if (code >= 0xd800 && code <= 0xdbff) {
            uint32_t low = end - at >= 6 && at[0] == '\\' && at[1] == 'u' ? four_hex(at + 2) : 0;
            if (low < 0xdc00 || low > 0xdfff)
                return surrogate_error(err);
            code = 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff);
            at += 6;
        }
        if (code == 0) {
            error_set(err, ERRCODE_UNTRANSLATABLE_CHARACTER, "unsupported Unicode escape sequence");
            return error_detail(err, "\\u0000 cannot be converted to text.");
        }
        add_utf8(out, code);
    }
    return true;
}

/* ---- errors ---- */

bool json_syntax_error(const uint8_t *text, size_t len, const uint8_t *at, struct error *err)
{
    struct error why;
    error_init(&why);
    size_t byte = (size_t)(at - text);
    /* the checks of type json word it as PostgreSQL does; it sees nothing where the record goes on behind its value */
    if (text_check_utf8((const char *)text, len, &why) && json_validate((const char *)text, len, &why)) {
        error_set(&why, ERRCODE_INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json");
        error_detail(&why, "The value is of a form that cannot be read here.");
    }
    error_set(err, why.code, "%s, at or behind byte %zu", why.message, byte > len ? len : byte);
    if (why.detail[0] != '\0')
        error_detail(err, "%s", why.detail);
    return false;
}
