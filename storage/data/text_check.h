/* text_check.h: UTF-8 of text values: validity, length in characters, cutting. */
#ifndef MILLRACE_DATA_TEXT_CHECK_H
#define MILLRACE_DATA_TEXT_CHECK_H

#include "storage/base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* 22021 naming the bytes of the first bad sequence; a NUL byte is bad as well. */
MUST_CHECK
bool text_check_utf8(const char *text, size_t len, struct error *err);
/* Characters in valid UTF-8. */
size_t text_chars(const char *text, size_t len);
/* Bytes of the first `chars` characters (all when there are fewer). */
size_t text_bytes_of_chars(const char *text, size_t len, size_t chars);
/* The longest prefix of whole characters with at most `bytes_max` bytes. */
size_t text_clip(const char *text, size_t len, size_t bytes_max);
/* Length without trailing blanks. */
static inline size_t text_trimmed_len(const char *text, size_t len)
{
    while (len > 0 && text[len - 1] == ' ')
        len--;
    return len;
}

#endif
