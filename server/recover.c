/* recover.c: see recover.h. Objects are bound again from their stored SQL, under the settings recorded with
 * them. What rows depend on comes first, in OID order; views follow in rounds, since a replaced view may read
 * newer ones.
 *
 * A view that is older than the newest checkpoint gets its state from there (checkpoint_restore.c), before the log behind
 * it is replayed. What follows is about the others, all of them when there is no checkpoint.
 *
 * In safe mode materialized views are published as disabled, and so is whatever cannot be bound: its name is there to be
 * dropped.
 *
 * While all rows are kept, views are filled once, when the log has been read. As soon as some stream keeps
 * none, a view's contents depend on when it was made: then each materialized view is made at the epoch at
 * which it was made before, and the ticks after that run through it. */
#include "server/recover.h"

#include "executor/checkpoint.h"
#include "planner/ddl.h"
#include "planner/redact.h"
#include "planner/statement.h"
#include "server/ddl_objects.h"
#include "server/secrets.h"
#include "server/sequence.h"
#include "server/settings.h"
#include "server/source_rows.h"
#include "storage/base/clock.h"
#include "storage/base/log.h"
#include "storage/disk/catalog_store.h"
#include "storage/disk/tick_log.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct stored {
    struct catalog_record record;
    bool done;
};

struct recovery {
    struct server *server;
    struct arena arena;
    struct stored *items;
    uint32_t count, cap;
    struct eval_env env;
    struct session_info info;
    uint64_t ticks;
    struct checkpoint_info checkpoint; /* number 0: there is none */
    bool is_safe;                      /* --safe-mode */
    bool is_stuck;                     /* and what is missing does not come any more */
    bool in_order;                     /* views are made between the ticks */
    struct stored **by_epoch;          /* materialized views, oldest first */
    uint32_t by_epoch_count, by_epoch_next;
    uint64_t epoch;                  /* replayed up to */
    struct replayed_source *sources; /* asked for rows again */
};

struct replayed_source {
    struct replayed_source *next;
    uint32_t oid;
    struct source_rows *rows;
};

static bool collect(void *ctx, const struct catalog_record *record, struct error *err)
{
    struct recovery *recovery = ctx;
    struct arena *arena = &recovery->arena;
    struct stored stored = {.record = *record};
    stored.record.name = arena_strdup(arena, record->name);
    stored.record.kind = arena_strdup(arena, record->kind);
    stored.record.sql = arena_strdup(arena, record->sql != NULL ? record->sql : "");
    stored.record.settings = record->settings != NULL ? arena_strdup(arena, record->settings) : NULL;
    ARENA_PUSH(arena, recovery->items, recovery->count, recovery->cap, stored);
    catalog_reserve_oid(recovery->server->catalog, record->oid);
    return true;
}

static bool is_kind(const struct stored *stored, const char *kind)
{
    return strcmp(stored->record.kind, kind) == 0;
}

/* Does it have a dataflow, so that it is filled at an epoch? */
static bool is_filled(const struct stored *stored)
{
    return is_kind(stored, "materialized view") || is_kind(stored, "sink");
}

static bool damaged(const struct stored *stored, const struct error *why, struct error *err)
{
    struct error copy = *why;
    error_set(err, copy.code, "%s \"%s\" cannot be restored: %s", stored->record.kind, stored->record.name,
              copy.message);
    if (copy.detail[0] != '\0')
        error_detail(err, "%s", copy.detail);
    struct strbuf shown = STRBUF_INIT;
    redact_statement(stored->record.sql, strlen(stored->record.sql), &shown);
    error_hint(err, "Its stored definition is: %.300s", shown.data);
    strbuf_release(&shown);
    return false;
}

static bool publish(struct recovery *recovery, struct ddl_batch *batch, struct error *err)
{
    struct catalog *catalog = recovery->server->catalog;
    bool ok = true;
    catalog_write_lock(catalog);
    for (uint32_t i = 0; i < batch->count && ok; i++)
        ok = catalog_add(catalog, batch->objects[i], err);
    catalog_unlock(catalog);
    return ok;
}

/* ---- safe mode ---- */

/* Whether what failed with *why is left disabled. A relation that is missing may come later, while there is progress. */
static bool may_disable(const struct recovery *recovery, const struct error *why)
{
    return recovery->is_safe && (recovery->is_stuck || why->code != ERRCODE_UNDEFINED_TABLE);
}

