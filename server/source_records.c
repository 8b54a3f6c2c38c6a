/* source_records.c: see source_records.h. */
#include "server/source_records.h"

#include "planner/bind_dml.h"
#include "planner/ddl.h"
#include "protocol/format/format.h"
#include "server/source_options.h"
#include "storage/data/json.h"
#include "storage/data/text_check.h"

#include <stdio.h>
#include <string.h>

#define DECODE_BYTES_MAX ((size_t)16 << 20) /* of records in one call */

enum metadata {
    METADATA_NONE,
    METADATA_KEY,
    METADATA_PARTITION,
    METADATA_OFFSET,
    METADATA_TIMESTAMP,
    METADATA_HEADERS
};

static const struct {
    const char *name;
    uint32_t types[2]; /* a column may have; 0: none */
    const char *types_text;
} metadata_rows[] = {
    [METADATA_KEY] = {"key", {OID_BYTEA, OID_TEXT}, "bytea or text"},
    [METADATA_PARTITION] = {"partition", {OID_INT4, OID_INT8}, "integer or bigint"},
    [METADATA_OFFSET] = {"offset", {OID_INT8, 0}, "bigint"},
    [METADATA_TIMESTAMP] = {"timestamp", {OID_TIMESTAMPTZ, 0}, "timestamp with time zone"},
    [METADATA_HEADERS] = {"headers", {OID_JSONB, 0}, "jsonb"},
};

struct source_records {
    struct arena arena; /* lists and bound expressions */
    const struct catalog_object *object;
    const struct format_class *format;
    struct decoder *decoder;
    uint32_t columns_count;  /* of the relation */
    enum metadata *metadata; /* per column */
    struct expr **defaults;  /* per column; NULL: none */
    uint32_t made_count;
    uint32_t *made; /* columns of the format */
    struct sql_type *made_types;
    struct dml_plan *plan; /* generated columns and checks */
    struct sql_type *generated_types;
    struct expr_run *generated, *checks;
    uint32_t keys_count;
    const uint32_t *keys; /* the primary key */
};

/* ---- opening ---- */

static bool find_metadata(struct source_records *r, uint32_t column, struct error *err)
{
    const struct catalog_column *definition = &r->object->columns[column];
    if (definition->metadata == NULL)
        return true;
    for (uint32_t i = METADATA_NONE + 1; i < ARRAY_COUNT(metadata_rows); i++) {
        if (strcmp(metadata_rows[i].name, definition->metadata) != 0)
            continue;
        r->metadata[column] = (enum metadata)i;
        if (definition->type.oid == metadata_rows[i].types[0] ||
            definition->type.oid == metadata_rows[i].types[1])
            return true;
        return error_set(err, ERRCODE_DATATYPE_MISMATCH,
                         "column \"%s\" with metadata '%s' must be of type %s", definition->name,
                         metadata_rows[i].name, metadata_rows[i].types_text);
    }
    error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "column \"%s\" names unknown metadata \"%s\"",
              definition->name, definition->metadata);
    return error_hint(err, "There are key, partition, offset, timestamp and headers.");
}

static void find_keys(struct source_records *r)
{
    for (uint32_t i = 0; i < r->object->constraints_count; i++) {
        const struct catalog_constraint *constraint = &r->object->constraints[i];
        if (constraint->kind != CONSTRAINT_PRIMARY_KEY)
            continue;
        r->keys_count = constraint->columns_count;
        r->keys = constraint->columns;
    }
}

static bool is_key(const struct source_records *r, uint32_t column)
{
    for (uint32_t i = 0; i < r->keys_count; i++)
        if (r->keys[i] == column)
            return true;
    return false;
}

static bool bind_default(struct source_records *r, struct planner_context *ctx, uint32_t column,
                         struct error *err)
{
    const struct catalog_column *definition = &r->object->columns[column];
    if (definition->default_sql == NULL)
        return true;
    if (!bind_column_default(ctx, r->object, column, &r->defaults[column], err))
        return false;
    if (!expr_is_volatile(r->defaults[column]))
        return true;
    error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
              "the default of column \"%s\" may differ from row to row, which connectors cannot fill",
              definition->name);
    return error_hint(err, "now() and constants are possible.");
}

