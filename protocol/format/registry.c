/* registry.c: see registry.h.
 *
 * One table for the process holds what is known of schemas by "URL#number". An entry is being asked for by at most one
 * thread; others that want it wait for that answer, without the lock, and take its failure as theirs. */
#include "protocol/format/registry.h"

#include "storage/base/clock.h"

#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define ANSWER_BYTES_MAX     (64u << 20)
#define REFERENCES_DEPTH_MAX 32
#define MISSING_NS           INT64_C(10000000000)
#define CONNECT_TIMEOUT_MS   5000L
#define MEDIA_TYPE           "application/vnd.schemaregistry.v1+json"

struct registry_url {
    const char *url;  /* without credentials and the last slash */
    const char *user; /* NULL: none */
    const char *password;
};

struct registry {
    struct arena arena;
    CURL *curl;
    struct curl_slist *headers;
    uint32_t urls_count, urls_cap, url_at; /* url_at: who answered last */
    struct registry_url *urls;
    const char *name; /* all URLs without credentials: what the cache goes by and errors say */
    const char *token, *ca, *certificate, *key;
    long timeout_ms;
    char problem[CURL_ERROR_SIZE];
    struct strbuf answer;
};

/* ---- what the process knows ---- */

enum entry_state { ENTRY_UNKNOWN, ENTRY_ASKED, ENTRY_KNOWN, ENTRY_MISSING };

struct entry {
    struct entry *next;
    uint64_t hash;
    char *key;
    enum entry_state state;
    uint64_t failures; /* answers that were none */
    struct error problem;
    int64_t missing_until_ns;
    const struct registry_schema *schema;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    struct entry **buckets;
    size_t buckets_count, entries_count;
} known = {.lock = PTHREAD_MUTEX_INITIALIZER, .answered = PTHREAD_COND_INITIALIZER};

static void grow_known(void)
{
    size_t count = known.buckets_count == 0 ? 64 : known.buckets_count * 2;
    struct entry **buckets = mem_zalloc(count * sizeof(struct entry *));
    for (size_t i = 0; i < known.buckets_count; i++) {
        for (struct entry *entry = known.buckets[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            entry->next = buckets[entry->hash & (count - 1)];
            buckets[entry->hash & (count - 1)] = entry;
        }
    }
    mem_free(known.buckets);
    known.buckets = buckets;
    known.buckets_count = count;
}

/* The entry of a key, made when there is none. Needs the lock. */
static struct entry *find_entry(const char *key)
{
    uint64_t hash = XXH3_64bits(key, strlen(key));
    if (known.entries_count >= known.buckets_count)
        grow_known();
    struct entry **bucket = &known.buckets[hash & (known.buckets_count - 1)];
    for (struct entry *entry = *bucket; entry != NULL; entry = entry->next) {
        if (entry->hash == hash && strcmp(entry->key, key) == 0)
            return entry;
    }
    struct entry *entry = mem_zalloc(sizeof(*entry));
    entry->hash = hash;
    entry->key = mem_strdup(key);
    entry->next = *bucket;
    *bucket = entry;
    known.entries_count++;
    return entry;
}

/* ---- opening ---- */

static void init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* Takes one URL apart. */
static bool add_url(struct registry *registry, const char *text, size_t len, struct error *err)
{
    struct registry_url url = {0};
    CURLU *parts = curl_url();
    char *user = NULL, *password = NULL, *whole = NULL, *scheme = NULL;
    bool ok =
        parts != NULL &&
        curl_url_set(parts, CURLUPART_URL, arena_strndup(&registry->arena, text, len), 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    if (ok && curl_url_get(parts, CURLUPART_USER, &user, CURLU_URLDECODE) == CURLUE_OK) {
        url.user = arena_strdup(&registry->arena, user);
        if (curl_url_get(parts, CURLUPART_PASSWORD, &password, CURLU_URLDECODE) == CURLUE_OK)
            url.password = arena_strdup(&registry->arena, password);
        curl_url_set(parts, CURLUPART_USER, NULL, 0);
        curl_url_set(parts, CURLUPART_PASSWORD, NULL, 0);
    }
    ok = ok && curl_url_set(parts, CURLUPART_QUERY, NULL, 0) == CURLUE_OK &&
         curl_url_get(parts, CURLUPART_URL, &whole, 0) == CURLUE_OK;
    if (ok) {
        size_t whole_len = strlen(whole);
        while (whole_len > 0 && whole[whole_len - 1] == '/')
            whole_len--;
        url.url = arena_strndup(&registry->arena, whole, whole_len);
        ARENA_PUSH(&registry->arena, registry->urls, registry->urls_count, registry->urls_cap, url);
    }
    curl_free(scheme);
    curl_free(user);
    curl_free(password);
    curl_free(whole);
    curl_url_cleanup(parts);
    return ok || error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                           "option \"schema.registry.url\" is no URL of http or https");
}

static bool add_urls(struct registry *registry, const char *list, struct error *err)
{
    for (const char *at = list;; at++) {
        size_t len = strcspn(at, ",");
        while (len > 0 && *at == ' ')
            at++, len--;
        if (len > 0 && !add_url(registry, at, len, err))
            return false;
        at += len;
        if (*at == '\0')
            break;
    }
    if (registry->urls_count == 0)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "option \"schema.registry.url\" names no URL");
    struct strbuf name = STRBUF_INIT;
    for (uint32_t i = 0; i < registry->urls_count; i++)
        strbuf_addf(&name, "%s%s", i > 0 ? "," : "", registry->urls[i].url);
    registry->name = arena_strdup(&registry->arena, strbuf_text(&name));
    strbuf_release(&name);
    return true;
}

