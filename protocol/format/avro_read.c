/* avro_read.c: see avro_read.h.
 *
 * Fields of records within records follow each other in the bytes, so a program is flat but for unions, maps and arrays that
 * a path leads into. */
#include "protocol/format/avro_read.h"

#include "storage/data/array.h"
#include "storage/data/datetime_internal.h"
#include "storage/data/json.h"
#include "storage/data/json_encode.h"
#include "storage/data/numeric.h"
#include "storage/data/text_check.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Elements without bytes in one record: a few bytes may promise any number of them. */
#define EMPTY_ELEMENTS_MAX (1u << 20)

enum step_kind {
    STEP_SKIP,
    STEP_I32,       /* int to integer */
    STEP_I32_I64,   /* int to bigint */
    STEP_I64,       /* long to bigint */
    STEP_F32,       /* float to real */
    STEP_F64,       /* double to double precision */
    STEP_BOOL,      /* boolean */
    STEP_TEXT,      /* string to text */
    STEP_TIMESTAMP, /* any of them, to timestamps */
    STEP_VALUE,     /* any scalar, converted */
    STEP_ARRAY,     /* an array of scalars */
    STEP_RENDER,    /* anything as JSON */
    STEP_REFUSE,    /* no value fits */
    STEP_UNION,     /* a program per branch */
    STEP_SEVERAL,   /* programs that read the same value */
    STEP_SELECT,    /* programs for some entries of a map or an array */
};

struct steps {
    struct step *items;
    uint32_t count, cap;
};

struct selected {
    struct json_step part;
    struct steps steps;
};

struct step {
    enum step_kind kind;
    bool is_optional; /* a union of two stands before it: with null, at null_branch, it is left out */
    uint8_t null_branch;
    uint32_t column; /* in the batch */
    uint32_t count;
    struct sql_type type; /* of the column */
    const struct avro_node *node;
    union {
        struct steps *programs;    /* STEP_UNION, STEP_SEVERAL */
        struct selected *selected; /* STEP_SELECT */
    };
    const char *column_name; /* NULL: none */
    const char *field;       /* its path, for messages */
};

struct avro_program {
    struct steps steps;
    const char **unread;
    uint32_t unread_count;
};

void avro_scratch_release(struct avro_scratch *scratch)
{
    strbuf_release(&scratch->text);
    mem_free(scratch->elements);
    scratch->elements = NULL;
    scratch->elements_cap = 0;
}

/* ---- making programs ---- */

/* A target on the way to its place. */
struct want {
    struct avro_target *target;
    uint32_t at; /* parts gone through */
};

struct compile {
    struct arena *arena;
    bool in_union; /* of several values: text is text then, in JSON too */
};

static void compile(struct compile *self, struct steps *out, struct avro_node *node, const char *field,
                    struct want *wants, uint32_t count);

static struct step *add_step(struct compile *self, struct steps *out, enum step_kind kind,
                             const struct avro_node *node, const char *field)
{
    struct step step = {.kind = kind, .node = node, .field = field, .type = {0, -1}};
    ARENA_PUSH(self->arena, out->items, out->count, out->cap, step);
    return &out->items[out->count - 1];
}

static bool is_whole_number(uint32_t oid)
{
    return oid == OID_INT2 || oid == OID_INT4 || oid == OID_INT8 || oid == OID_NUMERIC;
}

/* The type in which a scalar is read for a column: dates and times as the numbers they are for columns of numbers. */
static struct sql_type read_as(const struct avro_node *node, struct sql_type column)
{
    if (is_whole_number(column.oid) && node->kind == AVRO_KIND_INT)
        return (struct sql_type){OID_INT4, -1};
    if (is_whole_number(column.oid) && node->kind == AVRO_KIND_LONG)
        return (struct sql_type){OID_INT8, -1};
    return node->natural;
}

static void found(struct avro_target *target, const struct avro_node *node, enum convert_fit fit)
{
    if (!target->is_found || fit < target->fit) {
        target->fit = fit;
        target->natural = read_as(node, target->column->type);
    }
    if (fit == CONVERT_NEVER)
        target->node = node;
    target->is_found = true;
}

