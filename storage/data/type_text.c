/* type_text.c: text input and output of booleans, integers, uuid and bytea. */
#include "storage/data/type_text.h"

#define QUOTED_BYTES_MAX 400 /* of the bad input in a message */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void trim(const char **text, size_t *len)
{
    while (*len > 0 && is_space((*text)[0])) {
        (*text)++;
        (*len)--;
    }
    while (*len > 0 && is_space((*text)[*len - 1]))
        (*len)--;
}

bool type_syntax_error(const char *type, const char *text, size_t len, struct error *err)
{
    return error_set(err, ERRCODE_INVALID_TEXT_REPRESENTATION, "invalid input syntax for type %s: \"%.*s\"",
                     type, (int)(len > QUOTED_BYTES_MAX ? QUOTED_BYTES_MAX : len), text);
}

static bool is_prefix(const char *text, size_t len, const char *word, size_t least)
{
    if (len < least || len > strlen(word))
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c + 32);
        if (c != word[i])
            return false;
    }
    return true;
}

bool bool_input(const char *text, size_t len, bool *out, struct error *err)
{
    const char *word = text;
    size_t word_len = len;
    trim(&word, &word_len);
    if (is_prefix(word, word_len, "true", 1) || is_prefix(word, word_len, "yes", 1) ||
        is_prefix(word, word_len, "on", 2) || is_prefix(word, word_len, "1", 1))
        *out = true;
    else if (is_prefix(word, word_len, "false", 1) || is_prefix(word, word_len, "no", 1) ||
             is_prefix(word, word_len, "off", 2) || is_prefix(word, word_len, "0", 1))
        *out = false;
    else
        return type_syntax_error("boolean", text, len, err);
    return true;
}

bool integer_input(const char *text, size_t len, int64_t min, int64_t max, const char *type, int64_t *out,
                   struct error *err)
{
    size_t at = 0;
    while (at < len && is_space(text[at]))
        at++;
    bool negative = false;
    if (at < len && (text[at] == '-' || text[at] == '+'))
        negative = text[at++] == '-';
    size_t start = at;
    uint64_t value = 0;
    bool overflow = false;
    for (; at < len && text[at] >= '0' && text[at] <= '9'; at++) {
        overflow |= __builtin_mul_overflow(value, 10u, &value);
        overflow |= __builtin_add_overflow(value, (uint64_t)(text[at] - '0'), &value);
    }
    bool digits = at > start;
    while (at < len && is_space(text[at]))
        at++;
    if (!digits || at != len)
        return type_syntax_error(type, text, len, err);
    uint64_t limit = negative ? 0 - (uint64_t)min : (uint64_t)max;
    if (overflow || value > limit)
        return error_set(err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
                         "value \"%.*s\" is out of range for type %s",
                         (int)(len > QUOTED_BYTES_MAX ? QUOTED_BYTES_MAX : len), text, type);
    *out = (int64_t)(negative ? 0 - value : value);
    return true;
}

bool oid_input(const char *text, size_t len, int64_t *out, struct error *err)
{
    int64_t value;
    struct error why;
    if (!integer_input(text, len, INT32_MIN, UINT32_MAX, "oid", &value, &why)) {
        if (err != NULL)
            *err = why;
        return false;
    }
    *out = (int64_t)(uint32_t)value;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool uuid_input(const char *text, size_t len, uint8_t out[16], struct error *err)
{
    size_t at = 0, end = len;
    bool braces = len > 0 && text[0] == '{';
    if (braces) {
        at = 1;
        if (len < 2 || text[len - 1] != '}')
            return type_syntax_error("uuid", text, len, err);
        end = len - 1;
    }
    for (int i = 0; i < 16; i++) {
        if (at + 2 > end)
            return type_syntax_error("uuid", text, len, err);
        int high = hex_digit(text[at]), low = hex_digit(text[at + 1]);
        if (high < 0 || low < 0)
            return type_syntax_error("uuid", text, len, err);
        out[i] = (uint8_t)(high * 16 + low);
        at += 2;
        if (at < end && text[at] == '-' && i % 2 == 1 && i < 15)
            at++; /* a dash may stand after each group of four digits */
    }
    if (at != end)
        return type_syntax_error("uuid", text, len, err);
    return true;
}

static const char hex_digits[] = "0123456789abcdef";

void uuid_output(const uint8_t value[16], struct strbuf *out)
{
    char text[36];
    size_t at = 0;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            text[at++] = '-';
        text[at++] = hex_digits[value[i] >> 4];
        text[at++] = hex_digits[value[i] & 15];
    }
    strbuf_add(out, text, at);
}

