/* copy.h: COPY's three formats (PostgreSQL manual, COPY: File Formats), both directions.
 *
 * The reader takes bytes as they come, cut anywhere, and decodes them straight into the columns of a batch;
 * full batches go to a callback. The writer appends one row at a time. */
#ifndef MILLRACE_PGWIRE_COPY_H
#define MILLRACE_PGWIRE_COPY_H

#include "protocol/pgwire/values.h"
#include "storage/data/batch.h"

enum copy_format { COPY_TEXT, COPY_CSV, COPY_BINARY };
enum copy_header { COPY_HEADER_NONE, COPY_HEADER_LINE, COPY_HEADER_MATCH };

struct copy_options {
    enum copy_format format;
    enum copy_header header;
    char delimiter, quote, escape;
    const char *null_text;
    /* one per column, or NULL */
    const bool *force_quote, *force_not_null, *force_null;
};

struct copy_column {
    const char *name;
    struct sql_type type;
};

/* Gets a full batch, and the last one; the rows are its to read until it returns. */
typedef bool (*copy_rows_fn)(void *ctx, const struct batch *rows, struct error *err);

struct copy_reader;

/* What is passed in is borrowed while the reader lives. relation: for error contexts. rows_arena: where all batches
 * are made, and stay; NULL: each lives for its call of `rows` only. */
struct copy_reader *copy_reader_create(const struct copy_options *options, const char *relation,
                                       const struct copy_column *columns, uint32_t columns_count,
                                       const struct io_env *io, struct account *account,
                                       struct arena *rows_arena, copy_rows_fn rows, void *ctx);
void copy_reader_destroy(struct copy_reader *reader);
/* 22P04, 22P02, 22021 and others with context 'COPY t, line 3, column a: "x"'. */
MUST_CHECK
bool copy_reader_feed(struct copy_reader *reader, const uint8_t *bytes, size_t len, struct error *err);
/* The data have ended: the last line, the last batch. */
MUST_CHECK
bool copy_reader_end(struct copy_reader *reader, struct error *err);
uint64_t copy_reader_rows(const struct copy_reader *reader);

struct copy_writer {
    const struct copy_options *options;
    uint32_t columns_count;
    const char *const *names;
    value_write_fn *writers;
    bool *never_special; /* its text needs no escapes or quotes */
    bool special[256];   /* bytes that do */
    struct strbuf scratch;
};

/* Lists in the arena. 0A000 for what has no binary form. */
MUST_CHECK
bool copy_writer_init(struct copy_writer *writer, struct arena *arena, const struct copy_options *options,
                      const char *const *names, const struct sql_type *types, uint32_t columns_count,
                      struct error *err);
void copy_writer_release(struct copy_writer *writer);
/* What stands before the rows and behind them; maybe nothing. */
void copy_writer_start(struct copy_writer *writer, struct strbuf *out);
void copy_writer_row(struct copy_writer *writer, const struct batch *rows, uint32_t row,
                     const struct io_env *io, struct strbuf *out);
void copy_writer_end(struct copy_writer *writer, struct strbuf *out);

#endif
