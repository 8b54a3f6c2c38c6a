/* pg_client.c: the load generator of the ingest, read and latency benchmarks, for any server that speaks
 * PostgreSQL's protocol. One thread serves all its connections, so that it takes little of the processors it
 * shares with the server. Prints one JSON object.
 *
 *   pg_client copy CONNINFO SQL FILE              one COPY of the whole file
 *   pg_client run CONNINFO MODE CLIENTS SECONDS SQL PARAMS
 *                                                 closed loop; MODE simple or prepared
 *   pg_client pipeline CONNINFO SYNC SECONDS SQL PARAMS
 *                                                 pipeline mode, a Sync (a commit) after every SYNC statements
 *   pg_client open CONNINFO RATE SECONDS SQL SUBSCRIBE SELECT
 *                                                 open loop: see open_loop()
 *   pg_client visible CONNINFO COUNT INSERT SELECT
 *                                                 one INSERT at a time, then the SELECT until it shows it
 *
 * PARAMS is a file with one statement's parameters per line, between tabs, or "-" for none. */
#define _GNU_SOURCE /* ppoll */

#include <libpq-fe.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static void *grown(void *ptr, size_t bytes)
{
    void *result = realloc(ptr, bytes);
    if (result == NULL)
        fail("out of memory");
    return result;
}

/* ---- times ---- */

struct times {
    int64_t *ns;
    size_t count, cap;
};

static void times_add(struct times *times, int64_t ns)
{
    if (times->count == times->cap) {
        times->cap = times->cap ? times->cap * 2 : 1024;
        times->ns = grown(times->ns, times->cap * sizeof(*times->ns));
    }
    times->ns[times->count++] = ns;
}

static int compare_ns(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double at_part(const struct times *times, double part)
{
    if (times->count == 0)
        return 0;
    size_t index = (size_t)((double)(times->count - 1) * part);
    return (double)times->ns[index] / 1000.0;
}

/* "name": {...} in microseconds */
static void times_print(const char *name, struct times *times)
{
    double sum = 0;
    for (size_t i = 0; i < times->count; i++)
        sum += (double)times->ns[i] / 1000.0;
    qsort(times->ns, times->count, sizeof(*times->ns), compare_ns);
    printf(
        "\"%s\": {\"count\": %zu, \"mean_us\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "
        "\"max_us\": %.1f}",
        name, times->count, times->count ? sum / (double)times->count : 0, at_part(times, 0.5),
        at_part(times, 0.99), at_part(times, 0.999), at_part(times, 1.0));
}

static void cpu_print(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    printf("\"client_cpu_s\": %.3f", seconds);
}

/* ---- connections, parameters ---- */

static PGconn *connect_to(const char *conninfo)
{
    PGconn *conn = PQconnectdb(conninfo);
    if (PQstatus(conn) != CONNECTION_OK)
        fail("%s", PQerrorMessage(conn));
    return conn;
}

static void expect(PGconn *conn, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_PIPELINE_SYNC)
        fail("%s", PQerrorMessage(conn));
    PQclear(result);
}

static char *read_file(const char *path, size_t *len)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) != 0)
        fail("%s: %s", path, strerror(errno));
    char *data = grown(NULL, (size_t)st.st_size + 1);
    *len = 0;
    while (*len < (size_t)st.st_size) {
        ssize_t got = read(fd, data + *len, (size_t)st.st_size - *len);
        if (got <= 0)
            fail("%s: cannot be read", path);
        *len += (size_t)got;
    }
    data[*len] = '\0';
    close(fd);
    return data;
}

struct params {
    const char **values; /* rows * columns, row by row */
    size_t rows, next;
    int columns;
};

static struct params params_read(const char *path)
{
    struct params params = {.columns = 0};
    if (strcmp(path, "-") == 0)
        return params;
    size_t len, cap = 0, count = 0;
    char *data = read_file(path, &len);
    int columns = 1;
    for (char *at = data; *at != '\0' && *at != '\n'; at++)
        columns += *at == '\t';
    for (char *at = data; at < data + len;) {
        for (int i = 0; i < columns; i++) {
            char *stop = at + strcspn(at, "\t\n");
            if (count == cap) {
                cap = cap ? cap * 2 : 1024;
                params.values = grown(params.values, cap * sizeof(*params.values));
            }
            *stop = '\0';
            params.values[count++] = strcmp(at, "\\N") == 0 ? NULL : at;
            at = stop + 1;
        }
        params.rows++;
    }
    if (params.rows == 0)
        fail("%s is empty", path);
    params.columns = columns;
    return params;
}