static bool bytea_input_hex(const char *text, size_t len, struct arena *arena, struct varlen *out,
                            struct error *err)
{
    uint8_t *bytes = arena_alloc(arena, len / 2 + 1);
    size_t count = 0;
    for (size_t at = 2; at < len;) {
        if (text[at] == ' ' || text[at] == '\n' || text[at] == '\t' || text[at] == '\r') {
            at++;
            continue;
        }
        int high = hex_digit(text[at]);
        if (high >= 0 && at + 1 == len)
            return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                             "invalid hexadecimal data: odd number of digits");
        int low = high < 0 ? -1 : hex_digit(text[at + 1]);
        if (high < 0 || low < 0) {
            const char *bad = high < 0 ? text + at : text + at + 1;
            if (high >= 0 && is_space(*bad))
                return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                                 "invalid hexadecimal data: odd number of digits");
            int shown = 1;
            while (bad + shown < text + len && ((uint8_t)bad[shown] & 0xc0) == 0x80)
                shown++;
            return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "invalid hexadecimal digit: \"%.*s\"",
                             shown, bad);
        }
        bytes[count++] = (uint8_t)(high * 16 + low);
        at += 2;
    }
    *out = varlen_view(bytes, (uint32_t)count);
    return true;
}

bool bytea_input(const char *text, size_t len, struct arena *arena, struct varlen *out, struct error *err)
{
    if (len >= 2 && text[0] == '\\' && text[1] == 'x')
        return bytea_input_hex(text, len, arena, out, err);
    uint8_t *bytes = arena_alloc(arena, len + 1);
    size_t count = 0;
    for (size_t at = 0; at < len;) {
        if (text[at] != '\\') {
            bytes[count++] = (uint8_t)text[at++];
        } else if (at + 1 < len && text[at + 1] == '\\') {
            bytes[count++] = '\\';
            at += 2;
        } else if (at + 3 < len && text[at + 1] >= '0' && text[at + 1] <= '3' && text[at + 2] >= '0' &&
                   text[at + 2] <= '7' && text[at + 3] >= '0' && text[at + 3] <= '7') {
            bytes[count++] =
                (uint8_t)((text[at + 1] - '0') * 64 + (text[at + 2] - '0') * 8 + (text[at + 3] - '0'));
            at += 4;
        } else {
            return error_set(err, ERRCODE_INVALID_TEXT_REPRESENTATION, "invalid input syntax for type bytea");
        }
    }
    *out = varlen_view(bytes, (uint32_t)count);
    return true;
}

void bytea_output(const struct varlen *value, bool escape, struct strbuf *out)
{
    const uint8_t *bytes = varlen_bytes(value);
    strbuf_reserve(out, (size_t)value->len * (escape ? 4 : 2) + 2);
    if (!escape) {
        char *to = out->data + out->len;
        *to++ = '\\';
        *to++ = 'x';
        for (uint32_t i = 0; i < value->len; i++) {
            *to++ = hex_digits[bytes[i] >> 4];
            *to++ = hex_digits[bytes[i] & 15];
        }
        *to = '\0';
        out->len = (size_t)(to - out->data);
        return;
    }
    for (uint32_t i = 0; i < value->len; i++) {
        if (bytes[i] == '\\') {
            strbuf_add(out, "\\\\", 2);
        } else if (bytes[i] < 0x20 || bytes[i] > 0x7e) {
            char octal[4] = {'\\', (char)('0' + (bytes[i] >> 6)), (char)('0' + ((bytes[i] >> 3) & 7)),
                             (char)('0' + (bytes[i] & 7))};
            strbuf_add(out, octal, 4);
        } else {
            strbuf_addc(out, (char)bytes[i]);
        }
    }
}

void integer_output(int64_t value, struct strbuf *out)
{
    char digits[24];
    size_t at = sizeof(digits);
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (value < 0)
        digits[--at] = '-';
    strbuf_add(out, digits + at, sizeof(digits) - at);
}
