/* protobuf_read.c: see protobuf_read.h. */
#include "protocol/format/protobuf_read.h"

#include "storage/data/array.h"
#include "storage/data/datetime_internal.h"
#include "storage/data/json.h"
#include "storage/data/json_encode.h"
#include "storage/data/numeric.h"
#include "storage/data/text_check.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DIRECT_FIELDS_MAX 256u
#define NO_SLOT           UINT32_MAX
#define DEPTH_MAX         200 /* of messages within messages; other implementations stop at 100 */

/* ---- schemas ---- */

static void *take_memory(void *ctx, size_t bytes)
{
    return arena_alloc(ctx, bytes);
}

bool proto_parse(struct arena *arena, const struct proto_schema *schema, struct proto_message **out,
                 struct error *err)
{
    char problem[ERROR_TEXT_MAX / 2];
    return proto_schema_build(schema, take_memory, arena, out, problem, sizeof(problem)) ||
           error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "the Protobuf schema is not valid: %s", problem);
}

struct gathered {
    struct arena *arena;
    struct proto_source *sources;
    uint32_t count, cap;
};

static void gather(struct gathered *gathered, const struct registry_schema *schema)
{
    for (uint32_t i = 0; i < schema->references_count; i++) {
        const struct registry_reference *reference = &schema->references[i];
        bool there = false;
        for (uint32_t k = 0; k < gathered->count && !there; k++)
            there = strcmp(gathered->sources[k].path, reference->name) == 0;
        if (there)
            continue;
        struct proto_source source = {reference->name, reference->schema->text};
        ARENA_PUSH(gathered->arena, gathered->sources, gathered->count, gathered->cap, source);
        gather(gathered, reference->schema);
    }
}

bool proto_parse_registered(struct arena *arena, const struct registry_schema *schema, const char *message,
                            const int32_t *indexes, uint32_t indexes_count, struct proto_message **out,
                            struct error *err)
{
    if (schema->kind != REGISTRY_PROTOBUF)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "the schema in the registry is not one of Protobuf");
    struct gathered gathered = {.arena = arena};
    struct proto_source own = {"millrace/value.proto", schema->text};
    ARENA_PUSH(arena, gathered.sources, gathered.count, gathered.cap, own);
    gather(&gathered, schema);
    struct proto_schema whole = {.sources_count = gathered.count,
                                 .sources = gathered.sources,
                                 .message = message,
                                 .indexes = indexes,
                                 .indexes_count = indexes_count};
    return proto_parse(arena, &whole, out, err);
}

/* ---- types ---- */

static bool is_message(const struct proto_field *field)
{
    return field->kind == PROTO_MESSAGE || field->kind == PROTO_GROUP;
}

static uint32_t scalar_oid(enum proto_kind kind)
{
    switch (kind) {
    case PROTO_DOUBLE:
        return OID_FLOAT8;
    case PROTO_FLOAT:
        return OID_FLOAT4;
    case PROTO_INT64:
    case PROTO_SINT64:
    case PROTO_SFIXED64:
    case PROTO_UINT32:
    case PROTO_FIXED32:
        return OID_INT8;
    case PROTO_UINT64:
    case PROTO_FIXED64:
        return OID_NUMERIC;
    case PROTO_INT32:
    case PROTO_SINT32:
    case PROTO_SFIXED32:
        return OID_INT4;
    case PROTO_BOOL:
        return OID_BOOL;
    case PROTO_BYTES:
        return OID_BYTEA;
    default:
        return OID_TEXT;
    }
}

/* The value of a message as one of SQL; 0: it has none but JSON. */
static uint32_t known_oid(const struct proto_message *message)
{
    switch (message->known) {
    case PROTO_TIMESTAMP:
        return OID_TIMESTAMPTZ;
    case PROTO_DURATION:
        return OID_INTERVAL;
    case PROTO_DATE:
        return OID_DATE;
    case PROTO_DECIMAL:
        return OID_NUMERIC;
    case PROTO_WRAPPER:
        return message->count == 1 && !is_message(&message->fields[0]) ? scalar_oid(message->fields[0].kind)
                                                                       : 0;
    default:
        return 0;
    }
}

/* Of one element; 0: JSON. */
static uint32_t element_oid(const struct proto_field *field)
{
    return is_message(field) ? known_oid(field->message) : scalar_oid(field->kind);
}

struct sql_type proto_natural(const struct proto_field *field)
{
    uint32_t oid = field->is_map ? 0 : element_oid(field);
    if (oid != 0 && field->is_repeated)
        oid = type_find(oid)->array_oid;
    return (struct sql_type){oid != 0 ? oid : OID_JSONB, -1};
}

/* ---- programs ---- */

enum action_kind { ACTION_VALUE, ACTION_ARRAY, ACTION_RENDER, ACTION_DEEPER, ACTION_REFUSE };

struct plan;

struct action {
    enum action_kind kind;
    uint32_t column; /* in the batch */
    uint32_t state; /* ACTION_ARRAY and ACTION_RENDER: which list of occurrences; ACTION_DEEPER: which mark */
    struct sql_type type, natural;
    const char *column_name;
    struct plan *deeper;
    struct action *next;
};

struct slot {
    const struct proto_field *field;
    struct action *actions;
};

struct plan {
    const struct proto_message *message;
    uint32_t slots_count, slots_cap;
    struct slot *slots;
    uint32_t direct[DIRECT_FIELDS_MAX]; /* slot by field number */
};

