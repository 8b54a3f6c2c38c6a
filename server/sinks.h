/* sinks.h: the running sinks: one thread per sink, which takes durable rows from its outbox (executor/outbox.h), makes
 * records of them and hands them to its connector in groups that are committed together with the sink's progress.
 *
 * After a restart the outbox holds rows again that have arrived already; the progress that the connector finds tells which.
 * What fails is tried again after a time that doubles; a sink that fails for good stops, and nothing else with it. */
#ifndef MILLRACE_SERVER_SINKS_H
#define MILLRACE_SERVER_SINKS_H

#include "executor/outbox.h"
#include "protocol/connector/connector.h"
#include "server/server.h"

struct sinks;

/* Options of all sinks, whatever their connector and format; ends with a NULL name. */
extern const struct connector_option_row sink_options[];
/* Is it one of them, and not the connector's, which may be a secret? */
bool sink_option_is_ours(const char *name);
/* Why ALTER cannot change the option of this sink; NULL: it can. Nothing that would change what records look like, where they go
 * or how they are counted can; how their place is reached can. */
const char *sinks_why_fixed(const struct catalog_object *object, const char *name);
/* Checks the options of a sink whose columns are known: 22023, 42703, 0A000 for an unknown connector. Connects to
 * nothing. */
MUST_CHECK
bool sinks_check(struct server *server, const struct catalog_object *object, struct error *err);
/* What its outbox is to hold, by options and plan; *append_only of out goes with it. 0A000 and 22023 when the plan's
 * changes cannot be written that way. Memory in the arena. */
MUST_CHECK
bool sinks_outbox(const struct catalog_object *object, const struct plan *plan, struct arena *arena,
                  struct outbox_desc *out, struct error *err);

struct sinks *sinks_create(void);
/* Stops all of them. */
void sinks_destroy(struct sinks *sinks);
/* The sink is in the catalog, and its outbox in the engine. */
MUST_CHECK
bool sinks_start(struct server *server, struct catalog_object *object, struct error *err);
/* No more records after its return. */
void sinks_stop(struct server *server, const struct catalog_object *object);
/* The object, with another name, other options or values of secrets, has taken the place of the old one: what the sink has open is
 * closed, and opened again as the object says; what was not committed is written again. goes_on: a sink that has failed tries
 * again, unless it is paused. An error of the format leaves it as it is. */
MUST_CHECK
bool sinks_alter(struct server *server, struct catalog_object *object, bool goes_on, struct error *err);

struct sink_status {
    const struct catalog_object *object;
    const char *connector;
    const char *
        state; /* "connecting", "running", "idle", "waiting" for a checkpoint, "retrying", "paused", "failed" */
    uint64_t epoch; /* everything up to it has arrived */
    uint64_t epochs_behind;
    uint64_t rows_behind;
    int64_t bytes_behind;
    uint64_t rows, transactions, aborted; /* since the server has started */
    uint64_t failures;
    struct error last_error; /* code NONE: there was none */
    int64_t last_error_us;   /* wall clock */
};
/* Any thread. */
void sinks_for_each(struct server *server, void (*visit)(void *ctx, const struct sink_status *status),
                    void *ctx);

#endif
