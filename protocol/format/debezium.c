/* debezium.c: format debezium: changes of another database's rows, as its JSON converter writes them.
 *
 * A value is an envelope {"before", "after", "op", ...}, alone or as "payload" beside its "schema". Columns are members of "after"; those
 * whose path begins with "$" are members of the envelope ("$.source.lsn"). The schema says how times, decimals and bytes are written; it is
 * the same in nearly every record, so the bytes before a payload are compared with those of the record before and only looked at
 * when they differ. Without a schema the column's type decides.
 *
 * op c, r, u: the row of "after". d: deletes the key that "before" has, or else the record's key. A record without a value follows a deletion, so
 * that compaction forgets the key; as compaction may have removed the deletion itself, it deletes as well. m: nothing. t: refused. */
#include "protocol/format/json_options.h"
#include "protocol/format/json_scan.h"
#include "protocol/format/json_writer.h"
#include "protocol/format/key.h"

static const struct connector_option_row options[] = {
    OPTION_CASE_SENSITIVE,
    {"timestamp_format", "adaptive",
     "what numbers in columns of times mean when a record has no schema: adaptive (milliseconds up to three "
     "digits of seconds, else microseconds), "
     "millis, micros or nanos. Sinks write text (adaptive), or these numbers"},
    {"decimal_format", "base64",
     "what strings in numeric columns are when a record has no schema: base64, or text"},
    OPTION_KEY_FORMAT("json"),
    OPTION_KEY_COLUMNS,
    OPTION_KEY_STYLE,
    {NULL}};

static const char *const time_words[] = {"adaptive", "millis", "micros", "nanos", NULL};

struct debezium_column {
    uint32_t column;
    const char *member; /* of "after"; NULL: deeper, or of the envelope */
};

struct debezium_decoder {
    struct decoder base;
    struct arena arena;
    struct json_text text;
    struct key_reader *key;
    struct json_reader *after;      /* row columns */
    struct json_reader *before;     /* the key's columns */
    struct json_reader *envelope;   /* columns with a path from "$"; NULL: there are none */
    uint32_t all_count;             /* columns of the spec, */
    bool *is_key;                   /* and which are the key's */
    struct json_encoding *defaults; /* by column of the spec: without a schema */
    struct json_encoding *current;
    uint32_t after_count, before_count;
    struct debezium_column *after_columns, *before_columns;
    struct strbuf prefix; /* the last record's bytes before its payload; empty: there was none */
    bool has_schema;      /* current is of a schema */
};

static void close_decoder(struct decoder *base)
{
    struct debezium_decoder *decoder = (struct debezium_decoder *)base;
    json_reader_destroy(decoder->after);
    json_reader_destroy(decoder->before);
    json_reader_destroy(decoder->envelope);
    key_reader_destroy(decoder->key);
    json_text_release(&decoder->text);
    strbuf_release(&decoder->prefix);
    arena_release(&decoder->arena);
    mem_free(decoder);
}

/* ---- encodings ---- */

static struct json_encoding default_encoding(struct sql_type type, uint32_t time_word, bool decimals_are_text)
{
    static const enum json_time times[] = {JSON_TIME_MICROS, JSON_TIME_MILLIS, JSON_TIME_MICROS,
                                           JSON_TIME_NANOS};
    struct json_encoding encoding = {.time = times[time_word],
                                     .bytes_base64 = true,
                                     .decimal_base64 = !decimals_are_text,
                                     .decimal_scale = -1,
                                     .nested_text = true,
                                     .refuse_unchanged = true};
    bool is_moment = type.oid == OID_TIMESTAMP || type.oid == OID_TIMESTAMPTZ || type.oid == OID_TIME;
    if (type.oid == OID_DATE)
        encoding.time = JSON_TIME_DAYS;
    else if (time_word == 0 && is_moment && type.typmod >= 0 && type.typmod <= 3)
        encoding.time = JSON_TIME_MILLIS;
    else if (type.oid == OID_INTERVAL)
        encoding.time = JSON_TIME_MICROS;
    return encoding;
}

