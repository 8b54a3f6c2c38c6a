/* sysview_pg_class.c: relations, schemas, indexes, constraints and what hangs on them, as PostgreSQL's
 * catalogs pg_class, pg_namespace, pg_index, pg_constraint, pg_depend ... show them (PostgreSQL manual,
 * chapter 53).
 *
 * A stream is shown as a table; the index behind a key is a pg_class row of its own; a view has one rule. */
#include "executor/functions/quote.h"
#include "planner/redact.h"
#include "planner/reg_names.h"
#include "server/external.h"
#include "server/sequence.h"
#include "server/sysview.h"

static void add_quoted(struct strbuf *out, const char *name)
{
    quote_identifier(name, strlen(name), out);
}

static const char *index_definition(struct sys_rows *rows, const struct catalog_object *index,
                                    const struct catalog_object *table)
{
    struct strbuf out = STRBUF_INIT;
    strbuf_adds(&out,
                index->index_is_unique || index->index_is_primary ? "CREATE UNIQUE INDEX " : "CREATE INDEX ");
    add_quoted(&out, index->name);
    strbuf_adds(&out, " ON ");
    add_quoted(&out, sys_schema_name(rows, table->schema_oid));
    strbuf_addc(&out, '.');
    add_quoted(&out, table->name);
    strbuf_adds(&out, " USING btree (");
    for (uint32_t i = 0; i < index->index_columns_count; i++) {
        strbuf_adds(&out, i > 0 ? ", " : "");
        add_quoted(&out, table->columns[index->index_columns[i]].name);
    }
    strbuf_addc(&out, ')');
    const char *text = arena_strndup(rows->arena, strbuf_text(&out), out.len);
    strbuf_release(&out);
    return text;
}

static const char *view_definition(struct sys_rows *rows, const struct catalog_object *object)
{
    if (object->query_sql == NULL)
        return NULL;
    size_t len = strlen(object->query_sql);
    while (len > 0 && strchr("; \n\t", object->query_sql[len - 1]) != NULL)
        len--;
    return arena_printf(rows->arena, " %.*s;", (int)len, object->query_sql);
}

/* Bit 1: has an index, bit 2: has a check. One walk over the catalog for all relations would need a map;
 * relations are few, and their indexes stand behind them. */
static bool has_index(const struct sys_rows *rows, const struct catalog_object *table)
{
    for (uint32_t i = 0; i < table->constraints_count; i++)
        if (table->constraints[i].kind != CONSTRAINT_CHECK)
            return true;
    for (uint32_t i = 0; i < rows->objects_count; i++)
        if (rows->objects[i]->kind == CATALOG_INDEX && rows->objects[i]->index_of == table->oid)
            return true;
    return false;
}

static uint32_t count_checks(const struct catalog_object *object)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < object->constraints_count; i++)
        count += object->constraints[i].kind == CONSTRAINT_CHECK;
    return count;
}

static bool rows_pg_class(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        char kind = sys_relkind(object);
        struct relation_stats stats = {0};
        if (object->relation != NULL)
            relation_stats(object->relation, &stats);
        bool is_index = kind == 'i', is_stored = kind == 'r' || kind == 'm';
        sys_int(rows, "oid", object->oid);
        sys_text(rows, "relname", object->name);
        sys_int(rows, "relnamespace", object->schema_oid);
        sys_int(rows, "relam", is_index ? AM_BTREE : is_stored ? AM_HEAP : 0);
        sys_int(rows, "relfilenode", kind == 'v' ? 0 : object->oid);
        sys_int(rows, "relpages", (stats.bytes + 8191) / 8192);
        sys_real(rows, "reltuples", (double)stats.rows);
        sys_bool(rows, "relhasindex", sys_is_user_table(object) && has_index(rows, object));
        sys_char(rows, "relkind", kind);
        sys_int(rows, "relnatts", is_index ? object->index_columns_count : object->columns_count);
        sys_int(rows, "relchecks", count_checks(object));
        sys_bool(rows, "relhasrules", object->query_sql != NULL);
        sys_char(rows, "relreplident", is_stored && object->kind != CATALOG_SYSTEM_VIEW ? 'd' : 'n');
        if (object->options_count > 0) {
            const char **options = ARENA_ARRAY(rows->arena, const char *, object->options_count);
            uint32_t count = 0;
            for (uint32_t j = 0; j < object->options_count; j++)
                if ((object->kind != CATALOG_EXTERNAL_TABLE ||
                     external_option_is_ours(object->options[j].name)) &&
                    object->options[j].secret == NULL &&
                    !redact_is_private(object->options[j].name, object->options[j].value))
                    options[count++] =
                        arena_printf(rows->arena, "%s=%s", object->options[j].name, object->options[j].value);
            sys_text_array(rows, "reloptions", options, count);
        }
        sys_end(rows);
    }
    return true;
}

