/* ddl_text.c: definitions as text, names that constraints get, WITH options. */
#include "planner/ddl.h"
#include "planner/ddl_time.h"
#include "planner/parse_tree.h"
#include "storage/base/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ---- */

const char *ddl_qualified(struct arena *arena, struct catalog *catalog, const struct catalog_object *object)
{
    struct strbuf out = STRBUF_INIT;
    const struct catalog_schema *schema = catalog_find_schema_oid(catalog, object->schema_oid);
    if (schema != NULL) {
        statement_quote_name(schema->name, &out);
        strbuf_addc(&out, '.');
    }
    statement_quote_name(object->name, &out);
    const char *text = arena_strndup(arena, out.data, out.len);
    strbuf_release(&out);
    return text;
}

bool ddl_name_taken(struct catalog *catalog, uint32_t schema_oid, const char *name)
{
    const struct catalog_schema *schema = catalog_find_schema_oid(catalog, schema_oid);
    return schema != NULL && (catalog_find(catalog, schema->name, name, NULL) != NULL ||
                              catalog_name_is_reserved(catalog, schema_oid, name));
}

/* Bytes of text to keep so that it has at most `most` and no cut character. */
static size_t cut(const char *text, size_t most)
{
    size_t len = strlen(text);
    if (len <= most)
        return len;
    while (most > 0 && ((unsigned char)text[most] & 0xC0) == 0x80)
        most--;
    return most;
}

const char *ddl_choose_name(struct arena *arena, const char *name1, const char *name2, const char *label,
                            bool (*taken)(void *ctx, const char *name), void *ctx)
{
    for (uint32_t number = 0;; number++) {
        const char *tail = number == 0 ? label : arena_printf(arena, "%s%u", label, number);
        size_t overhead = strlen(tail) + 1 + (name2 != NULL ? 1 : 0);
        size_t room = NAME_BYTES_MAX - overhead, len1 = strlen(name1),
               len2 = name2 != NULL ? strlen(name2) : 0;
        while (len1 + len2 > room) {
            if (len1 > len2)
                len1--;
            else
                len2--;
        }
        len1 = cut(name1, len1);
        if (name2 != NULL)
            len2 = cut(name2, len2);
        const char *name = name2 != NULL
                               ? arena_printf(arena, "%.*s_%.*s_%s", (int)len1, name1, (int)len2, name2, tail)
                               : arena_printf(arena, "%.*s_%s", (int)len1, name1, tail);
        if (!taken(ctx, name))
            return name;
    }
}

bool ddl_target_schema(struct planner_context *ctx, const PgQuery__RangeVar *name, uint32_t *schema_oid,
                       struct error *err)
{
    const struct catalog_schema *schema = NULL;
    if (name->schemaname[0] != '\0') {
        schema = catalog_find_schema(ctx->catalog, name->schemaname);
        if (schema == NULL) {
            error_set(err, ERRCODE_INVALID_SCHEMA_NAME, "schema \"%s\" does not exist", name->schemaname);
            return error_at(err, planner_position(ctx, name->location));
        }
    } else {
        static const char *const default_path[] = {"public", NULL};
        const char *const *path = ctx->env->session != NULL && ctx->env->session->search_path != NULL
                                      ? ctx->env->session->search_path
                                      : default_path;
        for (; *path != NULL && schema == NULL; path++)
            schema = catalog_find_schema(ctx->catalog, *path);
        if (schema == NULL)
            return error_set(err, ERRCODE_INVALID_SCHEMA_NAME, "no schema has been selected to create in");
    }
    if (schema->is_system)
        return error_set(err, ERRCODE_INSUFFICIENT_PRIVILEGE, "permission denied for schema %s",
                         schema->name);
    *schema_oid = schema->oid;
    return true;
}

/* ---- options ---- */

static uint32_t distance(const char *a, const char *b)
{
    uint32_t row[64];
    size_t la = strlen(a), lb = strlen(b);
    if (la >= 64 || lb >= 64)
        return UINT32_MAX;
    for (size_t j = 0; j <= lb; j++)
        row[j] = (uint32_t)j;
    for (size_t i = 1; i <= la; i++) {
        uint32_t diagonal = row[0];
        row[0] = (uint32_t)i;
        for (size_t j = 1; j <= lb; j++) {
            uint32_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            uint32_t gap = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = replaced < gap ? replaced : gap;
        }
    }
    return row[lb];
}

