/* ddl_objects.c: see ddl_objects.h. The order is engine, store, catalog: what is published is durable, and a
 * crash in between leaves at most an engine object that died with the process. */
#include "server/ddl_objects.h"

#include "executor/checkpoint.h"
#include "planner/ddl.h"
#include "planner/ddl_time.h"
#include "planner/statement.h"
#include "server/checkpointer.h"
#include "server/sinks.h"
#include "storage/base/clock.h"
#include "storage/base/log.h"
#include "storage/disk/catalog_store.h"

#include <cjson/cJSON.h>
#include <string.h>

void ddl_batch_add(struct ddl_batch *batch, struct catalog_object *object)
{
    ARENA_PUSH(batch->arena, batch->objects, batch->count, batch->cap, object);
}

const char *ddl_kind_word(const struct catalog_object *object)
{
    static const char *const words[] = {
        [CATALOG_TABLE] = "table",       [CATALOG_STREAM] = "stream",
        [CATALOG_VIEW] = "view",         [CATALOG_MATERIALIZED_VIEW] = "materialized view",
        [CATALOG_INDEX] = "index",       [CATALOG_SYSTEM_VIEW] = "view",
        [CATALOG_SEQUENCE] = "sequence", [CATALOG_EXTERNAL_TABLE] = "external table",
        [CATALOG_SINK] = "sink",
    };
    return words[object->kind];
}

/* ---- engine ---- */

bool ddl_make_relation(struct server *server, struct catalog_object *object, struct ddl_batch *batch,
                       struct error *err)
{
    struct relation_desc desc;
    struct planner_context ctx;
    struct eval_env env = {.io = io_env_default}; /* what a watermark says depends on no session */
    catalog_read_lock(server->catalog);
    planner_init(&ctx, batch->arena, server->catalog, &env);
    ddl_relation_desc(batch->arena, server->catalog, object, &desc);
    bool ok = ddl_watermark_desc(&ctx, object, &desc.watermark, err);
    catalog_unlock(server->catalog);
    ddl_batch_add(batch, object);
    struct relation *relation;
    if (!ok || !engine_create_relation(server->engine, &desc, &relation, err))
        return false;
    object->relation = relation; /* one reference is the object's, one goes with engine_drop_relation */
    relation_retain(relation);
    for (uint32_t i = 0; i < object->constraints_count; i++) {
        const struct catalog_constraint *constraint = &object->constraints[i];
        if (constraint->kind == CONSTRAINT_CHECK)
            continue;
        struct catalog_object *index = ddl_key_index(object, i);
        ddl_batch_add(batch, index);
        if (constraint->kind == CONSTRAINT_PRIMARY_KEY)
            continue;
        /* the constraint itself is the relation's; this is for lookups */
        uint32_t number;
        if (!engine_create_index(server->engine, relation, constraint->columns, constraint->columns_count,
                                 false, constraint->name, NULL, NULL, &number, err))
            return false;
        index->index_number = (int32_t)number;
    }
    return true;
}

void ddl_recorded_env(struct arena *arena, struct catalog *catalog, const struct catalog_object *object,
                      const struct eval_env *base, struct eval_env *env, struct session_info *info)
{
    *env = *base;
    *info = base->session != NULL ? *base->session : (struct session_info){.catalog = catalog};
    if (object->timezone != NULL)
        env->io.timezone = object->timezone;
    if (object->search_path != NULL) {
        const char **names = NULL, *end = NULL;
        uint32_t count = 0, cap = 0;
        for (const char *at = object->search_path; *at != '\0';) {
            size_t len = strcspn(at, "\n");
            const char *name = arena_strndup(arena, at, len);
            ARENA_PUSH(arena, names, count, cap, name);
            at += len + (at[len] != '\0');
        }
        ARENA_PUSH(arena, names, count, cap, end);
        info->search_path = names;
    }
    env->session = info;
}

static void view_columns(struct catalog_object *object, const struct plan *plan)
{
    bool has_names = object->columns_count == plan->columns_count;
    struct catalog_column *old = object->columns;
    object->columns = ARENA_ARRAY(&object->arena, struct catalog_column, plan->columns_count);
    object->columns_count = plan->columns_count;
    for (uint32_t i = 0; i < plan->columns_count; i++) {
        if (has_names)
            object->columns[i] = old[i];
        else
            object->columns[i].name = arena_strdup(&object->arena, plan->names[i]);
        object->columns[i].type = plan->types[i];
    }
}

