/* sysview_information_schema.c: the views of the SQL standard, as PostgreSQL fills them (its manual, chapter
 * 37).
 *
 * One thing differs: materialized views are listed, in tables as MATERIALIZED VIEW and in columns, since
 * tools that only look here would not find what this database is for. */
#include "planner/reg_names.h"
#include "planner/routines.h"
#include "server/session.h"
#include "server/sysview.h"

#include <stdio.h>

static bool is_table_like(const struct catalog_object *object)
{
    return object->kind != CATALOG_INDEX && object->kind != CATALOG_SEQUENCE;
}

static void table_names(struct sys_rows *rows, const char *catalog, const char *schema, const char *name,
                        const struct catalog_object *object)
{
    sys_text(rows, catalog, rows->info->database);
    sys_text(rows, schema, sys_schema_name(rows, object->schema_oid));
    sys_text(rows, name, object->name);
}

static void this_table(struct sys_rows *rows, const struct catalog_object *object)
{
    table_names(rows, "table_catalog", "table_schema", "table_name", object);
}

static void this_constraint(struct sys_rows *rows, const struct catalog_object *object, const char *name)
{
    sys_text(rows, "constraint_catalog", rows->info->database);
    sys_text(rows, "constraint_schema", sys_schema_name(rows, object->schema_oid));
    sys_text(rows, "constraint_name", name);
}

/* ---- what a type says about its values ---- */

#define TEXT_BYTES_MAX 1073741824 /* octet length of text without a limit */
#define UTF8_BYTES_MAX 4

static const char *type_kind_name(struct sys_rows *rows, uint32_t oid)
{
    const struct type_row *type = type_find(oid);
    if (type == NULL)
        return "USER-DEFINED";
    if (type->category == 'A' && oid != OID_INT2VECTOR && oid != OID_OIDVECTOR)
        return "ARRAY";
    return oid == OID_BPCHAR ? "character" : sys_format_type(rows, (struct sql_type){oid, -1});
}

static void type_columns(struct sys_rows *rows, struct sql_type type, const char *dtd_identifier)
{
    int32_t limit = type.typmod - 4;
    sys_text(rows, "data_type", type_kind_name(rows, type.oid));
    switch (type.oid) {
    case OID_BPCHAR:
    case OID_VARCHAR:
        if (type.typmod >= 0)
            sys_int(rows, "character_maximum_length", limit);
        sys_int(rows, "character_octet_length",
                type.typmod >= 0 ? (int64_t)limit * UTF8_BYTES_MAX : TEXT_BYTES_MAX);
        break;
    case OID_TEXT:
        sys_int(rows, "character_octet_length", TEXT_BYTES_MAX);
        break;
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
        sys_int(rows, "numeric_precision", type.oid == OID_INT2 ? 16 : type.oid == OID_INT4 ? 32 : 64);
        sys_int(rows, "numeric_precision_radix", 2);
        sys_int(rows, "numeric_scale", 0);
        break;
    case OID_FLOAT4:
    case OID_FLOAT8:
        sys_int(rows, "numeric_precision", type.oid == OID_FLOAT4 ? 24 : 53);
        sys_int(rows, "numeric_precision_radix", 2);
        break;
    case OID_NUMERIC:
        sys_int(rows, "numeric_precision_radix", 10);
        if (type.typmod >= 0) {
            sys_int(rows, "numeric_precision", (limit >> 16) & 0xffff);
            sys_int(rows, "numeric_scale", limit & 0x7ff);
        }
        break;
    case OID_DATE:
        sys_int(rows, "datetime_precision", 0);
        break;
    case OID_TIME:
    case OID_TIMESTAMP:
    case OID_TIMESTAMPTZ:
        sys_int(rows, "datetime_precision", type.typmod >= 0 ? type.typmod : 6);
        break;
    case OID_INTERVAL:
        sys_int(rows, "datetime_precision",
                type.typmod >= 0 && (type.typmod & 0xffff) != 0xffff ? type.typmod & 0xffff : 6);
        break;
    default:
        break;
    }
    if (type.oid == OID_NAME) {
        sys_text(rows, "collation_catalog", rows->info->database);
        sys_text(rows, "collation_schema", "pg_catalog");
        sys_text(rows, "collation_name", "C");
    }
    const struct type_row *row = type_find(type.oid);
    sys_text(rows, "udt_catalog", rows->info->database);
    sys_text(rows, "udt_schema", "pg_catalog");
    sys_text(rows, "udt_name", row != NULL ? row->name : NULL);
    sys_text(rows, "dtd_identifier", dtd_identifier);
}