static size_t take_answer(char *bytes, size_t size, size_t count, void *ctx)
{
    struct registry *registry = ctx;
    if (size * count > ANSWER_BYTES_MAX - registry->answer.len)
        return 0;
    strbuf_add(&registry->answer, bytes, size * count);
    return size * count;
}

/* NULL when the option is empty. */
static const char *text_option(struct registry *registry, const struct format_class *class,
                               const struct format_spec *spec, const char *name)
{
    const char *value = format_option(class, spec, name);
    return value == NULL || value[0] == '\0' ? NULL : arena_strdup(&registry->arena, value);
}

static bool configure(struct registry *registry, const struct format_class *class,
                      const struct format_spec *spec, const char *urls, struct error *err)
{
    const char *user = text_option(registry, class, spec, "schema_registry_user");
    const char *password = text_option(registry, class, spec, "schema_registry_password");
    registry->token = text_option(registry, class, spec, "schema_registry_token");
    registry->ca = text_option(registry, class, spec, "schema_registry_ca");
    registry->certificate = text_option(registry, class, spec, "schema_registry_certificate");
    registry->key = text_option(registry, class, spec, "schema_registry_key");
    const char *timeout = format_option(class, spec, "schema_registry_timeout");
    char *end;
    registry->timeout_ms = strtol(timeout, &end, 10);
    if (*end != '\0' || end == timeout || registry->timeout_ms < 1 || registry->timeout_ms > 3600000)
        return error_set(
            err, ERRCODE_INVALID_PARAMETER_VALUE,
            "option \"schema_registry_timeout\" must be milliseconds from 1 to 3600000, not \"%s\"", timeout);
    if (password != NULL && user == NULL)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "option \"schema_registry_password\" needs \"schema_registry_user\"");
    if (user != NULL && registry->token != NULL)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "options \"schema_registry_user\" and \"schema_registry_token\" exclude each other");
    if (!add_urls(registry, urls, err))
        return false;
    for (uint32_t i = 0; user != NULL && i < registry->urls_count; i++) {
        registry->urls[i].user = user;
        registry->urls[i].password = password;
    }
    return true;
}

bool registry_option_connects(const char *name)
{
    return strcmp(name, "schema.registry.url") == 0 || strncmp(name, "schema_registry_", 16) == 0;
}

