/* run_drop.c: DROP of everything, with what depends on it.
 *
 * The objects named, then in waves what depends on them, form one list; indexes and owned sequences go
 * silently with their table, others only with CASCADE. Dropping runs from the end of the list, so that a view
 * is gone before what it reads. */
#include "server/run_ddl.h"

#include "planner/parse_tree.h"
#include "server/sinks.h"
#include "server/sources.h"
#include "storage/disk/catalog_store.h"

#include <stdio.h>
#include <string.h>

const struct catalog_object *ddl_first_dependent(struct ddl_job *job, uint32_t oid)
{
    struct catalog *catalog = job->server->catalog;
    uint32_t count;
    uint32_t *found = catalog_dependents(catalog, oid, &job->arena, &count);
    for (uint32_t i = 0; i < count; i++) {
        const struct catalog_object *object = catalog_find_oid(catalog, found[i]);
        if (object->kind != CATALOG_INDEX)
            return object;
    }
    return NULL;
}

bool drop_objects(struct server *server, struct catalog_object **objects, uint32_t count, struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    uint32_t *oids = ARENA_ARRAY(&arena, uint32_t, count), oids_count = 0, oids_cap = count;
    struct catalog_object **parts = NULL;
    uint32_t parts_count = 0, parts_cap = 0;
    catalog_read_lock(server->catalog);
    for (uint32_t i = 0; i < count; i++) {
        ARENA_PUSH(&arena, oids, oids_count, oids_cap, objects[i]->oid);
        uint32_t cursor = FIRST_USER_OID;
        for (struct catalog_object *part; (part = catalog_next(server->catalog, &cursor)) != NULL;) {
            bool listed = false;
            for (uint32_t j = 0; j < count; j++)
                listed |= objects[j]->oid == part->oid;
            if (listed || !catalog_object_is_part_of(part, objects[i]->oid))
                continue;
            ARENA_PUSH(&arena, oids, oids_count, oids_cap, part->oid);
            if (part->kind != CATALOG_INDEX)
                ARENA_PUSH(&arena, parts, parts_count, parts_cap, part);
        }
    }
    for (uint32_t i = 0; i < parts_count; i++)
        catalog_object_retain(parts[i]);
    for (uint32_t i = 0; i < count; i++)
        catalog_object_retain(objects[i]);
    catalog_unlock(server->catalog);
    bool ok = server->store == NULL || catalog_store_write(server->store, NULL, 0, oids, oids_count,
                                                           catalog_new_oid(server->catalog) + 1, err);
    if (ok) {
        /* an index needs its table in the catalog to be dropped alone */
        for (uint32_t i = 0; i < count; i++)
            if (objects[i]->kind == CATALOG_INDEX)
                ddl_unmake(server, objects[i]);
        catalog_write_lock(server->catalog);
        for (uint32_t i = 0; i < oids_count; i++)
            catalog_remove(server->catalog, oids[i]);
        catalog_unlock(server->catalog);
        /* no source may write any more to what goes, and no sink read it */
        for (uint32_t i = 0; i < count; i++) {
            if (objects[i]->kind == CATALOG_SINK)
                sinks_stop(server, objects[i]);
            else if (ddl_option(objects[i], "connector") != NULL && server->sources != NULL)
                server->sources->source_drop(server, objects[i]);
        }
        for (uint32_t i = 0; i < count; i++)
            if (objects[i]->kind != CATALOG_INDEX)
                ddl_unmake(server, objects[i]);
        for (uint32_t i = 0; i < parts_count; i++)
            ddl_unmake(server, parts[i]);
    }
    for (uint32_t i = 0; i < parts_count; i++)
        catalog_object_release(parts[i]);
    for (uint32_t i = 0; i < count; i++)
        catalog_object_release(objects[i]);
    arena_release(&arena);
    return ok;
}

struct drop_kind {
    PgQuery__ObjectType type;
    const char *word; /* as messages say it */
    const char *statement;
};

