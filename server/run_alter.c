/* run_alter.c: ALTER ... RENAME, ALTER TABLE, COMMENT ON.
 *
 * A change of a table's definition is made on the tree of its stored CREATE TABLE. When rows stay as they are
 * (defaults), the catalog object is exchanged. New columns that have one value for all rows there are (NULL, or that of their
 * DEFAULT) are added to the relation while others go on reading it (docs/architecture.md, "Columns are added"). Else a new relation
 * with a new OID is filled from the old one and takes its name. Views that read the table are not rewritten: while there are
 * any, such a change is refused and names them. */
#include "server/run_ddl.h"

#include "executor/expr_program.h"
#include "planner/bind_dml.h"
#include "planner/parse_tree.h"
#include "planner/redact.h"
#include "server/run_dml.h"
#include "server/sequence.h"
#include "server/settings.h"
#include "server/sinks.h"
#include "server/source_parts.h"
#include "server/sources.h"
#include "server/table_locks.h"
#include "storage/base/log.h"
#include "storage/disk/catalog_store.h"

#include <stdio.h>
#include <string.h>

#define REBUILD_TRIES 20

static bool refuse_dependents(struct ddl_job *job, const struct catalog_object *object, struct error *err)
{
    const struct catalog_object *dependent = ddl_first_dependent(job, object->oid);
    if (dependent == NULL)
        return view_builds_allow(job->server, object, "alter", err);
    error_set(err, ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST, "cannot alter %s %s because %s %s depends on it",
              ddl_kind_word(object), object->name, ddl_kind_word(dependent), dependent->name);
    return error_hint(err, "Drop %s %s first and create it again afterwards.", ddl_kind_word(dependent),
                      dependent->name);
}

/* The relation named, or NULL with IF EXISTS. Needs the read lock. */
static bool find_altered(struct ddl_job *job, const PgQuery__RangeVar *name, bool missing_ok,
                         struct catalog_object **out, struct error *err)
{
    *out = NULL;
    if (missing_ok) {
        const char *schema = name->schemaname[0] != '\0' ? name->schemaname : NULL;
        if (catalog_find(job->server->catalog, schema, name->relname, job->session->info.search_path) ==
            NULL) {
            session_notice(job->session, "NOTICE", "00000", NULL, "relation \"%s\" does not exist, skipping",
                           name->relname);
            return true;
        }
    }
    if (!planner_relation(&job->planner, name, out, err))
        return false;
    if ((*out)->role != CATALOG_ROLE_NONE) {
        const struct catalog_object *owner = catalog_find_oid(job->server->catalog, (*out)->index_of);
        return error_set(err, ERRCODE_WRONG_OBJECT_TYPE, "cannot alter \"%s\": it belongs to %s \"%s\"",
                         (*out)->name, ddl_kind_word(owner), owner->name);
    }
    return (*out)->oid >= FIRST_USER_OID ||
           error_set(err, ERRCODE_INSUFFICIENT_PRIVILEGE, "permission denied: \"%s\" is a system catalog",
                     (*out)->name);
}

/* ---- RENAME ---- */

static bool rename_column(struct catalog_object *clone, const char *from, const char *to, struct error *err)
{
    struct catalog_column *column = NULL;
    for (uint32_t i = 0; i < clone->columns_count; i++) {
        if (strcmp(clone->columns[i].name, from) == 0)
            column = &clone->columns[i];
        if (strcmp(clone->columns[i].name, to) == 0)
            return error_set(err, ERRCODE_DUPLICATE_COLUMN, "column \"%s\" of relation \"%s\" already exists",
                             to, clone->name);
    }
    if (column == NULL)
        return error_set(err, ERRCODE_UNDEFINED_COLUMN, "column \"%s\" does not exist", from);
    if (ddl_option(clone, "connector") != NULL)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "columns of \"%s\" cannot be renamed: its connector knows them by name",
                         clone->name);
    bool has_expressions = clone->watermark_column != NULL;
    for (uint32_t i = 0; i < clone->columns_count; i++)
        has_expressions |= clone->columns[i].generated_sql != NULL;
    for (uint32_t i = 0; i < clone->constraints_count; i++)
        has_expressions |= clone->constraints[i].kind == CONSTRAINT_CHECK;
    if (has_expressions)
        return error_set(
            err, ERRCODE_FEATURE_NOT_SUPPORTED,
            "columns of a relation with CHECK constraints, generated columns or a watermark cannot be "
            "renamed");
    column->name = arena_strdup(&clone->arena, to);
    return true;
}

/* The indexes of a relation say its name and its columns' names: they change with it. Needs the read lock. */
static void rename_in_indexes(struct ddl_job *job, const struct catalog_object *table,
                              struct ddl_batch *batch)
{
    struct catalog *catalog = job->server->catalog;
    uint32_t count, cap = batch->changed_count;
    uint32_t *oids = catalog_dependents(catalog, table->oid, &job->arena, &count);
    for (uint32_t i = 0; i < count; i++) {
        const struct catalog_object *index = catalog_find_oid(catalog, oids[i]);
        if (index->kind != CATALOG_INDEX)
            continue;
        struct catalog_object *clone = catalog_object_clone(index);
        for (uint32_t c = 0; c < clone->columns_count; c++)
            clone->columns[c].name =
                arena_strdup(&clone->arena, table->columns[clone->index_columns[c]].name);
        if (index->sql != NULL)
            clone->sql = ddl_index_sql(&clone->arena, catalog, clone, table);
        ARENA_PUSH(&job->arena, batch->changed, batch->changed_count, cap, clone);
    }
}