static void set_disabled(struct catalog_object *object, const struct error *why)
{
    object->columns_count = 0;
    object->disabled = arena_strdup(&object->arena, why->message);
    log_write(LOG_WARNING, "\"%s\" is disabled: %s", object->name, why->message);
}

/* A name that can be dropped, of something of which nothing else is known. */
static bool publish_disabled(struct recovery *recovery, const struct stored *stored, const struct error *why,
                             struct error *err)
{
    static const struct {
        const char *word;
        enum catalog_kind kind;
    } kinds[] = {{"table", CATALOG_TABLE}, {"stream", CATALOG_STREAM},
                 {"view", CATALOG_VIEW},   {"materialized view", CATALOG_MATERIALIZED_VIEW},
                 {"index", CATALOG_INDEX}, {"sequence", CATALOG_SEQUENCE},
                 {"sink", CATALOG_SINK}};
    size_t kind = 0;
    while (kind < ARRAY_COUNT(kinds) && !is_kind(stored, kinds[kind].word))
        kind++;
    if (kind == ARRAY_COUNT(kinds))
        return damaged(stored, why, err);
    struct catalog_object *object = catalog_object_create();
    object->kind = kinds[kind].kind;
    object->oid = stored->record.oid;
    object->schema_oid = stored->record.schema_oid;
    object->name = arena_strdup(&object->arena, stored->record.name);
    object->sql = arena_strdup(&object->arena, stored->record.sql);
    object->index_number = -1;
    struct error ignored;
    if (!ddl_settings_apply(object, stored->record.settings, &ignored))
        log_write(LOG_WARNING, "%s", ignored.message);
    set_disabled(object, why);
    struct ddl_batch batch = {.arena = &recovery->arena};
    ddl_batch_add(&batch, object);
    if (publish(recovery, &batch, err))
        return true;
    catalog_object_release(object);
    return false;
}

static bool publish_disabled_view(struct recovery *recovery, const struct stored *stored,
                                  struct catalog_object *object, struct error *err)
{
    struct ddl_batch batch = {.arena = &recovery->arena};
    struct error why;
    error_init(&why);
    object->disabled = "Materialized views are not filled in safe mode.";
    bool ok =
        ddl_make_disabled_view(recovery->server, object, &recovery->env, stored->record.epoch, &batch, &why);
    if (!ok && may_disable(recovery, &why)) {
        set_disabled(object, &why);
        ok = true;
    }
    if (!ok)
        *err = why;
    ddl_batch_add(&batch, object);
    if (ok && publish(recovery, &batch, err))
        return true;
    ddl_batch_undo(recovery->server, &batch);
    return false;
}

/* ---- tables, streams, sequences ---- */

static bool make_and_publish(struct recovery *recovery, struct catalog_object *object, struct error *err)
{
    struct ddl_batch batch = {.arena = &recovery->arena};
    if (ddl_make_relation(recovery->server, object, &batch, err))
        return publish(recovery, &batch, err);
    ddl_batch_undo(recovery->server, &batch);
    return false;
}

static bool restore_table(struct recovery *recovery, const struct stored *stored, struct error *err)
{
    struct server *server = recovery->server;
    struct statement statement;
    struct planner_context ctx;
    struct ddl_table table = {0};
    if (!statement_parse(&recovery->arena, stored->record.sql, &statement, err))
        return false;
    if (statement.node == NULL || statement.node->node_case != PG_QUERY__NODE__NODE_CREATE_STMT)
        return error_set(err, ERRCODE_DATA_CORRUPTED, "it is not a CREATE TABLE statement");
    catalog_read_lock(server->catalog);
    planner_init(&ctx, &recovery->arena, server->catalog, &recovery->env);
    ctx.sql = stored->record.sql;
    bool ok = ddl_bind_table(&ctx, &statement, stored->record.oid, true, &table, err);
    catalog_unlock(server->catalog);
    if (!ok)
        return false;
    return ddl_settings_apply(table.object, stored->record.settings, err)
               ? make_and_publish(recovery, table.object, err)
               : (catalog_object_release(table.object), false);
}

