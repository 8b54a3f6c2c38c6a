/* run_ddl.c: CREATE of everything.
 *
 * Names are bound under the catalog's read lock, the engine's part is made without any lock of the catalog (a
 * view may take long to fill), then the object is stored and published. server->ddl keeps other DDL out
 * meanwhile, but while a view or an index is filled: then view_builds.h keeps away what does not go with it. */
#include "server/run_ddl.h"

#include "planner/ddl_time.h"
#include "planner/parse_tree.h"
#include "planner/redact.h"
#include "server/infer_columns.h"
#include "server/sequence.h"
#include "server/sinks.h"
#include "server/source_parts.h"
#include "server/sources.h"
#include "storage/base/clock.h"
#include "storage/disk/catalog_store.h"

#include <stdio.h>
#include <string.h>

bool ddl_check_name(struct ddl_job *job, uint32_t schema_oid, const char *name, bool if_not_exists,
                    bool *skip, struct error *err)
{
    *skip = false;
    if (!view_builds_allow_name(job->server, schema_oid, name, err))
        return false;
    if (!ddl_name_taken(job->server->catalog, schema_oid, name))
        return true;
    if (!if_not_exists)
        return error_set(err, ERRCODE_DUPLICATE_TABLE, "relation \"%s\" already exists", name);
    session_notice(job->session, "NOTICE", "42P07", NULL, "relation \"%s\" already exists, skipping", name);
    *skip = true;
    return true;
}

static struct ddl_batch new_batch(struct ddl_job *job)
{
    return (struct ddl_batch){.arena = &job->arena};
}

static bool publish(struct ddl_job *job, struct ddl_batch *batch, bool made, struct error *err)
{
    if (made && ddl_batch_publish(job->server, batch, NULL, 0, err))
        return true;
    ddl_batch_undo(job->server, batch);
    return false;
}

/* ---- tables ---- */

static struct catalog_object *new_sequence(struct ddl_job *job, uint32_t schema_oid, const char *name)
{
    struct catalog_object *object = catalog_object_create();
    object->kind = CATALOG_SEQUENCE;
    object->schema_oid = schema_oid;
    object->name = arena_strdup(&object->arena, name);
    object->oid = catalog_new_oid(job->server->catalog);
    sequence_set_columns(object);
    return object;
}

bool ddl_make_sequences(struct ddl_job *job, const struct ddl_table *table, struct ddl_batch *batch,
                        struct error *err)
{
    for (uint32_t i = 0; i < table->sequences_count; i++) {
        const struct ddl_sequence *wanted = &table->sequences[i];
        struct catalog_object *object = new_sequence(job, table->object->schema_oid, wanted->name);
        object->index_of = table->object->oid;
        catalog_read_lock(job->server->catalog);
        bool ok = ddl_sequence_options(&job->planner, wanted->options_count, wanted->options,
                                       wanted->type_oid, object, err);
        if (ok)
            object->sql = ddl_sequence_sql(&object->arena, job->server->catalog, object);
        catalog_unlock(job->server->catalog);
        if (!ok) {
            catalog_object_release(object);
            return false;
        }
        if (!ddl_make_relation(job->server, object, batch, err))
            return false;
        sequence_attach(job->server, object);
    }
    return true;
}

/* The source starts when the relation can be written to; when it does not, the relation goes again. */
static bool start_source(struct ddl_job *job, struct catalog_object *object, struct error *err)
{
    const struct source_hooks *hooks = job->server->sources;
    if (ddl_option(object, "connector") == NULL || hooks == NULL ||
        hooks->source_create(job->server, object, err))
        return true;
    struct error other;
    struct catalog_object *objects[] = {object};
    if (!drop_objects(job->server, objects, 1, &other))
        session_notice(job->session, "WARNING", "01000", NULL, "\"%s\" could not be dropped: %s",
                       object->name, other.message);
    return false;
}

/* The relations that belong to a source, with the positions it begins at: durable before the source is in the catalog. */
static bool make_source_parts(struct ddl_job *job, const struct catalog_object *source,
                              struct ddl_batch *batch, struct error *err)
{
    struct server *server = job->server;
    struct catalog_object *progress = NULL;
    for (enum catalog_role role = CATALOG_ROLE_PROGRESS; role <= CATALOG_ROLE_ERRORS; role++) {
        struct catalog_object *part;
        bool skip;
        catalog_read_lock(server->catalog);
        const char *name = source_part_name(&job->arena, source->name, role);
        bool ok = ddl_check_name(job, source->schema_oid, name, false, &skip, err) &&
                  source_part_bind(&job->planner, source, role, &part, err);
        catalog_unlock(server->catalog);
        if (!ok || !ddl_make_relation(server, part, batch, err))
            return false;
        if (role == CATALOG_ROLE_PROGRESS)
            progress = part;
    }
    /* rows reach the log before the store knows the OIDs: they must not be given again */
    return (server->store == NULL || catalog_store_write(server->store, NULL, 0, NULL, 0,
                                                         catalog_new_oid(server->catalog) + 1, err)) &&
           sources_begin(server, source, progress->relation, err);
}