static const struct drop_kind drop_kinds[] = {
    {PG_QUERY__OBJECT_TYPE__OBJECT_TABLE, "table", "DROP TABLE"},
    {PG_QUERY__OBJECT_TYPE__OBJECT_VIEW, "view", "DROP VIEW"},
    {PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW, "materialized view", "DROP MATERIALIZED VIEW"},
    {PG_QUERY__OBJECT_TYPE__OBJECT_INDEX, "index", "DROP INDEX"},
    {PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE, "sequence", "DROP SEQUENCE"},
};

static bool fits(const struct ddl_job *job, PgQuery__ObjectType type, const struct catalog_object *object)
{
    enum statement_word word = job->prepared->statement->word;
    switch (type) {
    case PG_QUERY__OBJECT_TYPE__OBJECT_TABLE:
        /* a stream is what WITH (append_only = true) makes of CREATE TABLE: DROP TABLE knows both, and external ones */
        return word == STATEMENT_WORD_EXTERNAL ? object->kind == CATALOG_EXTERNAL_TABLE
               : word == STATEMENT_WORD_NONE
                   ? object->kind == CATALOG_STREAM || object->kind == CATALOG_TABLE ||
                         object->kind == CATALOG_EXTERNAL_TABLE
                   : object->kind == CATALOG_STREAM;
    case PG_QUERY__OBJECT_TYPE__OBJECT_VIEW:
        return object->kind == (word == STATEMENT_WORD_SINK ? CATALOG_SINK : CATALOG_VIEW);
    case PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW:
        return object->kind == CATALOG_MATERIALIZED_VIEW;
    case PG_QUERY__OBJECT_TYPE__OBJECT_INDEX:
        return object->kind == CATALOG_INDEX;
    case PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE:
        return object->kind == CATALOG_SEQUENCE;
    default:
        return false;
    }
}

struct drop_list {
    struct catalog_object **objects;
    uint32_t count, cap;
    uint32_t named; /* the first ones were named by the statement */
};

static bool listed(const struct drop_list *list, uint32_t oid)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->objects[i]->oid == oid)
            return true;
    return false;
}

static bool check_droppable(struct ddl_job *job, const struct catalog_object *object, struct error *err)
{
    struct catalog *catalog = job->server->catalog;
    const struct catalog_object *owner =
        object->index_of != 0 ? catalog_find_oid(catalog, object->index_of) : NULL;
    if (object->oid < FIRST_USER_OID)
        return error_set(err, ERRCODE_INSUFFICIENT_PRIVILEGE, "permission denied: \"%s\" is a system catalog",
                         object->name);
    if (object->kind == CATALOG_INDEX && owner != NULL) {
        for (uint32_t i = 0; i < owner->constraints_count; i++) {
            if (owner->constraints[i].index_oid != object->oid)
                continue;
            error_set(err, ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST,
                      "cannot drop index %s because constraint %s on table %s requires it", object->name,
                      object->name, owner->name);
            return error_hint(err, "You can drop constraint %s on table %s instead.", object->name,
                              owner->name);
        }
    }
    if (object->kind == CATALOG_SEQUENCE && owner != NULL) {
        error_set(err, ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST,
                  "cannot drop sequence %s because other objects depend on it", object->name);
        error_detail(err, "A column of table %s takes its default from sequence %s.", owner->name,
                     object->name);
        return error_hint(err, "Drop the table; the sequence goes with it.");
    }
    if (object->role != CATALOG_ROLE_NONE && owner != NULL) {
        error_set(err, ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST,
                  "cannot drop table %s because %s %s requires it", object->name, ddl_kind_word(owner),
                  owner->name);
        return error_hint(err, "You can drop %s %s instead; the table goes with it.", ddl_kind_word(owner),
                          owner->name);
    }
    return true;
}