static bool rows_pg_namespace(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->schemas_count; i++) {
        sys_int(rows, "oid", rows->schemas[i].oid);
        sys_text(rows, "nspname", rows->schemas[i].name);
        sys_end(rows);
    }
    return true;
}

static bool rows_pg_index(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *index = rows->objects[i];
        const struct catalog_object *table =
            index->kind == CATALOG_INDEX ? sys_object(rows, index->index_of) : NULL;
        if (table == NULL)
            continue;
        uint32_t count = index->index_columns_count;
        int64_t *keys = ARENA_ARRAY(rows->arena, int64_t, count + 1);
        int64_t *zeros = ARENA_ARRAY(rows->arena, int64_t, count + 1);
        int64_t *collations = ARENA_ARRAY(rows->arena, int64_t, count + 1);
        int64_t *classes = ARENA_ARRAY(rows->arena, int64_t, count + 1);
        for (uint32_t j = 0; j < count; j++) {
            uint32_t type = table->columns[index->index_columns[j]].type.oid;
            keys[j] = (int64_t)index->index_columns[j] + 1;
            classes[j] = opclass_oid(type);
            collations[j] = type == OID_TEXT || type == OID_VARCHAR || type == OID_BPCHAR ? 100 : 0;
        }
        sys_int(rows, "indexrelid", index->oid);
        sys_int(rows, "indrelid", table->oid);
        sys_int(rows, "indnatts", count);
        sys_int(rows, "indnkeyatts", count);
        sys_bool(rows, "indisunique", index->index_is_unique || index->index_is_primary);
        sys_bool(rows, "indisprimary", index->index_is_primary);
        sys_int_array(rows, "indkey", keys, count);
        sys_int_array(rows, "indcollation", collations, count);
        sys_int_array(rows, "indclass", classes, count);
        sys_int_array(rows, "indoption", zeros, count);
        sys_end(rows);
    }
    return true;
}

static bool rows_pg_attrdef(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        for (uint32_t j = 0; j < object->columns_count; j++) {
            const struct catalog_column *column = &object->columns[j];
            const char *text =
                column->generated_sql != NULL ? column->generated_sql : sys_default(rows, column);
            if (text == NULL || (column->identity != 0 && column->generated_sql == NULL))
                continue;
            sys_int(rows, "oid", attrdef_oid(object->oid, j + 1));
            sys_int(rows, "adrelid", object->oid);
            sys_int(rows, "adnum", j + 1);
            sys_text(rows, "adbin", text);
            sys_end(rows);
        }
    }
    return true;
}

/* The columns a CHECK names: those whose name stands as a word in its text, outside of strings. */
static uint32_t check_columns(const struct catalog_object *object, const char *text, int64_t *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < object->columns_count; i++) {
        const char *name = object->columns[i].name;
        size_t len = strlen(name);
        bool in_string = false;
        for (const char *at = text; *at != '\0'; at++) {
            in_string ^= *at == '\'';
            bool starts = at == text || strchr(" (\",=<>+-*/%|[.", at[-1]) != NULL;
            if (!in_string && starts && strncmp(at, name, len) == 0 &&
                strchr(" )\",=<>+-*/%|[]:.", at[len]) != NULL) {
                out[count++] = (int64_t)i + 1;
                break;
            }
        }
    }
    return count;
}

static bool rows_pg_constraint(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        for (uint32_t j = 0; j < object->constraints_count; j++) {
            const struct catalog_constraint *constraint = &object->constraints[j];
            bool is_check = constraint->kind == CONSTRAINT_CHECK;
            uint32_t count = constraint->columns_count;
            int64_t *keys = ARENA_ARRAY(rows->arena, int64_t, object->columns_count + count + 1);
            for (uint32_t k = 0; k < count; k++)
                keys[k] = (int64_t)constraint->columns[k] + 1;
            if (is_check)
                count = check_columns(object, constraint->check_sql, keys);
            sys_int(rows, "oid", constraint->oid);
            sys_text(rows, "conname", constraint->name);
            sys_int(rows, "connamespace", object->schema_oid);
            sys_char(rows, "contype", is_check ? 'c' : constraint->kind == CONSTRAINT_UNIQUE ? 'u' : 'p');
            sys_int(rows, "conrelid", object->oid);
            sys_int(rows, "conindid", is_check ? 0 : constraint->index_oid);
            sys_bool(rows, "connoinherit", !is_check);
            sys_int_array(rows, "conkey", keys, count);
            sys_text(rows, "conbin", constraint->check_sql);
            sys_end(rows);
        }
    }
    return true;
}

