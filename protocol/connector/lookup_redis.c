/* lookup_redis.c: external tables in Redis, by hiredis: each key of the table is a key there, whose value is a hash with a
 * field per column, or the text of a JSON object. All keys of a call go out in one pipeline. */
#include "protocol/connector/lookup.h"

#include "storage/data/json.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

struct redis {
    struct lookup base;
    struct arena arena; /* everything below but the connection */
    const char *host, *user, *password, *database, *key_prefix;
    int port;
    bool is_json;
    uint32_t columns_count, keys_count;
    uint32_t *keys;
    const char **names;
    struct sql_type *types;
    redisContext *context;
};

static const struct connector_option_row options[] = {
    {"host", "127.0.0.1", "name or address of the server"},
    {"port", "6379", "its port"},
    {"user", "", "user of its access list; without one the password is the server's"},
    {"password", "", "password; it is shown nowhere"},
    {"database", "0", "number of the database"},
    {"key_prefix", "",
     "what stands before the value of the primary key: 'customer:'; values of several columns "
     "are joined by colons"},
    {"format", "hash", "hash: a field per column; json: the text of an object with a member per column"},
    {NULL, NULL, NULL},
};

/* ---- opening ---- */

static void redis_close(struct lookup *lookup)
{
    struct redis *self = (struct redis *)lookup;
    if (self->context != NULL)
        redisFree(self->context);
    arena_release(&self->arena);
    mem_free(self);
}

static const char *text_option(struct redis *self, const struct lookup_spec *spec, const char *name)
{
    return arena_strdup(&self->arena, lookup_option(&lookup_redis, spec, name));
}

static bool number_option(const struct lookup_spec *spec, const char *name, long max, long *out,
                          struct error *err)
{
    const char *text = lookup_option(&lookup_redis, spec, name);
    char *end;
    errno = 0;
    *out = strtol(text, &end, 10);
    return (errno == 0 && end != text && *end == '\0' && *out >= 0 && *out <= max) ||
           error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "invalid value for option \"%s\": \"%s\"", name,
                     text);
}

static bool redis_open(const struct lookup_spec *spec, struct lookup **out, struct error *err)
{
    long port, database;
    if (!lookup_check_options(&lookup_redis, spec, err) || !number_option(spec, "port", 65535, &port, err) ||
        !number_option(spec, "database", INT32_MAX, &database, err))
        return false;
    const char *format = lookup_option(&lookup_redis, spec, "format");
    if (strcmp(format, "hash") != 0 && strcmp(format, "json") != 0) {
        error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "invalid value for option \"format\": \"%s\"",
                  format);
        return error_hint(err, "Its values are 'hash' and 'json'.");
    }
    if (out == NULL)
        return true;
    struct redis *self = mem_zalloc(sizeof(*self));
    self->base.class = &lookup_redis;
    arena_init(&self->arena, NULL);
    self->host = text_option(self, spec, "host");
    self->user = text_option(self, spec, "user");
    self->password = text_option(self, spec, "password");
    self->database = text_option(self, spec, "database");
    self->key_prefix = text_option(self, spec, "key_prefix");
    self->port = (int)port;
    self->is_json = strcmp(format, "json") == 0;
    self->columns_count = spec->columns_count;
    self->keys_count = spec->keys_count;
    self->keys = arena_copy(&self->arena, spec->keys, sizeof(*spec->keys) * spec->keys_count);
    self->types = arena_copy(&self->arena, spec->types, sizeof(*spec->types) * spec->columns_count);
    self->names = ARENA_ARRAY(&self->arena, const char *, spec->columns_count);
    for (uint32_t i = 0; i < spec->columns_count; i++)
        self->names[i] = arena_strdup(&self->arena, spec->column_names[i]);
    *out = &self->base;
    return true;
}

/* ---- talking ---- */

static void disconnect(struct redis *self)
{
    redisFree(self->context);
    self->context = NULL;
}

static bool lost(struct redis *self, struct error *err)
{
    return error_set(err, ERRCODE_CONNECTION_FAILURE, "%s",
                     self->context->errstr[0] != '\0' ? self->context->errstr : "the connection was lost");
}