struct proto_program {
    struct plan *root;
    uint32_t states_count, marks_count;
    const struct action **lists; /* by state: their action, */
    const struct proto_field **list_fields;
    const char **unread;
    struct sql_type *unread_types;
    uint32_t unread_count;
};

struct compile {
    struct arena *arena;
    struct proto_program *program;
    uint32_t lists_cap;
};

static struct slot *plan_slot(struct compile *self, struct plan *plan, const struct proto_field *field)
{
    for (uint32_t i = 0; i < plan->slots_count; i++) {
        if (plan->slots[i].field == field)
            return &plan->slots[i];
    }
    struct slot slot = {.field = field};
    ARENA_PUSH(self->arena, plan->slots, plan->slots_count, plan->slots_cap, slot);
    if (field->number < DIRECT_FIELDS_MAX)
        plan->direct[field->number] = plan->slots_count - 1;
    return &plan->slots[plan->slots_count - 1];
}

static struct plan *new_plan(struct compile *self, const struct proto_message *message)
{
    struct plan *plan = ARENA_NEW(self->arena, struct plan);
    plan->message = message;
    for (uint32_t i = 0; i < DIRECT_FIELDS_MAX; i++)
        plan->direct[i] = NO_SLOT;
    return plan;
}

static const struct proto_field *find_field(const struct proto_message *message, const char *name, bool fold)
{
    const struct proto_field *alike = NULL;
    uint32_t alike_count = 0;
    for (uint32_t i = 0; name != NULL && i < message->count; i++) {
        if (strcmp(message->fields[i].name, name) == 0)
            return &message->fields[i];
        if (strcasecmp(message->fields[i].name, name) == 0) {
            alike = &message->fields[i];
            alike_count++;
        }
    }
    return fold && alike_count == 1 ? alike : NULL;
}

/* A list of the occurrences of a repeated field or of messages, read at the end of the record. */
static uint32_t new_list(struct compile *self, const struct action *action, const struct proto_field *field)
{
    struct proto_program *program = self->program;
    uint32_t cap = self->lists_cap, count = program->states_count;
    ARENA_PUSH(self->arena, program->lists, program->states_count, self->lists_cap, action);
    ARENA_PUSH(self->arena, program->list_fields, count, cap, field);
    return program->states_count - 1;
}

static void add_store(struct compile *self, struct slot *slot, struct proto_target *target)
{
    const struct proto_field *field = slot->field;
    struct sql_type type = target->column->type, natural = proto_natural(field);
    struct action *action = ARENA_NEW(self->arena, struct action);
    bool is_json = type.oid == OID_JSON || type.oid == OID_JSONB;
    bool is_plain_text = field->kind == PROTO_STRING && !field->is_repeated;
    bool renders = natural.oid == OID_JSONB || (is_json && !is_plain_text);
    enum convert_fit fit = renders && is_json ? CONVERT_EXACT : convert_fit(natural, type);
    *action = (struct action){.kind = fit == CONVERT_NEVER ? ACTION_REFUSE
                                      : renders            ? ACTION_RENDER
                                      : field->is_repeated ? ACTION_ARRAY
                                                           : ACTION_VALUE,
                              .column = target->index,
                              .type = type,
                              .natural = natural,
                              .column_name = target->column->name,
                              .next = slot->actions};
    slot->actions = action;
    if (action->kind == ACTION_ARRAY || action->kind == ACTION_RENDER)
        action->state = new_list(self, action, field);
    target->is_found = true;
    target->fit = fit;
    target->natural = natural;
    target->type = is_message(field) ? field->message->name : type_find(natural.oid)->sql_name;
}

static void add_target(struct compile *self, struct plan *plan, struct proto_target *target, uint32_t at)
{
    for (;; at++) {
        const struct proto_field *field =
            find_field(plan->message, target->parts[at].name, target->column->path == NULL);
        if (field == NULL)
            return;
        struct slot *slot = plan_slot(self, plan, field);
        if (at + 1 == target->parts_count) {
            add_store(self, slot, target);
            return;
        }
        if (field->is_repeated || !is_message(field))
            return;
        struct action *action = slot->actions;
        while (action != NULL && action->kind != ACTION_DEEPER)
            action = action->next;
        if (action == NULL) {
            action = ARENA_NEW(self->arena, struct action);
            *action = (struct action){.kind = ACTION_DEEPER,
                                      .deeper = new_plan(self, field->message),
                                      .state = self->program->marks_count++,
                                      .next = slot->actions};
            slot->actions = action;
        }
        plan = action->deeper;
    }
}

/* A member of a oneof that nobody wants still takes the place of one that somebody does. */
static void add_oneofs(struct compile *self, struct plan *plan)
{
    uint32_t wanted = plan->slots_count;
    for (uint32_t i = 0; i < wanted; i++) {
        int32_t oneof = plan->slots[i].field->oneof;
        for (uint32_t k = 0; oneof >= 0 && k < plan->message->count; k++) {
            if (plan->message->fields[k].oneof == oneof)
                plan_slot(self, plan, &plan->message->fields[k]);
        }
        for (struct action *action = plan->slots[i].actions; action != NULL; action = action->next) {
            if (action->kind == ACTION_DEEPER)
                add_oneofs(self, action->deeper);
        }
    }
}

