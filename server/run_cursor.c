/* run_cursor.c: SQL cursors over kept results, and over subscriptions.
 *
 * DECLARE computes the result at once, at the transaction's snapshot, and keeps it. `position` is 0 before
 * the first row, n on row n, rows + 1 behind the last, as PostgreSQL counts. A cursor over SUBSCRIBE only
 * goes forward; WITH HOLD it stays open after its transaction. */
#include "server/run_cursor.h"

#include "planner/scan.h"
#include "planner/statement.h"
#include "server/run_prepare.h"
#include "server/run_subscribe.h"
#include "server/session_settings.h"
#include "storage/base/clock.h"

#include <stdio.h>

/* Bits of DeclareCursorStmt.options, PostgreSQL's CURSOR_OPT_*. */
#define OPTION_BINARY    0x0001
#define OPTION_SCROLL    0x0002
#define OPTION_NO_SCROLL 0x0004
#define OPTION_HOLD      0x0020

#define FETCH_ALL INT64_C(9223372036854775807)

/* Byte behind FOR of DECLARE c CURSOR ... FOR. */
static size_t declare_query_start(const char *sql)
{
    struct scanner scanner;
    scan_start(&scanner, sql, strlen(sql));
    (void)scan_next(&scanner); /* DECLARE */
    (void)scan_next(&scanner); /* its name, which may be any word */
    for (;;) {
        struct scan_token token = scan_next(&scanner);
        if (token.kind == SCAN_END || token.kind == SCAN_UNTERMINATED)
            return 0;
        if (scan_is_word(sql, &token, "for"))
            return token.start + token.len;
    }
}

static bool declare_query(struct connection *connection, struct prepared *outer, struct portal *portal,
                          const struct datum *params, struct error *err)
{
    struct session *session = &connection->session;
    struct arena arena;
    arena_init(&arena, NULL);
    struct prepared *inner = NULL;
    const char *text = text_from(&arena, outer->sql, declare_query_start(outer->sql));
    bool ok = prepared_create(session, text, outer->params, outer->params_count, &inner, err);
    if (ok && inner->kind != PREPARED_SELECT)
        ok = error_set(err, ERRCODE_SYNTAX_ERROR, "DECLARE CURSOR must specify a query");
    if (ok && inner->params_count > outer->params_count)
        ok = error_set(err, ERRCODE_UNDEFINED_PARAMETER, "there is no parameter $%u", inner->params_count);
    char tag[64];
    portal->stored = stored_rows_create(&session->account);
    ok = ok && session_run(connection, inner, params, &portal->stored->sink, tag, err);
    if (inner != NULL)
        prepared_destroy(inner);
    arena_release(&arena);
    if (!ok)
        return false;
    portal->columns_count = portal->stored->columns_count;
    portal->names = portal->stored->names;
    portal->types = portal->stored->types;
    return true;
}

static bool declare(struct connection *connection, struct prepared *outer, const struct datum *params,
                    char *tag, struct error *err)
{
    struct session *session = &connection->session;
    const PgQuery__DeclareCursorStmt *stmt = outer->node->declare_cursor_stmt;
    bool is_subscription = outer->statement->subscribe != NULL;
    bool hold = (stmt->options & OPTION_HOLD) != 0;
    if (!hold && session->txn.is_implicit && !connection->in_extended && !connection->in_multi)
        return error_set(err, ERRCODE_NO_ACTIVE_SQL_TRANSACTION,
                         "DECLARE CURSOR can only be used in transaction blocks");
    if (stmt->portalname[0] == '\0')
        return error_set(err, ERRCODE_INVALID_CURSOR_NAME, "invalid cursor name: must not be empty");
    if (portal_find(connection, stmt->portalname) != NULL)
        return error_set(err, ERRCODE_DUPLICATE_CURSOR, "cursor \"%s\" already exists", stmt->portalname);
    if (is_subscription && (stmt->options & OPTION_SCROLL) != 0)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "a cursor over SUBSCRIBE cannot be SCROLL");
    struct portal *portal = portal_add(connection, stmt->portalname);
    portal->is_cursor = true;
    portal->is_binary = (stmt->options & OPTION_BINARY) != 0;
    portal->is_scroll = (stmt->options & OPTION_NO_SCROLL) == 0 && !is_subscription;
    portal->is_hold = hold;
    bool ok;
    if (is_subscription) {
        ok = subscribe_open(session, outer->statement, &portal->subscription, err);
        if (ok)
            subscribe_columns(portal->subscription, &portal->columns_count, &portal->names, &portal->types);
    } else {
        ok = declare_query(connection, outer, portal, params, err);
    }
    if (!ok) {
        portal_remove(connection, portal);
        return false;
    }
    snprintf(tag, 64, "DECLARE CURSOR");
    return true;
}

