/* sources.h: the running sources: one thread per fed relation, which polls its connector and commits what
 * comes. */
#ifndef MILLRACE_SERVER_SOURCES_H
#define MILLRACE_SERVER_SOURCES_H

#include "server/server.h"

struct sources;

/* What a connector does when a relation that it feeds, or is looked up in for, is created or dropped; tests put their own
 * in. */
struct source_hooks {
    /* The relation is in the catalog and the engine; rows may come from now on. Checks the options: 22023,
     * 0A000 for an unknown connector. Also called for each at start. */
    bool (*source_create)(struct server *server, struct catalog_object *object, struct error *err);
    /* Options that may change while it runs have: 22023 when a value is wrong. */
    bool (*source_alter)(struct server *server, struct catalog_object *object, struct error *err);
    /* No more rows after its return. */
    void (*source_drop)(struct server *server, struct catalog_object *object);
};

extern const struct source_hooks source_hooks_running;

/* Checks options and columns of a relation that is about to be created: the errors of source_create, without
 * a thread. */
MUST_CHECK
bool sources_check(struct server *server, const struct catalog_object *object, struct error *err);
/* An option of WITH that is the relation's own (retention, paused ...) and not its connector's. */
bool sources_option_is_ours(const char *name);
struct sources *sources_create(void);
/* Stops all of them. */
void sources_destroy(struct sources *sources);

struct source_status {
    uint32_t relation_oid;
    const char *connector;
    const char *state; /* "running", "waiting" for its group, "paused", "ended", "failed" */
    uint64_t rows;
    int64_t poll_cpu_us; /* CPU time the connector itself has used since the server started */
    const char *error;   /* NULL: none */
};
void sources_for_each(struct sources *sources, bool (*visit)(void *ctx, const struct source_status *status),
                      void *ctx);

#endif