struct proto_program *proto_program_make(struct arena *arena, const struct proto_message *message,
                                         struct proto_target *targets, uint32_t targets_count)
{
    struct proto_program *program = ARENA_NEW(arena, struct proto_program);
    struct compile self = {.arena = arena, .program = program};
    program->root = new_plan(&self, message);
    for (uint32_t i = 0; i < targets_count; i++) {
        targets[i].is_found = false;
        targets[i].fit = CONVERT_EXACT;
        targets[i].type = NULL;
        if (targets[i].parts_count > 0)
            add_target(&self, program->root, &targets[i], 0);
    }
    add_oneofs(&self, program->root);
    program->unread = ARENA_ARRAY(arena, const char *, message->count);
    program->unread_types = ARENA_ARRAY(arena, struct sql_type, message->count);
    for (uint32_t i = 0; i < message->count; i++) {
        bool is_read = false;
        for (uint32_t k = 0; k < program->root->slots_count; k++)
            is_read |= program->root->slots[k].field == &message->fields[i] &&
                       program->root->slots[k].actions != NULL;
        if (is_read)
            continue;
        program->unread_types[program->unread_count] = proto_natural(&message->fields[i]);
        program->unread[program->unread_count++] = message->fields[i].name;
    }
    return program;
}

const char *const *proto_program_unread(const struct proto_program *program, const struct sql_type **types,
                                        uint32_t *count)
{
    *count = program->unread_count;
    *types = program->unread_types;
    return program->unread;
}

/* ---- the wire ---- */

/* One occurrence of a field. */
struct wire {
    uint32_t number;
    uint32_t type; /* 0 varint, 1 64 bits, 2 bytes, 3 a group's bytes, 5 32 bits */
    uint64_t bits;
    const uint8_t *bytes;
    size_t len;
};

struct occurrence {
    uint32_t order; /* of the field in its message, or the list's state */
    struct wire wire;
};

struct proto_scratch {
    struct occurrence *occurrences;
    size_t count, cap;
    struct datum *elements;
    size_t elements_cap;
    uint8_t *marks;
    size_t marks_cap;
    struct strbuf text;
};

struct proto_scratch *proto_scratch_create(void)
{
    return mem_zalloc(sizeof(struct proto_scratch));
}

void proto_scratch_destroy(struct proto_scratch *scratch)
{
    if (scratch == NULL)
        return;
    mem_free(scratch->occurrences);
    mem_free(scratch->elements);
    mem_free(scratch->marks);
    strbuf_release(&scratch->text);
    mem_free(scratch);
}

struct run {
    const struct proto_program *program;
    struct proto_scratch *scratch;
    const uint8_t *start;
    struct batch *out;
    uint32_t row;
    struct arena *arena;
    struct error *err;
};

static bool bad(struct run *r, const uint8_t *at, const char *what)
{
    error_set(r->err, ERRCODE_INVALID_BINARY_REPRESENTATION, "%s at byte %zu", what, (size_t)(at - r->start));
    return false;
}

static inline bool read_varint(const uint8_t **at, const uint8_t *end, uint64_t *out)
{
    const uint8_t *p = *at;
    if (LIKELY(p < end && *p < 0x80)) {
        *out = *p;
        *at = p + 1;
        return true;
    }
    uint64_t bits = 0;
    for (unsigned shift = 0; shift < 70 && p < end; shift += 7) {
        uint8_t byte = *p++;
        bits |= shift < 63 ? (uint64_t)(byte & 0x7f) << shift : (uint64_t)(byte & 1) << 63;
        if (byte < 0x80) {
            *out = bits;
            *at = p;
            return true;
        }
    }
    return false;
}

static bool read_wire(struct run *r, const uint8_t **at, const uint8_t *end, struct wire *out, int depth);

/* The bytes of a group, up to its end tag, which is stepped over. */
static bool read_group(struct run *r, const uint8_t **at, const uint8_t *end, struct wire *out, int depth)
{
    out->bytes = *at;
    if (depth > DEPTH_MAX)
        return error_set(r->err, ERRCODE_STATEMENT_TOO_COMPLEX, "a message is nested deeper than %d levels",
                         DEPTH_MAX);
    for (;;) {
        const uint8_t *before = *at, *peek = *at;
        uint64_t tag;
        struct wire inner;
        if (!read_varint(&peek, end, &tag))
            return bad(r, before, "the record ends within a group");
        if ((tag & 7) == 4) {
            if (tag >> 3 != out->number)
                return bad(r, before, "a group ends that was not begun");
            out->len = (size_t)(before - out->bytes);
            *at = peek;
            return true;
        }
        if (!read_wire(r, at, end, &inner, depth + 1))
            return false;
    }
}

static bool read_wire(struct run *r, const uint8_t **at, const uint8_t *end, struct wire *out, int depth)
{
    uint64_t tag;
    const uint8_t *before = *at;
    if (UNLIKELY(!read_varint(at, end, &tag) || tag >> 3 == 0 || tag >> 3 > 536870911))
        return bad(r, before, "no number of a field");
    out->number = (uint32_t)(tag >> 3);
    out->type = (uint32_t)(tag & 7);
    switch (out->type) {
    case 0:
        return read_varint(at, end, &out->bits) || bad(r, *at, "the record ends within a number");
    case 1:
        if (end - *at < 8)
            break;
        memcpy(&out->bits, *at, 8);
        *at += 8;
        return true;
    case 2: {
        uint64_t len;
        if (!read_varint(at, end, &len))
            return bad(r, *at, "the record ends within a length");
        if (len > (uint64_t)(end - *at))
            return bad(r, *at, "a length beyond the end of the record");
        out->bytes = *at;
        out->len = (size_t)len;
        *at += len;
        return len <= VALUE_BYTES_MAX || bad(r, *at, "a value that is too long");
    }
    case 3:
        return read_group(r, at, end, out, depth);
    case 5: {
        uint32_t bits;
        if (end - *at < 4)
            break;
        memcpy(&bits, *at, 4);
        out->bits = bits;
        *at += 4;
        return true;
    }
    default:
        return bad(r, before, "an unknown kind of field");
    }
    return bad(r, *at, "the record ends within a number");
}

