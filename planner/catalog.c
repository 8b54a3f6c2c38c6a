/* catalog.c: see catalog.h. Objects stand twice: in an array sorted by OID, for walks and lookups by OID, and
 * in an open hash table by schema and name. */
#define _GNU_SOURCE /* explicit_bzero */
#include "planner/catalog.h"

#include "storage/data/hash.h"

#include <pthread.h>
#include <string.h>

#define FIRST_SYSTEM_VIEW_OID 11000u

struct catalog {
    pthread_rwlock_t lock;
    _Atomic uint64_t version;
    _Atomic uint32_t next_oid;
    uint32_t next_system_oid;
    struct catalog_object **objects; /* by OID */
    uint32_t count, cap;
    struct catalog_object **slots;   /* by name; NULL: free */
    uint32_t slots_count;            /* a power of two, at most half full */
    struct catalog_schema **schemas; /* by OID */
    uint32_t schemas_count, schemas_cap;
    struct reserved_name *reserved;
    struct catalog_secret *secrets; /* by name */
    uint32_t secrets_count, secrets_cap;
};

struct reserved_name {
    struct reserved_name *next;
    uint32_t schema_oid;
    char *name;
};

static uint64_t name_hash(uint32_t schema_oid, const char *name)
{
    return hash_combine(hash_u64(schema_oid), hash_bytes(name, strlen(name)));
}

static void add_schema(struct catalog *catalog, uint32_t oid, const char *name, bool is_system)
{
    if (catalog->schemas_count == catalog->schemas_cap) {
        catalog->schemas_cap = catalog->schemas_cap ? catalog->schemas_cap * 2 : 8;
        catalog->schemas = mem_realloc(catalog->schemas, catalog->schemas_cap * sizeof(*catalog->schemas));
    }
    struct catalog_schema *schema = mem_alloc(sizeof(*schema));
    *schema = (struct catalog_schema){.oid = oid, .name = mem_strdup(name), .is_system = is_system};
    uint32_t at = catalog->schemas_count++;
    for (; at > 0 && catalog->schemas[at - 1]->oid > oid; at--)
        catalog->schemas[at] = catalog->schemas[at - 1];
    catalog->schemas[at] = schema;
}

struct catalog *catalog_create(void)
{
    struct catalog *catalog = mem_zalloc(sizeof(*catalog));
    pthread_rwlock_init(&catalog->lock, NULL);
    catalog->version = 1;
    catalog->next_oid = FIRST_USER_OID;
    catalog->next_system_oid = FIRST_SYSTEM_VIEW_OID;
    catalog->slots_count = 256;
    catalog->slots = mem_zalloc(catalog->slots_count * sizeof(struct catalog_object *));
    add_schema(catalog, SCHEMA_PG_CATALOG, "pg_catalog", true);
    add_schema(catalog, SCHEMA_PUBLIC, "public", false);
    add_schema(catalog, SCHEMA_INFORMATION_SCHEMA, "information_schema", true);
    add_schema(catalog, SCHEMA_MILLRACE, "millrace", true);
    return catalog;
}

static void schema_free(struct catalog_schema *schema)
{
    mem_free((char *)schema->name);
    mem_free(schema);
}

static void secret_free(struct catalog_secret *secret)
{
    explicit_bzero((char *)secret->value, strlen(secret->value));
    mem_free((char *)secret->value);
    mem_free((char *)secret->name);
}

void catalog_destroy(struct catalog *catalog)
{
    for (uint32_t i = 0; i < catalog->secrets_count; i++)
        secret_free(&catalog->secrets[i]);
    mem_free(catalog->secrets);
    for (uint32_t i = 0; i < catalog->count; i++)
        catalog_object_release(catalog->objects[i]);
    for (uint32_t i = 0; i < catalog->schemas_count; i++)
        schema_free(catalog->schemas[i]);
    mem_free(catalog->schemas);
    mem_free(catalog->objects);
    mem_free(catalog->slots);
    pthread_rwlock_destroy(&catalog->lock);
    mem_free(catalog);
}

