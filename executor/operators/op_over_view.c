/* op_over_view.c: the end of a view's tick: pieces of partitions are computed, and what differs is emitted.
 *
 * A piece lies around changes that are near to each other: rows whose results they can alter (op_over_reach.c), and on
 * both sides what the frames of those rows hold. Both contents of it, before and after the tick, are computed; each
 * affected row whose result differs is replaced. What stands before the piece comes from summaries. Results that
 * depend on everything before them may go on to differ behind the piece: then it is made longer, up to the partition's
 * end. */
#include "executor/operators/op_over.h"

#include <stdlib.h>

#define FIRST_EXTENSION 64
#define ALL_ROWS        (INT64_MAX / 4)

/* A row of the piece, with its copies before and after the tick. */
struct piece_row {
    uint32_t slot;
    uint32_t old, now;
    bool changed;
};

struct piece {
    const uint8_t *prefix;
    uint32_t prefix_bytes;
    struct piece_row *rows;
    uint32_t count, cap;
    uint32_t first, end;   /* affected: rows [first, end) */
    uint32_t first_change; /* row number */
    uint32_t changes_end;  /* of the tick's changes, those before it are in the piece */
    bool at_end;           /* of the partition */
    const uint8_t *key;    /* of the piece's first row */
    uint32_t key_bytes;
};

/* One content of a piece: rows in order, each copy for itself. */
struct content {
    struct batch *rows;
    struct column *results;
    struct error **errors;
    uint32_t groups_count;
    uint32_t first; /* position of the first affected row */
};

static struct over_entry *entry_of(const struct over_state *state, uint32_t slot)
{
    return ordered_table_payload(state->table, slot);
}

static uint32_t copies(int64_t count)
{
    return count > 0 ? (uint32_t)count : 0;
}

static struct piece_row row_of(const struct over_state *state, uint32_t slot)
{
    const struct over_entry *entry = entry_of(state, slot);
    struct piece_row row = {.slot = slot, .now = copies(entry->count)};
    row.old = entry->stamp == state->tick ? copies(entry->old_count) : row.now;
    return row;
}

/* ---- finding a piece ---- */

static bool in_partition(const struct piece *piece, const struct ordered_cursor *cursor)
{
    return ordered_cursor_has_prefix(cursor, piece->prefix, piece->prefix_bytes);
}

bool over_may_cut(const struct over_state *state, const struct ordered_cursor *a,
                  const struct ordered_cursor *b)
{
    if (!state->reach.peers)
        return true;
    const struct over_entry *entry = entry_of(state, a->slot);
    uint32_t bytes;
    const uint8_t *key = ordered_cursor_key(a, &bytes);
    return !ordered_cursor_has_prefix(b, key, entry->peer_bytes);
}

/* Goes back from `from` over so many rows and groups, and over rows that `of` has to do with by RANGE offsets: rows
 * that its frame reaches (preceding), or whose frames reach it. */
static void go_back(struct over_state *state, const struct piece *piece, struct ordered_cursor *at,
                    int64_t rows, int64_t groups, const struct over_range *ranges, uint32_t ranges_count,
                    bool preceding)
{
    uint32_t of = at->slot;
    int64_t seen = 0, seen_groups = 0;
    for (;;) {
        struct ordered_cursor before = *at;
        ordered_cursor_prev(&before);
        if (!in_partition(piece, &before))
            return;
        if (over_may_cut(state, &before, at)) {
            if (seen >= rows && seen_groups >= groups &&
                !over_reaches(state, ranges, ranges_count, preceding ? of : before.slot,
                              preceding ? before.slot : of))
                return;
            seen_groups++;
        }
        struct piece_row row = row_of(state, before.slot);
        seen += row.old < row.now ? row.old : row.now;
        *at = before;
    }
}

/* Collects the piece that begins with change number `first` of the tick. extension: rows more behind the last change
 * than the reach says. */
