/* portals.c: the names a connection knows: prepared statements, portals and cursors, savepoints. */
#include "server/connection.h"

#include "server/run_subscribe.h"
#include "server/session_settings.h"

#include <strings.h>

static uint32_t bucket_of(const char *name)
{
    uint32_t hash = 2166136261u;
    for (; *name != '\0'; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    return hash % STATEMENT_BUCKETS;
}

struct statement_entry *statement_find(struct connection *connection, const char *name)
{
    struct statement_entry *entry = connection->statements[bucket_of(name)];
    while (entry != NULL && strcmp(entry->name, name) != 0)
        entry = entry->next;
    return entry;
}

void statement_release(struct statement_entry *statement)
{
    if (statement == NULL || --statement->references > 0)
        return;
    prepared_destroy(statement->prepared);
    mem_free(statement->name);
    mem_free(statement);
}

struct statement_entry *statement_add(struct connection *connection, const char *name,
                                      struct prepared *prepared, bool from_sql)
{
    (void)statement_remove(connection, name);
    struct statement_entry *entry = mem_zalloc(sizeof(*entry));
    entry->name = mem_strdup(name);
    entry->prepared = prepared;
    entry->references = 1;
    entry->from_sql = from_sql;
    struct statement_entry **bucket = &connection->statements[bucket_of(name)];
    entry->next = *bucket;
    *bucket = entry;
    return entry;
}

bool statement_remove(struct connection *connection, const char *name)
{
    struct statement_entry **at = &connection->statements[bucket_of(name)];
    while (*at != NULL && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    struct statement_entry *entry = *at;
    if (entry == NULL)
        return false;
    *at = entry->next;
    statement_release(entry);
    return true;
}

void statement_remove_all(struct connection *connection)
{
    for (uint32_t i = 0; i < STATEMENT_BUCKETS; i++) {
        while (connection->statements[i] != NULL) {
            struct statement_entry *entry = connection->statements[i];
            connection->statements[i] = entry->next;
            statement_release(entry);
        }
    }
}

struct portal *portal_find(struct connection *connection, const char *name)
{
    struct portal *portal = connection->portals;
    while (portal != NULL && strcmp(portal->name, name) != 0)
        portal = portal->next;
    return portal;
}

struct portal *portal_add(struct connection *connection, const char *name)
{
    struct portal *portal = mem_zalloc(sizeof(*portal));
    portal->name = mem_strdup(name);
    arena_init(&portal->arena, &connection->session.server->account);
    portal->savepoint_depth = connection->savepoint_depth;
    portal->next = connection->portals;
    connection->portals = portal;
    return portal;
}

void portal_free(struct portal *portal)
{
    subscribe_close(portal->subscription);
    stored_rows_destroy(portal->stored);
    statement_release(portal->statement);
    arena_release(&portal->arena);
    mem_free(portal->name);
    mem_free(portal);
}

void portal_remove(struct connection *connection, struct portal *portal)
{
    struct portal **at = &connection->portals;
    while (*at != NULL && *at != portal)
        at = &(*at)->next;
    if (*at == NULL)
        return;
    *at = portal->next;
    if (connection->retry_portal == portal)
        connection->retry_portal = NULL;
    if (connection->executing == portal)
        connection->executing_removed = true;
    else
        portal_free(portal);
}

void portal_remove_all(struct connection *connection)
{
    while (connection->portals != NULL)
        portal_remove(connection, connection->portals);
}

static void savepoints_forget(struct connection *connection)
{
    while (connection->savepoints != NULL) {
        struct savepoint_mark *mark = connection->savepoints;
        connection->savepoints = mark->outer;
        mem_free(mark->name);
        mem_free(mark);
    }
    connection->savepoint_depth = 0;
}

/* A held cursor that outlives its transaction no longer belongs to one. */
#define DEPTH_HELD UINT32_MAX

void connection_transaction_ended(struct connection *connection, bool committed)
{
    for (struct portal *portal = connection->portals, *next; portal != NULL; portal = next) {
        next = portal->next;
        if (portal->is_hold && (committed || portal->savepoint_depth == DEPTH_HELD))
            portal->savepoint_depth = DEPTH_HELD;
        else
            portal_remove(connection, portal);
    }
    savepoints_forget(connection);
    if (committed)
        session_settings_commit(connection->session.settings);
    else
        session_settings_rollback(connection->session.settings);
    connection->retry_portal = NULL;
    connection->implicit_statements = 0;
}

void connection_savepoint(struct connection *connection, const char *name)
{
    struct savepoint_mark *mark = mem_zalloc(sizeof(*mark));
    mark->name = mem_strdup(name);
    mark->settings_mark = session_settings_mark(connection->session.settings);
    mark->outer = connection->savepoints;
    connection->savepoints = mark;
    connection->savepoint_depth++;
}

static void savepoint_pop(struct connection *connection)
{
    struct savepoint_mark *mark = connection->savepoints;
    connection->savepoints = mark->outer;
    connection->savepoint_depth--;
    mem_free(mark->name);
    mem_free(mark);
}

static bool savepoint_known(const struct connection *connection, const char *name)
{
    for (const struct savepoint_mark *mark = connection->savepoints; mark != NULL; mark = mark->outer) {
        if (strcmp(mark->name, name) == 0)
            return true;
    }
    return false;
}

void connection_savepoint_released(struct connection *connection, const char *name)
{
    if (!savepoint_known(connection, name))
        return;
    while (strcmp(connection->savepoints->name, name) != 0)
        savepoint_pop(connection);
    savepoint_pop(connection);
    for (struct portal *portal = connection->portals; portal != NULL; portal = portal->next) {
        if (portal->savepoint_depth != DEPTH_HELD && portal->savepoint_depth > connection->savepoint_depth)
            portal->savepoint_depth = connection->savepoint_depth;
    }
}

void connection_savepoint_undone(struct connection *connection, const char *name)
{
    if (!savepoint_known(connection, name))
        return;
    while (strcmp(connection->savepoints->name, name) != 0)
        savepoint_pop(connection);
    session_settings_undo(connection->session.settings, connection->savepoints->settings_mark);
    for (struct portal *portal = connection->portals, *next; portal != NULL; portal = next) {
        next = portal->next;
        if (portal->is_cursor && portal->savepoint_depth != DEPTH_HELD &&
            portal->savepoint_depth >= connection->savepoint_depth)
            portal_remove(connection, portal);
    }
}