/* The relations of a source are named after it. Needs the read lock. */
static bool rename_parts(struct ddl_job *job, const struct catalog_object *source, struct ddl_batch *batch,
                         struct error *err)
{
    struct catalog *catalog = job->server->catalog;
    uint32_t cursor = FIRST_USER_OID, cap = batch->changed_count;
    for (struct catalog_object *part; (part = catalog_next(catalog, &cursor)) != NULL;) {
        if (part->role == CATALOG_ROLE_NONE || part->index_of != source->oid)
            continue;
        const char *name = source_part_name(&job->arena, source->name, part->role);
        bool skip;
        if (strcmp(name, part->name) == 0)
            continue;
        if (!ddl_check_name(job, part->schema_oid, name, false, &skip, err))
            return false;
        struct catalog_object *clone = catalog_object_clone(part);
        clone->name = arena_strdup(&clone->arena, name);
        clone->sql = ddl_table_sql(&clone->arena, catalog, clone);
        ARENA_PUSH(&job->arena, batch->changed, batch->changed_count, cap, clone);
    }
    return true;
}

/* Schemas and envelopes go on calling a sink what they have called it. */
static void keep_record_name(struct catalog_object *sink)
{
    if (ddl_option(sink, "record_name") == NULL)
        ddl_add_option(sink, "record_name", sink->name);
}

/* The clone, which the store and the catalog have, is how it runs from now on. */
static bool sink_goes_by(struct server *server, struct catalog_object *clone, bool goes_on, struct error *err)
{
    bool is_running = server->settings == NULL || !server->settings->safe_mode;
    return !is_running || sinks_alter(server, clone, goes_on, err) || redact_error(clone, err);
}

bool run_rename(struct ddl_job *job, const PgQuery__RenameStmt *node, struct error *err)
{
    static const struct {
        PgQuery__ObjectType type;
        const char *tag;
    } tags[] = {
        {PG_QUERY__OBJECT_TYPE__OBJECT_TABLE, "ALTER TABLE"},
        {PG_QUERY__OBJECT_TYPE__OBJECT_VIEW, "ALTER VIEW"},
        {PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW, "ALTER MATERIALIZED VIEW"},
        {PG_QUERY__OBJECT_TYPE__OBJECT_INDEX, "ALTER INDEX"},
        {PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN, "ALTER TABLE"},
    };
    struct catalog *catalog = job->server->catalog;
    const char *tag = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(tags); i++)
        if (tags[i].type == node->rename_type)
            tag = tags[i].tag;
    if (tag == NULL || node->relation == NULL)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "this form of RENAME is not supported");
    snprintf(job->tag, 64, "%s", tag);
    struct catalog_object *object, *clone = NULL;
    catalog_read_lock(catalog);
    bool ok = find_altered(job, node->relation, node->missing_ok, &object, err);
    if (ok && object == NULL) {
        catalog_unlock(catalog);
        return true;
    }
    bool is_column = node->rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN;
    bool has_text = ok && (object->kind == CATALOG_TABLE || object->kind == CATALOG_STREAM);
    bool says_sink = job->prepared->statement->word == STATEMENT_WORD_SINK;
    if (says_sink)
        snprintf(job->tag, 64, "ALTER SINK");
    if (ok && says_sink != (object->kind == CATALOG_SINK)) {
        ok = error_set(err, ERRCODE_WRONG_OBJECT_TYPE, "\"%s\" is %sa sink", object->name,
                       says_sink ? "not " : "");
        error_hint(err, "%s", says_sink ? "" : "Use ALTER SINK.");
    }
    ok = ok && refuse_dependents(job, object, err);
    if (ok && (object->kind == CATALOG_SEQUENCE || object->kind == CATALOG_EXTERNAL_TABLE ||
               (object->kind == CATALOG_INDEX && object->sql == NULL) || (is_column && !has_text)))
        ok = error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "RENAME of this %s is not supported",
                       is_column ? "column" : ddl_kind_word(object));
    if (ok) {
        clone = catalog_object_clone(object);
        if (is_column) {
            ok = rename_column(clone, node->subname, node->newname, err);
        } else if (ddl_name_taken(catalog, object->schema_oid, node->newname)) {
            ok = error_set(err, ERRCODE_DUPLICATE_TABLE, "relation \"%s\" already exists", node->newname);
        } else {
            if (object->kind == CATALOG_SINK)
                keep_record_name(clone);
            clone->name = arena_strdup(&clone->arena, node->newname);
        }
    }
    if (ok && object->kind == CATALOG_SINK) {
        clone->sql = ddl_sink_sql(&clone->arena, catalog, clone);
    } else if (ok && has_text) {
        clone->sql = ddl_table_sql(&clone->arena, catalog, clone);
    } else if (ok && object->kind == CATALOG_INDEX) {
        clone->sql = ddl_index_sql(&clone->arena, catalog, clone, NULL);
    } else if (ok) { /* views: CREATE ... VIEW name (columns): the name stands before the first bracket */
        const char *columns = strstr(object->sql, " (");
        clone->sql = arena_printf(&clone->arena, "CREATE %sVIEW %s%s",
                                  object->kind == CATALOG_MATERIALIZED_VIEW ? "MATERIALIZED " : "",
                                  ddl_qualified(&job->arena, catalog, clone), columns != NULL ? columns : "");
        ok = columns != NULL ||
             error_set(err, ERRCODE_INTERNAL_ERROR, "the stored text of \"%s\" has no columns", object->name);
    }
    struct ddl_batch batch = {.arena = &job->arena};
    uint32_t cap = 0;
    if (clone != NULL)
        ARENA_PUSH(&job->arena, batch.changed, batch.changed_count, cap, clone);
    if (ok)
        rename_in_indexes(job, clone, &batch);
    ok = ok && (is_column || rename_parts(job, clone, &batch, err));
    catalog_unlock(catalog);
    ok = ok && ddl_batch_publish(job->server, &batch, NULL, 0, err);
    for (uint32_t i = 0; !ok && i < batch.changed_count; i++)
        catalog_object_release(batch.changed[i]);
    return ok && (clone->kind != CATALOG_SINK || sink_goes_by(job->server, clone, false, err));
}

