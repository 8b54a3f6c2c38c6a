/* avro_schema.c: see avro_schema.h. */
#include "protocol/format/avro_schema.h"

#include "storage/data/json.h"

#include <avro.h>
#include <pthread.h>
#include <string.h>

#define LEAST_BYTES_MAX 0x10000000u

/* libavro keeps its last error for the whole process */
static pthread_mutex_t libavro_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- logical types ---- */

struct logical_row {
    const char *name;
    enum avro_kind kind;
    enum avro_logical logical;
    int32_t unit;
    uint32_t natural;
};

/* By "logicalType", or by the "connect.name" that Kafka Connect and Debezium write instead. One on another kind than its own
 * means nothing, as the specification demands. */
static const struct logical_row logicals[] = {
    {"date", AVRO_KIND_INT, AVRO_DATE, 0, OID_DATE},
    {"time-millis", AVRO_KIND_INT, AVRO_TIME, -3, OID_TIME},
    {"time-micros", AVRO_KIND_LONG, AVRO_TIME, -6, OID_TIME},
    {"timestamp-millis", AVRO_KIND_LONG, AVRO_TIMESTAMP, -3, OID_TIMESTAMPTZ},
    {"timestamp-micros", AVRO_KIND_LONG, AVRO_TIMESTAMP, -6, OID_TIMESTAMPTZ},
    {"timestamp-nanos", AVRO_KIND_LONG, AVRO_TIMESTAMP, -9, OID_TIMESTAMPTZ},
    {"local-timestamp-millis", AVRO_KIND_LONG, AVRO_LOCAL_TIMESTAMP, -3, OID_TIMESTAMP},
    {"local-timestamp-micros", AVRO_KIND_LONG, AVRO_LOCAL_TIMESTAMP, -6, OID_TIMESTAMP},
    {"local-timestamp-nanos", AVRO_KIND_LONG, AVRO_LOCAL_TIMESTAMP, -9, OID_TIMESTAMP},
    {"uuid", AVRO_KIND_STRING, AVRO_UUID, 0, OID_UUID},
    {"io.debezium.data.Uuid", AVRO_KIND_STRING, AVRO_UUID, 0, OID_UUID},
    {"io.debezium.time.Date", AVRO_KIND_INT, AVRO_DATE, 0, OID_DATE},
    {"io.debezium.time.Time", AVRO_KIND_INT, AVRO_TIME, -3, OID_TIME},
    {"io.debezium.time.MicroTime", AVRO_KIND_LONG, AVRO_TIME, -6, OID_TIME},
    {"io.debezium.time.NanoTime", AVRO_KIND_LONG, AVRO_TIME, -9, OID_TIME},
    {"io.debezium.time.Timestamp", AVRO_KIND_LONG, AVRO_LOCAL_TIMESTAMP, -3, OID_TIMESTAMP},
    {"io.debezium.time.MicroTimestamp", AVRO_KIND_LONG, AVRO_LOCAL_TIMESTAMP, -6, OID_TIMESTAMP},
    {"io.debezium.time.NanoTimestamp", AVRO_KIND_LONG, AVRO_LOCAL_TIMESTAMP, -9, OID_TIMESTAMP},
};

static const struct json_value *member(const struct json_value *object, const char *name)
{
    if (object->kind != JSON_OBJECT)
        return NULL;
    size_t len = strlen(name);
    for (uint32_t i = object->count; i-- > 0;) { /* of the same name the last counts, as libavro sees it */
        if (object->keys[i].len == len && memcmp(varlen_bytes(&object->keys[i]), name, len) == 0)
            return object->items[i];
    }
    return NULL;
}

static bool text_is(const struct json_value *value, const char *text)
{
    return value != NULL && value->kind == JSON_STRING && value->text.len == strlen(text) &&
           memcmp(varlen_bytes(&value->text), text, value->text.len) == 0;
}

/* A whole number from 0 to max, or fallback. */
static int32_t number_of(const struct json_value *value, int32_t max, int32_t fallback)
{
    if (value == NULL || value->kind != JSON_NUMBER || value->text.len > 9)
        return fallback;
    int32_t number = 0;
    const uint8_t *digits = varlen_bytes(&value->text);
    for (uint32_t i = 0; i < value->text.len; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return fallback;
        number = number * 10 + (digits[i] - '0');
    }
    return number <= max ? number : fallback;
}

