/* strbuf.c: the growable byte buffer. */
#include "storage/base/strbuf.h"

#include "storage/base/arena.h"

#include <stdio.h>

void strbuf_release(struct strbuf *buf)
{
    mem_free(buf->data);
    *buf = STRBUF_INIT;
}

void strbuf_reserve(struct strbuf *buf, size_t more)
{
    size_t need = buf->len + more + 1;
    CHECK(need > more);
    if (need <= buf->cap)
        return;
    size_t cap = buf->cap ? buf->cap : 64;
    while (cap < need)
        cap *= 2;
    buf->data = mem_realloc(buf->data, cap);
    buf->cap = cap;
    buf->data[buf->len] = '\0';
}

void strbuf_add(struct strbuf *buf, const void *data, size_t bytes)
{
    strbuf_reserve(buf, bytes);
    if (bytes > 0)
        memcpy(buf->data + buf->len, data, bytes);
    buf->len += bytes;
    buf->data[buf->len] = '\0';
}

void strbuf_adds(struct strbuf *buf, const char *text)
{
    strbuf_add(buf, text, strlen(text));
}

void strbuf_addf(struct strbuf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    CHECK(len >= 0);
    strbuf_reserve(buf, (size_t)len);
    va_start(args, format);
    vsnprintf(buf->data + buf->len, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
}

void strbuf_add_u16be(struct strbuf *buf, uint16_t value)
{
    uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    strbuf_add(buf, bytes, sizeof(bytes));
}

void strbuf_add_u32be(struct strbuf *buf, uint32_t value)
{
    uint32_t swapped = __builtin_bswap32(value);
    strbuf_add(buf, &swapped, sizeof(swapped));
}

void strbuf_add_u64be(struct strbuf *buf, uint64_t value)
{
    uint64_t swapped = __builtin_bswap64(value);
    strbuf_add(buf, &swapped, sizeof(swapped));
}
