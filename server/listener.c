/* listener.c: the accept thread and the list of connections.
 *
 * A connection's thread frees its connection under the list's lock, so that whoever walks the list never
 * meets a dead one. Connections that have not finished start-up are bounded too: they cost a thread. */
#define _GNU_SOURCE /* accept4 */
#include "server/listener.h"

#include "server/connection.h"
#include "server/settings.h"
#include "storage/base/clock.h"
#include "storage/base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STACK_BYTES        (16u << 20) /* address space; parsing recurses */
#define STARTING_MAX       200         /* connections that have not logged in yet, besides max_connections */
#define STOP_GRACE_SECONDS 5

struct listener {
    struct server *server;
    struct timer *timer;
    int fd;
    int port;
    int wake[2]; /* a byte here ends the accept thread */
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    struct connection *connections;
    uint32_t connections_count, admitted;
    uint32_t connections_max;
};

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return (ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24) == 127;
    if (address->sa_family == AF_INET6) {
        const struct in6_addr *in6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        return IN6_IS_ADDR_LOOPBACK(in6) || (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr[12] == 127);
    }
    return false;
}

bool listener_open(struct server *server, const char *address, int64_t port, struct listener **out,
                   struct error *err)
{
    char service[16];
    snprintf(service, sizeof(service), "%lld", (long long)port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
                    *found = NULL;
    int failed = getaddrinfo(address, service, &hints, &found);
    if (failed != 0 || found == NULL)
        return error_set(err, ERRCODE_CONFIG_FILE_ERROR, "could not resolve listen address \"%s\": %s",
                         address, gai_strerror(failed));
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
              bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, 256) == 0;
    int why = errno;
    freeaddrinfo(found);
    struct sockaddr_storage bound;
    socklen_t bound_bytes = sizeof(bound);
    if (!ok || getsockname(fd, (struct sockaddr *)&bound, &bound_bytes) != 0) {
        if (fd >= 0)
            close(fd);
        return error_set(err, ERRCODE_IO_ERROR, "could not listen on %s:%lld: %s", address, (long long)port,
                         strerror(why));
    }
    struct listener *listener = mem_zalloc(sizeof(*listener));
    if (pipe2(listener->wake, O_CLOEXEC) != 0) {
        close(fd);
        mem_free(listener);
        return error_set(err, ERRCODE_IO_ERROR, "could not create a pipe: %s", strerror(errno));
    }
    listener->server = server;
    listener->fd = fd;
    listener->port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&bound)->sin6_port
                                                       : ((struct sockaddr_in *)(void *)&bound)->sin_port);
    listener->connections_max = server->settings != NULL ? (uint32_t)server->settings->max_connections : 200;
    listener->timer = timer_start();
    pthread_mutex_init(&listener->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&listener->ended, &attributes);
    pthread_condattr_destroy(&attributes);
    *out = listener;
    return true;
}

int listener_port(const struct listener *listener)
{
    return listener->port;
}

struct server *listener_server(const struct listener *listener)
{
    return listener->server;
}

struct timer *listener_timer(struct listener *listener)
{
    return listener->timer;
}

static void *connection_thread(void *arg)
{
    struct connection *connection = arg;
    connection_main(connection);
    listener_connection_ended(connection->listener, connection);
    return NULL;
}