static void find_piece(struct over_state *state, uint32_t first, int64_t extension, struct piece *piece)
{
    const struct over_reach *reach = &state->reach;
    const struct over_change *changes = state->changes;
    *piece = (struct piece){.prefix = changes[first].key, .prefix_bytes = changes[first].prefix_bytes};
    struct ordered_cursor at, affected;
    if (reach->to_start) {
        ordered_table_seek(state->table, piece->prefix, piece->prefix_bytes, &at);
        affected = at;
    } else {
        ordered_table_seek(state->table, changes[first].key, changes[first].key_bytes, &at);
        go_back(state, piece, &at, reach->rows_before, reach->groups_before, reach->before,
                reach->before_count, false);
        affected = at;
        go_back(state, piece, &at, reach->rows_after, reach->groups_after, reach->after, reach->after_count,
                true);
    }
    piece->key = ordered_cursor_key(&at, &piece->key_bytes);
    uint32_t next = first, last_change = 0, last_affected = 0;
    int64_t rows = 0, groups = 0, wanted = reach->whole ? ALL_ROWS : reach->rows_after + extension;
    if (wanted > ALL_ROWS || wanted < 0)
        wanted = ALL_ROWS;
    enum { BEFORE, AFFECTED, CONTEXT } part = BEFORE;
    struct ordered_cursor previous = at;
    piece->at_end = true;
    for (; in_partition(piece, &at); previous = at, ordered_cursor_next(&at)) {
        bool changed = next < state->changes_count && changes[next].slot == at.slot;
        bool cut = piece->count > 0 && over_may_cut(state, &previous, &at);
        if (at.slot == affected.slot)
            piece->first = piece->count;
        if (changed) {
            if (part == BEFORE)
                piece->first_change = piece->count;
            part = AFFECTED;
            last_change = at.slot;
            next++;
            rows = groups = 0;
        } else if (part == AFFECTED && cut && rows >= wanted && groups >= reach->groups_after &&
                   !over_reaches(state, reach->after, reach->after_count, at.slot, last_change)) {
            bool more = next < state->changes_count && changes[next].prefix_bytes == piece->prefix_bytes &&
                        memcmp(changes[next].key, piece->prefix, piece->prefix_bytes) == 0;
            if (!more || !reach->forward) {
                part = CONTEXT;
                piece->end = piece->count;
                rows = groups = 0;
                last_affected = previous.slot;
            }
        }
        if (part == CONTEXT && cut && rows >= reach->rows_before && groups >= reach->groups_before &&
            !over_reaches(state, reach->before, reach->before_count, last_affected, at.slot)) {
            piece->at_end = false;
            break;
        }
        struct piece_row row = row_of(state, at.slot);
        row.changed = changed;
        ARENA_PUSH(&state->scratch, piece->rows, piece->count, piece->cap, row);
        rows += changed ? 0 : row.old < row.now ? row.old : row.now;
        groups += part != BEFORE && cut && !changed;
    }
    if (part == AFFECTED)
        piece->end = piece->count;
    else if (piece->at_end)
        piece->at_end = piece->end == piece->count;
    piece->changes_end = next;
}

/* ---- computing ---- */

static void make_content(struct over_state *state, const struct piece *piece, const struct over_summary *head,
                         bool old, struct content *out)
{
    struct arena *arena = &state->scratch;
    const struct row_layout *layout = ordered_table_layout(state->table);
    uint32_t count = 0, at = 0;
    for (uint32_t i = 0; i < piece->count; i++)
        count += old ? piece->rows[i].old : piece->rows[i].now;
    const uint8_t **rows = arena_alloc(arena, sizeof(rows[0]) * (count + 1));
    for (uint32_t i = 0; i < piece->count; i++) {
        const uint8_t *stored = ordered_table_row(state->table, piece->rows[i].slot);
        if (i == piece->first)
            out->first = at;
        for (uint32_t copy = old ? piece->rows[i].old : piece->rows[i].now; copy > 0; copy--)
            rows[at++] = stored;
    }
    out->rows = batch_header(arena, state->child_columns);
    out->rows->rows = count;
    for (uint32_t c = 0; c < state->child_columns; c++)
        row_layout_gather(layout, rows, count, c, false, &out->rows->columns[c], arena);
    out->results = over_result_columns(state, count, arena);
    out->errors = arena_zalloc(arena, sizeof(struct error *) * (count + 1));
    state->rows_computed += count;
    if (count == 0)
        return;
    struct over_partition partition = {.rows = out->rows,
                                       .count = count,
                                       .arena = arena,
                                       .rows_before = head != NULL ? head->rows : 0,
                                       .groups_before = head != NULL ? head->groups : 0,
                                       .head = head,
                                       .state = state,
                                       .prefix = piece->prefix,
                                       .prefix_bytes = piece->prefix_bytes};
    over_compute(&state->over, &partition, out->results, out->errors);
    out->groups_count = partition.groups_count;
}

static struct batch *content_batch(struct over_state *state, const struct content *content)
{
    struct operator* op = & state->over.base;
    struct batch *out = batch_header(&state->scratch, op->columns_count);
    out->rows = content->rows->rows;
    memcpy(out->columns, content->rows->columns, sizeof(struct column) * state->child_columns);
    memcpy(out->columns + state->child_columns, content->results,
           sizeof(struct column) * (op->columns_count - state->child_columns));
    return out;
}