/* ---- ALTER TABLE ---- */

/* The stored definition as a tree that can be changed. */
struct definition {
    struct statement statement;
    PgQuery__CreateStmt *create;
};

static bool read_definition(struct ddl_job *job, const struct catalog_object *object, struct definition *out,
                            struct error *err)
{
    if (!statement_parse(&job->arena, object->sql, &out->statement, err))
        return false;
    out->create = out->statement.node->create_stmt;
    return true;
}

static PgQuery__ColumnDef *column_of(const struct definition *definition, const char *name)
{
    for (size_t i = 0; i < definition->create->n_table_elts; i++) {
        PgQuery__Node *element = definition->create->table_elts[i];
        if (element->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF &&
            strcmp(element->column_def->colname, name) == 0)
            return element->column_def;
    }
    return NULL;
}

static void add_element(struct ddl_job *job, struct definition *definition, PgQuery__Node *element,
                        bool in_front)
{
    PgQuery__CreateStmt *create = definition->create;
    PgQuery__Node **elements = ARENA_ARRAY(&job->arena, PgQuery__Node *, create->n_table_elts + 1);
    for (size_t i = 0; i < create->n_table_elts; i++)
        elements[i + in_front] = create->table_elts[i];
    elements[in_front ? 0 : create->n_table_elts] = element;
    create->table_elts = elements;
    create->n_table_elts++;
}

static void remove_element(struct definition *definition, size_t at)
{
    PgQuery__CreateStmt *create = definition->create;
    memmove(create->table_elts + at, create->table_elts + at + 1,
            (create->n_table_elts - at - 1) * sizeof(PgQuery__Node *));
    create->n_table_elts--;
}

static void remove_column_constraint(PgQuery__ColumnDef *column, PgQuery__ConstrType type)
{
    size_t kept = 0;
    for (size_t i = 0; i < column->n_constraints; i++)
        if (column->constraints[i]->constraint->contype != type)
            column->constraints[kept++] = column->constraints[i];
    column->n_constraints = kept;
}

static void add_column_constraint(struct ddl_job *job, PgQuery__ColumnDef *column, PgQuery__ConstrType type,
                                  PgQuery__Node *expression)
{
    PgQuery__Node *node = ARENA_NEW(&job->arena, PgQuery__Node);
    pg_query__node__init(node);
    node->node_case = PG_QUERY__NODE__NODE_CONSTRAINT;
    node->constraint = ARENA_NEW(&job->arena, PgQuery__Constraint);
    pg_query__constraint__init(node->constraint);
    node->constraint->contype = type;
    node->constraint->raw_expr = expression;
    node->constraint->location = -1;
    PgQuery__Node **list = ARENA_ARRAY(&job->arena, PgQuery__Node *, column->n_constraints + 1);
    for (size_t i = 0; i < column->n_constraints; i++)
        list[i] = column->constraints[i];
    list[column->n_constraints++] = node;
    column->constraints = list;
}

static bool drop_constraint(struct ddl_job *job, struct definition *definition,
                            const PgQuery__AlterTableCmd *cmd, const struct catalog_object *object,
                            struct error *err)
{
    for (size_t i = 0; i < definition->create->n_table_elts; i++) {
        const PgQuery__Node *element = definition->create->table_elts[i];
        if (element->node_case == PG_QUERY__NODE__NODE_CONSTRAINT &&
            strcmp(element->constraint->conname, cmd->name) == 0) {
            remove_element(definition, i);
            return true;
        }
    }
    if (cmd->missing_ok) {
        session_notice(job->session, "NOTICE", "00000", NULL,
                       "constraint \"%s\" of relation \"%s\" does not exist, skipping", cmd->name,
                       object->name);
        return true;
    }
    return error_set(err, ERRCODE_UNDEFINED_OBJECT, "constraint \"%s\" of relation \"%s\" does not exist",
                     cmd->name, object->name);
}

static bool drop_column(struct ddl_job *job, struct definition *definition, const PgQuery__AlterTableCmd *cmd,
                        const struct catalog_object *object, struct error *err)
{
    if (column_of(definition, cmd->name) == NULL) {
        if (cmd->missing_ok) {
            session_notice(job->session, "NOTICE", "00000", NULL,
                           "column \"%s\" of relation \"%s\" does not exist, skipping", cmd->name,
                           object->name);
            return true;
        }
        return error_set(err, ERRCODE_UNDEFINED_COLUMN, "column \"%s\" of relation \"%s\" does not exist",
                         cmd->name, object->name);
    }
    /* keys go with any of their columns */
    for (size_t i = definition->create->n_table_elts; i-- > 0;) {
        const PgQuery__Node *element = definition->create->table_elts[i];
        bool gone = element->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF &&
                    strcmp(element->column_def->colname, cmd->name) == 0;
        if (element->node_case == PG_QUERY__NODE__NODE_CONSTRAINT)
            for (size_t k = 0; k < element->constraint->n_keys; k++)
                gone |= strcmp(node_string(element->constraint->keys[k]), cmd->name) == 0;
        if (gone)
            remove_element(definition, i);
    }
    return true;
}

