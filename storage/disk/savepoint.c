/* savepoint.c: see savepoint.h. A piece belongs to the checkpoints from `checkpoint` up to the one before `dropped`; the
 * checkpoint of a savepoint stays, and so do its pieces. */
#include "storage/disk/savepoint.h"

#include "storage/base/clock.h"
#include "storage/disk/sqlite_door.h"

#include <xxhash.h>

#define FILE_NAME  "state.db"
#define COPY_BYTES ((size_t)8 << 20) /* of a transaction */

#define OBJECT_COLUMNS "oid, schema_oid, name, kind, sql, settings, epoch"
#define KEPT_COLUMNS   "oid, schema_oid, object_name, kind, sql, settings, epoch"
#define PIECE_COLUMNS                                                                                        \
    "checkpoint, dropped, owner, shard, name, version, kind, first, end, raw_bytes, checksum, data"

/* What no checkpoint has that is kept, or is the newest. */
static const char forget_unkept[] =
    "DELETE FROM checkpoint WHERE number < (SELECT max(number) FROM checkpoint)"
    " AND number NOT IN (SELECT checkpoint FROM savepoint);"
    "DELETE FROM piece WHERE dropped IS NOT NULL AND NOT EXISTS (SELECT 1 FROM checkpoint"
    " WHERE number >= piece.checkpoint AND number < piece.dropped);";

static bool failed(sqlite3 *db, const char *doing, struct error *err)
{
    return sqlite_door_error(db, FILE_NAME, doing, err);
}

static bool begin(sqlite3 *db, struct error *err)
{
    return sqlite_door_exec(db, FILE_NAME, "BEGIN IMMEDIATE", err);
}

/* COMMIT, or ROLLBACK when something has failed. */
static bool end(sqlite3 *db, bool ok, struct error *err)
{
    ok = ok && sqlite_door_exec(db, FILE_NAME, "COMMIT", err);
    if (!ok)
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return ok;
}

/* A statement about one savepoint: parameters 1 (its name) and 2 (its use). */
static bool prepare(sqlite3 *db, const char *sql, const char *name, enum savepoint_use use,
                    sqlite3_stmt **out, struct error *err)
{
    *out = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, out, NULL) != SQLITE_OK)
        return failed(db, "read", err);
    sqlite3_bind_text(*out, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_int(*out, 2, use);
    return true;
}

/* Parameter 3, where there is one, is `number`. *changes (may be NULL): rows it has changed. */
static bool run(sqlite3 *db, const char *sql, const char *name, enum savepoint_use use, uint64_t number,
                int *changes, struct error *err)
{
    sqlite3_stmt *stmt;
    if (!prepare(db, sql, name, use, &stmt, err))
        return false;
    if (sqlite3_bind_parameter_count(stmt) >= 3)
        sqlite3_bind_int64(stmt, 3, (sqlite3_int64)number);
    bool ok = sqlite3_step(stmt) == SQLITE_DONE || failed(db, "write", err);
    sqlite3_finalize(stmt);
    if (changes != NULL)
        *changes = sqlite3_changes(db);
    return ok;
}

static const char info_sql[] =
    "SELECT s.name, c.number, c.epoch, s.taken_us, (SELECT count(*) FROM savepoint_object o WHERE o.name = "
    "s.name AND"
    " o.is_backup = s.is_backup) FROM savepoint s JOIN checkpoint c ON c.number = s.checkpoint";

static struct savepoint_info read_info(sqlite3_stmt *stmt)
{
    return (struct savepoint_info){.name = (const char *)sqlite3_column_text(stmt, 0),
                                   .number = (uint64_t)sqlite3_column_int64(stmt, 1),
                                   .epoch = (uint64_t)sqlite3_column_int64(stmt, 2),
                                   .taken_us = sqlite3_column_int64(stmt, 3),
                                   .objects = (uint32_t)sqlite3_column_int64(stmt, 4)};
}

/* *found: whether there is one; out->name is the caller's. */
static bool find(sqlite3 *db, const char *name, enum savepoint_use use, bool *found,
                 struct savepoint_info *out, struct error *err)
{
    char sql[512];
    sqlite3_stmt *stmt;
    sqlite3_snprintf(sizeof(sql), sql, "%s WHERE s.name = ? AND s.is_backup = ?", info_sql);
    if (!prepare(db, sql, name, use, &stmt, err))
        return false;
    int step = sqlite3_step(stmt);
    *found = step == SQLITE_ROW;
    if (*found)
        *out = read_info(stmt);
    out->name = name;
    bool ok = step == SQLITE_ROW || step == SQLITE_DONE || failed(db, "read", err);
    sqlite3_finalize(stmt);
    return ok;
}

