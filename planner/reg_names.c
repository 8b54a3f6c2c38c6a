/* reg_names.c: see reg_names.h. */
#include "planner/reg_names.h"

#include "executor/functions/quote.h"
#include "planner/routines.h"
#include "storage/base/limits.h"
#include "storage/data/hash.h"

#include <stdlib.h>

/* ---- names in text ---- */

static bool name_error(const char *text, size_t len, struct error *err)
{
    return error_set(err, ERRCODE_INVALID_NAME, "invalid name syntax: \"%.*s\"", (int)len, text);
}

static size_t skip_blanks(const char *text, size_t len, size_t at)
{
    while (at < len && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r'))
        at++;
    return at;
}

bool reg_names_split(const char *text, size_t len, struct arena *arena, const char *parts[REG_NAME_PARTS_MAX],
                     uint32_t *count, struct error *err)
{
    *count = 0;
    size_t at = skip_blanks(text, len, 0);
    for (;;) {
        char *part = arena_alloc(arena, len + 1);
        size_t part_len = 0;
        if (at < len && text[at] == '"') {
            for (at++;; at++) {
                if (at >= len)
                    return name_error(text, len, err);
                if (text[at] == '"') {
                    if (at + 1 >= len || text[at + 1] != '"')
                        break;
                    at++;
                }
                part[part_len++] = text[at];
            }
            at++;
        } else {
            for (; at < len && text[at] != '.' && text[at] != '"' && text[at] != ' '; at++)
                part[part_len++] = text[at] >= 'A' && text[at] <= 'Z' ? (char)(text[at] + 32) : text[at];
        }
        part[part_len] = '\0';
        if (part_len == 0)
            return name_error(text, len, err);
        if (part_len > NAME_BYTES_MAX)
            part[NAME_BYTES_MAX] = '\0';
        if (*count == REG_NAME_PARTS_MAX)
            return error_set(err, ERRCODE_SYNTAX_ERROR,
                             "improper relation name (too many dotted names): %.*s", (int)len, text);
        parts[(*count)++] = part;
        at = skip_blanks(text, len, at);
        if (at == len)
            return true;
        if (text[at] != '.')
            return name_error(text, len, err);
        at = skip_blanks(text, len, at + 1);
    }
}

/* ---- relations ---- */

static struct catalog *catalog_of(const struct session_info *info)
{
    return info != NULL ? info->catalog : NULL;
}

bool reg_names_relation(const struct session_info *info, const char *text, size_t len,
                        struct catalog_object **out, struct error *err)
{
    *out = NULL;
    struct catalog *catalog = catalog_of(info);
    struct arena arena;
    arena_init(&arena, NULL);
    const char *parts[REG_NAME_PARTS_MAX];
    uint32_t count;
    bool ok = reg_names_split(text, len, &arena, parts, &count, err);
    if (ok && count == 3 && strcmp(parts[0], info->database) != 0) {
        ok = error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                       "cross-database references are not implemented: \"%s.%s.%s\"", parts[0], parts[1],
                       parts[2]);
    } else if (ok) {
        const char *schema = count > 1 ? parts[count - 2] : NULL, *name = parts[count - 1];
        if (catalog != NULL) {
            catalog_read_lock(catalog);
            *out = catalog_find(catalog, schema, name, info->search_path);
            if (*out != NULL)
                catalog_object_retain(*out);
            catalog_unlock(catalog);
        }
        if (*out == NULL)
            ok = schema != NULL
                     ? error_set(err, ERRCODE_UNDEFINED_TABLE, "relation \"%s.%s\" does not exist", schema,
                                 name)
                     : error_set(err, ERRCODE_UNDEFINED_TABLE, "relation \"%s\" does not exist", name);
    }
    arena_release(&arena);
    return ok;
}

bool reg_names_is_visible(struct catalog *catalog, const struct session_info *info,
                          const struct catalog_object *object)
{
    return catalog_find(catalog, NULL, object->name, info->search_path) == object;
}

