/* op_common.c: small helpers that several operators share. */
#include "executor/operators/op_common.h"

#include "executor/expr_program.h"
#include "storage/data/hash.h"

bool op_check(const struct operator* op, struct error *err)
{
    const struct eval_env *env = op->ctx->env;
    if (env->cancel != NULL && atomic_load_explicit(env->cancel, memory_order_relaxed))
        return error_set(err, ERRCODE_QUERY_CANCELED, "canceling statement due to user request");
    if (op->ctx->mode != DATAFLOW_ONE_SHOT && !op->ctx->initial) /* a view that lives goes on */
        return true;
    return op->ctx->account == NULL || account_check(op->ctx->account, err);
}

struct batch *op_gather(struct arena *arena, const struct batch *from, const uint32_t *rows, uint32_t count)
{
    struct batch *out = batch_header(arena, from->columns_count);
    out->rows = count;
    for (uint32_t c = 0; c < from->columns_count; c++)
        column_gather(&out->columns[c], &from->columns[c], rows, count, arena);
    if (from->weights != NULL) {
        out->weights = arena_alloc(arena, sizeof(int64_t) * count);
        for (uint32_t i = 0; i < count; i++)
            out->weights[i] = from->weights[rows[i]];
    }
    op_pick_arrival(arena, out, from, rows);
    return out;
}

void op_pick_arrival(struct arena *arena, struct batch *out, const struct batch *from, const uint32_t *rows)
{
    if (from->watermarks == NULL || rows == NULL) {
        out->watermarks = from->watermarks;
        out->positions = from->positions;
        return;
    }
    int64_t *watermarks = arena_alloc(arena, sizeof(*watermarks) * out->rows);
    int64_t *positions = arena_alloc(arena, sizeof(*positions) * out->rows);
    for (uint32_t i = 0; i < out->rows; i++) {
        watermarks[i] = from->watermarks[rows[i]];
        positions[i] = from->positions[rows[i]];
    }
    out->watermarks = watermarks;
    out->positions = positions;
}

struct batch *op_with_weights(struct arena *arena, const struct batch *from, int64_t *weights)
{
    struct batch *out = batch_header(arena, from->columns_count);
    out->rows = from->rows;
    if (from->columns_count > 0)
        memcpy(out->columns, from->columns, sizeof(struct column) * from->columns_count);
    out->weights = weights;
    op_pick_arrival(arena, out, from, NULL);
    return out;
}

static void concat_column(struct column *out, const struct column *a, uint32_t rows_a, const struct column *b,
                          uint32_t rows_b, struct arena *arena)
{
    uint32_t rows = rows_a + rows_b;
    size_t width = phys_bytes(a->phys);
    column_init(out, a->type, rows, arena);
    if (rows_a > 0)
        memcpy(out->data, a->data, width * rows_a);
    if (rows_b > 0)
        memcpy((uint8_t *)out->data + width * rows_a, b->data, width * rows_b);
    if ((rows_a > 0 && a->nulls != NULL) || (rows_b > 0 && b->nulls != NULL)) {
        uint8_t *nulls = column_need_nulls(out, rows, arena);
        if (rows_a > 0 && a->nulls != NULL)
            memcpy(nulls, a->nulls, rows_a);
        if (rows_b > 0 && b->nulls != NULL)
            memcpy(nulls + rows_a, b->nulls, rows_b);
    }
}

struct batch *op_concat(struct arena *arena, const struct batch *a, const struct batch *b)
{
    struct batch *out = batch_header(arena, a->columns_count);
    out->rows = a->rows + b->rows;
    for (uint32_t c = 0; c < a->columns_count; c++)
        concat_column(&out->columns[c], &a->columns[c], a->rows, &b->columns[c], b->rows, arena);
    out->weights = arena_alloc(arena, sizeof(int64_t) * out->rows);
    for (uint32_t i = 0; i < a->rows; i++)
        out->weights[i] = batch_weight(a, i);
    for (uint32_t i = 0; i < b->rows; i++)
        out->weights[a->rows + i] = batch_weight(b, i);
    return out;
}

void op_null_column(struct column *out, struct sql_type type, uint32_t rows, struct arena *arena)
{
    column_init(out, type, rows, arena);
    if (rows > 0)
        memset(column_need_nulls(out, rows, arena), 1, rows);
}

uint8_t *op_null_keys(struct arena *arena, const struct batch *rows, const uint32_t *keys,
                      uint32_t keys_count, const bool *null_safe)
{
    uint8_t *skip = NULL;
    for (uint32_t k = 0; k < keys_count; k++) {
        const struct column *column = &rows->columns[keys[k]];
        if (column->nulls == NULL || (null_safe != NULL && null_safe[k]))
            continue;
        if (skip == NULL)
            skip = arena_zalloc(arena, rows->rows);
        for (uint32_t i = 0; i < rows->rows; i++)
            skip[i] |= column->nulls[i];
    }
    return skip;
}

int op_compare_rows(const struct batch *a, uint32_t row_a, const struct batch *b, uint32_t row_b,
                    const struct sort_key *keys, uint32_t keys_count)
{
    for (uint32_t k = 0; k < keys_count; k++) {
        const struct column *column_a = &a->columns[keys[k].column], *column_b = &b->columns[keys[k].column];
        bool null_a = column_is_null(column_a, row_a), null_b = column_is_null(column_b, row_b);
        int order;
        if (null_a || null_b) {
            if (null_a && null_b)
                continue;
            return null_a == keys[k].nulls_first ? -1 : 1;
        }
        struct datum value_a = column_get(column_a, row_a), value_b = column_get(column_b, row_b);
        order = type_compare(column_a->type.oid, &value_a, &value_b);
        if (order != 0)
            return keys[k].descending ? -order : order;
    }
    return 0;
}

