/* fn_sequence.c: nextval, currval, lastval, setval. They run on the thread of their session. */
#include "executor/eval_env.h"
#include "executor/function.h"
#include "server/sequence.h"

#include <pthread.h>
#include <string.h>

/* Splits 'schema.name' as an identifier would be read; at most two parts. */
static bool split_name(struct arena *arena, const struct varlen *text, const char **schema, const char **name)
{
    const char *at = (const char *)varlen_bytes(text), *end = at + text->len;
    const char *parts[2];
    uint32_t count = 0;
    for (;;) {
        char *part = arena_alloc(arena, (size_t)(end - at) + 1), *to = part;
        bool quoted = at < end && *at == '"';
        if (count == 2 || at == end)
            return false;
        if (quoted) {
            for (at++; at < end && !(*at == '"' && (at + 1 == end || at[1] != '"')); at++) {
                at += *at == '"';
                *to++ = *at;
            }
            if (at == end)
                return false;
            at++;
        } else {
            for (; at < end && *at != '.'; at++)
                *to++ = *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at;
        }
        *to = '\0';
        parts[count++] = part;
        if (at == end)
            break;
        if (*at++ != '.')
            return false;
    }
    *schema = count == 2 ? parts[0] : NULL;
    *name = parts[count - 1];
    return true;
}

/* The sequence of a regclass or text argument, retained. */
static struct catalog_object *find_sequence(struct fn_call *call, const struct column *arg, uint32_t row,
                                            struct session **session, struct error *err)
{
    *session = call->env->session != NULL ? call->env->session->session : NULL;
    if (*session == NULL) {
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "sequences cannot be used here");
        return NULL;
    }
    struct catalog *catalog = (*session)->server->catalog;
    struct catalog_object *object = NULL;
    const char *schema = NULL, *name = NULL;
    struct datum value = column_get(arg, row);
    bool by_name = arg->phys == PHYS_VAR;
    if (by_name && !split_name(call->arena, &value.var, &schema, &name)) {
        error_set(err, ERRCODE_INVALID_NAME, "invalid name syntax");
        return NULL;
    }
    catalog_read_lock(catalog);
    object = by_name ? catalog_find(catalog, schema, name, (*session)->info.search_path)
                     : catalog_find_oid(catalog, (uint32_t)value.i64);
    if (object == NULL) {
        if (by_name)
            error_set(err, ERRCODE_UNDEFINED_TABLE, "relation \"%s\" does not exist", name);
        else
            error_set(err, ERRCODE_UNDEFINED_TABLE, "could not open relation with OID %u",
                      (uint32_t)value.i64);
    } else if (object->kind != CATALOG_SEQUENCE) {
        error_set(err, ERRCODE_WRONG_OBJECT_TYPE, "\"%s\" is not a sequence", object->name);
        object = NULL;
    } else if (object->disabled != NULL) {
        error_set(err, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "sequence \"%s\" is disabled: the server runs in safe mode", object->name);
        object = NULL;
    } else {
        catalog_object_retain(object);
    }
    catalog_unlock(catalog);
    return object;
}

static void remember(struct session *session, uint32_t oid, int64_t value)
{
    struct sequence_value **at = &session->sequence_values;
    while (*at != NULL && (*at)->oid != oid)
        at = &(*at)->next;
    struct sequence_value *known = *at;
    if (known != NULL)
        *at = known->next;
    else
        known = mem_zalloc(sizeof(*known));
    *known = (struct sequence_value){.next = session->sequence_values, .oid = oid, .value = value};
    session->sequence_values = known;
}

static bool may_write(struct session *session, const char *name, struct error *err)
{
    return !session->txn.read_only || error_set(err, ERRCODE_READ_ONLY_SQL_TRANSACTION,
                                                "cannot execute %s() in a read-only transaction", name);
}

static void fn_nextval(struct fn_call *call, const struct column *args, struct column *result)
{
    int64_t *values = result->data;
    struct error err;
    struct session *session;
    memset(values, 0, call->rows * sizeof(*values));
    if (!args[0].is_constant) {
        for (uint32_t row = 0; row < call->rows; row++) {
            if (column_is_null(&args[0], row))
                continue;
            struct catalog_object *object = find_sequence(call, &args[0], row, &session, &err);
            bool ok = object != NULL && may_write(session, "nextval", &err) &&
                      sequence_next(session->server, object, 1, &values[row], &err);
            if (ok)
                remember(session, object->oid, values[row]);
            else
                fn_error_from(call, row, &err);
            catalog_object_release(object);
        }
        return;
    }
    if (call->rows == 0 || column_is_null(&args[0], 0))
        return;
    struct catalog_object *object = find_sequence(call, &args[0], 0, &session, &err);
    bool ok = object != NULL && may_write(session, "nextval", &err) &&
              sequence_next(session->server, object, call->rows, values, &err);
    if (ok)
        remember(session, object->oid, values[call->rows - 1]);
    else
        fn_error_from(call, 0, &err);
    catalog_object_release(object);
}