/* How a kind stands on the wire when it is not packed. */
static uint32_t wire_type(enum proto_kind kind)
{
    switch (kind) {
    case PROTO_DOUBLE:
    case PROTO_FIXED64:
    case PROTO_SFIXED64:
        return 1;
    case PROTO_FLOAT:
    case PROTO_FIXED32:
    case PROTO_SFIXED32:
        return 5;
    case PROTO_STRING:
    case PROTO_BYTES:
    case PROTO_MESSAGE:
        return 2;
    case PROTO_GROUP:
        return 3;
    default:
        return 0;
    }
}

static bool is_packable(enum proto_kind kind)
{
    return wire_type(kind) == 0 || wire_type(kind) == 1 || wire_type(kind) == 5;
}

/* ---- values ---- */

static void set_enum(struct run *r, const struct proto_enum *enumeration, int32_t number, struct datum *out)
{
    uint32_t low = 0, high = enumeration->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (enumeration->numbers[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < enumeration->count && enumeration->numbers[low] == number) {
        out->var = varlen_view(enumeration->names[low], (uint32_t)strlen(enumeration->names[low]));
        return;
    }
    char text[16]; /* one that the schema does not know yet */
    int len = snprintf(text, sizeof(text), "%d", number);
    *out = datum_text(r->arena, text, (size_t)len);
}

static void set_u64(struct run *r, uint64_t value, struct datum *out)
{
    out->var = numeric_pack_small(r->arena, (__int128)value, 0);
}

static bool read_scalar(struct run *r, const struct proto_field *field, const struct wire *wire,
                        struct datum *out)
{
    memset(out, 0, sizeof(*out));
    uint64_t bits = wire->bits;
    switch (field->kind) {
    case PROTO_DOUBLE:
        memcpy(&out->f64, &bits, 8);
        return true;
    case PROTO_FLOAT: {
        uint32_t half = (uint32_t)bits;
        memcpy(&out->f32, &half, 4);
        return true;
    }
    case PROTO_INT64:
    case PROTO_SFIXED64:
        out->i64 = (int64_t)bits;
        return true;
    case PROTO_SINT64:
        out->i64 = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
        return true;
    case PROTO_UINT64:
    case PROTO_FIXED64:
        set_u64(r, bits, out);
        return true;
    case PROTO_INT32:
    case PROTO_SFIXED32:
        out->i32 = (int32_t)(uint32_t)bits;
        return true;
    case PROTO_SINT32: {
        uint32_t half = (uint32_t)bits;
        out->i32 = (int32_t)(half >> 1) ^ -(int32_t)(half & 1);
        return true;
    }
    case PROTO_UINT32:
    case PROTO_FIXED32:
        out->i64 = (uint32_t)bits;
        return true;
    case PROTO_BOOL:
        out->boolean = bits != 0;
        return true;
    case PROTO_ENUM:
        set_enum(r, field->enumeration, (int32_t)(uint32_t)bits, out);
        return true;
    case PROTO_STRING:
        out->var = varlen_view(wire->bytes, (uint32_t)wire->len);
        return text_check_utf8((const char *)wire->bytes, wire->len, r->err);
    default:
        out->var = varlen_view(wire->bytes, (uint32_t)wire->len);
        return true;
    }
}

/* The last occurrence of each of a message's fields 1 to count, all varints or bytes. */
static bool read_small(struct run *r, const struct wire *from, uint32_t count, struct wire *out)
{
    const uint8_t *at = from->bytes, *end = at + from->len;
    memset(out, 0, sizeof(*out) * count);
    while (at < end) {
        struct wire wire = {0};
        if (!read_wire(r, &at, end, &wire, 0))
            return false;
        if (wire.number >= 1 && wire.number <= count)
            out[wire.number - 1] = wire;
    }
    return true;
}

static bool read_known(struct run *r, const struct proto_message *message, const struct wire *wire,
                       struct datum *out)
{
    struct wire parts[3];
    memset(out, 0, sizeof(*out));
    if (!read_small(r, wire, 3, parts))
        return false;
    int64_t seconds = (int64_t)parts[0].bits;
    int32_t nanos = (int32_t)(uint32_t)parts[1].bits, small = nanos / 1000 - (nanos % 1000 < 0);
    switch (message->known) {
    case PROTO_TIMESTAMP:
        if (__builtin_mul_overflow(seconds, US_PER_SECOND, &out->i64) ||
            __builtin_add_overflow(out->i64, small, &out->i64))
            return error_set(r->err, ERRCODE_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
        return convert_unix_us(out->i64, &out->i64, r->err);
    case PROTO_DURATION:
        if (__builtin_mul_overflow(seconds, US_PER_SECOND, &out->interval.us) ||
            __builtin_add_overflow(out->interval.us, nanos / 1000, &out->interval.us))
            return error_set(r->err, ERRCODE_DATETIME_FIELD_OVERFLOW, "interval out of range");
        return true;
    case PROTO_DATE: {
        int64_t year = seconds, month = (int64_t)parts[1].bits, day = (int64_t)parts[2].bits;
        if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1 ||
            day > days_of_month((int32_t)year, (int32_t)month))
            return error_set(r->err, ERRCODE_DATETIME_FIELD_OVERFLOW, "date out of range");
        out->i32 = days_from_civil((int32_t)year, (int32_t)month, (int32_t)day);
        return true;
    }
    case PROTO_DECIMAL: {
        int64_t scale = (int32_t)(uint32_t)parts[2].bits;
        if (scale < 0 || scale > 16383)
            return error_set(r->err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "a decimal with scale %lld",
                             (long long)scale);
        return convert_decimal(parts[0].bytes, parts[0].type == 2 ? parts[0].len : 0, (int32_t)scale,
                               r->arena, &out->var, r->err);
    }
    default: { /* a wrapper, whose absent field is its default */
        const struct proto_field *field = &message->fields[0];
        if (parts[0].number == 0 || parts[0].type != wire_type(field->kind))
            parts[0] = (struct wire){.bytes = (const uint8_t *)""};
        return read_scalar(r, field, &parts[0], out);
    }
    }
}

static bool read_value(struct run *r, const struct proto_field *field, const struct wire *wire,
                       struct datum *out)
{
    return is_message(field) ? read_known(r, field->message, wire, out) : read_scalar(r, field, wire, out);
}

static void default_value(struct run *r, const struct proto_field *field, struct datum *out)
{
    memset(out, 0, sizeof(*out));
    switch (field->kind) {
    case PROTO_DOUBLE:
        out->f64 = field->default_float;
        break;
    case PROTO_FLOAT:
        out->f32 = (float)field->default_float;
        break;
    case PROTO_BOOL:
        out->boolean = field->default_number != 0;
        break;
    case PROTO_ENUM:
        set_enum(r, field->enumeration, (int32_t)field->default_number, out);
        break;
    case PROTO_UINT64:
    case PROTO_FIXED64:
        set_u64(r, (uint64_t)field->default_number, out);
        break;
    case PROTO_INT32:
    case PROTO_SINT32:
    case PROTO_SFIXED32:
        out->i32 = (int32_t)field->default_number;
        break;
    case PROTO_STRING:
    case PROTO_BYTES:
        out->var = varlen_view(field->default_bytes, (uint32_t)field->default_len);
        break;
    default:
        out->i64 = field->default_number;
    }
}

/* Is an absent one its default, and not NULL? */
static bool has_value_when_absent(const struct proto_field *field)
{
    return !is_message(field) && !field->is_repeated && (!field->has_presence || field->has_default);
}

/* ---- JSON ---- */

static bool note(struct run *r, uint32_t order, const struct wire *wire)
{
    struct proto_scratch *scratch = r->scratch;
    if (scratch->count == scratch->cap) {
        scratch->cap = scratch->cap == 0 ? 64 : scratch->cap * 2;
        scratch->occurrences = mem_realloc(scratch->occurrences, scratch->cap * sizeof(struct occurrence));
    }
    scratch->occurrences[scratch->count++] = (struct occurrence){.order = order, .wire = *wire};
    return true;
}

/* The next number of a packed field. */
static bool read_packed(struct run *r, const struct proto_field *field, const uint8_t **at,
                        const uint8_t *end, struct wire *out)
{
    uint32_t type = wire_type(field->kind), bytes = type == 1 ? 8 : 4;
    if (type == 0 ? !read_varint(at, end, &out->bits) : (size_t)(end - *at) < bytes)
        return bad(r, *at, "the record ends within a number");
    if (type != 0) {
        out->bits = 0;
        memcpy(&out->bits, *at, bytes);
        *at += bytes;
    }
    return true;
}

static bool render_message(struct run *r, const struct proto_message *message, const struct wire *parts,
                           size_t parts_count, struct strbuf *out, int depth);

/* Elements of one occurrence: several when it is packed. *first: nothing was written yet. */
static bool render_elements(struct run *r, const struct proto_field *field, const struct wire *wire,
                            struct strbuf *out, bool *first, int depth)
{
    uint32_t oid = element_oid(field);
    const uint8_t *at = wire->bytes, *end = at + wire->len;
    bool packed = field->is_repeated && wire->type == 2 && is_packable(field->kind);
    do {
        struct wire one = *wire;
        struct datum value;
        if (packed && at == end)
            return true;
        if (packed && !read_packed(r, field, &at, end, &one))
            return false;
        if (!*first)
            strbuf_adds(out, ", ");
        *first = false;
        if (oid == 0) {
            if (!render_message(r, field->message, &one, 1, out, depth + 1))
                return false;
            continue;
        }
        if (!read_value(r, field, &one, &value))
            return false;
        json_encode(oid, &value, &io_env_default, false, out);
    } while (packed);
    return true;
}

/* An entry of a map, as a member. */
static bool render_entry(struct run *r, const struct proto_field *field, const struct wire *wire,
                         struct strbuf *out, int depth)
{
    const struct proto_field *key = &field->message->fields[0], *value = &field->message->fields[1];
    struct wire parts[2];
    struct datum datum;
    bool first = true;
    if (!read_small(r, wire, 2, parts))
        return false;
    if (parts[0].number != 0 && parts[0].type == wire_type(key->kind)) {
        if (!read_scalar(r, key, &parts[0], &datum))
            return false;
    } else {
        default_value(r, key, &datum);
    }
    struct strbuf text = STRBUF_INIT;
    type_output(scalar_oid(key->kind), &datum, &io_env_default, &text);
    if (key->kind == PROTO_BOOL) {
        strbuf_reset(&text);
        strbuf_adds(&text, datum.boolean ? "true" : "false");
    }
    json_write_string(strbuf_text(&text), text.len, out);
    strbuf_release(&text);
    strbuf_adds(out, ": ");
    if (parts[1].number != 0 && parts[1].type == wire_type(value->kind))
        return render_elements(r, value, &parts[1], out, &first, depth);
    if (is_message(value)) {
        struct wire empty = {.type = 2, .bytes = (const uint8_t *)""};
        return render_elements(r, value, &empty, out, &first, depth);
    }
    default_value(r, value, &datum);
    json_encode(scalar_oid(value->kind), &datum, &io_env_default, false, out);
    return true;
}

/* All occurrences of a field. */
static bool render_field(struct run *r, const struct proto_field *field, size_t first_at, size_t count,
                         struct strbuf *out, int depth)
{
    bool first = true;
    if (!field->is_repeated && is_message(field) && element_oid(field) == 0) {
        struct wire *parts = mem_alloc(sizeof(*parts) * (count + 1)); /* merged */
        for (size_t i = 0; i < count; i++)
            parts[i] = r->scratch->occurrences[first_at + i].wire;
        bool ok = render_message(r, field->message, parts, count, out, depth + 1);
        mem_free(parts);
        return ok;
    }
    if (!field->is_repeated) {
        struct wire last = r->scratch->occurrences[first_at + count - 1].wire;
        return render_elements(r, field, &last, out, &first, depth);
    }
    strbuf_addc(out, field->is_map ? '{' : '[');
    for (size_t i = 0; i < count; i++) {
        struct wire wire = r->scratch->occurrences[first_at + i].wire; /* the array may move below */
        if (field->is_map) {
            if (i > 0)
                strbuf_adds(out, ", ");
            if (!render_entry(r, field, &wire, out, depth))
                return false;
        } else if (!render_elements(r, field, &wire, out, &first, depth)) {
            return false;
        }
    }
    strbuf_addc(out, field->is_map ? '}' : ']');
    return true;
}

static bool fits_wire(const struct proto_field *field, const struct wire *wire)
{
    return wire->type == wire_type(field->kind) ||
           (field->is_repeated && wire->type == 2 && is_packable(field->kind));
}

/* google.protobuf.Struct, Value and ListValue are the JSON they stand for. */
static bool render_json_kind(struct run *r, const struct proto_message *message, size_t base, size_t count,
                             struct strbuf *out, int depth)
{
    const struct proto_scratch *scratch = r->scratch;
    if (message->known == PROTO_VALUE) {
        bool first = true;
        if (count == 0) {
            strbuf_adds(out, "null");
            return true;
        }
        const struct occurrence *last = &scratch->occurrences[base + count - 1];
        const struct proto_field *field = &message->fields[last->order];
        if (field->kind == PROTO_ENUM) {
            strbuf_adds(out, "null");
            return true;
        }
        struct wire wire = last->wire;
        return render_elements(r, field, &wire, out, &first, depth);
    }
    if (count == 0) {
        strbuf_adds(out, message->known == PROTO_STRUCT ? "{}" : "[]");
        return true;
    }
    return render_field(r, &message->fields[0], base, count, out, depth);
}

static bool render_message(struct run *r, const struct proto_message *message, const struct wire *parts,
                           size_t parts_count, struct strbuf *out, int depth)
{
    struct proto_scratch *scratch = r->scratch;
    size_t base = scratch->count;
    if (depth > DEPTH_MAX)
        return error_set(r->err, ERRCODE_STATEMENT_TOO_COMPLEX, "a message is nested deeper than %d levels",
                         DEPTH_MAX);
    for (size_t p = 0; p < parts_count; p++) {
        const uint8_t *at = parts[p].bytes, *end = at + parts[p].len;
        while (at < end) {
            struct wire wire = {0};
            if (!read_wire(r, &at, end, &wire, depth))
                return false;
            for (uint32_t i = 0; i < message->count; i++) {
                if (message->fields[i].number == wire.number && fits_wire(&message->fields[i], &wire))
                    note(r, i, &wire);
            }
        }
    }
    size_t count = scratch->count - base;
    if (message->known == PROTO_STRUCT || message->known == PROTO_VALUE ||
        message->known == PROTO_LIST_VALUE) {
        bool ok = render_json_kind(r, message, base, count, out, depth);
        scratch->count = base;
        return ok;
    }
    size_t sorted = scratch->count; /* the field's occurrences, one behind the other */
    bool first = true;
    strbuf_addc(out, '{');
    for (uint32_t i = 0; i < message->count; i++) {
        const struct proto_field *field = &message->fields[i];
        scratch->count = sorted;
        int32_t last_oneof = -1;
        for (size_t k = 0; k < count; k++) {
            struct occurrence occurrence = scratch->occurrences[base + k];
            if (occurrence.order == i)
                note(r, i, &occurrence.wire);
            if (field->oneof >= 0 && message->fields[occurrence.order].oneof == field->oneof)
                last_oneof = (int32_t)occurrence.order;
        }
        size_t own = scratch->count - sorted;
        bool is_absent = own == 0 || (last_oneof >= 0 && last_oneof != (int32_t)i);
        if (is_absent && !field->is_repeated && !has_value_when_absent(field))
            continue;
        if (!first)
            strbuf_adds(out, ", ");
        first = false;
        json_write_string(field->name, strlen(field->name), out);
        strbuf_adds(out, ": ");
        if (is_absent && !field->is_repeated) {
            struct datum value;
            default_value(r, field, &value);
            json_encode(scalar_oid(field->kind), &value, &io_env_default, false, out);
        } else if (!render_field(r, field, sorted, own, out, depth)) {
            return false;
        }
    }
    scratch->count = base;
    strbuf_addc(out, '}');
    return true;
}

/* ---- columns ---- */

static bool explain(struct run *r, const struct action *action)
{
    struct error inner = *r->err;
    error_set(r->err, inner.code, "column \"%s\": %s", action->column_name, inner.message);
    error_detail(r->err, "%s", inner.detail);
    return false;
}

static bool store(struct run *r, const struct action *action, struct sql_type from, const struct datum *value)
{
    struct datum converted;
    if (!convert_value(from, value, action->type, r->arena, &converted, r->err))
        return false;
    column_set(&r->out->columns[action->column], r->row, &converted, r->out->capacity, r->arena);
    return true;
}

static bool refuse(struct run *r, const struct action *action, const struct proto_field *field)
{
    struct strbuf type = STRBUF_INIT;
    type_format(action->type.oid, action->type.typmod, &type);
    error_set(r->err, ERRCODE_DATATYPE_MISMATCH, "field \"%s\" does not fit type %s", field->name,
              strbuf_text(&type));
    strbuf_release(&type);
    return false;
}

static bool run_plan(struct run *r, const struct plan *plan, const uint8_t *bytes, size_t len, int depth);

static void set_nulls(struct run *r, const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->slots_count; i++) {
        for (const struct action *action = plan->slots[i].actions; action != NULL; action = action->next) {
            if (action->kind == ACTION_DEEPER) {
                r->scratch->marks[action->state] = 0;
                set_nulls(r, action->deeper);
            } else {
                column_set_null(&r->out->columns[action->column], r->row, r->out->capacity, r->arena);
            }
        }
    }
}

