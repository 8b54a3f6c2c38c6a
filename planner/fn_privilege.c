/* fn_privilege.c: has_table_privilege() and its family. Every user may do everything, so the answer for what
 * exists is true; names of what does not exist are errors and unknown OIDs give NULL, as in PostgreSQL. */
#define _GNU_SOURCE
#include "planner/fn_catalog_internal.h"
#include "planner/routines.h"

#include <strings.h>

enum privilege_class {
    CLASS_TABLE,
    CLASS_SCHEMA,
    CLASS_DATABASE,
    CLASS_FUNCTION,
    CLASS_TYPE,
    CLASS_ROLE,
    CLASS_OTHER
};

static const char *const privileges[] = {
    [CLASS_TABLE] = "SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER,USAGE,RULE",
    [CLASS_SCHEMA] = "CREATE,USAGE",
    [CLASS_DATABASE] = "CREATE,CONNECT,TEMPORARY,TEMP",
    [CLASS_FUNCTION] = "EXECUTE",
    [CLASS_TYPE] = "USAGE",
    [CLASS_ROLE] = "USAGE,MEMBER,SET",
    [CLASS_OTHER] = "CREATE,USAGE,SET,ALTER SYSTEM",
};

/* "SELECT, insert with grant option": every item of the list must be known. */
static bool check_privileges(enum privilege_class class, struct text_arg text, struct error *err)
{
    size_t at = 0;
    while (at <= text.len) {
        const char *start = text.bytes + at, *comma = memchr(start, ',', text.len - at);
        size_t len = comma != NULL ? (size_t)(comma - start) : text.len - at;
        at += len + 1;
        while (len > 0 && *start == ' ') {
            start++;
            len--;
        }
        while (len > 0 && start[len - 1] == ' ')
            len--;
        static const char *const suffixes[] = {" WITH GRANT OPTION", " WITH ADMIN OPTION"};
        size_t plain = len;
        for (size_t i = 0; i < ARRAY_COUNT(suffixes); i++) {
            size_t suffix = strlen(suffixes[i]);
            if (plain > suffix && strncasecmp(start + plain - suffix, suffixes[i], suffix) == 0)
                plain -= suffix;
        }
        bool known = false;
        for (const char *list = privileges[class]; !known;) {
            size_t word = strcspn(list, ",");
            known = word == plain && strncasecmp(list, start, word) == 0;
            if (list[word] == '\0')
                break;
            list += word + 1;
        }
        if (!known)
            return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "unrecognized privilege type: \"%.*s\"",
                             (int)len, start);
    }
    return true;
}

enum answer { ANSWER_YES, ANSWER_NULL, ANSWER_ERROR };

static enum answer find_column(const struct catalog_object *object, const struct column *arg, uint32_t row,
                               struct error *err)
{
    if (arg->phys == PHYS_I16) {
        int16_t number = COLUMN_I16(arg)[COLUMN_AT(arg, row)];
        return number >= 1 && (uint32_t)number <= object->columns_count ? ANSWER_YES : ANSWER_NULL;
    }
    struct text_arg name = text_at(arg, row);
    for (uint32_t i = 0; i < object->columns_count; i++)
        if (strlen(object->columns[i].name) == name.len &&
            memcmp(object->columns[i].name, name.bytes, name.len) == 0)
            return ANSWER_YES;
    error_set(err, ERRCODE_UNDEFINED_COLUMN, "column \"%.*s\" of relation \"%s\" does not exist",
              (int)name.len, name.bytes, object->name);
    return ANSWER_ERROR;
}

static enum answer find_table(struct fn_call *call, const struct column *arg, const struct column *column,
                              uint32_t row, struct error *err)
{
    struct catalog *catalog = call_catalog(call);
    struct catalog_object *object = NULL;
    if (arg->phys == PHYS_VAR) {
        struct text_arg name = text_at(arg, row);
        if (!reg_names_relation(call->env->session, name.bytes, name.len, &object, err))
            return ANSWER_ERROR;
    } else if (catalog != NULL) {
        catalog_read_lock(catalog);
        object = catalog_find_oid(catalog, oid_at(arg, row));
        if (object != NULL)
            catalog_object_retain(object);
        catalog_unlock(catalog);
    }
    if (object == NULL)
        return ANSWER_NULL;
    enum answer answer = column != NULL ? find_column(object, column, row, err) : ANSWER_YES;
    catalog_object_release(object);
    return answer;
}

/* Through the input function of a reg* type. */
static enum answer find_reg(struct fn_call *call, uint32_t type, const struct column *arg, uint32_t row,
                            struct error *err)
{
    struct text_arg name = text_at(arg, row);
    struct datum value;
    return type_input(type, -1, name.bytes, name.len, &call->env->io, call->arena, &value, err)
               ? ANSWER_YES
               : ANSWER_ERROR;
}