static bool add_named(struct ddl_job *job, const PgQuery__DropStmt *node, const struct drop_kind *kind,
                      const PgQuery__Node *name_node, struct drop_list *list, struct error *err)
{
    struct catalog *catalog = job->server->catalog;
    const char *schema, *name;
    enum statement_word spelled = job->prepared->statement->word;
    const char *word = spelled == STATEMENT_WORD_NONE       ? kind->word
                       : spelled == STATEMENT_WORD_EXTERNAL ? "external table"
                       : spelled == STATEMENT_WORD_SINK     ? "sink"
                                                            : "stream";
    if (!node_names_split(name_node->list->n_items, name_node->list->items, &schema, &name))
        return error_set(err, ERRCODE_SYNTAX_ERROR, "improper relation name (too many dotted names)");
    if (schema != NULL && catalog_find_schema(catalog, schema) == NULL) {
        if (!node->missing_ok)
            return error_set(err, ERRCODE_INVALID_SCHEMA_NAME, "schema \"%s\" does not exist", schema);
        session_notice(job->session, "NOTICE", "00000", NULL, "schema \"%s\" does not exist, skipping",
                       schema);
        return true;
    }
    struct catalog_object *object = catalog_find(catalog, schema, name, job->session->info.search_path);
    if (object == NULL) {
        if (!node->missing_ok)
            return error_set(err, ERRCODE_UNDEFINED_TABLE, "%s \"%s\" does not exist", word, name);
        session_notice(job->session, "NOTICE", "00000", NULL, "%s \"%s\" does not exist, skipping", word,
                       name);
        return true;
    }
    if (!fits(job, node->remove_type, object)) {
        char upper[32];
        const char *is = ddl_kind_word(object);
        for (size_t i = 0; i <= strlen(is) && i < sizeof(upper); i++)
            upper[i] = is[i] >= 'a' && is[i] <= 'z' ? (char)(is[i] - 'a' + 'A') : is[i];
        const char *article = word[0] == 'i' || word[0] == 'e' ? "an" : "a";
        error_set(err, ERRCODE_WRONG_OBJECT_TYPE, "\"%s\" is not %s %s", name, article, word);
        return error_hint(err, "Use DROP %s to remove %s %s.", upper,
                          is[0] == 'i' || is[0] == 'e' ? "an" : "a", is);
    }
    if (listed(list, object->oid))
        return true;
    if (!check_droppable(job, object, err))
        return false;
    ARENA_PUSH(&job->arena, list->objects, list->count, list->cap, object);
    return true;
}

/* The relations of sources in the list: what depends on them counts as well. */
static void add_parts(struct ddl_job *job, struct drop_list *list)
{
    for (uint32_t i = 0, named = list->count; i < named; i++) {
        uint32_t cursor = FIRST_USER_OID;
        for (struct catalog_object *part; (part = catalog_next(job->server->catalog, &cursor)) != NULL;)
            if (part->role != CATALOG_ROLE_NONE && part->index_of == list->objects[i]->oid &&
                !listed(list, part->oid))
                ARENA_PUSH(&job->arena, list->objects, list->count, list->cap, part);
    }
}

/* Follows the dependants of everything in the list; with RESTRICT they are refused. */
static bool add_dependents(struct ddl_job *job, struct drop_list *list, bool cascade, const char *what,
                           struct error *err)
{
    struct catalog *catalog = job->server->catalog;
    struct strbuf detail = STRBUF_INIT;
    uint32_t extra = 0;
    add_parts(job, list);
    list->named = list->count;
    for (uint32_t i = 0; i < list->count; i++) {
        uint32_t count;
        uint32_t *found = catalog_dependents(catalog, list->objects[i]->oid, &job->arena, &count);
        for (uint32_t j = 0; j < count; j++) {
            struct catalog_object *object = catalog_find_oid(catalog, found[j]);
            if (object->kind == CATALOG_INDEX || listed(list, object->oid))
                continue;
            ARENA_PUSH(&job->arena, list->objects, list->count, list->cap, object);
            extra++;
            strbuf_addf(&detail, "%s%s %s depends on %s %s", detail.len > 0 ? "\n" : "",
                        ddl_kind_word(object), object->name, ddl_kind_word(list->objects[i]),
                        list->objects[i]->name);
        }
    }
    bool ok = extra == 0 || cascade;
    if (!ok) {
        error_set(err, ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST,
                  "cannot drop %s because other objects depend on it", what);
        error_detail(err, "%s", strbuf_text(&detail));
        error_hint(err, "Use DROP ... CASCADE to drop the dependent objects too.");
    } else if (extra == 1) {
        const struct catalog_object *object = list->objects[list->named];
        session_notice(job->session, "NOTICE", "00000", NULL, "drop cascades to %s %s", ddl_kind_word(object),
                       object->name);
    } else if (extra > 1) {
        session_notice(job->session, "NOTICE", "00000", NULL, "drop cascades to %u other objects", extra);
    }
    strbuf_release(&detail);
    return ok;
}

