/* infer_columns.c: see infer_columns.h. The columns become text in the statement, which is then parsed as if the user had written
 * them: what is stored has them all, and no schema is asked again. */
#include "server/infer_columns.h"

#include "planner/parse_tree.h"
#include "server/source_options.h"
#include "storage/data/text_check.h"

#include <string.h>

static bool is_listed(const PgQuery__CreateStmt *node, const char *name)
{
    for (size_t i = 0; i < node->n_table_elts; i++) {
        const PgQuery__Node *element = node->table_elts[i];
        if (element->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF &&
            strcmp(element->column_def->colname, name) == 0)
            return true;
    }
    return false;
}

/* Does the statement name a primary key itself? */
static bool has_key(const PgQuery__CreateStmt *node)
{
    for (size_t i = 0; i < node->n_table_elts; i++) {
        const PgQuery__Node *element = node->table_elts[i];
        if (element->node_case == PG_QUERY__NODE__NODE_CONSTRAINT &&
            element->constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY)
            return true;
        for (size_t k = 0;
             element->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF && k < element->column_def->n_constraints;
             k++) {
            const PgQuery__Node *constraint = element->column_def->constraints[k];
            if (constraint->node_case == PG_QUERY__NODE__NODE_CONSTRAINT &&
                constraint->constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY)
                return true;
        }
    }
    return false;
}

void infer_write_column(const struct format_column *column, struct strbuf *out)
{
    size_t len = strlen(column->name), kept = text_clip(column->name, len, NAME_BYTES_MAX);
    struct strbuf name = STRBUF_INIT;
    strbuf_add(&name, column->name, kept);
    statement_quote_name(strbuf_text(&name), out);
    strbuf_addc(out, ' ');
    type_format(column->type.oid, column->type.typmod, out);
    const char *path = column->path;
    if (path == NULL && kept < len) {
        strbuf_reset(&name);
        strbuf_addc(&name, '"');
        for (const char *at = column->name; *at != '\0'; at++)
            strbuf_add(&name, *at == '"' ? "\"\"" : at, *at == '"' ? 2 : 1);
        strbuf_addc(&name, '"');
        path = strbuf_text(&name);
    }
    if (path != NULL) {
        strbuf_adds(out, " OPTIONS (path ");
        statement_quote_text(path, out);
        strbuf_addc(out, ')');
    }
    strbuf_release(&name);
}

/* The columns that the list does not have, and the key when it has none. */
static void write_columns(const PgQuery__CreateStmt *node, bool is_table, const struct format_column *columns,
                          uint32_t count, struct strbuf *out)
{
    struct strbuf key = STRBUF_INIT;
    for (uint32_t i = 0; i < count; i++) {
        if (columns[i].is_key) {
            strbuf_adds(&key, key.len > 0 ? ", " : "");
            statement_quote_name(columns[i].name, &key);
        }
        if (is_listed(node, columns[i].name))
            continue;
        strbuf_adds(out, out->len > 0 ? ", " : "");
        infer_write_column(&columns[i], out);
    }
    if (is_table && key.len > 0 && !has_key(node))
        strbuf_addf(out, "%sPRIMARY KEY (%s)", out->len > 0 ? ", " : "", strbuf_text(&key));
    strbuf_release(&key);
}

/* Asks the format. object: borrows nothing from the catalog, and has only the options. */
static bool ask(struct ddl_job *job, struct catalog_object *object, bool is_table, struct format_column **out,
                uint32_t *count, struct error *err)
{
    const struct format_class *format;
    struct format_spec spec = {
        .relation_name = object->name, .topic = ddl_option(object, "topic"), .is_table = is_table};
    if (ddl_option(object, "connector") == NULL || ddl_option(object, "format") == NULL)
        return error_set(err, ERRCODE_SYNTAX_ERROR,
                         "\"%s\" has no list of columns, and no format that could tell them", object->name);
    if (!source_options_format(object, &job->arena, &format, &spec.options, &spec.options_count, err))
        return false;
    if (format->infer == NULL)
        return error_set(err, ERRCODE_SYNTAX_ERROR,
                         "\"%s\" has no list of columns, and format %s does not tell them", object->name,
                         format->name);
    return format->infer(&spec, &job->arena, out, count, err);
}

bool infer_columns(struct ddl_job *job, const struct statement *statement, const struct statement **out,
                   struct error *err)
{
    const struct columns_clause *clause = statement->columns;
    *out = statement;
    if (clause == NULL || statement->node->node_case != PG_QUERY__NODE__NODE_CREATE_STMT)
        return true;
    const PgQuery__CreateStmt *node = statement->node->create_stmt;
    bool is_table = statement->word == STATEMENT_WORD_NONE;
    struct catalog_object *object = catalog_object_create();
    object->name = arena_strdup(&object->arena, node->relation->relname);
    catalog_read_lock(job->server->catalog);
    bool ok = ddl_options(&job->planner, node->n_options, node->options, NULL, &object->arena,
                          &object->options, &object->options_count, err);
    catalog_unlock(job->server->catalog);
    bool is_plain = ok && ddl_option(object, "connector") == NULL && !clause->has_no_list &&
                    !clause->has_more &&
                    clause->len == 0; /* a table without columns is one in PostgreSQL too */
    if (!ok || is_plain) {
        catalog_object_release(object);
        return ok;
    }
    struct format_column *columns = NULL;
    uint32_t count = 0;
    ok = ask(job, object, is_table, &columns, &count, err);
    if (ok) {
        struct strbuf list = STRBUF_INIT;
        write_columns(node, is_table, columns, count, &list);
        const char *sql = statement->sql;
        const char *whole =
            arena_printf(&job->arena, "%.*s%s%s%s%s%s", (int)clause->at, sql, clause->has_no_list ? "(" : "",
                         strbuf_text(&list), clause->has_more && list.len > 0 ? "," : "",
                         clause->has_no_list ? ") " : "", sql + clause->at + clause->len);
        strbuf_release(&list);
        struct statement *made = ARENA_NEW(&job->arena, struct statement);
        ok = statement_parse(&job->arena, whole, made, err);
        *out = made;
        if (!ok)
            error_at(err, 0); /* it counts in a text that the user has not seen */
    }
    catalog_object_release(object);
    return ok;
}