const char *ddl_nearest(const char *name, const char *const *known)
{
    const char *best = NULL;
    uint32_t least = (uint32_t)strlen(name) / 2 + 1;
    for (; *known != NULL; known++) {
        uint32_t d = distance(name, *known);
        if (d < least) {
            least = d;
            best = *known;
        }
    }
    return best;
}

/* SECRET name as statement_parse has left it; NULL: something else. */
static const char *secret_name(const PgQuery__TypeName *type)
{
    bool is_secret = type->n_names == 2 && strcmp(node_string(type->names[0]), STATEMENT_SECRET) == 0;
    return is_secret ? node_string(type->names[1]) : NULL;
}

static bool secret_value(struct planner_context *ctx, struct arena *arena, const PgQuery__DefElem *def,
                         struct catalog_option *out, struct error *err)
{
    /* what says which connector it is, and what is shown of it */
    static const char *const shown[] = {"connector", "format", "topic", "paused"};
    const char *name = secret_name(def->arg->type_name);
    for (size_t i = 0; i < ARRAY_COUNT(shown); i++)
        if (strcmp(def->defname, shown[i]) == 0)
            return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "option \"%s\" cannot be a secret",
                             shown[i]);
    const struct catalog_secret *secret = catalog_find_secret(ctx->catalog, name);
    if (secret == NULL)
        return error_set(err, ERRCODE_UNDEFINED_OBJECT, "secret \"%s\" does not exist", name);
    out->secret = arena_strdup(arena, name);
    out->value = arena_strdup(arena, secret->value);
    return true;
}

static bool option_text(struct planner_context *ctx, struct arena *arena, const PgQuery__DefElem *def,
                        struct catalog_option *out, struct error *err)
{
    const PgQuery__Node *arg = def->arg;
    if (!node_exists(arg)) {
        out->value = "true";
        return true;
    }
    switch (arg->node_case) {
    case PG_QUERY__NODE__NODE_STRING:
        out->value = arena_strdup(arena, arg->string->sval);
        return true;
    case PG_QUERY__NODE__NODE_INTEGER:
        out->value = arena_printf(arena, "%d", arg->integer->ival);
        return true;
    case PG_QUERY__NODE__NODE_FLOAT:
        out->value = arena_strdup(arena, arg->float_->fval);
        return true;
    case PG_QUERY__NODE__NODE_BOOLEAN:
        out->value = arg->boolean->boolval ? "true" : "false";
        return true;
    case PG_QUERY__NODE__NODE_TYPE_NAME:
        if (secret_name(arg->type_name) != NULL)
            return secret_value(ctx, arena, def, out, err);
        if (arg->type_name->n_names > 0) {
            out->value = arena_strdup(arena, node_string(arg->type_name->names[arg->type_name->n_names - 1]));
            return true;
        }
        break;
    default:
        break;
    }
    return error_set(err, ERRCODE_SYNTAX_ERROR, "option \"%s\" needs a simple value", def->defname);
}

bool ddl_options(struct planner_context *ctx, size_t count, PgQuery__Node **nodes, const char *const *known,
                 struct arena *arena, struct catalog_option **options, uint32_t *options_count,
                 struct error *err)
{
    uint32_t cap = 0;
    *options = NULL;
    *options_count = 0;
    for (size_t i = 0; i < count; i++) {
        const PgQuery__DefElem *def = nodes[i]->def_elem;
        struct catalog_option option = {.name = arena_strdup(arena, def->defname)};
        if (def->defnamespace[0] != '\0') {
            error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "unrecognized parameter namespace \"%s\"",
                      def->defnamespace);
            return error_at(err, planner_position(ctx, def->location));
        }
        for (uint32_t j = 0; j < *options_count; j++)
            if (strcmp((*options)[j].name, option.name) == 0) {
                error_set(err, ERRCODE_SYNTAX_ERROR, "parameter \"%s\" specified more than once",
                          option.name);
                return error_at(err, planner_position(ctx, def->location));
            }
        bool found = known == NULL;
        for (const char *const *name = known; !found && *name != NULL; name++)
            found = strcmp(*name, option.name) == 0;
        if (!found) {
            error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "unrecognized parameter \"%s\"", option.name);
            const char *near = ddl_nearest(option.name, known);
            if (near != NULL)
                error_hint(err, "Perhaps you meant \"%s\".", near);
            return error_at(err, planner_position(ctx, def->location));
        }
        if (!option_text(ctx, arena, def, &option, err))
            return error_at(err, planner_position(ctx, def->location));
        if (option.secret != NULL && known != NULL) {
            error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "parameter \"%s\" cannot be a secret",
                      option.name);
            return error_at(err, planner_position(ctx, def->location));
        }
        ARENA_PUSH(arena, *options, *options_count, cap, option);
    }
    return true;
}

