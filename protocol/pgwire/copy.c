/* copy.c: what COPY's formats have in common: gathering bytes, storing fields, contexts, writing rows. */
#include "protocol/pgwire/copy.h"

#include "protocol/pgwire/copy_internal.h"
#include "storage/data/text_check.h"

static void reader_new_batch(struct copy_reader *reader)
{
    if (reader->batch_arena == &reader->own_arena)
        arena_reset(reader->batch_arena);
    struct sql_type *types = ARENA_ARRAY(reader->batch_arena, struct sql_type, reader->columns_count);
    for (uint32_t i = 0; i < reader->columns_count; i++)
        types[i] = reader->columns[i].type;
    reader->batch = batch_create(reader->batch_arena, types, reader->columns_count, BATCH_ROWS_MAX);
    reader->row = 0;
}

struct copy_reader *copy_reader_create(const struct copy_options *options, const char *relation,
                                       const struct copy_column *columns, uint32_t columns_count,
                                       const struct io_env *io, struct account *account,
                                       struct arena *rows_arena, copy_rows_fn rows, void *ctx)
{
    struct copy_reader *reader = mem_zalloc(sizeof(*reader));
    arena_init(&reader->arena, account);
    arena_init(&reader->own_arena, account);
    reader->batch_arena = rows_arena != NULL ? rows_arena : &reader->own_arena;
    reader->options = options;
    reader->relation = relation;
    reader->columns = columns;
    reader->columns_count = columns_count;
    reader->io = io;
    reader->zone_is_utc = text_zone_is_utc(io);
    reader->account = account;
    reader->rows = rows;
    reader->ctx = ctx;
    reader->null_len = strlen(options->null_text);
    reader->line = 1;
    reader->header_done = options->header == COPY_HEADER_NONE && options->format != COPY_BINARY;
    reader->kinds = ARENA_ARRAY(&reader->arena, enum text_kind, columns_count);
    for (uint32_t i = 0; i < columns_count; i++)
        reader->kinds[i] = text_kind_of(columns[i].type);
    reader_new_batch(reader);
    return reader;
}

void copy_reader_destroy(struct copy_reader *reader)
{
    if (reader == NULL)
        return;
    strbuf_release(&reader->pending);
    strbuf_release(&reader->field);
    arena_release(&reader->own_arena);
    arena_release(&reader->arena);
    mem_free(reader);
}

static bool reader_consume(struct copy_reader *reader, const uint8_t *bytes, size_t len, bool at_end,
                           size_t *used, struct error *err)
{
    switch (reader->options->format) {
    case COPY_CSV:
        return copy_csv_consume(reader, bytes, len, at_end, used, err);
    case COPY_BINARY:
        return copy_binary_consume(reader, bytes, len, at_end, used, err);
    default:
        return copy_text_consume(reader, bytes, len, at_end, used, err);
    }
}

bool copy_reader_feed(struct copy_reader *reader, const uint8_t *bytes, size_t len, struct error *err)
{
    if (reader->ended) {
        if (reader->options->format == COPY_BINARY && len > 0)
            return error_set(err, ERRCODE_BAD_COPY_FILE_FORMAT, "received copy data after EOF marker");
        return true;
    }
    size_t used = 0;
    if (reader->pending.len == 0) {
        if (!reader_consume(reader, bytes, len, false, &used, err))
            return false;
        if (!reader->ended)
            strbuf_add(&reader->pending, bytes + used, len - used);
    } else {
        strbuf_add(&reader->pending, bytes, len);
        if (!reader_consume(reader, (const uint8_t *)reader->pending.data, reader->pending.len, false, &used,
                            err))
            return false;
        size_t left = reader->ended ? 0 : reader->pending.len - used;
        memmove(reader->pending.data, reader->pending.data + used, left);
        reader->pending.len = left;
    }
    if (reader->pending.len > VALUE_BYTES_MAX)
        return error_set(err, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "COPY line is too long");
    return true;
}

static bool reader_give_batch(struct copy_reader *reader, struct error *err)
{
    reader->batch->rows = reader->row;
    return reader->row == 0 || reader->rows(reader->ctx, reader->batch, err);
}

