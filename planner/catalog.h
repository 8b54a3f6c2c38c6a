/* catalog.h: the names: schemas, relations, columns, constraints, indexes.
 *
 * One catalog per server, guarded by a reader-writer lock: statements hold it for reading while they bind,
 * DDL holds it for writing while it changes names. Objects are reference-counted and immutable once published
 * (a changed object is a new one), so a bound plan keeps working after DROP. `version` grows with every
 * change: prepared statements compare it.
 *
 * OIDs of user objects start at 16384, are never reused, and equal the relation's OID in log and engine. */
#ifndef MILLRACE_PLANNER_CATALOG_H
#define MILLRACE_PLANNER_CATALOG_H

#include "executor/plan.h"
#include "executor/relation.h"

#define SCHEMA_PG_CATALOG         11u
#define SCHEMA_PUBLIC             2200u
#define SCHEMA_INFORMATION_SCHEMA 13000u
#define SCHEMA_MILLRACE           13500u /* system views of our own */
#define FIRST_USER_OID            16384u

enum catalog_kind {
    CATALOG_TABLE,
    CATALOG_STREAM,
    CATALOG_VIEW,
    CATALOG_MATERIALIZED_VIEW,
    CATALOG_INDEX,
    CATALOG_SYSTEM_VIEW,
    CATALOG_SEQUENCE,
    CATALOG_EXTERNAL_TABLE, /* `relation` is its cache: CACHE_COLUMNS more columns */
    CATALOG_SINK,           /* `relation` is its outbox (executor/outbox.h); nobody reads it by name */
};

struct catalog_column {
    const char *name;
    struct sql_type type;
    bool not_null;
    const char *default_sql;   /* expression text; NULL none */
    const char *generated_sql; /* GENERATED ALWAYS AS (...) STORED; NULL none */
    char identity;             /* GENERATED ALWAYS 'a' or BY DEFAULT 'd' AS IDENTITY (default_sql is its
                                  nextval); 0 none */
    const char *
        metadata; /* OPTIONS (metadata 'offset'): what of a source's record it holds; NULL: part of its value */
    const char
        *path; /* OPTIONS (path 'a.b[0]'): where that is in the record; NULL: under the column's name */
    /* Tables and streams, of columns that were added while others read the relation: an OID from then, greater than those of
     * the views whose text was written before, which do not see the column; 0: it was there from the start. */
    uint32_t since;
    const char *missing; /* what rows from before have in it, as text; NULL: NULL */
    const char *comment;
};

enum constraint_kind { CONSTRAINT_PRIMARY_KEY, CONSTRAINT_UNIQUE, CONSTRAINT_CHECK };
struct catalog_constraint {
    uint32_t oid;
    const char *name;
    enum constraint_kind kind;
    uint32_t columns_count;
    uint32_t *columns;
    const char *check_sql;
    uint32_t index_oid; /* pg_class entry of the index behind a key */
};

/* What a relation is that a source owns (docs/kafka.md); index_of is the source's OID. */
enum catalog_role { CATALOG_ROLE_NONE, CATALOG_ROLE_PROGRESS, CATALOG_ROLE_ERRORS };

struct catalog_option {
    const char *name, *value;
    const char *secret; /* the value is this secret's, and shown nowhere; NULL: it is as written */
};

/* CREATE SECRET: a text for options of connectors, which is shown nowhere. */
struct catalog_secret {
    uint32_t oid;
    const char *name, *value;
    int64_t created_us; /* wall clock, of its present value */
};

struct catalog_object {
    uint32_t oid;
    uint32_t schema_oid;
    const char *name;
    enum catalog_kind kind;
    uint32_t columns_count;
    struct catalog_column *columns;
    uint32_t constraints_count;
    struct catalog_constraint *constraints;
    uint32_t options_count;
    struct catalog_option *options; /* WITH (...) */
    const char *watermark_column;   /* WATERMARK FOR column AS expression; NULL none */
    const char *watermark_sql;
    const char *sql;       /* as stored: the whole CREATE statement, normalised */
    const char *query_sql; /* views and sinks: the SELECT alone */
    uint32_t
        defined_oid; /* views: an OID from when this text was written (catalog_column.since); 0: its own */
    const char *timezone; /* settings recorded at CREATE; NULL for tables */
    const char *search_path;
    uint32_t depends_count;
    uint32_t *depends;         /* OIDs of the relations a view, sink or index reads */
    struct relation *relation; /* run time; NULL for views, indexes, system views */
    enum catalog_role role;
    /* index */
    uint32_t index_of; /* OID of its relation */
    uint32_t index_columns_count;
    uint32_t *index_columns;
    bool index_is_unique, index_is_primary;
    int32_t index_number; /* engine's number; -1: the primary key's own */
    /* sequence; index_of: OID of the table that owns it, 0 none */
    int64_t sequence_start, sequence_increment, sequence_min, sequence_max;
    bool sequence_cycle;
    struct sequence *sequence; /* run time: server/sequence.h */
    /* system view */
    system_rows_fn system_rows;
    void *system_ctx;
    const char *comment;
    const char *disabled; /* why it can be dropped and nothing else (--safe-mode); NULL: it is in use */
    struct arena arena;   /* everything above; what is above is copied by catalog_object_clone */
    _Atomic uint32_t references;
};