const char *ddl_option(const struct catalog_object *object, const char *name)
{
    for (uint32_t i = 0; i < object->options_count; i++)
        if (strcmp(object->options[i].name, name) == 0)
            return object->options[i].value;
    return NULL;
}

void ddl_add_option(struct catalog_object *object, const char *name, const char *value)
{
    struct catalog_option *options =
        ARENA_ARRAY(&object->arena, struct catalog_option, object->options_count + 1);
    if (object->options_count > 0)
        memcpy(options, object->options, sizeof(*options) * object->options_count);
    options[object->options_count++] = (struct catalog_option){.name = name, .value = value};
    object->options = options;
}

bool ddl_bytes_option(const struct catalog_object *object, const char *name, int64_t *bytes,
                      struct error *err)
{
    const char *text = ddl_option(object, name);
    int64_t value = 0;
    if (text == NULL)
        return true;
    if (!bytes_parse(text, &value) || value <= 0) {
        error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                  "option \"%s\" of materialized view \"%s\" is not a size: \"%s\"", name, object->name,
                  text);
        return error_hint(err, "For example: %s = '1GB'.", name);
    }
    *bytes = value;
    return true;
}

/* ---- sequences ---- */

bool ddl_sequence_number(const PgQuery__DefElem *def, int64_t *out, struct error *err)
{
    if (node_exists(def->arg) && def->arg->node_case == PG_QUERY__NODE__NODE_INTEGER) {
        *out = def->arg->integer->ival;
        return true;
    }
    if (node_exists(def->arg) && def->arg->node_case == PG_QUERY__NODE__NODE_FLOAT) {
        char *end;
        *out = strtoll(def->arg->float_->fval, &end, 10);
        if (*end == '\0')
            return true;
    }
    return error_set(err, ERRCODE_SYNTAX_ERROR, "%s requires an integer value", def->defname);
}

bool ddl_sequence_options(struct planner_context *ctx, size_t count, PgQuery__Node **options,
                          uint32_t type_oid, struct catalog_object *object, struct error *err)
{
    bool has_start = false, has_min = false, has_max = false;
    int64_t cache;
    object->sequence_increment = 1;
    for (size_t i = 0; i < count; i++) {
        const PgQuery__DefElem *def = options[i]->def_elem;
        const char *name = def->defname;
        if (strcmp(name, "as") == 0) {
            struct sql_type type;
            if (!planner_type(ctx, def->arg->type_name, &type, err))
                return false;
            type_oid = type.oid;
            if (type_oid != OID_INT2 && type_oid != OID_INT4 && type_oid != OID_INT8)
                return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                                 "sequence type must be smallint, integer, or bigint");
        } else if (strcmp(name, "increment") == 0) {
            if (!ddl_sequence_number(def, &object->sequence_increment, err))
                return false;
            if (object->sequence_increment == 0)
                return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "INCREMENT must not be zero");
        } else if (strcmp(name, "start") == 0 || strcmp(name, "restart") == 0) {
            has_start = true;
            if (!ddl_sequence_number(def, &object->sequence_start, err))
                return false;
        } else if (strcmp(name, "minvalue") == 0) {
            has_min = node_exists(def->arg);
            if (has_min && !ddl_sequence_number(def, &object->sequence_min, err))
                return false;
        } else if (strcmp(name, "maxvalue") == 0) {
            has_max = node_exists(def->arg);
            if (has_max && !ddl_sequence_number(def, &object->sequence_max, err))
                return false;
        } else if (strcmp(name, "cycle") == 0) {
            object->sequence_cycle = !node_exists(def->arg) ||
                                     def->arg->node_case != PG_QUERY__NODE__NODE_BOOLEAN ||
                                     def->arg->boolean->boolval;
        } else if (strcmp(name, "cache") == 0) {
            if (!ddl_sequence_number(def, &cache, err))
                return false;
        } else if (strcmp(name, "owned_by") != 0 && strcmp(name, "sequence_name") != 0) {
            return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "sequence option \"%s\" is not supported",
                             name);
        }
    }
    int64_t top = type_oid == OID_INT2 ? INT16_MAX : type_oid == OID_INT4 ? INT32_MAX : INT64_MAX;
    bool up = object->sequence_increment > 0;
    if (!has_max)
        object->sequence_max = up ? top : -1;
    if (!has_min)
        object->sequence_min = up ? 1 : -top - 1;
    if (object->sequence_min >= object->sequence_max)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "MINVALUE (%lld) must be less than MAXVALUE (%lld)", (long long)object->sequence_min,
                         (long long)object->sequence_max);
    if (!has_start)
        object->sequence_start = up ? object->sequence_min : object->sequence_max;
    if (object->sequence_start < object->sequence_min)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "START value (%lld) cannot be less than MINVALUE (%lld)",
                         (long long)object->sequence_start, (long long)object->sequence_min);
    if (object->sequence_start > object->sequence_max)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                         "START value (%lld) cannot be greater than MAXVALUE (%lld)",
                         (long long)object->sequence_start, (long long)object->sequence_max);
    return true;
}

