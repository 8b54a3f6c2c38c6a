/* fault_server.h: a whole server in this process on the disk in use, and a client of it that speaks just enough of the
 * protocol. */
#ifndef MILLRACE_TESTS_FAULT_FAULT_SERVER_H
#define MILLRACE_TESTS_FAULT_FAULT_SERVER_H

#include "storage/base/error.h"
#include "storage/base/strbuf.h"

struct fault_server;

/* The memory limit of servers with a directory that are opened from now on: their state lies in files then. NULL: none. */
void fault_server_limit_memory(const char *limit);
/* dir NULL: nothing is durable. */
MUST_CHECK
bool fault_server_open(const char *dir, int workers, struct fault_server **out, struct error *err);
/* The same for a simulation: no thread of it uses the disk beside another, and nothing happens by itself. */
MUST_CHECK
bool fault_server_open_in_turns(const char *dir, int workers, struct fault_server **out, struct error *err);
/* Ends it as SIGTERM does; the clients must be closed before. */
void fault_server_close(struct fault_server *server);

/* What waits for the disk ends now, as when the server is being stopped. */
void fault_server_give_up(struct fault_server *server);

struct fault_client;
struct fault_client *fault_client_open(struct fault_server *server);
void fault_client_close(struct fault_client *client);
struct fault_result {
    char sqlstate[6]; /* "": it has succeeded */
    char message[256];
    struct strbuf rows; /* a|b\n; belongs to the client, until its next query */
};
/* One statement. Whenever it has no answer for patience_ms more, impatient(ctx, times) is called. NULL: without
 * end. A connection that ends is sqlstate 08006. */
const struct fault_result *fault_query(struct fault_client *client, const char *sql, int patience_ms,
                                       void (*impatient)(void *ctx, int times), void *ctx);
/* Appends the rows in order, an error as SQLSTATE and message. */
void fault_query_sorted(struct fault_client *client, const char *sql, struct strbuf *out);
/* Every relation with its rows. Values of sequences have gaps after a restart: of a table q only column v is shown. */
void fault_dump(struct fault_client *client, struct strbuf *out);
/* Cancels what runs; any thread. */
void fault_client_cancel(struct fault_client *client);

#endif
