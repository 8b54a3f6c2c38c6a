/* agg_json.c: json_agg, json_object_agg and their jsonb forms. A value becomes JSON as to_json makes it. */
#include "executor/aggregates/agg_tables.h"
#include "storage/data/json.h"
#include "storage/data/json_encode.h"

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

static bool collect_array(struct agg_call *call, struct agg_values *values, bool lines, struct datum *result)
{
    *result = datum_null();
    if (values->count == 0)
        return true;
    struct datum args[1 + CALL_ARGS_MAX];
    struct strbuf text = STRBUF_INIT;
    uint32_t oid = call->arg_types[0].oid;
    bool any = false;
    int64_t copies;
    strbuf_addc(&text, '[');
    while (values->next(values, args, &copies)) {
        for (int64_t i = 0; i < copies && text.len <= VALUE_BYTES_MAX; i++) {
            if (any)
                strbuf_adds(&text, lines && !args[0].is_null ? ", \n " : ", ");
            json_encode(oid, &args[0], &call->env->io, false, &text);
            any = true;
        }
    }
    strbuf_addc(&text, ']');
    bool done = json_result(call, &text, result);
    strbuf_release(&text);
    return done;
}

static bool json_agg_collect(struct agg_call *call, struct agg_values *values, struct datum *result)
{
    uint32_t oid = call->arg_types[0].oid;
    return collect_array(call, values, oid == OID_RECORD || type_is_array(oid), result);
}

/* Rows that the planner has written as JSON already, because it knows their names. */
static bool json_agg_rows_collect(struct agg_call *call, struct agg_values *values, struct datum *result)
{
    return collect_array(call, values, true, result);
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
        done = json_encode_key(call->arg_types[0].oid, &args[0], &call->env->io, &key, call->error);
        for (int64_t i = 0; done && i < copies && text.len <= VALUE_BYTES_MAX; i++) {
            if (any)
                strbuf_adds(&text, ", ");
            strbuf_add(&text, strbuf_text(&key), key.len);
            strbuf_adds(&text, " : ");
            json_encode(call->arg_types[1].oid, &args[1], &call->env->io, false, &text);
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
    {"json_agg_rows", "json", "json", "json_agg of rows whose column names are known", FLAGS, 0, NULL, NULL,
     NULL, json_agg_rows_collect},
    {"jsonb_agg", "anyelement", "jsonb", "all values as a JSON array", FLAGS, 0, NULL, NULL, NULL,
     json_agg_collect},
    {"json_object_agg", "any,any", "json", "keys and values as a JSON object", FLAGS, 0, NULL, NULL, NULL,
     json_object_agg_collect},
    {"jsonb_object_agg", "any,any", "jsonb", "keys and values as a JSON object", FLAGS, 0, NULL, NULL, NULL,
     json_object_agg_collect},
};
const size_t agg_json_rows_count = ARRAY_COUNT(agg_json_rows);
