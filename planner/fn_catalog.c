/* fn_catalog.c: functions about the session, names and sizes: current_schema(), format_type(), to_regclass(),
 * pg_table_is_visible(), pg_relation_size() ... as PostgreSQL's manual lists them in 9.26 and 9.27.9.
 *
 * All of them look at the session, so they are stable and never stand in views. */
#define _GNU_SOURCE
#include "planner/fn_catalog_internal.h"
#include "planner/routines.h"
#include "storage/data/array.h"
#include "storage/data/numeric.h"
#include "storage/data/numeric_io.h"
#include "storage/data/record.h"

#include <pthread.h>
#include <stdio.h>

void call_catalog_text(struct fn_call *call, const struct column *args, struct column *result,
                       catalog_text_fn fn)
{
    struct catalog *catalog = call_catalog(call);
    struct strbuf out = STRBUF_INIT;
    if (catalog != NULL)
        catalog_read_lock(catalog);
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (column_is_null(result, i))
            continue;
        strbuf_reset(&out);
        if (catalog == NULL || !fn(call, catalog, args, i, &out))
            fn_set_null(call, result, i);
        else
            RESULT_VAR(result)[i] = text_from_strbuf(call->arena, &out);
    }
    if (catalog != NULL)
        catalog_unlock(catalog);
    strbuf_release(&out);
}

/* ---- the session ---- */

static void same_text(struct fn_call *call, struct column *result, const char *text)
{
    for (uint32_t i = 0; i < call->rows; i++)
        set_text(call, result, i, text);
}

static void fn_current_user(struct fn_call *call, const struct column *args, struct column *result)
{
    same_text(call, result, call->env->session != NULL ? call->env->session->user : NULL);
}

static void fn_current_database(struct fn_call *call, const struct column *args, struct column *result)
{
    same_text(call, result, call->env->session != NULL ? call->env->session->database : NULL);
}

static void fn_current_schema(struct fn_call *call, const struct column *args, struct column *result)
{
    const struct session_info *info = call->env->session;
    same_text(call, result, info != NULL && info->search_path != NULL ? info->search_path[0] : NULL);
}

static void fn_current_schemas(struct fn_call *call, const struct column *args, struct column *result)
{
    const struct session_info *info = call->env->session;
    static const char *const none[] = {NULL};
    const char *const *path = info != NULL && info->search_path != NULL ? info->search_path : none;
    uint32_t count = 0;
    bool listed = false;
    for (; path[count] != NULL; count++)
        listed |= strcmp(path[count], "pg_catalog") == 0;
    struct datum *names = ARENA_ARRAY(call->arena, struct datum, count + 1);
    for (uint32_t i = 0; i < call->rows; i++) {
        bool implicit = COLUMN_BOOL(&args[0])[COLUMN_AT(&args[0], i)] != 0 && !listed;
        uint32_t used = 0;
        if (implicit)
            names[used++] = datum_text(call->arena, "pg_catalog", strlen("pg_catalog"));
        for (uint32_t j = 0; j < count; j++)
            names[used++] = datum_text(call->arena, path[j], strlen(path[j]));
        RESULT_VAR(result)[i] = array_make(call->arena, OID_NAME, names, used);
    }
}

static void fn_client_address(struct fn_call *call, const struct column *args, struct column *result)
{
    same_text(call, result, call->env->session != NULL ? call->env->session->client_address : NULL);
}

static void same_int(struct fn_call *call, struct column *result, int64_t value)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        if (result->phys == PHYS_I32)
            RESULT_I32(result)[i] = (int32_t)value;
        else
            RESULT_I64(result)[i] = value;
    }
}

static void fn_client_port(struct fn_call *call, const struct column *args, struct column *result)
{
    const struct session_info *info = call->env->session;
    bool known = info != NULL && info->client_address != NULL;
    same_int(call, result, known ? info->client_port : 0);
    for (uint32_t i = 0; i < call->rows && !known; i++)
        fn_set_null(call, result, i);
}

static void fn_backend_pid(struct fn_call *call, const struct column *args, struct column *result)
{
    same_int(call, result, call->env->session != NULL ? call->env->session->backend_pid : 0);
}

/* The start of the transaction: the same throughout it, greater in later ones. */
static void fn_txid(struct fn_call *call, const struct column *args, struct column *result)
{
    same_int(call, result, call->env->io.now_us);
}

static void fn_false(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++)
        RESULT_BOOL(result)[i] = 0;
}

