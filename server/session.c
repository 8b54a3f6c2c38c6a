/* session.c: the life of a session and the list of all of them. */
#define _GNU_SOURCE /* strcasestr */
#include "server/session.h"

#include "server/checkpointer.h"

#include "planner/redact.h"
#include "planner/reg_names.h"
#include "server/session_settings.h"
#include "server/settings.h"
#include "server/transaction.h"
#include "server/waits.h"
#include "storage/base/clock.h"
#include "storage/base/units.h"

#include <stdio.h>
#include <strings.h>

/* The one list of the process, as pg_stat_activity shows it. */
static struct {
    pthread_mutex_t lock;
    struct session *first;
    int32_t last_pid;
} sessions = {.lock = PTHREAD_MUTEX_INITIALIZER, .last_pid = 1000};

/* The search path as names, remembered until the setting or the catalog changes. */
struct session_path {
    char *text;
    uint64_t catalog_version;
    struct arena arena;
    const char **names;
    uint32_t count, cap;
    struct session *session;
};

static void path_release(struct session_path *path)
{
    if (path == NULL)
        return;
    arena_release(&path->arena);
    mem_free(path->text);
    mem_free(path);
}

static void path_add(void *ctx, const char *name)
{
    struct session_path *path = ctx;
    bool is_user = strcmp(name, "$user") == 0;
    if (is_user)
        name = path->session->user;
    const struct catalog_schema *schema = catalog_find_schema(path->session->server->catalog, name);
    /* a user by the name of millrace does not live in the schema of system views */
    if (schema == NULL || (is_user && schema->is_system))
        return;
    const char *copy = arena_strdup(&path->arena, name);
    ARENA_PUSH(&path->arena, path->names, path->count, path->cap, copy);
}

static void session_refresh_path(struct session *session)
{
    static const char *const none[] = {NULL};
    if (session->server->catalog == NULL) {
        session->info.search_path = none;
        return;
    }
    const char *text = session_settings_text(session->settings, SESSION_SEARCH_PATH);
    catalog_read_lock(session->server->catalog);
    uint64_t version = catalog_version(session->server->catalog);
    struct session_path *path = session->path;
    if (path == NULL || path->catalog_version != version || strcmp(path->text, text) != 0) {
        path_release(path);
        path = mem_zalloc(sizeof(*path));
        path->text = mem_strdup(text);
        path->catalog_version = version;
        path->session = session;
        arena_init(&path->arena, NULL);
        (void)session_settings_split_names(text, path_add, path);
        const char *end = NULL;
        ARENA_PUSH(&path->arena, path->names, path->count, path->cap, end);
        session->path = path;
        session->info.search_path = path->names;
    }
    catalog_unlock(session->server->catalog);
}

/* The server's limits as the session sees them. */
static void show_memory_limits(struct session *session)
{
    const struct settings *settings = session->server->settings;
    char text[32];
    struct error ignored;
    if (settings == NULL)
        return;
    bytes_format(settings->memory_limit_bytes, text);
    session_settings_force(session->settings, "memory_limit", text);
    int64_t kilobytes = settings->query_memory_limit_bytes / 1024;
    snprintf(text, sizeof(text), "%lldkB",
             (long long)kilobytes + (settings->query_memory_limit_bytes % 1024 != 0));
    /* what the setting cannot express is no limit */
    if (!session_settings_set_default(session->settings, "query_memory_limit", text, &ignored))
        session_settings_force(session->settings, "query_memory_limit", "0");
}

bool session_init(struct session *session, struct server *server, const char *user, const char *database,
                  struct error *err)
{
    memset(session, 0, sizeof(*session));
    if (atomic_load(&server->stopping))
        return error_set(err, ERRCODE_CANNOT_CONNECT_NOW, "the database system is shutting down");
    session->server = server;
    snprintf(session->user, sizeof(session->user), "%s", user);
    snprintf(session->database, sizeof(session->database), "%s", database);
    session->settings = session_settings_create();
    session_settings_force(session->settings, "session_authorization", session->user);
    session->secret = (uint32_t)random_u64();
    session->backend_start_us = session->state_change_us = clock_now_us();
    show_memory_limits(session);
    account_init(&session->account, &server->account, "query_memory_limit", 0);
    session->env.io = io_env_default;
    session->env.session = &session->info;
    session->env.cancel = &session->cancel;
    session->info = (struct session_info){
        .user = session->user, .database = session->database, .catalog = server->catalog, .session = session};
    reg_names_install(&session->env.io, &session->info);
    transaction_init(session);
    pthread_mutex_lock(&sessions.lock);
    session->pid = ++sessions.last_pid;
    session->next = sessions.first;
    if (session->next != NULL)
        session->next->prev = session;
    sessions.first = session;
    pthread_mutex_unlock(&sessions.lock);
    session->info.backend_pid = session->pid;
    session_begin_statement(session);
    return true;
}

