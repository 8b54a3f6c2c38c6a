/* format_protobuf.c: records in Protocol Buffers, with a schema of their own from a registry or one that the options give.
 *
 * Columns are fields of their names, wherever in the message their numbers put them; unknown fields are stepped over. Keys are
 * those of other formats (key.h). */
#include "protocol/format/base64.h"
#include "protocol/format/evolution.h"
#include "protocol/format/json_options.h"
#include "protocol/format/key.h"
#include "protocol/format/protobuf_read.h"
#include "protocol/format/protobuf_write.h"
#include "protocol/format/registry.h"

#include <string.h>

static const struct connector_option_row options[] = {
    {"proto_schema", "", "the text of a .proto file with the message, when no registry has it"},
    {"proto_descriptor", "",
     "instead of the text: a FileDescriptorSet in base64, as 'protoc --include_imports -o' writes it"},
    {"message", "",
     "name of the message, 'a.b.C'; without one the record's header names it, or it is the first of its "
     "file"},
    {"proto_framing", "",
     "what stands before a value: confluent: a zero byte, the schema's number and the message's place in it "
     "(with a registry the default); none "
     "(else the default)"},
    OPTION_KEY_FORMAT("json"),
    OPTION_KEY_COLUMNS,
    OPTION_KEY_STYLE,
    EVOLUTION_OPTION_ROWS,
    REGISTRY_OPTION_ROWS,
    {NULL, NULL, NULL},
};

#define INDEXES_MAX 32 /* of messages within messages in a header */

/* A message of a schema of writers. */
struct writer {
    uint32_t id;
    uint32_t indexes_count;
    int32_t *indexes;
    struct proto_program *program;
    struct evolution_view view;
    struct error problem;             /* code not ERRCODE_NONE: no record of it is taken */
    struct evolution_changes changes; /* by which one would be */
};

struct proto_decoder {
    struct decoder base;
    struct arena arena;
    struct registry *registry; /* NULL: none */
    const char *message;       /* NULL: as the header says */
    bool is_framed, is_table;
    struct evolution evolution;
    uint32_t columns_count, targets_count, required_count;
    struct format_column *columns;
    struct proto_target *targets;
    uint32_t *required;
    struct key_reader *key;
    struct writer *only, *last;   /* only: of the options */
    const struct writer *stopped; /* because of whose schema decode has said 55000 */
    struct writer **writers;      /* open addressing, a power of two */
    uint32_t writers_count, writers_cap;
    struct proto_scratch *scratch;
};

/* ---- options ---- */

static bool is_set(const struct format_spec *spec, const char *name)
{
    return format_option(&format_protobuf, spec, name)[0] != '\0';
}

static bool check_schema_options(const struct format_spec *spec, bool *is_framed, struct error *err)
{
    static const char *const words[] = {"none", "confluent", "", NULL};
    int places =
        is_set(spec, "proto_schema") + is_set(spec, "proto_descriptor") + is_set(spec, "schema.registry.url");
    uint32_t word;
    if (places != 1)
        return error_set(
            err, ERRCODE_INVALID_PARAMETER_VALUE,
            "format protobuf needs one of the options \"proto_schema\", \"proto_descriptor\" and "
            "\"schema.registry.url\"");
    if (!format_option_word(&format_protobuf, spec, "proto_framing", words, &word, err))
        return false;
    bool has_registry = is_set(spec, "schema.registry.url");
    *is_framed = words[word][0] != '\0' ? word == 1 : has_registry;
    return *is_framed || !has_registry ||
           error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                     "with a schema registry option \"proto_framing\" must be confluent");
}

static const char *message_option(const struct format_spec *spec)
{
    const char *name = format_option(&format_protobuf, spec, "message");
    return name[0] != '\0' ? name : NULL;
}

/* The message of the options. */
static bool parse_inline(const struct format_spec *spec, struct arena *arena, struct proto_message **out,
                         struct error *err)
{
    struct proto_source source = {"millrace/value.proto",
                                  format_option(&format_protobuf, spec, "proto_schema")};
    struct proto_schema schema = {.message = message_option(spec)};
    if (source.text[0] != '\0') {
        schema.sources = &source;
        schema.sources_count = 1;
    } else {
        const char *text = format_option(&format_protobuf, spec, "proto_descriptor");
        size_t len = strlen(text);
        uint8_t *bytes = arena_alloc(arena, len / 4 * 3 + 3);
        if (!base64_decode(text, len, bytes, &schema.descriptors_len, err))
            return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                             "option \"proto_descriptor\" is not in base64");
        schema.descriptors = bytes;
    }
    return proto_parse(arena, &schema, out, err);
}

