/* op_session_saved.c: what checkpoints save of session windows (storage/state/saved_table.h).
 *
 * Tables: the keys; the sessions (the slot of the key, the first and the last time, a bytea per call, as aggregate_save
 * writes it); the kept rows, with their counts. Sessions that are only there because they are registered (op_session_late.c)
 * are none. Not saved: which sessions a key has, and the queue of their ends; both are made as sessions are put back. */
#include "executor/operators/op_session.h"

static const struct sql_type int8_type = {OID_INT8, -1}, bytea_type = {OID_BYTEA, -1};

/* ---- keys ---- */

static void gather_keys(void *of, const uint32_t *slots, uint32_t count, struct column *out,
                        struct arena *arena)
{
    hashed_table_gather_keys(((struct sessions *)of)->keys, slots, count, out, arena);
}

static bool restore_keys(void *of, const uint32_t *slots, const struct batch *rows, uint32_t version,
                         struct error *err)
{
    struct sessions *state = of;
    uint32_t keys_count = state->base.plan->session.keys_count;
    (void)version;
    (void)err;
    arena_reset(&state->scratch);
    uint32_t *columns = arena_alloc(&state->scratch, sizeof(uint32_t) * (keys_count + 1));
    uint64_t *hashes = arena_alloc(&state->scratch, sizeof(uint64_t) * rows->rows);
    for (uint32_t k = 0; k < keys_count; k++)
        columns[k] = k;
    batch_hash(rows, columns, keys_count, hashes);
    for (uint32_t i = 0; i < rows->rows; i++) {
        hashed_table_restore(state->keys, slots[i], rows, i, columns, hashes);
        struct session_key *key = hashed_table_payload(state->keys, slots[i]);
        key->newest = SLOT_NONE;
    }
    return true;
}

/* ---- sessions ---- */

static bool is_session(const void *of, uint32_t slot)
{
    return !session_at(of, slot)->is_gone;
}

static void gather_sessions(void *of, const uint32_t *slots, uint32_t count, struct column *out,
                            struct arena *arena)
{
    struct sessions *state = of;
    for (uint32_t c = 0; c < 3; c++)
        column_init(&out[c], int8_type, count, arena);
    int64_t *keys = out[0].data, *starts = out[1].data, *lasts = out[2].data;
    for (uint32_t i = 0; i < count; i++) {
        const struct session *session = session_at(state, slots[i]);
        keys[i] = session->key;
        starts[i] = session->start;
        lasts[i] = session->last;
    }
    struct strbuf bytes = STRBUF_INIT;
    for (uint32_t c = 0; c < state->calls_count; c++) {
        column_init(&out[3 + c], bytea_type, count, arena);
        for (uint32_t i = 0; i < count; i++) {
            const uint8_t *session = (const uint8_t *)session_at(state, slots[i]);
            strbuf_reset(&bytes);
            aggregate_save(&state->calls[c], session + state->offsets[c], &bytes);
            ((struct varlen *)out[3 + c].data)[i] =
                varlen_copy(arena, strbuf_text(&bytes), (uint32_t)bytes.len);
        }
    }
    strbuf_release(&bytes);
}

static bool has_key(const struct sessions *state, int64_t key)
{
    const struct slot_pages *slots = hashed_table_slots(state->keys);
    return key >= 0 && key < slots->used && slot_header(slot_pages_at(slots, (uint32_t)key)) != 0;
}

static bool restore_sessions(void *of, const uint32_t *slots, const struct batch *rows, uint32_t version,
                             struct error *err)
{
    struct sessions *state = of;
    const int64_t *keys = rows->columns[0].data, *starts = rows->columns[1].data,
                  *lasts = rows->columns[2].data;
    (void)version;
    for (uint32_t i = 0; i < rows->rows; i++) {
        int64_t end;
        if (!has_key(state, keys[i]) || starts[i] > lasts[i] ||
            __builtin_add_overflow(lasts[i], state->gap, &end))
            return error_set(err, ERRCODE_DATA_CORRUPTED, "a stored session is damaged");
        slot_pages_take(&state->pages, slots[i]);
        struct session *session = session_at(state, slots[i]);
        memset(session, 0, state->pages.stride);
        slot_set_header(session, SLOT_LIVE);
        session->key = (uint32_t)keys[i];
        session->start = starts[i];
        session->last = lasts[i];
        session->into = SLOT_NONE;
        for (uint32_t c = 0; c < state->calls_count; c++) {
            const struct varlen *bytes = (const struct varlen *)rows->columns[3 + c].data + i;
            if (!aggregate_load(&state->calls[c], (uint8_t *)session + state->offsets[c], varlen_bytes(bytes),
                                bytes->len, err))
                return false;
        }
        if (!session_link(state, slots[i]))
            return error_set(err, ERRCODE_DATA_CORRUPTED, "stored sessions repeat");
        state->live++;
        if (state->expiry.is_on)
            expiry_queue_add(&state->expiry.queue, end, slots[i]);
    }
    return true;
}