static void set_decimal(struct avro_node *node, const struct json_value *json)
{
    int32_t precision = number_of(member(json, "precision"), INT32_MAX, -1);
    int32_t scale = number_of(member(json, "scale"), 16383, member(json, "scale") == NULL ? 0 : -1);
    if (precision < 1 || scale < 0 || scale > precision)
        return;
    node->logical = AVRO_DECIMAL;
    node->precision = precision;
    node->scale = scale;
    node->natural = (struct sql_type){OID_NUMERIC, precision <= 1000 ? (precision << 16 | scale) + 4 : -1};
}

static void set_logical(struct avro_node *node, const struct json_value *json)
{
    if (json->kind != JSON_OBJECT)
        return;
    const struct json_value *name = member(json, "logicalType");
    if (name == NULL)
        name = member(json, "connect.name");
    if (name == NULL)
        return;
    if (text_is(name, "decimal") && (node->kind == AVRO_KIND_BYTES || node->kind == AVRO_KIND_FIXED)) {
        set_decimal(node, json);
        return;
    }
    if (text_is(name, "uuid") && node->kind == AVRO_KIND_FIXED && node->fixed_bytes == 16) {
        node->logical = AVRO_UUID;
        node->natural = (struct sql_type){OID_UUID, -1};
    }
    if (text_is(name, "duration") && node->kind == AVRO_KIND_FIXED && node->fixed_bytes == 12) {
        node->logical = AVRO_DURATION;
        node->natural = (struct sql_type){OID_INTERVAL, -1};
    }
    for (size_t i = 0; i < ARRAY_COUNT(logicals); i++) {
        if (logicals[i].kind != node->kind || !text_is(name, logicals[i].name))
            continue;
        node->logical = logicals[i].logical;
        node->unit = logicals[i].unit;
        node->natural = (struct sql_type){logicals[i].natural, -1};
    }
}

/* ---- from libavro's tree and the JSON beside it ---- */

struct named {
    avro_schema_t schema;
    struct avro_node *node;
};

struct walk {
    struct arena *arena;
    uint32_t named_count, named_cap;
    struct named *named;
    struct error *err;
};

static const struct {
    const char *name;
    enum avro_kind kind;
    uint32_t natural, least_bytes;
} kinds[] = {
    [AVRO_STRING] = {"string", AVRO_KIND_STRING, OID_TEXT, 1},
    [AVRO_BYTES] = {"bytes", AVRO_KIND_BYTES, OID_BYTEA, 1},
    [AVRO_INT32] = {"int", AVRO_KIND_INT, OID_INT4, 1},
    [AVRO_INT64] = {"long", AVRO_KIND_LONG, OID_INT8, 1},
    [AVRO_FLOAT] = {"float", AVRO_KIND_FLOAT, OID_FLOAT4, 4},
    [AVRO_DOUBLE] = {"double", AVRO_KIND_DOUBLE, OID_FLOAT8, 8},
    [AVRO_BOOLEAN] = {"boolean", AVRO_KIND_BOOLEAN, OID_BOOL, 1},
    [AVRO_NULL] = {"null", AVRO_KIND_NULL, 0, 0},
    [AVRO_RECORD] = {"record", AVRO_KIND_RECORD, OID_JSONB, 0},
    [AVRO_ENUM] = {"enum", AVRO_KIND_ENUM, OID_TEXT, 1},
    [AVRO_FIXED] = {"fixed", AVRO_KIND_FIXED, OID_BYTEA, 0},
    [AVRO_MAP] = {"map", AVRO_KIND_MAP, OID_JSONB, 1},
    [AVRO_ARRAY] = {"array", AVRO_KIND_ARRAY, OID_JSONB, 1},
    [AVRO_UNION] = {"union", AVRO_KIND_UNION, OID_JSONB, 1},
};

static bool walk(struct walk *walk, avro_schema_t schema, const struct json_value *json, int depth,
                 struct avro_node **out);

static bool disagree(struct walk *walk)
{
    return error_set(walk->err, ERRCODE_INVALID_PARAMETER_VALUE,
                     "the Avro schema has a type that is not described where it stands");
}

static void take_name(struct walk *walk, avro_schema_t schema, struct avro_node *node)
{
    const char *space = avro_schema_namespace(schema), *name = avro_schema_name(schema);
    node->name = space != NULL && space[0] != '\0' ? arena_printf(walk->arena, "%s.%s", space, name)
                                                   : arena_strdup(walk->arena, name);
    ARENA_PUSH(walk->arena, walk->named, walk->named_count, walk->named_cap,
               ((struct named){.schema = schema, .node = node}));
}

