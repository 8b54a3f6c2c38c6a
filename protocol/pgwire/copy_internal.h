/* copy_internal.h: the reader's state, shared by the files of the formats. */
#ifndef MILLRACE_PGWIRE_COPY_INTERNAL_H
#define MILLRACE_PGWIRE_COPY_INTERNAL_H

#include "protocol/pgwire/copy.h"
#include "storage/base/simd.h"
#include "storage/data/text_store.h"

enum line_end { LINE_END_UNKNOWN, LINE_END_NL, LINE_END_CR, LINE_END_CRNL };

struct copy_reader {
    const struct copy_options *options;
    const char *relation;
    const struct copy_column *columns;
    uint32_t columns_count;
    enum text_kind *kinds;
    const struct io_env *io;
    bool zone_is_utc;
    struct account *account;
    copy_rows_fn rows;
    void *ctx;
    struct arena arena;
    struct arena own_arena;    /* of one batch */
    struct arena *batch_arena; /* that one, or the caller's, which keeps all batches */
    struct batch *batch;
    uint32_t row;          /* the row being filled */
    struct strbuf pending; /* bytes of a record that is not whole yet */
    struct strbuf field;   /* a field without its escapes */
    size_t null_len;
    uint64_t line;         /* of the record being read, from 1 */
    uint64_t lines_inside; /* line ends inside its quotes */
    uint64_t rows_count;
    enum line_end line_end;
    bool header_done, ended;
    /* text, CSV: how far the pending record has been searched */
    size_t searched;
    bool in_quote, after_escape;
};

/* The formats: take whole records from bytes[0..len); *used is how far. at_end: no more will come, a last
 * record may lack its line end. */
bool copy_text_consume(struct copy_reader *reader, const uint8_t *bytes, size_t len, bool at_end,
                       size_t *used, struct error *err);
bool copy_csv_consume(struct copy_reader *reader, const uint8_t *bytes, size_t len, bool at_end, size_t *used,
                      struct error *err);
bool copy_binary_consume(struct copy_reader *reader, const uint8_t *bytes, size_t len, bool at_end,
                         size_t *used, struct error *err);

/* Stores a field of the present row. */
bool copy_store_null(struct copy_reader *reader, uint32_t column);
bool copy_store_text(struct copy_reader *reader, uint32_t column, const char *text, size_t len,
                     struct error *err);
void copy_store_datum(struct copy_reader *reader, uint32_t column, const struct datum *value);
/* The row is whole. */
bool copy_finish_row(struct copy_reader *reader, struct error *err);

/* Adds contexts; they return false. text NULL: "null input". */
bool copy_column_context(struct copy_reader *reader, uint32_t column, const char *text, size_t len,
                         struct error *err);
bool copy_line_context(struct copy_reader *reader, const uint8_t *line, size_t len, struct error *err);
/* One name of a header line against the columns. */
bool copy_check_header(struct copy_reader *reader, uint32_t field, const char *name, size_t len,
                       struct error *err);
bool copy_check_header_count(struct copy_reader *reader, uint32_t fields, struct error *err);

/* The first of two, three or four bytes in [at, end), or end. */
static inline const uint8_t *find_byte2(const uint8_t *at, const uint8_t *end, uint8_t a, uint8_t b)
{
    for (; end - at >= 16; at += 16) {
        uint32_t hits = simd_match16(at, a) | simd_match16(at, b);
        if (hits != 0)
            return at + __builtin_ctz(hits);
    }
    while (at < end && *at != a && *at != b)
        at++;
    return at;
}

static inline const uint8_t *find_byte4(const uint8_t *at, const uint8_t *end, const uint8_t bytes[4])
{
    for (; end - at >= 16; at += 16) {
        uint32_t hits = simd_match16(at, bytes[0]) | simd_match16(at, bytes[1]) | simd_match16(at, bytes[2]) |
                        simd_match16(at, bytes[3]);
        if (hits != 0)
            return at + __builtin_ctz(hits);
    }
    while (at < end && *at != bytes[0] && *at != bytes[1] && *at != bytes[2] && *at != bytes[3])
        at++;
    return at;
}

/* Writers of one value. */
void copy_text_escape(struct copy_writer *writer, const char *text, size_t len, struct strbuf *out);
void copy_csv_quote(struct copy_writer *writer, const char *text, size_t len, bool force, struct strbuf *out);

#endif
