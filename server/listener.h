/* listener.h: accepts clients, one thread each. */
#ifndef MILLRACE_SERVER_LISTENER_H
#define MILLRACE_SERVER_LISTENER_H

#include "server/server.h"
#include "server/timer.h"

struct connection;
struct listener;

/* Binds and listens; no client is let in before listener_run. 58030, 28000 for an address that is not
 * loopback. */
MUST_CHECK
bool listener_open(struct server *server, const char *address, int64_t port, struct listener **out,
                   struct error *err);
int listener_port(const struct listener *listener);
struct server *listener_server(const struct listener *listener);
struct timer *listener_timer(struct listener *listener);
/* Starts the accept thread. */
void listener_run(struct listener *listener);
/* No more clients; ends all connections (57P01) and waits for them. */
void listener_stop(struct listener *listener);
void listener_close(struct listener *listener);

/* For a connection's thread: it has ended. Frees it. */
void listener_connection_ended(struct listener *listener, struct connection *connection);
/* false: as many sessions as max_connections. Counted until the connection ends. */
bool listener_admit(struct listener *listener, struct connection *connection);

#endif