/* A materialized view's plan, and what its relation is like. */
struct planned_view {
    struct arena *arena; /* of the plan: the engine takes it over */
    struct plan *plan;
    struct eval_env env;
    struct session_info info;
    struct relation_desc desc;
    struct outbox_desc outbox; /* sinks */
};

static bool plan_view(struct server *server, struct catalog_object *object, const struct eval_env *env,
                      bool sees_disabled, struct ddl_batch *batch, struct planned_view *out,
                      struct error *err)
{
    *out = (struct planned_view){.arena = mem_alloc(sizeof(*out->arena))};
    arena_init(out->arena, &server->account);
    struct planner_context ctx;
    PgQuery__ParseResult *parse;
    ddl_recorded_env(out->arena, server->catalog, object, env, &out->env, &out->info);
    catalog_read_lock(server->catalog);
    planner_init(&ctx, out->arena, server->catalog, &out->env);
    ctx.sql = object->query_sql;
    ctx.for_view = true;
    ctx.as_of_oid = catalog_defined_at(object);
    ctx.params_fixed = true;
    int64_t memory_limit_bytes = 0;
    ctx.sees_disabled = sees_disabled;
    bool ok = ddl_view_time(object, &ctx.view_time, err);
    if (object->kind == CATALOG_SINK)
        ctx.view_time.late = VIEW_LATE_DROP; /* nobody could read late rows of a sink */
    ok = ok && ddl_bytes_option(object, "memory_limit", &memory_limit_bytes, err) &&
         statement_parse_query(out->arena, object->query_sql, &parse, err) &&
         (parse->n_stmts == 1 && parse->stmts[0]->stmt->node_case == PG_QUERY__NODE__NODE_SELECT_STMT
              ? true
              : error_set(err, ERRCODE_SYNTAX_ERROR, "a view needs a query")) &&
         planner_select(&ctx, parse->stmts[0]->stmt->select_stmt, &out->plan, err);
    object->depends_count = ctx.depends_count;
    object->depends = arena_copy(&object->arena, ctx.depends, ctx.depends_count * sizeof(uint32_t));
    if (ok && object->kind == CATALOG_SINK) {
        view_columns(object, out->plan);
        ok = sinks_outbox(object, out->plan, out->arena, &out->outbox, err);
    }
    if (ok) {
        const struct plan *plan = out->plan;
        struct relation_desc *desc = &out->desc;
        view_columns(object, plan);
        ddl_relation_desc(batch->arena, server->catalog, object, desc);
        if (plan->has_key && plan->keys_count > 0) {
            desc->key_count = plan->keys_count;
            desc->key_columns = plan->keys;
            desc->key_name = object->name;
        }
        desc->only_grows = plan->append_only;
        desc->append_only = plan->append_only && desc->key_count == 0;
        desc->watermark = ctx.view_watermark;
        desc->late = ctx.view_late;
        if (object->kind == CATALOG_SINK) {
            desc->outbox = &out->outbox;
            desc->append_only = true;
            desc->key_count = 0;
            desc->watermark = (struct watermark_desc){.partition_column = -1};
        }
        desc->memory_limit_bytes = memory_limit_bytes;
    }
    catalog_unlock(server->catalog);
    if (!ok) {
        arena_release(out->arena);
        mem_free(out->arena);
    }
    return ok;
}

static uint32_t next_oid(struct server *server)
{
    /* taking one is the only way to look; a gap does no harm */
    return catalog_new_oid(server->catalog) + 1;
}

static void begin_build(struct server *server, const struct catalog_object *object, struct view_build *build)
{
    build->object = object;
    build->started_us = clock_now_us();
    view_build_begin(server, build);
    pthread_mutex_unlock(&server->ddl);
}

static void end_build(struct server *server, struct view_build *build)
{
    pthread_mutex_lock(&server->ddl);
    view_build_end(server, build);
}

/* A checkpoint that was complete while the view was filled is without it, and the log before it is gone: one that has the
 * view must be valid before the catalog says that there is one. */
