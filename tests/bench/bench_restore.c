/* bench_restore.c: how long saved rows take to go back into tables of state: nanoseconds of processor time per row.
 *   bench_restore [rows] [row_store | multiset | arrangement | append | segments | index ...] */
#include "storage/data/batch.h"
#include "storage/state/arrangement.h"
#include "storage/state/row_store.h"
#include "storage/state/segments.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PIECE 4096u

static const struct sql_type types[] = {
    {OID_INT8, -1}, {OID_INT8, -1}, {OID_INT4, -1}, {OID_TEXT, -1}, {OID_INT8, -1}};
static const uint32_t key_column = 0, value_column = 2;

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Rows first .. first + count: a scattered key, numbers, a text of some 20 bytes, and a count or weight. */
static struct batch *make_rows(struct arena *arena, uint64_t first, uint32_t count, uint32_t columns,
                               uint64_t keys)
{
    struct batch *rows = batch_header(arena, columns);
    rows->rows = count;
    for (uint32_t c = 0; c < columns; c++)
        column_init(&rows->columns[c], types[c], count, arena);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t n = first + i;
        ((int64_t *)rows->columns[0].data)[i] = (int64_t)(n * 7919 % keys);
        ((int64_t *)rows->columns[1].data)[i] = (int64_t)n;
        ((int32_t *)rows->columns[2].data)[i] = (int32_t)(n * 2654435761u);
        char *text = arena_alloc(arena, 24);
        int len = snprintf(text, 24, "customer-%010llu", (unsigned long long)n);
        ((struct varlen *)rows->columns[3].data)[i] = varlen_view(text, (uint32_t)len);
        if (columns > 4)
            ((int64_t *)rows->columns[4].data)[i] = 1;
    }
    return rows;
}

static void run(const char *name, struct saved_table *table, uint64_t rows, uint64_t keys)
{
    struct error err;
    error_init(&err);
    struct arena arena;
    arena_init(&arena, NULL);
    double seconds = 0, begin = cpu_seconds();
    if (table->slots != NULL)
        slot_pages_restore_begin(table->slots, (uint32_t)rows);
    if (table->index != NULL)
        hash_index_bulk_begin(table->index, rows);
    seconds += cpu_seconds() - begin;
    uint32_t slots[PIECE];
    for (uint64_t first = 0; first < rows; first += PIECE) {
        uint32_t count = rows - first < PIECE ? (uint32_t)(rows - first) : PIECE;
        struct batch *batch = make_rows(&arena, first, count, table->columns_count, keys);
        for (uint32_t i = 0; i < count; i++)
            slots[i] = (uint32_t)first + i;
        begin = cpu_seconds();
        bool ok = table->slots != NULL ? table->restore(table->of, slots, batch, table->version, &err)
                                       : table->append(table->of, first, batch, table->version, &err);
        seconds += cpu_seconds() - begin;
        if (!ok) {
            fprintf(stderr, "%s\n", err.message);
            exit(1);
        }
        arena_reset(&arena);
    }
    begin = cpu_seconds();
    if (table->slots != NULL)
        slot_pages_restore_end(table->slots);
    if (table->index != NULL)
        hash_index_bulk_end(table->index);
    seconds += cpu_seconds() - begin;
    printf("%-12s %12.1f ns per row\n", name, seconds / (double)rows * 1e9);
    arena_release(&arena);
}

static bool is_wanted(int argc, char **argv, const char *name)
{
    bool wanted = argc < 3;
    for (int i = 2; i < argc; i++)
        wanted |= strcmp(argv[i], name) == 0;
    return wanted;
}

int main(int argc, char **argv)
{
    uint64_t rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000000;
    struct arena arena;
    arena_init(&arena, NULL);
    for (int multiset = 0; multiset < 2; multiset++) {
        const char *name = multiset ? "multiset" : "row_store";
        if (!is_wanted(argc, argv, name) && (multiset || !is_wanted(argc, argv, "index")))
            continue;
        struct saved_tables tables = {.arena = &arena};
        struct row_store *store = row_store_create(types, 4, &key_column, multiset ? 0 : 1, NULL);
        row_store_saved(store, name, &tables);
        run(name, &tables.items[0], rows, rows);
        double begin = cpu_seconds();
        if (!multiset && is_wanted(argc, argv, "index")) {
            (void)row_store_add_index(store, &value_column, 1, true);
            printf("%-12s %12.1f ns per row\n", "index", (cpu_seconds() - begin) / (double)rows * 1e9);
        }
        row_store_destroy(store);
    }
    for (int append = 0; append < 2; append++) {
        const char *name = append ? "append" : "arrangement";
        if (!is_wanted(argc, argv, name))
            continue;
        struct saved_tables tables = {.arena = &arena};
        struct arrangement *a = append ? arrangement_create_append_only(types, 4, &key_column, 1, NULL)
                                       : arrangement_create(types, 4, &key_column, 1, NULL);
        arrangement_saved(a, name, &tables);
        run(name, &tables.items[0], rows, rows / 4); /* four rows per key */
        arrangement_destroy(a);
    }
    if (is_wanted(argc, argv, "segments")) {
        struct saved_tables tables = {.arena = &arena};
        struct segments *segments = segments_create(types, 4, NULL);
        segments_saved(segments, "segments", &tables);
        run("segments", &tables.items[0], rows, rows);
        segments_destroy(segments);
    }
    arena_release(&arena);
    return 0;
}