/* Sends what is queued and waits for the next reply, which is the caller's. */
static bool next_reply(struct redis *self, const struct lookup_wait *wait, redisReply **reply,
                       struct error *err)
{
    redisContext *context = self->context;
    int sent = 0;
    *reply = NULL;
    for (;;) {
        void *found = NULL;
        if (redisGetReplyFromReader(context, &found) != REDIS_OK)
            return lost(self, err);
        if (found != NULL) {
            *reply = found;
            return true;
        }
        if (!sent && redisBufferWrite(context, &sent) != REDIS_OK)
            return lost(self, err);
        if (!lookup_wait_for(context->fd, sent ? POLLIN : POLLIN | POLLOUT, wait, err))
            return false;
        struct pollfd now = {.fd = context->fd, .events = POLLIN};
        if (poll(&now, 1, 0) > 0 && redisBufferRead(context) != REDIS_OK)
            return lost(self, err);
    }
}

/* A reply that is no error; WRONGTYPE is about the key alone. */
static bool check_reply(const redisReply *reply, struct error *err)
{
    if (reply->type != REDIS_REPLY_ERROR)
        return true;
    bool about_key = strncmp(reply->str, "WRONGTYPE", 9) == 0;
    return error_set(err, about_key ? ERRCODE_DATA_EXCEPTION : ERRCODE_CONNECTION_FAILURE, "%s", reply->str);
}

static bool greet(struct redis *self, const struct lookup_wait *wait, struct error *err)
{
    uint32_t replies = 0;
    if (self->password[0] != '\0') {
        const char *words[] = {"AUTH", self->user, self->password};
        const char *short_words[] = {"AUTH", self->password};
        bool has_user = self->user[0] != '\0';
        redisAppendCommandArgv(self->context, has_user ? 3 : 2, has_user ? words : short_words, NULL);
        replies++;
    }
    const char *select[] = {"SELECT", self->database};
    redisAppendCommandArgv(self->context, 2, select, NULL);
    replies++;
    bool ok = true;
    for (uint32_t i = 0; i < replies; i++) {
        redisReply *reply;
        if (!next_reply(self, wait, &reply, err))
            return false;
        ok = ok && check_reply(reply, err);
        freeReplyObject(reply);
    }
    return ok;
}

static bool connect_now(struct redis *self, const struct lookup_wait *wait, struct error *err)
{
    self->context = redisConnectNonBlock(self->host, self->port);
    if (self->context == NULL)
        return error_set(err, ERRCODE_OUT_OF_MEMORY, "out of memory");
    bool ok = self->context->err == 0 || lost(self, err);
    ok = ok && lookup_wait_for(self->context->fd, POLLOUT, wait, err);
    if (ok) {
        int failure = 0;
        socklen_t bytes = sizeof(failure);
        getsockopt(self->context->fd, SOL_SOCKET, SO_ERROR, &failure, &bytes);
        ok = failure == 0 ||
             error_set(err, ERRCODE_CONNECTION_FAILURE, "could not connect: %s", strerror(failure));
    }
    ok = ok && greet(self, wait, err);
    if (!ok)
        disconnect(self);
    return ok;
}

static void append_commands(struct redis *self, const struct batch *keys)
{
    struct strbuf key = STRBUF_INIT;
    const char *command = self->is_json ? "GET" : "HGETALL";
    for (uint32_t row = 0; row < keys->rows; row++) {
        strbuf_reset(&key);
        strbuf_adds(&key, self->key_prefix);
        for (uint32_t k = 0; k < self->keys_count; k++) {
            struct datum value = column_get(&keys->columns[k], row);
            strbuf_adds(&key, k > 0 ? ":" : "");
            type_output(keys->columns[k].type.oid, &value, &io_env_default, &key);
        }
        const char *words[] = {command, strbuf_text(&key)};
        size_t lengths[] = {strlen(command), key.len};
        redisAppendCommandArgv(self->context, 2, words, lengths);
    }
    strbuf_release(&key);
}

/* ---- rows ---- */

static bool set_value(struct redis *self, uint32_t column, const char *text, size_t len, struct arena *arena,
                      struct datum *out, struct error *err)
{
    *out = (struct datum){.is_null = false};
    return type_input(self->types[column].oid, self->types[column].typmod, text, len, &io_env_default, arena,
                      out, err);
}