/* ---- relations ---- */

static bool rows_catalog_name(struct sys_rows *rows, struct error *err)
{
    sys_text(rows, "catalog_name", rows->info->database);
    sys_end(rows);
    return true;
}

static bool rows_schemata(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->schemas_count; i++) {
        sys_text(rows, "catalog_name", rows->info->database);
        sys_text(rows, "schema_name", rows->schemas[i].name);
        sys_text(rows, "schema_owner", sys_owner(rows));
        sys_end(rows);
    }
    return true;
}

static bool rows_tables(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        if (!is_table_like(object))
            continue;
        char kind = sys_relkind(object);
        this_table(rows, object);
        sys_text(rows, "table_type",
                 kind == 'r'   ? "BASE TABLE"
                 : kind == 'v' ? "VIEW"
                 : kind == 'f' ? "FOREIGN"
                               : "MATERIALIZED VIEW");
        sys_yes(rows, "is_insertable_into", sys_is_user_table(object));
        sys_end(rows);
    }
    return true;
}

/* The sequence behind an identity column. */
static const struct catalog_object *identity_sequence(const struct sys_rows *rows,
                                                      const struct catalog_object *table,
                                                      const struct catalog_column *column)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        if (object->kind == CATALOG_SEQUENCE && object->index_of == table->oid &&
            column->default_sql != NULL && strstr(column->default_sql, object->name) != NULL)
            return object;
    }
    return NULL;
}

static bool rows_columns(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        for (uint32_t j = 0; is_table_like(object) && j < object->columns_count; j++) {
            const struct catalog_column *column = &object->columns[j];
            bool has_default =
                column->default_sql != NULL && column->identity == 0 && column->generated_sql == NULL;
            this_table(rows, object);
            sys_text(rows, "column_name", column->name);
            sys_int(rows, "ordinal_position", j + 1);
            sys_text(rows, "column_default", has_default ? sys_default(rows, column) : NULL);
            sys_yes(rows, "is_nullable", !column->not_null);
            type_columns(rows, column->type, arena_printf(rows->arena, "%u", j + 1));
            sys_yes(rows, "is_identity", column->identity != 0);
            const struct catalog_object *sequence =
                column->identity != 0 ? identity_sequence(rows, object, column) : NULL;
            if (column->identity != 0)
                sys_text(rows, "identity_generation", column->identity == 'a' ? "ALWAYS" : "BY DEFAULT");
            if (sequence != NULL) {
                sys_textf(rows, "identity_start", "%lld", (long long)sequence->sequence_start);
                sys_textf(rows, "identity_increment", "%lld", (long long)sequence->sequence_increment);
                sys_textf(rows, "identity_maximum", "%lld", (long long)sequence->sequence_max);
                sys_textf(rows, "identity_minimum", "%lld", (long long)sequence->sequence_min);
            }
            sys_yes(rows, "identity_cycle", sequence != NULL && sequence->sequence_cycle);
            sys_text(rows, "is_generated", column->generated_sql != NULL ? "ALWAYS" : "NEVER");
            sys_text(rows, "generation_expression", column->generated_sql);
            sys_yes(rows, "is_updatable", object->kind == CATALOG_TABLE);
            sys_end(rows);
        }
    }
    return true;
}

static bool rows_elements(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        for (uint32_t j = 0; is_table_like(object) && j < object->columns_count; j++) {
            const struct type_row *type = type_find(object->columns[j].type.oid);
            if (type == NULL || type->category != 'A' || type->element_oid == 0)
                continue;
            table_names(rows, "object_catalog", "object_schema", "object_name", object);
            sys_text(rows, "object_type", sys_relkind(object) == 'r' ? "TABLE" : "VIEW");
            sys_textf(rows, "collection_type_identifier", "%u", j + 1);
            type_columns(rows, (struct sql_type){type->element_oid, -1},
                         arena_printf(rows->arena, "a%u", j + 1));
            sys_end(rows);
        }
    }
    return true;
}