/* Columns, defaults and programs. Needs the read lock. */
static bool bind(struct source_records *r, struct planner_context *ctx, struct error *err)
{
    const struct catalog_object *object = r->object;
    struct arena *arena = &r->arena;
    uint32_t count = r->columns_count = object->columns_count;
    r->metadata = ARENA_ARRAY(arena, enum metadata, count);
    r->defaults = ARENA_ARRAY(arena, struct expr *, count);
    r->made = ARENA_ARRAY(arena, uint32_t, count);
    r->made_types = ARENA_ARRAY(arena, struct sql_type, count);
    find_keys(r);
    uint32_t *given = ARENA_ARRAY(arena, uint32_t, count), given_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (object->columns[i].generated_sql != NULL)
            continue;
        if (!find_metadata(r, i, err) || !bind_default(r, ctx, i, err))
            return false;
        given[given_count++] = i;
        if (r->metadata[i] != METADATA_NONE)
            continue;
        r->made_types[r->made_count] = object->columns[i].type;
        r->made[r->made_count++] = i;
    }
    if (!bind_dml_rows(ctx, (struct catalog_object *)object, given, NULL, given_count, &r->plan, err))
        return false;
    r->generated_types = ARENA_ARRAY(arena, struct sql_type, r->plan->generated_count + 1);
    for (uint32_t i = 0; i < r->plan->generated_count; i++)
        r->generated_types[i] = object->columns[r->plan->generated_columns[i]].type;
    return true;
}

static bool open_format(struct source_records *r, bool check_only, struct error *err)
{
    const struct catalog_object *object = r->object;
    struct format_column *columns = ARENA_ARRAY(&r->arena, struct format_column, r->made_count + 1);
    for (uint32_t i = 0; i < r->made_count; i++) {
        const struct catalog_column *column = &object->columns[r->made[i]];
        columns[i] = (struct format_column){.name = column->name,
                                            .type = column->type,
                                            .path = column->path,
                                            .is_key = is_key(r, r->made[i]),
                                            .not_null = column->not_null && column->default_sql == NULL};
    }
    struct format_spec spec = {.relation_name = object->name,
                               .topic = ddl_option(object, "topic"),
                               .columns_count = r->made_count,
                               .columns = columns,
                               .is_table = r->keys_count > 0};
    return source_options_format(object, &r->arena, &r->format, &spec.options, &spec.options_count, err) &&
           r->format->open_decoder(&spec, check_only ? NULL : &r->decoder, err);
}

static bool open_records(struct source_records *r, struct server *server, bool check_only, struct error *err)
{
    struct eval_env env = {.io = io_env_default};
    struct planner_context ctx;
    planner_init(&ctx, &r->arena, server->catalog, &env);
    catalog_read_lock(server->catalog);
    bool ok = bind(r, &ctx, err);
    catalog_unlock(server->catalog);
    if (!ok || !open_format(r, check_only, err))
        return false;
    if (r->plan->generated != NULL)
        r->generated = expr_run_create(r->plan->generated, &server->account);
    if (r->plan->checks != NULL)
        r->checks = expr_run_create(r->plan->checks, &server->account);
    return true;
}

bool source_records_open(struct server *server, const struct catalog_object *object,
                         struct source_records **out, struct error *err)
{
    struct source_records *r = mem_zalloc(sizeof(*r));
    arena_init(&r->arena, NULL);
    r->object = object;
    bool ok = open_records(r, server, out == NULL, err);
    if (ok && out != NULL)
        *out = r;
    else
        source_records_close(r);
    return ok;
}

void source_records_close(struct source_records *r)
{
    if (r->decoder != NULL)
        r->format->close_decoder(r->decoder);
    if (r->generated != NULL)
        expr_run_destroy(r->generated);
    if (r->checks != NULL)
        expr_run_destroy(r->checks);
    arena_release(&r->arena);
    mem_free(r);
}

uint32_t source_records_changes(struct source_records *r, const struct format_change **out)
{
    return r->format->changes != NULL ? r->format->changes(r->decoder, out) : 0;
}

bool source_records_replace(const struct source_records *r)
{
    return r->keys_count > 0;
}

