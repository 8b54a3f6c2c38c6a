/* fault_server.c: see fault_server.h. */
#include "tests/fault/fault_server.h"

#include "server/listener.h"
#include "server/session.h"
#include "server/settings.h"
#include "storage/base/log.h"
#include "storage/disk/tick_log.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct fault_server {
    struct settings settings;
    struct server server;
};

static const char *memory_limit;

void fault_server_limit_memory(const char *limit)
{
    memory_limit = limit;
}

bool fault_server_open(const char *dir, int workers, struct fault_server **out, struct error *err)
{
    char count[16];
    snprintf(count, sizeof(count), "%d", workers);
    char *argv[] = {"test",
                    "--data-dir",
                    (char *)(dir != NULL ? dir : ""),
                    "--port",
                    "0",
                    "--workers",
                    count,
                    "--checkpoint-interval",
                    "0",
                    "--memory-limit",
                    (char *)(dir != NULL && memory_limit != NULL ? memory_limit : "0")};
    struct settings_request request;
    struct fault_server *server = mem_zalloc(sizeof(*server));
    log_set_level((enum log_level)(LOG_ERROR + 1)); /* errors are what is asked for here */
    bool ok = settings_load(&server->settings, ARRAY_COUNT(argv), argv, &request, err);
    server->server.settings = &server->settings;
    if (ok && !server_open(&server->server, err))
        ok = false;
    else if (ok && !listener_open(&server->server, "127.0.0.1", 0, &server->server.listener, err)) {
        server_close(&server->server);
        ok = false;
    }
    if (!ok) {
        settings_release(&server->settings);
        mem_free(server);
        return false;
    }
    atomic_store(&server->server.ready, true);
    listener_run(server->server.listener);
    *out = server;
    return true;
}

bool fault_server_open_in_turns(const char *dir, int workers, struct fault_server **out, struct error *err)
{
    if (!fault_server_open(dir, workers, out, err))
        return false;
    if ((*out)->server.log != NULL)
        tick_log_take_turns((*out)->server.log);
    return true;
}

void fault_server_close(struct fault_server *server)
{
    atomic_store(&server->server.stopping, true);
    engine_give_up(server->server.engine);
    listener_stop(server->server.listener);
    listener_close(server->server.listener);
    server->server.listener = NULL;
    server_close(&server->server);
    settings_release(&server->settings);
    mem_free(server);
}

void fault_server_give_up(struct fault_server *server)
{
    engine_give_up(server->server.engine);
}

/* ---- the client ---- */

struct fault_client {
    struct server *server;
    int fd;
    int32_t pid;
    struct strbuf in;
    size_t at; /* read so far */
    struct fault_result result;
};

static void put_u32(struct strbuf *out, uint32_t value)
{
    strbuf_add_u32be(out, value);
}

