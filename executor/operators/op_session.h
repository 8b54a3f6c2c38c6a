/* op_session.h: session windows: what the files of the operator share. Internal to this folder. */
#ifndef MILLRACE_OPERATORS_OP_SESSION_H
#define MILLRACE_OPERATORS_OP_SESSION_H

#include "executor/operators/op_aggregate.h"
#include "executor/operators/op_expiry.h"
#include "executor/operators/op_window.h"
#include "storage/state/btree.h"

#define PLACE_BYTES 12u /* key slot, start or time */

struct session {
    uint32_t header; /* slot_pages */
    uint32_t key;    /* slot in `keys` */
    int64_t start, last;
    uint32_t stamp;   /* tick in which it was touched last */
    uint32_t touched; /* its number in that tick */
    uint32_t into;    /* the session that has taken it in, in this tick */
    bool is_gone;     /* taken in, without rows or forgotten; freed when the tick, or its time, ends */
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

/* Where a row stands in the order of arrival. */
struct session_arrival {
    int64_t position, watermark;
    uint32_t row; /* of the collected rows */
};

struct session_arrivals {
    struct batch *rows;
    struct session_arrival *list;
    uint32_t count, cap;
};

struct session_row_run;
struct session_row_output;

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
    int64_t gap; /* added to the time of any row in a session, it does not overflow */
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
    struct session_row_run *run;
    struct session_row_output *output;

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

    struct op_expiry expiry;          /* of sessions, by their ends; on where rows can be late */
    struct session_arrivals arrivals; /* tick arena */
    struct arena hold;                /* what rows are judged with; lives for one batch */
};

static inline struct session *session_at(const struct sessions *state, uint32_t slot)
{
    return slot_pages_at(&state->pages, slot);
}

/* Keys of the B+trees begin with these PLACE_BYTES: the key's slot, then a time. */
static inline void session_place_encode(uint8_t *out, uint32_t key, int64_t time)
{
    uint32_t slot = __builtin_bswap32(key);
    uint64_t order = __builtin_bswap64((uint64_t)time ^ (UINT64_C(1) << 63));
    memcpy(out, &slot, sizeof(slot));
    memcpy(out + sizeof(slot), &order, sizeof(order));
}

static inline int64_t session_place_time(const uint8_t *place)
{
    uint64_t order;
    memcpy(&order, place + sizeof(uint32_t), sizeof(order));
    return (int64_t)(__builtin_bswap64(order) ^ (UINT64_C(1) << 63));
}

static inline uint32_t session_place_key(const uint8_t *place)
{
    uint32_t slot;
    memcpy(&slot, place, sizeof(slot));
    return __builtin_bswap32(slot);
}

/* Lists a session with its present bounds, at the first call of the tick; before anything of it changes. */
static inline void session_touch(struct sessions *state, uint32_t slot, bool is_new)
{
    struct session *session = session_at(state, slot);
    if (session->stamp == state->tick)
        return;
    session->stamp = state->tick;
    session->touched = state->touched_count;
    slot_pages_touch(&state->pages, slot);
    struct touched_session touched = {.slot = slot,
                                      .old_row = UINT32_MAX,
                                      .old_start = session->start,
                                      .old_last = session->last,
                                      .is_new = is_new};
    ARENA_PUSH(state->base.ctx->tick_arena, state->touched, state->touched_count, state->touched_cap,
               touched);
}

/* Where a session has gone to in this tick. */
static inline uint32_t session_present(const struct sessions *state, uint32_t slot)
{
    uint32_t into;
    while ((into = session_at(state, slot)->into) != SLOT_NONE)
        slot = into;
    return slot;
}

/* ---- placing times (op_session_place.c) ---- */

/* The session whose bounds hold the time; SLOT_NONE: there is none. */
uint32_t session_find_holding(const struct sessions *state, uint32_t key, int64_t time);
void session_set_start(struct sessions *state, uint32_t slot, int64_t start);
/* A new session, linked and touched. It must not overlap others of the key. */
uint32_t session_create(struct sessions *state, uint32_t key, int64_t start, int64_t last);
/* Where a session that was not there before is found from now on; false: its key has one with this start. */
MUST_CHECK
bool session_link(struct sessions *state, uint32_t slot);
/* The session is no longer found; its slot stays until the tick ends. */
void session_end(struct sessions *state, uint32_t slot);
/* Keeps the results from before the tick of what was touched since the last call. To be called before any
 * accumulator changes. */
