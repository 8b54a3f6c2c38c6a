/* ddl.c: CREATE TABLE and CREATE STREAM from their tree to a catalog object; see ddl.h.
 *
 * Columns first, then the constraints of columns and table in the order written, then their names (as
 * PostgreSQL chooses them), and last the expressions, which may name any column: each is bound once here so
 * that a mistake shows at CREATE. */
#include "planner/ddl.h"
#include "planner/ddl_time.h"
#include "planner/parse_tree.h"

#include <stdlib.h>
#include <string.h>

struct table_builder {
    struct planner_context *ctx;
    struct catalog_object *object;
    struct arena *arena; /* the object's */
    struct ddl_table *out;
    bool stored;
    uint32_t columns_cap, constraints_cap;
};

static bool fail_at(struct table_builder *b, struct error *err, int32_t location)
{
    return error_at(err, planner_position(b->ctx, location));
}

static int32_t find_column(const struct catalog_object *object, const char *name)
{
    for (uint32_t i = 0; i < object->columns_count; i++)
        if (strcmp(object->columns[i].name, name) == 0)
            return (int32_t)i;
    return -1;
}

/* ---- constraints ---- */

static struct catalog_constraint *add_constraint(struct table_builder *b, enum constraint_kind kind,
                                                 const char *name)
{
    struct catalog_constraint constraint = {.kind = kind};
    if (name[0] != '\0')
        constraint.name = arena_strdup(b->arena, name);
    ARENA_PUSH(b->arena, b->object->constraints, b->object->constraints_count, b->constraints_cap,
               constraint);
    return &b->object->constraints[b->object->constraints_count - 1];
}

static bool refuse_constraint_extras(struct table_builder *b, const PgQuery__Constraint *node,
                                     struct error *err)
{
    if (node->deferrable || node->initdeferred) {
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "deferrable constraints are not supported");
        return fail_at(b, err, node->location);
    }
    if (node->n_including > 0 || node->nulls_not_distinct) {
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "%s is not supported",
                  node->n_including > 0 ? "INCLUDE" : "NULLS NOT DISTINCT");
        return fail_at(b, err, node->location);
    }
    return true;
}

/* PRIMARY KEY or UNIQUE; column >= 0: of that column alone. */
static bool add_key(struct table_builder *b, const PgQuery__Constraint *node, int32_t column,
                    struct error *err)
{
    bool is_primary = node->contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY;
    if (!refuse_constraint_extras(b, node, err))
        return false;
    if (b->object->kind == CATALOG_STREAM) {
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "a stream cannot have a %s constraint",
                  is_primary ? "PRIMARY KEY" : "UNIQUE");
        error_hint(err, "Streams are append-only; use CREATE TABLE for rows with keys.");
        return fail_at(b, err, node->location);
    }
    for (uint32_t i = 0; i < b->object->constraints_count && is_primary; i++)
        if (b->object->constraints[i].kind == CONSTRAINT_PRIMARY_KEY) {
            error_set(err, ERRCODE_INVALID_TABLE_DEFINITION,
                      "multiple primary keys for table \"%s\" are not allowed", b->object->name);
            return fail_at(b, err, node->location);
        }
    struct catalog_constraint *constraint =
        add_constraint(b, is_primary ? CONSTRAINT_PRIMARY_KEY : CONSTRAINT_UNIQUE, node->conname);
    uint32_t cap = 0;
    for (size_t i = 0; i < node->n_keys || column >= 0; i++) {
        int32_t key = column >= 0 ? column : find_column(b->object, node_string(node->keys[i]));
        if (key < 0) {
            error_set(err, ERRCODE_UNDEFINED_COLUMN, "column \"%s\" named in key does not exist",
                      node_string(node->keys[i]));
            return fail_at(b, err, node->location);
        }
        for (uint32_t j = 0; j < constraint->columns_count; j++)
            if (constraint->columns[j] == (uint32_t)key) {
                error_set(err, ERRCODE_DUPLICATE_COLUMN, "column \"%s\" appears twice in %s constraint",
                          b->object->columns[key].name, is_primary ? "primary key" : "unique");
                return fail_at(b, err, node->location);
            }
        uint32_t type = b->object->columns[key].type.oid;
        if (type == OID_JSON) {
            error_set(err, ERRCODE_UNDEFINED_OBJECT,
                      "data type json has no default operator class for access method \"btree\"");
            return fail_at(b, err, node->location);
        }
        if (is_primary)
            b->object->columns[key].not_null = true;
        ARENA_PUSH(b->arena, constraint->columns, constraint->columns_count, cap, (uint32_t)key);
        if (column >= 0)
            break;
    }
    return true;
}