static bool rows_views(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        if (sys_relkind(object) != 'v')
            continue;
        this_table(rows, object);
        if (object->query_sql != NULL)
            sys_textf(rows, "view_definition", " %s;", object->query_sql);
        sys_end(rows);
    }
    return true;
}

static bool rows_view_tables(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *view = rows->objects[i];
        for (uint32_t j = 0; view->kind == CATALOG_VIEW && j < view->depends_count; j++) {
            const struct catalog_object *table = sys_object(rows, view->depends[j]);
            if (table == NULL)
                continue;
            table_names(rows, "view_catalog", "view_schema", "view_name", view);
            this_table(rows, table);
            sys_end(rows);
        }
    }
    return true;
}

/* ---- constraints: those of pg_constraint, and one for each column that is NOT NULL ---- */

static const char *not_null_name(struct sys_rows *rows, const struct catalog_object *object, uint32_t column)
{
    return arena_printf(rows->arena, "%u_%u_%u_not_null", object->schema_oid, object->oid, column + 1);
}

static bool has_constraints(const struct catalog_object *object)
{
    return sys_is_user_table(object);
}

static bool rows_table_constraints(struct sys_rows *rows, struct error *err)
{
    static const char *const types[] = {[CONSTRAINT_PRIMARY_KEY] = "PRIMARY KEY",
                                        [CONSTRAINT_UNIQUE] = "UNIQUE",
                                        [CONSTRAINT_CHECK] = "CHECK"};
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        if (!has_constraints(object))
            continue;
        for (uint32_t j = 0; j < object->constraints_count; j++) {
            this_constraint(rows, object, object->constraints[j].name);
            this_table(rows, object);
            sys_text(rows, "constraint_type", types[object->constraints[j].kind]);
            if (object->constraints[j].kind == CONSTRAINT_UNIQUE)
                sys_text(rows, "nulls_distinct", "YES");
            sys_end(rows);
        }
        for (uint32_t j = 0; j < object->columns_count; j++) {
            if (!object->columns[j].not_null)
                continue;
            this_constraint(rows, object, not_null_name(rows, object, j));
            this_table(rows, object);
            sys_text(rows, "constraint_type", "CHECK");
            sys_end(rows);
        }
    }
    return true;
}

static bool rows_checks(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        if (!has_constraints(object))
            continue;
        for (uint32_t j = 0; j < object->constraints_count; j++) {
            if (object->constraints[j].kind != CONSTRAINT_CHECK)
                continue;
            this_constraint(rows, object, object->constraints[j].name);
            sys_textf(rows, "check_clause", "((%s))", object->constraints[j].check_sql);
            sys_end(rows);
        }
        for (uint32_t j = 0; j < object->columns_count; j++) {
            if (!object->columns[j].not_null)
                continue;
            this_constraint(rows, object, not_null_name(rows, object, j));
            sys_textf(rows, "check_clause", "%s IS NOT NULL", object->columns[j].name);
            sys_end(rows);
        }
    }
    return true;
}

static bool rows_key_columns(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        for (uint32_t j = 0; j < object->constraints_count; j++) {
            const struct catalog_constraint *constraint = &object->constraints[j];
            for (uint32_t k = 0; constraint->kind != CONSTRAINT_CHECK && k < constraint->columns_count; k++) {
                this_constraint(rows, object, constraint->name);
                this_table(rows, object);
                sys_text(rows, "column_name", object->columns[constraint->columns[k]].name);
                sys_int(rows, "ordinal_position", k + 1);
                sys_end(rows);
            }
        }
    }
    return true;
}

static bool rows_constraint_columns(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        for (uint32_t j = 0; j < object->constraints_count; j++) {
            const struct catalog_constraint *constraint = &object->constraints[j];
            for (uint32_t k = 0; k < constraint->columns_count; k++) {
                this_table(rows, object);
                sys_text(rows, "column_name", object->columns[constraint->columns[k]].name);
                this_constraint(rows, object, constraint->name);
                sys_end(rows);
            }
        }
    }
    return true;
}

