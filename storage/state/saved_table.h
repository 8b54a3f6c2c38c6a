/* saved_table.h: what a checkpoint asks of a table of state, whatever it is made of.
 *
 * A checkpoint (docs/durability.md) writes the rows that have changed since the last one. A row's identity on disk is the
 * number of its slot, so that a removal is a number and references between slots stay true over a restart; its contents
 * are columns of SQL types, so that a file does not depend on how memory is laid out. What can be computed from the
 * rows (indexes, trees, lists, queues of times) is not saved, but made again by `restore` and by what runs after it.
 *
 * The owner of the tables (an operator, a relation) lists them whenever it is asked to; the same tables in the same order,
 * under the same names, at any time between ticks. Functions are called on the engine's thread between two ticks. */
#ifndef MILLRACE_STATE_SAVED_TABLE_H
#define MILLRACE_STATE_SAVED_TABLE_H

#include "storage/data/batch.h"
#include "storage/state/hash_index.h"
#include "storage/state/slot_pages.h"

struct saved_table {
    const char *name; /* among its owner's; part of the format on disk */
    uint32_t version; /* of what the columns mean; part of the format: raised when that changes */
    uint32_t columns_count;
    /* Rows may come back with only the first so many columns, from before the others were added (ALTER TABLE); 0: with all */
    uint32_t columns_least;
    const struct sql_type *types;
    void *of; /* given to the functions */
    /* The columns by which rows are spread over shards (shard_of_hash of batch_hash over them): then they can be put into
     * another number of shards, under other slots and numbers. NULL: they lie in shard 0 and stay there. Operators'
     * tables say nothing: they are filled again from their inputs' rows, or not moved. */
    const uint32_t *spread_by;
    uint32_t spread_by_count;

    /* Either: rows lie in slots, which come, change and go. The slots know which of them have changed
     * (slot_pages_touch). */
    struct slot_pages *slots;
    /* Over the slots, not searched by `restore`: it may get all entries at the end (hash_index_bulk_begin). NULL: none. */
    struct hash_index *index;
    /* NULL: a slot in use is a row. Else whether it is one that must be saved (a removed row that old snapshots still
     * see is none). */
    bool (*is_row)(const void *of, uint32_t slot);
    /* Initialises out[0..columns_count) with the rows of these slots, all of them rows; text copied into the
     * arena. */
    void (*gather)(void *of, const uint32_t *slots, uint32_t count, struct column *out, struct arena *arena);
    /* Puts rows back into an empty table: row i into slots[i], by slot_pages_take. Each slot comes once, in no order.
     * version: under which they were saved. Indexes over the slots are made here or in what the owner does when all its
     * tables are back. Tables of different owners may be put back at the same time by several threads. XX001 when the
     * rows cannot be. */
    bool (*restore)(void *of, const uint32_t *slots, const struct batch *rows, uint32_t version,
                    struct error *err);

    /* Or (slots NULL): rows are only added at the end and dropped at the front, and have numbers in order. */
    struct saved_rows *rows;
    void (*bounds)(const void *of, uint64_t *first, uint64_t *end);
    /* Rows first .. first + count as above; count <= BATCH_ROWS_MAX. Sets *count to as many as it gave, at least 1. */
    void (*gather_range)(void *of, uint64_t first, uint32_t *count, struct column *out, struct arena *arena);
    /* The next rows, in order; the first call tells with which number they begin. */
    bool (*append)(void *of, uint64_t first, const struct batch *rows, uint32_t version, struct error *err);
};

/* How far the rows of a table that only grows are saved; lies in the table, zero at first. Whoever puts rows back sets
 * `saved` and `taken` to their end, and front_taken to the number of the first. */
struct saved_rows {
    bool is_begun;  /* what is saved, if anything is, are these rows and not those of an earlier table */
    uint64_t saved; /* rows below it are in the last valid checkpoint */
    uint64_t taken; /* those below it were copied for the running one */
    uint64_t front_taken; /* the first row, as it was told last */
};

struct saved_tables {
    struct arena *arena;
    struct saved_table *items;
    uint32_t count, cap;
};

static inline uint32_t saved_table_least(const struct saved_table *table)
{
    return table->columns_least > 0 ? table->columns_least : table->columns_count;
}

static inline void saved_tables_add(struct saved_tables *tables, struct saved_table table)
{
    ARENA_PUSH(tables->arena, tables->items, tables->count, tables->cap, table);
}

#endif