static void send_all(struct fault_client *client, const struct strbuf *out)
{
    for (size_t at = 0; at < out->len;) {
        ssize_t sent = send(client->fd, out->data + at, out->len - at, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the answer will be missing */
        at += (size_t)sent;
    }
}

static uint32_t get_u32(const char *data)
{
    const uint8_t *bytes = (const uint8_t *)data;
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* false: the connection has ended. */
static bool more(struct fault_client *client, int patience_ms, void (*impatient)(void *ctx, int times),
                 void *ctx)
{
    struct pollfd wait = {client->fd, POLLIN, 0};
    for (int times = 0; impatient != NULL && poll(&wait, 1, patience_ms) == 0;)
        impatient(ctx, times++);
    char buffer[8192];
    ssize_t got = recv(client->fd, buffer, sizeof(buffer), 0);
    if (got > 0)
        strbuf_add(&client->in, buffer, (size_t)got);
    return got > 0;
}

static void row(struct fault_client *client, const char *body)
{
    uint32_t columns = (uint32_t)(uint8_t)body[0] << 8 | (uint8_t)body[1];
    struct strbuf *out = &client->result.rows;
    body += 2;
    for (uint32_t i = 0; i < columns; i++) {
        uint32_t len = get_u32(body);
        body += 4;
        strbuf_adds(out, i ? "|" : "");
        if (len == UINT32_MAX) {
            strbuf_adds(out, "\\N");
            continue;
        }
        strbuf_add(out, body, len);
        body += len;
    }
    strbuf_addc(out, '\n');
}

static void failure(struct fault_client *client, const char *body)
{
    for (; *body != '\0'; body += strlen(body) + 1) {
        if (*body == 'C')
            snprintf(client->result.sqlstate, sizeof(client->result.sqlstate), "%s", body + 1);
        if (*body == 'M')
            snprintf(client->result.message, sizeof(client->result.message), "%.255s", body + 1);
    }
}

static void until_ready(struct fault_client *client, int patience_ms, void (*impatient)(void *ctx, int times),
                        void *ctx)
{
    for (;;) {
        while (client->in.len - client->at < 5 ||
               client->in.len - client->at < 1 + (size_t)get_u32(client->in.data + client->at + 1)) {
            if (more(client, patience_ms, impatient, ctx))
                continue;
            snprintf(client->result.sqlstate, sizeof(client->result.sqlstate), "08006");
            snprintf(client->result.message, sizeof(client->result.message), "the connection has ended");
            return;
        }
        const char *message = client->in.data + client->at;
        client->at += 1 + get_u32(message + 1);
        if (*message == 'D')
            row(client, message + 5);
        else if (*message == 'E')
            failure(client, message + 5);
        else if (*message == 'K')
            client->pid = (int32_t)get_u32(message + 5);
        else if (*message == 'Z')
            return;
    }
}

struct fault_client *fault_client_open(struct fault_server *server)
{
    struct fault_client *client = mem_zalloc(sizeof(*client));
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)listener_port(server->server.listener)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    client->server = &server->server;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(client->fd >= 0);
    CHECK(connect(client->fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    int one = 1;
    (void)setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    struct strbuf out = STRBUF_INIT;
    static const char settings[] = "user\0test\0database\0test\0";
    put_u32(&out, 8 + sizeof(settings));
    put_u32(&out, 196608);
    strbuf_add(&out, settings, sizeof(settings));
    send_all(client, &out);
    strbuf_release(&out);
    until_ready(client, -1, NULL, NULL);
    CHECK(client->result.sqlstate[0] == '\0');
    return client;
}

void fault_client_close(struct fault_client *client)
{
    close(client->fd);
    strbuf_release(&client->in);
    strbuf_release(&client->result.rows);
    mem_free(client);
}

const struct fault_result *fault_query(struct fault_client *client, const char *sql, int patience_ms,
                                       void (*impatient)(void *ctx, int times), void *ctx)
{
    client->result.sqlstate[0] = client->result.message[0] = '\0';
    strbuf_reset(&client->result.rows);
    strbuf_reset(&client->in);
    client->at = 0;
    struct strbuf out = STRBUF_INIT;
    strbuf_addc(&out, 'Q');
    put_u32(&out, (uint32_t)(strlen(sql) + 5));
    strbuf_add(&out, sql, strlen(sql) + 1);
    send_all(client, &out);
    strbuf_release(&out);
    until_ready(client, patience_ms, impatient, ctx);
    return &client->result;
}

void fault_client_cancel(struct fault_client *client)
{
    (void)session_cancel(client->server, client->pid, NULL);
}

/* ---- what is there ---- */

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_sorted(struct strbuf *out, char *rows)
{
    struct arena arena;
    arena_init(&arena, NULL);
    char **lines = NULL;
    uint32_t count = 0, cap = 0;
    char *rest = NULL;
    for (char *line = strtok_r(rows, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        ARENA_PUSH(&arena, lines, count, cap, line);
    if (count > 0)
        qsort(lines, count, sizeof(*lines), compare_lines);
    for (uint32_t i = 0; i < count; i++)
        strbuf_addf(out, "%s\n", lines[i]);
    arena_release(&arena);
}

void fault_query_sorted(struct fault_client *client, const char *sql, struct strbuf *out)
{
    const struct fault_result *result = fault_query(client, sql, 0, NULL, NULL);
    if (result->sqlstate[0] != '\0')
        strbuf_addf(out, "%s %s\n", result->sqlstate, result->message);
    add_sorted(out, result->rows.data != NULL ? result->rows.data : (char[]){""});
}

void fault_dump(struct fault_client *client, struct strbuf *out)
{
    struct strbuf names = STRBUF_INIT;
    fault_query_sorted(
        client, "SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace", &names);
    char *rest = NULL;
    strbuf_adds(&names, ""); /* not NULL */
    for (char *line = strtok_r(names.data, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        strbuf_addf(out, "== %s\n", line);
        char *kind = strchr(line, '|');
        if (kind == NULL || strchr("rmv", kind[1]) == NULL)
            continue;
        *kind = '\0';
        char sql[256];
        snprintf(sql, sizeof(sql), "SELECT %s FROM %s", strcmp(line, "q") == 0 ? "v" : "*", line);
        fault_query_sorted(client, sql, out);
    }
    strbuf_release(&names);
}
