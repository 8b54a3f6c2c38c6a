/* op_session.c: session windows: the rows of a key in order of time, cut wherever two neighbours are at least
 * a gap apart.
 *
 * A hashed table leads from a key to its newest session; the older ones lie in a B+tree by (key, start).
 * Input in order of time thus extends or follows the newest session and never descends the tree. A session
 * lists itself at its first touch in a tick, with its bounds and results from before; at the end of the tick
 * those that differ are taken back and given anew. A session that bridges two joins their accumulators.
 *
 * Aggregates of an input without retractions need the sessions alone. Otherwise rows are kept as counts by
 * (key, time, exact row), and a tick is worked off at its end, when the counts are final: first the times
 * that are there are placed, which only extends, bridges and creates; then the differences are added to the
 * accumulators; then times that have gone shorten, split or end their session, and the smaller part of a
 * split is taken out of the larger one. min and max cannot take back: a session that lost rows is walked
 * again.
 *
 * The row form (no aggregates) keeps rows always, and replaces all rows of a session whose bounds have
 * changed; where they have not, the changes pass through. */
#include "executor/operators/op_aggregate.h"
#include "executor/operators/op_window.h"
#include "storage/state/btree.h"

#include <stdlib.h>

#define PLACE_BYTES 12u /* key slot, start or time */

struct session {
    uint32_t header; /* slot_pages */
    uint32_t key;    /* slot in `keys` */
    int64_t start, last;
    uint32_t stamp;   /* tick in which it was touched last */
    uint32_t touched; /* its number in that tick */
    uint32_t into;    /* the session that has taken it in, in this tick */
    bool is_gone;     /* taken in or without rows; freed when the tick ends */
    bool lost_rows;   /* what cannot take back must be computed anew */
    /* areas of the calls follow */
};

struct session_key {
    uint32_t newest;
    uint32_t older; /* how many are in the tree */
    bool is_listed; /* in `idle` */
};

struct touched_session {
    uint32_t slot;
    uint32_t old_row; /* in `old`; UINT32_MAX: there was no row */
    int64_t old_start, old_last;
    struct error *old_error;
    bool is_new;
};

/* A row's count, in the ordered table. */
struct session_entry {
    int64_t count;
    int64_t old_count; /* before the tick `stamp` */
    uint32_t stamp;
    uint32_t unused;
};

struct touched_row {
    uint32_t key;
    uint32_t slot;
    int64_t time;
};

/* Buffers of one batch. */
struct session_buffers {
    struct agg_buffers agg;
    uint32_t rows[BATCH_ROWS_MAX]; /* those that have a time */
    int64_t times[BATCH_ROWS_MAX];
    uint32_t sessions[BATCH_ROWS_MAX];
    const uint8_t *stored[BATCH_ROWS_MAX];
};

struct sessions {
    struct operator base;
    int64_t gap;
    uint32_t child_columns;
    struct hashed_table *keys;
    struct slot_pages pages;
    struct btree older; /* PLACE_BYTES of key and start -> session */
    struct table_heap *heap;
    uint32_t live;

    uint32_t calls_count;
    struct agg_call *calls;
    uint32_t *offsets;
    uint32_t feeds_count;
    struct agg_feed *feeds; /* those that can take back first */
    uint32_t invertible_count;
    bool *fed_columns; /* child columns that some feed reads */

    struct ordered_table *rows; /* NULL: not kept */
    bool *encoded;              /* child columns that tell rows of one key and time apart */
    struct strbuf place;
    struct strbuf zero_keys; /* length and bytes of rows whose count came to 0 */

    uint32_t tick;
    bool in_tick;
    struct touched_session *touched; /* tick arena */
    uint32_t touched_count, touched_cap, settled;
    struct touched_row *touched_rows; /* tick arena */
    uint32_t touched_rows_count, touched_rows_cap;
    uint32_t *idle; /* keys that may have lost their last session; tick arena */
    uint32_t idle_count, idle_cap;
    struct batch *old; /* tick arena: results of calls only */
    struct arena scratch;
    struct session_buffers *buffers;
};

/* ---- opening ---- */