/* ---- FETCH ---- */

struct fetch_range {
    uint64_t first, count; /* 0-based rows */
    bool backward;
    uint64_t position; /* afterwards */
};

/* One row at an absolute place (1-based; outside: none). */
static void range_at(uint64_t rows, int64_t place, struct fetch_range *out)
{
    *out = (struct fetch_range){0};
    if (place <= 0) {
        out->position = 0;
    } else if ((uint64_t)place > rows) {
        out->position = rows + 1;
    } else {
        out->position = (uint64_t)place;
        out->first = (uint64_t)place - 1;
        out->count = 1;
    }
}

static void range_forward(uint64_t rows, uint64_t position, int64_t how_many, struct fetch_range *out)
{
    uint64_t left = position >= rows ? 0 : rows - position;
    uint64_t wanted = (uint64_t)how_many;
    *out = (struct fetch_range){.first = position, .count = wanted < left ? wanted : left};
    out->position = wanted > left ? rows + 1 : position + wanted;
}

static void range_backward(uint64_t rows, uint64_t position, int64_t how_many, struct fetch_range *out)
{
    uint64_t before = position == 0 ? 0 : position - 1;
    uint64_t wanted = (uint64_t)how_many;
    uint64_t count = wanted < before ? wanted : before;
    *out = (struct fetch_range){.first = before - count, .count = count, .backward = true};
    out->position = wanted > before ? 0 : position - wanted;
}

/* false: the fetch would go backward in a cursor that cannot. */
static bool fetch_range(const struct portal *portal, const PgQuery__FetchStmt *stmt, struct fetch_range *out)
{
    uint64_t rows = portal->stored->rows;
    uint64_t position = portal->position;
    int64_t how_many = stmt->how_many;
    switch (stmt->direction) {
    case PG_QUERY__FETCH_DIRECTION__FETCH_ABSOLUTE:
        range_at(rows, how_many >= 0 ? how_many : (int64_t)rows + 1 + how_many, out);
        return portal->is_scroll || (how_many > 0 && (uint64_t)how_many >= position);
    case PG_QUERY__FETCH_DIRECTION__FETCH_RELATIVE:
        range_at(rows, (int64_t)position + how_many, out);
        return portal->is_scroll || how_many >= 0;
    case PG_QUERY__FETCH_DIRECTION__FETCH_BACKWARD:
        if (how_many == 0) {
            range_at(rows, (int64_t)position, out);
            return portal->is_scroll;
        }
        if (how_many < 0)
            range_forward(rows, position, how_many == INT64_MIN ? FETCH_ALL : -how_many, out);
        else
            range_backward(rows, position, how_many, out);
        return portal->is_scroll || how_many < 0;
    default:
        if (how_many == 0) {
            range_at(rows, (int64_t)position, out);
            return true;
        }
        if (how_many < 0)
            range_backward(rows, position, how_many == INT64_MIN ? FETCH_ALL : -how_many, out);
        else
            range_forward(rows, position, how_many, out);
        return portal->is_scroll || how_many > 0;
    }
}

