/* op_session_rows.c: session windows: rows that are kept as counts, for input with retractions and for the row
 * form. See op_session.c. */
#include "executor/operators/op_session.h"

#include <stdlib.h>

/* ---- counts ---- */

static inline int64_t positive(int64_t count)
{
    return count > 0 ? count : 0;
}

static struct session_entry *entry_at(const struct sessions *state, uint32_t slot)
{
    return ordered_table_payload(state->rows, slot);
}

static int64_t old_count_of(const struct sessions *state, const struct session_entry *entry)
{
    return positive(entry->stamp == state->tick ? entry->old_count : entry->count);
}

void session_row_encode(struct sessions *state, const struct batch *rows, uint32_t row, uint32_t key,
                        int64_t time)
{
    struct strbuf *place = &state->place;
    uint8_t prefix[PLACE_BYTES];
    session_place_encode(prefix, key, time);
    strbuf_reset(place);
    strbuf_add(place, prefix, PLACE_BYTES);
    for (uint32_t c = 0; c < state->child_columns; c++) {
        if (!state->encoded[c])
            continue;
        struct datum value = column_get(&rows->columns[c], row);
        type_encode_exact(rows->columns[c].type.oid, &value, place);
    }
}

void session_rows_push(struct sessions *state, const struct batch *rows)
{
    struct session_buffers *buffers = state->buffers;
    struct strbuf *place = &state->place;
    for (uint32_t i = 0; i < rows->rows; i++) {
        uint32_t key = buffers->agg.slots[i];
        session_row_encode(state, rows, i, key, buffers->times[i]);
        bool inserted;
        uint32_t slot =
            ordered_table_upsert(state->rows, place->data, (uint32_t)place->len, rows, i, NULL, &inserted);
        struct session_entry *entry = ordered_table_payload(state->rows, slot);
        if (entry->stamp != state->tick) {
            entry->stamp = state->tick;
            entry->old_count = entry->count;
            struct touched_row touched = {.key = key, .slot = slot, .time = buffers->times[i]};
            ARENA_PUSH(state->base.ctx->tick_arena, state->touched_rows, state->touched_rows_count,
                       state->touched_rows_cap, touched);
        }
        entry->count += batch_weight(rows, i);
        if (entry->count == 0) {
            uint32_t bytes = (uint32_t)place->len;
            strbuf_add(&state->zero_keys, &bytes, sizeof(bytes));
            strbuf_add(&state->zero_keys, place->data, place->len);
        }
        /* A key may come to have rows without ever having a session. */
        struct session_key *of = hashed_table_payload(state->keys, key);
        if (of->newest == SLOT_NONE)
            session_list_idle(state, key);
    }
}

static void seek_row(struct sessions *state, uint32_t key, int64_t time, struct ordered_cursor *cursor)
{
    uint8_t place[PLACE_BYTES];
    session_place_encode(place, key, time);
    ordered_table_seek(state->rows, place, PLACE_BYTES, cursor);
}

static void seek_row_last(struct sessions *state, uint32_t key, int64_t time, struct ordered_cursor *cursor)
{
    uint8_t place[PLACE_BYTES];
    session_place_encode(place, key, time);
    ordered_table_seek_last(state->rows, place, PLACE_BYTES, cursor);
}

/* Time of the row under the cursor; false when it is not one of this key. */
static bool row_at(const struct ordered_cursor *cursor, uint32_t key, int64_t *time)
{
    uint32_t bytes;
    if (cursor->slot == SLOT_NONE)
        return false;
    const uint8_t *place = ordered_cursor_key(cursor, &bytes);
    *time = session_place_time(place);
    return session_place_key(place) == key;
}

/* A run of stored rows on their way to the feeds or the output. */
struct session_row_run {
    uint32_t count;
    uint32_t slots[BATCH_ROWS_MAX];
    int64_t weights[BATCH_ROWS_MAX];
    uint32_t sessions[BATCH_ROWS_MAX];
};

