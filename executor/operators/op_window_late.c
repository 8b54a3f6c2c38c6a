/* op_window_late.c: pairs of row and window that came after the window had closed, at its end and the grace behind it.
 *
 * Most batches have none, and one comparison tells so: the first end of all windows in it with the greatest
 * watermark of its rows. Only where they meet every pair is judged by the watermark of its row.
 *
 * A row that is given with its slice is judged for every window that the slice is in. Those that closed lie before the others, so what is left is told by the start
 * of the first open one (plan.h, struct plan_slices). */
#include "executor/operators/op_window.h"

/* Windows that end by then are closed; INT64_MIN: none is. */
static int64_t closed_by(const struct plan_lateness *lateness, int64_t watermark)
{
    int64_t time;
    if (watermark == WATERMARK_NONE || __builtin_sub_overflow(watermark, lateness->grace_us, &time))
        return INT64_MIN;
    return time;
}

static int64_t greatest_watermark(const struct operator* op, const struct batch *change)
{
    if (change->watermarks == NULL)
        return op->ctx->watermark_before;
    int64_t greatest = INT64_MIN;
    for (uint32_t i = 0; i < change->rows; i++)
        greatest = change->watermarks[i] > greatest ? change->watermarks[i] : greatest;
    return greatest;
}

static int64_t least_of(const int64_t *times, uint32_t count)
{
    int64_t least = INT64_MAX;
    for (uint32_t i = 0; i < count; i++)
        least = times[i] < least ? times[i] : least;
    return least;
}

struct late_pairs {
    uint32_t *rows;
    int64_t *starts, *ends;
    uint32_t count;
};

static struct late_pairs pairs_alloc(struct arena *scratch)
{
    return (struct late_pairs){.rows = arena_alloc(scratch, sizeof(uint32_t) * BATCH_ROWS_MAX),
                               .starts = arena_alloc(scratch, sizeof(int64_t) * BATCH_ROWS_MAX),
                               .ends = arena_alloc(scratch, sizeof(int64_t) * BATCH_ROWS_MAX)};
}

static void pairs_flush(struct operator* op, const struct batch *change, struct late_pairs *late)
{
    if (late->count > 0)
        op_late_rows(op, op->plan->window.lateness, change, late->rows, late->count, late->starts,
                     late->ends);
    late->count = 0;
}

static void pairs_add(struct operator* op, const struct batch *change, struct late_pairs *late, uint32_t row,
                      int64_t start, int64_t end)
{
    if (late->count == BATCH_ROWS_MAX)
        pairs_flush(op, change, late);
    late->rows[late->count] = row;
    late->starts[late->count] = start;
    late->ends[late->count++] = end;
}

void window_take_late(struct operator* op, const struct batch *change, struct window_rows *found,
                      int64_t width, struct arena *scratch)
{
    const struct plan_lateness *lateness = op->plan->window.lateness;
    op_judged(op, found->count);
    int64_t first_end = found->ends != NULL ? least_of(found->ends, found->count)
                                            : least_of(found->starts, found->count) + width;
    if (LIKELY(first_end > closed_by(lateness, greatest_watermark(op, change))))
        return;
    struct late_pairs late = pairs_alloc(scratch);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < found->count; i++) {
        uint32_t row = found->rows[i];
        int64_t start = found->starts[i], end = found->ends != NULL ? found->ends[i] : start + width;
        if (end <= closed_by(lateness, op_row_watermark(op, change, row))) {
            pairs_add(op, change, &late, row, start, end);
            continue;
        }
        found->rows[kept] = row;
        found->starts[kept] = start;
        if (found->ends != NULL)
            found->ends[kept] = end;
        kept++;
    }
    pairs_flush(op, change, &late);
    found->has_all = found->has_all && kept == found->count;
    found->count = kept;
}

/* Start of the last window that holds the slice, of those that timestamps can bound. */
static int64_t last_window_start(const struct plan *plan, int64_t slice)
{
    __int128 since = (__int128)slice - plan->window.offset_us, slide = plan->window.slide_us;
    __int128 start = (since / slide - (since % slide < 0)) * slide + plan->window.offset_us;
    while (start + plan->window.size_us >= INT64_MAX)
        start -= slide;
    return start > INT64_MIN ? (int64_t)start : INT64_MIN;
}

/* How many pairs of row and window the slices stand for. */
static uint64_t count_pairs(const struct plan *plan, const struct window_rows *found)
{
    uint64_t pairs = 0, windows = 0;
    int64_t slice = 0;
    for (uint32_t i = 0; i < found->count; i++) {
        if (i == 0 || found->starts[i] != slice) {
            slice = found->starts[i];
            __int128 last = last_window_start(plan, slice), first = found->opens[i];
            windows = last >= first ? (uint64_t)((last - first) / plan->window.slide_us) + 1 : 0;
        }
        pairs += windows;
    }
    return pairs;
}

void window_take_late_slices(struct operator* op, const struct batch *change, struct window_rows *found,
                             struct arena *scratch)
{
    const struct plan *plan = op->plan;
    const struct plan_lateness *lateness = plan->window.lateness;
    int64_t size = plan->window.size_us;
    if (plan->window.size_us % plan->window.slide_us == 0)
        op_judged(op, (uint64_t)found->count * (uint64_t)(plan->window.size_us / plan->window.slide_us));
    else
        op_judged(op, count_pairs(plan, found));
    int64_t first_end = least_of(found->opens, found->count) + size;
    if (LIKELY(first_end > closed_by(lateness, greatest_watermark(op, change))))
        return;
    struct late_pairs late = pairs_alloc(scratch);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < found->count; i++) {
        uint32_t row = found->rows[i];
        int64_t closed = closed_by(lateness, op_row_watermark(op, change, row));
        __int128 open = found->opens[i];
        if (open + size <= closed) {
            int64_t last = last_window_start(plan, found->starts[i]);
            for (; open <= last && open + size <= closed; open += plan->window.slide_us)
                pairs_add(op, change, &late, row, (int64_t)open, (int64_t)open + size);
            if (open > last)
                continue;
        }
        found->rows[kept] = row;
        found->starts[kept] = found->starts[i];
        found->opens[kept++] = (int64_t)open;
    }
    pairs_flush(op, change, &late);
    found->has_all = found->has_all && kept == found->count;
    found->count = kept;
}
