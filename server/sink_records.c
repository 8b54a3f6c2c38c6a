/* sink_records.c: see sink_records.h. */
#include "server/sink_records.h"

#include "storage/data/type.h"

#include <cjson/cJSON.h>
#include <string.h>

#define UNIX_TO_2000_US INT64_C(946684800000000)

struct sink_records {
    char *sink_name, *record_name;
    const struct format_class *format;
    struct encoder *encoder;
    uint32_t columns_count; /* of the value */
    uint32_t *numbers;      /* in the outbox */
    struct column *columns; /* room */
    uint32_t key_count;
    int32_t headers_column;
    bool is_debezium;
    bool has_before;
    struct strbuf key, value, before, envelope;
    struct record_header *headers;
    uint32_t headers_cap;
    struct strbuf header_text;
};

static bool open_encoder(const struct sink_records_spec *spec, struct arena *arena, struct encoder **out,
                         struct error *err)
{
    if (spec->is_debezium && strcmp(spec->format->name, "json") != 0)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "envelope = 'debezium' is not supported with format \"%s\"", spec->format->name);
    struct format_column *columns = ARENA_ARRAY(arena, struct format_column, spec->columns_count);
    struct format_spec format = {.relation_name = spec->record_name,
                                 .topic = spec->topic,
                                 .columns = columns,
                                 .options = spec->options,
                                 .options_count = spec->options_count,
                                 .is_table = true};
    for (uint32_t i = 0; i < spec->columns_count; i++) {
        if ((int32_t)i == spec->headers_column)
            continue;
        struct format_column *column = &columns[format.columns_count++];
        *column = spec->columns[i];
        for (uint32_t k = 0; k < spec->key_count; k++)
            column->is_key |= spec->key[k] == i;
    }
    return spec->format->open_encoder(&format, out, err);
}

bool sink_records_open(const struct sink_records_spec *spec, struct sink_records **out, struct error *err)
{
    struct arena arena;
    struct encoder *encoder = NULL;
    arena_init(&arena, NULL);
    bool ok = open_encoder(spec, &arena, out != NULL ? &encoder : NULL, err);
    arena_release(&arena);
    if (!ok || out == NULL)
        return ok;
    struct sink_records *records = mem_zalloc(sizeof(*records));
    records->sink_name = mem_strdup(spec->sink_name);
    records->record_name = mem_strdup(spec->record_name);
    records->format = spec->format;
    records->encoder = encoder;
    records->numbers = mem_alloc(sizeof(uint32_t) * (spec->columns_count + 1));
    records->columns = mem_alloc(sizeof(struct column) * (spec->columns_count + 1));
    for (uint32_t i = 0; i < spec->columns_count; i++) {
        if ((int32_t)i != spec->headers_column)
            records->numbers[records->columns_count++] = i;
    }
    records->key_count = spec->key_count;
    records->headers_column = spec->headers_column;
    records->is_debezium = spec->is_debezium;
    *out = records;
    return true;
}

void sink_records_close(struct sink_records *records)
{
    if (records == NULL)
        return;
    records->format->close_encoder(records->encoder);
    strbuf_release(&records->key);
    strbuf_release(&records->value);
    strbuf_release(&records->before);
    strbuf_release(&records->envelope);
    strbuf_release(&records->header_text);
    mem_free(records->headers);
    mem_free(records->numbers);
    mem_free(records->columns);
    mem_free(records->sink_name);
    mem_free(records->record_name);
    mem_free(records);
}

void sink_records_reset(struct sink_records *records)
{
    records->has_before = false;
}

/* ---- headers ---- */

static void add_header(struct sink_records *records, uint32_t *count, const cJSON *member)
{
    if (*count == records->headers_cap) {
        records->headers_cap = records->headers_cap > 0 ? records->headers_cap * 2 : 8;
        records->headers = mem_realloc(records->headers, sizeof(*records->headers) * records->headers_cap);
    }
    struct record_header *header = &records->headers[(*count)++];
    *header = (struct record_header){.name = member->string};
    if (cJSON_IsString(member)) {
        header->value = (const uint8_t *)member->valuestring;
        header->value_len = strlen(member->valuestring);
    }
}

static bool header_error(const struct sink_records *records, struct sink *sink, struct error *err)
{
    sink->remedy = SINK_STOP;
    error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "headers of sink \"%s\" must be a JSON object of texts",
              records->sink_name);
    return error_detail(err, "It is %s.", strbuf_text(&records->header_text));
}