/* ---- behind the piece ---- */

enum beyond { SAME, PERHAPS, DIFFERENT };

static bool same_changed_state(struct over_state *state, const struct piece *piece, uint32_t call)
{
    struct arena *arena = &state->scratch;
    const uint8_t **rows = arena_alloc(arena, sizeof(rows[0]) * piece->count);
    int64_t *old = arena_alloc(arena, sizeof(int64_t) * piece->count);
    int64_t *now = arena_alloc(arena, sizeof(int64_t) * piece->count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < piece->count; i++) {
        if (!piece->rows[i].changed)
            continue;
        rows[count] = ordered_table_row(state->table, piece->rows[i].slot);
        old[count] = piece->rows[i].old;
        now[count++] = piece->rows[i].now;
    }
    return over_same_state(state, call, rows, old, now, count);
}

static bool same_result(const struct content *before, uint32_t a, const struct content *now, uint32_t b,
                        uint32_t call)
{
    if (before->errors[a] != NULL || now->errors[b] != NULL)
        return false;
    struct batch x = {.rows = before->rows->rows, .columns_count = 1, .columns = &before->results[call]};
    struct batch y = {.rows = now->rows->rows, .columns_count = 1, .columns = &now->results[call]};
    return batch_rows_identical(&x, a, &y, b);
}

/* Whether results of a call behind the affected rows may differ too. */
static enum beyond call_beyond(struct over_state *state, const struct piece *piece,
                               const struct over_summary *head, const struct content *before,
                               const struct content *now, uint32_t c)
{
    const struct plan_over_call *call = &state->over.plan->over.calls[c];
    switch (call->kind) {
    case OVER_ROW_NUMBER:
    case OVER_RANK:
        return before->rows->rows == now->rows->rows ? SAME : DIFFERENT;
    case OVER_DENSE_RANK:
        return before->groups_count == now->groups_count ? SAME : DIFFERENT;
    case OVER_FIRST_VALUE:
    case OVER_NTH_VALUE: {
        if (call->frame_start != BOUND_UNBOUNDED_PRECEDING)
            return SAME;
        int64_t position = head != NULL ? head->rows : 0;
        for (uint32_t i = 0; i < piece->first_change; i++)
            position += piece->rows[i].now;
        return position < state->reach.first_rows ? DIFFERENT : SAME;
    }
    case OVER_AGGREGATE:
        break;
    default:
        return SAME;
    }
    if (call->frame_start != BOUND_UNBOUNDED_PRECEDING)
        return SAME;
    if ((call->aggregate->flags & AGG_ORDERED) != 0)
        return DIFFERENT;
    if (same_changed_state(state, piece, c))
        return SAME;
    bool delayed = call->frame_mode == FRAME_RANGE && call->frame_end == BOUND_PRECEDING;
    if ((call->aggregate->flags & AGG_APPEND_ONLY_ADD) == 0 || call->frame_exclude >= 2 || delayed)
        return DIFFERENT;
    /* min and max: the state is the result; the last affected row was there before, and its frame holds the changes */
    uint32_t a = 0, b = 0;
    for (uint32_t i = 0; i < piece->end; i++) {
        a += piece->rows[i].old;
        b += piece->rows[i].now;
    }
    return a > 0 && b > 0 && !piece->rows[piece->end - 1].changed && same_result(before, a - 1, now, b - 1, c)
               ? SAME
               : PERHAPS;
}

static enum beyond results_beyond(struct over_state *state, const struct piece *piece,
                                  const struct over_summary *head, const struct content *before,
                                  const struct content *now)
{
    enum beyond worst = SAME;
    for (uint32_t c = 0; c < state->over.plan->over.calls_count && worst != DIFFERENT; c++) {
        enum beyond one = call_beyond(state, piece, head, before, now, c);
        worst = one > worst ? one : worst;
    }
    return worst;
}

/* ---- emitting ---- */

static bool emit_error(struct over_state *state, const struct content *content, uint32_t row, int64_t weight,
                       struct error *err)
{
    struct batch *one = batch_slice(&state->scratch, content->rows, row, 1);
    one->weights = arena_alloc(&state->scratch, sizeof(int64_t));
    one->weights[0] = weight;
    return op_error_row(&state->over.base, one, 0, content->errors[row], err);
}

static bool same_error(const struct error *a, const struct error *b)
{
    return a->code == b->code && strcmp(a->message, b->message) == 0;
}

