/* sysview_pg_attribute.c: columns, and what was said about them (pg_attribute, pg_description). */
#include "planner/routines.h"
#include "planner/type_facts.h"
#include "server/sysview.h"

static void attribute(struct sys_rows *rows, uint32_t relation, const char *name, struct sql_type type,
                      uint32_t number)
{
    struct type_facts facts = {.align = 'i', .storage = 'p'};
    (void)type_facts_find(type.oid, &facts);
    const struct type_row *row = type_find(type.oid);
    sys_int(rows, "attrelid", relation);
    sys_text(rows, "attname", name);
    sys_int(rows, "atttypid", type.oid);
    sys_int(rows, "attlen", row != NULL ? row->typlen : -1);
    sys_int(rows, "attnum", number);
    sys_int(rows, "attndims",
            row != NULL && row->category == 'A' && type.oid != OID_INT2VECTOR && type.oid != OID_OIDVECTOR
                ? 1
                : 0);
    sys_int(rows, "atttypmod", type.typmod);
    sys_bool(rows, "attbyval", facts.by_value);
    sys_char(rows, "attalign", facts.align);
    sys_char(rows, "attstorage", facts.storage);
    sys_int(rows, "attcollation", facts.collation);
}

static bool rows_pg_attribute(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        if (object->kind == CATALOG_INDEX) {
            const struct catalog_object *table = sys_object(rows, object->index_of);
            for (uint32_t j = 0; table != NULL && j < object->index_columns_count; j++) {
                const struct catalog_column *column = &table->columns[object->index_columns[j]];
                attribute(rows, object->oid, column->name, column->type, j + 1);
                sys_end(rows);
            }
        } else {
            for (uint32_t j = 0; j < object->columns_count; j++) {
                const struct catalog_column *column = &object->columns[j];
                attribute(rows, object->oid, column->name, column->type, j + 1);
                sys_bool(rows, "attnotnull", column->not_null);
                sys_bool(rows, "atthasdef",
                         column->generated_sql != NULL ||
                             (column->default_sql != NULL && column->identity == 0));
                sys_char(rows, "attidentity", column->identity);
                sys_char(rows, "attgenerated", column->generated_sql != NULL ? 's' : '\0');
                sys_end(rows);
            }
        }
    }
    return true;
}

static void description(struct sys_rows *rows, uint32_t oid, uint32_t class_oid, uint32_t column,
                        const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    sys_int(rows, "objoid", oid);
    sys_int(rows, "classoid", class_oid);
    sys_int(rows, "objsubid", column);
    sys_text(rows, "description", text);
    sys_end(rows);
}

static bool rows_pg_description(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        description(rows, object->oid, CLASS_PG_CLASS, 0, object->comment);
        for (uint32_t j = 0; j < object->columns_count; j++)
            description(rows, object->oid, CLASS_PG_CLASS, j + 1, object->columns[j].comment);
    }
    size_t types_count;
    const struct type_row *types = type_rows(&types_count);
    for (size_t i = 0; i < types_count; i++)
        if (types[i].category != 'A')
            description(rows, types[i].oid, CLASS_PG_TYPE, 0, types[i].help);
    const struct routine *routine;
    for (size_t i = 0; (routine = routine_at(i)) != NULL; i++)
        description(rows, routine->oid, routine->kind == ROUTINE_OPERATOR ? CLASS_PG_OPERATOR : CLASS_PG_PROC,
                    0, routine->help);
    description(rows, SCHEMA_PG_CATALOG, CLASS_PG_NAMESPACE, 0, "system catalog schema");
    description(rows, SCHEMA_PUBLIC, CLASS_PG_NAMESPACE, 0, "standard public schema");
    description(rows, SCHEMA_MILLRACE, CLASS_PG_NAMESPACE, 0,
                "statistics of relations, operators and the engine");
    return true;
}

const struct system_view_row sysview_pg_attribute_rows[] = {
    {SCHEMA_PG_CATALOG, 'r', "pg_attribute",
     "attrelid oid, attname name, atttypid oid, attstattarget int4 = -1, attlen int2, attnum int2, attndims "
     "int4, "
     "attcacheoff int4 = -1, atttypmod int4, attbyval bool, attalign char, attstorage char, attcompression "
     "char = '', "
     "attnotnull bool = f, atthasdef bool = f, atthasmissing bool = f, attidentity char = '', attgenerated "
     "char = '', "
     "attisdropped bool = f, attislocal bool = t, attinhcount int4 = 0, attcollation oid, attacl text[], "
     "attoptions text[], attfdwoptions text[], attmissingval text[]",
     rows_pg_attribute, "columns of relations and indexes"},
    {SCHEMA_PG_CATALOG, 'r', "pg_description", "objoid oid, classoid oid, objsubid int4, description text",
     rows_pg_description, "comments"},
    {SCHEMA_PG_CATALOG, 'r', "pg_shdescription", "objoid oid, classoid oid, description text", NULL,
     "comments of databases and roles: there are none"},
};
const size_t sysview_pg_attribute_rows_count = ARRAY_COUNT(sysview_pg_attribute_rows);