/* Fields that are not NULL though absent. */
static bool set_defaults(struct run *r, const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->slots_count; i++) {
        const struct proto_field *field = plan->slots[i].field;
        for (const struct action *action = plan->slots[i].actions; action != NULL; action = action->next) {
            struct datum value;
            if (action->kind == ACTION_ARRAY) {
                value = (struct datum){
                    .var = array_make(r->arena, type_find(action->type.oid)->element_oid, NULL, 0)};
                column_set(&r->out->columns[action->column], r->row, &value, r->out->capacity, r->arena);
            } else if (action->kind == ACTION_RENDER && field->is_repeated) {
                value = datum_text(r->arena, field->is_map ? "{}" : "[]", 2);
                if (!store(r, action, (struct sql_type){OID_TEXT, -1}, &value))
                    return explain(r, action);
            } else if (has_value_when_absent(field) && action->kind == ACTION_RENDER) {
                struct strbuf *text = &r->scratch->text;
                strbuf_reset(text);
                default_value(r, field, &value);
                json_encode(scalar_oid(field->kind), &value, &io_env_default, false, text);
                value = datum_text(r->arena, strbuf_text(text), text->len);
                if (!store(r, action, (struct sql_type){OID_TEXT, -1}, &value))
                    return explain(r, action);
            } else if (has_value_when_absent(field) && action->kind == ACTION_VALUE) {
                default_value(r, field, &value);
                if (!store(r, action, action->natural, &value))
                    return explain(r, action);
            }
        }
    }
    return true;
}

