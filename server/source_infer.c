/* source_infer.c: see source_infer.h. The columns are written as text and parsed, so that they are what a user would have
 * written, and are kept so. */
#include "server/source_infer.h"

#include "planner/parse_tree.h"
#include "server/source_options.h"
#include "server/sources.h"

#include <string.h>

static bool is_metadata(const PgQuery__ColumnDef *column)
{
    for (size_t i = 0; i < column->n_fdwoptions; i++)
        if (strcmp(column->fdwoptions[i]->def_elem->defname, "metadata") == 0)
            return true;
    return false;
}

/* Does some column come from the record's value? *has_key: there is a primary key. */
static bool says_columns(const PgQuery__CreateStmt *create, bool *has_key)
{
    *has_key = false;
    for (size_t i = 0; i < create->n_table_elts; i++) {
        const PgQuery__Node *element = create->table_elts[i];
        if (element->node_case == PG_QUERY__NODE__NODE_CONSTRAINT)
            *has_key |= element->constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY;
        else if (element->node_case != PG_QUERY__NODE__NODE_COLUMN_DEF || !is_metadata(element->column_def))
            return true;
    }
    return false;
}

static bool add_columns(struct planner_context *ctx, struct statement *statement,
                        const struct format_column *columns, uint32_t count, bool adds_key, struct error *err)
{
    const PgQuery__CreateStmt *create = statement->node->create_stmt;
    struct statement inferred;
    struct strbuf text = STRBUF_INIT;
    strbuf_adds(&text, "CREATE TABLE inferred (");
    for (uint32_t i = 0; i < count; i++) {
        strbuf_adds(&text, i > 0 ? ", " : "");
        statement_quote_name(columns[i].name, &text);
        strbuf_addc(&text, ' ');
        type_format(columns[i].type.oid, columns[i].type.typmod, &text);
        if (columns[i].path != NULL) {
            strbuf_adds(&text, " OPTIONS (path ");
            statement_quote_text(columns[i].path, &text);
            strbuf_addc(&text, ')');
        }
        strbuf_adds(&text, columns[i].not_null ? " NOT NULL" : "");
    }
    bool any = false;
    for (uint32_t i = 0; i < count && adds_key; i++) {
        if (!columns[i].is_key)
            continue;
        strbuf_adds(&text, any ? ", " : ", PRIMARY KEY (");
        statement_quote_name(columns[i].name, &text);
        any = true;
    }
    strbuf_adds(&text, any ? "))" : ")");
    bool ok = statement_parse(ctx->arena, arena_strdup(ctx->arena, strbuf_text(&text)), &inferred, err);
    strbuf_release(&text);
    if (!ok)
        return false;
    PgQuery__Node *node = ARENA_NEW(ctx->arena, PgQuery__Node);
    PgQuery__CreateStmt *copy = ARENA_NEW(ctx->arena, PgQuery__CreateStmt);
    *node = *statement->node;
    *copy = *create;
    node->create_stmt = copy;
    const PgQuery__CreateStmt *more = inferred.node->create_stmt;
    copy->n_table_elts = more->n_table_elts + create->n_table_elts;
    copy->table_elts = ARENA_ARRAY(ctx->arena, PgQuery__Node *, copy->n_table_elts);
    for (size_t i = 0; i < more->n_table_elts; i++)
        copy->table_elts[i] = more->table_elts[i];
    for (size_t i = 0; i < create->n_table_elts; i++)
        copy->table_elts[more->n_table_elts + i] = create->table_elts[i];
    statement->node = node;
    return true;
}

bool source_infer_columns(struct planner_context *ctx, struct statement *statement, struct error *err)
{
    const PgQuery__CreateStmt *create = statement->node->create_stmt;
    struct catalog_object object = {.kind = CATALOG_STREAM, .name = create->relation->relname};
    const struct format_class *format;
    struct format_column *columns;
    uint32_t count;
    bool has_key;
    if (says_columns(create, &has_key))
        return true;
    if (!ddl_options(ctx, create->n_options, create->options, NULL, ctx->arena, &object.options,
                     &object.options_count, err))
        return false;
    if (!sources_has_parts(&object))
        return true;
    bool is_table = statement->word == STATEMENT_WORD_NONE && ddl_option(&object, "append_only") == NULL;
    struct format_spec spec = {
        .relation_name = object.name, .topic = ddl_option(&object, "topic"), .is_table = is_table};
    if (!source_options_format(&object, ctx->arena, &format, &spec.options, &spec.options_count, err))
        return false;
    if (format->infer == NULL) {
        error_set(err, ERRCODE_INVALID_TABLE_DEFINITION, "\"%s\" needs columns: format \"%s\" has no schema",
                  object.name, format->name);
        return false;
    }
    return format->infer(&spec, ctx->arena, &columns, &count, err) &&
           add_columns(ctx, statement, columns, count, is_table && !has_key, err);
}
