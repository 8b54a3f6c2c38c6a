/* agg_collect.c: string_agg and array_agg: all values of a group, in order. */
#include "executor/aggregates/agg_tables.h"
#include "storage/data/array.h"

/* Values joined by their delimiters: before each value but the first stands that value's own delimiter. */
static bool string_agg_collect(struct agg_call *call, struct agg_values *values, struct datum *result)
{
    struct datum args[1 + CALL_ARGS_MAX];
    struct strbuf text = STRBUF_INIT;
    int64_t copies;
    bool any = false, done = true;
    while (done && values->next(values, args, &copies)) {
        if (args[0].is_null)
            continue;
        for (int64_t i = 0; i < copies && done; i++) {
            if (any && !args[1].is_null)
                strbuf_add(&text, varlen_bytes(&args[1].var), args[1].var.len);
            strbuf_add(&text, varlen_bytes(&args[0].var), args[0].var.len);
            any = true;
            if (text.len > VALUE_BYTES_MAX)
                done = error_set(call->error, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                                 "result of string_agg is longer than %u bytes", VALUE_BYTES_MAX);
        }
    }
    *result = any && done ? datum_text(call->arena, text.data, text.len) : datum_null();
    strbuf_release(&text);
    return done;
}

static bool array_agg_collect(struct agg_call *call, struct agg_values *values, struct datum *result)
{
    struct datum args[1 + CALL_ARGS_MAX];
    *result = datum_null();
    if (values->count == 0)
        return true;
    if (values->count > VALUE_BYTES_MAX / 4)
        return error_set(call->error, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                         "array size exceeds the maximum allowed (%u)", VALUE_BYTES_MAX / 4);
    struct datum *elements = arena_alloc(call->arena, sizeof(*elements) * (size_t)values->count);
    uint32_t count = 0;
    int64_t copies;
    while (values->next(values, args, &copies))
        for (int64_t i = 0; i < copies && count < values->count; i++)
            elements[count++] = args[0];
    *result = (struct datum){.var = array_make(call->arena, call->arg_types[0].oid, elements, count)};
    return true;
}

static bool cannot_accumulate(struct agg_call *call, const char *what)
{
    return error_set(call->error, ERRCODE_ARRAY_SUBSCRIPT_ERROR, "cannot accumulate %s", what);
}

/* Arrays of one shape become the elements of an array with one dimension more. */
static bool array_agg_arrays_collect(struct agg_call *call, struct agg_values *values, struct datum *result)
{
    struct datum args[1 + CALL_ARGS_MAX], *elements = NULL, element;
    struct array_view first, view;
    uint32_t count = 0, cap = 0, arrays = 0;
    int64_t copies;
    *result = datum_null();
    while (values->next(values, args, &copies)) {
        if (args[0].is_null)
            return error_set(call->error, ERRCODE_NULL_VALUE_NOT_ALLOWED, "cannot accumulate null arrays");
        array_open(&args[0].var, &view);
        if (view.ndim == 0)
            return cannot_accumulate(call, "empty arrays");
        if (arrays == 0)
            first = view;
        size_t bytes = sizeof(int32_t) * (size_t)view.ndim;
        if (view.ndim != first.ndim || memcmp(view.lengths, first.lengths, bytes) != 0)
            return cannot_accumulate(call, "arrays of different dimensionality");
        if (view.ndim >= ARRAY_DIMS_MAX)
            return error_set(call->error, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                             "number of array dimensions (%d) exceeds the maximum allowed (%d)",
                             view.ndim + 1, ARRAY_DIMS_MAX);
        for (int64_t i = 0; i < copies; i++, arrays++) {
            if ((uint64_t)count + view.count > VALUE_BYTES_MAX / 4)
                return error_set(call->error, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                                 "array size exceeds the maximum allowed (%u)", VALUE_BYTES_MAX / 4);
            const uint8_t *cursor = view.elements;
            while (array_next(&view, &cursor, &element))
                ARENA_PUSH(call->arena, elements, count, cap, element);
        }
    }
    if (arrays == 0)
        return true;
    int32_t lengths[ARRAY_DIMS_MAX] = {(int32_t)arrays}, lower_bounds[ARRAY_DIMS_MAX] = {1};
    memcpy(lengths + 1, first.lengths, sizeof(int32_t) * (size_t)first.ndim);
    memcpy(lower_bounds + 1, first.lower_bounds, sizeof(int32_t) * (size_t)first.ndim);
    *result = (struct datum){.var = array_make_dims(call->arena, first.element_oid, elements, first.ndim + 1,
                                                    lengths, lower_bounds)};
    return true;
}

#define FLAGS (AGG_NULLS | AGG_ORDERED)

const struct aggregate_row agg_collect_rows[] = {
    {"string_agg", "text,text", "text", "string_agg(name, ', ') joins the values by the delimiter", FLAGS, 0,
     NULL, NULL, NULL, string_agg_collect},
    {"string_agg", "bytea,bytea", "bytea", "string_agg(bytes, delimiter) joins the values by the delimiter",
     FLAGS, 0, NULL, NULL, NULL, string_agg_collect},
    {"array_agg", "anynonarray", "anyarray", "all values, NULLs included, as an array", FLAGS, 0, NULL, NULL,
     NULL, array_agg_collect},
    {"array_agg", "anyarray", "anyarray", "arrays of one shape as an array with one dimension more", FLAGS, 0,
     NULL, NULL, NULL, array_agg_arrays_collect},
};
const size_t agg_collect_rows_count = ARRAY_COUNT(agg_collect_rows);