void op_encode_row(const struct batch *batch, uint32_t row, struct strbuf *out)
{
    for (uint32_t c = 0; c < batch->columns_count; c++) {
        struct datum value = column_get(&batch->columns[c], row);
        type_encode_exact(batch->columns[c].type.oid, &value, out);
    }
}

bool op_eval_count(const struct operator* op, const struct expr *expr, bool is_limit, int64_t *out,
                   struct error *err)
{
    *out = -1;
    if (expr == NULL)
        return true;
    struct datum value;
    if (!expr_eval_constant(expr, op->ctx->env, op->ctx->plan_arena, &value, err))
        return false;
    if (value.is_null)
        return true;
    if (value.i64 < 0)
        return error_set(err,
                         is_limit ? ERRCODE_INVALID_ROW_COUNT_IN_LIMIT_CLAUSE
                                  : ERRCODE_INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE,
                         "%s must not be negative", is_limit ? "LIMIT" : "OFFSET");
    *out = value.i64;
    return true;
}

bool op_emit_row_errors(struct operator* op, const struct batch *change, const uint32_t *rows,
                        const struct row_errors *errors, struct error *err)
{
    for (uint32_t i = 0; i < errors->count; i++) {
        uint32_t row = errors->items[i].row;
        if (!op_error_row(op, change, rows != NULL ? rows[row] : row, errors->items[i].error, err))
            return false;
    }
    return true;
}

static void byte_set_rehash(struct byte_set *set, struct arena *arena)
{
    uint32_t cap = set->index_cap == 0 ? 16 : set->index_cap * 2;
    set->index = arena_zalloc(arena, sizeof(uint32_t) * cap);
    set->index_cap = cap;
    for (uint32_t i = 0; i < set->count; i++) {
        uint32_t at = (uint32_t)set->entries[i].hash & (cap - 1);
        while (set->index[at] != 0)
            at = (at + 1) & (cap - 1);
        set->index[at] = i + 1;
    }
}

uint32_t byte_set_add(struct byte_set *set, struct arena *arena, const void *bytes, uint32_t len, bool *added)
{
    if ((set->count + 1) * 2 > set->index_cap)
        byte_set_rehash(set, arena);
    uint64_t hash = hash_bytes(len > 0 ? bytes : "", len);
    uint32_t at = (uint32_t)hash & (set->index_cap - 1);
    while (set->index[at] != 0) {
        const struct byte_set_entry *entry = &set->entries[set->index[at] - 1];
        if (entry->hash == hash && entry->len == len && (len == 0 || memcmp(entry->bytes, bytes, len) == 0)) {
            *added = false;
            return set->index[at] - 1;
        }
        at = (at + 1) & (set->index_cap - 1);
    }
    struct byte_set_entry entry = {.len = len, .hash = hash};
    entry.bytes = len > 0 ? arena_copy(arena, bytes, len) : NULL;
    ARENA_PUSH(arena, set->entries, set->count, set->cap, entry);
    set->index[at] = set->count;
    *added = true;
    return set->count - 1;
}

void op_result_set(struct column *result, uint32_t row, const struct datum *value, uint32_t rows,
                   struct arena *arena)
{
    if (value->is_null)
        column_set_null(result, row, rows, arena);
    else
        column_set(result, row, value, rows, arena);
}

void op_finish_states(struct agg_call *call, void **states, uint32_t count, struct column *result,
                      struct error **errors, struct arena *scratch)
{
    struct error error;
    call->error = &error;
    error_init(&error);
    call->aggregate->finish(call, states, count, result);
    if (error.code == ERRCODE_NONE)
        return;
    /* Some group failed: find out which, one by one. */
    for (uint32_t i = 0; i < count; i++) {
        struct column one;
        column_init(&one, call->result_type, 1, scratch);
        column_need_nulls(&one, 1, scratch);
        error_init(&error);
        call->aggregate->finish(call, &states[i], 1, &one);
        if (error.code == ERRCODE_NONE) {
            struct datum value = column_get(&one, 0);
            value.is_null = one.nulls[0];
            op_result_set(result, i, &value, count, scratch);
        } else if (errors[i] == NULL) {
            errors[i] = arena_copy(scratch, &error, sizeof(error));
        }
    }
}

struct residual_columns {
    uint32_t *map; /* joined column -> place among those needed, UINT32_MAX */
    uint32_t *columns;
    uint32_t count;
};

static bool note_column(void *ctx, const struct expr *node)
{
    struct residual_columns *needed = ctx;
    if (node->kind == EXPR_COLUMN && needed->map[node->index] == UINT32_MAX) {
        needed->map[node->index] = needed->count;
        needed->columns[needed->count++] = node->index;
    }
    return true;
}

bool op_residual_compile(const struct op_context *ctx, const struct expr *residual, uint32_t width,
                         uint32_t **columns, uint32_t *count, struct expr_run **run, struct error *err)
{
    struct residual_columns needed = {.count = 0};
    needed.map = arena_alloc(ctx->plan_arena, sizeof(uint32_t) * width);
    memset(needed.map, 0xFF, sizeof(uint32_t) * width);
    needed.columns = arena_alloc(ctx->plan_arena, sizeof(uint32_t) * width);
    expr_walk(residual, note_column, &needed);
    *columns = needed.columns;
    *count = needed.count;
    const struct expr *narrow = expr_remap(ctx->plan_arena, residual, needed.map);
    struct expr_program *program;
    if (!expr_compile(ctx->plan_arena, &narrow, 1, &program, err))
        return false;
    *run = expr_run_create(program, ctx->account);
    return true;
}