static bool walk_record(struct walk *self, avro_schema_t schema, const struct json_value *json, int depth,
                        struct avro_node *node)
{
    const struct json_value *fields = member(json, "fields");
    node->count = (uint32_t)avro_schema_record_size(schema);
    if (fields == NULL || fields->kind != JSON_ARRAY || fields->count != node->count)
        return disagree(self);
    node->names = ARENA_ARRAY(self->arena, const char *, node->count);
    node->nodes = ARENA_ARRAY(self->arena, struct avro_node *, node->count);
    uint64_t least = 0;
    for (uint32_t i = 0; i < node->count; i++) {
        const struct json_value *type = member(fields->items[i], "type");
        node->names[i] = arena_strdup(self->arena, avro_schema_record_field_name(schema, (int)i));
        if (type == NULL)
            return disagree(self);
        if (!walk(self, avro_schema_record_field_get_by_index(schema, (int)i), type, depth, &node->nodes[i]))
            return false;
        least += node->nodes[i]->least_bytes;
    }
    node->least_bytes = least > LEAST_BYTES_MAX ? LEAST_BYTES_MAX : (uint32_t)least;
    return true;
}

/* int and long are bigint together, float and double are double precision. */
static struct sql_type natural_of_union(const struct avro_node *node)
{
    struct sql_type natural = {0, -1};
    for (uint32_t i = 0; i < node->count; i++) {
        struct sql_type branch = node->nodes[i]->natural;
        if (branch.oid == 0)
            continue;
        if (natural.oid == 0 || (natural.oid == branch.oid && natural.typmod == branch.typmod))
            natural = branch;
        else if ((natural.oid == OID_INT4 && branch.oid == OID_INT8) ||
                 (natural.oid == OID_FLOAT4 && branch.oid == OID_FLOAT8))
            natural = branch;
        else if (!(natural.oid == OID_INT8 && branch.oid == OID_INT4) &&
                 !(natural.oid == OID_FLOAT8 && branch.oid == OID_FLOAT4))
            return (struct sql_type){OID_JSONB, -1};
    }
    return natural;
}

static bool walk_union(struct walk *self, avro_schema_t schema, const struct json_value *json, int depth,
                       struct avro_node *node)
{
    node->count = (uint32_t)avro_schema_union_size(schema);
    if (json->kind != JSON_ARRAY || json->count != node->count)
        return disagree(self);
    node->nodes = ARENA_ARRAY(self->arena, struct avro_node *, node->count);
    for (uint32_t i = 0; i < node->count; i++) {
        if (!walk(self, avro_schema_union_branch(schema, (int)i), json->items[i], depth, &node->nodes[i]))
            return false;
        if (node->nodes[i]->kind == AVRO_KIND_NULL)
            node->null_branch = (int32_t)i;
    }
    node->natural = natural_of_union(node);
    return true;
}

static bool walk_items(struct walk *self, avro_schema_t items, const struct json_value *json, int depth,
                       struct avro_node *node)
{
    if (json == NULL)
        return disagree(self);
    node->count = 1;
    node->nodes = ARENA_ARRAY(self->arena, struct avro_node *, 1);
    if (!walk(self, items, json, depth, &node->nodes[0]))
        return false;
    struct sql_type element = node->nodes[0]->natural;
    if (node->kind == AVRO_KIND_ARRAY && element.oid != 0 && avro_schema_is_scalar(node->nodes[0]) &&
        type_find(element.oid)->array_oid != 0)
        node->natural = (struct sql_type){type_find(element.oid)->array_oid, element.typmod};
    return true;
}

