/* dml_conflict.c: see dml_conflict.h.
 *
 * All proposed rows are gathered first. For each key that decides, the rows that exist are those of the
 * snapshot with one of the proposed keys, less those the transaction has deleted, plus those it has inserted;
 * then proposed rows are taken in order, so that a row sees the ones before it. The rest runs in batches. */
#include "server/dml_conflict.h"

#include "server/dml_run.h"

#include <string.h>

enum key_state {
    KEY_EXISTS,  /* in the snapshot or by this transaction's earlier statements */
    KEY_GONE,    /* deleted by this transaction */
    KEY_TOUCHED, /* inserted or updated by this statement */
};

struct dml_conflict {
    struct dml_run *run;
    struct batch *proposed;
    struct key_map *maps; /* one per arbiter */
};

/* Of the columns that the statement knows: others may have been added meanwhile. */
static const struct sql_type *target_types(const struct dml_run *run)
{
    const struct sql_type *types;
    (void)relation_columns(run->relation, &types);
    return types;
}

struct dml_conflict *dml_conflict_create(struct dml_run *run)
{
    struct dml_conflict *conflict = ARENA_NEW(&run->arena, struct dml_conflict);
    conflict->run = run;
    conflict->proposed = batch_create(&run->arena, target_types(run), run->columns_count, 16);
    return conflict;
}

bool dml_conflict_add(struct dml_conflict *conflict, const struct batch *rows, struct error *err)
{
    batch_append_range(conflict->proposed, rows, 0, rows->rows, 1);
    return account_check(&conflict->run->session->account, err);
}

static bool has_null(const struct batch *rows, uint32_t row, const struct dml_arbiter *arbiter)
{
    for (uint32_t i = 0; i < arbiter->columns_count; i++)
        if (column_is_null(&rows->columns[arbiter->columns[i]], row))
            return true;
    return false;
}

static void add_rows(struct dml_conflict *conflict, struct key_map *map, const struct dml_arbiter *arbiter,
                     const struct batch *rows, bool deletes)
{
    struct arena *arena = &conflict->run->arena;
    uint64_t *hashes = arena_alloc(arena, rows->rows * sizeof(uint64_t));
    key_map_hash(map, rows, hashes);
    for (uint32_t i = 0; i < rows->rows; i++) {
        if ((batch_weight(rows, i) < 0) != deletes || has_null(rows, i, arbiter))
            continue;
        struct key_entry *entry = key_map_find(map, rows, i, hashes[i]);
        if (deletes) {
            if (entry != NULL && batch_rows_identical(entry->batch, entry->row, rows, i))
                entry->state = KEY_GONE;
        } else if (entry == NULL) {
            key_map_add(map, rows, i, hashes[i], KEY_EXISTS);
        } else if (entry->state == KEY_GONE) {
            *entry = (struct key_entry){hashes[i], rows, i, KEY_EXISTS};
        }
    }
}

/* The rows that exist with one of the proposed keys. */
static void find_existing(struct dml_conflict *conflict, struct key_map *map,
                          const struct dml_arbiter *arbiter)
{
    struct dml_run *run = conflict->run;
    struct arena *arena = &run->arena;
    const struct sql_type *types = target_types(run);
    uint32_t columns_count = run->columns_count;
    key_map_init(map, arena, arbiter->columns, arbiter->columns_count, columns_count);
    struct batch *found = batch_create(arena, types, columns_count, 16);
    struct batch *keys = batch_header(arena, arbiter->columns_count);
    for (uint32_t i = 0; i < arbiter->columns_count; i++)
        keys->columns[i] = conflict->proposed->columns[arbiter->columns[i]];
    keys->rows = conflict->proposed->rows;
    uint64_t snapshot = transaction_snapshot(run->session);
    for (uint32_t first = 0; first < keys->rows; first += BATCH_ROWS_MAX) {
        uint32_t left = keys->rows - first;
        relation_lookup(run->relation, arbiter->index_number, arbiter->columns, snapshot,
                        batch_slice(arena, keys, first, left < BATCH_ROWS_MAX ? left : BATCH_ROWS_MAX),
                        found);
    }
    add_rows(conflict, map, arbiter, found, false);
    const struct overlay *overlay = transaction_overlay(run->session, arena);
    for (uint32_t i = 0; overlay != NULL && i < overlay->count; i++) {
        if (overlay->items[i].relation != run->relation)
            continue;
        const struct batch *rows = relation_fit(run->relation, overlay->items[i].rows, columns_count, arena);
        add_rows(conflict, map, arbiter, rows, true);
        add_rows(conflict, map, arbiter, rows, false);
    }
}

