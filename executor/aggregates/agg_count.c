/* agg_count.c: count. */
#include "executor/aggregates/agg_tables.h"

static void count_add(struct agg_call *call, const struct column *args, const uint32_t *selection,
                      uint32_t count, const int64_t *weights, void *const *states)
{
    if (weights == NULL) {
        for (uint32_t i = 0; i < count; i++)
            ++*(int64_t *)states[i];
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        *(int64_t *)states[i] += weights[AGG_ROW(i)];
}

static void count_finish(struct agg_call *call, void *const *states, uint32_t count, struct column *result)
{
    int64_t *out = result->data;
    for (uint32_t i = 0; i < count; i++)
        out[i] = *(const int64_t *)states[i];
}

static void count_merge(struct agg_call *call, void *const *wholes, void *const *parts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        *(int64_t *)wholes[i] += *(const int64_t *)parts[i];
}

const struct aggregate_row agg_count_rows[] = {
    {"count", "", "int8", "number of rows", AGG_STAR | AGG_COUNTS, 8, count_add, count_finish, NULL, NULL,
     count_merge},
    {"count", "any", "int8", "number of rows where the argument is not NULL", AGG_COUNTS, 8, count_add,
     count_finish, NULL, NULL, count_merge},
};
const size_t agg_count_rows_count = ARRAY_COUNT(agg_count_rows);
