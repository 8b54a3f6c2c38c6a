/* fn_text_encode.c: hashes (md5, sha2), text encodings of bytes (hex, base64, escape), and character sets
 * (ICU). */
#define _GNU_SOURCE
#include "executor/functions/text_kernel.h"

#include <openssl/evp.h>
#include <unicode/ucnv.h>

#define BASE64_LINE 76

static const char hex_digits[] = "0123456789abcdef";

static void write_hex(const uint8_t *bytes, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++) {
        out[i * 2] = hex_digits[bytes[i] >> 4];
        out[i * 2 + 1] = hex_digits[bytes[i] & 15];
    }
}

/* ---- hashes ---- */

static void digest(struct fn_call *call, uint32_t row, const EVP_MD *method, struct text_arg text,
                   uint8_t *out, unsigned *out_len)
{
    if (EVP_Digest(text.bytes, text.len, out, out_len, method, NULL) != 1) {
        *out_len = 0;
        fn_error(call, row, ERRCODE_INTERNAL_ERROR, "could not compute %s hash", EVP_MD_get0_name(method));
    }
}

static void fn_md5(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        uint8_t bytes[EVP_MAX_MD_SIZE] = {0};
        unsigned len;
        digest(call, i, EVP_md5(), text_at(&args[0], i), bytes, &len);
        char *out = text_begin(call->arena, &RESULT_VAR(result)[i], len * 2u);
        write_hex(bytes, len, out);
        text_end(&RESULT_VAR(result)[i]);
    }
}

static void sha_rows(struct fn_call *call, const struct column *args, struct column *result,
                     const EVP_MD *method)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        uint8_t bytes[EVP_MAX_MD_SIZE] = {0};
        unsigned len;
        digest(call, i, method, text_at(&args[0], i), bytes, &len);
        RESULT_VAR(result)[i] = varlen_copy(call->arena, bytes, len);
    }
}

static void fn_sha224(struct fn_call *call, const struct column *args, struct column *result)
{
    sha_rows(call, args, result, EVP_sha224());
}
static void fn_sha256(struct fn_call *call, const struct column *args, struct column *result)
{
    sha_rows(call, args, result, EVP_sha256());
}
static void fn_sha384(struct fn_call *call, const struct column *args, struct column *result)
{
    sha_rows(call, args, result, EVP_sha384());
}
static void fn_sha512(struct fn_call *call, const struct column *args, struct column *result)
{
    sha_rows(call, args, result, EVP_sha512());
}

/* ---- encode, decode ---- */

static const char base64_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void add_base64(struct text_arg data, struct strbuf *out)
{
    const uint8_t *bytes = (const uint8_t *)data.bytes;
    size_t column = 0;
    for (size_t at = 0; at < data.len; at += 3) {
        size_t left = data.len - at;
        uint32_t group = (uint32_t)bytes[at] << 16;
        group |= left > 1 ? (uint32_t)bytes[at + 1] << 8 : 0;
        group |= left > 2 ? bytes[at + 2] : 0;
        if (column == BASE64_LINE) {
            strbuf_addc(out, '\n');
            column = 0;
        }
        strbuf_addc(out, base64_letters[group >> 18]);
        strbuf_addc(out, base64_letters[group >> 12 & 63]);
        strbuf_addc(out, left > 1 ? base64_letters[group >> 6 & 63] : '=');
        strbuf_addc(out, left > 2 ? base64_letters[group & 63] : '=');
        column += 4;
        if (column == BASE64_LINE && left > 3) {
            strbuf_addc(out, '\n');
            column = 0;
        }
    }
    if (column == BASE64_LINE)
        strbuf_addc(out, '\n');
}

