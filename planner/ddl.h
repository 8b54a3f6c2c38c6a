/* ddl.h: binds the definitions of tables, streams and sequences, and writes them back as text.
 *
 * ddl_bind_table turns a CREATE TABLE or CREATE STREAM into a catalog object with everything resolved: types,
 * defaults, keys, checks, constraint names. ddl_table_sql gives the statement that makes the same object
 * again: it is what the catalog store keeps, so that LIKE, serial, CREATE TABLE AS and later changes need no
 * memory of how they came. */
#ifndef MILLRACE_PLANNER_DDL_H
#define MILLRACE_PLANNER_DDL_H

#include "planner/planner.h"
#include "planner/statement.h"

/* A sequence that serial and identity columns want; made together with the table. */
struct ddl_sequence {
    const char *name; /* in the table's schema */
    uint32_t column;
    uint32_t type_oid; /* its range */
    size_t options_count;
    PgQuery__Node **options; /* START, INCREMENT ... of an identity column */
};

struct ddl_table {
    const struct catalog_object
        *replaces;                 /* set by the caller: its names count as free (ALTER TABLE); NULL: none */
    struct catalog_object *object; /* one reference, the caller's */
    uint32_t sequences_count, sequences_cap;
    struct ddl_sequence *sequences;
};

/* Options of columns in the store's text alone: catalog_column.since and missing. */
#define DDL_OPTION_ADDED   "added"
#define DDL_OPTION_MISSING "missing"
bool ddl_is_added_option(const char *name);

/* oid 0: new OIDs for it, its constraints and the indexes behind its keys are taken from the catalog; else
 * they follow this one, in order, as at its creation. stored: the statement comes from the store: sequences
 * exist already. */
MUST_CHECK
bool ddl_bind_table(struct planner_context *ctx, const struct statement *statement, uint32_t oid, bool stored,
                    struct ddl_table *out, struct error *err);
/* CREATE TABLE ... AS, and the column list of views: columns of a query's result, renamed by `names`. */
MUST_CHECK
bool ddl_result_columns(struct planner_context *ctx, const struct plan *plan, size_t names_count,
                        PgQuery__Node **names, struct catalog_object *object, struct error *err);
/* Gives the object and its constraints their OIDs; the last one used is the result. oid 0: new ones. */
uint32_t ddl_assign_oids(struct catalog *catalog, struct catalog_object *object, uint32_t oid);
/* The catalog entry of the index behind a key (constraint number i): one reference, the caller's. */
struct catalog_object *ddl_key_index(const struct catalog_object *table, uint32_t constraint);
/* The statement again, qualified; in the arena. */
const char *ddl_table_sql(struct arena *arena, struct catalog *catalog, const struct catalog_object *object);
/* table: as it will be; NULL: as the catalog has it. */
const char *ddl_index_sql(struct arena *arena, struct catalog *catalog, const struct catalog_object *index,
                          const struct catalog_object *table);
const char *ddl_sink_sql(struct arena *arena, struct catalog *catalog, const struct catalog_object *sink);
const char *ddl_sequence_sql(struct arena *arena, struct catalog *catalog,
                             const struct catalog_object *sequence);
/* What the engine wants to know; names and lists in the arena. */
void ddl_relation_desc(struct arena *arena, struct catalog *catalog, const struct catalog_object *object,
                       struct relation_desc *out);

/* Where CREATE puts a name: its schema, or the first of the search path. 3F000; 42501 for system schemas. */
MUST_CHECK
bool ddl_target_schema(struct planner_context *ctx, const PgQuery__RangeVar *name, uint32_t *schema_oid,
                       struct error *err);
/* WITH (...) as names and texts; 42601 for duplicates. known NULL: every name is accepted; else a list that
 * ends in NULL, and 22023 naming the nearest for others. */
MUST_CHECK
bool ddl_options(struct planner_context *ctx, size_t count, PgQuery__Node **nodes, const char *const *known,
                 struct arena *arena, struct catalog_option **options, uint32_t *options_count,
                 struct error *err);
const char *ddl_option(const struct catalog_object *object, const char *name);
/* One more, behind the others; borrows name and value for as long as the object lives. */
void ddl_add_option(struct catalog_object *object, const char *name, const char *value);
/* A size such as '1GB', greater than zero; *bytes stays as it is without the option. 22023. */
MUST_CHECK
bool ddl_bytes_option(const struct catalog_object *object, const char *name, int64_t *bytes,
                      struct error *err);
/* The known name that differs least from `name`, or NULL when none is near. */
const char *ddl_nearest(const char *name, const char *const *known);
/* The number of one option; 42601 when it is none. */
MUST_CHECK
bool ddl_sequence_number(const PgQuery__DefElem *def, int64_t *out, struct error *err);
/* START, INCREMENT, MINVALUE, MAXVALUE, CYCLE, AS type, OWNED BY into the object's sequence fields. */
MUST_CHECK
bool ddl_sequence_options(struct planner_context *ctx, size_t count, PgQuery__Node **options,
                          uint32_t type_oid, struct catalog_object *object, struct error *err);
/* name1_name2_label, cut to NAME_BYTES_MAX, with a number behind it when taken(ctx, name) says so. */
const char *ddl_choose_name(struct arena *arena, const char *name1, const char *name2, const char *label,
                            bool (*taken)(void *ctx, const char *name), void *ctx);
bool ddl_name_taken(struct catalog *catalog, uint32_t schema_oid, const char *name);
/* "schema.name" quoted as needed. */
const char *ddl_qualified(struct arena *arena, struct catalog *catalog, const struct catalog_object *object);

#endif