bool registry_open(const struct format_class *class, const struct format_spec *spec, struct registry **out,
                   struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const char *urls = format_option(class, spec, "schema.registry.url");
    if (out != NULL)
        *out = NULL;
    if (urls == NULL || urls[0] == '\0')
        return true;
    pthread_once(&once, init_curl);
    struct registry *registry = mem_zalloc(sizeof(*registry));
    arena_init(&registry->arena, NULL);
    bool ok = configure(registry, class, spec, urls, err);
    if (ok && out != NULL) {
        registry->curl = curl_easy_init();
        registry->headers = curl_slist_append(NULL, "Accept: " MEDIA_TYPE ", application/json");
        registry->headers = curl_slist_append(registry->headers, "Content-Type: " MEDIA_TYPE);
        ok = registry->curl != NULL ||
             error_set(err, ERRCODE_INSUFFICIENT_RESOURCES, "libcurl could not be started");
    }
    if (ok && out != NULL)
        *out = registry;
    else
        registry_close(registry);
    return ok;
}

void registry_close(struct registry *registry)
{
    if (registry == NULL)
        return;
    if (registry->curl != NULL)
        curl_easy_cleanup(registry->curl);
    curl_slist_free_all(registry->headers);
    strbuf_release(&registry->answer);
    arena_release(&registry->arena);
    mem_free(registry);
}

/* ---- asking ---- */

static void prepare(struct registry *registry, const struct registry_url *url, const char *path,
                    const char *body)
{
    CURL *curl = registry->curl;
    struct strbuf whole = STRBUF_INIT;
    strbuf_addf(&whole, "%s%s", url->url, path);
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, strbuf_text(&whole)); /* copied */
    strbuf_release(&whole);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 5L);
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                     registry->timeout_ms < CONNECT_TIMEOUT_MS ? registry->timeout_ms : CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, registry->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, registry->headers);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, registry->problem);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, registry);
    if (body != NULL)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    if (url->user != NULL) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERNAME, url->user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, url->password != NULL ? url->password : "");
    }
    if (registry->token != NULL) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, registry->token);
    }
    if (registry->ca != NULL)
        curl_easy_setopt(curl, CURLOPT_CAINFO, registry->ca);
    if (registry->certificate != NULL)
        curl_easy_setopt(curl, CURLOPT_SSLCERT, registry->certificate);
    if (registry->key != NULL)
        curl_easy_setopt(curl, CURLOPT_SSLKEY, registry->key);
}

static bool no_answer(struct registry *registry, struct error *err, const char *why)
{
    return error_set(err, ERRCODE_CONNECTION_FAILURE, "schema registry at %s gives no usable answer: %s",
                     registry->name, why);
}

/* What the registry says about a request that failed. */
static bool refused(struct registry *registry, const char *what, long status, const cJSON *answer,
                    struct error *err)
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(answer, "error_code");
    const cJSON *message = cJSON_GetObjectItemCaseSensitive(answer, "message");
    const char *words = cJSON_IsString(message) ? message->valuestring : "";
    /* one without a code comes from somebody on the way, or is no registry's address */
    if (status == 404 && cJSON_IsNumber(number))
        return error_set(err, ERRCODE_UNDEFINED_OBJECT, "schema registry at %s has no %s", registry->name,
                         what);
    if (status == 409 || status == 422) {
        error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "schema registry at %s refuses %s", registry->name,
                  what);
        return error_detail(err, "%s", words);
    }
    error_set(err, ERRCODE_CONNECTION_FAILURE, "schema registry at %s answers with HTTP status %ld to %s",
              registry->name, status, what);
    return words[0] == '\0' ? false : error_detail(err, "%s", words);
}

/* GET, or POST with a body. what: the thing asked for, for errors. *out: the answer, to be deleted. */
static bool ask(struct registry *registry, const char *path, const char *body, const char *what, cJSON **out,
                struct error *err)
{
    CURLcode code = CURLE_OK;
    for (uint32_t i = 0; i < registry->urls_count; i++) {
        prepare(registry, &registry->urls[registry->url_at], path, body);
        strbuf_reset(&registry->answer);
        registry->problem[0] = '\0';
        code = curl_easy_perform(registry->curl);
        if (code == CURLE_OK)
            break;
        registry->url_at = (registry->url_at + 1) % registry->urls_count;
    }
    if (code == CURLE_WRITE_ERROR)
        return no_answer(registry, err, "it is too long");
    if (code != CURLE_OK)
        return error_set(err, ERRCODE_CONNECTION_FAILURE, "schema registry at %s cannot be reached: %s",
                         registry->name,
                         registry->problem[0] != '\0' ? registry->problem : curl_easy_strerror(code));
    long status = 0;
    curl_easy_getinfo(registry->curl, CURLINFO_RESPONSE_CODE, &status);
    cJSON *answer = cJSON_ParseWithLength(strbuf_text(&registry->answer), registry->answer.len);
    if (status < 200 || status > 299) {
        refused(registry, what, status, answer, err);
        cJSON_Delete(answer);
        return false;
    }
    if (answer == NULL)
        return no_answer(registry, err, "it is no JSON");
    *out = answer;
    return true;
}