/* SET (paused = ...): the options that may change while a connector runs. */
static bool set_options(struct ddl_job *job, struct definition *definition, const PgQuery__AlterTableCmd *cmd,
                        const struct catalog_object *object, struct error *err)
{
    PgQuery__CreateStmt *create = definition->create;
    const PgQuery__List *given = cmd->def->list;
    if (ddl_option(object, "connector") == NULL) {
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "options of \"%s\" cannot be changed", object->name);
        return error_hint(err, "Only those of relations that a connector feeds can.");
    }
    for (size_t i = 0; i < given->n_items; i++) {
        PgQuery__Node *item = given->items[i];
        const char *name = item->def_elem->defname;
        if (!sources_option_may_change(object, name)) {
            error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "option \"%s\" of \"%s\" cannot be changed", name,
                      object->name);
            return sources_has_parts(object)
                       ? error_hint(
                             err, "Those that can be are paused, on_error, on_lost, max_rows_per_second, "
                                  "skip_offset, errors_rows, errors_retention, schema_change and schema_id.")
                       : error_hint(err, "The option that can be is paused.");
        }
        size_t at = 0;
        while (at < create->n_options && strcmp(create->options[at]->def_elem->defname, name) != 0)
            at++;
        if (at == create->n_options) {
            PgQuery__Node **options = ARENA_ARRAY(&job->arena, PgQuery__Node *, at + 1);
            memcpy(options, create->options, sizeof(*options) * at);
            create->options = options;
            create->n_options++;
        }
        create->options[at] = item;
    }
    return true;
}

/* Applies one command to the tree; *rows_stay = false when rows have to be written anew or checked, *adds = true when that
 * depends on the columns which are new. */
static bool apply_command(struct ddl_job *job, struct definition *definition,
                          const PgQuery__AlterTableCmd *cmd, const struct catalog_object *object,
                          bool *rows_stay, bool *adds, struct error *err)
{
    PgQuery__ColumnDef *column = cmd->name[0] != '\0' ? column_of(definition, cmd->name) : NULL;
    switch (cmd->subtype) {
    case PG_QUERY__ALTER_TABLE_TYPE__AT_AddColumn: {
        const PgQuery__ColumnDef *def = cmd->def->column_def;
        if (column_of(definition, def->colname) != NULL) {
            if (!cmd->missing_ok)
                return error_set(err, ERRCODE_DUPLICATE_COLUMN,
                                 "column \"%s\" of relation \"%s\" already exists", def->colname,
                                 object->name);
            session_notice(job->session, "NOTICE", "42701", NULL,
                           "column \"%s\" of relation \"%s\" already exists, skipping", def->colname,
                           object->name);
            return true;
        }
        for (size_t i = 0; i < def->n_constraints; i++)
            if (def->constraints[i]->constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_IDENTITY)
                return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                                 "adding an identity column is not supported");
        for (size_t i = 0; i < def->n_fdwoptions; i++)
            if (ddl_is_added_option(def->fdwoptions[i]->def_elem->defname))
                return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "unrecognized column option \"%s\"",
                                 def->fdwoptions[i]->def_elem->defname);
        /* behind the last column, before the constraints */
        size_t at = 0;
        while (at < definition->create->n_table_elts &&
               definition->create->table_elts[at]->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF)
            at++;
        add_element(job, definition, cmd->def, true);
        PgQuery__Node **elements = definition->create->table_elts;
        memmove(elements, elements + 1, at * sizeof(PgQuery__Node *));
        elements[at] = cmd->def;
        *adds = true;
        return true;
    }
    case PG_QUERY__ALTER_TABLE_TYPE__AT_DropColumn:
        *rows_stay = false;
        return drop_column(job, definition, cmd, object, err);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_AddConstraint:
        *rows_stay = false;
        add_element(job, definition, cmd->def, false);
        return true;
    case PG_QUERY__ALTER_TABLE_TYPE__AT_DropConstraint:
        *rows_stay = false;
        return drop_constraint(job, definition, cmd, object, err);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_SetRelOptions:
        return set_options(job, definition, cmd, object, err);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_AlterColumnType: {
        const PgQuery__ColumnDef *def = cmd->def->column_def;
        if (column == NULL)
            break;
        if (node_exists(def->raw_default) || def->coll_clause != NULL)
            return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                             "USING and COLLATE of ALTER COLUMN TYPE are not supported");
        column->type_name = def->type_name;
        *rows_stay = false;
        return true;
    }
    default:
        break;
    }
    bool of_column = cmd->subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_ColumnDefault ||
                     cmd->subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_AlterColumnType ||
                     cmd->subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_SetNotNull ||
                     cmd->subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_DropNotNull;
    if (!of_column)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "this form of ALTER TABLE is not supported");
    if (column == NULL)
        return error_set(err, ERRCODE_UNDEFINED_COLUMN, "column \"%s\" of relation \"%s\" does not exist",
                         cmd->name, object->name);
    if (cmd->subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_ColumnDefault) {
        remove_column_constraint(column, PG_QUERY__CONSTR_TYPE__CONSTR_DEFAULT);
        if (node_exists(cmd->def))
            add_column_constraint(job, column, PG_QUERY__CONSTR_TYPE__CONSTR_DEFAULT, cmd->def);
        return true;
    }
    remove_column_constraint(column, PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL);
    if (cmd->subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_SetNotNull) {
        add_column_constraint(job, column, PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL, NULL);
        *rows_stay = false; /* they are checked on the way */
        return true;
    }
    for (uint32_t i = 0; i < object->constraints_count; i++)
        for (uint32_t k = 0; object->constraints[i].kind == CONSTRAINT_PRIMARY_KEY &&
                             k < object->constraints[i].columns_count;
             k++)
            if (strcmp(object->columns[object->constraints[i].columns[k]].name, cmd->name) == 0)
                return error_set(err, ERRCODE_INVALID_TABLE_DEFINITION, "column \"%s\" is in a primary key",
                                 cmd->name);
    return true;
}