static void add_escape(struct text_arg data, struct strbuf *out)
{
    for (size_t i = 0; i < data.len; i++) {
        uint8_t byte = (uint8_t)data.bytes[i];
        if (byte == 0 || byte >= 0x80)
            strbuf_addf(out, "\\%03o", byte);
        else if (byte == '\\')
            strbuf_adds(out, "\\\\");
        else
            strbuf_addc(out, (char)byte);
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool decode_hex(struct text_arg text, struct strbuf *out, struct error *err)
{
    for (size_t at = 0; at < text.len;) {
        if (is_space(text.bytes[at])) {
            at++;
            continue;
        }
        int digits[2];
        for (size_t i = 0; i < 2; i++) {
            if (at + i >= text.len)
                return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                                 "invalid hexadecimal data: odd number of digits");
            digits[i] = hex_value(text.bytes[at + i]);
            if (digits[i] < 0)
                return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "invalid hexadecimal digit: \"%.*s\"",
                                 (int)utf8_step(text, at + i), text.bytes + at + i);
        }
        strbuf_addc(out, (char)(digits[0] << 4 | digits[1]));
        at += 2;
    }
    return true;
}

static bool base64_unfinished(struct error *err)
{
    error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "invalid base64 end sequence");
    return error_hint(err, "Input data is missing padding, is truncated, or is otherwise corrupted.");
}

static bool decode_base64(struct text_arg text, struct strbuf *out, struct error *err)
{
    uint32_t group = 0, letters = 0, padding = 0;
    for (size_t at = 0; at < text.len; at++) {
        char c = text.bytes[at];
        if (is_space(c))
            continue;
        uint32_t value = 0;
        if (c == '=') {
            if (padding == 0 && letters < 2)
                return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                                 "unexpected \"=\" while decoding base64 sequence");
            padding++;
        } else {
            const char *letter = c != '\0' ? strchr(base64_letters, c) : NULL;
            if (letter == NULL)
                return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                                 "invalid symbol \"%.*s\" found while decoding base64 sequence",
                                 (int)utf8_step(text, at), text.bytes + at);
            value = (uint32_t)(letter - base64_letters);
            if (padding > 0)
                return base64_unfinished(err);
        }
        group = group << 6 | value;
        if (++letters == 4) {
            for (uint32_t i = 0; i + padding < 3; i++)
                strbuf_addc(out, (char)(group >> (16 - 8 * i)));
            group = letters = padding = 0;
        }
    }
    return letters == 0 || base64_unfinished(err);
}

static bool decode_escape(struct text_arg text, struct strbuf *out, struct error *err)
{
    for (size_t at = 0; at < text.len; at++) {
        char c = text.bytes[at];
        if (c != '\\') {
            strbuf_addc(out, c);
            continue;
        }
        const char *next = text.bytes + at + 1;
        size_t left = text.len - at - 1;
        if (left >= 1 && next[0] == '\\') {
            strbuf_addc(out, '\\');
            at++;
        } else if (left >= 3 && next[0] >= '0' && next[0] <= '3' && next[1] >= '0' && next[1] <= '7' &&
                   next[2] >= '0' && next[2] <= '7') {
            strbuf_addc(out, (char)((next[0] - '0') << 6 | (next[1] - '0') << 3 | (next[2] - '0')));
            at += 3;
        } else {
            return error_set(err, ERRCODE_INVALID_TEXT_REPRESENTATION, "invalid input syntax for type %s",
                             "bytea");
        }
    }
    return true;
}

enum encoding { ENCODING_HEX, ENCODING_BASE64, ENCODING_ESCAPE, ENCODING_NONE };

static enum encoding encoding_of(struct text_arg name)
{
    static const char *const names[] = {"hex", "base64", "escape"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strlen(names[i]) == name.len && strncasecmp(names[i], name.bytes, name.len) == 0)
            return (enum encoding)i;
    }
    return ENCODING_NONE;
}

static bool encoding_unknown(struct text_arg name, struct error *err)
{
    return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "unrecognized encoding: \"%.*s\"", (int)name.len,
                     name.bytes);
}

static void fn_encode(struct fn_call *call, const struct column *args, struct column *result)
{
    struct strbuf buf = STRBUF_INIT;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg data = text_at(&args[0], i), name = text_at(&args[1], i);
        RESULT_VAR(result)[i] = (struct varlen){0};
        strbuf_reset(&buf);
        switch (encoding_of(name)) {
        case ENCODING_HEX:
            write_hex((const uint8_t *)data.bytes, data.len,
                      text_begin(call->arena, &RESULT_VAR(result)[i], data.len * 2));
            text_end(&RESULT_VAR(result)[i]);
            continue;
        case ENCODING_BASE64:
            add_base64(data, &buf);
            break;
        case ENCODING_ESCAPE:
            add_escape(data, &buf);
            break;
        case ENCODING_NONE: {
            struct error err;
            encoding_unknown(name, &err);
            fn_error_from(call, i, &err);
            continue;
        }
        }
        RESULT_VAR(result)[i] = text_from_strbuf(call->arena, &buf);
    }
    strbuf_release(&buf);
}