static bool get_number(const cJSON *answer, const char *name, uint32_t *out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(answer, name);
    if (!cJSON_IsNumber(item) || item->valuedouble < 0 || item->valuedouble >= REGISTRY_NO_ID)
        return false;
    *out = (uint32_t)item->valuedouble;
    return true;
}

static char *subject_path(struct registry *registry, const char *subject, const char *rest)
{
    char *escaped = curl_easy_escape(registry->curl, subject, 0);
    struct strbuf path = STRBUF_INIT;
    strbuf_addf(&path, "/subjects/%s/versions%s", escaped != NULL ? escaped : "", rest);
    curl_free(escaped);
    return path.data;
}

/* what: of the subject, for errors: "version 7 of ". body and out as in ask. */
static bool ask_subject(struct registry *registry, const char *what, const char *subject, const char *rest,
                        const char *body, cJSON **out, struct error *err)
{
    struct strbuf whole = STRBUF_INIT;
    strbuf_addf(&whole, "%ssubject \"%s\"", what, subject);
    char *path = subject_path(registry, subject, rest);
    bool ok = ask(registry, path, body, strbuf_text(&whole), out, err);
    strbuf_release(&whole);
    strbuf_release(&(struct strbuf){.data = path});
    return ok;
}

static bool version_at_depth(struct registry *registry, const char *subject, const char *version, int depth,
                             const struct registry_schema **out, uint32_t *id, uint32_t *number,
                             struct error *err);

static bool take_references(struct registry *registry, const cJSON *list, int depth,
                            struct registry_schema *schema, struct error *err)
{
    int count = cJSON_GetArraySize(list);
    if (count == 0)
        return true;
    if (depth >= REFERENCES_DEPTH_MAX)
        return no_answer(registry, err, "schemas refer to each other too deeply");
    struct registry_reference *references = mem_zalloc(sizeof(*references) * (size_t)count);
    schema->references = references;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(item, "name");
        const cJSON *subject = cJSON_GetObjectItemCaseSensitive(item, "subject");
        uint32_t version, id;
        char text[16];
        if (!cJSON_IsString(name) || !cJSON_IsString(subject) || !get_number(item, "version", &version))
            return no_answer(registry, err, "a reference without name, subject or version");
        snprintf(text, sizeof(text), "/%u", version);
        struct registry_reference *reference = &references[schema->references_count];
        if (!version_at_depth(registry, subject->valuestring, text, depth + 1, &reference->schema, &id,
                              &version, err))
            return false;
        reference->name = mem_strdup(name->valuestring);
        schema->references_count++;
    }
    return true;
}

/* Schemas are never freed once they are known; one that did not become known is. */
static void drop_schema(struct registry_schema *schema)
{
    for (uint32_t i = 0; i < schema->references_count; i++)
        mem_free((char *)schema->references[i].name);
    mem_free((struct registry_reference *)schema->references);
    mem_free((char *)schema->text);
    mem_free(schema);
}

static bool take_schema(struct registry *registry, const cJSON *answer, int depth,
                        const struct registry_schema **out, struct error *err)
{
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(answer, "schema");
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(answer, "schemaType");
    const char *kind = cJSON_IsString(type) ? type->valuestring : "AVRO";
    if (!cJSON_IsString(text))
        return no_answer(registry, err, "it has no schema");
    struct registry_schema *schema = mem_zalloc(sizeof(*schema));
    schema->kind = strcmp(kind, "PROTOBUF") == 0 ? REGISTRY_PROTOBUF
                   : strcmp(kind, "JSON") == 0   ? REGISTRY_JSON
                                                 : REGISTRY_AVRO;
    schema->text = mem_strdup(text->valuestring);
    if (!take_references(registry, cJSON_GetObjectItemCaseSensitive(answer, "references"), depth, schema,
                         err)) {
        drop_schema(schema);
        return false;
    }
    *out = schema;
    return true;
}