static bool read_hash(struct redis *self, const redisReply *reply, struct arena *arena, struct datum *values,
                      struct error *err)
{
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        const redisReply *name = reply->element[i], *value = reply->element[i + 1];
        for (uint32_t c = 0; c < self->columns_count && value->str != NULL; c++)
            if (strlen(self->names[c]) == name->len && memcmp(self->names[c], name->str, name->len) == 0 &&
                !set_value(self, c, value->str, value->len, arena, &values[c], err))
                return false;
    }
    return true;
}

static bool set_member(struct redis *self, uint32_t column, const struct json_value *member,
                       struct arena *arena, struct datum *out, struct error *err)
{
    if (member->kind == JSON_NULL)
        return true;
    if (member->kind == JSON_STRING || member->kind == JSON_NUMBER)
        return set_value(self, column, (const char *)varlen_bytes(&member->text), member->text.len, arena,
                         out, err);
    struct strbuf text = STRBUF_INIT;
    json_write(member, &text);
    bool ok = set_value(self, column, strbuf_text(&text), text.len, arena, out, err);
    strbuf_release(&text);
    return ok;
}

static bool read_json(struct redis *self, const redisReply *reply, struct arena *arena, struct datum *values,
                      struct error *err)
{
    struct json_value *object;
    if (!json_parse(arena, reply->str, reply->len, &object, err))
        return false;
    if (object->kind != JSON_OBJECT)
        return error_set(err, ERRCODE_DATA_EXCEPTION, "the value of a key is not a JSON object");
    for (uint32_t i = 0; i < object->count; i++)
        for (uint32_t c = 0; c < self->columns_count; c++)
            if (strlen(self->names[c]) == object->keys[i].len &&
                memcmp(self->names[c], varlen_bytes(&object->keys[i]), object->keys[i].len) == 0 &&
                !set_member(self, c, object->items[i], arena, &values[c], err))
                return false;
    return true;
}

/* The row that a reply holds for a key, if it does. */
static bool read_row(struct redis *self, const redisReply *reply, const struct batch *keys, uint32_t row,
                     struct batch *out, struct error *err)
{
    bool is_list = reply->type == REDIS_REPLY_ARRAY;
    if (reply->type == REDIS_REPLY_NIL || (is_list && reply->elements == 0))
        return true;
    if (is_list == self->is_json || (!is_list && reply->type != REDIS_REPLY_STRING))
        return error_set(err, ERRCODE_DATA_EXCEPTION, "the value of a key is of another type");
    struct arena *arena = out->arena;
    struct datum *values = ARENA_ARRAY(arena, struct datum, self->columns_count);
    for (uint32_t c = 0; c < self->columns_count; c++)
        values[c].is_null = true;
    if (!(is_list ? read_hash(self, reply, arena, values, err) : read_json(self, reply, arena, values, err)))
        return false;
    for (uint32_t k = 0; k < self->keys_count; k++)
        values[self->keys[k]] = column_get(&keys->columns[k], row);
    batch_append_datums(out, values, 1);
    return true;
}

static bool redis_fetch(struct lookup *lookup, const struct batch *keys, const struct lookup_wait *wait,
                        struct batch *out, struct error *err)
{
    struct redis *self = (struct redis *)lookup;
    if (self->context == NULL && !connect_now(self, wait, err))
        return false;
    append_commands(self, keys);
    bool ok = true;
    for (uint32_t row = 0; row < keys->rows; row++) {
        redisReply *reply;
        struct error why;
        error_init(&why);
        if (!next_reply(self, wait, &reply, &why)) {
            if (ok)
                *err = why;
            disconnect(self); /* its replies would be taken for those of the next call */
            return false;
        }
        ok = ok && check_reply(reply, err) && read_row(self, reply, keys, row, out, err);
        freeReplyObject(reply);
    }
    return ok;
}

const struct lookup_class lookup_redis = {
    .name = "redis",
    .help = "keys of Redis: WITH (connector = 'redis', key_prefix = 'customer:')",
    .options = options,
    .open = redis_open,
    .fetch = redis_fetch,
    .close = redis_close,
};
