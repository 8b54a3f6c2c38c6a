/* saved_image.h: a checkpoint store in memory, for tests of saved tables: what it holds of a table is what its changed
 * rows (saved_table.h) have told it, and it gives them back in any order. */
#ifndef MILLRACE_TESTS_SAVED_IMAGE_H
#define MILLRACE_TESTS_SAVED_IMAGE_H

#include "storage/state/saved_table.h"
#include "tests/storage/state_rows.h"

struct image_row {
    const struct batch *piece; /* NULL: no row */
    uint32_t at;
};

struct saved_image {
    struct arena arena;
    struct image_row *rows; /* by slot, or by number */
    uint64_t room, used, first;
    uint64_t written, removed; /* rows and removals of the last save */
};

static inline void image_init(struct saved_image *image)
{
    *image = (struct saved_image){0};
    arena_init(&image->arena, NULL);
}

static inline void image_release(struct saved_image *image)
{
    arena_release(&image->arena);
    mem_free(image->rows);
}

static inline void image_room(struct saved_image *image, uint64_t rows)
{
    if (rows <= image->room)
        return;
    uint64_t room = rows * 2;
    image->rows = mem_realloc(image->rows, sizeof(*image->rows) * room);
    memset(image->rows + image->room, 0, sizeof(*image->rows) * (room - image->room));
    image->room = room;
}

static inline struct batch *image_batch(struct saved_image *image, const struct saved_table *table,
                                        uint32_t rows)
{
    struct batch *batch = batch_header(&image->arena, table->columns_count);
    batch->rows = rows;
    for (uint32_t c = 0; c < table->columns_count; c++)
        batch->columns[c].data = NULL;
    return batch;
}

static inline void image_check(const struct saved_table *table, const struct batch *batch)
{
    for (uint32_t c = 0; c < table->columns_count; c++) {
        EXPECT(batch->columns[c].data != NULL && batch->columns[c].type.oid == table->types[c].oid);
        EXPECT(!batch->columns[c].is_constant);
    }
}

static inline void image_save_slots(struct saved_image *image, struct saved_table *table)
{
    struct slot_pages *pages = table->slots;
    slot_pages_track(pages);
    if (pages->is_whole && image->room > 0)
        memset(image->rows, 0, sizeof(*image->rows) * image->room);
    pages->is_whole = false;
    image->used = pages->used;
    image_room(image, pages->used);
    uint32_t slots[500], count = 0;
    for (uint32_t slot = 0; slot <= pages->used; slot++) {
        if (count == 500 || (slot == pages->used && count > 0)) {
            struct batch *batch = image_batch(image, table, count);
            table->gather(table->of, slots, count, batch->columns, &image->arena);
            image_check(table, batch);
            for (uint32_t i = 0; i < count; i++)
                image->rows[slots[i]] = (struct image_row){batch, i};
            image->written += count;
            count = 0;
        }
        if (slot == pages->used || !(pages->dirty[slot / 64] >> (slot % 64) & 1))
            continue;
        pages->dirty[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
        bool is_row = slot_header(slot_pages_at(pages, slot)) != 0;
        if (is_row && table->is_row != NULL)
            is_row = table->is_row(table->of, slot);
        if (is_row) {
            slots[count++] = slot;
        } else {
            image->removed++;
            image->rows[slot].piece = NULL;
        }
    }
}

static inline void image_save_rows(struct saved_image *image, struct saved_table *table)
{
    uint64_t end;
    table->bounds(table->of, &image->first, &end);
    if (table->rows->saved < image->first)
        table->rows->saved = image->first;
    image_room(image, end);
    while (table->rows->saved < end) {
        uint32_t count = end - table->rows->saved < 1000 ? (uint32_t)(end - table->rows->saved) : 1000;
        struct batch *batch = image_batch(image, table, 0);
        table->gather_range(table->of, table->rows->saved, &count, batch->columns, &image->arena);
        EXPECT(count > 0);
        batch->rows = count;
        image_check(table, batch);
        for (uint32_t i = 0; i < count; i++)
            image->rows[table->rows->saved + i] = (struct image_row){batch, i};
        table->rows->saved += count;
        image->written += count;
    }
    image->used = end;
}

/* What has changed since the last time. */
static inline void image_save(struct saved_image *image, struct saved_table *table)
{
    image->written = image->removed = 0;
    if (table->slots != NULL)
        image_save_slots(image, table);
    else
        image_save_rows(image, table);
}

/* How many of the rows from `at` on, at most `most`, were saved with as many columns as the first. */
static inline uint32_t image_same_columns(const struct saved_image *image, const uint32_t *order, uint32_t at,
                                          uint32_t most)
{
    uint32_t rows = 1;
    while (rows < most &&
           image->rows[order[at + rows]].piece->columns_count == image->rows[order[at]].piece->columns_count)
        rows++;
    return rows;
}

/* Into an empty table, by pieces of random sizes, in random order where the order is free. */
static inline void image_restore(struct saved_image *image, struct saved_table *table, uint64_t seed)
{
    struct error err;
    error_init(&err);
    uint32_t *order = mem_alloc(sizeof(*order) * (image->used + 1)), count = 0;
    for (uint64_t i = table->slots != NULL ? 0 : image->first; i < image->used; i++) {
        if (image->rows[i].piece != NULL)
            order[count++] = (uint32_t)i;
    }
    for (uint32_t i = count; table->slots != NULL && i > 1; i--) {
        uint32_t other = (uint32_t)(next_random(&seed) % i), kept = order[i - 1];
        order[i - 1] = order[other];
        order[other] = kept;
    }
    if (table->slots != NULL)
        slot_pages_restore_begin(table->slots, (uint32_t)image->used);
    if (table->index != NULL && seed % 2 == 0)
        hash_index_bulk_begin(table->index, 0);
    for (uint32_t at = 0; at < count;) {
        struct arena arena;
        arena_init(&arena, NULL);
        uint32_t rows = 1 + (uint32_t)(next_random(&seed) % 300);
        rows = rows < count - at ? rows : count - at;
        rows = image_same_columns(image, order, at, rows);
        struct batch *batch =
            batch_create(&arena, table->types, image->rows[order[at]].piece->columns_count, rows);
        for (uint32_t i = at; i < at + rows; i++)
            batch_append_range(batch, image->rows[order[i]].piece, image->rows[order[i]].at, 1, 1);
        bool ok = table->slots != NULL ? table->restore(table->of, order + at, batch, table->version, &err)
                                       : table->append(table->of, order[at], batch, table->version, &err);
        EXPECT(ok);
        if (!ok)
            fprintf(stderr, "%s\n", err.message);
        at += rows;
        arena_release(&arena); /* text must have been copied */
    }
    if (table->slots != NULL)
        slot_pages_restore_end(table->slots);
    if (table->index != NULL)
        hash_index_bulk_end(table->index);
    mem_free(order);
}

#endif