static bool by_id(struct registry *registry, uint32_t id, const struct registry_schema **out,
                  struct error *err)
{
    char path[48], what[48];
    snprintf(path, sizeof(path), "/schemas/ids/%u", id);
    snprintf(what, sizeof(what), "schema with id %u", id);
    cJSON *answer;
    if (!ask(registry, path, NULL, what, &answer, err))
        return false;
    bool ok = take_schema(registry, answer, 0, out, err);
    cJSON_Delete(answer);
    return ok;
}

bool registry_by_id(struct registry *registry, uint32_t id, const struct registry_schema **out,
                    struct error *err)
{
    struct strbuf key = STRBUF_INIT;
    strbuf_addf(&key, "%s#%u", registry->name, id);
    pthread_mutex_lock(&known.lock);
    struct entry *entry = find_entry(key.data);
    uint64_t failures = entry->failures;
    while (entry->state == ENTRY_ASKED)
        pthread_cond_wait(&known.answered, &known.lock);
    bool failed = entry->failures != failures;
    if (entry->state == ENTRY_MISSING && clock_monotonic_ns() >= entry->missing_until_ns)
        entry->state = ENTRY_UNKNOWN;
    if (entry->state == ENTRY_UNKNOWN && !failed) {
        const struct registry_schema *schema = NULL;
        struct error problem;
        entry->state = ENTRY_ASKED;
        pthread_mutex_unlock(&known.lock);
        bool ok = by_id(registry, id, &schema, &problem);
        pthread_mutex_lock(&known.lock);
        entry->schema = schema;
        entry->state = ok ? ENTRY_KNOWN : ENTRY_UNKNOWN;
        if (!ok) {
            entry->problem = problem;
            entry->failures++;
            failed = true;
            if (problem.code == ERRCODE_UNDEFINED_OBJECT) {
                entry->state = ENTRY_MISSING;
                entry->missing_until_ns = clock_monotonic_ns() + MISSING_NS;
            }
        }
        pthread_cond_broadcast(&known.answered);
    }
    bool ok = entry->state == ENTRY_KNOWN;
    *out = entry->schema;
    if (!ok && err != NULL)
        *err = entry->problem;
    pthread_mutex_unlock(&known.lock);
    strbuf_release(&key);
    return ok;
}

/* version: "/7" or "/latest". What another client made known meanwhile is taken, so that a schema is one object. */
static bool version_at_depth(struct registry *registry, const char *subject, const char *version, int depth,
                             const struct registry_schema **out, uint32_t *id, uint32_t *number,
                             struct error *err)
{
    char what[32];
    snprintf(what, sizeof(what), "version %s of ", version + 1);
    cJSON *answer = NULL;
    bool ok = ask_subject(registry, what, subject, version, NULL, &answer, err);
    if (!ok)
        return false;
    if (!get_number(answer, "id", id) || !get_number(answer, "version", number))
        ok = no_answer(registry, err, "a version without its number or id");
    const struct registry_schema *schema = NULL;
    ok = ok && take_schema(registry, answer, depth, &schema, err);
    cJSON_Delete(answer);
    if (!ok)
        return false;
    struct strbuf key = STRBUF_INIT;
    strbuf_addf(&key, "%s#%u", registry->name, *id);
    pthread_mutex_lock(&known.lock);
    struct entry *entry = find_entry(key.data);
    if (entry->state == ENTRY_KNOWN) {
        drop_schema((struct registry_schema *)schema);
    } else if (entry->state == ENTRY_ASKED) {
        ; /* its asker stores what it is told; this copy lives beside it */
    } else {
        entry->state = ENTRY_KNOWN;
        entry->schema = schema;
    }
    *out = entry->state == ENTRY_KNOWN ? entry->schema : schema;
    pthread_mutex_unlock(&known.lock);
    strbuf_release(&key);
    return true;
}