static bool create_table(struct ddl_job *job, struct error *err)
{
    struct server *server = job->server;
    const PgQuery__CreateStmt *node = job->statement->node->create_stmt;
    struct ddl_table table = {0};
    uint32_t schema_oid;
    bool skip = false;
    catalog_read_lock(server->catalog);
    bool ok = ddl_target_schema(&job->planner, node->relation, &schema_oid, err) &&
              ddl_check_name(job, schema_oid, node->relation->relname, node->if_not_exists, &skip, err) &&
              (skip || ddl_bind_table(&job->planner, job->statement, 0, false, &table, err));
    catalog_unlock(server->catalog);
    if (!ok || skip)
        return ok;
    struct catalog_object *object = table.object;
    if (ddl_option(object, "connector") != NULL && !sources_check(server, object, err)) {
        redact_error(object, err);
        catalog_object_release(object);
        return false;
    }
    catalog_object_retain(object);
    struct ddl_batch batch = new_batch(job);
    ok = ddl_make_relation(server, object, &batch, err) && ddl_make_sequences(job, &table, &batch, err) &&
         (!sources_has_parts(object) || make_source_parts(job, object, &batch, err));
    ok = publish(job, &batch, ok, err) && start_source(job, object, err);
    if (!ok)
        redact_error(object, err);
    catalog_object_release(object);
    return ok;
}

/* ---- CREATE TABLE AS ---- */

struct fill {
    struct session *session;
    struct relation *relation;
    uint64_t rows;
};

static bool fill_rows(void *ctx, const struct batch *rows, bool *stop, struct error *err)
{
    struct fill *fill = ctx;
    transaction_change(fill->session, fill->relation, rows);
    for (uint32_t i = 0; i < rows->rows; i++)
        fill->rows += (uint64_t)batch_weight(rows, i);
    return account_check(&fill->session->account, err);
}

static bool fill_table(struct ddl_job *job, const struct plan *plan, struct catalog_object *object,
                       uint64_t *rows, struct error *err)
{
    struct session *session = job->session;
    struct fill fill = {.session = session, .relation = object->relation};
    struct query_options options = {.env = &session->env, .account = &session->account};
    if (run_scans_anything(plan))
        options.snapshot = transaction_snapshot(session);
    bool ok = query_run(plan, &options, fill_rows, &fill, err);
    *rows = fill.rows;
    ok = transaction_end_statement(session, !ok, err) && ok;
    return transaction_begin_statement(session, false, err) && ok;
}

static bool create_table_as(struct ddl_job *job, const PgQuery__Node *query, const PgQuery__IntoClause *into,
                            bool if_not_exists, struct error *err)
{
    struct server *server = job->server;
    uint32_t schema_oid;
    bool skip = false;
    struct plan *plan = NULL;
    if (query->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "CREATE TABLE AS EXECUTE is not supported");
    if (into->rel->relpersistence[0] == 't')
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "temporary tables are not supported");
    PgQuery__SelectStmt select = *query->select_stmt;
    select.into_clause = NULL;
    struct catalog_object *object = catalog_object_create();
    object->kind = CATALOG_TABLE;
    static const char *const known[] = {"append_only", "fillfactor", NULL};
    catalog_read_lock(server->catalog);
    bool ok =
        ddl_target_schema(&job->planner, into->rel, &schema_oid, err) &&
        ddl_check_name(job, schema_oid, into->rel->relname, if_not_exists, &skip, err) &&
        (skip || (ddl_options(&job->planner, into->n_options, into->options, known, &object->arena,
                              &object->options, &object->options_count, err) &&
                  planner_select(&job->planner, &select, &plan, err) &&
                  ddl_result_columns(&job->planner, plan, into->n_col_names, into->col_names, object, err)));
    if (ok && !skip) {
        const char *append_only = ddl_option(object, "append_only");
        if (append_only != NULL && strcmp(append_only, "true") == 0)
            object->kind = CATALOG_STREAM;
        object->schema_oid = schema_oid;
        object->name = arena_strdup(&object->arena, into->rel->relname);
        ddl_assign_oids(server->catalog, object, 0);
        object->sql = ddl_table_sql(&object->arena, server->catalog, object);
        run_hold_relations(plan);
    }
    catalog_unlock(server->catalog);
    if (!ok || skip) {
        catalog_object_release(object);
        return ok;
    }
    struct ddl_batch batch = new_batch(job);
    catalog_object_retain(object);
    uint64_t rows = 0;
    ok = ddl_make_relation(server, object, &batch, err);
    /* rows reach the log before the store knows the OID: it must not be given again */
    if (ok && !into->skip_data)
        ok = (server->store == NULL || catalog_store_write(server->store, NULL, 0, NULL, 0,
                                                           catalog_new_oid(server->catalog) + 1, err)) &&
             fill_table(job, plan, object, &rows, err);
    ok = publish(job, &batch, ok, err);
    if (ok && !into->skip_data)
        snprintf(job->tag, 64, "SELECT %llu", (unsigned long long)rows);
    run_release_relations(plan);
    catalog_object_release(object);
    return ok;
}

/* ---- views ---- */