static void add_name(const char *name, struct strbuf *out)
{
    quote_identifier(name, strlen(name), out);
}

void reg_names_object(struct catalog *catalog, const struct session_info *info,
                      const struct catalog_object *object, bool always_qualified, struct strbuf *out)
{
    if (always_qualified || !reg_names_is_visible(catalog, info, object)) {
        const struct catalog_schema *schema = catalog_find_schema_oid(catalog, object->schema_oid);
        add_name(schema != NULL ? schema->name : "", out);
        strbuf_addc(out, '.');
    }
    add_name(object->name, out);
}

/* ---- types ---- */

/* "Character  Varying" as the table of types knows it; a quoted name stays as it is. */
static char *type_name_fold(struct arena *arena, const char *text, size_t len)
{
    char *name = arena_alloc(arena, len + 1);
    size_t to = 0;
    bool quoted = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '"') {
            quoted = !quoted;
            continue;
        }
        if (!quoted && (c == '\t' || c == '\n'))
            c = ' ';
        if (!quoted && c == ' ' && (to == 0 || name[to - 1] == ' '))
            continue;
        name[to++] = !quoted && c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    while (to > 0 && name[to - 1] == ' ')
        to--;
    name[to] = '\0';
    return name;
}

bool reg_names_type(const char *text, size_t len, struct sql_type *out, struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    *out = (struct sql_type){.oid = 0, .typmod = -1};
    char *name = type_name_fold(&arena, text, len);
    bool was_quoted = memchr(text, '"', len) != NULL, ok = true;
    const char *plain = strncmp(name, "pg_catalog.", 11) == 0 ? name + 11 : name;
    bool qualified = plain != name;

    /* varchar(10)[], timestamp(3) with time zone: the numbers are taken out of the name */
    int32_t args[2];
    uint32_t args_count = 0;
    char *open = strchr(plain, '('), *close = open != NULL ? strchr(open, ')') : NULL;
    if (close != NULL) {
        for (char *at = open + 1; at < close && args_count < 2; at += *at == ',') {
            char *end;
            args[args_count++] = (int32_t)strtol(at, &end, 10);
            at = end > at ? end : close;
        }
        memmove(open, close + 1, strlen(close + 1) + 1);
    }
    bool is_array = false;
    for (size_t end = strlen(plain); end >= 2 && plain[end - 1] == ']';) {
        char *bracket = strrchr(plain, '[');
        if (bracket == NULL)
            break;
        *bracket = '\0';
        is_array = true;
        end = strlen(plain);
    }
    /* an unquoted char is the SQL type */
    const struct type_row *type = !was_quoted && !qualified && strcmp(plain, "char") == 0
                                      ? type_find(OID_BPCHAR)
                                      : type_find_name(plain);
    if (type != NULL && is_array)
        type = type->element_oid != 0 && type->category == 'A' ? type : type_find(type->array_oid);
    if (type == NULL) {
        ok = error_set(err, ERRCODE_UNDEFINED_OBJECT, "type \"%s\" does not exist", name);
    } else {
        out->oid = type->oid;
        if (args_count > 0)
            ok = type_typmod(is_array ? type->element_oid : type->oid, args, args_count, &out->typmod, err);
    }
    arena_release(&arena);
    return ok;
}

/* ---- functions ---- */

