/* agg_min_max.c: min and max of every ordered type.
 *
 * `add` keeps one value and serves input without retractions; otherwise the ordered multiset gives its first
 * or last value. Equal values keep the first one seen. */
#include "executor/aggregates/agg_tables.h"
#include "storage/data/type_check.h"

struct extreme {
    uint64_t is_set;
    union {
        int64_t i64;
        double f64;
        uint8_t bytes[16];
        struct interval interval;
        struct varlen var;
    };
};

static bool float_less(double a, double b)
{
    return a < b || (b != b && a == a); /* NaN is the greatest */
}

#define LESS_PLAIN(a, b)    ((a) < (b))
#define GREATER_PLAIN(a, b) ((a) > (b))
#define LESS_FLOAT(a, b)    float_less(a, b)
#define GREATER_FLOAT(a, b) float_less(b, a)

#define EXTREME_FIXED(name, type, field, better)                                                             \
    static void name##_add(struct agg_call *call, const struct column *args, const uint32_t *selection,      \
                           uint32_t count, const int64_t *weights, void *const *states)                      \
    {                                                                                                        \
        const type *values = args[0].data;                                                                   \
        for (uint32_t i = 0; i < count; i++) {                                                               \
            uint32_t row = AGG_ROW(i);                                                                       \
            struct extreme *state = states[i];                                                               \
            if (AGG_WEIGHT(row) > 0 && (!state->is_set || better(values[row], state->field))) {              \
                state->is_set = 1;                                                                           \
                state->field = values[row];                                                                  \
            }                                                                                                \
        }                                                                                                    \
    }                                                                                                        \
    static void name##_merge(struct agg_call *call, void *const *wholes, void *const *parts, uint32_t count) \
    {                                                                                                        \
        for (uint32_t i = 0; i < count; i++) {                                                               \
            struct extreme *whole = wholes[i];                                                               \
            const struct extreme *part = parts[i];                                                           \
            if (part->is_set && (!whole->is_set || better(part->field, whole->field))) {                     \
                whole->is_set = 1;                                                                           \
                whole->field = part->field;                                                                  \
            }                                                                                                \
        }                                                                                                    \
    }                                                                                                        \
    static void name##_finish(struct agg_call *call, void *const *states, uint32_t count,                    \
                              struct column *result)                                                         \
    {                                                                                                        \
        type *out = result->data;                                                                            \
        for (uint32_t i = 0; i < count; i++) {                                                               \
            const struct extreme *state = states[i];                                                         \
            if (state->is_set)                                                                               \
                out[i] = (type)state->field;                                                                 \
            else                                                                                             \
                agg_null(result, i);                                                                         \
        }                                                                                                    \
    }

EXTREME_FIXED(min_i16, int16_t, i64, LESS_PLAIN)
EXTREME_FIXED(max_i16, int16_t, i64, GREATER_PLAIN)
EXTREME_FIXED(min_i32, int32_t, i64, LESS_PLAIN)
EXTREME_FIXED(max_i32, int32_t, i64, GREATER_PLAIN)
EXTREME_FIXED(min_i64, int64_t, i64, LESS_PLAIN)
EXTREME_FIXED(max_i64, int64_t, i64, GREATER_PLAIN)
EXTREME_FIXED(min_f32, float, f64, LESS_FLOAT)
EXTREME_FIXED(max_f32, float, f64, GREATER_FLOAT)
EXTREME_FIXED(min_f64, double, f64, LESS_FLOAT)
EXTREME_FIXED(max_f64, double, f64, GREATER_FLOAT)

/* ---- types that compare by their class: 16 bytes or variable length ---- */