void catalog_read_lock(struct catalog *catalog)
{
    CHECK(pthread_rwlock_rdlock(&catalog->lock) == 0);
}

void catalog_write_lock(struct catalog *catalog)
{
    CHECK(pthread_rwlock_wrlock(&catalog->lock) == 0);
}

void catalog_unlock(struct catalog *catalog)
{
    CHECK(pthread_rwlock_unlock(&catalog->lock) == 0);
}

static struct reserved_name **find_reserved(struct catalog *catalog, uint32_t schema_oid, const char *name)
{
    struct reserved_name **link = &catalog->reserved;
    while (*link != NULL && ((*link)->schema_oid != schema_oid || strcmp((*link)->name, name) != 0))
        link = &(*link)->next;
    return link;
}

void catalog_reserve_name(struct catalog *catalog, uint32_t schema_oid, const char *name)
{
    struct reserved_name *reserved = mem_alloc(sizeof(*reserved));
    *reserved = (struct reserved_name){catalog->reserved, schema_oid, mem_strdup(name)};
    catalog->reserved = reserved;
}

void catalog_free_name(struct catalog *catalog, uint32_t schema_oid, const char *name)
{
    struct reserved_name **link = find_reserved(catalog, schema_oid, name), *reserved = *link;
    *link = reserved->next;
    mem_free(reserved->name);
    mem_free(reserved);
}

bool catalog_name_is_reserved(struct catalog *catalog, uint32_t schema_oid, const char *name)
{
    return *find_reserved(catalog, schema_oid, name) != NULL;
}

uint64_t catalog_version(struct catalog *catalog)
{
    return catalog->version;
}

uint32_t catalog_new_oid(struct catalog *catalog)
{
    return atomic_fetch_add(&catalog->next_oid, 1);
}

void catalog_reserve_oid(struct catalog *catalog, uint32_t used)
{
    uint32_t next = catalog->next_oid;
    while (next <= used && !atomic_compare_exchange_weak(&catalog->next_oid, &next, used + 1)) {
    }
}

/* ---- objects ---- */