static void open_calls(struct sessions *state, const struct plan *plan, uint32_t *bytes)
{
    struct arena *arena = state->base.ctx->plan_arena;
    const struct sql_type *input_types = plan->children[0]->types;
    state->calls_count = plan->session.calls_count;
    state->calls = ARENA_ARRAY(arena, struct agg_call, state->calls_count);
    state->offsets = ARENA_ARRAY(arena, uint32_t, state->calls_count);
    state->feeds = ARENA_ARRAY(arena, struct agg_feed, state->calls_count);
    state->fed_columns = ARENA_ARRAY(arena, bool, state->child_columns);
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t c = 0; c < state->calls_count; c++) {
            const struct plan_aggregate_call *spec = &plan->session.calls[c];
            const struct aggregate_row *row = spec->aggregate;
            if (((row->flags & AGG_APPEND_ONLY_ADD) != 0) != (pass == 1))
                continue;
            struct sql_type *types = ARENA_ARRAY(arena, struct sql_type, spec->args_count);
            for (uint32_t a = 0; a < spec->args_count; a++) {
                types[a] = input_types[spec->args[a]];
                state->fed_columns[spec->args[a]] = true;
            }
            if (spec->filter >= 0)
                state->fed_columns[spec->filter] = true;
            state->calls[c] = (struct agg_call){.aggregate = row,
                                                .result_type = spec->type,
                                                .arg_types = types,
                                                .args_count = spec->args_count,
                                                .heap = state->heap};
            state->offsets[c] = *bytes;
            *bytes += row->state_bytes;
            state->feeds[state->feeds_count++] =
                (struct agg_feed){.columns_count = spec->args_count,
                                  .columns = spec->args,
                                  .strict_count = (row->flags & AGG_NULLS) == 0 ? spec->args_count : 0,
                                  .filter = spec->filter,
                                  .call = &state->calls[c],
                                  .offset = state->offsets[c]};
        }
        if (pass == 0)
            state->invertible_count = state->feeds_count;
    }
}

static bool sessions_open(struct operator* op, const struct plan *plan, struct error *err)
{
    struct sessions *state = (struct sessions *)op;
    struct arena *arena = op->ctx->plan_arena;
    const struct plan *child = plan->children[0];
    arena_init(&state->scratch, op->ctx->account);
    state->gap = plan->session.gap_us;
    state->child_columns = child->columns_count;
    uint32_t keys_count = plan->session.keys_count;
    struct sql_type *key_types = ARENA_ARRAY(arena, struct sql_type, keys_count);
    for (uint32_t k = 0; k < keys_count; k++)
        key_types[k] = child->types[plan->session.keys[k]];
    state->keys = hashed_table_create(key_types, keys_count, sizeof(struct session_key), op->ctx->account);
    state->heap = table_heap_create(op->ctx->account);
    uint32_t bytes = (sizeof(struct session) + 7) & ~7u;
    open_calls(state, plan, &bytes);
    slot_pages_init(&state->pages, bytes, 8, op->ctx->account);
    btree_init(&state->older, state->heap, op->ctx->account);
    state->buffers = arena_alloc(arena, sizeof(*state->buffers));
    bool only_inserts = op->ctx->mode == DATAFLOW_ONE_SHOT || child->append_only;
    if (plan->session.is_aggregate && only_inserts)
        return true;
    state->rows = ordered_table_create(child->types, child->columns_count, sizeof(struct session_entry),
                                       op->ctx->account);
    state->encoded = ARENA_ARRAY(arena, bool, state->child_columns);
    for (uint32_t c = 0; c < state->child_columns; c++)
        state->encoded[c] = c != plan->session.time_column;
    for (uint32_t k = 0; k < keys_count; k++)
        if (agg_type_is_exact(key_types[k]))
            state->encoded[plan->session.keys[k]] = false;
    (void)err;
    return true;
}

static void sessions_close(struct operator* op)
{
    struct sessions *state = (struct sessions *)op;
    if (state->keys == NULL)
        return;
    ordered_table_destroy(state->rows);
    btree_release(&state->older, false);
    slot_pages_release(&state->pages);
    hashed_table_destroy(state->keys);
    table_heap_destroy(state->heap);
    strbuf_release(&state->place);
    strbuf_release(&state->zero_keys);
    arena_release(&state->scratch);
}

/* ---- the sessions of a key ---- */

static inline struct session *session_at(const struct sessions *state, uint32_t slot)
{
    return slot_pages_at(&state->pages, slot);
}

static void encode_place(uint8_t *out, uint32_t key, int64_t time)
{
    uint32_t slot = __builtin_bswap32(key);
    uint64_t order = __builtin_bswap64((uint64_t)time ^ (UINT64_C(1) << 63));
    memcpy(out, &slot, sizeof(slot));
    memcpy(out + sizeof(slot), &order, sizeof(order));
}

static int64_t place_time(const uint8_t *place)
{
    uint64_t order;
    memcpy(&order, place + sizeof(uint32_t), sizeof(order));
    return (int64_t)(__builtin_bswap64(order) ^ (UINT64_C(1) << 63));
}

static uint32_t place_key(const uint8_t *place)
{
    uint32_t slot;
    memcpy(&slot, place, sizeof(slot));
    return __builtin_bswap32(slot);
}

/* The older session under a cursor; SLOT_NONE when it is not one of this key. */
static uint32_t older_at(const struct btree_cursor *cursor, uint32_t key)
{
    uint32_t bytes;
    if (cursor->node == NULL || place_key(btree_key(cursor, &bytes)) != key)
        return SLOT_NONE;
    return btree_value(cursor);
}