static struct batch *run_batch(struct sessions *state, const struct session_row_run *run, const bool *columns)
{
    const struct row_layout *layout = ordered_table_layout(state->rows);
    struct session_buffers *buffers = state->buffers;
    struct batch *batch = batch_header(&state->scratch, state->base.columns_count + state->child_columns);
    batch->columns_count = state->child_columns;
    batch->rows = run->count;
    for (uint32_t i = 0; i < run->count; i++)
        buffers->stored[i] = ordered_table_row(state->rows, run->slots[i]);
    for (uint32_t c = 0; c < state->child_columns; c++)
        if (columns == NULL || columns[c])
            row_layout_gather(layout, buffers->stored, run->count, c, false, &batch->columns[c],
                              &state->scratch);
    batch->weights = arena_copy(&state->scratch, run->weights, sizeof(int64_t) * run->count);
    return batch;
}

static void feed_run(struct sessions *state, struct session_row_run *run, uint32_t first, uint32_t count)
{
    arena_reset(&state->scratch);
    if (run->count > 0 && count > 0)
        session_feed(state, run_batch(state, run, state->fed_columns), run->sessions, first, count);
    run->count = 0;
}

static void run_add(struct session_row_run *run, uint32_t slot, int64_t weight, uint32_t session)
{
    run->slots[run->count] = slot;
    run->weights[run->count] = weight;
    run->sessions[run->count++] = session;
}

static int compare_touched_rows(const void *a_, const void *b_)
{
    const struct touched_row *a = a_, *b = b_;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return a->time < b->time ? -1 : a->time > b->time;
}

/* Places what is there, then adds the differences of all touched rows. */
static void add_differences(struct sessions *state, struct session_row_run *run)
{
    for (uint32_t t = 0; t < state->touched_rows_count; t++) {
        const struct touched_row *row = &state->touched_rows[t];
        const struct session_entry *entry = entry_at(state, row->slot);
        if (entry->count > 0)
            session_place(state, row->key, row->time);
        else if (entry->old_count > 0)
            session_touch(state, session_find_holding(state, row->key, row->time), false);
    }
    session_settle(state);
    run->count = 0;
    for (uint32_t t = 0; t < state->touched_rows_count; t++) {
        const struct touched_row *row = &state->touched_rows[t];
        const struct session_entry *entry = entry_at(state, row->slot);
        int64_t difference = positive(entry->count) - positive(entry->old_count);
        if (difference == 0)
            continue;
        uint32_t slot = session_find_holding(state, row->key, row->time);
        if (difference < 0)
            session_at(state, slot)->lost_rows = true;
        if (run->count == BATCH_ROWS_MAX)
            feed_run(state, run, 0, state->feeds_count);
        run_add(run, row->slot, difference, slot);
    }
    feed_run(state, run, 0, state->feeds_count);
}

/* Cuts a session: rows up to `left_last` stay together, and those from `right_start` on. The part with fewer
 * distinct rows becomes a new session. */
static void split(struct sessions *state, uint32_t slot, int64_t left_last, int64_t right_start,
                  struct session_row_run *run)
{
    struct session *session = session_at(state, slot);
    uint32_t key = session->key;
    int64_t start = session->start, last = session->last, time;
    struct ordered_cursor left, right;
    seek_row(state, key, start, &left);
    seek_row_last(state, key, last, &right);
    bool left_ends = false, right_ends = false;
    while (!left_ends && !right_ends) {
        ordered_cursor_next(&left);
        left_ends = !row_at(&left, key, &time) || time > left_last;
        ordered_cursor_prev(&right);
        right_ends = !row_at(&right, key, &time) || time < right_start;
    }
    uint32_t part;
    int64_t from = left_ends ? start : right_start, to = left_ends ? left_last : last;
    if (left_ends) {
        session_set_start(state, slot, right_start);
        part = session_create(state, key, start, left_last);
    } else {
        session->last = left_last;
        part = session_create(state, key, right_start, last);
    }
    session_at(state, part)->lost_rows = true; /* as the session has, or there would be no split */
    if (state->invertible_count == 0)
        return;
    run->count = 0;
    struct ordered_cursor cursor;
    for (seek_row(state, key, from, &cursor); row_at(&cursor, key, &time) && time <= to;
         ordered_cursor_next(&cursor)) {
        int64_t count = positive(entry_at(state, cursor.slot)->count);
        if (count == 0)
            continue;
        if (run->count + 2 > BATCH_ROWS_MAX)
            feed_run(state, run, 0, state->invertible_count);
        run_add(run, cursor.slot, -count, slot);
        run_add(run, cursor.slot, count, part);
    }
    feed_run(state, run, 0, state->invertible_count);
}