/* Rows of the old relation as rows of the new one, in the session's transaction. */
static bool copy_rows(struct ddl_job *job, const struct catalog_object *old, const struct dml_plan *plan,
                      const uint32_t *from, uint32_t from_count, struct error *err)
{
    struct session *session = job->session;
    struct dml_run *run = dml_run_create(session, plan, &session->env);
    struct relation_scan scan;
    bool ok = true;
    relation_scan_start(&scan, old->relation, transaction_snapshot(session), &session->account);
    transaction_read(session, old->relation);
    for (const struct batch *rows; ok && (rows = relation_scan_next(&scan)) != NULL;) {
        struct column *columns = mem_alloc((from_count + 1) * sizeof(*columns));
        for (uint32_t i = 0; i < from_count; i++)
            columns[i] = rows->columns[from[i]];
        struct batch picked = {
            .rows = rows->rows, .columns_count = from_count, .columns = columns, .weights = rows->weights};
        ok = dml_run_insert(run, &picked, err);
        mem_free(columns);
        if (ok && session->cancel)
            ok = error_set(err, ERRCODE_QUERY_CANCELED, "canceling statement due to user request");
    }
    relation_scan_end(&scan);
    dml_run_destroy(run);
    return ok;
}

/* Copies and commits; tries again when the old relation changed meanwhile. The table's lock is held
 * afterwards. */
static bool fill_new(struct ddl_job *job, const struct catalog_object *old, struct catalog_object *fresh,
                     bool *locked, struct error *err)
{
    struct session *session = job->session;
    struct server *server = job->server;
    uint32_t *to = ARENA_ARRAY(&job->arena, uint32_t, fresh->columns_count);
    uint32_t *from = ARENA_ARRAY(&job->arena, uint32_t, fresh->columns_count), count = 0;
    struct sql_type *types = ARENA_ARRAY(&job->arena, struct sql_type, fresh->columns_count);
    for (uint32_t i = 0; i < fresh->columns_count; i++) {
        for (uint32_t j = 0; j < old->columns_count; j++) {
            if (strcmp(fresh->columns[i].name, old->columns[j].name) == 0 &&
                fresh->columns[i].generated_sql == NULL) {
                to[count] = i;
                types[count] = old->columns[j].type;
                from[count++] = j;
            }
        }
    }
    struct dml_plan *plan;
    catalog_read_lock(server->catalog);
    bool ok = bind_dml_rows(&job->planner, fresh, to, types, count, &plan, err);
    catalog_unlock(server->catalog);
    if (!ok)
        return false;
    for (uint32_t tries = 0;; tries++) {
        ok = copy_rows(job, old, plan, from, count, err);
        if (ok && !*locked)
            *locked =
                table_lock_take(server->locks, old->oid, TABLE_LOCK_UPSERT, 5000, &session->cancel, NULL);
        ok = transaction_end_statement(session, !ok, err) && ok;
        if (!transaction_begin_statement(session, false, ok ? err : NULL))
            return false;
        if (ok || err->code != ERRCODE_SERIALIZATION_FAILURE || tries == REBUILD_TRIES)
            return ok;
    }
}

/* What a connector feeds can be made anew when its place is kept in relations of their own, which stay; with a watermark, what it says of each
 * partition of the source would be lost. */
static bool allows_rebuild(const struct catalog_object *old, struct error *err)
{
    if (ddl_option(old, "connector") == NULL || (sources_has_parts(old) && old->watermark_column == NULL))
        return true;
    return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "cannot alter \"%s\" while it has a %s", old->name,
                     sources_has_parts(old) ? "watermark" : "connector");
}

