/* json_writer.c: see json_writer.h. */
#include "protocol/format/json_writer.h"

#include "protocol/format/base64.h"
#include "storage/data/datetime_internal.h"
#include "storage/data/json.h"
#include "storage/data/json_encode.h"
#include "storage/data/type_text.h"

struct writer_column {
    uint32_t column;
    uint32_t oid;
    const char *start; /* ,"name": or {"name": */
    size_t start_len;
};

struct json_writer {
    struct arena arena;
    enum json_time times;
    bool bytes_base64;
    uint32_t count;
    struct writer_column *columns;
};

struct json_writer *json_writer_create(const struct format_column *columns, const uint32_t *which,
                                       uint32_t count, enum json_time times, bool bytes_base64)
{
    struct json_writer *writer = mem_zalloc(sizeof(*writer));
    struct strbuf start = STRBUF_INIT;
    arena_init(&writer->arena, NULL);
    writer->times = times;
    writer->bytes_base64 = bytes_base64;
    writer->count = count;
    writer->columns = ARENA_ARRAY(&writer->arena, struct writer_column, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t column = which != NULL ? which[i] : i;
        strbuf_reset(&start);
        strbuf_addc(&start, i == 0 ? '{' : ',');
        json_write_string(columns[column].name, strlen(columns[column].name), &start);
        strbuf_addc(&start, ':');
        writer->columns[i] =
            (struct writer_column){.column = column,
                                   .oid = columns[column].type.oid,
                                   .start = arena_strndup(&writer->arena, start.data, start.len),
                                   .start_len = start.len};
    }
    strbuf_release(&start);
    return writer;
}

void json_writer_destroy(struct json_writer *writer)
{
    if (writer == NULL)
        return;
    arena_release(&writer->arena);
    mem_free(writer);
}

/* Since 1970, cut to the unit towards the past. */
static void write_time(enum json_time unit, int64_t time, struct strbuf *out)
{
    __int128 us = (__int128)time - UNIX_EPOCH_US;
    int64_t divisor = unit == JSON_TIME_SECONDS ? US_PER_SECOND : unit == JSON_TIME_MILLIS ? 1000 : 1;
    __int128 count = us / divisor;
    count -= us % divisor < 0;
    if (unit == JSON_TIME_NANOS)
        count *= 1000;
    if (count >= INT64_MIN && count <= INT64_MAX) {
        integer_output((int64_t)count, out);
        return;
    }
    /* nanoseconds beyond 2262: three digits more than 64 bits hold */
    integer_output((int64_t)(count / 1000), out);
    strbuf_add(out, "000", 3);
}

void json_writer_value(const struct json_writer *writer, uint32_t i, const struct batch *rows, uint32_t row,
                       struct strbuf *out)
{
    const struct writer_column *column = &writer->columns[i];
    const struct column *values = &rows->columns[column->column];
    struct datum value = column_get(values, row);
    if (value.is_null) {
        strbuf_add(out, "null", 4);
        return;
    }
    switch (column->oid) {
    case OID_INT2:
        integer_output(value.i16, out);
        return;
    case OID_INT4:
        integer_output(value.i32, out);
        return;
    case OID_INT8:
        integer_output(value.i64, out);
        return;
    case OID_TEXT:
    case OID_VARCHAR:
        json_write_string((const char *)varlen_bytes(&value.var), value.var.len, out);
        return;
    case OID_TIMESTAMP:
    case OID_TIMESTAMPTZ:
        if (writer->times == JSON_TIME_TEXT || timestamp_infinite(value.i64))
            break;
        write_time(writer->times, value.i64, out);
        return;
    case OID_BYTEA:
        if (!writer->bytes_base64)
            break;
        strbuf_addc(out, '"');
        base64_encode(varlen_bytes(&value.var), value.var.len, out);
        strbuf_addc(out, '"');
        return;
    default:
        break;
    }
    json_encode(column->oid, &value, &io_env_default, false, out);
}

void json_writer_row(const struct json_writer *writer, const struct batch *rows, uint32_t row,
                     struct strbuf *out)
{
    if (writer->count == 0)
        strbuf_addc(out, '{');
    for (uint32_t i = 0; i < writer->count; i++) {
        strbuf_add(out, writer->columns[i].start, writer->columns[i].start_len);
        json_writer_value(writer, i, rows, row, out);
    }
    strbuf_addc(out, '}');
}