static bool emit_piece(struct over_state *state, const struct piece *piece, const struct content *before,
                       const struct content *now, struct error *err)
{
    struct arena *arena = &state->scratch;
    struct batch *old_rows = content_batch(state, before), *new_rows = content_batch(state, now);
    uint32_t *deletes = arena_alloc(arena, sizeof(uint32_t) * (old_rows->rows + 1));
    uint32_t *inserts = arena_alloc(arena, sizeof(uint32_t) * (new_rows->rows + 1));
    uint32_t deletes_count = 0, inserts_count = 0, old_at = before->first, new_at = now->first;
    for (uint32_t i = piece->first; i < piece->end; i++) {
        uint32_t old_end = old_at + piece->rows[i].old, new_end = new_at + piece->rows[i].now;
        while (old_at < old_end || new_at < new_end) {
            bool has_old = old_at < old_end, has_new = new_at < new_end;
            struct error *old_error = has_old ? before->errors[old_at] : NULL;
            struct error *new_error = has_new ? now->errors[new_at] : NULL;
            bool same = has_old && has_new &&
                        (old_error != NULL && new_error != NULL
                             ? same_error(old_error, new_error)
                             : old_error == NULL && new_error == NULL &&
                                   batch_rows_identical(old_rows, old_at, new_rows, new_at));
            if (!same) {
                if (old_error != NULL && !emit_error(state, before, old_at, -1, err))
                    return false;
                if (new_error != NULL && !emit_error(state, now, new_at, 1, err))
                    return false;
                if (has_old && old_error == NULL)
                    deletes[deletes_count++] = old_at;
                if (has_new && new_error == NULL)
                    inserts[inserts_count++] = new_at;
            }
            old_at += has_old;
            new_at += has_new;
        }
    }
    if (deletes_count + inserts_count == 0)
        return true;
    struct batch *added = op_gather(arena, new_rows, inserts, inserts_count);
    if (deletes_count == 0)
        return operator_emit(&state->over.base, added, err);
    struct batch *removed = op_gather(arena, old_rows, deletes, deletes_count);
    struct batch *out = op_concat(arena, removed, added);
    for (uint32_t i = 0; i < deletes_count; i++)
        out->weights[i] = -1;
    return operator_emit(&state->over.base, batch_consolidate(out, arena), err);
}

/* No row of the affected ones was there before the tick: that content need not be computed. */
static bool all_new(const struct piece *piece)
{
    for (uint32_t i = piece->first; i < piece->end; i++)
        if (piece->rows[i].old > 0)
            return false;
    return true;
}

/* Returns the number of the first change behind the piece in *next. */
static bool finish_piece(struct over_state *state, uint32_t first, uint32_t *next, struct error *err)
{
    const struct over_reach *reach = &state->reach;
    int64_t extension = 0;
    for (;;) {
        arena_reset(&state->scratch);
        struct piece piece;
        find_piece(state, first, extension, &piece);
        struct over_summary *head = NULL;
        if (reach->head)
            head = over_fold(state, &state->scratch, piece.prefix, piece.prefix_bytes, piece.key,
                             piece.key_bytes);
        struct content before = {0}, now = {0};
        bool beyond = reach->forward && !piece.at_end;
        struct piece nothing = {.prefix = piece.prefix, .prefix_bytes = piece.prefix_bytes};
        make_content(state, !beyond && all_new(&piece) ? &nothing : &piece, head, true, &before);
        make_content(state, &piece, head, false, &now);
        enum beyond found = beyond ? results_beyond(state, &piece, head, &before, &now) : SAME;
        bool done = found != SAME || emit_piece(state, &piece, &before, &now, err);
        if (head != NULL)
            over_summary_release(state, head);
        *next = piece.changes_end;
        if (found == SAME)
            return done;
        extension = found == DIFFERENT ? ALL_ROWS : extension == 0 ? FIRST_EXTENSION : extension * 4;
    }
}

static int compare_changes(const void *a, const void *b)
{
    const struct over_change *x = a, *y = b;
    uint32_t least = x->key_bytes < y->key_bytes ? x->key_bytes : y->key_bytes;
    int order = least > 0 ? memcmp(x->key, y->key, least) : 0;
    return order != 0 ? order : (x->key_bytes > y->key_bytes) - (x->key_bytes < y->key_bytes);
}

bool over_finish_view(struct over_state *state, struct error *err)
{
    if (state->changes_count > 1)
        qsort(state->changes, state->changes_count, sizeof(state->changes[0]), compare_changes);
    for (uint32_t at = 0; at < state->changes_count;)
        if (!finish_piece(state, at, &at, err))
            return false;
    for (uint32_t i = 0; i < state->changes_count; i++) {
        const struct over_change *change = &state->changes[i];
        if (entry_of(state, change->slot)->count == 0)
            ordered_table_remove(state->table, change->key, change->key_bytes);
    }
    return true;
}
