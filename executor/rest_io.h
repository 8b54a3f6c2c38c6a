/* rest_io.h: the small things beside the tables of a checkpoint (save_rest and restore_rest): whole numbers and texts, one
 * after the other. Whoever reads asks once, at the end, whether all of them were there. */
#ifndef MILLRACE_EXECUTOR_REST_IO_H
#define MILLRACE_EXECUTOR_REST_IO_H

#include "storage/base/error.h"
#include "storage/base/strbuf.h"

static inline void rest_add(struct strbuf *out, uint64_t value)
{
    strbuf_add_u64be(out, value);
}

static inline void rest_add_text(struct strbuf *out, const char *text)
{
    rest_add(out, strlen(text));
    strbuf_adds(out, text);
}

struct rest_reader {
    const uint8_t *at;
    size_t left;
    bool is_short;
};

static inline struct rest_reader rest_open(const void *rest, size_t bytes)
{
    return (struct rest_reader){.at = rest, .left = bytes};
}

/* 0 when there is none. */
static inline uint64_t rest_take(struct rest_reader *reader)
{
    uint64_t value = 0;
    if (reader->left < sizeof(value)) {
        reader->is_short = true;
        reader->left = 0;
        return 0;
    }
    for (uint32_t i = 0; i < sizeof(value); i++)
        value = value << 8 | reader->at[i];
    reader->at += sizeof(value);
    reader->left -= sizeof(value);
    return value;
}

/* Cut to what there is room for (bytes, with the NUL). */
static inline void rest_take_text(struct rest_reader *reader, char *out, size_t bytes)
{
    uint64_t len = rest_take(reader);
    if (len > reader->left) {
        reader->is_short = true;
        len = reader->left;
    }
    size_t kept = len < bytes ? (size_t)len : bytes - 1;
    if (kept > 0)
        memcpy(out, reader->at, kept);
    out[kept] = '\0';
    reader->at += len;
    reader->left -= (size_t)len;
}

/* XX001 when something was missing, or is left. */
MUST_CHECK
static inline bool rest_close(const struct rest_reader *reader, struct error *err)
{
    if (!reader->is_short && reader->left == 0)
        return true;
    return error_set(err, ERRCODE_DATA_CORRUPTED, "what was saved beside tables of state has another length");
}

#endif