/* The last session that starts by `time`; *next is the one behind it. Either may be SLOT_NONE. */
static uint32_t find_before(const struct sessions *state, uint32_t key, int64_t time, uint32_t *next)
{
    const struct session_key *of = hashed_table_payload(state->keys, key);
    *next = SLOT_NONE;
    if (of->newest == SLOT_NONE)
        return SLOT_NONE;
    if (session_at(state, of->newest)->start <= time)
        return of->newest;
    *next = of->newest;
    if (of->older == 0)
        return SLOT_NONE;
    uint8_t place[PLACE_BYTES];
    encode_place(place, key, time);
    struct btree_cursor cursor = btree_seek_last(&state->older, place, PLACE_BYTES);
    uint32_t before = older_at(&cursor, key);
    if (before == SLOT_NONE)
        cursor = btree_seek(&state->older, place, PLACE_BYTES);
    else
        btree_next(&cursor);
    uint32_t behind = older_at(&cursor, key);
    if (behind != SLOT_NONE)
        *next = behind;
    return before;
}

/* The session whose bounds hold the time; SLOT_NONE: there is none. */
static uint32_t find_holding(const struct sessions *state, uint32_t key, int64_t time)
{
    uint32_t next, slot = find_before(state, key, time, &next);
    return slot != SLOT_NONE && session_at(state, slot)->last >= time ? slot : SLOT_NONE;
}

static void older_add(struct sessions *state, struct session_key *of, uint32_t slot)
{
    const struct session *session = session_at(state, slot);
    uint8_t place[PLACE_BYTES];
    encode_place(place, session->key, session->start);
    uint32_t value = slot;
    btree_insert(&state->older, place, PLACE_BYTES, &value);
    of->older++;
}

static void older_remove(struct sessions *state, struct session_key *of, uint32_t slot)
{
    const struct session *session = session_at(state, slot);
    uint8_t place[PLACE_BYTES];
    encode_place(place, session->key, session->start);
    btree_remove(&state->older, place, PLACE_BYTES, NULL);
    of->older--;
}

static void link_session(struct sessions *state, uint32_t slot)
{
    const struct session *session = session_at(state, slot);
    struct session_key *of = hashed_table_payload(state->keys, session->key);
    if (of->newest == SLOT_NONE || session_at(state, of->newest)->start < session->start) {
        if (of->newest != SLOT_NONE)
            older_add(state, of, of->newest);
        of->newest = slot;
    } else {
        older_add(state, of, slot);
    }
}

static void unlink_session(struct sessions *state, uint32_t slot)
{
    const struct session *session = session_at(state, slot);
    struct session_key *of = hashed_table_payload(state->keys, session->key);
    if (of->newest != slot) {
        older_remove(state, of, slot);
        return;
    }
    of->newest = SLOT_NONE;
    if (of->older > 0) {
        uint8_t place[PLACE_BYTES];
        encode_place(place, session->key, INT64_MAX);
        struct btree_cursor cursor = btree_seek_last(&state->older, place, PLACE_BYTES);
        of->newest = older_at(&cursor, session->key);
        older_remove(state, of, of->newest);
    } else if (!of->is_listed) {
        of->is_listed = true;
        ARENA_PUSH(state->base.ctx->tick_arena, state->idle, state->idle_count, state->idle_cap,
                   session->key);
    }
}

static void set_start(struct sessions *state, uint32_t slot, int64_t start)
{
    struct session *session = session_at(state, slot);
    struct session_key *of = hashed_table_payload(state->keys, session->key);
    if (of->newest == slot) {
        session->start = start;
        return;
    }
    older_remove(state, of, slot);
    session->start = start;
    older_add(state, of, slot);
}

/* ---- touching ---- */

static void tick_begin(struct sessions *state)
{
    if (state->in_tick)
        return;
    state->in_tick = true;
    if (++state->tick == 0) /* 0 means never */
        state->tick = 1;
    state->touched = NULL;
    state->touched_count = state->touched_cap = state->settled = 0;
    state->touched_rows = NULL;
    state->touched_rows_count = state->touched_rows_cap = 0;
    state->idle = NULL;
    state->idle_count = state->idle_cap = 0;
    state->old = NULL;
    strbuf_reset(&state->zero_keys);
}

/* Lists a session with its present bounds, at the first call of the tick. */
static inline void touch(struct sessions *state, uint32_t slot, bool is_new)
{
    struct session *session = session_at(state, slot);
    if (session->stamp == state->tick)
        return;
    session->stamp = state->tick;
    session->touched = state->touched_count;
    struct touched_session touched = {.slot = slot,
                                      .old_row = UINT32_MAX,
                                      .old_start = session->start,
                                      .old_last = session->last,
                                      .is_new = is_new};
    ARENA_PUSH(state->base.ctx->tick_arena, state->touched, state->touched_count, state->touched_cap,
               touched);
}