/* A view's dependants are gone before it: later ones were found through earlier ones, but one may hang on
 * two. */
static void order_list(struct ddl_job *job, struct drop_list *list)
{
    uint32_t done = 0;
    while (done < list->count) {
        uint32_t next = done;
        for (; next < list->count; next++) {
            bool is_free = true;
            for (uint32_t other = done; other < list->count && is_free; other++)
                for (uint32_t d = 0; d < list->objects[other]->depends_count && is_free; d++)
                    is_free = other == next || list->objects[other]->depends[d] != list->objects[next]->oid;
            if (is_free)
                break;
        }
        CHECK(next < list->count); /* dependencies have no circles */
        struct catalog_object *object = list->objects[next];
        memmove(list->objects + done + 1, list->objects + done, (next - done) * sizeof(*list->objects));
        list->objects[done++] = object;
    }
}

static bool finish_drop(struct ddl_job *job, struct drop_list *list, struct error *err)
{
    order_list(job, list);
    bool ok = true;
    for (uint32_t i = 0; i < list->count && ok; i++)
        ok = view_builds_allow(job->server, list->objects[i], "drop", err);
    if (!ok) {
        catalog_unlock(job->server->catalog);
        return false;
    }
    for (uint32_t i = 0; i < list->count; i++)
        catalog_object_retain(list->objects[i]);
    catalog_unlock(job->server->catalog);
    ok = list->count == 0 || drop_objects(job->server, list->objects, list->count, err);
    for (uint32_t i = 0; i < list->count; i++)
        catalog_object_release(list->objects[i]);
    return ok;
}

/* ---- schemas ---- */

static bool drop_schema(struct ddl_job *job, const PgQuery__DropStmt *node, const char *name,
                        struct error *err)
{
    struct server *server = job->server;
    struct catalog *catalog = server->catalog;
    bool cascade = node->behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE;
    catalog_read_lock(catalog);
    const struct catalog_schema *schema = catalog_find_schema(catalog, name);
    if (schema == NULL || schema->is_system) {
        bool is_system = schema != NULL;
        catalog_unlock(catalog);
        if (is_system)
            return error_set(err, ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST,
                             "cannot drop schema %s because it is required by the database system", name);
        if (!node->missing_ok)
            return error_set(err, ERRCODE_INVALID_SCHEMA_NAME, "schema \"%s\" does not exist", name);
        session_notice(job->session, "NOTICE", "00000", NULL, "schema \"%s\" does not exist, skipping", name);
        return true;
    }
    uint32_t oid = schema->oid, cursor = FIRST_USER_OID;
    struct drop_list list = {0};
    struct strbuf detail = STRBUF_INIT;
    for (struct catalog_object *object; (object = catalog_next(catalog, &cursor)) != NULL;) {
        bool owned = catalog_object_is_part_of(object, object->index_of);
        if (object->schema_oid != oid || owned)
            continue;
        ARENA_PUSH(&job->arena, list.objects, list.count, list.cap, object);
        strbuf_addf(&detail, "%s%s %s depends on schema %s", detail.len > 0 ? "\n" : "",
                    ddl_kind_word(object), object->name, name);
    }
    bool ok = true;
    if (list.count > 0 && !cascade) {
        ok = false;
        error_set(err, ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST,
                  "cannot drop schema %s because other objects depend on it", name);
        error_detail(err, "%s", strbuf_text(&detail));
        error_hint(err, "Use DROP ... CASCADE to drop the dependent objects too.");
    }
    strbuf_release(&detail);
    ok = ok && view_builds_allow_name(server, oid, NULL, err) && add_dependents(job, &list, true, name, err);
    if (!ok) {
        catalog_unlock(catalog);
        return false;
    }
    if (!finish_drop(job, &list, err)) /* unlocks */
        return false;
    if (server->store != NULL &&
        !catalog_store_write(server->store, NULL, 0, &oid, 1, catalog_new_oid(catalog) + 1, err))
        return false;
    catalog_write_lock(catalog);
    catalog_remove_schema(catalog, oid);
    catalog_unlock(catalog);
    return true;
}