static bool restore_sequence(struct recovery *recovery, const struct stored *stored, struct error *err)
{
    struct server *server = recovery->server;
    struct statement statement;
    struct planner_context ctx;
    if (!statement_parse(&recovery->arena, stored->record.sql, &statement, err))
        return false;
    if (statement.node == NULL || statement.node->node_case != PG_QUERY__NODE__NODE_CREATE_SEQ_STMT)
        return error_set(err, ERRCODE_DATA_CORRUPTED, "it is not a CREATE SEQUENCE statement");
    const PgQuery__CreateSeqStmt *node = statement.node->create_seq_stmt;
    struct catalog_object *object = catalog_object_create();
    object->kind = CATALOG_SEQUENCE;
    object->oid = stored->record.oid;
    object->schema_oid = stored->record.schema_oid;
    object->name = arena_strdup(&object->arena, stored->record.name);
    object->sql = arena_strdup(&object->arena, stored->record.sql);
    sequence_set_columns(object);
    catalog_read_lock(server->catalog);
    planner_init(&ctx, &recovery->arena, server->catalog, &recovery->env);
    bool ok = ddl_sequence_options(&ctx, node->n_options, node->options, OID_INT8, object, err);
    catalog_unlock(server->catalog);
    if (ok && ddl_settings_apply(object, stored->record.settings, err))
        return make_and_publish(recovery, object, err);
    catalog_object_release(object);
    return false;
}

/* ---- views and indexes ---- */

static struct catalog_object *view_object(const struct stored *stored, enum catalog_kind kind,
                                          const struct statement *statement, size_t names_count,
                                          PgQuery__Node **names)
{
    struct catalog_object *object = catalog_object_create();
    object->kind = kind;
    object->oid = stored->record.oid;
    object->schema_oid = stored->record.schema_oid;
    object->name = arena_strdup(&object->arena, stored->record.name);
    object->sql = arena_strdup(&object->arena, stored->record.sql);
    object->query_sql = arena_strdup(&object->arena, statement->query_sql);
    object->columns_count = (uint32_t)names_count;
    object->columns = ARENA_ARRAY(&object->arena, struct catalog_column, names_count);
    for (size_t i = 0; i < names_count; i++)
        object->columns[i].name = arena_strdup(&object->arena, names[i]->string->sval);
    return object;
}

static bool has_word(const char *text, const char *word)
{
    size_t len = strlen(word);
    for (; *text != '\0'; text++) {
        if (strncasecmp(text, word, len) == 0)
            return true;
    }
    return false;
}

/* Does what the view shows depend on when its rows came, and not only on what they are? */
static bool depends_on_ticks(const struct stored *stored)
{
    static const char *const words[] = {"state_ttl", "every", "system_time"};
    if (is_kind(stored, "sink"))
        return true; /* it tells every change */
    for (uint32_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (has_word(stored->record.sql, words[i]))
            return true;
    }
    return false;
}

/* A view that was live at the checkpoint's epoch. */
static bool is_in_checkpoint(const struct recovery *recovery, const struct stored *stored)
{
    return recovery->checkpoint.number != 0 && stored->record.epoch <= recovery->checkpoint.epoch;
}

/* Whether everything below holds all of its rows and judges none by when it came. Needs the read lock. */
static bool inputs_are_whole(struct catalog *catalog, const struct catalog_object *object)
{
    for (uint32_t i = 0; i < object->depends_count; i++) {
        const struct catalog_object *input = catalog_find_oid(catalog, object->depends[i]);
        uint32_t column;
        bool is_bounded;
        if (input == NULL || input->kind == CATALOG_EXTERNAL_TABLE || !catalog_object_keeps_rows(input) ||
            input->watermark_column != NULL ||
            (input->relation != NULL && relation_event_time(input->relation, &column, &is_bounded)) ||
            (input->kind == CATALOG_VIEW && !inputs_are_whole(catalog, input)))
            return false;
    }
    return true;
}

struct refill_question {
    struct recovery *recovery;
    const struct stored *stored;
};

/* Whether filling the view from what its inputs hold gives what it held. */
static bool may_refill(void *ctx, const struct catalog_object *object)
{
    const struct refill_question *question = ctx;
    if (depends_on_ticks(question->stored))
        return false;
    struct catalog *catalog = question->recovery->server->catalog;
    catalog_read_lock(catalog);
    bool may = inputs_are_whole(catalog, object);
    catalog_unlock(catalog);
    return may;
}

static bool restore_from_checkpoint(struct recovery *recovery, const struct stored *stored,
                                    struct catalog_object *object, struct ddl_batch *batch, struct error *err)
{
    struct error why;
    struct refill_question question = {recovery, stored};
    if (!ddl_restore_view(recovery->server, object, &recovery->env, stored->record.epoch, may_refill,
                          &question, batch, &why, err))
        return false;
    if (why.code != ERRCODE_NONE)
        log_write(LOG_INFO, "view \"%s\" was filled again: %s", stored->record.name, why.message);
    return true;
}

