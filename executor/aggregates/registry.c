/* registry.c: finds aggregate rows by name, and reads their signatures. Filled once, on first use; read-only
 * after that. */
#include "executor/aggregates/agg_tables.h"

#include "executor/function_signature.h"
#include "storage/data/hash.h"

#include <pthread.h>
#include <stdlib.h>

#define OID_FIRST 0x78000000u /* aggregates' share of the numbers of pg_proc */
#define OID_RANGE 0x07000000u
#define ROWS_MAX  512u

static struct registry {
    struct arena arena;
    struct {
        const struct aggregate_row *row;
        struct function_signature signature;
        uint32_t oid;
    } entries[ROWS_MAX];
    uint32_t count;
    const struct aggregate_row **by_name; /* rows grouped by name */
} registry;

static pthread_once_t registry_once = PTHREAD_ONCE_INIT;

static bool oid_taken(uint32_t oid)
{
    for (uint32_t i = 0; i < registry.count; i++)
        if (registry.entries[i].oid == oid)
            return true;
    return false;
}

static void add_table(const struct aggregate_row *rows, size_t count)
{
    CHECK(registry.count + count <= ROWS_MAX);
    for (size_t i = 0; i < count; i++) {
        uint64_t hash = hash_combine(hash_bytes(rows[i].name, strlen(rows[i].name)),
                                     hash_bytes(rows[i].args, strlen(rows[i].args)));
        uint32_t oid = OID_FIRST + (uint32_t)(hash % OID_RANGE);
        while (oid_taken(oid))
            oid++;
        function_signature_parse(&registry.arena, rows[i].args, rows[i].result,
                                 &registry.entries[registry.count].signature);
        registry.entries[registry.count].row = &rows[i];
        registry.entries[registry.count++].oid = oid;
    }
}

static int compare_names(const void *a, const void *b)
{
    const struct aggregate_row *row_a = *(const struct aggregate_row *const *)a;
    const struct aggregate_row *row_b = *(const struct aggregate_row *const *)b;
    int order = strcmp(row_a->name, row_b->name);
    return order != 0 ? order : strcmp(row_a->args, row_b->args);
}

static void registry_fill(void)
{
    arena_init(&registry.arena, NULL);
#define AGGREGATE_TABLE_ADD(name) add_table(name, name##_count);
    AGGREGATE_TABLES(AGGREGATE_TABLE_ADD)
#undef AGGREGATE_TABLE_ADD
    registry.by_name = ARENA_ARRAY(&registry.arena, const struct aggregate_row *, registry.count);
    for (uint32_t i = 0; i < registry.count; i++)
        registry.by_name[i] = registry.entries[i].row;
    qsort(registry.by_name, registry.count, sizeof(registry.by_name[0]), compare_names);
}

static uint32_t entry_of(const struct aggregate_row *row)
{
    pthread_once(&registry_once, registry_fill);
    for (uint32_t i = 0; i < registry.count; i++)
        if (registry.entries[i].row == row)
            return i;
    CHECK(row == NULL);
    return 0;
}

size_t aggregate_find(const char *name, const struct aggregate_row *const **rows)
{
    pthread_once(&registry_once, registry_fill);
    uint32_t low = 0, high = registry.count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (strcmp(registry.by_name[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    uint32_t end = low;
    while (end < registry.count && strcmp(registry.by_name[end]->name, name) == 0)
        end++;
    *rows = registry.by_name + low;
    return end - low;
}

const struct function_signature *aggregate_signature(const struct aggregate_row *row)
{
    return &registry.entries[entry_of(row)].signature;
}

const struct aggregate_row *aggregate_at(size_t index)
{
    pthread_once(&registry_once, registry_fill);
    return index < registry.count ? registry.entries[index].row : NULL;
}

uint32_t aggregate_oid(const struct aggregate_row *row)
{
    return registry.entries[entry_of(row)].oid;
}
