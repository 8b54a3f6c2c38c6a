/* op_values.c: rows of constant expressions, once, in the initial tick, on shard 0. */
#include "executor/expr_program.h"
#include "executor/operators/op_common.h"

static bool values_row(struct operator* op, struct expr *const *exprs, struct arena *arena, struct datum *row,
                       struct error *err)
{
    for (uint32_t c = 0; c < op->columns_count; c++) {
        if (exprs[c]->kind == EXPR_CONSTANT)
            row[c] = exprs[c]->value;
        else if (!expr_eval_constant(exprs[c], op->ctx->env, arena, &row[c], err))
            return false;
    }
    return true;
}

static bool values_emit(struct operator* op, struct arena *arena, struct error *err)
{
    const struct plan *plan = op->plan;
    struct datum *row = arena_alloc(arena, sizeof(*row) * op->columns_count);
    uint32_t capacity = plan->values.rows_count < BATCH_ROWS_MAX ? plan->values.rows_count : BATCH_ROWS_MAX;
    struct batch *out = batch_create(arena, op->types, op->columns_count, capacity);
    for (uint32_t r = 0; r < plan->values.rows_count; r++) {
        struct error row_error;
        if (!values_row(op, plan->values.rows[r], arena, row, &row_error)) {
            if (!op->ctx->collect_errors) {
                *err = row_error;
                return false;
            }
            if (!op_error_weight(op, 1, &row_error, err))
                return false;
            continue;
        }
        batch_append_datums(out, row, 1);
        if (out->rows == BATCH_ROWS_MAX) {
            if (!operator_emit(op, out, err))
                return false;
            batch_clear(out);
        }
    }
    return out->rows == 0 || operator_emit(op, out, err);
}

static bool values_finish(struct operator* op, struct error *err)
{
    if (!op->ctx->initial || op->ctx->shard != 0)
        return true;
    struct arena arena;
    arena_init(&arena, op->ctx->account);
    bool done = values_emit(op, &arena, err);
    arena_release(&arena);
    return done;
}

const struct operator_class op_values_class = {
    .name = "values",
    .bytes = sizeof(struct operator),
    .finish = values_finish,
};