static enum step_kind scalar_step(const struct avro_node *node, struct sql_type column)
{
    bool is_timestamp = node->logical == AVRO_TIMESTAMP || node->logical == AVRO_LOCAL_TIMESTAMP;
    if (column.typmod != -1)
        return STEP_VALUE;
    if (is_timestamp && (column.oid == OID_TIMESTAMP || column.oid == OID_TIMESTAMPTZ))
        return STEP_TIMESTAMP;
    struct sql_type natural = read_as(node, column);
    switch (node->kind) {
    case AVRO_KIND_INT:
        return natural.oid != OID_INT4  ? STEP_VALUE
               : column.oid == OID_INT4 ? STEP_I32
               : column.oid == OID_INT8 ? STEP_I32_I64
                                        : STEP_VALUE;
    case AVRO_KIND_LONG:
        return natural.oid == OID_INT8 && column.oid == OID_INT8 ? STEP_I64 : STEP_VALUE;
    case AVRO_KIND_FLOAT:
        return column.oid == OID_FLOAT4 ? STEP_F32 : STEP_VALUE;
    case AVRO_KIND_DOUBLE:
        return column.oid == OID_FLOAT8 ? STEP_F64 : STEP_VALUE;
    case AVRO_KIND_BOOLEAN:
        return column.oid == OID_BOOL ? STEP_BOOL : STEP_VALUE;
    case AVRO_KIND_STRING:
        return node->logical == AVRO_PLAIN && (column.oid == OID_TEXT || column.oid == OID_VARCHAR)
                   ? STEP_TEXT
                   : STEP_VALUE;
    default:
        return STEP_VALUE;
    }
}

/* A target whose place is this node. */
static void compile_store(struct compile *self, struct steps *out, struct avro_node *node, const char *field,
                          struct avro_target *target)
{
    const struct format_column *column = target->column;
    struct sql_type type = column->type;
    enum step_kind kind;
    enum convert_fit fit = CONVERT_EXACT;
    bool is_json = type.oid == OID_JSON || type.oid == OID_JSONB;
    if (node->kind == AVRO_KIND_NULL) {
        found(target, node, CONVERT_EXACT);
        add_step(self, out, STEP_SKIP, node, field);
        return;
    }
    if (avro_schema_is_scalar(node)) {
        bool is_text = node->kind == AVRO_KIND_STRING && node->logical == AVRO_PLAIN;
        kind = scalar_step(node, type);
        fit = convert_fit(read_as(node, type), type);
        if (is_json && !(is_text && !self->in_union)) {
            kind = STEP_RENDER;
            fit = CONVERT_EXACT;
        }
    } else if (node->kind == AVRO_KIND_ARRAY && type_is_array(type.oid) && type_is_array(node->natural.oid)) {
        kind = STEP_ARRAY;
        fit = convert_fit(node->natural, type);
    } else {
        kind = STEP_RENDER;
        if (!is_json)
            fit = convert_fit((struct sql_type){OID_JSONB, -1}, type);
    }
    found(target, node, fit);
    struct step *step = add_step(self, out, fit == CONVERT_NEVER ? STEP_REFUSE : kind, node, field);
    step->column = target->index;
    step->type = type;
    step->column_name = column->name;
}

static int32_t find_field(const struct avro_node *record, const struct want *want)
{
    const char *name = want->target->parts[want->at].name;
    int32_t alike = -1;
    uint32_t alike_count = 0;
    if (name == NULL)
        return -1;
    for (uint32_t i = 0; i < record->count; i++) {
        if (strcmp(record->names[i], name) == 0)
            return (int32_t)i;
        if (strcasecmp(record->names[i], name) == 0) {
            alike = (int32_t)i;
            alike_count++;
        }
    }
    /* a name that no path spells out stands for the one that differs only in case */
    return want->target->column->path == NULL && alike_count == 1 ? alike : -1;
}

static void compile_record(struct compile *self, struct steps *out, struct avro_node *node, const char *field,
                           struct want *wants, uint32_t count)
{
    struct want *inner = ARENA_ARRAY(self->arena, struct want, count);
    int32_t *places = ARENA_ARRAY(self->arena, int32_t, count);
    for (uint32_t k = 0; k < count; k++)
        places[k] = find_field(node, &wants[k]);
    for (uint32_t i = 0; i < node->count; i++) {
        uint32_t inner_count = 0;
        for (uint32_t k = 0; k < count; k++) {
            if (places[k] == (int32_t)i)
                inner[inner_count++] = (struct want){wants[k].target, wants[k].at + 1};
        }
        const char *name =
            field[0] != '\0' ? arena_printf(self->arena, "%s.%s", field, node->names[i]) : node->names[i];
        compile(self, out, node->nodes[i], name, inner, inner_count);
    }
}

static bool same_part(const struct json_step *a, const struct json_step *b)
{
    if ((a->name == NULL) != (b->name == NULL))
        return false;
    return a->name != NULL ? strcmp(a->name, b->name) == 0 : a->item == b->item;
}