/* ---- writers ---- */

static struct writer *make_writer(struct proto_decoder *self, const struct proto_message *message)
{
    struct writer *writer = ARENA_NEW(&self->arena, struct writer);
    struct proto_target *targets = ARENA_ARRAY(&self->arena, struct proto_target, self->targets_count);
    memcpy(targets, self->targets, sizeof(*targets) * self->targets_count);
    writer->id = REGISTRY_NO_ID;
    writer->program = proto_program_make(&self->arena, message, targets, self->targets_count);
    writer->view.count = self->targets_count;
    writer->view.columns = ARENA_ARRAY(&self->arena, struct evolution_column, self->targets_count);
    for (uint32_t i = 0; i < self->targets_count; i++)
        writer->view.columns[i] = (struct evolution_column){.column = targets[i].column,
                                                            .is_found = targets[i].is_found,
                                                            .fit = targets[i].fit,
                                                            .type = targets[i].type,
                                                            .natural = targets[i].natural};
    writer->view.unread =
        proto_program_unread(writer->program, &writer->view.unread_types, &writer->view.unread_count);
    return writer;
}

static bool is_writer(const struct writer *writer, uint32_t id, const int32_t *indexes, uint32_t count)
{
    return writer->id == id && writer->indexes_count == count &&
           (count == 0 || memcmp(writer->indexes, indexes, sizeof(*indexes) * count) == 0);
}

static uint32_t slot_of(const struct proto_decoder *self, uint32_t id, const int32_t *indexes, uint32_t count)
{
    uint32_t at = id * 0x9e3779b1u >> 7 & (self->writers_cap - 1);
    while (self->writers[at] != NULL && !is_writer(self->writers[at], id, indexes, count))
        at = (at + 1) & (self->writers_cap - 1);
    return at;
}

static void keep_writer(struct proto_decoder *self, struct writer *writer)
{
    if (self->writers_count * 2 >= self->writers_cap) {
        struct writer **old = self->writers;
        uint32_t old_cap = self->writers_cap;
        self->writers_cap = old_cap == 0 ? 16 : old_cap * 2;
        self->writers = ARENA_ARRAY(&self->arena, struct writer *, self->writers_cap);
        for (uint32_t i = 0; i < old_cap; i++) {
            if (old[i] != NULL)
                self->writers[slot_of(self, old[i]->id, old[i]->indexes, old[i]->indexes_count)] = old[i];
        }
    }
    self->writers[slot_of(self, writer->id, writer->indexes, writer->indexes_count)] = writer;
    self->writers_count++;
}

static bool find_writer(struct proto_decoder *self, uint32_t id, const int32_t *indexes, uint32_t count,
                        struct writer **out, struct error *why)
{
    if (LIKELY(self->last != NULL && is_writer(self->last, id, indexes, count))) {
        *out = self->last;
        return true;
    }
    struct writer *writer = self->writers_cap > 0 ? self->writers[slot_of(self, id, indexes, count)] : NULL;
    if (writer == NULL) {
        const struct registry_schema *schema;
        struct proto_message *message;
        struct error problem;
        if (evolution_wants_known(&self->evolution) && id != self->evolution.known_id) {
            struct writer *known;
            if (!find_writer(self, self->evolution.known_id, indexes, count, &known, why))
                return false;
            self->evolution.known = &known->view;
        }
        if (!registry_by_id(self->registry, id, &schema, why))
            return false;
        if (proto_parse_registered(&self->arena, schema, self->message, indexes, count, &message, &problem)) {
            writer = make_writer(self, message);
            evolution_check(&self->evolution, id, &writer->view, &self->arena, &writer->problem,
                            &writer->changes);
        } else {
            writer = ARENA_NEW(&self->arena, struct writer);
            error_set(&writer->problem, problem.code, "schema %u cannot be used: %s", id, problem.message);
        }
        writer->id = id;
        writer->indexes_count = count;
        writer->indexes = arena_copy(&self->arena, indexes, sizeof(*indexes) * count);
        keep_writer(self, writer);
    }
    self->last = writer;
    *out = writer;
    return true;
}

