/* save_copy.h: a checkpoint in memory, for tests of what can be saved (storage/state/saved_table.h).
 *
 * save_copy_take copies what has changed, as the walk of a checkpoint does: by the bits of the slots, or from where a
 * table that only grows was saved before. save_copy_check compares the copy with all rows that there are: a change whose
 * bit was not set shows. save_copy_restore puts the rows back into fresh tables, in pieces of random sizes, slots in
 * random order, through the encoding that disks see. */
#ifndef MILLRACE_TESTS_SAVE_COPY_H
#define MILLRACE_TESTS_SAVE_COPY_H

#include "storage/state/saved_table.h"
#include "tests/test.h"

struct save_copy_table {
    const char *name;
    uint32_t version;
    struct batch *rows;   /* all that were ever copied; each row once per copy */
    uint32_t *row_of;     /* by slot, or by number - first: row + 1; 0: not saved */
    uint32_t rows_of_cap; /* entries of row_of */
    uint32_t used;        /* greatest saved slot + 1 */
    uint64_t first, end;  /* of a table that only grows */
};

struct save_copy {
    struct arena arena;
    struct save_copy_table *tables;
    uint32_t tables_count;
    uint32_t seed;
    uint64_t rows_copied, removals_copied; /* by all of save_copy_take */
};

static inline uint32_t save_copy_random(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)(*seed >> 8) * below) >> 24);
}

static inline void save_copy_init(struct save_copy *copy, uint32_t seed)
{
    memset(copy, 0, sizeof(*copy));
    arena_init(&copy->arena, NULL);
    copy->seed = seed;
}

static inline void save_copy_release(struct save_copy *copy)
{
    for (uint32_t t = 0; t < copy->tables_count; t++)
        free(copy->tables[t].row_of);
    arena_release(&copy->arena);
}

/* Forgets everything: the next copy is of all rows. */
static inline void save_copy_reset(struct save_copy *copy)
{
    uint32_t seed = copy->seed;
    save_copy_release(copy);
    save_copy_init(copy, seed);
}

static inline uint32_t *save_copy_row_of(struct save_copy_table *table, uint64_t at)
{
    if (at >= table->rows_of_cap) {
        uint32_t cap = (uint32_t)at * 2 + 64;
        table->row_of = realloc(table->row_of, sizeof(uint32_t) * cap);
        memset(table->row_of + table->rows_of_cap, 0, sizeof(uint32_t) * (cap - table->rows_of_cap));
        table->rows_of_cap = cap;
    }
    return &table->row_of[at];
}

static inline bool save_copy_is_row(const struct saved_table *table, uint32_t slot)
{
    return slot_header(slot_pages_at(table->slots, slot)) != 0 &&
           (table->is_row == NULL || table->is_row(table->of, slot));
}

/* The columns that a table gave are whole: of its types, and not constant. */
static inline struct batch *save_copy_batch(struct arena *arena, const struct saved_table *table,
                                            struct column *columns, uint32_t count)
{
    struct batch *batch = batch_header(arena, table->columns_count);
    batch->columns = columns;
    batch->rows = count;
    for (uint32_t c = 0; c < table->columns_count; c++) {
        EXPECT(columns[c].type.oid == table->types[c].oid);
        EXPECT(columns[c].phys == type_phys(table->types[c].oid));
        EXPECT(!columns[c].is_constant);
    }
    return batch;
}

static inline struct batch *save_copy_gather(struct arena *arena, const struct saved_table *table,
                                             const uint32_t *slots, uint32_t count)
{
    struct column *columns = arena_zalloc(arena, sizeof(struct column) * table->columns_count);
    table->gather(table->of, slots, count, columns, arena);
    return save_copy_batch(arena, table, columns, count);
}

/* At most `count` rows from `first` on. */
static inline struct batch *save_copy_gather_range(struct arena *arena, const struct saved_table *table,
                                                   uint64_t first, uint32_t count)
{
    struct column *columns = arena_zalloc(arena, sizeof(struct column) * table->columns_count);
    uint32_t given = count;
    table->gather_range(table->of, first, &given, columns, arena);
    EXPECT(given >= 1 && given <= count);
    return save_copy_batch(arena, table, columns, given);
}