static const char *const *params_next(struct params *params)
{
    if (params->columns == 0)
        return NULL;
    if (params->next == params->rows)
        params->next = 0;
    return params->values + params->next++ * (size_t)params->columns;
}

/* ---- copy ---- */

static void copy(const char *conninfo, const char *sql, const char *path)
{
    enum { CHUNK_BYTES = 65536 };
    size_t len;
    char *data = read_file(path, &len);
    PGconn *conn = connect_to(conninfo);
    int64_t start = now_ns();
    PGresult *result = PQexec(conn, sql);
    if (PQresultStatus(result) != PGRES_COPY_IN)
        fail("%s", PQerrorMessage(conn));
    PQclear(result);
    for (size_t at = 0; at < len; at += CHUNK_BYTES) {
        size_t bytes = len - at < CHUNK_BYTES ? len - at : CHUNK_BYTES;
        if (PQputCopyData(conn, data + at, (int)bytes) != 1)
            fail("%s", PQerrorMessage(conn));
    }
    if (PQputCopyEnd(conn, NULL) != 1)
        fail("%s", PQerrorMessage(conn));
    result = PQgetResult(conn);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        fail("%s", PQerrorMessage(conn));
    printf("{\"seconds\": %.6f, \"rows\": %s, ", (double)(now_ns() - start) / 1e9, PQcmdTuples(result));
    PQclear(result);
    cpu_print();
    puts("}");
    PQfinish(conn);
}

/* ---- run ---- */

struct client {
    PGconn *conn;
    int64_t sent_ns;
};

static void send_one(struct client *client, bool prepared, const char *sql, struct params *params)
{
    client->sent_ns = now_ns();
    int ok = prepared
                 ? PQsendQueryPrepared(client->conn, "s", params->columns, params_next(params), NULL, NULL, 0)
                 : PQsendQuery(client->conn, sql);
    if (!ok)
        fail("%s", PQerrorMessage(client->conn));
}

static void run(const char *conninfo, const char *mode, int clients_count, double seconds, const char *sql,
                const char *params_path)
{
    bool prepared = strcmp(mode, "prepared") == 0;
    struct params params = params_read(params_path);
    struct client *clients = grown(NULL, (size_t)clients_count * sizeof(*clients));
    struct pollfd *fds = grown(NULL, (size_t)clients_count * sizeof(*fds));
    for (int i = 0; i < clients_count; i++) {
        clients[i].conn = connect_to(conninfo);
        if (prepared)
            expect(clients[i].conn, PQprepare(clients[i].conn, "s", sql, params.columns, NULL));
        fds[i] = (struct pollfd){.fd = PQsocket(clients[i].conn), .events = POLLIN};
    }
    struct times times = {0};
    int64_t start = now_ns(), stop = start + (int64_t)(seconds * 1e9), end = start;
    int busy = clients_count;
    for (int i = 0; i < clients_count; i++)
        send_one(&clients[i], prepared, sql, &params);
    while (busy > 0) {
        if (poll(fds, (nfds_t)clients_count, -1) < 0 && errno != EINTR)
            fail("poll: %s", strerror(errno));
        for (int i = 0; i < clients_count; i++) {
            PGconn *conn = clients[i].conn;
            if (fds[i].revents == 0)
                continue;
            if (!PQconsumeInput(conn))
                fail("%s", PQerrorMessage(conn));
            bool done = false;
            while (!PQisBusy(conn)) {
                PGresult *result = PQgetResult(conn);
                done = result == NULL;
                if (done)
                    break;
                expect(conn, result);
            }
            if (!done)
                continue;
            end = now_ns();
            times_add(&times, end - clients[i].sent_ns);
            if (end < stop) {
                send_one(&clients[i], prepared, sql, &params);
            } else {
                fds[i].fd = -1;
                busy--;
            }
        }
    }
    double took = (double)(end - start) / 1e9;
    printf("{\"seconds\": %.6f, \"statements\": %zu, \"per_second\": %.1f, ", took, times.count,
           (double)times.count / took);
    times_print("latency", &times);
    printf(", ");
    cpu_print();
    puts("}");
    for (int i = 0; i < clients_count; i++)
        PQfinish(clients[i].conn);
}

