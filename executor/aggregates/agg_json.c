/* agg_json.c: json_agg, json_object_agg and their jsonb forms.
 *
 * A value becomes JSON as to_json makes it: numbers and booleans as they are, json as given, dates and times
 * in ISO 8601, arrays as arrays, records as objects, all else as strings. */
#include "executor/aggregates/agg_tables.h"
#include "storage/data/array.h"
#include "storage/data/json.h"
#include "storage/data/record.h"

static void write_iso(uint32_t oid, const struct datum *value, const struct io_env *env, struct strbuf *out)
{
    struct strbuf text = STRBUF_INIT;
    type_output(oid, value, env, &text);
    char *space = text.len > 0 ? strchr(text.data, ' ') : NULL;
    if (space != NULL && space[1] >= '0' && space[1] <= '9')
        *space = 'T';
    strbuf_addc(out, '"');
    strbuf_adds(out, strbuf_text(&text));
    if (oid == OID_TIMESTAMPTZ && text.len > 3 &&
        (text.data[text.len - 3] == '+' || text.data[text.len - 3] == '-'))
        strbuf_adds(out, ":00");
    strbuf_addc(out, '"');
    strbuf_release(&text);
}

static void write_value(uint32_t oid, const struct datum *value, const struct io_env *env,
                        struct strbuf *out);

static void write_array(const struct array_view *view, const uint8_t **cursor, int32_t dimension,
                        const struct io_env *env, struct strbuf *out)
{
    strbuf_addc(out, '[');
    for (int32_t i = 0; view->ndim > 0 && i < view->lengths[dimension]; i++) {
        if (i > 0)
            strbuf_addc(out, ',');
        if (dimension + 1 < view->ndim) {
            write_array(view, cursor, dimension + 1, env, out);
            continue;
        }
        struct datum element;
        if (array_next(view, cursor, &element))
            write_value(view->element_oid, &element, env, out);
    }
    strbuf_addc(out, ']');
}

static void write_value(uint32_t oid, const struct datum *value, const struct io_env *env, struct strbuf *out)
{
    if (value->is_null) {
        strbuf_adds(out, "null");
        return;
    }
    struct strbuf text = STRBUF_INIT;
    switch (oid) {
    case OID_BOOL:
        strbuf_adds(out, value->boolean ? "true" : "false");
        return;
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
        type_output(oid, value, env, out);
        return;
    case OID_FLOAT4:
    case OID_FLOAT8:
    case OID_NUMERIC:
        type_output(oid, value, env, &text);
        if (strpbrk(strbuf_text(&text), "Nny") != NULL) /* NaN, Infinity */
            json_write_string(text.data, text.len, out);
        else
            strbuf_adds(out, strbuf_text(&text));
        break;
    case OID_JSON:
    case OID_JSONB:
        strbuf_add(out, varlen_bytes(&value->var), value->var.len);
        return;
    case OID_DATE:
    case OID_TIMESTAMP:
    case OID_TIMESTAMPTZ:
        write_iso(oid, value, env, out);
        return;
    default:
        if (type_is_array(oid)) {
            struct array_view view;
            array_open(&value->var, &view);
            const uint8_t *cursor = view.elements;
            write_array(&view, &cursor, 0, env, out);
            return;
        }
        if (oid == OID_RECORD) {
            struct record_view view;
            record_open(&value->var, &view);
            strbuf_addc(out, '{');
            struct datum field;
            uint32_t field_oid;
            const uint8_t *cursor = view.fields;
            for (uint32_t i = 1; record_next(&view, &cursor, &field_oid, &field); i++) {
                strbuf_addf(out, "%s\"f%u\":", i > 1 ? "," : "", i);
                write_value(field_oid, &field, env, out);
            }
            strbuf_addc(out, '}');
            return;
        }
        type_output(oid, value, env, &text);
        json_write_string(strbuf_text(&text), text.len, out);
        break;
    }
    strbuf_release(&text);
}

static bool json_result(struct agg_call *call, struct strbuf *text, struct datum *result)
{
    bool done = true;
    if (text->len > VALUE_BYTES_MAX)
        done = error_set(call->error, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "JSON value is longer than %u bytes",
                         VALUE_BYTES_MAX);
    else if (call->result_type.oid == OID_JSONB)
        done = jsonb_parse(call->arena, text->data, text->len, &result->var, call->error);
    else
        *result = datum_text(call->arena, text->data, text->len);
    result->is_null = !done;
    return done;
}

static bool json_agg_collect(struct agg_call *call, struct agg_values *values, struct datum *result)
{
    *result = datum_null();
    if (values->count == 0)
        return true;
    struct datum args[1 + CALL_ARGS_MAX];
    struct strbuf text = STRBUF_INIT;
    uint32_t oid = call->arg_types[0].oid;
    bool is_nested = oid == OID_RECORD || type_is_array(oid), any = false;
    int64_t copies;
    strbuf_addc(&text, '[');
    while (values->next(values, args, &copies)) {
        for (int64_t i = 0; i < copies && text.len <= VALUE_BYTES_MAX; i++) {
            if (any)
                strbuf_adds(&text, is_nested && !args[0].is_null ? ", \n " : ", ");
            write_value(oid, &args[0], &call->env->io, &text);
            any = true;
        }
    }
    strbuf_addc(&text, ']');
    bool done = json_result(call, &text, result);
    strbuf_release(&text);
    return done;
}

static bool json_object_agg_collect(struct agg_call *call, struct agg_values *values, struct datum *result)
{
    *result = datum_null();
    if (values->count == 0)
        return true;
    struct datum args[2 + CALL_ARGS_MAX];
    struct strbuf text = STRBUF_INIT, key = STRBUF_INIT;
    bool any = false, done = true;
    int64_t copies;
    strbuf_adds(&text, "{ ");
    while (done && values->next(values, args, &copies)) {
        if (args[0].is_null) {
            done = error_set(call->error, ERRCODE_INVALID_PARAMETER_VALUE, "field name must not be null");
            break;
        }
        strbuf_reset(&key);
        type_output(call->arg_types[0].oid, &args[0], &call->env->io, &key);
        for (int64_t i = 0; i < copies && text.len <= VALUE_BYTES_MAX; i++) {
            if (any)
                strbuf_adds(&text, ", ");
            json_write_string(strbuf_text(&key), key.len, &text);
            strbuf_adds(&text, " : ");
            write_value(call->arg_types[1].oid, &args[1], &call->env->io, &text);
            any = true;
        }
    }
    strbuf_adds(&text, " }");
    done = done && json_result(call, &text, result);
    strbuf_release(&text);
    strbuf_release(&key);
    return done;
}

#define FLAGS (AGG_NULLS | AGG_ORDERED)

const struct aggregate_row agg_json_rows[] = {
    {"json_agg", "anyelement", "json", "all values as a JSON array", FLAGS, 0, NULL, NULL, NULL,
     json_agg_collect},
    {"jsonb_agg", "anyelement", "jsonb", "all values as a JSON array", FLAGS, 0, NULL, NULL, NULL,
     json_agg_collect},
    {"json_object_agg", "any,any", "json", "keys and values as a JSON object", FLAGS, 0, NULL, NULL, NULL,
     json_object_agg_collect},
    {"jsonb_object_agg", "any,any", "jsonb", "keys and values as a JSON object", FLAGS, 0, NULL, NULL, NULL,
     json_object_agg_collect},
};
const size_t agg_json_rows_count = ARRAY_COUNT(agg_json_rows);