bool source_records_want_headers(const struct source_records *r)
{
    for (uint32_t i = 0; i < r->columns_count; i++)
        if (r->metadata[i] == METADATA_HEADERS)
            return true;
    return false;
}

/* ---- one call ---- */

struct decoding {
    struct source_records *r;
    const struct record *from;
    struct arena *arena;
    struct eval_env env;
    uint32_t count;                  /* records that were taken */
    struct rejected_record **errors; /* per record; NULL: none */
    uint32_t errors_count, skipped_count;
    struct batch *made; /* the format's columns */
    struct batch *rows; /* the relation's */
    uint32_t *record_of, record_of_cap;
};

static void reject_because(struct decoding *d, uint32_t record, enum error_code code, const char *reason)
{
    if (d->errors[record] != NULL)
        return;
    struct rejected_record *rejected = ARENA_NEW(d->arena, struct rejected_record);
    *rejected = (struct rejected_record){record, code, arena_strdup(d->arena, reason)};
    d->errors[record] = rejected;
    d->errors_count++;
}

static void reject(struct decoding *d, uint32_t record, const struct error *error)
{
    const char *reason = error->message;
    if (d->errors[record] == NULL && error->detail[0] != '\0')
        reason = arena_printf(d->arena, "%s: %s", error->message, error->detail);
    reject_because(d, record, error->code, reason);
}

static void skip(struct decoding *d, uint32_t record)
{
    d->errors[record] = ARENA_NEW(d->arena, struct rejected_record);
    d->errors[record]->record = record;
    d->skipped_count++;
}

static void note_rows(struct decoding *d, uint32_t record, uint32_t first)
{
    if (d->made->rows > d->record_of_cap) {
        uint32_t cap = d->made->rows * 2;
        uint32_t *grown = arena_alloc(d->arena, sizeof(*grown) * cap);
        if (first > 0)
            memcpy(grown, d->record_of, sizeof(*grown) * first);
        d->record_of = grown;
        d->record_of_cap = cap;
    }
    for (uint32_t row = first; row < d->made->rows; row++)
        d->record_of[row] = record;
}

/* Decodes until there are enough bytes, the records end, or one cannot be decoded now. */
static void decode_values(struct decoding *d, uint32_t count, const struct decode_rules *rules,
                          struct error *why)
{
    struct source_records *r = d->r;
    size_t bytes = 0;
    for (; d->count < count && bytes < DECODE_BYTES_MAX; d->count++) {
        const struct record *record = &d->from[d->count];
        uint32_t first = d->made->rows;
        struct error error;
        bytes += record->value_len + record->key_len;
        if (rules->skips != NULL && source_skips_has(rules->skips, record->partition, record->offset)) {
            skip(d, d->count);
            continue;
        }
        if (rules->has_refused && rules->refused_partition == record->partition &&
            rules->refused_offset == record->offset) {
            reject_because(d, d->count, rules->refused_code, rules->refused_reason);
            continue;
        }
        error_init(&error);
        if (r->format->decode(r->decoder, record, d->made, &error)) {
            note_rows(d, d->count, first);
            continue;
        }
        if (error.code == ERRCODE_CONNECTION_FAILURE ||
            error.code == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE) {
            *why = error;
            return;
        }
        reject(d, d->count, &error);
        if (rules->stops_at_error) {
            d->count++;
            return;
        }
    }
}

/* ---- metadata ---- */

static void add_header_text(struct strbuf *out, const uint8_t *bytes, size_t len)
{
    if (bytes == NULL) {
        strbuf_adds(out, "null");
        return;
    }
    struct error ignored;
    if (text_check_utf8((const char *)bytes, len, &ignored)) {
        json_write_string((const char *)bytes, len, out);
        return;
    }
    strbuf_adds(out, "\"\\\\x");
    for (size_t i = 0; i < len; i++)
        strbuf_addf(out, "%02x", bytes[i]);
    strbuf_addc(out, '"');
}