static bool add_check(struct table_builder *b, const PgQuery__Constraint *node, struct error *err)
{
    struct catalog_constraint *constraint = add_constraint(b, CONSTRAINT_CHECK, node->conname);
    return statement_expression_text(b->arena, node->raw_expr, &constraint->check_sql, err);
}

static bool refuse_constraint(struct table_builder *b, const PgQuery__Constraint *node, struct error *err)
{
    if (node->contype == PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN) {
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "foreign keys are not supported");
        error_hint(err, "Leave REFERENCES out; a materialized view can list the rows that match nothing.");
    } else if (node->contype == PG_QUERY__CONSTR_TYPE__CONSTR_EXCLUSION) {
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "exclusion constraints are not supported");
    } else if (node->contype == PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_NOT_DEFERRABLE ||
               node->contype == PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_IMMEDIATE) {
        return true;
    } else {
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "deferrable constraints are not supported");
    }
    return fail_at(b, err, node->location);
}

static bool table_constraint(struct table_builder *b, const PgQuery__Constraint *node, struct error *err)
{
    switch (node->contype) {
    case PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY:
    case PG_QUERY__CONSTR_TYPE__CONSTR_UNIQUE:
        return add_key(b, node, -1, err);
    case PG_QUERY__CONSTR_TYPE__CONSTR_CHECK:
        return add_check(b, node, err);
    default:
        return refuse_constraint(b, node, err);
    }
}

/* ---- columns ---- */

static const struct {
    const char *name;
    uint32_t oid;
} serial_types[] = {{"smallserial", OID_INT2}, {"serial2", OID_INT2},   {"serial", OID_INT4},
                    {"serial4", OID_INT4},     {"bigserial", OID_INT8}, {"serial8", OID_INT8}};

static uint32_t serial_type(const PgQuery__TypeName *type)
{
    if (type->n_names != 1 || type->n_array_bounds > 0)
        return 0;
    for (size_t i = 0; i < ARRAY_COUNT(serial_types); i++)
        if (strcmp(serial_types[i].name, node_string(type->names[0])) == 0)
            return serial_types[i].oid;
    return 0;
}

struct name_check {
    struct table_builder *b;
};

/* Is there a relation of this name, other than what the table replaces? */
static bool exists(const struct table_builder *b, const char *name)
{
    const struct catalog_object *replaces = b->out->replaces;
    for (uint32_t i = 0; replaces != NULL && i < replaces->constraints_count; i++)
        if (strcmp(replaces->constraints[i].name, name) == 0)
            return false;
    return ddl_name_taken(b->ctx->catalog, b->object->schema_oid, name);
}

static bool relation_name_taken(void *ctx, const char *name)
{
    struct table_builder *b = ((struct name_check *)ctx)->b;
    if (strcmp(name, b->object->name) == 0 || exists(b, name))
        return true;
    for (uint32_t i = 0; i < b->object->constraints_count; i++)
        if (b->object->constraints[i].name != NULL && strcmp(b->object->constraints[i].name, name) == 0)
            return true;
    for (uint32_t i = 0; i < b->out->sequences_count; i++)
        if (strcmp(b->out->sequences[i].name, name) == 0)
            return true;
    return false;
}

static void add_sequence(struct table_builder *b, uint32_t column, uint32_t type_oid, size_t options_count,
                         PgQuery__Node **options)
{
    struct catalog_column *target = &b->object->columns[column];
    struct name_check check = {b};
    struct ddl_sequence sequence = {
        .name = ddl_choose_name(b->arena, b->object->name, target->name, "seq", relation_name_taken, &check),
        .column = column,
        .type_oid = type_oid,
        .options_count = options_count,
        .options = options,
    };
    ARENA_PUSH(b->arena, b->out->sequences, b->out->sequences_count, b->out->sequences_cap, sequence);
    struct catalog_object named = {.schema_oid = b->object->schema_oid, .name = sequence.name};
    struct strbuf text = STRBUF_INIT;
    strbuf_adds(&text, "nextval(");
    statement_quote_text(ddl_qualified(b->arena, b->ctx->catalog, &named), &text);
    strbuf_addc(&text, ')');
    target->default_sql = arena_strdup(b->arena, text.data);
    strbuf_release(&text);
    target->not_null = true;
}

static bool column_conflict(struct table_builder *b, const char *column, const char *what, int32_t location,
                            struct error *err)
{
    error_set(err, ERRCODE_SYNTAX_ERROR, "%s for column \"%s\" of table \"%s\"", what, column,
              b->object->name);
    return fail_at(b, err, location);
}

