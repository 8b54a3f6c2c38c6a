/* query.c: running a SELECT's plan, to a sink or into memory. */
#include "executor/query.h"

#include "executor/dataflow.h"

bool query_run(const struct plan *plan, const struct query_options *options, query_sink sink, void *ctx,
               struct error *err)
{
    return dataflow_run_once(plan, options, sink, ctx, err);
}

static bool collect(void *ctx, const struct batch *rows, bool *stop, struct error *err)
{
    struct batch *out = ctx;
    (void)stop;
    (void)err;
    if (rows->weights == NULL) {
        batch_append_range(out, rows, 0, rows->rows, 1);
        return true;
    }
    uint32_t numbers[BATCH_ROWS_MAX];
    uint32_t count = 0;
    for (uint32_t row = 0; row < rows->rows; row++) {
        for (int64_t copy = 0; copy < rows->weights[row]; copy++) {
            numbers[count++] = row;
            if (count == BATCH_ROWS_MAX) {
                batch_append_rows(out, rows, numbers, count, 1);
                count = 0;
            }
        }
    }
    batch_append_rows(out, rows, numbers, count, 1);
    return true;
}

bool query_collect(const struct plan *plan, const struct query_options *options, struct arena *arena,
                   struct batch **out, struct error *err)
{
    *out = batch_create(arena, plan->types, plan->columns_count, 16);
    if (!query_run(plan, options, collect, *out, err))
        return false;
    (*out)->weights = NULL;
    return true;
}
