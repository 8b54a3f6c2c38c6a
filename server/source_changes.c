/* source_changes.c: see source_changes.h. */
#include "server/source_changes.h"

#include "planner/ddl.h"
#include "server/infer_columns.h"
#include "server/prepared.h"
#include "server/sources.h"
#include "server/transaction.h"
#include "storage/base/log.h"

#include <string.h>

struct request {
    struct request *next;
    uint32_t oid, columns_count; /* of the relation */
    char *commands;              /* of ALTER TABLE */
};

struct source_changes {
    struct server *server;
    pthread_t thread;
    bool is_started;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t cond;
    bool stopping;
    struct request *first, *last;
    struct session *session; /* the running one */
};

/* As who asked knows it. Needs the read lock. */
static const struct catalog_object *find_relation(struct server *server, const struct request *request)
{
    const struct catalog_object *object = catalog_find_oid(server->catalog, request->oid);
    return object != NULL && object->columns_count == request->columns_count ? object : NULL;
}

static bool is_obsolete(struct server *server, const struct request *request)
{
    catalog_read_lock(server->catalog);
    bool is_obsolete = find_relation(server, request) == NULL;
    catalog_unlock(server->catalog);
    return is_obsolete;
}

/* The statement; NULL: the relation is gone, or has other columns (several consumers ask for the same). */
static char *statement_text(struct server *server, const struct request *request)
{
    struct arena arena;
    arena_init(&arena, NULL);
    char *text = NULL;
    catalog_read_lock(server->catalog);
    const struct catalog_object *object = find_relation(server, request);
    if (object != NULL)
        text = mem_strdup(arena_printf(&arena, "ALTER TABLE %s %s",
                                       ddl_qualified(&arena, server->catalog, object), request->commands));
    catalog_unlock(server->catalog);
    arena_release(&arena);
    return text;
}

static bool run_statement(struct session *session, const char *sql, struct error *err)
{
    struct prepared *prepared = NULL;
    char tag[64];
    bool ok = transaction_begin_statement(session, false, err) &&
              prepared_create(session, sql, NULL, 0, &prepared, err) &&
              prepared_run(session, prepared, NULL, NULL, tag, err);
    if (prepared != NULL)
        prepared_destroy(prepared);
    struct error other;
    return transaction_end_statement(session, !ok, ok ? err : &other) && ok;
}

static void set_session(struct source_changes *changes, struct session *session)
{
    pthread_mutex_lock(&changes->lock);
    changes->session = session;
    if (session != NULL && changes->stopping)
        atomic_store(&session->cancel, true);
    pthread_mutex_unlock(&changes->lock);
}

static bool run_request(struct source_changes *changes, const struct request *request, const char *sql,
                        struct error *err)
{
    struct session session;
    if (!session_init(&session, changes->server, "millrace", "millrace", err))
        return false;
    session.alters_oid = request->oid;
    session_set_activity(&session, sql);
    set_session(changes, &session);
    bool ok = run_statement(&session, sql, err);
    set_session(changes, NULL);
    session_release(&session);
    return ok;
}

static void do_request(struct source_changes *changes, const struct request *request)
{
    struct error error;
    char *sql = statement_text(changes->server, request);
    if (sql == NULL)
        return;
    if (run_request(changes, request, sql, &error))
        log_write(LOG_INFO, "the schema of records has changed: %s", sql);
    else if (!is_obsolete(changes->server, request)) /* somebody else may have changed it first */
        sources_answer(changes->server->running_sources, request->oid, &error);
    mem_free(sql);
}

static void free_request(struct request *request)
{
    mem_free(request->commands);
    mem_free(request);
}

static void *run(void *ctx)
{
    struct source_changes *changes = ctx;
    pthread_mutex_lock(&changes->lock);
    for (;;) {
        while (!changes->stopping && changes->first == NULL)
            pthread_cond_wait(&changes->cond, &changes->lock);
        if (changes->stopping)
            break;
        struct request *request = changes->first;
        changes->first = request->next;
        pthread_mutex_unlock(&changes->lock);
        do_request(changes, request);
        free_request(request);
        pthread_mutex_lock(&changes->lock);
    }
    pthread_mutex_unlock(&changes->lock);
    return NULL;
}

struct source_changes *source_changes_create(struct server *server)
{
    struct source_changes *changes = mem_zalloc(sizeof(*changes));
    changes->server = server;
    pthread_mutex_init(&changes->lock, NULL);
    pthread_cond_init(&changes->cond, NULL);
    return changes;
}

void source_changes_destroy(struct source_changes *changes)
{
    pthread_mutex_lock(&changes->lock);
    changes->stopping = true;
    if (changes->session != NULL)
        atomic_store(&changes->session->cancel, true);
    pthread_cond_broadcast(&changes->cond);
    bool is_started = changes->is_started;
    pthread_mutex_unlock(&changes->lock);
    if (is_started)
        pthread_join(changes->thread, NULL);
    while (changes->first != NULL) {
        struct request *request = changes->first;
        changes->first = request->next;
        free_request(request);
    }
    pthread_mutex_destroy(&changes->lock);
    pthread_cond_destroy(&changes->cond);
    mem_free(changes);
}

static void write_commands(const struct format_change *wanted, uint32_t count, struct strbuf *out)
{
    for (uint32_t i = 0; i < count; i++) {
        strbuf_adds(out, i > 0 ? ", " : "");
        if (wanted[i].is_new) {
            strbuf_adds(out, "ADD COLUMN ");
            infer_write_column(&wanted[i].column, out);
            continue;
        }
        strbuf_adds(out, "ALTER COLUMN ");
        statement_quote_name(wanted[i].column.name, out);
        strbuf_adds(out, " TYPE ");
        type_format(wanted[i].column.type.oid, wanted[i].column.type.typmod, out);
    }
}

void source_changes_ask(struct source_changes *changes, const struct catalog_object *object,
                        const struct format_change *wanted, uint32_t count)
{
    struct request *request = mem_zalloc(sizeof(*request));
    struct strbuf commands = STRBUF_INIT;
    write_commands(wanted, count, &commands);
    request->oid = object->oid;
    request->columns_count = object->columns_count;
    request->commands = mem_strdup(strbuf_text(&commands));
    strbuf_release(&commands);
    pthread_mutex_lock(&changes->lock);
    if (!changes->is_started) {
        CHECK(pthread_create(&changes->thread, NULL, run, changes) == 0);
        changes->is_started = true;
    }
    if (changes->first == NULL)
        changes->first = request;
    else
        changes->last->next = request;
    changes->last = request;
    pthread_cond_signal(&changes->cond);
    pthread_mutex_unlock(&changes->lock);
}