static bool column_constraints(struct table_builder *b, const PgQuery__ColumnDef *def, uint32_t at,
                               struct error *err)
{
    bool saw_null = false, saw_not_null = b->object->columns[at].not_null;
    for (size_t i = 0; i < def->n_constraints; i++) {
        const PgQuery__Constraint *node = def->constraints[i]->constraint;
        struct catalog_column *column = &b->object->columns[at];
        switch (node->contype) {
        case PG_QUERY__CONSTR_TYPE__CONSTR_NULL:
            saw_null = true;
            break;
        case PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL:
            saw_not_null = true;
            column->not_null = true;
            break;
        case PG_QUERY__CONSTR_TYPE__CONSTR_DEFAULT:
            if (column->default_sql != NULL)
                return column_conflict(b, column->name, "multiple default values specified", node->location,
                                       err);
            if (!statement_expression_text(b->arena, node->raw_expr, &column->default_sql, err))
                return false;
            break;
        case PG_QUERY__CONSTR_TYPE__CONSTR_GENERATED:
            if (column->generated_sql != NULL)
                return column_conflict(b, column->name, "multiple generation clauses specified",
                                       node->location, err);
            if (!statement_expression_text(b->arena, node->raw_expr, &column->generated_sql, err))
                return false;
            break;
        case PG_QUERY__CONSTR_TYPE__CONSTR_IDENTITY:
            if (column->identity != 0)
                return column_conflict(b, column->name, "multiple identity specifications", node->location,
                                       err);
            if (column->type.oid != OID_INT2 && column->type.oid != OID_INT4 &&
                column->type.oid != OID_INT8) {
                error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                          "identity column type must be smallint, integer, or bigint");
                return fail_at(b, err, node->location);
            }
            if (!b->stored && column->default_sql != NULL)
                return column_conflict(b, column->name, "both default and identity specified", node->location,
                                       err);
            column->identity = node->generated_when[0] == 'a' ? 'a' : 'd';
            column->not_null = saw_not_null = true;
            if (!b->stored)
                add_sequence(b, at, column->type.oid, node->n_options, node->options);
            break;
        case PG_QUERY__CONSTR_TYPE__CONSTR_CHECK:
            if (!add_check(b, node, err))
                return false;
            break;
        case PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY:
        case PG_QUERY__CONSTR_TYPE__CONSTR_UNIQUE:
            if (!add_key(b, node, (int32_t)at, err))
                return false;
            break;
        default:
            if (!refuse_constraint(b, node, err))
                return false;
        }
        column = &b->object->columns[at];
        if (saw_null && (saw_not_null || column->not_null))
            return column_conflict(b, column->name, "conflicting NULL/NOT NULL declarations", node->location,
                                   err);
        if (column->generated_sql != NULL && column->default_sql != NULL)
            return column_conflict(b, column->name, "both default and generation expression specified",
                                   node->location, err);
    }
    return true;
}

