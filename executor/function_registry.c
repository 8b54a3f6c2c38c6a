/* function_registry.c: finds function rows by name and by types.
 *
 * Filled once: the tables of functions/tables.h on first use, those of higher layers by function_registry_add
 * before any thread runs. After that it is only read. An entry is a row and its parsed signature; a name maps
 * to the list of its overloads in the order of the tables. */
#include "executor/function.h"

#include "executor/function_signature.h"
#include "executor/functions/tables.h"
#include "storage/data/hash.h"

#include <pthread.h>

#define OID_FIRST  16384u
#define OID_RANGE  (0x7fffffffu - OID_FIRST)
#define TABLES_MAX 64

struct function_entry {
    const struct function_row *row;
    struct function_signature signature;
    uint32_t oid;
};

struct function_name {
    const char *name;
    bool is_operator;
    const struct function_row **rows;
    uint32_t count, cap;
};

static struct registry {
    struct arena arena;
    struct function_entry *entries;
    uint32_t entries_count, entries_cap;
    struct table_range {
        const struct function_row *rows;
        uint32_t count, first_entry;
    } tables[TABLES_MAX];
    uint32_t tables_count;
    struct function_name *names; /* open addressing, power of two */
    uint32_t names_count, names_cap;
    uint32_t *oids;     /* entry + 1 by oid */
    uint32_t *casts;    /* entry + 1 by (source, target) */
    uint32_t index_cap; /* of oids and casts */
} registry;

static pthread_once_t registry_once = PTHREAD_ONCE_INIT;

static uint64_t name_hash(const char *name, bool is_operator)
{
    return hash_bytes(name, strlen(name)) + is_operator;
}

static struct function_name *name_slot(struct function_name *names, uint32_t cap, const char *name,
                                       bool is_operator)
{
    uint32_t at = (uint32_t)name_hash(name, is_operator) & (cap - 1);
    while (names[at].name != NULL &&
           (names[at].is_operator != is_operator || strcmp(names[at].name, name) != 0))
        at = (at + 1) & (cap - 1);
    return &names[at];
}

static void names_grow(void)
{
    uint32_t cap = registry.names_cap == 0 ? 1024 : registry.names_cap * 2;
    struct function_name *names = ARENA_ARRAY(&registry.arena, struct function_name, cap);
    for (uint32_t i = 0; i < registry.names_cap; i++) {
        const struct function_name *old = &registry.names[i];
        if (old->name != NULL)
            *name_slot(names, cap, old->name, old->is_operator) = *old;
    }
    registry.names = names;
    registry.names_cap = cap;
}

static void name_add(const struct function_row *row)
{
    if ((registry.names_count + 1) * 2 > registry.names_cap)
        names_grow();
    bool is_operator = (row->flags & FN_OPERATOR) != 0;
    struct function_name *slot = name_slot(registry.names, registry.names_cap, row->name, is_operator);
    if (slot->name == NULL) {
        slot->name = row->name;
        slot->is_operator = is_operator;
        registry.names_count++;
    }
    ARENA_PUSH(&registry.arena, slot->rows, slot->count, slot->cap, row);
}

static uint32_t oid_slot(uint32_t oid)
{
    uint32_t at = (uint32_t)hash_u64(oid) & (registry.index_cap - 1);
    while (registry.oids[at] != 0 && registry.entries[registry.oids[at] - 1].oid != oid)
        at = (at + 1) & (registry.index_cap - 1);
    return at;
}

static uint32_t cast_slot(uint32_t source, uint32_t target)
{
    uint32_t at = (uint32_t)hash_u64((uint64_t)source << 32 | target) & (registry.index_cap - 1);
    while (registry.casts[at] != 0) {
        const struct function_signature *signature = &registry.entries[registry.casts[at] - 1].signature;
        if (signature->args[0] == source && signature->result == target)
            break;
        at = (at + 1) & (registry.index_cap - 1);
    }
    return at;
}

static void index_entry(uint32_t entry)
{
    registry.oids[oid_slot(registry.entries[entry].oid)] = entry + 1;
    if ((registry.entries[entry].row->flags & FN_CAST) != 0) {
        const struct function_signature *signature = &registry.entries[entry].signature;
        uint32_t slot = cast_slot(signature->args[0], signature->result);
        if (registry.casts[slot] == 0)
            registry.casts[slot] = entry + 1;
    }
}