static const char *path_text(struct ddl_job *job, struct arena *arena)
{
    struct strbuf text = STRBUF_INIT;
    for (const char *const *name = job->session->info.search_path; name != NULL && *name != NULL; name++)
        strbuf_addf(&text, "%s%s", text.len > 0 ? "\n" : "", *name);
    const char *copy = arena_strdup(arena, strbuf_text(&text));
    strbuf_release(&text);
    return copy;
}

/* CREATE ... AS query, with the names of all columns, as the store keeps it. Needs the read lock. */
static void view_sql(struct ddl_job *job, struct catalog_object *object)
{
    struct strbuf text = STRBUF_INIT;
    strbuf_addf(&text, "CREATE %sVIEW %s (", object->kind == CATALOG_MATERIALIZED_VIEW ? "MATERIALIZED " : "",
                ddl_qualified(&job->arena, job->server->catalog, object));
    for (uint32_t i = 0; i < object->columns_count; i++) {
        strbuf_adds(&text, i > 0 ? ", " : "");
        statement_quote_name(object->columns[i].name, &text);
    }
    strbuf_addc(&text, ')');
    for (uint32_t i = 0; i < object->options_count; i++) {
        strbuf_adds(&text, i > 0 ? ", " : " WITH (");
        statement_quote_name(object->options[i].name, &text);
        strbuf_adds(&text, " = ");
        statement_quote_text(object->options[i].value, &text);
    }
    strbuf_addf(&text, "%s AS %s", object->options_count > 0 ? ")" : "", object->query_sql);
    object->sql = arena_strdup(&object->arena, text.data);
    strbuf_release(&text);
}

static struct catalog_object *new_view(struct ddl_job *job, enum catalog_kind kind, uint32_t schema_oid,
                                       const char *name)
{
    struct catalog_object *object = catalog_object_create();
    object->kind = kind;
    object->schema_oid = schema_oid;
    object->name = arena_strdup(&object->arena, name);
    object->query_sql = arena_strdup(&object->arena, job->prepared->statement->query_sql);
    object->timezone = arena_strdup(&object->arena, job->session->env.io.timezone);
    object->search_path = path_text(job, &object->arena);
    return object;
}

static bool refuse_parameters(struct ddl_job *job, struct error *err)
{
    return job->planner.params_count == 0 ||
           error_set(err, ERRCODE_UNDEFINED_PARAMETER, "there is no parameter $1");
}

/* May the new view stand where the old one stood? Its first columns must be the old ones. */
static bool check_replacement(struct ddl_job *job, const struct catalog_object *old,
                              const struct catalog_object *view, struct error *err)
{
    if (old->kind != CATALOG_VIEW)
        return error_set(err, ERRCODE_WRONG_OBJECT_TYPE, "\"%s\" is not a view", old->name);
    if (!view_builds_allow(job->server, old, "replace", err))
        return false;
    if (view->columns_count < old->columns_count)
        return error_set(err, ERRCODE_INVALID_TABLE_DEFINITION, "cannot drop columns from view");
    for (uint32_t i = 0; i < old->columns_count; i++) {
        const struct catalog_column *a = &old->columns[i], *b = &view->columns[i];
        if (strcmp(a->name, b->name) != 0) {
            error_set(err, ERRCODE_INVALID_TABLE_DEFINITION,
                      "cannot change name of view column \"%s\" to \"%s\"", a->name, b->name);
            return error_hint(err,
                              "Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.");
        }
        if (a->type.oid != b->type.oid || a->type.typmod != b->type.typmod) {
            struct strbuf from = STRBUF_INIT, to = STRBUF_INIT;
            type_format(a->type.oid, a->type.typmod, &from);
            type_format(b->type.oid, b->type.typmod, &to);
            error_set(err, ERRCODE_INVALID_TABLE_DEFINITION,
                      "cannot change data type of view column \"%s\" from %s to %s", a->name,
                      strbuf_text(&from), strbuf_text(&to));
            strbuf_release(&from);
            strbuf_release(&to);
            return false;
        }
    }
    /* neither may it read itself, nor may something built on the old definition go on without the new one */
    uint32_t *open = ARENA_ARRAY(&job->arena, uint32_t, 1), open_count = 1, cap = 1;
    open[0] = old->oid;
    for (uint32_t i = 0; i < open_count; i++) {
        uint32_t count;
        uint32_t *found = catalog_dependents(job->server->catalog, open[i], &job->arena, &count);
        for (uint32_t j = 0; j < count; j++) {
            const struct catalog_object *dependent = catalog_find_oid(job->server->catalog, found[j]);
            if (dependent->kind == CATALOG_MATERIALIZED_VIEW || dependent->kind == CATALOG_SINK) {
                error_set(err, ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST,
                          "cannot replace view %s because %s %s depends on it", old->name,
                          ddl_kind_word(dependent), dependent->name);
                return error_hint(err, "Drop the %s first.", ddl_kind_word(dependent));
            }
            ARENA_PUSH(&job->arena, open, open_count, cap, found[j]);
        }
        for (uint32_t j = 0; j < view->depends_count; j++)
            if (view->depends[j] == open[i])
                return error_set(err, ERRCODE_INVALID_OBJECT_DEFINITION,
                                 "infinite recursion detected in rules for relation \"%s\"", old->name);
    }
    return true;
}