static bool is_system_column(const char *name)
{
    static const char *const names[] = {"tableoid", "cmax", "xmax", "cmin", "xmin", "ctid"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static bool add_column(struct table_builder *b, const char *name, struct sql_type type, int32_t location,
                       struct error *err)
{
    if (find_column(b->object, name) >= 0) {
        error_set(err, ERRCODE_DUPLICATE_COLUMN, "column \"%s\" specified more than once", name);
        return fail_at(b, err, location);
    }
    if (is_system_column(name)) {
        error_set(err, ERRCODE_DUPLICATE_COLUMN, "column name \"%s\" conflicts with a system column name",
                  name);
        return fail_at(b, err, location);
    }
    if (b->object->columns_count >= COLUMNS_MAX)
        return error_set(err, ERRCODE_TOO_MANY_COLUMNS, "tables can have at most %d columns", COLUMNS_MAX);
    const struct type_row *row = type_find(type.oid);
    if (row == NULL || type.oid == OID_RECORD || type.oid == OID_UNKNOWN || type.oid == OID_VOID ||
        type.oid == OID_ANY || type.oid == OID_ANYELEMENT || type.oid == OID_ANYARRAY) {
        error_set(err, ERRCODE_INVALID_TABLE_DEFINITION, "column \"%s\" has pseudo-type %s", name,
                  row != NULL ? row->sql_name : "unknown");
        return fail_at(b, err, location);
    }
    struct catalog_column column = {.name = arena_strdup(b->arena, name), .type = type};
    ARENA_PUSH(b->arena, b->object->columns, b->object->columns_count, b->columns_cap, column);
    return true;
}

bool ddl_is_added_option(const char *name)
{
    return strcmp(name, DDL_OPTION_ADDED) == 0 || strcmp(name, DDL_OPTION_MISSING) == 0;
}

static bool watermark_option(struct table_builder *b, const PgQuery__ColumnDef *def,
                             const PgQuery__DefElem *option, struct error *err)
{
    if (b->object->watermark_column != NULL) {
        error_set(err, ERRCODE_INVALID_TABLE_DEFINITION, "a relation can have only one watermark");
        return fail_at(b, err, option->location);
    }
    struct strbuf text = STRBUF_INIT;
    statement_quote_name(def->colname, &text);
    strbuf_adds(&text, " - INTERVAL ");
    statement_quote_text(node_string(option->arg), &text);
    b->object->watermark_column = arena_strdup(b->arena, def->colname);
    b->object->watermark_sql = arena_strdup(b->arena, text.data);
    strbuf_release(&text);
    return true;
}

/* Of columns that were added to a relation that others read; only the store says so. */
static bool added_option(struct table_builder *b, struct catalog_column *column,
                         const PgQuery__DefElem *option, struct error *err)
{
    struct datum ignored;
    const char *value = node_string(option->arg);
    if (strcmp(option->defname, DDL_OPTION_ADDED) == 0) {
        column->since = (uint32_t)strtoul(value, NULL, 10);
        return true;
    }
    column->missing = arena_strdup(b->arena, value);
    return type_input(column->type.oid, column->type.typmod, value, strlen(value), &io_env_default, b->arena,
                      &ignored, err);
}

static bool column_options(struct table_builder *b, const PgQuery__ColumnDef *def, uint32_t at,
                           struct error *err)
{
    struct catalog_column *column = &b->object->columns[at];
    for (size_t i = 0; i < def->n_fdwoptions; i++) {
        const PgQuery__DefElem *option = def->fdwoptions[i]->def_elem;
        bool is_metadata = strcmp(option->defname, "metadata") == 0;
        if (strcmp(option->defname, "watermark") == 0) {
            if (!watermark_option(b, def, option, err))
                return false;
            continue;
        }
        if (b->stored && ddl_is_added_option(option->defname)) {
            if (!added_option(b, column, option, err))
                return false;
            continue;
        }
        if (!is_metadata && strcmp(option->defname, "path") != 0) {
            error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "unrecognized column option \"%s\"",
                      option->defname);
            error_hint(err, "The options of a column are watermark, metadata and path.");
            return fail_at(b, err, option->location);
        }
        const char **to = is_metadata ? &column->metadata : &column->path;
        *to = arena_strdup(b->arena, node_string(option->arg));
        bool has_own_value = column->generated_sql != NULL || column->identity != 0 ||
                             (is_metadata && column->default_sql != NULL);
        if (ddl_option(b->object, "connector") == NULL) {
            error_set(err, ERRCODE_INVALID_TABLE_DEFINITION, "column option \"%s\" needs a connector",
                      option->defname);
            error_hint(err, "It says where in a connector's records the column is.");
        } else if (column->metadata != NULL && column->path != NULL) {
            error_set(err, ERRCODE_INVALID_TABLE_DEFINITION,
                      "column \"%s\" cannot have both options metadata and path", column->name);
        } else if (has_own_value) {
            error_set(err, ERRCODE_INVALID_TABLE_DEFINITION,
                      "column \"%s\" has a value of its own and cannot have option \"%s\"", column->name,
                      option->defname);
        } else {
            continue;
        }
        return fail_at(b, err, option->location);
    }
    return true;
}

static bool column_def(struct table_builder *b, const PgQuery__ColumnDef *def, struct error *err)
{
    uint32_t serial = def->type_name != NULL ? serial_type(def->type_name) : 0;
    struct sql_type type = {.oid = serial, .typmod = -1};
    if (def->type_name == NULL)
        return error_set(err, ERRCODE_SYNTAX_ERROR, "column \"%s\" needs a type", def->colname);
    if (serial == 0 && !planner_type(b->ctx, def->type_name, &type, err))
        return false;
    if (def->coll_clause != NULL) {
        const PgQuery__CollateClause *collate = def->coll_clause;
        const char *name =
            collate->n_collname > 0 ? node_string(collate->collname[collate->n_collname - 1]) : "";
        if (strcmp(name, "C") != 0 && strcmp(name, "POSIX") != 0 && strcmp(name, "default") != 0 &&
            strcmp(name, "ucs_basic") != 0) {
            error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "collation \"%s\" is not supported", name);
            error_hint(err, "Text is ordered by its bytes, as collation \"C\" does.");
            return fail_at(b, err, collate->location);
        }
    }
    if (!add_column(b, def->colname, type, def->location, err))
        return false;
    uint32_t at = b->object->columns_count - 1;
    if (serial != 0)
        add_sequence(b, at, serial, 0, NULL);
    return column_constraints(b, def, at, err) && column_options(b, def, at, err);
}

/* ---- LIKE ---- */

