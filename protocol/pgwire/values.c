/* values.c: values on the wire. Integers and text have their own writers; everything else goes through the
 * type's own text or binary form. */
#include "protocol/pgwire/values.h"

#include "storage/data/text_check.h"

/* ---- writers ---- */

#define AT(column, row) ((column)->is_constant ? 0 : (row))

static void write_int_text(int64_t value, struct strbuf *out)
{
    char digits[24];
    char *at = digits + sizeof(digits);
    uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do {
        *--at = (char)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude != 0);
    if (value < 0)
        *--at = '-';
    strbuf_add(out, at, (size_t)(digits + sizeof(digits) - at));
}

static void write_i16_text(const struct column *column, uint32_t row, const struct io_env *io,
                           struct strbuf *out)
{
    write_int_text(((const int16_t *)column->data)[AT(column, row)], out);
}

static void write_i32_text(const struct column *column, uint32_t row, const struct io_env *io,
                           struct strbuf *out)
{
    write_int_text(((const int32_t *)column->data)[AT(column, row)], out);
}

static void write_i64_text(const struct column *column, uint32_t row, const struct io_env *io,
                           struct strbuf *out)
{
    write_int_text(((const int64_t *)column->data)[AT(column, row)], out);
}

static void write_bool_text(const struct column *column, uint32_t row, const struct io_env *io,
                            struct strbuf *out)
{
    strbuf_addc(out, ((const uint8_t *)column->data)[AT(column, row)] ? 't' : 'f');
}

static void write_bytes(const struct column *column, uint32_t row, const struct io_env *io,
                        struct strbuf *out)
{
    const struct varlen *value = (const struct varlen *)column->data + AT(column, row);
    strbuf_add(out, varlen_bytes(value), value->len);
}

static void write_i16_binary(const struct column *column, uint32_t row, const struct io_env *io,
                             struct strbuf *out)
{
    strbuf_add_u16be(out, (uint16_t)((const int16_t *)column->data)[AT(column, row)]);
}

static void write_i32_binary(const struct column *column, uint32_t row, const struct io_env *io,
                             struct strbuf *out)
{
    strbuf_add_u32be(out, (uint32_t)((const int32_t *)column->data)[AT(column, row)]);
}

static void write_i64_binary(const struct column *column, uint32_t row, const struct io_env *io,
                             struct strbuf *out)
{
    strbuf_add_u64be(out, (uint64_t)((const int64_t *)column->data)[AT(column, row)]);
}

/* memory form and wire form of floats differ in byte order only */
static void write_f64_binary(const struct column *column, uint32_t row, const struct io_env *io,
                             struct strbuf *out)
{
    uint64_t bits;
    memcpy(&bits, (const double *)column->data + AT(column, row), sizeof(bits));
    strbuf_add_u64be(out, bits);
}

static void write_f32_binary(const struct column *column, uint32_t row, const struct io_env *io,
                             struct strbuf *out)
{
    uint32_t bits;
    memcpy(&bits, (const float *)column->data + AT(column, row), sizeof(bits));
    strbuf_add_u32be(out, bits);
}

static void write_bool_binary(const struct column *column, uint32_t row, const struct io_env *io,
                              struct strbuf *out)
{
    strbuf_addc(out, ((const uint8_t *)column->data)[AT(column, row)] ? '\1' : '\0');
}

static void write_any_text(const struct column *column, uint32_t row, const struct io_env *io,
                           struct strbuf *out)
{
    struct datum value = column_get(column, row);
    type_output(column->type.oid, &value, io, out);
}

static void write_any_binary(const struct column *column, uint32_t row, const struct io_env *io,
                             struct strbuf *out)
{
    struct datum value = column_get(column, row);
    type_send(column->type.oid, &value, out);
}

value_write_fn value_writer(uint32_t oid, int16_t format)
{
    bool binary = format == 1;
    switch (oid) {
    case OID_BOOL:
        return binary ? write_bool_binary : write_bool_text;
    case OID_INT2:
        return binary ? write_i16_binary : write_i16_text;
    case OID_INT4:
        return binary ? write_i32_binary : write_i32_text;
    case OID_INT8:
        return binary ? write_i64_binary : write_i64_text;
    case OID_OID:
        return binary ? write_any_binary : write_i64_text;
    case OID_TIMESTAMP:
    case OID_TIMESTAMPTZ:
    case OID_TIME:
        return binary ? write_i64_binary : write_any_text;
    case OID_DATE:
        return binary ? write_i32_binary : write_any_text;
    case OID_FLOAT8:
        return binary ? write_f64_binary : write_any_text;
    case OID_FLOAT4:
        return binary ? write_f32_binary : write_any_text;
    case OID_TEXT:
    case OID_VARCHAR:
    case OID_BPCHAR:
    case OID_NAME:
    case OID_UNKNOWN:
    case OID_JSON:
        return write_bytes;
    default:
        return binary ? write_any_binary : write_any_text;
    }
}