static const struct json_value *member(const struct json_value *object, const char *name, enum json_kind kind)
{
    for (uint32_t i = 0; object != NULL && object->kind == JSON_OBJECT && i < object->count; i++) {
        const struct varlen *key = &object->keys[i];
        if (key->len == strlen(name) && memcmp(varlen_bytes(key), name, key->len) == 0 &&
            object->items[i]->kind == kind)
            return object->items[i];
    }
    return NULL;
}

static bool text_is(const struct json_value *value, const char *text)
{
    return value != NULL && value->text.len == strlen(text) &&
           memcmp(varlen_bytes(&value->text), text, value->text.len) == 0;
}

/* The field of that name in a schema of a struct. */
static const struct json_value *field_of(const struct json_value *schema, const char *name)
{
    const struct json_value *fields = member(schema, "fields", JSON_ARRAY);
    for (uint32_t i = 0; fields != NULL && i < fields->count; i++) {
        if (text_is(member(fields->items[i], "field", JSON_STRING), name))
            return fields->items[i];
    }
    return NULL;
}

/* What a field's schema says, where it says something. */
static void encoding_of(const struct json_value *field, struct json_encoding *encoding)
{
    static const struct {
        const char *name;
        enum json_time time;
    } times[] = {
        {"io.debezium.time.Date", JSON_TIME_DAYS},
        {"org.apache.kafka.connect.data.Date", JSON_TIME_DAYS},
        {"io.debezium.time.Time", JSON_TIME_MILLIS},
        {"io.debezium.time.Timestamp", JSON_TIME_MILLIS},
        {"org.apache.kafka.connect.data.Time", JSON_TIME_MILLIS},
        {"org.apache.kafka.connect.data.Timestamp", JSON_TIME_MILLIS},
        {"io.debezium.time.MicroTime", JSON_TIME_MICROS},
        {"io.debezium.time.MicroTimestamp", JSON_TIME_MICROS},
        {"io.debezium.time.MicroDuration", JSON_TIME_MICROS},
        {"io.debezium.time.NanoTime", JSON_TIME_NANOS},
        {"io.debezium.time.NanoTimestamp", JSON_TIME_NANOS},
        {"io.debezium.time.NanoDuration", JSON_TIME_NANOS},
    };
    if (text_is(member(field, "type", JSON_STRING), "array"))
        field = member(field, "items", JSON_OBJECT);
    if (field == NULL)
        return;
    const struct json_value *type = member(field, "type", JSON_STRING);
    const struct json_value *name = member(field, "name", JSON_STRING);
    for (size_t i = 0; i < ARRAY_COUNT(times); i++) {
        if (text_is(name, times[i].name))
            encoding->time = times[i].time;
    }
    encoding->decimal_base64 = !text_is(type, "string");
    if (text_is(name, "org.apache.kafka.connect.data.Decimal")) {
        const struct json_value *scale =
            member(member(field, "parameters", JSON_OBJECT), "scale", JSON_STRING);
        int64_t digits;
        if (scale != NULL &&
            text_fast_int((const char *)varlen_bytes(&scale->text), scale->text.len, &digits) &&
            digits >= -16383 && digits <= 16383)
            encoding->decimal_scale = (int32_t)digits;
    }
}

static void set_encodings(struct debezium_decoder *decoder, const struct json_value *schema)
{
    const struct json_value *row = field_of(schema, "after");
    if (row == NULL)
        row = field_of(schema, "before");
    memcpy(decoder->current, decoder->defaults, sizeof(*decoder->current) * decoder->all_count);
    for (uint32_t i = 0; i < decoder->after_count; i++) {
        const struct debezium_column *column = &decoder->after_columns[i];
        const struct json_value *field = column->member != NULL ? field_of(row, column->member) : NULL;
        if (field != NULL)
            encoding_of(field, &decoder->current[column->column]);
        json_reader_set_encoding(decoder->after, i, decoder->current[column->column]);
    }
    for (uint32_t i = 0; i < decoder->before_count; i++) {
        const struct debezium_column *column = &decoder->before_columns[i];
        const struct json_value *field = column->member != NULL ? field_of(row, column->member) : NULL;
        if (field != NULL) /* the after reader has no keys that are read from the record's key */
            encoding_of(field, &decoder->current[column->column]);
        json_reader_set_encoding(decoder->before, i, decoder->current[column->column]);
    }
    key_reader_set_encodings(decoder->key, decoder->current);
    decoder->has_schema = schema != NULL;
}