static void index_grow(void)
{
    registry.index_cap = registry.index_cap == 0 ? 4096 : registry.index_cap * 2;
    registry.oids = ARENA_ARRAY(&registry.arena, uint32_t, registry.index_cap);
    registry.casts = ARENA_ARRAY(&registry.arena, uint32_t, registry.index_cap);
    for (uint32_t i = 0; i < registry.entries_count; i++)
        index_entry(i);
}

static void add_row(const struct function_row *row)
{
    if ((registry.entries_count + 1) * 2 > registry.index_cap)
        index_grow();
    struct function_entry entry = {.row = row};
    function_signature_parse(&registry.arena, row->args, row->result, &entry.signature);
    uint64_t hash = hash_bytes(row->name, strlen(row->name));
    hash = hash_combine(hash, hash_bytes(row->args, strlen(row->args)));
    if ((row->flags & FN_CAST) != 0)
        hash = hash_combine(hash, entry.signature.result);
    entry.oid = OID_FIRST + (uint32_t)(hash % OID_RANGE);
    while (registry.oids[oid_slot(entry.oid)] != 0)
        entry.oid = entry.oid + 1 < OID_FIRST + OID_RANGE ? entry.oid + 1 : OID_FIRST;
    ARENA_PUSH(&registry.arena, registry.entries, registry.entries_count, registry.entries_cap, entry);
    index_entry(registry.entries_count - 1);
    name_add(row);
}

static void add_table(const struct function_row *rows, size_t count)
{
    CHECK(registry.tables_count < TABLES_MAX);
    registry.tables[registry.tables_count++] =
        (struct table_range){.rows = rows, .count = (uint32_t)count, .first_entry = registry.entries_count};
    for (size_t i = 0; i < count; i++)
        add_row(&rows[i]);
}

static void registry_fill(void)
{
    arena_init(&registry.arena, NULL);
#define FUNCTION_TABLE_ADD(name) add_table(name, name##_count);
    FUNCTION_TABLES(FUNCTION_TABLE_ADD)
#undef FUNCTION_TABLE_ADD
}

static void registry_ready(void)
{
    pthread_once(&registry_once, registry_fill);
}

void function_registry_add(const struct function_row *rows, size_t count)
{
    registry_ready();
    add_table(rows, count);
}

size_t function_find(const char *name, bool is_operator, const struct function_row *const **rows)
{
    registry_ready();
    if (registry.names_cap == 0)
        return 0;
    const struct function_name *slot = name_slot(registry.names, registry.names_cap, name, is_operator);
    *rows = slot->rows;
    return slot->count;
}

static const struct function_entry *entry_of(const struct function_row *row)
{
    registry_ready();
    for (uint32_t i = 0; i < registry.tables_count; i++) {
        const struct table_range *table = &registry.tables[i];
        if ((uintptr_t)row >= (uintptr_t)table->rows &&
            (uintptr_t)row < (uintptr_t)(table->rows + table->count))
            return &registry.entries[table->first_entry + (size_t)(row - table->rows)];
    }
    return NULL;
}

const struct function_signature *function_signature(const struct function_row *row)
{
    const struct function_entry *entry = entry_of(row);
    CHECK(entry != NULL);
    return &entry->signature;
}

uint32_t function_oid(const struct function_row *row)
{
    const struct function_entry *entry = entry_of(row);
    CHECK(entry != NULL);
    return entry->oid;
}

const struct function_row *function_find_cast(uint32_t source, uint32_t target)
{
    registry_ready();
    if (registry.index_cap == 0)
        return NULL;
    uint32_t entry = registry.casts[cast_slot(source, target)];
    return entry != 0 ? registry.entries[entry - 1].row : NULL;
}

const struct function_row *function_find_exact(const char *name, const uint32_t *args, uint32_t args_count)
{
    for (int is_operator = 1; is_operator >= 0; is_operator--) {
        const struct function_row *const *rows = NULL;
        size_t count = function_find(name, is_operator != 0, &rows);
        for (size_t i = 0; i < count; i++) {
            const struct function_signature *signature = function_signature(rows[i]);
            if (signature->args_count == args_count && (rows[i]->flags & FN_CAST) == 0 &&
                (args_count == 0 || memcmp(signature->args, args, sizeof(*args) * args_count) == 0))
                return rows[i];
        }
    }
    return NULL;
}

const struct function_row *function_at(size_t index)
{
    registry_ready();
    return index < registry.entries_count ? registry.entries[index].row : NULL;
}