/* Of "name" or "pg_catalog.name". */
static bool routine_input(const char *text, size_t len, bool with_args, uint32_t *value, struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    const char *open = with_args ? memchr(text, '(', len) : NULL;
    size_t name_len = open != NULL ? (size_t)(open - text) : len;
    const char *parts[REG_NAME_PARTS_MAX];
    uint32_t parts_count;
    bool ok = true;
    if (with_args && open == NULL) {
        ok = error_set(err, ERRCODE_INVALID_TEXT_REPRESENTATION, "expected a left parenthesis");
        goto out;
    }
    if (!reg_names_split(text, name_len, &arena, parts, &parts_count, err)) {
        ok = false;
        goto out;
    }
    size_t count = 0, matches = 0;
    const struct routine *first = routine_find_name(parts[parts_count - 1], &count);
    if (parts_count > 1 && strcmp(parts[parts_count - 2], "pg_catalog") != 0)
        count = 0;
    struct strbuf wanted = STRBUF_INIT, has = STRBUF_INIT;
    if (with_args) {
        /* each type in its canonical spelling */
        const char *at = open + 1, *end = memchr(at, ')', len - (size_t)(at - text));
        end = end != NULL ? end : text + len;
        while (ok && at < end) {
            const char *comma = memchr(at, ',', (size_t)(end - at));
            const char *stop = comma != NULL ? comma : end;
            struct sql_type type;
            ok = reg_names_type(at, (size_t)(stop - at), &type, err);
            if (ok) {
                strbuf_adds(&wanted, wanted.len > 0 ? ", " : "");
                type_format(type.oid, -1, &wanted);
            }
            at = stop + 1;
        }
    }
    for (size_t i = 0; ok && i < count; i++) {
        const struct routine *routine = &first[i];
        if (routine->kind == ROUTINE_OPERATOR)
            continue;
        if (with_args) {
            strbuf_reset(&has);
            for (uint32_t arg = 0; arg < routine->signature->args_count; arg++) {
                strbuf_adds(&has, arg > 0 ? ", " : "");
                type_format(routine->signature->args[arg], -1, &has);
            }
            if (strcmp(strbuf_text(&has), strbuf_text(&wanted)) != 0)
                continue;
        }
        *value = routine->oid;
        matches++;
    }
    if (ok && matches == 0)
        ok = error_set(err, ERRCODE_UNDEFINED_FUNCTION, "function \"%.*s\" does not exist", (int)len, text);
    else if (ok && matches > 1)
        ok = error_set(err, ERRCODE_AMBIGUOUS_FUNCTION, "more than one function named \"%.*s\"", (int)len,
                       text);
    strbuf_release(&wanted);
    strbuf_release(&has);
out:
    arena_release(&arena);
    return ok;
}

static bool routine_output(uint32_t oid, bool with_args, struct strbuf *out)
{
    const struct routine *routine = routine_find_oid(oid);
    if (routine == NULL)
        return false;
    size_t count;
    (void)routine_find_name(routine->name, &count);
    if (!with_args && count > 1)
        strbuf_adds(out, "pg_catalog.");
    add_name(routine->name, out);
    if (with_args) {
        strbuf_addc(out, '(');
        for (uint32_t i = 0; i < routine->signature->args_count; i++) {
            strbuf_adds(out, i > 0 ? "," : "");
            type_format(routine->signature->args[i], -1, out);
        }
        strbuf_addc(out, ')');
    }
    return true;
}

static bool operator_output(uint32_t oid, bool with_args, struct strbuf *out)
{
    const struct routine *routine = routine_find_operator(oid);
    if (routine == NULL)
        return false;
    size_t count;
    (void)routine_find_name(routine->name, &count);
    strbuf_adds(out, !with_args && count > 1 ? "pg_catalog." : "");
    strbuf_adds(out, routine->name);
    if (with_args) {
        bool is_prefix = routine->signature->args_count == 1;
        strbuf_adds(out, is_prefix ? "(NONE," : "(");
        type_format(routine->signature->args[0], -1, out);
        if (!is_prefix) {
            strbuf_addc(out, ',');
            type_format(routine->signature->args[1], -1, out);
        }
        strbuf_addc(out, ')');
    }
    return true;
}

/* ---- roles ---- */

uint32_t role_oid(const char *name)
{
    if (strcmp(name, ROLE_OWNER_NAME) == 0)
        return ROLE_OWNER_OID;
    return FIRST_USER_OID + (uint32_t)(hash_bytes(name, strlen(name)) % 0x7fff0000u);
}

const char *role_name(const struct session_info *info, uint32_t oid)
{
    if (oid == ROLE_OWNER_OID)
        return ROLE_OWNER_NAME;
    return info != NULL && info->user != NULL && role_oid(info->user) == oid ? info->user : NULL;
}