static uint32_t create_session(struct sessions *state, uint32_t key, int64_t start, int64_t last)
{
    uint32_t slot = slot_pages_alloc(&state->pages);
    struct session *session = session_at(state, slot);
    memset(session, 0, state->pages.stride);
    slot_set_header(session, SLOT_LIVE);
    session->key = key;
    session->start = start;
    session->last = last;
    session->into = SLOT_NONE;
    touch(state, slot, true);
    link_session(state, slot);
    state->live++;
    return slot;
}

static void result_set(struct column *result, uint32_t row, const struct datum *value, uint32_t rows,
                       struct arena *arena)
{
    if (value->is_null)
        column_set_null(result, row, rows, arena);
    else
        column_set(result, row, value, rows, arena);
}

static void evaluate_call(struct sessions *state, uint32_t c, const uint32_t *slots, uint32_t count,
                          struct column *result, struct error **errors)
{
    struct agg_call *call = &state->calls[c];
    struct error error;
    error_init(&error);
    call->error = &error;
    void **states = state->buffers->agg.states;
    for (uint32_t i = 0; i < count; i++)
        states[i] = (uint8_t *)session_at(state, slots[i]) + state->offsets[c];
    call->aggregate->finish(call, states, count, result);
    if (error.code == ERRCODE_NONE)
        return;
    /* Some session failed: find out which, one by one. */
    for (uint32_t i = 0; i < count; i++) {
        struct column one;
        column_init(&one, call->result_type, 1, &state->scratch);
        column_need_nulls(&one, 1, &state->scratch);
        error_init(&error);
        call->aggregate->finish(call, &states[i], 1, &one);
        if (error.code == ERRCODE_NONE) {
            struct datum value = column_get(&one, 0);
            value.is_null = one.nulls[0];
            result_set(result, i, &value, count, &state->scratch);
        } else if (errors[i] == NULL) {
            errors[i] = arena_copy(&state->scratch, &error, sizeof(error));
        }
    }
}

/* Results of all calls for at most BATCH_ROWS_MAX sessions, in scratch. */
static struct batch *evaluate(struct sessions *state, const uint32_t *slots, uint32_t count,
                              struct error ***errors)
{
    struct batch *results = batch_header(&state->scratch, state->calls_count);
    results->rows = count;
    *errors = arena_zalloc(&state->scratch, sizeof(struct error *) * (count + 1));
    for (uint32_t c = 0; c < state->calls_count; c++) {
        struct agg_call *call = &state->calls[c];
        call->env = state->base.ctx->env;
        call->arena = &state->scratch;
        column_init(&results->columns[c], call->result_type, count, &state->scratch);
        column_need_nulls(&results->columns[c], count, &state->scratch);
        evaluate_call(state, c, slots, count, &results->columns[c], *errors);
    }
    return results;
}

/* Keeps the results from before the tick of what was touched since the last call. Before any accumulator
 * changes. */
static void settle(struct sessions *state)
{
    struct arena *tick_arena = state->base.ctx->tick_arena;
    const struct plan *plan = state->base.plan;
    while (plan->session.is_aggregate && state->settled < state->touched_count) {
        uint32_t slots[256], numbers[256], count = 0;
        for (; state->settled < state->touched_count && count < ARRAY_COUNT(slots); state->settled++) {
            if (state->touched[state->settled].is_new)
                continue;
            slots[count] = state->touched[state->settled].slot;
            numbers[count++] = state->settled;
        }
        if (count == 0)
            return;
        struct error **errors;
        struct batch *results = evaluate(state, slots, count, &errors);
        if (state->old == NULL)
            state->old = batch_create(tick_arena, state->base.types + plan->session.groups_count,
                                      state->calls_count, count);
        uint32_t base = state->old->rows;
        batch_append_range(state->old, results, 0, count, 1);
        for (uint32_t i = 0; i < count; i++) {
            struct touched_session *touched = &state->touched[numbers[i]];
            if (errors[i] != NULL)
                touched->old_error = arena_copy(tick_arena, errors[i], sizeof(struct error));
            else
                touched->old_row = base + i;
        }
    }
}

static void release_call(struct sessions *state, struct session *session, uint32_t c)
{
    const struct aggregate_row *aggregate = state->calls[c].aggregate;
    void *area = (uint8_t *)session + state->offsets[c];
    if (aggregate->release != NULL)
        aggregate->release(&state->calls[c], area);
    memset(area, 0, aggregate->state_bytes);
}

static void end_session(struct sessions *state, uint32_t slot)
{
    unlink_session(state, slot);
    session_at(state, slot)->is_gone = true;
    state->live--;
}