static void extreme_other_add(struct agg_call *call, const struct column *args, const uint32_t *selection,
                              uint32_t count, const int64_t *weights, void *const *states, int sign)
{
    bool is_var = args[0].phys == PHYS_VAR;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = AGG_ROW(i);
        struct extreme *state = states[i];
        if (AGG_WEIGHT(row) <= 0)
            continue;
        struct datum value = column_get(&args[0], row);
        if (state->is_set) {
            struct datum present = {.is_null = false};
            memcpy(present.fix16, state->bytes, 16);
            if (type_compare(args[0].type.oid, &value, &present) * sign <= 0)
                continue;
            if (is_var)
                table_heap_free(call->heap, &state->var);
        }
        state->is_set = 1;
        if (is_var)
            state->var = table_heap_store(call->heap, &value.var);
        else
            memcpy(state->bytes, value.fix16, 16);
    }
}

static void min_other_add(struct agg_call *call, const struct column *args, const uint32_t *selection,
                          uint32_t count, const int64_t *weights, void *const *states)
{
    extreme_other_add(call, args, selection, count, weights, states, -1);
}

static void max_other_add(struct agg_call *call, const struct column *args, const uint32_t *selection,
                          uint32_t count, const int64_t *weights, void *const *states)
{
    extreme_other_add(call, args, selection, count, weights, states, 1);
}

static void extreme_other_merge(struct agg_call *call, void *const *wholes, void *const *parts,
                                uint32_t count, int sign)
{
    struct sql_type type = call->arg_types[0];
    bool is_var = type_phys(type.oid) == PHYS_VAR;
    for (uint32_t i = 0; i < count; i++) {
        struct extreme *whole = wholes[i];
        const struct extreme *part = parts[i];
        if (!part->is_set)
            continue;
        struct datum value = {.is_null = false}, present = {.is_null = false};
        memcpy(value.fix16, part->bytes, 16);
        if (whole->is_set) {
            memcpy(present.fix16, whole->bytes, 16);
            if (type_compare(type.oid, &value, &present) * sign <= 0)
                continue;
            if (is_var)
                table_heap_free(call->heap, &whole->var);
        }
        whole->is_set = 1;
        if (is_var)
            whole->var = table_heap_store(call->heap, &value.var);
        else
            memcpy(whole->bytes, part->bytes, 16);
    }
}

static void min_other_merge(struct agg_call *call, void *const *wholes, void *const *parts, uint32_t count)
{
    extreme_other_merge(call, wholes, parts, count, -1);
}

static void max_other_merge(struct agg_call *call, void *const *wholes, void *const *parts, uint32_t count)
{
    extreme_other_merge(call, wholes, parts, count, 1);
}

static void extreme_other_finish(struct agg_call *call, void *const *states, uint32_t count,
                                 struct column *result)
{
    uint8_t *out = result->data;
    for (uint32_t i = 0; i < count; i++) {
        const struct extreme *state = states[i];
        if (!state->is_set) {
            agg_null(result, i);
            continue;
        }
        struct varlen copy;
        if (result->phys == PHYS_VAR) {
            copy = varlen_copy(call->arena, varlen_bytes(&state->var), state->var.len);
            memcpy(out + (size_t)i * 16, &copy, 16);
        } else {
            memcpy(out + (size_t)i * 16, state->bytes, 16);
        }
    }
}

static void extreme_var_release(struct agg_call *call, void *state)
{
    struct extreme *extreme = state;
    if (extreme->is_set)
        table_heap_free(call->heap, &extreme->var);
    extreme->is_set = 0;
}

/* Nothing when there is no value, else a byte 1 and the value's. */
static void extreme_var_save(const struct agg_call *call, const void *state, struct strbuf *out)
{
    const struct extreme *extreme = state;
    (void)call;
    if (!extreme->is_set)
        return;
    strbuf_addc(out, 1);
    strbuf_add(out, varlen_bytes(&extreme->var), extreme->var.len);
}