static bool read_index(const uint8_t **at, const uint8_t *end, int32_t *out)
{
    uint64_t bits = 0;
    for (unsigned shift = 0; shift < 35 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        bits |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = (int32_t)((uint32_t)(bits >> 1) ^ -(uint32_t)(bits & 1));
            return bits <= UINT32_MAX;
        }
    }
    return false;
}

static bool open_value(struct proto_decoder *self, const uint8_t **bytes, size_t *len, struct writer **out,
                       struct error *why)
{
    struct writer *writer = self->only;
    if (self->is_framed) {
        const uint8_t *at = *bytes, *end = at + *len;
        int32_t indexes[INDEXES_MAX] = {0}, count = 0;
        bool ok = *len >= 6 && at[0] == 0;
        uint32_t id = 0;
        if (ok) {
            id = (uint32_t)at[1] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 8 | at[4];
            at += 5;
            ok = read_index(&at, end, &count) && count >= 0 && count <= INDEXES_MAX;
        }
        for (int32_t i = 0; ok && i < count; i++)
            ok = read_index(&at, end, &indexes[i]);
        if (UNLIKELY(!ok))
            return error_set(
                why, ERRCODE_INVALID_BINARY_REPRESENTATION,
                "the value does not begin with a zero byte, the number of a schema and the place of a "
                "message in it");
        *len = (size_t)(end - at);
        *bytes = at;
        /* a lone 0 stands for the first message */
        if (self->registry != NULL &&
            !find_writer(self, id, indexes, count == 0 ? 1 : (uint32_t)count, &writer, why))
            return false;
    }
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

static bool read_key(struct proto_decoder *self, const struct record *record, struct batch *out, uint32_t row,
                     struct error *why)
{
    for (uint32_t i = 0; i < self->columns_count; i++) {
        if (self->columns[i].is_key)
            out->columns[i].nulls[row] = 0; /* it finds its columns not yet NULL */
    }
    return key_reader_read(self->key, record, out, why);
}

static bool decode(struct decoder *base, const struct record *record, struct batch *out, struct error *why)
{
    struct proto_decoder *self = (struct proto_decoder *)base;
    const uint8_t *bytes = record->value;
    size_t len = record->value_len;
    struct writer *writer = NULL;
    if (UNLIKELY(bytes == NULL)) {
        if (self->is_table && self->key != NULL)
            return key_reader_delete(self->key, record, out, why);
        return error_set(why, ERRCODE_NULL_VALUE_NOT_ALLOWED, "the record has no value");
    }
    if (UNLIKELY(!open_value(self, &bytes, &len, &writer, why)))
        return false;
    uint32_t row = format_row_begin(out);
    bool ok = proto_program_run(writer->program, self->scratch, bytes, len, out, row, why) &&
              (!key_reader_has_columns(self->key) || read_key(self, record, out, row, why));
    for (uint32_t i = 0; ok && i < self->required_count; i++)
        ok = !column_is_null(&out->columns[self->required[i]], row) ||
             error_set(why, ERRCODE_NOT_NULL_VIOLATION, "column \"%s\": null value where none is allowed",
                       self->columns[self->required[i]].name);
    return format_row_finish(out, ok, 1);
}

static uint32_t changes(struct decoder *base, const struct format_change **out)
{
    const struct proto_decoder *self = (const struct proto_decoder *)base;
    *out = self->stopped != NULL ? self->stopped->changes.items : NULL;
    return self->stopped != NULL ? self->stopped->changes.count : 0;
}

/* ---- opening ---- */

static void close_decoder(struct decoder *base)
{
    struct proto_decoder *self = (struct proto_decoder *)base;
    registry_close(self->registry);
    key_reader_destroy(self->key);
    proto_scratch_destroy(self->scratch);
    arena_release(&self->arena);
    mem_free(self);
}

static bool take_columns(struct proto_decoder *self, const struct format_spec *spec, struct error *err)
{
    self->columns_count = spec->columns_count;
    self->columns = ARENA_ARRAY(&self->arena, struct format_column, spec->columns_count);
    self->targets = ARENA_ARRAY(&self->arena, struct proto_target, spec->columns_count);
    self->required = ARENA_ARRAY(&self->arena, uint32_t, spec->columns_count);
    for (uint32_t i = 0; i < spec->columns_count; i++) {
        struct format_column *column = &self->columns[i];
        *column = spec->columns[i];
        column->name = arena_strdup(&self->arena, column->name);
        if (column->path != NULL)
            column->path = arena_strdup(&self->arena, column->path);
        if (column->not_null || column->is_key)
            self->required[self->required_count++] = i;
        if (column->is_key && key_reader_has_columns(self->key))
            continue;
        struct proto_target target = {.column = column, .index = i, .parts_count = 1};
        struct json_step *parts = ARENA_NEW(&self->arena, struct json_step);
        *parts = (struct json_step){.name = column->name};
        if (column->path != NULL &&
            !json_path_parse(&self->arena, column->path, column->name, &parts, &target.parts_count, err))
            return false;
        target.parts = parts;
        self->targets[self->targets_count++] = target;
    }
    return true;
}

/* The one message that there will be must have a place for every column. */
static bool take_inline(struct proto_decoder *self, const struct format_spec *spec, struct error *err)
{
    struct proto_message *message;
    if (is_set(spec, "schema.registry.url"))
        return true;
    if (!parse_inline(spec, &self->arena, &message, err))
        return false;
    self->only = make_writer(self, message);
    for (uint32_t i = 0; i < self->only->view.count; i++) {
        const struct evolution_column *column = &self->only->view.columns[i];
        if (!column->is_found)
            return error_set(err, ERRCODE_UNDEFINED_COLUMN, "message \"%s\" has no field for column \"%s\"",
                             message->name, column->column->name);
        if (column->fit == CONVERT_NEVER) {
            struct strbuf type = STRBUF_INIT;
            type_format(column->column->type.oid, column->column->type.typmod, &type);
            error_set(err, ERRCODE_DATATYPE_MISMATCH, "column \"%s\" is of type %s but its field of %s",
                      column->column->name, strbuf_text(&type), column->type);
            strbuf_release(&type);
            return false;
        }
    }
    return true;
}

static bool open_decoder(const struct format_spec *spec, struct decoder **out, struct error *err)
{
    struct proto_decoder *self = mem_zalloc(sizeof(*self));
    arena_init(&self->arena, NULL);
    self->base.class = &format_protobuf;
    self->is_table = spec->is_table;
    self->scratch = proto_scratch_create();
    bool ok = format_check_options(&format_protobuf, spec, err) &&
              check_schema_options(spec, &self->is_framed, err) &&
              key_reader_create(&format_protobuf, spec, NULL, false, &self->key, err) &&
              take_columns(self, spec, err) &&
              evolution_open(&format_protobuf, spec, &self->evolution, err) && take_inline(self, spec, err) &&
              registry_open(&format_protobuf, spec, out != NULL ? &self->registry : NULL, err);
    if (ok && message_option(spec) != NULL)
        self->message = arena_strdup(&self->arena, message_option(spec));
    if (ok && out != NULL)
        *out = &self->base;
    else
        close_decoder(&self->base);
    return ok;
}

/* ---- columns of a schema ---- */

static bool find_message(const struct format_spec *spec, struct arena *arena, struct proto_message **out,
                         struct error *err)
{
    struct registry *registry;
    const struct registry_schema *schema;
    if (!is_set(spec, "schema.registry.url"))
        return parse_inline(spec, arena, out, err);
    if (!registry_open(&format_protobuf, spec, &registry, err))
        return false;
    bool ok = evolution_schema(&format_protobuf, spec, registry, false, message_option(spec), arena, &schema,
                               err) &&
              proto_parse_registered(arena, schema, message_option(spec), NULL, 0, out, err);
    registry_close(registry);
    return ok;
}

static bool infer(const struct format_spec *spec, struct arena *arena, struct format_column **out,
                  uint32_t *count, struct error *err)
{
    bool is_framed;
    struct proto_message *message;
    if (!check_schema_options(spec, &is_framed, err) || !find_message(spec, arena, &message, err))
        return false;
    *out = ARENA_ARRAY(arena, struct format_column, message->count);
    *count = message->count;
    for (uint32_t i = 0; i < message->count; i++)
        (*out)[i] = (struct format_column){.name = message->fields[i].name,
                                           .type = proto_natural(&message->fields[i])};
    return true;
}

const struct format_class format_protobuf = {
    .name = "protobuf",
    .help = "Protocol Buffers, with the schemas of a registry or one of the options",
    .options = options,
    .open_decoder = open_decoder,
    .decode = decode,
    .changes = changes,
    .close_decoder = close_decoder,
    .open_encoder = proto_open_encoder,
    .encode = proto_encode,
    .close_encoder = proto_close_encoder,
    .infer = infer,
};
