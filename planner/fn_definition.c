/* fn_definition.c: objects written back as SQL: pg_get_indexdef() and its family, and the defaults and
 * functions that catalogs hold as expressions (PostgreSQL manual 9.26.4). */
#define _GNU_SOURCE
#include "executor/functions/quote.h"
#include "planner/fn_catalog_internal.h"
#include "planner/routines.h"
#include "planner/statement.h"

#include <stdlib.h>

static void add_quoted(struct strbuf *out, const char *name)
{
    quote_identifier(name, strlen(name), out);
}

static void add_columns(struct strbuf *out, const struct catalog_object *object, const uint32_t *columns,
                        uint32_t count)
{
    strbuf_addc(out, '(');
    for (uint32_t i = 0; i < count; i++) {
        strbuf_adds(out, i > 0 ? ", " : "");
        add_quoted(out, object->columns[columns[i]].name);
    }
    strbuf_addc(out, ')');
}

static bool bool_at(const struct column *column, uint32_t row)
{
    return COLUMN_BOOL(column)[COLUMN_AT(column, row)] != 0;
}

/* An expression as PostgreSQL shows it: in parentheses when it is made with an operator and is not to be
 * pretty. */
static void add_expression(struct fn_call *call, struct strbuf *out, const char *text, bool pretty)
{
    PgQuery__Node *node;
    struct error err;
    bool wrap = false;
    if (!pretty && statement_parse_expression(call->arena, text, &node, &err))
        wrap = node->node_case == PG_QUERY__NODE__NODE_A_EXPR ||
               node->node_case == PG_QUERY__NODE__NODE_BOOL_EXPR ||
               node->node_case == PG_QUERY__NODE__NODE_NULL_TEST ||
               node->node_case == PG_QUERY__NODE__NODE_BOOLEAN_TEST;
    strbuf_addf(out, wrap ? "(%s)" : "%s", text);
}

/* ---- indexes, constraints ---- */

static bool text_indexdef(struct fn_call *call, struct catalog *catalog, const struct column *args,
                          uint32_t row, struct strbuf *out)
{
    const struct catalog_object *index = catalog_find_oid(catalog, oid_at(&args[0], row));
    if (index == NULL || index->kind != CATALOG_INDEX)
        return false;
    const struct catalog_object *table = catalog_find_oid(catalog, index->index_of);
    if (table == NULL)
        return false;
    int32_t column = call->args_count > 1 ? i32_at(&args[1], row) : 0;
    if (column != 0) {
        if (column > 0 && (uint32_t)column <= index->index_columns_count)
            add_quoted(out, table->columns[index->index_columns[column - 1]].name);
        return true;
    }
    bool pretty = call->args_count > 2 && bool_at(&args[2], row);
    strbuf_adds(out,
                index->index_is_unique || index->index_is_primary ? "CREATE UNIQUE INDEX " : "CREATE INDEX ");
    add_quoted(out, index->name);
    strbuf_adds(out, " ON ");
    reg_names_object(catalog, call->env->session, table, !pretty, out);
    strbuf_adds(out, " USING btree ");
    add_columns(out, table, index->index_columns, index->index_columns_count);
    return true;
}

static void fn_indexdef(struct fn_call *call, const struct column *args, struct column *result)
{
    call_catalog_text(call, args, result, text_indexdef);
}

static bool text_constraintdef(struct fn_call *call, struct catalog *catalog, const struct column *args,
                               uint32_t row, struct strbuf *out)
{
    uint32_t oid = oid_at(&args[0], row);
    const struct catalog_object *object;
    for (uint32_t cursor = FIRST_USER_OID; (object = catalog_next(catalog, &cursor)) != NULL;) {
        for (uint32_t i = 0; i < object->constraints_count; i++) {
            const struct catalog_constraint *constraint = &object->constraints[i];
            if (constraint->oid != oid)
                continue;
            if (constraint->kind == CONSTRAINT_CHECK) {
                strbuf_adds(out, "CHECK (");
                add_expression(call, out, constraint->check_sql,
                               call->args_count > 1 && bool_at(&args[1], row));
                strbuf_addc(out, ')');
            } else {
                strbuf_adds(out, constraint->kind == CONSTRAINT_UNIQUE ? "UNIQUE " : "PRIMARY KEY ");
                add_columns(out, object, constraint->columns, constraint->columns_count);
            }
            return true;
        }
    }
    return false;
}