static bool extreme_var_load(struct agg_call *call, void *state, const uint8_t *bytes, size_t len)
{
    struct extreme *extreme = state;
    if (len == 0)
        return true;
    if (bytes[0] != 1 || len - 1 > VALUE_BYTES_MAX ||
        !var_bytes_valid(call->arg_types[0].oid, bytes + 1, len - 1))
        return false;
    struct varlen value = varlen_view(bytes + 1, (uint32_t)len - 1);
    extreme->is_set = 1;
    extreme->var = table_heap_store(call->heap, &value);
    return true;
}

static bool min_collect(struct agg_call *call, struct agg_values *values, struct datum *result)
{
    int64_t copies;
    struct datum args[1 + CALL_ARGS_MAX];
    *result = datum_null();
    if (values->next(values, args, &copies))
        *result = args[0];
    return true;
}

static bool max_collect(struct agg_call *call, struct agg_values *values, struct datum *result)
{
    struct datum args[1 + CALL_ARGS_MAX];
    *result = datum_null();
    if (values->last(values, args))
        *result = args[0];
    return true;
}

#define MIN_HELP "smallest value"
#define MAX_HELP "largest value"
#define STATE    sizeof(struct extreme)
#define FIXED    (offsetof(struct extreme, i64) + sizeof(int64_t)) /* the larger members are not used */
#define FIXED_ROWS(type, phys)                                                                               \
    {"min",                                                                                                  \
     type,                                                                                                   \
     type,                                                                                                   \
     MIN_HELP,                                                                                               \
     AGG_APPEND_ONLY_ADD,                                                                                    \
     FIXED,                                                                                                  \
     min_##phys##_add,                                                                                       \
     min_##phys##_finish,                                                                                    \
     NULL,                                                                                                   \
     min_collect,                                                                                            \
     min_##phys##_merge},                                                                                    \
    {                                                                                                        \
        "max", type, type, MAX_HELP, AGG_APPEND_ONLY_ADD, FIXED, max_##phys##_add, max_##phys##_finish,      \
            NULL, max_collect, max_##phys##_merge                                                            \
    }
#define OTHER_ROWS(type, release, save, load)                                                                \
    {"min",                                                                                                  \
     type,                                                                                                   \
     type,                                                                                                   \
     MIN_HELP,                                                                                               \
     AGG_APPEND_ONLY_ADD,                                                                                    \
     STATE,                                                                                                  \
     min_other_add,                                                                                          \
     extreme_other_finish,                                                                                   \
     release,                                                                                                \
     min_collect,                                                                                            \
     min_other_merge,                                                                                        \
     save,                                                                                                   \
     load},                                                                                                  \
    {                                                                                                        \
        "max", type, type, MAX_HELP, AGG_APPEND_ONLY_ADD, STATE, max_other_add, extreme_other_finish,        \
            release, max_collect, max_other_merge, save, load                                                \
    }

const struct aggregate_row agg_min_max_rows[] = {
    FIXED_ROWS("int2", i16),
    FIXED_ROWS("int4", i32),
    FIXED_ROWS("int8", i64),
    FIXED_ROWS("oid", i64),
    FIXED_ROWS("float4", f32),
    FIXED_ROWS("float8", f64),
    FIXED_ROWS("date", i32),
    FIXED_ROWS("time", i64),
    FIXED_ROWS("timestamp", i64),
    FIXED_ROWS("timestamptz", i64),
    OTHER_ROWS("interval", NULL, NULL, NULL),
    OTHER_ROWS("uuid", NULL, NULL, NULL),
    OTHER_ROWS("numeric", extreme_var_release, extreme_var_save, extreme_var_load),
    OTHER_ROWS("text", extreme_var_release, extreme_var_save, extreme_var_load),
    OTHER_ROWS("bpchar", extreme_var_release, extreme_var_save, extreme_var_load),
    OTHER_ROWS("bytea", extreme_var_release, extreme_var_save, extreme_var_load),
    OTHER_ROWS("anyarray", extreme_var_release, extreme_var_save, extreme_var_load),
};
const size_t agg_min_max_rows_count = ARRAY_COUNT(agg_min_max_rows);