bool savepoint_keep(struct catalog_store *store, const char *name, enum savepoint_use use, struct error *err)
{
    sqlite3 *db;
    struct savepoint_info info = {0};
    bool found = false;
    int changes = 0;
    if (!catalog_store_lock(store, &db, err))
        return false;
    bool ok = begin(db, err) && find(db, name, use, &found, &info, err);
    if (ok && found)
        ok = error_set(err, ERRCODE_DUPLICATE_OBJECT,
                       use == SAVEPOINT_SNAPSHOT ? "snapshot \"%s\" already exists"
                                                 : "a backup to \"%s\" is being made already",
                       name);
    ok = ok &&
         run(db,
             "INSERT INTO savepoint(name, is_backup, checkpoint, taken_us)"
             " SELECT ?1, ?2, number, ?3 FROM checkpoint ORDER BY number DESC LIMIT 1",
             name, use, (uint64_t)clock_now_us(), &changes, err) &&
         run(db,
             "INSERT INTO savepoint_object(name, is_backup, " KEPT_COLUMNS ") SELECT ?1, ?2, " OBJECT_COLUMNS
             " FROM object",
             name, use, 0, NULL, err);
    if (ok && changes == 0)
        ok = error_set(err, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "there is no checkpoint");
    ok = end(db, ok, err);
    catalog_store_unlock(store, ok);
    return ok;
}

bool savepoint_release(struct catalog_store *store, const char *name, enum savepoint_use use, bool *found,
                       struct error *err)
{
    sqlite3 *db;
    int changes = 0;
    *found = false;
    if (!catalog_store_lock(store, &db, err))
        return false;
    bool ok =
        begin(db, err) &&
        run(db, "DELETE FROM savepoint WHERE name = ? AND is_backup = ?", name, use, 0, &changes, err) &&
        run(db, "DELETE FROM savepoint_object WHERE name = ? AND is_backup = ?", name, use, 0, NULL, err) &&
        (changes == 0 || sqlite_door_exec(db, FILE_NAME, forget_unkept, err));
    ok = end(db, ok, err);
    catalog_store_unlock(store, ok);
    *found = ok && changes > 0;
    return ok;
}

bool savepoint_snapshots(struct catalog_store *store,
                         bool (*visit)(void *ctx, const struct savepoint_info *info), void *ctx,
                         struct error *err)
{
    char sql[512];
    sqlite3_stmt *stmt;
    sqlite3_snprintf(sizeof(sql), sql, "%s WHERE NOT s.is_backup ORDER BY s.name", info_sql);
    sqlite3 *db;
    if (!catalog_store_lock(store, &db, err))
        return false;
    bool ok = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK || failed(db, "read", err);
    int step = SQLITE_DONE;
    bool more = ok;
    while (more && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct savepoint_info info = read_info(stmt);
        more = visit(ctx, &info);
    }
    if (more)
        ok = step == SQLITE_DONE || failed(db, "read", err);
    sqlite3_finalize(stmt);
    catalog_store_unlock(store, ok);
    return ok;
}

/* ---- copies ---- */

/* Copies values, for which there may be no memory. */
static bool bind_columns(sqlite3_stmt *from, int first, sqlite3_stmt *to)
{
    for (int i = 0; i < sqlite3_bind_parameter_count(to); i++)
        if (sqlite3_bind_value(to, i + 1, sqlite3_column_value(from, first + i)) != SQLITE_OK)
            return false;
    return true;
}

/* The rows of `select` through `insert`, whose parameters are the columns. */
static bool copy_rows(sqlite3 *db, sqlite3_stmt *select, sqlite3 *to, const char *insert, struct error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool ok = sqlite3_prepare_v2(to, insert, -1, &stmt, NULL) == SQLITE_OK || failed(to, "write", err);
    int step = SQLITE_DONE;
    while (ok && (step = sqlite3_step(select)) == SQLITE_ROW) {
        ok = (bind_columns(select, 0, stmt) && sqlite3_step(stmt) == SQLITE_DONE) || failed(to, "write", err);
        sqlite3_reset(stmt);
    }
    if (ok)
        ok = step == SQLITE_DONE || failed(db, "read", err);
    sqlite3_finalize(stmt);
    return ok;
}