/* `from` lies directly before or behind `into` and becomes part of it. Both are touched. */
static void take_in(struct sessions *state, uint32_t into, uint32_t from)
{
    settle(state);
    struct session *whole = session_at(state, into), *part = session_at(state, from);
    for (uint32_t c = 0; c < state->calls_count; c++) {
        struct agg_call *call = &state->calls[c];
        void *a = (uint8_t *)whole + state->offsets[c], *b = (uint8_t *)part + state->offsets[c];
        call->env = state->base.ctx->env;
        call->arena = &state->scratch;
        call->aggregate->merge(call, &a, &b, 1);
        release_call(state, part, c);
    }
    whole->lost_rows = whole->lost_rows || part->lost_rows;
    part->into = into;
    end_session(state, from);
    if (part->last > whole->last)
        whole->last = part->last;
    if (part->start < whole->start)
        set_start(state, into, part->start);
}

/* Where a session has gone to in this tick. */
static inline uint32_t present(const struct sessions *state, uint32_t slot)
{
    uint32_t into;
    while ((into = session_at(state, slot)->into) != SLOT_NONE)
        slot = into;
    return slot;
}

/* A time that lies before the start of the newest session. */
static __attribute__((noinline)) uint32_t place_late(struct sessions *state, uint32_t key, int64_t time)
{
    uint32_t behind, before = find_before(state, key, time, &behind);
    struct session *left = before != SLOT_NONE ? session_at(state, before) : NULL;
    struct session *right = behind != SLOT_NONE ? session_at(state, behind) : NULL;
    bool joins_left = left != NULL && time - left->last < state->gap;
    bool joins_right =
        right != NULL && !(joins_left && time <= left->last) && right->start - time < state->gap;
    if (!joins_left && !joins_right)
        return create_session(state, key, time, time);
    if (joins_left)
        touch(state, before, false);
    if (joins_right)
        touch(state, behind, false);
    if (!joins_right) {
        if (time > left->last)
            left->last = time;
        return before;
    }
    if (joins_left)
        take_in(state, behind, before);
    else
        set_start(state, behind, time);
    return behind;
}

/* The session of a row at this time, which extends, bridges or creates one. */
static inline uint32_t place_time_of(struct sessions *state, uint32_t key, int64_t time)
{
    const struct session_key *of = hashed_table_payload(state->keys, key);
    if (of->newest != SLOT_NONE) {
        struct session *newest = session_at(state, of->newest);
        if (time < newest->start)
            return place_late(state, key, time);
        if (time - newest->last < state->gap) {
            touch(state, of->newest, false);
            if (time > newest->last)
                newest->last = time;
            return of->newest;
        }
    }
    return create_session(state, key, time, time);
}

/* ---- input ---- */

