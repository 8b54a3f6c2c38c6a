/* operator.c: handing rows from one operator to the next, and keeping rows that fail as data. */
#include "executor/operator.h"

#include "executor/dataflow_internal.h"

/* Only this thread writes it; others may look. */
static void count(_Atomic uint64_t *counter, uint64_t more)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

static bool emit_piece(struct operator* op, const struct batch *piece, struct error *err)
{
    count(&op->rows_out, piece->rows);
    for (uint32_t i = 0; i < op->edges_count; i++) {
        struct operator* to = op->edges[i].to;
        count(&to->rows_in, piece->rows);
        count(&to->batches_in, 1);
        to->dirty = true;
        CHECK(to->class->push != NULL);
        if (!to->class->push(to, op->edges[i].port, piece, err))
            return false;
    }
    return true;
}

bool operator_emit(struct operator* op, const struct batch *change, struct error *err)
{
    if (change->rows == 0)
        return true;
    if (change->rows <= BATCH_ROWS_MAX)
        return emit_piece(op, change, err);
    struct arena arena;
    arena_init(&arena, NULL);
    bool ok = true;
    for (uint32_t first = 0; ok && first < change->rows && !op->ctx->stop; first += BATCH_ROWS_MAX) {
        uint32_t count = change->rows - first < BATCH_ROWS_MAX ? change->rows - first : BATCH_ROWS_MAX;
        arena_reset(&arena);
        ok = emit_piece(op, batch_slice(&arena, change, first, count), err);
    }
    arena_release(&arena);
    return ok;
}

static void keep_error(struct operator* op, const char *row, int64_t weight, const struct error *error)
{
    struct dataflow_shard *shard = op->ctx->owner;
    struct pending_error pending = {.op_name = op->class->name,
                                    .message = arena_strdup(&shard->tick_arena, error->message),
                                    .row = row,
                                    .weight = weight};
    memcpy(pending.sqlstate, error_sqlstate(error->code), sizeof(pending.sqlstate));
    ARENA_PUSH(&shard->tick_arena, shard->errors, shard->errors_count, shard->errors_cap, pending);
}

bool op_error_row(struct operator* op, const struct batch *change, uint32_t row, const struct error *error,
                  struct error *err)
{
    if (!op->ctx->collect_errors) {
        *err = *error;
        return false;
    }
    struct strbuf text = STRBUF_INIT;
    for (uint32_t i = 0; i < change->columns_count; i++) {
        strbuf_adds(&text, i == 0 ? "(" : ",");
        if (!column_is_null(&change->columns[i], row)) {
            struct datum value = column_get(&change->columns[i], row);
            type_output(change->columns[i].type.oid, &value, &op->ctx->env->io, &text);
        }
    }
    strbuf_adds(&text, change->columns_count == 0 ? "()" : ")");
    struct dataflow_shard *shard = op->ctx->owner;
    keep_error(op, arena_strndup(&shard->tick_arena, strbuf_text(&text), text.len), batch_weight(change, row),
               error);
    strbuf_release(&text);
    return true;
}

bool op_error_weight(struct operator* op, int64_t weight, const struct error *error, struct error *err)
{
    if (!op->ctx->collect_errors) {
        *err = *error;
        return false;
    }
    keep_error(op, "", weight, error);
    return true;
}