/* ---- rows ---- */

static int16_t format_of(const int16_t *formats, uint32_t formats_count, uint32_t column)
{
    return formats_count == 0 ? 0 : formats_count == 1 ? formats[0] : formats[column];
}

bool row_writer_init(struct row_writer *writer, struct arena *arena, const struct sql_type *types,
                     uint32_t columns_count, const int16_t *formats, uint32_t formats_count,
                     struct error *err)
{
    if (formats_count > 1 && formats_count != columns_count)
        return error_set(err, ERRCODE_PROTOCOL_VIOLATION,
                         "bind message has %u result formats but query has %u columns", formats_count,
                         columns_count);
    writer->columns_count = columns_count;
    writer->writers = ARENA_ARRAY(arena, value_write_fn, columns_count);
    for (uint32_t i = 0; i < columns_count; i++) {
        int16_t format = format_of(formats, formats_count, i);
        if (format != 0 && format != 1)
            return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "unsupported format code: %d", format);
        writer->writers[i] = value_writer(types[i].oid, format);
    }
    return true;
}

uint64_t row_writer_send(const struct row_writer *writer, struct wire *wire, const struct batch *rows,
                         uint32_t first, uint32_t count, const struct io_env *io)
{
    uint64_t sent = 0;
    struct strbuf *out = &wire->out;
    for (uint32_t row = first; row < first + count; row++) {
        int64_t copies = batch_weight(rows, row);
        size_t start = 0;
        for (int64_t copy = 0; copy < copies && !wire->broken; copy++) {
            if (copy > 0 && wire->out.len >= start && start != SIZE_MAX) {
                /* the message stands in the buffer already */
                size_t bytes = wire->out.len - start;
                strbuf_reserve(out, bytes);
                wire->message_at = out->len;
                strbuf_add(out, out->data + start, bytes);
                start = wire->message_at;
                uint64_t before = wire->bytes_sent;
                wire_end(wire);
                if (wire->bytes_sent != before)
                    start = SIZE_MAX;
                sent++;
                continue;
            }
            start = out->len;
            wire_begin(wire, 'D');
            strbuf_add_u16be(out, (uint16_t)writer->columns_count);
            for (uint32_t c = 0; c < writer->columns_count; c++) {
                const struct column *column = &rows->columns[c];
                if (column_is_null(column, row)) {
                    strbuf_add_u32be(out, UINT32_MAX);
                    continue;
                }
                strbuf_add_u32be(out, 0);
                size_t at = out->len;
                writer->writers[c](column, row, io, out);
                uint32_t len = (uint32_t)(out->len - at);
                uint8_t *length = (uint8_t *)out->data + at - 4;
                length[0] = (uint8_t)(len >> 24);
                length[1] = (uint8_t)(len >> 16);
                length[2] = (uint8_t)(len >> 8);
                length[3] = (uint8_t)len;
            }
            uint64_t before = wire->bytes_sent;
            wire_end(wire);
            if (wire->bytes_sent != before)
                start = SIZE_MAX;
            sent++;
        }
        if (wire->broken)
            break;
    }
    return sent;
}

void row_description_send(struct wire *wire, uint32_t columns_count, const char *const *names,
                          const struct sql_type *types, const uint32_t *table_oids, const int16_t *attnums,
                          const int16_t *formats, uint32_t formats_count)
{
    wire_begin(wire, 'T');
    wire_put_u16(wire, (uint16_t)columns_count);
    for (uint32_t i = 0; i < columns_count; i++) {
        const struct type_row *type = type_find(types[i].oid);
        wire_put_text(wire, names[i] != NULL ? names[i] : "?column?");
        wire_put_u32(wire, table_oids != NULL ? table_oids[i] : 0);
        wire_put_u16(wire, attnums != NULL ? (uint16_t)attnums[i] : 0);
        wire_put_u32(wire, types[i].oid);
        wire_put_u16(wire, type != NULL ? (uint16_t)type->typlen : (uint16_t)-1);
        wire_put_u32(wire, (uint32_t)types[i].typmod);
        wire_put_u16(wire, (uint16_t)format_of(formats, formats_count, i));
    }
    wire_end(wire);
}

/* ---- parameters ---- */

bool value_read(struct sql_type type, int16_t format, const uint8_t *bytes, size_t len,
                const struct io_env *io, struct arena *arena, struct datum *out, struct error *err)
{
    if (bytes == NULL) {
        *out = datum_null();
        return true;
    }
    *out = (struct datum){.is_null = false};
    if (format == 1)
        return type_recv(type.oid, type.typmod, bytes, len, arena, out, err);
    if (format != 0)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "unsupported format code: %d", format);
    if (!text_check_utf8((const char *)bytes, len, err))
        return false;
    return type_input(type.oid, type.typmod, (const char *)bytes, len, io, arena, out, err);
}
