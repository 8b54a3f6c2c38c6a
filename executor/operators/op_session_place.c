/* op_session_place.c: session windows: from a key and a time to its session, which is extended, bridged with
 * another or made. See op_session.c. */
#include "executor/operators/op_session.h"

/* ---- the sessions of a key ---- */

/* The older session under a cursor; SLOT_NONE when it is not one of this key. */
static uint32_t older_at(const struct btree_cursor *cursor, uint32_t key)
{
    uint32_t bytes;
    if (cursor->node == NULL || session_place_key(btree_key(cursor, &bytes)) != key)
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
    session_place_encode(place, key, time);
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
uint32_t session_find_holding(const struct sessions *state, uint32_t key, int64_t time)
{
    uint32_t next, slot = find_before(state, key, time, &next);
    return slot != SLOT_NONE && session_at(state, slot)->last >= time ? slot : SLOT_NONE;
}

uint32_t session_oldest(const struct sessions *state, uint32_t key)
{
    const struct session_key *of = hashed_table_payload(state->keys, key);
    if (of->older == 0)
        return of->newest;
    uint8_t place[PLACE_BYTES];
    session_place_encode(place, key, INT64_MIN);
    struct btree_cursor cursor = btree_seek(&state->older, place, PLACE_BYTES);
    return older_at(&cursor, key);
}

bool session_would_join(const struct sessions *state, uint32_t key, int64_t time)
{
    uint32_t behind, before = find_before(state, key, time, &behind);
    return (before != SLOT_NONE && time < session_at(state, before)->last + state->gap) ||
           (behind != SLOT_NONE && session_at(state, behind)->start < time + state->gap);
}

static bool older_add(struct sessions *state, struct session_key *of, uint32_t slot)
{
    const struct session *session = session_at(state, slot);
    uint8_t place[PLACE_BYTES];
    session_place_encode(place, session->key, session->start);
    uint32_t value = slot;
    of->older++;
    return btree_insert(&state->older, place, PLACE_BYTES, &value);
}

static void older_remove(struct sessions *state, struct session_key *of, uint32_t slot)
{
    const struct session *session = session_at(state, slot);
    uint8_t place[PLACE_BYTES];
    session_place_encode(place, session->key, session->start);
    btree_remove(&state->older, place, PLACE_BYTES, NULL);
    of->older--;
}

bool session_link(struct sessions *state, uint32_t slot)
{
    const struct session *session = session_at(state, slot);
    struct session_key *of = hashed_table_payload(state->keys, session->key);
    if (of->newest == SLOT_NONE || session_at(state, of->newest)->start < session->start) {
        uint32_t older = of->newest;
        of->newest = slot;
        return older == SLOT_NONE || older_add(state, of, older);
    }
    return session_at(state, of->newest)->start != session->start && older_add(state, of, slot);
}

void session_list_idle(struct sessions *state, uint32_t key)
{
    struct session_key *of = hashed_table_payload(state->keys, key);
    if (of->is_listed)
        return;
    of->is_listed = true;
    ARENA_PUSH(state->base.ctx->tick_arena, state->idle, state->idle_count, state->idle_cap, key);
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
        session_place_encode(place, session->key, INT64_MAX);
        struct btree_cursor cursor = btree_seek_last(&state->older, place, PLACE_BYTES);
        of->newest = older_at(&cursor, session->key);
        older_remove(state, of, of->newest);
    } else {
        session_list_idle(state, session->key);
    }
}

void session_set_start(struct sessions *state, uint32_t slot, int64_t start)
{
    struct session *session = session_at(state, slot);
    struct session_key *of = hashed_table_payload(state->keys, session->key);
    if (of->newest == slot) {
        session->start = start;
        return;
    }
    older_remove(state, of, slot);
    session->start = start;
    CHECK(older_add(state, of, slot));
}

/* ---- touching ---- */

uint32_t session_create(struct sessions *state, uint32_t key, int64_t start, int64_t last)
{
    uint32_t slot = slot_pages_alloc(&state->pages);
    struct session *session = session_at(state, slot);
    memset(session, 0, state->pages.stride);
    slot_set_header(session, SLOT_LIVE);
    session->key = key;
    session->start = start;
    session->last = last;
    session->into = SLOT_NONE;
    session_touch(state, slot, true);
    CHECK(session_link(state, slot));
    state->live++;
    if (state->expiry.is_on)
        expiry_queue_add(&state->expiry.queue, last + state->gap, slot);
    return slot;
}

static void evaluate_call(struct sessions *state, uint32_t c, const uint32_t *slots, uint32_t count,
                          struct column *result, struct error **errors)
{
    struct agg_call *call = &state->calls[c];
    void **states = state->buffers->agg.states;
    for (uint32_t i = 0; i < count; i++)
        states[i] = (uint8_t *)session_at(state, slots[i]) + state->offsets[c];
    op_finish_states(call, states, count, result, errors, &state->scratch);
}

struct batch *session_evaluate(struct sessions *state, const uint32_t *slots, uint32_t count,
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

void session_settle(struct sessions *state)
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
        struct batch *results = session_evaluate(state, slots, count, &errors);
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

void session_release_call(struct sessions *state, struct session *session, uint32_t c)
{
    const struct aggregate_row *aggregate = state->calls[c].aggregate;
    void *area = (uint8_t *)session + state->offsets[c];
    if (aggregate->release != NULL)
        aggregate->release(&state->calls[c], area);
    memset(area, 0, aggregate->state_bytes);
}

void session_end(struct sessions *state, uint32_t slot)
{
    unlink_session(state, slot);
    session_at(state, slot)->is_gone = true;
    slot_pages_touch(&state->pages, slot);
    state->live--;
}

/* `from` lies directly before or behind `into` and becomes part of it. Both are touched. */
static void take_in(struct sessions *state, uint32_t into, uint32_t from)
{
    session_settle(state);
    struct session *whole = session_at(state, into), *part = session_at(state, from);
    for (uint32_t c = 0; c < state->calls_count; c++) {
        struct agg_call *call = &state->calls[c];
        void *a = (uint8_t *)whole + state->offsets[c], *b = (uint8_t *)part + state->offsets[c];
        call->env = state->base.ctx->env;
        call->arena = &state->scratch;
        call->aggregate->merge(call, &a, &b, 1);
        session_release_call(state, part, c);
    }
    whole->lost_rows = whole->lost_rows || part->lost_rows;
    part->into = into;
    session_end(state, from);
    if (part->last > whole->last)
        whole->last = part->last;
    if (part->start < whole->start)
        session_set_start(state, into, part->start);
}

/* A time that lies before the start of the newest session. */
uint32_t session_place_late(struct sessions *state, uint32_t key, int64_t time)
{
    uint32_t behind, before = find_before(state, key, time, &behind);
    struct session *left = before != SLOT_NONE ? session_at(state, before) : NULL;
    struct session *right = behind != SLOT_NONE ? session_at(state, behind) : NULL;
    bool joins_left = left != NULL && time < left->last + state->gap;
    bool joins_right =
        right != NULL && !(joins_left && time <= left->last) && right->start < time + state->gap;
    if (!joins_left && !joins_right)
        return session_create(state, key, time, time);
    if (joins_left)
        session_touch(state, before, false);
    if (joins_right)
        session_touch(state, behind, false);
    if (!joins_right) {
        if (time > left->last)
            left->last = time;
        return before;
    }
    if (joins_left)
        take_in(state, behind, before);
    else
        session_set_start(state, behind, time);
    return behind;
}
