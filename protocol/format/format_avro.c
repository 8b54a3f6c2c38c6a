/* format_avro.c: records in Avro, with a schema of their own from a registry or one that the options give.
 *
 * Whatever schema a record was written with, its fields go to the columns of their names: a field without a column is left out, a
 * column without a field is NULL. What else happens when schemas change is option schema_change's matter (docs/kafka.md). */
#include "protocol/format/avro_read.h"
#include "protocol/format/avro_write.h"
#include "protocol/format/evolution.h"
#include "protocol/format/json_options.h"
#include "protocol/format/key.h"
#include "protocol/format/registry.h"

#include <stdio.h>
#include <string.h>

static const struct connector_option_row options[] = {
    {"avro_schema", "", "the schema of values, as JSON, when no registry has it"},
    {"avro_key_schema", "", "the schema of keys, likewise"},
    {"avro_framing", "",
     "what stands before a value: confluent: a zero byte and the schema's number (with a registry the "
     "default); none (else the default); "
     "single_object: Avro's own header"},
    {"key_format", "avro", "how record keys are written: avro; json, text and raw as in format json"},
    {"key_columns", "value",
     "where the columns of the primary key are read from: value or key; those that a value's schema lacks "
     "come from the key"},
    {"avro_name", "", "full name of the record in schemas made for a sink; without one the relation's name"},
    OPTION_KEY_STYLE,
    EVOLUTION_OPTION_ROWS,
    REGISTRY_OPTION_ROWS,
    {NULL, NULL, NULL},
};

enum framing { FRAMING_NONE, FRAMING_CONFLUENT, FRAMING_SINGLE_OBJECT };

/* A schema of writers and what it means for the columns. */
struct writer {
    bool is_key;
    uint32_t id; /* REGISTRY_NO_ID: the one of the options */
    struct avro_node *root;
    struct avro_program *program;
    bool lacks_key; /* a column of the key has no place in it */
    struct evolution_view view;
    struct error problem;             /* code not ERRCODE_NONE: no record of it is taken */
    struct evolution_changes changes; /* by which one would be */
};

struct avro_decoder {
    struct decoder base;
    struct arena arena;
    struct registry *registry; /* NULL: none */
    enum framing framing;
    bool is_table, reads_key;
    struct evolution evolution;
    uint32_t columns_count, values_count, keys_count, required_count;
    struct format_column *columns;
    struct avro_target *values, *keys; /* templates: copied for every writer */
    uint32_t *required;                /* columns that may not be NULL */
    struct writer *inline_value, *inline_key;
    uint64_t fingerprints[2]; /* of value and key, for single objects */
    struct writer *last[2];
    const struct writer *stopped; /* because of whose schema decode has said 55000 */
    struct writer **writers;      /* open addressing, a power of two */
    uint32_t writers_count, writers_cap;
    struct key_reader *key; /* of keys that are not in Avro */
    struct avro_scratch scratch;
};

/* ---- options ---- */

static bool parse_framing(const struct format_spec *spec, bool has_inline, enum framing *out,
                          struct error *err)
{
    static const char *const words[] = {"none", "confluent", "single_object", "", NULL};
    uint32_t word;
    if (!format_option_word(&format_avro, spec, "avro_framing", words, &word, err))
        return false;
    *out = words[word][0] != '\0' ? word : has_inline ? FRAMING_NONE : FRAMING_CONFLUENT;
    return true;
}

/* Where schemas come from. 22023 when from two places or none. */
static bool check_schema_options(const struct format_spec *spec, enum framing *framing, struct error *err)
{
    bool has_inline = format_option(&format_avro, spec, "avro_schema")[0] != '\0';
    bool has_registry = format_option(&format_avro, spec, "schema.registry.url")[0] != '\0';
    if (has_inline == has_registry)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "format avro needs either option \"avro_schema\" or \"schema.registry.url\"");
    if (!parse_framing(spec, has_inline, framing, err))
        return false;
    if (has_registry && *framing != FRAMING_CONFLUENT)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "with a schema registry option \"avro_framing\" must be confluent");
    return true;
}

/* ---- writers ---- */

/* The type of a column made of the field. */
static struct sql_type natural_type(const struct avro_node *field)
{
    return field->natural.oid != 0 ? field->natural : (struct sql_type){OID_JSONB, -1}; /* of null alone */
}

