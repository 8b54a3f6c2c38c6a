/* run_set.c: SET in all its forms, RESET, SHOW, DISCARD. */
#include "server/run_set.h"

#include "planner/parse_tree.h"
#include "server/connection.h"
#include "server/session_settings.h"
#include "server/test_clock.h"
#include "server/transaction.h"

#include <stdio.h>
#include <strings.h>

/* Text of one argument of SET: a constant, a name, or INTERVAL '...' of SET TIME ZONE. */
static bool argument_text(const PgQuery__Node *node, struct strbuf *out, struct error *err)
{
    if (node != NULL && node->node_case == PG_QUERY__NODE__NODE_TYPE_CAST)
        return argument_text(node->type_cast->arg, out, err);
    if (node == NULL || node->node_case != PG_QUERY__NODE__NODE_A_CONST)
        return error_set(err, ERRCODE_SYNTAX_ERROR, "SET requires constant values");
    const PgQuery__AConst *constant = node->a_const;
    switch (constant->val_case) {
    case PG_QUERY__A__CONST__VAL_IVAL:
        strbuf_addf(out, "%d", constant->ival->ival);
        break;
    case PG_QUERY__A__CONST__VAL_FVAL:
        strbuf_adds(out, constant->fval->fval);
        break;
    case PG_QUERY__A__CONST__VAL_BOOLVAL:
        strbuf_adds(out, constant->boolval->boolval ? "on" : "off");
        break;
    case PG_QUERY__A__CONST__VAL_SVAL:
        strbuf_adds(out, constant->sval->sval);
        break;
    default:
        return error_set(err, ERRCODE_SYNTAX_ERROR, "SET requires constant values");
    }
    return true;
}

/* Lists of names are stored quoted where a name needs it. */
static void add_list_item(const char *item, bool quote, struct strbuf *out)
{
    bool plain = item[0] != '\0' && !(item[0] >= '0' && item[0] <= '9');
    for (const char *c = item; *c != '\0' && plain; c++)
        plain = (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '_';
    if (plain || !quote) {
        strbuf_adds(out, item);
        return;
    }
    strbuf_addc(out, '"');
    for (const char *c = item; *c != '\0'; c++) {
        if (*c == '"')
            strbuf_addc(out, '"');
        strbuf_addc(out, *c);
    }
    strbuf_addc(out, '"');
}

static bool is_name_list(const char *name)
{
    return strcasecmp(name, "search_path") == 0 || strcasecmp(name, "temp_tablespaces") == 0 ||
           strcasecmp(name, "session_preload_libraries") == 0 ||
           strcasecmp(name, "local_preload_libraries") == 0;
}

static bool value_text(const PgQuery__VariableSetStmt *set, struct strbuf *out, struct error *err)
{
    bool names = is_name_list(set->name);
    bool is_date_style = strcasecmp(set->name, "datestyle") == 0;
    if (set->n_args > 1 && !names && !is_date_style)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "SET %s takes only one argument", set->name);
    for (size_t i = 0; i < set->n_args; i++) {
        struct strbuf item = STRBUF_INIT;
        bool ok = argument_text(set->args[i], &item, err);
        if (i > 0)
            strbuf_adds(out, ", ");
        if (ok)
            add_list_item(strbuf_text(&item), names, out);
        strbuf_release(&item);
        if (!ok)
            return false;
    }
    return true;
}

/* Settings that are more than a value. */
static void after_change(struct session *session, const char *name)
{
    if (strcasecmp(name, "transaction_read_only") == 0)
        session->txn.read_only =
            session_settings_number(session->settings, SESSION_TRANSACTION_READ_ONLY) != 0;
}

