/* server.c: opening and closing: memory, catalog, store, log, engine, recovery, sources; and back in reverse.
 */
#define _GNU_SOURCE /* explicit_bzero */
#include "server/server.h"

#include "planner/ddl.h"
#include "server/checkpointer.h"
#include "server/ddl_objects.h"
#include "server/external.h"
#include "server/recover.h"
#include "server/secret_key.h"
#include "server/sequence.h"
#include "server/settings.h"
#include "server/sinks.h"
#include "server/sources.h"
#include "server/system_views.h"
#include "server/table_locks.h"
#include "storage/base/clock.h"
#include "storage/base/log.h"
#include "storage/disk/backup.h"
#include "storage/disk/tick_log.h"
#include "storage/state/memory_governor.h"
#include "storage/state/state_memory.h"

#include <string.h>
#include <unistd.h>

static uint32_t workers_of(const struct settings *settings)
{
    int64_t wanted = settings->workers;
    if (wanted == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        wanted = cores > 1 ? cores - 1 : 1;
    }
    return wanted > SHARDS_MAX ? SHARDS_MAX : (uint32_t)wanted;
}

/* Engine objects go before what they read: newest first. */
static void drop_everything(struct server *server)
{
    struct catalog_object **objects = NULL;
    uint32_t count = 0, cap = 0, cursor = FIRST_USER_OID;
    struct arena arena;
    arena_init(&arena, NULL);
    for (struct catalog_object *object; (object = catalog_next(server->catalog, &cursor)) != NULL;)
        if (object->relation != NULL)
            ARENA_PUSH(&arena, objects, count, cap, object);
    while (count > 0)
        ddl_unmake(server, objects[--count]);
    arena_release(&arena);
}

static bool start_sources(struct server *server, struct error *err)
{
    uint32_t cursor = FIRST_USER_OID;
    for (struct catalog_object *object; (object = catalog_next(server->catalog, &cursor)) != NULL;) {
        if (ddl_option(object, "connector") == NULL || object->kind == CATALOG_SINK)
            continue;
        if (!server->sources->source_create(server, object, err)) {
            error_detail(err, "The source of \"%s\" could not be started.", object->name);
            return false;
        }
    }
    return true;
}

static bool start_sinks(struct server *server, struct error *err)
{
    uint32_t cursor = FIRST_USER_OID;
    for (struct catalog_object *object; (object = catalog_next(server->catalog, &cursor)) != NULL;) {
        if (object->kind == CATALOG_SINK && !sinks_start(server, object, err)) {
            error_detail(err, "Sink \"%s\" could not be started.", object->name);
            return false;
        }
    }
    return true;
}

/* What runs by itself. As within a statement: a source whose records have another schema alters its relation only then. */
static bool start_all(struct server *server, bool durable, struct error *err)
{
    if (server->settings->safe_mode) {
        log_write(LOG_WARNING, "safe mode: materialized views, sources, sinks and checkpoints are off");
        return true;
    }
    pthread_mutex_lock(&server->ddl);
    bool ok = start_sources(server, err);
    if (ok && durable)
        server->checkpointer = checkpointer_start(server);
    ok = ok && start_sinks(server, err);
    pthread_mutex_unlock(&server->ddl);
    return ok;
}

static bool limit_memory(struct server *server, const char *data_dir, struct error *err)
{
    const struct settings *settings = server->settings;
    if (settings->memory_limit_bytes < MEMORY_LIMIT_MIN) {
        error_set(err, ERRCODE_CONFIG_FILE_ERROR, "setting \"memory-limit\" is too small");
        return error_hint(err, "The least limit is %lldMB; 0 is none.", (long long)MEMORY_LIMIT_MIN >> 20);
    }
    if (!state_memory_open(settings->spill_dir[0] != '\0' ? settings->spill_dir : data_dir, err))
        return false;
    memory_governor_start(settings->memory_limit_bytes, &server->account);
    return true;
}

