/* secrets.c: see secrets.h. */
#define _GNU_SOURCE /* explicit_bzero */
#include "server/secrets.h"

#include "planner/ddl.h"
#include "planner/redact.h"
#include "server/secret_key.h"
#include "server/settings.h"
#include "server/sinks.h"
#include "server/sources.h"
#include "storage/base/clock.h"
#include "storage/base/log.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the store ---- */

static bool store_secret(struct server *server, const struct catalog_secret *secret, struct error *err)
{
    if (server->store == NULL)
        return true;
    struct strbuf sql = STRBUF_INIT, settings = STRBUF_INIT;
    strbuf_adds(&sql, "CREATE SECRET ");
    statement_quote_name(secret->name, &sql);
    strbuf_adds(&sql, " AS ");
    statement_quote_text(server->secret_key == NULL ? secret->value : "", &sql);
    strbuf_addf(&settings, "{\"created_us\": \"%lld\"", (long long)secret->created_us);
    if (server->secret_key != NULL) {
        strbuf_adds(&settings, ", \"encrypted\": \"");
        secret_key_encrypt(server->secret_key, secret->oid, secret->name, secret->value, &settings);
        strbuf_addc(&settings, '"');
    }
    strbuf_addc(&settings, '}');
    struct catalog_record record = {.oid = secret->oid,
                                    .schema_oid = SCHEMA_PUBLIC,
                                    .name = secret->name,
                                    .kind = "secret",
                                    .sql = sql.data,
                                    .settings = settings.data};
    bool ok =
        catalog_store_write(server->store, &record, 1, NULL, 0, catalog_new_oid(server->catalog) + 1, err);
    explicit_bzero(sql.data, sql.len);
    strbuf_release(&sql);
    strbuf_release(&settings);
    return ok;
}

/* Appends the value that was stored with a key. In safe mode, where nothing is connected to, it may be missing. */
static bool decrypt(struct server *server, const struct catalog_record *record, const char *encrypted,
                    struct strbuf *value, struct error *err)
{
    if (server->secret_key == NULL) {
        error_set(err, ERRCODE_CONFIG_FILE_ERROR, "it is encrypted, and there is no --secret-key-file");
        return server->settings->safe_mode;
    }
    return secret_key_decrypt(server->secret_key, record->oid, record->name, encrypted, value, err) ||
           server->settings->safe_mode;
}

bool secret_restore(struct server *server, const struct catalog_record *record, struct error *err)
{
    struct arena arena;
    struct statement statement;
    struct strbuf value = STRBUF_INIT;
    arena_init(&arena, NULL);
    cJSON *root = cJSON_Parse(record->settings != NULL ? record->settings : "{}");
    const cJSON *created = cJSON_GetObjectItemCaseSensitive(root, "created_us"),
                *encrypted = cJSON_GetObjectItemCaseSensitive(root, "encrypted");
    bool ok = statement_parse(&arena, record->sql, &statement, err);
    if (ok &&
        (statement.secret == NULL || statement.secret->kind != SECRET_CREATE || !cJSON_IsString(created)))
        ok = error_set(err, ERRCODE_DATA_CORRUPTED, "its definition is not one of a secret");
    if (ok && cJSON_IsString(encrypted))
        ok = decrypt(server, record, encrypted->valuestring, &value, err);
    else if (ok)
        strbuf_adds(&value, statement.secret->value);
    if (ok) {
        struct catalog_secret secret = {record->oid, record->name, strbuf_text(&value),
                                        strtoll(created->valuestring, NULL, 10)};
        struct error why;
        catalog_write_lock(server->catalog);
        catalog_put_secret(server->catalog, &secret);
        catalog_unlock(server->catalog);
        if (server->secret_key != NULL && !cJSON_IsString(encrypted) && !store_secret(server, &secret, &why))
            log_write(LOG_WARNING, "secret \"%s\" is not yet encrypted: %s", record->name, why.message);
    }
    if (value.len > 0)
        explicit_bzero(value.data, value.len);
    strbuf_release(&value);
    cJSON_Delete(root);
    arena_release(&arena);
    return ok;
}

/* ---- what uses it ---- */

/* Retained. Needs the catalog's lock. */
static struct catalog_object **find_users(struct server *server, const char *name, struct arena *arena,
                                          uint32_t *count)
{
    struct catalog_object **users = NULL;
    uint32_t cursor = FIRST_USER_OID, cap = 0;
    *count = 0;
    for (struct catalog_object *object; (object = catalog_next(server->catalog, &cursor)) != NULL;) {
        if (!catalog_uses_secret(object, name))
            continue;
        catalog_object_retain(object);
        ARENA_PUSH(arena, users, *count, cap, object);
    }
    return users;
}

/* The object with the new value in its options. Needs the catalog's lock for writing. */
static struct catalog_object *replace_value(struct server *server, const struct catalog_object *object,
                                            const struct catalog_secret *secret)
{
    struct catalog_object *changed = catalog_object_clone(object);
    for (uint32_t i = 0; i < changed->options_count; i++)
        if (changed->options[i].secret != NULL && strcmp(changed->options[i].secret, secret->name) == 0)
            changed->options[i].value = arena_strdup(&changed->arena, secret->value);
    catalog_object_retain(changed);
    catalog_replace(server->catalog, changed);
    return changed;
}