static void fn_currval(struct fn_call *call, const struct column *args, struct column *result)
{
    int64_t *values = result->data;
    for (uint32_t row = 0; row < call->rows; row++) {
        struct error err;
        struct session *session;
        values[row] = 0;
        if (column_is_null(&args[0], row))
            continue;
        struct catalog_object *object = find_sequence(call, &args[0], row, &session, &err);
        if (object == NULL) {
            fn_error_from(call, row, &err);
            continue;
        }
        const struct sequence_value *known = session->sequence_values;
        while (known != NULL && known->oid != object->oid)
            known = known->next;
        if (known != NULL)
            values[row] = known->value;
        else
            fn_error(call, row, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                     "currval of sequence \"%s\" is not yet defined in this session", object->name);
        catalog_object_release(object);
    }
}

static void fn_lastval(struct fn_call *call, const struct column *args, struct column *result)
{
    const struct session *session = call->env->session != NULL ? call->env->session->session : NULL;
    for (uint32_t row = 0; row < call->rows; row++) {
        ((int64_t *)result->data)[row] = 0;
        if (session != NULL && session->sequence_values != NULL)
            ((int64_t *)result->data)[row] = session->sequence_values->value;
        else
            fn_error(call, row, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                     "lastval is not yet defined in this session");
    }
}

static void fn_setval(struct fn_call *call, const struct column *args, struct column *result)
{
    int64_t *values = result->data;
    for (uint32_t row = 0; row < call->rows; row++) {
        struct error err;
        struct session *session;
        values[row] = 0;
        bool null = false;
        for (uint32_t i = 0; i < call->args_count; i++)
            null |= column_is_null(&args[i], row);
        if (null)
            continue;
        struct catalog_object *object = find_sequence(call, &args[0], row, &session, &err);
        int64_t value = column_get(&args[1], row).i64;
        bool is_called = call->args_count < 3 || column_get(&args[2], row).boolean;
        if (object != NULL && may_write(session, "setval", &err) &&
            sequence_set(session->server, object, value, is_called, &err)) {
            values[row] = value;
            if (is_called)
                remember(session, object->oid, value);
        } else {
            fn_error_from(call, row, &err);
        }
        catalog_object_release(object);
    }
}

static const struct function_row rows[] = {
    {.name = "nextval",
     .args = "text",
     .result = "int8",
     .kernel = fn_nextval,
     .flags = FN_VOLATILE | FN_HIDDEN},
    {.name = "nextval",
     .args = "regclass",
     .result = "int8",
     .kernel = fn_nextval,
     .help = "nextval('s') takes the next value of sequence s",
     .flags = FN_VOLATILE},
    {.name = "currval",
     .args = "text",
     .result = "int8",
     .kernel = fn_currval,
     .flags = FN_VOLATILE | FN_HIDDEN},
    {.name = "currval",
     .args = "regclass",
     .result = "int8",
     .kernel = fn_currval,
     .help = "currval('s') is the value this session took last from sequence s",
     .flags = FN_VOLATILE},
    {.name = "lastval",
     .args = "",
     .result = "int8",
     .kernel = fn_lastval,
     .help = "lastval() is the value this session took last from any sequence",
     .flags = FN_VOLATILE},
    {.name = "setval",
     .args = "text,int8",
     .result = "int8",
     .kernel = fn_setval,
     .flags = FN_VOLATILE | FN_HIDDEN},
    {.name = "setval",
     .args = "regclass,int8",
     .result = "int8",
     .kernel = fn_setval,
     .help = "setval('s', 10) makes 11 the next value of sequence s",
     .flags = FN_VOLATILE},
    {.name = "setval",
     .args = "text,int8,bool",
     .result = "int8",
     .kernel = fn_setval,
     .flags = FN_VOLATILE | FN_HIDDEN},
    {.name = "setval",
     .args = "regclass,int8,bool",
     .result = "int8",
     .kernel = fn_setval,
     .help = "setval('s', 10, false) makes 10 the next value of sequence s",
     .flags = FN_VOLATILE},
};

static void register_once(void)
{
    function_registry_add(rows, ARRAY_COUNT(rows));
}

void sequence_register_functions(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_once);
}
