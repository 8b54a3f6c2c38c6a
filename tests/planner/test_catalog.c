/* The catalog: names, search path, OID order, references, dependants. */
#include "planner/catalog.h"
#include "tests/test.h"

static struct catalog_object *make(uint32_t oid, uint32_t schema, const char *name)
{
    struct catalog_object *object = catalog_object_create();
    object->oid = oid;
    object->schema_oid = schema;
    object->name = arena_strdup(&object->arena, name);
    return object;
}

TEST(names_and_search_path)
{
    struct catalog *catalog = catalog_create();
    struct error err;
    EXPECT(catalog_add_schema(catalog, 16384, "s", &err));
    EXPECT(!catalog_add_schema(catalog, 16385, "s", &err));
    EXPECT_TEXT(error_sqlstate(err.code), "42P06");
    EXPECT(!catalog_add_schema(catalog, 16385, "pg_x", &err));
    EXPECT_TEXT(error_sqlstate(err.code), "42939");
    EXPECT(catalog_add(catalog, make(16390, SCHEMA_PUBLIC, "t"), &err));
    EXPECT(catalog_add(catalog, make(16391, 16384, "t"), &err));
    struct catalog_object *twin = make(16392, SCHEMA_PUBLIC, "t");
    EXPECT(!catalog_add(catalog, twin, &err));
    EXPECT_TEXT(err.message, "relation \"t\" already exists");
    catalog_object_release(twin);
    const char *path[] = {"s", "public", NULL};
    EXPECT_INT(catalog_find(catalog, NULL, "t", path)->oid, 16391);
    EXPECT_INT(catalog_find(catalog, NULL, "t", NULL)->oid, 16390);
    EXPECT_INT(catalog_find(catalog, "public", "t", path)->oid, 16390);
    EXPECT(catalog_find(catalog, "nowhere", "t", path) == NULL);
    catalog_add_system_view(catalog, SCHEMA_PG_CATALOG, "t", "a oid, b  timestamp with time zone,c text[]",
                            NULL, NULL, "x");
    struct catalog_object *view = catalog_find(catalog, NULL, "t", path);
    EXPECT(view->oid < FIRST_USER_OID);
    EXPECT_INT(view->columns_count, 3);
    EXPECT_INT(view->columns[1].type.oid, OID_TIMESTAMPTZ);
    EXPECT_TEXT(view->columns[2].name, "c");
    EXPECT_INT(view->columns[2].type.oid, OID_TEXT_ARRAY);
    const char *last[] = {"public", "pg_catalog", NULL};
    EXPECT_INT(catalog_find(catalog, NULL, "t", last)->oid, 16390);
    catalog_destroy(catalog);
}

TEST(many_objects)
{
    struct catalog *catalog = catalog_create();
    struct error err;
    char name[32];
    for (uint32_t i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "t%u", i);
        /* not in OID order */
        EXPECT(catalog_add(catalog, make(20000 + (i * 7919) % 3000, SCHEMA_PUBLIC, name), &err));
    }
    uint64_t version = catalog_version(catalog);
    for (uint32_t i = 0; i < 3000; i += 3) {
        snprintf(name, sizeof(name), "t%u", i);
        catalog_remove(catalog, catalog_find(catalog, NULL, name, NULL)->oid);
    }
    EXPECT(catalog_version(catalog) > version);
    uint32_t cursor = 0, seen = 0, last = 0;
    for (struct catalog_object *object; (object = catalog_next(catalog, &cursor)) != NULL; seen++) {
        EXPECT(object->oid > last);
        last = object->oid;
        EXPECT(catalog_find_oid(catalog, object->oid) == object);
    }
    EXPECT_INT(seen, 2000);
    for (uint32_t i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "t%u", i);
        EXPECT((catalog_find(catalog, NULL, name, NULL) != NULL) == (i % 3 != 0));
    }
    catalog_destroy(catalog);
}

TEST(replace_and_dependants)
{
    struct catalog *catalog = catalog_create();
    struct error err;
    struct arena arena;
    arena_init(&arena, NULL);
    EXPECT(catalog_add(catalog, make(16400, SCHEMA_PUBLIC, "base"), &err));
    struct catalog_object *view = make(16401, SCHEMA_PUBLIC, "v");
    uint32_t base = 16400;
    view->depends = &base;
    view->depends_count = 1;
    EXPECT(catalog_add(catalog, view, &err));
    struct catalog_object *index = make(16402, SCHEMA_PUBLIC, "i");
    index->kind = CATALOG_INDEX;
    index->index_of = 16400;
    EXPECT(catalog_add(catalog, index, &err));
    uint32_t count;
    uint32_t *oids = catalog_dependents(catalog, 16400, &arena, &count);
    EXPECT_INT(count, 2);
    EXPECT_INT(oids[1], 16402);
    catalog_object_retain(view); /* as a plan does */
    catalog_replace(catalog, make(16401, SCHEMA_PUBLIC, "w"));
    EXPECT(catalog_find(catalog, NULL, "v", NULL) == NULL);
    EXPECT_INT(catalog_find(catalog, NULL, "w", NULL)->oid, 16401);
    EXPECT_TEXT(view->name, "v");
    catalog_object_release(view);
    catalog_reserve_oid(catalog, 20000);
    EXPECT_INT(catalog_new_oid(catalog), 20001);
    catalog_reserve_oid(catalog, 100);
    EXPECT_INT(catalog_new_oid(catalog), 20002);
    arena_release(&arena);
    catalog_destroy(catalog);
}

int main(void)
{
    RUN(names_and_search_path);
    RUN(many_objects);
    RUN(replace_and_dependants);
    return test_result();
}
