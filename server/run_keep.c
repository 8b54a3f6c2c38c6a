/* run_keep.c: see run_keep.h. What is kept is a checkpoint with the catalog as of then: no DDL runs while it is made; ticks
 * do. */
#include "server/run_keep.h"

#include "server/checkpointer.h"
#include "server/settings.h"
#include "storage/base/log.h"
#include "storage/disk/backup.h"

#include <stdio.h>

bool run_checkpoint(struct session *session, struct error *err)
{
    const struct server *server = session->server;
    if (server->settings != NULL && server->settings->safe_mode)
        return error_set(err, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "checkpoints are off in safe mode");
    return server->checkpointer == NULL || checkpointer_run(server->checkpointer, &session->cancel, err);
}

static bool keep(struct session *session, const char *name, enum savepoint_use use, struct error *err)
{
    struct server *server = session->server;
    pthread_mutex_lock(&server->ddl);
    bool ok = run_checkpoint(session, err) && savepoint_keep(server->store, name, use, err);
    pthread_mutex_unlock(&server->ddl);
    return ok;
}

static bool run_backup(struct session *session, const char *dir, struct error *err)
{
    struct catalog_store *store = session->server->store;
    struct savepoint_info info;
    struct error ignored;
    bool made, found;
    if (dir[0] != '/')
        return error_set(err, ERRCODE_INVALID_NAME, "relative path not allowed for BACKUP TO");
    if (!backup_make_dir(dir, &made, err))
        return false;
    bool ok = keep(session, dir, SAVEPOINT_BACKUP, err);
    if (ok) {
        ok = backup_write(store, dir, dir, &session->cancel, &info, err);
        if (!savepoint_release(store, dir, SAVEPOINT_BACKUP, &found, &ignored))
            log_write(LOG_WARNING, "what was kept for a backup stays until the next start: %s",
                      ignored.message);
    }
    if (!ok)
        backup_remove(dir, made);
    return ok;
}

static bool run_drop_snapshot(struct session *session, const struct keep_clause *clause, struct error *err)
{
    bool found;
    if (!savepoint_release(session->server->store, clause->name, SAVEPOINT_SNAPSHOT, &found, err))
        return false;
    if (!found && !clause->missing_ok)
        return error_set(err, ERRCODE_UNDEFINED_OBJECT, "snapshot \"%s\" does not exist", clause->name);
    if (!found)
        session_notice(session, "NOTICE", "00000", NULL, "snapshot \"%s\" does not exist, skipping",
                       clause->name);
    return true;
}

bool run_keep(struct session *session, const struct keep_clause *clause, char *tag, struct error *err)
{
    static const char *const tags[] = {[KEEP_BACKUP] = "BACKUP",
                                       [KEEP_CREATE_SNAPSHOT] = "CREATE SNAPSHOT",
                                       [KEEP_DROP_SNAPSHOT] = "DROP SNAPSHOT"};
    snprintf(tag, 64, "%s", tags[clause->kind]);
    if (!run_no_block(session, tags[clause->kind], err))
        return false;
    if (session->server->store == NULL)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "%s needs a data directory", tags[clause->kind]);
    switch (clause->kind) {
    case KEEP_BACKUP:
        return run_backup(session, clause->name, err);
    case KEEP_CREATE_SNAPSHOT:
        return keep(session, clause->name, SAVEPOINT_SNAPSHOT, err);
    case KEEP_DROP_SNAPSHOT:
        return run_drop_snapshot(session, clause, err);
    }
    return false;
}