static bool save_view(struct server *server, const struct catalog_object *object, const _Atomic bool *cancel,
                      struct error *err)
{
    if (server->checkpointer == NULL || !engine_checkpoint_lacks(server->engine, object->relation) ||
        checkpointer_run(server->checkpointer, cancel, err))
        return true;
    return err->code != ERRCODE_QUERY_CANCELED &&
           error_detail(err, "%s \"%s\" could not be saved after it had been filled.", ddl_kind_word(object),
                        object->name);
}

bool ddl_make_view(struct server *server, struct catalog_object *object, const struct eval_env *env,
                   const _Atomic bool *cancel, struct view_build *build, struct ddl_batch *batch,
                   struct error *err)
{
    ddl_batch_add(batch, object);
    struct planned_view view;
    if (!plan_view(server, object, env, false, batch, &view, err))
        return false;
    /* a checkpoint may hold its state before the store knows its OID, which must not be given again */
    if (build != NULL && server->store != NULL &&
        !catalog_store_write(server->store, NULL, 0, NULL, 0, next_oid(server), err)) {
        arena_release(view.arena);
        mem_free(view.arena);
        return false;
    }
    if (build != NULL)
        begin_build(server, object, build);
    bool ok = engine_create_view(server->engine, &view.desc, view.plan, view.arena, &view.env, cancel,
                                 build != NULL ? &build->progress : NULL, &object->relation, err);
    if (ok) {
        relation_retain(object->relation);
        ok = build == NULL || save_view(server, object, cancel, err);
    }
    if (build != NULL)
        end_build(server, build);
    return ok;
}

bool ddl_restore_view(struct server *server, struct catalog_object *object, const struct eval_env *env,
                      uint64_t epoch, bool (*may_refill)(void *ctx, const struct catalog_object *object),
                      void *ctx, struct ddl_batch *batch, struct error *why, struct error *err)
{
    ddl_batch_add(batch, object);
    struct planned_view view;
    if (!plan_view(server, object, env, false, batch, &view, err) ||
        !engine_restore_view(server->engine, server->checkpoints, &view.desc, view.plan, view.arena,
                             &view.env, epoch, may_refill(ctx, object), &object->relation, why, err))
        return false;
    relation_retain(object->relation);
    return true;
}

bool ddl_make_disabled_view(struct server *server, struct catalog_object *object, const struct eval_env *env,
                            uint64_t epoch, struct ddl_batch *batch, struct error *err)
{
    struct planned_view view;
    if (!plan_view(server, object, env, true, batch, &view, err))
        return false;
    object->relation = engine_create_shell(server->engine, &view.desc, epoch);
    arena_release(view.arena);
    mem_free(view.arena);
    return true;
}

bool ddl_make_index(struct server *server, struct catalog_object *object, const _Atomic bool *cancel,
                    struct view_build *build, struct ddl_batch *batch, struct error *err)
{
    ddl_batch_add(batch, object);
    catalog_read_lock(server->catalog);
    struct catalog_object *table = catalog_find_oid(server->catalog, object->index_of);
    if (table != NULL)
        catalog_object_retain(table);
    catalog_unlock(server->catalog);
    if (table == NULL || table->relation == NULL) {
        catalog_object_release(table);
        return error_set(err, ERRCODE_UNDEFINED_TABLE, "the relation of index \"%s\" does not exist",
                         object->name);
    }
    uint32_t number;
    if (build != NULL)
        begin_build(server, object, build);
    bool ok = engine_create_index(server->engine, table->relation, object->index_columns,
                                  object->index_columns_count, object->index_is_unique, object->name, cancel,
                                  build != NULL ? &build->progress : NULL, &number, err);
    if (build != NULL)
        end_build(server, build);
    object->index_number = ok ? (int32_t)number : -1;
    catalog_object_release(table);
    return ok;
}

void ddl_unmake(struct server *server, struct catalog_object *object)
{
    struct error err;
    bool dropped = true;
    if (object->disabled != NULL)
        return; /* the engine does not know it */
    if (object->kind == CATALOG_INDEX) {
        catalog_read_lock(server->catalog);
        struct catalog_object *table = catalog_find_oid(server->catalog, object->index_of);
        if (table != NULL)
            catalog_object_retain(table);
        catalog_unlock(server->catalog);
        if (table != NULL && table->relation != NULL && object->index_number >= 0)
            dropped =
                engine_drop_index(server->engine, table->relation, (uint32_t)object->index_number, &err);
        catalog_object_release(table);
    } else if (object->relation != NULL) {
        dropped = engine_drop_relation(server->engine, object->relation, &err);
    }
    if (!dropped)
        log_write(LOG_ERROR, "%s %s could not be dropped: %s", ddl_kind_word(object), object->name,
                  err.message);
}