/* Entries of a map by key, or of an array by number. */
static void compile_select(struct compile *self, struct steps *out, struct avro_node *node, const char *field,
                           struct want *wants, uint32_t count)
{
    bool is_map = node->kind == AVRO_KIND_MAP;
    struct selected *selected = ARENA_ARRAY(self->arena, struct selected, count);
    struct want *inner = ARENA_ARRAY(self->arena, struct want, count);
    uint32_t selected_count = 0;
    for (uint32_t k = 0; k < count; k++) {
        const struct json_step *part = &wants[k].target->parts[wants[k].at];
        bool done = (part->name != NULL) != is_map;
        for (uint32_t i = 0; i < k && !done; i++)
            done = same_part(part, &wants[i].target->parts[wants[i].at]);
        if (done)
            continue;
        uint32_t inner_count = 0;
        for (uint32_t i = k; i < count; i++) {
            if (same_part(part, &wants[i].target->parts[wants[i].at]))
                inner[inner_count++] = (struct want){wants[i].target, wants[i].at + 1};
        }
        struct selected *entry = &selected[selected_count++];
        entry->part = *part;
        const char *name = is_map ? arena_printf(self->arena, "%s.%s", field, part->name)
                                  : arena_printf(self->arena, "%s[%u]", field, part->item);
        compile(self, &entry->steps, node->nodes[0], name, inner, inner_count);
    }
    struct step *step = add_step(self, out, STEP_SELECT, node, field);
    step->selected = selected;
    step->count = selected_count;
}

static void compile_union(struct compile *self, struct steps *out, struct avro_node *node, const char *field,
                          struct want *wants, uint32_t count)
{
    bool is_pair = avro_schema_other(node) != node, was_in_union = self->in_union;
    struct steps *programs = ARENA_ARRAY(self->arena, struct steps, node->count);
    self->in_union |= !is_pair && node->count > 1;
    for (uint32_t i = 0; i < node->count; i++)
        compile(self, &programs[i], node->nodes[i], field, wants, count);
    self->in_union = was_in_union;
    const struct steps *other = is_pair ? &programs[1 - node->null_branch] : NULL;
    if (other != NULL && other->count == 1 && !other->items[0].is_optional) {
        struct step *step = add_step(self, out, STEP_SKIP, node, field);
        *step = other->items[0];
        step->is_optional = true;
        step->null_branch = (uint8_t)node->null_branch;
        return;
    }
    struct step *step = add_step(self, out, STEP_UNION, node, field);
    step->programs = programs;
    step->count = node->count;
}

static void compile_several(struct compile *self, struct steps *out, struct avro_node *node,
                            const char *field, struct want *ending, uint32_t ending_count,
                            struct want *deeper, uint32_t deeper_count)
{
    uint32_t programs_count = ending_count + (deeper_count > 0);
    struct steps *programs = ARENA_ARRAY(self->arena, struct steps, programs_count);
    for (uint32_t i = 0; i < ending_count; i++)
        compile(self, &programs[i], node, field, &ending[i], 1);
    if (deeper_count > 0)
        compile(self, &programs[ending_count], node, field, deeper, deeper_count);
    struct step *step = add_step(self, out, STEP_SEVERAL, node, field);
    step->programs = programs;
    step->count = programs_count;
}

static void compile(struct compile *self, struct steps *out, struct avro_node *node, const char *field,
                    struct want *wants, uint32_t count)
{
    struct want *ending = ARENA_ARRAY(self->arena, struct want, count);
    struct want *deeper = ARENA_ARRAY(self->arena, struct want, count);
    uint32_t ending_count = 0, deeper_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (wants[i].at == wants[i].target->parts_count)
            ending[ending_count++] = wants[i];
        else
            deeper[deeper_count++] = wants[i];
    }
    if (count == 0)
        add_step(self, out, STEP_SKIP, node, field);
    else if (ending_count > 1 || (ending_count == 1 && deeper_count > 0))
        compile_several(self, out, node, field, ending, ending_count, deeper, deeper_count);
    else if (node->kind == AVRO_KIND_UNION)
        compile_union(self, out, node, field, wants, count);
    else if (ending_count == 1)
        compile_store(self, out, node, field, ending[0].target);
    else if (node->kind == AVRO_KIND_RECORD)
        compile_record(self, out, node, field, deeper, deeper_count);
    else if (node->kind == AVRO_KIND_MAP || node->kind == AVRO_KIND_ARRAY)
        compile_select(self, out, node, field, deeper, deeper_count);
    else
        add_step(self, out, STEP_SKIP, node, field);
}