/* ---- definitions as text ---- */

static const char *finish(struct arena *arena, struct strbuf *out)
{
    const char *text = arena_strndup(arena, strbuf_text(out), out->len);
    strbuf_release(out);
    return text;
}

static void add_columns(struct strbuf *out, const struct catalog_object *object, const uint32_t *columns,
                        uint32_t count)
{
    strbuf_addc(out, '(');
    for (uint32_t i = 0; i < count; i++) {
        strbuf_adds(out, i > 0 ? ", " : "");
        statement_quote_name(object->columns[columns[i]].name, out);
    }
    strbuf_addc(out, ')');
}

static void add_options(struct strbuf *out, const struct catalog_object *object)
{
    for (uint32_t i = 0; i < object->options_count; i++) {
        strbuf_adds(out, i == 0 ? " WITH (" : ", ");
        statement_quote_name(object->options[i].name, out);
        strbuf_adds(out, " = ");
        if (object->options[i].secret != NULL) {
            strbuf_adds(out, "SECRET ");
            statement_quote_name(object->options[i].secret, out);
        } else {
            statement_quote_text(object->options[i].value, out);
        }
    }
    if (object->options_count > 0)
        strbuf_addc(out, ')');
}

static void add_column_options(struct strbuf *out, const struct catalog_column *column)
{
    char since[16];
    snprintf(since, sizeof(since), "%u", column->since);
    const struct catalog_option options[] = {{"metadata", column->metadata},
                                             {"path", column->path},
                                             {DDL_OPTION_ADDED, column->since != 0 ? since : NULL},
                                             {DDL_OPTION_MISSING, column->missing}};
    bool any = false;
    for (size_t i = 0; i < ARRAY_COUNT(options); i++) {
        if (options[i].value == NULL)
            continue;
        strbuf_addf(out, "%s%s ", any ? ", " : " OPTIONS (", options[i].name);
        statement_quote_text(options[i].value, out);
        any = true;
    }
    if (any)
        strbuf_addc(out, ')');
}

