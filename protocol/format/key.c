/* key.c: see key.h. */
#include "protocol/format/key.h"

#include "protocol/format/json_scan.h"
#include "protocol/format/json_writer.h"
#include "protocol/format/raw.h"
#include "storage/data/text_check.h"
#include "storage/data/text_store.h"

enum key_form { KEY_JSON, KEY_TEXT, KEY_RAW };
static const char *const forms[] = {"json", "text", "raw", NULL};

struct key_reader {
    enum key_form form;
    bool has_columns, has_envelope;
    bool
        is_object_column; /* the only column may itself be an object: then the key is always one of columns */
    uint32_t column;      /* the first, or only one */
    uint32_t columns_count;
    uint32_t *keys;
    uint32_t all_count; /* columns of the spec, */
    bool *is_key;       /* and which of them are the key's */
    char *name;         /* of the first */
    enum text_kind kind;
    struct json_reader *json;
    struct json_text text;
};

/* Numbers of the key's columns; out has room for all. */
static uint32_t list_keys(const struct format_spec *spec, uint32_t *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < spec->columns_count; i++) {
        if (spec->columns[i].is_key)
            out[count++] = i;
    }
    return count;
}

static bool read_form(const struct format_class *class, const struct format_spec *spec, const uint32_t *keys,
                      uint32_t count, enum key_form *out, struct error *err)
{
    uint32_t form;
    if (!format_option_word(class, spec, "key_format", forms, &form, err))
        return false;
    *out = (enum key_form)form;
    if (form != KEY_JSON && count != 1)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "key_format \"%s\" needs a primary key of one column, that of \"%s\" has %u",
                         forms[form], spec->relation_name, count);
    const struct format_column *column = &spec->columns[keys[0]];
    if (form == KEY_RAW && !raw_has_type(column->type.oid))
        return error_set(err, ERRCODE_DATATYPE_MISMATCH, "key_format \"raw\" cannot make column \"%s\"",
                         column->name);
    return true;
}

static bool make_json(struct key_reader *reader, const struct format_class *class,
                      const struct format_spec *spec, const uint32_t *keys,
                      const struct json_encoding *encodings, struct error *err)
{
    struct json_reader_spec json = {.columns_count = reader->columns_count};
    struct json_column_spec *columns = mem_zalloc(sizeof(*columns) * reader->columns_count);
    for (uint32_t i = 0; i < reader->columns_count; i++) {
        const struct format_column *column = &spec->columns[keys[i]];
        columns[i] = (struct json_column_spec){
            .name = column->name, .type = column->type, .column = keys[i], .not_null = true};
        if (encodings != NULL)
            columns[i].encoding = encodings[keys[i]];
    }
    json.columns = columns;
    bool sensitive = true;
    bool ok = (!format_has_option(class, "case_sensitive") ||
               format_option_bool(class, spec, "case_sensitive", &sensitive, err));
    json.fold_case = !sensitive;
    ok = ok && json_reader_create(&json, &reader->json, err);
    mem_free(columns);
    return ok;
}

bool key_reader_create(const struct format_class *class, const struct format_spec *spec,
                       const struct json_encoding *encodings, bool has_envelope, struct key_reader **out,
                       struct error *err)
{
    static const char *const places[] = {"value", "key", NULL};
    uint32_t place;
    *out = NULL;
    if (!format_option_word(class, spec, "key_columns", places, &place, err))
        return false;
    uint32_t *keys = mem_zalloc(sizeof(*keys) * (spec->columns_count + 1));
    uint32_t count = list_keys(spec, keys);
    bool ok = true;
    if (count == 0 && place == 1)
        ok = error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                       "option key_columns = 'key' needs a primary key, which \"%s\" has not",
                       spec->relation_name);
    if (ok && count > 0) {
        struct key_reader *reader = mem_zalloc(sizeof(*reader));
        uint32_t oid = spec->columns[keys[0]].type.oid;
        reader->has_columns = place == 1;
        reader->has_envelope = has_envelope;
        reader->column = keys[0];
        reader->columns_count = count;
        reader->keys = mem_alloc(sizeof(*keys) * count);
        memcpy(reader->keys, keys, sizeof(*keys) * count);
        reader->name = mem_strdup(spec->columns[keys[0]].name);
        reader->all_count = spec->columns_count;
        reader->is_key = mem_zalloc(spec->columns_count);
        for (uint32_t i = 0; i < spec->columns_count; i++)
            reader->is_key[i] = spec->columns[i].is_key;
        reader->kind = text_kind_of(spec->columns[keys[0]].type);
        reader->is_object_column = oid == OID_JSON || oid == OID_JSONB;
        ok = read_form(class, spec, keys, count, &reader->form, err) &&
             (reader->form != KEY_JSON || make_json(reader, class, spec, keys, encodings, err));
        if (ok)
            *out = reader;
        else
            key_reader_destroy(reader);
    }
    mem_free(keys);
    return ok;
}

void key_reader_destroy(struct key_reader *reader)
{
    if (reader == NULL)
        return;
    json_reader_destroy(reader->json);
    json_text_release(&reader->text);
    mem_free(reader->is_key);
    mem_free(reader->name);
    mem_free(reader->keys);
    mem_free(reader);
}