/* An object from names to values as text; of several headers with one name the last counts; bytes that are no text are in hex. */
static bool headers_value(struct decoding *d, const struct record *record, struct datum *out,
                          struct error *err)
{
    struct strbuf text = STRBUF_INIT;
    strbuf_addc(&text, '{');
    for (uint32_t i = 0; i < record->headers_count; i++) {
        const struct record_header *header = &record->headers[i];
        strbuf_adds(&text, i > 0 ? ", " : "");
        add_header_text(&text, (const uint8_t *)header->name, strlen(header->name));
        strbuf_adds(&text, ": ");
        add_header_text(&text, header->value, header->value_len);
    }
    strbuf_addc(&text, '}');
    bool ok = jsonb_parse(d->arena, text.data, text.len, &out->var, err);
    strbuf_release(&text);
    return ok;
}

static bool metadata_value(struct decoding *d, enum metadata metadata, const struct catalog_column *column,
                           const struct record *record, struct datum *out, struct error *err)
{
    *out = (struct datum){0};
    switch (metadata) {
    case METADATA_KEY:
        if (record->key == NULL) {
            *out = datum_null();
            return true;
        }
        if (column->type.oid == OID_TEXT && !text_check_utf8((const char *)record->key, record->key_len, err))
            return error_detail(err, "Column \"%s\" is the record's key.", column->name);
        *out = datum_text(d->arena, (const char *)record->key, record->key_len);
        return true;
    case METADATA_PARTITION:
        *out = column->type.oid == OID_INT4 ? datum_i32(record->partition) : datum_i64(record->partition);
        return true;
    case METADATA_OFFSET:
        *out = datum_i64(record->offset);
        return true;
    case METADATA_TIMESTAMP:
        *out = record->timestamp_us == INT64_MIN ? datum_null() : datum_i64(record->timestamp_us);
        return true;
    case METADATA_HEADERS:
        return headers_value(d, record, out, err);
    case METADATA_NONE:
        break;
    }
    return true;
}

static void fill_metadata(struct decoding *d, uint32_t column)
{
    struct source_records *r = d->r;
    const struct catalog_column *definition = &r->object->columns[column];
    struct column *to = &d->rows->columns[column];
    struct datum value = {0};
    uint32_t rows = d->rows->rows, done = UINT32_MAX;
    column_init(to, definition->type, rows, d->arena);
    for (uint32_t row = 0; row < rows; row++) {
        uint32_t record = d->record_of[row];
        struct error error;
        error_init(&error);
        if (record != done &&
            !metadata_value(d, r->metadata[column], definition, &d->from[record], &value, &error)) {
            reject(d, record, &error);
            value = datum_null();
        }
        done = record;
        column_set(to, row, &value, rows, d->arena);
    }
}

/* ---- defaults, generated columns, constraints ---- */

static bool is_deletion(const struct decoding *d, uint32_t row)
{
    return batch_weight(d->rows, row) < 0;
}

static void fill_default(struct decoding *d, uint32_t column)
{
    struct column *to = &d->rows->columns[column];
    struct datum value;
    struct error error;
    if (to->nulls == NULL)
        return;
    error_init(&error);
    bool ok = expr_eval_constant(d->r->defaults[column], &d->env, d->arena, &value, &error);
    for (uint32_t row = 0; row < d->rows->rows; row++) {
        if (!to->nulls[row] || is_deletion(d, row))
            continue;
        if (!ok)
            reject(d, d->record_of[row], &error);
        else if (!value.is_null)
            column_set(to, row, &value, d->rows->rows, d->arena);
    }
}

static void reject_failed(struct decoding *d, uint32_t first, const struct row_errors *errors)
{
    for (uint32_t i = 0; i < errors->count; i++)
        if (!is_deletion(d, first + errors->items[i].row))
            reject(d, d->record_of[first + errors->items[i].row], errors->items[i].error);
}

static uint32_t piece_rows(const struct decoding *d, uint32_t first)
{
    return d->rows->rows - first < BATCH_ROWS_MAX ? d->rows->rows - first : BATCH_ROWS_MAX;
}

