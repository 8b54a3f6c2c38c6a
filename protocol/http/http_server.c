/* http_server.c: libmicrohttpd with one polling thread, GET and HEAD only. */
#include "protocol/http/http_server.h"

#include "storage/base/arena.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>

#define CONNECTIONS_MAX 64u
#define TIMEOUT_S       10u

struct http_server {
    struct MHD_Daemon *daemon;
    http_handler handler;
    void *ctx;
};

static enum MHD_Result answer(void *ctx, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_bytes, void **state)
{
    struct http_server *server = ctx;
    static const char not_allowed[] = "only GET is allowed here\n", not_found[] = "no such path\n";
    (void)version;
    (void)upload;
    (void)upload_bytes;
    (void)state;
    struct http_reply reply = {.status = MHD_HTTP_OK, .content_type = "text/plain; charset=utf-8"};
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        reply.status = MHD_HTTP_METHOD_NOT_ALLOWED;
        strbuf_adds(&reply.body, not_allowed);
    } else if (!server->handler(server->ctx, path, &reply)) {
        reply.status = MHD_HTTP_NOT_FOUND;
        strbuf_adds(&reply.body, not_found);
    }
    struct MHD_Response *response = MHD_create_response_from_buffer(
        reply.body.len, (void *)(uintptr_t)strbuf_text(&reply.body), MHD_RESPMEM_MUST_COPY);
    strbuf_release(&reply.body);
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply.content_type);
    enum MHD_Result queued = MHD_queue_response(connection, reply.status, response);
    MHD_destroy_response(response);
    return queued;
}

bool http_server_start(const char *address, int port, http_handler handler, void *ctx,
                       struct http_server **out, struct error *err)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, address, &where.sin_addr) != 1)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "invalid address \"%s\" for HTTP", address);
    struct http_server *server = mem_zalloc(sizeof(*server));
    server->handler = handler;
    server->ctx = ctx;
    server->daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, (uint16_t)port, NULL, NULL, answer, server,
                         MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&where, MHD_OPTION_CONNECTION_LIMIT,
                         CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_S, MHD_OPTION_END);
    if (server->daemon == NULL) {
        mem_free(server);
        return error_set(err, ERRCODE_IO_ERROR, "could not listen for HTTP on %s:%d", address, port);
    }
    *out = server;
    return true;
}

int http_server_port(const struct http_server *server)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info != NULL ? info->port : 0;
}

void http_server_stop(struct http_server *server)
{
    MHD_stop_daemon(server->daemon);
    mem_free(server);
}