static bool run_action(struct run *r, const struct action *action, const struct proto_field *field,
                       const struct wire *wire, int depth)
{
    struct datum value;
    switch (action->kind) {
    case ACTION_VALUE:
        return (read_value(r, field, wire, &value) && store(r, action, action->natural, &value)) ||
               explain(r, action);
    case ACTION_ARRAY:
    case ACTION_RENDER:
        return note(r, action->state, wire);
    case ACTION_REFUSE:
        return refuse(r, action, field) || explain(r, action);
    case ACTION_DEEPER:
        if (!r->scratch->marks[action->state]) {
            r->scratch->marks[action->state] = 1;
            if (!set_defaults(r, action->deeper))
                return false;
        }
        return run_plan(r, action->deeper, wire->bytes, wire->len, depth + 1);
    }
    return false;
}

/* Another member of the oneof was there before. */
static void clear_oneof(struct run *r, const struct plan *plan, const struct proto_field *field)
{
    struct proto_scratch *scratch = r->scratch;
    for (uint32_t i = 0; i < plan->slots_count; i++) {
        const struct slot *slot = &plan->slots[i];
        if (slot->field->oneof != field->oneof || slot->field == field)
            continue;
        for (const struct action *action = slot->actions; action != NULL; action = action->next) {
            if (action->kind == ACTION_DEEPER) {
                scratch->marks[action->state] = 0;
                set_nulls(r, action->deeper);
                continue;
            }
            column_set_null(&r->out->columns[action->column], r->row, r->out->capacity, r->arena);
            for (size_t k = 0; action->kind == ACTION_RENDER && k < scratch->count; k++) {
                if (scratch->occurrences[k].order == action->state)
                    scratch->occurrences[k].order = NO_SLOT;
            }
        }
    }
}