static bool create_view(struct ddl_job *job, const PgQuery__ViewStmt *node, struct error *err)
{
    struct server *server = job->server;
    if (node->view->relpersistence[0] == 't')
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "temporary views are not supported");
    if (node->with_check_option != PG_QUERY__VIEW_CHECK_OPTION__NO_CHECK_OPTION &&
        node->with_check_option != PG_QUERY__VIEW_CHECK_OPTION__VIEW_CHECK_OPTION_UNDEFINED)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "WITH CHECK OPTION is not supported");
    if (job->prepared->statement->query_sql == NULL)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "recursive views are not supported");
    static const char *const known[] = {"security_barrier", "security_invoker", NULL};
    uint32_t schema_oid;
    struct catalog_object *object = NULL, *old = NULL;
    struct plan *plan;
    catalog_read_lock(server->catalog);
    bool ok = ddl_target_schema(&job->planner, node->view, &schema_oid, err);
    if (ok && node->replace) {
        const struct catalog_schema *schema = catalog_find_schema_oid(server->catalog, schema_oid);
        old = catalog_find(server->catalog, schema->name, node->view->relname, NULL);
    }
    bool skip = false;
    ok = ok && (old != NULL || ddl_check_name(job, schema_oid, node->view->relname, false, &skip, err));
    if (ok) {
        object = new_view(job, CATALOG_VIEW, schema_oid, node->view->relname);
        ok = ddl_options(&job->planner, node->n_options, node->options, known, &object->arena,
                         &object->options, &object->options_count, err) &&
             planner_select(&job->planner, node->query->select_stmt, &plan, err) &&
             refuse_parameters(job, err) &&
             ddl_result_columns(&job->planner, plan, node->n_aliases, node->aliases, object, err);
    }
    if (ok) {
        object->depends_count = job->planner.depends_count;
        object->depends =
            arena_copy(&object->arena, job->planner.depends, object->depends_count * sizeof(uint32_t));
        object->oid = old != NULL ? old->oid : catalog_new_oid(server->catalog);
        object->defined_oid = old != NULL ? catalog_new_oid(server->catalog) : 0;
        view_sql(job, object);
        ok = old == NULL || check_replacement(job, old, object, err);
    }
    catalog_unlock(server->catalog);
    if (!ok) {
        catalog_object_release(object);
        return false;
    }
    if (old != NULL) {
        if (ddl_replace(server, object, err))
            return true;
        catalog_object_release(object);
        return false;
    }
    struct ddl_batch batch = new_batch(job);
    ddl_batch_add(&batch, object);
    return publish(job, &batch, true, err);
}

/* The EMIT clause becomes the options it stands for, so that the stored text needs no clause. */
static bool add_emit(struct ddl_job *job, struct catalog_object *object, struct error *err)
{
    static const char *const words[] = {[STATEMENT_EMIT_CHANGES] = "changes",
                                        [STATEMENT_EMIT_FINAL] = "final",
                                        [STATEMENT_EMIT_EVERY] = "every"};
    const struct statement *statement = job->prepared->statement;
    if (statement->emit == STATEMENT_EMIT_NONE)
        return true;
    const struct catalog_option given[] = {{"emit", words[statement->emit]},
                                           {"every", statement->emit_every}};
    struct catalog_option *options =
        ARENA_ARRAY(&object->arena, struct catalog_option, object->options_count + ARRAY_COUNT(given));
    if (object->options_count > 0)
        memcpy(options, object->options, sizeof(*options) * object->options_count);
    object->options = options;
    for (size_t i = 0; i < ARRAY_COUNT(given) && given[i].value != NULL; i++) {
        const char *said = ddl_option(object, given[i].name);
        if (said != NULL && strcmp(said, given[i].value) != 0) {
            error_set(err, ERRCODE_INVALID_TABLE_DEFINITION,
                      "the EMIT clause of materialized view \"%s\" contradicts its option \"%s\"",
                      object->name, given[i].name);
            return error_at(err, planner_position(&job->planner, statement->emit_location));
        }
        if (said == NULL)
            options[object->options_count++] =
                (struct catalog_option){given[i].name, arena_strdup(&object->arena, given[i].value)};
    }
    return true;
}

static bool read_view_options(struct ddl_job *job, const PgQuery__IntoClause *into,
                              struct catalog_object *object, struct error *err)
{
    static const char *const known[] = {"emit",      "every",        "grace",    "late",
                                        "state_ttl", "memory_limit", "on_error", NULL};
    if (!ddl_options(&job->planner, into->n_options, into->options, known, &object->arena, &object->options,
                     &object->options_count, err))
        return false;
    if (ddl_option(object, "on_error") != NULL)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "option \"on_error\" is not supported yet");
    int64_t memory_limit;
    return ddl_bytes_option(object, "memory_limit", &memory_limit, err) && add_emit(job, object, err) &&
           ddl_view_time(object, &job->planner.view_time, err);
}

