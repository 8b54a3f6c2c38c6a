/* catalog_store.c: state.db and the lock on the data directory.
 *
 * Every transaction on the catalog counts itself. When a COMMIT fails nobody knows what the disk holds: the file is opened
 * anew, and the count says whether the transaction is there. When it cannot be opened the transaction counts as
 * refused, and is taken back as soon as the file can be opened, should it be there. */
#include "storage/disk/catalog_store.h"

#include "storage/base/arena.h"
#include "storage/disk/disk.h"
#include "storage/disk/sqlite_door.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define FIRST_USER_OID 16384

static const struct sqlite_door_file state_file = {
    "state.db",
    "CREATE TABLE object(oid INTEGER PRIMARY KEY, schema_oid INTEGER NOT NULL, name TEXT NOT NULL,"
    " kind TEXT NOT NULL, sql TEXT NOT NULL, settings TEXT, epoch INTEGER NOT NULL);"
    "CREATE TABLE setting(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;",
    "INSERT OR REPLACE INTO setting VALUES ('complete', '1');"};

struct record_list {
    struct catalog_record *list;
    uint32_t count, cap;
};

struct catalog_store {
    char *dir, *path;
    struct disk_file *lock;
    bool is_new;
    pthread_mutex_t mutex; /* what follows */
    sqlite3 *db;           /* NULL: to be opened anew */
    uint64_t writes;       /* transactions that have succeeded */
    /* of the last one, while nobody knows whether it is there */
    bool in_doubt;
    struct arena before; /* what it has changed, as it was */
    struct record_list changed;
    uint32_t *added; /* oids that were not there */
    uint32_t added_count, added_cap;
};

/* ---- reading ---- */

static bool prepare(struct catalog_store *store, const char *sql, sqlite3_stmt **stmt, struct error *err)
{
    *stmt = NULL;
    if (sqlite3_prepare_v2(store->db, sql, -1, stmt, NULL) == SQLITE_OK)
        return true;
    return sqlite_door_error(store->db, store->path, "read", err);
}

static bool read_setting(struct catalog_store *store, const char *key, uint64_t missing, uint64_t *value,
                         struct error *err)
{
    sqlite3_stmt *stmt;
    *value = missing;
    if (!prepare(store, "SELECT value FROM setting WHERE key = ?", &stmt, err))
        return false;
    sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
    int step = sqlite3_step(stmt);
    if (step == SQLITE_ROW)
        *value = strtoull((const char *)sqlite3_column_text(stmt, 0), NULL, 10);
    bool ok =
        step == SQLITE_ROW || step == SQLITE_DONE || sqlite_door_error(store->db, store->path, "read", err);
    sqlite3_finalize(stmt);
    return ok;
}

static struct catalog_record row_record(sqlite3_stmt *stmt)
{
    return (struct catalog_record){.oid = (uint32_t)sqlite3_column_int64(stmt, 0),
                                   .schema_oid = (uint32_t)sqlite3_column_int64(stmt, 1),
                                   .name = (const char *)sqlite3_column_text(stmt, 2),
                                   .kind = (const char *)sqlite3_column_text(stmt, 3),
                                   .sql = (const char *)sqlite3_column_text(stmt, 4),
                                   .settings = (const char *)sqlite3_column_text(stmt, 5),
                                   .epoch = (uint64_t)sqlite3_column_int64(stmt, 6)};
}

#define SELECT_OBJECT "SELECT oid, schema_oid, name, kind, sql, settings, epoch FROM object"

/* ---- writing ---- */

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
        sqlite_door_error(store->db, store->path, "write", err);
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
        sqlite_door_error(store->db, store->path, "write", err);
    sqlite3_finalize(stmt);
    return ok;
}

static bool put_number(struct catalog_store *store, const char *key, uint64_t value, struct error *err)
{
    char text[32];
    sqlite3_snprintf(sizeof(text), text, "%llu", (unsigned long long)value);
    return put_setting(store, key, text, err);
}

static bool drop_record(struct catalog_store *store, uint32_t oid, struct error *err)
{
    char sql[64];
    sqlite3_snprintf(sizeof(sql), sql, "DELETE FROM object WHERE oid = %u", oid);
    return sqlite_door_exec(store->db, store->path, sql, err);
}

/* ---- a transaction, also when the disk fails ---- */