/* ---- reading ---- */

/* Columns of one of the readers: those with a path from "$" or the others, only keys, not the record's keys. */
struct choice {
    bool from_envelope, keys_only, without_keys;
};

static bool make_reader(struct debezium_decoder *decoder, const struct format_spec *spec,
                        struct choice choice, struct json_reader **out, struct debezium_column **columns_out,
                        uint32_t *count, struct error *err)
{
    bool sensitive;
    if (!format_option_bool(&format_debezium, spec, "case_sensitive", &sensitive, err))
        return false;
    struct arena *arena = &decoder->arena;
    struct json_column_spec *columns = ARENA_ARRAY(arena, struct json_column_spec, spec->columns_count);
    struct debezium_column *places = ARENA_ARRAY(arena, struct debezium_column, spec->columns_count);
    struct json_reader_spec json = {.columns = columns, .fold_case = !sensitive};
    for (uint32_t i = 0; i < spec->columns_count; i++) {
        const struct format_column *column = &spec->columns[i];
        bool from_envelope = column->path != NULL && column->path[0] == '$';
        if (from_envelope != choice.from_envelope || (choice.keys_only && !column->is_key) ||
            (choice.without_keys && column->is_key))
            continue;
        const char *name = column->path != NULL ? column->path : column->name;
        bool is_plain = column->path == NULL || strcspn(name, ".[\"") == strlen(name);
        places[json.columns_count] =
            (struct debezium_column){.column = i, .member = is_plain ? arena_strdup(arena, name) : NULL};
        columns[json.columns_count++] =
            (struct json_column_spec){.name = column->name,
                                      .path = column->path,
                                      .type = column->type,
                                      .column = i,
                                      .not_null = column->not_null || column->is_key,
                                      .encoding = decoder->defaults[i]};
        if (from_envelope)
            columns[json.columns_count - 1].encoding.time = JSON_TIME_MILLIS; /* "ts_ms" */
    }
    *columns_out = places;
    *count = json.columns_count;
    return (choice.from_envelope && json.columns_count == 0) || json_reader_create(&json, out, err);
}

static bool has_key(const struct format_spec *spec)
{
    for (uint32_t i = 0; i < spec->columns_count; i++) {
        if (spec->columns[i].is_key)
            return true;
    }
    return false;
}

static bool make_readers(struct debezium_decoder *decoder, const struct format_spec *spec, struct error *err)
{
    uint32_t count;
    struct debezium_column *columns;
    struct choice keys = {.keys_only = true}, envelope = {.from_envelope = true}, row = {0};
    if (!key_reader_create(&format_debezium, spec, decoder->defaults, true, &decoder->key, err))
        return false;
    row.without_keys = key_reader_has_columns(decoder->key);
    envelope.without_keys = row.without_keys;
    return make_reader(decoder, spec, row, &decoder->after, &decoder->after_columns, &decoder->after_count,
                       err) &&
           make_reader(decoder, spec, keys, &decoder->before, &decoder->before_columns,
                       &decoder->before_count, err) &&
           make_reader(decoder, spec, envelope, &decoder->envelope, &columns, &count, err);
}

static bool open_decoder(const struct format_spec *spec, struct decoder **out, struct error *err)
{
    static const char *const decimals[] = {"base64", "text", NULL};
    uint32_t times, decimal;
    if (!format_check_options(&format_debezium, spec, err) ||
        !format_option_word(&format_debezium, spec, "timestamp_format", time_words, &times, err) ||
        !format_option_word(&format_debezium, spec, "decimal_format", decimals, &decimal, err))
        return false;
    if (!spec->is_table || !has_key(spec))
        return error_set(
            err, ERRCODE_INVALID_TABLE_DEFINITION,
            "format debezium needs a table with a primary key: its records replace and delete rows");
    for (uint32_t i = 0; i < spec->columns_count; i++) {
        const struct format_column *column = &spec->columns[i];
        if (column->is_key && column->path != NULL && column->path[0] == '$')
            return error_set(
                err, ERRCODE_INVALID_PARAMETER_VALUE,
                "column \"%s\" of the primary key must be a member of the row, not of the envelope",
                column->name);
    }
    struct debezium_decoder *decoder = mem_zalloc(sizeof(*decoder));
    arena_init(&decoder->arena, NULL);
    decoder->base.class = &format_debezium;
    decoder->all_count = spec->columns_count;
    decoder->is_key = ARENA_ARRAY(&decoder->arena, bool, spec->columns_count);
    decoder->defaults = ARENA_ARRAY(&decoder->arena, struct json_encoding, spec->columns_count);
    decoder->current = ARENA_ARRAY(&decoder->arena, struct json_encoding, spec->columns_count);
    for (uint32_t i = 0; i < spec->columns_count; i++) {
        decoder->is_key[i] = spec->columns[i].is_key;
        decoder->defaults[i] = default_encoding(spec->columns[i].type, times, decimal == 1);
    }
    bool ok = make_readers(decoder, spec, err);
    if (ok && out != NULL)
        *out = &decoder->base;
    else
        close_decoder(&decoder->base);
    return ok;
}