void session_settle(struct sessions *state);
/* Results of all calls for at most BATCH_ROWS_MAX sessions, in scratch; an error per failed one. */
struct batch *session_evaluate(struct sessions *state, const uint32_t *slots, uint32_t count,
                               struct error ***errors);
/* The area of a call becomes empty. */
void session_release_call(struct sessions *state, struct session *session, uint32_t call);
/* A time before the start of the newest session. */
uint32_t session_place_late(struct sessions *state, uint32_t key, int64_t time);

/* The first session of a key; SLOT_NONE: it has none. */
uint32_t session_oldest(const struct sessions *state, uint32_t key);
/* Would a row at this time be in a session that is there? */
bool session_would_join(const struct sessions *state, uint32_t key, int64_t time);
/* The key goes at the end of the tick unless it has sessions or rows by then. */
void session_list_idle(struct sessions *state, uint32_t key);

/* The session of a row at this time, which extends, bridges or creates one. */
static inline uint32_t session_place(struct sessions *state, uint32_t key, int64_t time)
{
    const struct session_key *of = hashed_table_payload(state->keys, key);
    if (of->newest != SLOT_NONE) {
        struct session *newest = session_at(state, of->newest);
        if (time < newest->start)
            return session_place_late(state, key, time);
        if (time < newest->last + state->gap) {
            session_touch(state, of->newest, false);
            if (time > newest->last)
                newest->last = time;
            return of->newest;
        }
    }
    return session_create(state, key, time, time);
}

/* ---- lateness (op_session_late.c); plan->session.lateness is set ---- */

/* Rows of a batch in the order in which they arrived, or to be put into it at the end of the tick: takes them into sessions
 * or hands them on as late. buffers hold their times. The rows are not in scratch memory. */
MUST_CHECK
bool session_judge(struct sessions *state, const struct batch *rows, struct error *err);
/* At the end of the tick: those that waited for it. */
MUST_CHECK
bool session_judge_collected(struct sessions *state, struct error *err);
/* Forgets the sessions that the tick's watermark has closed. */
void session_forget(struct sessions *state);

/* ---- kept rows and the row form (op_session_rows.c) ---- */

/* When rows are kept: once, before the first. */
void session_rows_open(struct sessions *state);
/* Counts the rows of a batch; buffers hold their times and the slots of their keys. */
void session_rows_push(struct sessions *state, const struct batch *rows);
/* When the tick's input is complete: sessions and accumulators as the counts say. */
void session_rows_settle(struct sessions *state);
/* The change of the row form. */
MUST_CHECK
bool session_rows_emit(struct sessions *state, struct error *err);
/* Rows whose count is 0 go. */
void session_rows_drop(struct sessions *state);
bool session_has_rows(struct sessions *state, uint32_t key);

/* The key of a row in `rows`, into state->place. */
void session_row_encode(struct sessions *state, const struct batch *rows, uint32_t row, uint32_t key,
                        int64_t time);

/* ---- checkpoints (op_session_saved.c) ---- */

void session_saved_tables(struct operator* op, struct saved_tables *out);

/* ---- the operator (op_session.c) ---- */

/* buffers->agg.slots of the rows. */
void session_find_keys(struct sessions *state, const struct batch *rows);
/* Takes rows in; buffers hold their times and the slots of their keys. */
void session_push_rows(struct sessions *state, const struct batch *rows);
/* The output of what has changed since the tick, or its last part, began. */
MUST_CHECK
bool session_work_off(struct sessions *state, struct error *err);
/* What has changed so far counts as old from here on. */
void session_next_part(struct sessions *state);
/* Hands rows to the feeds [first, first + count); row i belongs to the session sessions[i]. */
void session_feed(struct sessions *state, const struct batch *rows, const uint32_t *sessions, uint32_t first,
                  uint32_t count);
void session_set_times(struct column *column, struct sql_type type, const int64_t *times, uint32_t count,
                       struct arena *arena);

#endif
