/* text_kernel.h: what the kernels over text and bytea share: reading arguments, building results, code
 * points. */
#ifndef MILLRACE_EXECUTOR_FUNCTIONS_TEXT_KERNEL_H
#define MILLRACE_EXECUTOR_FUNCTIONS_TEXT_KERNEL_H

#include "executor/eval_env.h"
#include "executor/function.h"
#include "storage/data/text_check.h"

#define RESULT_VAR(column)  ((struct varlen *)(column)->data)
#define RESULT_I32(column)  ((int32_t *)(column)->data)
#define RESULT_I64(column)  ((int64_t *)(column)->data)
#define RESULT_BOOL(column) ((uint8_t *)(column)->data)

struct text_arg {
    const char *bytes;
    size_t len;
};

/* Borrowed from the column, inline values included. */
static inline struct text_arg text_at(const struct column *column, uint32_t row)
{
    const struct varlen *value = &COLUMN_VAR(column)[COLUMN_AT(column, row)];
    return (struct text_arg){.bytes = (const char *)varlen_bytes(value), .len = value->len};
}

static inline int32_t i32_at(const struct column *column, uint32_t row)
{
    return COLUMN_I32(column)[COLUMN_AT(column, row)];
}

static inline struct varlen text_view(struct text_arg text)
{
    return varlen_view(text.bytes, (uint32_t)text.len);
}

/* Room for a result of `len` bytes; text_end when they are written. */
static inline char *text_begin(struct arena *arena, struct varlen *out, size_t len)
{
    *out = (struct varlen){.len = (uint32_t)len};
    if (len <= VARLEN_INLINE_MAX)
        return (char *)out->inlined;
    char *bytes = arena_alloc(arena, len);
    memcpy(out->pointer_bytes, &bytes, sizeof(bytes));
    return bytes;
}

static inline void text_end(struct varlen *out)
{
    if (out->len > VARLEN_INLINE_MAX)
        memcpy(out->prefix, varlen_bytes(out), 4);
}

static inline bool text_is_ascii(struct text_arg text)
{
    uint8_t any = 0;
    for (size_t i = 0; i < text.len; i++)
        any |= (uint8_t)text.bytes[i];
    return any < 0x80;
}

/* Bytes of the character that starts with this byte, in valid UTF-8. */
static inline size_t utf8_bytes(char first)
{
    uint8_t byte = (uint8_t)first;
    return byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

/* The same, never past the end. */
static inline size_t utf8_step(struct text_arg text, size_t at)
{
    size_t bytes = utf8_bytes(text.bytes[at]);
    return bytes < text.len - at ? bytes : text.len - at;
}

static inline uint32_t utf8_decode(const char *text)
{
    const uint8_t *bytes = (const uint8_t *)text;
    switch (utf8_bytes(text[0])) {
    case 1:
        return bytes[0];
    case 2:
        return (bytes[0] & 0x1fu) << 6 | (bytes[1] & 0x3fu);
    case 3:
        return (bytes[0] & 0x0fu) << 12 | (bytes[1] & 0x3fu) << 6 | (bytes[2] & 0x3fu);
    default:
        return (bytes[0] & 0x07u) << 18 | (bytes[1] & 0x3fu) << 12 | (bytes[2] & 0x3fu) << 6 |
               (bytes[3] & 0x3fu);
    }
}

static inline size_t utf8_encode(uint32_t code, char *out)
{
    uint8_t *bytes = (uint8_t *)out;
    if (code < 0x80) {
        bytes[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        bytes[0] = (uint8_t)(0xc0 | code >> 6);
        bytes[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        bytes[0] = (uint8_t)(0xe0 | code >> 12);
        bytes[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        bytes[2] = (uint8_t)(0x80 | (code & 0x3f));
        return 3;
    }
    bytes[0] = (uint8_t)(0xf0 | code >> 18);
    bytes[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
    bytes[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    bytes[3] = (uint8_t)(0x80 | (code & 0x3f));
    return 4;
}

/* Case of the "C" collation: letters of ASCII only. */
static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}
static inline char ascii_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - ('a' - 'A')) : c;
}

/* Byte offset of needle in text at or after `from`; SIZE_MAX when it is not there. */
static inline size_t text_find(struct text_arg text, struct text_arg needle, size_t from)
{
    if (needle.len > text.len - from)
        return SIZE_MAX;
    if (needle.len == 0)
        return from;
    const char *at = needle.len == 1 ? memchr(text.bytes + from, needle.bytes[0], text.len - from)
                                     : memmem(text.bytes + from, text.len - from, needle.bytes, needle.len);
    return at != NULL ? (size_t)(at - text.bytes) : SIZE_MAX;
}

static inline struct varlen text_from_strbuf(struct arena *arena, const struct strbuf *buf)
{
    return varlen_copy(arena, strbuf_text(buf), (uint32_t)buf->len);
}

#endif