static bool rows_constraint_tables(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        for (uint32_t j = 0; j < object->constraints_count; j++) {
            if (object->constraints[j].kind == CONSTRAINT_CHECK)
                continue;
            this_table(rows, object);
            this_constraint(rows, object, object->constraints[j].name);
            sys_end(rows);
        }
    }
    return true;
}

static bool rows_sequences(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        if (object->kind != CATALOG_SEQUENCE)
            continue;
        table_names(rows, "sequence_catalog", "sequence_schema", "sequence_name", object);
        bool is_int4 = object->sequence_max == INT32_MAX || object->sequence_min == INT32_MIN;
        sys_text(rows, "data_type", is_int4 ? "integer" : "bigint");
        sys_int(rows, "numeric_precision", is_int4 ? 32 : 64);
        sys_textf(rows, "start_value", "%lld", (long long)object->sequence_start);
        sys_textf(rows, "minimum_value", "%lld", (long long)object->sequence_min);
        sys_textf(rows, "maximum_value", "%lld", (long long)object->sequence_max);
        sys_textf(rows, "increment", "%lld", (long long)object->sequence_increment);
        sys_yes(rows, "cycle_option", object->sequence_cycle);
        sys_end(rows);
    }
    return true;
}

/* ---- functions ---- */

static const char *specific_name(struct sys_rows *rows, const struct routine *routine)
{
    return arena_printf(rows->arena, "%s_%u", routine->name, routine->oid);
}

static bool rows_routines(struct sys_rows *rows, struct error *err)
{
    const struct routine *routine;
    for (size_t i = 0; (routine = routine_at(i)) != NULL; i++) {
        if (routine->kind == ROUTINE_OPERATOR)
            continue;
        uint32_t result = routine->signature->result;
        const struct type_row *type = type_find(result);
        bool is_function = routine->kind == ROUTINE_FUNCTION || routine->kind == ROUTINE_IO;
        sys_text(rows, "specific_catalog", rows->info->database);
        sys_text(rows, "specific_schema", "pg_catalog");
        sys_text(rows, "specific_name", specific_name(rows, routine));
        sys_text(rows, "routine_catalog", rows->info->database);
        sys_text(rows, "routine_schema", "pg_catalog");
        sys_text(rows, "routine_name", routine->name);
        sys_text(rows, "routine_type", is_function ? "FUNCTION" : NULL);
        sys_text(rows, "data_type", type_kind_name(rows, result));
        sys_text(rows, "type_udt_catalog", rows->info->database);
        sys_text(rows, "type_udt_schema", "pg_catalog");
        sys_text(rows, "type_udt_name", type != NULL ? type->name : NULL);
        sys_text(rows, "dtd_identifier", "0");
        bool is_strict = routine->function == NULL || (routine->function->flags & FN_NULLS) == 0;
        bool is_fixed =
            routine->function == NULL || (routine->function->flags & (FN_STABLE | FN_VOLATILE)) == 0;
        sys_yes(rows, "is_deterministic", is_fixed);
        sys_yes(rows, "is_null_call", is_strict);
        sys_end(rows);
    }
    return true;
}

static bool rows_parameters(struct sys_rows *rows, struct error *err)
{
    const struct routine *routine;
    for (size_t i = 0; (routine = routine_at(i)) != NULL; i++) {
        if (routine->kind == ROUTINE_OPERATOR)
            continue;
        for (uint32_t j = 0; j < routine->signature->args_count; j++) {
            uint32_t oid = routine->signature->args[j];
            const struct type_row *type = type_find(oid);
            sys_text(rows, "specific_catalog", rows->info->database);
            sys_text(rows, "specific_schema", "pg_catalog");
            sys_text(rows, "specific_name", specific_name(rows, routine));
            sys_int(rows, "ordinal_position", j + 1);
            sys_text(rows, "data_type", type_kind_name(rows, oid));
            sys_text(rows, "udt_catalog", rows->info->database);
            sys_text(rows, "udt_schema", "pg_catalog");
            sys_text(rows, "udt_name", type != NULL ? type->name : NULL);
            sys_textf(rows, "dtd_identifier", "%u", j + 1);
            sys_end(rows);
        }
    }
    return true;
}