static void fn_zero(struct fn_call *call, const struct column *args, struct column *result)
{
    same_int(call, result, 0);
}

static void fn_null(struct fn_call *call, const struct column *args, struct column *result)
{
    memset(result->data, 0, (size_t)call->rows * phys_bytes(result->phys));
    for (uint32_t i = 0; i < call->rows; i++)
        fn_set_null(call, result, i);
}

static void fn_empty_text(struct fn_call *call, const struct column *args, struct column *result)
{
    same_text(call, result, "");
}

static void set_none(struct fn_call *call, const struct column *args, struct srf_output *output) {}

/* ---- names ---- */

static void fn_format_type(struct fn_call *call, const struct column *args, struct column *result)
{
    struct strbuf out = STRBUF_INIT;
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (column_is_null(&args[0], i)) {
            fn_set_null(call, result, i);
            continue;
        }
        bool has_typmod = !column_is_null(&args[1], i);
        uint32_t oid = oid_at(&args[0], i);
        int32_t typmod = has_typmod ? i32_at(&args[1], i) : -1;
        strbuf_reset(&out);
        if (oid == 0)
            strbuf_addc(&out, '-');
        else if (type_find(oid) == NULL)
            strbuf_adds(&out, "???");
        else if (oid == OID_BPCHAR && typmod < 0)
            strbuf_adds(&out, has_typmod ? "bpchar" : "character");
        else
            type_format(oid, typmod, &out);
        RESULT_VAR(result)[i] = text_from_strbuf(call->arena, &out);
    }
    strbuf_release(&out);
}

static void fn_userbyid(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        uint32_t oid = oid_at(&args[0], i);
        const char *name = role_name(call->env->session, oid);
        char unknown[64];
        snprintf(unknown, sizeof(unknown), "unknown (OID=%u)", oid);
        set_text(call, result, i, name != NULL ? name : unknown);
    }
}

/* Reads names as the input function of a reg* type would, unknown ones as NULL. */
static void to_reg(struct fn_call *call, const struct column *args, struct column *result)
{
    struct error err;
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_I64(result)[i] = 0;
        if (column_is_null(result, i))
            continue;
        struct text_arg text = text_at(&args[0], i);
        struct datum value;
        if (type_input(call->result_type.oid, -1, text.bytes, text.len, &call->env->io, call->arena, &value,
                       &err))
            RESULT_I64(result)[i] = value.i64;
        else
            fn_set_null(call, result, i);
    }
}

static void fn_table_is_visible(struct fn_call *call, const struct column *args, struct column *result)
{
    struct catalog *catalog = call_catalog(call);
    if (catalog == NULL) {
        fn_null(call, args, result);
        return;
    }
    catalog_read_lock(catalog);
    for (uint32_t i = 0; i < call->rows; i++) {
        const struct catalog_object *object = catalog_find_oid(catalog, oid_at(&args[0], i));
        RESULT_BOOL(result)[i] = object != NULL && reg_names_is_visible(catalog, call->env->session, object);
        if (object == NULL)
            fn_set_null(call, result, i);
    }
    catalog_unlock(catalog);
}

/* Types and routines all stand in pg_catalog, which is always searched. */
static void fn_type_is_visible(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_BOOL(result)[i] = 1;
        if (type_find(oid_at(&args[0], i)) == NULL)
            fn_set_null(call, result, i);
    }
}

static void fn_function_is_visible(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_BOOL(result)[i] = 1;
        if (routine_find_oid(oid_at(&args[0], i)) == NULL)
            fn_set_null(call, result, i);
    }
}

static void fn_operator_is_visible(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_BOOL(result)[i] = 1;
        if (routine_find_operator(oid_at(&args[0], i)) == NULL)
            fn_set_null(call, result, i);
    }
}

static void fn_true(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++)
        RESULT_BOOL(result)[i] = 1;
}

static const char *const encodings[] = {
    "SQL_ASCII",     "EUC_JP",  "EUC_CN",  "EUC_KR",  "EUC_TW",     "EUC_JIS_2004", "UTF8",
    "MULE_INTERNAL", "LATIN1",  "LATIN2",  "LATIN3",  "LATIN4",     "LATIN5",       "LATIN6",
    "LATIN7",        "LATIN8",  "LATIN9",  "LATIN10", "WIN1256",    "WIN1258",      "WIN866",
    "WIN874",        "KOI8R",   "WIN1251", "WIN1252", "ISO_8859_5", "ISO_8859_6",   "ISO_8859_7",
    "ISO_8859_8",    "WIN1250", "WIN1253", "WIN1254", "WIN1255",    "WIN1257",      "KOI8U",
    "SJIS",          "BIG5",    "GBK",     "UHC",     "GB18030",    "JOHAB",        "SHIFT_JIS_2004"};