/* ---- pipeline ---- */

#define PIPELINE_STATEMENTS_MAX 1000 /* sent and not answered, beyond one group */

static void pipeline_start(PGconn *conn, const char *sql, int columns)
{
    expect(conn, PQprepare(conn, "s", sql, columns, NULL));
    if (PQsetnonblocking(conn, 1) != 0 || !PQenterPipelineMode(conn))
        fail("%s", PQerrorMessage(conn));
}

/* Takes the answers that are there; returns how many statements were answered. */
static size_t pipeline_answers(PGconn *conn, size_t *syncs)
{
    size_t answered = 0;
    if (!PQconsumeInput(conn))
        fail("%s", PQerrorMessage(conn));
    int nulls = 0;
    while (nulls < 2 && !PQisBusy(conn)) {
        PGresult *result = PQgetResult(conn);
        if (result == NULL) {
            nulls++; /* one after each statement's results; two: nothing is outstanding */
            continue;
        }
        nulls = 0;
        if (PQresultStatus(result) == PGRES_PIPELINE_SYNC)
            (*syncs)++;
        else
            answered++;
        expect(conn, result);
    }
    return answered;
}

static void pipeline(const char *conninfo, size_t per_sync, double seconds, const char *sql,
                     const char *params_path)
{
    struct params params = params_read(params_path);
    PGconn *conn = connect_to(conninfo);
    pipeline_start(conn, sql, params.columns);
    struct pollfd fd = {.fd = PQsocket(conn)};
    int64_t start = now_ns(), stop = start + (int64_t)(seconds * 1e9);
    size_t sent = 0, answered = 0, syncs = 0, synced = 0;
    bool stopped = false;
    while (!stopped || synced < syncs) {
        stopped = stopped || now_ns() >= stop;
        while (!stopped && sent - answered < PIPELINE_STATEMENTS_MAX + per_sync) {
            for (size_t i = 0; i < per_sync; i++) {
                if (!PQsendQueryPrepared(conn, "s", params.columns, params_next(&params), NULL, NULL, 0))
                    fail("%s", PQerrorMessage(conn));
            }
            if (!PQpipelineSync(conn))
                fail("%s", PQerrorMessage(conn));
            sent += per_sync;
            syncs++;
        }
        int unsent = PQflush(conn);
        if (unsent < 0)
            fail("%s", PQerrorMessage(conn));
        fd.events = (short)(POLLIN | (unsent ? POLLOUT : 0));
        if (poll(&fd, 1, -1) < 0 && errno != EINTR)
            fail("poll: %s", strerror(errno));
        if (fd.revents & POLLIN)
            answered += pipeline_answers(conn, &synced);
    }
    double took = (double)(now_ns() - start) / 1e9;
    printf("{\"seconds\": %.6f, \"statements\": %zu, \"commits\": %zu, \"per_second\": %.1f, ", took,
           answered, synced, (double)answered / took);
    cpu_print();
    puts("}");
    PQfinish(conn);
}

/* ---- open ---- */

/* Statement number i = 0, 1, 2 ... is due at start + i / RATE, whatever the server does; it is INSERT ... with
 * i as its only parameter. All that are due are sent in one group with one Sync, as a producer does that
 * gathers while it waits: at most one group is with the server and one on its way. Two other connections
 * watch: SUBSCRIBE (a COPY of a change stream, whose last column is i) and SELECT (the greatest i, asked again
 * every 200 us). A number's latency is the time from when it was due to when it was seen. The first second
 * warms up and is not counted. */

#define GROUPS_MAX 2

struct watch {
    const char *conninfo, *sql;
    int64_t start_ns;
    double ns_per_row;
    int64_t warm, count; /* rows before `warm` do not count; the watch ends at `count` */
    struct times times;
    _Atomic bool ready;
};

static void watch_seen(struct watch *watch, int64_t number, int64_t seen_ns)
{
    if (number >= watch->warm)
        times_add(&watch->times, seen_ns - (watch->start_ns + (int64_t)((double)number * watch->ns_per_row)));
}