static bool rows_pg_rewrite(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        if (object->query_sql == NULL)
            continue;
        sys_int(rows, "oid", object->oid);
        sys_int(rows, "ev_class", object->oid);
        sys_text(rows, "ev_action", object->query_sql);
        sys_end(rows);
    }
    return true;
}

static void depend(struct sys_rows *rows, uint32_t class_oid, uint32_t oid, uint32_t column,
                   uint32_t ref_class, uint32_t ref_oid, uint32_t ref_column, char type)
{
    sys_int(rows, "classid", class_oid);
    sys_int(rows, "objid", oid);
    sys_int(rows, "objsubid", column);
    sys_int(rows, "refclassid", ref_class);
    sys_int(rows, "refobjid", ref_oid);
    sys_int(rows, "refobjsubid", ref_column);
    sys_char(rows, "deptype", type);
    sys_end(rows);
}

/* The column of `table` whose default takes numbers from the sequence; 0 none. */
static uint32_t owned_column(const struct catalog_object *table, const struct catalog_object *sequence)
{
    size_t len = strlen(sequence->name);
    for (uint32_t i = 0; table != NULL && i < table->columns_count; i++) {
        const char *text = table->columns[i].default_sql;
        const char *at = text != NULL ? strstr(text, sequence->name) : NULL;
        if (at != NULL && at > text && strchr("'\".", at[-1]) != NULL && strchr("'\"", at[len]) != NULL)
            return i + 1;
    }
    return 0;
}

static bool rows_pg_depend(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        if (object->kind == CATALOG_SYSTEM_VIEW)
            continue;
        depend(rows, CLASS_PG_CLASS, object->oid, 0, CLASS_PG_NAMESPACE, object->schema_oid, 0, 'n');
        for (uint32_t j = 0; j < object->constraints_count; j++) {
            const struct catalog_constraint *constraint = &object->constraints[j];
            for (uint32_t k = 0; k < constraint->columns_count; k++)
                depend(rows, CLASS_PG_CONSTRAINT, constraint->oid, 0, CLASS_PG_CLASS, object->oid,
                       constraint->columns[k] + 1, 'a');
            if (constraint->kind != CONSTRAINT_CHECK)
                depend(rows, CLASS_PG_CLASS, constraint->index_oid, 0, CLASS_PG_CONSTRAINT, constraint->oid,
                       0, 'i');
            else
                depend(rows, CLASS_PG_CONSTRAINT, constraint->oid, 0, CLASS_PG_CLASS, object->oid, 0, 'a');
        }
        for (uint32_t j = 0; j < object->columns_count; j++)
            if (object->columns[j].default_sql != NULL && object->columns[j].identity == 0)
                depend(rows, CLASS_PG_ATTRDEF, attrdef_oid(object->oid, j + 1), 0, CLASS_PG_CLASS,
                       object->oid, j + 1, 'a');
        if (object->kind == CATALOG_SEQUENCE && object->index_of != 0) {
            const struct catalog_object *table = sys_object(rows, object->index_of);
            uint32_t column = owned_column(table, object);
            if (column > 0)
                depend(rows, CLASS_PG_CLASS, object->oid, 0, CLASS_PG_CLASS, object->index_of, column,
                       table->columns[column - 1].identity != 0 ? 'i' : 'a');
        }
        if (object->kind == CATALOG_INDEX) {
            const struct catalog_object *table = sys_object(rows, object->index_of);
            bool of_constraint = false;
            for (uint32_t j = 0; table != NULL && j < table->constraints_count; j++)
                of_constraint |= table->constraints[j].index_oid == object->oid;
            for (uint32_t j = 0; !of_constraint && j < object->index_columns_count; j++)
                depend(rows, CLASS_PG_CLASS, object->oid, 0, CLASS_PG_CLASS, object->index_of,
                       object->index_columns[j] + 1, 'a');
        }
        if (object->query_sql != NULL) {
            depend(rows, CLASS_PG_REWRITE, object->oid, 0, CLASS_PG_CLASS, object->oid, 0, 'i');
            for (uint32_t j = 0; j < object->depends_count; j++)
                depend(rows, CLASS_PG_REWRITE, object->oid, 0, CLASS_PG_CLASS, object->depends[j], 0, 'n');
        }
    }
    return true;
}

/* ---- the readable views over them ---- */