static void fn_encoding_to_char(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        int32_t encoding = i32_at(&args[0], i);
        bool known = encoding >= 0 && (size_t)encoding < ARRAY_COUNT(encodings);
        set_text(call, result, i, known ? encodings[encoding] : "");
    }
}

static void fn_encoding(struct fn_call *call, const struct column *args, struct column *result)
{
    same_text(call, result, "UTF8");
}

static void fn_char_to_encoding(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg text = text_at(&args[0], i);
        char plain[64];
        size_t len = 0;
        for (size_t j = 0; j < text.len && len < sizeof(plain) - 1; j++)
            if (text.bytes[j] != '-' && text.bytes[j] != '_')
                plain[len++] = ascii_upper(text.bytes[j]);
        plain[len] = '\0';
        RESULT_I32(result)[i] = strcmp(plain, "UNICODE") == 0 ? 6 : -1;
        for (size_t j = 0; j < ARRAY_COUNT(encodings); j++) {
            char name[64];
            size_t at = 0;
            for (const char *c = encodings[j]; *c != '\0'; c++)
                if (*c != '_')
                    name[at++] = *c;
            name[at] = '\0';
            if (strcmp(name, plain) == 0)
                RESULT_I32(result)[i] = (int32_t)j;
        }
    }
}

/* ---- comments ---- */

static bool object_comment(struct catalog *catalog, uint32_t oid, const char *class_name, struct strbuf *out)
{
    const char *text = NULL;
    if (class_name == NULL || strcmp(class_name, "pg_class") == 0) {
        const struct catalog_object *object = catalog_find_oid(catalog, oid);
        text = object != NULL ? object->comment : NULL;
    } else if (strcmp(class_name, "pg_proc") == 0 || strcmp(class_name, "pg_operator") == 0) {
        const struct routine *routine =
            class_name[3] == 'p' ? routine_find_oid(oid) : routine_find_operator(oid);
        text = routine != NULL ? routine->help : NULL;
    } else if (strcmp(class_name, "pg_type") == 0) {
        const struct type_row *type = type_find(oid);
        text = type != NULL ? type->help : NULL;
    } else if (strcmp(class_name, "pg_namespace") == 0) {
        text = oid == SCHEMA_PG_CATALOG ? "system catalog schema"
               : oid == SCHEMA_PUBLIC   ? "standard public schema"
               : oid == SCHEMA_MILLRACE ? "statistics of relations, operators and the engine"
                                        : NULL;
    }
    if (text != NULL)
        strbuf_adds(out, text);
    return text != NULL;
}

static bool text_obj_description(struct fn_call *call, struct catalog *catalog, const struct column *args,
                                 uint32_t row, struct strbuf *out)
{
    if (call->args_count == 1)
        return object_comment(catalog, oid_at(&args[0], row), NULL, out);
    struct text_arg name = text_at(&args[1], row);
    char class_name[NAME_BYTES_MAX + 1];
    snprintf(class_name, sizeof(class_name), "%.*s",
             (int)(name.len < NAME_BYTES_MAX ? name.len : NAME_BYTES_MAX), name.bytes);
    return object_comment(catalog, oid_at(&args[0], row), class_name, out);
}

static bool text_col_description(struct fn_call *call, struct catalog *catalog, const struct column *args,
                                 uint32_t row, struct strbuf *out)
{
    const struct catalog_object *object = catalog_find_oid(catalog, oid_at(&args[0], row));
    int32_t number = i32_at(&args[1], row);
    if (object == NULL || number < 1 || (uint32_t)number > object->columns_count ||
        object->columns[number - 1].comment == NULL)
        return false;
    strbuf_adds(out, object->columns[number - 1].comment);
    return true;
}

static void fn_obj_description(struct fn_call *call, const struct column *args, struct column *result)
{
    call_catalog_text(call, args, result, text_obj_description);
}

static void fn_col_description(struct fn_call *call, const struct column *args, struct column *result)
{
    call_catalog_text(call, args, result, text_col_description);
}

/* ---- sizes ---- */

enum size_what { SIZE_ROWS, SIZE_TOTAL };