static const struct sql_type *unread_types(struct avro_decoder *self, struct avro_node *root,
                                           const struct evolution_view *view)
{
    const struct avro_node *record = avro_schema_other(root);
    struct sql_type *types = ARENA_ARRAY(&self->arena, struct sql_type, view->unread_count);
    for (uint32_t i = 0, field = 0; i < view->unread_count; i++) {
        while (record->names[field] != view->unread[i]) /* in order */
            field++;
        types[i] = natural_type(record->nodes[field]);
    }
    return types;
}

static struct writer *make_writer(struct avro_decoder *self, bool is_key, uint32_t id, struct avro_node *root)
{
    uint32_t count = is_key ? self->keys_count : self->values_count;
    struct avro_target *targets = ARENA_ARRAY(&self->arena, struct avro_target, count);
    const struct avro_target *templates = is_key ? self->keys : self->values;
    struct writer *writer = ARENA_NEW(&self->arena, struct writer);
    bool is_record = avro_schema_other(root)->kind == AVRO_KIND_RECORD ||
                     (root->kind == AVRO_KIND_UNION && avro_schema_other(root) == root);
    writer->is_key = is_key;
    writer->id = id;
    writer->root = root;
    for (uint32_t i = 0; i < count; i++) {
        targets[i] = templates[i];
        /* a value that is no record is what the only column holds */
        if (!is_record && count == 1 && targets[i].column->path == NULL)
            targets[i].parts_count = 0;
    }
    writer->program = avro_program_make(&self->arena, root, targets, count);
    for (uint32_t i = 0; i < count; i++)
        writer->lacks_key |= targets[i].column->is_key && !targets[i].is_found;
    if (is_key)
        return writer;
    struct evolution_view *view = &writer->view;
    view->count = count;
    view->columns = ARENA_ARRAY(&self->arena, struct evolution_column, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct avro_target *target = &targets[i];
        view->columns[i] = (struct evolution_column){.column = target->column,
                                                     .is_found = target->is_found,
                                                     .fit = target->fit,
                                                     .type = target->node != NULL ? target->node->name : NULL,
                                                     .natural = target->natural};
    }
    view->unread = avro_program_unread(writer->program, &view->unread_count);
    view->unread_types = unread_types(self, root, view);
    evolution_check(&self->evolution, id, view, &self->arena, &writer->problem, &writer->changes);
    return writer;
}

static uint32_t slot_of(const struct avro_decoder *self, bool is_key, uint32_t id)
{
    uint32_t at = (id * 2 + is_key) * 0x9e3779b1u >> 7 & (self->writers_cap - 1);
    while (self->writers[at] != NULL && (self->writers[at]->id != id || self->writers[at]->is_key != is_key))
        at = (at + 1) & (self->writers_cap - 1);
    return at;
}

static void keep_writer(struct avro_decoder *self, struct writer *writer)
{
    if (self->writers_count * 2 >= self->writers_cap) {
        struct writer **old = self->writers;
        uint32_t old_cap = self->writers_cap;
        self->writers_cap = old_cap == 0 ? 16 : old_cap * 2;
        self->writers = ARENA_ARRAY(&self->arena, struct writer *, self->writers_cap);
        for (uint32_t i = 0; i < old_cap; i++) {
            if (old[i] != NULL)
                self->writers[slot_of(self, old[i]->is_key, old[i]->id)] = old[i];
        }
    }
    self->writers[slot_of(self, writer->is_key, writer->id)] = writer;
    self->writers_count++;
}

/* The schema of an id. One that is no schema for us is remembered as that; a registry out of reach is not. */
static bool find_writer(struct avro_decoder *self, bool is_key, uint32_t id, struct writer **out,
                        struct error *why)
{
    struct writer *writer = self->last[is_key];
    if (LIKELY(writer != NULL && writer->id == id)) {
        *out = writer;
        return true;
    }
    writer = self->writers_cap > 0 ? self->writers[slot_of(self, is_key, id)] : NULL;
    if (writer == NULL) {
        const struct registry_schema *schema;
        struct avro_node *root;
        struct error problem;
        if (evolution_wants_known(&self->evolution) && id != self->evolution.known_id) {
            struct writer *known;
            if (!find_writer(self, false, self->evolution.known_id, &known, why))
                return false;
            self->evolution.known = &known->view;
        }
        if (!registry_by_id(self->registry, id, &schema, why))
            return false;
        if (avro_schema_parse(&self->arena, schema, &root, &problem)) {
            writer = make_writer(self, is_key, id, root);
        } else {
            writer = ARENA_NEW(&self->arena, struct writer);
            writer->is_key = is_key;
            writer->id = id;
            error_set(&writer->problem, problem.code, "schema %u cannot be used: %s", id, problem.message);
        }
        keep_writer(self, writer);
    }
    self->last[is_key] = writer;
    *out = writer;
    return true;
}