static bool walk(struct walk *self, avro_schema_t schema, const struct json_value *json, int depth,
                 struct avro_node **out)
{
    if (depth > NESTING_MAX)
        return error_set(self->err, ERRCODE_STATEMENT_TOO_COMPLEX, "the Avro schema is nested too deeply");
    if (avro_typeof(schema) == AVRO_LINK) {
        avro_schema_t target = avro_schema_link_target(schema);
        for (uint32_t i = 0; i < self->named_count; i++) {
            if (self->named[i].schema == target) {
                *out = self->named[i].node;
                return true;
            }
        }
        return disagree(self);
    }
    struct avro_node *node = *out = ARENA_NEW(self->arena, struct avro_node);
    avro_type_t type = avro_typeof(schema);
    node->kind = kinds[type].kind;
    node->name = kinds[type].name;
    node->least_bytes = kinds[type].least_bytes;
    node->natural = (struct sql_type){kinds[type].natural, -1};
    node->null_branch = -1;
    switch (type) {
    case AVRO_RECORD:
        take_name(self, schema, node);
        return walk_record(self, schema, json, depth + 1, node);
    case AVRO_ENUM:
        take_name(self, schema, node);
        node->count = (uint32_t)avro_schema_enum_number_of_symbols(schema);
        node->names = ARENA_ARRAY(self->arena, const char *, node->count);
        for (uint32_t i = 0; i < node->count; i++)
            node->names[i] = arena_strdup(self->arena, avro_schema_enum_get(schema, (int)i));
        return true;
    case AVRO_FIXED: {
        take_name(self, schema, node);
        int64_t bytes = avro_schema_fixed_size(schema);
        if (bytes < 0 || bytes > VALUE_BYTES_MAX)
            return error_set(self->err, ERRCODE_INVALID_PARAMETER_VALUE,
                             "the Avro schema has a fixed type of %lld bytes", (long long)bytes);
        node->fixed_bytes = (uint32_t)bytes;
        node->least_bytes = bytes > LEAST_BYTES_MAX ? LEAST_BYTES_MAX : (uint32_t)bytes;
        break;
    }
    case AVRO_UNION:
        return walk_union(self, schema, json, depth + 1, node);
    case AVRO_ARRAY:
        return walk_items(self, avro_schema_array_items(schema), member(json, "items"), depth + 1, node);
    case AVRO_MAP:
        return walk_items(self, avro_schema_map_values(schema), member(json, "values"), depth + 1, node);
    default:
        break;
    }
    set_logical(node, json);
    return true;
}

/* ---- parsing ---- */

bool avro_schema_parse_text(struct arena *arena, const char *text, struct avro_node **out, struct error *err)
{
    struct json_value *json;
    struct walk self = {.arena = arena, .err = err};
    struct error problem;
    avro_schema_t schema = NULL;
    if (!json_parse(arena, text, strlen(text), &json, &problem)) {
        error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "the Avro schema is no JSON");
        return error_detail(err, "%s", problem.detail);
    }
    /* a bare name is a schema, and libavro wants it as JSON in an array or object */
    const char *wrapped = json->kind == JSON_STRING ? arena_printf(arena, "{\"type\":%s}", text) : text;
    pthread_mutex_lock(&libavro_lock);
    bool ok = avro_schema_from_json_length(wrapped, strlen(wrapped), &schema) == 0 && schema != NULL;
    if (!ok)
        error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "the Avro schema is not valid: %s", avro_strerror());
    ok = ok && walk(&self, schema, json, 0, out);
    if (schema != NULL)
        avro_schema_decref(schema);
    pthread_mutex_unlock(&libavro_lock);
    return ok;
}

struct gathered {
    struct arena *arena;
    const struct registry_schema **schemas;
    uint32_t count, cap;
};

/* References before those that refer to them, each once. */
static void gather(struct gathered *gathered, const struct registry_schema *schema)
{
    for (uint32_t i = 0; i < schema->references_count; i++) {
        const struct registry_schema *other = schema->references[i].schema;
        bool there = false;
        for (uint32_t k = 0; k < gathered->count; k++)
            there |= gathered->schemas[k] == other || strcmp(gathered->schemas[k]->text, other->text) == 0;
        if (there)
            continue;
        gather(gathered, other);
        ARENA_PUSH(gathered->arena, gathered->schemas, gathered->count, gathered->cap, other);
    }
}

bool avro_schema_parse(struct arena *arena, const struct registry_schema *schema, struct avro_node **out,
                       struct error *err)
{
    if (schema->kind != REGISTRY_AVRO)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "the schema in the registry is not one of Avro");
    if (schema->references_count == 0)
        return avro_schema_parse_text(arena, schema->text, out, err);
    /* a record with the types referred to as its first fields: names are then known where they are used */
    struct gathered gathered = {.arena = arena};
    gather(&gathered, schema);
    struct strbuf text = STRBUF_INIT;
    strbuf_adds(&text, "{\"type\":\"record\",\"name\":\"millrace_references\",\"fields\":[");
    for (uint32_t i = 0; i < gathered.count; i++)
        strbuf_addf(&text, "{\"name\":\"r%u\",\"type\":%s},", i, gathered.schemas[i]->text);
    strbuf_addf(&text, "{\"name\":\"value\",\"type\":%s}]}", schema->text);
    struct avro_node *root;
    bool ok = avro_schema_parse_text(arena, strbuf_text(&text), &root, err);
    strbuf_release(&text);
    if (ok)
        *out = root->nodes[root->count - 1];
    return ok;
}

