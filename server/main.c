/* main.c: the process: settings, server, listener, signals. */
#include "planner/redact.h"
#include "server/listener.h"
#include "server/metrics.h"
#include "server/reference.h"
#include "server/server.h"
#include "server/settings.h"
#include "server/system_views.h"
#include "storage/base/log.h"
#include "storage/disk/backup.h"
#include "storage/disk/disk.h"
#include "storage/disk/inspect.h"
#include "storage/disk/tick_log.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#ifndef MILLRACE_VERSION
#define MILLRACE_VERSION "0.1.0"
#endif

static bool set_log_level(const char *name, struct error *err)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    for (int i = 0; i < (int)ARRAY_COUNT(names); i++) {
        if (strcmp(names[i], name) == 0) {
            log_set_level((enum log_level)i);
            return true;
        }
    }
    return error_set(err, ERRCODE_CONFIG_FILE_ERROR, "invalid value for setting \"log-level\": \"%s\"", name);
}

/* As many open files as the system lets us have: one per client. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int fail(const struct error *err)
{
    fprintf(stderr, "millrace: %s\n", err->message);
    if (err->detail[0] != '\0')
        fprintf(stderr, "millrace: detail: %s\n", err->detail);
    if (err->hint[0] != '\0')
        fprintf(stderr, "millrace: hint: %s\n", err->hint);
    return 1;
}

static int inspect(const struct settings_request *request)
{
    struct error err;
    struct strbuf text = STRBUF_INIT;
    bool is_damaged = false;
    error_init(&err);
    bool ok = inspect_dir(request->inspect_dir, request->json, redact_in, &text, &is_damaged, &err);
    if (ok)
        fputs(strbuf_text(&text), stdout);
    strbuf_release(&text);
    return ok ? is_damaged : fail(&err) + 1;
}

/* --restore-snapshot */
static bool go_back(const struct settings *settings, const char *name, struct error *err)
{
    struct catalog_store *store = NULL;
    struct checkpoint_store *checkpoints = NULL;
    struct tick_log *log = NULL;
    struct checkpoint_info newest = {0};
    if (!disk_exists(settings->data_dir))
        return error_set(err, ERRCODE_UNDEFINED_FILE, "data directory \"%s\" does not exist",
                         settings->data_dir);
    bool ok =
        backup_is_finished(settings->data_dir, err) && catalog_store_open(settings->data_dir, &store, err) &&
        tick_log_open(settings->data_dir, catalog_store_is_new(store), &log, err) &&
        checkpoint_store_open(store, &checkpoints, err) && checkpoint_store_newest(checkpoints, &newest, err);
    if (ok) {
        uint64_t epoch = tick_log_last(log);
        ok = savepoint_go_back(store, name, newest.epoch > epoch ? newest.epoch : epoch, err);
    }
    checkpoint_store_close(checkpoints);
    if (log != NULL)
        tick_log_close(log);
    if (store != NULL)
        catalog_store_close(store);
    return ok;
}

int main(int argc, char **argv)
{
    struct error err;
    error_init(&err);
    struct settings settings;
    struct settings_request request;
    if (!settings_load(&settings, argc, argv, &request, &err) || !set_log_level(settings.log_level, &err)) {
        settings_release(&settings);
        return fail(&err);
    }
    if (request.help) {
        struct strbuf text = STRBUF_INIT;
        settings_help(&text);
        fputs(strbuf_text(&text), stdout);
        strbuf_release(&text);
        settings_release(&settings);
        return 0;
    }
    if (request.version) {
        puts("millrace " MILLRACE_VERSION);
        settings_release(&settings);
        return 0;
    }
    if (request.reference_dir != NULL) {
        settings_release(&settings);
        system_functions_register();
        return reference_write(request.reference_dir, &err) ? 0 : fail(&err);
    }
    if (request.inspect_dir != NULL) {
        settings_release(&settings);
        return inspect(&request);
    }
    if (request.restore_dir != NULL || request.restore_snapshot != NULL) {
        bool ok = request.restore_dir != NULL ? backup_restore(request.restore_dir, settings.data_dir, &err)
                                              : go_back(&settings, request.restore_snapshot, &err);
        if (ok)
            printf("millrace: restored \"%s\" from %s \"%s\"\n", settings.data_dir,
                   request.restore_dir != NULL ? "backup" : "snapshot",
                   request.restore_dir != NULL ? request.restore_dir : request.restore_snapshot);
        settings_release(&settings);
        return ok ? 0 : fail(&err);
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of the one who writes */
    raise_file_limit();
    /* blocked before any thread starts, so that only sigwait below sees them */
    sigset_t stop_signals;
    sigemptyset(&stop_signals);
    sigaddset(&stop_signals, SIGTERM);
    sigaddset(&stop_signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &stop_signals, NULL);

    int result = 0;
    struct http_server *http = NULL;
    struct server *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        settings_release(&settings);
        return 1;
    }
    server->settings = &settings;
    /* while the state comes back, clients get 57P03, as a client of PostgreSQL expects it */
    if (!listener_open(server, settings.listen, settings.port, &server->listener, &err)) {
        result = fail(&err);
        goto no_server;
    }
    listener_run(server->listener);
    if (!server_open(server, &err)) {
        result = fail(&err);
        listener_close(server->listener);
        goto no_server;
    }
    if (settings.http_port != 0 &&
        !http_server_start(settings.listen, (int)settings.http_port, metrics_answer, server, &http, &err)) {
        result = fail(&err);
        goto stop;
    }
    atomic_store(&server->ready, true);
    printf("millrace: accepting connections on %s:%d\n", settings.listen, listener_port(server->listener));
    fflush(stdout);

    int signal_number;
    while (sigwait(&stop_signals, &signal_number) != 0)
        continue;
    log_write(LOG_INFO, "stopping on signal %d", signal_number);
    atomic_store(&server->stopping, true);
    engine_give_up(server->engine);
    listener_stop(server->listener);
    if (http != NULL)
        http_server_stop(http);
stop:
    listener_close(server->listener);
    server->listener = NULL;
    server_close(server);
no_server:
    free(server);
    settings_release(&settings);
    return result;
}