/* Writes the record with the headers that the row has. */
static bool write_record(struct sink_records *records, struct sink *sink, const struct outbox_rows *rows,
                         uint32_t row, const struct strbuf *value, int64_t *bytes, struct error *err)
{
    struct record record = {.timestamp_us = rows->clocks[row],
                            .key =
                                records->key_count > 0 ? (const uint8_t *)strbuf_text(&records->key) : NULL,
                            .key_len = records->key_count > 0 ? records->key.len : 0,
                            .value = value != NULL ? (const uint8_t *)strbuf_text(value) : NULL,
                            .value_len = value != NULL ? value->len : 0};
    *bytes += (int64_t)(record.key_len + record.value_len);
    if (records->headers_column < 0 || column_is_null(&rows->batch.columns[records->headers_column], row))
        return sink->class->write(sink, &record, err);
    struct datum datum = column_get(&rows->batch.columns[records->headers_column], row);
    strbuf_reset(&records->header_text);
    type_output(OID_JSONB, &datum, &io_env_default, &records->header_text);
    cJSON *root = cJSON_ParseWithLength(strbuf_text(&records->header_text), records->header_text.len);
    bool ok = cJSON_IsObject(root);
    for (const cJSON *member = ok ? root->child : NULL; ok && member != NULL; member = member->next) {
        ok = cJSON_IsNull(member) || cJSON_IsString(member);
        if (ok)
            add_header(records, &record.headers_count, member);
    }
    record.headers = records->headers;
    ok = ok ? sink->class->write(sink, &record, err) : header_error(records, sink, err);
    cJSON_Delete(root);
    return ok;
}

/* ---- envelopes ---- */

static bool encode(struct sink_records *records, struct sink *sink, const struct outbox_rows *rows,
                   uint32_t row, bool is_deletion, struct strbuf *value, struct error *err)
{
    struct batch picked = {
        .rows = rows->batch.rows, .columns_count = records->columns_count, .columns = records->columns};
    for (uint32_t c = 0; c < records->columns_count; c++)
        records->columns[c] = rows->batch.columns[records->numbers[c]];
    strbuf_reset(&records->key);
    strbuf_reset(value);
    if (records->format->encode(records->encoder, &picked, row, is_deletion, &records->key, value, err))
        return true;
    sink->remedy = SINK_STOP;
    return false;
}

static void add_name(struct strbuf *out, const char *name)
{
    strbuf_addc(out, '"');
    for (; *name != '\0'; name++) {
        if (*name == '"' || *name == '\\')
            strbuf_addc(out, '\\');
        if ((unsigned char)*name < 0x20)
            strbuf_addf(out, "\\u%04x", (unsigned)*name);
        else
            strbuf_addc(out, *name);
    }
    strbuf_addc(out, '"');
}

static bool write_change(struct sink_records *records, struct sink *sink, const struct outbox_rows *rows,
                         uint32_t row, const struct strbuf *before, const struct strbuf *after, char op,
                         int64_t *bytes, struct error *err)
{
    struct strbuf *out = &records->envelope;
    strbuf_reset(out);
    strbuf_adds(out, "{\"before\":");
    strbuf_add(out, before != NULL ? before->data : "null", before != NULL ? before->len : 4);
    strbuf_adds(out, ",\"after\":");
    strbuf_add(out, after != NULL ? after->data : "null", after != NULL ? after->len : 4);
    long long ms = (long long)((rows->clocks[row] + UNIX_TO_2000_US) / 1000);
    strbuf_adds(out, ",\"source\":{\"connector\":\"millrace\",\"name\":");
    add_name(out, records->record_name);
    strbuf_addf(out, ",\"epoch\":%lld,\"ts_ms\":%lld,\"snapshot\":\"%s\"},\"op\":\"%c\",\"ts_ms\":%lld}",
                (long long)rows->epochs[row], ms, op == 'r' ? "true" : "false", op, ms);
    return write_record(records, sink, rows, row, out, bytes, err);
}

bool sink_records_write(struct sink_records *records, struct sink *sink, const struct outbox_rows *rows,
                        uint32_t row, bool is_snapshot, int64_t *bytes, struct error *err)
{
    enum outbox_op op = (enum outbox_op)rows->ops[row];
    struct strbuf *value = op == OUTBOX_BEFORE ? &records->before : &records->value;
    if (!encode(records, sink, rows, row, op == OUTBOX_DELETE && !records->is_debezium, value, err))
        return false;
    if (op == OUTBOX_BEFORE) {
        records->has_before = true;
        return true;
    }
    if (!records->is_debezium) /* a deletion without a value is a tombstone */
        return write_record(records, sink, rows, row, op == OUTBOX_DELETE && value->len == 0 ? NULL : value,
                            bytes, err);
    if (op == OUTBOX_DELETE) /* and for who compacts the topic, that there is nothing left of the key */
        return write_change(records, sink, rows, row, value, NULL, 'd', bytes, err) &&
               (records->key_count == 0 || write_record(records, sink, rows, row, NULL, bytes, err));
    if (op == OUTBOX_INSERT)
        return write_change(records, sink, rows, row, NULL, value, is_snapshot ? 'r' : 'c', bytes, err);
    CHECK(records->has_before);
    records->has_before = false;
    return write_change(records, sink, rows, row, &records->before, value, 'u', bytes, err);
}