static bool set_modes(struct session *session, const PgQuery__VariableSetStmt *set, struct error *err)
{
    bool characteristics = strcmp(set->name, "SESSION CHARACTERISTICS") == 0;
    if (!characteristics && strcmp(set->name, "TRANSACTION") != 0)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "SET %s is not supported", set->name);
    if (!characteristics && session->txn.is_implicit)
        session_notice(session, "WARNING", "25P01", NULL,
                       "SET TRANSACTION can only be used in transaction blocks");
    for (size_t i = 0; i < set->n_args; i++) {
        if (set->args[i]->node_case != PG_QUERY__NODE__NODE_DEF_ELEM)
            continue;
        const PgQuery__DefElem *item = set->args[i]->def_elem;
        struct strbuf value = STRBUF_INIT;
        char name[64];
        snprintf(name, sizeof(name), "%s%s", characteristics ? "default_" : "", item->defname);
        bool ok = argument_text(item->arg, &value, err) &&
                  session_settings_set(session->settings, name, strbuf_text(&value), !characteristics, err);
        strbuf_release(&value);
        if (!ok)
            return false;
        after_change(session, name);
    }
    return true;
}

/* The clock is the server's: no transaction takes back what it has made happen. */
static bool set_clock(struct session *session, const PgQuery__VariableSetStmt *set, struct error *err)
{
    if (!session->txn.is_implicit)
        return error_set(err, ERRCODE_ACTIVE_SQL_TRANSACTION,
                         "SET clock cannot run inside a transaction block");
    if (set->is_local)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "SET LOCAL clock is not supported");
    if (set->kind != PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE)
        return test_clock_set(session, NULL, err);
    struct strbuf value = STRBUF_INIT;
    bool ok = value_text(set, &value, err) && test_clock_set(session, strbuf_text(&value), err);
    strbuf_release(&value);
    return ok;
}

static bool run_variable_set(struct session *session, const PgQuery__VariableSetStmt *set, char *tag,
                             struct error *err)
{
    snprintf(tag, 64, "SET");
    struct session_settings *settings = session->settings;
    if (set->name != NULL && test_clock_is_name(set->name)) {
        if (set->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_RESET)
            snprintf(tag, 64, "RESET");
        return set_clock(session, set, err);
    }
    if (set->is_local && session->txn.is_implicit)
        session_notice(session, "WARNING", "25P01", NULL, "SET LOCAL can only be used in transaction blocks");
    bool ok = true;
    switch (set->kind) {
    case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE: {
        struct strbuf value = STRBUF_INIT;
        ok = value_text(set, &value, err);
        if (ok && strcasecmp(set->name, "session_authorization") == 0 &&
            strcmp(strbuf_text(&value), session->user) != 0)
            ok = error_set(err, ERRCODE_UNDEFINED_OBJECT, "role \"%s\" does not exist", strbuf_text(&value));
        else if (ok && strcasecmp(set->name, "role") == 0 && strcasecmp(strbuf_text(&value), "none") != 0 &&
                 strcmp(strbuf_text(&value), session->user) != 0)
            ok = error_set(err, ERRCODE_UNDEFINED_OBJECT, "role \"%s\" does not exist", strbuf_text(&value));
        else if (ok)
            ok = session_settings_set(settings, set->name, strbuf_text(&value), set->is_local, err);
        strbuf_release(&value);
        break;
    }
    case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_DEFAULT:
        ok = session_settings_set(settings, set->name, NULL, set->is_local, err);
        break;
    case PG_QUERY__VARIABLE_SET_KIND__VAR_RESET:
        snprintf(tag, 64, "RESET");
        ok = session_settings_set(settings, set->name, NULL, false, err);
        break;
    case PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL:
        snprintf(tag, 64, "RESET");
        session_settings_reset_all(settings);
        break;
    case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_MULTI:
        return set_modes(session, set, err);
    default:
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "SET %s FROM CURRENT is not supported",
                         set->name);
    }
    if (ok && set->name != NULL)
        after_change(session, set->name);
    return ok;
}

/* ---- SHOW ---- */

static bool shows_all(const PgQuery__VariableShowStmt *show)
{
    return strcasecmp(show->name, "all") == 0;
}