void ddl_batch_undo(struct server *server, struct ddl_batch *batch)
{
    for (uint32_t i = batch->count; i-- > 0;) {
        /* indexes behind keys go with their relation */
        if (batch->objects[i]->kind != CATALOG_INDEX || batch->count == 1)
            ddl_unmake(server, batch->objects[i]);
        catalog_object_release(batch->objects[i]);
    }
    batch->count = 0;
}

/* ---- store ---- */

static const char *const roles[] = {[CATALOG_ROLE_PROGRESS] = "progress", [CATALOG_ROLE_ERRORS] = "errors"};

const char *ddl_settings_json(struct arena *arena, const struct catalog_object *object)
{
    cJSON *root = cJSON_CreateObject();
    if (object->timezone != NULL)
        cJSON_AddStringToObject(root, "timezone", object->timezone);
    if (object->search_path != NULL)
        cJSON_AddStringToObject(root, "search_path", object->search_path);
    if (object->comment != NULL)
        cJSON_AddStringToObject(root, "comment", object->comment);
    if ((object->kind == CATALOG_SEQUENCE || object->role != CATALOG_ROLE_NONE) && object->index_of != 0)
        cJSON_AddNumberToObject(root, "owned_by", object->index_of);
    if (object->role != CATALOG_ROLE_NONE)
        cJSON_AddStringToObject(root, "role", roles[object->role]);
    if (object->defined_oid != 0)
        cJSON_AddNumberToObject(root, "defined_oid", object->defined_oid);
    if (object->kind == CATALOG_INDEX) { /* names in its SQL may be out of date after a RENAME */
        cJSON_AddNumberToObject(root, "index_of", object->index_of);
        cJSON *numbers = cJSON_AddArrayToObject(root, "index_columns");
        for (uint32_t i = 0; i < object->index_columns_count; i++)
            cJSON_AddItemToArray(numbers, cJSON_CreateNumber(object->index_columns[i]));
    }
    cJSON *columns = NULL;
    for (uint32_t i = 0; i < object->columns_count; i++) {
        if (object->columns[i].comment == NULL)
            continue;
        if (columns == NULL)
            columns = cJSON_AddObjectToObject(root, "columns");
        cJSON_AddStringToObject(columns, object->columns[i].name, object->columns[i].comment);
    }
    char *text = cJSON_PrintUnformatted(root);
    const char *copy = arena_strdup(arena, text != NULL ? text : "{}");
    cJSON_free(text);
    cJSON_Delete(root);
    return copy;
}

bool ddl_settings_apply(struct catalog_object *object, const char *json, struct error *err)
{
    if (json == NULL)
        return true;
    cJSON *root = cJSON_Parse(json);
    if (root == NULL)
        return error_set(err, ERRCODE_DATA_CORRUPTED, "the settings stored with \"%s\" are damaged",
                         object->name);
    struct {
        const char *name;
        const char **to;
    } texts[] = {{"timezone", &object->timezone},
                 {"search_path", &object->search_path},
                 {"comment", &object->comment}};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, texts[i].name);
        if (cJSON_IsString(item))
            *texts[i].to = arena_strdup(&object->arena, item->valuestring);
    }
    const cJSON *owner = cJSON_GetObjectItemCaseSensitive(root, "owned_by");
    if (cJSON_IsNumber(owner))
        object->index_of = (uint32_t)owner->valuedouble;
    const cJSON *role = cJSON_GetObjectItemCaseSensitive(root, "role");
    for (size_t i = CATALOG_ROLE_NONE + 1; cJSON_IsString(role) && i < ARRAY_COUNT(roles); i++)
        if (strcmp(role->valuestring, roles[i]) == 0)
            object->role = (enum catalog_role)i;
    const cJSON *defined = cJSON_GetObjectItemCaseSensitive(root, "defined_oid");
    if (cJSON_IsNumber(defined))
        object->defined_oid = (uint32_t)defined->valuedouble;
    const cJSON *index_of = cJSON_GetObjectItemCaseSensitive(root, "index_of");
    if (cJSON_IsNumber(index_of))
        object->index_of = (uint32_t)index_of->valuedouble;
    const cJSON *number, *numbers = cJSON_GetObjectItemCaseSensitive(root, "index_columns");
    uint32_t numbers_cap = 0;
    cJSON_ArrayForEach(number, numbers)
        ARENA_PUSH(&object->arena, object->index_columns, object->index_columns_count, numbers_cap,
                   (uint32_t)number->valuedouble);
    const cJSON *columns = cJSON_GetObjectItemCaseSensitive(root, "columns");
    for (uint32_t i = 0; columns != NULL && i < object->columns_count; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(columns, object->columns[i].name);
        if (cJSON_IsString(item))
            object->columns[i].comment = arena_strdup(&object->arena, item->valuestring);
    }
    cJSON_Delete(root);
    return true;
}