static void list_unread(struct compile *self, struct avro_program *program, struct avro_node *root,
                        const struct want *wants, uint32_t count)
{
    struct avro_node *record = avro_schema_other(root);
    if (record->kind != AVRO_KIND_RECORD)
        return;
    program->unread = ARENA_ARRAY(self->arena, const char *, record->count);
    bool *read = ARENA_ARRAY(self->arena, bool, record->count);
    for (uint32_t i = 0; i < count; i++) {
        if (wants[i].target->parts_count == 0)
            return;
        int32_t place = find_field(record, &wants[i]);
        if (place >= 0)
            read[place] = true;
    }
    for (uint32_t i = 0; i < record->count; i++) {
        if (!read[i])
            program->unread[program->unread_count++] = record->names[i];
    }
}

struct avro_program *avro_program_make(struct arena *arena, struct avro_node *root,
                                       struct avro_target *targets, uint32_t targets_count)
{
    struct compile self = {.arena = arena};
    struct avro_program *program = ARENA_NEW(arena, struct avro_program);
    struct want *wants = ARENA_ARRAY(arena, struct want, targets_count);
    for (uint32_t i = 0; i < targets_count; i++) {
        wants[i].target = &targets[i];
        targets[i].is_found = false;
        targets[i].fit = CONVERT_EXACT;
        targets[i].node = NULL;
    }
    compile(&self, &program->steps, root, "", wants, targets_count);
    list_unread(&self, program, root, wants, targets_count);
    return program;
}

const char *const *avro_program_unread(const struct avro_program *program, uint32_t *count)
{
    *count = program->unread_count;
    return program->unread;
}

/* ---- bytes ---- */

struct cursor {
    const uint8_t *at, *end, *start;
    struct arena *arena;
    struct batch *out;
    uint32_t row;
    uint32_t empty_elements;
    struct avro_scratch *scratch;
    struct error *err;
};

__attribute__((cold, noinline)) static void set_bad(struct cursor *c, const char *what)
{
    error_set(c->err, ERRCODE_INVALID_BINARY_REPRESENTATION, "%s at byte %zu", what,
              (size_t)(c->at - c->start));
}

static inline bool bad(struct cursor *c, const char *what)
{
    set_bad(c, what);
    return false;
}

__attribute__((noinline)) static bool read_long_slow(struct cursor *c, int64_t *out)
{
    uint64_t bits = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (c->at == c->end)
            return bad(c, "the record ends within a number");
        uint8_t byte = *c->at++;
        if (shift == 63 && byte > 1)
            return bad(c, "a number of more than 64 bits");
        bits |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
            return true;
        }
    }
    return bad(c, "a number of more than 64 bits");
}

static inline bool read_long(struct cursor *c, int64_t *out)
{
    if (LIKELY(c->end - c->at >= 2)) {
        uint32_t first = c->at[0], second = c->at[1];
        if (first < 0x80) {
            c->at++;
            *out = (int64_t)(first >> 1) ^ -(int64_t)(first & 1);
            return true;
        }
        if (second < 0x80) {
            uint32_t bits = (first & 0x7f) | second << 7;
            c->at += 2;
            *out = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
            return true;
        }
    }
    return read_long_slow(c, out);
}

static inline bool read_int(struct cursor *c, int32_t *out)
{
    int64_t value;
    if (UNLIKELY(!read_long(c, &value)))
        return false;
    *out = (int32_t)value;
    return LIKELY(*out == value) || bad(c, "an int of more than 32 bits");
}

static inline bool take(struct cursor *c, size_t len, const uint8_t **out)
{
    if (UNLIKELY((size_t)(c->end - c->at) < len))
        return bad(c, "the record ends within a value");
    *out = c->at;
    c->at += len;
    return true;
}

/* The bytes of a string or of bytes. */
static inline bool read_bytes(struct cursor *c, const uint8_t **out, uint32_t *len)
{
    int64_t bytes;
    if (UNLIKELY(!read_long(c, &bytes)))
        return false;
    if (UNLIKELY(bytes < 0 || bytes > c->end - c->at))
        return bad(c, "a length beyond the end of the record");
    if (UNLIKELY(bytes > VALUE_BYTES_MAX))
        return bad(c, "a value that is too long");
    *len = (uint32_t)bytes;
    *out = c->at;
    c->at += bytes;
    return true;
}

static inline bool read_text(struct cursor *c, const uint8_t **out, uint32_t *len)
{
    return read_bytes(c, out, len) && text_check_utf8((const char *)*out, *len, c->err);
}