/* Which rows of a batch have a time that a session can be built on. */
static bool select_times(struct sessions *state, const struct batch *change, uint32_t *count,
                         struct error *err)
{
    struct session_buffers *buffers = state->buffers;
    const struct column *column = &change->columns[state->base.plan->session.time_column];
    *count = 0;
    for (uint32_t i = 0; i < change->rows; i++) {
        int64_t time, end;
        struct error error;
        bool has_time = window_row_time(column, i, &time, &error);
        if (has_time && __builtin_add_overflow(time, state->gap, &end))
            has_time = error_set(&error, ERRCODE_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
        if (!has_time) {
            if (error.code != ERRCODE_NONE && !op_error_row(&state->base, change, i, &error, err))
                return false;
            continue;
        }
        buffers->rows[*count] = i;
        buffers->times[(*count)++] = time;
    }
    return true;
}

static void find_keys(struct sessions *state, const struct batch *rows)
{
    const struct plan *plan = state->base.plan;
    struct agg_buffers *buffers = &state->buffers->agg;
    batch_hash(rows, plan->session.keys, plan->session.keys_count, buffers->hashes);
    hashed_table_upsert(state->keys, rows, plan->session.keys, buffers->hashes, buffers->slots,
                        buffers->inserted);
    for (uint32_t i = 0; i < rows->rows; i++) {
        struct session_key *of = hashed_table_payload(state->keys, buffers->slots[i]);
        if (buffers->inserted[i])
            of->newest = SLOT_NONE;
        else if (of->newest != SLOT_NONE)
            __builtin_prefetch(session_at(state, of->newest), 1);
    }
}

/* Hands rows to the feeds [first, first + count); row i belongs to the session sessions[i]. */
static void feed(struct sessions *state, const struct batch *rows, const uint32_t *sessions, uint32_t first,
                 uint32_t count)
{
    for (uint32_t i = 0; i < rows->rows; i++)
        state->buffers->agg.groups[i] = (struct agg_group *)session_at(state, sessions[i]);
    for (uint32_t c = 0; c < state->calls_count; c++) {
        state->calls[c].env = state->base.ctx->env;
        state->calls[c].arena = &state->scratch;
    }
    agg_feed_all(state->feeds + first, count, NULL, 0, rows, &state->buffers->agg, &state->scratch);
}

static void push_inserts(struct sessions *state, const struct batch *rows)
{
    struct session_buffers *buffers = state->buffers;
    for (uint32_t i = 0; i < rows->rows; i++)
        buffers->sessions[i] = place_time_of(state, buffers->agg.slots[i], buffers->times[i]);
    settle(state);
    for (uint32_t i = 0; i < rows->rows; i++)
        buffers->sessions[i] = present(state, buffers->sessions[i]);
    feed(state, rows, buffers->sessions, 0, state->feeds_count);
}

static void push_counts(struct sessions *state, const struct batch *rows)
{
    struct session_buffers *buffers = state->buffers;
    struct strbuf *place = &state->place;
    for (uint32_t i = 0; i < rows->rows; i++) {
        uint8_t prefix[PLACE_BYTES];
        uint32_t key = buffers->agg.slots[i];
        encode_place(prefix, key, buffers->times[i]);
        strbuf_reset(place);
        strbuf_add(place, prefix, PLACE_BYTES);
        for (uint32_t c = 0; c < state->child_columns; c++) {
            if (!state->encoded[c])
                continue;
            struct datum value = column_get(&rows->columns[c], i);
            type_encode_exact(rows->columns[c].type.oid, &value, place);
        }
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
        if (of->newest == SLOT_NONE && !of->is_listed) {
            of->is_listed = true;
            ARENA_PUSH(state->base.ctx->tick_arena, state->idle, state->idle_count, state->idle_cap, key);
        }
    }
}

static bool sessions_push(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    struct sessions *state = (struct sessions *)op;
    arena_reset(&state->scratch);
    if (!op_check(op, err))
        return false;
    tick_begin(state);
    uint32_t count;
    if (!select_times(state, change, &count, err))
        return false;
    if (count == 0)
        return true;
    const struct batch *rows =
        count == change->rows ? change : op_gather(&state->scratch, change, state->buffers->rows, count);
    find_keys(state, rows);
    if (state->rows == NULL)
        push_inserts(state, rows);
    else
        push_counts(state, rows);
    return true;
}

/* ---- kept rows ---- */

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

static void seek_row(struct sessions *state, uint32_t key, int64_t time, struct ordered_cursor *cursor)
{
    uint8_t place[PLACE_BYTES];
    encode_place(place, key, time);
    ordered_table_seek(state->rows, place, PLACE_BYTES, cursor);
}

static void seek_row_last(struct sessions *state, uint32_t key, int64_t time, struct ordered_cursor *cursor)
{
    uint8_t place[PLACE_BYTES];
    encode_place(place, key, time);
    ordered_table_seek_last(state->rows, place, PLACE_BYTES, cursor);
}

/* Time of the row under the cursor; false when it is not one of this key. */
static bool row_at(const struct ordered_cursor *cursor, uint32_t key, int64_t *time)
{
    uint32_t bytes;
    if (cursor->slot == SLOT_NONE)
        return false;
    const uint8_t *place = ordered_cursor_key(cursor, &bytes);
    *time = place_time(place);
    return place_key(place) == key;
}

/* A run of stored rows on their way to the feeds or the output. */
struct row_run {
    uint32_t count;
    uint32_t slots[BATCH_ROWS_MAX];
    int64_t weights[BATCH_ROWS_MAX];
    uint32_t sessions[BATCH_ROWS_MAX];
};

static struct batch *run_batch(struct sessions *state, const struct row_run *run, const bool *columns)
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

static void feed_run(struct sessions *state, struct row_run *run, uint32_t first, uint32_t count)
{
    arena_reset(&state->scratch);
    if (run->count > 0 && count > 0)
        feed(state, run_batch(state, run, state->fed_columns), run->sessions, first, count);
    run->count = 0;
}

static void run_add(struct row_run *run, uint32_t slot, int64_t weight, uint32_t session)
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
static void add_differences(struct sessions *state, struct row_run *run)
{
    for (uint32_t t = 0; t < state->touched_rows_count; t++) {
        const struct touched_row *row = &state->touched_rows[t];
        const struct session_entry *entry = entry_at(state, row->slot);
        if (entry->count > 0)
            place_time_of(state, row->key, row->time);
        else if (entry->old_count > 0)
            touch(state, find_holding(state, row->key, row->time), false);
    }
    settle(state);
    run->count = 0;
    for (uint32_t t = 0; t < state->touched_rows_count; t++) {
        const struct touched_row *row = &state->touched_rows[t];
        const struct session_entry *entry = entry_at(state, row->slot);
        int64_t difference = positive(entry->count) - positive(entry->old_count);
        if (difference == 0)
            continue;
        uint32_t slot = find_holding(state, row->key, row->time);
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
                  struct row_run *run)
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
        set_start(state, slot, right_start);
        part = create_session(state, key, start, left_last);
    } else {
        session->last = left_last;
        part = create_session(state, key, right_start, last);
    }
    session = session_at(state, slot);
    session->lost_rows = true;
    session_at(state, part)->lost_rows = true;
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
static int64_t remove_time(struct sessions *state, uint32_t key, int64_t time, struct row_run *run)
{
    uint32_t slot = find_holding(state, key, time);
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
        end_session(state, slot);
    else if (!has_before)
        set_start(state, slot, behind);
    else if (!has_behind)
        session->last = before;
    else if (behind - before >= state->gap)
        split(state, slot, before, behind, run);
    return has_behind ? behind : INT64_MAX;
}

static void remove_times(struct sessions *state, struct row_run *run)
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
static void recompute(struct sessions *state, struct row_run *run)
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
                release_call(state, session, c);
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

/* ---- output ---- */

static bool same_error(const struct error *a, const struct error *b)
{
    return a->code == b->code && strcmp(a->message, b->message) == 0;
}

static void set_times(struct column *column, struct sql_type type, const int64_t *times, uint32_t count,
                      struct arena *arena)
{
    column_init(column, type, count, arena);
    memcpy(column->data, times, sizeof(int64_t) * count);
}

/* One side of the change: sessions with given bounds. */
struct session_rows {
    uint32_t count;
    uint32_t keys[BATCH_ROWS_MAX];
    int64_t starts[BATCH_ROWS_MAX], ends[BATCH_ROWS_MAX];
    uint32_t rows[BATCH_ROWS_MAX]; /* of the results */
};

static struct batch *output_rows(struct sessions *state, const struct session_rows *from,
                                 const struct batch *results, int64_t weight)
{
    struct operator* op = & state->base;
    const struct plan *plan = op->plan;
    struct arena *scratch = &state->scratch;
    struct batch *out = batch_header(scratch, op->columns_count);
    out->rows = from->count;
    struct column *keys = arena_alloc(scratch, sizeof(struct column) * (plan->session.keys_count + 1));
    hashed_table_gather_keys(state->keys, from->keys, from->count, keys, scratch);
    uint32_t groups = plan->session.groups_count;
    for (uint32_t g = 0; g < groups; g++) {
        uint32_t column = plan->session.groups[g], k = 0;
        if (column >= state->child_columns) {
            set_times(&out->columns[g], op->types[g],
                      column == state->child_columns ? from->starts : from->ends, from->count, scratch);
            continue;
        }
        while (plan->session.keys[k] != column)
            k++;
        out->columns[g] = keys[k];
    }
    for (uint32_t c = 0; c < state->calls_count; c++)
        column_gather(&out->columns[groups + c], &results->columns[c], from->rows, from->count, scratch);
    if (weight != 1) {
        out->weights = arena_alloc(scratch, sizeof(int64_t) * (from->count + 1));
        for (uint32_t i = 0; i < from->count; i++)
            out->weights[i] = weight;
    }
    return out;
}

static void rows_add(struct sessions *state, struct session_rows *to, uint32_t key, int64_t start,
                     int64_t last, uint32_t row)
{
    to->keys[to->count] = key;
    to->starts[to->count] = start;
    to->ends[to->count] = last + state->gap;
    to->rows[to->count++] = row;
}

static bool emit_aggregates(struct sessions *state, const struct touched_session *touched, uint32_t count,
                            struct error *err)
{
    struct operator* op = & state->base;
    arena_reset(&state->scratch);
    uint32_t *slots = state->buffers->sessions, alive = 0;
    for (uint32_t t = 0; t < count; t++)
        if (!session_at(state, touched[t].slot)->is_gone)
            slots[alive++] = touched[t].slot;
    struct error **errors;
    struct batch *now = evaluate(state, slots, alive, &errors);
    struct session_rows *deletes = arena_alloc(&state->scratch, sizeof(*deletes));
    struct session_rows *inserts = arena_alloc(&state->scratch, sizeof(*inserts));
    deletes->count = inserts->count = 0;
    uint32_t next = 0;
    for (uint32_t t = 0; t < count; t++) {
        const struct touched_session *before = &touched[t];
        const struct session *session = session_at(state, before->slot);
        bool has_new = !session->is_gone, has_old = before->old_row != UINT32_MAX;
        uint32_t new_row = next;
        next += has_new;
        const struct error *new_error = has_new ? errors[new_row] : NULL;
        if (before->old_error != NULL && (new_error == NULL || !same_error(before->old_error, new_error)) &&
            !op_error_weight(op, -1, before->old_error, err))
            return false;
        if (new_error != NULL && (before->old_error == NULL || !same_error(before->old_error, new_error)) &&
            !op_error_weight(op, 1, new_error, err))
            return false;
        has_new = has_new && new_error == NULL;
        if (has_old && has_new && before->old_start == session->start && before->old_last == session->last &&
            batch_rows_identical(state->old, before->old_row, now, new_row))
            continue;
        if (has_old)
            rows_add(state, deletes, session->key, before->old_start, before->old_last, before->old_row);
        if (has_new)
            rows_add(state, inserts, session->key, session->start, session->last, new_row);
    }
    if (deletes->count > 0 && !operator_emit(op, output_rows(state, deletes, state->old, -1), err))
        return false;
    return inserts->count == 0 || operator_emit(op, output_rows(state, inserts, now, 1), err);
}

struct row_output {
    struct row_run run;
    int64_t starts[BATCH_ROWS_MAX], ends[BATCH_ROWS_MAX];
};

static bool flush_rows(struct sessions *state, struct row_output *out, struct error *err)
{
    struct operator* op = & state->base;
    if (out->run.count == 0)
        return true;
    arena_reset(&state->scratch);
    struct batch *batch = run_batch(state, &out->run, NULL);
    batch->columns_count = op->columns_count;
    set_times(&batch->columns[state->child_columns], op->types[state->child_columns], out->starts,
              batch->rows, &state->scratch);
    set_times(&batch->columns[state->child_columns + 1], op->types[state->child_columns + 1], out->ends,
              batch->rows, &state->scratch);
    out->run.count = 0;
    return op_check(op, err) && operator_emit(op, batch, err);
}

static bool output_row(struct sessions *state, struct row_output *out, uint32_t slot, int64_t weight,
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
static bool output_range(struct sessions *state, struct row_output *out, uint32_t key, int64_t start,
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

static bool emit_rows(struct sessions *state, struct error *err)
{
    struct row_output *out = arena_alloc(state->base.ctx->tick_arena, sizeof(*out));
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
        uint32_t slot = difference != 0 ? find_holding(state, row->key, row->time) : SLOT_NONE;
        if (slot == SLOT_NONE)
            continue;
        const struct session *session = session_at(state, slot);
        if (is_unmoved(state, &state->touched[session->touched]) &&
            !output_row(state, out, row->slot, difference, session->start, session->last, err))
            return false;
    }
    return flush_rows(state, out, err);
}

/* ---- the end of a tick ---- */

static void drop_rows(struct sessions *state)
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

static void drop_sessions(struct sessions *state)
{
    for (uint32_t t = 0; t < state->touched_count; t++) {
        uint32_t slot = state->touched[t].slot;
        struct session *session = session_at(state, slot);
        if (!session->is_gone)
            continue;
        for (uint32_t c = 0; c < state->calls_count; c++)
            release_call(state, session, c);
        slot_pages_free(&state->pages, slot);
    }
    for (uint32_t i = 0; i < state->idle_count; i++) {
        uint32_t key = state->idle[i];
        struct session_key *of = hashed_table_payload(state->keys, key);
        of->is_listed = false;
        if (of->newest != SLOT_NONE)
            continue;
        struct ordered_cursor cursor = {.slot = SLOT_NONE};
        int64_t time;
        if (state->rows != NULL)
            seek_row(state, key, INT64_MIN, &cursor);
        if (!row_at(&cursor, key, &time)) /* else counts below 0 wait for their inserts */
            hashed_table_remove(state->keys, key);
    }
}

static bool sessions_finish(struct operator* op, struct error *err)
{
    struct sessions *state = (struct sessions *)op;
    if (!state->in_tick)
        return true;
    arena_reset(&state->scratch);
    if (state->rows != NULL && state->touched_rows_count > 0) {
        struct row_run *run = arena_alloc(op->ctx->tick_arena, sizeof(*run));
        qsort(state->touched_rows, state->touched_rows_count, sizeof(*state->touched_rows),
              compare_touched_rows);
        add_differences(state, run);
        remove_times(state, run);
        recompute(state, run);
    }
    if (!op->plan->session.is_aggregate) {
        if (!emit_rows(state, err))
            return false;
    } else {
        for (uint32_t t = 0; t < state->touched_count && !op->ctx->stop; t += BATCH_ROWS_MAX) {
            uint32_t count =
                state->touched_count - t < BATCH_ROWS_MAX ? state->touched_count - t : BATCH_ROWS_MAX;
            if (!op_check(op, err) || !emit_aggregates(state, state->touched + t, count, err))
                return false;
        }
    }
    if (state->rows != NULL)
        drop_rows(state);
    drop_sessions(state);
    state->in_tick = false;
    return true;
}

static int64_t sessions_bytes(const struct operator* op)
{
    const struct sessions *state = (const struct sessions *)op;
    int64_t bytes = hashed_table_bytes(state->keys) + slot_pages_bytes(&state->pages) +
                    btree_bytes(&state->older) + table_heap_bytes(state->heap);
    return state->rows != NULL ? bytes + ordered_table_bytes(state->rows) : bytes;
}

static uint64_t sessions_rows(const struct operator* op)
{
    const struct sessions *state = (const struct sessions *)op;
    return state->rows != NULL ? ordered_table_rows(state->rows) : state->live;
}

const struct operator_class op_session_class = {
    .name = "session",
    .bytes = sizeof(struct sessions),
    .open = sessions_open,
    .push = sessions_push,
    .finish = sessions_finish,
    .close = sessions_close,
    .state_bytes = sessions_bytes,
    .state_rows = sessions_rows,
};