static enum answer find_object(struct fn_call *call, enum privilege_class class, const struct column *arg,
                               uint32_t row, struct error *err)
{
    bool by_name = arg->phys == PHYS_VAR;
    uint32_t oid = by_name ? 0 : oid_at(arg, row);
    struct catalog *catalog = call_catalog(call);
    switch (class) {
    case CLASS_SCHEMA:
        if (by_name)
            return find_reg(call, OID_REGNAMESPACE, arg, row, err);
        if (catalog == NULL)
            return ANSWER_NULL;
        catalog_read_lock(catalog);
        bool exists = catalog_find_schema_oid(catalog, oid) != NULL;
        catalog_unlock(catalog);
        return exists ? ANSWER_YES : ANSWER_NULL;
    case CLASS_DATABASE:
        if (by_name && call->env->session != NULL) {
            struct text_arg name = text_at(arg, row);
            const char *database = call->env->session->database;
            if (strlen(database) != name.len || memcmp(database, name.bytes, name.len) != 0) {
                error_set(err, ERRCODE_INVALID_CATALOG_NAME, "database \"%.*s\" does not exist",
                          (int)name.len, name.bytes);
                return ANSWER_ERROR;
            }
            return ANSWER_YES;
        }
        return oid == DATABASE_OID ? ANSWER_YES : ANSWER_NULL;
    case CLASS_FUNCTION: {
        if (!by_name)
            return routine_find_oid(oid) != NULL ? ANSWER_YES : ANSWER_NULL;
        struct text_arg name = text_at(arg, row);
        uint32_t value;
        const struct io_env *io = &call->env->io;
        if (io->reg_input != NULL &&
            !io->reg_input(io->reg_ctx, OID_REGPROCEDURE, name.bytes, name.len, &value, err))
            return ANSWER_ERROR;
        return ANSWER_YES;
    }
    case CLASS_TYPE:
        if (by_name)
            return find_reg(call, OID_REGTYPE, arg, row, err);
        return type_find(oid) != NULL ? ANSWER_YES : ANSWER_NULL;
    default:
        return ANSWER_YES;
    }
}

static void has_privilege(struct fn_call *call, const struct column *args, struct column *result,
                          enum privilege_class class, bool with_column)
{
    struct error err;
    const struct column *privilege = &args[call->args_count - 1];
    const struct column *object = &args[call->args_count - (with_column ? 3 : 2)];
    const struct column *column = with_column ? &args[call->args_count - 2] : NULL;
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_BOOL(result)[i] = 0;
        if (column_is_null(result, i))
            continue;
        enum answer answer = class == CLASS_TABLE ? find_table(call, object, column, i, &err)
                                                  : find_object(call, class, object, i, &err);
        if (answer != ANSWER_ERROR && !check_privileges(class, text_at(privilege, i), &err))
            answer = ANSWER_ERROR;
        RESULT_BOOL(result)[i] = answer == ANSWER_YES;
        if (answer == ANSWER_NULL)
            fn_set_null(call, result, i);
        else if (answer == ANSWER_ERROR)
            fn_error_from(call, i, &err);
    }
}

#define KERNEL(name, class, with_column)                                                                     \
    static void name(struct fn_call *call, const struct column *args, struct column *result)                 \
    {                                                                                                        \
        has_privilege(call, args, result, class, with_column);                                               \
    }
KERNEL(fn_has_table, CLASS_TABLE, false)
KERNEL(fn_has_column, CLASS_TABLE, true)
KERNEL(fn_has_schema, CLASS_SCHEMA, false)
KERNEL(fn_has_database, CLASS_DATABASE, false)
KERNEL(fn_has_function, CLASS_FUNCTION, false)
KERNEL(fn_has_type, CLASS_TYPE, false)
KERNEL(fn_has_role, CLASS_ROLE, false)
KERNEL(fn_has_other, CLASS_OTHER, false)

#define HAS(name, args, kernel)                                                                              \
    {                                                                                                        \
        name, args, "bool", kernel, name "(...) is true for what exists", FN_STABLE                          \
    }
#define HAS_ALL(name, kernel)                                                                                \
    HAS(name, "name,text,text", kernel), HAS(name, "name,oid,text", kernel),                                 \
        HAS(name, "oid,text,text", kernel), HAS(name, "oid,oid,text", kernel),                               \
        HAS(name, "text,text", kernel), HAS(name, "oid,text", kernel)
#define HAS_COLUMN(column)                                                                                   \
    HAS("has_column_privilege", "name,text," column ",text", fn_has_column),                                 \
        HAS("has_column_privilege", "name,oid," column ",text", fn_has_column),                              \
        HAS("has_column_privilege", "oid,text," column ",text", fn_has_column),                              \
        HAS("has_column_privilege", "oid,oid," column ",text", fn_has_column),                               \
        HAS("has_column_privilege", "text," column ",text", fn_has_column),                                  \
        HAS("has_column_privilege", "oid," column ",text", fn_has_column)

const struct function_row fn_privilege_rows[] = {
    HAS_ALL("has_table_privilege", fn_has_table),
    HAS_ALL("has_any_column_privilege", fn_has_table),
    HAS_COLUMN("text"),
    HAS_COLUMN("int2"),
    HAS_ALL("has_sequence_privilege", fn_has_table),
    HAS_ALL("has_schema_privilege", fn_has_schema),
    HAS_ALL("has_database_privilege", fn_has_database),
    HAS_ALL("has_function_privilege", fn_has_function),
    HAS_ALL("has_type_privilege", fn_has_type),
    HAS_ALL("has_language_privilege", fn_has_other),
    HAS_ALL("has_tablespace_privilege", fn_has_other),
    HAS_ALL("has_foreign_data_wrapper_privilege", fn_has_other),
    HAS_ALL("has_server_privilege", fn_has_other),
    HAS("pg_has_role", "name,name,text", fn_has_role),
    HAS("pg_has_role", "name,oid,text", fn_has_role),
    HAS("pg_has_role", "oid,name,text", fn_has_role),
    HAS("pg_has_role", "oid,oid,text", fn_has_role),
    HAS("pg_has_role", "name,text", fn_has_role),
    HAS("pg_has_role", "oid,text", fn_has_role),
};
const size_t fn_privilege_rows_count = ARRAY_COUNT(fn_privilege_rows);
