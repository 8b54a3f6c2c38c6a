/* sources.h: the running sources: threads that poll the connectors of fed relations and commit what comes. */
#ifndef MILLRACE_SERVER_SOURCES_H
#define MILLRACE_SERVER_SOURCES_H

#include "protocol/connector/connector.h"
#include "server/server.h"

struct sources;
struct source_changes; /* source_changes.h */

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
/* Is it over a log in partitions? Then it has relations of its own (source_parts.h). */
bool sources_has_parts(const struct catalog_object *object);
/* Asks the log where a new source begins, and commits that to its relation of progress. 08006 when the broker cannot be
 * reached, and what partitioned_class.start says. */
MUST_CHECK
bool sources_begin(struct server *server, const struct catalog_object *object, struct relation *progress,
                   struct error *err);
/* An option of WITH that is the relation's own (retention, paused ...) and not its connector's. */
bool sources_option_is_ours(const char *name);
/* Whether ALTER may change it while the source runs. */
bool sources_option_may_change(const struct catalog_object *object, const char *name);
/* Options of all sources over logs in partitions; ends with a NULL name. */
extern const struct connector_option_row source_log_options[];
struct sources *sources_create(struct server *server);
/* The thread that changes columns for sources; and the error of a change that a source has asked for. */
struct source_changes *sources_changes(struct sources *sources);
void sources_answer(struct sources *sources, uint32_t oid, const struct error *err);
/* Stops all of them. */
void sources_destroy(struct sources *sources);

struct source_status {
    uint32_t relation_oid;
    const char *connector;
    const char *
        state; /* "running", "waiting" for its group, "waiting for broker" ..., "paused", "ended", "failed" */
    uint64_t rows;
    int64_t poll_cpu_us; /* CPU time the connector itself has used since the server started */
    const char *error;   /* NULL: none */
    const char *hint;    /* NULL: none */
    bool has_records;    /* of a log: the following */
    uint64_t accepted, rejected, skipped;
    int64_t lag; /* records of all partitions that are still to be read; -1: unknown */
};
void sources_for_each(struct sources *sources, bool (*visit)(void *ctx, const struct source_status *status),
                      void *ctx);

struct source_partition_status {
    uint32_t relation_oid;
    int32_t partition;
    uint32_t consumer;              /* number of the thread that reads it */
    int64_t next_offset, low, high; /* -1: unknown */
    int64_t accepted, rejected, skipped, absent, lost;
    int64_t updated_us;
};
void sources_for_each_partition(struct sources *sources,
                                bool (*visit)(void *ctx, const struct source_partition_status *status),
                                void *ctx);

#endif