bool registry_latest(struct registry *registry, const char *subject, const struct registry_schema **out,
                     uint32_t *id, uint32_t *version, struct error *err)
{
    uint32_t the_id, number;
    if (!version_at_depth(registry, subject, "/latest", 0, out, &the_id, &number, err))
        return false;
    if (id != NULL)
        *id = the_id;
    if (version != NULL)
        *version = number;
    return true;
}

bool registry_version(struct registry *registry, const char *subject, uint32_t version,
                      const struct registry_schema **out, uint32_t *id, struct error *err)
{
    char text[16];
    uint32_t the_id, number;
    snprintf(text, sizeof(text), "/%u", version);
    if (!version_at_depth(registry, subject, text, 0, out, &the_id, &number, err))
        return false;
    if (id != NULL)
        *id = the_id;
    return true;
}

bool registry_versions(struct registry *registry, const char *subject, struct arena *arena, uint32_t **out,
                       uint32_t *count, struct error *err)
{
    cJSON *answer = NULL;
    if (!ask_subject(registry, "", subject, "", NULL, &answer, err))
        return false;
    *count = 0;
    *out = ARENA_ARRAY(arena, uint32_t, cJSON_GetArraySize(answer));
    const cJSON *item;
    cJSON_ArrayForEach(item, answer)
    {
        if (!cJSON_IsNumber(item) || item->valuedouble < 0 || item->valuedouble > UINT32_MAX) {
            cJSON_Delete(answer);
            return no_answer(registry, err, "a version that is no number");
        }
        (*out)[(*count)++] = (uint32_t)item->valuedouble;
    }
    cJSON_Delete(answer);
    return true;
}

bool registry_register(struct registry *registry, const char *subject, enum registry_kind kind,
                       const char *text, uint32_t *id, struct error *err)
{
    static const char *const kinds[] = {
        [REGISTRY_AVRO] = "AVRO", [REGISTRY_PROTOBUF] = "PROTOBUF", [REGISTRY_JSON] = "JSON"};
    cJSON *request = cJSON_CreateObject();
    cJSON_AddStringToObject(request, "schema", text);
    if (kind != REGISTRY_AVRO)
        cJSON_AddStringToObject(request, "schemaType", kinds[kind]);
    char *body = cJSON_PrintUnformatted(request);
    cJSON_Delete(request);
    if (body == NULL)
        return error_set(err, ERRCODE_OUT_OF_MEMORY, "out of memory");
    cJSON *answer = NULL;
    bool ok = ask_subject(registry, "the schema for ", subject, "", body, &answer, err);
    cJSON_free(body);
    if (ok && !get_number(answer, "id", id))
        ok = no_answer(registry, err, "a registered schema without an id");
    cJSON_Delete(answer);
    return ok;
}

/* ---- subjects ---- */

bool registry_subject(const struct format_class *class, const struct format_spec *spec, bool is_key,
                      const char *record_name, struct arena *arena, const char **out, struct error *err)
{
    const char *option = is_key ? "schema_key_subject" : "schema_subject";
    const char *strategy = format_option(class, spec, option);
    const char *topic = spec->topic;
    bool by_topic = strcmp(strategy, "topic_name") == 0;
    bool by_both = strcmp(strategy, "topic_record_name") == 0;
    bool by_record = strcmp(strategy, "record_name") == 0;
    if ((by_topic || by_both) && (topic == NULL || topic[0] == '\0'))
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "the subject of a schema cannot be told without a topic: option \"%s\" can name it",
                         option);
    if ((by_record || by_both) && record_name == NULL) {
        error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                  "option \"%s\" needs the name of a record, which only its schema tells", option);
        return error_hint(err, "Name the subject itself.");
    }
    if (by_topic)
        *out = arena_printf(arena, "%s-%s", topic, is_key ? "key" : "value");
    else if (by_both)
        *out = arena_printf(arena, "%s-%s", topic, record_name);
    else
        *out = arena_strdup(arena, by_record ? record_name : strategy);
    return true;
}