/* The table under a new OID with the new definition. The source that feeds it stands still meanwhile. */
static bool rebuild(struct ddl_job *job, struct catalog_object *old, struct ddl_table *table,
                    struct error *err)
{
    struct server *server = job->server;
    struct catalog_object *fresh = table->object;
    struct ddl_batch batch = {.arena = &job->arena};
    uint32_t *drop = NULL, drop_count = 0, drop_cap = 0;
    struct catalog_object **owned = NULL;
    uint32_t owned_count = 0, owned_cap = 0;
    ARENA_PUSH(&job->arena, drop, drop_count, drop_cap, old->oid);
    catalog_read_lock(server->catalog);
    uint32_t cursor = FIRST_USER_OID;
    bool has_index = false;
    for (struct catalog_object *part; (part = catalog_next(server->catalog, &cursor)) != NULL;) {
        if (part->index_of != old->oid)
            continue;
        if (part->kind == CATALOG_INDEX) {
            has_index |= part->sql != NULL;
            ARENA_PUSH(&job->arena, drop, drop_count, drop_cap, part->oid);
        } else if (part->kind == CATALOG_SEQUENCE || part->role != CATALOG_ROLE_NONE) {
            ARENA_PUSH(&job->arena, owned, owned_count, owned_cap, part);
        }
    }
    catalog_unlock(server->catalog);
    if (has_index) {
        catalog_object_release(fresh);
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "cannot alter \"%s\" while it has indexes of its own",
                  old->name);
        return error_hint(err, "Drop the indexes and create them again afterwards.");
    }
    bool is_fed = ddl_option(old, "connector") != NULL && server->sources != NULL;
    if (!allows_rebuild(old, err) || (is_fed && !sources_check(server, fresh, err))) {
        redact_error(fresh, err);
        catalog_object_release(fresh);
        return false;
    }
    batch.changed = ARENA_ARRAY(&job->arena, struct catalog_object *, owned_count);
    batch.changed_count = owned_count;
    for (uint32_t i = 0; i < owned_count; i++) {
        batch.changed[i] = catalog_object_clone(owned[i]);
        batch.changed[i]->index_of = fresh->oid;
    }
    bool locked = false;
    if (is_fed) {
        server->sources->source_drop(server, old);
        catalog_object_retain(fresh);
    }
    /* rows reach the log before the store knows the new OID: it must not be given again */
    bool ok =
        ddl_make_relation(server, fresh, &batch, err) && ddl_make_sequences(job, table, &batch, err) &&
        (server->store == NULL ||
         catalog_store_write(server->store, NULL, 0, NULL, 0, catalog_new_oid(server->catalog) + 1, err)) &&
        fill_new(job, old, fresh, &locked, err) && ddl_batch_publish(server, &batch, drop, drop_count, err);
    if (ok) {
        ddl_unmake(server, old);
    } else {
        ddl_batch_undo(server, &batch);
        for (uint32_t i = 0; i < owned_count; i++)
            catalog_object_release(batch.changed[i]);
    }
    if (locked)
        table_lock_give(server->locks, old->oid, TABLE_LOCK_UPSERT, 0);
    struct error other;
    if (is_fed && !ok && !server->sources->source_create(server, old, &other))
        log_write(LOG_ERROR, "source of \"%s\" could not be started again: %s", old->name, other.message);
    if (is_fed && ok)
        ok = server->sources->source_create(server, fresh, err);
    if (is_fed) {
        if (!ok)
            redact_error(fresh, err);
        catalog_object_release(fresh);
    }
    return ok;
}

/* ---- columns are added ---- */

/* The one value that rows from before have in a new column: *is_one = false when they have different ones, or it is not allowed.
 * Needs the read lock. */
static bool missing_value(struct ddl_job *job, const struct catalog_object *object, uint32_t at,
                          struct datum *value, bool *is_one, struct error *err)
{
    const struct catalog_column *column = &object->columns[at];
    struct expr *expr;
    *is_one = column->generated_sql == NULL && column->identity == 0;
    if (!*is_one)
        return true;
    if (!bind_column_default(&job->planner, object, at, &expr, err))
        return false;
    *is_one = !expr_is_volatile(expr);
    if (!*is_one)
        return true;
    if (!expr_eval_constant(expr, &job->session->env, &job->arena, value, err))
        return false;
    *is_one = !value->is_null || !column->not_null;
    return true;
}

/* Whether the columns behind those of `old` can be added while others read it; they are noted as such then, with their values
 * in *missing. Needs the read lock. */
static bool may_add_columns(struct ddl_job *job, const struct catalog_object *old, struct ddl_table *table,
                            const struct datum **missing, bool *may, struct error *err)
{
    struct catalog_object *object = table->object;
    uint32_t first = old->columns_count, count = object->columns_count - first;
    struct datum *values = ARENA_ARRAY(&job->arena, struct datum, count + 1);
    /* of a relation without columns all rows lie in one place */
    *may = first > 0 && table->sequences_count == 0 && object->constraints_count == old->constraints_count &&
           (ddl_option(old, "connector") == NULL || sources_has_parts(old));
    for (uint32_t i = 0; i < count && *may; i++)
        if (!missing_value(job, object, first + i, &values[i], may, err))
            return false;
    uint32_t since = *may && count > 0 ? catalog_new_oid(job->server->catalog) : 0;
    for (uint32_t i = 0; i < count && *may; i++) {
        struct catalog_column *column = &object->columns[first + i];
        column->since = since;
        if (values[i].is_null)
            continue;
        struct strbuf text = STRBUF_INIT;
        type_output(column->type.oid, &values[i], &io_env_default, &text);
        column->missing = arena_strdup(&object->arena, strbuf_text(&text));
        strbuf_release(&text);
    }
    object->sql = ddl_table_sql(&object->arena, job->server->catalog, object);
    *missing = values;
    return true;
}

/* Store before the relation has them: then the log never holds rows that are wider than the definition. */
static bool add_columns(struct ddl_job *job, const struct catalog_object *old, struct catalog_object *object,
                        const struct datum *missing, struct error *err)
{
    struct server *server = job->server;
    uint32_t first = old->columns_count, count = object->columns_count - first;
    struct sql_type *types = mem_alloc(sizeof(*types) * count);
    const char **names = mem_alloc(sizeof(*names) * count);
    for (uint32_t i = 0; i < count; i++) {
        types[i] = object->columns[first + i].type;
        names[i] = object->columns[first + i].name;
    }
    struct column_job *adding;
    bool ok = engine_prepare_columns(server->engine, object->relation, count, types, names, missing,
                                     &job->session->cancel, &adding, err);
    bool stored = ok && ddl_store(server, object, err);
    if (stored)
        engine_add_columns(adding);
    else if (ok)
        engine_forget_columns(adding);
    mem_free(types);
    mem_free(names);
    if (!stored)
        return false;
    catalog_write_lock(server->catalog);
    catalog_replace(server->catalog, object);
    catalog_unlock(server->catalog);
    return true;
}

