/* copy_binary.c: COPY's binary format: a header, tuples of length-prefixed values, a trailer of -1. */
#include "protocol/pgwire/copy_internal.h"

static const uint8_t signature[11] = {'P', 'G', 'C', 'O', 'P', 'Y', '\n', 0xff, '\r', '\n', 0};

static uint32_t load_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static bool binary_error(struct copy_reader *reader, const char *message, struct error *err)
{
    error_set(err, ERRCODE_BAD_COPY_FILE_FORMAT, "%s", message);
    return copy_line_context(reader, NULL, 0, err);
}

/* *used stays when the header is not whole yet. */
static bool read_header(struct copy_reader *reader, const uint8_t *bytes, size_t len, size_t *used,
                        struct error *err)
{
    size_t seen = len < sizeof(signature) ? len : sizeof(signature);
    if (memcmp(bytes, signature, seen) != 0)
        return error_set(err, ERRCODE_BAD_COPY_FILE_FORMAT, "COPY file signature not recognized");
    if (len < 19)
        return true;
    uint32_t flags = load_u32(bytes + 11);
    if ((flags & (1u << 16)) != 0)
        return error_set(err, ERRCODE_BAD_COPY_FILE_FORMAT, "invalid COPY file header (WITH OIDS)");
    if ((flags >> 16) != 0)
        return error_set(err, ERRCODE_BAD_COPY_FILE_FORMAT,
                         "unrecognized critical flags in COPY file header");
    uint32_t extension = load_u32(bytes + 15);
    if (extension > INT32_MAX)
        return error_set(err, ERRCODE_BAD_COPY_FILE_FORMAT, "invalid COPY file header (wrong length)");
    if (len - 19 < extension)
        return true;
    *used = 19 + (size_t)extension;
    reader->header_done = true;
    return true;
}

/* Length of the tuple at bytes, 0 when it is not whole. */
static bool tuple_len(struct copy_reader *reader, const uint8_t *bytes, size_t len, size_t *out,
                      struct error *err)
{
    *out = 0;
    if (len < 2)
        return true;
    int16_t fields = (int16_t)(bytes[0] << 8 | bytes[1]);
    if (fields == -1) {
        *out = 2;
        return true;
    }
    if (fields != (int32_t)reader->columns_count) {
        error_set(err, ERRCODE_BAD_COPY_FILE_FORMAT, "row field count is %d, expected %u", fields,
                  reader->columns_count);
        return copy_line_context(reader, NULL, 0, err);
    }
    size_t at = 2;
    for (uint32_t i = 0; i < reader->columns_count; i++) {
        if (len - at < 4)
            return true;
        uint32_t bytes_len = load_u32(bytes + at);
        at += 4;
        if (bytes_len == UINT32_MAX)
            continue;
        if (bytes_len > VALUE_BYTES_MAX) {
            error_set(err, ERRCODE_BAD_COPY_FILE_FORMAT, "invalid field size");
            return copy_column_context(reader, i, "", 0, err);
        }
        if (len - at < bytes_len)
            return true;
        at += bytes_len;
    }
    *out = at;
    return true;
}

static bool read_tuple(struct copy_reader *reader, const uint8_t *bytes, struct error *err)
{
    const uint8_t *at = bytes + 2;
    for (uint32_t i = 0; i < reader->columns_count; i++) {
        uint32_t len = load_u32(at);
        at += 4;
        if (len == UINT32_MAX) {
            (void)copy_store_null(reader, i);
            continue;
        }
        struct datum value = {.is_null = false};
        struct sql_type type = reader->columns[i].type;
        if (!type_recv(type.oid, type.typmod, at, len, reader->batch_arena, &value, err)) {
            return error_context(err, "COPY %s, line %llu, column %s", reader->relation,
                                 (unsigned long long)reader->line, reader->columns[i].name);
        }
        copy_store_datum(reader, i, &value);
        at += len;
    }
    reader->line++;
    return copy_finish_row(reader, err);
}

bool copy_binary_consume(struct copy_reader *reader, const uint8_t *bytes, size_t len, bool at_end,
                         size_t *used, struct error *err)
{
    *used = 0;
    if (!reader->header_done && !read_header(reader, bytes, len, used, err))
        return false;
    while (reader->header_done) {
        size_t tuple;
        if (!tuple_len(reader, bytes + *used, len - *used, &tuple, err))
            return false;
        if (tuple == 0)
            break;
        if (tuple == 2 && bytes[*used] == 0xff) {
            *used += 2;
            reader->ended = true;
            if (*used < len)
                return binary_error(reader, "received copy data after EOF marker", err);
            return true;
        }
        if (!read_tuple(reader, bytes + *used, err))
            return false;
        *used += tuple;
    }
    if (!at_end)
        return true;
    if (!reader->header_done)
        return error_set(err, ERRCODE_BAD_COPY_FILE_FORMAT, "COPY file signature not recognized");
    return binary_error(reader, "unexpected EOF in COPY data", err);
}
