/* reg_names.h: text in and out of regclass, regtype, regproc, regprocedure, regnamespace and regrole; names
 * of SQL text taken apart; and the roles, of which there are as many as users have connected. */
#ifndef MILLRACE_PLANNER_REG_NAMES_H
#define MILLRACE_PLANNER_REG_NAMES_H

#include "executor/eval_env.h"
#include "planner/catalog.h"

#define ROLE_OWNER_OID  10u /* owns everything */
#define ROLE_OWNER_NAME "millrace"
#define DATABASE_OID    5u

/* Installs the callbacks; `info` is looked at whenever a value is read or shown: its catalog and search_path
 * as they are then. */
void reg_names_install(struct io_env *io, const struct session_info *info);

#define REG_NAME_PARTS_MAX 3
/* a.b."C d" into parts, unquoted ones in lower case; in the arena. 42602 on a malformed name. */
MUST_CHECK
bool reg_names_split(const char *text, size_t len, struct arena *arena, const char *parts[REG_NAME_PARTS_MAX],
                     uint32_t *count, struct error *err);
/* The relation a name in SQL text means, retained (catalog_object_release), or NULL with 42P01. Takes the
 * catalog's lock. */
MUST_CHECK
bool reg_names_relation(const struct session_info *info, const char *text, size_t len,
                        struct catalog_object **out, struct error *err);
/* The type a name in SQL text means: "pg_catalog.int4[]", "character varying(10)". 42704. */
MUST_CHECK
bool reg_names_type(const char *text, size_t len, struct sql_type *out, struct error *err);
/* Is the object found by its bare name? Under the lock. */
bool reg_names_is_visible(struct catalog *catalog, const struct session_info *info,
                          const struct catalog_object *object);
/* Appends the object's name, with its schema when it is not visible (or always). Under the lock. */
void reg_names_object(struct catalog *catalog, const struct session_info *info,
                      const struct catalog_object *object, bool always_qualified, struct strbuf *out);

/* Roles have no catalog of their own yet: the OID follows from the name. */
uint32_t role_oid(const char *name);
/* The role's name, or NULL for one that is neither the owner nor the session's user. */
const char *role_name(const struct session_info *info, uint32_t oid);

#endif