static void relation_sizes(struct fn_call *call, const struct column *args, struct column *result,
                           enum size_what what)
{
    struct catalog *catalog = call_catalog(call);
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_I64(result)[i] = 0;
        struct relation *relation = NULL;
        bool exists = false;
        if (catalog != NULL && !column_is_null(result, i)) {
            catalog_read_lock(catalog);
            const struct catalog_object *object = catalog_find_oid(catalog, oid_at(&args[0], i));
            exists = object != NULL;
            if (exists && object->relation != NULL) {
                relation = object->relation;
                relation_retain(relation);
            }
            catalog_unlock(catalog);
        }
        if (!exists)
            fn_set_null(call, result, i);
        if (relation == NULL)
            continue;
        struct relation_stats stats;
        relation_stats(relation, &stats);
        relation_release(relation);
        RESULT_I64(result)[i] = stats.bytes + (what == SIZE_TOTAL ? stats.state_bytes : 0);
    }
}

static void fn_relation_size(struct fn_call *call, const struct column *args, struct column *result)
{
    relation_sizes(call, args, result, SIZE_ROWS);
}

static void fn_total_relation_size(struct fn_call *call, const struct column *args, struct column *result)
{
    relation_sizes(call, args, result, SIZE_TOTAL);
}

/* Indexes live within their relation's rows; their bytes are counted there. */
static void fn_indexes_size(struct fn_call *call, const struct column *args, struct column *result)
{
    same_int(call, result, 0);
}

static void fn_database_size(struct fn_call *call, const struct column *args, struct column *result)
{
    struct catalog *catalog = call_catalog(call);
    struct relation **relations = NULL;
    uint32_t count = 0, cap = 0;
    if (catalog != NULL) {
        catalog_read_lock(catalog);
        const struct catalog_object *object;
        for (uint32_t cursor = FIRST_USER_OID; (object = catalog_next(catalog, &cursor)) != NULL;) {
            if (object->relation != NULL) {
                relation_retain(object->relation);
                ARENA_PUSH(call->arena, relations, count, cap, object->relation);
            }
        }
        catalog_unlock(catalog);
    }
    int64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct relation_stats stats;
        relation_stats(relations[i], &stats);
        bytes += stats.bytes + stats.state_bytes;
        relation_release(relations[i]);
    }
    same_int(call, result, bytes);
}

/* Up to 10239 bytes, then the first unit in which it is less than 10239.5 of them, rounded. */
static void size_pretty(__int128 size, struct strbuf *out)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
    if (size > -10240 && size < 10240) {
        strbuf_addf(out, "%lld bytes", (long long)size);
        return;
    }
    size_t unit = 0;
    __int128 halves;
    do {
        unit++;
        halves = size / ((__int128)1 << (10 * unit - 1));
    } while (unit + 1 < ARRAY_COUNT(units) && (halves >= 20479 || halves <= -20479));
    strbuf_addf(out, "%lld %s", (long long)((halves + (size < 0 ? -1 : 1)) / 2), units[unit]);
}

static void fn_size_pretty(struct fn_call *call, const struct column *args, struct column *result)
{
    struct strbuf out = STRBUF_INIT;
    for (uint32_t i = 0; i < call->rows; i++) {
        strbuf_reset(&out);
        size_pretty(COLUMN_I64(&args[0])[COLUMN_AT(&args[0], i)], &out);
        RESULT_VAR(result)[i] = text_from_strbuf(call->arena, &out);
    }
    strbuf_release(&out);
}

/* Fractions below a byte are shown by the text of the number itself. */
static void fn_size_pretty_numeric(struct fn_call *call, const struct column *args, struct column *result)
{
    struct strbuf text = STRBUF_INIT, out = STRBUF_INIT;
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (column_is_null(result, i))
            continue;
        struct datum value = {.var = COLUMN_VAR(&args[0])[COLUMN_AT(&args[0], i)]};
        strbuf_reset(&text);
        strbuf_reset(&out);
        type_output(OID_NUMERIC, &value, &call->env->io, &text);
        const char *digits = strbuf_text(&text);
        size_t whole = strcspn(digits, ".");
        if (strspn(digits, "-0123456789.") != text.len || whole > 36) {
            fn_error(call, i, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "size out of range");
            continue;
        }
        __int128 size = 0;
        for (size_t j = digits[0] == '-'; j < whole; j++)
            size = size * 10 + (digits[j] - '0');
        if (size < 10 * 1024)
            strbuf_addf(&out, "%s bytes", digits);
        else
            size_pretty(digits[0] == '-' ? -size : size, &out);
        RESULT_VAR(result)[i] = text_from_strbuf(call->arena, &out);
    }
    strbuf_release(&text);
    strbuf_release(&out);
}