/* ---- asking ---- */

struct avro_node *avro_schema_other(struct avro_node *node)
{
    if (node->kind != AVRO_KIND_UNION || node->count != 2 || node->null_branch < 0)
        return node;
    return node->nodes[1 - node->null_branch];
}

bool avro_schema_is_scalar(const struct avro_node *node)
{
    node = avro_schema_other((struct avro_node *)node);
    return node->kind < AVRO_KIND_RECORD && node->kind != AVRO_KIND_NULL;
}

/* ---- fingerprints ---- */

struct canonical {
    struct arena arena;
    const struct avro_node **seen;
    uint32_t seen_count, seen_cap;
    struct strbuf text;
};

static void write_canonical(struct canonical *self, const struct avro_node *node);

static void write_names(struct canonical *self, const struct avro_node *node)
{
    for (uint32_t i = 0; i < node->count; i++)
        strbuf_addf(&self->text, "%s\"%s\"", i > 0 ? "," : "", node->names[i]);
}

/* Parsing Canonical Form; a named type is written once. */
static void write_canonical(struct canonical *self, const struct avro_node *node)
{
    bool named =
        node->kind == AVRO_KIND_RECORD || node->kind == AVRO_KIND_ENUM || node->kind == AVRO_KIND_FIXED;
    if (named) {
        for (uint32_t i = 0; i < self->seen_count; i++) {
            if (self->seen[i] == node) {
                strbuf_addf(&self->text, "\"%s\"", node->name);
                return;
            }
        }
        ARENA_PUSH(&self->arena, self->seen, self->seen_count, self->seen_cap, node);
    }
    switch (node->kind) {
    case AVRO_KIND_RECORD:
        strbuf_addf(&self->text, "{\"name\":\"%s\",\"type\":\"record\",\"fields\":[", node->name);
        for (uint32_t i = 0; i < node->count; i++) {
            strbuf_addf(&self->text, "%s{\"name\":\"%s\",\"type\":", i > 0 ? "," : "", node->names[i]);
            write_canonical(self, node->nodes[i]);
            strbuf_addc(&self->text, '}');
        }
        strbuf_adds(&self->text, "]}");
        break;
    case AVRO_KIND_ENUM:
        strbuf_addf(&self->text, "{\"name\":\"%s\",\"type\":\"enum\",\"symbols\":[", node->name);
        write_names(self, node);
        strbuf_adds(&self->text, "]}");
        break;
    case AVRO_KIND_FIXED:
        strbuf_addf(&self->text, "{\"name\":\"%s\",\"type\":\"fixed\",\"size\":%u}", node->name,
                    node->fixed_bytes);
        break;
    case AVRO_KIND_UNION:
        strbuf_addc(&self->text, '[');
        for (uint32_t i = 0; i < node->count; i++) {
            if (i > 0)
                strbuf_addc(&self->text, ',');
            write_canonical(self, node->nodes[i]);
        }
        strbuf_addc(&self->text, ']');
        break;
    case AVRO_KIND_ARRAY:
    case AVRO_KIND_MAP:
        strbuf_addf(&self->text, "{\"type\":\"%s\",\"%s\":", node->name,
                    node->kind == AVRO_KIND_MAP ? "values" : "items");
        write_canonical(self, node->nodes[0]);
        strbuf_addc(&self->text, '}');
        break;
    default:
        strbuf_addf(&self->text, "\"%s\"", node->name);
    }
}

uint64_t avro_schema_fingerprint(const struct avro_node *node)
{
    static const uint64_t empty = 0xc15d213aa4d7a795u;
    struct canonical self = {.seen_count = 0};
    arena_init(&self.arena, NULL);
    write_canonical(&self, node);
    uint64_t fingerprint = empty;
    for (size_t i = 0; i < self.text.len; i++) {
        fingerprint ^= (uint8_t)self.text.data[i];
        for (int bit = 0; bit < 8; bit++)
            fingerprint = fingerprint >> 1 ^ (fingerprint & 1 ? empty : 0);
    }
    strbuf_release(&self.text);
    arena_release(&self.arena);
    return fingerprint;
}