/* What planning has noticed about the view, once it is there. */
static void send_notices(struct ddl_job *job)
{
    for (uint32_t i = 0; i < job->planner.notices_count; i++)
        session_notice(
            job->session, "NOTICE", "01000",
            "A window over an event time, a join in time, or WITH (state_ttl = ...) bounds what is kept.",
            "%s", job->planner.notices[i]);
}

/* May the new view take the old one's place? Asked before it is filled and again afterwards. Needs the read lock. */
static bool check_replaced_view(struct ddl_job *job, const struct catalog_object *old, struct error *err)
{
    const struct catalog_object *dependent = ddl_first_dependent(job, old->oid);
    if (old->kind != CATALOG_MATERIALIZED_VIEW)
        return error_set(err, ERRCODE_WRONG_OBJECT_TYPE, "\"%s\" is not a materialized view", old->name);
    if (dependent != NULL)
        return error_set(err, ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST,
                         "cannot replace materialized view %s because %s %s depends on it", old->name,
                         ddl_kind_word(dependent), dependent->name);
    for (uint32_t i = 0; i < job->planner.depends_count; i++)
        if (job->planner.depends[i] == old->oid)
            return error_set(err, ERRCODE_INVALID_OBJECT_DEFINITION,
                             "materialized view \"%s\" cannot read itself", old->name);
    return view_builds_allow(job->server, old, "replace", err);
}

static bool create_materialized_view(struct ddl_job *job, const PgQuery__CreateTableAsStmt *node,
                                     struct error *err)
{
    struct server *server = job->server;
    const PgQuery__IntoClause *into = node->into;
    bool replace = job->prepared->statement->or_replace;
    uint32_t schema_oid, dropped = 0;
    bool skip = false;
    struct catalog_object *object = NULL, *old = NULL;
    if (into->skip_data) {
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "WITH NO DATA is not supported for materialized views");
        return error_hint(err, "A materialized view is always up to date.");
    }
    if (node->query->node_case != PG_QUERY__NODE__NODE_SELECT_STMT ||
        job->prepared->statement->query_sql == NULL)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "a materialized view needs a query");
    catalog_read_lock(server->catalog);
    bool ok = ddl_target_schema(&job->planner, into->rel, &schema_oid, err);
    if (ok && replace) {
        const struct catalog_schema *schema = catalog_find_schema_oid(server->catalog, schema_oid);
        old = catalog_find(server->catalog, schema->name, into->rel->relname, NULL);
        ok = old == NULL || check_replaced_view(job, old, err);
    }
    ok = ok && (old != NULL ||
                ddl_check_name(job, schema_oid, into->rel->relname, node->if_not_exists, &skip, err));
    if (ok && !skip) {
        object = new_view(job, CATALOG_MATERIALIZED_VIEW, schema_oid, into->rel->relname);
        ok = read_view_options(job, into, object, err);
    }
    struct plan *plan;
    if (ok && !skip) { /* once as written, for errors with positions; ddl_make_view plans what is stored */
        job->planner.for_view = true;
        ok = planner_select(&job->planner, node->query->select_stmt, &plan, err) &&
             refuse_parameters(job, err) &&
             ddl_result_columns(&job->planner, plan, into->n_col_names, into->col_names, object, err);
        if (ok) {
            object->oid = catalog_new_oid(server->catalog);
            view_sql(job, object);
        }
    }
    if (ok && !skip && old != NULL) {
        catalog_object_retain(old);
        dropped = old->oid;
    }
    catalog_unlock(server->catalog);
    if (!ok || skip) {
        catalog_object_release(object);
        return ok;
    }
    struct ddl_batch batch = new_batch(job);
    struct view_build build = {.replaces = dropped, .pid = job->session->pid};
    ok = ddl_make_view(server, object, &job->session->env, &job->session->cancel, &build, &batch, err);
    if (ok && old != NULL) {
        catalog_read_lock(server->catalog);
        ok = check_replaced_view(job, old, err);
        catalog_unlock(server->catalog);
    }
    ok = ok && ddl_batch_publish(server, &batch, &dropped, old != NULL ? 1 : 0, err);
    if (!ok)
        ddl_batch_undo(server, &batch);
    else if (old != NULL)
        ddl_unmake(server, old);
    if (ok)
        send_notices(job);
    if (old != NULL)
        catalog_object_release(old);
    return ok;
}

/* ---- sinks ---- */

/* Its progress is noted under a name that no other sink has, whatever data directory it lies in. */
static void add_identity(struct catalog_object *object)
{
    if (ddl_option(object, "identity") == NULL)
        ddl_add_option(object, "identity",
                       arena_printf(&object->arena, "millrace-%u-%016llx", object->oid,
                                    (unsigned long long)random_u64()));
}