bool show_columns(struct session *session, const PgQuery__Node *node, struct arena *arena, uint32_t *count,
                  const char ***names, struct sql_type **types, struct error *err)
{
    const PgQuery__VariableShowStmt *show = node->variable_show_stmt;
    *count = shows_all(show) ? 3 : 1;
    *names = ARENA_ARRAY(arena, const char *, *count);
    *types = ARENA_ARRAY(arena, struct sql_type, *count);
    for (uint32_t i = 0; i < *count; i++)
        (*types)[i] = (struct sql_type){.oid = OID_TEXT, .typmod = -1};
    (*names)[0] = "name";
    if (shows_all(show)) {
        (*names)[1] = "setting";
        (*names)[2] = "description";
        return true;
    }
    if (test_clock_is_name(show->name)) {
        (*names)[0] = "clock";
        return true;
    }
    const char *value;
    return session_settings_show(session->settings, show->name, &value, &(*names)[0], err);
}

static bool run_show(struct session *session, const PgQuery__Node *node, struct result_sink *sink, char *tag,
                     struct error *err)
{
    const PgQuery__VariableShowStmt *show = node->variable_show_stmt;
    struct arena arena;
    arena_init(&arena, NULL);
    uint32_t count;
    const char **names;
    struct sql_type *types;
    snprintf(tag, 64, "SHOW");
    bool ok = show_columns(session, node, &arena, &count, &names, &types, err) &&
              sink->describe(sink, count, names, types, err);
    struct batch *rows = ok ? batch_create(&arena, types, count, 256) : NULL;
    if (ok && shows_all(show)) {
        struct session_setting_info info;
        for (uint32_t i = 0; session_settings_at(session->settings, i, &info); i++) {
            struct datum values[3] = {datum_text(&arena, info.name, strlen(info.name)),
                                      datum_text(&arena, info.value, strlen(info.value)),
                                      datum_text(&arena, info.help, strlen(info.help))};
            batch_append_datums(rows, values, 1);
        }
    } else if (ok) {
        const char *value = NULL;
        if (test_clock_is_name(show->name))
            value = test_clock_text(session, &arena);
        else
            ok = session_settings_show(session->settings, show->name, &value, NULL, err);
        if (ok) {
            struct datum datum = datum_text(&arena, value, strlen(value));
            batch_append_datums(rows, &datum, 1);
        }
    }
    bool stop = false;
    ok = ok && sink->rows(sink, rows, &stop, err);
    arena_release(&arena);
    return ok;
}

/* ---- DISCARD ---- */

static void close_cursors(struct connection *connection)
{
    for (struct portal *portal = connection->portals, *next; portal != NULL; portal = next) {
        next = portal->next;
        if (portal->is_cursor)
            portal_remove(connection, portal);
    }
}

static bool run_discard(struct session *session, const PgQuery__DiscardStmt *discard, char *tag,
                        struct error *err)
{
    struct connection *connection = connection_of(session);
    switch (discard->target) {
    case PG_QUERY__DISCARD_MODE__DISCARD_ALL:
        if (!session->txn.is_implicit)
            return error_set(err, ERRCODE_ACTIVE_SQL_TRANSACTION,
                             "DISCARD ALL cannot run inside a transaction block");
        snprintf(tag, 64, "DISCARD ALL");
        session_settings_reset_all(session->settings);
        if (connection != NULL) {
            close_cursors(connection);
            statement_remove_all(connection);
        }
        return true;
    case PG_QUERY__DISCARD_MODE__DISCARD_PLANS:
        snprintf(tag, 64, "DISCARD PLANS");
        return true;
    case PG_QUERY__DISCARD_MODE__DISCARD_SEQUENCES:
        snprintf(tag, 64, "DISCARD SEQUENCES");
        return true;
    default:
        snprintf(tag, 64, "DISCARD TEMP");
        return true;
    }
}

bool run_set(struct session *session, const PgQuery__Node *node, struct result_sink *sink, char *tag,
             struct error *err)
{
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT:
        return run_variable_set(session, node->variable_set_stmt, tag, err);
    case PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT:
        return run_show(session, node, sink, tag, err);
    case PG_QUERY__NODE__NODE_DISCARD_STMT:
        return run_discard(session, node->discard_stmt, tag, err);
    default:
        return error_set(err, ERRCODE_INTERNAL_ERROR, "not a SET statement");
    }
}