/* Steps over what stands before the value and says which schema it has. */
static inline bool open_value(struct avro_decoder *self, bool is_key, const uint8_t **bytes, size_t *len,
                              struct writer **out, struct error *why)
{
    struct writer *writer = is_key ? self->inline_key : self->inline_value;
    uint32_t id = REGISTRY_NO_ID;
    if (self->framing == FRAMING_CONFLUENT) {
        if (UNLIKELY(*len < 5 || (*bytes)[0] != 0))
            return error_set(why, ERRCODE_INVALID_BINARY_REPRESENTATION,
                             "the %s does not begin with a zero byte and the number of a schema",
                             is_key ? "key" : "value");
        id = (uint32_t)(*bytes)[1] << 24 | (uint32_t)(*bytes)[2] << 16 | (uint32_t)(*bytes)[3] << 8 |
             (*bytes)[4];
        *bytes += 5;
        *len -= 5;
    } else if (self->framing == FRAMING_SINGLE_OBJECT) {
        uint64_t fingerprint;
        if (*len < 10 || (*bytes)[0] != 0xc3 || (*bytes)[1] != 0x01)
            return error_set(why, ERRCODE_INVALID_BINARY_REPRESENTATION,
                             "the %s does not begin as single objects of Avro do", is_key ? "key" : "value");
        memcpy(&fingerprint, *bytes + 2, 8);
        if (writer != NULL && fingerprint != self->fingerprints[is_key])
            return error_set(why, ERRCODE_INVALID_BINARY_REPRESENTATION,
                             "the %s was written with another schema than that of the options",
                             is_key ? "key" : "value");
        *bytes += 10;
        *len -= 10;
    }
    if (self->registry != NULL && UNLIKELY(!find_writer(self, is_key, id, &writer, why)))
        return false;
    if (UNLIKELY(writer == NULL))
        return error_set(why, ERRCODE_NULL_VALUE_NOT_ALLOWED,
                         "the key cannot be read without option \"avro_key_schema\"");
    if (UNLIKELY(writer->problem.code != ERRCODE_NONE)) {
        self->stopped = writer;
        if (why != NULL)
            *why = writer->problem;
        return false;
    }
    *out = writer;
    return true;
}

/* ---- records ---- */

static bool decode_key(struct avro_decoder *self, const struct record *record, struct batch *out,
                       uint32_t row, struct error *why)
{
    const uint8_t *bytes = record->key;
    size_t len = record->key_len;
    struct writer *writer;
    if (self->key != NULL) {
        for (uint32_t i = 0; i < self->keys_count; i++)
            out->columns[self->keys[i].index].nulls[row] = 0; /* it finds its columns not yet NULL */
        return key_reader_read(self->key, record, out, why);
    }
    if (bytes == NULL)
        return error_set(why, ERRCODE_NULL_VALUE_NOT_ALLOWED, "the record has no key");
    return open_value(self, true, &bytes, &len, &writer, why) &&
           avro_program_run(writer->program, &self->scratch, bytes, len, out, row, why);
}

static bool missing_value(const struct avro_decoder *self, uint32_t column, struct error *why)
{
    return error_set(why, ERRCODE_NOT_NULL_VIOLATION, "column \"%s\": null value where none is allowed",
                     self->columns[column].name);
}

/* A tombstone: the deletion of its key. */
static bool decode_deletion(struct avro_decoder *self, const struct record *record, struct batch *out,
                            struct error *why)
{
    if (!self->is_table)
        return error_set(why, ERRCODE_NULL_VALUE_NOT_ALLOWED, "the record has no value");
    uint32_t row = format_row_begin(out);
    bool ok = decode_key(self, record, out, row, why);
    for (uint32_t i = 0; ok && i < self->keys_count; i++) {
        uint32_t column = self->keys[i].index;
        ok = !column_is_null(&out->columns[column], row) || missing_value(self, column, why);
    }
    return format_row_finish(out, ok, -1);
}

static bool decode(struct decoder *base, const struct record *record, struct batch *out, struct error *why)
{
    struct avro_decoder *self = (struct avro_decoder *)base;
    const uint8_t *bytes = record->value;
    size_t len = record->value_len;
    struct writer *writer;
    if (UNLIKELY(bytes == NULL))
        return decode_deletion(self, record, out, why);
    if (UNLIKELY(!open_value(self, false, &bytes, &len, &writer, why)))
        return false;
    uint32_t row = format_row_begin(out);
    bool ok = avro_program_run(writer->program, &self->scratch, bytes, len, out, row, why);
    if (UNLIKELY(ok && (self->reads_key || (writer->lacks_key && record->key != NULL))))
        ok = decode_key(self, record, out, row, why);
    for (uint32_t i = 0; ok && i < self->required_count; i++)
        ok = !column_is_null(&out->columns[self->required[i]], row) ||
             missing_value(self, self->required[i], why);
    return format_row_finish(out, ok, 1);
}