/* The object is one whose rows are written anew: no column of it came later. Needs the read lock. */
static void forget_added(struct ddl_job *job, struct catalog_object *object)
{
    for (uint32_t i = 0; i < object->columns_count; i++) {
        object->columns[i].since = 0;
        object->columns[i].missing = NULL;
    }
    object->sql = ddl_table_sql(&object->arena, job->server->catalog, object);
}

/* The definition as an object; *adds: with columns for the same relation. Needs the read lock. */
static bool bind_altered(struct ddl_job *job, const struct catalog_object *old,
                         const struct definition *definition, struct ddl_table *table, bool *rows_stay,
                         bool *adds, const struct datum **missing, struct error *err)
{
    table->replaces = old;
    job->planner.sql = NULL; /* positions of two texts are mixed in the tree */
    bool ok =
        ddl_bind_table(&job->planner, &definition->statement, *rows_stay ? old->oid : 0, true, table, err);
    if (ok && *adds && *rows_stay) {
        ok = may_add_columns(job, old, table, missing, rows_stay, err);
        if (!ok || !*rows_stay) {
            catalog_object_release(table->object);
            *table = (struct ddl_table){.replaces = old};
        }
        if (ok && !*rows_stay)
            ok = ddl_bind_table(&job->planner, &definition->statement, 0, true, table, err);
    }
    if (ok && !*rows_stay)
        forget_added(job, table->object);
    return ok || error_at(err, 0);
}

/* ---- ALTER SINK ---- */

/* SET and RESET: the options of the clone without those named, then with those given. */
static bool change_sink_options(struct ddl_job *job, struct catalog_object *clone,
                                const PgQuery__AlterTableCmd *cmd, struct error *err)
{
    const PgQuery__List *list = cmd->def->list;
    struct catalog_option *given = NULL;
    uint32_t given_count = 0, kept = 0;
    bool sets = cmd->subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_SetRelOptions;
    if (sets && !ddl_options(&job->planner, list->n_items, list->items, NULL, &clone->arena, &given,
                             &given_count, err))
        return false;
    struct catalog_option *options =
        ARENA_ARRAY(&clone->arena, struct catalog_option, clone->options_count + given_count + 1);
    if (clone->options_count > 0)
        memcpy(options, clone->options, sizeof(*options) * clone->options_count);
    uint32_t count = clone->options_count;
    for (size_t i = 0; i < list->n_items; i++) {
        const PgQuery__DefElem *def = list->items[i]->def_elem;
        const char *why = sinks_why_fixed(clone, def->defname);
        if (why != NULL) {
            error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "option \"%s\" of sink \"%s\" cannot be changed",
                      def->defname, clone->name);
            error_detail(err, "%s", why);
            error_hint(err, "Drop the sink and create it again: its topic gets everything anew.");
            return error_at(err, planner_position(&job->planner, def->location));
        }
        kept = 0;
        for (uint32_t j = 0; j < count; j++)
            if (strcmp(options[j].name, def->defname) != 0)
                options[kept++] = options[j];
        count = kept;
    }
    for (uint32_t i = 0; i < given_count; i++)
        options[count++] = given[i];
    clone->options = options;
    clone->options_count = count;
    return true;
}

static bool alter_sink(struct ddl_job *job, const PgQuery__AlterTableStmt *node, struct error *err)
{
    struct server *server = job->server;
    struct catalog_object *object, *clone = NULL;
    snprintf(job->tag, 64, "ALTER SINK");
    catalog_read_lock(server->catalog);
    bool ok = find_altered(job, node->relation, node->missing_ok, &object, err);
    if (ok && object == NULL) {
        catalog_unlock(server->catalog);
        return true;
    }
    if (ok && object->kind != CATALOG_SINK)
        ok = error_set(err, ERRCODE_WRONG_OBJECT_TYPE, "\"%s\" is not a sink", object->name);
    if (ok)
        clone = catalog_object_clone(object);
    for (size_t i = 0; ok && i < node->n_cmds; i++) {
        const PgQuery__AlterTableCmd *cmd = node->cmds[i]->alter_table_cmd;
        bool is_known = (cmd->subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_SetRelOptions ||
                         cmd->subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_ResetRelOptions) &&
                        node_exists(cmd->def) && cmd->def->node_case == PG_QUERY__NODE__NODE_LIST;
        ok = is_known ? change_sink_options(job, clone, cmd, err)
                      : error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                                  "ALTER SINK can only SET and RESET options, and RENAME");
    }
    if (ok)
        clone->sql = ddl_sink_sql(&clone->arena, server->catalog, clone);
    catalog_unlock(server->catalog);
    ok = ok &&
         ((sinks_check(server, clone, err) && ddl_replace(server, clone, err)) || redact_error(clone, err));
    if (ok)
        return sink_goes_by(server, clone, true, err); /* under server->ddl: it stays */
    if (clone != NULL)
        catalog_object_release(clone);
    return false;
}