static bool copy_catalog(sqlite3 *db, const char *name, enum savepoint_use use, sqlite3 *to,
                         struct error *err)
{
    static const struct {
        const char *select, *insert;
    } tables[] = {
        {"SELECT " KEPT_COLUMNS " FROM savepoint_object WHERE name = ? AND is_backup = ?",
         "INSERT INTO object(" OBJECT_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?)"},
        {"SELECT key, value FROM setting WHERE key <> 'complete'",
         "INSERT OR REPLACE INTO setting VALUES (?, ?)"},
        {"SELECT * FROM checkpoint WHERE number = (SELECT checkpoint FROM savepoint WHERE name = ? AND "
         "is_backup = ?)",
         "INSERT INTO checkpoint VALUES (?, ?, ?, ?, ?, ?, ?, ?)"},
    };
    bool ok = true;
    for (size_t i = 0; i < ARRAY_COUNT(tables) && ok; i++) {
        sqlite3_stmt *select;
        ok = prepare(db, tables[i].select, name, use, &select, err) &&
             copy_rows(db, select, to, tables[i].insert, err);
        sqlite3_finalize(select);
    }
    return ok;
}

/* Pieces of the checkpoint `number` behind *id, up to COPY_BYTES; *id becomes that of the last one. */
static bool copy_pieces(sqlite3 *db, uint64_t number, sqlite3 *to, int64_t *id, bool *more, struct error *err)
{
    sqlite3_stmt *select = NULL, *insert = NULL;
    bool ok = sqlite3_prepare_v2(
                  db,
                  "SELECT id, checksum, data, checkpoint, NULL, owner, shard, name, version, kind, first,"
                  " end, raw_bytes, checksum, data FROM piece WHERE id > ?1 AND checkpoint <= ?2 AND"
                  " (dropped IS NULL OR dropped > ?2) ORDER BY id",
                  -1, &select, NULL) == SQLITE_OK ||
              failed(db, "read", err);
    ok = ok && (sqlite3_prepare_v2(
                    to, "INSERT INTO piece(" PIECE_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    -1, &insert, NULL) == SQLITE_OK ||
                failed(to, "write", err));
    int step = SQLITE_DONE;
    if (ok) {
        sqlite3_bind_int64(select, 1, *id);
        sqlite3_bind_int64(select, 2, (sqlite3_int64)number);
    }
    size_t copied = 0;
    while (ok && copied < COPY_BYTES && (step = sqlite3_step(select)) == SQLITE_ROW) {
        const void *data = sqlite3_column_blob(select, 2);
        size_t bytes = (size_t)sqlite3_column_bytes(select, 2);
        if (data == NULL || (uint64_t)sqlite3_column_int64(select, 1) != XXH3_64bits(data, bytes)) {
            ok = error_set(err, ERRCODE_DATA_CORRUPTED,
                           "file \"" FILE_NAME "\" is damaged: a piece of \"%s\" is not what was written",
                           (const char *)sqlite3_column_text(select, 5));
            break;
        }
        ok = (bind_columns(select, 3, insert) && sqlite3_step(insert) == SQLITE_DONE) ||
             failed(to, "write", err);
        sqlite3_reset(insert);
        *id = sqlite3_column_int64(select, 0);
        copied += bytes;
    }
    *more = step == SQLITE_ROW;
    if (ok && !*more)
        ok = step == SQLITE_DONE || failed(db, "read", err);
    sqlite3_finalize(select);
    sqlite3_finalize(insert);
    return ok;
}

/* One transaction of `to`: the catalog, or (info known) more pieces. */
static bool copy_part(struct catalog_store *store, const char *name, enum savepoint_use use, sqlite3 *to,
                      int64_t *id, bool *more, struct savepoint_info *info, struct error *err)
{
    sqlite3 *db;
    bool found = true;
    if (!catalog_store_lock(store, &db, err))
        return false;
    bool ok = begin(to, err);
    if (ok && *id < 0) {
        ok = find(db, name, use, &found, info, err) &&
             (found || error_set(err, ERRCODE_UNDEFINED_OBJECT, "snapshot \"%s\" does not exist", name)) &&
             copy_catalog(db, name, use, to, err);
        *id = 0;
    } else if (ok) {
        ok = copy_pieces(db, info->number, to, id, more, err);
    }
    catalog_store_unlock(store, true); /* nothing was written to it */
    return end(to, ok, err);
}