/* ---- what can be written ---- */

#define EVENT_UPDATE 4
#define EVENT_INSERT 8
#define EVENT_DELETE 16

static int32_t relation_events(const struct catalog_object *object)
{
    if (object == NULL)
        return 0;
    return object->kind == CATALOG_TABLE    ? EVENT_UPDATE | EVENT_INSERT | EVENT_DELETE
           : object->kind == CATALOG_STREAM ? EVENT_INSERT
                                            : 0;
}

static void fn_relation_is_updatable(struct fn_call *call, const struct column *args, struct column *result)
{
    struct catalog *catalog = call_catalog(call);
    if (catalog != NULL)
        catalog_read_lock(catalog);
    for (uint32_t i = 0; i < call->rows; i++)
        RESULT_I32(result)
    [i] = catalog != NULL ? relation_events(catalog_find_oid(catalog, oid_at(&args[0], i))) : 0;
    if (catalog != NULL)
        catalog_unlock(catalog);
}

static void fn_column_is_updatable(struct fn_call *call, const struct column *args, struct column *result)
{
    struct catalog *catalog = call_catalog(call);
    if (catalog != NULL)
        catalog_read_lock(catalog);
    for (uint32_t i = 0; i < call->rows; i++) {
        const struct catalog_object *object =
            catalog != NULL ? catalog_find_oid(catalog, oid_at(&args[0], i)) : NULL;
        int16_t number = COLUMN_I16(&args[1])[COLUMN_AT(&args[1], i)];
        bool exists = object != NULL && number >= 1 && (uint32_t)number <= object->columns_count;
        RESULT_BOOL(result)
        [i] = exists && (relation_events(object) & EVENT_UPDATE) != 0 &&
              object->columns[number - 1].generated_sql == NULL;
    }
    if (catalog != NULL)
        catalog_unlock(catalog);
}

/* Field number n, from 0, of a record; the binder knows its type and calls it for (x).field. */
static void fn_record_field(struct fn_call *call, const struct column *args, struct column *result)
{
    memset(result->data, 0, (size_t)call->rows * phys_bytes(result->phys));
    for (uint32_t i = 0; i < call->rows; i++) {
        if (column_is_null(result, i))
            continue;
        struct record_view view;
        record_open(&COLUMN_VAR(&args[0])[COLUMN_AT(&args[0], i)], &view);
        const uint8_t *cursor = view.fields;
        int32_t left = i32_at(&args[1], i);
        struct datum value = datum_null();
        uint32_t type_oid = 0;
        while (record_next(&view, &cursor, &type_oid, &value) && left-- > 0)
            value = datum_null();
        if (value.is_null || type_oid != call->result_type.oid)
            fn_set_null(call, result, i);
        else
            column_set(result, i, &value, call->rows, call->arena);
    }
}

/* ---- sets ---- */

static void set_options(struct fn_call *call, const struct column *args, struct srf_output *output)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        if (column_is_null(&args[0], i))
            continue;
        struct array_view array;
        array_open(&COLUMN_VAR(&args[0])[COLUMN_AT(&args[0], i)], &array);
        const uint8_t *cursor = array.elements;
        for (struct datum item; array_next(&array, &cursor, &item);) {
            if (item.is_null)
                continue;
            const char *text = (const char *)varlen_bytes(&item.var);
            const char *equals = memchr(text, '=', item.var.len);
            size_t name_len = equals != NULL ? (size_t)(equals - text) : item.var.len;
            struct datum values[2] = {datum_text(output->arena, text, name_len), datum_null()};
            if (equals != NULL)
                values[1] = datum_text(output->arena, equals + 1, item.var.len - name_len - 1);
            srf_append(output, i, values);
        }
    }
}

static void set_expand_array(struct fn_call *call, const struct column *args, struct srf_output *output)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        if (column_is_null(&args[0], i))
            continue;
        struct array_view array;
        array_open(&COLUMN_VAR(&args[0])[COLUMN_AT(&args[0], i)], &array);
        const uint8_t *cursor = array.elements;
        struct datum values[2];
        for (int32_t n = 1; array_next(&array, &cursor, &values[0]); n++) {
            values[1] = datum_i32(n);
            srf_append(output, i, values);
        }
    }
}