static void fill_generated(struct decoding *d)
{
    struct source_records *r = d->r;
    uint32_t count = r->plan->generated_count;
    struct batch *all = batch_create(d->arena, r->generated_types, count, d->rows->rows + 1);
    for (uint32_t first = 0, rows; first < d->rows->rows; first += rows) {
        rows = piece_rows(d, first);
        struct row_errors errors = {.arena = d->arena};
        struct error ignored;
        struct batch *results = batch_header(d->arena, count);
        results->rows = rows;
        if (!expr_run_eval(r->generated, &d->env, batch_slice(d->arena, d->rows, first, rows), NULL, rows,
                           results->columns, &errors, &ignored)) {
            for (uint32_t row = first; row < first + rows; row++)
                reject(d, d->record_of[row], &ignored);
            for (uint32_t i = 0; i < count; i++) {
                struct datum none = datum_null();
                column_init_constant(&results->columns[i], r->generated_types[i], &none, d->arena);
                column_expand(&results->columns[i], rows, d->arena);
            }
        }
        reject_failed(d, first, &errors);
        batch_append_range(all, results, 0, rows, 1);
    }
    for (uint32_t i = 0; i < count; i++) {
        d->rows->columns[r->plan->generated_columns[i]] = all->columns[i];
        d->rows->columns[r->plan->generated_columns[i]].type = r->generated_types[i];
    }
}

static void check_not_null(struct decoding *d)
{
    const struct source_records *r = d->r;
    for (uint32_t c = 0; c < r->columns_count; c++) {
        const struct column *column = &d->rows->columns[c];
        const struct catalog_column *definition = &r->object->columns[c];
        if (!definition->not_null || column->nulls == NULL)
            continue;
        for (uint32_t row = 0; row < d->rows->rows; row++) {
            struct error error;
            if (!column->nulls[row] || (is_deletion(d, row) && !is_key(r, c)))
                continue;
            error_set(&error, ERRCODE_NOT_NULL_VIOLATION,
                      "null value in column \"%s\" of relation \"%s\" violates not-null constraint",
                      definition->name, r->object->name);
            reject(d, d->record_of[row], &error);
        }
    }
}

static void check_piece(struct decoding *d, uint32_t first, uint32_t rows)
{
    const struct source_records *r = d->r;
    struct row_errors errors = {.arena = d->arena};
    struct error error;
    struct column *results = ARENA_ARRAY(d->arena, struct column, r->plan->checks_count);
    if (!expr_run_eval(r->checks, &d->env, batch_slice(d->arena, d->rows, first, rows), NULL, rows, results,
                       &errors, &error)) {
        for (uint32_t row = first; row < first + rows; row++)
            reject(d, d->record_of[row], &error);
        return;
    }
    reject_failed(d, first, &errors);
    for (uint32_t i = 0; i < r->plan->checks_count; i++) {
        for (uint32_t row = 0; row < rows; row++) {
            if (column_is_null(&results[i], row) || ((const uint8_t *)results[i].data)[row] ||
                is_deletion(d, first + row))
                continue;
            error_set(&error, ERRCODE_CHECK_VIOLATION,
                      "new row for relation \"%s\" violates check constraint \"%s\"", r->object->name,
                      r->plan->check_names[i]);
            reject(d, d->record_of[first + row], &error);
        }
    }
}

/* The relation's rows around those that the format made. */
static void complete_rows(struct decoding *d)
{
    struct source_records *r = d->r;
    d->rows = batch_header(d->arena, r->columns_count);
    d->rows->rows = d->made->rows;
    d->rows->weights = d->made->weights;
    for (uint32_t i = 0; i < r->made_count; i++)
        d->rows->columns[r->made[i]] = d->made->columns[i];
    if (d->rows->rows == 0)
        return;
    for (uint32_t c = 0; c < r->columns_count; c++) {
        if (r->metadata[c] != METADATA_NONE)
            fill_metadata(d, c);
        else if (r->defaults[c] != NULL)
            fill_default(d, c);
    }
    if (r->generated != NULL) {
        for (uint32_t i = 0; i < r->plan->generated_count; i++)
            column_init(&d->rows->columns[r->plan->generated_columns[i]], r->generated_types[i],
                        d->rows->rows, d->arena);
        fill_generated(d);
    }
    check_not_null(d);
    if (r->checks != NULL)
        for (uint32_t first = 0, rows; first < d->rows->rows; first += rows) {
            rows = piece_rows(d, first);
            check_piece(d, first, rows);
        }
}