/* ---- the statement ---- */

/* Functions, types and the like: there are none of the user's, so IF EXISTS is all that can succeed. */
static bool drop_unknown(struct ddl_job *job, const PgQuery__DropStmt *node, struct error *err)
{
    static const struct {
        PgQuery__ObjectType type;
        const char *word;
        const char *tag;
    } rows[] = {
        {PG_QUERY__OBJECT_TYPE__OBJECT_FUNCTION, "function", "DROP FUNCTION"},
        {PG_QUERY__OBJECT_TYPE__OBJECT_TYPE, "type", "DROP TYPE"},
        {PG_QUERY__OBJECT_TYPE__OBJECT_DOMAIN, "domain", "DROP DOMAIN"},
        {PG_QUERY__OBJECT_TYPE__OBJECT_TRIGGER, "trigger", "DROP TRIGGER"},
        {PG_QUERY__OBJECT_TYPE__OBJECT_EXTENSION, "extension", "DROP EXTENSION"},
        {PG_QUERY__OBJECT_TYPE__OBJECT_AGGREGATE, "aggregate", "DROP AGGREGATE"},
        {PG_QUERY__OBJECT_TYPE__OBJECT_PROCEDURE, "procedure", "DROP PROCEDURE"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (rows[i].type != node->remove_type)
            continue;
        snprintf(job->tag, 64, "%s", rows[i].tag);
        if (!node->missing_ok)
            return error_set(err, ERRCODE_UNDEFINED_OBJECT, "there is no %s that could be dropped",
                             rows[i].word);
        session_notice(job->session, "NOTICE", "00000", NULL, "%s does not exist, skipping", rows[i].word);
        return true;
    }
    return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "objects of this kind do not exist here");
}

bool run_drop(struct ddl_job *job, const PgQuery__DropStmt *node, struct error *err)
{
    const struct drop_kind *kind = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(drop_kinds); i++)
        if (drop_kinds[i].type == node->remove_type)
            kind = &drop_kinds[i];
    if (node->remove_type == PG_QUERY__OBJECT_TYPE__OBJECT_SCHEMA) {
        snprintf(job->tag, 64, "DROP SCHEMA");
        for (size_t i = 0; i < node->n_objects; i++)
            if (!drop_schema(job, node, node_string(node->objects[i]), err))
                return false;
        return true;
    }
    if (kind == NULL)
        return drop_unknown(job, node, err);
    enum statement_word spelled = job->prepared->statement->word;
    snprintf(job->tag, 64, "%s",
             spelled == STATEMENT_WORD_STREAM     ? "DROP STREAM"
             : spelled == STATEMENT_WORD_SOURCE   ? "DROP SOURCE"
             : spelled == STATEMENT_WORD_EXTERNAL ? "DROP EXTERNAL TABLE"
             : spelled == STATEMENT_WORD_SINK     ? "DROP SINK"
                                                  : kind->statement);
    struct drop_list list = {0};
    catalog_read_lock(job->server->catalog);
    bool ok = true;
    for (size_t i = 0; i < node->n_objects && ok; i++)
        ok = add_named(job, node, kind, node->objects[i], &list, err);
    if (ok) {
        const char *what =
            list.count == 1
                ? arena_printf(&job->arena, "%s %s", ddl_kind_word(list.objects[0]), list.objects[0]->name)
                : "desired object(s)";
        ok = add_dependents(job, &list, node->behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE, what, err);
    }
    if (!ok) {
        catalog_unlock(job->server->catalog);
        return false;
    }
    return finish_drop(job, &list, err);
}