static bool restore_view(struct recovery *recovery, const struct stored *stored, struct error *err)
{
    struct server *server = recovery->server;
    struct statement statement;
    struct planner_context ctx;
    struct eval_env env;
    struct session_info info;
    struct plan *plan;
    if (!statement_parse(&recovery->arena, stored->record.sql, &statement, err))
        return false;
    if (statement.node == NULL || statement.query_sql == NULL)
        return error_set(err, ERRCODE_DATA_CORRUPTED, "it is not a CREATE VIEW statement");
    struct ddl_batch batch = {.arena = &recovery->arena};
    bool is_sink = statement.sink != NULL;
    if (is_sink || statement.node->node_case == PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT) {
        const PgQuery__IntoClause *into = is_sink ? NULL : statement.node->create_table_as_stmt->into;
        struct catalog_object *object = is_sink ? view_object(stored, CATALOG_SINK, &statement, 0, NULL)
                                                : view_object(stored, CATALOG_MATERIALIZED_VIEW, &statement,
                                                              into->n_col_names, into->col_names);
        catalog_read_lock(server->catalog);
        planner_init(&ctx, &recovery->arena, server->catalog, &recovery->env);
        bool ok = ddl_options(&ctx, is_sink ? statement.sink->options_count : into->n_options,
                              is_sink ? statement.sink->options : into->options, NULL, &object->arena,
                              &object->options, &object->options_count, err);
        catalog_unlock(server->catalog);
        ok = ok && ddl_settings_apply(object, stored->record.settings, err);
        if (!ok) {
            catalog_object_release(object);
            return false;
        }
        if (recovery->is_safe)
            return publish_disabled_view(recovery, stored, object, err);
        if ((is_in_checkpoint(recovery, stored)
                 ? restore_from_checkpoint(recovery, stored, object, &batch, err)
                 : ddl_make_view(server, object, &recovery->env, NULL, NULL, &batch, err)) &&
            publish(recovery, &batch, err))
            return true;
        ddl_batch_undo(server, &batch);
        return false;
    }
    const PgQuery__ViewStmt *node = statement.node->view_stmt;
    struct catalog_object *object =
        view_object(stored, CATALOG_VIEW, &statement, node->n_aliases, node->aliases);
    bool ok = ddl_settings_apply(object, stored->record.settings, err);
    catalog_read_lock(server->catalog);
    if (ok) {
        ddl_recorded_env(&recovery->arena, server->catalog, object, &recovery->env, &env, &info);
        planner_init(&ctx, &recovery->arena, server->catalog, &env);
        ctx.sql = stored->record.sql;
        ctx.as_of_oid = catalog_defined_at(object);
        ctx.sees_disabled = true;
        ok = planner_select(&ctx, node->query->select_stmt, &plan, err);
        object->depends_count = ctx.depends_count;
        object->depends = arena_copy(&object->arena, ctx.depends, ctx.depends_count * sizeof(uint32_t));
    }
    catalog_unlock(server->catalog);
    if (ok && plan->columns_count != object->columns_count)
        ok = error_set(err, ERRCODE_DATA_CORRUPTED, "its query has %u columns, not %u", plan->columns_count,
                       object->columns_count);
    if (!ok && may_disable(recovery, err)) {
        set_disabled(object, err);
    } else if (!ok) {
        catalog_object_release(object);
        return false;
    }
    for (uint32_t i = 0; i < object->columns_count; i++)
        object->columns[i].type = plan->types[i];
    ddl_batch_add(&batch, object);
    return publish(recovery, &batch, err);
}