/* ---- rows ---- */

#define VISIBLE(name, kernel, help)                                                                          \
    {                                                                                                        \
        name, "oid", "bool", kernel, help, FN_STABLE                                                         \
    }
#define NOTHING(name, args, result, help)                                                                    \
    {                                                                                                        \
        name, args, result, fn_null, help, FN_STABLE                                                         \
    }

const struct function_row fn_catalog_rows[] = {
    {"current_user", "", "name", fn_current_user, "current_user is the name of the session's user",
     FN_STABLE},
    {"session_user", "", "name", fn_current_user, "session_user is the name of the session's user",
     FN_STABLE},
    {"current_role", "", "name", fn_current_user, "current_role is the name of the session's user",
     FN_STABLE},
    {"user", "", "name", fn_current_user, "user is the name of the session's user", FN_STABLE},
    {"current_database", "", "name", fn_current_database, "current_database() is the database's name",
     FN_STABLE},
    {"current_catalog", "", "name", fn_current_database, "current_catalog is the database's name", FN_STABLE},
    {"current_schema", "", "name", fn_current_schema,
     "current_schema() is the first schema of the search path", FN_STABLE},
    {"current_schemas", "bool", "name[]", fn_current_schemas,
     "current_schemas(true) gives the search path, pg_catalog included", FN_STABLE},
    {"inet_client_addr", "", "text", fn_client_address, "inet_client_addr() is the client's address",
     FN_STABLE},
    {"inet_client_port", "", "int4", fn_client_port, "inet_client_port() is the client's port", FN_STABLE},
    {"pg_backend_pid", "", "int4", fn_backend_pid, "pg_backend_pid() is the session's number", FN_STABLE},
    {"txid_current", "", "int8", fn_txid, "txid_current() is the transaction's number", FN_STABLE},
    {"txid_current_if_assigned", "", "int8", fn_txid,
     "txid_current_if_assigned() is the transaction's number", FN_STABLE},
    {"pg_current_xact_id", "", "int8", fn_txid, "pg_current_xact_id() is the transaction's number",
     FN_STABLE},
    {"pg_is_in_recovery", "", "bool", fn_false, "pg_is_in_recovery() is false: there are no standbys",
     FN_STABLE},
    {"pg_is_wal_replay_paused", "", "bool", fn_false, "pg_is_wal_replay_paused() is false", FN_STABLE},
    {"pg_my_temp_schema", "", "oid", fn_zero, "pg_my_temp_schema() is 0: there are no temporary schemas",
     FN_STABLE},
    {"pg_is_other_temp_schema", "oid", "bool", fn_false, "pg_is_other_temp_schema(2200) is false", FN_STABLE},

    {"format_type", "oid,int4", "text", fn_format_type, "format_type(1043, 14) gives 'character varying(10)'",
     FN_NULLS | FN_STABLE},
    {"pg_get_userbyid", "oid", "name", fn_userbyid, "pg_get_userbyid(10) gives the role's name", FN_STABLE},
    {"to_regclass", "text", "regclass", to_reg, "to_regclass('t') gives NULL when there is no t", FN_STABLE},
    {"to_regtype", "text", "regtype", to_reg, "to_regtype('int') gives 'integer'", FN_STABLE},
    {"to_regnamespace", "text", "regnamespace", to_reg, "to_regnamespace('public')", FN_STABLE},
    {"to_regproc", "text", "regproc", to_reg, "to_regproc('now')", FN_STABLE},
    VISIBLE("pg_table_is_visible", fn_table_is_visible,
            "pg_table_is_visible(oid): found without its schema?"),
    VISIBLE("pg_type_is_visible", fn_type_is_visible, "pg_type_is_visible(23) is true"),
    VISIBLE("pg_function_is_visible", fn_function_is_visible, "pg_function_is_visible(oid) is true"),
    VISIBLE("pg_operator_is_visible", fn_operator_is_visible, "pg_operator_is_visible(oid) is true"),
    VISIBLE("pg_opclass_is_visible", fn_true, "pg_opclass_is_visible(oid) is true"),
    VISIBLE("pg_opfamily_is_visible", fn_true, "pg_opfamily_is_visible(oid) is true"),
    VISIBLE("pg_collation_is_visible", fn_true, "pg_collation_is_visible(100) is true"),
    VISIBLE("pg_conversion_is_visible", fn_null, "pg_conversion_is_visible(oid) is NULL: there are none"),
    VISIBLE("pg_statistics_obj_is_visible", fn_null,
            "pg_statistics_obj_is_visible(oid) is NULL: there are none"),
    VISIBLE("pg_ts_config_is_visible", fn_null, "pg_ts_config_is_visible(oid) is NULL: there are none"),
    VISIBLE("pg_ts_dict_is_visible", fn_null, "pg_ts_dict_is_visible(oid) is NULL: there are none"),
    VISIBLE("pg_ts_parser_is_visible", fn_null, "pg_ts_parser_is_visible(oid) is NULL: there are none"),
    VISIBLE("pg_ts_template_is_visible", fn_null, "pg_ts_template_is_visible(oid) is NULL: there are none"),
    {"getdatabaseencoding", "", "name", fn_encoding, "getdatabaseencoding() is UTF8", FN_STABLE},
    {"pg_client_encoding", "", "name", fn_encoding, "pg_client_encoding() is UTF8", FN_STABLE},
    {"pg_encoding_to_char", "int4", "name", fn_encoding_to_char, "pg_encoding_to_char(6) gives 'UTF8'"},
    {"pg_char_to_encoding", "name", "int4", fn_char_to_encoding, "pg_char_to_encoding('UTF8') gives 6"},

    {"obj_description", "oid,name", "text", fn_obj_description, "obj_description('t'::regclass, 'pg_class')",
     FN_STABLE},
    {"obj_description", "oid", "text", fn_obj_description, "obj_description('t'::regclass)", FN_STABLE},
    {"col_description", "oid,int4", "text", fn_col_description, "col_description('t'::regclass, 1)",
     FN_STABLE},
    NOTHING("shobj_description", "oid,name", "text", "shobj_description(oid, 'pg_database') is NULL"),

    {"pg_relation_size", "regclass", "int8", fn_relation_size, "pg_relation_size('t'): bytes of its rows",
     FN_STABLE},
    {"pg_relation_size", "regclass,text", "int8", fn_relation_size,
     "pg_relation_size('t', 'main'): bytes of its rows", FN_STABLE},
    {"pg_table_size", "regclass", "int8", fn_relation_size, "pg_table_size('t'): bytes of its rows",
     FN_STABLE},
    {"pg_indexes_size", "regclass", "int8", fn_indexes_size,
     "pg_indexes_size('t') is 0: counted with the rows", FN_STABLE},
    {"pg_total_relation_size", "regclass", "int8", fn_total_relation_size,
     "pg_total_relation_size('v'): bytes of its rows and of a view's operators", FN_STABLE},
    {"pg_database_size", "name", "int8", fn_database_size,
     "pg_database_size('d'): bytes of all rows and states", FN_STABLE},
    {"pg_database_size", "oid", "int8", fn_database_size, "pg_database_size(5): bytes of all rows and states",
     FN_STABLE},
    {"pg_tablespace_size", "name", "int8", fn_database_size, "pg_tablespace_size('pg_default')", FN_STABLE},
    {"pg_tablespace_size", "oid", "int8", fn_database_size, "pg_tablespace_size(1663)", FN_STABLE},
    {"pg_size_pretty", "int8", "text", fn_size_pretty, "pg_size_pretty(123456) gives '121 kB'"},
    {"pg_size_pretty", "numeric", "text", fn_size_pretty_numeric, "pg_size_pretty(123456.0) gives '121 kB'"},
    {"pg_relation_filenode", "regclass", "oid", fn_null,
     "pg_relation_filenode('t') is NULL: rows lie in no file", FN_STABLE},
    NOTHING("pg_relation_filepath", "regclass", "text",
            "pg_relation_filepath('t') is NULL: rows lie in no file"),
    {"pg_tablespace_location", "oid", "text", fn_empty_text, "pg_tablespace_location(1663) is ''", FN_STABLE},
    NOTHING("pg_stat_get_numscans", "oid", "int8",
            "pg_stat_get_numscans(oid) is NULL: scans are not counted"),

    {"pg_relation_is_updatable", "regclass,bool", "int4", fn_relation_is_updatable,
     "pg_relation_is_updatable('t', false): 4 update, 8 insert, 16 delete", FN_STABLE},
    {"pg_column_is_updatable", "regclass,int2,bool", "bool", fn_column_is_updatable,
     "pg_column_is_updatable('t', 1, false)", FN_STABLE},
    {"pg_relation_is_publishable", "regclass", "bool", fn_false, "pg_relation_is_publishable('t') is false",
     FN_STABLE},
    {"row_security_active", "oid", "bool", fn_false, "row_security_active(oid) is false", FN_STABLE},
    {"row_security_active", "text", "bool", fn_false, "row_security_active('t') is false", FN_STABLE},

    {"record_field", "record,int4", "anyelement", fn_record_field, "(x).field of a record", FN_HIDDEN},
    {.name = "pg_options_to_table",
     .args = "text[]",
     .result = "setof record(option_name text, option_value text)",
     .help = "pg_options_to_table('{a=b}') gives a, b",
     .flags = FN_SET | FN_STABLE,
     .set = set_options},
    {.name = "_pg_expandarray",
     .args = "int2vector",
     .result = "setof record(x int2, n int4)",
     .help = "_pg_expandarray(indkey) gives each element and its number, from 1",
     .flags = FN_SET,
     .set = set_expand_array},
    {.name = "_pg_expandarray",
     .args = "oidvector",
     .result = "setof record(x oid, n int4)",
     .help = "_pg_expandarray(indclass) gives each element and its number, from 1",
     .flags = FN_SET,
     .set = set_expand_array},
    NOTHING("acldefault", "char,oid", "text[]",
            "acldefault('r', 10) is NULL: privileges are not granted one by one"),
    {.name = "aclexplode",
     .args = "text[]",
     .result = "setof record(grantor oid, grantee oid, privilege_type text, is_grantable bool)",
     .help = "aclexplode(acl) gives no rows: privileges are not granted one by one",
     .flags = FN_SET | FN_STABLE,
     .set = set_none},
    {.name = "pg_partition_ancestors",
     .args = "regclass",
     .result = "setof regclass",
     .help = "pg_partition_ancestors('t') gives no rows: there are no partitions",
     .flags = FN_SET | FN_STABLE,
     .set = set_none},
    {.name = "pg_partition_tree",
     .args = "regclass",
     .result = "setof record(relid regclass, parentrelid regclass, isleaf bool, level int4)",
     .help = "pg_partition_tree('t') gives no rows: there are no partitions",
     .flags = FN_SET | FN_STABLE,
     .set = set_none},
};
const size_t fn_catalog_rows_count = ARRAY_COUNT(fn_catalog_rows);