static bool run_plan(struct run *r, const struct plan *plan, const uint8_t *bytes, size_t len, int depth)
{
    const uint8_t *at = bytes, *end = bytes + len;
    while (at < end) {
        struct wire wire;
        uint32_t slot_at = NO_SLOT;
        if (UNLIKELY(!read_wire(r, &at, end, &wire, depth)))
            return false;
        if (LIKELY(wire.number < DIRECT_FIELDS_MAX)) {
            slot_at = plan->direct[wire.number];
        } else {
            for (uint32_t i = 0; i < plan->slots_count; i++) {
                if (plan->slots[i].field->number == wire.number)
                    slot_at = i;
            }
        }
        if (slot_at == NO_SLOT)
            continue;
        const struct slot *slot = &plan->slots[slot_at];
        if (UNLIKELY(!fits_wire(slot->field, &wire)))
            continue; /* as of an unknown field */
        if (slot->field->oneof >= 0)
            clear_oneof(r, plan, slot->field);
        for (const struct action *action = slot->actions; action != NULL; action = action->next) {
            if (UNLIKELY(!run_action(r, action, slot->field, &wire, depth)))
                return false;
        }
    }
    return true;
}

/* The elements that an occurrence adds to an array. */
static bool add_elements(struct run *r, const struct action *action, const struct proto_field *field,
                         const struct wire *wire, size_t *count)
{
    struct proto_scratch *scratch = r->scratch;
    struct sql_type from = {element_oid(field), -1};
    struct sql_type to = {type_find(action->type.oid)->element_oid, action->type.typmod};
    bool packed = wire->type == 2 && is_packable(field->kind);
    const uint8_t *at = wire->bytes, *end = at + wire->len;
    do {
        struct wire one = *wire;
        struct datum value;
        if (packed && at == end)
            return true;
        if (packed && !read_packed(r, field, &at, end, &one))
            return false;
        if (*count == scratch->elements_cap) {
            scratch->elements_cap = *count == 0 ? 64 : *count * 2;
            scratch->elements = mem_realloc(scratch->elements, scratch->elements_cap * sizeof(struct datum));
        }
        if (!read_value(r, field, &one, &value) ||
            !convert_value(from, &value, to, r->arena, &scratch->elements[*count], r->err))
            return false;
        ++*count;
    } while (packed);
    return true;
}