static bool restore_index(struct recovery *recovery, const struct stored *stored, struct error *err)
{
    struct server *server = recovery->server;
    struct statement statement;
    if (!statement_parse(&recovery->arena, stored->record.sql, &statement, err))
        return false;
    if (statement.node == NULL || statement.node->node_case != PG_QUERY__NODE__NODE_INDEX_STMT)
        return error_set(err, ERRCODE_DATA_CORRUPTED, "it is not a CREATE INDEX statement");
    const PgQuery__IndexStmt *node = statement.node->index_stmt;
    struct catalog_object *index = catalog_object_create();
    index->kind = CATALOG_INDEX;
    index->oid = stored->record.oid;
    index->schema_oid = stored->record.schema_oid;
    index->name = arena_strdup(&index->arena, stored->record.name);
    index->sql = arena_strdup(&index->arena, stored->record.sql);
    index->index_is_unique = node->unique;
    bool ok = ddl_settings_apply(index, stored->record.settings, err);
    catalog_read_lock(server->catalog);
    const struct catalog_object *table = ok ? catalog_find_oid(server->catalog, index->index_of) : NULL;
    if (ok && table == NULL)
        ok = error_set(err, ERRCODE_UNDEFINED_TABLE, "its relation, OID %u, does not exist", index->index_of);
    uint32_t cap = 0;
    for (uint32_t i = 0; ok && i < index->index_columns_count; i++) {
        if (index->index_columns[i] >= table->columns_count) {
            ok = error_set(err, ERRCODE_DATA_CORRUPTED, "\"%s\" has no column %u", table->name,
                           index->index_columns[i] + 1);
            break;
        }
        const struct catalog_column *column = &table->columns[index->index_columns[i]];
        struct catalog_column shown = {.name = arena_strdup(&index->arena, column->name),
                                       .type = column->type};
        ARENA_PUSH(&index->arena, index->columns, index->columns_count, cap, shown);
    }
    catalog_unlock(server->catalog);
    struct ddl_batch batch = {.arena = &recovery->arena};
    if (!ok) {
        catalog_object_release(index);
        return false;
    }
    if (ddl_make_index(server, index, NULL, NULL, &batch, err))
        return publish(recovery, &batch, err);
    ddl_batch_undo(server, &batch);
    return false;
}

/* ---- all of it ---- */

static bool restore_relations(struct recovery *recovery, struct error *err)
{
    struct error why;
    for (uint32_t i = 0; i < recovery->count; i++) {
        struct stored *stored = &recovery->items[i];
        if (stored->record.schema_oid != 0)
            continue;
        catalog_write_lock(recovery->server->catalog);
        bool ok =
            stored->record.oid == SCHEMA_PUBLIC || /* made with the catalog */
            catalog_add_schema(recovery->server->catalog, stored->record.oid, stored->record.name, &why);
        catalog_unlock(recovery->server->catalog);
        if (!ok)
            return damaged(stored, &why, err);
        stored->done = true;
    }
    for (uint32_t i = 0; i < recovery->count; i++) { /* options of tables name them */
        struct stored *stored = &recovery->items[i];
        if (stored->done || !is_kind(stored, "secret"))
            continue;
        if (!secret_restore(recovery->server, &stored->record, &why))
            return damaged(stored, &why, err);
        stored->done = true;
    }
    for (uint32_t i = 0; i < recovery->count; i++) {
        struct stored *stored = &recovery->items[i];
        bool is_table =
            is_kind(stored, "table") || is_kind(stored, "stream") || is_kind(stored, "external table");
        if (stored->done || (!is_table && !is_kind(stored, "sequence")))
            continue;
        error_init(&why);
        if (!(is_table ? restore_table(recovery, stored, &why) : restore_sequence(recovery, stored, &why)) &&
            !(recovery->is_safe ? publish_disabled(recovery, stored, &why, err) : damaged(stored, &why, err)))
            return false;
        stored->done = true;
    }
    return true;
}

/* Plain views that can be bound by now. */
static bool restore_plain_views(struct recovery *recovery, struct error *err)
{
    struct error why;
    for (bool progress = true; progress;) {
        progress = false;
        for (uint32_t i = 0; i < recovery->count; i++) {
            struct stored *stored = &recovery->items[i];
            if (stored->done || !is_kind(stored, "view"))
                continue;
            error_init(&why);
            stored->done = restore_view(recovery, stored, &why);
            progress |= stored->done;
            if (!stored->done && why.code != ERRCODE_UNDEFINED_TABLE)
                return damaged(stored, &why, err);
        }
    }
    return true;
}

static int compare_epochs(const void *a, const void *b)
{
    const struct stored *one = *(struct stored *const *)a, *two = *(struct stored *const *)b;
    if (one->record.epoch != two->record.epoch)
        return one->record.epoch < two->record.epoch ? -1 : 1;
    return one->record.oid < two->record.oid ? -1 : one->record.oid > two->record.oid;
}