/* What the disk holds is not known any more. */
static void close_file(struct catalog_store *store)
{
    sqlite3_close(store->db);
    store->db = NULL;
}

static void forget_before(struct catalog_store *store)
{
    arena_reset(&store->before);
    store->changed = (struct record_list){0};
    store->added = NULL;
    store->added_count = store->added_cap = 0;
    store->in_doubt = false;
}

static bool remember(struct catalog_store *store, uint32_t oid, struct error *err)
{
    sqlite3_stmt *stmt;
    if (!prepare(store, SELECT_OBJECT " WHERE oid = ?", &stmt, err))
        return false;
    sqlite3_bind_int64(stmt, 1, oid);
    int step = sqlite3_step(stmt);
    struct arena *arena = &store->before;
    if (step == SQLITE_ROW) {
        struct catalog_record record = row_record(stmt);
        record.name = arena_strdup(arena, record.name);
        record.kind = arena_strdup(arena, record.kind);
        record.sql = arena_strdup(arena, record.sql);
        record.settings = record.settings != NULL ? arena_strdup(arena, record.settings) : NULL;
        ARENA_PUSH(arena, store->changed.list, store->changed.count, store->changed.cap, record);
    } else if (step == SQLITE_DONE) {
        ARENA_PUSH(arena, store->added, store->added_count, store->added_cap, oid);
    }
    bool ok =
        step == SQLITE_ROW || step == SQLITE_DONE || sqlite_door_error(store->db, store->path, "read", err);
    sqlite3_finalize(stmt);
    return ok;
}

/* The transaction in doubt is there: nobody was told so. */
static bool take_back(struct catalog_store *store, struct error *err)
{
    bool ok = sqlite_door_exec(store->db, store->path, "BEGIN IMMEDIATE", err);
    for (uint32_t i = 0; ok && i < store->added_count; i++)
        ok = drop_record(store, store->added[i], err);
    for (uint32_t i = 0; ok && i < store->changed.count; i++)
        ok = put_record(store, &store->changed.list[i], err);
    return ok && put_number(store, "writes", store->writes, err) &&
           sqlite_door_exec(store->db, store->path, "COMMIT", err);
}

static bool open_file(struct catalog_store *store, uint64_t *writes, struct error *err)
{
    if (!sqlite_door_open(store->dir, &state_file, store->is_new, &store->db, err))
        return false;
    if (read_setting(store, "writes", 0, writes, err))
        return true;
    close_file(store);
    return false;
}

/* The file is open, and holds what was acknowledged. */
static bool ready(struct catalog_store *store, struct error *err)
{
    if (store->db != NULL)
        return true;
    uint64_t writes;
    if (!open_file(store, &writes, err))
        return false;
    if (store->in_doubt && writes > store->writes && !take_back(store, err)) {
        close_file(store);
        return false;
    }
    forget_before(store);
    return true;
}

/* After a COMMIT that has failed: whether it has succeeded all the same. */
static bool resolve(struct catalog_store *store, struct error *err)
{
    close_file(store);
    store->in_doubt = true;
    struct error other;
    uint64_t writes;
    if (!open_file(store, &writes, &other)) {
        error_set(err, ERRCODE_STATEMENT_COMPLETION_UNKNOWN,
                  "it is not known whether the statement has been completed: %s", other.message);
        return error_hint(err, "It is taken back as soon as the file can be opened again.");
    }
    bool is_there = writes > store->writes;
    forget_before(store);
    return is_there;
}

static bool commit(struct catalog_store *store, struct error *err)
{
    bool ok = sqlite_door_exec(store->db, store->path, "COMMIT", err) || resolve(store, err);
    if (ok)
        store->writes++;
    return ok;
}

bool catalog_store_write(struct catalog_store *store, const struct catalog_record *put, size_t put_count,
                         const uint32_t *drop, size_t drop_count, uint32_t next_oid, struct error *err)
{
    pthread_mutex_lock(&store->mutex);
    bool ok = ready(store, err);
    if (ok)
        forget_before(store);
    for (size_t i = 0; ok && i < drop_count; i++)
        ok = remember(store, drop[i], err);
    for (size_t i = 0; ok && i < put_count; i++)
        ok = remember(store, put[i].oid, err);
    ok = ok && sqlite_door_exec(store->db, store->path, "BEGIN IMMEDIATE", err);
    for (size_t i = 0; ok && i < drop_count; i++)
        ok = drop_record(store, drop[i], err);
    for (size_t i = 0; ok && i < put_count; i++)
        ok = put_record(store, &put[i], err);
    ok = ok && put_number(store, "next_oid", next_oid, err) &&
         put_number(store, "writes", store->writes + 1, err);
    if (ok)
        ok = commit(store, err);
    else if (store->db != NULL)
        close_file(store);
    pthread_mutex_unlock(&store->mutex);
    return ok;
}