#define LIKE_COMMENTS    (1u << 0)
#define LIKE_CONSTRAINTS (1u << 2)
#define LIKE_DEFAULTS    (1u << 3)
#define LIKE_GENERATED   (1u << 4)
#define LIKE_IDENTITY    (1u << 5)
#define LIKE_INDEXES     (1u << 6)

static bool like_clause(struct table_builder *b, const PgQuery__TableLikeClause *like, struct error *err)
{
    struct catalog_object *source;
    if (!planner_relation(b->ctx, like->relation, &source, err))
        return false;
    uint32_t first = b->object->columns_count;
    for (uint32_t i = 0; i < source->columns_count; i++) {
        const struct catalog_column *from = &source->columns[i];
        if (!add_column(b, from->name, from->type, like->relation->location, err))
            return false;
        struct catalog_column *to = &b->object->columns[b->object->columns_count - 1];
        to->not_null = from->not_null;
        if ((like->options & LIKE_DEFAULTS) != 0 && from->default_sql != NULL && from->identity == 0)
            to->default_sql = arena_strdup(b->arena, from->default_sql);
        if ((like->options & LIKE_GENERATED) != 0 && from->generated_sql != NULL)
            to->generated_sql = arena_strdup(b->arena, from->generated_sql);
        if ((like->options & LIKE_COMMENTS) != 0 && from->comment != NULL)
            to->comment = arena_strdup(b->arena, from->comment);
        if ((like->options & LIKE_IDENTITY) != 0 && from->identity != 0) {
            to->identity = from->identity;
            add_sequence(b, b->object->columns_count - 1, from->type.oid, 0, NULL);
        }
    }
    for (uint32_t i = 0; i < source->constraints_count; i++) {
        const struct catalog_constraint *from = &source->constraints[i];
        bool is_check = from->kind == CONSTRAINT_CHECK;
        if ((like->options & (is_check ? LIKE_CONSTRAINTS : LIKE_INDEXES)) == 0)
            continue;
        /* keys are named anew, checks keep their names */
        struct catalog_constraint *to = add_constraint(b, from->kind, is_check ? from->name : "");
        if (is_check) {
            to->check_sql = arena_strdup(b->arena, from->check_sql);
            continue;
        }
        to->columns_count = from->columns_count;
        to->columns = ARENA_ARRAY(b->arena, uint32_t, from->columns_count);
        for (uint32_t j = 0; j < from->columns_count; j++) {
            to->columns[j] = first + from->columns[j];
            if (from->kind == CONSTRAINT_PRIMARY_KEY)
                b->object->columns[to->columns[j]].not_null = true;
        }
    }
    return true;
}

/* ---- expressions ---- */

static bool bind_text(struct table_builder *b, const char *sql, bool with_row, struct sql_type target,
                      const char *what, struct expr **out, struct error *err)
{
    PgQuery__Node *node;
    if (!statement_parse_expression(b->ctx->arena, sql, &node, err))
        return false;
    struct scope_relation self = {.alias = b->object->name, .object = b->object};
    const char *outer_sql = b->ctx->sql;
    b->ctx->sql = ""; /* locations refer to the stored text, not to the statement */
    bool ok = planner_expression(b->ctx, node, &self, with_row ? 1 : 0, target, what, out, err);
    b->ctx->sql = outer_sql;
    if (!ok)
        error_at(err, 0);
    return ok;
}

struct column_use {
    uint32_t column;
    uint32_t distinct;
    const struct catalog_object *object;
    bool generated;
};

static bool note_column(void *ctx, const struct expr *node)
{
    struct column_use *use = ctx;
    if (node->kind != EXPR_COLUMN)
        return true;
    if (use->distinct == 0 || node->index != use->column)
        use->distinct++;
    use->column = node->index;
    use->generated |= use->object->columns[node->index].generated_sql != NULL;
    return true;
}

static bool bind_columns(struct table_builder *b, struct error *err)
{
    for (uint32_t i = 0; i < b->object->columns_count; i++) {
        struct catalog_column *column = &b->object->columns[i];
        struct expr *expr, *assigned;
        struct sql_type any = {.oid = 0, .typmod = -1};
        if (column->generated_sql != NULL) {
            if (!bind_text(b, column->generated_sql, true, any, "column generation expressions", &expr,
                           err) ||
                !planner_assign(b->ctx, expr, column->type, column->name, &assigned, err))
                return false;
            struct column_use use = {.object = b->object};
            expr_walk(expr, note_column, &use);
            if (use.generated) {
                error_set(err, ERRCODE_INVALID_OBJECT_DEFINITION,
                          "cannot use generated column \"%s\" in column generation expression",
                          b->object->columns[use.column].name);
                return error_detail(err, "A generated column cannot reference another generated column.");
            }
            if (!expr_is_immutable(expr))
                return error_set(err, ERRCODE_INVALID_TABLE_DEFINITION,
                                 "generation expression is not immutable");
        } else if (column->default_sql != NULL && strncmp(column->default_sql, "nextval(", 8) != 0) {
            if (!bind_text(b, column->default_sql, false, column->type, "DEFAULT expressions", &expr, err))
                return false;
        }
    }
    return true;
}