static void *watch_stream(void *arg)
{
    struct watch *watch = arg;
    PGconn *conn = connect_to(watch->conninfo);
    PGresult *result = PQexec(conn, watch->sql);
    if (PQresultStatus(result) != PGRES_COPY_OUT)
        fail("%s", PQerrorMessage(conn));
    PQclear(result);
    watch->ready = true;
    int64_t seen = 0;
    while (seen < watch->count) {
        char *line;
        int len = PQgetCopyData(conn, &line, 0);
        if (len < 0)
            fail("the change stream ended: %s", PQerrorMessage(conn));
        const char *last = strrchr(line, '\t');
        watch_seen(watch, strtoll(last != NULL ? last + 1 : line, NULL, 10), now_ns());
        PQfreemem(line);
        seen++;
    }
    PQfinish(conn);
    return NULL;
}

static void *watch_select(void *arg)
{
    struct watch *watch = arg;
    PGconn *conn = connect_to(watch->conninfo);
    expect(conn, PQprepare(conn, "s", watch->sql, 0, NULL));
    watch->ready = true;
    int64_t seen = 0;
    while (seen < watch->count) {
        PGresult *result = PQexecPrepared(conn, "s", 0, NULL, NULL, NULL, 0);
        if (PQresultStatus(result) != PGRES_TUPLES_OK)
            fail("%s", PQerrorMessage(conn));
        int64_t count = PQntuples(result) > 0 && !PQgetisnull(result, 0, 0)
                            ? strtoll(PQgetvalue(result, 0, 0), NULL, 10) + 1
                            : 0;
        int64_t seen_ns = now_ns();
        PQclear(result);
        for (; seen < count; seen++)
            watch_seen(watch, seen, seen_ns);
        struct timespec pause = {0, 200000};
        nanosleep(&pause, NULL);
    }
    PQfinish(conn);
    return NULL;
}

static void open_loop(const char *conninfo, double rate, double seconds, const char *insert,
                      const char *subscribe, const char *select)
{
    PGconn *conn = connect_to(conninfo);
    pipeline_start(conn, insert, 1);
    int64_t count = (int64_t)(rate * seconds), warm = (int64_t)rate;
    double ns_per_row = 1e9 / rate;
    struct watch watches[2] = {{.conninfo = conninfo, .sql = subscribe},
                               {.conninfo = conninfo, .sql = select}};
    pthread_t threads[2];
    int watches_count = strcmp(subscribe, "-") == 0 ? 1 : 2;
    struct watch *first = &watches[2 - watches_count];
    for (int i = 0; i < watches_count; i++) {
        first[i].count = count;
        first[i].warm = warm;
        first[i].ns_per_row = ns_per_row;
        first[i].start_ns = now_ns() + 200000000;
    }
    int64_t start = now_ns() + 200000000;
    for (int i = 0; i < watches_count; i++) {
        first[i].start_ns = start;
        if (pthread_create(&threads[i], NULL, first[i].sql == select ? watch_select : watch_stream,
                           &first[i]) != 0)
            fail("cannot start a thread");
    }
    struct pollfd fd = {.fd = PQsocket(conn)};
    struct times acks = {0};
    int64_t *groups = NULL; /* last number of each group with a Sync */
    size_t syncs = 0, synced = 0, cap = 0;
    int64_t sent = 0;
    while (sent < count || synced < syncs) {
        int64_t now = now_ns();
        int64_t due = now < start ? 0 : (int64_t)((double)(now - start) / ns_per_row) + 1;
        if (due > count)
            due = count;
        bool may_send = syncs - synced < GROUPS_MAX;
        if (sent < due && may_send) {
            for (; sent < due; sent++) {
                char text[24];
                const char *values[1] = {text};
                snprintf(text, sizeof(text), "%lld", (long long)sent);
                if (!PQsendQueryPrepared(conn, "s", 1, values, NULL, NULL, 0))
                    fail("%s", PQerrorMessage(conn));
            }
            if (!PQpipelineSync(conn))
                fail("%s", PQerrorMessage(conn));
            if (syncs == cap) {
                cap = cap ? cap * 2 : 1024;
                groups = grown(groups, cap * sizeof(*groups));
            }
            groups[syncs++] = sent;
        }
        int unsent = PQflush(conn);
        if (unsent < 0)
            fail("%s", PQerrorMessage(conn));
        fd.events = (short)(POLLIN | (unsent ? POLLOUT : 0));
        int64_t wait_ns = start + (int64_t)((double)sent * ns_per_row) - now_ns();
        if (sent == count || syncs - synced >= GROUPS_MAX)
            wait_ns = 1000000000; /* an answer ends it */
        struct timespec wait = {wait_ns / 1000000000, wait_ns % 1000000000};
        if (wait_ns < 0)
            wait = (struct timespec){0, 0};
        if (ppoll(&fd, 1, &wait, NULL) < 0 && errno != EINTR)
            fail("poll: %s", strerror(errno));
        if (fd.revents & POLLIN) {
            size_t before = synced;
            (void)pipeline_answers(conn, &synced);
            int64_t acked_ns = now_ns();
            for (size_t g = before; g < synced; g++) {
                for (int64_t number = g == 0 ? 0 : groups[g - 1]; number < groups[g]; number++) {
                    if (number >= warm)
                        times_add(&acks, acked_ns - (start + (int64_t)((double)number * ns_per_row)));
                }
            }
        }
    }
    double took = (double)(now_ns() - start) / 1e9;
    for (int i = 0; i < watches_count; i++)
        pthread_join(threads[i], NULL);
    printf("{\"seconds\": %.3f, \"rows\": %lld, \"commits\": %zu, ", took, (long long)count, synced);
    times_print("acknowledged", &acks);
    printf(", ");
    times_print("select", &watches[1].times);
    if (watches_count == 2) {
        printf(", ");
        times_print("stream", &watches[0].times);
    }
    puts("}");
    PQfinish(conn);
}