static bool create_sink(struct ddl_job *job, const struct sink_clause *clause, struct error *err)
{
    struct server *server = job->server;
    const PgQuery__Node *query = job->prepared->node;
    uint32_t schema_oid;
    bool skip = false;
    struct catalog_object *object = NULL;
    struct plan *plan;
    if (query->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "a sink needs a query");
    catalog_read_lock(server->catalog);
    bool ok = ddl_target_schema(&job->planner, clause->name, &schema_oid, err) &&
              ddl_check_name(job, schema_oid, clause->name->relname, clause->if_not_exists, &skip, err);
    if (ok && !skip) {
        object = new_view(job, CATALOG_SINK, schema_oid, clause->name->relname);
        ok = ddl_options(&job->planner, clause->options_count, clause->options, NULL, &object->arena,
                         &object->options, &object->options_count, err) &&
             add_emit(job, object, err) && ddl_view_time(object, &job->planner.view_time, err);
    }
    if (ok && !skip) { /* once as written, for errors with positions; ddl_make_view plans what is stored */
        job->planner.for_view = true;
        ok = planner_select(&job->planner, query->select_stmt, &plan, err) && refuse_parameters(job, err) &&
             ddl_result_columns(&job->planner, plan, 0, NULL, object, err);
    }
    if (ok && !skip) {
        object->oid = catalog_new_oid(server->catalog);
        add_identity(object);
        object->sql = ddl_sink_sql(&object->arena, server->catalog, object);
    }
    catalog_unlock(server->catalog);
    if (ok && !skip && !sinks_check(server, object, err))
        ok = redact_error(object, err);
    if (!ok || skip) {
        catalog_object_release(object);
        return ok;
    }
    struct ddl_batch batch = new_batch(job);
    struct view_build build = {.pid = job->session->pid};
    catalog_object_retain(object);
    ok = ddl_make_view(server, object, &job->session->env, &job->session->cancel, &build, &batch, err);
    ok = publish(job, &batch, ok, err);
    if (ok && !sinks_start(server, object, err)) { /* its options were checked */
        struct error other;
        struct catalog_object *objects[] = {object};
        if (!drop_objects(server, objects, 1, &other))
            session_notice(job->session, "WARNING", "01000", NULL, "\"%s\" could not be dropped: %s",
                           object->name, other.message);
        ok = redact_error(object, err);
    }
    if (ok)
        send_notices(job);
    catalog_object_release(object);
    return ok;
}

/* ---- indexes ---- */

static bool bind_index(struct ddl_job *job, const PgQuery__IndexStmt *node,
                       const struct catalog_object *table, struct catalog_object *index, struct error *err)
{
    const char *refused = NULL;
    if (node->access_method[0] != '\0' && strcmp(node->access_method, "btree") != 0 &&
        strcmp(node->access_method, "hash") != 0)
        refused = "only btree and hash indexes are supported";
    else if (node_exists(node->where_clause))
        refused = "partial indexes are not supported";
    else if (node->n_index_including_params > 0)
        refused = "INCLUDE is not supported";
    else if (node->nulls_not_distinct)
        refused = "NULLS NOT DISTINCT is not supported";
    if (refused != NULL)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "%s", refused);
    uint32_t cap = 0, columns_cap = 0;
    for (size_t i = 0; i < node->n_index_params; i++) {
        const PgQuery__IndexElem *element = node->index_params[i]->index_elem;
        if (element->name[0] == '\0') {
            error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "indexes on expressions are not supported");
            return error_hint(err, "Index a materialized view that has the expression as a column.");
        }
        uint32_t column = 0;
        while (column < table->columns_count && strcmp(table->columns[column].name, element->name) != 0)
            column++;
        if (column == table->columns_count)
            return error_set(err, ERRCODE_UNDEFINED_COLUMN, "column \"%s\" does not exist", element->name);
        ARENA_PUSH(&index->arena, index->index_columns, index->index_columns_count, cap, column);
        struct catalog_column shown = {.name = arena_strdup(&index->arena, element->name),
                                       .type = table->columns[column].type};
        ARENA_PUSH(&index->arena, index->columns, index->columns_count, columns_cap, shown);
    }
    return true;
}

struct name_ctx {
    struct catalog *catalog;
    uint32_t schema_oid;
};

static bool name_taken(void *ctx, const char *name)
{
    const struct name_ctx *names = ctx;
    return ddl_name_taken(names->catalog, names->schema_oid, name);
}

