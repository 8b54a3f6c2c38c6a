/* catalog_store.c: state.db and the lock on the data directory. */
#include "storage/disk/catalog_store.h"

#include "storage/base/arena.h"
#include "storage/disk/disk.h"
#include "storage/disk/sqlite_door.h"

#include <errno.h>
#include <pthread.h>

#define FIRST_USER_OID 16384

static const char schema[] =
    "CREATE TABLE object(oid INTEGER PRIMARY KEY, schema_oid INTEGER NOT NULL, name TEXT NOT NULL,"
    " kind TEXT NOT NULL, sql TEXT NOT NULL, settings TEXT, epoch INTEGER NOT NULL);"
    "CREATE TABLE setting(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;";

struct catalog_store {
    sqlite3 *db;
    pthread_mutex_t mutex; /* of db */
    struct disk_file *lock;
    bool is_new;
};

/* One process per directory: the lock dies with its holder, however it dies. */
static bool take_lock(const char *dir, struct disk_file **out, struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    const char *path = arena_printf(&arena, "%s/lock", dir);
    struct disk_file *file = NULL;
    bool ok = disk_open(path, DISK_WRITE | DISK_CREATE, &file, err);
    int code = ok ? file->disk->lock(file) : 0;
    if (code == EAGAIN)
        ok = error_set(err, ERRCODE_OBJECT_IN_USE, "data directory \"%s\" is in use by another server", dir);
    else if (code != 0)
        ok = disk_error(code, "lock", path, err);
    if (!ok)
        disk_close(file);
    else
        *out = file;
    arena_release(&arena);
    return ok;
}

static bool file_exists(const char *dir, const char *name)
{
    struct arena arena;
    arena_init(&arena, NULL);
    bool exists = disk_exists(arena_printf(&arena, "%s/%s", dir, name));
    arena_release(&arena);
    return exists;
}

bool catalog_store_open(const char *dir, struct catalog_store **out, struct error *err)
{
    if (!disk_make_dir(dir, NULL, err))
        return false;
    struct catalog_store *store = mem_zalloc(sizeof(*store));
    if (!take_lock(dir, &store->lock, err)) {
        mem_free(store);
        return false;
    }
    /* log.db without state.db is half a directory, never a new one */
    store->is_new = !file_exists(dir, "state.db") && !file_exists(dir, "log.db");
    if (!sqlite_door_open(dir, "state.db", schema, store->is_new, &store->db, err)) {
        disk_close(store->lock);
        mem_free(store);
        return false;
    }
    pthread_mutex_init(&store->mutex, NULL);
    *out = store;
    return true;
}

sqlite3 *catalog_store_lock(struct catalog_store *store)
{
    pthread_mutex_lock(&store->mutex);
    return store->db;
}

void catalog_store_unlock(struct catalog_store *store)
{
    pthread_mutex_unlock(&store->mutex);
}

bool catalog_store_is_new(const struct catalog_store *store)
{
    return store->is_new;
}

void catalog_store_close(struct catalog_store *store)
{
    sqlite3_close(store->db);
    disk_close(store->lock);
    pthread_mutex_destroy(&store->mutex);
    mem_free(store);
}

bool catalog_store_read(struct catalog_store *store,
                        bool (*visit)(void *ctx, const struct catalog_record *record, struct error *err),
                        void *ctx, struct error *err)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(
            store->db, "SELECT oid, schema_oid, name, kind, sql, settings, epoch FROM object ORDER BY oid",
            -1, &stmt, NULL) != SQLITE_OK)
        return sqlite_door_error(store->db, "state.db", "read", err);
    bool ok = true;
    int step;
    while (ok && (step = sqlite3_step(stmt)) != SQLITE_DONE) {
        if (step != SQLITE_ROW) {
            ok = sqlite_door_error(store->db, "state.db", "read", err);
            break;
        }
        struct catalog_record record = {.oid = (uint32_t)sqlite3_column_int64(stmt, 0),
                                        .schema_oid = (uint32_t)sqlite3_column_int64(stmt, 1),
                                        .name = (const char *)sqlite3_column_text(stmt, 2),
                                        .kind = (const char *)sqlite3_column_text(stmt, 3),
                                        .sql = (const char *)sqlite3_column_text(stmt, 4),
                                        .settings = (const char *)sqlite3_column_text(stmt, 5),
                                        .epoch = (uint64_t)sqlite3_column_int64(stmt, 6)};
        ok = visit(ctx, &record, err);
    }
    sqlite3_finalize(stmt);
    return ok;
}