void key_reader_set_encodings(struct key_reader *reader, const struct json_encoding *encodings)
{
    if (reader == NULL || reader->json == NULL)
        return;
    for (uint32_t i = 0, key = 0; i < reader->all_count; i++) {
        if (reader->is_key[i])
            json_reader_set_encoding(reader->json, key++, encodings[i]);
    }
}

bool key_reader_has_columns(const struct key_reader *reader)
{
    return reader != NULL && reader->has_columns;
}

static bool read_json(struct key_reader *reader, const struct record *record, struct batch *out,
                      struct error *err)
{
    if (!json_text_load(&reader->text, record->key, record->key_len, err))
        return false;
    const uint8_t *at = json_skip_space(reader->text.bytes), *end, **inner = NULL;
    static const char *const names[] = {"schema", "payload"};
    const uint8_t *members[2];
    if (reader->has_envelope && *at == '{') {
        const uint8_t *behind = json_find_members(at, names, 2, members);
        if (behind != NULL && members[0] != NULL && members[1] != NULL) {
            behind = json_skip_space(behind);
            if (behind != reader->text.bytes + reader->text.len)
                return json_syntax_error(reader->text.bytes, reader->text.len, behind, err);
            at = members[1];
            inner = &end;
        }
    }
    bool is_bare = reader->columns_count == 1 && *at != '{' && !reader->is_object_column;
    return is_bare ? json_reader_read_bare(reader->json, &reader->text, at, inner, out, err)
                   : json_reader_read(reader->json, &reader->text, at, inner, out, err);
}

bool key_reader_read(struct key_reader *reader, const struct record *record, struct batch *out,
                     struct error *err)
{
    bool ok;
    if (record->key == NULL)
        return error_set(err, ERRCODE_NULL_VALUE_NOT_ALLOWED, "the record has no key");
    switch (reader->form) {
    case KEY_JSON:
        ok = read_json(reader, record, out, err);
        break;
    case KEY_TEXT:
        ok = text_check_utf8((const char *)record->key, record->key_len, err) &&
             text_store(out, reader->column, out->rows, reader->kind, (const char *)record->key,
                        record->key_len, &io_env_default, true, err);
        break;
    default:
        ok = raw_store(out, reader->column, out->rows, record->key, record->key_len, err);
        break;
    }
    if (ok) { /* whoever began the row may have marked all columns as NULL */
        for (uint32_t i = 0; i < reader->columns_count; i++) {
            uint8_t *nulls = out->columns[reader->keys[i]].nulls;
            if (nulls != NULL)
                nulls[out->rows] = 0;
        }
        return true;
    }
    if (reader->form != KEY_JSON)
        format_blame_column(err, reader->name);
    return error_context(err, "the record's key");
}

bool key_reader_delete(struct key_reader *reader, const struct record *record, struct batch *out,
                       struct error *err)
{
    batch_reserve(out, 1);
    bool ok = key_reader_read(reader, record, out, err);
    for (uint32_t i = 0; ok && i < reader->all_count; i++) {
        if (!reader->is_key[i])
            column_set_null(&out->columns[i], out->rows, out->capacity, out->arena);
    }
    return format_row_finish(out, ok, -1);
}

/* ---- writing ---- */

struct key_writer {
    enum key_form form;
    bool is_bare;
    uint32_t column;
    struct json_writer *json;
};

bool key_writer_create(const struct format_class *class, const struct format_spec *spec,
                       struct json_encoding encoding, struct key_writer **out, struct error *err)
{
    static const char *const styles[] = {"object", "value", NULL};
    uint32_t style;
    *out = NULL;
    if (!format_option_word(class, spec, "key_style", styles, &style, err))
        return false;
    uint32_t *keys = mem_zalloc(sizeof(*keys) * (spec->columns_count + 1));
    uint32_t count = list_keys(spec, keys);
    struct key_writer *writer = NULL;
    bool ok = true;
    if (count > 0) {
        writer = mem_zalloc(sizeof(*writer));
        writer->column = keys[0];
        ok = read_form(class, spec, keys, count, &writer->form, err);
        writer->is_bare = style == 1 && count == 1;
        if (ok && writer->form == KEY_JSON)
            writer->json =
                json_writer_create(spec->columns, keys, count, encoding.time, encoding.bytes_base64);
    }
    mem_free(keys);
    if (!ok) {
        key_writer_destroy(writer);
        return false;
    }
    *out = writer;
    return true;
}

void key_writer_destroy(struct key_writer *writer)
{
    if (writer == NULL)
        return;
    json_writer_destroy(writer->json);
    mem_free(writer);
}

void key_writer_write(struct key_writer *writer, const struct batch *rows, uint32_t row, struct strbuf *out)
{
    if (writer == NULL)
        return;
    const struct column *column = &rows->columns[writer->column];
    switch (writer->form) {
    case KEY_JSON:
        if (writer->is_bare)
            json_writer_value(writer->json, 0, rows, row, out);
        else
            json_writer_row(writer->json, rows, row, out);
        return;
    case KEY_TEXT: {
        struct datum value = column_get(column, row);
        if (!value.is_null)
            type_output(column->type.oid, &value, &io_env_default, out);
        return;
    }
    case KEY_RAW:
        raw_write(column, row, out);
        return;
    }
}