static bool constraint_name_taken(void *ctx, const char *name)
{
    return relation_name_taken(ctx, name);
}

static bool check_name_taken(void *ctx, const char *name)
{
    struct table_builder *b = ((struct name_check *)ctx)->b;
    for (uint32_t i = 0; i < b->object->constraints_count; i++)
        if (b->object->constraints[i].name != NULL && strcmp(b->object->constraints[i].name, name) == 0)
            return true;
    return false;
}

/* Binds the checks and gives every constraint without a name one. */
static bool bind_constraints(struct table_builder *b, struct error *err)
{
    struct name_check check = {b};
    struct catalog_object *object = b->object;
    for (uint32_t i = 0; i < object->constraints_count; i++) {
        struct catalog_constraint *constraint = &object->constraints[i];
        for (uint32_t j = 0; j < i && constraint->name != NULL; j++)
            if (object->constraints[j].name != NULL &&
                strcmp(object->constraints[j].name, constraint->name) == 0)
                return error_set(err, ERRCODE_DUPLICATE_OBJECT,
                                 "constraint \"%s\" for relation \"%s\" already exists", constraint->name,
                                 object->name);
        if (constraint->name != NULL && constraint->kind != CONSTRAINT_CHECK &&
            (exists(b, constraint->name) || strcmp(constraint->name, object->name) == 0))
            return error_set(err, ERRCODE_DUPLICATE_TABLE, "relation \"%s\" already exists",
                             constraint->name);
        if (constraint->kind == CONSTRAINT_PRIMARY_KEY && constraint->name == NULL) {
            constraint->name =
                ddl_choose_name(b->arena, object->name, NULL, "pkey", constraint_name_taken, &check);
        } else if (constraint->kind == CONSTRAINT_UNIQUE && constraint->name == NULL) {
            struct strbuf columns = STRBUF_INIT;
            for (uint32_t j = 0; j < constraint->columns_count; j++)
                strbuf_addf(&columns, "%s%s", j > 0 ? "_" : "", object->columns[constraint->columns[j]].name);
            constraint->name = ddl_choose_name(b->arena, object->name, arena_strdup(b->arena, columns.data),
                                               "key", constraint_name_taken, &check);
            strbuf_release(&columns);
        } else if (constraint->kind == CONSTRAINT_CHECK) {
            struct expr *expr;
            struct sql_type boolean = {.oid = OID_BOOL, .typmod = -1};
            if (!bind_text(b, constraint->check_sql, true, boolean, "check constraints", &expr, err))
                return false;
            struct column_use use = {.object = object};
            expr_walk(expr, note_column, &use);
            if (constraint->name == NULL)
                constraint->name = ddl_choose_name(
                    b->arena, object->name, use.distinct == 1 ? object->columns[use.column].name : NULL,
                    "check", check_name_taken, &check);
        }
    }
    return true;
}

static bool bind_watermark(struct table_builder *b, const struct watermark_clause *clause, struct error *err)
{
    struct catalog_object *object = b->object;
    if (clause != NULL) {
        if (object->watermark_column != NULL)
            return error_set(err, ERRCODE_INVALID_TABLE_DEFINITION, "a relation can have only one watermark");
        object->watermark_column = arena_strdup(b->arena, clause->column);
        object->watermark_sql = arena_strdup(b->arena, clause->sql);
    }
    if (object->watermark_column == NULL)
        return true;
    int32_t location = clause != NULL ? clause->location : -1;
    int32_t at = find_column(object, object->watermark_column);
    if (at < 0) {
        error_set(err, ERRCODE_UNDEFINED_COLUMN, "column \"%s\" does not exist", object->watermark_column);
        return fail_at(b, err, location);
    }
    uint32_t type = object->columns[at].type.oid;
    if (type != OID_TIMESTAMP && type != OID_TIMESTAMPTZ) {
        error_set(err, ERRCODE_DATATYPE_MISMATCH, "column \"%s\" of a watermark must be a timestamp",
                  object->watermark_column);
        return fail_at(b, err, location);
    }
    struct expr *expr;
    struct sql_type any = {.oid = 0, .typmod = -1};
    if (!bind_text(b, object->watermark_sql, true, any, "watermarks", &expr, err))
        return fail_at(b, err, location);
    struct column_use use = {.object = object};
    expr_walk(expr, note_column, &use);
    if (expr->type.oid != type || use.distinct != 1 || use.column != (uint32_t)at || expr_is_volatile(expr)) {
        error_set(err, ERRCODE_INVALID_TABLE_DEFINITION,
                  "the watermark of column \"%s\" must be computed from that column alone and have its type",
                  object->watermark_column);
        error_hint(err, "For example: WATERMARK FOR %s AS %s - INTERVAL '5 seconds'",
                   object->watermark_column, object->watermark_column);
        return fail_at(b, err, location);
    }
    /* what a store holds from before this was refused goes on, in UTC */
    if (!b->stored && !ddl_check_watermark_zone(object, expr, err))
        return fail_at(b, err, location);
    return true;
}