const char *ddl_table_sql(struct arena *arena, struct catalog *catalog, const struct catalog_object *object)
{
    struct strbuf out = STRBUF_INIT;
    strbuf_addf(&out, "CREATE %s %s (",
                object->kind == CATALOG_STREAM           ? "STREAM"
                : object->kind == CATALOG_EXTERNAL_TABLE ? "EXTERNAL TABLE"
                                                         : "TABLE",
                ddl_qualified(arena, catalog, object));
    for (uint32_t i = 0; i < object->columns_count; i++) {
        const struct catalog_column *column = &object->columns[i];
        strbuf_adds(&out, i > 0 ? ", " : "");
        statement_quote_name(column->name, &out);
        strbuf_addc(&out, ' ');
        type_format(column->type.oid, column->type.typmod, &out);
        add_column_options(&out, column);
        if (column->generated_sql != NULL)
            strbuf_addf(&out, " GENERATED ALWAYS AS (%s) STORED", column->generated_sql);
        else if (column->default_sql != NULL)
            strbuf_addf(&out, " DEFAULT (%s)", column->default_sql);
        if (column->identity != 0)
            strbuf_addf(&out, " GENERATED %s AS IDENTITY", column->identity == 'a' ? "ALWAYS" : "BY DEFAULT");
        if (column->not_null)
            strbuf_adds(&out, " NOT NULL");
    }
    for (uint32_t i = 0; i < object->constraints_count; i++) {
        const struct catalog_constraint *constraint = &object->constraints[i];
        strbuf_adds(&out, object->columns_count + i > 0 ? ", CONSTRAINT " : "CONSTRAINT ");
        statement_quote_name(constraint->name, &out);
        if (constraint->kind == CONSTRAINT_CHECK) {
            strbuf_addf(&out, " CHECK (%s)", constraint->check_sql);
        } else {
            strbuf_adds(&out, constraint->kind == CONSTRAINT_UNIQUE ? " UNIQUE " : " PRIMARY KEY ");
            add_columns(&out, object, constraint->columns, constraint->columns_count);
        }
    }
    if (object->watermark_column != NULL) {
        strbuf_adds(&out, ", WATERMARK FOR ");
        statement_quote_name(object->watermark_column, &out);
        strbuf_addf(&out, " AS %s", object->watermark_sql);
    }
    strbuf_addc(&out, ')');
    add_options(&out, object);
    return finish(arena, &out);
}

const char *ddl_index_sql(struct arena *arena, struct catalog *catalog, const struct catalog_object *index,
                          const struct catalog_object *table)
{
    struct strbuf out = STRBUF_INIT;
    if (table == NULL)
        table = catalog_find_oid(catalog, index->index_of);
    strbuf_addf(&out, "CREATE %sINDEX ", index->index_is_unique ? "UNIQUE " : "");
    statement_quote_name(index->name, &out);
    strbuf_addf(&out, " ON %s USING btree ", ddl_qualified(arena, catalog, table));
    add_columns(&out, table, index->index_columns, index->index_columns_count);
    return finish(arena, &out);
}

const char *ddl_sink_sql(struct arena *arena, struct catalog *catalog, const struct catalog_object *sink)
{
    struct strbuf out = STRBUF_INIT;
    strbuf_addf(&out, "CREATE SINK %s", ddl_qualified(arena, catalog, sink));
    add_options(&out, sink);
    strbuf_addf(&out, " AS %s", sink->query_sql);
    return finish(arena, &out);
}

const char *ddl_sequence_sql(struct arena *arena, struct catalog *catalog,
                             const struct catalog_object *sequence)
{
    struct strbuf out = STRBUF_INIT;
    strbuf_addf(&out, "CREATE SEQUENCE %s START WITH %lld INCREMENT BY %lld MINVALUE %lld MAXVALUE %lld%s",
                ddl_qualified(arena, catalog, sequence), (long long)sequence->sequence_start,
                (long long)sequence->sequence_increment, (long long)sequence->sequence_min,
                (long long)sequence->sequence_max, sequence->sequence_cycle ? " CYCLE" : "");
    return finish(arena, &out);
}

static const struct datum *missing_values(struct arena *arena, const struct catalog_object *object,
                                          uint32_t first)
{
    struct datum *values = ARENA_ARRAY(arena, struct datum, object->columns_count - first + 1);
    for (uint32_t i = first; i < object->columns_count; i++) {
        const struct catalog_column *column = &object->columns[i];
        struct error never; /* it was read when the definition was bound */
        values[i - first] = datum_null();
        if (column->missing != NULL)
            CHECK(type_input(column->type.oid, column->type.typmod, column->missing, strlen(column->missing),
                             &io_env_default, arena, &values[i - first], &never));
    }
    return values;
}