static inline void save_copy_slots(struct save_copy *copy, struct save_copy_table *to,
                                   const struct saved_table *table)
{
    struct slot_pages *pages = table->slots;
    slot_pages_track(pages);
    if (save_copy_random(&copy->seed, 4) == 0) { /* one that is given up before it: nothing is lost by it */
        if (pages->is_whole)
            slot_pages_take_whole(pages);
        for (uint32_t word = 0; word < pages->dirty_words; word++)
            slot_pages_take_dirty(pages, word);
        slot_pages_settle(pages, false);
    }
    if (pages->is_whole) {
        if (to->rows_of_cap > 0)
            memset(to->row_of, 0, sizeof(uint32_t) * to->rows_of_cap);
        to->used = 0;
        slot_pages_take_whole(pages);
    }
    uint32_t *changed = malloc(sizeof(uint32_t) * (pages->used + 1)), count = 0;
    for (uint32_t slot = 0; slot < pages->used; slot++) {
        if ((pages->dirty[slot / 64] >> slot % 64 & 1) == 0)
            continue;
        if (save_copy_is_row(table, slot)) {
            changed[count++] = slot;
        } else {
            *save_copy_row_of(to, slot) = 0;
            copy->removals_copied++;
        }
    }
    for (uint32_t word = 0; word < pages->dirty_words; word++)
        slot_pages_take_dirty(pages, word);
    slot_pages_settle(pages, true);
    copy->rows_copied += count;
    struct arena arena;
    arena_init(&arena, NULL);
    for (uint32_t first = 0, piece; first < count; first += piece) {
        piece = 1 + save_copy_random(&copy->seed, 100);
        piece = piece < count - first ? piece : count - first;
        uint32_t row = to->rows->rows;
        batch_append_range(to->rows, save_copy_gather(&arena, table, changed + first, piece), 0, piece, 1);
        for (uint32_t i = 0; i < piece; i++)
            *save_copy_row_of(to, changed[first + i]) = row + i + 1;
        arena_reset(&arena);
    }
    arena_release(&arena);
    free(changed);
    for (to->used = to->rows_of_cap; to->used > 0 && to->row_of[to->used - 1] == 0;)
        to->used--;
}

/* row_of is by number here, from 0 on: tests are small. */
static inline void save_copy_rows(struct save_copy *copy, struct save_copy_table *to,
                                  const struct saved_table *table)
{
    uint64_t first, end;
    table->bounds(table->of, &first, &end);
    EXPECT(first <= end && table->rows->saved <= end);
    uint64_t at = table->rows->saved > first ? table->rows->saved : first;
    copy->rows_copied += end - at;
    copy->removals_copied += first > to->first;
    struct arena arena;
    arena_init(&arena, NULL);
    while (at < end) {
        uint32_t piece = 1 + save_copy_random(&copy->seed, 100);
        piece = piece < end - at ? piece : (uint32_t)(end - at);
        const struct batch *rows = save_copy_gather_range(&arena, table, at, piece);
        uint32_t row = to->rows->rows;
        batch_append_range(to->rows, rows, 0, rows->rows, 1);
        for (uint32_t i = 0; i < rows->rows; i++)
            *save_copy_row_of(to, at + i) = row + i + 1;
        at += rows->rows;
        arena_reset(&arena);
    }
    arena_release(&arena);
    to->first = first;
    to->end = end;
    *table->rows = (struct saved_rows){.saved = end, .taken = end, .front_taken = first};
}

/* Copies what has changed. The tables must be those of the last time, unless the copy is empty. */
static inline void save_copy_take(struct save_copy *copy, const struct saved_tables *tables)
{
    if (copy->tables_count == 0 && tables->count > 0) {
        copy->tables_count = tables->count;
        copy->tables = ARENA_ARRAY(&copy->arena, struct save_copy_table, tables->count);
        for (uint32_t t = 0; t < tables->count; t++) {
            const struct saved_table *table = &tables->items[t];
            copy->tables[t].name = arena_strdup(&copy->arena, table->name);
            copy->tables[t].version = table->version;
            copy->tables[t].rows = batch_create(&copy->arena, table->types, table->columns_count, 64);
            for (uint32_t e = 0; e < t; e++)
                EXPECT(strcmp(copy->tables[e].name, table->name) != 0);
        }
    }
    EXPECT_INT(tables->count, copy->tables_count);
    for (uint32_t t = 0; t < copy->tables_count; t++) {
        const struct saved_table *table = &tables->items[t];
        EXPECT_TEXT(table->name, copy->tables[t].name);
        EXPECT((table->slots != NULL) != (table->rows != NULL));
        if (table->slots != NULL)
            save_copy_slots(copy, &copy->tables[t], table);
        else
            save_copy_rows(copy, &copy->tables[t], table);
    }
}