static bool not_an_envelope(const char *what, struct error *why)
{
    return error_set(why, ERRCODE_BAD_COPY_FILE_FORMAT, "the record is no Debezium envelope: %s", what);
}

/* Finds the envelope in the text, which is checked; a null instead of an envelope is found as well. */
static bool find_payload(struct debezium_decoder *decoder, const uint8_t **payload, struct error *why)
{
    static const char *const names[] = {"schema", "payload"};
    const struct json_text *text = &decoder->text;
    const uint8_t *members[2], *start = json_skip_space(text->bytes);
    const struct strbuf *prefix = &decoder->prefix;
    if (prefix->len > 0 && text->len > prefix->len && memcmp(text->bytes, prefix->data, prefix->len) == 0) {
        *payload = text->bytes + prefix->len;
        const uint8_t *behind = json_skip_value(*payload, NULL);
        if (behind != NULL && *(behind = json_skip_space(behind)) == '}' &&
            json_skip_space(behind + 1) == text->bytes + text->len)
            return true;
    }
    strbuf_reset(&decoder->prefix);
    if (*start != '{' && json_skip_value(start, NULL) != NULL)
        return not_an_envelope("it is not an object", why);
    const uint8_t *end = json_find_members(start, names, 2, members);
    if (end == NULL || (end = json_skip_space(end)) != text->bytes + text->len)
        return json_syntax_error(text->bytes, text->len, end != NULL ? end : start, why);
    *payload = members[1] != NULL ? members[1] : start;
    struct json_value *schema = NULL;
    struct arena arena;
    arena_init(&arena, NULL);
    bool ok = true;
    if (members[1] != NULL && members[0] != NULL && *members[0] == '{') {
        const uint8_t *schema_end = json_skip_value(members[0], NULL);
        ok = json_parse(&arena, (const char *)members[0], (size_t)(schema_end - members[0]), &schema, why);
    }
    if (ok && (schema != NULL || decoder->has_schema))
        set_encodings(decoder, schema);
    if (ok && schema != NULL && members[0] < members[1])
        strbuf_add(&decoder->prefix, text->bytes, (size_t)(members[1] - text->bytes));
    arena_release(&arena);
    return ok;
}

static bool read_row(struct debezium_decoder *decoder, const struct record *record, const uint8_t *payload,
                     const uint8_t *after, struct batch *out, struct error *why)
{
    const uint8_t *end;
    if (after == NULL || *after != '{')
        return not_an_envelope("member \"after\" is not an object", why);
    batch_reserve(out, 1);
    bool ok = json_reader_read(decoder->after, &decoder->text, after, &end, out, why) &&
              (decoder->envelope == NULL ||
               json_reader_read(decoder->envelope, &decoder->text, payload, &end, out, why)) &&
              (!key_reader_has_columns(decoder->key) || key_reader_read(decoder->key, record, out, why));
    return format_row_finish(out, ok, 1);
}

static bool read_deletion(struct debezium_decoder *decoder, const struct record *record,
                          const uint8_t *before, struct batch *out, struct error *why)
{
    if (key_reader_has_columns(decoder->key) || before == NULL || *before != '{')
        return key_reader_delete(decoder->key, record, out, why);
    const uint8_t *end;
    batch_reserve(out, 1);
    bool ok = json_reader_read(decoder->before, &decoder->text, before, &end, out, why);
    for (uint32_t i = 0; i < decoder->all_count && ok; i++) {
        if (!decoder->is_key[i])
            column_set_null(&out->columns[i], out->rows, out->capacity, out->arena);
    }
    return format_row_finish(out, ok, -1);
}