static bool finish_list(struct run *r, const struct action *action, const struct proto_field *field,
                        size_t first, size_t count)
{
    struct proto_scratch *scratch = r->scratch;
    if (action->kind == ACTION_RENDER) {
        struct strbuf *text = &scratch->text;
        strbuf_reset(text);
        if (!render_field(r, field, first, count, text, 0))
            return explain(r, action);
        struct varlen canonical;
        if (!jsonb_parse(r->arena, strbuf_text(text), text->len, &canonical, r->err))
            return explain(r, action);
        struct datum value = {.var = canonical};
        return store(r, action, (struct sql_type){OID_TEXT, -1}, &value) || explain(r, action);
    }
    size_t elements = 0;
    for (size_t i = 0; i < count; i++) {
        if (!add_elements(r, action, field, &scratch->occurrences[first + i].wire, &elements))
            return explain(r, action);
    }
    struct datum array = {.var = array_make(r->arena, type_find(action->type.oid)->element_oid,
                                            scratch->elements, (uint32_t)elements)};
    column_set(&r->out->columns[action->column], r->row, &array, r->out->capacity, r->arena);
    return true;
}

/* Arrays and JSON, when all occurrences are known. */
static bool finish_lists(struct run *r)
{
    struct proto_scratch *scratch = r->scratch;
    size_t noted = scratch->count;
    for (uint32_t state = 0; noted > 0 && state < r->program->states_count; state++) {
        scratch->count = noted;
        for (size_t i = 0; i < noted; i++) {
            struct occurrence occurrence = scratch->occurrences[i];
            if (occurrence.order == state)
                note(r, state, &occurrence.wire);
        }
        if (scratch->count > noted &&
            !finish_list(r, r->program->lists[state], r->program->list_fields[state], noted,
                         scratch->count - noted))
            return false;
    }
    return true;
}

bool proto_program_run(const struct proto_program *program, struct proto_scratch *scratch,
                       const uint8_t *bytes, size_t len, struct batch *out, uint32_t row, struct error *err)
{
    struct error unused;
    struct run r = {.program = program,
                    .scratch = scratch,
                    .start = bytes,
                    .out = out,
                    .row = row,
                    .arena = out->arena,
                    .err = err != NULL ? err : &unused};
    error_init(r.err);
    scratch->count = 0;
    if (program->marks_count > scratch->marks_cap) {
        scratch->marks_cap = program->marks_count;
        scratch->marks = mem_realloc(scratch->marks, scratch->marks_cap);
    }
    if (program->marks_count > 0)
        memset(scratch->marks, 0, program->marks_count);
    return set_defaults(&r, program->root) && run_plan(&r, program->root, bytes, len, 0) && finish_lists(&r);
}