/* ---- privileges, roles, text ---- */

static bool rows_table_privileges(struct sys_rows *rows, struct error *err)
{
    static const char *const types[] = {"INSERT",   "SELECT",     "UPDATE", "DELETE",
                                        "TRUNCATE", "REFERENCES", "TRIGGER"};
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        if (!is_table_like(rows->objects[i]))
            continue;
        for (size_t j = 0; j < ARRAY_COUNT(types); j++) {
            sys_text(rows, "grantor", sys_owner(rows));
            sys_text(rows, "grantee", sys_owner(rows));
            this_table(rows, rows->objects[i]);
            sys_text(rows, "privilege_type", types[j]);
            sys_yes(rows, "with_hierarchy", strcmp(types[j], "SELECT") == 0);
            sys_end(rows);
        }
    }
    return true;
}

static bool rows_column_privileges(struct sys_rows *rows, struct error *err)
{
    static const char *const types[] = {"INSERT", "SELECT", "UPDATE", "REFERENCES"};
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        for (uint32_t j = 0; is_table_like(object) && j < object->columns_count; j++) {
            for (size_t k = 0; k < ARRAY_COUNT(types); k++) {
                sys_text(rows, "grantor", sys_owner(rows));
                sys_text(rows, "grantee", sys_owner(rows));
                this_table(rows, object);
                sys_text(rows, "column_name", object->columns[j].name);
                sys_text(rows, "privilege_type", types[k]);
                sys_end(rows);
            }
        }
    }
    return true;
}

static bool rows_roles(struct sys_rows *rows, struct error *err)
{
    uint32_t count;
    const char **names = sys_roles(rows, &count);
    for (uint32_t i = 0; i < count; i++) {
        sys_text(rows, "role_name", names[i]);
        sys_end(rows);
    }
    return true;
}

static bool rows_character_sets(struct sys_rows *rows, struct error *err)
{
    sys_text(rows, "default_collate_catalog", rows->info->database);
    sys_end(rows);
    return true;
}

static bool rows_collations(struct sys_rows *rows, struct error *err)
{
    static const char *const names[] = {"default", "C", "POSIX"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        sys_text(rows, "collation_catalog", rows->info->database);
        sys_text(rows, "collation_name", names[i]);
        sys_end(rows);
    }
    return true;
}

#define VIEW(name, columns, rows, help)                                                                      \
    {                                                                                                        \
        SCHEMA_INFORMATION_SCHEMA, 'v', name, columns, rows, help                                            \
    }

