/* op_session_late.c: session windows where rows can be late: judging rows in the order in which they arrived, and forgetting
 * sessions.
 *
 * A session is closed for a row when its end, and the grace behind it, lie at or before the row's watermark; what is closed is no longer
 * there for it. The row is late when it is in no session that is open and one of its own would be closed as
 * well: in time, but not within a gap of an open session. Else it extends, bridges or begins sessions, which
 * may then lie next to a closed one.
 *
 * Rows whose own time has not been closed yet can meet no closed session and cannot be late: they are worked
 * off as ever, many at once. Those between them that are further back are judged one by one, after the closed
 * sessions of their key are forgotten; what has changed in the tick so far is emitted before that, where it
 * concerns those.
 *
 * With several shards rows of the senders come one sender after the other: they are collected and put into
 * the order of their positions first.
 *
 * Sessions are registered under their end when they are created, and again when that time has come and they have grown
 * since. The slot of one that was taken in or forgotten stays until then (op_expiry.h). */
#include "executor/operators/op_session.h"

#include <stdlib.h>

/* Sessions that end by then are closed; INT64_MIN: none is. */
static int64_t closed_by(const struct sessions *state, int64_t watermark)
{
    int64_t time, grace = state->base.plan->session.lateness->grace_us;
    if (watermark == WATERMARK_NONE || __builtin_sub_overflow(watermark, grace, &time))
        return INT64_MIN;
    return time;
}

/* ---- forgetting ---- */

static void forget_rows(struct sessions *state, const struct session *session)
{
    struct strbuf *place = &state->place;
    uint8_t first[PLACE_BYTES];
    session_place_encode(first, session->key, session->start);
    for (;;) {
        struct ordered_cursor cursor;
        ordered_table_seek(state->rows, first, PLACE_BYTES, &cursor);
        if (cursor.slot == SLOT_NONE)
            return;
        uint32_t bytes;
        const uint8_t *key = ordered_cursor_key(&cursor, &bytes);
        if (session_place_key(key) != session->key || session_place_time(key) > session->last)
            return;
        strbuf_reset(place);
        strbuf_add(place, key, bytes);
        ordered_table_remove(state->rows, place->data, bytes);
    }
}

/* Nothing that the tick has changed so far may be left to emit of it. */
static void forget_session(struct sessions *state, uint32_t slot)
{
    struct session *session = session_at(state, slot);
    if (state->rows != NULL)
        forget_rows(state, session);
    for (uint32_t c = 0; c < state->calls_count; c++)
        session_release_call(state, session, c);
    session_end(state, slot);
}

void session_forget(struct sessions *state)
{
    uint32_t slots[256], count;
    int64_t closed = closed_by(state, state->base.ctx->watermark);
    while ((count = op_expiry_take(&state->expiry, state->base.ctx, slots, ARRAY_COUNT(slots))) > 0) {
        for (uint32_t i = 0; i < count; i++) {
            struct session *session = session_at(state, slots[i]);
            if (!session->is_gone && session->last + state->gap > closed) {
                expiry_queue_add(&state->expiry.queue, session->last + state->gap, slots[i]);
                continue;
            }
            if (!session->is_gone)
                forget_session(state, slots[i]);
            slot_pages_free(&state->pages, slots[i]);
        }
    }
}

/* ---- rows that may be late ---- */

/* What has changed in the tick so far becomes output, so that sessions can be forgotten. */
static bool work_off(struct sessions *state, struct error *err)
{
    if (state->touched_count == 0 && state->touched_rows_count == 0)
        return true;
    return session_work_off(state, err) && (session_next_part(state), true);
}

/* Forgets the sessions of a key that are closed. */
static bool close_sessions(struct sessions *state, uint32_t key, int64_t closed, struct error *err)
{
    uint32_t slot;
    while ((slot = session_oldest(state, key)) != SLOT_NONE &&
           session_at(state, slot)->last + state->gap <= closed) {
        if (session_at(state, slot)->stamp == state->tick && !work_off(state, err))
            return false;
        forget_session(state, slot);
    }
    return true;
}

/* Rows [first, first + count) of a batch, none of which can meet a closed session or be late. */
static void place_rows(struct sessions *state, const struct batch *rows, const int64_t *times, uint32_t first,
                       uint32_t count)
{
    if (count == 0)
        return;
    const struct batch *run = count == rows->rows ? rows : batch_slice(&state->hold, rows, first, count);
    memcpy(state->buffers->times, times + first, sizeof(int64_t) * count);
    arena_reset(&state->scratch);
    session_find_keys(state, run);
    session_push_rows(state, run);
}

/* A row behind its watermark. */
static bool judge_row(struct sessions *state, const struct batch *rows, const int64_t *times, uint32_t row,
                      int64_t closed, bool *is_late, struct error *err)
{
    if (state->rows != NULL && !work_off(state, err)) /* their sessions are placed at the end only */
        return false;
    const struct batch *one = batch_slice(&state->hold, rows, row, 1);
    arena_reset(&state->scratch);
    session_find_keys(state, one);
    uint32_t key = state->buffers->agg.slots[0];
    if (!close_sessions(state, key, closed, err))
        return false;
    *is_late = times[row] + state->gap <= closed && !session_would_join(state, key, times[row]);
    if (!*is_late) {
        place_rows(state, rows, times, row, 1);
        return true;
    }
    struct session_key *of = hashed_table_payload(state->keys, key);
    if (of->newest == SLOT_NONE)
        session_list_idle(state, key);
    return true;
}