bool catalog_store_set(struct catalog_store *store, const char *key, const char *value, struct error *err)
{
    pthread_mutex_lock(&store->mutex);
    bool ok = ready(store, err);
    if (ok)
        forget_before(store);
    ok = ok && sqlite_door_exec(store->db, store->path, "BEGIN IMMEDIATE", err) &&
         put_setting(store, key, value, err) && put_number(store, "writes", store->writes + 1, err);
    if (ok)
        ok = commit(store, err);
    else if (store->db != NULL)
        close_file(store);
    pthread_mutex_unlock(&store->mutex);
    return ok;
}

bool catalog_store_lock(struct catalog_store *store, sqlite3 **db, struct error *err)
{
    pthread_mutex_lock(&store->mutex);
    if (ready(store, err)) {
        *db = store->db;
        return true;
    }
    pthread_mutex_unlock(&store->mutex);
    return false;
}

void catalog_store_unlock(struct catalog_store *store, bool ok)
{
    if (!ok)
        close_file(store);
    pthread_mutex_unlock(&store->mutex);
}

/* ---- opening ---- */

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

static void release(struct catalog_store *store)
{
    sqlite3_close(store->db);
    disk_close(store->lock);
    arena_release(&store->before);
    pthread_mutex_destroy(&store->mutex);
    mem_free(store->dir);
    mem_free(store->path);
    mem_free(store);
}

bool catalog_store_open(const char *dir, struct catalog_store **out, struct error *err)
{
    struct disk_file *lock;
    if (!disk_make_dir(dir, NULL, err) || !take_lock(dir, &lock, err))
        return false;
    struct catalog_store *store = mem_zalloc(sizeof(*store));
    struct arena arena;
    arena_init(&arena, NULL);
    store->lock = lock;
    store->dir = mem_strdup(dir);
    store->path = mem_strdup(arena_printf(&arena, "%s/state.db", dir));
    arena_release(&arena);
    arena_init(&store->before, NULL);
    pthread_mutex_init(&store->mutex, NULL);
    /* log.db is made second, a WAL after its file: without state.db they are half a directory, never a new one */
    store->is_new =
        !file_exists(dir, "log.db") && (file_exists(dir, "state.db") || !file_exists(dir, "state.db-wal"));
    uint64_t is_complete = 0;
    bool ok = open_file(store, &store->writes, err) && read_setting(store, "complete", 0, &is_complete, err);
    if (!ok) {
        release(store);
        return false;
    }
    store->is_new = !is_complete;
    *out = store;
    return true;
}

bool catalog_store_is_new(const struct catalog_store *store)
{
    return store->is_new;
}

bool catalog_store_complete(struct catalog_store *store, struct error *err)
{
    if (!store->is_new)
        return true;
    if (!catalog_store_set(store, "complete", "1", err))
        return false;
    store->is_new = false;
    return true;
}

void catalog_store_close(struct catalog_store *store)
{
    release(store);
}

bool catalog_store_read(struct catalog_store *store,
                        bool (*visit)(void *ctx, const struct catalog_record *record, struct error *err),
                        void *ctx, struct error *err)
{
    sqlite3_stmt *stmt;
    if (!prepare(store, SELECT_OBJECT " ORDER BY oid", &stmt, err))
        return false;
    bool ok = true;
    int step;
    while (ok && (step = sqlite3_step(stmt)) != SQLITE_DONE) {
        if (step != SQLITE_ROW) {
            ok = sqlite_door_error(store->db, store->path, "read", err);
            break;
        }
        struct catalog_record record = row_record(stmt);
        ok = visit(ctx, &record, err);
    }
    sqlite3_finalize(stmt);
    return ok;
}

bool catalog_store_next_oid(struct catalog_store *store, uint32_t *oid, struct error *err)
{
    uint64_t value;
    if (!read_setting(store, "next_oid", FIRST_USER_OID, &value, err))
        return false;
    *oid = (uint32_t)value;
    return true;
}