static bool create_index(struct ddl_job *job, const PgQuery__IndexStmt *node, struct error *err)
{
    struct server *server = job->server;
    struct catalog_object *table = NULL, *index = catalog_object_create();
    bool skip = false;
    catalog_read_lock(server->catalog);
    bool ok = planner_relation(&job->planner, node->relation, &table, err);
    if (ok && table->kind != CATALOG_TABLE && table->kind != CATALOG_STREAM &&
        table->kind != CATALOG_MATERIALIZED_VIEW)
        ok = error_set(err, ERRCODE_WRONG_OBJECT_TYPE, "cannot create index on relation \"%s\"", table->name);
    if (ok && node->idxname[0] != '\0')
        ok = ddl_check_name(job, table->schema_oid, node->idxname, node->if_not_exists, &skip, err);
    if (ok && !skip && table->kind == CATALOG_MATERIALIZED_VIEW && node->unique) {
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                  "unique indexes on materialized views are not supported");
        ok = error_hint(err, "What a view holds follows from its query.");
    }
    ok = ok && (skip || bind_index(job, node, table, index, err));
    if (ok && !skip) {
        index->kind = CATALOG_INDEX;
        index->schema_oid = table->schema_oid;
        index->index_of = table->oid;
        index->index_is_unique = node->unique;
        if (node->idxname[0] != '\0') {
            index->name = arena_strdup(&index->arena, node->idxname);
        } else {
            struct name_ctx names = {server->catalog, table->schema_oid};
            struct strbuf columns = STRBUF_INIT;
            for (uint32_t i = 0; i < index->columns_count; i++)
                strbuf_addf(&columns, "%s%s", i > 0 ? "_" : "", index->columns[i].name);
            index->name =
                ddl_choose_name(&index->arena, table->name, strbuf_text(&columns), "idx", name_taken, &names);
            strbuf_release(&columns);
        }
        index->oid = catalog_new_oid(server->catalog);
        index->sql = ddl_index_sql(&index->arena, server->catalog, index, NULL);
    }
    catalog_unlock(server->catalog);
    if (!ok || skip) {
        catalog_object_release(index);
        return ok;
    }
    struct ddl_batch batch = new_batch(job);
    struct view_build build = {.pid = job->session->pid};
    return publish(job, &batch, ddl_make_index(server, index, &job->session->cancel, &build, &batch, err),
                   err);
}

/* ---- schemas and sequences ---- */

static bool create_schema(struct ddl_job *job, const PgQuery__CreateSchemaStmt *node, struct error *err)
{
    struct server *server = job->server;
    const char *name = node->schemaname[0] != '\0' ? node->schemaname
                       : node->authrole != NULL    ? node->authrole->rolename
                                                   : "";
    if (node->n_schema_elts > 0)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "CREATE SCHEMA with objects in it is not supported");
    catalog_read_lock(server->catalog);
    bool exists = catalog_find_schema(server->catalog, name) != NULL;
    catalog_unlock(server->catalog);
    if (exists && node->if_not_exists) {
        session_notice(job->session, "NOTICE", "42P06", NULL, "schema \"%s\" already exists, skipping", name);
        return true;
    }
    uint32_t next_oid = catalog_new_oid(server->catalog), oid = next_oid;
    if (strcmp(name, "public") == 0) /* dropped before: it comes back as what it was */
        oid = SCHEMA_PUBLIC;
    catalog_write_lock(server->catalog);
    bool ok = catalog_add_schema(server->catalog, oid, name, err);
    catalog_unlock(server->catalog);
    if (!ok || server->store == NULL)
        return ok;
    struct strbuf sql = STRBUF_INIT;
    strbuf_adds(&sql, "CREATE SCHEMA ");
    statement_quote_name(name, &sql);
    struct catalog_record record = {.oid = oid, .name = name, .kind = "schema", .sql = sql.data};
    ok = catalog_store_write(server->store, &record, 1, NULL, 0, next_oid + 1, err);
    strbuf_release(&sql);
    if (!ok) {
        catalog_write_lock(server->catalog);
        catalog_remove_schema(server->catalog, oid);
        catalog_unlock(server->catalog);
    }
    return ok;
}

static bool create_sequence(struct ddl_job *job, const PgQuery__CreateSeqStmt *node, struct error *err)
{
    struct server *server = job->server;
    uint32_t schema_oid;
    bool skip = false;
    struct catalog_object *object = NULL;
    if (node->sequence->relpersistence[0] == 't')
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "temporary sequences are not supported");
    catalog_read_lock(server->catalog);
    bool ok = ddl_target_schema(&job->planner, node->sequence, &schema_oid, err) &&
              ddl_check_name(job, schema_oid, node->sequence->relname, node->if_not_exists, &skip, err);
    if (ok && !skip) {
        object = new_sequence(job, schema_oid, node->sequence->relname);
        ok = ddl_sequence_options(&job->planner, node->n_options, node->options, OID_INT8, object, err);
        if (ok)
            object->sql = ddl_sequence_sql(&object->arena, server->catalog, object);
    }
    catalog_unlock(server->catalog);
    if (!ok || skip) {
        catalog_object_release(object);
        return ok;
    }
    struct ddl_batch batch = new_batch(job);
    ok = ddl_make_relation(server, object, &batch, err);
    if (ok)
        sequence_attach(server, object);
    return publish(job, &batch, ok, err);
}

static bool check_restart(const struct catalog_object *sequence, int64_t value, struct error *err)
{
    if (value < sequence->sequence_min)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "RESTART value (%lld) cannot be less than MINVALUE (%lld)", (long long)value,
                         (long long)sequence->sequence_min);
    if (value > sequence->sequence_max)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "RESTART value (%lld) cannot be greater than MAXVALUE (%lld)", (long long)value,
                         (long long)sequence->sequence_max);
    return true;
}