/* A time that may have lost its last row: its session becomes shorter, falls apart or ends. Returns the time
 * from which on rows are still to be looked at. */
static int64_t remove_time(struct sessions *state, uint32_t key, int64_t time, struct session_row_run *run)
{
    uint32_t slot = session_find_holding(state, key, time);
    if (slot == SLOT_NONE)
        return time;
    struct session *session = session_at(state, slot);
    int64_t at, before = 0, behind = 0;
    bool has_before = false, has_behind = false;
    struct ordered_cursor cursor;
    for (seek_row(state, key, time, &cursor); row_at(&cursor, key, &at) && at <= session->last;
         ordered_cursor_next(&cursor)) {
        if (entry_at(state, cursor.slot)->count > 0) {
            has_behind = true;
            behind = at;
            break;
        }
    }
    if (has_behind && behind == time)
        return time;
    for (seek_row_last(state, key, time, &cursor); row_at(&cursor, key, &at) && at >= session->start;
         ordered_cursor_prev(&cursor)) {
        if (entry_at(state, cursor.slot)->count > 0) {
            has_before = true;
            before = at;
            break;
        }
    }
    if (!has_before && !has_behind)
        session_end(state, slot);
    else if (!has_before)
        session_set_start(state, slot, behind);
    else if (!has_behind)
        session->last = before;
    else if (behind >= before + state->gap)
        split(state, slot, before, behind, run);
    return has_behind ? behind : INT64_MAX;
}

static void remove_times(struct sessions *state, struct session_row_run *run)
{
    int64_t done = 0;
    for (uint32_t t = 0; t < state->touched_rows_count; t++) {
        const struct touched_row *row = &state->touched_rows[t];
        if (t == 0 || row->key != row[-1].key)
            done = INT64_MIN;
        const struct session_entry *entry = entry_at(state, row->slot);
        if (entry->count > 0 || entry->old_count <= 0 || row->time < done)
            continue;
        int64_t until = remove_time(state, row->key, row->time, run);
        /* What lies in between has gone as well; what lies behind the session does not belong to it. */
        done = until != INT64_MAX ? until : row->time;
    }
}

/* min and max of sessions that have lost rows. */
static void recompute(struct sessions *state, struct session_row_run *run)
{
    uint32_t extremes = state->feeds_count - state->invertible_count;
    run->count = 0;
    for (uint32_t t = 0; t < state->touched_count; t++) {
        uint32_t slot = state->touched[t].slot;
        struct session *session = session_at(state, slot);
        bool lost = session->lost_rows;
        session->lost_rows = false;
        if (session->is_gone || !lost || extremes == 0)
            continue;
        for (uint32_t c = 0; c < state->calls_count; c++)
            if ((state->calls[c].aggregate->flags & AGG_APPEND_ONLY_ADD) != 0)
                session_release_call(state, session, c);
        struct ordered_cursor cursor;
        int64_t time;
        for (seek_row(state, session->key, session->start, &cursor);
             row_at(&cursor, session->key, &time) && time <= session->last; ordered_cursor_next(&cursor)) {
            int64_t count = positive(entry_at(state, cursor.slot)->count);
            if (count == 0)
                continue;
            if (run->count == BATCH_ROWS_MAX)
                feed_run(state, run, state->invertible_count, extremes);
            run_add(run, cursor.slot, count, slot);
        }
    }
    feed_run(state, run, state->invertible_count, extremes);
}

void session_rows_settle(struct sessions *state)
{
    if (state->touched_rows_count == 0)
        return;
    struct session_row_run *run = state->run;
    qsort(state->touched_rows, state->touched_rows_count, sizeof(*state->touched_rows), compare_touched_rows);
    add_differences(state, run);
    remove_times(state, run);
    recompute(state, run);
}

/* ---- the row form ---- */

struct session_row_output {
    struct session_row_run run;
    int64_t starts[BATCH_ROWS_MAX], ends[BATCH_ROWS_MAX];
};