static void fn_decode(struct fn_call *call, const struct column *args, struct column *result)
{
    struct strbuf buf = STRBUF_INIT;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg text = text_at(&args[0], i), name = text_at(&args[1], i);
        struct error err;
        bool ok = false;
        RESULT_VAR(result)[i] = (struct varlen){0};
        strbuf_reset(&buf);
        switch (encoding_of(name)) {
        case ENCODING_HEX:
            ok = decode_hex(text, &buf, &err);
            break;
        case ENCODING_BASE64:
            ok = decode_base64(text, &buf, &err);
            break;
        case ENCODING_ESCAPE:
            ok = decode_escape(text, &buf, &err);
            break;
        case ENCODING_NONE:
            ok = encoding_unknown(name, &err);
            break;
        }
        if (ok)
            RESULT_VAR(result)[i] = text_from_strbuf(call->arena, &buf);
        else
            fn_error_from(call, i, &err);
    }
    strbuf_release(&buf);
}

/* ---- character sets ---- */

/* PostgreSQL's names beside ICU's; names ICU knows as they are (KOI8R, SJIS, BIG5, GBK ...) need no entry. */
static const char *const charset_names[][2] = {
    {"utf8", "UTF-8"},
    {"unicode", "UTF-8"},
    {"sqlascii", "UTF-8"},
    {"latin1", "ISO-8859-1"},
    {"latin2", "ISO-8859-2"},
    {"latin3", "ISO-8859-3"},
    {"latin4", "ISO-8859-4"},
    {"latin5", "ISO-8859-9"},
    {"latin6", "ISO-8859-10"},
    {"latin7", "ISO-8859-13"},
    {"latin8", "ISO-8859-14"},
    {"latin9", "ISO-8859-15"},
    {"iso88591", "ISO-8859-1"},
    {"iso88595", "ISO-8859-5"},
    {"iso88596", "ISO-8859-6"},
    {"iso88597", "ISO-8859-7"},
    {"iso88598", "ISO-8859-8"},
    {"iso885915", "ISO-8859-15"},
    {"win1250", "windows-1250"},
    {"win1251", "windows-1251"},
    {"win1252", "windows-1252"},
    {"win1253", "windows-1253"},
    {"win1254", "windows-1254"},
    {"win1255", "windows-1255"},
    {"win1256", "windows-1256"},
    {"win1257", "windows-1257"},
    {"win1258", "windows-1258"},
    {"win866", "IBM866"},
    {"win874", "windows-874"},
    {"koi8r", "KOI8-R"},
    {"koi8u", "KOI8-U"},
    {"eucjp", "EUC-JP"},
    {"euccn", "GB2312"},
    {"euckr", "EUC-KR"},
    {"euctw", "EUC-TW"},
    {"sjis", "Shift_JIS"},
    {"big5", "Big5"},
    {"gbk", "GBK"},
    {"gb18030", "gb18030"},
    {"uhc", "windows-949"},
    {"johab", "johab"},
};

/* NULL when PostgreSQL has no such encoding. */
static const char *charset_of(struct text_arg name)
{
    char plain[24];
    size_t len = 0;
    for (size_t i = 0; i < name.len; i++) {
        char c = ascii_lower(name.bytes[i]);
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
            if (len + 1 == sizeof(plain))
                return NULL;
            plain[len++] = c;
        }
    }
    plain[len] = '\0';
    for (size_t i = 0; i < ARRAY_COUNT(charset_names); i++) {
        if (strcmp(charset_names[i][0], plain) == 0)
            return charset_names[i][1];
    }
    return NULL;
}

static bool is_utf8(const char *charset)
{
    return strcmp(charset, "UTF-8") == 0;
}