/* ---- visible ---- */

static void visible(const char *conninfo, int64_t count, const char *insert, const char *select)
{
    PGconn *writer = connect_to(conninfo), *reader = connect_to(conninfo);
    expect(writer, PQprepare(writer, "s", insert, 1, NULL));
    expect(reader, PQprepare(reader, "s", select, 1, NULL));
    struct times acks = {0}, shown = {0}, whole = {0};
    for (int64_t i = 0; i < count; i++) {
        char text[24];
        const char *values[1] = {text};
        snprintf(text, sizeof(text), "%lld", (long long)i);
        int64_t start = now_ns();
        expect(writer, PQexecPrepared(writer, "s", 1, values, NULL, NULL, 0));
        int64_t acked = now_ns();
        for (bool seen = false; !seen;) {
            PGresult *result = PQexecPrepared(reader, "s", 1, values, NULL, NULL, 0);
            seen = PQntuples(result) > 0;
            expect(reader, result);
        }
        int64_t end = now_ns();
        times_add(&acks, acked - start);
        times_add(&shown, end - acked);
        times_add(&whole, end - start);
        struct timespec pause = {0, 2000000};
        nanosleep(&pause, NULL);
    }
    putchar('{');
    times_print("acknowledged", &acks);
    printf(", ");
    times_print("acknowledged_to_visible", &shown);
    printf(", ");
    times_print("sent_to_visible", &whole);
    puts("}");
    PQfinish(writer);
    PQfinish(reader);
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "copy") == 0)
        copy(argv[2], argv[3], argv[4]);
    else if (argc == 8 && strcmp(argv[1], "run") == 0)
        run(argv[2], argv[3], (int)strtol(argv[4], NULL, 10), strtod(argv[5], NULL), argv[6], argv[7]);
    else if (argc == 7 && strcmp(argv[1], "pipeline") == 0)
        pipeline(argv[2], (size_t)atol(argv[3]), atof(argv[4]), argv[5], argv[6]);
    else if (argc == 8 && strcmp(argv[1], "open") == 0)
        open_loop(argv[2], atof(argv[3]), atof(argv[4]), argv[5], argv[6], argv[7]);
    else if (argc == 6 && strcmp(argv[1], "visible") == 0)
        visible(argv[2], atoll(argv[3]), argv[4], argv[5]);
    else
        fail("usage: see the head of tests/bench/pg_client.c");
    return 0;
}