static inline void save_copy_differs(const struct save_copy_table *copy, uint64_t at, const char *what,
                                     const struct batch *actual, uint32_t saved_row)
{
    struct arena arena;
    arena_init(&arena, NULL);
    fprintf(stderr, "table %s, row %llu: %s\n", copy->name, (unsigned long long)at, what);
    struct strbuf text = STRBUF_INIT;
    if (actual != NULL)
        batch_to_text(actual, &text);
    if (saved_row > 0)
        batch_to_text(batch_slice(&arena, copy->rows, saved_row - 1, 1), &text);
    fprintf(stderr, "%s", strbuf_text(&text));
    strbuf_release(&text);
    arena_release(&arena);
    EXPECT(!"the copy equals the table");
}

/* Every row of the tables stands in the copy as it is, and no other. */
static inline void save_copy_check(struct save_copy *copy, const struct saved_tables *tables)
{
    struct arena arena;
    arena_init(&arena, NULL);
    EXPECT_INT(tables->count, copy->tables_count);
    for (uint32_t t = 0; t < copy->tables_count; t++) {
        const struct saved_table *table = &tables->items[t];
        struct save_copy_table *to = &copy->tables[t];
        uint64_t first = 0, end = 0;
        if (table->slots != NULL) {
            end = table->slots->used > to->used ? table->slots->used : to->used;
        } else {
            table->bounds(table->of, &first, &end);
            EXPECT_INT(end - first, to->end - to->first);
            EXPECT(end == first || first == to->first);
        }
        for (uint64_t at = first; at < end; at++) {
            arena_reset(&arena);
            uint32_t slot = (uint32_t)at, saved = *save_copy_row_of(to, at);
            bool is_row =
                table->slots == NULL || (slot < table->slots->used && save_copy_is_row(table, slot));
            const struct batch *actual = !is_row ? NULL
                                         : table->slots != NULL
                                             ? save_copy_gather(&arena, table, &slot, 1)
                                             : save_copy_gather_range(&arena, table, at, 1);
            if (is_row != (saved != 0))
                save_copy_differs(to, at, is_row ? "is not saved" : "is saved but gone", actual, saved);
            else if (is_row && !batch_rows_identical(actual, 0, to->rows, saved - 1))
                save_copy_differs(to, at, "now, and as it was saved", actual, saved);
        }
    }
    arena_release(&arena);
}

static inline struct batch *save_copy_decode(struct arena *arena, const struct saved_table *table,
                                             const struct batch *rows)
{
    struct strbuf bytes = STRBUF_INIT;
    struct error err;
    size_t used;
    struct batch *out = batch_create(arena, table->types, table->columns_count, rows->rows);
    batch_serialize(rows, &bytes);
    EXPECT(batch_deserialize(out, (const uint8_t *)strbuf_text(&bytes), bytes.len, &used, &err));
    strbuf_release(&bytes);
    return out;
}

/* Another value in one column of one row: what a wrong byte on a disk could make of it. Of types that any value fits. */
static inline void save_copy_damage(struct batch *rows, uint32_t *seed, struct arena *arena)
{
    uint32_t row = save_copy_random(seed, rows->rows);
    struct column *column = &rows->columns[save_copy_random(seed, rows->columns_count)];
    struct datum value = column_get(column, row);
    if (value.is_null)
        return;
    if (column->phys == PHYS_I64) {
        value.i64 = save_copy_random(seed, 2)
                        ? (int64_t)save_copy_random(seed, 100) - 50
                        : (int64_t)((uint64_t)value.i64 ^ UINT64_C(1) << save_copy_random(seed, 64));
    } else if (column->phys == PHYS_I32) {
        value.i32 ^= (int32_t)(UINT32_C(1) << save_copy_random(seed, 32));
    } else if (column->type.oid == OID_BYTEA) {
        struct strbuf bytes = STRBUF_INIT;
        uint32_t len = value.var.len;
        strbuf_add(&bytes, varlen_bytes(&value.var), len);
        uint32_t how = save_copy_random(seed, 4);
        if (how == 0)
            strbuf_add(&bytes, "damaged", 1 + save_copy_random(seed, 7));
        else if (how == 1)
            bytes.len = save_copy_random(seed, len + 1);
        else if (len > 0)
            bytes.data[save_copy_random(seed, len)] ^= (char)(1 << save_copy_random(seed, 8));
        value = datum_text(arena, strbuf_text(&bytes), bytes.len);
        strbuf_release(&bytes);
    } else {
        return;
    }
    column_set(column, row, &value, rows->rows, arena);
}