/* ---- the statement ---- */

static bool refuse_table_extras(struct table_builder *b, const PgQuery__CreateStmt *node, struct error *err)
{
    const char *what = NULL, *hint = NULL;
    if (node->relation->relpersistence[0] == 't') {
        what = "temporary tables are not supported";
        hint = "Use an ordinary table and drop it, or WITH in the query.";
    } else if (node->n_inh_relations > 0 && node->partbound == NULL) {
        what = "table inheritance is not supported";
    } else if (node->partspec != NULL || node->partbound != NULL) {
        what = "partitioned tables are not supported";
        hint = "Tables are sharded by their key without being told.";
    } else if (node->of_typename != NULL) {
        what = "typed tables are not supported";
    } else if (node->tablespacename[0] != '\0') {
        what = "tablespaces are not supported";
    } else if (node->access_method[0] != '\0' && strcmp(node->access_method, "heap") != 0) {
        what = "table access methods are not supported";
    } else if (node->relation->catalogname[0] != '\0' && b->ctx->env->session != NULL &&
               strcmp(node->relation->catalogname, b->ctx->env->session->database) != 0) {
        what = "cross-database references are not implemented";
    }
    if (what == NULL)
        return true;
    error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "%s", what);
    return hint != NULL ? error_hint(err, "%s", hint) : false;
}

/* retention = '0' keeps no rows, 'forever' all of them, an interval those that came since; a CREATE SOURCE that says nothing keeps none, and is
 * written down with the option, so that its text means the same for ever. */
static bool retention_option(struct table_builder *b, const struct statement *statement, struct error *err)
{
    struct catalog_object *object = b->object;
    struct stream_retention ignored;
    if (ddl_option(object, "retention") == NULL && ddl_option(object, "retention_rows") == NULL &&
        statement->word == STATEMENT_WORD_SOURCE && !b->stored) {
        struct catalog_option *options =
            ARENA_ARRAY(b->arena, struct catalog_option, object->options_count + 1);
        memcpy(options, object->options, sizeof(*options) * object->options_count);
        options[object->options_count++] = (struct catalog_option){"retention", "0"};
        object->options = options;
        return true;
    }
    return ddl_stream_retention(object, &ignored, err);
}

static bool table_options(struct table_builder *b, const PgQuery__CreateStmt *node,
                          const struct statement *statement, struct error *err)
{
    static const char *const known[] = {
        "append_only", "connector",  "retention",           "paused", "fillfactor", "idle_timeout",
        "on_idle",     "max_future", "watermark_partition", "align",  "max_skew",   "retention_rows",
        NULL};
    bool has_connector = false;
    for (size_t i = 0; i < node->n_options; i++)
        has_connector |= strcmp(node->options[i]->def_elem->defname, "connector") == 0;
    /* the options of a connector are known to the connector alone */
    if (!ddl_options(b->ctx, node->n_options, node->options, has_connector ? NULL : known, b->arena,
                     &b->object->options, &b->object->options_count, err))
        return false;
    if (statement->word == STATEMENT_WORD_EXTERNAL) {
        b->object->kind = CATALOG_EXTERNAL_TABLE;
        if (has_connector)
            return true;
        error_set(err, ERRCODE_INVALID_TABLE_DEFINITION,
                  "CREATE EXTERNAL TABLE needs WITH (connector = ...)");
        return error_hint(err, "It names the kind of database that has the rows: 'postgres' or 'redis'.");
    }
    const char *append_only = ddl_option(b->object, "append_only");
    if (append_only != NULL && strcmp(append_only, "true") != 0 && strcmp(append_only, "false") != 0)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "parameter \"append_only\" requires a Boolean value");
    bool is_append_only = append_only != NULL && strcmp(append_only, "true") == 0;
    if (append_only != NULL && !is_append_only && statement->word != STATEMENT_WORD_NONE)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "a stream is append-only");
    if (statement->word == STATEMENT_WORD_SOURCE && !has_connector) {
        error_set(err, ERRCODE_INVALID_TABLE_DEFINITION, "CREATE SOURCE needs WITH (connector = ...)");
        return error_hint(err, "Use CREATE STREAM for rows that clients insert.");
    }
    b->object->kind =
        statement->word != STATEMENT_WORD_NONE || is_append_only ? CATALOG_STREAM : CATALOG_TABLE;
    if (!has_connector && ddl_option(b->object, "paused") != NULL)
        return error_set(err, ERRCODE_INVALID_TABLE_DEFINITION, "option \"paused\" needs a connector");
    return retention_option(b, statement, err);
}