/* Closes a connector and opens it again, where it has come to. */
static void open_again(struct session *session, struct catalog_object *before, struct catalog_object *after)
{
    struct server *server = session->server;
    struct error why;
    bool ok;
    if (server->sources == NULL || (server->settings != NULL && server->settings->safe_mode))
        return;
    if (after->kind == CATALOG_SINK) {
        ok = sinks_alter(server, after, true, &why);
    } else {
        server->sources->source_drop(server, before);
        ok = server->sources->source_create(server, after, &why);
    }
    if (ok)
        return;
    redact_error(after, &why);
    session_notice(session, "WARNING", error_sqlstate(why.code), NULL,
                   "\"%s\" could not be opened with the new value: %s", after->name, why.message);
}

/* ---- statements ---- */

static bool create_secret(struct session *session, const struct secret_clause *clause, struct error *err)
{
    struct server *server = session->server;
    catalog_read_lock(server->catalog);
    bool exists = catalog_find_secret(server->catalog, clause->name) != NULL;
    catalog_unlock(server->catalog);
    if (exists && !clause->if_exists)
        return error_set(err, ERRCODE_DUPLICATE_OBJECT, "secret \"%s\" already exists", clause->name);
    if (exists) {
        session_notice(session, "NOTICE", "42710", NULL, "secret \"%s\" already exists, skipping",
                       clause->name);
        return true;
    }
    struct catalog_secret secret = {catalog_new_oid(server->catalog), clause->name, clause->value,
                                    clock_now_us()};
    if (!store_secret(server, &secret, err))
        return false;
    catalog_write_lock(server->catalog);
    catalog_put_secret(server->catalog, &secret);
    catalog_unlock(server->catalog);
    return true;
}

static bool unknown(const char *name, struct error *err)
{
    return error_set(err, ERRCODE_UNDEFINED_OBJECT, "secret \"%s\" does not exist", name);
}

static bool alter_secret(struct session *session, const struct secret_clause *clause, struct error *err)
{
    struct server *server = session->server;
    struct arena arena;
    uint32_t count = 0;
    arena_init(&arena, NULL);
    catalog_read_lock(server->catalog);
    const struct catalog_secret *old = catalog_find_secret(server->catalog, clause->name);
    struct catalog_secret secret = {old != NULL ? old->oid : 0, clause->name, clause->value, clock_now_us()};
    struct catalog_object **users = find_users(server, clause->name, &arena, &count);
    catalog_unlock(server->catalog);
    bool ok = secret.oid != 0 ? store_secret(server, &secret, err) : unknown(clause->name, err);
    struct catalog_object **changed = ARENA_ARRAY(&arena, struct catalog_object *, count);
    if (ok) {
        catalog_write_lock(server->catalog);
        catalog_put_secret(server->catalog, &secret);
        for (uint32_t i = 0; i < count; i++)
            changed[i] = replace_value(server, users[i], &secret);
        catalog_unlock(server->catalog);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (ok) {
            open_again(session, users[i], changed[i]);
            catalog_object_release(changed[i]);
        }
        catalog_object_release(users[i]);
    }
    arena_release(&arena);
    return ok;
}

static bool check_unused(struct server *server, const char *name, struct error *err)
{
    struct arena arena;
    struct strbuf detail = STRBUF_INIT;
    uint32_t count;
    arena_init(&arena, NULL);
    struct catalog_object **users = find_users(server, name, &arena, &count);
    for (uint32_t i = 0; i < count; i++) {
        strbuf_addf(&detail, "%s%s uses secret %s", i > 0 ? "\n" : "",
                    ddl_qualified(&arena, server->catalog, users[i]), name);
        catalog_object_release(users[i]);
    }
    if (count > 0) {
        error_set(err, ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST,
                  "cannot drop secret %s because other objects depend on it", name);
        error_detail(err, "%s", strbuf_text(&detail));
    }
    strbuf_release(&detail);
    arena_release(&arena);
    return count == 0;
}

static bool drop_secret(struct session *session, const struct secret_clause *clause, struct error *err)
{
    struct server *server = session->server;
    catalog_read_lock(server->catalog);
    const struct catalog_secret *secret = catalog_find_secret(server->catalog, clause->name);
    uint32_t oid = secret != NULL ? secret->oid : 0;
    bool ok = oid == 0 || check_unused(server, clause->name, err);
    catalog_unlock(server->catalog);
    if (oid == 0 && clause->if_exists) {
        session_notice(session, "NOTICE", "00000", NULL, "secret \"%s\" does not exist, skipping",
                       clause->name);
        return true;
    }
    if (oid == 0)
        return unknown(clause->name, err);
    ok = ok && (server->store == NULL || catalog_store_write(server->store, NULL, 0, &oid, 1,
                                                             catalog_new_oid(server->catalog) + 1, err));
    if (ok) {
        catalog_write_lock(server->catalog);
        catalog_remove_secret(server->catalog, clause->name);
        catalog_unlock(server->catalog);
    }
    return ok;
}

bool run_secret(struct session *session, const struct secret_clause *clause, char *tag, struct error *err)
{
    static const struct {
        const char *tag;
        bool (*run)(struct session *session, const struct secret_clause *clause, struct error *err);
    } rows[] = {[SECRET_CREATE] = {"CREATE SECRET", create_secret},
                [SECRET_ALTER] = {"ALTER SECRET", alter_secret},
                [SECRET_DROP] = {"DROP SECRET", drop_secret}};
    snprintf(tag, 64, "%s", rows[clause->kind].tag);
    if (!run_needs_writing(session, tag, err) || !run_no_block(session, tag, err))
        return false;
    pthread_mutex_lock(&session->server->ddl);
    bool ok = rows[clause->kind].run(session, clause, err);
    pthread_mutex_unlock(&session->server->ddl);
    return ok;
}