/* Converts between two character sets; no substitution. */
static bool convert(struct text_arg text, struct text_arg from_name, struct text_arg to_name,
                    struct arena *arena, struct varlen *out, struct error *err)
{
    const char *from = charset_of(from_name), *to = charset_of(to_name);
    if (from == NULL)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "invalid source encoding name \"%.*s\"",
                         (int)from_name.len, from_name.bytes);
    if (to == NULL)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "invalid destination encoding name \"%.*s\"",
                         (int)to_name.len, to_name.bytes);
    if (is_utf8(from) && !text_check_utf8(text.bytes, text.len, err))
        return false;
    if (strcmp(from, to) == 0) {
        *out = text_view(text);
        return true;
    }
    UErrorCode status = U_ZERO_ERROR;
    UConverter *source = ucnv_open(from, &status), *target = ucnv_open(to, &status);
    size_t room = text.len * 4 + 16;
    char *bytes = arena_alloc(arena, room);
    if (U_SUCCESS(status)) {
        ucnv_setToUCallBack(source, UCNV_TO_U_CALLBACK_STOP, NULL, NULL, NULL, &status);
        ucnv_setFromUCallBack(target, UCNV_FROM_U_CALLBACK_STOP, NULL, NULL, NULL, &status);
    }
    char *end = bytes;
    if (U_SUCCESS(status)) {
        const char *at = text.bytes;
        ucnv_convertEx(target, source, &end, bytes + room, &at, text.bytes + text.len, NULL, NULL, NULL, NULL,
                       true, true, &status);
    }
    ucnv_close(source);
    ucnv_close(target);
    if (U_FAILURE(status))
        return error_set(err, ERRCODE_UNTRANSLATABLE_CHARACTER,
                         "text cannot be converted from encoding \"%.*s\" to encoding \"%.*s\"",
                         (int)from_name.len, from_name.bytes, (int)to_name.len, to_name.bytes);
    *out = varlen_view(bytes, (uint32_t)(end - bytes));
    if (is_utf8(to))
        return text_check_utf8(bytes, (size_t)(end - bytes), err);
    return true;
}

static const struct text_arg utf8_name = {.bytes = "UTF8", .len = 4};

static void fn_convert_from(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct error err;
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (!convert(text_at(&args[0], i), text_at(&args[1], i), utf8_name, call->arena,
                     &RESULT_VAR(result)[i], &err))
            fn_error_from(call, i, &err);
    }
}

static void fn_convert_to(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct error err;
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (!convert(text_at(&args[0], i), utf8_name, text_at(&args[1], i), call->arena,
                     &RESULT_VAR(result)[i], &err))
            fn_error_from(call, i, &err);
    }
}

static void fn_convert(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct error err;
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (!convert(text_at(&args[0], i), text_at(&args[1], i), text_at(&args[2], i), call->arena,
                     &RESULT_VAR(result)[i], &err))
            fn_error_from(call, i, &err);
    }
}

const struct function_row fn_text_encode_rows[] = {
    {"md5", "text", "text", fn_md5, "md5('a') gives '0cc175b9c0f1b6a831c399e269772661'"},
    {"md5", "bytea", "text", fn_md5, "md5('\\x61'::bytea) gives '0cc175b9c0f1b6a831c399e269772661'"},
    {"sha224", "bytea", "bytea", fn_sha224, "sha224('a')"},
    {"sha256", "bytea", "bytea", fn_sha256, "sha256('a')"},
    {"sha384", "bytea", "bytea", fn_sha384, "sha384('a')"},
    {"sha512", "bytea", "bytea", fn_sha512, "sha512('a')"},
    {"encode", "bytea,text", "text", fn_encode, "encode('\\x01', 'hex') gives '01'"},
    {"decode", "text,text", "bytea", fn_decode, "decode('AQ==', 'base64') gives '\\x01'"},
    {"convert_from", "bytea,name", "text", fn_convert_from, "convert_from('\\xe4', 'LATIN1') gives 'ä'"},
    {"convert_to", "text,name", "bytea", fn_convert_to, "convert_to('ä', 'LATIN1') gives '\\xe4'"},
    {"convert", "bytea,name,name", "bytea", fn_convert, "convert('\\xe4', 'LATIN1', 'UTF8') gives '\\xc3a4'"},
};
const size_t fn_text_encode_rows_count = sizeof(fn_text_encode_rows) / sizeof(fn_text_encode_rows[0]);
