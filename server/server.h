/* server.h: the one process: what every session shares. Made in main.c, read-only pointers afterwards. */
#ifndef MILLRACE_SERVER_SERVER_H
#define MILLRACE_SERVER_SERVER_H

#include "executor/engine.h"
#include "planner/catalog.h"

#include <pthread.h>

struct catalog_store; /* storage/disk/catalog_store.h */
struct tick_log;
struct checkpoint_store;
struct checkpointer;
struct settings; /* server/settings.h: the process's settings */
struct listener;
struct sources;   /* server/sources.h */
struct externals; /* server/external.h */
struct sinks;     /* server/sinks.h */
struct secret_key;
struct sequence;
struct table_locks;  /* server/table_locks.h */
struct view_build;   /* server/view_builds.h */
struct source_hooks; /* server/sources.h */

struct server {
    struct settings *settings;
    struct account account;
    struct catalog *catalog;
    struct engine *engine;
    struct catalog_store *store; /* NULL: nothing is durable (tests) */
    struct tick_log *log;
    struct checkpoint_store *checkpoints; /* storage/disk/checkpoint_store.h; NULL with `store` */
    struct checkpointer *checkpointer;    /* server/checkpointer.h */
    struct listener *listener;
    struct sources *running_sources;
    struct externals *externals;
    struct sinks *sinks;
    struct secret_key *secret_key; /* server/secret_key.h; NULL: secrets are stored as they are */
    struct table_locks *locks;
    const struct source_hooks *sources; /* what connectors do at CREATE and DROP; NULL: there are none */
    int64_t start_us;                   /* clock when it was opened */
    struct sequence *sequences;         /* all that were ever made, server/sequence.h */
    pthread_mutex_t ddl;                /* one DDL statement at a time, but while a view is filled */
    pthread_mutex_t builds_lock;        /* of the list below: server/view_builds.h */
    struct view_build *builds;          /* views that are being filled */
    _Atomic bool stopping;
    _Atomic bool ready; /* recovery is over: sessions may start */
};

/* Opens the data directory, recovers catalog, rows and views; false with a message that names what is
 * wrong. *server: all zero but for `settings`, which stay the caller's. The listener may run already; it lets nobody in
 * before the caller sets `ready`. */
MUST_CHECK
bool server_open(struct server *server, struct error *err);
void server_close(struct server *server);

#endif