bool copy_reader_end(struct copy_reader *reader, struct error *err)
{
    size_t used;
    if (!reader->ended && !reader_consume(reader, (const uint8_t *)strbuf_text(&reader->pending),
                                          reader->pending.len, true, &used, err))
        return false;
    reader->ended = true;
    return reader_give_batch(reader, err);
}

uint64_t copy_reader_rows(const struct copy_reader *reader)
{
    return reader->rows_count;
}

bool copy_finish_row(struct copy_reader *reader, struct error *err)
{
    reader->row++;
    reader->rows_count++;
    if (reader->row < BATCH_ROWS_MAX)
        return true;
    if (!reader_give_batch(reader, err))
        return false;
    reader_new_batch(reader);
    return account_check(reader->account, err);
}

/* ---- fields ---- */

bool copy_store_null(struct copy_reader *reader, uint32_t column)
{
    column_set_null(&reader->batch->columns[column], reader->row, reader->batch->capacity,
                    reader->batch_arena);
    return true;
}

void copy_store_datum(struct copy_reader *reader, uint32_t column, const struct datum *value)
{
    column_set(&reader->batch->columns[column], reader->row, value, reader->batch->capacity,
               reader->batch_arena);
}

bool copy_store_text(struct copy_reader *reader, uint32_t column, const char *text, size_t len,
                     struct error *err)
{
    return text_store(reader->batch, column, reader->row, reader->kinds[column], text, len, reader->io,
                      reader->zone_is_utc, err) ||
           copy_column_context(reader, column, text, len, err);
}

/* ---- contexts ---- */

#define CONTEXT_TEXT_MAX 100

static int context_len(const char *text, size_t len, const char **dots)
{
    *dots = len > CONTEXT_TEXT_MAX ? "..." : "";
    return (int)(len > CONTEXT_TEXT_MAX ? text_clip(text, len, CONTEXT_TEXT_MAX) : len);
}

bool copy_column_context(struct copy_reader *reader, uint32_t column, const char *text, size_t len,
                         struct error *err)
{
    unsigned long long line = reader->line;
    const char *name = reader->columns[column].name;
    const char *dots;
    if (text == NULL)
        return error_context(err, "COPY %s, line %llu, column %s: null input", reader->relation, line, name);
    int shown = context_len(text, len, &dots);
    return error_context(err, "COPY %s, line %llu, column %s: \"%.*s%s\"", reader->relation, line, name,
                         shown, text, dots);
}

bool copy_line_context(struct copy_reader *reader, const uint8_t *line, size_t len, struct error *err)
{
    if (line == NULL)
        return error_context(err, "COPY %s, line %llu", reader->relation, (unsigned long long)reader->line);
    const char *dots;
    int shown = context_len((const char *)line, len, &dots);
    return error_context(err, "COPY %s, line %llu: \"%.*s%s\"", reader->relation,
                         (unsigned long long)reader->line, shown, (const char *)line, dots);
}

bool copy_check_header(struct copy_reader *reader, uint32_t field, const char *name, size_t len,
                       struct error *err)
{
    if (field >= reader->columns_count)
        return true;
    const char *expected = reader->columns[field].name;
    if (strlen(expected) == len && memcmp(expected, name, len) == 0)
        return true;
    error_set(err, ERRCODE_BAD_COPY_FILE_FORMAT,
              "column name mismatch in header line field %u: got \"%.*s\", expected \"%s\"", field + 1,
              (int)(len > 63 ? 63 : len), name, expected);
    return copy_line_context(reader, NULL, 0, err);
}

bool copy_check_header_count(struct copy_reader *reader, uint32_t fields, struct error *err)
{
    if (fields == reader->columns_count)
        return true;
    error_set(err, ERRCODE_BAD_COPY_FILE_FORMAT, "wrong number of fields in header line: got %u, expected %u",
              fields, reader->columns_count);
    return copy_line_context(reader, NULL, 0, err);
}

/* ---- writing ---- */