bool savepoint_copy(struct catalog_store *store, const char *name, enum savepoint_use use,
                    struct catalog_store *to, const _Atomic bool *cancel, struct savepoint_info *out,
                    struct error *err)
{
    sqlite3 *target;
    int64_t id = -1;
    bool ok = catalog_store_lock(to, &target, err), more = true;
    if (!ok)
        return false;
    while (ok && more) {
        ok = copy_part(store, name, use, target, &id, &more, out, err);
        if (ok && cancel != NULL && atomic_load(cancel))
            ok = error_set(err, ERRCODE_QUERY_CANCELED, "canceling statement due to user request");
    }
    catalog_store_unlock(to, ok);
    return ok;
}

/* ---- going back ---- */

/* Tables of state of which the newest checkpoint, ?1, has other pieces than ?2 has. */
static const char find_changed[] =
    "CREATE TEMP TABLE changed AS SELECT DISTINCT owner, shard, name FROM piece"
    " WHERE (checkpoint <= ?2 AND dropped > ?2) OR (checkpoint > ?2 AND dropped IS NULL)";

static bool run_numbers(sqlite3 *db, const char *sql, uint64_t fresh, uint64_t old, uint64_t epoch,
                        struct error *err)
{
    sqlite3_stmt *stmt = NULL;
    const uint64_t values[] = {fresh, old, epoch};
    bool ok = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK;
    for (int i = 0; ok && i < sqlite3_bind_parameter_count(stmt); i++)
        sqlite3_bind_int64(stmt, i + 1, (sqlite3_int64)values[i]);
    ok = (ok && sqlite3_step(stmt) == SQLITE_DONE) || failed(db, "write", err);
    sqlite3_finalize(stmt);
    return ok;
}

static bool go_back(sqlite3 *db, const char *name, const struct savepoint_info *info, uint64_t epoch,
                    struct error *err)
{
    static const char *const steps[] = {
        /* what a checkpoint has left that did not become valid */
        "DELETE FROM piece WHERE checkpoint >= ?1",
        "UPDATE piece SET dropped = NULL WHERE dropped >= ?1",
        find_changed,
        "UPDATE piece SET dropped = ?1 WHERE dropped IS NULL AND (owner, shard, name) IN (SELECT * FROM "
        "changed)",
        "INSERT INTO piece(" PIECE_COLUMNS ") SELECT ?1, NULL, owner, shard, name, version, kind, first, end,"
        " raw_bytes, checksum, data FROM piece WHERE checkpoint <= ?2 AND dropped > ?2"
        " AND (owner, shard, name) IN (SELECT * FROM changed) ORDER BY id",
        "DROP TABLE changed",
        "INSERT INTO checkpoint SELECT ?1, ?3, clock_us, shards, started_us, ended_us, rows, bytes FROM "
        "checkpoint"
        " WHERE number = ?2",
    };
    uint64_t newest = 0;
    sqlite3_stmt *stmt = NULL;
    bool ok = sqlite3_prepare_v2(db, "SELECT max(number) FROM checkpoint", -1, &stmt, NULL) == SQLITE_OK &&
              sqlite3_step(stmt) == SQLITE_ROW;
    if (ok)
        newest = (uint64_t)sqlite3_column_int64(stmt, 0);
    else
        failed(db, "read", err);
    sqlite3_finalize(stmt);
    for (size_t i = 0; i < ARRAY_COUNT(steps) && ok; i++)
        ok = run_numbers(db, steps[i], newest + 1, info->number, epoch, err);
    return ok && sqlite_door_exec(db, FILE_NAME, "DELETE FROM object", err) &&
           run(db,
               "INSERT INTO object(" OBJECT_COLUMNS ") SELECT " KEPT_COLUMNS
               " FROM savepoint_object WHERE name = ? AND is_backup = ?",
               name, SAVEPOINT_SNAPSHOT, 0, NULL, err) &&
           sqlite_door_exec(db, FILE_NAME, forget_unkept, err);
}

bool savepoint_go_back(struct catalog_store *store, const char *name, uint64_t epoch, struct error *err)
{
    sqlite3 *db;
    struct savepoint_info info;
    bool found = false;
    if (!catalog_store_lock(store, &db, err))
        return false;
    bool ok = begin(db, err) && find(db, name, SAVEPOINT_SNAPSHOT, &found, &info, err) &&
              (found || error_set(err, ERRCODE_UNDEFINED_OBJECT, "snapshot \"%s\" does not exist", name)) &&
              go_back(db, name, &info, epoch, err);
    ok = end(db, ok, err);
    catalog_store_unlock(store, ok);
    return ok;
}