/* What comes on top of others of the same name: casts of the oid types that only catalogs use. */
#define SAME_BYTES(source, target)                                                                           \
    {                                                                                                        \
        "cast", source, target, NULL, source "::" target, FN_CAST | FN_CAST_IMPLICIT | FN_CAST_ASSIGNMENT    \
    }
static const struct function_row extra_rows[] = {
    {"age", "xid", "int4", fn_zero, "age(xmin) is 0: catalogs are made when they are read", FN_STABLE},

    SAME_BYTES("oid", "regprocedure"),
    SAME_BYTES("regprocedure", "oid"),
    SAME_BYTES("regproc", "regprocedure"),
    SAME_BYTES("regprocedure", "regproc"),
    SAME_BYTES("oid", "regoper"),
    SAME_BYTES("regoper", "oid"),
    SAME_BYTES("oid", "regoperator"),
    SAME_BYTES("regoperator", "oid"),
    SAME_BYTES("oid", "regrole"),
    SAME_BYTES("regrole", "oid"),
};

/* Adds the runs of rows whose name no table had before. */
static void add_unknown(const struct function_row *rows, size_t count)
{
    bool *known = mem_zalloc(count + 1);
    for (size_t i = 0; i < count; i++) {
        const struct function_row *const *found;
        known[i] = function_find(rows[i].name, false, &found) > 0;
    }
    known[count] = true;
    for (size_t i = 0, start = 0; i <= count; i++) {
        if (!known[i])
            continue;
        if (i > start)
            function_registry_add(rows + start, i - start);
        start = i + 1;
    }
    mem_free(known);
}

static void register_tables(void)
{
    function_registry_add(extra_rows, ARRAY_COUNT(extra_rows));
    add_unknown(fn_catalog_rows, fn_catalog_rows_count);
    add_unknown(fn_definition_rows, fn_definition_rows_count);
    add_unknown(fn_privilege_rows, fn_privilege_rows_count);
    add_unknown(fn_keywords_rows, fn_keywords_rows_count);
}

void fn_catalog_register(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_tables);
}