static bool flush_rows(struct sessions *state, struct session_row_output *out, struct error *err)
{
    struct operator* op = & state->base;
    if (out->run.count == 0)
        return true;
    arena_reset(&state->scratch);
    struct batch *batch = run_batch(state, &out->run, NULL);
    batch->columns_count = op->columns_count;
    session_set_times(&batch->columns[state->child_columns], op->types[state->child_columns], out->starts,
                      batch->rows, &state->scratch);
    session_set_times(&batch->columns[state->child_columns + 1], op->types[state->child_columns + 1],
                      out->ends, batch->rows, &state->scratch);
    out->run.count = 0;
    return op_check(op, err) && operator_emit(op, batch, err);
}

static bool output_row(struct sessions *state, struct session_row_output *out, uint32_t slot, int64_t weight,
                       int64_t start, int64_t last, struct error *err)
{
    if (out->run.count == BATCH_ROWS_MAX && !flush_rows(state, out, err))
        return false;
    out->starts[out->run.count] = start;
    out->ends[out->run.count] = last + state->gap;
    run_add(&out->run, slot, weight, SLOT_NONE);
    return true;
}

/* All rows between two times, as they were or as they are. */
static bool output_range(struct sessions *state, struct session_row_output *out, uint32_t key, int64_t start,
                         int64_t last, bool is_old, struct error *err)
{
    struct ordered_cursor cursor;
    int64_t time;
    for (seek_row(state, key, start, &cursor); row_at(&cursor, key, &time) && time <= last;
         ordered_cursor_next(&cursor)) {
        const struct session_entry *entry = entry_at(state, cursor.slot);
        int64_t weight = is_old ? -old_count_of(state, entry) : positive(entry->count);
        if (weight != 0 && !output_row(state, out, cursor.slot, weight, start, last, err))
            return false;
    }
    return true;
}

static bool is_unmoved(const struct sessions *state, const struct touched_session *touched)
{
    const struct session *session = session_at(state, touched->slot);
    return !touched->is_new && !session->is_gone && touched->old_start == session->start &&
           touched->old_last == session->last;
}

bool session_rows_emit(struct sessions *state, struct error *err)
{
    struct session_row_output *out = state->output;
    out->run.count = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t t = 0; t < state->touched_count && !state->base.ctx->stop; t++) {
            const struct touched_session *touched = &state->touched[t];
            const struct session *session = session_at(state, touched->slot);
            if (is_unmoved(state, touched))
                continue;
            bool ok = true;
            if (pass == 0 && !touched->is_new)
                ok = output_range(state, out, session->key, touched->old_start, touched->old_last, true, err);
            else if (pass == 1 && !session->is_gone)
                ok = output_range(state, out, session->key, session->start, session->last, false, err);
            if (!ok)
                return false;
        }
    }
    for (uint32_t t = 0; t < state->touched_rows_count; t++) {
        const struct touched_row *row = &state->touched_rows[t];
        const struct session_entry *entry = entry_at(state, row->slot);
        int64_t difference = positive(entry->count) - positive(entry->old_count);
        uint32_t slot = difference != 0 ? session_find_holding(state, row->key, row->time) : SLOT_NONE;
        if (slot == SLOT_NONE)
            continue;
        const struct session *session = session_at(state, slot);
        if (is_unmoved(state, &state->touched[session->touched]) &&
            !output_row(state, out, row->slot, difference, session->start, session->last, err))
            return false;
    }
    return flush_rows(state, out, err);
}

void session_rows_open(struct sessions *state)
{
    struct arena *arena = state->base.ctx->plan_arena;
    state->run = arena_alloc(arena, sizeof(*state->run));
    state->output = arena_alloc(arena, sizeof(*state->output));
}

void session_rows_drop(struct sessions *state)
{
    for (size_t at = 0; at < state->zero_keys.len;) {
        uint32_t bytes;
        memcpy(&bytes, state->zero_keys.data + at, sizeof(bytes));
        const char *key = state->zero_keys.data + at + sizeof(bytes);
        at += sizeof(bytes) + bytes;
        uint32_t slot = ordered_table_find(state->rows, key, bytes);
        if (slot != SLOT_NONE && entry_at(state, slot)->count == 0)
            ordered_table_remove(state->rows, key, bytes);
    }
}

bool session_has_rows(struct sessions *state, uint32_t key)
{
    struct ordered_cursor cursor;
    int64_t time;
    seek_row(state, key, INT64_MIN, &cursor);
    return row_at(&cursor, key, &time);
}