static inline bool save_copy_restore_slots(struct save_copy *copy, const struct save_copy_table *from,
                                           const struct saved_table *table, bool is_damaged,
                                           struct error *err)
{
    uint32_t *slots = malloc(sizeof(uint32_t) * (from->used + 1)), count = 0;
    uint32_t *picked = malloc(sizeof(uint32_t) * (from->used + 1));
    for (uint32_t slot = 0; slot < from->used; slot++) {
        if (from->row_of[slot] == 0)
            continue;
        uint32_t place = save_copy_random(&copy->seed, ++count);
        slots[count - 1] = slots[place];
        slots[place] = slot;
    }
    for (uint32_t i = 0; i < count; i++)
        picked[i] = from->row_of[slots[i]] - 1;
    slot_pages_restore_begin(table->slots, from->used);
    /* its 16 MB are most of a sanitizer's work; without it entries go to their places one by one */
    if (table->index != NULL && save_copy_random(&copy->seed, test_rounds(1, 8)) == 0)
        hash_index_bulk_begin(table->index, 0);
    struct arena arena;
    arena_init(&arena, NULL);
    bool ok = true;
    for (uint32_t first = 0, piece; ok && first < count; first += piece) {
        piece = 1 + save_copy_random(&copy->seed, 60);
        piece = piece < count - first ? piece : count - first;
        struct batch *rows = batch_create(&arena, table->types, table->columns_count, piece);
        batch_append_rows(rows, from->rows, picked + first, piece, 1);
        rows = save_copy_decode(&arena, table, rows);
        if (is_damaged && save_copy_random(&copy->seed, 3) == 0)
            save_copy_damage(rows, &copy->seed, &arena);
        ok = table->restore(table->of, slots + first, rows, from->version, err);
        arena_reset(&arena);
    }
    if (ok)
        slot_pages_restore_end(table->slots);
    if (table->index != NULL)
        hash_index_bulk_end(table->index);
    arena_release(&arena);
    free(picked);
    free(slots);
    return ok;
}

static inline bool save_copy_restore_rows(struct save_copy *copy, struct save_copy_table *from,
                                          const struct saved_table *table, bool is_damaged, struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    bool ok = true;
    for (uint64_t at = from->first; ok && at < from->end;) {
        uint32_t piece = 1 + save_copy_random(&copy->seed, 60);
        piece = piece < from->end - at ? piece : (uint32_t)(from->end - at);
        struct batch *rows = batch_create(&arena, table->types, table->columns_count, piece);
        for (uint32_t i = 0; i < piece; i++)
            batch_append_range(rows, from->rows, *save_copy_row_of(from, at + i) - 1, 1, 1);
        rows = save_copy_decode(&arena, table, rows);
        if (is_damaged && save_copy_random(&copy->seed, 3) == 0)
            save_copy_damage(rows, &copy->seed, &arena);
        ok = table->append(table->of, at, rows, from->version, err);
        at += piece;
        arena_reset(&arena);
    }
    arena_release(&arena);
    return ok;
}

/* Puts everything back into the tables of a fresh owner. continues: its next changes count as changes of this copy, as
 * after a restart from a valid checkpoint; else everything counts as changed. is_damaged: some values are wrong; only
 * then may it fail. */
static inline bool save_copy_restore(struct save_copy *copy, const struct saved_tables *tables,
                                     bool continues, bool is_damaged, struct error *err)
{
    EXPECT_INT(tables->count, copy->tables_count);
    for (uint32_t t = 0; t < copy->tables_count; t++) {
        const struct saved_table *table = &tables->items[t];
        struct save_copy_table *from = &copy->tables[t];
        EXPECT_TEXT(table->name, from->name);
        if (table->slots != NULL ? !save_copy_restore_slots(copy, from, table, is_damaged, err)
                                 : !save_copy_restore_rows(copy, from, table, is_damaged, err))
            return false;
        if (table->slots != NULL && !continues)
            slot_pages_mark_whole(table->slots);
        if (table->slots == NULL && continues && from->end > from->first)
            *table->rows =
                (struct saved_rows){.saved = from->end, .taken = from->end, .front_taken = from->first};
    }
    return true;
}

#endif