static void late_rows(struct sessions *state, const struct batch *rows, const int64_t *times,
                      const uint32_t *late, uint32_t count)
{
    if (count == 0)
        return;
    int64_t *starts = arena_alloc(&state->hold, sizeof(int64_t) * count);
    int64_t *ends = arena_alloc(&state->hold, sizeof(int64_t) * count);
    for (uint32_t i = 0; i < count; i++) {
        starts[i] = times[late[i]];
        ends[i] = starts[i] + state->gap;
    }
    op_late_rows(&state->base, state->base.plan->session.lateness, rows, late, count, starts, ends);
}

/* Rows in the order of their arrival; buffers hold their times. */
static bool judge_rows(struct sessions *state, const struct batch *rows, struct error *err)
{
    struct operator* op = & state->base;
    op_judged(op, rows->rows);
    int64_t *closed = arena_alloc(&state->hold, sizeof(int64_t) * rows->rows);
    bool any = false;
    for (uint32_t i = 0; i < rows->rows; i++) {
        closed[i] = closed_by(state, op_row_watermark(op, rows, i));
        any |= state->buffers->times[i] < closed[i];
    }
    if (LIKELY(!any)) {
        session_find_keys(state, rows);
        session_push_rows(state, rows);
        return true;
    }
    const int64_t *times = arena_copy(&state->hold, state->buffers->times, sizeof(int64_t) * rows->rows);
    uint32_t *late = arena_alloc(&state->hold, sizeof(uint32_t) * rows->rows), late_count = 0, first = 0;
    for (uint32_t i = 0; i < rows->rows; i++) {
        if (times[i] >= closed[i])
            continue;
        bool is_late;
        place_rows(state, rows, times, first, i - first);
        if (!judge_row(state, rows, times, i, closed[i], &is_late, err))
            return false;
        late[late_count] = i;
        late_count += is_late;
        first = i + 1;
    }
    place_rows(state, rows, times, first, rows->rows - first);
    late_rows(state, rows, times, late, late_count);
    return true;
}

/* ---- order of arrival ---- */

static void collect_rows(struct sessions *state, const struct batch *rows)
{
    struct arena *arena = state->base.ctx->tick_arena;
    struct session_arrivals *arrivals = &state->arrivals;
    if (arrivals->rows == NULL)
        arrivals->rows =
            batch_create(arena, state->base.plan->children[0]->types, rows->columns_count, rows->rows);
    batch_append_range(arrivals->rows, rows, 0, rows->rows, 1);
    for (uint32_t i = 0; i < rows->rows; i++) {
        struct session_arrival arrival = {rows->positions[i], rows->watermarks[i], arrivals->count};
        ARENA_PUSH(arena, arrivals->list, arrivals->count, arrivals->cap, arrival);
    }
}

static int compare_arrivals(const void *a_, const void *b_)
{
    const struct session_arrival *a = a_, *b = b_;
    if (a->position != b->position)
        return a->position < b->position ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

bool session_judge_collected(struct sessions *state, struct error *err)
{
    struct session_arrivals arrivals = state->arrivals;
    state->arrivals = (struct session_arrivals){0};
    if (arrivals.count > 0)
        qsort(arrivals.list, arrivals.count, sizeof(*arrivals.list), compare_arrivals);
    const struct column *column =
        arrivals.count > 0 ? &arrivals.rows->columns[state->base.plan->session.time_column] : NULL;
    for (uint32_t first = 0; first < arrivals.count; first += BATCH_ROWS_MAX) {
        uint32_t count = arrivals.count - first < BATCH_ROWS_MAX ? arrivals.count - first : BATCH_ROWS_MAX;
        arena_reset(&state->hold);
        uint32_t *rows = arena_alloc(&state->hold, sizeof(uint32_t) * count);
        int64_t *watermarks = arena_alloc(&state->hold, sizeof(int64_t) * count);
        int64_t *positions = arena_alloc(&state->hold, sizeof(int64_t) * count);
        for (uint32_t i = 0; i < count; i++) {
            struct error error;
            rows[i] = arrivals.list[first + i].row;
            watermarks[i] = arrivals.list[first + i].watermark;
            positions[i] = arrivals.list[first + i].position;
            window_row_time(column, rows[i], &state->buffers->times[i], &error);
        }
        struct batch *batch = op_gather(&state->hold, arrivals.rows, rows, count);
        batch->watermarks = watermarks;
        batch->positions = positions;
        if (!judge_rows(state, batch, err))
            return false;
    }
    return true;
}

bool session_judge(struct sessions *state, const struct batch *rows, struct error *err)
{
    if (state->base.ctx->shards_count > 1 && rows->positions != NULL) {
        collect_rows(state, rows);
        return true;
    }
    return judge_rows(state, rows, err);
}