/* ---- kept rows ---- */

static void gather_rows(void *of, const uint32_t *slots, uint32_t count, struct column *out,
                        struct arena *arena)
{
    struct sessions *state = of;
    const uint8_t **rows = arena_alloc(arena, sizeof(*rows) * count);
    column_init(&out[state->child_columns], int8_type, count, arena);
    int64_t *counts = out[state->child_columns].data;
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = ordered_table_row(state->rows, slots[i]);
        counts[i] = ((const struct session_entry *)ordered_table_payload(state->rows, slots[i]))->count;
    }
    for (uint32_t c = 0; c < state->child_columns; c++)
        row_layout_gather(ordered_table_layout(state->rows), rows, count, c, true, &out[c], arena);
}

static bool restore_rows(void *of, const uint32_t *slots, const struct batch *rows, uint32_t version,
                         struct error *err)
{
    struct sessions *state = of;
    const struct plan *plan = state->base.plan;
    const struct column *times = &rows->columns[plan->session.time_column];
    const int64_t *counts = rows->columns[state->child_columns].data;
    (void)version;
    arena_reset(&state->scratch);
    uint64_t *hashes = arena_alloc(&state->scratch, sizeof(uint64_t) * rows->rows);
    uint32_t *keys = arena_alloc(&state->scratch, sizeof(uint32_t) * rows->rows);
    batch_hash(rows, plan->session.keys, plan->session.keys_count, hashes);
    hashed_table_find(state->keys, rows, plan->session.keys, hashes, keys);
    for (uint32_t i = 0; i < rows->rows; i++) {
        struct error error;
        int64_t time, end;
        bool ok = keys[i] != SLOT_NONE && window_row_time(times, i, &time, &error) &&
                  !__builtin_add_overflow(time, state->gap, &end);
        if (ok)
            session_row_encode(state, rows, i, keys[i], time);
        if (!ok || !ordered_table_restore(state->rows, slots[i], state->place.data,
                                          (uint32_t)state->place.len, rows, i, NULL))
            return error_set(err, ERRCODE_DATA_CORRUPTED, "a stored row of a session is damaged");
        struct session_entry *entry = ordered_table_payload(state->rows, slots[i]);
        entry->count = counts[i];
    }
    return true;
}

/* ---- the operator ---- */

void session_saved_tables(struct operator* op, struct saved_tables *out)
{
    struct sessions *state = (struct sessions *)op;
    const struct plan *plan = op->plan, *child = plan->children[0];
    uint32_t keys_count = plan->session.keys_count;
    struct sql_type *key_types = ARENA_ARRAY(out->arena, struct sql_type, keys_count + 1);
    for (uint32_t k = 0; k < keys_count; k++)
        key_types[k] = child->types[plan->session.keys[k]];
    saved_tables_add(out, (struct saved_table){.name = "keys",
                                               .version = 1,
                                               .columns_count = keys_count,
                                               .types = key_types,
                                               .of = state,
                                               .slots = hashed_table_slots(state->keys),
                                               .index = hashed_table_index(state->keys),
                                               .gather = gather_keys,
                                               .restore = restore_keys});
    struct sql_type *types = ARENA_ARRAY(out->arena, struct sql_type, 3 + state->calls_count);
    for (uint32_t c = 0; c < 3 + state->calls_count; c++)
        types[c] = c < 3 ? int8_type : bytea_type;
    saved_tables_add(out, (struct saved_table){.name = "sessions",
                                               .version = 1,
                                               .columns_count = 3 + state->calls_count,
                                               .types = types,
                                               .of = state,
                                               .slots = &state->pages,
                                               .is_row = is_session,
                                               .gather = gather_sessions,
                                               .restore = restore_sessions});
    if (state->rows == NULL)
        return;
    struct sql_type *row_types = ARENA_ARRAY(out->arena, struct sql_type, state->child_columns + 1);
    memcpy(row_types, child->types, sizeof(struct sql_type) * state->child_columns);
    row_types[state->child_columns] = int8_type;
    saved_tables_add(out, (struct saved_table){.name = "rows",
                                               .version = 1,
                                               .columns_count = state->child_columns + 1,
                                               .types = row_types,
                                               .of = state,
                                               .slots = ordered_table_slots(state->rows),
                                               .gather = gather_rows,
                                               .restore = restore_rows});
}