/* The number of the next block's elements, 0 at the end; bytes: of the block, -1 when unknown. */
static bool read_block(struct cursor *c, const struct avro_node *item, uint64_t *count, int64_t *bytes)
{
    int64_t number;
    *bytes = -1;
    if (!read_long(c, &number))
        return false;
    if (number < 0) {
        if (number == INT64_MIN || !read_long(c, bytes))
            return number == INT64_MIN ? bad(c, "a block of too many elements") : false;
        if (*bytes < 0 || *bytes > c->end - c->at)
            return bad(c, "a block beyond the end of the record");
        number = -number;
    }
    *count = (uint64_t)number;
    if (item->least_bytes > 0 ? *count > (uint64_t)(c->end - c->at) / item->least_bytes
                              : *count > EMPTY_ELEMENTS_MAX - c->empty_elements)
        return bad(c, "a block of too many elements");
    if (item->least_bytes == 0)
        c->empty_elements += (uint32_t)*count;
    return true;
}

static bool read_branch(struct cursor *c, const struct avro_node *node, const struct avro_node **out)
{
    int64_t branch;
    if (!read_long(c, &branch))
        return false;
    if (branch < 0 || branch >= node->count)
        return bad(c, "a branch that the union does not have");
    *out = node->nodes[branch];
    return true;
}

static bool too_deep(struct cursor *c)
{
    return error_set(c->err, ERRCODE_STATEMENT_TOO_COMPLEX, "a record is nested deeper than %d levels",
                     NESTING_MAX);
}

static bool skip(struct cursor *c, const struct avro_node *node, int depth)
{
    const uint8_t *bytes;
    uint32_t len;
    int64_t number;
    if (UNLIKELY(depth > NESTING_MAX))
        return too_deep(c);
    switch (node->kind) {
    case AVRO_KIND_NULL:
        return true;
    case AVRO_KIND_BOOLEAN:
        return take(c, 1, &bytes);
    case AVRO_KIND_INT:
    case AVRO_KIND_LONG:
    case AVRO_KIND_ENUM:
        return read_long(c, &number);
    case AVRO_KIND_FLOAT:
        return take(c, 4, &bytes);
    case AVRO_KIND_DOUBLE:
        return take(c, 8, &bytes);
    case AVRO_KIND_BYTES:
    case AVRO_KIND_STRING:
        return read_bytes(c, &bytes, &len);
    case AVRO_KIND_FIXED:
        return take(c, node->fixed_bytes, &bytes);
    case AVRO_KIND_RECORD:
        for (uint32_t i = 0; i < node->count; i++) {
            if (!skip(c, node->nodes[i], depth + 1))
                return false;
        }
        return true;
    case AVRO_KIND_UNION:
        return read_branch(c, node, &node) && skip(c, node, depth + 1);
    case AVRO_KIND_ARRAY:
    case AVRO_KIND_MAP:
        for (;;) {
            uint64_t count;
            if (!read_block(c, node->nodes[0], &count, &number))
                return false;
            if (count == 0)
                return true;
            if (number >= 0) {
                c->at += number;
                continue;
            }
            for (uint64_t i = 0; i < count; i++) {
                if ((node->kind == AVRO_KIND_MAP && !read_bytes(c, &bytes, &len)) ||
                    !skip(c, node->nodes[0], depth + 1))
                    return false;
            }
        }
    }
    return false;
}

/* ---- single values ---- */