static void fn_constraintdef(struct fn_call *call, const struct column *args, struct column *result)
{
    call_catalog_text(call, args, result, text_constraintdef);
}

/* ---- views ---- */

static bool add_view(const struct catalog_object *object, struct strbuf *out)
{
    if (object == NULL || object->query_sql == NULL)
        return false;
    const char *text = object->query_sql;
    size_t len = strlen(text);
    while (len > 0 && (text[len - 1] == ';' || text[len - 1] == ' ' || text[len - 1] == '\n'))
        len--;
    strbuf_addf(out, " %.*s;", (int)len, text);
    return true;
}

static bool text_viewdef(struct fn_call *call, struct catalog *catalog, const struct column *args,
                         uint32_t row, struct strbuf *out)
{
    return add_view(catalog_find_oid(catalog, oid_at(&args[0], row)), out);
}

static void fn_viewdef(struct fn_call *call, const struct column *args, struct column *result)
{
    call_catalog_text(call, args, result, text_viewdef);
}

static void fn_viewdef_name(struct fn_call *call, const struct column *args, struct column *result)
{
    struct strbuf out = STRBUF_INIT;
    struct error err;
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (column_is_null(result, i))
            continue;
        struct text_arg name = text_at(&args[0], i);
        struct catalog_object *object;
        if (!reg_names_relation(call->env->session, name.bytes, name.len, &object, &err)) {
            fn_error_from(call, i, &err);
            continue;
        }
        strbuf_reset(&out);
        if (add_view(object, &out))
            RESULT_VAR(result)[i] = text_from_strbuf(call->arena, &out);
        else
            fn_set_null(call, result, i);
        catalog_object_release(object);
    }
    strbuf_release(&out);
}

/* The rule behind a view, as pg_rewrite numbers it: by the view's OID. */
static bool text_ruledef(struct fn_call *call, struct catalog *catalog, const struct column *args,
                         uint32_t row, struct strbuf *out)
{
    const struct catalog_object *object = catalog_find_oid(catalog, oid_at(&args[0], row));
    if (object == NULL || object->query_sql == NULL)
        return false;
    strbuf_adds(out, "CREATE RULE \"_RETURN\" AS\n    ON SELECT TO ");
    reg_names_object(catalog, call->env->session, object, true, out);
    strbuf_adds(out, " DO INSTEAD ");
    return add_view(object, out);
}

static void fn_ruledef(struct fn_call *call, const struct column *args, struct column *result)
{
    call_catalog_text(call, args, result, text_ruledef);
}

/* ---- expressions: kept as text already ---- */

static void fn_get_expr(struct fn_call *call, const struct column *args, struct column *result)
{
    struct strbuf out = STRBUF_INIT;
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (column_is_null(result, i))
            continue;
        struct text_arg text = text_at(&args[0], i);
        strbuf_reset(&out);
        add_expression(call, &out, arena_strndup(call->arena, text.bytes, text.len),
                       call->args_count > 2 && bool_at(&args[2], i));
        RESULT_VAR(result)[i] = text_from_strbuf(call->arena, &out);
    }
    strbuf_release(&out);
}

static bool text_serial_sequence(struct fn_call *call, struct catalog *catalog, const struct column *args,
                                 uint32_t row, struct strbuf *out)
{
    struct error err;
    struct text_arg name = text_at(&args[0], row), column = text_at(&args[1], row);
    struct catalog_object *table;
    if (!reg_names_relation(call->env->session, name.bytes, name.len, &table, &err)) {
        fn_error_from(call, row, &err);
        return true;
    }
    uint32_t at = 0;
    while (at < table->columns_count && (strlen(table->columns[at].name) != column.len ||
                                         memcmp(table->columns[at].name, column.bytes, column.len) != 0))
        at++;
    bool found = false;
    if (at == table->columns_count) {
        fn_error(call, row, ERRCODE_UNDEFINED_COLUMN, "column \"%.*s\" of relation \"%s\" does not exist",
                 (int)column.len, column.bytes, table->name);
        found = true;
    }
    const struct catalog_object *sequence;
    for (uint32_t cursor = FIRST_USER_OID; !found && (sequence = catalog_next(catalog, &cursor)) != NULL;) {
        const char *expr = table->columns[at].default_sql;
        if (sequence->kind != CATALOG_SEQUENCE || sequence->index_of != table->oid || expr == NULL)
            continue;
        /* the owned sequence whose name stands in the column's default */
        const char *place = strstr(expr, sequence->name);
        char after = place != NULL ? place[strlen(sequence->name)] : 'x';
        char before = place != NULL && place > expr ? place[-1] : 'x';
        if ((after == '\'' || after == '"') && (before == '\'' || before == '"' || before == '.')) {
            reg_names_object(catalog, call->env->session, sequence, true, out);
            found = true;
        }
    }
    catalog_object_release(table);
    return found;
}