/* Decides whether views are made between the ticks, and in which order. */
static void plan_order(struct recovery *recovery)
{
    if (recovery->is_safe)
        return; /* nothing is made between them */
    uint32_t cursor = FIRST_USER_OID, cap = 0;
    for (struct catalog_object *object; (object = catalog_next(recovery->server->catalog, &cursor)) != NULL;)
        recovery->in_order |= !catalog_object_keeps_rows(object) || object->watermark_column != NULL;
    for (uint32_t i = 0; i < recovery->count; i++) {
        struct stored *stored = &recovery->items[i];
        if (!is_filled(stored) || stored->done)
            continue;
        ARENA_PUSH(&recovery->arena, recovery->by_epoch, recovery->by_epoch_count, cap, stored);
        recovery->in_order |= depends_on_ticks(stored);
    }
    if (recovery->by_epoch_count > 0)
        qsort(recovery->by_epoch, recovery->by_epoch_count, sizeof(*recovery->by_epoch), compare_epochs);
}

/* Makes the views that were filled at epochs up to this one. Filling takes the next epoch: the one it took
 * before, for the log holds an empty tick there. */
static bool make_views_until(struct recovery *recovery, uint64_t epoch, struct error *err)
{
    while (recovery->by_epoch_next < recovery->by_epoch_count &&
           recovery->by_epoch[recovery->by_epoch_next]->record.epoch <= epoch) {
        struct stored *stored = recovery->by_epoch[recovery->by_epoch_next++];
        struct error why;
        error_init(&why);
        if (stored->record.epoch > recovery->epoch + 1)
            engine_replay(recovery->server->engine, stored->record.epoch - 1, 0, 0, NULL, 0);
        if (!restore_plain_views(recovery, err))
            return false;
        if (!restore_view(recovery, stored, &why))
            return damaged(stored, &why, err);
        stored->done = true;
        if (stored->record.epoch > recovery->epoch)
            recovery->epoch = stored->record.epoch;
    }
    return true;
}

/* ---- the log ---- */

static bool read_again(struct recovery *recovery, const struct catalog_object *object,
                       const struct source_range *range, struct arena *arena, struct batch **out,
                       struct error *err)
{
    struct replayed_source *source = recovery->sources;
    while (source != NULL && source->oid != object->oid)
        source = source->next;
    if (source == NULL) {
        source = ARENA_NEW(&recovery->arena, struct replayed_source);
        source->oid = object->oid;
        if (!source_rows_open(recovery->server, object, range->first, &source->rows, err))
            return false;
        source->next = recovery->sources;
        recovery->sources = source;
    }
    if (!source_rows_replayable(source->rows))
        return error_set(err, ERRCODE_DATA_CORRUPTED, "connector \"%s\" cannot give rows again",
                         source_rows_connector(source->rows));
    return source_rows_read(source->rows, range, arena, out, err);
}

static bool replay_tick(void *ctx, uint64_t epoch, int64_t clock_us, uint64_t seed,
                        const struct tick_log_raw *entries, uint32_t count, struct error *err)
{
    struct recovery *recovery = ctx;
    engine_set_fill_clock(recovery->server->engine, clock_us);
    if (recovery->in_order && !make_views_until(recovery, epoch, err))
        return false;
    if (epoch <= recovery->epoch)
        return true; /* the tick in which that view was filled */
    struct arena arena;
    arena_init(&arena, NULL);
    struct txn_change *changes = ARENA_ARRAY(&arena, struct txn_change, count);
    uint32_t changes_count = 0;
    struct batch *decoded = NULL; /* the last change's rows */
    bool ok = true;
    for (uint32_t i = 0; i < count && ok; i++) {
        const struct catalog_object *object =
            catalog_find_oid(recovery->server->catalog, entries[i].relation_oid);
        if (object == NULL)
            catalog_reserve_oid(recovery->server->catalog, entries[i].relation_oid);
        if (object == NULL || object->relation == NULL)
            continue; /* dropped since, or never there */
        struct txn_change *last = changes_count > 0 ? &changes[changes_count - 1] : NULL;
        struct batch *rows;
        bool stands_alone = entries[i].replaces || entries[i].has_partition;
        if (entries[i].bytes != NULL && last != NULL && last->relation == object->relation &&
            decoded != NULL &&
            (stands_alone ? entries[i].continues : !last->replaces && !last->has_partition)) {
            ok = tick_log_decode(&entries[i], decoded, err); /* large changes are logged in slices */
            if (ok)
                continue;
        } else if (entries[i].bytes == NULL && entries[i].range.count == 0) {
            decoded = NULL;
            const struct sql_type *types;
            uint32_t columns_count = relation_columns(object->relation, &types);
            changes[changes_count++] = (struct txn_change){
                object->relation, batch_create(&arena, types, columns_count, 1), &entries[i].range};
            continue;
        } else if (entries[i].bytes == NULL) {
            decoded = NULL;
            ok = read_again(recovery, object, &entries[i].range, &arena, &rows, err);
        } else {
            const struct sql_type *types;
            uint32_t columns_count = relation_columns(object->relation, &types),
                     logged_count = batch_serialized_columns(entries[i].bytes, entries[i].len);
            if (logged_count <
                columns_count) /* from before others were added; the engine adds their values */
                columns_count = logged_count;
            rows = decoded = batch_create(&arena, types, columns_count, 16);
            ok = columns_count >= relation_base_columns(object->relation)
                     ? tick_log_decode(&entries[i], rows, err)
                     : error_set(err, ERRCODE_DATA_CORRUPTED,
                                 "file \"log.db\" holds rows that do not fit the relation");
        }
        if (!ok)
            error_detail(err, "Tick %llu of log.db, relation \"%s\".", (unsigned long long)epoch,
                         object->name);
        else
            changes[changes_count++] = (struct txn_change){.relation = object->relation,
                                                           .rows = rows,
                                                           .replaces = entries[i].replaces,
                                                           .has_partition = entries[i].has_partition,
                                                           .partition = entries[i].partition};
    }
    if (ok)
        engine_replay(recovery->server->engine, epoch, clock_us, seed, changes, changes_count);
    recovery->epoch = epoch;
    arena_release(&arena);
    recovery->ticks++;
    return ok;
}

