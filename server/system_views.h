/* system_views.h: relations whose rows are made when they are read: pg_catalog, information_schema, millrace.
 *
 * A view is one table row beside its code (sysview_*.c): its columns as text, "oid oid, relpages int4 = 0,
 * relacl text[]", and a function that makes its rows. What stands behind `=` is what a column holds unless
 * the function says otherwise; without it, NULL. So a row function only names what varies, and a view without
 * one is empty.
 *
 * The function works on a copy of the catalog's state (retained objects), without its lock. */
#ifndef MILLRACE_SERVER_SYSTEM_VIEWS_H
#define MILLRACE_SERVER_SYSTEM_VIEWS_H

#include "executor/eval_env.h"
#include "server/server.h"

struct sys_rows;
typedef bool (*sys_rows_fn)(struct sys_rows *rows, struct error *err);

struct system_view_row {
    uint32_t schema_oid;
    char relkind; /* 'r' what PostgreSQL has as a table, 'v' view */
    const char *name;
    const char *columns;
    sys_rows_fn rows; /* NULL: no rows */
    const char *help;
};

/* Adds every system view to the server's catalog: in server_open, before any statement runs. */
void system_views_register(struct server *server);
/* Adds the functions of the layers above the executor to the registry: once per process, before any thread
 * runs. */
void system_functions_register(void);
/* For the reference page: NULL behind the last. */
const struct system_view_row *system_view_at(size_t index);
/* What a catalog object of kind CATALOG_SYSTEM_VIEW was made from. */
const struct system_view_row *system_view_of(const struct catalog_object *object);

/* ---- for row functions ---- */

struct system_view; /* a row, parsed */

struct sys_rows {
    struct server *server;
    const struct eval_env *env;
    const struct session_info *info; /* never NULL */
    struct arena *arena;             /* until the function returns */
    struct catalog_object **objects; /* all but sinks, which are no relations to a client; in order of OID */
    uint32_t objects_count;
    struct catalog_object **sinks;
    uint32_t sinks_count;
    struct catalog_schema *schemas;
    uint32_t schemas_count;
    /* the row being made */
    const struct system_view *view;
    struct batch *out;
    struct datum *values;
    uint32_t cursor;
};

/* Values of the present row, by column name (fastest in the columns' order); sys_end appends it and begins
 * the next. */
void sys_int(struct sys_rows *rows, const char *column,
             int64_t value); /* integers, oid, reg*, timestamps, float4/8 */
void sys_real(struct sys_rows *rows, const char *column, double value);
void sys_bool(struct sys_rows *rows, const char *column, bool value);
void sys_text(struct sys_rows *rows, const char *column, const char *value); /* NULL gives NULL; borrowed */
void sys_textf(struct sys_rows *rows, const char *column, const char *format, ...) PRINTF_LIKE(3, 4);
void sys_char(struct sys_rows *rows, const char *column, char value); /* '\0': the empty "char" */
void sys_null(struct sys_rows *rows, const char *column);
/* Arrays and vectors of integers (the column's type says which), and of text. */
void sys_int_array(struct sys_rows *rows, const char *column, const int64_t *values, uint32_t count);
void sys_text_array(struct sys_rows *rows, const char *column, const char *const *values, uint32_t count);
void sys_interval(struct sys_rows *rows, const char *column, int64_t us);
/* "YES" or "NO" */
void sys_yes(struct sys_rows *rows, const char *column, bool value);
void sys_end(struct sys_rows *rows);

/* The sessions at this moment, copied. */
struct sys_session {
    int32_t pid;
    bool is_own;
    const char *user, *database, *application_name, *query, *client_address;
    int32_t client_port;
    char txn_state;
    bool is_running;
    int64_t backend_start_us, txn_start_us, statement_start_us, state_change_us;
};
const struct sys_session *sys_sessions(struct sys_rows *rows, uint32_t *count);
/* The roles: the owner and whoever is connected, each once. */
const char **sys_roles(struct sys_rows *rows, uint32_t *count);

struct catalog_object *sys_object(const struct sys_rows *rows, uint32_t oid);
const char *sys_schema_name(const struct sys_rows *rows, uint32_t schema_oid);
/* Text of format_type(), and of a definition function's kind, in the arena. */
const char *sys_format_type(struct sys_rows *rows, struct sql_type type);
/* A column's default as PostgreSQL writes it: nextval('s'::regclass), 'x'::text; NULL when it has none. */
const char *sys_default(struct sys_rows *rows, const struct catalog_column *column);
const char *sys_owner(const struct sys_rows *rows);
/* 'r', 'v', 'm', 'i', 'S' */
char sys_relkind(const struct catalog_object *object);
bool sys_is_user_table(const struct catalog_object *object); /* table or stream */
bool sys_has_columns(const struct catalog_object *object);   /* all but indexes and sequences */

#endif
