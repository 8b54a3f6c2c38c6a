/* cache.c: see cache.h. Keys wait in a queue by their time. A row that was replaced leaves its key behind in the queue; when
 * that comes up the newer row is found, which has not expired.
 *
 * The queue is made from the rows that are there when it is first needed. */
#include "executor/cache.h"

#include "executor/operators/row_queue.h"
#include "executor/replace.h"

static uint32_t expires_column(const struct relation *relation)
{
    return relation_shape(relation)->columns_count - 1;
}

static void add_rows(struct relation *relation, const struct batch *rows, struct arena *scratch)
{
    struct batch *keys = batch_header(scratch, relation->key_count);
    keys->rows = rows->rows;
    for (uint32_t i = 0; i < relation->key_count; i++)
        keys->columns[i] = rows->columns[relation->key_columns[i]];
    const int64_t *expires = rows->columns[expires_column(relation)].data;
    for (uint32_t row = 0; row < rows->rows; row++)
        if (batch_weight(rows, row) > 0)
            row_queue_add(relation->expiries, expires[row], keys, row, 1, false);
}

static void make_queue(struct relation *relation)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct sql_type *types = arena_alloc(&arena, sizeof(*types) * relation->key_count);
    for (uint32_t i = 0; i < relation->key_count; i++)
        types[i] = relation_shape(relation)->types[relation->key_columns[i]];
    relation->expiries = mem_zalloc(sizeof(*relation->expiries));
    row_queue_open(relation->expiries, types, relation->key_count, true, &relation->account);
    struct relation_scan scan;
    relation_scan_start(&scan, relation, UINT64_MAX - 1, NULL);
    const struct batch *rows;
    while ((rows = relation_scan_next(&scan)) != NULL) {
        arena_reset(&arena);
        add_rows(relation, rows, &arena);
    }
    relation_scan_end(&scan);
    arena_release(&arena);
}

void cache_release(struct relation *relation)
{
    if (relation->expiries == NULL)
        return;
    row_queue_close(relation->expiries);
    mem_free(relation->expiries);
}

const struct batch *cache_replace(struct relation *relation, const struct batch *change, struct arena *arena)
{
    if (change->rows == 0 || batch_weight(change, 0) < 0) /* these are the ones that expire */
        return change;
    return replace_by_key(relation, change, arena);
}

void cache_note(struct relation *relation, const struct batch *change, struct arena *scratch)
{
    if (relation->expiries == NULL) {
        make_queue(relation); /* with these rows */
        return;
    }
    add_rows(relation, change, scratch);
}

const struct batch *cache_take_expired(struct relation *relation, int64_t clock_us, struct arena *arena)
{
    if (relation->expiries == NULL)
        make_queue(relation);
    uint32_t *all = arena_alloc(arena, sizeof(*all) * relation->key_count);
    for (uint32_t i = 0; i < relation->key_count; i++)
        all[i] = i;
    struct batch *present = NULL, *keys;
    while ((keys = row_queue_take(relation->expiries, clock_us, NULL, arena)) != NULL) {
        if (present == NULL)
            present = batch_create(arena, relation_shape(relation)->types,
                                   relation_shape(relation)->columns_count, keys->rows);
        relation_find_present(relation, keys, all, present, arena);
    }
    if (present == NULL)
        return NULL;
    uint32_t *rows = arena_alloc(arena, sizeof(*rows) * present->rows), count = 0;
    const int64_t *expires = present->columns[expires_column(relation)].data;
    for (uint32_t row = 0; row < present->rows; row++)
        if (expires[row] <= clock_us)
            rows[count++] = row;
    if (count == 0)
        return NULL;
    struct batch *gone =
        batch_create(arena, relation_shape(relation)->types, relation_shape(relation)->columns_count, count);
    batch_append_rows(gone, present, rows, count, -1);
    /* one that was replaced by a row that has expired as well was found twice */
    const struct batch *net = batch_consolidate(gone, arena);
    for (uint32_t row = 0; row < net->rows; row++)
        net->weights[row] = -1;
    return net;
}

bool cache_has_expired(struct relation *relation, int64_t clock_us)
{
    if (relation->expiries == NULL)
        make_queue(relation);
    return row_queue_first(relation->expiries) <= clock_us;
}

int64_t cache_due(const struct relation *relation)
{
    return relation->expiries != NULL ? row_queue_first(relation->expiries) : INT64_MAX;
}
