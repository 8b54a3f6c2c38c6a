/* view_builds.c: see view_builds.h. A list in the server: there are as many entries as sessions that create views. */
#include "server/view_builds.h"

#include "server/ddl_objects.h"

#include <string.h>

void view_build_begin(struct server *server, struct view_build *build)
{
    catalog_write_lock(server->catalog);
    catalog_reserve_name(server->catalog, build->object->schema_oid, build->object->name);
    catalog_unlock(server->catalog);
    pthread_mutex_lock(&server->builds_lock);
    build->next = server->builds;
    server->builds = build;
    pthread_mutex_unlock(&server->builds_lock);
}

void view_build_end(struct server *server, struct view_build *build)
{
    pthread_mutex_lock(&server->builds_lock);
    struct view_build **link = &server->builds;
    while (*link != build)
        link = &(*link)->next;
    *link = build->next;
    pthread_mutex_unlock(&server->builds_lock);
    catalog_write_lock(server->catalog);
    catalog_free_name(server->catalog, build->object->schema_oid, build->object->name);
    catalog_unlock(server->catalog);
}

bool view_builds_allow(struct server *server, const struct catalog_object *object, const char *what,
                       struct error *err)
{
    for (const struct view_build *build = server->builds; build != NULL; build = build->next) {
        bool uses = build->replaces == object->oid ||
                    (build->object->kind == CATALOG_INDEX && build->object->index_of == object->oid);
        for (uint32_t i = 0; i < build->object->depends_count; i++)
            uses |= build->object->depends[i] == object->oid;
        if (!uses)
            continue;
        error_set(err, ERRCODE_OBJECT_IN_USE, "cannot %s \"%s\" because %s \"%s\" is being created over it",
                  what, object->name, ddl_kind_word(build->object), build->object->name);
        return error_hint(err,
                          "millrace.view_builds shows how far it is; SELECT pg_cancel_backend(%d) ends it.",
                          (int)build->pid);
    }
    return true;
}

bool view_builds_allow_name(struct server *server, uint32_t schema_oid, const char *name, struct error *err)
{
    for (const struct view_build *build = server->builds; build != NULL; build = build->next) {
        if (build->object->schema_oid == schema_oid &&
            (name == NULL || strcmp(build->object->name, name) == 0))
            return error_set(err, ERRCODE_OBJECT_IN_USE, "%s \"%s\" is being created by another session",
                             ddl_kind_word(build->object), build->object->name);
    }
    return true;
}

void view_builds_for_each(struct server *server, void (*visit)(void *ctx, const struct view_build *build),
                          void *ctx)
{
    pthread_mutex_lock(&server->builds_lock);
    for (const struct view_build *build = server->builds; build != NULL; build = build->next)
        visit(ctx, build);
    pthread_mutex_unlock(&server->builds_lock);
}