static bool rows_pg_tables(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        if (sys_relkind(object) != 'r')
            continue;
        sys_text(rows, "schemaname", sys_schema_name(rows, object->schema_oid));
        sys_text(rows, "tablename", object->name);
        sys_text(rows, "tableowner", sys_owner(rows));
        sys_bool(rows, "hasindexes", sys_is_user_table(object) && has_index(rows, object));
        sys_end(rows);
    }
    return true;
}

static bool rows_pg_views(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        if (sys_relkind(object) != 'v')
            continue;
        sys_text(rows, "schemaname", sys_schema_name(rows, object->schema_oid));
        sys_text(rows, "viewname", object->name);
        sys_text(rows, "viewowner", sys_owner(rows));
        sys_text(rows, "definition", view_definition(rows, object));
        sys_end(rows);
    }
    return true;
}

static bool rows_pg_matviews(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        if (object->kind != CATALOG_MATERIALIZED_VIEW)
            continue;
        sys_text(rows, "schemaname", sys_schema_name(rows, object->schema_oid));
        sys_text(rows, "matviewname", object->name);
        sys_text(rows, "matviewowner", sys_owner(rows));
        sys_bool(rows, "hasindexes", has_index(rows, object));
        sys_text(rows, "definition", view_definition(rows, object));
        sys_end(rows);
    }
    return true;
}

static bool rows_pg_indexes(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *index = rows->objects[i];
        const struct catalog_object *table =
            index->kind == CATALOG_INDEX ? sys_object(rows, index->index_of) : NULL;
        if (table == NULL)
            continue;
        sys_text(rows, "schemaname", sys_schema_name(rows, table->schema_oid));
        sys_text(rows, "tablename", table->name);
        sys_text(rows, "indexname", index->name);
        sys_text(rows, "indexdef", index_definition(rows, index, table));
        sys_end(rows);
    }
    return true;
}

static bool rows_pg_rules(struct sys_rows *rows, struct error *err)
{
    return true; /* PostgreSQL leaves the rules of views out as well */
}

/* The integer type whose range the sequence has. */
static uint32_t sequence_type(const struct sys_rows *rows, const struct catalog_object *sequence)
{
    const struct catalog_object *table = sys_object(rows, sequence->index_of);
    uint32_t column = owned_column(table, sequence);
    uint32_t type = column > 0 ? table->columns[column - 1].type.oid : OID_INT8;
    int64_t limit = type == OID_INT2 ? INT16_MAX : type == OID_INT4 ? INT32_MAX : INT64_MAX;
    return (type == OID_INT2 || type == OID_INT4) && sequence->sequence_max <= limit &&
                   sequence->sequence_min >= -limit - 1
               ? type
               : OID_INT8;
}

static bool rows_pg_sequence(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        if (object->kind != CATALOG_SEQUENCE)
            continue;
        sys_int(rows, "seqrelid", object->oid);
        sys_int(rows, "seqtypid", sequence_type(rows, object));
        sys_int(rows, "seqstart", object->sequence_start);
        sys_int(rows, "seqincrement", object->sequence_increment);
        sys_int(rows, "seqmax", object->sequence_max);
        sys_int(rows, "seqmin", object->sequence_min);
        sys_bool(rows, "seqcycle", object->sequence_cycle);
        sys_end(rows);
    }
    return true;
}

static bool rows_pg_sequences(struct sys_rows *rows, struct error *err)
{
    for (uint32_t i = 0; i < rows->objects_count; i++) {
        const struct catalog_object *object = rows->objects[i];
        if (object->kind != CATALOG_SEQUENCE)
            continue;
        sys_text(rows, "schemaname", sys_schema_name(rows, object->schema_oid));
        sys_text(rows, "sequencename", object->name);
        sys_text(rows, "sequenceowner", sys_owner(rows));
        sys_int(rows, "data_type", sequence_type(rows, object));
        sys_int(rows, "start_value", object->sequence_start);
        sys_int(rows, "min_value", object->sequence_min);
        sys_int(rows, "max_value", object->sequence_max);
        sys_int(rows, "increment_by", object->sequence_increment);
        sys_bool(rows, "cycle", object->sequence_cycle);
        int64_t last;
        if (sequence_last_value(object, &last))
            sys_int(rows, "last_value", last);
        sys_end(rows);
    }
    return true;
}

#define CATALOG(name, columns, rows, help)                                                                   \
    {                                                                                                        \
        SCHEMA_PG_CATALOG, 'r', name, columns, rows, help                                                    \
    }
#define VIEW(name, columns, rows, help)                                                                      \
    {                                                                                                        \
        SCHEMA_PG_CATALOG, 'v', name, columns, rows, help                                                    \
    }