static bool restore_views(struct recovery *recovery, struct error *err)
{
    struct error why;
    for (;;) {
        bool progress = false;
        const struct stored *failed = NULL;
        for (uint32_t i = 0; i < recovery->count; i++) {
            struct stored *stored = &recovery->items[i];
            if (stored->done)
                continue;
            error_init(&why);
            bool ok =
                is_kind(stored, "index") ? restore_index(recovery, stored, &why)
                : is_kind(stored, "view") || is_filled(stored)
                    ? restore_view(recovery, stored, &why)
                    : error_set(&why, ERRCODE_DATA_CORRUPTED,
                                "objects of kind \"%s\" are not known to this version", stored->record.kind);
            if (!ok && may_disable(recovery, &why)) {
                if (!publish_disabled(recovery, stored, &why, err))
                    return false;
                ok = true;
            }
            if (!ok && why.code != ERRCODE_UNDEFINED_TABLE)
                return damaged(stored, &why, err);
            if (!ok && failed == NULL)
                failed = stored; /* what it reads may come later */
            stored->done = ok;
            progress |= ok;
        }
        if (failed == NULL)
            return true;
        if (!progress && !recovery->is_safe)
            return damaged(failed, &why, err);
        recovery->is_stuck = !progress;
    }
}

/* ---- the checkpoint ---- */

/* Whether state can go into another number of shards: rows are spread anew, and all views filled from them. Views that are
 * newer than the checkpoint are made anyway. */
static bool may_move(const struct recovery *recovery, struct error *err)
{
    uint32_t cursor = FIRST_USER_OID;
    for (struct catalog_object *object; (object = catalog_next(recovery->server->catalog, &cursor)) != NULL;)
        if (object->kind == CATALOG_EXTERNAL_TABLE || !catalog_object_keeps_rows(object) ||
            object->watermark_column != NULL)
            return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                             "\"%s\" does not hold all that views may depend on", object->name);
    for (uint32_t i = 0; i < recovery->count; i++) {
        const struct stored *stored = &recovery->items[i];
        if (is_filled(stored) && is_in_checkpoint(recovery, stored) && depends_on_ticks(stored))
            return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "%s \"%s\" depends on when rows came",
                             stored->record.kind, stored->record.name);
    }
    return true;
}

