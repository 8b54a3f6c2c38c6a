/* view_builds.h: the materialized views, indexes and sinks that are being filled right now: their names are taken, what they read
 * must stay, and millrace.view_builds shows how far they are.
 *
 * All but view_builds_for_each are called under server->ddl. */
#ifndef MILLRACE_SERVER_VIEW_BUILDS_H
#define MILLRACE_SERVER_VIEW_BUILDS_H

#include "server/server.h"

struct view_build {
    struct view_build *next;
    const struct catalog_object *object; /* of its creator */
    uint32_t replaces;                   /* OID of the view it takes the place of; 0: none */
    int32_t pid;
    int64_t started_us;
    struct backfill_progress progress;
};

/* The object's name, depends, schema are set. The build is the caller's until view_build_end. */
void view_build_begin(struct server *server, struct view_build *build);
void view_build_end(struct server *server, struct view_build *build);
/* 55006 when a view or an index is being filled that reads this object, or is going to take its place. what: "drop". */
MUST_CHECK
bool view_builds_allow(struct server *server, const struct catalog_object *object, const char *what,
                       struct error *err);
/* 55006 when one is being filled that has this name, or (name NULL) is in this schema. */
MUST_CHECK
bool view_builds_allow_name(struct server *server, uint32_t schema_oid, const char *name, struct error *err);
/* Any thread; begin and end wait meanwhile. */
void view_builds_for_each(struct server *server, void (*visit)(void *ctx, const struct view_build *build),
                          void *ctx);

#endif
