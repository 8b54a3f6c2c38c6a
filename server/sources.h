/* sources.h: what a connector does when a relation that it feeds is created or dropped. Filled in by the code
 * that runs connectors. */
#ifndef MILLRACE_SERVER_SOURCES_H
#define MILLRACE_SERVER_SOURCES_H

#include "server/server.h"

struct source_hooks {
    /* The relation is in the catalog and the engine; rows may come from now on. Checks the options: 22023,
     * 0A000 for an unknown connector. Also called for each at start. */
    bool (*source_create)(struct server *server, struct catalog_object *object, struct error *err);
    /* No more rows after its return. */
    void (*source_drop)(struct server *server, struct catalog_object *object);
};

#endif