const struct system_view_row sysview_pg_class_rows[] = {
    CATALOG(
        "pg_class",
        "oid oid, relname name, relnamespace oid, reltype oid = 0, reloftype oid = 0, relowner oid = 10, "
        "relam oid, "
        "relfilenode oid, reltablespace oid = 0, relpages int4, reltuples float4, relallvisible int4 = 0, "
        "reltoastrelid oid = 0, relhasindex bool, relisshared bool = f, relpersistence char = p, relkind "
        "char, "
        "relnatts int2, relchecks int2, relhasrules bool, relhastriggers bool = f, relhassubclass bool = f, "
        "relrowsecurity bool = f, relforcerowsecurity bool = f, relispopulated bool = t, relreplident char, "
        "relispartition bool = f, relrewrite oid = 0, relfrozenxid xid = 0, relminmxid xid = 0, relacl "
        "text[], "
        "reloptions text[], relpartbound text",
        rows_pg_class, "relations: tables, streams, views, indexes, sequences"),
    CATALOG("pg_namespace", "oid oid, nspname name, nspowner oid = 10, nspacl text[]", rows_pg_namespace,
            "schemas"),
    CATALOG(
        "pg_index",
        "indexrelid oid, indrelid oid, indnatts int2, indnkeyatts int2, indisunique bool, "
        "indnullsnotdistinct bool = f, indisprimary bool, indisexclusion bool = f, indimmediate bool = t, "
        "indisclustered bool = f, indisvalid bool = t, indcheckxmin bool = f, indisready bool = t, "
        "indislive bool = t, indisreplident bool = f, indkey int2vector, indcollation oidvector, "
        "indclass oidvector, indoption int2vector, indexprs text, indpred text",
        rows_pg_index, "indexes and the keys of tables"),
    CATALOG("pg_attrdef", "oid oid, adrelid oid, adnum int2, adbin text", rows_pg_attrdef,
            "defaults of columns"),
    CATALOG("pg_constraint",
            "oid oid, conname name, connamespace oid, contype char, condeferrable bool = f, condeferred bool "
            "= f, "
            "convalidated bool = t, conrelid oid, contypid oid = 0, conindid oid, conparentid oid = 0, "
            "confrelid oid = 0, confupdtype char = ' ', confdeltype char = ' ', confmatchtype char = ' ', "
            "conislocal bool = t, coninhcount int4 = 0, connoinherit bool, conkey int2[], confkey int2[], "
            "conpfeqop oid[], conppeqop oid[], conffeqop oid[], confdelsetcols int2[], conexclop oid[], "
            "conbin text",
            rows_pg_constraint, "primary keys, unique and check constraints"),
    CATALOG("pg_rewrite",
            "oid oid, rulename name = _RETURN, ev_class oid, ev_type char = 1, ev_enabled char = O, "
            "is_instead bool = t, ev_qual text = <>, ev_action text",
            rows_pg_rewrite, "the rule behind each view"),
    CATALOG(
        "pg_depend",
        "classid oid, objid oid, objsubid int4, refclassid oid, refobjid oid, refobjsubid int4, deptype char",
        rows_pg_depend, "what depends on what"),
    CATALOG("pg_sequence",
            "seqrelid oid, seqtypid oid, seqstart int8, seqincrement int8, seqmax int8, seqmin int8, "
            "seqcache int8 = 1, "
            "seqcycle bool",
            rows_pg_sequence, "sequences"),
    VIEW("pg_tables",
         "schemaname name, tablename name, tableowner name, tablespace name, hasindexes bool, hasrules bool "
         "= f, "
         "hastriggers bool = f, rowsecurity bool = f",
         rows_pg_tables, "tables and streams"),
    VIEW("pg_views", "schemaname name, viewname name, viewowner name, definition text", rows_pg_views,
         "views"),
    VIEW("pg_matviews",
         "schemaname name, matviewname name, matviewowner name, tablespace name, hasindexes bool, "
         "ispopulated bool = t, definition text",
         rows_pg_matviews, "materialized views"),
    VIEW("pg_indexes", "schemaname name, tablename name, indexname name, tablespace name, indexdef text",
         rows_pg_indexes, "indexes"),
    VIEW("pg_rules", "schemaname name, tablename name, rulename name, definition text", rows_pg_rules,
         "rules besides those of views: there are none"),
    VIEW("pg_sequences",
         "schemaname name, sequencename name, sequenceowner name, data_type regtype, start_value int8, "
         "min_value int8, "
         "max_value int8, increment_by int8, cycle bool, cache_size int8 = 1, last_value int8",
         rows_pg_sequences, "sequences"),
};
const size_t sysview_pg_class_rows_count = ARRAY_COUNT(sysview_pg_class_rows);