static bool fetch_subscription(struct connection *connection, struct portal *portal,
                               const PgQuery__FetchStmt *stmt, struct result_sink *sink, uint64_t *given,
                               struct error *err)
{
    struct session *session = &connection->session;
    if (stmt->direction != PG_QUERY__FETCH_DIRECTION__FETCH_FORWARD || stmt->how_many < 0) {
        error_set(err, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "cursor can only scan forward");
        return error_hint(err, "Declare it with SCROLL option to enable backward scan.");
    }
    int64_t timeout_ms = session_settings_number(session->settings, SESSION_FETCH_TIMEOUT);
    int64_t deadline_ns = timeout_ms == 0 ? 0 : clock_monotonic_ns() + timeout_ms * 1000000;
    *given = 0;
    while (*given < (uint64_t)stmt->how_many) {
        uint64_t left = (uint64_t)stmt->how_many - *given;
        const struct batch *rows;
        bool stop = false;
        if (!subscribe_next(portal->subscription, *given > 0 ? 1 : deadline_ns,
                            left > UINT32_MAX ? UINT32_MAX : (uint32_t)left, &rows, err))
            return false;
        if (rows == NULL)
            break;
        *given += rows->rows;
        if (!stmt->ismove && !sink->rows(sink, rows, &stop, err))
            return false;
    }
    return true;
}

static bool fetch(struct connection *connection, struct prepared *outer, struct result_sink *sink, char *tag,
                  struct error *err)
{
    const PgQuery__FetchStmt *stmt = outer->node->fetch_stmt;
    struct portal *portal = portal_find(connection, stmt->portalname);
    if (portal == NULL)
        return error_set(err, ERRCODE_INVALID_CURSOR_NAME, "cursor \"%s\" does not exist", stmt->portalname);
    if (!portal->is_cursor)
        return error_set(err, ERRCODE_INVALID_CURSOR_NAME, "portal \"%s\" is not a cursor", stmt->portalname);
    if (!stmt->ismove) {
        /* a BINARY cursor gives binary rows in the simple protocol; Bind says so in the extended one */
        if (portal->is_binary && !connection->in_extended && sink->set_binary != NULL)
            sink->set_binary(sink);
        if (!sink->describe(sink, portal->columns_count, portal->names, portal->types, err))
            return false;
    }
    uint64_t given = 0;
    if (portal->subscription != NULL) {
        if (!fetch_subscription(connection, portal, stmt, sink, &given, err))
            return false;
    } else {
        struct fetch_range range;
        if (!fetch_range(portal, stmt, &range)) {
            error_set(err, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "cursor can only scan forward");
            return error_hint(err, "Declare it with SCROLL option to enable backward scan.");
        }
        if (!stmt->ismove && range.count > 0 &&
            !stored_rows_send(portal->stored, range.first, range.count, range.backward, sink, err))
            return false;
        portal->position = range.position;
        given = range.count;
    }
    snprintf(tag, 64, "%s %llu", stmt->ismove ? "MOVE" : "FETCH", (unsigned long long)given);
    return true;
}

static bool close_cursor(struct connection *connection, struct prepared *outer, char *tag, struct error *err)
{
    const char *name = outer->node->close_portal_stmt->portalname;
    if (name == NULL || name[0] == '\0') {
        for (struct portal *portal = connection->portals, *next; portal != NULL; portal = next) {
            next = portal->next;
            if (portal->is_cursor)
                portal_remove(connection, portal);
        }
        snprintf(tag, 64, "CLOSE CURSOR ALL");
        return true;
    }
    struct portal *portal = portal_find(connection, name);
    if (portal == NULL)
        return error_set(err, ERRCODE_INVALID_CURSOR_NAME, "cursor \"%s\" does not exist", name);
    portal_remove(connection, portal);
    snprintf(tag, 64, "CLOSE CURSOR");
    return true;
}

bool run_cursor(struct connection *connection, struct prepared *prepared, const struct datum *params,
                struct result_sink *sink, char *tag, struct error *err)
{
    switch (prepared->node->node_case) {
    case PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT:
        return declare(connection, prepared, params, tag, err);
    case PG_QUERY__NODE__NODE_FETCH_STMT:
        return fetch(connection, prepared, sink, tag, err);
    case PG_QUERY__NODE__NODE_CLOSE_PORTAL_STMT:
        return close_cursor(connection, prepared, tag, err);
    default:
        return error_set(err, ERRCODE_INTERNAL_ERROR, "not a cursor statement");
    }
}
