/* source_parts.c: see source_parts.h. */
#include "server/source_parts.h"

static const struct {
    const char *label, *columns, *comment;
} parts[] = {
    [CATALOG_ROLE_PROGRESS] = {"progress",
                               "partition integer, next_offset bigint NOT NULL, accepted bigint NOT NULL,"
                               " rejected bigint NOT NULL, skipped bigint NOT NULL, absent bigint NOT NULL,"
                               " lost bigint NOT NULL, last_offset bigint, last_timestamp timestamptz, "
                               "incarnation text NOT NULL, updated timestamptz NOT NULL,"
                               " PRIMARY KEY (partition)",
                               "where each partition of the source \"%s\" is read on"},
    [CATALOG_ROLE_ERRORS] = {"errors",
                             "partition integer, \"offset\" bigint, \"timestamp\" timestamptz, key bytea,"
                             " value bytea, sqlstate text NOT NULL, reason text NOT NULL,"
                             " rejected_at timestamptz NOT NULL, PRIMARY KEY (partition, \"offset\")",
                             "records that the source \"%s\" has rejected"},
};

static bool is_free(void *ctx, const char *name)
{
    return false;
}

const char *source_part_name(struct arena *arena, const char *source_name, enum catalog_role role)
{
    return ddl_choose_name(arena, source_name, NULL, parts[role].label, is_free, NULL);
}

bool source_part_bind(struct planner_context *ctx, const struct catalog_object *source,
                      enum catalog_role role, struct catalog_object **out, struct error *err)
{
    struct catalog_object named = {.schema_oid = source->schema_oid,
                                   .name = source_part_name(ctx->arena, source->name, role)};
    struct statement statement;
    struct ddl_table table = {0};
    const char *sql = arena_printf(ctx->arena, "CREATE TABLE %s (%s)",
                                   ddl_qualified(ctx->arena, ctx->catalog, &named), parts[role].columns);
    const char *outer_sql = ctx->sql;
    ctx->sql = sql;
    bool ok = statement_parse(ctx->arena, sql, &statement, err) &&
              ddl_bind_table(ctx, &statement, 0, false, &table, err);
    ctx->sql = outer_sql;
    if (!ok)
        return false;
    struct catalog_object *object = table.object;
    object->role = role;
    object->index_of = source->oid;
    object->comment = arena_printf(&object->arena, parts[role].comment, source->name);
    *out = object;
    return true;
}

struct catalog_object *source_part_find(struct catalog *catalog, uint32_t source_oid, enum catalog_role role)
{
    uint32_t cursor = FIRST_USER_OID;
    for (struct catalog_object *object; (object = catalog_next(catalog, &cursor)) != NULL;)
        if (object->role == role && object->index_of == source_oid)
            return object;
    return NULL;
}