static void fn_serial_sequence(struct fn_call *call, const struct column *args, struct column *result)
{
    call_catalog_text(call, args, result, text_serial_sequence);
}

/* ---- functions ---- */

enum routine_part { PART_ARGUMENTS, PART_RESULT, PART_DEFINITION };

static void routine_text(struct fn_call *call, const struct column *args, struct column *result,
                         enum routine_part part)
{
    struct strbuf out = STRBUF_INIT;
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_VAR(result)[i] = (struct varlen){0};
        const struct routine *routine =
            column_is_null(result, i) ? NULL : routine_find_oid(oid_at(&args[0], i));
        if (routine == NULL) {
            fn_set_null(call, result, i);
            continue;
        }
        if (part == PART_DEFINITION && routine->kind == ROUTINE_AGGREGATE) {
            fn_error(call, i, ERRCODE_WRONG_OBJECT_TYPE, "\"%s\" is an aggregate function", routine->name);
            continue;
        }
        strbuf_reset(&out);
        if (part == PART_DEFINITION) {
            strbuf_adds(&out, "CREATE OR REPLACE FUNCTION pg_catalog.");
            add_quoted(&out, routine->name);
            strbuf_addc(&out, '(');
            routine_arguments(routine, &out);
            strbuf_adds(&out, ")\n RETURNS ");
            routine_result(routine, &out);
            strbuf_addf(&out, "\n LANGUAGE internal\nAS $function$%s$function$\n", routine->name);
        } else if (part == PART_RESULT) {
            routine_result(routine, &out);
        } else {
            routine_arguments(routine, &out);
        }
        RESULT_VAR(result)[i] = text_from_strbuf(call->arena, &out);
    }
    strbuf_release(&out);
}

static void fn_function_arguments(struct fn_call *call, const struct column *args, struct column *result)
{
    routine_text(call, args, result, PART_ARGUMENTS);
}
static void fn_function_result(struct fn_call *call, const struct column *args, struct column *result)
{
    routine_text(call, args, result, PART_RESULT);
}
static void fn_functiondef(struct fn_call *call, const struct column *args, struct column *result)
{
    routine_text(call, args, result, PART_DEFINITION);
}

/* ---- properties of indexes ---- */

static void fn_index_property(struct fn_call *call, const struct column *args, struct column *result)
{
    static const struct {
        const char *name;
        bool value;
    } properties[] = {{"asc", true},
                      {"desc", false},
                      {"nulls_first", false},
                      {"nulls_last", true},
                      {"orderable", true},
                      {"distance_orderable", false},
                      {"returnable", true},
                      {"search_array", true},
                      {"search_nulls", true},
                      {"clusterable", false},
                      {"index_scan", true},
                      {"bitmap_scan", false},
                      {"backward_scan", false},
                      {"can_order", true},
                      {"can_unique", true},
                      {"can_multi_col", true},
                      {"can_exclude", false},
                      {"can_include", false}};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg name = text_at(&args[call->args_count - 1], i);
        bool known = false;
        for (size_t j = 0; j < ARRAY_COUNT(properties) && !known; j++) {
            known = strlen(properties[j].name) == name.len &&
                    memcmp(properties[j].name, name.bytes, name.len) == 0;
            RESULT_BOOL(result)[i] = properties[j].value;
        }
        if (!known)
            fn_set_null(call, result, i);
    }
}

static void fn_no_text(struct fn_call *call, const struct column *args, struct column *result)
{
    memset(result->data, 0, call->rows * sizeof(struct varlen));
    for (uint32_t i = 0; i < call->rows; i++)
        fn_set_null(call, result, i);
}

#define DEFINITION(name, args, kernel, help)                                                                 \
    {                                                                                                        \
        name, args, "text", kernel, help, FN_STABLE                                                          \
    }