static bool alter_sequence(struct ddl_job *job, const PgQuery__AlterSeqStmt *node, struct error *err)
{
    struct server *server = job->server;
    struct catalog_object *object = NULL, *found;
    catalog_read_lock(server->catalog);
    bool ok = planner_relation(&job->planner, node->sequence, &found, err);
    if (ok && found->kind != CATALOG_SEQUENCE)
        ok = error_set(err, ERRCODE_WRONG_OBJECT_TYPE, "\"%s\" is not a sequence", found->name);
    if (ok) {
        object = found;
        catalog_object_retain(object);
    }
    catalog_unlock(server->catalog);
    for (size_t i = 0; ok && i < node->n_options; i++) {
        const PgQuery__DefElem *def = node->options[i]->def_elem;
        int64_t value = object->sequence_start;
        if (strcmp(def->defname, "restart") == 0)
            ok = (!node_exists(def->arg) || ddl_sequence_number(def, &value, err)) &&
                 check_restart(object, value, err) && sequence_set(server, object, value, false, err);
        else if (strcmp(def->defname, "owned_by") != 0)
            ok = error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "ALTER SEQUENCE can only RESTART");
    }
    catalog_object_release(object);
    return ok;
}

/* ---- the statement ---- */

static bool run_refresh(struct ddl_job *job, const PgQuery__RefreshMatViewStmt *node, struct error *err)
{
    struct catalog_object *object;
    catalog_read_lock(job->server->catalog);
    bool ok = planner_relation(&job->planner, node->relation, &object, err);
    if (ok && object->kind != CATALOG_MATERIALIZED_VIEW)
        ok = error_set(err, ERRCODE_WRONG_OBJECT_TYPE, "\"%s\" is not a materialized view", object->name);
    catalog_unlock(job->server->catalog);
    return ok; /* it is up to date already */
}

static bool dispatch(struct ddl_job *job, struct error *err)
{
    const PgQuery__Node *node = job->prepared->node;
    if (job->prepared->statement->sink != NULL)
        return create_sink(job, job->prepared->statement->sink, err);
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_CREATE_STMT:
        return create_table(job, err);
    case PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT: {
        const PgQuery__CreateTableAsStmt *stmt = node->create_table_as_stmt;
        if (stmt->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW) {
            snprintf(job->tag, 64, "CREATE MATERIALIZED VIEW");
            return create_materialized_view(job, stmt, err);
        }
        return create_table_as(job, stmt->query, stmt->into, stmt->if_not_exists, err);
    }
    case PG_QUERY__NODE__NODE_SELECT_STMT:
        return create_table_as(job, node, node->select_stmt->into_clause, false, err);
    case PG_QUERY__NODE__NODE_VIEW_STMT:
        return create_view(job, node->view_stmt, err);
    case PG_QUERY__NODE__NODE_INDEX_STMT:
        return create_index(job, node->index_stmt, err);
    case PG_QUERY__NODE__NODE_CREATE_SCHEMA_STMT:
        return create_schema(job, node->create_schema_stmt, err);
    case PG_QUERY__NODE__NODE_CREATE_SEQ_STMT:
        return create_sequence(job, node->create_seq_stmt, err);
    case PG_QUERY__NODE__NODE_ALTER_SEQ_STMT:
        return alter_sequence(job, node->alter_seq_stmt, err);
    case PG_QUERY__NODE__NODE_DROP_STMT:
        return run_drop(job, node->drop_stmt, err);
    case PG_QUERY__NODE__NODE_RENAME_STMT:
        return run_rename(job, node->rename_stmt, err);
    case PG_QUERY__NODE__NODE_ALTER_TABLE_STMT:
        return run_alter_table(job, node->alter_table_stmt, err);
    case PG_QUERY__NODE__NODE_COMMENT_STMT:
        return run_comment(job, node->comment_stmt, err);
    case PG_QUERY__NODE__NODE_REFRESH_MAT_VIEW_STMT:
        return run_refresh(job, node->refresh_mat_view_stmt, err);
    default:
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "this statement is not supported");
    }
}

bool run_ddl(struct session *session, struct prepared *prepared, struct result_sink *sink, char *tag,
             struct error *err)
{
    struct server *server = session->server;
    const char *spelled = prepared->tag;
    if (prepared->statement->word != STATEMENT_WORD_NONE &&
        prepared->node->node_case == PG_QUERY__NODE__NODE_CREATE_STMT)
        spelled = prepared->statement->word == STATEMENT_WORD_STREAM   ? "CREATE STREAM"
                  : prepared->statement->word == STATEMENT_WORD_SOURCE ? "CREATE SOURCE"
                                                                       : "CREATE EXTERNAL TABLE";
    snprintf(tag, 64, "%s", spelled);
    if (!run_needs_writing(session, tag, err) || !run_no_block(session, tag, err))
        return false;
    /* rows of statements before it in the same Query string must be there for what DDL builds on them */
    if (transaction_has_changes(session) && (!transaction_end_statement(session, false, err) ||
                                             !transaction_begin_statement(session, false, err)))
        return false;
    struct ddl_job job = {
        .session = session, .server = server, .prepared = prepared, .sink = sink, .tag = tag};
    arena_init(&job.arena, &session->account);
    run_planner(session, &job.planner, &job.arena, prepared->sql);
    bool ok = infer_columns(&job, prepared->statement, &job.statement, err);
    if (ok) {
        pthread_mutex_lock(&server->ddl);
        ok = dispatch(&job, err);
        pthread_mutex_unlock(&server->ddl);
    }
    arena_release(&job.arena);
    return ok;
}
