/* tiny_registry.h: a schema registry within the test's process: what of Confluent's interface the client uses, a count of requests, and
 * failures on demand. */
#ifndef MILLRACE_TESTS_TINY_REGISTRY_H
#define MILLRACE_TESTS_TINY_REGISTRY_H

#include "storage/base/strbuf.h"

#include <cjson/cJSON.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TINY_SCHEMAS_MAX 64

struct tiny_schema {
    char *subject;
    uint32_t version;
    char *answer; /* members of it, without id, version and subject: "schema": ..., ... */
};

struct tiny_registry {
    struct MHD_Daemon *daemon;
    pthread_mutex_t lock;
    uint32_t port;
    struct tiny_schema schemas[TINY_SCHEMAS_MAX]; /* by id - 1 */
    uint32_t count;
    _Atomic int requests;
    _Atomic int fail_with; /* a status for everything, 0: none */
    _Atomic int delay_ms;
    const char *user, *password; /* NULL: anybody */
    char url[64];
};

/* references: "[...]" or NULL. Returns the id. */
static inline uint32_t tiny_add(struct tiny_registry *t, const char *subject, const char *type,
                                const char *text, const char *references)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "schema", text);
    if (type != NULL)
        cJSON_AddStringToObject(object, "schemaType", type);
    if (references != NULL)
        cJSON_AddItemToObject(object, "references", cJSON_Parse(references));
    char *whole = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    pthread_mutex_lock(&t->lock);
    uint32_t version = 1, id = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        bool is_same = strcmp(t->schemas[i].subject, subject) == 0;
        version += is_same;
        if (is_same && strncmp(t->schemas[i].answer, whole + 1, strlen(whole) - 2) == 0)
            id = i + 1;
    }
    if (id == 0) {
        char *answer = strdup(whole + 1);
        answer[strlen(answer) - 1] = '\0';
        t->schemas[t->count] = (struct tiny_schema){strdup(subject), version, answer};
        id = ++t->count;
    }
    pthread_mutex_unlock(&t->lock);
    free(whole);
    return id;
}

static inline unsigned tiny_answer(struct tiny_registry *t, const char *url, const char *method,
                                   const char *body, struct strbuf *out)
{
    unsigned id = 0, status = 404;
    char subject[256] = "", version[32] = "";
    if (t->fail_with != 0) {
        strbuf_adds(out, "{\"error_code\":50001,\"message\":\"no luck\"}");
        return (unsigned)t->fail_with;
    }
    if (sscanf(url, "/schemas/ids/%u", &id) == 1) {
        if (id == 0 || id > t->count) {
            strbuf_adds(out, "{\"error_code\":40403,\"message\":\"Schema not found\"}");
            return 404;
        }
        strbuf_addf(out, "{%s}", t->schemas[id - 1].answer);
        return 200;
    }
    int parts = sscanf(url, "/subjects/%255[^/]/versions/%31s", subject, version);
    if (parts < 1)
        return status;
    if (strcmp(method, "POST") == 0) {
        cJSON *request = cJSON_Parse(body);
        const cJSON *type = cJSON_GetObjectItem(request, "schemaType");
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(request, "schema"));
        if (text == NULL || strstr(text, "forbidden") != NULL) {
            strbuf_adds(out, "{\"error_code\":409,\"message\":\"Schema being registered is incompatible\"}");
            cJSON_Delete(request);
            return 409;
        }
        pthread_mutex_unlock(&t->lock);
        id = tiny_add(t, subject, cJSON_GetStringValue(type), text, NULL);
        pthread_mutex_lock(&t->lock);
        strbuf_addf(out, "{\"id\":%u}", id);
        cJSON_Delete(request);
        return 200;
    }
    if (parts == 1)
        strbuf_addc(out, '[');
    for (uint32_t i = 0; i < t->count; i++) {
        if (strcmp(t->schemas[i].subject, subject) != 0)
            continue;
        status = 200;
        if (parts == 1) {
            strbuf_addf(out, "%s%u", out->len > 1 ? "," : "", t->schemas[i].version);
        } else if (strcmp(version, "latest") == 0 || (uint32_t)atoi(version) == t->schemas[i].version) {
            strbuf_reset(out);
            strbuf_addf(out, "{\"subject\":\"%s\",\"version\":%u,\"id\":%u,%s}", subject,
                        t->schemas[i].version, i + 1, t->schemas[i].answer);
        }
    }
    if (parts == 1 && status == 200)
        strbuf_addc(out, ']');
    if (status == 404) {
        strbuf_reset(out);
        strbuf_adds(out, "{\"error_code\":40401,\"message\":\"Subject not found\"}");
    }
    return status;
}

static inline enum MHD_Result tiny_handle(void *ctx, struct MHD_Connection *connection, const char *url,
                                          const char *method, const char *protocol, const char *data,
                                          size_t *data_len, void **state)
{
    struct tiny_registry *t = ctx;
    struct strbuf *body = *state;
    if (body == NULL) {
        *state = calloc(1, sizeof(*body));
        return MHD_YES;
    }
    if (*data_len > 0) {
        strbuf_add(body, data, *data_len);
        *data_len = 0;
        return MHD_YES;
    }
    struct strbuf out = STRBUF_INIT;
    unsigned status;
    t->requests++;
    if (t->delay_ms > 0)
        usleep((unsigned)t->delay_ms * 1000);
    char *password = NULL, *user = MHD_basic_auth_get_username_password(connection, &password);
    if (t->user != NULL && (user == NULL || strcmp(user, t->user) != 0 || password == NULL ||
                            strcmp(password, t->password) != 0)) {
        strbuf_adds(&out, "{\"error_code\":401,\"message\":\"Unauthorized\"}");
        status = 401;
    } else {
        pthread_mutex_lock(&t->lock);
        status = tiny_answer(t, url, method, strbuf_text(body), &out);
        pthread_mutex_unlock(&t->lock);
    }
    MHD_free(user);
    MHD_free(password);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(out.len, (void *)strbuf_text(&out), MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(response, "Content-Type", "application/vnd.schemaregistry.v1+json");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    strbuf_release(&out);
    strbuf_release(body);
    free(body);
    *state = NULL;
    return result;
}

static inline void tiny_start(struct tiny_registry *t)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    pthread_mutex_init(&t->lock, NULL);
    t->daemon = MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL,
                                 NULL, tiny_handle, t, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_END);
    t->port = MHD_get_daemon_info(t->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    snprintf(t->url, sizeof(t->url), "http://127.0.0.1:%u", t->port);
}

static inline void tiny_stop(struct tiny_registry *t)
{
    MHD_stop_daemon(t->daemon);
    for (uint32_t i = 0; i < t->count; i++) {
        free(t->schemas[i].subject);
        free(t->schemas[i].answer);
    }
}

#endif