static bool twice(struct error *err)
{
    error_set(err, ERRCODE_CARDINALITY_VIOLATION,
              "ON CONFLICT DO UPDATE command cannot affect row a second time");
    return error_hint(err,
                      "Ensure that no rows proposed for insertion within the same command have duplicate "
                      "constrained values.");
}

/* Updates old row i by proposed row numbers[i]. */
static bool update_piece(struct dml_conflict *conflict, const struct batch *old, const uint32_t *numbers,
                         uint32_t *updated, uint32_t *updated_count, struct batch *fresh_rows,
                         struct error *err)
{
    struct dml_run *run = conflict->run;
    uint32_t width = run->columns_count;
    struct batch *pair = batch_header(&run->batch_arena, width * 2);
    pair->rows = old->rows;
    memcpy(pair->columns, old->columns, width * sizeof(struct column));
    for (uint32_t c = 0; c < width; c++)
        column_gather(&pair->columns[width + c], &conflict->proposed->columns[c], numbers, old->rows,
                      &run->batch_arena);
    uint32_t *selected = arena_alloc(&run->batch_arena, old->rows * sizeof(uint32_t));
    uint32_t count = old->rows;
    for (uint32_t i = 0; i < count; i++)
        selected[i] = i;
    if (run->conflict_where != NULL &&
        !expr_run_filter(run->conflict_where, run->env, pair, NULL, old->rows, selected, &count, NULL, err))
        return false;
    if (count == 0)
        return true;
    struct batch *fresh;
    if (!dml_make_rows(run, run->conflict_row, pair, selected, count, &fresh, err))
        return false;
    struct batch *gone = batch_header(&run->batch_arena, width);
    gone->rows = count;
    for (uint32_t c = 0; c < width; c++)
        column_gather(&gone->columns[c], &old->columns[c], selected, count, &run->batch_arena);
    gone->weights = arena_alloc(&run->batch_arena, count * sizeof(int64_t));
    for (uint32_t i = 0; i < count; i++) {
        gone->weights[i] = -1;
        updated[(*updated_count)++] = numbers[selected[i]];
    }
    transaction_change(run->session, run->relation, gone);
    transaction_change(run->session, run->relation, fresh);
    run->count += count;
    if (run->returning != NULL)
        batch_append_range(fresh_rows, fresh, 0, fresh->rows, 1);
    return true;
}

/* RETURNING in the order of the proposed rows. inserted and updated are ascending row numbers of proposed. */
static bool return_in_order(struct dml_conflict *conflict, const uint32_t *inserted, uint32_t inserted_count,
                            const uint32_t *updated, uint32_t updated_count, const struct batch *fresh,
                            struct error *err)
{
    struct dml_run *run = conflict->run;
    const struct sql_type *types = target_types(run);
    uint32_t columns_count = run->columns_count;
    struct batch *rows = batch_create(&run->arena, types, columns_count, inserted_count + updated_count);
    for (uint32_t i = 0, u = 0; i < inserted_count || u < updated_count;) {
        if (u == updated_count || (i < inserted_count && inserted[i] < updated[u]))
            batch_append_rows(rows, conflict->proposed, &inserted[i++], 1, 1);
        else
            batch_append_rows(rows, fresh, &u, 1, 1), u++;
    }
    for (uint32_t first = 0; first < rows->rows; first += BATCH_ROWS_MAX) {
        uint32_t left = rows->rows - first;
        arena_reset(&run->batch_arena);
        const struct batch *piece =
            batch_slice(&run->batch_arena, rows, first, left < BATCH_ROWS_MAX ? left : BATCH_ROWS_MAX);
        if (!dml_return_rows(run, piece, piece, NULL, err))
            return false;
    }
    return true;
}