void session_release(struct session *session)
{
    pthread_mutex_lock(&sessions.lock);
    if (session->prev != NULL)
        session->prev->next = session->next;
    else
        sessions.first = session->next;
    if (session->next != NULL)
        session->next->prev = session->prev;
    pthread_mutex_unlock(&sessions.lock);
    transaction_release(session);
    advisory_unlock_all(session, false);
    session_settings_destroy(session->settings);
    path_release(session->path);
}

void session_begin_statement(struct session *session)
{
    atomic_store(&session->cancel, false);
    session->statement_start_us = clock_now_us();
    session->env.statement_us = session->statement_start_us;
    session->env.seed = random_u64();
    session->env.params = NULL;
    session->env.param_types = NULL;
    session->env.params_count = 0;
    session_settings_io(session->settings, &session->env.io);
    session->account.limit_bytes =
        session_settings_number(session->settings, SESSION_QUERY_MEMORY_LIMIT) * 1024;
    session->env.io.now_us = session->txn.state == TXN_IDLE || session->txn.start_us == 0
                                 ? session->statement_start_us
                                 : session->txn.start_us;
    atomic_store(&session->account.exceeded, false);
    session->info.application_name = session_settings_text(session->settings, SESSION_APPLICATION_NAME);
    session->info.client_address = session->client_address[0] != '\0' ? session->client_address : NULL;
    session->info.client_port = session->client_port;
    session_refresh_path(session);
}

void session_set_activity(struct session *session, const char *sql)
{
    pthread_mutex_lock(&sessions.lock);
    session->current_sql = sql;
    session->state_change_us = clock_now_us();
    if (sql != NULL) {
        snprintf(session->shown.query, sizeof(session->shown.query), "%s", sql);
        if (redact_is_sensitive(session->shown.query)) {
            struct strbuf shown = STRBUF_INIT;
            redact_statement(session->shown.query, strlen(session->shown.query), &shown);
            snprintf(session->shown.query, sizeof(session->shown.query), "%s", shown.data);
            strbuf_release(&shown);
        }
        session->shown.query_start_us = session->state_change_us;
    }
    snprintf(session->shown.application_name, sizeof(session->shown.application_name), "%s",
             session_settings_text(session->settings, SESSION_APPLICATION_NAME));
    session->shown.txn_state = session->txn.state;
    session->shown.txn_start_us = session->txn.start_us;
    pthread_mutex_unlock(&sessions.lock);
}

/* Levels as client_min_messages orders them. */
static int notice_level(const char *severity)
{
    static const char *const names[] = {"debug5", "debug4", "debug3", "debug2",  "debug1",
                                        "debug",  "log",    "notice", "warning", "error"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcasecmp(names[i], severity) == 0)
            return (int)i;
    }
    return (int)ARRAY_COUNT(names); /* INFO always */
}

void session_notice(struct session *session, const char *severity, const char *sqlstate, const char *hint,
                    const char *format, ...)
{
    if (session->notice == NULL ||
        notice_level(severity) < session_settings_number(session->settings, SESSION_CLIENT_MIN_MESSAGES))
        return;
    char message[ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    session->notice(session, severity, sqlstate, message, hint);
}

void session_for_each(void (*visit)(void *ctx, struct session *session), void *ctx)
{
    pthread_mutex_lock(&sessions.lock);
    for (struct session *session = sessions.first; session != NULL; session = session->next)
        visit(ctx, session);
    pthread_mutex_unlock(&sessions.lock);
}

bool session_cancel(struct server *server, int32_t pid, const uint32_t *secret)
{
    bool found = false;
    pthread_mutex_lock(&sessions.lock);
    for (struct session *session = sessions.first; session != NULL && !found; session = session->next) {
        if (session->server == server && session->pid == pid &&
            (secret == NULL || session->secret == *secret)) {
            atomic_store(&session->cancel, true);
            found = true;
        }
    }
    pthread_mutex_unlock(&sessions.lock);
    if (found)
        waits_wake();
    checkpointer_wake(server->checkpointer);
    if (found && server->engine != NULL)
        engine_wake_waiters(server->engine);
    return found;
}

bool session_terminate(struct server *server, int32_t pid)
{
    bool found = false;
    pthread_mutex_lock(&sessions.lock);
    for (struct session *session = sessions.first; session != NULL && !found; session = session->next) {
        if (session->server == server && session->pid == pid) {
            found = true;
            atomic_store(&session->cancel, true);
            if (session->terminate != NULL)
                session->terminate(session);
        }
    }
    pthread_mutex_unlock(&sessions.lock);
    if (found)
        waits_wake();
    checkpointer_wake(server->checkpointer);
    if (found && server->engine != NULL)
        engine_wake_waiters(server->engine);
    return found;
}