static bool decode(struct decoder *base, const struct record *record, struct batch *out, struct error *why)
{
    static const char *const names[] = {"op", "before", "after"};
    struct debezium_decoder *decoder = (struct debezium_decoder *)base;
    const uint8_t *payload = NULL, *members[3];
    if (record->value == NULL)
        return record->key == NULL || key_reader_delete(decoder->key, record, out, why);
    if (!json_text_load(&decoder->text, record->value, record->value_len, why) ||
        !find_payload(decoder, &payload, why))
        return false;
    if (*payload == 'n') /* a null beside a schema: no value either */
        return record->key == NULL || key_reader_delete(decoder->key, record, out, why);
    if (json_find_members(payload, names, 3, members) == NULL)
        return not_an_envelope("its payload is not an object", why);
    const uint8_t *op = members[0];
    if (op == NULL || op[0] != '"' || op[1] == '\0' || op[2] != '"')
        return not_an_envelope("it has no member \"op\" of one letter", why);
    switch (op[1]) {
    case 'c':
    case 'r':
    case 'u':
        return read_row(decoder, record, payload, members[2], out, why);
    case 'd':
        return read_deletion(decoder, record, members[1], out, why);
    case 'm':
        return true;
    case 't':
        return error_set(why, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "the source table was truncated, which cannot be followed: delete its rows here");
    default:
        return not_an_envelope("its \"op\" is none of c, r, u, d, t, m", why);
    }
}

/* ---- writing ---- */

struct debezium_encoder {
    struct encoder base;
    struct json_writer *row;
    struct key_writer *key;
};

static void close_encoder(struct encoder *base)
{
    struct debezium_encoder *encoder = (struct debezium_encoder *)base;
    json_writer_destroy(encoder->row);
    key_writer_destroy(encoder->key);
    mem_free(encoder);
}

static bool open_encoder(const struct format_spec *spec, struct encoder **out, struct error *err)
{
    static const enum json_time times[] = {JSON_TIME_TEXT, JSON_TIME_MILLIS, JSON_TIME_MICROS,
                                           JSON_TIME_NANOS};
    uint32_t word;
    struct key_writer *key;
    if (!format_check_options(&format_debezium, spec, err) ||
        !format_option_word(&format_debezium, spec, "timestamp_format", time_words, &word, err) ||
        !key_writer_create(&format_debezium, spec, (struct json_encoding){times[word], .bytes_base64 = true},
                           &key, err))
        return false;
    struct debezium_encoder *encoder = mem_zalloc(sizeof(*encoder));
    encoder->base.class = &format_debezium;
    encoder->key = key;
    encoder->row = json_writer_create(spec->columns, NULL, spec->columns_count, times[word], true);
    if (out != NULL)
        *out = &encoder->base;
    else
        close_encoder(&encoder->base);
    return true;
}

/* "c" says of a row that it is there now; whoever folds by key needs no more. */
static bool encode(struct encoder *base, const struct batch *rows, uint32_t row, bool is_deletion,
                   struct strbuf *key, struct strbuf *value, struct error *err)
{
    struct debezium_encoder *encoder = (struct debezium_encoder *)base;
    key_writer_write(encoder->key, rows, row, key);
    strbuf_adds(value, is_deletion ? "{\"before\":" : "{\"before\":null,\"after\":");
    json_writer_row(encoder->row, rows, row, value);
    strbuf_adds(value, is_deletion ? ",\"after\":null,\"op\":\"d\"}" : ",\"op\":\"c\"}");
    return true;
}

const struct format_class format_debezium = {
    .name = "debezium",
    .help = "changes of a database's rows as Debezium writes them in JSON, with or without schemas; a table "
            "follows inserts, updates and deletes",
    .options = options,
    .open_decoder = open_decoder,
    .decode = decode,
    .close_decoder = close_decoder,
    .open_encoder = open_encoder,
    .encode = encode,
    .close_encoder = close_encoder,
};
