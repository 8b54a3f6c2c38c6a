/* external.h: the running external tables: one thread per table, which asks its database for the keys that joins miss, and
 * commits what it answers to the table's cache.
 *
 * Keys are collected, each once, and asked for in batches. Answers, "there is no such row" too, are input: they are logged
 * and reach the joins in a tick, so that a replay has them again. A question that fails is asked again, after a time that
 * doubles; nothing is given up. */
#ifndef MILLRACE_SERVER_EXTERNAL_H
#define MILLRACE_SERVER_EXTERNAL_H

#include "protocol/connector/connector.h"
#include "server/server.h"

struct externals;

struct externals *externals_create(void);
/* Stops all of them. */
void externals_destroy(struct externals *externals);
/* Options of all external tables, whatever their connector; ends with a NULL name. */
extern const struct connector_option_row external_options[];
/* Is it one of them, and not its connector's, which may be a secret? */
bool external_option_is_ours(const char *name);
/* Checks the options of a table that is about to be created: 22023, 0A000 for an unknown connector. Connects to nothing. */
MUST_CHECK
bool external_check(const struct catalog_object *object, struct error *err);
/* The table is in the catalog and the engine: from now on keys are asked for, those that rows wait for already as well. */
MUST_CHECK
bool external_start(struct server *server, struct catalog_object *object, struct error *err);
/* No more answers after its return. */
void external_stop(struct server *server, const struct catalog_object *object);

struct external_status {
    uint32_t relation_oid;
    const char *connector;
    const char *state; /* "idle", "asking", "retrying" */
    uint64_t hits, misses;
    int64_t waiting_rows;
    uint64_t waiting_keys;
    uint64_t questions, found, not_found; /* batches, and the keys that were answered */
    uint64_t failures, retries;           /* questions that failed; keys that were asked for again */
    const char *last_error;               /* NULL: none */
    int64_t last_error_us;                /* wall clock */
};
/* Since the server has started. Any thread. */
void externals_for_each(struct externals *externals,
                        bool (*visit)(void *ctx, const struct external_status *status), void *ctx);

#endif