static uint32_t changes(struct decoder *base, const struct format_change **out)
{
    const struct avro_decoder *self = (const struct avro_decoder *)base;
    *out = self->stopped != NULL ? self->stopped->changes.items : NULL;
    return self->stopped != NULL ? self->stopped->changes.count : 0;
}

/* ---- opening ---- */

static void close_decoder(struct decoder *base)
{
    struct avro_decoder *self = (struct avro_decoder *)base;
    registry_close(self->registry);
    key_reader_destroy(self->key);
    avro_scratch_release(&self->scratch);
    arena_release(&self->arena);
    mem_free(self);
}

/* Keys in Avro are read here, others as those of other formats. */
static bool take_key_options(struct avro_decoder *self, const struct format_spec *spec, struct error *err)
{
    static const char *const places[] = {"value", "key", NULL};
    uint32_t place;
    if (!format_option_word(&format_avro, spec, "key_columns", places, &place, err))
        return false;
    self->reads_key = place == 1;
    if (strcmp(format_option(&format_avro, spec, "key_format"), "avro") != 0)
        return key_reader_create(&format_avro, spec, NULL, false, &self->key, err);
    if (self->reads_key && self->keys_count == 0)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "option key_columns = 'key' needs a primary key, which \"%s\" has not",
                         spec->relation_name);
    return true;
}

static bool take_columns(struct avro_decoder *self, const struct format_spec *spec, struct error *err)
{
    self->columns_count = spec->columns_count;
    self->columns = ARENA_ARRAY(&self->arena, struct format_column, spec->columns_count);
    self->values = ARENA_ARRAY(&self->arena, struct avro_target, spec->columns_count);
    self->keys = ARENA_ARRAY(&self->arena, struct avro_target, spec->columns_count);
    self->required = ARENA_ARRAY(&self->arena, uint32_t, spec->columns_count);
    for (uint32_t i = 0; i < spec->columns_count; i++) {
        struct format_column *column = &self->columns[i];
        *column = spec->columns[i];
        column->name = arena_strdup(&self->arena, column->name);
        if (column->path != NULL)
            column->path = arena_strdup(&self->arena, column->path);
        struct avro_target target = {.column = column, .index = i};
        struct json_step *parts = ARENA_NEW(&self->arena, struct json_step);
        *parts = (struct json_step){.name = column->name};
        target.parts_count = 1;
        if (column->path != NULL &&
            !json_path_parse(&self->arena, column->path, column->name, &parts, &target.parts_count, err))
            return false;
        target.parts = parts;
        self->values[self->values_count++] = target;
        if (column->is_key)
            self->keys[self->keys_count++] = target;
        if (column->not_null || column->is_key)
            self->required[self->required_count++] = i;
    }
    return true;
}

/* The one schema that there will be must have a place for every column. */
static bool check_columns(const struct avro_decoder *self, const struct writer *writer, struct error *err)
{
    for (uint32_t i = 0; i < writer->view.count; i++) {
        const struct evolution_column *column = &writer->view.columns[i];
        bool is_in_key = column->column->is_key && (self->inline_key != NULL || self->key != NULL);
        if (!column->is_found && !is_in_key)
            return error_set(err, ERRCODE_UNDEFINED_COLUMN, "the Avro schema has no field for column \"%s\"",
                             column->column->name);
        if (column->is_found && column->fit == CONVERT_NEVER) {
            struct strbuf type = STRBUF_INIT;
            type_format(column->column->type.oid, column->column->type.typmod, &type);
            error_set(err, ERRCODE_DATATYPE_MISMATCH,
                      "column \"%s\" is of type %s but its field of Avro type %s", column->column->name,
                      strbuf_text(&type), column->type);
            strbuf_release(&type);
            return false;
        }
    }
    return true;
}