/* In microseconds; nanoseconds are rounded down. */
static inline bool to_us(struct cursor *c, int64_t value, int32_t unit, int64_t *out)
{
    *out = value;
    if (unit == -6)
        return true;
    if (unit == -9) {
        *out = value / 1000 - (value % 1000 < 0);
        return true;
    }
    return !__builtin_mul_overflow(value, 1000, out) ||
           error_set(c->err, ERRCODE_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
}

static inline bool read_timestamp(struct cursor *c, const struct avro_node *node, int64_t *out)
{
    int64_t value;
    return read_long(c, &value) && to_us(c, value, node->unit, &value) && convert_unix_us(value, out, c->err);
}

static bool read_fixed_or_bytes(struct cursor *c, const struct avro_node *node, const uint8_t **bytes,
                                uint32_t *len)
{
    if (node->kind != AVRO_KIND_FIXED)
        return read_bytes(c, bytes, len);
    *len = node->fixed_bytes;
    return take(c, node->fixed_bytes, bytes);
}

static bool read_binary(struct cursor *c, const struct avro_node *node, struct datum *out)
{
    const uint8_t *bytes;
    uint32_t len;
    if (!read_fixed_or_bytes(c, node, &bytes, &len))
        return false;
    switch (node->logical) {
    case AVRO_DECIMAL:
        return convert_decimal(bytes, len, node->scale, c->arena, &out->var, c->err);
    case AVRO_UUID:
        memcpy(out->fix16, bytes, 16);
        return true;
    case AVRO_DURATION: {
        uint32_t parts[3];
        memcpy(parts, bytes, sizeof(parts));
        out->interval = (struct interval){
            .months = (int32_t)parts[0], .days = (int32_t)parts[1], .us = (int64_t)parts[2] * 1000};
        return ((int32_t)parts[0] >= 0 && (int32_t)parts[1] >= 0) ||
               error_set(c->err, ERRCODE_DATETIME_FIELD_OVERFLOW, "interval out of range");
    }
    default:
        out->var = varlen_view(bytes, len);
        return true;
    }
}

static bool read_enum(struct cursor *c, const struct avro_node *node, struct datum *out)
{
    int64_t symbol;
    if (!read_long(c, &symbol))
        return false;
    if (symbol < 0 || symbol >= node->count)
        return bad(c, "a symbol that the enum does not have");
    out->var = varlen_view(node->names[symbol], (uint32_t)strlen(node->names[symbol]));
    return true;
}

/* A scalar as read_as says; variable bytes are borrowed. */
static bool read_scalar(struct cursor *c, const struct avro_node *node, uint32_t as, struct datum *out)
{
    const uint8_t *bytes;
    uint32_t len;
    int64_t number;
    memset(out, 0, sizeof(*out));
    switch (node->kind) {
    case AVRO_KIND_BOOLEAN:
        if (!take(c, 1, &bytes))
            return false;
        out->boolean = bytes[0] != 0;
        return bytes[0] <= 1 || bad(c, "a boolean that is neither 0 nor 1");
    case AVRO_KIND_INT:
        if (!read_int(c, &out->i32))
            return false;
        if (as == OID_INT4)
            return true;
        if (as == OID_DATE)
            return convert_unix_days(out->i32, &out->i32, c->err);
        number = out->i32;
        break;
    case AVRO_KIND_LONG:
        if (!read_long(c, &number))
            return false;
        if (as == OID_INT8) {
            out->i64 = number;
            return true;
        }
        break;
    case AVRO_KIND_FLOAT:
        if (!take(c, 4, &bytes))
            return false;
        memcpy(&out->f32, bytes, 4);
        return true;
    case AVRO_KIND_DOUBLE:
        if (!take(c, 8, &bytes))
            return false;
        memcpy(&out->f64, bytes, 8);
        return true;
    case AVRO_KIND_STRING:
        if (!read_text(c, &bytes, &len))
            return false;
        out->var = varlen_view(bytes, len);
        return node->logical != AVRO_UUID ||
               type_input(OID_UUID, -1, (const char *)bytes, len, &io_env_default, c->arena, out, c->err);
    case AVRO_KIND_ENUM:
        return read_enum(c, node, out);
    default:
        return read_binary(c, node, out);
    }
    /* times and timestamps */
    if (!to_us(c, number, node->unit, &out->i64))
        return false;
    if (node->logical == AVRO_TIME)
        return convert_time_us(out->i64, c->err);
    return convert_unix_us(out->i64, &out->i64, c->err);
}

/* ---- JSON ---- */

static bool render(struct cursor *c, const struct avro_node *node, struct strbuf *out, int depth);

static bool render_blocks(struct cursor *c, const struct avro_node *node, struct strbuf *out, int depth)
{
    bool is_map = node->kind == AVRO_KIND_MAP, first = true;
    strbuf_addc(out, is_map ? '{' : '[');
    for (;;) {
        uint64_t count;
        int64_t block;
        if (!read_block(c, node->nodes[0], &count, &block))
            return false;
        if (count == 0)
            break;
        for (uint64_t i = 0; i < count; i++, first = false) {
            const uint8_t *key;
            uint32_t len;
            if (!first)
                strbuf_adds(out, ", ");
            if (is_map) {
                if (!read_text(c, &key, &len))
                    return false;
                json_write_string((const char *)key, len, out);
                strbuf_adds(out, ": ");
            }
            if (!render(c, node->nodes[0], out, depth + 1))
                return false;
        }
    }
    strbuf_addc(out, is_map ? '}' : ']');
    return true;
}

static bool render(struct cursor *c, const struct avro_node *node, struct strbuf *out, int depth)
{
    struct datum value;
    if (UNLIKELY(depth > NESTING_MAX))
        return too_deep(c);
    switch (node->kind) {
    case AVRO_KIND_NULL:
        strbuf_adds(out, "null");
        return true;
    case AVRO_KIND_RECORD:
        strbuf_addc(out, '{');
        for (uint32_t i = 0; i < node->count; i++) {
            if (i > 0)
                strbuf_adds(out, ", ");
            json_write_string(node->names[i], strlen(node->names[i]), out);
            strbuf_adds(out, ": ");
            if (!render(c, node->nodes[i], out, depth + 1))
                return false;
        }
        strbuf_addc(out, '}');
        return true;
    case AVRO_KIND_UNION:
        return read_branch(c, node, &node) && render(c, node, out, depth + 1);
    case AVRO_KIND_ARRAY:
    case AVRO_KIND_MAP:
        return render_blocks(c, node, out, depth);
    default:
        if (!read_scalar(c, node, node->natural.oid, &value))
            return false;
        json_encode(node->natural.oid, &value, &io_env_default, false, out);
        return true;
    }
}

/* ---- steps ---- */

static inline void *place(struct cursor *c, const struct step *step, size_t bytes)
{
    struct column *column = &c->out->columns[step->column];
    column->nulls[c->row] = 0;
    return (uint8_t *)column->data + (size_t)c->row * bytes;
}

static bool store(struct cursor *c, const struct step *step, struct sql_type from, const struct datum *value)
{
    struct datum converted;
    if (!convert_value(from, value, step->type, c->arena, &converted, c->err))
        return false;
    column_set(&c->out->columns[step->column], c->row, &converted, c->out->capacity, c->arena);
    return true;
}

static bool run_render(struct cursor *c, const struct step *step)
{
    struct strbuf *text = &c->scratch->text;
    strbuf_reset(text);
    if (!render(c, step->node, text, 0))
        return false;
    struct datum value = {.var = varlen_view(strbuf_text(text), (uint32_t)text->len)};
    if (text->len > VALUE_BYTES_MAX)
        return bad(c, "a value that is too long");
    return store(c, step, (struct sql_type){OID_TEXT, -1}, &value);
}

static bool run_array(struct cursor *c, const struct step *step)
{
    const struct avro_node *item = step->node->nodes[0];
    struct avro_scratch *scratch = c->scratch;
    size_t count = 0;
    struct sql_type natural = item->natural,
                    element = {type_find(step->type.oid)->element_oid, step->type.typmod};
    bool is_same = natural.oid == element.oid && element.typmod == -1;
    for (;;) {
        uint64_t more;
        int64_t block;
        if (!read_block(c, item, &more, &block))
            return false;
        if (more == 0)
            break;
        if (more > scratch->elements_cap - count) {
            scratch->elements_cap = (count + more) * 2;
            scratch->elements = mem_realloc(scratch->elements, scratch->elements_cap * sizeof(struct datum));
        }
        for (uint64_t i = 0; i < more; i++) {
            struct datum *value = &scratch->elements[count++], read;
            const struct avro_node *node = item;
            if (node->kind == AVRO_KIND_UNION && !read_branch(c, node, &node))
                return false;
            if (node->kind == AVRO_KIND_NULL) {
                *value = datum_null();
                continue;
            }
            if (!read_scalar(c, node, natural.oid, is_same ? value : &read) ||
                (!is_same && !convert_value(natural, &read, element, c->arena, value, c->err)))
                return false;
        }
    }
    struct datum array = {.var = array_make(c->arena, element.oid, scratch->elements, (uint32_t)count)};
    column_set(&c->out->columns[step->column], c->row, &array, c->out->capacity, c->arena);
    return true;
}

static bool run(struct cursor *c, const struct steps *steps);

static bool run_select(struct cursor *c, const struct step *step)
{
    bool is_map = step->node->kind == AVRO_KIND_MAP;
    uint64_t index = 0;
    for (;;) {
        uint64_t count;
        int64_t block;
        if (!read_block(c, step->node->nodes[0], &count, &block))
            return false;
        if (count == 0)
            return true;
        for (uint64_t i = 0; i < count; i++, index++) {
            const uint8_t *key = NULL;
            uint32_t len = 0;
            const struct selected *selected = NULL;
            if (is_map && !read_bytes(c, &key, &len))
                return false;
            for (uint32_t k = 0; k < step->count && selected == NULL; k++) {
                const struct json_step *part = &step->selected[k].part;
                if (is_map ? strlen(part->name) == len && memcmp(part->name, key, len) == 0
                           : part->item == index)
                    selected = &step->selected[k];
            }
            if (!(selected != NULL ? run(c, &selected->steps) : skip(c, step->node->nodes[0], 0)))
                return false;
        }
    }
}

static bool refuse(struct cursor *c, const struct step *step)
{
    struct strbuf type = STRBUF_INIT;
    type_format(step->type.oid, step->type.typmod, &type);
    error_set(c->err, ERRCODE_DATATYPE_MISMATCH, "Avro type %s does not fit type %s", step->node->name,
              strbuf_text(&type));
    strbuf_release(&type);
    return false;
}

static bool run_step(struct cursor *c, const struct step *step)
{
    const uint8_t *bytes;
    uint32_t len;
    switch (step->kind) {
    case STEP_SKIP:
        return skip(c, step->node, 0);
    case STEP_I32:
        return read_int(c, place(c, step, 4));
    case STEP_I32_I64: {
        int32_t value;
        if (!read_int(c, &value))
            return false;
        *(int64_t *)place(c, step, 8) = value;
        return true;
    }
    case STEP_I64:
        return read_long(c, place(c, step, 8));
    case STEP_F32:
        if (!take(c, 4, &bytes))
            return false;
        memcpy(place(c, step, 4), bytes, 4);
        return true;
    case STEP_F64:
        if (!take(c, 8, &bytes))
            return false;
        memcpy(place(c, step, 8), bytes, 8);
        return true;
    case STEP_BOOL:
        if (!take(c, 1, &bytes))
            return false;
        *(uint8_t *)place(c, step, 1) = bytes[0];
        return bytes[0] <= 1 || bad(c, "a boolean that is neither 0 nor 1");
    case STEP_TEXT:
        if (!read_text(c, &bytes, &len))
            return false;
        *(struct varlen *)place(c, step, sizeof(struct varlen)) = varlen_copy(c->arena, bytes, len);
        return true;
    case STEP_TIMESTAMP:
        return read_timestamp(c, step->node, place(c, step, 8));
    case STEP_VALUE: {
        struct datum value;
        struct sql_type as = read_as(step->node, step->type);
        return read_scalar(c, step->node, as.oid, &value) && store(c, step, as, &value);
    }
    case STEP_ARRAY:
        return run_array(c, step);
    case STEP_RENDER:
        return run_render(c, step);
    case STEP_REFUSE:
        return refuse(c, step);
    case STEP_UNION: {
        int64_t branch;
        if (!read_long(c, &branch))
            return false;
        if (branch < 0 || branch >= step->count)
            return bad(c, "a branch that the union does not have");
        return run(c, &step->programs[branch]);
    }
    case STEP_SEVERAL: {
        const uint8_t *start = c->at;
        for (uint32_t i = 0; i < step->count; i++) {
            c->at = start;
            if (!run(c, &step->programs[i]))
                return false;
        }
        return true;
    }
    case STEP_SELECT:
        return run_select(c, step);
    }
    return false;
}

/* Says where it went wrong, once. */
__attribute__((cold, noinline)) static bool explain(struct cursor *c, const struct step *step)
{
    if (c->err->column_name[0] != '\0')
        return false;
    struct error inner = *c->err;
    const char *name = step->column_name != NULL ? step->column_name : step->field;
    error_set(c->err, inner.code, "%s \"%s\": %s", step->column_name != NULL ? "column" : "field", name,
              inner.message);
    error_detail(c->err, "%s", inner.detail);
    snprintf(c->err->column_name, sizeof(c->err->column_name), "%s", name[0] != '\0' ? name : "?");
    return false;
}

static bool run(struct cursor *c, const struct steps *steps)
{
    const struct step *end = steps->items + steps->count;
    for (const struct step *step = steps->items; step < end; step++) {
        if (step->is_optional) {
            int64_t branch;
            if (UNLIKELY(!read_long(c, &branch)))
                return explain(c, step);
            if (branch == step->null_branch)
                continue;
            if (UNLIKELY(branch != 1 - step->null_branch)) {
                bad(c, "a branch that the union does not have");
                return explain(c, step);
            }
        }
        if (UNLIKELY(!run_step(c, step)))
            return explain(c, step);
    }
    return true;
}

bool avro_program_run(const struct avro_program *program, struct avro_scratch *scratch, const uint8_t *bytes,
                      size_t len, struct batch *out, uint32_t row, struct error *err)
{
    struct error unused;
    struct cursor c = {.at = bytes,
                       .start = bytes,
                       .end = bytes + len,
                       .arena = out->arena,
                       .out = out,
                       .row = row,
                       .scratch = scratch,
                       .err = err != NULL ? err : &unused};
    error_init(c.err);
    if (UNLIKELY(!run(&c, &program->steps)))
        return false;
    if (UNLIKELY(c.at != c.end))
        return error_set(err, ERRCODE_INVALID_BINARY_REPRESENTATION, "%zu bytes behind the end of the record",
                         (size_t)(c.end - c.at));
    return true;
}