bool copy_writer_init(struct copy_writer *writer, struct arena *arena, const struct copy_options *options,
                      const char *const *names, const struct sql_type *types, uint32_t columns_count,
                      struct error *err)
{
    *writer = (struct copy_writer){.options = options, .columns_count = columns_count};
    const char **copies = ARENA_ARRAY(arena, const char *, columns_count);
    writer->writers = ARENA_ARRAY(arena, value_write_fn, columns_count);
    writer->never_special = ARENA_ARRAY(arena, bool, columns_count);
    unsigned char delimiter = (unsigned char)options->delimiter;
    bool digits_are_plain = delimiter != '-' && options->quote != '-';
    for (uint32_t i = 0; i < columns_count; i++) {
        copies[i] = arena_strdup(arena, names[i] != NULL ? names[i] : "?column?");
        writer->writers[i] = value_writer(types[i].oid, options->format == COPY_BINARY);
        bool is_int = types[i].oid == OID_INT2 || types[i].oid == OID_INT4 || types[i].oid == OID_INT8;
        writer->never_special[i] = is_int && digits_are_plain && options->null_text[0] == '\\';
    }
    writer->names = copies;
    writer->special[delimiter] = true;
    if (options->format == COPY_CSV) {
        writer->special[(unsigned char)options->quote] = true;
        writer->special['\n'] = writer->special['\r'] = true;
    } else {
        for (const char *c = "\b\f\n\r\t\v\\"; *c != '\0'; c++)
            writer->special[(unsigned char)*c] = true;
    }
    return true;
}

void copy_writer_release(struct copy_writer *writer)
{
    strbuf_release(&writer->scratch);
}

void copy_writer_start(struct copy_writer *writer, struct strbuf *out)
{
    const struct copy_options *options = writer->options;
    if (options->format == COPY_BINARY) {
        strbuf_add(out, "PGCOPY\n\377\r\n\0", 11);
        strbuf_add_u32be(out, 0);
        strbuf_add_u32be(out, 0);
        return;
    }
    if (options->header == COPY_HEADER_NONE)
        return;
    for (uint32_t i = 0; i < writer->columns_count; i++) {
        if (i > 0)
            strbuf_addc(out, options->delimiter);
        if (options->format == COPY_CSV)
            copy_csv_quote(writer, writer->names[i], strlen(writer->names[i]), false, out);
        else
            copy_text_escape(writer, writer->names[i], strlen(writer->names[i]), out);
    }
    strbuf_addc(out, '\n');
}

static void write_binary_row(struct copy_writer *writer, const struct batch *rows, uint32_t row,
                             const struct io_env *io, struct strbuf *out)
{
    strbuf_add_u16be(out, (uint16_t)writer->columns_count);
    for (uint32_t i = 0; i < writer->columns_count; i++) {
        if (column_is_null(&rows->columns[i], row)) {
            strbuf_add_u32be(out, UINT32_MAX);
            continue;
        }
        strbuf_reset(&writer->scratch);
        writer->writers[i](&rows->columns[i], row, io, &writer->scratch);
        strbuf_add_u32be(out, (uint32_t)writer->scratch.len);
        strbuf_add(out, strbuf_text(&writer->scratch), writer->scratch.len);
    }
}

void copy_writer_row(struct copy_writer *writer, const struct batch *rows, uint32_t row,
                     const struct io_env *io, struct strbuf *out)
{
    const struct copy_options *options = writer->options;
    if (options->format == COPY_BINARY) {
        write_binary_row(writer, rows, row, io, out);
        return;
    }
    for (uint32_t i = 0; i < writer->columns_count; i++) {
        const struct column *column = &rows->columns[i];
        if (i > 0)
            strbuf_addc(out, options->delimiter);
        if (column_is_null(column, row)) {
            strbuf_adds(out, options->null_text);
            continue;
        }
        if (writer->never_special[i]) {
            writer->writers[i](column, row, io, out);
            continue;
        }
        strbuf_reset(&writer->scratch);
        writer->writers[i](column, row, io, &writer->scratch);
        const char *text = strbuf_text(&writer->scratch);
        if (options->format == COPY_CSV)
            copy_csv_quote(writer, text, writer->scratch.len,
                           options->force_quote != NULL && options->force_quote[i], out);
        else
            copy_text_escape(writer, text, writer->scratch.len, out);
    }
    strbuf_addc(out, '\n');
}

void copy_writer_end(struct copy_writer *writer, struct strbuf *out)
{
    if (writer->options->format == COPY_BINARY)
        strbuf_add_u16be(out, UINT16_MAX);
}