struct catalog_schema {
    uint32_t oid;
    const char *name;
    bool is_system;
};

struct catalog;

struct catalog *catalog_create(void);
void catalog_destroy(struct catalog *catalog);
void catalog_read_lock(struct catalog *catalog);
void catalog_write_lock(struct catalog *catalog);
void catalog_unlock(struct catalog *catalog);
uint64_t catalog_version(struct catalog *catalog);
/* Next free OID; any thread. */
uint32_t catalog_new_oid(struct catalog *catalog);
void catalog_reserve_oid(struct catalog *catalog, uint32_t used); /* recovery */

/* The functions below need the lock (reading or, for changes, writing). */

/* A fresh object with its arena, one reference, not yet in the catalog. */
struct catalog_object *catalog_object_create(void);
/* false: a stream WITH (retention = '0'), whose rows only pass through the views over it, or one whose rows go after a
 * time or when there are too many. */
bool catalog_object_keeps_rows(const struct catalog_object *object);
/* A copy with the same OID, for a change of it; holds the relation as well. The sequence is shared. */
struct catalog_object *catalog_object_clone(const struct catalog_object *object);
/* How many of its columns a text sees that was written when this was the newest OID (0: now); they are the first ones. */
uint32_t catalog_visible_columns(const struct catalog_object *object, uint32_t as_of_oid);
/* When the object's text was written, for the above. */
uint32_t catalog_defined_at(const struct catalog_object *object);
/* Goes with its owner without being asked: an index, a sequence of a column, a relation of a source. */
bool catalog_object_is_part_of(const struct catalog_object *object, uint32_t owner_oid);
void catalog_object_retain(struct catalog_object *object);
void catalog_object_release(struct catalog_object *object);
/* Adds it (taking over the caller's reference); 42P07 when the name is taken. */
MUST_CHECK
bool catalog_add(struct catalog *catalog, struct catalog_object *object, struct error *err);
void catalog_remove(struct catalog *catalog, uint32_t oid);
/* Puts a changed object (same oid) in place of the old one. */
void catalog_replace(struct catalog *catalog, struct catalog_object *object);
struct catalog_object *catalog_find_oid(struct catalog *catalog, uint32_t oid);
/* schema NULL: searched along search_path (NULL-terminated; pg_catalog is always looked at first unless
 * listed). NULL when there is none. Borrowed: retain it to keep it past the lock. */
struct catalog_object *catalog_find(struct catalog *catalog, const char *schema, const char *name,
                                    const char *const *search_path);
/* A name that is going to be added: ddl_name_taken says so until it is freed, nothing else does. Needs the write
 * lock. */
void catalog_reserve_name(struct catalog *catalog, uint32_t schema_oid, const char *name);
void catalog_free_name(struct catalog *catalog, uint32_t schema_oid, const char *name);
bool catalog_name_is_reserved(struct catalog *catalog, uint32_t schema_oid, const char *name);
const struct catalog_schema *catalog_find_schema(struct catalog *catalog, const char *name);
const struct catalog_schema *catalog_find_schema_oid(struct catalog *catalog, uint32_t oid);
MUST_CHECK
bool catalog_add_schema(struct catalog *catalog, uint32_t oid, const char *name, struct error *err);
void catalog_remove_schema(struct catalog *catalog, uint32_t oid);
/* Walks: *cursor starts at 0; NULL at the end. Objects in OID order. */
struct catalog_object *catalog_next(struct catalog *catalog, uint32_t *cursor);
const struct catalog_schema *catalog_next_schema(struct catalog *catalog, uint32_t *cursor);
/* OIDs of objects that depend on this one directly (indexes, views); count in *count; in the arena. */
uint32_t *catalog_dependents(struct catalog *catalog, uint32_t oid, struct arena *arena, uint32_t *count);
/* Secrets; in the order of their names. Adds it, or puts it in place of the one of that name; copies. */
void catalog_put_secret(struct catalog *catalog, const struct catalog_secret *secret);
void catalog_remove_secret(struct catalog *catalog, const char *name);
/* NULL when there is none. Borrowed, until the lock is given back. */
const struct catalog_secret *catalog_find_secret(struct catalog *catalog, const char *name);
const struct catalog_secret *catalog_secret_at(struct catalog *catalog, uint32_t index);
bool catalog_uses_secret(const struct catalog_object *object, const char *name);
/* A system view: called at start for each row of the tables of system views. columns text: "oid oid, relname
 * name". */
void catalog_add_system_view(struct catalog *catalog, uint32_t schema_oid, const char *name,
                             const char *columns, system_rows_fn rows, void *ctx, const char *comment);

#endif
