/* http_server.h: a small HTTP server (libmicrohttpd owns its thread): GET requests to one handler. */
#ifndef MILLRACE_HTTP_HTTP_SERVER_H
#define MILLRACE_HTTP_HTTP_SERVER_H

#include "storage/base/error.h"
#include "storage/base/strbuf.h"

struct http_server;

struct http_reply {
    unsigned status; /* 200 when the handler leaves it alone */
    const char *content_type;
    struct strbuf body;
};

/* Fills the reply for a path; false: there is no such path (404). Called on the HTTP thread. */
typedef bool (*http_handler)(void *ctx, const char *path, struct http_reply *reply);

/* Listens on address:port (port 0 picks one). 58030 when the address cannot be bound, naming it. */
MUST_CHECK
bool http_server_start(const char *address, int port, http_handler handler, void *ctx,
                       struct http_server **out, struct error *err);
int http_server_port(const struct http_server *server);
/* Waits for requests in progress. */
void http_server_stop(struct http_server *server);

#endif
