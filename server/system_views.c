/* system_views.c: see system_views.h. */
#include "server/system_views.h"

#include "planner/fn_catalog.h"
#include "planner/reg_names.h"
#include "server/session.h"
#include "server/sysview.h"
#include "storage/data/array.h"

#include <pthread.h>

struct system_view {
    struct server *server;
    const struct system_view_row *row;
    uint32_t columns_count;
    const char **names;
    struct sql_type *types;
    struct datum *defaults;
};

/* ---- the row being made ---- */

static uint32_t column_of(struct sys_rows *rows, const char *name)
{
    const struct system_view *view = rows->view;
    for (uint32_t i = 0; i < view->columns_count; i++) {
        uint32_t at = (rows->cursor + i) % view->columns_count;
        if (strcmp(view->names[at], name) == 0) {
            rows->cursor = at + 1;
            return at;
        }
    }
    CHECK(false); /* a row function names a column that its view has not */
    return 0;
}

static uint32_t column_type(const struct sys_rows *rows, uint32_t column)
{
    return rows->view->types[column].oid;
}

void sys_int(struct sys_rows *rows, const char *column, int64_t value)
{
    uint32_t at = column_of(rows, column);
    struct datum *out = &rows->values[at];
    out->is_null = false;
    switch (type_phys(column_type(rows, at))) {
    case PHYS_I16:
        out->i16 = (int16_t)value;
        break;
    case PHYS_I32:
        out->i32 = (int32_t)value;
        break;
    case PHYS_I64:
        out->i64 = value;
        break;
    case PHYS_F32:
        out->f32 = (float)value;
        break;
    case PHYS_F64:
        out->f64 = (double)value;
        break;
    default:
        CHECK(false);
    }
}

void sys_real(struct sys_rows *rows, const char *column, double value)
{
    uint32_t at = column_of(rows, column);
    rows->values[at].is_null = false;
    if (type_phys(column_type(rows, at)) == PHYS_F32)
        rows->values[at].f32 = (float)value;
    else
        rows->values[at].f64 = value;
}

void sys_bool(struct sys_rows *rows, const char *column, bool value)
{
    rows->values[column_of(rows, column)] = datum_bool(value);
}

void sys_text(struct sys_rows *rows, const char *column, const char *value)
{
    uint32_t at = column_of(rows, column);
    if (value == NULL)
        rows->values[at] = datum_null();
    else
        rows->values[at] = (struct datum){.var = varlen_view(value, (uint32_t)strlen(value))};
}

void sys_textf(struct sys_rows *rows, const char *column, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = arena_vprintf(rows->arena, format, args);
    va_end(args);
    sys_text(rows, column, text);
}

void sys_char(struct sys_rows *rows, const char *column, char value)
{
    rows->values[column_of(rows, column)] = (struct datum){.var = varlen_view(&value, value != '\0')};
}

void sys_null(struct sys_rows *rows, const char *column)
{
    rows->values[column_of(rows, column)] = datum_null();
}

void sys_interval(struct sys_rows *rows, const char *column, int64_t us)
{
    rows->values[column_of(rows, column)] = (struct datum){.interval = {.us = us}};
}

void sys_yes(struct sys_rows *rows, const char *column, bool value)
{
    sys_text(rows, column, value ? "YES" : "NO");
}

void sys_int_array(struct sys_rows *rows, const char *column, const int64_t *values, uint32_t count)
{
    uint32_t at = column_of(rows, column);
    const struct type_row *type = type_find(column_type(rows, at));
    enum phys phys = type_phys(type->element_oid);
    struct datum *elements = ARENA_ARRAY(rows->arena, struct datum, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        if (phys == PHYS_I16)
            elements[i].i16 = (int16_t)values[i];
        else if (phys == PHYS_I32)
            elements[i].i32 = (int32_t)values[i];
        else
            elements[i].i64 = values[i];
    }
    bool is_vector = type->oid == OID_INT2VECTOR || type->oid == OID_OIDVECTOR;
    int32_t length = (int32_t)count, bound = 0;
    rows->values[at] = (struct datum){
        .var = is_vector && count > 0
                   ? array_make_dims(rows->arena, type->element_oid, elements, 1, &length, &bound)
                   : array_make(rows->arena, type->element_oid, elements, count)};
}

void sys_text_array(struct sys_rows *rows, const char *column, const char *const *values, uint32_t count)
{
    uint32_t at = column_of(rows, column);
    struct datum *elements = ARENA_ARRAY(rows->arena, struct datum, count + 1);
    for (uint32_t i = 0; i < count; i++)
        elements[i] = (struct datum){.var = varlen_view(values[i], (uint32_t)strlen(values[i]))};
    uint32_t element_oid = type_find(column_type(rows, at))->element_oid;
    rows->values[at] = (struct datum){.var = array_make(rows->arena, element_oid, elements, count)};
}

