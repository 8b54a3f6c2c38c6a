/* agg_saved.c: states of aggregates as bytes in checkpoints. */
#include "executor/aggregates/agg_common.h"

void aggregate_save(const struct agg_call *call, const void *state, struct strbuf *out)
{
    const struct aggregate_row *row = call->aggregate;
    if (row->save != NULL) {
        row->save(call, state, out);
        return;
    }
    for (uint32_t at = 0; at < row->state_bytes; at += 8)
        agg_save_i64(out, *(const int64_t *)(const void *)((const uint8_t *)state + at));
}

static bool load_plain(const struct aggregate_row *row, uint8_t *state, const uint8_t *bytes, size_t len)
{
    struct agg_saved from = {bytes, bytes + len};
    if (len != row->state_bytes)
        return false;
    for (uint32_t at = 0; at < row->state_bytes; at += 8)
        if (!agg_load_i64(&from, (int64_t *)(void *)(state + at)))
            return false;
    return true;
}

bool aggregate_load(struct agg_call *call, void *state, const uint8_t *bytes, size_t len, struct error *err)
{
    const struct aggregate_row *row = call->aggregate;
    if (row->load != NULL ? row->load(call, state, bytes, len) : load_plain(row, state, bytes, len))
        return true;
    return error_set(err, ERRCODE_DATA_CORRUPTED, "stored state of %s(%s) is damaged", row->name, row->args);
}
