/* ddl_objects.h: an object's way into engine, store and catalog, and out again; for DDL statements and for
 * recovery. */
#ifndef MILLRACE_SERVER_DDL_OBJECTS_H
#define MILLRACE_SERVER_DDL_OBJECTS_H

#include "planner/planner.h"
#include "server/session.h"
#include "server/view_builds.h"

/* What belongs together in one DDL statement: made in order, published at once. All objects hold one
 * reference of ours. */
struct ddl_batch {
    struct arena *arena;
    uint32_t count, cap;
    struct catalog_object **objects;
    struct catalog_object **changed; /* take the place of those with their OIDs; may be NULL */
    uint32_t changed_count;
};

void ddl_batch_add(struct ddl_batch *batch, struct catalog_object *object);

/* Engine side of a table, stream or sequence: the relation, lookups for UNIQUE constraints. Adds the object
 * and the catalog entries of the indexes behind its keys to the batch (the object's reference goes to it even
 * when this fails). */
MUST_CHECK
bool ddl_make_relation(struct server *server, struct catalog_object *object, struct ddl_batch *batch,
                       struct error *err);
/* Plans the materialized view's query as recorded in the object (query_sql, timezone, search_path), creates
 * and fills it. Column types come from the plan, names stay when the object has some. *depends are set. build (NULL in
 * recovery): filled in here but for replaces and pid; while the view is filled it is listed, and server->ddl, which the
 * caller holds, is free for others. */
MUST_CHECK
bool ddl_make_view(struct server *server, struct catalog_object *object, const struct eval_env *env,
                   const _Atomic bool *cancel, struct view_build *build, struct ddl_batch *batch,
                   struct error *err);
/* The same for a view that was made at an epoch before a checkpoint: its state comes from there, see
 * engine_restore_view. may_refill is asked when the object knows what it depends on. */
MUST_CHECK
bool ddl_restore_view(struct server *server, struct catalog_object *object, const struct eval_env *env,
                      uint64_t epoch, bool (*may_refill)(void *ctx, const struct catalog_object *object),
                      void *ctx, struct ddl_batch *batch, struct error *why, struct error *err);
/* The view as one that is disabled (catalog_object.disabled): its query gives it columns and what it depends on, and nothing
 * fills it. When the query cannot be bound, err says why and *depends are those found so far. */
MUST_CHECK
bool ddl_make_disabled_view(struct server *server, struct catalog_object *object, const struct eval_env *env,
                            uint64_t epoch, struct ddl_batch *batch, struct error *err);
/* build (NULL: recovery) as for a view. */
MUST_CHECK
bool ddl_make_index(struct server *server, struct catalog_object *object, const _Atomic bool *cancel,
                    struct view_build *build, struct ddl_batch *batch, struct error *err);
/* Undoes the engine's part of every object and gives the references back: after a failure. */
void ddl_batch_undo(struct server *server, struct ddl_batch *batch);
/* Store, then catalog (under its write lock). On failure nothing has happened; undo is still the caller's.
 * drop: OIDs that go at the same time. The references of what has changed are taken over by success. */
MUST_CHECK
bool ddl_batch_publish(struct server *server, struct ddl_batch *batch, const uint32_t *drop,
                       uint32_t drop_count, struct error *err);
/* Puts a changed object (same OID) in the store; the catalog has the old one. */
MUST_CHECK
bool ddl_store(struct server *server, const struct catalog_object *object, struct error *err);
/* Puts a changed object (same OID) in the store and in place of the old one. */
MUST_CHECK
bool ddl_replace(struct server *server, struct catalog_object *object, struct error *err);
/* The engine's part of an object that the catalog no longer has; the caller holds a reference. */
void ddl_unmake(struct server *server, struct catalog_object *object);

/* What the store keeps beside the SQL: settings at CREATE, comments; JSON in the arena. And back. */
const char *ddl_settings_json(struct arena *arena, const struct catalog_object *object);
MUST_CHECK
bool ddl_settings_apply(struct catalog_object *object, const char *json, struct error *err);
/* An environment with the settings recorded in a view; search_path: room for its names in the arena. */
void ddl_recorded_env(struct arena *arena, struct catalog *catalog, const struct catalog_object *object,
                      const struct eval_env *base, struct eval_env *env, struct session_info *info);
const char *ddl_kind_word(const struct catalog_object *object); /* "table", "materialized view" */

#endif
