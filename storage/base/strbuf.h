/* strbuf.h: a growable byte buffer (malloc), always NUL-terminated behind its length. One thread owns it. */
#ifndef MILLRACE_BASE_STRBUF_H
#define MILLRACE_BASE_STRBUF_H

#include "storage/base/check.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct strbuf {
    char *data; /* NULL or NUL-terminated */
    size_t len;
    size_t cap;
};

#define STRBUF_INIT ((struct strbuf){0})

void strbuf_release(struct strbuf *buf);
/* Makes room for `more` bytes behind len (and the NUL). */
void strbuf_reserve(struct strbuf *buf, size_t more);
void strbuf_add(struct strbuf *buf, const void *data, size_t bytes);
void strbuf_adds(struct strbuf *buf, const char *text);
void strbuf_addf(struct strbuf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
/* Big-endian integers, as the PostgreSQL protocol and order-preserving keys want them. */
void strbuf_add_u16be(struct strbuf *buf, uint16_t value);
void strbuf_add_u32be(struct strbuf *buf, uint32_t value);
void strbuf_add_u64be(struct strbuf *buf, uint64_t value);

static inline void strbuf_addc(struct strbuf *buf, char c)
{
    if (UNLIKELY(buf->len + 2 > buf->cap))
        strbuf_reserve(buf, 1);
    buf->data[buf->len++] = c;
    buf->data[buf->len] = '\0';
}

/* Empties it and keeps the memory. */
static inline void strbuf_reset(struct strbuf *buf)
{
    buf->len = 0;
    if (buf->data != NULL)
        buf->data[0] = '\0';
}

/* Never NULL. */
static inline const char *strbuf_text(const struct strbuf *buf)
{
    return buf->data != NULL ? buf->data : "";
}

#endif