/* The indexes behind keys are made again with their table. */
static bool is_key_index(const struct catalog_object *object)
{
    return object->kind == CATALOG_INDEX && object->sql == NULL;
}

static struct catalog_record make_record(struct server *server, struct arena *arena,
                                         const struct catalog_object *object)
{
    struct engine_stats stats;
    engine_stats(server->engine, &stats);
    uint64_t created = object->relation != NULL ? relation_created_epoch(object->relation) : 0;
    return (struct catalog_record){.oid = object->oid,
                                   .schema_oid = object->schema_oid,
                                   .name = object->name,
                                   .kind = ddl_kind_word(object),
                                   .sql = object->sql,
                                   .settings = ddl_settings_json(arena, object),
                                   .epoch = created != 0 ? created : stats.epoch_visible};
}

bool ddl_batch_publish(struct server *server, struct ddl_batch *batch, const uint32_t *drop,
                       uint32_t drop_count, struct error *err)
{
    struct catalog_record *records =
        ARENA_ARRAY(batch->arena, struct catalog_record, batch->count + batch->changed_count);
    uint32_t records_count = 0;
    for (uint32_t i = 0; i < batch->count; i++)
        if (!is_key_index(batch->objects[i]))
            records[records_count++] = make_record(server, batch->arena, batch->objects[i]);
    for (uint32_t i = 0; i < batch->changed_count; i++)
        if (!is_key_index(batch->changed[i]))
            records[records_count++] = make_record(server, batch->arena, batch->changed[i]);
    if (server->store != NULL &&
        !catalog_store_write(server->store, records, records_count, drop, drop_count, next_oid(server), err))
        return false;
    bool ok = true;
    catalog_write_lock(server->catalog);
    for (uint32_t i = 0; i < drop_count; i++)
        catalog_remove(server->catalog, drop[i]);
    for (uint32_t i = 0; i < batch->count && ok; i++) {
        ok = catalog_add(server->catalog, batch->objects[i], err);
        for (uint32_t back = i; !ok && back-- > 0;) {
            catalog_object_retain(batch->objects[back]);
            catalog_remove(server->catalog, batch->objects[back]->oid);
        }
    }
    for (uint32_t i = 0; i < batch->changed_count && ok; i++)
        catalog_replace(server->catalog, batch->changed[i]);
    catalog_unlock(server->catalog);
    if (!ok &&
        server->store !=
            NULL) { /* names were checked before: only another object of the same batch can be in the way */
        uint32_t *oids = ARENA_ARRAY(batch->arena, uint32_t, batch->count);
        struct error other;
        for (uint32_t i = 0; i < batch->count; i++)
            oids[i] = batch->objects[i]->oid;
        if (!catalog_store_write(server->store, NULL, 0, oids, batch->count, next_oid(server), &other))
            log_write(LOG_ERROR, "the catalog store could not take back a failed CREATE: %s", other.message);
    }
    return ok;
}

bool ddl_store(struct server *server, const struct catalog_object *object, struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct catalog_record record = make_record(server, &arena, object);
    bool ok = server->store == NULL || is_key_index(object) ||
              catalog_store_write(server->store, &record, 1, NULL, 0, next_oid(server), err);
    arena_release(&arena);
    return ok;
}

bool ddl_replace(struct server *server, struct catalog_object *object, struct error *err)
{
    if (!ddl_store(server, object, err))
        return false;
    catalog_write_lock(server->catalog);
    catalog_replace(server->catalog, object);
    catalog_unlock(server->catalog);
    return true;
}