/* A key and columns is all that an external table has. */
static bool check_external(struct table_builder *b, struct error *err)
{
    const struct catalog_object *object = b->object;
    const char *what = object->watermark_column != NULL ? "a watermark" : NULL;
    bool has_key = false;
    for (uint32_t i = 0; i < object->constraints_count; i++) {
        if (object->constraints[i].kind == CONSTRAINT_PRIMARY_KEY)
            has_key = true;
        else
            what = object->constraints[i].kind == CONSTRAINT_UNIQUE ? "a UNIQUE constraint"
                                                                    : "a CHECK constraint";
    }
    for (uint32_t i = 0; i < object->columns_count; i++)
        if (object->columns[i].default_sql != NULL || object->columns[i].generated_sql != NULL)
            what = "columns with values of their own";
    if (what != NULL)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "external table \"%s\" cannot have %s",
                         object->name, what);
    if (has_key)
        return true;
    error_set(err, ERRCODE_INVALID_TABLE_DEFINITION, "external table \"%s\" needs a primary key",
              object->name);
    return error_hint(err, "Rows are looked up by it.");
}

static bool build_table(struct table_builder *b, const struct statement *statement, struct error *err)
{
    const PgQuery__CreateStmt *node = statement->node->create_stmt;
    if (!refuse_table_extras(b, node, err) ||
        !ddl_target_schema(b->ctx, node->relation, &b->object->schema_oid, err))
        return false;
    b->object->name = arena_strdup(b->arena, node->relation->relname);
    if (!table_options(b, node, statement, err))
        return false;
    for (size_t i = 0; i < node->n_table_elts; i++) {
        const PgQuery__Node *element = node->table_elts[i];
        bool ok = true;
        if (element->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF)
            ok = column_def(b, element->column_def, err);
        else if (element->node_case == PG_QUERY__NODE__NODE_TABLE_LIKE_CLAUSE)
            ok = like_clause(b, element->table_like_clause, err);
        if (!ok)
            return false;
    }
    for (size_t i = 0; i < node->n_table_elts; i++) {
        const PgQuery__Node *element = node->table_elts[i];
        if (element->node_case == PG_QUERY__NODE__NODE_CONSTRAINT &&
            !table_constraint(b, element->constraint, err))
            return false;
    }
    for (size_t i = 0; i < node->n_constraints; i++)
        if (!table_constraint(b, node->constraints[i]->constraint, err))
            return false;
    return bind_columns(b, err) && bind_constraints(b, err) && bind_watermark(b, statement->watermark, err) &&
           (b->object->kind == CATALOG_EXTERNAL_TABLE ? check_external(b, err)
                                                      : ddl_check_stream_time(b->object, err));
}

bool ddl_bind_table(struct planner_context *ctx, const struct statement *statement, uint32_t oid, bool stored,
                    struct ddl_table *out, struct error *err)
{
    *out = (struct ddl_table){.replaces = out->replaces, .object = catalog_object_create()};
    struct table_builder b = {
        .ctx = ctx, .object = out->object, .arena = &out->object->arena, .out = out, .stored = stored};
    if (!build_table(&b, statement, err)) {
        catalog_object_release(out->object);
        out->object = NULL;
        return false;
    }
    ddl_assign_oids(ctx->catalog, out->object, oid);
    out->object->sql = ddl_table_sql(b.arena, ctx->catalog, out->object);
    return true;
}

bool ddl_result_columns(struct planner_context *ctx, const struct plan *plan, size_t names_count,
                        PgQuery__Node **names, struct catalog_object *object, struct error *err)
{
    struct ddl_table unused = {0};
    struct table_builder b = {.ctx = ctx, .object = object, .arena = &object->arena, .out = &unused};
    if (names_count > plan->columns_count)
        return error_set(err, ERRCODE_SYNTAX_ERROR,
                         object->kind == CATALOG_VIEW ? "CREATE VIEW specifies more column names than columns"
                                                      : "too many column names were specified");
    for (uint32_t i = 0; i < plan->columns_count; i++) {
        const char *name = i < names_count ? node_string(names[i]) : plan->names[i];
        struct sql_type type = plan->types[i];
        if (type.oid == OID_UNKNOWN)
            type.oid = OID_TEXT;
        if (!add_column(&b, name, type, -1, err))
            return false;
    }
    return true;
}
