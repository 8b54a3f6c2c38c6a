/* sqlite_door.c: opening a database file of ours, with its format version in the header (PRAGMA
 * user_version). */
#include "storage/disk/sqlite_door.h"

#include "storage/base/arena.h"
#include "storage/disk/disk.h"

#include <stdio.h>

bool sqlite_door_error(sqlite3 *db, const char *name, const char *doing, struct error *err)
{
    int code = db != NULL ? sqlite3_errcode(db) : SQLITE_NOMEM;
    const char *text = db != NULL ? sqlite3_errmsg(db) : "out of memory";
    switch (code & 0xff) {
    case SQLITE_FULL:
        error_set(err, ERRCODE_DISK_FULL, "could not %s \"%s\": no space left on device", doing, name);
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        error_set(err, ERRCODE_DATA_CORRUPTED, "file \"%s\" is damaged: %s", name, text);
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        error_set(err, ERRCODE_OBJECT_IN_USE, "file \"%s\" is in use by another process", name);
        break;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        disk_error(sqlite3_system_errno(db), doing, name, err);
        break;
    default:
        error_set(err, ERRCODE_IO_ERROR, "could not %s \"%s\": %s", doing, name, text);
    }
    return false;
}

bool sqlite_door_exec(sqlite3 *db, const char *name, const char *sql, struct error *err)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
        return true;
    return sqlite_door_error(db, name, "write", err);
}

static bool read_version(sqlite3 *db, const char *path, int *version, struct error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool ok = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &stmt, NULL) == SQLITE_OK &&
              sqlite3_step(stmt) == SQLITE_ROW;
    if (ok)
        *version = sqlite3_column_int(stmt, 0);
    else
        sqlite_door_error(db, path, "read", err);
    sqlite3_finalize(stmt);
    return ok;
}

static bool prepare_file(sqlite3 *db, const char *path, const char *schema, bool is_new, struct error *err)
{
    int version;
    if (!sqlite_door_exec(db, path,
                          "PRAGMA locking_mode=EXCLUSIVE; PRAGMA temp_store=MEMORY;"
                          "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
                          err) ||
        !read_version(db, path, &version, err))
        return false;
    if (version > DISK_FORMAT_VERSION) {
        error_set(err, ERRCODE_DATA_CORRUPTED, "file \"%s\" was written by a newer version of Millrace",
                  path);
        error_detail(err, "Its format is %d, this program reads up to %d.", version, DISK_FORMAT_VERSION);
        return false;
    }
    if (version == DISK_FORMAT_VERSION)
        return true;
    char pragma[64];
    if (version > 0) { /* what we write from now on an older program must not read */
        snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%d;", DISK_FORMAT_VERSION);
        return sqlite_door_exec(db, path, pragma, err);
    }
    if (!is_new)
        return error_set(err, ERRCODE_DATA_CORRUPTED, "file \"%s\" is incomplete: it has no format version",
                         path);
    snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%d; COMMIT;", DISK_FORMAT_VERSION);
    return sqlite_door_exec(db, path, "BEGIN IMMEDIATE;", err) && sqlite_door_exec(db, path, schema, err) &&
           sqlite_door_exec(db, path, pragma, err);
}

bool sqlite_door_open(const char *dir, const char *name, const char *schema, bool may_create, sqlite3 **out,
                      struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    const char *path = arena_printf(&arena, "%s/%s", dir, name);
    bool is_new = !disk_exists(path);
    *out = NULL;
    bool ok = true;
    if (is_new && !may_create)
        ok = error_set(err, ERRCODE_DATA_CORRUPTED,
                       "data directory \"%s\" is incomplete: file \"%s\" is missing", dir, name);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX | (is_new ? SQLITE_OPEN_CREATE : 0);
    if (ok && sqlite3_open_v2(path, out, flags, disk_vfs()) != SQLITE_OK)
        ok = sqlite_door_error(*out, path, "open", err);
    if (ok)
        ok = prepare_file(*out, path, schema, is_new, err);
    if (!ok) {
        sqlite3_close(*out);
        *out = NULL;
    }
    arena_release(&arena);
    return ok;
}