/* The schemas of the options. */
static bool take_inline(struct avro_decoder *self, const struct format_spec *spec, struct error *err)
{
    const char *value = format_option(&format_avro, spec, "avro_schema");
    const char *key = format_option(&format_avro, spec, "avro_key_schema");
    struct avro_node *root;
    if (value[0] == '\0')
        return true;
    if (key[0] != '\0') {
        if (!avro_schema_parse_text(&self->arena, key, &root, err))
            return false;
        self->inline_key = make_writer(self, true, REGISTRY_NO_ID, root);
        self->fingerprints[1] = avro_schema_fingerprint(root);
    }
    if (!avro_schema_parse_text(&self->arena, value, &root, err))
        return false;
    self->inline_value = make_writer(self, false, REGISTRY_NO_ID, root);
    self->fingerprints[0] = avro_schema_fingerprint(root);
    return check_columns(self, self->inline_value, err);
}

static bool open_decoder(const struct format_spec *spec, struct decoder **out, struct error *err)
{
    struct avro_decoder *self = mem_zalloc(sizeof(*self));
    arena_init(&self->arena, NULL);
    self->base.class = &format_avro;
    self->is_table = spec->is_table;
    bool ok = format_check_options(&format_avro, spec, err) &&
              check_schema_options(spec, &self->framing, err) && take_columns(self, spec, err) &&
              take_key_options(self, spec, err) &&
              evolution_open(&format_avro, spec, &self->evolution, err) && take_inline(self, spec, err) &&
              registry_open(&format_avro, spec, out != NULL ? &self->registry : NULL, err);
    if (ok && out != NULL)
        *out = &self->base;
    else
        close_decoder(&self->base);
    return ok;
}

/* ---- columns of a schema ---- */

static bool find_schema(const struct format_spec *spec, bool is_key, struct arena *arena,
                        struct avro_node **out, struct error *err)
{
    const char *text = format_option(&format_avro, spec, is_key ? "avro_key_schema" : "avro_schema");
    if (text[0] != '\0')
        return avro_schema_parse_text(arena, text, out, err);
    struct registry *registry;
    const struct registry_schema *schema;
    if (!registry_open(&format_avro, spec, &registry, err))
        return false;
    if (registry == NULL)
        return error_set(err, ERRCODE_UNDEFINED_OBJECT, "there is no schema of the %s",
                         is_key ? "key" : "value");
    bool ok = evolution_schema(&format_avro, spec, registry, is_key, NULL, arena, &schema, err) &&
              avro_schema_parse(arena, schema, out, err);
    registry_close(registry);
    return ok;
}

static bool has_field(const struct avro_node *record, const char *name)
{
    for (uint32_t i = 0; i < record->count; i++) {
        if (strcmp(record->names[i], name) == 0)
            return true;
    }
    return false;
}

static bool infer(const struct format_spec *spec, struct arena *arena, struct format_column **out,
                  uint32_t *count, struct error *err)
{
    enum framing framing;
    struct avro_node *root, *key = NULL;
    if (!check_schema_options(spec, &framing, err) || !find_schema(spec, false, arena, &root, err))
        return false;
    if (spec->is_table && !find_schema(spec, true, arena, &key, err)) {
        if (err == NULL || err->code != ERRCODE_UNDEFINED_OBJECT)
            return false;
        key = NULL; /* then the key is the statement's to name */
    }
    root = avro_schema_other(root);
    if (key != NULL && (key = avro_schema_other(key))->kind != AVRO_KIND_RECORD)
        key = NULL;
    bool is_record = root->kind == AVRO_KIND_RECORD;
    struct format_column *columns = ARENA_ARRAY(
        arena, struct format_column, (is_record ? root->count : 1) + (key != NULL ? key->count : 0));
    *count = 0;
    for (uint32_t i = 0; key != NULL && i < key->count; i++) {
        if (!is_record || !has_field(root, key->names[i]))
            columns[(*count)++] = (struct format_column){
                .name = key->names[i], .type = natural_type(key->nodes[i]), .is_key = true};
    }
    for (uint32_t i = 0; i < (is_record ? root->count : 1); i++) {
        const struct avro_node *node = is_record ? root->nodes[i] : root;
        struct format_column column = {.name = is_record ? root->names[i] : "value",
                                       .type = natural_type(node)};
        column.is_key = key != NULL && has_field(key, column.name);
        columns[(*count)++] = column;
    }
    *out = columns;
    return true;
}

const struct format_class format_avro = {
    .name = "avro",
    .help = "Avro, with the schemas of a registry or one of the options",
    .options = options,
    .open_decoder = open_decoder,
    .decode = decode,
    .changes = changes,
    .close_decoder = close_decoder,
    .open_encoder = avro_open_encoder,
    .encode = avro_encode,
    .close_encoder = avro_close_encoder,
    .infer = infer,
};