bool run_alter_table(struct ddl_job *job, const PgQuery__AlterTableStmt *node, struct error *err)
{
    if (job->prepared->statement->word == STATEMENT_WORD_SINK)
        return alter_sink(job, node, err);
    struct server *server = job->server;
    const struct session *session = job->session;
    struct catalog_object *old;
    struct definition definition;
    struct ddl_table table = {0};
    const struct datum *missing = NULL;
    bool rows_stay = true, adds = false, owner_only = node->n_cmds > 0;
    for (size_t i = 0; i < node->n_cmds; i++)
        owner_only &= node->cmds[i]->alter_table_cmd->subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_ChangeOwner;
    catalog_read_lock(server->catalog);
    bool ok = find_altered(job, node->relation, node->missing_ok, &old, err);
    if (ok && old == NULL) {
        catalog_unlock(server->catalog);
        return true;
    }
    if (ok && session->alters_oid != 0 && old->oid != session->alters_oid)
        ok = error_set(err, ERRCODE_UNDEFINED_TABLE, "relation \"%s\" is another one now", old->name);
    if (ok && !owner_only && old->kind != CATALOG_TABLE && old->kind != CATALOG_STREAM)
        ok = error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "ALTER of %s %s is not supported",
                       old->kind == CATALOG_EXTERNAL_TABLE ? "an" : "a", ddl_kind_word(old));
    if (ok && owner_only)
        ok = error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "OWNER TO is not supported");
    ok = ok && read_definition(job, old, &definition, err);
    for (size_t i = 0; i < node->n_cmds && ok; i++)
        ok = apply_command(job, &definition, node->cmds[i]->alter_table_cmd, old, &rows_stay, &adds, err);
    ok = ok && (rows_stay || refuse_dependents(job, old, err)); /* before what is wrong with the definition */
    if (ok) {
        bool stayed = rows_stay;
        ok = bind_altered(job, old, &definition, &table, &rows_stay, &adds, &missing, err);
        if (ok && stayed && !rows_stay && !refuse_dependents(job, old, err)) {
            catalog_object_release(table.object);
            ok = false;
        }
        if (ok) {
            for (uint32_t i = 0; i < table.object->columns_count; i++)
                for (uint32_t j = 0; j < old->columns_count; j++)
                    if (old->columns[j].comment != NULL &&
                        strcmp(table.object->columns[i].name, old->columns[j].name) == 0)
                        table.object->columns[i].comment =
                            arena_strdup(&table.object->arena, old->columns[j].comment);
            if (old->comment != NULL)
                table.object->comment = arena_strdup(&table.object->arena, old->comment);
        }
    }
    if (ok)
        catalog_object_retain(old);
    catalog_unlock(server->catalog);
    if (!ok)
        return false;
    if (rows_stay) {
        table.object->relation = old->relation;
        relation_retain(old->relation);
        bool is_fed = ddl_option(table.object, "connector") != NULL && server->sources != NULL;
        catalog_object_retain(table.object);
        ok = (!is_fed || sources_check(server, table.object, err)) &&
             (table.object->columns_count > old->columns_count
                  ? add_columns(job, old, table.object, missing, err)
                  : ddl_replace(server, table.object, err));
        if (ok && is_fed)
            ok = server->sources->source_alter(server, table.object, err);
        else if (!ok)
            catalog_object_release(table.object);
        if (!ok)
            redact_error(table.object, err);
        catalog_object_release(table.object);
    } else {
        ok = rebuild(job, old, &table, err);
    }
    catalog_object_release(old);
    return ok;
}

/* ---- COMMENT ---- */

bool run_comment(struct ddl_job *job, const PgQuery__CommentStmt *node, struct error *err)
{
    struct catalog *catalog = job->server->catalog;
    bool is_column = node->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN;
    bool is_relation = node->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_TABLE ||
                       node->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_VIEW ||
                       node->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW ||
                       node->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE ||
                       node->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_INDEX;
    if ((!is_column && !is_relation) || node->object->node_case != PG_QUERY__NODE__NODE_LIST)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "comments on objects of this kind are not supported");
    size_t parts = node->object->list->n_items;
    PgQuery__Node **items = node->object->list->items;
    const char *schema, *name, *column = NULL;
    if (is_column)
        column = node_string(items[--parts]);
    if (parts == 0 || !node_names_split(parts, items, &schema, &name))
        return error_set(err, ERRCODE_SYNTAX_ERROR, "improper qualified name (too many dotted names)");
    struct catalog_object *clone = NULL;
    catalog_read_lock(catalog);
    struct catalog_object *object = catalog_find(catalog, schema, name, job->session->info.search_path);
    bool ok =
        object != NULL || error_set(err, ERRCODE_UNDEFINED_TABLE, "relation \"%s\" does not exist", name);
    if (ok && (object->oid < FIRST_USER_OID || (object->kind == CATALOG_INDEX && object->sql == NULL)))
        ok = error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "comments on \"%s\" are not supported", name);
    if (ok && object->disabled != NULL)
        ok = error_set(err, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                       "\"%s\" is disabled: the server runs in safe mode", name);
    if (ok) {
        clone = catalog_object_clone(object);
        const char **to = &clone->comment;
        if (is_column) {
            to = NULL;
            for (uint32_t i = 0; i < clone->columns_count; i++)
                if (strcmp(clone->columns[i].name, column) == 0)
                    to = &clone->columns[i].comment;
        }
        if (to == NULL)
            ok = error_set(err, ERRCODE_UNDEFINED_COLUMN, "column \"%s\" of relation \"%s\" does not exist",
                           column, name);
        else
            *to = node->comment[0] != '\0' ? arena_strdup(&clone->arena, node->comment) : NULL;
    }
    catalog_unlock(catalog);
    ok = ok && ddl_replace(job->server, clone, err);
    if (!ok)
        catalog_object_release(clone);
    return ok;
}