/* Catalog and engine, and in them what the data directory holds; engine_close also when that has failed. */
static bool engine_open(struct server *server, uint32_t shards, struct error *err)
{
    const struct settings *settings = server->settings;
    server->catalog = catalog_create();
    system_views_register(server);
    struct engine_options options = {.shards = shards,
                                     .threads = workers_of(settings),
                                     .log = server->log,
                                     .account = &server->account,
                                     .tick_rows_max = (uint32_t)settings->tick_rows,
                                     .backfill_bytes = settings->backfill_limit_bytes};
    server->engine = engine_create(&options);
    server->running_sources = sources_create(server);
    server->externals = externals_create();
    server->sinks = sinks_create();
    server->sources = &source_hooks_running;
    return recover_catalog(server, err);
}

static void engine_close(struct server *server)
{
    if (server->sinks != NULL)
        sinks_destroy(server->sinks);
    if (server->running_sources != NULL)
        sources_destroy(server->running_sources);
    if (server->externals != NULL)
        externals_destroy(server->externals);
    if (server->engine != NULL)
        sequences_close(server);
    checkpointer_stop(server->checkpointer, true);
    if (server->engine != NULL)
        drop_everything(server);
    if (server->catalog != NULL)
        catalog_destroy(server->catalog);
    if (server->engine != NULL)
        engine_destroy(server->engine);
    server->sinks = NULL;
    server->running_sources = NULL;
    server->externals = NULL;
    server->checkpointer = NULL;
    server->catalog = NULL;
    server->engine = NULL; /* the listener may still be there */
}

/* As many shards as there are workers, unless the state on disk has another number that it cannot leave: then workers run
 * several shards, or some of them have none. */
static bool recover(struct server *server, struct error *err)
{
    uint32_t workers = workers_of(server->settings);
    struct checkpoint_info newest = {0};
    if (server->checkpoints != NULL && !checkpoint_store_newest(server->checkpoints, &newest, err))
        return false;
    if (newest.number == 0 || newest.shards == workers)
        return engine_open(server, workers, err);
    if (!server->settings->safe_mode) {
        if (engine_open(server, workers, err)) {
            log_write(LOG_INFO, "the state was moved from %u to %u shards", newest.shards, workers);
            return true;
        }
        log_write(LOG_INFO, "the state stays in %u shards, for %u workers: %s", newest.shards, workers,
                  err->message);
        engine_close(server);
        error_init(err);
    }
    return engine_open(server, newest.shards, err);
}

bool server_open(struct server *server, struct error *err)
{
    const struct settings *settings = server->settings;
    server->start_us = clock_now_us();
    account_init(&server->account, NULL, "server", 0);
    mem_keep_reserve();
    pthread_mutex_init(&server->ddl, NULL);
    pthread_mutex_init(&server->builds_lock, NULL);
    sequence_register_functions();
    system_functions_register();
    server->locks = table_locks_create();
    if (settings->secret_key_file != NULL && settings->secret_key_file[0] != '\0') {
        server->secret_key = mem_zalloc(sizeof(*server->secret_key));
        if (!secret_key_read(settings->secret_key_file, server->secret_key, err))
            goto failed;
    }
    bool durable = settings->data_dir != NULL && settings->data_dir[0] != '\0';
    if (durable &&
        (!backup_is_finished(settings->data_dir, err) ||
         !catalog_store_open(settings->data_dir, &server->store, err) ||
         !checkpoint_store_open(server->store, &server->checkpoints, err) ||
         !tick_log_open(settings->data_dir, catalog_store_is_new(server->store), &server->log, err) ||
         !catalog_store_complete(server->store, err)))
        goto failed;
    if (settings->memory_limit_bytes > 0 && !limit_memory(server, durable ? settings->data_dir : ".", err))
        goto failed;
    if (recover(server, err) && start_all(server, durable, err))
        return true;
failed:
    server_close(server);
    return false;
}

void server_close(struct server *server)
{
    if (server->engine != NULL)
        engine_give_up(server->engine);
    engine_close(server);
    if (server->log != NULL)
        tick_log_close(server->log);
    checkpoint_store_close(server->checkpoints);
    if (server->store != NULL)
        catalog_store_close(server->store);
    if (server->locks != NULL)
        table_locks_destroy(server->locks);
    if (server->secret_key != NULL)
        explicit_bzero(server->secret_key, sizeof(*server->secret_key));
    mem_free(server->secret_key);
    server->secret_key = NULL;
    memory_governor_stop();
    state_memory_close();
    pthread_mutex_destroy(&server->ddl);
    pthread_mutex_destroy(&server->builds_lock);
}