/* Where the OID stands, or would stand. */
static uint32_t position_of(const struct catalog *catalog, uint32_t oid)
{
    uint32_t low = 0, high = catalog->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (catalog->objects[middle]->oid < oid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void slot_insert(struct catalog *catalog, struct catalog_object *object)
{
    uint32_t mask = catalog->slots_count - 1;
    uint32_t at = (uint32_t)name_hash(object->schema_oid, object->name) & mask;
    while (catalog->slots[at] != NULL)
        at = (at + 1) & mask;
    catalog->slots[at] = object;
}

static void slots_rebuild(struct catalog *catalog)
{
    while ((catalog->count + 1) * 2 > catalog->slots_count)
        catalog->slots_count *= 2;
    mem_free(catalog->slots);
    catalog->slots = mem_zalloc(catalog->slots_count * sizeof(struct catalog_object *));
    for (uint32_t i = 0; i < catalog->count; i++)
        slot_insert(catalog, catalog->objects[i]);
}

static struct catalog_object *find_in(const struct catalog *catalog, uint32_t schema_oid, const char *name)
{
    uint32_t mask = catalog->slots_count - 1;
    for (uint32_t at = (uint32_t)name_hash(schema_oid, name) & mask; catalog->slots[at] != NULL;
         at = (at + 1) & mask)
        if (catalog->slots[at]->schema_oid == schema_oid && strcmp(catalog->slots[at]->name, name) == 0)
            return catalog->slots[at];
    return NULL;
}

/* Takes it out of the hash table: the entries behind it that probed past it move up. */
static void slot_remove(struct catalog *catalog, const struct catalog_object *object)
{
    uint32_t mask = catalog->slots_count - 1;
    uint32_t at = (uint32_t)name_hash(object->schema_oid, object->name) & mask;
    while (catalog->slots[at] != object) {
        CHECK(catalog->slots[at] != NULL);
        at = (at + 1) & mask;
    }
    catalog->slots[at] = NULL;
    for (uint32_t next = (at + 1) & mask; catalog->slots[next] != NULL; next = (next + 1) & mask) {
        struct catalog_object *moved = catalog->slots[next];
        catalog->slots[next] = NULL;
        slot_insert(catalog, moved);
    }
}

static bool add_object(struct catalog *catalog, struct catalog_object *object, struct error *err)
{
    if (find_in(catalog, object->schema_oid, object->name) != NULL)
        return error_set(err, ERRCODE_DUPLICATE_TABLE, "relation \"%s\" already exists", object->name);
    if (catalog->count == catalog->cap) {
        catalog->cap = catalog->cap ? catalog->cap * 2 : 64;
        catalog->objects = mem_realloc(catalog->objects, catalog->cap * sizeof(struct catalog_object *));
    }
    uint32_t at = position_of(catalog, object->oid);
    CHECK(at == catalog->count || catalog->objects[at]->oid != object->oid);
    memmove(catalog->objects + at + 1, catalog->objects + at,
            (catalog->count - at) * sizeof(struct catalog_object *));
    catalog->objects[at] = object;
    catalog->count++;
    if (catalog->count * 2 > catalog->slots_count)
        slots_rebuild(catalog);
    else
        slot_insert(catalog, object);
    catalog->version++;
    return true;
}

bool catalog_add(struct catalog *catalog, struct catalog_object *object, struct error *err)
{
    return add_object(catalog, object, err);
}

void catalog_remove(struct catalog *catalog, uint32_t oid)
{
    uint32_t at = position_of(catalog, oid);
    if (at == catalog->count || catalog->objects[at]->oid != oid)
        return;
    struct catalog_object *object = catalog->objects[at];
    slot_remove(catalog, object);
    catalog->count--;
    memmove(catalog->objects + at, catalog->objects + at + 1,
            (catalog->count - at) * sizeof(struct catalog_object *));
    catalog->version++;
    catalog_object_release(object);
}

void catalog_replace(struct catalog *catalog, struct catalog_object *object)
{
    uint32_t at = position_of(catalog, object->oid);
    CHECK(at < catalog->count && catalog->objects[at]->oid == object->oid);
    struct catalog_object *old = catalog->objects[at];
    slot_remove(catalog, old);
    catalog->objects[at] = object;
    slot_insert(catalog, object);
    catalog->version++;
    catalog_object_release(old);
}

struct catalog_object *catalog_find_oid(struct catalog *catalog, uint32_t oid)
{
    uint32_t at = position_of(catalog, oid);
    return at < catalog->count && catalog->objects[at]->oid == oid ? catalog->objects[at] : NULL;
}

struct catalog_object *catalog_find(struct catalog *catalog, const char *schema, const char *name,
                                    const char *const *search_path)
{
    static const char *const default_path[] = {"public", NULL};
    if (schema != NULL) {
        const struct catalog_schema *found = catalog_find_schema(catalog, schema);
        return found != NULL ? find_in(catalog, found->oid, name) : NULL;
    }
    if (search_path == NULL)
        search_path = default_path;
    bool listed = false;
    for (const char *const *entry = search_path; *entry != NULL; entry++)
        listed |= strcmp(*entry, "pg_catalog") == 0;
    if (!listed) {
        struct catalog_object *object = find_in(catalog, SCHEMA_PG_CATALOG, name);
        if (object != NULL)
            return object;
    }
    for (; *search_path != NULL; search_path++) {
        const struct catalog_schema *found = catalog_find_schema(catalog, *search_path);
        struct catalog_object *object = found != NULL ? find_in(catalog, found->oid, name) : NULL;
        if (object != NULL)
            return object;
    }
    return NULL;
}

struct catalog_object *catalog_next(struct catalog *catalog, uint32_t *cursor)
{
    /* the cursor is one more than the OID seen last, so that a walk survives changes in between */
    uint32_t at = position_of(catalog, *cursor);
    if (at == catalog->count)
        return NULL;
    *cursor = catalog->objects[at]->oid + 1;
    return catalog->objects[at];
}

uint32_t *catalog_dependents(struct catalog *catalog, uint32_t oid, struct arena *arena, uint32_t *count)
{
    uint32_t *found = NULL, cap = 0;
    *count = 0;
    for (uint32_t i = position_of(catalog, FIRST_USER_OID); i < catalog->count; i++) {
        const struct catalog_object *object = catalog->objects[i];
        bool depends = object->kind == CATALOG_INDEX && object->index_of == oid;
        for (uint32_t j = 0; j < object->depends_count && !depends; j++)
            depends = object->depends[j] == oid;
        if (depends)
            ARENA_PUSH(arena, found, *count, cap, object->oid);
    }
    return found;
}

/* ---- schemas ---- */

const struct catalog_schema *catalog_find_schema(struct catalog *catalog, const char *name)
{
    for (uint32_t i = 0; i < catalog->schemas_count; i++)
        if (strcmp(catalog->schemas[i]->name, name) == 0)
            return catalog->schemas[i];
    return NULL;
}

const struct catalog_schema *catalog_find_schema_oid(struct catalog *catalog, uint32_t oid)
{
    for (uint32_t i = 0; i < catalog->schemas_count; i++)
        if (catalog->schemas[i]->oid == oid)
            return catalog->schemas[i];
    return NULL;
}

bool catalog_add_schema(struct catalog *catalog, uint32_t oid, const char *name, struct error *err)
{
    if (strncmp(name, "pg_", 3) == 0) {
        error_set(err, ERRCODE_RESERVED_NAME, "unacceptable schema name \"%s\"", name);
        return error_detail(err, "The prefix \"pg_\" is reserved for system schemas.");
    }
    if (catalog_find_schema(catalog, name) != NULL)
        return error_set(err, ERRCODE_DUPLICATE_SCHEMA, "schema \"%s\" already exists", name);
    add_schema(catalog, oid, name, false);
    catalog->version++;
    return true;
}

void catalog_remove_schema(struct catalog *catalog, uint32_t oid)
{
    for (uint32_t i = 0; i < catalog->schemas_count; i++) {
        if (catalog->schemas[i]->oid != oid)
            continue;
        schema_free(catalog->schemas[i]);
        catalog->schemas_count--;
        memmove(catalog->schemas + i, catalog->schemas + i + 1,
                (catalog->schemas_count - i) * sizeof(struct catalog_schema *));
        catalog->version++;
        return;
    }
}

const struct catalog_schema *catalog_next_schema(struct catalog *catalog, uint32_t *cursor)
{
    for (uint32_t i = 0; i < catalog->schemas_count; i++) {
        if (catalog->schemas[i]->oid >= *cursor) {
            *cursor = catalog->schemas[i]->oid + 1;
            return catalog->schemas[i];
        }
    }
    return NULL;
}

/* ---- system views ---- */

/* OIDs that clients know by heart (classoid of pg_depend and pg_description). */
static const struct {
    const char *name;
    uint32_t oid;
} known_oids[] = {
    {"pg_type", 1247},        {"pg_attribute", 1249}, {"pg_proc", 1255},       {"pg_class", 1259},
    {"pg_authid", 1260},      {"pg_database", 1262},  {"pg_sequence", 2224},   {"pg_am", 2601},
    {"pg_attrdef", 2604},     {"pg_cast", 2605},      {"pg_constraint", 2606}, {"pg_depend", 2608},
    {"pg_description", 2609}, {"pg_index", 2610},     {"pg_inherits", 2611},   {"pg_language", 2612},
    {"pg_namespace", 2615},   {"pg_opclass", 2616},   {"pg_operator", 2617},   {"pg_rewrite", 2618},
    {"pg_trigger", 2620},     {"pg_extension", 3079}, {"pg_collation", 3456},  {"pg_enum", 3501},
    {"pg_range", 3541}};

void catalog_add_system_view(struct catalog *catalog, uint32_t schema_oid, const char *name,
                             const char *columns, system_rows_fn rows, void *ctx, const char *comment)
{
    struct catalog_object *object = catalog_object_create();
    object->schema_oid = schema_oid;
    object->name = arena_strdup(&object->arena, name);
    object->kind = CATALOG_SYSTEM_VIEW;
    object->system_rows = rows;
    object->system_ctx = ctx;
    object->comment = comment != NULL ? arena_strdup(&object->arena, comment) : NULL;
    for (size_t i = 0; i < ARRAY_COUNT(known_oids) && schema_oid == SCHEMA_PG_CATALOG; i++)
        if (strcmp(known_oids[i].name, name) == 0)
            object->oid = known_oids[i].oid;
    if (object->oid == 0)
        object->oid = catalog->next_system_oid++;

    uint32_t cap = 0;
    const char *at = columns;
    while (*at != '\0') {
        at += strspn(at, " ,\n");
        size_t name_len = strcspn(at, " ");
        if (name_len == 0)
            break;
        const char *column_name = arena_strndup(&object->arena, at, name_len);
        at += name_len;
        at += strspn(at, " ");
        size_t type_len = strcspn(at, ",\n");
        while (type_len > 0 && at[type_len - 1] == ' ')
            type_len--;
        const char *type_name = arena_strndup(&object->arena, at, type_len);
        const struct type_row *type = type_find_name(type_name);
        CHECK(type != NULL); /* a table of ours names an unknown type */
        at += strcspn(at, ",\n");
        struct catalog_column column = {.name = column_name, .type = {.oid = type->oid, .typmod = -1}};
        ARENA_PUSH(&object->arena, object->columns, object->columns_count, cap, column);
    }
    struct error err;
    bool added = add_object(catalog, object, &err);
    CHECK(added);
}

/* ---- secrets ---- */

/* Of the first that is not before `name`. */
static uint32_t secret_place(const struct catalog *catalog, const char *name)
{
    uint32_t low = 0, high = catalog->secrets_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (strcmp(catalog->secrets[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct catalog_secret *catalog_find_secret(struct catalog *catalog, const char *name)
{
    uint32_t at = secret_place(catalog, name);
    bool found = at < catalog->secrets_count && strcmp(catalog->secrets[at].name, name) == 0;
    return found ? &catalog->secrets[at] : NULL;
}

const struct catalog_secret *catalog_secret_at(struct catalog *catalog, uint32_t index)
{
    return index < catalog->secrets_count ? &catalog->secrets[index] : NULL;
}

void catalog_remove_secret(struct catalog *catalog, const char *name)
{
    uint32_t at = secret_place(catalog, name);
    if (catalog_find_secret(catalog, name) == NULL)
        return;
    secret_free(&catalog->secrets[at]);
    catalog->secrets_count--;
    memmove(&catalog->secrets[at], &catalog->secrets[at + 1],
            sizeof(*catalog->secrets) * (catalog->secrets_count - at));
}

void catalog_put_secret(struct catalog *catalog, const struct catalog_secret *secret)
{
    struct catalog_secret copy = {secret->oid, mem_strdup(secret->name), mem_strdup(secret->value),
                                  secret->created_us};
    catalog_remove_secret(catalog, secret->name);
    if (catalog->secrets_count == catalog->secrets_cap) {
        catalog->secrets_cap = catalog->secrets_cap ? catalog->secrets_cap * 2 : 8;
        catalog->secrets = mem_realloc(catalog->secrets, catalog->secrets_cap * sizeof(*catalog->secrets));
    }
    uint32_t at = secret_place(catalog, copy.name);
    memmove(&catalog->secrets[at + 1], &catalog->secrets[at],
            sizeof(*catalog->secrets) * (catalog->secrets_count - at));
    catalog->secrets[at] = copy;
    catalog->secrets_count++;
}
