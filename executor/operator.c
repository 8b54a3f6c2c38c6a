/* operator.c: handing rows from one operator to the next, and keeping rows that fail as data. */
#include "executor/operator.h"

#include "executor/dataflow_internal.h"
#include "storage/state/memory_governor.h"

/* Only this thread writes it; others may look. */
static void count(_Atomic uint64_t *counter, uint64_t more)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

static bool emit_piece(struct operator* op, const struct batch *piece, struct error *err)
{
    memory_pace();
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
    relation_row_text(change, row, &op->ctx->env->io, &text);
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

void op_judged(struct operator* op, uint64_t pairs)
{
    struct dataflow_shard *shard = op->ctx->owner;
    if (shard != NULL)
        shard->judged += pairs;
}

void op_late_rows(struct operator* op, const struct plan_lateness *lateness, const struct batch *change,
                  const uint32_t *rows, uint32_t count, const int64_t *starts, const int64_t *ends)
{
    struct dataflow_shard *shard = op->ctx->owner;
    if (shard == NULL || count == 0)
        return;
    shard->late_count += count;
    const struct late_desc *desc = shard->dataflow->late;
    if (!lateness->keeps_rows || desc == NULL)
        return;
    struct arena *arena = &shard->tick_arena;
    uint32_t own = desc->columns_count - LATE_EXTRA_COLUMNS;
    const uint32_t *place = desc->places[lateness->number];
    struct batch *late = batch_create(arena, desc->types, desc->columns_count, count);
    struct datum *values = ARENA_ARRAY(arena, struct datum, desc->columns_count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = rows[i];
        for (uint32_t c = 0; c < own; c++)
            values[c] = place[c] == UINT32_MAX ? (struct datum){.is_null = true}
                                               : column_get(&change->columns[place[c]], row);
        int64_t watermark = op_row_watermark(op, change, row);
        values[own] = (struct datum){.is_null = starts == NULL, .i64 = starts != NULL ? starts[i] : 0};
        values[own + 1] = (struct datum){.is_null = ends == NULL, .i64 = ends != NULL ? ends[i] : 0};
        values[own + 2] = (struct datum){.is_null = watermark == WATERMARK_NONE, .i64 = watermark};
        values[own + 3] = (struct datum){.is_null = change->positions == NULL,
                                         .i64 = change->positions != NULL ? change->positions[row] : 0};
        batch_append_datums(late, values, 1);
    }
    const struct batch *kept = late;
    ARENA_PUSH(arena, shard->late, shard->late_batches, shard->late_cap, kept);
}