const struct function_row fn_definition_rows[] = {
    DEFINITION("pg_get_indexdef", "oid", fn_indexdef, "pg_get_indexdef('i'::regclass): CREATE INDEX ..."),
    DEFINITION("pg_get_indexdef", "oid,int4,bool", fn_indexdef,
               "pg_get_indexdef('i'::regclass, 1, true): a column"),
    DEFINITION("pg_get_constraintdef", "oid", fn_constraintdef, "pg_get_constraintdef(oid): PRIMARY KEY (a)"),
    DEFINITION("pg_get_constraintdef", "oid,bool", fn_constraintdef, "pg_get_constraintdef(oid, true)"),
    DEFINITION("pg_get_viewdef", "oid", fn_viewdef, "pg_get_viewdef('v'::regclass): its SELECT"),
    DEFINITION("pg_get_viewdef", "oid,bool", fn_viewdef, "pg_get_viewdef('v'::regclass, true): its SELECT"),
    DEFINITION("pg_get_viewdef", "oid,int4", fn_viewdef, "pg_get_viewdef('v'::regclass, 80): its SELECT"),
    DEFINITION("pg_get_viewdef", "text", fn_viewdef_name, "pg_get_viewdef('v'): its SELECT"),
    DEFINITION("pg_get_viewdef", "text,bool", fn_viewdef_name, "pg_get_viewdef('v', true): its SELECT"),
    DEFINITION("pg_get_ruledef", "oid", fn_ruledef, "pg_get_ruledef(oid): the rule behind a view"),
    DEFINITION("pg_get_ruledef", "oid,bool", fn_ruledef, "pg_get_ruledef(oid, true): the rule behind a view"),
    DEFINITION("pg_get_expr", "text,oid", fn_get_expr, "pg_get_expr(adbin, adrelid): a default's text"),
    DEFINITION("pg_get_expr", "text,oid,bool", fn_get_expr,
               "pg_get_expr(adbin, adrelid, true): a default's text"),
    DEFINITION("pg_get_serial_sequence", "text,text", fn_serial_sequence,
               "pg_get_serial_sequence('t', 'id') gives 'public.t_id_seq'"),
    DEFINITION("pg_get_function_arguments", "oid", fn_function_arguments, "pg_get_function_arguments(oid)"),
    DEFINITION("pg_get_function_identity_arguments", "oid", fn_function_arguments,
               "pg_get_function_identity_arguments(oid)"),
    DEFINITION("pg_get_function_result", "oid", fn_function_result, "pg_get_function_result(oid)"),
    DEFINITION("pg_get_functiondef", "oid", fn_functiondef, "pg_get_functiondef(oid)"),
    DEFINITION("pg_get_function_arg_default", "oid,int4", fn_no_text,
               "pg_get_function_arg_default(oid, 1) is NULL"),
    DEFINITION("pg_get_function_sqlbody", "oid", fn_no_text, "pg_get_function_sqlbody(oid) is NULL"),
    DEFINITION("pg_get_triggerdef", "oid", fn_no_text,
               "pg_get_triggerdef(oid) is NULL: there are no triggers"),
    DEFINITION("pg_get_triggerdef", "oid,bool", fn_no_text, "pg_get_triggerdef(oid, true) is NULL"),
    DEFINITION("pg_get_partkeydef", "oid", fn_no_text,
               "pg_get_partkeydef(oid) is NULL: there are no partitions"),
    DEFINITION("pg_get_partition_constraintdef", "oid", fn_no_text,
               "pg_get_partition_constraintdef(oid) is NULL"),
    DEFINITION("pg_get_statisticsobjdef", "oid", fn_no_text, "pg_get_statisticsobjdef(oid) is NULL"),
    DEFINITION("pg_get_statisticsobjdef_columns", "oid", fn_no_text,
               "pg_get_statisticsobjdef_columns(oid) is NULL"),
    {"pg_index_column_has_property", "regclass,int4,text", "bool", fn_index_property,
     "pg_index_column_has_property('i', 1, 'asc') is true", FN_STABLE},
    {"pg_index_has_property", "regclass,text", "bool", fn_index_property,
     "pg_index_has_property('i', 'clusterable') is false", FN_STABLE},
    {"pg_indexam_has_property", "oid,text", "bool", fn_index_property,
     "pg_indexam_has_property(403, 'can_unique') is true", FN_STABLE},
};
const size_t fn_definition_rows_count = ARRAY_COUNT(fn_definition_rows);