static bool put_record(struct catalog_store *store, const struct catalog_record *record, struct error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool ok = sqlite3_prepare_v2(store->db, "INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?, ?, ?, ?)", -1,
                                 &stmt, NULL) == SQLITE_OK;
    if (ok) {
        sqlite3_bind_int64(stmt, 1, record->oid);
        sqlite3_bind_int64(stmt, 2, record->schema_oid);
        sqlite3_bind_text(stmt, 3, record->name, -1, SQLITE_STATIC);
        sqlite3_bind_text(stmt, 4, record->kind, -1, SQLITE_STATIC);
        sqlite3_bind_text(stmt, 5, record->sql, -1, SQLITE_STATIC);
        if (record->settings != NULL)
            sqlite3_bind_text(stmt, 6, record->settings, -1, SQLITE_STATIC);
        sqlite3_bind_int64(stmt, 7, (sqlite3_int64)record->epoch);
        ok = sqlite3_step(stmt) == SQLITE_DONE;
    }
    if (!ok)
        sqlite_door_error(store->db, "state.db", "write", err);
    sqlite3_finalize(stmt);
    return ok;
}

static bool put_setting(struct catalog_store *store, const char *key, const char *value, struct error *err)
{
    sqlite3_stmt *stmt = NULL;
    const char *sql = value != NULL ? "INSERT OR REPLACE INTO setting VALUES (?, ?)"
                                    : "DELETE FROM setting WHERE key = ? AND ? IS NULL";
    bool ok = sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL) == SQLITE_OK;
    if (ok) {
        sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
        sqlite3_bind_text(stmt, 2, value, -1, SQLITE_STATIC);
        ok = sqlite3_step(stmt) == SQLITE_DONE;
    }
    if (!ok)
        sqlite_door_error(store->db, "state.db", "write", err);
    sqlite3_finalize(stmt);
    return ok;
}

static bool drop_record(struct catalog_store *store, uint32_t oid, struct error *err)
{
    char sql[64];
    sqlite3_snprintf(sizeof(sql), sql, "DELETE FROM object WHERE oid = %u", oid);
    return sqlite_door_exec(store->db, "state.db", sql, err);
}

bool catalog_store_write(struct catalog_store *store, const struct catalog_record *put, size_t put_count,
                         const uint32_t *drop, size_t drop_count, uint32_t next_oid, struct error *err)
{
    char next[16];
    sqlite3_snprintf(sizeof(next), next, "%u", next_oid);
    pthread_mutex_lock(&store->mutex);
    bool ok = sqlite_door_exec(store->db, "state.db", "BEGIN IMMEDIATE", err);
    for (size_t i = 0; ok && i < drop_count; i++)
        ok = drop_record(store, drop[i], err);
    for (size_t i = 0; ok && i < put_count; i++)
        ok = put_record(store, &put[i], err);
    ok = ok && put_setting(store, "next_oid", next, err) &&
         sqlite_door_exec(store->db, "state.db", "COMMIT", err);
    if (!ok)
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    pthread_mutex_unlock(&store->mutex);
    return ok;
}

uint32_t catalog_store_next_oid(struct catalog_store *store)
{
    sqlite3_stmt *stmt = NULL;
    uint32_t next = FIRST_USER_OID;
    if (sqlite3_prepare_v2(store->db, "SELECT value FROM setting WHERE key = 'next_oid'", -1, &stmt, NULL) ==
            SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        next = (uint32_t)sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return next;
}

bool catalog_store_set(struct catalog_store *store, const char *key, const char *value, struct error *err)
{
    pthread_mutex_lock(&store->mutex);
    bool ok = put_setting(store, key, value, err);
    pthread_mutex_unlock(&store->mutex);
    return ok;
}