bool dml_conflict_finish(struct dml_conflict *conflict, struct error *err)
{
    struct dml_run *run = conflict->run;
    const struct dml_plan *plan = run->plan;
    const struct batch *proposed = conflict->proposed;
    struct arena *arena = &run->arena;
    const struct sql_type *types = target_types(run);
    uint32_t columns_count = run->columns_count;
    conflict->maps = ARENA_ARRAY(arena, struct key_map, plan->arbiters_count);
    uint64_t **hashes = ARENA_ARRAY(arena, uint64_t *, plan->arbiters_count);
    for (uint32_t a = 0; a < plan->arbiters_count; a++) {
        find_existing(conflict, &conflict->maps[a], &plan->arbiters[a]);
        hashes[a] = arena_alloc(arena, proposed->rows * sizeof(uint64_t));
        key_map_hash(&conflict->maps[a], proposed, hashes[a]);
    }
    uint32_t *inserted = arena_alloc(arena, proposed->rows * sizeof(uint32_t)), inserted_count = 0;
    uint32_t *pairs = arena_alloc(arena, proposed->rows * sizeof(uint32_t)), pairs_count = 0;
    struct batch *old = batch_create(arena, types, columns_count, 16);
    for (uint32_t row = 0; row < proposed->rows; row++) {
        struct key_entry *hit = NULL;
        for (uint32_t a = 0; a < plan->arbiters_count && hit == NULL; a++) {
            if (has_null(proposed, row, &plan->arbiters[a]))
                continue;
            hit = key_map_find(&conflict->maps[a], proposed, row, hashes[a][row]);
            if (hit != NULL && hit->state == KEY_GONE)
                hit = NULL;
        }
        if (hit == NULL) {
            inserted[inserted_count++] = row;
            for (uint32_t a = 0; a < plan->arbiters_count; a++) {
                if (has_null(proposed, row, &plan->arbiters[a]))
                    continue;
                struct key_entry *gone = key_map_find(&conflict->maps[a], proposed, row, hashes[a][row]);
                if (gone != NULL)
                    *gone = (struct key_entry){hashes[a][row], proposed, row, KEY_TOUCHED};
                else
                    key_map_add(&conflict->maps[a], proposed, row, hashes[a][row], KEY_TOUCHED);
            }
        } else if (plan->do_update) {
            if (hit->state == KEY_TOUCHED)
                return twice(err);
            hit->state = KEY_TOUCHED;
            batch_append_rows(old, hit->batch, &hit->row, 1, 1);
            pairs[pairs_count++] = row;
        }
    }
    old->weights = NULL; /* rows of the overlay come with theirs */
    for (uint32_t first = 0; first < inserted_count; first += BATCH_ROWS_MAX) {
        uint32_t left = inserted_count - first, count = left < BATCH_ROWS_MAX ? left : BATCH_ROWS_MAX;
        arena_reset(&run->batch_arena);
        struct batch *rows = batch_header(&run->batch_arena, columns_count);
        rows->rows = count;
        for (uint32_t c = 0; c < columns_count; c++)
            column_gather(&rows->columns[c], &proposed->columns[c], inserted + first, count,
                          &run->batch_arena);
        transaction_change(run->session, run->relation, rows);
    }
    run->count += inserted_count;
    uint32_t *updated = arena_alloc(arena, (pairs_count + 1) * sizeof(uint32_t)), updated_count = 0;
    struct batch *fresh = batch_create(arena, types, columns_count, 16);
    for (uint32_t first = 0; first < pairs_count; first += BATCH_ROWS_MAX) {
        uint32_t left = pairs_count - first, count = left < BATCH_ROWS_MAX ? left : BATCH_ROWS_MAX;
        arena_reset(&run->batch_arena);
        if (!update_piece(conflict, batch_slice(&run->batch_arena, old, first, count), pairs + first, updated,
                          &updated_count, fresh, err))
            return false;
    }
    return run->returning == NULL ||
           return_in_order(conflict, inserted, inserted_count, updated, updated_count, fresh, err);
}