void ddl_relation_desc(struct arena *arena, struct catalog *catalog, const struct catalog_object *object,
                       struct relation_desc *out)
{
    const struct catalog_schema *schema = catalog_find_schema_oid(catalog, object->schema_oid);
    *out = (struct relation_desc){
        .oid = object->oid,
        .kind = object->kind == CATALOG_STREAM                                              ? RELATION_STREAM
                : object->kind == CATALOG_MATERIALIZED_VIEW || object->kind == CATALOG_SINK ? RELATION_VIEW
                                                                                            : RELATION_TABLE,
        .schema = schema != NULL ? schema->name : "public",
        .name = object->name,
        .columns_count = object->columns_count,
        .append_only = object->kind == CATALOG_STREAM,
    };
    struct stream_retention retention;
    struct error ignored;
    if (object->kind == CATALOG_STREAM && ddl_stream_retention(object, &retention, &ignored)) {
        out->no_retention = retention.none;
        out->retention_us = retention.us;
        out->retention_rows = retention.rows;
    }
    struct sql_type *types = ARENA_ARRAY(arena, struct sql_type, object->columns_count + CACHE_COLUMNS);
    const char **names = ARENA_ARRAY(arena, const char *, object->columns_count + CACHE_COLUMNS);
    for (uint32_t i = 0; i < object->columns_count; i++) {
        types[i] = object->columns[i].type;
        names[i] = object->columns[i].name;
    }
    out->base_count = object->columns_count;
    while (out->base_count > 0 && object->columns[out->base_count - 1].since != 0)
        out->base_count--;
    out->missing = missing_values(arena, object, out->base_count);
    if (object->kind == CATALOG_EXTERNAL_TABLE) {
        out->is_cache = true;
        out->base_count = 0; /* all: the cache's own come behind them */
        types[out->columns_count] = (struct sql_type){OID_BOOL, -1};
        names[out->columns_count++] = "found";
        types[out->columns_count] = (struct sql_type){OID_TIMESTAMPTZ, -1};
        names[out->columns_count++] = "expires";
    }
    out->types = types;
    out->column_names = names;
    struct unique_desc *uniques = NULL;
    uint32_t cap = 0;
    for (uint32_t i = 0; i < object->constraints_count; i++) {
        const struct catalog_constraint *constraint = &object->constraints[i];
        if (constraint->kind == CONSTRAINT_PRIMARY_KEY) {
            out->key_count = constraint->columns_count;
            out->key_columns = constraint->columns;
            out->key_name = constraint->name;
        } else if (constraint->kind == CONSTRAINT_UNIQUE) {
            struct unique_desc unique = {constraint->name, constraint->columns_count, constraint->columns};
            ARENA_PUSH(arena, uniques, out->unique_count, cap, unique);
        }
    }
    out->uniques = uniques;
}

uint32_t ddl_assign_oids(struct catalog *catalog, struct catalog_object *object, uint32_t oid)
{
    object->oid = oid != 0 ? oid : catalog_new_oid(catalog);
    uint32_t last = object->oid;
    for (uint32_t i = 0; i < object->constraints_count; i++) {
        object->constraints[i].oid = oid != 0 ? last + 1 : catalog_new_oid(catalog);
        last = object->constraints[i].oid;
        if (object->constraints[i].kind != CONSTRAINT_CHECK) {
            object->constraints[i].index_oid = oid != 0 ? last + 1 : catalog_new_oid(catalog);
            last = object->constraints[i].index_oid;
        }
    }
    catalog_reserve_oid(catalog, last);
    return last;
}

struct catalog_object *ddl_key_index(const struct catalog_object *table, uint32_t constraint_number)
{
    const struct catalog_constraint *constraint = &table->constraints[constraint_number];
    struct catalog_object *index = catalog_object_create();
    index->oid = constraint->index_oid;
    index->schema_oid = table->schema_oid;
    index->name = arena_strdup(&index->arena, constraint->name);
    index->kind = CATALOG_INDEX;
    index->index_of = table->oid;
    index->index_columns_count = constraint->columns_count;
    index->index_columns =
        arena_copy(&index->arena, constraint->columns, constraint->columns_count * sizeof(uint32_t));
    index->index_is_unique = true;
    index->index_is_primary = constraint->kind == CONSTRAINT_PRIMARY_KEY;
    index->columns_count = constraint->columns_count;
    index->columns = ARENA_ARRAY(&index->arena, struct catalog_column, constraint->columns_count);
    for (uint32_t i = 0; i < constraint->columns_count; i++) {
        const struct catalog_column *column = &table->columns[constraint->columns[i]];
        index->columns[i].name = arena_strdup(&index->arena, column->name);
        index->columns[i].type = column->type;
    }
    return index;
}