static void listener_accept(struct listener *listener)
{
    struct sockaddr_storage peer;
    socklen_t peer_bytes = sizeof(peer);
    int fd = accept4(listener->fd, (struct sockaddr *)&peer, &peer_bytes, SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            log_write(LOG_WARNING, "could not accept a connection: %s", strerror(errno));
            nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        }
        return;
    }
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    struct connection *connection = mem_zalloc(sizeof(*connection));
    connection->listener = listener;
    connection->fd = fd;
    connection->is_local = is_loopback((struct sockaddr *)&peer);
    char service[16];
    if (getnameinfo((struct sockaddr *)&peer, peer_bytes, connection->client_address,
                    sizeof(connection->client_address), service, sizeof(service),
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        connection->client_port = (int32_t)strtol(service, NULL, 10);

    pthread_mutex_lock(&listener->lock);
    bool room = listener->connections_count < listener->connections_max + STARTING_MAX;
    if (room) {
        listener->connections_count++;
        connection->next = listener->connections;
        if (connection->next != NULL)
            connection->next->prev = connection;
        listener->connections = connection;
    }
    pthread_mutex_unlock(&listener->lock);
    if (!room) {
        close(fd);
        mem_free(connection);
        return;
    }
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_t thread;
    int failed = pthread_create(&thread, &attributes, connection_thread, connection);
    pthread_attr_destroy(&attributes);
    if (failed != 0) {
        log_write(LOG_WARNING, "could not start a thread for a connection: %s", strerror(failed));
        listener_connection_ended(listener, connection);
    }
}

static void *listener_main(void *arg)
{
    struct listener *listener = arg;
    for (;;) {
        struct pollfd items[2] = {{.fd = listener->fd, .events = POLLIN},
                                  {.fd = listener->wake[0], .events = POLLIN}};
        if (poll(items, 2, -1) < 0 && errno != EINTR)
            break;
        if (items[1].revents != 0)
            break;
        if (items[0].revents != 0)
            listener_accept(listener);
    }
    return NULL;
}

void listener_run(struct listener *listener)
{
    CHECK(pthread_create(&listener->thread, NULL, listener_main, listener) == 0);
    listener->running = true;
}

bool listener_admit(struct listener *listener, struct connection *connection)
{
    pthread_mutex_lock(&listener->lock);
    bool room = listener->admitted < listener->connections_max;
    if (room) {
        listener->admitted++;
        connection->is_admitted = true;
    }
    pthread_mutex_unlock(&listener->lock);
    return room;
}

void listener_connection_ended(struct listener *listener, struct connection *connection)
{
    pthread_mutex_lock(&listener->lock);
    if (connection->prev != NULL)
        connection->prev->next = connection->next;
    else
        listener->connections = connection->next;
    if (connection->next != NULL)
        connection->next->prev = connection->prev;
    listener->connections_count--;
    if (connection->is_admitted)
        listener->admitted--;
    close(connection->fd);
    mem_free(connection);
    pthread_cond_broadcast(&listener->ended);
    pthread_mutex_unlock(&listener->lock);
}

void listener_stop(struct listener *listener)
{
    if (listener->running) {
        CHECK(write(listener->wake[1], "x", 1) == 1);
        pthread_join(listener->thread, NULL);
        listener->running = false;
    }
    pthread_mutex_lock(&listener->lock);
    for (struct connection *connection = listener->connections; connection != NULL;
         connection = connection->next)
        connection_interrupt(connection, true);
    pthread_mutex_unlock(&listener->lock);
    if (listener->server->engine != NULL)
        engine_wake_waiters(listener->server->engine);
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += STOP_GRACE_SECONDS;
    pthread_mutex_lock(&listener->lock);
    bool late = false;
    while (listener->connections_count > 0) {
        if (late) {
            pthread_cond_wait(&listener->ended, &listener->lock);
        } else if (pthread_cond_timedwait(&listener->ended, &listener->lock, &until) == ETIMEDOUT) {
            /* a client that does not read what it is sent */
            late = true;
            for (struct connection *connection = listener->connections; connection != NULL;
                 connection = connection->next)
                shutdown(connection->fd, SHUT_RDWR);
        }
    }
    pthread_mutex_unlock(&listener->lock);
}

void listener_close(struct listener *listener)
{
    if (listener == NULL)
        return;
    listener_stop(listener);
    timer_stop(listener->timer);
    close(listener->fd);
    close(listener->wake[0]);
    close(listener->wake[1]);
    pthread_cond_destroy(&listener->ended);
    pthread_mutex_destroy(&listener->lock);
    mem_free(listener);
}