/* ---- the callbacks ---- */

static bool schema_input(const struct session_info *info, const char *text, size_t len, uint32_t *value,
                         struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    const char *parts[REG_NAME_PARTS_MAX];
    uint32_t count;
    bool ok = reg_names_split(text, len, &arena, parts, &count, err);
    if (ok && count != 1)
        ok = error_set(err, ERRCODE_INVALID_NAME, "invalid name syntax");
    if (ok) {
        struct catalog *catalog = catalog_of(info);
        const struct catalog_schema *schema = NULL;
        if (catalog != NULL) {
            catalog_read_lock(catalog);
            schema = catalog_find_schema(catalog, parts[0]);
            if (schema != NULL)
                *value = schema->oid;
            catalog_unlock(catalog);
        }
        if (schema == NULL)
            ok = error_set(err, ERRCODE_INVALID_SCHEMA_NAME, "schema \"%s\" does not exist", parts[0]);
    }
    arena_release(&arena);
    return ok;
}

static bool role_input(const char *text, size_t len, uint32_t *value, struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    const char *parts[REG_NAME_PARTS_MAX];
    uint32_t count;
    bool ok = reg_names_split(text, len, &arena, parts, &count, err);
    if (ok)
        *value = role_oid(parts[0]);
    arena_release(&arena);
    return ok;
}

static bool reg_input(void *ctx, uint32_t type_oid, const char *text, size_t len, uint32_t *value,
                      struct error *err)
{
    const struct session_info *info = ctx;
    switch (type_oid) {
    case OID_REGCLASS: {
        struct catalog_object *object;
        if (!reg_names_relation(info, text, len, &object, err))
            return false;
        *value = object->oid;
        catalog_object_release(object);
        return true;
    }
    case OID_REGTYPE: {
        struct sql_type type;
        if (!reg_names_type(text, len, &type, err))
            return false;
        *value = type.oid;
        return true;
    }
    case OID_REGPROC:
    case OID_REGPROCEDURE:
        return routine_input(text, len, type_oid == OID_REGPROCEDURE, value, err);
    case OID_REGNAMESPACE:
        return schema_input(info, text, len, value, err);
    case OID_REGROLE:
        return role_input(text, len, value, err);
    default:
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "names of this type cannot be read");
    }
}

static bool reg_output(void *ctx, uint32_t type_oid, uint32_t value, struct strbuf *out)
{
    const struct session_info *info = ctx;
    struct catalog *catalog = catalog_of(info);
    bool found = false;
    switch (type_oid) {
    case OID_REGTYPE:
        if (type_find(value) == NULL)
            return false;
        type_format(value, -1, out);
        return true;
    case OID_REGPROC:
    case OID_REGPROCEDURE:
        return routine_output(value, type_oid == OID_REGPROCEDURE, out);
    case OID_REGOPER:
    case OID_REGOPERATOR:
        return operator_output(value, type_oid == OID_REGOPERATOR, out);
    case OID_REGROLE: {
        const char *name = role_name(info, value);
        if (name == NULL)
            return false;
        add_name(name, out);
        return true;
    }
    case OID_REGCLASS:
        if (catalog == NULL)
            return false;
        catalog_read_lock(catalog);
        const struct catalog_object *object = catalog_find_oid(catalog, value);
        found = object != NULL;
        if (found)
            reg_names_object(catalog, info, object, false, out);
        catalog_unlock(catalog);
        return found;
    case OID_REGNAMESPACE:
        if (catalog == NULL)
            return false;
        catalog_read_lock(catalog);
        const struct catalog_schema *schema = catalog_find_schema_oid(catalog, value);
        found = schema != NULL;
        if (found)
            add_name(schema->name, out);
        catalog_unlock(catalog);
        return found;
    default:
        return false;
    }
}

void reg_names_install(struct io_env *io, const struct session_info *info)
{
    io->reg_output = reg_output;
    io->reg_input = reg_input;
    io->reg_ctx = (void *)(uintptr_t)info;
}