static void row_begin(struct sys_rows *rows)
{
    if (rows->view->columns_count > 0)
        memcpy(rows->values, rows->view->defaults, rows->view->columns_count * sizeof(struct datum));
    rows->cursor = 0;
}

void sys_end(struct sys_rows *rows)
{
    batch_append_datums(rows->out, rows->values, 1);
    row_begin(rows);
}

/* ---- the catalog as it was ---- */

struct catalog_object *sys_object(const struct sys_rows *rows, uint32_t oid)
{
    uint32_t low = 0, high = rows->objects_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (rows->objects[middle]->oid < oid)
            low = middle + 1;
        else
            high = middle;
    }
    return low < rows->objects_count && rows->objects[low]->oid == oid ? rows->objects[low] : NULL;
}

const char *sys_schema_name(const struct sys_rows *rows, uint32_t schema_oid)
{
    for (uint32_t i = 0; i < rows->schemas_count; i++)
        if (rows->schemas[i].oid == schema_oid)
            return rows->schemas[i].name;
    return NULL;
}

const char *sys_format_type(struct sys_rows *rows, struct sql_type type)
{
    struct strbuf out = STRBUF_INIT;
    type_format(type.oid, type.typmod, &out);
    const char *text = arena_strndup(rows->arena, strbuf_text(&out), out.len);
    strbuf_release(&out);
    return text;
}

/* Is the text one string constant, E'...' left out? */
static bool is_string_constant(const char *text)
{
    if (*text != '\'')
        return false;
    for (text++; *text != '\0'; text++) {
        if (*text != '\'')
            continue;
        if (text[1] != '\'')
            return text[1] == '\0';
        text++;
    }
    return false;
}

const char *sys_default(struct sys_rows *rows, const struct catalog_column *column)
{
    const char *text = column->default_sql;
    if (text == NULL)
        return NULL;
    static const char nextval[] = "nextval(";
    size_t len = strlen(text);
    const char *result = text;
    struct strbuf out = STRBUF_INIT;
    if (strncmp(text, nextval, strlen(nextval)) == 0 && text[len - 1] == ')') {
        const char *name = arena_strndup(rows->arena, text + strlen(nextval), len - strlen(nextval) - 1);
        struct catalog_object *sequence;
        struct error err;
        if (is_string_constant(name) &&
            reg_names_relation(rows->info, name + 1, strlen(name) - 2, &sequence, &err)) {
            struct catalog *catalog = rows->server->catalog;
            catalog_read_lock(catalog);
            strbuf_adds(&out, "nextval('");
            reg_names_object(catalog, rows->info, sequence, false, &out);
            strbuf_adds(&out, "'::regclass)");
            catalog_unlock(catalog);
            catalog_object_release(sequence);
            result = arena_strndup(rows->arena, strbuf_text(&out), out.len);
        }
    } else if (is_string_constant(text)) {
        strbuf_adds(&out, text);
        strbuf_adds(&out, "::");
        if (column->type.oid == OID_BPCHAR)
            strbuf_adds(&out, "bpchar");
        else
            type_format(column->type.oid, -1, &out);
        result = arena_strndup(rows->arena, strbuf_text(&out), out.len);
    }
    strbuf_release(&out);
    return result;
}

const char *sys_owner(const struct sys_rows *rows)
{
    return ROLE_OWNER_NAME;
}

char sys_relkind(const struct catalog_object *object)
{
    switch (object->kind) {
    case CATALOG_TABLE:
    case CATALOG_STREAM:
        return 'r';
    case CATALOG_VIEW:
        return 'v';
    case CATALOG_MATERIALIZED_VIEW:
        return 'm';
    case CATALOG_INDEX:
        return 'i';
    case CATALOG_SEQUENCE:
        return 'S';
    case CATALOG_EXTERNAL_TABLE:
        return 'f';
    case CATALOG_SINK: /* not among the objects */
        return 'p';
    case CATALOG_SYSTEM_VIEW:
        return system_view_of(object)->relkind;
    }
    return 'r';
}

bool sys_is_user_table(const struct catalog_object *object)
{
    return object->kind == CATALOG_TABLE || object->kind == CATALOG_STREAM;
}

bool sys_has_columns(const struct catalog_object *object)
{
    return object->kind != CATALOG_INDEX && object->kind != CATALOG_SEQUENCE;
}