const struct system_view_row sysview_information_schema_rows[] = {
    VIEW("information_schema_catalog_name", "catalog_name name", rows_catalog_name, "the database"),
    VIEW("schemata",
         "catalog_name name, schema_name name, schema_owner name, default_character_set_catalog name, "
         "default_character_set_schema name, default_character_set_name name, sql_path varchar",
         rows_schemata, "schemas"),
    VIEW("tables",
         "table_catalog name, table_schema name, table_name name, table_type varchar, "
         "self_referencing_column_name name, reference_generation varchar, "
         "user_defined_type_catalog name, user_defined_type_schema name, user_defined_type_name name, "
         "is_insertable_into varchar, is_typed varchar = NO, commit_action varchar",
         rows_tables, "tables, streams and views"),
    VIEW("columns",
         "table_catalog name, table_schema name, table_name name, column_name name, "
         "ordinal_position int4, column_default varchar, is_nullable varchar, data_type varchar, "
         "character_maximum_length int4, character_octet_length int4, numeric_precision int4, "
         "numeric_precision_radix int4, numeric_scale int4, datetime_precision int4, "
         "interval_type varchar, interval_precision int4, character_set_catalog name, "
         "character_set_schema name, character_set_name name, collation_catalog name, "
         "collation_schema name, collation_name name, domain_catalog name, domain_schema name, "
         "domain_name name, udt_catalog name, udt_schema name, udt_name name, scope_catalog name, "
         "scope_schema name, scope_name name, maximum_cardinality int4, dtd_identifier name, "
         "is_self_referencing varchar = NO, is_identity varchar, identity_generation varchar, "
         "identity_start varchar, identity_increment varchar, identity_maximum varchar, "
         "identity_minimum varchar, identity_cycle varchar, is_generated varchar, "
         "generation_expression varchar, is_updatable varchar",
         rows_columns, "columns of tables, streams and views"),
    VIEW("views",
         "table_catalog name, table_schema name, table_name name, view_definition varchar, "
         "check_option varchar = NONE, is_updatable varchar = NO, is_insertable_into varchar = NO, "
         "is_trigger_updatable varchar = NO, is_trigger_deletable varchar = NO, "
         "is_trigger_insertable_into varchar = NO",
         rows_views, "views"),
    VIEW("table_constraints",
         "constraint_catalog name, constraint_schema name, constraint_name name, table_catalog name, "
         "table_schema name, table_name name, constraint_type varchar, is_deferrable varchar = NO, "
         "initially_deferred varchar = NO, enforced varchar = YES, nulls_distinct varchar",
         rows_table_constraints, "constraints of tables"),
    VIEW("key_column_usage",
         "constraint_catalog name, constraint_schema name, constraint_name name, table_catalog name, "
         "table_schema name, table_name name, column_name name, ordinal_position int4, "
         "position_in_unique_constraint int4",
         rows_key_columns, "columns of keys"),
    VIEW("constraint_column_usage",
         "table_catalog name, table_schema name, table_name name, column_name name, "
         "constraint_catalog name, constraint_schema name, constraint_name name",
         rows_constraint_columns, "columns of constraints"),
    VIEW("constraint_table_usage",
         "table_catalog name, table_schema name, table_name name, constraint_catalog name, "
         "constraint_schema name, constraint_name name",
         rows_constraint_tables, "tables of keys"),
    VIEW("check_constraints",
         "constraint_catalog name, constraint_schema name, constraint_name name, check_clause varchar",
         rows_checks, "CHECK and NOT NULL"),
    VIEW("sequences",
         "sequence_catalog name, sequence_schema name, sequence_name name, data_type varchar, "
         "numeric_precision int4, numeric_precision_radix int4 = 2, numeric_scale int4 = 0, "
         "start_value varchar, minimum_value varchar, maximum_value varchar, increment varchar, "
         "cycle_option varchar",
         rows_sequences, "sequences"),
    VIEW("routines",
         "specific_catalog name, specific_schema name, specific_name name, routine_catalog name, "
         "routine_schema name, routine_name name, routine_type varchar, module_catalog name, "
         "module_schema name, module_name name, udt_catalog name, udt_schema name, udt_name name, "
         "data_type varchar, character_maximum_length int4, character_octet_length int4, "
         "character_set_catalog name, character_set_schema name, character_set_name name, "
         "collation_catalog name, collation_schema name, collation_name name, numeric_precision int4, "
         "numeric_precision_radix int4, numeric_scale int4, datetime_precision int4, "
         "interval_type varchar, interval_precision int4, type_udt_catalog name, type_udt_schema name, "
         "type_udt_name name, scope_catalog name, scope_schema name, scope_name name, "
         "maximum_cardinality int4, dtd_identifier name, routine_body varchar = EXTERNAL, "
         "routine_definition varchar, external_name varchar, external_language varchar = INTERNAL, "
         "parameter_style varchar = GENERAL, is_deterministic varchar, "
         "sql_data_access varchar = MODIFIES, is_null_call varchar, sql_path varchar, "
         "schema_level_routine varchar = YES, max_dynamic_result_sets int4 = 0, "
         "is_user_defined_cast varchar, is_implicitly_invocable varchar, security_type varchar = INVOKER, "
         "to_sql_specific_catalog name, to_sql_specific_schema name, to_sql_specific_name name, "
         "as_locator varchar = NO, created timestamptz, last_altered timestamptz, "
         "new_savepoint_level varchar, is_udt_dependent varchar = NO, result_cast_from_data_type varchar, "
         "result_cast_as_locator varchar, result_cast_char_max_length int4, "
         "result_cast_char_octet_length int4, result_cast_char_set_catalog name, "
         "result_cast_char_set_schema name, result_cast_char_set_name name, "
         "result_cast_collation_catalog name, result_cast_collation_schema name, "
         "result_cast_collation_name name, result_cast_numeric_precision int4, "
         "result_cast_numeric_precision_radix int4, result_cast_numeric_scale int4, "
         "result_cast_datetime_precision int4, result_cast_interval_type varchar, "
         "result_cast_interval_precision int4, result_cast_type_udt_catalog name, "
         "result_cast_type_udt_schema name, result_cast_type_udt_name name, "
         "result_cast_scope_catalog name, result_cast_scope_schema name, result_cast_scope_name name, "
         "result_cast_maximum_cardinality int4, result_cast_dtd_identifier name",
         rows_routines, "functions"),
    VIEW("parameters",
         "specific_catalog name, specific_schema name, specific_name name, ordinal_position int4, "
         "parameter_mode varchar = IN, is_result varchar = NO, as_locator varchar = NO, "
         "parameter_name name, data_type varchar, character_maximum_length int4, "
         "character_octet_length int4, character_set_catalog name, character_set_schema name, "
         "character_set_name name, collation_catalog name, collation_schema name, collation_name name, "
         "numeric_precision int4, numeric_precision_radix int4, numeric_scale int4, "
         "datetime_precision int4, interval_type varchar, interval_precision int4, udt_catalog name, "
         "udt_schema name, udt_name name, scope_catalog name, scope_schema name, scope_name name, "
         "maximum_cardinality int4, dtd_identifier name, parameter_default varchar",
         rows_parameters, "arguments of functions"),
    VIEW("character_sets",
         "character_set_catalog name, character_set_schema name, character_set_name name = UTF8, "
         "character_repertoire name = UCS, form_of_use name = UTF8, default_collate_catalog name, "
         "default_collate_schema name = pg_catalog, default_collate_name name = C",
         rows_character_sets, "the encoding of all text"),
    VIEW("element_types",
         "object_catalog name, object_schema name, object_name name, object_type varchar, "
         "collection_type_identifier name, data_type varchar, character_maximum_length int4, "
         "character_octet_length int4, character_set_catalog name, character_set_schema name, "
         "character_set_name name, collation_catalog name, collation_schema name, collation_name name, "
         "numeric_precision int4, numeric_precision_radix int4, numeric_scale int4, "
         "datetime_precision int4, interval_type varchar, interval_precision int4, "
         "domain_default varchar, udt_catalog name, udt_schema name, udt_name name, scope_catalog name, "
         "scope_schema name, scope_name name, maximum_cardinality int4, dtd_identifier name",
         rows_elements, "elements of array columns"),
    VIEW("column_privileges",
         "grantor name, grantee name, table_catalog name, table_schema name, table_name name, "
         "column_name name, privilege_type varchar, is_grantable varchar = YES",
         rows_column_privileges, "privileges of the owner"),
    VIEW("table_privileges",
         "grantor name, grantee name, table_catalog name, table_schema name, table_name name, "
         "privilege_type varchar, is_grantable varchar = YES, with_hierarchy varchar",
         rows_table_privileges, "privileges of the owner"),
    VIEW("role_table_grants",
         "grantor name, grantee name, table_catalog name, table_schema name, table_name name, "
         "privilege_type varchar, is_grantable varchar = YES, with_hierarchy varchar",
         rows_table_privileges, "privileges of the owner"),
    VIEW("enabled_roles", "role_name name", rows_roles, "roles"),
    VIEW("view_table_usage",
         "view_catalog name, view_schema name, view_name name, table_catalog name, table_schema name, "
         "table_name name",
         rows_view_tables, "what views read"),
    VIEW("collations",
         "collation_catalog name, collation_schema name = pg_catalog, collation_name name, "
         "pad_attribute varchar = 'NO PAD'",
         rows_collations, "orders of text"),
};
const size_t sysview_information_schema_rows_count = ARRAY_COUNT(sysview_information_schema_rows);
