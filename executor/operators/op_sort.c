/* op_sort.c: ORDER BY, LIMIT, OFFSET, DISTINCT ON and Top-N per partition of a SELECT.
 *
 * Rows are collected and sorted by permutation at finish. With a limit and one partition only candidates are
 * kept: when twice the wanted rows have come together they are sorted and cut, and from then on a row that is
 * not before the last candidate is dropped at once. Without keys and partitions LIMIT and OFFSET stream. A
 * row of weight w counts as w rows. */
#include "executor/operators/op_common.h"

#define PRUNE_ROWS_MIN 4096

struct sort {
    struct operator base;
    struct sort_key *keys; /* partition columns first, unless the keys themselves keep partitions together */
    uint32_t keys_count;
    struct sort_key *partition;
    uint32_t partition_count;
    const struct sort_key *order; /* the keys of ORDER BY, which say what ties are */
    uint32_t order_count;
    int64_t limit; /* -1: none */
    int64_t offset;
    bool with_ties, ready, streams, prunes;
    int64_t passed;         /* streaming: rows seen */
    struct arena arenas[2]; /* the collected rows live in one; pruning copies them to the other */
    uint32_t arena_at;
    struct batch *rows;
    bool has_bound; /* rows[bound] is the last candidate that counts */
    uint32_t bound;
    struct arena scratch;
};

static bool sort_open(struct operator* op, const struct plan *plan, struct error *err)
{
    struct sort *sort = (struct sort *)op;
    struct arena *arena = op->ctx->plan_arena;
    arena_init(&sort->arenas[0], op->ctx->account);
    arena_init(&sort->arenas[1], op->ctx->account);
    arena_init(&sort->scratch, op->ctx->account);
    sort->order = plan->sort.keys;
    sort->order_count = plan->sort.keys_count;
    CHECK(plan->sort.rank == OVER_AGGREGATE); /* views only */
    sort->with_ties = plan->sort.with_ties;
    sort->partition_count = plan->sort.partition_count;
    sort->partition = ARENA_ARRAY(arena, struct sort_key, sort->partition_count);
    for (uint32_t p = 0; p < sort->partition_count; p++)
        sort->partition[p].column = plan->sort.partition[p];
    /* DISTINCT ON (a, b) ORDER BY b DESC, a, c: the leading keys are the partition. */
    uint32_t covered = 0;
    for (uint32_t p = 0; p < sort->partition_count; p++)
        for (uint32_t k = 0; k < sort->order_count && k < sort->partition_count; k++)
            if (sort->order[k].column == plan->sort.partition[p]) {
                covered++;
                break;
            }
    bool leads = covered == sort->partition_count;
    sort->keys = ARENA_ARRAY(arena, struct sort_key, sort->partition_count + sort->order_count);
    if (!leads)
        for (uint32_t p = 0; p < sort->partition_count; p++)
            sort->keys[sort->keys_count++] = sort->partition[p];
    for (uint32_t k = 0; k < sort->order_count; k++)
        sort->keys[sort->keys_count++] = sort->order[k];
    return true;
}

static void sort_close(struct operator* op)
{
    struct sort *sort = (struct sort *)op;
    arena_release(&sort->arenas[0]);
    arena_release(&sort->arenas[1]);
    arena_release(&sort->scratch);
}

static bool sort_ready(struct sort *sort, struct error *err)
{
    if (sort->ready)
        return true;
    struct operator* op = & sort->base;
    if (!op_eval_count(op, op->plan->sort.limit, true, &sort->limit, err) ||
        !op_eval_count(op, op->plan->sort.offset, false, &sort->offset, err))
        return false;
    if (op->plan->sort.distinct_on)
        sort->limit = 1;
    if (sort->offset < 0)
        sort->offset = 0;
    sort->streams = sort->keys_count == 0;
    sort->prunes = !sort->streams && sort->partition_count == 0 && sort->limit >= 0 &&
                   sort->limit < INT64_MAX - sort->offset && sort->limit + sort->offset < (1 << 20);
    sort->ready = true;
    return true;
}

/* May the sources stop when this operator has enough? Only if everything behind it hangs on nothing else. */
static bool sort_ends_query(const struct sort *sort)
{
    for (const struct operator* op = & sort->base; op->edges_count > 0; op = op->edges[0].to)
        if (op->edges_count > 1 || op->edges[0].to->inputs_count > 1)
            return false;
    return true;
}

/* ---- LIMIT without order ---- */

static bool sort_stream(struct sort *sort, const struct batch *change, struct error *err)
{
    arena_reset(&sort->scratch);
    uint32_t *rows = arena_alloc(&sort->scratch, sizeof(uint32_t) * change->rows);
    int64_t *weights = arena_alloc(&sort->scratch, sizeof(int64_t) * change->rows);
    uint32_t count = 0;
    int64_t end =
        sort->limit < 0 || sort->limit > INT64_MAX - sort->offset ? INT64_MAX : sort->offset + sort->limit;
    for (uint32_t i = 0; i < change->rows && sort->passed < end; i++) {
        int64_t first = sort->passed, last = first + batch_weight(change, i);
        sort->passed = last;
        if (first < sort->offset)
            first = sort->offset;
        if (last > end)
            last = end;
        if (last <= first)
            continue;
        rows[count] = i;
        weights[count++] = last - first;
    }
    bool ok = true;
    if (count > 0) {
        struct batch *out = op_gather(&sort->scratch, change, rows, count);
        if (change->weights != NULL)
            out->weights = weights;
        ok = operator_emit(&sort->base, out, err);
    }
    if (sort->passed >= end && sort_ends_query(sort))
        sort->base.ctx->enough = true;
    return ok;
}

/* ---- collecting ---- */