/* ---- which rows stay ---- */

/* Clears the rows that a later one with their key replaces. */
static void keep_newest(struct decoding *d, uint8_t *kept)
{
    const struct source_records *r = d->r;
    uint32_t rows = d->rows->rows, cap = 16;
    uint64_t *hashes = arena_alloc(d->arena, sizeof(*hashes) * (rows + 1));
    batch_hash(d->rows, r->keys, r->keys_count, hashes);
    while (cap < rows * 2)
        cap *= 2;
    uint32_t *buckets = ARENA_ARRAY(d->arena, uint32_t, cap);
    for (uint32_t row = rows; row-- > 0;) {
        if (!kept[row])
            continue;
        uint32_t bucket = (uint32_t)hashes[row] & (cap - 1);
        for (; buckets[bucket] != 0; bucket = (bucket + 1) & (cap - 1)) {
            uint32_t other = buckets[bucket] - 1;
            if (hashes[other] == hashes[row] &&
                batch_rows_equal(d->rows, row, r->keys, d->rows, other, r->keys, r->keys_count))
                break;
        }
        if (buckets[bucket] != 0)
            kept[row] = 0;
        else
            buckets[bucket] = row + 1;
    }
}

static void pick_rows(struct decoding *d)
{
    uint32_t rows = d->rows->rows, count = 0;
    uint8_t *kept = arena_alloc(d->arena, rows + 1);
    for (uint32_t row = 0; row < rows; row++)
        kept[row] = d->record_of[row] < d->count && d->errors[d->record_of[row]] == NULL;
    if (d->r->keys_count > 0)
        keep_newest(d, kept);
    uint32_t *numbers = arena_alloc(d->arena, sizeof(*numbers) * (rows + 1));
    for (uint32_t row = 0; row < rows; row++) {
        numbers[count] = row;
        count += kept[row];
    }
    if (count == rows)
        return;
    struct batch *picked = batch_header(d->arena, d->rows->columns_count);
    uint32_t *record_of = arena_alloc(d->arena, sizeof(*record_of) * (count + 1));
    picked->rows = count;
    for (uint32_t c = 0; c < picked->columns_count; c++)
        column_gather(&picked->columns[c], &d->rows->columns[c], numbers, count, d->arena);
    if (d->rows->weights != NULL)
        picked->weights = arena_alloc(d->arena, sizeof(int64_t) * (count + 1));
    for (uint32_t i = 0; i < count; i++) {
        record_of[i] = d->record_of[numbers[i]];
        if (picked->weights != NULL)
            picked->weights[i] = d->rows->weights[numbers[i]];
    }
    d->rows = picked;
    d->record_of = record_of;
}

void source_records_decode(struct source_records *r, const struct record *from, uint32_t count,
                           const struct decode_rules *rules, int64_t clock_us, struct arena *arena,
                           struct decoded_records *out)
{
    struct decoding d = {.r = r, .from = from, .arena = arena};
    d.env = (struct eval_env){.io = io_env_default, .statement_us = clock_us};
    d.env.io.now_us = clock_us;
    d.errors = ARENA_ARRAY(arena, struct rejected_record *, count + 1);
    d.made = batch_create(arena, r->made_types, r->made_count, 1024);
    *out = (struct decoded_records){0};
    error_init(&out->why);
    decode_values(&d, count, rules, &out->why);
    complete_rows(&d);
    if (rules->stops_at_error && d.errors_count > 0) {
        uint32_t record = 0;
        while (d.errors[record] == NULL || d.errors[record]->code == ERRCODE_NONE)
            record++;
        error_set(&out->why, d.errors[record]->code, "%s", d.errors[record]->reason);
        d.count = record;
    }
    pick_rows(&d);
    struct rejected_record *rejected =
        ARENA_ARRAY(arena, struct rejected_record, d.errors_count + d.skipped_count + 1);
    for (uint32_t record = 0; record < d.count; record++)
        if (d.errors[record] != NULL)
            rejected[out->rejected_count++] = *d.errors[record];
    out->taken = d.count;
    out->rows = d.rows;
    out->record_of = d.record_of;
    out->rejected = rejected;
}