/* ---- sessions ---- */

struct session_list {
    struct sys_rows *rows;
    struct sys_session *items;
    uint32_t count, cap;
};

static void copy_session(void *ctx, struct session *session)
{
    struct session_list *list = ctx;
    struct arena *arena = list->rows->arena;
    if (session->server != list->rows->server)
        return;
    bool in_txn = session->shown.txn_state != TXN_IDLE && session->shown.txn_state != 0;
    struct sys_session item = {.pid = session->pid,
                               .is_own = list->rows->info->session == session,
                               .user = arena_strdup(arena, session->user),
                               .database = arena_strdup(arena, session->database),
                               .application_name = arena_strdup(arena, session->shown.application_name),
                               .query = arena_strdup(arena, session->shown.query),
                               .client_address = session->client_address[0] != '\0'
                                                     ? arena_strdup(arena, session->client_address)
                                                     : NULL,
                               .client_port = session->client_port,
                               .txn_state = in_txn ? (char)session->shown.txn_state : 'I',
                               .is_running = session->current_sql != NULL,
                               .backend_start_us = session->backend_start_us,
                               .txn_start_us = session->shown.txn_start_us,
                               .statement_start_us = session->shown.query_start_us,
                               .state_change_us = session->state_change_us};
    ARENA_PUSH(arena, list->items, list->count, list->cap, item);
}

const struct sys_session *sys_sessions(struct sys_rows *rows, uint32_t *count)
{
    struct session_list list = {.rows = rows};
    session_for_each(copy_session, &list);
    *count = list.count;
    return list.items;
}

const char **sys_roles(struct sys_rows *rows, uint32_t *count)
{
    uint32_t sessions_count, cap = 0;
    const struct sys_session *sessions = sys_sessions(rows, &sessions_count);
    const char **names = NULL;
    *count = 0;
    const char *owner = ROLE_OWNER_NAME;
    ARENA_PUSH(rows->arena, names, *count, cap, owner);
    for (uint32_t i = 0; i < sessions_count; i++) {
        bool known = false;
        for (uint32_t j = 0; j < *count && !known; j++)
            known = strcmp(names[j], sessions[i].user) == 0;
        if (!known)
            ARENA_PUSH(rows->arena, names, *count, cap, sessions[i].user);
    }
    return names;
}

static void copy_catalog(struct sys_rows *rows, struct catalog *catalog)
{
    uint32_t cap = 0, sinks_cap = 0, schemas_cap = 0;
    catalog_read_lock(catalog);
    struct catalog_object *object;
    for (uint32_t cursor = 0; (object = catalog_next(catalog, &cursor)) != NULL;) {
        catalog_object_retain(object);
        if (object->kind == CATALOG_SINK)
            ARENA_PUSH(rows->arena, rows->sinks, rows->sinks_count, sinks_cap, object);
        else
            ARENA_PUSH(rows->arena, rows->objects, rows->objects_count, cap, object);
    }
    const struct catalog_schema *schema;
    for (uint32_t cursor = 0; (schema = catalog_next_schema(catalog, &cursor)) != NULL;) {
        struct catalog_schema copy = *schema;
        copy.name = arena_strdup(rows->arena, schema->name);
        ARENA_PUSH(rows->arena, rows->schemas, rows->schemas_count, schemas_cap, copy);
    }
    catalog_unlock(catalog);
}

/* ---- reading a view ---- */

static bool view_rows(void *ctx, const struct eval_env *env, struct batch *out, struct error *err)
{
    static const struct session_info nobody = {.user = ROLE_OWNER_NAME, .database = ROLE_OWNER_NAME};
    const struct system_view *view = ctx;
    if (view->row->rows == NULL)
        return true;
    struct arena arena;
    arena_init(&arena, NULL);
    struct sys_rows rows = {.server = view->server,
                            .env = env,
                            .info = env->session != NULL ? env->session : &nobody,
                            .arena = &arena,
                            .view = view,
                            .out = out,
                            .values = ARENA_ARRAY(&arena, struct datum, view->columns_count)};
    copy_catalog(&rows, view->server->catalog);
    row_begin(&rows);
    bool ok = view->row->rows(&rows, err);
    for (uint32_t i = 0; i < rows.objects_count; i++)
        catalog_object_release(rows.objects[i]);
    for (uint32_t i = 0; i < rows.sinks_count; i++)
        catalog_object_release(rows.sinks[i]);
    arena_release(&arena);
    return ok;
}

/* ---- making the views ---- */