/* Sorts what was collected and keeps the rows up to offset + limit (and those tied with the last). */
static void sort_prune(struct sort *sort)
{
    int64_t wanted = sort->offset + sort->limit;
    arena_reset(&sort->scratch);
    uint32_t *order = arena_alloc(&sort->scratch, sizeof(uint32_t) * sort->rows->rows);
    batch_sort(sort->rows, sort->keys, sort->keys_count, order);
    uint32_t count = 0;
    int64_t kept = 0;
    while (count < sort->rows->rows && kept < wanted)
        kept += batch_weight(sort->rows, order[count++]);
    uint32_t last = count;
    while (sort->with_ties && last > 0 && count < sort->rows->rows &&
           op_compare_rows(sort->rows, order[count], sort->rows, order[last - 1], sort->keys,
                           sort->keys_count) == 0)
        count++;
    sort->arena_at = 1 - sort->arena_at;
    struct batch *next =
        batch_create(&sort->arenas[sort->arena_at], sort->base.types, sort->base.columns_count, count + 1);
    batch_append_rows(next, sort->rows, order, count, 1);
    sort->rows = next;
    arena_reset(&sort->arenas[1 - sort->arena_at]);
    sort->has_bound = kept >= wanted && last > 0;
    sort->bound = last > 0 ? last - 1 : 0;
}

static bool sort_push(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    struct sort *sort = (struct sort *)op;
    if (!sort_ready(sort, err) || !op_check(op, err))
        return false;
    if (sort->streams)
        return sort_stream(sort, change, err);
    if (sort->rows == NULL)
        sort->rows = batch_create(&sort->arenas[0], op->types, op->columns_count, change->rows);
    if (!sort->has_bound) {
        batch_append_range(sort->rows, change, 0, change->rows, 1);
    } else {
        arena_reset(&sort->scratch);
        uint32_t *rows = arena_alloc(&sort->scratch, sizeof(uint32_t) * change->rows);
        uint32_t count = 0;
        int limit = sort->with_ties ? 1 : 0; /* later rows lose against equal earlier ones */
        for (uint32_t i = 0; i < change->rows; i++)
            if (op_compare_rows(change, i, sort->rows, sort->bound, sort->keys, sort->keys_count) < limit)
                rows[count++] = i;
        batch_append_rows(sort->rows, change, rows, count, 1);
    }
    int64_t wanted = sort->offset + sort->limit;
    if (sort->prunes && sort->rows->rows > PRUNE_ROWS_MIN && sort->rows->rows > 2 * wanted) {
        uint32_t before = sort->rows->rows;
        sort_prune(sort);
        if (sort->rows->rows > before / 2)
            sort->prunes = false; /* ties or a wide window: pruning no longer pays */
    }
    return true;
}

/* ---- output ---- */

struct window {
    int64_t position; /* rows of the partition so far */
    bool closing;     /* the last row of the window has been seen: only ties may follow */
    uint32_t last;
};

static bool sort_finish(struct operator* op, struct error *err)
{
    struct sort *sort = (struct sort *)op;
    if (!sort_ready(sort, err))
        return false;
    if (sort->streams || sort->rows == NULL || sort->rows->rows == 0 || sort->limit == 0)
        return true;
    const struct batch *rows = sort->rows;
    arena_reset(&sort->scratch);
    uint32_t *order = arena_alloc(&sort->scratch, sizeof(uint32_t) * rows->rows);
    batch_sort(rows, sort->keys, sort->keys_count, order);
    struct arena piece;
    arena_init(&piece, op->ctx->account);
    uint32_t *out_rows = arena_alloc(&sort->scratch, sizeof(uint32_t) * BATCH_ROWS_MAX);
    int64_t *weights = arena_alloc(&sort->scratch, sizeof(int64_t) * BATCH_ROWS_MAX);
    int64_t end =
        sort->limit < 0 || sort->limit > INT64_MAX - sort->offset ? INT64_MAX : sort->offset + sort->limit;
    struct window window = {0};
    uint32_t count = 0;
    bool done = true;
    for (uint32_t i = 0; i < rows->rows && done && !op->ctx->stop; i++) {
        uint32_t row = order[i];
        if (i > 0 && sort->partition_count > 0 &&
            op_compare_rows(rows, row, rows, order[i - 1], sort->partition, sort->partition_count) != 0)
            window = (struct window){0};
        int64_t first = window.position, last = first + batch_weight(rows, row);
        window.position = last;
        bool is_tie = window.closing && sort->with_ties &&
                      op_compare_rows(rows, row, rows, window.last, sort->order, sort->order_count) == 0;
        if (window.closing && !is_tie) {
            if (sort->partition_count == 0)
                break;
            continue;
        }
        if (first < sort->offset)
            first = sort->offset;
        if (last >= end && !window.closing) {
            window.closing = true;
            window.last = row;
        }
        if (last > end && !sort->with_ties)
            last = end;
        if (last <= first)
            continue;
        out_rows[count] = row;
        weights[count++] = last - first;
        if (count == BATCH_ROWS_MAX) {
            arena_reset(&piece);
            struct batch *out = op_gather(&piece, rows, out_rows, count);
            if (rows->weights != NULL)
                out->weights = weights;
            done = operator_emit(op, out, err);
            count = 0;
        }
    }
    if (done && count > 0) {
        arena_reset(&piece);
        struct batch *out = op_gather(&piece, rows, out_rows, count);
        if (rows->weights != NULL)
            out->weights = weights;
        done = operator_emit(op, out, err);
    }
    arena_release(&piece);
    return done;
}

const struct operator_class op_sort_class = {
    .name = "sort",
    .bytes = sizeof(struct sort),
    .open = sort_open,
    .push = sort_push,
    .finish = sort_finish,
    .close = sort_close,
};
