/* stored_rows.c: batches of STORED_ROWS rows each, so that row n stands in batch n / STORED_ROWS. */
#include "server/stored_rows.h"

#define STORED_ROWS BATCH_ROWS_MAX

static bool stored_describe(struct result_sink *sink, uint32_t columns_count, const char *const *names,
                            const struct sql_type *types, struct error *err)
{
    struct stored_rows *stored = (struct stored_rows *)sink;
    stored->described = true;
    stored->columns_count = columns_count;
    stored->names = ARENA_ARRAY(&stored->arena, const char *, columns_count);
    stored->types = arena_copy(&stored->arena, types, sizeof(*types) * columns_count);
    for (uint32_t i = 0; i < columns_count; i++)
        stored->names[i] = arena_strdup(&stored->arena, names[i] != NULL ? names[i] : "?column?");
    return true;
}

/* The batch with room, and how much room. */
static struct batch *stored_room(struct stored_rows *stored, uint32_t *room)
{
    uint32_t used = (uint32_t)(stored->rows % STORED_ROWS);
    if (used == 0) {
        struct batch *batch = batch_create(&stored->arena, stored->types, stored->columns_count,
                                           stored->rows == 0 ? 16 : STORED_ROWS);
        ARENA_PUSH(&stored->arena, stored->batches, stored->batches_count, stored->batches_cap, batch);
    }
    *room = STORED_ROWS - used;
    return stored->batches[stored->batches_count - 1];
}

static bool stored_add(struct result_sink *sink, const struct batch *rows, bool *stop, struct error *err)
{
    struct stored_rows *stored = (struct stored_rows *)sink;
    struct batch plain = *rows; /* without weights: copies are added one by one */
    plain.weights = NULL;
    if (rows->weights == NULL) {
        for (uint32_t first = 0; first < rows->rows;) {
            uint32_t room;
            struct batch *batch = stored_room(stored, &room);
            uint32_t part = rows->rows - first < room ? rows->rows - first : room;
            batch_append_range(batch, &plain, first, part, 1);
            stored->rows += part;
            first += part;
        }
    } else {
        for (uint32_t row = 0; row < rows->rows; row++) {
            for (int64_t left = rows->weights[row]; left > 0; left--) {
                uint32_t room;
                batch_append_range(stored_room(stored, &room), &plain, row, 1, 1);
                stored->rows++;
            }
            if (row % BATCH_ROWS_MAX == 0 && !account_check(stored->account, err))
                return false;
        }
    }
    return account_check(stored->account, err);
}

struct stored_rows *stored_rows_create(struct account *account)
{
    struct stored_rows *stored = mem_zalloc(sizeof(*stored));
    stored->sink = (struct result_sink){.describe = stored_describe, .rows = stored_add};
    stored->account = account;
    arena_init(&stored->arena, account);
    return stored;
}

void stored_rows_destroy(struct stored_rows *stored)
{
    if (stored == NULL)
        return;
    arena_release(&stored->arena);
    mem_free(stored);
}

bool stored_rows_send(const struct stored_rows *stored, uint64_t first, uint64_t count, bool backward,
                      struct result_sink *sink, struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    bool ok = true, stop = false;
    uint64_t done = 0;
    while (ok && !stop && done < count) {
        uint64_t row = backward ? first + count - 1 - done : first + done;
        const struct batch *from = stored->batches[row / STORED_ROWS];
        uint32_t at = (uint32_t)(row % STORED_ROWS);
        const struct batch *part;
        uint64_t left = count - done;
        if (!backward) {
            uint32_t rows = from->rows - at < left ? from->rows - at : (uint32_t)left;
            part = batch_slice(&arena, from, at, rows);
        } else {
            uint32_t rows = at + 1 < left ? at + 1 : (uint32_t)left;
            uint32_t *order = ARENA_ARRAY(&arena, uint32_t, rows);
            for (uint32_t i = 0; i < rows; i++)
                order[i] = at - i;
            struct batch *reversed = batch_create(&arena, stored->types, stored->columns_count, rows);
            batch_append_rows(reversed, from, order, rows, 1);
            part = reversed;
        }
        done += part->rows;
        ok = sink->rows(sink, part, &stop, err);
        arena_reset(&arena);
    }
    arena_release(&arena);
    return ok;
}
