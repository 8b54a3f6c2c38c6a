/* sqlite_door.c: opening a database file of ours, with its format version in the header (PRAGMA
 * user_version). */
#include "storage/disk/sqlite_door.h"

#include "storage/base/arena.h"
#include "storage/disk/disk.h"
#include "storage/disk/disk_wal.h"

#include <stdio.h>

#define RESERVED_BYTES 8 /* of each page, for its checksum: disk_vfs.c */

bool sqlite_door_error(sqlite3 *db, const char *name, const char *doing, struct error *err)
{
    int code = db != NULL ? sqlite3_errcode(db) : SQLITE_NOMEM;
    const char *text = db != NULL ? sqlite3_errmsg(db) : "out of memory";
    if (db != NULL && sqlite3_extended_errcode(db) == SQLITE_IOERR_DATA)
        return error_set(err, ERRCODE_DATA_CORRUPTED,
                         "file \"%s\" is damaged: the checksum of a page is wrong", name);
    switch (code & 0xff) {
    case SQLITE_FULL:
        error_set(err, ERRCODE_DISK_FULL, "could not %s \"%s\": no space left on device", doing, name);
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        error_set(err, ERRCODE_DATA_CORRUPTED, "file \"%s\" is damaged: %s", name, text);
        break;
    case SQLITE_NOMEM:
        error_set(err, ERRCODE_OUT_OF_MEMORY, "could not %s \"%s\": the operating system refuses memory",
                  doing, name);
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        error_set(err, ERRCODE_OBJECT_IN_USE, "file \"%s\" is in use by another process", name);
        break;
    default:
        if (db != NULL && sqlite3_system_errno(db) != 0)
            disk_error(sqlite3_system_errno(db), doing, name, err);
        else
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

static bool set_version(sqlite3 *db, const char *path, const char *sql, struct error *err)
{
    char pragma[64];
    snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%d; COMMIT;", DISK_FORMAT_VERSION);
    return sqlite_door_exec(db, path, "BEGIN IMMEDIATE;", err) && sqlite_door_exec(db, path, sql, err) &&
           sqlite_door_exec(db, path, pragma, err);
}

/* For the pages that are written from now on, of a new file or by VACUUM. */
static void reserve_checksums(sqlite3 *db)
{
    int bytes = RESERVED_BYTES;
    (void)sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &bytes);
}

static bool check_checksums(sqlite3 *db, const char *path, struct error *err)
{
    bool has_checksums = false;
    (void)sqlite3_file_control(db, "main", DISK_CONTROL_HAS_CHECKSUMS, &has_checksums);
    return has_checksums || error_set(err, ERRCODE_DATA_CORRUPTED,
                                      "file \"%s\" is damaged: its pages have no checksums", path);
}

/* The checkpoint puts the new header where check_checksums finds it. */
static bool upgrade(sqlite3 *db, const char *path, const struct sqlite_door_file *file, struct error *err)
{
    reserve_checksums(db);
    return sqlite_door_exec(db, path, "VACUUM; PRAGMA wal_checkpoint(TRUNCATE);", err) &&
           check_checksums(db, path, err) && set_version(db, path, file->upgrade, err);
}

static bool prepare_file(sqlite3 *db, const char *path, const struct sqlite_door_file *file, bool may_create,
                         struct error *err)
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
        return check_checksums(db, path, err);
    if (version > 0) /* what we write from now on an older program must not read */
        return upgrade(db, path, file, err);
    if (!may_create)
        return error_set(err, ERRCODE_DATA_CORRUPTED, "file \"%s\" is incomplete: it has no format version",
                         path);
    return set_version(db, path, file->schema, err);
}

bool sqlite_door_open(const char *dir, const struct sqlite_door_file *file, bool may_create, sqlite3 **out,
                      struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    const char *path = arena_printf(&arena, "%s/%s", dir, file->name);
    bool exists = disk_exists(path);
    *out = NULL;
    bool ok = true;
    if (!exists && !may_create)
        ok = error_set(err, ERRCODE_DATA_CORRUPTED,
                       "data directory \"%s\" is incomplete: file \"%s\" is missing", dir, file->name);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX | (may_create ? SQLITE_OPEN_CREATE : 0);
    if (ok && exists) /* by its name as well: who made it may have died before its name was durable */
        ok = wal_settle(arena_printf(&arena, "%s-wal", path), err) && disk_sync_dir(dir, err);
    if (ok && sqlite3_open_v2(path, out, flags, disk_vfs()) != SQLITE_OK)
        ok = sqlite_door_error(*out, path, "open", err);
    if (ok) /* of a file that has a header that decides; one whose making was cut short may become empty only now */
        reserve_checksums(*out);
    if (ok)
        ok = prepare_file(*out, path, file, may_create, err);
    if (!ok) {
        sqlite3_close(*out);
        *out = NULL;
    }
    arena_release(&arena);
    return ok;
}