/* One item of the columns text: its name, type and default. Returns what follows it. */
static const char *parse_column(struct system_view *view, struct arena *arena, const char *at,
                                struct strbuf *plain)
{
    size_t item = 0;
    bool quoted = false;
    for (; at[item] != '\0' && (at[item] != ',' || quoted); item++)
        quoted ^= at[item] == '\'';
    const char *equals = memchr(at, '=', item);
    size_t declared = equals != NULL ? (size_t)(equals - at) : item;
    while (declared > 0 && at[declared - 1] == ' ')
        declared--;
    strbuf_adds(plain, plain->len > 0 ? ", " : "");
    strbuf_add(plain, at, declared);

    size_t name = strcspn(at, " ");
    CHECK(name < declared);
    uint32_t number = view->columns_count++;
    view->names[number] = arena_strndup(arena, at, name);
    const struct type_row *type = type_find_name(arena_strndup(arena, at + name + 1, declared - name - 1));
    CHECK(type != NULL);
    view->types[number] = (struct sql_type){.oid = type->oid, .typmod = -1};
    view->defaults[number] = datum_null();
    if (equals != NULL) {
        const char *value = equals + 1 + strspn(equals + 1, " ");
        size_t len = (size_t)(at + item - value);
        while (len > 0 && value[len - 1] == ' ')
            len--;
        if (len >= 2 && value[0] == '\'') {
            value++;
            len -= 2;
        }
        struct error err;
        bool ok =
            type_input(type->oid, -1, value, len, &io_env_default, arena, &view->defaults[number], &err);
        CHECK(ok);
    }
    at += item;
    return at + (*at == ',') + strspn(at + (*at == ','), " \n");
}

static uint32_t count_columns(const char *columns)
{
    uint32_t count = 1;
    bool quoted = false;
    for (; *columns != '\0'; columns++) {
        quoted ^= *columns == '\'';
        count += *columns == ',' && !quoted;
    }
    return count;
}

static void register_view(struct server *server, const struct system_view_row *row)
{
    struct arena scratch;
    arena_init(&scratch, NULL);
    struct strbuf plain = STRBUF_INIT;
    /* parsed twice: for the plain text that makes the object, then into the object's own memory */
    uint32_t count = count_columns(row->columns);
    struct catalog_object *object = NULL;
    for (int pass = 0; pass < 2; pass++) {
        struct arena *arena = pass == 0 ? &scratch : &object->arena;
        struct system_view *view = ARENA_NEW(arena, struct system_view);
        *view = (struct system_view){.server = server,
                                     .row = row,
                                     .names = ARENA_ARRAY(arena, const char *, count),
                                     .types = ARENA_ARRAY(arena, struct sql_type, count),
                                     .defaults = ARENA_ARRAY(arena, struct datum, count)};
        strbuf_reset(&plain);
        for (const char *at = row->columns + strspn(row->columns, " \n"); *at != '\0';)
            at = parse_column(view, arena, at, &plain);
        if (pass == 0) {
            catalog_add_system_view(server->catalog, row->schema_oid, row->name, strbuf_text(&plain),
                                    view_rows, view, row->help);
            const struct catalog_schema *schema = catalog_find_schema_oid(server->catalog, row->schema_oid);
            object = catalog_find(server->catalog, schema->name, row->name, NULL);
            CHECK(object != NULL);
        }
        object->system_ctx = view;
    }
    strbuf_release(&plain);
    arena_release(&scratch);
}

static const struct sysview_table {
    const struct system_view_row *rows;
    const size_t *count;
} tables[] = {
#define SYSVIEW_ENTRY(name) {name, &name##_count},
    SYSVIEW_TABLES(SYSVIEW_ENTRY)
#undef SYSVIEW_ENTRY
};

void system_views_register(struct server *server)
{
    catalog_write_lock(server->catalog);
    for (size_t i = 0; i < ARRAY_COUNT(tables); i++)
        for (size_t j = 0; j < *tables[i].count; j++)
            register_view(server, &tables[i].rows[j]);
    catalog_unlock(server->catalog);
}

const struct system_view_row *system_view_at(size_t index)
{
    for (size_t i = 0; i < ARRAY_COUNT(tables); i++) {
        if (index < *tables[i].count)
            return &tables[i].rows[index];
        index -= *tables[i].count;
    }
    return NULL;
}

const struct system_view_row *system_view_of(const struct catalog_object *object)
{
    return ((const struct system_view *)object->system_ctx)->row;
}

static void register_server_functions(void)
{
    function_registry_add(fn_server_rows, fn_server_rows_count);
    function_registry_add(fn_source_rows, fn_source_rows_count);
}

void system_functions_register(void)
{
    fn_catalog_register();
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_server_functions);
}
