/* text_check.c: UTF-8 checks; runs of ASCII go 32 bytes at a time. */
#include "storage/data/text_check.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define HIGH_BITS 0x8080808080808080ULL
#define LOW_BITS  0x0101010101010101ULL

/* Length of the valid sequence at bytes[0], 0 when it is none. */
static size_t sequence_valid(const uint8_t *bytes, size_t len)
{
    uint8_t first = bytes[0];
    if (first < 0x80)
        return first != 0;
    size_t need = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || len < need)
        return 0;
    for (size_t i = 1; i < need; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((first == 0xe0 && bytes[1] < 0xa0) || (first == 0xed && bytes[1] > 0x9f) ||
        (first == 0xf0 && bytes[1] < 0x90) || (first == 0xf4 && bytes[1] > 0x8f))
        return 0;
    return need;
}

static inline uint64_t not_plain(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, 8);
    return (word | ((word - LOW_BITS) & ~word)) & HIGH_BITS;
}

bool text_check_utf8(const char *text, size_t len, struct error *err)
{
    const uint8_t *bytes = (const uint8_t *)text;
    size_t at = 0;
    while (at < len) {
        if (at + 32 <= len) {
            uint64_t found = not_plain(bytes + at) | not_plain(bytes + at + 8) | not_plain(bytes + at + 16) |
                             not_plain(bytes + at + 24);
            if (found == 0) {
                at += 32;
                continue;
            }
        }
        if (at + 8 <= len) {
            if (not_plain(bytes + at) == 0) {
                at += 8;
                continue;
            }
        }
        size_t step = sequence_valid(bytes + at, len - at);
        if (step == 0) {
            uint8_t first = bytes[at];
            size_t shown = first < 0xc0 ? 1 : first >= 0xf8 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
            char list[32];
            size_t used = 0;
            for (size_t i = 0; i < shown && at + i < len; i++)
                used += (size_t)snprintf(list + used, sizeof(list) - used, "%s0x%02x", i > 0 ? " " : "",
                                         bytes[at + i]);
            return error_set(err, ERRCODE_CHARACTER_NOT_IN_REPERTOIRE,
                             "invalid byte sequence for encoding \"UTF8\": %s", list);
        }
        at += step;
    }
    return true;
}

size_t text_chars(const char *text, size_t len)
{
    size_t chars = len, i = 0;
    for (; i + 8 <= len; i += 8) {
        uint64_t word;
        memcpy(&word, text + i, 8);
        if (UNLIKELY((word & HIGH_BITS) != 0)) /* bytes 10xxxxxx, one bit each, added up in the top byte */
            chars -= (word >> 7 & ~word >> 6 & LOW_BITS) * LOW_BITS >> 56;
    }
    for (; i < len; i++)
        chars -= ((uint8_t)text[i] & 0xc0) == 0x80;
    return chars;
}

size_t text_bytes_of_chars(const char *text, size_t len, size_t chars)
{
    if (len <= chars)
        return len;
    size_t seen = 0;
    for (size_t i = 0; i < len; i++) {
        if (((uint8_t)text[i] & 0xc0) != 0x80 && seen++ == chars)
            return i;
    }
    return len;
}

size_t text_clip(const char *text, size_t len, size_t bytes_max)
{
    if (len <= bytes_max)
        return len;
    size_t at = bytes_max;
    while (at > 0 && ((uint8_t)text[at] & 0xc0) == 0x80)
        at--;
    return at;
}