/* What tables, streams and sequences held. Those that are newer than the checkpoint have nothing in it. */
static bool restore_contents(struct recovery *recovery, struct error *err)
{
    struct server *server = recovery->server;
    const struct checkpoint_info *checkpoint = &recovery->checkpoint;
    if (checkpoint->shards != engine_shards(server->engine) && !may_move(recovery, err))
        return false;
    engine_restore_epoch(server->engine, checkpoint->epoch, checkpoint->clock_us);
    recovery->epoch = checkpoint->epoch;
    struct relation **relations = NULL, *failed = NULL;
    uint32_t count = 0, cap = 0, cursor = FIRST_USER_OID;
    for (struct catalog_object *object; (object = catalog_next(server->catalog, &cursor)) != NULL;) {
        if (object->relation != NULL)
            ARENA_PUSH(&recovery->arena, relations, count, cap, object->relation);
    }
    if (engine_restore_relations(server->engine, server->checkpoints, checkpoint->shards, relations, count,
                                 &failed, err))
        return true;
    cursor = FIRST_USER_OID;
    for (struct catalog_object *object; (object = catalog_next(server->catalog, &cursor)) != NULL;) {
        if (object->relation == failed)
            error_detail(err, "It holds what \"%s\" held.", object->name);
    }
    return false;
}

/* Views that were live at the checkpoint, in rounds: what they read must be there. */
static bool restore_live_views(struct recovery *recovery, struct error *err)
{
    struct error why;
    for (bool progress = true; progress;) {
        progress = false;
        const struct stored *failed = NULL;
        for (uint32_t i = 0; i < recovery->count; i++) {
            struct stored *stored = &recovery->items[i];
            bool is_live = is_filled(stored) && is_in_checkpoint(recovery, stored);
            if (stored->done || (!is_live && !is_kind(stored, "view")))
                continue;
            error_init(&why);
            stored->done = restore_view(recovery, stored, &why);
            progress |= stored->done;
            if (!stored->done && why.code != ERRCODE_UNDEFINED_TABLE)
                return damaged(stored, &why, err);
            if (!stored->done && is_live)
                failed = stored;
        }
        if (!progress && failed != NULL)
            return damaged(failed, &why, err);
    }
    return true;
}

bool recover_catalog(struct server *server, struct error *err)
{
    static const char *const path[] = {"public", NULL};
    if (server->store == NULL)
        return true;
    struct recovery recovery = {.server = server, .is_safe = server->settings->safe_mode};
    int64_t start = clock_monotonic_ns();
    arena_init(&recovery.arena, NULL);
    recovery.env.io = io_env_default;
    recovery.env.io.now_us = recovery.env.statement_us = clock_now_us();
    recovery.info = (struct session_info){.user = "millrace",
                                          .database = "millrace",
                                          .application_name = "",
                                          .search_path = path,
                                          .catalog = server->catalog};
    recovery.env.session = &recovery.info;
    bool ok = catalog_store_read(server->store, collect, &recovery, err);
    uint32_t next_oid = 0, last_oid = 0;
    ok = ok && catalog_store_next_oid(server->store, &next_oid, err) &&
         checkpoint_store_last_oid(server->checkpoints, &last_oid, err);
    if (next_oid > FIRST_USER_OID)
        catalog_reserve_oid(server->catalog, next_oid - 1);
    /* nothing new may take what is left of an object that never came to be for its own */
    if (last_oid >= FIRST_USER_OID)
        catalog_reserve_oid(server->catalog, last_oid);
    engine_set_recovering(server->engine, true);
    ok = ok && restore_relations(&recovery, err);
    ok = ok && checkpoint_store_newest(server->checkpoints, &recovery.checkpoint, err);
    if (ok && recovery.checkpoint.number != 0)
        ok = restore_contents(&recovery, err) && (recovery.is_safe || restore_live_views(&recovery, err));
    plan_order(&recovery);
    ok = ok && (server->log == NULL ||
                tick_log_read(server->log, recovery.checkpoint.epoch, replay_tick, &recovery, err));
    for (struct replayed_source *source = recovery.sources; source != NULL; source = source->next)
        source_rows_close(source->rows);
    uint32_t cursor = FIRST_USER_OID;
    for (struct catalog_object *object; ok && (object = catalog_next(server->catalog, &cursor)) != NULL;)
        if (object->kind == CATALOG_SEQUENCE && object->disabled == NULL)
            sequence_attach(server, object);
    engine_set_fill_clock(server->engine, INT64_MIN);
    ok = ok && restore_views(&recovery, err);
    engine_set_recovering(server->engine, false);
    if (ok && (recovery.count > 0 || recovery.ticks > 0))
        log_write(LOG_INFO, "recovered %u objects and %llu ticks in %.3f s", recovery.count,
                  (unsigned long long)recovery.ticks, (double)(clock_monotonic_ns() - start) / 1e9);
    arena_release(&recovery.arena);
    return ok;
}
